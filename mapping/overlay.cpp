#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "fhir/date.h"
#include "mapping/vocabulary.h"

namespace mapping {

using fhir::Rational;
using fhir::json::Value;

/// Applies what a site says about codes, upper limits and freshness, and collects everything that is wrong with it.
class OverlayReader {
public:
    OverlayReader(std::string_view file, Vocabulary& vocabulary, std::vector<Problem>& problems)
        : file_(file), vocabulary_(vocabulary), problems_(problems) {}

    void read(Value root) {
        const std::size_t ownRows = vocabulary_.rows_.size();
        readCodes(root["codes"]);
        readComplete(root["complete"], root["codes"], ownRows);
        readUpperLimits(root["upperLimits"]);
        readFreshness(root["freshness"]);
    }

private:
    void problem(const std::string& place, std::string message) {
        problems_.push_back({std::string(file_) + ": " + place, std::move(message)});
    }

    FactDefinition* factNamed(std::string_view name, const std::string& place) {
        const auto found = vocabulary_.factByName_.find(name);
        if (found != vocabulary_.factByName_.end()) return &vocabulary_.facts_[found->second];
        problem(place, name.empty() ? "a fact is missing" : "unknown fact '" + std::string(name) + "'");
        return nullptr;
    }

    bool isObject(Value value, const std::string& place) {
        if (value.isObject()) return true;
        if (value) problem(place, "is not an object");
        return false;
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
            if (uri.empty()) problem(place, "a code system without its URI");
            if (!isObject(codes, place)) continue;
            const std::size_t system = systemOf(uri);
            std::set<std::string_view> seen;
            for (const auto [code, entry] : codes.members()) {
                const std::string where = place + '/' + std::string(code);
                if (!seen.insert(code).second) problem(where, "stands twice");
                if (isObject(entry, where)) readCode(system, code, entry, where);
            }
        }
    }

    void readCode(std::size_t system, std::string_view code, Value entry, const std::string& place) {
        checkKeys(entry, {"fact", "display", "role", "value", "replace"}, place);
        FactDefinition* fact = factNamed(entry["fact"].text(), place + "/fact");
        if (entry["display"].text().empty()) problem(place + "/display", "a code without its display");
        static constexpr std::array<std::pair<std::string_view, Role>, 4> roles{
            {{"accept", Role::accept}, {"review", Role::review}, {"reject", Role::reject}, {"answer", Role::answer}}};
        Role role = Role::accept;
        if (const Value word = entry["role"]) {
            const auto found =
                std::find_if(roles.begin(), roles.end(), [&](const auto& known) { return known.first == word.text(); });
            if (found == roles.end()) {
                problem(place + "/role", "'" + std::string(word.text()) + "' is not accept, review, reject or answer");
            } else {
                role = found->second;
            }
        }
        if ((role == Role::answer) != static_cast<bool>(entry["value"]))
            problem(place + "/value", "goes with the role answer, and the role answer with it");
        if (fact == nullptr) return;
        std::vector<Match> before;
        vocabulary_.lookUp(system, code, before);
        const bool mapped = !before.empty();
        if (mapped && !entry["replace"].isTrue()) {
            std::string facts;
            for (const Match& match : before)
                facts += (facts.empty() ? "" : ", ") + vocabulary_.facts_[match.fact].name;
            problem(place, "is a code of " + facts + " already; \"replace\": true takes it from there");
            return;
        }
        const std::string_view name = vocabulary_.systemName(system);
        const std::string key = name == "icd10" || name == "atc" ? plainCode(code) : std::string(code);
        vocabulary_.answerValues_.push_back(std::make_unique<std::string>(entry["value"].text()));
        std::vector<Match> matches{
            {static_cast<std::uint16_t>(fact->index), role, false, *vocabulary_.answerValues_.back()}};
        // What the code meant elsewhere, it means no longer.
        for (const Match& match : before) {
            if (match.fact != fact->index) matches.push_back({match.fact, Role::reject, false, {}});
        }
        vocabulary_.codes_[system].exact[key] = std::move(matches);
        vocabulary_.rows_.push_back({static_cast<std::uint16_t>(fact->index), role, system, std::string(code),
                                     std::string(entry["display"].text()), std::string(entry["value"].text())});
    }

