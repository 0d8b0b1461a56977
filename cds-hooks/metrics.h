#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "cds-hooks/respond.h"

namespace cds_hooks {

/// What an operator watches: counts and times, nothing of any patient or user. Safe to use from many threads.
///
/// Source: Prometheus, text exposition format 0.0.4; names follow its naming conventions (base units, _total).
class Metrics {
public:
    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// One request that was answered; time in seconds.
    void request(const Trace& trace, int status, double seconds);
    /// One request that the transport refused by itself.
    void refusedByTransport(int status);
    /// A caller who was not trusted, by the reason's word.
    void refused(std::string_view reason);
    /// One item of feedback that was stored, "accepted" or "overridden".
    void feedback(std::string_view outcome);
    /// Something asked of another server, "keys", a resource type or "page", by its outcome's word; or a "server" that
    /// was "refused".
    void fetch(std::string_view what, std::string_view outcome);
    /// A reload of the configuration, "ok" or "failed"; what serves from now on.
    void reload(std::string_view result);
    void serving(const Knowledge& knowledge);

    /// Everything, in the text format.
    std::string text() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cds_hooks
