#include <doctest/doctest.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fhir/json.h"
#include "mapping/fact.h"
#include "rules/evaluate.h"
#include "rules/trial.h"
#include "tests/support.h"

// Every window form and anchor against rulings 10, 11, 12 and 27 of the clinical README and the conventions "windows",
// "dates" and "conditions_in_windows" of its reading: a window of N includes day N; months and years go by the
// calendar, and where a month has no such day, by the first of the next (docs/decisions.md); a partial date is an
// interval; a window at screening decides; one before an anchor that lies ahead never decides an exclusion against a
// patient.

namespace {

constexpr std::array<std::string_view, 5> anchors{"screening", "enrollment", "cellCollection", "lymphodepletion",
                                                  "infusion"};

std::string inQuotes(std::string_view text) {
    return '"' + std::string(text) + '"';
}

/// A trial with the sentence for every anchor, once as inclusion ("inc.infusion") and once as exclusion.
rules::Trial trialOf(const std::string& fact, const std::string& window) {
    std::string inclusion;
    std::string exclusion;
    for (const std::string_view anchor : anchors) {
        const std::string when = inQuotes(fact + " within " + window + " before " + std::string(anchor));
        const std::string end = R"(","text":"As published.","when":)" + when + "},";
        inclusion += R"({"id":"inc.)" + std::string(anchor) + end;
        exclusion += R"({"id":"exc.)" + std::string(anchor) + end;
    }
    // Without an anchor the window looks back from the day of the evaluation.
    inclusion += R"({"id":"inc.01","text":"As published.","when":)" + inQuotes(fact + " within " + window) + "}";
    exclusion += R"({"id":"exc.01","text":"As published.","when":)" + inQuotes(fact + " within " + window) + "}";
    const fhir::json::Document document(R"({"id":"NCT00000000","title":"A made-up trial","sponsor":"Nobody",
        "phase":"Phase 1","status":{"value":"recruiting","asOf":"2025-11-13"},"gate":["inc.01"],
        "ages":{"minimum":"18 Years","maximum":"70 Years"},"sex":"all","locations":["Nowhere"],
        "source":"https://example.org/","inclusion":[)" +
                                        inclusion + R"(],"exclusion":[)" + exclusion + "]}");
    std::vector<mapping::Problem> problems;
    rules::Trial trial =
        rules::readTrial("NCT00000000.json", document.root(), support::knowledge().vocabulary, problems);
    for (const mapping::Problem& problem : problems) FAIL(problem.text());
    return trial;
}

const std::vector<std::string> everyType{"Observation",
                                         "Condition",
                                         "Procedure",
                                         "Immunization",
                                         "MedicationRequest",
                                         "MedicationStatement",
                                         "MedicationAdministration",
                                         "MedicationDispense"};

/// One patient on one day. The evaluation holds views into the facts and those into the chart.
struct Evaluated {
    fhir::Chart chart;
    mapping::Facts facts;
    rules::Evaluation evaluation;
};

Evaluated evaluate(const rules::Trial& trial, const std::vector<std::string>& resources, fhir::Date asOf,
                   const std::vector<std::string>& covered = everyType) {
    std::vector<std::string> all = resources;
    all.emplace_back(R"({"resourceType":"Patient","id":"p1","gender":"female","birthDate":"1960-05-05"})");
    Evaluated result;
    result.chart = support::chartOf(support::bundleOf(all), support::covering(covered));
    result.facts = mapping::readFacts(result.chart, support::knowledge().vocabulary, asOf);
    result.evaluation = rules::evaluate(trial, result.facts);
    return result;
}

const rules::Outcome& outcome(const Evaluated& evaluated, const std::string& criterion) {
    for (const rules::Finding& finding : evaluated.evaluation.findings) {
        if (finding.criterion->id == criterion) return finding.outcome;
    }
    FAIL("no criterion " << criterion);
    throw std::logic_error("unreachable");
}

std::string dateText(const std::optional<fhir::Date>& date) {
    return date ? date->text() : "none";
}

/// What a sentence comes to before the anchor is looked at.
struct Expected {
    std::string_view truth;     ///< at screening
    std::string_view basis;     ///< at screening; not compared when empty
    std::string_view clearsOn;  ///< the first day outside; "none"; not compared when empty
};

