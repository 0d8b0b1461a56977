#include "mapping/answer.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/support.h"

namespace {

using mapping::Basis;
using mapping::Evidence;

const std::string asOf = "2025-11-13";
const std::string patient = R"({"resourceType":"Patient","id":"p1"})";

/// A form filled in on a day: its items as JSON.
std::string form(const std::string& items, const std::string& authored = "2025-11-12", const std::string& id = "f1",
                 const std::string& status = "completed") {
    return R"({"resourceType":"QuestionnaireResponse","id":")" + id + R"(","status":")" + status + '"' +
           (authored.empty() ? "" : R"(,"authored":")" + authored + '"') +
           R"(,"author":{"reference":"Practitioner/7"},"subject":{"reference":"Patient/p1"},"item":[)" + items + "]}";
}

std::string item(const std::string& linkId, const std::string& value) {
    return R"({"linkId":")" + linkId + R"(","answer":[{)" + value + "}]}";
}

std::string percent(const std::string& value) {
    return R"("valueQuantity":{"value":)" + value + R"(,"unit":"%"})";
}

struct Answered {
    fhir::Chart chart;
    mapping::Facts facts;

    const mapping::Fact* fact(std::string_view name) const {
        return facts.attestation(support::knowledge().vocabulary.find(name)->index);
    }
    /// The one result or record of a fact; fails when there is none or several.
    const Evidence& only(std::string_view name) const {
        const mapping::Fact* found = fact(name);
        REQUIRE(found != nullptr);
        const auto& all = found->conditions.empty() ? found->results : found->conditions;
        REQUIRE_EQ(all.size(), 1);
        return all.front();
    }
};

Answered read(const std::vector<std::string>& forms) {
    std::vector<std::string> resources{patient};
    resources.insert(resources.end(), forms.begin(), forms.end());
    Answered answered;
    answered.chart = support::chartOf(support::bundleOf(resources));
    answered.facts = mapping::readFacts(answered.chart, support::knowledge().vocabulary, support::day(asOf));
    return answered;
}

std::string shown(const Evidence& evidence) {
    return evidence.valueText + ' ' + std::string(evidence.unitText);
}

}  // namespace

TEST_CASE("an answer is evidence of basis attested, with its author and its time") {
    const Answered answered =
        read({form(item("fact/lvef", percent("61")) + "," + item("NCT07117305/inc.01", R"("valueBoolean":true)"))});
    const Evidence& lvef = answered.only("lvef");
    CHECK_EQ(lvef.basis, Basis::attested);
    CHECK_EQ(shown(lvef), "61 %");
    CHECK_EQ(lvef.source(), "QuestionnaireResponse/f1");
    CHECK_EQ(lvef.author, "Practitioner/7");
    CHECK_EQ(lvef.date->text(), "2025-11-12");
    REQUIRE_EQ(answered.facts.answers.size(), 1);
    CHECK_EQ(answered.facts.answers.front().linkId, "NCT07117305/inc.01");
    CHECK_EQ(answered.facts.answers.front().evidence.front().positive, true);
    CHECK(read({}).facts.attested.empty());
}

