#include "cds-hooks/replay.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "fhir/json.h"
#include "tests/screened.h"
#include "tests/support.h"

namespace {

namespace fs = std::filesystem;

using support::Folder;
using support::Run;

Run replay(const std::vector<std::string>& paths, std::size_t threads = 1, std::size_t mostBytes = 1 << 20) {
    cds_hooks::ReplayOptions options;
    options.charts.paths = paths;
    options.report.format = cds_hooks::Format::ndjson;
    options.charts.day.asOf = support::day("2025-11-13");
    options.charts.day.today = support::day("2025-11-13");
    options.charts.threads = threads;
    options.charts.mostBytes = mostBytes;
    return support::logged([&](std::ostream& out) { return cds_hooks::replay(support::knowledge(), options, out); });
}

std::string chart(const std::string& id) {
    return R"({"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":")" +
           id + R"(","birthDate":"1980-05-01"}}]})";
}

std::string repeated(const std::string& text, std::size_t count) {
    std::string result;
    for (std::size_t i = 0; i < count; ++i) result += text;
    return result;
}

}  // namespace

TEST_CASE("each bad file is named with its place and counted, and the others are evaluated") {
    const Folder folder;
    folder.write("01-good.json", chart("a"));
    folder.write("02-no-patient.json", R"({"resourceType":"Bundle","entry":[]})");
    folder.write("03-two-patients.json", support::bundleOf({R"({"resourceType":"Patient","id":"a"})",
                                                            R"({"resourceType":"Patient","id":"b"})"}));
    folder.write("04-no-bundle.json", R"({"resourceType":"Patient","id":"a"})");
    folder.write("05-broken.json", "{\n  \"resourceType\": \"Bundle\",\n  \"entry\": [,]\n}");
    folder.write("06-deep.json", repeated("[", 200000));
    folder.write("07-deep-object.json", repeated("{\"a\":", 200000));
    folder.write("08-too-large.json", std::string(2 << 20, ' '));
    folder.write("09-not-utf8.json", "{\"resourceType\":\"Bundle\xC3\"}");
    folder.write("10-nul.json", std::string("{}\0junk", 7));
    folder.write("11-empty.json", "");
    folder.write("12-number.json", R"({"resourceType":)" + repeated("1", 1 << 20) + "}");
    folder.write("13-text.json", "hello");
    folder.write("14-good.json", chart("b"));
    for (const std::size_t threads : {1U, 2U, 4U}) {
        const Run run = replay({folder.path().string()}, threads, 1 << 20);
        CHECK_EQ(run.status, 3);
        CHECK_EQ(run.lines(), 2);
        for (const char* expected :
             {"02-no-patient.json: no Patient resource", "03-two-patients.json: entry[1].resource: a second Patient",
              "04-no-bundle.json: resourceType: is Patient; a Bundle is needed", "05-broken.json: line 3, column 13",
              "06-deep.json: line 1, column 66", "nested deeper than the limit of 64 levels",
              "07-deep-object.json: line 1, column", "08-too-large.json: larger than the limit of 1048576 bytes",
              "09-not-utf8.json: line 1, column 24: not valid UTF-8", "10-nul.json: line 1, column 3: a NUL byte",
              "11-empty.json: the file is empty", "12-number.json: larger than", "13-text.json: line 1, column 1",
              "12 of 14 inputs could not be evaluated"}) {
            CAPTURE(expected);
            CAPTURE(run.log);
            CHECK(run.says(expected));
        }
    }
}

TEST_CASE("a file that is not there, or a folder without charts, is a failure that is named") {
    const Folder folder;
    const Run missing = replay({folder.path().string() + "/none.json"});
    CHECK_EQ(missing.status, 3);
    CHECK(missing.says("none.json: No such file"));
    const Run empty = replay({folder.path().string()});
    CHECK_EQ(empty.status, 3);
    CHECK(empty.says("holds no .json or .ndjson file"));
}

TEST_CASE("NDJSON is one chart a line, by its name or by its look, with blank lines and a broken one") {
    const Folder folder;
    const std::string lines = chart("a") + "\r\n\n" + chart("b") + "\n{\"broken\n" + chart("c");
    for (const std::string& path : {folder.write("charts.ndjson", lines), folder.write("charts.json", lines),
                                    folder.gzip("charts.ndjson.gz", lines), folder.gzip("packed.json.gz", lines)}) {
        CAPTURE(path);
        const Run run = replay({path});
        CHECK_EQ(run.status, 3);
        CHECK_EQ(run.lines(), 3);
        CHECK(run.says(":4: line 1, column"));
        CHECK(run.says("(the line begins at byte " + std::to_string(lines.find("{\"broken")) + ")"));
        CHECK_NE(run.out.find("\"line\":3"), std::string::npos);
    }
}

