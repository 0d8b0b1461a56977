#include "cds-hooks/audit.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "fhir/json.h"
#include "tests/support.h"

namespace {

using fhir::json::Document;
using fhir::json::Value;

const std::string patient = R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-01-01"})";
const std::string loinc = "http://loinc.org";
const std::string local = "https://lab.example.org/codes";

std::string observation(const std::string& id, const std::string& concept_, const std::string& value,
                        const std::string& date = "2025-11-10") {
    return R"({"resourceType":"Observation","id":")" + id +
           R"(","status":"final","subject":{"reference":"Patient/p"},"code":)" + concept_ +
           (date.empty() ? "" : R"(,"effectiveDateTime":")" + date + '"') + ',' + value + "}";
}

std::string coded(const std::string& system, const std::string& code, const std::string& display = {}) {
    return R"({"coding":[{"system":")" + system + R"(","code":")" + code + '"' +
           (display.empty() ? "" : R"(,"display":")" + display + '"') + "}]}";
}

std::string quantity(const std::string& value, const std::string& unit) {
    return R"("valueQuantity":{"value":)" + value + R"(,"unit":")" + unit + R"("})";
}

cds_hooks::Audit auditOf(const cds_hooks::Knowledge& knowledge, const std::vector<std::vector<std::string>>& charts) {
    cds_hooks::Audit audit(knowledge);
    for (std::vector<std::string> resources : charts) {
        resources.insert(resources.begin(), patient);
        audit.add(
            audit.of({{"x.json", 0}, support::chartOf(support::bundleOf(resources)), support::day("2025-11-13")}));
    }
    return audit;
}

Value factIn(const Document& document, std::string_view name) {
    for (const Value fact : document.root()["facts"].items()) {
        if (fact["fact"].text() == name) return fact;
    }
    FAIL("no such fact");
    return document.root();
}

}  // namespace

TEST_CASE("each value is counted once by what is wrong with it, with its code and unit") {
    const std::string bilirubin = coded(loinc, "1975-2", "Bilirubin.total");
    const std::vector<std::string> first{
        observation("a", bilirubin,
                    quantity("1.0", "mg/dL") + R"(,"referenceRange":[{"high":{"value":1.2,"unit":"mg/dL"}}])"),
        observation("b", bilirubin, quantity("17", "umol/L")),                // no upper limit
        observation("c", bilirubin, quantity("1.0", "mg/dL"), "2024-01-05"),  // stale, no upper limit
        observation("d", bilirubin, quantity("1.0", "mg/dL"), ""),            // undated, no upper limit
        observation("e", bilirubin, quantity("1.0", "furlong")),              // no unit of it
        observation("f", bilirubin, quantity("99999", "mg/dL")),              // implausible
    };
    const std::vector<std::string> second{observation("a", bilirubin, quantity("1.0", "mg/dL"), "2023-01-05")};
    const Document document(auditOf(support::knowledge(), {first, second, {}}).json(2));
    CHECK(document.root()["charts"].text() == "3");
    CHECK(document.root()["failed"].text() == "2");
    CHECK(document.root()["resources"]["Observation"].text() == "7");
    const Value fact = factIn(document, "totalBilirubin");
    struct Row {
        std::string_view name, count;
    };
    for (const Row& row : std::vector<Row>{{"charts", "2"},
                                           {"usable", "1"},
                                           {"values", "7"},
                                           {"stale", "2"},
                                           {"undated", "1"},
                                           {"unreadable", "1"},
                                           {"implausible", "1"},
                                           {"unconfirmed", "0"}}) {
        CAPTURE(row.name);
        CHECK(fact[row.name].text() == row.count);
    }
    CHECK(std::stoi(std::string(fact["noUpperLimit"].text())) >= 4);
    std::size_t codes = 0;
    for (const Value code : fact["codes"].items()) {
        ++codes;
        CHECK(code["code"].text() == "1975-2");
        CHECK(code["count"].text() == "7");
        CHECK(code["display"].text().starts_with("Bilirubin.total"));
    }
    CHECK(codes == 1);
    std::string units;
    for (const Value unit : fact["units"].items())
        units += std::string(unit["unit"].text()) + "=" + std::string(unit["count"].text()) + " ";
    CHECK(units == "mg/dL=5 umol/L=1 ");
    CHECK(fact["unitsNotShown"].text() == "1");
    CHECK(factIn(document, "lvef")["charts"].text() == "0");
}

