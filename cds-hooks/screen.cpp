#include "cds-hooks/screen.h"

#include <spdlog/spdlog.h>

#include <algorithm>
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
    /// lines are none of ours, or rest on another server, day, selection of trials or other knowledge.
    Earlier(const ScreenOptions& options, const Knowledge& knowledge) : options_(options), knowledge_(knowledge) {
        const std::filesystem::path& file = options.output;
        if (!std::filesystem::exists(file)) return;
        std::ifstream stream(file, std::ios::binary);
        std::uintmax_t whole = 0;
        for (std::string line; std::getline(stream, line);) {
            if (stream.eof()) break;  // without its end: the run was killed while it wrote
            read(line);
            whole += line.size() + 1;
        }
        std::filesystem::resize_file(file, whole);
    }

    bool contains(const std::string& patientId) const { return patients_.contains("Patient/" + patientId); }
    std::size_t size() const { return patients_.size(); }

private:
    void read(const std::string& line) {
        const std::string reason = problemOf(line);
        if (!reason.empty())
            throw std::runtime_error(options_.output.string() + ": line " + std::to_string(patients_.size() + 1) +
                                     ": " + reason);
    }

    /// Why a line is none of this run; empty when it is, and its patient is known from then on.
    std::string problemOf(const std::string& line) {
        static constexpr std::string_view notOurs = "is no result; --resume needs the output of an earlier run";
        try {
            const fhir::json::Document document{line};
            const fhir::json::Value root = document.root();
            const std::string patient(root["patient"].text());
            if (patient.empty()) return std::string(notOurs);
            if (root["knowledge"].text() != knowledge_.digest)
                return "was made with other knowledge than " + knowledge_.digest + "; begin a new output";
            if (root["source"]["url"].text() != options_.server + '/' + patient)
                return "is of another server; begin a new output";
            if (options_.day.asOf && root["asOf"].text() != options_.day.asOf->text())
                return "is of another day than " + options_.day.asOf->text() + "; begin a new output, or give --as-of";
            std::vector<std::string_view> trials;
            for (const fhir::json::Value trial : root["trials"].items()) trials.push_back(trial["trial"].text());
            const bool isSame =
                std::equal(trials.begin(), trials.end(), knowledge_.trials.begin(), knowledge_.trials.end(),
                           [](std::string_view id, const rules::Trial& trial) { return id == trial.id; });
            if (!isSame) return "is of other trials; begin a new output, or give the same --trial";
            patients_.insert(patient);
            return {};
        } catch (const fhir::Error&) {
            return std::string(notOurs);
        }
    }

    const ScreenOptions& options_;
    const Knowledge& knowledge_;
    std::unordered_set<std::string> patients_;
};

AccessToken tokenFor(const ScreenOptions& options, const fhir::SearchOptions& server) {
    if (options.client.clientId.empty()) return fixedToken(options.token);
    return backendServicesToken(options.client, server, secondsSince1970);
}

constexpr int someUnreadable = 3;

/// What tells apart the runs of one day: whom they screened, and by which knowledge.
std::string fingerprint(const Knowledge& knowledge, std::vector<std::string> patients) {
    std::sort(patients.begin(), patients.end());
    std::string text = knowledge.digest;
    for (const std::string& id : patients) text += '\n' + id;
    return shortDigest(text);
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
                      (cohort.list.empty() ? 0 : 1) + (cohort.disease ? 1 : 0) + (cohort.diseaseScan ? 1 : 0);
    if (options.exportFolder.empty()) {
        check(kinds == 1, "--patient, --group, --list, --disease, --disease-scan",
              "exactly one of them says who is screened");
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
    search.withinOrigin = true;
    search.connections = 4;
    search.privateNetwork = true;  // the operator names the server
    search.caFile = options.authorities;
    if (options.rate > 0) search.pace = std::make_shared<fhir::Pace>(options.rate);
    const FhirServer server(search, tokenFor(options, search), options.mayRoam);
    server.check();
    if (!options.exportFolder.empty()) {
        ExportOptions exporting{options.cohort.group, options.exportFolder, {}};
        exporting.pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
        const ExportResult result = exportBulk(server, exporting);
        spdlog::info("{} resources are in {}", result.resources, options.exportFolder.string());
        if (result.errors == 0) return 0;
        spdlog::error("the server could not export everything: {} reasons stand in {}", result.errors,
                      (options.exportFolder / "error").string());
        return someUnreadable;
    }

    const Patients cohort = readCohort(server, knowledge, options.cohort);
    std::vector<std::string> ids = cohort.ids;
    if (cohort.unresolved > 0)
        spdlog::error("{}: {} are named otherwise than by the id of a Patient of this server, and are not screened",
                      options.server, cohort.unresolved);
    std::ofstream file;
    if (!options.output.empty()) {
        if (options.resume) {
            const Earlier earlier(options, knowledge);
            std::erase_if(ids, [&](const std::string& id) { return earlier.contains(id); });
            if (earlier.size() > 0)
                spdlog::info("{} patients stand in the output already, {} are left", earlier.size(), ids.size());
        }
        file.open(options.output, std::ios::binary | std::ios::app);
        if (!file) throw std::runtime_error(options.output.string() + ": cannot be written");
    }
    std::ofstream failed;
    if (!options.failed.empty()) {
        failed.open(options.failed);
        if (!failed) throw std::runtime_error(options.failed.string() + ": cannot be written");
    }
    if (ids.empty()) spdlog::info("no patient is left to be screened");
    const auto patients = std::make_shared<const std::vector<std::string>>(std::move(ids));
    ServerRun run;
    ChartSource source = serverCharts(server, knowledge, patients, options.day, run, [&](const std::string& id) {
        failed << id << '\n' << std::flush;
    });
    source.threads = options.concurrency;
    source.progress = options.progress;
    ReportOptions reporting = options.report;
    std::vector<Candidate> candidates;
    if (options.write != WriteBack::nothing)
        reporting.onCandidate = [&](const Candidate& candidate) { candidates.push_back(candidate); };
    int status = report(knowledge, reporting, source, options.output.empty() ? out : file);
    if (run.askedFor < patients->size()) {
        spdlog::error("stopped: {} patients were not asked for", patients->size() - run.askedFor);
        for (std::size_t i = run.askedFor; i < patients->size(); ++i) failed << (*patients)[i] << '\n';
        status = someUnreadable;
    }
    if (cohort.unresolved > 0) status = someUnreadable;
    if (options.write == WriteBack::nothing) return status;
    if (status != 0) {
        spdlog::error("nothing is written back: not everybody could be read");
        return status;
    }
    const fhir::Date asOf = options.day.asOf.value_or(options.day.today);
    const std::string name = options.run.empty() ? asOf.text() + '-' + fingerprint(knowledge, *patients) : options.run;
    return writeBack(server, candidates, options.write, name, asOf) > 0 ? someUnreadable : 0;
}

}  // namespace cds_hooks
