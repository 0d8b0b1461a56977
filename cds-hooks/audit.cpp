#include "cds-hooks/audit.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iomanip>
#include <memory>
#include <ostream>
#include <sstream>
#include <utility>

#include "cds-hooks/markdown.h"
#include "fhir/json.h"
#include "mapping/observation.h"

namespace cds_hooks {

using fhir::CodeableConcept;
using fhir::json::Writer;
using mapping::Basis;
using mapping::Evidence;
using mapping::FactDefinition;
using mapping::Vocabulary;

namespace {

/// Distinct codes that are kept; a hospital has some ten thousand.
constexpr std::size_t mostCodes = 100'000;
constexpr std::size_t longestWords = 80;
/// Words that are less like a fact than this name none.
constexpr double leastLikeness = 0.5;
/// Below this likeness a suggested code is only shown, and never decides.
constexpr double surely = 0.9;
/// Bare words are shown when so many charts hold them: what one chart alone says may be about a person.
constexpr std::size_t leastCharts = 2;

// --- what the trials read --------------------------------------------------------------------------------------------

void visit(const rules::Rule& rule, std::set<std::size_t>& facts, FactUse& use) {
    if (rule.kind == rules::Rule::Kind::comparison) {
        const rules::Comparison& comparison = rule.comparison;
        facts.insert(comparison.fact);
        if (comparison.except) facts.insert(*comparison.except);
        if (comparison.after) facts.insert(*comparison.after);
        if (comparison.timesUpperLimit) use.upperLimit[comparison.fact] = true;
    }
    for (const rules::Rule& part : rule.rules) visit(part, facts, use);
}

FactUse useOf(const Knowledge& knowledge) {
    const std::size_t count = knowledge.vocabulary.facts().size();
    FactUse use{std::vector<std::size_t>(count, 0), std::vector<bool>(count, false)};
    for (const rules::Trial& trial : knowledge.trials) {
        for (const rules::Criterion& criterion : trial.criteria) {
            std::set<std::size_t> facts;
            visit(criterion.when, facts, use);
            // What a fact is computed from is read with it.
            for (const std::size_t fact : std::set<std::size_t>(facts)) {
                for (const std::size_t from : knowledge.vocabulary.facts()[fact].from) facts.insert(from);
            }
            for (const std::size_t fact : facts) ++use.criteria[fact];
        }
    }
    return use;
}

// --- words -----------------------------------------------------------------------------------------------------------

/// Words and numbers of a text in lower case, each once; "totalBilirubin" is two.
std::set<std::string> tokensOf(std::string_view text) {
    static const std::set<std::string> stop{"of", "in", "by", "the", "and", "or", "with", "for", "to", "on", "a", "an",
                                            // What says nothing of which fact it is.
                                            "total", "mean", "level", "measurement", "disorder", "finding", "procedure",
                                            "quantitative", "serum", "plasma"};
    std::set<std::string> tokens;
    std::string token;
    char before = ' ';
    const auto close = [&] {
        if (!token.empty() && !stop.contains(token)) tokens.insert(token);
        token.clear();
    };
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool isWord = std::isalnum(byte) != 0 || byte >= 0x80;
        if (!isWord || (std::isupper(byte) != 0 && std::islower(static_cast<unsigned char>(before)) != 0)) close();
        if (isWord) token += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
        before = c;
    }
    close();
    return tokens;
}

/// Finds the fact whose label, name or codes are most like words. Rare words weigh more than common ones.
class Likeness {
public:
    explicit Likeness(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
        std::set<std::pair<std::size_t, std::set<std::string>>> phrases;
        for (const FactDefinition& fact : vocabulary.facts()) {
            phrases.emplace(fact.index, tokensOf(fact.label));
            phrases.emplace(fact.index, tokensOf(fact.name));
        }
        for (const mapping::CodeRow& row : vocabulary.rows()) {
            // Up to the first bracket: LOINC says property, system and method behind it.
            if (row.role == mapping::Role::accept)
                phrases.emplace(row.fact, tokensOf(row.display.substr(0, row.display.find_first_of("[("))));
        }
        for (const auto& [fact, tokens] : phrases) {
            if (tokens.empty()) continue;
            for (const std::string& token : tokens) {
                byToken_[token].push_back(phrases_.size());
                facts_[token].insert(fact);
            }
            phrases_.push_back({fact, tokens});
        }
    }

