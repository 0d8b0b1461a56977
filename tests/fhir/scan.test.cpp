#include "fhir/scan.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace baseline = fhir::json::baseline;
using fhir::json::findInvalidUtf8;
using fhir::json::findStringEnd;
using fhir::json::findText;
using fhir::json::Jump;
using fhir::json::jumpOver;

namespace {

std::size_t endOf(std::string_view text) {
    return static_cast<std::size_t>(findStringEnd(text.data(), text.data() + text.size()) - text.data());
}

/// What jumpOver does, one character after the other.
Jump jumpSlowly(char opening, const char* at, const char* end, std::size_t levels) {
    std::string open{opening};
    bool inString = false;
    for (; at != end; ++at) {
        if (inString) {
            if (static_cast<unsigned char>(*at) < 0x20) return {at, "control"};
            if (*at == '\\') {
                if (++at == end) break;
                if (static_cast<unsigned char>(*at) < 0x20) return {at, "control"};
            } else if (*at == '"') {
                inString = false;
            }
        } else if (*at == '"') {
            inString = true;
        } else if (*at == '\\') {
            return {at, "backslash"};
        } else if (*at == '{' || *at == '[') {
            if (open.size() == levels) return {at + 1, nullptr, true};
            open += *at;
        } else if (*at == '}' || *at == ']') {
            if ((open.back() == '{') != (*at == '}')) return {at, "kind"};
            open.pop_back();
            if (open.empty()) return {at + 1};
        }
    }
    return {end, "not ended"};
}

}  // namespace

TEST_CASE("a string ends at its quote, at an escape or at a control character, wherever that stands") {
    for (const char c : {'"', '\\', '\n', '\x1F', '\0'}) {
        for (std::size_t before = 0; before < 70; ++before) {
            CAPTURE(before);
            CHECK(endOf(std::string(before, 'x') + c + "tail\"of more than sixteen bytes") == before);
        }
    }
    for (std::size_t size = 0; size < 70; ++size) CHECK(endOf(std::string(size, '\x20')) == size);
    CHECK(endOf("\x7F\xC2\xB5\xFF\"") == 4);
}

TEST_CASE("a text is found wherever it stands, and not where it is cut") {
    const std::string_view wanted = "\"code\"";
    for (std::size_t before = 0; before < 50; ++before) {
        for (std::size_t after = 0; after < 40; ++after) {
            const std::string text = std::string(before, '"') + std::string(wanted) + std::string(after, 'c');
            CHECK(findText(text.data(), text.data() + text.size(), wanted) == text.data() + before);
            const std::string cut = text.substr(0, before + wanted.size() - 1);
            CHECK(findText(cut.data(), cut.data() + cut.size(), wanted) == cut.data() + cut.size());
        }
    }
    const std::string near = "\"cooe\"\"codes\" code \"coding\" and so on and on \"code\"";
    CHECK(findText(near.data(), near.data() + near.size(), wanted) == near.data() + near.rfind(wanted));
}

