#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/feedback.h"
#include "fhir/date.h"

namespace cds_hooks {

/// A card that was shown: no patient and no user, but, while a throttle is on, the HMAC of the patient.
struct ShownCard {
    std::string uuid;
    std::string service;
    std::int64_t time = 0;                                    ///< seconds since 1970
    std::vector<std::pair<std::string, std::string>> trials;  ///< NCT number and status word
    std::string patientKey;                                   ///< empty without a throttle
};

/// When a card was last shown to a user for a patient, and what it said.
struct LastShown {
    std::int64_t time = 0;
    std::string fingerprint;
};

/// What a service keeps for good, in one SQLite file. Safe to use from many threads and from several processes at once.
///
/// What a function has returned from is on the disk for feedback and marks (WAL, synchronous=FULL): a crash loses none
/// of it. Cards that were shown are on the disk with the next of those, or soon. The schema migrates itself when the
/// file is opened; a file of a newer version is refused. Errors: std::runtime_error names the file and SQLite's reason.
class Store {
public:
    /// Opens or creates the file; its folder must exist. ":memory:" keeps nothing.
    explicit Store(const std::filesystem::path& file);
    ~Store();
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    void keep(const ShownCard& card);

    /// All of it or nothing. The same feedback again changes nothing; a later outcome of a card replaces an earlier
    /// one, whichever came first. Comments are kept only where that is asked for.
    void keep(const std::vector<Feedback>& feedback, bool keepComments);

    /// Per month and trial, the newest month first; of cards shown, and of unknown cards with feedback, in those days.
    std::vector<FeedbackRow> rows(fhir::Date from, fhir::Date to) const;

    /// What the throttle remembers of a patient and user, by the HMAC of both.
    std::optional<LastShown> lastShown(std::string_view key) const;
    void keepLastShown(std::string_view key, const LastShown& shown);
    /// Marks the patients of these cards, by their HMAC: no card is wanted for them any more.
    void markNever(const std::vector<Feedback>& feedback);
    bool isNever(std::string_view patientKey) const;

    /// Remembers a token until it has expired; false when it was known already. Expired ones are forgotten.
    bool remember(std::string_view key, std::int64_t expiry, std::int64_t now);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cds_hooks
