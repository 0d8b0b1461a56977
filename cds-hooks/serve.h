#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cds-hooks/server.h"
#include "cds-hooks/transport.h"
#include "fhir/date.h"

namespace cds_hooks {

struct ServeOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 8080;
    Limits limits;
    std::optional<TlsOptions> tls;
    ServerOptions server;
    std::string store;           ///< file or database of the store; none when empty
    int throttleDays = 0;        ///< 0: no throttle
    std::string throttleSecret;  ///< file with at least Throttle::shortestSecret bytes
};

/// What stays while the rest is exchanged: the memory for tokens, and the counters.
struct Lasting {
    Remember remember;
    std::shared_ptr<Metrics> metrics;
};

/// Reads everything that may be exchanged while the service runs. Nothing, having logged every problem, when it is not
/// usable.
using Load = std::function<std::optional<Served>(const Lasting&)>;

/// Reads a trust file with the keys that it names. Nothing, having logged every problem, when it is not usable.
std::shared_ptr<Trust> readTrust(const std::string& file, const Lasting& lasting);

/// Where feedback is kept unless another place is named: in the folder for state of the service manager
/// (STATE_DIRECTORY), of the desktop (XDG_STATE_HOME/cd7match) or of the user (~/.local/state/cd7match). Empty when
/// there is none of them.
std::string usualStore();

/// Serves until SIGINT or SIGTERM, then finishes the requests in flight. SIGHUP loads again: what is sound replaces
/// what was served, all at once; otherwise everything stays as it was. Returns the exit status, 2 when the first
/// loading fails. Errors: std::runtime_error when it cannot listen.
int serve(const Load& load, const ServeOptions& options);

}  // namespace cds_hooks