    struct Found {
        const FactDefinition* fact = nullptr;
        double likeness = 0;
    };

    /// The best of the facts that this type of resource can answer.
    Found find(std::string_view words, std::string_view resourceType) const {
        const std::set<std::string> tokens = tokensOf(words);
        double whole = 0;
        for (const std::string& token : tokens) whole += weight(token);
        std::set<std::size_t> candidates;
        for (const std::string& token : tokens) {
            const auto found = byToken_.find(token);
            if (found != byToken_.end()) candidates.insert(found->second.begin(), found->second.end());
        }
        Found best;
        for (const std::size_t candidate : candidates) {
            const auto& [index, phrase] = phrases_[candidate];
            const FactDefinition& fact = vocabulary_.facts()[index];
            if (std::find(fact.sources.begin(), fact.sources.end(), resourceType) == fact.sources.end()) continue;
            double common = 0;
            double all = 0;
            for (const std::string& token : phrase) {
                all += weight(token);
                if (tokens.contains(token)) common += weight(token);
            }
            const double likeness = 2 * common / (whole + all);
            if (likeness > best.likeness + 1e-9) best = {&fact, likeness};
        }
        return best;
    }

private:
    double weight(const std::string& token) const {
        const auto found = facts_.find(token);
        const double facts = found == facts_.end() ? 1 : static_cast<double>(found->second.size());
        return std::log(1 + static_cast<double>(vocabulary_.facts().size()) / facts);
    }

    const Vocabulary& vocabulary_;
    std::vector<std::pair<std::size_t, std::set<std::string>>> phrases_;
    std::map<std::string, std::vector<std::size_t>> byToken_;
    std::map<std::string, std::set<std::size_t>> facts_;
};

// --- resources -------------------------------------------------------------------------------------------------------

/// Where the code of a piece of evidence can stand.
std::vector<const CodeableConcept*> conceptsOf(const fhir::Chart& chart, const Evidence& evidence) {
    std::vector<const CodeableConcept*> concepts;
    const std::size_t index = evidence.resourceIndex;
    if (evidence.resourceType == "Observation" && index < chart.observation.size()) {
        concepts.push_back(&chart.observation[index].result.code);
        for (const fhir::ObservationResult& part : chart.observation[index].component) concepts.push_back(&part.code);
    } else if (evidence.resourceType == "Condition" && index < chart.condition.size()) {
        concepts.push_back(&chart.condition[index].code);
    } else if (evidence.resourceType == "DiagnosticReport" && index < chart.diagnosticReport.size()) {
        for (const CodeableConcept& code : chart.diagnosticReport[index].conclusionCode) concepts.push_back(&code);
    } else if (evidence.resourceType == "AllergyIntolerance" && index < chart.allergyIntolerance.size()) {
        concepts.push_back(&chart.allergyIntolerance[index].code);
    } else if (fhir::isActivity(evidence.resourceType) && index < chart.activity.size()) {
        concepts.push_back(&chart.activity[index].code);
    }
    return concepts;
}

std::string percent(double share) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(2) << share;
    return text.str();
}

std::string padded(std::string text, std::size_t width) {
    const std::size_t length = countCodePoints(text);
    if (length < width) text += std::string(width - length, ' ');
    return text;
}

std::string number(std::size_t value, std::size_t width) {
    const std::string text = value == 0 ? "-" : std::to_string(value);
    return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

}  // namespace

Audit::Audit(const Knowledge& knowledge) : Audit(knowledge, std::make_shared<const FactUse>(useOf(knowledge))) {}

Audit::Audit(const Knowledge& knowledge, std::shared_ptr<const FactUse> use)
    : knowledge_(&knowledge), use_(std::move(use)), facts_(knowledge.vocabulary.facts().size()) {}

Audit Audit::of(StoredChart stored) const {
    Audit audit(*knowledge_, use_);
    const Screening screening = screen(*knowledge_, std::move(stored.chart), stored.asOf);
    const fhir::Chart& chart = screening.chart;
    audit.charts_ = 1;
    audit.issues_ = screening.facts.issues.size();
    const auto countResources = [&](std::string_view type, std::size_t count) {
        if (count > 0) audit.resources_[std::string(type)] += count;
    };
    countResources("Observation", chart.observation.size());
    countResources("Condition", chart.condition.size());
    countResources("AllergyIntolerance", chart.allergyIntolerance.size());
    countResources("DiagnosticReport", chart.diagnosticReport.size());
    countResources("ResearchSubject", chart.researchSubject.size());
    countResources("Consent", chart.consent.size());
    countResources("QuestionnaireResponse", chart.questionnaireResponse.size());
    for (const fhir::Activity& activity : chart.activity) countResources(activity.resourceType, 1);
    audit.readResults(chart, screening.facts);
    audit.readRecords(chart, screening.facts);
    audit.readUnmapped(chart);
    audit.unlocks_.add(unlocks(suggested(screening)));
    return audit;
}

