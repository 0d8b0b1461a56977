#include "rules/block.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <utility>

#include "rules/judge.h"

namespace rules {

using mapping::Basis;
using mapping::Fact;

namespace {

// A byte for each chart: what a Verdict holds, and above it whether something recorded speaks for it.
using Bytes = std::vector<std::uint8_t>;
constexpr std::uint8_t basisBits = 0x0f;
constexpr std::uint8_t truthBits = 0x30;
constexpr std::uint8_t recordedBit = 0x80;
constexpr std::uint8_t mostTruth = static_cast<unsigned>(Truth::True) << 4U;

constexpr std::uint8_t byteOf(Truth truth, Basis basis, bool recorded = false) {
    return static_cast<std::uint8_t>(static_cast<unsigned>(truth) << 4U | static_cast<unsigned>(basis) |
                                     (recorded ? recordedBit : 0U));
}

std::uint8_t byteOf(const Outcome& outcome) {
    return byteOf(outcome.truth, outcome.basis, outcome.recorded);
}

/// The mirror of its truth: "and" is "or" between mirrors.
constexpr std::uint8_t mirrored(std::uint8_t byte) {
    return static_cast<std::uint8_t>((mostTruth - (byte & truthBits)) | (byte & (basisBits | recordedBit)));
}

/// The greatest truth, among those that have it the last basis, and whether anything recorded speaks for any.
constexpr std::uint8_t either(std::uint8_t a, std::uint8_t b) {
    constexpr std::uint8_t verdict = truthBits | basisBits;
    return static_cast<std::uint8_t>(std::max(a & verdict, b & verdict) | ((a | b) & recordedBit));
}

[[noreturn]] void failAt(const mapping::FactDefinition& fact) {
    throw std::runtime_error("the column of " + fact.name + " is damaged");
}

/// One column: the fact of a state or of a chart, made when it is asked for.
class Column {
public:
    Column(const FactColumn& stored, const mapping::FactDefinition& definition, const mapping::Vocabulary& vocabulary,
           std::size_t charts)
        : stored_(&stored), definition_(&definition), vocabulary_(&vocabulary), charts_(charts) {
        std::size_t all = 0;
        for (const FactColumn::Run& run : stored.runs) {
            if (run.state >= stored.states.size()) failAt(definition);
            all += run.charts;
        }
        if (all != charts) failAt(definition);
        hasEvidence_.reserve(stored.states.size());
        for (const std::string_view state : stored.states)
            hasEvidence_.push_back(state.find('\n') != std::string_view::npos);
    }

    const std::vector<FactColumn::Run>& runs() const { return stored_->runs; }
    std::size_t states() const { return stored_->states.size(); }
    bool hasEvidence(std::uint32_t state) const { return hasEvidence_[state]; }
    std::uint32_t stateOf(std::size_t chart) {
        place();
        return state_[chart];
    }

    /// The fact of a state, without dates; until another one is asked for.
    Fact& fact(std::uint32_t state, mapping::Restored what = mapping::Restored::everything) {
        if (made_ != std::pair(state, what)) {
            if (!mapping::restore(stored_->states[state], *definition_, *vocabulary_, fact_, what))
                failAt(*definition_);
            made_ = std::pair(state, what);
        }
        return fact_;
    }

    /// The fact of one chart, with its dates; until another one is asked for.
    Fact& factOf(std::size_t chart) {
        place();
        const std::uint32_t state = state_[chart];
        fact(state);
        if (hasEvidence(state) &&
            !mapping::restoreMoments(stored_->moments.substr(offset_[chart], length_[chart]), fact_))
            failAt(*definition_);
        return fact_;
    }

private:
    /// Looks up once which chart has which state, and where its moments are.
    void place() {
        if (!state_.empty()) return;
        state_.reserve(charts_);
        offset_.resize(charts_);
        length_.resize(charts_);
        std::string_view rest = stored_->moments;
        for (const FactColumn::Run& run : stored_->runs) {
            const bool hasMoments = hasEvidence(run.state);
            for (std::uint32_t i = 0; i < run.charts; ++i) {
                if (hasMoments) {
                    const auto bytes = mapping::takeNumber(rest);
                    if (!bytes || *bytes > rest.size()) failAt(*definition_);
                    offset_[state_.size()] = static_cast<std::uint32_t>(rest.data() - stored_->moments.data());
                    length_[state_.size()] = static_cast<std::uint32_t>(*bytes);
                    rest.remove_prefix(*bytes);
                }
                state_.push_back(run.state);
            }
        }
    }

    const FactColumn* stored_;
    const mapping::FactDefinition* definition_;
    const mapping::Vocabulary* vocabulary_;
    std::size_t charts_;
    std::vector<bool> hasEvidence_;  ///< by state
    Fact fact_;                      ///< one for all: what is made anew stays in the cache
    std::optional<std::pair<std::uint32_t, mapping::Restored>> made_;
    std::vector<std::uint32_t> state_;
    std::vector<std::uint32_t> offset_;
    std::vector<std::uint32_t> length_;
};

class Run {
public:
    Run(const Trial& trial, const mapping::Vocabulary& vocabulary, const Block& block)
        : trial_(trial), vocabulary_(vocabulary), block_(block), charts_(block.asOf.size()), facts_(vocabulary) {
        columns_.resize(vocabulary.facts().size());
        criteria_.resize(trial.criteria.size());
    }

