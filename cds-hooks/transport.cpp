#include "cds-hooks/transport.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <typeinfo>
#include <unordered_map>
#include <utility>
#include <vector>

#include <cpprest/details/http_server.h>
#include <cpprest/details/http_server_api.h>
#include <cpprest/http_listener.h>
#include <fmt/chrono.h>
#include <pplx/threadpool.h>
#include <spdlog/spdlog.h>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/core/demangle.hpp>

namespace cds_hooks {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using web::http::experimental::listener::details::http_listener_impl;
using Tcp = asio::ip::tcp;

constexpr std::size_t readBytes = 64 * 1024;
constexpr std::size_t idleBytes = 4 * 1024;  ///< that a waiting connection in TLS reads into
constexpr std::chrono::milliseconds acceptPause{100};
constexpr std::chrono::milliseconds longestLinger{1'000};

/// The shortest chunked body there is: "0", two line ends. The parser's assertions assume that it sees no less.
constexpr std::size_t shortestChunkedBody = 5;

/// A request body in a string that grows with what has arrived, not with what was announced.
struct ArrivingBody {
    using value_type = std::string;

    class reader {
    public:
        template <bool isRequest, class Fields>
        reader(http::header<isRequest, Fields>&, value_type& target) : body(target) {}

        void init(const boost::optional<std::uint64_t>& announced, error_code& error) {
            body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(announced.value_or(0), readBytes)));
            error = {};
        }

        template <class Buffers>
        std::size_t put(const Buffers& buffers, error_code& error) {
            const auto before = body.size();
            for (const asio::const_buffer part : beast::buffers_range_ref(buffers))
                body.append(static_cast<const char*>(part.data()), part.size());
            error = {};
            return body.size() - before;
        }

        void finish(error_code& error) { error = {}; }

    private:
        value_type& body;
    };
};

using Parser = http::request_parser<ArrivingBody>;
using Message = http::request<ArrivingBody>;
using Reply = http::response<http::string_body>;

/// An answer of the transport itself: an OperationOutcome with one issue.
/// Source: FHIR R4, value set issue-type for the code.
Reply refusal(http::status status) {
    struct Words {
        const char* code;
        const char* diagnostics;
    };
    const auto words = [status]() -> Words {
        switch (status) {
            case http::status::request_timeout:
                return {"timeout", "The request took too long to arrive."};
            case http::status::payload_too_large:
                return {"too-long", "The request body is too large."};
            case http::status::expectation_failed:
                return {"not-supported", "The expectation cannot be met."};
            case http::status::request_header_fields_too_large:
                return {"too-long", "The request header is too large."};
            case http::status::internal_server_error:
                return {"exception", "The request could not be processed."};
            case http::status::service_unavailable:
                return {"throttled", "The service is busy; try again later."};
            default:
                return {"structure", "The request is not well-formed HTTP."};
        }
    }();
    Reply reply(status, 11);
    reply.set(http::field::content_type, "application/json");
    if (status == http::status::service_unavailable) reply.set(http::field::retry_after, "1");
    reply.body() = fmt::format(
        R"({{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"{}","diagnostics":"{}"}}]}})",
        words.code, words.diagnostics);
    return reply;
}

http::status statusOf(const error_code& error) {
    if (error == http::error::header_limit) return http::status::request_header_fields_too_large;
    if (error == http::error::body_limit) return http::status::payload_too_large;
    return http::status::bad_request;
}

/// The request target as a URI with scheme and host; nothing when it is neither a path, nor "*", nor an http URL.
std::optional<web::uri> readTarget(std::string_view method, std::string_view target) {
    const auto startsWith = [target](std::string_view scheme) {
        const auto start = target.substr(0, scheme.size());
        return beast::iequals({start.data(), start.size()}, {scheme.data(), scheme.size()});
    };
    if (target.find('#') != target.npos) return std::nullopt;
    try {
        if (target == "*") return method == "OPTIONS" ? std::optional(web::uri("*")) : std::nullopt;
        if (target.starts_with('/')) return web::uri("http://localhost" + std::string(target));
        if (startsWith("http://") || startsWith("https://")) return web::uri(std::string(target));
    } catch (const web::uri_exception&) {
    }
    return std::nullopt;
}

