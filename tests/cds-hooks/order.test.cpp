#include "cds-hooks/order.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/respond.h"
#include "fhir/json.h"
#include "tests/support.h"

namespace {

using cds_hooks::Answer;
using fhir::json::Document;
using fhir::json::Value;

const std::string rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
const std::string patient = R"({"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1980-05-01"})";
const std::string leukemia =
    R"({"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Condition","id":"c1",
        "clinicalStatus":{"coding":[{"code":"relapse"}]},"onsetDateTime":"2025-10-01",
        "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02"}]},
        "subject":{"reference":"Patient/p1"}}}]})";

/// A draft order of a drug by mouth; `members` begin with a comma.
std::string drug(std::string_view code, std::string_view id = "m1", const std::string& members = {},
                 std::string_view status = "draft", std::string_view subject = "Patient/p1") {
    return R"({"resourceType":"MedicationRequest","id":")" + std::string(id) + R"(","status":")" + std::string(status) +
           R"(","intent":"order","subject":{"reference":")" + std::string(subject) +
           R"("},"medicationCodeableConcept":{"coding":[{"system":")" + rxnorm + R"(","code":")" + std::string(code) +
           R"(","display":"the drug"}]},"dosageInstruction":[{"route":{"coding":[{"system":"http://snomed.info/sct","code":"26643006"}]}}])" +
           members + "}";
}

std::string bundle(const std::vector<std::string>& resources) {
    std::string text;
    for (const std::string& resource : resources)
        text += (text.empty() ? "" : ",") + (R"({"resource":)" + resource + "}");
    return R"({"resourceType":"Bundle","type":"collection","entry":[)" + text + "]}";
}

Answer answerTo(std::string_view hook, const std::string& context, const std::string& conditions = leukemia) {
    const std::string id = "cd7-trials-" + std::string(hook);
    const cds_hooks::Service* service = cds_hooks::findService(id);
    REQUIRE(service != nullptr);
    cds_hooks::Trace trace;
    return cds_hooks::respondToHook(
        support::knowledge(), *service,
        R"({"hook":")" + std::string(hook) +
            R"(","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","context":{"userId":"Practitioner/1","patientId":"p1")" +
            context + R"(},"prefetch":{"patient":)" + patient + R"(,"conditions":)" + conditions + "}}",
        support::day("2025-11-13"), "3f0e1c42-2c53-4d5c-9b3c-0a9a1f2f5a10", {}, trace);
}

Answer sign(const std::vector<std::string>& orders) {
    return answerTo("order-sign", R"(,"draftOrders":)" + bundle(orders));
}

/// The summary of the only card; empty when there is none.
std::string summary(const Answer& answer) {
    REQUIRE_EQ(answer.status, 200);
    const Document document(answer.body);
    for (const Value card : document.root()["cards"].items()) return std::string(card["summary"].text());
    return {};
}

