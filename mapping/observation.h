#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// Which results are read: all of them, or none that could be put aside for a newer one that decides.
enum class Results { all, unlessOutdated };

/// Adds the results that the chart's Observations and their components hold to those of the facts, unselected. True
/// when an Observation carries no code.
///
/// Usable ones have basis recorded; the others say why they are not. Source: clinical README rulings 7 to 10, 22, 26.
bool readObservations(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts,
                      Results wanted = Results::all);

/// The newest usable ones of these results (ruling 10); an equivocal one competes too. Several when time does not tell
/// them apart; when none is usable, the newest unusable one. Their order in the chart never matters. With `method` of
/// those alone that state it.
std::vector<Evidence> selectNewest(const std::vector<Evidence>& results, const Method* method = nullptr);

/// Marks results older than the fact's window, and those whose date is too vague to tell.
void markStale(std::vector<Evidence>& results, fhir::Date asOf);

/// Puts a positive result that time does not take back (ruling 5) beside the results that count: alone it decides,
/// against a later negative it conflicts. `all` are those that `results` were chosen from.
void keepPositive(std::vector<Evidence>& results, const std::vector<Evidence>& all);

/// A number with its unit in the fact's unit. Errors: the basis says why there is none.
struct Measured {
    Interval value;
    Basis basis = Basis::recorded;
    std::optional<fhir::Rational> factor;  ///< nothing when the unit is read but not converted
};
Measured measure(const fhir::Quantity& quantity, const FactDefinition& fact, const Vocabulary& vocabulary);

}  // namespace mapping
