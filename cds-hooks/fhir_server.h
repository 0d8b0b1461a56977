#pragma once

#include <cstdint>
#include <functional>
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
    /// `options.base` names the server; its token is not used.
    FhirServer(fhir::SearchOptions options, AccessToken token);

    const std::string& base() const { return options_.base; }

    /// Asks for its CapabilityStatement. Throws fhir::Error that says what to do when there is no FHIR R4 server.
    void check() const;

    /// As fhir::search; a token that is refused is renewed once.
    std::vector<fhir::SearchResult> ask(const std::vector<fhir::Query>& queries) const;
    /// The same with other limits: for lists of patients, which may be long.
    std::vector<fhir::SearchResult> ask(const std::vector<fhir::Query>& queries, fhir::SearchOptions options) const;

    const fhir::SearchOptions& options() const { return options_; }

    /// One request with the token; headers and body are the caller's. Throws fhir::Error when there is no answer.
    fhir::HttpResponse send(fhir::HttpRequest request, const fhir::BodySink& sink = {}) const;
    /// The same without it: for addresses that are not the server's own.
    fhir::HttpResponse sendWithoutToken(const fhir::HttpRequest& request, const fhir::BodySink& sink = {}) const;

private:
    fhir::SearchOptions options_;
    AccessToken token_;
};

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
