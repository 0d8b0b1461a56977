#include "cds-hooks/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>

#include "cds-hooks/screening.h"

namespace cds_hooks {

namespace {

using Labels = std::map<std::string, std::string>;

/// Around the few milliseconds that an answer takes, up to what a clinician no longer waits for.
const prometheus::Histogram::BucketBoundaries seconds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                      0.05,   0.1,   0.25,   0.5,   1.0,  2.5};

std::string serviceOf(const Trace& trace) {
    return trace.service.empty() ? "other" : std::string(trace.service);
}

}  // namespace

struct Metrics::State {
    prometheus::Registry registry;
    prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                            .Name("cd7match_requests_total")
                                                            .Help("Requests answered, by service and HTTP status.")
                                                            .Register(registry);
    prometheus::Family<prometheus::Histogram>& latency =
        prometheus::BuildHistogram()
            .Name("cd7match_request_seconds")
            .Help("Time from the complete request to its answer, by service.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& evaluations =
        prometheus::BuildCounter()
            .Name("cd7match_evaluations_total")
            .Help("Trials evaluated, by trial and by what came of it.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& cards = prometheus::BuildCounter()
                                                         .Name("cd7match_trials_on_cards_total")
                                                         .Help("Trials that stood on a card, by trial and status.")
                                                         .Register(registry);
    prometheus::Family<prometheus::Counter>& refusals = prometheus::BuildCounter()
                                                            .Name("cd7match_refused_callers_total")
                                                            .Help("Callers who were not trusted, by reason.")
                                                            .Register(registry);
    prometheus::Family<prometheus::Counter>& feedbacks = prometheus::BuildCounter()
                                                             .Name("cd7match_feedback_total")
                                                             .Help("Feedback on cards that was stored, by outcome.")
                                                             .Register(registry);
    prometheus::Family<prometheus::Counter>& fetches =
        prometheus::BuildCounter()
            .Name("cd7match_fetches_total")
            .Help("What was asked of other servers, by what it was and by what came of it.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& reloads = prometheus::BuildCounter()
                                                           .Name("cd7match_reloads_total")
                                                           .Help("Reloads of the configuration, by result.")
                                                           .Register(registry);
    prometheus::Family<prometheus::Gauge>& build = prometheus::BuildGauge()
                                                       .Name("cd7match_build_info")
                                                       .Help("The program and the knowledge that serve now: 1.")
                                                       .Register(registry);
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}

Metrics::~Metrics() = default;

void Metrics::request(const Trace& trace, int status, double time) {
    state_->requests.Add(Labels{{"service", serviceOf(trace)}, {"status", std::to_string(status)}}).Increment();
    state_->latency.Add(Labels{{"service", serviceOf(trace)}}, seconds).Observe(time);
    for (const auto& [trial, verdict] : trace.trials) {
        const Labels labels{{"trial", std::string(trial)}, {"status", std::string(verdict)}};
        state_->evaluations.Add(labels).Increment();
        for (const std::string_view shown : trace.shown) {
            if (shown == trial) state_->cards.Add(labels).Increment();
        }
    }
}

void Metrics::refusedByTransport(int status) {
    state_->requests.Add(Labels{{"service", "transport"}, {"status", std::to_string(status)}}).Increment();
}

void Metrics::refused(std::string_view reason) {
    state_->refusals.Add(Labels{{"reason", std::string(reason)}}).Increment();
}

void Metrics::feedback(std::string_view outcome) {
    state_->feedbacks.Add(Labels{{"outcome", std::string(outcome)}}).Increment();
}

void Metrics::fetch(std::string_view what, std::string_view outcome) {
    state_->fetches.Add(Labels{{"what", std::string(what)}, {"outcome", std::string(outcome)}}).Increment();
}

void Metrics::reload(std::string_view result) {
    state_->reloads.Add(Labels{{"result", std::string(result)}}).Increment();
}

void Metrics::serving(const Knowledge& knowledge) {
    for (const prometheus::MetricFamily& family : state_->build.Collect()) {
        for (const prometheus::ClientMetric& metric : family.metric) {
            Labels labels;
            for (const prometheus::ClientMetric::Label& label : metric.label) labels[label.name] = label.value;
            state_->build.Add(labels).Set(0);
        }
    }
    state_->build.Add(Labels{{"version", std::string(programVersion())}, {"knowledge", std::string(knowledge.digest)}})
        .Set(1);
}

std::string Metrics::text() const {
    return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace cds_hooks
