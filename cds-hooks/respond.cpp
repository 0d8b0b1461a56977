#include "cds-hooks/respond.h"

#include <algorithm>
#include <array>
#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cctype>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "cds-hooks/order.h"
#include "cds-hooks/questionnaire.h"
#include "cds-hooks/screening.h"
#include "fhir/bundle.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "fhir/searchset.h"

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

std::string requiredString(Value object, std::string_view name, const std::string& place) {
    const Value value = object[name];
    if (!value) throw Refusal{400, "required", place + std::string(name) + " is missing"};
    if (!value.isString() || value.text().empty())
        throw Refusal{400, "value", place + std::string(name) + " is not a string with text in it"};
    return std::string(value.text());
}

/// What one prefetch value says about its query (rows 45 to 55 of the checklist).
enum class Prefetched { absent, empty, failed, resource, unreadable };

/// `value` is the member of that key; no node when there is none.
Prefetched classify(Value value) {
    if (value.node() == nullptr) return Prefetched::absent;
    if (value.kind() == fhir::json::Kind::null) return Prefetched::empty;  // the client looked, there is nothing
    if (!value.isObject()) return Prefetched::unreadable;
    return value["resourceType"].text() == "OperationOutcome" ? Prefetched::failed : Prefetched::resource;
}

/// The Patient of a prefetch with its place: under its key, or under whatever name an analyst gave it; nothing when
/// there is none.
fhir::Source patientOf(Value prefetch) {
    if (prefetch["patient"]["resourceType"].text() == "Patient") return {prefetch["patient"], "prefetch.patient"};
    for (const auto [key, value] : prefetch.members()) {
        if (value["resourceType"].text() == "Patient") return {value, "prefetch." + std::string(key)};
    }
    return {};
}

/// One query that may be asked of the client's server: for a key that was not sent, or for the pages behind one that
/// was.
struct Wanted {
    const PrefetchTemplate* expected = nullptr;
    fhir::Query query;
};

/// What a hook's prefetch holds: where the resources are, what of each type was sent, and what could be fetched.
struct Prefetch {
    fhir::Searchsets sets;  ///< the Patient first, if there is one
    fhir::Coverage coverage;
    std::vector<Wanted> wanted;
    bool hasPatient = false;
    bool anythingElse = false;

    void cover(const PrefetchTemplate& expected, Covered covered) {
        if (expected.part.empty()) {
            coverage.set(expected.resourceType, covered);
        } else {
            coverage.set(expected.resourceType, expected.part, covered);
        }
    }
};

/// Throws Refusal when it is not one patient's.
Prefetch readPrefetch(const Knowledge& knowledge, Value root, const std::string& patientId) {
    const Value prefetch = root["prefetch"];
    if (prefetch && !prefetch.isObject()) throw Refusal{412, "required", "prefetch is not an object"};
    Prefetch result;
    const fhir::Source patient = patientOf(prefetch);
    if (patient.value) {
        if (patient.value["id"].text() != patientId)
            throw Refusal{412, "conflict", patient.path + " is not the patient of context.patientId"};
        result.sets.sources.push_back(patient);
        result.hasPatient = true;
    }
    std::vector<std::string> known;
    result.coverage.setAll(Covered::notRead);
    // Facts that no code could ask for are covered by the queries that were not needed.
    result.coverage.set("Observation", Covered::completely);
    for (const PrefetchTemplate& expected : knowledge.prefetch) {
        known.push_back(expected.key);
        const Value value = prefetch[expected.key];
        const Prefetched sentAs = classify(value);
        if (expected.key == "patient") {
            if (!patient.value && sentAs == Prefetched::absent)
                result.wanted.push_back({&expected, {queryFor(expected, patientId)}});
            continue;
        }
        Covered covered = Covered::notRead;
        switch (sentAs) {
            case Prefetched::empty:
                covered = Covered::completely;
                result.anythingElse = true;
                break;
            case Prefetched::resource: {
                result.anythingElse = true;
                if (value["resourceType"].text() != "Bundle") break;
                const Value next = fhir::nextLink(value);
                covered = next || fhir::withholds(value) ? Covered::partly : Covered::completely;
                result.sets.sources.push_back({value, "prefetch." + expected.key});
                // What the first page withholds, further ones do not bring.
                if (next && !fhir::withholds(value, true))
                    result.wanted.push_back({&expected, {std::string(next["url"].text()), true}});
                break;
            }
            case Prefetched::absent:
                result.wanted.push_back({&expected, {queryFor(expected, patientId)}});
                break;
            case Prefetched::failed:
            case Prefetched::unreadable:
                break;
        }
        result.cover(expected, covered);
    }
    // Keys that an analyst named otherwise are read, but prove nothing about completeness.
    for (const auto [key, value] : prefetch.members()) {
        const bool isKnown = std::find(known.begin(), known.end(), key) != known.end();
        const std::string_view type = value["resourceType"].text();
        if (isKnown || type.empty() || type == "Patient" || type == "OperationOutcome") continue;
        result.sets.sources.push_back({value, "prefetch." + std::string(key)});
        result.anythingElse = true;
    }
    std::erase_if(result.wanted, [](const Wanted& wanted) { return wanted.query.text.empty(); });
    return result;
}