TEST_CASE("a line above the limit is dropped with its number, and the next one is evaluated") {
    const Folder folder;
    const std::string path =
        folder.write("charts.ndjson", chart("a") + "\n" + std::string(300000, 'x') + "\n" + chart("b") + "\n{\n");
    const Run run = replay({path}, 1, 100000);
    CHECK_EQ(run.status, 3);
    CHECK_EQ(run.lines(), 2);
    const std::size_t first = chart("a").size() + 1;
    CHECK(run.says("bytes (the line begins at byte " + std::to_string(first) + ")"));
    CHECK(run.says("byte " + std::to_string(first + 300001 + chart("b").size() + 1) + ")"));
    CHECK(run.says("charts.ndjson:2: larger than the limit of 100000 bytes"));
}

TEST_CASE("a truncated gzip is reported and does not stop the rest") {
    const Folder folder;
    const std::string path = folder.gzip("a.json.gz", chart("a") + std::string(100000, ' '));
    fs::resize_file(path, fs::file_size(path) - 12);
    folder.write("b.json", chart("b"));
    const Run run = replay({folder.path().string()});
    CHECK_EQ(run.status, 3);
    CHECK_EQ(run.lines(), 1);
    CHECK(run.says("a.json.gz: "));
}

TEST_CASE("the output is the same for any number of threads, in the order of the input") {
    const Folder folder;
    std::string lines;
    for (int i = 0; i < 300; ++i) lines += chart("p" + std::to_string(i)) + "\n";
    const std::string path = folder.write("charts.ndjson", lines);
    const Run one = replay({path}, 1);
    CHECK_EQ(one.status, 0);
    CHECK_EQ(one.lines(), 300);
    for (const std::size_t threads : {2U, 3U, 8U}) CHECK_EQ(replay({path}, threads).out, one.out);
}

TEST_CASE("a line follows the output contract") {
    const Folder folder;
    const std::string path = folder.write("a.json", chart("a"));
    const Run run = replay({path});
    REQUIRE_EQ(run.lines(), 1);
    const fhir::json::Document document(run.out);
    const fhir::json::Value line = document.root();
    CHECK_EQ(line["patient"].text(), "Patient/a");
    CHECK_EQ(line["asOf"].text(), "2025-11-13");
    CHECK_EQ(line["source"]["file"].text(), path);
    CHECK_FALSE(line["program"].text().empty());
    CHECK_EQ(line["knowledge"].text(), support::knowledge().digest);
    CHECK_FALSE(static_cast<bool>(line["deceased"]));
    CHECK(line["issues"].isArray());
    std::size_t trial = 0;
    for (const fhir::json::Value entry : line["trials"].items()) {
        const rules::Trial& expected = support::knowledge().trials.at(trial++);
        CHECK_EQ(entry["trial"].text(), expected.id);
        for (const char* name : {"failed", "missing", "asks"}) CHECK(entry[name].isArray());
        std::size_t criterion = 0;
        for (const fhir::json::Value node : entry["criteria"].items()) {
            CHECK_EQ(node["id"].text(), expected.criteria.at(criterion++).id);
            const std::string_view truth = node["truth"].text();
            CHECK((truth == "true" || truth == "false" || truth == "unknown"));
            CHECK_FALSE(node["basis"].text().empty());
            CHECK(node["evidence"].isArray());
        }
        CHECK_EQ(criterion, expected.criteria.size());
    }
    CHECK_EQ(trial, support::knowledge().trials.size());
}

TEST_CASE("every line is JSON, whatever the chart holds") {
    for (const char* value : {R"("abc")", R"("-")", R"("1,\"truth\":\"INJECTED")", R"("012")", R"(1E5)", R"("<b>")"}) {
        const Folder folder;
        const std::string path = folder.write(
            "a.json",
            support::bundleOf(
                {R"({"resourceType":"Patient","id":"a"})",
                 R"({"resourceType":"Observation","id":"o","status":"final","effectiveDateTime":"2025-11-01",)"
                 R"("code":{"coding":[{"system":"http://loinc.org","code":"2160-0"}]},"valueQuantity":{"value":)" +
                     std::string(value) + R"(,"unit":"mg/dL"}})"}));
        const Run run = replay({path});
        CAPTURE(value);
        CHECK_EQ(run.status, 0);
        CHECK_NOTHROW(fhir::json::Document{run.out});
        CHECK_EQ(run.out.find("\"truth\":\"INJECTED\""), std::string::npos);
    }
}

