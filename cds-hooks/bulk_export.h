#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "cds-hooks/fhir_server.h"

namespace cds_hooks {

/// What is exported, and where to.
struct ExportOptions {
    std::string group;             ///< id of a Group; empty: every Patient
    std::filesystem::path folder;  ///< is made; must be empty
    /// Waits between two questions for the state of the export. Replaced by tests.
    std::function<void(std::chrono::milliseconds)> pause;
    std::chrono::seconds longest = std::chrono::hours(24);
};

/// What came of it.
struct ExportResult {
    std::size_t resources = 0;
    std::size_t errors = 0;  ///< what the server says that it could not export
};

/// Has a server export its resources in bulk, and fetches them: "Patient.000.ndjson", "deleted/", "error/", and
/// manifest.json, which is written last, names every file, and holds no address.
///
/// A file that does not arrive is asked for again a few times; while the export is being made, so is its state,
/// whatever the answer. The token goes to the origin of the server alone; files elsewhere are fetched without it, or
/// not at all where they need it. The server is told to delete the export in the end, also of one that failed. Errors:
/// fhir::Error that says what the server answered, std::runtime_error for the folder. Source: HL7 Bulk Data Access 2,
/// export.
ExportResult exportBulk(const FhirServer& server, const ExportOptions& options);

}  // namespace cds_hooks
