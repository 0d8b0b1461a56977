#include "cds-hooks/listener.h"

#include <cpprest/http_listener.h>

#include <mutex>
#include <stdexcept>

namespace cds_hooks {

namespace {

using web::http::http_request;
using web::http::http_response;
using web::http::experimental::listener::http_listener;

web::uri address(const std::string& host, std::uint16_t port) {
    const bool ipv6 = host.find(':') != std::string::npos;
    const auto name = ipv6 ? "[" + host + "]" : host;
    try {
        return web::uri("http://" + name + ":" + std::to_string(port) + "/");
    } catch (const std::exception&) {
        throw std::runtime_error("cannot listen on " + host + ":" + std::to_string(port) + ": not a host");
    }
}

std::string header(const http_request& request, const char* name) {
    const auto& headers = request.headers();
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
}

Request read(const http_request& request) {
    return {
        request.method(),  request.request_uri().path(),    header(request, "Content-Type"), header(request, "Origin"),
        takeBody(request), header(request, "Authorization")};
}

void reply(const http_request& request, Answer answer) {
    if (answer.status < 200 || answer.status > 599)
        throw std::out_of_range("an answer's status lies between 200 and 599");
    http_response response(static_cast<web::http::status_code>(answer.status));
    if (!answer.body.empty()) response.headers().set_content_type(answer.contentType);
    for (const auto& [name, value] : answer.headers) response.headers().add(name, value);
    giveBody(request, std::move(answer.body));
    request.reply(response);
}

/// Held while any listener opens or closes: registration is one per process.
std::mutex& registration() {
    static std::mutex only;
    return only;
}

}  // namespace

struct Listener::State {
    State(const web::uri& uri, Handler answers) : handler(std::move(answers)), listener(uri) {}

    Handler handler;
    http_listener listener;
    std::uint16_t port = 0;
    std::optional<TlsOptions> tls;
};

Listener::Listener(std::string host, std::uint16_t port, const Limits& limits, Handler handler,
                   std::optional<TlsOptions> tls, OnRefusal onRefusal)
    : state(std::make_unique<State>(address(host, port), std::move(handler))) {
    const auto serve = [&answers = state->handler](const http_request& request) {
        reply(request, answers(read(request)));
    };
    // A listener that is not told answers these two methods by itself.
    state->listener.support(web::http::methods::OPTIONS, serve);
    state->listener.support(web::http::methods::TRCE, serve);
    state->listener.support(serve);

    const std::scoped_lock lock(registration());
    registerTransport(limits, tls, std::move(onRefusal));
    state->tls = std::move(tls);
    try {
        state->listener.open().wait();
    } catch (...) {
        // This exception is shared with a thread of the pool; the next line throws its own.
    }
    state->port = boundPort(state->listener);
}

Listener::~Listener() {
    try {
        close();
    } catch (...) {
    }
}

std::uint16_t Listener::port() const {
    return state->port;
}

void Listener::reloadCertificate() {
    if (state->tls) cds_hooks::reloadCertificate(state->listener, *state->tls);
}

void Listener::close() {
    const std::scoped_lock lock(registration());
    state->listener.close().wait();
}

}  // namespace cds_hooks
