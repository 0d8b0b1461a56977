#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "cds-hooks/report.h"
#include "tests/support.h"

namespace {

constexpr std::string_view asOf = "2025-11-20";

struct Read {
    cds_hooks::Knowledge knowledge;
    std::vector<std::string> problems;
};

Read withSite(const std::string& text) {
    Read result;
    std::vector<mapping::Problem> problems;
    result.knowledge =
        cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems, cds_hooks::KnowledgeFile{"site.json", text});
    for (const mapping::Problem& problem : problems) result.problems.push_back(problem.text());
    return result;
}

std::string patient(std::string_view gender = "male", std::string_view birthDate = "1970-01-01") {
    return R"({"resourceType":"Patient","id":"p","gender":")" + std::string(gender) + R"(","birthDate":")" +
           std::string(birthDate) + "\"}";
}

std::string result(std::string_view system, std::string_view code, std::string_view value, std::string_view unit,
                   const std::string& members = {}) {
    return R"({"resourceType":"Observation","id":"o","status":"final","effectiveDateTime":"2025-11-15",)" + members +
           R"("code":{"coding":[{"system":")" + std::string(system) + R"(","code":")" + std::string(code) +
           R"("}]},"subject":{"reference":"Patient/p"},"valueQuantity":{"value":)" + std::string(value) +
           R"(,"unit":")" + std::string(unit) + "\"}}";
}

std::string procedure(std::string_view system, std::string_view code) {
    return R"({"resourceType":"Procedure","id":"q","status":"completed","performedDateTime":"2015-01-01",
               "subject":{"reference":"Patient/p"},"code":{"coding":[{"system":")" +
           std::string(system) + R"(","code":")" + std::string(code) + R"("}]}})";
}

std::string verdict(const cds_hooks::Knowledge& knowledge, const std::vector<std::string>& resources,
                    std::string_view trial, std::string_view criterion,
                    const std::vector<std::string>& covered = {"Condition"}) {
    const auto screening = cds_hooks::screen(
        knowledge, support::chartOf(support::bundleOf(resources), support::covering(covered)), support::day(asOf));
    return support::truth(screening, trial, criterion) + ' ' + support::basis(screening, trial, criterion);
}

}  // namespace

TEST_CASE("a local code means nothing without the overlay and decides with it") {
    const std::string site =
        R"({"codes":{"urn:lab":{"EF":{"fact":"lvef","display":"Ejection fraction"},"OLD":{"fact":"lvef","display":"x","role":"review"}}}})";
    const Read read = withSite(site);
    REQUIRE_MESSAGE(read.problems.empty(), read.problems.front());
    const std::vector<std::string> chart{patient(), result("urn:lab", "EF", "40", "%")};
    CHECK(verdict(support::knowledge(), chart, "NCT07345780", "inc.08g") == "unknown missing");
    CHECK(verdict(read.knowledge, chart, "NCT07345780", "inc.08g") == "false recorded");
    CHECK(verdict(read.knowledge, {patient(), result("urn:lab", "OLD", "40", "%")}, "NCT07345780", "inc.08g") ==
          "unknown unconfirmed");
    CHECK(verdict(read.knowledge, {patient(), result("urn:other", "EF", "40", "%")}, "NCT07345780", "inc.08g") ==
          "unknown missing");
}

TEST_CASE("silence in a code system counts only where the site says that its mapping is complete") {
    const std::string cpt = "http://www.ama-assn.org/go/cpt";
    const std::string other = procedure(cpt, "99999");
    const std::string codes = R"({"codes":{")" + cpt +
                              R"(":{"38240":{"fact":"stemCellTransplant","display":"Transplantation"},
                                    "10000":{"fact":"majorSurgery","display":"Laparoscopy","role":"review"}}})";
    const Read some = withSite(codes + "}");
    REQUIRE(some.problems.empty());
    const Read every = withSite(codes + R"(,"complete":[")" + cpt + R"("]})");
    REQUIRE_MESSAGE(every.problems.empty(), every.problems.front());
    const auto transplanted = [&](const cds_hooks::Knowledge& knowledge, const std::string& record) {
        return verdict(knowledge, {patient(), record}, "NCT07117305", "exc.10", {"Procedure"});
    };
    CHECK(transplanted(support::knowledge(), other) == "unknown asked");
    CHECK(transplanted(some.knowledge, other) == "unknown asked");
    CHECK(transplanted(every.knowledge, other) == "false none-on-file");
    CHECK(transplanted(some.knowledge, procedure(cpt, "38240")) == "true recorded");
    // Of a fact without an accepted code in it a complete system says nothing.
    CHECK(verdict(every.knowledge, {patient(), other}, "NCT07345780", "exc.11a", {"Procedure"}) == "unknown asked");
}

