#include "cds-hooks/facts_file.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "cds-hooks/screening.h"

namespace cds_hooks {

using mapping::FactDefinition;
using mapping::StoredFact;
using rules::FactColumn;

namespace {

namespace fs = std::filesystem;

constexpr std::string_view formatName = "cd7match facts 1";
constexpr std::string_view between = "\n\n";
constexpr std::int64_t mostInBlock = 1 << 24;

/// What stands between blank lines must not hold one.
std::string oneLine(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char each) { return static_cast<unsigned char>(each) < ' '; }, '?');
    return text;
}

/// A column as it was stored.
struct StoredColumn {
    std::string_view states;
    std::string_view runs;
    std::string_view moments;

    /// Nothing when the bytes are no column of so many charts.
    std::optional<FactColumn> column(std::size_t all) const {
        FactColumn column;
        column.moments = moments;
        for (std::string_view rest = states;;) {
            const std::size_t end = rest.find(between);
            column.states.push_back(rest.substr(0, end));
            if (end == std::string_view::npos) break;
            rest.remove_prefix(end + between.size());
        }
        std::size_t done = 0;
        for (std::string_view rest = runs; !rest.empty();) {
            const auto state = mapping::takeNumber(rest);
            const auto charts = mapping::takeNumber(rest);
            if (!state || !charts || *state >= column.states.size() || *charts > all - done) return std::nullopt;
            column.runs.push_back({static_cast<std::uint32_t>(*state), static_cast<std::uint32_t>(*charts)});
            done += *charts;
        }
        if (done != all) return std::nullopt;
        return column;
    }
};

/// Calls `use` with the text of each chart in turn.
template <typename Use>
void forEachText(const FactColumn& column, const Use& use) {
    for (const FactColumn::Run& run : column.runs) {
        for (std::uint32_t i = 0; i < run.charts; ++i) use(column.states[run.state]);
    }
}

StoredFact storedAnswer(const mapping::Answer& answer) {
    mapping::Fact fact;
    fact.definition = answer.question.get();
    fact.results = answer.evidence;
    return mapping::store(fact);
}

constexpr std::string_view factPrefix = "fact/";

}  // namespace

ChartFacts factsOf(const StoredChart& stored, const mapping::Vocabulary& vocabulary) {
    const mapping::Facts facts = mapping::readFacts(stored.chart, vocabulary, stored.asOf);
    ChartFacts result{std::string(stored.chart.patient.id), stored.origin, stored.asOf, facts.deceased, {}, {}};
    result.facts.reserve(facts.size());
    for (const mapping::Fact& fact : facts) result.facts.push_back(mapping::store(fact));
    for (const mapping::Fact& fact : facts.attested) {
        if (fact.definition != nullptr)
            result.answers.emplace_back(std::string(factPrefix) + fact.definition->name, mapping::store(fact));
    }
    for (const mapping::Answer& answer : facts.answers)
        result.answers.emplace_back(answer.linkId, storedAnswer(answer));
    return result;
}

void ColumnWriter::add(const std::string& state, std::string_view moments) {
    const auto number = numbers_.emplace(state, static_cast<std::uint32_t>(numbers_.size())).first->second;
    if (runs_.empty() || runs_.back().state != number) runs_.push_back({number, 0});
    ++runs_.back().charts;
    if (moments.empty()) return;
    mapping::appendNumber(moments_, moments.size());
    moments_ += moments;
}

std::string ColumnWriter::states() const {
    std::vector<std::string_view> inOrder(numbers_.size());
    for (const auto& [state, number] : numbers_) inOrder[number] = state;
    std::string text;
    for (std::size_t i = 0; i < inOrder.size(); ++i) {
        if (i > 0) text += between;
        text += inOrder[i];
    }
    return text;
}

std::string ColumnWriter::runs() const {
    std::string bytes;
    for (const FactColumn::Run& run : runs_) {
        mapping::appendNumber(bytes, run.state);
        mapping::appendNumber(bytes, run.charts);
    }
    return bytes;
}

