#include "fhir/shapes.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/error.h"
#include "fhir/form.h"
#include "fhir/memory.h"
#include "tests/fhir/reading.h"
#include "tests/support.h"

using fhir::json::Document;
using fhir::json::Limits;
using fhir::json::Selection;
using fhir::json::Shapes;
using fhir::json::Value;
using reading::checkLimits;
using reading::read;
using reading::readAfresh;

namespace {

/// What differs between resources of one shape, each as it is written.
struct Fillings {
    std::string id = R"("lab-1")";
    std::string lastUpdated = R"("2025-11-06T09:30:00Z")";
    std::string encounter = R"({"reference":"Encounter/1"})";
    std::string effective = R"("2025-11-06")";
    std::string value = "0.7";
    std::string low = R"([{"low":{"value":0.1,"unit":"mg/dL"},"high":{"value":1.2,"unit":"mg/dL"}}])";
    std::string further = {};  ///< members at the end
};

std::string observation(const Fillings& with) {
    return R"({"resource":{"resourceType":"Observation","id":)" + with.id + R"(,"meta":{"lastUpdated":)" +
           with.lastUpdated +
           R"(},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],)"
           R"("code":{"coding":[{"system":"http://loinc.org","code":"1975-2","display":"Bilirubin.total [Mass/volume] in Serum or Plasma"}],"text":"Bilirubin n\u00fcchtern"},)"
           R"("subject":{"reference":"Patient/1"},"encounter":)" +
           with.encounter + R"(,"effectiveDateTime":)" + with.effective + R"(,"valueQuantity":{"value":)" + with.value +
           R"(,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"},"referenceRange":)" + with.low +
           with.further + "}}";
}

std::string bundle(const std::vector<std::string>& entries) {
    std::string all = R"({"resourceType":"Bundle","entry":[)";
    for (const std::string& entry : entries) all += (all.back() == '[' ? "" : ",") + entry;
    return all + "]}";
}

/// Whether the first resource of a document was read by its shape.
bool isKnown(const std::string& text) {
    const Document document(text, Selection::elements);
    return fhir::Form::known((*document.root()["entry"].items().begin())["resource"]) != nullptr;
}

Fillings numbered(int number) {
    const std::string digits = std::to_string(number);
    Fillings fillings;
    fillings.id = "\"lab-" + digits + '"';
    fillings.lastUpdated = "\"2025-11-06T09:30:00." + digits + "Z\"";
    fillings.encounter = "{\"reference\":\"Encounter/" + digits + "\"}";
    fillings.effective = "\"2025-11-0" + std::to_string(1 + number % 9) + '"';
    fillings.value = digits + ".5";
    return fillings;
}

void learn(const Limits& limits = {}) {
    for (int i = 0; i < 5; ++i) read(bundle({observation(numbered(i)), observation(numbered(i + 100))}), limits);
}

/// Whoever checks what is jumped over, and whoever does not.
std::vector<Limits> bothLimits() {
    Limits trusting;
    trusting.checksSkipped = false;
    return {Limits(), trusting};
}

}  // namespace

