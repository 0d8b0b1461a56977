#include "rules/silence.h"

#include <algorithm>

#include "rules/trial.h"

namespace rules {

Silences::Silences(const Trial& trial) : criteria_(std::make_unique<Criterion[]>(trial.criteria.size())) {
    for (std::size_t i = 0; i < trial.criteria.size(); ++i) {
        Criterion& criterion = criteria_[i];
        criterion.facts = factsOf(trial.criteria[i].when, trial);
        for (const std::size_t fact : criterion.facts) criterion.set.set(fact);
    }
}

bool Silences::speaks(std::size_t criterion, const mapping::Facts& facts) const {
    return facts.size() == 0 || !facts.speaking || (criteria_[criterion].set & *facts.speaking).any();
}

const Silence* Silences::find(const Silence* first, const Criterion& criterion, const mapping::Facts& facts) {
    const mapping::FactDefinition* const vocabulary = facts[0].definition;
    for (const Silence* silence = first; silence != nullptr; silence = silence->next_) {
        if (silence->vocabulary_ == vocabulary &&
            std::equal(criterion.facts.begin(), criterion.facts.end(), silence->absent_.begin(),
                       [&](std::size_t fact, mapping::Basis absent) { return facts.absent(fact) == absent; }))
            return silence;
    }
    return nullptr;
}

const Silence* Silences::find(std::size_t criterion, const mapping::Facts& facts) const {
    const Criterion& own = criteria_[criterion];
    return find(own.first.load(std::memory_order_acquire), own, facts);
}

const Silence* Silences::keep(std::size_t criterion, const mapping::Facts& facts, const Outcome& outcome) const {
    constexpr std::size_t most = 16;
    const std::lock_guard lock(mutex_);
    Criterion& own = criteria_[criterion];
    const Silence* const first = own.first.load(std::memory_order_relaxed);
    if (const Silence* known = find(first, own, facts)) return known;
    if (own.count == most) return nullptr;
    std::vector<mapping::Basis> absent;
    for (const std::size_t fact : own.facts) absent.push_back(facts.absent(fact));
    const Silence* const silence =
        kept_.emplace_back(std::make_unique<Silence>(facts[0].definition, std::move(absent), outcome, first)).get();
    ++own.count;
    own.first.store(silence, std::memory_order_release);
    return silence;
}

const SilenceRow* Silences::row(std::uint64_t number) const {
    for (const std::atomic<const SilenceRow*>& each : rows_) {
        const SilenceRow* const row = each.load(std::memory_order_acquire);
        if (row == nullptr || row->number_ == number) return row;
    }
    return nullptr;
}

const SilenceRow* Silences::keepRow(std::uint64_t number, std::vector<const Silence*> silences) const {
    const std::lock_guard lock(mutex_);
    if (const SilenceRow* known = row(number)) return known;
    if (keptRows_.size() == mostRows) return nullptr;
    std::atomic<const SilenceRow*>& place = rows_[keptRows_.size()];
    const SilenceRow* const kept = &keptRows_.emplace_back(number, std::move(silences));
    place.store(kept, std::memory_order_release);
    return kept;
}

}  // namespace rules
