#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/resource.h"

namespace fhir {

/// Reads elements of one resource and writes down what it could not read.
struct Reader {
    const std::string& path;
    std::vector<Issue>& issues;

    void report(std::string_view element, std::string_view message) const {
        issues.push_back({path + '.' + std::string(element), std::string(message)});
    }

    /// A primitive: a string, or a number, which some servers send where a string belongs and the other way round.
    std::string_view text(json::Value object, json::Name element) const {
        const json::Value value = object[element];
        if (!value) return {};
        if (value.isString() || value.isNumber()) return value.text();
        report(element.text(), "is not a primitive value");
        return {};
    }

    std::optional<DateTime> dateTime(json::Value object, json::Name element) const {
        const std::string_view written = text(object, element);
        if (written.empty()) return std::nullopt;
        auto date = DateTime::parse(written);
        if (!date) report(element.text(), "is not a date that exists");
        return date;
    }

    std::vector<Coding> codings(json::Value array) const {
        std::vector<Coding> result;
        for (const json::Value item : array.items()) {
            if (!item.isObject()) continue;
            const Coding coding{text(item, "system"), text(item, "code"), text(item, "display")};
            if (!coding.code.empty() || !coding.display.empty()) result.push_back(coding);
        }
        return result;
    }

    CodeableConcept codeableConcept(json::Value value, std::string_view element) const {
        if (!value) return {};
        if (value.isString()) return {{{"", value.text(), ""}}, {}};  // a bare code, as before R4
        if (!value.isObject()) {
            report(element, "is not a CodeableConcept");
            return {};
        }
        return {codings(value["coding"]), text(value, "text")};
    }

    std::vector<CodeableConcept> codeableConcepts(json::Value value, std::string_view element) const {
        std::vector<CodeableConcept> result;
        if (value.isObject()) result.push_back(codeableConcept(value, element));
        for (const json::Value item : value.items()) {
            if (item) result.push_back(codeableConcept(item, element));
        }
        return result;
    }

    Quantity quantity(json::Value value, std::string_view element) const {
        if (!value) return {};
        if (!value.isObject()) {
            report(element, "is not a Quantity");
            return {};
        }
        return {text(value, "value"), text(value, "comparator"), text(value, "unit"), text(value, "system"),
                text(value, "code")};
    }
};

/// A code as a person wrote it: "entered-in-error " is entered-in-error.
inline std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    return text;
}

/// The days on which a person of that age lived: "45 a" is a year long.
std::optional<DateTime> dateAtAge(const Quantity& age, const std::optional<DateTime>& birthDate);

}  // namespace fhir
