#include "cds-hooks/screening.h"

#include <algorithm>
#include <utility>

namespace cds_hooks {

Screening screen(const Knowledge& knowledge, fhir::Chart chart, fhir::Date asOf) {
    Screening screening;
    screening.chart = std::move(chart);
    screening.facts = mapping::readFacts(screening.chart, knowledge.vocabulary, asOf);
    screening.evaluations.reserve(knowledge.trials.size());
    for (const rules::Trial& trial : knowledge.trials)
        screening.evaluations.push_back(rules::evaluate(trial, screening.facts));
    for (const mapping::Answer& answer : screening.facts.answers) {
        const bool asked = std::any_of(knowledge.trials.begin(), knowledge.trials.end(),
                                       [&](const rules::Trial& trial) { return trial.asks(answer.linkId); });
        if (!asked)
            screening.facts.issues.push_back({answer.path, "item left out: no trial asks what its linkId names"});
    }
    fhir::limitIssues(screening.facts.issues);
    return screening;
}

namespace {

/// Whether it says no more than that we found the patient once.
bool isOnlyScreened(const fhir::ResearchSubject& subject) {
    return std::find(subject.systems.begin(), subject.systems.end(), researchSubjectSystem) != subject.systems.end() &&
           (subject.status == rules::word(rules::Status::candidate) ||
            subject.status == rules::word(rules::Status::potentialCandidate));
}

}  // namespace

Participation participation(const Screening& screening, const rules::Trial& trial) {
    const auto names = [&](const std::vector<std::string_view>& study) {
        return std::any_of(study.begin(), study.end(),
                           [&](std::string_view name) { return name.find(trial.id) != std::string_view::npos; });
    };
    Participation result;
    for (const fhir::ResearchSubject& subject : screening.chart.researchSubject) {
        if (names(subject.study) && !isOnlyScreened(subject)) result.subject = &subject;
    }
    const fhir::Date asOf = screening.facts.asOf;
    const auto inForce = [&](const fhir::Consent& consent) {
        const bool isLater = consent.date && consent.date->firstDay() > asOf;
        const bool isOver = consent.end && consent.end->lastDay() < asOf;
        return consent.research && (consent.study.empty() || names(consent.study)) && !isLater && !isOver;
    };
    const std::vector<fhir::Consent>& consents = screening.chart.consent;
    for (const fhir::Consent& refusal : consents) {
        if (!refusal.refuses || !inForce(refusal)) continue;
        // Whoever consents later, to all that was refused or to this trial by name, has changed his mind.
        const bool lifted = std::any_of(consents.begin(), consents.end(), [&](const fhir::Consent& later) {
            return later.permits && inForce(later) && (refusal.study.empty() || !later.study.empty()) && refusal.date &&
                   later.date && later.date->firstDay() > refusal.date->lastDay();
        });
        if (!lifted) result.refusal = &refusal;
    }
    return result;
}

std::string_view programVersion() {
    return CD7MATCH_VERSION;
}

std::vector<const rules::Evaluation*> suggested(const Screening& screening) {
    std::vector<const rules::Evaluation*> result;
    if (screening.facts.deceased) return result;
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        if (evaluation.gate && evaluation.status != rules::Status::ineligible &&
            !participation(screening, *evaluation.trial))
            result.push_back(&evaluation);
    }
    std::stable_sort(result.begin(), result.end(), [](const auto* a, const auto* b) {
        if (a->trial->recruits() != b->trial->recruits()) return a->trial->recruits();
        return a->missing.size() < b->missing.size();
    });
    return result;
}

}  // namespace cds_hooks
