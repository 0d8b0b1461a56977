#pragma once

#include <string_view>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "fhir/bundle.h"
#include "mapping/fact.h"
#include "rules/evaluate.h"

namespace cds_hooks {

/// One patient, evaluated for every trial. The facts hold views into the chart's document, the evaluations into the
/// facts.
struct Screening {
    fhir::Chart chart;
    mapping::Facts facts;
    std::vector<rules::Evaluation> evaluations;  ///< one for each trial of the knowledge, in its order

    Screening() = default;
    Screening(Screening&&) = default;
    Screening& operator=(Screening&&) = default;
    Screening(const Screening&) = delete;  // the evaluations would point into the facts of the other
    Screening& operator=(const Screening&) = delete;
};

/// The line of functions that every use of the program goes through: facts from the chart, judgement from the facts.
Screening screen(const Knowledge& knowledge, fhir::Chart chart, fhir::Date asOf);

/// The identifiers of ResearchSubjects that a screening of ours has written.
inline constexpr std::string_view researchSubjectSystem = "urn:cd7match:research-subject";

/// What the chart says of the patient and one study: a ResearchSubject, whatever its status, or a Consent in force that
/// refuses research, or this study. What our own screening wrote is none as long as nobody has moved it on.
struct Participation {
    const fhir::ResearchSubject* subject = nullptr;
    const fhir::Consent* refusal = nullptr;

    explicit operator bool() const { return subject != nullptr || refusal != nullptr; }
};
Participation participation(const Screening& screening, const rules::Trial& trial);

/// "0.1.0"
std::string_view programVersion();

/// Trials worth a clinician's attention: the gate fires, nothing decided stands against the patient, the patient is
/// alive, not on that study already, and has not refused. Those that recruit come first, then those with the fewest
/// missing facts.
std::vector<const rules::Evaluation*> suggested(const Screening& screening);

}  // namespace cds_hooks
