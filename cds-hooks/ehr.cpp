#include "cds-hooks/ehr.h"

#include <array>
#include <set>
#include <utility>
#include <vector>

#include "cds-hooks/discovery.h"
#include "cds-hooks/override.h"

namespace cds_hooks {

namespace {

/// A cell that is copied: as code, its pipes escaped, for GitHub splits a row at every other one.
std::string copied(std::string_view text) {
    std::string cell = "`";
    for (const char c : text) {
        if (c == '|') cell += '\\';
        cell += c;
    }
    return cell + '`';
}

void addRow(std::string& text, const std::vector<std::string>& cells) {
    for (const std::string& cell : cells) text += "| " + cell + ' ';
    text += "|\n";
}

void addHead(std::string& text, const std::vector<std::string>& names) {
    addRow(text, names);
    for (std::size_t i = 0; i < names.size(); ++i) text += "|---";
    text += "|\n";
}

/// The tokens between double braces.
std::set<std::string> tokensIn(std::string_view query) {
    std::set<std::string> tokens;
    for (auto from = query.find("{{"); from != std::string_view::npos; from = query.find("{{", from + 1)) {
        const auto to = query.find("}}", from);
        if (to != std::string_view::npos) tokens.emplace(query.substr(from, to + 2 - from));
    }
    return tokens;
}

}  // namespace

std::string ehrTable(const Knowledge& knowledge, std::string_view baseUrl) {
    const std::string base(baseUrl);
    const std::vector<PrefetchTemplate>& templates = knowledge.prefetch;
    std::string text = "## Endpoints\n\n";
    addHead(text, {"hook", "endpoint (also the `aud` of the JWT)", "feedback"});
    for (const Service& service : services()) {
        const std::string url = base + "/cds-services/" + std::string(service.id);
        addRow(text, {copied(service.hook), copied(url), copied(url + "/feedback")});
    }

    text += "\n## Context\n\n";
    addHead(text, {"hook", "context fields (those in brackets are optional)"});
    for (const Service& service : services()) {
        std::string fields;
        for (const ContextField& field : service.context) {
            const std::string name = field.required ? std::string(field.name) : "[" + std::string(field.name) + "]";
            fields += (fields.empty() ? "" : ", ") + name;
        }
        addRow(text, {copied(service.hook), fields});
    }

    text +=
        "\n## Prefetch\n\nThe same for every hook. A key may be left out: the card then says what was not read.\n\n";
    addHead(text, {"key", "query"});
    std::set<std::string> tokens;
    for (const PrefetchTemplate& prefetch : templates) {
        addRow(text, {copied(prefetch.key), copied(prefetch.query)});
        tokens.merge(tokensIn(prefetch.query));
    }
    text += "\nTokens:";
    for (const std::string& token : tokens) text += ' ' + copied(token);
    text += "\n\n## Trust\n\n";
    addHead(text, {"claim", "value"});
    addRow(text, {copied("aud"), "the endpoint of the call, as above; another one can be agreed on for each issuer"});
    addRow(text, {copied("iss"), "agreed on beforehand: the FHIR base URL of the EHR at most vendors"});
    addRow(text, {copied("alg"), "`ES384` or `RS384`"});
    addRow(text, {copied("jti"), "new in every call"});

    text += "\n## Card topic\n\n";
    addHead(text, {"system", "code", "display"});
    addRow(text, {copied(cardTopicSystem), copied(cardTopicCode), std::string(cardTopicDisplay)});

    text += "\n## Override reasons\n\nSystem " + copied(overrideReasonSystem) + ". The HL7 code, of " +
            copied(nonAdherenceSystem) + ", is understood in feedback as the same.\n\n";
    addHead(text, {"code", "display", "HL7 code"});
    for (const OverrideReason& reason : overrideReasons)
        addRow(text, {copied(reason.code), std::string(reason.display),
                      reason.nonAdherence.empty() ? "" : copied(reason.nonAdherence)});
    return text;
}

}  // namespace cds_hooks
