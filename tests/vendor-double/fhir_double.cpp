#include "tests/vendor-double/fhir_double.h"

#include <algorithm>
#include <sstream>

namespace support {

using fhir::json::Value;

namespace {

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
    return parts;
}

std::string decoded(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size()) {
            plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
            i += 2;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::map<std::string, std::string> parametersOf(const std::string& query) {
    std::map<std::string, std::string> parameters;
    for (const std::string& part : split(query, '&')) {
        const auto equals = part.find('=');
        if (equals != std::string::npos) parameters[part.substr(0, equals)] = decoded(part.substr(equals + 1));
    }
    return parameters;
}

bool contains(const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

std::string idOf(std::string_view reference) {
    return std::string(reference.substr(reference.rfind('/') + 1));
}

}  // namespace

FhirDouble::FhirDouble(Vendor vendor, std::size_t pageSize)
    : vendor_(std::move(vendor)),
      pageSize_(pageSize),
      stub_(std::make_unique<FhirStub>([this](const StubRequest& request) {
          if (vendor_) {
              if (auto theirs = vendor_(request)) return std::move(*theirs);
          }
          const std::scoped_lock lock(mutex_);
          return answer(request);
      })) {}

void FhirDouble::load(const std::string& bundle) {
    // As a transaction does: what the Bundle calls by a URN has an id from now on.
    std::string text = bundle;
    {
        const fhir::json::Document written(bundle);
        for (const Value entry : written.root()["entry"].items()) {
            const std::string urn = '"' + std::string(entry["fullUrl"].text()) + '"';
            const std::string id(entry["resource"]["id"].text());
            if (!urn.starts_with("\"urn:") || id.empty()) continue;
            const std::string reference = '"' + std::string(entry["resource"]["resourceType"].text()) + '/' + id + '"';
            for (auto at = text.find(urn); at != std::string::npos; at = text.find(urn, at + reference.size()))
                text.replace(at, urn.size(), reference);
        }
    }
    const fhir::json::Document document(text);
    for (const Value entry : document.root()["entry"].items()) {
        const Value value = entry["resource"];
        if (!value.isObject()) continue;
        Resource resource;
        resource.type = value["resourceType"].text();
        resource.id = value["id"].text();
        if (resource.id.empty()) resource.id = "double-" + std::to_string(resources_.size());
        resource.fullUrl = entry["fullUrl"].text();
        for (const char* element : {"subject", "patient", "individual"}) {
            const Value reference = value[std::string_view(element)]["reference"];
            if (resource.patient.empty()) resource.patient = idOf(reference.text());
        }
        for (const Value identifier : value["identifier"].items())
            resource.identifier =
                std::string(identifier["system"].text()) + '|' + std::string(identifier["value"].text());
        for (const Value coding : value["code"]["coding"].items()) resource.codes.emplace_back(coding["code"].text());
        fhir::json::Writer writer;
        writer.value(value);
        resource.text = writer.text();
        resources_.push_back(std::move(resource));
    }
}

StubAnswer FhirDouble::answer(const StubRequest& request) {
    std::string target = request.target.substr(std::string_view("/fhir").size());
    if (target == "/metadata")
        return FhirStub::json(R"({"resourceType":"CapabilityStatement","fhirVersion":"4.0.1","status":"active"})");
    if (!target.empty() && target.front() == '/') target.erase(0, 1);
    if (request.method == "POST" && target.ends_with("/_search"))
        return search(target.substr(0, target.find('/')), request.body);
    if (request.method == "POST" && target.find_first_of("/?") == std::string::npos) return create(target, request);
    const auto question = target.find('?');
    if (question != std::string::npos) return search(target.substr(0, question), target.substr(question + 1));
    for (const Resource& resource : resources_) {
        if (target == resource.type + '/' + resource.id) return FhirStub::json(resource.text);
    }
    return FhirStub::json(R"({"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]})",
                          404);
}

bool FhirDouble::matches(const Resource& resource, const std::map<std::string, std::string>& parameters) const {
    return std::all_of(parameters.begin(), parameters.end(), [&](const auto& parameter) {
        const auto& [name, value] = parameter;
        if (name == "patient") return resource.patient == value;
        if (name == "identifier") return resource.identifier == value;
        if (name == "_id") return contains(split(value, ','), resource.id);
        if (name == "code") {
            std::vector<std::string> codes = split(value, ',');
            for (std::string& code : codes) code.erase(0, code.find('|') + 1);
            return std::any_of(resource.codes.begin(), resource.codes.end(),
                               [&](const std::string& code) { return contains(codes, code); });
        }
        return true;
    });
}

std::vector<std::string> FhirDouble::all(const std::string& type) const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> texts;
    for (const Resource& resource : resources_) {
        if (resource.type == type) texts.push_back(resource.text);
    }
    return texts;
}

StubAnswer FhirDouble::create(const std::string& type, const StubRequest& request) {
    const auto condition = request.headers.find("if-none-exist");
    const std::string wanted = condition == request.headers.end() ? "" : parametersOf(condition->second)["identifier"];
    for (const Resource& resource : resources_) {
        if (resource.type == type && !wanted.empty() && resource.identifier == wanted)
            return FhirStub::json(resource.text);
    }
    const std::string id = "created-" + std::to_string(resources_.size());
    std::string text = request.body;
    text.insert(text.find('{') + 1, R"("id":")" + id + R"(",)");
    const fhir::json::Document document(text);
    for (const Value identifier : document.root()["identifier"].items())
        resources_.push_back(
            {type,
             id,
             {},
             text,
             idOf(document.root()["individual"]["reference"].text()),
             {},
             std::string(identifier["system"].text()) + '|' + std::string(identifier["value"].text())});
    return FhirStub::json("", 201, "Location: " + base() + '/' + type + '/' + id + "/_history/1\r\n");
}

StubAnswer FhirDouble::search(const std::string& type, const std::string& query) const {
    const std::map<std::string, std::string> parameters = parametersOf(query);
    std::vector<const Resource*> found;
    for (const Resource& resource : resources_) {
        if (resource.type == type && matches(resource, parameters)) found.push_back(&resource);
    }
    const auto offset = parameters.find("_offset");
    const std::size_t from = offset == parameters.end() ? 0 : std::stoul(offset->second);
    const std::size_t to = std::min(found.size(), from + pageSize_);
    std::string text = R"({"resourceType":"Bundle","type":"searchset","total":)" + std::to_string(found.size());
    if (to < found.size()) {
        std::string next = base() + '/' + type + '?';
        for (const auto& [name, value] : parameters) {
            if (name != "_offset") next += name + '=' + value + '&';
        }
        text += R"(,"link":[{"relation":"next","url":")" + next + "_offset=" + std::to_string(to) + "\"}]";
    }
    text += R"(,"entry":[)";
    for (std::size_t i = from; i < to; ++i) {
        text += (i == from ? "{" : ",{");
        if (!found[i]->fullUrl.empty()) text += R"("fullUrl":")" + found[i]->fullUrl + "\",";
        text += R"("resource":)" + found[i]->text + '}';
    }
    return FhirStub::json(text + "]}");
}

}  // namespace support
