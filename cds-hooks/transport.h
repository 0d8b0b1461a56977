#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace web::http {
class http_request;
namespace experimental::listener {
class http_listener;
}
}  // namespace web::http

namespace cds_hooks {

/// What one listener grants its peers, all of them together and each of them alone.
///
/// Sizes in bytes, times in milliseconds.
struct Limits {
    /// Request line and header fields, each -> 431.
    std::size_t headerBytes = 16 * 1024;
    /// One request body, announced or chunked -> 413.
    std::size_t bodyBytes = 64 * 1024 * 1024;
    /// All request bodies held at a time, arriving, queued or being evaluated -> 503.
    std::size_t heldBytes = 512 * 1024 * 1024;

    /// How long a connection may wait for the first byte of a request; then it is closed without a word.
    std::chrono::milliseconds idle{60'000};
    /// How long the header may take, and after it the body, however steadily they drip -> 408.
    std::chrono::milliseconds read{30'000};
    /// How long the peer may take to accept an answer; then the connection is closed.
    std::chrono::milliseconds write{30'000};
    /// How long a closing listener waits for the requests in flight; then their connections are cut.
    std::chrono::milliseconds drain{10'000};

    /// Open connections; at the cap nothing is accepted until one of them closes.
    std::size_t connections = 1024;
    /// Threads that run the handler.
    std::size_t workers = 2;
    /// Complete requests that wait for a worker -> 503 with Retry-After.
    std::size_t queue = 512;
};

/// How a listener speaks TLS (1.2 or 1.3); files in PEM.
struct TlsOptions {
    std::string certificate;  ///< with its chain, the own first
    std::string privateKey;
    std::string clientAuthorities;  ///< when given, every client needs a certificate of one of them
};

/// Called for every request that the transport refuses by itself, with the status and the Origin that it names, on the
/// thread that reads and writes: what it returns are further headers of the answer.
using OnRefusal =
    std::function<std::vector<std::pair<std::string, std::string>>(int status, const std::string& origin)>;

/// Puts our transport beneath cpprestsdk's http_listener, and gives the next listener opened these limits.
///
/// To be called before every opening, and not while another listener opens or closes: cpprestsdk forgets the transport
/// when the last listener closes. A listener keeps the limits it was opened with. The handler runs on the worker
/// threads of its listener and never on the thread that reads and writes. A handler that throws, or that drops its
/// request, is answered 500. Closing a listener blocks until its requests are finished, or cut after Limits::drain, and
/// its handlers have returned.
///
/// Source: cpprestsdk is archived upstream and its own transports are not hardened; its listener API accepts another
/// (cpprest/details/http_server_api.h). Strictness follows RFC 9112, sections 2.2, 3.2, 5.1, 6.1, 6.3 and 7.1.
///
/// With `tls` the listener speaks TLS and nothing else; a handshake falls under Limits::read. Throws std::runtime_error
/// naming the file of a certificate or key that cannot be used.
void registerTransport(const Limits& limits, const std::optional<TlsOptions>& tls, OnRefusal onRefusal);

/// Throws std::runtime_error naming the file when TLS cannot be spoken with these.
void checkTls(const TlsOptions& tls);

/// Reads certificate, key and authorities of an open listener again: new connections get the new ones, open ones go on.
///
/// Throws std::runtime_error naming the file that cannot be used; then everything stays as it was.
void reloadCertificate(const web::http::experimental::listener::http_listener& listener, const TlsOptions& tls);

/// The TCP port an open listener is bound to, also when port 0 was asked for.
///
/// Throws std::runtime_error when the listener is not open, naming host and port when opening it has just failed.
std::uint16_t boundPort(const web::http::experimental::listener::http_listener& listener);

/// The bytes of a request's body, complete and moved out; empty when taken before.
///
/// This is the only way to the body: the request's own stream and its extract functions stay empty.
std::string takeBody(const web::http::http_request& request);

/// Sets the bytes that follow the header of the response; to be called before the request's reply.
///
/// This is the only way for the body: what a response carries in its own stream is not sent.
void giveBody(const web::http::http_request& request, std::string body);

}  // namespace cds_hooks
