#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/report.h"
#include "fhir/date.h"
#include "rules/block.h"
#include "rules/evaluate.h"

namespace cds_hooks {

/// What one trial comes to for one chart, as far as two outputs are compared by it.
struct TrialVerdict {
    const rules::Trial* trial = nullptr;
    rules::Status status = rules::Status::potentialCandidate;
    bool gate = false;                ///< a disease of the trial is on file, as Evaluation::gate
    std::vector<std::size_t> failed;  ///< top-level criteria that decided against
    std::vector<std::size_t> open;    ///< criteria that are unknown for want of data, not only for a person's answer
};

/// All of them for one chart.
struct ChartVerdicts {
    std::string patient;  ///< "Patient/p1"
    Origin origin;
    fhir::Date asOf;
    bool deceased = false;
    std::vector<TrialVerdict> trials;
};

TrialVerdict verdictOf(const rules::Evaluation& evaluation);
TrialVerdict verdictOf(const rules::Trial& trial, const rules::BlockEvaluation& evaluation, std::size_t chart);

/// Who is in another place than in an earlier output, and by which criteria. A place is the status of a trial for who
/// has its disease on file, "no-disease" for who has not, and "deceased" for who is recorded as dead.
class Against {
public:
    /// Reads the NDJSON that replay or screen has written, also packed. Charts are told apart by their patient, those
    /// of one patient by their source, and by their order where they come from other files. Errors: std::runtime_error
    /// names file and line.
    Against(const std::filesystem::path& earlier, const Knowledge& knowledge);

    /// Compares one chart; in the order of the charts.
    void add(const ChartVerdicts& chart);

    /// What keeps the comparison from being one of the trial files alone: charts that only one side has, trials that
    /// the earlier output has not, charts of another day. A sentence each.
    std::vector<std::string> reservations() const;

    /// For people: how many moved from where to where, which criteria moved them, and the first of them by name. Or as
    /// NDJSON, one JSON object for each chart and trial that moved (docs/facts-file.md), with the reservations in the
    /// log.
    void print(bool isNdjson, std::ostream& out) const;

private:
    void printNdjson(std::ostream& out) const;
    std::string table() const;
    using Name = std::uint16_t;
    using Names = std::vector<Name>;
    /// A chart of the earlier output: for each trial its name and place, how many criteria failed and are open, these.
    struct Earlier {
        std::size_t origin = 0;  ///< a hash of it
        std::size_t file = 0;    ///< a hash of its file
        std::int32_t day = 0;
        bool isTaken = false;
        Names trials;
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
    std::vector<std::string> names(const Name* first, std::size_t count) const;
    Earlier* earlierOf(const ChartVerdicts& chart);
    std::optional<Move> moved(const Name* before, const TrialVerdict& now, bool deceased) const;

    const Knowledge& knowledge_;
    std::vector<std::string> names_;  ///< each criterion and status once
    std::map<std::string, Name, std::less<>> numbers_;
    std::unordered_map<std::string, std::vector<Earlier>> earlier_;  ///< by patient
    std::size_t before_ = 0;                                         ///< charts of the earlier output
    std::size_t compared_ = 0;
    std::size_t new_ = 0;                             ///< charts that the earlier output has not
    std::size_t otherDay_ = 0;                        ///< of those compared
    std::map<std::string, std::size_t> otherTrials_;  ///< charts for which the earlier output has not this trial
    std::vector<Move> moves_;
};

}  // namespace cds_hooks
