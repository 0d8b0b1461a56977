#include "mapping/vocabulary.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <charconv>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

#include "fhir/resource_type.h"
#include "mapping/fact.h"

namespace mapping {

using fhir::Rational;
using fhir::json::Value;

const Method* FactDefinition::method(std::string_view wanted) const {
    const auto found = std::find_if(methods.begin(), methods.end(), [&](const Method& m) { return m.name == wanted; });
    return found == methods.end() ? nullptr : &*found;
}

bool holdsNoResults(std::string_view resourceType) {
    return resourceType == "Patient" || resourceType == "DiagnosticReport";
}

bool isRead(std::string_view resourceType) {
    return resourceType == "Patient" || resourceType == "Observation" || resourceType == "Condition" ||
           resourceType == "AllergyIntolerance" || resourceType == "DiagnosticReport" || fhir::isActivity(resourceType);
}

std::string plainCode(std::string_view code) {
    std::string plain;
    plain.reserve(code.size());
    for (const char c : code) {
        if (c == '.' || c == ' ') continue;
        plain += (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return plain;
}

std::string lowerCase(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

namespace {

/// What was found out about short texts and is asked for again and again. One thread's.
template <typename Value>
class Memo {
public:
    /// The value of two texts for an owner, made anew where it is not known. It stays until the next call.
    template <typename Make>
    const Value& of(std::uint64_t owner, std::string_view first, std::string_view second, const Make& make) {
        constexpr std::size_t longest = 256;
        if (first.size() + second.size() > longest) return other_ = make();
        const std::uint64_t hash = fhir::hashOf(second, fhir::hashOf(first, owner));
        Known& known = known_[hash % known_.size()];
        if (known.owner == owner && known.first == first && known.second == second) return known.value;
        // What is asked for once may be a person's, and is not kept.
        if (std::exchange(known.askedFor, hash) != hash) return other_ = make();
        known = {owner, std::string(first), std::string(second), make(), hash};
        return known.value;
    }

private:
    struct Known {
        std::uint64_t owner = 0;
        std::string first;
        std::string second;
        Value value{};
        std::uint64_t askedFor = 0;  ///< the hash of what was not known last
    };
    std::vector<Known> known_ = std::vector<Known>(1024);
    Value other_{};
};

constexpr std::array meaningsOfSilence{Basis::noneOnFile, Basis::asked, Basis::notCovered, Basis::missing};

bool isWordCharacter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

bool mentions(std::string_view text, std::string_view word) {
    for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if (at > 0 && isWordCharacter(text[at - 1])) continue;
        if (end < text.size() && isWordCharacter(text[end])) continue;
        const std::string_view before = text.substr(0, at);
        if (!before.ends_with("no ") && !before.ends_with("without ") && !before.ends_with("non-")) return true;
    }
    return false;
}

namespace {

/// The classifications that are written with and without dots, and matched by their beginning.
bool isClassification(std::string_view system) {
    return system == "icd10" || system == "atc";
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.remove_suffix(1);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    return text;
}

bool holdsWord(std::string_view text, std::string_view word) {
    for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const bool startsWord = at == 0 || !isWordCharacter(text[at - 1]) || !isWordCharacter(word.front());
        const std::size_t end = at + word.size();
        const bool endsWord = end == text.size() || !isWordCharacter(text[end]) || !isWordCharacter(word.back());
        if (startsWord && endsWord) return true;
    }
    return false;
}

/// Whether `text` holds `word` as a word of its own. Words of up to three characters must be the whole text: "pos" is a
/// result, "pos" inside a sentence is not.
bool says(std::string_view text, std::string_view word) {
    return word.size() <= 3 ? trimmed(text) == word : holdsWord(text, word);
}

}  // namespace

/// Reads facts.json and collects everything that is wrong with it.
class VocabularyReader {
public:
    VocabularyReader(std::string_view file, std::vector<Problem>& problems) : file_(file), problems_(problems) {}

    Vocabulary read(Value root) {
        readSystems(root["systems"]);
        readSynonyms(root["unitSynonyms"]);
        readRoutes(root["routes"]);
        readAllergyDenials(root["noKnownAllergy"]);
        valueSets_ = root["valueSets"];
        historyCodes_ = root["historyCodes"];
        for (const auto [name, ignored] : root["judgements"].members()) vocabulary_.judgements_.emplace_back(name);

        const Value facts = root["facts"];
        if (!facts.isObject()) problem("/facts", "missing");
        for (const auto [name, fact] : facts.members()) {
            if (vocabulary_.facts_.size() == mostFacts) {
                problem("/facts", "more than " + std::to_string(mostFacts) + " facts");
                break;
            }
            if (!vocabulary_.factByName_.emplace(std::string(name), vocabulary_.facts_.size()).second)
                problem("/facts/" + std::string(name), "stands twice");
            FactDefinition definition;
            definition.index = vocabulary_.facts_.size();
            definition.name = name;
            vocabulary_.facts_.push_back(std::move(definition));
        }
        std::size_t index = 0;
        for (const auto [name, fact] : facts.members()) {
            if (index < vocabulary_.facts_.size()) readFact(vocabulary_.facts_[index++], fact);
        }
        for (const FactDefinition& fact : vocabulary_.facts_) {
            for (const std::string& source : fact.sources) vocabulary_.factsBySource_[source].set(fact.index);
        }
        numberSourceSets();
        makeSilentFacts();
        for (const FactDefinition& fact : vocabulary_.facts_) {
            if (fact.derivation != Derivation::none || fact.confirmedBy) vocabulary_.derived_.push_back(fact.index);
        }
        readResults(root["results"]);
        vocabulary_.roomAir_ = phrases(root["roomAir"]);
        vocabulary_.onOxygen_ = phrases(root["onOxygen"]);
        vocabulary_.belowQuantification_ = phrases(root["results"]["belowQuantification"]);
        for (const auto [system, codes] : valueSets_["disorder_in_remission"]["remission"].members()) {
            for (const auto [code, display] : codes.members()) {
                if (const auto number = systemNamed(system)) vocabulary_.inRemission_.emplace_back(*number, code);
            }
        }
        vocabulary_.usedConcepts_.assign(usedConcepts_.begin(), usedConcepts_.end());
        vocabulary_.prepare();
        return std::move(vocabulary_);
    }

private:
    void makeSilentFacts() {
        const auto silent = std::make_shared<std::vector<Fact>>();
        silent->reserve(meaningsOfSilence.size() * vocabulary_.facts_.size());
        for (const Basis absent : meaningsOfSilence) {
            for (const FactDefinition& definition : vocabulary_.facts_) {
                Fact& fact = silent->emplace_back();
                fact.definition = &definition;
                fact.absent = absent;
            }
        }
        vocabulary_.silent_ = silent;
    }

    void numberSourceSets() {
        std::map<std::pair<std::vector<std::string>, std::string>, std::size_t> numbers;
        for (const FactDefinition& fact : vocabulary_.facts_) {
            const std::size_t number = numbers.try_emplace({fact.sources, fact.group}, numbers.size()).first->second;
            vocabulary_.silences_.push_back({static_cast<std::uint16_t>(number), Absence::asked});
            if (number < vocabulary_.sourceSets_.size()) continue;
            SourceSet& set = vocabulary_.sourceSets_.emplace_back();
            set.group = fact.group;
            for (const std::string& type : fact.sources) {
                set.observations = set.observations || type == "Observation";
                if (holdsNoResults(type)) continue;
                set.isUnread = set.isUnread || !isRead(type);
                set.types.push_back(type);
            }
        }
    }

    void problem(std::string_view place, std::string message) {
        problems_.push_back({std::string(file_) + ": " + std::string(place), std::move(message)});
    }

    void readSystems(Value systems) {
        if (!systems.isObject()) problem("/systems", "missing");
        for (const auto [name, uris] : systems.members()) {
            const std::size_t number = vocabulary_.systems_.size();
            std::string first;
            for (const Value uri : uris.items()) {
                if (first.empty()) first = uri.text();
                if (!vocabulary_.systemByUri_.emplace(std::string(uri.text()), number).second)
                    problem("/systems/" + std::string(name), "'" + std::string(uri.text()) + "' stands twice");
            }
            if (first.empty()) problem("/systems/" + std::string(name), "names no system");
            vocabulary_.systems_.emplace_back(name, first);
        }
        vocabulary_.publicSystems_ = vocabulary_.systems_.size();
        vocabulary_.codes_.resize(vocabulary_.systems_.size());
        vocabulary_.polarityByCode_.resize(vocabulary_.systems_.size());
    }

    std::optional<std::size_t> systemNamed(std::string_view name) const {
        for (std::size_t i = 0; i < vocabulary_.systems_.size(); ++i) {
            if (vocabulary_.systems_[i].first == name) return i;
        }
        return std::nullopt;
    }

    static Vocabulary::Phrases phrases(Value entry) {
        Vocabulary::Phrases result;
        for (const Value text : entry["text"].items()) result.text.push_back(lowerCase(text.text()));
        for (const Value text : entry["unless"].items()) result.unless.push_back(lowerCase(text.text()));
        return result;
    }

    void readRoutes(Value routes) {
        if (!routes) return;
        for (const auto& [name, route] : {std::pair{"systemic", Route::systemic}, std::pair{"local", Route::local}}) {
            const Value entry = routes[name];
            if (!entry) problem("/routes/" + std::string(name), "missing");
            Vocabulary::Routes result{route, {}, {}, phrases(entry)};
            for (const auto& [key, list] : {std::pair{"codes", &result.codes}, std::pair{"drugs", &result.drugs}}) {
                for (const auto [system, codes] : entry[key].members()) {
                    const auto number = systemNamed(system);
                    if (!number) {
                        problem("/routes/" + std::string(name) + '/' + key,
                                "unknown code system '" + std::string(system) + "'");
                        continue;
                    }
                    for (const auto [code, display] : codes.members()) list->emplace_back(*number, code);
                }
            }
            vocabulary_.routes_.push_back(std::move(result));
        }
    }

    void readAllergyDenials(Value denials) {
        for (const auto& [name, denial] :
             {std::pair{"drugs", AllergyDenial::drugs}, std::pair{"every", AllergyDenial::every}}) {
            for (const auto [system, codes] : denials[name].members()) {
                const auto number = systemNamed(system);
                if (!number)
                    problem("/noKnownAllergy/" + std::string(name),
                            "unknown code system '" + std::string(system) + "'");
                for (const auto [code, display] : codes.members())
                    vocabulary_.allergyDenials_.push_back({number.value_or(0), std::string(code), denial});
            }
        }
    }

    void readSynonyms(Value synonyms) {
        for (const auto [unit, spellings] : synonyms.members()) {
            for (const Value spelling : spellings.items()) {
                if (!vocabulary_.unitSynonyms_.emplace(std::string(spelling.text()), std::string(unit)).second)
                    problem("/unitSynonyms/" + std::string(unit),
                            "'" + std::string(spelling.text()) + "' stands twice");
            }
        }
    }

    std::optional<int> days(Value fact, std::string_view name, const std::string& place) {
        const Value value = fact[name];
        if (!value) return std::nullopt;
        const std::string_view text = value.text();
        int number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc() || std::string_view(end, text.data() + text.size()) != " days" || number <= 0) {
            problem(place + '/' + std::string(name), "'" + std::string(text) + "' is not of the form '30 days'");
            return std::nullopt;
        }
        return number;
    }

    std::optional<Rational> factor(std::string_view text) {
        const auto slash = text.find('/');
        const auto numerator = fhir::parseDecimal(text.substr(0, slash));
        if (slash == std::string_view::npos || !numerator) return numerator;
        const auto denominator = fhir::parseDecimal(text.substr(slash + 1));
        if (!denominator || *denominator == 0) return std::nullopt;
        return Rational(*numerator / *denominator);
    }

    template <typename Word, std::size_t Size>
    Word word(Value value, const std::array<std::pair<std::string_view, Word>, Size>& words, Word fallback,
              const std::string& place) {
        if (!value) return fallback;
        for (const auto& [text, meaning] : words) {
            if (value.text() == text) return meaning;
        }
        problem(place, "'" + std::string(value.text()) + "' is not a word for this");
        return fallback;
    }

    std::optional<std::size_t> factNamed(Value name, const std::string& place) {
        const auto found = vocabulary_.factByName_.find(name.text());
        if (found != vocabulary_.factByName_.end()) return found->second;
        problem(place, "unknown fact '" + std::string(name.text()) + "'");
        return std::nullopt;
    }

    void readFact(FactDefinition& fact, Value entry) {
        const std::string place = "/facts/" + fact.name;
        static constexpr std::array<std::string_view, 40> known{"diagnosisStands",
                                                                "allergy",
                                                                "planned",
                                                                "atc",
                                                                "route",
                                                                "names",
                                                                "recognisedIn",
                                                                "label",
                                                                "kind",
                                                                "group",
                                                                "reading",
                                                                "concepts",
                                                                "sources",
                                                                "freshFor",
                                                                "ifAbsent",
                                                                "unit",
                                                                "units",
                                                                "plausible",
                                                                "hint",
                                                                "test",
                                                                "status",
                                                                "event",
                                                                "positiveStays",
                                                                "gate",
                                                                "methods",
                                                                "values",
                                                                "derivation",
                                                                "methodOf",
                                                                "testedBy",
                                                                "suspectedBy",
                                                                "question",
                                                                "needsTreatment",
                                                                "confirmedBy",
                                                                "conditionFreshFor",
                                                                "without",
                                                                "why",
                                                                "icd10",
                                                                "rxnorm",
                                                                "loinc",
                                                                "snomed"};
        for (const auto [name, ignored] : entry.members()) {
            if (std::find(known.begin(), known.end(), name) == known.end())
                problem(place + '/' + std::string(name), "unknown key");
        }

        fact.label = entry["label"].text();
        if (fact.label.empty()) problem(place + "/label", "missing");
        fact.group = entry["group"].text();
        static constexpr std::array<std::pair<std::string_view, Kind>, 5> kinds{{{"quantity", Kind::quantity},
                                                                                 {"finding", Kind::finding},
                                                                                 {"coded", Kind::coded},
                                                                                 {"count", Kind::count},
                                                                                 {"viralLoad", Kind::viralLoad}}};
        if (!entry["kind"]) problem(place + "/kind", "missing");
        fact.kind = word(entry["kind"], kinds, Kind::finding, place + "/kind");
        for (const Value item : entry["reading"].items()) fact.reading.emplace_back(item.text());
        for (const Value item : entry["sources"].items()) fact.sources.emplace_back(item.text());
        fact.freshFor = days(entry, "freshFor", place);
        fact.conditionFreshFor = days(entry, "conditionFreshFor", place);

        static constexpr std::array<std::pair<std::string_view, bool>, 2> silence{{{"no", true}, {"unknown", false}}};
        if (!entry["ifAbsent"]) problem(place + "/ifAbsent", "missing");
        fact.absentMeansNo = word(entry["ifAbsent"], silence, false, place + "/ifAbsent");
        fact.hint = entry["hint"].isTrue();
        fact.event = entry["event"].isTrue();
        fact.positiveStays = entry["positiveStays"].isTrue();
        fact.needsTreatment = entry["needsTreatment"].isTrue();
        static constexpr std::array<std::pair<std::string_view, RoutePolicy>, 2> routes{
            {{"systemic", RoutePolicy::systemic}, {"notLocal", RoutePolicy::notLocal}}};
        fact.route = word(entry["route"], routes, RoutePolicy::any, place + "/route");
        if (fact.route != RoutePolicy::any && vocabulary_.routes_.empty())
            problem("/routes", "missing; " + fact.name + " needs it");
        static constexpr std::array<std::pair<std::string_view, AllergyPolicy>, 4> allergies{
            {{"listed", AllergyPolicy::listed},
             {"any", AllergyPolicy::any},
             {"severe", AllergyPolicy::severe},
             {"biologic", AllergyPolicy::biologic}}};
        fact.allergy = word(entry["allergy"], allergies, AllergyPolicy::none, place + "/allergy");
        fact.planned = entry["planned"].isTrue();
        for (const Value name : entry["names"].items()) fact.names.push_back(lowerCase(name.text()));
        fact.diagnosisStands = entry["diagnosisStands"].isTrue();
        static constexpr std::array<std::pair<std::string_view, StatusPolicy>, 4> policies{
            {{"plain", StatusPolicy::plain},
             {"active", StatusPolicy::active},
             {"ever", StatusPolicy::ever},
             {"diagnosed", StatusPolicy::diagnosed}}};
        fact.status = word(entry["status"], policies, StatusPolicy::plain, place + "/status");

        readUnits(fact, entry, place);
        for (const Value item : entry["gate"].items()) fact.gate.push_back(lowerCase(item.text()));
        for (const auto [name, method] : entry["methods"].members()) {
            Method result{std::string(name), {}, {}};
            for (const Value code : method["loinc"].items()) result.loinc.emplace_back(code.text());
            for (const Value text : method["text"].items()) result.text.push_back(lowerCase(text.text()));
            fact.methods.push_back(std::move(result));
        }
        for (const Value item : entry["values"].items()) fact.values.emplace_back(item.text());
        readDerivation(fact, entry, place);
        fact.question = entry["question"].text();

        readCodes(fact, entry, place);
        const bool measured = fact.kind == Kind::quantity || fact.kind == Kind::viralLoad;
        // Ruling 15: tests and measurements that have a code are missing when there is no record, the rest is asked.
        fact.test = (measured || entry["test"].isTrue()) && fact.recognisable() &&
                    (fact.derivation == Derivation::none || measured || entry["test"].isTrue()) &&
                    fact.derivation != Derivation::monthsFromRemissionToRelapse;
        if (fact.question.empty()) fact.question = fact.label + "?";
        const bool numeric = measured || fact.kind == Kind::count;
        if (measured && fact.unit.empty()) problem(place + "/unit", "missing");
        if (!numeric && !fact.unit.empty()) problem(place + "/unit", "a unit on a fact that is no number");
    }

    void readUnits(FactDefinition& fact, Value entry, const std::string& place) {
        fact.unit = entry["unit"].text();
        for (const auto [unit, value] : entry["units"].members()) {
            std::optional<Rational> number;
            if (value) {
                number = factor(value.text());
                if (!number || *number <= 0) problem(place + "/units/" + std::string(unit), "is no positive factor");
            }
            fact.units.emplace_back(unit, number);
        }
        if (const Value plausible = entry["plausible"]) {
            std::vector<Rational> ends;
            for (const Value end : plausible.items()) {
                if (const auto number = fhir::parseDecimal(end.text())) ends.push_back(*number);
            }
            if (ends.size() != 2 || ends[0] > ends[1]) {
                problem(place + "/plausible", "is not [lowest, highest]");
            } else {
                fact.plausible = Interval::between(ends[0], ends[1]);
            }
        }
    }

    void readDerivation(FactDefinition& fact, Value entry, const std::string& place) {
        using enum Derivation;
        static constexpr std::array<std::pair<std::string_view, Derivation>, 17> derivations{
            {{"age", age},
             {"ageInMonths", ageInMonths},
             {"childbearing", childbearing},
             {"tLineage", tLineage},
             {"methodOf", methodOf},
             {"remission", remission},
             {"relapse", relapse},
             {"relapseCount", relapseCount},
             {"monthsFromRemissionToRelapse", monthsFromRemissionToRelapse},
             {"cockcroftGault", cockcroftGault},
             {"oxygen", oxygen},
             {"oxygenRoomAir", oxygenRoomAir},
             {"knownInfection", knownInfection},
             {"nyha", nyha},
             {"pregnancy", pregnancy},
             {"negativeTest", negativeTest},
             {"concurrentDrugs", concurrentDrugs}}};
        fact.derivation = word(entry["derivation"], derivations, none, place + "/derivation");
        if (const Value name = entry["methodOf"]) {
            if (const auto other = factNamed(name, place + "/methodOf")) fact.from.push_back(*other);
        }
        for (const Value name : entry["testedBy"].items()) {
            if (const auto other = factNamed(name, place + "/testedBy")) fact.from.push_back(*other);
        }
        for (const Value name : entry["suspectedBy"].items()) {
            if (const auto other = factNamed(name, place + "/suspectedBy")) fact.suspectedBy.push_back(*other);
        }
        if (const Value name = entry["confirmedBy"]) fact.confirmedBy = factNamed(name, place + "/confirmedBy");
    }

    void readCodes(FactDefinition& fact, Value entry, const std::string& place) {
        std::set<std::pair<std::size_t, std::string>> named;  // the first value set that names a code decides
        std::set<std::size_t> systems;
        const auto isWithout = [&](std::string_view system, std::string_view code) {
            for (const Value item : entry["without"][system].items()) {
                if (item.text() == code) return true;
            }
            return false;
        };
        const auto add = [&](Value codes, std::string_view system, Role role, const std::string& where) {
            const auto number = systemNamed(system);
            if (!number) {
                problem(where, "unknown code system '" + std::string(system) + "'");
                return;
            }
            for (const auto [code, row] : codes.members()) {
                const std::string_view display = row.isObject() ? row["display"].text() : row.text();
                if (display.empty()) problem(where + '/' + std::string(code), "a code without its display");
                if (isWithout(system, code) || !named.emplace(*number, code).second) continue;
                if (role == Role::accept) systems.insert(*number);
                addCode({static_cast<std::uint16_t>(fact.index), role, *number, std::string(code), std::string(display),
                         std::string(row["value"].text())});
            }
        };
        static constexpr std::array<std::string_view, 6> roles{"accept",    "review",    "reject",
                                                               "remission", "exception", "answer"};
        static constexpr std::array<std::pair<std::string_view, Role>, 5> meanings{{{"accept", Role::accept},
                                                                                    {"review", Role::review},
                                                                                    {"reject", Role::reject},
                                                                                    {"remission", Role::remission},
                                                                                    {"answer", Role::answer}}};
        for (const Value name : entry["recognisedIn"].items()) {
            if (const auto system = systemNamed(name.text())) systems.insert(*system);
        }
        // Codes of the fact itself come before those of its value sets.
        for (const std::string_view system : {"icd10", "rxnorm", "loinc", "snomed", "atc"}) {
            if (entry[system]) add(entry[system], system, Role::accept, place + '/' + std::string(system));
        }
        for (const auto [concept_, changes] : entry["concepts"].members()) {
            const std::string where = place + "/concepts/" + std::string(concept_);
            usedConcepts_.insert(std::string(concept_));
            fact.concepts.emplace_back(concept_);
            const Value valueSet = valueSets_[concept_];
            if (!valueSet) {
                problem(where, "no such value set");
                continue;
            }
            for (const std::string_view role : roles) {
                std::string_view meaning = role;
                if (const Value change = changes[role]) meaning = change.text();
                if (meaning == "none" || meaning == "exception") continue;
                const auto found = std::find_if(meanings.begin(), meanings.end(),
                                                [&](const auto& known) { return known.first == meaning; });
                if (found == meanings.end()) {
                    problem(where, "'" + std::string(meaning) + "' is not a role");
                    continue;
                }
                for (const auto [system, codes] : valueSet[role].members())
                    add(codes, system, found->second, "/valueSets/" + std::string(concept_) + '/' + std::string(role));
            }
        }
        fact.systems.assign(systems.begin(), systems.end());
    }

    void addCode(CodeRow row) {
        const std::string_view system = vocabulary_.systems_[row.system].first;
        Vocabulary::Codes& codes = vocabulary_.codes_[row.system];
        Match match{row.fact, row.role, false, {}};
        for (const Value prefix : historyCodes_[system].items()) {
            const std::string_view text = prefix.text();
            const bool isRange = text.ends_with('-');
            match.history =
                match.history || (isRange ? row.code.starts_with(text.substr(0, text.size() - 1)) : row.code == text);
        }
        const bool isPrefix = row.code.ends_with('-');
        std::string key = isPrefix ? row.code.substr(0, row.code.size() - 1) : row.code;
        if (isClassification(system)) key = plainCode(key);
        vocabulary_.rows_.push_back(std::move(row));
        values_.push_back(std::make_unique<std::string>(vocabulary_.rows_.back().value));
        match.value = *values_.back();
        if (isPrefix) {
            codes.longestPrefix = std::max(codes.longestPrefix, key.size());
            codes.prefix[std::move(key)].push_back(match);
        } else {
            codes.exact[std::move(key)].push_back(match);
        }
    }

    void readResults(Value results) {
        using enum Vocabulary::Polarity;
        static constexpr std::array<std::pair<std::string_view, Vocabulary::Polarity>, 3> polarities{
            {{"indeterminate", indeterminate}, {"negative", negative}, {"positive", positive}}};
        const auto addCodes = [&](Value codes, Vocabulary::Polarity polarity) {
            for (const auto [system, rows] : codes.members()) {
                const auto number = systemNamed(system);
                if (!number) continue;
                for (const auto [code, display] : rows.members())
                    vocabulary_.polarityByCode_[*number].emplace(std::string(code), polarity);
            }
        };
        for (const auto& [name, polarity] : polarities) {
            const Value result = results[name];
            if (!result) problem("/results/" + std::string(name), "missing");
            for (const Value concept_ : result["concepts"].items()) {
                usedConcepts_.insert(std::string(concept_.text()));
                addCodes(valueSets_[concept_.text()]["accept"], polarity);
            }
            addCodes(result["codes"], polarity);
            for (const Value text : result["text"].items())
                vocabulary_.polarityByText_.emplace_back(polarity, lowerCase(text.text()));
        }
    }

    std::string_view file_;
    std::vector<Problem>& problems_;
    Vocabulary vocabulary_;
    Value valueSets_;
    Value historyCodes_;
    std::set<std::string> usedConcepts_;
    std::vector<std::unique_ptr<std::string>>& values_ = vocabulary_.answerValues_;
};

void Vocabulary::readDrugs(std::string_view file, Value root, std::vector<Problem>& problems) {
    const auto problem = [&](const std::string& place, std::string message) {
        problems.push_back({std::string(file) + ": " + place, std::move(message)});
    };
    for (std::size_t i = 0; i < systems_.size(); ++i) {
        if (systems_[i].first == "rxnorm") rxnorm_ = i;
    }
    if (!rxnorm_) problem("/", "the vocabulary knows no code system rxnorm");
    if (!root["ingredients"].isObject()) problem("/ingredients", "missing");
    for (const auto [code, entry] : root["ingredients"].members()) {
        const std::string place = "/ingredients/" + std::string(code);
        const auto number = static_cast<std::uint16_t>(ingredients_.size());
        Ingredient ingredient{std::string(code), std::string(entry["display"].text()), {}, {}};
        if (ingredient.display.empty()) problem(place + "/display", "missing");
        for (const Value name : entry["names"].items()) ingredient.names.push_back(lowerCase(name.text()));
        if (const Value halfLife = entry["halfLife"]) {
            std::vector<Rational> ends;
            for (const Value end : halfLife["days"].items()) {
                if (const auto value = fhir::parseDecimal(end.text())) ends.push_back(*value);
            }
            if (ends.size() != 2 || ends[0] > ends[1] || ends[0] <= 0) {
                problem(place + "/halfLife/days", "is not [lowest, highest]");
            } else {
                ingredient.halfLife = Interval::between(ends[0], ends[1]);
            }
            if (halfLife["source"].text().empty()) problem(place + "/halfLife/source", "missing");
        }
        if (!clinicalDrugs_[std::string(code)].ingredients.empty()) problem(place, "stands twice");
        clinicalDrugs_[std::string(code)].ingredients = {number};
        for (const auto [key, value] : entry.members()) {
            static constexpr std::array<std::pair<std::string_view, Route>, 3> routes{
                {{"systemic", Route::systemic}, {"local", Route::local}, {"unspecified", Route::unstated}}};
            const auto route = std::find_if(routes.begin(), routes.end(),
                                            [&, name = key](const auto& known) { return known.first == name; });
            if (route == routes.end()) {
                if (key != "display" && key != "names" && key != "halfLife")
                    problem(place + '/' + std::string(key), "unknown key");
                continue;
            }
            for (const auto [drug, display] : value.members()) {
                if (display.text().empty())
                    problem(place + '/' + std::string(key) + '/' + std::string(drug), "a code without its display");
                ClinicalDrug& entryOfDrug = clinicalDrugs_[std::string(drug)];
                entryOfDrug.ingredients.push_back(number);
                entryOfDrug.route = route->second;
            }
        }
        ingredients_.push_back(std::move(ingredient));
    }
    prepare();
}

const Ingredient* Vocabulary::ingredient(std::size_t system, std::string_view code) const {
    if (system != rxnorm_) return nullptr;
    const auto found = clinicalDrugs_.find(code);
    if (found == clinicalDrugs_.end() || found->second.ingredients.size() != 1) return nullptr;
    return &ingredients_[found->second.ingredients.front()];
}

namespace {

/// Which pairs of letters a text holds; some it does not, and never none that it does.
class LetterPairs {
public:
    explicit LetterPairs(std::string_view text) {
        for (std::size_t i = 1; i < text.size(); ++i) bits_.set(pair(text[i - 1], text[i]));
    }
    /// False when the text cannot hold the word.
    bool mayHold(std::string_view word) const {
        const auto holds = [&](std::size_t at) { return bits_.test(pair(word[at], word[at + 1])); };
        return word.size() < 2 || (holds(0) && holds(word.size() - 2) && holds(word.size() / 2 - 1));
    }

private:
    static std::size_t pair(char a, char b) {
        return (static_cast<unsigned char>(a) & 63U) << 6U | (static_cast<unsigned char>(b) & 63U);
    }
    std::bitset<64 * 64> bits_;
};

}  // namespace

const Meaning& Vocabulary::meaningOf(const fhir::Coding& coding) const {
    thread_local Memo<Meaning> memo;
    return memo.of(number_, coding.system, coding.code, [&] {
        Meaning meaning;
        meaning.system = system(coding.system);
        if (meaning.system) lookUp(*meaning.system, coding.code, meaning.matches);
        return meaning;
    });
}

void Vocabulary::lookUpDrugWords(std::string_view words, std::vector<Match>& matches) const {
    thread_local Memo<std::vector<std::uint16_t>> memo;
    for (const std::uint16_t fact : memo.of(number_, words, {}, [&] { return factsOfDrugWords(words); })) {
        const bool isKnown =
            std::any_of(matches.begin(), matches.end(), [&](const Match& match) { return match.fact == fact; });
        if (!isKnown) matches.push_back({fact, Role::review, false, {}});
    }
}

std::vector<std::uint16_t> Vocabulary::factsOfDrugWords(std::string_view words) const {
    std::vector<std::uint16_t> facts;
    const std::string lower = lowerCase(words);
    const LetterPairs pairs(lower);
    const auto add = [&](std::uint16_t fact) {
        if (std::find(facts.begin(), facts.end(), fact) == facts.end()) facts.push_back(fact);
    };
    if (rxnorm_) {
        for (const Ingredient& ingredient : ingredients_) {
            const bool named =
                std::any_of(ingredient.names.begin(), ingredient.names.end(),
                            [&](const std::string& name) { return pairs.mayHold(name) && mentions(lower, name); });
            if (!named) continue;
            const auto codes = codes_[*rxnorm_].exact.find(ingredient.code);
            if (codes == codes_[*rxnorm_].exact.end()) continue;
            for (const Match& match : codes->second) {
                if (match.role == Role::accept || match.role == Role::review) add(match.fact);
            }
        }
    }
    for (const FactDefinition& fact : facts_) {
        const bool named = std::any_of(fact.names.begin(), fact.names.end(), [&](const std::string& name) {
            if (!name.starts_with('-')) return pairs.mayHold(name) && mentions(lower, name);
            const std::string_view ending = std::string_view(name).substr(1);
            for (std::size_t at = lower.find(ending); at != std::string::npos; at = lower.find(ending, at + 1)) {
                const std::size_t end = at + ending.size();
                if (end == lower.size() || !isWordCharacter(lower[end])) return true;
            }
            return false;
        });
        if (named) add(static_cast<std::uint16_t>(fact.index));
    }
    return facts;
}

Vocabulary Vocabulary::read(std::string_view file, Value root, std::vector<Problem>& problems) {
    return VocabularyReader(file, problems).read(root);
}

void Vocabulary::prepare() {
    static std::atomic<std::uint64_t> numbers{0};
    number_ = ++numbers;
    silenceNumbers_ = std::make_shared<SilenceNumbers>();
    recognised_.assign(systems_.size(), {});
    for (const FactDefinition& fact : facts_) {
        silences_[fact.index].mayMean = !fact.recognisable() ? Absence::asked
                                        : fact.test          ? Absence::missing
                                        : fact.absentMeansNo ? Absence::no
                                                             : Absence::asked;
        for (const std::size_t system : fact.systems) recognised_[system].set(fact.index);
    }
}

struct Vocabulary::SilenceNumbers {
    static constexpr std::size_t most = 64;
    std::mutex mutex;
    std::map<std::string, std::uint64_t> numbers;
};

std::uint64_t Vocabulary::silenceNumber(const std::vector<std::uint8_t>& absents) const {
    const std::lock_guard lock(silenceNumbers_->mutex);
    auto& numbers = silenceNumbers_->numbers;
    const std::string bytes(absents.begin(), absents.end());
    const auto found = numbers.find(bytes);
    if (found != numbers.end()) return found->second;
    if (numbers.size() == SilenceNumbers::most) return 0;
    return numbers[bytes] = number_ * SilenceNumbers::most + numbers.size();
}

const Fact* Vocabulary::silent(Basis absent) const {
    for (std::size_t i = 0; i < meaningsOfSilence.size(); ++i) {
        if (meaningsOfSilence[i] == absent) return silent_->data() + i * facts_.size();
    }
    throw std::logic_error("silence never means that");
}

FactSet Vocabulary::unrecognisable(std::string_view resourceType, const std::vector<std::size_t>& systems,
                                   const std::vector<Match>& matches) const {
    const auto found = factsBySource_.find(resourceType);
    if (found == factsBySource_.end()) return {};
    FactSet known;
    for (const std::size_t system : systems) known |= recognised_[system];
    for (const Match& match : matches) {
        if (match.role == Role::accept) known.set(match.fact);
    }
    return found->second & ~known;
}

const FactDefinition* Vocabulary::find(std::string_view name) const {
    const auto found = factByName_.find(name);
    return found == factByName_.end() ? nullptr : &facts_[found->second];
}

std::optional<std::size_t> Vocabulary::system(std::string_view uri) const {
    const auto found = systemByUri_.find(uri);
    if (found == systemByUri_.end()) return std::nullopt;
    return found->second;
}

std::string Vocabulary::comparedCode(std::size_t system, std::string_view code) const {
    return isClassification(systems_[system].first) ? plainCode(code) : std::string(code);
}

std::string_view Vocabulary::displayOf(std::size_t fact, std::size_t system, std::string_view code) const {
    const std::string compared = comparedCode(system, code);
    const CodeRow* best = nullptr;
    std::size_t bestLength = 0;
    for (const CodeRow& row : rows_) {
        if (row.fact != fact || row.system != system) continue;
        const bool isPrefix = isClassification(systems_[system].first) && row.code.ends_with('-');
        const std::string own = comparedCode(system, row.code.substr(0, row.code.size() - (isPrefix ? 1 : 0)));
        if (isPrefix ? !compared.starts_with(own) : compared != own) continue;
        // The longest row wins, and of two the later, which an overlay brought.
        const std::size_t length = isPrefix ? own.size() : std::string::npos;
        if (best == nullptr || length >= bestLength) best = &row;
        bestLength = std::max(bestLength, length);
    }
    if (best != nullptr) return best->display;
    const Ingredient* drug = ingredient(system, code);
    return drug == nullptr ? std::string_view() : std::string_view(drug->display);
}

void Vocabulary::lookUp(std::size_t system, std::string_view code, std::vector<Match>& matches) const {
    const std::size_t start = matches.size();
    const auto add = [&](const std::vector<Match>& found) {
        for (const Match& match : found) {
            const bool decided = std::any_of(matches.begin() + static_cast<std::ptrdiff_t>(start), matches.end(),
                                             [&](const Match& earlier) { return earlier.fact == match.fact; });
            if (!decided) matches.push_back(match);
        }
    };
    const Codes& codes = codes_[system];
    if (system == rxnorm_) {
        if (const auto drug = clinicalDrugs_.find(code); drug != clinicalDrugs_.end()) {
            for (const std::uint16_t number : drug->second.ingredients) {
                const auto found = codes.exact.find(ingredients_[number].code);
                if (found != codes.exact.end()) add(found->second);
            }
        }
    }
    if (!isClassification(systems_[system].first)) {
        const auto found = codes.exact.find(code);
        if (found != codes.exact.end()) add(found->second);
        return;
    }
    const std::string plain = plainCode(code);
    if (const auto found = codes.exact.find(plain); found != codes.exact.end()) add(found->second);
    for (std::size_t length = std::min(plain.size(), codes.longestPrefix); length > 0; --length) {
        const auto found = codes.prefix.find(std::string_view(plain).substr(0, length));
        if (found != codes.prefix.end()) add(found->second);
    }
}

namespace {

/// The unit of the fact that a spelling means: as written, by a synonym, or in other case ("MG/DL").
const Unit* findUnit(std::string_view text, const FactDefinition& fact, const Vocabulary& vocabulary) {
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    const auto exactly = [&](std::string_view spelling) {
        const auto found = std::find_if(fact.units.begin(), fact.units.end(),
                                        [&](const auto& unit) { return unit.first == spelling; });
        return found == fact.units.end() ? nullptr : &*found;
    };
    if (const auto* unit = exactly(text)) return unit;
    if (const auto* unit = exactly(vocabulary.unitSpelling(text))) return unit;
    const std::string lower = lowerCase(text);
    for (const auto& unit : fact.units) {
        if (lowerCase(unit.first) == lower) return &unit;
    }
    return nullptr;
}

/// Code first, then unit text; nothing when neither is known or when they contradict each other.
///
/// "1.73" anywhere means a clearance divided by body surface: UCUM's annotation braces hide that from every converter.
const Unit* findUnit(const fhir::Quantity& quantity, const FactDefinition& fact, const Vocabulary& vocabulary) {
    const auto isPerSurface = [](std::string_view unit) {
        for (auto at = unit.find("73"); at != std::string_view::npos; at = unit.find("73", at + 1)) {
            if (at >= 2 && unit[at - 2] == '1' && (unit[at - 1] == '.' || unit[at - 1] == ',')) return true;
        }
        return false;
    };
    if (isPerSurface(quantity.code) || isPerSurface(quantity.unit)) return nullptr;
    const Unit* byCode = quantity.code.empty() ? nullptr : findUnit(quantity.code, fact, vocabulary);
    const Unit* byText = quantity.unit.empty() ? nullptr : findUnit(quantity.unit, fact, vocabulary);
    if (byCode != nullptr && byText != nullptr && byCode->second != byText->second) return nullptr;
    const Unit* unit = byCode != nullptr ? byCode : byText;
    if (unit == nullptr && quantity.code.empty() && quantity.unit.empty()) unit = findUnit("", fact, vocabulary);
    return unit;
}

}  // namespace

const Unit* Vocabulary::unitOf(const FactDefinition& fact, const fhir::Quantity& quantity) const {
    thread_local Memo<const Unit*> memo;
    return memo.of(number_ * mostFacts + fact.index, quantity.code, quantity.unit,
                   [&] { return findUnit(quantity, fact, *this); });
}

std::string_view Vocabulary::unitSpelling(std::string_view text) const {
    const auto found = unitSynonyms_.find(text);
    return found == unitSynonyms_.end() ? text : std::string_view(found->second);
}

std::optional<Vocabulary::Polarity> Vocabulary::polarity(std::size_t system, std::string_view code) const {
    const auto found = polarityByCode_[system].find(code);
    if (found == polarityByCode_[system].end()) return std::nullopt;
    return found->second;
}

std::optional<Vocabulary::Polarity> Vocabulary::polarity(std::string_view text) const {
    // Results are words; what is longer is a report, and its first lines do not speak for it.
    if (text.size() > 1000) return Polarity::indeterminate;
    std::string lower = lowerCase(trimmed(text));
    const auto first = [&](Polarity wanted) -> const std::string* {
        for (const auto& [polarity, word] : polarityByText_) {
            if (polarity == wanted && says(lower, word)) return &word;
        }
        return nullptr;
    };
    if (first(Polarity::indeterminate) != nullptr) return Polarity::indeterminate;
    bool negative = false;
    while (const std::string* word = first(Polarity::negative)) {
        negative = true;
        const std::size_t at = lower.find(*word);
        lower.replace(at, word->size(), ";");
    }
    const bool positive = first(Polarity::positive) != nullptr;
    if (negative && positive) return Polarity::indeterminate;  // "HBsAg negative, anti-HBs positive"
    if (negative) return Polarity::negative;
    if (!positive) return std::nullopt;
    // "no virus detected": a negation that no listed phrase explains.
    for (const std::string_view negation : {"no", "not", "non", "without", "kein", "keine", "nicht", "free of"}) {
        if (holdsWord(lower, negation)) return Polarity::indeterminate;
    }
    return Polarity::positive;
}

bool Vocabulary::Phrases::in(std::string_view words) const {
    const std::string lower = lowerCase(words);
    const LetterPairs pairs(lower);
    const auto holds = [&](const std::string& phrase) {
        return pairs.mayHold(phrase) && lower.find(phrase) != std::string::npos;
    };
    return std::any_of(text.begin(), text.end(), holds) && std::none_of(unless.begin(), unless.end(), holds);
}

bool Vocabulary::saysRoomAir(std::string_view text) const {
    return roomAir_.in(text);
}
bool Vocabulary::saysOnOxygen(std::string_view text) const {
    return onOxygen_.in(text);
}
bool Vocabulary::saysBelowQuantification(std::string_view text) const {
    return belowQuantification_.in(text);
}

Route Vocabulary::routeOf(const std::vector<fhir::CodeableConcept>& routes, const fhir::CodeableConcept& drug) const {
    const auto holds = [&](const auto& list, const fhir::CodeableConcept& concept_) {
        return std::any_of(concept_.coding.begin(), concept_.coding.end(), [&](const fhir::Coding& coding) {
            const auto number = system(coding.system);
            return number && std::any_of(list.begin(), list.end(), [&](const auto& known) {
                       const std::string_view code = known.second;
                       return known.first == *number &&
                              (code.ends_with('-') ? coding.code.starts_with(code.substr(0, code.size() - 1))
                                                   : coding.code == code);
                   });
        });
    };
    const auto says = [&](const Routes& route, const fhir::CodeableConcept& concept_) {
        return route.words.in(concept_.text) ||
               std::any_of(concept_.coding.begin(), concept_.coding.end(),
                           [&](const fhir::Coding& coding) { return route.words.in(coding.display); });
    };
    // A drug given on two routes reaches the whole body when one of them does.
    bool known = false;
    for (const Routes& route : routes_) {
        for (const fhir::CodeableConcept& given : routes) {
            if (!holds(route.codes, given) && !says(route, given)) continue;
            if (route.route == Route::systemic) return Route::systemic;
            known = true;
        }
    }
    if (known) return Route::local;
    if (!routes.empty()) return Route::unstated;
    for (const fhir::Coding& coding : drug.coding) {
        if (system(coding.system) != rxnorm_ || !rxnorm_) continue;
        const auto found = clinicalDrugs_.find(coding.code);
        if (found != clinicalDrugs_.end() && found->second.route != Route::unstated) return found->second.route;
    }
    for (const Routes& route : routes_) {
        if (holds(route.drugs, drug) || says(route, drug)) return route.route;
    }
    return Route::unstated;
}

AllergyDenial Vocabulary::allergyDenial(std::size_t system, std::string_view code) const {
    for (const Denial& denial : allergyDenials_) {
        if (denial.system == system && denial.code == code) return denial.denial;
    }
    return AllergyDenial::none;
}

bool Vocabulary::saysInRemission(std::size_t system, std::string_view code) const {
    return std::any_of(inRemission_.begin(), inRemission_.end(),
                       [&](const auto& entry) { return entry.first == system && entry.second == code; });
}

}  // namespace mapping
