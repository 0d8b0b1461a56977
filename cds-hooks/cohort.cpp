#include "cds-hooks/cohort.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <unordered_set>

#include "fhir/bundle.h"
#include "fhir/error.h"

namespace cds_hooks {

using fhir::Error;
using fhir::json::Value;

namespace {

/// For lists of patients, which may have very many pages.
fhir::SearchOptions forLists(const FhirServer& server) {
    fhir::SearchOptions options = server.options();
    options.selection = fhir::json::Selection::everything;
    options.pages = 100'000;
    options.deadline = std::chrono::hours(1);
    return options;
}

/// The ids of a list, each once and in its order.
class PatientIds {
public:
    explicit PatientIds(const std::string& base) : base_(base + '/') {}

    void add(std::string_view id) {
        if (!id.empty() && known_.emplace(id).second) ids_.emplace_back(id);
    }
    /// "Patient/1", below the base or by itself, of any version; anything else names no patient of this server.
    void addReference(std::string_view reference) {
        static constexpr std::string_view type = "Patient/";
        if (reference.starts_with(base_)) reference.remove_prefix(base_.size());
        if (!reference.starts_with(type)) return;
        reference.remove_prefix(type.size());
        add(reference.substr(0, reference.find('/')));
    }
    std::vector<std::string> take() { return std::move(ids_); }

private:
    std::string base_;
    std::unordered_set<std::string> known_;
    std::vector<std::string> ids_;
};

/// One resource by its id, as "Group/1". Throws Error.
std::shared_ptr<const fhir::json::Document> readOne(const FhirServer& server, const std::string& type,
                                                    const std::string& id) {
    const fhir::SearchResult result = server.ask({{type + '/' + id}}, forLists(server)).at(0);
    if (result.outcome != fhir::SearchResult::Outcome::complete)
        throw Error("", server.base() + ": the " + type + " cannot be read: " + result.reason);
    const Value root = result.pages.front()->root();
    if (root["resourceType"].text() != type)
        throw Error("", server.base() + ": what was asked for as a " + type + " is none");
    return result.pages.front();
}

void addDiseased(const FhirServer& server, const Knowledge& knowledge, PatientIds& patients) {
    constexpr std::size_t codesEach = 100;
    const std::vector<std::string> codes = diseaseCodes(knowledge);
    std::vector<fhir::Query> queries;
    for (std::size_t i = 0; i < codes.size(); ++i) {
        if (i % codesEach == 0) queries.push_back({"Condition?_count=200&code="});
        queries.back().text += (i % codesEach == 0 ? "" : ",") + codes[i];
    }
    std::set<std::string> found;
    PatientIds unordered(server.base());
    for (const fhir::SearchResult& result : server.ask(queries, forLists(server))) {
        if (result.outcome != fhir::SearchResult::Outcome::complete)
            throw Error("", server.base() + ": not every patient with a diagnosis can be found: Condition?code=…: " +
                                result.reason);
        for (const auto& page : result.pages) {
            for (const Value entry : page->root()["entry"].items()) {
                const Value resource = entry["resource"];
                if (resource["resourceType"].text() == "Condition")
                    unordered.addReference(resource["subject"]["reference"].text());
            }
            if (fhir::withholds(page->root(), true))
                throw Error("", server.base() +
                                    ": not every patient with a diagnosis is shown: the server withholds "
                                    "some");
        }
    }
    const std::vector<std::string> ids = unordered.take();
    found.insert(ids.begin(), ids.end());
    for (const std::string& id : found) patients.add(id);
}

/// The codes that a category of ICD-10 may hold: itself, and one further digit or letter.
void addCategory(std::string_view category, std::set<std::string>& codes) {
    static constexpr std::string_view further = "0123456789A";
    codes.emplace(category);
    for (const char each : further)
        codes.insert(std::string(category) + (category.find('.') == std::string_view::npos ? "." : "") + each);
}

}  // namespace

std::vector<std::string> diseaseCodes(const Knowledge& knowledge) {
    const std::set<std::size_t> facts = gateFacts(knowledge.vocabulary, knowledge.trials);
    std::set<std::string> codes;
    for (const mapping::CodeRow& row : knowledge.vocabulary.rows()) {
        if (!facts.contains(row.fact)) continue;
        if (row.code.ends_with('-')) {
            addCategory(std::string_view(row.code).substr(0, row.code.size() - 1), codes);
        } else {
            codes.insert(row.code);
        }
    }
    std::set<std::string> all = codes;
    for (const std::string& code : codes) {
        std::string plain = code;
        std::erase(plain, '.');
        all.insert(plain);
    }
    return {all.begin(), all.end()};
}

std::vector<std::string> readCohort(const FhirServer& server, const Knowledge& knowledge, const Cohort& cohort) {
    PatientIds patients(server.base());
    for (const std::string& id : cohort.patients) patients.add(id);
    if (!cohort.group.empty()) {
        const auto document = readOne(server, "Group", cohort.group);
        for (const Value member : document->root()["member"].items()) {
            if (!member["inactive"].isTrue()) patients.addReference(member["entity"]["reference"].text());
        }
    }
    if (!cohort.list.empty()) {
        const auto document = readOne(server, "List", cohort.list);
        for (const Value entry : document->root()["entry"].items()) {
            if (!entry["deleted"].isTrue()) patients.addReference(entry["item"]["reference"].text());
        }
    }
    if (cohort.disease) addDiseased(server, knowledge, patients);
    std::vector<std::string> ids = patients.take();
    if (ids.empty() && !cohort.disease) throw Error("", server.base() + ": no patient is named");
    return ids;
}

}  // namespace cds_hooks
