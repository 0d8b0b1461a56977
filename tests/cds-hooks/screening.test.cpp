#include "cds-hooks/screening.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support.h"

namespace {

/// The trials that a card would show for a relapsed AML beside these resources.
std::string shown(const std::vector<std::string>& resources) {
    std::vector<std::string> all{
        R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-01-01"})",
        R"({"resourceType":"Condition","id":"aml","subject":{"reference":"Patient/p"},"clinicalStatus":{"coding":[{"code":"relapse"}]},
            "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]},"onsetDateTime":"2025-10-01"})"};
    all.insert(all.end(), resources.begin(), resources.end());
    const auto screening = support::screen(support::bundleOf(all), "2025-11-20");
    std::string text;
    for (const rules::Evaluation* evaluation : cds_hooks::suggested(screening)) text += evaluation->trial->id + ' ';
    return text;
}

std::string subject(const std::string& study) {
    return R"({"resourceType":"ResearchSubject","id":"s","status":"on-study","individual":{"reference":"Patient/p"},"study":)" +
           study + "}";
}

std::string consent(const std::string& members) {
    return R"({"resourceType":"Consent","patient":{"reference":"Patient/p"},
        "scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"research"}]},)" +
           members + "}";
}

bool holds(const std::string& text, const std::string& trial) {
    return text.find(trial) != std::string::npos;
}

}  // namespace

TEST_CASE("a patient who is on a study gets no card for it, and one for the others") {
    const std::string everything = shown({});
    REQUIRE(holds(everything, "NCT07109518"));
    REQUIRE(holds(everything, "NCT05995028"));
    const auto onStudy = [&](const std::vector<std::string>& resources) {
        const std::string rest = shown(resources);
        return holds(rest, "NCT05995028") && !holds(rest, "NCT07109518");
    };
    CHECK(onStudy({subject(R"({"identifier":{"value":"NCT07109518"}})")}));
    CHECK(onStudy({subject(R"({"reference":"ResearchStudy/NCT07109518"})")}));
    CHECK(onStudy({subject(R"({"reference":"ResearchStudy/7"})"),
                   R"({"resourceType":"ResearchStudy","id":"7","identifier":[{"value":"NCT07109518"}]})"}));
    CHECK(shown({subject(R"({"reference":"ResearchStudy/7"})")}) == everything);
    // Somebody else's.
    CHECK(shown({R"({"resourceType":"ResearchSubject","status":"on-study","individual":{"reference":"Patient/q"},
                     "study":{"reference":"ResearchStudy/NCT07109518"}})"}) == everything);
}

TEST_CASE("a patient who has refused research gets no card while the refusal is in force") {
    const std::string everything = shown({});
    CHECK(shown({consent(R"("status":"active","provision":{"type":"deny"})")}).empty());
    CHECK(shown({consent(R"("status":"rejected")")}).empty());
    CHECK(shown({consent(R"("status":"active","provision":{"type":"permit"})")}) == everything);
    CHECK(shown({consent(R"("status":"inactive","provision":{"type":"deny"})")}) == everything);
    CHECK(shown({consent(R"("status":"entered-in-error","provision":{"type":"deny"})")}) == everything);
    CHECK(shown({consent(R"("status":"active","dateTime":"2025-11-21","provision":{"type":"deny"})")}) == everything);
    CHECK(shown({consent(R"("status":"active","provision":{"type":"deny","period":{"end":"2025-11-19"}})")}) ==
          everything);
    CHECK(shown({consent(R"("status":"active","provision":{"type":"deny","period":{"end":"2025-11-20"}})")}).empty());
    const std::string one = shown({consent(
        R"("status":"active","provision":{"type":"deny","data":[{"meaning":"instance","reference":{"reference":"ResearchStudy/NCT07109518"}}]})")});
    CHECK(!holds(one, "NCT07109518"));
    CHECK(holds(one, "NCT05995028"));
}

TEST_CASE("a later consent lifts an earlier refusal, and not the other way round") {
    const auto said = [](const std::string& type, const std::string& day, bool thisTrial = false) {
        return consent(R"("status":"active",)" + (day.empty() ? "" : R"("dateTime":")" + day + R"(",)") +
                       R"("provision":{"type":")" + type + '"' +
                       (thisTrial ? R"(,"data":[{"reference":{"reference":"ResearchStudy/NCT07109518"}}]})" : "}"));
    };
    struct Row {
        const char* name;
        std::vector<std::string> consents;
        bool tianjin, shenzhen;  ///< whether a card shows NCT07109518, NCT05995028
    };
    for (const Row& row : std::vector<Row>{
             {"a permit after", {said("deny", "2024-01-01"), said("permit", "2025-01-01")}, true, true},
             {"in the other order of the file", {said("permit", "2025-01-01"), said("deny", "2024-01-01")}, true, true},
             {"a permit before", {said("deny", "2025-01-01"), said("permit", "2024-01-01")}, false, false},
             {"on the same day", {said("deny", "2025-01-01"), said("permit", "2025-01-01")}, false, false},
             {"of a vague date", {said("deny", "2025"), said("permit", "2025-01-01")}, false, false},
             {"undated", {said("deny", ""), said("permit", "2025-01-01")}, false, false},
             {"a permit for one trial", {said("deny", "2024-01-01"), said("permit", "2025-01-01", true)}, true, false},
             {"one trial refused, then research in general",
              {said("deny", "2024-01-01", true), said("permit", "2025-01-01")},
              false,
              true},
             {"a permit that lies ahead", {said("deny", "2024-01-01"), said("permit", "2025-12-01")}, false, false},
         }) {
        CAPTURE(row.name);
        const std::string trials = shown(row.consents);
        CHECK(holds(trials, "NCT07109518") == row.tianjin);
        CHECK(holds(trials, "NCT05995028") == row.shenzhen);
    }
}
