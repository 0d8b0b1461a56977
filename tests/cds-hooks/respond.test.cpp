#include "cds-hooks/respond.h"

#include <doctest/doctest.h>

#include <string>

#include "cds-hooks/discovery.h"
#include "fhir/json.h"
#include "tests/support.h"

namespace {

using cds_hooks::Answer;
using fhir::json::Document;
using fhir::json::Value;

Answer respond(const std::string& body) {
    cds_hooks::Trace trace;
    return cds_hooks::respondToHook(support::knowledge(), cds_hooks::services().front(), body,
                                    support::day("2025-11-13"), "uuid-1", {}, trace);
}

std::string hookWith(const std::string& prefetch) {
    return R"({"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",)"
           R"("context":{"userId":"Practitioner/1","patientId":"p1"},"prefetch":)" +
           prefetch + "}";
}

const std::string patient = R"({"resourceType":"Patient","id":"p1","gender":"female","birthDate":"1980-05-01"})";

std::string conditions(const std::string& subject = "Patient/p1", const std::string& code = "C92.00") {
    return R"({"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Condition","id":"c1",)"
           R"("clinicalStatus":{"coding":[{"code":"active"}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":")" +
           code + R"("}]},"subject":{"reference":")" + subject + R"("}}}]})";
}

std::size_t cards(const Answer& answer) {
    REQUIRE_EQ(answer.status, 200);
    const Document document(answer.body);
    std::size_t count = 0;
    for (const Value card : document.root()["cards"].items()) count += card.isObject();
    return count;
}

std::string detail(const Answer& answer) {
    REQUIRE_EQ(answer.status, 200);
    const Document document(answer.body);
    for (const Value card : document.root()["cards"].items()) return std::string(card["detail"].text());
    return {};
}

/// CDS Hooks 2.0: nothing is null or empty, but for cards that hold nothing.
void checkNothingEmpty(Value value, bool allowed) {
    switch (value.kind()) {
        case fhir::json::Kind::null:
            FAIL("null in a response");
            break;
        case fhir::json::Kind::string:
            CHECK_FALSE(value.text().empty());
            break;
        case fhir::json::Kind::array: {
            bool any = false;
            for (const Value item : value.items()) {
                any = true;
                checkNothingEmpty(item, false);
            }
            CHECK((any || allowed));
            break;
        }
        case fhir::json::Kind::object: {
            bool any = false;
            for (const auto [name, member] : value.members()) {
                any = true;
                checkNothingEmpty(member, name == "cards");
            }
            CHECK(any);
            break;
        }
        default:
            break;
    }
}

}  // namespace

TEST_CASE("a patient with the disease of a trial gets one card") {
    const Answer answer = respond(support::readFile("fixtures/hooks/patient-view.json"));
    REQUIRE_EQ(answer.status, 200);
    const Document document(answer.body);
    checkNothingEmpty(document.root(), true);
    std::size_t count = 0;
    for (const Value card : document.root()["cards"].items()) {
        ++count;
        CHECK_EQ(card["uuid"].text(), "uuid-1");
        CHECK_EQ(card["indicator"].text(), "info");
        CHECK(card["summary"].text().starts_with("4 CD7 trials may fit: NCT05995028 ("));
        CHECK_FALSE(card["source"]["label"].text().empty());
        for (const char* name : {"code", "system", "display"})
            CHECK_FALSE(card["source"]["topic"][name].text().empty());
        for (const Value link : card["links"].items()) {
            CHECK(link["url"].text().starts_with("https://"));
            CHECK_EQ(link["type"].text(), "absolute");
        }
        const std::string_view text = card["detail"].text();
        CHECK_NE(text.find("recruiting as of 2025-08-21"), std::string_view::npos);
        CHECK_NE(text.find("**Too old (1)**\n- LVEF 62 %, 2025-07-01"), std::string_view::npos);
        CHECK_NE(text.find("0.75 x ULN"), std::string_view::npos);
        CHECK_NE(text.find("the trial site decides"), std::string_view::npos);
        CHECK_EQ(text.find("eligible"), std::string_view::npos);
    }
    CHECK_EQ(count, 1);
}