/// Whether the header says without doubt where the request ends and whom it is for, beyond what the parser refuses.
/// Source: RFC 9112, sections 3.2 (Host), 6.1 (Transfer-Encoding) and 6.3 (Content-Length).
bool unambiguous(const Message& message) {
    const auto lengths = message.count(http::field::content_length);
    const auto encodings = message.count(http::field::transfer_encoding);
    const auto length = message[http::field::content_length];
    if (lengths > 1 || encodings > 1 || lengths + encodings > 1) return false;
    if (length.find(',') != length.npos) return false;
    const auto encoding = message[http::field::transfer_encoding];
    if (encodings == 1 && (message.version() < 11 || !beast::iequals(encoding, "chunked"))) return false;
    const auto hosts = message.count(http::field::host);
    return hosts == 1 || (hosts == 0 && message.version() < 11);
}

using TlsContext = asio::ssl::context;

/// What our side of TLS is made of. Throws std::runtime_error that names the file.
std::shared_ptr<TlsContext> makeContext(const TlsOptions& options) {
    auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
    SSL_CTX* const native = context->native_handle();
    const auto check = [](const std::string& file, const error_code& error) {
        if (error) throw std::runtime_error(file + ": cannot be used for TLS: " + error.message());
    };
    error_code error;
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
    // Of TLS 1.2 only what is encrypted and authenticated at once, with forward secrecy.
    SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20");
    static constexpr std::string_view name = "cd7match";
    SSL_CTX_set_session_id_context(native, reinterpret_cast<const unsigned char*>(name.data()), name.size());
    context->use_certificate_chain_file(options.certificate, error);
    check(options.certificate, error);
    context->use_private_key_file(options.privateKey, TlsContext::pem, error);
    check(options.privateKey, error);
    if (SSL_CTX_check_private_key(native) != 1)
        throw std::runtime_error(options.privateKey + ": is not the key of " + options.certificate);
    if (!options.clientAuthorities.empty()) {
        context->load_verify_file(options.clientAuthorities, error);
        check(options.clientAuthorities, error);
        context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
    return context;
}

/// The bytes of one peer, in the clear or in TLS. An AsyncStream of Asio.
class Stream {
public:
    using executor_type = Tcp::socket::executor_type;

    Stream(Tcp::socket accepted, std::shared_ptr<TlsContext> tls)
        : socket(std::move(accepted)), context(std::move(tls)) {
        if (context) secure.emplace(socket, *context);
    }

    executor_type get_executor() { return socket.get_executor(); }
    bool isSecure() const { return secure.has_value(); }

    /// Whether bytes have arrived that nobody has read.
    bool hasBytes() {
        error_code error;
        if (socket.available(error) > 0) return true;
        return secure && SSL_pending(secure->native_handle()) > 0;
    }

    template <class Buffers, class Handler>
    auto async_read_some(const Buffers& buffers, Handler&& handler) {
        if (secure) return secure->async_read_some(buffers, std::forward<Handler>(handler));
        return socket.async_read_some(buffers, std::forward<Handler>(handler));
    }
    template <class Buffers, class Handler>
    auto async_write_some(const Buffers& buffers, Handler&& handler) {
        if (secure) return secure->async_write_some(buffers, std::forward<Handler>(handler));
        return socket.async_write_some(buffers, std::forward<Handler>(handler));
    }

    Tcp::socket socket;
    std::optional<asio::ssl::stream<Tcp::socket&>> secure;

private:
    std::shared_ptr<TlsContext> context;  ///< outlives its exchange for another
};

class Connection;

/// A request on its way to a worker.
struct Job {
    std::weak_ptr<Connection> connection;
    web::uri target;
    Message message;
};

/// One listening socket: a thread that reads and writes, threads that run the handler, a bounded queue between them.
///
/// Everything is touched by the I/O thread alone, except what stands below `mutex`.
class Service : public std::enable_shared_from_this<Service> {
public:
    Service(http_listener_impl& forListener, const Limits& given, std::shared_ptr<TlsContext> context,
            OnRefusal refused);

    void start();
    void use(std::shared_ptr<TlsContext> context);
    void drain();
    std::uint16_t port() const { return boundTo; }

    bool enqueue(Job& job);
    bool hold(std::size_t bytes);
    void release(std::size_t bytes) { held -= bytes; }
    void forget(const Connection& connection);

    const Limits limits;
    const OnRefusal onRefusal;
    asio::io_context io{1};
    bool draining = false;
    /// Where the bytes go that nobody reads.
    std::array<char, 16 * 1024> discarded{};

private:
    void accept();
    void onAccept(const error_code& error, Tcp::socket socket);
    void runIo();
    void work();
    void serve(Job job);

    http_listener_impl& listener;
    std::shared_ptr<TlsContext> tls;  ///< of the next connections; nothing in the clear
    asio::executor_work_guard<asio::io_context::executor_type> keepRunning;
    Tcp::acceptor acceptor;
    asio::steady_timer pause;
    std::uint16_t boundTo = 0;
    bool accepting = false;
    std::size_t held = 0;
    std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections;
    std::promise<void>* whenEmpty = nullptr;
    std::thread ioThread;
    std::vector<std::thread> workers;

    std::mutex mutex;
    std::condition_variable ready;
    std::deque<Job> jobs;
    bool stopping = false;
};

/// One peer. It is owned by its service until it closes, and by its pending operation; all of it runs on the I/O
/// thread, so a step never meets another.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(Service& of, Tcp::socket accepted, std::shared_ptr<TlsContext> tls)
        : service(of), stream(std::move(accepted), std::move(tls)), timer(of.io) {}

    void start();
    void awaitRequest();
    void answer(Reply reply);
    void close();
    void closeIfIdle();

private:
    enum class Phase { Greeting, Idle, Reading, Handled, Writing, Lingering, Closed };

    template <class Step>
    void attempt(Step step);
    template <class Step>
    auto guarded(Step step);
    void arm(std::chrono::milliseconds time);
    void onDeadline();
    void read();
    void parse();
    bool onHeader();
    void invite();
    void dispatch();
    Reply refusalTo(const Message& message, http::status status) const;
    void refuse(http::status status);
    void send(Reply reply, bool mayKeep);
    void onSent();
    void sayGoodbye();
    void linger();
    void letGo();

    Service& service;
    Stream stream;
    asio::steady_timer timer;
    beast::flat_buffer buffer;
    std::unique_ptr<Parser> parser;
    std::unique_ptr<Reply> outgoing;
    std::optional<web::uri> target;
    std::size_t held = 0;
    Phase phase = Phase::Idle;
    bool expired = false;
    bool complete = false;
    bool keepAlive = false;
    bool withoutBody = false;
    unsigned version = 11;
};

