#include "cds-hooks/bulk_folder.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <istream>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/bulk_row.h"
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

std::vector<fs::path> filesIn(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        if (entry.is_regular_file(error) && isNdjson(entry.path().filename().string())) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// A bulk export, put together by patient.
class BulkExport {
public:
    BulkExport(const BulkFolderOptions& options, const std::function<bool(Input)>& take)
        : options_(options), take_(take) {
        database_.run("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE");
        // Half of it: sorting for an index takes as much again.
        database_.run("PRAGMA cache_size = -" + std::to_string(options.memoryBytes / 2048));
        database_.run(R"sql(
            CREATE TABLE patient (id TEXT PRIMARY KEY, number INTEGER, file TEXT, line INTEGER) WITHOUT ROWID;
            CREATE TABLE resource (number INTEGER PRIMARY KEY, patient TEXT, name TEXT, refers TEXT, text TEXT);
            CREATE TABLE referenced (name TEXT PRIMARY KEY, number INTEGER, text TEXT) WITHOUT ROWID;
            CREATE TABLE broken (patient TEXT, type TEXT);
            CREATE TABLE deleted (name TEXT, patient TEXT);
        )sql");
    }

    /// Reads the files of a folder. False when no more is wanted.
    bool read(const fs::path& folder) {
        sqlite::Transaction transaction(database_);
        Rows rows(database_);
        bool goOn = true;
        BulkLines lines(options_.mostBytes, [&](BulkRow row) { goOn = add(std::move(row), rows) && goOn; });
        name_ = folder.string();
        std::size_t rank = 0;
        for (const fs::path& below : {fs::path(), fs::path("deleted"), fs::path("error")}) {
            for (const fs::path& file : filesIn(folder / below)) {
                const std::string type = typeOfFile(below / file.filename());
                if (type.empty()) continue;
                BulkRow whole{BulkRow::Kind::counted, {}, type};
                whole.text = "0";  // the type has a file
                if (type == "error") whole.kind = BulkRow::Kind::error, whole.name = file.string();
                if (type == "error" ? fs::file_size(file) > 0 : type != "deleted") add(std::move(whole), rows);
                if (type == "error") continue;
                readInputs({file.string()}, options_.mostBytes, [&](Input input) {
                    if (input.problem == "the file is empty") return true;  // a type without resources
                    BulkRow line{BulkRow::Kind::line, {}, type, {}, rank, std::move(input.origin)};
                    line.text = std::move(input.text);
                    input.problem.empty() ? lines.read(std::move(line)) : lines.fail(std::move(line), input.problem);
                    return goOn;
                });
                if (!goOn) return false;
                ++rank;
            }
        }
        lines.finish();
        if (fs::exists(folder / "manifest.json")) {
            BulkRow manifest{BulkRow::Kind::manifest};
            manifest.text = readFile(folder / "manifest.json");
            add(std::move(manifest), rows);
        }
        transaction.commit();
        return goOn;
    }

    /// Reads rows. False when no more is wanted.
    bool read(std::istream& stream) {
        sqlite::Transaction transaction(database_);
        Rows rows(database_);
        for (std::string line; std::getline(stream, line);) {
            if (!add(readRow(line), rows)) return false;
        }
        if (stream.bad()) throw std::runtime_error("standard input cannot be read");
        transaction.commit();
        return true;
    }

    void finish() {
        database_.run(
            "CREATE INDEX resource_patient ON resource (patient); CREATE INDEX broken_patient ON broken (patient)");
        remove();
        cover();
        reportUnassigned();
        handOut();
    }

private:
    /// What stores rows.
    struct Rows {
        explicit Rows(sqlite::Connection& database)
            : resource(database, "INSERT INTO resource (number, patient, name, refers, text) VALUES (?, ?, ?, ?, ?)"),
              // The first Patient of an id says where it stands, the last of two resources that are referred to counts.
              patient(database,
                      "INSERT INTO patient (id, number, file, line) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO "
                      "UPDATE SET number = excluded.number, file = excluded.file, line = excluded.line "
                      "WHERE excluded.number < number"),
              referenced(database,
                         "INSERT INTO referenced (name, number, text) VALUES (?, ?, ?) ON CONFLICT (name) DO "
                         "UPDATE SET number = excluded.number, text = excluded.text "
                         "WHERE excluded.number > number"),
              broken(database, "INSERT INTO broken (patient, type) VALUES (?, ?)"),
              deleted(database, "INSERT INTO deleted (name, patient) VALUES (?, ?)") {}

        sqlite::Statement resource, patient, referenced, broken, deleted;
    };

    /// Where a line stands among all lines of the export.
    static std::int64_t numberOf(const BulkRow& row) {
        return (static_cast<std::int64_t>(row.rank) << 40) + static_cast<std::int64_t>(row.origin.line);
    }

    /// False when no more is wanted.
    bool add(BulkRow row, Rows& rows) {
        switch (row.kind) {
            case BulkRow::Kind::resource:
                rows.resource.reset();
                rows.resource.number(numberOf(row)).text(row.key).text(row.name).text(row.refers).text(row.text).step();
                if (row.name.starts_with("Patient/")) {
                    rows.patient.reset();
                    rows.patient.text(row.key).number(numberOf(row)).text(row.origin.file);
                    rows.patient.number(static_cast<std::int64_t>(row.origin.line)).step();
                }
                return true;
            case BulkRow::Kind::referenced:
                rows.referenced.reset();
                rows.referenced.text(row.name).number(numberOf(row)).text(row.text).step();
                return true;
            case BulkRow::Kind::broken:
                rows.broken.reset();
                rows.broken.text(row.key).text(row.name).step();
                return true;
            case BulkRow::Kind::deleted:
                rows.deleted.reset();
                rows.deleted.text(row.name).text(row.key).step();
                return true;
            case BulkRow::Kind::counted:
                lines_[row.name] += std::stoull(row.text);
                return true;
            case BulkRow::Kind::manifest:
                manifest_ = std::move(row.text);
                return true;
            case BulkRow::Kind::error:
                errors_.push_back(std::move(row.name));
                return true;
            case BulkRow::Kind::folder:
                name_ = std::move(row.name);
                return true;
            case BulkRow::Kind::problem:
                if (row.name != "deleted") return take_({std::move(row.origin), {}, std::move(row.text)});
                spdlog::error("{}: {}", row.origin.text(), row.text);
                return true;
            case BulkRow::Kind::chart:
                return take_({std::move(row.origin), std::move(row.text), {}});
            case BulkRow::Kind::line:
                break;
        }
        throw std::runtime_error("a line of a bulk export has to be read by 'cd7match bulk lines' first");
    }

    /// What "deleted/" names.
    void remove() {
        sqlite::Statement any(database_, "SELECT 1 FROM deleted LIMIT 1");
        if (!any.step()) return;
        any.reset();
        database_.run("CREATE INDEX resource_name ON resource (name)");
        database_.run("DELETE FROM resource WHERE name IN (SELECT name FROM deleted)");
        database_.run("DELETE FROM referenced WHERE name IN (SELECT name FROM deleted)");
        database_.run("DELETE FROM patient WHERE id IN (SELECT patient FROM deleted WHERE patient <> '')");
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
                          name_, type, lines->second, announced[type]);
            coverage_.limitToPartly(type);
        }
        if (errors_.empty()) return;
        spdlog::error("{}: the server could not export everything: every type is partly covered", errors_.front());
        coverage_.limitToPartly();
    }

    /// How many lines the manifest announces of a type, where it does. False when there is none.
    bool readManifest(std::map<std::string, std::size_t>& announced) const {
        if (!manifest_) return false;
        try {
            const Document document(*manifest_);
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
            spdlog::error("{}/manifest.json: {}", name_, error.what());
            return false;
        }
    }

    void reportUnassigned() {
        sqlite::Statement count(database_,
                                "SELECT COUNT(*) FROM resource WHERE patient NOT IN (SELECT id FROM patient)");
        if (count.step() && count.integer(0) > 0)
            spdlog::warn("{}: {} resources belong to no Patient of this folder", name_, count.integer(0));
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
                    const std::size_t end = std::min(refers.find(' ', begin), refers.size());
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

    const BulkFolderOptions& options_;
    const std::function<bool(Input)>& take_;
    sqlite::Connection database_{""};
    std::string name_;  ///< of the folder
    std::optional<std::string> manifest_;
    std::vector<std::string> errors_;           ///< files of "error/" that hold something
    std::map<std::string, std::size_t> lines_;  ///< by type, of those that have a file
    fhir::Coverage coverage_;
};

}  // namespace

