#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// Adds what was done, given, taken or ordered to the conditions of the facts that the codes speak of. `unrecognisable`
/// is given the facts that read resources of this type and could not have been recognised in one by the codes that
/// it carries (ruling 16); a drug whose Medication is not here is one.
///
/// Whether a resource says that something took place, and how it stands. What did not take place (not done, cancelled,
/// in error, a plan) is left out. Source: NOTES.md, status handling; FHIR R4 value sets of the status elements.
///
/// An event is on file when it happened; a drug is active while it is given, and stopped when it is no longer.
void readActivities(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable);

}  // namespace mapping
