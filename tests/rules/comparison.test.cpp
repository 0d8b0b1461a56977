#include "rules/comparison.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"

using mapping::Interval;
using rules::Anchor;
using rules::compare;
using rules::Comparison;
using rules::Operator;
using rules::Truth;
using rules::Window;

namespace {

constexpr Truth F = Truth::False;
constexpr Truth U = Truth::Unknown;
constexpr Truth T = Truth::True;

/// Operators in the order of the columns below.
constexpr std::array<Operator, 5> columns{Operator::less, Operator::lessOrEqual, Operator::equal,
                                          Operator::greaterOrEqual, Operator::greater};

Interval open(int low, int high) {
    return {fhir::Rational(low), fhir::Rational(high), true, true};
}
Interval openLow(int low, int high) {
    return {fhir::Rational(low), fhir::Rational(high), true, false};
}
Interval openHigh(int low, int high) {
    return {fhir::Rational(low), fhir::Rational(high), false, true};
}

struct Reading {
    std::optional<Comparison> comparison;
    std::vector<std::string> problems;
};

Reading read(std::string_view sentence) {
    Reading reading;
    reading.comparison = rules::readComparison(sentence, support::knowledge().vocabulary, reading.problems);
    return reading;
}

Comparison sound(std::string_view sentence) {
    Reading reading = read(sentence);
    CAPTURE(sentence);
    for (const std::string& problem : reading.problems) FAIL_CHECK(problem);
    REQUIRE(reading.comparison.has_value());
    CHECK(reading.comparison->sentence == sentence);
    return *reading.comparison;
}

std::string factName(std::size_t index) {
    return support::knowledge().vocabulary.facts()[index].name;
}

fhir::Rational number(std::string_view text) {
    const auto value = fhir::parseDecimal(text);
    REQUIRE(value.has_value());
    return *value;
}

}  // namespace

TEST_CASE("an interval is compared with 5: decided when the answer is the same for all its values") {
    struct Row {
        std::string_view meaning;
        Interval interval;
        std::array<Truth, 5> truth;  // <  <=  =  >=  >
    };
    const std::vector<Row> table{
        {"the point 4", Interval::point(4), {T, T, F, F, F}},
        {"the point 5", Interval::point(5), {F, T, T, T, F}},
        {"the point 6", Interval::point(6), {F, F, F, T, T}},
        {"3 to 4", Interval::between(3, 4), {T, T, F, F, F}},
        {"3 to 5", Interval::between(3, 5), {U, T, U, U, F}},
        {"3 to 5, 5 not meant", openHigh(3, 5), {T, T, F, F, F}},
        {"3 to 7", Interval::between(3, 7), {U, U, U, U, U}},
        {"5 to 7", Interval::between(5, 7), {F, U, U, T, U}},
        {"5 to 7, 5 not meant", openLow(5, 7), {F, F, F, T, T}},
        {"6 to 7", Interval::between(6, 7), {F, F, F, T, T}},
        {"4 to 6, neither end meant", open(4, 6), {U, U, U, U, U}},
        {"5 to 6, neither end meant", open(5, 6), {F, F, F, T, T}},
        {"<4", Interval::below(4), {T, T, F, F, F}},
        {"<5", Interval::below(5), {T, T, F, F, F}},
        {"<6", Interval::below(6), {U, U, U, U, U}},
        {"<=4", Interval::atMost(4), {T, T, F, F, F}},
        {"<=5", Interval::atMost(5), {U, T, U, U, F}},
        {"<=6", Interval::atMost(6), {U, U, U, U, U}},
        {">4", Interval::above(4), {U, U, U, U, U}},
        {">5", Interval::above(5), {F, F, F, T, T}},
        {">6", Interval::above(6), {F, F, F, T, T}},
        {">=4", Interval::atLeast(4), {U, U, U, U, U}},
        {">=5", Interval::atLeast(5), {F, U, U, T, U}},
        {">=6", Interval::atLeast(6), {F, F, F, T, T}},
        {"anything", Interval{}, {U, U, U, U, U}},
    };
    for (const Row& row : table) {
        CAPTURE(row.meaning);
        for (std::size_t i = 0; i < columns.size(); ++i) {
            CAPTURE(i);
            CHECK(compare(row.interval, columns[i], 5) == row.truth[i]);
        }
    }
}

