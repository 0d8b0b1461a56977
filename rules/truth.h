#pragma once

#include <algorithm>
#include <string_view>

namespace rules {

/// Kleene's strong three-valued logic. Ordered, so that "and" is the least, "or" the greatest and "not" the mirror.
///
/// Source: Kleene SC. Introduction to Metamathematics, 1952, section 64. There is no second implementation.
enum class Truth { False, Unknown, True };

constexpr Truth kleeneAnd(Truth a, Truth b) {
    return std::min(a, b);
}
constexpr Truth kleeneOr(Truth a, Truth b) {
    return std::max(a, b);
}
constexpr Truth kleeneNot(Truth a) {
    return static_cast<Truth>(2 - static_cast<int>(a));
}

/// The word of the output contract.
constexpr std::string_view word(Truth truth) {
    return truth == Truth::True ? "true" : truth == Truth::False ? "false" : "unknown";
}

}  // namespace rules
