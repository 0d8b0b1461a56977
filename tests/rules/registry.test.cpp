#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support.h"

// The words of the trial files against the words of the registry pages (clinical README, ruling 28).

namespace {

/// A word as a number, so that thousands of changed texts are compared in no time.
using Word = std::size_t;

struct Dictionary {
    std::map<std::string, Word> numbers;
    std::vector<std::string> words;
};

Dictionary& dictionary() {
    static Dictionary instance;
    return instance;
}

Word numbered(const std::string& word) {
    const auto [entry, isNew] = dictionary().numbers.emplace(word, dictionary().words.size());
    if (isNew) dictionary().words.push_back(word);
    return entry->second;
}

/// What one criterion says, as far as its words matter.
struct Line {
    std::string id;
    std::vector<Word> words;
    bool group = false;
};

bool isDigit(char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool isLetter(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

/// Without markdown escapes, typographic quotes and spaces that are none.
std::string plain(std::string text) {
    for (const std::string_view escaped : {"\\<", "\\>", "\\*", "\\_", "\\~"})
        text = replaced(std::move(text), escaped, escaped.substr(1));
    for (const std::string_view quote : {"‘", "’"}) text = replaced(std::move(text), quote, "'");
    for (const std::string_view quote : {"“", "”"}) text = replaced(std::move(text), quote, "\"");
    for (const std::string_view bullet : {"•", "\u00a0", "\r", "\t"}) text = replaced(std::move(text), bullet, " ");
    return text;
}

/// The words of a text in order. Comparison signs are words of their own, punctuation and list letters ("a.", "b)") are
/// none; a point stays inside a number.
std::vector<Word> wordsOf(std::string_view raw) {
    std::string text = plain(std::string(raw));
    for (const std::string_view sign : {"≥", "≤", "×", "<", ">", "=", "%"})
        text = replaced(std::move(text), sign, " " + std::string(sign) + " ");
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool listLetter =
            isLetter(text[i]) && (i == 0 || std::string_view(" :.;").find(text[i - 1]) != std::string::npos) &&
            i + 1 < text.size() &&
            (text[i + 1] == ')' ||
             (text[i + 1] == '.' && i + 2 < text.size() && text[i + 2] == ' ' && (i == 0 || text[i - 1] == ' ')));
        if (listLetter) text[i] = ' ';
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool inNumber =
            text[i] == '.' && i > 0 && i + 1 < text.size() && isDigit(text[i - 1]) && isDigit(text[i + 1]);
        if (std::string_view(".,;:()[]\"\n").find(text[i]) != std::string_view::npos && !inNumber) text[i] = ' ';
    }
    std::vector<Word> words;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        if (end > at) words.push_back(numbered(text.substr(at, end - at)));
        at = end + 1;
    }
    return words;
}

std::string joined(const std::vector<Word>& words) {
    std::string text;
    for (const Word word : words) text += (text.empty() ? "" : " ") + dictionary().words[word];
    return text;
}

/// A line of the page without its bullet and number.
std::string unnumbered(std::string line) {
    line = plain(std::move(line));
    std::size_t at = line.find_first_not_of(" -");
    if (at == std::string::npos) return {};
    std::size_t digits = at;
    while (digits < line.size() && isDigit(line[digits])) ++digits;
    if (digits > at && digits + 1 < line.size() && line[digits] == '.' && line[digits + 1] == ' ') at = digits + 2;
    return line.substr(at);
}

/// The words of a page's eligibility sections, headings left out.
std::vector<Word> wordsOfPage(const std::string& page) {
    std::vector<Word> words;
    std::size_t at = 0;
    while (at < page.size()) {
        const std::size_t end = std::min(page.find('\n', at), page.size());
        const std::vector<Word> line = wordsOf(unnumbered(page.substr(at, end - at)));
        at = end + 1;
        const std::string lower = mapping::lowerCase(joined(line));
        if (lower == "inclusion criteria" || lower == "exclusion criteria" ||
            lower == "subjects who met any of the following criteria were excluded from the study")
            continue;
        words.insert(words.end(), line.begin(), line.end());
    }
    return words;
}

bool standsAt(const std::vector<Word>& page, std::size_t at, const std::vector<Word>& words) {
    return std::equal(words.begin(), words.end(), page.begin() + static_cast<std::ptrdiff_t>(at));
}

/// Where the words stand on the page as they are: the first place that nobody has claimed, else the first place.
std::size_t placeOf(const std::vector<Word>& page, const std::vector<bool>& claimed, const std::vector<Word>& words) {
    std::size_t first = std::string::npos;
    for (std::size_t at = 0; at + words.size() <= page.size(); ++at) {
        if (page[at] != words.front() || !standsAt(page, at, words)) continue;
        if (!claimed[at]) return at;
        if (first == std::string::npos) first = at;
    }
    return first;
}

/// A group's words frame its parts, so they may stand in pieces, in the order of the page. False when they do not.
bool claimPieces(const std::vector<Word>& page, std::vector<bool>& claimed, const std::vector<Word>& words) {
    std::size_t from = 0;
    std::size_t searchFrom = 0;
    while (from < words.size()) {
        std::size_t best = 0;
        std::size_t bestAt = 0;
        for (std::size_t at = searchFrom; at < page.size(); ++at) {
            std::size_t length = 0;
            while (from + length < words.size() && at + length < page.size() &&
                   words[from + length] == page[at + length])
                ++length;
            if (length > best) {
                best = length;
                bestAt = at;
            }
        }
        if (best == 0) return false;
        std::fill_n(claimed.begin() + static_cast<std::ptrdiff_t>(bestAt), best, true);
        from += best;
        searchFrom = bestAt + best;
    }
    return true;
}

/// Everything in which the lines and the page differ; nothing when the words are the same.
std::vector<std::string> differences(const std::vector<Line>& lines, const std::vector<Word>& page) {
    std::vector<std::string> found;
    std::vector<bool> claimed(page.size(), false);
    for (const Line& line : lines) {
        if (line.words.empty()) {
            if (!line.group) found.push_back(line.id + " has no words");
            continue;
        }
        const std::size_t at = placeOf(page, claimed, line.words);
        if (at != std::string::npos) {
            std::fill_n(claimed.begin() + static_cast<std::ptrdiff_t>(at), line.words.size(), true);
        } else if (!line.group || !claimPieces(page, claimed, line.words)) {
            found.push_back(line.id + " has words that do not stand so on the page");
        }
    }
    for (std::size_t i = 0; i < page.size(); ++i) {
        if (claimed[i]) continue;
        std::string missing;
        while (i < page.size() && !claimed[i]) missing += dictionary().words[page[i++]] + ' ';
        found.push_back("no criterion says: " + missing);
    }
    return found;
}

std::vector<Line> linesOf(const rules::Trial& trial) {
    std::vector<Line> lines;
    for (const rules::Criterion& criterion : trial.criteria) {
        if (criterion.source == "registry-field") continue;
        lines.push_back({criterion.id, wordsOf(criterion.text), criterion.group});
    }
    return lines;
}

std::vector<Word> pageOf(const rules::Trial& trial) {
    return wordsOfPage(support::readFile("fixtures/registry/" + trial.id + ".txt"));
}

/// Whether a word has neighbours on both sides: without its first or last word a shared sentence is still a sentence of
/// the page.
bool inside(std::size_t at, std::size_t count) {
    return at > 0 && at + 1 < count;
}

}  // namespace