void Audit::readResults(const fhir::Chart& chart, const mapping::Facts& facts) {
    std::vector<fhir::Issue> reported;  // by the screening already
    auto all = mapping::readObservations(chart, knowledge_->vocabulary, facts.asOf, reported);
    for (std::size_t i = 0; i < all.size(); ++i) {
        mapping::markStale(all[i], facts.asOf);
        for (const Evidence& evidence : all[i]) {
            if (evidence.basis == Basis::missing) continue;
            addValue(chart, evidence);
            const bool isNumber = evidence.value.low || evidence.value.high;
            if (use_->upperLimit[i] && isNumber && !evidence.upperLimit) ++facts_[i].noUpperLimit;
        }
    }
}

void Audit::readRecords(const fhir::Chart& chart, const mapping::Facts& facts) {
    for (const mapping::Fact& fact : facts.facts) {
        for (const Evidence& evidence : fact.conditions) addValue(chart, evidence);
        FactAudit& entry = facts_[fact.definition->index];
        const auto usable = [](const Evidence& evidence) {
            return mapping::isDecided(evidence.basis) && !evidence.stale;
        };
        const auto any = [](const std::vector<Evidence>& evidence) { return !evidence.empty(); };
        const mapping::Fact* answered = facts.attestation(fact.definition->index);
        entry.charts = any(fact.results) || any(fact.conditions) || entry.values > 0 || answered != nullptr ? 1 : 0;
        const auto isUsable = [&](const mapping::Fact& each) {
            return std::any_of(each.results.begin(), each.results.end(), usable) ||
                   std::any_of(each.conditions.begin(), each.conditions.end(), usable);
        };
        entry.usable = isUsable(fact) || (answered != nullptr && isUsable(*answered)) ? 1 : 0;
    }
}

void Audit::addValue(const fhir::Chart& chart, const Evidence& evidence) {
    FactAudit& entry = facts_[evidence.fact->index];
    ++entry.values;
    entry.stale += evidence.stale || evidence.basis == Basis::stale ? 1 : 0;
    entry.undated += evidence.basis == Basis::undated ? 1 : 0;
    entry.unreadable += evidence.basis == Basis::unreadableUnit ? 1 : 0;
    entry.implausible += evidence.basis == Basis::implausible ? 1 : 0;
    entry.unconfirmed += evidence.basis == Basis::unconfirmed ? 1 : 0;
    if (!evidence.unitText.empty()) ++entry.units[shorten(evidence.unitText, longestWords)];
    std::vector<mapping::Match> matches;
    for (const CodeableConcept* concept_ : conceptsOf(chart, evidence)) {
        for (const fhir::Coding& coding : concept_->coding) {
            const auto system = knowledge_->vocabulary.system(coding.system);
            if (!system) continue;
            matches.clear();
            knowledge_->vocabulary.lookUp(*system, coding.code, matches);
            const bool speaks = std::any_of(matches.begin(), matches.end(), [&](const mapping::Match& match) {
                return match.fact == evidence.fact->index && match.role != mapping::Role::reject;
            });
            if (!speaks) continue;
            // Under one name for a system, whatever URI the chart gives it.
            auto& [count, display] = entry.codes[{std::string(knowledge_->vocabulary.systemUri(*system)),
                                                  shorten(coding.code, longestWords)}];
            ++count;
            if (display.empty()) display = shorten(coding.display, longestWords);
        }
    }
}

void Audit::readUnmapped(const fhir::Chart& chart) {
    for (const fhir::Observation& observation : chart.observation) {
        addUnmapped("Observation", observation.result.code);
        for (const fhir::ObservationResult& part : observation.component) addUnmapped("Observation", part.code);
    }
    for (const fhir::Condition& condition : chart.condition) addUnmapped("Condition", condition.code);
    for (const fhir::Activity& activity : chart.activity) addUnmapped(activity.resourceType, activity.code);
    for (const fhir::AllergyIntolerance& allergy : chart.allergyIntolerance)
        addUnmapped("AllergyIntolerance", allergy.code);
}

