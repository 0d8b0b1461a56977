#include "fhir/decimal.h"

#include <boost/multiprecision/cpp_int.hpp>
#include <charconv>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

namespace fhir {

/// Here alone, so that nobody else has to read the headers of Boost.Multiprecision.
struct LargeRational {
    boost::multiprecision::cpp_rational number;
};

namespace {

using Integer = boost::multiprecision::cpp_int;

using Large = boost::multiprecision::cpp_rational;
__extension__ using Wide = __int128;

constexpr int mostDigits = 100;
constexpr int mostExponent = 300;

Integer powerOfTen(int exponent) {
    return boost::multiprecision::pow(Integer(10), static_cast<unsigned>(exponent));
}

bool fits(Wide value) {
    return value >= std::numeric_limits<std::int64_t>::min() && value <= std::numeric_limits<std::int64_t>::max();
}

/// numerator / denominator when both fit into one word, after taking out what they share if they do not at once.
std::optional<Rational> small(Wide numerator, Wide denominator) {
    if (!fits(numerator) || !fits(denominator)) {
        Wide a = numerator < 0 ? -numerator : numerator;
        Wide b = denominator;
        while (b != 0) {
            const Wide rest = a % b;
            a = b;
            b = rest;
        }
        numerator /= a;
        denominator /= a;
        if (!fits(numerator) || !fits(denominator)) return std::nullopt;
    }
    return Rational(static_cast<std::int64_t>(numerator), static_cast<std::int64_t>(denominator));
}

}  // namespace

Rational::Rational(std::int64_t numerator, std::int64_t denominator)
    : numerator_(denominator < 0 ? -numerator : numerator),
      denominator_(denominator < 0 ? -denominator : denominator) {}

Rational::Rational(const LargeRational& large) {
    const Large& number = large.number;
    const Integer top = boost::multiprecision::numerator(number);
    const Integer bottom = boost::multiprecision::denominator(number);
    const Integer most = std::numeric_limits<std::int64_t>::max();
    if (boost::multiprecision::abs(top) <= most && bottom <= most) {
        numerator_ = top.convert_to<std::int64_t>();
        denominator_ = bottom.convert_to<std::int64_t>();
    } else {
        large_ = std::make_shared<const LargeRational>(large);
    }
}

LargeRational Rational::exact() const {
    return large_ ? *large_ : LargeRational{Large(numerator_, denominator_)};
}

Rational operator*(const Rational& left, const Rational& right) {
    if (!left.large_ && !right.large_) {
        const auto result =
            small(Wide{left.numerator_} * right.numerator_, Wide{left.denominator_} * right.denominator_);
        if (result) return *result;
    }
    return Rational(LargeRational{Large(left.exact().number * right.exact().number)});
}

Rational operator/(const Rational& left, const Rational& right) {
    if (!left.large_ && !right.large_) {
        const Wide sign = right.numerator_ < 0 ? -1 : 1;
        const auto result =
            small(sign * left.numerator_ * right.denominator_, sign * left.denominator_ * right.numerator_);
        if (result) return *result;
    }
    return Rational(LargeRational{Large(left.exact().number / right.exact().number)});
}

Rational operator+(const Rational& left, const Rational& right) {
    if (!left.large_ && !right.large_) {
        Wide sum = 0;
        const bool overflows = __builtin_add_overflow(Wide{left.numerator_} * right.denominator_,
                                                      Wide{right.numerator_} * left.denominator_, &sum);
        const auto result = overflows ? std::nullopt : small(sum, Wide{left.denominator_} * right.denominator_);
        if (result) return *result;
    }
    return Rational(LargeRational{Large(left.exact().number + right.exact().number)});
}

Rational operator-(const Rational& left, const Rational& right) {
    return left + right * Rational(-1);
}

std::strong_ordering Rational::operator<=>(const Rational& other) const {
    if (!large_ && !other.large_)
        return Wide{numerator_} * other.denominator_ <=> Wide{other.numerator_} * denominator_;
    const int order = exact().number.compare(other.exact().number);
    return order < 0   ? std::strong_ordering::less
           : order > 0 ? std::strong_ordering::greater
                       : std::strong_ordering::equal;
}

namespace {

/// "-12.50" of at most 18 digits, which is what charts hold; nothing for all others.
std::optional<Rational> parsePlain(std::string_view text) {
    constexpr std::size_t mostLength = 18;
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    if (text.empty() || text.size() > mostLength || text.front() == '.' || text.back() == '.') return std::nullopt;
    std::int64_t number = 0;
    std::int64_t power = 1;
    bool point = false;
    for (const char c : text) {
        if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            number = number * 10 + (c - '0');
            if (point) power *= 10;
        } else {
            return std::nullopt;
        }
    }
    return Rational(negative ? -number : number, power);
}

}  // namespace

