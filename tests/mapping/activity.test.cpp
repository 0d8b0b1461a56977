#include "mapping/activity.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support.h"

namespace {

constexpr std::string_view asOf = "2025-11-20";
const std::string patient = R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1970-01-01"})";
const std::vector<std::string> everyType{"Condition",         "Procedure",           "Immunization",
                                         "MedicationRequest", "MedicationStatement", "MedicationAdministration"};

/// A resource about the patient; `members` end in a comma.
std::string resource(std::string_view type, const std::string& members, std::string_view id = "x") {
    const std::string subject = type == "Immunization" ? "patient" : "subject";
    return R"({"resourceType":")" + std::string(type) + R"(","id":")" + std::string(id) + "\"," + members + '"' +
           subject + R"(":{"reference":"Patient/p"}})";
}

std::string coded(std::string_view element, std::string_view system, std::string_view code) {
    return '"' + std::string(element) + R"(":{"coding":[{"system":")" + std::string(system) + R"(","code":")" +
           std::string(code) + "\"}]},";
}

const std::string rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
const std::string snomed = "http://snomed.info/sct";
const std::string cvx = "http://hl7.org/fhir/sid/cvx";

std::string drug(std::string_view type, std::string_view code, const std::string& members) {
    return resource(type, coded("medicationCodeableConcept", rxnorm, code) + members);
}

/// "true recorded", of one criterion; with the day it clears on when there is one.
std::string verdict(const std::vector<std::string>& resources, std::string_view trial, std::string_view criterion) {
    std::vector<std::string> all{patient};
    all.insert(all.end(), resources.begin(), resources.end());
    const auto screening = support::screen(support::bundleOf(all), asOf, support::covering(everyType));
    std::string text = support::truth(screening, trial, criterion) + ' ' + support::basis(screening, trial, criterion);
    if (const auto clears = support::finding(screening, trial, criterion).outcome.clearsOn)
        text += ' ' + clears->text();
    return text;
}

/// NCT05995028 exc.05: systemicSteroid within 7 days before enrollment.
std::string steroid(const std::vector<std::string>& resources) {
    return verdict(resources, "NCT05995028", "exc.05");
}
/// NCT07345780 exc.12a: liveVaccine within 28 days.
std::string vaccine(const std::vector<std::string>& resources) {
    return verdict(resources, "NCT07345780", "exc.12a");
}
/// NCT07117305 exc.10: stemCellTransplant, ever.
std::string transplant(const std::vector<std::string>& resources) {
    return verdict(resources, "NCT07117305", "exc.10");
}

}  // namespace

TEST_CASE("a drug that was given counts by its status, and what was not given does not") {
    const auto administered = [](const std::string& status) {
        return steroid({drug("MedicationAdministration", "8640",
                             R"("status":")" + status + R"(","effectiveDateTime":"2025-11-18",)")});
    };
    CHECK(administered("completed") == "unknown wash-out 2025-11-26");
    CHECK(administered("stopped") == "unknown wash-out 2025-11-26");
    CHECK(administered("not-done") == "false none-on-file");
    CHECK(administered("entered-in-error") == "false none-on-file");
    CHECK(administered("unknown") == "unknown unconfirmed");

    const auto ordered = [](const std::string& status, const std::string& intent) {
        return steroid(
            {drug("MedicationRequest", "8640",
                  R"("status":")" + status + R"(","intent":")" + intent + R"(","authoredOn":"2025-11-18",)")});
    };
    CHECK(ordered("active", "order") == "unknown wash-out");
    CHECK(ordered("completed", "order") == "unknown wash-out");
    CHECK(ordered("cancelled", "order") == "false none-on-file");
    CHECK(ordered("draft", "order") == "false none-on-file");
    CHECK(ordered("active", "plan") == "false none-on-file");
    CHECK(ordered("active", "proposal") == "false none-on-file");
    CHECK(steroid({drug("MedicationRequest", "8640",
                        R"("status":"active","intent":"order","doNotPerform":true,"authoredOn":"2025-11-18",)")}) ==
          "false none-on-file");

    const auto stated = [](const std::string& status) {
        return steroid(
            {drug("MedicationStatement", "8640",
                  R"("status":")" + status + R"(","effectivePeriod":{"start":"2025-10-01","end":"2025-11-10"},)")});
    };
    CHECK(stated("not-taken") == "false none-on-file");
    CHECK(stated("intended") == "false none-on-file");
    CHECK(stated("completed") == "false none-on-file");
}

TEST_CASE("the seventh day is inside a window of seven days, the eighth is not") {
    const auto on = [](const std::string& date) {
        return steroid(
            {drug("MedicationAdministration", "8640", R"("status":"completed","effectiveDateTime":")" + date + "\",")});
    };
    CHECK(on("2025-11-13") == "unknown wash-out 2025-11-21");
    CHECK(on("2025-11-12") == "false none-on-file");
    CHECK(on("2025-11") == "unknown undated");
    CHECK(on("2025-10") == "false none-on-file");
    CHECK(on("2025-11-21") == "false none-on-file");  // dated after the day of the evaluation
    CHECK(steroid({drug("MedicationAdministration", "8640", R"("status":"completed",)")}) == "unknown undated");
}

TEST_CASE("a dispensed supply lasts as long as it says") {
    const auto dispensed = [](const std::string& days) {
        return steroid(
            {drug("MedicationDispense", "8640",
                  R"("status":"completed","whenHandedOver":"2025-11-01","daysSupply":{"value":)" + days + "},")});
    };
    CHECK(dispensed("10") == "false none-on-file");           // until 10 November
    CHECK(dispensed("14") == "unknown wash-out 2025-11-22");  // until 14 November
    CHECK(dispensed("60") == "unknown wash-out");             // still taken
    // A drug that nobody can name may be any.
    const auto handedOut = [](const std::string& drug) {
        return steroid(
            {resource("MedicationDispense", drug + R"("status":"completed","whenHandedOver":"2025-11-18",)")});
    };
    CHECK(handedOut(R"("medicationReference":{"reference":"Medication/nowhere"},)") == "unknown asked");
    CHECK(handedOut(coded("medicationCodeableConcept", "urn:local", "4711")) == "unknown asked");
    CHECK(handedOut(R"("medicationCodeableConcept":{"text":"paracetamol"},)") == "unknown asked");
    CHECK(handedOut(coded("medicationCodeableConcept", rxnorm, "161")) == "unknown asked");
}

TEST_CASE("only a corticosteroid that reaches the whole body counts") {
    const auto given = [](std::string_view code, const std::string& dosage) {
        return steroid({drug("MedicationAdministration", code,
                             R"("status":"completed","effectiveDateTime":"2025-11-18",)" + dosage)});
    };
    const std::string route = R"("dosage":{"route":)";
    CHECK(given("3264", route + R"({"coding":[{"system":"http://snomed.info/sct","code":"47625008"}]}},)") ==
          "unknown wash-out 2025-11-26");
    CHECK(given("3264", route + R"({"text":"Subcutaneous use"}},)") == "unknown wash-out 2025-11-26");
    CHECK(given("3264", route + R"({"coding":[{"system":"http://snomed.info/sct","code":"54485002"}]}},)") ==
          "false none-on-file");
    CHECK(given("10759", route + R"({"text":"Topical"}},)") == "false none-on-file");
    CHECK(given("3264", "") == "unknown unconfirmed");
    // Budesonide and fludrocortisone are shown and never decide.
    CHECK(given("19831", route + R"({"text":"Oral"}},)") == "unknown unconfirmed");
    CHECK(given("4452", route + R"({"text":"Oral"}},)") == "unknown unconfirmed");
}

TEST_CASE("a Medication is found contained, by its reference and by its full URL; one that is not here is unknown") {
    const std::string given = R"("status":"completed","effectiveDateTime":"2025-11-18",)";
    const std::string prednisone = R"({"resourceType":"Medication","id":"m",)" + coded("code", rxnorm, "8640");
    const std::string medication = prednisone.substr(0, prednisone.size() - 1) + "}";
    const auto refers = [&](const std::string& reference) {
        return resource("MedicationAdministration",
                        given + R"("medicationReference":{"reference":")" + reference + R"("},)");
    };
    CHECK(steroid({resource("MedicationAdministration", given + R"("contained":[)" + medication +
                                                            R"(],"medicationReference":{"reference":"#m"},)")}) ==
          "unknown wash-out 2025-11-26");
    CHECK(steroid({refers("Medication/m"), medication}) == "unknown wash-out 2025-11-26");
    CHECK(steroid({refers("https://ehr.example.org/fhir/Medication/m/_history/3"), medication}) ==
          "unknown wash-out 2025-11-26");
    CHECK(steroid({refers("Medication/other"), medication}) == "unknown asked");
    CHECK(steroid({refers("Medication/m")}) == "unknown asked");
    // By its ingredient.
    CHECK(steroid(
              {refers("Medication/m"),
               R"({"resourceType":"Medication","id":"m","ingredient":[{"itemCodeableConcept":{"coding":[{"system":")" +
                   rxnorm + R"(","code":"8640"}]}}]})"}) == "unknown wash-out 2025-11-26");
}

TEST_CASE("a resource without a code that could be recognised leaves silence a question") {
    CHECK(vaccine({}) == "false none-on-file");
    CHECK(vaccine({resource("Immunization", R"("status":"completed","vaccineCode":{"text":"a vaccine"},)")}) ==
          "unknown asked");
    CHECK(vaccine({resource("Immunization", R"("status":"not-done","vaccineCode":{"text":"a vaccine"},)")}) ==
          "false none-on-file");
    CHECK(vaccine({resource("Procedure", R"("status":"completed","code":{"text":"something"},)")}) ==
          "false none-on-file");
    CHECK(transplant({resource("Procedure", R"("status":"completed","code":{"text":"something"},)")}) ==
          "unknown asked");
}

TEST_CASE("a live vaccine counts by its day, an inactivated one does not") {
    const auto given = [](std::string_view code, const std::string& members) {
        return vaccine({resource("Immunization", coded("vaccineCode", cvx, code) + members)});
    };
    const std::string done = R"("status":"completed","occurrenceDateTime":)";
    CHECK(given("03", done + R"("2025-11-01",)") == "true recorded 2025-11-30");
    CHECK(given("03", done + R"("2025-10-23",)") == "true recorded 2025-11-21");
    CHECK(given("03", done + R"("2025-10-22",)") == "false none-on-file");
    CHECK(given("187", done + R"("2025-11-01",)") == "false none-on-file");
    CHECK(given("03", R"("status":"not-done","occurrenceDateTime":"2025-11-01",)") == "false none-on-file");
}

TEST_CASE("a procedure counts when it took place, whatever its age") {
    const auto done = [](std::string_view status, const std::string& members) {
        return transplant({resource("Procedure", R"("status":")" + std::string(status) + "\"," +
                                                     coded("code", snomed, "234336002") + members)});
    };
    CHECK(done("completed", R"("performedDateTime":"2015-03-01",)") == "true recorded");
    CHECK(done("completed", "") == "true recorded");
    CHECK(done("in-progress", R"("performedPeriod":{"start":"2025-11-10"},)") == "true recorded");
    CHECK(done("not-done", R"("performedDateTime":"2015-03-01",)") == "false none-on-file");
    CHECK(done("preparation", "") == "false none-on-file");
    CHECK(done("entered-in-error", "") == "false none-on-file");
    CHECK(done("unknown", "") == "unknown unconfirmed");
}

