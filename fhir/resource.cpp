#include "fhir/resource.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "fhir/reader.h"

namespace fhir {

namespace {

using json::Kind;
using json::Value;

/// What an Observation and its components hold.
struct ObservationElements : Reader {
    ObservationValue observationValue(Value object) const {
        ObservationValue result;
        for (const auto [name, value] : object.members()) {
            if (!name.starts_with("value") || !value) continue;
            if (result.kind != ObservationValue::Kind::none) {
                report("value[x]", "stands more than once");
                return {ObservationValue::Kind::unread, {}, {}, {}, {}, false};
            }
            using enum ObservationValue::Kind;
            if (name == "valueQuantity") {
                result.kind = quantity;
                result.quantity = this->quantity(value, name);
            } else if (name == "valueCodeableConcept") {
                result.kind = codeableConcept;
                result.codeableConcept = this->codeableConcept(value, name);
            } else if (name == "valueString" && value.isString()) {
                result.kind = string;
                result.text = value.text();
            } else if (name == "valueBoolean" && value.kind() == Kind::boolean) {
                result.kind = boolean;
                result.boolean = value.isTrue();
            } else if (name == "valueInteger" && (value.isNumber() || value.isString())) {
                result.kind = integer;
                result.quantity.value = value.text();
            } else if (name == "valueRange" && value.isObject()) {
                result.kind = range;
                result.quantity = this->quantity(value["low"], "valueRange.low");
                result.high = this->quantity(value["high"], "valueRange.high");
            } else {
                result.kind = unread;
            }
        }
        return result;
    }

    ObservationResult observationResult(Value object) const {
        ObservationResult result;
        result.code = codeableConcept(object["code"], "code");
        result.value = observationValue(object);
        result.dataAbsent = static_cast<bool>(object["dataAbsentReason"]);
        result.interpretation = codeableConcepts(object["interpretation"], "interpretation");
        for (const Value item : object["referenceRange"].items()) {
            if (!item.isObject()) continue;
            ReferenceRange range;
            range.low = quantity(item["low"], "referenceRange.low");
            range.high = quantity(item["high"], "referenceRange.high");
            range.type = codeableConcept(item["type"], "referenceRange.type");
            range.appliesTo = codeableConcepts(item["appliesTo"], "referenceRange.appliesTo");
            range.ageLow = quantity(item["age"]["low"], "referenceRange.age.low");
            range.ageHigh = quantity(item["age"]["high"], "referenceRange.age.high");
            range.text = text(item, "text");
            result.referenceRange.push_back(std::move(range));
        }
        return result;
    }
};

template <typename Status, std::size_t Size>
Status statusOf(const CodeableConcept& concept_, const std::array<std::pair<std::string_view, Status>, Size>& words,
                Status none, Status unread) {
    for (const Coding& coding : concept_.coding) {
        for (const auto& [word, status] : words) {
            if (trimmed(coding.code) == word) return status;
        }
    }
    return concept_.empty() ? none : unread;
}

}  // namespace

bool isId(std::string_view text) {
    constexpr std::size_t longest = 256;
    return !text.empty() && text.size() <= longest && text != "." && text != ".." &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '.' || c == '_';
           });
}

std::optional<DateTime> dateAtAge(const Quantity& age, const std::optional<DateTime>& birthDate) {
    if (!birthDate || age.value.empty()) return std::nullopt;
    int number = 0;
    const auto [end, error] = std::from_chars(age.value.data(), age.value.data() + age.value.size(), number);
    if (error != std::errc() || end != age.value.data() + age.value.size() || number < 0 || number > 1500)
        return std::nullopt;
    const std::string_view unit = age.code.empty() ? age.unit : age.code;
    int months = 0;
    if (unit == "a" || unit == "years" || unit == "year" || unit == "yr") {
        months = 12;
    } else if (unit == "mo" || unit == "months" || unit == "month") {
        months = 1;
    } else {
        return std::nullopt;
    }
    return DateTime::ofDays(addMonths(birthDate->firstDay(), number * months),
                            addMonths(birthDate->lastDay(), (number + 1) * months) - 1);
}

Patient readPatient(Value resource, const std::string& path, std::vector<Issue>& issues) {
    const Reader reader{path, issues};
    Patient patient;
    patient.id = reader.text(resource, "id");
    patient.gender = trimmed(reader.text(resource, "gender"));
    patient.birthDate = reader.dateTime(resource, "birthDate");
    for (const Value item : resource["identifier"].items())
        patient.identifier.push_back({reader.text(item, "system"), reader.text(item, "value")});
    patient.deceasedDateTime = reader.dateTime(resource, "deceasedDateTime");
    // A death that was recorded with an unreadable date is still a death.
    patient.deceased = resource["deceasedBoolean"].isTrue() || static_cast<bool>(resource["deceasedDateTime"]);
    return patient;
}

