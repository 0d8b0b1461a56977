#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

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

/// The position of a name among elementNames counted from 1; 0 for every other name.
using NameId = std::uint8_t;
static_assert(elementNames.size() < 255);

/// Whether two texts of one length are the same, without a call: names are short.
constexpr bool sameLetters(const char* left, const char* right, std::size_t size) {
    if (std::is_constant_evaluated() || size < 4) {
        for (std::size_t i = 0; i < size; ++i) {
            if (left[i] != right[i]) return false;
        }
        return true;
    }
    const auto same = [&]<typename Word>(std::size_t at, Word) {
        Word a = 0;
        Word b = 0;
        std::memcpy(&a, left + at, sizeof(Word));
        std::memcpy(&b, right + at, sizeof(Word));
        return a == b;
    };
    if (size < 8) return same(0, std::uint32_t{}) && same(size - 4, std::uint32_t{});
    for (std::size_t at = 0; at + 8 < size; at += 8) {
        if (!same(at, std::uint64_t{})) return false;
    }
    return same(size - 8, std::uint64_t{});
}

/// A hash without collisions among elementNames: its multiplier is searched when the program is built.
class NameTable {
public:
    consteval NameTable() {
        while (!fill()) multiplier_ += 0x61C8864680B583EAULL;  // stays odd
    }

    constexpr NameId find(std::string_view name) const {
        if (name.empty()) return 0;
        const NameId id = slots_[slot(name)];
        if (id == 0) return 0;
        const std::string_view known = elementNames[id - std::size_t{1}];
        return known.size() == name.size() && sameLetters(known.data(), name.data(), name.size()) ? id : NameId{0};
    }

private:
    static constexpr unsigned bits = 11;

    /// Length and four letters tell all of them apart.
    constexpr std::size_t slot(std::string_view name) const {
        const auto letter = [&](std::size_t at) {
            return static_cast<std::uint64_t>(static_cast<unsigned char>(name[at]));
        };
        const std::size_t last = name.size() - 1;
        const std::uint64_t letters = letter(0) | letter(last) << 8U | letter(last / 2) << 16U |
                                      letter(last / 4 * 3) << 24U | static_cast<std::uint64_t>(last) << 32U;
        return static_cast<std::size_t>((letters * multiplier_) >> (64U - bits));
    }

    consteval bool fill() {
        for (NameId& each : slots_) each = 0;
        NameId id = 0;
        for (const std::string_view name : elementNames) {
            NameId& place = slots_[slot(name)];
            ++id;
            if (place != 0) return false;
            place = id;
        }
        return true;
    }

    std::uint64_t multiplier_ = 0x9E3779B97F4A7C15ULL;
    std::array<NameId, std::size_t{1} << bits> slots_{};
};

inline constexpr NameTable nameTable;

/// Whether this is one of elementNames that nobody reads from an Observation, of which a chart has most: it is jumped
/// over there.
constexpr bool isUnreadOfObservation(NameId id) {
    constexpr std::array unread{nameTable.find("category"), nameTable.find("contained"), nameTable.find("extension"),
                                nameTable.find("identifier"), nameTable.find("text")};
    return id != 0 && std::find(unread.begin(), unread.end(), id) != unread.end();
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
