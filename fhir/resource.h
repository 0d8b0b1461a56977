#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "fhir/json.h"
#include "fhir/resource_type.h"

/// The elements of FHIR R4 resources that we read, and no others. Texts are views into the document they came from.
namespace fhir {

/// Whether a text can be the logical id of a resource and part of an address. Source: FHIR R4, id; some vendors have
/// longer ones, and names with "_".
bool isId(std::string_view text);

/// Something in the input that could not be used. Names the place and the reason, never a person.
struct Issue {
    std::string path;  ///< "entry[12].resource.valueQuantity.unit"
    std::string message;
    std::size_t more = 0;  ///< how many others this one stands for, which were too many to keep
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

/// A resource that says that something was done, given, taken, ordered or planned: Procedure, MedicationRequest,
/// MedicationStatement, MedicationAdministration, MedicationDispense, Immunization, ServiceRequest, and each activity
/// of a CarePlan.
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
    std::optional<DateTime> authored;  ///< of a request
    std::optional<DateTime> start;
    std::optional<DateTime> end;  ///< of a moment the same as its start
    bool moment = false;          ///< dated by one moment, not by a period
};

struct AllergyIntolerance {
    struct Reaction {
        CodeableConcept substance;
        std::vector<CodeableConcept> manifestation;
        std::string_view severity;
    };
    std::string_view id;
    std::string path;
    std::string_view clinicalStatus;
    std::string_view verificationStatus;
    std::string_view type;  ///< allergy or intolerance
    std::vector<std::string_view> category;
    CodeableConcept code;
    std::vector<Reaction> reaction;
    std::optional<DateTime> date;  ///< onset, else recorded
    bool onsetDated = false;
};

/// A DiagnosticReport's conclusion. Its results are Observations and read as such, contained ones too.
struct DiagnosticReport {
    std::string_view id;
    std::string path;
    std::string_view status;
    std::vector<CodeableConcept> conclusionCode;
    std::optional<DateTime> effective;
};

/// That the patient takes part in a study, did, or was asked.
struct ResearchSubject {
    std::string_view id;
    std::string_view status;
    std::vector<std::string_view> study;    ///< what the study is called: its identifiers, the reference and its words
    std::vector<std::string_view> systems;  ///< of its own identifiers
};

/// What a Consent says about research.
struct Consent {
    std::string_view id;
    bool research = false;  ///< its scope or category is research
    bool refuses = false;   ///< in force, and it denies
    bool permits = false;   ///< in force, and it permits in so many words
    std::optional<DateTime> date;
    std::optional<DateTime> end;
    std::vector<std::string_view> study;  ///< the studies that it speaks of; of every one when empty
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

/// Finds the resource that a reference names; nothing when it is not here.
using Lookup = std::function<json::Value(std::string_view reference)>;

/// Reads an activity, or all of a CarePlan.
void readActivities(json::Value resource, const std::string& path, const Lookup& lookUp,
                    std::vector<Activity>& activities, std::vector<Issue>& issues);

AllergyIntolerance readAllergyIntolerance(json::Value resource, std::string path, const Patient& patient,
                                          std::vector<Issue>& issues);
DiagnosticReport readDiagnosticReport(json::Value resource, std::string path, std::vector<Issue>& issues);
ResearchSubject readResearchSubject(json::Value resource, const std::string& path, const Lookup& lookUp,
                                    std::vector<Issue>& issues);
Consent readConsent(json::Value resource, const std::string& path, const Lookup& lookUp, std::vector<Issue>& issues);

}  // namespace fhir
