#include "mapping/condition.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"

using mapping::Basis;
using mapping::State;

namespace {

constexpr std::string_view today = "2025-11-20";

/// A chart with its facts, which hold views into it. Only Conditions are declared to be completely read.
struct Reading {
    fhir::Chart chart;
    mapping::Facts facts;

    explicit Reading(const std::vector<std::string>& resources, std::string_view asOf = today)
        : chart(support::chartOf(support::bundleOf(resources), support::covering({"Condition"}))),
          facts(mapping::readFacts(chart, support::knowledge().vocabulary, support::day(asOf))) {}
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    const mapping::Fact& operator[](std::string_view name) const {
        const mapping::FactDefinition* definition = support::knowledge().vocabulary.find(name);
        REQUIRE_MESSAGE(definition != nullptr, name);
        return facts[definition->index];
    }
};

const std::string man = R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1970-01-01"})";

std::string coding(std::string_view system, std::string_view code) {
    return R"({"system":")" + std::string(system) + R"(","code":")" + std::string(code) + "\"}";
}
std::string icd(std::string_view code) {
    return coding("http://hl7.org/fhir/sid/icd-10-cm", code);
}
std::string snomed(std::string_view code) {
    return coding("http://snomed.info/sct", code);
}

std::string status(std::string_view word) {
    if (word.empty()) return "";
    return R"("clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":")" +
           std::string(word) + "\"}]},";
}

/// A Condition of these codings, with further members that end in a comma.
std::string condition(const std::string& codings, const std::string& members = {}) {
    return R"({"resourceType":"Condition",)" + members + R"("code":{"coding":[)" + codings + "]}}";
}

std::string_view word(State state) {
    switch (state) {
        case State::active:
            return "active";
        case State::remission:
            return "remission";
        case State::over:
            return "over";
        case State::stopped:
            return "stopped";
        case State::unstated:
            break;
    }
    return "unstated";
}

/// What the Conditions say about a fact, each once: their state, or why they do not decide.
std::string said(const mapping::Fact& fact) {
    std::set<std::string> words;
    for (const mapping::Evidence& evidence : fact.conditions) {
        if (!mapping::isDecided(evidence.basis)) {
            words.emplace(mapping::word(evidence.basis));
        } else {
            words.emplace(evidence.refutes ? "refuted" : word(evidence.state));
        }
    }
    std::string all;
    for (const std::string& one : words) all += (all.empty() ? "" : " ") + one;
    return all;
}

}  // namespace