/// What cpprestsdk carries from a request to its response: both bodies, and the way back to the connection.
/// It answers 500 when it ends unanswered.
class Exchange : public web::http::details::_http_server_context {
public:
    Exchange(std::shared_ptr<Service> by, std::weak_ptr<Connection> with, std::string bytes)
        : body(std::move(bytes)), service(std::move(by)), connection(std::move(with)) {}

    ~Exchange() override {
        try {
            answer(refusal(http::status::internal_server_error));
        } catch (...) {
        }
    }

    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    void answer(Reply reply) {
        if (answered) return;
        asio::post(service->io, [to = connection, message = std::move(reply)]() mutable {
            if (const auto open = to.lock()) open->answer(std::move(message));
        });
        answered = true;
    }

    std::string body;
    std::string answerBody;

private:
    std::shared_ptr<Service> service;
    std::weak_ptr<Connection> connection;
    bool answered = false;
};

/// A step that cannot go on closes its connection; it never takes the thread, and with it every other peer, along.
template <class Step>
void Connection::attempt(Step step) {
    if (phase == Phase::Closed) return;
    try {
        step();
    } catch (const std::exception& failure) {
        spdlog::error("a connection failed: {}", boost::core::demangle(typeid(failure).name()));
        close();
    }
}

/// The step as the completion of an operation, which keeps the connection alive until then.
template <class Step>
auto Connection::guarded(Step step) {
    return [self = shared_from_this(), step = std::move(step)](const error_code& error, auto... rest) {
        self->attempt([&] { step(error, rest...); });
    };
}

void Connection::arm(std::chrono::milliseconds time) {
    timer.expires_after(time);
    timer.async_wait(guarded([this](const error_code& error) {
        // A deadline that was moved while its handler waited its turn has not passed.
        if (!error && timer.expiry() <= asio::steady_timer::clock_type::now()) onDeadline();
    }));
}

void Connection::onDeadline() {
    if (phase == Phase::Handled) return;
    if (phase != Phase::Reading || expired) return close();
    expired = true;
    error_code ignored;
    stream.socket.cancel(ignored);
    arm(longestLinger);
}

