#include "mapping/derive.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"

using fhir::Rational;
using mapping::Basis;
using mapping::Interval;

namespace {

constexpr std::string_view today = "2025-11-20";

/// A chart with its facts, which hold views into it.
struct Reading {
    fhir::Chart chart;
    mapping::Facts facts;

    explicit Reading(const std::vector<std::string>& resources, std::string_view asOf = today)
        : chart(support::chartOf(support::bundleOf(resources))),
          facts(mapping::readFacts(chart, support::knowledge().vocabulary, support::day(asOf))) {}
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    const mapping::Fact& operator[](std::string_view name) const {
        const mapping::FactDefinition* definition = support::knowledge().vocabulary.find(name);
        REQUIRE_MESSAGE(definition != nullptr, name);
        return facts[definition->index];
    }
};

std::string patient(std::string_view gender, std::string_view birthDate) {
    std::string text = R"({"resourceType":"Patient","id":"p")";
    if (!gender.empty()) text += R"(,"gender":")" + std::string(gender) + '"';
    if (!birthDate.empty()) text += R"(,"birthDate":")" + std::string(birthDate) + '"';
    return text + '}';
}

std::string observation(std::string_view loinc, std::string_view date, const std::string& value) {
    return R"({"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":")" +
           std::string(loinc) + "\"}]}," +
           (date.empty() ? "" : R"("effectiveDateTime":")" + std::string(date) + "\",") + value + '}';
}

std::string quantity(std::string_view value, std::string_view unit, std::string_view comparator = {}) {
    return R"("valueQuantity":{"value":)" + std::string(value) + R"(,"unit":")" + std::string(unit) + '"' +
           (comparator.empty() ? "" : R"(,"comparator":")" + std::string(comparator) + '"') + '}';
}

std::string creatinine(std::string_view value, std::string_view date = "2025-11-10", std::string_view unit = "mg/dL") {
    return observation("2160-0", date, quantity(value, unit));
}

std::string weight(std::string_view value, std::string_view date = "2025-11-01", std::string_view unit = "kg") {
    return observation("29463-7", date, quantity(value, unit));
}

/// A Condition with a SNOMED CT or ICD-10-CM code and further members that end in a comma.
std::string condition(std::string_view code, const std::string& members = {}) {
    const bool isSnomed = code.find_first_not_of("0123456789") == std::string_view::npos;
    return R"({"resourceType":"Condition",)" + members + R"("code":{"coding":[{"system":")" +
           (isSnomed ? "http://snomed.info/sct" : "http://hl7.org/fhir/sid/icd-10-cm") + R"(","code":")" +
           std::string(code) + "\"}]}}";
}

std::string status(std::string_view word) {
    return R"("clinicalStatus":{"coding":[{"code":")" + std::string(word) + "\"}]},";
}

std::string text(const Interval& value) {
    if (value.isPoint()) return fhir::decimalText(*value.low, 6);
    return std::string(!value.low || value.lowOpen ? "(" : "[") + (value.low ? fhir::decimalText(*value.low, 6) : "") +
           ".." + (value.high ? fhir::decimalText(*value.high, 6) : "") + (!value.high || value.highOpen ? ")" : "]");
}

std::string said(const std::vector<mapping::Evidence>& results) {
    std::string all;
    for (const mapping::Evidence& result : results) {
        all += all.empty() ? "" : " | ";
        if (!mapping::isDecided(result.basis)) {
            all += mapping::word(result.basis);
        } else if (result.fact->kind == mapping::Kind::finding) {
            all += !result.positive ? "neither" : *result.positive ? "positive" : "negative";
        } else if (result.fact->kind == mapping::Kind::coded) {
            all += result.coded;
        } else {
            all += text(result.value);
        }
        if (result.stale) all += " stale";
    }
    return all;
}

}  // namespace

TEST_CASE("Cockcroft and Gault: (140 - age) x kg x 0.85 for women / (72 x mg/dL)") {
    struct Row {
        int age, weight;
        Rational creatinine;
        bool female;
        Rational expected;
    };
    const std::vector<Row> rows{
        {40, 72, 1, false, 100},                             // 100 x 72 / 72
        {40, 72, 1, true, 85},                               // the same x 0.85
        {40, 72, 2, false, 50},                              // half of it
        {60, 90, Rational(125, 100), false, 80},             // 80 x 90 / (72 x 1.25) = 7200 / 90
        {80, 54, Rational(9, 10), true, Rational(425, 10)},  // 60 x 54 x 0.85 / (72 x 0.9) = 2754 / 64.8
        {18, 60, 1, false, Rational(305, 3)},                // 122 x 60 / 72 = 101 2/3
        {139, 72, 1, false, 1},                              // 1 x 72 / 72
    };
    for (const Row& row : rows) {
        CAPTURE(row.age);
        CAPTURE(row.weight);
        const auto value = mapping::cockcroftGault(
            {Interval::point(row.age), Interval::point(row.weight), Interval::point(row.creatinine), row.female});
        REQUIRE(value.has_value());
        REQUIRE(value->isPoint());
        CHECK((*value->low == row.expected));
    }
}