TEST_CASE("many results of one moment cost little and say so") {
    std::vector<std::string> resources{
        R"({"resourceType":"Patient","id":"a","gender":"male","birthDate":"1980-01-01"})"};
    for (int i = 0; i < 500; ++i) {
        for (const auto& [code, unit, base] :
             {std::tuple{"2160-0", "mg/dL", 1000}, std::tuple{"29463-7", "kg", 60000}}) {
            resources.push_back(R"({"resourceType":"Observation","status":"final","effectiveDateTime":"2025-11-01",)"
                                R"("code":{"coding":[{"system":"http://loinc.org","code":")" +
                                std::string(code) + R"("}]},"valueQuantity":{"value":)" + std::to_string(base + i) +
                                "e-3" + R"(,"unit":")" + unit + R"("}})");
        }
    }
    const auto screening = support::screen(support::bundleOf(resources), "2025-11-13");
    // 1.000 to 1.499 mg/dL and 60.000 to 60.499 kg: from 51.4 to 77.9 mL/min, so a limit of 60 is open.
    CHECK_EQ(support::truth(screening, "NCT07117175", "inc.06.1"), "unknown");
    CHECK_LE(support::finding(screening, "NCT07109518", "inc.09a").outcome.evidence.size(), 16);
}

TEST_CASE("lines are recognised wherever the reading buffer ends") {
    const Folder folder;
    for (const std::size_t length : {65534U, 65535U, 65536U, 65537U, 131072U}) {
        std::string first = chart("a");
        first.insert(first.size() - 1, std::string(length - first.size() - 1, ' '));
        const std::string path = folder.write("charts.json", first + "\n" + chart("b") + "\n" + chart("c") + "\n");
        CAPTURE(length);
        CHECK_EQ(replay({path}).lines(), 3);
    }
}

TEST_CASE("latest takes the newest date in the chart") {
    const Folder folder;
    const std::string path = folder.write(
        "a.json",
        support::bundleOf(
            {R"({"resourceType":"Patient","id":"a"})",
             R"({"resourceType":"Observation","id":"o","status":"final","effectiveDateTime":"2019-03-04T23:30:00-05:00"})",
             R"({"resourceType":"Condition","id":"c","recordedDate":"2018-01-01"})"}));
    cds_hooks::ReplayOptions options;
    options.charts.paths = {path};
    options.report.format = cds_hooks::Format::ndjson;
    options.charts.day.today = support::day("2026-01-01");
    std::ostringstream out;
    CHECK_EQ(cds_hooks::replay(support::knowledge(), options, out), 0);
    CHECK_NE(out.str().find("\"asOf\":\"2019-03-05\""), std::string::npos);
}

TEST_CASE("a table of several charts ends with what one test would unlock, NDJSON and a single chart do not") {
    const Folder folder;
    const std::string chart = support::bundleOf(
        {R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-01-01"})",
         R"({"resourceType":"Condition","id":"aml","subject":{"reference":"Patient/p"},"clinicalStatus":{"coding":[{"code":"active"}]},
             "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]}})"});
    const std::string one = folder.write("a.json", chart);
    const std::string two = folder.write("b.json", chart);
    const std::string heading = "What one test would unlock\n";
    const auto table = [&](const std::vector<std::string>& paths, cds_hooks::Format format, std::size_t threads) {
        cds_hooks::ReplayOptions options;
        options.charts.paths = paths;
        options.report.format = format;
        options.charts.threads = threads;
        options.charts.day.asOf = options.charts.day.today = support::day("2025-11-13");
        std::ostringstream out;
        CHECK(cds_hooks::replay(support::knowledge(), options, out) == 0);
        return out.str();
    };
    const std::string both = table({one, two}, cds_hooks::Format::table, 1);
    REQUIRE(both.find(heading) != std::string::npos);
    CHECK(both.find("  LVEF: 2 charts, 8 trials, ", both.find(heading)) != std::string::npos);
    CHECK(both == table({one, two}, cds_hooks::Format::table, 3));
    CHECK(table({one, two}, cds_hooks::Format::markdown, 1).find("## " + heading) != std::string::npos);
    CHECK(table({one}, cds_hooks::Format::table, 1).find(heading) == std::string::npos);
    CHECK(table({one, two}, cds_hooks::Format::ndjson, 1).find(heading) == std::string::npos);
}

