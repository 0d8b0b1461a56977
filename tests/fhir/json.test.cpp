#include "fhir/json.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/decimal.h"
#include "fhir/error.h"

using fhir::Error;
using fhir::json::Document;
using fhir::json::Kind;
using fhir::json::Limits;
using fhir::json::sameJson;
using fhir::json::Selection;
using fhir::json::Value;
using fhir::json::Writer;

namespace {

/// The message of the Error that the text is; empty when it is sound.
std::string errorOf(std::string text, const Limits& limits = {}) {
    try {
        const Document document(std::move(text), limits);
        return {};
    } catch (const Error& error) {
        return error.what();
    }
}

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    all.reserve(text.size() * times);
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("broken JSON names line, column and path") {
    struct Row {
        std::string_view text, place;
    };
    const std::vector<Row> rows{
        {"{\"a\":tru}", "line 1, column "},
        {"{\n  \"entry\": [\n    {\"resource\": x}\n  ]\n}", "line 3, column 18 (entry[0].resource)"},
        {"{\n  \"entry\": [\n    {},\n    {\"resource\": {\"id\": }}\n  ]\n}",
         "line 4, column 25 (entry[1].resource.id)"},
        {"{\"entry\":[1,2,,3]}", "line 1, column 15 (entry[2])"},
        {"{\r\n\"a\":1,\r\n\"b\":}\r\n", "line 3, column 5 (b)"},
        {"[1,2", "line 1, column 5"},
        {"{\"a\":1", "line 1, column 7"},
        {"", "line 1, column 1"},
        {"\xEF\xBB\xBF", "line 1"},
        {"{\"a\":1}}", "line 1, column 8"},
        {"{\"a\":1} {\"b\":2}", "line 1, column 9"},
        {"{'a':1}", "line 1, column 2"},
        {"{\"a\":01}", "line 1"},
        {"{\"a\":+1}", "line 1"},
        {"{\"a\":.5}", "line 1"},
        {"{\"a\":1.}", "line 1"},
        {"{\"a\":NaN}", "line 1"},
        {"{\"a\":Infinity}", "line 1"},
        {"{\"a\":1,}", "line 1"},
        {"{\"a\":1} // done", "line 1"},
        {"{\"a\":\"tab\there\"}", "line 1"},
        {"{\"a\":\"line\nbreak\"}", "line 1"},
        {"{\"a\":\"\\x41\"}", "line 1"},
        {"{\"a\":\"\\u12G4\"}", "line 1"},
        {"{\"a\":\"\\ud800\"}", "line 1"},
        {"{\"a\":\"open", "line 1"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const std::string message = errorOf(std::string(row.text));
        CHECK(message.find(row.place) == 0);
        CHECK(message.find("broken JSON: ") != std::string::npos);
    }
}

TEST_CASE("the place is also the error's path") {
    try {
        const Document document("{\n\"a\":}");
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.path() == "line 2, column 5 (a)");
    }
}

TEST_CASE("escaped line breaks before an error do not move its line") {
    CHECK(errorOf(R"({"a":"one\ntwo\nthree","b":})").starts_with("line 1, column 28"));
    CHECK(errorOf(R"({"one\ntwo":1,"b":})").starts_with("line 1, column 19"));
    CHECK(errorOf("{\"a\":\"one\\ntwo\",\n\"b\":}").starts_with("line 2, column 5"));
    CHECK(errorOf(R"({"a":"one\u000atwo","b":})").starts_with("line 1, column "));
    // In the very string that breaks.
    CHECK(errorOf(R"({"a":"one\ntwo\q"})").starts_with("line 1, column "));
    CHECK(errorOf("{\n\"a\":\"one\\ntwo").starts_with("line 2, column "));
}

TEST_CASE("the message of an error holds no value of the input") {
    CHECK(errorOf(R"({"name":"Jane Roe","birthDate":})").find("Jane") == std::string::npos);
    CHECK(errorOf(R"({"name":"Jane Roe)").find("Jane") == std::string::npos);
}

TEST_CASE("a name as long as the document does not fill the message") {
    const std::string message = errorOf("{\"" + repeated("n", 100'000) + "\":}");
    CHECK(message.find("broken JSON") != std::string::npos);
    CHECK(message.size() < 500);
}

TEST_CASE("invalid UTF-8 and NUL are named with their place") {
    CHECK(errorOf("{\n\"a\":\"\xFF\"}") == "line 2, column 6: not valid UTF-8");
    CHECK(errorOf("{\"a\":\"\xC0\xAF\"}") == "line 1, column 7: not valid UTF-8");
    CHECK(errorOf(std::string("{}\0junk", 7)) == "line 1, column 3: a NUL byte is not JSON");
    CHECK(errorOf(std::string("{\"a\":\"\0\"}", 9)) == "line 1, column 7: a NUL byte is not JSON");
    // Latin-1, as it comes from old systems.
    CHECK(errorOf("{\"unit\":\"\xB5mol/L\"}").find("not valid UTF-8") != std::string::npos);
}

TEST_CASE("an escaped NUL is a character like others") {
    const Document document(R"({"a":"x\u0000y","b":1})");
    CHECK(document.root()["a"].text() == std::string_view("x\0y", 3));
    CHECK(document.root()["b"].text() == "1");
}

TEST_CASE("byte order mark, CRLF and white space are skipped") {
    const Document marked("\xEF\xBB\xBF{\"a\":1}");
    CHECK(marked.root()["a"].text() == "1");
    const Document windows("\r\n{\r\n\t\"a\" : 1\r\n}\r\n\t ");
    CHECK(windows.root()["a"].text() == "1");
    CHECK_FALSE(errorOf("{\"a\":\xEF\xBB\xBF"
                        "1}")
                    .empty());
}

TEST_CASE("two hundred thousand levels are an error that names the limit") {
    for (const std::string_view opening : {"[", "{\"a\":", "[{\"a\":"}) {
        CAPTURE(opening);
        const std::string message = errorOf(repeated(opening, 200'000));
        CHECK(message.find("nested deeper than the limit of 64 levels") != std::string::npos);
        CHECK(message.find("line 1, column ") == 0);
    }
}

TEST_CASE("the limit of levels is met and passed by one") {
    const auto nested = [](std::size_t levels) { return repeated("[", levels) + repeated("]", levels); };
    CHECK(errorOf(nested(64)) == "");
    CHECK(errorOf(nested(65)).find("64 levels") != std::string::npos);
    CHECK(errorOf(nested(3), {.depth = 3}) == "");
    CHECK(errorOf(nested(4), {.depth = 3}).find("3 levels") != std::string::npos);
    // Siblings are not levels.
    CHECK(errorOf("[" + repeated("[],", 1'000) + "[]]") == "");
}

TEST_CASE("a text larger than the limit is an error that names it") {
    CHECK(errorOf("[1,2,3]", {.bytes = 7}) == "");
    CHECK(errorOf("[1,2,3]", {.bytes = 6}) == "larger than the limit of 6 bytes");
}

TEST_CASE("a number of a million digits is text, and no decimal") {
    const std::string number = "0." + repeated("7", 1'000'000);
    const Document document("{\"value\":" + number + "}");
    CHECK(document.root()["value"].isNumber());
    CHECK(document.root()["value"].text().size() == number.size());
    CHECK_FALSE(fhir::parseDecimal(document.root()["value"].text()).has_value());
}

TEST_CASE("a number that no double holds is text like others, and no decimal") {
    for (const std::string& number : {repeated("7", 1'000'000), std::string("1E400"), std::string("-1e309")}) {
        CAPTURE(number.size());
        const Document document("{\"value\":" + number + "}");
        CHECK(document.root()["value"].text() == number);
    }
    CHECK_FALSE(fhir::parseDecimal(repeated("7", 1'000'000)).has_value());
}

TEST_CASE("numbers keep their spelling") {
    for (const std::string_view number : {"1.50", "1E-245", "0", "-0", "-0.0", "1e+5", "100", "0.10", "1e-400",
                                          "123456789012345678901234567890", "18446744073709551616"}) {
        CAPTURE(number);
        const Document document("[" + std::string(number) + "]");
        const Value value = *document.root().items().begin();
        CHECK(value.isNumber());
        CHECK(value.text() == number);
    }
}

TEST_CASE("strings lose their escapes") {
    struct Row {
        std::string_view written, text;
    };
    const std::vector<Row> rows{
        {R"("")", ""},
        {R"("plain")", "plain"},
        {R"("\" \\ \/ \b \f \n \r \t")", "\" \\ / \b \f \n \r \t"},
        {R"("\u00b5mol/L")", "\u00b5mol/L"},
        {R"("\u03BCmol")", "\u03bcmol"},
        {R"("\ud83d\ude00")", "\U0001F600"},
        {"\"\u9634\u6027\"", "\u9634\u6027"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.written);
        const Document document("[" + std::string(row.written) + "]");
        CHECK((*document.root().items().begin()).text() == row.text);
    }
}

TEST_CASE("values know their kind, and null is nothing") {
    const Document document(R"({"o":{},"a":[],"s":"x","n":1,"t":true,"f":false,"z":null})");
    const Value root = document.root();
    CHECK(root.isObject());
    CHECK(root["o"].isObject());
    CHECK(root["a"].isArray());
    CHECK(root["s"].isString());
    CHECK(root["n"].isNumber());
    CHECK(root["t"].isTrue());
    CHECK_FALSE(root["f"].isTrue());
    CHECK(root["f"].kind() == Kind::boolean);
    CHECK_FALSE(static_cast<bool>(root["z"]));
    CHECK_FALSE(static_cast<bool>(root["missing"]));
    CHECK(static_cast<bool>(root["f"]));
    // "true" as a word is no boolean.
    CHECK_FALSE(Document(R"(["true"])").root().items().begin().operator*().isTrue());
}

TEST_CASE("a path through what is not there leads to nothing") {
    const Document document(R"({"a":{"b":1}})");
    CHECK_FALSE(static_cast<bool>(document.root()["x"]["y"]["z"]));
    CHECK_FALSE(static_cast<bool>(document.root()["a"]["b"]["c"]));
    CHECK(document.root()["x"].text() == "");
    for (const Value item : document.root()["a"].items()) FAIL("an object has no items: " << item.text());
    for (const auto [name, value] : document.root()["a"]["b"].members()) FAIL("a number has no members: " << name);
    CHECK(Value().text() == "");
}

TEST_CASE("items and members come in document order, nulls included") {
    const Document document(R"({"b":[1,[2,3],{"x":4},null,5],"a":{"n":1}})");
    std::string items;
    for (const Value item : document.root()["b"].items()) items += item.isNumber() ? std::string(item.text()) : "-";
    CHECK(items == "1---5");
    std::string names;
    for (const auto [name, value] : document.root().members()) names += name;
    CHECK(names == "ba");
}

TEST_CASE("a name that stands twice with the same value counts once") {
    const Document document(R"({"a":{"x":[1,"y"]},"b":2,"a":{"x":[1,"y"]}})");
    CHECK(document.root()["a"]["x"].isArray());
}

TEST_CASE("a name that stands twice with different values is an error when it is asked for") {
    for (const std::string_view text :
         {R"({"a":1,"a":2})", R"({"a":1,"a":"1"})", R"({"a":1,"a":null})", R"({"a":[1],"a":[1,2]})",
          R"({"a":{"x":1},"a":{"y":1}})", R"({"a":true,"a":false})", R"({"a":1,"b":0,"a":1,"a":2})"}) {
        CAPTURE(text);
        const Document document{std::string(text)};
        CHECK_THROWS_AS(document.root()["a"], Error);
        try {
            (void)document.root()["a"];
        } catch (const Error& error) {
            CHECK(error.path() == "a");
        }
        CHECK_FALSE(static_cast<bool>(document.root()["c"]));
    }
}

TEST_CASE("two values are the same JSON when everything in them is") {
    const Document document(
        R"([{"a":[1,"x"],"b":null},{"a":[1,"x"],"b":null},{"a":[1,"x"],"b":0},{"a":["1","x"],"b":null},
                              {"a":[1,"x"],"c":null},{"a":[[1],"x"],"b":null},{"a":[1,"x"]}])");
    std::vector<Value> values;
    for (const Value item : document.root().items()) values.push_back(item);
    REQUIRE(values.size() == 7);
    CHECK(sameJson(values[0], values[1]));
    for (std::size_t i = 2; i < values.size(); ++i) {
        CAPTURE(i);
        CHECK_FALSE(sameJson(values[0], values[i]));
    }
    CHECK(sameJson(Value(), Value()));
    CHECK_FALSE(sameJson(Value(), values[0]));
}

TEST_CASE("the writer escapes what must be escaped and nothing else") {
    Writer writer;
    writer.beginObject()
        .member("quote\"name", "a\"b\\c")
        .member("control", std::string_view("\n\t\x01\0", 4))
        .member("plain", "\u00b5 \u9634\u6027 /")
        .name("number")
        .number("1.50")
        .name("count")
        .number(std::size_t{18446744073709551615ULL})
        .name("list")
        .beginArray()
        .boolean(true)
        .boolean(false)
        .value(Value())
        .endArray()
        .endObject();
    CHECK(writer.text() ==
          "{\"quote\\\"name\":\"a\\\"b\\\\c\",\"control\":\"\\n\\t\\u0001\\u0000\",\"plain\":\"\u00b5 "
          "\u9634\u6027 /\",\"number\":1.50,\"count\":18446744073709551615,\"list\":[true,false,null]}");
}

TEST_CASE("the writer writes a value of another document as it is") {
    const std::string text = R"({"a":[1.50,-0,"x\ny",null,true,{}],"b":{"c":[]}})";
    const Document document(text);
    Writer writer;
    writer.value(document.root());
    CHECK(writer.text() == text);
    CHECK(sameJson(document.root(), Document(std::string(writer.text())).root()));
}

TEST_CASE("a selection keeps what is read, and jumps over the rest from the third level on") {
    const Document document(R"({"vendor":{"x":{"vendor":1,"code":"kept"}},"entry":[{"vendor":[{"a":"}"}],"fullUrl":"u",
        "resource":{"resourceType":"Observation","_id":{"extension":[]},"code":{"text":"t","vendor":"\"]"},
                    "valueAnything":[1],"vendor":null,"performer":-1.5e3}}]})",
                            Selection::elements);
    const Value root = document.root();
    CHECK(root["vendor"]["x"].isObject());
    CHECK(root["vendor"]["x"]["code"].text() == "kept");
    const Value entry = *root["entry"].items().begin();
    CHECK(entry["fullUrl"].text() == "u");
    std::string names;
    for (const auto [name, value] : entry["resource"].members()) names += std::string(name) + ' ';
    CHECK(names == "resourceType code valueAnything ");
    CHECK(entry["resource"]["code"]["text"].text() == "t");
}

TEST_CASE("asking a selection for a name that it does not keep is an error of the program") {
    const Document document(R"({"entry":[{"resource":{"vendor":1}}]})", Selection::elements);
    const Value resource = (*document.root()["entry"].items().begin())["resource"];
    CHECK_THROWS_AS(resource["vendor"], std::logic_error);
    CHECK_FALSE(static_cast<bool>(document.root()["vendor"]));
    CHECK_FALSE(static_cast<bool>(resource["code"]));
}

TEST_CASE("of an Observation is jumped over what nobody reads of it, and asking for that is an error of the program") {
    const auto documentOf = [](std::string_view type) {
        return Document(R"({"entry":[{"resource":{"resourceType":")" + std::string(type) +
                            R"(","text":{"status":"t"},"category":[{}],"code":{"text":"c"},"id":"1"}}]})",
                        Selection::elements);
    };
    const Document observation = documentOf("Observation");
    const Value read = (*observation.root()["entry"].items().begin())["resource"];
    CHECK(read["id"].text() == "1");
    CHECK(read["code"]["text"].text() == "c");
    for (const std::string_view name : {"category", "contained", "extension", "identifier", "text"})
        CHECK_THROWS_AS(read[name], std::logic_error);
    const Document condition = documentOf("Condition");
    const Value other = (*condition.root()["entry"].items().begin())["resource"];
    CHECK(other["category"].isArray());
    CHECK(other["text"]["status"].text() == "t");
}