TEST_CASE("Cockcroft and Gault on intervals give the clearances that the inputs allow") {
    const Interval years = Interval::point(40);
    const Interval kilograms = Interval::point(72);
    // From 40 to 41 years: 99 x 72 / 72 to 100 x 72 / 72.
    CHECK(text(*mapping::cockcroftGault({Interval::between(40, 41), kilograms, Interval::point(1), false})) ==
          "[99..100]");
    CHECK(text(*mapping::cockcroftGault({years, Interval::between(36, 72), Interval::point(1), false})) == "[50..100]");
    CHECK(text(*mapping::cockcroftGault({years, kilograms, Interval::between(1, 2), false})) == "[50..100]");
    CHECK(text(*mapping::cockcroftGault({years, kilograms, Interval::below(1), false})) == "(100..)");
    CHECK(text(*mapping::cockcroftGault({years, kilograms, Interval::atMost(1), false})) == "[100..)");
    CHECK(text(*mapping::cockcroftGault({years, kilograms, Interval::above(1), false})) == "(..100)");
    CHECK(text(*mapping::cockcroftGault({years, kilograms, Interval::atLeast(1), false})) == "(..100]");
}

TEST_CASE("Cockcroft and Gault are silent where their formula is") {
    const Interval years = Interval::point(40);
    const Interval kilograms = Interval::point(72);
    const Interval one = Interval::point(1);
    CHECK_FALSE(mapping::cockcroftGault({Interval::point(17), kilograms, one, false}).has_value());
    CHECK_FALSE(mapping::cockcroftGault({Interval::between(17, 18), kilograms, one, false}).has_value());
    CHECK_FALSE(mapping::cockcroftGault({Interval::point(140), kilograms, one, false}).has_value());
    CHECK_FALSE(mapping::cockcroftGault({Interval::atLeast(40), kilograms, one, false}).has_value());
    CHECK_FALSE(mapping::cockcroftGault({years, Interval::point(0), one, false}).has_value());
    CHECK_FALSE(mapping::cockcroftGault({years, Interval::above(72), one, false}).has_value());
    CHECK_FALSE(mapping::cockcroftGault({years, kilograms, Interval::point(0), false}).has_value());
    CHECK_FALSE(mapping::cockcroftGault({years, kilograms, Interval{}, false}).has_value());
}

TEST_CASE("a clearance is derived from age, weight and creatinine of the chart") {
    struct Row {
        std::string patient;
        std::vector<std::string> observations;
        std::string_view expected;
    };
    const std::string man = patient("male", "1970-01-01");  // 55 years: 140 - 55 = 85
    const std::vector<Row> rows{
        {man, {creatinine("1.0"), weight("72")}, "85"},                                 // 85 x 72 / 72
        {patient("female", "1970-01-01"), {creatinine("1.0"), weight("72")}, "72.25"},  // 85 x 0.85
        {man, {creatinine("88.42", "2025-11-10", "umol/L"), weight("72000", "2025-11-01", "g")}, "85"},
        {man, {creatinine("2.5"), weight("90")}, "42.5"},                          // 85 x 90 / 180
        {patient("male", "1970"), {creatinine("1.0"), weight("72")}, "[85..86]"},  // 54 or 55 years
        {man, {observation("2160-0", "2025-11-10", quantity("0.5", "mg/dL", "<")), weight("72")}, "(170..)"},
        // The birthday of eighteen has come, or not yet.
        {patient("male", "2007-11-20"), {creatinine("1.0"), weight("72")}, "122"},
        {patient("male", "2007-11-21"), {creatinine("1.0"), weight("72")}, ""},
        {patient("male", "2007"), {creatinine("1.0"), weight("72")}, ""},
        {patient("other", "1970-01-01"), {creatinine("1.0"), weight("72")}, ""},
        {patient("unknown", "1970-01-01"), {creatinine("1.0"), weight("72")}, ""},
        {patient("", "1970-01-01"), {creatinine("1.0"), weight("72")}, ""},
        {patient("male", ""), {creatinine("1.0"), weight("72")}, ""},
        {man, {creatinine("1.0")}, ""},
        {man, {weight("72")}, ""},
        // A weight of ninety days counts, an older one does not; a creatinine of thirty.
        {man, {creatinine("1.0"), weight("72", "2025-08-22")}, "85"},
        {man, {creatinine("1.0"), weight("72", "2025-08-21")}, "stale"},
        {man, {creatinine("1.0", "2025-10-21"), weight("72")}, "85"},
        {man, {creatinine("1.0", "2025-10-20"), weight("72")}, "stale"},
        {man, {creatinine("1.0", ""), weight("72")}, "undated"},
        {man, {creatinine("1.0"), weight("72", "")}, "undated"},
        {man, {creatinine("1.0", "2025-11-10", "furlong"), weight("72")}, "unreadable-unit"},
        {man, {creatinine("-666.66"), weight("72")}, "implausible"},
        // An estimate of filtration is no creatinine.
        {man, {observation("62238-1", "2025-11-10", quantity("90", "mL/min")), weight("72")}, ""},
    };
    for (const Row& row : rows) {
        CAPTURE(&row - rows.data());
        std::vector<std::string> resources{row.patient};
        resources.insert(resources.end(), row.observations.begin(), row.observations.end());
        const Reading reading(resources);
        CHECK(said(reading["creatinineClearance"].results) == row.expected);
    }
}

