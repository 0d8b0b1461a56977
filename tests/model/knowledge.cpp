#include "tests/model/knowledge.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "fhir/json.h"
#include "tests/support.h"

namespace model {

using fhir::json::Value;

// --- arithmetic

Ratio ratio(Wide n, Wide d) {
    Wide a = n < 0 ? -n : n;
    Wide b = d;
    while (b != 0) a = std::exchange(b, a % b);
    if (a == 0) a = 1;
    return {n / a, d / a};
}

Ratio parseRatio(std::string_view text) {
    if (const auto slash = text.find('/'); slash != std::string_view::npos)
        return parseRatio(text.substr(0, slash)) / parseRatio(text.substr(slash + 1));
    Wide n = 0;
    Wide d = 1;
    bool fraction = false;
    for (const char c : text) {
        if (c == '.') {
            fraction = true;
            continue;
        }
        if (c < '0' || c > '9') throw std::logic_error("no number: " + std::string(text));
        n = n * 10 + (c - '0');
        if (fraction) d *= 10;
    }
    return ratio(n, d);
}

Ratio operator*(Ratio a, Ratio b) {
    const Ratio left = ratio(a.n, b.d);
    const Ratio right = ratio(b.n, a.d);
    return {left.n * right.n, left.d * right.d};
}
Ratio operator/(Ratio a, Ratio b) {
    if (b.n <= 0) throw std::logic_error("divided by nothing");
    return a * Ratio{b.d, b.n};
}
Ratio operator+(Ratio a, Ratio b) {
    return ratio(a.n * b.d + b.n * a.d, a.d * b.d);
}
bool operator<(Ratio a, Ratio b) {
    return a.n * b.d < b.n * a.d;
}
bool operator==(Ratio a, Ratio b) {
    return a.n == b.n && a.d == b.d;
}

std::optional<std::string> decimal(Ratio value, int places) {
    Wide scaled = value.n;
    int digits = 0;
    while (scaled % value.d != 0) {
        if (digits == places) return std::nullopt;
        scaled *= 10;
        ++digits;
    }
    scaled /= value.d;
    const bool negative = scaled < 0;
    if (negative) scaled = -scaled;
    std::string text;
    do {
        text.insert(text.begin(), static_cast<char>('0' + static_cast<int>(scaled % 10)));
        scaled /= 10;
    } while (scaled > 0);
    while (static_cast<int>(text.size()) <= digits) text.insert(text.begin(), '0');
    if (digits > 0) text.insert(text.size() - static_cast<std::size_t>(digits), ".");
    return negative ? "-" + text : text;
}

Ratio cut(Ratio value, int places) {
    Wide scale = 1;
    for (int i = 0; i < places; ++i) scale *= 10;
    return ratio(value.n * scale / value.d, scale);
}

Truth both(Truth a, Truth b) {
    return a < b ? a : b;
}
Truth either(Truth a, Truth b) {
    return a < b ? b : a;
}
Truth opposite(Truth a) {
    return a == Truth::yes ? Truth::no : a == Truth::no ? Truth::yes : Truth::open;
}
std::string_view word(Truth truth) {
    return truth == Truth::yes ? "true" : truth == Truth::no ? "false" : "unknown";
}

// --- facts.json

bool FactEntry::reads(std::string_view type) const {
    return std::find(sources.begin(), sources.end(), type) != sources.end();
}

namespace {

bool hasDots(std::string_view system) {
    return system == "icd10" || system == "atc";
}

std::string withoutDots(std::string text) {
    std::erase(text, '.');
    return text;
}

std::vector<std::string> texts(Value list) {
    std::vector<std::string> result;
    for (const Value item : list.items()) result.emplace_back(item.text());
    return result;
}

std::optional<long> days(Value text) {
    if (!text) return std::nullopt;
    return std::stol(std::string(text.text()));
}

void readCodes(Knowledge& knowledge, FactEntry& fact, Value entry, Value valueSets) {
    std::vector<Knowledge::Row>& rows = knowledge.rowsByFact[fact.name];
    std::set<std::pair<std::string, std::string>> named;
    const auto add = [&](Value systems, const std::string& role) {
        for (const auto [systemName, codes] : systems.members()) {
            const std::string system(systemName);
            const std::vector<std::string> without = texts(entry["without"][system]);
            for (const auto [code, row] : codes.members()) {
                const std::string written(code);
                if (std::find(without.begin(), without.end(), written) != without.end()) continue;
                if (!named.emplace(system, written).second) continue;  // the first value set that names a code decides
                Knowledge::Row result;
                result.system = system;
                result.written = written;
                result.prefix = written.ends_with('-');
                result.pattern = result.prefix ? written.substr(0, written.size() - 1) : written;
                if (hasDots(system)) result.pattern = withoutDots(result.pattern);
                result.role = role;
                result.value = row["value"].text();
                result.display = row.isObject() ? row["display"].text() : row.text();
                rows.push_back(std::move(result));
                if (role == "accept") fact.systems.insert(system);
            }
        }
    };
    for (const std::string_view own : {"icd10", "rxnorm", "loinc", "snomed"}) {
        for (const auto [code, display] : entry[own].members()) {
            if (!named.emplace(std::string(own), std::string(code)).second) continue;
            Knowledge::Row row;
            row.system = own;
            row.written = code;
            row.prefix = row.written.ends_with('-');
            row.pattern = row.prefix ? row.written.substr(0, row.written.size() - 1) : row.written;
            if (hasDots(own)) row.pattern = withoutDots(row.pattern);
            row.role = "accept";
            row.display = display.text();
            rows.push_back(std::move(row));
            fact.systems.insert(std::string(own));
        }
    }
    for (const auto [name, changes] : entry["concepts"].members()) {
        const Value valueSet = valueSets[name];
        for (const std::string_view role : {"accept", "review", "reject", "remission", "exception", "answer"}) {
            std::string meant(role);
            if (const Value change = changes[role]) meant = change.text();
            if (meant == "none" || meant == "exception") continue;
            add(valueSet[role], meant);
        }
    }
    for (const std::string& system : texts(entry["recognisedIn"])) fact.systems.insert(system);
}

void readFact(Knowledge& knowledge, std::string_view name, Value entry, Value valueSets) {
    static const std::set<std::string, std::less<>> known{"diagnosisStands",
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
    static const std::set<std::string, std::less<>> derivations{"",
                                                                "age",
                                                                "ageInMonths",
                                                                "childbearing",
                                                                "tLineage",
                                                                "methodOf",
                                                                "remission",
                                                                "relapse",
                                                                "relapseCount",
                                                                "monthsFromRemissionToRelapse",
                                                                "cockcroftGault",
                                                                "oxygen",
                                                                "oxygenRoomAir",
                                                                "knownInfection",
                                                                "nyha",
                                                                "pregnancy",
                                                                "negativeTest"};
    FactEntry fact;
    fact.name = name;
    for (const auto [key, ignored] : entry.members()) fact.understood = fact.understood && known.contains(key);
    fact.kind = entry["kind"].text();
    if (entry["status"]) fact.status = entry["status"].text();
    fact.derivation = entry["derivation"].text();
    fact.understood = fact.understood && derivations.contains(fact.derivation);
    fact.sources = texts(entry["sources"]);
    fact.absentIsNo = entry["ifAbsent"].text() == "no";
    fact.hint = entry["hint"].isTrue();
    fact.event = entry["event"].isTrue();
    fact.positiveStays = entry["positiveStays"].isTrue();
    fact.diagnosisStands = entry["diagnosisStands"].isTrue();
    fact.needsTreatment = entry["needsTreatment"].isTrue();
    fact.route = entry["route"].text();
    fact.freshFor = days(entry["freshFor"]);
    fact.conditionFreshFor = days(entry["conditionFreshFor"]);
    for (const auto [unit, factor] : entry["units"].members())
        fact.units.emplace_back(unit, factor ? std::optional(parseRatio(factor.text())) : std::nullopt);
    if (const Value ends = entry["plausible"]) {
        std::vector<Ratio> numbers;
        for (const Value end : ends.items()) numbers.push_back(parseRatio(end.text()));
        fact.plausible.emplace(numbers.at(0), numbers.at(1));
    }
    fact.gate = texts(entry["gate"]);
    for (const auto [method, words] : entry["methods"].members())
        fact.methods.push_back({std::string(method), texts(words["loinc"]), texts(words["text"])});
    fact.testedBy = texts(entry["testedBy"]);
    fact.suspectedBy = texts(entry["suspectedBy"]);
    fact.confirmedBy = entry["confirmedBy"].text();
    fact.methodOf = entry["methodOf"].text();
    readCodes(knowledge, fact, entry, valueSets);
    // A number of drugs is counted by the program in its own way; nothing of it is drawn.
    if (fact.kind == "count" && !knowledge.rowsByFact[fact.name].empty()) fact.understood = false;
    if (!fact.understood) knowledge.notUnderstood.push_back(fact.name);
    knowledge.factByName[fact.name] = knowledge.facts.size();
    knowledge.facts.push_back(std::move(fact));
}

/// Codes that a row stands for: itself, or some that begin so.
std::vector<std::string> examples(const Knowledge::Row& row) {
    if (!hasDots(row.system)) return row.prefix ? std::vector<std::string>{} : std::vector{row.written};
    std::vector<std::string> plain;
    if (!row.prefix) {
        plain = {row.pattern};
    } else if (row.system == "atc") {
        plain = {row.pattern, row.pattern + "01", row.pattern + "09"};
    } else if (row.pattern.size() < 3) {
        plain = {row.pattern + "10", row.pattern + "26", row.pattern + "262"};
    } else {
        plain = {row.pattern, row.pattern + "0", row.pattern + "1", row.pattern + "9", row.pattern + "02"};
    }
    std::vector<std::string> result;
    for (std::string code : plain) {
        if (row.system == "icd10" && code.size() > 3) code.insert(3, ".");
        result.push_back(std::move(code));
    }
    return result;
}

/// The resource types in which codes of a sense are drawn; none for what stands only in values of results.
std::vector<std::string> typesOf(const Knowledge& knowledge, const std::string& system, const Meaning& meaning) {
    bool condition = false;
    std::set<std::string> done;
    std::set<std::string> given;
    bool observation = false;
    for (const auto& [name, role] : meaning.roles) {
        const FactEntry& fact = knowledge.fact(name);
        if (!fact.understood || fact.hint) return {};
        for (const std::string& source : fact.sources) {
            condition = condition || source == "Condition";
            observation = observation || source == "Observation";
            if (source == "Procedure" || source == "Immunization") done.insert(source);
            if (source == "MedicationRequest" || source == "MedicationStatement" ||
                source == "MedicationAdministration")
                given.insert(source);
        }
    }
    if (system == "loinc") return observation ? std::vector<std::string>{"Observation"} : std::vector<std::string>{};
    if (system == "icd10") return {"Condition"};
    if (system == "icdo3") return {"Condition"};
    if (system == "snomed") {
        if (condition) return {"Condition"};
        return done.contains("Procedure") ? std::vector<std::string>{"Procedure"} : std::vector<std::string>{};
    }
    if (system == "icd10pcs" || system == "hcpcs")
        return done.contains("Procedure") ? std::vector<std::string>{"Procedure"} : std::vector<std::string>{};
    if (system == "cvx") return {"Immunization"};
    if (system == "rxnorm" || system == "atc") return {given.begin(), given.end()};
    return {};
}

void findSenses(Knowledge& knowledge) {
    std::map<std::pair<std::string, std::string>, std::string> codes;
    // What a pharmacy writes: not more of each ingredient than of others.
    std::map<std::string, int> taken;
    for (const auto& [code, drug] : knowledge.drugs) {
        if (!drug.reach.empty() && taken[drug.ingredient + drug.reach]++ < 2)
            codes.emplace(std::pair(std::string("rxnorm"), code), drug.reach + " form");
    }
    for (const auto& [fact, rows] : knowledge.rowsByFact) {
        for (const Knowledge::Row& row : rows) {
            if (row.system == "loinc" && row.written.starts_with("LA")) continue;  // an answer
            for (const std::string& code : examples(row)) codes.emplace(std::pair(row.system, code), row.display);
        }
    }
    for (const auto& [key, display] : codes) {
        const std::string& system = key.first;
        const std::string& code = key.second;
        const Meaning meaning = knowledge.meaningOf(system, code);
        if (meaning.roles.empty()) continue;
        // A display that says how the drug is given would say so only where it is written.
        const bool isDrug = system == "rxnorm" || system == "atc";
        if (isDrug && !meaning.systemicDrug && !meaning.localDrug && knowledge.namesRoute(display)) continue;
        const auto found = std::find_if(knowledge.senses.begin(), knowledge.senses.end(), [&](const Sense& sense) {
            return sense.system == system && sense.meaning == meaning;
        });
        Sense* sense = found == knowledge.senses.end() ? nullptr : &*found;
        if (sense == nullptr) {
            knowledge.senses.push_back({system, meaning, {}, typesOf(knowledge, system, meaning)});
            sense = &knowledge.senses.back();
        }
        sense->codes.push_back({code, display});
    }
    // What the vocabulary does not know.
    knowledge.senses.push_back({"icd10", {}, {{"J45.909", "Asthma"}, {"M54.5", "Low back pain"}}, {"Condition"}});
    knowledge.senses.push_back({"snomed", {}, {{"195967001", "Asthma"}, {"444814009", "Sinusitis"}}, {"Condition"}});
}

/// The clinical drugs of one ingredient, and the ingredients themselves.
void readDrugs(Knowledge& knowledge) {
    const fhir::json::Document document(support::readFile("mapping/drugs.json"));
    std::set<std::string> combinations;
    for (const auto [code, entry] : document.root()["ingredients"].members()) {
        const std::string ingredient(code);
        knowledge.drugs[ingredient] = {ingredient, ""};
        for (const std::string reach : {"systemic", "local"}) {
            for (const auto [drug, display] : entry[reach].members()) {
                if (!knowledge.drugs.emplace(std::string(drug), Knowledge::Drug{ingredient, reach}).second)
                    combinations.insert(std::string(drug));
            }
        }
        if (const Value days = entry["halfLife"]["days"]) {
            std::vector<Ratio> ends;
            for (const Value end : days.items()) ends.push_back(parseRatio(end.text()));
            knowledge.halfLives[ingredient] = {ends.at(0), ends.at(1)};
        }
    }
    for (const std::string& drug : combinations) knowledge.drugs.erase(drug);
}

// --- trial files

class TrialReader {
public:
    explicit TrialReader(TrialFile& trial) : trial_(trial) {}

    void read(Value root) {
        trial_.id = root["id"].text();
        for (const Value criterion : root["inclusion"].items()) readCriterion(criterion, true);
        for (const Value criterion : root["exclusion"].items()) readCriterion(criterion, false);
    }

private:
    Rule readCriterion(Value value, bool inclusion) {
        const std::size_t index = trial_.criteria.size();
        trial_.criteria.push_back(
            {std::string(value["id"].text()), std::string(value["status"].text()), inclusion, {}});
        Rule when;
        for (const auto& [key, kind] : {std::pair{"all", Rule::Kind::all}, std::pair{"any", Rule::Kind::any}}) {
            if (!value[key]) continue;
            when.kind = kind;
            for (const Value part : value[key].items()) when.rules.push_back(readRule(part, inclusion));
        }
        if (value["when"]) when = readRule(value["when"], inclusion);
        for (const Value part : value["parts"].items()) readCriterion(part, inclusion);
        trial_.criteria[index].when = std::move(when);
        Rule reference;
        reference.kind = Rule::Kind::reference;
        reference.text = value["id"].text();
        return reference;
    }

    Rule readRule(Value value, bool inclusion) {
        Rule rule;
        if (value.isString()) {
            rule.kind = Rule::Kind::sentence;
            rule.text = value.text();
        } else if (value["id"]) {
            return readCriterion(value, inclusion);
        } else if (value["ref"]) {
            rule.kind = Rule::Kind::reference;
            rule.text = value["ref"].text();
        } else if (value["ask"]) {
            rule.kind = Rule::Kind::ask;
        } else if (value["not"]) {
            rule.kind = Rule::Kind::negation;
            rule.rules.push_back(readRule(value["not"], inclusion));
        } else {
            const bool all = static_cast<bool>(value["all"]);
            REQUIRE((all || value["any"]));
            rule.kind = all ? Rule::Kind::all : Rule::Kind::any;
            for (const Value part : (all ? value["all"] : value["any"]).items()) rule.rules.push_back(readRule(part, inclusion));
        }
        return rule;
    }

    TrialFile& trial_;
};

void findBounds(Knowledge& knowledge, const Rule& rule) {
    for (const Rule& part : rule.rules) findBounds(knowledge, part);
    if (rule.kind != Rule::Kind::sentence) return;
    std::vector<std::string> words;
    std::size_t at = 0;
    while (at < rule.text.size()) {
        const std::size_t end = std::min(rule.text.find(' ', at), rule.text.size());
        words.push_back(rule.text.substr(at, end - at));
        at = end + 1;
    }
    if (words.size() < 3 || words[1].find_first_not_of("<=>") != std::string::npos) return;
    const FactEntry& fact = knowledge.fact(words[0]);
    Bound bound{parseRatio(words[2]), words.size() > 3 && words[3] == "xULN"};
    if (words.size() > 3 && !bound.timesUpperLimit) {
        for (const auto& [unit, factor] : fact.units) {
            if (unit == words[3] && factor) bound.value = bound.value * *factor;
        }
    }
    knowledge.bounds[fact.name].push_back(bound);
}

Knowledge readAll() {
    Knowledge knowledge;
    const fhir::json::Document facts(support::readFile("mapping/facts.json"));
    const Value root = facts.root();
    const Value valueSets = root["valueSets"];
    for (const auto [name, uris] : root["systems"].members()) knowledge.uris[std::string(name)] = texts(uris);
    for (const auto [unit, spellings] : root["unitSynonyms"].members())
        knowledge.unitSynonyms[std::string(unit)] = texts(spellings);
    for (const auto [system, codes] : root["historyCodes"].members())
        knowledge.historyCodes[std::string(system)] = texts(codes);
    for (const std::string polarity : {"positive", "negative", "indeterminate"}) {
        Words& words = knowledge.results[polarity];
        words.text = texts(root["results"][polarity]["text"]);
        for (const std::string& name : texts(root["results"][polarity]["concepts"])) {
            for (const auto [system, codes] : valueSets[name]["accept"].members()) {
                for (const auto [code, display] : codes.members())
                    words.codes.push_back({std::string(system), {std::string(code), std::string(display.text())}});
            }
        }
    }
    for (const std::string kind : {"systemic", "local"}) {
        for (const auto [code, display] : root["routes"][kind]["codes"]["snomed"].members())
            knowledge.routes[kind].push_back({std::string(code), std::string(display.text())});
    }
    for (const auto [system, drugs] : root["routes"]["systemic"]["drugs"].members()) {
        for (const auto [code, display] : drugs.members()) knowledge.systemicDrugs.emplace_back(system, code);
    }
    for (const std::string kind : {"systemic", "local"}) {
        for (const std::string& word : texts(root["routes"][kind]["text"])) knowledge.routeWords.push_back(word);
    }
    readDrugs(knowledge);
    for (const auto [system, codes] : valueSets["disorder_in_remission"]["remission"].members()) {
        for (const auto [code, display] : codes.members())
            knowledge.remissionCodes.emplace(std::string(system), std::string(code));
    }
    for (const auto [name, entry] : root["facts"].members()) readFact(knowledge, name, entry, valueSets);
    findSenses(knowledge);

    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator("rules/trials")) {
        if (entry.path().extension() == ".json") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
        const fhir::json::Document document(support::readFile(path.string()));
        TrialReader(knowledge.trials.emplace_back()).read(document.root());
        for (const Criterion& criterion : knowledge.trials.back().criteria) findBounds(knowledge, criterion.when);
    }
    return knowledge;
}

}  // namespace

bool Knowledge::namesRoute(std::string text) const {
    for (char& letter : text) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return std::any_of(routeWords.begin(), routeWords.end(),
                       [&](const std::string& word) { return text.find(word) != std::string::npos; });
}

Meaning Knowledge::meaningOf(const std::string& system, const std::string& code) const {
    Meaning meaning;
    std::string plain = hasDots(system) ? withoutDots(code) : code;
    if (const auto drug = drugs.find(code); system == "rxnorm" && drug != drugs.end()) {
        plain = drug->second.ingredient;
        meaning.systemicDrug = drug->second.reach == "systemic";
        meaning.localDrug = drug->second.reach == "local";
        if (const auto known = halfLives.find(plain); known != halfLives.end()) meaning.halfLife = known->second;
    }
    for (const auto& [fact, rows] : rowsByFact) {
        const Row* best = nullptr;
        for (const Row& row : rows) {
            if (row.system != system) continue;
            if (row.prefix ? !plain.starts_with(row.pattern) : plain != row.pattern) continue;
            // The longest row wins, the code itself before all that begin so.
            if (best == nullptr || row.pattern.size() > best->pattern.size() ||
                (row.pattern.size() == best->pattern.size() && best->prefix && !row.prefix))
                best = &row;
        }
        if (best == nullptr) continue;
        meaning.roles[fact] = best->role;
        if (!best->value.empty()) meaning.answers[fact] = best->value;
        for (const MethodWords& method : this->fact(fact).methods) {
            if (system == "loinc" && std::find(method.loinc.begin(), method.loinc.end(), code) != method.loinc.end())
                meaning.methods[fact] = method.name;
        }
    }
    const auto begins = [&](const std::string& pattern) {
        return pattern.ends_with('-') ? code.starts_with(pattern.substr(0, pattern.size() - 1)) : code == pattern;
    };
    if (const auto history = historyCodes.find(system); history != historyCodes.end())
        meaning.history = std::any_of(history->second.begin(), history->second.end(), begins);
    meaning.systemicDrug = meaning.systemicDrug ||
                           std::any_of(systemicDrugs.begin(), systemicDrugs.end(),
                                       [&](const auto& drug) { return drug.first == system && begins(drug.second); });
    meaning.remission = remissionCodes.contains({system, code});
    return meaning;
}

const Knowledge& knowledge() {
    static const Knowledge read = readAll();
    return read;
}

}  // namespace model
