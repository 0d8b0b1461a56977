#include "cds-hooks/replay.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <utility>

#include "cds-hooks/bulk_folder.h"
#include "cds-hooks/cohort_page.h"
#include "cds-hooks/explain.h"
#include "cds-hooks/output.h"
#include "cds-hooks/report.h"
#include "cds-hooks/screening.h"
#include "cds-hooks/unlock.h"

namespace cds_hooks {

namespace {

/// What one chart comes to.
struct Replayed {
    std::string text;
    bool notCovered = false;
    std::vector<Unlock> unlocks;
    std::vector<Candidate> candidates;
    CohortChart cohort;
    ChartVerdicts verdicts;
};

Candidate candidateOf(const Screening& screening, const rules::Evaluation& evaluation) {
    Candidate candidate{evaluation.trial, std::string(screening.chart.patient.id), evaluation.status, {}};
    std::string missing;
    for (const rules::Missing& each : evaluation.missing) missing += (missing.empty() ? "" : ", ") + each.fact->label;
    candidate.summary = evaluation.trial->id + ": " + std::string(rules::word(evaluation.status)) + " as of " +
                        screening.facts.asOf.text() + (missing.empty() ? "" : "; missing: " + missing) + "; " +
                        std::to_string(evaluation.asks.size()) + " question(s) for a person";
    return candidate;
}

bool restsOnCoverage(const Screening& screening) {
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        for (const rules::Finding& finding : evaluation.findings) {
            if (finding.outcome.truth == rules::Truth::Unknown && finding.outcome.basis == mapping::Basis::notCovered)
                return true;
        }
    }
    return false;
}

Replayed reportOne(const Knowledge& knowledge, const ReportOptions& options, StoredChart stored,
                   const CohortSummary* summary) {
    const Screening screening = screen(knowledge, std::move(stored.chart), stored.asOf);
    Replayed replayed;
    replayed.notCovered = restsOnCoverage(screening);
    const std::vector<const rules::Evaluation*> trials = suggested(screening);
    replayed.unlocks = unlocks(trials);
    if (options.onCandidate) {
        for (const rules::Evaluation* evaluation : trials)
            replayed.candidates.push_back(candidateOf(screening, *evaluation));
    }
    if (options.onVerdicts) {
        replayed.verdicts = {patientReference(screening.chart.patient.id),
                             stored.origin,
                             screening.facts.asOf,
                             screening.facts.deceased,
                             {}};
        for (const rules::Evaluation& evaluation : screening.evaluations)
            replayed.verdicts.trials.push_back(verdictOf(evaluation));
    }
    if (!options.explain.empty()) {
        replayed.text = stored.origin.text() + '\n' + explanation(screening, options.explain);
        return replayed;
    }
    switch (options.format) {
        case Format::ndjson:
            replayed.text = ndjsonLine(screening, knowledge, stored.origin);
            replayed.text += '\n';
            break;
        case Format::table:
            replayed.text = tableText(screening, stored.origin) + '\n';
            break;
        case Format::markdown:
            replayed.text = markdownText(screening, stored.origin) + '\n';
            break;
        case Format::none:
            break;
    }
    if (summary != nullptr)
        replayed.cohort =
            summary->of(screening, stored.origin, options.format == Format::ndjson ? replayed.text : std::string());
    return replayed;
}

Reported reportAll(const Knowledge& knowledge, const ReportOptions& options, const ChartSource& source,
                   std::ostream& out, CohortSummary* summary) {
    Reported reported;
    UnlockTally tally;
    reported.count = forEachChart(
        source,
        [&](StoredChart stored) -> Finish {
            const auto replayed = std::make_shared<Replayed>(reportOne(knowledge, options, std::move(stored), summary));
            return [&, replayed] {
                reported.notCovered = reported.notCovered || replayed->notCovered;
                out << replayed->text;
                if (source.total > 0) out.flush();  // what a server was asked for is not asked for again
                tally.add(replayed->unlocks);
                if (summary != nullptr) summary->add(std::move(replayed->cohort));
                for (const Candidate& candidate : replayed->candidates) options.onCandidate(candidate);
                if (options.onVerdicts) options.onVerdicts(replayed->verdicts);
            };
        },
        [&] { return static_cast<bool>(out); });
    // The lines of NDJSON are one patient each, and carry their own.
    const bool hasTally = options.format != Format::ndjson && options.format != Format::none &&
                          options.explain.empty() && !tally.rows().empty();
    if (reported.count.read > 1 && hasTally) out << tallyText(tally, options.format == Format::markdown);
    out.flush();
    reported.isWritten = static_cast<bool>(out);
    if (!out)
        spdlog::error(
            "the output cannot be written, as on a full disk; --resume goes on behind the last whole line of an "
            "--output");
    return reported;
}

/// Leaves out the inputs up to the one that the last line of an earlier run came from, meeting every line in its order.
class Resumed {
public:
    Resumed(const ReplayOptions& options, const Knowledge& knowledge, CohortSummary* summary)
        : output_(options.output) {
        const EarlierOutput earlier(output_, knowledge, options.charts.day, [&](fhir::json::Value line) {
            last_ = readOrigin(line["source"]).text();
            origins_.push_back(std::hash<std::string>()(last_));
            if (summary != nullptr) summary->add(summary->of(line));
            return std::string();
        });
        lines_ = earlier.lines();
    }

