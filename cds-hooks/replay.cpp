#include "cds-hooks/replay.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <thread>
#include <utility>

#include "cds-hooks/explain.h"
#include "cds-hooks/input.h"
#include "cds-hooks/markdown.h"
#include "cds-hooks/report.h"
#include "cds-hooks/screening.h"
#include "cds-hooks/unlock.h"
#include "fhir/error.h"
#include "fhir/json.h"

namespace cds_hooks {

namespace {

/// What became of one input.
struct Replayed {
    std::string text;
    std::string problem;
    bool notCovered = false;
    std::vector<Unlock> unlocks;
};

bool restsOnCoverage(const Screening& screening) {
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        for (const rules::Finding& finding : evaluation.findings) {
            if (finding.outcome.truth == rules::Truth::Unknown && finding.outcome.basis == mapping::Basis::notCovered)
                return true;
        }
    }
    return false;
}

Replayed replayOne(const Knowledge& knowledge, const ReplayOptions& options, Input input) {
    if (!input.problem.empty()) return {"", input.problem, false, {}};
    try {
        fhir::json::Limits limits;
        limits.bytes = options.mostBytes;
        auto document = std::make_shared<fhir::json::Document>(std::move(input.text), limits);
        fhir::Chart chart = fhir::readBundle(std::move(document), options.coverage);
        fhir::Date asOf = options.asOf.value_or(options.today);
        if (!options.asOf) asOf = mapping::latestDate(chart, options.today).value_or(options.today);
        const Screening screening = screen(knowledge, std::move(chart), asOf);

        Replayed replayed;
        replayed.notCovered = restsOnCoverage(screening);
        replayed.unlocks = unlocks(suggested(screening));
        if (!options.explain.empty()) {
            replayed.text = input.origin.text() + '\n' + explanation(screening, options.explain);
        } else {
            switch (options.format) {
                case Format::ndjson:
                    replayed.text = ndjsonLine(screening, knowledge, input.origin) + '\n';
                    break;
                case Format::table:
                    replayed.text = tableText(screening, input.origin) + '\n';
                    break;
                case Format::markdown:
                    replayed.text = markdownText(screening, input.origin) + '\n';
                    break;
            }
        }
        return replayed;
    } catch (const fhir::Error& error) {
        return {"", error.what(), false, {}};
    } catch (const std::exception& error) {
        // Out of memory, or our own mistake: this chart is lost, the others are not.
        return {"", std::string("internal error: ") + error.what(), false, {}};
    }
}

/// Hands inputs to workers and their results back in order. At most a few inputs are held at a time.
class Pipeline {
public:
    Pipeline(const Knowledge& knowledge, const ReplayOptions& options, std::ostream& out)
        : knowledge_(knowledge), options_(options), out_(out), started_(std::chrono::steady_clock::now()) {}

