#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "mapping/fact.h"
#include "mapping/stored_fact.h"
#include "rules/evaluate.h"
#include "rules/trial.h"

namespace rules {

/// One fact of many charts: the states that occur among them, and which chart has which.
struct FactColumn {
    struct Run {
        std::uint32_t state = 0;  ///< index into states
        std::uint32_t charts = 0;
    };
    std::vector<std::string_view> states;  ///< of mapping::StoredFact
    std::vector<Run> runs;                 ///< one after the other, all charts together
    /// Of each chart whose state holds evidence, in turn: how many bytes, and mapping::StoredFact::moments.
    std::string_view moments;
};

/// A chart in which people answered questions of a screening form: few have, and they are judged one by one.
struct AnsweredChart {
    std::size_t chart = 0;                 ///< in its block
    std::vector<mapping::Fact> attested;   ///< as Facts::attested
    std::vector<mapping::Answer> answers;  ///< as Facts::answers
};

/// The facts of some charts, by column. Holds views.
struct Block {
    std::vector<fhir::Date> asOf;     ///< one for each chart
    std::vector<FactColumn> columns;  ///< one for each fact of the vocabulary; empty where nobody asks for it
    std::vector<AnsweredChart> answered;
};

/// Truth and basis in one byte, made so that "or" of several is the greatest of them.
class Verdict {
public:
    Verdict() = default;
    Verdict(Truth truth, mapping::Basis basis)
        : byte_(static_cast<std::uint8_t>(static_cast<unsigned>(truth) << 4U | static_cast<unsigned>(basis))) {}
    Truth truth() const { return static_cast<Truth>(byte_ >> 4U & 3U); }
    mapping::Basis basis() const { return static_cast<mapping::Basis>(byte_ & 15U); }
    bool operator==(const Verdict&) const = default;

private:
    std::uint8_t byte_ = static_cast<unsigned>(Truth::Unknown) << 4U | static_cast<unsigned>(mapping::Basis::missing);
};

/// What one trial comes to for every chart of a block.
struct BlockEvaluation {
    std::vector<std::vector<Verdict>> criteria;  ///< [criterion][chart]
    std::vector<Status> status;                  ///< [chart]
    std::vector<std::uint8_t> gate;              ///< [chart]; as Evaluation::gate

    /// The top-level criteria that decided against one chart, as Evaluation::failed.
    std::vector<std::size_t> failed(const Trial& trial, std::size_t chart) const;
};

/// Evaluates a trial for many charts at once: each state of a fact is judged once, and criteria are put together chart
/// by chart in plain bytes. The verdicts are those of evaluate(); evidence, questions and what is missing are not among
/// them.
class BlockEvaluator {
public:
    /// Both must outlive it.
    BlockEvaluator(const Trial& trial, const mapping::Vocabulary& vocabulary);

    /// Errors: std::runtime_error when a state or a moment is none.
    BlockEvaluation evaluate(const Block& block) const;

private:
    const Trial& trial_;
    const mapping::Vocabulary& vocabulary_;
};

}  // namespace rules
