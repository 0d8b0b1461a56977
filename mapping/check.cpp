#include "mapping/check.h"

#include <algorithm>
#include <set>

namespace mapping {

using fhir::json::Value;

namespace {

bool isGiven(Value value) {
    return value.node() != nullptr;
}

}  // namespace

bool isBlank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

void FileCheck::problem(const std::string& place, std::string message) {
    problems_.push_back({std::string(file_) + ": " + place, std::move(message)});
}

bool FileCheck::isObject(Value value, const std::string& place) {
    if (isGiven(value) && !value.isObject()) problem(place, "is not an object");
    return value.isObject();
}

bool FileCheck::isArray(Value value, const std::string& place) {
    if (isGiven(value) && !value.isArray()) problem(place, "is not a list");
    return value.isArray();
}

void FileCheck::checkKeys(Value object, std::initializer_list<std::string_view> known, const std::string& place) {
    for (const auto [name, ignored] : object.members()) {
        if (std::find(known.begin(), known.end(), name) == known.end())
            problem(place + '/' + std::string(name), "unknown key");
    }
}

std::string_view FileCheck::text(Value value, const std::string& place) {
    if (!isGiven(value)) {
        problem(place, "missing");
    } else if (!value.isString()) {
        problem(place, "is not a string");
    } else if (isBlank(value.text())) {
        problem(place, "is blank");
    } else {
        return value.text();
    }
    return {};
}

std::string_view FileCheck::textIfGiven(Value value, const std::string& place) {
    return isGiven(value) ? text(value, place) : std::string_view();
}

bool FileCheck::flag(Value value, bool otherwise, const std::string& place) {
    if (!isGiven(value)) return otherwise;
    if (value.kind() != fhir::json::Kind::boolean) problem(place, "is not true or false");
    return value.isTrue();
}

bool FileCheck::namesStandOnce(Value value, const std::string& place) {
    bool once = true;
    std::set<std::string_view> names;
    for (const auto [name, member] : value.members()) {
        const std::string where = place + '/' + std::string(name);
        if (!names.insert(name).second) {
            problem(where, "stands twice");
            once = false;
        }
        once = namesStandOnce(member, where) && once;
    }
    std::size_t index = 0;
    for (const Value item : value.items()) once = namesStandOnce(item, place + '/' + std::to_string(index++)) && once;
    return once;
}

}  // namespace mapping