TEST_CASE("answers are read by the kind of their fact, in any of its units") {
    struct Row {
        std::string linkId, value;
        std::string is;  ///< value, word, yes or no; the basis when it does not decide; "left out"
    };
    const auto quantity = [](const std::string& value, const std::string& unit) {
        return R"("valueQuantity":{"value":)" + value + R"(,"unit":")" + unit + "\"}";
    };
    for (const Row& row : std::vector<Row>{
             {"fact/creatinine", quantity("88.42", "umol/L"), "1"},
             {"fact/creatinine", quantity("1.0", "furlong"), "unreadable-unit"},
             {"fact/creatinine", R"("valueDecimal":1.0)", "unreadable-unit"},
             {"fact/creatinine", quantity("900", "mg/dL"), "implausible"},
             {"fact/creatinine", R"("valueBoolean":true)", "left out"},
             {"fact/ecog", R"("valueInteger":2)", "2"},
             {"fact/inr", R"("valueDecimal":1.1)", "1.1"},
             {"fact/priorLines", R"("valueInteger":2)", "2"},
             {"fact/priorLines", R"("valueDecimal":1.5)", "left out"},
             {"fact/priorLines", R"("valueInteger":-1)", "left out"},
             {"fact/bestResponse", R"("valueCoding":{"code":"PD"})", "PD"},
             {"fact/bestResponse", R"("valueString":"PD")", "PD"},
             {"fact/bestResponse", R"("valueString":"splendid")", "left out"},
             {"fact/epilepsy", R"("valueBoolean":false)", "no"},
             {"fact/epilepsy", R"("valueCoding":{"system":"http://snomed.info/sct","code":"373066001"})", "yes"},
             {"fact/epilepsy", R"("valueCoding":{"code":"maybe"})", "left out"},
             {"fact/epilepsy", R"("valueString":"yes")", "left out"},
             {"fact/cmvDna", R"("valueBoolean":false)", "no"},
             {"fact/cmvDna", quantity("0", "[IU]/mL"), "no"},
             {"fact/cmvDna", quantity("120", "[IU]/mL"), "yes"},
             {"fact/nothing", R"("valueBoolean":true)", "left out"},
         }) {
        CAPTURE(row.linkId);
        CAPTURE(row.value);
        const Answered answered = read({form(item(row.linkId, row.value))});
        if (row.is == "left out") {
            CHECK(answered.facts.attested.empty());
            REQUIRE_EQ(answered.facts.issues.size(), 1);
            CHECK_EQ(answered.facts.issues.front().path, "entry[1].resource.item[0]");
            CHECK(answered.facts.issues.front().message.starts_with("item left out: "));
            continue;
        }
        const Evidence& evidence = answered.only(row.linkId.substr(5));
        std::string is = std::string(mapping::word(evidence.basis));
        if (mapping::isDecided(evidence.basis)) {
            is = evidence.positive         ? (*evidence.positive ? "yes" : "no")
                 : !evidence.coded.empty() ? std::string(evidence.coded)
                                           : fhir::decimalText(*evidence.value.low);
        }
        CHECK_EQ(is, row.is);
    }
}

TEST_CASE("the parts of an item are read beside its answer") {
    const Answered answered =
        read({form(R"({"linkId":"fact/alt","answer":[{"valueQuantity":{"value":1,"code":"ukat/L"},"item":[)" +
                   item("fact/alt/upperLimit", R"("valueQuantity":{"value":40,"code":"U/L"})") + "," +
                   item("fact/alt/date", R"("valueDate":"2025-11-02")") + "]}]}," +
                   R"({"linkId":"fact/cd7Percent","answer":[{"valueQuantity":{"value":80,"unit":"%"},"item":[)" +
                   item("fact/cd7Percent/method", R"("valueCoding":{"code":"flow cytometry"})") +
                   R"(]},{"valueQuantity":{"value":40,"unit":"%"},"item":[)" +
                   item("fact/cd7Percent/method", R"("valueCoding":{"code":"immunohistochemistry"})") + "]}]}," +
                   item("fact/systemicSteroid", R"("valueBoolean":true)") + "," +
                   item("fact/systemicSteroid/date", R"("valueDate":"2025-10-01")") + "," +
                   item("fact/systemicSteroid/end", R"("valueDate":"2025-11-01")"))});
    CHECK(answered.facts.issues.empty());
    const Evidence& alt = answered.only("alt");
    CHECK_EQ(fhir::decimalText(*alt.value.low), "60");
    CHECK_EQ(fhir::decimalText(*alt.upperLimit), "40");
    CHECK_EQ(alt.date->text(), "2025-11-02");
    const Evidence& steroid = answered.only("systemicSteroid");
    CHECK_EQ(steroid.date->text(), "2025-10-01");
    CHECK_EQ(steroid.end->text(), "2025-11-01");
    CHECK(steroid.state == mapping::State::stopped);
    const mapping::Fact& cd7 = *answered.fact("cd7Percent");
    REQUIRE_EQ(cd7.byMethod.size(), 2);
    CHECK_EQ(shown(cd7.byMethod[0]), "80 %");
    CHECK_EQ(cd7.byMethod[0].method, "flow cytometry");
    CHECK_EQ(shown(cd7.byMethod[1]), "40 %");
}

