#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "fhir/word_table.h"

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

/// Every type from whose resources something is read.
inline constexpr auto readTypes = [] {
    std::array<std::string_view, 3 + patientTypes.size() + referencedTypes.size()> types{"Patient", "Bundle",
                                                                                         "OperationOutcome"};
    std::copy(referencedTypes.begin(), referencedTypes.end(),
              std::copy(patientTypes.begin(), patientTypes.end(), types.begin() + 3));
    return types;
}();
using TypeTable = WordTable<readTypes, 8>;
inline constexpr TypeTable typeTable;

/// The position of a type among readTypes counted from 1; 0 for every other one.
using TypeId = TypeTable::Id;
constexpr TypeId typeId(std::string_view type) {
    return typeTable.find(type);
}

/// What resources of a type are to a chart.
enum class TypeUse : std::uint8_t { none, patient, bundle, outcome, record, activity, referenced };
inline constexpr auto typeUses = [] {
    std::array<TypeUse, readTypes.size() + 1> uses{};
    for (const std::string_view type : readTypes) {
        uses[typeId(type)] = isOneOf(recordTypes, type)       ? TypeUse::record
                             : isOneOf(activityTypes, type)   ? TypeUse::activity
                             : isOneOf(referencedTypes, type) ? TypeUse::referenced
                             : type == "Bundle"               ? TypeUse::bundle
                             : type == "OperationOutcome"     ? TypeUse::outcome
                                                              : TypeUse::patient;
    }
    return uses;
}();

constexpr bool isActivity(std::string_view type) {
    return typeUses[typeId(type)] == TypeUse::activity;
}

/// Whether anything is read from resources of this type.
constexpr bool isReadType(std::string_view type) {
    return typeId(type) != 0;
}

}  // namespace fhir
