#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/card.h"
#include "cds-hooks/discovery.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/listener.h"
#include "fhir/client.h"
#include "fhir/date.h"

namespace cds_hooks {

/// What a card is about to show: asked before it is sent, and kept for its feedback.
struct Showing {
    const Service* service = nullptr;
    std::string cardUuid;
    std::string patientId;
    std::string userId;
    std::vector<const rules::Evaluation*> trials;
};

/// Asks the client's FHIR server, "https://ehr.example.org/fhir", with his access token for what he did not send.
/// Nothing when that server may not be asked; otherwise one result for each query.
using Fetch = std::function<std::vector<fhir::SearchResult>(const std::string& server, const std::string& token,
                                                            const std::vector<fhir::Query>& queries)>;

/// What the answers depend on beyond the knowledge, the request and the day.
struct RespondOptions {
    CardOptions card;
    /// Whether this card may be shown now; it always may when there is no such function.
    std::function<bool(const Showing&)> mayShow;
    /// What is missing is missing when there is no such function.
    Fetch fetch;
};

/// What an operator may know of a request: no patient, no user, no path.
struct Trace {
    std::string_view service;  ///< id of the service, "discovery", "questionnaire"; empty for any other path
    std::string hookInstance;  ///< when it is a UUID; anything else may hold anything
    /// Each trial, with its status or noDisease, when a hook was evaluated.
    std::vector<std::pair<std::string_view, std::string_view>> trials;
    std::vector<std::string_view> shown;  ///< the trials on the card
};

/// What an operator is told of a trial whose gate did not open.
inline constexpr std::string_view noDisease = "no-disease";

/// The answer to one HTTP request: discovery, a form, or the cards for one hook. A pure function but for the uuids.
///
/// Errors, all with an OperationOutcome as body: 400 for what cannot be read, 404 and 405 for other paths and methods,
/// 412 when the Patient, or everything, is missing, 415 for another content type. Source: CDS Hooks 2.0, HTTP status
/// codes; checklist 2.1 to 2.8.
Answer respond(const Knowledge& knowledge, const Request& request, fhir::Date asOf, const RespondOptions& options,
               Trace& trace);

/// The cards for the body of a service request; `cardUuid` names the card. Errors: as above.
Answer respondToHook(const Knowledge& knowledge, const Service& service, std::string_view body, fhir::Date asOf,
                     const std::string& cardUuid, const RespondOptions& options, Trace& trace);

/// What Trace calls the service at a path; empty when there is nothing.
std::string_view serviceAt(const Knowledge& knowledge, std::string_view path);

/// Whether a content type is JSON, or says nothing.
bool isJson(std::string_view contentType);

/// An OperationOutcome with one issue. `code` is one of FHIR R4's value set issue-type.
Answer outcome(int status, std::string_view code, std::string_view message);

/// 405 for a path that takes one method.
Answer onlyTakes(std::string_view method);

}  // namespace cds_hooks
