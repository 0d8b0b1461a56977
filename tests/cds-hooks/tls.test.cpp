#include <doctest/doctest.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cds-hooks/listener.h"
#include "fhir/client.h"
#include "fhir/error.h"
#include "tests/running.h"
#include "tests/support.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

// The listener in TLS: what it speaks, whom it lets in, and that no limit of plain HTTP is lost.

namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
namespace http = boost::beast::http;
using namespace std::chrono_literals;
using boost::system::error_code;
using cds_hooks::Answer;
using cds_hooks::Limits;
using cds_hooks::Listener;
using cds_hooks::Request;

/// Certificates of an authority of our own, made once: server, another server, client, and a client of nobody.
class Certificates {
public:
    static const Certificates& all() {
        static const Certificates only;
        return only;
    }
    std::string operator[](const std::string& name) const { return (folder_ / name).string(); }
    cds_hooks::TlsOptions server(const std::string& name = "server") const {
        return {(*this)[name + ".pem"], (*this)[name + ".key"], {}};
    }

private:
    Certificates() {
        char name[] = "/tmp/cd7match-tls-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        folder_ = name;
        run("req -x509 -subj /CN=authority -days 2 -keyout ca.key -out ca.pem -nodes -newkey ec -pkeyopt "
            "ec_paramgen_curve:P-256");
        for (const std::string& each : {std::string("server"), std::string("other"), std::string("client")}) {
            std::ofstream(folder_ / (each + ".ext")) << "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
            run("req -subj /CN=" + each + " -keyout " + each + ".key -out " + each +
                ".csr -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256");
            run("x509 -req -in " + each + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile " + each +
                ".ext -out " + each + ".pem");
        }
        run("req -x509 -subj /CN=nobody -days 2 -keyout nobody.key -out nobody.pem -nodes -newkey ec -pkeyopt "
            "ec_paramgen_curve:P-256");
    }
    ~Certificates() { std::filesystem::remove_all(folder_); }
    void run(const std::string& arguments) const {
        const std::string command = "cd " + folder_.string() + " && openssl " + arguments + " >/dev/null 2>&1";
        REQUIRE_MESSAGE(std::system(command.c_str()) == 0, command);
    }

    std::filesystem::path folder_;
};

/// A client that waits no longer than five seconds for anything.
class Client {
public:
    struct Options {
        int least = TLS1_2_VERSION;
        int most = TLS1_3_VERSION;
        std::string certificate;  ///< of the client: its name among the certificates
    };
    explicit Client(std::uint16_t port) : Client(port, Options()) {}
    Client(std::uint16_t port, const Options& options) : context_(ssl::context::tls_client) {
        context_.load_verify_file(Certificates::all()["ca.pem"]);
        SSL_CTX_set_security_level(context_.native_handle(), 0);  // so that old versions are offered at all
        if (!options.certificate.empty()) {
            context_.use_certificate_chain_file(Certificates::all()[options.certificate + ".pem"]);
            context_.use_private_key_file(Certificates::all()[options.certificate + ".key"], ssl::context::pem);
        }
        stream_ = std::make_unique<ssl::stream<asio::ip::tcp::socket>>(io_, context_);
        SSL_set_min_proto_version(stream_->native_handle(), options.least);
        SSL_set_max_proto_version(stream_->native_handle(), options.most);
        stream_->set_verify_mode(ssl::verify_peer);
        stream_->lowest_layer().connect({asio::ip::make_address("127.0.0.1"), port});
        const timeval wait{5, 0};
        setsockopt(stream_->lowest_layer().native_handle(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    }

    bool greet() {
        error_code error;
        stream_->handshake(ssl::stream_base::client, error);
        return !error;
    }
    /// The status and body of an answer; nothing when there is none.
    std::optional<std::pair<int, std::string>> ask(const std::string& body = {}) {
        error_code error;
        http::request<http::string_body> request(http::verb::post, "/x", 11);
        request.set(http::field::host, "localhost");
        request.body() = body;
        request.prepare_payload();
        http::write(*stream_, request, error);
        return error ? std::nullopt : answer();
    }
    void send(const std::string& bytes) {
        error_code ignored;
        asio::write(*stream_, asio::buffer(bytes), ignored);
    }
    std::optional<std::pair<int, std::string>> answer() {
        error_code error;
        http::response_parser<http::string_body> parser;
        parser.body_limit(64 * 1024 * 1024);
        http::read(*stream_, buffer_, parser, error);
        if (error) return std::nullopt;
        return std::pair(static_cast<int>(parser.get().result_int()), parser.get().body());
    }
    /// Whether the connection has been ended in order: by close_notify.
    bool isClosedInOrder() {
        error_code error;
        char byte = 0;
        stream_->read_some(asio::buffer(&byte, 1), error);
        return error == asio::error::eof;
    }
    std::string subject() {
        std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(stream_->native_handle()),
                                                           X509_free);
        REQUIRE(certificate != nullptr);
        std::unique_ptr<char, void (*)(void*)> text(
            X509_NAME_oneline(X509_get_subject_name(certificate.get()), nullptr, 0),
            [](void* memory) { OPENSSL_free(memory); });
        return text.get();
    }

private:
    asio::io_context io_;
    ssl::context context_;
    std::unique_ptr<ssl::stream<asio::ip::tcp::socket>> stream_;
    boost::beast::flat_buffer buffer_;
};

Answer echo(const Request& request) {
    return {200, request.body, "text/plain", {}};
}

}  // namespace