TEST_CASE("every comparison agrees with its opposite") {
    const std::vector<Interval> intervals{Interval::point(5),  Interval::between(3, 5), Interval::below(5),
                                          Interval::atMost(5), Interval::above(5),      Interval::atLeast(5),
                                          openLow(5, 7),       openHigh(3, 5),          Interval{}};
    for (const Interval& interval : intervals) {
        for (const int value : {2, 3, 4, 5, 6, 7, 8}) {
            CHECK(compare(interval, Operator::less, value) ==
                  rules::kleeneNot(compare(interval, Operator::greaterOrEqual, value)));
            CHECK(compare(interval, Operator::greater, value) ==
                  rules::kleeneNot(compare(interval, Operator::lessOrEqual, value)));
        }
    }
}

TEST_CASE("equality at a boundary is decided as in decimal arithmetic") {
    // 1.5 x 1.2 is 1.7999999999999998 in binary floating point.
    const fhir::Rational bound = number("1.5") * number("1.2");
    CHECK(compare(Interval::point(number("1.8")), Operator::greater, bound) == F);
    CHECK(compare(Interval::point(number("1.8")), Operator::equal, bound) == T);
    CHECK(compare(Interval::point(number("0.1") + number("0.2")), Operator::lessOrEqual, number("0.3")) == T);
    CHECK(compare(Interval::point(number("1.80000000000000000001")), Operator::lessOrEqual, bound) == F);
}

TEST_CASE("every form of sentence is read") {
    const Comparison yes = sound("gilbertSyndrome");
    CHECK(yes.form == Comparison::Form::yes);
    CHECK(factName(yes.fact) == "gilbertSyndrome");
    CHECK_FALSE(yes.window.has_value());

    const Comparison order = sound("lvef >= 50 %");
    CHECK(order.form == Comparison::Form::order);
    CHECK(order.op == Operator::greaterOrEqual);
    CHECK(order.value == 50);
    CHECK_FALSE(order.timesUpperLimit);

    const Comparison limit = sound("totalBilirubin <= 1.5 xULN");
    CHECK(limit.timesUpperLimit);
    CHECK(limit.value == number("1.5"));

    const Comparison members = sound("bestResponse in SD, PD, NR");
    CHECK(members.form == Comparison::Form::membership);
    CHECK(members.members == std::vector<std::string>{"SD", "PD", "NR"});
    CHECK(sound("cd7Method in immunohistochemistry, flow cytometry").members ==
          std::vector<std::string>{"immunohistochemistry", "flow cytometry"});

    CHECK(sound("boneMarrowBlasts >= 5 % by morphology").method == "morphology");
    CHECK(sound("cd7Percent >= 70 % by flow cytometry").method == "flow cytometry");

    const Comparison except = sound("otherMalignancy except treatedException within 5 years");
    CHECK(except.form == Comparison::Form::yes);
    REQUIRE(except.except.has_value());
    CHECK(factName(*except.except) == "treatedException");
    REQUIRE(except.window.has_value());
    CHECK(except.window->length == 5);
    CHECK(except.window->unit == Window::Unit::years);
    CHECK(except.window->anchor == Anchor::screening);

    const Comparison twice = sound("peripheralLeukemicCells twice at least 7 days apart");
    CHECK(twice.form == Comparison::Form::twice);
    CHECK(twice.daysApart == 7);
    CHECK(sound("peripheralLeukemicCells twice at least 2 weeks apart").daysApart == 14);

    const Comparison window = sound("systemicSteroid within 7 days before enrollment");
    REQUIRE(window.window.has_value());
    CHECK(window.window->length == 7);
    CHECK(window.window->unit == Window::Unit::days);
    CHECK(window.window->anchor == Anchor::enrollment);

    const Comparison after = sound("relapse after stemCellTransplant");
    REQUIRE(after.after.has_value());
    CHECK(factName(*after.after) == "stemCellTransplant");

    const Comparison both = sound("peripheralLeukemicCells twice at least 7 days apart after completeRemission");
    CHECK(both.form == Comparison::Form::twice);
    CHECK(both.after.has_value());
}

