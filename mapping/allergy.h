#pragma once

#include <vector>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// The allergies of the chart, one list for each fact that they speak of.
struct AllergyReading {
    std::vector<std::vector<Evidence>> allergies;  ///< by fact
    std::vector<bool> unrecognisable;  ///< by fact: an allergy whose substance could be anything (ruling 16)
};

/// Refuted and erroneous ones are left out; unconfirmed ones, intolerances and what lacks a proven severity do not
/// decide. "No known allergy" is evidence against, unless an allergy stands beside it.
/// Source: NOTES.md, status handling; criteria.json, allergy facts; FHIR R4, AllergyIntolerance.
AllergyReading readAllergies(const fhir::Chart& chart, const Vocabulary& vocabulary, fhir::Date asOf,
                             std::vector<fhir::Issue>& issues);

}  // namespace mapping
