#include "cds-hooks/screen.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/server_charts.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "tests/page.h"
#include "tests/screened.h"
#include "tests/support.h"
#include "tests/vendor-double/fhir_double.h"

// Patients of a FHIR server are evaluated as if their Bundles had been stored.

namespace {

using cds_hooks::ScreenOptions;
using fhir::json::Document;
using fhir::json::Value;
using support::FhirDouble;
using support::FhirStub;
using support::Folder;
using support::patientsOf;
using support::results;
using support::Run;
using support::screen;
using support::StubAnswer;
using support::StubRequest;
using namespace std::chrono_literals;

ScreenOptions asking(const FhirDouble& server, const std::vector<std::string>& patients = {}) {
    ScreenOptions options;
    options.server = server.base();
    options.cohort.patients = patients;
    options.report.format = cds_hooks::Format::ndjson;
    options.day.asOf = options.day.today = support::day("2025-11-13");
    options.timeout = 5s;
    return options;
}

const std::filesystem::path stories = "fixtures/patients";

std::string storedAs(const std::string& story) {
    return (stories / story / "bundle.json").string();
}

std::string person(const std::string& id, const std::string& code = "C92.02") {
    return support::bundleOf(
        {R"({"resourceType":"Patient","id":")" + id + R"(","gender":"male","birthDate":"1979-03-14"})",
         R"({"resourceType":"Condition","id":"c-)" + id + R"(","clinicalStatus":{"coding":[{"code":"active"}]},
             "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":")" +
             code + R"("}]},"subject":{"reference":"Patient/)" + id + R"("},"onsetDateTime":"2025-08-20"})"});
}

}  // namespace

TEST_CASE("every story gives the same line from a server as from its Bundle, in one page or in many") {
    std::size_t compared = 0;
    for (const auto& entry : std::filesystem::directory_iterator(stories)) {
        const std::string story = entry.path().filename().string();
        CAPTURE(story);
        const Run stored = support::replayWhole(storedAs(story));
        // What a Bundle itself withholds, its resources on a server do not.
        if (stored.out.empty() || stored.out.find("incomplete: ") != std::string::npos) continue;
        const std::string patient = patientsOf(stored.out).at(0);
        for (const std::size_t pageSize : {1000U, 2U}) {
            CAPTURE(pageSize);
            FhirDouble server({}, pageSize);
            server.load(support::readFile(storedAs(story)));
            const Run screened = screen(asking(server, {patient.substr(patient.find('/') + 1)}));
            CHECK_EQ(screened.log, "");
            CHECK_EQ(screened.status, 0);
            const std::vector<std::string> expected = results(stored.out);
            const std::vector<std::string> found = results(screened.out);
            CHECK_EQ(found.size(), expected.size());
            if (found != expected) FAIL_CHECK(support::difference(found.at(0), expected.at(0)));
            CHECK_NE(screened.out.find(R"("source":{"url":")" + server.base() + "/Patient/"), std::string::npos);
        }
        ++compared;
    }
    CHECK_GT(compared, 80);
}

TEST_CASE("who is screened: by id, by Group, by List, or by a diagnosis of the trials") {
    FhirDouble server;
    for (const char* id : {"b", "a", "c"}) server.load(person(id));
    server.load(person("healthy", "I10"));
    server.load(person("undotted", "C9202"));
    server.load(
        support::bundleOf({R"({"resourceType":"Group","id":"g","member":[{"entity":{"reference":"Patient/c"}},
             {"entity":{"reference":"Patient/a"},"inactive":true},{"entity":{"reference":")" +
                               server.base() + R"(/Patient/healthy/_history/3"}},{"entity":{"reference":"Device/1"}},
             {"entity":{"reference":"https://elsewhere.example.org/Patient/b"}},{"entity":{"reference":"Patient/c"}}]})",
                           R"({"resourceType":"List","id":"l","entry":[{"item":{"reference":"Patient/b"}},
             {"item":{"reference":"Patient/a"},"deleted":true},{"item":{"reference":"Observation/1"}}]})"}));
    using Names = std::vector<std::string>;
    CHECK(patientsOf(screen(asking(server, {"c", "a", "c"})).out) == Names{"Patient/c", "Patient/a"});
    ScreenOptions group = asking(server);
    group.cohort.group = "g";
    const Run ofGroup = screen(group);
    CHECK(patientsOf(ofGroup.out) == Names{"Patient/c", "Patient/healthy"});
    // Whoever is named otherwise is not silently left out.
    CHECK_EQ(ofGroup.status, 3);
    CHECK(ofGroup.says("1 are named otherwise than by the id of a Patient of this server, and are not screened"));
    ScreenOptions list = asking(server);
    list.cohort.list = "l";
    CHECK(patientsOf(screen(list).out) == Names{"Patient/b"});
    ScreenOptions disease = asking(server);
    disease.cohort.disease = true;
    CHECK(patientsOf(screen(disease).out) == Names{"Patient/a", "Patient/b", "Patient/c", "Patient/undotted"});
    for (const StubRequest& request : server.requests()) CHECK_LE(request.target.size(), 2000);

    ScreenOptions nobody = asking(server);
    nobody.cohort.group = "none";
    const Run run = screen(nobody);
    CHECK_EQ(run.status, 2);
    CHECK(run.says(server.base() + ": the Group cannot be read: the answer is 404"));
}

