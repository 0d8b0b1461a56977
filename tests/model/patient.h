#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/model/knowledge.h"

namespace model {

/// The same numbers on every machine (splitmix64).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next();
    /// From 0 to `count` - 1.
    std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }
    long between(long low, long high) {
        return low + static_cast<long>(below(static_cast<std::size_t>(high - low + 1)));
    }
    bool percent(unsigned chance) { return next() % 100 < chance; }
    template <typename List>
    const auto& of(const List& list) {
        return list[below(list.size())];
    }

private:
    std::uint64_t state_;
};

// --- the calendar, in days since 1970-01-01

struct Civil {
    long year = 0;
    long month = 0;
    long day = 0;
};
Civil civil(long day);
long dayOf(long year, long month, long day);
long lastOfMonth(long year, long month);
std::string dayText(long day);
/// So many months on: the same day of the month, or the first of the next month where there is none.
long monthsLater(long day, long months);

/// A moment as a chart may know it.
struct When {
    enum class Precision { none, year, month, day, minute };
    Precision precision = Precision::none;
    long day = 0;
    long minute = 0;

    explicit operator bool() const { return precision != Precision::none; }
};

/// Everything that a moment may mean, in milliseconds since 1970, both ends included.
struct Span {
    long long first = 0;
    long long last = 0;
    long firstDay() const;
    long lastDay() const;
};
std::optional<Span> span(const When& when);

// --- what is so

/// One thing that is so about a patient: it becomes one resource.
struct Item {
    enum class Kind { result, disease, act, uncoded };
    Kind kind = Kind::result;
    std::uint64_t salt = 0;           ///< how it is written, apart from every other item
    std::vector<std::size_t> senses;  ///< in Knowledge::senses; a disease may have several
    std::string type;                 ///< resource type

    // a result
    enum class Value { absent, number, polarity, answer };
    Value value = Value::absent;
    Ratio number;               ///< in the unit `unit` of the fact `unitOf`
    std::optional<Ratio> high;  ///< of a range
    std::string comparator;
    std::optional<Ratio> upperLimit;  ///< in the same unit
    std::string unitOf;               ///< the fact whose table of units is used
    std::string unit;
    bool strangeUnit = false;
    std::string polarity;  ///< "positive", "negative", "indeterminate"
    std::string answer;
    std::string method;  ///< the name of a method, "another", or empty
    bool namesTumourCells = false;
    enum class Oxygen { unstated, air, given, contradictory };
    Oxygen oxygen = Oxygen::unstated;
    When issued;

    // a result, a disease and an act: when
    std::string status;        ///< of the result or act; the clinical status of a disease, empty for none
    std::string verification;  ///< of a disease
    bool inRemissionCode = false;
    When start;  ///< effective, onset, performed
    When end;    ///< abatement, end of the period
    When recorded;

    // an act
    bool period = false;
    std::string intent;
    bool doNotPerform = false;
    std::string route;  ///< "systemic", "local", or empty
    bool unresolved = false;
};

struct Patient {
    std::uint64_t seed = 0;
    long asOf = 0;
    std::string gender;  ///< empty when it is not recorded
    When birth;
    std::set<std::string> covered;  ///< resource types that were read completely
    std::vector<Item> items;
};

/// Draws a patient. The same seed gives the same patient.
Patient draw(std::uint64_t seed);

}  // namespace model
