#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/fact.h"
#include "rules/evaluate.h"
#include "tests/support.h"

// Every numeric limit of every trial: at the limit, one step below it and one step above it. The limits are read from
// the trial files, so a new one must find its row here or be named as one that no code answers.

namespace {

using fhir::Rational;
using rules::Comparison;
using rules::Operator;
using rules::Truth;

constexpr std::string_view asOf = "2025-11-13";

struct Limit {
    const rules::Trial* trial = nullptr;
    std::size_t criterion = 0;
    const rules::Rule* rule = nullptr;

    const Comparison& comparison() const { return rule->comparison; }
    const mapping::FactDefinition& fact() const {
        return support::knowledge().vocabulary.facts()[rule->comparison.fact];
    }
    std::string text() const {
        return trial->id + '.' + trial->criteria[criterion].id + ": " + rule->comparison.sentence;
    }
};

std::vector<Limit> limits() {
    std::vector<Limit> found;
    for (const rules::Trial& trial : support::knowledge().trials) {
        for (std::size_t i = 0; i < trial.criteria.size(); ++i) {
            const std::function<void(const rules::Rule&)> walk = [&](const rules::Rule& rule) {
                if (rule.kind == rules::Rule::Kind::comparison && rule.comparison.form == Comparison::Form::order)
                    found.push_back({&trial, i, &rule});
                for (const rules::Rule& part : rule.rules) walk(part);
            };
            walk(trial.criteria[i].when);
        }
    }
    return found;
}

Rational number(std::string_view text) {
    const auto value = fhir::parseDecimal(text);
    REQUIRE(value.has_value());
    return *value;
}

/// One way in which charts write a fact: a real LOINC code and a unit.
struct Notation {
    std::string_view fact;
    std::string_view loinc;
    std::string_view unit;
    Rational factor;  ///< what one of this unit is in the fact's unit. Source: NOTES.md section 4, ruling 26
    std::string_view upperLimit;  ///< an upper limit of normal in this unit
    std::string_view step;        ///< a hundredth of the unit, or finer where the unit is large
};

const std::vector<Notation>& notations() {
    static const std::vector<Notation> table{
        {"creatinine", "2160-0", "mg/dL", 1, "1.2", "0.01"},
        {"creatinine", "14682-9", "umol/L", Rational(100, 8842), "88.42", "0.01"},
        {"creatinine", "2160-0", "mg/L", Rational(1, 10), "12.3", "0.01"},
        {"totalBilirubin", "1975-2", "mg/dL", 1, "1.1", "0.01"},
        {"totalBilirubin", "14631-6", "umol/L", Rational(1000, 17104), "17.104", "0.01"},
        {"directBilirubin", "1968-7", "mg/dL", 1, "0.3", "0.01"},
        {"directBilirubin", "14629-0", "umol/L", Rational(1000, 17104), "5.1", "0.01"},
        {"alt", "1742-6", "U/L", 1, "41", "0.01"},
        {"alt", "1742-6", "ukat/L", 60, "0.67", "0.01"},
        {"ast", "1920-8", "U/L", 1, "37", "0.01"},
        {"ast", "1920-8", "ukat/L", 60, "0.58", "0.01"},
        {"hemoglobin", "718-7", "g/L", 1, "160", "0.01"},
        {"hemoglobin", "718-7", "g/dL", 10, "16", "0.01"},
        {"hemoglobin", "59260-0", "mmol/L", Rational(161145, 10000), "10", "0.01"},
        {"inr", "6301-6", "{INR}", 1, "1.2", "0.01"},
        {"inr", "6301-6", "1", 1, "1.15", "0.01"},
        {"aptt", "14979-9", "s", 1, "36.5", "0.01"},
        {"creatinineClearance", "35591-7", "mL/min", 1, "130", "0.01"},
        {"creatinineClearance", "35591-7", "mL/s", 60, "2", "0.01"},
        {"lvef", "10230-1", "%", 1, "70", "0.01"},
        {"lvef", "18043-0", "1", 100, "0.7", "0.0001"},
        {"spo2", "59408-5", "%", 1, "100", "0.01"},
        {"spo2", "59408-5", "1", 100, "1", "0.0001"},
        {"spo2RoomAir", "59408-5", "%", 1, "100", "0.01"},
        {"spo2RoomAir", "2708-6", "1", 100, "1", "0.0001"},
        {"qtc", "8636-3", "ms", 1, "450", "0.01"},
        {"qtc", "8636-3", "s", 1000, "0.45", "0.0001"},
        {"boneMarrowBlasts", "11150-0", "%", 1, "5", "0.01"},
        {"boneMarrowBlasts", "11150-0", "1", 100, "0.05", "0.0001"},
        {"peripheralBlasts", "26446-5", "%", 1, "1", "0.01"},
        {"peripheralBlasts", "709-6", "1", 100, "0.01", "0.0001"},
        {"cd7Percent", "35641-0", "%", 1, "100", "0.01"},
        {"cd7Percent", "8135-6", "1", 100, "1", "0.0001"},
        {"ecog", "89247-1", "{score}", 1, "5", "0.01"},
        {"ecog", "89247-1", "1", 1, "5", "0.01"},
        {"karnofsky", "89243-0", "{score}", 1, "100", "0.01"},
        {"karnofsky", "89243-0", "%", 1, "100", "0.01"},
        {"hbsAgQuantity", "63557-3", "[IU]/mL", 1, "0.05", "0.01"},
        {"hbsAgQuantity", "58452-4", "k[IU]/mL", 1000, "0.05", "0.01"},
        {"hbvDna", "42595-9", "[IU]/mL", 1, "20", "0.01"},
        {"hbvDna", "29615-2", "{copies}/mL", 1, "100", "0.01"},
        {"cmvDna", "72493-0", "[IU]/mL", 1, "34.5", "0.01"},
        {"cmvDna", "30247-1", "{copies}/mL", 1, "500", "0.01"},
        {"ebvDna", "47982-4", "{copies}/mL", 1, "400", "0.01"},
        {"ebvDna", "32585-2", "k[IU]/mL", 1000, "0.4", "0.01"},
    };
    return table;
}

/// Facts with a limit that no code of a resource we read answers: the screening form does (rulings 14 and 15).
const std::set<std::string_view> noCode{"nodalLesion", "extranodalLesion", "dyspneaGrade",    "acuteGvhdGrade",
                                        "priorLines",  "firstLineCycles",  "inductionCycles", "antihypertensiveCount"};

/// Facts that are computed from dates; their limits have tests of their own below.
const std::set<std::string_view> fromDates{"age", "ageInMonths", "relapseCount", "monthsFromRemissionToRelapse"};

bool holds(const Rational& value, Operator op, const Rational& limit) {
    switch (op) {
        case Operator::less:
            return value < limit;
        case Operator::lessOrEqual:
            return value <= limit;
        case Operator::equal:
            return value == limit;
        case Operator::greaterOrEqual:
            return value >= limit;
        case Operator::greater:
            return value > limit;
    }
    return false;
}

/// The digits of a number, nothing when it is no finite decimal.
std::optional<std::string> digits(const Rational& value) {
    const std::string text = fhir::decimalText(value, 12);
    if (number(text) != value) return std::nullopt;
    return text;
}

std::string quantity(const std::string& value, std::string_view unit) {
    return R"({"value":)" + value + R"(,"unit":")" + std::string(unit) +
           R"(","system":"http://unitsofmeasure.org","code":")" + std::string(unit) + R"("})";
}

