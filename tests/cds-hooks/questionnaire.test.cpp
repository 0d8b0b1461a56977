#include "cds-hooks/questionnaire.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/respond.h"
#include "fhir/json.h"
#include "mapping/answer.h"
#include "tests/support.h"

// The screening forms, and what comes of them when they are filled in. `Reading` below says on its own what a filled
// form means for a trial; it shares the rule tree with the program and nothing of how the program judges it.

namespace {

using fhir::Date;
using fhir::Rational;
using fhir::json::Document;
using fhir::json::Value;
using mapping::FactDefinition;
using mapping::Kind;
using rules::Comparison;
using rules::Rule;

const std::string asOf = "2025-11-13";

const mapping::Vocabulary& vocabulary() {
    return support::knowledge().vocabulary;
}

// --- a form as a person sees it --------------------------------------------------------------------------------------

struct Item {
    std::string linkId, type, text;
    bool repeats = false;
    std::vector<std::string> units;
    std::vector<std::string> options;
    std::vector<Item> item;
};

Item readItem(Value value) {
    Item item;
    item.linkId = value["linkId"].text();
    item.type = value["type"].text();
    item.text = value["text"].text();
    item.repeats = value["repeats"].isTrue();
    for (const Value extension : value["extension"].items()) {
        if (extension["valueCoding"]) item.units.emplace_back(extension["valueCoding"]["code"].text());
    }
    for (const Value option : value["answerOption"].items())
        item.options.emplace_back(option["valueCoding"]["code"].text());
    for (const Value child : value["item"].items()) item.item.push_back(readItem(child));
    return item;
}

std::vector<Item> formOf(const rules::Trial& trial, const rules::Evaluation* evaluation = nullptr) {
    const Document document(cds_hooks::questionnaireJson(trial, vocabulary(), evaluation));
    std::vector<Item> items;
    for (const Value item : document.root()["item"].items()) items.push_back(readItem(item));
    return items;
}

template <typename Visit>
void forEach(const std::vector<Item>& items, const Visit& visit) {
    for (const Item& item : items) {
        visit(item);
        forEach(item.item, visit);
    }
}

// --- a filled form ---------------------------------------------------------------------------------------------------

/// What a person says of one fact or question.
struct Given {
    std::optional<bool> yes;
    std::optional<Rational> value, upperLimit;  ///< in the fact's unit
    std::optional<Rational> halfLife;           ///< days
    std::string choice, method;
    std::vector<Date> dates;
    std::optional<Date> end;
};

/// A person's answers: as JSON by linkId, and what they mean by fact or question.
struct Filled {
    std::map<std::string, std::vector<std::string>> json;
    std::map<std::string, Given> given;
    Date authored = support::day("2025-11-12");

    void yes(const std::string& linkId, bool answer) {
        json[linkId] = {answer ? R"("valueBoolean":true)" : R"("valueBoolean":false)"};
        given[linkId].yes = answer;
    }
    void choose(const std::string& linkId, const std::string& option) {
        json[linkId] = {R"("valueCoding":{"system":"urn:cd7match:answer","code":")" + option + "\"}"};
        given[linkId].choice = option;
    }
    static std::string dateJson(Date day) { return R"("valueDate":")" + day.text() + '"'; }
    void date(const std::string& linkId, Date day) {
        json[linkId + "/date"].push_back(dateJson(day));
        given[linkId].dates.push_back(day);
    }
    void halfLife(const std::string& linkId, const Rational& days, bool inHours) {
        json[linkId + "/halfLife"] = {
            R"("valueQuantity":{"value":)" + fhir::decimalText(inHours ? days * 24 : days, 4) +
            R"(,"system":"http://unitsofmeasure.org","code":")" + (inHours ? "h" : "d") + "\"}"};
        given[linkId].halfLife = days;
    }
    void end(const std::string& linkId, Date day) {
        json[linkId + "/end"] = {dateJson(day)};
        given[linkId].end = day;
    }
};

void writeItems(const std::vector<Item>& items, const Filled& filled, bool nested, std::string& text,
                std::optional<std::size_t> only = {});

void writeItem(const Item& item, const Filled& filled, bool nested, std::string& text,
               std::optional<std::size_t> only) {
    const auto found = filled.json.find(item.linkId);
    if (found == filled.json.end()) return;
    const bool several = found->second.size() > 1 && !item.item.empty();  // each answer with parts of its own
    text += (text.empty() ? "" : ",") + (R"({"linkId":")" + item.linkId + R"(","answer":[)");
    std::string separator;
    for (std::size_t i = 0; i < found->second.size(); ++i) {
        if (only && i != *only) continue;
        std::string parts;
        if (nested) writeItems(item.item, filled, nested, parts, several ? std::optional(i) : std::nullopt);
        const bool takes = !parts.empty() && (i == 0 || several);
        text +=
            std::exchange(separator, ",") + "{" + found->second[i] + (takes ? R"(,"item":[)" + parts + "]" : "") + "}";
    }
    text += "]}";
    if (!nested) writeItems(item.item, filled, nested, text);
}

/// The items with their answers, nested as a form filler nests them, or flat.
void writeItems(const std::vector<Item>& items, const Filled& filled, bool nested, std::string& text,
                std::optional<std::size_t> only) {
    for (const Item& item : items) {
        if (item.type != "group") {
            writeItem(item, filled, nested, text, only);
            continue;
        }
        std::string parts;
        writeItems(item.item, filled, nested, parts);
        text += (text.empty() ? "" : ",") + (R"({"linkId":")" + item.linkId + R"(","item":[)" + parts + "]}");
    }
}

std::string responseOf(const std::vector<Item>& items, const Filled& filled, bool nested = true) {
    std::string text;
    writeItems(items, filled, nested, text);
    return R"({"resourceType":"QuestionnaireResponse","id":"form","status":"completed","authored":")" +
           filled.authored.text() +
           R"(T10:00:00Z","subject":{"reference":"Patient/p1"},"author":{"reference":"Practitioner/1"},"item":[)" +
           text + "]}";
}

