#include "rules/judge.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "mapping/answer.h"

namespace rules {

using fhir::Date;
using fhir::DateTime;
using mapping::Basis;
using mapping::Evidence;
using mapping::Fact;
using mapping::FactDefinition;
using mapping::Interval;
using mapping::Kind;
using mapping::State;
using mapping::StatusPolicy;

namespace {

/// Whether something about the fact can decide today.
bool speaks(const Fact& fact) {
    const auto decides = [](const Evidence& evidence) { return mapping::isDecided(evidence.basis) && !evidence.stale; };
    return std::any_of(fact.results.begin(), fact.results.end(), decides) ||
           std::any_of(fact.conditions.begin(), fact.conditions.end(), decides);
}

/// What a person answered where anybody did, and what is recorded elsewhere. An answer that cannot decide does not
/// stand in the way of a record that can.
const Fact& factOf(std::size_t index, const mapping::Facts& facts, bool withAnswers) {
    const Fact* attested = withAnswers ? facts.attestation(index) : nullptr;
    return attested != nullptr && (speaks(*attested) || !speaks(facts[index])) ? *attested : facts[index];
}

/// What a person answered about a fact, when this is such a fact.
const Evidence* answerIn(const Fact& fact) {
    const std::vector<Evidence>& all = fact.conditions.empty() ? fact.results : fact.conditions;
    return !all.empty() && all.front().isAnswer() ? &all.front() : nullptr;
}

class Judge {
public:
    Judge(const Comparison& comparison, const Criterion& criterion, std::size_t criterionIndex,
          const mapping::Facts& facts, bool withAnswers)
        : comparison_(comparison),
          criterion_(criterion),
          criterionIndex_(criterionIndex),
          facts_(facts),
          withAnswers_(withAnswers),
          fact_(factOf(comparison.fact, facts, withAnswers)) {}

    Outcome judge() const {
        if (comparison_.after) return after();
        switch (comparison_.form) {
            case Comparison::Form::order:
                return results([&](const Evidence& evidence) { return order(evidence); });
            case Comparison::Form::membership:
                return results([&](const Evidence& evidence) { return membership(evidence); });
            case Comparison::Form::twice:
                return twice(nullptr);
            case Comparison::Form::yes:
                break;
        }
        return finding(fact_, comparison_.window);
    }

private:
    // --- outcomes --------------------------------------------------------------------------------------------------

    Outcome unknown(const Fact& fact, Basis basis) const {
        Outcome outcome;
        outcome.truth = Truth::Unknown;
        outcome.basis = basis;
        outcome.open.push_back({criterionIndex_, fact.definition, nullptr, basis});
        return outcome;
    }

    Outcome unknown(const Evidence& evidence, Basis basis) const {
        Outcome outcome = unknown(facts_[evidence.fact->index], basis);
        outcome.evidence.push_back(&evidence);
        outcome.recorded = true;
        return outcome;
    }

    static Outcome decided(Truth truth, const Evidence& evidence) {
        Outcome outcome;
        outcome.truth = truth;
        outcome.basis = evidence.basis;
        outcome.evidence.push_back(&evidence);
        outcome.recorded = truth == Truth::True;
        return outcome;
    }

    /// What it means that nothing is on file.
    Outcome silence(const Fact& fact) const {
        if (fact.absent == Basis::noneOnFile) {
            Outcome outcome;
            outcome.truth = Truth::False;
            outcome.basis = Basis::noneOnFile;
            return outcome;
        }
        return unknown(fact, fact.absent);
    }

    /// Whether an answer was given so long ago that it does not say what has been so since: longer than answers hold,
    /// or before all of the window that is asked about.
    bool isOld(const Evidence& answer, const std::optional<Window>& window) const {
        if (!answer.isAnswer()) return false;
        // A negative test says what was so on its own day.
        const bool isTest = !answer.isRecord && answer.positive == false;
        const std::optional<DateTime>& told = isTest ? answer.date : answer.issued;
        if (!told || (window && hasPassed(*window, told))) return true;
        return !isTest && told->firstDay() < facts_.asOf - answer.fact->freshFor.value_or(mapping::answersHoldFor);
    }

