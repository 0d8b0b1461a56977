#pragma once

#include <string>
#include <string_view>

#include "cds-hooks/knowledge.h"

namespace cds_hooks {

/// What an analyst types into an EHR that does not read discovery: endpoints, prefetch keys and queries, the tokens in
/// them, audience and issuer, card topic and override codes. Markdown tables, from the same source as discovery.
/// `baseUrl` is the public address of the service, without a slash at its end.
std::string ehrTable(const Knowledge& knowledge, std::string_view baseUrl);

}  // namespace cds_hooks