TEST_CASE("a code system that the vocabulary knew is recognised for no further fact by one code of an overlay") {
    // Live vaccines have codes in CVX, and none in ICD-10.
    const std::string icd10 = "http://hl7.org/fhir/sid/icd-10-cm";
    const std::string codes = R"({"codes":{")" + icd10 + R"(":{"Z92.99":{"fact":"liveVaccine","display":"x"}}})";
    const std::string vaccination =
        R"({"resourceType":"Immunization","id":"v","status":"completed","patient":{"reference":"Patient/p"},
            "occurrenceDateTime":"2025-11-15","vaccineCode":{"coding":[{"system":")" +
        icd10 + R"(","code":"Z23"}]}})";
    const auto vaccinated = [&](const std::string& site) {
        const Read read = withSite(site);
        REQUIRE_MESSAGE(read.problems.empty(), read.problems.front());
        return verdict(read.knowledge, {patient(), vaccination}, "NCT07345780", "exc.12a", {"Immunization"});
    };
    CHECK(vaccinated("{}") == "unknown asked");
    CHECK(vaccinated(codes + "}") == "unknown asked");
    CHECK(vaccinated(codes + R"(,"complete":[")" + icd10 + R"("]})") == "false none-on-file");
}

TEST_CASE("a record that is mapped leaves nothing open about its fact, in whatever system") {
    // Outside the window it does not count, and it is the only one.
    const Read read = withSite(
        R"({"codes":{"urn:local":{"TX":{"fact":"stemCellTransplant","display":"x"},"MI":{"fact":"myocardialInfarction","display":"x"}}}})");
    REQUIRE_MESSAGE(read.problems.empty(), read.problems.front());
    const std::string infarction =
        R"({"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"onsetDateTime":"2015-01-01",
            "code":{"coding":[{"system":"urn:local","code":"MI"}]}})";
    CHECK(verdict(read.knowledge, {patient(), infarction}, "NCT07109518", "exc.06b") == "false none-on-file");
    CHECK(verdict(read.knowledge, {patient(), procedure("urn:local", "TX")}, "NCT07345780", "exc.08a", {"Procedure"}) ==
          "false none-on-file");
    CHECK(verdict(read.knowledge, {patient(), procedure("urn:local", "TX"), procedure("urn:local", "TY")},
                  "NCT07345780", "exc.08a", {"Procedure"}) == "unknown asked");
}

TEST_CASE("a code is taken from the vocabulary only when the overlay says so") {
    const std::string mapped = R"({"codes":{"http://loinc.org":{"10230-1":{"fact":"ecog","display":"x")";
    REQUIRE(withSite(mapped + "}}}}").problems.size() == 1);
    CHECK(
        withSite(mapped + "}}}}").problems.front() ==
        "site.json: /codes/http://loinc.org/10230-1: is a code of lvef already; \"replace\": true takes it from there");
    const Read read = withSite(mapped + R"(,"replace":true}}}})");
    REQUIRE(read.problems.empty());
    CHECK(verdict(read.knowledge, {patient(), result("http://loinc.org", "10230-1", "40", "%")}, "NCT07345780",
                  "inc.08g") == "unknown missing");
}