TEST_CASE("a malformed procedure or drug is an issue with its place and changes nothing else") {
    const auto screening = support::screen(
        support::bundleOf(
            {patient, resource("Procedure", R"("status":"completed","code":[7],"performedDateTime":"2025-02-30",)"),
             drug("MedicationAdministration", "8640", R"("status":"completed","effectiveDateTime":"2025-11-18",)")}),
        asOf, support::covering(everyType));
    CHECK(support::truth(screening, "NCT05995028", "exc.05") == "unknown");
    REQUIRE(screening.facts.issues.size() == 2);
    CHECK(screening.facts.issues[0].path == "entry[1].resource.code");
    CHECK(screening.facts.issues[1].path == "entry[1].resource.performedDateTime");
}

TEST_CASE("a clinical drug is its ingredient, and its dose form says whether it reaches the whole body") {
    const auto ordered = [](std::string_view code) {
        return steroid(
            {drug("MedicationAdministration", code, R"("status":"completed","effectiveDateTime":"2025-11-18",)")});
    };
    CHECK(ordered("198144") == "unknown wash-out 2025-11-26");  // prednisone 1 MG Oral Tablet
    CHECK(ordered("315773") == "unknown unconfirmed");          // Dexamethasone 0.1 MG/ML
    CHECK(ordered("999999999") == "unknown asked");             // a code without words that nobody knows
}

