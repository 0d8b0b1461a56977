#pragma once

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "cds-hooks/input.h"
#include "cds-hooks/report.h"

namespace cds_hooks {

/// What one line of a bulk export comes to, or one thing to know of the whole of it. A folder is read into these, and a
/// cluster shuffles them as text (deploy/spark/README.md).
struct BulkRow {
    /// What a row is about: folder (`name` is what it is called), line (not read yet; `name` is its type, or
    /// "deleted"), resource of the patient `key`, referenced (`key` and `name` are Type/id), broken (a line of the type
    /// `name` about the patient `key`, or whoever), deleted (`name` is Type/id, `key` the id if it is a Patient),
    /// counted (`text` is the number of lines of the type `name`), manifest (`text`), error (`name` is a file of
    /// "error/"), problem (`text` is what is wrong with a line), chart (`text` is a chart of its own).
    enum class Kind { folder, line, resource, referenced, broken, deleted, counted, manifest, error, problem, chart };

    Kind kind = Kind::line;
    std::string key{};  ///< rows of one key belong together; empty: belongs to all, or to nobody
    std::string name{};
    std::string refers{};  ///< Type/id of what a resource refers to, with spaces between
    std::size_t rank = 0;  ///< of its file in the order of the files
    Origin origin{};
    std::string text{};
};

/// One row a line, without its end: key, kind, name, refers, rank, file, line, offset, text, with tabs between. A tab,
/// a line feed or a backslash of a key, name or file stands as \t, \n or \\.
std::string rowText(const BulkRow& row);
/// Errors: std::runtime_error for anything else.
BulkRow readRow(std::string_view text);

/// Reads the lines of a bulk export, in any order, and hands out what they come to.
class BulkLines {
public:
    BulkLines(std::size_t mostBytes, std::function<void(BulkRow)> add) : mostBytes_(mostBytes), add_(std::move(add)) {}

    /// A line of a file of the type `name`, or of "deleted". A problem in it is handed out as a row.
    void read(BulkRow line);
    /// The same for what could not be read at all: its problem is given.
    void fail(BulkRow line, const std::string& problem);
    /// Hands out how many lines of each type there were.
    void finish() const;

private:
    void readResource(BulkRow& line);
    void readDeleted(const BulkRow& line);

    std::size_t mostBytes_;
    std::function<void(BulkRow)> add_;
    std::map<std::string, std::size_t> lines_;
};

/// Reads rows that are lines, and writes what they come to. Errors: std::runtime_error when that cannot be written, and
/// for what is no row.
void readBulkLines(std::istream& rows, std::size_t mostBytes, std::ostream& out);

}  // namespace cds_hooks
