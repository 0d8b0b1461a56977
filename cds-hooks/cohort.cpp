#include "cds-hooks/cohort.h"

#include <algorithm>
#include <chrono>
#include <limits>
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
    options.totalBytes = std::numeric_limits<std::size_t>::max();
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
    /// "Patient/1", below the base or by itself, of any version. What is no patient ("Device/1") is left alone; whoever
    /// is named otherwise is counted.
    void addReference(Value reference) {
        static constexpr std::string_view type = "Patient/";
        std::string_view text = reference["reference"].text();
        if (text.starts_with(base_)) text.remove_prefix(base_.size());
        if (text.starts_with(type)) {
            text.remove_prefix(type.size());
            add(text.substr(0, text.find('/')));
        } else if (text.empty() || text.find("://") != std::string_view::npos || text.starts_with("urn:")) {
            ++unresolved_;
        }
    }
    std::size_t unresolved() const { return unresolved_; }
    std::vector<std::string> take() { return std::move(ids_); }

private:
    std::string base_;
    std::unordered_set<std::string> known_;
    std::vector<std::string> ids_;
    std::size_t unresolved_ = 0;
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

std::vector<fhir::Query> byCode(const Knowledge& knowledge) {
    constexpr std::size_t codesEach = 100;
    const std::vector<std::string> codes = diseaseCodes(knowledge);
    std::vector<fhir::Query> queries;
    for (std::size_t i = 0; i < codes.size(); ++i) {
        if (i % codesEach == 0) queries.push_back({"Condition?_count=200&code="});
        queries.back().text += (i % codesEach == 0 ? "" : ",") + codes[i];
    }
    return queries;
}

bool mayConcern(Value condition, const Knowledge& knowledge) {
    fhir::json::Writer writer;
    writer.value(condition);
    return knowledge.gateCodes.mayConcern(writer.text());
}

/// How many of them are named otherwise than by an id.
std::size_t addDiseased(const FhirServer& server, const Knowledge& knowledge, bool isScan, PatientIds& patients) {
    std::vector<fhir::Query> queries = isScan ? std::vector<fhir::Query>{{"Condition?_count=200"}} : byCode(knowledge);
    PatientIds unordered(server.base());
    bool isWhole = true;
    fhir::SearchOptions options = forLists(server);
    options.selection = fhir::json::Selection::elements;
    options.onPage = [&](const fhir::json::Document& page) {
        const Value bundle = page.root();
        isWhole = isWhole && bundle["resourceType"].text() == "Bundle" && !fhir::withholds(bundle, true);
        for (const Value entry : bundle["entry"].items()) {
            const Value resource = entry["resource"];
            if (resource["resourceType"].text() != "Condition" || (isScan && !mayConcern(resource, knowledge)))
                continue;
            unordered.addReference(resource["subject"]);
        }
    };
    for (const fhir::SearchResult& result : server.ask(queries, options)) {
        if (result.outcome != fhir::SearchResult::Outcome::complete)
            throw Error(
                "", server.base() + ": not every patient with a diagnosis can be found: Condition: " + result.reason);
    }
    if (!isWhole)
        throw Error("", server.base() + ": not every patient with a diagnosis is shown: the server withholds some");
    std::vector<std::string> ids = unordered.take();
    std::sort(ids.begin(), ids.end());
    for (const std::string& id : ids) patients.add(id);
    return unordered.unresolved();
}

/// The codes that a category of ICD-10 may hold: itself, and further digits or letters up to the fifth.
void addCategory(std::string_view category, std::set<std::string>& codes) {
    static constexpr std::string_view further = "0123456789A";
    const bool hasDot = category.find('.') != std::string_view::npos;
    codes.emplace(category);
    for (const char fourth : further) {
        const std::string code = std::string(category) + (hasDot ? "" : ".") + fourth;
        codes.insert(code);
        if (hasDot) continue;
        for (const char fifth : further) codes.insert(code + fifth);
    }
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

Patients readCohort(const FhirServer& server, const Knowledge& knowledge, const Cohort& cohort) {
    PatientIds patients(server.base());
    for (const std::string& id : cohort.patients) patients.add(id);
    if (!cohort.group.empty()) {
        const auto document = readOne(server, "Group", cohort.group);
        for (const Value member : document->root()["member"].items()) {
            if (!member["inactive"].isTrue()) patients.addReference(member["entity"]);
        }
    }
    if (!cohort.list.empty()) {
        const auto document = readOne(server, "List", cohort.list);
        for (const Value entry : document->root()["entry"].items()) {
            if (!entry["deleted"].isTrue()) patients.addReference(entry["item"]);
        }
    }
    const bool byDisease = cohort.disease || cohort.diseaseScan;
    const std::size_t unresolved = byDisease ? addDiseased(server, knowledge, cohort.diseaseScan, patients) : 0;
    Patients result{patients.take(), unresolved + patients.unresolved()};
    if (result.ids.empty() && result.unresolved == 0 && !byDisease)
        throw Error("", server.base() + ": no patient is named");
    return result;
}

}  // namespace cds_hooks
