#include "cds-hooks/store.h"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "fhir/json.h"
#include "tests/running.h"
#include "tests/support.h"

namespace {

using cds_hooks::Feedback;
using cds_hooks::FeedbackRow;
using support::Folder;

constexpr std::int64_t noon = 1'763'035'200;  // 2025-11-13T12:00:00Z

/// A PostgreSQL server of our own, on a socket in its folder, from first use to the end.
class Postgres {
public:
    static Postgres& only() {
        static Postgres server;
        return server;
    }
    /// The URL of a new, empty database.
    std::string database() {
        const std::string name = "test" + std::to_string(++databases_);
        run(bin_ + "createdb -U postgres -h " + folder_.string() + " " + name);
        return "postgresql://postgres@/" + name + "?host=" + folder_.string();
    }
    /// As after a crash: every connection is lost.
    void restart() {
        run(bin_ + "pg_ctl -D " + data() + " -m immediate -w stop");
        start();
    }

private:
    Postgres() {
        for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql"))
            bin_ = (entry.path() / "bin").string() + "/";
        char name[] = "/tmp/cd7match-postgres-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        folder_ = name;
        // The server refuses to be root.
        if (geteuid() == 0) {
            as_ = "runuser -u postgres -- ";
            REQUIRE_EQ(std::system(("chown postgres " + folder_.string()).c_str()), 0);
        }
        run(bin_ + "initdb -U postgres -A trust -D " + data());
        start();
    }
    ~Postgres() {
        // At the very end of the program: nothing of doctest is there any more.
        if (std::system(shell(bin_ + "pg_ctl -D " + data() + " -m immediate -w stop").c_str()) == 0)
            std::filesystem::remove_all(folder_);
    }
    std::string data() const { return (folder_ / "data").string(); }
    void start() {
        run(bin_ + "pg_ctl -D " + data() + " -w -l " + (folder_ / "log").string() + " -o \"-c listen_addresses='' -k " +
            folder_.string() + "\" start");
    }
    std::string shell(const std::string& command) const { return "cd / && " + as_ + command + " >/dev/null 2>&1"; }
    void run(const std::string& command) const { REQUIRE_MESSAGE(std::system(shell(command).c_str()) == 0, command); }

    std::filesystem::path folder_;
    std::string bin_;
    std::string as_;
    int databases_ = 0;
};

/// A new store of each kind, to be opened again by the same name.
std::vector<std::string> placesOfEachKind(const Folder& folder) {
    return {(folder / "feedback.db"), Postgres::only().database()};
}

Feedback overridden(const std::string& card, const std::string& reason, std::int64_t time = noon) {
    Feedback feedback;
    feedback.card = card;
    feedback.outcome = Feedback::Outcome::overridden;
    feedback.reason = reason;
    feedback.time = time * 1000;
    return feedback;
}
Feedback accepted(const std::string& card, std::int64_t time = noon) {
    Feedback feedback;
    feedback.card = card;
    feedback.suggestions = {"s1"};
    feedback.time = time * 1000;
    return feedback;
}

std::vector<FeedbackRow> all(const std::string& place) {
    return cds_hooks::openStore(place)->rows(support::day("2000-01-01"), support::day("2100-01-01"));
}

/// "2025-11 NCT1 3 shown 1 accepted 1 overridden", rows after each other.
std::string shown(const std::vector<FeedbackRow>& rows) {
    std::string text;
    for (const FeedbackRow& row : rows) {
        std::size_t reasons = 0;
        for (const std::size_t number : row.overridden) reasons += number;
        text += row.month + ' ' + row.trial + ' ' + std::to_string(row.shown) + ' ' + std::to_string(row.accepted) +
                ' ' + std::to_string(reasons) + '\n';
    }
    return text;
}

}  // namespace

