#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cds-hooks/charts.h"
#include "cds-hooks/fhir_server.h"
#include "cds-hooks/knowledge.h"

namespace cds_hooks {

/// Everything about one patient that is read from resources, as a server has it, with what it refers to.
///
/// A type that the server does not offer, or not to us (400 to 499), is not covered; Observations that it shows by code
/// alone are read by the codes of the vocabulary. Errors: fhir::Error, which names
/// no patient, when there is no such Patient, or when something may be had later: no answer in time, 408, 429, 500 and
/// above, or an answer that breaks off.
fhir::Chart readServerChart(const FhirServer& server, const Knowledge& knowledge, const std::string& patientId);

/// The charts of these patients, in their order. `onFailure` is told the ids of those that could not be read.
ChartSource serverCharts(const FhirServer& server, const Knowledge& knowledge, std::vector<std::string> patients,
                         EvaluationDay day, std::function<void(const std::string& patientId)> onFailure);

}  // namespace cds_hooks