cds_hooks::Screening screenForm(const std::string& response, const fhir::Coverage& coverage = {}) {
    return support::screen(support::bundleOf({R"({"resourceType":"Patient","id":"p1"})", response}), asOf, coverage);
}

const rules::Evaluation& evaluationOf(const cds_hooks::Screening& screening, std::string_view trial) {
    const auto found = std::find_if(screening.evaluations.begin(), screening.evaluations.end(),
                                    [&](const rules::Evaluation& e) { return e.trial->id == trial; });
    REQUIRE(found != screening.evaluations.end());
    return *found;
}

// --- what a filled form means ----------------------------------------------------------------------------------------

using Meaning = std::optional<bool>;  ///< nothing: the form does not settle it

Meaning allOf(const std::vector<Meaning>& parts) {
    bool open = false;
    for (const Meaning& part : parts) {
        if (part == false) return false;
        open = open || !part;
    }
    return open ? Meaning() : Meaning(true);
}

Meaning anyOf(std::vector<Meaning> parts) {
    for (Meaning& part : parts) {
        if (part) part = !*part;
    }
    const Meaning none = allOf(parts);
    return none ? Meaning(!*none) : Meaning();
}

class Reading {
public:
    Reading(const rules::Trial& trial, const Filled& filled) : trial_(trial), filled_(filled) {}

    Meaning of(const rules::Criterion& criterion) const { return of(criterion.when, criterion); }

private:
    Meaning of(const Rule& rule, const rules::Criterion& criterion) const {
        std::vector<Meaning> parts;
        for (const Rule& part : rule.rules) parts.push_back(of(part, criterion));
        switch (rule.kind) {
            case Rule::Kind::ask:
                return isLate(90) ? given(rule.linkId).yes : Meaning();
            case Rule::Kind::reference:
                return of(trial_.criteria[rule.target]);
            case Rule::Kind::all:
                return allOf(parts);
            case Rule::Kind::any:
                return anyOf(parts);
            case Rule::Kind::negation:
                return parts.front() ? Meaning(!*parts.front()) : Meaning();
            case Rule::Kind::comparison:
                break;
        }
        return of(rule.comparison, criterion);
    }

    const Given& given(const std::string& linkId) const {
        static const Given nothing;
        const auto found = filled_.given.find(linkId);
        return found == filled_.given.end() ? nothing : found->second;
    }
    const Given& given(const FactDefinition& fact) const { return given(mapping::linkIdOf(fact)); }

    static Date today() { return support::day(asOf); }

    /// The day that a result is of: its own, or that of the form.
    Date dayOf(const Given& answer) const {
        return answer.dates.empty() ? filled_.authored : *std::max_element(answer.dates.begin(), answer.dates.end());
    }

    bool isFresh(const FactDefinition& fact, const Given& answer) const {
        if (fact.positiveStays && answer.yes == true) return true;
        if (fact.freshFor) return today() - dayOf(answer) <= *fact.freshFor;
        return (fact.kind == Kind::finding && answer.yes == true) || isLate(90);
    }

    bool isLate(int days) const { return today() - filled_.authored <= days; }

    /// Whether the form is young enough to tell what is so today, or all through a window.
    bool tellsOfToday(const FactDefinition& fact, const std::optional<rules::Window>& window = {}) const {
        return isLate(fact.freshFor.value_or(90)) && (!window || today() <= window->lastDayInside(filled_.authored));
    }

    Meaning of(const Comparison& comparison, const rules::Criterion& criterion) const {
        const FactDefinition& fact = vocabulary().facts()[comparison.fact];
        const Given& answer = given(fact);
        if (comparison.after) return after(comparison, fact, criterion);
        switch (comparison.form) {
            case Comparison::Form::order:
                return order(comparison, fact, answer);
            case Comparison::Form::membership:
                if (answer.choice.empty() || !isFresh(fact, answer)) return {};
                return std::find(comparison.members.begin(), comparison.members.end(), answer.choice) !=
                       comparison.members.end();
            case Comparison::Form::twice:
            case Comparison::Form::yes:
                break;
        }
        if (answer.yes == true && comparison.except) {
            const FactDefinition& except = vocabulary().facts()[*comparison.except];
            const Meaning exception = given(except).yes;
            if (!exception || (!*exception && !tellsOfToday(except))) return {};
            if (*exception) return tellsOfToday(fact, comparison.window) ? Meaning(false) : Meaning();
        }
        return finding(fact, answer, comparison.window, criterion);
    }

