#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/override.h"

namespace cds_hooks {

/// What a clinician did with one card.
struct Feedback {
    enum class Outcome { accepted, overridden };
    std::string card;  ///< uuid, as it stood on the card
    Outcome outcome = Outcome::accepted;
    std::int64_t time = 0;                 ///< outcomeTimestamp, milliseconds since 1970
    std::vector<std::string> suggestions;  ///< uuids of those that were accepted
    std::string reason;                    ///< code of overrideReasons, "other", or empty when none was given
    std::string comment;                   ///< of the user; may hold anything
};

/// "accepted", "overridden".
std::string_view word(Feedback::Outcome outcome);

/// Reads the body of a feedback request: {"feedback":[…]}, or one item by itself, as some clients send it.
///
/// All items are read first: when one is wrong none is given back, and the Error names each place, at most 20. An
/// override reason is a code of ours, the HL7 code that means the same, or "other"; `overrideReasons` is read like
/// `overrideReason`, and either may hold nothing but extensions (Epic). Errors: fhir::Error. Source: CDS Hooks 2.0,
/// Feedback; checklist rows 94 to 99.
///
/// `now`, in seconds since 1970: an outcome of more than a day later is refused.
std::vector<Feedback> readFeedback(std::string_view body, std::int64_t now);

/// What the feedback says about one trial in one month.
struct FeedbackRow {
    std::string month;  ///< "2025-11", of the day on which the card was shown, in UTC
    std::string trial;  ///< empty for cards that are not known here
    std::size_t shown = 0;
    std::size_t accepted = 0;
    std::vector<std::size_t> overridden = std::vector<std::size_t>(overrideReasons.size() + 1, 0);  ///< the last: other
};

/// For people: each row with a bar; months newest first.
std::string feedbackTable(const std::vector<FeedbackRow>& rows);

/// The same as CSV (RFC 4180) with a header.
std::string feedbackCsv(const std::vector<FeedbackRow>& rows);

}  // namespace cds_hooks
