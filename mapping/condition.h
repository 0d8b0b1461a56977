#pragma once

#include <string_view>
#include <vector>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// The detail of a Condition that is provisional, differential or unconfirmed.
inline constexpr std::string_view notConfirmed = "not confirmed";

/// Adds the Conditions of the chart to the conditions of the facts that their codes speak of. `unrecognisable` is
/// given the facts that a Condition leaves open, because it carries no code in which they could have been recognised
/// (ruling 16).
///
/// Refuted and erroneous Conditions are left out, unconfirmed ones and codes under review have basis unconfirmed.
/// Source: clinical README rulings 2, 3, 12, 16, 17.
void readConditions(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable);

}  // namespace mapping
