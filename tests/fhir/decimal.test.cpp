#include "fhir/decimal.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using fhir::decimalText;
using fhir::parseDecimal;
using fhir::Rational;

namespace {

Rational number(std::string_view text) {
    const auto value = parseDecimal(text);
    REQUIRE_MESSAGE(value.has_value(), text);
    return *value;
}

}  // namespace

TEST_CASE("a decimal is the number that it says, exactly") {
    struct Row {
        std::string_view text;
        Rational expected;
    };
    const std::vector<Row> rows{
        {"0", 0},
        {"-0", 0},
        {"0.000", 0},
        {"7", 7},
        {"-7", -7},
        {"1.50", Rational(3, 2)},
        {"0.1", Rational(1, 10)},
        {"-666.66", Rational(-33333, 50)},
        {"88.42", Rational(4421, 50)},
        {"1e2", 100},
        {"1E2", 100},
        {"1e+2", 100},
        {"1.5e1", 15},
        {"15e-1", Rational(3, 2)},
        {"1E-2", Rational(1, 100)},
        {"0.10e1", 1},
        {"999999999999999999", Rational(999999999999999999LL)},
        {"100", 100},
        {"080", 80},  // decimal, not octal
        {"0.08", Rational(2, 25)},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK((number(row.text) == row.expected));
    }
}

TEST_CASE("numbers of more digits than a double has stay exact") {
    CHECK((number("1234567890123456789012345678901") - number("1234567890123456789012345678900") == 1));
    CHECK((number("0.1234567890123456789012345678901") > number("0.1234567890123456789012345678900")));
    CHECK((number("1000000000000000000000") == number("1e21")));
    CHECK((number("0.1") + number("0.2") == number("0.3")));
    CHECK((number("1.10") == number("1.1")));
}

TEST_CASE("equality at a boundary is decided as in decimal arithmetic") {
    // 1.8 mg/dL is not above 1.5 times 1.2 mg/dL, which doubles deny.
    CHECK((number("1.8") == number("1.5") * number("1.2")));
    CHECK_FALSE((number("1.8") > number("1.5") * number("1.2")));
    CHECK((number("1.81") > number("1.5") * number("1.2")));
    // Bilirubin in umol/L through 17.104, creatinine through 88.42, haemoglobin in mmol/L times 16.1145.
    CHECK((number("34.208") / number("17.104") == 2));
    CHECK((number("132.63") / number("88.42") == number("1.5")));
    CHECK((number("5") * number("16.1145") == number("80.5725")));
}

TEST_CASE("what is no decimal is nothing") {
    for (const std::string_view text : {"",
                                        "-",
                                        "+1",
                                        ".5",
                                        "5.",
                                        "-.5",
                                        "1.2.3",
                                        "1,5",
                                        "1 5",
                                        " 1",
                                        "1 ",
                                        "--1",
                                        "e5",
                                        "1e",
                                        "1e+",
                                        "1e-",
                                        "1e5.5",
                                        "1ee5",
                                        "1e5x",
                                        "0x10",
                                        "NaN",
                                        "Infinity",
                                        "-Infinity",
                                        "inf",
                                        "1/2",
                                        "\xE2\x88\x92"
                                        "5",
                                        "one",
                                        "1e+-5",
                                        "1e++5",
                                        "1.e5"}) {
        CAPTURE(text);
        CHECK_FALSE(parseDecimal(text).has_value());
    }
    CHECK_FALSE(parseDecimal(std::string_view("1\0", 2)).has_value());
}

TEST_CASE("numbers that no measurement has are refused before they cost memory") {
    CHECK(parseDecimal(std::string(100, '9')).has_value());
    CHECK_FALSE(parseDecimal(std::string(101, '9')).has_value());
    CHECK_FALSE(parseDecimal(std::string(1'000'000, '9')).has_value());
    CHECK_FALSE(parseDecimal("0." + std::string(1'000'000, '0') + "1").has_value());
    CHECK(parseDecimal("1E-245").has_value());
    CHECK(parseDecimal("1e300").has_value());
    CHECK(parseDecimal("1e-300").has_value());
    CHECK_FALSE(parseDecimal("1e301").has_value());
    CHECK_FALSE(parseDecimal("1e-301").has_value());
    CHECK_FALSE(parseDecimal("1e1000000000").has_value());
    CHECK_FALSE(parseDecimal("1e-1000000000").has_value());
    CHECK_FALSE(parseDecimal("1e99999999999999999999").has_value());
}

TEST_CASE("a number is written rounded half to even, without trailing zeros") {
    struct Row {
        Rational value;
        int places;
        std::string_view expected;
    };
    const std::vector<Row> rows{
        {0, 3, "0"},
        {7, 3, "7"},
        {100, 3, "100"},
        {100, 0, "100"},
        {Rational(3, 2), 3, "1.5"},
        {Rational(-3, 2), 3, "-1.5"},
        {Rational(1, 3), 3, "0.333"},
        {Rational(2, 3), 3, "0.667"},
        {Rational(1, 20), 3, "0.05"},
        // Half to even, at the last place.
        {Rational(1, 2), 0, "0"},
        {Rational(3, 2), 0, "2"},
        {Rational(5, 2), 0, "2"},
        {Rational(7, 2), 0, "4"},
        {Rational(-5, 2), 0, "-2"},
        {Rational(25, 1000), 2, "0.02"},
        {Rational(35, 1000), 2, "0.04"},
        {Rational(1250001, 10000000), 2, "0.13"},
        {Rational(12345, 10000), 3, "1.234"},
        {Rational(12355, 10000), 3, "1.236"},
        {Rational(9995, 10), 0, "1000"},
        {Rational(9996, 10000), 3, "1"},
        // Nothing is written as minus nothing.
        {Rational(-1, 10000), 3, "0"},
        {Rational(1, 10000), 3, "0"},
        {Rational(-6, 10000), 3, "-0.001"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.places);
        CAPTURE(row.expected);
        CHECK(decimalText(row.value, row.places) == row.expected);
    }
    CHECK(decimalText(Rational(1, 3)) == "0.333");
}

TEST_CASE("a decimal that is written can be read") {
    for (const std::string_view text : {"0", "1.5", "-1.5", "0.001", "123456789.125", "-0.02"}) {
        CAPTURE(text);
        CHECK(decimalText(number(text)) == text);
    }
}

TEST_CASE("a fraction is read as it was written, exactly") {
    using fhir::fractionText;
    using fhir::parseFraction;
    for (const Rational& value : {Rational(0), Rational(-7), Rational(9, 5), Rational(-1, 3),
                                  number("1234567890123456789012345678901") / number("88.42"), number("1.50")}) {
        CAPTURE(fractionText(value));
        const auto read = parseFraction(fractionText(value));
        REQUIRE(read.has_value());
        CHECK((*read == value));
    }
    CHECK(fractionText(Rational(9, 5)) == "9/5");
    CHECK(fractionText(2) == "2");
    for (const std::string_view text : {"", "-", "1/", "/2", "1/0", "1/00", "1/-2", "1.5", "1/2/3", " 1", "x"}) {
        CAPTURE(text);
        CHECK_FALSE(parseFraction(text).has_value());
    }
}