TEST_CASE("the service is silent unless a disease gate fires for a living patient who may still enter") {
    CHECK_EQ(cards(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":" + conditions() + "}"))), 1);
    // Nothing on file, nothing read, another disease, another patient's disease.
    CHECK_EQ(cards(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":null}"))), 0);
    CHECK_EQ(cards(respond(
                 hookWith("{\"patient\":" + patient + ",\"conditions\":" + conditions("Patient/p1", "I10") + "}"))),
             0);
    CHECK_EQ(cards(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":" + conditions("Patient/p2") + "}"))),
             0);
    // Dead.
    const std::string dead = R"({"resourceType":"Patient","id":"p1","birthDate":"1980-05-01","deceasedBoolean":true})";
    CHECK_EQ(cards(respond(hookWith("{\"patient\":" + dead + ",\"conditions\":" + conditions() + "}"))), 0);
    CHECK_EQ(respond(hookWith("{\"patient\":" + dead + ",\"conditions\":" + conditions() + "}")).body,
             "{\"cards\":[]}");
    // Lineage not stated: the question is open because of something recorded.
    CHECK_EQ(cards(respond(
                 hookWith("{\"patient\":" + patient + ",\"conditions\":" + conditions("Patient/p1", "C91.00") + "}"))),
             1);
    // 90 years old: decided against in all trials but the one without an upper limit of age.
    const std::string old = R"({"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1935-05-01"})";
    const Answer answer = respond(hookWith("{\"patient\":" + old + ",\"conditions\":" + conditions() + "}"));
    CHECK_NE(answer.body.find("1 CD7 trial may fit: NCT05995028"), std::string::npos);
}

TEST_CASE("what was not sent is named as not read, and what was null is empty") {
    const std::string unread =
        detail(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":" + conditions() + "}")));
    CHECK_NE(unread.find("- Observation: "), std::string::npos);
    CHECK_EQ(unread.find("- Karnofsky performance status\n"), std::string::npos);
    std::string allEmpty = "{\"patient\":" + patient + ",\"conditions\":" + conditions();
    for (const cds_hooks::PrefetchTemplate& prefetch : cds_hooks::prefetchTemplates(support::knowledge().vocabulary)) {
        if (prefetch.resourceType == "Observation") allEmpty += ",\"" + prefetch.key + "\":null";
    }
    const std::string empty = detail(respond(hookWith(allEmpty + "}")));
    CHECK_NE(empty.find("- Karnofsky performance status\n"), std::string::npos);
    CHECK_EQ(empty.find("- Observation: "), std::string::npos);
}

TEST_CASE("a failed prefetch query is never taken for none") {
    const std::string failed =
        R"({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"forbidden"}]})";
    const std::string text = detail(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":" + conditions() +
                                                     ",\"organFunction\":" + failed + "}")));
    CHECK_NE(text.find("**Not read, so not checked**"), std::string::npos);
    CHECK_EQ(text.find("- Karnofsky performance status\n"), std::string::npos);
    // A page that was cut: the server counted more than it sent.
    std::string cut = conditions();
    cut.insert(cut.size() - 1, R"(,"total":57)");
    const std::string shortened = detail(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":" + cut + "}")));
    CHECK_NE(shortened.find("- Condition: "), std::string::npos);
    // Further pages: the history is not complete.
    std::string paged = conditions();
    paged.insert(paged.size() - 1, R"(,"link":[{"relation":"next","url":"https://x/next"}])");
    const std::string partly = detail(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":" + paged + "}")));
    CHECK_NE(partly.find("- Condition: "), std::string::npos);
}

TEST_CASE("what cannot be read is a clear 400, what is missing a 412") {
    struct Row {
        const char* body;
        int status;
        const char* says;
    };
    const std::string patientP2 = hookWith(R"({"patient":{"resourceType":"Patient","id":"p2"}})");
    const std::string patientOnly = hookWith("{\"patient\":" + patient + "}");
    const std::string patientAndFailures =
        hookWith("{\"patient\":" + patient + R"(,"conditions":{"resourceType":"OperationOutcome","issue":[]}})");
    const std::string outcome = hookWith(R"({"patient":{"resourceType":"OperationOutcome","issue":[]}})");
    const std::string text = hookWith(R"({"patient":"123"})");
    const std::string none = hookWith(R"({"patient":null})");
    const std::string nullFirst =
        hookWith("{\"patient\":" + patient + R"(,"conditions":null,"conditions":{"resourceType":"Bundle"}})");
    const std::string nullLast =
        hookWith("{\"patient\":" + patient + R"(,"conditions":{"resourceType":"Bundle"},"conditions":null})");
    const Row table[] = {
        {"{", 400, "broken JSON"},
        {"", 400, "broken JSON"},
        {"[]", 400, "not a JSON object"},
        {"\xFF", 400, "not valid UTF-8"},
        {"{}", 400, "hook is missing"},
        {R"({"hook":7})", 400, "hook is not a string"},
        {R"({"hook":"patient-view"})", 400, "hookInstance is missing"},
        {R"({"hook":"patient-view","hookInstance":""})", 400, "hookInstance is not"},
        {R"({"hook":"order-sign","hookInstance":"x","context":{}})", 400, "hook is not the one of this service"},
        {R"({"hook":"patient-view","hookInstance":"x"})", 400, "context is missing"},
        {R"({"hook":"patient-view","hookInstance":"x","context":[]})", 400, "context is not an object"},
        {R"({"hook":"patient-view","hookInstance":"x","context":{"patientId":"p1"}})", 400,
         "context.userId is missing"},
        {R"({"hook":"patient-view","hookInstance":"x","context":{"userId":"Practitioner/1"}})", 400,
         "context.patientId is missing"},
        {R"({"hook":"patient-view","hookInstance":"x","context":{"userId":"u","patientId":"p1"},"fhirAuthorization":{}})",
         400, "fhirServer"},
        {R"({"hook":"patient-view","hookInstance":"x","context":{"userId":"u","patientId":"p1"}})", 412,
         "prefetch is missing"},
        {none.c_str(), 412, "no Patient"},
        {nullFirst.c_str(), 400, "conditions: stands twice with different values"},
        {nullLast.c_str(), 400, "conditions: stands twice with different values"},
        {text.c_str(), 412, "no Patient"},
        {outcome.c_str(), 412, "no Patient"},
        {patientP2.c_str(), 412, "not the patient"},
        {patientOnly.c_str(), 412, "nothing else"},
        {patientAndFailures.c_str(), 412, "nothing else"},
    };
    for (const Row& row : table) {
        CAPTURE(row.body);
        const Answer answer = respond(row.body);
        CHECK_EQ(answer.status, row.status);
        const Document document(answer.body);
        CHECK_EQ(document.root()["resourceType"].text(), "OperationOutcome");
        CHECK_NE(answer.body.find(row.says), std::string::npos);
    }
}

