#include <array>
#include <mutex>
#include <stdexcept>

#include "cds-hooks/sqlite.h"
#include "cds-hooks/store_kinds.h"

namespace cds_hooks {

namespace {

/// One step for each version of the schema; the file's user_version counts those that it has taken.
constexpr std::array<const char*, 2> migrations{
    R"sql(
    CREATE TABLE card (
        uuid TEXT PRIMARY KEY,
        service TEXT NOT NULL,
        shown INTEGER NOT NULL,
        patient BLOB
    ) WITHOUT ROWID;
    CREATE INDEX card_shown ON card (shown);
    CREATE TABLE card_trial (
        card TEXT NOT NULL REFERENCES card (uuid) ON DELETE CASCADE,
        trial TEXT NOT NULL,
        status TEXT NOT NULL,
        PRIMARY KEY (card, trial)
    ) WITHOUT ROWID;
    CREATE TABLE feedback (
        card TEXT PRIMARY KEY,
        outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'overridden')),
        time INTEGER NOT NULL,
        reason TEXT NOT NULL,
        comment TEXT
    ) WITHOUT ROWID;
    CREATE TABLE accepted_suggestion (
        card TEXT NOT NULL,
        suggestion TEXT NOT NULL,
        PRIMARY KEY (card, suggestion)
    ) WITHOUT ROWID;
    CREATE TABLE last_shown (
        key BLOB PRIMARY KEY,
        time INTEGER NOT NULL,
        fingerprint TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE never (patient BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE token (
        key BLOB PRIMARY KEY,
        expiry INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX token_expiry ON token (expiry);
)sql",
    // From seconds to milliseconds: two outcomes of one second have an order.
    "UPDATE feedback SET time = time * 1000"};

using sqlite::Connection;
using sqlite::Statement;
using sqlite::Transaction;

void migrate(Connection& connection) {
    Transaction transaction(connection);  // two that open the same file at once take turns
    std::int64_t version = 0;
    {
        Statement read(connection, "PRAGMA user_version");
        if (read.step()) version = read.integer(0);
    }
    if (version > static_cast<std::int64_t>(migrations.size()))
        connection.fail("is of version " + std::to_string(version) + ", this program knows " +
                        std::to_string(migrations.size()));
    for (auto step = static_cast<std::size_t>(version); step < migrations.size(); ++step)
        connection.run(migrations[step]);
    connection.run("PRAGMA user_version = " + std::to_string(migrations.size()));
    transaction.commit();
}

class SqliteStore : public Store {
public:
    explicit SqliteStore(const std::string& file)
        : lasting_(file), soon_(file == ":memory:" ? nullptr : std::make_unique<Connection>(file)) {
        prepare(lasting_, "FULL");
        if (soon_) prepare(*soon_, "NORMAL");
        migrate(lasting_);
    }

    void keep(const ShownCard& card) override;
    void keep(const std::vector<Feedback>& feedback, bool keepComments) override;
    std::vector<FeedbackRow> rows(fhir::Date from, fhir::Date to) override;
    std::optional<LastShown> lastShown(std::string_view key) override;
    void keepLastShown(std::string_view key, const LastShown& shown) override;
    void markNever(const std::vector<Feedback>& feedback) override;
    bool isNever(std::string_view patientKey) override;
    bool remember(std::string_view key, std::int64_t expiry, std::int64_t now) override;

private:
    static void prepare(Connection& connection, const std::string& synchronous) {
        connection.run("PRAGMA journal_mode = WAL");
        connection.run("PRAGMA synchronous = " + synchronous);
        connection.run("PRAGMA foreign_keys = ON");
    }

    /// For what may reach the disk a little later.
    Connection& relaxed() { return soon_ ? *soon_ : lasting_; }

    std::mutex mutex_;
    Connection lasting_;
    std::unique_ptr<Connection> soon_;
};

void SqliteStore::keep(const ShownCard& card) {
    const std::scoped_lock lock(mutex_);
    Connection& connection = relaxed();
    Transaction transaction(connection);
    Statement insert(connection, "INSERT OR IGNORE INTO card (uuid, service, shown, patient) VALUES (?, ?, ?, ?)");
    insert.text(card.uuid).text(card.service).number(card.time);
    if (card.patientKey.empty()) {
        insert.null();
    } else {
        insert.blob(card.patientKey);
    }
    insert.step();
    for (const auto& [trial, status] : card.trials) {
        Statement row(connection, "INSERT OR IGNORE INTO card_trial (card, trial, status) VALUES (?, ?, ?)");
        row.text(card.uuid).text(trial).text(status).step();
    }
    transaction.commit();
}

void SqliteStore::keep(const std::vector<Feedback>& feedback, bool keepComments) {
    const std::scoped_lock lock(mutex_);
    Connection& connection = lasting_;
    Transaction transaction(connection);
    for (const Feedback& item : feedback) {
        Statement upsert(connection,
                         "INSERT INTO feedback (card, outcome, time, reason, comment) VALUES (?, ?, ?, ?, ?) "
                         "ON CONFLICT (card) DO UPDATE SET outcome = excluded.outcome, time = excluded.time, "
                         "reason = excluded.reason, comment = excluded.comment WHERE excluded.time > feedback.time");
        upsert.text(item.card).text(word(item.outcome)).number(item.time).text(item.reason);
        if (keepComments && !item.comment.empty()) {
            upsert.text(item.comment);
        } else {
            upsert.null();
        }
        upsert.step();
        for (const std::string& suggestion : item.suggestions) {
            Statement row(connection, "INSERT OR IGNORE INTO accepted_suggestion (card, suggestion) VALUES (?, ?)");
            row.text(item.card).text(suggestion).step();
        }
    }
    transaction.commit();
}

std::vector<FeedbackRow> SqliteStore::rows(fhir::Date from, fhir::Date to) {
    const std::scoped_lock lock(mutex_);
    Statement read(lasting_,
                   "SELECT card.shown, card_trial.trial, feedback.outcome, feedback.reason FROM card "
                   "JOIN card_trial ON card_trial.card = card.uuid LEFT JOIN feedback ON feedback.card = card.uuid "
                   "WHERE card.shown >= ?1 AND card.shown < ?2 UNION ALL "
                   "SELECT feedback.time / 1000, '', feedback.outcome, feedback.reason FROM feedback "
                   "WHERE feedback.time >= ?1 * 1000 AND feedback.time < ?2 * 1000 "
                   "AND NOT EXISTS (SELECT 1 FROM card WHERE card.uuid = feedback.card)");
    read.number(from.days() * secondsPerDay).number((to.days() + 1) * secondsPerDay);
    FeedbackTally tally;
    while (read.step()) tally.add(read.integer(0), read.column(1), read.column(2), read.column(3));
    return tally.rows();
}

std::optional<LastShown> SqliteStore::lastShown(std::string_view key) {
    const std::scoped_lock lock(mutex_);
    Statement read(relaxed(), "SELECT time, fingerprint FROM last_shown WHERE key = ?");
    if (!read.blob(key).step()) return std::nullopt;
    return LastShown{read.integer(0), read.column(1)};
}

void SqliteStore::keepLastShown(std::string_view key, const LastShown& shown) {
    const std::scoped_lock lock(mutex_);
    Statement upsert(relaxed(),
                     "INSERT INTO last_shown (key, time, fingerprint) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                     "time = excluded.time, fingerprint = excluded.fingerprint");
    upsert.blob(key).number(shown.time).text(shown.fingerprint).step();
}

void SqliteStore::markNever(const std::vector<Feedback>& feedback) {
    const std::scoped_lock lock(mutex_);
    Connection& connection = lasting_;
    Transaction transaction(connection);
    for (const Feedback& item : feedback) {
        Statement mark(connection,
                       "INSERT OR IGNORE INTO never (patient) SELECT patient FROM card WHERE uuid = ? AND patient IS "
                       "NOT NULL");
        mark.text(item.card).step();
    }
    transaction.commit();
}

bool SqliteStore::isNever(std::string_view patientKey) {
    const std::scoped_lock lock(mutex_);
    Statement read(lasting_, "SELECT 1 FROM never WHERE patient = ?");
    return read.blob(patientKey).step();
}

bool SqliteStore::remember(std::string_view key, std::int64_t expiry, std::int64_t now) {
    const std::scoped_lock lock(mutex_);
    Connection& connection = relaxed();
    Transaction transaction(connection);
    Statement(connection, "DELETE FROM token WHERE expiry < ?").number(now).step();
    Statement insert(connection, "INSERT OR IGNORE INTO token (key, expiry) VALUES (?, ?)");
    insert.blob(key).number(expiry).step();
    const bool isNew = sqlite3_changes(connection.handle()) == 1;
    transaction.commit();
    return isNew;
}

}  // namespace

std::shared_ptr<Store> openSqlite(const std::string& file) {
    return std::make_shared<SqliteStore>(file);
}

}  // namespace cds_hooks