    /// Whether all of the window lies after what was said at that time.
    bool hasPassed(const Window& window, const std::optional<DateTime>& told) const {
        return !told || facts_.asOf > window.lastDayInside(told->firstDay());
    }

    /// What a person said that speaks against the fact, or does not count towards it: it is over, or an exception.
    Outcome toldAgainst(const Evidence& evidence, const std::optional<Window>& window) const {
        if (!mapping::isDecided(evidence.basis)) return unknown(evidence, evidence.basis);
        Outcome outcome = decided(Truth::False, evidence);
        return isOld(evidence, window) ? stale(evidence, outcome) : staleOr(evidence, std::move(outcome));
    }

    // --- results ---------------------------------------------------------------------------------------------------

    /// Judges the result that counts. Results that time does not tell apart must agree (ruling 10).
    template <typename Judgement>
    Outcome results(Judgement judgement) const {
        Cited chosen;
        if (comparison_.method.empty()) {
            for (const Evidence& evidence : fact_.results) chosen.push_back(&evidence);
        } else {
            for (const Evidence& evidence : fact_.byMethod) {
                if (evidence.method == comparison_.method) chosen.push_back(&evidence);
            }
            if (chosen.empty() && !fact_.results.empty()) {
                // Measured, but not in the way that is asked for: shown, and it does not decide.
                return unknown(fact_.results.front(), Basis::unconfirmed);
            }
        }
        if (chosen.empty()) {
            if (fact_.definition->kind == Kind::count && fact_.absent == Basis::noneOnFile) return zero();
            return silence(fact_);
        }
        if (chosen.size() == 1) return withShown(judgement(*chosen.front()));
        std::vector<Outcome> outcomes;
        for (const Evidence* evidence : chosen) outcomes.push_back(judgement(*evidence));
        return withShown(agreed(std::move(outcomes), fact_));
    }

    /// A newer result that could not be used stands beside the one that decides.
    Outcome withShown(Outcome outcome) const {
        for (const Evidence& shown : fact_.shown) outcome.evidence.push_back(&shown);
        return outcome;
    }

    /// Nothing on file, so the count is none.
    Outcome zero() const {
        Outcome outcome;
        outcome.truth = compare(Interval::point(0), comparison_.op, comparison_.value);
        outcome.basis = Basis::noneOnFile;
        return outcome;
    }

    Outcome agreed(std::vector<Outcome> outcomes, const Fact& fact) const {
        const bool agree = std::all_of(outcomes.begin(), outcomes.end(),
                                       [&](const Outcome& outcome) { return outcome.truth == outcomes.front().truth; });
        if (agree) return combine(outcomes, Rule::Kind::all);
        Outcome conflict = unknown(fact, Basis::conflicting);
        for (const Outcome& outcome : outcomes)
            conflict.evidence.insert(conflict.evidence.end(), outcome.evidence.begin(), outcome.evidence.end());
        conflict.recorded = true;
        return conflict;
    }

    Outcome order(const Evidence& evidence) const {
        if (!mapping::isDecided(evidence.basis)) return unknown(evidence, evidence.basis);
        Interval value = evidence.value;
        fhir::Rational bound = comparison_.value;
        Basis basis = evidence.basis;
        if (comparison_.timesUpperLimit) {
            const bool belowDetection = evidence.fact->kind == Kind::viralLoad &&
                                        (evidence.positive == false || evidence.comparator.starts_with('<'));
            if (belowDetection) {
                // Not detected, or below the limit of quantification, is not above any upper limit (rulings 9 and 25).
                value = Interval::atMost(1);
            } else if (!evidence.upperLimit || (!value.low && !value.high)) {
                return staleOr(evidence, unknown(evidence, Basis::noUpperLimit));
            } else {
                bound *= *evidence.upperLimit;
                if (evidence.assumedLimit) basis = Basis::assumed;
            }
        }
        const Truth truth = compare(value, comparison_.op, bound);
        Outcome outcome;
        if (truth == Truth::Unknown) {
            outcome = unknown(evidence, imprecise(*evidence.fact));
        } else {
            outcome = decided(truth, evidence);
            outcome.basis = basis;
        }
        return staleOr(evidence, std::move(outcome));
    }