FactsFileWriter::FactsFileWriter(fs::path file, const Knowledge& knowledge, const EvaluationDay& day,
                                 std::size_t chartsInBlock)
    : file_(std::move(file)),
      part_(file_.string() + "." + std::to_string(getpid()) + ".part"),
      knowledge_(knowledge),
      chartsInBlock_(chartsInBlock) {
    facts_.resize(knowledge.vocabulary.facts().size());
    fs::remove(part_);
    try {
        create(day);
    } catch (...) {
        database_.reset();
        fs::remove(part_);
        throw;
    }
}

void FactsFileWriter::create(const EvaluationDay& day) {
    database_ = std::make_unique<sqlite::Connection>(part_.string());
    database_->run(R"sql(
        PRAGMA journal_mode = OFF;
        PRAGMA synchronous = OFF;
        PRAGMA page_size = 65536;
        CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE knowledge (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL);
        CREATE TABLE block (number INTEGER PRIMARY KEY, charts INTEGER NOT NULL);
        CREATE TABLE column (block INTEGER NOT NULL, name TEXT NOT NULL, states TEXT NOT NULL, runs BLOB NOT NULL,
                             moments BLOB NOT NULL, PRIMARY KEY (block, name));
        CREATE TABLE answer (block INTEGER NOT NULL, chart INTEGER NOT NULL, linkId TEXT NOT NULL, state TEXT NOT NULL,
                             moments BLOB NOT NULL, PRIMARY KEY (block, chart, linkId));
    )sql");
    const auto say = [&](std::string_view name, std::string_view value) {
        sqlite::Statement(*database_, "INSERT INTO about VALUES (?, ?)").text(name).text(value).step();
    };
    say("format", formatName);
    say("program", programVersion());
    say("asOf", day.asOf ? day.asOf->text() : "latest");
    for (const auto& [name, digest] : knowledge_.vocabularyFiles)
        sqlite::Statement(*database_, "INSERT INTO knowledge VALUES (?, ?)").text(name).text(digest).step();
}

FactsFileWriter::~FactsFileWriter() {
    database_.reset();
    std::error_code ignored;
    fs::remove(part_, ignored);  // finish() has renamed it
}

void FactsFileWriter::add(const ChartFacts& chart) {
    for (std::size_t i = 0; i < facts_.size(); ++i) facts_[i].add(chart.facts[i].state, chart.facts[i].moments);
    patients_.add(oneLine(chart.patient), {});
    files_.add(oneLine(chart.origin.file), {});
    lines_.add(std::to_string(chart.origin.line), {});
    days_.add(chart.asOf.text(), {});
    deceased_.add(chart.deceased ? "true" : "false", {});
    for (const auto& [linkId, answer] : chart.answers) {
        sqlite::Statement(*database_, "INSERT INTO answer VALUES (?, ?, ?, ?, ?)")
            .number(static_cast<std::int64_t>(blocks_))
            .number(static_cast<std::int64_t>(charts_))
            .text(linkId)
            .text(answer.state)
            .blob(answer.moments)
            .step();
    }
    if (++charts_ == chartsInBlock_) writeBlock();
}

void FactsFileWriter::writeBlock() {
    sqlite::Transaction transaction(*database_);
    const auto number = static_cast<std::int64_t>(blocks_);
    sqlite::Statement(*database_, "INSERT INTO block VALUES (?, ?)")
        .number(number)
        .number(static_cast<std::int64_t>(charts_))
        .step();
    sqlite::Statement insert(*database_, "INSERT INTO column VALUES (?, ?, ?, ?, ?)");
    const auto write = [&](const std::string& name, ColumnWriter& column) {
        insert.reset();
        insert.number(number).text(name).text(column.states()).blob(column.runs()).blob(column.moments()).step();
        column = {};
    };
    for (std::size_t i = 0; i < facts_.size(); ++i)
        write(std::string(factPrefix) + knowledge_.vocabulary.facts()[i].name, facts_[i]);
    write("patient", patients_);
    write("file", files_);
    write("line", lines_);
    write("asOf", days_);
    write("deceased", deceased_);
    transaction.commit();
    ++blocks_;
    charts_ = 0;
}

