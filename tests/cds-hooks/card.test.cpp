#include "cds-hooks/card.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cds-hooks/markdown.h"
#include "tests/support.h"

namespace {

/// An evaluation of a made-up trial that waits for so many facts.
struct Made {
    rules::Trial trial;
    rules::Evaluation evaluation;
    Made(const std::string& id, const std::string& recruitment, std::size_t missing) {
        trial.id = id;
        trial.recruitment = recruitment;
        trial.criteria.emplace_back();
        trial.criteria.front().required = true;
        evaluation.status = missing == 0 ? rules::Status::candidate : rules::Status::potentialCandidate;
        evaluation.findings.emplace_back();
        for (std::size_t i = 0; i < missing; ++i) {
            const auto& fact = support::knowledge().vocabulary.facts()[i];
            evaluation.findings.front().outcome.open.push_back({0, &fact, nullptr, mapping::Basis::missing});
        }
    }
    const rules::Evaluation* pointer() {
        evaluation.trial = &trial;
        evaluation.findings.front().criterion = &trial.criteria.front();
        return &evaluation;
    }
};

}  // namespace

TEST_CASE("the summary counts and promises nothing") {
    Made open("NCT00000001", "recruiting", 1);
    Made several("NCT00000002", "recruiting", 3);
    Made closed("NCT00000003", "not yet recruiting", 3);
    Made questions("NCT00000004", "recruiting", 0);
    CHECK_EQ(cds_hooks::summaryText({open.pointer()}), "1 CD7 trial may fit: NCT00000001 (1 item open)");
    CHECK_EQ(cds_hooks::summaryText({several.pointer(), closed.pointer()}),
             "2 CD7 trials may fit: NCT00000002 (3 items open), NCT00000003 (not yet open)");
    CHECK_EQ(cds_hooks::summaryText({questions.pointer()}), "1 CD7 trial may fit: NCT00000004 (questions only)");
}

TEST_CASE("the summary has at most 139 code points, however many trials and however long their names") {
    std::vector<Made> made;
    made.reserve(40);
    std::vector<const rules::Evaluation*> trials;
    for (int i = 0; i < 40; ++i) {
        made.emplace_back("NCT000000" + std::to_string(10 + i) + (i == 0 ? std::string(300, 'x') : ""), "recruiting",
                          12);
        trials.push_back(made.back().pointer());
        CHECK_LE(cds_hooks::countCodePoints(cds_hooks::summaryText(trials)), 139);
    }
    const std::vector<const rules::Evaluation*> named(trials.begin() + 1, trials.end());
    const std::string summary = cds_hooks::summaryText(named);
    CHECK(summary.starts_with("39 CD7 trials may fit: NCT00000011 (12 items open)"));
    CHECK(summary.ends_with(" more"));
}

TEST_CASE("trials that recruit come before those that do not, then the one with the fewest missing facts") {
    const std::string bundle = support::bundleOf(
        {R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-05-01"})",
         R"({"resourceType":"Condition","id":"c","clinicalStatus":{"coding":[{"code":"active"}]},"subject":{"reference":"Patient/p"},)"
         R"("code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.00"}]}})"});
    const auto screening = support::screen(bundle, "2025-11-13", support::covering({"Condition"}));
    const auto trials = cds_hooks::suggested(screening);
    REQUIRE_GE(trials.size(), 2);
    for (std::size_t i = 1; i < trials.size(); ++i) {
        CHECK_GE(trials[i - 1]->trial->recruits(), trials[i]->trial->recruits());
        if (trials[i - 1]->trial->recruits() == trials[i]->trial->recruits())
            CHECK_LE(trials[i - 1]->missing.size(), trials[i]->missing.size());
    }
}
