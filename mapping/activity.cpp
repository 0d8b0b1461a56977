#include "mapping/activity.h"

#include <algorithm>
#include <array>
#include <optional>

namespace mapping {

namespace {

/// How an activity stands, by its status and, of a request, its intent.
enum class Course {
    none,      ///< it did not take place
    underway,  ///< it goes on
    finished,  ///< it took place
    planned,   ///< it is to take place
    unstated,  ///< it took place or not: the status does not tell
};

struct StatusRow {
    std::string_view resourceType;
    std::string_view status;
    Course course;
};

/// Source: FHIR R4 value sets event-status, medication-admin-status, medication-statement-status,
/// medicationrequest-status, medicationdispense-status, immunization-status.
constexpr std::array<StatusRow, 46> statuses{{
    {"Procedure", "preparation", Course::none},
    {"Procedure", "in-progress", Course::underway},
    {"Procedure", "not-done", Course::none},
    {"Procedure", "on-hold", Course::underway},
    {"Procedure", "stopped", Course::finished},
    {"Procedure", "completed", Course::finished},
    {"Immunization", "completed", Course::finished},
    {"Immunization", "not-done", Course::none},
    {"MedicationAdministration", "in-progress", Course::underway},
    {"MedicationAdministration", "not-done", Course::none},
    {"MedicationAdministration", "on-hold", Course::underway},
    {"MedicationAdministration", "completed", Course::finished},
    {"MedicationAdministration", "stopped", Course::finished},
    {"MedicationStatement", "active", Course::underway},
    {"MedicationStatement", "completed", Course::finished},
    {"MedicationStatement", "intended", Course::none},
    {"MedicationStatement", "stopped", Course::finished},
    {"MedicationStatement", "on-hold", Course::finished},
    {"MedicationStatement", "not-taken", Course::none},
    {"MedicationRequest", "active", Course::underway},
    {"MedicationRequest", "on-hold", Course::finished},
    {"MedicationRequest", "cancelled", Course::none},
    {"MedicationRequest", "completed", Course::finished},
    {"MedicationRequest", "stopped", Course::finished},
    {"MedicationRequest", "draft", Course::none},
    {"MedicationDispense", "preparation", Course::none},
    {"MedicationDispense", "in-progress", Course::none},
    {"MedicationDispense", "cancelled", Course::none},
    {"MedicationDispense", "on-hold", Course::none},
    {"MedicationDispense", "completed", Course::finished},
    {"MedicationDispense", "stopped", Course::finished},
    {"MedicationDispense", "declined", Course::none},
    {"ServiceRequest", "draft", Course::unstated},
    {"ServiceRequest", "active", Course::planned},
    {"ServiceRequest", "on-hold", Course::unstated},
    {"ServiceRequest", "revoked", Course::none},
    {"ServiceRequest", "completed", Course::none},
    {"CarePlan", "not-started", Course::planned},
    {"CarePlan", "scheduled", Course::planned},
    {"CarePlan", "in-progress", Course::planned},
    {"CarePlan", "on-hold", Course::unstated},
    {"CarePlan", "completed", Course::none},
    {"CarePlan", "cancelled", Course::none},
    {"CarePlan", "stopped", Course::none},
    {"CarePlan", "revoked", Course::none},
    {"", "entered-in-error", Course::none},
}};

bool isPlan(std::string_view resourceType) {
    return resourceType == "ServiceRequest" || resourceType == "CarePlan";
}

Course courseOf(const fhir::Activity& activity) {
    if (activity.doNotPerform) return Course::none;
    // A proposal or a plan is no order (FHIR R4, request-intent), and what is planned is planned by one.
    if (!isPlan(activity.resourceType) &&
        (activity.intent == "proposal" || activity.intent == "plan" || activity.intent == "option"))
        return Course::none;
    for (const StatusRow& row : statuses) {
        if (row.status != activity.status) continue;
        if (row.resourceType.empty() || row.resourceType == activity.resourceType) return row.course;
    }
    return Course::unstated;
}

bool isDrug(std::string_view resourceType) {
    return resourceType.starts_with("Medication");
}

class ActivityReader {
public:
    ActivityReader(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable)
        : chart_(chart), vocabulary_(vocabulary), facts_(facts), asOf_(facts.asOf), unrecognisable_(unrecognisable) {}

