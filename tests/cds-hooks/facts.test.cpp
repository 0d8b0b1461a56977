#include "cds-hooks/facts.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/facts_file.h"
#include "cds-hooks/screening.h"
#include "cds-hooks/sqlite.h"
#include "fhir/json.h"
#include "rules/block.h"
#include "tests/model/render.h"
#include "tests/screened.h"
#include "tests/support.h"

// A facts file gives the verdicts of the charts that it was written from, and of trial files that change over it.

namespace {

namespace fs = std::filesystem;
using cds_hooks::Knowledge;
using cds_hooks::Screening;
using support::knowledge;
using support::Run;

/// A chart as it is written, its coverage and its day.
struct Subject {
    std::string name;
    std::string bundle;
    fhir::Coverage coverage;
    fhir::Date asOf;

    fhir::Chart chart() const { return support::chartOf(bundle, coverage); }
};

std::vector<Subject> stories() {
    std::vector<Subject> subjects;
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator("fixtures/patients")) folders.push_back(entry.path());
    std::sort(folders.begin(), folders.end());
    for (const fs::path& folder : folders) {
        const fhir::json::Document story(support::readFile((folder / "story.json").string()));
        fhir::Coverage coverage;
        for (const fhir::json::Value type : story.root()["covers"].items())
            coverage.set(std::string(type.text()), fhir::Covered::completely);
        subjects.push_back({folder.filename().string(), support::readFile((folder / "bundle.json").string()), coverage,
                            support::day(story.root()["asOf"].text())});
    }
    return subjects;
}

std::vector<Subject> drawn(std::uint64_t count) {
    std::vector<Subject> subjects;
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        const model::Patient patient = model::draw(seed);
        fhir::Coverage coverage;
        for (const std::string& type : patient.covered) coverage.set(type, fhir::Covered::completely);
        model::Style style;
        style.seed = seed;
        subjects.push_back({"seed " + std::to_string(seed), model::render(patient, style), coverage,
                            fhir::Date::ofDays(static_cast<std::int32_t>(patient.asOf))});
    }
    return subjects;
}

void write(const fs::path& file, const std::vector<Subject>& subjects, std::size_t chartsInBlock) {
    cds_hooks::FactsFileWriter writer(file, knowledge(), {}, chartsInBlock);
    std::size_t line = 0;
    for (const Subject& subject : subjects) {
        writer.add(
            cds_hooks::factsOf({{"charts.ndjson", ++line}, subject.chart(), subject.asOf}, knowledge().vocabulary));
    }
    writer.finish({subjects.size(), 3});
}

/// Every difference between one chart's evaluation and its place in a block.
std::vector<std::string> differences(const rules::Evaluation& expected, const rules::BlockEvaluation& found,
                                     std::size_t chart) {
    std::vector<std::string> result;
    const rules::Trial& trial = *expected.trial;
    if (expected.status != found.status[chart]) result.push_back(trial.id + ": status");
    if (expected.gate != (found.gate[chart] == 1)) result.push_back(trial.id + ": gate");
    if (expected.failed != found.failed(trial, chart)) result.push_back(trial.id + ": failed");
    for (std::size_t i = 0; i < expected.findings.size(); ++i) {
        const rules::Outcome& outcome = expected.findings[i].outcome;
        if (rules::Verdict(outcome.truth, outcome.basis) != found.criteria[i][chart])
            result.push_back(trial.id + '.' + trial.criteria[i].id);
    }
    return result;
}

/// The knowledge with one trial file changed.
Knowledge amended(const std::string& trial, const std::string& from, const std::string& to) {
    std::vector<cds_hooks::KnowledgeFile> files = cds_hooks::embeddedKnowledge();
    for (cds_hooks::KnowledgeFile& file : files) {
        if (file.name != trial + ".json") continue;
        const std::size_t at = file.text.find(from);
        REQUIRE_MESSAGE(at != std::string::npos, from);
        file.text.replace(at, from.size(), to);
    }
    std::vector<mapping::Problem> problems;
    Knowledge result = cds_hooks::readKnowledge(files, problems);
    REQUIRE(problems.empty());
    return result;
}

Run replayFacts(const Knowledge& with, const cds_hooks::FactsReplayOptions& options) {
    return support::logged([&](std::ostream& out) { return cds_hooks::replayFacts(with, options, out); });
}

cds_hooks::FactsReplayOptions asNdjson(const fs::path& file) {
    cds_hooks::FactsReplayOptions options;
    options.facts = file;
    options.format = cds_hooks::Format::ndjson;
    return options;
}

