#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "cds-hooks/charts.h"
#include "cds-hooks/knowledge.h"
#include "rules/evaluate.h"

namespace cds_hooks {

enum class Format { table, markdown, ndjson };

/// A patient for whom a trial is suggested.
struct Candidate {
    const rules::Trial* trial = nullptr;
    std::string patientId;
    rules::Status status = rules::Status::potentialCandidate;
    std::string summary;  ///< for a coordinator: what is missing and asked; no more of the patient
};

struct ReportOptions {
    Format format = Format::table;
    std::string explain{};  ///< a criterion id: print its explanation instead of the report
    /// Told every candidate, in the order of the charts.
    std::function<void(const Candidate&)> onCandidate{};
};

struct ReplayOptions {
    ChartOptions charts;
    ReportOptions report;
    std::filesystem::path output{};  ///< NDJSON, with a manifest beside it; empty: the stream that is given
    bool resume = false;             ///< goes on where an earlier run with the same output and inputs ended
};

/// What is wrong with where results are to go, each by its option: of replay and of screen.
std::vector<mapping::Problem> problemsOfOutput(const std::filesystem::path& output, bool resume,
                                               const ReportOptions& report);

/// Evaluates charts and writes one report each to `out`, in the order of the input whatever the number of threads.
///
/// Inputs that cannot be evaluated are counted and named on standard error, with their place and reason; the rest goes
/// on. Returns the exit status of the output contract: 0 when all were evaluated, 3 when some could not be.
int report(const Knowledge& knowledge, const ReportOptions& options, const ChartSource& source, std::ostream& out);

/// The same with stored charts, and a hint when nobody said what they hold completely. Errors: std::runtime_error when
/// an output cannot be gone on with, read or written.
int replay(const Knowledge& knowledge, const ReplayOptions& options, std::ostream& out);

}  // namespace cds_hooks
