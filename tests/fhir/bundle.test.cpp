#include "fhir/bundle.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/error.h"

using fhir::Chart;
using fhir::Coverage;
using fhir::Covered;
using fhir::Error;

namespace {

Chart read(std::string json, const Coverage& coverage = {}) {
    return fhir::readBundle(std::make_shared<fhir::json::Document>(std::move(json), fhir::json::Selection::elements),
                            coverage);
}

std::string errorOf(std::string json) {
    try {
        (void)read(std::move(json));
        return {};
    } catch (const Error& error) {
        return error.what();
    }
}

/// A Bundle of these entries and further members that begin with a comma.
std::string bundle(std::string_view type, const std::vector<std::string>& entries, std::string_view members = {}) {
    std::string all;
    for (const std::string& entry : entries) all += (all.empty() ? "" : ",") + entry;
    return R"({"resourceType":"Bundle","type":")" + std::string(type) + R"(","entry":[)" + all + "]" +
           std::string(members) + '}';
}

std::string entry(const std::string& resource) {
    return R"({"resource":)" + resource + '}';
}

const std::string patient = R"({"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"77"}]})";
const std::string observation = R"({"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"}})";
const std::string condition = R"({"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"}})";
const std::string outcome =
    R"({"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational"}]})";

bool hasIssue(const Chart& chart, std::string_view path, std::string_view message) {
    return std::any_of(chart.issues.begin(), chart.issues.end(), [&](const fhir::Issue& issue) {
        return issue.path.starts_with(path) && issue.message.find(message) != std::string::npos;
    });
}

Coverage everything() {
    Coverage coverage;
    coverage.setAll(Covered::completely);
    return coverage;
}

}  // namespace

TEST_CASE("a chart is read from Bundles of every type, and from a bare array") {
    const std::string nested = bundle("searchset", {entry(observation), entry(condition)});
    struct Row {
        std::string_view name;
        std::string json;
    };
    const std::vector<Row> rows{
        {"collection", bundle("collection", {entry(patient), entry(observation), entry(condition)})},
        {"the Patient last", bundle("collection", {entry(condition), entry(observation), entry(patient)})},
        {"searchset", bundle("searchset",
                             {R"({"resource":)" + patient + R"(,"search":{"mode":"match"}})",
                              R"({"resource":)" + observation + R"(,"search":{"mode":"include"}})",
                              R"({"resource":)" + condition + R"(,"search":{"mode":"match"}})",
                              R"({"resource":)" + outcome + R"(,"search":{"mode":"outcome"}})"},
                             R"(,"total":2)")},
        {"transaction",
         bundle("transaction",
                {R"({"resource":)" + patient + R"(,"request":{"method":"PUT","url":"Patient/p1"}})",
                 R"({"resource":)" + observation + R"(,"request":{"method":"POST","url":"Observation"}})",
                 R"({"request":{"method":"DELETE","url":"Observation/9"}})",
                 R"({"resource":)" + condition + R"(,"request":{"method":"POST","url":"Condition"}})"})},
        {"batch-response", bundle("batch-response", {R"({"resource":)" + patient + R"(,"response":{"status":"200"}})",
                                                     R"({"resource":)" + nested + R"(,"response":{"status":"200"}})",
                                                     R"({"response":{"status":"404"}})"})},
        {"document", bundle("document", {entry(R"({"resourceType":"Composition","title":"Summary"})"), entry(patient),
                                         entry(observation), entry(condition)})},
        {"history", bundle("history", {entry(patient), entry(observation), entry(condition)})},
        {"no type", R"({"resourceType":"Bundle","entry":[)" + entry(patient) + ',' + entry(observation) + ',' +
                        entry(condition) + "]}"},
        {"array", '[' + patient + ',' + observation + ',' + condition + ']'},
        {"array with a Bundle", '[' + patient + ',' + nested + ']'},
        {"nulls and empty entries",
         bundle("collection", {"null", "{}", entry(patient), entry("null"), entry(observation), entry(condition)})},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        const Chart chart = read(row.json, everything());
        CHECK(chart.patient.id == "p1");
        CHECK(chart.observation.size() == 1);
        CHECK(chart.condition.size() == 1);
        CHECK_FALSE(chart.incomplete);
        CHECK(chart.coverage.of("Observation") == Covered::completely);
    }
}