void checkAnchors(const Evaluated& evaluated, const Expected& expected) {
    for (const std::string side : {"inc", "exc"}) {
        for (std::size_t i = 0; i <= anchors.size(); ++i) {
            const bool plain = i == anchors.size();
            const bool ahead = !plain && anchors[i] != "screening";
            const std::string id = side + "." + (plain ? "01" : std::string(anchors[i]));
            CAPTURE(id);
            const rules::Outcome& found = outcome(evaluated, id);
            const std::string_view truth = rules::word(found.truth);
            const std::string_view basis = mapping::word(found.basis);
            const bool inside = expected.truth == "true";
            if (!ahead || !inside) {
                CHECK(truth == expected.truth);
                if (!expected.basis.empty()) CHECK(basis == expected.basis);
            } else {
                // Ruling 11: never decided today, and not against the patient.
                CHECK(truth == "unknown");
                if (side == "exc") CHECK(basis == "wash-out");
                if (side == "inc") CHECK(basis != "wash-out");
            }
            if (expected.clearsOn.empty()) continue;
            if (side == "exc") CHECK(dateText(found.clearsOn) == expected.clearsOn);
            if (side == "inc" && ahead) CHECK(dateText(found.clearsOn) == "none");
        }
    }
}

std::string concept_(std::string_view system, std::string_view code) {
    return R"({"coding":[{"system":)" + inQuotes(system) + R"(,"code":)" + inQuotes(code) + "}]}";
}
constexpr std::string_view icd10 = "http://hl7.org/fhir/sid/icd-10-cm";
constexpr std::string_view snomed = "http://snomed.info/sct";
constexpr std::string_view rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
constexpr std::string_view cvx = "http://hl7.org/fhir/sid/cvx";

/// A Condition; `rest` are further members, each after a comma.
std::string condition(std::string_view system, std::string_view code, std::string_view status,
                      const std::string& rest = "") {
    std::string text = R"({"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"},"code":)" +
                       concept_(system, code);
    if (!status.empty())
        text += R"(,"clinicalStatus":)" + concept_("http://terminology.hl7.org/CodeSystem/condition-clinical", status);
    return text + rest + "}";
}

std::string activity(std::string_view type, std::string_view status, std::string_view codeElement,
                     std::string_view system, std::string_view code, const std::string& rest) {
    return R"({"resourceType":)" + inQuotes(type) + R"(,"id":"a1","status":)" + inQuotes(status) + "," +
           inQuotes(type == "Immunization" ? "patient" : "subject") + R"(:{"reference":"Patient/p1"},)" +
           inQuotes(codeElement) + ":" + concept_(system, code) + rest + "}";
}

std::string member(std::string_view name, std::string_view value) {
    return "," + inQuotes(name) + ":" + inQuotes(value);
}
std::string period(std::string_view name, std::string_view start, std::string_view end) {
    std::string text = "," + inQuotes(name) + ":{";
    if (!start.empty()) text += R"("start":)" + inQuotes(start);
    if (!end.empty()) text += std::string(start.empty() ? "" : ",") + R"("end":)" + inQuotes(end);
    return text + "}";
}

/// One way in which a chart says that something happened, or ended, on a date.
struct Carrier {
    std::string_view what;
    std::string fact;
    std::string (*resource)(std::string_view date);
};