TEST_CASE("every diagnosis that opens a gate is found by its code") {
    const std::vector<std::string> codes = cds_hooks::diseaseCodes(support::knowledge());
    const auto has = [&](const std::string& code) {
        return std::find(codes.begin(), codes.end(), code) != codes.end();
    };
    for (const char* code :
         {"C92.0", "C92.00", "C92.02", "C9202", "C92.A0", "C84.7A", "91861009", "277575008", "9837/3"})
        CHECK_MESSAGE(has(code), std::string(code));
    for (const char* code : {"C90.00", "C9000", "C83.31", "C81.10"}) CHECK_MESSAGE(has(code), std::string(code));
    for (const char* code : {"I10", "C50.9", "C61", "C92.0-"}) CHECK_MESSAGE(!has(code), std::string(code));
    // Whatever is asked for is in the bytes of the chart that the service would not call silent.
    for (const std::string& code : codes)
        CHECK_MESSAGE(support::knowledge().gateCodes.mayConcern(R"({"code":")" + code + "\"}"), code);
}

TEST_CASE("a patient who cannot be read is counted and named by his place, and the others are screened") {
    const auto failing = [](const std::string& target, StubAnswer answer) {
        return [target, answer](const StubRequest& request) -> std::optional<StubAnswer> {
            if (request.target.find(target) == std::string::npos) return std::nullopt;
            return answer;
        };
    };
    struct Row {
        std::string what;
        std::string target;
        StubAnswer answer;
        const char* says;
    };
    const std::string outcome = R"({"resourceType":"OperationOutcome","issue":[{"severity":"error"}]})";
    for (const Row& row : std::vector<Row>{
             {"an unknown Patient", "/Patient/b", FhirStub::json(outcome, 404),
              "the Patient could not be read: the answer is 404"},
             {"somebody else", "/Patient/b", FhirStub::json(R"({"resourceType":"Patient","id":"x"})"),
              "the Patient could not be read: the answer is somebody or something else"},
             {"an error of the server", "Procedure?patient=b", FhirStub::json(outcome, 500),
              "Procedure could not be read: the answer is 500"},
             {"a busy server", "Procedure?patient=b", FhirStub::json(outcome, 429, "Retry-After: 60\r\n"),
              "Procedure could not be read: the answer is 429"},
             {"no first byte",
              "Procedure?patient=b",
              {FhirStub::json(outcome).bytes, 20s},
              "Procedure could not be read: there was no answer in time"},
             {"a connection reset in the middle",
              "Procedure?patient=b",
              {FhirStub::json(outcome).bytes.substr(0, 100), 0ms, 0ms, true},
              "Procedure could not be read: "},
             {"JSON that breaks off", "Procedure?patient=b", FhirStub::json(R"({"resourceType":"Bundle",)"),
              "Procedure could not be read: the answer is not JSON"},
         }) {
        CAPTURE(row.what);
        FhirDouble server(failing(row.target, row.answer));
        for (const char* id : {"a", "b", "c"}) server.load(person(id));
        const Folder folder;
        ScreenOptions options = asking(server, {"a", "b", "c"});
        options.timeout = 1s;
        options.failed = folder / "failed.txt";
        const Run run = screen(options);
        CHECK_EQ(run.status, 3);
        CHECK(patientsOf(run.out) == std::vector<std::string>{"Patient/a", "Patient/c"});
        CHECK_MESSAGE(run.says(std::string("patient 2 of 3: ") + row.says), run.log);
        CHECK(run.says("1 of 3 inputs could not be evaluated"));
        CHECK_EQ(run.log.find("Patient/b"), std::string::npos);
        CHECK_EQ(support::readFile((folder / "failed.txt").string()), "b\n");
    }
}