TEST_CASE("an element that calls itself a resource is read like any other") {
    const std::string text =
        R"({"prefetch":{"key":{"resourceType":"Claim","id":"1"}},
            "entry":[{"resource":{"resourceType":"Condition",
                "code":{"resourceType":"Observation","coding":[{"resourceType":"Claim","code":"c"}],"text":"t"},
                "note":[{"resourceType":"Observation","text":"n"}],
                "contained":[{"resourceType":"Claim","id":"2"},{"resourceType":"Observation","text":{},"id":"3"}]}}]})";
    const Document document(text, Selection::elements);
    CHECK_FALSE(static_cast<bool>(document.root()["prefetch"]["key"]["id"]));
    const Value condition = (*document.root()["entry"].items().begin())["resource"];
    CHECK(condition["code"]["text"].text() == "t");
    CHECK((*condition["code"]["coding"].items().begin())["code"].text() == "c");
    CHECK((*condition["note"].items().begin())["text"].text() == "n");
    auto contained = condition["contained"].items().begin();
    CHECK_FALSE(static_cast<bool>((*contained)["id"]));
    ++contained;
    CHECK((*contained)["id"].text() == "3");
    CHECK_THROWS_AS((*contained)["text"], std::logic_error);
}

TEST_CASE("what is jumped over is not checked when the limits say so, and what is read is") {
    fhir::json::Limits trusting;
    trusting.checksSkipped = false;
    const auto resource = [](const std::string& member) {
        return R"({"entry":[{"resource":{"resourceType":"Condition",)" + member + R"(,"id":"1"}}]})";
    };
    const auto idOf = [&](const std::string& member) {
        const Document document(resource(member), Selection::elements, trusting);
        return std::string((*document.root()["entry"].items().begin())["resource"]["id"].text());
    };
    const std::string notText = "\"vendor\":[\"\xFF\xC3 \x01\"]";
    const std::string otherKind = R"("vendor":[{"a":[1}]])";
    for (const std::string& member : {notText, otherKind}) {
        CHECK(idOf(member) == "1");
        CHECK_THROWS_AS(Document(resource(member), Selection::elements), Error);
    }
    CHECK(idOf(R"("vendor":["\"]}\\"])") == "1");
    CHECK_THROWS_AS(idOf("\"code\":{\"text\":\"\xFF\"}"), Error);
    CHECK_THROWS_AS(idOf(R"("vendor":["open)"), Error);
    CHECK_THROWS_AS(idOf(R"("code":{"coding":[{]})"), Error);
    CHECK_THROWS_AS(Document(resource(notText) + "\xFF", Selection::elements, trusting), Error);
}

TEST_CASE("of a resource that is not read its type is kept") {
    const std::string text =
        R"({"entry":[{"resource":{"resourceType":"Claim","item":[{"item":{}}],"id":"1"}},
                     {"resource":{"id":"2","resourceType":"Claim"}},
                     {"resource":{"resourceType":"Patient","id":"3"}},
                     {"resource":{"resourceType":"Condition","id":"4"}}]})";
    const auto idsOf = [&](Selection selection) {
        const Document document(text, selection);
        std::string ids;
        for (const Value entry : document.root()["entry"].items()) {
            CHECK(entry["resource"]["resourceType"].isString());
            ids += std::string(entry["resource"]["id"].text()) + ' ';
        }
        return ids;
    };
    CHECK(idsOf(Selection::everything) == "1 2 3 4 ");
    CHECK(idsOf(Selection::elements) == " 2 3 4 ");
    CHECK(idsOf(Selection::envelope) == " 2 3  ");
}

