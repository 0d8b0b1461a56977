#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cds_hooks {

/// Text of a chart or a trial, made safe inside GitHub Flavored Markdown: it renders as it is written, whatever it
/// holds.
///
/// HTML, Markdown marks, table bars, links and code spans are escaped; line breaks become spaces; control characters
/// and marks that turn the direction of writing are left out; what is longer than `most` code points ends in "…".
/// Source: CDS Hooks 2.0, Card.detail; viewers render raw HTML too.
std::string escapeMarkdown(std::string_view text, std::size_t most = 200);

/// Text for a terminal or a log: line breaks become spaces, control characters and direction marks are left out, so
/// that what a chart holds can forge no line of ours.
std::string printable(std::string_view text);

/// The first `most` code points of a text, ending in "…" when something was cut. Never splits a code point.
std::string shorten(std::string_view text, std::size_t most);

/// "1 trial", "2 trials".
std::string count(std::size_t number, std::string_view one, std::string_view many);

/// How many code points a text has.
std::size_t countCodePoints(std::string_view text);

}  // namespace cds_hooks
