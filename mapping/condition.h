#pragma once

#include <string_view>
#include <vector>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// The detail of a Condition that is provisional, differential or unconfirmed.
inline constexpr std::string_view notConfirmed = "not confirmed";

/// The Conditions of the chart, one list for each fact that their codes speak of, and what they leave unsaid.
struct ConditionReading {
    std::vector<std::vector<Evidence>> conditions;  ///< by fact
    /// By fact: a Condition of this chart carries no code in which this fact could have been recognised (ruling 16).
    std::vector<bool> unrecognisable;
};

/// Refuted and erroneous Conditions are left out, unconfirmed ones and codes under review have basis unconfirmed.
/// Source: clinical README rulings 2, 3, 12, 16, 17.
ConditionReading readConditions(const fhir::Chart& chart, const Vocabulary& vocabulary, fhir::Date asOf,
                                std::vector<fhir::Issue>& issues);

}  // namespace mapping
