#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "mapping/fact.h"
#include "rules/outcome.h"
#include "rules/silence.h"
#include "rules/trial.h"
#include "rules/truth.h"

namespace rules {

/// In the words of FHIR R4 ResearchSubject.status, plus the one it has no word for.
enum class Status {
    ineligible,          ///< some criterion is decided against the patient
    potentialCandidate,  ///< none is, but data is open
    candidate,           ///< only questions for a person remain
};

std::string_view word(Status status);

/// The truth of one criterion as its text is written, with everything it rests on.
struct Finding {
    const Criterion* criterion;
    const Outcome& outcome;            ///< of the Evaluation, or of the Trial, where the chart says nothing of it
    const Silence* silence = nullptr;  ///< then
};

/// A fact that open criteria wait for.
struct Missing {
    const mapping::FactDefinition* fact = nullptr;
    std::size_t criteria = 0;  ///< how many of the trial's criteria

    friend bool operator==(const Missing&, const Missing&) = default;
};

struct Evaluation {
    Evaluation() = default;
    Evaluation(Evaluation&&) = default;
    Evaluation& operator=(Evaluation&&) = default;
    Evaluation(const Evaluation&) = delete;  // the findings would refer to the outcomes of the other
    Evaluation& operator=(const Evaluation&) = delete;

    const Trial* trial = nullptr;
    Status status = Status::potentialCandidate;
    std::vector<Finding> findings;    ///< one for each criterion, in file order
    const SilenceRow* row = nullptr;  ///< what the silences among them are of, when they are of one
    std::vector<Outcome> outcomes;    ///< what the findings refer to; moves with them
    std::vector<std::size_t> failed;  ///< top-level criteria that decided against the patient
    /// Facts that open criteria wait for, the one that most of them wait for first.
    std::vector<Missing> missing;
    std::vector<std::size_t> asks;  ///< criteria with a question that is still open and matters
    bool gate = false;              ///< a gate criterion is true, or unknown because of something recorded
};

/// Evaluates every criterion of the trial; none is skipped because another has decided. Never fails.
Evaluation evaluate(const Trial& trial, const mapping::Facts& facts);

/// What one rule inside a criterion comes to, for explaining the criterion step by step.
Outcome evaluateRule(const Trial& trial, std::size_t criterion, const Rule& rule, const mapping::Facts& facts);

}  // namespace rules