TEST_CASE("a drug that is named in words is shown and never decides; words of another drug say that it is another") {
    const auto named = [](const std::string& text) {
        return steroid({resource(
            "MedicationAdministration",
            R"("status":"completed","effectiveDateTime":"2025-11-18","dosage":{"route":{"text":"oral"}},)"
            R"("medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm",)"
            R"("code":"999999999"}],"text":")" +
                text + R"("},)")});
    };
    CHECK(named("Prednisone 5 mg tablet") == "unknown unconfirmed");
    CHECK(named("DELTASONE 5 mg") == "unknown unconfirmed");
    CHECK(named("omeprazole 20 mg") == "false none-on-file");
    CHECK(named("hydroprednisonex") == "false none-on-file");
}

TEST_CASE("five half-lives or four weeks, whichever is shorter") {
    // NCT07109518 exc.04.2; half-lives of mapping/drugs.json, in days: rituximab 6.1 to 52, brentuximab 4 to 6,
    // blinatumomab 0.02 to 0.2.
    const auto given = [](std::string_view code, const std::string& date) {
        return verdict(
            {drug("MedicationAdministration", code, R"("status":"completed","effectiveDateTime":")" + date + "\",")},
            "NCT07109518", "exc.04.2");
    };
    CHECK(given("121191", "2025-10-23") == "true recorded 2025-11-21");   // 28 days ago
    CHECK(given("121191", "2025-10-22") == "false none-on-file");         // 29 days ago
    CHECK(given("1147320", "2025-11-01") == "true recorded 2025-11-30");  // 19 days: less than five times four
    CHECK(given("1147320", "2025-10-31") == "unknown asked");             // 20 days
    CHECK(given("1147320", "2025-10-23") == "unknown asked");             // 28 days
    CHECK(given("1147320", "2025-10-22") == "false none-on-file");
    CHECK(given("1597258", "2025-11-20") == "true recorded 2025-11-21");  // today
    CHECK(given("1597258", "2025-11-19") == "false none-on-file");        // yesterday: ten hours at most
    CHECK(given("612865", "2025-11-01") == "unknown asked");              // tocilizumab: no half-life on file
}

