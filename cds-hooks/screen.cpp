#include "cds-hooks/screen.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <thread>
#include <unordered_set>
#include <utility>

#include "cds-hooks/bulk_export.h"
#include "cds-hooks/digest.h"
#include "cds-hooks/output.h"
#include "cds-hooks/serve.h"
#include "cds-hooks/server_charts.h"
#include "fhir/error.h"

namespace cds_hooks {

namespace {

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
    const std::vector<mapping::Problem> ofOutput = problemsOfOutput(options.output, options.resume, options.report);
    problems.insert(problems.end(), ofOutput.begin(), ofOutput.end());
    check(options.write == WriteBack::nothing || !options.resume, "--write",
          "does not go with --resume: a List holds what one whole run has found");
    check(options.write != WriteBack::nothing || options.run.empty(), "--run", "goes with --write");
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
    std::optional<CohortSummary> summary;
    if (options.report.cohort.isWanted()) summary.emplace(knowledge, options.report.cohort.most);
    if (!options.output.empty()) {
        if (options.resume) {
            std::unordered_set<std::string> known;
            const EarlierOutput earlier(options.output, knowledge, options.day, [&](fhir::json::Value line) {
                const std::string patient(line["patient"].text());
                if (line["source"]["url"].text() != options.server + '/' + patient)
                    return std::string("is of another server; begin a new output");
                known.insert(patient);
                if (summary) summary->add(summary->of(line));
                return std::string();
            });
            std::erase_if(ids, [&](const std::string& id) { return known.contains("Patient/" + id); });
            if (earlier.lines() > 0)
                spdlog::info("{} patients stand in the output already, {} are left", earlier.lines(), ids.size());
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
    Reported reported =
        report(knowledge, reporting, source, options.output.empty() ? out : file, summary ? &*summary : nullptr);
    int status = reported.status();
    if (run.askedFor < patients->size()) {
        spdlog::error("stopped: {} patients were not asked for", patients->size() - run.askedFor);
        for (std::size_t i = run.askedFor; i < patients->size(); ++i) failed << (*patients)[i] << '\n';
        status = someUnreadable;
    }
    if (cohort.unresolved > 0) status = someUnreadable;
    if (summary) {
        // Those who stand in an earlier output were read; whom nobody asked for, or nobody can name, was not.
        reported.count.read = summary->charts();
        reported.count.failed += patients->size() - std::min(patients->size(), run.askedFor) + cohort.unresolved;
        const std::string asOf = options.day.asOf ? options.day.asOf->text() : std::string();
        const CohortRun made{{options.server}, asOf, reported.count, nameOf(options.output.string())};
        if (!writeSummary(*summary, options.report.cohort, made, reported, out)) status = someUnreadable;
    }
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
