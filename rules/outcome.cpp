#include "rules/outcome.h"

#include <algorithm>

namespace rules {

using mapping::Basis;

std::string_view Open::question() const {
    if (ask != nullptr) return ask->question;
    if (basis == Basis::asked && fact != nullptr) return fact->question;
    return {};
}

namespace {

/// When a whole that rests on windows no longer holds: "or" when its last part ends, "and" when its first does. A part
/// without an end keeps an "or" for ever.
std::optional<fhir::Date> clearing(std::span<const Outcome* const> parts, const Outcome& whole, bool all) {
    std::optional<fhir::Date> clears;
    for (const Outcome* part : parts) {
        if (part->truth != whole.truth) continue;
        if (whole.basis == Basis::washOut && part->basis != Basis::washOut) continue;
        if (!part->clearsOn) {
            if (!all) return std::nullopt;
            continue;
        }
        if (!clears) {
            clears = part->clearsOn;
        } else {
            clears = all ? std::min(*clears, *part->clearsOn) : std::max(*clears, *part->clearsOn);
        }
    }
    return clears;
}

/// More than anybody reads, and enough that what decides is among them.
constexpr std::size_t mostCited = 200;

void cite(const Cited& from, Cited& to) {
    for (const mapping::Evidence* evidence : from) {
        if (to.size() >= mostCited) return;
        if (std::find(to.begin(), to.end(), evidence) == to.end()) to.push_back(evidence);
    }
}

}  // namespace

Outcome combine(std::span<const Outcome* const> parts, Rule::Kind kind, bool citeAll) {
    if (parts.size() == 1) return *parts.front();
    const bool all = kind == Rule::Kind::all;
    Outcome whole;
    whole.truth = all ? Truth::True : Truth::False;
    for (const Outcome* part : parts) {
        whole.truth = all ? kleeneAnd(whole.truth, part->truth) : kleeneOr(whole.truth, part->truth);
        whole.recorded = whole.recorded || part->recorded;
    }
    whole.basis = Basis::recorded;
    std::size_t deciding = 0;
    for (const Outcome* part : parts) {
        if (part->truth != whole.truth) continue;
        whole.wouldBe = ++deciding == 1 ? part->wouldBe : std::nullopt;
        whole.basis = std::max(whole.basis, part->basis);
        cite(part->evidence, whole.evidence);
        whole.open.insert(whole.open.end(), part->open.begin(), part->open.end());
    }
    if (citeAll && whole.truth == Truth::Unknown) {
        for (const Outcome* part : parts) {
            if (part->truth != Truth::Unknown) cite(part->evidence, whole.evidence);
        }
    }
    whole.clearsOn = clearing(parts, whole, all);
    return whole;
}

Outcome combine(const std::vector<Outcome>& parts, Rule::Kind kind) {
    std::vector<const Outcome*> pointers;
    for (const Outcome& part : parts) pointers.push_back(&part);
    return combine(pointers, kind);
}

Outcome negate(Outcome outcome) {
    outcome.truth = kleeneNot(outcome.truth);
    if (outcome.wouldBe) outcome.wouldBe = kleeneNot(*outcome.wouldBe);
    outcome.recorded = false;
    return outcome;
}

}  // namespace rules