std::optional<Rational> parseDecimal(std::string_view text) {
    if (const auto plain = parsePlain(text)) return plain;

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
    exponent -= fraction;
    if (mantissa.size() <= 18 && exponent <= 0 && exponent >= -18) {
        std::int64_t number = 0;
        std::from_chars(mantissa.data(), mantissa.data() + mantissa.size(), number);
        std::int64_t power = 1;
        for (int zeros = 0; zeros < -exponent; ++zeros) power *= 10;
        return Rational(negative ? -number : number, power);
    }
    Integer numerator{std::string(mantissa)};
    if (negative) numerator = -numerator;
    if (exponent >= 0) return Rational(LargeRational{Large(numerator * powerOfTen(exponent))});
    return Rational(LargeRational{Large(numerator, powerOfTen(-exponent))});
}

std::string fractionText(const Rational& value) {
    const bool isNegatable = value.numerator_ != std::numeric_limits<std::int64_t>::min();
    if (value.large_ || !isNegatable) return value.exact().number.str();
    const std::int64_t common = std::gcd(value.numerator_, value.denominator_);
    std::string text = std::to_string(value.numerator_ / common);
    if (value.denominator_ != common) text += '/' + std::to_string(value.denominator_ / common);
    return text;
}

std::optional<Rational> parseFraction(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::string_view above = text.substr(0, slash);
    const std::string_view below = slash == std::string_view::npos ? "1" : text.substr(slash + 1);
    const auto isWhole = [](std::string_view digits) {
        if (digits.starts_with('-')) digits.remove_prefix(1);
        return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (!isWhole(above) || !isWhole(below) || below.find_first_not_of('0') == std::string_view::npos ||
        below.starts_with('-'))
        return std::nullopt;
    std::int64_t numerator = 0;
    std::int64_t denominator = 0;
    const auto read = [](std::string_view digits, std::int64_t& number) {
        return std::from_chars(digits.data(), digits.data() + digits.size(), number).ec == std::errc();
    };
    if (read(above, numerator) && read(below, denominator)) return Rational(numerator, denominator);
    return Rational(LargeRational{Large(Integer(std::string(above)), Integer(std::string(below)))});
}

std::optional<std::string> Rational::smallText(int places) const {
    constexpr int mostPlaces = 12;
    if (large_ || places > mostPlaces || places < 0) return std::nullopt;
    if (denominator_ == 1) return std::to_string(numerator_);
    Wide scale = 1;
    for (int i = 0; i < places; ++i) scale *= 10;
    const bool isNegative = numerator_ < 0;
    const Wide numerator = (isNegative ? -Wide{numerator_} : Wide{numerator_}) * scale;
    Wide quotient = numerator / denominator_;
    const Wide twice = (numerator % denominator_) * 2;
    if (twice > denominator_ || (twice == denominator_ && quotient % 2 != 0)) ++quotient;
    const Wide whole = quotient / scale;
    const auto fraction = static_cast<std::uint64_t>(quotient % scale);
    if (!fits(whole)) return std::nullopt;
    std::string text = (isNegative && quotient != 0 ? "-" : "") + std::to_string(static_cast<std::int64_t>(whole));
    if (fraction == 0) return text;
    std::string digits = std::to_string(fraction);
    digits.insert(0, static_cast<std::size_t>(places) - digits.size(), '0');
    digits.erase(digits.find_last_not_of('0') + 1);
    return text + '.' + digits;
}

std::string decimalText(const Rational& value, int places) {
    if (auto text = value.smallText(places)) return std::move(*text);
    const Large exact = value.exact().number;
    const Integer scale = powerOfTen(places);
    const Integer numerator = boost::multiprecision::abs(boost::multiprecision::numerator(exact)) * scale;
    const Integer denominator = boost::multiprecision::denominator(exact);
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
