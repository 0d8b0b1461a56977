#include "mapping/allergy.h"

#include <algorithm>
#include <string_view>

namespace mapping {

namespace {

class AllergyReader {
public:
    AllergyReader(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable)
        : chart_(chart), vocabulary_(vocabulary), facts_(facts), asOf_(facts.asOf), unrecognisable_(unrecognisable) {}

    void read() {
        std::size_t future = 0;
        bool any = false;
        std::vector<const fhir::AllergyIntolerance*> denials;
        for (const fhir::AllergyIntolerance& allergy : chart_.allergyIntolerance) {
            if (allergy.verificationStatus == "refuted" || allergy.verificationStatus == "entered-in-error") continue;
            if (allergy.date && allergy.date->firstDay() > asOf_) {
                ++future;
                continue;
            }
            if (denied(allergy) != AllergyDenial::none) {
                denials.push_back(&allergy);
                continue;
            }
            any = true;
            for (const FactDefinition& fact : vocabulary_.facts()) {
                if (fact.allergy != AllergyPolicy::none) add(allergy, fact);
            }
        }
        for (const fhir::AllergyIntolerance* denial : denials) {
            for (const FactDefinition& fact : vocabulary_.facts()) {
                if (fact.allergy == AllergyPolicy::none) continue;
                const bool all = denied(*denial) == AllergyDenial::every;
                // "No known allergy" beside an allergy is not believed; "no known drug allergy" speaks of drugs alone.
                if ((all && any) || (!all && fact.allergy != AllergyPolicy::listed)) continue;
                if (hasAllergy(facts_[fact.index])) continue;
                Evidence evidence = evidenceOf(*denial, fact);
                evidence.positive = false;
                evidence.refutes = true;
                facts_.own(fact.index).conditions.push_back(std::move(evidence));
            }
        }
        if (future > 0)
            facts_.issues.push_back(
                {"", std::to_string(future) + " AllergyIntolerance(s) dated after " + asOf_.text() + " not used"});
    }

private:
    static bool hasAllergy(const Fact& fact) {
        return std::any_of(fact.conditions.begin(), fact.conditions.end(),
                           [](const Evidence& record) { return record.resourceType == "AllergyIntolerance"; });
    }

    AllergyDenial denied(const fhir::AllergyIntolerance& allergy) const {
        for (const fhir::Coding& coding : allergy.code.coding) {
            const auto system = vocabulary_.system(coding.system);
            const AllergyDenial denial = system ? vocabulary_.allergyDenial(*system, coding.code) : AllergyDenial::none;
            if (denial != AllergyDenial::none) return denial;
        }
        return AllergyDenial::none;
    }

    Evidence evidenceOf(const fhir::AllergyIntolerance& allergy, const FactDefinition& fact) const {
        Evidence evidence;
        evidence.fact = &fact;
        evidence.isRecord = true;
        evidence.resourceType = "AllergyIntolerance";
        evidence.id = allergy.id;
        evidence.resourceIndex = static_cast<std::size_t>(&allergy - chart_.allergyIntolerance.data());
        evidence.display = allergy.code.text;
        for (const fhir::Coding& coding : allergy.code.coding) {
            if (evidence.display.empty()) evidence.display = coding.display;
        }
        evidence.date = allergy.date;
        if (evidence.date) evidence.date->last = std::min(evidence.date->last, fhir::DateTime::ofDay(asOf_).last);
        evidence.onsetDated = allergy.onsetDated;
        evidence.positive = true;
        if (allergy.clinicalStatus == "active") {
            evidence.state = State::active;
        } else if (allergy.clinicalStatus == "inactive" || allergy.clinicalStatus == "resolved") {
            evidence.state = State::over;
        }
        return evidence;
    }

    /// What the codes of a substance mean for a fact; nothing when none does.
    std::optional<Role> roleOf(const fhir::CodeableConcept& concept_, const FactDefinition& fact, bool& recognised) {
        std::optional<Role> role;
        for (const fhir::Coding& coding : concept_.coding) {
            const Meaning& meaning = vocabulary_.meaningOf(coding);
            const auto& system = meaning.system;
            if (!system || coding.code.empty()) continue;
            recognised =
                recognised || std::find(fact.systems.begin(), fact.systems.end(), *system) != fact.systems.end();
            for (const Match& match : meaning.matches) {
                if (match.fact != fact.index || match.role == Role::reject) continue;
                if (!role || match.role == Role::accept) role = match.role;
            }
        }
        return role;
    }

    void add(const fhir::AllergyIntolerance& allergy, const FactDefinition& fact) {
        bool recognised = false;
        bool manifest = false;  // by what the reaction looked like
        std::optional<Role> role = roleOf(allergy.code, fact, recognised);
        bool isMild = !allergy.reaction.empty();
        for (const fhir::AllergyIntolerance::Reaction& reaction : allergy.reaction) {
            if (const auto substance = roleOf(reaction.substance, fact, recognised); !role) role = substance;
            for (const fhir::CodeableConcept& manifestation : reaction.manifestation)
                manifest = manifest || roleOf(manifestation, fact, recognised) == Role::accept;
            isMild = isMild && reaction.severity == "mild";
        }
        // Food and surroundings are no drug and no biological product.
        const bool noDrug =
            !allergy.category.empty() &&
            std::all_of(allergy.category.begin(), allergy.category.end(),
                        [](std::string_view category) { return category == "food" || category == "environment"; });
        Evidence evidence = evidenceOf(allergy, fact);
        const auto ask = [&](std::string_view why) {
            evidence.basis = Basis::asked;
            evidence.detail = why;
        };
        switch (fact.allergy) {
            case AllergyPolicy::none:
                return;
            case AllergyPolicy::listed:
                if (!role) {
                    if (!recognised && !noDrug) unrecognisable_.set(fact.index);
                    return;
                }
                break;
            case AllergyPolicy::any:
                if (role != Role::accept) ask("whether it is one of these is for a person to say");
                break;
            case AllergyPolicy::severe:
                if (manifest || role == Role::accept) break;
                if (isMild) return;
                ask("the severity is not proven");
                break;
            case AllergyPolicy::biologic: {
                const bool biologic =
                    std::find(allergy.category.begin(), allergy.category.end(), "biologic") != allergy.category.end();
                if (biologic || role == Role::accept) break;
                if (noDrug) return;
                ask("whether it is a biological product or an antibiotic is for a person to say");
                break;
            }
        }
        if (isDecided(evidence.basis) && role == Role::review && !manifest) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "a related code that does not decide";
        }
        if (allergy.type == "intolerance" && isDecided(evidence.basis)) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "an intolerance, not an allergy";
        }
        if (!allergy.verificationStatus.empty() && allergy.verificationStatus != "confirmed") {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "not confirmed";
        }
        facts_.own(fact.index).conditions.push_back(std::move(evidence));
    }

    const fhir::Chart& chart_;
    const Vocabulary& vocabulary_;
    Facts& facts_;
    fhir::Date asOf_;
    FactSet& unrecognisable_;
};

}  // namespace

void readAllergies(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable) {
    AllergyReader(chart, vocabulary, facts, unrecognisable).read();
}

}  // namespace mapping
