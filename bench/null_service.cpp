#include <iostream>
#include <string>
#include <string_view>

#include "bench/generator.h"
#include "cds-hooks/listener.h"
#include "fhir/json.h"

// The reference of bench/serve: the same listener with a handler that does nothing, and the requests that both get.

namespace {

/// A patient-view request with the generated chart, 60 KB; a silent one has no disease that a trial is about.
std::string requestBody(bool isSilent) {
    const fhir::json::Document chart(bench::chart(1, 59'000));
    std::string patient;
    fhir::json::Writer conditions;
    fhir::json::Writer observations;
    conditions.beginObject().member("resourceType", "Bundle").member("type", "searchset").name("entry").beginArray();
    observations.beginObject().member("resourceType", "Bundle").member("type", "searchset").name("entry").beginArray();
    std::string patientId;
    for (const fhir::json::Value entry : chart.root()["entry"].items()) {
        const fhir::json::Value resource = entry["resource"];
        const std::string_view type = resource["resourceType"].text();
        if (type == "Patient") {
            fhir::json::Writer writer;
            writer.value(resource);
            patient = writer.text();
            patientId = resource["id"].text();
        } else if (type == "Condition") {
            if (!isSilent) conditions.value(entry);
        } else {
            observations.value(entry);
        }
    }
    conditions.endArray().endObject();
    observations.endArray().endObject();
    return R"({"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","context":{"userId":"Practitioner/1","patientId":")" +
           patientId + R"("},"prefetch":{"patient":)" + patient + R"(,"conditions":)" + std::string(conditions.text()) +
           R"(,"organFunction":)" + std::string(observations.text()) + "}}";
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    if (what == "full" || what == "silent") {
        std::cout << requestBody(what == "silent");
        return 0;
    }
    if (what != "serve") {
        std::cerr << "usage: cd7match-null-service serve | full | silent\n";
        return 2;
    }
    const std::string body = R"({"cards":[],"padding":")" + std::string(4000, 'x') + "\"}";
    cds_hooks::Listener listener("127.0.0.1", 0, {}, [&](const cds_hooks::Request&) {
        return cds_hooks::Answer{200, body, "application/json", {}};
    });
    std::cout << listener.port() << std::endl;
    std::cin.get();  // until standard input is closed
    return 0;
}
