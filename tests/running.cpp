#include "tests/running.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

extern char** environ;

namespace support {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr std::chrono::seconds longestWait{10};

std::string contentOf(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace

RunningService::RunningService(const std::vector<std::string>& arguments) {
    char name[] = "/tmp/cd7match-test-XXXXXX";
    const int log = mkstemp(name);
    REQUIRE(log >= 0);
    logFile_ = name;
    std::vector<std::string> words{CD7MATCH_PROGRAM, "serve",      "--port",  "0",
                                   "--as-of",        "2025-11-13", "--store", "none"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
    const int failed = posix_spawn(&process_, CD7MATCH_PROGRAM, &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(log);
    REQUIRE_EQ(failed, 0);

    const std::string before = "listens on ";
    awaitLog(before);
    const std::string text = this->log();
    const auto at = text.find("://", text.find(before)) + 3;
    port_ = static_cast<unsigned short>(std::stoi(text.substr(text.find(':', at) + 1)));
}

RunningService::~RunningService() {
    kill();
    unlink(logFile_.c_str());
}

HttpAnswer RunningService::request(std::string_view method, std::string_view path, const std::string& body,
                                   const Headers& headers) const {
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), port_});
    http::request<http::string_body> request;
    request.method_string({method.data(), method.size()});
    request.target({path.data(), path.size()});
    request.version(11);
    request.set(http::field::host, "127.0.0.1");
    request.set(http::field::connection, "close");
    for (const auto& [name, value] : headers) request.insert(name, value);
    request.body() = body;
    if (!body.empty()) request.prepare_payload();
    http::write(socket, request);
    boost::beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(64 * 1024 * 1024);
    http::read(socket, buffer, parser);
    HttpAnswer answer;
    answer.status = static_cast<int>(parser.get().result_int());
    answer.body = parser.get().body();
    for (const auto& field : parser.get()) {
        std::string name(field.name_string());
        std::transform(name.begin(), name.end(), name.begin(),
                       [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
        answer.headers[name] += (answer.headers[name].empty() ? "" : ", ") + std::string(field.value());
    }
    return answer;
}

HttpAnswer RunningService::post(std::string_view path, const std::string& body, Headers headers) const {
    headers.emplace_back("Content-Type", "application/json");
    return request("POST", path, body, headers);
}

void RunningService::signal(int number) const {
    REQUIRE_EQ(::kill(process_, number), 0);
}

void RunningService::kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = -1;
}

int RunningService::stop() {
    signal(SIGTERM);
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string RunningService::log() const {
    return contentOf(logFile_);
}

void RunningService::awaitLog(std::string_view text) const {
    const auto until = std::chrono::steady_clock::now() + longestWait;
    while (log().find(text) == std::string::npos) {
        if (std::chrono::steady_clock::now() > until) FAIL("not logged in time: " << text << "\n" << log());
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

}  // namespace support