    /// Silence in a code system says something of the facts that it is mapped to only where the site says that the
    /// mapping is complete: one code is no proof that the others would have been recognised.
    void readComplete(Value list, Value codes, std::size_t ownRows) {
        if (list.node() == nullptr) return;
        if (!list.isArray()) problem("/complete", "is not a list");
        std::set<std::string_view> seen;
        std::size_t index = 0;
        for (const Value item : list.items()) {
            const std::string place = "/complete/" + std::to_string(index++);
            const std::string_view uri = item.text();
            if (!item.isString()) {
                problem(place, "is not the URI of a code system");
            } else if (codes[uri].members().begin() == codes[uri].members().end()) {
                problem(place, "'" + std::string(uri) + "' has no entry under codes");
            } else if (!seen.insert(uri).second) {
                problem(place, "'" + std::string(uri) + "' stands twice");
            } else {
                recognise(systemOf(uri), ownRows);
            }
        }
    }

    /// Lets the facts that this overlay maps codes of a system to be recognised in it.
    void recognise(std::size_t system, std::size_t ownRows) {
        for (std::size_t row = ownRows; row < vocabulary_.rows_.size(); ++row) {
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
            if (!list.isArray()) problem(place, "is not a list");
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
        if (!entry.isObject()) {
            problem(place, "is not an object");
            return;
        }
        checkKeys(entry, {"value", "unit", "sex", "ageFrom", "ageTo"}, place);
        UpperLimit limit;
        const auto value = fhir::parseDecimal(entry["value"].text());
        if (!value || *value <= 0) problem(place + "/value", "is not a positive number");
        const std::string_view unit = vocabulary_.unitSpelling(entry["unit"].text());
        const auto known = std::find_if(fact.units.begin(), fact.units.end(),
                                        [&](const auto& each) { return each.first == unit && each.second; });
        if (known == fact.units.end()) {
            std::string units;
            for (const auto& each : fact.units) {
                if (each.second && !each.first.empty()) units += (units.empty() ? "" : ", ") + each.first;
            }
            problem(place + "/unit", "'" + std::string(entry["unit"].text()) + "' is not one of " + units);
        }
        limit.sex = entry["sex"].text();
        if (entry["sex"] && limit.sex != "male" && limit.sex != "female")
            problem(place + "/sex", "'" + limit.sex + "' is not male or female");
        limit.ageFrom = years(entry["ageFrom"], limit.ageFrom, place + "/ageFrom");
        limit.ageTo = years(entry["ageTo"], limit.ageTo, place + "/ageTo");
        if (limit.ageFrom > limit.ageTo) problem(place + "/ageTo", "is below ageFrom");
        if (!value || known == fact.units.end()) return;
        limit.value = *value * *known->second;
        fact.upperLimits.push_back(std::move(limit));
    }

    int years(Value value, int fallback, const std::string& place) {
        if (!value) return fallback;
        const std::string_view text = value.text();
        int number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= 150) return number;
        problem(place, "'" + std::string(text) + "' is not an age in whole years");
        return fallback;
    }

    void readFreshness(Value windows) {
        if (!isObject(windows, "/freshness")) return;
        for (const auto [name, window] : windows.members()) {
            const std::string place = "/freshness/" + std::string(name);
            FactDefinition* fact = factNamed(name, place);
            const std::string_view text = window.text();
            int days = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), days);
            if (error != std::errc() || std::string_view(end, text.data() + text.size()) != " days" || days <= 0) {
                problem(place, "'" + std::string(text) + "' is not of the form '30 days'");
            } else if (fact != nullptr && !fact->freshFor) {
                problem(place, "'" + fact->name + "' does not go stale");
            } else if (fact != nullptr) {
                fact->freshFor = days;
            }
        }
    }

    void checkKeys(Value entry, std::initializer_list<std::string_view> known, const std::string& place) {
        for (const auto [name, ignored] : entry.members()) {
            if (std::find(known.begin(), known.end(), name) == known.end())
                problem(place + '/' + std::string(name), "unknown key");
        }
    }

    std::string_view file_;
    Vocabulary& vocabulary_;
    std::vector<Problem>& problems_;
};

void Vocabulary::readOverlay(std::string_view file, Value root, std::vector<Problem>& problems) {
    OverlayReader(file, *this, problems).read(root);
}

}  // namespace mapping
