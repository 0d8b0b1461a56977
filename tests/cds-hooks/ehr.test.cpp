#include "cds-hooks/ehr.h"

#include <doctest/doctest.h>

#include <string>

#include "cds-hooks/discovery.h"
#include "cds-hooks/override.h"
#include "tests/support.h"

TEST_CASE("the tables for an EHR's analysts are those of the documentation, and say what discovery says") {
    const std::string tables = cds_hooks::ehrTable(support::knowledge(), "https://cds.example.org");
    // Rewrite it with: cd7match ehr-table > docs/ehr/tables.md
    CHECK_MESSAGE(tables == support::readFile("docs/ehr/tables.md"), "docs/ehr/tables.md is out of date");
    const auto says = [&](const std::string& text) { return tables.find(text) != std::string::npos; };
    for (const cds_hooks::Service& service : cds_hooks::services())
        CHECK(says("https://cds.example.org/cds-services/" + std::string(service.id) + "`"));
    for (const cds_hooks::PrefetchTemplate& prefetch : cds_hooks::prefetchTemplates(support::knowledge().vocabulary)) {
        CAPTURE(prefetch.key);
        std::string query = prefetch.query;
        for (auto at = query.find('|'); at != std::string::npos; at = query.find('|', at + 2))
            query.insert(at, 1, '\\');
        CHECK(says("| `" + prefetch.key + "` | `" + query + "` |"));
    }
    for (const cds_hooks::OverrideReason& reason : cds_hooks::overrideReasons)
        CHECK(says("| `" + std::string(reason.code) + "` | " + std::string(reason.display) + " |"));
    CHECK(says("`{{context.patientId}}`"));
    CHECK(says("`cd7trials`"));
}
