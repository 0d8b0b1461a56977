#include "cds-hooks/charts.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "cds-hooks/bulk_folder.h"
#include "cds-hooks/markdown.h"
#include "fhir/error.h"
#include "fhir/json.h"

namespace cds_hooks {

namespace {

/// What became of one input.
struct Worked {
    Finish finish;
    std::string problem;  ///< empty when it was read
};

class Pipeline {
public:
    Pipeline(const ChartSource& source, const std::function<Finish(StoredChart)>& work,
             const std::function<bool()>& goOn)
        : source_(source), work_(work), goOn_(goOn), started_(std::chrono::steady_clock::now()) {}

    ChartCount run() {
        readAll(std::max<std::size_t>(1, source_.threads));
        clearProgress();
        if (failure_ != nullptr) std::rethrow_exception(failure_);
        return count_;
    }

private:
    Worked workOn(Input input) const {
        Worked worked;
        worked.problem =
            problemOf(source_, std::move(input), [&](StoredChart chart) { worked.finish = work_(std::move(chart)); });
        return worked;
    }

    /// The thread that reads the inputs works on charts, too, whenever enough of them are held.
    void readAll(std::size_t threads) {
        std::vector<std::thread> workers;
        // However the reading ends, the workers are told and waited for.
        struct AtEnd {
            Pipeline& pipeline;
            std::vector<std::thread>& workers;
            ~AtEnd() {
                {
                    const std::lock_guard lock(pipeline.mutex_);
                    pipeline.done_ = true;
                    pipeline.changed_.notify_all();
                }
                pipeline.takeTasks();
                for (std::thread& worker : workers) worker.join();
            }
        };
        const AtEnd onReturn{*this, workers};
        for (std::size_t i = 1; i < threads; ++i) workers.emplace_back([this] { takeTasks(); });
        source_.inputs([&](Input input) {
            if (threads == 1) {
                const Origin origin = input.origin;
                finish(origin, workOn(std::move(input)));
                return goOn_();
            }
            std::unique_lock lock(mutex_);
            while (next_ - finishedUpTo_ >= threads * 4) {
                if (tasks_.empty()) {
                    changed_.wait(lock);
                } else {
                    takeTask(lock);
                }
            }
            tasks_.emplace_back(next_++, std::move(input));
            changed_.notify_all();
            return goesOn_;
        });
    }

    void takeTasks() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] { return done_ || !tasks_.empty(); });
            if (tasks_.empty()) return;
            takeTask(lock);
        }
    }

    /// Works on the first of the tasks.
    void takeTask(std::unique_lock<std::mutex>& lock) {
        auto [number, input] = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        Origin origin = input.origin;
        Worked worked = workOn(std::move(input));
        lock.lock();
        worked_.emplace(number, std::pair{std::move(origin), std::move(worked)});
        finishReady(lock);
        changed_.notify_all();
    }

    /// Finishes what comes next in order, unless another thread is at it: one at a time, while the others work on.
    void finishReady(std::unique_lock<std::mutex>& lock) {
        if (finishing_) return;
        finishing_ = true;
        for (auto first = worked_.find(finishedUpTo_); first != worked_.end(); first = worked_.find(finishedUpTo_)) {
            const auto [origin, worked] = std::move(first->second);
            worked_.erase(first);
            if (failure_ == nullptr) {
                lock.unlock();
                bool goesOn = false;
                std::exception_ptr failure;
                try {
                    finish(origin, worked);
                    goesOn = goOn_();
                } catch (...) {
                    failure = std::current_exception();
                }
                lock.lock();
                goesOn_ = goesOn;
                failure_ = failure;
            }
            ++finishedUpTo_;
            changed_.notify_all();
        }
        finishing_ = false;
    }

    void finish(const Origin& origin, const Worked& worked) {
        if (worked.problem.empty()) {
            ++count_.read;
            worked.finish();
        } else {
            source_.onFailure(count_.read + count_.failed);
            ++count_.failed;
            clearProgress();
            FailedInput failed = failedInput(origin, worked.problem);
            spdlog::error("{}: {}", failed.place, failed.reason);
            if (count_.named.size() < ChartCount::mostNamed) count_.named.push_back(std::move(failed));
        }
        showProgress();
    }

    void showProgress() {
        const auto now = std::chrono::steady_clock::now();
        if (!source_.progress) return logProgress(now);
        if (now - started_ < std::chrono::seconds(1) || now - shown_ < std::chrono::milliseconds(200)) return;
        shown_ = now;
        const double seconds = std::chrono::duration<double>(now - started_).count();
        const std::size_t done = count_.read + count_.failed;
        std::cerr << "\r" << count_.read << " charts, " << count_.failed << " not evaluated, "
                  << static_cast<long>(static_cast<double>(done) / seconds) << " a second";
        if (source_.total > done) {
            const double left = seconds * static_cast<double>(source_.total - done) / static_cast<double>(done);
            std::cerr << ", " << source_.total - done << " left, about " << static_cast<long>(left) + 1 << " s";
        }
        std::cerr << "      " << std::flush;
        progressShown_ = true;
    }

    /// A line a minute, for whoever reads the log of a night.
    void logProgress(std::chrono::steady_clock::time_point now) {
        if (now - std::max(shown_, started_) < std::chrono::minutes(1)) return;
        shown_ = now;
        const double seconds = std::chrono::duration<double>(now - started_).count();
        const std::size_t done = count_.read + count_.failed;
        spdlog::info("{} charts, {} not evaluated, {:.0f} a second{}", count_.read, count_.failed,
                     static_cast<double>(done) / seconds,
                     source_.total > done ? fmt::format(", {} left", source_.total - done) : std::string());
    }

    void clearProgress() {
        if (!progressShown_) return;
        std::cerr << "\r" << std::string(100, ' ') << "\r" << std::flush;
        progressShown_ = false;
    }

    const ChartSource& source_;
    const std::function<Finish(StoredChart)>& work_;
    const std::function<bool()>& goOn_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::pair<std::size_t, Input>> tasks_;
    std::map<std::size_t, std::pair<Origin, Worked>> worked_;
    std::size_t next_ = 0;
    std::size_t finishedUpTo_ = 0;
    bool finishing_ = false;      ///< some thread is in finish()
    bool goesOn_ = true;          ///< what goOn_ said last
    std::exception_ptr failure_;  ///< of a finish(): nothing is finished any more
    bool done_ = false;
    ChartCount count_;
    bool progressShown_ = false;
    std::chrono::steady_clock::time_point started_;
    std::chrono::steady_clock::time_point shown_{};
};

}  // namespace