void Audit::addUnmapped(std::string_view resourceType, const CodeableConcept& concept_) {
    std::vector<mapping::Match> matches;
    for (const fhir::Coding& coding : concept_.coding) {
        if (const auto system = knowledge_->vocabulary.system(coding.system))
            knowledge_->vocabulary.lookUp(*system, coding.code, matches);
    }
    if (!matches.empty()) return;
    const auto see = [&](const WrittenCode& written) {
        if (written.words.empty()) return;  // nothing names a fact
        ++unmapped_[{std::string(resourceType), written}].count;
        unmapped_[{std::string(resourceType), written}].charts = 1;
    };
    bool coded = false;
    for (const fhir::Coding& coding : concept_.coding) {
        if (coding.code.empty()) continue;
        coded = true;
        const std::string_view words = coding.display.empty() ? concept_.text : coding.display;
        see({shorten(coding.system, 200), shorten(coding.code, longestWords), shorten(words, longestWords)});
    }
    if (!coded) see({"", "", shorten(concept_.text, longestWords)});
}

void Audit::add(const Audit& chart) {
    charts_ += chart.charts_;
    issues_ += chart.issues_;
    for (const auto& [type, count] : chart.resources_) resources_[type] += count;
    for (std::size_t i = 0; i < facts_.size(); ++i) {
        FactAudit& into = facts_[i];
        const FactAudit& from = chart.facts_[i];
        using Member = std::size_t FactAudit::*;
        for (const Member member :
             {&FactAudit::charts, &FactAudit::usable, &FactAudit::values, &FactAudit::stale, &FactAudit::undated,
              &FactAudit::unreadable, &FactAudit::implausible, &FactAudit::unconfirmed, &FactAudit::noUpperLimit})
            into.*member += from.*member;
        for (const auto& [code, seen] : from.codes) {
            auto& [count, display] = into.codes[code];
            count += seen.first;
            if (display.empty()) display = seen.second;
        }
        for (const auto& [unit, count] : from.units) {
            if (into.units.size() < mostCodes || into.units.contains(unit)) into.units[unit] += count;
        }
    }
    for (const auto& [key, seen] : chart.unmapped_) {
        if (unmapped_.size() >= mostCodes && !unmapped_.contains(key)) {
            ++notKept_;
            continue;
        }
        Seen& into = unmapped_[key];
        into.charts += seen.charts;
        into.count += seen.count;
    }
    unlocks_.add(chart.unlocks_);
}

std::vector<Audit::Unmapped> Audit::unmapped() const {
    const Likeness likeness(knowledge_->vocabulary);
    std::vector<Unmapped> all;
    for (const auto& [key, seen] : unmapped_) {
        const auto& [resourceType, written] = key;
        if (written.code.empty() && seen.charts < leastCharts) continue;
        const Likeness::Found found = likeness.find(written.words, resourceType);
        if (found.fact == nullptr || found.likeness < leastLikeness) continue;
        all.push_back({written, resourceType, seen.charts, seen.count, found.fact, found.likeness,
                       use_->criteria[found.fact->index]});
    }
    std::stable_sort(all.begin(), all.end(), [](const Unmapped& a, const Unmapped& b) {
        const auto key = [](const Unmapped& each) {
            return std::tuple(std::lround(each.likeness * 10), each.charts, each.criteria, each.count);
        };
        return key(b) < key(a);
    });
    return all;
}

/// Codes of a system and the facts that they seem to mean, as docs/site-overlay.md has them.
std::string Audit::overlaySnippet(const std::vector<Unmapped>& unmapped) const {
    std::map<std::string, std::map<std::string, const Unmapped*>> codes;
    for (const Unmapped& each : unmapped) {
        if (!each.written.system.empty() && !each.written.code.empty())
            codes[each.written.system].emplace(each.written.code, &each);
    }
    std::string text = "{\n  \"codes\": {";
    std::string betweenSystems;
    for (const auto& [system, entries] : codes) {
        Writer name;
        name.string(system);
        text += std::exchange(betweenSystems, ",") + "\n    " + std::string(name.text()) + ": {";
        std::string between;
        for (const auto& [code, each] : entries) {
            Writer key;
            key.string(code);
            Writer entry;
            entry.beginObject().member("fact", each->fact->name).member("display", each->written.words);
            if (each->likeness < surely) entry.member("role", "review");
            entry.endObject();
            text +=
                std::exchange(between, ",") + "\n      " + std::string(key.text()) + ": " + std::string(entry.text());
        }
        text += "\n    }";
    }
    return text + (codes.empty() ? "}\n}\n" : "\n  }\n}\n");
}

