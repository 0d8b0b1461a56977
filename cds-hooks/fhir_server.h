#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fhir/client.h"

namespace cds_hooks {

/// The access token to send now, empty when there is none; `renew` says that the last one was refused. Throws
/// fhir::Error when none can be had. Safe to call from many threads.
using AccessToken = std::function<std::string(bool renew)>;

/// A FHIR server that an operator named, with his right to read it. Safe to use from many threads.
class FhirServer {
public:
    /// `options.base` names the server; its token is not used. With `mayRoam` also private addresses and http are used
    /// where the server leads us elsewhere, as in a sandbox.
    FhirServer(fhir::SearchOptions options, AccessToken token, bool mayRoam = false);

    const std::string& base() const { return options_.base; }

    /// Asks for its CapabilityStatement. Throws fhir::Error that says what to do when there is no FHIR R4 server.
    void check() const;

    /// As fhir::search; a token that is refused is renewed once.
    std::vector<fhir::SearchResult> ask(const std::vector<fhir::Query>& queries) const;
    /// The same with other limits: for lists of patients, which may be long.
    std::vector<fhir::SearchResult> ask(const std::vector<fhir::Query>& queries, fhir::SearchOptions options) const;

    const fhir::SearchOptions& options() const { return options_; }

    /// One request below its origin with the token, which is renewed once when it is refused; headers and body are the
    /// caller's. A server that is busy (429, 502, 503, 504) is asked again a few times, not before Retry-After. Throws
    /// fhir::Error when there is no answer.
    fhir::HttpResponse send(const fhir::HttpRequest& request) const;
    /// A file: the same without a deadline, each piece to `sink`, and asked for once. The token is sent where that is
    /// asked for.
    fhir::HttpResponse download(const fhir::HttpRequest& request, const fhir::BodySink& sink, bool withToken) const;

private:
    fhir::FetchLimits limitsFor(const std::string& url) const;

    fhir::SearchOptions options_;
    AccessToken token_;
    bool mayRoam_;
};

/// How long an answer asks us to wait, at most ten minutes; nothing when it does not say so in seconds.
std::optional<std::chrono::milliseconds> retryAfter(const fhir::HttpResponse& response);

/// A token that was given, or none.
AccessToken fixedToken(std::string token);

/// How this program proves who it is to an authorization server. Source: SMART App Launch 2, Backend Services;
/// Asymmetric (private_key_jwt) client authentication.
struct BackendServices {
    std::string clientId;
    std::string keyFile;  ///< private key as a JWK, P-384 (ES384) or RSA (RS384), with its kid
    std::string scope;    ///< "system/*.rs"
};

/// Tokens from the authorization server that the FHIR server names at .well-known/smart-configuration; each is used
/// until shortly before it expires. `now` says what time it is, in seconds since 1970. Throws fhir::Error when the key
/// cannot be used; the function does when no token can be had.
AccessToken backendServicesToken(const BackendServices& client, const fhir::SearchOptions& server,
                                 std::function<std::int64_t()> now);

}  // namespace cds_hooks