TEST_CASE("what a server does not offer is not covered, and never none") {
    const auto verdict = [](const Run& run) {
        CHECK_EQ(run.status, 0);
        const auto all = results(run.out);
        REQUIRE_EQ(all.size(), 1);
        return all.front();
    };
    FhirDouble whole;
    whole.load(person("a"));
    const std::string known = verdict(screen(asking(whole, {"a"})));
    CHECK_EQ(known.find("not-covered"), std::string::npos);
    for (const int status : {400, 401, 403, 404, 405, 410}) {
        CAPTURE(status);
        FhirDouble server([&](const StubRequest& request) -> std::optional<StubAnswer> {
            if (!request.target.starts_with("/fhir/Procedure")) return std::nullopt;
            return StubAnswer{"HTTP/1.1 " + std::to_string(status) +
                              " No\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"};
        });
        server.load(person("a"));
        CHECK_NE(verdict(screen(asking(server, {"a"}))).find("not-covered"), std::string::npos);
    }
    // Epic: a warning inside a 200.
    FhirDouble partly([](const StubRequest& request) -> std::optional<StubAnswer> {
        if (!request.target.starts_with("/fhir/Procedure")) return std::nullopt;
        return FhirStub::json(
            R"({"resourceType":"Bundle","type":"searchset","total":0,"entry":[{"search":{"mode":"outcome"},
            "resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"suppressed",
            "details":{"text":"Client not authorized for Procedure; results of this type have not been included."}}]}}]})");
    });
    partly.load(person("a"));
    CHECK_NE(verdict(screen(asking(partly, {"a"}))).find("not-covered"), std::string::npos);
}