namespace {

/// The facts that the trials read, those of most charts first.
std::vector<const FactDefinition*> ranked(const Vocabulary& vocabulary, const std::vector<FactAudit>& facts,
                                          const FactUse& use) {
    std::vector<const FactDefinition*> all;
    for (const FactDefinition& fact : vocabulary.facts()) {
        if (use.criteria[fact.index] > 0) all.push_back(&fact);
    }
    std::stable_sort(all.begin(), all.end(), [&](const FactDefinition* a, const FactDefinition* b) {
        const auto key = [&](const FactDefinition* fact) {
            return std::tuple(facts[fact->index].usable, facts[fact->index].charts, use.criteria[fact->index]);
        };
        return key(b) < key(a);
    });
    return all;
}

}  // namespace

std::string Audit::table(std::size_t failed) const {
    constexpr std::size_t mostOfAFact = 4;
    constexpr std::size_t mostUnmapped = 30;
    const std::vector<const FactDefinition*> facts = ranked(knowledge_->vocabulary, facts_, *use_);
    std::string text = padded("fact", 46) + "  charts  usable  values   stale undated    unit implaus unconf  no ULN\n";
    std::string without;
    std::size_t withValue = 0;
    for (const FactDefinition* fact : facts) {
        const FactAudit& entry = facts_[fact->index];
        withValue += entry.usable > 0 ? 1 : 0;
        if (entry.charts == 0) {
            without += (without.empty() ? "" : ", ") + fact->name;
            continue;
        }
        text += padded(shorten(fact->label, 46), 46);
        for (const std::size_t value : {entry.charts, entry.usable, entry.values, entry.stale, entry.undated,
                                        entry.unreadable, entry.implausible, entry.unconfirmed, entry.noUpperLimit})
            text += ' ' + number(value, 7);
        text += '\n';
        std::vector<std::pair<std::size_t, std::string>> from;
        for (const auto& [code, seen] : entry.codes)
            from.emplace_back(seen.first, std::get<0>(code) + '|' + std::get<1>(code) +
                                              (seen.second.empty() ? "" : " (" + seen.second + ")"));
        std::stable_sort(from.begin(), from.end(), [](const auto& a, const auto& b) { return b.first < a.first; });
        for (std::size_t i = 0; i < std::min(mostOfAFact, from.size()); ++i)
            text += "    " + std::to_string(from[i].first) + " x " + printable(from[i].second) + '\n';
        if (from.size() > mostOfAFact)
            text += "    and " + std::to_string(from.size() - mostOfAFact) + " further codes\n";
        std::string units;
        for (const auto& [unit, count] : entry.units)
            units += (units.empty() ? "" : ", ") + printable(unit) + " (" + std::to_string(count) + ")";
        if (!units.empty()) text += "    in " + shorten(units, 200) + '\n';
    }
    if (!without.empty()) text += "\nOn file in no chart: " + without + '\n';

    const std::vector<Unmapped> codes = unmapped();
    text +=
        "\nCodes that the vocabulary does not know and whose words name a fact: " + std::to_string(codes.size()) + '\n';
    for (std::size_t i = 0; i < std::min(mostUnmapped, codes.size()); ++i) {
        const Unmapped& each = codes[i];
        const std::string code =
            each.written.code.empty() ? "(no code)" : each.written.system + '|' + each.written.code;
        text += "  " + percent(each.likeness) + "  " + printable(each.fact->name) + "  <- " + each.resourceType + ' ' +
                printable(code) + " \"" + printable(each.written.words) + "\", " +
                count(each.charts, "chart", "charts") + ", " + count(each.criteria, "criterion", "criteria") + '\n';
    }
    if (codes.size() > mostUnmapped) text += "  ... --format json lists all\n";
    if (notKept_ > 0) text += "  (" + std::to_string(notKept_) + " further codes not looked at: too many)\n";
    if (!codes.empty())
        text += "\nAn overlay for these; read it before you use it (docs/site-overlay.md)\n" + overlaySnippet(codes);

    const std::vector<UnlockTally::Row> rows = unlocks_.rows();
    if (!rows.empty()) text += '\n' + tallyText(unlocks_, false);
    std::string resources;
    for (const auto& [type, total] : resources_)
        resources += (resources.empty() ? "" : ", ") + type + ' ' + std::to_string(total);
    text += "\n" + count(charts_, "chart", "charts") + " (" + (resources.empty() ? "no resources" : resources) + "), " +
            std::to_string(failed) + " not read, " + count(issues_, "issue", "issues") + "; " +
            std::to_string(withValue) + " of " + std::to_string(facts.size()) +
            " facts of the trials have a usable value in at least one chart\n";
    return text;
}