    void apply(ChartSource& source) {
        if (isDone()) return;
        spdlog::info("{} charts stand in the output already", lines_);
        source.inputs = [this, &source, all = source.inputs](const std::function<bool(Input)>& take) {
            all([&](Input input) {
                if (isDone()) return take(std::move(input));
                // What has no line here could not be read, or an input is given twice: each line is met in its order.
                ++skipped_;
                if (std::hash<std::string>()(input.origin.text()) == origins_[met_]) {
                    ++met_;
                } else if (failed_.size() < ChartCount::mostNamed) {
                    const Origin origin = input.origin;
                    const std::string problem = problemOf(source, std::move(input), [](const StoredChart&) {});
                    failed_.push_back(failedInput(origin, problem.empty() ? "has no line in the output" : problem));
                }
                return true;
            });
        };
    }

    /// Adds what the earlier run has counted. Throws std::runtime_error when it was about other inputs.
    void addTo(ChartCount& count) const {
        if (!isDone())
            throw std::runtime_error(output_.string() + ": ends with " + last_ +
                                     ", which is not among these inputs; nothing was evaluated");
        count.read += lines_;
        count.failed += skipped_ - lines_;
        std::vector<FailedInput> named = failed_;
        named.insert(named.end(), count.named.begin(), count.named.end());
        if (named.size() > ChartCount::mostNamed) named.resize(ChartCount::mostNamed);
        count.named = std::move(named);
    }

private:
    bool isDone() const { return met_ == origins_.size(); }

    std::filesystem::path output_;
    std::string last_;
    std::vector<std::size_t> origins_;  ///< a hash of the origin of each line
    std::size_t met_ = 0;               ///< of them
    std::size_t lines_ = 0;
    std::size_t skipped_ = 0;
    std::vector<FailedInput> failed_;  ///< the first of those that were skipped and have no line
};

}  // namespace

