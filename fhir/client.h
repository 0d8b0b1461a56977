#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace fhir {

/// What one answer may cost.
struct FetchLimits {
    std::size_t bytes = 256 * 1024;
    std::chrono::milliseconds connect{1000};
    std::chrono::milliseconds deadline{3000};  ///< for all of it
    std::string caFile;                        ///< certificates that are believed; those of the system when empty
};

/// The body of a GET over https. Redirects are not followed, certificates are verified, nothing but https is spoken.
/// Errors: Error with the reason, for every answer but 200 and everything beyond the limits; it does not name the
/// address.
std::string get(const std::string& url, const FetchLimits& limits);

}  // namespace fhir
