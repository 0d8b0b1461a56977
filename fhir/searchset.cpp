#include "fhir/searchset.h"

namespace fhir {

Covered Searchsets::add(const SearchResult& result, const std::string& path, bool isPage) {
    using Outcome = SearchResult::Outcome;
    if (result.outcome == Outcome::failed) return Covered::notRead;
    const bool isComplete = result.outcome == Outcome::complete;
    Covered covered = isComplete ? Covered::completely : Covered::partly;
    std::size_t number = 0;
    for (const auto& document : result.pages) {
        const json::Value bundle = document->root();
        if (bundle["resourceType"].text() != "Bundle") {
            covered = Covered::partly;  // whatever it is, it is not what was asked for
            continue;
        }
        if (withholds(bundle, result.pages.size() > 1 || isPage)) covered = Covered::partly;
        sources.push_back({bundle, path + '[' + std::to_string(number++) + ']', isComplete});
        pages.push_back(document);
    }
    return covered;
}

}  // namespace fhir
