#pragma once

#include <string>

#include "cds-hooks/cohort_summary.h"

namespace cds_hooks {

/// A summary as one self-contained page, HTML5 that is well-formed XML as well: no script, nothing from a network, and
/// all of a chart's or a file's words escaped. Holds patient data: ids, values and dates.
std::string cohortPage(const CohortSummary& summary, const CohortRun& run);

}  // namespace cds_hooks