    /// Why a value that is there does not settle a bound.
    static Basis imprecise(const FactDefinition& fact) {
        if (fact.kind == Kind::count) return Basis::asked;  // a lower bound: a person knows the rest (ruling 18)
        const bool isAge =
            fact.derivation == mapping::Derivation::age || fact.derivation == mapping::Derivation::ageInMonths;
        return isAge ? Basis::undated : Basis::unconfirmed;
    }

    Outcome staleOr(const Evidence& evidence, Outcome outcome) const {
        return evidence.stale ? stale(evidence, outcome) : outcome;
    }

    Outcome stale(const Evidence& evidence, const Outcome& outcome) const {
        Outcome stale = unknown(evidence, Basis::stale);
        if (outcome.truth != Truth::Unknown) stale.wouldBe = outcome.truth;
        return stale;
    }

    Outcome membership(const Evidence& evidence) const {
        if (!mapping::isDecided(evidence.basis)) return unknown(evidence, evidence.basis);
        const bool known = std::find(fact_.definition->values.begin(), fact_.definition->values.end(),
                                     evidence.coded) != fact_.definition->values.end();
        if (!known) return unknown(evidence, Basis::unconfirmed);
        const bool isMember = std::find(comparison_.members.begin(), comparison_.members.end(), evidence.coded) !=
                              comparison_.members.end();
        return staleOr(evidence, decided(isMember ? Truth::True : Truth::False, evidence));
    }

    // --- findings --------------------------------------------------------------------------------------------------

    /// Yes, no or unknown, from results and Conditions together.
    Outcome finding(const Fact& fact, const std::optional<Window>& window) const {
        std::vector<Outcome> byCondition;
        const Evidence* refuting = nullptr;
        for (const Evidence& condition : fact.conditions) {
            if (condition.refutes) {
                refuting = &condition;
                continue;
            }
            if (auto outcome = record(condition, window)) byCondition.push_back(std::move(*outcome));
        }
        std::vector<Outcome> byResult;
        for (const Evidence& result : fact.results) byResult.push_back(this->result(result, window));

        const bool anyCondition = !byCondition.empty();
        Outcome conditions;
        if (anyCondition) conditions = combine(byCondition, Rule::Kind::any);
        if (byResult.empty()) {
            if (anyCondition) return conditions;
            const Evidence* answer = answerIn(fact);
            if (refuting != nullptr || answer != nullptr)
                return toldAgainst(refuting != nullptr ? *refuting : *answer, window);
            Outcome nothing = silence(fact);
            // What is on file and does not count (outside the window, no longer active) is shown.
            for (const Evidence& condition : fact.conditions) nothing.evidence.push_back(&condition);
            return nothing;
        }
        Outcome results = agreed(std::move(byResult), fact);
        if (!anyCondition) return results;
        if (conditions.truth == Truth::True && results.truth == Truth::False) {
            // A confirmed diagnosis stands against a negative test where the vocabulary says so (ruling 5).
            if (fact.definition->diagnosisStands) return conditions;
            Outcome conflict = unknown(fact, Basis::conflicting);
            for (const Outcome* outcome : {&conditions, &results})
                conflict.evidence.insert(conflict.evidence.end(), outcome->evidence.begin(), outcome->evidence.end());
            conflict.recorded = true;
            return conflict;
        }
        // A test that was done and is recent outweighs a Condition that nobody can place.
        if (results.truth == Truth::False) return results;
        std::vector<Outcome> both;
        both.push_back(std::move(conditions));
        both.push_back(std::move(results));
        return combine(both, Rule::Kind::any);
    }