void FactsFileWriter::finish(const ChartCount& count) {
    if (charts_ > 0) writeBlock();
    // Without these it is not whole.
    for (const auto& [name, number] : {std::pair("charts", count.read), std::pair("failed", count.failed)})
        sqlite::Statement(*database_, "INSERT INTO about VALUES (?, ?)").text(name).text(std::to_string(number)).step();
    database_.reset();
    if (fs::exists(file_)) throw std::runtime_error("is there already");
    fs::rename(part_, file_);
}

namespace {

/// Opening a file that is not there would make one.
const fs::path& existing(const fs::path& file) {
    if (!fs::is_regular_file(file)) throw std::runtime_error(file.string() + ": there is no such file");
    return file;
}

}  // namespace

FactsFile::FactsFile(const fs::path& file, const Knowledge& knowledge)
    : file_(existing(file)), knowledge_(knowledge), database_(file.string()) {
    const auto about = [&](std::string_view name) {
        sqlite::Statement select(database_, "SELECT value FROM about WHERE name = ?");
        return select.text(name).step() ? select.column(0) : std::string();
    };
    try {
        if (about("format") != formatName) throw std::runtime_error("format");
    } catch (const std::runtime_error&) {
        throw std::runtime_error(file.string() + ": is no facts file of this version; `cd7match facts` writes one");
    }
    std::map<std::string, std::string> files;
    for (sqlite::Statement select(database_, "SELECT name, sha256 FROM knowledge"); select.step();)
        files.emplace(select.column(0), select.column(1));
    for (const auto& [name, digest] : knowledge.vocabularyFiles) {
        const auto found = files.find(name);
        if (found == files.end() || found->second != digest)
            throw std::runtime_error(file.string() + ": was written with another " + name +
                                     "; trials may change over the same facts, what a fact is may not");
        files.erase(found);
    }
    if (!files.empty())
        throw std::runtime_error(file.string() + ": was written with " + files.begin()->first + ", which is not given");
    sqlite::Statement sum(database_, "SELECT COALESCE(SUM(charts), 0) FROM block");
    if (sum.step()) charts_ = static_cast<std::size_t>(sum.integer(0));
    const std::string failed = about("failed");
    std::from_chars(failed.data(), failed.data() + failed.size(), failed_);
    if (failed.empty() || about("charts") != std::to_string(charts_))
        throw std::runtime_error(file.string() + ": is damaged: charts are missing");
    asOf_ = about("asOf");
}

