#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mapping/vocabulary.h"

namespace cds_hooks {

/// Somebody whose calls are believed, and how his keys are known.
struct Issuer {
    std::string iss;
    std::string jwks;  ///< file with his JWK set, agreed on beforehand; or
    std::string jku;   ///< the one address from which his JWK set is fetched
    /// Audiences that he puts into his tokens instead of the address that he calls; some vendors type them in by hand.
    std::vector<std::string> audience;
    std::vector<std::string> tenants;  ///< of his that may call; all when empty
    std::vector<std::string>
        fhirServers{};  ///< that may be asked for what he does not send, as "https://ehr.example.org/fhir"
};

/// Whose calls are believed. Source: CDS Hooks 2.0, Trusting CDS Clients; checklist section 2.11.
struct TrustOptions {
    std::string baseUrl;  ///< public address of the service, without a slash at its end: what tokens name as audience
    std::vector<std::string> algorithms{"ES384", "RS384"};
    std::int64_t leeway = 60;             ///< seconds by which clocks may differ
    std::int64_t longestLifetime = 3600;  ///< seconds for which a token may still be valid
    std::vector<Issuer> issuers;
};

/// Reads a trust file: {"baseUrl", "algorithms", "leewaySeconds", "issuers": [{"iss", "jwks" or "jku", "audience",
/// "tenants", "fhirServers"}]}. Errors: every problem is added with its place; files of keys are looked at by Trust.
TrustOptions readTrustOptions(std::string_view file, std::string_view text, std::vector<mapping::Problem>& problems);

/// Whose call it is.
struct Caller {
    std::string issuer;
    std::string tenant;                      ///< empty when the token names none
    std::vector<std::string> fhirServers{};  ///< of the issuer
};

/// Why a call is not believed; for the operator, never for the caller.
enum class Distrust {
    noToken,
    malformed,
    header,
    algorithm,
    claims,
    issuer,
    tenant,
    audience,
    expired,
    notYetValid,
    unknownKey,
    signature,
    replayed,
};

std::string_view word(Distrust distrust);

/// Whether a token, by a hash of issuer and jti, is seen for the first time; it is remembered until it has expired.
using Remember = std::function<bool(std::string_view key, std::int64_t expiry, std::int64_t now)>;

/// Fetches the text at an address of the allow-list; nothing when it cannot be had.
using FetchKeys = std::function<std::optional<std::string>(const std::string& url)>;

/// Verifies the JWT of every call. Safe to use from many threads.
///
/// Keys that are fetched are kept for ten minutes; an unknown kid asks for them once more, but not twice within half a
/// minute, and old keys stay when that fails. While one call fetches, those with a known kid go on with the old keys. A
/// token counts once.
class Trust {
public:
    /// Problems: files of keys that cannot be read or hold no usable key.
    Trust(TrustOptions options, std::function<std::int64_t()> now, FetchKeys fetch, Remember remember,
          std::vector<mapping::Problem>& problems);
    ~Trust();
    Trust(const Trust&) = delete;
    Trust& operator=(const Trust&) = delete;

    /// Begins with the keys that another fetched from the same addresses; they are asked for again all the same.
    void adoptKeys(const Trust& other);

    /// `authorization` is the header's value, `path` that of the call ("/cds-services/cd7-trials/feedback").
    std::variant<Caller, Distrust> verify(std::string_view authorization, std::string_view path);

private:
    struct Keys;
    struct KeySet;
    struct Token;

    const Issuer* issuerOf(std::string_view iss) const;
    std::optional<Distrust> checkTimes(const Token& token) const;
    bool isForUs(const Token& token, const Issuer& issuer, std::string_view path) const;
    std::shared_ptr<const KeySet> keysFor(const std::string& kid, const Issuer& issuer);
    std::optional<Distrust> checkSignature(const Token& token, const Issuer& issuer);

    TrustOptions options_;
    std::function<std::int64_t()> now_;
    FetchKeys fetch_;
    Remember remember_;
    std::map<std::string, std::unique_ptr<Keys>, std::less<>> keys_;  ///< by issuer
};

/// A memory for tokens in this process alone, bounded; when it is full of tokens that are still valid, new ones are
/// refused.
Remember rememberInMemory(std::size_t mostTokens = 100'000);

}  // namespace cds_hooks
