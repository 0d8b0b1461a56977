#include "cds-hooks/order.h"

#include <algorithm>
#include <array>
#include <utility>

namespace cds_hooks {

using rules::Finding;
using rules::Truth;

namespace {

/// Whether the order is one that is about to be carried out.
bool isPending(const fhir::Activity& order) {
    static constexpr std::array<std::string_view, 6> over{"stopped",   "cancelled",        "revoked",
                                                          "completed", "entered-in-error", "replaced"};
    return !order.doNotPerform && std::find(over.begin(), over.end(), order.status) == over.end();
}

/// The order as a deed of that day; nothing for what is no order.
std::optional<fhir::Activity> carriedOut(fhir::Activity order, fhir::Date day) {
    if (!isPending(order)) return std::nullopt;
    if (order.resourceType == "MedicationRequest") {
        order.resourceType = "MedicationAdministration";
    } else if (order.resourceType == "ServiceRequest") {
        order.resourceType = "Procedure";
    } else {
        return std::nullopt;
    }
    order.status = "completed";
    order.intent = {};
    order.authored = order.start = order.end = fhir::DateTime::ofDay(day);
    order.moment = true;
    return order;
}

bool isUnfavourable(const Finding& finding) {
    return finding.outcome.basis == mapping::Basis::washOut ||
           finding.outcome.truth == (finding.criterion->inclusion ? Truth::False : Truth::True);
}

}  // namespace

OrderScreening screenOrders(const Knowledge& knowledge, const Screening& today, const fhir::Chart& chart,
                            const std::vector<fhir::Activity>& orders) {
    OrderScreening result;
    fhir::Chart then = chart;
    const std::size_t recorded = then.activity.size();
    for (const fhir::Activity& order : orders) {
        if (auto deed = carriedOut(order, today.facts.asOf)) then.activity.push_back(std::move(*deed));
    }
    if (then.activity.size() == recorded) return result;
    result.screening = screen(knowledge, std::move(then), today.facts.asOf);

    const auto isOrder = [&](const mapping::Evidence* evidence) {
        return evidence->resourceIndex >= recorded &&
               (evidence->resourceType == "MedicationAdministration" || evidence->resourceType == "Procedure");
    };
    const std::vector<const rules::Evaluation*> possible = suggested(today);
    for (std::size_t i = 0; i < today.evaluations.size(); ++i) {
        if (std::find(possible.begin(), possible.end(), &today.evaluations[i]) == possible.end()) continue;
        const rules::Evaluation& evaluation = result.screening.evaluations[i];
        for (std::size_t j = 0; j < evaluation.findings.size(); ++j) {
            const Finding& finding = evaluation.findings[j];
            const auto& cited = finding.outcome.evidence;
            const auto order = std::find_if(cited.begin(), cited.end(), isOrder);
            if (finding.criterion->group || order == cited.end()) continue;
            const bool certain = isUnfavourable(finding);
            if (!certain && finding.outcome.truth != Truth::Unknown) continue;
            const fhir::Activity& deed = result.screening.chart.activity[(*order)->resourceIndex];
            std::string words((*order)->display.empty() ? deed.code.text : (*order)->display);
            if (words.empty()) words = (*order)->fact->label;
            result.effects.push_back({&evaluation, &finding, std::move(words), certain});
        }
    }
    return result;
}

}  // namespace cds_hooks
