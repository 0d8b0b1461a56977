#include "fhir/form.h"

#include <array>
#include <initializer_list>
#include <mutex>
#include <string_view>

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
    std::array<KindSet, 256> ofResult{};    ///< of an Observation and of its components
    std::array<KindSet, 256> inside{};      ///< of everything in those; the items of arrays have no name
    std::array<std::uint8_t, 256> parts{};  ///< what the member of an Observation is, of those below

    static constexpr std::uint8_t read = 1;    ///< something is read inside of it
    static constexpr std::uint8_t value = 2;   ///< value[x]
    static constexpr std::uint8_t result = 4;  ///< something else of a result than its code
    static constexpr std::uint8_t method = 8;  ///< it tells how it was measured, or says something of it in words

    consteval PlainKinds() {
        for (const std::string_view name : json::elementNames) {
            if (name.starts_with("value")) add(name, value);
        }
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
            add(name, read);
        for (const std::string_view name : {"dataAbsentReason", "interpretation", "referenceRange"}) add(name, result);
        for (const std::string_view name : {"method", "note", "specimen", "bodySite"}) add(name, method);
    }

private:
    consteval void add(std::string_view name, std::uint8_t part) {
        std::uint8_t& all = parts[json::nameTable.find(name)];
        all = static_cast<std::uint8_t>(all | part);
    }
};

constexpr PlainKinds plainKinds;

bool isPlainInside(Value value) {
    const json::Node* const first = value.node();
    if (first->repeats) return false;
    for (const json::Node* node = first + 1; node != first + first->span; ++node) {
        if (node->repeats || !isIn(node->kind, plainKinds.inside[node->name])) return false;
    }
    return true;
}

/// Whether all that is read of an Observation, or of one of its components, is as it ought to be: each node is looked
/// at once. Of an Observation the rest of the form is filled in.
bool isPlainResult(Value result, Form* form) {
    if (!result.isObject() || result.node()->repeats) return false;
    std::size_t values = 0;
    unsigned parts = 0;
    const json::Node* const end = result.node() + result.node()->span;
    for (const json::Node* node = result.node() + 1; node != end; node += node->span) {
        if (node->isName) {
            if (!node->text().starts_with("value")) continue;
            if (form != nullptr) return false;  // a value[x] that is not read
            ++values;
            continue;
        }
        const Value value(node);
        if (!isIn(node->kind, plainKinds.ofResult[node->name])) return false;
        const std::uint8_t own = plainKinds.parts[node->name];
        parts |= own;
        if ((own & PlainKinds::read) != 0 && !isPlainInside(value)) return false;
        const auto place = static_cast<Form::Place>(node - result.node());
        if (value && (own & PlainKinds::value) != 0) {
            ++values;
            if (form != nullptr) form->value = place;
        }
        if (form == nullptr) continue;
        switch (node->name) {
            case json::Name("status").id():
                form->status = place;
                break;
            case json::Name("code").id():
                form->code = place;
                break;
            case json::Name("effectiveDateTime").id():
                form->effectiveDateTime = place;
                break;
            case json::Name("issued").id():
                form->issued = place;
                break;
            case json::Name("component").id():
                form->component = place;
                for (const Value item : value.items()) {
                    if (item.isObject() && !isPlainResult(item, nullptr)) return false;
                }
                break;
            default:
                break;
        }
    }
    if (form != nullptr) {
        form->hasFurtherResult = (parts & PlainKinds::result) != 0;
        form->hasMethod = (parts & PlainKinds::method) != 0;
    }
    return values <= 1;
}

/// All forms that are kept. They never move, so that nobody who reads one waits for one who keeps another.
struct Kept {
    std::mutex mutex;  ///< of whoever keeps one
    std::uint32_t count = 0;
    std::array<Form, 1024> forms{};
};

Kept& allKept() {
    static Kept kept;
    return kept;
}

}  // namespace

bool isValueName(json::NameId name) {
    return (plainKinds.parts[name] & PlainKinds::value) != 0;
}

Form Form::of(Value resource) {
    Form form;
    const json::Node* const first = resource.node();
    for (const json::Node* node = first + 1; node != first + first->span; node += node->span) {
        const auto place = static_cast<Place>(node - first);
        switch (node->name) {
            case json::Name("resourceType").id():
                form.resourceType = place;
                break;
            case json::Name("id").id():
                form.id = place;
                break;
            case json::Name("meta").id():
                form.meta = place;
                break;
            case json::Name("subject").id():
                form.subject = place;
                break;
            default:
                break;
        }
    }
    const auto placeIn = [&](Place object, json::Name name) {
        const Value holder = valueAt(resource, object);
        if (!holder.isObject() || holder.node()->repeats) return Place{0};
        const Value member = holder[name];
        return member.node() == nullptr ? Place{0} : static_cast<Place>(member.node() - first);
    };
    form.lastUpdated = placeIn(form.meta, "lastUpdated");
    form.reference = placeIn(form.subject, "reference");
    if (!valueAt(resource, form.reference).isString()) form.reference = 0;
    if (valueAt(resource, form.resourceType).text() == "Observation") form.isPlain = isPlainResult(resource, &form);
    return form;
}

std::uint32_t Form::keep(const Form& form) {
    Kept& kept = allKept();
    const std::lock_guard lock(kept.mutex);
    for (std::uint32_t i = 0; i < kept.count; ++i) {
        if (kept.forms[i] == form) return i + 1;
    }
    if (kept.count == kept.forms.size()) return 0;
    kept.forms[kept.count++] = form;
    return kept.count;
}

const Form& Form::kept(std::uint32_t number) {
    return allKept().forms[number - 1];
}

}  // namespace fhir