TEST_CASE("codes without a lineage are of the lineage that another code states") {
    struct Row {
        std::vector<std::string> conditions;
        std::string_view any, tLeukemia, tLymphoma, b;
    };
    const std::string active = status("active");
    const std::string unstated = condition(icd("C91.00"), active);
    const std::string unstatedLymphoma = condition(icd("C83.50"), active);
    const std::string t = condition(snomed("277575008"), active);
    const std::string tLymphoma = condition(snomed("421246008"), active);
    const std::string b = condition(snomed("371012000"), active);
    const std::vector<Row> rows{
        {{unstated}, "active", "unconfirmed", "unconfirmed", ""},
        {{unstatedLymphoma}, "active", "unconfirmed", "unconfirmed", ""},
        {{condition(coding("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "C91.00"), active)},
         "active",
         "unconfirmed",
         "unconfirmed",
         ""},
        {{condition(coding("http://hl7.org/fhir/sid/icd-10-cn", "C91.000x009"), active)},
         "active",
         "unconfirmed",
         "unconfirmed",
         ""},
        {{t}, "active", "active", "", ""},
        {{tLymphoma}, "active", "", "active", ""},
        {{condition(icd("C91.00") + ',' + snomed("277575008"), active)}, "active", "active", "", ""},
        {{condition(snomed("277575008") + ',' + icd("C91.00"), active)}, "active", "active", "", ""},
        {{unstated, t}, "active", "active", "", ""},
        {{t, unstated}, "active", "active", "", ""},
        {{unstatedLymphoma, tLymphoma}, "active", "", "active", ""},
        {{condition(coding("urn:oid:2.16.840.1.113883.6.43.1", "9837/3"), active)}, "active", "active", "", ""},
        {{b}, "active", "refuted", "refuted", "active"},
        {{unstated, b}, "active", "refuted", "refuted", "active"},
        {{condition(icd("C91.00") + ',' + snomed("371012000"), active)}, "active", "refuted", "refuted", "active"},
        {{t, b}, "active", "conflicting", "", "active"},
        {{condition(snomed("277575008") + ',' + snomed("371012000"), active)}, "active", "conflicting", "", "active"},
        // A lineage that nobody has confirmed states none.
        {{unstated, condition(snomed("277575008"), R"("verificationStatus":{"coding":[{"code":"provisional"}]},)")},
         "active unconfirmed",
         "unconfirmed",
         "unconfirmed",
         ""},
        // Mature disease is none of these.
        {{condition(icd("C91.50"), active)}, "", "", "", ""},
        {{condition(icd("C91.60"), active)}, "", "", "", ""},
        {{condition(icd("C84.40"), active)}, "", "", "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(&row - rows.data());
        std::vector<std::string> resources{man};
        resources.insert(resources.end(), row.conditions.begin(), row.conditions.end());
        const Reading reading(resources);
        CHECK(said(reading["lymphoblasticLeukemiaOrLymphoma"]) == row.any);
        CHECK(said(reading["tLymphoblasticLeukemia"]) == row.tLeukemia);
        CHECK(said(reading["tLymphoblasticLymphoma"]) == row.tLymphoma);
        CHECK(said(reading["bLymphoblasticLeukemia"]) == row.b);
    }
}

TEST_CASE("a histology extension of mCODE states the lineage") {
    const std::string extension =
        R"("extension":[{"url":"http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-histology-morphology-behavior",)"
        R"("valueCodeableConcept":{"coding":[)" +
        snomed("277575008") + "]}}],";
    const Reading reading({man, condition(icd("C91.00"), status("active") + extension)});
    CHECK(said(reading["tLymphoblasticLeukemia"]) == "active");
}

TEST_CASE("the clinical status says how a Condition stands") {
    struct Row {
        std::string_view members, expected;
        bool relapse;
    };
    const std::vector<Row> rows{
        {R"("clinicalStatus":{"coding":[{"code":"active"}]},)", "active", false},
        {R"("clinicalStatus":{"coding":[{"code":"active "}]},)", "active", false},
        {R"("clinicalStatus":{"coding":[{"code":"recurrence"}]},)", "active", true},
        {R"("clinicalStatus":{"coding":[{"code":"relapse"}]},)", "active", true},
        {R"("clinicalStatus":{"coding":[{"code":"inactive"}]},)", "over", false},
        {R"("clinicalStatus":{"coding":[{"code":"remission"}]},)", "remission", false},
        {R"("clinicalStatus":{"coding":[{"code":"resolved"}]},)", "over", false},
        {R"("clinicalStatus":"resolved",)", "over", false},  // a plain code, as before R4
        {R"("clinicalStatus":{"coding":[{"code":"somewhat better"}]},)", "unstated", false},
        {"", "unstated", false},
        // Without a status an abatement that has come says that it is over; one that has not says nothing.
        {R"("abatementDateTime":"2025-01-01",)", "over", false},
        {R"("abatementString":"last spring",)", "over", false},
        {R"("abatementBoolean":true,)", "over", false},
        {R"("abatementBoolean":false,)", "unstated", false},
        {R"("abatementDateTime":"2025-11-21",)", "unstated", false},
        {R"("clinicalStatus":{"coding":[{"code":"active"}]},"abatementDateTime":"2025-01-01",)", "active", false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const Reading reading({man, condition(icd("G40.909"), std::string(row.members))});
        CHECK(said(reading["epilepsy"]) == row.expected);
        REQUIRE(reading["epilepsy"].conditions.size() == 1);
        CHECK(reading["epilepsy"].conditions.front().relapse == row.relapse);
    }
}

TEST_CASE("refuted and erroneous Conditions are none, unconfirmed ones do not decide") {
    struct Row {
        std::string_view verification, expected;
    };
    const std::vector<Row> rows{
        {R"({"coding":[{"code":"confirmed"}]})", "active"},
        {R"({"coding":[{"code":"refuted"}]})", ""},
        {R"("refuted")", ""},
        {R"({"coding":[{"code":"entered-in-error"}]})", ""},
        {R"({"coding":[{"code":"entered-in-error "}]})", ""},
        {R"({"coding":[{"code":"unconfirmed"}]})", "unconfirmed"},
        {R"({"coding":[{"code":"provisional"}]})", "unconfirmed"},
        {R"({"coding":[{"code":"differential"}]})", "unconfirmed"},
        {R"({"coding":[{"code":"suspected"}]})", "unconfirmed"},
        {R"({"text":"rather sure"})", "unconfirmed"},
        {R"(null)", "active"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.verification);
        const std::string members = status("active") + R"("verificationStatus":)" + std::string(row.verification) + ',';
        CHECK(said(Reading({man, condition(icd("G40.909"), members)})["epilepsy"]) == row.expected);
        CHECK(said(Reading({man, condition(icd("C92.00"), members)})["acuteMyeloidLeukemia"]) == row.expected);
    }
}

TEST_CASE("a disease beside 'disorder in remission' is that disease, in remission") {
    struct Row {
        std::string codings;
        std::string_view status, expected;
    };
    const std::string aml = icd("C92.00");
    const std::string remission = snomed("765205004");
    const std::vector<Row> rows{
        {aml + ',' + remission, "remission", "remission"},
        {remission + ',' + aml, "remission", "remission"},
        {aml + ',' + remission, "", "remission"},
        {aml + ',' + remission, "active", "remission"},
        {aml + ',' + remission, "resolved", "over"},
        {aml, "remission", "remission"},
        {snomed("91860005"), "", "remission"},
        {snomed("91860005"), "active", "remission"},
        {remission, "remission", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.codings);
        CAPTURE(row.status);
        const Reading reading({man, condition(row.codings, status(row.status))});
        CHECK(said(reading["acuteMyeloidLeukemia"]) == row.expected);
    }
}

TEST_CASE("a code that says in remission is the disease in remission") {
    CHECK(said(Reading({man, condition(icd("C84.7B"))})["matureTCellLymphoma"]) == "remission");
    CHECK(said(Reading({man, condition(icd("C84.0A"))})["matureTCellLymphoma"]) == "remission");
    // C84.7A is the disease of the breast.
    CHECK(said(Reading({man, condition(icd("C84.7A"), status("active"))})["matureTCellLymphoma"]) == "active");
}

TEST_CASE("promyelocytic leukaemia is not acute myeloid leukaemia") {
    const Reading reading({man, condition(icd("C92.40"), status("active"))});
    CHECK(said(reading["acuteMyeloidLeukemia"]) == "");
    CHECK(said(reading["acutePromyelocyticLeukemia"]) == "active");
}

TEST_CASE("a code under review does not decide, beside an accepted one it does not matter") {
    CHECK(said(Reading({man, condition(icd("R56.9"), status("active"))})["epilepsy"]) == "unconfirmed");
    const Reading both({man, condition(icd("R56.9") + ',' + icd("G40.909"), status("active"))});
    CHECK(said(both["epilepsy"]) == "active");
    CHECK(both["epilepsy"].conditions.size() == 1);
}

TEST_CASE("a code for a history says that something was so, never when") {
    struct Row {
        std::string_view fact;
        std::string coding;
    };
    // Transplant status, history of infarction.
    const std::vector<Row> rows{{"stemCellTransplant", icd("Z94.84")}, {"myocardialInfarction", snomed("399211009")}};
    for (const Row& row : rows) {
        CAPTURE(row.coding);
        const Reading reading(
            {man, condition(row.coding, R"("onsetDateTime":"2025-10-01","recordedDate":"2025-10-02",)")});
        REQUIRE(reading[row.fact].conditions.size() == 1);
        const mapping::Evidence& evidence = reading[row.fact].conditions.front();
        CHECK(evidence.history);
        CHECK_FALSE(evidence.date.has_value());
        CHECK_FALSE(evidence.onsetDated);
    }
}

TEST_CASE("the date of a Condition is its onset, else the day it was recorded") {
    struct Row {
        std::string_view members, first, last;
        bool onsetDated;
    };
    const std::vector<Row> rows{
        {R"("onsetDateTime":"2025-03-04","recordedDate":"2025-06-01",)", "2025-03-04", "2025-03-04", true},
        {R"("recordedDate":"2025-06-01",)", "2025-06-01", "2025-06-01", false},
        {R"("onsetDateTime":"2024",)", "2024-01-01", "2024-12-31", true},
        // What may lie in the future is cut off at today.
        {R"("onsetDateTime":"2025",)", "2025-01-01", "2025-11-20", true},
        {R"("onsetAge":{"value":54,"code":"a","system":"http://unitsofmeasure.org"},)", "2024-01-01", "2024-12-31",
         true},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const Reading reading({man, condition(icd("I21.9"), std::string(row.members))});
        REQUIRE(reading["myocardialInfarction"].conditions.size() == 1);
        const mapping::Evidence& evidence = reading["myocardialInfarction"].conditions.front();
        REQUIRE(evidence.date.has_value());
        CHECK(evidence.date->firstDay().text() == row.first);
        CHECK(evidence.date->lastDay().text() == row.last);
        CHECK(evidence.onsetDated == row.onsetDated);
    }
    const Reading undated({man, condition(icd("I21.9"))});
    REQUIRE(undated["myocardialInfarction"].conditions.size() == 1);
    CHECK_FALSE(undated["myocardialInfarction"].conditions.front().date.has_value());
}

TEST_CASE("a Condition of a later day is not used, and counted in an issue") {
    const Reading reading({man, condition(icd("I21.9"), R"("onsetDateTime":"2025-11-21",)")});
    CHECK(reading["myocardialInfarction"].conditions.empty());
    const bool counted = std::any_of(reading.facts.issues.begin(), reading.facts.issues.end(),
                                     [](const fhir::Issue& issue) { return issue.message.starts_with("1 Condition"); });
    CHECK(counted);
}

TEST_CASE("the end of a Condition is its abatement when that has come") {
    const Reading reading(
        {man, condition(icd("D89.810"), status("resolved") + R"("abatementDateTime":"2025-05-06",)")});
    REQUIRE(reading["acuteGvhd"].conditions.size() == 1);
    REQUIRE(reading["acuteGvhd"].conditions.front().end.has_value());
    CHECK(reading["acuteGvhd"].conditions.front().end->firstDay().text() == "2025-05-06");
    const Reading later({man, condition(icd("D89.810"), status("active") + R"("abatementDateTime":"2025-12-06",)")});
    REQUIRE(later["acuteGvhd"].conditions.size() == 1);
    CHECK_FALSE(later["acuteGvhd"].conditions.front().end.has_value());
}

TEST_CASE("several codings of one Condition count once") {
    const Reading reading(
        {man, condition(icd("G40.909") + ',' + snomed("84757009") + ',' + icd("G40.909"), status("active"))});
    CHECK(reading["epilepsy"].conditions.size() == 1);
}

TEST_CASE("silence about what could not have been recognised is a question") {
    struct Row {
        std::vector<std::string> conditions;
        std::string_view epilepsy;
    };
    const std::string textOnly = R"({"resourceType":"Condition","code":{"text":"fits since childhood"}})";
    const std::vector<Row> rows{
        {{}, "none-on-file"},
        {{condition(icd("I10"))}, "none-on-file"},
        {{condition(snomed("38341003"))}, "none-on-file"},
        {{textOnly}, "asked"},
        {{R"({"resourceType":"Condition"})"}, "asked"},
        {{condition(coding("urn:local", "G40"))}, "asked"},
        {{condition(R"({"system":"http://snomed.info/sct","display":"Epilepsy"})")}, "asked"},
        // A histology code alone could not have said epilepsy.
        {{condition(coding("http://terminology.hl7.org/CodeSystem/icd-o-3", "9837/3"))}, "asked"},
        {{condition(icd("I10")), textOnly}, "asked"},
        {{condition(coding("urn:local", "G40") + ',' + icd("I10"))}, "none-on-file"},
        {{R"({"resourceType":"Condition","verificationStatus":{"coding":[{"code":"refuted"}]},"code":{"text":"fits"}})"},
         "none-on-file"},
    };
    for (const Row& row : rows) {
        CAPTURE(&row - rows.data());
        std::vector<std::string> resources{man};
        resources.insert(resources.end(), row.conditions.begin(), row.conditions.end());
        const Reading reading(resources);
        CHECK(reading["epilepsy"].conditions.empty());
        CHECK(mapping::word(reading["epilepsy"].absent) == row.epilepsy);
    }
}

TEST_CASE("silence counts only where the Conditions were completely read") {
    const auto absent = [](const fhir::Coverage& coverage) {
        const fhir::Chart chart = support::chartOf(support::bundleOf({man}), coverage);
        const auto& vocabulary = support::knowledge().vocabulary;
        const mapping::Facts facts = mapping::readFacts(chart, vocabulary, support::day(today));
        return std::string(mapping::word(facts[vocabulary.find("epilepsy")->index].absent));
    };
    fhir::Coverage coverage;
    CHECK(absent(coverage) == "not-covered");
    coverage.set("Condition", fhir::Covered::notRead);
    CHECK(absent(coverage) == "not-covered");
    coverage.set("Condition", fhir::Covered::partly);
    CHECK(absent(coverage) == "not-covered");
    coverage.set("Condition", fhir::Covered::completely);
    CHECK(absent(coverage) == "none-on-file");
    coverage.limitToPartly();
    CHECK(absent(coverage) == "not-covered");
}

TEST_CASE("tests and measurements are missing, never none on file") {
    const Reading reading({man});
    CHECK(reading["creatinine"].absent == Basis::missing);
    CHECK(reading["hbsAg"].absent == Basis::missing);
    // Policy unknown, and no test: a question.
    CHECK(reading["gilbertSyndrome"].absent == Basis::asked);
    CHECK(reading["autoimmuneDisease"].absent == Basis::asked);
}

TEST_CASE("a heart failure of class III or IV may stand as a finding of its own") {
    CHECK(Reading({man, condition(snomed("420913000"), status("active"))})["heartFailureNyha3or4"]
              .conditions.front()
              .positive == true);
    CHECK(Reading({man, condition(snomed("420300004"), status("active"))})["heartFailureNyha3or4"]
              .conditions.front()
              .positive == false);
    // Without a class it is a question (ruling 17).
    CHECK(said(Reading({man, condition(icd("I50.9"), status("active"))})["heartFailureNyha3or4"]) == "asked");
}

TEST_CASE("the order of the Conditions does not move a fact") {
    std::vector<std::string> conditions{condition(icd("C91.00"), status("active")),
                                        condition(snomed("277575008"), status("relapse")),
                                        condition(icd("G40.909"), status("resolved"))};
    std::sort(conditions.begin(), conditions.end());
    do {
        std::vector<std::string> resources{man};
        resources.insert(resources.end(), conditions.begin(), conditions.end());
        const Reading reading(resources);
        CHECK(said(reading["tLymphoblasticLeukemia"]) == "active");
        CHECK(said(reading["epilepsy"]) == "over");
    } while (std::next_permutation(conditions.begin(), conditions.end()));
}
