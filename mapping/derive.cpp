#include "mapping/derive.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "mapping/condition.h"
#include "mapping/observation.h"

namespace mapping {

using fhir::Rational;

std::optional<Interval> cockcroftGault(const CockcroftGaultInputs& inputs) {
    const auto& [age, weight, creatinine, female] = inputs;
    if (!age.low || !age.high || *age.low < 18 || *age.high >= 140) return std::nullopt;
    if (!weight.low || !weight.high || *weight.low <= 0) return std::nullopt;
    const Rational sex = female ? Rational(85, 100) : Rational(1);
    Interval result;
    // The clearance falls with age and creatinine and rises with weight.
    if (creatinine.high && *creatinine.high > 0) {
        result.low = (140 - *age.high) * *weight.low * sex / (72 * *creatinine.high);
        result.lowOpen = creatinine.highOpen || weight.lowOpen;
    }
    if (creatinine.low && *creatinine.low > 0) {
        result.high = (140 - *age.low) * *weight.high * sex / (72 * *creatinine.low);
        result.highOpen = creatinine.lowOpen || weight.highOpen;
    }
    if (!result.low && !result.high) return std::nullopt;
    return result;
}

namespace {

/// The results that can be computed with: usable and recent.
std::vector<const Evidence*> usable(const Fact& fact) {
    std::vector<const Evidence*> result;
    for (const Evidence& evidence : fact.results) {
        if (isDecided(evidence.basis) && !evidence.stale) result.push_back(&evidence);
    }
    return result;
}

/// More relapses than anybody has; what a broken chart holds beyond them changes nothing.
constexpr std::size_t mostRelapses = 100;

class Deriver {
public:
    Deriver(Facts& facts, const fhir::Chart& chart, const Vocabulary& vocabulary)
        : facts_(facts), chart_(chart), vocabulary_(vocabulary) {}

    void derive() {
        for (const std::size_t index : vocabulary_.derived()) {
            switch (vocabulary_.facts()[index].derivation) {
                case Derivation::age:
                    age(index, false);
                    break;
                case Derivation::ageInMonths:
                    age(index, true);
                    break;
                default:
                    break;
            }
        }
        for (const std::size_t index : vocabulary_.derived()) {
            switch (vocabulary_.facts()[index].derivation) {
                case Derivation::childbearing:
                    childbearing(index);
                    break;
                case Derivation::cockcroftGault:
                    clearance(facts_.own(index));
                    break;
                case Derivation::relapse:
                    relapse(index);
                    break;
                case Derivation::pregnancy:
                    pregnancy(facts_.own(index));
                    break;
                default:
                    if (facts_.isOwn(index)) complete(facts_.own(index));
                    break;
            }
        }
        tLineage();
        // These read what the ones above have completed.
        for (const std::size_t index : vocabulary_.derived()) {
            switch (vocabulary_.facts()[index].derivation) {
                case Derivation::methodOf:
                    methodOf(index);
                    break;
                case Derivation::remission:
                    remission(index);
                    break;
                case Derivation::knownInfection:
                    knownInfection(index);
                    break;
                default:
                    break;
            }
        }
        for (const std::size_t index : vocabulary_.derived()) {
            const FactDefinition& definition = vocabulary_.facts()[index];
            if (definition.derivation == Derivation::relapseCount) relapseCount(index);
            if (definition.derivation == Derivation::monthsFromRemissionToRelapse) monthsToRelapse(index);
            if (definition.confirmedBy) confirmedBy(index);
        }
    }

private:
    /// Completes a fact about which the chart itself says something.
    void complete(Fact& fact) {
        switch (fact.definition->derivation) {
            case Derivation::oxygen:
            case Derivation::oxygenRoomAir:
                oxygen(fact);
                break;
            case Derivation::nyha:
                // Heart failure without a class: an unproven qualifier is a question once the condition is there.
                for (Evidence& condition : fact.conditions) {
                    if (condition.review && condition.detail != notConfirmed) condition.basis = Basis::asked;
                }
                break;
            case Derivation::concurrentDrugs:
                concurrentDrugs(fact);
                break;
            case Derivation::negativeTest:
                for (auto* results : {&fact.results, &fact.positives}) {
                    for (Evidence& result : *results) {
                        if (result.positive) result.positive = !*result.positive;
                    }
                }
                break;
            default:
                break;
        }
    }