TEST_CASE("a derived clearance names what it is made of, and a missing one what it lacks") {
    const Reading derived({patient("male", "1970-01-01"), creatinine("1.0"), weight("72")});
    REQUIRE(derived["creatinineClearance"].results.size() == 1);
    const mapping::Evidence& evidence = derived["creatinineClearance"].results.front();
    CHECK(evidence.basis == Basis::derived);
    CHECK(evidence.method == "Cockcroft-Gault");
    CHECK(evidence.source() == "derived");
    REQUIRE(evidence.inputs.size() == 3);
    CHECK(evidence.inputs[0].fact->name == "creatinine");
    CHECK(evidence.inputs[1].fact->name == "bodyWeight");
    CHECK(evidence.inputs[2].fact->name == "age");
    REQUIRE(evidence.date.has_value());
    CHECK(evidence.date->text() == "2025-11-10");

    const Reading lacking({patient("male", "1970-01-01"), creatinine("1.0")});
    CHECK(lacking["creatinineClearance"].detail.find("weight") != std::string::npos);
    CHECK(lacking["creatinineClearance"].detail.find("creatinine") == std::string::npos);
    const Reading child({patient("male", "2012-01-01"), creatinine("0.6"), weight("40")});
    CHECK(child["creatinineClearance"].detail.find("18") != std::string::npos);
}

TEST_CASE("the newer of a reported predicted clearance and the derived one counts, on the same day the derived one") {
    struct Row {
        std::string_view code, date;
        std::string_view any, predicted;  ///< where no formula is named, and where Cockcroft and Gault's is
    };
    const std::vector<Row> rows{
        {"35591-7", "2025-11-12", "61", "61"},
        {"35591-7", "2025-11-09", "85", "85"},
        {"35591-7", "2025-11-10", "85", "85"},
        {"35591-7", "2025-11-10T23:00:00Z", "85", "85"},
        {"35591-7", "2025-11-10T01:00:00Z", "85", "85"},
        {"35591-7", "2025-11-21", "85", "85"},
        // Measured: newer than the derived one it counts where no formula is named.
        {"2164-2", "2025-11-12", "61", "85"},
        {"2164-2", "2025-11-09", "85", "85"},
        // Filtration per body surface never does.
        {"62238-1", "2025-11-12", "85", "85"},
        {"12195-4", "2025-11-12", "85", "85"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.code);
        CAPTURE(row.date);
        const Reading reading({patient("male", "1970-01-01"), creatinine("1.0", "2025-11-10"), weight("72"),
                               observation(row.code, row.date, quantity("61", "mL/min"))});
        const mapping::Fact& clearance = reading["creatinineClearance"];
        CHECK(said(clearance.results) == row.any);
        std::vector<mapping::Evidence> predicted;
        for (const mapping::Evidence& evidence : clearance.byMethod) {
            if (evidence.method == "Cockcroft-Gault") predicted.push_back(evidence);
        }
        CHECK(said(predicted) == row.predicted);
    }
}

TEST_CASE("a reported clearance stands alone when none can be derived") {
    const Reading reading(
        {patient("male", "1970-01-01"), observation("35591-7", "2025-11-09", quantity("61", "mL/min"))});
    CHECK(said(reading["creatinineClearance"].results) == "61");
    CHECK(reading["creatinineClearance"].results.front().basis == Basis::recorded);
}

