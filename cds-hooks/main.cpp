#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cds-hooks/audit.h"
#include "cds-hooks/bulk_folder.h"
#include "cds-hooks/bulk_row.h"
#include "cds-hooks/ehr.h"
#include "cds-hooks/facts.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/questionnaire.h"
#include "cds-hooks/replay.h"
#include "cds-hooks/screening.h"
#include "fhir/bundle.h"
#include "fhir/error.h"
#include "mapping/fact.h"
#include "rules/evaluate.h"

#ifndef CD7MATCH_PORTABLE  // what needs a network, and its libraries
#include "cds-hooks/configuration.h"
#include "cds-hooks/feedback.h"
#include "cds-hooks/screen.h"
#include "cds-hooks/serve.h"
#include "cds-hooks/store.h"
#endif

namespace {

constexpr int usageOrKnowledgeError = 2;
constexpr int someUnreadable = 3;

/// Reads the knowledge, or says everything that is wrong with it; the dates of the overlay against `today` where given.
std::optional<cds_hooks::Knowledge> readKnowledge(const std::string& folder, const std::string& site,
                                                  std::optional<fhir::Date> today = std::nullopt) {
    const std::vector<cds_hooks::KnowledgeFile> files =
        folder.empty() ? cds_hooks::embeddedKnowledge() : cds_hooks::knowledgeIn(folder);
    std::vector<mapping::Problem> problems;
    cds_hooks::Knowledge knowledge = cds_hooks::readKnowledge(
        files, problems, site.empty() ? std::nullopt : std::optional(cds_hooks::siteFile(site)), today);
    for (const mapping::Problem& problem : problems) spdlog::error("{}", problem.text());
    if (!problems.empty()) {
        spdlog::error("{} problem(s) in the knowledge; nothing was evaluated", problems.size());
        return std::nullopt;
    }
    return knowledge;
}

/// Keeps the named trials. False, with a message, when one is unknown.
bool keepTrials(cds_hooks::Knowledge& knowledge, const std::vector<std::string>& wanted) {
    if (wanted.empty()) return true;
    for (const std::string& id : wanted) {
        const bool known = std::any_of(knowledge.trials.begin(), knowledge.trials.end(),
                                       [&](const rules::Trial& trial) { return trial.id == id; });
        if (known) continue;
        spdlog::error("--trial: '{}' is not a trial of this knowledge", id);
        return false;
    }
    std::erase_if(knowledge.trials, [&](const rules::Trial& trial) {
        return std::find(wanted.begin(), wanted.end(), trial.id) == wanted.end();
    });
    return true;
}

/// A day, "today", or nothing for "latest". Throws CLI::ValidationError for anything else.
std::optional<fhir::Date> readAsOf(const std::string& text) {
    if (text == "latest") return std::nullopt;
    if (text == "today") return cds_hooks::today();
    const auto date = fhir::Date::parse(text);
    if (!date) throw CLI::ValidationError("--as-of", "'" + text + "' is not a date (YYYY-MM-DD), today or latest");
    return date;
}

fhir::Coverage readCoverage(const std::vector<std::string>& types, const mapping::Vocabulary& vocabulary) {
    std::set<std::string> known{"DiagnosticReport"};
    for (const mapping::FactDefinition& fact : vocabulary.facts())
        known.insert(fact.sources.begin(), fact.sources.end());
    fhir::Coverage coverage;
    for (const std::string& type : types) {
        if (type == "all") {
            coverage.setAll(fhir::Covered::completely);
            return coverage;
        }
        if (!known.contains(type)) {
            std::string list;
            for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
            throw CLI::ValidationError("--covers", "'" + type + "' is none of all, " + list);
        }
        coverage.set(type, fhir::Covered::completely);
    }
    return coverage;
}

/// The report that both replay and screen write.
struct ReportWords {
    std::string format;
    std::vector<std::string> trials;
    std::string explain;
    cds_hooks::CohortOptions cohort;

