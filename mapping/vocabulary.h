#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fhir/decimal.h"
#include "fhir/hash.h"
#include "fhir/json.h"
#include "fhir/resource.h"
#include "mapping/interval.h"

namespace mapping {

enum class Basis;
struct Fact;

/// Some of the facts of a vocabulary: a bit for each, in its order.
constexpr std::size_t mostFacts = 256;
using FactSet = std::bitset<mostFacts>;

/// A place in a knowledge file and what is wrong there: "facts.json: /facts/lvef/unit: ...".
struct Problem {
    std::string place;
    std::string message;
    std::string text() const { return place + ": " + message; }
};

enum class Kind {
    quantity,   ///< a number with a unit
    finding,    ///< yes or no
    coded,      ///< one of a few words
    count,      ///< a number of events; what a chart shows is a lower bound
    viralLoad,  ///< detected or not, and a number with a unit
};

/// What a code means for one fact. Source: codes.json, roles.
enum class Role { accept, review, reject, remission, answer };

/// Which clinical status a recorded Condition needs to count. Source: clinical README, rulings 2 and 3.
enum class StatusPolicy { plain, active, ever, diagnosed };

/// How a fact comes from other facts instead of codes of its own.
enum class Derivation {
    none,
    age,
    ageInMonths,
    childbearing,
    tLineage,
    methodOf,
    remission,
    relapse,
    relapseCount,
    monthsFromRemissionToRelapse,
    cockcroftGault,
    oxygen,
    oxygenRoomAir,
    knownInfection,
    nyha,
    pregnancy,
    negativeTest,
    concurrentDrugs
};

/// Whether a drug reaches the whole body, by the route on which it is given.
enum class Route { systemic, local, unstated };

/// Which routes of a drug a fact counts.
enum class RoutePolicy {
    any,
    systemic,  ///< those that reach the whole body; an unstated one leaves the fact open
    notLocal,  ///< all but those that are known not to reach the whole body
};

/// How a recorded allergy bears on a fact.
enum class AllergyPolicy {
    none,      ///< not at all
    listed,    ///< when its substance is one of the fact's codes
    any,       ///< the fact's codes decide, every other allergy is a question
    severe,    ///< when a reaction was one of the fact's codes; a mild one does not count, others are questions
    biologic,  ///< when it is of category biologic or one of the fact's codes; other drugs are questions
};

/// What a code such as "no known allergy" denies.
enum class AllergyDenial { none, drugs, every };

/// An ingredient of drugs.json, by its RxNorm code.
struct Ingredient {
    std::string code;
    std::string display;
    std::vector<std::string> names;    ///< ingredient and brands, in lower case
    std::optional<Interval> halfLife;  ///< days, the lowest and highest published
};

struct Method {
    std::string name;
    std::vector<std::string> loinc;  ///< codes that say so themselves
    std::vector<std::string> text;   ///< words of Observation.method that say so, in lower case
};

/// An upper limit of normal of a site, for a sex and an age in completed years, both ends included.
struct UpperLimit {
    fhir::Rational value;  ///< in the fact's unit
    std::string sex;       ///< empty for both
    int ageFrom = 0;
    int ageTo = 150;
};

/// A unit of a fact: how it is spelled, and its factor to the fact's unit where it has one.
using Unit = std::pair<std::string, std::optional<fhir::Rational>>;

/// One entry of facts.json. Its meaning stands in mapping/README.md.
struct FactDefinition {
    std::size_t index = 0;
    std::string name;
    std::string label;
    std::string group;
    Kind kind = Kind::finding;
    std::vector<std::string> reading;
    std::vector<std::string> concepts;
    std::vector<std::string> sources;      ///< resource types it can come from
    std::optional<int> freshFor;           ///< days
    std::optional<int> conditionFreshFor;  ///< days
    Interval plausible;
    std::string unit;
    std::vector<Unit> units;
    bool absentMeansNo = false;
    bool test = false;  ///< a test or measurement: without a record it is missing, not a question
    bool hint = false;  ///< shown, never evaluated
    StatusPolicy status = StatusPolicy::plain;
    bool event = false;  ///< happens on a date, as opposed to lasting
    bool positiveStays = false;
    bool needsTreatment = false;
    RoutePolicy route = RoutePolicy::any;
    AllergyPolicy allergy = AllergyPolicy::none;
    bool planned = false;            ///< read from what is ordered or planned, and only from that
    std::vector<std::string> names;  ///< of drugs that have no code, in lower case; "-mab" is an ending
    std::vector<std::string> gate;   ///< words one of which a result must use to be about tumour cells
    std::vector<Method> methods;
    std::vector<std::string> values;
    Derivation derivation = Derivation::none;
    std::vector<std::size_t> from;  ///< facts that the derivation reads: methodOf, testedBy
    std::vector<std::size_t> suspectedBy;
    std::optional<std::size_t> confirmedBy;  ///< a fact whose recorded diagnosis confirms this one
    bool diagnosisStands = false;            ///< a confirmed diagnosis is not taken back by a negative test
    std::string question;
    std::vector<UpperLimit> upperLimits;  ///< of the site, for results that have none of their own
    std::vector<std::size_t> systems;     ///< code systems in which a record of it could be recognised

