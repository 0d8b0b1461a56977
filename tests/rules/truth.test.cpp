#include "rules/truth.h"

#include <doctest/doctest.h>

#include <array>
#include <string_view>

using rules::kleeneAnd;
using rules::kleeneNot;
using rules::kleeneOr;
using rules::Truth;

namespace {

constexpr Truth F = Truth::False;
constexpr Truth U = Truth::Unknown;
constexpr Truth T = Truth::True;
constexpr std::array<Truth, 3> all{F, U, T};

struct Cell {
    Truth a, b, both, either;
};

// Kleene 1952, section 64: the strong tables.
constexpr std::array<Cell, 9> table{{{F, F, F, F},
                                     {F, U, F, U},
                                     {F, T, F, T},
                                     {U, F, F, U},
                                     {U, U, U, U},
                                     {U, T, U, T},
                                     {T, F, F, T},
                                     {T, U, U, T},
                                     {T, T, T, T}}};

}  // namespace

TEST_CASE("and is false as soon as one part is, and true only when both are") {
    for (const Cell& cell : table) CHECK(kleeneAnd(cell.a, cell.b) == cell.both);
}

TEST_CASE("or is true as soon as one part is, and false only when both are") {
    for (const Cell& cell : table) CHECK(kleeneOr(cell.a, cell.b) == cell.either);
}

TEST_CASE("not swaps true and false and leaves unknown alone") {
    CHECK(kleeneNot(F) == T);
    CHECK(kleeneNot(U) == U);
    CHECK(kleeneNot(T) == F);
}

TEST_CASE("De Morgan holds for every pair") {
    for (const Truth a : all) {
        for (const Truth b : all) {
            CHECK(kleeneNot(kleeneAnd(a, b)) == kleeneOr(kleeneNot(a), kleeneNot(b)));
            CHECK(kleeneNot(kleeneOr(a, b)) == kleeneAnd(kleeneNot(a), kleeneNot(b)));
        }
    }
}

TEST_CASE("and, or and not can be computed at compile time") {
    static_assert(kleeneAnd(T, U) == U);
    static_assert(kleeneOr(F, U) == U);
    static_assert(kleeneNot(kleeneNot(U)) == U);
    CHECK(kleeneNot(kleeneNot(T)) == T);
}

TEST_CASE("order and grouping of parts do not matter") {
    for (const Truth a : all) {
        for (const Truth b : all) {
            CHECK(kleeneAnd(a, b) == kleeneAnd(b, a));
            CHECK(kleeneOr(a, b) == kleeneOr(b, a));
            for (const Truth c : all) {
                CHECK(kleeneAnd(kleeneAnd(a, b), c) == kleeneAnd(a, kleeneAnd(b, c)));
                CHECK(kleeneOr(kleeneOr(a, b), c) == kleeneOr(a, kleeneOr(b, c)));
                CHECK(kleeneAnd(a, kleeneOr(b, c)) == kleeneOr(kleeneAnd(a, b), kleeneAnd(a, c)));
            }
        }
    }
}

TEST_CASE("knowing more never takes a truth back") {
    // Replacing an unknown part by either answer keeps what was decided.
    for (const Truth a : all) {
        for (const Truth known : {F, T}) {
            if (kleeneAnd(a, U) != U) CHECK(kleeneAnd(a, known) == kleeneAnd(a, U));
            if (kleeneOr(a, U) != U) CHECK(kleeneOr(a, known) == kleeneOr(a, U));
        }
    }
}

TEST_CASE("a truth is written in the words of the output contract") {
    CHECK(rules::word(T) == "true");
    CHECK(rules::word(F) == "false");
    CHECK(rules::word(U) == "unknown");
}
