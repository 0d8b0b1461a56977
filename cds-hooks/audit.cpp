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
#include "mapping/check.h"
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
/// Text is shown when so many charts hold it: what one chart alone says may be about a person.
constexpr std::size_t leastCharts = 2;

// --- what the trials read --------------------------------------------------------------------------------------------

FactUse useOf(const Knowledge& knowledge) {
    const std::size_t count = knowledge.vocabulary.facts().size();
    FactUse use{std::vector<std::size_t>(count, 0), std::vector<bool>(count, false)};
    for (const rules::Trial& trial : knowledge.trials) {
        for (const rules::Criterion& criterion : trial.criteria) {
            std::set<std::size_t> facts;
            rules::forEachComparison(criterion.when, [&](const rules::Comparison& comparison) {
                comparison.forEachFact([&](std::size_t fact) { facts.insert(fact); });
                if (comparison.timesUpperLimit) use.upperLimit[comparison.fact] = true;
            });
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
std::vector<CodeableConcept> conceptsOf(const fhir::Chart& chart, const Evidence& evidence) {
    std::vector<CodeableConcept> concepts;
    const std::size_t index = evidence.resourceIndex;
    if (evidence.resourceType == "Observation" && index < chart.observation.size()) {
        concepts.push_back(chart.observation[index].code());
        const fhir::Observation observation = chart.observation[index].whole();
        for (const fhir::ObservationResult& part : observation.component) concepts.push_back(part.code);
    } else if (evidence.resourceType == "Condition" && index < chart.condition.size()) {
        concepts.push_back(chart.condition[index].code);
    } else if (evidence.resourceType == "DiagnosticReport" && index < chart.diagnosticReport.size()) {
        concepts = chart.diagnosticReport[index].conclusionCode;
    } else if (evidence.resourceType == "AllergyIntolerance" && index < chart.allergyIntolerance.size()) {
        concepts.push_back(chart.allergyIntolerance[index].code);
    } else if (fhir::isActivity(evidence.resourceType) && index < chart.activity.size()) {
        concepts.push_back(chart.activity[index].code);
    }
    return concepts;
}

/// Whether a text has the form of a code of a public system, which is short, has a digit, and holds nothing but ASCII
/// letters, digits, '.' and '-'. SNOMED CT has the longest.
bool looksLikeCode(std::string_view text) {
    constexpr std::size_t longest = 18;
    const auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
    const auto belongs = [&](char c) {
        return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
    };
    return text.size() <= longest && std::any_of(text.begin(), text.end(), isDigit) &&
           std::all_of(text.begin(), text.end(), belongs);
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
    audit.issues_ = fhir::countIssues(screening.facts.issues);
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
    mapping::Facts all(knowledge_->vocabulary);
    all.asOf = facts.asOf;
    mapping::readObservations(chart, knowledge_->vocabulary, all);
    for (mapping::Fact& fact : all.own()) {
        mapping::markStale(fact.results, facts.asOf);
        const std::size_t index = fact.definition->index;
        for (const Evidence& evidence : fact.results) {
            if (evidence.basis == Basis::missing) continue;
            addValue(chart, evidence);
            const bool isNumber = evidence.value.low || evidence.value.high;
            if (use_->upperLimit[index] && isNumber && !evidence.upperLimit) ++facts_[index].noUpperLimit;
        }
    }
}

void Audit::readRecords(const fhir::Chart& chart, const mapping::Facts& facts) {
    for (const mapping::Fact& fact : facts) {
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
    if (!evidence.unitText.empty()) entry.units[shorten(evidence.unitText, longestWords)].countHere();
    std::vector<mapping::Match> matches;
    for (const CodeableConcept& concept_ : conceptsOf(chart, evidence)) {
        for (const fhir::Coding& coding : concept_.coding) {
            const auto system = knowledge_->vocabulary.system(coding.system);
            if (!system) continue;
            matches.clear();
            knowledge_->vocabulary.lookUp(*system, coding.code, matches);
            const bool speaks = std::any_of(matches.begin(), matches.end(), [&](const mapping::Match& match) {
                return match.fact == evidence.fact->index && match.role != mapping::Role::reject;
            });
            if (!speaks) continue;
            // Under one name for a system, whatever URI the chart gives it.
            const std::string uri(knowledge_->vocabulary.systemUri(*system));
            entry.codes[{uri, shorten(coding.code, longestWords)}].countHere();
        }
    }
}

void Audit::readUnmapped(const fhir::Chart& chart) {
    for (const fhir::ObservationOutline& observation : chart.observation) {
        addUnmapped("Observation", observation.code());
        if (!observation.hasComponents) continue;
        const fhir::Observation whole = observation.whole();
        for (const fhir::ObservationResult& part : whole.component) addUnmapped("Observation", part.code);
    }
    for (const fhir::Condition& condition : chart.condition) addUnmapped("Condition", condition.code);
    for (const fhir::Activity& activity : chart.activity) addUnmapped(activity.resourceType, activity.code);
    for (const fhir::AllergyIntolerance& allergy : chart.allergyIntolerance)
        addUnmapped("AllergyIntolerance", allergy.code);
}

void Audit::addUnmapped(std::string_view resourceType, const CodeableConcept& concept_) {
    const Vocabulary& vocabulary = knowledge_->vocabulary;
    std::vector<mapping::Match> matches;
    for (const fhir::Coding& coding : concept_.coding) {
        if (const auto system = vocabulary.system(coding.system)) vocabulary.lookUp(*system, coding.code, matches);
    }
    if (!matches.empty()) return;
    const auto see = [&](std::string system, std::string code, std::string_view words) {
        if (mapping::isBlank(words)) return;  // nothing names a fact
        Written& written = unmapped_[{std::string(resourceType), std::move(system), std::move(code)}];
        written.seen.countHere();
        written.words[shorten(words, longestWords)].countHere();
    };
    bool coded = false;
    for (const fhir::Coding& coding : concept_.coding) {
        if (mapping::isBlank(coding.code)) continue;
        coded = true;
        const auto known = vocabulary.system(coding.system);
        see(known ? std::string(vocabulary.systemUri(*known)) : shorten(coding.system, 200),
            shorten(coding.code, longestWords), mapping::isBlank(coding.display) ? concept_.text : coding.display);
    }
    if (!coded) see("", "", concept_.text);
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
        for (const auto& [code, seen] : from.codes) into.codes[code] += seen;
        for (const auto& [unit, seen] : from.units) {
            if (into.units.size() < mostCodes || into.units.contains(unit)) into.units[unit] += seen;
        }
    }
    for (const auto& [key, from] : chart.unmapped_) {
        if (kept_ >= mostCodes && !unmapped_.contains(key)) {
            notKept_ += from.words.size();
            continue;
        }
        Written& into = unmapped_[key];
        into.seen += from.seen;
        for (const auto& [words, seen] : from.words) {
            if (const auto known = into.words.find(words); known != into.words.end()) {
                known->second += seen;
            } else if (kept_ < mostCodes) {
                into.words.emplace(words, seen);
                ++kept_;
            } else {
                ++notKept_;
            }
        }
    }
    unlocks_.add(chart.unlocks_);
}

bool Audit::mayShow(std::string_view system, std::string_view code, const Seen& seen) const {
    const auto known = knowledge_->vocabulary.system(system);
    return seen.charts >= leastCharts || (known && knowledge_->vocabulary.isPublic(*known) && looksLikeCode(code));
}

bool Audit::mayShow(const FactDefinition& fact, std::string_view unit, const Seen& seen) const {
    const auto isKnown = [&] {
        const mapping::Measured one = mapping::measure({"1", {}, unit, {}, {}}, fact, knowledge_->vocabulary);
        return one.basis != Basis::unreadableUnit;
    };
    return seen.charts >= leastCharts || isKnown();
}

Audit::Origins Audit::originsOf(const FactDefinition& fact) const {
    Origins origins;
    for (const auto& [key, seen] : facts_[fact.index].codes) {
        const auto& [system, code] = key;
        if (!mayShow(system, code, seen)) {
            origins.codesNotShown += seen.count;
            continue;
        }
        const auto known = knowledge_->vocabulary.system(system);
        const std::string_view display =
            known ? knowledge_->vocabulary.displayOf(fact.index, *known, code) : std::string_view();
        origins.codes.push_back({system, code, std::string(display), seen.count});
    }
    for (const auto& [unit, seen] : facts_[fact.index].units) {
        if (mayShow(fact, unit, seen)) {
            origins.units.emplace_back(unit, seen.count);
        } else {
            origins.unitsNotShown += seen.count;
        }
    }
    return origins;
}

Audit::UnmappedCodes Audit::unmapped() const {
    const Likeness likeness(knowledge_->vocabulary);
    UnmappedCodes codes;
    for (const auto& [key, written] : unmapped_) {
        const auto& [resourceType, system, code] = key;
        const auto rowOf = [&, type = resourceType](const std::string& words,
                                                    const Seen& seen) -> std::optional<Unmapped> {
            const Likeness::Found found = likeness.find(words, type);
            if (found.fact == nullptr || found.likeness < leastLikeness) return std::nullopt;
            return Unmapped{{{}, {}, words},
                            type,
                            seen.charts,
                            seen.count,
                            found.fact,
                            found.likeness,
                            use_->criteria[found.fact->index]};
        };
        if (code.empty()) {
            for (const auto& [words, seen] : written.words) {
                const auto row = rowOf(words, seen);
                if (row && seen.charts >= leastCharts) codes.shown.push_back(*row);
                if (row && seen.charts < leastCharts) ++codes.notShown;
            }
            continue;
        }
        // Of several words for a code those that are most like a fact, and those that may be shown before others.
        std::optional<Unmapped> best;
        for (const bool shared : {true, false}) {
            if (best) break;
            for (const auto& [words, seen] : written.words) {
                if ((seen.charts >= leastCharts) != shared) continue;
                const auto row = rowOf(words, written.seen);
                if (row && (!best || row->likeness > best->likeness)) best = row;
            }
            if (best && !shared) best->written.words.clear();
        }
        if (!best) continue;
        best->written.system = system;
        best->written.code = code;
        if (mayShow(system, code, written.seen)) {
            codes.shown.push_back(std::move(*best));
        } else {
            ++codes.notShown;
        }
    }
    std::stable_sort(codes.shown.begin(), codes.shown.end(), [](const Unmapped& a, const Unmapped& b) {
        const auto key = [](const Unmapped& each) {
            return std::tuple(std::lround(each.likeness * 10), each.charts, each.criteria, each.count);
        };
        return key(b) < key(a);
    });
    return codes;
}

/// Codes of a system and the facts that they seem to mean, as docs/site-overlay.md has them.
std::string Audit::overlaySnippet(const std::vector<Unmapped>& unmapped) const {
    const Vocabulary& vocabulary = knowledge_->vocabulary;
    // A code of several spellings stands once, by the likeliest of its rows.
    std::map<std::string, std::map<std::string, const Unmapped*>> codes;
    for (const Unmapped& each : unmapped) {
        const auto& [system, code, words] = each.written;
        if (mapping::isBlank(system) || code.empty()) continue;
        const auto known = vocabulary.system(system);
        codes[system].emplace(known ? vocabulary.comparedCode(*known, code) : code, &each);
    }
    std::string text = "{\n  \"codes\": {";
    std::string betweenSystems;
    for (const auto& [system, entries] : codes) {
        Writer name;
        name.string(system);
        text += std::exchange(betweenSystems, ",") + "\n    " + std::string(name.text()) + ": {";
        std::string between;
        for (const auto& [compared, each] : entries) {
            const std::string& words = each->written.words;
            Writer key;
            key.string(each->written.code);
            Writer entry;
            entry.beginObject()
                .member("fact", each->fact->name)
                .member("display", words.empty() ? each->fact->label : words);
            // Nobody can check words that are not shown.
            if (each->likeness < surely || words.empty()) entry.member("role", "review");
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
        Origins from = originsOf(*fact);
        std::stable_sort(from.codes.begin(), from.codes.end(),
                         [](const auto& a, const auto& b) { return b.count < a.count; });
        for (std::size_t i = 0; i < std::min(mostOfAFact, from.codes.size()); ++i) {
            const Origins::Code& code = from.codes[i];
            text += "    " + std::to_string(code.count) + " x " + printable(code.system + '|' + code.code) +
                    (code.display.empty() ? "" : " (" + printable(code.display) + ")") + '\n';
        }
        if (from.codes.size() > mostOfAFact)
            text += "    and " + std::to_string(from.codes.size() - mostOfAFact) + " further codes\n";
        if (from.codesNotShown > 0)
            text += "    " + std::to_string(from.codesNotShown) + " x a code that one chart alone has\n";
        std::string units;
        for (const auto& [unit, total] : from.units)
            units += (units.empty() ? "" : ", ") + printable(unit) + " (" + std::to_string(total) + ")";
        if (!units.empty()) text += "    in " + shorten(units, 200) + '\n';
        if (from.unitsNotShown > 0)
            text += "    " + std::to_string(from.unitsNotShown) + " x a unit that one chart alone has\n";
    }
    if (!without.empty()) text += "\nOn file in no chart: " + without + '\n';

    const auto [codes, notShown] = unmapped();
    text +=
        "\nCodes that the vocabulary does not know and whose words name a fact: " + std::to_string(codes.size()) + '\n';
    for (std::size_t i = 0; i < std::min(mostUnmapped, codes.size()); ++i) {
        const Unmapped& each = codes[i];
        const std::string code =
            each.written.code.empty() ? "(no code)" : each.written.system + '|' + each.written.code;
        const std::string words =
            each.written.words.empty() ? "(words of one chart)" : '"' + printable(each.written.words) + '"';
        text += "  " + percent(each.likeness) + "  " + printable(each.fact->name) + "  <- " + each.resourceType + ' ' +
                printable(code) + ' ' + words + ", " + count(each.charts, "chart", "charts") + ", " +
                count(each.criteria, "criterion", "criteria") + '\n';
    }
    if (codes.size() > mostUnmapped) text += "  ... --format json lists all\n";
    if (notShown > 0) text += "  (" + std::to_string(notShown) + " further that one chart alone has, not shown)\n";
    if (notKept_ > 0) text += "  (" + std::to_string(notKept_) + " further codes not looked at: too many)\n";
    if (!codes.empty())
        text += "\nAn overlay for these; read it before you use it (docs/site-overlay.md)\n" + overlaySnippet(codes);

    const std::vector<UnlockTally::Row> rows = unlocks_.rows();
    if (!rows.empty()) text += '\n' + tallyText(unlocks_, false);
    if (charts_ < leastCharts)
        text += "\nWhat one chart alone says in words of its own is never shown: an audit of one chart shows little.\n";
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
        const Origins from = originsOf(*fact);
        for (const Origins::Code& code : from.codes) {
            writer.beginObject().member("system", code.system).member("code", code.code);
            if (!code.display.empty()) writer.member("display", code.display);
            writer.name("count").number(code.count).endObject();
        }
        writer.endArray().name("codesNotShown").number(from.codesNotShown).name("units").beginArray();
        for (const auto& [unit, total] : from.units)
            writer.beginObject().member("unit", unit).name("count").number(total).endObject();
        writer.endArray().name("unitsNotShown").number(from.unitsNotShown).endObject();
    }
    writer.endArray().name("unmapped").beginArray();
    const auto [codes, notShown] = unmapped();
    for (const Unmapped& each : codes) {
        writer.beginObject();
        if (!each.written.system.empty()) writer.member("system", each.written.system);
        if (!each.written.code.empty()) writer.member("code", each.written.code);
        if (!each.written.words.empty()) writer.member("words", each.written.words);
        writer.member("resourceType", each.resourceType)
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
    writer.endArray()
        .name("unmappedNotShown")
        .number(notShown)
        .name("codesNotKept")
        .number(notKept_)
        .name("unlocks")
        .beginArray();
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
        storedCharts(options.charts),
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