TEST_CASE("TLS 1.2 and 1.3 are spoken, older versions and plain HTTP are not") {
    Listener listener("127.0.0.1", 0, {}, echo, Certificates::all().server());
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        Client client(listener.port(), {version, version, ""});
        REQUIRE(client.greet());
        CHECK_EQ(client.subject(), "/CN=server");
        const auto answer = client.ask("hello");
        REQUIRE(answer.has_value());
        CHECK_EQ(answer->second, "hello");
    }
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
        Client client(listener.port(), {version, version, ""});
        CHECK_FALSE(client.greet());
    }
    // Plain HTTP and garbage are closed on, and nothing else happens.
    for (const std::string& bytes :
         {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string(300, '\x16'), std::string("\0\0", 2)}) {
        asio::io_context io;
        asio::ip::tcp::socket socket(io);
        socket.connect({asio::ip::make_address("127.0.0.1"), listener.port()});
        error_code error;
        asio::write(socket, asio::buffer(bytes), error);
        socket.shutdown(asio::ip::tcp::socket::shutdown_send, error);
        std::string rest;
        asio::read(socket, asio::dynamic_buffer(rest), error);
        CHECK_EQ(rest.find("HTTP/"), std::string::npos);
    }
    Client again(listener.port());
    REQUIRE(again.greet());
    CHECK(again.ask("still here").has_value());
}

TEST_CASE("where client certificates are asked for, one of the authority opens the door and no other does") {
    cds_hooks::TlsOptions options = Certificates::all().server();
    options.clientAuthorities = Certificates::all()["ca.pem"];
    Listener listener("127.0.0.1", 0, {}, echo, options);
    const auto letsIn = [&](const std::string& certificate) {
        Client client(listener.port(), {TLS1_2_VERSION, TLS1_3_VERSION, certificate});
        // In TLS 1.3 the client learns of the refusal with the first answer.
        return client.greet() && client.ask("hello").has_value();
    };
    CHECK(letsIn("client"));
    CHECK_FALSE(letsIn(""));
    CHECK_FALSE(letsIn("nobody"));
    CHECK(letsIn("client"));
}