std::vector<mapping::Problem> problemsOfOutput(const std::filesystem::path& output, bool resume,
                                               const ReportOptions& report) {
    std::vector<mapping::Problem> problems;
    if (report.cohort.isWanted() && !report.explain.empty())
        problems.push_back({"--explain", "does not go with --summary and --report"});
    if (const std::filesystem::path& page = report.cohort.page; !page.empty()) {
        const std::filesystem::path folder = page.has_parent_path() ? page.parent_path() : ".";
        const bool isOther = std::filesystem::exists(page) && !std::filesystem::is_regular_file(page);
        if (isOther || std::filesystem::is_symlink(page) || !std::filesystem::is_directory(folder))
            problems.push_back({"--report", page.string() + ": no file can be written there"});
        if (!output.empty() && std::filesystem::weakly_canonical(page) == std::filesystem::weakly_canonical(output))
            problems.push_back({"--report", "is the file of --output as well"});
    }
    if (output.empty()) {
        if (resume) problems.push_back({"--resume", "needs --output, the file to go on with"});
        return problems;
    }
    if (report.format != Format::ndjson || !report.explain.empty())
        problems.push_back({"--output", "is NDJSON; leave out --format and --explain"});
    if (!resume && std::filesystem::exists(output))
        problems.push_back({"--output", output.string() + ": is there already; --resume goes on with it"});
    return problems;
}

Reported report(const Knowledge& knowledge, const ReportOptions& options, const ChartSource& source, std::ostream& out,
                CohortSummary* summary) {
    return reportAll(knowledge, options, source, out, summary);
}

bool writeSummary(const CohortSummary& summary, const CohortOptions& options, const CohortRun& run,
                  const Reported& reported, std::ostream& out) {
    if (!reported.isWritten) {
        spdlog::error("no summary is written: charts are missing in it");
        return false;
    }
    if (options.summary) {
        out << cohortText(summary, run);
        out.flush();
        if (!out) spdlog::error("the summary cannot be written");
    }
    if (options.page.empty()) return static_cast<bool>(out);
    try {
        writeWhole(options.page, cohortPage(summary, run));
    } catch (const std::runtime_error& error) {
        spdlog::error("--report: {}", error.what());
        return false;
    }
    return static_cast<bool>(out);
}

int replay(const Knowledge& knowledge, const ReplayOptions& options, std::ostream& out) {
    ChartSource source = storedCharts(options.charts);
    std::ofstream file;
    std::optional<Resumed> resumed;
    std::optional<CohortSummary> summary;
    if (options.report.cohort.isWanted()) summary.emplace(knowledge, options.report.cohort.most);
    CohortSummary* const cohort = summary ? &*summary : nullptr;
    if (options.resume) {
        resumed.emplace(options, knowledge, cohort);
        resumed->apply(source);
    }
    std::optional<Against> against;
    ReportOptions reporting = options.report;
    if (!options.against.empty()) {
        against.emplace(options.against, knowledge);
        reporting.onVerdicts = [&](const ChartVerdicts& chart) { against->add(chart); };
    }
    if (!options.output.empty()) {
        file.open(options.output, std::ios::binary | std::ios::app);
        if (!file) throw std::runtime_error(options.output.string() + ": cannot be written");
    }
    Reported reported = reportAll(knowledge, reporting, source, options.output.empty() ? out : file, cohort);
    if (resumed) resumed->addTo(reported.count);
    const std::vector<std::string>& paths = options.charts.paths;
    const bool isBulk = options.charts.rows != nullptr || std::any_of(paths.begin(), paths.end(), isBulkFolder);
    if (reported.notCovered && !isBulk && options.charts.coverage.of("Condition") == fhir::Covered::undeclared)
        spdlog::warn(
            "history could not be decided: say with --covers which resource types these charts hold completely");
    if (!options.output.empty() && reported.isWritten)
        writeManifest(options.output, knowledge, options.charts.day, paths, reported.count);
    if (against && reported.isWritten) {
        against->print(options.moves == Format::ndjson, out);
        if (!out) reported.isWritten = false;
    }
    if (!summary) return reported.status();
    const std::optional<fhir::Date>& asOf = options.charts.day.asOf;
    CohortRun run{{}, asOf ? asOf->text() : std::string(), reported.count, nameOf(options.output.string())};
    for (const std::string& path : paths) run.inputs.push_back(nameOf(path));
    return writeSummary(*summary, options.report.cohort, run, reported, out) ? reported.status() : 3;
}

}  // namespace cds_hooks
