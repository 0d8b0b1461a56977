#include <mutex>
#include <pqxx/pqxx>
#include <stdexcept>

#include "cds-hooks/store_kinds.h"

namespace cds_hooks {

namespace {

/// The same steps as in SQLite. What is bytes there is hexadecimal here.
const std::vector<const char*> migrations{R"sql(
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
)sql"};

std::string hexadecimal(std::string_view bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4U];
        text += digits[byte & 0xFU];
    }
    return text;
}

class PostgresStore : public Store {
public:
    explicit PostgresStore(std::string url) : url_(std::move(url)) {
        within([](pqxx::work& work) { migrate(work); });
    }

    void keep(const ShownCard& card) override {
        within([&](pqxx::work& work) {
            work.exec("SET LOCAL synchronous_commit = off");
            if (card.patientKey.empty()) {
                work.exec_params(
                    "INSERT INTO cd7match_card (uuid, service, shown) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    card.uuid, card.service, card.time);
            } else {
                work.exec_params(
                    "INSERT INTO cd7match_card (uuid, service, shown, patient) VALUES ($1, $2, $3, $4) ON CONFLICT DO "
                    "NOTHING",
                    card.uuid, card.service, card.time, hexadecimal(card.patientKey));
            }
            for (const auto& [trial, status] : card.trials)
                work.exec_params(
                    "INSERT INTO cd7match_card_trial (card, trial, status) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    card.uuid, trial, status);
        });
    }

    void keep(const std::vector<Feedback>& feedback, bool keepComments) override {
        within([&](pqxx::work& work) {
            for (const Feedback& item : feedback) {
                const bool withComment = keepComments && !item.comment.empty();
                work.exec_params(
                    "INSERT INTO cd7match_feedback (card, outcome, time, reason, comment) "
                    "VALUES ($1, $2, $3, $4, NULLIF($5, '')) ON CONFLICT (card) DO UPDATE SET outcome = "
                    "excluded.outcome, "
                    "time = excluded.time, reason = excluded.reason, comment = excluded.comment "
                    "WHERE excluded.time > cd7match_feedback.time",
                    item.card, std::string(word(item.outcome)), item.time, item.reason,
                    withComment ? item.comment : std::string());
                for (const std::string& suggestion : item.suggestions)
                    work.exec_params(
                        "INSERT INTO cd7match_accepted_suggestion (card, suggestion) VALUES ($1, $2) ON CONFLICT DO "
                        "NOTHING",
                        item.card, suggestion);
            }
        });
    }

    std::vector<FeedbackRow> rows(fhir::Date from, fhir::Date to) override {
        FeedbackTally tally;
        within([&](pqxx::work& work) {
            const pqxx::result found = work.exec_params(
                "SELECT card.shown, trial.trial, COALESCE(feedback.outcome, ''), COALESCE(feedback.reason, '') "
                "FROM cd7match_card card JOIN cd7match_card_trial trial ON trial.card = card.uuid "
                "LEFT JOIN cd7match_feedback feedback ON feedback.card = card.uuid "
                "WHERE card.shown >= $1 AND card.shown < $2 UNION ALL "
                "SELECT feedback.time, '', feedback.outcome, feedback.reason FROM cd7match_feedback feedback "
                "WHERE feedback.time >= $1 AND feedback.time < $2 "
                "AND NOT EXISTS (SELECT 1 FROM cd7match_card card WHERE card.uuid = feedback.card)",
                from.days() * secondsPerDay, (to.days() + 1) * secondsPerDay);
            tally = {};
            for (const pqxx::row& row : found)
                tally.add(row[0].as<std::int64_t>(), row[1].c_str(), row[2].c_str(), row[3].c_str());
        });
        return tally.rows();
    }

    std::optional<LastShown> lastShown(std::string_view key) override {
        std::optional<LastShown> shown;
        within([&](pqxx::work& work) {
            const pqxx::result found =
                work.exec_params("SELECT time, fingerprint FROM cd7match_last_shown WHERE key = $1", hexadecimal(key));
            shown.reset();
            if (!found.empty()) shown = LastShown{found[0][0].as<std::int64_t>(), found[0][1].c_str()};
        });
        return shown;
    }

    void keepLastShown(std::string_view key, const LastShown& shown) override {
        within([&](pqxx::work& work) {
            work.exec("SET LOCAL synchronous_commit = off");
            work.exec_params(
                "INSERT INTO cd7match_last_shown (key, time, fingerprint) VALUES ($1, $2, $3) ON CONFLICT (key) DO "
                "UPDATE "
                "SET time = excluded.time, fingerprint = excluded.fingerprint",
                hexadecimal(key), shown.time, shown.fingerprint);
        });
    }

    void markNever(const std::vector<Feedback>& feedback) override {
        within([&](pqxx::work& work) {
            for (const Feedback& item : feedback)
                work.exec_params(
                    "INSERT INTO cd7match_never (patient) SELECT patient FROM cd7match_card WHERE uuid = $1 AND "
                    "patient IS "
                    "NOT NULL ON CONFLICT DO NOTHING",
                    item.card);
        });
    }

    bool isNever(std::string_view patientKey) override {
        bool never = false;
        within([&](pqxx::work& work) {
            never =
                !work.exec_params("SELECT 1 FROM cd7match_never WHERE patient = $1", hexadecimal(patientKey)).empty();
        });
        return never;
    }

    bool remember(std::string_view key, std::int64_t expiry, std::int64_t now) override {
        bool isNew = false;
        within([&](pqxx::work& work) {
            work.exec("SET LOCAL synchronous_commit = off");
            work.exec_params("DELETE FROM cd7match_token WHERE expiry < $1", now);
            isNew = work.exec_params("INSERT INTO cd7match_token (key, expiry) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                                     hexadecimal(key), expiry)
                        .affected_rows() == 1;
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
            } catch (const pqxx::broken_connection&) {
                connection_.reset();
                attempt(action);
            }
        } catch (const std::exception& error) {
            throw std::runtime_error("the database: " + std::string(error.what()));
        }
    }

    template <typename Action>
    void attempt(const Action& action) {
        if (connection_ == nullptr) connection_ = std::make_unique<pqxx::connection>(url_);
        pqxx::work work(*connection_);
        action(work);
        work.commit();
    }

    static void migrate(pqxx::work& work) {
        // Two that open the same database at once take turns.
        work.exec("SELECT pg_advisory_xact_lock(720077)");
        work.exec("CREATE TABLE IF NOT EXISTS cd7match_schema (version INTEGER NOT NULL)");
        const pqxx::result found = work.exec("SELECT version FROM cd7match_schema");
        const std::size_t version = found.empty() ? 0 : found[0][0].as<std::size_t>();
        if (version > migrations.size())
            throw std::runtime_error("is of version " + std::to_string(version) + ", this program knows " +
                                     std::to_string(migrations.size()));
        for (std::size_t step = version; step < migrations.size(); ++step) work.exec(migrations[step]);
        work.exec("DELETE FROM cd7match_schema");
        work.exec_params("INSERT INTO cd7match_schema (version) VALUES ($1)", static_cast<int>(migrations.size()));
    }

    std::string url_;
    std::mutex mutex_;
    std::unique_ptr<pqxx::connection> connection_;
};

}  // namespace

std::shared_ptr<Store> openPostgres(const std::string& url) {
    return std::make_shared<PostgresStore>(url);
}

}  // namespace cds_hooks
