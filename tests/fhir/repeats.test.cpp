#include "fhir/memory.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/error.h"
#include "tests/fhir/reading.h"
#include "tests/support.h"

using fhir::json::Document;
using fhir::json::Limits;
using fhir::json::Selection;
using reading::checkLimits;
using reading::read;
using reading::readAfresh;

namespace {

std::string observation(std::string_view code, std::string_view value) {
    return R"({"resource":{"resourceType":"Observation","id":"1","meta":{"lastUpdated":"2025-01-01T00:00:00Z","source":"urn:example:kis","profile":["https://www.example.org/StructureDefinition/ObservationLab"]},"status":"final",)"
           R"("category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],)"
           R"("code":)" +
           std::string(code) +
           R"(,"subject":{"reference":"Patient/1"},"effectiveDateTime":"2025-01-02","valueQuantity":)" +
           std::string(value) + "}}";
}

constexpr std::string_view bilirubin =
    R"({"coding":[{"system":"http://loinc.org","code":"1975-2","display":"Bilirubin.total [Mass/volume] in Serum or Plasma"}],"text":"Bilirubin gesamt, n\u00fcchtern"})";
constexpr std::string_view milligrams =
    R"({"value":0.7,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL","extension":[{"url":"x","valueString":"kept by nobody"}]})";

std::string bundle(const std::vector<std::string>& entries) {
    std::string all = R"({"resourceType":"Bundle","entry":[)";
    for (const std::string& entry : entries) all += (all.back() == '[' ? "" : ",") + entry;
    return all + "]}";
}

}  // namespace

TEST_CASE("what stood in a text before is read as if it had not") {
    const std::string other =
        R"({"coding":[{"system":"http://loinc.org","code":"2160-0","display":"Creatinine [Mass/volume] in Serum or Plasma"}],"text":"Kreatinin"})";
    const std::string micromoles =
        R"({"value":52.6,"unit":"umol/L","system":"http://unitsofmeasure.org","code":"umol/L"})";
    const std::string twice =
        bundle({observation(bilirubin, milligrams), observation(bilirubin, milligrams), observation(other, micromoles),
                observation(bilirubin, milligrams), observation(other, milligrams)});
    const std::string expected = readAfresh(twice);
    CHECK(expected.find("n\xC3\xBC"
                        "chtern") != std::string::npos);
    for (int i = 0; i < 4; ++i) CHECK(read(twice) == expected);
}

TEST_CASE("a member that stands again behind what is known is seen to stand twice") {
    const std::string value =
        R"({"unit":"g/dL","value":0.7,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL","padding":"padding padding padding"})";
    const std::string plain =
        R"({"other":"g/dL","value":0.7,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL","padding":"padding padding padding"})";
    for (int i = 0; i < 4; ++i) read(bundle({observation(bilirubin, plain)}));
    const Document document(bundle({observation(bilirubin, value)}), Selection::elements);
    const auto quantity = (*document.root()["entry"].items().begin())["resource"]["valueQuantity"];
    CHECK(quantity["code"].text() == "mg/dL");
    CHECK_THROWS_AS(quantity["unit"], fhir::Error);
}

TEST_CASE("what is known counts against the limits of levels and values") {
    const std::string deep = observation(
        R"({"coding":[{"system":"http://loinc.org","code":"1975-2","extension":[[[[[[[[[[0]]]]]]]]]]}],"text":"a text that is long enough"})",
        milligrams);
    const std::string text = bundle({deep, deep});
    for (int i = 0; i < 4; ++i) read(text);
    checkLimits(text, {8, 22}, {20, 110});
}

TEST_CASE("what is jumped over unchecked is read alike each time, and not known to whom checks") {
    Limits trusting;
    trusting.checksSkipped = false;
    const std::string otherKind =
        R"({"coding":[{"system":"http://loinc.org","code":"1975-2","vendor":[{"a":[1}]],"display":"Bilirubin.total [Mass/volume] in Serum or Plasma"}]})";
    const std::string noText =
        "{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"1975-2\",\"vendor\":[\"\xFC\"],"
        "\"display\":\"Bilirubin.total [Mass/volume] in Serum or Plasma\"}]}";
    for (const std::string& code : {otherKind, noText}) {
        const std::string text = bundle({observation(code, milligrams)});
        for (int i = 0; i < 4; ++i) CHECK(read(text, trusting).starts_with("{"));
        CHECK_FALSE(read(text).starts_with("{"));
    }
}

