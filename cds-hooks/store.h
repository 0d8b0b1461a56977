#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/feedback.h"
#include "fhir/date.h"

namespace cds_hooks {

constexpr std::int64_t secondsPerDay = 86'400;

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

/// What a service keeps for good. Safe to use from many threads and from several processes at once.
///
/// What a function has returned from is on the disk for feedback and marks: a crash loses none of it. Cards that were
/// shown are on the disk with the next of those, or soon. Errors: std::runtime_error names the store and the reason.
class Store {
public:
    Store() = default;
    virtual ~Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    virtual void keep(const ShownCard& card) = 0;

    /// All of it or nothing. The same feedback again changes nothing; a later outcome of a card replaces an earlier
    /// one, whichever came first. Comments are kept only where that is asked for.
    virtual void keep(const std::vector<Feedback>& feedback, bool keepComments) = 0;

    /// Per month and trial, the newest month first; of cards shown, and of unknown cards with feedback, in those days.
    virtual std::vector<FeedbackRow> rows(fhir::Date from, fhir::Date to) = 0;

    /// What the throttle remembers of a patient and user, by the HMAC of both.
    virtual std::optional<LastShown> lastShown(std::string_view key) = 0;
    virtual void keepLastShown(std::string_view key, const LastShown& shown) = 0;
    /// Marks the patients of these cards, by their HMAC: no card is wanted for them any more.
    virtual void markNever(const std::vector<Feedback>& feedback) = 0;
    virtual bool isNever(std::string_view patientKey) = 0;

    /// Remembers a token until it has expired; false when it was known already. Expired ones are forgotten.
    virtual bool remember(std::string_view key, std::int64_t expiry, std::int64_t now) = 0;
};

/// Opens or creates a store: a PostgreSQL database by its URL ("postgresql://host/name"), for several machines, or else
/// a SQLite file, whose folder must exist (":memory:" keeps nothing). The schema migrates itself; a store of a newer
/// version is refused. Errors: std::runtime_error.
std::shared_ptr<Store> openStore(const std::string& where);

/// Whether that names a database by its URL.
bool isDatabase(std::string_view where);

}  // namespace cds_hooks
