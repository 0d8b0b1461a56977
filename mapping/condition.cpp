#include "mapping/condition.h"

#include <algorithm>

namespace mapping {

namespace {

using fhir::ClinicalStatus;

State stateOf(const fhir::Condition& condition, fhir::Date asOf) {
    switch (condition.clinicalStatus) {
        case ClinicalStatus::active:
        case ClinicalStatus::recurrence:
        case ClinicalStatus::relapse:
            return State::active;
        case ClinicalStatus::remission:
            return State::remission;
        case ClinicalStatus::inactive:
        case ClinicalStatus::resolved:
            return State::over;
        case ClinicalStatus::none:
        case ClinicalStatus::unread:
            break;
    }
    // Without a status an abatement says that it is over.
    if (condition.abated && (!condition.abatement || condition.abatement->firstDay() <= asOf)) return State::over;
    return State::unstated;
}

}  // namespace

ConditionReading readConditions(const fhir::Chart& chart, const Vocabulary& vocabulary, fhir::Date asOf,
                                std::vector<fhir::Issue>& issues) {
    ConditionReading reading;
    const std::size_t factCount = vocabulary.facts().size();
    reading.conditions.resize(factCount);
    reading.unrecognisable.resize(factCount, false);

    const FactDefinition* relapse = vocabulary.find("relapse");
    std::vector<Match> matches;
    std::vector<std::string_view> displays;  // of the coding that each match comes from
    std::vector<std::size_t> systems;
    std::size_t future = 0;
    for (const fhir::Condition& condition : chart.condition) {
        using Verification = fhir::VerificationStatus;
        if (condition.verificationStatus == Verification::refuted ||
            condition.verificationStatus == Verification::enteredInError)
            continue;
        std::optional<fhir::DateTime> date = condition.onset ? condition.onset : condition.recordedDate;
        if (date && date->firstDay() > asOf) {
            ++future;
            continue;
        }
        const std::int64_t endOfDay = fhir::DateTime::ofDay(asOf).last;
        if (date && date->last > endOfDay) date->last = endOfDay;

        matches.clear();
        displays.clear();
        systems.clear();
        bool inRemission = condition.clinicalStatus == ClinicalStatus::remission;
        for (const auto* codings : {&condition.code.coding, &condition.stage}) {
            for (const fhir::Coding& coding : *codings) {
                const auto system = vocabulary.system(coding.system);
                if (!system || coding.code.empty()) continue;
                if (codings == &condition.code.coding) systems.push_back(*system);
                vocabulary.lookUp(*system, coding.code, matches);
                displays.resize(matches.size(), coding.display);
                inRemission = inRemission || vocabulary.saysInRemission(*system, coding.code);
            }
        }
        for (const FactDefinition& fact : vocabulary.facts()) {
            const bool recognisable = std::any_of(systems.begin(), systems.end(), [&](std::size_t system) {
                return std::find(fact.systems.begin(), fact.systems.end(), system) != fact.systems.end();
            });
            if (!recognisable) reading.unrecognisable[fact.index] = true;
        }

        const bool statesRelapse =
            condition.clinicalStatus == ClinicalStatus::relapse ||
            condition.clinicalStatus == ClinicalStatus::recurrence ||
            std::any_of(matches.begin(), matches.end(), [&](const Match& match) {
                return relapse != nullptr && match.fact == relapse->index && match.role == Role::accept;
            });
        for (std::size_t i = 0; i < matches.size(); ++i) {
            const Match& match = matches[i];
            if (match.role == Role::reject) continue;
            const FactDefinition& fact = vocabulary.facts()[match.fact];
            // Several codings of one Condition count once: the disease in remission, then an accepted code, then
            // others.
            const auto rank = [](Role role) {
                return role == Role::remission ? 3 : role == Role::accept ? 2 : role == Role::answer ? 1 : 0;
            };
            bool outranked = false;
            for (std::size_t j = 0; j < matches.size(); ++j) {
                if (j == i || matches[j].fact != match.fact || matches[j].role == Role::reject) continue;
                const int difference = rank(matches[j].role) - rank(match.role);
                outranked = outranked || difference > 0 || (difference == 0 && j < i);
            }
            if (outranked) continue;

            Evidence evidence;
            evidence.fact = &fact;
            evidence.isRecord = true;
            evidence.resourceType = "Condition";
            evidence.id = condition.id;
            evidence.resourceIndex = static_cast<std::size_t>(&condition - chart.condition.data());
            evidence.display = displays[i].empty() ? condition.code.text : displays[i];
            evidence.date = match.history ? std::nullopt : date;
            evidence.history = match.history;
            evidence.onsetDated = condition.onset.has_value() && !match.history;
            evidence.review = match.role == Role::review;
            evidence.positive = true;
            evidence.state = stateOf(condition, asOf);
            if (match.role == Role::remission || (inRemission && evidence.state != State::over))
                evidence.state = State::remission;
            evidence.relapse = statesRelapse;
            if (condition.abatement && condition.abatement->firstDay() <= asOf) {
                evidence.end = condition.abatement;
                evidence.end->last = std::min(evidence.end->last, endOfDay);
            }
            if (match.role == Role::answer && fact.derivation == Derivation::nyha) {
                // The class as a finding of its own: 420913000 is class III.
                evidence.positive = match.value == "3" || match.value == "4";
            } else if (match.role == Role::answer) {
                continue;
            }
            if (match.role == Role::review) {
                evidence.basis = Basis::unconfirmed;
                evidence.detail = "a related code that does not decide";
            }
            if (condition.verificationStatus == Verification::unconfirmed) {
                evidence.basis = Basis::unconfirmed;
                evidence.detail = notConfirmed;
            }
            if (fact.needsTreatment) {
                // Ruling 17: a treatment that nothing proves is a question once the disease is there.
                evidence.maybeTreated = !condition.abated;
            }
            reading.conditions[match.fact].push_back(std::move(evidence));
        }
    }
    if (future > 0)
        issues.push_back({"", std::to_string(future) + " Condition(s) dated after " + asOf.text() + " not used"});
    return reading;
}

}  // namespace mapping
