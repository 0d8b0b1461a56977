#include "mapping/observation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "mapping/fact.h"
#include "tests/support.h"

using mapping::Basis;

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

const std::string man = R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1970-01-01"})";

std::string loinc(std::string_view code) {
    return R"({"system":"http://loinc.org","code":")" + std::string(code) + "\"}";
}

/// An Observation of these members and no others.
std::string observationOf(const std::string& members) {
    return R"({"resourceType":"Observation",)" + members + '}';
}

/// A final Observation of 18 November with these further members.
std::string observation(std::string_view code, const std::string& members) {
    return observationOf(R"("status":"final","effectiveDateTime":"2025-11-18","code":{"coding":[)" + loinc(code) +
                         "]}," + members);
}

std::string quantity(std::string_view value, std::string_view unit, std::string_view code = {}) {
    std::string text = R"("valueQuantity":{"value":)" + std::string(value);
    if (!unit.empty()) text += R"(,"unit":")" + std::string(unit) + '"';
    if (!code.empty()) text += R"(,"system":"http://unitsofmeasure.org","code":")" + std::string(code) + '"';
    return text + '}';
}

/// An interval as a person writes it: "1.2", "[55..60]", "(..5)".
std::string text(const mapping::Interval& value) {
    if (value.isPoint()) return fhir::decimalText(*value.low, 6);
    return std::string(!value.low || value.lowOpen ? "(" : "[") + (value.low ? fhir::decimalText(*value.low, 6) : "") +
           ".." + (value.high ? fhir::decimalText(*value.high, 6) : "") + (!value.high || value.highOpen ? ")" : "]");
}

std::string text(const mapping::Evidence& evidence) {
    if (!mapping::isDecided(evidence.basis)) return std::string(mapping::word(evidence.basis));
    std::string said;
    if (evidence.fact->kind == mapping::Kind::coded) {
        said = evidence.coded;
    } else if (evidence.fact->kind == mapping::Kind::finding) {
        said = !evidence.positive ? "neither" : *evidence.positive ? "positive" : "negative";
    } else if (evidence.fact->kind == mapping::Kind::viralLoad) {
        said = !evidence.positive ? "neither" : *evidence.positive ? "positive" : "negative";
        if (evidence.value.low || evidence.value.high) said += ' ' + text(evidence.value);
    } else {
        said = text(evidence.value);
    }
    return said + (evidence.stale ? " stale" : "");
}

/// What the results of a fact say; the basis of silence when there is none.
std::string said(const mapping::Fact& fact) {
    if (fact.results.empty()) return "none: " + std::string(mapping::word(fact.absent));
    std::string all;
    for (const mapping::Evidence& result : fact.results) all += (all.empty() ? "" : " | ") + text(result);
    return all;
}

struct UnitRow {
    std::string_view fact, code, value, unit, ucum, expected;
};

struct ValueRow {
    std::string_view fact, code;
    std::string member;
    std::string_view expected;
};

}  // namespace

TEST_CASE("a unit is converted when it is listed, and never guessed when it is not") {
    const std::vector<UnitRow> rows{
        {"creatinine", "2160-0", "1.2", "mg/dL", "mg/dL", "1.2"},
        {"creatinine", "2160-0", "1.2", "", "mg/dL", "1.2"},
        {"creatinine", "2160-0", "1.2", "MG/DL", "", "1.2"},
        {"creatinine", "2160-0", "1.2", "mg/dl", "", "1.2"},
        {"creatinine", "2160-0", "1.2", " mg/dL ", "", "1.2"},
        {"creatinine", "2160-0", "1.2", "milligrams per decilitre", "mg/dL", "1.2"},
        {"creatinine", "2160-0", "12", "mg/L", "mg/L", "1.2"},
        // The code says moles, the unit says grams: the unit is trusted.
        {"creatinine", "14682-9", "1.2", "mg/dL", "mg/dL", "1.2"},
        {"creatinine", "14682-9", "88.42", "umol/L", "umol/L", "1"},
        {"creatinine", "14682-9", "0.08842", "mmol/L", "mmol/L", "1"},
        {"creatinine", "14682-9", "88.42", "\u00b5mol/L", "", "1"},  // micro sign
        {"creatinine", "14682-9", "88.42", "\u03bcmol/L", "", "1"},  // Greek mu
        {"creatinine", "14682-9", "88.42", "mcmol/L", "", "1"},
        {"creatinine", "2160-0", "1.2", "", "", "unreadable-unit"},
        {"creatinine", "2160-0", "1.2", "%", "%", "unreadable-unit"},
        {"creatinine", "2160-0", "1.2", "mg", "mg", "unreadable-unit"},
        {"creatinine", "2160-0", "1.2", "umol/L", "mg/dL", "unreadable-unit"},  // unit and code contradict
        {"creatinine", "2160-0", "60", "mL/min/1.73m2", "", "unreadable-unit"},
        {"creatinineClearance", "2164-2", "75", "mL/min", "mL/min", "75"},
        {"creatinineClearance", "2164-2", "75", "ml/min", "", "75"},
        {"creatinineClearance", "2164-2", "1.25", "mL/s", "mL/s", "75"},
        {"creatinineClearance", "2164-2", "108", "L/24h", "", "75"},
        {"creatinineClearance", "2164-2", "75", "mL/min/1.73m2", "", "unreadable-unit"},
        {"creatinineClearance", "2164-2", "75", "mL/min/1.73m2", "mL/min", "unreadable-unit"},
        {"creatinineClearance", "2164-2", "75", "mL/min", "mL/min/{1.73_m2}", "unreadable-unit"},
        {"creatinineClearance", "2164-2", "75", "", "mL/min/{1.73_m2}", "unreadable-unit"},
        {"totalBilirubin", "1975-2", "1.2", "mg/dL", "mg/dL", "1.2"},
        {"totalBilirubin", "14631-6", "34.208", "umol/L", "umol/L", "2"},
        {"totalBilirubin", "14631-6", "0.034208", "mmol/L", "mmol/L", "2"},
        {"alt", "1742-6", "40", "U/L", "U/L", "40"},
        {"alt", "1742-6", "40", "IU/L", "", "40"},
        {"alt", "1742-6", "0.5", "\u00b5kat/L", "", "30"},
        {"alt", "1742-6", "40", "units", "", "unreadable-unit"},
        {"hemoglobin", "718-7", "121", "g/L", "g/L", "121"},
        {"hemoglobin", "718-7", "12.1", "g/dL", "g/dL", "121"},
        {"hemoglobin", "718-7", "5", "mmol/L", "mmol/L", "80.5725"},
        {"hemoglobin", "718-7", "12.1", "", "", "unreadable-unit"},
        {"bodyWeight", "29463-7", "72.5", "kg", "kg", "72.5"},
        {"bodyWeight", "29463-7", "72500", "g", "g", "72.5"},
        {"bodyWeight", "29463-7", "160", "lb", "", "72.574779"},
        {"bodyWeight", "29463-7", "160", "lbs", "[lb_av]", "72.574779"},
        {"bodyWeight", "29463-7", "72.5", "KILOGRAMS", "", "72.5"},
        {"inr", "6301-6", "1.1", "", "", "1.1"},
        {"inr", "6301-6", "1.1", "INR", "", "1.1"},
        {"qtc", "8636-3", "0.45", "s", "s", "450"},
        {"qtc", "8636-3", "450", "msec", "", "450"},
        {"aptt", "14979-9", "31", "seconds", "", "31"},
        {"platelets", "777-3", "250000", "", "10*6/L", "250"},
        {"platelets", "777-3", "250", "K/uL", "", "250"},
        {"boneMarrowBlasts", "11150-0", "0.05", "", "1", "5"},
    };
    for (const UnitRow& row : rows) {
        CAPTURE(row.fact);
        CAPTURE(row.value);
        CAPTURE(row.unit);
        CAPTURE(row.ucum);
        const Reading reading({man, observation(row.code, quantity(row.value, row.unit, row.ucum))});
        CHECK(said(reading[row.fact]) == row.expected);
    }
}

