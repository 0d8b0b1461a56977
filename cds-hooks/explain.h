#pragma once

#include <string>
#include <string_view>

#include "cds-hooks/screening.h"

namespace cds_hooks {

/// One criterion of one patient, from its published words down to the resources: what each part of its logic came to,
/// and on what it rests. Empty when no trial has a criterion of that id ("inc.09a" in every trial, "NCT….inc.09a" in
/// one).
std::string explanation(const Screening& screening, std::string_view criterionId);

}  // namespace cds_hooks
