#include "cds-hooks/unlock.h"

#include <algorithm>
#include <tuple>

#include "cds-hooks/markdown.h"

namespace cds_hooks {

std::vector<Unlock> unlocks(const std::vector<const rules::Evaluation*>& trials) {
    std::vector<Unlock> all;
    for (const rules::Evaluation* evaluation : trials) {
        for (const rules::Missing& missing : evaluation->missing) {
            if (!missing.fact->test) continue;
            auto found =
                std::find_if(all.begin(), all.end(), [&](const Unlock& unlock) { return unlock.fact == missing.fact; });
            if (found == all.end()) found = all.insert(all.end(), {missing.fact, {}, 0});
            found->trials.push_back(evaluation->trial);
            found->criteria += missing.criteria;
        }
    }
    std::stable_sort(all.begin(), all.end(), [](const Unlock& a, const Unlock& b) {
        return std::tuple(b.trials.size(), b.criteria) < std::tuple(a.trials.size(), a.criteria);
    });
    return all;
}

std::string unlockText(const Unlock& unlock) {
    return unlock.fact->label + " (" + count(unlock.trials.size(), "trial", "trials") + ", " +
           count(unlock.criteria, "criterion", "criteria") + ")";
}

void UnlockTally::add(const std::vector<Unlock>& chart) {
    for (const Unlock& unlock : chart) {
        Row& row = rows_[unlock.fact->index];
        row.fact = unlock.fact;
        ++row.charts;
        row.trials += unlock.trials.size();
        row.criteria += unlock.criteria;
    }
}

void UnlockTally::add(const UnlockTally& other) {
    for (const auto& [index, from] : other.rows_) {
        Row& row = rows_[index];
        row.fact = from.fact;
        row.charts += from.charts;
        row.trials += from.trials;
        row.criteria += from.criteria;
    }
}

std::vector<UnlockTally::Row> UnlockTally::rows() const {
    std::vector<Row> all;
    for (const auto& [index, row] : rows_) all.push_back(row);
    std::stable_sort(all.begin(), all.end(), [](const Row& a, const Row& b) {
        return std::tuple(b.charts, b.trials, b.criteria) < std::tuple(a.charts, a.trials, a.criteria);
    });
    return all;
}

std::string tallyText(const UnlockTally& tally, bool isMarkdown) {
    constexpr std::size_t most = 10;
    const std::vector<UnlockTally::Row> rows = tally.rows();
    std::string text = isMarkdown ? "## What one test would unlock\n\n" : "What one test would unlock\n";
    for (std::size_t i = 0; i < std::min(most, rows.size()); ++i) {
        const UnlockTally::Row& row = rows[i];
        text += isMarkdown ? "- " + escapeMarkdown(row.fact->label) : "  " + row.fact->label;
        text += ": " + count(row.charts, "chart", "charts") + ", " + count(row.trials, "trial", "trials") + ", " +
                count(row.criteria, "criterion", "criteria") + '\n';
    }
    text += isMarkdown ? "\n" : "  ";
    text += "charts that wait for it, their trials that are still possible, the open criteria of those\n";
    return text;
}

}  // namespace cds_hooks
