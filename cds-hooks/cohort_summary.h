#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/charts.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/report.h"
#include "cds-hooks/screening.h"
#include "cds-hooks/unlock.h"
#include "fhir/json.h"
#include "mapping/fact.h"
#include "rules/evaluate.h"

namespace cds_hooks {

/// A fact that a trial waits for, and why.
struct Gap {
    const mapping::FactDefinition* fact = nullptr;
    mapping::Basis basis = mapping::Basis::missing;

    friend bool operator==(const Gap&, const Gap&) = default;
};

/// One criterion of a patient on the worklist, with the short text of its evidence; plain text.
struct CitedCriterion {
    const rules::Criterion* criterion = nullptr;
    rules::Truth truth = rules::Truth::Unknown;
    mapping::Basis basis = mapping::Basis::missing;
    bool gate = false;  ///< says that the patient has a disease of the trial
    std::vector<Gap> gaps;
    std::size_t questions = 0;
    std::string clearsOn;  ///< YYYY-MM-DD; empty when no window ends
    std::vector<std::string> evidence;
    std::size_t moreEvidence = 0;
};

/// A criterion that is open until a window ends.
struct Window {
    const rules::Criterion* criterion = nullptr;
    std::string clearsOn;  ///< the first day on which it no longer holds, YYYY-MM-DD; empty when nobody knows
};

/// A patient who may enter a trial: the trial is suggested for him.
struct WorklistEntry {
    std::size_t number = 0;  ///< of the chart among those that were evaluated, from 1
    std::string patient;     ///< "Patient/p1"
    std::string source;      ///< "charts.ndjson:12", or the address of the Patient
    std::string asOf;
    rules::Status status = rules::Status::potentialCandidate;
    std::vector<Gap> gaps;        ///< what is missing or unusable, that first which most criteria wait for
    std::vector<Window> windows;  ///< of criteria that are open until then
    std::size_t questions = 0;    ///< criteria that wait for a person's answer
    std::vector<CitedCriterion> cited;
    std::size_t noneOnFile = 0;  ///< further criteria that nothing on file stands against
};

/// What one chart adds to a summary.
struct CohortChart {
    enum class Decision : std::uint8_t { favourable, against, open, asked };

    struct InTrial {
        rules::Status status = rules::Status::potentialCandidate;
        bool disease = false;  ///< a disease of the trial is on file: the gate fires
        bool onStudy = false;
        bool refused = false;
        std::vector<Decision> decisions{};  ///< one for each top-level criterion; empty without the disease
        std::optional<WorklistEntry> entry{};
    };
    bool deceased = false;
    std::size_t issues = 0;
    std::vector<InTrial> trials;  ///< in the order of the knowledge
    std::vector<Gap> gaps;        ///< each once, of the trials whose disease is on file; empty for the dead
    std::vector<Unlock> unlocks;
};

/// How many of the patients considered for a trial one top-level criterion keeps, loses and leaves open.
struct CriterionCount {
    const rules::Criterion* criterion = nullptr;
    std::size_t leave = 0;      ///< decided against, and by no criterion before it in the file
    std::size_t against = 0;    ///< decided against
    std::size_t alone = 0;      ///< decided against by this criterion and no other
    std::size_t open = 0;       ///< not decided: data is missing or unusable, or a window is not over
    std::size_t asked = 0;      ///< not decided, and only a person's answer is missing
    std::size_t wouldLose = 0;  ///< open or asked, and nothing decided against: lost if this one failed
};

/// Charts of one trial. What each number means stands in docs/cohort-report.md.
struct TrialCount {
    const rules::Trial* trial = nullptr;
    std::array<std::size_t, 3> statuses{};  ///< of all charts, by rules::Status
    std::size_t disease = 0;
    std::size_t deceased = 0;  ///< of those with the disease, as the following
    std::size_t onStudy = 0;
    std::size_t refused = 0;
    std::array<std::size_t, 3> considered{};  ///< the others with the disease, by rules::Status
    std::vector<CriterionCount> criteria;     ///< top-level criteria in file order

