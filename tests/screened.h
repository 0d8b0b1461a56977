#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/screen.h"

namespace support {

/// What a use of the program came to.
struct Run {
    int status = 0;
    std::string out;
    std::string log;

    std::size_t lines() const { return static_cast<std::size_t>(std::count(out.begin(), out.end(), '\n')); }
    bool says(std::string_view text) const { return log.find(text) != std::string::npos; }
};

/// What it prints and logs; an exception is logged, and is status 2 as for the program.
Run logged(const std::function<int(std::ostream&)>& action);

Run screen(const cds_hooks::ScreenOptions& options);

/// Replays a file as NDJSON, as of 2025-11-13, taken for complete.
Run replayWhole(const std::string& file);

/// The lines with their sources and issues left out, which say where a chart came from.
std::vector<std::string> results(const std::string& ndjson);

/// "Patient/p1" of each line.
std::vector<std::string> patientsOf(const std::string& ndjson);

/// Where two texts begin to differ, with some of each.
std::string difference(const std::string& found, const std::string& expected);

}  // namespace support