    Meaning order(const Comparison& comparison, const FactDefinition& fact, const Given& answer) const {
        if (!comparison.method.empty() && answer.method != comparison.method) return {};
        if (!isFresh(fact, answer)) return {};
        Rational limit = comparison.value;
        if (fact.kind == Kind::viralLoad) {
            if (!answer.yes) return {};
            if (!*answer.yes) return false;  // not detected is not above any limit
        }
        if (!answer.value) return {};
        if (comparison.timesUpperLimit) {
            if (!answer.upperLimit) return {};
            limit = limit * *answer.upperLimit;
        }
        switch (comparison.op) {
            case rules::Operator::less:
                return *answer.value < limit;
            case rules::Operator::lessOrEqual:
                return *answer.value <= limit;
            case rules::Operator::equal:
                return *answer.value == limit;
            case rules::Operator::greaterOrEqual:
                return *answer.value >= limit;
            case rules::Operator::greater:
                return *answer.value > limit;
        }
        return {};
    }

    Meaning finding(const FactDefinition& fact, const Given& answer, const std::optional<rules::Window>& window,
                    const rules::Criterion& criterion) const {
        if (!answer.yes) return {};
        const Meaning no = tellsOfToday(fact, window) ? Meaning(false) : Meaning();
        const bool isTest = mapping::isAnsweredAsResult(fact) || fact.kind != Kind::finding;
        if (isTest && !isFresh(fact, answer)) return {};
        if (isTest && !*answer.yes) {
            return !window || today() <= window->lastDayInside(dayOf(answer)) ? Meaning(false) : Meaning();
        }
        if (!*answer.yes) return no;
        if (!isTest && fact.freshFor && !isLate(*fact.freshFor)) return {};
        const bool lasting = !isTest && !fact.event;
        const mapping::StatusPolicy policy =
            criterion.status && fact.status != mapping::StatusPolicy::diagnosed ? *criterion.status : fact.status;
        // Ended before it began: nothing is known of either.
        if (lasting && answer.end && !answer.dates.empty() && *answer.end < answer.dates.back())
            return !window && policy != mapping::StatusPolicy::plain && policy != mapping::StatusPolicy::active
                       ? Meaning(true)
                       : Meaning();
        if (window) {
            std::optional<Date> day;
            if (lasting && answer.end) day = answer.end;
            if (!lasting && !answer.dates.empty()) day = answer.dates.back();
            const bool ongoing = lasting && !answer.end && !answer.dates.empty();
            if (!day && !ongoing) return {};
            if (ongoing && today() > window->lastDayInside(filled_.authored)) return {};
            const bool inside = ongoing || today() <= window->lastDayInside(*day);
            if (!inside) return no;
            if (window->halfLives > 0 && !ongoing) {
                if (!answer.halfLife) return {};
                if (Rational(today() - *day) >= window->halfLives * *answer.halfLife) return no;
            }
            return window->anchor == rules::Anchor::screening ? Meaning(true) : Meaning();
        }
        if (answer.end && !fact.event && policy != mapping::StatusPolicy::ever) return no;
        const bool today = policy == mapping::StatusPolicy::plain || policy == mapping::StatusPolicy::active;
        return isTest || fact.event || !today || tellsOfToday(fact) ? Meaning(true) : Meaning();
    }

    Meaning exists(const FactDefinition& fact, const rules::Criterion& criterion) const {
        const Given& answer = given(fact);
        if (fact.kind != Kind::quantity) return finding(fact, answer, {}, criterion);
        if (!answer.value || !isFresh(fact, answer)) return {};
        return true;
    }

    Meaning after(const Comparison& comparison, const FactDefinition& later, const rules::Criterion& criterion) const {
        const FactDefinition& earlier = vocabulary().facts()[*comparison.after];
        const std::vector<Date>& before = given(earlier).dates;
        std::vector<Date> days = given(later).dates;
        const Meaning first = exists(earlier, criterion);
        if (comparison.form == Comparison::Form::twice) {
            if (first == false) return false;
            if (given(later).yes == false) return isFresh(later, given(later)) ? Meaning(false) : Meaning();
            if (!first || !given(later).yes || days.empty() || before.empty()) return {};
            for (const Date one : days) {
                for (const Date other : days) {
                    const Date since = *std::min_element(before.begin(), before.end());
                    if (one > since && other > since && other - one >= comparison.daysApart) return true;
                }
            }
            return tellsOfToday(later) && isFresh(later, given(later)) ? Meaning(false) : Meaning();
        }
        const Meaning both = allOf({exists(later, criterion), first});
        if (both != true) return both;
        if (later.kind == Kind::quantity) days = {dayOf(given(later))};
        if (days.empty() || before.empty()) return {};
        const Date latest = *std::max_element(days.begin(), days.end());
        const Date earliest = *std::min_element(before.begin(), before.end());
        if (latest == earliest) return {};  // in which order on that day, nobody says
        if (latest > earliest) return true;
        return tellsOfToday(later) ? Meaning(false) : Meaning();
    }

    const rules::Trial& trial_;
    const Filled& filled_;
};

// --- answers ---------------------------------------------------------------------------------------------------------

const FactDefinition* factOf(std::string_view linkId) {
    if (!linkId.starts_with("fact/")) return nullptr;
    linkId.remove_prefix(5);
    return vocabulary().find(linkId.substr(0, linkId.find('/')));
}

/// A number that prints exactly in that unit, near the target, with what it means in the fact's unit.
std::pair<std::string, Rational> numberIn(const FactDefinition& fact, const std::string& unit, const Rational& target) {
    Rational factor = 1;
    for (const auto& [spelling, known] : fact.units) {
        if (spelling == unit && known) factor = *known;
    }
    const std::string text = fhir::decimalText(target / factor, 4);
    return {text, *fhir::parseDecimal(text) * factor};
}

