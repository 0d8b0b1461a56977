#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fhir/json.h"
#include "fhir/questionnaire.h"
#include "fhir/resource.h"

namespace fhir {

/// How much of one resource type was read for this patient.
enum class Covered {
    undeclared,  ///< nobody said; resources that are there count, their absence says nothing
    notRead,     ///< asked for and not had, or not sent
    partly,      ///< some of it was withheld or has further pages
    completely,
};

/// Per resource type, how much of it was read. It comes from the caller, a prefetch key or a search outcome, never from
/// the mere presence of a resource.
class Coverage {
public:
    Covered of(std::string_view resourceType) const;
    /// The same for one part of a type, such as the codes that one query asked for; the whole type's where nothing was
    /// said of the part.
    Covered of(std::string_view resourceType, std::string_view part) const;
    /// What is the same for every type; nothing when types differ.
    std::optional<Covered> ofAll() const;
    void set(std::string_view resourceType, Covered covered);
    void set(std::string_view resourceType, std::string_view part, Covered covered);
    /// Every type, named or not: "all" on the command line, or a page that was cut.
    void setAll(Covered covered);
    /// No type can be better covered than partly: something was withheld.
    void limitToPartly();
    /// The same for one type, or a part of it: one of its resources was left out.
    void limitToPartly(std::string_view resourceType);

private:
    std::vector<std::pair<std::string, Covered>> types_;
    Covered others_ = Covered::undeclared;
    bool limited_ = false;
    std::vector<std::string> limitedTypes_;
};

/// What one patient's FHIR resources say, as far as we read them.
struct Chart {
    Patient patient;
    std::vector<ObservationOutline> observation;
    std::vector<Condition> condition;
    std::vector<Activity> activity;
    std::vector<AllergyIntolerance> allergyIntolerance;
    std::vector<DiagnosticReport> diagnosticReport;
    std::vector<ResearchSubject> researchSubject;
    std::vector<Consent> consent;
    std::vector<QuestionnaireResponse> questionnaireResponse;
    Coverage coverage;
    std::vector<Issue> issues;
    std::size_t leftOut = 0;  ///< resources that are malformed
    bool incomplete = false;  ///< some Bundle has further pages, or says that something was left out
    std::shared_ptr<const json::Document> document;            ///< owns every text above
    std::vector<std::shared_ptr<const json::Document>> pages;  ///< so do these, where sources were fetched
    std::shared_ptr<const std::deque<std::string>> places;     ///< what the places above lie in
};

/// A value to read resources from, and its place in the document: "" for a Bundle that is the document.
struct Source {
    json::Value value;
    std::string path;
    bool isPage = false;  ///< a page whose further ones are among the sources: it alone holds less than there is
};

/// Reads the chart of the one patient that the sources speak of: Bundles of any type (FHIR R4, Bundle), nested ones
/// too, arrays of resources, and single resources.
///
/// Resources of another patient are left out and counted as an issue; a malformed resource is left out and is one, and
/// its type, or every type when it names none, is then partly covered at best. The same version of a resource counts
/// once. Otherwise the coverage is taken as it is given, also for an incomplete chart. Errors: Error when there is no
/// Patient, or two different ones.
///
/// With `patientId` the chart is that patient's: others are left out like their resources, and of several versions that
/// nothing tells apart the first counts.
Chart readChart(std::shared_ptr<const json::Document> document, const std::vector<Source>& sources, Coverage coverage,
                std::string_view patientId = {});

/// Cuts a list of issues to a length that a person reads, and says how many more there were, also those that were cut
/// before.
void limitIssues(std::vector<Issue>& issues, std::size_t more = 0);

/// How many there are, with those that were cut.
std::size_t countIssues(const std::vector<Issue>& issues);

/// Whom a resource is about, a Reference: its subject, or patient or individual as some types call it; nothing when it
/// does not say.
json::Value subjectOf(json::Value resource);

/// What a resource refers to of the referencedTypes, as "Medication/1": references by themselves, or below `base` where
/// one is given.
std::vector<std::string> referencesOf(json::Value resource, std::string_view base);

/// The link of a Bundle to its next page (FHIR R4, Bundle.link); nothing when it is the last.
json::Value nextLink(json::Value bundle);

/// Whether a Bundle says that something was left out: by an OperationOutcome (as opposed to "nothing was found"), or
/// by a total above what it holds.
///
/// A page of several may hold less than the total.
bool withholds(json::Value bundle, bool isPage = false);

/// Reads the chart of one stored Bundle or bare array of resources; an incomplete one covers no type completely.
/// Errors: as above, and Error for any other JSON.
Chart readBundle(std::shared_ptr<const json::Document> document, Coverage coverage);

}  // namespace fhir
