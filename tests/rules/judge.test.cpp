#include "rules/judge.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fhir/json.h"
#include "mapping/fact.h"
#include "rules/evaluate.h"
#include "tests/support.h"

// One table for each ruling of the clinical README that rules have to keep, against criteria of the five trials.

namespace {

constexpr std::string_view tianjin = "NCT07109518";
constexpr std::string_view multicenter = "NCT07345780";
constexpr std::string_view zhengzhou = "NCT07117305";
constexpr std::string_view shenzhen = "NCT05995028";
constexpr std::string_view carNk = "NCT07117175";

constexpr std::string_view asOf = "2025-11-13";

using Resources = std::vector<std::string>;

std::string inQuotes(std::string_view text) {
    return '"' + std::string(text) + '"';
}

std::string patient(std::string_view gender = "female", std::string_view birthDate = "1980-05-05") {
    return R"({"resourceType":"Patient","id":"p1","gender":)" + inQuotes(gender) + R"(,"birthDate":)" +
           inQuotes(birthDate) + "}";
}

/// A coding from "C92.00" (ICD-10-CM), "84757009" (SNOMED CT) or "10230-1" (LOINC).
std::string coding(std::string_view code) {
    const bool digits = code.find_first_not_of("0123456789") == std::string_view::npos;
    const bool loinc = code.find('-') != std::string_view::npos;
    return R"({"system":)" +
           inQuotes(digits  ? "http://snomed.info/sct"
                    : loinc ? "http://loinc.org"
                            : "http://hl7.org/fhir/sid/icd-10-cm") +
           R"(,"code":)" + inQuotes(code) + "}";
}

struct Dates {
    std::string onset;
    std::string abatement;
    std::string recorded;
};

/// A Condition with these codings; without a clinical status when that is empty.
std::string condition(std::string_view id, const std::vector<std::string>& codes, std::string_view status,
                      const Dates& dates = {}, std::string_view verification = "") {
    std::string text =
        R"({"resourceType":"Condition","id":)" + inQuotes(id) + R"(,"subject":{"reference":"Patient/p1"})";
    if (!status.empty())
        text +=
            R"(,"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":)" +
            inQuotes(status) + "}]}";
    if (!verification.empty())
        text +=
            R"(,"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":)" +
            inQuotes(verification) + "}]}";
    text += R"(,"code":{"coding":[)";
    for (std::size_t i = 0; i < codes.size(); ++i) text += (i == 0 ? "" : ",") + coding(codes[i]);
    text += "]}";
    if (!dates.onset.empty()) text += R"(,"onsetDateTime":)" + inQuotes(dates.onset);
    if (!dates.abatement.empty()) text += R"(,"abatementDateTime":)" + inQuotes(dates.abatement);
    if (!dates.recorded.empty()) text += R"(,"recordedDate":)" + inQuotes(dates.recorded);
    return text + "}";
}

std::string quantity(std::string_view value, std::string_view unit, std::string_view comparator = "") {
    std::string text = R"({"value":)" + std::string(value) + R"(,"unit":)" + inQuotes(unit);
    if (!comparator.empty()) text += R"(,"comparator":)" + inQuotes(comparator);
    return text + "}";
}

std::string valueQuantity(std::string_view value, std::string_view unit, std::string_view comparator = "") {
    return R"("valueQuantity":)" + quantity(value, unit, comparator);
}
std::string valueString(std::string_view text) {
    return R"("valueString":)" + inQuotes(text);
}
std::string valueCode(std::string_view code) {
    return R"("valueCodeableConcept":{"coding":[)" + coding(code) + "]}";
}
std::string upperLimit(std::string_view value, std::string_view unit) {
    return R"("referenceRange":[{"high":)" + quantity(value, unit) + "}]";
}

/// A final Observation; `rest` are further members, each after a comma.
std::string observation(std::string_view id, std::string_view code, const std::string& value,
                        std::string_view date = "2025-11-10", const std::string& rest = "",
                        std::string_view status = "final", std::string_view text = "") {
    return R"({"resourceType":"Observation","id":)" + inQuotes(id) + R"(,"status":)" + inQuotes(status) +
           R"(,"subject":{"reference":"Patient/p1"},"code":{"coding":[)" + coding(code) + "]" +
           (text.empty() ? "" : R"(,"text":)" + inQuotes(text)) + "}," + value +
           (date.empty() ? "" : R"(,"effectiveDateTime":)" + inQuotes(date)) + (rest.empty() ? "" : "," + rest) + "}";
}

const std::vector<std::string> conditions{"Condition"};
const std::vector<std::string> everything{"Patient",
                                          "Observation",
                                          "Condition",
                                          "DiagnosticReport",
                                          "Procedure",
                                          "MedicationRequest",
                                          "MedicationStatement",
                                          "MedicationAdministration",
                                          "Immunization",
                                          "AllergyIntolerance",
                                          "CarePlan",
                                          "ServiceRequest"};

struct Row {
    std::string_view why;
    Resources resources;  ///< without the Patient
    std::string_view trial;
    std::string_view criterion;
    std::string_view truth;
    std::string_view basis;  ///< empty: not the point of the row
};

void check(const std::vector<Row>& table, const std::vector<std::string>& covered = everything,
           const std::string& person = patient(), std::string_view day = asOf) {
    for (const Row& row : table) {
        CAPTURE(row.why);
        CAPTURE(row.trial);
        CAPTURE(row.criterion);
        for (const bool reversed : {false, true}) {
            Resources resources{person};
            resources.insert(resources.end(), row.resources.begin(), row.resources.end());
            if (reversed) std::reverse(resources.begin(), resources.end());
            const auto screening = support::screen(support::bundleOf(resources), day, support::covering(covered));
            CHECK(support::truth(screening, row.trial, row.criterion) == row.truth);
            if (!row.basis.empty()) CHECK(support::basis(screening, row.trial, row.criterion) == row.basis);
        }
    }
}

/// A trial of one inclusion (the gate) and one criterion with this rule.
rules::Trial trialOf(const std::string& rule, bool inclusion = false, const std::string& status = "") {
    const std::string criterion = R"({"id":"c","text":"t",)" +
                                  (status.empty() ? "" : R"("status":)" + inQuotes(status) + ",") + R"("when":)" +
                                  rule + "}";
    const std::string gate = R"({"id":"g","text":"t","when":"acuteMyeloidLeukemia"})";
    const fhir::json::Document document(
        R"({"id":"NCT00000000","title":"t","status":{"value":"recruiting"},"gate":["g"],"sex":"all","source":"https://registry.example/t","inclusion":[)" +
        gate + (inclusion ? "," + criterion : "") + R"(],"exclusion":[)" + (inclusion ? "" : criterion) + "]}");
    std::vector<mapping::Problem> problems;
    rules::Trial trial =
        rules::readTrial("NCT00000000.json", document.root(), support::knowledge().vocabulary, problems);
    for (const mapping::Problem& problem : problems) FAIL_CHECK(problem.text());
    return trial;
}

struct Judged {
    std::string truth, basis, clearsOn;
    rules::Status status;
};

Judged judge(const rules::Trial& trial, const Resources& resources, std::string_view day = asOf,
             const std::string& person = patient()) {
    Resources all{person};
    all.insert(all.end(), resources.begin(), resources.end());
    const fhir::Chart chart = support::chartOf(support::bundleOf(all), support::covering(everything));
    const mapping::Facts facts = mapping::readFacts(chart, support::knowledge().vocabulary, support::day(day));
    const rules::Evaluation evaluation = rules::evaluate(trial, facts);
    const rules::Outcome& outcome = evaluation.findings[1].outcome;
    return {std::string(rules::word(outcome.truth)), std::string(mapping::word(outcome.basis)),
            outcome.clearsOn ? outcome.clearsOn->text() : "", evaluation.status};
}

std::string clearsOn(const Resources& resources, std::string_view trial, std::string_view criterion) {
    Resources all{patient()};
    all.insert(all.end(), resources.begin(), resources.end());
    const auto screening = support::screen(support::bundleOf(all), asOf, support::covering(everything));
    const auto& clears = support::finding(screening, trial, criterion).outcome.clearsOn;
    return clears ? clears->text() : "";
}

}  // namespace

// --- ruling 2
// ----------------------------------------------------------------------------------------------------------

