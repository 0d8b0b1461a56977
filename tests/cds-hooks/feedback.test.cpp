#include "cds-hooks/feedback.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cds-hooks/markdown.h"
#include "fhir/error.h"

namespace {

using cds_hooks::Feedback;

std::string item(const std::string& members) {
    return R"({"card":"c1","outcomeTimestamp":"2025-11-13T10:00:00Z",)" + members + "}";
}
std::string body(const std::string& items) {
    return R"({"feedback":[)" + items + "]}";
}
const std::string accepted = R"("outcome":"accepted","acceptedSuggestions":[{"id":"s1"}])";

constexpr std::int64_t noon = 1'763'035'200;  // 2025-11-13T12:00:00Z

/// What is wrong with a body; empty when nothing is.
std::string problem(const std::string& text) {
    try {
        cds_hooks::readFeedback(text, noon);
        return {};
    } catch (const fhir::Error& error) {
        return error.what();
    }
}

std::string reason(const std::string& members) {
    return cds_hooks::readFeedback(body(item(R"("outcome":"overridden",)" + members)), noon).front().reason;
}

}  // namespace

TEST_CASE("feedback is read as the specification and Epic write it") {
    const std::vector<Feedback> all = cds_hooks::readFeedback(
        body(
            item(R"("outcome":"accepted","acceptedSuggestions":[{"id":"s1"},{"id":"s2"}])") + "," +
            item(
                R"("outcome":"overridden","overrideReason":{"reason":{"code":"not-now","system":"urn:cd7match:override-reason"},"userComment":"later"})") +
            "," + item(R"("outcome":"overridden")")),
        noon);
    REQUIRE_EQ(all.size(), 3);
    CHECK_EQ(all[0].card, "c1");
    CHECK_EQ(all[0].time, 1'763'028'000'000);
    CHECK(all[0].outcome == Feedback::Outcome::accepted);
    CHECK(all[0].suggestions == std::vector<std::string>{"s1", "s2"});
    CHECK(all[1].outcome == Feedback::Outcome::overridden);
    CHECK_EQ(all[1].reason, "not-now");
    CHECK_EQ(all[1].comment, "later");
    CHECK_EQ(all[2].reason, "");
    // One item by itself, as HAPI sends it.
    CHECK_EQ(cds_hooks::readFeedback(item(accepted), noon).size(), 1);
    CHECK(cds_hooks::readFeedback(body(""), noon).empty());

    const std::string ours = R"("system":"urn:cd7match:override-reason")";
    const std::string hl7 = R"("system":"http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes")";
    CHECK_EQ(reason(R"("overrideReasons":{"reason":{"code":"logistics",)" + ours + "}}"), "logistics");
    CHECK_EQ(reason(R"("overrideReasons":[{"reason":{"code":"logistics",)" + ours + "}}]"), "logistics");
    CHECK_EQ(reason(R"("overrideReason":{"reason":{"code":"logistics"}})"), "logistics");
    CHECK_EQ(reason(R"("overrideReason":{"reason":{"code":"patient-refuses",)" + hl7 + "}}"), "patient-declined");
    CHECK_EQ(reason(R"("overrideReason":{"reason":{"code":"patient-refuses"}})"), "other");
    CHECK_EQ(reason(R"("overrideReason":{"reason":{"code":"logistics","system":"urn:somebody"}})"), "other");
    CHECK_EQ(reason(R"("overrideReason":{"extension":{"com.epic.cdshooks.feedback.overrideReason.id":"7"}})"), "");
    CHECK_LE(cds_hooks::countCodePoints(
                 cds_hooks::readFeedback(body(item(R"("outcome":"overridden","overrideReason":{"userComment":")" +
                                                   std::string(9000, 'x') + "\"}")),
                                         noon)
                     .front()
                     .comment),
             2000);
}

