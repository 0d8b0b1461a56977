#include "cds-hooks/respond.h"

#include <algorithm>
#include <array>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <memory>
#include <utility>

#include "cds-hooks/card.h"
#include "cds-hooks/discovery.h"
#include "cds-hooks/questionnaire.h"
#include "cds-hooks/screening.h"
#include "fhir/bundle.h"
#include "fhir/error.h"
#include "fhir/json.h"

namespace cds_hooks {

using fhir::Covered;
using fhir::json::Value;

namespace {

/// What is wrong with a request, as the client is told.
struct Refusal {
    int status;
    std::string code;  ///< FHIR R4 issue-type
    std::string message;
};

Answer answerOf(const Refusal& refusal) {
    fhir::json::Writer writer;
    writer.beginObject()
        .member("resourceType", "OperationOutcome")
        .name("issue")
        .beginArray()
        .beginObject()
        .member("severity", "error")
        .member("code", refusal.code)
        .member("diagnostics", refusal.message)
        .endObject()
        .endArray()
        .endObject();
    return {refusal.status, std::string(writer.text()), "application/json", {}};
}

std::string requiredString(Value object, std::string_view name, const std::string& place) {
    const Value value = object[name];
    if (!value) throw Refusal{400, "required", place + std::string(name) + " is missing"};
    if (!value.isString() || value.text().empty())
        throw Refusal{400, "value", place + std::string(name) + " is not a string with text in it"};
    return std::string(value.text());
}

/// What one prefetch value says about its query (rows 45 to 55 of the checklist).
enum class Prefetched { absent, empty, failed, resource, unreadable };

Prefetched classify(Value prefetch, std::string_view key) {
    for (const auto [name, value] : prefetch.members()) {
        if (name != key) continue;
        if (value.kind() == fhir::json::Kind::null) return Prefetched::empty;  // the client looked, there is nothing
        if (!value.isObject()) return Prefetched::unreadable;
        return value["resourceType"].text() == "OperationOutcome" ? Prefetched::failed : Prefetched::resource;
    }
    return Prefetched::absent;
}

Covered coveredBy(Value bundle) {
    for (const Value link : bundle["link"].items()) {
        if (link["relation"].text() == "next") return Covered::partly;
    }
    return Covered::completely;
}

/// The chart that a hook's prefetch holds. Throws Refusal.
fhir::Chart chartOf(const Knowledge& knowledge, std::shared_ptr<const fhir::json::Document> document,
                    const std::string& patientId) {
    const Value prefetch = document->root()["prefetch"];
    if (!prefetch.isObject())
        throw Refusal{412, "required", "prefetch is missing: the Patient and the queries of discovery are needed"};
    if (classify(prefetch, "patient") != Prefetched::resource ||
        prefetch["patient"]["resourceType"].text() != "Patient")
        throw Refusal{412, "required", "prefetch.patient holds no Patient"};
    const std::string_view sent = prefetch["patient"]["id"].text();
    if (sent != patientId) throw Refusal{412, "conflict", "prefetch.patient is not the patient of context.patientId"};

    fhir::Coverage coverage;
    std::vector<fhir::Source> sources{{prefetch["patient"], "prefetch.patient"}};
    std::vector<std::string> known;
    coverage.setAll(Covered::notRead);
    const std::vector<PrefetchTemplate> templates = prefetchTemplates(knowledge.vocabulary);
    // Facts that no code could ask for are covered by the queries that were not needed.
    coverage.set("Observation", Covered::completely);
    for (const PrefetchTemplate& expected : templates) {
        known.push_back(expected.key);
        if (expected.key == "patient") continue;
        Covered covered = Covered::notRead;
        switch (classify(prefetch, expected.key)) {
            case Prefetched::empty:
                covered = Covered::completely;
                break;
            case Prefetched::resource: {
                const Value value = prefetch[expected.key];
                if (value["resourceType"].text() != "Bundle") break;
                covered = coveredBy(value);
                if (fhir::withholds(value)) covered = Covered::partly;
                sources.push_back({value, "prefetch." + expected.key});
                break;
            }
            case Prefetched::absent:
            case Prefetched::failed:
            case Prefetched::unreadable:
                break;
        }
        if (expected.part.empty()) {
            coverage.set(expected.resourceType, covered);
        } else {
            coverage.set(expected.resourceType, expected.part, covered);
        }
    }
    bool anythingSent = std::any_of(templates.begin(), templates.end(), [&](const PrefetchTemplate& expected) {
        const Prefetched sentAs = classify(prefetch, expected.key);
        return expected.key != "patient" && (sentAs == Prefetched::empty || sentAs == Prefetched::resource);
    });
    // Keys that an analyst named otherwise are read, but prove nothing about completeness.
    for (const auto [key, value] : prefetch.members()) {
        const bool isKnown = std::find(known.begin(), known.end(), key) != known.end();
        if (!isKnown && value["resourceType"].text() == "Bundle")
            sources.push_back({value, "prefetch." + std::string(key)});
    }
    anythingSent = anythingSent || sources.size() > 1;
    if (!anythingSent) throw Refusal{412, "required", "prefetch holds the Patient and nothing else"};
    return fhir::readChart(std::move(document), sources, std::move(coverage));
}

std::string newUuid() {
    thread_local boost::uuids::random_generator generator;
    return boost::uuids::to_string(generator());
}

}  // namespace

Answer respondToHook(const Knowledge& knowledge, std::string_view body, fhir::Date asOf, const std::string& cardUuid) {
    try {
        auto document = std::make_shared<fhir::json::Document>(std::string(body));
        const Value root = document->root();
        if (!root.isObject()) throw Refusal{400, "structure", "the body is not a JSON object"};
        const std::string hook = requiredString(root, "hook", "");
        requiredString(root, "hookInstance", "");
        if (hook != serviceHook) throw Refusal{400, "value", "hook is not one that this service serves"};
        const Value context = root["context"];
        if (!context) throw Refusal{400, "required", "context is missing"};
        if (!context.isObject()) throw Refusal{400, "value", "context is not an object"};
        requiredString(context, "userId", "context.");
        std::string patientId = requiredString(context, "patientId", "context.");
        if (patientId.starts_with("Patient/")) patientId.erase(0, std::string_view("Patient/").size());
        if (root["fhirAuthorization"] && !root["fhirServer"])
            throw Refusal{400, "required", "fhirServer is missing beside fhirAuthorization"};

        const Screening screening = screen(knowledge, chartOf(knowledge, document, patientId), asOf);
        return {200, cardsJson(screening, cardUuid), "application/json", {}};
    } catch (const Refusal& refusal) {
        return answerOf(refusal);
    } catch (const fhir::Error& error) {
        return answerOf({400, "structure", error.what()});
    }
}

Answer respond(const Knowledge& knowledge, const Request& request, fhir::Date asOf) {
    static constexpr std::string_view discoveryPath = "/cds-services";
    static const std::string servicePath = std::string(discoveryPath) + '/' + std::string(serviceId);
    static constexpr std::string_view questionnairePath = "/fhir/Questionnaire/";
    const bool isDiscovery = request.path == discoveryPath;
    const rules::Trial* form = nullptr;
    if (request.path.starts_with(questionnairePath)) {
        const std::string_view id = std::string_view(request.path).substr(questionnairePath.size());
        for (const rules::Trial& trial : knowledge.trials) {
            if (trial.id == id) form = &trial;
        }
    }
    if (!isDiscovery && form == nullptr && request.path != servicePath)
        return answerOf({404, "not-found", "there is nothing at this path"});
    const std::string_view allowed = isDiscovery || form != nullptr ? "GET" : "POST";
    if (request.method != allowed) {
        Answer answer = answerOf({405, "not-supported", "this path takes " + std::string(allowed)});
        answer.headers.emplace_back("Allow", std::string(allowed));
        return answer;
    }
    if (form != nullptr) return {200, questionnaireJson(*form, knowledge.vocabulary), "application/fhir+json", {}};
    if (isDiscovery) return {200, discoveryJson(knowledge), "application/json", {}};
    return respondToHook(knowledge, request.body, asOf, newUuid());
}

}  // namespace cds_hooks
