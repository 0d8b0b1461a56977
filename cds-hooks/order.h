#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/screening.h"

namespace cds_hooks {

/// What an order would do to one criterion of a trial that is still possible.
struct OrderEffect {
    const rules::Evaluation* evaluation = nullptr;  ///< with the order carried out
    const rules::Finding* finding = nullptr;        ///< the same, of the criterion
    std::string order;                              ///< the words of the order; plain text
    bool certain = false;                           ///< it would; otherwise it may, which what is known does not settle
};

/// The patient as if the draft orders had been carried out on the day of the evaluation, and what that changes.
struct OrderScreening {
    Screening screening;
    std::vector<OrderEffect> effects;  ///< in the order of the trials of the knowledge; they point into the screening
    std::size_t unread = 0;            ///< draft orders that are malformed and were not looked at
};

/// Evaluates draft orders: each drug as if it were given on that one day, each service as if it were done then.
///
/// `orders` are the MedicationRequests and ServiceRequests that count; an order that is stopped, revoked, completed, in
/// error or asks that something is not done changes nothing. Effects are criteria of the trials that `today` suggests,
/// which the orders would decide against, put into a wash-out, or leave open. Source: CDS Hooks 2.0, order-select and
/// order-sign; card.md, order variants.
OrderScreening screenOrders(const Knowledge& knowledge, const Screening& today, const fhir::Chart& chart,
                            const std::vector<fhir::Activity>& orders);

}  // namespace cds_hooks
