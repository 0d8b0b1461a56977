#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace support {

/// A request as a stub saw it; header names are in lower case.
struct StubRequest {
    std::string method;
    std::string target;
    std::map<std::string, std::string> headers;
    std::string body;
};

/// The bytes that a stub sends, and how.
struct StubAnswer {
    std::string bytes;
    std::chrono::milliseconds delay{0};  ///< before the first byte
    std::chrono::milliseconds drip{0};   ///< between one byte and the next; none when 0
    bool reset = false;                  ///< the connection is reset behind the bytes
};

/// A FHIR server on 127.0.0.1 that does as a test says, from construction to destruction.
class FhirStub {
public:
    using Handler = std::function<StubAnswer(const StubRequest&)>;

    explicit FhirStub(Handler handler);
    ~FhirStub();
    FhirStub(const FhirStub&) = delete;
    FhirStub& operator=(const FhirStub&) = delete;

    unsigned short port() const { return port_; }
    std::string base() const { return "http://127.0.0.1:" + std::to_string(port_) + "/fhir"; }
    std::vector<StubRequest> requests() const;
    std::size_t connections() const { return connections_; }

    static StubAnswer json(const std::string& body, int status = 200, const std::string& headers = {});

private:
    void accept();
    void serve(int socket);

    Handler handler_;
    int socket_ = -1;
    unsigned short port_ = 0;
    std::atomic<bool> stop_ = false;
    std::atomic<std::size_t> connections_ = 0;
    mutable std::mutex mutex_;
    std::vector<StubRequest> requests_;
    std::vector<std::thread> peers_;
    std::thread acceptor_;
};

}  // namespace support