TEST_CASE("antihypertensive drugs count while they are given, each code once") {
    const auto count = [](const std::vector<std::pair<std::string, std::string>>& drugs) {
        std::vector<std::string> resources{patient};
        int id = 0;
        for (const auto& [code, status] : drugs)
            resources.push_back(resource("MedicationStatement",
                                         coded("medicationCodeableConcept", "http://www.whocc.no/atc", code) +
                                             R"("status":")" + status +
                                             R"(","effectivePeriod":{"start":"2025-01-01"},)",
                                         "drug-" + std::to_string(++id)));
        const fhir::Chart chart = support::chartOf(support::bundleOf(resources), support::covering(everyType));
        const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
        const mapping::Facts facts = mapping::readFacts(chart, vocabulary, support::day(asOf));
        const mapping::Fact& fact = facts[vocabulary.find("antihypertensiveCount")->index];
        return fact.results.empty() ? std::string(mapping::word(fact.absent))
                                    : fact.results.front().comparator.data() + (' ' + fact.results.front().valueText);
    };
    CHECK(count({}) == "none-on-file");
    CHECK(count({{"C08CA01", "active"}, {"C09AA02", "active"}, {"C08CA01", "active"}}) == ">= 2");
    CHECK(count({{"C08CA01", "active"}, {"C09AA02", "stopped"}}) == ">= 1");
    CHECK(count({{"A02BC01", "active"}}) == "none-on-file");
}

