#include "fhir/decimal.h"

#include <charconv>

namespace fhir {

namespace {

using Integer = boost::multiprecision::cpp_int;

constexpr int mostDigits = 100;
constexpr int mostExponent = 300;

Integer powerOfTen(int exponent) {
    return boost::multiprecision::pow(Integer(10), static_cast<unsigned>(exponent));
}

}  // namespace

std::optional<Rational> parseDecimal(std::string_view text) {
    std::size_t i = 0;
    const bool negative = !text.empty() && text[0] == '-';
    if (negative) ++i;

    std::string digits;
    int fraction = 0;
    bool point = false;
    const std::size_t firstDigit = i;
    for (; i < text.size(); ++i) {
        if (text[i] >= '0' && text[i] <= '9') {
            if (static_cast<int>(digits.size()) == mostDigits) return std::nullopt;
            digits += text[i];
            if (point) ++fraction;
        } else if (text[i] == '.' && !point && i > firstDigit) {
            point = true;
        } else {
            break;
        }
    }
    if (digits.empty() || (point && fraction == 0)) return std::nullopt;

    int exponent = 0;
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        if (i + 1 < text.size() && text[i] == '+' && text[i + 1] != '-') ++i;
        const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), exponent);
        if (error != std::errc() || exponent > mostExponent || exponent < -mostExponent) return std::nullopt;
        i = static_cast<std::size_t>(end - text.data());
    }
    if (i != text.size()) return std::nullopt;

    const std::size_t significant = digits.find_first_not_of('0');
    // A leading zero would make the number octal to the library.
    const std::string_view mantissa =
        significant == std::string::npos ? "0" : std::string_view(digits).substr(significant);
    Integer numerator = 0;
    if (mantissa.size() <= 18) {
        long long small = 0;
        std::from_chars(mantissa.data(), mantissa.data() + mantissa.size(), small);
        numerator = small;
    } else {
        numerator = Integer(std::string(mantissa));
    }
    if (negative) numerator = -numerator;
    exponent -= fraction;
    if (exponent == 0) return Rational(numerator);
    if (exponent > 0) return Rational(numerator * powerOfTen(exponent));
    return Rational(numerator, powerOfTen(-exponent));
}

std::string decimalText(const Rational& value, int places) {
    const Integer scale = powerOfTen(places);
    const Integer numerator = boost::multiprecision::abs(boost::multiprecision::numerator(value)) * scale;
    const Integer denominator = boost::multiprecision::denominator(value);
    Integer quotient;
    Integer remainder;
    boost::multiprecision::divide_qr(numerator, denominator, quotient, remainder);
    const Integer twice = remainder * 2;
    if (twice > denominator || (twice == denominator && quotient % 2 != 0)) ++quotient;

    std::string digits = quotient.str();
    const auto wanted = static_cast<std::size_t>(places);
    if (digits.size() <= wanted) digits.insert(0, wanted + 1 - digits.size(), '0');
    if (places > 0) {
        digits.insert(digits.size() - wanted, 1, '.');
        digits.erase(digits.find_last_not_of('0') + 1);
        if (digits.back() == '.') digits.pop_back();
    }
    if (value < 0 && digits != "0") digits.insert(0, 1, '-');
    return digits;
}

}  // namespace fhir
