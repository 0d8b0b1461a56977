#pragma once

#include <string>
#include <vector>

#include "cds-hooks/screening.h"

namespace cds_hooks {

/// The one sentence of the card, at most 139 code points: how many trials may fit, and what each still lacks.
std::string summaryText(const std::vector<const rules::Evaluation*>& trials);

/// The body of the card in GitHub Flavored Markdown: per trial what is missing, too old, waiting, asked and met.
std::string detailMarkdown(const Screening& screening, const std::vector<const rules::Evaluation*>& trials);

/// The response to a hook: at most one card, none when no trial is worth suggesting. `uuid` names the card.
/// Source: CDS Hooks 2.0, CDS Service Response; card.md.
std::string cardsJson(const Screening& screening, const std::string& uuid);

}  // namespace cds_hooks