TEST_CASE("whatever a vendor does otherwise, the verdicts are right or honestly unknown, and nobody waits for ever") {
    const std::string story = (stories / "gilbert-bilirubin-at-2.5-uln").string();
    const std::string bundle = support::readFile(story + "/bundle.json");
    FhirDouble usual;
    usual.load(bundle);
    const std::string expected = results(screen(asking(usual, {"patient-1"})).out).at(0);
    REQUIRE_NE(expected.find(R"("id":"inc.08b","truth":"true")"), std::string::npos);
    const auto isSearch = [](const StubRequest& request, const char* type) {
        return request.target.starts_with(std::string("/fhir/") + type + "?patient=");
    };
    const auto asJson = [](const std::string& body, const std::string& type) {
        return StubAnswer{"HTTP/1.1 200 OK\r\nContent-Type: " + type +
                          "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body};
    };
    const std::string none = R"({"resourceType":"Bundle","type":"searchset")";
    std::string base;
    enum class Result { same, unknown, failed };
    struct Row {
        std::string what;
        FhirDouble::Vendor vendor;
        Result result;
    };
    const std::string strange = support::bundleOf(
        {R"({"resourceType":"Procedure","id":"theirs","status":"completed","subject":{"reference":"Patient/patient-2"},
             "code":{"coding":[{"system":"http://snomed.info/sct","code":"77465005"}]},"performedDateTime":"2025-11-01"})"});
    for (const Row& row : std::vector<Row>{
             {"Observations by code or category alone",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Observation") || request.target.find("code=") != std::string::npos) return {};
                  return FhirStub::json(
                      R"({"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"required",
                      "details":{"text":"Must have either code or category."}}]})",
                      400);
              },
              Result::same},
             {"another content type",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure")) return {};
                  return asJson(none + "}", "application/json+fhir");
              },
              Result::same},
             {"other patients' resources mixed in",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure")) return {};
                  return FhirStub::json(strange);
              },
              Result::same},
             {"a total above what is there",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure")) return {};
                  return FhirStub::json(none + R"(,"total":7})");
              },
              Result::unknown},
             {"an opaque next page under another path",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (request.target == "/FHIR?sessionID=1~x") return FhirStub::json(none + "}");
                  if (!isSearch(request, "Procedure")) return {};
                  const std::string next = base.substr(0, base.rfind('/')) + "/FHIR?sessionID=1~x";
                  return FhirStub::json(none + R"(,"link":[{"relation":"next","url":")" + next + "\"}]}");
              },
              Result::same},
             {"a next page that is on another server",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure")) return {};
                  return FhirStub::json(none +
                                        R"(,"link":[{"relation":"next","url":"https://evil.example.org/fhir"}]})");
              },
              Result::unknown},
             {"a next page that never ends",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!request.target.starts_with("/fhir/Procedure")) return {};
                  StubAnswer page =
                      FhirStub::json(none + R"(,"link":[{"relation":"next","url":")" + base + "/Procedure?again\"}]}");
                  page.delay = 5ms;
                  return page;
              },
              Result::failed},
             {"an OperationOutcome in a 200",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure")) return {};
                  return FhirStub::json(R"({"resourceType":"OperationOutcome","issue":[{"severity":"error"}]})");
              },
              Result::unknown},
             {"a body that drips",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure")) return {};
                  return StubAnswer{FhirStub::json(none + "}").bytes, 0ms, 100ms};
              },
              Result::failed},
             {"404 as HTML",
              [&](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure")) return {};
                  return StubAnswer{"HTTP/1.1 404 No\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"};
              },
              Result::unknown},
             {"busy once",
              [&,
               asked = std::make_shared<std::atomic<int>>(0)](const StubRequest& request) -> std::optional<StubAnswer> {
                  if (!isSearch(request, "Procedure") || (*asked)++ > 0) return {};
                  return FhirStub::json("{}", 429, "Retry-After: 0\r\n");
              },
              Result::same},
         }) {
        CAPTURE(row.what);
        FhirDouble server(row.vendor);
        base = server.base();
        server.load(bundle);
        ScreenOptions options = asking(server, {"patient-1"});
        options.timeout = 1500ms;
        const auto started = std::chrono::steady_clock::now();
        const Run run = screen(options);
        CHECK_LT(std::chrono::steady_clock::now() - started, 6s);
        if (row.result == Result::failed) {
            CHECK_EQ(run.status, 3);
            CHECK_EQ(run.out, "");
            CHECK(run.says("patient 1 of 1: Procedure could not be read: "));
            continue;
        }
        CHECK_EQ(run.status, 0);
        REQUIRE_EQ(results(run.out).size(), 1);
        if (row.result == Result::same) {
            if (results(run.out).front() != expected)
                FAIL_CHECK(support::difference(results(run.out).front(), expected));
        } else {
            CHECK_NE(run.out.find("not-covered"), std::string::npos);
            CHECK_NE(run.out.find(R"("id":"inc.08b","truth":"true")"), std::string::npos);
        }
    }

    // Ids of vendors are longer than FHIR's, and what is none is asked for nowhere.
    FhirDouble server;
    const std::string id(120, 'e');
    server.load(person(id));
    CHECK(patientsOf(screen(asking(server, {id})).out) == std::vector<std::string>{"Patient/" + id});
    const std::size_t before = server.requests().size();
    const Run wrong = screen(asking(server, {"../admin", "a?b=c", std::string(300, 'x')}));
    CHECK_EQ(wrong.status, 3);
    CHECK(wrong.says("patient 1 of 3: the id is none that a Patient can have"));
    CHECK_EQ(server.requests().size(), before + 1);  // metadata
}

