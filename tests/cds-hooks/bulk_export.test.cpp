#include "cds-hooks/bulk_export.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fhir/error.h"
#include "tests/support.h"
#include "tests/vendor-double/fhir_double.h"

namespace {

using support::FhirDouble;
using support::FhirStub;
using support::Folder;
using support::StubAnswer;
using support::StubRequest;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// A server whose export is ready at the third question; `file` stands for the address of its second file.
struct Exporting {
    std::string manifest = R"({"transactionTime":"2025-11-13T10:00:00Z","request":"x","requiresAccessToken":true,
        "output":[{"type":"Patient","url":"BASE/files/1","count":2},{"type":"Condition","url":"BASE/files/2"},
                  {"type":"Condition","url":"BASE/files/3","count":1}],
        "deleted":[{"type":"Bundle","url":"BASE/files/4"}],
        "error":[{"type":"OperationOutcome","url":"BASE/files/5"}]})";
    std::string refuses;  ///< in an address
    int refusal = 400;
    bool roams = false;
    int breaks = 0;  ///< how often the second file breaks off before it comes
    std::atomic<int> polls = 0;
    StubAnswer second = file("{\"resourceType\":\"Condition\",\"id\":\"c1\"}\n");
    FhirDouble server{[this](const StubRequest& request) { return vendor(request); }};

    static StubAnswer file(const std::string& text) { return FhirStub::json(text); }

    std::optional<StubAnswer> vendor(const StubRequest& request) {
        const std::string& target = request.target;
        if (!refuses.empty() && target.find(refuses) != std::string::npos && request.method == "GET")
            return FhirStub::json(R"({"resourceType":"OperationOutcome"})", refusal);
        if (target.find("$export?_type=Patient,") != std::string::npos)
            return FhirStub::json("", 202, "Content-Location: " + server.base() + "/status/1\r\n");
        if (target == "/fhir/status/1" && request.method == "DELETE") return FhirStub::json("", 202);
        if (target == "/fhir/status/1") {
            if (++polls < 3)
                return FhirStub::json("", polls == 1 ? 202 : 500, "Retry-After: 7\r\nX-Progress: half\r\n");
            std::string text = manifest;
            for (auto at = text.find("BASE"); at != std::string::npos; at = text.find("BASE"))
                text.replace(at, 4, server.base());
            return FhirStub::json(text);
        }
        if (target == "/fhir/files/1") return file("{\"resourceType\":\"Patient\",\"id\":\"a\"}\n{\"id\":\"b\"}");
        if (target == "/fhir/files/2" && breaks-- > 0)
            return StubAnswer{second.bytes.substr(0, second.bytes.size() - 5), 0ms, 0ms, true};
        if (target == "/fhir/files/2") return second;
        if (target == "/fhir/files/3") return file("{\"resourceType\":\"Condition\",\"id\":\"c2\"}\n");
        if (target == "/fhir/files/4") return file("{\"resourceType\":\"Bundle\"}\n");
        if (target == "/fhir/files/5") return file("");
        return std::nullopt;
    }

    /// What came of it: "" or the reason.
    std::string run(const fs::path& folder, const std::string& group = {}) {
        fhir::SearchOptions options;
        options.base = server.base();
        options.deadline = 5s;
        options.privateNetwork = true;
        const cds_hooks::FhirServer fhirServer(options, cds_hooks::fixedToken("s3cret"), roams);
        try {
            result = cds_hooks::exportBulk(
                fhirServer, {group, folder, [this](std::chrono::milliseconds time) { pauses.push_back(time); }, 1h});
            return {};
        } catch (const std::exception& error) {
            return error.what();
        }
    }
    std::size_t asked(const std::string& method, const std::string& target) const {
        const std::vector<StubRequest> requests = server.requests();
        return static_cast<std::size_t>(
            std::count_if(requests.begin(), requests.end(), [&](const StubRequest& request) {
                return request.method == method && request.target.starts_with(target);
            }));
    }

    cds_hooks::ExportResult result;
    std::vector<std::chrono::milliseconds> pauses;
};

}  // namespace

