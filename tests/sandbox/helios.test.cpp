#include <doctest/doctest.h>

#include "tests/sandbox/suite.h"

TEST_CASE("Helios gives the same answers as stored Bundles, and keeps what is written back once") {
    sandbox::testServer("helios");
}
