#include "cds-hooks/cohort_summary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cds-hooks/report.h"
#include "fhir/json.h"
#include "tests/screened.h"
#include "tests/support.h"

// The numbers of a summary against what its NDJSON says, counted once more in another way.

namespace {

using cds_hooks::CohortSummary;
using cds_hooks::CriterionCount;
using cds_hooks::TrialCount;
using fhir::json::Document;
using fhir::json::Value;
using mapping::Basis;

/// The bundles of all stories, and for each trial those of its own patients once more without some results.
std::vector<std::string> bundles() {
    std::vector<std::string> all;
    for (const auto& story : std::filesystem::directory_iterator("fixtures/patients"))
        all.push_back((story.path() / "bundle.json").string());
    std::sort(all.begin(), all.end());
    return all;
}

fhir::Coverage everything() {
    fhir::Coverage coverage;
    coverage.setAll(fhir::Covered::completely);
    return coverage;
}

/// A summary, and the NDJSON that it is about.
struct Summed {
    CohortSummary summary;
    std::string lines;
};

Summed sum(const std::vector<std::string>& files, std::size_t most = 1000) {
    Summed result{CohortSummary(support::knowledge(), most), {}};
    for (const std::string& file : files) {
        const auto screening = support::screen(support::readFile(file), "2025-11-13", everything());
        const cds_hooks::Origin origin{file, 0};
        result.lines += cds_hooks::ndjsonLine(screening, support::knowledge(), origin) + '\n';
        result.summary.add(result.summary.of(screening, origin, {}));
    }
    return result;
}

const Summed& stories() {
    static const Summed summed = sum(bundles());
    return summed;
}

std::string story(const std::string& name) {
    return "fixtures/patients/" + name + "/bundle.json";
}

const TrialCount& countsOf(const CohortSummary& summary, std::string_view trial) {
    const auto found = std::find_if(summary.trials().begin(), summary.trials().end(),
                                    [&](const TrialCount& count) { return count.trial->id == trial; });
    REQUIRE(found != summary.trials().end());
    return *found;
}

std::size_t placeOf(std::string_view trial) {
    const std::vector<rules::Trial>& trials = support::knowledge().trials;
    return static_cast<std::size_t>(
        std::find_if(trials.begin(), trials.end(), [&](const rules::Trial& each) { return each.id == trial; }) -
        trials.begin());
}

std::set<std::string> textsOf(Value array) {
    std::set<std::string> texts;
    for (const Value each : array.items()) texts.emplace(each.text());
    return texts;
}

/// What one trial of one line says, by the ids of its criteria.
struct TrialLine {
    std::string patient;
    std::string status;
    std::set<std::string> failed;
    std::set<std::string> unknown;  ///< top-level criteria
    std::size_t missing = 0;
    bool considered = false;
};

std::map<std::string, std::vector<TrialLine>> readLines(const std::string& ndjson) {
    std::map<std::string, std::vector<TrialLine>> result;
    std::istringstream stream(ndjson);
    for (std::string text; std::getline(stream, text);) {
        const Document document{text};
        const Value line = document.root();
        for (const Value trial : line["trials"].items()) {
            TrialLine read;
            read.patient = line["patient"].text();
            read.status = trial["status"].text();
            read.failed = textsOf(trial["failed"]);
            read.missing = textsOf(trial["missing"]).size();
            read.considered =
                trial["gate"].isTrue() && !line["deceased"] && !trial["researchSubject"] && !trial["refused"];
            const rules::Trial& known = support::knowledge().trials[placeOf(trial["trial"].text())];
            for (const Value criterion : trial["criteria"].items()) {
                const std::string id(criterion["id"].text());
                if (known.find(id)->depth == 0 && criterion["truth"].text() == "unknown") read.unknown.insert(id);
            }
            result[std::string(trial["trial"].text())].push_back(std::move(read));
        }
    }
    return result;
}

std::size_t countIf(const std::vector<TrialLine>& lines, const std::function<bool(const TrialLine&)>& holds) {
    return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), holds));
}