TEST_CASE("words are compared without escapes, bullets, quotes and list letters") {
    CHECK(joined(wordsOf("Age ≥18 and \\<70 years;")) == "Age ≥ 18 and < 70 years");
    CHECK(joined(wordsOf("the investigator’s “own” words")) == "the investigator's own words");
    CHECK(joined(wordsOf("criteria:a) Relapsed: two")) == "criteria Relapsed two");
    CHECK(joined(wordsOf("be met: a. For those, i.e. all")) == "be met For those i e all");
    CHECK(joined(wordsOf("total bilirubin ≤ 2.0mg/dL.")) == "total bilirubin ≤ 2.0mg/dL");
    CHECK(joined(wordsOfPage("- Inclusion Criteria:\n- • 12. Age older\n    1. Two\n- Exclusion Criteria:\n")) ==
          "Age older Two");
    CHECK(joined(wordsOf("≤3")) != joined(wordsOf("≥3")));
    CHECK(joined(wordsOf("1.5 x")) != joined(wordsOf("15 x")));
}

TEST_CASE("the words of the trial files are the words of the registry pages") {
    REQUIRE(support::knowledge().trials.size() == 5);
    for (const rules::Trial& trial : support::knowledge().trials) {
        CAPTURE(trial.id);
        const std::vector<Word> page = pageOf(trial);
        CHECK(page.size() > 150);
        for (const std::string& difference : differences(linesOf(trial), page))
            FAIL_CHECK(trial.id << ' ' << difference);
    }
}

TEST_CASE("no criterion's words can go missing unnoticed") {
    for (const rules::Trial& trial : support::knowledge().trials) {
        const std::vector<Word> page = pageOf(trial);
        const std::vector<Line> lines = linesOf(trial);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            if (lines[i].words.empty()) continue;
            std::vector<Line> changed = lines;
            changed[i].words.clear();
            CHECK_MESSAGE(!differences(changed, page).empty(), trial.id << ' ' << lines[i].id);
        }
    }
}

TEST_CASE("no word of a criterion can be changed, left out or added unnoticed") {
    const Word atLeast = numbered("≥"), atMost = numbered("≤"), the = numbered("the"), never = numbered("never");
    for (const rules::Trial& trial : support::knowledge().trials) {
        const std::vector<Word> page = pageOf(trial);
        const std::vector<Line> lines = linesOf(trial);
        for (std::size_t i = 0; i < lines.size(); ++i) {
            const std::vector<Word>& words = lines[i].words;
            std::vector<Line> changed = lines;
            for (std::size_t at = 0; at < words.size(); ++at) {
                const auto noticed = [&](std::vector<Word> now) {
                    changed[i].words = std::move(now);
                    return !differences(changed, page).empty();
                };
                // A word that stands elsewhere on the page is the harder change to notice than one that does not.
                std::vector<Word> other = words;
                other[at] = words[at] == atLeast  ? atMost
                            : words[at] == atMost ? atLeast
                            : words[at] == the    ? numbered("and")
                                                  : the;
                CHECK_MESSAGE(noticed(other), trial.id << ' ' << lines[i].id << " word " << at << " changed");
                std::vector<Word> longer = words;
                longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(at), never);
                CHECK_MESSAGE(noticed(longer), trial.id << ' ' << lines[i].id << " 'never' before word " << at);
                std::vector<Word> shorter = words;
                shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(at));
                if (inside(at, words.size()))
                    CHECK_MESSAGE(noticed(shorter), trial.id << ' ' << lines[i].id << " without word " << at);
            }
        }
    }
}

TEST_CASE("a sentence that the page gains is missed in the trial file") {
    const rules::Trial& trial = support::knowledge().trials.front();
    std::vector<Word> page = pageOf(trial);
    for (const char* word : {"No", "tattoos"}) page.push_back(numbered(word));
    const std::vector<std::string> found = differences(linesOf(trial), page);
    REQUIRE(found.size() == 1);
    CHECK(found.front() == "no criterion says: No tattoos ");
}
