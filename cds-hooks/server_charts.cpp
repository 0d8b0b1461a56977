#include "cds-hooks/server_charts.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "cds-hooks/discovery.h"
#include "fhir/error.h"
#include "fhir/searchset.h"

namespace cds_hooks {

using fhir::Error;
using fhir::SearchResult;
using fhir::json::Value;

namespace {

/// What resources refer to and what they are, each as "Medication/1".
struct References {
    std::set<std::string> wanted;
    std::set<std::string> present;

    void see(const std::string& base, Value resource) {
        present.insert(std::string(resource["resourceType"].text()) + '/' + std::string(resource["id"].text()));
        for (std::string& name : fhir::referencesOf(resource, base)) wanted.insert(std::move(name));
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

/// What is known of one patient while it is being read.
class ChartReader {
public:
    ChartReader(const FhirServer& server, const Knowledge& knowledge, const std::string& patientId)
        : server_(server), knowledge_(knowledge), patientId_(patientId) {
        coverage_.setAll(fhir::Covered::notRead);
    }

    fhir::Chart read() {
        const std::vector<SearchResult> results = server_.ask(queries());
        const SearchResult& found = results.front();
        constexpr int unauthorized = 401;
        if (found.status == unauthorized) throw TokenRefused();
        if (found.outcome != SearchResult::Outcome::complete)
            throw Error("", "the Patient could not be read: " + found.reason);
        const Value patient = found.pages.front()->root();
        if (patient["resourceType"].text() != "Patient" || patient["id"].text() != patientId_)
            throw Error("", "the Patient could not be read: the answer is somebody or something else");
        searchsets_.sources.push_back({patient, "Patient"});
        for (std::size_t i = 1; i < results.size(); ++i) {
            const std::string type(fhir::patientTypes[i - 1]);
            checkIsFinal(results[i], type);
            coverage_.set(type, searchsets_.add(results[i], type));
        }
        constexpr int badRequest = 400;
        static_assert(fhir::patientTypes.front() == "Observation");
        if (results[1].status == badRequest) readObservationsByCode();
        readReferenced();
        fhir::Chart chart = fhir::readChart(found.pages.front(), searchsets_.sources, std::move(coverage_), patientId_);
        chart.pages = std::move(searchsets_.pages);
        return chart;
    }

private:
    std::vector<fhir::Query> queries() const {
        std::vector<fhir::Query> queries{{"Patient/" + patientId_}};
        for (const std::string_view type : fhir::patientTypes)
            queries.push_back({std::string(type) + "?patient=" + patientId_ + "&_count=200"});
        return queries;
    }

    /// Some servers show Observations by code or category alone; then those whose codes the vocabulary knows are read.
    void readObservationsByCode() {
        std::vector<fhir::Query> queries;
        std::vector<const PrefetchTemplate*> asked;
        for (const PrefetchTemplate& expected : knowledge_.prefetch) {
            if (expected.resourceType != "Observation") continue;
            queries.push_back({queryFor(expected, patientId_)});
            asked.push_back(&expected);
        }
        const std::vector<SearchResult> results = server_.ask(queries);
        for (std::size_t i = 0; i < results.size(); ++i) {
            checkIsFinal(results[i], "Observation");
            coverage_.set("Observation", asked[i]->part, searchsets_.add(results[i], "Observation." + asked[i]->key));
        }
    }

    /// Without what they refer to a drug or a study stays unknown by name.
    void readReferenced() {
        References references;
        for (const fhir::Source& source : searchsets_.sources) {
            for (const Value entry : source.value["entry"].items()) references.see(server_.base(), entry["resource"]);
        }
        const std::vector<fhir::Query> queries = queriesFor(references);
        if (queries.empty()) return;
        for (const SearchResult& result : server_.ask(queries)) {
            checkIsFinal(result, "a Medication or ResearchStudy");
            searchsets_.add(result, "referenced");
        }
    }

    const FhirServer& server_;
    const Knowledge& knowledge_;
    const std::string& patientId_;
    fhir::Searchsets searchsets_;
    fhir::Coverage coverage_;
};

}  // namespace

fhir::Chart readServerChart(const FhirServer& server, const Knowledge& knowledge, const std::string& patientId) {
    if (!fhir::isId(patientId)) throw Error("", "the id is none that a Patient can have");
    return ChartReader(server, knowledge, patientId).read();
}

ChartSource serverCharts(const FhirServer& server, const Knowledge& knowledge,
                         std::shared_ptr<const std::vector<std::string>> patients, EvaluationDay day, ServerRun& run,
                         std::function<void(const std::string& patientId)> onFailure) {
    constexpr int mostRefusals = 3;
    ChartSource source;
    source.total = patients->size();
    source.inputs = [patients, &run](const std::function<bool(Input)>& take) {
        for (const std::string& id : *patients) {
            if (run.refusalsInARow >= mostRefusals) return;
            Input input;
            // What is said of a failure names no patient.
            input.origin.file = "patient " + std::to_string(++run.askedFor) + " of " + std::to_string(patients->size());
            input.text = id;
            if (!take(std::move(input))) return;
        }
    };
    source.read = [&server, &knowledge, day, &run](Input input) {
        fhir::Chart chart;
        try {
            chart = readServerChart(server, knowledge, input.text);
            run.refusalsInARow = 0;
        } catch (const TokenRefused&) {
            ++run.refusalsInARow;
            throw;
        }
        const fhir::Date asOf = day.of(chart);
        Origin origin;
        origin.url = server.base() + "/Patient/" + input.text;
        return StoredChart{std::move(origin), std::move(chart), asOf};
    };
    source.onFailure = [patients, onFailure = std::move(onFailure)](std::size_t number) {
        onFailure((*patients)[number]);
    };
    return source;
}

}  // namespace cds_hooks