TEST_CASE("ruling 2: a diagnosis counts whatever its status, unless it is over without a relapse") {
    const auto aml = [](std::string_view status, std::string_view verification = "") {
        return Resources{condition("c", {"C92.00"}, status, {}, verification)};
    };
    check({
        {"active", aml("active"), tianjin, "inc.03", "true", "recorded"},
        {"recurrence", aml("recurrence"), tianjin, "inc.03", "true", "recorded"},
        {"relapse", aml("relapse"), tianjin, "inc.03", "true", "recorded"},
        {"remission", aml("remission"), tianjin, "inc.03", "true", "recorded"},
        {"no status", aml(""), tianjin, "inc.03", "true", "recorded"},
        {"resolved", aml("resolved"), tianjin, "inc.03", "unknown", "unconfirmed"},
        {"inactive", aml("inactive"), tianjin, "inc.03", "unknown", "unconfirmed"},
        {"resolved, with a relapse", {condition("c", {"C92.02"}, "resolved")}, tianjin, "inc.03", "true", "recorded"},
        {"refuted", aml("active", "refuted"), tianjin, "inc.03", "false", "none-on-file"},
        {"entered in error", aml("active", "entered-in-error"), tianjin, "inc.03", "false", "none-on-file"},
        {"a disease in remission by two codings",
         {condition("c", {"765205004", "91861009"}, "active")},
         tianjin,
         "inc.03",
         "true",
         "recorded"},
        {"promyelocytic leukaemia is not the other kind",
         {condition("c", {"C92.40"}, "active")},
         tianjin,
         "inc.03",
         "false",
         "none-on-file"},
        {"promyelocytic leukaemia", {condition("c", {"C92.40"}, "active")}, tianjin, "exc.01", "true", "recorded"},
    });
}

TEST_CASE("ruling 2: C91.0 states no lineage, another coding or Condition may") {
    const std::string all = condition("a", {"C91.00"}, "active");
    const std::string b = condition("b", {"371012000"}, "active");
    const std::string t = condition("t", {"277575008"}, "active");
    check({
        {"lineage unstated", {all}, tianjin, "inc.02", "unknown", "unconfirmed"},
        {"lineage unstated", {all}, carNk, "inc.04a", "true", "recorded"},
        {"T by another Condition", {all, t}, tianjin, "inc.02", "true", "recorded"},
        {"T by another coding",
         {condition("a", {"C91.00", "277575008"}, "active")},
         tianjin,
         "inc.02",
         "true",
         "recorded"},
        {"B by another Condition", {all, b}, tianjin, "inc.02", "false", "recorded"},
        {"B alone", {b}, tianjin, "inc.02", "false", ""},
        {"B and T", {b, t}, tianjin, "inc.02", "unknown", "conflicting"},
    });
}

// --- ruling 3
// ----------------------------------------------------------------------------------------------------------

TEST_CASE("ruling 3: what each clinical status means where the criterion says ever, active, or neither") {
    struct Line {
        std::string_view status, ever, active, plain;
    };
    const std::vector<Line> table{
        {"active", "true", "true", "true"},       {"recurrence", "true", "true", "true"},
        {"relapse", "true", "true", "true"},      {"resolved", "true", "false", "unknown"},
        {"inactive", "true", "false", "unknown"}, {"", "true", "unknown", "unknown"},
    };
    for (const Line& line : table) {
        CAPTURE(line.status);
        const Resources epilepsy{condition("c", {"G40.909"}, line.status)};
        check({{"history of epilepsy", epilepsy, carNk, "exc.06b", line.ever, ""},
               {"active graft-versus-host disease",
                {condition("c", {"D89.811"}, line.status)},
                zhengzhou,
                "exc.03b",
                line.active,
                ""},
               {"dementia", {condition("c", {"F03.90"}, line.status)}, zhengzhou, "exc.09c", line.plain, ""}});
    }
    check({{"in remission is not active",
            {condition("c", {"D89.811"}, "remission")},
            zhengzhou,
            "exc.03b",
            "false",
            "none-on-file"}});
}

TEST_CASE("ruling 3: ever means ever in every criterion that says so") {
    const std::vector<std::pair<std::string, std::string>> table{{"I20.0", "exc.06d"},  {"S06.0X0A", "exc.07a"},
                                                                 {"R40.20", "exc.07b"}, {"G40.909", "exc.07c"},
                                                                 {"I63.9", "exc.07d"},  {"I61.9", "exc.07e"}};
    for (const auto& [code, criterion] : table) {
        for (const std::string_view status : {"active", "resolved", "inactive", ""})
            check({{code, {condition("c", {code}, status)}, tianjin, criterion, "true", "recorded"}});
    }
}

// --- rulings 4, 15, 16
// -------------------------------------------------------------------------------------------------

TEST_CASE("ruling 4: none on file counts as no only when the types were completely read") {
    const auto basisWith = [](const fhir::Coverage& coverage, const Resources& resources) {
        Resources all{patient()};
        all.insert(all.end(), resources.begin(), resources.end());
        const auto screening = support::screen(support::bundleOf(all), asOf, coverage);
        return support::truth(screening, zhengzhou, "exc.09c") + ' ' + support::basis(screening, zhengzhou, "exc.09c");
    };
    const std::string other = condition("c", {"K35.80"}, "active");
    fhir::Coverage partly = support::covering(everything);
    partly.set("Condition", fhir::Covered::partly);
    fhir::Coverage notRead = support::covering(everything);
    notRead.set("Condition", fhir::Covered::notRead);
    CHECK(basisWith({}, {}) == "unknown not-covered");
    CHECK(basisWith({}, {other}) == "unknown not-covered");
    CHECK(basisWith(partly, {other}) == "unknown not-covered");
    CHECK(basisWith(notRead, {}) == "unknown not-covered");
    CHECK(basisWith(support::covering({"Observation"}), {other}) == "unknown not-covered");
    CHECK(basisWith(support::covering(conditions), {}) == "false none-on-file");
    CHECK(basisWith(support::covering(conditions), {other}) == "false none-on-file");
    fhir::Coverage part = notRead;
    part.set("Condition", "nervousSystem", fhir::Covered::completely);
    CHECK(basisWith(part, {}) == "false none-on-file");
    fhir::Coverage otherPart = notRead;
    otherPart.set("Condition", "heart", fhir::Covered::completely);
    CHECK(basisWith(otherPart, {}) == "unknown not-covered");
}

TEST_CASE("ruling 4: what was done and given is none on file only when its types were completely read") {
    const auto basisOf = [](std::string_view trial, std::string_view criterion, const std::vector<std::string>& types) {
        const auto screening = support::screen(support::bundleOf({patient()}), asOf, support::covering(types));
        return support::truth(screening, trial, criterion) + ' ' + support::basis(screening, trial, criterion);
    };
    CHECK(basisOf(zhengzhou, "exc.10", {"Condition"}) == "unknown not-covered");
    CHECK(basisOf(zhengzhou, "exc.10", {"Procedure"}) == "false none-on-file");
    CHECK(basisOf(multicenter, "exc.12a", {"Condition"}) == "unknown not-covered");
    CHECK(basisOf(multicenter, "exc.12a", {"Immunization"}) == "false none-on-file");
    CHECK(basisOf(carNk, "exc.04j", {"Condition"}) == "unknown not-covered");
    CHECK(basisOf(carNk, "exc.04j", {"Procedure"}) == "false none-on-file");
    // One of three types is not enough.
    CHECK(basisOf(carNk, "exc.08", {"MedicationRequest"}) == "unknown not-covered");
}

TEST_CASE("ruling 4: tests and measurements are never none on file") {
    check({{"HIV", {}, tianjin, "exc.08c", "unknown", "missing"},
           {"HBsAg", {}, zhengzhou, "exc.07a", "unknown", "missing"},
           {"LVEF", {}, zhengzhou, "exc.01", "unknown", "missing"},
           {"QTc", {}, tianjin, "exc.06e", "unknown", "missing"},
           {"EBV", {}, tianjin, "exc.08f", "unknown", "missing"},
           {"marrow blasts", {}, tianjin, "inc.05", "unknown", "missing"}});
}