TEST_CASE("a jump ends where reading one character after the other does") {
    std::mt19937 random(7);
    constexpr std::string_view alphabet = "{}[]\"\\ab,:\x01 ";
    std::size_t sound = 0;
    std::size_t broken = 0;
    for (int i = 0; i < 200'000; ++i) {
        // Mostly letters, so that some strings and containers are longer than a block.
        const std::size_t size = random() % 300;
        const unsigned rare = random() % 3 == 0 ? 2U : 12U;
        std::string text;
        while (text.size() < size)
            text += random() % rare == 0 ? alphabet[random() % (alphabet.size() - 1)] : static_cast<char>('a' + i % 26);
        text += random() % 2 == 0 ? "}}}}]]]]" : "";
        const char opening = random() % 2 == 0 ? '{' : '[';
        const std::size_t levels = 1 + random() % 64;
        const char* const end = text.data() + text.size();
        const Jump fast = jumpOver(opening, text.data(), end, levels);
        const Jump slow = jumpSlowly(opening, text.data(), end, levels);
        CAPTURE(text);
        REQUIRE(fast.at == slow.at);
        REQUIRE((fast.reason == nullptr) == (slow.reason == nullptr));
        REQUIRE(fast.tooDeep == slow.tooDeep);
        const Jump unchecked = jumpOver(opening, text.data(), end, levels, false);
        for (const bool checks : {true, false}) {
            const Jump& wide = checks ? fast : unchecked;
            const Jump plain = baseline::jumpOver(opening, text.data(), end, levels, checks);
            REQUIRE(plain.at == wide.at);
            REQUIRE(plain.tooDeep == wide.tooDeep);
            REQUIRE(std::string_view(plain.reason == nullptr ? "" : plain.reason) ==
                    (wide.reason == nullptr ? "" : wide.reason));
        }
        if (fast.reason == nullptr) {
            REQUIRE(unchecked.at == fast.at);
            REQUIRE(unchecked.tooDeep == fast.tooDeep);
            REQUIRE(unchecked.reason == nullptr);
        }
        (fast.reason == nullptr && !fast.tooDeep ? sound : broken) += 1;
    }
    CHECK(sound > 10'000);
    CHECK(broken > 10'000);
}

TEST_CASE("invalid UTF-8 is found where it begins") {
    constexpr std::size_t sound = std::string_view::npos;
    struct Row {
        std::string_view text;
        std::size_t expected;
    };
    const std::vector<Row> rows{
        {"", sound},
        {"a", sound},
        {"plain text of more than eight bytes", sound},
        {"\x7F", sound},
        {"\xC2\x80", sound},          // U+0080, the first of two bytes
        {"\xDF\xBF", sound},          // U+07FF
        {"\xE0\xA0\x80", sound},      // U+0800
        {"\xED\x9F\xBF", sound},      // U+D7FF, before the surrogates
        {"\xEE\x80\x80", sound},      // U+E000, behind them
        {"\xEF\xBF\xBF", sound},      // U+FFFF
        {"\xF0\x90\x80\x80", sound},  // U+10000
        {"\xF4\x8F\xBF\xBF", sound},  // U+10FFFF, the last
        {"\u9634\u6027 \U0001F600 \u00b5", sound},
        {std::string_view("\0", 1), 0},
        {std::string_view("12345678\0", 9), 8},
        {std::string_view("1234567\0", 8), 7},
        {"\x80", 0},  // a continuation alone
        {"a\xBFz", 1},
        {"\xC0\x80", 0},          // overlong NUL
        {"\xC1\xBF", 0},          // overlong U+007F
        {"\xE0\x80\x80", 0},      // overlong
        {"\xE0\x9F\xBF", 0},      // overlong U+07FF
        {"\xF0\x80\x80\x80", 0},  // overlong
        {"\xF0\x8F\xBF\xBF", 0},  // overlong U+FFFF
        {"\xED\xA0\x80", 0},      // U+D800, a surrogate
        {"\xED\xBF\xBF", 0},      // U+DFFF
        {"\xF4\x90\x80\x80", 0},  // U+110000, beyond the last
        {"\xF5\x80\x80\x80", 0},
        {"\xFE", 0},
        {"\xFF", 0},
        {"ab\xC2", 2},  // truncated
        {"ab\xE2\x82", 2},
        {"ab\xF0\x9F\x98", 2},
        {"\xC2z", 0},
        {"\xE2\x82z", 0},
        {"\xF0\x9F\x98z", 0},
        {"12345678\xFF", 8},
        {"1234567\xFF", 7},
        {"1234567\xC2\xB5"
         "12345678\xC2",
         17},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text.size());
        CAPTURE(static_cast<int>(row.text.empty() ? 0 : static_cast<unsigned char>(row.text.front())));
        // Behind so many plain bytes, and before as many.
        for (const std::size_t plain : {0U, 1U, 31U, 63U, 64U, 100U, 200U}) {
            const std::string text = std::string(plain, 'x') + std::string(row.text) + std::string(plain, 'y');
            const std::size_t expected = row.expected == sound ? sound : row.expected + plain;
            CHECK(findInvalidUtf8(text) == expected);
            CHECK(baseline::findInvalidUtf8(text) == expected);
        }
    }
}
