#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
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
    bool mayBePlain = false;                   ///< whether http is spoken too
    bool publicOnly = false;                   ///< whether private, link-local and loopback addresses are refused
    bool mayBeLong = false;  ///< of a file: as long as something arrives each minute the deadline does not count
};

struct HttpRequest {
    std::string url;
    std::string method = "GET";
    std::vector<std::string> headers{};  ///< as "Accept: application/json"
    std::string body{};
};

struct HttpResponse {
    int status = 0;
    std::map<std::string, std::string, std::less<>> headers{};  ///< names in lower case
    std::string body{};
};

/// Takes the body of an answer with status 200 piece by piece instead; false ends the transfer with an Error.
using BodySink = std::function<bool(std::string_view piece)>;

/// One request and its answer, whatever its status. Redirects are not followed, certificates are verified, nothing but
/// https is spoken, or http where it may be, and no proxy of the environment is used. Errors: Error with the reason
/// when there is no answer, or one beyond the limits; it does not name the address.
HttpResponse exchange(const HttpRequest& request, const FetchLimits& limits, const BodySink& sink = {});

/// The body of a GET. Errors: as above, and for every answer but 200.
std::string get(const std::string& url, const FetchLimits& limits);

/// A text as it stands in a form or a query (application/x-www-form-urlencoded).
std::string percentEncoded(const std::string& text);

/// Gives requests their turn, so that a server gets no more than so many a second. Safe to use from many threads.
class Pace {
public:
    explicit Pace(double perSecond) : interval_(static_cast<std::int64_t>(1e9 / perSecond)) {}

    /// When the next request may begin.
    std::chrono::steady_clock::time_point reserve();
    /// Waits until then.
    void await();

private:
    std::chrono::nanoseconds interval_;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point next_;
};

/// A FHIR server that may be asked, and what asking it may cost.
struct SearchOptions {
    std::string base;                           ///< "https://ehr.example.org/fhir", without a slash at its end
    std::string token;                          ///< bearer token; none is sent when empty
    std::chrono::milliseconds deadline{400};    ///< for all queries together, from the last turn that a pace gave
    std::size_t bytes = std::size_t{32} << 20;  ///< of one page, decompressed
    std::size_t pages = 20;                     ///< of one query
    std::size_t longestUrl = 2000;              ///< longer searches are posted to _search
    bool privateNetwork =
        false;           ///< whether loopback, link-local and private addresses are connected to, and http spoken
    std::string caFile;  ///< certificates that are believed; those of the system when empty
    std::size_t connections = 0;  ///< at a time, for one call; 0: as many as there are queries
    std::shared_ptr<Pace> pace{};
    json::Selection selection = json::Selection::elements;  ///< what of the answers is kept
    std::size_t totalBytes = std::size_t{256} << 20;        ///< of all pages of one call, decompressed
    bool withinOrigin = false;  ///< whether next pages may lie anywhere on the server, and not below its base alone
    /// Takes each page instead of the result, for lists that are longer than memory.
    std::function<void(const json::Document&)> onPage{};
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
    std::string reason;        ///< why it is not complete; names no address, query or person
    int status = 0;            ///< of the last answer; 0 when there was none
    bool isTransient = false;  ///< not complete, and later it may be: no answer, a busy server, or a broken one
    std::vector<std::shared_ptr<const json::Document>> pages;
};

/// The word of an outcome: "complete".
std::string_view word(SearchResult::Outcome outcome);

/// Asks a FHIR server, all queries at once.
///
/// Pages are followed as the server names them, below `base` or withinOrigin. 429, 502, 503 and 504 are tried again
/// while there is time, not before Retry-After. Nothing else is followed, no proxy of the environment is used, and the
/// token goes to that place only. Errors are results. Source: FHIR R4, http and search; checklist 2.7.
std::vector<SearchResult> search(const std::vector<Query>& queries, const SearchOptions& options);

/// Whether a status says that the same request may be answered a little later: 429, 502, 503 or 504.
bool isBusy(int status);

/// Whether an address can be the base of a FHIR server: https, or http where it may be plain, with neither user, query
/// nor a slash at its end.
bool isBase(std::string_view url, bool mayBePlain = false);

/// Scheme, host and port of an address; empty when it is none.
std::string_view originOf(std::string_view url);

/// Whether an address lies at or below one of these bases; an address that could be read in two ways does not.
bool isBelow(std::string_view url, const std::vector<std::string>& bases);

}  // namespace fhir
