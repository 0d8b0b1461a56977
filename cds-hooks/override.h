#pragma once

#include <array>
#include <string_view>

namespace cds_hooks {

/// Why a clinician may set a card aside; the codes never change, because sites map them. Source: card.md, 10.
struct OverrideReason {
    std::string_view code;
    std::string_view display;
    std::string_view nonAdherence;  ///< the HL7 code that means the same; empty where none does
};

inline constexpr std::string_view overrideReasonSystem = "urn:cd7match:override-reason";
/// Source: CDS Hooks 3.0.0-ballot, suggested override reasons; checklist row 89.
inline constexpr std::string_view nonAdherenceSystem =
    "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes";

inline constexpr std::array<OverrideReason, 10> overrideReasons{{
    {"already-screened", "Already screened for this trial", ""},
    {"patient-declined", "Patient declined", "patient-refuses"},
    {"in-another-trial", "In another trial", ""},
    {"not-now", "Not now, ask again later", ""},
    {"too-unwell", "Patient is too unwell", ""},
    {"logistics", "Travel or logistics", ""},
    {"wrong-or-outdated-data", "The data are wrong or outdated", ""},
    {"not-my-patient", "Not my patient", ""},
    {"trial-not-suitable", "Trial is not suitable for this patient", "patient-ineligible"},
    {"never-for-this-patient", "Never show this for this patient", ""},
}};

}  // namespace cds_hooks
