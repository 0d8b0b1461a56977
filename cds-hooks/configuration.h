#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "cds-hooks/serve.h"
#include "mapping/vocabulary.h"

namespace cds_hooks {

/// The options of `serve`. Each may stand on the command line, in the environment (`--max-body` is CD7MATCH_MAX_BODY),
/// or in the section [serve] of the file that `--config` names; the first of these counts.
class Configuration {
public:
    /// Declares the options; this must outlive the command.
    void addTo(CLI::App& serve);

    /// Everything that is wrong with the values, each by its option; nothing when they can be used.
    std::vector<mapping::Problem> problems() const;

    /// The values. There must be no problems.
    ServeOptions options() const;

    /// The file that says whose calls are believed; empty when every caller is.
    const std::string& trust() const { return trust_; }

    /// Every option with its value, as a file for `--config`; what may hold a secret is hidden.
    std::string text(const CLI::App& serve) const;

private:
    std::string host_ = "127.0.0.1";
    int port_ = 8080;
    std::size_t workers_ = 2;
    std::size_t queue_ = 512;
    std::size_t connections_ = 1024;
    std::size_t mostBody_ = 64;  ///< MiB
    double idle_ = 60;           ///< seconds, as the following
    double read_ = 30;
    double write_ = 30;
    double drain_ = 10;
    std::string asOf_ = "today";
    std::vector<std::string> origins_;
    CardOptions card_;
    TlsOptions tls_;
    std::string trust_;
    std::string store_ = usualStore();
    bool keepComments_ = false;
    int throttleDays_ = 0;
    std::string throttleSecret_;
    std::vector<std::string> fhirServers_;
    bool fhirOpen_ = false;
    bool fhirPrivate_ = false;
    double fhirBudget_ = 0.4;  ///< seconds
    std::string fhirAuthorities_;
};

}  // namespace cds_hooks
