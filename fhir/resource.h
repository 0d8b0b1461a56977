#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "fhir/json.h"

/// The elements of FHIR R4 resources that we read, and no others. Texts are views into the document they came from.
namespace fhir {

/// Something in the input that could not be used. Names the place and the reason, never a person.
struct Issue {
    std::string path;  ///< "entry[12].resource.valueQuantity.unit"
    std::string message;
};

struct Coding {
    std::string_view system;
    std::string_view code;
    std::string_view display;
};

struct CodeableConcept {
    std::vector<Coding> coding;
    std::string_view text;

    bool empty() const { return coding.empty() && text.empty(); }
};

/// Quantity with its value as written; `value` is empty when there is none.
struct Quantity {
    std::string_view value;
    std::string_view comparator;
    std::string_view unit;
    std::string_view system;
    std::string_view code;
};

struct ReferenceRange {
    Quantity low;
    Quantity high;
    CodeableConcept type;
    std::vector<CodeableConcept> appliesTo;
    Quantity ageLow;
    Quantity ageHigh;
    std::string_view text;
};

/// Observation.value[x] in the forms we read.
struct ObservationValue {
    enum class Kind { none, quantity, codeableConcept, string, boolean, integer, range, unread };
    Kind kind = Kind::none;
    Quantity quantity;  ///< quantity; range: the low end; integer: its digits as value
    Quantity high;      ///< range: the high end
    CodeableConcept codeableConcept;
    std::string_view text;  ///< string
    bool boolean = false;
};

/// What an Observation and each of its components say.
struct ObservationResult {
    CodeableConcept code;
    ObservationValue value;
    bool dataAbsent = false;
    std::vector<CodeableConcept> interpretation;
    std::vector<ReferenceRange> referenceRange;
};

struct Observation {
    std::string_view id;
    std::string path;
    std::string_view status;
    ObservationResult result;
    std::vector<ObservationResult> component;
    std::optional<DateTime> effective;  ///< of a period, its end if it has one
    std::optional<DateTime> issued;
    CodeableConcept method;
    std::vector<std::string_view> texts;  ///< notes, specimen and body site in words
};

enum class ClinicalStatus { none, active, recurrence, relapse, inactive, remission, resolved, unread };
enum class VerificationStatus { none, confirmed, unconfirmed, refuted, enteredInError };

struct Condition {
    std::string_view id;
    std::string path;
    ClinicalStatus clinicalStatus = ClinicalStatus::none;
    VerificationStatus verificationStatus = VerificationStatus::none;  ///< provisional and differential: unconfirmed
    CodeableConcept code;       ///< with the codings of mCODE's histology-morphology-behavior extension
    std::vector<Coding> stage;  ///< the codings of stage.summary
    std::optional<DateTime> onset;
    bool abated = false;  ///< an abatement is recorded, dated or not
    std::optional<DateTime> abatement;
    std::optional<DateTime> recordedDate;
};

/// A resource that says that something was done, given, taken or ordered: Procedure, MedicationRequest,
/// MedicationStatement, MedicationAdministration, MedicationDispense, Immunization.
///
/// The resources differ in names and not in kind (FHIR R4, workflow patterns event and request), so one shape holds
/// them all; `resourceType` says which it was.
struct Activity {
    std::string_view resourceType;
    std::string_view id;
    std::string path;
    std::string_view status;
    std::string_view intent;    ///< of a request
    bool doNotPerform = false;  ///< the request asks that it is not done
    CodeableConcept code;       ///< of a drug: of the Medication and its ingredients
    bool unresolved = false;    ///< a Medication was referred to, and is not here
    std::vector<CodeableConcept> route;
    std::optional<DateTime> start;
    std::optional<DateTime> end;  ///< of a moment the same as its start
};

struct Patient {
    struct Identifier {
        std::string_view system;
        std::string_view value;
    };
    std::string_view id;
    std::string_view fullUrl;
    std::vector<Identifier> identifier;
    std::string_view gender;
    std::optional<DateTime> birthDate;
    bool deceased = false;
    std::optional<DateTime> deceasedDateTime;
};

Patient readPatient(json::Value resource, const std::string& path, std::vector<Issue>& issues);
Observation readObservation(json::Value resource, std::string path, std::vector<Issue>& issues);

/// Onset and abatement given as an age are dated from the birth date when there is one.
Condition readCondition(json::Value resource, std::string path, const Patient& patient, std::vector<Issue>& issues);

/// Finds the Medication that a reference names; nothing when it is not here.
using MedicationLookup = std::function<json::Value(std::string_view reference)>;
Activity readActivity(json::Value resource, std::string path, const MedicationLookup& medications,
                      std::vector<Issue>& issues);

/// Whether Activity holds resources of this type.
bool isActivity(std::string_view resourceType);

}  // namespace fhir
