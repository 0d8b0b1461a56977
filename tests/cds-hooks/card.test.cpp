#include "cds-hooks/card.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/markdown.h"
#include "fhir/json.h"
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
        rules::Outcome& outcome = evaluation.outcomes.emplace_back();
        for (std::size_t i = 0; i < missing; ++i) {
            const auto& fact = support::knowledge().vocabulary.facts()[i];
            outcome.open.push_back({0, &fact, nullptr, mapping::Basis::missing});
        }
        evaluation.findings.push_back({nullptr, outcome});
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

namespace {

using fhir::json::Document;
using fhir::json::Value;

/// The card for a relapsed AML of which nothing else is known, with this overlay.
Document cardWith(const std::string& site, const cds_hooks::CardSubject& subject = {"u-1", "p", ""},
                  const cds_hooks::CardOptions& options = {}) {
    std::vector<mapping::Problem> problems;
    const cds_hooks::Knowledge knowledge =
        cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems, cds_hooks::KnowledgeFile{"site.json", site});
    for (const mapping::Problem& problem : problems) FAIL(problem.text());
    const std::string bundle = support::bundleOf(
        {R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-01-01"})",
         R"({"resourceType":"Condition","id":"aml","subject":{"reference":"Patient/p"},"onsetDateTime":"2025-10-01",
             "clinicalStatus":{"coding":[{"code":"relapse"}]},
             "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]}})"});
    const auto screening = cds_hooks::screen(knowledge, support::chartOf(bundle), support::day("2025-11-20"));
    return Document(cds_hooks::cardsJson(screening, knowledge, subject, options));
}

Value onlyCard(const Document& document) {
    Value only;
    std::size_t cards = 0;
    for (const Value card : document.root()["cards"].items()) {
        only = card;
        ++cards;
    }
    REQUIRE_EQ(cards, 1);
    return only;
}

/// The resource that a suggestion would create; nothing when there is no such suggestion.
Value suggested(Value card, std::string_view resourceType) {
    for (const Value suggestion : card["suggestions"].items()) {
        std::size_t actions = 0;
        Value resource;
        for (const Value action : suggestion["actions"].items()) {
            ++actions;
            resource = action["resource"];
            CHECK_EQ(action["type"].text(), "create");
            CHECK_FALSE(action["description"].text().empty());
        }
        CHECK_EQ(actions, 1);
        CHECK_FALSE(suggestion["label"].text().empty());
        CHECK_EQ(suggestion["uuid"].text().size(), 36);
        CHECK(suggestion["isRecommended"].kind() == fhir::json::Kind::boolean);
        CHECK_FALSE(suggestion["isRecommended"].isTrue());
        if (resource["resourceType"].text() == resourceType) return resource;
    }
    return {};
}

Value firstCoding(Value resource) {
    for (const Value coding : resource["code"]["coding"].items()) return coding;
    return {};
}

const std::string lvefOrder =
    R"("orders":{"lvef":{"system":"https://orders.example.org","code":"ECHO","display":"Echocardiogram"}})";

}  // namespace

TEST_CASE("the test that unlocks most is suggested as a draft order: by the site's code, or else by LOINC") {
    const Document plain = cardWith("{}");
    const Value card = onlyCard(plain);
    CHECK_EQ(card["selectionBehavior"].text(), "any");
    const Value byLoinc = suggested(card, "ServiceRequest");
    REQUIRE(byLoinc);
    CHECK_EQ(firstCoding(byLoinc)["system"].text(), "http://loinc.org");
    CHECK_FALSE(suggested(card, "Task"));

    const Document ofSite = cardWith("{" + lvefOrder + "}", {"u-1", "p", "e1"});
    const Value request = suggested(onlyCard(ofSite), "ServiceRequest");
    REQUIRE(request);
    // FHIR R4, ServiceRequest: status, intent and subject are required.
    CHECK_EQ(request["status"].text(), "draft");
    CHECK_EQ(request["intent"].text(), "proposal");
    CHECK_EQ(request["subject"]["reference"].text(), "Patient/p");
    CHECK_EQ(request["encounter"]["reference"].text(), "Encounter/e1");
    CHECK_EQ(firstCoding(request)["system"].text(), "https://orders.example.org");
    CHECK_EQ(firstCoding(request)["code"].text(), "ECHO");
    CHECK_EQ(firstCoding(request)["display"].text(), "Echocardiogram");
}

