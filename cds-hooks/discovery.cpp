#include "cds-hooks/discovery.h"

#include <algorithm>
#include <map>
#include <set>

#include "fhir/json.h"
#include "fhir/resource.h"

namespace cds_hooks {

const std::vector<Service>& services() {
    using Kind = ContextField::Kind;
    static const ContextField user{"userId"};
    static const ContextField patient{"patientId"};
    static const ContextField encounter{"encounterId", Kind::text, false};
    static const std::vector<Service> all{
        {"cd7-trials", "patient-view", "CD7 trial screening", {user, patient, encounter}, {}},
        {"cd7-trials-encounter-start",
         "encounter-start",
         "CD7 trial screening at the start of an encounter",
         {user, patient, {"encounterId"}},
         {}},
        {"cd7-trials-order-select",
         "order-select",
         "CD7 trials that a selected order would touch",
         {user, patient, encounter, {"selections", Kind::list}, {"draftOrders", Kind::bundle}},
         "draftOrders"},
        {"cd7-trials-order-sign",
         "order-sign",
         "CD7 trials that an order would touch",
         {user, patient, encounter, {"draftOrders", Kind::bundle}},
         "draftOrders"},
        {"cd7-trials-appointment-book",
         "appointment-book",
         "CD7 trial screening when an appointment is booked",
         {user, patient, encounter, {"appointments", Kind::bundle}},
         {}},
    };
    return all;
}

const Service* findService(std::string_view id) {
    const auto found =
        std::find_if(services().begin(), services().end(), [&](const Service& service) { return service.id == id; });
    return found == services().end() ? nullptr : &*found;
}

std::vector<PrefetchTemplate> prefetchTemplates(const mapping::Vocabulary& vocabulary) {
    std::vector<PrefetchTemplate> templates;
    templates.push_back({"patient", "Patient/{{context.patientId}}", "Patient", ""});
    templates.push_back({"conditions", "Condition?patient={{context.patientId}}", "Condition", ""});

    // Everything of the types that hold procedures, drugs, allergies and plans: what carries no code has to be seen as
    // well.
    for (const auto& [key, type] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
             {"procedures", "Procedure"},
             {"medicationRequests", "MedicationRequest"},
             {"medicationStatements", "MedicationStatement"},
             {"medicationAdministrations", "MedicationAdministration"},
             {"immunizations", "Immunization"},
             {"allergies", "AllergyIntolerance"},
             {"serviceRequests", "ServiceRequest"},
             {"carePlans", "CarePlan"},
             {"researchSubjects", "ResearchSubject"},
             {"consents", "Consent"}})
        templates.push_back(
            {std::string(key), std::string(type) + "?patient={{context.patientId}}", std::string(type), ""});

    // What people answered to the questions of the trials.
    templates.push_back(
        {"screeningForms", "QuestionnaireResponse?patient={{context.patientId}}", "QuestionnaireResponse", ""});

    // One query a group of facts: one list of all codes would be longer than servers accept.
    std::vector<std::string> order;
    std::map<std::string, std::set<std::string>> codes;
    for (const mapping::CodeRow& row : vocabulary.rows()) {
        const mapping::FactDefinition& fact = vocabulary.facts()[row.fact];
        // Findings whose absence counts are asked for by their SNOMED CT codes too, unless a laboratory test decides.
        const std::string_view system = vocabulary.systemName(row.system);
        const bool findingByCode =
            system == "snomed" && fact.absentMeansNo && fact.derivation == mapping::Derivation::none;
        const bool wanted = row.role == mapping::Role::accept && (system == "loinc" || findingByCode) &&
                            std::find(fact.sources.begin(), fact.sources.end(), "Observation") != fact.sources.end();
        if (!wanted || (fact.hint && fact.name != "inspiredOxygen")) continue;
        if (!codes.contains(fact.group)) order.push_back(fact.group);
        codes[fact.group].insert(std::string(vocabulary.systemUri(row.system)) + '|' + row.code);
    }
    for (const std::string& group : order) {
        std::string query = "Observation?patient={{context.patientId}}&code=";
        bool first = true;
        for (const std::string& code : codes[group]) {
            if (!first) query += ',';
            first = false;
            query += code;
        }
        templates.push_back({group, query, "Observation", group});
    }
    return templates;
}

std::string queryFor(const PrefetchTemplate& expected, const std::string& patientId) {
    static constexpr std::string_view token = "{{context.patientId}}";
    if (!fhir::isId(patientId)) return {};
    std::string query = expected.query;
    for (auto at = query.find(token); at != std::string::npos; at = query.find(token))
        query.replace(at, token.size(), patientId);
    return query;
}

namespace {

/// Of CDS Hooks; the element itself comes from the 3.0.0 ballot.
constexpr std::string_view specificationVersion = "2.0.1";

std::string_view descriptionOf(const Service& service) {
    return service.orders.empty()
               ? "Suggests CD7-directed CAR-T and CAR-NK trials that a patient may enter, with the reasons and what is "
                 "still missing. A screening aid for professionals."
               : "Names the CD7-directed CAR-T and CAR-NK trials that a patient may enter and that a draft order would "
                 "close, with the day on which they would be open again. Silent for every other order. A screening aid "
                 "for professionals.";
}

}  // namespace

std::string discoveryJson(const Knowledge& knowledge) {
    fhir::json::Writer writer;
    writer.beginObject().name("services").beginArray();
    for (const Service& service : services()) {
        if (knowledge.trials.empty()) break;  // every trial is switched off: there is nothing to serve
        writer.beginObject()
            .member("hook", service.hook)
            .member("title", service.title)
            .member("description", descriptionOf(service))
            .member("id", service.id)
            .member("version", specificationVersion)
            .name("prefetch")
            .beginObject();
        for (const PrefetchTemplate& prefetch : knowledge.prefetch) writer.member(prefetch.key, prefetch.query);
        writer.endObject()
            .member("usageRequirements",
                    "Send the prefetch data, or fhirServer and fhirAuthorization with which the service may read what "
                    "is missing. What could not be had is named in the card as not read.")
            .endObject();
    }
    writer.endArray().endObject();
    return std::string(writer.text());
}

}  // namespace cds_hooks
