#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/json.h"
#include "mapping/vocabulary.h"

namespace mapping {

/// Whether a text holds nothing but white space.
bool isBlank(std::string_view text);

/// What the readers of a site overlay check in the same way. Errors: every problem is added with its place
/// ("site.json: /orders/lvef/code: missing").
class FileCheck {
public:
    FileCheck(std::string_view file, std::vector<Problem>& problems) : file_(file), problems_(problems) {}

    void problem(const std::string& place, std::string message);

    /// Whether the value is an object; one that is given and is none, null included, is a problem.
    bool isObject(fhir::json::Value value, const std::string& place);
    /// The same of an array.
    bool isArray(fhir::json::Value value, const std::string& place);
    /// A name of an object that is not listed is a problem.
    void checkKeys(fhir::json::Value object, std::initializer_list<std::string_view> known, const std::string& place);
    /// A text that must be given: no string, or a blank one, is a problem. Empty when there is a problem.
    std::string_view text(fhir::json::Value value, const std::string& place);
    /// The same of a text that may be left out.
    std::string_view textIfGiven(fhir::json::Value value, const std::string& place);
    /// Whether the value is true; nothing means `otherwise`, and what is neither true nor false is a problem.
    bool flag(fhir::json::Value value, bool otherwise, const std::string& place);
    /// Whether every name stands once in its object, in the value and all that it holds; each further one is a problem.
    bool namesStandOnce(fhir::json::Value value, const std::string& place = {});

private:
    std::string_view file_;
    std::vector<Problem>& problems_;
};

}  // namespace mapping
