#include "fhir/reader.h"

namespace fhir {

namespace {

using json::Value;

/// A status that is a CodeableConcept of one code.
std::string_view statusCode(const Reader& reader, Value resource, json::Name element) {
    for (const Coding& coding : reader.codeableConcept(resource[element], element.text()).coding) {
        if (!coding.code.empty()) return trimmed(coding.code);
    }
    return {};
}

/// What a reference to a ResearchStudy calls it: the study's identifiers, the reference's own, and its words.
void addStudy(const Reader& reader, Value reference, const Lookup& lookUp, std::vector<std::string_view>& names) {
    const auto add = [&](std::string_view name) {
        if (!name.empty()) names.push_back(name);
    };
    add(reader.text(reference, "reference"));
    add(reader.text(reference, "display"));
    add(reader.text(reference["identifier"], "value"));
    const Value study = lookUp(reference["reference"].text());
    add(reader.text(study, "title"));
    for (const Value identifier : study["identifier"].items()) add(reader.text(identifier, "value"));
}

}  // namespace

AllergyIntolerance readAllergyIntolerance(Value resource, const Place& place, const Patient& patient,
                                          std::vector<Issue>& issues) {
    AllergyIntolerance allergy;
    const Reader reader{place, issues};
    allergy.id = reader.text(resource, "id");
    allergy.clinicalStatus = statusCode(reader, resource, "clinicalStatus");
    allergy.verificationStatus = statusCode(reader, resource, "verificationStatus");
    allergy.type = trimmed(reader.text(resource, "type"));
    const Value category = resource["category"];
    if (category.isString()) allergy.category.push_back(category.text());
    for (const Value item : category.items()) allergy.category.push_back(item.text());
    allergy.code = reader.codeableConcept(resource["code"], "code");
    for (const Value item : resource["reaction"].items()) {
        if (!item.isObject()) continue;
        allergy.reaction.push_back({reader.codeableConcept(item["substance"], "reaction.substance"),
                                    reader.codeableConcepts(item["manifestation"], "reaction.manifestation"),
                                    trimmed(reader.text(item, "severity"))});
    }
    allergy.date = reader.dateTime(resource, "onsetDateTime");
    if (!allergy.date) allergy.date = reader.dateTime(resource["onsetPeriod"], "start");
    if (!allergy.date) allergy.date = dateAtAge(reader.quantity(resource["onsetAge"], "onsetAge"), patient.birthDate);
    allergy.onsetDated = allergy.date.has_value();
    if (!allergy.date) allergy.date = reader.dateTime(resource, "recordedDate");
    return allergy;
}

DiagnosticReport readDiagnosticReport(Value resource, const Place& place, std::vector<Issue>& issues) {
    DiagnosticReport report;
    const Reader reader{place, issues};
    report.id = reader.text(resource, "id");
    report.status = trimmed(reader.text(resource, "status"));
    report.conclusionCode = reader.codeableConcepts(resource["conclusionCode"], "conclusionCode");
    report.effective = reader.dateTime(resource, "effectiveDateTime");
    if (!report.effective) report.effective = reader.dateTime(resource["effectivePeriod"], "end");
    if (!report.effective) report.effective = reader.dateTime(resource, "issued");
    return report;
}

ResearchSubject readResearchSubject(Value resource, const Place& place, const Lookup& lookUp,
                                    std::vector<Issue>& issues) {
    const Reader reader{place, issues};
    ResearchSubject subject;
    subject.id = reader.text(resource, "id");
    subject.status = trimmed(reader.text(resource, "status"));
    addStudy(reader, resource["study"], lookUp, subject.study);
    for (const Value identifier : resource["identifier"].items())
        subject.systems.push_back(reader.text(identifier, "system"));
    return subject;
}

Consent readConsent(Value resource, const Place& place, const Lookup& lookUp, std::vector<Issue>& issues) {
    const Reader reader{place, issues};
    Consent consent;
    consent.id = reader.text(resource, "id");
    const auto isResearch = [](const CodeableConcept& concept_) {
        for (const Coding& coding : concept_.coding) {
            if (trimmed(coding.code) == "research") return true;
        }
        return false;
    };
    consent.research = isResearch(reader.codeableConcept(resource["scope"], "scope"));
    for (const CodeableConcept& category : reader.codeableConcepts(resource["category"], "category"))
        consent.research = consent.research || isResearch(category);
    const std::string_view status = trimmed(reader.text(resource, "status"));
    const Value provision = resource["provision"];
    const std::string_view type = trimmed(reader.text(provision, "type"));
    consent.refuses = status == "rejected" || (status == "active" && type == "deny");
    consent.permits = status == "active" && type == "permit";
    consent.date = reader.dateTime(resource, "dateTime");
    if (!consent.date) consent.date = reader.dateTime(provision["period"], "start");
    consent.end = reader.dateTime(provision["period"], "end");
    for (const Value data : provision["data"].items()) {
        if (data["reference"]["reference"].text().find("ResearchStudy") != std::string_view::npos)
            addStudy(reader, data["reference"], lookUp, consent.study);
    }
    return consent;
}

}  // namespace fhir
