#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/gate_codes.h"
#include "cds-hooks/site.h"
#include "mapping/vocabulary.h"
#include "rules/trial.h"

namespace cds_hooks {

/// A knowledge file with its name: "facts.json", "drugs.json", or "NCT….json" for a trial.
struct KnowledgeFile {
    std::string name;
    std::string text;
};

/// One prefetch template: its key, the query, and what its answer covers.
struct PrefetchTemplate {
    std::string key;
    std::string query;
    std::string resourceType;
    std::string part;  ///< of Observation: the group of facts whose codes it asks for
};

/// The vocabulary and the trials: read once, const, shared between threads.
struct Knowledge {
    mapping::Vocabulary vocabulary;
    std::vector<rules::Trial> trials;  ///< in the order of their ids
    Site site;
    std::vector<PrefetchTemplate> prefetch;  ///< that discovery publishes and hooks are read by
    GateCodes gateCodes;
    std::vector<std::pair<std::string, std::string>> files;  ///< name and SHA-256 of each, the overlay included
    std::vector<std::pair<std::string, std::string>> vocabularyFiles;  ///< those of them that say what a fact is
    std::string
        digest;  ///< first 16 hexadecimal digits of the SHA-256 over names and texts of all files, the overlay included
};

/// The whole file. Errors: std::runtime_error names it when it is no regular file or cannot be read.
std::string readFile(const std::filesystem::path& path);

/// The files that were compiled into the program.
std::vector<KnowledgeFile> embeddedKnowledge();

/// The files of a folder that is laid out like the tree: mapping/facts.json, mapping/drugs.json and
/// rules/trials/NCT….json, or all of them side by side; drugs.json may be missing. Errors: std::runtime_error names the
/// folder or file that cannot be read.
std::vector<KnowledgeFile> knowledgeIn(const std::filesystem::path& folder);

/// The overlay of a site, under its file name. Errors: std::runtime_error when it cannot be read.
KnowledgeFile siteFile(const std::filesystem::path& path);

/// Reads and checks the files, and the overlay of a site; its dates against `today` where that day is given. Errors:
/// all problems at once, each with its place; the result is usable when there is none. An overlay in which a name
/// stands twice is not read any further.
Knowledge readKnowledge(const std::vector<KnowledgeFile>& files, std::vector<mapping::Problem>& problems,
                        const std::optional<KnowledgeFile>& site = std::nullopt,
                        std::optional<fhir::Date> today = std::nullopt);

}  // namespace cds_hooks
