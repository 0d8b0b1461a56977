#include "cds-hooks/write_back.h"

#include <spdlog/spdlog.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "fhir/error.h"
#include "fhir/json.h"

namespace cds_hooks {

using fhir::Error;
using fhir::json::Writer;

namespace {

/// HL7 Terminology, NamingSystem ClinicalTrials-Gov.
constexpr std::string_view studySystem = "http://clinicaltrials.gov";
constexpr std::string_view listSystem = "urn:cd7match:screening-list";
constexpr std::string_view taskSystem = "urn:cd7match:task";

void writeIdentifier(Writer& writer, std::string_view system, const std::string& value) {
    writer.name("identifier")
        .beginArray()
        .beginObject()
        .member("system", system)
        .member("value", value)
        .endObject()
        .endArray();
}

void writeReference(Writer& writer, std::string_view name, const std::string& reference) {
    writer.name(name).beginObject().member("reference", reference).endObject();
}

/// A resource on the server.
struct Stored {
    std::string reference;
    /// Of a List that was there already: what its entries refer to.
    std::optional<std::set<std::string>> entries = std::nullopt;
};

class Creator {
public:
    Creator(const FhirServer& server, std::string run, fhir::Date asOf)
        : server_(server), run_(std::move(run)), asOf_(asOf) {}

    void list(const rules::Trial& trial, const std::vector<const Candidate*>& candidates) {
        const auto study = create("ResearchStudy", trial, studySystem, trial.id, [&](Writer& writer) {
            writer.member("title", trial.title).member("status", trial.recruits() ? "active" : "approved");
        });
        if (!study) {
            failed_ += candidates.size() + 1;  // its subjects and its List
            return;
        }
        std::vector<std::string> subjects;
        for (const Candidate* candidate : candidates) {
            const auto subject = create("ResearchSubject", trial, researchSubjectSystem,
                                        trial.id + '/' + candidate->patientId, [&](Writer& writer) {
                                            writer.member("status", rules::word(candidate->status));
                                            writeReference(writer, "study", study->reference);
                                            writeReference(writer, "individual", "Patient/" + candidate->patientId);
                                        });
            if (subject) subjects.push_back(subject->reference);
        }
        if (subjects.size() < candidates.size()) {
            ++failed_;
            spdlog::error("no List of {} is written: it would not be whole", trial.id);
            return;
        }
        const std::optional<Stored> known =
            create("List", trial, listSystem, run_ + '/' + trial.id, [&](Writer& writer) {
                writer.member("status", "current")
                    .member("mode", "snapshot")
                    .member("title", "Screened for " + trial.id + " as of " + asOf_.text() + ": " + trial.title)
                    .member("date", asOf_.text());
                if (subjects.empty()) return;
                writer.name("entry").beginArray();
                for (const std::string& subject : subjects) {
                    writer.beginObject();
                    writeReference(writer, "item", subject);
                    writer.endObject();
                }
                writer.endArray();
            });
        if (known && known->entries && *known->entries != std::set<std::string>(subjects.begin(), subjects.end())) {
            ++failed_;
            spdlog::error("the List of {} of run {} is there, and holds others; name another --run", trial.id, run_);
        }
    }

    void task(const Candidate& candidate) {
        create("Task", *candidate.trial, taskSystem, candidate.trial->id + '/' + candidate.patientId,
               [&](Writer& writer) {
                   writer.member("status", "requested")
                       .member("intent", "proposal")
                       .member("description", candidate.summary)
                       .member("authoredOn", asOf_.text());
                   writeReference(writer, "for", "Patient/" + candidate.patientId);
               });
    }

    std::size_t failed() const { return failed_; }

private:
    /// The reference of the one resource with that identifier, which is created if it is not there; nothing, counted
    /// and named, when that fails.
    std::optional<Stored> create(const std::string& type, const rules::Trial& trial, std::string_view system,
                                 const std::string& value, const std::function<void(Writer&)>& elements) {
        Writer writer;
        writer.beginObject().member("resourceType", type);
        writeIdentifier(writer, system, value);
        elements(writer);
        writer.endObject();
        const std::string token = fhir::percentEncoded(std::string(system)) + "%7C" + fhir::percentEncoded(value);
        try {
            // Not every server knows conditional create, and none of those says so.
            if (auto found = find(type, token)) return found;
            const fhir::HttpResponse response =
                server_.send({server_.base() + '/' + type,
                              "POST",
                              {"Content-Type: application/fhir+json", "Accept: application/fhir+json",
                               "Prefer: return=representation",
                               "If-None-Exist: identifier=" + fhir::percentEncoded(std::string(system)) + "%7C" +
                                   fhir::percentEncoded(value)},
                              std::string(writer.text())});
            if (response.status != 200 && response.status != 201)
                throw Error("", "the answer is " + std::to_string(response.status));
            return Stored{type + '/' + idOf(response, type)};
        } catch (const Error& error) {
            ++failed_;
            spdlog::error("a {} of {} could not be written: {}", type, trial.id,
                          error.path().empty() ? error.what() : "the answer is not JSON");
            return std::nullopt;
        }
    }

    /// The resource with that identifier; nothing when there is none. Throws Error when that cannot be told.
    std::optional<Stored> find(const std::string& type, const std::string& token) const {
        fhir::SearchOptions options = server_.options();
        options.selection = fhir::json::Selection::everything;
        const fhir::SearchResult result = server_.ask({{type + "?identifier=" + token}}, options).at(0);
        if (result.outcome != fhir::SearchResult::Outcome::complete)
            throw Error("", "it cannot be looked for: " + result.reason);
        for (const auto& page : result.pages) {
            for (const fhir::json::Value entry : page->root()["entry"].items()) {
                const fhir::json::Value resource = entry["resource"];
                if (resource["resourceType"].text() != type || !resource["id"]) continue;
                std::set<std::string> entries;
                for (const fhir::json::Value each : resource["entry"].items())
                    entries.emplace(each["item"]["reference"].text());
                return Stored{type + '/' + std::string(resource["id"].text()), std::move(entries)};
            }
        }
        return std::nullopt;
    }

    /// From the resource that is sent back, or else from where it is said to be: ".../List/1/_history/1".
    static std::string idOf(const fhir::HttpResponse& response, const std::string& type) {
        if (!response.body.empty()) {
            const fhir::json::Document document(response.body);
            if (document.root()["resourceType"].text() == type && document.root()["id"])
                return std::string(document.root()["id"].text());
        }
        const auto location = response.headers.find("location");
        if (location != response.headers.end()) {
            const auto at = location->second.rfind('/' + type + '/');
            if (at != std::string::npos) {
                const std::string id = location->second.substr(at + type.size() + 2);
                return id.substr(0, id.find('/'));
            }
        }
        throw Error("", "the answer does not say where it is");
    }

    const FhirServer& server_;
    std::string run_;
    fhir::Date asOf_;
    std::size_t failed_ = 0;
};

}  // namespace

std::size_t writeBack(const FhirServer& server, const std::vector<Candidate>& candidates, WriteBack what,
                      const std::string& run, fhir::Date asOf) {
    Creator creator(server, run, asOf);
    if (what == WriteBack::task) {
        for (const Candidate& candidate : candidates) creator.task(candidate);
    }
    if (what == WriteBack::list) {
        std::map<std::string, std::vector<const Candidate*>> byTrial;
        for (const Candidate& candidate : candidates) byTrial[candidate.trial->id].push_back(&candidate);
        for (const auto& [id, ofTrial] : byTrial) creator.list(*ofTrial.front()->trial, ofTrial);
    }
    return creator.failed();
}

}  // namespace cds_hooks
