#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/bundle.h"
#include "fhir/date.h"
#include "mapping/interval.h"
#include "mapping/vocabulary.h"

namespace mapping {

/// What a verdict rests on, or why there is none. Where parts differ, the one that comes last names the whole.
/// Source: output contract, basis.
enum class Basis {
    recorded,
    derived,
    assumed,
    attested,
    noneOnFile,  // the last of the decided ones
    asked,
    washOut,
    stale,
    undated,
    noUpperLimit,
    unreadableUnit,
    implausible,
    conflicting,
    unconfirmed,
    notCovered,
    missing,
};

constexpr bool isDecided(Basis basis) {
    return basis <= Basis::noneOnFile;
}

/// The word of the output contract: "none-on-file".
std::string_view word(Basis basis);

/// The value that a word of the output contract stands for, of those up to `last`; nothing when it stands for none.
template <typename Value>
std::optional<Value> valueOfWord(std::string_view text, Value last) {
    for (int i = 0; i <= static_cast<int>(last); ++i) {
        if (word(static_cast<Value>(i)) == text) return static_cast<Value>(i);
    }
    return std::nullopt;
}

/// How a recorded Condition, or a drug, stands on the day of the evaluation.
enum class State {
    active,
    remission,
    over,     ///< a Condition that is resolved or inactive: it may matter all the same
    stopped,  ///< a drug that is no longer given
    unstated,
};

/// One thing that a chart says about one fact: a result, a Condition, or a value computed from those.
struct Evidence {
    const FactDefinition* fact = nullptr;
    Basis basis = Basis::recorded;  ///< recorded or derived; otherwise why it decides nothing

    Interval value;                            ///< quantity, count, viralLoad: in the fact's unit
    std::optional<fhir::Rational> upperLimit;  ///< the upper limit of normal of this very result, in the fact's unit
    bool assumedLimit = false;
    std::optional<bool> positive;  ///< finding, viralLoad
    std::string_view coded;        ///< coded

    std::optional<fhir::DateTime> date;    ///< of a result: effective; of a Condition: onset, else recorded
    std::optional<fhir::DateTime> issued;  ///< when it was written down: issued, recordedDate, authored
    std::optional<fhir::DateTime> end;     ///< of a Condition that is over or a drug that is stopped, when dated
    bool stale = false;
    bool amended = false;        ///< status amended or corrected
    bool indeterminate = false;  ///< read, and neither positive nor negative: it competes with the other results

    bool isRecord = false;  ///< a Condition, a Procedure, a drug and the like, as opposed to a result
    State state = State::unstated;
    bool relapse = false;       ///< the record itself states a relapse
    bool history = false;       ///< says that it was so, never when
    bool refutes = false;       ///< states that the fact is not so
    bool review = false;        ///< by a code that is shown and never decides
    bool onsetDated = false;    ///< the date is an onset, not the day it was written down
    bool maybeTreated = false;  ///< a listed exception whose treatment nothing proves

    std::string_view code;             ///< of a drug: its ingredient where it is known
    std::optional<Interval> halfLife;  ///< of a drug, in days

    std::string_view resourceType;
    std::string_view id;
    std::size_t resourceIndex = 0;  ///< among the chart's resources of that type: tells apart those without an id
    std::string_view author;        ///< of an answer in a screening form: who gave it
    std::string_view method;        ///< a method name of the fact, when the result states one
    std::string valueText;          ///< the number as it is written, or as it was computed
    std::string highText;           ///< of a range, its high end
    std::string_view comparator;
    std::string_view unitText;
    std::string upperLimitText;    ///< in the unit of the result
    std::string_view display;      ///< of the code or answer
    std::string detail;            ///< for a person: what is lacking, or what it rests on
    std::vector<Evidence> inputs;  ///< of a derived value

    /// Whether a person answered it in a screening form; issued is then the time of the answer.
    bool isAnswer() const { return resourceType == "QuestionnaireResponse"; }

    std::string source() const;  ///< "Observation/bili-1"; "derived" when computed
};

/// Whether two things come from the same resource.
inline bool sameResource(const Evidence& a, const Evidence& b) {
    return a.resourceType == b.resourceType && a.resourceIndex == b.resourceIndex;
}

/// Everything that a chart says about one fact.
struct Fact {
    const FactDefinition* definition = nullptr;
    std::vector<Evidence> results;     ///< the newest usable result; several when they cannot be told apart in time
    std::vector<Evidence> byMethod;    ///< the same for every method that some result states
    std::vector<Evidence> conditions;  ///< Conditions, whatever their status, and what was done, given or taken
    std::vector<Evidence> positives;   ///< every usable positive result, dated
    std::vector<Evidence> shown;       ///< newer than the result that counts, and of no use: shown, never evaluated
    Basis absent = Basis::missing;     ///< what it means when nothing above says anything
    std::string detail;                ///< why nothing could be derived: "needs bodyWeight"