Rational usualUpperLimit(const FactDefinition& fact) {
    static const std::map<std::string, Rational> limits{
        {"alt", 40}, {"ast", 40}, {"aptt", 36}, {"inr", {12, 10}}, {"directBilirubin", {3, 10}}};
    if (const auto found = limits.find(fact.name); found != limits.end()) return found->second;
    return fact.kind == Kind::viralLoad ? Rational(20) : Rational(12, 10);
}

void answerNumber(Filled& filled, const std::string& linkId, const Item& item, const FactDefinition& fact,
                  const Rational& target, std::size_t unitIndex) {
    const bool isPart = linkId.ends_with("/upperLimit") || linkId.ends_with("/value");
    const std::string main = mapping::linkIdOf(fact);
    std::vector<std::string> units;
    for (const std::string& unit : item.units) {
        const bool converts = std::any_of(fact.units.begin(), fact.units.end(), [&](const auto& known) {
            return known.first == unit && known.second.has_value();
        });
        if (converts) units.push_back(unit);
    }
    const std::string unit = units.empty() ? "" : units[unitIndex % units.size()];
    const auto [text, value] = numberIn(fact, unit, target);
    if (item.type == "integer") {
        filled.json[linkId] = {R"("valueInteger":)" + text};
    } else if (item.type == "decimal") {
        filled.json[linkId] = {R"("valueDecimal":)" + text};
    } else {
        filled.json[linkId] = {R"("valueQuantity":{"value":)" + text +
                               R"(,"system":"http://unitsofmeasure.org","code":")" + unit + "\"}"};
    }
    (isPart && linkId.ends_with("/upperLimit") ? filled.given[main].upperLimit : filled.given[main].value) = value;
}

/// Every bound that a trial sets to a fact.
void collectBounds(const Rule& rule, std::map<std::size_t, std::vector<const Comparison*>>& bounds) {
    if (rule.kind == Rule::Kind::comparison && rule.comparison.form == Comparison::Form::order)
        bounds[rule.comparison.fact].push_back(&rule.comparison);
    for (const Rule& part : rule.rules) collectBounds(part, bounds);
}

/// Random answers to every item; parts are sometimes left out.
class Generator {
public:
    Generator(const rules::Trial& trial, std::uint32_t seed) : random_(seed) {
        for (const rules::Criterion& criterion : trial.criteria) collectBounds(criterion.when, bounds_);
    }

    Filled fill(const std::vector<Item>& items) {
        Filled filled;
        static const std::vector<int> ages{1, 1, 1, 1, 5, 8, 15, 29, 60, 90, 91, 200};
        filled.authored = support::day(asOf) - ages[static_cast<std::size_t>(number(0, 99)) % ages.size()];
        forEach(items, [&](const Item& item) { answer(item, filled); });
        return filled;
    }

    bool chance(int inHundred) { return number(1, 100) <= inHundred; }

private:
    int number(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }

    void answer(const Item& item, Filled& filled) {
        if (item.type == "group" || item.type == "display") return;
        const FactDefinition* fact = factOf(item.linkId);
        if (fact == nullptr) {
            filled.yes(item.linkId, chance(50));
            return;
        }
        const std::string main = mapping::linkIdOf(*fact);
        const bool isPart = item.linkId != main;
        if (isPart && chance(15)) return;
        if (item.type == "boolean") {
            filled.yes(main, chance(50));
        } else if (item.type == "choice") {
            const std::string& option = item.options[static_cast<std::size_t>(number(0, 99)) % item.options.size()];
            if (isPart) {
                filled.json[item.linkId] = {R"("valueCoding":{"code":")" + option + "\"}"};
                filled.given[main].method = option;
            } else {
                filled.choose(main, option);
            }
        } else if (item.type == "date") {
            answerDate(item, *fact, main, filled);
        } else if (item.linkId.ends_with("/halfLife")) {
            static const std::vector<Rational> days{{1, 4}, 1, 2, 3, 6, 20};
            filled.halfLife(main, days[static_cast<std::size_t>(number(0, 5))], chance(50));
        } else {
            answerNumber(filled, item.linkId, item, *fact, target(*fact, item.linkId),
                         static_cast<std::size_t>(number(0, 9)));
        }
    }

    void answerDate(const Item& item, const FactDefinition& fact, const std::string& main, Filled& filled) {
        static const std::vector<int> ages{0,  1,  6,  7,  8,  13, 14,  15,  27,  28,
                                           29, 30, 31, 60, 61, 90, 180, 365, 700, 2000};
        // A form says nothing of the days of what was not so.
        if (filled.given[main].yes == false && !mapping::isAnsweredAsResult(fact)) return;
        const bool isEnd = item.linkId.ends_with("/end");
        if (isEnd && chance(50)) return;
        const int count = item.repeats ? number(1, 3) : 1;
        for (int i = 0; i < count; ++i) {
            const bool recent = fact.freshFor && chance(80);
            const int age = recent ? number(0, 7) : ages[static_cast<std::size_t>(number(0, 99)) % ages.size()];
            const Date day = support::day(asOf) - age;
            if (isEnd) {
                filled.end(main, day);
            } else {
                filled.date(main, day);
            }
        }
        std::sort(filled.given[main].dates.begin(), filled.given[main].dates.end());
    }

    Rational target(const FactDefinition& fact, const std::string& linkId) {
        if (linkId.ends_with("/upperLimit")) return usualUpperLimit(fact);
        static const std::vector<Rational> times{{1, 2}, {9, 10}, 1, {11, 10}, 2};
        Rational value = 3;
        if (const auto found = bounds_.find(fact.index); found != bounds_.end()) {
            const Comparison& bound = *found->second[static_cast<std::size_t>(number(0, 99)) % found->second.size()];
            value = bound.value * times[static_cast<std::size_t>(number(0, 4))];
            if (bound.timesUpperLimit) value = value * usualUpperLimit(fact);
        }
        const bool isScore = fact.kind == Kind::count || fact.unit == "{score}" || fact.unit == "{grade}";
        if (isScore) value = *fhir::parseDecimal(fhir::decimalText(value, 0));
        if (fact.plausible.low && value < *fact.plausible.low) value = *fact.plausible.low;
        if (fact.plausible.high && value > *fact.plausible.high) value = *fact.plausible.high;
        return value;
    }

    std::mt19937 random_;
    std::map<std::size_t, std::vector<const Comparison*>> bounds_;
};