const std::vector<Carrier>& carriers() {
    static const std::vector<Carrier> table{
        {"an event by its onset", "myocardialInfarction",
         [](std::string_view d) { return condition(icd10, "I21.9", "active", member("onsetDateTime", d)); }},
        {"an event that is resolved, still on its day", "myocardialInfarction",
         [](std::string_view d) { return condition(icd10, "I21.9", "resolved", member("onsetDateTime", d)); }},
        {"an event by the day it was written down", "venousThromboembolism",
         [](std::string_view d) { return condition(icd10, "I82.40", "", member("recordedDate", d)); }},
        {"a procedure on a day", "stemCellTransplant",
         [](std::string_view d) {
             return activity("Procedure", "completed", "code", snomed, "709115004", member("performedDateTime", d));
         }},
        {"a procedure over several days, by the last", "stemCellTransplant",
         [](std::string_view d) {
             return activity("Procedure", "completed", "code", snomed, "709115004",
                             period("performedPeriod", "2019-01-01", d));
         }},
        {"a vaccination", "liveVaccine",
         [](std::string_view d) {
             return activity("Immunization", "completed", "vaccineCode", cvx, "03", member("occurrenceDateTime", d));
         }},
        {"a state that is resolved, by its end", "acuteGvhd",
         [](std::string_view d) {
             return condition(icd10, "D89.810", "resolved",
                              member("onsetDateTime", "2019-01-01") + member("abatementDateTime", d));
         }},
        {"a state in remission, by its end", "acuteGvhd",
         [](std::string_view d) { return condition(icd10, "D89.810", "remission", member("abatementDateTime", d)); }},
        {"a state without a status, by its end", "chronicGvhd",
         [](std::string_view d) {
             return condition(icd10, "D89.811", "",
                              member("recordedDate", "2019-01-01") + member("abatementDateTime", d));
         }},
        {"a state that is over, by the end of its period", "acuteGvhd",
         [](std::string_view d) { return condition(icd10, "D89.810", "inactive", period("abatementPeriod", "", d)); }},
        {"one dose", "systemicSteroid",
         [](std::string_view d) {
             return activity("MedicationAdministration", "completed", "medicationCodeableConcept", rxnorm, "8640",
                             member("effectiveDateTime", d));
         }},
        {"a drug that was stopped", "systemicSteroid",
         [](std::string_view d) {
             return activity("MedicationStatement", "completed", "medicationCodeableConcept", rxnorm, "8640",
                             period("effectivePeriod", "2019-01-01", d));
         }},
        {"an order that has run out", "systemicSteroid",
         [](std::string_view d) {
             return activity("MedicationRequest", "completed", "medicationCodeableConcept", rxnorm, "8640",
                             member("authoredOn", "2019-01-01") +
                                 R"(,"dosageInstruction":[{"timing":{"repeat":{"boundsPeriod":{"end":)" + inQuotes(d) +
                                 "}}}}]");
         }},
    };
    return table;
}

}  // namespace

