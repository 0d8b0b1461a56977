#include "rules/judge.h"

#include <algorithm>
#include <cstdint>
#include <limits>

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

class Judge {
public:
    Judge(const Comparison& comparison, const Criterion& criterion, std::size_t criterionIndex,
          const mapping::Facts& facts)
        : comparison_(comparison),
          criterion_(criterion),
          criterionIndex_(criterionIndex),
          facts_(facts),
          fact_(facts[comparison.fact]) {}

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

    // --- results ---------------------------------------------------------------------------------------------------

    /// Judges the result that counts. Results that time does not tell apart must agree (ruling 10).
    template <typename Judgement>
    Outcome results(Judgement judgement) const {
        std::vector<const Evidence*> chosen;
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
        if (!evidence.stale) return outcome;
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
            if (refuting != nullptr) return decided(Truth::False, *refuting);
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
        if (!window || result.stale || !*result.positive) return staleOr(result, std::move(outcome));
        if (!result.date) return unknown(result, Basis::undated);
        return inWindow(result, *result.date, *window).value_or(decided(Truth::False, result));
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
        switch (policy(*condition.fact)) {
            case StatusPolicy::ever:
                break;
            case StatusPolicy::diagnosed:
                counts = condition.state != State::over || condition.relapse;
                break;
            case StatusPolicy::plain:
                counts = condition.state == State::active;
                break;
            case StatusPolicy::active:
                if (condition.state == State::over || condition.state == State::remission) return std::nullopt;
                counts = condition.state == State::active;
                break;
        }
        if (!mapping::isDecided(condition.basis)) return unknown(condition, condition.basis);
        if (!counts) return unknown(condition, Basis::unconfirmed);
        return decided(Truth::True, condition);
    }

    Truth isException(const Evidence& condition) const {
        Truth truth = Truth::False;
        for (const Evidence& other : facts_[*comparison_.except].conditions) {
            if (!mapping::sameResource(other, condition)) continue;
            const bool proven = mapping::isDecided(other.basis) && !other.maybeTreated;
            truth = kleeneOr(truth, proven ? Truth::True : Truth::Unknown);
        }
        return truth;
    }

    std::optional<Outcome> exceptionUnproven(const Evidence& condition) const {
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
        const Fact& earlier = facts_[*comparison_.after];
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
        Basis basis = undated ? Basis::undated : Basis::missing;
        if (!undated && fact_.definition->kind != Kind::quantity) basis = Basis::asked;
        Outcome outcome = unknown(fact_, basis);
        outcome.evidence = second.evidence;
        outcome.recorded = true;
        return outcome;
    }

    Outcome twice(const Fact* earlier) const {
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
        return unknown(fact_.positives.front(), Basis::asked);
    }

    const Comparison& comparison_;
    const Criterion& criterion_;
    std::size_t criterionIndex_;
    const mapping::Facts& facts_;
    const Fact& fact_;
};

}  // namespace

Outcome judge(const Comparison& comparison, const Criterion& criterion, std::size_t criterionIndex,
              const mapping::Facts& facts) {
    return Judge(comparison, criterion, criterionIndex, facts).judge();
}

}  // namespace rules
