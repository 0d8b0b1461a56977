#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fhir/client.h"
#include "tests/running.h"
#include "tests/support.h"
#include "tests/vendor-double/fhir_stub.h"

// What the client does not send is read from his FHIR server, and from nowhere else.

namespace {

using fhir::SearchOptions;
using fhir::SearchResult;
using support::FhirStub;
using support::HttpAnswer;
using support::RunningService;
using support::StubAnswer;
using support::StubRequest;
using namespace std::chrono_literals;

const std::string service = "/cds-services/cd7-trials";
const std::string none = R"({"resourceType":"Bundle","type":"searchset","total":0})";
const std::string failed = R"({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]})";
const std::string patient = R"({"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1979-03-14"})";

std::string searchset(const std::vector<std::string>& resources, const std::string& next = {}) {
    std::string text = R"({"resourceType":"Bundle","type":"searchset",)";
    if (!next.empty()) text += R"("link":[{"relation":"next","url":")" + next + R"("}],)";
    text += R"("entry":[)";
    for (std::size_t i = 0; i < resources.size(); ++i)
        text += (i == 0 ? "" : ",") + (R"({"resource":)" + resources[i] + '}');
    return text + "]}";
}

std::string condition(const std::string& id, const std::string& code, const std::string& subject = "Patient/p1") {
    return R"({"resourceType":"Condition","id":")" + id + R"(","clinicalStatus":{"coding":[{"code":"active"}]},
        "verificationStatus":{"coding":[{"code":"confirmed"}]},
        "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":")" +
           code + R"("}]},"subject":{"reference":")" + subject + R"("},"onsetDateTime":"2025-08-20"})";
}

const std::string leukemia = condition("aml", "C92.02");
const std::string hypertension = condition("bp", "I10");

/// A request with every key of discovery: those that are named with their value, left out where that is empty, the
/// others null.
std::string hook(const std::vector<std::pair<std::string, std::string>>& values, const std::string& server,
                 const std::string& authorization = R"({"access_token":"s3cret-token","token_type":"Bearer"})") {
    std::string prefetch;
    for (const auto& expected : support::knowledge().prefetch) {
        const auto value =
            std::find_if(values.begin(), values.end(), [&](const auto& each) { return each.first == expected.key; });
        const std::string text = value != values.end() ? value->second : expected.key == "patient" ? patient : "null";
        if (text.empty()) continue;
        prefetch += (prefetch.empty() ? "\"" : ",\"") + expected.key + "\":" + text;
    }
    return R"({"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","fhirServer":")" + server +
           '"' + (authorization.empty() ? "" : R"(,"fhirAuthorization":)" + authorization) +
           R"(,"context":{"userId":"Practitioner/1","patientId":"p1"},"prefetch":{)" + prefetch + "}}";
}

std::vector<std::string> asking(const FhirStub& stub, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"--as-of",        "2025-11-13", "--fhir-server", stub.base(),
                                       "--fhir-private", "true",       "--fhir-budget", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

/// The answer without the uuid of its card.
std::string card(const HttpAnswer& answer) {
    CHECK_EQ(answer.status, 200);
    return std::regex_replace(answer.body, std::regex(R"("uuid":"[0-9a-f-]{36}")"), "");
}

StubAnswer typical(const StubRequest& request) {
    if (request.target.starts_with("/fhir/Condition")) return FhirStub::json(searchset({leukemia, hypertension}));
    if (request.target == "/fhir/Patient/p1") return FhirStub::json(patient);
    return FhirStub::json(none);
}

SearchOptions options(const FhirStub& stub) {
    SearchOptions result;
    result.base = stub.base();
    result.token = "s3cret-token";
    result.deadline = 2s;
    result.privateNetwork = true;
    return result;
}

SearchResult searchOne(const std::string& query, const SearchOptions& how) {
    return fhir::search(std::vector<fhir::Query>{{query}}, how).at(0);
}

}  // namespace