TEST_CASE("a resource of a known shape is read as if its shape was not known") {
    learn();
    REQUIRE(isKnown(bundle({observation(numbered(7))})));
    struct Row {
        const char* point;
        Fillings fillings;
        bool isKnown;
    };
    const auto with = [](std::string Fillings::*member, std::string text) {
        Fillings fillings = numbered(8);
        fillings.*member = std::move(text);
        return fillings;
    };
    for (const auto& [point, fillings, known] : std::vector<Row>{
             {"as before", numbered(9), true},
             {"an empty id", with(&Fillings::id, R"("")"), true},
             {"letters that are not ASCII", with(&Fillings::id, R"("lab-ü")"), true},
             {"an escape", with(&Fillings::id, R"("lab\u002d1")"), false},
             {"an escaped quote", with(&Fillings::id, R"("lab\"1")"), false},
             {"a line break in a string", with(&Fillings::id, "\"lab\n1\""), false},
             {"a string that is not ended", with(&Fillings::id, "\"lab"), false},
             {"a number instead of a string", with(&Fillings::id, "12"), false},
             {"null instead of a string", with(&Fillings::effective, "null"), false},
             {"a string instead of a number", with(&Fillings::value, R"("0.7")"), false},
             {"a negative number with a power", with(&Fillings::value, "-1.5e-3"), true},
             {"a number that is none", with(&Fillings::value, "01.5"), false},
             {"a number without its digits", with(&Fillings::value, "1."), false},
             {"a minus alone", with(&Fillings::value, "-"), false},
             {"two numbers", with(&Fillings::value, "1 2"), false},
             {"another reference that is jumped over", with(&Fillings::encounter, R"({"reference":"x"})"), true},
             {"another name in what is jumped over", with(&Fillings::encounter, R"({"display":"x"})"), false},
             {"broken JSON in what is jumped over", with(&Fillings::encounter, R"({"reference":"x"])"), false},
             {"another range", with(&Fillings::low, R"([{"high":{"value":2}}])"), false},
             {"a member more", with(&Fillings::further, R"(,"note":[{"text":"fasting"}])"), false},
             {"a name that stands twice", with(&Fillings::further, R"(,"status":"amended")"), false},
         }) {
        const std::string story = point;  // clang 14 captures no structured binding
        CAPTURE(story);
        const std::string text = bundle({observation(fillings), observation(numbered(3))});
        const std::string expected = readAfresh(text);
        CHECK(read(text) == expected);
        if (expected.starts_with('{')) CHECK(isKnown(text) == known);
        CHECK(read(text) == expected);
    }
}

TEST_CASE("what fills a gap is of its own document, and what stands beside it is shared") {
    learn();
    const std::string text = bundle({observation(numbered(21))});
    const std::string other = bundle({observation(numbered(22))});
    const Document first(text, Selection::elements);
    const Document second(other, Selection::elements);
    const auto resourceOf = [](const Document& document) {
        return (*document.root()["entry"].items().begin())["resource"];
    };
    CHECK(resourceOf(first)["id"].text() == "lab-21");
    CHECK(resourceOf(second)["id"].text() == "lab-22");
    CHECK(resourceOf(first)["valueQuantity"]["value"].text() == "21.5");
    CHECK(resourceOf(first)["code"]["text"].text() ==
          "Bilirubin n\xC3\xBC"
          "chtern");
    CHECK(resourceOf(first)["code"]["text"].text().data() == resourceOf(second)["code"]["text"].text().data());
    CHECK(resourceOf(first)["status"].text() == "final");
}

TEST_CASE("texts that were written with escapes are of their own document, wherever they stand") {
    for (const std::string member : {R"("status":"fin\u0061l")", R"("status":"L\u00e4uft")",
                                     R"("resourceType":"Observ\u0061tion","status":"final")",
                                     R"("value\u0058y":"a text that is long enough to stand elsewhere")",
                                     R"("valueString":"a text that is long \u00e4nough to stand elsewhere")",
                                     R"("subject":{"reference":"Patient\/1"})", R"("x\u0079z":{"a":"b"})"}) {
        const std::string type = member.starts_with("\"resourceType") ? "" : R"("resourceType":"Observation",)";
        CAPTURE(member);
        for (int i = 0; i < 12; ++i) {
            const Limits limits = bothLimits()[static_cast<std::size_t>(i % 2)];
            const std::string text =
                bundle({R"({"resource":{)" + type + member + R"(,"id":"lab-)" + std::to_string(i) + R"("}})"});
            CHECK(read(text, limits) == readAfresh(text, limits));
        }
    }
}

TEST_CASE("what is jumped over is checked, or not, whether the shape is known or not") {
    std::size_t refused = 0;
    for (const Limits& limits : bothLimits()) {
        learn(limits);
        for (const std::string encounter : {"{\"reference\":\"\xFF\"}", "{\"reference\":\"a\x01\"}", "{\"\xFF\":1}",
                                            "{\"reference\":[1}}", "{\"reference\":\"\\x\"}"}) {
            Fillings fillings = numbered(5);
            fillings.encounter = encounter;
            const std::string text =
                bundle({observation(numbered(4)), observation(fillings), observation(numbered(6))});
            const std::string expected = readAfresh(text, limits);
            for (int i = 0; i < 3; ++i) CHECK(read(text, limits) == expected);
            refused += !expected.starts_with('{');
        }
    }
    CHECK(refused >= 4);
    CHECK(refused < 10);
}

TEST_CASE("a shape counts against the limits of levels and values") {
    learn();
    const std::string text = bundle({observation(numbered(1)), observation(numbered(2))});
    checkLimits(text, {4, 14}, {10, 90});
}

TEST_CASE("a shape is kept when it is seen again, and nothing of what filled its gaps is") {
    fhir::json::Memory memory;
    const std::string text = R"({"id":"SECRET","n":17,"status":"final"})";
    const Document document{std::string(text)};
    const auto* const nodes = document.root().node();
    const auto part = [&](std::string_view what) {
        return std::string_view(text).substr(text.find(what), what.size());
    };
    const std::vector<Shapes::Gap> gaps{{Shapes::Filling::string, part("SECRET"), 1, 0},
                                        {Shapes::Filling::number, part("17"), 3, 0}};
    // Nodes whose texts stand in this text.
    std::vector<fhir::json::Node> own(nodes, nodes + nodes->span);
    own[1].data = part("SECRET").data();
    own[2].data = part("n\":").data();
    own[3].data = part("17").data();
    own[4].data = part("final").data();
    const auto begin = [&]() -> Shapes::State& { return memory.shapes.begin(4); };
    memory.shapes.keep(4, text, gaps, own.data(), own.size());
    CHECK(begin().pieces.empty());
    memory.shapes.keep(4, text, gaps, own.data(), own.size());
    REQUIRE(begin().pieces.size() == 1);
    CHECK(memory.shapes.begin(5).pieces.empty());

    // It is kept once, however often it is offered.
    const auto shapeOf = [&] { return begin().pieces.front()->then->pieces.front()->then->pieces.front()->shape; };
    const Shapes::Shape* const kept = shapeOf();
    REQUIRE(kept != nullptr);
    for (int i = 0; i < 3000; ++i) memory.shapes.keep(4, text, gaps, own.data(), own.size());
    CHECK(shapeOf() == kept);
    CHECK_FALSE(memory.isFull());

    const std::string next = R"({"id":"other","n":2,"status":"final"})";
    const char* const end = next.data() + next.size();
    const Shapes::Piece* const first = Shapes::find(begin(), next.data(), end);
    REQUIRE(first != nullptr);
    CHECK(first->text == R"({"id":")");
    CHECK(first->filling == Shapes::Filling::string);
    const Shapes::Piece* const second = Shapes::find(*first->then, next.data() + next.find("\",\"n"), end);
    REQUIRE(second != nullptr);
    CHECK(second->text == R"(","n":)");
    CHECK(second->filling == Shapes::Filling::number);
    const Shapes::Piece* const last = Shapes::find(*second->then, next.data() + next.find(",\"status"), end);
    REQUIRE(last != nullptr);
    CHECK(last->text == R"(,"status":"final"})");
    REQUIRE(last->shape != nullptr);
    CHECK(last->shape->nodes[1].text().empty());
    CHECK(last->shape->nodes[2].text() == "n");
    CHECK(last->shape->nodes[3].text().empty());
    CHECK(last->shape->nodes[4].text() == "final");
    CHECK(last->shape->nodes[4].text().data() == last->text.data() + last->text.find("final"));
}

TEST_CASE("of many pieces the one that stands at a place is found") {
    fhir::json::Memory memory;
    std::vector<std::string> texts;
    std::mt19937 random(3);
    for (int i = 0; i < 300; ++i) {
        std::string code = std::to_string(random() % 100'000);
        if (i % 7 == 0) code += "-with-a-long-tail-that-others-have-too-" + std::to_string(i);
        texts.push_back(R"({"system":"http://loinc.org","code":")" + code + R"(","id":"1"})");
    }
    texts.push_back(R"({"id":"1"})");
    const auto gapOf = [](const std::string& text) {
        return Shapes::Gap{Shapes::Filling::string, std::string_view(text).substr(text.size() - 3, 1), Shapes::noNode,
                           0};
    };
    const fhir::json::Node node{};
    for (const std::string& text : texts) {
        for (int i = 0; i < 2; ++i) memory.shapes.keep(4, text, {gapOf(text)}, &node, 1);
    }
    std::size_t found = 0;
    for (int i = 0; i < 2000; ++i) {
        const std::string& text = texts[random() % texts.size()];
        const Shapes::Piece* const piece = Shapes::find(memory.shapes.begin(4), text.data(), text.data() + text.size());
        if (piece == nullptr) continue;  // it would be read in the usual way
        ++found;
        CHECK(text.starts_with(piece->text));
        CHECK(piece->text.size() == text.size() - 3);
    }
    CHECK(found == 2000);
    const std::string unknown = R"({"system":"http://loinc.org","code":"none","id":"1"})";
    CHECK(Shapes::find(memory.shapes.begin(4), unknown.data(), unknown.data() + unknown.size()) == nullptr);
    CHECK(Shapes::find(memory.shapes.begin(4), unknown.data(), unknown.data() + 4) == nullptr);
}

TEST_CASE("charts whose resources are damaged are read alike by who knows their shapes and who does not") {
    std::vector<std::string> charts;
    for (int chart = 0; chart < 40; ++chart) {
        std::vector<std::string> entries;
        for (int i = 0; i < 4; ++i) entries.push_back(observation(numbered(chart * 10 + i)));
        charts.push_back(bundle(entries));
    }
    std::mt19937 random(9);
    constexpr std::string_view letters = "\"\\{}[],:0 a.-e\x01\xFF";
    std::size_t different = 0;
    for (const Limits& limits : bothLimits()) {
        learn(limits);
        for (const std::string& chart : charts) {
            for (int i = 0; i < 25; ++i) {
                std::string damaged = chart;
                const std::size_t at = random() % damaged.size();
                switch (random() % 3) {
                    case 0:
                        damaged[at] = letters[random() % letters.size()];
                        break;
                    case 1:
                        damaged.erase(at, 1 + random() % 3);
                        break;
                    default:
                        damaged.insert(at, 1, letters[random() % letters.size()]);
                        break;
                }
                const std::string expected = readAfresh(damaged, limits);
                CHECK(read(damaged, limits) == expected);
                different += expected != readAfresh(chart, limits);
            }
        }
    }
    CHECK(different > 1000);
}