TEST_CASE("two creatinines of the same time give two clearances") {
    const Reading reading({patient("male", "1970-01-01"), creatinine("1.0"), creatinine("2.0"), weight("72")});
    CHECK(reading["creatinineClearance"].results.size() == 2);
}

TEST_CASE("an age is an interval as wide as the birth date is vague") {
    struct Row {
        std::string_view birthDate, asOf, years, months;
    };
    const std::vector<Row> rows{
        {"1970-11-20", "2025-11-20", "55", "660"},
        {"1970-11-19", "2025-11-20", "55", "(660..661)"},
        {"1970-11-21", "2025-11-20", "54", "(659..660)"},
        {"1970-11", "2025-11-20", "[54..55]", "(659..661)"},
        {"1970", "2025-11-20", "[54..55]", "(658..671)"},
        {"1970-12", "2025-11-20", "54", "(658..660)"},
        {"1970-01", "2025-11-20", "55", "(669..671)"},
        {"2025-05-20", "2025-11-20", "0", "6"},
        {"2025-05-21", "2025-11-20", "0", "(5..6)"},
        {"2025-11-20", "2025-11-20", "0", "0"},
        {"2025", "2025-11-20", "0", "[0..11)"},
        {"2007-11-20", "2025-11-19", "17", "(215..216)"},
        // A birthday of 29 February is reached on 1 March in other years.
        {"2004-02-29", "2025-02-28", "20", "(251..252)"},
        {"2004-02-29", "2025-03-01", "21", "252"},
        {"2004-02-29", "2024-02-29", "20", "240"},
        {"2025-11-21", "2025-11-20", "implausible", "implausible"},
        {"2025-02-30", "2025-11-20", "", ""},
        {"", "2025-11-20", "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.birthDate);
        CAPTURE(row.asOf);
        const Reading reading({patient("male", row.birthDate)}, row.asOf);
        CHECK(said(reading["age"].results) == row.years);
        CHECK(said(reading["ageInMonths"].results) == row.months);
    }
}

TEST_CASE("who can be pregnant, and what a record says of it") {
    struct Row {
        std::string_view gender, birthDate;
        std::vector<std::string> resources;
        std::string_view pregnancy, negativeTest;
    };
    const std::string positive = observation("2118-8", "2025-11-15", R"("valueString":"Positive")");
    const std::string negative = observation("2118-8", "2025-11-15", R"("valueString":"Negative")");
    const std::string oldNegative = observation("2118-8", "2025-11-01", R"("valueString":"Negative")");
    const std::string doubtful = observation("2118-8", "2025-11-15", R"("valueString":"Indeterminate")");
    const std::string notPregnant =
        observation("82810-3", "2025-11-15",
                    R"("valueCodeableConcept":{"coding":[{"system":"http://loinc.org","code":"LA26683-5"}]})");
    const std::string pregnant =
        observation("82810-3", "2025-11-15",
                    R"("valueCodeableConcept":{"coding":[{"system":"http://loinc.org","code":"LA15173-0"}]})");
    const std::vector<Row> rows{
        {"male", "1990-01-01", {}, "negative", ""},
        {"male", "", {}, "negative", ""},
        {"male", "1990-01-01", {positive}, "positive", "negative"},
        {"male", "1990-01-01", {negative}, "negative", "positive"},
        {"female", "1990-01-01", {}, "", ""},
        {"female", "2013-11-21", {}, "negative", ""},  // 11 years
        {"female", "2013-11-20", {}, "", ""},          // 12
        {"female", "1969-11-21", {}, "", ""},          // 55
        {"female", "1969-11-20", {}, "negative", ""},  // 56
        {"female", "1969", {}, "", ""},                // 55 or 56
        {"female", "1968", {}, "negative", ""},        // 56 or 57
        {"female", "", {}, "", ""},
        {"other", "1990-01-01", {}, "", ""},
        {"unknown", "1990-01-01", {}, "", ""},
        {"", "1930-01-01", {}, "", ""},
        {"female", "1990-01-01", {positive}, "positive", "negative"},
        {"female", "1990-01-01", {negative}, "negative", "positive"},
        {"female", "1990-01-01", {notPregnant}, "negative", ""},
        {"female", "1990-01-01", {pregnant}, "positive", ""},
        {"female", "1990-01-01", {doubtful}, "unconfirmed", "unconfirmed"},
        // A negative pregnancy result is fresh for fourteen days, the test that the protocols ask for for seven.
        {"female", "1990-01-01", {oldNegative}, "negative stale", "positive stale"},
        {"female",
         "1990-01-01",
         {observation("2118-8", "2025-11-10", R"("valueString":"Negative")")},
         "negative",
         "positive stale"},
        {"female",
         "1990-01-01",
         {observation("2118-8", "2025-11-13", R"("valueString":"Negative")")},
         "negative",
         "positive"},
        {"female", "1960-01-01", {positive}, "positive", "negative"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.gender);
        CAPTURE(row.birthDate);
        CAPTURE(&row - rows.data());
        std::vector<std::string> resources{patient(row.gender, row.birthDate)};
        resources.insert(resources.end(), row.resources.begin(), row.resources.end());
        const Reading reading(resources);
        CHECK(said(reading["pregnancy"].results) == row.pregnancy);
        CHECK(said(reading["pregnancyTestNegative"].results) == row.negativeTest);
    }
}

TEST_CASE("a recorded pregnancy is today's for 294 days from its date") {
    struct Row {
        std::string_view code, members;
        Basis expected;
    };
    const std::vector<Row> rows{
        {"77386006", R"("onsetDateTime":"2025-06-01",)", Basis::recorded},
        {"77386006", R"("onsetDateTime":"2025-01-30",)", Basis::recorded},  // 294 days ago
        {"77386006", R"("onsetDateTime":"2025-01-29",)", Basis::stale},     // 295
        {"77386006", "", Basis::undated},
        {"Z33.1", R"("onsetDateTime":"2025-06-01",)", Basis::recorded},
        {"O26.90", R"("recordedDate":"2025-06-01",)", Basis::recorded},
    };
    for (const Row& row : rows) {
        CAPTURE(row.code);
        CAPTURE(row.members);
        const Reading reading(
            {patient("female", "1990-01-01"), condition(row.code, status("active") + std::string(row.members))});
        REQUIRE(reading["pregnancy"].conditions.size() == 1);
        CHECK(reading["pregnancy"].conditions.front().basis == row.expected);
        CHECK(reading["pregnancy"].results.empty());
    }
    // A delivery ends a pregnancy.
    CHECK(Reading({patient("female", "1990-01-01"), condition("O80", R"("onsetDateTime":"2025-06-01",)")})["pregnancy"]
              .conditions.empty());
}

TEST_CASE("childbearing potential is a question only where sex and age leave it open") {
    struct Row {
        std::string_view gender, birthDate, expected;
    };
    const std::vector<Row> rows{
        {"male", "1990-01-01", "negative"},
        {"female", "1990-01-01", "positive"},
        {"female", "2015-01-01", "negative"},
        {"female", "1950-01-01", "negative"},
        {"female", "1969", ""},
        {"other", "1990-01-01", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.gender);
        CAPTURE(row.birthDate);
        CHECK(said(Reading({patient(row.gender, row.birthDate)})["femaleOfChildbearingPotential"].results) ==
              row.expected);
    }
}

TEST_CASE("a correction replaces the positive result of its day, and no other, in whichever order they stand") {
    const auto syphilis = [](std::string_view status, std::string_view date, std::string_view answer) {
        return R"({"resourceType":"Observation","status":")" + std::string(status) +
               R"(","subject":{"reference":"Patient/p"},"code":{"coding":[{"system":"http://loinc.org","code":"22587-0"}]},)"
               R"("effectiveDateTime":")" +
               std::string(date) + R"(","valueString":")" + std::string(answer) + "\"}";
    };
    const std::string corrected = syphilis("amended", "2025-11-08", "negative");
    struct Row {
        std::vector<std::string> positives;
        std::string expected;
    };
    for (const Row& row :
         std::vector<Row>{{{syphilis("final", "2025-11-08", "positive")}, "negative"},
                          {{syphilis("final", "2025-11-01", "positive")}, "negative | positive"},
                          // Some day of November: it may be another one.
                          {{syphilis("final", "2025-11", "positive")}, "negative | positive"},
                          {{syphilis("final", "2025-11-08", "positive"), syphilis("final", "2025-11-01", "positive")},
                           "negative | positive"},
                          {{syphilis("final", "2025-11", "positive"), syphilis("final", "2025-11-01", "positive")},
                           "negative | positive"}}) {
        std::vector<std::string> resources = row.positives;
        resources.push_back(corrected);
        resources.push_back(patient("male", "1970-01-01"));
        for (std::size_t turn = 0; turn < resources.size(); ++turn) {
            std::rotate(resources.begin(), resources.begin() + 1, resources.end());
            CHECK(said(Reading(resources)["treponemalAntibody"].results) == row.expected);
        }
    }
}