/// Takes what was fetched for one query.
void addFetched(Prefetch& prefetch, const Wanted& wanted, const fhir::SearchResult& fetched,
                const std::string& patientId) {
    using Outcome = fhir::SearchResult::Outcome;
    if (wanted.expected->key == "patient") {
        if (fetched.outcome != Outcome::complete) return;
        const Value patient = fetched.pages.front()->root();
        if (patient["resourceType"].text() != "Patient" || patient["id"].text() != patientId) return;
        prefetch.sets.sources.insert(prefetch.sets.sources.begin(), {patient, "fhirServer.patient"});
        prefetch.sets.pages.push_back(fetched.pages.front());
        prefetch.hasPatient = true;
        return;
    }
    if (fetched.outcome == Outcome::failed) return;
    const std::size_t before = prefetch.sets.sources.size();
    prefetch.cover(*wanted.expected,
                   prefetch.sets.add(fetched, "fhirServer." + wanted.expected->key, wanted.query.isPage));
    prefetch.anythingElse = prefetch.anythingElse || prefetch.sets.sources.size() > before;
    if (!wanted.query.isPage || fetched.outcome != Outcome::complete) return;
    for (fhir::Source& source : prefetch.sets.sources) {
        if (source.path == "prefetch." + wanted.expected->key) source.isPage = true;
    }
}

/// Throws Refusal when the Patient, or everything, is missing.
void checkNeeded(const Prefetch& prefetch, Value root) {
    if (!root["prefetch"] && !prefetch.hasPatient)
        throw Refusal{412, "required", "prefetch is missing: the Patient and the queries of discovery are needed"};
    if (!prefetch.hasPatient) throw Refusal{412, "required", "prefetch.patient holds no Patient"};
    if (!prefetch.anythingElse) throw Refusal{412, "required", "prefetch holds the Patient and nothing else"};
}

std::string newUuid() {
    thread_local boost::uuids::random_generator generator;
    return boost::uuids::to_string(generator());
}

/// RFC 4122, section 3: 8-4-4-4-12 hexadecimal digits.
bool isUuid(std::string_view text) {
    if (text.size() != 36) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool isDash = i == 8 || i == 13 || i == 18 || i == 23;
        if (isDash ? text[i] != '-' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) return false;
    }
    return true;
}

