#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "cds-hooks/charts.h"
#include "cds-hooks/knowledge.h"
#include "fhir/json.h"

namespace cds_hooks {

/// The NDJSON that an earlier run has written, cut behind its last whole line: a run that was killed in the middle of
/// one begins with that line again.
class EarlierOutput {
public:
    /// Reads the file, if there is one. `problemOf` is asked for every line what else is wrong with it, beyond
    /// knowledge, day and trials; nothing is when it says nothing. Throws std::runtime_error that names file and line
    /// when a line is none of this run; then the file stays as it was.
    EarlierOutput(const std::filesystem::path& file, const Knowledge& knowledge, const EvaluationDay& day,
                  const std::function<std::string(fhir::json::Value line)>& problemOf);

    std::size_t lines() const { return lines_; }

private:
    std::size_t lines_ = 0;
};

/// Writes a file: all of it, or none. Throws std::runtime_error that names it.
void writeWhole(const std::filesystem::path& file, std::string_view text);

/// Writes "FILE.manifest.json" beside an output: what it was made of, and by what. An input that cannot be read has a
/// "problem" instead of bytes and digest. Throws std::runtime_error when the output cannot be read or the file not be
/// written.
///
/// {"program", "knowledge", "files": [{"name", "sha256"}] (of the knowledge and the overlay), "asOf" (a day or
/// "latest"), "trials", "inputs": [{"file", "bytes", "sha256"}], "charts": {"evaluated", "failed"}, "output": {"file",
/// "bytes", "sha256"}}
void writeManifest(const std::filesystem::path& output, const Knowledge& knowledge, const EvaluationDay& day,
                   const std::vector<std::string>& inputs, const ChartCount& count);

}  // namespace cds_hooks