    const Fact* named(std::string_view name) const {
        const FactDefinition* definition = vocabulary_.find(name);
        return definition == nullptr ? nullptr : &facts_[definition->index];
    }

    static void setOnly(std::vector<Evidence>& results, Evidence evidence) {
        results.clear();
        results.push_back(std::move(evidence));
    }

    Evidence derived(const Fact& fact) const {
        Evidence evidence;
        evidence.fact = fact.definition;
        evidence.basis = Basis::derived;
        evidence.unitText = fact.definition->unit;
        return evidence;
    }

    void setValue(Evidence& evidence, const Interval& value) const {
        evidence.value = value;
        if (value.low) evidence.valueText = fhir::decimalText(*value.low);
        if (value.isPoint()) return;
        if (value.high) evidence.highText = fhir::decimalText(*value.high);
    }

    std::optional<Interval> ageInYears() {
        const Fact* fact = named("age");
        if (fact == nullptr || fact->results.empty() || !isDecided(fact->results.front().basis)) return std::nullopt;
        return fact->results.front().value;
    }

    void age(std::size_t index, bool inMonths) {
        const auto& birthDate = chart_.patient.birthDate;
        if (!birthDate) return;
        Fact& fact = facts_.own(index);
        Evidence evidence = derived(fact);
        evidence.resourceType = "Patient";
        evidence.id = chart_.patient.id;
        if (birthDate->firstDay() > facts_.asOf) {
            evidence.basis = Basis::implausible;
            evidence.detail = "born after " + facts_.asOf.text();
            setOnly(fact.results, std::move(evidence));
            return;
        }
        const fhir::Date earliest = birthDate->firstDay();
        const fhir::Date latest = std::min(birthDate->lastDay(), facts_.asOf);
        const int most = fhir::completedMonths(earliest, facts_.asOf);
        const int least = fhir::completedMonths(latest, facts_.asOf);
        if (!inMonths) {
            setValue(evidence, Interval::between(least / 12, most / 12));
        } else {
            // Exactly so many months only on the very day; between two such days somewhere in between.
            Interval months = Interval::between(least, most);
            months.lowOpen = fhir::addMonths(latest, least) != facts_.asOf;
            if (fhir::addMonths(earliest, most) != facts_.asOf) {
                months.high = most + 1;
                months.highOpen = true;
            }
            setValue(evidence, months);
        }
        setOnly(fact.results, std::move(evidence));
    }

    /// Whether the patient is a woman from 12 to 55; nothing when sex or age do not tell. Source: ruling 19.
    std::optional<bool> ofChildbearingAge() {
        if (chart_.patient.gender == "male") return false;
        const auto years = ageInYears();
        if (chart_.patient.gender != "female" || !years) return std::nullopt;
        if (*years->high < 12 || *years->low > 55) return false;
        if (*years->low >= 12 && *years->high <= 55) return true;
        return std::nullopt;
    }

    /// Drugs that are given on the day of the evaluation, each code once: a combination counts as one, so that the
    /// number is a lower bound.
    void concurrentDrugs(Fact& fact) {
        std::vector<Evidence> inputs;
        for (const Evidence& drug : fact.conditions) {
            if (!isDecided(drug.basis) || drug.state != State::active) continue;
            const bool known = std::any_of(inputs.begin(), inputs.end(),
                                           [&](const Evidence& other) { return other.code == drug.code; });
            if (!known) inputs.push_back(drug);
        }
        if (inputs.empty()) return;
        Evidence evidence = derived(fact);
        evidence.value = Interval::atLeast(Rational(inputs.size()));
        evidence.valueText = std::to_string(inputs.size());
        evidence.comparator = ">=";
        evidence.inputs = std::move(inputs);
        setOnly(fact.results, std::move(evidence));
    }

