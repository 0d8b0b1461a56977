#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/knowledge.h"

namespace cds_hooks {

/// What every card is about (Card.source.topic); it never changes, so that an override sticks to it.
inline constexpr std::string_view cardTopicSystem = "urn:cd7match:card-topic";
inline constexpr std::string_view cardTopicCode = "cd7trials";
inline constexpr std::string_view cardTopicDisplay = "CD7-directed CAR-T and CAR-NK trials";

/// A field of a hook's context.
struct ContextField {
    enum class Kind { text, list, bundle };
    std::string_view name;
    Kind kind = Kind::text;
    bool required = true;
};

/// One CDS service: a hook under an id of its own, with the same evaluation as the others.
struct Service {
    std::string_view id;
    std::string_view hook;
    std::string_view title;
    std::vector<ContextField> context;  ///< Source: CDS Hooks library, the hook's page; checklist rows 30 to 36
    std::string_view orders;            ///< the context field with draft orders; empty where a hook has none
};

/// Every service, in the order of discovery.
const std::vector<Service>& services();

/// The service of that id; nothing when there is none.
const Service* findService(std::string_view id);

/// The prefetch templates, computed from the vocabulary: exactly the codes that can be used, no parameter name twice in
/// one query. Source: CDS Hooks 2.0, prefetch template; checklist rows 37 to 44.
std::vector<PrefetchTemplate> prefetchTemplates(const mapping::Vocabulary& vocabulary);

/// The query of a template for this patient; empty when his id may not stand in an address.
std::string queryFor(const PrefetchTemplate& expected, const std::string& patientId);

/// The body of GET /cds-services.
std::string discoveryJson(const Knowledge& knowledge);

}  // namespace cds_hooks
