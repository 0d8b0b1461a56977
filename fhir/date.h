#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fhir {

/// A calendar day, 1400-01-01 to 9999-12-31.
class Date {
public:
    Date() = default;

    /// Nothing unless the text is a whole valid date, YYYY-MM-DD.
    static std::optional<Date> parse(std::string_view text);
    /// Nothing unless year, month and day exist.
    static std::optional<Date> of(int year, int month, int day);
    /// The day so many days after 1970-01-01.
    static Date ofDays(std::int32_t days) { return Date(days); }

    std::int32_t days() const { return days_; }
    std::string text() const;  ///< YYYY-MM-DD

    Date operator+(std::int32_t days) const { return Date(days_ + days); }
    Date operator-(std::int32_t days) const { return Date(days_ - days); }
    std::int32_t operator-(Date other) const { return days_ - other.days_; }
    auto operator<=>(const Date&) const = default;

private:
    explicit Date(std::int32_t days) : days_(days) {}

    std::int32_t days_ = 0;
};

/// The day on which so many months are completed: the same day of the month, or, where that month has no such day, the
/// first of the next. A birthday of 29 February is reached on 1 March in other years; months may be negative.
Date addMonths(Date date, int months);

/// Months completed between two days, `from` not after `to`.
int completedMonths(Date from, Date to);

/// A FHIR date, dateTime or instant with its precision: every moment it may mean, in milliseconds since 1970 UTC,
/// both ends inclusive.
///
/// "2025" is a year long, "2025-11-02" a day in UTC, "2025-11-02T08:00:00+08:00" a second. A time without an offset,
/// which FHIR does not allow, is read as that day.
struct DateTime {
    std::int64_t first = 0;
    std::int64_t last = 0;

    /// Nothing when the text is none of the forms of FHIR R4, datatypes, date / dateTime / instant, or no date that
    /// exists.
    static std::optional<DateTime> parse(std::string_view text);
    static DateTime ofDay(Date day) { return ofDays(day, day); }
    static DateTime ofDays(Date first, Date last);

    Date firstDay() const;  ///< in UTC
    Date lastDay() const;   ///< in UTC
    bool isOneDay() const { return firstDay() == lastDay(); }
    std::string text() const;  ///< YYYY-MM-DD of the UTC day, or YYYY-MM or YYYY when it is no more precise

    bool operator==(const DateTime&) const = default;
};

}  // namespace fhir
