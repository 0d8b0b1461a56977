#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// The knowledge of the tree, read a second time and in the simplest way, for tests that must not believe the program.
/// It knows the JSON files by their pages (mapping/README.md, rules/trials/README.md) and nothing of mapping/ or
/// rules/.
namespace model {

__extension__ typedef __int128 Wide;

/// A fraction in lowest terms; the denominator is positive.
struct Ratio {
    Wide n = 0;
    Wide d = 1;
};

Ratio ratio(Wide n, Wide d = 1);
/// "34.208" or "1000/88.42".
Ratio parseRatio(std::string_view text);
Ratio operator*(Ratio a, Ratio b);
Ratio operator/(Ratio a, Ratio b);
Ratio operator+(Ratio a, Ratio b);
bool operator<(Ratio a, Ratio b);
bool operator==(Ratio a, Ratio b);
inline bool operator<=(Ratio a, Ratio b) {
    return !(b < a);
}
/// As a decimal of at most `places` digits after the point; nothing when it has more, or no end.
std::optional<std::string> decimal(Ratio value, int places = 9);
/// Cut after so many digits.
Ratio cut(Ratio value, int places);

enum class Truth { no, open, yes };
Truth both(Truth a, Truth b);
Truth either(Truth a, Truth b);
Truth opposite(Truth a);
std::string_view word(Truth truth);

struct MethodWords {
    std::string name;
    std::vector<std::string> loinc;
    std::vector<std::string> text;
};

struct FactEntry {
    std::string name;
    std::string kind;
    std::string status = "plain";
    std::string derivation;
    std::vector<std::string> sources;
    bool absentIsNo = false;
    bool hint = false;
    bool event = false;
    bool positiveStays = false;
    bool diagnosisStands = false;
    bool needsTreatment = false;
    std::string route;  ///< "systemic", "notLocal", or empty
    std::optional<long> freshFor;
    std::optional<long> conditionFreshFor;
    std::vector<std::pair<std::string, std::optional<Ratio>>> units;
    std::optional<std::pair<Ratio, Ratio>> plausible;
    std::vector<std::string> gate;
    std::vector<MethodWords> methods;
    std::vector<std::string> testedBy;
    std::vector<std::string> suspectedBy;
    std::string confirmedBy;
    std::string methodOf;
    std::set<std::string> systems;  ///< in which a record of it could be recognised
    bool understood = true;         ///< nothing stands in its entry that this reader does not know

    bool reads(std::string_view type) const;
};

/// What a code says: the role it has for each fact, and the value of an answer.
struct Meaning {
    std::map<std::string, std::string> roles;
    std::map<std::string, std::string> answers;
    std::map<std::string, std::string> methods;  ///< the method that the code itself states, by fact
    bool history = false;
    bool systemicDrug = false;
    bool localDrug = false;
    std::optional<std::pair<Ratio, Ratio>> halfLife;  ///< of a drug, in days
    bool remission = false;                           ///< "disorder in remission", whatever the disorder
    bool operator==(const Meaning&) const = default;
};

struct Code {
    std::string code;
    std::string display;
};

/// Codes of one system that say the same about every fact: any of them may stand for the others.
struct Sense {
    std::string system;
    Meaning meaning;
    std::vector<Code> codes;
    std::vector<std::string> types;  ///< resource types in which it is drawn

    bool speaksOf(const std::string& fact) const { return meaning.roles.contains(fact); }
};

/// A node of a trial file's logic.
struct Rule {
    enum class Kind { sentence, reference, all, any, negation, ask };
    Kind kind = Kind::ask;
    std::string text;  ///< the sentence, or the id that is referred to
    std::vector<Rule> rules;
};

struct Criterion {
    std::string id;
    std::string status;
    bool inclusion = true;
    Rule when;
};

struct TrialFile {
    std::string id;
    std::vector<Criterion> criteria;  ///< in file order, a group before its parts
};

/// A number that some trial compares a fact with.
struct Bound {
    Ratio value;  ///< in the fact's unit, or times the upper limit of normal
    bool timesUpperLimit = false;
};

struct Words {
    std::vector<std::pair<std::string, Code>> codes;  ///< with their system
    std::vector<std::string> text;
};

struct Knowledge {
    std::vector<FactEntry> facts;
    std::map<std::string, std::size_t> factByName;
    std::vector<Sense> senses;
    std::vector<TrialFile> trials;
    std::map<std::string, std::vector<Bound>> bounds;
    std::map<std::string, std::vector<std::string>> uris;
    std::map<std::string, std::vector<std::string>> unitSynonyms;
    std::map<std::string, Words> results;  ///< positive, negative, indeterminate
    std::map<std::string, std::vector<Code>> routes;
    std::vector<std::string> notUnderstood;  ///< facts whose codes are not drawn

    struct Drug {
        std::string ingredient;  ///< its RxNorm code
        std::string reach;       ///< "systemic", "local", or empty
    };
    std::map<std::string, Drug> drugs;  ///< by RxNorm code, ingredients included
    std::map<std::string, std::pair<Ratio, Ratio>> halfLives;

    const FactEntry& fact(const std::string& name) const { return facts[factByName.at(name)]; }
    /// What a code of a system says.
    Meaning meaningOf(const std::string& system, const std::string& code) const;

    /// Whether words say how a drug is given.
    bool namesRoute(std::string text) const;
    std::vector<std::string> routeWords;

    struct Row {
        std::string system;
        std::string pattern;  ///< without the closing '-' and, for classifications, without dots
        bool prefix = false;
        std::string role;
        std::string value;
        std::string display;
        std::string written;
    };
    std::map<std::string, std::vector<Row>> rowsByFact;
    std::map<std::string, std::vector<std::string>> historyCodes;
    std::vector<std::pair<std::string, std::string>> systemicDrugs;
    std::set<std::pair<std::string, std::string>> remissionCodes;
};

/// Read once from the tree. Fails the test when a file is not what its page says.
const Knowledge& knowledge();

}  // namespace model
