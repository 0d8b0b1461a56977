#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cds-hooks/discovery.h"
#include "cds-hooks/markdown.h"
#include "fhir/json.h"
#include "tests/running.h"
#include "tests/support.h"

// The checklist of CDS Hooks that docs/conformance.md lists, over HTTP against the running program. The numbers in the
// comments are its rows.

namespace {

using fhir::json::Document;
using fhir::json::Value;
using support::HttpAnswer;
using support::RunningService;

const std::string service = "/cds-services/cd7-trials";
const std::string patient = R"({"resourceType":"Patient","id":"p1","gender":"female","birthDate":"1980-05-01"})";
const std::string leukemia =
    R"({"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Condition","id":"c1",
        "clinicalStatus":{"coding":[{"code":"active"}]},
        "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.00"}]},
        "subject":{"reference":"Patient/p1"}}}]})";
const std::string context = R"({"userId":"Practitioner/1","patientId":"p1"})";

/// A patient-view request; `members` begin with a comma.
std::string request(const std::string& prefetch, const std::string& members = {}, const std::string& where = context) {
    return R"({"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","context":)" + where +
           (prefetch.empty() ? "" : R"(,"prefetch":)" + prefetch) + members + "}";
}

std::string prefetchOf(const std::string& conditions, const std::string& more = {}) {
    return R"({"patient":)" + patient + R"(,"conditions":)" + conditions + more + "}";
}

/// One service for all test cases of this file that need no option of their own.
const RunningService& running() {
    static const RunningService only;
    return only;
}

std::vector<Value> items(Value array) {
    std::vector<Value> all;
    for (const Value item : array.items()) all.push_back(item);
    return all;
}

/// CDS Hooks 2.0: no element is null or empty, but for cards and services that hold nothing.
void checkNothingEmpty(Value value, bool mayBeEmpty) {
    switch (value.kind()) {
        case fhir::json::Kind::null:
            FAIL_CHECK("null in an answer");
            break;
        case fhir::json::Kind::string:
            CHECK_FALSE(value.text().empty());
            break;
        case fhir::json::Kind::array:
            CHECK((mayBeEmpty || !items(value).empty()));
            for (const Value item : value.items()) checkNothingEmpty(item, false);
            break;
        case fhir::json::Kind::object: {
            bool any = false;
            for (const auto [name, member] : value.members()) {
                any = true;
                checkNothingEmpty(member, name == "cards" || name == "services");
            }
            CHECK(any);
            break;
        }
        default:
            break;
    }
}

std::size_t cards(const HttpAnswer& answer) {
    REQUIRE_EQ(answer.status, 200);
    return items(Document(answer.body).root()["cards"]).size();
}

void checkOutcome(const HttpAnswer& answer, int status) {
    CHECK_EQ(answer.status, status);
    const Document document(answer.body);
    CHECK_EQ(document.root()["resourceType"].text(), "OperationOutcome");
    for (const Value issue : document.root()["issue"].items()) {
        CHECK_EQ(issue["severity"].text(), "error");
        CHECK_FALSE(issue["code"].text().empty());
        CHECK_FALSE(issue["diagnostics"].text().empty());
    }
    for (const std::string_view word : {"terminate", "what()", ".cpp", "std::", "0x"})
        CHECK_EQ(answer.body.find(word), std::string::npos);
}

}  // namespace

TEST_CASE("every answer is JSON without null or empty elements") {  // 1 to 4, 64
    struct Row {
        const char* name;
        HttpAnswer answer;
    };
    for (const Row& row : std::vector<Row>{
             {"discovery", running().get("/cds-services")},
             {"a card", running().post(service, support::readFile("fixtures/hooks/patient-view.json"))},
             {"no card", running().post(service, request(prefetchOf("null")))},
             {"an error", running().post(service, "{")},
         }) {
        CAPTURE(row.name);
        CHECK_EQ(row.answer.headers.at("content-type"), "application/json");
        const Document document(row.answer.body);
        checkNothingEmpty(document.root(), false);
    }
    CHECK_EQ(running().post(service, request(prefetchOf("null"))).body, R"({"cards":[]})");
}

