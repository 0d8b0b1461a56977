#include "cds-hooks/server.h"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

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

}  // namespace

Server::Server(Served served, ServerOptions options, std::function<fhir::Date()> today)
    : options_(std::move(options)), today_(std::move(today)) {
    serve(std::move(served));
}

void Server::serve(Served served) {
    metrics_.serving(*served.knowledge);
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
    Trace trace;
    Answer answer = answerOf(request, trace);
    addOrigin(request, answer);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    const bool isWatching = trace.service == "operations";
    if (!isWatching) metrics_.request(trace, answer.status, seconds);
    // Neither path nor body goes into the log: both are the caller's to fill.
    spdlog::log(isWatching ? spdlog::level::debug : spdlog::level::info,
                "request service={} status={} ms={:.2f} hookInstance={} trials={} shown={}",
                trace.service.empty() ? "other" : trace.service, answer.status, seconds * 1000,
                trace.hookInstance.empty() ? "-" : trace.hookInstance, trace.trials.size(), trace.shown.size());
    return answer;
}

Answer Server::answerOf(const Request& request, Trace& trace) {
    const Served current = served();
    if (request.path == livePath || request.path == readyPath || request.path == metricsPath) {
        trace.service = "operations";
        if (request.method != "GET") {
            Answer answer = outcome(405, "not-supported", "this path takes GET");
            answer.headers.emplace_back("Allow", "GET");
            return answer;
        }
        if (request.path == metricsPath) return {200, metrics_.text(), "text/plain; version=0.0.4", {}};
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
    return respond(*current.knowledge, request, options_.asOf ? *options_.asOf : today_(), {options_.card, {}}, trace);
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