/// The context of the hook, as its page says. Throws Refusal that names the field.
void checkContext(Value context, const Service& service) {
    for (const ContextField& field : service.context) {
        const Value value = context[field.name];
        const std::string name = "context." + std::string(field.name);
        if (!value) {
            if (field.required) throw Refusal{400, "required", name + " is missing"};
            continue;
        }
        switch (field.kind) {
            case ContextField::Kind::text:
                requiredString(context, field.name, "context.");
                break;
            case ContextField::Kind::list:
                if (!value.isArray()) throw Refusal{400, "value", name + " is not an array"};
                for (const Value item : value.items()) {
                    if (!item.isString()) throw Refusal{400, "value", name + " holds something that is not a string"};
                }
                break;
            case ContextField::Kind::bundle:
                if (value["resourceType"].text() != "Bundle") throw Refusal{400, "value", name + " is not a Bundle"};
                break;
        }
    }
}

struct DraftOrders {
    std::vector<fhir::Activity> orders;
    std::size_t unread = 0;  ///< malformed ones
};

/// The draft orders of the context about this patient; where `selections` names some of them, those.
DraftOrders draftOrders(Value root, const Service& service, const fhir::Source& patient, const std::string& patientId,
                        const std::shared_ptr<const fhir::json::Document>& document) {
    const Value context = root["context"];
    fhir::Chart drafts = fhir::readChart(
        document, {patient, {context[service.orders], "context." + std::string(service.orders)}}, {}, patientId);
    std::set<std::string_view> selected;
    for (const Value item : context["selections"].items()) selected.insert(item.text());
    const auto isSelected = [&](const fhir::Activity& order) {
        return selected.contains(std::string(order.resourceType) + '/' + std::string(order.id));
    };
    if (std::any_of(drafts.activity.begin(), drafts.activity.end(), isSelected))
        std::erase_if(drafts.activity, [&](const fhir::Activity& order) { return !isSelected(order); });
    return {std::move(drafts.activity), drafts.leftOut};
}

std::vector<const rules::Evaluation*> trialsOf(const std::vector<OrderEffect>& effects) {
    std::vector<const rules::Evaluation*> trials;
    for (const OrderEffect& effect : effects) {
        if (trials.empty() || trials.back() != effect.evaluation) trials.push_back(effect.evaluation);
    }
    return trials;
}

/// What the answer to a hook is made of.
struct HookRequest {
    std::shared_ptr<const fhir::json::Document> document;
    std::string userId;
    std::string patientId;
    std::string encounterId;
    std::string fhirServer;  ///< without a slash at its end
    std::string token;       ///< for it, and for this one request; empty when there is none for this patient
};

/// "Patient/p1" is p1.
std::string_view withoutType(std::string_view reference) {
    static constexpr std::string_view type = "Patient/";
    return reference.starts_with(type) ? reference.substr(type.size()) : reference;
}

HookRequest readHook(std::string_view body, fhir::json::Selection selection, const Service& service, Trace& trace) {
    HookRequest hook;
    hook.document = std::make_shared<fhir::json::Document>(std::string(body), selection);
    const Value root = hook.document->root();
    if (!root.isObject()) throw Refusal{400, "structure", "the body is not a JSON object"};
    const std::string name = requiredString(root, "hook", "");
    const std::string instance = requiredString(root, "hookInstance", "");
    if (isUuid(instance)) trace.hookInstance = instance;
    if (name != service.hook)
        throw Refusal{400, "value", "hook is not the one of this service, " + std::string(service.hook)};
    const Value context = root["context"];
    if (!context) throw Refusal{400, "required", "context is missing"};
    if (!context.isObject()) throw Refusal{400, "value", "context is not an object"};
    checkContext(context, service);
    hook.userId = context["userId"].text();
    hook.patientId = withoutType(context["patientId"].text());
    if (hook.patientId.empty()) throw Refusal{400, "value", "context.patientId names nobody"};
    hook.encounterId = context["encounterId"].text();
    const Value authorization = root["fhirAuthorization"];
    if (authorization && !authorization.isObject()) throw Refusal{400, "value", "fhirAuthorization is not an object"};
    if (authorization && !root["fhirServer"])
        throw Refusal{400, "required", "fhirServer is missing beside fhirAuthorization"};
    if (root["fhirServer"] && !root["fhirServer"].isString()) throw Refusal{400, "value", "fhirServer is not a string"};
    hook.fhirServer = root["fhirServer"].text();
    if (hook.fhirServer.ends_with('/')) hook.fhirServer.pop_back();
    const std::string_view named = withoutType(authorization["patient"].text());
    const bool isForOther = !named.empty() && named != hook.patientId;
    if (isForOther) {
        hook.fhirServer.clear();  // what this token opens is somebody else's
    } else {
        hook.token = authorization["access_token"].text();
    }
    return hook;
}