TEST_CASE("every operator is read") {
    const std::vector<std::pair<std::string, Operator>> table{{"<", Operator::less},
                                                              {"<=", Operator::lessOrEqual},
                                                              {"=", Operator::equal},
                                                              {">=", Operator::greaterOrEqual},
                                                              {">", Operator::greater}};
    for (const auto& [text, op] : table) CHECK(sound("lvef " + text + " 50 %").op == op);
}

TEST_CASE("every anchor and every unit of a window is read") {
    const std::vector<std::pair<std::string, Anchor>> anchors{{"screening", Anchor::screening},
                                                              {"enrollment", Anchor::enrollment},
                                                              {"cellCollection", Anchor::cellCollection},
                                                              {"lymphodepletion", Anchor::lymphodepletion},
                                                              {"infusion", Anchor::infusion}};
    for (const auto& [text, anchor] : anchors)
        CHECK(sound("epilepsy within 3 days before " + text).window->anchor == anchor);
    const std::vector<std::pair<std::string, Window::Unit>> units{{"days", Window::Unit::days},
                                                                  {"weeks", Window::Unit::weeks},
                                                                  {"months", Window::Unit::months},
                                                                  {"years", Window::Unit::years}};
    for (const auto& [text, unit] : units) CHECK(sound("epilepsy within 3 " + text).window->unit == unit);
}

TEST_CASE("a bound in another unit of the fact means the same bound") {
    CHECK(sound("hemoglobin >= 8 g/dL").value == sound("hemoglobin >= 80 g/L").value);
    CHECK(sound("creatinine <= 88.42 umol/L").value == sound("creatinine <= 1 mg/dL").value);
    CHECK(sound("qtc > 0.48 s").value == sound("qtc > 480 ms").value);
    CHECK(sound("age >= 18 years").value == 18);
}

TEST_CASE("the last day of a window is the day so many days, weeks, months or years later") {
    struct Row {
        int length;
        Window::Unit unit;
        std::string_view event, last;
    };
    const std::vector<Row> table{
        {7, Window::Unit::days, "2025-11-06", "2025-11-13"},   {1, Window::Unit::weeks, "2025-11-06", "2025-11-13"},
        {4, Window::Unit::weeks, "2025-10-16", "2025-11-13"},  {6, Window::Unit::months, "2025-05-13", "2025-11-13"},
        {1, Window::Unit::months, "2025-01-31", "2025-03-01"}, {12, Window::Unit::months, "2024-02-29", "2025-03-01"},
        {5, Window::Unit::years, "2020-11-13", "2025-11-13"},  {1, Window::Unit::years, "2023-02-28", "2024-02-28"},
    };
    for (const Row& row : table) {
        CAPTURE(row.event);
        CHECK(Window{row.length, row.unit, Anchor::screening}.lastDayInside(support::day(row.event)) ==
              support::day(row.last));
    }
}

