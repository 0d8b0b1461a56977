#include "cds-hooks/bulk_row.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <istream>
#include <ostream>
#include <set>
#include <stdexcept>
#include <utility>

#include "fhir/bundle.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "fhir/resource_type.h"

namespace cds_hooks {

using fhir::json::Document;
using fhir::json::Value;

namespace {

/// In the order of BulkRow::Kind.
constexpr std::array<std::string_view, 11> kindWords{"folder", "line",    "resource", "referenced",
                                                     "broken", "deleted", "counted",  "manifest",
                                                     "error",  "problem", "chart"};

void appendField(std::string& text, std::string_view field) {
    for (const char c : field) {
        if (c == '\t' || c == '\n' || c == '\\') text += '\\';
        text += c == '\t' ? 't' : c == '\n' ? 'n' : c;
    }
    text += '\t';
}

[[noreturn]] void failAsRow(const std::string& why) {
    throw std::runtime_error("a row of a bulk export " + why + "; deploy/spark/README.md says what rows are");
}

/// Cuts off the next field.
std::string_view cutField(std::string_view& text) {
    const std::size_t end = text.find('\t');
    if (end == std::string_view::npos) failAsRow("has too few fields");
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(end + 1);
    return field;
}

std::string cutText(std::string_view& text) {
    std::string field(cutField(text));
    std::size_t kept = 0;
    for (std::size_t at = 0; at < field.size(); ++at, ++kept) {
        if (field[at] == '\\' && at + 1 < field.size()) {
            const char c = field[++at];
            field[kept] = c == 't' ? '\t' : c == 'n' ? '\n' : c;
        } else {
            field[kept] = field[at];
        }
    }
    field.resize(kept);
    return field;
}

std::size_t cutNumber(std::string_view& text) {
    const std::string_view field = cutField(text);
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
    if (error != std::errc() || end != field.data() + field.size()) failAsRow("has no number where one belongs");
    return number;
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

constexpr std::string_view deletedType = "deleted";

}  // namespace

std::string rowText(const BulkRow& row) {
    std::string text;
    text.reserve(row.text.size() + 160);
    appendField(text, row.key);
    appendField(text, kindWords.at(static_cast<std::size_t>(row.kind)));
    appendField(text, row.name);
    appendField(text, row.refers);
    appendField(text, std::to_string(row.rank));
    appendField(text, row.origin.file);
    appendField(text, std::to_string(row.origin.line));
    appendField(text, std::to_string(row.origin.offset));
    return text += row.text;
}

BulkRow readRow(std::string_view text) {
    BulkRow row;
    row.key = cutText(text);
    const auto kind = std::find(kindWords.begin(), kindWords.end(), cutField(text));
    if (kind == kindWords.end()) failAsRow("is of an unknown kind");
    row.kind = static_cast<BulkRow::Kind>(kind - kindWords.begin());
    row.name = cutText(text);
    row.refers = cutText(text);
    row.rank = cutNumber(text);
    row.origin.file = cutText(text);
    row.origin.line = cutNumber(text);
    row.origin.offset = cutNumber(text);
    row.text = text;
    return row;
}

void BulkLines::read(BulkRow line) {
    if (line.text.size() > mostBytes_) {
        line.text.clear();
        return fail(std::move(line), "larger than the limit of " + std::to_string(mostBytes_) + " bytes");
    }
    try {
        line.name == deletedType ? readDeleted(line) : readResource(line);
    } catch (const fhir::Error& error) {
        fail(std::move(line), error.what());
    }
}

void BulkLines::fail(BulkRow line, const std::string& problem) {
    if (line.name != deletedType) {
        ++lines_[line.name];  // it is there, and counted as what the manifest counts
        add_({BulkRow::Kind::broken, patientInText(line.text), line.name});
    }
    line.kind = BulkRow::Kind::problem;
    line.text = problem;
    add_(std::move(line));
}

void BulkLines::finish() const {
    for (const auto& [type, count] : lines_) {
        BulkRow row{BulkRow::Kind::counted, {}, type};
        row.text = std::to_string(count);
        add_(std::move(row));
    }
}

void BulkLines::readResource(BulkRow& line) {
    fhir::json::Limits limits;
    limits.bytes = mostBytes_;
    const Document document(line.text, fhir::json::Selection::elements, limits);
    const Value root = document.root();
    const std::string type = line.name;
    const std::string_view id = root["id"].text();
    if (root["resourceType"].text() != type) throw fhir::Error("resourceType", "is not that of the file");
    if (type == "Patient" && id.empty()) throw fhir::Error("id", "is missing");
    line.name = type + '/' + std::string(id);
    if (fhir::isOneOf(fhir::referencedTypes, type)) {
        line.kind = BulkRow::Kind::referenced;
        line.key = line.name;
    } else {
        line.kind = BulkRow::Kind::resource;
        line.key = type == "Patient" ? id : patientId(fhir::subjectOf(root)["reference"].text());
        for (const std::string& each : fhir::referencesOf(root, {}))
            line.refers += (line.refers.empty() ? "" : " ") + each;
        if (line.key.empty()) line.text.clear();  // nobody's: it is only counted
    }
    ++lines_[type];
    add_(std::move(line));
}

void BulkLines::readDeleted(const BulkRow& line) {
    const Document document(line.text);
    for (const Value entry : document.root()["entry"].items()) {
        if (entry["request"]["method"].text() != "DELETE") continue;
        const std::string name(entry["request"]["url"].text());
        add_({BulkRow::Kind::deleted, std::string(name.starts_with("Patient/") ? patientId(name) : ""), name});
    }
}

void readBulkLines(std::istream& rows, std::size_t mostBytes, std::ostream& out) {
    BulkLines lines(mostBytes, [&](const BulkRow& row) { out << rowText(row) << '\n'; });
    for (std::string text; out && std::getline(rows, text);) {
        BulkRow row = readRow(text);
        if (row.kind != BulkRow::Kind::line) failAsRow("is no line");
        lines.read(std::move(row));
    }
    lines.finish();
    out.flush();
    if (!out || rows.bad()) throw std::runtime_error("rows cannot be read or written");
}

}  // namespace cds_hooks