    Outcome result(const Evidence& result, const std::optional<Window>& window) const {
        if (!mapping::isDecided(result.basis)) return unknown(result, result.basis);
        if (!result.positive) return unknown(result, Basis::unconfirmed);
        Outcome outcome = decided(*result.positive ? Truth::True : Truth::False, result);
        if (window && !result.stale && !*result.positive) return toldAgainst(result, window);
        if (!window || result.stale) return staleOr(result, std::move(outcome));
        if (!result.date || result.history) return unknown(result, Basis::undated);
        if (auto inside = inWindow(result, *result.date, *window)) return std::move(*inside);
        return toldAgainst(result, window);
    }

    StatusPolicy policy(const FactDefinition& fact) const {
        if (fact.status == StatusPolicy::diagnosed || !criterion_.status) return fact.status;
        if (*criterion_.status == StatusPolicy::active && fact.event) return fact.status;
        return *criterion_.status;
    }

    /// What one Condition says; nothing when it does not count.
    std::optional<Outcome> record(const Evidence& condition, const std::optional<Window>& window) const {
        if (comparison_.except && condition.fact->index == comparison_.fact) {
            switch (isException(condition)) {
                case Truth::True:
                    return std::nullopt;
                case Truth::Unknown:
                    return exceptionUnproven(condition);
                case Truth::False:
                    break;
            }
        }
        if (condition.positive == false) return std::nullopt;
        if (condition.maybeTreated) return unknown(condition, Basis::asked);
        if (window) return recordInWindow(condition, *window);
        if (condition.basis == Basis::stale || condition.basis == Basis::undated)
            return unknown(condition, condition.basis);

        // A drug that is no longer given does not hold today.
        if (condition.state == State::stopped && policy(*condition.fact) != StatusPolicy::ever) return std::nullopt;
        bool counts = true;
        bool today = false;  // it must be so today
        switch (policy(*condition.fact)) {
            case StatusPolicy::ever:
                break;
            case StatusPolicy::diagnosed:
                counts = condition.state != State::over || condition.relapse;
                break;
            case StatusPolicy::plain:
                counts = condition.state == State::active;
                today = !condition.fact->event;
                break;
            case StatusPolicy::active:
                if (condition.state == State::over || condition.state == State::remission) return std::nullopt;
                counts = condition.state == State::active;
                today = !condition.fact->event;
                break;
        }
        if (!mapping::isDecided(condition.basis)) return unknown(condition, condition.basis);
        if (!counts) return unknown(condition, Basis::unconfirmed);
        Outcome outcome = decided(Truth::True, condition);
        return today && isOld(condition, {}) ? stale(condition, outcome) : outcome;
    }

    /// What a person said of the exception holds for what people said, and for every record that may be one.
    const Evidence* answeredException(const Evidence& condition) const {
        const Evidence* answer = answerIn(factOf(*comparison_.except, facts_, withAnswers_));
        if (answer == nullptr || condition.isAnswer()) return answer;
        const std::vector<Evidence>& recorded = facts_[*comparison_.except].conditions;
        const bool listed = std::any_of(recorded.begin(), recorded.end(),
                                        [&](const Evidence& other) { return mapping::sameResource(other, condition); });
        return listed ? answer : nullptr;
    }

    Truth isException(const Evidence& condition) const {
        if (const Evidence* answer = answeredException(condition)) {
            if (!mapping::isDecided(answer->basis) || answer->stale) return Truth::Unknown;
            return answer->positive == true ? Truth::True : Truth::False;
        }
        if (condition.isAnswer()) return Truth::Unknown;  // nobody said whether it is one of the exceptions
        Truth truth = Truth::False;
        for (const Evidence& other : facts_[*comparison_.except].conditions) {
            if (!mapping::sameResource(other, condition)) continue;
            const bool proven = mapping::isDecided(other.basis) && !other.maybeTreated;
            truth = kleeneOr(truth, proven ? Truth::True : Truth::Unknown);
        }
        return truth;
    }