TEST_CASE("a clearance divided by body surface is unreadable with a decimal comma too") {
    const Reading reading({man, observation("2164-2", quantity("75", "mL/min/1,73 m\u00b2", "mL/min"))});
    CHECK(said(reading["creatinineClearance"]) == "unreadable-unit");
}

TEST_CASE("an unreadable unit is an issue with the path of its Observation") {
    const Reading reading({man, observation("2160-0", quantity("1.2", "furlong"))});
    const bool named =
        std::any_of(reading.facts.issues.begin(), reading.facts.issues.end(), [](const fhir::Issue& issue) {
            return issue.path.starts_with("entry[1].resource.") && issue.message.find("mg/dL") != std::string::npos;
        });
    CHECK(named);
}

TEST_CASE("a conversion is exact, so that equality at a boundary is decided") {
    const Reading reading({man, observation("14631-6", quantity("34.208", "umol/L", "umol/L"))});
    const auto& result = reading["totalBilirubin"].results.front();
    CHECK((*result.value.low == 2));
    CHECK((*result.value.high == 2));
}

TEST_CASE("a value that no patient has is implausible") {
    const std::vector<UnitRow> rows{
        {"creatinine", "2160-0", "-666.66", "mg/dL", "mg/dL", "implausible"},
        {"creatinine", "2160-0", "0.04", "mg/dL", "mg/dL", "implausible"},
        {"creatinine", "2160-0", "0.05", "mg/dL", "mg/dL", "0.05"},
        {"creatinine", "2160-0", "50", "mg/dL", "mg/dL", "50"},
        {"creatinine", "2160-0", "50.01", "mg/dL", "mg/dL", "implausible"},
        {"creatinine", "2160-0", "88.42", "mg/dL", "mg/dL", "implausible"},
        {"creatinine", "2160-0", "1E-245", "mg/dL", "mg/dL", "implausible"},
        {"hemoglobin", "718-7", "8", "g/L", "g/L", "implausible"},
        {"hemoglobin", "718-7", "120", "g/dL", "g/dL", "implausible"},
        {"lvef", "10230-1", "0.55", "%", "%", "implausible"},
        {"spo2", "59408-5", "9.8", "%", "%", "implausible"},
        {"spo2", "59408-5", "101", "%", "%", "implausible"},
        {"bodyWeight", "29463-7", "72500", "kg", "kg", "implausible"},
        {"ecog", "89247-1", "6", "{score}", "{score}", "implausible"},
    };
    for (const UnitRow& row : rows) {
        CAPTURE(row.fact);
        CAPTURE(row.value);
        const Reading reading({man, observation(row.code, quantity(row.value, row.unit, row.ucum))});
        CHECK(said(reading[row.fact]) == row.expected);
    }
}

TEST_CASE("comparators, ranges and words become intervals") {
    const auto compared = [](std::string_view comparator, std::string_view value, std::string_view unit) {
        return R"("valueQuantity":{"value":)" + std::string(value) + R"(,"comparator":")" + std::string(comparator) +
               R"(","unit":")" + std::string(unit) + "\"}";
    };
    const auto words = [](std::string_view value) { return R"("valueString":")" + std::string(value) + '"'; };
    const std::vector<ValueRow> rows{
        {"creatinine", "2160-0", compared("<", "0.5", "mg/dL"), "(..0.5)"},
        {"creatinine", "2160-0", compared("<=", "0.5", "mg/dL"), "(..0.5]"},
        {"creatinine", "2160-0", compared(">", "9.5", "mg/dL"), "(9.5..)"},
        {"creatinine", "2160-0", compared(">=", "9.5", "mg/dL"), "[9.5..)"},
        {"creatinine", "14682-9", compared("<", "88.42", "umol/L"), "(..1)"},
        {"creatinine", "2160-0", R"("valueQuantity":{"value":"1.2","unit":"mg/dL"})", "1.2"},
        {"creatinine", "2160-0",
         R"("valueRange":{"low":{"value":1.1,"unit":"mg/dL"},"high":{"value":1.3,"unit":"mg/dL"}})", "[1.1..1.3]"},
        {"creatinine", "14682-9",
         R"("valueRange":{"low":{"value":88.42,"unit":"umol/L"},"high":{"value":2,"unit":"mg/dL"}})", "[1..2]"},
        {"lvef", "10230-1", R"("valueRange":{"low":{"value":55,"unit":"%"}})", "[55..)"},
        {"lvef", "10230-1", R"("valueRange":{"high":{"value":45,"unit":"%"}})", "(..45]"},
        {"lvef", "10230-1", R"("valueRange":{"low":{"value":60,"unit":"%"},"high":{"value":55,"unit":"%"}})",
         "implausible"},
        {"lvef", "10230-1", words("55-60 %"), "[55..60]"},
        {"lvef", "10230-1", words("55 - 60%"), "[55..60]"},
        {"lvef", "10230-1", words("55 to 60 %"), "[55..60]"},
        {"lvef", "10230-1", words("55\u201360 %"), "[55..60]"},
        {"lvef", "10230-1", words(">55 %"), "(55..)"},
        {"lvef", "10230-1", words("\u2265 55 %"), "[55..)"},
        {"lvef", "10230-1", words("60-55 %"), "implausible"},
        {"lvef", "10230-1", words("55"), "unreadable-unit"},
        {"lvef", "10230-1", words("preserved"), "none: missing"},
        {"lvef", "10230-1", quantity("0.55", "", "1"), "55"},
        {"lvef", "10230-1", quantity("55", "%", "%"), "55"},
        {"lvef", "10230-1", quantity("0.55", ""), "unreadable-unit"},
        {"spo2", "59408-5", words("> 92 %"), "(92..)"},
        {"spo2", "59408-5", words("> 92"), "unreadable-unit"},
        {"hemoglobin", "718-7", words("12.1 g/dL"), "121"},
        {"hemoglobin", "718-7", words(" <= 7 g/dL"), "(..70]"},
        {"creatinine", "2160-0", words("1.2.3 mg/dL"), "implausible"},
        {"creatinine", "2160-0", words("1,2 mg/dL"), "unreadable-unit"},
        {"creatinine", "2160-0", words("see comment"), "none: missing"},
        {"creatinine", "2160-0", words(""), "none: missing"},
        {"creatinine", "2160-0", R"("dataAbsentReason":{"coding":[{"code":"unknown"}]})", "none: missing"},
        {"creatinine", "2160-0", R"("_valueQuantity":{"extension":[]})", "none: missing"},
        {"creatinine", "2160-0", R"("valueQuantity":{"unit":"mg/dL"})", "none: missing"},
        {"creatinine", "2160-0", R"("valueBoolean":true)", "none: missing"},
    };
    for (const ValueRow& row : rows) {
        CAPTURE(row.member);
        const Reading reading({man, observation(row.code, row.member)});
        CHECK(said(reading[row.fact]) == row.expected);
    }
}

