#pragma once

#include <string>

namespace sandbox {

/// A real FHIR server in its own process, from tests/sandbox/NAME/run: on 127.0.0.1, on a free port, gone with this.
class Server {
public:
    explicit Server(const std::string& name);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    const std::string& base() const { return base_; }

private:
    int process_ = -1;
    std::string base_;
};

/// Loads the example patients, and checks that screening them, fetching for hooks and writing back do on this server
/// what they should: the results of a patient are those of his stored Bundle.
void testServer(const std::string& name);

}  // namespace sandbox