    void childbearing(std::size_t index) {
        const auto ofAge = ofChildbearingAge();
        if (!ofAge) return;
        Fact& fact = facts_.own(index);
        Evidence evidence = derived(fact);
        evidence.positive = ofAge;
        evidence.detail = chart_.patient.gender == "male" ? "male"
                          : *ofAge                        ? "female, 12 to 55 years"
                                                          : "outside 12 to 55 years";
        setOnly(fact.results, std::move(evidence));
    }

    void pregnancy(Fact& fact) {
        for (Evidence& condition : fact.conditions) {
            if (!fact.definition->conditionFreshFor || !isDecided(condition.basis)) continue;
            // Pregnancies stay on problem lists for years: an old one is not today's.
            if (!condition.date) {
                condition.basis = Basis::undated;
            } else if (facts_.asOf - condition.date->firstDay() > *fact.definition->conditionFreshFor) {
                condition.basis = Basis::stale;
                condition.stale = true;
            }
        }
        const bool anythingRecorded =
            !fact.conditions.empty() ||
            std::any_of(fact.results.begin(), fact.results.end(), [&](const Evidence& result) {
                return chart_.patient.gender != "male" || result.positive == true;
            });
        if (anythingRecorded || ofChildbearingAge() != false) return;
        Evidence evidence = derived(fact);
        evidence.positive = false;
        evidence.detail = chart_.patient.gender == "male" ? "male" : "outside 12 to 55 years";
        setOnly(fact.results, std::move(evidence));
    }

    /// Of results that time does not tell apart the lowest and the highest: the clearance lies between what they give.
    static std::vector<const Evidence*> extremes(const std::vector<const Evidence*>& results) {
        if (results.size() < 3) return results;
        const auto byLow = [](const Evidence* a, const Evidence* b) {
            if (!a->value.low || !b->value.low) return !a->value.low && b->value.low;
            return *a->value.low < *b->value.low;
        };
        const auto byHigh = [](const Evidence* a, const Evidence* b) {
            if (!a->value.high || !b->value.high) return a->value.high && !b->value.high;
            return *a->value.high < *b->value.high;
        };
        return {*std::min_element(results.begin(), results.end(), byLow),
                *std::max_element(results.begin(), results.end(), byHigh)};
    }

    std::vector<Evidence> cockcroftGaultResults(Fact& fact) {
        std::vector<Evidence> results;
        const Fact* creatinine = named("creatinine");
        const Fact* weight = named("bodyWeight");
        const Fact* age = named("age");
        if (creatinine == nullptr || weight == nullptr || age == nullptr) return results;
        const auto creatinines = usable(*creatinine);
        const auto weights = usable(*weight);
        const auto ages = usable(*age);
        std::string lacking;
        const auto lack = [&](bool isLacking, std::string_view what) {
            if (!isLacking) return;
            lacking += lacking.empty() ? "needs " : ", ";
            lacking += what;
        };
        lack(creatinines.empty(), "a recent creatinine");
        lack(weights.empty(), "a recent body weight");
        lack(ages.empty(), "the birth date");
        lack(chart_.patient.gender != "male" && chart_.patient.gender != "female", "the sex");
        if (ages.size() == 1 && *ages.front()->value.low < 18) lacking = "not derived below 18 years";
        fact.detail = lacking;
        if (!lacking.empty()) {
            addUnusableInputs(fact, *creatinine, *weight);
            return results;
        }

        for (const Evidence* serum : extremes(creatinines)) {
            for (const Evidence* kilograms : extremes(weights)) {
                const auto value = cockcroftGault(
                    {ages.front()->value, kilograms->value, serum->value, chart_.patient.gender == "female"});
                if (!value) continue;
                Evidence evidence = derived(fact);
                setValue(evidence, *value);
                evidence.date = serum->date;
                evidence.method = "Cockcroft-Gault";
                evidence.inputs = {*serum, *kilograms, *ages.front()};
                const auto& plausible = fact.definition->plausible;
                if (plausible.high && value->low && *value->low > *plausible.high) evidence.basis = Basis::implausible;
                results.push_back(std::move(evidence));
            }
        }
        return results;
    }

