#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fhir {

struct LargeRational;

/// An exact number. A FHIR decimal is one as it is written; a unit factor such as 1/88.42 is one too, so that equality
/// at a boundary is decided as in decimal arithmetic.
///
/// Two machine words hold what charts hold; what does not fit is kept by Boost.Multiprecision. Division by zero is ours
/// to avoid.
class Rational {
public:
    Rational() = default;
    template <std::integral Number>
    Rational(Number number) : numerator_(static_cast<std::int64_t>(number)) {}
    Rational(std::int64_t numerator, std::int64_t denominator);

    friend Rational operator*(const Rational& left, const Rational& right);
    friend Rational operator/(const Rational& left, const Rational& right);
    friend Rational operator+(const Rational& left, const Rational& right);
    friend Rational operator-(const Rational& left, const Rational& right);
    Rational& operator*=(const Rational& other) { return *this = *this * other; }

    std::strong_ordering operator<=>(const Rational& other) const;
    bool operator==(const Rational& other) const { return (*this <=> other) == 0; }

    /// As decimalText, of a number that two machine words hold, to twelve decimals at most; nothing of others.
    std::optional<std::string> smallText(int places) const;

    friend std::string fractionText(const Rational& value);
    friend std::string decimalText(const Rational& value, int places);
    friend std::optional<Rational> parseDecimal(std::string_view text);
    friend std::optional<Rational> parseFraction(std::string_view text);

private:
    explicit Rational(const LargeRational& number);
    LargeRational exact() const;

    std::int64_t numerator_ = 0;
    std::int64_t denominator_ = 1;                ///< positive
    std::shared_ptr<const LargeRational> large_;  ///< set when the two words do not hold it
};

/// The number that a decimal text says, exactly.
///
/// Nothing when the text is no decimal (FHIR R4, datatypes, decimal), has more than 100 digits, or a power of ten
/// beyond 300: no measurement is written so, and such numbers cost memory without bound.
std::optional<Rational> parseDecimal(std::string_view text);

/// The number exactly, as a fraction in its lowest terms: "9/5", or "2".
std::string fractionText(const Rational& value);

/// The number that fractionText() wrote; nothing when the text is no fraction.
std::optional<Rational> parseFraction(std::string_view text);

/// The number as decimal digits, rounded half to even to at most `places` decimals, without trailing zeros.
std::string decimalText(const Rational& value, int places = 3);

}  // namespace fhir
