#include "tests/example.h"

namespace support {

using fhir::json::Value;
using fhir::json::Writer;

Example::Example(const std::string& text, std::string prefix) : prefix_(std::move(prefix)), document_(text) {
    std::size_t number = 0;
    for (const Value entry : document_.root()["entry"].items()) {
        const Value resource = entry["resource"];
        const std::string type(resource["resourceType"].text());
        if (type.empty() || type == "OperationOutcome" || type == "Bundle") continue;
        const std::string id(resource["id"].text());
        const std::string own = type + '/' + prefix_ + (id.empty() ? "n" + std::to_string(++number) : id);
        if (!id.empty()) references_[type + '/' + id] = own;
        const std::string fullUrl(entry["fullUrl"].text());
        if (!fullUrl.empty()) references_[fullUrl] = own;
        resources_.emplace_back(own, resource);
        if (type == "Patient") patients_.push_back(own.substr(type.size() + 1));
    }
}

std::string Example::bundle(const std::string& type) const {
    Writer writer;
    writer.beginObject().member("resourceType", "Bundle").member("type", type).name("entry").beginArray();
    for (const auto& resource : resources_) {
        writer.beginObject();
        writeEntry(writer, resource);
        if (type == "transaction")
            writer.name("request").beginObject().member("method", "PUT").member("url", resource.first).endObject();
        writer.endObject();
    }
    writer.endArray().endObject();
    return std::string(writer.text());
}

std::string Example::searchset(std::string_view type) const {
    Writer writer;
    writer.beginObject().member("resourceType", "Bundle").member("type", "searchset").name("entry").beginArray();
    for (const auto& resource : resources_) {
        if (resource.second["resourceType"].text() != type) continue;
        writer.beginObject();
        writeEntry(writer, resource);
        writer.endObject();
    }
    writer.endArray().endObject();
    return std::string(writer.text());
}

std::vector<std::string> Example::all(std::string_view type) const {
    std::vector<std::string> texts;
    for (const auto& [own, resource] : resources_) {
        if (resource["resourceType"].text() != type) continue;
        Writer writer;
        write(writer, resource, own.substr(own.find('/') + 1));
        texts.emplace_back(writer.text());
    }
    return texts;
}

void Example::writeEntry(Writer& writer, const std::pair<std::string, Value>& resource) const {
    writer.name("resource");
    write(writer, resource.second, resource.first.substr(resource.first.find('/') + 1));
}

/// The value with the references that lead to other resources of the Bundle; a resource has the id that is given.
void Example::write(Writer& writer, Value value, const std::string& id) const {
    if (value.isArray()) {
        writer.beginArray();
        for (const Value item : value.items()) write(writer, item);
        writer.endArray();
    } else if (value.isObject()) {
        writer.beginObject();
        if (!id.empty()) writer.member("id", id);
        for (const auto [name, member] : value.members()) {
            if (name == "id" && !id.empty()) continue;
            writer.name(name);
            if (name == "reference" && member.isString()) {
                writer.string(reference(std::string(member.text())));
            } else {
                write(writer, member);
            }
        }
        writer.endObject();
    } else {
        writer.value(value);
    }
}

std::string Example::reference(const std::string& text) const {
    const auto known = references_.find(text);
    if (known != references_.end()) return known->second;
    // Versioned, or on the server that it came from.
    for (const auto& [name, own] : references_) {
        const auto at = text.rfind('/' + name);
        if (at != std::string::npos && at + name.size() + 1 == text.size()) return own;
        if (text.starts_with(name + "/_history/")) return own;
    }
    return text;
}

}  // namespace support
