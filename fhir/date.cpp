#include "fhir/date.h"

#include <algorithm>
#include <array>
#include <boost/date_time/gregorian/gregorian_types.hpp>
#include <cstring>

#include "fhir/hash.h"

namespace fhir {

namespace {

namespace calendar = boost::gregorian;

constexpr std::int64_t dayLength = 86'400'000;

using Calendar = calendar::gregorian_calendar;

constexpr Calendar::ymd_type ymd(int year, int month, int day) {
    return {static_cast<unsigned short>(year), static_cast<unsigned short>(month), static_cast<unsigned short>(day)};
}

constexpr std::int64_t epoch = Calendar::day_number(ymd(1970, 1, 1));

/// Days since 1970-01-01 of a day that exists.
std::int64_t dayNumber(int year, int month, int day) {
    return static_cast<std::int64_t>(Calendar::day_number(ymd(year, month, day))) - epoch;
}

Calendar::ymd_type civil(Date date) {
    return Calendar::from_day_number(static_cast<Calendar::date_int_type>(epoch + date.days()));
}

/// So many digits at a fixed place, or -1.
template <std::size_t Count>
int digits(std::string_view text, std::size_t at) {
    if (at + Count > text.size()) return -1;
    unsigned value = 0;
    unsigned others = 0;
    for (std::size_t i = 0; i < Count; ++i) {
        const auto digit = static_cast<unsigned>(text[at + i]) - '0';
        others |= static_cast<unsigned>(digit > 9);
        value = value * 10 + digit;
    }
    return others != 0 ? -1 : static_cast<int>(value);
}

bool exists(int year, int month, int day) {
    if (year < 1400 || year > 9999 || month < 1 || month > 12 || day < 1) return false;
    return day <= Calendar::end_of_month_day(static_cast<unsigned short>(year), static_cast<unsigned short>(month));
}

}  // namespace

std::optional<Date> Date::of(int year, int month, int day) {
    if (!exists(year, month, day)) return std::nullopt;
    return Date(static_cast<std::int32_t>(dayNumber(year, month, day)));
}

std::optional<Date> Date::parse(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    return of(digits<4>(text, 0), digits<2>(text, 5), digits<2>(text, 8));
}

std::string Date::text() const {
    const auto [year, month, day] = civil(*this);
    std::string text = "0000-00-00";
    const auto put = [&](std::size_t end, int value) {
        for (; value > 0; value /= 10) text[--end] = static_cast<char>('0' + value % 10);
    };
    put(4, year);
    put(7, month);
    put(10, day);
    return text;
}

Date addMonths(Date date, int months) {
    const auto [year, month, day] = civil(date);
    const int index = static_cast<int>(year) * 12 + static_cast<int>(month) - 1 + months;
    const int newYear = index / 12;
    const int newMonth = index % 12 + 1;
    if (const auto same = Date::of(newYear, newMonth, day)) return *same;
    if (const auto next = newMonth == 12 ? Date::of(newYear + 1, 1, 1) : Date::of(newYear, newMonth + 1, 1))
        return *next;
    return date;  // beyond the calendar: no chart reaches it
}

int completedMonths(Date from, Date to) {
    const auto first = civil(from);
    const auto last = civil(to);
    int months = (static_cast<int>(last.year) - static_cast<int>(first.year)) * 12 + static_cast<int>(last.month) -
                 static_cast<int>(first.month);
    if (addMonths(from, months) > to) --months;
    return months;
}

DateTime DateTime::ofDays(Date first, Date last) {
    return {first.days() * dayLength, (last.days() + std::int64_t{1}) * dayLength - 1};
}

namespace {

std::optional<DateTime> parseAnew(std::string_view text) {
    const int year = digits<4>(text, 0);
    if (text.size() == 4) {
        if (!exists(year, 1, 1)) return std::nullopt;
        return DateTime::ofDays(*Date::of(year, 1, 1), *Date::of(year, 12, 31));
    }
    if (text.size() < 7 || text[4] != '-') return std::nullopt;
    const int month = digits<2>(text, 5);
    if (text.size() == 7) {
        if (!exists(year, month, 1)) return std::nullopt;
        const int end =
            Calendar::end_of_month_day(static_cast<unsigned short>(year), static_cast<unsigned short>(month));
        return DateTime::ofDays(*Date::of(year, month, 1), *Date::of(year, month, end));
    }
    const auto day = Date::parse(text.substr(0, 10));
    if (!day) return std::nullopt;
    if (text.size() == 10) return DateTime::ofDay(*day);

    // Thh:mm, optionally :ss and a fraction, then Z or an offset.
    const int hour = digits<2>(text, 11);
    const int minute = digits<2>(text, 14);
    if (text[10] != 'T' || text.size() < 16 || text[13] != ':' || hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return std::nullopt;
    std::size_t at = 16;
    std::int64_t moment = day->days() * dayLength + hour * std::int64_t{3'600'000} + minute * std::int64_t{60'000};
    std::int64_t length = 60'000;
    if (at < text.size() && text[at] == ':') {
        const int second = digits<2>(text, at + 1);
        if (second < 0 || second > 60) return std::nullopt;
        moment += std::min(second, 59) * std::int64_t{1'000};  // a leap second belongs to the day it ends
        length = 1'000;
        at += 3;
        if (at < text.size() && text[at] == '.') {
            ++at;
            const std::size_t start = at;
            std::int64_t unit = 1'000;
            while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
                unit /= 10;
                moment += (text[at] - '0') * unit;
                if (unit > 0) length = unit;
                ++at;
            }
            if (at == start) return std::nullopt;
        }
    }
    if (at == text.size()) return DateTime::ofDay(*day);
    if (text[at] == 'Z' && at + 1 == text.size()) return DateTime{moment, moment + length - 1};
    const int offsetHours = digits<2>(text, at + 1);
    const int offsetMinutes = digits<2>(text, at + 4);
    if ((text[at] != '+' && text[at] != '-') || at + 6 != text.size() || text[at + 3] != ':' || offsetHours < 0 ||
        offsetHours * 60 + offsetMinutes > 14 * 60 || offsetMinutes < 0 || offsetMinutes > 59)
        return std::nullopt;
    const std::int64_t offset = offsetHours * std::int64_t{3'600'000} + offsetMinutes * std::int64_t{60'000};
    moment += text[at] == '+' ? -offset : offset;
    return DateTime{moment, moment + length - 1};
}

/// Dates that were read last: those of a chart repeat themselves, from panel to panel and within one.
class DateMemo {
public:
    const std::optional<DateTime>& parse(std::string_view text) {
        std::uint64_t day = 0;
        std::uint64_t end = 0;
        std::memcpy(&day, text.data() + 2, sizeof(day));
        std::memcpy(&end, text.data() + text.size() - sizeof(end), sizeof(end));
        Known& known = known_[mixed(hashWith(day, end)) % known_.size()];
        if (known.size == text.size() && std::memcmp(known.letters.data(), text.data(), text.size()) == 0)
            return known.date;
        known.date = parseAnew(text);
        known.size = text.size();
        std::memcpy(known.letters.data(), text.data(), text.size());
        return known.date;
    }

    static constexpr std::size_t shortest = 10;
    static constexpr std::size_t longest = 32;

private:
    struct Known {
        std::size_t size = 0;
        std::array<char, longest> letters{};
        std::optional<DateTime> date;
    };
    std::array<Known, 64> known_;
};

}  // namespace

std::optional<DateTime> DateTime::parse(std::string_view text) {
    if (text.size() < DateMemo::shortest || text.size() > DateMemo::longest) return parseAnew(text);
    thread_local DateMemo memo;
    return memo.parse(text);
}

namespace {

Date dayOf(std::int64_t moment) {
    const std::int64_t day = moment >= 0 ? moment / dayLength : -((-moment + dayLength - 1) / dayLength);
    return Date::ofDays(static_cast<std::int32_t>(day));
}

}  // namespace

Date DateTime::firstDay() const {
    return dayOf(first);
}
Date DateTime::lastDay() const {
    return dayOf(last);
}

std::string DateTime::text() const {
    const std::string day = firstDay().text();
    const std::int32_t length = lastDay() - firstDay();
    if (length == 0) return day;
    return day.substr(0, length >= 31 ? 4 : 7);
}

}  // namespace fhir