TEST_CASE("codes that are not mapped are ranked by how sure their words are, then by charts") {
    const std::string lvef = observation("a", coded(local, "EF", "LVEF"), quantity("55", "%"));
    const std::string ecog = observation("b", coded(local, "PS", "ECOG performance status"), quantity("1", "{score}"));
    const std::string vague = observation("c", coded(local, "X1", "Bilirubin gesamt Serum"), quantity("1", "mg/dL"));
    const std::string other = observation("d", coded(local, "X2", "Shoe size"), quantity("42", "1"));
    const std::vector<std::string> all{lvef, ecog, vague, other};
    const auto found = auditOf(support::knowledge(), {all, all, {ecog}}).unmapped().shown;
    REQUIRE(found.size() == 3);
    CHECK(found[0].written.code == "PS");
    CHECK(found[0].charts == 3);
    CHECK(found[0].fact->name == "ecog");
    CHECK(found[1].written.code == "EF");
    CHECK(found[1].fact->name == "lvef");
    CHECK(found[1].likeness > 0.99);
    CHECK(found[2].fact->name == "totalBilirubin");
    CHECK(found[2].likeness < 0.9);
}

TEST_CASE("what a look-alike is known to be is not offered, and a fact is offered only for a type it can come from") {
    // An eGFR is no creatinine clearance; a Condition is no LVEF.
    const std::string egfr =
        observation("a", coded(loinc, "33914-3", "Creatinine renal clearance"), quantity("80", "mL/min/{1.73_m2}"));
    const std::string condition =
        R"({"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":)" +
        coded(local, "EF", "LVEF") + "}";
    const auto found = auditOf(support::knowledge(), {{egfr, condition}, {egfr, condition}}).unmapped();
    CHECK(found.shown.empty());
    CHECK(found.notShown == 0);
}

TEST_CASE("words without a code are shown only when several charts hold them, and never in full length") {
    const std::string one = observation("a", R"({"text":"ECOG performance status of Mr Example"})", quantity("1", "1"));
    CHECK(auditOf(support::knowledge(), {{one}}).unmapped().shown.empty());
    CHECK(auditOf(support::knowledge(), {{one, one}}).unmapped().shown.empty());
    CHECK(auditOf(support::knowledge(), {{one, one}}).unmapped().notShown == 1);
    const std::string usual = observation("a", R"({"text":"ECOG performance status"})", quantity("1", "1"));
    CHECK(auditOf(support::knowledge(), {{usual}, {usual}}).unmapped().shown.size() == 1);
    const std::string text = auditOf(support::knowledge(), {{one, usual}, {usual}}).table(0);
    CHECK(text.find("Example") == std::string::npos);
    CHECK(text.find("(1 further that one chart alone has, not shown)") != std::string::npos);
    const std::string endless =
        observation("a", coded(local, "L", "LVEF " + std::string(500, 'x')), quantity("1", "%"));
    const std::string cut = auditOf(support::knowledge(), {{endless}, {endless}}).json(0);
    CHECK(cut.find(std::string(50, 'x')) != std::string::npos);
    CHECK(cut.find(std::string(100, 'x')) == std::string::npos);
}

