#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "mapping/fact.h"
#include "rules/outcome.h"

namespace rules {

struct Trial;

/// A value that is the same whoever makes it: made by the first who asks, read by all others without waiting.
template <typename Value>
class Once {
public:
    template <typename Make>
    const Value& of(const Make& make) const {
        if (!isMade_.load(std::memory_order_acquire)) {
            std::call_once(made_, [&] { value_ = make(); });
            isMade_.store(true, std::memory_order_release);
        }
        return value_;
    }

private:
    mutable std::atomic<bool> isMade_{false};
    mutable std::once_flag made_;
    mutable Value value_{};
};

/// What one criterion comes to in charts that say nothing about any of its facts. It depends on nothing but what
/// silence means for each of them.
class Silence {
public:
    Silence(const mapping::FactDefinition* vocabulary, std::vector<mapping::Basis> absent, Outcome outcome,
            const Silence* next)
        : vocabulary_(vocabulary), absent_(std::move(absent)), outcome_(std::move(outcome)), next_(next) {}

    const Outcome& outcome() const { return outcome_; }

    /// What somebody writes for it, the same each time: made by the first who asks.
    template <typename Make>
    const std::string& words(const Make& make) const {
        return words_.of(make);
    }

private:
    friend class Silences;

    const mapping::FactDefinition* vocabulary_;
    std::vector<mapping::Basis> absent_;  ///< what silence means, for each fact of the criterion
    Outcome outcome_;
    const Silence* next_;
    Once<std::string> words_;
};

/// What the criteria of a trial come to in charts whose silence means the same of all facts: in one place, for charts
/// that have this in common with many others.
class SilenceRow {
public:
    SilenceRow(std::uint64_t number, std::vector<const Silence*> silences)
        : number_(number), silences_(std::move(silences)) {}

    /// By criterion; nothing for one that was not kept.
    const Silence* of(std::size_t criterion) const { return silences_[criterion]; }

    /// What somebody writes for all of them, one behind the other.
    struct Words {
        std::string text;
        std::vector<std::size_t> begins;  ///< by criterion; one more for the end
    };
    template <typename Make>
    const Words& words(const Make& make) const {
        return words_.of(make);
    }

private:
    friend class Silences;

    std::uint64_t number_;
    std::vector<const Silence*> silences_;
    Once<Words> words_;
};

/// What the criteria of one trial come to in charts that say nothing about their facts, kept once it was judged. Many
/// threads may ask. A chart says nothing about most facts, and silence means few things, so that most criteria of most
/// charts need no judging.
class Silences {
public:
    /// Of a trial whose criteria stay as they are.
    explicit Silences(const Trial& trial);

    /// Whether the chart says something about a fact of the criterion; true as well where that is not known.
    bool speaks(std::size_t criterion, const mapping::Facts& facts) const;

    /// What the criterion comes to in a chart that does not speak; nothing when it was not judged yet.
    const Silence* find(std::size_t criterion, const mapping::Facts& facts) const;

    /// Keeps what it comes to. Nothing when it was kept for many different meanings already.
    const Silence* keep(std::size_t criterion, const mapping::Facts& facts, const Outcome& outcome) const;

    /// The row of that number (Facts::silence); nothing when there is none.
    const SilenceRow* row(std::uint64_t number) const;

    bool hasRoomForRows() const { return rows_.back().load(std::memory_order_acquire) == nullptr; }

    /// Keeps a row. Nothing when there is no room.
    const SilenceRow* keepRow(std::uint64_t number, std::vector<const Silence*> silences) const;

private:
    struct Criterion {
        std::vector<std::size_t> facts;  ///< what its rule reads, also by way of other criteria
        mapping::FactSet set;            ///< the same
        std::atomic<const Silence*> first{nullptr};
        std::size_t count = 0;
    };

    static const Silence* find(const Silence* first, const Criterion& criterion, const mapping::Facts& facts);

    std::unique_ptr<Criterion[]> criteria_;  ///< one for each of the trial
    mutable std::mutex mutex_;               ///< of whoever keeps something
    mutable std::deque<std::unique_ptr<Silence>> kept_{};
    static constexpr std::size_t mostRows = 64;
    mutable std::array<std::atomic<const SilenceRow*>, mostRows> rows_{};  ///< one after the other
    mutable std::deque<SilenceRow> keptRows_{};
};

}  // namespace rules