TEST_CASE("resources keep their place in the document") {
    const Chart chart =
        read(bundle("batch-response", {entry(patient), entry(bundle("searchset", {"{}", entry(observation)}))}));
    REQUIRE(chart.observation.size() == 1);
    CHECK(chart.observation.front().place.text() == "entry[1].resource.entry[1].resource");
    const Chart array = read('[' + observation + ',' + patient + ']');
    REQUIRE(array.observation.size() == 1);
    CHECK(array.observation.front().place.text() == "[0]");
}

TEST_CASE("other resource types pass by in silence, things without a type do not") {
    const Chart chart = read(bundle("collection", {entry(patient), entry(R"({"resourceType":"Claim","id":"x"})"),
                                                   entry(R"({"id":"x"})"), entry("[7]"), entry("\"x\"")}));
    CHECK_FALSE(hasIssue(chart, "entry[1]", ""));
    CHECK(hasIssue(chart, "entry[2].resource", "no resourceType"));
    CHECK(hasIssue(chart, "entry[3].resource[0]", "not a resource"));
    CHECK(hasIssue(chart, "entry[4].resource", "not a resource"));
}

TEST_CASE("a reference is this patient's, or it is not") {
    struct Row {
        std::string_view fullUrl, subject;
        bool own;
    };
    const std::string_view absolute = "https://ehr.example/r4/Patient/p1";
    const std::string_view uuid = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0";
    const std::vector<Row> rows{
        {"", R"({"reference":"Patient/p1"})", true},
        {"", R"({"reference":"Patient/p1/_history/3"})", true},
        {"", R"({"reference":"p1"})", true},
        {"", R"({"reference":"https://ehr.example/r4/Patient/p1"})", true},
        {"", R"({"reference":"https://ehr.example/r4/Patient/p1/_history/3"})", true},
        {absolute, R"({"reference":"https://ehr.example/r4/Patient/p1"})", true},
        {absolute, R"({"reference":"Patient/p1"})", true},
        {uuid, R"({"reference":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"})", true},
        {uuid, R"({"reference":"Patient/p1"})", true},
        {uuid, R"({"reference":"Patient/0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"})", true},
        {"urn:uuid:not-a-uuid", R"({"reference":"urn:uuid:not-a-uuid"})", true},
        {"Patient/p1", R"({"reference":"Patient/p1"})", true},
        {"", R"({"reference":"Patient?identifier=urn:mrn|77"})", true},
        {"", R"({"reference":"Patient?identifier=77"})", true},
        {"", R"({"identifier":{"system":"urn:mrn","value":"77"}})", true},
        {"", R"({"identifier":{"value":"77"}})", true},
        {"", R"({"display":"the patient"})", true},
        {"", "null", true},
        {"", R"({"reference":"Patient/p1","identifier":{"system":"urn:mrn","value":"78"}})", true},

        {"", R"({"reference":"Patient/p2"})", false},
        {"", R"({"reference":"Patient/p2/_history/3"})", false},
        {"", R"({"reference":"Patient/p11"})", false},
        {"", R"({"reference":"Patient/P1"})", false},
        {"", R"({"reference":"p2"})", false},
        {"", R"({"reference":"Group/p1"})", false},
        {"", R"({"reference":"Group/1"})", false},
        {"", R"({"reference":"Practitioner/p1"})", false},
        {"", R"({"reference":"https://ehr.example/r4/Group/p1"})", false},
        {"", R"({"reference":"https://ehr.example/r4/Patient/p2"})", false},
        {uuid, R"({"reference":"urn:uuid:ffffffff-1cbf-4d64-b04d-cd9187a4c6e0"})", false},
        {"", R"({"reference":"Patient?identifier=urn:mrn|78"})", false},
        {"", R"({"reference":"Patient?identifier=urn:other|77"})", false},
        {"", R"({"identifier":{"system":"urn:mrn","value":"78"}})", false},
        {"", R"({"identifier":{"system":"urn:other","value":"77"}})", false},
        {"", R"({"identifier":{"system":"urn:mrn"}})", false},
        {"", R"({"reference":"Patient/"})", false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.fullUrl);
        CAPTURE(row.subject);
        const std::string url = row.fullUrl.empty() ? "" : R"("fullUrl":")" + std::string(row.fullUrl) + "\",";
        const std::string subject = R"("subject":)" + std::string(row.subject);
        const Chart chart = read(bundle("collection", {'{' + url + R"("resource":)" + patient + '}',
                                                       entry(R"({"resourceType":"Observation",)" + subject + '}'),
                                                       entry(R"({"resourceType":"Condition",)" + subject + '}')}));
        CHECK(chart.observation.size() == (row.own ? 1 : 0));
        CHECK(chart.condition.size() == (row.own ? 1 : 0));
        CHECK(hasIssue(chart, "", "2 resource(s) about somebody or something else") == !row.own);
    }
}

TEST_CASE("a reference that cannot be read is nobody's: the resource is left out, and its type is not all there") {
    for (const std::string_view subject :
         {R"("Patient/p1")", R"([{"reference":"Patient/p1"}])", R"({"reference":["Patient/p1"]})", R"({"reference":7})",
          R"({"reference":{"value":"Patient/p2"}})", R"({"identifier":"77"})"}) {
        CAPTURE(subject);
        const Chart chart =
            read(bundle("collection",
                        {entry(patient),
                         entry(R"({"resourceType":"Condition","id":"x","subject":)" + std::string(subject) + "}"),
                         entry(condition), entry(observation)}),
                 everything());
        CHECK(chart.condition.size() == 1);
        CHECK(hasIssue(chart, "entry[1].resource.subject", "resource left out"));
        CHECK(chart.coverage.of("Condition") == Covered::partly);
        CHECK(chart.coverage.of("Observation") == Covered::completely);
    }
}

TEST_CASE("an id longer than sixty-four characters is an id") {
    const std::string id(90, 'e');
    const Chart chart = read(bundle(
        "collection", {entry(R"({"resourceType":"Patient","id":")" + id + "\"}"),
                       entry(R"({"resourceType":"Condition","subject":{"reference":"Patient/)" + id + "\"}}"),
                       entry(R"({"resourceType":"Condition","subject":{"reference":"Patient/)" + id + "e\"}}")}));
    CHECK(chart.condition.size() == 1);
}

