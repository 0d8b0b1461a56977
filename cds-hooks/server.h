#pragma once

#include <chrono>
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
#include "fhir/date.h"

namespace cds_hooks {

/// What answers depend on that may be exchanged while the service runs, all of it at once.
struct Served {
    std::shared_ptr<const Knowledge> knowledge;
};

/// What stays as it is from start to end.
struct ServerOptions {
    std::optional<fhir::Date> asOf;  ///< evaluates as of this day instead of today
    CardOptions card;
    std::vector<std::string> origins;  ///< of browsers that may read the answers ("https://ehr.example.org"), or "*"
};

/// Answers every request of a service: the hooks, and what operating it needs. Safe to use from many threads.
///
/// GET /health/live, /health/ready and /metrics; CORS (Fetch standard; checklist row 117); for everything else
/// respond(). One line is logged for each request: service, status, milliseconds, hookInstance and counts.
class Server {
public:
    /// `today` says which day it is when the options do not.
    Server(Served served, ServerOptions options, std::function<fhir::Date()> today);

    Answer answer(const Request& request);

    /// Exchanges what is served; requests that are being answered keep what they began with.
    void serve(Served served);
    /// From now on /health/ready says 503, so that no new requests are sent here.
    void drain();
    Metrics& metrics() { return metrics_; }

private:
    Served served() const;
    Answer answerOf(const Request& request, Trace& trace);
    void addOrigin(const Request& request, Answer& answer) const;

    ServerOptions options_;
    std::function<fhir::Date()> today_;
    Metrics metrics_;
    mutable std::mutex mutex_;
    Served served_;
    bool draining_ = false;
};

}  // namespace cds_hooks