TEST_CASE("ruling 16: silence about what could not have been recognised is a question") {
    const std::string uncoded = R"({"resourceType":"Condition","id":"u","subject":{"reference":"Patient/p1"},
        "code":{"text":"forgetful"}})";
    const std::string local = R"({"resourceType":"Condition","id":"l","subject":{"reference":"Patient/p1"},
        "code":{"coding":[{"system":"urn:oid:9.9.9","code":"4711"}]}})";
    const std::string histology = R"({"resourceType":"Condition","id":"h","subject":{"reference":"Patient/p1"},
        "code":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/icd-o-3","code":"9861/3"}]}})";
    const std::string coded = condition("c", {"K35.80"}, "active");
    check({{"nothing on file", {}, zhengzhou, "exc.09c", "false", "none-on-file"},
           {"coded records of something else", {coded}, zhengzhou, "exc.09c", "false", "none-on-file"},
           {"a record in words", {coded, uncoded}, zhengzhou, "exc.09c", "unknown", "asked"},
           {"a record in a code of the site", {coded, local}, zhengzhou, "exc.09c", "unknown", "asked"},
           {"a record in a system without a code for it", {coded, histology}, zhengzhou, "exc.09c", "unknown", "asked"},
           {"a fact without any code", {}, zhengzhou, "exc.09e", "unknown", "asked"},
           {"a wound has no code either", {}, multicenter, "exc.11c", "unknown", "asked"},
           {"what is recorded decides all the same",
            {uncoded, condition("d", {"F03.90"}, "active")},
            zhengzhou,
            "exc.09c",
            "true",
            "recorded"}});
}

TEST_CASE("rulings 14 and 15: what no chart can show is a question") {
    check({{"CNS grade", {}, tianjin, "exc.03", "unknown", "asked"},
           {"EBER", {}, tianjin, "exc.08e", "unknown", "asked"},
           {"lines of therapy", {}, zhengzhou, "inc.04c", "unknown", "asked"},
           {"dyspnoea", {}, zhengzhou, "inc.08e.1", "unknown", "asked"},
           {"lesions", {}, zhengzhou, "inc.06a", "unknown", "asked"},
           {"residual disease", {}, carNk, "inc.04F.3b", "unknown", "asked"},
           {"infection without a record", {}, zhengzhou, "exc.05", "unknown", "asked"},
           {"autoimmune disease without a record", {}, zhengzhou, "exc.06a", "unknown", "asked"},
           {"consent", {}, tianjin, "inc.14", "unknown", "asked"}});
}

TEST_CASE("ruling 15: questions do not keep a trial from candidate, missing data does, a decided exclusion ends it") {
    const std::string aml = condition("a", {"C92.00"}, "active");
    CHECK(judge(trialOf(R"({"ask":"Well?","favourable":true})", true), {aml}).status == rules::Status::candidate);
    CHECK(judge(trialOf("\"lvef >= 50 %\"", true), {aml}).status == rules::Status::potentialCandidate);
    CHECK(judge(trialOf("\"epilepsy\""), {aml}).status == rules::Status::candidate);
    CHECK(judge(trialOf("\"epilepsy\""), {aml, condition("e", {"G40.909"}, "active")}).status ==
          rules::Status::ineligible);
    CHECK(judge(trialOf("\"epilepsy\""), {aml, condition("e", {"G40.909"}, "")}).status ==
          rules::Status::potentialCandidate);
    CHECK(judge(trialOf("\"epilepsy\""), {}).status == rules::Status::ineligible);
}

// --- rulings 5, 6
// ------------------------------------------------------------------------------------------------------

TEST_CASE("ruling 5: a result counts up to its last day, then it is stale and shows what it would have meant") {
    const auto lvef = [](std::string_view value, std::string_view date) {
        return Resources{observation("o", "18043-0", valueQuantity(value, "%"), date)};
    };
    check({{"90 days", lvef("40", "2025-08-15"), zhengzhou, "exc.01", "true", "recorded"},
           {"91 days", lvef("40", "2025-08-14"), zhengzhou, "exc.01", "unknown", "stale"},
           {"a month that may be too old", lvef("40", "2025-08"), zhengzhou, "exc.01", "unknown", "undated"},
           {"no date", lvef("40", ""), zhengzhou, "exc.01", "unknown", "undated"},
           {"tomorrow", lvef("40", "2025-11-14"), zhengzhou, "exc.01", "unknown", "missing"}});
    for (const auto& [value, meant] : {std::pair{"40", rules::Truth::True}, std::pair{"60", rules::Truth::False}}) {
        Resources resources = lvef(value, "2025-08-14");
        resources.push_back(patient());
        const auto screening = support::screen(support::bundleOf(resources), asOf);
        const rules::Outcome& outcome = support::finding(screening, zhengzhou, "exc.01").outcome;
        REQUIRE(outcome.wouldBe.has_value());
        CHECK(*outcome.wouldBe == meant);
    }
}

TEST_CASE("ruling 5: some positive results stay, and a later negative one conflicts") {
    struct Line {
        std::string_view code, trial, criterion;
    };
    for (const Line& line : std::vector<Line>{
             {"7918-6", tianjin, "exc.08c"}, {"16128-1", tianjin, "exc.08b"}, {"24312-1", tianjin, "exc.08d"}}) {
        const std::string old = observation("old", line.code, valueCode("10828004"), "2019-01-01");
        const std::string negative = observation("new", line.code, valueCode("260385009"));
        check({{"an old positive", {old}, line.trial, line.criterion, "true", "recorded"},
               {"a later negative does not erase it",
                {old, negative},
                line.trial,
                line.criterion,
                "unknown",
                "conflicting"},
               {"a negative", {negative}, line.trial, line.criterion, "false", "recorded"},
               {"an old negative is stale",
                {observation("n", line.code, valueCode("260385009"), "2019-01-01")},
                line.trial,
                line.criterion,
                "unknown",
                "stale"}});
    }
    check({{"a confirmed HIV infection", {condition("c", {"B20"}, "resolved")}, tianjin, "exc.08c", "true", ""},
           {"an unconfirmed one",
            {condition("c", {"B20"}, "active", {}, "provisional")},
            tianjin,
            "exc.08c",
            "unknown",
            ""},
           {"against a negative test it stands",
            {condition("c", {"B20"}, "active"), observation("n", "7918-6", valueCode("260385009"))},
            tianjin,
            "exc.08c",
            "true",
            ""}});
}

TEST_CASE("ruling 6: clearance is measured or estimated by Cockcroft and Gault, never an eGFR") {
    const std::string weight = observation("w", "29463-7", valueQuantity("70", "kg"));
    const auto creatinine = [](std::string_view value) {
        return observation("k", "2160-0", valueQuantity(value, "mg/dL"));
    };
    // 45 years: 95 x 70 x 0.85 / (72 x creatinine) is 78.5 at 1 mg/dL and 60 at 1.3084...
    check({{"eGFR",
            {observation("e", "33914-3", valueQuantity("90", "mL/min/1.73m2"))},
            tianjin,
            "inc.09a",
            "unknown",
            "missing"},
           {"estimated", {weight, creatinine("1")}, tianjin, "inc.09a", "true", "derived"},
           {"estimated, too low", {weight, creatinine("2")}, tianjin, "inc.09a", "false", "derived"},
           {"no weight", {creatinine("1")}, tianjin, "inc.09a", "unknown", "missing"},
           {"a weight of 91 days ago",
            {observation("w", "29463-7", valueQuantity("70", "kg"), "2025-08-14"), creatinine("1")},
            tianjin,
            "inc.09a",
            "unknown",
            "stale"},
           {"measured, where the formula is named",
            {observation("m", "2164-2", valueQuantity("90", "mL/min"))},
            tianjin,
            "inc.09a",
            "unknown",
            "unconfirmed"},
           {"measured, where any clearance is meant",
            {observation("m", "2164-2", valueQuantity("90", "mL/min"))},
            multicenter,
            "inc.08d",
            "true",
            "recorded"}});
    check({{"under 18 nothing is estimated", {weight, creatinine("1")}, tianjin, "inc.09a", "unknown", "missing"}},
          everything, patient("female", "2008-01-01"));
    check({{"without a sex nothing is estimated", {weight, creatinine("1")}, tianjin, "inc.09a", "unknown", "missing"}},
          everything, patient("other"));
}

// --- ruling 9
// ----------------------------------------------------------------------------------------------------------