std::string truthOf(Meaning meaning) {
    return !meaning ? "unknown" : *meaning ? "true" : "false";
}

}  // namespace

TEST_CASE("every form is a FHIR R4 Questionnaire without empty elements, its linkIds unique") {
    for (const rules::Trial& trial : support::knowledge().trials) {
        CAPTURE(trial.id);
        const Document document(cds_hooks::questionnaireJson(trial, vocabulary()));
        const Value root = document.root();
        CHECK_EQ(root["resourceType"].text(), "Questionnaire");
        CHECK_EQ(root["id"].text(), trial.id);
        CHECK_EQ(root["status"].text(), "active");
        for (const std::string_view name : {"url", "version", "name", "title"}) CHECK_FALSE(root[name].text().empty());
        const std::function<void(Value)> check = [&](Value value) {
            if (value.isObject()) CHECK(!(value.members().begin() == value.members().end()));
            if (value.isArray()) CHECK(!(value.items().begin() == value.items().end()));
            CHECK(value.kind() != fhir::json::Kind::null);
            if (value.isString()) CHECK_FALSE(value.text().empty());
            for (const auto [name, member] : value.members()) check(member);
            for (const Value item : value.items()) check(item);
        };
        check(root);
        static const std::set<std::string> types{"group",   "display", "boolean",  "choice",
                                                 "integer", "decimal", "quantity", "date"};
        std::set<std::string> linkIds;
        forEach(formOf(trial), [&](const Item& item) {
            CAPTURE(item.linkId);
            CHECK(linkIds.insert(item.linkId).second);
            CHECK(types.contains(item.type));
            CHECK_FALSE(item.text.empty());
            CHECK_EQ(item.options.empty(), item.type != "choice");
            CHECK_EQ(item.units.empty(), item.type != "quantity");
            if (item.type == "display") CHECK(item.item.empty());
            if (item.type == "group") CHECK_FALSE(item.item.empty());
        });
    }
}

TEST_CASE("linkIds are what they were: a stored form is never read as the answer to another question") {
    // fixtures/forms/linkIds.txt: one a line, with the words of those that are named by place. A line that goes or
    // changes its words makes stored answers mean something else; a new question is a new line.
    std::set<std::string> known;
    std::istringstream file(support::readFile("fixtures/forms/linkIds.txt"));
    for (std::string line; std::getline(file, line);) known.insert(line);
    std::set<std::string> now;
    for (const rules::Trial& trial : support::knowledge().trials) {
        forEach(formOf(trial), [&](const Item& item) {
            if (item.type == "group" || item.type == "display") return;
            now.insert(item.linkId.starts_with("NCT") ? item.linkId + " " + item.text : item.linkId);
        });
    }
    for (const std::string& line : known) CHECK_MESSAGE(now.contains(line), "gone or reworded: " << line);
    for (const std::string& line : now) CHECK_MESSAGE(known.contains(line), "new: " << line);
}

TEST_CASE("an answer that nothing asks for is left out, with an issue") {
    struct Row {
        const char* item;
        const char* issue;  ///< empty when there is none
    };
    for (const Row& row : std::vector<Row>{
             {R"({"linkId":"NCT07117305/inc.01","answer":[{"valueBoolean":true}]})", ""},
             {R"({"linkId":"NCT07117305/inc.99","answer":[{"valueBoolean":true}]})",
              "item left out: no trial asks what its linkId names"},
             {R"({"linkId":"NCT07117305/inc.01#7","answer":[{"valueBoolean":true}]})",
              "item left out: no trial asks what its linkId names"},
             {R"({"linkId":"fact/lvef/date","answer":[{"valueDate":"2025-11-01"}]})", ""},
             {R"({"linkId":"fact/lvef/colour","answer":[{"valueString":"red"}]})",
              "item left out: a fact has no part of its linkId"},
             {R"({"linkId":"fact/lvef/foo/bar","answer":[{"valueString":"red"}]})",
              "item left out: a fact has no part of its linkId"},
             {R"({"linkId":"phq-9/1","answer":[{"valueInteger":1}]})", ""},
         }) {
        CAPTURE(row.item);
        const auto screening = screenForm(
            R"({"resourceType":"QuestionnaireResponse","id":"f","status":"completed","authored":"2025-11-12","subject":{"reference":"Patient/p1"},"item":[)" +
            std::string(row.item) + "]}");
        const std::vector<fhir::Issue>& issues = screening.facts.issues;
        REQUIRE_EQ(issues.size(), std::string_view(row.issue).empty() ? 0 : 1);
        if (issues.empty()) continue;
        CHECK_EQ(issues.front().path, "entry[1].resource.item[0]");
        CHECK_EQ(issues.front().message, row.issue);
    }
}

