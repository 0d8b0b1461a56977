#pragma once

#include <cstddef>
#include <cstdint>
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

/// How much of a state is made into a fact.
enum class Restored { everything, results };

/// Makes the fact of a state: its evidence without dates. Views into the state and the vocabulary. False when the text
/// is no state of this vocabulary.
bool restore(std::string_view state, const FactDefinition& definition, const Vocabulary& vocabulary, Fact& fact,
             Restored what = Restored::everything);

/// Gives the evidence of a fact the dates of one chart. False when they are not those of such a fact.
bool restoreMoments(std::string_view moments, Fact& fact);

/// Numbers of variable length, seven bits a byte, the lowest first; the format of all that is counted here.
void appendNumber(std::string& bytes, std::uint64_t number);
/// Takes one from the front; nothing when there is none.
inline std::optional<std::uint64_t> takeNumber(std::string_view& bytes) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < bytes.size() && i < 10; ++i) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        number |= static_cast<std::uint64_t>(byte & 0x7fU) << (7U * i);
        if (byte >= 0x80) continue;
        bytes.remove_prefix(i + 1);
        return number;
    }
    return std::nullopt;
}

}  // namespace mapping
