#include "cds-hooks/bulk_row.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cds-hooks/bulk_folder.h"
#include "tests/screened.h"
#include "tests/support.h"

// What a cluster does with a bulk export, in one place: lines become rows, rows are dealt out by their keys, and every
// partition is replayed.

namespace {

using cds_hooks::BulkRow;
using support::Run;
namespace fs = std::filesystem;

std::string lineRow(const std::string& type, const std::string& text, std::size_t rank = 0, std::size_t line = 1,
                    const std::string& file = "f.ndjson") {
    BulkRow row{BulkRow::Kind::line, {}, type, {}, rank, {file, line}};
    row.text = text;
    return cds_hooks::rowText(row) + '\n';
}

std::vector<BulkRow> read(const std::string& lines, std::size_t mostBytes = 1 << 20) {
    std::istringstream in(lines);
    std::ostringstream out;
    cds_hooks::readBulkLines(in, mostBytes, out);
    std::vector<BulkRow> rows;
    std::istringstream texts(out.str());
    for (std::string text; std::getline(texts, text);) rows.push_back(cds_hooks::readRow(text));
    return rows;
}

Run replay(const cds_hooks::ChartOptions& charts) {
    cds_hooks::ReplayOptions options;
    options.charts = charts;
    options.charts.day.asOf = options.charts.day.today = support::day("2025-11-13");
    options.report.format = cds_hooks::Format::ndjson;
    return support::logged([&](std::ostream& out) { return cds_hooks::replay(support::knowledge(), options, out); });
}

Run replayRows(const std::string& text) {
    std::istringstream rows(text);
    cds_hooks::ChartOptions charts;
    charts.rows = &rows;
    return replay(charts);
}

std::string condition(const std::string& id, const std::string& patient) {
    return R"({"resourceType":"Condition","id":")" + id +
           R"(","code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]},"subject":{"reference":"Patient/)" +
           patient + R"("}})";
}

std::string patient(const std::string& id) {
    return R"({"resourceType":"Patient","id":")" + id + R"(","birthDate":"1979-03-14"})";
}

std::vector<std::string> sortedLines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
}

}  // namespace