TEST_CASE("what one chart alone says in words of its own is counted and never shown") {
    // Each place where a chart can hold free text holds the name; two results of one chart are still one chart.
    const std::string name = "Example";
    const std::vector<std::pair<std::string, std::string>> places{
        {"unit", observation("a", coded(loinc, "1975-2"), quantity("1", "mg " + name))},
        {"unit of a finding", observation("a", coded(loinc, "5196-1"), quantity("1", "S/CO " + name))},
        {"display of a mapped code",
         observation("a", coded(loinc, "1975-2", "Bilirubin " + name), quantity("1", "mg/dL"))},
        {"mapped code", R"({"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":)" +
                            coded("http://hl7.org/fhir/sid/icd-10-cm", "C92.0 " + name) + "}"},
        {"display of a public code", observation("a", coded(loinc, "99999-9", "LVEF " + name), quantity("1", "%"))},
        {"public code", observation("a", coded(loinc, name, "LVEF"), quantity("1", "%"))},
        {"public code with a space", observation("a", coded(loinc, name + " 1", "LVEF"), quantity("1", "%"))},
        {"local code", observation("a", coded(local, name + "1", "LVEF"), quantity("1", "%"))},
        {"display of a local code", observation("a", coded(local, "EF", "LVEF " + name), quantity("1", "%"))},
        {"code without a system", observation("a", coded("", name + "1", "LVEF"), quantity("1", "%"))},
        {"system", observation("a", coded(name, "EF", "LVEF"), quantity("1", "%"))},
        {"system that is a URI", observation("a", coded("urn:" + name, "EF", "LVEF"), quantity("1", "%"))},
        {"words", observation("a", R"({"text":"LVEF )" + name + R"("})", quantity("1", "%"))},
    };
    for (const auto& place : places) {
        CAPTURE(place.first);
        const std::vector<std::string> chart{place.second, place.second};
        const std::string usual = observation("u", coded(loinc, "10230-1"), quantity("55", "%"));
        for (const cds_hooks::Audit& one :
             {auditOf(support::knowledge(), {chart}), auditOf(support::knowledge(), {chart, {usual}})}) {
            CHECK(one.json(0).find(name) == std::string::npos);
            CHECK(one.table(0).find(name) == std::string::npos);
        }
        // Counted: as a value of its fact that has a code or a unit of one chart, or as a code that is not mapped.
        const Document document(auditOf(support::knowledge(), {chart}).json(0));
        std::size_t counted = document.root()["unmapped"].items().begin() != document.root()["unmapped"].items().end();
        counted += document.root()["unmappedNotShown"].text() != "0";
        for (const Value fact : document.root()["facts"].items()) counted += fact["values"].text() != "0";
        CHECK(counted > 0);
        // Two charts that say the same: it is usage, but for a display that the vocabulary has itself.
        const bool isShown = auditOf(support::knowledge(), {chart, chart}).json(0).find(name) != std::string::npos;
        CHECK(isShown == (place.first != "display of a mapped code"));
    }
}

TEST_CASE("a unit and a code of one chart are counted beside those that are shown") {
    const std::vector<std::string> chart{
        observation("a", coded(loinc, "1975-2"), quantity("1", "MG/DL")),
        observation("b", coded(loinc, "1975-2"), quantity("1", "furlong")),
        R"({"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":)" +
            coded("http://hl7.org/fhir/sid/icd-10-cm", "I21.9 seen") + "}"};
    const Document document(auditOf(support::knowledge(), {chart}).json(0));
    const Value bilirubin = factIn(document, "totalBilirubin");
    CHECK(bilirubin["unitsNotShown"].text() == "1");
    CHECK(bilirubin["codesNotShown"].text() == "0");
    CHECK((*bilirubin["units"].items().begin())["unit"].text() == "MG/DL");
    CHECK(factIn(document, "myocardialInfarction")["codesNotShown"].text() == "1");
    const std::string text = auditOf(support::knowledge(), {chart}).table(0);
    CHECK(text.find("1 x a unit that one chart alone has") != std::string::npos);
    CHECK(text.find("1 x a code that one chart alone has") != std::string::npos);
    CHECK(text.find("an audit of one chart shows little") != std::string::npos);
    CHECK(auditOf(support::knowledge(), {chart, {}}).table(0).find("shows little") == std::string::npos);
}

TEST_CASE("a code of several charts is shown with the words that several charts write, or without") {
    const auto ef = [](const std::string& words) {
        return std::vector<std::string>{observation("a", coded(local, "EF", words), quantity("55", "%"))};
    };
    auto found = auditOf(support::knowledge(), {ef("LVEF Example"), ef("LVEF measured")}).unmapped().shown;
    REQUIRE(found.size() == 1);
    CHECK(found[0].written.code == "EF");
    CHECK(found[0].written.words.empty());
    CHECK(found[0].charts == 2);
    found = auditOf(support::knowledge(), {ef("LVEF"), ef("LVEF measured"), ef("LVEF measured")}).unmapped().shown;
    REQUIRE(found.size() == 1);
    CHECK(found[0].written.words == "LVEF measured");
    CHECK(found[0].charts == 3);
}