    /// Inputs that are there and cannot be used give their reason to the clearance, unless one is not there at all.
    void addUnusableInputs(Fact& fact, const Fact& creatinine, const Fact& weight) const {
        if (!fact.results.empty() || creatinine.results.empty() || weight.results.empty()) return;
        Evidence evidence = derived(fact);
        evidence.method = "Cockcroft-Gault";
        evidence.detail = fact.detail;
        for (const Fact* input : {&creatinine, &weight}) {
            const Evidence& result = input->results.front();
            evidence.basis = std::max(evidence.basis, result.stale ? Basis::stale : result.basis);
            evidence.inputs.push_back(result);
        }
        if (isDecided(evidence.basis)) return;
        fact.results.push_back(evidence);
        fact.byMethod.push_back(evidence);
    }

    /// Ruling 6: the newer of a reported predicted value and the derived one, on the same day the derived one; where no
    /// formula is named, the newest of any reported clearance and the derived one.
    void clearance(Fact& fact) {
        const std::vector<Evidence> computed = cockcroftGaultResults(fact);
        if (computed.empty()) return;
        const auto withComputed = [&](const std::vector<Evidence>& reported) {
            if (reported.empty() && computed.size() == 1) {
                std::vector<Evidence> only = computed;
                markStale(only, facts_.asOf);
                return only;
            }
            std::vector<Evidence> all = computed;
            for (const Evidence& result : reported) {
                const bool sameDay = result.method == "Cockcroft-Gault" && result.date && computed.front().date &&
                                     result.date->firstDay() == computed.front().date->firstDay();
                if (sameDay) continue;
                all.push_back(result);
                // What may be newer competes, however vague its date; markStale says so again.
                if (result.basis == Basis::undated && result.date) all.back().basis = Basis::recorded;
            }
            std::vector<Evidence> newest = selectNewest(all);
            markStale(newest, facts_.asOf);
            return newest;
        };
        std::vector<Evidence> predicted;
        std::vector<Evidence> others;
        for (Evidence& result : fact.byMethod)
            (result.method == "Cockcroft-Gault" ? predicted : others).push_back(std::move(result));
        fact.results = withComputed(fact.results);
        fact.byMethod = withComputed(predicted);
        fact.byMethod.insert(fact.byMethod.end(), others.begin(), others.end());
    }

    /// Ruling 21: on oxygen, what a value would be without it is at most what it is; not stated, the same holds for a
    /// limit on room air.
    void oxygen(Fact& fact) {
        const bool roomAir = fact.definition->derivation == Derivation::oxygenRoomAir;
        for (auto* results : {&fact.results, &fact.byMethod}) {
            for (Evidence& result : *results) {
                if (result.detail.empty()) result.detail = "oxygen supply not stated";
                const bool onAir = result.detail == "on room air";
                const bool onOxygen = result.detail == "on oxygen" || result.detail == "oxygen supply unclear";
                if (onOxygen || (roomAir && !onAir)) {
                    result.value.low.reset();
                    result.value.lowOpen = false;
                }
            }
        }
    }

    void methodOf(std::size_t index) {
        const Fact& base = facts_[vocabulary_.facts()[index].from.front()];
        facts_.setAbsent(index, Basis::asked);
        if (facts_.isOwn(index)) facts_.own(index).results.clear();
        std::set<std::string_view> methods;
        for (const Evidence& result : base.results) methods.insert(result.method);
        if (methods.size() != 1 || methods.begin()->empty()) return;
        const Evidence& result = base.results.front();
        if (!isDecided(result.basis)) return;
        Fact& fact = facts_.own(index);
        Evidence evidence = result;
        evidence.fact = fact.definition;
        evidence.coded = result.method;
        evidence.positive.reset();
        evidence.stale = false;  // how it was measured does not age
        setOnly(fact.results, std::move(evidence));
    }

