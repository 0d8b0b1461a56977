#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/model/patient.h"

namespace model {

/// What every criterion of every trial comes to for a patient, by trial and criterion id ("NCT07109518.inc.09a").
///
/// It is written from the rulings of the clinical README and from what facts.json and the trial files say, in the
/// simplest way there is: whole days, whole fractions, one question after another. It knows nothing of rules/ or
/// mapping/.
std::map<std::string, Truth> evaluate(const Patient& patient);

}  // namespace model