TEST_CASE("a window includes its last day and not the day after, for every unit, anchor, side and kind of record") {
    struct Row {
        std::string window;
        std::string_view date;
        std::string_view lastSurelyInside;    ///< counted by hand from the first day that the date may mean
        std::string_view lastPossiblyInside;  ///< and from the last
    };
    const std::vector<Row> rows{
        // Days and weeks are counted.
        {"1 days", "2025-11-12", "2025-11-13", "2025-11-13"},
        {"7 days", "2025-11-06", "2025-11-13", "2025-11-13"},
        {"28 days", "2025-02-01", "2025-03-01", "2025-03-01"},
        {"28 days", "2024-02-01", "2024-02-29", "2024-02-29"},
        {"7 days", "2025-02-26", "2025-03-05", "2025-03-05"},
        {"7 days", "2024-02-26", "2024-03-04", "2024-03-04"},
        {"7 days", "2024-12-28", "2025-01-04", "2025-01-04"},
        {"365 days", "2024-02-29", "2025-02-28", "2025-02-28"},
        {"1 weeks", "2024-02-29", "2024-03-07", "2024-03-07"},
        {"2 weeks", "2024-02-15", "2024-02-29", "2024-02-29"},
        {"4 weeks", "2025-10-16", "2025-11-13", "2025-11-13"},
        {"52 weeks", "2024-02-29", "2025-02-27", "2025-02-27"},
        // Months end on the same day number, or on the first of the next where there is none.
        {"1 months", "2025-10-13", "2025-11-13", "2025-11-13"},
        {"1 months", "2025-01-31", "2025-03-01", "2025-03-01"},
        {"1 months", "2025-01-28", "2025-02-28", "2025-02-28"},
        {"1 months", "2024-01-31", "2024-03-01", "2024-03-01"},
        {"1 months", "2024-01-30", "2024-03-01", "2024-03-01"},
        {"1 months", "2024-01-29", "2024-02-29", "2024-02-29"},
        {"1 months", "2025-03-31", "2025-05-01", "2025-05-01"},
        {"1 months", "2025-02-28", "2025-03-28", "2025-03-28"},
        {"3 months", "2025-11-30", "2026-03-01", "2026-03-01"},
        {"3 months", "2023-11-30", "2024-03-01", "2024-03-01"},
        {"6 months", "2025-08-31", "2026-03-01", "2026-03-01"},
        {"6 months", "2025-05-13", "2025-11-13", "2025-11-13"},
        {"12 months", "2024-02-29", "2025-03-01", "2025-03-01"},
        {"12 months", "2023-02-28", "2024-02-28", "2024-02-28"},
        {"13 months", "2024-12-31", "2026-01-31", "2026-01-31"},
        {"1 years", "2024-11-13", "2025-11-13", "2025-11-13"},
        {"1 years", "2024-02-29", "2025-03-01", "2025-03-01"},
        {"4 years", "2020-02-29", "2024-02-29", "2024-02-29"},
        {"5 years", "2020-02-29", "2025-03-01", "2025-03-01"},
        {"5 years", "2020-11-13", "2025-11-13", "2025-11-13"},
        // Days are calendar days in UTC.
        {"7 days", "2025-11-06T00:00:00Z", "2025-11-13", "2025-11-13"},
        {"7 days", "2025-11-06T23:59:59Z", "2025-11-13", "2025-11-13"},
        {"7 days", "2025-11-05T23:30:00-08:00", "2025-11-13", "2025-11-13"},
        {"7 days", "2025-11-07T00:30:00+08:00", "2025-11-13", "2025-11-13"},
        {"1 months", "2024-02-28T22:00:00-05:00", "2024-03-29", "2024-03-29"},
        // A date without its day, or without its month, may mean every day of it.
        {"7 days", "2025-10", "2025-10-08", "2025-11-07"},
        {"28 days", "2024-02", "2024-02-29", "2024-03-28"},
        {"28 days", "2025-02", "2025-03-01", "2025-03-28"},
        {"8 weeks", "2025-09", "2025-10-27", "2025-11-25"},
        {"6 months", "2025-05", "2025-11-01", "2025-12-01"},
        {"1 months", "2025-01", "2025-02-01", "2025-03-01"},
        {"12 months", "2024-02", "2025-02-01", "2025-03-01"},
        {"12 months", "2024", "2025-01-01", "2025-12-31"},
        {"6 months", "2024", "2024-07-01", "2025-07-01"},
        {"90 days", "2024", "2024-03-31", "2025-03-31"},
        {"2 years", "2022", "2024-01-01", "2024-12-31"},
        {"5 years", "2020-02", "2025-02-01", "2025-03-01"},
    };
    for (const Row& row : rows) {
        for (const Carrier& carrier : carriers()) {
            const rules::Trial trial = trialOf(carrier.fact, row.window);
            const std::string resource = carrier.resource(row.date);
            const fhir::Date surely = support::day(row.lastSurelyInside);
            const fhir::Date possibly = support::day(row.lastPossiblyInside);
            const auto mayMean = fhir::DateTime::parse(row.date);
            REQUIRE(mayMean.has_value());
            const std::string clears = (possibly + 1).text();
            for (const fhir::Date asOf : {mayMean->firstDay(), mayMean->lastDay(), surely - 1, surely, surely + 1,
                                          possibly - 1, possibly, possibly + 1, possibly + 400}) {
                if (asOf < mayMean->firstDay()) continue;
                CAPTURE(row.window);
                CAPTURE(row.date);
                CAPTURE(carrier.what);
                CAPTURE(asOf.text());
                Expected expected{"unknown", "undated", "none"};
                if (asOf <= surely) {
                    // Inside a month that is not over yet the last day that the date can mean is today.
                    expected = {"true", "recorded", asOf >= mayMean->lastDay() ? std::string_view(clears) : ""};
                } else if (asOf > possibly) {
                    expected = {"false", "none-on-file", "none"};
                }
                checkAnchors(evaluate(trial, {resource}, asOf), expected);
            }
        }
    }
}

TEST_CASE("a date that is only partly over means no day after today") {
    struct Row {
        std::string_view asOf;
        std::string window;
        std::string_view date;
        Expected expected;
    };
    const std::vector<Row> rows{
        {"2025-11-05", "7 days", "2025-11", {"true", "recorded", "2025-11-13"}},
        {"2025-11-08", "7 days", "2025-11", {"true", "recorded", "2025-11-16"}},
        {"2025-11-09", "7 days", "2025-11", {"unknown", "undated", "none"}},
        {"2025-01-01", "1 days", "2025", {"true", "recorded", "2025-01-03"}},
        {"2025-11-13", "6 months", "2025", {"unknown", "undated", "none"}},
        {"2024-02-29", "12 months", "2024", {"true", "recorded", "2025-03-02"}},
    };
    for (const Row& row : rows) {
        for (const Carrier& carrier : carriers()) {
            CAPTURE(row.asOf);
            CAPTURE(row.date);
            CAPTURE(row.window);
            CAPTURE(carrier.what);
            checkAnchors(
                evaluate(trialOf(carrier.fact, row.window), {carrier.resource(row.date)}, support::day(row.asOf)),
                row.expected);
        }
    }
}

