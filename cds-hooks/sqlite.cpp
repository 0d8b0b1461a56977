#include "cds-hooks/sqlite.h"

#include <stdexcept>

namespace cds_hooks::sqlite {

namespace {

constexpr int busyMilliseconds = 5000;

}  // namespace

Connection::Connection(const std::string& file) : name_(file) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(name_.c_str(), &handle_, flags, nullptr) != SQLITE_OK) {
        const std::string reason = handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_);
        sqlite3_close(handle_);
        throw std::runtime_error(name_ + ": cannot be opened: " + reason);
    }
    sqlite3_busy_timeout(handle_, busyMilliseconds);
}

Connection::~Connection() {
    sqlite3_close(handle_);
}

void Connection::run(const std::string& sql) {
    if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

void Connection::fail() const {
    fail(sqlite3_errmsg(handle_));
}

void Connection::fail(const std::string& reason) const {
    throw std::runtime_error((name_.empty() ? "the temporary file" : name_) + ": " + reason);
}

Statement::Statement(const Connection& connection, const char* sql) : connection_(connection) {
    if (sqlite3_prepare_v2(connection.handle(), sql, -1, &statement_, nullptr) != SQLITE_OK) connection.fail();
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

Statement& Statement::text(std::string_view value) {
    return check(sqlite3_bind_text64(statement_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

Statement& Statement::blob(std::string_view value) {
    return check(sqlite3_bind_blob64(statement_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT));
}

Statement& Statement::number(std::int64_t value) {
    return check(sqlite3_bind_int64(statement_, ++bound_, value));
}

Statement& Statement::null() {
    return check(sqlite3_bind_null(statement_, ++bound_));
}

bool Statement::step() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) connection_.fail();
    return result == SQLITE_ROW;
}

void Statement::reset() {
    sqlite3_reset(statement_);
    bound_ = 0;
}

std::string Statement::column(int index) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, index));
    return {bytes == nullptr ? "" : bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, index))};
}

Statement& Statement::check(int result) {
    if (result != SQLITE_OK) connection_.fail();
    return *this;
}

Transaction::Transaction(Connection& connection) : connection_(connection) {
    connection.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
    if (!done_) sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
    connection_.run("COMMIT");
    done_ = true;
}

}  // namespace cds_hooks::sqlite
