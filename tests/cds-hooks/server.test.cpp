#include "cds-hooks/server.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "fhir/json.h"
#include "tests/running.h"
#include "tests/support.h"

// The running program, over HTTP.

namespace {

using fhir::json::Document;
using fhir::json::Value;
using support::HttpAnswer;
using support::RunningService;

const std::string service = "/cds-services/cd7-trials";
constexpr std::int64_t noon = 1'763'035'200;  // 2025-11-13T12:00:00Z

std::string patientView() {
    return support::readFile("fixtures/hooks/patient-view.json");
}

std::size_t cards(const HttpAnswer& answer) {
    REQUIRE_EQ(answer.status, 200);
    const Document document(answer.body);
    std::size_t count = 0;
    for (const Value card : document.root()["cards"].items()) count += card.isObject();
    return count;
}

/// The value of a metric with these labels; nothing yet: 0.
double metric(const RunningService& running, const std::string& nameAndLabels) {
    const std::string text = running.get("/metrics").body;
    const auto at = text.find("\n" + nameAndLabels + " ");
    return at == std::string::npos ? 0 : std::stod(text.substr(at + nameAndLabels.size() + 2));
}

void awaitMetric(const RunningService& running, const std::string& name, double value) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (metric(running, name) < value) REQUIRE(std::chrono::steady_clock::now() < until);
}

}  // namespace

TEST_CASE("health and metrics say what an operator needs, and nothing of a patient") {
    RunningService running;
    CHECK_EQ(running.get("/health/live").status, 200);
    const HttpAnswer ready = running.get("/health/ready");
    CHECK_EQ(ready.status, 200);
    CHECK_EQ(Document(ready.body).root()["status"].text(), "ready");
    CHECK_EQ(Document(ready.body).root()["trials"].text(), "5");
    CHECK_EQ(running.request("POST", "/health/ready").status, 405);

    CHECK_EQ(cards(running.post(service, patientView())), 1);
    CHECK_EQ(cards(running.post(service, patientView())), 1);
    CHECK_EQ(running.post(service, "{").status, 400);
    CHECK_EQ(running.get("/nowhere/patient-name").status, 404);
    CHECK_EQ(metric(running, R"(cd7match_requests_total{service="cd7-trials",status="200"})"), 2);
    CHECK_EQ(metric(running, R"(cd7match_requests_total{service="cd7-trials",status="400"})"), 1);
    CHECK_EQ(metric(running, R"(cd7match_requests_total{service="other",status="404"})"), 1);
    CHECK_EQ(metric(running, R"(cd7match_request_seconds_count{service="cd7-trials"})"), 3);
    CHECK_EQ(metric(running, R"(cd7match_trials_on_cards_total{status="potential-candidate",trial="NCT07109518"})"), 2);
    CHECK_EQ(metric(running, R"(cd7match_evaluations_total{status="no-disease",trial="NCT07117305"})"), 2);
    CHECK_EQ(metric(running, R"(cd7match_evaluations_total{status="potential-candidate",trial="NCT07109518"})"), 2);
    const HttpAnswer metrics = running.get("/metrics");
    CHECK(metrics.headers.at("content-type").starts_with("text/plain; version=0.0.4"));
    CHECK_NE(metrics.body.find("cd7match_build_info{knowledge="), std::string::npos);
    for (const std::string_view secret : {"Practitioner", "example", "1979-03-14", "patient-name"}) {
        CAPTURE(secret);
        CHECK_EQ(metrics.body.find(secret), std::string::npos);
    }
}

TEST_CASE("one line is logged for each request, and it names no patient, user or path") {
    RunningService running;
    CHECK_EQ(cards(running.post(service, patientView())), 1);
    CHECK_EQ(running.get("/nowhere/patient-name").status, 404);
    running.awaitLog("service=other status=404");
    const std::string log = running.log();
    CHECK_NE(log.find("request service=cd7-trials status=200 ms="), std::string::npos);
    CHECK_NE(log.find("hookInstance=d1577c69-dfbe-44ad-ba6d-3e05e953b2ea trials=5 shown=4"), std::string::npos);
    for (const std::string_view secret : {"Practitioner", "example", "1979-03-14", "patient-name", "Patient/"}) {
        CAPTURE(secret);
        CHECK_EQ(log.find(secret), std::string::npos);
    }
    // A hookInstance that is no UUID may hold anything.
    std::string named = patientView();
    named.replace(named.find("d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"), 36, "John Example, born 1979");
    CHECK_EQ(cards(running.post(service, named)), 1);
    running.stop();
    CHECK_EQ(running.log().find("John"), std::string::npos);
}

