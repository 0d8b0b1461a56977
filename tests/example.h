#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fhir/json.h"

namespace support {

/// A stored Bundle whose resources have ids of their own among all examples, and refer to each other by them.
class Example {
public:
    Example(const std::string& text, std::string prefix);

    /// The id of its one Patient; empty when there is none, or several.
    std::string patient() const { return patients_.size() == 1 ? patients_.front() : std::string(); }

    /// All of it: "collection", or a "transaction" of PUTs.
    std::string bundle(const std::string& type) const;
    /// Its resources of one type as a searchset.
    std::string searchset(std::string_view type) const;
    /// Its resources of one type, each as JSON.
    std::vector<std::string> all(std::string_view type) const;

private:
    void write(fhir::json::Writer& writer, fhir::json::Value value, const std::string& id = {}) const;
    void writeEntry(fhir::json::Writer& writer, const std::pair<std::string, fhir::json::Value>& resource) const;
    std::string reference(const std::string& text) const;

    std::string prefix_;
    fhir::json::Document document_;
    std::map<std::string, std::string> references_;
    std::vector<std::pair<std::string, fhir::json::Value>> resources_;  ///< by "Type/id"
    std::vector<std::string> patients_;
};

}  // namespace support