/// Empty when nothing is wanted, or when the server may not be asked.
std::vector<fhir::SearchResult> fetchWanted(const HookRequest& hook, const std::vector<Wanted>& wanted,
                                            const Fetch& fetch) {
    if (!fetch || hook.fhirServer.empty() || wanted.empty()) return {};
    std::vector<fhir::Query> queries;
    for (const Wanted& each : wanted) queries.push_back(each.query);
    return fetch(hook.fhirServer, hook.token, queries);
}

}  // namespace

Answer outcome(int status, std::string_view code, std::string_view message) {
    fhir::json::Writer writer;
    writer.beginObject()
        .member("resourceType", "OperationOutcome")
        .name("issue")
        .beginArray()
        .beginObject()
        .member("severity", "error")
        .member("code", code)
        .member("diagnostics", message)
        .endObject()
        .endArray()
        .endObject();
    return {status, std::string(writer.text()), "application/json", {}};
}

Answer onlyTakes(std::string_view method) {
    Answer answer = outcome(405, "not-supported", "this path takes " + std::string(method));
    answer.headers.emplace_back("Allow", std::string(method));
    return answer;
}

Answer respondToHook(const Knowledge& knowledge, const Service& service, std::string_view body, fhir::Date asOf,
                     const std::string& cardUuid, const RespondOptions& options, Trace& trace) {
    static const Answer nothing{200, R"({"cards":[]})", "application/json", {}};
    try {
        // No gate can open: the request is checked, and its chart is not read.
        bool isSilent = service.orders.empty() && !knowledge.gateCodes.mayConcern(body) &&
                        (!options.fetch || body.find("\"next\"") == std::string_view::npos);
        using fhir::json::Selection;
        HookRequest hook = readHook(body, isSilent ? Selection::envelope : Selection::elements, service, trace);
        Prefetch prefetch = readPrefetch(knowledge, hook.document->root(), hook.patientId);
        const std::vector<fhir::SearchResult> fetched = fetchWanted(hook, prefetch.wanted, options.fetch);
        if (isSilent && !fetched.empty()) {
            // What was fetched may concern a trial, and then what was sent counts too.
            isSilent = false;
            hook = readHook(body, Selection::elements, service, trace);
            prefetch = readPrefetch(knowledge, hook.document->root(), hook.patientId);
        }
        for (std::size_t i = 0; i < fetched.size(); ++i)
            addFetched(prefetch, prefetch.wanted[i], fetched[i], hook.patientId);
        checkNeeded(prefetch, hook.document->root());
        if (isSilent) {
            for (const rules::Trial& trial : knowledge.trials) trace.trials.emplace_back(trial.id, noDisease);
            return nothing;
        }
        fhir::Chart chart =
            fhir::readChart(hook.document, prefetch.sets.sources, std::move(prefetch.coverage), hook.patientId);
        chart.pages = std::move(prefetch.sets.pages);
        DraftOrders drafts;
        if (!service.orders.empty())
            drafts = draftOrders(hook.document->root(), service, prefetch.sets.sources.front(), hook.patientId,
                                 hook.document);
        const fhir::Chart recorded = drafts.orders.empty() ? fhir::Chart() : chart;
        const Screening screening = screen(knowledge, std::move(chart), asOf);
        for (const rules::Evaluation& evaluation : screening.evaluations)
            trace.trials.emplace_back(evaluation.trial->id,
                                      evaluation.gate ? rules::word(evaluation.status) : noDisease);

        OrderScreening ordered;
        Showing showing{&service, cardUuid, hook.patientId, hook.userId, {}};
        if (service.orders.empty()) {
            showing.trials = suggested(screening);
        } else if (!drafts.orders.empty()) {
            ordered = screenOrders(knowledge, screening, recorded, drafts.orders);
            ordered.unread = drafts.unread;
            showing.trials = trialsOf(ordered.effects);
        }
        if (showing.trials.empty() || (options.mayShow && !options.mayShow(showing))) return nothing;
        for (const rules::Evaluation* evaluation : showing.trials) trace.shown.push_back(evaluation->trial->id);
        const CardSubject subject{cardUuid, hook.patientId, hook.encounterId};
        return {200,
                service.orders.empty() ? cardsJson(screening, knowledge, subject, options.card)
                                       : orderCardsJson(ordered, subject, options.card),
                "application/json",
                {}};
    } catch (const Refusal& refusal) {
        return outcome(refusal.status, refusal.code, refusal.message);
    } catch (const fhir::Error& error) {
        return outcome(400, "structure", error.what());
    }
}

