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
        CHECK(code["display"].text() == "Bilirubin.total");
    }
    CHECK(codes == 1);
    std::string units;
    for (const Value unit : fact["units"].items())
        units += std::string(unit["unit"].text()) + "=" + std::string(unit["count"].text()) + " ";
    CHECK(units == "furlong=1 mg/dL=5 umol/L=1 ");
    CHECK(factIn(document, "lvef")["charts"].text() == "0");
}

TEST_CASE("codes that are not mapped are ranked by how sure their words are, then by charts") {
    const std::string lvef = observation("a", coded(local, "EF", "LVEF"), quantity("55", "%"));
    const std::string ecog = observation("b", coded(local, "PS", "ECOG performance status"), quantity("1", "{score}"));
    const std::string vague = observation("c", coded(local, "X1", "Bilirubin gesamt Serum"), quantity("1", "mg/dL"));
    const std::string other = observation("d", coded(local, "X2", "Shoe size"), quantity("42", "1"));
    const auto found = auditOf(support::knowledge(), {{lvef, ecog, vague, other}, {ecog}}).unmapped();
    REQUIRE(found.size() == 3);
    CHECK(found[0].written.code == "PS");
    CHECK(found[0].charts == 2);
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
    CHECK(auditOf(support::knowledge(), {{egfr, condition}}).unmapped().empty());
}

TEST_CASE("words without a code are shown only when several charts hold them, and never in full length") {
    const std::string one = observation("a", R"({"text":"ECOG performance status of Mr Example"})", quantity("1", "1"));
    CHECK(auditOf(support::knowledge(), {{one}}).unmapped().empty());
    CHECK(auditOf(support::knowledge(), {{one, one}}).unmapped().empty());
    const std::string usual = observation("a", R"({"text":"ECOG performance status"})", quantity("1", "1"));
    CHECK(auditOf(support::knowledge(), {{usual}, {usual}}).unmapped().size() == 1);
    const std::string text = auditOf(support::knowledge(), {{one, usual}, {usual}}).table(0);
    CHECK(text.find("Example") == std::string::npos);
    const std::string endless = coded(local, "L", "LVEF " + std::string(500, 'x'));
    CHECK(auditOf(support::knowledge(), {{observation("a", endless, quantity("1", "%"))}})
              .json(0)
              .find(std::string(100, 'x')) == std::string::npos);
}

TEST_CASE("the overlay that is suggested is sound, and with it the chart has the facts") {
    const std::vector<std::string> chart{
        observation("a", coded(local, "EF", "LVEF"), quantity("55", "%")),
        observation("b", coded(local, "X1", "Bilirubin gesamt Serum"), quantity("1", "mg/dL"))};
    const cds_hooks::Audit before = auditOf(support::knowledge(), {chart});
    const Document document(before.json(0));
    CHECK(factIn(document, "lvef")["charts"].text() == "0");
    fhir::json::Writer overlay;
    overlay.value(document.root()["overlay"]);

    std::vector<mapping::Problem> problems;
    const cds_hooks::Knowledge taught = cds_hooks::readKnowledge(
        cds_hooks::embeddedKnowledge(), problems, cds_hooks::KnowledgeFile{"site.json", std::string(overlay.text())});
    for (const mapping::Problem& problem : problems) FAIL_CHECK(problem.text());
    const cds_hooks::Audit after = auditOf(taught, {chart});
    CHECK(after.unmapped().empty());
    const Document learnt(after.json(0));
    CHECK(factIn(learnt, "lvef")["usable"].text() == "1");
    // What is not sure is shown, and decides nothing.
    CHECK(factIn(learnt, "totalBilirubin")["charts"].text() == "1");
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