TEST_CASE("what cannot be served is refused with the status that says why, and nothing of the inside") {  // 5, 67
    checkOutcome(running().post(service, "{"), 400);
    checkOutcome(running().post(service, ""), 400);
    checkOutcome(running().post(service, "[]"), 400);
    checkOutcome(running().post(service, "\"x\""), 400);
    checkOutcome(running().post("/cds-services/other", "{}"), 404);
    checkOutcome(running().get("/"), 404);
    checkOutcome(running().get("/cds-services/"), 404);
    checkOutcome(running().request("DELETE", "/cds-services"), 405);
    CHECK_EQ(running().get(service).headers.at("allow"), "POST");
    CHECK_EQ(running().post("/cds-services", "{}").headers.at("allow"), "GET");
    const auto typed = [&](const std::string& type) {
        return running().request("POST", service, request(prefetchOf("null")), {{"Content-Type", type}});
    };
    for (const char* type : {"application/json", "application/json; charset=utf-8", "Application/JSON",
                             "application/fhir+json", "application/json;charset=UTF-8"})
        CHECK_EQ(typed(type).status, 200);
    for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "application/xml", "json"})
        checkOutcome(typed(type), 415);
    RunningService small({"--max-body", "1"});
    checkOutcome(small.post(service, std::string(2 * 1024 * 1024, ' ')), 413);
}

TEST_CASE("whatever a client accepts, it gets JSON") {  // 6
    for (const char* accept :
         {"application/fhir+json, */*; q=0.1", "application/json", "application/json, text/plain, */*", "text/html"}) {
        CHECK_EQ(running().get("/cds-services", {{"Accept", accept}}).status, 200);
        CHECK_EQ(running().post(service, request(prefetchOf("null")), {{"Accept", accept}}).status, 200);
    }
}

TEST_CASE(
    "discovery lists every service with what the specification requires, and each is where its id says") {  // 7-18
    const HttpAnswer answer = running().get("/cds-services");
    REQUIRE_EQ(answer.status, 200);
    const Document document(answer.body);
    const std::vector<Value> services = items(document.root()["services"]);
    CHECK_EQ(services.size(), cds_hooks::services().size());
    const std::set<std::string_view> known{"hook",    "title",    "description",      "id",
                                           "version", "prefetch", "usageRequirements"};
    for (const Value each : services) {
        for (const auto [name, member] : each.members()) {
            CHECK(known.contains(name));
            CHECK((name == "prefetch" ? member.isObject() : member.isString()));
        }
        CHECK_EQ(each["version"].text(), "2.0.1");
        for (const char* name : {"hook", "title", "description", "id", "usageRequirements"})
            CHECK_FALSE(each[std::string_view(name)].text().empty());
        CHECK(each["prefetch"].members().begin() != each["prefetch"].members().end());
        const HttpAnswer at = running().post("/cds-services/" + std::string(each["id"].text()), "{}");
        CHECK_EQ(at.status, 400);
        CHECK_EQ(running().request("OPTIONS", "/cds-services/" + std::string(each["id"].text())).status, 204);
    }
}

TEST_CASE("without a trial there is no service") {  // 9
    const std::string site = "/tmp/cd7match-test-off-" + std::to_string(getpid()) + ".json";
    std::string off;
    for (const rules::Trial& trial : support::knowledge().trials)
        off += (off.empty() ? "" : ",") + ('"' + trial.id + R"(":{"enabled":false})");
    std::ofstream(site) << R"({"trials":{)" << off << "}}";
    RunningService empty({"--site", site});
    std::filesystem::remove(site);
    const HttpAnswer answer = empty.get("/cds-services");
    CHECK_EQ(answer.status, 200);
    CHECK_EQ(answer.body, R"({"services":[]})");
}

TEST_CASE("every prefetch template keeps to the tokens and the queries that every client understands") {  // 37 to 44
    const Document document(running().get("/cds-services").body);
    const std::regex token(R"(\{\{([^{}]*)\}\})");
    for (const Value each : document.root()["services"].items()) {
        for (const auto [key, member] : each["prefetch"].members()) {
            const std::string query(member.text());
            CAPTURE(query.substr(0, 80));
            CHECK_NE(query.front(), '/');
            CHECK_EQ(query.find("http"),
                     query.find("http://loinc.org") == std::string::npos
                         ? query.find("http://snomed.info/sct")
                         : std::min(query.find("http://loinc.org"), query.find("http://snomed.info/sct")));
            std::string rest = query;
            std::smatch match;
            while (std::regex_search(rest, match, token)) {
                CHECK_EQ(match[1].str(), "context.patientId");
                rest = match.suffix();
            }
            CHECK_EQ(rest.find("{{"), std::string::npos);
            std::set<std::string> names;
            std::istringstream parameters(query.substr(std::min(query.find('?') + 1, query.size())));
            if (query.find('?') == std::string::npos) {
                CHECK_EQ(query, "Patient/{{context.patientId}}");
                continue;
            }
            for (std::string parameter; std::getline(parameters, parameter, '&');) {
                const std::string name = parameter.substr(0, parameter.find('='));
                CHECK_MESSAGE(names.insert(name).second, "repeated: " << name);
                CHECK_EQ(name.find_first_of(".:_"), std::string::npos);  // no chain, modifier, _include or _has
            }
        }
    }
}

