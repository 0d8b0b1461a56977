#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "fhir/date.h"
#include "mapping/check.h"
#include "mapping/observation.h"
#include "mapping/vocabulary.h"

namespace mapping {

using fhir::Rational;
using fhir::json::Value;

/// Applies what a site says about codes, upper limits and freshness, and collects everything that is wrong with it.
class OverlayReader : private FileCheck {
public:
    OverlayReader(std::string_view file, Vocabulary& vocabulary, std::vector<Problem>& problems)
        : FileCheck(file, problems), vocabulary_(vocabulary), ownRows_(vocabulary.rows_.size()) {}

    void read(Value root) {
        readCodes(root["codes"]);
        readComplete(root["complete"], root["codes"]);
        readUpperLimits(root["upperLimits"]);
        readFreshness(root["freshness"]);
    }

private:
    FactDefinition* factNamed(std::string_view name, const std::string& place) {
        const auto found = vocabulary_.factByName_.find(name);
        if (found != vocabulary_.factByName_.end()) return &vocabulary_.facts_[found->second];
        problem(place, "unknown fact '" + std::string(name) + "'");
        return nullptr;
    }

    std::size_t systemOf(std::string_view uri) {
        if (const auto known = vocabulary_.system(uri)) return *known;
        const std::size_t number = vocabulary_.systems_.size();
        vocabulary_.systems_.emplace_back(uri, uri);
        vocabulary_.systemByUri_.emplace(std::string(uri), number);
        vocabulary_.codes_.emplace_back();
        vocabulary_.polarityByCode_.emplace_back();
        return number;
    }

    void readCodes(Value systems) {
        if (!isObject(systems, "/codes")) return;
        for (const auto [uri, codes] : systems.members()) {
            const std::string place = "/codes/" + std::string(uri);
            if (isBlank(uri)) problem(place, "a code system without its URI");
            if (!isObject(codes, place)) continue;
            const std::size_t system = systemOf(uri);
            for (const auto [code, entry] : codes.members()) {
                const std::string where = place + '/' + std::string(code);
                if (isBlank(code)) problem(where, "an empty code");
                // By another spelling, or under another URI of its system.
                if (!seen_.emplace(system, vocabulary_.comparedCode(system, code)).second)
                    problem(where, "is the same code as one above");
                if (isObject(entry, where)) readCode(system, code, entry, where);
            }
        }
    }

    void readCode(std::size_t system, std::string_view code, Value entry, const std::string& place) {
        checkKeys(entry, {"fact", "display", "role", "value", "replace"}, place);
        const std::string_view name = text(entry["fact"], place + "/fact");
        FactDefinition* fact = name.empty() ? nullptr : factNamed(name, place + "/fact");
        const std::string_view display = text(entry["display"], place + "/display");
        static constexpr std::array<std::pair<std::string_view, Role>, 4> roles{
            {{"accept", Role::accept}, {"review", Role::review}, {"reject", Role::reject}, {"answer", Role::answer}}};
        Role role = Role::accept;
        if (const std::string_view word = textIfGiven(entry["role"], place + "/role"); !word.empty()) {
            const auto found =
                std::find_if(roles.begin(), roles.end(), [&](const auto& known) { return known.first == word; });
            if (found == roles.end()) {
                problem(place + "/role", "'" + std::string(word) + "' is not accept, review, reject or answer");
            } else {
                role = found->second;
            }
        }
        const std::string_view value = textIfGiven(entry["value"], place + "/value");
        if ((role == Role::answer) != (entry["value"].node() != nullptr))
            problem(place + "/value", "goes with the role answer, and the role answer with it");
        const bool replaces = flag(entry["replace"], false, place + "/replace");
        if (fact == nullptr) return;
        if (role == Role::answer && !value.empty() && !takesAnswer(*fact, value)) {
            problem(place + "/value",
                    "'" + std::string(value) + "' is no answer that '" + fact->name + "' can have" + answersOf(*fact));
            return;
        }
        std::vector<Match> before;
        vocabulary_.lookUp(system, code, before);
        const bool mapped = !before.empty();
        if (mapped && !replaces) {
            std::string facts;
            for (const Match& match : before)
                facts += (facts.empty() ? "" : ", ") + vocabulary_.facts_[match.fact].name;
            problem(place, "is a code of " + facts + " already; \"replace\": true takes it from there");
            return;
        }
        vocabulary_.answerValues_.push_back(std::make_unique<std::string>(value));
        std::vector<Match> matches{
            {static_cast<std::uint16_t>(fact->index), role, false, *vocabulary_.answerValues_.back()}};
        // What the code meant elsewhere, it means no longer.
        for (const Match& match : before) {
            if (match.fact != fact->index) matches.push_back({match.fact, Role::reject, false, {}});
        }
        vocabulary_.codes_[system].exact[vocabulary_.comparedCode(system, code)] = std::move(matches);
        vocabulary_.rows_.push_back({static_cast<std::uint16_t>(fact->index), role, system, std::string(code),
                                     std::string(display), std::string(value)});
    }

