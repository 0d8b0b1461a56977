#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>

#include "cds-hooks/input.h"
#include "fhir/bundle.h"

namespace cds_hooks {

/// How a folder of a bulk export is read.
struct BulkFolderOptions {
    std::size_t mostBytes = std::size_t{64} << 20;     ///< of one resource
    std::size_t memoryBytes = std::size_t{256} << 20;  ///< about so much is held while resources are put together
    fhir::Coverage coverage;                           ///< of types that the manifest does not decide
};

/// The resource type that a file of an export is named after ("Patient.000.ndjson", "1.Patient.ndjson", also packed),
/// or its folder, when that is "deleted" or "error"; empty when nothing is read from it. A path below the export.
std::string typeOfFile(const std::filesystem::path& file);

/// Whether a folder holds NDJSON by resource type: "Patient.000.ndjson", "1.Patient.ndjson", also packed.
bool isBulkFolder(const std::filesystem::path& folder);

/// Hands out the patients of a bulk export, each as a Bundle of all his resources and of what these refer to, in the
/// order of the Patient files. Source: HL7 Bulk Data Access 2, export, output files.
///
/// Files of types that nobody reads, and of no type ("log.ndjson"), are left alone; what "deleted/" names is deleted.
/// A type without a file is not covered; with a manifest.json a type with files is completely covered, unless they hold
/// less than it says, or "error/" holds anything. A line that cannot be read is handed out with its problem, and its
/// type is then partly covered for the patient whom it names, or for everybody when it names nobody. Everything is
/// spilled to a temporary file. Stops when `take` returns false. Errors: std::runtime_error when that cannot be
/// written.
void readBulkFolder(const std::filesystem::path& folder, const BulkFolderOptions& options,
                    const std::function<bool(Input)>& take);

/// The same for rows of an export (cds-hooks/bulk_row.h), of which those of one key, and those without one, are all
/// here. A chart among them is handed out as it is. Errors: std::runtime_error also for what is no row.
void readBulkRows(std::istream& rows, const BulkFolderOptions& options, const std::function<bool(Input)>& take);

}  // namespace cds_hooks