    std::optional<Outcome> exceptionUnproven(const Evidence& condition) const {
        if (const Evidence* answer = answeredException(condition))
            return unknown(*answer, answer->stale ? Basis::stale : answer->basis);
        if (condition.isAnswer()) {
            Outcome outcome = unknown(facts_[*comparison_.except], Basis::asked);
            outcome.evidence.push_back(&condition);
            return outcome;
        }
        for (const Evidence& other : facts_[*comparison_.except].conditions) {
            if (!mapping::sameResource(other, condition)) continue;
            Outcome outcome = unknown(other, other.maybeTreated ? Basis::asked : other.basis);
            return outcome;
        }
        return std::nullopt;
    }

    // --- windows ---------------------------------------------------------------------------------------------------

    /// Where a moment lies; nothing when outside.
    std::optional<Outcome> inWindow(const Evidence& evidence, const DateTime& date, const Window& window) const {
        const bool surelyInside = facts_.asOf <= window.lastDayInside(date.firstDay());
        const bool surelyOutside = facts_.asOf > window.lastDayInside(date.lastDay());
        if (surelyOutside) return std::nullopt;
        const Truth washedOut = halfLivesPassed(evidence, date, window);
        if (washedOut == Truth::True) return std::nullopt;
        if (!mapping::isDecided(evidence.basis)) return unknown(evidence, evidence.basis);
        if (!surelyInside) return unknown(evidence, Basis::undated);
        if (washedOut == Truth::Unknown) return unknown(evidence, Basis::asked);
        return inside(evidence, window, firstDayOutside(evidence, date, window));
    }

    /// Whether so many half-lives of the drug have passed; false where the window names none.
    Truth halfLivesPassed(const Evidence& evidence, const DateTime& date, const Window& window) const {
        if (window.halfLives == 0) return Truth::False;
        if (!evidence.halfLife) return Truth::Unknown;
        const fhir::Rational least = facts_.asOf - date.lastDay();
        const fhir::Rational most = facts_.asOf - date.firstDay();
        if (least >= window.halfLives * *evidence.halfLife->high) return Truth::True;
        return most < window.halfLives * *evidence.halfLife->low ? Truth::False : Truth::Unknown;
    }

    static Date firstDayOutside(const Evidence& evidence, const DateTime& date, const Window& window) {
        const Date byDays = window.lastDayInside(date.lastDay()) + 1;
        if (window.halfLives == 0 || !evidence.halfLife) return byDays;
        Date byHalfLives = date.lastDay();
        while (byHalfLives < byDays &&
               fhir::Rational(byHalfLives - date.lastDay()) < window.halfLives * *evidence.halfLife->high)
            byHalfLives = byHalfLives + 1;
        return byHalfLives;
    }

    Outcome inside(const Evidence& evidence, const Window& window, std::optional<Date> clearsOn) const {
        Outcome outcome = decided(Truth::True, evidence);
        outcome.clearsOn = clearsOn;
        if (window.anchor == Anchor::screening) return outcome;
        // The anchor lies ahead: waiting clears an exclusion, and what must hold then cannot be known today (ruling
        // 11).
        outcome.truth = Truth::Unknown;
        outcome.basis = criterion_.inclusion ? Basis::asked : Basis::washOut;
        if (criterion_.inclusion) {
            outcome.clearsOn.reset();
            outcome.open.push_back({criterionIndex_, evidence.fact, nullptr, Basis::asked});
        }
        return outcome;
    }

