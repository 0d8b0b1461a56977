#include "cds-hooks/serve.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "cds-hooks/listener.h"
#include "cds-hooks/screening.h"

namespace cds_hooks {

fhir::Date today() {
    const auto days = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now());
    return fhir::Date::ofDays(static_cast<std::int32_t>(days.time_since_epoch().count()));
}

namespace {

/// The signals that the service waits for. Every thread that is started after this leaves them to that wait.
sigset_t blockSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return signals;
}

void reload(const Load& load, Server& server) {
    std::optional<Served> served;
    try {
        served = load();
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
    }
    server.metrics().reload(served ? "ok" : "failed");
    if (!served) {
        spdlog::error("reload: nothing was exchanged, what was served is served on");
        return;
    }
    spdlog::info("reload: knowledge {} is served from now on", served->knowledge->digest);
    server.serve(std::move(*served));
}

}  // namespace

int serve(const Load& load, const ServeOptions& options) {
    const sigset_t signals = blockSignals();
    std::optional<Served> served = load();
    if (!served) return 2;
    const std::string digest = served->knowledge->digest;
    Server server(std::move(*served), options.server, today);
    Listener listener(options.host, options.port, options.limits,
                      [&](const Request& request) { return server.answer(request); });
    spdlog::info("cd7match {} with knowledge {} listens on http://{}:{}/cds-services", programVersion(), digest,
                 options.host, listener.port());
    for (int received = SIGHUP; received == SIGHUP;) {
        sigwait(&signals, &received);
        if (received == SIGHUP) reload(load, server);
    }
    spdlog::info("stopping: requests in flight are finished");
    server.drain();
    listener.close();
    return 0;
}

}  // namespace cds_hooks
