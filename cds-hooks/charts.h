#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cds-hooks/input.h"
#include "cds-hooks/report.h"
#include "fhir/bundle.h"
#include "fhir/date.h"

namespace cds_hooks {

/// What time it is, and the current day in UTC. The edge of the program asks; nothing inside it does.
std::int64_t secondsSince1970();
fhir::Date today();

/// The day on which charts are evaluated.
struct EvaluationDay {
    std::optional<fhir::Date> asOf;  ///< nothing: the newest clinical date of each chart
    fhir::Date today;                ///< for charts without any date when asOf is nothing

    fhir::Date of(const fhir::Chart& chart) const;
};

/// Which stored charts are read, and how.
struct ChartOptions {
    std::vector<std::string> paths;
    std::istream* rows =
        nullptr;  ///< instead of paths: one partition of a bulk export, shuffled (cds-hooks/bulk_row.h)
    EvaluationDay day;
    fhir::Coverage coverage;
    std::size_t threads = 1;
    std::size_t mostBytes = std::size_t{64} << 20;
    std::size_t memoryBytes = std::size_t{256} << 20;  ///< while a bulk export is put together by patient
    bool progress = false;                             ///< a person is watching standard error
    bool trustInput = false;                           ///< what nobody reads of a chart is not checked
};

/// A chart, and the day on which it is evaluated.
struct StoredChart {
    Origin origin;
    fhir::Chart chart;
    fhir::Date asOf;
};

/// Where charts come from.
struct ChartSource {
    /// Hands out the inputs in their order until `take` says false. Called on one thread.
    std::function<void(const std::function<bool(Input)>& take)> inputs;
    /// Makes a chart of one. Called on worker threads, and on that of `inputs` from inside `take`. Errors: fhir::Error,
    /// and whatever else an input may bring about.
    std::function<StoredChart(Input)> read;
    /// Told the number of each input that was no chart, in their order, counted from 0.
    std::function<void(std::size_t number)> onFailure = [](std::size_t) {};
    std::size_t total = 0;  ///< how many inputs there are; 0 when nobody knows
    std::size_t threads = 1;
    bool progress = false;  ///< a person is watching standard error
};

/// The charts of files, folders, folders of a bulk export, and standard input. The options are copied.
ChartSource storedCharts(const ChartOptions& options);

/// An input that could not be read: its place, and the reason.
struct FailedInput {
    std::string place;
    std::string reason;
};

/// What is said of an input that could not be read.
FailedInput failedInput(const Origin& origin, const std::string& problem);

/// Makes a chart of an input and uses it; gives the reason when that fails, and nothing when it does not.
std::string problemOf(const ChartSource& source, Input input, const std::function<void(StoredChart)>& use);

/// How many inputs were charts, and how many could not be read.
struct ChartCount {
    static constexpr std::size_t mostNamed = 100;

    std::size_t read = 0;
    std::size_t failed = 0;
    std::vector<FailedInput> named{};  ///< the first of those that failed
};

/// What is left to do with a chart once all before it are done.
using Finish = std::function<void()>;

/// Hands every chart to `work`, on several threads, and calls what it returns one at a time, in the order of the input
/// whatever the number of threads. At most a few charts are held at a time. Stops when `goOn` says false.
///
/// Inputs that cannot be read are counted and named on standard error, with their place and reason; the rest goes on.
/// The same for a chart whose work throws. What a Finish throws ends the run and is thrown from here.
ChartCount forEachChart(const ChartSource& source, const std::function<Finish(StoredChart)>& work,
                        const std::function<bool()>& goOn);

}  // namespace cds_hooks
