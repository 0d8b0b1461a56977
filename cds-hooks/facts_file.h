#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cds-hooks/charts.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/report.h"
#include "cds-hooks/sqlite.h"
#include "mapping/stored_fact.h"
#include "rules/block.h"

namespace cds_hooks {

/// What a facts file keeps of one chart.
struct ChartFacts {
    std::string patient;  ///< id; empty when the Patient has none
    Origin origin;
    fhir::Date asOf;
    bool deceased = false;
    std::vector<mapping::StoredFact> facts;  ///< one for each fact of the vocabulary
    /// What people answered in screening forms: by the linkId of the item, "fact/lvef" or "NCT…/inc.01".
    std::vector<std::pair<std::string, mapping::StoredFact>> answers;
};

/// The facts of a chart on its day.
ChartFacts factsOf(const StoredChart& stored, const mapping::Vocabulary& vocabulary);

/// One column while it is written: the states that occur, in which charts, and what is each chart's own.
class ColumnWriter {
public:
    void add(const std::string& state, std::string_view moments);

    std::string states() const;  ///< with a blank line between two
    std::string runs() const;
    const std::string& moments() const { return moments_; }

private:
    std::map<std::string, std::uint32_t, std::less<>> numbers_;
    std::vector<rules::FactColumn::Run> runs_;
    std::string moments_;
};

/// Writes the facts of a cohort into a SQLite file (docs/facts-file.md): all of it, or no file. Errors:
/// std::runtime_error names the file.
class FactsFileWriter {
public:
    /// So many charts share one dictionary of states; they are read and judged together.
    static constexpr std::size_t usualBlock = 16'384;

    FactsFileWriter(std::filesystem::path file, const Knowledge& knowledge, const EvaluationDay& day,
                    std::size_t chartsInBlock = usualBlock);
    ~FactsFileWriter();
    FactsFileWriter(const FactsFileWriter&) = delete;
    FactsFileWriter& operator=(const FactsFileWriter&) = delete;

    void add(const ChartFacts& chart);
    void finish(const ChartCount& count);

private:
    void create(const EvaluationDay& day);
    void writeBlock();

    std::filesystem::path file_;
    std::filesystem::path part_;
    const Knowledge& knowledge_;
    std::size_t chartsInBlock_;
    std::unique_ptr<sqlite::Connection> database_;
    std::size_t blocks_ = 0;
    std::size_t charts_ = 0;  ///< in the block that is being put together
    std::vector<ColumnWriter> facts_;
    ColumnWriter patients_;
    ColumnWriter files_;
    ColumnWriter lines_;
    ColumnWriter days_;
    ColumnWriter deceased_;
};

/// The charts of one block, with what their columns point into.
struct StoredBlock {
    std::size_t number = 0;
    std::vector<std::string> patients;  ///< ids
    std::vector<Origin> origins;
    std::vector<bool> deceased;
    rules::Block facts;
    std::vector<std::unique_ptr<std::string>> bytes;
};

/// A facts file that is read. Errors: std::runtime_error names it when it is none, is damaged, or was written with
/// another vocabulary.
class FactsFile {
public:
    FactsFile(const std::filesystem::path& file, const Knowledge& knowledge);

    std::size_t charts() const { return charts_; }
    std::size_t failed() const { return failed_; }     ///< inputs that could not be read when it was written
    const std::string& asOf() const { return asOf_; }  ///< a day, or "latest"
    /// Hands out block after block in the order of the charts until `take` says false. Of the facts only those are read
    /// that these trials ask for.
    void forEachBlock(const std::function<bool(std::unique_ptr<StoredBlock>)>& take);

private:
    void readAnswers(StoredBlock& block);

    std::filesystem::path file_;
    const Knowledge& knowledge_;
    sqlite::Connection database_;
    std::size_t charts_ = 0;
    std::size_t failed_ = 0;
    std::string asOf_;
};

}  // namespace cds_hooks