    void addTo(CLI::App& command) {
        command.add_option("--format", format, "table, markdown or ndjson (default: table on a terminal, else ndjson)")
            ->check(CLI::IsMember({"table", "markdown", "ndjson"}));
        command.add_option("--trial", trials, "Only this trial; may be repeated")
            ->delimiter(',')
            ->allow_extra_args(false);
        command.add_option("--explain", explain,
                           "Explain one criterion down to the resources: inc.09a, or NCT07109518.inc.09a");
        command.add_flag("--summary", cohort.summary,
                         "Print a summary of all charts on standard output instead of a report of each; with --output "
                         "beside the file");
        command.add_option("--report", cohort.page,
                           "File for the same, with the worklists, as a page of HTML that stands alone; holds patient "
                           "data");
        command
            .add_option("--worklist", cohort.most,
                        "Patients of each trial that the page names, those with the least missing first; the rest is "
                        "counted")
            ->capture_default_str()
            ->check(CLI::Range(1, 100'000));
    }

    /// False with a message when standard output would be given two things.
    bool isSound(bool hasOutput) const {
        if (!cohort.summary || format.empty() || hasOutput) return true;
        spdlog::error(
            "--summary: is printed instead of a report of each chart; leave out --format, or give --output for NDJSON");
        return false;
    }

    cds_hooks::ReportOptions options(bool isTerminal, bool hasOutput) const {
        using cds_hooks::Format;
        const Format chosen = cohort.summary && !hasOutput                            ? Format::none
                              : format == "ndjson" || (format.empty() && !isTerminal) ? Format::ndjson
                              : format == "markdown"                                  ? Format::markdown
                                                                                      : Format::table;
        return {chosen, explain, {}, {}, cohort};
    }
};

/// Whether `--explain` names a criterion, or nothing. False with a message.
bool knowsCriterion(const cds_hooks::Knowledge& knowledge, const std::string& id) {
    const bool known =
        id.empty() || std::any_of(knowledge.trials.begin(), knowledge.trials.end(), [&](const rules::Trial& trial) {
            return trial.find(id) != nullptr ||
                   (id.starts_with(trial.id + '.') &&
                    trial.find(std::string_view(id).substr(trial.id.size() + 1)) != nullptr);
        });
    if (!known) spdlog::error("--explain: no trial has a criterion '{}'", id);
    return known;
}

/// Whether the output of a replay can be written as asked. False with messages.
bool isSound(const cds_hooks::ReplayOptions& options) {
    std::vector<mapping::Problem> problems =
        cds_hooks::problemsOfOutput(options.output, options.resume, options.report);
    const std::vector<std::string>& paths = options.charts.paths;
    for (const std::filesystem::path& page = options.report.cohort.page; const std::string& path : paths) {
        std::error_code none;
        if (!page.empty() && std::filesystem::equivalent(page, path, none))
            problems.push_back({"--report", "would take the place of an input"});
    }
    if (options.resume && std::find(paths.begin(), paths.end(), "-") != paths.end())
        problems.push_back({"--resume", "standard input cannot be read again"});
    for (const mapping::Problem& problem : problems) spdlog::error("{}", problem.text());
    return problems.empty();
}

#ifndef CD7MATCH_PORTABLE
/// What `screen` is asked for on the command line.
struct ScreenWords {
    cds_hooks::ScreenOptions options;
    std::string patients;  ///< file
    double timeout = 60;   ///< seconds

    void addTo(CLI::App& command) {
        command.add_option("--server", options.server, "Base of the FHIR R4 server, as https://ehr.example.org/fhir")
            ->envname("CD7MATCH_SERVER")
            ->required();
        command.add_option("--patient", options.cohort.patients, "Id of a Patient; may be repeated")
            ->delimiter(',')
            ->allow_extra_args(false);
        command.add_option("--patients", patients, "File with the ids of Patients, one a line")
            ->check(CLI::ExistingFile);
        command.add_option("--group", options.cohort.group, "Id of a Group: its members");
        command.add_option("--list", options.cohort.list, "Id of a List: its patients");
        command.add_flag("--disease", options.cohort.disease,
                         "Everybody with a coded diagnosis of the trials, found by its codes");
        command.add_flag("--disease-scan", options.cohort.diseaseScan,
                         "The same by reading every Condition of the server: slower, and misses no code");
        command.add_option("--token", options.token, "Access token; better in the environment, where nobody sees it")
            ->envname("CD7MATCH_TOKEN");
        command.add_option("--client-id", options.client.clientId, "SMART Backend Services: the id registered for us")
            ->envname("CD7MATCH_CLIENT_ID");
        command
            .add_option("--client-key", options.client.keyFile,
                        "SMART Backend Services: file with our private key, a JWK with kid for ES384 or RS384")
            ->envname("CD7MATCH_CLIENT_KEY")
            ->check(CLI::ExistingFile);
        command.add_option("--scope", options.client.scope, "SMART Backend Services: what is asked for")
            ->capture_default_str();
        command
            .add_option("--ca", options.authorities,
                        "Authorities (PEM) of its certificate; those of the system "
                        "without it")
            ->check(CLI::ExistingFile);
        command.add_option("--concurrency", options.concurrency, "Patients that are read at a time")
            ->capture_default_str()
            ->check(CLI::Range(1, 64));
        command.add_option("--rate", options.rate, "Requests a second at most, all together; 0: no limit")
            ->capture_default_str()
            ->check(CLI::Range(0.0, 100'000.0));
        command.add_option("--timeout", timeout, "Seconds that reading one patient may take")
            ->capture_default_str()
            ->check(CLI::Range(0.1, 3600.0));
        command.add_option("--output", options.output, "File for the results (NDJSON), instead of standard output");
        command.add_flag("--resume", options.resume, "Go on with the --output of a run that was interrupted");
        command.add_option("--failed", options.failed,
                           "File for the ids of patients who could not be read, as --patients takes them");
        command.add_option("--export", options.exportFolder,
                           "Folder: have the server export everybody, or --group, in bulk (FHIR Bulk Data), and screen "
                           "nobody");
        const std::map<std::string, cds_hooks::WriteBack> kinds{{"list", cds_hooks::WriteBack::list},
                                                                {"task", cds_hooks::WriteBack::task}};
        command
            .add_option("--write", options.write,
                        "Leave on the server: list, a List of ResearchSubjects for each trial; task, a Task for each "
                        "patient and trial")
            ->transform(CLI::Transformer(kinds, CLI::ignore_case).description("{list,task}"));
        command.add_option("--run", options.run,
                           "With --write: the name of this run (default: the day, and whom it screened)");
        command.add_flag("--roam", options.mayRoam,
                         "Follow the server also to private addresses and over http: files of an export (sandboxes)");
        command.footer(
            "Examples:\n"
            "  cd7match screen --server http://localhost:8080/fhir --disease\n"
            "  cd7match screen --server https://ehr.example.org/fhir --patient p1 --explain NCT07109518.inc.09a\n"
            "  cd7match screen --server https://ehr.example.org/fhir --group g1 --client-id cd7match \\\n"
            "      --client-key key.jwk --output screened.ndjson --failed failed.txt\n"
            "  cd7match screen --server https://ehr.example.org/fhir --disease --write list\n"
            "  cd7match screen --server https://ehr.example.org/fhir --group g1 --export folder\n"
            "  cd7match screen … --output screened.ndjson --resume      # after an interruption\n"
            "A patient has a line when everything that the server offers was read; what it does not offer is not\n"
            "covered. Exit status: 0 all were read, 2 usage, server or token, 3 some could not be read.");
    }

    /// Completes and checks the options. False with messages.
    bool read() {
        options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(timeout * 1000));
        if (!patients.empty()) {
            std::istringstream lines(cds_hooks::readFile(patients));
            for (std::string line; std::getline(lines, line);) {
                if (line.ends_with('\r')) line.pop_back();
                if (!line.empty()) options.cohort.patients.push_back(line);
            }
        }
        const std::vector<mapping::Problem> problems = cds_hooks::problemsOf(options);
        for (const mapping::Problem& problem : problems) spdlog::error("{}", problem.text());
        return problems.empty();
    }
};

#endif

int checkTrials(const std::string& folder, const std::vector<std::string>& paths) {
    std::vector<cds_hooks::KnowledgeFile> files =
        folder.empty() ? cds_hooks::embeddedKnowledge() : cds_hooks::knowledgeIn(folder);
    if (!paths.empty()) {
        // The named files against the vocabulary, without the trials that came with the program.
        std::erase_if(files, [](const cds_hooks::KnowledgeFile& file) { return file.name != "facts.json"; });
        for (const std::string& path : paths)
            files.push_back({std::filesystem::path(path).filename().string(), cds_hooks::readFile(path)});
    }
    std::vector<mapping::Problem> problems;
    const cds_hooks::Knowledge knowledge = cds_hooks::readKnowledge(files, problems);
    for (const mapping::Problem& problem : problems) std::cout << problem.text() << '\n';
    if (!problems.empty()) {
        spdlog::error("{} problem(s)", problems.size());
        return usageOrKnowledgeError;
    }
    for (const rules::Trial& trial : knowledge.trials)
        std::cout << trial.id << ": " << trial.criteria.size() << " criteria, no problem\n";
    return 0;
}

int listTrials(const cds_hooks::Knowledge& knowledge) {
    for (const rules::Trial& trial : knowledge.trials) {
        std::cout << trial.id << "  " << trial.recruitment << " ("
                  << (trial.recruitmentAsOf ? trial.recruitmentAsOf->text() : "date unknown") << ")  "
                  << trial.criteria.size() << " criteria  " << trial.title << '\n'
                  << "             " << trial.phase << "; ages " << trial.minimumAge << " to " << trial.maximumAge
                  << ", " << (trial.sex == "all" ? "any sex" : trial.sex);
        for (const std::string& location : trial.locations) std::cout << "; " << location;
        std::cout << '\n';
    }
    return 0;
}

/// What an overlay without problems says, for the one who wrote it.
int describeSite(const cds_hooks::Knowledge& knowledge) {
    for (const rules::Trial& trial : knowledge.trials) {
        std::cout << trial.id << "  " << trial.recruitment;
        if (trial.recruitmentAsOf) std::cout << " (" << trial.recruitmentAsOf->text() << ")";
        if (!trial.coordinator.empty()) std::cout << "; coordinator: " << trial.coordinator;
        std::cout << '\n';
    }
    const mapping::Vocabulary& vocabulary = knowledge.vocabulary;
    for (const mapping::FactDefinition& fact : vocabulary.facts()) {
        for (const mapping::UpperLimit& limit : fact.upperLimits) {
            std::cout << fact.name << "  upper limit " << fhir::decimalText(limit.value, 6) << ' ' << fact.unit << ", "
                      << (limit.sex.empty() ? "both sexes" : limit.sex) << ", " << limit.ageFrom << " to "
                      << limit.ageTo << " years\n";
        }
    }
    for (const cds_hooks::Site::Order& order : knowledge.site.orders)
        std::cout << vocabulary.facts()[order.fact].name << "  ordered as " << order.code.code << " ("
                  << order.code.display << ")\n";
    if (knowledge.site.referral) std::cout << "referral  " << knowledge.site.referral->display << '\n';
    std::cout << "no problem; " << knowledge.trials.size() << " trials on\n";
    return 0;
}

/// What `trials questionnaire` is asked for.
struct FormOptions {
    std::string trial;
    std::string chart;  ///< empty: the whole form
    std::string asOf = "today";
    std::vector<std::string> covers;
};

int printQuestionnaire(const cds_hooks::Knowledge& knowledge, const FormOptions& options) {
    const auto trial = std::find_if(knowledge.trials.begin(), knowledge.trials.end(),
                                    [&](const rules::Trial& known) { return known.id == options.trial; });
    if (trial == knowledge.trials.end()) {
        spdlog::error("'{}' is not a trial of this knowledge", options.trial);
        return usageOrKnowledgeError;
    }
    if (options.chart.empty()) {
        std::cout << cds_hooks::questionnaireJson(*trial, knowledge.vocabulary) << '\n';
        return 0;
    }
    try {
        auto document =
            std::make_shared<fhir::json::Document>(cds_hooks::readFile(options.chart), fhir::json::Selection::elements);
        const fhir::Chart chart =
            fhir::readBundle(std::move(document), readCoverage(options.covers, knowledge.vocabulary));
        const fhir::Date asOf =
            readAsOf(options.asOf)
                .value_or(mapping::latestDate(chart, cds_hooks::today()).value_or(cds_hooks::today()));
        const mapping::Facts facts = mapping::readFacts(chart, knowledge.vocabulary, asOf);
        const rules::Evaluation evaluation = rules::evaluate(*trial, facts);
        std::cout << cds_hooks::questionnaireJson(*trial, knowledge.vocabulary, &evaluation) << '\n';
        return 0;
    } catch (const fhir::Error& error) {
        spdlog::error("{}: {}", options.chart, error.what());
        return someUnreadable;
    } catch (const std::runtime_error& error) {
        spdlog::error("{}", error.what());
        return someUnreadable;
    }
}

int run(int argc, char** argv) {
    CLI::App app{
        "cd7match: which of the CD7-directed CAR-T and CAR-NK trials may this patient enter, why, and what is "
        "missing? A screening aid for professionals; it never decides."
#ifdef CD7MATCH_PORTABLE
        " This is the portable build: it has not serve, screen and feedback, which need a network."
#endif
    };
    app.require_subcommand(0, 1);
    app.fallthrough();
    app.footer(
        "Examples:\n"
        "  cd7match replay charts/ --covers Condition,Observation\n"
        "  cd7match replay charts.ndjson.gz --format ndjson > screened.ndjson\n"
        "  cd7match replay chart.json --explain NCT07109518.inc.09a\n"
#ifndef CD7MATCH_PORTABLE
        "  cd7match serve --port 8080\n"
        "  cd7match screen --server http://localhost:8080/fhir --disease\n"
#endif
        "  cd7match trials questionnaire NCT07117305 --chart chart.json\n"
        "  cd7match trials check rules/trials/NCT07109518.json\n"
        "  cd7match audit charts/ --as-of latest\n"
        "  cd7match site check site.json && cd7match replay charts/ --site site.json\n"
        "Exit status: 0 all evaluated, 2 usage or knowledge error, 3 some inputs could not be read.");
    std::string knowledgeFolder;
    app.add_option("--knowledge", knowledgeFolder,
                   "Folder with mapping/facts.json and rules/trials/, instead of the built-in")
        ->envname("CD7MATCH_KNOWLEDGE")
        ->check(CLI::ExistingDirectory);
    std::string site;
    app.add_option("--site", site,
                   "Overlay of this site: local codes, upper limits, windows, trials (docs/site-overlay.md)")
        ->envname("CD7MATCH_SITE")
        ->check(CLI::ExistingFile);
    app.set_config("--config", "", "File with options (TOML), those of serve in its section [serve]")
        ->envname("CD7MATCH_CONFIG");
    app.allow_config_extras(CLI::config_extras_mode::error);
    bool version = false;
    app.add_flag("--version", version, "Name the program and its knowledge, and stop");

    // Which charts, and how they are read: the same for every use of stored ones.
    std::vector<std::string> paths;
    std::string asOf = "today";
    std::vector<std::string> covers;
    std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
    std::size_t mostMegabytes = 64;
    std::size_t memoryMegabytes = 256;
    bool trustInput = false;
    const auto addChartOptions = [&](CLI::App& command) {
        CLI::Option* path =
            command.add_option("path", paths,
                               "Files, folders, or - for standard input: a Bundle, an array of resources, NDJSON with "
                               "one Bundle a line, gzip of these; a folder with the files of a bulk export "
                               "(Patient.000.ndjson)");
        command
            .add_option("--as-of", asOf,
                        "The day of the evaluation: YYYY-MM-DD, today, or latest (the newest date in each chart)")
            ->capture_default_str();
        command
            .add_option("--covers", covers,
                        "Resource types that these charts hold completely, or all; what is not covered is never taken "
                        "for absent")
            ->delimiter(',')
            ->allow_extra_args(false);
        command.add_option("--threads", threads, "Threads that work on charts, the one that reads them among them")
            ->capture_default_str()
            ->check(CLI::Range(1, 256));
        command
            .add_option("--memory", memoryMegabytes,
                        "Memory for putting a bulk export together by patient, in MiB; the rest is spilled to disk")
            ->capture_default_str()
            ->check(CLI::Range(16, 1'048'576));
        command.add_flag("--trust-input", trustInput,
                         "Do not check what nobody reads of a chart: brackets that match, valid UTF-8");
        command.add_option("--max-size", mostMegabytes, "Largest Bundle or line, in MiB")
            ->capture_default_str()
            ->check(CLI::Range(1, 1024));
        return path;
    };

    CLI::App* replay = app.add_subcommand("replay", "Evaluate stored FHIR Bundles");
    CLI::Option* replayed = addChartOptions(*replay);
    ReportWords words;
    words.addTo(*replay);
    std::string replayOutput;
    bool resume = false;
    replay->add_option("--output", replayOutput,
                       "File for the results (NDJSON), with a manifest of what they were made of beside it");
    replay->add_flag("--resume", resume, "Go on with the --output of a run that was interrupted");
    std::string factsFile;
    replay
        ->add_option("--facts", factsFile,
                     "Evaluate the trials over a file of `cd7match facts` instead of charts: status and deciding "
                     "criteria, without evidence")
        ->check(CLI::ExistingFile)
        ->excludes(replayed)
        ->excludes(replay->get_option("--summary"))
        ->excludes(replay->get_option("--report"))
        ->excludes(replay->get_option("--as-of"))
        ->excludes(replay->get_option("--covers"))
        ->excludes(replay->get_option("--explain"))
        ->excludes(replay->get_option("--resume"))
        ->excludes(replay->get_option("--trust-input"));
    std::string against;
    replay
        ->add_option("--against", against,
                     "An earlier output (NDJSON): print who moved, from where to where and by which criteria, instead "
                     "of a report of each chart; with --output beside the file")
        ->check(CLI::ExistingFile)
        ->excludes(replay->get_option("--summary"))
        ->excludes(replay->get_option("--explain"))
        ->excludes(replay->get_option("--resume"));
    replay->footer(
        "Examples:\n"
        "  cd7match replay charts/ --covers Condition,Observation\n"
        "  cd7match replay charts.ndjson.gz --output screened.ndjson --summary --report morning.html\n"
        "  cd7match replay charts.ndjson.gz --output screened.ndjson --resume --report morning.html  # what stands "
        "there\n"
        "                                                              # is counted and not evaluated again\n"
        "  cd7match replay charts/ --summary                                 # the numbers alone, and no patient\n"
        "  cd7match --knowledge amended/ replay charts/ --against screened.ndjson   # what the amendment changes\n"
        "Exit status: 0 all evaluated, 2 usage or knowledge error, 3 some inputs could not be read.");

    CLI::App* writingFacts = app.add_subcommand(
        "facts", "Write the facts of stored charts into one file, over which replay --facts evaluates any trial files");
    addChartOptions(*writingFacts)->required();
    std::string factsOutput;
    writingFacts->add_option("--output", factsOutput, "The file (SQLite; docs/facts-file.md)")->required();
    writingFacts->footer(
        "Examples:\n"
        "  cd7match facts charts/ --as-of 2025-11-13 --covers all --output cohort.facts\n"
        "  cd7match replay --facts cohort.facts\n"
        "  cd7match --knowledge amended/ replay --facts cohort.facts --against last-night.ndjson");

    bool readsRows = false;
    replay->add_flag("--rows", readsRows,
                     "Standard input (-) is one partition of a bulk export that a cluster has shuffled: rows of "
                     "'bulk lines' (deploy/spark/README.md)");

    CLI::App* bulk = app.add_subcommand("bulk", "What a cluster asks of the files of a bulk export (deploy/spark)");
    bulk->require_subcommand(1);
    CLI::App* bulkFiles = bulk->add_subcommand(
        "files", "Print the type of each file that is read, and its name, of names on standard input");
    CLI::App* bulkLines = bulk->add_subcommand(
        "lines", "Read lines of files as rows, and print rows that say which patient each is about");
    bulkLines->add_option("--max-size", mostMegabytes, "Largest line, in MiB")
        ->capture_default_str()
        ->check(CLI::Range(1, 1024));
    bulk->footer(
        "Example:\n"
        "  ls export | cd7match bulk files\n"
        "A row is a line of text: key, kind, name, refers, rank, file, line, offset, text, with tabs between.");

#ifndef CD7MATCH_PORTABLE
    CLI::App* screen =
        app.add_subcommand("screen", "Read patients from a FHIR server and evaluate them as replay does");
    ScreenWords screening;
    screening.addTo(*screen);
    words.addTo(*screen);
    screen->add_option("--as-of", asOf, "The day of the evaluation: YYYY-MM-DD, today, or latest")
        ->capture_default_str();
#endif

    CLI::App* audit = app.add_subcommand(
        "audit", "Say how well the data of a site is understood: facts, codes, units, and codes that are not mapped");
    addChartOptions(*audit)->required();
    std::string auditFormat = "table";
    audit->add_option("--format", auditFormat, "table or json")
        ->capture_default_str()
        ->check(CLI::IsMember({"table", "json"}));
    audit->footer(
        "Examples:\n"
        "  cd7match audit charts/ --as-of latest\n"
        "  cd7match audit export.ndjson.gz --as-of latest --format json > audit.json\n"
        "  cd7match audit charts/ --as-of latest --site site.json    # what the overlay leaves open");

#ifndef CD7MATCH_PORTABLE
    CLI::App* serve = app.add_subcommand("serve", "Answer CDS Hooks: GET /cds-services, POST /cds-services/cd7-trials");
    cds_hooks::Configuration configuration;
    configuration.addTo(*serve);
    bool printConfiguration = false;
    serve->add_flag("--print-config", printConfiguration, "Print every option with its value, as a file for --config")
        ->configurable(false);
    serve->footer(
        "Every option may also stand in the environment (CD7MATCH_PORT for --port) or in the section [serve] of the "
        "file\n"
        "that --config names. SIGHUP loads knowledge and overlay again; SIGTERM finishes the requests in flight.\n"
        "Examples:\n"
        "  cd7match serve --port 8080\n"
        "  cd7match --site site.json serve --origin https://ehr.example.org\n"
        "  cd7match serve --print-config > cd7match.toml && cd7match --config cd7match.toml serve");

    CLI::App* feedback = app.add_subcommand("feedback", "Say what clinicians did with the cards, by trial and month");
    std::string store = cds_hooks::usualStore();
    std::string since = "1970-01-01";
    std::string until = "today";
    std::string feedbackFormat = "table";
    feedback->add_option("--store", store, "File or database in which serve keeps it")->capture_default_str();
    feedback->add_option("--since", since, "First day, YYYY-MM-DD")->capture_default_str();
    feedback->add_option("--until", until, "Last day, YYYY-MM-DD or today")->capture_default_str();
    feedback->add_option("--format", feedbackFormat, "table or csv")
        ->capture_default_str()
        ->check(CLI::IsMember({"table", "csv"}));
#endif

    CLI::App* ehr = app.add_subcommand(
        "ehr-table", "Print what an analyst types into an EHR that does not read discovery, as Markdown tables");
    std::string baseUrl = "https://cds.example.org";
    ehr->add_option("--base-url", baseUrl, "Public address of the service, without a slash at its end")
        ->capture_default_str();

    CLI::App* trialsCommand = app.add_subcommand("trials", "The trials of the knowledge");
    trialsCommand->require_subcommand(1);
    CLI::App* check =
        trialsCommand->add_subcommand("check", "Report every problem of trial files, each with its place");
    std::vector<std::string> checked;
    check->add_option("file", checked, "Trial files (default: those of the knowledge)");
    CLI::App* siteCommand = app.add_subcommand("site", "The overlay of a site");
    siteCommand->require_subcommand(1);
    CLI::App* checkSite = siteCommand->add_subcommand(
        "check", "Report every problem of an overlay, each with its place, or what it says");
    std::string checkedSite;
    checkSite->add_option("file", checkedSite, "The overlay")->required()->check(CLI::ExistingFile);
    CLI::App* list = trialsCommand->add_subcommand("list", "List the trials");
    CLI::App* questionnaire =
        trialsCommand->add_subcommand("questionnaire", "Print the screening form of a trial, a FHIR R4 Questionnaire");
    FormOptions form;
    questionnaire->add_option("trial", form.trial, "The trial: NCT…")->required();
    questionnaire->add_option("--chart", form.chart, "A Bundle: print only the items that this chart leaves open");
    questionnaire->add_option("--as-of", form.asOf, "With --chart: the day of the evaluation")->capture_default_str();
    questionnaire->add_option("--covers", form.covers, "With --chart: resource types that it holds completely, or all")
        ->delimiter(',')
        ->allow_extra_args(false);

    try {
        app.parse(argc, argv);
        if (!version && app.get_subcommands().empty()) {
            std::cerr << app.help();
            return usageOrKnowledgeError;
        }
        if (check->parsed()) return checkTrials(knowledgeFolder, checked);
        if (bulkFiles->parsed()) {
            for (std::string name; std::getline(std::cin, name);) {
                const std::string type = cds_hooks::typeOfFile(name);
                if (!type.empty()) std::cout << type << '\t' << name << '\n';
            }
            return 0;
        }
        if (bulkLines->parsed()) {
            cds_hooks::readBulkLines(std::cin, mostMegabytes << 20U, std::cout);
            return 0;
        }
#ifndef CD7MATCH_PORTABLE
        if (serve->parsed()) {
            const std::vector<mapping::Problem> problems = configuration.problems();
            for (const mapping::Problem& problem : problems) spdlog::error("{}", problem.text());
            if (!problems.empty()) {
                readKnowledge(knowledgeFolder, site);  // says what is wrong there as well
                return usageOrKnowledgeError;
            }
            if (printConfiguration) {
                std::cout << configuration.text(*serve);
                return 0;
            }
        }
#endif
        auto knowledge = checkSite->parsed() ? readKnowledge(knowledgeFolder, checkedSite, cds_hooks::today())
                                             : readKnowledge(knowledgeFolder, site);
        if (!knowledge) return usageOrKnowledgeError;
        if (version) {
            std::cout << "cd7match " << cds_hooks::programVersion() << ", knowledge " << knowledge->digest << " ("
                      << knowledge->trials.size() << " trials, " << knowledge->vocabulary.facts().size() << " facts)\n";
            return 0;
        }
        if (checkSite->parsed()) return describeSite(*knowledge);
        if (list->parsed()) return listTrials(*knowledge);
        if (ehr->parsed()) {
            std::cout << cds_hooks::ehrTable(*knowledge, baseUrl);
            return 0;
        }
        if (questionnaire->parsed()) return printQuestionnaire(*knowledge, form);
#ifndef CD7MATCH_PORTABLE
        if (feedback->parsed()) {
            const auto from = readAsOf(since);
            const auto to = readAsOf(until);
            if (!from || !to) throw CLI::ValidationError("--since, --until", "latest is no day");
            if (!cds_hooks::isDatabase(store) && !std::filesystem::exists(store)) {
                spdlog::error("{}: there is no such store", store);
                return usageOrKnowledgeError;
            }
            const std::vector<cds_hooks::FeedbackRow> rows = cds_hooks::openStore(store)->rows(*from, *to);
            std::cout << (feedbackFormat == "csv" ? cds_hooks::feedbackCsv(rows) : cds_hooks::feedbackTable(rows));
            return 0;
        }
        if (serve->parsed()) {
            bool isFirst = true;
            const auto load = [&](const cds_hooks::Lasting& lasting) -> std::optional<cds_hooks::Served> {
                auto loaded =
                    std::exchange(isFirst, false) ? std::move(knowledge) : readKnowledge(knowledgeFolder, site);
                cds_hooks::Served served;
                if (!configuration.trust().empty()) served.trust = cds_hooks::readTrust(configuration.trust(), lasting);
                if (!loaded || (!configuration.trust().empty() && served.trust == nullptr)) return std::nullopt;
                served.knowledge = std::make_shared<const cds_hooks::Knowledge>(std::move(*loaded));
                return served;
            };
            return cds_hooks::serve(load, configuration.options());
        }
#endif
        const bool terminal = isatty(STDOUT_FILENO) == 1;
        const cds_hooks::EvaluationDay day{readAsOf(asOf), cds_hooks::today()};
#ifndef CD7MATCH_PORTABLE
        if (screen->parsed()) {
            cds_hooks::ScreenOptions& options = screening.options;
            options.report = words.options(terminal && options.output.empty(), !options.output.empty());
            options.day = day;
            options.progress = isatty(STDERR_FILENO) == 1;
            if (!screening.read() || !words.isSound(!options.output.empty()) || !keepTrials(*knowledge, words.trials) ||
                !knowsCriterion(*knowledge, words.explain))
                return usageOrKnowledgeError;
            return cds_hooks::screenServer(*knowledge, options, std::cout);
        }
#endif
        cds_hooks::ChartOptions charts;
        charts.paths = paths;
        if (readsRows && paths != std::vector<std::string>{"-"})
            throw CLI::ValidationError("--rows", "are read from standard input alone: -");
        if (readsRows) charts.rows = &std::cin;
        charts.day = day;
        charts.coverage = readCoverage(covers, knowledge->vocabulary);
        charts.threads = threads;
        charts.mostBytes = mostMegabytes << 20U;
        charts.memoryBytes = memoryMegabytes << 20U;
        charts.trustInput = trustInput;
        charts.progress = isatty(STDERR_FILENO) == 1;
        if (writingFacts->parsed()) return cds_hooks::writeFacts(*knowledge, {charts, factsOutput});
        if (audit->parsed()) return cds_hooks::audit(*knowledge, {charts, auditFormat == "json"}, std::cout);
        if (!keepTrials(*knowledge, words.trials) || !knowsCriterion(*knowledge, words.explain))
            return usageOrKnowledgeError;
        const bool printsNdjson = words.format == "ndjson" || (words.format.empty() && !terminal);
        const auto printed = printsNdjson ? cds_hooks::Format::ndjson : cds_hooks::Format::table;
        if (!factsFile.empty() && words.format == "markdown")
            throw CLI::ValidationError("--format", "with --facts is table or ndjson");
        if (!factsFile.empty())
            return cds_hooks::replayFacts(*knowledge, {factsFile, replayOutput, against, printed, threads}, std::cout);
        if (paths.empty()) throw CLI::RequiredError("path, or --facts,");
        cds_hooks::ReplayOptions replaying{
            charts,       words.options(terminal && replayOutput.empty(), !replayOutput.empty()),
            replayOutput, resume,
            against,      printed};
        if (!against.empty() && replayOutput.empty()) replaying.report.format = cds_hooks::Format::none;
        if (!words.isSound(!replayOutput.empty()) || !isSound(replaying)) return usageOrKnowledgeError;
        return cds_hooks::replay(*knowledge, replaying, std::cout);
    } catch (const CLI::ParseError& error) {
        const int status = app.exit(error, std::cout, std::cerr);
        return status == 0 ? 0 : usageOrKnowledgeError;
    } catch (const std::exception& error) {
        spdlog::error("{}", error.what());
        return usageOrKnowledgeError;
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::ios::sync_with_stdio(false);
    auto logger = spdlog::stderr_logger_mt("cd7match");
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", spdlog::pattern_time_type::utc);
    spdlog::set_default_logger(logger);
    return run(argc, argv);
}