TEST_CASE("a Medication that is only referred to is fetched, wherever the reference leads on that server") {
    for (const bool absolute : {false, true}) {
        CAPTURE(absolute);
        FhirDouble server;
        server.load(person("a"));
        server.load(support::bundleOf(
            {R"({"resourceType":"MedicationRequest","id":"r","status":"active","intent":"order","authoredOn":"2025-11-12",
                 "subject":{"reference":"Patient/a"},"medicationReference":{"reference":")" +
                 (absolute ? server.base() + "/" : std::string()) + R"(Medication/m"}})",
             R"({"resourceType":"Medication","id":"m","code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"8640"}]}})"}));
        const Run run = screen(asking(server, {"a"}));
        CHECK_EQ(run.status, 0);
        const std::vector<StubRequest> requests = server.requests();
        CHECK_EQ(std::count_if(requests.begin(), requests.end(),
                               [](const StubRequest& request) { return request.target == "/fhir/Medication?_id=m"; }),
                 1);
        CHECK_NE(run.out.find("MedicationRequest/r"), std::string::npos);
    }
}

TEST_CASE("a screening has the summary and the page of a replay, also when it goes on with an earlier one") {
    FhirDouble server;
    for (const char* id : {"a", "b", "c"}) server.load(person(id));
    const Folder folder;
    ScreenOptions options = asking(server, {"a", "b", "nobody", "c"});
    options.output = folder / "out.ndjson";
    options.report.cohort.summary = true;
    options.report.cohort.page = folder / "report.html";
    const Run first = screen(options);
    CHECK_EQ(first.status, 3);
    CHECK_NE(first.out.find("3 charts evaluated, 1 could not be read; as of 2025-11-13"), std::string::npos);
    const std::string page = support::readFile(options.report.cohort.page.string());
    CHECK_NE(page.find("<dt>Inputs</dt><dd>" + server.base() + "</dd>"), std::string::npos);
    CHECK_NE(page.find(server.base() + "/Patient/b; as of"), std::string::npos);
    const std::string lines = support::readFile(options.output.string());
    options.resume = true;
    std::ofstream(options.output) << lines.substr(0, lines.find('\n') + 10);
    CHECK_EQ(screen(options).out, first.out);
    // Nobody is named: patients are counted among those that are still to be asked for.
    std::string again = support::readFile(options.report.cohort.page.string());
    const std::string_view place = "patient 2 of 3";
    REQUIRE(again.find(place) != std::string::npos);
    CHECK(again.replace(again.find(place), place.size(), "patient 3 of 4") == page);
}

TEST_CASE("a run that was interrupted goes on with its output, and ends with the same bytes") {
    FhirDouble server;
    std::vector<std::string> ids;
    for (char id = 'a'; id <= 'h'; ++id) {
        ids.emplace_back(1, id);
        server.load(person(ids.back()));
    }
    const Folder folder;
    ScreenOptions options = asking(server, ids);
    options.output = folder / "out.ndjson";
    CHECK_EQ(screen(options).status, 0);
    const std::string whole = support::readFile(options.output.string());
    CHECK_EQ(patientsOf(whole).size(), 8);
    options.resume = true;
    for (const std::size_t size :
         {whole.size() / 3, whole.size() / 2, whole.size() - 1, std::size_t{0}, whole.size()}) {
        CAPTURE(size);
        std::ofstream(options.output) << whole.substr(0, size);
        CHECK_EQ(screen(options).status, 0);
        CHECK(support::readFile(options.output.string()) == whole);
    }
    const auto changed = [&](const std::string& from, const std::string& to) {
        std::string line = whole.substr(0, whole.find('\n') + 1);
        const auto at = line.find(from);
        REQUIRE(at != std::string::npos);
        std::ofstream(options.output) << line.replace(at, from.size(), to);
        const Run run = screen(options);
        CHECK_EQ(run.status, 2);
        return run.log;
    };
    CHECK_NE(changed("\"knowledge\":\"", "\"knowledge\":\"0").find("line 1: was made with other knowledge"),
             std::string::npos);
    CHECK_NE(changed("\"url\":\"http://127", "\"url\":\"http://128").find("is of another server"), std::string::npos);
    CHECK_NE(changed("2025-11-13", "2025-11-12").find("is of another day than 2025-11-13"), std::string::npos);
    CHECK_NE(changed("NCT07345780", "NCT07345781").find("is of other trials"), std::string::npos);
    std::ofstream(options.output) << "shopping list\n";
    CHECK(screen(options).says("line 1: is no result"));
    CHECK_EQ(support::readFile(options.output.string()), "shopping list\n");
}

