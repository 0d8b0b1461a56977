#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <future>
#include <string>

#include "fhir/error.h"
#include "fhir/json.h"

/// For tests of what a thread remembers of texts it read: how it reads one, and how a thread reads it that remembers
/// nothing.
namespace reading {

/// What a document says, or why it cannot be read.
inline std::string read(const std::string& text, const fhir::json::Limits& limits = {}) {
    try {
        const fhir::json::Document document(text, fhir::json::Selection::elements, limits);
        fhir::json::Writer writer;
        writer.value(document.root());
        return std::string(writer.text());
    } catch (const fhir::Error& error) {
        return std::string(error.path()) + ": " + error.what();
    }
}

/// The same by a thread that has read nothing before.
inline std::string readAfresh(const std::string& text, const fhir::json::Limits& limits = {}) {
    return std::async(std::launch::async, [&] { return read(text, limits); }).get();
}

/// Limits from the first up to the last, which is not one of them.
struct Range {
    std::size_t first;
    std::size_t last;
};

/// Checks that a text is read as if nothing were remembered at each limit of levels and of values, and that some of the
/// limits of values refuse it and some do not.
inline void checkLimits(const std::string& text, Range depths, Range values) {
    fhir::json::Limits limits;
    for (limits.depth = depths.first; limits.depth < depths.last; ++limits.depth) {
        CAPTURE(limits.depth);
        CHECK(read(text, limits) == readAfresh(text, limits));
    }
    limits = {};
    std::size_t refused = 0;
    for (limits.values = values.first; limits.values < values.last; ++limits.values) {
        CAPTURE(limits.values);
        const std::string expected = readAfresh(text, limits);
        CHECK(read(text, limits) == expected);
        refused += expected.find("more values than the limit") != std::string::npos;
    }
    CHECK(refused > 0);
    CHECK(refused < values.last - values.first);
}

}  // namespace reading
