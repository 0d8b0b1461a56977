#include "cds-hooks/listener.h"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using cds_hooks::Answer;
using cds_hooks::Limits;
using cds_hooks::Listener;
using cds_hooks::Request;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

struct Response {
    int status = 0;
    std::string header;
    std::string body;
};

std::string valueOf(const Response& response, const std::string& name) {
    const auto start = response.header.find("\r\n" + name + ": ");
    if (start == std::string::npos) return "";
    const auto value = start + name.size() + 4;
    return response.header.substr(value, response.header.find("\r\n", value) - value);
}

/// A plain socket that says exactly what it is told, and never waits longer than it is told.
class Peer {
public:
    explicit Peer(std::uint16_t port) : Peer() { connected = connect(port); }
    Peer() : fd(::socket(AF_INET, SOCK_STREAM, 0)) {}
    ~Peer() { ::close(fd); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    bool connect(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }

    /// False when the other side has closed.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    void finishSending() { ::shutdown(fd, SHUT_WR); }

    /// The next response, or nothing when it does not come complete in time.
    std::optional<Response> response(Milliseconds time = 3s, bool withoutBody = false) {
        const auto deadline = Clock::now() + time;
        while (received.find("\r\n\r\n") == std::string::npos)
            if (!receive(deadline)) return std::nullopt;
        Response response;
        const auto end = received.find("\r\n\r\n");
        response.header = received.substr(0, end + 2);
        response.status = std::stoi(response.header.substr(9, 3));
        const auto length = valueOf(response, "Content-Length");
        const auto size = withoutBody || length.empty() ? 0 : std::stoul(length);
        while (received.size() < end + 4 + size)
            if (!receive(deadline)) return std::nullopt;
        response.body = received.substr(end + 4, size);
        received.erase(0, end + 4 + size);
        return response;
    }

    /// Whether the other side closes in time and says nothing more before it does.
    bool closes(Milliseconds time = 3s) {
        const auto deadline = Clock::now() + time;
        while (receive(deadline)) {
        }
        return gone && received.empty();
    }

    bool connected = false;
    bool gone = false;
    std::string received;

private:
    bool receive(Clock::time_point deadline) {
        const auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()).count();
        pollfd ready{fd, POLLIN, 0};
        if (gone || left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) return false;
        char bytes[65536];
        const auto count = ::recv(fd, bytes, sizeof bytes, 0);
        gone = count <= 0;
        if (!gone) received.append(bytes, static_cast<std::size_t>(count));
        return !gone;
    }

    int fd;
};

/// A door that handlers wait at until the test opens it.
class Gate {
public:
    ~Gate() { open(); }

    void pass() {
        std::unique_lock lock(mutex);
        ++arrived;
        changed.notify_all();
        changed.wait_for(lock, 5s, [this] { return isOpen; });
    }

    bool waitFor(int count) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, 3s, [&] { return arrived >= count; });
    }

    void open() {
        const std::scoped_lock lock(mutex);
        isOpen = true;
        changed.notify_all();
    }

private:
    std::mutex mutex;
    std::condition_variable changed;
    int arrived = 0;
    bool isOpen = false;
};

Answer echo(const Request& request) {
    Answer answer;
    answer.body = request.method + " " + request.path + " " + request.body;
    answer.contentType = "text/plain";
    return answer;
}

Limits brief() {
    Limits limits;
    limits.bodyBytes = 100'000;
    limits.idle = 2s;
    limits.read = 300ms;
    limits.write = 300ms;
    limits.drain = 1s;
    return limits;
}

std::string get(const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

std::string post(const std::string& body, const std::string& fields = "") {
    return "POST /p HTTP/1.1\r\nHost: h\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
}

std::string chunked(const std::string& chunks) {
    return "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks;
}

void answersNormally(std::uint16_t port) {
    Peer peer(port);
    peer.send(get("/alive"));
    const auto response = peer.response();
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->body == "GET /alive ");
}

void isAnOutcome(const Response& response) {
    CHECK(valueOf(response, "Content-Type") == "application/json");
    CHECK(response.body.starts_with(R"({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":")"));
    CHECK(response.body.ends_with("\"}]}"));
}

}  // namespace