TEST_CASE("no man breast-feeds") {
    CHECK(said(Reading({patient("male", "1990-01-01")})["lactation"].results) == "negative");
    CHECK(said(Reading({patient("female", "1990-01-01")})["lactation"].results) == "");
    // Two undated results, of which one says yes: in whichever order and by whatever id, it is not passed over.
    const auto feeding = [](const std::string& id, const std::string& value) {
        return R"({"resourceType":"Observation","id":")" + id +
               R"(","status":"final","subject":{"reference":"Patient/p"},)"
               R"("code":{"coding":[{"system":"http://loinc.org","code":"63895-7"}]},"valueBoolean":)" +
               value + "}";
    };
    for (const auto& [yes, no] : {std::pair{"a", "b"}, std::pair{"b", "a"}}) {
        const Reading reading({patient("male", "1990-01-01"), feeding(yes, "true"), feeding(no, "false")});
        CHECK(said(reading["lactation"].results) == "undated");
    }
}

namespace {

const std::string man = patient("male", "1970-01-01");

bool anyDecided(const mapping::Fact& fact) {
    for (const mapping::Evidence& evidence : fact.conditions) {
        if (mapping::isDecided(evidence.basis)) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a relapse on file of a leukaemia proves an earlier remission") {
    struct Row {
        std::vector<std::string> conditions;
        bool relapse, remission;
    };
    const std::vector<Row> rows{
        {{condition("C92.00", status("active"))}, false, false},
        {{condition("C92.02", R"("id":"a",)")}, true, true},
        {{condition("C92.00", R"("id":"a",)" + status("relapse"))}, true, true},
        {{condition("C92.00", R"("id":"a",)" + status("recurrence"))}, true, true},
        {{condition("C91.02", R"("id":"a",)")}, true, true},
        {{condition("C92.01", R"("id":"a",)")}, false, true},
        {{condition("C92.00", R"("id":"a",)" + status("remission"))}, false, true},
        // A lymphoma may relapse from a partial response.
        {{condition("C84.40", R"("id":"a",)" + status("relapse"))}, true, false},
        {{condition("C84.40", R"("id":"a",)" + status("relapse")),
          condition("C92.00", R"("id":"b",)" + status("active"))},
         true,
         false},
        // What nobody has confirmed proves nothing.
        {{condition("C92.02", R"("id":"a","verificationStatus":{"coding":[{"code":"provisional"}]},)")}, false, false},
        // Another disease that comes back is no relapse of this one.
        {{condition("G40.909", R"("id":"a",)" + status("recurrence"))}, false, false},
        {{condition("G40.909", R"("id":"a",)" + status("remission"))}, false, false},
    };
    for (const Row& row : rows) {
        CAPTURE(&row - rows.data());
        std::vector<std::string> resources{man};
        resources.insert(resources.end(), row.conditions.begin(), row.conditions.end());
        const Reading reading(resources);
        CHECK(anyDecided(reading["relapse"]) == row.relapse);
        CHECK(anyDecided(reading["completeRemission"]) == row.remission);
    }
}

TEST_CASE("resources without ids are not taken for one another") {
    // FHIR leaves Resource.id open in a Bundle: a relapsed lymphoma beside a leukaemia is no relapsed leukaemia.
    const Reading reading({man, condition("C84.40", status("relapse")), condition("C92.00", status("active"))});
    CHECK(anyDecided(reading["relapse"]));
    CHECK_FALSE(anyDecided(reading["completeRemission"]));
}

TEST_CASE("two relapses need two dated relapses") {
    struct Row {
        std::vector<std::string> conditions;
        std::string_view expected;
    };
    const std::vector<Row> rows{
        {{}, ""},
        {{condition("C92.00", status("active"))}, ""},
        {{condition("C92.02", R"("id":"a",)")}, "[1..)"},
        {{condition("C92.02", R"("id":"a","onsetDateTime":"2024-01-05",)")}, "[1..)"},
        {{condition("C92.02", R"("id":"a","onsetDateTime":"2024-01-05",)"),
          condition("C92.02", R"("id":"b","onsetDateTime":"2025-03-05",)")},
         "[2..)"},
        {{condition("C92.02", R"("id":"a","onsetDateTime":"2024-01-05",)"),
          condition("C92.02", R"("id":"b","onsetDateTime":"2024-01-05",)")},
         "[1..)"},
        // A year and a day in it may be one and the same relapse.
        {{condition("C92.02", R"("id":"a","onsetDateTime":"2024",)"),
          condition("C92.02", R"("id":"b","onsetDateTime":"2024-01-05",)")},
         "[1..)"},
        // The day on which it was written down is not its own.
        {{condition("C92.02", R"("id":"a","recordedDate":"2024-01-05",)"),
          condition("C92.02", R"("id":"b","recordedDate":"2025-03-05",)")},
         "[1..)"},
        // The onset of a Condition in relapse is the onset of the disease.
        {{condition("C92.00", R"("id":"a","onsetDateTime":"2022-01-05",)" + status("relapse")),
          condition("C92.02", R"("id":"b","onsetDateTime":"2025-03-05",)")},
         "[1..)"},
        {{condition("C92.02", R"("id":"a","verificationStatus":{"coding":[{"code":"refuted"}]},)")}, ""},
    };
    for (const Row& row : rows) {
        CAPTURE(&row - rows.data());
        std::vector<std::string> resources{man};
        resources.insert(resources.end(), row.conditions.begin(), row.conditions.end());
        CHECK(said(Reading(resources)["relapseCount"].results) == row.expected);
    }
}

TEST_CASE("months to a relapse run from the dated remission immediately before it") {
    const auto remission = [](std::string_view id, std::string_view date) {
        return condition("C92.01",
                         R"("id":")" + std::string(id) + R"(","abatementDateTime":")" + std::string(date) + "\",");
    };
    const auto relapse = [](std::string_view id, std::string_view date) {
        return condition("C92.02",
                         R"("id":")" + std::string(id) + R"(","onsetDateTime":")" + std::string(date) + "\",");
    };
    struct Row {
        std::vector<std::string> conditions;
        std::string_view expected;
    };
    const std::vector<Row> rows{
        {{remission("a", "2024-01-10"), relapse("b", "2024-07-10")}, "6"},
        {{remission("a", "2024-01-10"), relapse("b", "2024-07-09")}, "(5..6)"},
        {{remission("a", "2024-01-10"), relapse("b", "2024-07-11")}, "(6..7)"},
        {{remission("a", "2023-08-31"), relapse("b", "2024-02-29")}, "(5..6)"},
        {{remission("a", "2023-08-31"), relapse("b", "2024-03-01")}, "6"},
        {{remission("a", "2022-01-10"), remission("c", "2024-01-10"), relapse("b", "2024-07-10")}, "6"},
        {{remission("a", "2024-08-10"), relapse("b", "2024-07-10")}, ""},
        {{remission("a", "2024"), relapse("b", "2024-07-10")}, ""},
        {{remission("a", "2024-01-10"), relapse("b", "2024-07")}, ""},
        {{relapse("b", "2024-07-10")}, ""},
        {{remission("a", "2024-01-10")}, ""},
        {{condition("C92.01", R"("id":"a",)"), relapse("b", "2024-07-10")}, ""},
        // Another relapse or remission of a vague date may be the one that counts, wherever it stands in the file.
        {{remission("a", "2024-01-10"), relapse("b", "2024-07-10"), relapse("c", "2024-07")}, ""},
        {{remission("a", "2024-01-10"), relapse("c", "2024-07"), relapse("b", "2024-07-10")}, ""},
        {{remission("a", "2024-01-10"), relapse("b", "2024-07-10"), relapse("c", "2024-07-10")}, "6"},
        {{remission("a", "2024-01-10"), remission("c", "2024-03"), relapse("b", "2024-07-10")}, ""},
        {{remission("a", "2024-01-10"), remission("c", "2023"), relapse("b", "2024-07-10")}, "6"},
        // The newest relapse, from the newest remission before it.
        {{remission("a", "2022-01-10"), relapse("b", "2022-07-10"), remission("c", "2024-01-10"),
          relapse("d", "2025-01-10")},
         "12"},
    };
    for (const Row& row : rows) {
        CAPTURE(&row - rows.data());
        std::vector<std::string> resources{man};
        resources.insert(resources.end(), row.conditions.begin(), row.conditions.end());
        CHECK(said(Reading(resources)["monthsFromRemissionToRelapse"].results) == row.expected);
    }
}

