#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/listener.h"
#include "cds-hooks/metrics.h"
#include "cds-hooks/respond.h"
#include "cds-hooks/store.h"
#include "cds-hooks/throttle.h"
#include "cds-hooks/trust.h"
#include "fhir/date.h"

namespace cds_hooks {

/// What answers depend on that may be exchanged while the service runs, all of it at once.
struct Served {
    std::shared_ptr<const Knowledge> knowledge;
    std::shared_ptr<Trust> trust = nullptr;  ///< without one every caller is believed
};

/// What stays as it is from start to end.
struct ServerOptions {
    std::optional<fhir::Date> asOf;  ///< evaluates as of this day instead of today
    CardOptions card;
    std::vector<std::string> origins;    ///< of browsers that may read the answers ("https://ehr.example.org"), or "*"
    std::shared_ptr<Store> store;        ///< of cards and their feedback; without one no feedback is taken
    std::shared_ptr<Throttle> throttle;  ///< without one every card is shown
    bool keepComments = false;           ///< of users in feedback, which may hold anything
    std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>();
    std::vector<std::string> fhirServers;  ///< that may be asked when every caller is believed
    bool fetchWithoutToken = false;        ///< ask them also when the client sends no token
    fhir::SearchOptions search;            ///< limits of asking; base and token are the request's
};

/// Answers every request of a service: the hooks, and what operating it needs. Safe to use from many threads.
///
/// GET /health/live, /health/ready and /metrics; CORS (Fetch standard; checklist row 117); for everything else
/// respond(). One line is logged for each request: service, status, milliseconds, hookInstance and counts.
class Server {
public:
    /// `now` says what time it is, in seconds since 1970.
    Server(Served served, ServerOptions options, std::function<std::int64_t()> now);

    Answer answer(const Request& request);

    /// Takes note of a request that the transport refused, and says which headers its answer needs.
    std::vector<std::pair<std::string, std::string>> onRefusal(int status, const std::string& origin);

    /// Exchanges what is served; requests that are being answered keep what they began with.
    void serve(Served served);
    /// From now on /health/ready says 503, so that no new requests are sent here.
    void drain();
    Metrics& metrics() { return *options_.metrics; }

private:
    Served served() const;
    Answer answerOf(const Served& current, const Request& request, Trace& trace);
    std::optional<Answer> refuse(const Served& current, const Request& request, Caller& caller);
    std::vector<fhir::SearchResult> fetch(const std::vector<std::string>& servers, const std::string& server,
                                          const std::string& token, const std::vector<fhir::Query>& queries);
    Answer takeFeedback(const Request& request);
    bool mayShow(const Showing& showing);
    fhir::Date today() const;
    std::vector<std::pair<std::string, std::string>> originHeaders(const std::string& origin) const;

    ServerOptions options_;
    std::function<std::int64_t()> now_;
    mutable std::mutex mutex_;
    Served served_;
    bool draining_ = false;
};

}  // namespace cds_hooks
