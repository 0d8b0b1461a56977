#include "cds-hooks/screen.h"

#include <spdlog/spdlog.h>

#include <fstream>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <thread>
#include <unordered_set>
#include <utility>

#include "cds-hooks/bulk_export.h"
#include "cds-hooks/serve.h"
#include "cds-hooks/server_charts.h"
#include "fhir/error.h"

namespace cds_hooks {

namespace {

/// What an earlier run has written: whole lines alone, of this knowledge and day.
class Earlier {
public:
    /// Reads the file, if there is one, and cuts it behind its last whole line. Throws std::runtime_error when its
    /// lines are none of ours, or rest on other knowledge.
    Earlier(const std::filesystem::path& file, const Knowledge& knowledge) {
        if (!std::filesystem::exists(file)) return;
        std::ifstream stream(file, std::ios::binary);
        std::uintmax_t whole = 0;
        for (std::string line; std::getline(stream, line);) {
            if (stream.eof()) break;  // without its end: the run was killed while it wrote
            read(file, line, knowledge);
            whole += line.size() + 1;
        }
        std::filesystem::resize_file(file, whole);
    }

    bool contains(const std::string& patientId) const { return patients_.contains("Patient/" + patientId); }
    std::size_t size() const { return patients_.size(); }

private:
    void read(const std::filesystem::path& file, const std::string& line, const Knowledge& knowledge) {
        const auto refuse = [&](const std::string& why) {
            throw std::runtime_error(file.string() + ": line " + std::to_string(patients_.size() + 1) + ": " + why);
        };
        std::string patient;
        std::string digest;
        try {
            const fhir::json::Document document{line};
            patient = document.root()["patient"].text();
            digest = document.root()["knowledge"].text();
        } catch (const fhir::Error&) {
            refuse("is no result; --resume needs the output of an earlier run");
        }
        if (patient.empty()) refuse("is no result; --resume needs the output of an earlier run");
        if (digest != knowledge.digest)
            refuse("was made with knowledge " + digest + ", and this is " + knowledge.digest + "; begin a new output");
        patients_.insert(patient);
    }

    std::unordered_set<std::string> patients_;
};

AccessToken tokenFor(const ScreenOptions& options, const fhir::SearchOptions& server) {
    if (options.client.clientId.empty()) return fixedToken(options.token);
    return backendServicesToken(options.client, server, secondsSince1970);
}

bool isLoopback(const std::string& url) {
    for (const char* host : {"http://localhost", "http://127.0.0.1", "http://[::1]"}) {
        const std::string_view name = host;
        if (url.starts_with(name) && (url.size() == name.size() || url[name.size()] == ':' || url[name.size()] == '/'))
            return true;
    }
    return false;
}

}  // namespace

std::vector<mapping::Problem> problemsOf(const ScreenOptions& options) {
    std::vector<mapping::Problem> problems;
    const auto check = [&](bool holds, const std::string& option, const std::string& message) {
        if (!holds) problems.push_back({option, message});
    };
    check(fhir::isBase(options.server, true), "--server",
          "'" + options.server + "' is not an address without a slash at its end, as https://ehr.example.org/fhir");
    const Cohort& cohort = options.cohort;
    const int kinds = (cohort.patients.empty() ? 0 : 1) + (cohort.group.empty() ? 0 : 1) +
                      (cohort.list.empty() ? 0 : 1) + (cohort.disease ? 1 : 0);
    if (options.exportFolder.empty()) {
        check(kinds == 1, "--patient, --group, --list, --disease", "exactly one of them says who is screened");
    } else {
        check(kinds == (cohort.group.empty() ? 0 : 1), "--export", "takes --group, or everybody");
        check(options.write == WriteBack::nothing && options.output.empty(), "--export",
              "does not go with --write and --output: nobody is screened");
    }
    const bool hasClient = !options.client.clientId.empty();
    check(hasClient == !options.client.keyFile.empty(), "--client-id", "goes with --client-key");
    check(!hasClient || options.token.empty(), "--token", "does not go with --client-id");
    check((options.token.empty() && !hasClient) || !options.server.starts_with("http://") || isLoopback(options.server),
          "--server", "a token would be sent over http in the clear; use https");
    check(!options.resume || !options.output.empty(), "--resume", "needs --output, the file to go on with");
    check(options.write == WriteBack::nothing || !options.resume, "--write",
          "does not go with --resume: a List holds what one whole run has found");
    check(options.write != WriteBack::nothing || options.run.empty(), "--run", "goes with --write");
    check(options.output.empty() || (options.report.format == Format::ndjson && options.report.explain.empty()),
          "--output", "is NDJSON; leave out --format and --explain");
    check(options.resume || options.output.empty() || !std::filesystem::exists(options.output), "--output",
          options.output.string() + ": is there already; --resume goes on with it");
    return problems;
}

int screenServer(const Knowledge& knowledge, const ScreenOptions& options, std::ostream& out) {
    fhir::SearchOptions search;
    search.base = options.server;
    search.deadline = options.timeout;
    search.pages = 1000;
    search.connections = 4;
    search.privateNetwork = true;  // the operator names the server
    search.caFile = options.authorities;
    if (options.rate > 0) search.pace = std::make_shared<fhir::Pace>(options.rate);
    const FhirServer server(search, tokenFor(options, search));
    server.check();
    if (!options.exportFolder.empty()) {
        ExportOptions exporting{options.cohort.group, options.exportFolder, {}};
        exporting.pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
        spdlog::info("{} resources are in {}", exportBulk(server, exporting), options.exportFolder.string());
        return 0;
    }

    std::vector<std::string> patients = readCohort(server, knowledge, options.cohort);
    std::ofstream file;
    if (!options.output.empty()) {
        if (options.resume) {
            const Earlier earlier(options.output, knowledge);
            std::erase_if(patients, [&](const std::string& id) { return earlier.contains(id); });
            if (earlier.size() > 0)
                spdlog::info("{} patients stand in the output already, {} are left", earlier.size(), patients.size());
        }
        file.open(options.output, std::ios::binary | std::ios::app);
        if (!file) throw std::runtime_error(options.output.string() + ": cannot be written");
    }
    std::ofstream failed;
    if (!options.failed.empty()) {
        failed.open(options.failed);
        if (!failed) throw std::runtime_error(options.failed.string() + ": cannot be written");
    }
    if (patients.empty()) spdlog::info("no patient is left to be screened");
    ChartSource source = serverCharts(server, knowledge, std::move(patients), options.day, [&](const std::string& id) {
        failed << id << '\n' << std::flush;
    });
    source.threads = options.concurrency;
    source.progress = options.progress;
    ReportOptions reporting = options.report;
    std::vector<Candidate> candidates;
    if (options.write != WriteBack::nothing)
        reporting.onCandidate = [&](const Candidate& candidate) { candidates.push_back(candidate); };
    const int status = report(knowledge, reporting, source, options.output.empty() ? out : file);
    const fhir::Date asOf = options.day.asOf.value_or(options.day.today);
    const std::size_t notWritten =
        writeBack(server, candidates, options.write, options.run.empty() ? asOf.text() : options.run, asOf);
    return notWritten > 0 ? 3 : status;
}

}  // namespace cds_hooks
