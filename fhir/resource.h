#pragma once

#include <boost/container/small_vector.hpp>
#include <cstddef>
#include <cstdint>
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

/// Where a value stands in its sources, put into words only when somebody asks. What it lies in must outlive it.
struct Place {
    enum class Kind : std::uint8_t { whole, entry, item };
    std::string_view parent;
    std::uint32_t index = 0;  ///< of the entry of a Bundle, or the item of an array, that the parent is
    Kind kind = Kind::whole;

    std::string text() const;  ///< "entry[12].resource"
};

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

/// Most concepts have one coding or two.
using Codings = boost::container::small_vector<Coding, 2>;

struct CodeableConcept {
    Codings coding;
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

/// The elements of an array that are to be read as `Element`, each read when it is come to. What could not be read is
/// not reported again.
template <typename Element>
class Elements {
public:
    class Iterator {
    public:
        Iterator(const json::Node* node, const json::Node* last) : node_(node), last_(last) { skip(); }
        Element operator*() const;
        Iterator& operator++() {
            node_ += node_->span;
            skip();
            return *this;
        }
        bool operator==(const Iterator& other) const { return node_ == other.node_; }

    private:
        void skip() {
            while (node_ != last_ && !isOne(json::Value(node_))) node_ += node_->span;
        }
        const json::Node* node_;
        const json::Node* last_;
    };

    Elements() = default;
    explicit Elements(json::Value array);

    Iterator begin() const { return {first_, last_}; }
    Iterator end() const { return {last_, last_}; }
    bool empty() const { return begin() == end(); }
    std::size_t size() const {
        std::size_t count = 0;
        for (Iterator at = begin(); !(at == end()); ++at) ++count;
        return count;
    }
    Element front() const { return *begin(); }
    Element operator[](std::size_t index) const {
        Iterator at = begin();
        for (; index > 0; --index) ++at;
        return *at;
    }

private:
    /// Whether an item of the array counts.
    static bool isOne(json::Value item);

    const json::Node* first_ = nullptr;
    const json::Node* last_ = nullptr;
};

template <>
Elements<CodeableConcept>::Elements(json::Value array);
template <>
bool Elements<CodeableConcept>::isOne(json::Value item);
template <>
CodeableConcept Elements<CodeableConcept>::Iterator::operator*() const;
template <>
Elements<ReferenceRange>::Elements(json::Value array);
template <>
bool Elements<ReferenceRange>::isOne(json::Value item);
template <>
ReferenceRange Elements<ReferenceRange>::Iterator::operator*() const;

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
    Elements<CodeableConcept> interpretation;
    Elements<ReferenceRange> referenceRange;
};

struct Observation {
    std::string_view id;
    std::string_view status;
    ObservationResult result;
    std::vector<ObservationResult> component;
    std::optional<DateTime> effective;  ///< of a period, its end if it has one
    std::optional<DateTime> issued;
    CodeableConcept method;
    std::vector<std::string_view> texts;  ///< notes, specimen and body site in words
};

/// The system and code of a CodeableConcept that has one coding; nothing when it has none, several, or one without a
/// code.
std::optional<Coding> onlyCoding(json::Value concept_);

/// The valueQuantity of an Observation or of one of its components; what could not be read of it is not reported.
Quantity valueQuantity(json::Value result);

/// What everybody wants to know of an Observation. The rest is read when its code means something.
struct ObservationOutline {
    std::string_view id;
    Place place;
    std::string_view status;
    json::Value codeValue;  ///< a CodeableConcept, or a bare code, as before R4
    std::optional<DateTime> effective;
    std::optional<DateTime> issued;
    bool hasComponents = false;
    bool isPlain = false;  ///< there was nothing to report of all of it
    /// Of a plain one, whether there is anything beside its value that belongs to its result, or to how it was
    /// measured.
    bool hasFurtherResult = false;
    bool hasMethod = false;
    json::Value value;  ///< of a plain one, its value[x]
    json::Value resource;

    CodeableConcept code() const;

    /// All of it. What could not be read was reported with the outline.
    Observation whole() const;

    /// Its valueQuantity alone.
    Quantity quantity() const;
};

enum class ClinicalStatus { none, active, recurrence, relapse, inactive, remission, resolved, unread };
enum class VerificationStatus { none, confirmed, unconfirmed, refuted, enteredInError };

struct Condition {
    std::string_view id;
    ClinicalStatus clinicalStatus = ClinicalStatus::none;
    VerificationStatus verificationStatus = VerificationStatus::none;  ///< provisional and differential: unconfirmed
    CodeableConcept code;  ///< with the codings of mCODE's histology-morphology-behavior extension
    Codings stage;         ///< the codings of stage.summary
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

Patient readPatient(json::Value resource, const Place& place, std::vector<Issue>& issues);
Observation readObservation(json::Value resource, const Place& place, std::vector<Issue>& issues);

/// Reads the outline of an Observation, and reports what could not be read of all of it, as readObservation does.
void readObservationOutline(json::Value resource, const Place& place, std::vector<Issue>& issues,
                            ObservationOutline& outline);

/// Onset and abatement given as an age are dated from the birth date when there is one.
Condition readCondition(json::Value resource, const Place& place, const Patient& patient, std::vector<Issue>& issues);

/// Finds the resource that a reference names; nothing when it is not here.
using Lookup = std::function<json::Value(std::string_view reference)>;

/// Reads an activity, or all of a CarePlan.
void readActivities(json::Value resource, const Place& place, const Lookup& lookUp, std::vector<Activity>& activities,
                    std::vector<Issue>& issues);

AllergyIntolerance readAllergyIntolerance(json::Value resource, const Place& place, const Patient& patient,
                                          std::vector<Issue>& issues);
DiagnosticReport readDiagnosticReport(json::Value resource, const Place& place, std::vector<Issue>& issues);
ResearchSubject readResearchSubject(json::Value resource, const Place& place, const Lookup& lookUp,
                                    std::vector<Issue>& issues);
Consent readConsent(json::Value resource, const Place& place, const Lookup& lookUp, std::vector<Issue>& issues);

}  // namespace fhir