TEST_CASE("a referral is suggested where the site has a code for it") {
    const Document document =
        cardWith(R"({"referral":{"system":"https://orders.example.org","code":"REF","display":"Trial office"}})");
    const Value task = suggested(onlyCard(document), "Task");
    REQUIRE(task);
    // FHIR R4, Task: status and intent are required.
    CHECK_EQ(task["status"].text(), "draft");
    CHECK_EQ(task["intent"].text(), "proposal");
    CHECK_EQ(task["for"]["reference"].text(), "Patient/p");
    CHECK_EQ(firstCoding(task)["code"].text(), "REF");
    CHECK_NE(task["description"].text().find("NCT07109518"), std::string_view::npos);
}

TEST_CASE("feedback finds its suggestion: uuids follow from the card's and differ within it") {
    const std::string site =
        "{" + lvefOrder +
        R"(,"referral":{"system":"https://orders.example.org","code":"REF","display":"Trial office"}})";
    const auto uuids = [&](const std::string& card) {
        const Document document = cardWith(site, {card, "p", ""});
        std::vector<std::string> all;
        for (const Value suggestion : onlyCard(document)["suggestions"].items())
            all.emplace_back(suggestion["uuid"].text());
        return all;
    };
    const auto first = uuids("u-1");
    REQUIRE_EQ(first.size(), 2);
    CHECK_NE(first[0], first[1]);
    CHECK(first == uuids("u-1"));
    CHECK_NE(first[0], uuids("u-2")[0]);
}

TEST_CASE("the ten reasons to set a card aside stand on it with code, system and display") {
    const Document document = cardWith("{}");
    std::vector<std::string> codes;
    for (const Value reason : onlyCard(document)["overrideReasons"].items()) {
        codes.emplace_back(reason["code"].text());
        CHECK_EQ(reason["system"].text(), "urn:cd7match:override-reason");
        CHECK_FALSE(reason["display"].text().empty());
    }
    CHECK(codes == std::vector<std::string>{"already-screened", "patient-declined", "in-another-trial", "not-now",
                                            "too-unwell", "logistics", "wrong-or-outdated-data", "not-my-patient",
                                            "trial-not-suitable", "never-for-this-patient"});
}

TEST_CASE("a SMART app is linked when it is configured, without appContext and never launched by itself") {
    const auto smartLinks = [](const Document& document) {
        std::vector<std::string> urls;
        for (const Value link : onlyCard(document)["links"].items()) {
            CHECK_FALSE(link["appContext"]);
            CHECK_FALSE(link["autolaunchable"]);
            if (link["type"].text() == "smart") urls.emplace_back(link["url"].text());
        }
        return urls;
    };
    CHECK(smartLinks(cardWith("{}")).empty());
    CHECK(smartLinks(cardWith("{}", {"u", "p", ""}, {"https://app.example.org/launch", "Open"})) ==
          std::vector<std::string>{"https://app.example.org/launch"});
}

TEST_CASE("what a site or a registry writes renders as it is written") {
    struct Row {
        const char* name;
        std::string written, renders, never;
    };
    for (const Row& row : std::vector<Row>{
             {"HTML", "<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;", "<img"},
             {"a pipe", "a|b", "a\\|b", "a|b"},
             {"a backtick", "`rm`", "\\`rm\\`", " `rm"},
             {"a right-to-left mark", "a\u202Eb", "ab", "\u202E"},
             {"five thousand characters", std::string(5000, 'x'), std::string(299, 'x') + "…", std::string(301, 'x')},
         }) {
        CAPTURE(row.name);
        const Document document =
            cardWith(R"({"trials":{"NCT07109518":{"coordinator":{"organization":")" + row.written + R"("}}}})");
        const std::string_view detail = onlyCard(document)["detail"].text();
        CHECK_NE(detail.find(row.renders), std::string_view::npos);
        CHECK_EQ(detail.find(row.never), std::string_view::npos);
    }
}
