#pragma once

#include <optional>

#include "fhir/decimal.h"

namespace mapping {

/// All the values that a measurement may mean: "<5" is everything below 5, "55-60 %" is 55 to 60, "1.80" is one point.
struct Interval {
    std::optional<fhir::Rational> low;   ///< nothing: no lower end
    std::optional<fhir::Rational> high;  ///< nothing: no upper end
    bool lowOpen = false;                ///< the low end itself is not meant
    bool highOpen = false;               ///< the high end itself is not meant

    static Interval point(const fhir::Rational& value) { return {value, value, false, false}; }
    static Interval between(const fhir::Rational& low, const fhir::Rational& high) { return {low, high, false, false}; }
    static Interval atLeast(const fhir::Rational& low) { return {low, std::nullopt, false, false}; }
    static Interval atMost(const fhir::Rational& high) { return {std::nullopt, high, false, false}; }
    static Interval above(const fhir::Rational& low) { return {low, std::nullopt, true, false}; }
    static Interval below(const fhir::Rational& high) { return {std::nullopt, high, false, true}; }

    bool isPoint() const { return low && high && *low == *high; }
};

}  // namespace mapping