TEST_CASE("an export is asked for, waited for as long as the server says, fetched, and deleted there") {
    const Folder folder;
    Exporting theirs;
    CHECK_EQ(theirs.run(folder / "out", "g 1"), "");
    CHECK_EQ(theirs.result.resources, 4);
    CHECK_EQ(theirs.result.errors, 0);
    REQUIRE_EQ(theirs.pauses.size(), 2);
    for (const std::chrono::milliseconds pause : theirs.pauses) CHECK_EQ(pause.count(), 7000);
    CHECK_EQ(theirs.asked("GET", "/fhir/Group/g%201/$export?_type=Patient,Observation,Condition"), 1);
    CHECK_EQ(theirs.asked("DELETE", "/fhir/status/1"), 1);
    for (const StubRequest& request : theirs.server.requests())
        CHECK_EQ(request.headers.at("authorization"), "Bearer s3cret");
    const auto text = [&](const char* name) { return support::readFile((folder / name).string()); };
    CHECK_EQ(text("out/Patient.000.ndjson"), "{\"resourceType\":\"Patient\",\"id\":\"a\"}\n{\"id\":\"b\"}");
    CHECK_EQ(text("out/Condition.000.ndjson"), "{\"resourceType\":\"Condition\",\"id\":\"c1\"}\n");
    CHECK_EQ(text("out/Condition.001.ndjson"), "{\"resourceType\":\"Condition\",\"id\":\"c2\"}\n");
    CHECK_EQ(text("out/deleted/Bundle.000.ndjson"), "{\"resourceType\":\"Bundle\"}\n");
    CHECK_EQ(text("out/error/OperationOutcome.000.ndjson"), "");
    CHECK_EQ(text("out/manifest.json"),
             R"({"transactionTime":"2025-11-13T10:00:00Z","requiresAccessToken":false,"output":[)"
             R"({"type":"Patient","url":"Patient.000.ndjson","count":2},)"
             R"({"type":"Condition","url":"Condition.000.ndjson","count":1},)"
             R"({"type":"Condition","url":"Condition.001.ndjson","count":1}],)"
             R"("deleted":[{"type":"Bundle","url":"deleted/Bundle.000.ndjson","count":1}],)"
             R"("error":[{"type":"OperationOutcome","url":"error/OperationOutcome.000.ndjson","count":0}]})"
             "\n");
    CHECK_NE(theirs.run(folder / "out").find("is not empty; an export needs a folder of its own"), std::string::npos);
    Exporting everybody;
    CHECK_EQ(everybody.run(folder / "all"), "");
    CHECK_EQ(everybody.asked("GET", "/fhir/Patient/$export?_type="), 1);
    // HAPI refuses types that name no patient.
    Exporting strict;
    strict.refuses = ",Medication,ResearchStudy";
    CHECK_EQ(strict.run(folder / "strict"), "");
    CHECK_EQ(strict.asked("GET", "/fhir/Patient/$export?_type="), 2);
}