TEST_CASE("words with more numbers than one measurement has decide nothing") {
    for (const std::string_view words : {"12.1 g/dL (repeat 11.9 g/dL)", "12.1 then 11.9", "11/10 g/dL"}) {
        CAPTURE(words);
        const Reading reading({man, observation("718-7", R"("valueString":")" + std::string(words) + '"')});
        for (const mapping::Evidence& result : reading["hemoglobin"].results) CHECK_FALSE(isDecided(result.basis));
    }
}

TEST_CASE("a comparator that FHIR R4 does not know decides nothing") {
    const Reading reading(
        {man, observation("2160-0", R"("valueQuantity":{"value":1.2,"comparator":"~","unit":"mg/dL"})")});
    for (const mapping::Evidence& result : reading["creatinine"].results) CHECK_FALSE(isDecided(result.basis));
}

TEST_CASE("look-alike codes are no result at all") {
    for (const std::string_view code : {"33914-3", "62238-1", "98979-8", "48642-3", "77147-7", "69405-9"}) {
        CAPTURE(code);
        const Reading reading({man, observation(code, quantity("75", "mL/min", "mL/min"))});
        CHECK(said(reading["creatinineClearance"]) == "none: missing");
    }
    for (const std::string_view code : {"2161-8", "14683-7", "11041-1"}) {
        CAPTURE(code);
        const Reading reading({man, observation(code, quantity("1.2", "mg/dL", "mg/dL"))});
        CHECK(said(reading["creatinine"]) == "none: missing");
    }
}

TEST_CASE("a code under review is shown and does not decide") {
    const Reading reading({man, observation("12195-4", quantity("75", "mL/min", "mL/min"))});
    CHECK(said(reading["creatinineClearance"]) == "unconfirmed");
    CHECK(reading["creatinineClearance"].results.size() == 1);
}

TEST_CASE("several codings of one Observation count once, and any of them is enough") {
    const std::string codes = R"({"coding":[{"system":"https://fhir.example/codeSet/72","code":"8125"},)" +
                              loinc("2708-6") + ',' + loinc("59408-5") + "]}";
    const Reading reading({man, observationOf(R"("status":"final","effectiveDateTime":"2025-11-18","code":)" + codes +
                                              ',' + quantity("95", "%"))});
    CHECK(said(reading["spo2"]) == "95");
}

TEST_CASE("a result in a component is read, and the panel itself says nothing") {
    const Reading reading({man, observation("24323-8", R"("component":[{"code":{"coding":[)" + loinc("2160-0") + "]}," +
                                                           quantity("1.2", "mg/dL") + R"(},{"code":{"coding":[)" +
                                                           loinc("1975-2") + "]}," + quantity("0.8", "mg/dL") + "}]")});
    CHECK(said(reading["creatinine"]) == "1.2");
    CHECK(said(reading["totalBilirubin"]) == "0.8");
}

TEST_CASE("the method of an ejection fraction comes from the method element, else from the code") {
    struct Row {
        std::string_view code, method, expected;
    };
    const std::vector<Row> rows{
        {"10230-1", "", ""},
        {"10230-1", R"("method":{"text":"2D echocardiography"})", "echocardiography"},
        {"10230-1", R"("method":{"coding":[{"display":"Transthoracic echocardiography"}]})", "echocardiography"},
        {"10230-1", R"("method":{"text":"MUGA scan"})", "nuclear"},
        {"18043-0", "", "echocardiography"},
        {"8806-2", "", "echocardiography"},
        {"8811-2", "", "magnetic resonance"},
        {"8810-4", "", "computed tomography"},
        {"8806-2", R"("method":{"text":"Cardiac MRI"})", "magnetic resonance"},
        {"8806-2", R"("method":{"text":"as usual"})", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.code);
        CAPTURE(row.method);
        const std::string method = row.method.empty() ? "" : std::string(row.method) + ',';
        const Reading reading({man, observation(row.code, method + quantity("55", "%"))});
        REQUIRE(reading["lvef"].results.size() == 1);
        CHECK(reading["lvef"].results.front().method == row.expected);
        CHECK(said(reading["lvefMethod"]) ==
              (row.expected.empty() ? std::string("none: asked") : std::string(row.expected)));
    }
}

TEST_CASE("limits of an ejection fraction and other ejection fractions are not the ejection fraction") {
    for (const std::string_view code : {"104258-9", "104145-8", "39895-8"}) {
        CAPTURE(code);
        const Reading reading({man, observation(code, quantity("55", "%"))});
        CHECK(said(reading["lvef"]) == "none: missing");
    }
}

TEST_CASE("the upper limit of normal is the one of the same result, for this sex and age") {
    struct Row {
        std::string_view ranges;
        std::string_view expected;  ///< in mg/dL; empty: none
    };
    const std::vector<Row> rows{
        {R"({"low":{"value":0.2,"unit":"mg/dL"},"high":{"value":1.2,"unit":"mg/dL"}})", "1.2"},
        {R"({"high":{"value":1.2}})", "1.2"},
        {R"({"high":{"value":20.5248,"unit":"umol/L","code":"umol/L"}})", "1.2"},
        {R"({"low":{"value":0.2,"unit":"mg/dL"}})", ""},
        {R"({"high":{"value":1.2,"unit":"%"}})", ""},
        {R"({"high":{"value":0,"unit":"mg/dL"}})", ""},
        {R"({"high":{"value":-666.66,"unit":"mg/dL"}})", ""},
        {R"({"text":"0.2-1.2"})", "1.2"},
        {R"({"text":"0.2 - 1.2 mg/dL"})", "1.2"},
        {R"({"text":"3.4208-20.5248 umol/L"})", "1.2"},
        {R"({"text":"<= 1.2"})", "1.2"},
        {R"({"text":"<1.2"})", "1.2"},
        {R"({"text":">59"})", ""},
        {R"({"text":"1.2"})", ""},
        {R"({"text":"see report"})", ""},
        // Of type normal, or of no type, which FHIR takes for normal.
        {R"({"high":{"value":1.2},"type":{"coding":[{"code":"normal"}]}},
            {"high":{"value":5},"type":{"coding":[{"code":"therapeutic"}]}})",
         "1.2"},
        {R"({"high":{"value":5},"type":{"coding":[{"code":"therapeutic"}]}})", ""},
        {R"({"high":{"value":5},"type":{"text":"critical"}})", ""},
        // For this sex.
        {R"({"high":{"value":1.2},"appliesTo":[{"coding":[{"system":"http://snomed.info/sct","code":"248153007"}]}]},
            {"high":{"value":0.9},"appliesTo":[{"coding":[{"system":"http://snomed.info/sct","code":"248152002"}]}]})",
         "1.2"},
        {R"({"high":{"value":1.2},"appliesTo":[{"text":"Males"}]},{"high":{"value":0.9},"appliesTo":[{"text":"Females"}]})",
         "1.2"},
        {R"({"high":{"value":0.9},"appliesTo":[{"text":"Females"}]})", ""},
        {R"({"high":{"value":0.9},"appliesTo":[{"text":"Inuit"}]})", ""},
        {R"({"high":{"value":0.9},"appliesTo":[{"text":"Males"},{"text":"Inuit"}]})", ""},
        // For this age: 55 years on the day of the evaluation.
        {R"({"high":{"value":1.2},"age":{"low":{"value":18,"unit":"a"},"high":{"value":65,"unit":"a"}}},
            {"high":{"value":0.9},"age":{"low":{"value":66,"unit":"a"}}},
            {"high":{"value":8},"age":{"high":{"value":1,"unit":"mo"}}})",
         "1.2"},
        {R"({"high":{"value":1.2},"age":{"high":{"value":55,"unit":"years"}}})", "1.2"},
        {R"({"high":{"value":1.2},"age":{"high":{"value":54,"unit":"years"}}})", ""},
        {R"({"high":{"value":1.2},"age":{"low":{"value":55,"unit":"years"}}})", "1.2"},
        {R"({"high":{"value":1.2},"age":{"low":{"value":56,"unit":"years"}}})", ""},
        {R"({"high":{"value":1.2},"age":{"low":{"value":1,"unit":"decade"}}})", ""},
        // Two that apply and agree, and two that apply and do not.
        {R"({"high":{"value":1.2}},{"high":{"value":1.20,"unit":"mg/dL"}})", "1.2"},
        {R"({"high":{"value":1.2}},{"high":{"value":1.3}})", ""},
        {"null", ""},
        {"", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.ranges);
        const Reading reading({man, observation("1975-2", quantity("1.0", "mg/dL") + R"(,"referenceRange":[)" +
                                                              std::string(row.ranges) + "]")});
        REQUIRE(reading["totalBilirubin"].results.size() == 1);
        const auto& limit = reading["totalBilirubin"].results.front().upperLimit;
        CHECK((limit ? fhir::decimalText(*limit, 6) : "") == row.expected);
    }
}

