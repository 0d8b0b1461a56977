#include "cds-hooks/throttle.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/running.h"
#include "tests/support.h"

namespace {

using cds_hooks::Feedback;

constexpr std::int64_t noon = 1'763'035'200;  // 2025-11-13T12:00:00Z
constexpr std::int64_t day = 86'400;
const std::string secret = "0123456789abcdef0123456789abcdef";

/// Trials of a made-up card.
struct Made {
    std::vector<std::unique_ptr<rules::Trial>> trials;
    std::vector<std::unique_ptr<rules::Evaluation>> evaluations;

    Made& with(const std::string& id, rules::Status status, const std::string& clearsOn = {}) {
        trials.push_back(std::make_unique<rules::Trial>());
        trials.back()->id = id;
        evaluations.push_back(std::make_unique<rules::Evaluation>());
        evaluations.back()->trial = trials.back().get();
        evaluations.back()->status = status;
        rules::Outcome& outcome = evaluations.back()->outcomes.emplace_back();
        if (!clearsOn.empty()) outcome.clearsOn = support::day(clearsOn);
        evaluations.back()->findings.push_back({nullptr, outcome});
        return *this;
    }

    cds_hooks::Showing showing(const std::string& patient = "p1", const std::string& user = "Practitioner/1") const {
        cds_hooks::Showing showing{&cds_hooks::services().front(), "card", patient, user, {}};
        for (const auto& evaluation : evaluations) showing.trials.push_back(evaluation.get());
        return showing;
    }
};

Made possible() {
    Made made;
    made.with("NCT1", rules::Status::potentialCandidate);
    return made;
}

fhir::Date dayOf(std::int64_t time) {
    return fhir::Date::ofDays(static_cast<std::int32_t>(time / day));
}

}  // namespace

TEST_CASE("a card is shown to a user for a patient once in so many days") {
    const auto store = cds_hooks::openStore(":memory:");
    cds_hooks::Throttle throttle(*store, secret, 7);
    const Made made = possible();
    const auto may = [&](std::int64_t time, const std::string& patient = "p1",
                         const std::string& user = "Practitioner/1") {
        return throttle.mayShow(made.showing(patient, user), dayOf(time), time);
    };
    CHECK(may(noon));
    CHECK_FALSE(may(noon + 1));
    CHECK_FALSE(may(noon + 7 * day - 1));
    CHECK(may(noon + 7 * day));
    CHECK_FALSE(may(noon + 8 * day));
    CHECK(may(noon, "p2"));
    CHECK(may(noon, "p1", "Practitioner/2"));
    CHECK_FALSE(may(noon, "p1", "Practitioner/2"));
}

TEST_CASE("something new is shown at once: a trial, a better status, a wash-out that is over") {
    struct Row {
        const char* name;
        Made before, after;
        std::int64_t later;
        bool shown;
    };
    using rules::Status;
    std::vector<Row> rows;
    const auto add = [&](const char* name, bool shown, std::int64_t later = 1) -> Row& {
        rows.push_back({name, {}, {}, later, shown});
        return rows.back();
    };
    const auto fill = [](Row& row, const std::function<void(Made&, Made&)>& with) { with(row.before, row.after); };
    fill(add("the same", false), [](Made& b, Made& a) {
        b.with("NCT1", Status::potentialCandidate);
        a.with("NCT1", Status::potentialCandidate);
    });
    fill(add("a trial more", true), [](Made& b, Made& a) {
        b.with("NCT1", Status::potentialCandidate);
        a.with("NCT1", Status::potentialCandidate).with("NCT2", Status::potentialCandidate);
    });
    fill(add("a trial less", false), [](Made& b, Made& a) {
        b.with("NCT1", Status::potentialCandidate).with("NCT2", Status::potentialCandidate);
        a.with("NCT1", Status::potentialCandidate);
    });
    fill(add("better", true), [](Made& b, Made& a) {
        b.with("NCT1", Status::potentialCandidate);
        a.with("NCT1", Status::candidate);
    });
    fill(add("worse", false), [](Made& b, Made& a) {
        b.with("NCT1", Status::candidate);
        a.with("NCT1", Status::potentialCandidate);
    });
    fill(add("still washing out", false), [](Made& b, Made& a) {
        b.with("NCT1", Status::potentialCandidate, "2025-11-15");
        a.with("NCT1", Status::potentialCandidate, "2025-11-15");
    });
    fill(add("washed out", true, 2 * day), [](Made& b, Made& a) {
        b.with("NCT1", Status::potentialCandidate, "2025-11-15");
        a.with("NCT1", Status::potentialCandidate);
    });
    fill(add("the day before", false, day), [](Made& b, Made& a) {
        b.with("NCT1", Status::potentialCandidate, "2025-11-15");
        a.with("NCT1", Status::potentialCandidate, "2025-11-15");
    });
    for (const Row& row : rows) {
        CAPTURE(row.name);
        const auto store = cds_hooks::openStore(":memory:");
        cds_hooks::Throttle throttle(*store, secret, 30);
        CHECK(throttle.mayShow(row.before.showing(), dayOf(noon), noon));
        CHECK_EQ(throttle.mayShow(row.after.showing(), dayOf(noon + row.later), noon + row.later), row.shown);
        // What was shown is known from then on.
        CHECK_FALSE(throttle.mayShow(row.after.showing(), dayOf(noon + row.later), noon + row.later + 1));
    }
}