std::string patient(std::string_view birthDate = "1980-02-29") {
    return R"({"resourceType":"Patient","id":"p1","gender":"female","birthDate":")" + std::string(birthDate) + R"("})";
}

std::string observation(const Notation& notation, const std::string& value, std::string_view method) {
    std::string text =
        R"({"resourceType":"Observation","id":"o1","status":"final","subject":{"reference":"Patient/p1"},)"
        R"("effectiveDateTime":"2025-11-10","code":{"coding":[{"system":"http://loinc.org","code":")" +
        std::string(notation.loinc) + R"("}],"text":"in tumour cells"},"valueQuantity":)" +
        quantity(value, notation.unit) + R"(,"referenceRange":[{"high":)" +
        quantity(std::string(notation.upperLimit), notation.unit) + "}]";
    if (!method.empty() && notation.fact == "cd7Percent")
        text += R"(,"method":{"text":")" + std::string(method) + R"("})";
    if (notation.fact.find("spo2") == 0)
        text += R"(,"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"3150-0"}]},"valueQuantity":)" +
                quantity("21", "%") + "}]";
    return text + "}";
}

rules::Outcome outcomeOf(const Limit& limit, const std::vector<std::string>& resources, std::string_view day = asOf) {
    const fhir::Chart chart = support::chartOf(support::bundleOf(resources));
    const mapping::Facts facts = mapping::readFacts(chart, support::knowledge().vocabulary, support::day(day));
    rules::Outcome outcome = rules::evaluateRule(*limit.trial, limit.criterion, *limit.rule, facts);
    outcome.evidence.clear();  // it points into the facts, which end here
    outcome.open.clear();
    return outcome;
}

