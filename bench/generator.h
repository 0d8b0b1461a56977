#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// Whose shape a made-up chart has. All are synthetic through and through.
enum class Corpus {
    /// A general population as Synthea exports it, about 100 KB each: visits with their claims, explanations of
    /// benefit, narratives and attachments, which nobody here reads. One patient in thirty has a disease of the trials.
    synthea,
    /// A hospital as the German Medizininformatik-Initiative exports it, about 30 KB each: laboratory with LOINC and
    /// UCUM, diagnoses in ICD-10-GM, meta.profile everywhere. One patient in sixteen has a disease of the trials.
    mii,
    /// A haematological ward, about 60 KB each: little but results with reference ranges. Everybody has AML, T-ALL or a
    /// lymphoma, many in relapse.
    oncology,
};

/// One FHIR R4 resource as compact JSON.
struct Resource {
    std::string_view type;
    std::string text;
};

/// The resources of one patient, the Patient first, all with a reference to him as "Patient/ID". The same seed and
/// number give the same bytes.
std::vector<Resource> patient(Corpus corpus, std::uint64_t seed, std::uint64_t number);

/// A Bundle of type collection that holds them.
std::string bundle(const std::vector<Resource>& resources);

/// A chart as a FHIR R4 Bundle of about `bytes` bytes of compact JSON: one Patient with AML in relapse, a few
/// Conditions, and the laboratory and vital-sign Observations that an oncology chart repeats. The same seed gives the
/// same bytes.
std::string chart(std::uint64_t seed, std::size_t bytes);

}  // namespace bench
