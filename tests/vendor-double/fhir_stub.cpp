#include "tests/vendor-double/fhir_stub.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace support {

FhirStub::FhirStub(Handler handler) : handler_(std::move(handler)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket_, 64) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
}

FhirStub::~FhirStub() {
    stop_ = true;
    acceptor_.join();
    for (std::thread& peer : peers_) peer.join();
    ::close(socket_);
}

std::vector<StubRequest> FhirStub::requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
}

StubAnswer FhirStub::json(const std::string& body, int status, const std::string& headers) {
    StubAnswer answer;
    answer.bytes = "HTTP/1.1 " + std::to_string(status) + " Said\r\nContent-Type: application/fhir+json\r\n" + headers +
                   "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    return answer;
}

void FhirStub::accept() {
    while (!stop_) {
        pollfd wait{socket_, POLLIN, 0};
        if (::poll(&wait, 1, 20) <= 0) continue;
        const int peer = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
        if (peer < 0) continue;
        ++connections_;
        peers_.emplace_back([this, peer] { serve(peer); });
    }
}

void FhirStub::serve(int socket) {
    std::string buffer;
    const auto more = [&] {
        while (!stop_) {
            pollfd wait{socket, POLLIN, 0};
            if (::poll(&wait, 1, 20) <= 0) continue;
            char bytes[65536];
            const ssize_t size = ::read(socket, bytes, sizeof bytes);
            if (size <= 0) return false;
            buffer.append(bytes, static_cast<std::size_t>(size));
            return true;
        }
        return false;
    };
    while (!stop_) {
        std::size_t end = 0;
        while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
            if (!more()) return static_cast<void>(::close(socket));
        }
        StubRequest request;
        std::string head = buffer.substr(0, end);
        buffer.erase(0, end + 4);
        request.method = head.substr(0, head.find(' '));
        const std::size_t target = request.method.size() + 1;
        request.target = head.substr(target, head.find(' ', target) - target);
        for (std::size_t line = head.find("\r\n"); line != std::string::npos; line = head.find("\r\n", line + 2)) {
            const std::size_t colon = head.find(':', line);
            std::string name = head.substr(line + 2, colon - line - 2);
            std::transform(name.begin(), name.end(), name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            request.headers[name] = head.substr(colon + 2, head.find("\r\n", colon) - colon - 2);
        }
        const auto length = request.headers.find("content-length");
        const std::size_t bodySize = length == request.headers.end() ? 0 : std::stoul(length->second);
        while (buffer.size() < bodySize) {
            if (!more()) return static_cast<void>(::close(socket));
        }
        request.body = buffer.substr(0, bodySize);
        buffer.erase(0, bodySize);
        {
            const std::scoped_lock lock(mutex_);
            requests_.push_back(request);
        }
        const StubAnswer answer = handler_(request);
        const auto pause = [&](std::chrono::milliseconds time) {
            const auto until = std::chrono::steady_clock::now() + time;
            while (!stop_ && std::chrono::steady_clock::now() < until)
                std::this_thread::sleep_for(std::min(time, std::chrono::milliseconds(10)));
        };
        pause(answer.delay);
        const std::size_t step = answer.drip.count() > 0 ? 1 : answer.bytes.size();
        for (std::size_t at = 0; at < answer.bytes.size() && !stop_;) {
            pause(answer.drip);
            const ssize_t sent =
                ::send(socket, answer.bytes.data() + at, std::min(step, answer.bytes.size() - at), MSG_NOSIGNAL);
            if (sent <= 0) return static_cast<void>(::close(socket));
            at += static_cast<std::size_t>(sent);
        }
        if (answer.reset) {
            const linger now{1, 0};
            ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
            return static_cast<void>(::close(socket));
        }
    }
    ::close(socket);
}

}  // namespace support