/// Everything that a summary says, to be compared.
std::string print(const CohortSummary& summary) {
    cds_hooks::CohortRun run;
    std::string text = cds_hooks::cohortText(summary, run);
    for (std::size_t trial = 0; trial < summary.trials().size(); ++trial) {
        for (const cds_hooks::WorklistEntry* entry : summary.worklist(trial)) {
            text += std::to_string(entry->number) + ' ' + entry->patient + ' ' + entry->source + ' ' + entry->asOf +
                    ' ' + std::string(rules::word(entry->status)) + ' ' + std::to_string(entry->questions) + ' ' +
                    std::to_string(entry->noneOnFile);
            for (const cds_hooks::Window& window : entry->windows)
                text += ' ' + window.criterion->id + ' ' + window.clearsOn;
            for (const cds_hooks::Gap& gap : entry->gaps)
                text += ' ' + gap.fact->name + ' ' + std::string(mapping::word(gap.basis));
            for (const cds_hooks::CitedCriterion& cited : entry->cited) {
                text += '\n' + cited.criterion->id + ' ' + std::string(rules::word(cited.truth)) + ' ' + cited.clearsOn;
                for (const std::string& evidence : cited.evidence) text += " | " + evidence;
            }
            text += '\n';
        }
    }
    return text;
}

}  // namespace

TEST_CASE("every number about a criterion is what the NDJSON says, counted in another way") {
    const auto lines = readLines(stories().lines);
    std::size_t alone = 0;
    std::size_t wouldLose = 0;
    for (const TrialCount& count : stories().summary.trials()) {
        const std::vector<TrialLine>& all = lines.at(count.trial->id);
        std::vector<TrialLine> considered;
        std::copy_if(all.begin(), all.end(), std::back_inserter(considered),
                     [](const TrialLine& line) { return line.considered; });
        CAPTURE(count.trial->id);
        CHECK_EQ(count.consideredCharts(), considered.size());
        for (const auto& [status, word] :
             {std::pair{0U, "ineligible"}, {1U, "potential-candidate"}, {2U, "candidate"}}) {
            const std::string expected = word;
            const auto has = [&](const TrialLine& line) { return line.status == expected; };
            CHECK_EQ(count.statuses.at(status), countIf(all, has));
            CHECK_EQ(count.considered.at(status), countIf(considered, has));
        }
        std::set<std::string> before;
        for (const CriterionCount& each : count.criteria) {
            const std::string& id = each.criterion->id;
            CAPTURE(id);
            CHECK_EQ(each.criterion->depth, 0);
            CHECK_EQ(each.against,
                     countIf(considered, [&](const TrialLine& line) { return line.failed.contains(id); }));
            CHECK_EQ(each.leave, countIf(considered, [&](const TrialLine& line) {
                         return line.failed.contains(id) &&
                                std::none_of(line.failed.begin(), line.failed.end(),
                                             [&](const std::string& other) { return before.contains(other); });
                     }));
            CHECK_EQ(each.alone, countIf(considered, [&](const TrialLine& line) {
                         return line.failed == std::set<std::string>{id};
                     }));
            CHECK_EQ(each.open + each.asked,
                     countIf(considered, [&](const TrialLine& line) { return line.unknown.contains(id); }));
            CHECK_EQ(each.wouldLose, countIf(considered, [&](const TrialLine& line) {
                         return line.unknown.contains(id) && line.failed.empty();
                     }));
            before.insert(id);
            alone += each.alone;
            wouldLose += each.wouldLose;
        }
    }
    CHECK_GT(alone, 50);
    CHECK_GT(wouldLose, 1000);
}

TEST_CASE("a funnel only narrows, ends with the worklist, and every chart is counted once") {
    const CohortSummary& summary = stories().summary;
    CHECK_EQ(summary.charts(), bundles().size());
    for (std::size_t trial = 0; trial < summary.trials().size(); ++trial) {
        const TrialCount& count = summary.trials()[trial];
        CAPTURE(count.trial->id);
        CHECK_EQ(count.statuses[0] + count.statuses[1] + count.statuses[2], summary.charts());
        CHECK_EQ(count.deceased + count.onStudy + count.refused + count.consideredCharts(), count.disease);
        CHECK_LE(count.disease, summary.withDisease());
        std::size_t remain = count.consideredCharts();
        for (const CriterionCount& each : count.criteria) {
            CHECK_LE(each.leave, remain);
            CHECK_LE(each.leave, each.against);
            CHECK_LE(each.alone, each.leave);
            CHECK_LE(each.wouldLose, each.open + each.asked);
            CHECK_LE(each.wouldLose, count.onWorklist());
            CHECK_LE(each.against + each.open + each.asked, count.consideredCharts());
            remain -= each.leave;
        }
        CHECK_EQ(remain, count.onWorklist());
        CHECK_EQ(summary.worklist(trial).size(), count.onWorklist());
    }
}