TEST_CASE("a key that was not sent is fetched, once and with the token, and counts as if it had been sent") {
    const FhirStub stub(typical);
    const RunningService running(asking(stub, {"--workers", "1"}));
    const std::string sent =
        card(running.post(service, hook({{"conditions", searchset({leukemia, hypertension})}}, stub.base())));
    CHECK_NE(sent.find("NCT07109518"), std::string::npos);
    CHECK(stub.requests().empty());
    CHECK_EQ(card(running.post(service, hook({{"conditions", ""}}, stub.base()))), sent);
    CHECK_EQ(card(running.post(service, hook({{"conditions", ""}}, stub.base() + "/"))), sent);
    const std::vector<StubRequest> requests = stub.requests();
    REQUIRE_EQ(requests.size(), 2);
    for (const StubRequest& request : requests) {
        CHECK_EQ(request.method, "GET");
        CHECK_EQ(request.target, "/fhir/Condition?patient=p1");
        CHECK_EQ(request.headers.at("authorization"), "Bearer s3cret-token");
        CHECK_EQ(request.headers.at("accept"), "application/fhir+json");
    }
    CHECK_EQ(stub.connections(), 1);  // a worker keeps it for the next request
    CHECK_NE(running.get("/metrics").body.find(R"(cd7match_fetches_total{outcome="complete",what="Condition"} 2)"),
             std::string::npos);
    CHECK_EQ(running.log().find("s3cret"), std::string::npos);
    CHECK_EQ(running.log().find("p1"), std::string::npos);
}

TEST_CASE("the Patient is fetched like anything else, and without him, or without everything, the answer is 412") {
    const FhirStub stub(typical);
    const RunningService running(asking(stub));
    CHECK_NE(card(running.post(service, hook({{"patient", ""}, {"conditions", ""}}, stub.base()))).find("NCT07109518"),
             std::string::npos);
    const std::string bare = R"({"hook":"patient-view","hookInstance":"x","fhirServer":")" + stub.base() +
                             R"(","fhirAuthorization":{"access_token":"t"},"context":{"userId":"u","patientId":"p1"}})";
    const std::size_t before = stub.requests().size();
    CHECK_NE(card(running.post(service, bare)).find("NCT07109518"), std::string::npos);
    CHECK_EQ(stub.requests().size() - before, support::knowledge().prefetch.size());
    // The codes of a group of results are longer than an address may be.
    std::size_t posted = 0;
    for (const StubRequest& request : stub.requests()) {
        if (request.method != "POST") continue;
        ++posted;
        CHECK_EQ(request.target, "/fhir/Observation/_search");
        CHECK(request.body.starts_with("patient=p1&code="));
        CHECK_EQ(request.headers.at("content-type"), "application/x-www-form-urlencoded");
    }
    CHECK_GT(posted, 0);

    const FhirStub failing([](const StubRequest&) { return FhirStub::json("{}", 403); });
    const RunningService alone(asking(failing));
    CHECK_EQ(alone.post(service, hook({{"patient", ""}}, failing.base())).status, 412);
    std::string everything = bare;
    everything.replace(everything.find(stub.base()), stub.base().size(), failing.base());
    CHECK_EQ(alone.post(service, everything).status, 412);
    const FhirStub other([](const StubRequest& request) {
        return request.target == "/fhir/Patient/p1" ? FhirStub::json(R"({"resourceType":"Patient","id":"p2"})")
                                                    : typical(request);
    });
    CHECK_EQ(RunningService(asking(other)).post(service, hook({{"patient", ""}}, other.base())).status, 412);
}

