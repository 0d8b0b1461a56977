#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/model/patient.h"
#include "tests/model/render.h"

namespace model {

/// What is wrong with a patient who is written down in that way; empty when nothing is.
using Check = std::function<std::vector<std::string>(const Patient&, const Style&)>;

/// Checks so many patients on every core, or those that CD7MATCH_SEED and CD7MATCH_PATIENTS choose. One that fails is
/// made as small as it gets and saved beside the program as failing-patient-SEED.json; seed, path and what is wrong are
/// printed, and the test fails.
void onEveryPatient(std::uint64_t count, const Check& check);

/// What the program says of a chart.
struct Verdicts {
    std::map<std::string, std::string> truths;  ///< "NCT07109518.inc.01": "true"
    std::map<std::string, std::string> bases;
    std::map<std::string, std::string> statuses;  ///< by trial, with the gate
    bool operator==(const Verdicts&) const = default;
};

/// Errors: whatever the program throws.
Verdicts verdicts(const Patient& patient, const Style& style);

}  // namespace model