    /// The words that results of the fact have by code: its values, or those of the vocabulary's own answer codes.
    std::vector<std::string_view> wordsOf(const FactDefinition& fact) const {
        if (fact.kind == Kind::coded) return {fact.values.begin(), fact.values.end()};
        std::vector<std::string_view> words;
        for (std::size_t i = 0; i < ownRows_; ++i) {
            const CodeRow& row = vocabulary_.rows_[i];
            if (row.fact != fact.index || row.role != Role::answer) continue;
            if (std::find(words.begin(), words.end(), row.value) == words.end()) words.push_back(row.value);
        }
        return words;
    }

    /// Whether a code can answer the fact so: by one of those words, or by a number, which then stands without a unit.
    bool takesAnswer(const FactDefinition& fact, std::string_view value) const {
        const std::vector<std::string_view> words = wordsOf(fact);
        if (std::find(words.begin(), words.end(), value) != words.end()) return true;
        const bool isNumber = fact.kind == Kind::quantity || fact.kind == Kind::count;
        return isNumber && isDecided(measure({value, {}, {}, {}, {}}, fact, vocabulary_).basis);
    }

    std::string answersOf(const FactDefinition& fact) const {
        std::string list;
        for (const std::string_view word : wordsOf(fact)) list += (list.empty() ? "" : ", ") + std::string(word);
        return list.empty() ? list : ": " + list;
    }

    /// Silence in a code system says something of the facts that it is mapped to only where the site says that the
    /// mapping is complete: one code is no proof that the others would have been recognised.
    void readComplete(Value list, Value codes) {
        if (!isArray(list, "/complete")) return;
        std::set<std::string_view> seen;
        std::size_t index = 0;
        for (const Value item : list.items()) {
            const std::string place = "/complete/" + std::to_string(index++);
            const std::string_view uri = text(item, place);
            if (uri.empty()) continue;
            if (codes[uri].members().begin() == codes[uri].members().end()) {
                problem(place, "'" + std::string(uri) + "' has no entry under codes");
            } else if (!seen.insert(uri).second) {
                problem(place, "'" + std::string(uri) + "' stands twice");
            } else {
                recognise(systemOf(uri));
            }
        }
    }

    /// Lets the facts that this overlay maps codes of a system to be recognised in it.
    void recognise(std::size_t system) {
        for (std::size_t row = ownRows_; row < vocabulary_.rows_.size(); ++row) {
            if (vocabulary_.rows_[row].system != system || vocabulary_.rows_[row].role != Role::accept) continue;
            std::vector<std::size_t>& systems = vocabulary_.facts_[vocabulary_.rows_[row].fact].systems;
            if (std::find(systems.begin(), systems.end(), system) == systems.end()) systems.push_back(system);
        }
    }

    void readUpperLimits(Value limits) {
        if (!isObject(limits, "/upperLimits")) return;
        for (const auto [name, list] : limits.members()) {
            const std::string place = "/upperLimits/" + std::string(name);
            FactDefinition* fact = factNamed(name, place);
            isArray(list, place);
            if (fact == nullptr) continue;
            if (fact->kind != Kind::quantity) {
                problem(place, "'" + fact->name + "' is no quantity and has no upper limit of normal");
                continue;
            }
            std::size_t index = 0;
            for (const Value entry : list.items()) readUpperLimit(*fact, entry, place + '/' + std::to_string(index++));
            for (std::size_t i = 0; i < fact->upperLimits.size(); ++i) {
                for (std::size_t j = 0; j < i; ++j) {
                    if (overlap(fact->upperLimits[i], fact->upperLimits[j]))
                        problem(place + '/' + std::to_string(i), "overlaps with entry " + std::to_string(j));
                }
            }
        }
    }

