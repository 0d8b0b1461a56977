#include "cds-hooks/serve.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>

#include "cds-hooks/charts.h"
#include "cds-hooks/listener.h"
#include "cds-hooks/screening.h"
#include "fhir/client.h"
#include "fhir/error.h"

namespace cds_hooks {

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

void reload(const Load& load, const Lasting& lasting, Server& server, Listener& listener) {
    std::optional<Served> served;
    try {
        served = load(lasting);
        if (served) listener.reloadCertificate();
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
        served.reset();
    }
    // What is said has happened.
    if (!served) {
        server.metrics().reload("failed");
        spdlog::error("reload: nothing was exchanged, what was served is served on");
        return;
    }
    const std::string digest = served->knowledge->digest;
    server.serve(std::move(*served));
    server.metrics().reload("ok");
    spdlog::info("reload: knowledge {} is served from now on", digest);
}

}  // namespace

std::string usualStore() {
    const auto variable = [](const char* name) {
        const char* const value = std::getenv(name);
        return std::filesystem::path(value == nullptr ? "" : value);
    };
    std::filesystem::path folder = variable("STATE_DIRECTORY");
    if (folder.empty()) {
        folder = variable("XDG_STATE_HOME");
        if (folder.empty() && !variable("HOME").empty()) folder = variable("HOME") / ".local" / "state";
        if (folder.empty()) return {};
        folder /= "cd7match";
    }
    return folder / "feedback.db";
}

std::shared_ptr<Trust> readTrust(const std::string& file, const Lasting& lasting) {
    std::vector<mapping::Problem> problems;
    const auto fetch = [metrics = lasting.metrics](const std::string& url) -> std::optional<std::string> {
        try {
            std::string keys = fhir::get(url, {});
            metrics->fetch("keys", "complete");
            return keys;
        } catch (const fhir::Error& error) {
            spdlog::warn("fetching keys: {}", error.what());
            metrics->fetch("keys", "failed");
            return std::nullopt;
        }
    };
    TrustOptions options = readTrustOptions(std::filesystem::path(file).filename().string(), readFile(file), problems);
    auto trust = std::make_shared<Trust>(std::move(options), secondsSince1970, fetch, lasting.remember, problems);
    for (const mapping::Problem& problem : problems) spdlog::error("{}", problem.text());
    return problems.empty() ? trust : nullptr;
}

int serve(const Load& load, const ServeOptions& options) {
    const sigset_t signals = blockSignals();
    ServerOptions serverOptions = options.server;
    if (!options.store.empty()) {
        if (!isDatabase(options.store))
            std::filesystem::create_directories(std::filesystem::absolute(options.store).parent_path());
        serverOptions.store = openStore(options.store);
        if (options.throttleDays > 0)
            serverOptions.throttle = std::make_shared<Throttle>(*serverOptions.store, readFile(options.throttleSecret),
                                                                options.throttleDays);
    }
    // Several instances share what they remember where they share a store.
    const Remember remember =
        serverOptions.store == nullptr
            ? rememberInMemory()
            : [store = serverOptions.store](std::string_view key, std::int64_t expiry, std::int64_t now) {
                  return store->remember(key, expiry, now);
              };
    const Lasting lasting{remember, serverOptions.metrics};
    std::optional<Served> served = load(lasting);
    if (!served) return 2;
    const std::string digest = served->knowledge->digest;
    Server server(std::move(*served), std::move(serverOptions), secondsSince1970);
    Listener listener(
        options.host, options.port, options.limits, [&](const Request& request) { return server.answer(request); },
        options.tls, [&](int status, const std::string& origin) { return server.onRefusal(status, origin); });
    spdlog::info("cd7match {} with knowledge {} listens on {}://{}:{}/cds-services", programVersion(), digest,
                 options.tls ? "https" : "http", options.host, listener.port());
    for (int received = SIGHUP; received == SIGHUP;) {
        sigwait(&signals, &received);
        if (received == SIGHUP) reload(load, lasting, server, listener);
    }
    spdlog::info("stopping: requests in flight are finished");
    server.drain();
    listener.close();
    return 0;
}

}  // namespace cds_hooks
