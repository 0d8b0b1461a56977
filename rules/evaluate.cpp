#include "rules/evaluate.h"

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <utility>

#include "rules/judge.h"
#include "rules/silence.h"

namespace rules {

using mapping::Basis;

std::string_view word(Status status) {
    static constexpr std::array<std::string_view, 3> words{"ineligible", "potential-candidate", "candidate"};
    return words[static_cast<std::size_t>(status)];
}

namespace {

class Evaluator {
public:
    Evaluator(const Trial& trial, const mapping::Facts& facts)
        : trial_(trial),
          facts_(facts),
          // What people answered is no silence.
          silences_(facts.answers.empty() && facts.attested.empty() ? trial.silences.get() : nullptr),
          outcomes_(trial.criteria.size()) {
        own_.reserve(trial.criteria.size());  // what is referred to stays where it is
    }

    Evaluation evaluate() {
        Evaluation evaluation;
        evaluation.trial = &trial_;
        if (silences_ != nullptr && facts_.silence() != 0) row_ = row();
        evaluation.row = row_;
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) outcomeOf(i);

        bool onlyQuestions = true;
        std::vector<const Open*> open;
        open.reserve(2 * trial_.criteria.size());
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) {
            const Criterion& criterion = trial_.criteria[i];
            if (!criterion.required) continue;
            const Outcome& outcome = *outcomes_[i].outcome;
            if (outcome.truth == Truth::Unknown) {
                onlyQuestions = onlyQuestions && outcome.basis == Basis::asked;
                for (const Open& item : outcome.open) open.push_back(&item);
            } else if ((outcome.truth == Truth::True) != criterion.inclusion) {
                evaluation.failed.push_back(i);
            }
        }
        evaluation.status = !evaluation.failed.empty() ? Status::ineligible
                            : onlyQuestions            ? Status::candidate
                                                       : Status::potentialCandidate;
        rankOpen(open, evaluation);
        evaluation.gate = std::any_of(trial_.gate.begin(), trial_.gate.end(), [&](std::size_t index) {
            const Outcome& outcome = *outcomes_[index].outcome;
            return outcome.truth == Truth::True || (outcome.truth == Truth::Unknown && outcome.recorded);
        });
        evaluation.findings.reserve(trial_.criteria.size());
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i)
            evaluation.findings.push_back({&trial_.criteria[i], *outcomes_[i].outcome, outcomes_[i].silence});
        evaluation.outcomes = std::move(own_);
        return evaluation;
    }

    Outcome outcomeOf(const Rule& rule, std::size_t criterion) {
        switch (rule.kind) {
            case Rule::Kind::comparison:
                return judge(rule.comparison, trial_.criteria[criterion], criterion, facts_);
            case Rule::Kind::reference:
                return outcomeOf(rule.target);
            case Rule::Kind::negation:
                return negate(outcomeOf(rule.rules.front(), criterion));
            case Rule::Kind::ask:
                return answerTo(rule, criterion);
            case Rule::Kind::all:
            case Rule::Kind::any:
                break;
        }
        if (rule.rules.size() == 1) return outcomeOf(rule.rules.front(), criterion);
        // Criteria that are referred to are known already and not copied.
        boost::container::small_vector<Outcome, 4> own;
        boost::container::small_vector<const Outcome*, 16> parts;
        own.reserve(rule.rules.size());
        parts.reserve(rule.rules.size());
        bool citeAll = true;  // inside a criterion; a group would only repeat what its parts cite
        for (const Rule& part : rule.rules) {
            if (part.kind == Rule::Kind::reference) {
                citeAll = false;
                parts.push_back(&outcomeOf(part.target));
            } else {
                parts.push_back(&own.emplace_back(outcomeOf(part, criterion)));
            }
        }
        return combine({parts.data(), parts.size()}, rule.kind, citeAll);
    }

