#include "cds-hooks/unlock.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "cds-hooks/card.h"
#include "cds-hooks/report.h"
#include "tests/support.h"

namespace {

const std::string asOf = "2025-11-13";

cds_hooks::Screening screenStory(const std::string& story, const fhir::Coverage& coverage) {
    return support::screen(support::readFile("fixtures/patients/" + story + "/bundle.json"), asOf, coverage);
}

fhir::Coverage everything() {
    fhir::Coverage coverage;
    coverage.setAll(fhir::Covered::completely);
    return coverage;
}

const cds_hooks::Unlock* find(const std::vector<cds_hooks::Unlock>& unlocks, std::string_view fact) {
    for (const cds_hooks::Unlock& unlock : unlocks) {
        if (unlock.fact->name == fact) return &unlock;
    }
    return nullptr;
}

std::vector<std::string> resources(bool withLvef) {
    std::vector<std::string> all{
        R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-01-01"})",
        R"({"resourceType":"Condition","id":"aml","subject":{"reference":"Patient/p"},"onsetDateTime":"2025-09-20",
            "clinicalStatus":{"coding":[{"code":"active"}]},
            "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]}})"};
    if (withLvef)
        all.emplace_back(
            R"({"resourceType":"Observation","id":"lvef","status":"final","subject":{"reference":"Patient/p"},
                "code":{"coding":[{"system":"http://loinc.org","code":"10230-1"}]},"effectiveDateTime":"2025-11-10",
                "valueQuantity":{"value":62,"unit":"%","system":"http://unitsofmeasure.org","code":"%"}})");
    return all;
}

}  // namespace

TEST_CASE("a test unlocks what waits for it in the trials that are still possible, and in no others") {
    const auto screening = support::screen(support::bundleOf(resources(false)), asOf, everything());
    const auto possible = cds_hooks::suggested(screening);
    REQUIRE(possible.size() == 4);  // NCT07117305 takes T-cell lymphomas alone
    const auto unlocks = cds_hooks::unlocks(possible);
    const cds_hooks::Unlock* lvef = find(unlocks, "lvef");
    REQUIRE(lvef != nullptr);
    // Counted by hand in the trial files: inc.05b; inc.10; inc.06.2 with exc.04c and exc.04d; inc.08g.
    std::set<std::string> trials;
    for (const rules::Trial* trial : lvef->trials) trials.insert(trial->id);
    CHECK(trials == std::set<std::string>{"NCT05995028", "NCT07109518", "NCT07117175", "NCT07345780"});
    CHECK(lvef->criteria >= 4);
    CHECK(unlocks.front().trials.size() == 4);
    for (std::size_t i = 1; i < unlocks.size(); ++i) {
        const bool ranked = unlocks[i - 1].trials.size() > unlocks[i].trials.size() ||
                            (unlocks[i - 1].trials.size() == unlocks[i].trials.size() &&
                             unlocks[i - 1].criteria >= unlocks[i].criteria);
        CHECK_MESSAGE(ranked, unlocks[i].fact->name);
    }
}

TEST_CASE("a test that was done, a question, and what no test says are not among them") {
    const auto screening = support::screen(support::bundleOf(resources(true)), asOf, everything());
    const auto unlocks = cds_hooks::unlocks(cds_hooks::suggested(screening));
    CHECK(find(unlocks, "lvef") == nullptr);
    CHECK(find(unlocks, "activeInfection") == nullptr);
    CHECK(find(unlocks, "priorLines") == nullptr);
    CHECK(find(unlocks, "stemCellTransplant") == nullptr);
    CHECK(find(unlocks, "hbsAg") != nullptr);
    // Where nothing but questions remains, no test helps.
    const auto candidate = screenStory("nct05995028-only-questions-remain", everything());
    for (const rules::Evaluation* evaluation : cds_hooks::suggested(candidate)) {
        if (evaluation->trial->id == "NCT05995028") CHECK(cds_hooks::unlocks({evaluation}).empty());
    }
}

TEST_CASE("the card, the table and the line of NDJSON say the same of it") {
    const auto screening = support::screen(support::bundleOf(resources(false)), asOf, everything());
    const auto trials = cds_hooks::suggested(screening);
    const auto unlocks = cds_hooks::unlocks(trials);
    REQUIRE(unlocks.size() > 5);
    const std::string first = cds_hooks::unlockText(unlocks.front());
    CHECK(first.find(" (4 trials, ") != std::string::npos);
    CHECK(cds_hooks::detailMarkdown(screening, trials).starts_with("Most useful next: " + first + " · "));
    CHECK(cds_hooks::tableText(screening, {"x.json", 0}).find("most useful next: " + first + ", ") !=
          std::string::npos);
    CHECK(cds_hooks::ndjsonLine(screening, support::knowledge(), {"x.json", 0})
              .find(R"("unlocks":[{"fact":")" + unlocks.front().fact->name + R"(","criteria":)" +
                    std::to_string(unlocks.front().criteria) + R"(,"trials":["NCT)") != std::string::npos);
}

TEST_CASE("over charts, what helps most charts comes first") {
    const auto without = support::screen(support::bundleOf(resources(false)), asOf, everything());
    const auto with = support::screen(support::bundleOf(resources(true)), asOf, everything());
    cds_hooks::UnlockTally tally;
    CHECK(tally.rows().empty());
    for (const auto* screening : {&without, &with, &with})
        tally.add(cds_hooks::unlocks(cds_hooks::suggested(*screening)));
    const auto rows = tally.rows();
    REQUIRE_FALSE(rows.empty());
    CHECK(rows.front().charts == 3);
    for (const auto& row : rows) {
        if (row.fact->name != "lvef") continue;
        CHECK(row.charts == 1);
        CHECK(row.trials == 4);
        return;
    }
    FAIL("the one chart without an LVEF is not counted");
}