TEST_CASE("the worklist is sorted by what is missing, and holds whom the output suggests") {
    const auto lines = readLines(stories().lines);
    for (std::size_t trial = 0; trial < stories().summary.trials().size(); ++trial) {
        const std::vector<TrialLine>& all = lines.at(stories().summary.trials()[trial].trial->id);
        const auto list = stories().summary.worklist(trial);
        std::size_t before = 0;
        for (const cds_hooks::WorklistEntry* entry : list) {
            CAPTURE(entry->source);
            const TrialLine& line = all.at(entry->number - 1);
            CHECK_EQ(entry->patient, line.patient);
            CHECK(line.considered);
            CHECK_NE(line.status, "ineligible");
            CHECK_EQ(entry->gaps.size(), line.missing);
            CHECK_GE(entry->gaps.size(), before);
            before = entry->gaps.size();
        }
    }
}

TEST_CASE("a summary of lines is the summary of their charts") {
    CohortSummary read(support::knowledge(), 1000);
    std::istringstream stream(stories().lines);
    for (std::string line; std::getline(stream, line);) {
        const Document document{line};
        read.add(read.of(document.root()));
    }
    CHECK_EQ(print(read), print(stories().summary));
}

TEST_CASE("with a limit the same patients come first, and the numbers stay") {
    const Summed few = sum(bundles(), 7);
    CHECK_EQ(cds_hooks::cohortText(few.summary, {}), cds_hooks::cohortText(stories().summary, {}));
    for (std::size_t trial = 0; trial < few.summary.trials().size(); ++trial) {
        const auto some = few.summary.worklist(trial);
        const auto all = stories().summary.worklist(trial);
        REQUIRE_EQ(some.size(), 7);
        for (std::size_t i = 0; i < some.size(); ++i) {
            CHECK_EQ(some[i]->number, all[i]->number);
            CHECK_EQ(some[i]->cited.size(), all[i]->cited.size());
            CHECK_EQ(some[i]->noneOnFile, all[i]->noneOnFile);
        }
    }
}

TEST_CASE("the dead, those on the study and those who refuse are counted, and on no worklist") {
    const Summed summed = sum({story("deceased-patient"), story("refused-research"), story("on-the-study-already")});
    CHECK_EQ(summed.summary.charts(), 3);
    CHECK_EQ(summed.summary.deceased(), 1);
    const TrialCount& count = countsOf(summed.summary, "NCT07109518");
    CHECK_EQ(count.disease, 3);
    CHECK_EQ(count.deceased, 1);
    CHECK_EQ(count.refused, 1);
    CHECK_EQ(count.onStudy, 1);
    CHECK_EQ(count.consideredCharts(), 0);
    CHECK(summed.summary.worklist(placeOf("NCT07109518")).empty());
    for (const CriterionCount& each : count.criteria) CHECK_EQ(each.against + each.open + each.asked, 0);
}

TEST_CASE("a candidate of whom only questions remain comes before all for whom data is open") {
    const CohortSummary& summary = stories().summary;
    const auto list = summary.worklist(placeOf("NCT07109518"));
    REQUIRE_FALSE(list.empty());
    CHECK_EQ(list.front()->source, story("nct07109518-only-questions-remain"));
    CHECK(list.front()->status == rules::Status::candidate);
    CHECK(list.front()->gaps.empty());
    CHECK_GT(list.front()->questions, 0);
}

