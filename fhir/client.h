#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/json.h"

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

/// A FHIR server that may be asked, and what asking it may cost.
struct SearchOptions {
    std::string base;                           ///< "https://ehr.example.org/fhir", without a slash at its end
    std::string token;                          ///< bearer token; none is sent when empty
    std::chrono::milliseconds deadline{400};    ///< for all queries together
    std::size_t bytes = std::size_t{32} << 20;  ///< of one page, decompressed
    std::size_t pages = 20;                     ///< of one query
    std::size_t longestUrl = 2000;              ///< longer searches are posted to _search
    bool privateNetwork =
        false;           ///< whether loopback, link-local and private addresses are connected to, and http spoken
    std::string caFile;  ///< certificates that are believed; those of the system when empty
};

/// One thing to ask a FHIR server for.
struct Query {
    std::string text;     ///< below the base: "Patient/1", "Condition?patient=1"; of a page its whole address
    bool isPage = false;  ///< a further page, by the address that the server gave

    /// What an operator may know of it: the resource type, or "page".
    std::string_view what() const;
};

/// What came of one query. Only a complete one may say that there is nothing.
struct SearchResult {
    enum class Outcome {
        complete,
        incomplete,  ///< some pages are missing
        failed,
    };
    Outcome outcome = Outcome::failed;
    std::string reason;  ///< why it is not complete; names no address, query or person
    std::vector<std::shared_ptr<const json::Document>> pages;
};

/// The word of an outcome: "complete".
std::string_view word(SearchResult::Outcome outcome);

/// Asks a FHIR server, all queries at once.
///
/// Pages are followed as the server names them, within `base` alone. 429, 502, 503 and 504 are tried again while there
/// is time, not before Retry-After. Nothing else is followed, no proxy of the environment is used, and the token goes
/// to `base` only. Errors are results. Source: FHIR R4, http and search; checklist 2.7.
std::vector<SearchResult> search(const std::vector<Query>& queries, const SearchOptions& options);

/// Whether an address can be the base of a FHIR server: https, or http where it may be plain, with neither user, query
/// nor a slash at its end.
bool isBase(std::string_view url, bool mayBePlain = false);

/// Whether an address lies at or below one of these bases; an address that could be read in two ways does not.
bool isBelow(std::string_view url, const std::vector<std::string>& bases);

}  // namespace fhir
