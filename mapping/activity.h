#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// What was done, given, taken or ordered, one list for each fact that the codes speak of, and what they leave unsaid.
struct ActivityReading {
    std::vector<std::vector<Evidence>> activities;  ///< by fact
    /// By fact: a resource of a type that this fact reads carries no code in which it could have been recognised
    /// (ruling 16); a drug whose Medication is not here is one.
    std::vector<bool> unrecognisable;
};

/// Whether a resource says that something took place, and how it stands. What did not take place (not done, cancelled,
/// in error, a plan) is left out. Source: NOTES.md, status handling; FHIR R4 value sets of the status elements.
///
/// An event is on file when it happened; a drug is active while it is given, and stopped when it is no longer.
ActivityReading readActivities(const fhir::Chart& chart, const Vocabulary& vocabulary, fhir::Date asOf,
                               std::vector<fhir::Issue>& issues);

}  // namespace mapping
