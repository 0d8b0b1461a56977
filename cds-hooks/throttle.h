#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/feedback.h"
#include "cds-hooks/respond.h"
#include "cds-hooks/store.h"

namespace cds_hooks {

/// Shows a patient's card to one user once in so many days, and again at once when there is something new. Source:
/// card.md, fire rarely, and the trials that it cites.
///
/// Patients and users are known to it by HMAC-SHA-256 alone: no identifier is stored, and without the secret none can
/// be looked for. Safe to use from many threads.
class Throttle {
public:
    static constexpr std::size_t shortestSecret = 32;  ///< bytes

    /// The secret has at least so many bytes, the days are at least 1.
    Throttle(Store& store, std::string secret, int days) : store_(store), secret_(std::move(secret)), days_(days) {}

    /// Whether a card may be shown at this time (seconds since 1970); if so it is remembered as shown.
    ///
    /// It may when it was not shown in those days; when a trial is new on it, or its status better than before; and
    /// when a day on which some trial is clear again has come since; and always about an order. It may not, about an
    /// order either, for a patient for whom nobody wants it.
    bool mayShow(const Showing& showing, fhir::Date today, std::int64_t now);

    /// What a card is stored under, for feedback that says "never for this patient".
    std::string patientKey(std::string_view patientId) const;

    /// Takes note of such feedback.
    void listen(const std::vector<Feedback>& feedback);

private:
    Store& store_;
    std::string secret_;
    int days_;
    std::mutex mutex_;
};

}  // namespace cds_hooks