Truth truthOf(const Limit& limit, const std::vector<std::string>& resources, std::string_view day = asOf) {
    return outcomeOf(limit, resources, day).truth;
}

/// The values around a limit, as a chart of this notation writes them.
std::vector<std::string> around(const Limit& limit, const Notation& notation) {
    const Rational at = limit.comparison().timesUpperLimit
                            ? Rational(limit.comparison().value * number(notation.upperLimit))
                            : Rational(limit.comparison().value / notation.factor);
    const Rational step = number(notation.step);
    std::vector<std::string> values;
    if (const auto exact = digits(at)) {
        for (const Rational& value : {Rational(at - step), at, Rational(at + step)}) values.push_back(*digits(value));
        return values;
    }
    // 80 g/L is no finite number of mmol/L: the last step below the limit and the first above it.
    const Rational steps = at / step;
    const std::string text = fhir::decimalText(steps, 12);
    const Rational whole = number(text.substr(0, text.find('.')));
    for (const int more : {0, 1}) values.push_back(*digits((whole + more) * step));
    return values;
}

}  // namespace

TEST_CASE("every numeric limit is decided at the limit, just below it and just above it, in every unit") {
    const std::vector<Limit> all = limits();
    CHECK(all.size() > 70);
    std::set<const Notation*> used;
    std::size_t exact = 0;
    for (const Limit& limit : all) {
        CAPTURE(limit.text());
        const std::string& fact = limit.fact().name;
        if (noCode.count(fact) == 1 || fromDates.count(fact) == 1) continue;
        std::size_t systems = 0;
        for (const Notation& notation : notations()) {
            if (notation.fact != fact) continue;
            ++systems;
            used.insert(&notation);
            const std::vector<std::string> values = around(limit, notation);
            exact += values.size() == 3 ? 1 : 0;
            for (const std::string& value : values) {
                const Rational inFactUnit = number(value) * notation.factor;
                const Rational bound =
                    limit.comparison().timesUpperLimit
                        ? Rational(limit.comparison().value * number(notation.upperLimit) * notation.factor)
                        : limit.comparison().value;
                const Truth expected = holds(inFactUnit, limit.comparison().op, bound) ? Truth::True : Truth::False;
                const rules::Outcome outcome =
                    outcomeOf(limit, {patient(), observation(notation, value, limit.comparison().method)});
                CAPTURE(value);
                CAPTURE(notation.unit);
                CAPTURE(notation.loinc);
                CHECK(rules::word(outcome.truth) == rules::word(expected));
                CHECK(mapping::word(outcome.basis) == "recorded");
            }
        }
        CHECK_MESSAGE(systems > 0, fact << " has a limit, but no row here and no place among those without a code");
    }
    CHECK(exact > 100);
    for (const Notation& notation : notations())
        CHECK_MESSAGE(used.count(&notation) == 1, notation.fact << " has a row, but no trial has a limit on it");
}

