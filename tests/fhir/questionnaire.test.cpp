#include "fhir/questionnaire.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "fhir/json.h"
#include "tests/support.h"

namespace {

using Kind = fhir::QuestionnaireAnswer::Kind;

struct Read {
    std::unique_ptr<fhir::json::Document> document;
    fhir::QuestionnaireResponse response;
    std::vector<fhir::Issue> issues;
};

Read read(const std::string& members) {
    Read result;
    result.document = std::make_unique<fhir::json::Document>(R"({"resourceType":"QuestionnaireResponse")" +
                                                             (members.empty() ? "" : "," + members) + "}");
    result.response = fhir::readQuestionnaireResponse(result.document->root(), "entry[0].resource", result.issues);
    return result;
}

}  // namespace

TEST_CASE("a form is read with its head and its items") {
    const Read form = read(
        R"("id":"f1","status":"amended","questionnaire":"urn:x|1","authored":"2025-11-12T10:00:00Z",
           "author":{"reference":"Practitioner/1","display":"Dr. Chen"},
           "item":[{"linkId":"g","item":[{"linkId":"a","answer":[{"valueBoolean":true,
             "item":[{"linkId":"a/date","answer":[{"valueDate":"2025-11"}]}]}],
             "item":[{"linkId":"b","answer":[{"valueInteger":3}]}]}]}])");
    CHECK(form.issues.empty());
    CHECK_EQ(form.response.id, "f1");
    CHECK(form.response.counts());
    CHECK_EQ(form.response.questionnaire, "urn:x|1");
    CHECK_EQ(form.response.author, "Dr. Chen");
    CHECK_EQ(form.response.authored->text(), "2025-11-12");
    REQUIRE_EQ(form.response.item.size(), 4);
    CHECK_EQ(form.response.item[0].linkId, "g");
    CHECK(form.response.item[0].answer.empty());
    CHECK_EQ(form.response.item[1].linkId, "a");
    CHECK(form.response.item[1].answer.front().boolean);
    CHECK_EQ(form.response.item[2].linkId, "b");
    CHECK_EQ(form.response.item[3].linkId, "a/date");
    CHECK_EQ(form.response.item[3].path, "entry[0].resource.item[0].item[0].answer[0].item[0]");
    CHECK_EQ(form.response.item[3].answer.front().date->text(), "2025-11");
}

