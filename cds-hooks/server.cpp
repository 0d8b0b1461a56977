#include "cds-hooks/server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
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
    Answer answer = answerOf(current, request, trace);
    addOrigin(request, answer);
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
                                         const std::vector<std::string>& queries) {
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
                                              const std::string& token, const std::vector<std::string>& queries) {
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
        const std::string_view query = queries[i];
        const bool isAddress = query.find("://") != std::string_view::npos;
        const std::string_view what = isAddress ? "page" : query.substr(0, query.find_first_of("/?"));
        options_.metrics->fetch(what, fhir::word(results[i].outcome));
        if (results[i].outcome != fhir::SearchResult::Outcome::complete)
            spdlog::warn("fetching {}: {}: {}", what, fhir::word(results[i].outcome), results[i].reason);
    }
    return results;
}

fhir::Date Server::today() const {
    constexpr std::int64_t secondsPerDay = 86'400;
    return options_.asOf ? *options_.asOf : fhir::Date::ofDays(static_cast<std::int32_t>(now_() / secondsPerDay));
}

Answer Server::takeFeedback(const Request& request) {
    if (options_.store == nullptr) return outcome(404, "not-supported", "no feedback is kept here");
    if (!isJson(request.contentType)) return outcome(415, "not-supported", "the body is not application/json");
    try {
        const std::vector<Feedback> feedback = readFeedback(request.body);
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
        const bool isOrder = !showing.service->orders.empty();
        if (options_.throttle != nullptr && !isOrder && !options_.throttle->mayShow(showing, today(), now_()))
            return false;
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

void Server::addOrigin(const Request& request, Answer& answer) const {
    if (options_.origins.empty()) return;
    answer.headers.emplace_back("Vary", "Origin");
    if (request.origin.empty()) return;
    const bool any = std::find(options_.origins.begin(), options_.origins.end(), "*") != options_.origins.end();
    const bool known =
        std::find(options_.origins.begin(), options_.origins.end(), request.origin) != options_.origins.end();
    if (!any && !known) return;
    answer.headers.emplace_back("Access-Control-Allow-Origin", known ? request.origin : "*");
}

}  // namespace cds_hooks