TEST_CASE("browsers of the origins that were named may read every answer, errors too, and no others") {
    RunningService running({"--origin", "https://ehr.example.org,https://sandbox.example.org", "--max-body", "1"});
    const auto allowed = [](const HttpAnswer& answer) {
        const auto found = answer.headers.find("access-control-allow-origin");
        return found == answer.headers.end() ? std::string() : found->second;
    };
    const support::Headers own{{"Origin", "https://ehr.example.org"}};
    const support::Headers strange{{"Origin", "https://evil.example.org"}};
    CHECK_EQ(allowed(running.get("/cds-services", own)), "https://ehr.example.org");
    CHECK_EQ(allowed(running.get("/cds-services", {{"Origin", "https://sandbox.example.org"}})),
             "https://sandbox.example.org");
    CHECK_EQ(allowed(running.get("/cds-services", strange)), "");
    CHECK_EQ(allowed(running.get("/cds-services")), "");
    CHECK_EQ(running.get("/cds-services", strange).headers.at("vary"), "Origin");
    const HttpAnswer error = running.post(service, "{", own);
    CHECK_EQ(error.status, 400);
    CHECK_EQ(allowed(error), "https://ehr.example.org");
    const HttpAnswer tooLarge = running.post(service, std::string(2 << 20, ' '), own);
    CHECK_EQ(tooLarge.status, 413);
    CHECK_EQ(allowed(tooLarge), "https://ehr.example.org");
    CHECK_EQ(allowed(running.post(service, std::string(2 << 20, ' '), strange)), "");
    CHECK_EQ(metric(running, R"(cd7match_requests_total{service="transport",status="413"})"), 2);
    CHECK_NE(running.log().find("request service=transport status=413"), std::string::npos);
    // The preflights of the public sandbox.
    struct Row {
        const char* path;
        const char* method;
        const char* methods;
    };
    for (const Row& row : std::vector<Row>{{"/cds-services", "GET", "GET"},
                                           {"/cds-services/cd7-trials", "POST", "POST"},
                                           {"/cds-services/cd7-trials/feedback", "POST", "POST"},
                                           {"/fhir/Questionnaire/NCT07117305", "GET", "GET"}}) {
        CAPTURE(row.path);
        support::Headers headers = own;
        headers.emplace_back("Access-Control-Request-Method", row.method);
        headers.emplace_back("Access-Control-Request-Headers", "authorization,content-type");
        const HttpAnswer preflight = running.request("OPTIONS", row.path, {}, headers);
        CHECK_EQ(preflight.status, 204);
        CHECK_EQ(allowed(preflight), "https://ehr.example.org");
        CHECK_EQ(preflight.headers.at("access-control-allow-methods"), row.methods);
        CHECK_EQ(preflight.headers.at("access-control-allow-headers"), "authorization, content-type");
    }
    CHECK_EQ(running.request("OPTIONS", "/cds-services/other", {}, own).status, 404);
    CHECK_EQ(allowed(RunningService().get("/cds-services", own)), "");
}

TEST_CASE("SIGHUP exchanges the knowledge at once, and a bad file changes nothing") {
    const std::string site = "/tmp/cd7match-test-site-" + std::to_string(getpid()) + ".json";
    const auto write = [&](const std::string& text) { std::ofstream(site) << text; };
    write("{}");
    RunningService running({"--site", site});
    const std::string before = running.get("/health/ready").body;
    write(R"({"trials":{"NCT07109518":{"enabled":false}}})");
    running.signal(SIGHUP);
    running.awaitLog("is served from now on");
    CHECK_EQ(Document(running.get("/health/ready").body).root()["trials"].text(), "4");
    CHECK_EQ(running.post(service, patientView()).body.find("NCT07109518"), std::string::npos);
    write(R"({"trials":{"NCT0":{}}})");
    running.signal(SIGHUP);
    running.awaitLog("nothing was exchanged");
    CHECK_NE(running.log().find("/trials/NCT0: is not a trial"), std::string::npos);
    CHECK_EQ(Document(running.get("/health/ready").body).root()["trials"].text(), "4");
    CHECK_EQ(metric(running, R"(cd7match_reloads_total{result="ok"})"), 1);
    CHECK_EQ(metric(running, R"(cd7match_reloads_total{result="failed"})"), 1);
    write("{}");
    running.signal(SIGHUP);
    awaitMetric(running, R"(cd7match_reloads_total{result="ok"})", 2);
    CHECK_EQ(running.get("/health/ready").body, before);
    CHECK_EQ(running.stop(), 0);
    std::remove(site.c_str());
}

