#include "cds-hooks/gate_codes.h"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/respond.h"
#include "tests/model/subjects.h"
#include "tests/support.h"

using cds_hooks::GateCodes;

namespace {

const GateCodes& gateCodes() {
    return support::knowledge().gateCodes;
}

std::string hook(const std::string& resource) {
    return R"({"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context":{"userId":"Practitioner/1","patientId":"p"},
        "prefetch":{"patient":{"resourceType":"Patient","id":"p"},
                    "conditions":{"resourceType":"Bundle","type":"searchset","entry":[{"resource":)" +
           resource + "}]}}}";
}

struct Answered {
    cds_hooks::Answer answer;
    cds_hooks::Trace trace;
};

Answered ask(const std::string& body) {
    Answered result;
    result.answer = cds_hooks::respondToHook(support::knowledge(), *cds_hooks::findService("cd7-trials"), body,
                                             *fhir::Date::of(2025, 11, 13), "uuid", {}, result.trace);
    return result;
}

}  // namespace

TEST_CASE("a diagnosis of a gate is seen wherever its code stands, and however it is written") {
    CHECK(gateCodes().size() > 100);
    for (const std::string_view sound :
         {R"({"code":"C92.02"})", R"({ "code" : "C92.02" })", "{\"code\"\n:\t\"C9202\"}", R"({"code":"c92.0"})",
          R"({"code":" C92.0"})", R"({"system":"http://snomed.info/sct","code":"91861009"})", R"({"code":"C91.50"})",
          R"({"entry":[{"code":"2160-0"},{"valueCodeableConcept":{"coding":[{"code":"C92.0"}]}}]})"}) {
        CAPTURE(sound);
        CHECK(gateCodes().mayConcern(sound));
    }
    for (const std::string_view none :
         {R"({"code":"I10"})", R"({"code":"2160-0","unit":"mg/dL"})", R"({"display":"C92.02"})",
          R"({"codes":"C92.02"})", R"({"code":{"text":"Acute myeloid leukaemia"}})", R"({"code":""})", "", "{",
          R"({"text":"caf\u00e9"})"}) {
        CAPTURE(none);
        CHECK_FALSE(gateCodes().mayConcern(none));
    }
}

TEST_CASE("what its bytes do not tell for certain may concern a trial") {
    for (const std::string_view unclear :
         {R"({"code":"C92\u002e02"})", R"({"c\u006fde":"C92.02"})", R"({"\u0063ode":"C92.02"})", R"({"code":"C92\.0"})",
          R"({"code":91861009})", R"({"code": -1})", R"({"resourceType":"QuestionnaireResponse"})",
          R"({"code":"C92.0)"}) {
        CAPTURE(unclear);
        CHECK(gateCodes().mayConcern(unclear));
    }
    CHECK(GateCodes().mayConcern("{}"));
}

TEST_CASE("a silent chart is answered without its resources being read, and its request is checked all the same") {
    const std::string silent = hook(R"({"resourceType":"Condition","id":"c","code":{"coding":[{"code":"I10"}]}})");
    const Answered answered = ask(silent);
    CHECK_EQ(answered.answer.status, 200);
    CHECK_EQ(answered.answer.body, R"({"cards":[]})");
    REQUIRE_EQ(answered.trace.trials.size(), support::knowledge().trials.size());
    for (const auto& [trial, verdict] : answered.trace.trials) CHECK_EQ(verdict, cds_hooks::noDisease);
    CHECK_EQ(answered.trace.hookInstance, "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea");

    const auto changed = [&](std::string_view from, std::string_view to) {
        std::string body = silent;
        body.replace(body.find(from), from.size(), to);
        return ask(body).answer.status;
    };
    CHECK_EQ(changed("patient-view", "order-sign"), 400);
    CHECK_EQ(changed(R"("id":"p")", R"("id":"q")"), 412);
    CHECK_EQ(changed(R"("patient":{)", R"("nobody":null,"x":{)"), 200);  // found under another name
    CHECK_EQ(changed(R"("resourceType":"Patient",)", ""), 412);
    CHECK_EQ(changed(R"("conditions":{"resourceType":"Bundle")", R"("conditions":{"resourceType":"OperationOutcome")"),
             412);
    CHECK_EQ(changed("}]}}}]", "}]}}}}"), 400);
    CHECK_EQ(changed("}]}}}]}}}", "}]}}}]}}"), 400);
    CHECK_EQ(changed("I10", "\xFF"), 400);
    CHECK_EQ(changed("I10", "tab\there"), 400);
}

TEST_CASE("no gate opens for a drawn patient whose bytes concern no trial") {
    const auto openGates = [](const model::Verdicts& verdicts) {
        std::vector<std::string> open;
        for (const auto& [trial, status] : verdicts.statuses) {
            if (status.ends_with("gate open")) open.push_back(trial + " is open, and the bytes do not tell");
        }
        return open;
    };
    std::atomic<int> silent = 0;
    model::onEveryPatient(3'000, [&](const model::Patient& patient, const model::Style& style) {
        if (gateCodes().mayConcern(model::render(patient, style))) return std::vector<std::string>();
        ++silent;
        return openGates(model::verdicts(patient, style));
    });
    MESSAGE(silent.load() << " of the drawn charts were silent by their bytes");
}

TEST_CASE("no gate opens for a story whose bytes concern no trial") {
    int silent = 0;
    int all = 0;
    for (const auto& folder : std::filesystem::directory_iterator("fixtures/patients")) {
        const std::filesystem::path file = folder.path() / "bundle.json";
        if (!std::filesystem::is_regular_file(file)) continue;
        ++all;
        const std::string text = support::readFile(file.string());
        if (gateCodes().mayConcern(text)) continue;
        ++silent;
        CAPTURE(file.string());
        const auto screening =
            cds_hooks::screen(support::knowledge(), support::chartOf(text), *fhir::Date::of(2025, 11, 13));
        for (const rules::Evaluation& evaluation : screening.evaluations) CHECK_FALSE(evaluation.gate);
    }
    CHECK(all > 20);
    CHECK(silent > 0);
}