    /// Whether nothing is on file about it.
    bool isSilent() const {
        return results.empty() && byMethod.empty() && conditions.empty() && positives.empty() && shown.empty();
    }
};

/// What a person answered to a question of a trial file.
struct Answer {
    std::string linkId;                              ///< "NCT07117305/inc.01"
    std::string path;                                ///< of an item that answers it
    std::shared_ptr<const FactDefinition> question;  ///< what the evidence is about: no fact of the vocabulary
    std::vector<Evidence> evidence;                  ///< one, or those of the same time that disagree
};

/// The facts of one chart on one day, one for each definition of the vocabulary and in its order. Charts say nothing
/// about most of them: those are the same for every chart, and are kept with the vocabulary.
class Facts {
public:
    Facts() = default;  ///< of no vocabulary
    Facts(Facts&&) = default;
    Facts& operator=(Facts&&) = default;
    Facts(const Facts&) = delete;  // it would refer to the facts of the other
    Facts& operator=(const Facts&) = delete;
    /// Nothing is on file about any of them. The vocabulary must outlive the facts.
    explicit Facts(const Vocabulary& vocabulary);

    std::size_t size() const { return facts_.size(); }
    const Fact& operator[](std::size_t index) const { return *facts_[index]; }
    auto begin() const { return Iterator{facts_.data()}; }
    auto end() const { return Iterator{facts_.data() + facts_.size()}; }

    /// The fact as one of this chart's own, to be written to; a reference that was had before may be to another one.
    Fact& own(std::size_t index);
    bool isOwn(std::size_t index) const { return isOwn_[index]; }
    /// Those of this chart's own, in the order in which they became so.
    std::vector<Fact>& own() { return own_; }
    const std::vector<Fact>& own() const { return own_; }

    /// What it means when nothing is on file about a fact; the same as its own `absent`, of all facts side by side.
    Basis absent(std::size_t index) const { return static_cast<Basis>(absents_[index]); }
    void setAbsent(std::size_t index, Basis absent);
    /// The same for all of them at once.
    struct Silent {
        std::vector<const Fact*> facts;     ///< about which nothing is on file
        std::vector<std::uint8_t> absents;  ///< what that means, for each
        std::uint64_t number = 0;           ///< Vocabulary::silenceNumber, of what many charts have in common
    };
    void setAbsent(const Silent& silent);
    /// Vocabulary::silenceNumber, where many charts have this meaning of silence in common; 0 otherwise.
    std::uint64_t silence() const { return silence_; }
    /// The facts of a chart that says nothing at all, and whose silence means the same.
    Facts silent() const;

    /// Lets a fact that is none of this chart's own be one that is kept elsewhere, and outlives this or the next call
    /// for the same fact.
    void borrow(std::size_t index, const Fact& fact) { facts_[index] = &fact; }

    std::vector<fhir::Issue> issues;
    fhir::Date asOf;
    bool deceased = false;
    std::optional<FactSet> speaking;  ///< those about which something is on file, of use or not, when somebody looked
    /// What people answered in screening forms, one for each definition of the vocabulary; those without an answer have
    /// no definition. Empty when nobody answered. Kept apart: an answer never overrides what is recorded silently.
    std::vector<Fact> attested;
    std::vector<Answer> answers;  ///< to the questions of trial files, in the order of their linkId

    /// What people answered about one fact; nothing when nobody did.
    const Fact* attestation(std::size_t index) const {
        return index < attested.size() && attested[index].definition != nullptr ? &attested[index] : nullptr;
    }

private:
    struct Iterator {
        const Fact* const* at;
        const Fact& operator*() const { return **at; }
        Iterator& operator++() {
            ++at;
            return *this;
        }
        bool operator==(const Iterator&) const = default;
    };

    const Vocabulary* vocabulary_ = nullptr;
    std::vector<const Fact*> facts_;
    std::vector<std::uint8_t> absents_;
    std::uint64_t silence_ = 0;
    std::vector<Fact> own_;  ///< never has to grow
    FactSet isOwn_;
};

/// Reads every fact of the vocabulary from the chart, as of that day. What is dated later is not used.
///
/// Never fails: what cannot be used is evidence with its reason, and an issue with its path. The facts hold views into
/// the chart and the vocabulary.
Facts readFacts(const fhir::Chart& chart, const Vocabulary& vocabulary, fhir::Date asOf);

/// The resource types that would have to be read completely before silence about a fact says anything, and were not.
std::vector<std::string_view> uncoveredSources(const FactDefinition& fact, const fhir::Coverage& coverage);

/// The newest clinical date of the chart (effective, issued, onset, abatement, recorded), nothing when it holds none. A
/// year or month counts from its first day; what is refuted, in error, or dated after `notAfter` does not count.
std::optional<fhir::Date> latestDate(const fhir::Chart& chart, fhir::Date notAfter);

}  // namespace mapping