TEST_CASE("a remission before an earlier relapse is not the one before the newest relapse") {
    // Between the two relapses lies a remission that nobody has dated: the months to the second are not known.
    const Reading reading({man, condition("C92.01", R"("id":"a","abatementDateTime":"2022-01-10",)"),
                           condition("C92.02", R"("id":"b","onsetDateTime":"2022-07-10",)"),
                           condition("C92.02", R"("id":"c","onsetDateTime":"2024-07-10",)")});
    CHECK(said(reading["monthsFromRemissionToRelapse"].results) == "");
}

TEST_CASE("a known infection is a diagnosis or a positive test, and an antibody alone shows none") {
    const auto test = [](std::string_view loinc, std::string_view date, std::string_view value) {
        return observation(loinc, date, R"("valueString":")" + std::string(value) + '"');
    };
    CHECK(said(Reading({man, test("56888-1", "2025-11-01", "Positive")})["knownHiv"].results) == "positive");
    CHECK(said(Reading({man, test("56888-1", "2025-11-01", "Negative")})["knownHiv"].results) == "negative");
    CHECK(said(Reading({man, test("11011-4", "2025-11-01", "Detected")})["knownHcv"].results) == "positive");
    CHECK(said(Reading({man, test("16128-1", "2025-11-01", "Positive")})["knownHcv"].results) == "unconfirmed");
    CHECK(said(Reading({man, test("16128-1", "2025-11-01", "Negative")})["knownHcv"].results) == "negative");
    const Reading both({man, test("16128-1", "2025-11-01", "Positive"), test("11011-4", "2025-11-01", "Not detected")});
    CHECK(said(both["knownHcv"].results) == "negative");
}

