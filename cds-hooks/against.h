#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "rules/block.h"
#include "rules/evaluate.h"

namespace cds_hooks {

/// What one trial comes to for one chart, as far as two outputs are compared by it.
struct TrialVerdict {
    const rules::Trial* trial = nullptr;
    rules::Status status = rules::Status::potentialCandidate;
    std::vector<std::size_t> failed;  ///< top-level criteria that decided against
    std::vector<std::size_t> open;    ///< criteria that are unknown for want of data, not only for a person's answer
};

TrialVerdict verdictOf(const rules::Evaluation& evaluation);
TrialVerdict verdictOf(const rules::Trial& trial, const rules::BlockEvaluation& evaluation, std::size_t chart);

/// Who is in another place than in an earlier output, and by which criteria.
class Against {
public:
    /// Reads the NDJSON that replay or screen has written, also packed. Charts are told apart by their patient. Errors:
    /// std::runtime_error names file and line.
    Against(const std::filesystem::path& earlier, const Knowledge& knowledge);

    /// Compares one chart; in the order of the charts.
    void add(const std::string& patient, const std::vector<TrialVerdict>& verdicts);

    /// For people: how many moved from where to where, which criteria moved them, and the first of them by name. Or as
    /// NDJSON, one JSON object for each chart and trial that moved; its shape stands in docs/facts-file.md.
    std::string text(bool isNdjson) const { return isNdjson ? ndjson() : table(); }

private:
    std::string ndjson() const;
    std::string table() const;
    using Name = std::uint32_t;
    struct Earlier {
        Name trial = 0;
        Name status = 0;
        std::vector<Name> failed;
        std::vector<Name> open;
    };
    struct Move {
        std::string patient;
        const rules::Trial* trial = nullptr;
        std::string from;
        std::string to;
        /// Criteria with what became of them: "now against", "no longer against", "now open", "no longer open".
        std::vector<std::pair<std::string, std::string_view>> criteria;
    };

    void read(std::string_view line);
    Name name(std::string_view text);
    std::vector<std::string> names(const std::vector<Name>& list) const;
    Move moved(const Earlier& before, const TrialVerdict& now) const;

    const Knowledge& knowledge_;
    std::vector<std::string> names_;  ///< each criterion and status once
    std::map<std::string, Name, std::less<>> numbers_;
    std::unordered_map<std::string, std::deque<std::vector<Earlier>>> earlier_;  ///< by patient
    std::size_t before_ = 0;                                                     ///< charts of the earlier output
    std::size_t compared_ = 0;
    std::size_t new_ = 0;  ///< charts that the earlier output has not
    std::vector<Move> moves_;
};

}  // namespace cds_hooks