TEST_CASE("every question and every fact of a trial has an item, beside the published words") {
    for (const rules::Trial& trial : support::knowledge().trials) {
        std::map<std::string, const Item*> byLinkId;
        const std::vector<Item> form = formOf(trial);
        forEach(form, [&](const Item& item) { byLinkId[item.linkId] = &item; });
        for (const rules::Criterion& criterion : trial.criteria) {
            const std::function<void(const Rule&)> check = [&](const Rule& rule) {
                std::string linkId = rule.linkId;
                if (rule.kind == Rule::Kind::comparison)
                    linkId = mapping::linkIdOf(vocabulary().facts()[rule.comparison.fact]);
                if (!linkId.empty()) {
                    CAPTURE(linkId);
                    REQUIRE(byLinkId.contains(linkId));
                    const std::string help = linkId + "/help/" + trial.id + '/' + criterion.id;
                    if (!criterion.text.empty()) {
                        REQUIRE(byLinkId.contains(help));
                        CHECK_EQ(byLinkId[help]->text, criterion.id + ": " + criterion.text);
                    }
                }
                for (const Rule& part : rule.rules) check(part);
            };
            check(criterion.when);
        }
    }
}

TEST_CASE("there is no fact that nothing can answer") {
    std::set<std::string> linkIds;
    for (const rules::Trial& trial : support::knowledge().trials)
        forEach(formOf(trial), [&](const Item& item) { linkIds.insert(item.linkId); });
    for (const FactDefinition& fact : vocabulary().facts()) {
        // By a code that decides, by computing it, or by an item of some form.
        const bool answered = fact.recognisable() || fact.derivation != mapping::Derivation::none ||
                              linkIds.contains(mapping::linkIdOf(fact));
        CHECK_MESSAGE(answered, fact.name);
    }
}

TEST_CASE("a second question in one criterion has a linkId of its own") {
    std::set<std::string> linkIds;
    for (const rules::Trial& trial : support::knowledge().trials)
        forEach(formOf(trial), [&](const Item& item) { linkIds.insert(item.linkId); });
    for (const char* linkId :
         {"NCT07109518/exc.08a", "NCT07109518/exc.08a#2", "NCT07345780/exc.04e#2", "NCT07117305/inc.01", "fact/lvef",
          "fact/lvef/date", "fact/creatinine/upperLimit", "fact/cd7Percent/method", "fact/systemicSteroid/end",
          "fact/monoclonalAntibody/halfLife"})
        CHECK_MESSAGE(linkIds.contains(linkId), linkId);
}