TEST_CASE("a draining service says that it is not ready, and a probe of it is not a request") {
    const std::shared_ptr<const cds_hooks::Knowledge> knowledge(&support::knowledge(), [](const auto*) {});
    cds_hooks::Server server({knowledge}, {}, [] { return noon; });
    const auto status = [&](const char* path) { return server.answer({"GET", path, "", "", ""}).status; };
    CHECK_EQ(status("/health/ready"), 200);
    server.drain();
    CHECK_EQ(status("/health/ready"), 503);
    CHECK_EQ(status("/health/live"), 200);
    CHECK_EQ(server.metrics().text().find("cd7match_requests_total{"), std::string::npos);
}

TEST_CASE("requests that are being answered keep the knowledge that they began with") {
    spdlog::set_level(spdlog::level::err);
    const auto fresh = [] {
        std::vector<mapping::Problem> problems;
        return std::make_shared<const cds_hooks::Knowledge>(
            cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems));
    };
    cds_hooks::Server server({fresh()}, {}, [] { return noon; });
    std::atomic<bool> stop = false;
    std::atomic<int> wrong = 0;
    std::atomic<int> answered = 0;
    std::thread client([&] {
        const std::string body = patientView();
        while (!stop) {
            const cds_hooks::Answer answer = server.answer({"POST", service, "application/json", "", body});
            if (answer.status != 200 || answer.body.find("NCT07109518") == std::string::npos) ++wrong;
            ++answered;
        }
    });
    for (int i = 0; i < 8; ++i) server.serve({fresh()});
    stop = true;
    client.join();
    spdlog::set_level(spdlog::level::info);
    CHECK_EQ(wrong, 0);
    CHECK_GT(answered, 8);
    CHECK_NE(server.metrics().text().find(
                 R"(cd7match_trials_on_cards_total{status="potential-candidate",trial="NCT07109518"} )" +
                 std::to_string(answered)),
             std::string::npos);
}