    int run() {
        readAll(std::max<std::size_t>(1, options_.threads));
        if (evaluated_ > 1 && options_.explain.empty()) out_ << tallyText();
        out_.flush();
        return close();
    }

private:
    void readAll(std::size_t threads) {
        std::vector<std::thread> workers;
        // However the reading ends, the workers are told and waited for.
        struct Finish {
            Pipeline& pipeline;
            std::vector<std::thread>& workers;
            ~Finish() {
                {
                    const std::lock_guard lock(pipeline.mutex_);
                    pipeline.done_ = true;
                    pipeline.changed_.notify_all();
                }
                for (std::thread& worker : workers) worker.join();
            }
        };
        const Finish onReturn{*this, workers};
        if (threads > 1) {
            for (std::size_t i = 0; i < threads; ++i) workers.emplace_back([this] { work(); });
        }
        readInputs(options_.paths, options_.mostBytes, [&](Input input) {
            if (threads == 1) {
                const std::string origin = input.origin.text();
                finish(origin, replayOne(knowledge_, options_, std::move(input)));
            } else {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return next_ - written_ < threads * 4; });
                tasks_.emplace_back(next_++, std::move(input));
                changed_.notify_all();
            }
            const std::lock_guard lock(mutex_);
            return static_cast<bool>(out_);
        });
    }

    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] { return done_ || !tasks_.empty(); });
            if (tasks_.empty()) return;
            auto [number, input] = std::move(tasks_.front());
            tasks_.pop_front();
            lock.unlock();
            std::string origin = input.origin.text();
            Replayed replayed = replayOne(knowledge_, options_, std::move(input));
            lock.lock();
            finished_.emplace(number, std::pair{std::move(origin), std::move(replayed)});
            for (auto first = finished_.find(written_); first != finished_.end(); first = finished_.find(written_)) {
                finish(first->second.first, first->second.second);
                finished_.erase(first);
                ++written_;
            }
            changed_.notify_all();
        }
    }

    void finish(const std::string& origin, const Replayed& replayed) {
        if (replayed.problem.empty()) {
            ++evaluated_;
            notCovered_ = notCovered_ || replayed.notCovered;
            out_ << replayed.text;
            if (!replayed.unlocks.empty()) tally_.add(replayed.unlocks);
        } else {
            ++failed_;
            clearProgress();
            spdlog::error("{}: {}", printable(origin), printable(replayed.problem));
        }
        showProgress();
    }

    /// Over all charts, for people; the lines of NDJSON are one patient each, and carry their own.
    std::string tallyText() const {
        const std::vector<UnlockTally::Row> rows = tally_.rows();
        if (options_.format == Format::ndjson || rows.empty()) return {};
        constexpr std::size_t most = 10;
        const bool isMarkdown = options_.format == Format::markdown;
        std::string text = isMarkdown ? "## What one test would unlock\n\n" : "What one test would unlock\n";
        for (std::size_t i = 0; i < std::min(most, rows.size()); ++i) {
            const UnlockTally::Row& row = rows[i];
            text += isMarkdown ? "- " + escapeMarkdown(row.fact->label) : "  " + row.fact->label;
            text += ": " + count(row.charts, "chart", "charts") + ", " + count(row.trials, "trial", "trials") + ", " +
                    count(row.criteria, "criterion", "criteria") + '\n';
        }
        text += isMarkdown ? "\n" : "  ";
        text += "charts that wait for it, their trials that are still possible, the open criteria of those\n";
        return text;
    }

    void showProgress() {
        if (!options_.progress) return;
        const auto now = std::chrono::steady_clock::now();
        if (now - started_ < std::chrono::seconds(1) || now - shown_ < std::chrono::milliseconds(200)) return;
        shown_ = now;
        const double seconds = std::chrono::duration<double>(now - started_).count();
        std::cerr << "\r" << evaluated_ << " charts, " << failed_ << " not evaluated, "
                  << static_cast<long>(static_cast<double>(evaluated_ + failed_) / seconds) << " a second   "
                  << std::flush;
        progressShown_ = true;
    }

    void clearProgress() {
        if (!progressShown_) return;
        std::cerr << "\r" << std::string(60, ' ') << "\r" << std::flush;
        progressShown_ = false;
    }

    int close() {
        clearProgress();
        if (!out_) {
            spdlog::error("the output cannot be written");
            return 3;
        }
        if (failed_ > 0) spdlog::error("{} of {} inputs could not be evaluated", failed_, evaluated_ + failed_);
        if (notCovered_ && options_.coverage.of("Condition") == fhir::Covered::undeclared)
            spdlog::warn(
                "history could not be decided: say with --covers which resource types these charts hold completely");
        return failed_ > 0 ? 3 : 0;
    }

    const Knowledge& knowledge_;
    const ReplayOptions& options_;
    std::ostream& out_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::pair<std::size_t, Input>> tasks_;
    std::map<std::size_t, std::pair<std::string, Replayed>> finished_;
    std::size_t next_ = 0;
    std::size_t written_ = 0;
    bool done_ = false;
    std::size_t evaluated_ = 0;
    std::size_t failed_ = 0;
    bool notCovered_ = false;
    UnlockTally tally_;
    bool progressShown_ = false;
    std::chrono::steady_clock::time_point started_;
    std::chrono::steady_clock::time_point shown_{};
};

}  // namespace

int replay(const Knowledge& knowledge, const ReplayOptions& options, std::ostream& out) {
    return Pipeline(knowledge, options, out).run();
}

}  // namespace cds_hooks