TEST_CASE("what was answered is not asked again, and what may not be asked is not") {
    const FhirStub stub(typical);
    const FhirStub elsewhere(typical);
    const RunningService running(asking(stub));
    struct Row {
        std::string what, body;
    };
    const std::string token = R"({"access_token":"s3cret-token"})";
    const std::vector<Row> rows{
        {"null is nothing", hook({{"conditions", "null"}}, stub.base())},
        {"a query of the client that failed", hook({{"conditions", failed}}, stub.base())},
        {"no token", hook({{"conditions", ""}}, stub.base(), "")},
        {"a token for somebody else",
         hook({{"conditions", ""}}, stub.base(), R"({"access_token":"t","patient":"p2"})")},
        {"a token that begins a header",
         hook({{"conditions", ""}}, stub.base(), R"({"access_token":"t\r\nX-Evil: 1"})")},
        {"another server", hook({{"conditions", ""}}, elsewhere.base())},
        {"another path", hook({{"conditions", ""}}, stub.base() + "x")},
        {"a path that climbs", hook({{"conditions", ""}}, stub.base() + "/../admin")},
        {"a path that climbs unseen", hook({{"conditions", ""}}, stub.base() + "/%2e%2e/admin")},
        {"the server as a user name",
         hook({{"conditions", ""}}, stub.base() + "@127.0.0.1:" + std::to_string(elsewhere.port()) + "/fhir")},
        {"the metadata of a cloud", hook({{"conditions", ""}}, "http://169.254.169.254/latest")},
        {"a file", hook({{"conditions", ""}}, "file:///etc/passwd")},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK_EQ(running.post(service, row.body).status, 200);
        CHECK_EQ(stub.requests().size(), 0);
        CHECK_EQ(elsewhere.connections(), 0);
    }
    // A patient id that is none would be another query.
    std::string injected = hook({{"conditions", ""}}, stub.base());
    for (const std::string_view from : {R"("patientId":"p1")", R"("id":"p1")"}) {
        const std::string to = from == R"("id":"p1")" ? R"("id":"p1&_include=*")" : R"("patientId":"p1&_include=*")";
        injected.replace(injected.find(from), from.size(), to);
    }
    CHECK_EQ(running.post(service, injected).status, 200);
    CHECK(stub.requests().empty());

    const RunningService open(asking(stub, {"--fhir-open", "true"}));
    CHECK_NE(card(open.post(service, hook({{"conditions", ""}}, stub.base(), ""))).find("NCT07109518"),
             std::string::npos);
    REQUIRE_EQ(stub.requests().size(), 1);
    CHECK_FALSE(stub.requests().at(0).headers.contains("authorization"));
}

TEST_CASE("pages are followed on the same server, and what lies elsewhere leaves the query incomplete") {
    std::string base;
    const FhirStub elsewhere(typical);
    const FhirStub stub([&](const StubRequest& request) {
        if (request.target == "/fhir?page=2") return FhirStub::json(searchset({hypertension}, base + "/next/opaque~3"));
        if (request.target == "/fhir/next/opaque~3") return FhirStub::json(searchset({leukemia}));
        return FhirStub::json(none);
    });
    base = stub.base();
    const RunningService running(asking(stub));
    const std::string whole =
        card(running.post(service, hook({{"conditions", searchset({hypertension, leukemia})}}, base)));
    const std::string first = searchset({}, base + "?page=2");
    CHECK_EQ(card(running.post(service, hook({{"conditions", first}}, base))), whole);
    REQUIRE_EQ(stub.requests().size(), 2);
    for (const StubRequest& request : stub.requests())
        CHECK_EQ(request.headers.at("authorization"), "Bearer s3cret-token");

    const std::string away = "http://127.0.0.1:" + std::to_string(elsewhere.port()) + "/fhir?page=2";
    const std::string cut = card(running.post(service, hook({{"conditions", searchset({leukemia}, away)}}, base)));
    CHECK_NE(cut, card(running.post(service, hook({{"conditions", searchset({leukemia})}}, base))));
    CHECK_EQ(elsewhere.connections(), 0);

    // A next link is an address or nothing: what stands in it is neither asked for below the base nor said to anybody.
    const std::size_t before = stub.requests().size();
    for (const char* link : {"John-Smith-1950", "../../admin", "/fhir?page=2", "Condition?page=2", "x\\n error: forged",
                             "file:///etc/passwd"}) {
        CAPTURE(link);
        CHECK_EQ(card(running.post(service, hook({{"conditions", searchset({leukemia}, link)}}, base))), cut);
    }
    CHECK_EQ(stub.requests().size(), before);
    for (const std::string& said : {running.get("/metrics").body, running.log()}) {
        CHECK_EQ(said.find("John"), std::string::npos);
        CHECK_EQ(said.find("admin"), std::string::npos);
        CHECK_EQ(said.find("forged"), std::string::npos);
    }
}

