#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "cds-hooks/against.h"
#include "cds-hooks/charts.h"
#include "cds-hooks/cohort_summary.h"
#include "cds-hooks/knowledge.h"
#include "rules/evaluate.h"

namespace cds_hooks {

enum class Format { table, markdown, ndjson, none };

/// A patient for whom a trial is suggested.
struct Candidate {
    const rules::Trial* trial = nullptr;
    std::string patientId;
    rules::Status status = rules::Status::potentialCandidate;
    std::string summary;  ///< for a coordinator: what is missing and asked; no more of the patient
};

/// What is said of all charts together.
struct CohortOptions {
    bool summary = false;          ///< as text
    std::filesystem::path page{};  ///< as a page of HTML; empty: nowhere
    std::size_t most = 200;        ///< patients of each trial that the page names

    bool isWanted() const { return summary || !page.empty(); }
};

struct ReportOptions {
    Format format = Format::table;  ///< of each chart; none when only the summary is asked for
    std::string explain{};          ///< a criterion id: print its explanation instead of the report
    /// Told every candidate, in the order of the charts.
    std::function<void(const Candidate&)> onCandidate{};
    /// Told the verdicts of every chart, in their order.
    std::function<void(const ChartVerdicts&)> onVerdicts{};
    CohortOptions cohort{};
};

struct ReplayOptions {
    ChartOptions charts;
    ReportOptions report;
    std::filesystem::path output{};   ///< NDJSON, with a manifest beside it; empty: the stream that is given
    bool resume = false;              ///< goes on where an earlier run with the same output and inputs ended
    std::filesystem::path against{};  ///< an earlier output: print who moved instead of a report of each chart
    Format moves = Format::table;     ///< of that: table or ndjson
};

/// What is wrong with where results are to go, each by its option: of replay and of screen.
std::vector<mapping::Problem> problemsOfOutput(const std::filesystem::path& output, bool resume,
                                               const ReportOptions& report);

/// What came of a report.
struct Reported {
    ChartCount count;
    bool notCovered = false;  ///< a verdict waits for what was not read
    bool isWritten = true;

    /// Of the output contract: 0 when all were evaluated, 3 when some could not be.
    int status() const { return count.failed > 0 || !isWritten ? 3 : 0; }
};

/// Evaluates charts and writes one report each to `out`, in the order of the input whatever the number of threads, and
/// adds each to the summary, where there is one.
///
/// Inputs that cannot be evaluated are counted and named on standard error, with their place and reason; the rest goes
/// on.
Reported report(const Knowledge& knowledge, const ReportOptions& options, const ChartSource& source, std::ostream& out,
                CohortSummary* summary = nullptr);

/// Writes the text of a summary to `out` and its page to a file, as they are asked for. False, with a message, when
/// they cannot be written, or when the reports could not be: then charts are missing in the summary.
bool writeSummary(const CohortSummary& summary, const CohortOptions& options, const CohortRun& run,
                  const Reported& reported, std::ostream& out);

/// Reports on stored charts, with a hint when nobody said what they hold completely. Returns the exit status. Errors:
/// std::runtime_error when an output cannot be gone on with, read or written.
int replay(const Knowledge& knowledge, const ReplayOptions& options, std::ostream& out);

}  // namespace cds_hooks