TEST_CASE("a patient without an id is nobody whom a reference could mean") {
    const Chart chart = read(bundle("collection", {entry(R"({"resourceType":"Patient"})"), entry(observation)}));
    CHECK(chart.observation.empty());
}

TEST_CASE("an Observation with a focus is about something else") {
    const std::string about =
        R"({"resourceType":"Observation","subject":{"reference":"Patient/p1"},"focus":[{"reference":"Patient/fetus"}]})";
    const std::string empty = R"({"resourceType":"Observation","subject":{"reference":"Patient/p1"},"focus":[]})";
    const Chart chart = read(bundle("collection", {entry(patient), entry(about), entry(empty)}));
    CHECK(chart.observation.size() == 1);
    CHECK(hasIssue(chart, "", "1 resource(s)"));
}

TEST_CASE("resources of other patients are counted and never named") {
    std::vector<std::string> entries{entry(patient), entry(observation)};
    for (int i = 0; i < 7; ++i)
        entries.push_back(entry(R"({"resourceType":"Observation","id":"x","subject":{"reference":"Patient/secret-)" +
                                std::to_string(i) + "\"}}"));
    const Chart chart = read(bundle("collection", entries));
    CHECK(chart.observation.size() == 1);
    for (const fhir::Issue& issue : chart.issues) CHECK(issue.message.find("secret") == std::string::npos);
    CHECK_FALSE(chart.issues.empty());
}