TEST_CASE("ruling 9: negation comes before affirmation, doubt is unknown") {
    const auto antibody = [](const std::string& value, const std::string& rest = "") {
        return Resources{observation("o", "16128-1", value, "2025-11-10", rest)};
    };
    std::vector<Row> table;
    const std::vector<std::pair<std::string_view, std::string_view>> words{{"Positive", "true"},
                                                                           {"POSITIVE", "true"},
                                                                           {"Reactive", "true"},
                                                                           {"Detected", "true"},
                                                                           {"阳性", "true"},
                                                                           {"Negative", "false"},
                                                                           {"Non-reactive", "false"},
                                                                           {"Not detected", "false"},
                                                                           {"Undetected", "false"},
                                                                           {"阴性", "false"},
                                                                           {"Equivocal", "unknown"},
                                                                           {"Indeterminate", "unknown"},
                                                                           {"Inconclusive", "unknown"},
                                                                           {"Presumptive positive", "unknown"},
                                                                           {"see comment", "unknown"}};
    for (const auto& [text, truth] : words)
        table.push_back({text, antibody(valueString(text)), tianjin, "exc.08b", truth, ""});
    const std::vector<std::pair<std::string_view, std::string_view>> codes{
        {"10828004", "true"},   {"260373001", "true"},    {"11214006", "true"},    {"260385009", "false"},
        {"260415000", "false"}, {"419984006", "unknown"}, {"42425007", "unknown"}, {"720735008", "unknown"}};
    for (const auto& [code, truth] : codes)
        table.push_back({code, antibody(valueCode(code)), tianjin, "exc.08b", truth, ""});
    const std::string limit = upperLimit("1", "{s_co_ratio}");
    const auto index = [&](std::string_view value, const std::string& rest) {
        return antibody(valueQuantity(value, "{s_co_ratio}"), rest);
    };
    table.push_back({"above the cut-off", index("5.2", limit), tianjin, "exc.08b", "true", "recorded"});
    table.push_back({"at the cut-off", index("1", limit), tianjin, "exc.08b", "false", "recorded"});
    table.push_back({"below the cut-off", index("0.1", limit), tianjin, "exc.08b", "false", "recorded"});
    table.push_back({"without a cut-off", index("5.2", ""), tianjin, "exc.08b", "unknown", "no-upper-limit"});
    check(table);
}

TEST_CASE("ruling 9: words that deny are never read as positive") {
    for (const std::string_view text :
         {"No HCV antibody detected", "HCV antibody: not present", "Antibody not reactive", "nicht nachweisbar",
          "none detected", "No evidence of reactive antibody"}) {
        CAPTURE(text);
        const auto screening =
            support::screen(support::bundleOf({patient(), observation("o", "16128-1", valueString(text))}), asOf);
        CHECK(support::truth(screening, tianjin, "exc.08b") != "true");
    }
}

TEST_CASE("rulings 9 and 25: detected below the limit of quantification is detected, and not above ULN") {
    const std::string detected =
        R"("interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"DET"}]}])";
    const auto cmv = [](const std::string& value, const std::string& rest = "") {
        return Resources{observation("o", "72493-0", value, "2025-11-10", rest)};
    };
    struct Line {
        std::string_view why;
        Resources resources;
        std::string_view positive, aboveLimit;
    };
    const std::vector<Line> table{
        {"not detected", cmv(valueString("Not detected")), "false", "false"},
        {"below detection", cmv(valueQuantity("35", "[IU]/mL", "<")), "false", "false"},
        {"below the limit of detection, in words", cmv(valueString("Below the limit of detection")), "false", "false"},
        {"detected, below quantification", cmv(valueQuantity("35", "[IU]/mL", "<"), detected), "true", "false"},
        {"the same in words", cmv(valueString("Detected, below the limit of quantification")), "true", "false"},
        {"zero", cmv(valueQuantity("0", "[IU]/mL"), upperLimit("50", "[IU]/mL")), "false", "false"},
        {"a number below the limit", cmv(valueQuantity("40", "[IU]/mL"), upperLimit("50", "[IU]/mL")), "true", "false"},
        {"a number above the limit", cmv(valueQuantity("60", "[IU]/mL"), upperLimit("50", "[IU]/mL")), "true", "true"},
        {"a number without a limit", cmv(valueQuantity("60", "[IU]/mL")), "true", "unknown"},
        {"nothing", {}, "unknown", "unknown"},
    };
    for (const Line& line : table)
        check({{line.why, line.resources, multicenter, "exc.02e", line.positive, ""},
               {line.why, line.resources, zhengzhou, "exc.07g", line.aboveLimit, ""}});
}

// --- ruling 10
// ---------------------------------------------------------------------------------------------------------

TEST_CASE("ruling 10: the newest usable result decides, wherever it stands in the file") {
    const auto hb = [](std::string_view id, std::string_view value, std::string_view date, const std::string& rest = "",
                       std::string_view status = "final", std::string_view unit = "g/L") {
        return observation(id, "718-7", valueQuantity(value, unit), date, rest, status);
    };
    const std::string early = R"("issued":"2025-11-10T08:00:00Z")";
    const std::string late = R"("issued":"2025-11-10T18:00:00Z")";
    const auto row = [](std::string_view why, Resources resources, std::string_view truth, std::string_view basis) {
        return Row{why, std::move(resources), multicenter, "inc.08e", truth, basis};
    };
    check({
        row("the newer one", {hb("a", "90", "2025-11-01"), hb("b", "50", "2025-11-10")}, "false", "recorded"),
        row("by the minute", {hb("a", "90", "2025-11-10T08:00:00Z"), hb("b", "50", "2025-11-10T08:01:00Z")}, "false",
            "recorded"),
        row("by the instant, not its notation",
            {hb("a", "90", "2025-11-10T09:00:00+02:00"), hb("b", "50", "2025-11-10T08:00:00Z")}, "false", "recorded"),
        row("by issued, when the time is the same",
            {hb("a", "90", "2025-11-10", early), hb("b", "50", "2025-11-10", late)}, "false", "recorded"),
        row("the same time, different meaning", {hb("a", "90", "2025-11-10"), hb("b", "50", "2025-11-10")}, "unknown",
            "conflicting"),
        row("the same time, the same meaning", {hb("a", "90", "2025-11-10"), hb("b", "80", "2025-11-10")}, "true",
            "recorded"),
        row("one is corrected", {hb("a", "90", "2025-11-10"), hb("b", "50", "2025-11-10", "", "corrected")}, "false",
            "recorded"),
        row("one is amended", {hb("a", "90", "2025-11-10", "", "amended"), hb("b", "50", "2025-11-10")}, "true",
            "recorded"),
        row("a preliminary one does not count",
            {hb("a", "90", "2025-11-01"), hb("b", "50", "2025-11-10", "", "preliminary")}, "true", "recorded"),
        row("a preliminary one alone", {hb("b", "50", "2025-11-10", "", "preliminary")}, "unknown", "unconfirmed"),
        row("an error does not count",
            {hb("a", "90", "2025-11-01"), hb("b", "50", "2025-11-10", "", "entered-in-error")}, "true", "recorded"),
        row("a cancelled one does not count",
            {hb("a", "90", "2025-11-01"), hb("b", "50", "2025-11-10", "", "cancelled")}, "true", "recorded"),
        row("one in an unreadable unit does not count",
            {hb("a", "90", "2025-11-01"), hb("b", "50", "2025-11-10", "", "final", "furlong")}, "true", "recorded"),
        row("one in an unreadable unit alone", {hb("b", "50", "2025-11-10", "", "final", "furlong")}, "unknown",
            "unreadable-unit"),
        row("one of tomorrow does not count", {hb("a", "90", "2025-11-01"), hb("b", "50", "2025-11-14")}, "true",
            "recorded"),
        row("implausible alone", {hb("b", "5", "2025-11-10")}, "unknown", "implausible"),
        row("a day that holds the other's hour", {hb("a", "90", "2025-11-10"), hb("b", "50", "2025-11-10T08:00:00Z")},
            "unknown", "conflicting"),
    });
}

// --- rulings 11, 12, 27
// ------------------------------------------------------------------------------------------------

TEST_CASE("rulings 11 and 27: a window at screening includes its last day, and decides") {
    const auto infarction = [](const std::string& day) {
        return Resources{condition("c", {"I21.9"}, "resolved", {day, "", ""})};
    };
    check({
        {"today", infarction("2025-11-13"), tianjin, "exc.06b", "true", "recorded"},
        {"twelve months ago to the day", infarction("2024-11-13"), tianjin, "exc.06b", "true", "recorded"},
        {"a day more", infarction("2024-11-12"), tianjin, "exc.06b", "false", ""},
        {"a month that straddles the limit", infarction("2024-11"), tianjin, "exc.06b", "unknown", "undated"},
        {"a month inside", infarction("2024-12"), tianjin, "exc.06b", "true", "recorded"},
        {"a month outside", infarction("2024-10"), tianjin, "exc.06b", "false", ""},
        {"a year that straddles the limit", infarction("2024"), tianjin, "exc.06b", "unknown", "undated"},
        {"a year inside", infarction("2025"), tianjin, "exc.06b", "true", "recorded"},
        {"a year outside", infarction("2023"), tianjin, "exc.06b", "false", ""},
        {"no date", infarction(""), tianjin, "exc.06b", "unknown", "undated"},
        {"an old infarction by code, undated",
         {condition("c", {"I25.2"}, "active")},
         tianjin,
         "exc.06b",
         "unknown",
         ""},
    });
    CHECK(clearsOn(infarction("2024-11-13"), tianjin, "exc.06b") == "2025-11-14");
    CHECK(clearsOn(infarction("2025-11-13"), tianjin, "exc.06b") == "2026-11-14");
    check({{"three months",
            {condition("c", {"K92.2"}, "resolved", {"2025-08-13", "", ""})},
            carNk,
            "exc.04b",
            "true",
            "recorded"},
           {"three months and a day",
            {condition("c", {"K92.2"}, "resolved", {"2025-08-12", "", ""})},
            carNk,
            "exc.04b",
            "false",
            ""}});
    // 23:30 in New York is already the next day in UTC.
    const Resources evening = infarction("2024-11-12T23:30:00-05:00");
    check({{"a moment is its day in UTC", evening, tianjin, "exc.06b", "true", "recorded"}});
}

