#include <libpq-fe.h>

#include <array>
#include <initializer_list>
#include <mutex>
#include <stdexcept>

#include "cds-hooks/digest.h"
#include "cds-hooks/store_kinds.h"

namespace cds_hooks {

namespace {

/// The same steps as in SQLite. What is bytes there is hexadecimal here.
const std::vector<const char*> migrations{
    R"sql(
    CREATE TABLE cd7match_card (
        uuid TEXT PRIMARY KEY,
        service TEXT NOT NULL,
        shown BIGINT NOT NULL,
        patient TEXT
    );
    CREATE INDEX cd7match_card_shown ON cd7match_card (shown);
    CREATE TABLE cd7match_card_trial (
        card TEXT NOT NULL REFERENCES cd7match_card (uuid) ON DELETE CASCADE,
        trial TEXT NOT NULL,
        status TEXT NOT NULL,
        PRIMARY KEY (card, trial)
    );
    CREATE TABLE cd7match_feedback (
        card TEXT PRIMARY KEY,
        outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'overridden')),
        time BIGINT NOT NULL,
        reason TEXT NOT NULL,
        comment TEXT
    );
    CREATE TABLE cd7match_accepted_suggestion (
        card TEXT NOT NULL,
        suggestion TEXT NOT NULL,
        PRIMARY KEY (card, suggestion)
    );
    CREATE TABLE cd7match_last_shown (
        key TEXT PRIMARY KEY,
        time BIGINT NOT NULL,
        fingerprint TEXT NOT NULL
    );
    CREATE TABLE cd7match_never (patient TEXT PRIMARY KEY);
    CREATE TABLE cd7match_token (
        key TEXT PRIMARY KEY,
        expiry BIGINT NOT NULL
    );
    CREATE INDEX cd7match_token_expiry ON cd7match_token (expiry);
)sql",
    "UPDATE cd7match_feedback SET time = time * 1000"};

/// The connection is gone; what was not committed has not happened.
struct Lost : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct CloseConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, CloseConnection>;

/// What a statement has answered.
class Result {
public:
    explicit Result(PGresult* result) : result_(result, PQclear) {}

    bool isSound() const {
        const ExecStatusType status = PQresultStatus(result_.get());
        return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    }
    /// Whether it failed because there is no server any more: libpq itself says so, or the server's last word does
    /// (PostgreSQL, error codes: class 08 connection exception, 57P operator intervention).
    bool isLost() const {
        const char* const code = PQresultErrorField(result_.get(), PG_DIAG_SQLSTATE);
        return code == nullptr || std::string_view(code).starts_with("08") || std::string_view(code).starts_with("57P");
    }
    int rows() const { return PQntuples(result_.get()); }
    std::string text(int row, int column) const { return PQgetvalue(result_.get(), row, column); }
    std::int64_t number(int row, int column) const { return std::stoll(text(row, column)); }
    bool hasChanged() const { return std::string_view(PQcmdTuples(result_.get())) == "1"; }

private:
    std::unique_ptr<PGresult, void (*)(PGresult*)> result_;
};

std::string text(std::int64_t number) {
    return std::to_string(number);
}

/// Everything between construction and commit, or nothing of it.
class Transaction {
public:
    explicit Transaction(PGconn* connection) : connection_(connection) { run("BEGIN"); }
    ~Transaction() {
        if (!done_) PQclear(PQexec(connection_, "ROLLBACK"));
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    /// One statement with its values as text.
    Result run(const char* sql, std::initializer_list<std::string> values = {}) {
        std::vector<const char*> pointers;
        for (const std::string& value : values) pointers.push_back(value.c_str());
        Result result(PQexecParams(connection_, sql, static_cast<int>(pointers.size()), nullptr, pointers.data(),
                                   nullptr, nullptr, 0));
        return sound(std::move(result));
    }
    /// Several statements without values.
    void runAll(const char* sql) { sound(Result(PQexec(connection_, sql))); }

    void commit() {
        run("COMMIT");
        done_ = true;
    }

private:
    Result sound(Result result) const {
        if (result.isSound()) return result;
        const std::string reason = PQerrorMessage(connection_);
        if (PQstatus(connection_) != CONNECTION_OK || result.isLost()) throw Lost(reason);
        throw std::runtime_error(reason);
    }

    PGconn* connection_;
    bool done_ = false;
};

class PostgresStore : public Store {
public:
    explicit PostgresStore(std::string url) : url_(std::move(url)) {
        within([](Transaction& work) { migrate(work); });
    }

