#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "cds-hooks/screening.h"

namespace cds_hooks {

/// What one test would unlock: a fact that can be measured, and what waits for it.
struct Unlock {
    const mapping::FactDefinition* fact = nullptr;
    std::vector<const rules::Trial*> trials;
    std::size_t criteria = 0;  ///< open criteria of those trials together
};

/// The tests that open criteria of these trials wait for: first those that most trials wait for, then most criteria.
/// What a person has to answer, and what no test says, is not among them.
std::vector<Unlock> unlocks(const std::vector<const rules::Evaluation*>& trials);

/// "CD7 on tumour cells (4 trials, 6 criteria)"; plain text.
std::string unlockText(const Unlock& unlock);

/// The same over many charts.
class UnlockTally {
public:
    /// Adds one chart, with what its still possible trials wait for. Charts without such a trial are counted by nobody.
    void add(const std::vector<Unlock>& chart);
    void add(const UnlockTally& other);

    struct Row {
        const mapping::FactDefinition* fact = nullptr;
        std::size_t charts = 0;
        std::size_t trials = 0;  ///< summed over charts
        std::size_t criteria = 0;
    };
    /// First those that would help in most charts, then most trials, then most criteria.
    std::vector<Row> rows() const;

private:
    std::map<std::size_t, Row> rows_;  ///< by the fact's place in the vocabulary
};

/// The first rows for people, with a heading; Markdown, or plain text.
std::string tallyText(const UnlockTally& tally, bool isMarkdown);

}  // namespace cds_hooks