    /// Ruling 2: codes without a lineage are of the lineage that another coding or Condition states.
    void tLineage() {
        const FactDefinition* const ofLeukemia = vocabulary_.find("tLymphoblasticLeukemia");
        const FactDefinition* const ofLymphoma = vocabulary_.find("tLymphoblasticLymphoma");
        const Fact* bLineage = named("bLymphoblasticLeukemia");
        if (ofLeukemia == nullptr || ofLymphoma == nullptr || bLineage == nullptr) return;
        if (facts_[ofLeukemia->index].conditions.empty() && facts_[ofLymphoma->index].conditions.empty() &&
            bLineage->conditions.empty())
            return;
        Fact* const leukemia = &facts_.own(ofLeukemia->index);
        Fact* const lymphoma = &facts_.own(ofLymphoma->index);
        const auto states = [](const Fact& fact) {
            return std::any_of(fact.conditions.begin(), fact.conditions.end(),
                               [](const Evidence& condition) { return isDecided(condition.basis); });
        };
        const bool t = states(*leukemia) || states(*lymphoma);
        const bool b = states(*bLineage);
        std::vector<Evidence> stating;  // the Conditions that state the T lineage
        for (const Fact* fact : {leukemia, lymphoma}) {
            for (const Evidence& condition : fact->conditions) {
                if (isDecided(condition.basis)) stating.push_back(condition);
            }
        }
        std::vector<Evidence> unstated;
        for (const Fact* fact : {leukemia, lymphoma}) {
            for (const Evidence& condition : fact->conditions) {
                if (condition.review) unstated.push_back(condition);
            }
        }
        for (Fact* fact : {leukemia, lymphoma}) {
            if (t && b) {
                for (Evidence& condition : fact->conditions) {
                    condition.basis = Basis::conflicting;
                    condition.detail = "B and T lineage are both stated";
                }
            } else if (t) {
                for (Evidence& condition : fact->conditions) {
                    if (!condition.review || condition.detail == notConfirmed) continue;
                    condition.basis = Basis::recorded;
                    condition.inputs.assign(
                        stating.begin(),
                        stating.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(stating.size(), 4)));
                    condition.detail = "T lineage is stated by another code";
                }
            } else if (b) {
                // A provisional T lineage stays open (ruling 17); codes without a lineage are answered.
                std::erase_if(fact->conditions, [](const Evidence& condition) { return condition.review; });
                for (const Evidence& condition : bLineage->conditions) {
                    if (!isDecided(condition.basis)) continue;
                    Evidence refuting = condition;
                    refuting.fact = fact->definition;
                    refuting.refutes = true;
                    refuting.positive = false;
                    refuting.detail = "B lineage is stated";
                    fact->conditions.push_back(std::move(refuting));
                }
            } else {
                for (const Evidence& condition : unstated) {
                    if (condition.fact == fact->definition) continue;
                    Evidence possible = condition;
                    possible.fact = fact->definition;
                    fact->conditions.push_back(std::move(possible));
                }
                for (Evidence& condition : fact->conditions) {
                    if (condition.review && condition.detail != notConfirmed)
                        condition.detail = "lymphoblastic disease whose lineage is not stated";
                }
            }
        }
    }

    static std::set<std::size_t> resourcesOf(const Fact& fact) {
        std::set<std::size_t> indices;
        for (const Evidence& condition : fact.conditions) indices.insert(condition.resourceIndex);
        return indices;
    }

    void relapse(std::size_t index) {
        const Fact* malignancy = named("hematologicMalignancy");
        if (malignancy == nullptr || malignancy->conditions.empty()) return;
        Fact& fact = facts_.own(index);
        const std::set<std::size_t> known = resourcesOf(fact);
        for (const Evidence& condition : malignancy->conditions) {
            if (!condition.relapse || known.contains(condition.resourceIndex)) continue;
            Evidence evidence = condition;
            evidence.fact = fact.definition;
            // The onset of the Condition is the onset of the disease, not of its relapse.
            evidence.date.reset();
            evidence.onsetDated = false;
            evidence.history = true;
            fact.conditions.push_back(std::move(evidence));
        }
    }

