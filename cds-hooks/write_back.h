#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cds-hooks/fhir_server.h"
#include "cds-hooks/replay.h"

namespace cds_hooks {

/// What a screening leaves on the server when it is asked to.
enum class WriteBack {
    nothing,
    list,  ///< a List for each trial and run, of ResearchSubjects
    task,  ///< a Task for each patient and trial, for a coordinator
};

/// Creates them, and the ResearchStudy of each trial by its NCT number; returns how many could not be created, each of
/// which is named on standard error by type and trial.
///
/// Every resource has an identifier of ours, is looked for by it, and created where that identifier does not exist
/// (FHIR R4, conditional create): what is there stays as it is, also when a coordinator has changed it, and the same
/// run again creates nothing. A List is whole: without one of its subjects there is none, and one that is there with
/// other subjects counts as not created. A ResearchSubject is candidate or potential-candidate: nobody is eligible, and
/// nobody is enrolled. `run` names the run: a List holds what it found.
std::size_t writeBack(const FhirServer& server, const std::vector<Candidate>& candidates, WriteBack what,
                      const std::string& run, fhir::Date asOf);

}  // namespace cds_hooks