TEST_CASE("an upper limit of the site is assumed, where sex and age leave one and the result has none") {
    // NCT07117175 inc.06.4b: alt <= 3 xULN.
    const Read read = withSite(
        R"({"upperLimits":{"alt":[{"value":40,"unit":"U/L","sex":"male"},{"value":30,"unit":"U/L","sex":"female","ageFrom":18},
                                  {"value":20,"unit":"U/L","sex":"female","ageTo":17}]}})");
    REQUIRE_MESSAGE(read.problems.empty(), read.problems.front());
    const auto alt = [&](const std::string& who, std::string_view value, const std::string& range = {}) {
        return verdict(read.knowledge, {who, result("http://loinc.org", "1742-6", value, "U/L", range)}, "NCT07117175",
                       "inc.06.4b");
    };
    CHECK(alt(patient(), "120") == "true assumed");
    CHECK(alt(patient(), "121") == "false assumed");
    CHECK(alt(patient("female"), "90") == "true assumed");
    CHECK(alt(patient("female"), "91") == "false assumed");
    CHECK(alt(patient("female", "2010-01-01"), "61") == "false assumed");
    // Eighteen this year or not: two bands, two limits.
    CHECK(alt(patient("female", "2007"), "120") == "unknown no-upper-limit");
    CHECK(alt(patient("unknown"), "120") == "unknown no-upper-limit");
    // The result's own limit comes first.
    CHECK(alt(patient(), "61", R"("referenceRange":[{"high":{"value":20,"unit":"U/L"}}],)") == "false recorded");
    CHECK(verdict(support::knowledge(), {patient(), result("http://loinc.org", "1742-6", "120", "U/L")}, "NCT07117175",
                  "inc.06.4b") == "unknown no-upper-limit");
}

TEST_CASE("an assumed limit is said to be one, in the unit of the result") {
    const Read read = withSite(R"({"upperLimits":{"totalBilirubin":[{"value":1.2,"unit":"mg/dL"}]}})");
    REQUIRE(read.problems.empty());
    const auto screening = cds_hooks::screen(
        read.knowledge,
        support::chartOf(support::bundleOf({patient(), result("http://loinc.org", "14631-6", "17.104", "umol/L")})),
        support::day(asOf));
    const std::string line = cds_hooks::ndjsonLine(screening, read.knowledge, {"x.json", 0});
    CHECK(line.find(R"("upperLimit":20.5248,"assumed":true,"xULN":0.833)") != std::string::npos);
}

TEST_CASE("a freshness window of the site counts") {
    const Read read = withSite(R"({"freshness":{"lvef":"3 days"}})");
    REQUIRE(read.problems.empty());
    const std::vector<std::string> chart{patient(), result("http://loinc.org", "10230-1", "60", "%")};
    CHECK(verdict(support::knowledge(), chart, "NCT07345780", "inc.08g") == "true recorded");
    CHECK(verdict(read.knowledge, chart, "NCT07345780", "inc.08g") == "unknown stale");
}

