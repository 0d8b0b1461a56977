#pragma once

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "fhir/bundle.h"
#include "fhir/date.h"

namespace cds_hooks {

enum class Format { table, markdown, ndjson };

struct ReplayOptions {
    std::vector<std::string> paths;
    Format format = Format::table;
    std::optional<fhir::Date> asOf;  ///< nothing: the newest clinical date of each chart
    fhir::Date today;                ///< for charts without any date when asOf is nothing
    fhir::Coverage coverage;
    std::size_t threads = 1;
    std::string explain;  ///< a criterion id: print its explanation instead of the report
    std::size_t mostBytes = std::size_t{64} << 20;
    bool progress = false;  ///< a person is watching standard error
};

/// Evaluates stored charts and writes one report each to `out`, in the order of the input whatever the number of
/// threads.
///
/// Inputs that cannot be evaluated are counted and named on standard error, with their place and reason; the rest goes
/// on. Returns the exit status of the output contract: 0 when all were evaluated, 3 when some could not be.
int replay(const Knowledge& knowledge, const ReplayOptions& options, std::ostream& out);

}  // namespace cds_hooks
