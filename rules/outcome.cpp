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
std::optional<fhir::Date> clearing(const std::vector<Outcome>& deciding, bool all, Basis basis) {
    std::optional<fhir::Date> clears;
    for (const Outcome& part : deciding) {
        const bool counts = basis != Basis::washOut || part.basis == Basis::washOut;
        if (!counts) continue;
        if (!part.clearsOn) {
            if (!all) return std::nullopt;
            continue;
        }
        if (!clears) {
            clears = part.clearsOn;
        } else {
            clears = all ? std::min(*clears, *part.clearsOn) : std::max(*clears, *part.clearsOn);
        }
    }
    return clears;
}

void cite(const std::vector<const mapping::Evidence*>& from, std::vector<const mapping::Evidence*>& to) {
    for (const mapping::Evidence* evidence : from) {
        if (std::find(to.begin(), to.end(), evidence) == to.end()) to.push_back(evidence);
    }
}

}  // namespace

Outcome combine(std::vector<Outcome> parts, Rule::Kind kind, bool citeAll) {
    if (parts.size() == 1) return std::move(parts.front());
    const bool all = kind == Rule::Kind::all;
    Outcome whole;
    whole.truth = all ? Truth::True : Truth::False;
    for (const Outcome& part : parts) {
        whole.truth = all ? kleeneAnd(whole.truth, part.truth) : kleeneOr(whole.truth, part.truth);
        whole.recorded = whole.recorded || part.recorded;
    }
    std::vector<const mapping::Evidence*> context;
    if (citeAll && whole.truth == Truth::Unknown) {
        for (const Outcome& part : parts) {
            if (part.truth != Truth::Unknown) context.insert(context.end(), part.evidence.begin(), part.evidence.end());
        }
    }
    std::erase_if(parts, [&](const Outcome& part) { return part.truth != whole.truth; });

    whole.basis = Basis::recorded;
    for (Outcome& part : parts) {
        whole.basis = std::max(whole.basis, part.basis);
        cite(part.evidence, whole.evidence);
        whole.open.insert(whole.open.end(), part.open.begin(), part.open.end());
    }
    cite(context, whole.evidence);
    if (parts.size() == 1) whole.wouldBe = parts.front().wouldBe;
    whole.clearsOn = clearing(parts, all, whole.basis);
    return whole;
}

Outcome negate(Outcome outcome) {
    outcome.truth = kleeneNot(outcome.truth);
    if (outcome.wouldBe) outcome.wouldBe = kleeneNot(*outcome.wouldBe);
    outcome.recorded = false;
    return outcome;
}

}  // namespace rules
