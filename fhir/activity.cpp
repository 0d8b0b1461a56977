#include <algorithm>
#include <charconv>
#include <utility>

#include "fhir/reader.h"

namespace fhir {

namespace {

using json::Value;

/// The codings of a Medication and of its ingredients.
void addMedication(const Reader& reader, Value medication, CodeableConcept& code) {
    const auto add = [&](Value concept_, std::string_view element) {
        CodeableConcept read = reader.codeableConcept(concept_, element);
        std::move(read.coding.begin(), read.coding.end(), std::back_inserter(code.coding));
        if (code.text.empty()) code.text = read.text;
    };
    add(medication["code"], "code");
    for (const Value ingredient : medication["ingredient"].items())
        add(ingredient["itemCodeableConcept"], "ingredient.itemCodeableConcept");
}

void readMedication(const Reader& reader, Value resource, const Lookup& lookUp, Activity& activity) {
    if (const Value concept_ = resource["medicationCodeableConcept"]) {
        activity.code = reader.codeableConcept(concept_, "medicationCodeableConcept");
        return;
    }
    const Value reference = resource["medicationReference"];
    const std::string_view target = reader.text(reference, "reference");
    Value medication;
    if (target.starts_with('#')) {
        for (const Value contained : resource["contained"].items()) {
            if (contained["id"].text() == target.substr(1)) medication = contained;
        }
    } else if (!target.empty()) {
        medication = lookUp(target);
    }
    if (medication) {
        addMedication(reader, medication, activity.code);
    } else {
        activity.unresolved = true;
    }
    if (activity.code.text.empty()) activity.code.text = reader.text(reference, "display");
}

/// A moment or a period, under the names that the resource has for them.
void readTime(const Reader& reader, Value resource, json::Name moment, json::Name span, Activity& activity) {
    activity.start = reader.dateTime(resource, moment);
    if (activity.start) {
        activity.end = activity.start;
        activity.moment = true;
        return;
    }
    const Value period = resource[span];
    activity.start = reader.dateTime(period, "start");
    activity.end = reader.dateTime(period, "end");
}

/// When the doses of an order end, as far as it says so (Timing.repeat.boundsPeriod).
std::optional<DateTime> lastDose(const Reader& reader, Value resource) {
    std::optional<DateTime> last;
    for (const Value dosage : resource["dosageInstruction"].items()) {
        const auto end = reader.dateTime(dosage["timing"]["repeat"]["boundsPeriod"], "end");
        if (!end) return std::nullopt;
        if (!last || end->last > last->last) last = end;
    }
    return last;
}

/// The day on which a dispensed supply is used up: daysSupply counts the first day.
std::optional<DateTime> endOfSupply(const std::optional<DateTime>& start, const Quantity& days) {
    int number = 0;
    const char* const last = days.value.data() + days.value.size();
    const auto [end, error] = std::from_chars(days.value.data(), last, number);
    const bool isWhole = error == std::errc() && end == last && number > 0 && number < 10'000;
    if (!start || days.value.empty() || !isWhole) return std::nullopt;
    return DateTime::ofDays(start->firstDay() + (number - 1), start->lastDay() + (number - 1));
}

void addRoutes(const Reader& reader, Value dosage, Activity& activity) {
    if (!dosage) return;
    CodeableConcept route = reader.codeableConcept(dosage["route"], "route");
    if (route.text.empty()) route.text = reader.text(dosage, "text");
    if (!route.empty()) activity.route.push_back(std::move(route));
}

/// ServiceRequest.occurrence[x] and CarePlan.activity.detail.scheduled[x].
void readPlannedTime(const Reader& reader, Value resource, json::Name moment, json::Name span, json::Name repeated,
                     Activity& activity) {
    readTime(reader, resource, moment, span, activity);
    if (activity.start) return;
    const Value timing = resource[repeated];
    for (const Value event : timing["event"].items()) {
        if (!activity.start) activity.start = DateTime::parse(event.text());
    }
    if (!activity.start) activity.start = reader.dateTime(timing["repeat"]["boundsPeriod"], "start");
}

void readCarePlan(const Reader& reader, Value resource, std::vector<Activity>& activities) {
    const std::string_view planStatus = trimmed(reader.text(resource, "status"));
    std::size_t index = 0;
    for (const Value item : resource["activity"].items()) {
        const std::string path = reader.place.text() + ".activity[" + std::to_string(index++) + "].detail";
        const Value detail = item["detail"];
        if (!detail.isObject()) continue;  // a reference to a request, which is read where it stands
        Activity activity;
        activity.resourceType = "CarePlan";
        activity.id = reader.text(resource, "id");
        const Reader inDetail{{path}, *reader.issues};
        // A plan that is over or withdrawn plans nothing any more.
        const bool planned = planStatus == "active" || planStatus == "on-hold" || planStatus == "draft";
        activity.status = planned ? trimmed(inDetail.text(detail, "status")) : planStatus;
        activity.intent = trimmed(reader.text(resource, "intent"));
        activity.doNotPerform = detail["doNotPerform"].isTrue();
        activity.code = inDetail.codeableConcept(detail["code"], "code");
        activity.authored = reader.dateTime(resource, "created");
        readPlannedTime(inDetail, detail, "scheduledDateTime", "scheduledPeriod", "scheduledTiming", activity);
        activities.push_back(std::move(activity));
    }
}

}  // namespace

void readActivities(Value resource, const Place& place, const Lookup& lookUp, std::vector<Activity>& activities,
                    std::vector<Issue>& issues) {
    const std::string_view type = resource["resourceType"].text();
    if (type == "CarePlan") {
        readCarePlan(Reader(place, issues), resource, activities);
        return;
    }
    Activity activity;
    const Reader reader{place, issues};
    activity.resourceType = type;
    activity.id = reader.text(resource, "id");
    activity.status = trimmed(reader.text(resource, "status"));
    activity.intent = trimmed(reader.text(resource, "intent"));
    activity.doNotPerform = resource["doNotPerform"].isTrue();
    activity.authored = reader.dateTime(resource, "authoredOn");

    if (type.starts_with("Medication")) {
        readMedication(reader, resource, lookUp, activity);
        for (const json::Name element : {json::Name("dosageInstruction"), json::Name("dosage")}) {
            const Value dosage = resource[element];
            addRoutes(reader, dosage.isObject() ? dosage : Value(), activity);
            for (const Value item : dosage.items()) addRoutes(reader, item, activity);
        }
    }
    if (type == "Procedure") {
        activity.code = reader.codeableConcept(resource["code"], "code");
        // "Surgical procedure" is a category of FHIR's own (value set procedure-category).
        const CodeableConcept category = reader.codeableConcept(resource["category"], "category");
        activity.code.coding.insert(activity.code.coding.end(), category.coding.begin(), category.coding.end());
        readTime(reader, resource, "performedDateTime", "performedPeriod", activity);
    } else if (type == "Immunization") {
        activity.code = reader.codeableConcept(resource["vaccineCode"], "vaccineCode");
        readTime(reader, resource, "occurrenceDateTime", "occurrencePeriod", activity);
    } else if (type == "ServiceRequest") {
        activity.code = reader.codeableConcept(resource["code"], "code");
        for (const CodeableConcept& category : reader.codeableConcepts(resource["category"], "category"))
            activity.code.coding.insert(activity.code.coding.end(), category.coding.begin(), category.coding.end());
        readPlannedTime(reader, resource, "occurrenceDateTime", "occurrencePeriod", "occurrenceTiming", activity);
    } else if (type == "MedicationRequest") {
        activity.start = activity.authored;
        activity.end = lastDose(reader, resource);
    } else if (type == "MedicationDispense") {
        activity.start = reader.dateTime(resource, "whenHandedOver");
        if (!activity.start) activity.start = reader.dateTime(resource, "whenPrepared");
        activity.end = endOfSupply(activity.start, reader.quantity(resource["daysSupply"], "daysSupply"));
    } else {
        readTime(reader, resource, "effectiveDateTime", "effectivePeriod", activity);
    }
    activities.push_back(std::move(activity));
}

}  // namespace fhir
