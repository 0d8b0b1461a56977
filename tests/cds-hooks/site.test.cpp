#include "cds-hooks/site.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cds-hooks/card.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/screening.h"
#include "tests/support.h"

namespace {

cds_hooks::Knowledge withSite(const std::string& text) {
    std::vector<mapping::Problem> problems;
    cds_hooks::Knowledge knowledge =
        cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems, cds_hooks::KnowledgeFile{"site.json", text});
    for (const mapping::Problem& problem : problems) FAIL_CHECK(problem.text());
    return knowledge;
}

const rules::Trial* find(const cds_hooks::Knowledge& knowledge, std::string_view id) {
    const auto found = std::find_if(knowledge.trials.begin(), knowledge.trials.end(),
                                    [&](const rules::Trial& trial) { return trial.id == id; });
    return found == knowledge.trials.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("a site switches trials off, and says what it knows of recruitment and whom to ask") {
    const cds_hooks::Knowledge knowledge = withSite(
        R"({"trials":{"NCT05995028":{"enabled":false},"NCT07117175":{"status":{"value":"recruiting","asOf":"2025-11-02"},
            "coordinator":{"name":"Trial <office>","phone":"+00 1"}}}})");
    CHECK(knowledge.trials.size() == 4);
    CHECK(find(knowledge, "NCT05995028") == nullptr);
    const rules::Trial* trial = find(knowledge, "NCT07117175");
    REQUIRE(trial != nullptr);
    CHECK(trial->recruits());
    CHECK(trial->recruitmentAsOf->text() == "2025-11-02");
    CHECK(trial->coordinator == "Trial <office>, +00 1");

    const auto screening = cds_hooks::screen(
        knowledge,
        support::chartOf(support::bundleOf(
            {R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-01-01"})",
             R"({"resourceType":"Condition","id":"aml","subject":{"reference":"Patient/p"},"clinicalStatus":{"coding":[{"code":"relapse"}]},
                 "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]}})"})),
        support::day("2025-11-20"));
    const std::string detail = cds_hooks::detailMarkdown(screening, cds_hooks::suggested(screening));
    CHECK(detail.find("recruiting as of 2025-11-02, as this site says") != std::string::npos);
    CHECK(detail.find("Coordinator: Trial &lt;office&gt;, +00 1") != std::string::npos);
}

TEST_CASE("a status that is dated after the day that is given is a problem, of a trial that is switched off too") {
    const cds_hooks::KnowledgeFile site{
        "site.json",
        R"({"trials":{"NCT05995028":{"enabled":false,"status":{"value":"recruiting","asOf":"2025-11-03"}}}})"};
    const auto problemsOn = [&](std::optional<fhir::Date> today) {
        std::vector<mapping::Problem> problems;
        cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems, site, today);
        return problems;
    };
    CHECK(problemsOn(std::nullopt).empty());
    CHECK(problemsOn(support::day("2025-11-03")).empty());
    REQUIRE(problemsOn(support::day("2025-11-02")).size() == 1);
    CHECK(problemsOn(support::day("2025-11-02")).front().text() ==
          "site.json: /trials/NCT05995028/status/asOf: 2025-11-03 lies after today, 2025-11-02");
}

TEST_CASE("the digest of the knowledge covers the overlay") {
    const std::string none = support::knowledge().digest;
    const std::string one = withSite(R"({"freshness":{"lvef":"100 days"}})").digest;
    const std::string other = withSite(R"({"freshness":{"lvef":"101 days"}})").digest;
    CHECK(none != one);
    CHECK(one != other);
}

TEST_CASE("the example of the documentation is sound, and says what its page says") {
    const cds_hooks::Knowledge knowledge = withSite(support::readFile("docs/site.example.json"));
    CHECK(knowledge.trials.size() == 4);
    CHECK(knowledge.site.orders.size() == 2);
    REQUIRE(knowledge.site.referral.has_value());
    CHECK(knowledge.site.referral->code == "REF-TRIAL");
    CHECK(knowledge.vocabulary.find("lvef")->freshFor == 180);
    CHECK(knowledge.vocabulary.find("alt")->upperLimits.size() == 3);
    const auto recognised = [&](std::string_view system) {
        const std::vector<std::size_t>& systems = knowledge.vocabulary.find("allogeneicTransplant")->systems;
        return std::find(systems.begin(), systems.end(), knowledge.vocabulary.system(system)) != systems.end();
    };
    CHECK(recognised("https://procedures.example.org"));
    CHECK_FALSE(recognised("http://www.ama-assn.org/go/cpt"));
}