std::string typeOfFile(const fs::path& file) {
    const std::string name = file.filename().string();
    if (!isNdjson(name)) return {};
    const fs::path folder = file.parent_path();
    if (folder == "deleted" || folder == "error") return folder.string();
    if (!folder.empty()) return {};
    for (std::size_t begin = 0; begin < name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        const std::string part = name.substr(begin, end - begin);
        const bool isType = fhir::isReadType(part) && part != "Bundle" && part != "OperationOutcome";
        if (isType) return part;
        begin = end + 1;
    }
    return {};
}

bool isBulkFolder(const fs::path& folder) {
    std::error_code error;
    if (!fs::is_directory(folder, error)) return false;
    const std::vector<fs::path> files = filesIn(folder);
    return std::any_of(files.begin(), files.end(),
                       [](const fs::path& file) { return typeOfFile(file.filename()) == "Patient"; });
}

void readBulkFolder(const fs::path& folder, const BulkFolderOptions& options, const std::function<bool(Input)>& take) {
    BulkExport exported(options, take);
    if (exported.read(folder)) exported.finish();
}

void readBulkRows(std::istream& rows, const BulkFolderOptions& options, const std::function<bool(Input)>& take) {
    BulkExport exported(options, take);
    if (exported.read(rows)) exported.finish();
}

}  // namespace cds_hooks
