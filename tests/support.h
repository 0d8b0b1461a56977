#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/screening.h"
#include "fhir/bundle.h"
#include "fhir/date.h"

/// What many tests need: the knowledge of the tree, and charts from JSON text.
namespace support {

/// The vocabulary and trials of the source tree. Read once; a problem in them fails the test that asks.
const cds_hooks::Knowledge& knowledge();

/// The whole file. Fails the test when it cannot be read. Paths are relative to the source tree.
std::string readFile(const std::string& path);

/// A new, empty folder that is gone with this.
class Folder {
public:
    Folder();
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    /// Writes a file, also in a folder below, plain or packed, and gives its path.
    std::string write(const std::string& name, const std::string& text) const;
    std::string gzip(const std::string& name, const std::string& text) const;

private:
    std::filesystem::path path_;
};

/// A day from YYYY-MM-DD; fails the test when it is none.
fhir::Date day(std::string_view text);

/// Coverage of the named types, completely.
fhir::Coverage covering(const std::vector<std::string>& types);

/// A Bundle of these resources, as JSON text.
std::string bundleOf(const std::vector<std::string>& resources);

fhir::Chart chartOf(std::string bundle, const fhir::Coverage& coverage = {});

/// The chart of a Bundle, evaluated for every trial.
cds_hooks::Screening screen(std::string bundle, std::string_view asOf, const fhir::Coverage& coverage = {});

/// The finding of one criterion: finding(screening, "NCT07109518", "inc.09a"). Fails the test when there is none.
const rules::Finding& finding(const cds_hooks::Screening& screening, std::string_view trial,
                              std::string_view criterion);

/// The same as a word of the output contract: "true", "false", "unknown".
std::string truth(const cds_hooks::Screening& screening, std::string_view trial, std::string_view criterion);

/// The basis as a word of the output contract: "recorded", "missing", ...
std::string basis(const cds_hooks::Screening& screening, std::string_view trial, std::string_view criterion);

}  // namespace support