TEST_CASE("intrathecal chemotherapy is not systemic; a drug given on an unstated route is") {
    const auto given = [](const std::string& dosage) {
        return verdict({drug("MedicationAdministration", "3041",
                             R"("status":"completed","effectiveDateTime":"2025-11-18",)" + dosage)},
                       "NCT07109518", "exc.04.1");
    };
    CHECK(given("") == "unknown wash-out 2025-11-26");
    CHECK(given(R"("dosage":{"route":{"coding":[{"system":"http://snomed.info/sct","code":"72607000"}]}},)") ==
          "false none-on-file");
}

TEST_CASE("a status code says that a drug is in use, and never since when") {
    const auto history = [](std::string_view code) {
        return verdict(
            {resource("Condition",
                      coded("code", "http://hl7.org/fhir/sid/icd-10-cm", code) +
                          R"("clinicalStatus":{"coding":[{"code":"active"}]},"onsetDateTime":"2025-11-01",)")},
            "NCT05995028", "exc.05");
    };
    CHECK(history("Z79.52") == "unknown undated");
    CHECK(history("Z92.241") == "unknown undated");
    CHECK(history("Z79.84") == "false none-on-file");
}

TEST_CASE("what is ordered or planned answers the planned facts and no others") {
    const auto planned = [](std::string_view type, const std::string& members) {
        return verdict({resource(type, members)}, "NCT07345780", "exc.06b");
    };
    const std::string kidney = coded("code", snomed, "70536003");
    const auto request = [&](const std::string& status, const std::string& more = {}) {
        return planned("ServiceRequest", kidney + R"("intent":"order","status":")" + status + "\"," + more);
    };
    CHECK(request("active") == "true recorded");
    CHECK(request("active", R"("occurrenceDateTime":"2026-01-10",)") == "true recorded");
    CHECK(request("active", R"("occurrenceDateTime":"2025-01-10",)") == "unknown unconfirmed");
    CHECK(request("active", R"("authoredOn":"2025-11-21",)") == "unknown asked");
    CHECK(request("active", R"("doNotPerform":true,)") == "unknown asked");
    CHECK(request("draft") == "unknown unconfirmed");
    CHECK(request("on-hold") == "unknown unconfirmed");
    CHECK(request("revoked") == "unknown asked");
    CHECK(request("completed") == "unknown asked");
    const auto plan = [&](const std::string& status, const std::string& detail) {
        return planned("CarePlan", R"("status":")" + status + R"(","intent":"plan","activity":[{"detail":{)" + kidney +
                                       R"("status":")" + detail +
                                       R"("}},{"reference":{"reference":"ServiceRequest/1"}}],)");
    };
    CHECK(plan("active", "scheduled") == "true recorded");
    CHECK(plan("active", "cancelled") == "unknown asked");
    CHECK(plan("revoked", "scheduled") == "unknown asked");
    // Planned is not done, and done is not planned.
    CHECK(verdict({resource("ServiceRequest", kidney + R"("intent":"order","status":"active",)")}, "NCT07345780",
                  "exc.06a") == "false none-on-file");
    CHECK(verdict({resource("Procedure", kidney + R"("status":"completed",)")}, "NCT07345780", "exc.06b") ==
          "unknown asked");
}

TEST_CASE("what a report concludes is shown and decides nothing") {
    const std::string report =
        coded("code", "http://loinc.org", "22637-3") +
        R"("status":"final","conclusionCode":[{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm",)"
        R"("code":"C92.00"}]}],)";
    CHECK(verdict({resource("DiagnosticReport", report)}, "NCT07109518", "inc.03") == "unknown unconfirmed");
    CHECK(verdict({}, "NCT07109518", "inc.03") == "false none-on-file");
}

TEST_CASE("a result that is contained in its report is read") {
    const std::string report =
        coded("code", "http://loinc.org", "58410-2") +
        R"("status":"final","contained":[{"resourceType":"Observation","id":"o","status":"final","effectiveDateTime":"2025-11-15",)"
        R"("code":{"coding":[{"system":"http://loinc.org","code":"10230-1"}]},"valueQuantity":{"value":61,"unit":"%"}}],)";
    CHECK(verdict({resource("DiagnosticReport", report)}, "NCT07345780", "inc.08g") == "true recorded");
}

TEST_CASE("a drug that was given is no allergy to it") {
    // NCT07117175 exc.13b and exc.13c: allergy to cyclophosphamide, to fludarabine.
    for (const auto& [code, criterion] : {std::pair{"3002", "exc.13b"}, std::pair{"24698", "exc.13c"}}) {
        const std::string given =
            drug("MedicationStatement", code, R"("status":"active","effectivePeriod":{"start":"2025-11-01"},)");
        CHECK(verdict({given}, "NCT07117175", criterion).substr(0, 4) != "true");
    }
}

TEST_CASE("what goes on and is dated by one moment was seen going on then, and goes on") {
    const std::string moment = R"("effectiveDateTime":"2025-06-01",)";
    CHECK(steroid({drug("MedicationStatement", "8640", R"("status":"active",)" + moment)}) == "unknown wash-out");
    CHECK(steroid({drug("MedicationAdministration", "8640", R"("status":"in-progress",)" + moment)}) ==
          "unknown wash-out");
    CHECK(steroid({drug("MedicationStatement", "8640", R"("status":"completed",)" + moment)}) == "false none-on-file");
    CHECK(steroid({drug("MedicationStatement", "8640",
                        R"("status":"active","effectivePeriod":{"start":"2025-05-01","end":"2025-06-01"},)")}) ==
          "false none-on-file");
}