TEST_CASE("a part belongs to the answer that it stands in, or to the item that it stands beside") {
    struct Row {
        const char* name;
        std::string items;
        const char* date;  ///< of the only result; the day of the form when it takes no part
    };
    const std::string part = item("fact/lvef/date", R"("valueDate":"2025-11-02")");
    const std::string lvef = item("fact/lvef", percent("60"));
    const std::string nested =
        R"({"linkId":"fact/lvef","answer":[{"valueQuantity":{"value":60,"unit":"%"},"item":[)" + part + "]}]}";
    const auto group = [](const std::string& items) { return R"({"linkId":"g","item":[)" + items + "]}"; };
    const auto inAnswer = [](const std::string& items) {
        return R"({"linkId":"fact/ecog","answer":[{"valueInteger":1,"item":[)" + items + "]}]}";
    };
    for (const Row& row : std::vector<Row>{
             {"in the answer", nested, "2025-11-02"},
             {"in the item",
              R"({"linkId":"fact/lvef","answer":[{"valueQuantity":{"value":60,"unit":"%"}}],"item":[)" + part + "]}",
              "2025-11-02"},
             {"beside it", lvef + "," + part, "2025-11-02"},
             {"before it", part + "," + lvef, "2025-11-02"},
             {"in a group of its own", lvef + "," + group(part), "2025-11-02"},
             {"in the answer of another item", lvef + "," + inAnswer(part), "2025-11-12"},
             {"both in the answer of another item", inAnswer(lvef + "," + part), "2025-11-02"},
             {"the item alone in the answer of another item", inAnswer(lvef) + "," + part, "2025-11-12"},
         }) {
        CAPTURE(row.name);
        CHECK_EQ(read({form(row.items)}).only("lvef").date->text(), row.date);
    }
    // A group that is repeated: each item has the parts of its own group.
    const auto ef = [](const char* value, const char* day) {
        return R"({"linkId":"g","item":[)" + item("fact/lvef", percent(value)) + "," +
               item("fact/lvef/date", R"("valueDate":")" + std::string(day) + '"') + "]}";
    };
    const Answered twice = read({form(ef("40", "2025-11-01") + "," + ef("60", "2025-11-10"))});
    const mapping::Fact& results = *twice.fact("lvef");
    REQUIRE_EQ(results.results.size(), 2);
    CHECK_EQ(shown(results.results[0]) + results.results[0].date->text(), "40 %2025-11-01");
    CHECK_EQ(shown(results.results[1]) + results.results[1].date->text(), "60 %2025-11-10");
}

TEST_CASE("what is answered more often than anybody does is left out, with an issue") {
    const auto repeated = [](std::size_t times) {
        std::string items;
        for (std::size_t i = 0; i < times; ++i)
            items += (i == 0 ? "" : ",") + item("fact/epilepsy", R"("valueBoolean":false)");
        return form(items + "," + item("fact/lvef", percent("60")));
    };
    CHECK_EQ(read({repeated(100)}).only("epilepsy").positive, false);
    const Answered tooOften = read({repeated(101)});
    CHECK(tooOften.fact("epilepsy") == nullptr);
    CHECK_EQ(shown(tooOften.only("lvef")), "60 %");
    REQUIRE_EQ(tooOften.facts.issues.size(), 1);
    CHECK_EQ(tooOften.facts.issues.front().message, "item left out: answered 101 times in one form");
}

TEST_CASE("of several forms the newest answer of each item counts") {
    struct Row {
        const char* name;
        std::vector<std::string> forms;
        const char* lvef;  ///< value, or the basis when it does not decide; empty: no answer
    };
    const auto lvef = [](const char* value) { return item("fact/lvef", percent(value)); };
    for (const Row& row : std::vector<Row>{
             {"the newer one", {form(lvef("40"), "2025-11-01", "a"), form(lvef("60"), "2025-11-02", "b")}, "60"},
             {"whatever the order", {form(lvef("60"), "2025-11-02", "b"), form(lvef("40"), "2025-11-01", "a")}, "60"},
             {"blank in the newer one",
              {form(lvef("40"), "2025-11-01", "a"), form(item("fact/alt", percent("1")), "2025-11-02", "b")},
              "40"},
             {"in progress",
              {form(lvef("40"), "2025-11-01", "a"), form(lvef("60"), "2025-11-02", "b", "in-progress")},
              "40"},
             {"entered in error", {form(lvef("40"), "2025-11-01", "a", "entered-in-error")}, ""},
             {"after the day of the evaluation",
              {form(lvef("40"), "2025-11-01", "a"), form(lvef("60"), "2025-11-14", "b")},
              "40"},
             {"without a time", {form(lvef("40"), "2025-11-01", "a"), form(lvef("60"), "", "b")}, "40"},
             {"the same time, the same answer",
              {form(lvef("60"), "2025-11-01", "a"), form(lvef("60.0"), "2025-11-01", "b")},
              "60"},
             {"unreadable in the newer one",
              {form(lvef("40"), "2025-11-01", "a"),
               form(item("fact/lvef", R"("valueQuantity":{"value":1,"unit":"x"})"), "2025-11-02", "b")},
              "40"},
             {"amended at the same time",
              {form(lvef("40"), "2025-11-01", "a"), form(lvef("60"), "2025-11-01", "b", "amended")},
              "60"},
             {"only without a time", {form(item("fact/epilepsy", R"("valueBoolean":false)"), "", "b")}, ""},
         }) {
        CAPTURE(row.name);
        const Answered answered = read(row.forms);
        if (std::string_view(row.lvef).empty()) {
            CHECK(answered.fact("lvef") == nullptr);
        } else {
            CHECK_EQ(fhir::decimalText(*answered.only("lvef").value.low), row.lvef);
        }
    }
    const Answered conflict =
        read({form(lvef("40"), "2025-11-01", "a"), form(lvef("60"), "2025-11-01T09:00:00Z", "b")});
    REQUIRE_EQ(conflict.fact("lvef")->results.size(), 2);
    for (const Evidence& evidence : conflict.fact("lvef")->results) CHECK_EQ(evidence.basis, Basis::conflicting);
    CHECK_EQ(read({form(lvef("40"), "")}).only("lvef").basis, Basis::undated);
}