TEST_CASE("ruling 11: a window before a future anchor never excludes, it says when it clears") {
    const auto thrombosis = [](const std::string& day, std::string_view status = "resolved") {
        return Resources{condition("c", {"I82.401"}, status, {day, "", ""})};
    };
    check({
        {"inside", thrombosis("2025-10-01"), carNk, "exc.04i", "unknown", "wash-out"},
        {"the last day inside", thrombosis("2025-05-13"), carNk, "exc.04i", "unknown", "wash-out"},
        {"the first day outside", thrombosis("2025-05-12"), carNk, "exc.04i", "false", ""},
        {"today", thrombosis("2025-11-13", "active"), carNk, "exc.04i", "unknown", "wash-out"},
        {"undated", thrombosis(""), carNk, "exc.04i", "unknown", "undated"},
        {"none", {}, carNk, "exc.04i", "false", "none-on-file"},
    });
    CHECK(clearsOn(thrombosis("2025-05-13"), carNk, "exc.04i") == "2025-11-14");
    CHECK(clearsOn(thrombosis("2025-10-01"), carNk, "exc.04i") == "2026-04-02");
    CHECK(clearsOn(thrombosis("2025-05-12"), carNk, "exc.04i").empty());
}

TEST_CASE("ruling 11: every future anchor is a wash-out, and the day it clears is event + N + 1") {
    struct Line {
        std::string_view window, clearsOn;
    };
    for (const Line& line : std::vector<Line>{{"within 7 days before enrollment", "2025-11-18"},
                                              {"within 7 days before infusion", "2025-11-18"},
                                              {"within 7 days before cellCollection", "2025-11-18"},
                                              {"within 7 days before lymphodepletion", "2025-11-18"},
                                              {"within 2 weeks before infusion", "2025-11-25"},
                                              {"within 1 months before infusion", "2025-12-11"},
                                              {"within 1 years before infusion", "2026-11-11"}}) {
        CAPTURE(line.window);
        const rules::Trial trial = trialOf("\"myocardialInfarction " + std::string(line.window) + '"');
        const Judged inside = judge(trial, {condition("c", {"I21.9"}, "resolved", {"2025-11-10", "", ""})});
        CHECK(inside.truth == "unknown");
        CHECK(inside.basis == "wash-out");
        CHECK(inside.clearsOn == line.clearsOn);
        CHECK(judge(trial, {condition("c", {"I21.9"}, "resolved", {"2023-11-10", "", ""})}).truth == "false");
    }
    const rules::Trial screening = trialOf("\"myocardialInfarction within 7 days\"");
    const Judged excluded = judge(screening, {condition("c", {"I21.9"}, "resolved", {"2025-11-06", "", ""})});
    CHECK(excluded.truth == "true");
    CHECK(excluded.basis == "recorded");
    CHECK(excluded.clearsOn == "2025-11-14");
}

TEST_CASE("ruling 11: what goes on has no date on which it clears") {
    const rules::Trial trial = trialOf("\"acuteGvhd within 14 days before infusion\"");
    const Judged ongoing = judge(trial, {condition("c", {"D89.810"}, "active", {"2025-01-01", "", ""})});
    CHECK(ongoing.truth == "unknown");
    CHECK(ongoing.basis == "wash-out");
    CHECK(ongoing.clearsOn.empty());
    const Judged ended = judge(trial, {condition("c", {"D89.810"}, "resolved", {"2025-01-01", "2025-11-10", ""})});
    CHECK(ended.truth == "unknown");
    CHECK(ended.basis == "wash-out");
    CHECK(ended.clearsOn == "2025-11-25");
    const Judged over = judge(trial, {condition("c", {"D89.810"}, "resolved", {"2025-01-01", "2025-10-29", ""})});
    CHECK(over.truth == "false");
    // Two of them: the later one decides when it clears, and one that goes on keeps it open for ever.
    const std::string first = condition("a", {"D89.810"}, "resolved", {"2025-01-01", "2025-11-10", ""});
    const std::string second = condition("b", {"D89.810"}, "resolved", {"2025-01-01", "2025-11-12", ""});
    CHECK(judge(trial, {first, second}).clearsOn == "2025-11-27");
    CHECK(judge(trial, {second, first}).clearsOn == "2025-11-27");
    CHECK(judge(trial, {first, condition("c", {"D89.810"}, "active", {"2025-01-01", "", ""})}).clearsOn.empty());
}

TEST_CASE("ruling 12: states overlap a window, events lie in it by their date") {
    const auto gvhd = [](std::string_view status, const Dates& dates) {
        return Resources{condition("c", {"D89.810"}, status, dates)};
    };
    check({
        {"a state that goes on, however old", gvhd("active", {"2020-01-01", "", ""}), tianjin, "exc.11a", "true",
         "recorded"},
        {"a state that goes on, undated", gvhd("active", {}), tianjin, "exc.11a", "unknown", "undated"},
        {"ended on the last day inside", gvhd("resolved", {"2025-01-01", "2025-10-16", ""}), tianjin, "exc.11a", "true",
         "recorded"},
        {"ended a day before", gvhd("resolved", {"2025-01-01", "2025-10-15", ""}), tianjin, "exc.11a", "false", ""},
        {"ended in a month that straddles", gvhd("resolved", {"2025-01-01", "2025-10", ""}), tianjin, "exc.11a",
         "unknown", "undated"},
        {"ended, nobody says when", gvhd("resolved", {"2025-01-01", "", ""}), tianjin, "exc.11a", "unknown", "undated"},
        {"ended, but it began inside", gvhd("resolved", {"2025-11-01", "", ""}), tianjin, "exc.11a", "true",
         "recorded"},
        {"no status, began inside", gvhd("", {"2025-11-01", "", ""}), tianjin, "exc.11a", "true", "recorded"},
        {"no status, began long ago", gvhd("", {"2025-01-01", "", ""}), tianjin, "exc.11a", "unknown", "undated"},
        {"no status, with an end outside", gvhd("", {"2025-01-01", "2025-09-01", ""}), tianjin, "exc.11a", "false", ""},
        {"unconfirmed",
         {condition("c", {"D89.810"}, "active", {"2025-11-01", "", ""}, "provisional")},
         tianjin,
         "exc.11a",
         "unknown",
         "unconfirmed"},
        {"an event that is still listed as active",
         {condition("c", {"I21.9"}, "active", {"2020-01-01", "", ""})},
         tianjin,
         "exc.06b",
         "false",
         ""},
        {"an event by its date, not its end",
         {condition("c", {"I21.9"}, "resolved", {"2020-01-01", "2025-11-01", ""})},
         tianjin,
         "exc.06b",
         "false",
         ""},
    });
}

// --- rulings 13, 14, 17, 18
// --------------------------------------------------------------------------------------------

TEST_CASE("ruling 13: no code of CPT is known") {
    const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
    CHECK_FALSE(vocabulary.system("http://www.ama-assn.org/go/cpt").has_value());
    for (const mapping::CodeRow& row : vocabulary.rows()) {
        if (vocabulary.systemUri(row.system).find("ama-assn") != std::string_view::npos) FAIL_CHECK(row.code);
    }
}

