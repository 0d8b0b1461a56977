#pragma once

#include <optional>

#include "fhir/decimal.h"
#include "mapping/fact.h"
#include "mapping/interval.h"

namespace mapping {

/// What Cockcroft and Gault's estimate is computed from. All values are positive; age is in completed years.
struct CockcroftGaultInputs {
    Interval ageYears;
    Interval weightKg;
    Interval creatinineMgPerDl;
    bool female = false;
};

/// Creatinine clearance estimated by Cockcroft and Gault, in mL/min, as the interval that the inputs allow.
///
/// (140 - age) x weight x (0.85 for women) / (72 x creatinine); nothing when an input lacks the end that it needs, or
/// the age is below 18 or above 139. Source: Cockcroft DW, Gault MH. Nephron 1976;16:31-41; ruling 6.
std::optional<Interval> cockcroftGault(const CockcroftGaultInputs& inputs);

/// Completes the facts that come from other facts: age, clearance, lineage, disease course and the like.
void derive(Facts& facts, const fhir::Chart& chart, const Vocabulary& vocabulary);

}  // namespace mapping
