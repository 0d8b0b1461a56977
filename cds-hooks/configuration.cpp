#include "cds-hooks/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <type_traits>

namespace cds_hooks {

namespace {

constexpr std::string_view noStore = "none";

/// "--max-body" is CD7MATCH_MAX_BODY in the environment.
std::string environmentName(std::string option) {
    option.erase(0, option.find_first_not_of('-'));
    std::transform(option.begin(), option.end(), option.begin(), [](char c) {
        return c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    });
    return "CD7MATCH_" + option;
}

/// An origin as browsers send it: scheme, host and port, nothing behind.
bool isOrigin(const std::string& text) {
    if (text == "*") return true;
    const std::size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
    return scheme > 0 && text.size() > scheme && text.find_first_of("/?# \t\r\n", scheme) == std::string::npos;
}

bool isUrl(const std::string& text) {
    return (text.starts_with("https://") || text.starts_with("http://")) &&
           text.find_first_of(" \t\r\n\"<>") == std::string::npos;
}

/// "postgresql://user:secret@host/name?password=secret" without the secrets.
void hidePasswords(std::string& line) {
    static constexpr std::string_view hidden = "***";
    const auto scheme = line.find("://");
    if (scheme == std::string::npos) return;
    const auto at = line.rfind('@');
    const auto colon = line.find(':', scheme + 3);
    if (at != std::string::npos && colon < at) line.replace(colon + 1, at - colon - 1, hidden);
    static constexpr std::string_view parameter = "password=";
    for (auto begin = line.find(parameter); begin != std::string::npos; begin = line.find(parameter, begin)) {
        begin += parameter.size();
        line.replace(begin, std::min(line.find_first_of("&\"' ", begin), line.size()) - begin, hidden);
    }
}

std::chrono::milliseconds milliseconds(double seconds) {
    return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(seconds * 1000));
}

}  // namespace

void Configuration::addTo(CLI::App& serve) {
    const auto add = [&](const std::string& name, auto& value, const std::string& description) {
        CLI::Option* option = serve.add_option(name, value, description)->envname(environmentName(name));
        // A list without a value would be written down as one.
        if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, std::vector<std::string>>)
            option->capture_default_str()->take_last();
        return option;
    };
    add("--host", host_, "Address to listen on");
    add("--port", port_, "Port to listen on; 0 lets the system choose");
    add("--workers", workers_, "Threads that evaluate");
    add("--queue", queue_, "Requests that may wait for one of them; more are answered 503");
    add("--connections", connections_, "Open connections; more wait until one closes");
    add("--max-body", mostBody_, "Largest request body, in MiB");
    add("--idle-timeout", idle_, "Seconds that a connection may wait for a request");
    add("--read-timeout", read_, "Seconds that a header, and then a body, may take to arrive");
    add("--write-timeout", write_, "Seconds that a client may take to accept an answer");
    add("--drain-timeout", drain_, "Seconds that requests in flight have to finish when the service stops");
    add("--as-of", asOf_, "Evaluate as of this day instead of today, for demonstrations");
    add("--origin", origins_,
        "Origin of browsers that may read the answers (CORS), as https://ehr.example.org; may be repeated")
        ->delimiter(',')
        ->allow_extra_args(false);
    add("--smart-app", card_.smartAppUrl, "Launch URL of a SMART app, linked in cards");
    add("--smart-app-label", card_.smartAppLabel, "What that link says");
    add("--tls-certificate", tls_.certificate, "Certificate with its chain (PEM); TLS is spoken when it is given");
    add("--tls-key", tls_.privateKey, "Its private key (PEM)");
    add("--tls-client-ca", tls_.clientAuthorities, "Authorities (PEM) of which every client needs a certificate");
    add("--trust", trust_, "File (JSON) that says whose calls are believed (docs/trust.md); every caller's without it");
    add("--store", store_,
        "Where cards and their feedback are kept: a file (SQLite), postgresql://… for several instances, or none");
    add("--keep-comments", keepComments_, "Keep what users write in feedback, which may name patients");
    add("--fhir-server", fhirServers_,
        "FHIR server that is asked for what a client does not send, as https://ehr.example.org/fhir; may be repeated. "
        "With --trust those of the issuer are asked instead")
        ->delimiter(',')
        ->allow_extra_args(false);
    add("--fhir-budget", fhirBudget_, "Seconds that asking it may take, for all queries together");
    add("--fhir-ca", fhirAuthorities_, "Authorities (PEM) of its certificate; those of the system without it");
    add("--fhir-private", fhirPrivate_, "Also connect to private and loopback addresses, and speak http (sandboxes)");
    add("--fhir-open", fhirOpen_, "Also ask when the client sends no access token (sandboxes)");
    add("--throttle-days", throttleDays_, "Show a patient's card to a user once in so many days; 0 shows every card");
    add("--throttle-secret", throttleSecret_,
        "File with a secret of at least 32 bytes, under which the throttle knows patients and users");
}

