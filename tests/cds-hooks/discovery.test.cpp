#include "cds-hooks/discovery.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "fhir/json.h"
#include "tests/support.h"

TEST_CASE("discovery names a service for each hook with the fields that the specification requires") {
    const fhir::json::Document document(cds_hooks::discoveryJson(support::knowledge()));
    const fhir::json::Value services = document.root()["services"];
    REQUIRE(services.isArray());
    std::set<std::string> ids, hooks;
    for (const fhir::json::Value service : services.items()) {
        CHECK(ids.insert(std::string(service["id"].text())).second);
        CHECK(hooks.insert(std::string(service["hook"].text())).second);
        CHECK_FALSE(service["description"].text().empty());
        CHECK_FALSE(service["title"].text().empty());
        CHECK_FALSE(service["description"].text().empty());
        std::size_t templates = 0;
        for (const auto [key, query] : service["prefetch"].members()) {
            ++templates;
            CHECK_FALSE(query.text().empty());
        }
        CHECK_EQ(templates, cds_hooks::prefetchTemplates(support::knowledge().vocabulary).size());
    }
    CHECK(hooks ==
          std::set<std::string>{"appointment-book", "encounter-start", "order-select", "order-sign", "patient-view"});
    CHECK(ids.contains("cd7-trials"));
}

TEST_CASE("prefetch templates keep to the subset that every client understands") {
    std::set<std::string> keys;
    for (const cds_hooks::PrefetchTemplate& prefetch : cds_hooks::prefetchTemplates(support::knowledge().vocabulary)) {
        CAPTURE(prefetch.key);
        CHECK(keys.insert(prefetch.key).second);
        CHECK_NE(prefetch.query.front(), '/');
        CHECK_NE(prefetch.query.find("{{context.patientId}}"), std::string::npos);
        CHECK_LE(prefetch.query.size(), 7500);
        std::map<std::string, int> parameters;
        const std::size_t start = prefetch.query.find('?');
        for (std::size_t at = start; at != std::string::npos; at = prefetch.query.find('&', at + 1)) {
            const std::string name = prefetch.query.substr(at + 1, prefetch.query.find('=', at) - at - 1);
            CHECK_EQ(++parameters[name], 1);
            CHECK((name == "patient" || name == "code"));
        }
    }
    CHECK(keys.contains("patient"));
    CHECK(keys.contains("conditions"));
}

TEST_CASE("prefetch asks for every LOINC code that can be used, and for no other") {
    const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
    std::string everything;
    for (const cds_hooks::PrefetchTemplate& prefetch : cds_hooks::prefetchTemplates(vocabulary))
        everything += prefetch.query + ',';
    for (const char* code :
         {"2160-0", "1975-2", "8806-2", "59408-5", "2708-6", "35591-7", "3150-0", "16128-1", "29463-7"})
        CHECK_NE(everything.find(std::string("http://loinc.org|") + code + ','), std::string::npos);
    // eGFR, urine creatinine, the gallbladder: look-alikes that must never be asked for.
    for (const char* code : {"33914-3", "62238-1", "2161-8", "39895-8"})
        CHECK_EQ(everything.find(std::string("|") + code + ','), std::string::npos);
}
