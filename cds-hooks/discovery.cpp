#include "cds-hooks/discovery.h"

#include <algorithm>
#include <map>
#include <set>

#include "fhir/json.h"

namespace cds_hooks {

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

std::string discoveryJson(const Knowledge& knowledge) {
    fhir::json::Writer writer;
    writer.beginObject().name("services").beginArray().beginObject();
    writer.member("hook", serviceHook)
        .member("title", "CD7 trial screening")
        .member("description",
                "Suggests CD7-directed CAR-T and CAR-NK trials that a patient may enter, with the reasons and what is "
                "still missing. A screening aid for professionals.")
        .member("id", serviceId)
        .name("prefetch")
        .beginObject();
    for (const PrefetchTemplate& prefetch : prefetchTemplates(knowledge.vocabulary))
        writer.member(prefetch.key, prefetch.query);
    writer.endObject()
        .member(
            "usageRequirements",
            "Send the prefetch data: the service does not fetch by itself. What is not sent is named in the card as "
            "not read.")
        .endObject()
        .endArray()
        .endObject();
    return std::string(writer.text());
}

}  // namespace cds_hooks