TEST_CASE("a hostile request is refused once, and what follows it on the same connection is never read as a request") {
    const std::string host = "Host: h\r\n";
    const std::string post11 = "POST /p HTTP/1.1\r\nHost: h\r\n";
    const std::string get11 = "GET /p HTTP/1.1\r\n";
    const std::string nul(1, '\0');
    struct Row {
        const char* what;
        std::string bytes;
        int status;
    };
    const std::vector<Row> rows = {
        {"Content-Length is a word", post11 + "Content-Length: abc\r\n\r\nab", 400},
        {"Content-Length ends in letters", post11 + "Content-Length: 2abc\r\n\r\nab", 400},
        {"Content-Length is negative", post11 + "Content-Length: -1\r\n\r\nab", 400},
        {"Content-Length has a plus", post11 + "Content-Length: +2\r\n\r\nab", 400},
        {"Content-Length is hexadecimal", post11 + "Content-Length: 0x2\r\n\r\nab", 400},
        {"Content-Length is empty", post11 + "Content-Length: \r\n\r\nab", 400},
        {"Content-Length overflows", post11 + "Content-Length: 18446744073709551618\r\n\r\nab", 400},
        {"Content-Length is a list", post11 + "Content-Length: 2, 2\r\n\r\nab", 400},
        {"Content-Length ends in a comma", post11 + "Content-Length: 2,\r\n\r\nab", 400},
        {"Content-Length has a space inside", post11 + "Content-Length: 1 2\r\n\r\nab", 400},
        {"Content-Length twice, the same", post11 + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400},
        {"Content-Length twice, different", post11 + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", 400},
        {"Content-Length, then Transfer-Encoding",
         post11 + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding, then Content-Length",
         post11 + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding gzip beside Content-Length",
         post11 + "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab", 400},
        {"Transfer-Encoding gzip", post11 + "Transfer-Encoding: gzip\r\n\r\nab", 400},
        {"Transfer-Encoding gzip, chunked", post11 + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding chunked, identity", post11 + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding twice",
         post11 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding misspelled", post11 + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
        {"Transfer-Encoding in HTTP/1.0", "POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"HTTP/9.9", "GET / HTTP/9.9\r\n" + host + "\r\n", 400},
        {"HTTP/2.0", "GET / HTTP/2.0\r\n" + host + "\r\n", 400},
        {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
        {"HTTP/1.11", "GET / HTTP/1.11\r\n" + host + "\r\n", 400},
        {"no version", "GET /\r\n" + host + "\r\n", 400},
        {"another protocol", "GET / SIP/2.0\r\n" + host + "\r\n", 400},
        {"the greeting of TLS", "\x16\x03\x01\x02" + nul + "\x01" + nul + "\x01\xfc\x03\x03\r\n\r\n", 400},
        {"NUL in the method", "GE" + nul + "T / HTTP/1.1\r\n" + host + "\r\n", 400},
        {"NUL in the target", "GET /a" + nul + "b HTTP/1.1\r\n" + host + "\r\n", 400},
        {"NUL in a header name", get11 + host + "a" + nul + "b: c\r\n\r\n", 400},
        {"NUL in a header value", get11 + host + "a: b" + nul + "c\r\n\r\n", 400},
        {"a header name with a space", get11 + host + "a b: c\r\n\r\n", 400},
        {"a space before the colon", get11 + host + "a : b\r\n\r\n", 400},
        {"a header line without a colon", get11 + host + "abc\r\n\r\n", 400},
        {"a header line without a name", get11 + host + ": c\r\n\r\n", 400},
        {"a carriage return alone in a value", get11 + host + "a: b\rc\r\n\r\n", 400},
        {"line feeds alone", "GET / HTTP/1.1\nHost: h\n\n", 400},
        {"a space before the first header", get11 + " " + host + "\r\n", 400},
        {"a space before the method", " GET / HTTP/1.1\r\n" + host + "\r\n", 400},
        {"two spaces before the target", "GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
        {"a tab before the target", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", 400},
        {"a space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
        {"a fragment in the target", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
        {"a target without a slash", "GET cds-services HTTP/1.1\r\n" + host + "\r\n", 400},
        {"a target of another scheme", "GET file:///etc/passwd HTTP/1.1\r\n" + host + "\r\n", 400},
        {"an asterisk for GET", "GET * HTTP/1.1\r\n" + host + "\r\n", 400},
        {"a tunnel", "CONNECT h:443 HTTP/1.1\r\n" + host + "\r\n", 400},
        {"no Host", get11 + "\r\n", 400},
        {"two Hosts", get11 + host + "Host: i\r\n\r\n", 400},
        {"an expectation nobody knows", post("ab", "Expect: 200-ok\r\n"), 417},
        {"chunk size -1", chunked("-1\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size -2", chunked("-2\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size with a plus", chunked("+2\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size with a prefix", chunked("0x2\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size empty", chunked("\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size a word", chunked("zz\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size with a space inside", chunked("2 2\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size of 17 digits", chunked("10000000000000002\r\nab\r\n0\r\n\r\n"), 400},
        {"chunk size beyond every limit", chunked("ffffffffffffffff\r\nab\r\n0\r\n\r\n"), 413},
        {"chunk size followed by a line feed alone", chunked("2\nab\r\n0\r\n\r\n"), 400},
        {"a chunk longer than its size", chunked("2\r\nabc\r\n0\r\n\r\n"), 400},
        {"a chunk without its line end", chunked("2\r\nab0\r\n\r\n"), 400},
        {"a broken trailer", chunked("0\r\na b: c\r\n\r\n"), 400},
        {"an endless chunk extension", chunked("2;" + std::string(100'000, 'x')), 400},
        {"a header of 100 KB", get11 + host + "a: " + std::string(100'000, 'x') + "\r\n\r\n", 431},
        {"a target of 100 KB", "GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", 431},
        {"10,000 headers",
         get11 + host +
             [] {
                 std::string fields;
                 for (int i = 0; i < 10'000; ++i) fields += "a: b\r\n";
                 return fields;
             }() +
             "\r\n",
         431},
        {"a body announced beyond the limit", post11 + "Content-Length: 100001\r\n\r\n", 413},
        {"a body announced beyond memory", post11 + "Content-Length: 9223372036854775807\r\n\r\n", 413},
        {"a body beyond the limit", post(std::string(200'000, 'x')), 413},
        {"chunks beyond the limit", chunked("186a1\r\n" + std::string(100'001, 'x') + "\r\n0\r\n\r\n"), 413},
    };

    Listener listener("127.0.0.1", 0, brief(), echo);
    for (const auto& row : rows) {
        CAPTURE(row.what);
        Peer peer(listener.port());
        peer.send(row.bytes);
        peer.send(get("/smuggled"));
        const auto response = peer.response();
        REQUIRE(response);
        CHECK(response->status == row.status);
        isAnOutcome(*response);
        peer.finishSending();
        CHECK(peer.closes());
    }
    answersNormally(listener.port());
}

TEST_CASE("a request that ends too early is refused, and a connection that says nothing is closed") {
    struct Row {
        const char* what;
        std::string bytes;
        int status;
    };
    const std::vector<Row> rows = {
        {"nothing", "", 0},
        {"half a request line", "GET / HT", 400},
        {"half a header", "GET / HTTP/1.1\r\nHost: h\r\nAc", 400},
        {"half a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", 400},
        {"half a chunk size", chunked("5"), 400},
        {"half a chunk", chunked("5\r\nab"), 400},
        {"no last chunk", chunked("2\r\nab\r\n"), 400},
    };
    Listener listener("127.0.0.1", 0, brief(), echo);
    for (const auto& row : rows) {
        CAPTURE(row.what);
        Peer peer(listener.port());
        peer.send(row.bytes);
        peer.finishSending();
        if (row.status != 0) {
            const auto response = peer.response();
            REQUIRE(response);
            CHECK(response->status == row.status);
        }
        CHECK(peer.closes());
    }
    answersNormally(listener.port());
}

TEST_CASE("an unusual but lawful request reaches the handler as it was sent") {
    struct Row {
        const char* what;
        std::string bytes;
        std::string body;
    };
    const std::vector<Row> rows = {
        {"a query", get("/a?b=c"), "GET /a "},
        {"an escape", get("/a%2Fb/../c%20d"), "GET /a%2Fb/../c%20d "},
        {"two slashes", get("//a//b"), "GET //a//b "},
        {"a whole URL", get("http://elsewhere/a?b"), "GET /a "},
        {"an asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * "},
        {"OPTIONS", "OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS /a "},
        {"TRACE", "TRACE /a HTTP/1.1\r\nHost: h\r\n\r\n", "TRACE /a "},
        {"a method nobody knows", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /pot "},
        {"HTTP/1.0 without a Host", "GET /a HTTP/1.0\r\n\r\n", "GET /a "},
        {"an empty body", post(""), "POST /p "},
        {"a body with NUL", post(std::string("a\0b", 3)), std::string("POST /p a\0b", 11)},
        {"a body at the limit", post(std::string(100'000, 'x')), "POST /p " + std::string(100'000, 'x')},
        {"no chunks", chunked("0\r\n\r\n"), "POST /p "},
        {"chunks", chunked("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"), "POST /p abcde"},
        {"chunks in capitals and with zeros", chunked("0A\r\n0123456789\r\n000\r\n\r\n"), "POST /p 0123456789"},
        {"chunk extensions and a trailer", chunked("2;a=b;c=\"d\"\r\nab\r\n0;e\r\nf: g\r\n\r\n"), "POST /p ab"},
        {"a chunk at the limit", chunked("186a0\r\n" + std::string(100'000, 'x') + "\r\n0\r\n\r\n"),
         "POST /p " + std::string(100'000, 'x')},
    };
    Listener listener("127.0.0.1", 0, brief(), echo);
    for (const auto& row : rows) {
        CAPTURE(row.what);
        Peer peer(listener.port());
        peer.send(row.bytes);
        const auto response = peer.response();
        REQUIRE(response);
        CHECK(response->status == 200);
        CHECK(response->body == row.body);
    }
}

TEST_CASE("content type and origin reach the handler, and status, type and headers of its answer reach the peer") {
    Listener listener("127.0.0.1", 0, brief(), [](const Request& request) {
        return Answer{
            201, request.contentType + "|" + request.origin, "text/x", {{"Access-Control-Allow-Origin", "*"}}};
    });
    Peer peer(listener.port());
    peer.send(post("{}", "Content-Type: application/fhir+json\r\nORIGIN: https://ehr.example\r\n"));
    const auto response = peer.response();
    REQUIRE(response);
    CHECK(response->status == 201);
    CHECK(response->body == "application/fhir+json|https://ehr.example");
    CHECK(valueOf(*response, "Content-Type") == "text/x");
    CHECK(valueOf(*response, "Access-Control-Allow-Origin") == "*");
    CHECK(valueOf(*response, "Date").size() == 29);
}

TEST_CASE("requests that arrive a byte at a time are understood, whole or chunked") {
    auto limits = brief();
    limits.read = 3s;
    Listener listener("127.0.0.1", 0, limits, echo);
    for (const auto& [bytes, body] : {std::pair{post("ab"), "POST /p ab"},
                                      {chunked("0\r\n\r\n"), "POST /p "},
                                      {chunked("2\r\nab\r\n0\r\n\r\n"), "POST /p ab"},
                                      {chunked("1\r\na\r\n1\r\nb\r\n0\r\nf: g\r\n\r\n"), "POST /p ab"}}) {
        Peer peer(listener.port());
        for (const char byte : bytes) {
            peer.send({&byte, 1});
            std::this_thread::sleep_for(200us);
        }
        const auto response = peer.response();
        REQUIRE(response);
        CHECK(response->status == 200);
        CHECK(response->body == body);
    }
}

TEST_CASE("pipelined requests are answered in order") {
    auto limits = brief();
    limits.workers = 4;
    Listener listener("127.0.0.1", 0, limits, echo);
    Peer peer(listener.port());
    std::string all;
    for (int i = 0; i < 50; ++i) all += i % 2 ? post(std::to_string(i)) : get("/" + std::to_string(i));
    peer.send(all);
    for (int i = 0; i < 50; ++i) {
        const auto response = peer.response();
        REQUIRE(response);
        CHECK(response->body == (i % 2 ? "POST /p " + std::to_string(i) : "GET /" + std::to_string(i) + " "));
    }
}

TEST_CASE("a connection is kept for the next request unless the peer or its version says otherwise") {
    Listener listener("127.0.0.1", 0, brief(), echo);
    Peer peer(listener.port());
    for (int i = 0; i < 3; ++i) {
        peer.send(post("x"));
        REQUIRE(peer.response());
    }
    peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    const auto last = peer.response();
    REQUIRE(last);
    CHECK(valueOf(*last, "Connection") == "close");
    CHECK(peer.closes());

    Peer old(listener.port());
    old.send("GET / HTTP/1.0\r\n\r\n");
    REQUIRE(old.response());
    CHECK(old.closes());

    Peer kept(listener.port());
    kept.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const auto response = kept.response();
    REQUIRE(response);
    CHECK(valueOf(*response, "Connection") == "keep-alive");
    kept.send("GET / HTTP/1.0\r\n\r\n");
    CHECK(kept.response());
}

TEST_CASE("answers that have no body are followed by none") {
    Listener listener("127.0.0.1", 0, brief(), [](const Request& request) {
        return Answer{request.method == "HEAD" ? 405 : 204, "not sent", "text/plain", {}};
    });
    Peer peer(listener.port());
    const std::string askForHead = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
    peer.send(get("/") + askForHead + "malformed\r\n\r\n");
    const auto empty = peer.response();
    REQUIRE(empty);
    CHECK(empty->status == 204);
    CHECK(valueOf(*empty, "Content-Length").empty());
    const auto head = peer.response(3s, true);
    REQUIRE(head);
    CHECK(head->status == 405);
    CHECK(valueOf(*head, "Content-Length") == "8");
    const auto refused = peer.response();
    REQUIRE(refused);
    isAnOutcome(*refused);
}

TEST_CASE("a peer that asks before it sends its body is told to go on, or that the body is too large") {
    Listener listener("127.0.0.1", 0, brief(), echo);
    for (const auto& [framing, body] : {std::pair{"Content-Length: 2\r\n\r\n", "ab"},
                                        {"Transfer-Encoding: chunked\r\n\r\n", "2\r\nab\r\n0\r\n\r\n"}}) {
        Peer peer(listener.port());
        peer.send(std::string("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n") + framing);
        const auto goOn = peer.response();
        REQUIRE(goOn);
        CHECK(goOn->status == 100);
        peer.send(body);
        const auto response = peer.response();
        REQUIRE(response);
        CHECK(response->body == "POST /p ab");
    }
    Peer peer(listener.port());
    peer.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n");
    const auto refused = peer.response();
    REQUIRE(refused);
    CHECK(refused->status == 413);
}

TEST_CASE("a header or a body that only drips is answered 408 at its deadline") {
    Listener listener("127.0.0.1", 0, brief(), echo);
    for (const auto& start :
         {std::string("GET / HTTP/1.1\r\nHost: h\r\na: "),
          std::string("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n"), chunked("fff\r\n")}) {
        Peer peer(listener.port());
        const auto begun = Clock::now();
        peer.send(start);
        std::optional<Response> response;
        for (int i = 0; i < 100 && !response; ++i) {
            peer.send("x");
            response = peer.response(30ms);
        }
        REQUIRE(response);
        CHECK(response->status == 408);
        isAnOutcome(*response);
        CHECK(Clock::now() - begun > 250ms);
        CHECK(Clock::now() - begun < 3s);
    }
}

TEST_CASE("hundreds of silent connections are closed at their deadline while others are served") {
    auto limits = brief();
    limits.idle = 400ms;
    Listener listener("127.0.0.1", 0, limits, echo);
    std::vector<std::unique_ptr<Peer>> peers;
    for (int i = 0; i < 300; ++i) peers.push_back(std::make_unique<Peer>(listener.port()));
    answersNormally(listener.port());
    const auto deadline = Clock::now() + 3s;
    for (const auto& peer : peers)
        CHECK(peer->closes(std::chrono::duration_cast<Milliseconds>(deadline - Clock::now())));
    answersNormally(listener.port());
}

TEST_CASE("a peer that does not read its answer is cut off") {
    std::atomic<int> answered = 0;
    Listener listener("127.0.0.1", 0, brief(), [&answered](const Request&) {
        ++answered;
        return Answer{200, std::string(32 * 1024 * 1024, 'x'), "text/plain", {}};
    });
    Peer peer(listener.port());
    peer.send(get("/"));
    const auto deadline = Clock::now() + 3s;
    while (answered == 0 && Clock::now() < deadline) std::this_thread::sleep_for(5ms);
    std::this_thread::sleep_for(800ms);
    CHECK_FALSE(peer.response());
    CHECK(peer.gone);
}

TEST_CASE("at the cap a connection waits until another one closes") {
    auto limits = brief();
    limits.connections = 2;
    Listener listener("127.0.0.1", 0, limits, echo);
    auto first = std::make_unique<Peer>(listener.port());
    Peer second(listener.port());
    for (auto* peer : {first.get(), &second}) {
        peer->send(get("/"));
        REQUIRE(peer->response());
    }
    Peer third(listener.port());
    third.send(get("/third"));
    CHECK_FALSE(third.response(150ms));
    first.reset();
    const auto response = third.response();
    REQUIRE(response);
    CHECK(response->body == "GET /third ");
}

TEST_CASE("without file descriptors the listener waits, without spinning, until there are some again") {
    Listener listener("127.0.0.1", 0, brief(), echo);
    Peer peer;
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(STDERR_FILENO);
    ::close(next);
    auto none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);

    peer.connect(listener.port());
    peer.send(get("/patient"));
    const auto used = std::clock();
    const auto early = peer.response(300ms);
    const auto spent = static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC;
    ::setrlimit(RLIMIT_NOFILE, &before);

    CHECK_FALSE(early);
    CHECK(spent < 0.15);
    const auto response = peer.response();
    REQUIRE(response);
    CHECK(response->body == "GET /patient ");
}

TEST_CASE("when the queue is full a request is answered 503 at once, and its connection is kept") {
    auto limits = brief();
    limits.workers = 1;
    limits.queue = 1;
    Gate gate;
    Listener listener("127.0.0.1", 0, limits, [&gate](const Request& request) {
        gate.pass();
        return echo(request);
    });
    Peer handled(listener.port());
    handled.send(post("handled"));
    REQUIRE(gate.waitFor(1));
    Peer queued(listener.port());
    queued.send(post("queued"));
    CHECK_FALSE(queued.response(100ms));

    Peer refused(listener.port());
    refused.send(post("refused"));
    const auto busy = refused.response(1s);
    REQUIRE(busy);
    CHECK(busy->status == 503);
    CHECK(valueOf(*busy, "Retry-After") == "1");
    isAnOutcome(*busy);

    Peer malformed(listener.port());
    malformed.send("GET / HTTP/9.9\r\n\r\n");
    CHECK(malformed.response(1s));

    gate.open();
    for (auto* peer : {&handled, &queued}) {
        const auto response = peer->response();
        REQUIRE(response);
        CHECK(response->status == 200);
    }
    refused.send(post("again"));
    const auto again = refused.response();
    REQUIRE(again);
    CHECK(again->body == "POST /p again");
}

TEST_CASE("handlers run side by side, as many as there are workers") {
    Gate gate;
    Listener listener("127.0.0.1", 0, brief(), [&gate](const Request& request) {
        gate.pass();
        return echo(request);
    });
    Peer one(listener.port());
    Peer two(listener.port());
    one.send(get("/1"));
    two.send(get("/2"));
    CHECK(gate.waitFor(2));
    gate.open();
    CHECK(one.response());
    CHECK(two.response());
}

TEST_CASE("all bodies together stay within their limit") {
    auto limits = brief();
    limits.heldBytes = 150'000;
    Gate gate;
    Listener listener("127.0.0.1", 0, limits, [&gate](const Request& request) {
        gate.pass();
        return echo(request);
    });
    const std::string body(100'000, 'x');
    Peer first(listener.port());
    first.send(post(body));
    REQUIRE(gate.waitFor(1));
    Peer second(listener.port());
    second.send(post(body));
    const auto refused = second.response();
    REQUIRE(refused);
    CHECK(refused->status == 503);
    gate.open();
    CHECK(first.response());
    Peer third(listener.port());
    third.send(post(body));
    const auto response = third.response();
    REQUIRE(response);
    CHECK(response->status == 200);
}

TEST_CASE("a handler that throws is answered 500 without its words, and the connection and the process live on") {
    Listener listener("127.0.0.1", 0, brief(), [](const Request& request) -> Answer {
        if (request.path == "/throw") throw std::runtime_error("secret of Mrs Example");
        if (request.path == "/odd") throw 42;
        if (request.path == "/status") return Answer{99999, "", "text/plain", {}};
        if (request.path == "/split") return Answer{200, "", "text/plain", {{"X-Split", "a\r\nSet-Cookie: b"}}};
        return echo(request);
    });
    Peer peer(listener.port());
    for (const auto* path : {"/throw", "/odd", "/status", "/split"}) {
        CAPTURE(path);
        peer.send(get(path));
        const auto response = peer.response();
        REQUIRE(response);
        CHECK(response->status == 500);
        isAnOutcome(*response);
        CHECK(response->body.find("secret") == std::string::npos);
        CHECK(response->header.find("Set-Cookie") == std::string::npos);
    }
    peer.send(get("/fine"));
    const auto response = peer.response();
    REQUIRE(response);
    CHECK(response->status == 200);
}

TEST_CASE("a closing listener finishes what it has begun, refuses what is new, and lets idle connections go") {
    auto limits = brief();
    limits.read = 5s;
    limits.drain = 5s;
    Gate gate;
    Listener listener("127.0.0.1", 0, limits, [&gate](const Request& request) {
        gate.pass();
        return echo(request);
    });
    const auto port = listener.port();
    Peer idle(port);
    Peer arriving(port);
    arriving.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\narri");
    Peer slow(port);
    slow.send(get("/slow"));
    REQUIRE(gate.waitFor(1));

    std::atomic<bool> closed = false;
    std::thread closing([&] {
        listener.close();
        closed = true;
    });
    CHECK(idle.closes());
    CHECK_FALSE(Peer(port).connected);
    CHECK_FALSE(closed);
    arriving.send("ving");
    gate.open();
    for (const auto& [peer, body] : {std::pair{&slow, "GET /slow "}, {&arriving, "POST /p arriving"}}) {
        const auto response = peer->response();
        CHECK(response.has_value());
        if (response) {
            CHECK(response->body == body);
            CHECK(valueOf(*response, "Connection") == "close");
        }
        CHECK(peer->closes());
    }
    closing.join();
    listener.close();
}

TEST_CASE("a closing listener does not wait for a stuck peer beyond its drain time") {
    auto limits = brief();
    limits.read = 30s;
    limits.drain = 200ms;
    Listener listener("127.0.0.1", 0, limits, echo);
    Peer stuck(listener.port());
    stuck.send("GET / HT");
    answersNormally(listener.port());
    const auto begun = Clock::now();
    listener.close();
    CHECK(Clock::now() - begun < 2s);
    CHECK(stuck.closes());
}

TEST_CASE("closing under load loses no answer that was begun") {
    Listener listener("127.0.0.1", 0, brief(), echo);
    std::atomic<int> torn = 0;
    std::atomic<int> answered = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 8; ++i)
        clients.emplace_back([&, port = listener.port()] {
            Peer peer(port);
            for (int n = 0; n < 100'000 && peer.send(post("x")); ++n) {
                const auto response = peer.response();
                if (response)
                    ++answered;
                else if (!peer.received.empty())
                    ++torn;
                if (!response) return;
            }
        });
    const auto deadline = Clock::now() + 3s;
    while (answered < 200 && Clock::now() < deadline) std::this_thread::sleep_for(5ms);
    listener.close();
    for (auto& client : clients) client.join();
    CHECK(answered >= 200);
    CHECK(torn == 0);
}

TEST_CASE("a port in use, or a host that is none, is named in the error") {
    Listener listener("127.0.0.1", 0, brief(), echo);
    const auto place = "127.0.0.1:" + std::to_string(listener.port());
    std::string message;
    try {
        Listener second("127.0.0.1", listener.port(), brief(), echo);
    } catch (const std::runtime_error& error) {
        message = error.what();
    }
    CHECK(message.find(place) != std::string::npos);
    CHECK_THROWS_AS(Listener("no host at all", 1, brief(), echo), std::runtime_error);
    CHECK_THROWS_AS(Listener("192.0.2.1", 1, brief(), echo), std::runtime_error);
    answersNormally(listener.port());
}

TEST_CASE("two listeners live side by side, each with its own limits, and a port can be used again after closing") {
    auto strict = brief();
    strict.bodyBytes = 1;
    Listener small("127.0.0.1", 0, strict, echo);
    auto large = std::make_unique<Listener>("0.0.0.0", std::uint16_t{0}, brief(), echo);
    const auto port = large->port();
    for (const auto& [where, status] : {std::pair{small.port(), 413}, {port, 200}}) {
        Peer peer(where);
        peer.send(post("ab"));
        const auto response = peer.response();
        REQUIRE(response);
        CHECK(response->status == status);
    }
    large.reset();
    Listener again("127.0.0.1", port, brief(), echo);
    answersNormally(again.port());
    answersNormally(small.port());
}

TEST_CASE("an IPv6 address is listened on where the system has one") {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    auto* const where = reinterpret_cast<sockaddr*>(&address);
    const int probe = ::socket(AF_INET6, SOCK_STREAM, 0);
    const bool available = probe >= 0 && ::bind(probe, where, sizeof address) == 0;
    ::close(probe);
    if (!available) return;

    Listener listener("::1", 0, brief(), echo);
    address.sin6_port = htons(listener.port());
    const int peer = ::socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(::connect(peer, where, sizeof address) == 0);
    ::close(peer);
}
