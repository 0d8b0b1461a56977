#pragma once

#include <cstddef>

#include "fhir/arena.h"
#include "fhir/repeats.h"
#include "fhir/shapes.h"

namespace fhir::json {

/// What a thread has read before, and finds again. It grows to a few megabytes at most, and is forgotten then;
/// documents that refer to it hold it as long as they need it.
class Memory {
    static constexpr std::size_t mostBytes = std::size_t{4} << 20;
    Arena arena_{mostBytes};

public:
    Repeats repeats{arena_};
    Shapes shapes{arena_};

    Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    bool isFull() const { return arena_.isFull() || shapes.isFull(); }
};

}  // namespace fhir::json
