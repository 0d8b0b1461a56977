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
    return screening;
}

Participation participation(const Screening& screening, const rules::Trial& trial) {
    const auto names = [&](const std::vector<std::string_view>& study) {
        return std::any_of(study.begin(), study.end(),
                           [&](std::string_view name) { return name.find(trial.id) != std::string_view::npos; });
    };
    Participation result;
    for (const fhir::ResearchSubject& subject : screening.chart.researchSubject) {
        if (names(subject.study)) result.subject = &subject;
    }
    const fhir::Date asOf = screening.facts.asOf;
    for (const fhir::Consent& consent : screening.chart.consent) {
        if (!consent.research || !consent.refuses || (!consent.study.empty() && !names(consent.study))) continue;
        const bool isLater = consent.date && consent.date->firstDay() > asOf;
        const bool isOver = consent.end && consent.end->lastDay() < asOf;
        if (!isLater && !isOver) result.refusal = &consent;
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
