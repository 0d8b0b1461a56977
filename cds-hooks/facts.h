#pragma once

#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "cds-hooks/charts.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/replay.h"

namespace cds_hooks {

struct FactsOptions {
    ChartOptions charts;
    std::filesystem::path output;
};

/// Writes the facts of stored charts into a file, with a manifest beside it. Inputs that cannot be read are counted and
/// named as by replay. Returns the exit status of the output contract, 3 also when the file cannot be written. Errors:
/// std::runtime_error when it is there already.
int writeFacts(const Knowledge& knowledge, const FactsOptions& options);

struct FactsReplayOptions {
    std::filesystem::path facts;
    std::filesystem::path output{};   ///< NDJSON; empty: the stream that is given
    std::filesystem::path against{};  ///< an earlier output: print who moved instead of a line for each chart
    Format format = Format::table;
    std::size_t threads = 1;
};

/// Evaluates the trials over a facts file: as NDJSON a line for each chart, with status and deciding criteria and
/// without evidence (docs/facts-file.md), or a count by trial, status and criterion. Returns the exit status of the
/// output contract. Errors: std::runtime_error names a file that cannot be read or written.
int replayFacts(const Knowledge& knowledge, const FactsReplayOptions& options, std::ostream& out);

}  // namespace cds_hooks
