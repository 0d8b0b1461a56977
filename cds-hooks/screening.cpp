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

std::string_view programVersion() {
    return CD7MATCH_VERSION;
}

std::vector<const rules::Evaluation*> suggested(const Screening& screening) {
    std::vector<const rules::Evaluation*> result;
    if (screening.facts.deceased) return result;
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        if (evaluation.gate && evaluation.status != rules::Status::ineligible) result.push_back(&evaluation);
    }
    std::stable_sort(result.begin(), result.end(), [](const auto* a, const auto* b) {
        if (a->trial->recruits() != b->trial->recruits()) return a->trial->recruits();
        return a->missing.size() < b->missing.size();
    });
    return result;
}

}  // namespace cds_hooks
