#include "cds-hooks/server_charts.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "fhir/error.h"
#include "fhir/searchset.h"

namespace cds_hooks {

using fhir::Error;
using fhir::SearchResult;
using fhir::json::Value;

namespace {

/// Ids of FHIR R4 and the longer ones of some vendors: nothing that could mean another address.
bool isId(std::string_view id) {
    return !id.empty() && id.size() <= 256 && id != "." && id != ".." && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_';
    });
}

/// What resources refer to and what they are, each as "Medication/1".
struct References {
    std::set<std::string> wanted;
    std::set<std::string> present;

    void add(const std::string& base, Value reference) {
        std::string_view text = reference["reference"].text();
        if (text.starts_with(base) && text.substr(base.size()).starts_with('/')) text.remove_prefix(base.size() + 1);
        const auto slash = text.find('/');
        if (slash == std::string_view::npos) return;
        const std::string_view type = text.substr(0, slash);
        const std::string_view id = text.substr(slash + 1, text.find('/', slash + 1) - slash - 1);
        if (fhir::isOneOf(fhir::referencedTypes, type) && isId(id))
            wanted.insert(std::string(type) + '/' + std::string(id));
    }

    void see(const std::string& base, Value resource) {
        present.insert(std::string(resource["resourceType"].text()) + '/' + std::string(resource["id"].text()));
        add(base, resource["medicationReference"]);
        add(base, resource["study"]);
        for (const Value data : resource["provision"]["data"].items()) add(base, data["reference"]);
    }
};

/// One query for each type and so many ids: "Medication?_id=1,2".
std::vector<fhir::Query> queriesFor(const References& references) {
    constexpr std::size_t idsEach = 50;
    std::vector<fhir::Query> queries;
    std::size_t count = 0;
    std::string last;
    for (const std::string& each : references.wanted) {
        if (references.present.contains(each)) continue;
        const auto slash = each.find('/');
        const std::string type = each.substr(0, slash);
        if (type != last || count == idsEach) {
            queries.push_back({type + "?_id="});
            count = 0;
        }
        last = type;
        queries.back().text += (count++ == 0 ? "" : ",") + each.substr(slash + 1);
    }
    return queries;
}

/// Throws Error when the answer may be another one later.
void checkIsFinal(const SearchResult& result, std::string_view type) {
    if (result.isTransient) throw Error("", std::string(type) + " could not be read: " + result.reason);
}

}  // namespace

fhir::Chart readServerChart(const FhirServer& server, const std::string& patientId) {
    if (!isId(patientId)) throw Error("", "the id is none that a Patient can have");
    std::vector<fhir::Query> queries{{"Patient/" + patientId}};
    std::vector<std::string_view> types{"Patient"};
    const auto ask = [&](std::string_view type) {
        queries.push_back({std::string(type) + "?patient=" + patientId + "&_count=200"});
        types.push_back(type);
    };
    for (const std::string_view type : fhir::recordTypes) ask(type);
    for (const std::string_view type : fhir::activityTypes) ask(type);
    const std::vector<SearchResult> results = server.ask(queries);

    const SearchResult& found = results.front();
    if (found.outcome != SearchResult::Outcome::complete)
        throw Error("", "the Patient could not be read: " + found.reason);
    const Value patient = found.pages.front()->root();
    if (patient["resourceType"].text() != "Patient" || patient["id"].text() != patientId)
        throw Error("", "the Patient could not be read: the answer is somebody or something else");
    fhir::Searchsets searchsets;
    searchsets.sources.push_back({patient, "Patient"});
    fhir::Coverage coverage;
    coverage.setAll(fhir::Covered::notRead);
    for (std::size_t i = 1; i < results.size(); ++i) {
        checkIsFinal(results[i], types[i]);
        const std::string type(types[i]);
        coverage.set(type, searchsets.add(results[i], type));
    }
    References references;
    for (const fhir::Source& source : searchsets.sources) {
        for (const Value entry : source.value["entry"].items()) references.see(server.base(), entry["resource"]);
    }
    const std::vector<fhir::Query> further = queriesFor(references);
    if (!further.empty()) {
        // Without these a drug or a study stays unknown by name.
        for (const SearchResult& result : server.ask(further)) {
            checkIsFinal(result, "a Medication or ResearchStudy");
            searchsets.add(result, "referenced");
        }
    }
    fhir::Chart chart = fhir::readChart(found.pages.front(), searchsets.sources, std::move(coverage), patientId);
    chart.pages = std::move(searchsets.pages);
    return chart;
}

ChartSource serverCharts(const FhirServer& server, std::vector<std::string> patients, EvaluationDay day,
                         std::function<void(const std::string& patientId)> onFailure) {
    const auto ids = std::make_shared<const std::vector<std::string>>(std::move(patients));
    ChartSource source;
    source.total = ids->size();
    source.inputs = [ids](const std::function<bool(Input)>& take) {
        std::size_t number = 0;
        for (const std::string& id : *ids) {
            Input input;
            // What is said of a failure names no patient.
            input.origin.file = "patient " + std::to_string(++number) + " of " + std::to_string(ids->size());
            input.text = id;
            if (!take(std::move(input))) return;
        }
    };
    source.read = [&server, day](Input input) {
        fhir::Chart chart = readServerChart(server, input.text);
        const fhir::Date asOf = day.of(chart);
        Origin origin;
        origin.url = server.base() + "/Patient/" + input.text;
        return StoredChart{std::move(origin), std::move(chart), asOf};
    };
    source.onFailure = [ids, onFailure = std::move(onFailure)](std::size_t number) { onFailure((*ids)[number]); };
    return source;
}

}  // namespace cds_hooks
