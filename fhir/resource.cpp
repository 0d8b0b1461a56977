#include "fhir/resource.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <utility>

#include "fhir/reader.h"

namespace fhir {

namespace {

using json::Kind;
using json::Value;

using KindSet = std::uint8_t;

constexpr KindSet setOf(std::initializer_list<Kind> kinds) {
    KindSet set = 0;
    for (const Kind kind : kinds) set = static_cast<KindSet>(set | 1U << static_cast<unsigned>(kind));
    return set;
}

constexpr bool isIn(Kind kind, KindSet set) {
    return (set >> static_cast<unsigned>(kind) & 1U) != 0;
}

constexpr KindSet anyKind = 0xFF;
constexpr KindSet textKinds = setOf({Kind::null, Kind::string, Kind::number});
constexpr KindSet conceptKinds = setOf({Kind::null, Kind::string, Kind::object});
constexpr KindSet objectKinds = setOf({Kind::null, Kind::object});

/// What the values of members may be, by the id of their name, without the readers above having anything to report.
struct PlainKinds {
    std::array<KindSet, 256> ofResult{};  ///< of an Observation and of its components
    std::array<KindSet, 256> inside{};    ///< of everything in those; the items of arrays have no name
    std::array<bool, 256> isRead{};       ///< whether anything is read of this member of an Observation
    std::array<bool, 256> isValue{};      ///< whether it is a value[x]

    consteval PlainKinds() {
        for (const std::string_view name : json::elementNames)
            isValue[json::nameTable.find(name)] = name.starts_with("value");
        for (KindSet& kinds : ofResult) kinds = anyKind;
        for (KindSet& kinds : inside) kinds = anyKind;
        inside[0] = conceptKinds;
        for (const std::string_view name :
             {"code", "comparator", "display", "end", "start", "system", "text", "unit", "value"})
            inside[json::nameTable.find(name)] = textKinds;
        for (const std::string_view name : {"low", "high"}) inside[json::nameTable.find(name)] = objectKinds;
        inside[json::nameTable.find("type")] = conceptKinds;
        for (const std::string_view name : {"id", "status", "effectiveDateTime", "effectiveInstant", "issued"})
            ofResult[json::nameTable.find(name)] = textKinds;
        for (const std::string_view name : {"code", "method", "bodySite", "valueCodeableConcept"})
            ofResult[json::nameTable.find(name)] = conceptKinds;
        ofResult[json::nameTable.find("valueQuantity")] = objectKinds;
        for (const std::string_view name :
             {"code", "valueCodeableConcept", "valueQuantity", "valueRange", "interpretation", "referenceRange",
              "method", "note", "specimen", "bodySite", "effectivePeriod"})
            isRead[json::nameTable.find(name)] = true;
    }
};

constexpr PlainKinds plainKinds;

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
            if (!isUnknown && !plainKinds.isValue[member.node->name]) continue;
            const auto [name, value] = *member;
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

    ReferenceRange referenceRange(Value item) const {
        ReferenceRange range;
        range.low = quantity(item["low"], "referenceRange.low");
        range.high = quantity(item["high"], "referenceRange.high");
        range.type = codeableConcept(item["type"], "referenceRange.type");
        range.appliesTo = codeableConcepts(item["appliesTo"], "referenceRange.appliesTo");
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
        for (const Value item : resource["component"].items()) {
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

bool isPlainInside(Value value) {
    const json::Node* const first = value.node();
    if (first->repeats) return false;
    for (const json::Node* node = first + 1; node != first + first->span; ++node) {
        if (node->repeats || !isIn(node->kind, plainKinds.inside[node->name])) return false;
    }
    return true;
}

/// What the outline of an Observation is made of.
struct OutlineElements {
    Value id;
    Value status;
    Value code;
    Value component;
    Value effectiveDateTime;
    Value issued;
};

/// Whether all that is read of an Observation, or of one of its components, is as it ought to be: each node is looked
/// at once. Where it is not, readObservation tells what is wrong. Of an Observation the elements of the outline are
/// kept.
bool isPlainResult(Value result, OutlineElements* elements) {
    if (!result.isObject() || result.node()->repeats) return false;
    std::size_t values = 0;
    const json::Node* const end = result.node() + result.node()->span;
    for (const json::Node* node = result.node() + 1; node != end; node += node->span) {
        if (node->isName) {
            values += node->text().starts_with("value");
            continue;
        }
        const Value value(node);
        values += value && plainKinds.isValue[node->name];
        if (!isIn(node->kind, plainKinds.ofResult[node->name])) return false;
        if (plainKinds.isRead[node->name] && !isPlainInside(value)) return false;
        if (elements == nullptr) continue;
        switch (node->name) {
            case json::Name("id").id():
                elements->id = value;
                break;
            case json::Name("status").id():
                elements->status = value;
                break;
            case json::Name("code").id():
                elements->code = value;
                break;
            case json::Name("effectiveDateTime").id():
                elements->effectiveDateTime = value;
                break;
            case json::Name("issued").id():
                elements->issued = value;
                break;
            case json::Name("component").id():
                elements->component = value;
                for (const Value item : value.items()) {
                    if (item.isObject() && !isPlainResult(item, nullptr)) return false;
                }
                break;
            default:
                break;
        }
    }
    return values <= 1;
}

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

Observation ObservationOutline::whole() const {
    const ObservationElements reader;
    Observation observation;
    observation.id = id;
    observation.status = status;
    observation.result.code = code;
    reader.readResult(resource, observation.result);
    reader.readComponents(resource, observation);
    observation.effective = effective;
    observation.issued = issued;
    reader.readMethod(resource, observation);
    return observation;
}

Quantity ObservationOutline::quantity() const {
    return Reader().quantity(resource["valueQuantity"], {});
}

void readObservationOutline(Value resource, const Place& place, std::vector<Issue>& issues,
                            ObservationOutline& outline) {
    outline.place = place;
    outline.resource = resource;
    if (OutlineElements elements; isPlainResult(resource, &elements)) {
        std::vector<Issue> reported;
        const ObservationElements reader(place, reported);
        outline.id = elements.id.text();
        outline.status = trimmed(elements.status.text());
        outline.code = reader.codeableConcept(elements.code, "code");
        outline.hasComponents = elements.component.isArray();
        outline.effective = DateTime::parse(elements.effectiveDateTime.text());
        if (!outline.effective) outline.effective = reader.effective(resource);
        outline.issued = DateTime::parse(elements.issued.text());
        const bool isDate = outline.issued || elements.issued.text().empty();
        outline.isPlain = isDate && reported.empty();
        if (outline.isPlain) return;
    }
    Observation observation = readObservation(resource, place, issues);
    outline.id = observation.id;
    outline.status = observation.status;
    outline.code = observation.result.code;
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
