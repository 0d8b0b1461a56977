#include "cds-hooks/configuration.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support.h"

namespace {

/// `serve` with these words, after this file; what came of it.
struct Parsed {
    CLI::App app;
    CLI::App* serve = app.add_subcommand("serve", "");
    cds_hooks::Configuration configuration;
    std::vector<std::string> problems;

    explicit Parsed(std::vector<std::string> words, const std::string& file = {}) {
        configuration.addTo(*serve);
        app.allow_config_extras(CLI::config_extras_mode::error);
        if (!file.empty()) {
            std::istringstream stream(file);
            app.parse_from_stream(stream);
        }
        if (!words.empty()) {
            words.insert(words.begin(), "serve");
            std::reverse(words.begin(), words.end());
            app.parse(words);
        }
        for (const mapping::Problem& problem : configuration.problems()) problems.push_back(problem.text());
    }
};

}  // namespace

TEST_CASE("an option counts from the command line, from the environment, or from the file") {
    const std::string file =
        "[serve]\nport=9001\nmax-body=3\norigin=[\"https://a.example.org\",\"https://b.example.org\"]\n";
    const Parsed fromFile({}, file);
    CHECK(fromFile.problems.empty());
    CHECK_EQ(fromFile.configuration.options().port, 9001);
    CHECK_EQ(fromFile.configuration.options().limits.bodyBytes, 3U << 20U);
    CHECK_EQ(fromFile.configuration.options().server.origins,
             std::vector<std::string>{"https://a.example.org", "https://b.example.org"});
    REQUIRE_EQ(setenv("CD7MATCH_MAX_BODY", "7", 1), 0);
    const Parsed fromEnvironment({"--port", "9002"});
    const Parsed overridden({"--max-body", "8"});
    unsetenv("CD7MATCH_MAX_BODY");
    CHECK_EQ(fromEnvironment.configuration.options().limits.bodyBytes, 7U << 20U);
    CHECK_EQ(fromEnvironment.configuration.options().port, 9002);
    CHECK_EQ(overridden.configuration.options().limits.bodyBytes, 8U << 20U);
    CHECK_THROWS_AS(Parsed({}, "[serve]\nprot=1\n"), CLI::ConfigError);
    CHECK_THROWS_AS(Parsed({}, "[serve]\nport=\"many\"\n"), CLI::ConversionError);
}

TEST_CASE("everything that is wrong with the options is said at once") {
    const Parsed parsed({"--port", "70000", "--workers", "0", "--max-body", "5000", "--read-timeout", "-1", "--as-of",
                         "never", "--origin", "https://x/y,ehr,*", "--smart-app", "app", "--host", ""});
    CHECK_EQ(parsed.problems,
             std::vector<std::string>{"--host: is empty", "--port: 70000 does not lie between 0 and 65535",
                                      "--workers: 0 does not lie between 1 and 256",
                                      "--max-body: 5000 does not lie between 1 and 1024",
                                      "--read-timeout: -1 does not lie between 0.1 and 3600",
                                      "--as-of: 'never' is neither today nor YYYY-MM-DD",
                                      "--origin: 'https://x/y' is not an origin, as https://ehr.example.org",
                                      "--origin: 'ehr' is not an origin, as https://ehr.example.org",
                                      "--smart-app: 'app' is not an absolute URL"});
    CHECK(Parsed({"--as-of", "2025-11-13", "--read-timeout", "0.5"}).problems.empty());
}

TEST_CASE("files that cannot be used are said with everything else") {
    const Parsed parsed({"--workers", "0", "--fhir-ca", "/nowhere/ca.pem", "--trust", "/nowhere/trust.json",
                         "--tls-certificate", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"});
    REQUIRE_EQ(parsed.problems.size(), 4);
    CHECK(parsed.problems[0].starts_with("--workers: 0"));
    CHECK_EQ(parsed.problems[1], "--fhir-ca: /nowhere/ca.pem: cannot be read");
    CHECK(parsed.problems[2].starts_with("--tls-certificate: /nowhere/cert.pem"));
    CHECK(parsed.problems[3].starts_with("--trust: "));
}

TEST_CASE("no secret is printed, wherever a database has it") {
    for (const char* url : {"postgresql://cd7:hunter2@db/cd7", "postgresql://db/cd7?user=cd7&password=hunter2",
                            "postgresql://db/cd7?password=hunter2&sslpassword=hunter2&user=cd7"}) {
        CAPTURE(url);
        const Parsed parsed({"--store", url});
        const std::string text = parsed.configuration.text(*parsed.serve);
        CHECK_EQ(text.find("hunter2"), std::string::npos);
        CHECK_NE(text.find("***"), std::string::npos);
        CHECK_NE(text.find("cd7"), std::string::npos);
    }
}

TEST_CASE("what is printed can be read back, and gives the same") {
    const Parsed first({"--port", "9003", "--origin", "https://a.example.org", "--idle-timeout", "2.5", "--smart-app",
                        "https://app.example.org/launch", "--smart-app-label", "Open it"});
    const std::string text = first.configuration.text(*first.serve);
    const Parsed second({}, text);
    CHECK(second.problems.empty());
    const cds_hooks::ServeOptions options = second.configuration.options();
    CHECK_EQ(options.port, 9003);
    CHECK_EQ(options.limits.idle, std::chrono::milliseconds(2500));
    CHECK_EQ(options.server.origins, std::vector<std::string>{"https://a.example.org"});
    CHECK_EQ(options.server.card.smartAppUrl, "https://app.example.org/launch");
    CHECK_EQ(options.server.card.smartAppLabel, "Open it");
    CHECK_FALSE(options.server.asOf);
    const Parsed plain({}, Parsed({"--port", "1"}).configuration.text(*Parsed({"--port", "1"}).serve));
    CHECK(plain.problems.empty());
    CHECK(plain.configuration.options().server.origins.empty());
}