TEST_CASE("the same resource counts once") {
    const auto full = [](std::string_view url, const std::string& resource) {
        return R"({"fullUrl":")" + std::string(url) + R"(","resource":)" + resource + '}';
    };
    const auto version = [](std::string_view status, std::string_view lastUpdated) {
        return R"({"resourceType":"Observation","id":"o1")" +
               (lastUpdated.empty() ? "" : R"(,"meta":{"lastUpdated":")" + std::string(lastUpdated) + "\"}") +
               R"(,"status":")" + std::string(status) + "\"}";
    };
    struct Row {
        std::string_view name;
        std::vector<std::string> entries;
        std::string_view statuses;
    };
    const std::vector<Row> rows{
        {"twice the same", {entry(version("final", "")), entry(version("final", ""))}, "final"},
        {"two versions that nothing tells apart",
         {entry(version("final", "")), entry(version("amended", ""))},
         "final amended"},
        {"a newer version",
         {entry(version("final", "2025-01-01T00:00:00Z")), entry(version("amended", "2025-01-02T00:00:00Z"))},
         "amended"},
        {"a newer version, first",
         {entry(version("amended", "2025-01-02T00:00:00Z")), entry(version("final", "2025-01-01T00:00:00Z"))},
         "amended"},
        {"three versions",
         {entry(version("preliminary", "2025-01-01T00:00:00Z")), entry(version("corrected", "2025-01-03T00:00:00Z")),
          entry(version("final", "2025-01-02T00:00:00Z"))},
         "corrected"},
        {"an offset makes it newer",
         {entry(version("final", "2025-01-01T23:30:00Z")), entry(version("amended", "2025-01-01T23:00:00-05:00"))},
         "amended"},
        {"the same moment, another content",
         {entry(version("final", "2025-01-01T00:00:00Z")), entry(version("amended", "2025-01-01T00:00:00Z"))},
         "final amended"},
        {"one id on two servers",
         {full("https://a.example/Observation/o1", version("final", "")),
          full("https://b.example/Observation/o1", version("amended", ""))},
         "final amended"},
        {"one address, two versions",
         {full("https://a.example/Observation/o1", version("final", "2025-01-01")),
          full("https://a.example/Observation/o1", version("amended", "2025-01-02"))},
         "amended"},
        {"one id on two types",
         {entry(version("final", "")), entry(R"({"resourceType":"Condition","id":"o1"})")},
         "final"},
        {"no id at all",
         {entry(R"({"resourceType":"Observation","status":"final"})"),
          entry(R"({"resourceType":"Observation","status":"final"})")},
         "final final"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        std::vector<std::string> entries{entry(patient)};
        entries.insert(entries.end(), row.entries.begin(), row.entries.end());
        const Chart chart = read(bundle("collection", entries));
        std::string statuses;
        for (const fhir::ObservationOutline& one : chart.observation)
            statuses += (statuses.empty() ? "" : " ") + std::string(one.status);
        CHECK(statuses == row.statuses);
    }
}

TEST_CASE("a chart is one patient's") {
    const std::string other = R"({"resourceType":"Patient","id":"p2"})";
    CHECK(errorOf(bundle("collection", {entry(patient), entry(other)}))
              .starts_with("entry[1].resource: a second Patient"));
    CHECK(errorOf(bundle("collection", {entry(patient), entry(bundle("searchset", {entry(other)}))}))
              .starts_with("entry[1].resource.entry[0].resource: "));
    CHECK(errorOf('[' + patient + ',' + other + ']').starts_with("[1]: "));
    CHECK(errorOf(bundle("collection", {entry(patient), entry(patient)})) == "");
    CHECK(errorOf(bundle("collection", {entry(observation)})) == "no Patient resource");
    CHECK(errorOf(R"({"resourceType":"Bundle","type":"searchset","total":0})") == "no Patient resource");
    CHECK(errorOf("[]") == "no Patient resource");
    // The newer version of one patient.
    const Chart chart = read(bundle(
        "collection",
        {entry(R"({"resourceType":"Patient","id":"p1","meta":{"lastUpdated":"2025-01-01"},"gender":"other"})"),
         entry(R"({"resourceType":"Patient","id":"p1","meta":{"lastUpdated":"2025-02-01"},"gender":"female"})")}));
    CHECK(chart.patient.gender == "female");
}