TEST_CASE("what stood in two documents of one thread stands in memory once") {
    const std::string text = bundle({observation(bilirubin, milligrams)});
    read(text);
    read(text);
    const Document first(text, Selection::elements);
    const Document second(text, Selection::elements);
    const auto resourceOf = [](const Document& document) {
        return (*document.root()["entry"].items().begin())["resource"];
    };
    const auto place = [&](const Document& document, bool isUnit) {
        const auto resource = resourceOf(document);
        return isUnit ? resource["valueQuantity"]["unit"].text().data() : resource["code"]["text"].text().data();
    };
    CHECK(place(first, false) == place(second, false));
    CHECK(place(first, true) == place(second, true));
    CHECK(resourceOf(first)["id"].text().data() != resourceOf(second)["id"].text().data());
}

TEST_CASE("the rest of an object is known only where nothing before it decides how it is read") {
    const std::string rest =
        R"("resourceType":"Basic","unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL","padding":"padding padding padding"})";
    for (const std::string first : {R"({"vendor":1,)", R"({"value":0.7,)", R"({"resourceType":"Observation",)"}) {
        CAPTURE(first);
        const std::string text = bundle({observation(bilirubin, first + rest)});
        const std::string expected = readAfresh(text);
        for (int i = 0; i < 4; ++i) CHECK(read(text) == expected);
    }
}

TEST_CASE("damaged charts are read, or refused, alike by who has read them whole and who has not") {
    std::vector<std::string> charts;
    for (const auto& story : std::filesystem::directory_iterator("fixtures/patients")) {
        if (const auto file = story.path() / "bundle.json"; std::filesystem::exists(file))
            charts.push_back(support::readFile(file.string()));
    }
    REQUIRE(charts.size() > 100);
    std::sort(charts.begin(), charts.end());
    Limits trusting;
    trusting.checksSkipped = false;
    for (const Limits& limits : {Limits(), trusting}) {
        for (int i = 0; i < 3; ++i) {
            for (const std::string& chart : charts) read(chart, limits);
        }
        std::mt19937 random(5);
        for (std::string chart : charts) {
            for (int i = 0; i < 3; ++i) {
                const std::string expected = readAfresh(chart, limits);
                CHECK(read(chart, limits) == expected);
                CHECK(read(chart, limits) == expected);
                constexpr std::string_view letters = "\"\\{}[],:0 a\x01\xFF";
                chart[random() % chart.size()] = letters[random() % letters.size()];
            }
        }
    }
}

TEST_CASE("what is known grows to a bound") {
    fhir::json::Memory memory;
    fhir::json::Repeats& repeats = memory.repeats;
    const auto keepOne = [&](std::size_t i) {
        const std::string text = "[\"" + std::to_string(i) + std::string(400, 'x') + "\"]";
        const std::string padded = text + std::string(200, ' ');
        for (int look = 0; look < 2; ++look) {
            fhir::json::Repeats::Key key;
            const auto* known =
                repeats.find(fhir::json::Repeats::Kind::value, 1, padded.data(), padded.data() + padded.size(), key);
            CHECK(known == nullptr);
            repeats.keep(key, std::string_view(padded).substr(0, text.size()), nullptr, 0);
        }
        fhir::json::Repeats::Key key;
        return repeats.find(fhir::json::Repeats::Kind::value, 1, padded.data(), padded.data() + padded.size(), key) !=
               nullptr;
    };
    std::size_t kept = 0;
    while (!memory.isFull() && kept < 100'000) kept += keepOne(kept);
    CHECK(memory.isFull());
    CHECK(kept > 1000);
    CHECK_FALSE(keepOne(kept));
}
