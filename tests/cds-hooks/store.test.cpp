#include "cds-hooks/store.h"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
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
using cds_hooks::Store;

constexpr std::int64_t noon = 1'763'035'200;  // 2025-11-13T12:00:00Z

/// A folder of its own, gone at the end.
class Folder {
public:
    Folder() {
        char name[] = "/tmp/cd7match-store-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::filesystem::path file() const { return path_ / "feedback.db"; }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

Feedback overridden(const std::string& card, const std::string& reason, std::int64_t time = noon) {
    Feedback feedback;
    feedback.card = card;
    feedback.outcome = Feedback::Outcome::overridden;
    feedback.reason = reason;
    feedback.time = time;
    return feedback;
}
Feedback accepted(const std::string& card, std::int64_t time = noon) {
    Feedback feedback;
    feedback.card = card;
    feedback.suggestions = {"s1"};
    feedback.time = time;
    return feedback;
}

std::vector<FeedbackRow> all(const Store& store) {
    return store.rows(support::day("2000-01-01"), support::day("2100-01-01"));
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
    Store store(folder.file());
    store.keep({"c1", "cd7-trials", noon, {{"NCT1", "candidate"}, {"NCT2", "potential-candidate"}}, ""});
    store.keep({"c2", "cd7-trials", noon, {{"NCT1", "candidate"}}, ""});
    store.keep({"c3", "cd7-trials", noon - 40 * 86'400, {{"NCT1", "candidate"}}, ""});
    CHECK_EQ(shown(all(store)), "2025-11 NCT1 2 0 0\n2025-11 NCT2 1 0 0\n2025-10 NCT1 1 0 0\n");
    for (int repeat = 0; repeat < 3; ++repeat) {
        store.keep({accepted("c1"), overridden("c2", "not-now"), overridden("unknown", "logistics")}, false);
        store.keep({"c1", "cd7-trials", noon + 9, {{"NCT1", "candidate"}}, ""});  // the same card again
    }
    CHECK_EQ(shown(all(store)), "2025-11  0 0 1\n2025-11 NCT1 2 1 1\n2025-11 NCT2 1 1 0\n2025-10 NCT1 1 0 0\n");
    // A later outcome replaces an earlier one, whichever arrives first.
    store.keep({overridden("c1", "too-unwell", noon + 60)}, false);
    store.keep({accepted("c1", noon + 30)}, false);
    store.keep({accepted("c2", noon - 30)}, false);
    CHECK_EQ(shown(all(store)), "2025-11  0 0 1\n2025-11 NCT1 2 0 2\n2025-11 NCT2 1 0 1\n2025-10 NCT1 1 0 0\n");
    CHECK_EQ(shown(store.rows(support::day("2025-10-01"), support::day("2025-10-31"))), "2025-10 NCT1 1 0 0\n");
    const std::vector<FeedbackRow> rows = all(store);
    CHECK_EQ(rows[1].overridden[3], 1);  // not-now
    CHECK_EQ(rows[1].overridden[4], 1);  // too-unwell
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
    {
        Store store(folder.file());
        store.keep({feedback}, false);
        CHECK_FALSE(holds());
        feedback.time += 1;
        store.keep({feedback}, true);
        CHECK(holds());
    }
}

TEST_CASE("a store is opened again as it was, and one of a newer version is refused") {
    Folder folder;
    {
        Store store(folder.file());
        store.keep({"c1", "cd7-trials", noon, {{"NCT1", "candidate"}}, "key"});
        store.keep({accepted("c1")}, false);
        store.markNever({overridden("c1", "never-for-this-patient")});
        store.keepLastShown("user", {noon, "print"});
    }
    {
        Store store(folder.file());
        CHECK_EQ(shown(all(store)), "2025-11 NCT1 1 1 0\n");
        CHECK(store.isNever("key"));
        CHECK_FALSE(store.isNever("other"));
        REQUIRE(store.lastShown("user").has_value());
        CHECK_EQ(store.lastShown("user")->time, noon);
        CHECK_EQ(store.lastShown("user")->fingerprint, "print");
        CHECK_FALSE(store.lastShown("nobody").has_value());
    }
    sqlite3* handle = nullptr;
    REQUIRE_EQ(sqlite3_open(folder.file().c_str(), &handle), SQLITE_OK);
    REQUIRE_EQ(sqlite3_exec(handle, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(handle);
    CHECK_THROWS_WITH_AS(Store(folder.file()), doctest::Contains("is of version 99, this program knows 1"),
                         std::runtime_error);
    CHECK_THROWS_WITH_AS(Store(folder.path() / "none" / "feedback.db"), doctest::Contains("cannot be opened"),
                         std::runtime_error);
    std::filesystem::path text = folder.path() / "text.db";
    std::ofstream(text) << std::string(5000, 'x');
    CHECK_THROWS_WITH_AS(Store{text}, doctest::Contains("text.db: file is not a database"), std::runtime_error);
}

TEST_CASE("tokens are known until they expire") {
    Store store(":memory:");
    CHECK(store.remember("a", noon + 10, noon));
    CHECK_FALSE(store.remember("a", noon + 10, noon + 5));
    CHECK(store.remember("b", noon + 10, noon));
    CHECK(store.remember("a", noon + 100, noon + 11));
    CHECK_FALSE(store.remember("a", noon + 100, noon + 100));
}

TEST_CASE("several stores on one file take turns and lose nothing") {
    Folder folder;
    std::vector<std::thread> threads;
    std::atomic<int> fresh = 0;
    std::atomic<int> failures = 0;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            try {
                Store store(folder.file());
                for (int i = 0; i < 25; ++i) {
                    const std::string card = std::to_string(thread) + '-' + std::to_string(i);
                    store.keep({card, "cd7-trials", noon, {{"NCT1", "candidate"}}, ""});
                    store.keep({accepted(card)}, false);
                    if (store.remember(std::to_string(i), noon + 10, noon)) ++fresh;
                }
            } catch (const std::exception&) {
                ++failures;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(failures, 0);
    CHECK_EQ(fresh, 25);  // each token was new once
    CHECK_EQ(shown(all(Store(folder.file()))), "2025-11 NCT1 100 100 0\n");
}

TEST_CASE("feedback that was answered 200 outlives the service, whenever it is killed") {
    Folder folder;
    const std::string service = "/cds-services/cd7-trials";
    std::size_t answered = 0;
    for (int round = 0; round < 3; ++round) {
        support::RunningService running({"--store", folder.file().string()});
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
        std::this_thread::sleep_for(std::chrono::milliseconds(150 + 70 * round));
        running.kill();
        stop = true;
        client.join();
        answered += kept;
        CHECK_GT(kept, 0);
        std::size_t found = 0;
        for (const FeedbackRow& row : all(Store(folder.file()))) found += row.overridden.back();
        CHECK_GE(found, answered);
        CHECK_LE(found,
                 answered + static_cast<std::size_t>(round) + 1);  // at most one a round was not answered in time
    }
}

TEST_CASE("the service keeps cards and takes feedback on them, and the report counts both") {
    Folder folder;
    const std::string service = "/cds-services/cd7-trials";
    support::RunningService running({"--store", folder.file().string()});
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
    for (const FeedbackRow& row : all(Store(folder.file()))) {
        ++trials;
        CHECK_EQ(row.shown, 1);
        CHECK_EQ(row.overridden[3], 1);
    }
    CHECK_EQ(trials, 4);
    CHECK_NE(running.get("/metrics").body.find(R"(cd7match_feedback_total{outcome="overridden"} 2)"),
             std::string::npos);
    CHECK_EQ(running.log().find(card), std::string::npos);
}