    void remission(std::size_t index) {
        const Fact* malignancy = named("hematologicMalignancy");
        const Fact* relapse = named("relapse");
        if (malignancy == nullptr || relapse == nullptr) return;
        if (facts_[index].conditions.empty() && malignancy->conditions.empty() && relapse->conditions.empty()) return;
        Fact& fact = facts_.own(index);
        const std::set<std::size_t> known = resourcesOf(fact);
        for (const Evidence& condition : malignancy->conditions) {
            if (condition.state != State::remission || known.contains(condition.resourceIndex)) continue;
            fact.conditions.push_back(condition);
            fact.conditions.back().fact = fact.definition;
        }
        for (Evidence& condition : fact.conditions) {
            // Condition.abatement[x] is the date of resolution or remission (FHIR R4, Condition).
            condition.date = condition.end;
            condition.history = !condition.end.has_value();
        }
        std::set<std::size_t> leukemias;
        for (const std::string_view name :
             {"acuteMyeloidLeukemia", "acutePromyelocyticLeukemia", "lymphoblasticLeukemiaOrLymphoma"}) {
            if (const Fact* leukemia = named(name)) leukemias.merge(resourcesOf(*leukemia));
        }
        for (const Evidence& condition : relapse->conditions) {
            if (!isDecided(condition.basis) || !leukemias.contains(condition.resourceIndex)) continue;
            Evidence evidence = condition;
            evidence.fact = fact.definition;
            evidence.basis = Basis::derived;
            evidence.date.reset();
            evidence.history = true;
            evidence.detail = "a relapse is on file";
            fact.conditions.push_back(std::move(evidence));
        }
    }

    struct DatedRelapse {
        const Evidence* evidence = nullptr;
        fhir::DateTime date;
    };

    /// When relapses began, as far as an onset says so: the day a relapse was written down is not its own. Dates that
    /// may be the same one count once, and mean every day that one of them may mean.
    std::vector<DatedRelapse> datedRelapses() {
        std::vector<DatedRelapse> all;
        const Fact* fact = named("relapse");
        if (fact == nullptr) return all;
        for (const Evidence& condition : fact->conditions) {
            if (isDecided(condition.basis) && condition.onsetDated && condition.date)
                all.push_back({&condition, *condition.date});
        }
        std::sort(all.begin(), all.end(), [](const DatedRelapse& a, const DatedRelapse& b) {
            return std::tuple(a.date.first, a.date.last, a.evidence->id) <
                   std::tuple(b.date.first, b.date.last, b.evidence->id);
        });
        std::vector<DatedRelapse> relapses;
        for (const DatedRelapse& relapse : all) {
            if (!relapses.empty() && relapse.date.first <= relapses.back().date.last) {
                relapses.back().date.last = std::max(relapses.back().date.last, relapse.date.last);
            } else if (relapses.size() < mostRelapses) {
                relapses.push_back(relapse);
            }
        }
        return relapses;
    }

    void relapseCount(std::size_t index) {
        const Fact* relapse = named("relapse");
        if (relapse == nullptr) return;
        const bool any = std::any_of(relapse->conditions.begin(), relapse->conditions.end(),
                                     [](const Evidence& condition) { return isDecided(condition.basis); });
        if (!any) return;
        Fact& fact = facts_.own(index);
        const std::size_t dated = datedRelapses().size();
        Evidence evidence = derived(fact);
        const std::size_t count = std::max<std::size_t>(dated, 1);
        evidence.value = Interval::atLeast(Rational(count));
        evidence.valueText = std::to_string(count);
        evidence.comparator = ">=";
        evidence.inputs.assign(relapse->conditions.begin(),
                               relapse->conditions.begin() +
                                   static_cast<std::ptrdiff_t>(std::min(relapse->conditions.size(), mostRelapses)));
        setOnly(fact.results, std::move(evidence));
    }

