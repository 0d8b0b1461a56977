#include "cds-hooks/bulk_folder.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/resource_type.h"
#include "tests/example.h"
#include "tests/screened.h"
#include "tests/support.h"

// The files of a bulk export give the same answers as the Bundles of the same patients.

namespace {

using support::Run;
namespace fs = std::filesystem;

/// A folder of an export.
class Export {
public:
    Export& write(const std::string& name, const std::string& text) {
        fs::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name, std::ios::binary | std::ios::app) << text;
        return *this;
    }
    Export& gzip(const std::string& name, const std::string& text) {
        folder_.gzip(name, text);
        return *this;
    }
    const fs::path& path() const { return folder_.path(); }

    /// As NDJSON, as of 2025-11-13, and nobody says what it holds completely.
    Run replay(std::size_t threads = 1) const {
        cds_hooks::ReplayOptions options;
        options.charts.paths = {path().string()};
        options.charts.threads = threads;
        options.charts.day.asOf = options.charts.day.today = support::day("2025-11-13");
        options.report.format = cds_hooks::Format::ndjson;
        return support::logged(
            [&](std::ostream& out) { return cds_hooks::replay(support::knowledge(), options, out); });
    }

private:
    support::Folder folder_;
};

std::string patient(const std::string& id) {
    return R"({"resourceType":"Patient","id":")" + id +
           R"(","gender":"male","birthDate":"1979-03-14"})"
           "\n";
}

std::string leukemia(const std::string& id, const std::string& subject) {
    return R"({"resourceType":"Condition","id":")" + id + R"(","clinicalStatus":{"coding":[{"code":"active"}]},)" +
           R"("code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]},"subject":{"reference":")" +
           subject +
           R"("},"onsetDateTime":"2025-08-20"})"
           "\n";
}

/// Whether the only line, or the line of that patient, says so of a criterion.
bool says(const Run& run, const std::string& id, const std::string& words) {
    std::istringstream lines(run.out);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(R"({"patient":"Patient/)" + id + '"')) return line.find(words) != std::string::npos;
    }
    FAIL("no line of " << id);
    return false;
}

const std::string diseased = R"("id":"reg.cond","truth":"true")";
const std::string manifest =
    R"({"transactionTime":"2025-11-13T10:00:00Z","output":[{"type":"Patient","url":"Patient.000.ndjson","count":2},)"
    R"({"type":"Condition","url":"Condition.000.ndjson"}],"error":[]})";

}  // namespace

TEST_CASE("the examples in one bulk export give the lines of their Bundles, whatever the number of threads") {
    std::vector<fs::path> stories;
    for (const auto& entry : fs::directory_iterator("fixtures/patients")) stories.push_back(entry.path());
    std::sort(stories.begin(), stories.end());
    Export folder;
    std::string bundles;
    std::size_t count = 0;
    std::vector<std::string_view> types{"Patient"};
    types.insert(types.end(), fhir::recordTypes.begin(), fhir::recordTypes.end());
    types.insert(types.end(), fhir::activityTypes.begin(), fhir::activityTypes.end());
    types.insert(types.end(), fhir::referencedTypes.begin(), fhir::referencedTypes.end());
    for (const std::string_view type : types) folder.write(std::string(type) + ".000.ndjson", "");
    for (const fs::path& story : stories) {
        const std::string text = support::readFile((story / "bundle.json").string());
        const support::Example example(text, "s" + std::to_string(count) + "-");
        // What a Bundle says of itself, its resources do not.
        const bool isWhole =
            text.find("\"next\"") == std::string::npos && text.find("OperationOutcome") == std::string::npos;
        if (!isWhole || example.patient().empty()) continue;
        ++count;
        bundles += example.bundle("collection") + '\n';
        for (const std::string_view type : types) {
            for (const std::string& resource : example.all(type))
                folder.write(std::string(type) + (count % 2 == 0 ? ".000.ndjson" : ".001.ndjson"), resource + '\n');
        }
    }
    CHECK_GT(count, 120);
    folder.write("manifest.json", R"({"output":[]})");
    Export stored;
    stored.write("bundles.ndjson", bundles);
    std::vector<std::string> expected =
        support::results(support::replayWhole((stored.path() / "bundles.ndjson").string()).out);
    const Run run = folder.replay();
    CHECK_EQ(run.status, 0);
    std::vector<std::string> found = support::results(run.out);
    // The order is that of the Patient files.
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    REQUIRE_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i] != expected[i]) FAIL_CHECK(support::difference(found[i], expected[i]));
    }
    CHECK(folder.replay(4).out == run.out);
}

