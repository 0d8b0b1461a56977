#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// What came back over HTTP. Header names are in lower case.
struct HttpAnswer {
    int status = 0;
    std::map<std::string, std::string> headers;
    std::string body;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The program itself, serving on 127.0.0.1 on a free port from construction to destruction, as a user would start it.
/// Fails the test when it does not listen within ten seconds.
class RunningService {
public:
    explicit RunningService(const std::vector<std::string>& arguments = {});
    ~RunningService();
    RunningService(const RunningService&) = delete;
    RunningService& operator=(const RunningService&) = delete;

    HttpAnswer request(std::string_view method, std::string_view path, const std::string& body = {},
                       const Headers& headers = {}) const;
    HttpAnswer get(std::string_view path, const Headers& headers = {}) const {
        return request("GET", path, {}, headers);
    }
    /// Posts JSON.
    HttpAnswer post(std::string_view path, const std::string& body, Headers headers = {}) const;

    void signal(int number) const;
    /// Ends it at once, as a crash would.
    void kill();
    /// Ends it by SIGTERM and gives its exit status.
    int stop();
    /// Everything that it has logged so far.
    std::string log() const;
    /// Waits until it has logged this; fails the test after ten seconds.
    void awaitLog(std::string_view text) const;
    unsigned short port() const { return port_; }

private:
    pid_t process_ = -1;
    unsigned short port_ = 0;
    std::string logFile_;
};

}  // namespace support