TEST_CASE("other JSON is an error that says what is needed") {
    CHECK(errorOf("{}").starts_with("resourceType: missing"));
    CHECK(errorOf(patient).starts_with("resourceType: is Patient; a Bundle is needed"));
    CHECK(errorOf(R"({"resourceType":"OperationOutcome"})").find("OperationOutcome") != std::string::npos);
    for (const std::string_view json : {"\"Bundle\"", "7", "true", "null"}) {
        CAPTURE(json);
        CHECK(errorOf(std::string(json)) == "neither a Bundle nor an array of resources");
    }
    CHECK(errorOf(R"({"resourceType":")" + std::string(100'000, 'x') + "\"}").size() < 200);
    CHECK_FALSE(errorOf(R"({"resourceType":"Bundle","entry":{"resource":{}}})").empty());
}

TEST_CASE("a malformed resource is left out with its path, and the rest stays") {
    struct Row {
        std::string_view resource, path;
    };
    const std::vector<Row> rows{
        {R"({"resourceType":"Observation","id":"x","status":"final","status":"cancelled"})",
         "entry[1].resource.status"},
        {R"({"resourceType":"Observation","id":"x","code":{"text":"a"},"code":{"text":"b"}})",
         "entry[1].resource.code"},
        {R"({"resourceType":"Observation","id":"x","subject":{"reference":"Patient/p1"},"subject":{"reference":"Patient/p2"}})",
         "entry[1].resource.subject"},
        {R"({"resourceType":"Condition","id":"x","onsetDateTime":"2024","onsetDateTime":"2025"})",
         "entry[1].resource.onsetDateTime"},
        {R"({"resourceType":"Condition","resourceType":"Observation"})", "entry[1]"},
        {R"({"resourceType":"Observation","valueQuantity":{"value":1,"value":2}})", "entry[1].resource"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.resource);
        const Chart chart = read(bundle(
            "collection", {entry(patient), entry(std::string(row.resource)), entry(observation), entry(condition)}));
        CHECK(chart.observation.size() == 1);
        CHECK(chart.condition.size() == 1);
        CHECK(hasIssue(chart, row.path, "resource left out"));
    }
}

TEST_CASE("a resource whose id or version stands twice is left out as well") {
    for (const std::string_view resource :
         {R"({"resourceType":"Observation","id":"x","id":"y"})",
          R"({"resourceType":"Observation","id":"o1","meta":{"lastUpdated":"2024"},"meta":{"lastUpdated":"2025"}})"}) {
        CAPTURE(resource);
        const std::string json =
            bundle("collection", {entry(patient), entry(observation), entry(std::string(resource)), entry(condition)});
        CHECK(errorOf(json) == "");
        if (!errorOf(json).empty()) continue;
        const Chart chart = read(json);
        CHECK(chart.observation.size() == 1);
        CHECK(chart.condition.size() == 1);
        CHECK(hasIssue(chart, "entry[2].resource", "resource left out"));
    }
}

TEST_CASE("what was left out is missing from its type, and what names no type from all of them") {
    struct Row {
        const char* name;
        std::string entry;
        Covered conditions, observations;
    };
    for (const Row& row : std::vector<Row>{
             {"nothing", entry("null"), Covered::completely, Covered::completely},
             {"a Condition", entry(R"({"resourceType":"Condition","id":"1","id":"2"})"), Covered::partly,
              Covered::completely},
             {"an Observation", entry(R"({"resourceType":"Observation","status":"final","status":"amended"})"),
              Covered::completely, Covered::partly},
             {"another type", entry(R"({"resourceType":"Claim","id":"1","id":"2"})"), Covered::completely,
              Covered::completely},
             {"two types", entry(R"({"resourceType":"Condition","resourceType":"Observation"})"), Covered::partly,
              Covered::partly},
             {"no type", entry(R"({"id":"1"})"), Covered::partly, Covered::partly},
             {"no resource", entry("7"), Covered::partly, Covered::partly},
             {"a Bundle", entry(R"({"resourceType":"Bundle","entry":[],"entry":[7]})"), Covered::partly,
              Covered::partly},
             {"somebody else's", entry(R"({"resourceType":"Condition","subject":{"reference":"Patient/p2"}})"),
              Covered::completely, Covered::completely},
         }) {
        CAPTURE(row.name);
        const Chart chart =
            read(bundle("collection", {entry(patient), entry(condition), entry(observation), row.entry}), everything());
        CHECK(chart.condition.size() == 1);
        CHECK(chart.observation.size() == 1);
        CHECK(chart.coverage.of("Condition") == row.conditions);
        CHECK(chart.coverage.of("Condition", "problems") == row.conditions);
        CHECK(chart.coverage.of("Observation") == row.observations);
    }
}

