#include "cds-hooks/bulk_folder.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/sqlite.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "fhir/resource_type.h"

namespace cds_hooks {

using fhir::Covered;
using fhir::json::Document;
using fhir::json::Value;

namespace {

namespace fs = std::filesystem;

bool isNdjson(std::string_view name) {
    return name.ends_with(".ndjson") || name.ends_with(".ndjson.gz");
}

/// The resource type that a file of an export is named after; empty when it is named after none that is read.
std::string typeOfFile(const fs::path& file) {
    const std::string name = file.filename().string();
    if (!isNdjson(name)) return {};
    for (std::size_t begin = 0; begin < name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        const std::string part = name.substr(begin, end - begin);
        const bool isType = fhir::isReadType(part) && part != "Bundle" && part != "OperationOutcome";
        if (isType) return part;
        begin = end + 1;
    }
    return {};
}

std::vector<fs::path> filesIn(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        if (entry.is_regular_file(error) && isNdjson(entry.path().filename().string())) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// The id of the patient that a reference names; empty when it names none by an id.
std::string_view patientId(std::string_view reference) {
    reference = reference.substr(0, reference.find("/_history/"));
    static constexpr std::string_view type = "Patient/";
    static constexpr std::string_view urn = "urn:uuid:";
    if (const auto at = reference.rfind(type); at != std::string_view::npos) return reference.substr(at + type.size());
    if (reference.starts_with(urn)) return reference.substr(urn.size());
    return reference.find('/') == std::string_view::npos ? reference : std::string_view();
}

/// The patient whom a broken line names; empty when it names none, or several.
std::string patientInText(std::string_view text) {
    static constexpr std::string_view type = "Patient/";
    std::set<std::string> ids;
    for (auto at = text.find(type); at != std::string_view::npos; at = text.find(type, at + 1)) {
        const std::string_view rest = text.substr(at + type.size());
        ids.insert(std::string(rest.substr(0, rest.find_first_of("\"/ ,}"))));
    }
    return ids.size() == 1 ? *ids.begin() : std::string();
}

class BulkFolder {
public:
    BulkFolder(const fs::path& folder, const BulkFolderOptions& options, const std::function<bool(Input)>& take)
        : folder_(folder), options_(options), take_(take) {
        database_.run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE");
        database_.run("PRAGMA cache_size = -" + std::to_string(options.memoryBytes / 1024));
        database_.run(R"sql(
            CREATE TABLE patient (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, file TEXT, line INTEGER);
            CREATE TABLE resource (number INTEGER PRIMARY KEY, patient TEXT, name TEXT, refers TEXT, text TEXT);
            CREATE TABLE referenced (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID;
            CREATE TABLE broken (patient TEXT, type TEXT);
        )sql");
    }

    void read() {
        if (!load()) return;
        database_.run(
            "CREATE INDEX resource_patient ON resource (patient); CREATE INDEX broken_patient ON broken (patient)");
        remove();
        cover();
        reportUnassigned();
        handOut();
    }

private:
    /// False when no more is wanted.
    bool load() {
        sqlite::Transaction transaction(database_);
        sqlite::Statement resource(database_, "INSERT INTO resource (patient, name, refers, text) VALUES (?, ?, ?, ?)");
        sqlite::Statement patient(database_, "INSERT OR IGNORE INTO patient (id, file, line) VALUES (?, ?, ?)");
        sqlite::Statement referenced(database_, "INSERT OR REPLACE INTO referenced (name, text) VALUES (?, ?)");
        bool goOn = true;
        for (const fs::path& file : filesIn(folder_)) {
            const std::string type = typeOfFile(file);
            if (type.empty()) continue;
            lines_[type];  // the type has a file
            readInputs({file.string()}, options_.mostBytes, [&](Input input) {
                if (input.problem == "the file is empty") return true;  // a type without resources
                if (!input.problem.empty() || !keep(input, type, resource, patient, referenced)) {
                    noteBroken(input, type);
                    goOn = take_(std::move(input));
                }
                return goOn;
            });
            if (!goOn) break;
        }
        transaction.commit();
        return goOn;
    }

    /// False, with its problem in the input, when a line is no resource of its type.
    bool keep(Input& input, const std::string& type, sqlite::Statement& resource, sqlite::Statement& patient,
              sqlite::Statement& referenced) {
        try {
            fhir::json::Limits limits;
            limits.bytes = options_.mostBytes;
            const Document document(input.text, fhir::json::Selection::elements, limits);
            const Value root = document.root();
            if (root["resourceType"].text() != type) throw fhir::Error("resourceType", "is not that of the file");
            ++lines_[type];
            const std::string name = type + '/' + std::string(root["id"].text());
            if (fhir::isOneOf(fhir::referencedTypes, type)) {
                referenced.reset();
                referenced.text(name).text(input.text).step();
                return true;
            }
            const std::string_view id =
                type == "Patient" ? root["id"].text() : patientId(fhir::subjectOf(root)["reference"].text());
            if (type == "Patient") {
                if (id.empty()) throw fhir::Error("id", "is missing");
                patient.reset();
                patient.text(id).text(input.origin.file).number(static_cast<std::int64_t>(input.origin.line)).step();
            }
            std::string refers;
            for (const std::string& each : fhir::referencesOf(root, {})) refers += each + '\n';
            resource.reset();
            resource.text(id).text(name).text(refers).text(input.text).step();
            return true;
        } catch (const fhir::Error& error) {
            input.problem = error.what();
            return false;
        }
    }

    void noteBroken(const Input& input, const std::string& type) {
        sqlite::Statement insert(database_, "INSERT INTO broken (patient, type) VALUES (?, ?)");
        insert.text(patientInText(input.text)).text(type).step();
        ++lines_[type];  // it is there, and counted as what the manifest counts
    }

    /// What "deleted/" names: Bundles of type transaction with an entry for each.
    void remove() {
        const std::vector<fs::path> files = filesIn(folder_ / "deleted");
        if (files.empty()) return;
        database_.run("CREATE INDEX resource_name ON resource (name)");
        sqlite::Statement resource(database_, "DELETE FROM resource WHERE name = ?");
        sqlite::Statement patient(database_, "DELETE FROM patient WHERE id = ?");
        sqlite::Statement referenced(database_, "DELETE FROM referenced WHERE name = ?");
        for (const fs::path& file : files) {
            readInputs({file.string()}, options_.mostBytes, [&](const Input& input) {
                if (input.problem == "the file is empty") return true;
                try {
                    if (!input.problem.empty()) throw fhir::Error("", input.problem);
                    const Document document(input.text);
                    for (const Value entry : document.root()["entry"].items()) {
                        if (entry["request"]["method"].text() != "DELETE") continue;
                        const std::string_view name = entry["request"]["url"].text();
                        for (sqlite::Statement* each : {&resource, &referenced}) {
                            each->reset();
                            each->text(name).step();
                        }
                        if (!name.starts_with("Patient/")) continue;
                        patient.reset();
                        patient.text(patientId(name)).step();
                    }
                } catch (const fhir::Error& error) {
                    spdlog::error("{}: {}", input.origin.text(), error.what());
                }
                return true;
            });
        }
    }

    void cover() {
        coverage_ = options_.coverage;
        std::map<std::string, std::size_t> announced;
        const bool hasManifest = readManifest(announced);
        for (const std::string_view each : fhir::patientTypes) {
            const std::string type(each);
            const auto lines = lines_.find(type);
            if (lines == lines_.end()) {
                coverage_.set(type, Covered::notRead);
                continue;
            }
            if (hasManifest && coverage_.of(type) == Covered::undeclared) coverage_.set(type, Covered::completely);
            if (!announced.contains(type) || lines->second == announced[type]) continue;
            spdlog::error("{}: the files of {} hold {} lines, and the manifest says {}: the type is partly covered",
                          folder_.string(), type, lines->second, announced[type]);
            coverage_.limitToPartly(type);
        }
        for (const fs::path& file : filesIn(folder_ / "error")) {
            if (fs::file_size(file) == 0) continue;
            spdlog::error("{}: the server could not export everything: every type is partly covered", file.string());
            coverage_.limitToPartly();
            return;
        }
    }

    /// How many lines the manifest announces of a type, where it does. False when there is none.
    bool readManifest(std::map<std::string, std::size_t>& announced) const {
        const fs::path file = folder_ / "manifest.json";
        if (!fs::exists(file)) return false;
        try {
            const Document document(readFile(file));
            std::set<std::string> uncounted;
            for (const Value each : document.root()["output"].items()) {
                const std::string type(each["type"].text());
                const std::string count(each["count"].text());
                const bool isNumber =
                    !count.empty() && count.size() < 16 && count.find_first_not_of("0123456789") == std::string::npos;
                if (!isNumber) uncounted.insert(type);
                announced[type] += isNumber ? std::stoull(count) : 0;
            }
            for (const std::string& type : uncounted) announced.erase(type);
            return document.root()["output"].isArray();
        } catch (const fhir::Error& error) {
            spdlog::error("{}: {}", file.string(), error.what());
            return false;
        }
    }

    void reportUnassigned() {
        sqlite::Statement count(database_,
                                "SELECT COUNT(*) FROM resource WHERE patient NOT IN (SELECT id FROM patient)");
        if (count.step() && count.integer(0) > 0)
            spdlog::warn("{}: {} resources belong to no Patient of this folder", folder_.string(), count.integer(0));
    }

    void handOut() {
        sqlite::Statement patients(database_, "SELECT id, file, line FROM patient ORDER BY number");
        sqlite::Statement resources(database_, "SELECT text, refers FROM resource WHERE patient = ? ORDER BY number");
        sqlite::Statement referenced(database_, "SELECT text FROM referenced WHERE name = ?");
        sqlite::Statement broken(database_, "SELECT DISTINCT type FROM broken WHERE patient = ? OR patient = ''");
        while (patients.step()) {
            const std::string id = patients.column(0);
            Input input;
            input.origin = {patients.column(1), static_cast<std::size_t>(patients.integer(2))};
            input.text = R"({"resourceType":"Bundle","type":"collection","entry":[)";
            std::set<std::string> names;
            bool isFirst = true;
            const auto add = [&](const std::string& text) {
                input.text += isFirst ? R"({"resource":)" : R"(,{"resource":)";
                input.text += text;
                input.text += '}';
                isFirst = false;
            };
            resources.reset();
            for (resources.text(id); resources.step();) {
                add(resources.column(0));
                const std::string refers = resources.column(1);
                for (std::size_t begin = 0; begin < refers.size();) {
                    const std::size_t end = refers.find('\n', begin);
                    names.insert(refers.substr(begin, end - begin));
                    begin = end + 1;
                }
            }
            for (const std::string& name : names) {
                referenced.reset();
                if (referenced.text(name).step()) add(referenced.column(0));
            }
            input.text += "]}";
            fhir::Coverage coverage = coverage_;
            broken.reset();
            for (broken.text(id); broken.step();) coverage.limitToPartly(broken.column(0));
            input.coverage = std::move(coverage);
            if (!take_(std::move(input))) return;
        }
    }

    fs::path folder_;
    const BulkFolderOptions& options_;
    const std::function<bool(Input)>& take_;
    sqlite::Connection database_{""};
    std::map<std::string, std::size_t> lines_;  ///< by type, of those that have a file
    fhir::Coverage coverage_;
};

}  // namespace

bool isBulkFolder(const fs::path& folder) {
    std::error_code error;
    if (!fs::is_directory(folder, error)) return false;
    const std::vector<fs::path> files = filesIn(folder);
    return std::any_of(files.begin(), files.end(), [](const fs::path& file) { return typeOfFile(file) == "Patient"; });
}

void readBulkFolder(const fs::path& folder, const BulkFolderOptions& options, const std::function<bool(Input)>& take) {
    BulkFolder(folder, options, take).read();
}

}  // namespace cds_hooks
