#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/knowledge.h"

namespace cds_hooks {

inline constexpr std::string_view serviceId = "cd7-trials";
inline constexpr std::string_view serviceHook = "patient-view";

/// One prefetch template: its key, the query, and what its answer covers.
struct PrefetchTemplate {
    std::string key;
    std::string query;
    std::string resourceType;
    std::string part;  ///< of Observation: the group of facts whose codes it asks for
};

/// The prefetch templates, computed from the vocabulary: exactly the codes that can be used, no parameter name twice in
/// one query. Source: CDS Hooks 2.0, prefetch template; checklist rows 37 to 44.
std::vector<PrefetchTemplate> prefetchTemplates(const mapping::Vocabulary& vocabulary);

/// The body of GET /cds-services.
std::string discoveryJson(const Knowledge& knowledge);

}  // namespace cds_hooks