TEST_CASE("a window that is not over is no missing fact, and says when it ends") {
    const Summed summed = sum({story("steroid-tablets-last-taken-five-days-ago")});
    for (const auto& [id, criterion, day] :
         {std::tuple{"NCT05995028", "exc.05", "2025-11-16"}, std::tuple{"NCT07117175", "exc.01a", "2025-11-23"}}) {
        const std::string trial = id;
        CAPTURE(trial);
        const auto list = summed.summary.worklist(placeOf(trial));
        REQUIRE_EQ(list.size(), 1);
        REQUIRE_EQ(list.front()->windows.size(), 1);
        CHECK_EQ(list.front()->windows.front().criterion->id, criterion);
        CHECK_EQ(list.front()->windows.front().clearsOn, day);
        CHECK(std::none_of(list.front()->gaps.begin(), list.front()->gaps.end(),
                           [](const cds_hooks::Gap& gap) { return gap.fact->name == "systemicSteroid"; }));
    }
}

TEST_CASE("why verdicts are open is counted in charts, by fact and reason") {
    const auto gapsOf = [](const CohortSummary& summary, std::string_view fact) {
        for (const cds_hooks::FactGaps& gaps : summary.gaps()) {
            if (gaps.fact->name == fact) return gaps;
        }
        FAIL("no verdict waits for " << fact);
        return cds_hooks::FactGaps{};
    };
    const Summed stale = sum({story("everything-is-stale"), story("everything-is-stale")});
    const cds_hooks::FactGaps lvef = gapsOf(stale.summary, "lvef");
    CHECK_EQ(lvef.of(Basis::stale), 2);  // each once, however many criteria of how many trials wait for it
    CHECK_EQ(lvef.of(Basis::missing), 0);
    const Summed noLimits = sum({story("synthetic-chart-without-reference-ranges")});
    CHECK_EQ(gapsOf(noLimits.summary, "totalBilirubin").of(Basis::noUpperLimit), 1);
    const Summed dead = sum({story("deceased-patient")});
    CHECK(dead.summary.gaps().empty());
}

TEST_CASE("a criterion that waits for several facts says the reason of each") {
    // The bilirubin has no upper limit, the direct bilirubin is missing: the basis of the whole names one of them.
    const auto screening = support::screen(support::readFile(story("synthetic-chart-without-reference-ranges")),
                                           "2025-11-13", everything());
    const std::string line = cds_hooks::ndjsonLine(screening, support::knowledge(), {"a.json", 0});
    const Document document{line};
    bool isFound = false;
    for (const Value trial : document.root()["trials"].items()) {
        for (const Value criterion : trial["criteria"].items()) {
            if (trial["trial"].text() != "NCT07117305" || criterion["id"].text() != "inc.08b") continue;
            isFound = true;
            CHECK_EQ(criterion["basis"].text(), "missing");
            CHECK_EQ(textsOf(criterion["missing"]), std::set<std::string>{"directBilirubin", "totalBilirubin"});
            CHECK_EQ(criterion["reasons"]["totalBilirubin"].text(), "no-upper-limit");
            CHECK_FALSE(static_cast<bool>(criterion["reasons"]["directBilirubin"]));  // that of the whole
        }
    }
    CHECK(isFound);
}

TEST_CASE("the only missing fact is counted once a chart") {
    std::map<std::string, std::set<std::string>> charts;  // by fact
    std::istringstream stream(stories().lines);
    for (std::string text; std::getline(stream, text);) {
        const Document document{text};
        const Value line = document.root();
        for (const Value trial : line["trials"].items()) {
            if (!trial["gate"].isTrue() || line["deceased"] || trial["researchSubject"] || trial["refused"] ||
                trial["status"].text() == "ineligible")
                continue;
            const rules::Trial& known = support::knowledge().trials[placeOf(trial["trial"].text())];
            std::set<std::string> missing;
            for (const Value criterion : trial["criteria"].items()) {
                if (known.find(criterion["id"].text())->depth > 0) continue;
                missing.merge(textsOf(criterion["missing"]));
            }
            if (missing.size() == 1) charts[*missing.begin()].emplace(line["source"]["file"].text());
        }
    }
    CHECK_GT(charts.size(), 1);
    for (const mapping::FactDefinition& fact : support::knowledge().vocabulary.facts()) {
        CAPTURE(fact.name);
        CHECK_EQ(stories().summary.onlyMissing(fact), charts[fact.name].size());
    }
}
