#pragma once

#include <bitset>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "mapping/vocabulary.h"
#include "rules/trial.h"

namespace cds_hooks {

/// The facts that the trials' gates ask for, and those that these are read from; as indices of the vocabulary.
std::set<std::size_t> gateFacts(const mapping::Vocabulary& vocabulary, const std::vector<rules::Trial>& trials);

/// The codes that say something about the facts of the trials' gates: a chart in which none of them stands, in any code
/// system and any resource, opens no gate. Most charts are such, and this is told from their bytes alone.
class GateCodes {
public:
    /// Nothing is known: every chart may concern a trial.
    GateCodes() = default;

    /// Reads them from the vocabulary. Knows nothing when that would not be safe: when a gate asks for a fact that is
    /// derived from more than diagnoses, that words can name or that other resources hold, or opens without a record.
    GateCodes(const mapping::Vocabulary& vocabulary, const std::vector<rules::Trial>& trials);

    /// False when no gate can open for a JSON text with these bytes: none of the codes is the value of a member named
    /// "code", and nobody answered a screening form. True tells nothing.
    bool mayConcern(std::string_view json) const;

    std::size_t size() const { return exact_.size() + prefixes_.size(); }

private:
    static constexpr std::size_t places = std::size_t{1} << 16;

    bool isKnown(std::string_view code) const;
    void add(std::string_view code);

    bool knows_ = false;
    std::unordered_set<std::string> exact_;  ///< as mapping::plainCode writes them
    std::vector<std::string> prefixes_;
    std::bitset<places> exactHashes_;       ///< by hash of the code
    std::bitset<places> prefixBeginnings_;  ///< by hash of the first `beginning` characters
    std::size_t beginning_ = 0;
};

}  // namespace cds_hooks
