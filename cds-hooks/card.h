#pragma once

#include <string>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/order.h"
#include "cds-hooks/screening.h"

namespace cds_hooks {

/// The one sentence of the card, at most 139 code points: how many trials may fit, and what each still lacks.
std::string summaryText(const std::vector<const rules::Evaluation*>& trials);

/// The body of the card in GitHub Flavored Markdown: per trial what is missing, too old, waiting, asked and met.
std::string detailMarkdown(const Screening& screening, const std::vector<const rules::Evaluation*>& trials);

/// Whom and what a card is about.
struct CardSubject {
    std::string uuid;  ///< of the card; those of its suggestions follow from it
    std::string patientId;
    std::string encounterId;  ///< empty when the hook names none
};

/// What every card of a service shows beside its findings.
struct CardOptions {
    std::string smartAppUrl;  ///< launch URL of a SMART app; no link when empty
    std::string smartAppLabel = "Open the screening";
};

/// The response to a hook: at most one card, none when no trial is worth suggesting.
///
/// Suggestions have one action each and are never recommended: a draft ServiceRequest for the missing test that unlocks
/// most, by the site's code or else by LOINC, and a draft Task for the coordinator when the site has a code for it.
/// Source: CDS Hooks 2.0, CDS Service Response; FHIR R4, ServiceRequest and Task; card.md.
std::string cardsJson(const Screening& screening, const Knowledge& knowledge, const CardSubject& subject,
                      const CardOptions& options);

/// The same for an order hook: what the orders would do to the trials that are still possible. There are effects.
std::string orderCardsJson(const OrderScreening& orders, const CardSubject& subject, const CardOptions& options);

}  // namespace cds_hooks
