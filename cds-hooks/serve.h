#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/transport.h"
#include "fhir/date.h"

namespace cds_hooks {

struct ServeOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;
    Limits limits;
    std::optional<fhir::Date> asOf;  ///< nothing: the day of each request, in UTC
};

/// The current day in UTC. The edge of the program asks; nothing inside it does.
fhir::Date today();

/// Serves until SIGINT or SIGTERM, then finishes the requests in flight. Returns the exit status.
/// Errors: std::runtime_error when it cannot listen.
int serve(const Knowledge& knowledge, const ServeOptions& options);

}  // namespace cds_hooks