    bool recognisable() const { return !systems.empty() || derivation != Derivation::none; }
    const Method* method(std::string_view name) const;
};

/// What one code means for one fact.
struct Match {
    std::uint16_t fact = 0;
    Role role = Role::accept;
    bool history = false;    ///< says that it was so, never when
    std::string_view value;  ///< of an answer
};

/// What one coding means.
struct Meaning {
    std::optional<std::size_t> system;  ///< the number of its code system, when that is known
    std::vector<Match> matches;         ///< for every fact at most one
};

/// A code with its display, for discovery, reports and tests.
struct CodeRow {
    std::uint16_t fact = 0;
    Role role = Role::accept;
    std::size_t system = 0;
    std::string code;  ///< with a closing '-' when it stands for all codes that begin so
    std::string display;
    std::string value;
};

/// Where some facts come from.
struct SourceSet {
    std::string group;               ///< of the facts
    std::vector<std::string> types;  ///< resource types that are read and hold results or records themselves
    bool isUnread = false;           ///< another type is never read: silence says nothing, whatever the caller declares
    bool observations = false;       ///< Observation is among them
};

/// Whether results are in other resources than those of the type: DiagnosticReports carry Observations.
bool holdsNoResults(std::string_view resourceType);

/// Whether charts are read for resources of this type. Every other one is not covered, whatever the caller declares.
bool isRead(std::string_view resourceType);

/// What it may mean that nothing is on file about a fact.
enum class Absence : std::uint8_t {
    asked,    ///< nothing: a person is asked
    missing,  ///< a test was not done, or is not here
    no,       ///< that there is nothing of it, where everything was read
};
struct Silence {
    std::uint16_t sourceSet = 0;  ///< Vocabulary::sourceSets
    Absence mayMean = Absence::asked;
};

/// The vocabulary, read once and then const.
class Vocabulary {
public:
    /// Reads facts.json. Errors: every problem is added to `problems`; the vocabulary is usable only when none was.
    static Vocabulary read(std::string_view file, fhir::json::Value root, std::vector<Problem>& problems);

    const std::vector<FactDefinition>& facts() const { return facts_; }
    /// No other vocabulary has the same number: what is known of one is not taken for another's.
    std::uint64_t number() const { return number_; }
    const FactDefinition* find(std::string_view name) const;
    /// The facts as they are when nothing is on file about them and that means `absent`, one after the other. Errors:
    /// std::logic_error when silence never means that.
    const Fact* silent(Basis absent) const;
    /// The facts that other facts derive or confirm, by index and in their order.
    const std::vector<std::size_t>& derived() const { return derived_; }
    /// The different sets of sources, together with the group.
    const std::vector<SourceSet>& sourceSets() const { return sourceSets_; }
    /// A number for what silence means for each fact, in the bytes of Basis: the same for the same meanings, and one
    /// that no other vocabulary gives. 0 when there are many already.
    std::uint64_t silenceNumber(const std::vector<std::uint8_t>& absents) const;
    /// What silence may mean, for each fact.
    const std::vector<Silence>& silences() const { return silences_; }
    /// The facts that have this resource type among their sources and could not have been recognised in a record with
    /// codes of these systems, which mean `matches` (ruling 16).
    FactSet unrecognisable(std::string_view resourceType, const std::vector<std::size_t>& systems,
                           const std::vector<Match>& matches) const;
    const std::vector<CodeRow>& rows() const { return rows_; }
    const std::vector<std::string>& judgements() const { return judgements_; }
    const std::vector<std::string>& usedConcepts() const { return usedConcepts_; }

    /// The number of the code system that a URI or OID names.
    std::optional<std::size_t> system(std::string_view uri) const;
    std::string_view systemName(std::size_t system) const { return systems_[system].first; }
    std::string_view systemUri(std::size_t system) const { return systems_[system].second; }
    /// Whether facts.json names the system: LOINC, SNOMED CT and the like, as opposed to one that an overlay brought.
    bool isPublic(std::size_t system) const { return system < publicSystems_; }

    /// A code as it is compared: of ICD-10 and ATC without dots and spaces, in upper case.
    std::string comparedCode(std::size_t system, std::string_view code) const;

    /// What a code means, for every fact at most once. The longest row wins: C84.7A before C84.7-.
    void lookUp(std::size_t system, std::string_view code, std::vector<Match>& matches) const;

    /// The same of a coding, by its system and its code. A thread that asked before knows; what it gets stays as it is
    /// until it asks again.
    const Meaning& meaningOf(const fhir::Coding& coding) const;

    /// The display of the row by which a code means a fact, or of the ingredient of a clinical drug; empty when there
    /// is none.
    std::string_view displayOf(std::size_t fact, std::size_t system, std::string_view code) const;