TEST_CASE("completed and amended forms count, and no others") {
    for (const char* status : {"completed", "amended", "amended "})
        CHECK_MESSAGE(read(R"("status":")" + std::string(status) + '"').response.counts(), status);
    for (const char* status : {"in-progress", "entered-in-error", "stopped", "Completed", ""})
        CHECK_MESSAGE(!read(R"("status":")" + std::string(status) + '"').response.counts(), status);
    CHECK_FALSE(read("").response.counts());
}

TEST_CASE("every form of an answer is read") {
    struct Row {
        const char* value;
        Kind kind;
        const char* text;
    };
    for (const Row& row : std::vector<Row>{
             {R"("valueBoolean":false)", Kind::boolean, ""},
             {R"("valueInteger":3)", Kind::number, "3"},
             {R"("valueDecimal":1.50)", Kind::number, "1.50"},
             {R"("valueQuantity":{"value":1.20,"code":"mg/dL"})", Kind::quantity, "1.20"},
             {R"("valueCoding":{"system":"s","code":"PD"})", Kind::coding, "PD"},
             {R"("valueDate":"2025-11-02")", Kind::date, "2025-11-02"},
             {R"("valueDateTime":"2025-11-02T10:00:00Z")", Kind::date, "2025-11-02"},
             {R"("valueString":"PD")", Kind::string, "PD"},
             {R"("valueReference":{"reference":"Patient/1"})", Kind::unread, ""},
         }) {
        CAPTURE(row.value);
        const Read form = read(R"("item":[{"linkId":"a","answer":[{"extension":[],)" + std::string(row.value) + "}]}]");
        CHECK(form.issues.empty());
        REQUIRE_EQ(form.response.item.size(), 1);
        const fhir::QuestionnaireAnswer& answer = form.response.item.front().answer.front();
        CHECK_EQ(static_cast<int>(answer.kind), static_cast<int>(row.kind));
        const std::string text = row.kind == Kind::date     ? answer.date->text()
                                 : row.kind == Kind::coding ? std::string(answer.coding.code)
                                 : row.kind == Kind::string ? std::string(answer.text)
                                                            : std::string(answer.quantity.value);
        CHECK_EQ(text, row.text);
    }
}

TEST_CASE("a malformed item is left out with its place and reason, and the rest stands") {
    struct Row {
        const char* item;
        const char* path;
        const char* message;
    };
    const std::string base = "entry[0].resource.item[0]";
    for (const Row& row : std::vector<Row>{
             {R"(7)", "", "is not an object"},
             {R"({"answer":[{"valueBoolean":true}]})", ".linkId", "is missing"},
             {R"({"linkId":5,"answer":[{"valueBoolean":true}]})", ".linkId", "is missing"},
             {R"({"linkId":"a","answer":{"valueBoolean":true}})", ".answer", "is not an array"},
             {R"({"linkId":"a","answer":[true]})", ".answer[0]", "is not an object"},
             {R"({"linkId":"a","answer":[{}]})", ".answer[0]", "has no value"},
             {R"({"linkId":"a","answer":[{"valueBoolean":true,"valueInteger":1}]})", ".answer[0]",
              "has more than one value"},
             {R"({"linkId":"a","answer":[{"valueBoolean":"yes"}]})", ".answer[0].valueBoolean", "is not true or false"},
             {R"({"linkId":"a","answer":[{"valueInteger":1},{"valueInteger":"one"}]})", ".answer[1].valueInteger",
              "is not a number"},
             {R"({"linkId":"a","answer":[{"valueQuantity":{"unit":"mg"}}]})", ".answer[0].valueQuantity.value",
              "is not a number"},
             {R"({"linkId":"a","answer":[{"valueQuantity":5}]})", ".answer[0].valueQuantity", "is not a Quantity"},
             {R"({"linkId":"a","answer":[{"valueCoding":{"display":"PD"}}]})", ".answer[0].valueCoding.code",
              "is missing"},
             {R"({"linkId":"a","answer":[{"valueDate":"2025-13-01"}]})", ".answer[0].valueDate",
              "is not a date that exists"},
             {R"({"linkId":"a","answer":[{"valueString":5}]})", ".answer[0].valueString", "is not a string"},
             {R"({"linkId":"a","linkId":"b"})", ".linkId", "stands twice with different values"},
         }) {
        CAPTURE(row.item);
        const Read form =
            read(R"("item":[)" + std::string(row.item) + R"(,{"linkId":"z","answer":[{"valueBoolean":true}]}])");
        REQUIRE_GE(form.response.item.size(), 1);
        CHECK_EQ(form.response.item.back().linkId, "z");
        CHECK_FALSE(form.response.item.back().unreadable);
        // What has a linkId is known to have been answered.
        CHECK_EQ(form.response.item.size(),
                 std::string_view(row.item).starts_with(R"({"linkId":"a","answer")") ? 2 : 1);
        for (const fhir::QuestionnaireItem& item : form.response.item) {
            CHECK_EQ(item.unreadable, item.linkId == "a");
            CHECK_EQ(item.answer.size(), item.linkId == "a" ? 0 : 1);
        }
        REQUIRE_EQ(form.issues.size(), 1);
        CHECK_EQ(form.issues.front().path, base + row.path);
        CHECK_MESSAGE(form.issues.front().message.starts_with("item left out: "), form.issues.front().message);
        if (std::string_view(row.path) != ".linkId" || std::string_view(row.message) == "is missing")
            CHECK_EQ(form.issues.front().message, std::string("item left out: ") + row.message);
    }
    // What is nested in a malformed item is read all the same.
    const Read nested = read(
        R"("item":[{"linkId":"a","answer":[{"valueBoolean":1,"item":[{"linkId":"b","answer":[{"valueInteger":2}]}]}]}])");
    REQUIRE_EQ(nested.response.item.size(), 2);
    CHECK_EQ(nested.response.item.back().linkId, "b");
    CHECK_FALSE(nested.response.item.back().answer.empty());
    CHECK_EQ(read(R"("item":{"linkId":"a"})").issues.size(), 1);
}

TEST_CASE("the author is named by the display, a patient or relative by the reference alone") {
    struct Row {
        const char* author;
        const char* named;
    };
    for (const Row& row : std::vector<Row>{
             {R"({"reference":"Practitioner/1","display":"Dr. Chen"})", "Dr. Chen"},
             {R"({"reference":"Practitioner/1"})", "Practitioner/1"},
             {R"({"display":"Dr. Chen"})", "Dr. Chen"},
             {R"({"reference":"Patient/p1","display":"Jane Doe"})", "Patient/p1"},
             {R"({"reference":"https://x/RelatedPerson/9","display":"John Doe"})", "https://x/RelatedPerson/9"},
             {R"({"type":"Patient","display":"Jane Doe"})", "Patient"},
             {R"("Dr. Chen")", ""},
         })
        CHECK_EQ(read(R"("author":)" + std::string(row.author)).response.author, row.named);
}

TEST_CASE("the chart holds the forms about its patient") {
    const fhir::Chart chart = support::chartOf(support::bundleOf(
        {R"({"resourceType":"Patient","id":"p1"})",
         R"({"resourceType":"QuestionnaireResponse","id":"mine","status":"completed","subject":{"reference":"Patient/p1"}})",
         R"({"resourceType":"QuestionnaireResponse","id":"other","status":"completed","subject":{"reference":"Patient/p2"}})"}));
    REQUIRE_EQ(chart.questionnaireResponse.size(), 1);
    CHECK_EQ(chart.questionnaireResponse.front().id, "mine");
}
