#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/model/subjects.h"

// Law 4 of the house on drawn patients: order of entries, unit system, notation of the same instant, duplicate
// resources, irrelevant resources and patients, and paging move no verdict; making a fact unknown moves a verdict only
// towards unknown.

namespace {

using model::Item;
using model::Patient;
using model::Style;
using model::Verdicts;

/// What the program says otherwise, "by" what was changed.
void compare(const Verdicts& before, const Verdicts& after, const std::string& by, std::vector<std::string>& moved) {
    const auto each = [&](const auto& left, const auto& right, const std::string& what) {
        for (const auto& [key, value] : left) {
            if (right.at(key) != value)
                moved.push_back(by + ", " + what + ": " + key + " from " + value + " to " + right.at(key));
        }
    };
    each(before.truths, after.truths, "truth");
    each(before.bases, after.bases, "basis");
    each(before.statuses, after.statuses, "status");
}

/// Facts that read each other: what makes one of them unknown does so to the others.
const std::vector<std::set<std::string>>& related() {
    static const auto groups = [] {
        std::vector<std::set<std::string>> result{
            {"creatinine", "bodyWeight", "creatinineClearance"},
            {"hematologicMalignancy", "relapse", "completeRemission", "tLymphoblasticLeukemia",
             "tLymphoblasticLymphoma", "bLymphoblasticLeukemia"}};
        for (const model::FactEntry& fact : model::knowledge().facts) {
            std::set<std::string> group{fact.name};
            group.insert(fact.testedBy.begin(), fact.testedBy.end());
            group.insert(fact.suspectedBy.begin(), fact.suspectedBy.end());
            if (!fact.confirmedBy.empty()) group.insert(fact.confirmedBy);
            if (!fact.methodOf.empty()) group.insert(fact.methodOf);
            if (group.size() > 1) result.push_back(group);
        }
        return result;
    }();
    return groups;
}

std::set<std::string> factsOf(const Item& item) {
    std::set<std::string> facts;
    for (const std::size_t sense : item.senses) {
        for (const auto& [fact, role] : model::knowledge().senses[sense].meaning.roles) facts.insert(fact);
    }
    return facts;
}

/// The patient without an item and all that speaks of the same facts, none of whose sources is completely read.
/// Nothing when pregnancy or lactation is among them: without a record sex and age decide (ruling 19).
std::optional<Patient> unknowing(const Patient& patient, const Item& item) {
    std::set<std::string> unknown = factsOf(item);
    std::vector<bool> dropped(patient.items.size(), false);
    const auto meets = [&](const std::set<std::string>& facts) {
        return std::any_of(facts.begin(), facts.end(), [&](const std::string& fact) { return unknown.contains(fact); });
    };
    for (bool more = true; more;) {
        more = false;
        for (const std::set<std::string>& group : related()) {
            if (!meets(group)) continue;
            const std::size_t before = unknown.size();
            unknown.insert(group.begin(), group.end());
            more = more || unknown.size() > before;
        }
        for (std::size_t i = 0; i < patient.items.size(); ++i) {
            const std::set<std::string> facts = factsOf(patient.items[i]);
            if (dropped[i] || (patient.items[i].salt != item.salt && !meets(facts))) continue;
            dropped[i] = more = true;
            unknown.insert(facts.begin(), facts.end());
        }
    }
    if (unknown.contains("pregnancy") || unknown.contains("lactation")) return std::nullopt;
    Patient result = patient;
    result.items.clear();
    for (std::size_t i = 0; i < patient.items.size(); ++i) {
        if (!dropped[i]) result.items.push_back(patient.items[i]);
    }
    for (const std::string& fact : unknown) {
        for (const std::string& type : model::knowledge().fact(fact).sources) result.covered.erase(type);
    }
    result.covered.erase(item.type);
    return result;
}

}  // namespace

TEST_CASE("order, units, notation, duplicates, noise, other patients and paging move no verdict") {
    model::onEveryPatient(1'500, [](const Patient& patient, const Style& style) {
        Style plain;
        plain.seed = style.seed;
        const Verdicts before = model::verdicts(patient, plain);
        std::vector<std::string> moved;
        const auto with = [&](const std::string& by, auto change) {
            Style other = plain;
            change(other);
            compare(before, model::verdicts(patient, other), by, moved);
        };
        with("another order", [](Style& other) { other.shuffled = true; });
        with("other codes, units and notations", [](Style& other) { other.seed += 7'919; });
        with("duplicates", [](Style& other) { other.duplicates = true; });
        with("noise and other patients", [](Style& other) { other.noise = true; });
        with("paging", [](Style& other) { other.wrapping = Style::Wrapping::nested; });
        with("an array of resources", [](Style& other) { other.wrapping = Style::Wrapping::array; });
        return moved;
    });
}

TEST_CASE("making a fact unknown moves a verdict only towards unknown") {
    model::onEveryPatient(2'000, [](const Patient& patient, const Style& style) {
        std::vector<std::string> moved;
        if (patient.items.empty()) return moved;
        const auto bySalt = [](const Item& left, const Item& right) { return left.salt < right.salt; };
        const auto [one, other] = std::minmax_element(patient.items.begin(), patient.items.end(), bySalt);
        const Verdicts before = model::verdicts(patient, style);
        for (const Item& item : {*one, *other}) {
            const std::optional<Patient> ignorant = unknowing(patient, item);
            if (!ignorant) continue;
            const Verdicts after = model::verdicts(*ignorant, style);
            for (const auto& [criterion, truth] : after.truths) {
                if (truth != "unknown" && truth != before.truths.at(criterion))
                    moved.push_back(criterion + ": from " + before.truths.at(criterion) + " to " + truth +
                                    " without a " + item.type);
            }
        }
        return moved;
    });
}
