#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mapping/fact.h"

namespace mapping {

/// What a fact comes to for a rule, without what only people read: no ids, displays or numbers as they were written.
/// Its form stands in docs/facts-file.md.
struct StoredFact {
    /// What many charts share: what silence means, then a line for each piece of evidence. Text.
    std::string state;
    /// What is this chart's own, for each piece of evidence in turn: which resource it is, and its dates. Empty when
    /// there is no evidence.
    std::string moments;
};

StoredFact store(const Fact& fact);

/// The fact of a state: its evidence without dates. Views into the state and the vocabulary. Nothing when the text is
/// no state of this vocabulary.
std::optional<Fact> restore(std::string_view state, const FactDefinition& definition, const Vocabulary& vocabulary);

/// Gives the evidence of a fact the dates of one chart. False when they are not those of such a fact.
bool restoreMoments(std::string_view moments, Fact& fact);

/// Numbers of variable length, seven bits a byte, the lowest first; the format of all that is counted here.
void appendNumber(std::string& bytes, std::uint64_t number);
/// Takes one from the front; nothing when there is none.
std::optional<std::uint64_t> takeNumber(std::string_view& bytes);

}  // namespace mapping