    void keep(const ShownCard& card) override {
        within([&](Transaction& work) {
            work.run("SET LOCAL synchronous_commit = off");
            if (card.patientKey.empty()) {
                work.run("INSERT INTO cd7match_card (uuid, service, shown) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                         {card.uuid, card.service, text(card.time)});
            } else {
                work.run(
                    "INSERT INTO cd7match_card (uuid, service, shown, patient) VALUES ($1, $2, $3, $4) ON CONFLICT DO "
                    "NOTHING",
                    {card.uuid, card.service, text(card.time), hexadecimal(card.patientKey)});
            }
            for (const auto& [trial, status] : card.trials)
                work.run(
                    "INSERT INTO cd7match_card_trial (card, trial, status) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    {card.uuid, trial, status});
        });
    }

    void keep(const std::vector<Feedback>& feedback, bool keepComments) override {
        within([&](Transaction& work) {
            for (const Feedback& item : feedback) {
                const bool withComment = keepComments && !item.comment.empty();
                work.run(
                    "INSERT INTO cd7match_feedback (card, outcome, time, reason, comment) "
                    "VALUES ($1, $2, $3, $4, NULLIF($5, '')) ON CONFLICT (card) DO UPDATE SET outcome = "
                    "excluded.outcome, "
                    "time = excluded.time, reason = excluded.reason, comment = excluded.comment "
                    "WHERE excluded.time > cd7match_feedback.time",
                    {item.card, std::string(word(item.outcome)), text(item.time), item.reason,
                     withComment ? item.comment : std::string()});
                for (const std::string& suggestion : item.suggestions)
                    work.run(
                        "INSERT INTO cd7match_accepted_suggestion (card, suggestion) VALUES ($1, $2) ON CONFLICT DO "
                        "NOTHING",
                        {item.card, suggestion});
            }
        });
    }

    std::vector<FeedbackRow> rows(fhir::Date from, fhir::Date to) override {
        FeedbackTally tally;
        within([&](Transaction& work) {
            const Result found = work.run(
                "SELECT card.shown, trial.trial, COALESCE(feedback.outcome, ''), COALESCE(feedback.reason, '') "
                "FROM cd7match_card card JOIN cd7match_card_trial trial ON trial.card = card.uuid "
                "LEFT JOIN cd7match_feedback feedback ON feedback.card = card.uuid "
                "WHERE card.shown >= $1 AND card.shown < $2 UNION ALL "
                "SELECT feedback.time / 1000, '', feedback.outcome, feedback.reason FROM cd7match_feedback feedback "
                "WHERE feedback.time >= $1 * 1000 AND feedback.time < $2 * 1000 "
                "AND NOT EXISTS (SELECT 1 FROM cd7match_card card WHERE card.uuid = feedback.card)",
                {text(from.days() * secondsPerDay), text((to.days() + 1) * secondsPerDay)});
            tally = {};
            for (int row = 0; row < found.rows(); ++row)
                tally.add(found.number(row, 0), found.text(row, 1), found.text(row, 2), found.text(row, 3));
        });
        return tally.rows();
    }

    std::optional<LastShown> lastShown(std::string_view key) override {
        std::optional<LastShown> shown;
        within([&](Transaction& work) {
            const Result found =
                work.run("SELECT time, fingerprint FROM cd7match_last_shown WHERE key = $1", {hexadecimal(key)});
            shown.reset();
            if (found.rows() > 0) shown = LastShown{found.number(0, 0), found.text(0, 1)};
        });
        return shown;
    }

    void keepLastShown(std::string_view key, const LastShown& shown) override {
        within([&](Transaction& work) {
            work.run("SET LOCAL synchronous_commit = off");
            work.run(
                "INSERT INTO cd7match_last_shown (key, time, fingerprint) VALUES ($1, $2, $3) ON CONFLICT (key) DO "
                "UPDATE "
                "SET time = excluded.time, fingerprint = excluded.fingerprint",
                {hexadecimal(key), text(shown.time), shown.fingerprint});
        });
    }

    void markNever(const std::vector<Feedback>& feedback) override {
        within([&](Transaction& work) {
            for (const Feedback& item : feedback)
                work.run(
                    "INSERT INTO cd7match_never (patient) SELECT patient FROM cd7match_card WHERE uuid = $1 AND "
                    "patient IS "
                    "NOT NULL ON CONFLICT DO NOTHING",
                    {item.card});
        });
    }

    bool isNever(std::string_view patientKey) override {
        bool never = false;
        within([&](Transaction& work) {
            never = work.run("SELECT 1 FROM cd7match_never WHERE patient = $1", {hexadecimal(patientKey)}).rows() > 0;
        });
        return never;
    }

    bool remember(std::string_view key, std::int64_t expiry, std::int64_t now) override {
        bool isNew = false;
        within([&](Transaction& work) {
            work.run("SET LOCAL synchronous_commit = off");
            work.run("DELETE FROM cd7match_token WHERE expiry < $1", {text(now)});
            isNew = work.run("INSERT INTO cd7match_token (key, expiry) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                             {hexadecimal(key), text(expiry)})
                        .hasChanged();
        });
        return isNew;
    }

private:
    /// One transaction; the whole of it once more when the connection turns out to be lost before it is committed.
    template <typename Action>
    void within(const Action& action) {
        const std::scoped_lock lock(mutex_);
        try {
            try {
                attempt(action);
            } catch (const Lost&) {
                connection_.reset();
                attempt(action);
            }
        } catch (const std::exception& error) {
            throw std::runtime_error("the database: " + std::string(error.what()));
        }
    }

    template <typename Action>
    void attempt(const Action& action) {
        if (connection_ == nullptr) {
            // What the URL says of these counts; without it nobody waits for ever, nor for a network that fell silent.
            const std::array<const char*, 8> names{
                "connect_timeout",     "options",          "tcp_user_timeout", "keepalives_idle",
                "keepalives_interval", "keepalives_count", "dbname",           nullptr};
            const std::array<const char*, 8> values{
                "5", "-c statement_timeout=5000", "5000", "5", "2", "2", url_.c_str(), nullptr};
            Connection fresh(PQconnectdbParams(names.data(), values.data(), 1));
            if (PQstatus(fresh.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(fresh.get()));
            PQsetNoticeProcessor(
                fresh.get(), [](void*, const char*) {}, nullptr);
            connection_ = std::move(fresh);
        }
        Transaction work(connection_.get());
        action(work);
        work.commit();
    }

    static void migrate(Transaction& work) {
        // Two that open the same database at once take turns.
        work.run("SELECT pg_advisory_xact_lock(720077)");
        work.run("CREATE TABLE IF NOT EXISTS cd7match_schema (version INTEGER NOT NULL)");
        const Result found = work.run("SELECT version FROM cd7match_schema");
        const std::size_t version = found.rows() == 0 ? 0 : static_cast<std::size_t>(found.number(0, 0));
        if (version > migrations.size())
            throw std::runtime_error("is of version " + std::to_string(version) + ", this program knows " +
                                     std::to_string(migrations.size()));
        for (std::size_t step = version; step < migrations.size(); ++step) work.runAll(migrations[step]);
        work.run("DELETE FROM cd7match_schema");
        work.run("INSERT INTO cd7match_schema (version) VALUES ($1)",
                 {text(static_cast<std::int64_t>(migrations.size()))});
    }

    std::string url_;
    std::mutex mutex_;
    Connection connection_;
};

}  // namespace

std::shared_ptr<Store> openPostgres(const std::string& url) {
    return std::make_shared<PostgresStore>(url);
}

}  // namespace cds_hooks