TEST_CASE("ruling 17: unconfirmed records and codes under review are unknown, never true, never false") {
    for (const std::string_view verification : {"unconfirmed", "provisional", "differential"}) {
        CAPTURE(verification);
        check({{"dementia",
                {condition("c", {"F03.90"}, "active", {}, verification)},
                zhengzhou,
                "exc.09c",
                "unknown",
                "unconfirmed"},
               {"AML",
                {condition("c", {"C92.00"}, "active", {}, verification)},
                tianjin,
                "inc.03",
                "unknown",
                "unconfirmed"}});
    }
    check({{"convulsions are not epilepsy",
            {condition("c", {"R56.9"}, "active")},
            tianjin,
            "exc.07c",
            "unknown",
            "unconfirmed"},
           {"myeloid sarcoma is not said to be AML",
            {condition("c", {"C92.30"}, "active")},
            tianjin,
            "inc.03",
            "unknown",
            "unconfirmed"},
           {"sepsis is under review", {condition("c", {"A41.9"}, "active")}, zhengzhou, "exc.05", "unknown", ""},
           {"a rejected look-alike",
            {condition("c", {"Z94.5"}, "active")},
            zhengzhou,
            "exc.03a",
            "false",
            "none-on-file"},
           {"a confirmed one beside it decides",
            {condition("c", {"F03.90"}, "active", {}, "provisional"), condition("d", {"F01.50"}, "active")},
            zhengzhou,
            "exc.09c",
            "true",
            "recorded"}});
}

TEST_CASE("ruling 17: an unproven qualifier is a question once the condition is there") {
    check(
        {{"epilepsy, uncontrolled?", {condition("c", {"G40.909"}, "active")}, zhengzhou, "exc.09a", "unknown", "asked"},
         {"no epilepsy, no question", {}, zhengzhou, "exc.09a", "false", "none-on-file"},
         {"hypertension, uncontrolled?", {condition("c", {"I10"}, "active")}, carNk, "exc.04c", "unknown", "asked"},
         {"no hypertension", {}, carNk, "exc.04c", "false", "none-on-file"},
         {"effusion, significant?", {condition("c", {"I31.3"}, "active")}, zhengzhou, "inc.08f.3", "unknown", "asked"},
         {"no effusion", {}, zhengzhou, "inc.08f.3", "true", "none-on-file"}});
}

TEST_CASE("ruling 17: a status code is true only for what it states") {
    const Resources status{condition("c", {"Z94.84"}, "active", {"2025-10-01", "", ""})};
    check({{"it was transplanted", status, zhengzhou, "exc.10", "true", "recorded"},
           {"but nobody says when", status, multicenter, "exc.08a", "unknown", "undated"},
           {"nor from whom", status, carNk, "exc.12", "unknown", ""},
           {"gene-modified cells, ever", {condition("c", {"Z92.850"}, "active")}, carNk, "exc.11", "true", "recorded"},
           {"gene therapy, ever", {condition("c", {"Z92.86"}, "active")}, shenzhen, "exc.06", "true", "recorded"},
           {"a kidney, ever", {condition("c", {"Z94.0"}, "active")}, zhengzhou, "exc.03a", "true", "recorded"}});
}

TEST_CASE("ruling 18: what a chart counts is a lower bound") {
    const auto relapse = [](std::string_view id, const std::string& day) {
        return condition(id, {"C92.02"}, "active", {day, "", ""});
    };
    check(
        {{"none", {}, tianjin, "inc.06.4", "unknown", "asked"},
         {"one", {relapse("a", "2024-01-01")}, tianjin, "inc.06.4", "unknown", "asked"},
         {"two", {relapse("a", "2024-01-01"), relapse("b", "2025-01-01")}, tianjin, "inc.06.4", "true", "derived"},
         {"two, one undated", {relapse("a", "2024-01-01"), relapse("b", "")}, tianjin, "inc.06.4", "unknown", "asked"},
         {"two of the same day",
          {relapse("a", "2024-01-01"), relapse("b", "2024-01-01")},
          tianjin,
          "inc.06.4",
          "unknown",
          "asked"}});
}

// --- rulings 19, 24
// ----------------------------------------------------------------------------------------------------

TEST_CASE("ruling 19: pregnancy and lactation without a record are asked of women from 12 to 55 only") {
    struct Line {
        std::string_view gender, birthDate, truth, basis;
    };
    for (const Line& line : std::vector<Line>{{"male", "1990-01-01", "false", "derived"},
                                              {"male", "", "false", "derived"},
                                              {"female", "1990-01-01", "unknown", "missing"},
                                              {"female", "2013-11-13", "unknown", "missing"},
                                              {"female", "2013-11-14", "false", "derived"},
                                              {"female", "1969-11-14", "unknown", "missing"},
                                              {"female", "1969-11-13", "false", "derived"},
                                              {"female", "1969", "unknown", "missing"},
                                              {"female", "", "unknown", "missing"},
                                              {"other", "1990-01-01", "unknown", "missing"},
                                              {"unknown", "1990-01-01", "unknown", "missing"}}) {
        CAPTURE(line.gender);
        CAPTURE(line.birthDate);
        std::string person = R"({"resourceType":"Patient","id":"p1","gender":)" + inQuotes(line.gender);
        if (!line.birthDate.empty()) person += R"(,"birthDate":)" + inQuotes(line.birthDate);
        person += "}";
        for (const std::string_view criterion : {"exc.13a", "exc.13b"})
            check({{"no record", {}, tianjin, criterion, line.truth, line.basis}}, everything, person);
    }
}

TEST_CASE("ruling 19: a recorded test or pregnancy decides") {
    const auto test = [](std::string_view code, std::string_view date = "2025-11-10") {
        return Resources{observation("o", "2106-3", valueCode(code), date)};
    };
    check({{"positive", test("10828004"), tianjin, "exc.13a", "true", "recorded"},
           {"negative", test("260385009"), tianjin, "exc.13a", "false", "recorded"},
           {"negative, too old", test("260385009", "2025-10-01"), tianjin, "exc.13a", "unknown", "stale"},
           {"on the problem list",
            {condition("c", {"O09.90"}, "active", {"2025-10-01", "", ""})},
            tianjin,
            "exc.13a",
            "true",
            "recorded"},
           {"on the problem list since last year",
            {condition("c", {"O09.90"}, "active", {"2024-10-01", "", ""})},
            tianjin,
            "exc.13a",
            "unknown",
            "stale"},
           {"pregnant by status",
            {observation("o", "82810-3", valueCode("LA15173-0"))},
            tianjin,
            "exc.13a",
            "true",
            "recorded"},
           {"not pregnant by status",
            {observation("o", "82810-3", valueCode("LA26683-5"))},
            tianjin,
            "exc.13a",
            "false",
            "recorded"}});
    check({{"a man with a positive test is not simply false", test("10828004"), tianjin, "exc.13a", "true", ""}},
          everything, patient("male"));
    check({{"CNS status is a test", {}, tianjin, "exc.03", "unknown", ""}});
}

TEST_CASE("ruling 24: a negative test before a future infusion must be repeated, a positive one decides") {
    const auto test = [](std::string_view code, std::string_view date) {
        return Resources{observation("o", "2106-3", valueCode(code), date)};
    };
    check({{"positive", test("10828004", "2025-11-12"), zhengzhou, "inc.09a", "false", ""},
           {"negative, yesterday", test("260385009", "2025-11-12"), zhengzhou, "inc.09a", "unknown", "asked"},
           {"negative, seven days ago", test("260385009", "2025-11-06"), zhengzhou, "inc.09a", "unknown", ""},
           {"negative, long ago", test("260385009", "2025-06-01"), zhengzhou, "inc.09a", "unknown", ""},
           {"no test", {}, zhengzhou, "inc.09a", "unknown", "missing"}});
    check({{"a man needs none", {}, zhengzhou, "inc.09a", "true", "derived"}}, everything, patient("male"));
    check({{"a woman of 60 needs none", {}, zhengzhou, "inc.09a", "true", "derived"}}, everything,
          patient("female", "1965-01-01"));
}

// --- rulings 20, 21, 22
// ------------------------------------------------------------------------------------------------

