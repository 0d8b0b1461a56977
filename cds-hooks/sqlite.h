#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

/// SQLite, as much of it as is used here. Errors: std::runtime_error names the file and the reason.
namespace cds_hooks::sqlite {

/// One connection. Not for several threads at once.
class Connection {
public:
    /// Opens or creates a file; an empty name is a file of its own that is gone with the connection.
    explicit Connection(const std::string& file);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void run(const std::string& sql);
    [[noreturn]] void fail() const;
    [[noreturn]] void fail(const std::string& reason) const;
    sqlite3* handle() const { return handle_; }

private:
    std::string name_;
    sqlite3* handle_ = nullptr;
};

/// One statement and its values; reset() makes it ready for other ones.
class Statement {
public:
    Statement(const Connection& connection, const char* sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    Statement& text(std::string_view value);
    Statement& blob(std::string_view value);
    Statement& number(std::int64_t value);
    Statement& null();

    /// Whether there is a further row.
    bool step();
    void reset();
    std::string column(int index) const;
    std::int64_t integer(int index) const { return sqlite3_column_int64(statement_, index); }

private:
    Statement& check(int result);

    const Connection& connection_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
};

/// Everything between construction and commit, or nothing of it.
class Transaction {
public:
    explicit Transaction(Connection& connection);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit();

private:
    Connection& connection_;
    bool done_ = false;
};

}  // namespace cds_hooks::sqlite