std::string problemOf(const ChartSource& source, Input input, const std::function<void(StoredChart)>& use) {
    if (!input.problem.empty()) return input.problem;
    try {
        use(source.read(std::move(input)));
    } catch (const fhir::Error& error) {
        return error.what();
    } catch (const std::exception& error) {
        // Out of memory, or our own mistake: this chart is lost, the others are not.
        return std::string("internal error: ") + error.what();
    }
    return {};
}

FailedInput failedInput(const Origin& origin, const std::string& problem) {
    FailedInput failed{printable(nameOf(origin.text())), printable(nameOf(problem))};
    if (origin.line > 0) failed.reason += fmt::format(" (the line begins at byte {})", origin.offset);
    return failed;
}

std::int64_t secondsSince1970() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()).time_since_epoch().count();
}

fhir::Date today() {
    const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    return fhir::Date::ofDays(static_cast<std::int32_t>(day.time_since_epoch().count()));
}

fhir::Date EvaluationDay::of(const fhir::Chart& chart) const {
    return asOf ? *asOf : mapping::latestDate(chart, today).value_or(today);
}

ChartSource storedCharts(const ChartOptions& options) {
    ChartSource source;
    source.threads = options.threads;
    source.progress = options.progress;
    source.inputs = [options](const std::function<bool(Input)>& take) {
        bool goOn = true;
        bool isOurs = true;  // what is thrown, as opposed to what `take` throws
        const std::function<bool(Input)> taking = [&](Input input) {
            isOurs = false;
            goOn = take(std::move(input));
            isOurs = true;
            return goOn;
        };
        const BulkFolderOptions bulk{options.mostBytes, options.memoryBytes, options.coverage};
        if (options.rows != nullptr) return readBulkRows(*options.rows, bulk, taking);
        for (const std::string& path : options.paths) {
            if (isBulkFolder(path)) {
                try {
                    readBulkFolder(path, bulk, taking);
                } catch (const std::runtime_error& error) {
                    if (!isOurs) throw;
                    // No room for the temporary file, say: this folder ends here, and the other paths go on.
                    taking({{path, 0}, "", error.what(), {}});
                }
            } else {
                readInputs({path}, options.mostBytes, taking);
            }
            if (!goOn) return;
        }
    };
    source.read = [options](Input input) {
        fhir::json::Limits limits;
        limits.bytes = options.mostBytes;
        limits.checksSkipped = !options.trustInput;
        auto document =
            std::make_shared<fhir::json::Document>(std::move(input.text), fhir::json::Selection::elements, limits);
        fhir::Chart chart = fhir::readBundle(std::move(document), input.coverage.value_or(options.coverage));
        const fhir::Date asOf = options.day.of(chart);
        return StoredChart{std::move(input.origin), std::move(chart), asOf};
    };
    return source;
}

ChartCount forEachChart(const ChartSource& source, const std::function<Finish(StoredChart)>& work,
                        const std::function<bool()>& goOn) {
    const ChartCount count = Pipeline(source, work, goOn).run();
    if (count.failed > 0)
        spdlog::error("{} of {} inputs could not be evaluated", count.failed, count.read + count.failed);
    return count;
}

}  // namespace cds_hooks