    /// Events lie in a window by their date, states by the time they last.
    std::optional<Outcome> recordInWindow(const Evidence& condition, const Window& window) const {
        if (condition.fact->event) {
            if (condition.history || !condition.date) return unknown(condition, Basis::undated);
            return inWindow(condition, *condition.date, window);
        }
        if (condition.state == State::active) {
            if (!condition.date && !condition.end) return unknown(condition, Basis::undated);
            if (!mapping::isDecided(condition.basis)) return unknown(condition, condition.basis);
            // Somebody said that it lasts: it did on that day, whether it still does is another question.
            if (condition.isAnswer() && hasPassed(window, condition.issued))
                return stale(condition, decided(Truth::True, condition));
            return inside(condition, window, std::nullopt);
        }
        if (condition.end) return inWindow(condition, *condition.end, window);
        // Its end is not known: it lies between the onset and today.
        if (!condition.date || condition.history) return unknown(condition, Basis::undated);
        if (facts_.asOf <= window.lastDayInside(condition.date->firstDay())) {
            if (!mapping::isDecided(condition.basis)) return unknown(condition, condition.basis);
            return inside(condition, window, std::nullopt);
        }
        return unknown(condition, Basis::undated);
    }

    // --- two dated facts -------------------------------------------------------------------------------------------

    /// Everything dated or not that says yes, or, for a quantity, the result that counts.
    std::vector<const Evidence*> affirming(const Fact& fact) const {
        std::vector<const Evidence*> result;
        const bool isNumber = fact.definition->kind == Kind::quantity;
        for (const Evidence& evidence : fact.results) {
            if (mapping::isDecided(evidence.basis) && (isNumber || (evidence.positive == true && !evidence.stale)))
                result.push_back(&evidence);
        }
        for (const Evidence& condition : fact.conditions) {
            if (mapping::isDecided(condition.basis) && !condition.refutes && condition.positive == true)
                result.push_back(&condition);
        }
        return result;
    }

    Outcome exists(const Fact& fact) const {
        if (fact.definition->kind != Kind::quantity) return finding(fact, std::nullopt);
        if (fact.results.empty()) return silence(fact);
        const Evidence& evidence = fact.results.front();
        if (!mapping::isDecided(evidence.basis)) return unknown(evidence, evidence.basis);
        return staleOr(evidence, decided(Truth::True, evidence));
    }

    Outcome after() const {
        const Fact& earlier = factOf(*comparison_.after, facts_, withAnswers_);
        Outcome first = exists(earlier);
        if (comparison_.form == Comparison::Form::twice) {
            if (first.truth == Truth::False) return first;
            return twice(&earlier);
        }
        Outcome second = exists(fact_);
        if (second.truth == Truth::False || first.truth == Truth::False || second.truth == Truth::Unknown ||
            first.truth == Truth::Unknown) {
            std::vector<Outcome> both;
            both.push_back(std::move(second));
            both.push_back(std::move(first));
            return combine(both, Rule::Kind::all);
        }
        // If any pair is in order, the latest of the one and the earliest of the other are.
        bool undated = false;
        const Evidence* latest = nullptr;
        const Evidence* earliest = nullptr;
        std::int64_t lastEnd = std::numeric_limits<std::int64_t>::min();
        std::int64_t firstStart = std::numeric_limits<std::int64_t>::max();
        for (const Evidence* later : affirming(fact_)) {
            if (!later->date || later->history) {
                undated = true;
                continue;
            }
            if (latest == nullptr || later->date->first > latest->date->first) latest = later;
            lastEnd = std::max(lastEnd, later->date->last);
        }
        for (const Evidence* before : affirming(earlier)) {
            if (!before->date || before->history) {
                undated = true;
                continue;
            }
            if (earliest == nullptr || before->date->last < earliest->date->last) earliest = before;
            firstStart = std::min(firstStart, before->date->first);
        }
        if (latest != nullptr && earliest != nullptr) {
            if (latest->date->first > earliest->date->last) {
                Outcome outcome = decided(Truth::True, *latest);
                outcome.basis = std::max(latest->basis, earliest->basis);
                outcome.evidence.push_back(earliest);
                return outcome;
            }
            undated = undated || lastEnd > firstStart;
        }
        // What is on file came before; whether more came after, nobody wrote down.
        if (!undated && latest != nullptr && earliest != nullptr && answerIn(fact_) != nullptr &&
            answerIn(earlier) != nullptr) {
            // The form asks for every day, so that nothing came after.
            Outcome outcome = toldAgainst(*latest, {});
            outcome.evidence.push_back(earliest);
            return outcome;
        }
        Basis basis = undated ? Basis::undated : Basis::missing;
        if (!undated && fact_.definition->kind != Kind::quantity) basis = Basis::asked;
        Outcome outcome = unknown(fact_, basis);
        outcome.evidence = second.evidence;
        outcome.recorded = true;
        return outcome;
    }

