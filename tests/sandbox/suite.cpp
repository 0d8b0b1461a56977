#include "tests/sandbox/suite.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cds-hooks/bulk_export.h"
#include "cds-hooks/cohort.h"
#include "fhir/client.h"
#include "fhir/json.h"
#include "tests/example.h"
#include "tests/running.h"
#include "tests/screened.h"
#include "tests/support.h"

extern char** environ;

namespace sandbox {

using fhir::json::Document;
using fhir::json::Value;
using support::Example;

namespace {

fhir::HttpResponse ask(const std::string& method, const std::string& url, const std::string& body = {}) {
    fhir::FetchLimits limits;
    limits.bytes = std::size_t{64} << 20;
    limits.deadline = std::chrono::minutes(2);
    limits.mayBePlain = true;
    return fhir::exchange({url, method, {"Content-Type: application/fhir+json", "Accept: application/fhir+json"}, body},
                          limits);
}

struct Loaded {
    std::vector<std::unique_ptr<Example>> examples;
    std::vector<std::string> patients;

    const Example& of(const std::string& patient) const {
        const auto at = std::find(patients.begin(), patients.end(), patient);
        REQUIRE(at != patients.end());
        return *examples[static_cast<std::size_t>(at - patients.begin())];
    }
};

/// Every story that the server takes: it may refuse what is no valid FHIR.
Loaded load(const Server& server) {
    std::vector<std::filesystem::path> stories;
    for (const auto& entry : std::filesystem::directory_iterator("fixtures/patients")) stories.push_back(entry.path());
    std::sort(stories.begin(), stories.end());
    Loaded loaded;
    for (const std::filesystem::path& story : stories) {
        const std::string text = support::readFile((story / "bundle.json").string());
        auto example = std::make_unique<Example>(text, "s" + std::to_string(loaded.examples.size()) + "-");
        // A Bundle that says that something is missing says more than its resources do.
        const bool isWhole =
            text.find("\"next\"") == std::string::npos && text.find("OperationOutcome") == std::string::npos;
        if (!isWhole || example->patient().empty()) continue;
        if (ask("POST", server.base(), example->bundle("transaction")).status != 200) continue;
        loaded.patients.push_back(example->patient());
        loaded.examples.push_back(std::move(example));
    }
    MESSAGE(loaded.patients.size() << " of " << stories.size() << " example patients are on the server");
    CHECK_GE(loaded.patients.size() * 10, stories.size() * 9);
    return loaded;
}

cds_hooks::ScreenOptions asking(const Server& server) {
    cds_hooks::ScreenOptions options;
    options.server = server.base();
    options.report.format = cds_hooks::Format::ndjson;
    options.day.asOf = options.day.today = support::day("2025-11-13");
    options.timeout = std::chrono::minutes(2);
    return options;
}

void checkScreening(const Server& server, const Loaded& loaded) {
    const std::string file = "/tmp/cd7match-sandbox-" + std::to_string(getpid()) + ".ndjson";
    {
        std::ofstream stream(file);
        for (const auto& example : loaded.examples) stream << example->bundle("collection") << '\n';
    }
    const support::Run stored = support::replayWhole(file);
    std::filesystem::remove(file);
    REQUIRE_EQ(stored.status, 0);
    cds_hooks::ScreenOptions options = asking(server);
    options.cohort.patients = loaded.patients;
    const support::Run screened = support::screen(options);
    CHECK_EQ(screened.log, "");
    CHECK_EQ(screened.status, 0);
    const std::vector<std::string> expected = support::results(stored.out);
    const std::vector<std::string> found = support::results(screened.out);
    REQUIRE_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i] != expected[i]) FAIL_CHECK(support::difference(found[i], expected[i]));
    }

    // Everybody is found for whom a gate is open, but those whose diagnosis no code says.
    const auto hasGate = [](const std::string& line) { return line.find("\"gate\":true") != std::string::npos; };
    std::set<std::string> diseased;
    for (std::size_t i = 0; i < loaded.patients.size(); ++i) {
        bool isCoded = false;
        const Document conditions(loaded.examples[i]->searchset("Condition"));
        for (const Value entry : conditions.root()["entry"].items()) {
            for (const Value coding : entry["resource"]["code"]["coding"].items()) {
                const std::string code(coding["code"].text());
                // Codes of six places, as China has them, are not asked for.
                const bool isLong = code.size() > 6 && coding["system"].text().find("icd-10") != std::string_view::npos;
                isCoded =
                    isCoded || (!isLong && support::knowledge().gateCodes.mayConcern("{\"code\":\"" + code + "\"}"));
            }
        }
        if (isCoded && hasGate(expected[i])) diseased.insert("Patient/" + loaded.patients[i]);
    }
    cds_hooks::ScreenOptions disease = asking(server);
    disease.cohort.disease = true;
    const std::vector<std::string> screenedByDisease = support::patientsOf(support::screen(disease).out);
    CHECK_GT(diseased.size(), 50);
    const std::set<std::string> screenedToo(screenedByDisease.begin(), screenedByDisease.end());
    for (const std::string& each : diseased) CHECK_MESSAGE(screenedToo.contains(each), each);
    // Whoever reads every Condition misses nobody.
    disease.cohort.disease = false;
    disease.cohort.diseaseScan = true;
    const std::vector<std::string> scanned = support::patientsOf(support::screen(disease).out);
    const std::set<std::string> scannedToo(scanned.begin(), scanned.end());
    for (const std::string& each : screenedByDisease) CHECK_MESSAGE(scannedToo.contains(each), each);
    CHECK_GT(scanned.size(), screenedByDisease.size());

    std::string members;
    for (const char* each : {"0", "1"})
        members += (members.empty() ? "" : ",") +
                   (R"({"entity":{"reference":"Patient/)" + loaded.patients[each[0] == '0' ? 0 : 1] + R"("}})");
    const std::string group =
        R"({"resourceType":"Group","id":"g1","type":"person","actual":true,"member":[)" + members + "]}";
    CHECK_LT(ask("PUT", server.base() + "/Group/g1", group).status, 300);
    cds_hooks::ScreenOptions ofGroup = asking(server);
    ofGroup.cohort.group = "g1";
    CHECK_EQ(support::patientsOf(support::screen(ofGroup).out).size(), 2);
    ofGroup.cohort.patients = {"nobody-has-this-id"};
    ofGroup.cohort.group.clear();
    const support::Run nobody = support::screen(ofGroup);
    CHECK_EQ(nobody.status, 3);
    CHECK(nobody.says("patient 1 of 1: the Patient could not be read: the answer is 404"));
}