TEST_CASE("issues do not grow without bound") {
    std::vector<std::string> entries{entry(patient)};
    for (int i = 0; i < 1'000; ++i) entries.push_back(entry(R"({"resourceType":"Observation","issued":"never"})"));
    const Chart chart = read(bundle("collection", entries));
    CHECK(chart.observation.size() == 1'000);
    CHECK(chart.issues.size() < 300);
    CHECK(chart.issues.back().message.find("800 more issues") != std::string::npos);
    CHECK(fhir::countIssues(chart.issues) == 1'000);
    // Cut again, none of those that were cut before is forgotten.
    std::vector<fhir::Issue> more = chart.issues;
    more.push_back({"", "another"});
    fhir::limitIssues(more);
    CHECK(fhir::countIssues(more) == 1'001);
}

TEST_CASE("an outcome that says results were withheld limits the coverage, one that says nothing was found does not") {
    struct Row {
        std::string_view issue;
        bool withheld;
    };
    const std::vector<Row> rows{
        // Epic: Client not authorized for ... results of this type have not been included.
        {R"({"severity":"warning","code":"suppressed","details":{"coding":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.657369","code":"59204"}]}})",
         true},
        {R"({"severity":"error","code":"processing"})", true},
        {R"({"severity":"fatal","code":"exception"})", true},
        {R"({"severity":"warning","code":"incomplete"})", true},
        {R"({"severity":"warning","code":"timeout"})", true},
        {R"({"severity":"information","code":"forbidden"})", true},
        // Epic: Resource request returns no results.
        {R"({"severity":"warning","code":"processing","details":{"coding":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.657369","code":"4101"}]}})",
         false},
        {R"({"severity":"information","code":"informational"})", false},
        {R"({"severity":"warning","code":"not-found"})", false},
        {R"({"severity":"warning","code":"business-rule"})", false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.issue);
        const std::string operationOutcome =
            R"({"resourceType":"OperationOutcome","issue":[)" + std::string(row.issue) + "]}";
        const std::string json =
            bundle("searchset", {entry(patient), entry(observation),
                                 R"({"search":{"mode":"outcome"},"resource":)" + operationOutcome + '}'});
        const Chart chart = read(json, everything());
        CHECK(chart.incomplete == row.withheld);
        CHECK(chart.coverage.of("Observation") == (row.withheld ? Covered::partly : Covered::completely));
        CHECK(chart.observation.size() == 1);
        const fhir::json::Document document(json);
        CHECK(fhir::withholds(document.root()) == row.withheld);
    }
}

TEST_CASE("a Bundle with a next page covers nothing completely") {
    const auto linked = [](std::string_view relation) {
        return bundle(
            "searchset", {entry(patient), entry(observation)},
            R"(,"link":[{"relation":"self","url":"x"},{"relation":")" + std::string(relation) + R"(","url":"y"}])");
    };
    CHECK(read(linked("next"), everything()).incomplete);
    CHECK(read(linked("next"), everything()).coverage.of("Condition") == Covered::partly);
    CHECK_FALSE(read(linked("previous"), everything()).incomplete);
    // A page inside a batch-response counts the same.
    CHECK(read(bundle("batch-response", {entry(linked("next"))}), everything()).incomplete);
    // What was not read is not read in part.
    Coverage coverage;
    coverage.set("Condition", Covered::notRead);
    CHECK(read(linked("next"), coverage).coverage.of("Condition") == Covered::notRead);
    CHECK(read(linked("next"), coverage).coverage.of("Observation") == Covered::undeclared);
}