    BlockEvaluation evaluate() {
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) criterion(i);
        BlockEvaluation evaluation;
        evaluation.gate.assign(charts_, 0);
        for (const std::size_t index : trial_.gate) {
            for (std::size_t chart = 0; chart < charts_; ++chart) {
                const std::uint8_t byte = criteria_[index][chart];
                const auto truth = static_cast<Truth>((byte & truthBits) >> 4U);
                const bool fires = truth == Truth::True || (truth == Truth::Unknown && (byte & recordedBit) != 0);
                evaluation.gate[chart] |= static_cast<std::uint8_t>(fires);
            }
        }
        readStatus(evaluation);
        evaluation.criteria.resize(trial_.criteria.size());
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) {
            evaluation.criteria[i].resize(charts_);
            for (std::size_t chart = 0; chart < charts_; ++chart) {
                const std::uint8_t byte = criteria_[i][chart];
                evaluation.criteria[i][chart] = {static_cast<Truth>((byte & truthBits) >> 4U),
                                                 static_cast<Basis>(byte & basisBits)};
            }
        }
        for (const AnsweredChart& answered : block_.answered) replace(evaluation, answered);
        return evaluation;
    }

private:
    void readStatus(BlockEvaluation& evaluation) const {
        Bytes failed(charts_, 0);
        Bytes open(charts_, 0);
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) {
            const Criterion& criterion = trial_.criteria[i];
            if (!criterion.required) continue;
            const std::uint8_t against = criterion.inclusion ? byteOf(Truth::False, {}) : byteOf(Truth::True, {});
            constexpr std::uint8_t unknown = byteOf(Truth::Unknown, {});
            const Bytes& bytes = criteria_[i];
            for (std::size_t chart = 0; chart < charts_; ++chart) {
                const std::uint8_t truth = bytes[chart] & truthBits;
                const std::uint8_t basis = bytes[chart] & basisBits;
                failed[chart] |= static_cast<std::uint8_t>(truth == against);
                open[chart] |= static_cast<std::uint8_t>(truth == unknown) &
                               static_cast<std::uint8_t>(basis != static_cast<std::uint8_t>(Basis::asked));
            }
        }
        evaluation.status.resize(charts_);
        for (std::size_t chart = 0; chart < charts_; ++chart) {
            evaluation.status[chart] = failed[chart] != 0 ? Status::ineligible
                                       : open[chart] != 0 ? Status::potentialCandidate
                                                          : Status::candidate;
        }
    }

    void replace(BlockEvaluation& evaluation, const AnsweredChart& answered) {
        mapping::Facts facts(vocabulary_);
        facts.asOf = block_.asOf[answered.chart];
        facts.attested = answered.attested;
        facts.answers = answered.answers;
        for (std::size_t i = 0; i < facts.size(); ++i) {
            if (!block_.columns[i].states.empty()) facts.borrow(i, column(i).factOf(answered.chart));
        }
        const Evaluation one = rules::evaluate(trial_, facts);
        for (std::size_t i = 0; i < one.findings.size(); ++i)
            evaluation.criteria[i][answered.chart] = {one.findings[i].outcome.truth, one.findings[i].outcome.basis};
        evaluation.status[answered.chart] = one.status;
        evaluation.gate[answered.chart] = static_cast<std::uint8_t>(one.gate);
    }

    const Bytes& criterion(std::size_t index) {
        if (criteria_[index].empty() && charts_ > 0) {
            Bytes bytes(charts_);
            fill(trial_.criteria[index].when, index, bytes);
            criteria_[index] = std::move(bytes);
        }
        return criteria_[index];
    }

    void fill(const Rule& rule, std::size_t index, Bytes& bytes) {
        switch (rule.kind) {
            case Rule::Kind::comparison:
                fill(rule.comparison, index, bytes);
                return;
            case Rule::Kind::reference:
                bytes = criterion(rule.target);
                return;
            case Rule::Kind::ask:
                std::fill(bytes.begin(), bytes.end(), byteOf(Truth::Unknown, Basis::asked));
                return;
            case Rule::Kind::negation:
                fill(rule.rules.front(), index, bytes);
                for (std::uint8_t& byte : bytes) byte = mirrored(byte) & static_cast<std::uint8_t>(~recordedBit);
                return;
            case Rule::Kind::all:
            case Rule::Kind::any:
                break;
        }
        // As combine(): one part alone is the whole.
        fill(rule.rules.front(), index, bytes);
        if (rule.rules.size() == 1) return;
        const bool isAll = rule.kind == Rule::Kind::all;
        if (isAll) mirror(bytes);
        Bytes own;
        for (auto part = rule.rules.begin() + 1; part != rule.rules.end(); ++part) {
            const Bytes* further = &own;
            if (part->kind == Rule::Kind::reference) {
                further = &criterion(part->target);
            } else {
                own.resize(charts_);
                fill(*part, index, own);
            }
            const std::uint8_t* from = further->data();
            std::uint8_t* to = bytes.data();
            if (isAll) {
                for (std::size_t chart = 0; chart < charts_; ++chart)
                    to[chart] = either(to[chart], mirrored(from[chart]));
            } else {
                for (std::size_t chart = 0; chart < charts_; ++chart) to[chart] = either(to[chart], from[chart]);
            }
        }
        if (isAll) mirror(bytes);
    }

    static void mirror(Bytes& bytes) {
        for (std::uint8_t& byte : bytes) byte = mirrored(byte);
    }

    // --- sentences -------------------------------------------------------------------------------------------------

    void fill(const Comparison& comparison, std::size_t index, Bytes& bytes) {
        Column& first = column(comparison.fact);
        if (comparison.after) {
            fillPairs(comparison, index, first, column(*comparison.after), bytes);
            return;
        }
        // Without evidence there is nothing in a window and nothing that could be an exception.
        const bool needsMoments = comparison.readsMoments();
        const bool isOfResults = comparison.form == Comparison::Form::order && comparison.method.empty();
        const auto what = isOfResults ? mapping::Restored::results : mapping::Restored::everything;
        Bytes known(first.states());
        std::vector<bool> isKnown(first.states(), false);
        for (std::uint32_t state = 0; state < first.states(); ++state) {
            if (needsMoments && first.hasEvidence(state)) continue;
            known[state] = judged(comparison, index, first.fact(state, what));
            isKnown[state] = true;
        }
        std::size_t chart = 0;
        for (const FactColumn::Run& run : first.runs()) {
            if (isKnown[run.state]) {
                std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(chart), run.charts, known[run.state]);
            } else {
                for (std::size_t i = chart; i < chart + run.charts; ++i) bytes[i] = judgedOf(comparison, index, i);
            }
            chart += run.charts;
        }
    }

    /// A sentence about two facts, of which charts mostly say nothing: that is judged once for each two states.
    void fillPairs(const Comparison& comparison, std::size_t index, Column& later, Column& earlier, Bytes& bytes) {
        std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint8_t> known;  // few states hold no evidence
        for (std::size_t chart = 0; chart < charts_; ++chart) {
            const std::pair states(later.stateOf(chart), earlier.stateOf(chart));
            if (later.hasEvidence(states.first) || earlier.hasEvidence(states.second)) {
                bytes[chart] = judgedOf(comparison, index, chart);
                continue;
            }
            auto found = known.find(states);
            if (found == known.end()) found = known.emplace(states, judgedOf(comparison, index, chart)).first;
            bytes[chart] = found->second;
        }
    }

    /// What a sentence comes to for a state that no date matters to.
    std::uint8_t judged(const Comparison& comparison, std::size_t index, const Fact& fact) {
        facts_.borrow(comparison.fact, fact);
        return byteOf(judge(comparison, trial_.criteria[index], index, facts_));
    }

    /// The same for one chart, with its dates and with the other fact that the sentence reads.
    std::uint8_t judgedOf(const Comparison& comparison, std::size_t index, std::size_t chart) {
        facts_.asOf = block_.asOf[chart];
        for (const std::optional<std::size_t>& other : {comparison.except, comparison.after}) {
            if (other && *other != comparison.fact) facts_.borrow(*other, column(*other).factOf(chart));
        }
        return judged(comparison, index, column(comparison.fact).factOf(chart));
    }

    Column& column(std::size_t fact) {
        if (!columns_[fact])
            columns_[fact].emplace(block_.columns[fact], vocabulary_.facts()[fact], vocabulary_, charts_);
        return *columns_[fact];
    }

    const Trial& trial_;
    const mapping::Vocabulary& vocabulary_;
    const Block& block_;
    std::size_t charts_;
    std::vector<std::optional<Column>> columns_;
    mapping::Facts facts_;  ///< those that a sentence reads are the chart's, while it is judged
    std::vector<Bytes> criteria_;
};

}  // namespace

std::vector<std::size_t> BlockEvaluation::failed(const Trial& trial, std::size_t chart) const {
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < trial.criteria.size(); ++i) {
        const Truth truth = criteria[i][chart].truth();
        if (trial.criteria[i].required && truth != Truth::Unknown &&
            (truth == Truth::True) != trial.criteria[i].inclusion)
            result.push_back(i);
    }
    return result;
}

BlockEvaluator::BlockEvaluator(const Trial& trial, const mapping::Vocabulary& vocabulary)
    : trial_(trial), vocabulary_(vocabulary) {}

BlockEvaluation BlockEvaluator::evaluate(const Block& block) const {
    return Run(trial_, vocabulary_, block).evaluate();
}

}  // namespace rules