TEST_CASE("a newer negative test of the virus ends a hepatitis C, and no test ends an HIV infection") {
    const std::string hepatitis = condition("B18.2", status("active") + R"("onsetDateTime":"2019-01-01",)");
    const std::string negative = observation("11011-4", "2025-11-01", R"("valueString":"Not detected")");
    CHECK(Reading({man, hepatitis, negative})["knownHcv"].conditions.empty());
    CHECK(Reading({man, hepatitis})["knownHcv"].conditions.size() == 1);
    const std::string earlier = observation("11011-4", "2018-11-01", R"("valueString":"Not detected")");
    CHECK(Reading({man, hepatitis, earlier})["knownHcv"].conditions.size() == 1);

    const std::string hiv = condition("B20", status("active") + R"("onsetDateTime":"2019-01-01",)");
    const Reading reading({man, hiv, observation("56888-1", "2025-11-01", R"("valueString":"Negative")")});
    CHECK(reading["knownHiv"].conditions.size() == 1);
}

TEST_CASE("a confirmed HIV infection makes the antibody positive") {
    CHECK(anyDecided(Reading({man, condition("B20", status("active"))})["hivAntibody"]));
    CHECK_FALSE(anyDecided(Reading(
        {man, condition("B20", R"("verificationStatus":{"coding":[{"code":"provisional"}]},)")})["hivAntibody"]));
}

