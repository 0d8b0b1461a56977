// One trial over the facts of a cohort: a facts file, read and judged by column, against evaluating chart by chart in
// the same run. Items are charts.

#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/generator.h"
#include "cds-hooks/facts_file.h"
#include "cds-hooks/knowledge.h"
#include "fhir/bundle.h"
#include "mapping/fact.h"
#include "rules/block.h"
#include "rules/evaluate.h"

namespace {

constexpr std::size_t charts = 4096;
constexpr const char* trial = "NCT07117305";

/// The knowledge with this trial alone.
const cds_hooks::Knowledge& knowledge() {
    static const cds_hooks::Knowledge loaded = [] {
        std::vector<mapping::Problem> problems;
        cds_hooks::Knowledge all = cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems);
        std::erase_if(all.trials, [](const rules::Trial& each) { return each.id != trial; });
        return all;
    }();
    return loaded;
}

/// The charts of a corpus, and their facts in a file that is gone with the program.
struct Cohort {
    std::vector<fhir::Chart> read;
    std::vector<mapping::Facts> facts;
    std::filesystem::path file;

    explicit Cohort(bench::Corpus corpus)
        : file(std::filesystem::temp_directory_path() /
               ("cd7match-bench-" + std::to_string(static_cast<int>(corpus)) + ".facts")) {
        const fhir::Date asOf = *fhir::Date::of(2025, 11, 13);
        cds_hooks::FactsFileWriter writer(file, knowledge(), {asOf, asOf});
        fhir::Coverage coverage;
        coverage.setAll(fhir::Covered::completely);
        read.reserve(charts);  // the facts hold views into the charts
        for (std::size_t number = 0; number < charts; ++number) {
            auto document = std::make_shared<fhir::json::Document>(bench::bundle(bench::patient(corpus, 1, number)),
                                                                   fhir::json::Selection::elements);
            cds_hooks::StoredChart stored{{"charts.ndjson", number + 1}, fhir::readBundle(document, coverage), asOf};
            writer.add(cds_hooks::factsOf(stored, knowledge().vocabulary));
            read.push_back(std::move(stored.chart));
            facts.push_back(mapping::readFacts(read.back(), knowledge().vocabulary, asOf));
        }
        writer.finish({charts, 0});
    }
    Cohort(const Cohort&) = delete;
    Cohort& operator=(const Cohort&) = delete;
    ~Cohort() { std::filesystem::remove(file); }
};

const Cohort& cohort(bench::Corpus corpus) {
    static const Cohort synthea(bench::Corpus::synthea);
    static const Cohort mii(bench::Corpus::mii);
    static const Cohort oncology(bench::Corpus::oncology);
    return corpus == bench::Corpus::synthea ? synthea : corpus == bench::Corpus::mii ? mii : oncology;
}

void countCharts(benchmark::State& state) {
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(charts));
}

void FactsChartByChart(benchmark::State& state, bench::Corpus corpus) {
    const Cohort& all = cohort(corpus);
    for (auto _ : state) {
        for (const mapping::Facts& facts : all.facts)
            benchmark::DoNotOptimize(rules::evaluate(knowledge().trials.front(), facts).status);
    }
    countCharts(state);
}

void FactsByColumn(benchmark::State& state, bench::Corpus corpus) {
    const Cohort& all = cohort(corpus);
    const rules::BlockEvaluator evaluator(knowledge().trials.front(), knowledge().vocabulary);
    for (auto _ : state) {
        cds_hooks::FactsFile(all.file, knowledge()).forEachBlock([&](std::unique_ptr<cds_hooks::StoredBlock> block) {
            benchmark::DoNotOptimize(evaluator.evaluate(block->facts).status.data());
            return true;
        });
    }
    countCharts(state);
}

BENCHMARK_CAPTURE(FactsChartByChart, synthea, bench::Corpus::synthea);
BENCHMARK_CAPTURE(FactsByColumn, synthea, bench::Corpus::synthea);
BENCHMARK_CAPTURE(FactsChartByChart, mii, bench::Corpus::mii);
BENCHMARK_CAPTURE(FactsByColumn, mii, bench::Corpus::mii);
BENCHMARK_CAPTURE(FactsChartByChart, oncology, bench::Corpus::oncology);
BENCHMARK_CAPTURE(FactsByColumn, oncology, bench::Corpus::oncology);

}  // namespace