TEST_CASE("every problem of an overlay is reported at once, with its place") {
    const Read read = withSite(R"({
        "colour": "red",
        "complete": [ "urn:nowhere", "urn:lab", "urn:lab", "", 7, null ],
        "codes": { "urn:lab": { "A": { "fact": "ghost", "display": "x" }, "B": { "fact": "lvef" },
                                "C": { "fact": "lvef", "display": "x", "role": "maybe", "colour": 1 },
                                "D": { "fact": "ecog", "display": "x", "role": "answer" }, "E": 7 }, "": {} },
        "upperLimits": { "ghost": [], "gilbertSyndrome": [], "lvef": 3,
                         "alt": [ { "value": -1, "unit": "U/L" }, { "value": 40, "unit": "mg/dL", "sex": "both" },
                                  { "value": 40, "unit": "U/L", "ageFrom": 5, "ageTo": 4 } ],
                         "ast": [ { "value": 40, "unit": "U/L" }, { "value": 41, "unit": "U/L", "sex": "male" } ] },
        "freshness": { "lvef": "soon", "ghost": "3 days", "gilbertSyndrome": "3 days" },
        "trials": { "NCT00000000": {}, "NCT07109518": { "enabled": "no", "status": { "value": "", "asOf": "yesterday" },
                                                        "coordinator": {}, "colour": 1 } },
        "orders": { "ghost": {}, "lvef": { "system": "x", "code": "y" }, "gilbertSyndrome": { "system": "x", "code": "y", "display": "z" } },
        "referral": { "code": "y" }
    })");
    for (const std::string_view place : {"/colour: unknown key",
                                         "/complete/0: 'urn:nowhere' has no entry under codes",
                                         "/complete/2: 'urn:lab' stands twice",
                                         "/complete/3: is blank",
                                         "/complete/4: is not a string",
                                         "/complete/5: is not a string",
                                         "/codes/urn:lab/A/fact: unknown fact 'ghost'",
                                         "/codes/urn:lab/B/display: missing",
                                         "/codes/urn:lab/C/role: 'maybe'",
                                         "/codes/urn:lab/C/colour: unknown key",
                                         "/codes/urn:lab/D/value: goes with",
                                         "/codes/urn:lab/E: is not an object",
                                         "/codes/: a code system without its URI",
                                         "/upperLimits/ghost: unknown fact",
                                         "/upperLimits/gilbertSyndrome: 'gilbertSyndrome' is no quantity",
                                         "/upperLimits/lvef: is not a list",
                                         "/upperLimits/alt/0/value: is not a positive number",
                                         "/upperLimits/alt/1/unit: 'mg/dL' is not one of",
                                         "/upperLimits/alt/1/sex: 'both'",
                                         "/upperLimits/alt/2/ageTo: is below ageFrom",
                                         "/upperLimits/ast/1: overlaps with entry 0",
                                         "/freshness/lvef: 'soon'",
                                         "/freshness/ghost: unknown fact",
                                         "/freshness/gilbertSyndrome: 'gilbertSyndrome' does not",
                                         "/trials/NCT00000000: is not a trial",
                                         "/trials/NCT07109518/enabled: is not true or false",
                                         "/trials/NCT07109518/status/value: is blank",
                                         "/trials/NCT07109518/status/asOf: is not a date",
                                         "/trials/NCT07109518/coordinator: names nobody",
                                         "/trials/NCT07109518/colour: unknown key",
                                         "/orders/ghost: unknown fact",
                                         "/orders/lvef/display: missing",
                                         "/orders/gilbertSyndrome: 'gilbertSyndrome' is answered",
                                         "/referral/system: missing",
                                         "/referral/display: missing"}) {
        const std::string wanted = "site.json: " + std::string(place);
        CHECK_MESSAGE(std::any_of(read.problems.begin(), read.problems.end(),
                                  [&](const std::string& problem) { return problem.starts_with(wanted); }),
                      wanted);
    }
    CHECK(withSite("[]").problems.size() == 1);
    CHECK(withSite("{").problems.size() == 1);
    CHECK(withSite(R"({"codes":[]})").problems == std::vector<std::string>{"site.json: /codes: is not an object"});
}

