#include "fhir/resource.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "fhir/form.h"
#include "fhir/reader.h"

namespace fhir {

namespace {

using json::Kind;
using json::Value;

/// What an Observation and its components hold.
struct ObservationElements : Reader {
    using Reader::Reader;

    std::optional<DateTime> effective(Value resource) const {
        std::optional<DateTime> date = dateTime(resource, "effectiveDateTime");
        if (!date) date = dateTime(resource, "effectiveInstant");
        if (date) return date;
        const Value period = resource["effectivePeriod"];
        date = dateTime(period, "end");
        return date ? date : dateTime(period, "start");
    }

    ObservationValue observationValue(Value object) const {
        ObservationValue result;
        for (auto member = object.members().begin(); member != object.members().end(); ++member) {
            const bool isUnknown = member.node->isName;
            if (!isUnknown && !isValueName(member.node->name)) continue;
            const auto [name, value] = *member;
            if (!name.starts_with("value") || !value) continue;
            if (result.kind != ObservationValue::Kind::none) {
                report("value[x]", "stands more than once");
                return {ObservationValue::Kind::unread, {}, {}, {}, {}, false};
            }
            readValue(isUnknown ? json::NameId{0} : member.node->name, value, result);
        }
        return result;
    }

    /// A value[x], by the id of its name.
    void readValue(json::NameId name, Value value, ObservationValue& result) const {
        using enum ObservationValue::Kind;
        result.kind = unread;
        switch (name) {
            case json::Name("valueQuantity").id():
                result.kind = quantity;
                result.quantity = this->quantity(value, "valueQuantity");
                return;
            case json::Name("valueCodeableConcept").id():
                result.kind = codeableConcept;
                result.codeableConcept = this->codeableConcept(value, "valueCodeableConcept");
                return;
            case json::Name("valueString").id():
                if (!value.isString()) return;
                result.kind = string;
                result.text = value.text();
                return;
            case json::Name("valueBoolean").id():
                if (value.kind() != Kind::boolean) return;
                result.kind = boolean;
                result.boolean = value.isTrue();
                return;
            case json::Name("valueInteger").id():
                if (!value.isNumber() && !value.isString()) return;
                result.kind = integer;
                result.quantity.value = value.text();
                return;
            case json::Name("valueRange").id():
                if (!value.isObject()) return;
                result.kind = range;
                result.quantity = this->quantity(value["low"], "valueRange.low");
                result.high = this->quantity(value["high"], "valueRange.high");
                return;
            default:
                return;
        }
    }

    ReferenceRange referenceRange(Value item) const {
        ReferenceRange range;
        if (const Value low = item["low"]) range.low = quantity(low, "referenceRange.low");
        if (const Value high = item["high"]) range.high = quantity(high, "referenceRange.high");
        if (const Value type = item["type"]) range.type = codeableConcept(type, "referenceRange.type");
        if (const Value all = item["appliesTo"]) range.appliesTo = codeableConcepts(all, "referenceRange.appliesTo");
        if (const Value age = item["age"]) {
            range.ageLow = quantity(age["low"], "referenceRange.age.low");
            range.ageHigh = quantity(age["high"], "referenceRange.age.high");
        }
        range.text = text(item, "text");
        return range;
    }

    /// All but the code.
    void readResult(Value object, ObservationResult& result) const {
        result.value = observationValue(object);
        readFurtherResult(object, result);
    }

    /// All but code and value.
    void readFurtherResult(Value object, ObservationResult& result) const {
        result.dataAbsent = static_cast<bool>(object["dataAbsentReason"]);
        const Value interpretation = object["interpretation"];
        const Value ranges = object["referenceRange"];
        if (issues != nullptr) {
            codeableConcepts(interpretation, "interpretation");
            for (const Value item : ranges.items()) {
                if (item.isObject()) referenceRange(item);
            }
        }
        result.interpretation = Elements<CodeableConcept>(interpretation);
        result.referenceRange = Elements<ReferenceRange>(ranges);
    }

    ObservationResult observationResult(Value object) const {
        ObservationResult result;
        result.code = codeableConcept(object["code"], "code");
        readResult(object, result);
        return result;
    }

    void readComponents(Value resource, Observation& observation) const {
        const json::Items items = resource["component"].items();
        std::size_t count = 0;
        for (auto item = items.begin(); !(item == items.end()); ++item) ++count;
        observation.component.reserve(count);
        for (const Value item : items) {
            if (item.isObject()) observation.component.push_back(observationResult(item));
        }
    }