TEST_CASE("what is undated, ongoing, ahead or in doubt, for every anchor and side, 28 days back from 2025-11-13") {
    struct Row {
        std::string_view what;
        std::string fact;
        std::string resource;
        Expected expected;
    };
    const std::string inWindow = member("onsetDateTime", "2025-11-01");
    const std::string before = member("onsetDateTime", "2025-06-01");
    const std::string verification = R"(,"verificationStatus":)";
    const std::string unconfirmed =
        verification + concept_("http://terminology.hl7.org/CodeSystem/condition-ver-status", "provisional");
    const std::string refuted =
        verification + concept_("http://terminology.hl7.org/CodeSystem/condition-ver-status", "refuted");
    const auto drug = [](std::string_view type, std::string_view status, const std::string& rest) {
        return activity(type, status, "medicationCodeableConcept", rxnorm, "8640", rest);
    };
    const std::vector<Row> rows{
        {"an event without a date",
         "myocardialInfarction",
         condition(icd10, "I21.9", "active"),
         {"unknown", "undated", "none"}},
        {"an event that is only known as history",
         "myocardialInfarction",
         condition(snomed, "399211009", "active", inWindow),
         {"unknown", "undated", "none"}},
        {"a procedure without a date",
         "stemCellTransplant",
         activity("Procedure", "completed", "code", snomed, "709115004", ""),
         {"unknown", "undated", "none"}},
        {"a transplantation status code with a date",
         "stemCellTransplant",
         condition(icd10, "Z94.84", "active", inWindow),
         {"unknown", "undated", "none"}},
        {"an event of tomorrow",
         "myocardialInfarction",
         condition(icd10, "I21.9", "active", member("onsetDateTime", "2025-11-14")),
         {"false", "none-on-file", "none"}},
        {"an event of today",
         "myocardialInfarction",
         condition(icd10, "I21.9", "active", member("onsetDateTime", "2025-11-13")),
         {"true", "recorded", "2025-12-12"}},
        {"a procedure of tomorrow",
         "stemCellTransplant",
         activity("Procedure", "completed", "code", snomed, "709115004", member("performedDateTime", "2025-11-14")),
         {"false", "none-on-file", "none"}},
        {"a procedure that was not done",
         "stemCellTransplant",
         activity("Procedure", "not-done", "code", snomed, "709115004", member("performedDateTime", "2025-11-01")),
         {"false", "none-on-file", "none"}},
        {"an event in doubt, inside",
         "myocardialInfarction",
         condition(icd10, "I21.9", "active", inWindow + unconfirmed),
         {"unknown", "unconfirmed", "none"}},
        {"an event in doubt, outside",
         "myocardialInfarction",
         condition(icd10, "I21.9", "active", before + unconfirmed),
         {"false", "none-on-file", "none"}},
        {"an event that was refuted",
         "myocardialInfarction",
         condition(icd10, "I21.9", "active", inWindow + refuted),
         {"false", "none-on-file", "none"}},
        {"a state that began inside and goes on",
         "acuteGvhd",
         condition(icd10, "D89.810", "active", inWindow),
         {"true", "recorded", "none"}},
        {"a state that began long before and goes on",
         "acuteGvhd",
         condition(icd10, "D89.810", "active", before),
         {"true", "recorded", "none"}},
        {"a state that came back and goes on",
         "acuteGvhd",
         condition(icd10, "D89.810", "recurrence", before),
         {"true", "recorded", "none"}},
        {"a state that goes on, without a date",
         "acuteGvhd",
         condition(icd10, "D89.810", "active"),
         {"unknown", "undated", "none"}},
        {"a state that is over and began inside",
         "acuteGvhd",
         condition(icd10, "D89.810", "resolved", inWindow),
         {"true", "recorded", ""}},
        {"a state that is over, began before, and ended nobody knows when",
         "acuteGvhd",
         condition(icd10, "D89.810", "resolved", before),
         {"unknown", "undated", "none"}},
        {"a state without a status that began inside",
         "acuteGvhd",
         condition(icd10, "D89.810", "", inWindow),
         {"true", "recorded", ""}},
        {"a state without a status that began before",
         "acuteGvhd",
         condition(icd10, "D89.810", "", before),
         {"unknown", "undated", "none"}},
        {"a state without status and date",
         "acuteGvhd",
         condition(icd10, "D89.810", ""),
         {"unknown", "undated", "none"}},
        {"a state that begins tomorrow",
         "acuteGvhd",
         condition(icd10, "D89.810", "active", member("onsetDateTime", "2025-11-14")),
         {"false", "none-on-file", "none"}},
        {"a state in doubt that goes on",
         "acuteGvhd",
         condition(icd10, "D89.810", "active", before + unconfirmed),
         {"unknown", "unconfirmed", "none"}},
        {"a state in doubt that ended before",
         "acuteGvhd",
         condition(icd10, "D89.810", "resolved", member("abatementDateTime", "2025-06-01") + unconfirmed),
         {"false", "none-on-file", "none"}},
        {"a drug that goes on",
         "systemicSteroid",
         drug("MedicationStatement", "active", period("effectivePeriod", "2025-06-01", "")),
         {"true", "recorded", "none"}},
        {"a drug that ends next week",
         "systemicSteroid",
         drug("MedicationStatement", "active", period("effectivePeriod", "2025-06-01", "2025-11-20")),
         {"true", "recorded", "none"}},
        {"a drug that begins tomorrow",
         "systemicSteroid",
         drug("MedicationStatement", "active", period("effectivePeriod", "2025-11-14", "")),
         {"false", "none-on-file", "none"}},
        {"a drug that was not taken",
         "systemicSteroid",
         drug("MedicationStatement", "not-taken", period("effectivePeriod", "2025-06-01", "")),
         {"false", "none-on-file", "none"}},
        {"a drug that was stopped nobody knows when",
         "systemicSteroid",
         drug("MedicationRequest", "stopped", member("authoredOn", "2025-06-01")),
         {"unknown", "undated", "none"}},
        {"a drug that was ordered inside and stopped",
         "systemicSteroid",
         drug("MedicationRequest", "stopped", member("authoredOn", "2025-11-01")),
         {"true", "recorded", ""}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        checkAnchors(evaluate(trialOf(row.fact, "28 days"), {row.resource}, support::day("2025-11-13")), row.expected);
    }
}

TEST_CASE("outside a window is false only where the whole chart was read") {
    const rules::Trial trial = trialOf("myocardialInfarction", "28 days");
    const std::string old = condition(icd10, "I21.9", "active", member("onsetDateTime", "2025-06-01"));
    checkAnchors(evaluate(trial, {old}, support::day("2025-11-13"), {"Observation"}),
                 {"unknown", "not-covered", "none"});
    checkAnchors(evaluate(trial, {}, support::day("2025-11-13"), {"Observation"}), {"unknown", "not-covered", "none"});
    checkAnchors(evaluate(trial, {}, support::day("2025-11-13")), {"false", "none-on-file", "none"});
    // What is inside is inside, whatever else was not read.
    const std::string recent = condition(icd10, "I21.9", "active", member("onsetDateTime", "2025-11-13"));
    checkAnchors(evaluate(trial, {recent}, support::day("2025-11-13"), {}), {"true", "recorded", "2025-12-12"});
}

TEST_CASE("of several records the one inside decides, and the last to clear says when") {
    const auto infarction = [](std::string_view id, std::string_view date) {
        std::string text = condition(icd10, "I21.9", "active", member("onsetDateTime", date));
        return text.replace(text.find("\"c1\""), 4, inQuotes(id));
    };
    const rules::Trial trial = trialOf("myocardialInfarction", "6 months");
    struct Row {
        std::vector<std::string> dates;
        Expected expected;
    };
    for (const Row& row : std::vector<Row>{
             {{"2025-05-12", "2025-05-13"}, {"true", "recorded", "2025-11-14"}},
             {{"2025-05-13", "2025-08-31"}, {"true", "recorded", "2026-03-02"}},
             {{"2025-05-12", "2024-02-29"}, {"false", "none-on-file", "none"}},
             {{"2025-05-12", "2025-05"}, {"unknown", "undated", "none"}},
         }) {
        CAPTURE(row.dates.front());
        CAPTURE(row.dates.back());
        checkAnchors(evaluate(trial, {infarction("a", row.dates.front()), infarction("b", row.dates.back())},
                              support::day("2025-11-13")),
                     row.expected);
        checkAnchors(evaluate(trial, {infarction("b", row.dates.back()), infarction("a", row.dates.front())},
                              support::day("2025-11-13")),
                     row.expected);
    }
}

TEST_CASE(
    "a result in a window: a negative or old test before an anchor that lies ahead is open, a positive one is no") {
    // Ruling 24. The test is fresh for seven days.
    const auto test = [](std::string_view answer, std::string_view date) {
        return R"({"resourceType":"Observation","id":"t","status":"final","subject":{"reference":"Patient/p1"},"code":)" +
               concept_("http://loinc.org", "2106-3") + member("valueString", answer) +
               (date.empty() ? "" : member("effectiveDateTime", date)) + "}";
    };
    const rules::Trial trial = trialOf("pregnancyTestNegative", "7 days");
    struct Row {
        std::string_view answer;
        std::string_view date;
        std::string_view screening;
        std::string_view ahead;
    };
    for (const Row& row : std::vector<Row>{
             {"negative", "2025-11-13", "true", "unknown"},
             {"negative", "2025-11-06", "true", "unknown"},
             {"negative", "2025-11-05", "unknown", "unknown"},
             {"negative", "2025-11", "unknown", "unknown"},
             {"negative", "", "unknown", "unknown"},
             {"negative", "2025-11-14", "unknown", "unknown"},
             {"positive", "2025-11-13", "false", "false"},
             {"positive", "2025-11-06", "false", "false"},
             {"equivocal", "2025-11-10", "unknown", "unknown"},
         }) {
        CAPTURE(row.answer);
        CAPTURE(row.date);
        const Evaluated evaluated = evaluate(trial, {test(row.answer, row.date)}, support::day("2025-11-13"));
        CHECK(rules::word(outcome(evaluated, "inc.01").truth) == row.screening);
        for (const std::string_view anchor : anchors) {
            CAPTURE(anchor);
            CHECK(rules::word(outcome(evaluated, "inc." + std::string(anchor)).truth) ==
                  (anchor == "screening" ? row.screening : row.ahead));
        }
    }
}

TEST_CASE("a listed exception leaves the window only when its treatment is proven, at and around the limit") {
    struct Row {
        std::string_view what;
        std::string_view code;
        std::string_view status;
        std::string dates;
        Expected expected;
    };
    for (const Row& row : std::vector<Row>{
             {"another cancer that ended five years ago today",
              "C50.911",
              "resolved",
              member("abatementDateTime", "2020-11-13"),
              {"true", "recorded", "2025-11-14"}},
             {"another cancer that ended a day earlier",
              "C50.911",
              "resolved",
              member("abatementDateTime", "2020-11-12"),
              {"false", "none-on-file", "none"}},
             {"another cancer that goes on",
              "C50.911",
              "active",
              member("onsetDateTime", "2015-01-01"),
              {"true", "recorded", "none"}},
             {"an exception that ended",
              "C61",
              "resolved",
              member("abatementDateTime", "2024-01-01"),
              {"false", "none-on-file", "none"}},
             {"an exception that may not be cured",
              "C61",
              "active",
              member("onsetDateTime", "2024-01-01"),
              {"unknown", "asked", "none"}},
         }) {
        CAPTURE(row.what);
        checkAnchors(evaluate(trialOf("otherMalignancy except treatedException", "5 years"),
                              {condition(icd10, row.code, row.status, row.dates)}, support::day("2025-11-13")),
                     row.expected);
    }
}

TEST_CASE("one dated fact after another: a later day is, the same day or an earlier one leaves it open") {
    const fhir::json::Document document(R"({"id":"NCT00000000","title":"A made-up trial","sponsor":"Nobody",
        "phase":"Phase 1","status":{"value":"recruiting","asOf":"2025-11-13"},"gate":["inc.01"],
        "ages":{"minimum":"18 Years","maximum":"70 Years"},"sex":"all","locations":["Nowhere"],
        "source":"https://example.org/","inclusion":[{"id":"inc.01","text":"As published.",
        "when":"relapse after stemCellTransplant"}],"exclusion":[]})");
    std::vector<mapping::Problem> problems;
    const rules::Trial trial =
        rules::readTrial("NCT00000000.json", document.root(), support::knowledge().vocabulary, problems);
    REQUIRE(problems.empty());
    struct Row {
        std::string_view relapse;
        std::string_view transplant;
        std::string_view truth;
    };
    for (const Row& row : std::vector<Row>{
             {"2025-03-02", "2025-03-01", "true"},
             {"2025-03-01", "2025-03-01", "unknown"},
             {"2025-02-28", "2025-03-01", "unknown"},
             {"2024-03-01", "2024-02-29", "true"},
             {"2025-04", "2025-03-31", "true"},
             {"2025-03", "2025-03-31", "unknown"},
             {"2025-03", "2025-03-01", "unknown"},
             {"2025-04-01", "2025-03", "true"},
             {"2025-03-31", "2025-03", "unknown"},
             {"2025", "2024", "true"},
             {"2025", "2025", "unknown"},
             {"2025-03-02", "", "unknown"},
             {"", "2025-03-01", "unknown"},
             {"2025-11-14", "2025-03-01", "unknown"},
         }) {
        CAPTURE(row.relapse);
        CAPTURE(row.transplant);
        const std::vector<std::string> resources{
            condition(icd10, "C92.02", "active", row.relapse.empty() ? "" : member("onsetDateTime", row.relapse)),
            activity("Procedure", "completed", "code", snomed, "709115004",
                     row.transplant.empty() ? "" : member("performedDateTime", row.transplant))};
        const Evaluated evaluated = evaluate(trial, resources, support::day("2025-11-13"));
        CHECK(rules::word(outcome(evaluated, "inc.01").truth) == row.truth);
    }
}