TEST_CASE("on oxygen a saturation is at most what it would be without") {
    const auto saturation = [](std::string_view note) {
        return observation("59408-5", "2025-11-18",
                           R"("note":[{"text":")" + std::string(note) + R"("}],)" + quantity("95", "%"));
    };
    const Reading air({man, saturation("room air")});
    CHECK(said(air["spo2RoomAir"].results) == "95");
    const Reading unstated({man, saturation("sitting")});
    CHECK(said(unstated["spo2"].results) == "95");
    CHECK(said(unstated["spo2RoomAir"].results) == "(..95]");
    CHECK(unstated["spo2RoomAir"].results.front().detail == "oxygen supply not stated");
}

TEST_CASE("a reported clearance that may be newer than the derived one competes with it") {
    const auto clearances = [](const std::string& date) {
        const Reading reading({patient("male", "1970-01-01"), creatinine("0.9"), weight("72"),
                               observation("2164-2", date, quantity("20", "mL/min"))});
        return reading["creatinineClearance"].results.size();
    };
    CHECK(clearances("2025-11-09") == 1);  // older: the derived one alone
    CHECK(clearances("2025-11") == 2);
    CHECK(clearances("2025") == 2);
    CHECK(clearances("2024") == 1);
}

TEST_CASE("problems in the usual code systems say that no heart failure of class III or IV is on file") {
    const auto class3or4 = [](const std::vector<std::string>& resources) {
        std::vector<std::string> all{patient("male", "1970-01-01")};
        all.insert(all.end(), resources.begin(), resources.end());
        const auto screening =
            support::screen(support::bundleOf(all), today, support::covering({"Observation", "Condition"}));
        return support::truth(screening, "NCT07345780", "exc.04d");
    };
    CHECK(class3or4({}) == "false");
    CHECK(class3or4({condition("J45.909")}) == "false");
    CHECK(class3or4({condition("195967001")}) == "false");
    CHECK(class3or4({condition("I50.9", status("active"))}) == "unknown");
    CHECK(class3or4({condition("420913000", status("active"))}) == "true");
}