bool names(const Answer& answer, std::string_view words) {
    return summary(answer).find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("an order that a trial counts is named with the day on which its wash-out would be over") {
    // NCT05995028 exc.05: steroids within 7 days before enrollment.
    const Answer answer = sign({drug("8640")});
    CHECK(names(answer, "This order would touch "));
    CHECK(names(answer, "NCT05995028 (clear from 2025-11-21)"));
    const Document document(answer.body);
    for (const Value card : document.root()["cards"].items()) {
        const std::string_view detail = card["detail"].text();
        CHECK_NE(detail.find("- exc.05: the drug would start a wash-out, clear from 2025-11-21"),
                 std::string_view::npos);
        CHECK_NE(detail.find("As if the order were carried out once, on 2025-11-13."), std::string_view::npos);
        CHECK_NE(detail.find("the trial site decides"), std::string_view::npos);
        CHECK_FALSE(card["suggestions"]);
        CHECK(card["overrideReasons"].isArray());
    }
    // NCT07109518 exc.04.1: chemotherapy within 7 days before infusion.
    CHECK(names(sign({drug("3041")}), "NCT07109518 (clear from 2025-11-21)"));
}

TEST_CASE("every other order, and one that is not about to be carried out, leaves the service silent") {
    struct Row {
        const char* name;
        std::vector<std::string> orders;
        bool silent;
    };
    for (const Row& row : std::vector<Row>{
             {"nothing", {}, true},
             {"paracetamol", {drug("161")}, true},
             {"prednisone", {drug("8640")}, false},
             {"prednisone among others", {drug("161", "a"), drug("8640", "b"), drug("723", "c")}, false},
             {"signed again", {drug("8640", "m1", "", "active")}, false},
             {"cancelled", {drug("8640", "m1", "", "cancelled")}, true},
             {"in error", {drug("8640", "m1", "", "entered-in-error")}, true},
             {"not to be given", {drug("8640", "m1", R"(,"doNotPerform":true)")}, true},
             {"somebody else's", {drug("8640", "m1", "", "draft", "Patient/p2")}, true},
             {"a statement is no order",
              {R"({"resourceType":"MedicationStatement","status":"active","subject":{"reference":"Patient/p1"},
                   "medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"8640"}]}})"},
              true},
         }) {
        CAPTURE(row.name);
        CHECK_EQ(summary(sign(row.orders)).empty(), row.silent);
    }
    // Nobody whom a trial could take.
    const std::string context = R"(,"draftOrders":)" + bundle({drug("8640")});
    CHECK_EQ(answerTo("order-sign", context, "null").body, R"({"cards":[]})");
}

TEST_CASE("a draft order that cannot be read is named beside those that were, and makes no card alone") {
    const std::string broken = R"({"resourceType":"MedicationRequest","id":"b","subject":7})";
    const Answer both = sign({drug("8640"), broken, R"({"id":"of no type"})"});
    CHECK_NE(both.body.find("2 draft orders could not be read: not checked"), std::string::npos);
    CHECK_EQ(sign({drug("8640")}).body.find("could not be read"), std::string::npos);
    CHECK_EQ(sign({broken}).body, R"({"cards":[]})");
}

TEST_CASE("an order is understood beside a Patient under another key") {
    cds_hooks::Trace trace;
    const Answer answer = cds_hooks::respondToHook(
        support::knowledge(), *cds_hooks::findService("cd7-trials-order-sign"),
        R"({"hook":"order-sign","hookInstance":"x","context":{"userId":"u","patientId":"p1","draftOrders":)" +
            bundle({drug("8640")}) + R"(},"prefetch":{"item1":)" + patient + R"(,"item2":)" + leukemia + "}}",
        support::day("2025-11-13"), "3f0e1c42-2c53-4d5c-9b3c-0a9a1f2f5a10", {}, trace);
    CHECK(names(answer, "NCT05995028 (clear from 2025-11-21)"));
}

TEST_CASE("draft orders may come with the Patient that they are for, and with nobody else's") {
    const std::string same = R"({"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1979-03-14"})";
    CHECK(names(sign({same, drug("8640")}), "NCT05995028 (clear from 2025-11-21)"));
    CHECK(
        names(sign({R"({"resourceType":"Patient","id":"p2"})", drug("8640")}), "NCT05995028 (clear from 2025-11-21)"));
}

TEST_CASE("of draft orders those that were selected count") {
    const auto select = [](const std::string& selections) {
        return answerTo("order-select", R"(,"selections":)" + selections + R"(,"draftOrders":)" +
                                            bundle({drug("161", "paracetamol"), drug("8640", "prednisone")}));
    };
    CHECK(names(select(R"(["MedicationRequest/prednisone"])"), "NCT05995028"));
    CHECK(summary(select(R"(["MedicationRequest/paracetamol"])")).empty());
    // A selection that names nothing in the Bundle names no order: all of them are looked at.
    CHECK(names(select(R"([])"), "NCT05995028"));
    CHECK(names(select(R"(["MedicationRequest/other"])"), "NCT05995028"));
}

TEST_CASE("each hook asks for its own context, and every service answers its own hook alone") {
    struct Row {
        const char* hook;
        std::string context;
        int status;
        const char* says;
    };
    const std::string orders = R"(,"draftOrders":)" + bundle({});
    for (const Row& row : std::vector<Row>{
             {"encounter-start", R"(,"encounterId":"e1")", 200, "cards"},
             {"encounter-start", "", 400, "context.encounterId is missing"},
             {"encounter-start", R"(,"encounterId":7)", 400, "context.encounterId is not a string"},
             {"order-sign", orders, 200, "cards"},
             {"order-sign", "", 400, "context.draftOrders is missing"},
             {"order-sign", R"(,"draftOrders":[])", 400, "context.draftOrders is not a Bundle"},
             {"order-sign", R"(,"draftOrders":{"resourceType":"Patient"})", 400, "context.draftOrders is not a Bundle"},
             {"order-sign", orders + R"(,"encounterId":[])", 400, "context.encounterId is not a string"},
             {"order-select", orders + R"(,"selections":[])", 200, "cards"},
             {"order-select", orders, 400, "context.selections is missing"},
             {"order-select", orders + R"(,"selections":"x")", 400, "context.selections is not an array"},
             {"order-select", orders + R"(,"selections":[7])", 400, "context.selections holds something"},
             {"appointment-book", R"(,"appointments":{"resourceType":"Bundle"})", 200, "cards"},
             {"appointment-book", "", 400, "context.appointments is missing"},
         }) {
        CAPTURE(row.hook);
        CAPTURE(row.context);
        const Answer answer = answerTo(row.hook, row.context);
        CHECK_EQ(answer.status, row.status);
        CHECK_NE(answer.body.find(row.says), std::string::npos);
    }
    for (const cds_hooks::Service& service : cds_hooks::services()) {
        for (const cds_hooks::Service& other : cds_hooks::services()) {
            cds_hooks::Trace trace;
            const Answer answer = cds_hooks::respondToHook(
                support::knowledge(), service,
                R"({"hookInstance":"x","context":{},"hook":")" + std::string(other.hook) + "\"}",
                support::day("2025-11-13"), "u", {}, trace);
            CHECK_EQ(answer.status, 400);
            CHECK_EQ(answer.body.find("hook is not the one of this service") != std::string::npos,
                     service.hook != other.hook);
        }
    }
}