private:
    /// What a person answered in a screening form; an answer that cannot be used leaves the question open.
    Outcome answerTo(const Rule& rule, std::size_t criterion) const {
        Outcome outcome;
        outcome.basis = Basis::asked;
        const auto found = std::find_if(facts_.answers.begin(), facts_.answers.end(),
                                        [&](const mapping::Answer& answer) { return answer.linkId == rule.linkId; });
        if (found != facts_.answers.end()) {
            for (const mapping::Evidence& evidence : found->evidence) outcome.evidence.push_back(&evidence);
            const mapping::Evidence& answer = found->evidence.front();
            const Truth truth = answer.positive == true ? Truth::True : Truth::False;
            if (mapping::isDecided(answer.basis) && !answer.stale) {
                outcome.truth = truth;
                outcome.basis = answer.basis;
                return outcome;
            }
            if (answer.basis == Basis::conflicting) outcome.basis = Basis::conflicting;
            if (answer.stale) outcome.wouldBe = truth;
        }
        outcome.open.push_back({criterion, nullptr, &rule, outcome.basis});
        return outcome;
    }

    /// What charts that say nothing come to, as this one does where it says nothing: found out by the first.
    const SilenceRow* row() const {
        if (const SilenceRow* known = silences_->row(facts_.silence())) return known;
        if (!silences_->hasRoomForRows()) return nullptr;
        const mapping::Facts silent = facts_.silent();
        Evaluator evaluator(trial_, silent);
        std::vector<const Silence*> silences;
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) {
            evaluator.outcomeOf(i);
            silences.push_back(evaluator.outcomes_[i].silence);
        }
        return silences_->keepRow(facts_.silence(), std::move(silences));
    }

    const Outcome& outcomeOf(std::size_t index) {
        Known& known = outcomes_[index];
        if (known.outcome != nullptr) return *known.outcome;
        const bool isSilent = silences_ != nullptr && !silences_->speaks(index, facts_);
        if (isSilent && row_ != nullptr) known.silence = row_->of(index);
        if (isSilent && known.silence == nullptr) known.silence = silences_->find(index, facts_);
        if (known.silence == nullptr) {
            Outcome outcome = outcomeOf(trial_.criteria[index].when, index);
            if (isSilent) known.silence = silences_->keep(index, facts_, outcome);
            if (known.silence == nullptr) return *(known.outcome = &own_.emplace_back(std::move(outcome)));
        }
        return *(known.outcome = &known.silence->outcome());
    }

    /// Which facts most open criteria wait for, and which criteria wait for an answer.
    static void rankOpen(const std::vector<const Open*>& open, Evaluation& evaluation) {
        struct Waiting {
            const mapping::FactDefinition* fact;
            boost::container::small_vector<std::size_t, 8> criteria;
        };
        std::vector<Waiting> waiting;
        waiting.reserve(open.size());
        std::array<std::uint16_t, mapping::mostFacts> places{};  // among those, from 1, by the index of the fact
        const auto addOnce = [](auto& list, std::size_t criterion) {
            if (std::find(list.begin(), list.end(), criterion) == list.end()) list.push_back(criterion);
        };
        for (const Open* item : open) {
            if (!item->question().empty()) {
                addOnce(evaluation.asks, item->criterion);
                continue;
            }
            std::uint16_t& place = places[item->fact->index];
            if (place == 0) {
                waiting.emplace_back().fact = item->fact;
                place = static_cast<std::uint16_t>(waiting.size());
            }
            addOnce(waiting[place - 1U].criteria, item->criterion);
        }
        evaluation.missing.reserve(waiting.size());
        for (const Waiting& entry : waiting) evaluation.missing.push_back({entry.fact, entry.criteria.size()});
        std::stable_sort(evaluation.missing.begin(), evaluation.missing.end(),
                         [](const Missing& a, const Missing& b) { return a.criteria > b.criteria; });
        std::sort(evaluation.asks.begin(), evaluation.asks.end());
    }

    const Trial& trial_;
    const mapping::Facts& facts_;
    const Silences* silences_;
    const SilenceRow* row_ = nullptr;
    struct Known {
        const Outcome* outcome = nullptr;
        const Silence* silence = nullptr;
    };
    std::vector<Known> outcomes_;  ///< of the criteria
    std::vector<Outcome> own_;     ///< those of them that this chart is judged for
};

}  // namespace

Evaluation evaluate(const Trial& trial, const mapping::Facts& facts) {
    return Evaluator(trial, facts).evaluate();
}

Outcome evaluateRule(const Trial& trial, std::size_t criterion, const Rule& rule, const mapping::Facts& facts) {
    return Evaluator(trial, facts).outcomeOf(rule, criterion);
}

}  // namespace rules