TEST_CASE("whatever a server does, the answer is that of a query that failed, and it comes in time") {
    struct Row {
        std::string what;
        StubAnswer answer;
    };
    std::string bomb(40 << 20, ' ');
    uLongf size = compressBound(bomb.size()) + 32;
    std::string packed(size, '\0');
    z_stream stream{};
    REQUIRE_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(bomb.data());
    stream.avail_in = static_cast<uInt>(bomb.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    REQUIRE_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    const std::string body = searchset({leukemia});
    const std::vector<Row> rows{
        {"401 as HTML", {"HTTP/1.1 401 No\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"}},
        {"403 with an empty body", {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"}},
        {"404 as HTML", {"HTTP/1.1 404 No\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"}},
        {"429 for a minute", FhirStub::json("{}", 429, "Retry-After: 60\r\n")},
        {"500 with an OperationOutcome", FhirStub::json(R"({"resourceType":"OperationOutcome"})", 500)},
        {"200 with an OperationOutcome",
         FhirStub::json(R"({"resourceType":"OperationOutcome","issue":[{"severity":"error"}]})")},
        {"200 as HTML", {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"}},
        {"JSON that breaks off", FhirStub::json(body.substr(0, body.size() / 2))},
        {"a redirect", {"HTTP/1.1 302 Found\r\nLocation: /fhir/Condition\r\nContent-Length: 0\r\n\r\n"}},
        {"no first byte", {FhirStub::json(body).bytes, 20s}},
        {"a body that drips", {FhirStub::json(body).bytes, 0ms, 50ms}},
        {"a connection reset in the middle", {FhirStub::json(body).bytes.substr(0, 200), 0ms, 0ms, true}},
        {"a connection reset at once", {"", 0ms, 0ms, true}},
        {"no HTTP", {"SSH-2.0-OpenSSH_9.2\r\n", 0ms, 0ms, true}},
        {"a gzip bomb",
         {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(packed.size()) + "\r\n\r\n" +
          packed}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.what);
        const FhirStub stub([&](const StubRequest&) { return row.answer; });
        const RunningService running(asking(stub, {"--fhir-budget", "0.7"}));
        const std::vector<std::pair<std::string, std::string>> sent{{"conditions", searchset({leukemia})}};
        auto failing = sent;
        failing.emplace_back("procedures", failed);
        auto missing = sent;
        missing.emplace_back("procedures", "");
        const std::string expected = card(running.post(service, hook(failing, stub.base())));
        const auto started = std::chrono::steady_clock::now();
        CHECK_EQ(card(running.post(service, hook(missing, stub.base()))), expected);
        CHECK_LT(std::chrono::steady_clock::now() - started, 2500ms);
        CHECK_GE(stub.requests().size(), 1);
        CHECK_NE(running.get("/metrics").body.find(R"(cd7match_fetches_total{outcome="failed",what="Procedure"} 1)"),
                 std::string::npos);
        CHECK_EQ(running.log().find("s3cret"), std::string::npos);
    }
}

TEST_CASE("resources of others, filters that are ignored and answers to something else move nothing") {
    const std::string other =
        R"({"resourceType":"Patient","id":"p2","gender":"female","birthDate":"2020-01-01","deceasedBoolean":true})";
    const std::string outcome =
        R"({"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"informational"}]})";
    const FhirStub mixed([&](const StubRequest& request) {
        if (!request.target.starts_with("/fhir/Condition")) return FhirStub::json(none);
        return FhirStub::json(
            searchset({other, condition("theirs", "C84.0", "Patient/p2"), leukemia, outcome, patient, hypertension,
                       condition("absolute", "C91.5", "https://elsewhere.example.org/Patient/p1x"),
                       R"({"resourceType":"Practitioner","id":"p1"})"}));
    });
    const RunningService running(asking(mixed));
    const std::string sent =
        card(running.post(service, hook({{"conditions", searchset({leukemia, hypertension})}}, mixed.base())));
    CHECK_EQ(card(running.post(service, hook({{"conditions", ""}}, mixed.base()))), sent);

    const FhirStub wrong([&](const StubRequest&) { return FhirStub::json(other); });
    const RunningService asked(asking(wrong));
    CHECK_EQ(
        card(asked.post(service, hook({{"conditions", searchset({leukemia})}, {"procedures", ""}}, wrong.base()))),
        card(asked.post(service, hook({{"conditions", searchset({leukemia})}, {"procedures", failed}}, wrong.base()))));
}

TEST_CASE("a server that is busy is asked again when it says so, and pages that never end do end") {
    int asked = 0;
    const FhirStub busy([&](const StubRequest&) {
        return ++asked < 3 ? FhirStub::json("{}", 503, "Retry-After: 0\r\n") : FhirStub::json(none);
    });
    CHECK_EQ(searchOne("Condition?patient=p1", options(busy)).outcome, SearchResult::Outcome::complete);
    CHECK_EQ(asked, 3);

    std::string base;
    const FhirStub endless([&](const StubRequest&) { return FhirStub::json(searchset({leukemia}, base + "?more")); });
    base = endless.base();
    const SearchResult result = searchOne("Condition?patient=p1", options(endless));
    CHECK_EQ(result.outcome, SearchResult::Outcome::incomplete);
    CHECK_EQ(result.pages.size(), options(endless).pages);
    CHECK_EQ(result.reason, "there are too many pages");
}

TEST_CASE("a next page without an address leaves the query incomplete, and answers to something else are nothing") {
    const FhirStub nowhere([](const StubRequest&) {
        return FhirStub::json(R"({"resourceType":"Bundle","type":"searchset","link":[{"relation":"next"}]})");
    });
    CHECK_EQ(searchOne("Condition?patient=p1", options(nowhere)).outcome, SearchResult::Outcome::incomplete);

    // Whatever is asked, a Patient comes back: nothing else was had.
    const FhirStub patients([](const StubRequest&) { return FhirStub::json(patient); });
    const std::string bare = R"({"hook":"patient-view","hookInstance":"x","fhirServer":")" + patients.base() +
                             R"(","fhirAuthorization":{"access_token":"t"},"context":{"userId":"u","patientId":"p1"}})";
    CHECK_EQ(RunningService(asking(patients)).post(service, bare).status, 412);
}