void Connection::start() {
    if (!stream.isSecure()) return awaitRequest();
    phase = Phase::Greeting;
    arm(service.limits.read);
    stream.secure->async_handshake(asio::ssl::stream_base::server, guarded([this](const error_code& error) {
                                       if (error) return close();
                                       awaitRequest();
                                   }));
}

void Connection::awaitRequest() {
    target.reset();
    complete = false;
    if (service.draining && buffer.size() == 0 && !stream.hasBytes()) return close();

    const auto begin = [this] {
        phase = Phase::Reading;
        expired = false;
        keepAlive = false;
        withoutBody = false;
        version = 11;
        arm(service.limits.read);
        parser = std::make_unique<Parser>();
        parser->header_limit(static_cast<std::uint32_t>(service.limits.headerBytes));
        parser->body_limit(service.limits.bodyBytes);
    };
    if (buffer.size() > 0) {
        begin();
        return parse();
    }
    buffer = {};
    phase = Phase::Idle;
    arm(service.limits.idle);
    if (stream.isSecure()) {
        // Bytes that TLS holds already are announced by nobody: it is asked for them.
        buffer.reserve(idleBytes);
        return stream.async_read_some(buffer.prepare(idleBytes),
                                      guarded([this, begin](const error_code& failed, std::size_t bytes) {
                                          if (failed) return close();
                                          begin();
                                          buffer.max_size(service.limits.headerBytes + readBytes);
                                          buffer.commit(bytes);
                                          parse();
                                      }));
    }
    stream.socket.async_wait(Tcp::socket::wait_read, guarded([this, begin](const error_code& failed) {
                                 if (failed) return close();
                                 begin();
                                 buffer.max_size(service.limits.headerBytes + readBytes);
                                 buffer.reserve(readBytes);
                                 read();
                             }));
}

void Connection::read() {
    const auto space = std::min(readBytes, buffer.max_size() - buffer.size());
    if (space == 0) return refuse(http::status::bad_request);
    stream.async_read_some(buffer.prepare(space), guarded([this](const error_code& error, std::size_t bytes) {
                               if (expired) return refuse(http::status::request_timeout);
                               if (error == asio::error::eof && parser->got_some())
                                   return refuse(http::status::bad_request);
                               if (error) return close();
                               buffer.commit(bytes);
                               parse();
                           }));
}

void Connection::parse() {
    while (!parser->is_done()) {
        const bool inBody = parser->is_header_done();
        if (buffer.size() == 0 || (inBody && parser->chunked() && buffer.size() < shortestChunkedBody)) return read();

        error_code error;
        buffer.consume(parser->put(buffer.data(), error));
        if (error == http::error::need_more) return read();
        if (error) return refuse(statusOf(error));

        const auto arrived = parser->get().body().size();
        if (!service.hold(arrived - held)) return refuse(http::status::service_unavailable);
        held = arrived;
        if (!inBody && parser->is_header_done() && !onHeader()) return;
    }
    complete = true;
    dispatch();
}

/// Checks a complete header; false when the next step is under way already.
bool Connection::onHeader() {
    const auto& message = parser->get();
    version = message.version();
    keepAlive = parser->keep_alive();
    withoutBody = message.method() == http::verb::head;
    const std::string_view method(message.method_string().data(), message.method_string().size());
    target = readTarget(method, {message.target().data(), message.target().size()});
    if (!unambiguous(message) || !target) {
        refuse(http::status::bad_request);
        return false;
    }
    const auto expect = message[http::field::expect];
    if (!expect.empty() && version >= 11) {
        if (!beast::iequals(expect, "100-continue")) {
            refuse(http::status::expectation_failed);
            return false;
        }
        if (!parser->is_done()) {
            arm(service.limits.read);
            invite();
            return false;
        }
    }
    if (!parser->is_done()) arm(service.limits.read);
    return true;
}

void Connection::invite() {
    static constexpr std::string_view goOn = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream, asio::buffer(goOn), guarded([this](const error_code& error, std::size_t) {
                          if (expired) return refuse(http::status::request_timeout);
                          if (error) return close();
                          parse();
                      }));
}

