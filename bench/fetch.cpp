// What fetching adds to the slowest query: a whole hook whose client sent nothing, against one query, at a FHIR server
// of a fixed delay, in the same run.

#include <benchmark/benchmark.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cds-hooks/listener.h"
#include "cds-hooks/server.h"

namespace {

using namespace std::chrono_literals;
using cds_hooks::Answer;
using cds_hooks::Request;

constexpr auto delay = 50ms;

/// Answers every query after the delay: the Patient, a leukaemia, or nothing.
Answer fhirServer(const Request& request) {
    std::this_thread::sleep_for(delay);
    if (request.path == "/fhir/Patient/p1")
        return {200, R"({"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1979-03-14"})", {}, {}};
    if (request.path == "/fhir/Condition")
        return {
            200,
            R"({"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Condition","id":"c",
                "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]},
                "subject":{"reference":"Patient/p1"},"onsetDateTime":"2025-08-20"}}]})",
            {},
            {}};
    return {200, R"({"resourceType":"Bundle","type":"searchset","total":0})", {}, {}};
}

/// A FHIR server and a service that asks it.
struct Setting {
    cds_hooks::Limits limits;
    std::unique_ptr<cds_hooks::Listener> theirs;
    std::string base;
    std::unique_ptr<cds_hooks::Server> ours;
    Request hook;

    Setting() {
        spdlog::set_level(spdlog::level::err);
        limits.workers = 64;
        theirs = std::make_unique<cds_hooks::Listener>("127.0.0.1", 0, limits, fhirServer);
        base = "http://127.0.0.1:" + std::to_string(theirs->port()) + "/fhir";
        std::vector<mapping::Problem> problems;
        cds_hooks::ServerOptions options;
        options.asOf = fhir::Date::of(2025, 11, 13);
        options.fhirServers = {base};
        options.fetchWithoutToken = true;
        options.search.privateNetwork = true;
        options.search.deadline = 5s;
        ours = std::make_unique<cds_hooks::Server>(
            cds_hooks::Served{std::make_shared<const cds_hooks::Knowledge>(
                cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems))},
            options, [] { return std::int64_t{1'763'035'200}; });
        hook = {"POST", "/cds-services/cd7-trials", "application/json", "",
                R"({"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","fhirServer":")" +
                    base + R"(","context":{"userId":"Practitioner/1","patientId":"p1"}})"};
    }
};

Setting& setting() {
    static Setting only;
    return only;
}

void Fetch_OneQuery(benchmark::State& state) {
    fhir::SearchOptions options;
    options.base = setting().base;
    options.privateNetwork = true;
    options.deadline = 5s;
    const std::vector<fhir::Query> queries{{"Condition?patient=p1"}};
    for (auto _ : state) benchmark::DoNotOptimize(fhir::search(queries, options));
}

void Fetch_WholeHook(benchmark::State& state) {
    for (auto _ : state) {
        const Answer answer = setting().ours->answer(setting().hook);
        if (answer.status != 200 || answer.body.size() < 1000) state.SkipWithError("no card");
    }
}

BENCHMARK(Fetch_OneQuery)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(Fetch_WholeHook)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