TEST_CASE("a filled form means for every criterion what its answers say") {
    std::size_t decided = 0;
    std::map<std::string, std::set<std::string>> seen;  // both truths must have been met
    for (const rules::Trial& trial : support::knowledge().trials) {
        const std::vector<Item> form = formOf(trial);
        for (std::uint32_t seed = 1; seed <= 200; ++seed) {
            Generator generator(trial, seed);
            const Filled filled = generator.fill(form);
            fhir::Coverage coverage;
            // Silence stands below an answer; below one that is too old it would count.
            const bool isYoung = support::day(asOf) - filled.authored <= 1;
            if (generator.chance(50) && isYoung) coverage.setAll(fhir::Covered::completely);
            const auto screening = screenForm(responseOf(form, filled, generator.chance(50)), coverage);
            const rules::Evaluation& evaluation = evaluationOf(screening, trial.id);
            const Reading reading(trial, filled);
            for (const rules::Finding& finding : evaluation.findings) {
                CAPTURE(trial.id);
                CAPTURE(seed);
                CAPTURE(finding.criterion->id);
                const std::string expected = truthOf(reading.of(*finding.criterion));
                CHECK_EQ(std::string(rules::word(finding.outcome.truth)), expected);
                seen[trial.id + ' ' + finding.criterion->id].insert(expected);
                if (finding.outcome.truth == rules::Truth::Unknown) continue;
                ++decided;
                CHECK_EQ(mapping::word(finding.outcome.basis), "attested");
                CHECK_FALSE(finding.outcome.evidence.empty());
                for (const mapping::Evidence* evidence : finding.outcome.evidence) {
                    CHECK_EQ(evidence->source(), "QuestionnaireResponse/form");
                    CHECK_EQ(evidence->author, "Practitioner/1");
                    CHECK_EQ(evidence->issued->text(), filled.authored.text());
                }
            }
        }
    }
    CHECK_GT(decided, 20'000);
    for (const auto& entry : seen)
        CHECK_MESSAGE((entry.second.contains("true") || entry.second.contains("false")), entry.first);
}

namespace {

/// What a favourable form says where "no" and the numbers of a healthy person are not it.
struct Favourable {
    std::string_view trial;
    std::vector<std::string_view> yes;
    std::map<std::string_view, std::string_view> choices;
    std::map<std::string_view, int> numbers;
};

const std::vector<Favourable>& favourable() {
    static const std::vector<Favourable> table{
        {"NCT05995028",
         {"tLymphoblasticLeukemia", "hematologicMalignancy", "cd7Positive"},
         {{"cd7Method", "flow cytometry"}},
         {}},
        {"NCT07109518",
         {"acuteMyeloidLeukemia", "hematologicMalignancy", "cd7Positive", "completeRemission", "relapse",
          "consolidation"},
         {{"cnsStatus", "CNS1"}},
         {{"boneMarrowBlasts", 20}, {"monthsFromRemissionToRelapse", 6}, {"inductionCycles", 2}}},
        {"NCT07117175",
         {"acuteMyeloidLeukemia", "hematologicMalignancy", "reinductionWithoutRemission", "relapse"},
         {},
         {{"boneMarrowBlasts", 20}, {"cd7Percent", 80}, {"inductionCycles", 2}}},
        {"NCT07117305",
         {"matureTCellLymphoma", "hematologicMalignancy", "petPositiveLesion"},
         {{"bestResponse", "PD"}},
         {{"priorLines", 2}, {"cd7Percent", 40}}},
        {"NCT07345780",
         {"tLymphoblasticLeukemia", "hematologicMalignancy", "cd7Positive", "relapse"},
         {{"cellSource", "autologous"}},
         {{"cd7Percent", 80}, {"boneMarrowBlasts", 20}, {"priorLines", 2}, {"monthsFromRemissionToRelapse", 6}}},
    };
    return table;
}

std::map<std::string, bool> favourableAnswers(const rules::Trial& trial) {
    std::map<std::string, bool> answers;
    for (const rules::Criterion& criterion : trial.criteria) {
        const std::function<void(const Rule&)> visit = [&](const Rule& rule) {
            if (rule.kind == Rule::Kind::ask) answers[rule.linkId] = rule.favourable;
            for (const Rule& part : rule.rules) visit(part);
        };
        visit(criterion.when);
    }
    return answers;
}

/// A form filled in all in favour of the patient, or all against.
Filled fillAll(const rules::Trial& trial, const Favourable& table, const std::vector<Item>& form, bool inFavour) {
    static const std::map<std::string_view, Rational> healthy{{"age", 40},
                                                              {"ageInMonths", 480},
                                                              {"ecog", 1},
                                                              {"karnofsky", 90},
                                                              {"lvef", 60},
                                                              {"spo2", 97},
                                                              {"spo2RoomAir", 97},
                                                              {"qtc", 420},
                                                              {"creatinine", {9, 10}},
                                                              {"creatinineClearance", 95},
                                                              {"alt", 30},
                                                              {"ast", 30},
                                                              {"inr", 1},
                                                              {"aptt", 30},
                                                              {"hemoglobin", 110},
                                                              {"totalBilirubin", {6, 10}},
                                                              {"directBilirubin", {2, 10}},
                                                              {"peripheralBlasts", 5},
                                                              {"nodalLesion", 20},
                                                              {"dyspneaGrade", 0},
                                                              {"acuteGvhdGrade", 0},
                                                              {"hbsAgQuantity", 0},
                                                              {"antihypertensiveCount", 0}};
    static const std::map<std::string_view, Rational> ill{{"age", 100},
                                                          {"ageInMonths", 3},
                                                          {"ecog", 4},
                                                          {"karnofsky", 50},
                                                          {"lvef", 30},
                                                          {"spo2", 80},
                                                          {"spo2RoomAir", 80},
                                                          {"qtc", 520},
                                                          {"creatinine", 9},
                                                          {"creatinineClearance", 20},
                                                          {"alt", 400},
                                                          {"ast", 400},
                                                          {"inr", 4},
                                                          {"aptt", 120},
                                                          {"hemoglobin", 40},
                                                          {"totalBilirubin", 9},
                                                          {"directBilirubin", 6},
                                                          {"peripheralBlasts", 80},
                                                          {"hbsAgQuantity", 20000000},
                                                          {"antihypertensiveCount", 5},
                                                          {"dyspneaGrade", 3},
                                                          {"acuteGvhdGrade", 4},
                                                          {"boneMarrowBlasts", 1},
                                                          {"cd7Percent", 1}};
    const std::map<std::string, bool> asks = favourableAnswers(trial);
    Filled filled;
    forEach(form, [&](const Item& item) {
        if (item.type == "group" || item.type == "display") return;
        const FactDefinition* fact = factOf(item.linkId);
        if (fact == nullptr) {
            filled.yes(item.linkId, asks.at(item.linkId) == inFavour);
            return;
        }
        const std::string main = mapping::linkIdOf(*fact);
        const bool isPart = item.linkId != main;
        if (item.type == "boolean") {
            const bool good = std::find(table.yes.begin(), table.yes.end(), fact->name) != table.yes.end();
            // What is good for the patient is denied, what is bad happened long ago or lasts.
            filled.yes(main, inFavour == good && fact->name != "pregnancyTestNegative");
        } else if (item.type == "choice" && !isPart) {
            const auto found = table.choices.find(fact->name);
            filled.choose(main,
                          inFavour && found != table.choices.end() ? std::string(found->second) : item.options.back());
        } else if (item.type == "choice") {
            // Measured by every method, with the same result.
            const std::string value = filled.json[main].front();
            filled.json[main].clear();
            for (const std::string& option : item.options) {
                filled.json[main].push_back(value);
                filled.json[item.linkId].push_back(R"("valueCoding":{"code":")" + option + "\"}");
            }
        } else if (item.type == "date") {
            if (filled.given[main].yes == true && !mapping::isAnsweredAsResult(*fact)) {
                if (item.linkId.ends_with("/end")) {
                    // Only what a window looks at has ended; the rest lasts.
                    if (!filled.given[main].dates.empty()) filled.end(main, support::day("2012-01-01"));
                } else {
                    filled.date(main, support::day(fact->name == "completeRemission" ? "2011-01-01" : "2011-06-01"));
                }
            } else if (fact->freshFor && filled.given[main].yes != false) {
                filled.date(main, support::day("2025-11-11"));
                filled.json[item.linkId].resize(filled.json[main].size(), filled.json[item.linkId].front());
            }
        } else if (item.linkId.ends_with("/halfLife")) {
            filled.halfLife(main, 20, false);
        } else if (item.linkId.ends_with("/upperLimit")) {
            answerNumber(filled, item.linkId, item, *fact, usualUpperLimit(*fact), 1);
        } else if (item.linkId.ends_with("/value")) {
            answerNumber(filled, item.linkId, item, *fact, inFavour ? 1 : 5000, 0);
        } else {
            const auto& usual = inFavour ? healthy : ill;
            Rational value = 0;
            if (const auto found = usual.find(fact->name); found != usual.end()) value = found->second;
            if (const auto found = table.numbers.find(fact->name); inFavour && found != table.numbers.end())
                value = found->second;
            answerNumber(filled, item.linkId, item, *fact, value, 0);
        }
    });
    return filled;
}

}  // namespace