/// Where each chart stands with a trial: its status, or "no-disease", or "deceased".
std::vector<std::string> places(const std::string& ndjson, std::string_view trial) {
    std::vector<std::string> result;
    std::istringstream stream(ndjson);
    for (std::string line; std::getline(stream, line);) {
        const fhir::json::Document document(line);
        for (const fhir::json::Value each : document.root()["trials"].items()) {
            if (each["trial"].text() != trial) continue;
            result.emplace_back(document.root()["deceased"].isTrue() ? "deceased"
                                : each["gate"].isTrue()              ? each["status"].text()
                                                                     : "no-disease");
        }
    }
    return result;
}

}  // namespace

TEST_CASE("every verdict from a facts file is that of the chart") {
    std::vector<Subject> subjects = stories();
    std::vector<Subject> more = drawn(1500);
    std::move(more.begin(), more.end(), std::back_inserter(subjects));
    const support::Folder folder;
    for (const std::size_t chartsInBlock : {std::size_t{100}, std::size_t{16'384}}) {
        CAPTURE(chartsInBlock);
        const fs::path file = folder / (std::to_string(chartsInBlock) + ".facts");
        write(file, subjects, chartsInBlock);
        cds_hooks::FactsFile facts(file, knowledge());
        CHECK(facts.charts() == subjects.size());
        CHECK(facts.failed() == 3);
        std::size_t chart = 0;
        std::size_t answered = 0;
        std::vector<std::string> wrong;
        facts.forEachBlock([&](std::unique_ptr<cds_hooks::StoredBlock> block) {
            answered += block->facts.answered.size();
            std::vector<rules::BlockEvaluation> found;
            for (const rules::Trial& trial : knowledge().trials)
                found.push_back(rules::BlockEvaluator(trial, knowledge().vocabulary).evaluate(block->facts));
            for (std::size_t i = 0; i < block->patients.size(); ++i, ++chart) {
                const Subject& subject = subjects[chart];
                const Screening screening = cds_hooks::screen(knowledge(), subject.chart(), subject.asOf);
                CHECK(block->patients[i] == screening.chart.patient.id);
                CHECK(block->origins[i].line == chart + 1);
                CHECK(block->facts.asOf[i] == subject.asOf);
                CHECK(block->deceased[i] == screening.facts.deceased);
                for (std::size_t t = 0; t < found.size(); ++t) {
                    for (const std::string& each : differences(screening.evaluations[t], found[t], i))
                        wrong.push_back(subject.name + ": " + each);
                }
            }
            return true;
        });
        CHECK(chart == subjects.size());
        CHECK(answered >= 3);
        for (const std::string& each : wrong) FAIL_CHECK(each);
    }
}

TEST_CASE("a facts file can be replayed, in any number of threads, and without a trial that was not there") {
    const support::Folder folder;
    const fs::path file = folder / "cohort.facts";
    const std::vector<Subject> subjects = drawn(300);
    write(file, subjects, 64);
    const Run one = replayFacts(knowledge(), asNdjson(file));
    CHECK(one.status == 0);
    CHECK(one.lines() == subjects.size());
    cds_hooks::FactsReplayOptions options = asNdjson(file);
    options.threads = 3;
    CHECK(replayFacts(knowledge(), options).out == one.out);

    options.format = cds_hooks::Format::table;
    const Run table = replayFacts(knowledge(), options);
    CHECK(table.out.starts_with("300 charts\n"));
    CHECK(table.says("3 inputs could not be read when it was written"));
    const std::vector<std::string> all = places(one.out, "NCT07117305");
    const auto ineligible = std::count(all.begin(), all.end(), "ineligible");
    CHECK(ineligible > 0);
    CHECK(table.out.find("ineligible " + std::to_string(ineligible) + "\n", table.out.find("NCT07117305")) !=
          std::string::npos);

    // Written to a file, the same lines; the counts are printed.
    options.output = folder / "screened.ndjson";
    CHECK(replayFacts(knowledge(), options).out == table.out);
    CHECK(support::readFile(options.output.string()) == one.out);
}

TEST_CASE("an amendment is compared with an earlier output: who moved, and by which criterion") {
    const support::Folder folder;
    const std::vector<Subject> subjects = drawn(400);
    const fs::path file = folder / "cohort.facts";
    write(file, subjects, 64);
    const std::string before = replayFacts(knowledge(), asNdjson(file)).out;
    const std::string earlier = folder.gzip("earlier.ndjson.gz", before);

    cds_hooks::FactsReplayOptions options = asNdjson(file);
    options.against = earlier;
    CHECK(replayFacts(knowledge(), options).out.empty());

    // Of NCT07117175, who were older than 70, may enter until 80.
    const Knowledge changed = amended("NCT07117175", "age <= 70", "age <= 80");
    const Run moved = replayFacts(changed, options);
    const std::string after = replayFacts(changed, asNdjson(file)).out;
    const std::vector<std::string> was = places(before, "NCT07117175");
    const std::vector<std::string> is = places(after, "NCT07117175");
    REQUIRE(was.size() == is.size());
    std::size_t expected = 0;
    for (std::size_t i = 0; i < was.size(); ++i) expected += was[i] != is[i] ? 1 : 0;
    CHECK(expected > 0);
    CHECK(moved.lines() == expected);
    std::istringstream lines(moved.out);
    for (std::string line; std::getline(lines, line);) {
        const fhir::json::Document document(line);
        CHECK(document.root()["trial"].text() == "NCT07117175");
        CHECK(document.root()["from"].text() == "ineligible");
        for (const fhir::json::Value criterion : document.root()["criteria"].items())
            CHECK(criterion["change"].text() == "no longer against");
    }
    options.format = cds_hooks::Format::table;
    const std::string table = replayFacts(changed, options).out;
    CHECK(table.find("NCT07117175  " + std::to_string(expected) + " moved") != std::string::npos);
    CHECK(table.find("NCT07117305  0 moved") != std::string::npos);

    // The output of a replay of the charts themselves serves as well.
    std::string bundles;
    std::size_t line = 0;
    for (const Subject& subject : subjects) {
        const Screening screening = cds_hooks::screen(knowledge(), subject.chart(), subject.asOf);
        bundles += cds_hooks::ndjsonLine(screening, knowledge(), {"charts.ndjson", ++line}) + '\n';
    }
    options.against = folder.write("replayed.ndjson", bundles);
    CHECK(replayFacts(changed, options).out == table);

    // One chart that is not there any more moves no other one, though all are of patients without an id.
    const std::size_t second = bundles.find('\n') + 1;
    options.against = folder.write("without-the-first.ndjson", bundles.substr(second));
    const std::string fewer = replayFacts(knowledge(), options).out;
    CHECK(fewer.find("399 charts compared\n  1 chart only in this one\n") == 0);
    CHECK(fewer.find("NCT07117175  0 moved") != std::string::npos);
}

TEST_CASE("what a trial's disease is, another day, and a trial that was not there are told apart from who moved") {
    const support::Folder folder;
    const std::vector<Subject> subjects = stories();
    const fs::path file = folder / "cohort.facts";
    write(file, subjects, 64);
    const std::string before = replayFacts(knowledge(), asNdjson(file)).out;
    cds_hooks::FactsReplayOptions options = asNdjson(file);
    options.against = folder.write("before.ndjson", before);

    // With another gate the same verdicts are about other patients.
    const Knowledge gated =
        amended("NCT07109518", R"("gate": ["inc.02", "inc.03", "inc.08"])", R"("gate": ["inc.02"])");
    const std::vector<std::string> was = places(before, "NCT07109518");
    const std::vector<std::string> is = places(replayFacts(gated, asNdjson(file)).out, "NCT07109518");
    std::size_t expected = 0;
    for (std::size_t i = 0; i < was.size(); ++i) expected += was[i] != is[i] && is[i] == "no-disease" ? 1 : 0;
    CHECK(expected > 50);
    CHECK(replayFacts(gated, options).lines() == expected);

    std::string earlierDay = before;
    const std::string day = R"("asOf":"2025-11-13")";
    for (auto at = earlierDay.find(day); at != std::string::npos; at = earlierDay.find(day, at))
        earlierDay.replace(at, day.size(), R"("asOf":"2024-11-13")");
    options.against = folder.write("earlier-day.ndjson", earlierDay);
    CHECK(replayFacts(knowledge(), options).says("evaluated as of another day"));

    std::string oneTrial;
    std::istringstream lines(before);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t second = line.find(R"(,{"trial":"NCT07109518")");
        REQUIRE(second != std::string::npos);
        oneTrial += line.substr(0, second) + "]}\n";
    }
    options.against = folder.write("one-trial.ndjson", oneTrial);
    CHECK(replayFacts(knowledge(), options).says("without NCT07117305 in the earlier output"));
    options.format = cds_hooks::Format::table;
    CHECK(replayFacts(knowledge(), options).out.find("NCT07117305  0 moved") == std::string::npos);

    options.against = folder.write("no-gate.ndjson", R"({"patient":"Patient","asOf":"2025-11-13","trials":[{}]})"
                                                     "\n");
    CHECK(replayFacts(knowledge(), options).says("no-gate.ndjson:1: is no result (trials.gate: is missing)"));
}

TEST_CASE("what is no facts file, or is damaged, or was read with another vocabulary is refused by name") {
    const support::Folder folder;
    const fs::path file = folder / "cohort.facts";
    write(file, drawn(20), 8);
    CHECK(replayFacts(knowledge(), asNdjson(folder / "none.facts")).says("none.facts: there is no such file"));
    CHECK(replayFacts(knowledge(), asNdjson(folder.write("text.facts", "no database"))).says("is no facts file"));

    std::vector<cds_hooks::KnowledgeFile> files = cds_hooks::embeddedKnowledge();
    for (cds_hooks::KnowledgeFile& each : files) {
        if (each.name == "facts.json") each.text += '\n';
    }
    std::vector<mapping::Problem> problems;
    const Knowledge other = cds_hooks::readKnowledge(files, problems);
    CHECK(replayFacts(other, asNdjson(file)).says("was written with another facts.json"));

    for (const std::string damage :
         {"UPDATE column SET states = 'nonsense' WHERE name = 'fact/age'",
          "UPDATE column SET runs = x'00' WHERE name = 'fact/age'",
          "UPDATE column SET runs = x'7f01' WHERE name = 'fact/age'",
          "UPDATE column SET runs = x'0001' WHERE name = 'patient'",
          "UPDATE column SET runs = x'00ffffff7f' WHERE name = 'line'", "UPDATE block SET charts = -1",
          "UPDATE block SET charts = 4611686018427387904", "DELETE FROM block WHERE number = 1",
          "UPDATE column SET states = 'someday' WHERE name = 'asOf'", "DELETE FROM about WHERE name = 'failed'",
          "DELETE FROM about WHERE name = 'charts'",
          "UPDATE column SET moments = x'ff' WHERE name = 'fact/stemCellTransplant'",
          "DELETE FROM column WHERE name = 'fact/age'"}) {
        CAPTURE(damage);
        const fs::path copy = folder / "damaged.facts";
        fs::copy_file(file, copy, fs::copy_options::overwrite_existing);
        cds_hooks::sqlite::Connection(copy.string()).run(damage);
        const Run run = replayFacts(knowledge(), asNdjson(copy));
        CHECK(run.status == 2);
        CHECK(run.says("damaged"));
        CHECK(run.out.empty());
    }
}

TEST_CASE("facts are written whole, with a manifest, or not at all") {
    const support::Folder folder;
    cds_hooks::FactsOptions options;
    options.charts.paths = {"fixtures/patients/bilirubin-3.5-x-uln-fails-every-trial/bundle.json",
                            folder.write("broken.json", "{")};
    options.charts.day.asOf = options.charts.day.today = support::day("2025-11-13");
    options.output = folder / "cohort.facts";
    const Run run = support::logged([&](std::ostream&) { return cds_hooks::writeFacts(knowledge(), options); });
    CHECK(run.status == 3);
    CHECK(run.says("broken.json: line 1"));
    CHECK(fs::exists(folder / "cohort.facts.manifest.json"));
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 3);
    const Run again = support::logged([&](std::ostream&) { return cds_hooks::writeFacts(knowledge(), options); });
    CHECK(again.status == 2);
    CHECK(again.says("is there already"));

    {
        const cds_hooks::FactsFileWriter given(folder / "left.facts", knowledge(), {});
        CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 4);
    }
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 3);
}

TEST_CASE("of two who write the same facts file at once one does, and the file is whole") {
    const support::Folder folder;
    const fs::path file = folder / "cohort.facts";
    const std::vector<Subject> subjects = drawn(12);
    cds_hooks::FactsFileWriter one(file, knowledge(), {}, 5);
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        one.add(cds_hooks::factsOf({{"charts.ndjson", i + 1}, subjects[i].chart(), subjects[i].asOf},
                                   knowledge().vocabulary));
    }
    one.finish({subjects.size(), 0});
    // Another one that began before and ends later.
    fs::rename(file, folder / "aside.facts");
    {
        cds_hooks::FactsFileWriter two(file, knowledge(), {}, 5);
        fs::rename(folder / "aside.facts", file);
        CHECK_THROWS_WITH(two.finish({0, 0}), "is there already");
    }
    CHECK(cds_hooks::FactsFile(file, knowledge()).charts() == subjects.size());
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}