TEST_CASE("what is jumped over must end, and close what it opened") {
    struct Row {
        std::string vendor, error;
    };
    const std::vector<Row> rows{
        {R"({"a":[1,{"b":"]}"}]})", ""},
        {R"("\"quoted\"")", ""},
        {R"({"a":[1})", "broken JSON: a bracket closes what another kind opened"},
        {"{\"a\":\"tab\there\"}", "broken JSON: a control character in a string"},
        {"\"tab\there\"", "broken JSON: a control character in a string"},
        {R"({"a":"open)", "broken JSON: a string is not ended"},
        {R"({"a":"b")", "broken JSON: "},
        {"nothing", "broken JSON: neither true, false nor null"},
        {"", "broken JSON: "},
        {repeated("[", 61) + repeated("]", 61), ""},
        {repeated("[", 62) + repeated("]", 62), "nested deeper than the limit of 64 levels"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.vendor);
        std::string message;
        try {
            const Document document("{\n\"a\":{\"b\":{\"vendor\":" + row.vendor + "}}}", Selection::elements);
        } catch (const Error& error) {
            message = error.what();
        }
        if (row.error.empty()) {
            CHECK(message == "");
        } else {
            CHECK(message.find(row.error) != std::string::npos);
            CHECK(message.starts_with("line 2, column "));
        }
    }
}

TEST_CASE("every name of an element has a number of its own") {
    std::vector<bool> seen(256, false);
    for (const std::string_view name : fhir::json::elementNames) {
        CAPTURE(name);
        const fhir::json::NameId id = fhir::json::nameTable.find(name);
        CHECK(id != 0);
        CHECK_FALSE(seen[id]);
        seen[id] = true;
        CHECK(fhir::json::nameTable.find(std::string(name) + "x") == 0);
    }
    CHECK(fhir::json::nameTable.find("") == 0);
    CHECK(fhir::json::nameTable.find("Code") == 0);
}