TEST_CASE("the vocabulary's own display stands beside a mapped code") {
    const std::vector<std::string> chart{
        observation("a", coded(loinc, "10230-1", "of the chart"), quantity("55", "%")),
        R"({"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":)" +
            coded("http://hl7.org/fhir/sid/icd-10-cm", "I21.9", "of the chart") + "}"};
    const std::string json = auditOf(support::knowledge(), {chart, chart}).json(0);
    CHECK(json.find("of the chart") == std::string::npos);
    CHECK(json.find(R"("code":"10230-1","display":"Left ventricular Ejection fraction)") != std::string::npos);
    CHECK(json.find(R"("code":"I21.9","display":)") != std::string::npos);
}

TEST_CASE("the overlay of one chart is sound, and names a code by its fact where the words may not be shown") {
    const std::vector<std::string> chart{
        observation("a", coded(loinc, "99999-9", "LVEF"), quantity("55", "%")),
        observation("b", coded("https://loinc.org", "99999-9", "LVEF"), quantity("55", "%")),
        R"({"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"code":)" +
            coded("http://hl7.org/fhir/sid/icd-10-cm", "Z99.998", "Myocardial infarction") + "}",
        R"({"resourceType":"Condition","id":"d","subject":{"reference":"Patient/p"},"code":)" +
            coded("http://hl7.org/fhir/sid/icd-10", "Z99998", "Myocardial infarction") + "}"};
    const Document document(auditOf(support::knowledge(), {chart}).json(0));
    fhir::json::Writer overlay;
    overlay.value(document.root()["overlay"]);
    CHECK(overlay.text().find(R"("99999-9":{"fact":"lvef","display":"LVEF","role":"review"})") != std::string::npos);
    CHECK(overlay.text().find(R"("fact":"myocardialInfarction")") != std::string::npos);
    std::vector<mapping::Problem> problems;
    cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems,
                             cds_hooks::KnowledgeFile{"site.json", std::string(overlay.text())});
    for (const mapping::Problem& problem : problems) FAIL_CHECK(problem.text());
}

TEST_CASE("the overlay that is suggested is sound, and with it the chart has the facts") {
    const std::vector<std::string> chart{
        observation("a", coded(local, "EF", "LVEF"), quantity("55", "%")),
        observation("b", coded(local, "X1", "Bilirubin gesamt Serum"), quantity("1", "mg/dL"))};
    const cds_hooks::Audit before = auditOf(support::knowledge(), {chart, chart});
    const Document document(before.json(0));
    CHECK(factIn(document, "lvef")["charts"].text() == "0");
    fhir::json::Writer overlay;
    overlay.value(document.root()["overlay"]);

    std::vector<mapping::Problem> problems;
    const cds_hooks::Knowledge taught = cds_hooks::readKnowledge(
        cds_hooks::embeddedKnowledge(), problems, cds_hooks::KnowledgeFile{"site.json", std::string(overlay.text())});
    for (const mapping::Problem& problem : problems) FAIL_CHECK(problem.text());
    const cds_hooks::Audit after = auditOf(taught, {chart, chart});
    CHECK(after.unmapped().shown.empty());
    const Document learnt(after.json(0));
    CHECK(factIn(learnt, "lvef")["usable"].text() == "2");
    CHECK(factIn(learnt, "lvef")["codesNotShown"].text() == "0");
    // What is not sure is shown, and decides nothing.
    CHECK(factIn(learnt, "totalBilirubin")["charts"].text() == "2");
    CHECK(factIn(learnt, "totalBilirubin")["usable"].text() == "0");
    // The same snippet stands in the table.
    CHECK(before.table(0).find(R"("EF": {"fact":"lvef","display":"LVEF"})") != std::string::npos);
}

TEST_CASE("the order of charts and of resources changes nothing") {
    const std::vector<std::string> one{observation("a", coded(local, "EF", "LVEF"), quantity("55", "%")),
                                       observation("b", coded(loinc, "10230-1"), quantity("55", "%"))};
    const std::vector<std::string> other{
        observation("c", coded(local, "PS", "ECOG performance status"), quantity("1", "1"))};
    std::vector<std::string> reversed(one.rbegin(), one.rend());
    CHECK(auditOf(support::knowledge(), {one, other}).json(0) ==
          auditOf(support::knowledge(), {other, reversed}).json(0));
}
