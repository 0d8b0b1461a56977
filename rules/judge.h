#pragma once

#include "mapping/fact.h"
#include "rules/outcome.h"
#include "rules/trial.h"

namespace rules {

/// What one sentence comes to, given the facts. The criterion gives its status policy and its side (a window before a
/// future anchor never decides an exclusion, ruling 11). Never fails.
Outcome judge(const Comparison& comparison, const Criterion& criterion, std::size_t criterionIndex,
              const mapping::Facts& facts);

}  // namespace rules
