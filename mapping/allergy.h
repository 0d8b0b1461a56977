#pragma once

#include <vector>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// Adds the allergies of the chart to the conditions of the facts that they speak of. `unrecognisable` is given the
/// facts that an allergy leaves open, because its substance could be anything (ruling 16).
///
/// Refuted and erroneous ones are left out; unconfirmed ones, intolerances and what lacks a proven severity do not
/// decide. "No known allergy" is evidence against, unless an allergy stands beside it.
/// Source: NOTES.md, status handling; criteria.json, allergy facts; FHIR R4, AllergyIntolerance.
void readAllergies(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable);

}  // namespace mapping