TEST_CASE("what cannot work is said in one sentence before anybody is screened") {
    FhirDouble server;
    server.load(person("a"));
    ScreenOptions elsewhere = asking(server, {"a"});
    elsewhere.server += "/nowhere";
    CHECK(screen(elsewhere).says(elsewhere.server + ": there is no FHIR R4 server: its metadata is answered with 404"));
    elsewhere.server = "http://127.0.0.1:9/fhir";
    CHECK(screen(elsewhere).says("http://127.0.0.1:9/fhir: there is no FHIR R4 server: "));
    FhirDouble old([](const StubRequest& request) -> std::optional<StubAnswer> {
        if (request.target != "/fhir/metadata") return std::nullopt;
        return FhirStub::json(R"({"resourceType":"CapabilityStatement","fhirVersion":"3.0.2"})");
    });
    CHECK(screen(asking(old, {"a"})).says("it speaks FHIR 3.0.2, and 4.0 is needed"));

    const auto problems = [](const ScreenOptions& options) {
        std::string text;
        for (const mapping::Problem& problem : cds_hooks::problemsOf(options)) text += problem.text() + '\n';
        return text;
    };
    ScreenOptions sound = asking(server, {"a"});
    CHECK_EQ(problems(sound), "");
    ScreenOptions wrong = asking(server);
    wrong.server = "ehr.example.org/";
    wrong.cohort.group = "g";
    wrong.cohort.disease = true;
    wrong.client.clientId = "x";
    wrong.token = "t";
    wrong.resume = true;
    CHECK_EQ(problems(wrong),
             "--server: 'ehr.example.org/' is not an address without a slash at its end, as "
             "https://ehr.example.org/fhir\n"
             "--patient, --group, --list, --disease, --disease-scan: exactly one of them says who is screened\n"
             "--client-id: goes with --client-key\n"
             "--token: does not go with --client-id\n"
             "--resume: needs --output, the file to go on with\n");
    ScreenOptions clear = asking(server, {"a"});
    clear.server = "http://ehr.example.org/fhir";
    clear.token = "t";
    CHECK_NE(problems(clear).find("a token would be sent over http in the clear"), std::string::npos);
    clear.server = "http://127.0.0.1.evil.example.org/fhir";
    CHECK_NE(problems(clear).find("in the clear"), std::string::npos);
}