std::vector<mapping::Problem> Configuration::problems() const {
    std::vector<mapping::Problem> problems;
    const auto check = [&](bool holds, const std::string& option, const std::string& message) {
        if (!holds) problems.push_back({option, message});
    };
    const auto checkRange = [&](const std::string& option, double value, double least, double most) {
        check(value >= least && value <= most, option,
              fmt::format("{} does not lie between {} and {}", value, least, most));
    };
    check(!host_.empty(), "--host", "is empty");
    checkRange("--port", port_, 0, 65535);
    checkRange("--workers", static_cast<double>(workers_), 1, 256);
    checkRange("--queue", static_cast<double>(queue_), 1, 100'000);
    checkRange("--connections", static_cast<double>(connections_), 1, 100'000);
    checkRange("--max-body", static_cast<double>(mostBody_), 1, 1024);
    checkRange("--idle-timeout", idle_, 0.1, 3600);
    checkRange("--read-timeout", read_, 0.1, 3600);
    checkRange("--write-timeout", write_, 0.1, 3600);
    checkRange("--drain-timeout", drain_, 0, 3600);
    check(asOf_ == "today" || fhir::Date::parse(asOf_), "--as-of", "'" + asOf_ + "' is neither today nor YYYY-MM-DD");
    for (const std::string& origin : origins_)
        check(isOrigin(origin), "--origin", "'" + origin + "' is not an origin, as https://ehr.example.org");
    check(card_.smartAppUrl.empty() || isUrl(card_.smartAppUrl), "--smart-app",
          "'" + card_.smartAppUrl + "' is not an absolute URL");
    check(!card_.smartAppLabel.empty(), "--smart-app-label", "is empty");
    check(tls_.certificate.empty() == tls_.privateKey.empty(), "--tls-certificate", "goes with --tls-key");
    check(tls_.clientAuthorities.empty() || !tls_.certificate.empty(), "--tls-client-ca",
          "goes with --tls-certificate");
    for (const std::string& server : fhirServers_)
        check(fhir::isBase(server, fhirPrivate_), "--fhir-server",
              "'" + server + "' is not an https address without a slash at its end");
    checkRange("--fhir-budget", fhirBudget_, 0.01, 60);
    const auto checkFile = [&](const std::string& option, const std::string& file) {
        std::ifstream stream(file);
        check(file.empty() || (stream && stream.peek() != std::ifstream::traits_type::eof()), option,
              file + ": cannot be read");
    };
    checkFile("--fhir-ca", fhirAuthorities_);
    if (!tls_.certificate.empty() && !tls_.privateKey.empty()) {
        try {
            checkTls(tls_);
        } catch (const std::exception& error) {
            check(false, "--tls-certificate", error.what());
        }
    }
    if (!trust_.empty()) {
        try {
            readTrustOptions(std::filesystem::path(trust_).filename().string(), readFile(trust_), problems);
        } catch (const std::exception& error) {
            check(false, "--trust", error.what());
        }
    }
    check(!store_.empty(), "--store", "there is no usual place for it here: name a file, or none");
    checkRange("--throttle-days", throttleDays_, 0, 3650);
    if (throttleDays_ > 0) {
        check(store_ != noStore, "--throttle-days", "needs a --store");
        try {
            check(readFile(throttleSecret_).size() >= Throttle::shortestSecret, "--throttle-secret",
                  "holds less than 32 bytes");
        } catch (const std::exception& error) {
            check(false, "--throttle-secret", error.what());
        }
    }
    return problems;
}

ServeOptions Configuration::options() const {
    ServeOptions options;
    options.host = host_;
    options.port = static_cast<std::uint16_t>(port_);
    options.limits.workers = workers_;
    options.limits.queue = queue_;
    options.limits.connections = connections_;
    options.limits.bodyBytes = mostBody_ << 20U;
    options.limits.idle = milliseconds(idle_);
    options.limits.read = milliseconds(read_);
    options.limits.write = milliseconds(write_);
    options.limits.drain = milliseconds(drain_);
    if (asOf_ != "today") options.server.asOf = fhir::Date::parse(asOf_);
    options.server.origins = origins_;
    options.server.card = card_;
    if (!tls_.certificate.empty()) options.tls = tls_;
    options.server.keepComments = keepComments_;
    if (store_ != noStore) options.store = store_;
    options.throttleDays = throttleDays_;
    options.server.fhirServers = fhirServers_;
    options.server.fetchWithoutToken = fhirOpen_;
    options.server.search.deadline = milliseconds(fhirBudget_);
    options.server.search.privateNetwork = fhirPrivate_;
    options.server.search.caFile = fhirAuthorities_;
    options.throttleSecret = throttleSecret_;
    return options;
}

std::string Configuration::text(const CLI::App& serve) const {
    std::string text;
    // What stands before the command belongs to every command.
    for (const char* name : {"knowledge", "site"}) {
        const CLI::Option* const option = serve.get_parent()->get_option_no_throw("--" + std::string(name));
        if (option != nullptr && option->count() > 0)
            text += std::string(name) + '=' + CLI::detail::convert_arg_for_ini(option->as<std::string>()) + '\n';
    }
    std::istringstream lines(serve.config_to_str(true, true));
    text += "[serve]\n";
    for (std::string line; std::getline(lines, line);) {
        // An empty list would be read back as one empty value.
        for (const std::string_view list : {"origin", "fhir-server"}) {
            if (line == std::string(list) + "=\"\"") line = "# " + std::string(list) + "=[]";
        }
        hidePasswords(line);
        text += line + '\n';
    }
    return text;
}

}  // namespace cds_hooks