TEST_CASE("twice at least so many days or weeks apart counts whole days between what the dates surely mean") {
    struct Row {
        std::string sentence;
        std::vector<std::string_view> dates;
        std::string_view truth;
    };
    const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
    const mapping::FactDefinition* cells = vocabulary.find("peripheralLeukemicCells");
    REQUIRE(cells != nullptr);
    for (const Row& row : std::vector<Row>{
             {"peripheralLeukemicCells twice at least 7 days apart", {"2024-02-25", "2024-03-03"}, "true"},
             {"peripheralLeukemicCells twice at least 7 days apart", {"2024-02-25", "2024-03-02"}, "unknown"},
             {"peripheralLeukemicCells twice at least 7 days apart", {"2024-03-04", "2024-02-25"}, "true"},
             {"peripheralLeukemicCells twice at least 1 weeks apart", {"2025-11-01", "2025-11-08"}, "true"},
             {"peripheralLeukemicCells twice at least 1 weeks apart", {"2025-11-01", "2025-11-07"}, "unknown"},
             {"peripheralLeukemicCells twice at least 7 days apart", {"2025-09", "2025-10-07"}, "true"},
             {"peripheralLeukemicCells twice at least 7 days apart", {"2025-09", "2025-10-06"}, "unknown"},
             {"peripheralLeukemicCells twice at least 7 days apart", {"2025-09", "2025-10"}, "unknown"},
             {"peripheralLeukemicCells twice at least 7 days apart", {"2025-11-01"}, "unknown"},
             {"peripheralLeukemicCells twice at least 7 days apart",
              {"2025-11-01", "2025-11-04", "2025-11-08"},
              "true"},
         }) {
        CAPTURE(row.sentence);
        CAPTURE(row.dates.back());
        std::vector<std::string> problems;
        const auto comparison = rules::readComparison(row.sentence, vocabulary, problems);
        REQUIRE(comparison.has_value());
        mapping::Facts facts(vocabulary);
        facts.asOf = support::day("2025-11-13");
        for (const std::string_view date : row.dates) {
            mapping::Evidence evidence;
            evidence.fact = cells;
            evidence.positive = true;
            evidence.date = fhir::DateTime::parse(date);
            facts.own(cells->index).positives.push_back(evidence);
        }
        rules::Trial trial;
        trial.criteria.emplace_back();
        rules::Rule rule;
        rule.comparison = *comparison;
        CHECK(rules::word(rules::evaluateRule(trial, 0, rule, facts).truth) == row.truth);
    }
}
