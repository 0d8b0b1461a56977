#include "tests/screened.h"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <sstream>

#include "fhir/json.h"
#include "tests/support.h"

namespace support {

using fhir::json::Document;

/// What it prints and logs; an exception is logged, and is status 2 as for the program.
Run logged(const std::function<int(std::ostream&)>& action) {
    std::ostringstream log;
    auto before = spdlog::default_logger();
    auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log));
    logger->set_pattern("%v");
    spdlog::set_default_logger(logger);
    std::ostringstream out;
    int status = 2;
    try {
        status = action(out);
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
    }
    spdlog::set_default_logger(before);
    return {status, out.str(), log.str()};
}

Run screen(const cds_hooks::ScreenOptions& options) {
    return logged([&](std::ostream& out) { return cds_hooks::screenServer(knowledge(), options, out); });
}

/// The lines with their sources and issues left out, which say where a chart came from.
std::vector<std::string> results(const std::string& ndjson) {
    std::vector<std::string> lines;
    std::istringstream stream(ndjson);
    for (std::string line; std::getline(stream, line);) {
        const Document document(line);
        fhir::json::Writer writer;
        writer.beginObject();
        for (const auto [name, value] : document.root().members()) {
            if (name != "source" && name != "issues") writer.name(name).value(value);
        }
        writer.endObject();
        lines.emplace_back(writer.text());
    }
    return lines;
}

std::vector<std::string> patientsOf(const std::string& ndjson) {
    std::vector<std::string> patients;
    std::istringstream stream(ndjson);
    for (std::string line; std::getline(stream, line);) patients.emplace_back(Document(line).root()["patient"].text());
    return patients;
}

/// Where two texts begin to differ, with some of each.
std::string difference(const std::string& found, const std::string& expected) {
    const auto [at, other] = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
    const auto from = static_cast<std::size_t>(at - found.begin());
    const std::size_t begin = from < 80 ? 0 : from - 80;
    return "…" + found.substr(begin, 200) + "…\ninstead of …" + expected.substr(begin, 200) + "…";
}

Run replayWhole(const std::string& file) {
    cds_hooks::ReplayOptions options;
    options.charts.paths = {file};
    options.charts.coverage.setAll(fhir::Covered::completely);
    options.charts.day.asOf = options.charts.day.today = day("2025-11-13");
    options.report.format = cds_hooks::Format::ndjson;
    return logged([&](std::ostream& out) { return cds_hooks::replay(knowledge(), options, out); });
}

}  // namespace support
