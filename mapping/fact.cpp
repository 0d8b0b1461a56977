#include "mapping/fact.h"

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

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

/// The resource types that charts are read from. Every other type is not covered, whatever the caller declares.
bool isRead(std::string_view type) {
    return type == "Patient" || type == "Observation" || type == "Condition" || type == "AllergyIntolerance" ||
           type == "DiagnosticReport" || fhir::isActivity(type);
}

/// Whether results are not in resources of the type itself: DiagnosticReports carry Observations, and those hold them.
bool holdsNoResults(std::string_view type) {
    return type == "Patient" || type == "DiagnosticReport";
}

/// Whether a source of a fact would have to be read completely, and was not.
bool isUncovered(std::string_view type, fhir::Covered covered) {
    return !holdsNoResults(type) && (covered != fhir::Covered::completely || !isRead(type));
}

/// What of the sources of a fact was read.
struct SourcesRead {
    bool isKnown = false;
    bool isMissing = false;     ///< one of them was asked for in vain, or in part
    bool isUncovered = false;   ///< one of them was not read completely
    bool conditions = false;    ///< Conditions are among them
    bool observations = false;  ///< Observations are
};

SourcesRead sourcesRead(const FactDefinition& fact, const fhir::Coverage& coverage) {
    using fhir::Covered;
    SourcesRead result{true};
    for (const std::string& type : fact.sources) {
        result.conditions = result.conditions || type == "Condition";
        result.observations = result.observations || type == "Observation";
        if (holdsNoResults(type)) continue;
        const Covered covered = coverage.of(type, fact.group);
        result.isUncovered = result.isUncovered || isUncovered(type, covered);
        result.isMissing = result.isMissing || covered == Covered::notRead || covered == Covered::partly;
    }
    return result;
}

/// What it means that a chart says nothing about a fact. Source: rulings 4, 14, 15, 16.
Basis silence(const FactDefinition& fact, const SourcesRead& sources, bool unrecognisable) {
    if (!fact.recognisable()) return Basis::asked;
    if (fact.test) return sources.isMissing ? Basis::notCovered : Basis::missing;
    if (!fact.absentMeansNo) return Basis::asked;
    if (sources.isUncovered) return Basis::notCovered;
    return unrecognisable ? Basis::asked : Basis::noneOnFile;
}

bool carriesNoCode(const fhir::ObservationOutline& observation) {
    return std::all_of(observation.code.coding.begin(), observation.code.coding.end(),
                       [](const fhir::Coding& coding) { return coding.code.empty(); });
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

Facts readFacts(const fhir::Chart& chart, const Vocabulary& vocabulary, fhir::Date asOf) {
    Facts facts;
    facts.asOf = asOf;
    facts.deceased = chart.patient.deceased &&
                     (!chart.patient.deceasedDateTime || chart.patient.deceasedDateTime->firstDay() <= asOf);
    facts.issues = chart.issues;
    std::vector<std::vector<Evidence>> observations =
        readObservations(chart, vocabulary, asOf, facts.issues, Results::unlessOutdated);
    ConditionReading conditions = readConditions(chart, vocabulary, asOf, facts.issues);
    ActivityReading activities = readActivities(chart, vocabulary, asOf, facts.issues);
    AllergyReading allergies = readAllergies(chart, vocabulary, asOf, facts.issues);
    const bool observationWithoutCode = std::any_of(chart.observation.begin(), chart.observation.end(), carriesNoCode);

    std::vector<SourcesRead> sourceSets(vocabulary.sourceSets());
    facts.facts.resize(vocabulary.facts().size());
    for (const FactDefinition& definition : vocabulary.facts()) {
        Fact& fact = facts.facts[definition.index];
        fact.definition = &definition;
        std::vector<Evidence>& all = observations[definition.index];
        SourcesRead& sources = sourceSets[definition.sourceSet];
        if (!sources.isKnown) sources = sourcesRead(definition, chart.coverage);
        fact.absent =
            silence(definition, sources,
                    activities.unrecognisable[definition.index] || allergies.unrecognisable[definition.index] ||
                        (conditions.unrecognisable[definition.index] && sources.conditions) ||
                        (observationWithoutCode && sources.observations));
        for (auto* further : {&conditions.conditions[definition.index], &activities.activities[definition.index],
                              &allergies.allergies[definition.index]}) {
            if (further->empty()) continue;
            if (fact.conditions.empty()) {
                fact.conditions = std::move(*further);
            } else {
                std::move(further->begin(), further->end(), std::back_inserter(fact.conditions));
            }
        }
        if (fact.conditions.size() > 1) sortRecords(fact.conditions);
        if (all.empty()) continue;

        const auto isPositive = [](const Evidence& result) {
            return isDecided(result.basis) && result.positive == true && result.date;
        };
        if (all.size() == 1 && definition.methods.empty() && isDecided(all.front().basis)) {
            // The usual case: chosen as it is, and not copied.
            if (isPositive(all.front())) fact.positives.push_back(all.front());
            fact.results = std::move(all);
            markStale(fact.results, asOf);
            continue;
        }
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
    derive(facts, chart, vocabulary);
    readAnswers(facts, chart, vocabulary);
    facts.speaking.resize(facts.facts.size() / 64 + 1);
    for (std::size_t i = 0; i < facts.facts.size(); ++i) {
        if (!facts.facts[i].isSilent()) facts.speaking[i / 64] |= std::uint64_t{1} << (i % 64);
    }
    fhir::limitIssues(facts.issues);
    return facts;
}

std::vector<std::string_view> uncoveredSources(const FactDefinition& fact, const fhir::Coverage& coverage) {
    std::vector<std::string_view> uncovered;
    for (const std::string& type : fact.sources) {
        if (isUncovered(type, coverage.of(type, fact.group))) uncovered.push_back(type);
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