    void read() {
        std::size_t future = 0;
        for (const fhir::Activity& activity : chart_.activity) {
            const Course course = courseOf(activity);
            if (course == Course::none) continue;
            const auto& known = isPlan(activity.resourceType) ? activity.authored : activity.start;
            if (known && known->firstDay() > asOf_) {
                ++future;
                continue;
            }
            readOne(activity, course);
        }
        if (future > 0)
            facts_.issues.push_back(
                {"", std::to_string(future) + " procedure(s) or drug(s) dated after " + asOf_.text() + " not used"});
    }

private:
    void readOne(const fhir::Activity& activity, Course course) {
        matches_.clear();
        codings_.clear();
        systems_.clear();
        for (const fhir::Coding& coding : activity.code.coding) {
            const Meaning& meaning = vocabulary_.meaningOf(coding);
            if (!meaning.system || coding.code.empty()) continue;
            systems_.push_back(*meaning.system);
            matches_.insert(matches_.end(), meaning.matches.begin(), meaning.matches.end());
            codings_.resize(matches_.size(), &coding);
        }
        if (matches_.empty() && isDrug(activity.resourceType)) {
            vocabulary_.lookUpDrugWords(activity.code.text, matches_);
            for (const fhir::Coding& coding : activity.code.coding) {
                if (coding.display != activity.code.text) vocabulary_.lookUpDrugWords(coding.display, matches_);
            }
            codings_.resize(matches_.size(), nullptr);
        }
        if (isDrug(activity.resourceType) && matches_.empty() && wordless(activity.code)) {
            // We know a part of RxNorm: a code of it that we do not know may be anything, unless words say what it is.
            std::erase_if(systems_, [&](std::size_t system) { return vocabulary_.systemName(system) == "rxnorm"; });
        }
        // No fact asks for dispenses, but a drug that was handed out and that nobody can name may be any drug of a
        // fact.
        const std::string_view source =
            activity.resourceType == "MedicationDispense" ? "MedicationStatement" : activity.resourceType;
        unrecognisable_ |= vocabulary_.unrecognisable(source, systems_, matches_);
        for (std::size_t i = 0; i < matches_.size(); ++i) {
            const Match& match = matches_[i];
            if (match.role != Role::accept && match.role != Role::review) continue;
            if (vocabulary_.facts()[match.fact].planned != isPlan(activity.resourceType)) continue;
            // A drug that was given is no allergy to it: only facts that come from what was done or given are meant.
            const std::vector<std::string>& sources = vocabulary_.facts()[match.fact].sources;
            if (std::none_of(sources.begin(), sources.end(), fhir::isActivity)) continue;
            // Several codings of one resource count once; a look-alike outweighs them all, an accepted code a reviewed.
            bool outranked = false;
            for (std::size_t j = 0; j < matches_.size(); ++j) {
                if (j == i || matches_[j].fact != match.fact) continue;
                outranked = outranked || matches_[j].role == Role::reject ||
                            (matches_[j].role == Role::accept && match.role == Role::review) ||
                            (matches_[j].role == match.role && j < i);
            }
            if (outranked) continue;
            add(activity, course, match, codings_[i]);
        }
    }

    static bool wordless(const fhir::CodeableConcept& code) {
        return code.text.empty() && std::all_of(code.coding.begin(), code.coding.end(),
                                                [](const fhir::Coding& coding) { return coding.display.empty(); });
    }

    void add(const fhir::Activity& activity, Course course, const Match& match, const fhir::Coding* coding) {
        const FactDefinition& fact = vocabulary_.facts()[match.fact];
        Evidence evidence;
        evidence.fact = &fact;
        evidence.isRecord = true;
        evidence.resourceType = activity.resourceType;
        evidence.id = activity.id;
        evidence.resourceIndex = static_cast<std::size_t>(&activity - chart_.activity.data());
        evidence.display = coding == nullptr || coding->display.empty() ? activity.code.text : coding->display;
        if (coding != nullptr) {
            evidence.code = coding->code;
            if (const Ingredient* ingredient =
                    vocabulary_.ingredient(*vocabulary_.system(coding->system), coding->code)) {
                evidence.code = ingredient->code;
                evidence.halfLife = ingredient->halfLife;
                if (evidence.display.empty()) evidence.display = ingredient->display;
            }
        }
        evidence.positive = true;
        evidence.onsetDated = true;
        evidence.history = match.history;
        evidence.review = match.role == Role::review;
        const std::int64_t endOfDay = fhir::DateTime::ofDay(asOf_).last;
        const auto clipped = [&](std::optional<fhir::DateTime> date) {
            if (date) date->last = std::min(date->last, endOfDay);
            return date;
        };
        evidence.date = clipped(activity.start);
        evidence.issued = activity.authored;
        // What goes on and is dated by one moment was seen going on then; that is no end of it.
        const bool seenOnce = course == Course::underway && activity.moment;
        const bool ended = activity.end && activity.end->firstDay() <= asOf_ && !seenOnce;
        if (fact.planned) {
            evidence.state = State::active;
            evidence.date = activity.authored;
            if (activity.start && activity.start->lastDay() < asOf_) course = Course::unstated;
        } else if (fact.event) {
            // It happened, and nothing takes that back; what took several days is dated by the last of them.
            evidence.state = State::active;
            if (ended) evidence.date = clipped(activity.end);
        } else if (ended && !(course == Course::underway && activity.end->lastDay() > asOf_)) {
            evidence.state = State::stopped;
            evidence.end = clipped(activity.end);
        } else {
            // An end that lies ahead: it is given today, whatever the order's own status says.
            evidence.state = course == Course::underway || activity.end ? State::active : State::stopped;
        }
        if (evidence.review) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail =
                coding == nullptr ? "named in words, not by a code" : "a related code that does not decide";
        }
        if (course == Course::unstated) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = fact.planned ? "it is not certain that it is still planned"
                                           : "the status does not say whether it took place";
        }
        if (fact.route != RoutePolicy::any && isDrug(activity.resourceType)) {
            switch (vocabulary_.routeOf(activity.route, activity.code)) {
                case Route::local:
                    return;  // does not reach the whole body
                case Route::systemic:
                    break;
                case Route::unstated:
                    if (fact.route == RoutePolicy::notLocal) break;
                    evidence.basis = Basis::unconfirmed;
                    evidence.detail = "the route is not stated";
            }
        }
        facts_.own(match.fact).conditions.push_back(std::move(evidence));
    }

    const fhir::Chart& chart_;
    const Vocabulary& vocabulary_;
    Facts& facts_;
    fhir::Date asOf_;
    FactSet& unrecognisable_;
    std::vector<Match> matches_;
    std::vector<const fhir::Coding*> codings_;  ///< that each match comes from; nothing when it comes from words
    std::vector<std::size_t> systems_;
};

}  // namespace

void readActivities(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, FactSet& unrecognisable) {
    ActivityReader(chart, vocabulary, facts, unrecognisable).read();
}

}  // namespace mapping