TEST_CASE("a fact that has two units is tested in two") {
    std::map<std::string_view, std::set<std::string_view>> units;
    for (const Notation& notation : notations()) units[notation.fact].insert(notation.unit);
    for (const auto& [fact, spellings] : units) {
        const mapping::FactDefinition* definition = support::knowledge().vocabulary.find(fact);
        REQUIRE(definition != nullptr);
        CHECK_MESSAGE((spellings.size() > 1 || definition->units.size() == 1),
                      definition->name << " has other units too");
    }
}

TEST_CASE("a limit that no code answers stays open, and would be noticed if a code came") {
    std::set<std::string> seen;
    const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
    for (const Limit& limit : limits()) {
        const mapping::FactDefinition& fact = limit.fact();
        if (noCode.count(fact.name) == 0) continue;
        CAPTURE(limit.text());
        seen.insert(fact.name);
        for (const mapping::CodeRow& row : vocabulary.rows()) {
            if (row.fact == fact.index && row.role == mapping::Role::accept &&
                vocabulary.systemName(row.system) == "loinc")
                FAIL_CHECK(fact.name << " has the code " << row.code << " now: it needs a row here");
        }
        CHECK(truthOf(limit, {patient()}) == Truth::Unknown);
    }
    CHECK(seen.size() == noCode.size());
}

TEST_CASE("a limit on age holds from the day of the birthday to the day before the next") {
    std::size_t tested = 0;
    for (const Limit& limit : limits()) {
        if (limit.fact().name != "age") continue;
        ++tested;
        CAPTURE(limit.text());
        const int years = std::stoi(fhir::decimalText(limit.comparison().value));
        const fhir::Date today = support::day(asOf);
        struct Row {
            fhir::Date birth;
            int age;
        };
        const std::vector<Row> table{
            {fhir::addMonths(today, -12 * years) + 1, years - 1},        // the birthday is tomorrow
            {fhir::addMonths(today, -12 * years), years},                // it is today
            {fhir::addMonths(today, -12 * years) - 1, years},            // it was yesterday
            {fhir::addMonths(today, -12 * (years + 1)) + 1, years},      // the day before the next
            {fhir::addMonths(today, -12 * (years + 1)), years + 1},      // the next
            {fhir::addMonths(today, -12 * (years + 1)) - 1, years + 1},  // the day after
        };
        for (const Row& row : table) {
            CAPTURE(row.birth.text());
            const Truth expected = holds(row.age, limit.comparison().op, years) ? Truth::True : Truth::False;
            const rules::Outcome outcome = outcomeOf(limit, {patient(row.birth.text())});
            CHECK(outcome.truth == expected);
            CHECK(mapping::word(outcome.basis) == "derived");
        }
        // Born in a month or a year that straddles the limit, nobody knows.
        CHECK(truthOf(limit, {patient(fhir::addMonths(today, -12 * years).text().substr(0, 7))}) ==
              (holds(years, limit.comparison().op, years) == holds(years - 1, limit.comparison().op, years)
                   ? (holds(years, limit.comparison().op, years) ? Truth::True : Truth::False)
                   : Truth::Unknown));
    }
    CHECK(tested == 9);
}