TEST_CASE("a new certificate is served to new connections while old ones go on, and a broken one to nobody") {
    const Certificates& all = Certificates::all();
    const std::filesystem::path certificate = all["live.pem"];
    const std::filesystem::path key = all["live.key"];
    const auto use = [&](const std::string& name) {
        std::filesystem::copy_file(all[name + ".pem"], certificate, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::copy_file(all[name + ".key"], key, std::filesystem::copy_options::overwrite_existing);
    };
    use("server");
    Listener listener("127.0.0.1", 0, {}, echo, cds_hooks::TlsOptions{certificate, key, {}});
    Client old(listener.port());
    REQUIRE(old.greet());
    CHECK(old.ask("1").has_value());
    use("other");
    listener.reloadCertificate();
    Client next(listener.port());
    REQUIRE(next.greet());
    CHECK_EQ(next.subject(), "/CN=other");
    CHECK(old.ask("2").has_value());
    std::ofstream(certificate) << "no certificate";
    CHECK_THROWS_WITH_AS(listener.reloadCertificate(), doctest::Contains("live.pem: cannot be used for TLS"),
                         std::runtime_error);
    std::filesystem::copy_file(all["server.pem"], certificate, std::filesystem::copy_options::overwrite_existing);
    CHECK_THROWS_WITH_AS(listener.reloadCertificate(), doctest::Contains("live.key: "), std::runtime_error);
    Client last(listener.port());
    REQUIRE(last.greet());
    CHECK_EQ(last.subject(), "/CN=other");
    CHECK(old.ask("3").has_value());
    CHECK_THROWS_WITH_AS(Listener("127.0.0.1", 0, {}, echo, cds_hooks::TlsOptions{"/nowhere", key, {}}),
                         doctest::Contains("/nowhere: cannot be used for TLS"), std::runtime_error);
}

TEST_CASE("bodies and answers of megabytes arrive whole, requests in a row and at once are answered in order") {
    Listener listener("127.0.0.1", 0, {}, echo, Certificates::all().server());
    Client client(listener.port());
    REQUIRE(client.greet());
    std::string large(5 * 1024 * 1024, 'x');
    for (std::size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>('a' + i % 26);
    const auto answer = client.ask(large);
    REQUIRE(answer.has_value());
    CHECK(answer->second == large);
    for (int i = 0; i < 20; ++i) CHECK_EQ(client.ask(std::to_string(i))->second, std::to_string(i));
    // In one record: what TLS holds already is announced by nobody.
    std::string pipelined;
    for (int i = 0; i < 5; ++i)
        pipelined += "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n" + std::to_string(i);
    client.send(pipelined);
    for (int i = 0; i < 5; ++i) CHECK_EQ(client.answer()->second, std::to_string(i));
    // In records of their own that arrive together.
    for (int i = 0; i < 5; ++i)
        client.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n" + std::to_string(i));
    for (int i = 0; i < 5; ++i) CHECK_EQ(client.answer()->second, std::to_string(i));
    client.send("POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n9");
    CHECK_EQ(client.answer()->second, "9");
    CHECK(client.isClosedInOrder());
}

TEST_CASE("the limits of plain HTTP hold in TLS as well") {
    Limits limits;
    limits.read = 800ms;
    limits.idle = 800ms;
    limits.bodyBytes = 1000;
    limits.headerBytes = 2000;
    Listener listener("127.0.0.1", 0, limits, echo, Certificates::all().server());
    const auto ends = [&](const std::string& bytes) {
        Client client(listener.port());
        REQUIRE(client.greet());
        client.send(bytes);
        const auto answer = client.answer();
        return answer ? answer->first : 0;
    };
    CHECK_EQ(ends("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"), 413);
    CHECK_EQ(ends("POST /x HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'x') + "\r\n\r\n"), 431);
    CHECK_EQ(ends("POST /x HTTP/9.9\r\n\r\n"), 400);
    CHECK_EQ(ends("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"), 408);
    CHECK_EQ(ends(""), 0);
    CHECK_EQ(ends("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"), 200);
}

TEST_CASE("peers that never finish their greeting are let go, and others are served meanwhile") {
    Limits limits;
    limits.read = 1000ms;
    limits.connections = 100;
    Listener listener("127.0.0.1", 0, limits, echo, Certificates::all().server());
    asio::io_context io;
    std::vector<asio::ip::tcp::socket> silent;
    for (int i = 0; i < 90; ++i) {
        silent.emplace_back(io);
        silent.back().connect({asio::ip::make_address("127.0.0.1"), listener.port()});
        if (i % 2 == 0) asio::write(silent.back(), asio::buffer(std::string("\x16\x03\x01\x02")));
    }
    Client client(listener.port());
    REQUIRE(client.greet());
    CHECK(client.ask("meanwhile").has_value());
    const auto started = std::chrono::steady_clock::now();
    for (auto& socket : silent) {
        const timeval wait{5, 0};
        setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        error_code error;
        char byte = 0;
        socket.read_some(asio::buffer(&byte, 1), error);
        CHECK(error != asio::error::would_block);
        CHECK(error != asio::error::try_again);
    }
    CHECK_LT(std::chrono::steady_clock::now() - started, 4s);
}

TEST_CASE("closing says goodbye in order and finishes what was begun") {
    auto listener = std::make_unique<Listener>("127.0.0.1", 0, Limits(), echo, Certificates::all().server());
    Client idle(listener->port());
    REQUIRE(idle.greet());
    CHECK(idle.ask("x").has_value());
    const auto started = std::chrono::steady_clock::now();
    listener->close();
    CHECK_LT(std::chrono::steady_clock::now() - started, 5s);
    CHECK_FALSE(idle.ask("y").has_value());
}

namespace {

/// Answers one TLS connection with these bytes, one after the other with a pause before each, and closes it.
class OneAnswer {
public:
    OneAnswer(std::string answer, std::chrono::milliseconds pause)
        : acceptor_(context_, {asio::ip::address_v4::loopback(), 0}), thread_([this, answer, pause] {
              ssl::context tls(ssl::context::tls_server);
              tls.use_certificate_chain_file(Certificates::all()["server.pem"]);
              tls.use_private_key_file(Certificates::all()["server.key"], ssl::context::pem);
              ssl::stream<asio::ip::tcp::socket> stream(context_, tls);
              error_code error;
              acceptor_.accept(stream.next_layer(), error);
              stream.handshake(ssl::stream_base::server, error);
              char request[1024];
              stream.read_some(asio::buffer(request), error);
              for (std::size_t i = 0; i < answer.size() && !error; ++i) {
                  if (pause > 0ms) std::this_thread::sleep_for(pause);
                  asio::write(stream, asio::buffer(&answer[i], 1), error);
              }
              stream.shutdown(error);
          }) {}
    ~OneAnswer() { thread_.join(); }
    OneAnswer(const OneAnswer&) = delete;
    OneAnswer& operator=(const OneAnswer&) = delete;
    std::string url() const { return "https://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/"; }

private:
    asio::io_context context_;
    asio::ip::tcp::acceptor acceptor_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("our own client follows no redirect, and waits for no answer that drips") {
    support::RunningService target;
    fhir::FetchLimits limits;
    limits.caFile = Certificates::all()["ca.pem"];
    {
        const OneAnswer elsewhere("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:" + std::to_string(target.port()) +
                                      "/cds-services\r\nContent-Length: 0\r\n\r\n",
                                  0ms);
        CHECK_THROWS_WITH_AS(fhir::get(elsewhere.url(), limits), "the answer is 302", fhir::Error);
    }
    limits.deadline = 400ms;
    const OneAnswer dripping("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}", 50ms);
    const auto started = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(fhir::get(dripping.url(), limits), fhir::Error);
    CHECK_LT(std::chrono::steady_clock::now() - started, 1500ms);
}

TEST_CASE("the program speaks TLS, renews its certificate on SIGHUP, and our own client believes it by its authority") {
    const Certificates& all = Certificates::all();
    support::RunningService running({"--tls-certificate", all["server.pem"], "--tls-key", all["server.key"]});
    const std::string url = "https://127.0.0.1:" + std::to_string(running.port());
    fhir::FetchLimits limits;
    limits.caFile = all["ca.pem"];
    CHECK_NE(fhir::get(url + "/cds-services", limits).find("cd7-trials"), std::string::npos);
    CHECK_THROWS_WITH_AS(fhir::get(url + "/nowhere", limits), "the answer is 404", fhir::Error);
    limits.caFile = all["nobody.pem"];
    CHECK_THROWS_AS(fhir::get(url + "/cds-services", limits), fhir::Error);
    limits.caFile = all["ca.pem"];
    limits.bytes = 100;
    CHECK_THROWS_WITH_AS(fhir::get(url + "/cds-services", limits), "the answer is too long", fhir::Error);
    CHECK_THROWS_AS(fhir::get("http://127.0.0.1:" + std::to_string(running.port()) + "/cds-services", {}), fhir::Error);
    CHECK_THROWS_AS(fhir::get("file:///etc/hostname", {}), fhir::Error);
    running.signal(SIGHUP);
    running.awaitLog("is served from now on");
    limits.bytes = 1'000'000;
    CHECK_NE(fhir::get(url + "/health/ready", limits).find("ready"), std::string::npos);
}