TEST_CASE("members that we do not know, and a patientId with its type, are tolerated") {
    std::string body =
        hookWith("{\"patient\":" + patient + ",\"-user\":\"123\",\"other\":7,\"conditions\":" + conditions() + "}");
    body.insert(1, R"("extension":{"com.epic.cdshooks.request.bpa-trigger-action":"60"},"user":"x",)");
    const std::size_t at = body.find("\"patientId\":\"p1\"");
    body.replace(at, 16, "\"patientId\":\"Patient/p1\"");
    CHECK_EQ(cards(respond(body)), 1);
}

TEST_CASE("a key that an analyst named otherwise is read, and proves nothing about completeness") {
    const Answer answer = respond(hookWith("{\"patient\":" + patient + ",\"problems\":" + conditions() + "}"));
    CHECK_EQ(cards(answer), 1);
    CHECK_NE(detail(answer).find("- Condition: "), std::string::npos);
    // The Patient too, and resources that no Bundle holds.
    const std::string bare =
        R"({"resourceType":"Condition","id":"c1","clinicalStatus":{"coding":[{"code":"active"}]},"subject":{"reference":"Patient/p1"},
            "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.00"}]}})";
    const Answer renamed = respond(hookWith("{\"item1\":" + patient + ",\"item2\":" + bare + ",\"item3\":null}"));
    CHECK_EQ(cards(renamed), 1);
    CHECK_NE(detail(renamed).find("- Condition: "), std::string::npos);
    CHECK_EQ(
        respond(hookWith("{\"item1\":{\"resourceType\":\"Patient\",\"id\":\"p2\"},\"item2\":" + bare + "}")).status,
        412);
    CHECK_EQ(respond(hookWith("{\"item1\":7,\"item2\":" + bare + "}")).status, 412);
}

TEST_CASE("chart text is escaped in the card") {
    std::string evil = conditions();
    const std::string code = R"("code":"C92.00")";
    evil.replace(evil.find(code), code.size(),
                 code + R"raw(,"display":"<script>alert(1)</script> | [x](http://y)")raw");
    const std::string text = detail(respond(hookWith("{\"patient\":" + patient + ",\"conditions\":" + evil + "}")));
    CHECK_EQ(text.find("<script>"), std::string::npos);
    CHECK_NE(text.find("&lt;script&gt;alert(1)&lt;/script&gt; \\| \\[x\\](http&#58;//y)"), std::string::npos);
}

TEST_CASE("paths and methods that are not served are 404 and 405") {
    const auto at = [&](const char* method, const char* path) {
        cds_hooks::Trace trace;
        return cds_hooks::respond(support::knowledge(), {method, path, "application/json", "", "{}"},
                                  support::day("2025-11-13"), {}, trace);
    };
    CHECK_EQ(at("GET", "/cds-services").status, 200);
    CHECK_EQ(at("POST", "/cds-services").status, 405);
    CHECK_EQ(at("GET", "/cds-services/cd7-trials").status, 405);
    CHECK_EQ(at("GET", "/cds-services/cd7-trials").headers.at(0), std::pair<std::string, std::string>{"Allow", "POST"});
    CHECK_EQ(at("POST", "/cds-services/other").status, 404);
    CHECK_EQ(at("GET", "/").status, 404);
    CHECK_EQ(at("POST", "/cds-services/cd7-trials").status, 400);
}
