#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/model/evaluator.h"
#include "tests/model/subjects.h"

// Patients are drawn as facts, written down as FHIR in many ways, and evaluated twice: by the program from the FHIR,
// and by an evaluator that was written from the rulings alone, from the facts. Every criterion of every trial must
// agree.
//
// CD7MATCH_SEED and CD7MATCH_PATIENTS choose other patients; any seed must do.
//
// What is not drawn, because it is tested elsewhere or the rulings leave it open:
// - facts that no code in facts.json answers (lines of therapy, cycles, lesions, CNS grade …): absent in every patient;
// - facts of which facts.json says something that tests/model/knowledge.cpp does not know: absent, and printed;
// - counts of drugs, and drugs of several ingredients; allergies; plans; screening forms; site overlays;
//   DiagnosticReport, MedicationDispense;
// - pregnancy and lactation of patients who are not recorded as female, as Conditions;
// - a code that is a look-alike beside one that is accepted, in the same Condition;
// - oxygen that is recorded in an Observation of its own (as components and in words it is drawn);
// - a number in words where a yes or no is asked, and a cut-off in another unit than that number.

TEST_CASE("every criterion of every trial comes out as an independent evaluator has it from the facts") {
    for (const std::string& fact : model::knowledge().notUnderstood) MESSAGE("not drawn: " << fact);
    model::onEveryPatient(10'000, [](const model::Patient& patient, const model::Style& style) {
        std::vector<std::string> differences;
        const auto program = model::verdicts(patient, style).truths;
        const auto expected = model::evaluate(patient);
        if (program.size() != expected.size()) differences.push_back("not the same criteria");
        for (const auto& [criterion, truth] : expected) {
            const auto verdict = program.find(criterion);
            if (verdict == program.end()) {
                differences.push_back(criterion + ": not in the program");
            } else if (verdict->second != model::word(truth)) {
                differences.push_back(criterion + ": program " + verdict->second + ", model " +
                                      std::string(model::word(truth)));
            }
        }
        return differences;
    });
}
