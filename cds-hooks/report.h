#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cds-hooks/screening.h"
#include "fhir/json.h"

namespace cds_hooks {

/// Where a chart came from: a file, and the line in it when it holds one chart a line; or a FHIR server.
struct Origin {
    std::string file;
    std::size_t line = 0;    ///< 0: the file is one chart
    std::string url{};       ///< of the Patient on its server; empty for a file
    std::size_t offset = 0;  ///< of the line in its file, unpacked, in bytes

    std::string text() const { return !url.empty() ? url : line == 0 ? file : file + ":" + std::to_string(line); }
};

/// The "source" of a line, as ndjsonLine() wrote it.
Origin readOrigin(fhir::json::Value source);

/// "Patient/p1"; "Patient" when it has no id.
std::string patientReference(std::string_view id);

/// One line of the output contract, without the line break.
std::string ndjsonLine(const Screening& screening, const Knowledge& knowledge, const Origin& origin);

/// What a person at a terminal reads: per trial the status, then what failed, what is missing, how much is asked.
std::string tableText(const Screening& screening, const Origin& origin);

/// The whole chart as GitHub Flavored Markdown, trials that were decided against included.
std::string markdownText(const Screening& screening, const Origin& origin);

/// A value as a person reads it: "1.2 mg/dL, 0.86 x ULN, 2025-11-02". Not escaped.
std::string valueText(const mapping::Evidence& evidence);

/// Value over upper limit of normal, to three decimals; nothing when either is not one number.
std::optional<std::string> timesUpperLimit(const mapping::Evidence& evidence);

}  // namespace cds_hooks