TEST_CASE("a token is sent with every request, and to nobody else") {
    FhirDouble elsewhere;
    std::string away;
    FhirDouble server([&](const StubRequest& request) -> std::optional<StubAnswer> {
        if (request.headers.count("authorization") == 0 || request.headers.at("authorization") != "Bearer s3cret")
            return FhirStub::json("{}", 401);
        if (!request.target.starts_with("/fhir/Observation")) return std::nullopt;
        return FhirStub::json(R"({"resourceType":"Bundle","link":[{"relation":"next","url":")" + away + R"("}]})");
    });
    away = elsewhere.base() + "/Observation?page=2";
    server.load(person("a"));
    ScreenOptions options = asking(server, {"a"});
    options.token = "s3cret";
    const Run run = screen(options);
    CHECK_EQ(run.status, 0);
    CHECK_EQ(elsewhere.connections(), 0);
    CHECK_EQ((run.out + run.log).find("s3cret"), std::string::npos);
    // A token that is refused in the middle ends the run: nothing would come of the others.
    FhirDouble expiring(
        [count = std::make_shared<std::atomic<int>>(0)](const StubRequest& request) -> std::optional<StubAnswer> {
            if (!request.target.starts_with("/fhir/Patient/") || ++*count <= 2) return std::nullopt;
            return FhirStub::json("{}", 401);
        });
    std::vector<std::string> many;
    for (int i = 0; i < 50; ++i) {
        many.push_back("p" + std::to_string(i));
        expiring.load(person(many.back()));
    }
    ScreenOptions long_ = asking(expiring, many);
    long_.token = "s3cret";
    long_.concurrency = 1;
    const Folder folder;
    long_.failed = folder / "failed.txt";
    const Run stopped = screen(long_);
    CHECK_EQ(stopped.status, 3);
    CHECK_EQ(patientsOf(stopped.out).size(), 2);
    CHECK(stopped.says("patient 5 of 50: the server does not accept our token (401)"));
    CHECK(stopped.says("stopped: 45 patients were not asked for"));
    const std::string failed = support::readFile(long_.failed.string());
    CHECK_EQ(std::count(failed.begin(), failed.end(), '\n'), 48);
    // One who is refused alone is one who is refused.
    FhirDouble strict([](const StubRequest& request) -> std::optional<StubAnswer> {
        if (request.target != "/fhir/Patient/p1") return std::nullopt;
        return FhirStub::json("<html>", 401);
    });
    for (const std::string& id : many) strict.load(person(id));
    const Run alone = screen(asking(strict, many));
    CHECK_EQ(alone.status, 3);
    CHECK_EQ(patientsOf(alone.out).size(), 49);
    options.token = "wrong";
    const Run refused = screen(options);
    CHECK_EQ(refused.status, 2);
    CHECK(refused.says("its metadata is answered with 401"));
}

TEST_CASE("what was found is written back only when that is asked for, and once") {
    FhirDouble server;
    for (const char* id : {"a", "b"}) server.load(person(id));
    server.load(person("healthy", "I10"));
    ScreenOptions options = asking(server, {"a", "b", "healthy"});
    CHECK_EQ(screen(options).status, 0);
    for (const StubRequest& request : server.requests()) CHECK_NE(request.method, "PUT");
    for (const char* type : {"List", "ResearchSubject", "ResearchStudy", "Task"}) CHECK(server.all(type).empty());

    options.write = cds_hooks::WriteBack::list;
    std::string first;
    for (int repeat = 0; repeat < 2; ++repeat) {
        CAPTURE(repeat);
        const Run run = screen(options);
        CHECK_EQ(run.status, 0);
        // A patient whom we found is found again: nobody is on a study because we wrote him down.
        if (repeat == 0) first = run.out;
        CHECK(results(run.out) == results(first));
        CHECK_EQ(server.all("ResearchStudy").size(), 4);
        CHECK_EQ(server.all("ResearchSubject").size(), 8);
        REQUIRE_EQ(server.all("List").size(), 4);
        CHECK(server.all("Task").empty());
    }
    for (const std::string& text : server.all("ResearchSubject")) {
        const Document subject(text);
        CHECK_EQ(subject.root()["status"].text(), "potential-candidate");
        CHECK(subject.root()["study"]["reference"].text().starts_with("ResearchStudy/created-"));
        const std::string_view individual = subject.root()["individual"]["reference"].text();
        CHECK((individual == "Patient/a" || individual == "Patient/b"));
    }
    for (const std::string& text : server.all("List")) {
        const Document list(text);
        CHECK_EQ(list.root()["status"].text(), "current");
        CHECK_EQ(list.root()["mode"].text(), "snapshot");
        std::size_t entries = 0;
        for (const Value entry : list.root()["entry"].items()) {
            ++entries;
            CHECK(entry["item"]["reference"].text().starts_with("ResearchSubject/created-"));
        }
        CHECK_EQ(entries, 2);
    }
    options.run = "another";
    CHECK_EQ(screen(options).status, 0);
    CHECK_EQ(server.all("List").size(), 8);
    // A List of the same name that holds others is not taken for this run's.
    ScreenOptions fewer = options;
    fewer.cohort.patients = {"a"};
    const Run other = screen(fewer);
    CHECK_EQ(other.status, 3);
    CHECK(other.says("the List of NCT07109518 of run another is there, and holds others"));
    fewer.run.clear();
    CHECK_EQ(screen(fewer).status, 0);
    CHECK_EQ(server.all("List").size(), 12);
    // Where somebody could not be read nothing is written: a List would not be whole.
    fewer.cohort.patients = {"b", "nobody"};
    const Run partly = screen(fewer);
    CHECK_EQ(partly.status, 3);
    CHECK(partly.says("nothing is written back: not everybody could be read"));
    CHECK_EQ(server.all("List").size(), 12);
    CHECK_EQ(server.all("ResearchSubject").size(), 8);

    options.write = cds_hooks::WriteBack::task;
    for (int repeat = 0; repeat < 2; ++repeat) {
        CHECK_EQ(screen(options).status, 0);
        REQUIRE_EQ(server.all("Task").size(), 8);
    }
    const Document task(server.all("Task").front());
    CHECK_EQ(task.root()["status"].text(), "requested");
    CHECK_EQ(task.root()["intent"].text(), "proposal");
    CHECK_EQ(task.root()["for"]["reference"].text(), "Patient/a");
    CHECK_NE(task.root()["description"].text().find("potential-candidate as of 2025-11-13; missing: "),
             std::string_view::npos);
}