    std::size_t consideredCharts() const { return considered[0] + considered[1] + considered[2]; }
    std::size_t onWorklist() const { return considered[1] + considered[2]; }
};

/// Why verdicts about one fact are open, in charts.
struct FactGaps {
    const mapping::FactDefinition* fact = nullptr;
    std::array<std::size_t, static_cast<std::size_t>(mapping::Basis::missing) + 1> charts{};  ///< by basis

    std::size_t of(mapping::Basis basis) const { return charts[static_cast<std::size_t>(basis)]; }
};

/// What a coordinator opens in the morning: all charts of a run together. A function of the lines of its NDJSON, so
/// that a run that goes on with an earlier output counts what stands there. Holds counts, and of each trial the
/// patients with the least missing, `most` of them.
class CohortSummary {
public:
    CohortSummary(const Knowledge& knowledge, std::size_t most);

    /// What a chart adds. `line` is its line of NDJSON, or empty when it was not written. May run on several threads.
    CohortChart of(const Screening& screening, const Origin& origin, std::string_view line) const;
    /// The same of a line that was written with this knowledge.
    CohortChart of(fhir::json::Value line) const;
    /// One chart after the other, in the order of the input.
    void add(CohortChart chart);

    const Knowledge& knowledge() const { return *knowledge_; }
    std::size_t charts() const { return charts_; }
    std::size_t deceased() const { return deceased_; }
    std::size_t withDisease() const { return withDisease_; }  ///< charts with a disease of some trial on file
    std::size_t withIssues() const { return withIssues_; }    ///< charts of which something was not read
    std::size_t issues() const { return issues_; }            ///< together
    const std::vector<TrialCount>& trials() const { return trials_; }
    const UnlockTally& unlocks() const { return unlocks_; }
    /// In how many charts a fact is the only one missing for a trial on whose worklist they are.
    std::size_t onlyMissing(const mapping::FactDefinition& fact) const { return onlyMissing_[fact.index]; }
    /// Facts for which some verdict waits: first those that are on file and unusable in most charts, then those not
    /// read.
    std::vector<FactGaps> gaps() const;
    /// Of a trial by its place: the patients with the least missing, then fewest windows, then fewest questions.
    std::vector<const WorklistEntry*> worklist(std::size_t trial) const;
    std::size_t most() const { return most_; }

private:
    CohortChart::InTrial readTrial(std::size_t trial, fhir::json::Value line, CohortChart& chart) const;
    WorklistEntry readEntry(std::size_t trial, fhir::json::Value line) const;
    void readEvidence(const rules::Trial& trial, fhir::json::Value line, WorklistEntry& entry) const;
    CitedCriterion readCriterion(const rules::Criterion& criterion, fhir::json::Value node) const;
    std::vector<Gap> readGaps(fhir::json::Value node) const;
    void keep(std::size_t trial, WorklistEntry entry);

    const Knowledge* knowledge_;
    std::size_t most_;
    std::size_t charts_ = 0;
    std::size_t deceased_ = 0;
    std::size_t withDisease_ = 0;
    std::size_t withIssues_ = 0;
    std::size_t issues_ = 0;
    std::vector<TrialCount> trials_;
    std::vector<std::vector<WorklistEntry>> worklists_;  ///< by trial; each a heap with the last of them on top
    /// By trial: what of a chart to come would no longer be kept, and whose evidence need not be read. It only falls.
    std::unique_ptr<std::atomic<std::uint64_t>[]> mostOrder_;
    UnlockTally unlocks_;
    std::vector<std::size_t> onlyMissing_;  ///< in the order of the vocabulary
    std::vector<FactGaps> gaps_;            ///< the same
};

/// What a summary was made of.
struct CohortRun {
    std::vector<std::string> inputs;  ///< files and folders, or the address of a server
    std::string asOf;                 ///< a day; empty when each chart has its own
    ChartCount count;
    std::string output;  ///< the NDJSON; empty when none is kept
};

/// The reasons of open verdicts that a better feed would take away, in the order of their columns, with their names.
const std::vector<std::pair<mapping::Basis, std::string_view>>& mendable();

/// The published words of a criterion, of its parts where it has none, else its reading; at most `most` code points.
std::string criterionText(const rules::Trial& trial, const rules::Criterion& criterion, std::size_t most);

/// For people: the numbers without patients, as tables of plain text.
std::string cohortText(const CohortSummary& summary, const CohortRun& run);

}  // namespace cds_hooks