TEST_CASE("the upper limit is converted with the same factor as the value") {
    const Reading reading({man, observation("14631-6", quantity("17.104", "umol/L", "umol/L") +
                                                           R"(,"referenceRange":[{"high":{"value":20.5248}}])")});
    const auto& result = reading["totalBilirubin"].results.front();
    REQUIRE(result.upperLimit.has_value());
    CHECK((*result.upperLimit == fhir::Rational(12, 10)));
    CHECK(result.upperLimitText == "20.5248");
}

TEST_CASE("a range of a component counts for the component alone") {
    const Reading reading(
        {man, observation("24323-8",
                          R"("referenceRange":[{"high":{"value":5,"unit":"mg/dL"}}],"component":[{"code":{"coding":[)" +
                              loinc("1975-2") + "]}," + quantity("0.8", "mg/dL") + "}]")});
    REQUIRE(reading["totalBilirubin"].results.size() == 1);
    CHECK_FALSE(reading["totalBilirubin"].results.front().upperLimit.has_value());
}

namespace {

/// A creatinine in mg/dL with these members beside code and value.
std::string creatinine(std::string_view value, const std::string& members, std::string_view unit = "mg/dL") {
    return observationOf(members + R"(,"code":{"coding":[)" + loinc("2160-0") + "]}," + quantity(value, unit));
}

}  // namespace

TEST_CASE("the newest usable result counts, whatever its place in the file") {
    struct Row {
        std::vector<std::string> observations;
        std::string_view expected;
    };
    const std::vector<Row> rows{
        {{creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11-10")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")"),
          creatinine("1.3", R"("id":"c","status":"final","effectiveDateTime":"2025-11-11")")},
         "1.2"},
        // Half past eleven at night in New York is later than one in the morning in Greenwich.
        {{creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11-12T23:30:00-05:00")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-13T01:00:00Z")")},
         "1.1"},
        {{creatinine("1.1",
                     R"("id":"a","status":"final","effectiveDateTime":"2025-11-12","issued":"2025-11-12T10:00:00Z")"),
          creatinine("1.2",
                     R"("id":"b","status":"final","effectiveDateTime":"2025-11-12","issued":"2025-11-12T11:00:00Z")")},
         "1.2"},
        {{creatinine("1.1", R"("id":"a","status":"final","issued":"2025-11-12T10:00:00Z")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-11")")},
         "1.1"},
        {{creatinine("1.1", R"("id":"a","status":"final","effectivePeriod":{"start":"2025-11-01","end":"2025-11-13"})"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")")},
         "1.1"},
        // The same time with different values: both stay, for a person to see.
        {{creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11-12")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")")},
         "1.1 | 1.2"},
        {{creatinine("1.1", R"("id":"a","status":"corrected","effectiveDateTime":"2025-11-12")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")")},
         "1.1"},
        {{creatinine("1.1", R"("id":"a","status":"amended","effectiveDateTime":"2025-11-12")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")")},
         "1.1"},
        // A corrected result of an earlier day is no correction of the newer one.
        {{creatinine("1.1", R"("id":"a","status":"corrected","effectiveDateTime":"2025-11-11")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")")},
         "1.2"},
        // What cannot be used does not hide what can.
        {{creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11-11")"),
          creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")", "furlong")},
         "1.1"},
        {{creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11-11")"),
          creatinine("-666.66", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")")},
         "1.1"},
        {{creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11-11")"),
          creatinine("1.2", R"("id":"b","status":"preliminary","effectiveDateTime":"2025-11-12")")},
         "1.1"},
        {{creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11-11")"),
          creatinine("1.2", R"("id":"b","status":"final")")},
         "1.1"},
    };
    for (const Row& row : rows) {
        CAPTURE(&row - rows.data());
        std::vector<std::size_t> order(row.observations.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        do {
            std::vector<std::string> resources{man};
            for (const std::size_t i : order) resources.push_back(row.observations[i]);
            const Reading reading(resources);
            CHECK(said(reading["creatinine"]) == row.expected);
        } while (std::next_permutation(order.begin(), order.end()));
    }
}

TEST_CASE("a vague date that may be the newest stands beside the newest certain one") {
    const Reading reading({man, creatinine("1.1", R"("id":"a","status":"final","effectiveDateTime":"2025-11")"),
                           creatinine("1.2", R"("id":"b","status":"final","effectiveDateTime":"2025-11-12")")});
    CHECK(said(reading["creatinine"]) == "1.1 | 1.2");
}