TEST_CASE("every kind of mistake in a sentence gives one clear message") {
    struct Row {
        std::string_view sentence, message;
    };
    const std::vector<Row> table{
        {"", "a fact is missing"},
        {"leftVentricle >= 50 %", "unknown fact 'leftVentricle'"},
        {"LVEF >= 50 %", "unknown fact 'LVEF'"},
        {"lvef >= 50 mL", "unit 'mL' should be '%'"},
        {"creatinineClearance >= 60 mL/min/1.73m2", "unit 'mL/min/1.73m2' should be 'mL/min'"},
        {"lvef >= 50", "the unit '%' is missing"},
        {"lvef >= fifty %", "'fifty' is not a number"},
        {"lvef >=", "'the end' is not a number"},
        {"lvef => 50 %", "'=>' is neither an operator nor a word that may follow a fact"},
        {"lvef", "'lvef' is not a yes/no fact: a bound or 'in' is missing"},
        {"bestResponse", "'bestResponse' is not a yes/no fact: a bound or 'in' is missing"},
        {"lvef >= 50 % by guesswork", "'lvef' knows no method 'guesswork'"},
        {"hemoglobin >= 80 g/L by morphology", "'hemoglobin' knows no method 'morphology'"},
        {"bestResponse in SD, XX", "'XX' is not one of CR, CRi, PR, SD, PD, NR"},
        {"bestResponse in SD,", "'' is not one of CR, CRi, PR, SD, PD, NR"},
        {"age >= 18 years < 70 years", "'<' does not belong here: a sentence holds one comparison"},
        {"lvef >= 50 % and ecog <= 2", "'and' does not belong here: a sentence holds one comparison"},
        {"epilepsy or dementia", "'or' is neither an operator nor a word that may follow a fact"},
        {"epilepsy within seven days", "a whole number is needed before 'seven'"},
        {"epilepsy within 0 days", "a whole number is needed before '0'"},
        {"epilepsy within -3 days", "a whole number is needed before '-3'"},
        {"epilepsy within 2.5 weeks", "a whole number is needed before '2.5'"},
        {"epilepsy within", "a whole number is needed before 'the end'"},
        {"epilepsy within 7 fortnights", "'fortnights' should be days, weeks, months or years"},
        {"epilepsy within 7 days before breakfast",
         "'breakfast' should be enrollment, cellCollection, lymphodepletion or infusion"},
        {"epilepsy within 7 days within 3 days", "a sentence holds one window"},
        {"lvef >= 50 % within 7 days", "a bound and a date are two sentences"},
        {"epilepsy except nothingKnown", "unknown fact 'nothingKnown'"},
        {"relapse after nothingKnown", "unknown fact 'nothingKnown'"},
        {"peripheralLeukemicCells twice", "'twice' is followed by 'at least N days apart'"},
        {"peripheralLeukemicCells twice at least 7 days", "'apart' is missing"},
        {"peripheralLeukemicCells twice at least 2 months apart", "'apart' is in days or weeks"},
        {"hcvRna >= 20 [IU]/mL", "a bound on 'hcvRna' must be in xULN: its units do not convert"},
        {"relapseCount >= 2 relapses", "'relapseCount' is a count and has no unit"},
        {"relapseCount >= 2 xULN", "'relapseCount' has no upper limit of normal"},
        {"bodyHeight >= 150 cm", "'bodyHeight' is shown, never evaluated"},
    };
    for (const Row& row : table) {
        CAPTURE(row.sentence);
        const Reading reading = read(row.sentence);
        CHECK_FALSE(reading.comparison.has_value());
        REQUIRE_FALSE(reading.problems.empty());
        CHECK(reading.problems.front() == row.message);
        CHECK(reading.problems.size() == 1);
    }
}

TEST_CASE("a bound on a yes/no fact is named as that and not as a trouble with units") {
    for (const std::string sentence : {"epilepsy >= 3", "epilepsy >= 3 %", "bestResponse >= 3", "epilepsy <= 2 xULN"}) {
        CAPTURE(sentence);
        const Reading reading = read(sentence);
        CHECK_FALSE(reading.comparison.has_value());
        const bool named =
            std::any_of(reading.problems.begin(), reading.problems.end(), [&](const std::string& problem) {
                return problem.find("a bound on '") == 0 && problem.find("which is no number") != std::string::npos;
            });
        CHECK(named);
        for (const std::string& problem : reading.problems) CHECK(problem.find("''") == std::string::npos);
    }
}

TEST_CASE("what cannot be asked of a fact is refused") {
    // One message at least; which one comes first is not the point.
    for (const std::string sentence :
         {"lvef in high, low", "epilepsy in yes", "lvef twice at least 7 days apart", "lvef except epilepsy",
          "lvef >= 50 % after epilepsy", "lvef >= 50 % except epilepsy", "bestResponse in SD by guesswork"}) {
        CAPTURE(sentence);
        const Reading reading = read(sentence);
        CHECK_FALSE(reading.comparison.has_value());
        CHECK_FALSE(reading.problems.empty());
    }
}

TEST_CASE("what the sentence would ignore is refused") {
    // A word of a sentence that has no effect misleads whoever reads the trial file.
    for (const std::string sentence :
         {"epilepsy except treatedException except simpleInfection",
          "relapse after stemCellTransplant after carTherapy", "relapse after stemCellTransplant within 6 months",
          "peripheralLeukemicCells twice at least 7 days apart within 6 months", "bestResponse in SD within 6 months",
          "epilepsy except lvef"}) {
        CAPTURE(sentence);
        CHECK_FALSE(read(sentence).comparison.has_value());
    }
}