TEST_CASE("a row is read as it was written, whatever stands in it") {
    for (const std::string field : {"", "a", "tab\there", "line\nbreak", "back\\slash", "\\t", "ends\\"}) {
        BulkRow row{BulkRow::Kind::resource,     field, "Condition/" + field,
                    "Medication/a Medication/b", 7,     {field, 12, {}, 345}};
        row.text = "{\"id\":\t\"a\\tb\"}\r";
        const std::string text = cds_hooks::rowText(row);
        CHECK_EQ(text.find('\n'), std::string::npos);
        const BulkRow found = cds_hooks::readRow(text);
        CHECK(found.kind == row.kind);
        CHECK_EQ(found.key, row.key);
        CHECK_EQ(found.name, row.name);
        CHECK_EQ(found.refers, row.refers);
        CHECK_EQ(found.rank, row.rank);
        CHECK_EQ(found.origin.file, row.origin.file);
        CHECK_EQ(found.origin.line, row.origin.line);
        CHECK_EQ(found.origin.offset, row.origin.offset);
        CHECK_EQ(found.text, row.text);
    }
    for (const std::string text : {"", "{}", "\tline\t\t\t0\tf\t1\t0", "\tword\t\t\t0\tf\t1\t0\t{}",
                                   "\tline\t\t\tx\tf\t1\t0\t{}", "\tline\t\t\t0\tf\t-1\t0\t{}"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(cds_hooks::readRow(text), std::runtime_error);
    }
}

TEST_CASE("a line says whom it is about, what it refers to, and what is wrong with it") {
    struct Expected {
        BulkRow::Kind kind;
        std::string key, name;
    };
    struct Row {
        std::string type, text;
        std::vector<Expected> expected;
    };
    using Kind = BulkRow::Kind;
    const std::vector<Row> table{
        {"Patient", patient("a"), {{Kind::resource, "a", "Patient/a"}, {Kind::counted, "", "Patient"}}},
        {"Condition", condition("c", "a"), {{Kind::resource, "a", "Condition/c"}, {Kind::counted, "", "Condition"}}},
        {"Condition",
         R"({"resourceType":"Condition","id":"c"})",
         {{Kind::resource, "", "Condition/c"}, {Kind::counted, "", "Condition"}}},
        {"Medication",
         R"({"resourceType":"Medication","id":"m"})",
         {{Kind::referenced, "Medication/m", "Medication/m"}, {Kind::counted, "", "Medication"}}},
        {"Patient",
         R"({"resourceType":"Patient"})",
         {{Kind::broken, "", "Patient"}, {Kind::problem, "", "Patient"}, {Kind::counted, "", "Patient"}}},
        {"Condition",
         R"({"subject":{"reference":"Patient/a"},)",
         {{Kind::broken, "a", "Condition"}, {Kind::problem, "", "Condition"}, {Kind::counted, "", "Condition"}}},
        {"deleted",
         R"({"entry":[{"request":{"method":"DELETE","url":"Patient/a"}},{"request":{"method":"DELETE","url":"Condition/c"}}]})",
         {{Kind::deleted, "a", "Patient/a"}, {Kind::deleted, "", "Condition/c"}}},
        {"deleted", "{", {{Kind::problem, "", "deleted"}}},
    };
    for (const Row& row : table) {
        CAPTURE(row.text);
        const std::vector<BulkRow> found = read(lineRow(row.type, row.text));
        REQUIRE_EQ(found.size(), row.expected.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
            CHECK(found[i].kind == row.expected[i].kind);
            CHECK_EQ(found[i].key, row.expected[i].key);
            CHECK_EQ(found[i].name, row.expected[i].name);
        }
    }
    const std::vector<BulkRow> refers = read(lineRow(
        "MedicationRequest",
        R"({"resourceType":"MedicationRequest","subject":{"reference":"Patient/a"},"medicationReference":{"reference":"Medication/m"}})"));
    CHECK_EQ(refers.at(0).refers, "Medication/m");
    const std::vector<BulkRow> large = read(lineRow("Condition", condition("c", "a")), 20);
    REQUIRE_EQ(large.size(), 3);
    CHECK_EQ(large[1].text, "larger than the limit of 20 bytes");
    CHECK_THROWS_AS(read("\tchart\t\t\t0\tf\t1\t0\t{}\n"), std::runtime_error);
}

TEST_CASE("partitions of rows give the lines of the folder, whoever is in which, and in whatever order rows arrive") {
    const support::Folder folder;
    std::string patients;
    std::string conditions;
    for (char id = 'a'; id <= 'j'; ++id) {
        patients += patient(std::string(1, id)) + '\n';
        if (id % 2 == 0) conditions += condition(std::string("c") + id, std::string(1, id)) + '\n';
    }
    conditions += "{\n\n" + condition("nobody", "unknown") + "\n{\"subject\":{\"reference\":\"Patient/b\"},\n";
    folder.write("export/Patient.000.ndjson", patients);
    folder.write("export/Patient.001.ndjson", R"({"resourceType":"Patient","id":"k"})");
    folder.write("export/Condition.000.ndjson", conditions);
    folder.write(
        "export/Medication.000.ndjson",
        "{\"resourceType\":\"Medication\",\"id\":\"m\"}\n{\"resourceType\":\"Medication\",\"id\":\"m\",\"code\":{"
        "\"coding\":[{\"system\":\"http://www.nlm.nih.gov/research/umls/rxnorm\",\"code\":\"6387\"}]}}\n");
    folder.write(
        "export/MedicationRequest.000.ndjson",
        R"({"resourceType":"MedicationRequest","id":"r","status":"active","intent":"order","authoredOn":"2025-11-01",)"
        R"("subject":{"reference":"Patient/k"},"medicationReference":{"reference":"Medication/m"}})");
    folder.write(
        "export/deleted/Bundle.ndjson",
        R"({"entry":[{"request":{"method":"DELETE","url":"Patient/c"}},{"request":{"method":"DELETE","url":"Condition/cd"}}]})");
    folder.write("export/manifest.json", R"({"output":[]})");
    const std::string path = (folder / "export").string();
    cds_hooks::ChartOptions whole;
    whole.paths = {path};
    const Run expected = replay(whole);
    CHECK_EQ(expected.status, 3);
    CHECK_EQ(expected.lines(), 10);

    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
        if (!cds_hooks::typeOfFile(fs::relative(entry.path(), path)).empty()) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    std::string lines;
    std::string common = "\tmanifest\t\t\t0\t\t0\t0\t{\"output\":[]}\n\tfolder\t" + path + "\t\t0\t\t0\t0\t\n";
    for (std::size_t rank = 0; rank < files.size(); ++rank) {
        const std::string type = cds_hooks::typeOfFile(fs::relative(files[rank], path));
        std::istringstream text(support::readFile(files[rank]));
        std::size_t number = 0;
        for (std::string line; std::getline(text, line);) {
            ++number;
            if (!line.empty()) lines += lineRow(type, line, rank, number, files[rank]);
        }
    }
    std::vector<BulkRow> rows = read(lines);
    std::reverse(rows.begin(), rows.end());
    for (const std::size_t count : {1U, 3U, 7U}) {
        CAPTURE(count);
        std::vector<std::string> partitions(count, common);
        for (const BulkRow& row : rows) {
            const std::string text = cds_hooks::rowText(row) + '\n';
            const bool isForAll =
                row.key.empty() || row.kind == BulkRow::Kind::deleted || row.kind == BulkRow::Kind::referenced;
            for (std::size_t i = 0; i < count; ++i) {
                const bool isHere = std::hash<std::string>()(row.key) % count == i;
                if (row.kind != BulkRow::Kind::problem && (isForAll || isHere)) partitions[i] += text;
            }
        }
        std::string found;
        for (const std::string& partition : partitions) {
            const Run run = replayRows(partition);
            CHECK_EQ(run.status, 0);
            found += run.out;
        }
        CHECK(sortedLines(found) == sortedLines(expected.out));
    }
}

TEST_CASE("charts among rows keep their place, and what is no row ends the replay") {
    const std::string chart = R"({"resourceType":"Bundle","entry":[{"resource":)" + patient("a") + "}]}";
    const Run run = replayRows("\tchart\t\t\t0\tcharts/a.ndjson\t12\t0\t" + chart +
                               "\n\tchart\t\t\t0\tcharts/a.ndjson\t13\t0\t{\n");
    CHECK_EQ(run.status, 3);
    CHECK_EQ(run.lines(), 1);
    CHECK_NE(run.out.find(R"("source":{"file":"charts/a.ndjson","line":12})"), std::string::npos);
    CHECK(run.says("charts/a.ndjson:13: "));
    CHECK_EQ(replayRows(chart).status, 2);
    CHECK_EQ(replayRows(lineRow("Patient", patient("a"))).status, 2);
    CHECK_EQ(replayRows("").status, 0);
}

TEST_CASE("a file is read as what it, or its folder, is named after") {
    const std::map<std::string, std::string> table{{"Patient.000.ndjson", "Patient"},
                                                   {"1.Observation.ndjson.gz", "Observation"},
                                                   {"deleted/Bundle.0.ndjson", "deleted"},
                                                   {"error/OperationOutcome.ndjson", "error"},
                                                   {"Encounter.ndjson", ""},
                                                   {"log.ndjson", ""},
                                                   {"Patient.json", ""},
                                                   {"older/Patient.000.ndjson", ""},
                                                   {"OperationOutcome.000.ndjson", ""},
                                                   {"manifest.json", ""}};
    for (const auto& row : table)
        CHECK_MESSAGE(cds_hooks::typeOfFile(row.first) == row.second, row.first << " is read as " << row.second);
}
