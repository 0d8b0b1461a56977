#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fhir/bundle.h"
#include "fhir/client.h"

namespace fhir {

/// What searches brought: sources of a chart, and the documents that own them.
struct Searchsets {
    std::vector<Source> sources;
    std::vector<std::shared_ptr<const json::Document>> pages;

    /// Takes the pages of one search, named `path` in issues, and says how much of what was asked for they hold:
    /// nothing when it failed, a part of it when pages are missing, when something was withheld, or when an answer was
    /// no Bundle. `isPage`: the first page is elsewhere.
    Covered add(const SearchResult& result, const std::string& path, bool isPage = false);
};

}  // namespace fhir