    /// Reads drugs.json: clinical drugs are looked up as their ingredients from then on. Errors: as for read().
    void readDrugs(std::string_view file, fhir::json::Value root, std::vector<Problem>& problems);
    /// Applies what a site overlay says about codes, upper limits and freshness (docs/site-overlay.md). Errors: as for
    /// read().
    void readOverlay(std::string_view file, fhir::json::Value root, std::vector<Problem>& problems);
    /// The ingredient that a code of RxNorm means, itself or as a clinical drug; nothing when none or several.
    const Ingredient* ingredient(std::size_t system, std::string_view code) const;
    /// What the words of a drug say: an ingredient, a brand, or a name of the fact. Words are never matched silently:
    /// every match is under review.
    void lookUpDrugWords(std::string_view words, std::vector<Match>& matches) const;

    /// The unit of a fact that a quantity has, by its code and its text; nothing when none is known, or when the two
    /// contradict each other.
    const Unit* unitOf(const FactDefinition& fact, const fhir::Quantity& quantity) const;

    /// The canonical spelling of a unit, or the text itself.
    std::string_view unitSpelling(std::string_view text) const;

    /// Positive, negative, or neither by a code of a result (interpretation or answer); nothing when it is none of
    /// ours.
    enum class Polarity { positive, negative, indeterminate };
    std::optional<Polarity> polarity(std::size_t system, std::string_view code) const;
    /// The same for words. Negation is tested before affirmation, doubt before both.
    std::optional<Polarity> polarity(std::string_view text) const;
    bool saysRoomAir(std::string_view text) const;
    bool saysOnOxygen(std::string_view text) const;
    bool saysBelowQuantification(std::string_view text) const;
    /// By the routes of the dosage; where there is none, by a code of the drug that is of one route only.
    Route routeOf(const std::vector<fhir::CodeableConcept>& routes, const fhir::CodeableConcept& drug) const;
    AllergyDenial allergyDenial(std::size_t system, std::string_view code) const;
    /// Whether a code says "disorder in remission" without naming the disorder.
    bool saysInRemission(std::size_t system, std::string_view code) const;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return fhir::hashOf(text); }
    };
    template <typename Value>
    using Table = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
    struct Codes {
        Table<std::vector<Match>> exact;
        Table<std::vector<Match>> prefix;
        std::size_t longestPrefix = 0;
    };
    friend class VocabularyReader;
    friend class OverlayReader;

    /// Looks up once what is asked for every chart. To be called again when definitions have changed.
    void prepare();

    std::vector<std::uint16_t> factsOfDrugWords(std::string_view words) const;

    std::uint64_t number_ = 0;
    std::vector<FactDefinition> facts_;
    std::shared_ptr<const std::vector<Fact>> silent_;  ///< one after the other, for each meaning of silence
    Table<std::size_t> factByName_;
    Table<FactSet> factsBySource_;
    std::vector<SourceSet> sourceSets_;
    std::vector<Silence> silences_;
    struct SilenceNumbers;
    std::shared_ptr<SilenceNumbers> silenceNumbers_;
    std::vector<FactSet> recognised_;  ///< by system, the facts that a record could be recognised as
    std::vector<std::size_t> derived_;
    std::vector<std::pair<std::string, std::string>> systems_;  ///< name, first URI
    Table<std::size_t> systemByUri_;
    std::size_t publicSystems_ = 0;  ///< how many of them facts.json names
    std::vector<Codes> codes_;       ///< by system
    std::vector<CodeRow> rows_;
    std::vector<std::unique_ptr<std::string>> answerValues_;  ///< what Match::value points into
    Table<std::string> unitSynonyms_;
    std::vector<Table<Polarity>> polarityByCode_;  ///< by system
    std::vector<std::pair<Polarity, std::string>> polarityByText_;
    struct Phrases {
        std::vector<std::string> text;
        std::vector<std::string> unless;
        bool in(std::string_view words) const;
    };
    struct ClinicalDrug {
        std::vector<std::uint16_t> ingredients;
        Route route = Route::unstated;
    };
    std::vector<Ingredient> ingredients_;
    Table<ClinicalDrug> clinicalDrugs_;  ///< by RxNorm code, ingredients themselves included
    std::optional<std::size_t> rxnorm_;  ///< the number of that system
    struct Routes {
        Route route = Route::unstated;
        std::vector<std::pair<std::size_t, std::string>> codes;  ///< system and code of a route
        std::vector<std::pair<std::size_t, std::string>> drugs;  ///< system and code of drugs of this route alone
        Phrases words;
    };
    std::vector<Routes> routes_;
    Phrases roomAir_;
    Phrases onOxygen_;
    Phrases belowQuantification_;
    std::vector<std::pair<std::size_t, std::string>> inRemission_;
    struct Denial {
        std::size_t system = 0;
        std::string code;
        AllergyDenial denial = AllergyDenial::none;
    };
    std::vector<Denial> allergyDenials_;
    std::vector<std::string> judgements_;
    std::vector<std::string> usedConcepts_;
};

/// A code as it is compared: without dots and spaces, in upper case, for the classifications that are written both
/// ways.
std::string plainCode(std::string_view code);

/// Whether a text in lower case holds a word, or several, as words of their own and not denied by "no" or "without".
bool mentions(std::string_view text, std::string_view word);

/// The text in lower case, ASCII letters only.
std::string lowerCase(std::string_view text);

}  // namespace mapping
