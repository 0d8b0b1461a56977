#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace fhir {

/// An exact number. A FHIR decimal is one as it is written; a unit factor such as 1/88.42 is one too, so that equality
/// at a boundary is decided as in decimal arithmetic.
using Rational = boost::multiprecision::cpp_rational;

/// The number that a decimal text says, exactly.
///
/// Nothing when the text is no decimal (FHIR R4, datatypes, decimal), has more than 100 digits, or a power of ten
/// beyond 300: no measurement is written so, and such numbers cost memory without bound.
std::optional<Rational> parseDecimal(std::string_view text);

/// The number as decimal digits, rounded half to even to at most `places` decimals, without trailing zeros.
std::string decimalText(const Rational& value, int places = 3);

}  // namespace fhir