TEST_CASE("an answer ages like a result, and where its fact has no window after ninety days") {
    struct Row {
        const char* name;
        std::string items;
        const char* authored;
        bool stale;
    };
    for (const Row& row : std::vector<Row>{
             {"lvef", item("fact/lvef", percent("60")), "2025-08-15", false},
             {"lvef", item("fact/lvef", percent("60")), "2025-08-14", true},
             {"lvef", item("fact/lvef", percent("60")) + "," + item("fact/lvef/date", R"("valueDate":"2025-08-14")"),
              "2025-11-12", true},
             {"pericardialEffusion", item("fact/pericardialEffusion", R"("valueBoolean":true)"), "2025-08-14", true},
             {"epilepsy", item("fact/epilepsy", R"("valueBoolean":false)"), "2025-08-15", false},
             {"epilepsy", item("fact/epilepsy", R"("valueBoolean":false)"), "2025-08-14", true},
             {"epilepsy", item("fact/epilepsy", R"("valueBoolean":true)"), "2020-08-14", false},
             {"priorLines", item("fact/priorLines", R"("valueInteger":2)"), "2025-08-14", true},
             {"hivAntibody", item("fact/hivAntibody", R"("valueBoolean":true)"), "2020-01-01", false},
             {"hivAntibody", item("fact/hivAntibody", R"("valueBoolean":false)"), "2020-01-01", true},
         }) {
        CAPTURE(row.name);
        CAPTURE(row.authored);
        const Evidence evidence = read({form(row.items, row.authored)}).only(row.name);
        CHECK_EQ(evidence.stale, row.stale);
    }
}

TEST_CASE("what is dated after the day of the evaluation is not used, and an end that lies ahead is none") {
    const std::string yes = R"("valueBoolean":true)";
    const Answered ahead = read({form(item("fact/myocardialInfarction", yes) + "," +
                                      item("fact/myocardialInfarction/date", R"("valueDate":"2025-12-01")"))});
    CHECK(ahead.facts.attested.empty());
    CHECK_EQ(ahead.facts.issues.size(), 1);
    const Answered planned = read({form(item("fact/systemicSteroid", yes) + "," +
                                        item("fact/systemicSteroid/end", R"("valueDate":"2025-12-01")"))});
    CHECK(planned.only("systemicSteroid").state == mapping::State::active);
    const Answered later = read({form(item("fact/systemicSteroid", yes), "2026-01-01")});
    CHECK(later.facts.attested.empty());
    REQUIRE_EQ(later.facts.issues.size(), 1);
    CHECK_EQ(later.facts.issues.front().message, "1 screening form(s) dated after 2025-11-13 not used");
}

TEST_CASE("forms about other things are of no concern") {
    const Answered answered =
        read({form(item("phq-9/1", R"("valueInteger":3)") + "," + item("1.1", R"("valueBoolean":true)"))});
    CHECK(answered.facts.attested.empty());
    CHECK(answered.facts.answers.empty());
    CHECK(answered.facts.issues.empty());
}
