#include "rules/silence.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "cds-hooks/report.h"
#include "tests/support.h"

namespace {

/// The stories, with nothing, everything and Conditions alone declared to be covered.
struct Covered {
    std::string bundle;
    fhir::Coverage coverage;
};

std::vector<Covered> charts() {
    std::vector<std::string> files;
    for (const auto& story : std::filesystem::directory_iterator("fixtures/patients"))
        files.push_back((story.path() / "bundle.json").string());
    std::sort(files.begin(), files.end());
    fhir::Coverage all;
    all.setAll(fhir::Covered::completely);
    std::vector<Covered> result;
    for (const std::string& file : files) {
        for (const fhir::Coverage& coverage : {fhir::Coverage(), all, support::covering({"Condition"})})
            result.push_back({support::readFile(file), coverage});
    }
    return result;
}

std::string line(const cds_hooks::Knowledge& knowledge, const Covered& chart) {
    return cds_hooks::ndjsonLine(
        cds_hooks::screen(knowledge, support::chartOf(chart.bundle, chart.coverage), support::day("2025-11-13")),
        knowledge, {"chart.json"});
}

/// The knowledge with nothing kept; `keeps` tells whether anything will be.
cds_hooks::Knowledge fresh(bool keeps) {
    std::vector<mapping::Problem> problems;
    cds_hooks::Knowledge knowledge = cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems);
    REQUIRE(problems.empty());
    if (!keeps) {
        for (rules::Trial& trial : knowledge.trials) trial.silences = nullptr;
    }
    return knowledge;
}

}  // namespace

TEST_CASE("a criterion about which a chart says nothing comes to what it comes to when it is judged") {
    const cds_hooks::Knowledge judging = fresh(false);
    const cds_hooks::Knowledge keeping = fresh(true);
    std::size_t kept = 0;
    std::size_t judged = 0;
    std::size_t rows = 0;
    for (const Covered& chart : charts()) {
        CHECK(line(keeping, chart) == line(judging, chart));
        const auto screening =
            cds_hooks::screen(keeping, support::chartOf(chart.bundle, chart.coverage), support::day("2025-11-13"));
        for (const rules::Evaluation& evaluation : screening.evaluations) {
            rows += evaluation.row != nullptr;
            for (const rules::Finding& finding : evaluation.findings) {
                kept += finding.silence != nullptr;
                judged += finding.silence == nullptr;
                if (finding.silence != nullptr) CHECK(finding.outcome.evidence.empty());
            }
        }
    }
    CHECK(kept > judged);
    CHECK(rows > 100);
    CHECK(judged > 1000);
}

TEST_CASE("many threads may keep what criteria come to") {
    const std::vector<Covered> all = charts();
    const cds_hooks::Knowledge judging = fresh(false);
    std::vector<std::string> expected;
    for (const Covered& chart : all) expected.push_back(line(judging, chart));
    const cds_hooks::Knowledge keeping = fresh(true);
    const auto countDifferent = [&](std::size_t first) {
        std::size_t different = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::size_t at = (first + i) % all.size();
            different += line(keeping, all[at]) != expected[at];
        }
        return different;
    };
    std::vector<std::future<std::size_t>> threads;
    for (std::size_t i = 0; i < 4; ++i)
        threads.push_back(std::async(std::launch::async, countDifferent, i * all.size() / 4));
    for (auto& thread : threads) CHECK(thread.get() == 0);
}

TEST_CASE("what an answer says is no silence") {
    const cds_hooks::Knowledge knowledge = fresh(true);
    cds_hooks::Screening screening =
        cds_hooks::screen(knowledge, support::chartOf(support::bundleOf({R"({"resourceType":"Patient","id":"1"})"})),
                          support::day("2025-11-13"));
    const rules::Trial& trial = knowledge.trials.front();
    const auto silent = [&] {
        const rules::Evaluation evaluation = rules::evaluate(trial, screening.facts);
        return std::count_if(evaluation.findings.begin(), evaluation.findings.end(),
                             [](const rules::Finding& finding) { return finding.silence != nullptr; });
    };
    CHECK(silent() > 20);
    screening.facts.answers.emplace_back().evidence.emplace_back();
    CHECK(silent() == 0);
    screening.facts.answers.clear();
    screening.facts.speaking.reset();
    CHECK(silent() == 0);
}
