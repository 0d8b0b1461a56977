#include "cds-hooks/serve.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <chrono>

#include "cds-hooks/listener.h"
#include "cds-hooks/respond.h"

namespace cds_hooks {

fhir::Date today() {
    const auto days = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    return fhir::Date::ofDays(static_cast<std::int32_t>(days.time_since_epoch().count()));
}

int serve(const Knowledge& knowledge, const ServeOptions& options) {
    // Every thread that is started from here on leaves these signals to sigwait below.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);

    Listener listener(options.host, options.port, options.limits, [&](const Request& request) {
        const auto started = std::chrono::steady_clock::now();
        Trace trace;
        Answer answer = respond(knowledge, request, options.asOf.value_or(today()), {}, trace);
        const auto elapsed = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started);
        // Neither path nor body goes into the log: both are the caller's to fill.
        spdlog::info("{} in {:.1f} ms", answer.status, elapsed.count());
        return answer;
    });
    spdlog::info("cd7match {} with knowledge {} listens on http://{}:{}/cds-services", CD7MATCH_VERSION,
                 knowledge.digest, options.host, listener.port());
    int received = 0;
    sigwait(&signals, &received);
    spdlog::info("stopping: requests in flight are finished");
    listener.close();
    return 0;
}

}  // namespace cds_hooks
