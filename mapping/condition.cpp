#include "mapping/condition.h"

#include <algorithm>

namespace mapping {

namespace {

using fhir::ClinicalStatus;

State stateOf(const fhir::Condition& condition, fhir::Date asOf) {
    switch (condition.clinicalStatus) {
        case ClinicalStatus::active:
        case ClinicalStatus::recurrence:
        case ClinicalStatus::relapse:
            return State::active;
        case ClinicalStatus::remission:
            return State::remission;
        case ClinicalStatus::inactive:
        case ClinicalStatus::resolved:
            return State::over;
        case ClinicalStatus::none:
        case ClinicalStatus::unread:
            break;
    }
    // Without a status an abatement says that it is over.
    if (condition.abated && (!condition.abatement || condition.abatement->firstDay() <= asOf)) return State::over;
    return State::unstated;
}

/// What a report concludes is shown beside the Conditions and decides nothing: a diagnosis is a Condition (ruling 2).
void readConclusions(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts) {
    const fhir::Date asOf = facts.asOf;
    for (const fhir::DiagnosticReport& report : chart.diagnosticReport) {
        const bool isFinal = report.status == "final" || report.status == "amended" || report.status == "corrected" ||
                             report.status == "appended";
        if (!isFinal || (report.effective && report.effective->firstDay() > asOf)) continue;
        for (const fhir::CodeableConcept& conclusion : report.conclusionCode) {
            for (const fhir::Coding& coding : conclusion.coding) {
                for (const Match& match : vocabulary.meaningOf(coding).matches) {
                    const FactDefinition& fact = vocabulary.facts()[match.fact];
                    const bool isCondition =
                        std::find(fact.sources.begin(), fact.sources.end(), "Condition") != fact.sources.end();
                    if (!isCondition || (match.role != Role::accept && match.role != Role::remission)) continue;
                    Evidence evidence;
                    evidence.fact = &fact;
                    evidence.isRecord = true;
                    evidence.resourceType = "DiagnosticReport";
                    evidence.id = report.id;
                    evidence.resourceIndex = static_cast<std::size_t>(&report - chart.diagnosticReport.data());
                    evidence.display = coding.display.empty() ? conclusion.text : coding.display;
                    evidence.date = report.effective;
                    if (evidence.date)
                        evidence.date->last = std::min(evidence.date->last, fhir::DateTime::ofDay(asOf).last);
                    evidence.positive = true;
                    evidence.basis = Basis::unconfirmed;
                    evidence.detail = "concluded in a report, not recorded as a Condition";
                    facts.own(match.fact).conditions.push_back(std::move(evidence));
                }
            }
        }
    }
}

}  // namespace

void readConditions(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable) {
    const fhir::Date asOf = facts.asOf;
    const FactDefinition* relapse = vocabulary.find("relapse");
    std::vector<Match> matches;
    std::vector<std::string_view> displays;  // of the coding that each match comes from
    std::vector<std::size_t> systems;
    std::size_t future = 0;
    for (const fhir::Condition& condition : chart.condition) {
        using Verification = fhir::VerificationStatus;
        if (condition.verificationStatus == Verification::refuted ||
            condition.verificationStatus == Verification::enteredInError)
            continue;
        std::optional<fhir::DateTime> date = condition.onset ? condition.onset : condition.recordedDate;
        if (date && date->firstDay() > asOf) {
            ++future;
            continue;
        }
        const std::int64_t endOfDay = fhir::DateTime::ofDay(asOf).last;
        if (date && date->last > endOfDay) date->last = endOfDay;

        matches.clear();
        displays.clear();
        systems.clear();
        bool inRemission = condition.clinicalStatus == ClinicalStatus::remission;
        for (const fhir::Codings* codings : {&condition.code.coding, &condition.stage}) {
            for (const fhir::Coding& coding : *codings) {
                const Meaning& meaning = vocabulary.meaningOf(coding);
                const auto& system = meaning.system;
                if (!system || coding.code.empty()) continue;
                if (codings == &condition.code.coding) systems.push_back(*system);
                matches.insert(matches.end(), meaning.matches.begin(), meaning.matches.end());
                displays.resize(matches.size(), coding.display);
                inRemission = inRemission || vocabulary.saysInRemission(*system, coding.code);
            }
        }
        unrecognisable |= vocabulary.unrecognisable("Condition", systems, matches);

        const bool statesRelapse =
            condition.clinicalStatus == ClinicalStatus::relapse ||
            condition.clinicalStatus == ClinicalStatus::recurrence ||
            std::any_of(matches.begin(), matches.end(), [&](const Match& match) {
                return relapse != nullptr && match.fact == relapse->index && match.role == Role::accept;
            });
        for (std::size_t i = 0; i < matches.size(); ++i) {
            const Match& match = matches[i];
            const FactDefinition& fact = vocabulary.facts()[match.fact];
            if (match.role == Role::reject || fact.planned) continue;
            // Several codings of one Condition count once: the disease in remission, then an accepted code, then
            // others.
            const auto rank = [](Role role) {
                return role == Role::remission ? 3 : role == Role::accept ? 2 : role == Role::answer ? 1 : 0;
            };
            bool outranked = false;
            for (std::size_t j = 0; j < matches.size(); ++j) {
                if (j == i || matches[j].fact != match.fact || matches[j].role == Role::reject) continue;
                const int difference = rank(matches[j].role) - rank(match.role);
                outranked = outranked || difference > 0 || (difference == 0 && j < i);
            }
            if (outranked) continue;

            Evidence evidence;
            evidence.fact = &fact;
            evidence.isRecord = true;
            evidence.resourceType = "Condition";
            evidence.id = condition.id;
            evidence.resourceIndex = static_cast<std::size_t>(&condition - chart.condition.data());
            evidence.display = displays[i].empty() ? condition.code.text : displays[i];
            evidence.date = match.history ? std::nullopt : date;
            evidence.issued = condition.recordedDate;
            evidence.history = match.history;
            evidence.onsetDated = condition.onset.has_value() && !match.history;
            evidence.review = match.role == Role::review;
            evidence.positive = true;
            evidence.state = stateOf(condition, asOf);
            if (match.role == Role::remission || (inRemission && evidence.state != State::over))
                evidence.state = State::remission;
            evidence.relapse = statesRelapse;
            if (condition.abatement && condition.abatement->firstDay() <= asOf) {
                evidence.end = condition.abatement;
                evidence.end->last = std::min(evidence.end->last, endOfDay);
            }
            if (match.role == Role::answer && fact.derivation == Derivation::nyha) {
                // The class as a finding of its own: 420913000 is class III.
                evidence.positive = match.value == "3" || match.value == "4";
            } else if (match.role == Role::answer) {
                continue;
            }
            if (match.role == Role::review) {
                evidence.basis = Basis::unconfirmed;
                evidence.detail = "a related code that does not decide";
            }
            if (condition.verificationStatus == Verification::unconfirmed) {
                evidence.basis = Basis::unconfirmed;
                evidence.detail = notConfirmed;
            }
            if (fact.needsTreatment) {
                // Ruling 17: a treatment that nothing proves is a question once the disease is there.
                evidence.maybeTreated = !condition.abated;
            }
            facts.own(match.fact).conditions.push_back(std::move(evidence));
        }
    }
    readConclusions(chart, vocabulary, facts);
    if (future > 0)
        facts.issues.push_back({"", std::to_string(future) + " Condition(s) dated after " + asOf.text() + " not used"});
}

}  // namespace mapping