void FactsFile::forEachBlock(const std::function<bool(std::unique_ptr<StoredBlock>)>& take) {
    const std::vector<FactDefinition>& facts = knowledge_.vocabulary.facts();
    std::vector<bool> isAsked(facts.size(), false);
    std::vector<bool> hasMoments(facts.size(), false);
    for (const rules::Trial& trial : knowledge_.trials) {
        for (const rules::Criterion& criterion : trial.criteria) {
            rules::forEachComparison(criterion.when, [&](const rules::Comparison& comparison) {
                comparison.forEachFact([&](std::size_t fact) {
                    isAsked[fact] = true;
                    hasMoments[fact] = hasMoments[fact] || comparison.readsMoments();
                });
            });
        }
    }
    sqlite::Statement column(database_, "SELECT states, runs FROM column WHERE block = ? AND name = ?");
    sqlite::Statement moments(database_, "SELECT moments FROM column WHERE block = ? AND name = ?");
    for (sqlite::Statement blocks(database_, "SELECT number, charts FROM block ORDER BY number"); blocks.step();) {
        auto block = std::make_unique<StoredBlock>();
        const std::int64_t number = blocks.integer(0);
        if (blocks.integer(1) < 1 || blocks.integer(1) > mostInBlock)
            throw std::runtime_error(file_.string() + ": is damaged in block " + std::to_string(number));
        const auto charts = static_cast<std::size_t>(blocks.integer(1));
        block->number = static_cast<std::size_t>(number);
        const auto keep = [&](std::string bytes) -> std::string_view {
            return *block->bytes.emplace_back(std::make_unique<std::string>(std::move(bytes)));
        };
        const auto load = [&](const std::string& name, bool withMoments) {
            StoredColumn stored;
            column.reset();
            if (!column.number(number).text(name).step())
                throw std::runtime_error(file_.string() + ": is damaged: no column " + name);
            stored.states = keep(column.column(0));
            stored.runs = keep(column.column(1));
            if (withMoments) {
                moments.reset();
                moments.number(number).text(name).step();
                stored.moments = keep(moments.column(0));
            }
            std::optional<FactColumn> read = stored.column(charts);
            if (!read) throw std::runtime_error(file_.string() + ": is damaged in column " + name);
            return std::move(*read);
        };
        const auto each = [&](const std::string& name, const std::function<void(std::string_view)>& use) {
            forEachText(load(name, false), use);
        };
        block->origins.resize(charts);
        std::size_t next = 0;
        each("patient", [&](std::string_view id) { block->patients.emplace_back(id); });
        each("file", [&](std::string_view name) { block->origins[next++].file = name; });
        next = 0;
        each("line", [&](std::string_view line) {
            std::from_chars(line.data(), line.data() + line.size(), block->origins[next++].line);
        });
        each("asOf", [&](std::string_view day) {
            const auto parsed = fhir::Date::parse(day);
            if (!parsed) throw std::runtime_error(file_.string() + ": is damaged in column asOf");
            block->facts.asOf.push_back(*parsed);
        });
        each("deceased", [&](std::string_view text) { block->deceased.push_back(text == "true"); });

        sqlite::Statement answered(database_, "SELECT 1 FROM answer WHERE block = ? LIMIT 1");
        const bool hasAnswers = answered.number(number).step();
        block->facts.columns.resize(facts.size());
        for (const FactDefinition& fact : facts) {
            if (!isAsked[fact.index]) continue;
            block->facts.columns[fact.index] =
                load(std::string(factPrefix) + fact.name, hasMoments[fact.index] || hasAnswers);
        }
        if (hasAnswers) readAnswers(*block);
        if (!take(std::move(block))) return;
    }
}

void FactsFile::readAnswers(StoredBlock& block) {
    const auto damaged = [&] { return std::runtime_error(file_.string() + ": is damaged in its answers"); };
    const std::vector<FactDefinition>& definitions = knowledge_.vocabulary.facts();
    sqlite::Statement rows(database_,
                           "SELECT chart, linkId, state, moments FROM answer WHERE block = ? ORDER BY chart, linkId");
    rows.number(static_cast<std::int64_t>(block.number));
    while (rows.step()) {
        const auto chart = static_cast<std::size_t>(rows.integer(0));
        if (chart >= block.patients.size()) throw damaged();
        if (block.facts.answered.empty() || block.facts.answered.back().chart != chart) {
            rules::AnsweredChart& answered = block.facts.answered.emplace_back();
            answered.chart = chart;
            answered.attested.resize(definitions.size());
        }
        rules::AnsweredChart& answered = block.facts.answered.back();
        const std::string linkId = rows.column(1);
        const std::string_view state = *block.bytes.emplace_back(std::make_unique<std::string>(rows.column(2)));
        const bool isFact = linkId.starts_with(factPrefix);
        const FactDefinition* definition =
            isFact ? knowledge_.vocabulary.find(std::string_view(linkId).substr(factPrefix.size())) : nullptr;
        mapping::Answer answer;
        if (!isFact) {
            auto question = std::make_shared<FactDefinition>();
            question->name = linkId;
            definition = question.get();
            answer.question = std::move(question);
        }
        if (definition == nullptr) throw damaged();
        mapping::Fact fact;
        if (!mapping::restore(state, *definition, knowledge_.vocabulary, fact) ||
            !mapping::restoreMoments(rows.column(3), fact))
            throw damaged();
        if (isFact) {
            answered.attested[definition->index] = std::move(fact);
        } else {
            answer.linkId = linkId;
            answer.evidence = std::move(fact.results);
            answered.answers.push_back(std::move(answer));
        }
    }
}

}  // namespace cds_hooks