/// The answer without the uuids of its card and suggestions.
std::string card(const support::HttpAnswer& answer) {
    CHECK_EQ(answer.status, 200);
    return std::regex_replace(answer.body, std::regex(R"("uuid":"[0-9a-f-]{36}")"), "");
}

/// What a client does not send is fetched: the card is the one of the client that sends it.
void checkFetching(const Server& server, const Loaded& loaded) {
    const support::RunningService service(
        {"--fhir-server", server.base(), "--fhir-private", "true", "--fhir-open", "true", "--fhir-budget", "60"});
    std::size_t cards = 0;
    for (std::size_t i = 0; i < loaded.patients.size(); i += loaded.patients.size() / 12) {
        const std::string& patient = loaded.patients[i];
        CAPTURE(patient);
        const auto hook = [&](const std::string& prefetch) {
            return R"({"hook":"patient-view","hookInstance":"x","fhirServer":")" + server.base() +
                   R"(","context":{"userId":"Practitioner/1","patientId":")" + patient + "\"}" + prefetch + "}";
        };
        std::string prefetch;
        for (const auto& expected : support::knowledge().prefetch) {
            const std::string value = expected.key == "patient" ? loaded.examples[i]->all("Patient").front()
                                                                : loaded.examples[i]->searchset(expected.resourceType);
            prefetch += (prefetch.empty() ? ",\"prefetch\":{\"" : ",\"") + expected.key + "\":" + value;
        }
        const std::string sent = card(service.post("/cds-services/cd7-trials", hook(prefetch + '}')));
        const std::string fetched = card(service.post("/cds-services/cd7-trials", hook("")));
        // A Medication behind a reference is in neither: it is no query of discovery.
        if (fetched != sent) FAIL_CHECK(support::difference(fetched, sent));
        cards += fetched != R"({"cards":[]})";
    }
    CHECK_GT(cards, 3);
}

std::size_t count(const Server& server, const std::string& type) {
    fhir::SearchOptions options;
    options.base = server.base();
    options.privateNetwork = true;
    options.deadline = std::chrono::minutes(1);
    options.pages = 100;
    options.selection = fhir::json::Selection::everything;
    const fhir::SearchResult result = fhir::search(std::vector<fhir::Query>{{type + "?_count=50"}}, options).at(0);
    REQUIRE(result.outcome == fhir::SearchResult::Outcome::complete);
    std::size_t found = 0;
    for (const auto& page : result.pages) {
        for (const Value entry : page->root()["entry"].items()) {
            if (entry["resource"]["resourceType"].text() != type) continue;
            ++found;
            if (type == "ResearchSubject") {
                const std::string_view status = entry["resource"]["status"].text();
                CHECK((status == "candidate" || status == "potential-candidate" || status == "on-study" ||
                       status == "withdrawn" || status == "screening"));
            }
        }
    }
    return found;
}