TEST_CASE("an export that is not whole is none: its reason is said, it is deleted there, and no manifest is written") {
    FhirDouble elsewhere;
    struct Row {
        std::string what;
        std::function<void(Exporting&)> change;
        std::string says;
    };
    const auto replaced = [](const std::string& from, const std::string& to) {
        return [=](Exporting& theirs) {
            const auto at = theirs.manifest.find(from);
            REQUIRE(at != std::string::npos);
            theirs.manifest.replace(at, from.size(), to);
        };
    };
    for (const Row& row : std::vector<Row>{
             {"a file that is not there", [](Exporting& theirs) { theirs.second = FhirStub::json("{}", 404); },
              "a file of the export is answered with 404"},
             {"an export that fails in the end",
              [](Exporting& theirs) {
                  theirs.refuses = "/status/1";
                  theirs.refusal = 500;
              },
              "the export failed: the answer is 500"},
             {"a file that always breaks off", [](Exporting& theirs) { theirs.breaks = 100; }, ""},
             {"fewer lines than announced", replaced("\"count\":2", "\"count\":3"),
              "Patient.000.ndjson: holds 2 resources, and the server says 3"},
             {"a file elsewhere that needs the token", replaced("BASE/files/2", elsewhere.base() + "/files/2"),
              "a file of the export lies on another server, and needs the token"},
             {"a type that is a path", replaced("\"type\":\"Patient\"", "\"type\":\"../../etc/x\""),
              "the manifest names something that is no resource type"},
             {"no output", replaced("\"output\"", "\"nothing\""), "the manifest of the export names no output"},
             {"a manifest that breaks off", [](Exporting& theirs) { theirs.manifest.resize(100); },
              "the manifest of the export is not JSON"},
         }) {
        CAPTURE(row.what);
        const Folder folder;
        Exporting theirs;
        row.change(theirs);
        const std::string reason = theirs.run(folder / "out");
        CHECK_NE(reason, "");
        CHECK_MESSAGE(reason.find(row.says) != std::string::npos, reason);
        CHECK_FALSE(fs::exists(folder / "out/manifest.json"));
        CHECK_FALSE(fs::exists(folder / "out/Condition.000.ndjson"));
        CHECK_EQ(theirs.asked("DELETE", "/fhir/status/1"), 1);
    }
    CHECK_EQ(elsewhere.connections(), 0);

    Exporting without;
    FhirDouble plain;
    const Folder folder;
    fhir::SearchOptions options;
    options.base = plain.base();
    options.privateNetwork = true;
    CHECK_THROWS_WITH_AS(cds_hooks::exportBulk(cds_hooks::FhirServer(options, cds_hooks::fixedToken("")),
                                               {"", folder / "out", [](std::chrono::milliseconds) {}, 1h}),
                         doctest::Contains("there is no export of Patient: the answer is"), fhir::Error);
}

TEST_CASE("a file that breaks off is asked for again, and what the server could not export is counted") {
    const Folder folder;
    Exporting theirs;
    theirs.breaks = 2;
    theirs.manifest.replace(theirs.manifest.find("BASE/files/5"), 12, "BASE/files/4");
    CHECK_EQ(theirs.run(folder / "out"), "");
    CHECK_EQ(theirs.result.resources, 4);
    CHECK_EQ(theirs.result.errors, 1);
    CHECK_EQ(theirs.asked("GET", "/fhir/files/2"), 3);
    CHECK_EQ(support::readFile((folder / "out/Condition.000.ndjson").string()),
             "{\"resourceType\":\"Condition\",\"id\":\"c1\"}\n");
}

TEST_CASE("files elsewhere that need no token are fetched without it") {
    const Folder folder;
    FhirDouble storage([](const StubRequest&) { return FhirStub::json("{\"resourceType\":\"Condition\"}\n"); });
    Exporting theirs;
    theirs.manifest =
        R"({"requiresAccessToken":false,"output":[{"type":"Condition","url":")" + storage.base() + R"(/signed?x=1"}]})";
    // A server may not send us into the network that we stand in, unless we were told to follow it there.
    CHECK_NE(theirs.run(folder / "refused").find("a file of the export cannot be fetched: "), std::string::npos);
    CHECK_EQ(storage.connections(), 0);
    theirs.roams = true;
    theirs.polls = 2;
    CHECK_EQ(theirs.run(folder / "out"), "");
    REQUIRE_EQ(storage.requests().size(), 1);
    CHECK_FALSE(storage.requests().front().headers.contains("authorization"));
    CHECK_EQ(support::readFile((folder / "out/manifest.json").string()).find("signed"), std::string::npos);
}
