#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/resource.h"

namespace fhir {

/// Reads elements of one resource and writes down what it could not read.
struct Reader {
    Place place;
    std::vector<Issue>* issues = nullptr;

    Reader() = default;  ///< of what was read before: nobody is told again
    Reader(const Place& where, std::vector<Issue>& reported) : place(where), issues(&reported) {}

    void report(std::string_view element, std::string_view message) const {
        if (issues != nullptr) issues->push_back({place.text() + '.' + std::string(element), std::string(message)});
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

    Codings codings(json::Value array) const {
        Codings result;
        for (const json::Value item : array.items()) {
            if (!item.isObject()) continue;
            Coding coding;
            const bool isRead = readTexts(item, [&](json::NameId name, std::string_view written) {
                if (name == json::Name("system").id()) coding.system = written;
                if (name == json::Name("code").id()) coding.code = written;
                if (name == json::Name("display").id()) coding.display = written;
            });
            if (!isRead) coding = {text(item, "system"), text(item, "code"), text(item, "display")};
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
        Quantity result;
        const bool isRead = readTexts(value, [&](json::NameId name, std::string_view written) {
            if (name == json::Name("value").id()) result.value = written;
            if (name == json::Name("comparator").id()) result.comparator = written;
            if (name == json::Name("unit").id()) result.unit = written;
            if (name == json::Name("system").id()) result.system = written;
            if (name == json::Name("code").id()) result.code = written;
        });
        if (isRead) return result;
        return {text(value, "value"), text(value, "comparator"), text(value, "unit"), text(value, "system"),
                text(value, "code")};
    }

private:
    /// Gives the members of an object in one walk. False when it holds something else than texts, or a name twice: then
    /// they are to be read one by one, with what is to be reported of each.
    template <typename Take>
    static bool readTexts(json::Value object, Take take) {
        const json::Node* const first = object.node();
        if (first->repeats) return false;
        const json::Node* const end = first + first->span;
        for (const json::Node* node = first + 1; node != end; node += node->span) {
            if (node->isName || node->kind == json::Kind::null) continue;
            if (node->kind != json::Kind::string && node->kind != json::Kind::number) return false;
            take(node->name, node->text());
        }
        return true;
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
