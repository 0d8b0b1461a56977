#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "fhir/json.h"
#include "mapping/vocabulary.h"
#include "rules/trial.h"

namespace cds_hooks {

/// A code that a site orders by.
struct OrderCode {
    std::string system;
    std::string code;
    std::string display;
};

/// What a site's overlay says beyond codes, limits and windows, which the vocabulary holds.
struct Site {
    struct Order {
        std::size_t fact = 0;  ///< the fact that the ordered test answers
        OrderCode code;
    };
    std::vector<Order> orders;
    std::optional<OrderCode> referral;  ///< to the trial coordinator
};

/// Reads the parts of an overlay that speak of trials and orders, and switches off, renames and completes the trials
/// accordingly. The rest of the file is read by mapping::Vocabulary::readOverlay; keys that neither knows are problems.
/// A status that is dated after `today` is a problem where that day is given.
/// Errors: every problem is added with its place ("site.json: /trials/NCT…/status/asOf: …").
Site readSite(std::string_view file, fhir::json::Value root, const mapping::Vocabulary& vocabulary,
              std::vector<rules::Trial>& trials, std::vector<mapping::Problem>& problems,
              std::optional<fhir::Date> today = std::nullopt);

}  // namespace cds_hooks