Observation readObservation(Value resource, std::string path, std::vector<Issue>& issues) {
    Observation observation;
    observation.path = std::move(path);
    const ObservationElements reader{{observation.path, issues}};
    observation.id = reader.text(resource, "id");
    observation.status = trimmed(reader.text(resource, "status"));
    observation.result = reader.observationResult(resource);
    for (const Value item : resource["component"].items()) {
        if (item.isObject()) observation.component.push_back(reader.observationResult(item));
    }
    observation.effective = reader.dateTime(resource, "effectiveDateTime");
    if (!observation.effective) observation.effective = reader.dateTime(resource, "effectiveInstant");
    if (!observation.effective) {
        const Value period = resource["effectivePeriod"];
        observation.effective = reader.dateTime(period, "end");
        if (!observation.effective) observation.effective = reader.dateTime(period, "start");
    }
    observation.issued = reader.dateTime(resource, "issued");
    observation.method = reader.codeableConcept(resource["method"], "method");
    const auto addText = [&](std::string_view text) {
        if (!text.empty()) observation.texts.push_back(text);
    };
    for (const Value note : resource["note"].items()) addText(reader.text(note, "text"));
    addText(reader.text(resource["specimen"], "display"));
    const CodeableConcept bodySite = reader.codeableConcept(resource["bodySite"], "bodySite");
    addText(bodySite.text);
    for (const Coding& coding : bodySite.coding) addText(coding.display);
    return observation;
}

Condition readCondition(Value resource, std::string path, const Patient& patient, std::vector<Issue>& issues) {
    Condition condition;
    condition.path = std::move(path);
    const Reader reader{condition.path, issues};
    condition.id = reader.text(resource, "id");

    using enum ClinicalStatus;
    static constexpr std::array<std::pair<std::string_view, ClinicalStatus>, 6> clinical{{{"active", active},
                                                                                          {"recurrence", recurrence},
                                                                                          {"relapse", relapse},
                                                                                          {"inactive", inactive},
                                                                                          {"remission", remission},
                                                                                          {"resolved", resolved}}};
    condition.clinicalStatus =
        statusOf(reader.codeableConcept(resource["clinicalStatus"], "clinicalStatus"), clinical, none, unread);

    using Verification = VerificationStatus;
    static constexpr std::array<std::pair<std::string_view, Verification>, 6> verification{
        {{"confirmed", Verification::confirmed},
         {"unconfirmed", Verification::unconfirmed},
         {"provisional", Verification::unconfirmed},
         {"differential", Verification::unconfirmed},
         {"refuted", Verification::refuted},
         {"entered-in-error", Verification::enteredInError}}};
    // A verification status that we do not know is not taken for a confirmation.
    condition.verificationStatus =
        statusOf(reader.codeableConcept(resource["verificationStatus"], "verificationStatus"), verification,
                 Verification::none, Verification::unconfirmed);

    condition.code = reader.codeableConcept(resource["code"], "code");
    for (const Value extension : resource["extension"].items()) {
        if (!reader.text(extension, "url").ends_with("mcode-histology-morphology-behavior")) continue;
        for (const Coding& coding : reader.codings(extension["valueCodeableConcept"]["coding"]))
            condition.code.coding.push_back(coding);
    }
    for (const Value stage : resource["stage"].items()) {
        for (const Coding& coding : reader.codings(stage["summary"]["coding"])) condition.stage.push_back(coding);
    }

    condition.onset = reader.dateTime(resource, "onsetDateTime");
    if (!condition.onset) condition.onset = reader.dateTime(resource["onsetPeriod"], "start");
    if (!condition.onset)
        condition.onset = dateAtAge(reader.quantity(resource["onsetAge"], "onsetAge"), patient.birthDate);

    condition.abatement = reader.dateTime(resource, "abatementDateTime");
    if (!condition.abatement) condition.abatement = reader.dateTime(resource["abatementPeriod"], "end");
    if (!condition.abatement)
        condition.abatement = dateAtAge(reader.quantity(resource["abatementAge"], "abatementAge"), patient.birthDate);
    condition.abated = condition.abatement || resource["abatementDateTime"] || resource["abatementAge"] ||
                       resource["abatementPeriod"]["end"] || resource["abatementRange"] ||
                       resource["abatementString"] || resource["abatementBoolean"].isTrue();
    condition.recordedDate = reader.dateTime(resource, "recordedDate");
    return condition;
}

}  // namespace fhir