TEST_CASE("what is wrong with feedback is said with its place, all of it at once") {
    struct Row {
        std::string body;
        const char* says;
    };
    for (const Row& row : std::vector<Row>{
             {"{", "broken JSON"},
             {"[]", "the body is not a JSON object"},
             {"{}", "feedback is not an array"},
             {R"({"feedback":{}})", "feedback is not an array"},
             {body("7"), "feedback[0] is not an object"},
             {body(R"({"outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00Z"})"),
              "feedback[0].card is missing"},
             {body(R"({"card":7,"outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00Z"})"),
              "feedback[0].card is not a text"},
             {body(R"({"card":"c","outcome":"overridden"})"), "feedback[0].outcomeTimestamp is missing"},
             {body(R"({"card":"c","outcome":"overridden","outcomeTimestamp":"yesterday"})"), "is not an instant"},
             {body(R"({"card":"c","outcome":"overridden","outcomeTimestamp":"2025-11-13"})"), "is not an instant"},
             {body(R"({"card":"c","outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00"})"),
              "is not an instant"},
             {body(R"({"card":"c","outcome":"overridden","outcomeTimestamp":"2025-11-14T12:00:01Z"})"),
              "outcomeTimestamp lies in the future"},
             {body(item(R"("outcome":"ignored")")), "feedback[0].outcome is neither accepted nor overridden"},
             {body(item(R"("outcome":"accepted")")), "feedback[0].acceptedSuggestions is missing"},
             {body(item(R"("outcome":"accepted","acceptedSuggestions":[])")),
              "acceptedSuggestions is not an array with"},
             {body(item(R"("outcome":"accepted","acceptedSuggestions":[{}])")), "acceptedSuggestions[0].id is missing"},
             {body(item(R"("outcome":"overridden","overrideReason":"no")")),
              "feedback[0].overrideReason is not an object"},
             {body(item(R"("outcome":"overridden","overrideReason":{"reason":"no"})")),
              "overrideReason.reason is not a Coding"},
             {body(item(R"("outcome":"overridden","overrideReason":{"userComment":7})")),
              "userComment is not a string"},
             {body(item(accepted) + ",7"), "feedback[1] is not an object"},
         }) {
        CAPTURE(row.body);
        const std::string said = problem(row.body);
        CHECK_MESSAGE(said.find(row.says) != std::string::npos, said);
    }
    const std::string two = problem(body(R"(7,{"card":"c","outcome":"x","outcomeTimestamp":"2025-11-13T10:00:00Z"})"));
    CHECK_NE(two.find("feedback[0] is not an object; feedback[1].outcome is neither"), std::string::npos);
    std::string many = "7";
    for (int i = 1; i < 50; ++i) many += ",7";
    CHECK_NE(problem(body(many)).find("; and 30 more"), std::string::npos);
    std::string tooMany = item(accepted);
    for (int i = 0; i < 1000; ++i) tooMany += "," + item(accepted);
    CHECK_NE(problem(body(tooMany)).find("holds more than 1000 items"), std::string::npos);
    std::string suggestions = R"({"id":"s"})";
    for (int i = 0; i < 100; ++i) suggestions += R"(,{"id":"s"})";
    const auto accepting = [&](const std::string& list) {
        return problem(body(item(R"("outcome":"accepted","acceptedSuggestions":[)" + list + "]")));
    };
    CHECK_NE(accepting(suggestions).find("acceptedSuggestions holds more than 100 items"), std::string::npos);
    CHECK_EQ(accepting(suggestions.substr(suggestions.find(',') + 1)), "");
    CHECK_EQ(problem(body(tooMany.substr(item(accepted).size() + 1))), "");
}

TEST_CASE("the report has a bar that a person can read, and a table that a program can") {
    cds_hooks::FeedbackRow row;
    row.month = "2025-11";
    row.trial = "NCT07109518";
    row.shown = 10;
    row.accepted = 5;
    row.overridden[3] = 2;
    row.overridden.back() = 1;
    cds_hooks::FeedbackRow unknown;
    unknown.month = "2025-10";
    unknown.accepted = 1;
    const std::string table = cds_hooks::feedbackTable({row, unknown});
    CHECK_NE(table.find("2025-11  NCT07109518       10         5           3  ██████████▒▒▒▒▒▒····"),
             std::string::npos);
    CHECK_NE(table.find("2 not-now"), std::string::npos);
    CHECK_NE(table.find("1 other"), std::string::npos);
    CHECK_NE(table.find("2025-10  unknown card"), std::string::npos);
    CHECK_EQ(
        cds_hooks::feedbackCsv({row}),
        "month,trial,shown,accepted,overridden,already-screened,patient-declined,in-another-trial,not-now,"
        "too-unwell,logistics,wrong-or-outdated-data,not-my-patient,trial-not-suitable,never-for-this-patient,other"
        "\r\n2025-11,NCT07109518,10,5,3,0,0,0,2,0,0,0,0,0,0,1\r\n");
    CHECK_NE(cds_hooks::feedbackTable({}).find("No card was shown"), std::string::npos);
}
