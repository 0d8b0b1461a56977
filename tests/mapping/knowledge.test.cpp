#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support.h"

// The vocabulary answers everything that the reading of the trials asks for (clinical README, ruling 1).

namespace {

std::vector<std::string> linesOf(const std::string& path) {
    std::istringstream stream(support::readFile(path));
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// Fact of the reading, and for how many days a result of it counts; "-" where age does not matter.
std::map<std::string, std::string> factsOfTheReading() {
    std::map<std::string, std::string> facts;
    for (const std::string& line : linesOf("fixtures/registry/facts.txt")) {
        const std::size_t space = line.find(' ');
        REQUIRE(space != std::string::npos);
        facts.emplace(line.substr(0, space), line.substr(space + 1));
    }
    return facts;
}

}  // namespace

TEST_CASE("every fact of the reading is answered by exactly one entry of the vocabulary, or asked by a criterion") {
    const auto facts = factsOfTheReading();
    REQUIRE(facts.size() == 159);
    std::map<std::string, std::vector<std::string>> answeredBy;
    for (const mapping::FactDefinition& fact : support::knowledge().vocabulary.facts()) {
        for (const std::string& name : fact.reading) answeredBy[name].push_back(fact.name);
    }
    const std::vector<std::string>& judgements = support::knowledge().vocabulary.judgements();
    for (const auto& fact : facts) {
        CAPTURE(fact.first);
        const auto asked = std::count(judgements.begin(), judgements.end(), fact.first);
        CHECK(answeredBy[fact.first].size() + static_cast<std::size_t>(asked) == 1);
    }
    for (const auto& answer : answeredBy)
        CHECK_MESSAGE(facts.count(answer.first) == 1, answer.first << " is no fact of the reading");
}

TEST_CASE("every value set is drawn upon by some fact, by the words of results, or by a judgement") {
    const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
    const std::vector<std::string> concepts = linesOf("fixtures/registry/concepts.txt");
    REQUIRE(concepts.size() == 156);
    std::set<std::string> used(vocabulary.usedConcepts().begin(), vocabulary.usedConcepts().end());
    used.insert(vocabulary.judgements().begin(), vocabulary.judgements().end());
    for (const std::string& name : concepts) CHECK_MESSAGE(used.count(name) == 1, name << " is used nowhere");
}

TEST_CASE("a result counts for as many days as the reading says") {
    const auto facts = factsOfTheReading();
    for (const mapping::FactDefinition& fact : support::knowledge().vocabulary.facts()) {
        const std::string days = fact.freshFor ? std::to_string(*fact.freshFor) : "-";
        for (const std::string& name : fact.reading) {
            CAPTURE(fact.name);
            CAPTURE(name);
            REQUIRE(facts.count(name) == 1);
            CHECK(days == facts.at(name));
        }
    }
}