std::string Audit::json(std::size_t failed) const {
    Writer writer;
    writer.beginObject()
        .member("program", programVersion())
        .member("knowledge", knowledge_->digest)
        .name("charts")
        .number(charts_)
        .name("failed")
        .number(failed)
        .name("issues")
        .number(issues_)
        .name("resources")
        .beginObject();
    for (const auto& [type, total] : resources_) writer.name(type).number(total);
    writer.endObject().name("facts").beginArray();
    for (const FactDefinition* fact : ranked(knowledge_->vocabulary, facts_, *use_)) {
        const FactAudit& entry = facts_[fact->index];
        writer.beginObject().member("fact", fact->name).member("label", fact->label);
        const std::vector<std::pair<std::string_view, std::size_t>> counts{{"criteria", use_->criteria[fact->index]},
                                                                           {"charts", entry.charts},
                                                                           {"usable", entry.usable},
                                                                           {"values", entry.values},
                                                                           {"stale", entry.stale},
                                                                           {"undated", entry.undated},
                                                                           {"unreadable", entry.unreadable},
                                                                           {"implausible", entry.implausible},
                                                                           {"unconfirmed", entry.unconfirmed},
                                                                           {"noUpperLimit", entry.noUpperLimit}};
        for (const auto& [name, value] : counts) writer.name(name).number(value);
        writer.name("codes").beginArray();
        for (const auto& [code, seen] : entry.codes) {
            writer.beginObject().member("system", std::get<0>(code)).member("code", std::get<1>(code));
            if (!seen.second.empty()) writer.member("display", seen.second);
            writer.name("count").number(seen.first).endObject();
        }
        writer.endArray().name("units").beginArray();
        for (const auto& [unit, total] : entry.units)
            writer.beginObject().member("unit", unit).name("count").number(total).endObject();
        writer.endArray().endObject();
    }
    writer.endArray().name("unmapped").beginArray();
    const std::vector<Unmapped> codes = unmapped();
    for (const Unmapped& each : codes) {
        writer.beginObject();
        if (!each.written.system.empty()) writer.member("system", each.written.system);
        if (!each.written.code.empty()) writer.member("code", each.written.code);
        writer.member("words", each.written.words)
            .member("resourceType", each.resourceType)
            .member("fact", each.fact->name)
            .name("likeness")
            .number(percent(each.likeness))
            .name("charts")
            .number(each.charts)
            .name("count")
            .number(each.count)
            .name("criteria")
            .number(each.criteria)
            .endObject();
    }
    writer.endArray().name("codesNotKept").number(notKept_).name("unlocks").beginArray();
    for (const UnlockTally::Row& row : unlocks_.rows())
        writer.beginObject()
            .member("fact", row.fact->name)
            .name("charts")
            .number(row.charts)
            .name("trials")
            .number(row.trials)
            .name("criteria")
            .number(row.criteria)
            .endObject();
    const fhir::json::Document overlay{overlaySnippet(codes)};
    writer.endArray().name("overlay").value(overlay.root()).endObject();
    return std::string(writer.text()) + '\n';
}

int audit(const Knowledge& knowledge, const AuditOptions& options, std::ostream& out) {
    Audit all(knowledge);
    const ChartCount count = forEachChart(
        options.charts,
        [&](StoredChart stored) -> Finish {
            const auto one = std::make_shared<const Audit>(all.of(std::move(stored)));
            return [&all, one] { all.add(*one); };
        },
        [] { return true; });
    out << (options.json ? all.json(count.failed) : all.table(count.failed));
    out.flush();
    return out && count.failed == 0 ? 0 : 3;
}

}  // namespace cds_hooks