TEST_CASE("a replay that was interrupted goes on with its output, with the same bytes, counts and manifest") {
    Folder folder;
    std::string lines;
    for (const char* id : {"a", "b", "c", "d", "e", "f"}) {
        lines += chart(id) + "\n";
        if (std::string_view(id) == "b") lines += "{\n";
    }
    const std::string input = folder.write("charts.ndjson", lines);
    const std::string other = folder.write("other.ndjson", chart("z") + "\n");
    const std::filesystem::path output = input + ".out";
    const auto run = [&](bool resume, const std::string& path) {
        cds_hooks::ReplayOptions options;
        options.charts.paths = {path};
        options.report.format = cds_hooks::Format::ndjson;
        options.charts.day.asOf = options.charts.day.today = support::day("2025-11-13");
        options.charts.threads = 2;
        options.output = output;
        options.resume = resume;
        const Run result =
            support::logged([&](std::ostream& out) { return cds_hooks::replay(support::knowledge(), options, out); });
        CHECK_EQ(result.out, "");
        return result;
    };
    CHECK_EQ(run(false, input).status, 3);  // one line is broken
    const std::string whole = support::readFile(output.string());
    const std::string manifest = support::readFile(output.string() + ".manifest.json");
    CHECK_EQ(std::count(whole.begin(), whole.end(), '\n'), 6);
    CHECK_NE(manifest.find(R"("asOf":"2025-11-13","trials":["NCT05995028",)"), std::string::npos);
    CHECK_NE(manifest.find(R"("charts":{"evaluated":6,"failed":1})"), std::string::npos);
    CHECK_NE(manifest.find(R"("inputs":[{"file":")" + input + R"(","bytes":)" + std::to_string(lines.size())),
             std::string::npos);
    CHECK_NE(manifest.find(R"({"name":"facts.json","sha256":")"), std::string::npos);
    for (const std::size_t size :
         {whole.size() / 6, whole.size() / 2, whole.size() - 1, std::size_t{0}, whole.size()}) {
        CAPTURE(size);
        std::ofstream(output) << whole.substr(0, size);
        std::filesystem::remove(output.string() + ".manifest.json");
        CHECK_EQ(run(true, input).status, 3);
        CHECK(support::readFile(output.string()) == whole);
        CHECK_EQ(support::readFile(output.string() + ".manifest.json"), manifest);
    }
    // What cannot be read is counted, and stands in the manifest as such.
    const std::string missing = (std::filesystem::path(input).parent_path() / "missing.json").string();
    std::filesystem::remove(output);
    CHECK_EQ(run(false, missing).status, 3);
    CHECK_NE(support::readFile(output.string() + ".manifest.json")
                 .find(R"("inputs":[{"file":")" + missing + R"(","problem":"cannot be read"}])"),
             std::string::npos);
    std::ofstream(output) << whole;
    const Run strange = run(true, other);
    CHECK_EQ(strange.status, 2);
    CHECK(strange.says("charts.ndjson:7, which is not among these inputs; nothing was evaluated"));
    CHECK(support::readFile(output.string()) == whole);
}

TEST_CASE("what cannot be done with a chart that was read ends the run, in any number of threads") {
    for (const std::size_t threads : {1U, 3U}) {
        CAPTURE(threads);
        cds_hooks::ChartOptions options;
        options.paths = {"fixtures/patients"};
        options.day.asOf = options.day.today = support::day("2025-11-13");
        options.threads = threads;
        std::size_t finished = 0;
        std::string reason;
        const Run run = support::logged([&](std::ostream&) {
            try {
                cds_hooks::forEachChart(
                    cds_hooks::storedCharts(options),
                    [&](const cds_hooks::StoredChart&) -> cds_hooks::Finish {
                        return [&] {
                            if (++finished == 5) throw std::runtime_error("no space left");
                        };
                    },
                    [] { return true; });
            } catch (const std::runtime_error& error) {
                reason = error.what();
            }
            return 0;
        });
        CHECK(run.status == 0);
        CHECK(reason == "no space left");
        CHECK(finished == 5);
    }
}

TEST_CASE("a run goes on behind its last line also when an input is given twice, under a name that is no UTF-8") {
    const Folder folder;
    const std::string path =
        folder.write("caf\xE9 5%.ndjson", chart("a") + "\n{\n" + chart("b") + "\n" + chart("c") + "\n");
    cds_hooks::ReplayOptions options;
    options.charts.paths = {path, path};
    options.charts.day.asOf = options.charts.day.today = support::day("2025-11-13");
    options.report.format = cds_hooks::Format::ndjson;
    options.output = folder / "out.ndjson";
    const auto run = [&] {
        return support::logged(
            [&](std::ostream& out) { return cds_hooks::replay(support::knowledge(), options, out); });
    };
    CHECK_EQ(run().status, 3);
    const std::string whole = support::readFile(options.output.string());
    CHECK_EQ(std::count(whole.begin(), whole.end(), '\n'), 6);
    CHECK(whole.find("caf%E9 5%25.ndjson") != std::string::npos);
    options.resume = true;
    for (std::size_t cut = whole.find('\n'); cut != std::string::npos; cut = whole.find('\n', cut + 1)) {
        CAPTURE(cut);
        std::ofstream(options.output) << whole.substr(0, cut + 1);
        CHECK_EQ(run().status, 3);
        CHECK(support::readFile(options.output.string()) == whole);
        const std::string manifest = support::readFile(options.output.string() + ".manifest.json");
        CHECK(manifest.find(R"("charts":{"evaluated":6,"failed":2})") != std::string::npos);
    }
}