TEST_CASE("a full form decides every criterion of every trial, in favour of the patient or against") {
    for (const Favourable& table : favourable()) {
        for (const bool inFavour : {true, false}) {
            const auto& trials = support::knowledge().trials;
            const auto trial = std::find_if(trials.begin(), trials.end(),
                                            [&](const rules::Trial& known) { return known.id == table.trial; });
            REQUIRE(trial != trials.end());
            CAPTURE(trial->id);
            CAPTURE(inFavour);
            const std::vector<Item> form = formOf(*trial);
            const auto screening = screenForm(responseOf(form, fillAll(*trial, table, form, inFavour)));
            const rules::Evaluation& evaluation = evaluationOf(screening, trial->id);
            for (const rules::Finding& finding : evaluation.findings) {
                CAPTURE(finding.criterion->id);
                CHECK_NE(rules::word(finding.outcome.truth), "unknown");
                const bool good = (finding.outcome.truth == rules::Truth::True) == finding.criterion->inclusion;
                if (inFavour && finding.criterion->required) CHECK(good);
            }
            CHECK_EQ(rules::word(evaluation.status), inFavour ? "candidate" : "ineligible");
            CHECK(evaluation.missing.empty());
            CHECK(evaluation.asks.empty());
            CHECK_EQ(evaluation.failed.empty(), inFavour);
        }
    }
}

TEST_CASE("with a chart the form holds only what that chart leaves open") {
    const Document settings(
        support::readFile("fixtures/patients/nct07117305-nothing-stands-against-a-t-cell-lymphoma/story.json"));
    const auto screening = support::screen(
        support::readFile("fixtures/patients/nct07117305-nothing-stands-against-a-t-cell-lymphoma/bundle.json"), asOf,
        support::covering({"Condition", "Observation"}));
    const rules::Evaluation& evaluation = evaluationOf(screening, "NCT07117305");
    std::set<std::string> linkIds;
    forEach(formOf(*evaluation.trial, &evaluation), [&](const Item& item) { linkIds.insert(item.linkId); });
    for (const char* open : {"NCT07117305/inc.01", "fact/priorLines", "fact/stemCellTransplant", "fact/dyspneaGrade"})
        CHECK_MESSAGE(linkIds.contains(open), open);
    for (const char* known : {"fact/lvef", "fact/ecog", "fact/matureTCellLymphoma", "fact/hbsAg", "fact/age"})
        CHECK_MESSAGE(!linkIds.contains(known), known);
}

TEST_CASE("the service hands out the form of each trial, and nothing else") {
    struct Row {
        std::string method, path;
        int status;
    };
    for (const Row& row : std::vector<Row>{{"GET", "/fhir/Questionnaire/NCT07117305", 200},
                                           {"GET", "/fhir/Questionnaire/NCT00000000", 404},
                                           {"GET", "/fhir/Questionnaire/", 404},
                                           {"GET", "/fhir/Questionnaire", 404},
                                           {"GET", "/fhir/Questionnaire/NCT07117305/", 404},
                                           {"POST", "/fhir/Questionnaire/NCT07117305", 405},
                                           {"POST", "/fhir/Questionnaire/NCT00000000", 404}}) {
        CAPTURE(row.method);
        CAPTURE(row.path);
        cds_hooks::Trace trace;
        const cds_hooks::Answer answer =
            cds_hooks::respond(support::knowledge(), {row.method, row.path, "", "", ""}, support::day(asOf), {}, trace);
        CHECK_EQ(answer.status, row.status);
        if (row.status == 200) CHECK_EQ(answer.contentType, "application/fhir+json");
        if (row.status == 405) {
            REQUIRE_EQ(answer.headers.size(), 1);
            CHECK_EQ(answer.headers.front().second, "GET");
        }
    }
}