TEST_CASE("ruling 20: below its limit LVEF decides by any method, above it another method is a question") {
    const auto lvef = [](std::string_view id, std::string_view code, std::string_view value,
                         std::string_view date = "2025-11-10", const std::string& rest = "") {
        return observation(id, code, valueQuantity(value, "%"), date, rest);
    };
    const std::string echo = R"("method":{"text":"Transthoracic echocardiography"})";
    const std::string resonance = R"("method":{"text":"Cardiac MRI"})";
    const auto row = [](std::string_view why, Resources resources, std::string_view truth, std::string_view basis) {
        return std::vector<Row>{{why, resources, tianjin, "inc.10", truth, basis},
                                {why, resources, zhengzhou, "inc.08f.1", truth, basis}};
    };
    check(row("echocardiography by its code", {lvef("a", "18043-0", "55")}, "true", "recorded"));
    check(row("echocardiography by its method", {lvef("a", "10230-1", "55", "2025-11-10", echo)}, "true", "recorded"));
    check(row("at the limit", {lvef("a", "18043-0", "50")}, "true", "recorded"));
    check(row("below, by echocardiography", {lvef("a", "18043-0", "49")}, "false", "recorded"));
    check(row("below, by magnetic resonance", {lvef("a", "8811-2", "49")}, "false", "recorded"));
    check(row("below, by a method not stated", {lvef("a", "10230-1", "49")}, "false", "recorded"));
    check(row("above, by magnetic resonance", {lvef("a", "8811-2", "55")}, "unknown", "asked"));
    check(row("above, by magnetic resonance in words", {lvef("a", "10230-1", "55", "2025-11-10", resonance)}, "unknown",
              "asked"));
    check(row("above, by a method not stated", {lvef("a", "10230-1", "55")}, "unknown", "asked"));
    check(row("value and method of one Observation: a newer resonance",
              {lvef("a", "18043-0", "60", "2025-11-01"), lvef("b", "8811-2", "55", "2025-11-10")}, "unknown", "asked"));
    check(row("value and method of one Observation: an older resonance",
              {lvef("a", "8811-2", "40", "2025-11-01"), lvef("b", "18043-0", "55", "2025-11-10")}, "true", "recorded"));
    check({{"where no method is named, none is asked",
            {lvef("a", "8811-2", "55")},
            multicenter,
            "inc.08g",
            "true",
            "recorded"}});
}

TEST_CASE("ruling 21: oxygen saturation and what the patient breathes") {
    const auto component = [](std::string_view code, std::string_view value, std::string_view unit) {
        return R"({"code":{"coding":[)" + coding(code) + "]}," + valueQuantity(value, unit) + "}";
    };
    const auto with = [](const std::vector<std::string>& parts) {
        std::string text = R"("component":[)";
        for (std::size_t i = 0; i < parts.size(); ++i) text += (i == 0 ? "" : ",") + parts[i];
        return text + "]";
    };
    const std::string unstated;
    const std::string air = with({component("3150-0", "21", "%")});
    const std::string noFlow = with({component("3151-8", "0", "L/min")});
    const std::string flow = with({component("3151-8", "2", "L/min")});
    const std::string fraction = with({component("3150-0", "40", "%")});
    const std::string both = with({component("3150-0", "21", "%"), component("3151-8", "7", "L/min")});
    const std::string words = R"("note":[{"text":"on room air"}])";
    const std::string code =
        R"("component":[{"code":{"coding":[)" + coding("722742002") + R"(]},"valueBoolean":true}])";
    struct Line {
        std::string_view why, value;
        std::string rest;
        std::string_view plain, roomAir;
    };
    const std::vector<Line> table{
        {"below, unstated", "91", unstated, "false", "false"},
        {"below, on air", "91", air, "false", "false"},
        {"below, on oxygen", "91", flow, "false", "false"},
        {"below, contradictory", "91", both, "false", "false"},
        {"above, unstated", "95", unstated, "true", "unknown"},
        {"above, FiO2 21 %", "95", air, "true", "true"},
        {"above, no flow", "95", noFlow, "true", "true"},
        {"above, in words", "95", words, "true", "true"},
        {"above, by code", "95", code, "true", "true"},
        {"above, on a flow", "95", flow, "unknown", "unknown"},
        {"above, FiO2 40 %", "95", fraction, "unknown", "unknown"},
        {"above, contradictory", "95", both, "true", "unknown"},
        {"at the limit, on air", "92", air, "true", "true"},
        {"at the limit, unstated", "92", unstated, "true", "unknown"},
    };
    for (const Line& line : table) {
        const Resources resources{observation("o", "59408-5", valueQuantity(line.value, "%"), "2025-11-10", line.rest)};
        check({{line.why, resources, tianjin, "inc.11", line.plain, ""},
               {line.why, resources, multicenter, "inc.08f", line.roomAir, ""},
               {line.why, resources, zhengzhou, "inc.08e.2", line.roomAir, ""}});
    }
}

TEST_CASE("ruling 22: a CD7 percentage of all cells is shown and never decides") {
    const auto cd7 = [](const std::string& value, std::string_view text = "", const std::string& rest = "",
                        std::string_view code = "35641-0") {
        return Resources{observation("o", code, value, "2025-11-10", rest, "final", text)};
    };
    const std::string flow = R"("method":{"text":"Flow cytometry"})";
    const std::string histology = R"("method":{"text":"Immunohistochemistry"})";
    const std::string specimen = R"("specimen":{"display":"CD45-dim leukemic cells"})";
    const std::string high = valueQuantity("85", "%");
    check({
        {"all cells, high", cd7(high), multicenter, "inc.04b", "unknown", "unconfirmed"},
        {"all cells, low", cd7(valueQuantity("3", "%")), multicenter, "inc.04b", "unknown", "unconfirmed"},
        {"all cells of blood", cd7(high, "", "", "8135-6"), multicenter, "inc.04b", "unknown", "unconfirmed"},
        {"of blasts, high", cd7(high, "CD7 of blasts"), multicenter, "inc.04b", "true", "recorded"},
        {"of blasts, low", cd7(valueQuantity("60", "%"), "CD7 of blasts"), multicenter, "inc.04b", "false", "recorded"},
        {"of tumour cells", cd7(high, "CD7 in tumour cells"), multicenter, "inc.04b", "true", "recorded"},
        {"by the specimen", cd7(high, "", specimen), multicenter, "inc.04b", "true", "recorded"},
        {"of blasts, no method, where one is named", cd7(high, "CD7 of blasts"), carNk, "inc.04b", "unknown",
         "unconfirmed"},
        {"of blasts, by flow", cd7(high, "CD7 of blasts", flow), carNk, "inc.04b", "true", "recorded"},
        {"of blasts, by flow, for immunohistochemistry", cd7(high, "CD7 of blasts", flow), carNk, "inc.04c", "unknown",
         "unconfirmed"},
        {"of blasts, by immunohistochemistry", cd7(valueQuantity("55", "%"), "CD7 of blasts", histology), carNk,
         "inc.04c", "true", "recorded"},
        {"all cells, by flow", cd7(high, "", flow), carNk, "inc.04b", "unknown", "unconfirmed"},
        {"positive on tumour cells", cd7(valueString("positive"), "CD7 on tumour cells"), tianjin, "inc.04", "true",
         "recorded"},
        {"negative on tumour cells", cd7(valueString("negative"), "CD7 on tumour cells"), tianjin, "inc.04", "false",
         "recorded"},
        {"positive on some cells", cd7(valueString("positive")), tianjin, "inc.04", "unknown", "unconfirmed"},
        {"a CD4+CD7- count is no CD7 count", cd7(high, "of blasts", "", "51302-8"), multicenter, "inc.04b", "unknown",
         "missing"},
    });
}

// --- ruling 23, after, twice, except
// -----------------------------------------------------------------------------------

TEST_CASE("ruling 23: a relapse of a leukaemia proves an earlier remission, of a lymphoma it does not") {
    check({{"leukaemia, by code", {condition("c", {"C92.02"}, "active")}, tianjin, "inc.06.1", "false", "derived"},
           {"leukaemia, by status", {condition("c", {"C92.00"}, "relapse")}, tianjin, "inc.06.1", "false", "derived"},
           {"in remission", {condition("c", {"C92.01"}, "remission")}, tianjin, "inc.06.1", "false", ""},
           {"lymphoma", {condition("c", {"C84.40"}, "relapse")}, tianjin, "inc.06.1", "unknown", ""},
           {"neither", {condition("c", {"C92.00"}, "active")}, tianjin, "inc.06.1", "unknown", ""}});
}

TEST_CASE("ruling 23: months run from the remission immediately before the relapse") {
    const auto remission = [](std::string_view id, const std::string& day) {
        return condition(id, {"C92.01"}, "remission", {"2020-01-01", day, ""});
    };
    const auto relapse = [](std::string_view id, const std::string& day) {
        return condition(id, {"C92.02"}, "active", {day, "", ""});
    };
    check(
        {{"five months", {remission("r", "2022-01-01"), relapse("x", "2022-06-01")}, tianjin, "inc.07.2a", "true", ""},
         {"seventeen months after the second remission",
          {remission("r", "2022-01-01"), relapse("x", "2022-06-01"), remission("s", "2024-01-01"),
           relapse("y", "2025-06-01")},
          tianjin,
          "inc.07.2a",
          "false",
          ""},
         {"a remission after the relapse is not before it",
          {relapse("x", "2022-06-01"), remission("s", "2024-01-01")},
          tianjin,
          "inc.07.2a",
          "unknown",
          ""},
         {"a relapse without a day",
          {remission("r", "2022-01-01"), relapse("x", "")},
          tianjin,
          "inc.07.2a",
          "unknown",
          ""},
         {"a remission without a day",
          {condition("r", {"C92.01"}, "remission"), relapse("x", "2022-06-01")},
          tianjin,
          "inc.07.2a",
          "unknown",
          ""}});
}

