#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace fhir {

/// Resources that say that something was done, given, taken, ordered or planned (readActivities).
inline constexpr std::array<std::string_view, 8> activityTypes{
    "Procedure",          "MedicationRequest", "MedicationStatement", "MedicationAdministration",
    "MedicationDispense", "Immunization",      "ServiceRequest",      "CarePlan"};

/// The other resources about a patient that are read.
inline constexpr std::array<std::string_view, 7> recordTypes{
    "Observation",     "Condition", "AllergyIntolerance",   "DiagnosticReport",
    "ResearchSubject", "Consent",   "QuestionnaireResponse"};

/// All of them: what is asked for and exported of a patient.
inline constexpr auto patientTypes = [] {
    std::array<std::string_view, recordTypes.size() + activityTypes.size()> types{};
    std::copy(activityTypes.begin(), activityTypes.end(),
              std::copy(recordTypes.begin(), recordTypes.end(), types.begin()));
    return types;
}();

/// What those refer to.
inline constexpr std::array<std::string_view, 2> referencedTypes{"Medication", "ResearchStudy"};

constexpr bool isOneOf(const auto& types, std::string_view type) {
    return std::find(types.begin(), types.end(), type) != types.end();
}

constexpr bool isActivity(std::string_view type) {
    return isOneOf(activityTypes, type);
}

/// Whether anything is read from resources of this type.
constexpr bool isReadType(std::string_view type) {
    return type == "Patient" || type == "Bundle" || type == "OperationOutcome" || isOneOf(patientTypes, type) ||
           isOneOf(referencedTypes, type);
}

}  // namespace fhir