TEST_CASE("a subject whom a coordinator has moved on is on the study, and what cannot be written is counted") {
    FhirDouble server;
    server.load(person("a"));
    server.load(support::bundleOf(
        {R"({"resourceType":"ResearchSubject","id":"s","status":"screening","individual":{"reference":"Patient/a"},
             "identifier":[{"system":"urn:cd7match:research-subject","value":"NCT07109518/a"}],
             "study":{"display":"NCT07109518"}})"}));
    ScreenOptions options = asking(server, {"a"});
    options.write = cds_hooks::WriteBack::list;
    CHECK_EQ(screen(options).status, 0);
    CHECK_EQ(server.all("List").size(), 3);

    FhirDouble readOnly([](const StubRequest& request) -> std::optional<StubAnswer> {
        if (request.method != "POST" || request.target.ends_with("_search")) return std::nullopt;
        return FhirStub::json("{}", 403);
    });
    readOnly.load(person("a"));
    options = asking(readOnly, {"a"});
    options.write = cds_hooks::WriteBack::list;
    const Run run = screen(options);
    CHECK_EQ(run.status, 3);
    CHECK(run.says("a ResearchStudy of NCT07109518 could not be written: the answer is 403"));
    CHECK_EQ(patientsOf(run.out).size(), 1);
    options.resume = true;
    options.run = "x";
    options.write = cds_hooks::WriteBack::nothing;
    std::string text;
    for (const mapping::Problem& problem : cds_hooks::problemsOf(options)) text += problem.text() + '\n';
    CHECK_NE(text.find("--run: goes with --write"), std::string::npos);
}

TEST_CASE("a server gets no more requests a second than it should, and nobody fails because others have their turn") {
    FhirDouble server;
    std::vector<std::string> ids;
    for (int i = 0; i < 8; ++i) {
        ids.push_back("p" + std::to_string(i));
        server.load(person(ids.back()));
    }
    ScreenOptions options = asking(server, ids);
    options.rate = 100;
    options.timeout = 500ms;  // less than all of them take together
    const auto started = std::chrono::steady_clock::now();
    const Run run = screen(options);
    CHECK_EQ(run.log, "");
    CHECK_EQ(run.status, 0);
    const auto took = std::chrono::steady_clock::now() - started;
    const std::size_t requests = server.requests().size();
    CHECK_GE(requests, 8 * 16);
    CHECK_GE(took, (requests - 1) * 10ms - 10ms);
}

TEST_CASE("no proxy of the environment sees a token") {
    const FhirStub proxy([](const StubRequest&) { return FhirStub::json("{}"); });
    FhirDouble server;
    server.load(person("a"));
    REQUIRE_EQ(setenv("http_proxy", ("http://127.0.0.1:" + std::to_string(proxy.port())).c_str(), 1), 0);
    ScreenOptions options = asking(server, {"a"});
    options.token = "s3cret";
    options.write = cds_hooks::WriteBack::task;
    CHECK_EQ(screen(options).status, 0);
    unsetenv("http_proxy");
    CHECK_EQ(proxy.connections(), 0);
}
