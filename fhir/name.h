#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "fhir/word_table.h"

namespace fhir::json {

/// The names of the elements that we read from FHIR R4 resources, Bundles and hook requests, in the order of ASCII.
///
/// A reader that asks for another name below the first levels of a document read with Selection::elements is told so by
/// an exception (Value::operator[]), so that a name that was forgotten here never reads as an absent element.
inline constexpr auto elementNames = std::to_array<std::string_view>({
    "abatementAge",
    "abatementBoolean",
    "abatementDateTime",
    "abatementPeriod",
    "abatementRange",
    "abatementString",
    "activity",
    "age",
    "answer",
    "appliesTo",
    "author",
    "authored",
    "authoredOn",
    "birthDate",
    "bodySite",
    "boundsPeriod",
    "category",
    "clinicalStatus",
    "code",
    "coding",
    "comparator",
    "component",
    "conclusionCode",
    "contained",
    "context",
    "created",
    "data",
    "dataAbsentReason",
    "dateTime",
    "daysSupply",
    "deceasedBoolean",
    "deceasedDateTime",
    "detail",
    "display",
    "doNotPerform",
    "dosage",
    "dosageInstruction",
    "effectiveDateTime",
    "effectiveInstant",
    "effectivePeriod",
    "end",
    "entry",
    "event",
    "extension",
    "fhirAuthorization",
    "fhirServer",
    "focus",
    "fullUrl",
    "gender",
    "high",
    "hook",
    "hookInstance",
    "id",
    "identifier",
    "individual",
    "ingredient",
    "intent",
    "interpretation",
    "issue",
    "issued",
    "item",
    "itemCodeableConcept",
    "lastUpdated",
    "link",
    "linkId",
    "low",
    "manifestation",
    "medicationCodeableConcept",
    "medicationReference",
    "meta",
    "method",
    "mode",
    "note",
    "occurrenceDateTime",
    "occurrencePeriod",
    "occurrenceTiming",
    "onsetAge",
    "onsetDateTime",
    "onsetPeriod",
    "patient",
    "patientId",
    "performedDateTime",
    "performedPeriod",
    "period",
    "prefetch",
    "provision",
    "questionnaire",
    "reaction",
    "recordedDate",
    "reference",
    "referenceRange",
    "relation",
    "repeat",
    "resource",
    "resourceType",
    "route",
    "scheduledDateTime",
    "scheduledPeriod",
    "scheduledTiming",
    "scope",
    "search",
    "selections",
    "severity",
    "specimen",
    "stage",
    "start",
    "status",
    "study",
    "subject",
    "substance",
    "summary",
    "system",
    "text",
    "timing",
    "title",
    "total",
    "type",
    "unit",
    "url",
    "userId",
    "vaccineCode",
    "value",
    "valueBoolean",
    "valueCodeableConcept",
    "valueCoding",
    "valueDate",
    "valueDateTime",
    "valueDecimal",
    "valueInteger",
    "valueQuantity",
    "valueRange",
    "valueString",
    "verificationStatus",
    "whenHandedOver",
    "whenPrepared",
});

using NameTable = WordTable<elementNames, 11>;
inline constexpr NameTable nameTable;

/// The position of a name among elementNames counted from 1; 0 for every other name.
using NameId = NameTable::Id;

/// The elementNames that nobody reads from an Observation, of which a chart has most: it is jumped over there.
inline constexpr auto unreadOfObservation = [] {
    std::array<bool, 256> unread{};
    for (const std::string_view name : {"category", "contained", "extension", "identifier", "text"})
        unread[nameTable.find(name)] = true;
    return unread;
}();
constexpr bool isUnreadOfObservation(NameId id) {
    return unreadOfObservation[id];
}

/// The name of a member that is asked for: a literal is looked up when the program is built, other texts when it runs.
class Name {
public:
    template <std::size_t Size>
    consteval Name(const char (&text)[Size]) : text_(text, Size - 1), id_(nameTable.find(text_)) {}

    template <typename Text>
    requires(std::convertible_to<const Text&, std::string_view> &&
             !std::is_array_v<Text>) constexpr Name(const Text& text)
        : text_(text), id_(nameTable.find(text_)) {}

    constexpr std::string_view text() const { return text_; }
    constexpr NameId id() const { return id_; }

private:
    std::string_view text_;
    NameId id_;
};

}  // namespace fhir::json
