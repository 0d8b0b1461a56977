#include "cds-hooks/gate_codes.h"

#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>

#include "fhir/scan.h"
#include "mapping/fact.h"
#include "rules/evaluate.h"

namespace cds_hooks {

namespace {

using mapping::Derivation;
using mapping::FactDefinition;

bool isDiagnosis(const FactDefinition& fact) {
    const bool ofDiagnoses = std::all_of(fact.sources.begin(), fact.sources.end(), [](const std::string& source) {
        return source == "Condition" || source == "Observation";
    });
    return ofDiagnoses && fact.names.empty() &&
           (fact.derivation == Derivation::none || fact.derivation == Derivation::tLineage);
}

/// Whether some gate opens for a chart that holds nothing, however much of it was read.
bool opensForNothing(const mapping::Vocabulary& vocabulary, const std::vector<rules::Trial>& trials) {
    using fhir::Covered;
    for (const Covered covered : {Covered::undeclared, Covered::notRead, Covered::partly, Covered::completely}) {
        fhir::Chart chart;
        chart.coverage.setAll(covered);
        const mapping::Facts facts = mapping::readFacts(chart, vocabulary, *fhir::Date::of(2000, 1, 1));
        for (const rules::Trial& trial : trials) {
            if (rules::evaluate(trial, facts).gate) return true;
        }
    }
    return false;
}

std::size_t hash(std::string_view text, std::size_t places) {
    return std::hash<std::string_view>()(text) % places;
}

/// Whether some letter is written as an escape, so that a name or a code may not be what its bytes say.
bool escapesLetters(std::string_view json) {
    constexpr std::string_view escape = "\\u00";
    for (std::size_t at = json.find(escape); at != std::string_view::npos; at = json.find(escape, at + 1)) {
        const std::size_t digit = at + escape.size();
        if (digit < json.size() && json[digit] >= '2' && json[digit] <= '7') return true;
    }
    return false;
}

}  // namespace

std::set<std::size_t> gateFacts(const mapping::Vocabulary& vocabulary, const std::vector<rules::Trial>& trials) {
    std::set<std::size_t> facts;
    for (const rules::Trial& trial : trials) {
        for (const std::size_t criterion : trial.gate) {
            for (const std::size_t fact : rules::factsOf(trial.criteria[criterion].when, trial)) facts.insert(fact);
        }
    }
    std::vector<std::size_t> further;
    for (const std::size_t index : facts) {
        const FactDefinition& fact = vocabulary.facts()[index];
        further.insert(further.end(), fact.from.begin(), fact.from.end());
        further.insert(further.end(), fact.suspectedBy.begin(), fact.suspectedBy.end());
        if (fact.confirmedBy) further.push_back(*fact.confirmedBy);
    }
    facts.insert(further.begin(), further.end());
    // Read to tell the lineage of the others (ruling 2).
    if (const FactDefinition* other = vocabulary.find("bLymphoblasticLeukemia")) facts.insert(other->index);
    return facts;
}

GateCodes::GateCodes(const mapping::Vocabulary& vocabulary, const std::vector<rules::Trial>& trials) {
    const std::set<std::size_t> facts = gateFacts(vocabulary, trials);
    const bool areDiagnoses = std::all_of(facts.begin(), facts.end(),
                                          [&](std::size_t index) { return isDiagnosis(vocabulary.facts()[index]); });
    if (!areDiagnoses || opensForNothing(vocabulary, trials)) return;
    for (const mapping::CodeRow& row : vocabulary.rows()) {
        if (facts.contains(row.fact)) add(row.code);
    }
    // Shorter prefixes than this one could not be told by their beginning.
    constexpr std::size_t shortest = 2;
    beginning_ = prefixes_.empty() ? shortest : prefixes_.front().size();
    for (const std::string& prefix : prefixes_) beginning_ = std::min(beginning_, prefix.size());
    if (beginning_ < shortest) return;
    for (const std::string& code : exact_) exactHashes_.set(hash(code, places));
    for (const std::string& prefix : prefixes_)
        prefixBeginnings_.set(hash(std::string_view(prefix).substr(0, beginning_), places));
    knows_ = true;
}

void GateCodes::add(std::string_view code) {
    // Whatever the system: a closing '-' may mean a prefix, and what is written like a code of ICD-10 is compared so.
    exact_.insert(mapping::plainCode(code));
    if (code.ends_with('-')) prefixes_.push_back(mapping::plainCode(code.substr(0, code.size() - 1)));
}

bool GateCodes::isKnown(std::string_view code) const {
    // As plainCode, without its string.
    std::array<char, 64> buffer{};
    std::size_t size = 0;
    for (const char c : code) {
        if (c == '.' || c == ' ') continue;
        if (size == buffer.size()) return true;  // longer than any of ours: somebody else may tell
        buffer[size++] = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    const std::string_view plain(buffer.data(), size);
    if (exactHashes_.test(hash(plain, places)) && exact_.contains(std::string(plain))) return true;
    if (plain.size() < beginning_ || !prefixBeginnings_.test(hash(plain.substr(0, beginning_), places))) return false;
    return std::any_of(prefixes_.begin(), prefixes_.end(),
                       [&](const std::string& prefix) { return plain.starts_with(prefix); });
}

bool GateCodes::mayConcern(std::string_view json) const {
    if (!knows_) return true;
    const char* const end = json.data() + json.size();
    const auto skipSpace = [&](const char* at) {
        while (at != end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
        return at;
    };
    constexpr std::string_view name = "\"code\"";
    for (const char* at = fhir::json::findText(json.data(), end, name); at != end;
         at = fhir::json::findText(at, end, name)) {
        at = skipSpace(at + name.size());
        if (at == end || *at != ':') continue;
        at = skipSpace(at + 1);
        if (at == end) break;
        // Some servers send a code as a number, and it is read as one.
        if (*at == '-' || (*at >= '0' && *at <= '9')) return true;
        if (*at != '"') continue;
        const char* const code = at + 1;
        at = fhir::json::findStringEnd(code, end);
        if (at == end || *at != '"') return true;  // an escape, or broken
        if (isKnown({code, static_cast<std::size_t>(at - code)})) return true;
    }
    return json.find("QuestionnaireResponse") != std::string_view::npos || escapesLetters(json);
}

}  // namespace cds_hooks