void Connection::dispatch() {
    phase = Phase::Handled;
    timer.cancel();
    Job job{weak_from_this(), std::move(*target), parser->release()};
    if (service.enqueue(job)) return;
    send(refusalTo(job.message, http::status::service_unavailable), true);
}

void Connection::answer(Reply reply) {
    attempt([&] {
        if (phase == Phase::Handled) send(std::move(reply), true);
    });
}

/// The refusal of what has arrived of a request.
Reply Connection::refusalTo(const Message& message, http::status status) const {
    Reply reply = refusal(status);
    if (!service.onRefusal) return reply;
    const std::string origin(message[http::field::origin]);
    for (const auto& [name, value] : service.onRefusal(static_cast<int>(reply.result_int()), origin))
        reply.set(name, value);
    return reply;
}

void Connection::refuse(http::status status) {
    send(parser ? refusalTo(parser->get(), status) : refusal(status), false);
}

void Connection::send(Reply reply, bool mayKeep) {
    phase = Phase::Writing;
    parser.reset();
    letGo();
    const auto now = std::time(nullptr);
    keepAlive = keepAlive && mayKeep && !service.draining;
    reply.version(version);
    reply.keep_alive(keepAlive);
    reply.set(http::field::date, fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now)));
    if (reply.result() == http::status::no_content || reply.result() == http::status::not_modified) {
        reply.body().clear();
        reply.erase(http::field::content_length);
    } else {
        reply.content_length(reply.body().size());
    }
    if (withoutBody) reply.body().clear();
    outgoing = std::make_unique<Reply>(std::move(reply));
    arm(service.limits.write);
    http::async_write(stream, *outgoing, guarded([this](const error_code& error, std::size_t) {
                          if (error) return close();
                          onSent();
                      }));
}

void Connection::onSent() {
    outgoing.reset();
    if (keepAlive) return awaitRequest();
    if (!stream.isSecure()) return sayGoodbye();
    phase = Phase::Lingering;
    arm(std::min(longestLinger, service.limits.read));
    // The peer learns that the answer is whole (close_notify); what he says to that is of no concern.
    stream.secure->async_shutdown(guarded([this](const error_code&) { sayGoodbye(); }));
}

void Connection::sayGoodbye() {
    error_code ignored;
    stream.socket.shutdown(Tcp::socket::shutdown_send, ignored);
    if (complete && buffer.size() == 0) return close();
    phase = Phase::Lingering;
    buffer = {};
    arm(std::min(longestLinger, service.limits.read));
    linger();
}

/// Reads on for a moment after the last answer: closing on unread bytes would take the answer back.
/// Source: RFC 9112, section 9.6.
void Connection::linger() {
    stream.socket.async_read_some(asio::buffer(service.discarded),
                                  guarded([this](const error_code& error, std::size_t) {
                                      if (error) return close();
                                      linger();
                                  }));
}

void Connection::letGo() {
    service.release(held);
    held = 0;
}

void Connection::close() {
    if (phase == Phase::Closed) return;
    phase = Phase::Closed;
    const auto self = shared_from_this();
    letGo();
    error_code ignored;
    timer.cancel(ignored);
    stream.socket.close(ignored);
    service.forget(*this);
}

void Connection::closeIfIdle() {
    if (phase == Phase::Idle && !stream.hasBytes()) close();
}

Service::Service(http_listener_impl& forListener, const Limits& given, std::shared_ptr<TlsContext> context,
                 OnRefusal refused)
    : limits(given),
      onRefusal(std::move(refused)),
      listener(forListener),
      tls(std::move(context)),
      keepRunning(asio::make_work_guard(io)),
      acceptor(io),
      pause(io) {
    auto host = listener.uri().host();
    const auto number = static_cast<std::uint16_t>(listener.uri().port());
    const auto fail = [&](const std::string& reason) {
        throw std::runtime_error("cannot listen on " + host + ":" + std::to_string(number) + ": " + reason);
    };
    if (listener.uri().scheme() != "http") fail("only http is spoken here");
    auto name = host;
    if (name.size() > 2 && name.front() == '[') name = name.substr(1, name.size() - 2);

    error_code error;
    Tcp::resolver resolver(io);
    const auto found = resolver.resolve(name, std::to_string(number), Tcp::resolver::passive, error);
    if (error || found.empty()) fail(error.message());
    const Tcp::endpoint endpoint = *found.begin();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(Tcp::acceptor::max_listen_connections, error);
    if (error) fail(error.message());
    boundTo = acceptor.local_endpoint().port();
}

