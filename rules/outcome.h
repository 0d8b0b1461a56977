#pragma once

#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "mapping/fact.h"
#include "rules/trial.h"
#include "rules/truth.h"

namespace rules {

/// One thing that keeps a criterion open: a fact, or a question for a person.
struct Open {
    std::size_t criterion = 0;                      ///< the leaf that waits for it
    const mapping::FactDefinition* fact = nullptr;  ///< nothing when it is a question of the trial file
    const Rule* ask = nullptr;
    mapping::Basis basis = mapping::Basis::missing;

    /// The question, when a person has to answer; empty when a test or a record is missing.
    std::string_view question() const;
};

/// What a verdict cites; most cite one thing or two.
using Cited = boost::container::small_vector<const mapping::Evidence*, 2>;
using OpenEnds = boost::container::small_vector<Open, 1>;

/// The truth of a rule, and everything that brought it about.
struct Outcome {
    Truth truth = Truth::Unknown;
    mapping::Basis basis = mapping::Basis::missing;
    Cited evidence;
    OpenEnds open;
    std::optional<fhir::Date> clearsOn;  ///< the first day on which a window no longer holds
    std::optional<Truth> wouldBe;        ///< what a stale value would have meant
    bool recorded = false;               ///< something recorded speaks for it, even if it does not decide
};

/// Kleene's "and" or "or" of parts. The parts that share the truth of the whole are the parts that decided it: their
/// evidence, open ends and bases are the whole's. `parts` is not empty. With `citeAll` an unknown whole also cites what
/// its decided parts rest on: a question about a value is read beside the value.
Outcome combine(std::span<const Outcome* const> parts, Rule::Kind kind, bool citeAll = false);
Outcome combine(const std::vector<Outcome>& parts, Rule::Kind kind);

/// Kleene's "not", with the same evidence.
Outcome negate(Outcome outcome);

}  // namespace rules