namespace {

/// What stands at a path, and the one method that it takes.
struct Place {
    std::string_view method;
    const Service* service = nullptr;
    const rules::Trial* form = nullptr;
};

std::optional<Place> placeOf(const Knowledge& knowledge, std::string_view path) {
    static constexpr std::string_view discoveryPath = "/cds-services";
    static constexpr std::string_view questionnairePath = "/fhir/Questionnaire/";
    if (path == discoveryPath) return Place{"GET"};
    if (path.starts_with(questionnairePath)) {
        for (const rules::Trial& trial : knowledge.trials) {
            if (trial.id == path.substr(questionnairePath.size())) return Place{"GET", nullptr, &trial};
        }
        return std::nullopt;
    }
    if (!path.starts_with(discoveryPath) || path.substr(discoveryPath.size(), 1) != "/") return std::nullopt;
    const Service* service = findService(path.substr(discoveryPath.size() + 1));
    return service == nullptr ? std::nullopt : std::optional(Place{"POST", service, nullptr});
}

/// What an operator calls it.
std::string_view nameOf(const Place& place) {
    return place.service != nullptr ? place.service->id : place.form != nullptr ? "questionnaire" : "discovery";
}

}  // namespace

std::string_view serviceAt(const Knowledge& knowledge, std::string_view path) {
    const std::optional<Place> place = placeOf(knowledge, path);
    return place ? nameOf(*place) : std::string_view();
}

bool isJson(std::string_view contentType) {
    std::string type(contentType.substr(0, contentType.find(';')));
    std::transform(type.begin(), type.end(), type.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    while (!type.empty() && type.back() == ' ') type.pop_back();
    return type.empty() || type == "application/json" || type.ends_with("+json");
}

Answer respond(const Knowledge& knowledge, const Request& request, fhir::Date asOf, const RespondOptions& options,
               Trace& trace) {
    const std::optional<Place> place = placeOf(knowledge, request.path);
    if (!place) return outcome(404, "not-found", "there is nothing at this path");
    trace.service = nameOf(*place);
    if (request.method != place->method) return onlyTakes(place->method);
    if (place->form != nullptr)
        return {200, questionnaireJson(*place->form, knowledge.vocabulary), "application/fhir+json", {}};
    if (place->service == nullptr) return {200, discoveryJson(knowledge), "application/json", {}};
    if (!isJson(request.contentType)) return outcome(415, "not-supported", "the body is not application/json");
    return respondToHook(knowledge, *place->service, request.body, asOf, newUuid(), options, trace);
}

}  // namespace cds_hooks
