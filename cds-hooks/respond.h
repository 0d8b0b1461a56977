#pragma once

#include <string>
#include <string_view>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/listener.h"
#include "fhir/date.h"

namespace cds_hooks {

/// The answer to one HTTP request: discovery, or the cards for one hook. A pure function but for the card's uuid.
///
/// Errors, all with an OperationOutcome as body: 400 for what cannot be read, 404 and 405 for other paths and methods,
/// 412 when the Patient, or everything, is missing. Source: CDS Hooks 2.0, HTTP status codes; checklist 2.1 to 2.8.
Answer respond(const Knowledge& knowledge, const Request& request, fhir::Date asOf);

/// The cards for the body of a service request. Errors: as above.
Answer respondToHook(const Knowledge& knowledge, std::string_view body, fhir::Date asOf, const std::string& cardUuid);

}  // namespace cds_hooks