void Service::start() {
    ioThread = std::thread([this] { runIo(); });
    for (std::size_t i = 0; i < std::max<std::size_t>(limits.workers, 1); ++i) workers.emplace_back([this] { work(); });
}

void Service::use(std::shared_ptr<TlsContext> context) {
    asio::post(io, [self = shared_from_this(), next = std::move(context)]() mutable { self->tls = std::move(next); });
}

void Service::runIo() {
    for (;;) {
        try {
            accept();
            io.run();
            return;
        } catch (const std::exception& failure) {
            spdlog::error("the listener failed, and goes on: {}", boost::core::demangle(typeid(failure).name()));
        }
    }
}

void Service::accept() {
    if (accepting || draining || connections.size() >= std::max<std::size_t>(limits.connections, 1)) return;
    accepting = true;
    acceptor.async_accept([this](const error_code& error, Tcp::socket socket) { onAccept(error, std::move(socket)); });
}

void Service::onAccept(const error_code& error, Tcp::socket socket) {
    accepting = false;
    if (draining) return;
    if (!error) {
        error_code ignored;
        socket.set_option(Tcp::no_delay(true), ignored);
        const auto connection = std::make_shared<Connection>(*this, std::move(socket), tls);
        connections.emplace(connection.get(), connection);
        connection->start();
    } else if (error != asio::error::connection_aborted) {
        // Without file descriptors the same connection would be announced again at once.
        accepting = true;
        pause.expires_after(acceptPause);
        pause.async_wait([this](const error_code&) {
            accepting = false;
            accept();
        });
        return;
    }
    accept();
}

void Service::forget(const Connection& connection) {
    connections.erase(&connection);
    if (draining && connections.empty() && whenEmpty) {
        whenEmpty->set_value();
        whenEmpty = nullptr;
    }
    accept();
}

bool Service::hold(std::size_t bytes) {
    if (bytes > limits.heldBytes - held) return false;
    held += bytes;
    return true;
}

bool Service::enqueue(Job& job) {
    {
        const std::scoped_lock lock(mutex);
        if (jobs.size() >= std::max<std::size_t>(limits.queue, 1)) return false;
        jobs.push_back(std::move(job));
    }
    ready.notify_one();
    return true;
}

void Service::work() {
    for (;;) {
        std::unique_lock lock(mutex);
        ready.wait(lock, [this] { return stopping || !jobs.empty(); });
        if (stopping) return;
        auto job = std::move(jobs.front());
        jobs.pop_front();
        lock.unlock();
        serve(std::move(job));
    }
}

void Service::serve(Job job) {
    try {
        auto request = web::http::http_request::_create_request(
            std::make_unique<Exchange>(shared_from_this(), job.connection, std::move(job.message.body())));
        request.set_method(std::string(job.message.method_string()));
        request.set_request_uri(job.target);
        for (const auto& field : job.message) {
            auto& value = request.headers()[std::string(field.name_string())];
            value.append(value.empty() ? "" : ", ").append(field.value().data(), field.value().size());
        }
        listener.handle_request(request);
    } catch (const std::exception& failure) {
        spdlog::error("a handler failed: {}", boost::core::demangle(typeid(failure).name()));
    } catch (...) {
        spdlog::error("a handler failed");
    }
}

void Service::drain() {
    std::promise<void> emptied;
    const auto allGone = emptied.get_future();
    asio::post(io, [this, &emptied] {
        draining = true;
        error_code ignored;
        acceptor.close(ignored);
        pause.cancel(ignored);
        const auto open = connections;
        for (const auto& [key, connection] : open) connection->closeIfIdle();
        if (connections.empty())
            emptied.set_value();
        else
            whenEmpty = &emptied;
    });
    allGone.wait_for(limits.drain);

    asio::post(io, [this] {
        const auto open = connections;
        for (const auto& [key, connection] : open) connection->close();
    });
    {
        const std::scoped_lock lock(mutex);
        stopping = true;
        jobs.clear();
    }
    ready.notify_all();
    for (auto& worker : workers) worker.join();
    keepRunning.reset();
    ioThread.join();
}

bool sendable(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 127; });
}

