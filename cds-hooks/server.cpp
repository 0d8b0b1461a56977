#include "cds-hooks/server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/core/demangle.hpp>
#include <chrono>
#include <typeinfo>
#include <utility>
#include <variant>

#include "cds-hooks/feedback.h"
#include "fhir/error.h"
#include "fhir/json.h"

namespace cds_hooks {

namespace {

constexpr std::string_view livePath = "/health/live";
constexpr std::string_view readyPath = "/health/ready";
constexpr std::string_view metricsPath = "/metrics";

Answer health(int status, std::string_view word, const Served& served) {
    fhir::json::Writer writer;
    writer.beginObject()
        .member("status", word)
        .member("knowledge", served.knowledge->digest)
        .name("trials")
        .number(served.knowledge->trials.size())
        .endObject();
    return {status, std::string(writer.text()), "application/json", {{"Cache-Control", "no-store"}}};
}

/// The methods of a path that browsers may ask for; empty where there is nothing.
std::string_view methodsOf(std::string_view path) {
    static constexpr std::string_view services = "/cds-services/";
    if (path == "/cds-services" || path.starts_with("/fhir/Questionnaire/")) return "GET";
    if (!path.starts_with(services)) return {};
    path.remove_prefix(services.size());
    return findService(path.substr(0, path.find('/'))) != nullptr ? "POST" : "";
}

/// "/cds-services/{id}/feedback" of one of our services.
bool isFeedback(std::string_view path) {
    static constexpr std::string_view services = "/cds-services/";
    static constexpr std::string_view feedback = "/feedback";
    if (!path.starts_with(services) || !path.ends_with(feedback)) return false;
    path.remove_prefix(services.size());
    path.remove_suffix(feedback.size());
    return findService(path) != nullptr;
}

}  // namespace

Server::Server(Served served, ServerOptions options, std::function<std::int64_t()> now)
    : options_(std::move(options)), now_(std::move(now)) {
    serve(std::move(served));
}

void Server::serve(Served served) {
    options_.metrics->serving(*served.knowledge);
    const std::scoped_lock lock(mutex_);
    if (served.trust != nullptr && served_.trust != nullptr) served.trust->adoptKeys(*served_.trust);
    served_ = std::move(served);
}

void Server::drain() {
    const std::scoped_lock lock(mutex_);
    draining_ = true;
}

Served Server::served() const {
    const std::scoped_lock lock(mutex_);
    return served_;
}

Answer Server::answer(const Request& request) {
    const auto started = std::chrono::steady_clock::now();
    const Served current = served();  // the trace refers to it
    Trace trace;
    Answer answer;
    try {
        answer = answerOf(current, request, trace);
    } catch (const std::exception& failure) {
        // What it says may quote a chart.
        spdlog::error("a request could not be answered: {}", boost::core::demangle(typeid(failure).name()));
        answer = outcome(500, "exception", "the request could not be processed");
    }
    for (auto& header : originHeaders(request.origin)) answer.headers.push_back(std::move(header));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    const bool isWatching = trace.service == "operations";
    if (!isWatching) options_.metrics->request(trace, answer.status, seconds);
    // Neither path nor body goes into the log: both are the caller's to fill.
    spdlog::log(isWatching ? spdlog::level::debug : spdlog::level::info,
                "request service={} status={} ms={:.2f} hookInstance={} trials={} shown={}",
                trace.service.empty() ? "other" : trace.service, answer.status, seconds * 1000,
                trace.hookInstance.empty() ? "-" : trace.hookInstance, trace.trials.size(), trace.shown.size());
    return answer;
}

Answer Server::answerOf(const Served& current, const Request& request, Trace& trace) {
    if (request.path == livePath || request.path == readyPath || request.path == metricsPath) {
        trace.service = "operations";
        if (request.method != "GET") return onlyTakes("GET");
        if (request.path == metricsPath) return {200, options_.metrics->text(), "text/plain; version=0.0.4", {}};
        if (request.path == livePath) return health(200, "live", current);
        const std::scoped_lock lock(mutex_);
        return draining_ ? health(503, "draining", current) : health(200, "ready", current);
    }
    // A browser asks without credentials whether it may ask with them.
    const std::string_view methods = methodsOf(request.path);
    if (request.method == "OPTIONS" && !methods.empty()) {
        trace.service = "preflight";
        Answer answer{204, "", "", {}};
        answer.headers = {{"Access-Control-Allow-Methods", std::string(methods)},
                          {"Access-Control-Allow-Headers", "authorization, content-type"},
                          {"Access-Control-Max-Age", "600"}};
        return answer;
    }
    trace.service = isFeedback(request.path)
                        ? "feedback"
                        : serviceAt(*current.knowledge,
                                    request.path);  // a call that is refused counts for the service that it was for
    Caller caller;
    if (auto refused = refuse(current, request, caller)) return std::move(*refused);
    if (isFeedback(request.path)) {
        return request.method == "POST" ? takeFeedback(request) : onlyTakes("POST");
    }
    RespondOptions options;
    options.card = options_.card;
    const std::vector<std::string>& servers = current.trust == nullptr ? options_.fhirServers : caller.fhirServers;
    if (!servers.empty())
        options.fetch = [this, &servers](const std::string& server, const std::string& token,
                                         const std::vector<fhir::Query>& queries) {
            return fetch(servers, server, token, queries);
        };
    if (options_.store != nullptr) options.mayShow = [this](const Showing& showing) { return mayShow(showing); };
    return respond(*current.knowledge, request, today(), options, trace);
}

std::optional<Answer> Server::refuse(const Served& current, const Request& request, Caller& caller) {
    if (current.trust == nullptr || !request.path.starts_with("/cds-services")) return std::nullopt;
    std::variant<Caller, Distrust> verdict;
    try {
        verdict = current.trust->verify(request.authorization, request.path);
    } catch (const std::exception& error) {
        // Without a memory for tokens nobody can be believed.
        spdlog::error("a token could not be remembered: {}", error.what());
        options_.metrics->refused("no-memory");
        Answer answer = outcome(503, "transient", "callers cannot be believed at the moment; try again");
        answer.headers.emplace_back("Retry-After", "5");
        return answer;
    }
    const Distrust* distrust = std::get_if<Distrust>(&verdict);
    if (distrust == nullptr) {
        caller = std::get<Caller>(std::move(verdict));
        return std::nullopt;
    }
    options_.metrics->refused(word(*distrust));
    spdlog::warn("a caller was not believed: {}", word(*distrust));
    Answer answer = outcome(401, "login", "the caller is not believed");
    answer.headers.emplace_back("WWW-Authenticate", "Bearer");
    return answer;
}

std::vector<fhir::SearchResult> Server::fetch(const std::vector<std::string>& servers, const std::string& server,
                                              const std::string& token, const std::vector<fhir::Query>& queries) {
    if (!fhir::isBelow(server, servers)) {
        options_.metrics->fetch("server", "refused");
        spdlog::warn("a FHIR server is not among those that may be asked");
        return {};
    }
    if (token.empty() && !options_.fetchWithoutToken) return {};
    fhir::SearchOptions search = options_.search;
    search.base = server;
    search.token = token;
    std::vector<fhir::SearchResult> results = fhir::search(queries, search);
    for (std::size_t i = 0; i < results.size(); ++i) {
        const std::string_view what = queries[i].what();
        options_.metrics->fetch(what, fhir::word(results[i].outcome));
        if (results[i].outcome != fhir::SearchResult::Outcome::complete)
            spdlog::warn("fetching {}: {}: {}", what, fhir::word(results[i].outcome), results[i].reason);
    }
    return results;
}

fhir::Date Server::today() const {
    return options_.asOf ? *options_.asOf : fhir::Date::ofDays(static_cast<std::int32_t>(now_() / secondsPerDay));
}

Answer Server::takeFeedback(const Request& request) {
    if (options_.store == nullptr) return outcome(404, "not-supported", "no feedback is kept here");
    if (!isJson(request.contentType)) return outcome(415, "not-supported", "the body is not application/json");
    try {
        const std::vector<Feedback> feedback = readFeedback(request.body, now_());
        options_.store->keep(feedback, options_.keepComments);
        if (options_.throttle != nullptr) options_.throttle->listen(feedback);
        for (const Feedback& item : feedback) options_.metrics->feedback(word(item.outcome));
        return {200, "", "", {}};
    } catch (const fhir::Error& error) {
        return outcome(400, "structure", error.what());
    } catch (const std::exception& error) {
        spdlog::error("feedback could not be kept: {}", error.what());
        Answer answer = outcome(503, "no-store", "the feedback could not be kept; send it again");
        answer.headers.emplace_back("Retry-After", "5");
        return answer;
    }
}

bool Server::mayShow(const Showing& showing) {
    // A store that fails keeps no card from a clinician.
    try {
        if (options_.throttle != nullptr && !options_.throttle->mayShow(showing, today(), now_())) return false;
        ShownCard card{showing.cardUuid, std::string(showing.service->id), now_(), {}, {}};
        for (const rules::Evaluation* evaluation : showing.trials)
            card.trials.emplace_back(evaluation->trial->id, rules::word(evaluation->status));
        if (options_.throttle != nullptr) card.patientKey = options_.throttle->patientKey(showing.patientId);
        options_.store->keep(card);
    } catch (const std::exception& error) {
        spdlog::error("the card could not be kept for its feedback: {}", error.what());
    }
    return true;
}

std::vector<std::pair<std::string, std::string>> Server::onRefusal(int status, const std::string& origin) {
    static constexpr std::string_view service = "transport";
    options_.metrics->refusedByTransport(status);
    spdlog::info("request service={} status={}", service, status);
    return originHeaders(origin);
}

std::vector<std::pair<std::string, std::string>> Server::originHeaders(const std::string& origin) const {
    const std::vector<std::string>& origins = options_.origins;
    if (origins.empty()) return {};
    std::vector<std::pair<std::string, std::string>> headers{{"Vary", "Origin"}};
    const bool any = std::find(origins.begin(), origins.end(), "*") != origins.end();
    const bool known = std::find(origins.begin(), origins.end(), origin) != origins.end();
    if (!origin.empty() && (any || known)) headers.emplace_back("Access-Control-Allow-Origin", known ? origin : "*");
    return headers;
}

}  // namespace cds_hooks