TEST_CASE("what is not of the kind that is asked for is one problem, and never read as something else") {
    struct Row {
        std::string overlay, problem;
    };
    const auto code = [](const std::string& members) { return R"({"codes":{"urn:lab":{"A":{)" + members + "}}}}"; };
    const auto of = [](const std::string& fact) { return R"("fact":")" + fact + R"(","display":"x")"; };
    const auto answer = [&](const std::string& fact, const std::string& value) {
        return code(of(fact) + R"(,"role":"answer","value":)" + value);
    };
    const auto limit = [](const std::string& entry) { return R"({"upperLimits":{"totalBilirubin":[)" + entry + "]}}"; };
    const auto trial = [](const std::string& members) { return R"({"trials":{"NCT07109518":{)" + members + "}}}"; };
    const std::string urn = "/codes/urn:lab/A";
    for (const Row& row : std::vector<Row>{
             {R"({"codes":null})", "/codes: is not an object"},
             {R"({"complete":null})", "/complete: is not a list"},
             {R"({"upperLimits":null})", "/upperLimits: is not an object"},
             {R"({"freshness":null})", "/freshness: is not an object"},
             {R"({"trials":null})", "/trials: is not an object"},
             {R"({"orders":null})", "/orders: is not an object"},
             {R"({"referral":null})", "/referral: is not an object"},
             {R"({"codes":{"urn:lab":null}})", "/codes/urn:lab: is not an object"},
             {R"({"codes":{"urn:lab":{"A":null}}})", urn + ": is not an object"},
             {R"({"codes":{"urn:lab":{" ":{"fact":"lvef","display":"x"}}}})", "/codes/urn:lab/ : an empty code"},
             {code(R"("fact":7,"display":"x")"), urn + "/fact: is not a string"},
             {code(R"("fact":"lvef","display":7)"), urn + "/display: is not a string"},
             {code(R"("fact":"lvef","display":" ")"), urn + "/display: is blank"},
             {code(of("lvef") + R"(,"role":null)"), urn + "/role: is not a string"},
             {code(of("lvef") + R"(,"role":7)"), urn + "/role: is not a string"},
             {code(of("lvef") + R"(,"replace":"true")"), urn + "/replace: is not true or false"},
             {code(of("lvef") + R"(,"replace":null)"), urn + "/replace: is not true or false"},
             {code(of("lvef") + R"(,"value":"1")"), urn + "/value: goes with the role answer"},
             {answer("ecog", "1"), urn + "/value: is not a string"},
             {answer("ecog", R"("6")"), urn + "/value: '6' is no answer that 'ecog' can have: 0, 1, 2, 3, 4, 5"},
             {answer("ecog", R"("fit")"), urn + "/value: 'fit' is no answer"},
             {answer("lvef", R"("55")"), urn + "/value: '55' is no answer that 'lvef' can have"},
             {answer("bestResponse", R"("cr")"),
              urn + "/value: 'cr' is no answer that 'bestResponse' can have: CR, CRi"},
             {answer("pregnancy", R"("positive")"),
              urn + "/value: 'positive' is no answer that 'pregnancy' can have: pre"},
             {answer("heartFailureNyha3or4", R"("III")"), urn + "/value: 'III' is no answer"},
             {answer("gilbertSyndrome", R"("yes")"), urn + "/value: 'yes' is no answer"},
             {answer("inspiredOxygen", R"("21")"), urn + "/value: '21' is no answer"},
             {R"({"codes":{"http://loinc.org":{"X":{"fact":"lvef","display":"x"}},
                           "https://loinc.org":{"X":{"fact":"lvef","display":"x","replace":true}}}})",
              "/codes/https://loinc.org/X: is the same code as one above"},
             {limit(R"({"value":"21","unit":"umol/L"})"), "/upperLimits/totalBilirubin/0/value: is not a positive"},
             {limit(R"({"value":2100,"unit":"mg/dL"})"), "/upperLimits/totalBilirubin/0/value: no result of "},
             {limit(R"({"value":2100,"unit":7})"), "/upperLimits/totalBilirubin/0/unit: is not a string"},
             {limit(R"({"value":1,"unit":"mg/dL","sex":null})"), "/upperLimits/totalBilirubin/0/sex: is not a string"},
             {limit(R"({"value":1,"unit":"mg/dL","ageTo":"17"})"), "/upperLimits/totalBilirubin/0/ageTo: '17' is not"},
             {limit(R"({"value":1,"unit":"mg/dL","ageTo":null})"), "/upperLimits/totalBilirubin/0/ageTo: '' is not"},
             {limit("null"), "/upperLimits/totalBilirubin/0: is not an object"},
             {R"({"freshness":{"lvef":null}})", "/freshness/lvef: '' is not"},
             {trial(R"("enabled":null)"), "/trials/NCT07109518/enabled: is not true or false"},
             {trial(R"("status":null)"), "/trials/NCT07109518/status: is not an object"},
             {trial(R"("status":{"value":7,"asOf":"2025-11-01"})"),
              "/trials/NCT07109518/status/value: is not a string"},
             {trial(R"("status":{"value":"Recruiting","asOf":"2025-11-01"})"),
              "/trials/NCT07109518/status/value: 'Recruiting' is not a recruitment status"},
             {trial(R"("status":{"value":"recruiting","asOf":20251101})"),
              "/trials/NCT07109518/status/asOf: is not a str"},
             {trial(R"("coordinator":null)"), "/trials/NCT07109518/coordinator: is not an object"},
             {trial(R"("coordinator":{"name":"a","phone":123})"),
              "/trials/NCT07109518/coordinator/phone: is not a string"},
             {trial(R"("coordinator":{"name":"a","email":" "})"), "/trials/NCT07109518/coordinator/email: is blank"},
             {R"({"orders":{"lvef":null}})", "/orders/lvef: is not an object"},
             {R"({"orders":{"lvef":{"system":"urn:x","code":7,"display":"d"}}})", "/orders/lvef/code: is not a string"},
             {R"({"orders":{"lvef":{"system":"urn:x","code":"","display":"d"}}})", "/orders/lvef/code: is blank"},
         }) {
        const std::vector<std::string> problems = withSite(row.overlay).problems;
        CAPTURE(row.overlay);
        REQUIRE(problems.size() == 1);
        CHECK_MESSAGE(problems.front().starts_with("site.json: " + row.problem), problems.front());
    }
}