TEST_CASE("files are known by their type wherever it stands in their name, packed or not, and others are left alone") {
    Export folder;
    folder.write("1.Patient.ndjson", patient("a")).gzip("Patient.ICU.ndjson.gz", patient("b"));
    folder.write("Condition.000.ndjson", leukemia("c1", "Patient/a"));
    folder.write("2.Condition.ndjson", leukemia("c2", "https://ehr.example.org/fhir/Patient/b/_history/2"));
    folder.write("log.ndjson", "{\"eventId\":\"kickoff\"}\n").write("Encounter.000.ndjson", "no JSON\n");
    CHECK(cds_hooks::isBulkFolder(folder.path()));
    const Run run = folder.replay();
    CHECK_EQ(run.status, 0);
    CHECK(support::patientsOf(run.out) == std::vector<std::string>{"Patient/a", "Patient/b"});
    CHECK(says(run, "a", diseased));
    CHECK(says(run, "b", diseased));
    CHECK_NE(run.out.find("1.Patient.ndjson\",\"line\":1}"), std::string::npos);
    Export bundles;
    bundles.write("patients.ndjson", patient("a"));
    CHECK_FALSE(cds_hooks::isBulkFolder(bundles.path()));
    CHECK_FALSE(cds_hooks::isBulkFolder(bundles.path() / "patients.ndjson"));
}

TEST_CASE("a type without a file is not covered, and one with files is when the manifest says that they are all") {
    const std::string none = R"("id":"exc.01","truth":"false","basis":"none-on-file")";
    const auto folder = [&](const std::string& text) {
        auto made = std::make_unique<Export>();
        made->write("Patient.000.ndjson", patient("a") + patient("b"));
        made->write("Condition.000.ndjson", leukemia("c1", "Patient/a"));
        if (!text.empty()) made->write("manifest.json", text);
        return made;
    };
    const Run whole = folder(manifest)->replay();
    CHECK_EQ(whole.log, "");
    CHECK(says(whole, "b", R"("id":"reg.cond","truth":"false","basis":"none-on-file")"));
    CHECK(says(whole, "b", "not-covered"));  // Procedures and drugs
    CHECK(says(folder("")->replay(), "b", R"("id":"reg.cond","truth":"unknown","basis":"not-covered")"));

    const Run less = folder(R"({"output":[{"type":"Condition","url":"x","count":2}]})")->replay();
    CHECK(less.says("the files of Condition hold 1 lines, and the manifest says 2"));
    CHECK(says(less, "b", R"("id":"reg.cond","truth":"unknown","basis":"not-covered")"));
    CHECK(says(less, "a", diseased));

    auto failed = folder(manifest);
    failed->write("error/OperationOutcome.000.ndjson", "{\"resourceType\":\"OperationOutcome\"}\n");
    const Run run = failed->replay();
    CHECK(run.says("the server could not export everything"));
    CHECK(says(run, "b", R"("id":"reg.cond","truth":"unknown","basis":"not-covered")"));
    auto broken = folder("{");
    CHECK(broken->replay().says("manifest.json: "));
}

TEST_CASE("a line that cannot be read costs its type of its patient, or of everybody when it names nobody") {
    const auto folder = [](const std::string& line) {
        auto made = std::make_unique<Export>();
        made->write("Patient.000.ndjson", patient("a") + patient("b"));
        made->write("Condition.000.ndjson", leukemia("c1", "Patient/a") + line + "\n");
        made->write("manifest.json", R"({"output":[]})");
        return made;
    };
    const std::string known = R"("id":"reg.cond","truth":"false","basis":"none-on-file")";
    const std::string open = R"("id":"reg.cond","truth":"unknown","basis":"not-covered")";
    const Run named = folder(R"({"resourceType":"Condition","subject":{"reference":"Patient/a"},)")->replay();
    CHECK_EQ(named.status, 3);
    CHECK(named.says("Condition.000.ndjson:2: "));
    CHECK(named.says("1 of 3 inputs could not be evaluated"));
    CHECK(says(named, "a", diseased));
    CHECK(says(named, "b", known));
    const Run another = folder(R"({"resourceType":"Condition","subject":{"reference":"Patient/b"},)")->replay();
    CHECK(says(another, "b", open));
    CHECK(says(folder("{")->replay(), "b", open));
    CHECK(says(folder(R"({"resourceType":"Procedure","subject":{"reference":"Patient/a"}})")->replay(), "b", known));
}

TEST_CASE("what was deleted is gone, and what belongs to nobody is said") {
    Export folder;
    folder.write("Patient.000.ndjson", patient("a") + patient("b") + patient("gone"));
    folder.write("Condition.000.ndjson", leukemia("c1", "Patient/a") + leukemia("c2", "Patient/b") +
                                             leukemia("c3", "Patient/gone") + leukemia("c4", "Patient/unknown"));
    folder.write("manifest.json", R"({"output":[]})");
    folder.write(
        "deleted/Bundle.000.ndjson",
        R"({"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Condition/c2"}},)"
        R"({"request":{"method":"DELETE","url":"Patient/gone"}},{"request":{"method":"PUT","url":"Condition/c1"}}]})"
        "\n");
    const Run run = folder.replay();
    CHECK_EQ(run.status, 0);
    CHECK(support::patientsOf(run.out) == std::vector<std::string>{"Patient/a", "Patient/b"});
    CHECK(says(run, "a", diseased));
    CHECK_FALSE(says(run, "b", diseased));
    CHECK(run.says("2 resources belong to no Patient of this folder"));
    folder.write("deleted/Bundle.001.ndjson", "{\n");
    CHECK(folder.replay().says("deleted/Bundle.001.ndjson:1: "));
}
