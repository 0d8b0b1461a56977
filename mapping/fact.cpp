#include "mapping/fact.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <tuple>

#include "fhir/hash.h"
#include "mapping/activity.h"
#include "mapping/allergy.h"
#include "mapping/answer.h"
#include "mapping/condition.h"
#include "mapping/derive.h"
#include "mapping/observation.h"

namespace mapping {

std::string_view word(Basis basis) {
    static constexpr std::array<std::string_view, 16> words{
        "recorded",    "derived",     "assumed",     "attested",       "none-on-file",    "asked",
        "wash-out",    "stale",       "undated",     "no-upper-limit", "unreadable-unit", "implausible",
        "conflicting", "unconfirmed", "not-covered", "missing"};
    return words[static_cast<std::size_t>(basis)];
}

std::string Evidence::source() const {
    if (resourceType.empty()) return "derived";
    std::string reference(resourceType);
    if (!id.empty()) reference += '/' + std::string(id);
    return reference;
}

namespace {

/// What it means that a chart says nothing about facts that come from the same sources, by what it may mean: alone, and
/// beside something that could not be recognised and may be one of them.
struct Meanings {
    using ByAbsence = std::array<Basis, 3>;
    ByAbsence ofSilence{};
    ByAbsence ofSilenceBesideUnknown{};
};

/// Source: rulings 4, 14, 15, 16.
Meanings meaningsOf(const SourceSet& set, const fhir::Coverage& coverage, std::optional<fhir::Covered> ofAll) {
    using fhir::Covered;
    bool isMissing = false;           // one of the sources was asked for in vain, or in part
    bool isUncovered = set.isUnread;  // one of them was not read completely
    const auto add = [&](Covered covered) {
        isMissing = isMissing || covered == Covered::notRead || covered == Covered::partly;
        isUncovered = isUncovered || covered != Covered::completely;
    };
    if (ofAll && !set.types.empty()) {
        add(*ofAll);
    } else {
        for (const std::string& type : set.types) add(coverage.of(type, set.group));
    }
    const Basis ofTest = isMissing ? Basis::notCovered : Basis::missing;
    // In the order of Absence: asked, missing, no.
    return {{Basis::asked, ofTest, isUncovered ? Basis::notCovered : Basis::noneOnFile},
            {Basis::asked, ofTest, isUncovered ? Basis::notCovered : Basis::asked}};
}

/// Results that cannot decide and are newer than the one that does: a person must see them beside it.
std::vector<Evidence> newerUnused(const std::vector<Evidence>& all, const std::vector<Evidence>& chosen) {
    constexpr std::size_t most = 3;
    std::vector<const Evidence*> newer;
    for (const Evidence& result : all) {
        const bool used =
            std::any_of(chosen.begin(), chosen.end(), [&](const Evidence& e) { return sameResource(e, result); });
        if (used || isDecided(result.basis) || result.detail == "the value is recorded as absent") continue;
        const bool older = std::any_of(chosen.begin(), chosen.end(), [&](const Evidence& e) {
            return e.date && (!result.date || result.date->first <= e.date->last);
        });
        if (!older) newer.push_back(&result);
    }
    std::sort(newer.begin(), newer.end(), [](const Evidence* a, const Evidence* b) {
        const auto time = [](const Evidence* e) { return e->date ? e->date->first : 0; };
        return std::tuple(time(b), b->id) < std::tuple(time(a), a->id);
    });
    if (newer.size() > most) newer.resize(most);
    std::vector<Evidence> shown;
    for (const Evidence* result : newer) shown.push_back(*result);
    return shown;
}

/// The oldest first, whatever their order in the chart: two servers with the same resources give the same answer.
void sortRecords(std::vector<Evidence>& records) {
    std::stable_sort(records.begin(), records.end(), [](const Evidence& a, const Evidence& b) {
        const auto key = [](const Evidence& e) {
            return std::tuple(e.date ? e.date->first : std::numeric_limits<std::int64_t>::max(), e.resourceType, e.id);
        };
        return key(a) < key(b);
    });
}

}  // namespace

Facts::Facts(const Vocabulary& vocabulary)
    : vocabulary_(&vocabulary),
      facts_(vocabulary.facts().size()),
      absents_(facts_.size(), static_cast<std::uint8_t>(Basis::missing)) {
    const Fact* const silent = vocabulary.silent(Basis::missing);
    for (std::size_t i = 0; i < facts_.size(); ++i) facts_[i] = silent + i;
}

Fact& Facts::own(std::size_t index) {
    if (isOwn(index)) return own_[static_cast<std::size_t>(facts_[index] - own_.data())];
    if (own_.empty()) own_.reserve(facts_.size());
    Fact& fact = own_.emplace_back();
    fact.definition = facts_[index]->definition;
    fact.absent = facts_[index]->absent;
    facts_[index] = &fact;
    isOwn_.set(index);
    return fact;
}

void Facts::setAbsent(std::size_t index, Basis absent) {
    if (this->absent(index) == absent) return;
    absents_[index] = static_cast<std::uint8_t>(absent);
    silence_ = 0;
    if (isOwn(index)) {
        own(index).absent = absent;
    } else {
        facts_[index] = vocabulary_->silent(absent) + index;
    }
}

Facts Facts::silent() const {
    Facts silent;
    silent.vocabulary_ = vocabulary_;
    for (std::size_t i = 0; i < facts_.size(); ++i) silent.facts_.push_back(vocabulary_->silent(absent(i)) + i);
    silent.absents_ = absents_;
    silent.asOf = asOf;
    silent.speaking.emplace();
    return silent;
}

void Facts::setAbsent(const Silent& silent) {
    facts_ = silent.facts;
    absents_ = silent.absents;
    silence_ = silent.number;
    for (Fact& fact : own_) {
        const std::size_t index = fact.definition->index;
        fact.absent = absent(index);
        facts_[index] = &fact;
    }
}

namespace {

/// What is known of the facts about which a chart says nothing.
struct SilentFacts {
    std::uint64_t vocabulary = 0;
    fhir::Covered covered = fhir::Covered::undeclared;
    bool observationWithoutCode = false;
    FactSet unrecognisable;
    Facts::Silent silent;
    unsigned uses = 0;
};

Facts::Silent silentFactsAnew(const Vocabulary& vocabulary, const fhir::Coverage& coverage,
                              const FactSet& unrecognisable, bool observationWithoutCode) {
    std::vector<Meanings> meanings;
    meanings.reserve(vocabulary.sourceSets().size());
    const std::optional<fhir::Covered> ofAll = coverage.ofAll();
    for (const SourceSet& set : vocabulary.sourceSets()) {
        Meanings& ofSet = meanings.emplace_back(meaningsOf(set, coverage, ofAll));
        if (observationWithoutCode && set.observations) ofSet.ofSilence = ofSet.ofSilenceBesideUnknown;
    }
    Facts::Silent silent;
    silent.facts.reserve(vocabulary.facts().size());
    silent.absents.reserve(vocabulary.facts().size());
    for (const Silence& silence : vocabulary.silences()) {
        const Meanings& ofSet = meanings[silence.sourceSet];
        const auto& absent = unrecognisable[silent.facts.size()] ? ofSet.ofSilenceBesideUnknown : ofSet.ofSilence;
        const Basis basis = absent[static_cast<std::size_t>(silence.mayMean)];
        silent.absents.push_back(static_cast<std::uint8_t>(basis));
        silent.facts.push_back(vocabulary.silent(basis) + silent.facts.size());
    }
    return silent;
}

/// The facts as they are where a chart says nothing about them. Many charts are covered alike and leave the same open:
/// a thread finds out once what their silence means.
const Facts::Silent& silentFacts(const Vocabulary& vocabulary, const fhir::Coverage& coverage,
                                 const FactSet& unrecognisable, bool observationWithoutCode) {
    thread_local std::array<SilentFacts, 64> all;
    thread_local Facts::Silent others;
    const std::optional<fhir::Covered> covered = coverage.ofAll();
    if (!covered) return others = silentFactsAnew(vocabulary, coverage, unrecognisable, observationWithoutCode);
    const std::uint64_t key = fhir::hashWith(
        vocabulary.number(), static_cast<std::uint64_t>(*covered) * 2 + (observationWithoutCode ? 1U : 0U));
    SilentFacts& known = all[fhir::mixed(fhir::hashWith(key, std::hash<FactSet>()(unrecognisable))) % all.size()];
    if (known.vocabulary != vocabulary.number() || known.covered != *covered ||
        known.observationWithoutCode != observationWithoutCode || known.unrecognisable != unrecognisable)
        known = {vocabulary.number(), *covered, observationWithoutCode, unrecognisable,
                 silentFactsAnew(vocabulary, coverage, unrecognisable, observationWithoutCode)};
    constexpr unsigned many = 8;
    if (++known.uses == many) known.silent.number = vocabulary.silenceNumber(known.silent.absents);
    return known.silent;
}

/// Chooses the results of a fact that count among all of them.
void selectResults(Fact& fact, fhir::Date asOf) {
    const FactDefinition& definition = *fact.definition;
    const auto isPositive = [](const Evidence& result) {
        return isDecided(result.basis) && result.positive == true && result.date;
    };
    if (fact.results.size() == 1 && definition.methods.empty() && isDecided(fact.results.front().basis)) {
        // The usual case: chosen as it is.
        if (isPositive(fact.results.front())) fact.positives.push_back(fact.results.front());
        markStale(fact.results, asOf);
        return;
    }
    const std::vector<Evidence> all = std::move(fact.results);
    fact.results = selectNewest(all);
    std::erase_if(fact.results, [](const Evidence& result) { return result.basis == Basis::missing; });
    fact.shown = newerUnused(all, fact.results);
    if (definition.positiveStays) keepPositive(fact.results, all);
    markStale(fact.results, asOf);
    for (const Method& method : definition.methods) {
        std::vector<Evidence> byThis = selectNewest(all, &method);
        std::erase_if(byThis, [](const Evidence& result) { return result.basis == Basis::missing; });
        markStale(byThis, asOf);
        std::move(byThis.begin(), byThis.end(), std::back_inserter(fact.byMethod));
    }
    for (const Evidence& result : all) {
        if (isPositive(result)) fact.positives.push_back(result);
    }
}

}  // namespace

Facts readFacts(const fhir::Chart& chart, const Vocabulary& vocabulary, fhir::Date asOf) {
    Facts facts(vocabulary);
    facts.asOf = asOf;
    facts.deceased = chart.patient.deceased &&
                     (!chart.patient.deceasedDateTime || chart.patient.deceasedDateTime->firstDay() <= asOf);
    facts.issues = chart.issues;
    FactSet unrecognisable;
    const bool observationWithoutCode = readObservations(chart, vocabulary, facts, Results::unlessOutdated);
    readConditions(chart, vocabulary, facts, unrecognisable);
    readActivities(chart, vocabulary, facts, unrecognisable);
    readAllergies(chart, vocabulary, facts, unrecognisable);

    facts.setAbsent(silentFacts(vocabulary, chart.coverage, unrecognisable, observationWithoutCode));
    for (Fact& fact : facts.own()) {
        if (fact.conditions.size() > 1) sortRecords(fact.conditions);
        if (!fact.results.empty()) selectResults(fact, asOf);
    }
    derive(facts, chart, vocabulary);
    readAnswers(facts, chart, vocabulary);
    FactSet& speaking = facts.speaking.emplace();
    for (const Fact& fact : facts.own()) {
        if (!fact.isSilent()) speaking.set(fact.definition->index);
    }
    fhir::limitIssues(facts.issues);
    return facts;
}

std::vector<std::string_view> uncoveredSources(const FactDefinition& fact, const fhir::Coverage& coverage) {
    std::vector<std::string_view> uncovered;
    for (const std::string& type : fact.sources) {
        if (holdsNoResults(type)) continue;
        if (!isRead(type) || coverage.of(type, fact.group) != fhir::Covered::completely) uncovered.push_back(type);
    }
    return uncovered;
}

std::optional<fhir::Date> latestDate(const fhir::Chart& chart, fhir::Date notAfter) {
    std::optional<fhir::Date> latest;
    const auto see = [&](const std::optional<fhir::DateTime>& date) {
        if (!date || date->firstDay() > notAfter) return;
        if (!latest || date->firstDay() > *latest) latest = date->firstDay();
    };
    for (const fhir::ObservationOutline& observation : chart.observation) {
        if (observation.status == "entered-in-error" || observation.status == "cancelled") continue;
        see(observation.effective);
        see(observation.issued);
    }
    for (const fhir::Condition& condition : chart.condition) {
        using Verification = fhir::VerificationStatus;
        if (condition.verificationStatus == Verification::refuted ||
            condition.verificationStatus == Verification::enteredInError)
            continue;
        see(condition.onset);
        see(condition.abatement);
        see(condition.recordedDate);
    }
    for (const fhir::QuestionnaireResponse& response : chart.questionnaireResponse) {
        if (response.counts()) see(response.authored);
    }
    for (const fhir::Activity& activity : chart.activity) {
        if (activity.status == "entered-in-error" || activity.status == "not-done") continue;
        see(activity.authored);
        see(activity.start);
        see(activity.end);
    }
    for (const fhir::AllergyIntolerance& allergy : chart.allergyIntolerance) {
        if (allergy.verificationStatus != "refuted" && allergy.verificationStatus != "entered-in-error")
            see(allergy.date);
    }
    return latest;
}

}  // namespace mapping