TEST_CASE("after: the later of two dated facts, and unknown where the dates do not tell") {
    const auto transplant = [](const std::string& day) {
        return condition("t", {"234336002"}, "active", {day, "", ""});
    };
    const auto relapse = [](const std::string& day) { return condition("x", {"C92.02"}, "active", {day, "", ""}); };
    check(
        {{"relapse after transplantation",
          {transplant("2024-01-01"), relapse("2025-01-01")},
          tianjin,
          "inc.06.5",
          "true",
          "recorded"},
         {"relapse before it", {transplant("2025-01-01"), relapse("2024-01-01")}, tianjin, "inc.06.5", "unknown", ""},
         {"on the same day",
          {transplant("2025-01-01"), relapse("2025-01-01")},
          tianjin,
          "inc.06.5",
          "unknown",
          "undated"},
         {"in the same year", {transplant("2025"), relapse("2025-06-01")}, tianjin, "inc.06.5", "unknown", "undated"},
         {"transplantation without a date",
          {condition("t", {"Z94.84"}, "active"), relapse("2025-01-01")},
          tianjin,
          "inc.06.5",
          "unknown",
          "undated"},
         {"relapse without a date", {transplant("2024-01-01"), relapse("")}, tianjin, "inc.06.5", "unknown", "undated"},
         {"the date of the disease is not that of its relapse",
          {transplant("2024-01-01"), condition("x", {"C92.00"}, "relapse", {"2025-01-01", "", ""})},
          tianjin,
          "inc.06.5",
          "unknown",
          "undated"}});
    const std::string remission = condition("r", {"C92.01"}, "remission", {"2020-01-01", "2024-03-15", ""});
    const auto sarcoma = [](const std::string& day) { return condition("s", {"C92.30"}, "active", {day, "", ""}); };
    check({{"extramedullary after remission", {remission, sarcoma("2025-05-01")}, multicenter, "inc.03a.3", "true", ""},
           {"extramedullary before remission",
            {remission, sarcoma("2023-05-01")},
            multicenter,
            "inc.03a.3",
            "unknown",
            ""},
           {"a remission without a date",
            {condition("r", {"C92.01"}, "remission"), sarcoma("2025-05-01")},
            multicenter,
            "inc.03a.3",
            "unknown",
            "undated"}});
    const std::string blasts = observation("b", "11150-0", valueQuantity("20", "%"));
    check({{"blasts after remission, if not of regeneration",
            {remission, blasts},
            multicenter,
            "inc.03a.2",
            "unknown",
            "asked"},
           {"few blasts after remission",
            {remission, observation("b", "11150-0", valueQuantity("5", "%"))},
            multicenter,
            "inc.03a.2",
            "false",
            "recorded"}});
}

TEST_CASE("twice: two dated positive results at least so many days apart") {
    const rules::Trial trial = trialOf("\"hbsAg twice at least 7 days apart\"", true);
    const auto positive = [](std::string_view id, std::string_view day) {
        return observation(id, "5195-3", valueCode("10828004"), day);
    };
    CHECK(judge(trial, {positive("a", "2025-11-03"), positive("b", "2025-11-10")}).truth == "true");
    CHECK(judge(trial, {positive("b", "2025-11-10"), positive("a", "2025-11-03")}).truth == "true");
    CHECK(judge(trial, {positive("a", "2025-11-04"), positive("b", "2025-11-10")}).truth == "unknown");
    CHECK(judge(trial, {positive("a", "2025-11"), positive("b", "2025-11-10")}).truth == "unknown");
    CHECK(judge(trial, {positive("a", "2025-11-03")}).truth == "unknown");
    CHECK(judge(trial, {positive("a", "2025-11-03"), observation("b", "5195-3", valueCode("260385009"))}).truth ==
          "unknown");
    CHECK(judge(trial, {}).truth == "unknown");
    check({{"leukaemic cells have no code", {}, carNk, "inc.04R.1b", "unknown", ""}});
}

TEST_CASE("except: each record is matched by itself, an exception whose treatment nothing proves is a question") {
    const auto cancer = [](std::string_view id, std::string_view code, std::string_view status,
                           const Dates& dates = {}) { return condition(id, {std::string(code)}, status, dates); };
    const Dates since{"2023-01-01", "", ""};
    check({
        {"none", {}, carNk, "exc.02a", "false", "none-on-file"},
        {"breast cancer", {cancer("a", "C50.911", "active", since)}, carNk, "exc.02a", "true", "recorded"},
        {"prostate cancer, treatment unproven",
         {cancer("a", "C61", "active", since)},
         carNk,
         "exc.02a",
         "unknown",
         "asked"},
        {"prostate cancer, ended",
         {cancer("a", "C61", "resolved", {"2023-01-01", "2023-06-01", ""})},
         carNk,
         "exc.02a",
         "false",
         ""},
        {"breast cancer beside it",
         {cancer("a", "C61", "resolved", {"2023-01-01", "2023-06-01", ""}), cancer("b", "C50.911", "active", since)},
         carNk,
         "exc.02a",
         "true",
         "recorded"},
        {"breast cancer beside an unproven one",
         {cancer("a", "C61", "active", since), cancer("b", "C50.911", "active", since)},
         carNk,
         "exc.02a",
         "true",
         "recorded"},
        {"ended five years ago to the day",
         {cancer("a", "C50.911", "resolved", {"2015-01-01", "2020-11-13", ""})},
         carNk,
         "exc.02a",
         "true",
         "recorded"},
        {"ended a day before",
         {cancer("a", "C50.911", "resolved", {"2015-01-01", "2020-11-12", ""})},
         carNk,
         "exc.02a",
         "false",
         ""},
        {"a history by code", {cancer("a", "Z85.3", "active")}, carNk, "exc.02a", "unknown", ""},
        {"leukaemia is no other malignancy",
         {cancer("a", "C92.00", "active", since)},
         carNk,
         "exc.02a",
         "false",
         "none-on-file"},
    });
    check({{"a simple infection does not count", {cancer("a", "N39.0", "active")}, carNk, "exc.10", "unknown", "asked"},
           {"sepsis is under review", {cancer("a", "A41.9", "active")}, carNk, "exc.10", "unknown", ""}});
}

// --- ruling 25, 26
// -----------------------------------------------------------------------------------------------------

TEST_CASE("ruling 25: a negative HBsAg makes every HBsAg above false, a positive one without a number is asked") {
    const auto hbsAg = [](const std::string& value, std::string_view code = "5195-3", const std::string& rest = "") {
        return observation("o", code, value, "2025-11-10", rest);
    };
    check({{"negative", {hbsAg(valueCode("260385009"))}, tianjin, "exc.08a", "false", "recorded"},
           {"positive", {hbsAg(valueCode("10828004"))}, tianjin, "exc.08a", "unknown", ""},
           {"positive, low quantity",
            {hbsAg(valueCode("10828004")), observation("q", "63557-3", valueQuantity("250", "[IU]/mL"))},
            tianjin,
            "exc.08a",
            "unknown",
            ""},
           {"positive, very high quantity",
            {hbsAg(valueCode("10828004")), observation("q", "63557-3", valueQuantity("10000001", "[IU]/mL"))},
            tianjin,
            "exc.08a",
            "true",
            "recorded"},
           {"an antibody to it is immunity",
            {hbsAg(valueCode("10828004"), "22322-2")},
            tianjin,
            "exc.08a",
            "unknown",
            "missing"},
           {"EBV not detected",
            {observation("e", "47982-4", valueString("Not detected"))},
            tianjin,
            "exc.08f",
            "false",
            "recorded"},
           {"EBV below detection",
            {observation("e", "47982-4", valueQuantity("500", "{copies}/mL", "<"))},
            tianjin,
            "exc.08f",
            "false",
            "recorded"}});
}

TEST_CASE("ruling 26: conversions are exact, so a value at its limit is at its limit in every unit") {
    const auto bilirubin = [](std::string_view value) {
        return Resources{observation("o", "14631-6", valueQuantity(value, "umol/L"))};
    };
    check({{"2 mg/dL", bilirubin("34.208"), shenzhen, "inc.04f", "true", "recorded"},
           {"a hair more", bilirubin("34.20800000001"), shenzhen, "inc.04f", "false", "recorded"},
           {"34.2 umol/L", bilirubin("34.2"), shenzhen, "inc.04f", "true", "recorded"}});
}