    void monthsToRelapse(std::size_t index) {
        const Fact* remission = named("completeRemission");
        const auto relapses = datedRelapses();
        if (remission == nullptr || relapses.empty() || !relapses.back().date.isOneDay()) return;
        const DatedRelapse& relapse = relapses.back();
        const Evidence* last = nullptr;
        for (const Evidence& condition : remission->conditions) {
            if (!isDecided(condition.basis) || !condition.date || !condition.date->isOneDay()) continue;
            if (condition.date->last >= relapse.date.first) continue;
            if (last == nullptr || condition.date->first > last->date->first) last = &condition;
        }
        if (last == nullptr) return;
        // A remission of a vague date may have come after it.
        const bool mayBeAnother =
            std::any_of(remission->conditions.begin(), remission->conditions.end(), [&](const Evidence& condition) {
                return isDecided(condition.basis) && condition.date && !condition.date->isOneDay() &&
                       condition.date->last > last->date->first && condition.date->first < relapse.date.first;
            });
        if (mayBeAnother) return;
        // The remission immediately before this relapse came after the one before it (ruling 23).
        if (relapses.size() > 1 && last->date->first <= relapses[relapses.size() - 2].date.last) return;
        const fhir::Date from = last->date->firstDay();
        const fhir::Date to = relapse.date.firstDay();
        const int months = fhir::completedMonths(from, to);
        Fact& fact = facts_.own(index);
        Evidence evidence = derived(fact);
        if (fhir::addMonths(from, months) == to) {
            setValue(evidence, Interval::point(months));
        } else {
            Interval value = Interval::between(months, months + 1);
            value.lowOpen = value.highOpen = true;
            setValue(evidence, value);
        }
        evidence.date = relapse.date;
        evidence.inputs = {*last, *relapse.evidence};
        setOnly(fact.results, std::move(evidence));
    }

    /// A known infection: a diagnosis or a positive test. A newer negative test of the virus itself ends it, where the
    /// vocabulary knows a test that only suspects it.
    void knownInfection(std::size_t index) {
        const FactDefinition& definition = vocabulary_.facts()[index];
        const bool virusDecides = !definition.suspectedBy.empty();
        const auto hasResults = [&](std::size_t other) { return !facts_[other].results.empty(); };
        if (!facts_.isOwn(index) && std::none_of(definition.from.begin(), definition.from.end(), hasResults) &&
            std::none_of(definition.suspectedBy.begin(), definition.suspectedBy.end(), hasResults))
            return;
        Fact& fact = facts_.own(index);
        const auto take = [&](const std::vector<std::size_t>& facts, bool suspects) {
            for (const std::size_t other : facts) {
                for (const Evidence& result : facts_[other].results) {
                    Evidence evidence = result;
                    evidence.fact = fact.definition;
                    if (!suspects) evidence.stale = false;
                    if (suspects && isDecided(evidence.basis) && evidence.positive == true) {
                        evidence.basis = Basis::unconfirmed;
                        evidence.detail = "antibody alone does not show an infection";
                    }
                    if (suspects && evidence.stale) continue;
                    fact.results.push_back(std::move(evidence));
                }
            }
        };
        take(fact.definition->from, false);
        if (fact.results.empty()) take(fact.definition->suspectedBy, true);
        if (!virusDecides) return;
        // The newer of diagnosis and virus test counts.
        for (auto result = fact.results.begin(); result != fact.results.end();) {
            const bool negative = isDecided(result->basis) && result->positive == false && result->date;
            const auto isOlder = [&](const Evidence& condition) {
                return negative && condition.date && condition.date->last < result->date->first;
            };
            const bool outdated =
                negative && std::any_of(fact.conditions.begin(), fact.conditions.end(), [&](const Evidence& c) {
                    return isDecided(c.basis) && c.date && c.date->first > result->date->last;
                });
            std::erase_if(fact.conditions, isOlder);
            result = outdated ? fact.results.erase(result) : result + 1;
        }
    }

    void confirmedBy(std::size_t index) {
        for (const Evidence& condition : facts_[*vocabulary_.facts()[index].confirmedBy].conditions) {
            if (!isDecided(condition.basis)) continue;
            Fact& fact = facts_.own(index);
            fact.conditions.push_back(condition);
            fact.conditions.back().fact = fact.definition;
        }
    }

    Facts& facts_;
    const fhir::Chart& chart_;
    const Vocabulary& vocabulary_;
};

}  // namespace

void derive(Facts& facts, const fhir::Chart& chart, const Vocabulary& vocabulary) {
    Deriver(facts, chart, vocabulary).derive();
}

}  // namespace mapping
