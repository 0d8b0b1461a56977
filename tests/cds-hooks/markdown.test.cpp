#include "cds-hooks/markdown.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

using cds_hooks::countCodePoints;
using cds_hooks::escapeMarkdown;
using cds_hooks::shorten;

TEST_CASE("text of a chart renders as it is written") {
    const std::pair<const char*, const char*> table[] = {
        {"plain words, 1.2 mg/dL", "plain words, 1.2 mg/dL"},
        {"<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"},
        {"a|b", "a\\|b"},
        {"`code`", "\\`code\\`"},
        {"**bold** _it_ ~gone~", "\\*\\*bold\\*\\* \\_it\\_ \\~gone\\~"},
        {"[click](javascript:x)", "\\[click\\](javascript:x)"},
        {"https://evil.example/x", "https&#58;//evil.example/x"},
        {"mail@evil.example", "mail&#64;&#8203;evil.example"},
        {"www.evil.example", "www&#46;evil.example"},
        {"R&D &lt;", "R&amp;D &amp;lt;"},
        {"back\\slash", "back\\\\slash"},
        {"two\nlines\r\nand\ttab", "two lines  and tab"},
        {"# heading", "\\# heading"},
        {"\xE2\x80\xAE"
         "abc",
         "abc"},  // right-to-left override
        {"a\xE2\x80\x8B"
         "b\x07",
         "ab"},  // zero-width space, bell
        {"血小板 ≥ 80 ×10⁹/L", "血小板 ≥ 80 ×10⁹/L"},
        {"", ""},
    };
    for (const auto& [text, expected] : table) CHECK_EQ(escapeMarkdown(text), expected);
}

TEST_CASE("a long text is cut between code points and says so") {
    CHECK_EQ(shorten("abcdef", 6), "abcdef");
    CHECK_EQ(shorten("abcdef", 5), "abcd…");
    CHECK_EQ(shorten("阴阳阴阳", 3), "阴阳…");
    const std::string longText(5000, '<');
    const std::string escaped = escapeMarkdown(longText);
    CHECK_EQ(escaped.find('<'), std::string::npos);
    CHECK_LE(escaped.size(), 200 * 4 + 3);
    CHECK_EQ(countCodePoints("a≥𝔸"), 3);
}

TEST_CASE("what a chart holds forges no line on a terminal or in a log") {
    CHECK_EQ(cds_hooks::printable("p1\n  NCT07109518  candidate\x1b[31m\xE2\x80\xAE!"),
             "p1   NCT07109518  candidate[31m!");
}
