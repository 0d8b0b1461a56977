#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cds-hooks/charts.h"
#include "cds-hooks/fhir_server.h"
#include "cds-hooks/knowledge.h"
#include "fhir/error.h"

namespace cds_hooks {

/// The server does not believe that we may ask it anything.
struct TokenRefused : fhir::Error {
    TokenRefused() : Error("", "the server does not accept our token (401)") {}
};

/// Everything about one patient that is read from resources, as a server has it, with what it refers to.
///
/// A type that the server does not offer, or not to us (400 to 499), is not covered; Observations that it shows by code
/// alone are read by the codes of the vocabulary. Errors: fhir::Error, which names
/// no patient, when there is no such Patient, or when something may be had later: no answer in time, 408, 429, 500 and
/// above, or an answer that breaks off; TokenRefused when not even the Patient is shown to us.
fhir::Chart readServerChart(const FhirServer& server, const Knowledge& knowledge, const std::string& patientId);

/// How far a run has come.
struct ServerRun {
    std::size_t askedFor = 0;             ///< patients that were handed out, of all
    std::atomic<int> refusalsInARow = 0;  ///< of our token
};

/// The charts of these patients, in their order. `onFailure` is told the ids of those that could not be read. Ends when
/// the server has refused our token three times in a row: nothing would come of the others.
ChartSource serverCharts(const FhirServer& server, const Knowledge& knowledge,
                         std::shared_ptr<const std::vector<std::string>> patients, EvaluationDay day, ServerRun& run,
                         std::function<void(const std::string& patientId)> onFailure);

}  // namespace cds_hooks
