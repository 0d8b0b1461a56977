#include "fhir/date.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"

using fhir::Date;
using fhir::DateTime;
using support::day;

namespace {

constexpr std::int64_t second = 1'000;
constexpr std::int64_t minute = 60 * second;
constexpr std::int64_t hour = 60 * minute;

std::int64_t midnight(std::string_view text) {
    return day(text).days() * 24 * hour;
}

DateTime moment(std::string_view text) {
    const auto parsed = DateTime::parse(text);
    REQUIRE_MESSAGE(parsed.has_value(), text);
    return *parsed;
}

}  // namespace

TEST_CASE("a date is a number of days since 1970") {
    CHECK(day("1970-01-01").days() == 0);
    CHECK(day("1970-01-02").days() == 1);
    CHECK(day("1969-12-31").days() == -1);
    CHECK(day("2000-03-01").days() == 11017);  // 30 years x 365 + 7 leap days + 31 + 29
    CHECK(day("2025-11-20") - day("2025-10-21") == 30);
    CHECK((day("2025-12-31") + 1).text() == "2026-01-01");
    CHECK((day("2024-03-01") - 1).text() == "2024-02-29");
    CHECK(day("2025-01-01") < day("2025-01-02"));
}

TEST_CASE("only days that exist are dates") {
    for (const std::string_view text :
         {"2025-02-30", "2025-02-29", "1900-02-29",  "2025-04-31",  "2025-13-01", "2025-00-10",
          "2025-01-00", "2025-01-32", "1399-12-31",  "0000-01-01",  "2025-1-1",   "2025-1-01",
          "20250101",   "2025/01/01", "2025-01-01 ", " 2025-01-01", "2025-01-0x", "+025-01-01",
          "-025-01-01", "",           "2025",        "2025-01",     "10000-01-01"}) {
        CAPTURE(text);
        CHECK_FALSE(Date::parse(text).has_value());
    }
    for (const std::string_view text :
         {"2024-02-29", "2000-02-29", "1400-01-01", "9999-12-31", "1969-07-20", "2025-12-31"}) {
        CAPTURE(text);
        REQUIRE(Date::parse(text).has_value());
        CHECK(Date::parse(text)->text() == text);
    }
    CHECK_FALSE(Date::of(2025, 2, 29).has_value());
    CHECK_FALSE(Date::of(10'000, 1, 1).has_value());
    CHECK(Date::of(2024, 2, 29) == day("2024-02-29"));
}

TEST_CASE("every precision is the span that it may mean") {
    struct Row {
        std::string_view text;
        std::int64_t first, last;
    };
    const std::vector<Row> rows{
        {"2025", midnight("2025-01-01"), midnight("2026-01-01") - 1},
        {"2025-11", midnight("2025-11-01"), midnight("2025-12-01") - 1},
        {"2024-02", midnight("2024-02-01"), midnight("2024-03-01") - 1},
        {"2025-12", midnight("2025-12-01"), midnight("2026-01-01") - 1},
        {"2025-11-02", midnight("2025-11-02"), midnight("2025-11-03") - 1},
        {"9999", midnight("9999-01-01"), midnight("9999-12-31") + 24 * hour - 1},
        {"1969", midnight("1969-01-01"), -1},
        {"2025-11-02T08:30Z", midnight("2025-11-02") + 8 * hour + 30 * minute,
         midnight("2025-11-02") + 8 * hour + 31 * minute - 1},
        {"2025-11-02T08:30:15Z", midnight("2025-11-02") + 8 * hour + 30 * minute + 15 * second,
         midnight("2025-11-02") + 8 * hour + 30 * minute + 16 * second - 1},
        {"2025-11-02T08:30:15.5Z", midnight("2025-11-02") + 8 * hour + 30 * minute + 15'500,
         midnight("2025-11-02") + 8 * hour + 30 * minute + 15'599},
        {"2025-11-02T08:30:15.050Z", midnight("2025-11-02") + 8 * hour + 30 * minute + 15'050,
         midnight("2025-11-02") + 8 * hour + 30 * minute + 15'050},
        {"2025-11-02T08:30:15.123456789Z", midnight("2025-11-02") + 8 * hour + 30 * minute + 15'123,
         midnight("2025-11-02") + 8 * hour + 30 * minute + 15'123},
        {"1969-12-31T23:59:59Z", -second, -1},
        // The offset is no fraction of a second, and it is taken off.
        {"2015-02-07T13:28:17-05:00", midnight("2015-02-07") + 18 * hour + 28 * minute + 17 * second,
         midnight("2015-02-07") + 18 * hour + 28 * minute + 18 * second - 1},
        {"2025-11-02T01:00:00+05:45", midnight("2025-11-01") + 19 * hour + 15 * minute,
         midnight("2025-11-01") + 19 * hour + 15 * minute + second - 1},
        {"2025-11-02T00:00:00+14:00", midnight("2025-11-01") + 10 * hour,
         midnight("2025-11-01") + 10 * hour + second - 1},
        {"2025-11-02T00:00:00-00:00", midnight("2025-11-02"), midnight("2025-11-02") + second - 1},
        // Without an offset, which FHIR does not allow: that day.
        {"2025-11-02T08:30:15", midnight("2025-11-02"), midnight("2025-11-03") - 1},
        {"2025-11-02T08:30", midnight("2025-11-02"), midnight("2025-11-03") - 1},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const DateTime parsed = moment(row.text);
        CHECK(parsed.first == row.first);
        CHECK(parsed.last == row.last);
    }
}

TEST_CASE("what is no date of FHIR, or none that exists, is nothing") {
    for (const std::string_view text : {"",
                                        "25",
                                        "202",
                                        "20255",
                                        "2025-",
                                        "2025-1",
                                        "2025-13",
                                        "2025-00",
                                        "1399",
                                        "0000",
                                        "2025-02-30",
                                        "2025-02-29",
                                        "2025-11-02T",
                                        "2025-11-02T08",
                                        "2025-11-02T08:",
                                        "2025-11-02T8:00Z",
                                        "2025-11-02T08:0",
                                        "2025-11-02T25:61:61Z",
                                        "2025-11-02T24:00:00Z",
                                        "2025-11-02T08:60:00Z",
                                        "2025-11-02T08:00:61Z",
                                        "2025-11-02T08:00:0Z",
                                        "2025-11-02T08:00:00.Z",
                                        "2025-11-02T08:00:00z",
                                        "2025-11-02T08:00:00Z ",
                                        "2025-11-02T08:00:00+2",
                                        "2025-11-02T08:00:00+02",
                                        "2025-11-02T08:00:00+0200",
                                        "2025-11-02T08:00:00+02:0",
                                        "2025-11-02T08:00:00+02:60",
                                        "2025-11-02T08:00:00+15:00",
                                        "2025-11-02T08:00:00*02:00",
                                        "2025-11-02T08:00:00+02:00Z",
                                        "2025-11-02t08:00:00Z",
                                        "2025-11-02 08:00:00",
                                        "2025-11-02T08-00-00Z",
                                        "20251102",
                                        "11/02/2025",
                                        "yesterday",
                                        "\xEF\xBC\x92"
                                        "025"}) {
        CAPTURE(text);
        CHECK_FALSE(DateTime::parse(text).has_value());
    }
}

TEST_CASE("no offset lies beyond fourteen hours") {
    // FHIR R4, dateTime: (0[0-9]|1[0-3]):[0-5][0-9]|14:00
    CHECK(DateTime::parse("2025-11-02T08:00:00+14:00").has_value());
    CHECK(DateTime::parse("2025-11-02T08:00:00-13:59").has_value());
    CHECK_FALSE(DateTime::parse("2025-11-02T08:00:00+14:01").has_value());
}

TEST_CASE("a leap second is a second of the day it ends") {
    REQUIRE(DateTime::parse("2016-12-31T23:59:60Z").has_value());
    CHECK(moment("2016-12-31T23:59:60Z").firstDay().text() == "2016-12-31");
    CHECK(moment("2017-01-01T08:59:60+09:00").firstDay().text() == "2016-12-31");
}

TEST_CASE("days are days in UTC") {
    struct Row {
        std::string_view text, first, last;
    };
    const std::vector<Row> rows{
        {"2025-11-02T23:30:00-05:00", "2025-11-03", "2025-11-03"},
        {"2025-11-02T00:30:00+08:00", "2025-11-01", "2025-11-01"},
        {"2025-01-01T00:30:00+01:00", "2024-12-31", "2024-12-31"},
        {"2025-11-02T23:59:59Z", "2025-11-02", "2025-11-02"},
        {"1960-05-05T00:00:00Z", "1960-05-05", "1960-05-05"},
        {"1960-05-05T00:00:00.001Z", "1960-05-05", "1960-05-05"},
        {"2025", "2025-01-01", "2025-12-31"},
        {"2024-02", "2024-02-01", "2024-02-29"},
        {"1960", "1960-01-01", "1960-12-31"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(moment(row.text).firstDay().text() == row.first);
        CHECK(moment(row.text).lastDay().text() == row.last);
        CHECK(moment(row.text).isOneDay() == (row.first == row.last));
    }
}

TEST_CASE("the same instant in two notations is the same") {
    CHECK(moment("2025-11-02T08:00:00+02:00") == moment("2025-11-02T06:00:00Z"));
    CHECK(moment("2025-11-02T23:30:00-05:00") == moment("2025-11-03T04:30:00Z"));
    CHECK_FALSE(moment("2025-11-02T08:00Z") == moment("2025-11-02T08:00:00Z"));
}

TEST_CASE("a date is written as precisely as it is known") {
    struct Row {
        std::string_view text, expected;
    };
    const std::vector<Row> rows{
        {"2025", "2025"},
        {"2024", "2024"},
        {"2025-11", "2025-11"},
        {"2025-02", "2025-02"},
        {"2025-12", "2025-12"},
        {"2025-11-02", "2025-11-02"},
        {"2025-11-02T08:00:00Z", "2025-11-02"},
        {"2025-11-02T23:30:00-05:00", "2025-11-03"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(moment(row.text).text() == row.expected);
    }
}

TEST_CASE("months are added as birthdays are reached") {
    struct Row {
        std::string_view from;
        int months;
        std::string_view expected;
    };
    const std::vector<Row> rows{
        {"2025-01-15", 1, "2025-02-15"},  {"2025-01-15", 0, "2025-01-15"},
        {"2025-08-31", 6, "2026-03-01"},  // there is no 31 February
        {"2023-08-31", 6, "2024-03-01"},  {"2023-08-29", 6, "2024-02-29"},
        {"2025-03-31", 1, "2025-05-01"},  {"2004-02-29", 12, "2005-03-01"},
        {"2004-02-29", 48, "2008-02-29"}, {"2025-11-20", 2, "2026-01-20"},
        {"2025-12-31", 12, "2026-12-31"}, {"2025-10-31", 1, "2025-12-01"},
        {"2025-03-15", -1, "2025-02-15"}, {"2025-01-15", -1, "2024-12-15"},
        {"2025-03-31", -1, "2025-03-01"}, {"2025-01-15", -25, "2022-12-15"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.from);
        CAPTURE(row.months);
        CHECK(fhir::addMonths(day(row.from), row.months).text() == row.expected);
    }
}

TEST_CASE("a month is completed on the same day of the month") {
    struct Row {
        std::string_view from, to;
        int expected;
    };
    const std::vector<Row> rows{
        {"2025-01-15", "2025-01-15", 0},   {"2025-01-15", "2025-02-14", 0},  {"2025-01-15", "2025-02-15", 1},
        {"2025-01-31", "2025-02-28", 0},   {"2025-01-31", "2025-03-01", 1},  {"2025-08-31", "2026-02-28", 5},
        {"2025-08-31", "2026-03-01", 6},   {"2004-02-29", "2005-02-28", 11}, {"2004-02-29", "2005-03-01", 12},
        {"2004-02-29", "2008-02-28", 47},  {"2004-02-29", "2008-02-29", 48}, {"1970-11-20", "2025-11-19", 659},
        {"1970-11-20", "2025-11-20", 660}, {"2024-12-31", "2025-01-01", 0},  {"2024-12-31", "2025-12-30", 11},
    };
    for (const Row& row : rows) {
        CAPTURE(row.from);
        CAPTURE(row.to);
        CHECK(fhir::completedMonths(day(row.from), day(row.to)) == row.expected);
    }
}

TEST_CASE("completed months and added months agree on every day of four years") {
    const Date from = day("2023-08-31");
    for (int days = 0; days < 1461; ++days) {
        const Date to = from + days;
        const int months = fhir::completedMonths(from, to);
        CAPTURE(to.text());
        REQUIRE(fhir::addMonths(from, months) <= to);
        REQUIRE(fhir::addMonths(from, months + 1) > to);
    }
}