TEST_CASE("a request without what its hook requires is a 400 that names the field") {  // 20 to 36
    struct Row {
        std::string body;
        int status;
        const char* says;
    };
    const std::string instance = R"("hookInstance":"x",)";
    for (
        const Row& row : std::vector<Row>{
            {"{" + instance + R"("context":{}})", 400, "hook is missing"},
            {R"({"hook":"order-sign",)" + instance + R"("context":)" + context + "}", 400, "hook is not the one"},
            {R"({"hook":"patient-view","context":)" + context + "}", 400, "hookInstance is missing"},
            {R"({"hook":"patient-view","hookInstance":"","context":)" + context + "}", 400, "hookInstance is not"},
            {R"({"hook":"patient-view","hookInstance":"x"})", 400, "context is missing"},
            {request(prefetchOf("null"), "", R"({"patientId":"p1"})"), 400, "context.userId is missing"},
            {request(prefetchOf("null"), "", R"({"userId":"Practitioner/1"})"), 400, "context.patientId is missing"},
            {request(prefetchOf("null"), "", R"({"userId":7,"patientId":"p1"})"), 400, "context.userId is not"},
            {request(prefetchOf("null"), "", R"({"userId":"u","patientId":["p1"]})"), 400, "context.patientId is not"},
            {request(prefetchOf("null"), R"(,"fhirAuthorization":{"access_token":"t"})"), 400, "fhirServer is missing"},
            {request(prefetchOf("null"), R"(,"fhirServer":7)"), 400, "fhirServer is not"},
            {request(prefetchOf("null"), R"(,"fhirServer":"https://x","fhirAuthorization":{})"), 200, "cards"},
            {request(prefetchOf("null"), "", R"({"userId":"u","patientId":"Patient/"})"), 400,
             "patientId names nobody"},
            {request(prefetchOf("null"), R"(,"fhirServer":"https://x","fhirAuthorization":"t")"), 400,
             "fhirAuthorization is not"},
            // Not a UUID, a type before the id, a user without a type, members and scopes of any kind: tolerated.
            {R"({"hook":"patient-view","hookInstance":"42","context":)" + context + R"(,"prefetch":)" +
                 prefetchOf("null") + "}",
             200, "cards"},
            {request(prefetchOf("null"), "", R"({"userId":"1","patientId":"Patient/p1"})"), 200, "cards"},
            {request(
                 prefetchOf("null"),
                 R"(,"user":"Practitioner/1","patient":"p1","redirect":"https://x","extension":{"com.epic.cdshooks.request.bpa-trigger-action":"60"})"),
             200, "cards"},
            {request(
                 prefetchOf("null"),
                 R"(,"fhirServer":"https://ehr.example/r4","fhirAuthorization":{"access_token":"t","token_type":"Bearer","expires_in":300,"scope":"ALLERGY.READ any.thing","subject":"cds"})"),
             200, "cards"},
        }) {
        CAPTURE(row.body);
        const HttpAnswer answer = running().post(service, row.body);
        CHECK_EQ(answer.status, row.status);
        CHECK_NE(answer.body.find(row.says), std::string::npos);
        if (answer.status != 200) checkOutcome(answer, row.status);
    }
}

TEST_CASE("each hook asks for the context of its page, over HTTP") {  // 30 to 36
    struct Row {
        const char* hook;
        std::string members;
        int status;
    };
    const std::string bundle = R"({"resourceType":"Bundle","entry":[]})";
    for (const Row& row : std::vector<Row>{
             {"encounter-start", R"(,"encounterId":"e1")", 200},
             {"encounter-start", "", 400},
             {"order-select", R"(,"selections":[],"draftOrders":)" + bundle, 200},
             {"order-select", R"(,"draftOrders":)" + bundle, 400},
             {"order-sign", R"(,"draftOrders":)" + bundle, 200},
             {"order-sign", "", 400},
             {"appointment-book", R"(,"appointments":)" + bundle, 200},
             {"appointment-book", R"(,"appointments":7)", 400},
         }) {
        CAPTURE(row.hook);
        CAPTURE(row.members);
        const std::string where = R"({"userId":"Practitioner/1","patientId":"p1")" + row.members + "}";
        const std::string body = R"({"hook":")" + std::string(row.hook) + R"(","hookInstance":"x","context":)" + where +
                                 R"(,"prefetch":)" + prefetchOf(leukemia) + "}";
        CHECK_EQ(running().post(service + "-" + row.hook, body).status, row.status);
    }
    CHECK_EQ(running().post("/cds-services/cd7-trials-encounter-discharge", "{}").status, 404);
    CHECK_EQ(running().post("/cds-services/cd7-trials-order-dispatch", "{}").status, 404);
    CHECK_EQ(running().post("/cds-services/cd7-trials-2", "{}").status, 404);  // 119
}

TEST_CASE("prefetch data is taken for what it is: sent, empty, failed, paged, mistyped, or somebody else's") {  // 45-56
    const std::string failure =
        R"({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]})";
    // Epic: a search without hits is a Bundle whose only entry is a warning.
    const std::string epic =
        R"({"resourceType":"Bundle","type":"searchset","total":0,"link":[{"relation":"self","url":"https://x"}],"entry":[
            {"fullUrl":"urn:uuid:1","resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"processing",
             "details":{"coding":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.657369","code":"4101","display":"Resource request returns no results."}]}}]},
             "search":{"mode":"outcome"}}]})";
    std::string paged = leukemia;
    paged.insert(paged.size() - 1, R"(,"link":[{"relation":"next","url":"http://127.0.0.1:9/next"}])");
    struct Row {
        const char* name;
        std::string body;
        int status;
        std::size_t cards;
        const char* says;  ///< in the card or the error
    };
    for (const Row& row : std::vector<Row>{
             {"no prefetch", request(""), 412, 0, "prefetch is missing"},
             {"no patient", request("{}"), 412, 0, "no Patient"},
             {"the patient null", request(R"({"patient":null})"), 412, 0, "no Patient"},
             {"another patient", request(R"({"patient":{"resourceType":"Patient","id":"p2"}})"), 412, 0,
              "not the patient"},
             {"nothing else", request(R"({"patient":)" + patient + "}"), 412, 0, "nothing else"},
             {"null", request(prefetchOf("null")), 200, 0, ""},
             {"an empty Bundle", request(prefetchOf(R"({"resourceType":"Bundle","type":"searchset","total":0})")), 200,
              0, ""},
             {"Epic's empty Bundle", request(prefetchOf(epic)), 200, 0, ""},
             {"found", request(prefetchOf(leukemia)), 200, 1, "C92.00"},
             {"failed alone", request(prefetchOf(failure)), 412, 0, "nothing else"},
             {"failed beside others", request(prefetchOf(leukemia, R"(,"procedures":)" + failure)), 200, 1,
              "- Procedure: "},
             {"not sent", request(prefetchOf(leukemia)), 200, 1, "- MedicationRequest: "},
             {"further pages", request(prefetchOf(paged)), 200, 1, "- Condition: "},
             {"of a wrong type", request(prefetchOf(leukemia, R"(,"procedures":"123")")), 200, 1, "- Procedure: "},
             {"of a wrong resource", request(prefetchOf(leukemia, R"(,"procedures":{"resourceType":"Patient"})")), 200,
              1, "- Procedure: "},
             {"under other keys", request(prefetchOf(leukemia, R"(,"-user":"123","x":7)")), 200, 1, ""},
         }) {
        CAPTURE(row.name);
        const HttpAnswer answer = running().post(service, row.body);
        CHECK_EQ(answer.status, row.status);
        if (row.status == 200) CHECK_EQ(cards(answer), row.cards);
        // "C92.00" stands in the card as its resource.
        const std::string says = std::string(row.says) == "C92.00" ? "Condition/c1" : row.says;
        CHECK_NE(answer.body.find(says), std::string::npos);
    }
    const std::string foreign = std::regex_replace(leukemia, std::regex("Patient/p1"), "Patient/p2");
    CHECK_EQ(cards(running().post(service, request(prefetchOf(foreign)))), 0);
    const std::string absolute =
        std::regex_replace(leukemia, std::regex("Patient/p1"), "https://ehr.example/r4/Patient/p1");
    CHECK_EQ(cards(running().post(service, request(prefetchOf(absolute)))), 1);
}

TEST_CASE("a card has the shape that every client takes") {  // 64 to 93
    const auto post = [&] { return running().post(service, support::readFile("fixtures/hooks/patient-view.json")); };
    const HttpAnswer first = post();
    const Document document(first.body);
    CHECK_FALSE(document.root()["systemActions"]);
    const std::vector<Value> all = items(document.root()["cards"]);
    REQUIRE_EQ(all.size(), 1);
    const Value card = all.front();
    const Document again(post().body);
    CHECK_EQ(card["uuid"].text().size(), 36);
    CHECK_NE(card["uuid"].text(), items(again.root()["cards"]).front()["uuid"].text());
    CHECK_LT(cds_hooks::countCodePoints(card["summary"].text()), 140);
    CHECK_EQ(card["indicator"].text(), "info");
    CHECK_FALSE(card["source"]["label"].text().empty());
    const Value topic = card["source"]["topic"];
    CHECK(std::regex_match(std::string(topic["code"].text()), std::regex("[A-Za-z0-9]{1,100}")));
    CHECK_FALSE(topic["system"].text().empty());
    CHECK_FALSE(topic["display"].text().empty());
    CHECK_EQ(card["selectionBehavior"].text(), "any");
    CHECK_FALSE(items(card["suggestions"]).empty());
    for (const Value suggestion : card["suggestions"].items()) {
        CHECK_FALSE(suggestion["label"].text().empty());
        CHECK_EQ(suggestion["uuid"].text().size(), 36);
        CHECK_EQ(suggestion["isRecommended"].text(), "false");
        CHECK_FALSE(suggestion["actionSelectionBehavior"]);
        REQUIRE_EQ(items(suggestion["actions"]).size(), 1);
        const Value action = items(suggestion["actions"]).front();
        CHECK_EQ(action["type"].text(), "create");
        CHECK_FALSE(action["description"].text().empty());
        CHECK_FALSE(action["resourceId"]);
        for (const std::string_view element : {"resourceType", "status", "intent"})
            CHECK_FALSE(action["resource"][element].text().empty());
    }
    CHECK_EQ(items(card["overrideReasons"]).size(), 10);
    for (const Value reason : card["overrideReasons"].items()) {
        for (const std::string_view element : {"code", "system", "display"})
            CHECK_FALSE(reason[element].text().empty());
    }
    CHECK_FALSE(items(card["links"]).empty());
    for (const Value link : card["links"].items()) {
        CHECK_FALSE(link["label"].text().empty());
        CHECK(link["url"].text().starts_with("https://"));
        CHECK_EQ(link["type"].text(), "absolute");
        CHECK_FALSE(link["appContext"]);
        CHECK_FALSE(link["autolaunchable"]);
    }
    CHECK_FALSE(card["extension"]);  // 118
}

TEST_CASE("text of a chart never becomes markup of the card, over HTTP") {  // 70
    std::string evil = leukemia;
    const std::string code = R"("code":"C92.00")";
    evil.replace(evil.find(code), code.size(), code + R"(,"display":"<img src=x onerror=alert(1)> a|b `c`")");
    const std::string body = running().post(service, request(prefetchOf(evil))).body;
    CHECK_EQ(body.find("<img"), std::string::npos);
    CHECK_NE(body.find("&lt;img src=x onerror=alert(1)&gt; a\\\\|b \\\\`c\\\\`"), std::string::npos);
}

TEST_CASE("every row of the checklist is answered in the documentation, and names tests that exist") {
    std::set<std::string> tests;
    const std::regex name(R"re(TEST_CASE\(\s*"((?:[^"\\]|\\.)*)")re");
    for (const auto& entry : std::filesystem::recursive_directory_iterator("tests")) {
        if (entry.path().extension() != ".cpp") continue;
        const std::string text = support::readFile(entry.path().string());
        for (std::sregex_iterator it(text.begin(), text.end(), name), end; it != end; ++it) tests.insert((*it)[1]);
    }
    std::set<int> rows;
    std::istringstream lines(support::readFile("docs/conformance.md"));
    const std::regex row(R"(\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|)");
    for (std::string line; std::getline(lines, line);) {
        std::smatch match;
        if (!std::regex_match(line, match, row)) continue;
        CAPTURE(line);
        CHECK(rows.insert(std::stoi(match[1])).second);
        const std::string answer = match[3];
        const std::string names = match[4];
        if (names == "—") {
            // Not ours to do, or not yet: then the page says why.
            CHECK((answer.starts_with("not ours") || answer.starts_with("not yet")));
            continue;
        }
        std::istringstream list(names);
        for (std::string each; std::getline(list, each, ';');) {
            each.erase(0, each.find_first_not_of(' '));
            CHECK_MESSAGE(tests.contains(each), "no such test: " << each);
        }
    }
    std::string missing;
    for (int number = 1; number <= 122; ++number) {
        if (!rows.contains(number)) missing += ' ' + std::to_string(number);
    }
    CHECK_EQ(missing, "");
}
