#pragma once

#include <string>

#include "mapping/vocabulary.h"
#include "rules/evaluate.h"
#include "rules/trial.h"

namespace cds_hooks {

/// The screening form of a trial: a FHIR R4 Questionnaire with one item for every fact that the trial reads and for
/// every question that it asks, in the order of the page, each beside the published words.
///
/// A QuestionnaireResponse that answers it is read by mapping/answer.h. With an evaluation of that trial only the items
/// that an answer could settle: what is missing, too old, undated and the like, not what waits for a day or conflicts.
std::string questionnaireJson(const rules::Trial& trial, const mapping::Vocabulary& vocabulary,
                              const rules::Evaluation* evaluation = nullptr);

}  // namespace cds_hooks