TEST_CASE("without a memory for tokens nobody is believed, and everybody is told to try again") {
    const std::shared_ptr<const cds_hooks::Knowledge> knowledge(&support::knowledge(), [](const auto*) {});
    std::vector<mapping::Problem> problems;
    cds_hooks::TrustOptions options;
    // The token of the specification, on its day; see trust.test.cpp.
    const std::string jwks = "/tmp/cd7match-test-jwks-" + std::to_string(getpid());
    std::ofstream(jwks)
        << R"({"keys":[{"kty":"EC","use":"sig","crv":"P-384","kid":"example-kid","x":"46SDH7Znh821wblCBglA61sNE9ZrHYKKt3qRtRTmSXyOI_FIGBLWrWa0GPUkDCEk","y":"XMcRuuoGW7CXjQdy-F5i3FeBE0x9hPLdeFdSoDd3ELmx404tLX0VRRcqzAsPhXcI","alg":"ES384"}]})";
    options.baseUrl = "https://cds.example.org";
    options.issuers.push_back(
        {"https://fhir-ehr.example.com/", jwks, "", {"https://cds.example.org/cds-services/some-service"}, {}});
    const auto failing = [](std::string_view, std::int64_t, std::int64_t) -> bool {
        throw std::runtime_error("disk full");
    };
    const auto trust = std::make_shared<cds_hooks::Trust>(
        options, [] { return std::int64_t{1'422'568'850}; }, cds_hooks::FetchKeys(), failing, problems);
    std::remove(jwks.c_str());
    REQUIRE(problems.empty());
    cds_hooks::Server server({knowledge, trust}, {}, [] { return noon; });
    const std::string token =
        "Bearer "
        "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImV4YW1wbGUta2lkIiwiamt1IjoiaHR0cHM6Ly9maGlyLWVoci5leGFtcGxlLmNvbS"
        "9q"
        "d2tfdXJpIn0."
        "eyJpc3MiOiJodHRwczovL2ZoaXItZWhyLmV4YW1wbGUuY29tLyIsImF1ZCI6Imh0dHBzOi8vY2RzLmV4YW1wbGUub3JnL2Nkcy1z"
        "ZXJ2aWNlcy9zb21lLXNlcnZpY2UiLCJleHAiOjE0MjI1Njg4NjAsImlhdCI6MTMxMTI4MDk3MCwianRpIjoiZWUyMmIwMjEtZTFiNy00NjExLW"
        "Jh"
        "NWItOGVlYzZhMzNhYzFlIiwidGVuYW50IjoiMmRkZDZjM2EtOGU5YS00NGM2LWEzMDUtNTIxMTFhZDMwMmEyIn0."
        "d1WfLjGRKlcWB94l9do4cM8R"
        "EXeYJLL6SGUBO8VHZhfM8mwKYP70EMxJ67War4TQblEpaQrp11wx5p7oPFm2ETYgCicS84vXWEIYTdjooZdooCSDf2L8-i4awdoUwiEb";
    const cds_hooks::Answer answer = server.answer({"GET", "/cds-services", "", "", "", token});
    CHECK_EQ(answer.status, 503);
    CHECK_EQ(answer.headers.at(0).first, "Retry-After");
    CHECK_EQ(server.answer({"GET", "/cds-services", "", "", "", "Bearer x"}).status, 401);
}

namespace {

/// Breaks a text in one of the ways in which senders, proxies and attackers do.
class Mutator {
public:
    explicit Mutator(std::uint32_t seed) : random_(seed) {}

    std::string mutate(std::string text) {
        for (int times = number(1, 2); times > 0 && !text.empty(); --times) {
            const std::size_t at = place(text);
            const std::size_t length = std::min<std::size_t>(static_cast<std::size_t>(number(1, 40)), text.size() - at);
            switch (number(0, 8)) {
                case 0:
                    text[at] = static_cast<char>(number(0, 255));
                    break;
                case 1:
                    text.erase(at, length);
                    break;
                case 2:
                    text.insert(at, text.substr(place(text), length));
                    break;
                case 3:
                    text.resize(at);
                    break;
                case 4:
                    text.insert(at, pick({"null", "{}", "[]", "\"\"", "1e999", "-0", "true", ",", ":", "\\u0000",
                                          "\xED\xA0\x80", "9999999999999999999999", "\"9999-99-99\"",
                                          "{\"a\":", "[[[[[[[[", "}"}));
                    break;
                case 5:
                    text.insert(at, std::string(static_cast<std::size_t>(number(1, 300)),
                                                pick({"[", "{\"a\":", "0", "\\", "\""})[0]));
                    break;
                case 6:
                    replaceOne(text, "\"entry\"", pick({"\"link\"", "\"total\"", "\"id\""}));
                    break;
                case 7:
                    replaceFirst(
                        text, pick({"\"prefetch\"", "\"patient\"", "Patient", "Condition", "Bundle", "draft", "final"}),
                        pick({"\"other\"", "Patient", "Bundle", "OperationOutcome", "", "active"}));
                    break;
                default:
                    replaceOne(text, pick({"{", "[", "\"", ":", "2025"}), pick({"[", "{", "null", "7", "-1"}));
            }
        }
        return text;
    }

private:
    int number(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
    std::size_t place(const std::string& text) {
        return std::uniform_int_distribution<std::size_t>(0, text.size() - 1)(random_);
    }
    std::string pick(const std::vector<std::string>& from) {
        return from[static_cast<std::size_t>(number(0, static_cast<int>(from.size()) - 1))];
    }
    static void replaceFirst(std::string& text, const std::string& what, const std::string& with) {
        const auto at = text.find(what);
        if (at != std::string::npos) text.replace(at, what.size(), with);
    }
    void replaceOne(std::string& text, const std::string& what, const std::string& with) {
        const auto at = text.find(what, place(text));
        if (at != std::string::npos) text.replace(at, what.size(), with);
    }

    std::mt19937 random_;
};

}  // namespace

TEST_CASE("mutated requests through sockets are answered by a running service with all that it keeps, and none hangs") {
    const support::Folder folder;
    std::ofstream(folder / "secret") << std::string(32, 's');
    {
        RunningService running({"--store", folder / "f.db", "--throttle-days", "1", "--throttle-secret",
                                folder / "secret", "--fhir-server", "http://127.0.0.1:9/fhir", "--fhir-private", "true",
                                "--origin", "*", "--read-timeout", "5"});
        const std::string feedback =
            R"({"feedback":[{"card":"c1","outcome":"accepted","outcomeTimestamp":"2025-11-13T10:00:00Z","acceptedSuggestions":[{"id":"s1"}]}]})";
        std::string fetching = patientView();
        fetching.insert(1, R"("fhirServer":"http://127.0.0.1:9/fhir","fhirAuthorization":{"access_token":"t"},)");
        const std::vector<std::pair<std::string, std::string>> seeds{
            {service, patientView()},
            {service, fetching},
            {service + "/feedback", feedback},
            {service + "-order-sign", support::readFile("fixtures/hooks/order-sign.json")}};
        Mutator mutator(20261129);
        std::map<int, std::size_t> statuses;
        constexpr std::size_t count = 2'000;
        for (std::size_t i = 0; i < count; ++i) {
            const auto& [path, body] = seeds[i % seeds.size()];
            const HttpAnswer answer = running.post(path, mutator.mutate(body));
            ++statuses[answer.status];
            if (answer.status != 200 && answer.status != 400 && answer.status != 412)
                FAIL_CHECK("status " << answer.status);
        }
        for (const int status : {200, 400}) CHECK_GT(statuses[status], 100);
        CHECK_EQ(cards(running.post(service, patientView())), 0);  // shown already
        CHECK_EQ(running.stop(), 0);
    }
}

TEST_CASE("a hundred thousand mutated requests are answered, and leave the service as it was") {
    spdlog::set_level(spdlog::level::err);
    const std::shared_ptr<const cds_hooks::Knowledge> knowledge(&support::knowledge(), [](const auto*) {});
    cds_hooks::Server server({knowledge}, {}, [] { return noon; });
    const auto post = [&](const std::string& path, const std::string& body) {
        return server.answer({"POST", path, "application/json", "", body});
    };
    const auto summary = [&] {
        const Document document(post(service, patientView()).body);
        for (const Value card : document.root()["cards"].items())
            return std::string(card["summary"].text()) + std::string(card["detail"].text());
        return std::string();
    };
    const std::string before = summary();
    REQUIRE_FALSE(before.empty());
    const std::vector<std::pair<std::string, std::string>> seeds{
        {service, patientView()}, {service + "-order-sign", support::readFile("fixtures/hooks/order-sign.json")}};
    struct Met {
        std::map<int, std::size_t> statuses;
        std::vector<std::string> problems;
    };
    const auto postMutated = [&](std::uint32_t seed) {
        Met met;
        Mutator mutator(seed);
        for (std::size_t i = 0; i < 50'000; ++i) {
            const auto& [path, body] = seeds[i % seeds.size()];
            const std::string mutated = mutator.mutate(body);
            const cds_hooks::Answer answer = post(path, mutated);
            ++met.statuses[answer.status];
            const bool isLawful = answer.status == 200 || answer.status == 400 || answer.status == 412;
            if (!isLawful) met.problems.push_back("status " + std::to_string(answer.status) + " for " + mutated);
            const Document document(answer.body);
            if (answer.status == 200 ? !document.root()["cards"].isArray() : !document.root()["issue"].isArray())
                met.problems.push_back("not an answer: " + answer.body);
        }
        return met;
    };
    auto other = std::async(std::launch::async, postMutated, 20251128);
    Met met = postMutated(20251127);
    const Met further = other.get();
    for (const auto& [status, count] : further.statuses) met.statuses[status] += count;
    met.problems.insert(met.problems.end(), further.problems.begin(), further.problems.end());
    for (const std::string& problem : met.problems) FAIL_CHECK(problem);
    spdlog::set_level(spdlog::level::info);
    // All three must have been met, or the mutations were too harsh or too mild to tell anything.
    for (const int status : {200, 400, 412}) {
        CAPTURE(status);
        CHECK_GT(met.statuses[status], 500);
    }
    CHECK_EQ(summary(), before);
}
