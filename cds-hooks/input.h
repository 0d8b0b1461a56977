#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cds-hooks/report.h"
#include "fhir/bundle.h"

namespace cds_hooks {

/// One text that should hold one chart, or the reason why it could not even be read.
struct Input {
    Origin origin;
    std::string text;
    std::string problem;                       ///< empty when the text was read
    std::optional<fhir::Coverage> coverage{};  ///< of a chart that was put together from a bulk export
};

/// A path as results, reports and messages name it. Not every path is UTF-8, as they have to be: of one that is not the
/// bytes beyond ASCII are written "%E9", and "%" is "%25"; another file may happen to have that very name.
std::string nameOf(const std::string& path);

/// The files that a path stands for, in the order in which they are read: itself, or those of a folder; none for "-".
/// Errors: std::runtime_error when a folder cannot be read.
std::vector<std::string> filesOf(const std::string& path);

/// Reads files, folders (recursively, in the order of their names: .json, .ndjson, .jsonl, and each with .gz) and "-"
/// for standard input, and hands out their charts one by one, in that order. Gzip is recognised by its content.
///
/// NDJSON, by file name or because the second line begins another object, is one chart a line; blank lines are skipped.
/// Nothing longer than `mostBytes` is kept. Unreadable files and lines are handed out with their problem. Stops when
/// `take` returns false.
void readInputs(const std::vector<std::string>& paths, std::size_t mostBytes, const std::function<bool(Input)>& take);

}  // namespace cds_hooks