TEST_CASE("feedback is counted by trial and month, repeats once, and the latest outcome of a card stands") {
    Folder folder;
    for (const std::string& place : placesOfEachKind(folder)) {
        CAPTURE(place);
        const auto store = cds_hooks::openStore(place);
        store->keep({"c1", "cd7-trials", noon, {{"NCT1", "candidate"}, {"NCT2", "potential-candidate"}}, ""});
        store->keep({"c2", "cd7-trials", noon, {{"NCT1", "candidate"}}, ""});
        store->keep({"c3", "cd7-trials", noon - 40 * 86'400, {{"NCT1", "candidate"}}, ""});
        CHECK_EQ(shown(all(place)), "2025-11 NCT1 2 0 0\n2025-11 NCT2 1 0 0\n2025-10 NCT1 1 0 0\n");
        for (int repeat = 0; repeat < 3; ++repeat) {
            store->keep({accepted("c1"), overridden("c2", "not-now"), overridden("unknown", "logistics")}, false);
            store->keep({"c1", "cd7-trials", noon + 9, {{"NCT1", "candidate"}}, ""});  // the same card again
        }
        CHECK_EQ(shown(all(place)), "2025-11  0 0 1\n2025-11 NCT1 2 1 1\n2025-11 NCT2 1 1 0\n2025-10 NCT1 1 0 0\n");
        // A later outcome replaces an earlier one, whichever arrives first.
        store->keep({overridden("c1", "too-unwell", noon + 60)}, false);
        store->keep({accepted("c1", noon + 30)}, false);
        store->keep({accepted("c2", noon - 30)}, false);
        Feedback sameSecond = overridden("c1", "too-unwell", noon + 60);
        sameSecond.time += 200;
        Feedback before = accepted("c1", noon + 60);
        before.time += 100;
        store->keep({sameSecond}, false);
        store->keep({before}, false);
        CHECK_EQ(shown(all(place)), "2025-11  0 0 1\n2025-11 NCT1 2 0 2\n2025-11 NCT2 1 0 1\n2025-10 NCT1 1 0 0\n");
        CHECK_EQ(shown(store->rows(support::day("2025-10-01"), support::day("2025-10-31"))), "2025-10 NCT1 1 0 0\n");
        const std::vector<FeedbackRow> rows = all(place);
        CHECK_EQ(rows[1].overridden[3], 1);  // not-now
        CHECK_EQ(rows[1].overridden[4], 1);  // too-unwell
    }
}

TEST_CASE("comments are kept only where that is asked for") {
    Folder folder;
    Feedback feedback = overridden("c1", "not-now");
    feedback.comment = "Mr Example is on holiday";
    const auto holds = [&] {
        std::string bytes;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
            bytes += support::readFile(entry.path().string());
        return bytes.find("Mr Example") != std::string::npos;
    };
    const auto store = cds_hooks::openStore((folder / "feedback.db"));
    store->keep({feedback}, false);
    CHECK_FALSE(holds());
    feedback.time += 1;
    store->keep({feedback}, true);
    CHECK(holds());
}

TEST_CASE("a store is opened again as it was, and one of a newer version is refused") {
    Folder folder;
    for (const std::string& place : placesOfEachKind(folder)) {
        CAPTURE(place);
        {
            const auto store = cds_hooks::openStore(place);
            store->keep({"c1", "cd7-trials", noon, {{"NCT1", "candidate"}}, "key"});
            store->keep({accepted("c1")}, false);
            store->markNever({overridden("c1", "never-for-this-patient")});
            store->keepLastShown("user", {noon - 1, "old"});
            store->keepLastShown("user", {noon, "print"});
        }
        const auto store = cds_hooks::openStore(place);
        CHECK_EQ(shown(all(place)), "2025-11 NCT1 1 1 0\n");
        CHECK(store->isNever("key"));
        CHECK_FALSE(store->isNever("other"));
        REQUIRE(store->lastShown("user").has_value());
        CHECK_EQ(store->lastShown("user")->time, noon);
        CHECK_EQ(store->lastShown("user")->fingerprint, "print");
        CHECK_FALSE(store->lastShown("nobody").has_value());
    }
    sqlite3* handle = nullptr;
    REQUIRE_EQ(sqlite3_open((folder / "feedback.db").c_str(), &handle), SQLITE_OK);
    REQUIRE_EQ(sqlite3_exec(handle, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(handle);
    CHECK_THROWS_WITH_AS(cds_hooks::openStore((folder / "feedback.db")),
                         doctest::Contains("is of version 99, this program knows 2"), std::runtime_error);
    CHECK_THROWS_WITH_AS(cds_hooks::openStore(folder.path() / "none" / "feedback.db"),
                         doctest::Contains("cannot be opened"), std::runtime_error);
    std::filesystem::path text = folder.path() / "text.db";
    std::ofstream(text) << std::string(5000, 'x');
    CHECK_THROWS_WITH_AS(cds_hooks::openStore(text), doctest::Contains("text.db: file is not a database"),
                         std::runtime_error);
}

TEST_CASE("a store of an older version is brought up to this one") {
    Folder folder;
    cds_hooks::openStore((folder / "feedback.db"))->keep({overridden("c1", "not-now")}, false);
    sqlite3* handle = nullptr;
    REQUIRE_EQ(sqlite3_open((folder / "feedback.db").c_str(), &handle), SQLITE_OK);
    // Version 1 kept the time of feedback in seconds.
    REQUIRE_EQ(sqlite3_exec(handle, "UPDATE feedback SET time = time / 1000; PRAGMA user_version = 1", nullptr, nullptr,
                            nullptr),
               SQLITE_OK);
    sqlite3_close(handle);
    CHECK_EQ(shown(all((folder / "feedback.db"))), "2025-11  0 0 1\n");
    CHECK_EQ(shown(all((folder / "feedback.db"))), "2025-11  0 0 1\n");  // once
}

TEST_CASE("a database that cannot be reached is said to be so, without its secret") {
    try {
        cds_hooks::openStore("postgresql://cd7:very-secret@/cd7?host=/nowhere");
        FAIL("opened");
    } catch (const std::runtime_error& error) {
        const std::string says = error.what();
        CHECK(says.starts_with("the database: "));
        CHECK_EQ(says.find("very-secret"), std::string::npos);
    }
}

TEST_CASE("tokens are known until they expire") {
    Folder folder;
    for (const std::string& place : placesOfEachKind(folder)) {
        CAPTURE(place);
        const auto store = cds_hooks::openStore(place);
        CHECK(store->remember("a", noon + 10, noon));
        CHECK_FALSE(cds_hooks::openStore(place)->remember("a", noon + 10, noon + 5));
        CHECK(store->remember("b", noon + 10, noon));
        CHECK(store->remember("a", noon + 100, noon + 11));
        CHECK_FALSE(store->remember("a", noon + 100, noon + 100));
    }
}

TEST_CASE("several stores on one place take turns and lose nothing") {
    Folder folder;
    for (const std::string& place : placesOfEachKind(folder)) {
        CAPTURE(place);
        std::vector<std::thread> threads;
        std::atomic<int> fresh = 0;
        std::atomic<int> failures = 0;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&, thread] {
                try {
                    const auto store = cds_hooks::openStore(place);
                    for (int i = 0; i < 25; ++i) {
                        const std::string card = std::to_string(thread) + '-' + std::to_string(i);
                        store->keep({card, "cd7-trials", noon, {{"NCT1", "candidate"}}, ""});
                        store->keep({accepted(card)}, false);
                        if (store->remember(std::to_string(i), noon + 10, noon)) ++fresh;
                    }
                } catch (const std::exception&) {
                    ++failures;
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CHECK_EQ(failures, 0);
        CHECK_EQ(fresh, 25);  // each token was new once
        CHECK_EQ(shown(all(place)), "2025-11 NCT1 100 100 0\n");
    }
}

TEST_CASE("a database that was away for a moment is found again, with everything that was kept") {
    const std::string place = Postgres::only().database();
    const auto store = cds_hooks::openStore(place);
    store->keep({"c1", "cd7-trials", noon, {{"NCT1", "candidate"}}, ""});
    store->keep({accepted("c1")}, false);
    Postgres::only().restart();
    store->keep({overridden("c1", "not-now", noon + 1)}, false);
    CHECK_EQ(shown(all(place)), "2025-11 NCT1 1 0 1\n");
}

TEST_CASE("two instances on one database share cards, feedback and tokens") {
    const std::string place = Postgres::only().database();
    const std::string service = "/cds-services/cd7-trials";
    support::RunningService one({"--store", place});
    support::RunningService two({"--store", place});
    const auto answer = one.post(service, support::readFile("fixtures/hooks/patient-view.json"));
    REQUIRE_EQ(answer.status, 200);
    const std::string card = answer.body.substr(answer.body.find(R"("uuid":")") + 8, 36);
    CHECK_EQ(
        two.post(service + "/feedback", R"({"feedback":[{"card":")" + card +
                                            R"(","outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00Z"}]})")
            .status,
        200);
    const std::vector<FeedbackRow> rows = all(place);
    REQUIRE_EQ(rows.size(), 4);
    for (const FeedbackRow& row : rows) CHECK_EQ(row.overridden.back(), 1);
}

TEST_CASE("feedback that was answered 200 outlives the service, whenever it is killed") {
    Folder folder;
    const std::string service = "/cds-services/cd7-trials";
    std::size_t answered = 0;
    for (int round = 0; round < 3; ++round) {
        support::RunningService running({"--store", (folder / "feedback.db").string()});
        std::atomic<bool> stop = false;
        std::atomic<std::size_t> kept = 0;
        std::thread client([&] {
            for (int i = 0; !stop; ++i) {
                const std::string card = std::to_string(round) + '-' + std::to_string(i);
                try {
                    const auto answer =
                        running.post(service + "/feedback",
                                     R"({"feedback":[{"card":")" + card +
                                         R"(","outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00Z"}]})");
                    if (answer.status == 200) ++kept;
                } catch (const std::exception&) {
                    return;  // killed in the middle
                }
            }
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(400 + 70 * round));
        running.kill();
        stop = true;
        client.join();
        answered += kept;
        CHECK_GT(kept, 0);
        std::size_t found = 0;
        for (const FeedbackRow& row : all((folder / "feedback.db"))) found += row.overridden.back();
        CHECK_GE(found, answered);
        CHECK_LE(found,
                 answered + static_cast<std::size_t>(round) + 1);  // at most one a round was not answered in time
    }
}