TEST_CASE("a FHIR server is named by its base") {
    for (const std::string_view base : {"https://ehr.example.org", "https://ehr.example.org:8443/fhir/R4"})
        CHECK_MESSAGE(fhir::isBase(base), base);
    for (const std::string_view none_ :
         {"", "https://", "ehr.example.org", "https://ehr.example.org/", "http://ehr.example.org",
          "https://u@ehr.example.org", "https://ehr.example.org?x", "https://ehr.example.org#x",
          "https://ehr.example.org/ x", "file:///fhir"})
        CHECK_MESSAGE(!fhir::isBase(none_, false), none_);
    CHECK(fhir::isBase("http://127.0.0.1:8080/fhir", true));
}

TEST_CASE("an operator is told the resource type of a query, and never its words") {
    CHECK_EQ(fhir::Query{"Observation?patient=p1&code=http://loinc.org|2160-0"}.what(), "Observation");
    CHECK_EQ(fhir::Query{"Patient/p1"}.what(), "Patient");
    CHECK_EQ(fhir::Query({"https://ehr.example.org/fhir?patient=p1", true}).what(), "page");
}

TEST_CASE("queries run at the same time") {
    const FhirStub slow([](const StubRequest& request) {
        StubAnswer answer = typical(request);
        answer.delay = 300ms;
        return answer;
    });
    const auto started = std::chrono::steady_clock::now();
    const std::vector<fhir::Query> queries{
        {"Condition?patient=p1"}, {"Procedure?patient=p1"}, {"Patient/p1"}, {"Consent?patient=p1"}};
    for (const SearchResult& result : fhir::search(queries, options(slow)))
        CHECK_EQ(result.outcome, SearchResult::Outcome::complete);
    CHECK_LT(std::chrono::steady_clock::now() - started, 900ms);
}

