#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>

#include "tests/support.h"

// fixtures/rulings holds small charts that an evaluation written independently of this program found to be decided by
// one of the clinical rulings; expected.txt says what the ruling makes of them.

TEST_CASE("small charts on which a ruling decides come out as the ruling says") {
    std::istringstream lines(support::readFile("fixtures/rulings/expected.txt"));
    std::set<std::string> charts;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream words(line);
        std::string chart;
        std::string trial;
        std::string criterion;
        std::string truth;
        std::string basis;
        REQUIRE(static_cast<bool>(words >> chart >> trial >> criterion >> truth >> basis));
        charts.insert(chart);
        CAPTURE(line);
        const auto screening = support::screen(support::readFile("fixtures/rulings/" + chart + ".json"), "2025-11-13",
                                               support::covering({"Condition", "Observation"}));
        CHECK_EQ(support::truth(screening, trial, criterion), truth);
        CHECK_EQ(support::basis(screening, trial, criterion), basis);
    }
    CHECK_GE(charts.size(), 40);
}