    Outcome twice(const Fact* earlier) const {
        const Evidence* answer = answerIn(fact_);
        if (answer != nullptr && answer->positive == false) return toldAgainst(*answer, {});
        if (answer != nullptr && fact_.positives.empty())
            return unknown(*answer, mapping::isDecided(answer->basis) ? Basis::undated : answer->basis);
        if (fact_.positives.empty()) return silence(fact_);
        std::optional<DateTime> since;
        if (earlier != nullptr) {
            for (const Evidence* evidence : affirming(*earlier)) {
                if (evidence->date && !evidence->history && (!since || evidence->date->last < since->last))
                    since = evidence->date;
            }
            if (!since) return unknown(fact_.positives.front(), Basis::undated);
        }
        for (const Evidence& one : fact_.positives) {
            for (const Evidence& other : fact_.positives) {
                if (!one.date || !other.date) continue;
                if (since && one.date->first <= since->last) continue;
                if (other.date->firstDay() - one.date->lastDay() < comparison_.daysApart) continue;
                Outcome outcome = decided(Truth::True, one);
                outcome.evidence.push_back(&other);
                return outcome;
            }
        }
        // The form asks for every day, so that there were no two.
        if (answer != nullptr && (earlier == nullptr || answerIn(*earlier) != nullptr)) return toldAgainst(*answer, {});
        return unknown(fact_.positives.front(), Basis::asked);
    }