/// The services of all open listeners, and the limits of the next one. It outlives every transport.
class Registry {
public:
    void use(const Limits& limits, std::shared_ptr<TlsContext> tls, OnRefusal onRefusal) {
        const std::scoped_lock lock(mutex);
        next = limits;
        nextOnRefusal = std::move(onRefusal);
        nextTls = std::move(tls);
        failure = "the listener is not open";
    }

    void open(http_listener_impl* listener) {
        const std::scoped_lock lock(mutex);
        try {
            const auto service = std::make_shared<Service>(*listener, next, nextTls, nextOnRefusal);
            spdlog::debug("listening on port {}", service->port());
            service->start();
            services.emplace(listener, service);
        } catch (const std::exception& error) {
            failure = error.what();
            throw;
        }
    }

    void close(http_listener_impl* listener) {
        std::shared_ptr<Service> service;
        {
            const std::scoped_lock lock(mutex);
            const auto found = services.find(listener);
            if (found == services.end()) return;
            service = found->second;
            services.erase(found);
        }
        service->drain();
    }

    std::shared_ptr<Service> serviceOf(const web::uri& uri) {
        const std::scoped_lock lock(mutex);
        for (const auto& [listener, service] : services)
            if (&listener->uri() == &uri) return service;
        throw std::runtime_error(failure);
    }

private:
    std::mutex mutex;
    Limits next;
    std::shared_ptr<TlsContext> nextTls;
    OnRefusal nextOnRefusal;
    std::string failure;
    std::map<http_listener_impl*, std::shared_ptr<Service>> services;
};

Registry& registry() {
    static Registry only;
    return only;
}

class Transport : public web::http::experimental::details::http_server {
public:
    pplx::task<void> start() override { return pplx::task_from_result(); }
    pplx::task<void> stop() override { return pplx::task_from_result(); }

    pplx::task<void> register_listener(http_listener_impl* listener) override {
        registry().open(listener);
        return pplx::task_from_result();
    }

    pplx::task<void> unregister_listener(http_listener_impl* listener) override {
        registry().close(listener);
        return pplx::task_from_result();
    }

    /// Completes when the response is on its way to the I/O thread: whoever waits for it does not wait for the peer.
    pplx::task<void> respond(web::http::http_response response) override {
        auto* const exchange = dynamic_cast<Exchange*>(response._get_server_context());
        if (!exchange) return pplx::task_from_result();
        Reply reply;
        reply.result(response.status_code());
        for (const auto& [name, value] : response.headers()) {
            if (name.empty() || !sendable(name) || !sendable(value))
                throw std::invalid_argument("a response header cannot be sent");
            reply.set(name, value);
        }
        reply.body() = std::move(exchange->answerBody);
        exchange->answer(std::move(reply));
        return pplx::task_from_result();
    }
};

/// The pool of cpprestsdk only opens and closes listeners here; its default is forty threads.
void keepPoolSmall() {
    static std::once_flag once;
    std::call_once(once, [] {
        try {
            crossplat::threadpool::initialize_with_threads(2);
        } catch (const std::exception&) {
            spdlog::debug("the thread pool was running before the first listener");
        }
    });
}

}  // namespace

void checkTls(const TlsOptions& tls) {
    makeContext(tls);
}

void registerTransport(const Limits& limits, const std::optional<TlsOptions>& tls, OnRefusal onRefusal) {
    using web::http::experimental::details::http_server_api;
    keepPoolSmall();
    registry().use(limits, tls ? makeContext(*tls) : nullptr, std::move(onRefusal));
    // cpprestsdk drops the transport with the last listener, and would open the next one on its own.
    if (!http_server_api::has_listener()) http_server_api::register_server_api(std::make_unique<Transport>());
}

std::uint16_t boundPort(const web::http::experimental::listener::http_listener& listener) {
    return registry().serviceOf(listener.uri())->port();
}

void reloadCertificate(const web::http::experimental::listener::http_listener& listener, const TlsOptions& tls) {
    registry().serviceOf(listener.uri())->use(makeContext(tls));
}

std::string takeBody(const web::http::http_request& request) {
    auto* const exchange = dynamic_cast<Exchange*>(request._get_server_context());
    return exchange ? std::exchange(exchange->body, {}) : std::string();
}

void giveBody(const web::http::http_request& request, std::string body) {
    if (auto* const exchange = dynamic_cast<Exchange*>(request._get_server_context()))
        exchange->answerBody = std::move(body);
}

}  // namespace cds_hooks
