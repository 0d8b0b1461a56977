#pragma once

#include "cds-hooks/transport.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cds_hooks {

/// One complete HTTP request.
///
/// method is spelled as sent. path is raw: not decoded, not normalised, without query. contentType, origin, body and
/// authorization are empty when absent; a header sent more than once is joined by a comma.
struct Request {
    std::string method;
    std::string path;
    std::string contentType;
    std::string origin;
    std::string body;
    std::string authorization = {};
};

/// What is sent back. status is 200 to 599; Content-Length, Connection and Date are added.
struct Answer {
    int status = 200;
    std::string body;
    std::string contentType = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
};

/// Called from worker threads, concurrently. When it throws, or returns an Answer that cannot be sent, the peer gets
/// a 500 that tells nothing, and the log gets the type of the exception: its text may quote a chart.
using Handler = std::function<Answer(const Request&)>;

/// Listens for HTTP on one address, from construction until close.
///
/// Every request with every method goes to the handler, except those the transport refuses by itself (400, 408, 413,
/// 417, 431, 503, and 500 for the handler): these carry an OperationOutcome.
class Listener {
public:
    /// host is an IPv4 or IPv6 literal, without brackets, or a name; port 0 lets the system choose.
    /// Throws std::runtime_error naming host and port when it cannot listen there, or the file when `tls` is given and
    /// a certificate or key cannot be used.
    Listener(std::string host, std::uint16_t port, const Limits& limits, Handler handler,
             std::optional<TlsOptions> tls = std::nullopt, OnRefusal onRefusal = {});

    /// Closes.
    ~Listener();

    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    /// The TCP port peers connect to.
    std::uint16_t port() const;

    /// Reads certificate and key again; nothing to do without TLS. Throws as the constructor does, and then everything
    /// stays as it was.
    void reloadCertificate();

    /// Refuses new connections, finishes the requests in flight within Limits::drain, then stops everything.
    /// Blocks; may be called again, from any thread except a handler's.
    void close();

private:
    struct State;
    std::unique_ptr<State> state;
};

}  // namespace cds_hooks
