#include "cds-hooks/replay.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <utility>

#include "cds-hooks/bulk_folder.h"
#include "cds-hooks/explain.h"
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

Replayed reportOne(const Knowledge& knowledge, const ReportOptions& options, StoredChart stored) {
    const Screening screening = screen(knowledge, std::move(stored.chart), stored.asOf);
    Replayed replayed;
    replayed.notCovered = restsOnCoverage(screening);
    const std::vector<const rules::Evaluation*> trials = suggested(screening);
    replayed.unlocks = unlocks(trials);
    if (options.onCandidate) {
        for (const rules::Evaluation* evaluation : trials)
            replayed.candidates.push_back(candidateOf(screening, *evaluation));
    }
    if (!options.explain.empty()) {
        replayed.text = stored.origin.text() + '\n' + explanation(screening, options.explain);
        return replayed;
    }
    switch (options.format) {
        case Format::ndjson:
            replayed.text = ndjsonLine(screening, knowledge, stored.origin) + '\n';
            break;
        case Format::table:
            replayed.text = tableText(screening, stored.origin) + '\n';
            break;
        case Format::markdown:
            replayed.text = markdownText(screening, stored.origin) + '\n';
            break;
    }
    return replayed;
}

/// `notCovered` becomes true when a verdict waits for what was not read.
int report(const Knowledge& knowledge, const ReportOptions& options, const ChartSource& source, std::ostream& out,
           bool& notCovered) {
    UnlockTally tally;
    const ChartCount count = forEachChart(
        source,
        [&](StoredChart stored) -> Finish {
            const auto replayed = std::make_shared<Replayed>(reportOne(knowledge, options, std::move(stored)));
            return [&, replayed] {
                notCovered = notCovered || replayed->notCovered;
                out << replayed->text;
                if (source.total > 0) out.flush();  // what a server was asked for is not asked for again
                tally.add(replayed->unlocks);
                for (const Candidate& candidate : replayed->candidates) options.onCandidate(candidate);
            };
        },
        [&] { return static_cast<bool>(out); });
    // The lines of NDJSON are one patient each, and carry their own.
    const bool hasTally = options.format != Format::ndjson && options.explain.empty() && !tally.rows().empty();
    if (count.read > 1 && hasTally) out << tallyText(tally, options.format == Format::markdown);
    out.flush();
    if (!out) {
        spdlog::error("the output cannot be written");
        return 3;
    }
    return count.failed > 0 ? 3 : 0;
}

}  // namespace

int report(const Knowledge& knowledge, const ReportOptions& options, const ChartSource& source, std::ostream& out) {
    bool notCovered = false;
    return report(knowledge, options, source, out, notCovered);
}

int replay(const Knowledge& knowledge, const ReplayOptions& options, std::ostream& out) {
    bool notCovered = false;
    const int status = report(knowledge, options.report, storedCharts(options.charts), out, notCovered);
    const bool isBulk = std::any_of(options.charts.paths.begin(), options.charts.paths.end(), isBulkFolder);
    if (notCovered && !isBulk && options.charts.coverage.of("Condition") == fhir::Covered::undeclared)
        spdlog::warn(
            "history could not be decided: say with --covers which resource types these charts hold completely");
    return status;
}

}  // namespace cds_hooks