    static bool overlap(const UpperLimit& a, const UpperLimit& b) {
        const bool sexes = a.sex.empty() || b.sex.empty() || a.sex == b.sex;
        return sexes && a.ageFrom <= b.ageTo && b.ageFrom <= a.ageTo;
    }

    void readUpperLimit(FactDefinition& fact, Value entry, const std::string& place) {
        if (!isObject(entry, place)) return;
        checkKeys(entry, {"value", "unit", "sex", "ageFrom", "ageTo"}, place);
        UpperLimit limit;
        const auto value = fhir::parseDecimal(entry["value"].text());
        const bool isPositive = entry["value"].isNumber() && value && *value > 0;
        if (!isPositive) problem(place + "/value", "is not a positive number");
        const Value unit = entry["unit"];
        const Measured measured =
            measure({isPositive ? entry["value"].text() : "1", {}, unit.text(), {}, {}}, fact, vocabulary_);
        if (unit.node() != nullptr && !unit.isString()) {
            problem(place + "/unit", "is not a string");
        } else if (!measured.factor) {
            std::string units;
            for (const auto& each : fact.units) {
                if (each.second && !each.first.empty()) units += (units.empty() ? "" : ", ") + each.first;
            }
            problem(place + "/unit", "'" + std::string(unit.text()) + "' is not one of " + units);
        } else if (isPositive && measured.basis == Basis::implausible) {
            problem(place + "/value", "no result of '" + fact.name + "' is believed outside " +
                                          fhir::decimalText(*fact.plausible.low, 6) + " to " +
                                          fhir::decimalText(*fact.plausible.high, 6) + ' ' + fact.unit);
        }
        limit.sex = textIfGiven(entry["sex"], place + "/sex");
        if (!limit.sex.empty() && limit.sex != "male" && limit.sex != "female")
            problem(place + "/sex", "'" + limit.sex + "' is not male or female");
        limit.ageFrom = years(entry["ageFrom"], limit.ageFrom, place + "/ageFrom");
        limit.ageTo = years(entry["ageTo"], limit.ageTo, place + "/ageTo");
        if (limit.ageFrom > limit.ageTo) problem(place + "/ageTo", "is below ageFrom");
        if (!isPositive || !isDecided(measured.basis) || !measured.factor) return;
        limit.value = *measured.value.high;
        fact.upperLimits.push_back(std::move(limit));
    }

    int years(Value value, int fallback, const std::string& place) {
        if (value.node() == nullptr) return fallback;
        const std::string_view digits = value.text();
        int number = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        const bool isWhole = value.isNumber() && error == std::errc() && end == digits.data() + digits.size();
        if (isWhole && number >= 0 && number <= 150) return number;
        problem(place, "'" + std::string(digits) + "' is not an age in whole years");
        return fallback;
    }

    void readFreshness(Value windows) {
        if (!isObject(windows, "/freshness")) return;
        for (const auto [name, window] : windows.members()) {
            const std::string place = "/freshness/" + std::string(name);
            FactDefinition* fact = factNamed(name, place);
            const std::string_view words = window.text();
            int days = 0;
            const auto [end, error] = std::from_chars(words.data(), words.data() + words.size(), days);
            if (error != std::errc() || std::string_view(end, words.data() + words.size()) != " days" || days <= 0) {
                problem(place, "'" + std::string(words) + "' is not of the form '30 days'");
            } else if (fact != nullptr && !fact->freshFor) {
                problem(place, "'" + fact->name + "' does not go stale");
            } else if (fact != nullptr) {
                fact->freshFor = days;
            }
        }
    }

    Vocabulary& vocabulary_;
    std::size_t ownRows_;                                 ///< of the vocabulary, before those of the overlay
    std::set<std::pair<std::size_t, std::string>> seen_;  ///< systems and codes of the overlay, as they are compared
};

void Vocabulary::readOverlay(std::string_view file, Value root, std::vector<Problem>& problems) {
    OverlayReader(file, *this, problems).read(root);
    prepare();
}

}  // namespace mapping