TEST_CASE("never for this patient is never, for every user, and for nobody else") {
    const auto store = cds_hooks::openStore(":memory:");
    cds_hooks::Throttle throttle(*store, secret, 7);
    const Made made = possible();
    store->keep({"card", "cd7-trials", noon, {{"NCT1", "candidate"}}, throttle.patientKey("p1")});
    Feedback feedback;
    feedback.card = "card";
    feedback.outcome = Feedback::Outcome::overridden;
    feedback.reason = "not-now";
    throttle.listen({feedback});
    CHECK(throttle.mayShow(made.showing(), dayOf(noon), noon));
    feedback.reason = "never-for-this-patient";
    throttle.listen({feedback});
    CHECK_FALSE(throttle.mayShow(made.showing("p1", "Practitioner/2"), dayOf(noon), noon));
    CHECK_FALSE(throttle.mayShow(made.showing("p1"), dayOf(noon + 900 * day), noon + 900 * day));
    CHECK(throttle.mayShow(made.showing("p2"), dayOf(noon), noon));
}

TEST_CASE("the throttle keeps no identifier, and another secret finds nothing") {
    const support::Folder folder;
    const Made made = possible();
    {
        const auto store = cds_hooks::openStore(folder / "t.db");
        cds_hooks::Throttle throttle(*store, secret, 7);
        CHECK(throttle.mayShow(made.showing("patient-4711", "Practitioner/jane-doe"), dayOf(noon), noon));
        store->keep({"card", "cd7-trials", noon, {}, throttle.patientKey("patient-4711")});
        std::size_t files = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
            ++files;
            const std::string bytes = support::readFile(entry.path().string());
            for (const char* identifier : {"4711", "jane", "doe"}) CHECK_EQ(bytes.find(identifier), std::string::npos);
        }
        CHECK_GE(files, 2);
        CHECK_EQ(throttle.patientKey("patient-4711").size(), 32);
        cds_hooks::Throttle other(*store, std::string(32, 'x'), 7);
        CHECK_NE(other.patientKey("patient-4711"), throttle.patientKey("patient-4711"));
    }
}

TEST_CASE("a running service with a throttle shows a card once, until somebody asks never to see it again") {
    const support::Folder folder;
    std::ofstream(folder / "secret") << secret;
    const std::string body = support::readFile("fixtures/hooks/patient-view.json");
    const auto with = [&](const std::string& user) {
        std::string changed = body;
        changed.replace(changed.find("Practitioner/example"), 20, user);
        return changed;
    };
    const std::string service = "/cds-services/cd7-trials";
    {
        support::RunningService running(
            {"--store", folder / "t.db", "--throttle-days", "7", "--throttle-secret", folder / "secret"});
        const std::string first = running.post(service, with("Practitioner/1")).body;
        const auto at = first.find(R"("uuid":")") + 8;
        CHECK_NE(first, R"({"cards":[]})");
        CHECK_EQ(running.post(service, with("Practitioner/1")).body, R"({"cards":[]})");
        CHECK_NE(running.post(service, with("Practitioner/2")).body, R"({"cards":[]})");
        // An order is a new question each time.
        const std::string order = support::readFile("fixtures/hooks/order-sign.json");
        for (int repeat = 0; repeat < 2; ++repeat)
            CHECK_NE(running.post(service + "-order-sign", order).body, R"({"cards":[]})");
        CHECK_EQ(
            running
                .post(
                    service + "/feedback",
                    R"({"feedback":[{"card":")" + first.substr(at, 36) +
                        R"(","outcome":"overridden","outcomeTimestamp":"2025-11-13T10:00:00Z","overrideReason":{"reason":{"code":"never-for-this-patient","system":"urn:cd7match:override-reason"}}}]})")
                .status,
            200);
        CHECK_EQ(running.post(service, with("Practitioner/3")).body, R"({"cards":[]})");
        CHECK_EQ(running.post(service + "-order-sign", order).body, R"({"cards":[]})");
    }
}
