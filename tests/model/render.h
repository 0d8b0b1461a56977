#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/model/patient.h"

namespace model {

/// How a patient is written down. None of it changes what is so.
struct Style {
    std::uint64_t seed = 0;  ///< which codes, units, notations and elements
    bool shuffled = false;
    bool duplicates = false;
    bool noise = false;  ///< resources that say nothing, and those of other patients
    enum class Wrapping { bundle, array, nested };
    Wrapping wrapping = Wrapping::bundle;
};

/// The chart of a patient as FHIR R4 JSON.
std::string render(const Patient& patient, const Style& style);

}  // namespace model