TEST_CASE("private addresses are not connected to unless they may be, however they are written") {
    const FhirStub stub(typical);
    SearchOptions strict = options(stub);
    strict.privateNetwork = false;
    CHECK_EQ(searchOne("Patient/p1", strict).outcome, SearchResult::Outcome::failed);  // http is not spoken
    const std::string port = std::to_string(stub.port());
    for (const std::string& host :
         {"127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "2130706433:" + port,
          "0.0.0.0:" + port, "0x7f.1:" + port, std::string("10.1.2.3"), std::string("100.64.0.1"),
          std::string("169.254.169.254"), std::string("172.31.0.1"), std::string("192.168.1.1"),
          std::string("[fe80::1]"), std::string("[fd00::1]"), std::string("[64:ff9b::7f00:1]"),
          std::string("[::ffff:10.0.0.1]"), std::string("224.0.0.1")}) {
        CAPTURE(host);
        strict.base = "https://" + host + "/fhir";
        const auto started = std::chrono::steady_clock::now();
        const SearchResult result = searchOne("Patient/p1", strict);
        CHECK_EQ(result.outcome, SearchResult::Outcome::failed);
        CHECK_NE(result.reason, "there was no answer in time");
        CHECK_LT(std::chrono::steady_clock::now() - started, 1500ms);
    }
    CHECK_EQ(stub.connections(), 0);
}

TEST_CASE("an address lies below a base, or it does not") {
    const std::vector<std::string> bases{"https://ehr.example.org/fhir", "https://other.example.org:8443/r4"};
    for (const std::string_view below : {"https://ehr.example.org/fhir", "https://ehr.example.org/fhir/Patient/1",
                                         "https://ehr.example.org/fhir?page=2", "https://other.example.org:8443/r4/x",
                                         "https://ehr.example.org/fhir?url=https://x/../y"})
        CHECK_MESSAGE(fhir::isBelow(below, bases), below);
    for (const std::string_view not_ :
         {"", "https://ehr.example.org", "https://ehr.example.org/fhirx", "https://ehr.example.org.evil.org/fhir",
          "https://ehr.example.org/fhir/../admin", "https://ehr.example.org/fhir/%2E%2e/admin",
          "https://ehr.example.org/fhir/%2fx", "https://ehr.example.org/fhir\\..\\x", "http://ehr.example.org/fhir",
          "https://ehr.example.org:444/fhir", "https://x@ehr.example.org/fhir", "https://ehr.example.org/fhir@evil",
          "https://ehr.example.org/fhir/ x", "https://ehr.example.org/fhir/\r\nx", "https://ehr.example.org/fhir#x"})
        CHECK_MESSAGE(!fhir::isBelow(not_, bases), not_);
    CHECK_FALSE(fhir::isBelow("https://ehr.example.org/fhir", {}));
    CHECK_FALSE(fhir::isBelow("anything", {""}));
}
