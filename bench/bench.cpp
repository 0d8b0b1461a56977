// Each step from the bytes of a chart to a card, as time and as a ratio to RapidJSON's DOM parse of the same bytes in
// the same run.

#include <benchmark/benchmark.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/generator.h"
#include "cds-hooks/card.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/report.h"
#include "cds-hooks/screening.h"
#include "fhir/bundle.h"

namespace {

constexpr std::size_t chartBytes = 60'000;
constexpr std::string_view baseline = "RapidJsonDom";

const cds_hooks::Knowledge& knowledge() {
    static const cds_hooks::Knowledge loaded = [] {
        std::vector<mapping::Problem> problems;
        return cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems);
    }();
    return loaded;
}

const std::string& text() {
    static const std::string made = bench::chart(1, chartBytes);
    return made;
}

fhir::Date asOf() {
    return *fhir::Date::of(2025, 11, 13);
}

fhir::Coverage coverage() {
    fhir::Coverage result;
    result.set("Condition", fhir::Covered::completely);
    return result;
}

std::shared_ptr<fhir::json::Document> document() {
    return std::make_shared<fhir::json::Document>(text(), fhir::json::Selection::elements);
}

void RapidJsonDom(benchmark::State& state) {
    for (auto _ : state) {
        std::string copy = text();
        rapidjson::Document parsed;
        parsed.ParseInsitu<rapidjson::kParseNumbersAsStringsFlag>(copy.data());
        benchmark::DoNotOptimize(parsed.HasParseError());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * static_cast<std::int64_t>(text().size())));
}

void Parse(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(document());
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * static_cast<std::int64_t>(text().size())));
}

void ReadChart(benchmark::State& state) {
    const auto parsed = document();
    for (auto _ : state) benchmark::DoNotOptimize(fhir::readBundle(parsed, coverage()));
}

void Map(benchmark::State& state) {
    const fhir::Chart chart = fhir::readBundle(document(), coverage());
    for (auto _ : state) benchmark::DoNotOptimize(mapping::readFacts(chart, knowledge().vocabulary, asOf()));
}

void EvaluateFiveTrials(benchmark::State& state) {
    const fhir::Chart chart = fhir::readBundle(document(), coverage());
    const mapping::Facts facts = mapping::readFacts(chart, knowledge().vocabulary, asOf());
    for (auto _ : state) {
        for (const rules::Trial& trial : knowledge().trials) benchmark::DoNotOptimize(rules::evaluate(trial, facts));
    }
}

void RenderNdjson(benchmark::State& state) {
    const auto screening = cds_hooks::screen(knowledge(), fhir::readBundle(document(), coverage()), asOf());
    for (auto _ : state) benchmark::DoNotOptimize(cds_hooks::ndjsonLine(screening, knowledge(), {"chart.json", 0}));
}

void RenderCard(benchmark::State& state) {
    const auto screening = cds_hooks::screen(knowledge(), fhir::readBundle(document(), coverage()), asOf());
    for (auto _ : state) benchmark::DoNotOptimize(cds_hooks::cardsJson(screening, knowledge(), {"uuid", "p", ""}, {}));
}

void WholeLineToCard(benchmark::State& state) {
    for (auto _ : state) {
        const auto screening = cds_hooks::screen(knowledge(), fhir::readBundle(document(), coverage()), asOf());
        benchmark::DoNotOptimize(cds_hooks::cardsJson(screening, knowledge(), {"uuid", "p", ""}, {}));
    }
}

BENCHMARK(RapidJsonDom);
BENCHMARK(Parse);
BENCHMARK(ReadChart);
BENCHMARK(Map);
BENCHMARK(EvaluateFiveTrials);
BENCHMARK(RenderNdjson);
BENCHMARK(RenderCard);
BENCHMARK(WholeLineToCard);

/// Prints as usual, and remembers the median of each benchmark for the ratios.
class RatioReporter : public benchmark::ConsoleReporter {
public:
    void ReportRuns(const std::vector<Run>& runs) override {
        ConsoleReporter::ReportRuns(runs);
        for (const Run& run : runs) {
            const bool single = run.run_type == Run::RT_Iteration && runs.size() == 1;
            if (single || run.aggregate_name == "median") times_[run.run_name.function_name] = run.GetAdjustedCPUTime();
        }
    }
    void Finalize() override {
        ConsoleReporter::Finalize();
        const auto base = times_.find(baseline);
        if (base == times_.end()) return;
        std::cout << "\nRatio to RapidJSON's DOM parse of the same " << text().size() << " bytes, in this run:\n";
        for (const auto& [name, time] : times_) {
            std::cout << "  " << name << std::string(24 - std::min<std::size_t>(23, name.size()), ' ')
                      << time / base->second << '\n';
        }
    }

private:
    std::map<std::string, double, std::less<>> times_;
};

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    RatioReporter reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
    return 0;
}