    /// How it was measured, and what is said of it in words.
    void readMethod(Value resource, Observation& observation) const {
        observation.method = codeableConcept(resource["method"], "method");
        const auto addText = [&](std::string_view words) {
            if (!words.empty()) observation.texts.push_back(words);
        };
        for (const Value note : resource["note"].items()) addText(text(note, "text"));
        addText(text(resource["specimen"], "display"));
        const CodeableConcept bodySite = codeableConcept(resource["bodySite"], "bodySite");
        addText(bodySite.text);
        for (const Coding& coding : bodySite.coding) addText(coding.display);
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

std::string Place::text() const {
    std::string words;
    const std::string number = kind == Kind::whole ? std::string() : std::to_string(index);
    words.reserve(parent.size() + number.size() + 20);
    words += parent;
    if (kind == Kind::entry) {
        if (!words.empty()) words += '.';
        words += "entry[";
        words += number;
        words += "].resource";
    } else if (kind == Kind::item) {
        words += '[';
        words += number;
        words += ']';
    }
    return words;
}

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

Patient readPatient(Value resource, const Place& place, std::vector<Issue>& issues) {
    const Reader reader{place, issues};
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

Observation readObservation(Value resource, const Place& place, std::vector<Issue>& issues) {
    Observation observation;
    const ObservationElements reader(place, issues);
    observation.id = reader.text(resource, "id");
    observation.status = trimmed(reader.text(resource, "status"));
    observation.result = reader.observationResult(resource);
    reader.readComponents(resource, observation);
    observation.effective = reader.effective(resource);
    observation.issued = reader.dateTime(resource, "issued");
    reader.readMethod(resource, observation);
    return observation;
}

template <>
Elements<CodeableConcept>::Elements(Value array) {
    if (array.isObject()) {
        first_ = array.node();
        last_ = first_ + first_->span;
    } else if (array.isArray()) {
        first_ = array.node() + 1;
        last_ = array.node() + array.node()->span;
    }
}

template <>
bool Elements<CodeableConcept>::isOne(Value item) {
    return static_cast<bool>(item);
}

template <>
CodeableConcept Elements<CodeableConcept>::Iterator::operator*() const {
    return Reader().codeableConcept(Value(node_), {});
}

template <>
Elements<ReferenceRange>::Elements(Value array) {
    if (!array.isArray()) return;
    first_ = array.node() + 1;
    last_ = array.node() + array.node()->span;
}

template <>
bool Elements<ReferenceRange>::isOne(Value item) {
    return item.isObject();
}

template <>
ReferenceRange Elements<ReferenceRange>::Iterator::operator*() const {
    return ObservationElements().referenceRange(Value(node_));
}

CodeableConcept ObservationOutline::code() const {
    return Reader().codeableConcept(codeValue, {});
}

std::optional<Coding> onlyCoding(Value concept_) {
    const auto isObject = [](Value any) { return any.isObject() && !any.node()->repeats; };
    if (!isObject(concept_)) return std::nullopt;
    const Value codings = concept_["coding"];
    if (!codings.isArray() || codings.node()->span == 1) return std::nullopt;
    const Value only(codings.node() + 1);
    if (!isObject(only) || only.node()->span + 1 != codings.node()->span) return std::nullopt;
    Coding coding;
    for (const json::Node* node = only.node() + 1; node != only.node() + only.node()->span; node += node->span) {
        const bool isSystem = node->name == json::Name("system").id();
        if (!isSystem && node->name != json::Name("code").id()) continue;
        if (node->kind != Kind::string) return std::nullopt;
        (isSystem ? coding.system : coding.code) = node->text();
    }
    if (coding.code.empty()) return std::nullopt;
    return coding;
}

Observation ObservationOutline::whole() const {
    const ObservationElements reader;
    Observation observation;
    observation.id = id;
    observation.status = status;
    observation.result.code = code();
    observation.effective = effective;
    observation.issued = issued;
    if (!isPlain) {
        reader.readResult(resource, observation.result);
    } else {
        if (value) reader.readValue(value.node()->name, value, observation.result.value);
        if (hasFurtherResult) reader.readFurtherResult(resource, observation.result);
    }
    if (hasComponents) reader.readComponents(resource, observation);
    if (!isPlain || hasMethod) reader.readMethod(resource, observation);
    return observation;
}

Quantity ObservationOutline::quantity() const {
    if (!isPlain) return valueQuantity(resource);
    const bool isQuantity = value && value.node()->name == json::Name("valueQuantity").id();
    return isQuantity ? Reader().quantity(value, {}) : Quantity();
}

Quantity valueQuantity(Value result) {
    return Reader().quantity(result["valueQuantity"], {});
}

void readObservationOutline(Value resource, const Place& place, std::vector<Issue>& issues,
                            ObservationOutline& outline) {
    outline.place = place;
    outline.resource = resource;
    const Form* form = Form::known(resource);
    Form own;
    if (form == nullptr && resource.isObject() && !resource.node()->repeats) {
        own = Form::of(resource);
        form = &own;
    }
    if (form != nullptr && form->isPlain) {
        outline.id = valueAt(resource, form->id).text();
        outline.status = trimmed(valueAt(resource, form->status).text());
        outline.codeValue = valueAt(resource, form->code);
        outline.hasComponents = valueAt(resource, form->component).isArray();
        outline.effective = DateTime::parse(valueAt(resource, form->effectiveDateTime).text());
        std::vector<Issue> reported;
        if (!outline.effective) outline.effective = ObservationElements(place, reported).effective(resource);
        const std::string_view issued = valueAt(resource, form->issued).text();
        outline.issued = DateTime::parse(issued);
        outline.isPlain = (outline.issued || issued.empty()) && reported.empty();
        outline.value = valueAt(resource, form->value);
        outline.hasFurtherResult = form->hasFurtherResult;
        outline.hasMethod = form->hasMethod;
        if (outline.isPlain) return;
    }
    Observation observation = readObservation(resource, place, issues);
    outline.id = observation.id;
    outline.status = observation.status;
    outline.codeValue = resource["code"];
    outline.hasComponents = !observation.component.empty();
    outline.effective = observation.effective;
    outline.issued = observation.issued;
}

Condition readCondition(Value resource, const Place& place, const Patient& patient, std::vector<Issue>& issues) {
    Condition condition;
    const Reader reader{place, issues};
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