TEST_CASE("somebody born on 29 February has the birthday on 1 March in other years") {
    for (const Limit& limit : limits()) {
        if (limit.fact().name != "age" || limit.comparison().op != Operator::greaterOrEqual ||
            limit.comparison().value != 18)
            continue;
        CAPTURE(limit.text());
        CHECK(truthOf(limit, {patient("2008-02-29")}, "2026-02-28") == Truth::False);
        CHECK(truthOf(limit, {patient("2008-02-29")}, "2026-03-01") == Truth::True);
    }
}

TEST_CASE("older than six months begins the day after six months are completed") {
    std::size_t tested = 0;
    for (const Limit& limit : limits()) {
        if (limit.fact().name != "ageInMonths") continue;
        ++tested;
        CAPTURE(limit.text());
        REQUIRE(limit.comparison().value == 6);
        struct Row {
            std::string_view birth;
            Rational months;  // any number on the right side of six
        };
        const std::vector<Row> table{
            {"2025-05-14", Rational(599, 100)}, {"2025-05-13", 6}, {"2025-05-12", Rational(601, 100)}};
        for (const Row& row : table) {
            CAPTURE(row.birth);
            const Truth expected = holds(row.months, limit.comparison().op, 6) ? Truth::True : Truth::False;
            CHECK(truthOf(limit, {patient(row.birth)}) == expected);
        }
    }
    CHECK(tested == 2);
}

namespace {

std::string aml(std::string_view id, std::string_view code, std::string_view status, const std::string& rest) {
    return R"({"resourceType":"Condition","id":")" + std::string(id) + R"(","subject":{"reference":"Patient/p1"},)" +
           R"("clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":")" +
           std::string(status) + R"("}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":")" +
           std::string(code) + R"("}]})" + rest + "}";
}

std::string remission(std::string_view day) {
    return aml("r", "C92.01", "remission",
               R"(,"onsetDateTime":"2020-01-01","abatementDateTime":")" + std::string(day) + '"');
}

std::string relapse(std::string_view id, std::string_view day) {
    return aml(id, "C92.02", "active", R"(,"onsetDateTime":")" + std::string(day) + '"');
}

}  // namespace

TEST_CASE("months from remission to relapse are calendar months, to the day") {
    std::size_t tested = 0;
    for (const Limit& limit : limits()) {
        if (limit.fact().name != "monthsFromRemissionToRelapse") continue;
        ++tested;
        CAPTURE(limit.text());
        REQUIRE(limit.comparison().value == 12);
        struct Row {
            std::string_view relapse;
            Rational months;
        };
        const std::vector<Row> table{
            {"2025-03-14", Rational(1199, 100)}, {"2025-03-15", 12}, {"2025-03-16", Rational(1201, 100)}};
        for (const Row& row : table) {
            CAPTURE(row.relapse);
            const Truth expected = holds(row.months, limit.comparison().op, 12) ? Truth::True : Truth::False;
            CHECK(truthOf(limit, {patient(), remission("2024-03-15"), relapse("x", row.relapse)}) == expected);
        }
    }
    CHECK(tested == 10);
}

TEST_CASE("a count of relapses decides at its limit and above, never below it") {
    std::size_t tested = 0;
    for (const Limit& limit : limits()) {
        if (limit.fact().name != "relapseCount") continue;
        ++tested;
        CAPTURE(limit.text());
        REQUIRE(limit.comparison().value == 2);
        REQUIRE(limit.comparison().op == Operator::greaterOrEqual);
        const std::string first = relapse("x", "2023-01-10");
        const std::string second = relapse("y", "2024-06-10");
        const std::string third = relapse("z", "2025-06-10");
        CHECK(truthOf(limit, {patient()}) == Truth::Unknown);
        CHECK(truthOf(limit, {patient(), first}) == Truth::Unknown);
        CHECK(truthOf(limit, {patient(), first, second}) == Truth::True);
        CHECK(truthOf(limit, {patient(), first, second, third}) == Truth::True);
        CHECK(truthOf(limit, {patient(), first, relapse("y", "2023-01-10")}) == Truth::Unknown);
    }
    CHECK(tested == 2);
}