    const Comparison& comparison_;
    const Criterion& criterion_;
    std::size_t criterionIndex_;
    const mapping::Facts& facts_;
    bool withAnswers_;  ///< what people answered in screening forms stands in for what is recorded
    const Fact& fact_;
};

// --- what is recorded and what is attested -------------------------------------------------------------------------

void citeToo(const Outcome& other, Outcome& outcome) {
    for (const Evidence* evidence : other.evidence) {
        if (std::find(outcome.evidence.begin(), outcome.evidence.end(), evidence) == outcome.evidence.end())
            outcome.evidence.push_back(evidence);
    }
}

Outcome contradiction(const Outcome& recorded, const Outcome& attested, const FactDefinition& fact,
                      std::size_t criterion) {
    Outcome outcome;
    outcome.basis = Basis::conflicting;
    outcome.evidence = recorded.evidence;
    citeToo(attested, outcome);
    outcome.open.push_back({criterion, &fact, nullptr, Basis::conflicting});
    outcome.recorded = true;
    return outcome;
}

/// Whether an answer cannot be true beside a record that does not decide by itself: a number below a lower bound, or no
/// negative test where one is on file.
bool contradicts(const Comparison& comparison, const Outcome& recorded, const Outcome& attested,
                 const mapping::Facts& facts) {
    const Fact* answered = facts.attestation(comparison.fact);
    if (answered == nullptr) return false;
    if (comparison.window && recorded.basis == Basis::asked && !recorded.evidence.empty())
        return attested.truth == Truth::False && mapping::isDecided(recorded.evidence.front()->basis) &&
               recorded.evidence.front()->positive == true && !recorded.evidence.front()->isRecord;
    if (comparison.form != Comparison::Form::order) return false;
    const auto apart = [](const Evidence& a, const Evidence& b) {
        if (!a.value.high || !b.value.low) return false;
        return *a.value.high < *b.value.low || (*a.value.high == *b.value.low && (a.value.highOpen || b.value.lowOpen));
    };
    for (const Evidence& record : facts[comparison.fact].results) {
        if (!mapping::isDecided(record.basis) || record.stale) continue;
        for (const Evidence& answer : answered->results) {
            if (apart(record, answer) || apart(answer, record)) return true;
        }
    }
    return false;
}

/// Whether something recorded after the answer speaks for the fact and does not decide: a "no" knew nothing of it.
bool isOvertaken(const Outcome& recorded, const Outcome& attested) {
    std::optional<Date> said;
    for (const Evidence* answer : attested.evidence) {
        if (answer->isAnswer() && answer->issued) said = std::max(said, std::optional(answer->issued->lastDay()));
    }
    return said && std::any_of(recorded.evidence.begin(), recorded.evidence.end(), [&](const Evidence* record) {
               const bool speaksFor = record->isRecord ? !record->refutes : record->positive != false;
               const auto isLater = [&](const std::optional<DateTime>& date) {
                   return date && date->firstDay() > *said;
               };
               return speaksFor && (isLater(record->date) || isLater(record->issued));
           });
}

/// An answer decides where what is recorded does not; it never overrides a record silently.
Outcome settle(Outcome recorded, Outcome attested, const Comparison& comparison, std::size_t criterion,
               const mapping::Facts& facts) {
    // Waiting for a window to pass is a verdict of its own.
    const auto isVerdict = [](const Outcome& outcome) {
        return outcome.truth != Truth::Unknown || outcome.basis == Basis::washOut;
    };
    const FactDefinition& fact = *facts[comparison.fact].definition;
    if (recorded.basis == Basis::conflicting) {
        citeToo(attested, recorded);
        return recorded;
    }
    if (isVerdict(recorded) && recorded.basis != Basis::noneOnFile) {
        const bool same = recorded.truth == attested.truth &&
                          (recorded.basis == Basis::washOut) == (attested.basis == Basis::washOut);
        if (!isVerdict(attested) || same) return recorded;
        return contradiction(recorded, attested, fact, criterion);
    }
    if (isVerdict(attested)) {
        if (contradicts(comparison, recorded, attested, facts))
            return contradiction(recorded, attested, fact, criterion);
        const bool ofNumbers = comparison.form == Comparison::Form::order;
        if (!ofNumbers && attested.truth == Truth::False && recorded.recorded && isOvertaken(recorded, attested)) {
            citeToo(attested, recorded);
            return recorded;
        }
        citeToo(recorded, attested);
        return attested;
    }
    if (recorded.basis == Basis::noneOnFile) return attested.wouldBe == recorded.truth ? recorded : attested;
    if (attested.basis == Basis::conflicting || (recorded.basis != Basis::asked && recorded.evidence.empty()))
        return attested;
    citeToo(attested, recorded);
    if (!recorded.wouldBe) recorded.wouldBe = attested.wouldBe;
    return recorded;
}

}  // namespace

Outcome judge(const Comparison& comparison, const Criterion& criterion, std::size_t criterionIndex,
              const mapping::Facts& facts) {
    Outcome recorded = Judge(comparison, criterion, criterionIndex, facts, false).judge();
    const auto answered = [&](std::optional<std::size_t> fact) { return fact && facts.attestation(*fact) != nullptr; };
    if (!answered(comparison.fact) && !answered(comparison.except) && !answered(comparison.after)) return recorded;
    Outcome attested = Judge(comparison, criterion, criterionIndex, facts, true).judge();
    return settle(std::move(recorded), std::move(attested), comparison, criterionIndex, facts);
}

}  // namespace rules
