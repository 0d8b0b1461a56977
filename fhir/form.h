#pragma once

#include <cstdint>

#include "fhir/json.h"

namespace fhir {

/// Where those elements of a resource stand that are looked at before it is known what the resource means, and what an
/// Observation is like. It depends on names and kinds of values alone: resources of one shape have one form.
struct Form {
    /// A place is that of a node, counted from the node of the resource; 0 means that there is none.
    using Place = std::uint32_t;

    Place resourceType = 0;
    Place id = 0;
    Place meta = 0;
    Place subject = 0;
    Place lastUpdated = 0;  ///< of meta, when meta is an object in which no name stands twice
    Place reference = 0;    ///< of the subject, the same way, when it is a string

    /// Of an Observation, whether all that is read of it and of its components is as it ought to be. Where it is not,
    /// readObservation tells what is wrong.
    bool isPlain = false;
    bool hasFurtherResult = false;  ///< something of a result beside code and value
    bool hasMethod = false;         ///< something that tells how it was measured, or says something of it in words
    Place status = 0;
    Place code = 0;
    Place component = 0;
    Place effectiveDateTime = 0;
    Place issued = 0;
    Place value = 0;  ///< value[x]

    bool operator==(const Form&) const = default;

    /// The form of a resource in which no name stands twice.
    static Form of(json::Value resource);

    /// The number of a form, by which it is found again for ever; 0 when there are too many.
    static std::uint32_t keep(const Form& form);
    static const Form& kept(std::uint32_t number);

    /// The form that is known of a resource; nothing when none is.
    static const Form* known(json::Value resource) {
        const std::uint32_t number = resource.isObject() ? resource.node()->size : 0;
        return number == 0 ? nullptr : &kept(number);
    }
};

/// The value at a place of a resource; nothing for 0.
inline json::Value valueAt(json::Value resource, Form::Place place) {
    return place == 0 ? json::Value() : json::Value(resource.node() + place);
}

/// Whether something is a value[x], by the id of its name.
bool isValueName(json::NameId name);

}  // namespace fhir
