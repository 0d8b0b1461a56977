#include "cds-hooks/facts.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cds-hooks/against.h"
#include "cds-hooks/facts_file.h"
#include "cds-hooks/markdown.h"
#include "cds-hooks/output.h"
#include "cds-hooks/report.h"
#include "cds-hooks/screening.h"
#include "fhir/json.h"

namespace cds_hooks {

namespace {

/// Of the charts with a disease of one trial on file, how many have which status, and how many each criterion decides
/// against.
struct StatusCount {
    std::array<std::size_t, 3> charts{};    ///< by rules::Status
    std::vector<std::size_t> against;       ///< by criterion
    std::vector<std::size_t> decidedAlone;  ///< by criterion: no other decided against
    std::size_t gate = 0;                   ///< charts with a disease of the trial

    explicit StatusCount(std::size_t criteria = 0) : against(criteria, 0), decidedAlone(criteria, 0) {}
    void operator+=(const StatusCount& other) {
        for (std::size_t i = 0; i < charts.size(); ++i) charts[i] += other.charts[i];
        for (std::size_t i = 0; i < against.size(); ++i) {
            against[i] += other.against[i];
            decidedAlone[i] += other.decidedAlone[i];
        }
        gate += other.gate;
    }
};

/// What one block comes to.
struct EvaluatedBlock {
    std::unique_ptr<StoredBlock> block;
    std::vector<rules::BlockEvaluation> trials;
    std::vector<StatusCount> counts;
    std::string lines;
};

StatusCount countOf(const rules::Trial& trial, const rules::BlockEvaluation& evaluation) {
    StatusCount count(trial.criteria.size());
    for (std::size_t chart = 0; chart < evaluation.status.size(); ++chart) {
        if (evaluation.gate[chart] == 0) continue;
        ++count.gate;
        ++count.charts[static_cast<std::size_t>(evaluation.status[chart])];
        if (evaluation.status[chart] != rules::Status::ineligible) continue;
        const std::vector<std::size_t> failed = evaluation.failed(trial, chart);
        for (const std::size_t criterion : failed) ++count.against[criterion];
        if (failed.size() == 1) ++count.decidedAlone[failed.front()];
    }
    return count;
}

void appendIds(fhir::json::Writer& writer, std::string_view name, const rules::Trial& trial,
               const std::vector<std::size_t>& criteria) {
    writer.name(name).beginArray();
    for (const std::size_t index : criteria) writer.string(trial.criteria[index].id);
    writer.endArray();
}

ChartVerdicts verdictsOf(const Knowledge& knowledge, const EvaluatedBlock& evaluated, std::size_t chart) {
    const StoredBlock& block = *evaluated.block;
    ChartVerdicts verdicts{patientReference(block.patients[chart]),
                           block.origins[chart],
                           block.facts.asOf[chart],
                           block.deceased[chart],
                           {}};
    for (std::size_t i = 0; i < evaluated.trials.size(); ++i)
        verdicts.trials.push_back(verdictOf(knowledge.trials[i], evaluated.trials[i], chart));
    return verdicts;
}

void appendLine(const Knowledge& knowledge, const ChartVerdicts& verdicts, std::string& lines) {
    fhir::json::Writer writer;
    writer.beginObject()
        .member("patient", verdicts.patient)
        .member("asOf", verdicts.asOf.text())
        .name("source")
        .beginObject()
        .member("file", verdicts.origin.file);
    if (verdicts.origin.line > 0) writer.name("line").number(verdicts.origin.line);
    writer.endObject().member("program", programVersion()).member("knowledge", knowledge.digest);
    if (verdicts.deceased) writer.name("deceased").boolean(true);
    writer.name("trials").beginArray();
    for (const TrialVerdict& verdict : verdicts.trials) {
        writer.beginObject()
            .member("trial", verdict.trial->id)
            .member("status", rules::word(verdict.status))
            .name("gate")
            .boolean(verdict.gate);
        appendIds(writer, "failed", *verdict.trial, verdict.failed);
        appendIds(writer, "open", *verdict.trial, verdict.open);
        writer.endObject();
    }
    writer.endArray().endObject();
    lines += writer.text();
    lines += '\n';
}

EvaluatedBlock evaluateBlock(const Knowledge& knowledge, std::unique_ptr<StoredBlock> block, bool withLines) {
    EvaluatedBlock evaluated;
    evaluated.block = std::move(block);
    for (const rules::Trial& trial : knowledge.trials) {
        evaluated.trials.push_back(rules::BlockEvaluator(trial, knowledge.vocabulary).evaluate(evaluated.block->facts));
        evaluated.counts.push_back(countOf(trial, evaluated.trials.back()));
    }
    if (withLines) {
        for (std::size_t chart = 0; chart < evaluated.block->patients.size(); ++chart)
            appendLine(knowledge, verdictsOf(knowledge, evaluated, chart), evaluated.lines);
    }
    return evaluated;
}

std::string countsText(const Knowledge& knowledge, const std::vector<StatusCount>& counts, std::size_t charts) {
    std::string text = count(charts, "chart", "charts") + '\n';
    for (std::size_t t = 0; t < counts.size(); ++t) {
        const rules::Trial& trial = knowledge.trials[t];
        const StatusCount& numbers = counts[t];
        text += trial.id + "  with a disease of the trial " + std::to_string(numbers.gate) + "; of these";
        for (const rules::Status status :
             {rules::Status::candidate, rules::Status::potentialCandidate, rules::Status::ineligible})
            text += ' ' + std::string(rules::word(status)) + ' ' +
                    std::to_string(numbers.charts[static_cast<std::size_t>(status)]) +
                    (status == rules::Status::ineligible ? "\n" : ",");
        for (std::size_t i = 0; i < trial.criteria.size(); ++i) {
            if (numbers.against[i] == 0) continue;
            text += "  " + trial.criteria[i].id + "  decides against " + std::to_string(numbers.against[i]) +
                    " of them, alone against " + std::to_string(numbers.decidedAlone[i]) + '\n';
        }
    }
    return text;
}

void refuseExisting(const std::filesystem::path& output) {
    if (std::filesystem::exists(output))
        throw std::runtime_error("--output: " + output.string() + ": is there already");
}

}  // namespace

int writeFacts(const Knowledge& knowledge, const FactsOptions& options) {
    refuseExisting(options.output);
    ChartCount count;
    try {
        FactsFileWriter writer(options.output, knowledge, options.charts.day);
        count = forEachChart(
            storedCharts(options.charts),
            [&](const StoredChart& stored) -> Finish {
                const auto facts = std::make_shared<const ChartFacts>(factsOf(stored, knowledge.vocabulary));
                return [&writer, facts] { writer.add(*facts); };
            },
            [] { return true; });
        writer.finish(count);
    } catch (const std::runtime_error& error) {
        spdlog::error("{}: cannot be written: {}", options.output.string(), error.what());
        return 3;
    }
    writeManifest(options.output, knowledge, options.charts.day, options.charts.paths, count);
    return count.failed > 0 ? 3 : 0;
}

int replayFacts(const Knowledge& knowledge, const FactsReplayOptions& options, std::ostream& out) {
    FactsFile facts(options.facts, knowledge);
    if (facts.failed() > 0)
        spdlog::warn("{}: {} could not be read when it was written, and are not in it", options.facts.string(),
                     count(facts.failed(), "input", "inputs"));
    std::optional<Against> against;
    if (!options.against.empty()) against.emplace(options.against, knowledge);
    std::ofstream file;
    if (!options.output.empty()) {
        refuseExisting(options.output);
        file.open(options.output, std::ios::binary);
        if (!file) throw std::runtime_error(options.output.string() + ": cannot be written");
    }
    std::ostream& lines = options.output.empty() ? out : file;
    const bool withLines = !options.output.empty() || (options.format == Format::ndjson && !against);
    std::vector<StatusCount> counts;
    for (const rules::Trial& trial : knowledge.trials) counts.emplace_back(trial.criteria.size());

    const auto finish = [&](const EvaluatedBlock& evaluated) {
        for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += evaluated.counts[i];
        lines << evaluated.lines;
        if (!against) return;
        for (std::size_t chart = 0; chart < evaluated.block->patients.size(); ++chart)
            against->add(verdictsOf(knowledge, evaluated, chart));
    };
    std::deque<std::future<EvaluatedBlock>> running;
    const auto finishFirst = [&] {
        finish(running.front().get());
        running.pop_front();
    };
    facts.forEachBlock([&](std::unique_ptr<StoredBlock> block) {
        if (options.threads == 1) {
            finish(evaluateBlock(knowledge, std::move(block), withLines));
            return static_cast<bool>(lines);
        }
        running.push_back(std::async(std::launch::async, [&, moved = std::move(block)]() mutable {
            return evaluateBlock(knowledge, std::move(moved), withLines);
        }));
        if (running.size() > options.threads) finishFirst();
        return static_cast<bool>(lines);
    });
    while (!running.empty()) finishFirst();
    lines.flush();
    if (lines && !options.output.empty()) {
        const EvaluationDay day{fhir::Date::parse(facts.asOf()), {}};
        writeManifest(options.output, knowledge, day, {options.facts.string()}, {facts.charts(), facts.failed()});
    }
    if (against) {
        against->print(options.format == Format::ndjson, out);
    } else if (!withLines || !options.output.empty()) {
        out << countsText(knowledge, counts, facts.charts());
    }
    out.flush();
    if (lines && out) return 0;
    spdlog::error("the output cannot be written");
    return 3;
}

}  // namespace cds_hooks