TEST_CASE("what a code can answer is what results of the fact take") {
    for (const auto& [fact, value] : std::vector<std::pair<std::string, std::string>>{{"ecog", "1"},
                                                                                      {"karnofsky", "85"},
                                                                                      {"bestResponse", "CRi"},
                                                                                      {"pregnancy", "not-pregnant"},
                                                                                      {"heartFailureNyha3or4", "3"},
                                                                                      {"inspiredOxygen", "room air"}}) {
        const std::string site = R"({"codes":{"urn:lab":{"A":{"fact":")" + fact +
                                 R"(","display":"x","role":"answer","value":")" + value + R"("}}}})";
        CAPTURE(site);
        CHECK(withSite(site).problems.empty());
    }
    // And the answer counts: ECOG 1 by a local code. NCT07109518 inc.13: ecog <= 2.
    const std::string performance =
        R"({"resourceType":"Observation","id":"o","status":"final","effectiveDateTime":"2025-11-15","subject":{"reference":"Patient/p"},
            "code":{"coding":[{"system":"http://loinc.org","code":"89247-1"}]},
            "valueCodeableConcept":{"coding":[{"system":"urn:lab","code":"A"}]}})";
    const Read read =
        withSite(R"({"codes":{"urn:lab":{"A":{"fact":"ecog","display":"x","role":"answer","value":"1"}}}})");
    CHECK(verdict(read.knowledge, {patient(), performance}, "NCT07109518", "inc.13") == "true recorded");
}

TEST_CASE("a name that stands twice is a problem wherever it does, whether or not both say the same") {
    struct Row {
        std::string overlay, place;
    };
    for (const Row& row : std::vector<Row>{
             {R"({"codes":{},"codes":{}})", "/codes"},
             {R"({"codes":{"urn:lab":{},"urn:lab":{}}})", "/codes/urn:lab"},
             {R"({"codes":{"urn:lab":{"A":{"fact":"lvef","display":"x"},"A":{"fact":"ecog","display":"x"}}}})",
              "/codes/urn:lab/A"},
             {R"({"codes":{"urn:lab":{"A":{"fact":"lvef","fact":"ecog","display":"x"}}}})", "/codes/urn:lab/A/fact"},
             {R"({"freshness":{"lvef":"3 days","lvef":"3 days"}})", "/freshness/lvef"},
             {R"({"trials":{"NCT07109518":{},"NCT07109518":{"enabled":false}}})", "/trials/NCT07109518"},
             {R"({"trials":{"NCT07109518":{"enabled":true,"enabled":false}}})", "/trials/NCT07109518/enabled"},
             {R"({"upperLimits":{"alt":[],"alt":[]}})", "/upperLimits/alt"},
             {R"({"upperLimits":{"alt":[{"value":1,"value":2,"unit":"U/L"}]}})", "/upperLimits/alt/0/value"},
             {R"({"orders":{"lvef":{},"lvef":{}}})", "/orders/lvef"},
             {R"({"$comment":"a","$comment":"a"})", "/$comment"}}) {
        const std::vector<std::string> expected{"site.json: " + row.place + ": stands twice"};
        CAPTURE(row.overlay);
        CHECK(withSite(row.overlay).problems == expected);
    }
}