TEST_CASE("the service keeps cards and takes feedback on them, and the report counts both") {
    Folder folder;
    const std::string service = "/cds-services/cd7-trials";
    support::RunningService running({"--store", (folder / "feedback.db").string()});
    const auto answer = running.post(service, support::readFile("fixtures/hooks/patient-view.json"));
    REQUIRE_EQ(answer.status, 200);
    const fhir::json::Document document(answer.body);
    std::string card;
    for (const fhir::json::Value each : document.root()["cards"].items()) card = each["uuid"].text();
    const std::string body =
        R"({"feedback":[{"card":")" + card +
        R"(","outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00Z",)"
        R"("overrideReasons":{"reason":{"code":"not-now","system":"urn:cd7match:override-reason"}}}]})";
    for (int repeat = 0; repeat < 2; ++repeat) {
        const auto kept = running.post(service + "/feedback", body);
        CHECK_EQ(kept.status, 200);
        CHECK_EQ(kept.body, "");
    }
    CHECK_EQ(running.post(service + "/feedback", "{").status, 400);
    CHECK_EQ(running.post(service + "/feedback", R"({"feedback":[7]})").status, 400);
    CHECK_EQ(running.post("/cds-services/other/feedback", body).status, 404);
    CHECK_EQ(running.get(service + "/feedback").status, 405);
    CHECK_EQ(running.request("POST", service + "/feedback", body, {{"Content-Type", "text/plain"}}).status, 415);
    CHECK_EQ(support::RunningService().post(service + "/feedback", body).status, 404);  // keeps none
    std::size_t trials = 0;
    for (const FeedbackRow& row : all((folder / "feedback.db"))) {
        ++trials;
        CHECK_EQ(row.shown, 1);
        CHECK_EQ(row.overridden[3], 1);
    }
    CHECK_EQ(trials, 4);
    CHECK_NE(running.get("/metrics").body.find(R"(cd7match_feedback_total{outcome="overridden"} 2)"),
             std::string::npos);
    CHECK_EQ(running.log().find(card), std::string::npos);
}