TEST_CASE("coverage is per type, and per part of a type") {
    Coverage coverage;
    CHECK(coverage.of("Observation") == Covered::undeclared);
    coverage.set("Observation", Covered::completely);
    CHECK(coverage.of("Observation") == Covered::completely);
    CHECK(coverage.of("Condition") == Covered::undeclared);
    CHECK(coverage.of("Observation", "labs") == Covered::completely);
    coverage.set("Observation", "labs", Covered::notRead);
    CHECK(coverage.of("Observation", "labs") == Covered::notRead);
    CHECK(coverage.of("Observation", "vitals") == Covered::completely);
    CHECK(coverage.of("Observation") == Covered::completely);
    coverage.set("Observation", Covered::partly);
    CHECK(coverage.of("Observation") == Covered::partly);
    coverage.setAll(Covered::completely);
    CHECK(coverage.of("Observation", "labs") == Covered::completely);
    CHECK(coverage.of("Procedure") == Covered::completely);
    coverage.limitToPartly();
    CHECK(coverage.of("Procedure") == Covered::partly);
    CHECK(coverage.of("Observation", "labs") == Covered::partly);
}

TEST_CASE("the presence of a resource covers nothing") {
    const Chart chart = read(bundle("searchset", {entry(patient), entry(observation)}));
    CHECK(chart.coverage.of("Observation") == Covered::undeclared);
    CHECK_FALSE(chart.incomplete);
}

TEST_CASE("a chart is read from several sources of one document") {
    const auto document = std::make_shared<fhir::json::Document>(
        R"({"prefetch":{"patient":)" + patient + R"(,"labs":)" + bundle("searchset", {entry(observation)}) + "}}");
    const fhir::json::Value prefetch = document->root()["prefetch"];
    const Chart chart = fhir::readChart(
        document, {{prefetch["patient"], "prefetch.patient"}, {prefetch["labs"], "prefetch.labs"}}, everything());
    REQUIRE(chart.observation.size() == 1);
    CHECK(chart.observation.front().place.text() == "prefetch.labs.entry[0].resource");
    CHECK(chart.coverage.of("Observation") == Covered::completely);
}

TEST_CASE("a status with a trailing space is that status") {
    const Chart chart = read(bundle(
        "collection", {entry(patient), entry(R"({"resourceType":"Observation","status":"entered-in-error "})")}));
    REQUIRE(chart.observation.size() == 1);
    CHECK(chart.observation.front().status == "entered-in-error");
}

TEST_CASE("a chart outlives the call that read it") {
    Chart chart;
    { chart = read(bundle("collection", {entry(patient), entry(observation)})); }
    const Chart moved = std::move(chart);
    CHECK(moved.patient.id == "p1");
    CHECK(moved.observation.front().id == "o1");
}

TEST_CASE("what is no record says what it says also when its id contradicts itself") {
    const std::string twoIds = R"("id":"a","id":"b",)";
    const Chart withheld =
        read(bundle("collection", {entry(patient), entry(R"({"resourceType":"OperationOutcome",)" + twoIds +
                                                         R"("issue":[{"severity":"error","code":"suppressed"}]})")}),
             everything());
    CHECK(withheld.incomplete);
    const Chart whole =
        read(bundle("collection",
                    {entry(patient), entry(R"({"resourceType":"Encounter",)" + twoIds + "\"x\":1}"),
                     entry("{" + twoIds + R"("resourceType":"Bundle","entry":[)" + entry(condition) + "]}")},
                    "," + twoIds + R"("meta":{},"meta":{"lastUpdated":"2025"})"),
             everything());
    CHECK_EQ(whole.leftOut, 0);
    CHECK_FALSE(whole.incomplete);
    CHECK_EQ(whole.condition.size(), 1);
    const Chart record = read(bundle(
        "collection", {entry(patient), entry(R"({"resourceType":"Condition",)" + twoIds + R"("code":{"text":"x"}})")}));
    CHECK_EQ(record.leftOut, 1);
}