TEST_CASE("only final, amended and corrected results count") {
    struct Row {
        std::string_view status, expected;
        std::size_t shown;  ///< beside an older result that counts
    };
    const std::vector<Row> rows{
        {"final", "1.2", 0},
        {"amended", "1.2", 0},
        {"corrected", "1.2", 0},
        {"final ", "1.2", 0},
        {"preliminary", "unconfirmed", 1},
        {"entered-in-error", "none: missing", 0},
        {"entered-in-error ", "none: missing", 0},
        {"cancelled", "none: missing", 0},
        {"registered", "none: missing", 0},
        {"unknown", "none: missing", 0},
        {"completed", "none: missing", 0},
        {"", "none: missing", 0},
    };
    for (const Row& row : rows) {
        CAPTURE(row.status);
        const Reading reading(
            {man, creatinine("1.2", R"("effectiveDateTime":"2025-11-12","status":")" + std::string(row.status) + '"')});
        CHECK(said(reading["creatinine"]) == row.expected);
        const Reading besideOlder(
            {man, creatinine("0.9", R"("id":"old","effectiveDateTime":"2025-11-01","status":"final")"),
             creatinine("1.2", R"("effectiveDateTime":"2025-11-12","status":")" + std::string(row.status) + '"')});
        CHECK(besideOlder["creatinine"].shown.size() == row.shown);
    }
}

TEST_CASE("what is dated after the day of the evaluation is not used") {
    const std::string earlier = creatinine("1.1", R"("status":"final","effectiveDateTime":"2025-11-11")");
    for (const std::string_view date :
         {R"("effectiveDateTime":"2025-11-21")", R"("effectiveDateTime":"2025-11-21T00:00:00Z")",
          R"("effectiveDateTime":"2025-11-20T23:00:00-02:00")", R"("effectiveDateTime":"2026")",
          R"("effectivePeriod":{"end":"2025-11-21"})", R"("issued":"2025-11-21T08:00:00Z")"}) {
        CAPTURE(date);
        const std::string later = creatinine("1.2", R"("status":"final",)" + std::string(date));
        CHECK(said(Reading({man, earlier, later})["creatinine"]) == "1.1");
        CHECK(said(Reading({man, later})["creatinine"]) == "none: missing");
    }
    // The day itself counts to its end.
    CHECK(said(Reading(
              {man,
               creatinine("1.2", R"("status":"final","effectiveDateTime":"2025-11-20T23:59:59Z")")})["creatinine"]) ==
          "1.2");
}

TEST_CASE("a result after the day of the evaluation is counted in an issue") {
    const Reading reading({man, creatinine("1.2", R"("status":"final","effectiveDateTime":"2025-11-21")")});
    const bool counted =
        std::any_of(reading.facts.issues.begin(), reading.facts.issues.end(),
                    [](const fhir::Issue& issue) { return issue.message.starts_with("1 Observation"); });
    CHECK(counted);
}

TEST_CASE("a result is fresh for thirty days, and a date too vague to tell is undated") {
    struct Row {
        std::string_view date, expected;
    };
    const std::vector<Row> rows{
        {"2025-11-20", "1.2"},    {"2025-10-21", "1.2"},     {"2025-10-20", "1.2 stale"},
        {"2025-11", "1.2"},       {"2025-10", "undated"},    {"2025-09", "1.2 stale"},
        {"2025", "undated"},      {"2024", "1.2 stale"},     {"2025-10-21T00:30:00+02:00", "1.2 stale"},
        {"yesterday", "undated"}, {"2025-02-30", "undated"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.date);
        const Reading reading(
            {man, creatinine("1.2", R"("status":"final","effectiveDateTime":")" + std::string(row.date) + '"')});
        CHECK(said(reading["creatinine"]) == row.expected);
    }
    CHECK(said(Reading({man, creatinine("1.2", R"("status":"final")")})["creatinine"]) == "undated");
}

TEST_CASE("a performance status is read from a number, an answer code, or an interpretation") {
    const std::string interpretation = R"("interpretation":[{"coding":[)" + loinc("LA9623-5") + "]}]";
    const std::vector<ValueRow> rows{
        {"ecog", "89247-1", R"("valueInteger":1)", "1"},
        {"ecog", "89247-1", R"("valueInteger":1,)" + interpretation, "1"},
        {"ecog", "89247-1", interpretation, "1"},
        {"ecog", "89262-0", R"("valueCodeableConcept":{"coding":[)" + loinc("LA9624-3") + "]}", "2"},
        {"ecog", "89247-1", quantity("0", "{score}", "{score}"), "0"},
        {"ecog", "89247-1", quantity("3", ""), "3"},
        {"ecog", "89247-1", R"("valueCodeableConcept":{"text":"restricted"})", "none: missing"},
        {"ecog", "89247-1", R"("valueCodeableConcept":{"coding":[)" + loinc("LA29175-9") + "]}", "none: missing"},
        {"karnofsky", "89243-0", R"("valueInteger":90)", "90"},
        {"karnofsky", "89243-0", R"("valueCodeableConcept":{"coding":[)" + loinc("LA29176-7") + "]}", "90"},
        {"karnofsky", "89243-0", quantity("80", "%"), "80"},
        // One answer code, two scales: the question decides.
        {"ecog", "89247-1", R"("valueCodeableConcept":{"coding":[)" + loinc("LA9627-6") + "]}", "5"},
        {"karnofsky", "89243-0", R"("valueCodeableConcept":{"coding":[)" + loinc("LA9627-6") + "]}", "0"},
    };
    for (const ValueRow& row : rows) {
        CAPTURE(row.member);
        const Reading reading({man, observation(row.code, row.member)});
        CHECK(said(reading[row.fact]) == row.expected);
    }
}

TEST_CASE("a saturation is on room air, on oxygen, or neither is stated") {
    const auto component = [](std::string_view code, std::string_view value, std::string_view unit) {
        return R"({"code":{"coding":[)" + loinc(code) + "]}," + quantity(value, unit) + '}';
    };
    const auto with = [&](const std::vector<std::string>& components) {
        std::string text;
        for (const std::string& one : components) text += (text.empty() ? "" : ",") + one;
        return R"("component":[)" + text + "]";
    };
    const std::string sibling = "sibling:";
    struct Row {
        std::string members;
        std::string_view expected, expectedOnRoomAir;
    };
    const std::string_view point = "95";
    const std::string_view atMost = "(..95]";
    const std::vector<Row> rows{
        {"", point, atMost},
        {with({component("3150-0", "21", "%")}), point, point},
        {with({component("3150-0", "0.21", "1")}), point, point},
        {with({component("3151-8", "0", "L/min")}), point, point},
        {with({component("3150-0", "21", "%"), component("3151-8", "0", "L/min")}), point, point},
        {with({component("3150-0", "28", "%")}), atMost, atMost},
        {with({component("3151-8", "2", "L/min")}), atMost, atMost},
        {with({component("3151-8", "2", "liters/min")}), atMost, atMost},
        // Contradictory data counts as unstated: 21 % and 7 L/min in one Observation.
        {with({component("3150-0", "21", "%"), component("3151-8", "7", "L/min")}), point, atMost},
        // Written down, and not to be read: it may have been oxygen.
        {with({component("3150-0", "21", "")}), atMost, atMost},
        {with({R"({"code":{"coding":[{"system":"http://snomed.info/sct","code":"722742002"}]}})"}), point, point},
        {with({R"({"code":{"coding":[{"system":"http://snomed.info/sct","code":"57485005"}]}})"}), atMost, atMost},
        {R"("method":{"text":"Pulse oximetry, room air"})", point, point},
        {R"("note":[{"text":"measured on Room Air"}])", point, point},
        {R"("note":[{"text":"without oxygen"}])", point, point},
        {R"("note":[{"text":"comfortable"}])", point, atMost},
        {R"("note":[{"text":"room air"}],)" + with({component("3151-8", "4", "L/min")}), point, atMost},
        {sibling + observation("3150-0", quantity("21", "%")), point, point},
        {sibling + observation("3151-8", quantity("3", "L/min")), atMost, atMost},
        // Another day's oxygen says nothing of today's.
        {sibling + observationOf(R"("status":"final","effectiveDateTime":"2025-11-17","code":{"coding":[)" +
                                 loinc("3150-0") + "]}," + quantity("21", "%")),
         point, atMost},
        {sibling + observationOf(R"("status":"preliminary","effectiveDateTime":"2025-11-18","code":{"coding":[)" +
                                 loinc("3150-0") + "]}," + quantity("21", "%")),
         point, atMost},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const bool isSibling = row.members.starts_with(sibling);
        std::vector<std::string> resources{man};
        if (isSibling) resources.push_back(row.members.substr(sibling.size()));
        const std::string members = isSibling || row.members.empty() ? "" : row.members + ',';
        resources.push_back(observation("59408-5", members + quantity("95", "%", "%")));
        const Reading reading(resources);
        CHECK(said(reading["spo2"]) == row.expected);
        CHECK(said(reading["spo2RoomAir"]) == row.expectedOnRoomAir);
    }
}

TEST_CASE("words that hold 'room air' or 'on air' and say something else do not show room air") {
    // Airvo is a device for high-flow oxygen.
    for (const std::string_view words : {"not on room air", "on Airvo, 40 L/min"}) {
        CAPTURE(words);
        const Reading reading({man, observation("59408-5", R"("note":[{"text":")" + std::string(words) + R"("}],)" +
                                                               quantity("95", "%", "%"))});
        CHECK(said(reading["spo2RoomAir"]) == "(..95]");
    }
}

TEST_CASE("venous and calculated saturations are not the pulse oximeter's") {
    CHECK(said(Reading({man, observation("2711-0", quantity("70", "%"))})["spo2"]) == "none: missing");
    CHECK(said(Reading({man, observation("2713-6", quantity("95", "%"))})["spo2"]) == "unconfirmed");
}

TEST_CASE("a CD7 percentage counts only when the result names tumour cells or blasts") {
    struct Row {
        std::string_view members, expected, method;
    };
    const std::vector<Row> rows{
        {R"("note":[{"text":"routine"}])", "unconfirmed", ""},
        {R"("note":[{"text":"85 % of blasts"}])", "85", ""},
        {R"("note":[{"text":"gated on tumour cells"}])", "85", ""},
        {R"("method":{"text":"Flow cytometry"})", "unconfirmed", "flow cytometry"},
        {R"("method":{"text":"Flow cytometry, blast gate"})", "85", "flow cytometry"},
        {R"("method":{"text":"IHC on lymphoma cells"})", "85", "immunohistochemistry"},
        {R"("specimen":{"display":"Bone marrow, leukemic cells"})", "85", ""},
        {R"("bodySite":{"text":"neoplastic cells"})", "85", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const Reading reading({man, observation("35641-0", std::string(row.members) + ',' + quantity("85", "%"))});
        CHECK(said(reading["cd7Percent"]) == row.expected);
        REQUIRE(reading["cd7Percent"].results.size() == 1);
        CHECK(reading["cd7Percent"].results.front().method == row.method);
    }
}

TEST_CASE("the name of the disease and the absence of blasts are no gate for CD7") {
    for (const std::string_view words : {"no blasts seen", "Clinical diagnosis: acute lymphoblastic leukemia"}) {
        CAPTURE(words);
        const Reading reading({man, observation("35641-0", R"("note":[{"text":")" + std::string(words) + R"("}],)" +
                                                               quantity("85", "%"))});
        CHECK(said(reading["cd7Percent"]) == "unconfirmed");
    }
}

TEST_CASE("a count of CD7 over all cells is shown") {
    const Reading reading({man, observation("8135-6", quantity("85", "%"))});
    REQUIRE(reading["cd7Percent"].results.size() == 1);
    CHECK(reading["cd7Percent"].results.front().valueText == "85");
    CHECK(reading["cd7Percent"].results.front().basis == mapping::Basis::unconfirmed);
}

TEST_CASE("cells that have lost CD7 say nothing of CD7 on tumour cells") {
    const Reading reading({man, observation("51302-8", R"("note":[{"text":"of blasts"}],)" + quantity("85", "%"))});
    CHECK(said(reading["cd7Percent"]) == "none: missing");
}

TEST_CASE("a qualitative CD7 on tumour cells decides") {
    const std::string gate = R"("method":{"text":"Flow cytometry of blasts"},)";
    CHECK(said(Reading({man, observation("35641-0", gate + R"("valueString":"Positive")")})["cd7Positive"]) ==
          "positive");
    CHECK(said(Reading({man, observation("35641-0", gate + R"("valueString":"Negative")")})["cd7Positive"]) ==
          "negative");
    CHECK(said(Reading({man, observation("35641-0", R"("valueString":"Positive")")})["cd7Positive"]) == "unconfirmed");
}

TEST_CASE("a qualitative result is positive, negative, or neither") {
    const auto coded = [](std::string_view system, std::string_view code) {
        return R"("valueCodeableConcept":{"coding":[{"system":")" + std::string(system) + R"(","code":")" +
               std::string(code) + "\"}]}";
    };
    const auto interpretation = [](std::string_view code) {
        return R"("interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":")" +
               std::string(code) + "\"}]}]";
    };
    const std::string range = R"(,"referenceRange":[{"high":{"value":1.0}}])";
    const std::vector<ValueRow> rows{
        {"hbsAg", "5195-3", coded("http://snomed.info/sct", "10828004"), "positive"},
        {"hbsAg", "5195-3", coded("http://snomed.info/sct", "260385009"), "negative"},
        {"hbsAg", "5195-3", coded("http://snomed.info/sct", "260415000"), "negative"},
        {"hbsAg", "5195-3", coded("http://snomed.info/sct", "720735008"), "unconfirmed"},
        {"hbsAg", "5195-3", coded("http://snomed.info/sct", "42425007"), "unconfirmed"},
        {"hbsAg", "5195-3", coded("http://loinc.org", "LA6577-6"), "negative"},
        {"hbsAg", "5195-3", R"("valueCodeableConcept":{"text":"Non-reactive"})", "negative"},
        {"hbsAg", "5195-3",
         R"("valueCodeableConcept":{"coding":[{"system":"urn:local","code":"7","display":"Reactive"}]})", "positive"},
        {"hbsAg", "5195-3", R"("valueCodeableConcept":{"text":"Reported"})", "unconfirmed"},
        {"hbsAg", "5195-3", R"("valueString":"Not detected")", "negative"},
        {"hbsAg", "5195-3", R"("valueString":"see PDF")", "unconfirmed"},
        {"hbsAg", "5195-3", R"("valueBoolean":true)", "positive"},
        {"hbsAg", "5195-3", R"("valueBoolean":false)", "negative"},
        {"hbsAg", "5195-3", interpretation("POS"), "positive"},
        {"hbsAg", "5195-3", interpretation("NEG"), "negative"},
        {"hbsAg", "5195-3", interpretation("IND"), "unconfirmed"},
        // A number is held against the cut-off of its own assay.
        {"hbsAg", "63557-3", quantity("0.4", "S/CO") + range, "negative"},
        {"hbsAg", "63557-3", quantity("250", "S/CO") + range, "positive"},
        {"hbsAg", "63557-3", quantity("250", "S/CO"), "no-upper-limit"},
        {"hbsAg", "63557-3", R"("valueQuantity":{"value":0.05,"comparator":"<","unit":"[IU]/mL"})", "negative"},
        {"hbsAg", "63557-3", R"("valueQuantity":{"value":250,"comparator":">","unit":"S/CO"})" + range, "positive"},
        {"hbsAg", "63557-3", quantity("0.4", "S/CO") + ',' + interpretation("NEG"), "negative"},
        // The antibody that shows immunity is not the antigen.
        {"hbsAg", "22322-2", R"("valueString":"Positive")", "none: missing"},
    };
    for (const ValueRow& row : rows) {
        CAPTURE(row.member);
        const Reading reading({man, observation(row.code, row.member)});
        CHECK(said(reading[row.fact]) == row.expected);
    }
}

TEST_CASE("a number above something that lies below the cut-off is not negative") {
    const Reading reading(
        {man, observation("63557-3", R"("valueQuantity":{"value":0.5,"comparator":">","unit":"S/CO"},)"
                                     R"("referenceRange":[{"high":{"value":1.0}}])")});
    REQUIRE(reading["hbsAg"].results.size() == 1);
    CHECK(text(reading["hbsAg"].results.front()) != "negative");
}

TEST_CASE("a viral load is detected or not, and a number") {
    struct Row {
        std::string member;
        std::string_view expected, limit;
    };
    const std::string range = R"(,"referenceRange":[{"high":{"value":500,"unit":"[IU]/mL"}}])";
    const std::vector<Row> rows{
        {R"("valueString":"Not detected")", "negative", ""},
        {R"("valueString":"Target not detected")", "negative", ""},
        {R"("valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"260415000"}]})", "negative",
         ""},
        {R"("valueString":"below the limit of detection")", "negative", ""},
        {R"("valueString":"Detected, below the limit of quantification")", "positive", ""},
        {R"("valueString":"Detected")", "positive", ""},
        {R"("valueString":"Indeterminate")", "unconfirmed", ""},
        {R"("valueString":"pending")", "unconfirmed", ""},
        {R"("valueString":"<20")", "negative", ""},
        {R"("valueString":"<20 IU/mL")", "negative (..20)", ""},
        {R"("valueQuantity":{"value":20,"comparator":"<","unit":"IU/mL"})", "negative (..20)", ""},
        {R"("valueQuantity":{"value":20,"comparator":"<","unit":"IU/mL"},"interpretation":[{"text":"detected"}])",
         "positive (..20)", ""},
        {quantity("800", "IU/mL"), "positive 800", ""},
        {quantity("800", "IU/mL") + range, "positive 800", "500"},
        {quantity("0.8", "kIU/mL") + range, "positive 800", "500"},
        {quantity("0", "IU/mL"), "negative 0", ""},
        {R"("valueQuantity":{"value":20,"comparator":">","unit":"IU/mL"})", "positive (20..)", ""},
        // Copies are read and never converted.
        {quantity("800", "copies/mL"), "positive 800", ""},
        {quantity("800", "copies/mL") + range, "positive 800", ""},
        {quantity("800", "copies/mL") + R"(,"referenceRange":[{"high":{"value":500}}])", "positive 800", "500"},
        {quantity("800", "furlong"), "unreadable-unit", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.member);
        const Reading reading({man, observation("72493-0", row.member)});
        CHECK(said(reading["cmvDna"]) == row.expected);
        REQUIRE(reading["cmvDna"].results.size() == 1);
        const auto& limit = reading["cmvDna"].results.front().upperLimit;
        CHECK((limit ? fhir::decimalText(*limit) : "") == row.limit);
    }
}

TEST_CASE("a positive result that lasts for life neither goes stale nor gives way to a later negative one") {
    const auto test = [](std::string_view id, std::string_view date, std::string_view value) {
        return observationOf(R"("id":")" + std::string(id) + R"(","status":"final","effectiveDateTime":")" +
                             std::string(date) + R"(","code":{"coding":[)" + loinc("16128-1") +
                             R"(]},"valueString":")" + std::string(value) + '"');
    };
    CHECK(said(Reading({man, test("a", "2012-03-01", "Positive")})["hcvAntibody"]) == "positive");
    CHECK(said(Reading({man, test("a", "2012-03-01", "Negative")})["hcvAntibody"]) == "negative stale");
    const Reading both({man, test("a", "2012-03-01", "Positive"), test("b", "2025-11-12", "Negative")});
    CHECK(said(both["hcvAntibody"]) == "negative | positive");
    // Undated, it is positive all the same.
    const Reading undated({man, observationOf(R"("status":"final","code":{"coding":[)" + loinc("16128-1") +
                                              R"(]},"valueString":"Positive")")});
    CHECK(said(undated["hcvAntibody"]) == "positive");
}

TEST_CASE("the newest result of every method is kept beside the newest of all") {
    const auto lvef = [](std::string_view code, std::string_view date, std::string_view value) {
        return observationOf(R"("status":"final","effectiveDateTime":")" + std::string(date) +
                             R"(","code":{"coding":[)" + loinc(code) + "]}," + quantity(value, "%"));
    };
    const Reading reading({man, lvef("8806-2", "2025-11-01", "60"), lvef("8806-2", "2025-10-01", "40"),
                           lvef("8811-2", "2025-11-10", "52")});
    CHECK(said(reading["lvef"]) == "52");
    CHECK(said(reading["lvefMethod"]) == "magnetic resonance");
    REQUIRE(reading["lvef"].byMethod.size() == 2);
    for (const mapping::Evidence& result : reading["lvef"].byMethod)
        CHECK(text(result) == (result.method == "echocardiography" ? "60" : "52"));
}

TEST_CASE("a number where a yes or no is asked is compared with a cut-off in the same unit, and with no other") {
    const auto surfaceAntigen = [](const std::string& value, const std::string& limit) {
        return said(Reading({man, observation("63557-3", value + R"(,"referenceRange":[{)" + limit + "}]")})["hbsAg"]);
    };
    const auto high = [](std::string_view value, std::string_view unit) {
        return R"("high":{"value":)" + std::string(value) + R"(,"unit":")" + std::string(unit) + "\"}";
    };
    CHECK(surfaceAntigen(quantity("0.06", "IU/mL"), high("0.05", "IU/mL")) == "positive");
    CHECK(surfaceAntigen(quantity("0.06", "", "[IU]/mL"), high("0.05", "IU/mL")) == "positive");
    CHECK(surfaceAntigen(quantity("0.06", "IU/mL"), R"("high":{"value":0.05})") == "positive");
    CHECK(surfaceAntigen(quantity("0.06", "IU/mL"), R"("text":"< 0.05 IU/mL")") == "positive");
    // 1 kIU/mL is far above 50 IU/L.
    CHECK(surfaceAntigen(quantity("1", "kIU/mL"), high("50", "IU/L")) == "no-upper-limit");
    CHECK(surfaceAntigen(quantity("1", "kIU/mL"), R"("text":"< 50 IU/L")") == "no-upper-limit");
    CHECK(surfaceAntigen(R"("valueQuantity":{"value":1,"comparator":"<","unit":"kIU/mL"})", high("50", "IU/L")) ==
          "no-upper-limit");
}

TEST_CASE("an upper limit in another spelling of a unit that does not convert is that of the result") {
    const auto load = [](std::string_view unit, std::string_view code, std::string_view limitUnit) {
        const Reading reading({man, observation("29610-3", quantity("21", unit, code) +
                                                               R"(,"referenceRange":[{"high":{"value":21,"unit":")" +
                                                               std::string(limitUnit) + "\"}}]")});
        const mapping::Fact& fact = reading["hbvDna"];
        REQUIRE(fact.results.size() == 1);
        return fact.results.front().upperLimit.has_value();
    };
    CHECK(load("cp/mL", "{copies}/mL", "cp/mL"));
    CHECK(load("copies/mL", "", "cp/mL"));
    CHECK_FALSE(load("copies/mL", "", "log copies/mL"));
    CHECK_FALSE(load("copies/mL", "", "IU/mL"));
}

TEST_CASE("a newer result without a value hides none that says something") {
    const auto test = [](std::string_view status, std::string_view date, const std::string& rest) {
        return observationOf(R"("status":")" + std::string(status) + R"(","effectiveDateTime":")" + std::string(date) +
                             R"(","code":{"coding":[)" + loinc("2106-3") + "]}" + rest);
    };
    const std::string hint = test("preliminary", "2025-11-18", R"(,"valueString":"positive")");
    const std::string nothing = test("final", "2025-11-19", "");
    CHECK(said(Reading({man, hint})["pregnancy"]) == "unconfirmed");
    CHECK(said(Reading({man, hint, nothing})["pregnancy"]) == "unconfirmed");
    CHECK(said(Reading({man, nothing, hint})["pregnancy"]) == "unconfirmed");
}

namespace {

/// An Observation of a laboratory, with whatever may be odd about it.
std::string drawn(std::mt19937& random, std::size_t number) {
    const auto oneOf = [&](std::initializer_list<std::string> all) { return all.begin()[random() % all.size()]; };
    const std::string code = oneOf({"1975-2", "1975-2", "1975-2", "2160-0", "59408-5"});
    std::string members = R"("id":")" + std::to_string(number) + R"(","status":")" +
                          oneOf({"final", "final", "final", "final", "amended", "preliminary", "cancelled"}) +
                          R"(","code":{"coding":[)" + loinc(code) +
                          oneOf({"", "", "", "," + loinc("2160-0"), R"(,{"system":"urn:local","code":"x"})"}) + "]}";
    const std::string day = "2025-" + oneOf({"09", "10", "11"}) + "-" + oneOf({"03", "11", "19", "20", "27"});
    members += oneOf({R"(,"effectiveDateTime":")" + day + '"', R"(,"effectiveDateTime":")" + day + R"(T08:00:00Z")",
                      R"(,"effectiveDateTime":"2025-11")", R"(,"issued":")" + day + R"(T09:00:00Z")",
                      R"(,"effectiveDateTime":"soon")", ""});
    const std::string number10 =
        (code == "59408-5" ? "9" : "") + std::to_string(random() % 10) + "." + std::to_string(random() % 10);
    const std::string usual = "," + (code == "59408-5" ? quantity(number10, "%", "%") : quantity(number10, "mg/dL"));
    members +=
        oneOf({usual, usual, usual, usual, usual, usual, "," + quantity(number10, "umol/L"),
               "," + quantity(number10, "furlongs"), "," + quantity(R"("many")", "mg/dL"),
               R"(,"valueString":"12 mg/dL")", R"(,"valueString":"hemolysed")",
               "," + quantity("1", "mg/dL") + R"(,"valueInteger":3)", R"(,"dataAbsentReason":{"text":"error"})", ""});
    members += oneOf(
        {"", "",
         R"(,"component":[{"code":{"coding":[)" + loinc("2160-0") + "]}," + quantity(number10, "mg/dL", "mg/dL") + "}]",
         R"(,"component":[])", R"(,"component":[null])", R"(,"referenceRange":[{"high":{"value":1.2}}])",
         R"(,"note":[{"text":"on room air"}])"});
    return observationOf(members);
}

/// All that is said of results.
std::string said(const std::vector<mapping::Evidence>& results) {
    std::string text;
    for (const mapping::Evidence& e : results) {
        text += e.fact->name + ' ' + std::string(e.id) + ' ' + std::string(mapping::word(e.basis)) + ' ' + e.valueText +
                ' ' + std::string(e.unitText) + ' ' + e.upperLimitText + ' ' + (e.date ? e.date->text() : "undated") +
                ' ' + e.detail + ' ' + std::to_string(e.inputs.size()) + '\n';
    }
    return text;
}

}  // namespace

TEST_CASE("results that are left out because a newer one decides would have changed nothing") {
    const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
    std::mt19937 random(11);
    std::size_t all = 0;
    std::size_t read = 0;
    for (int i = 0; i < 1500; ++i) {
        std::vector<std::string> resources{man};
        for (std::size_t j = 0; j < 2 + random() % 10; ++j) resources.push_back(drawn(random, j));
        CAPTURE(support::bundleOf(resources));
        const fhir::Chart chart = support::chartOf(support::bundleOf(resources));
        const auto factsOf = [&](mapping::Results wanted) {
            mapping::Facts facts(vocabulary);
            facts.asOf = support::day(today);
            mapping::readObservations(chart, vocabulary, facts, wanted);
            return facts;
        };
        const mapping::Facts factsOfSome = factsOf(mapping::Results::unlessOutdated);
        const mapping::Facts factsOfAll = factsOf(mapping::Results::all);
        REQUIRE(factsOfSome.issues.size() == factsOfAll.issues.size());
        for (std::size_t j = 0; j < factsOfAll.issues.size(); ++j) {
            CHECK(factsOfSome.issues[j].path == factsOfAll.issues[j].path);
            CHECK(factsOfSome.issues[j].message == factsOfAll.issues[j].message);
        }
        for (std::size_t fact = 0; fact < vocabulary.facts().size(); ++fact) {
            const std::vector<mapping::Evidence>& some = factsOfSome[fact].results;
            const std::vector<mapping::Evidence>& whole = factsOfAll[fact].results;
            all += whole.size();
            read += some.size();
            CHECK(said(mapping::selectNewest(some)) == said(mapping::selectNewest(whole)));
            // What is newer than the chosen ones, and what may say yes, is among them as well.
            const auto chosen = mapping::selectNewest(whole);
            const auto mayMatter = [&](const mapping::Evidence& e) {
                const bool isOlder = std::any_of(chosen.begin(), chosen.end(), [&](const mapping::Evidence& other) {
                    return other.date && e.date && e.date->first <= other.date->last;
                });
                return e.positive == true || (!mapping::isDecided(e.basis) && !isOlder);
            };
            std::vector<mapping::Evidence> ofSome;
            std::vector<mapping::Evidence> ofWhole;
            std::copy_if(some.begin(), some.end(), std::back_inserter(ofSome), mayMatter);
            std::copy_if(whole.begin(), whole.end(), std::back_inserter(ofWhole), mayMatter);
            CHECK(said(ofSome) == said(ofWhole));
        }
    }
    CHECK(all - read > 200);
    CHECK(read > all / 2);
}
