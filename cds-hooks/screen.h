#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "cds-hooks/cohort.h"
#include "cds-hooks/fhir_server.h"
#include "cds-hooks/replay.h"
#include "cds-hooks/write_back.h"

namespace cds_hooks {

/// What `screen` is asked for.
struct ScreenOptions {
    std::string server;  ///< base of a FHIR R4 server, as "https://ehr.example.org/fhir"
    Cohort cohort;
    std::string token;
    BackendServices client{{}, {}, "system/*.rs"};  ///< used when it has an id
    std::string authorities;
    std::size_t concurrency = 4;                ///< patients that are read at a time
    double rate = 0;                            ///< requests a second, all together; 0: no limit
    std::chrono::milliseconds timeout{60'000};  ///< for one patient
    ReportOptions report;
    EvaluationDay day;
    bool progress = false;
    std::filesystem::path failed;        ///< gets the ids of patients that could not be read; empty: nowhere
    std::filesystem::path output;        ///< NDJSON; empty: standard output
    bool resume = false;                 ///< goes on where an earlier run with the same output ended
    std::filesystem::path exportFolder;  ///< the patients are exported there, and not screened; empty: screened
    WriteBack write = WriteBack::nothing;
    std::string run;       ///< names the Lists of this run; empty: the day of the evaluation and whom it screened
    bool mayRoam = false;  ///< whether the server may lead us to private addresses, and over http
};

/// Everything that is wrong with the options, each by its option.
std::vector<mapping::Problem> problemsOf(const ScreenOptions& options);

/// Reads patients from a FHIR server and reports on them as replay() does on stored charts.
///
/// A patient who cannot be read is counted and named by his place; the rest goes on. Returns 0, or 3 when some could
/// not be read. Errors: fhir::Error when there is no such server, when it refuses us, or when the list of patients
/// cannot be had; std::runtime_error for files.
int screenServer(const Knowledge& knowledge, const ScreenOptions& options, std::ostream& out);

}  // namespace cds_hooks
