#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

/// A made-up chart as a FHIR R4 Bundle of about `bytes` bytes of compact JSON: one Patient with AML in relapse, a few
/// Conditions, and the laboratory and vital-sign Observations that an oncology chart repeats. The same seed gives the
/// same bytes. Synthetic through and through.
std::string chart(std::uint32_t seed, std::size_t bytes);

}  // namespace bench