void checkWriting(const Server& server, const Loaded& loaded) {
    const std::size_t studies = count(server, "ResearchStudy");
    const std::size_t subjects = count(server, "ResearchSubject");
    CHECK_EQ(count(server, "List"), 0);
    cds_hooks::ScreenOptions options = asking(server);
    options.cohort.patients = {loaded.patients.begin(), loaded.patients.begin() + 12};
    options.write = cds_hooks::WriteBack::list;
    std::size_t written = 0;
    std::string first;
    for (int repeat = 0; repeat < 2; ++repeat) {
        CAPTURE(repeat);
        const support::Run run = support::screen(options);
        CHECK_EQ(run.log, "");
        CHECK_EQ(run.status, 0);
        if (repeat == 0) first = run.out;
        CHECK(support::results(run.out) == support::results(first));
        CHECK_LE(count(server, "ResearchStudy"), studies + 5);
        if (repeat == 0) written = count(server, "ResearchSubject");
        CHECK_GT(written, subjects);
        CHECK_EQ(count(server, "ResearchSubject"), written);
        CHECK_GE(count(server, "List"), 1);
        CHECK_LE(count(server, "List"), 5);
    }
    options.write = cds_hooks::WriteBack::task;
    for (int repeat = 0; repeat < 2; ++repeat) {
        CHECK_EQ(support::screen(options).status, 0);
        CHECK_EQ(count(server, "Task"), written - subjects);
    }
}

void checkExport(const Server& server, const Loaded& loaded) {
    const std::filesystem::path folder = "/tmp/cd7match-sandbox-export-" + std::to_string(getpid());
    std::filesystem::remove_all(folder);
    fhir::SearchOptions options;
    options.base = server.base();
    options.deadline = std::chrono::minutes(1);
    options.privateNetwork = true;
    const cds_hooks::FhirServer fhirServer(options, cds_hooks::fixedToken({}));
    // Helios asks us to come back in two minutes, and needs a second.
    const auto brief = [](std::chrono::milliseconds time) {
        std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(time, std::chrono::seconds(1)));
    };
    const support::Run run = support::logged([&](std::ostream&) {
        return static_cast<int>(cds_hooks::exportBulk(fhirServer, {{}, folder, brief, std::chrono::minutes(2)}).errors);
    });
    CHECK_MESSAGE(run.status == 0, run.log);
    std::map<std::string, std::size_t> resources;
    const Document manifest(support::readFile((folder / "manifest.json").string()));
    for (const Value file : manifest.root()["output"].items())
        resources[std::string(file["type"].text())] += std::stoul(std::string(file["count"].text()));
    CHECK_EQ(resources["Patient"], loaded.patients.size());
    std::size_t conditions = 0;
    for (const auto& example : loaded.examples) {
        const Document searchset(example->searchset("Condition"));
        for (const Value entry : searchset.root()["entry"].items()) conditions += entry["resource"].isObject();
    }
    CHECK_EQ(resources["Condition"], conditions);
    // The folder is what replay reads.
    const support::Run replayed = support::replayWhole(folder.string());
    CHECK_EQ(replayed.status, 0);
    CHECK_EQ(support::results(replayed.out).size(), loaded.patients.size());
    std::filesystem::remove_all(folder);
}

}  // namespace

Server::Server(const std::string& name) {
    const std::string script = "tests/sandbox/" + name + "/run";
    std::array<int, 2> pipe{};
    REQUIRE_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, ("/tmp/cd7match-sandbox-" + name + ".log").c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    std::string word = script;
    std::string port = "0";
    const std::array<char*, 3> argv{word.data(), port.data(), nullptr};
    const int failed = posix_spawn(&process_, script.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe[1]);
    REQUIRE_EQ(failed, 0);
    std::string said;
    std::array<char, 256> bytes{};
    const std::string before = "listening on ";
    for (ssize_t size = 1;
         said.find('\n', std::min(said.find(before), said.size())) == std::string::npos && size > 0;) {
        size = ::read(pipe[0], bytes.data(), bytes.size());
        if (size > 0) said.append(bytes.data(), static_cast<std::size_t>(size));
    }
    close(pipe[0]);
    const auto at = said.find(before);
    REQUIRE_MESSAGE(at != std::string::npos,
                    (script + " did not start; its last words are in /tmp/cd7match-sandbox-" + name + ".log"));
    base_ = said.substr(at + before.size(), said.find('\n', at) - at - before.size());
}

Server::~Server() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    int status = 0;
    ::waitpid(process_, &status, 0);
}

void testServer(const std::string& name) {
    const Server server(name);
    const Loaded loaded = load(server);
    if (loaded.patients.size() < 20) return;
    checkScreening(server, loaded);
    checkFetching(server, loaded);
    checkExport(server, loaded);
    checkWriting(server, loaded);
}

}  // namespace sandbox
