#include "fhir/bundle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <deque>
#include <map>
#include <optional>
#include <random>

#include "fhir/error.h"
#include "fhir/form.h"
#include "fhir/hash.h"

namespace fhir {

Covered Coverage::of(std::string_view resourceType) const {
    const auto found =
        std::find_if(types_.begin(), types_.end(), [&](const auto& type) { return type.first == resourceType; });
    const Covered covered = found == types_.end() ? others_ : found->second;
    if (covered != Covered::completely) return covered;
    if (limited_) return Covered::partly;
    if (limitedTypes_.empty()) return covered;
    const std::string_view whole = resourceType.substr(0, resourceType.find('.'));
    const bool isLimited = std::find(limitedTypes_.begin(), limitedTypes_.end(), whole) != limitedTypes_.end();
    return isLimited ? Covered::partly : covered;
}

Covered Coverage::of(std::string_view resourceType, std::string_view part) const {
    if (types_.empty()) return of(resourceType);
    const auto isPart = [&](std::string_view name) {
        return name.size() == resourceType.size() + 1 + part.size() && name.starts_with(resourceType) &&
               name[resourceType.size()] == '.' && name.ends_with(part);
    };
    const auto found = std::find_if(types_.begin(), types_.end(), [&](const auto& type) { return isPart(type.first); });
    return of(found == types_.end() ? resourceType : std::string_view(found->first));
}

std::optional<Covered> Coverage::ofAll() const {
    const bool isOne = types_.empty() && (limitedTypes_.empty() || others_ != Covered::completely);
    return isOne ? std::optional(of(std::string_view())) : std::nullopt;
}

void Coverage::set(std::string_view resourceType, std::string_view part, Covered covered) {
    set(std::string(resourceType) + '.' + std::string(part), covered);
}

void Coverage::set(std::string_view resourceType, Covered covered) {
    for (auto& type : types_) {
        if (type.first == resourceType) {
            type.second = covered;
            return;
        }
    }
    types_.emplace_back(resourceType, covered);
}

void Coverage::setAll(Covered covered) {
    types_.clear();
    others_ = covered;
}

void Coverage::limitToPartly() {
    limited_ = true;
}

void Coverage::limitToPartly(std::string_view resourceType) {
    if (std::find(limitedTypes_.begin(), limitedTypes_.end(), resourceType) == limitedTypes_.end())
        limitedTypes_.emplace_back(resourceType);
}

namespace {

using json::Value;

constexpr std::size_t mostIssues = 200;

/// What is looked at of every resource, found in one walk over its members.
struct Envelope {
    bool isPlain = false;
    Value resourceType;
    Value id;
    Value subject;
    std::string_view reference;  ///< of the subject, when it is one in good order

    /// Of a resource in which a name stands twice nothing but its type. Errors: as Value::operator[] of that.
    explicit Envelope(Value resource) {
        const json::Node* const first = resource.node();
        isPlain = resource.isObject() && !first->repeats;
        if (!isPlain) {
            resourceType = resource["resourceType"];
            return;
        }
        if (const Form* const form = Form::known(resource)) {
            find(resource, *form);
        } else {
            find(resource, Form::of(resource));
        }
    }

    /// Errors: as Value::operator[].
    std::string_view lastUpdated() const {
        return lastUpdated_ || !meta_ ? lastUpdated_.text() : meta_["lastUpdated"].text();
    }

private:
    void find(Value resource, const Form& form) {
        resourceType = valueAt(resource, form.resourceType);
        id = valueAt(resource, form.id);
        meta_ = valueAt(resource, form.meta);
        lastUpdated_ = valueAt(resource, form.lastUpdated);
        subject = valueAt(resource, form.subject);
        reference = valueAt(resource, form.reference).text();
    }

    Value meta_;
    Value lastUpdated_;
};

/// What is looked at of an entry of a Bundle, the same way.
struct Entry {
    bool isPlain = false;
    Value resource;
    Value fullUrl;

    /// Of an entry in which a name stands twice nothing.
    explicit Entry(Value entry) {
        const json::Node* const first = entry.node();
        isPlain = !entry.isObject() || !first->repeats;
        if (!entry.isObject() || !isPlain) return;
        const json::Node* const end = first + first->span;
        for (const json::Node* node = first + 1; node != end; node += node->span) {
            if (node->name == json::Name("resource").id()) resource = Value(node);
            if (node->name == json::Name("fullUrl").id()) fullUrl = Value(node);
        }
    }
};

struct Found {
    Value resource;
    TypeId typeId = 0;
    std::string_view type;
    Place place;
    std::string_view fullUrl;
    std::string_view id;
    std::string_view lastUpdated;
    Value subject;               ///< nothing where it is to be looked for
    std::string_view reference;  ///< of the subject; empty where it is to be looked for
};

/// Everything that readChart collects before it knows whose chart it is.
struct Collection {
    std::vector<Found> patients;
    std::vector<Found> others;                          ///< everything that is about a patient
    std::vector<Found> referenced;                      ///< what others refer to: Medications and ResearchStudies
    std::shared_ptr<std::deque<std::string>> parents =  ///< what the places of those lie in
        std::make_shared<std::deque<std::string>>();
    std::vector<Issue> issues;
    std::size_t moreIssues = 0;
    bool withheld = false;
    std::vector<std::string_view> leftOut;  ///< the types of malformed resources; "" when one names none

    std::string_view keep(std::string path) { return parents->emplace_back(std::move(path)); }

    void leaveOut(std::string_view type, std::string path, std::string message) {
        leftOut.push_back(type);
        report(std::move(path), std::move(message));
    }

    void report(std::string path, std::string message) {
        if (issues.size() < mostIssues) {
            issues.push_back({std::move(path), std::move(message)});
        } else {
            ++moreIssues;
        }
    }
};

/// An OperationOutcome among results that says that something is missing, as opposed to "nothing was found".
///
/// Source: FHIR R4 value set issue-type; Epic reports withheld results as a warning of code suppressed.
bool saysWithheld(Value operationOutcome) {
    static constexpr std::array codes{"suppressed", "forbidden", "security",   "login",      "expired",
                                      "incomplete", "throttled", "timeout",    "too-costly", "transient",
                                      "exception",  "no-store",  "lock-error", "too-long"};
    for (const Value issue : operationOutcome["issue"].items()) {
        const std::string_view severity = issue["severity"].text();
        const std::string_view code = issue["code"].text();
        if (severity == "error" || severity == "fatal") return true;
        if (std::find(codes.begin(), codes.end(), code) != codes.end()) return true;
    }
    return false;
}

/// A page that was cut: the server counted more matches than it sent (FHIR R4, Bundle.total).
bool holdsLessThanTotal(Value bundle) {
    std::size_t total = 0;
    const std::string_view text = bundle["total"].text();
    if (bundle["type"].text() != "searchset" ||
        std::from_chars(text.data(), text.data() + text.size(), total).ec != std::errc() || text.empty())
        return false;
    std::size_t matches = 0;
    for (const Value entry : bundle["entry"].items()) {
        const std::string_view mode = entry["search"]["mode"].text();
        matches += entry["resource"] && (mode.empty() || mode == "match");
    }
    return matches < total;
}

/// The type of a resource that could not be read; "" when it contradicts itself there, too.
std::string_view typeOf(Value resource) {
    try {
        return resource["resourceType"].text();
    } catch (const Error&) {
        return {};
    }
}

void collect(Value value, const Place& place, std::string_view fullUrl, Collection& collection);

void collectBundle(Value bundle, std::string path, bool isPage, Collection& collection) {
    if (!isPage && (nextLink(bundle) || holdsLessThanTotal(bundle))) collection.withheld = true;
    Place place{collection.keep(std::move(path)), 0, Place::Kind::entry};
    for (const Value item : bundle["entry"].items()) {
        Value resource;
        try {
            const Entry entry(item);
            resource = entry.isPlain ? entry.resource : item["resource"];
            const Value fullUrl = entry.isPlain || !resource ? entry.fullUrl : item["fullUrl"];
            if (resource) collect(resource, place, fullUrl.text(), collection);
        } catch (const Error& error) {
            collection.leaveOut(typeOf(resource), place.text() + '.' + error.path(),
                                "resource left out: " + std::string(error.what()));
        }
        ++place.index;
    }
}

void collect(Value value, const Place& place, std::string_view fullUrl, Collection& collection) {
    if (value.isArray()) {
        Place itemPlace{collection.keep(place.text()), 0, Place::Kind::item};
        for (const Value item : value.items()) {
            try {
                if (item) collect(item, itemPlace, {}, collection);
            } catch (const Error& error) {
                collection.leaveOut(typeOf(item), itemPlace.text(), "resource left out: " + std::string(error.what()));
            }
            ++itemPlace.index;
        }
        return;
    }
    const Envelope envelope(value);
    const std::string_view type = envelope.resourceType.text();
    const TypeId id = typeId(type);
    const auto take = [&](std::vector<Found>& found) {
        // Looked at now, so that a resource that contradicts itself here is left out.
        const Value idOf = envelope.isPlain ? envelope.id : value["id"];
        const std::string_view lastUpdated =
            envelope.isPlain ? envelope.lastUpdated() : value["meta"]["lastUpdated"].text();
        found.push_back(
            {value, id, type, place, fullUrl, idOf.text(), lastUpdated, envelope.subject, envelope.reference});
    };
    switch (typeUses[id]) {
        case TypeUse::record:
        case TypeUse::activity:
            take(collection.others);
            break;
        case TypeUse::patient:
            take(collection.patients);
            break;
        case TypeUse::referenced:
            take(collection.referenced);
            break;
        case TypeUse::bundle:
            collectBundle(value, place.text(), false, collection);
            break;
        case TypeUse::outcome:
            if (saysWithheld(value)) collection.withheld = true;
            break;
        case TypeUse::none:
            if (type.empty())
                collection.leaveOut("", place.text(), value.isObject() ? "has no resourceType" : "is not a resource");
            break;
    }
}

/// The logical id at the end of a reference, without version: "https://x/Patient/1/_history/2" is "1".
std::string_view lastSegment(std::string_view reference) {
    if (const auto history = reference.find("/_history/"); history != std::string_view::npos)
        reference = reference.substr(0, history);
    if (const auto slash = reference.rfind('/'); slash != std::string_view::npos) reference.remove_prefix(slash + 1);
    for (const std::string_view prefix : {"urn:uuid:", "urn:oid:"}) {
        if (reference.starts_with(prefix)) reference.remove_prefix(prefix.size());
    }
    return reference;
}

bool hasIdentifier(const Patient& patient, std::string_view system, std::string_view value) {
    return !value.empty() && std::any_of(patient.identifier.begin(), patient.identifier.end(), [&](const auto& own) {
        return own.value == value && (system.empty() || own.system == system);
    });
}

bool isReferenceTo(const Patient& patient, std::string_view reference) {
    if (!patient.fullUrl.empty() && reference == patient.fullUrl) return true;
    const auto isAbsolute = [](std::string_view url) {
        return url.starts_with("http://") || url.starts_with("https://");
    };
    if (isAbsolute(reference) && isAbsolute(patient.fullUrl)) {
        // The same id on another server is another patient.
        return reference.substr(0, reference.find("/_history/")) ==
               patient.fullUrl.substr(0, patient.fullUrl.find("/_history/"));
    }
    if (const auto query = reference.find("?identifier="); query != std::string_view::npos) {
        const std::string_view token = reference.substr(query + 12);
        const auto bar = token.find('|');
        return bar == std::string_view::npos ? hasIdentifier(patient, {}, token)
                                             : hasIdentifier(patient, token.substr(0, bar), token.substr(bar + 1));
    }
    // "Group/1" is not Patient/1; a reference without a type is taken for a Patient's.
    if (const auto slash = reference.find('/'); slash != std::string_view::npos) {
        const std::string_view path = reference.substr(0, reference.find("/_history/"));
        const std::string_view before = path.substr(0, path.rfind('/'));
        if (lastSegment(before) != "Patient") return false;
    }
    const std::string_view id = lastSegment(reference);
    if (id.empty()) return false;
    return id == patient.id || id == lastSegment(patient.fullUrl);
}

/// Whether Observation.subject or Condition.subject is this patient. No subject at all is: FHIR lets an Observation
/// leave it out, and the sources are one patient's. Errors: Error when it is no Reference.
///
/// `known` is a reference that was found to be his, and becomes the last one.
bool isAbout(const Found& found, const Patient& patient, std::string_view& known) {
    if (const Value focus = found.resource["focus"]; focus.items().begin() != focus.items().end()) return false;
    if (!found.reference.empty() && found.reference == known) return true;
    const Value subject = found.subject ? found.subject : subjectOf(found.resource);
    if (!subject) return true;
    if (!subject.isObject()) throw Error("subject", "is not a Reference");
    const Value written = subject["reference"];
    if (written && !written.isString()) throw Error("subject.reference", "is not a string");
    const std::string_view reference = written.text();
    if (reference.empty()) {
        const Value identifier = subject["identifier"];
        if (!identifier) return true;  // a display alone names nobody else
        if (!identifier.isObject()) throw Error("subject.identifier", "is not an Identifier");
        return hasIdentifier(patient, identifier["system"].text(), identifier["value"].text());
    }
    if (reference == known) return true;
    if (!isReferenceTo(patient, reference)) return false;
    known = reference;
    return true;
}

/// The Medications and ResearchStudies of the sources by what a reference may call them: "https://x/Medication/1",
/// "Medication/1".
class References {
public:
    explicit References(const std::vector<Found>& found) {
        for (const Found& other : found) {
            if (!other.fullUrl.empty()) byName_.emplace(withoutVersion(other.fullUrl), other.resource);
            if (other.id.empty()) continue;
            byName_.emplace(std::string(other.type) + '/' + std::string(other.id), other.resource);
        }
    }

    Value find(std::string_view reference) const {
        const std::string_view name = withoutVersion(reference);
        if (const auto found = byName_.find(name); found != byName_.end()) return found->second;
        // The last two segments of an absolute reference: the type and the id.
        const auto id = name.rfind('/');
        if (id == std::string_view::npos || id == 0) return {};
        const auto type = name.rfind('/', id - 1);
        if (type == std::string_view::npos) return {};
        const auto found = byName_.find(name.substr(type + 1));
        return found == byName_.end() ? Value() : found->second;
    }

private:
    static std::string_view withoutVersion(std::string_view reference) {
        return reference.substr(0, reference.find("/_history/"));
    }

    std::map<std::string, Value, std::less<>> byName_;
};

/// The version of a resource to keep when a Bundle holds several: the newest by meta.lastUpdated.
bool isNewer(const Found& left, const Found& right) {
    const auto a = DateTime::parse(left.lastUpdated);
    const auto b = DateTime::parse(right.lastUpdated);
    return a && b && a->first > b->last;
}

/// What tells a resource from others: its fullUrl, or its type and id. Cut where these two may be the same.
struct Identity {
    std::string_view before;  ///< "https://x/Observation", or "Observation"
    std::string_view last;    ///< "1"

    explicit Identity(const Found& found) {
        if (found.fullUrl.empty()) {
            before = found.type;
            last = found.id;
        } else if (const auto slash = found.fullUrl.rfind('/'); slash != std::string_view::npos) {
            before = found.fullUrl.substr(0, slash);
            last = found.fullUrl.substr(slash + 1);
        } else {
            last = found.fullUrl;
        }
    }
    bool operator==(const Identity&) const = default;
    std::size_t hash() const {
        // Ids come from charts: nobody is to choose them so that they all fall into one place.
        static const std::uint64_t seed = std::random_device()();
        return hashOf(last, hashOf(before, seed));
    }
};

/// The same resource counts once; of several versions the newest does. Versions that nothing tells apart all stay: if
/// they say different things, that is a conflict to be shown.
void removeDuplicates(std::vector<Found>& resources, std::vector<Issue>& issues) {
    constexpr std::size_t mostVersions = 32;
    constexpr std::uint32_t none = ~std::uint32_t{0};
    if (resources.size() < 2) return;
    std::size_t tooMany = 0;
    // A table of the first resource of each identity, and from each the way to its next version.
    std::vector<std::uint32_t> firsts(std::bit_ceil(resources.size() * 2), none);
    std::vector<std::uint32_t> next(resources.size(), none);
    std::vector<bool> drop(resources.size(), false);
    bool anyDropped = false;
    for (std::size_t i = 0; i < resources.size(); ++i) {
        const Found& found = resources[i];
        if (found.fullUrl.empty() && found.id.empty()) continue;
        const Identity identity(found);
        std::size_t slot = identity.hash() & (firsts.size() - 1);
        while (firsts[slot] != none && !(Identity(resources[firsts[slot]]) == identity))
            slot = (slot + 1) & (firsts.size() - 1);
        std::uint32_t* end = &firsts[slot];
        std::size_t versions = 0;
        for (; *end != none; end = &next[*end]) ++versions;
        if (versions >= mostVersions) {
            drop[i] = anyDropped = true;
            ++tooMany;
            continue;
        }
        for (std::uint32_t other = firsts[slot]; other != none; other = next[other]) {
            if (drop[other] || drop[i]) continue;
            if (sameJson(found.resource, resources[other].resource) || isNewer(resources[other], found)) {
                drop[i] = anyDropped = true;
            } else if (isNewer(found, resources[other])) {
                drop[other] = anyDropped = true;
            }
        }
        *end = static_cast<std::uint32_t>(i);
    }
    if (tooMany > 0)
        issues.push_back({"", std::to_string(tooMany) + " further versions of the same resource left out"});
    if (!anyDropped) return;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < resources.size(); ++i) {
        if (drop[i]) continue;
        if (kept != i) resources[kept] = resources[i];
        ++kept;
    }
    resources.erase(resources.begin() + static_cast<std::ptrdiff_t>(kept), resources.end());
}

/// Reads an Observation where it stays. Errors: Error, with the chart as it was.
void addObservation(Value resource, const Place& place, Chart& chart) {
    ObservationOutline& outline = chart.observation.emplace_back();
    try {
        readObservationOutline(resource, place, chart.issues, outline);
    } catch (const Error&) {
        chart.observation.pop_back();
        throw;
    }
}

void read(const Found& found, const Lookup& lookUp, Collection& collection, Chart& chart) {
    const Value resource = found.resource;
    const Place& place = found.place;
    switch (found.typeId) {
        case typeId("Observation"):
            addObservation(resource, place, chart);
            break;
        case typeId("Condition"):
            chart.condition.push_back(readCondition(resource, place, chart.patient, chart.issues));
            break;
        case typeId("AllergyIntolerance"):
            chart.allergyIntolerance.push_back(readAllergyIntolerance(resource, place, chart.patient, chart.issues));
            break;
        case typeId("DiagnosticReport"): {
            chart.diagnosticReport.push_back(readDiagnosticReport(resource, place, chart.issues));
            std::size_t index = 0;
            for (const Value contained : resource["contained"].items()) {
                const std::size_t own = index++;
                if (contained["resourceType"].text() != "Observation") continue;
                const Place inside{collection.keep(place.text() + ".contained[" + std::to_string(own) + ']')};
                addObservation(contained, inside, chart);
            }
            break;
        }
        case typeId("ResearchSubject"):
            chart.researchSubject.push_back(readResearchSubject(resource, place, lookUp, chart.issues));
            break;
        case typeId("Consent"):
            chart.consent.push_back(readConsent(resource, place, lookUp, chart.issues));
            break;
        case typeId("QuestionnaireResponse"):
            chart.questionnaireResponse.push_back(readQuestionnaireResponse(resource, place.text(), chart.issues));
            break;
        default:
            readActivities(resource, place, lookUp, chart.activity, chart.issues);
            break;
    }
}

/// Room for the resources of the types that a chart has most of.
void reserve(Chart& chart, const std::vector<Found>& resources) {
    std::size_t observations = 0;
    std::size_t conditions = 0;
    for (const Found& found : resources) {
        observations += found.typeId == typeId("Observation");
        conditions += found.typeId == typeId("Condition");
    }
    chart.observation.reserve(observations);
    chart.condition.reserve(conditions);
    chart.activity.reserve(resources.size() - observations - conditions);
}

}  // namespace

Chart readChart(std::shared_ptr<const json::Document> document, const std::vector<Source>& sources, Coverage coverage,
                std::string_view patientId) {
    Collection collection;
    for (const Source& source : sources) {
        if (source.isPage) {
            collectBundle(source.value, source.path, true, collection);
        } else {
            collect(source.value, {collection.keep(source.path)}, {}, collection);
        }
    }

    Chart chart;
    chart.document = std::move(document);
    chart.coverage = std::move(coverage);
    chart.issues = std::move(collection.issues);
    chart.places = collection.parents;
    chart.incomplete = collection.withheld;
    if (chart.incomplete)
        chart.issues.push_back(
            {"", "incomplete: there are further pages, or the server says that something was left out"});

    std::size_t foreign = 0;
    if (!patientId.empty())
        foreign = std::erase_if(collection.patients, [&](const Found& found) { return found.id != patientId; });
    removeDuplicates(collection.patients, chart.issues);
    if (!patientId.empty() && collection.patients.size() > 1) {
        chart.issues.push_back({collection.patients[1].place.text(), "another version of the Patient left out"});
        collection.patients.resize(1);
    }
    if (collection.patients.empty()) throw Error("", "no Patient resource");
    if (collection.patients.size() > 1)
        throw Error(collection.patients[1].place.text(),
                    "a second Patient; a chart is one patient's (the first stands at " +
                        collection.patients.front().place.text() + ")");
    const Found& found = collection.patients.front();
    chart.patient = readPatient(found.resource, found.place, chart.issues);
    chart.patient.fullUrl = found.fullUrl;

    removeDuplicates(collection.others, chart.issues);
    removeDuplicates(collection.referenced, chart.issues);
    for (const std::string_view type : collection.leftOut) {
        // A nested Bundle, or what names no type, may have held anything.
        if (type.empty() || type == "Bundle") {
            chart.coverage.limitToPartly();
        } else {
            chart.coverage.limitToPartly(type);
        }
    }
    chart.leftOut = collection.leftOut.size();
    const References references(collection.referenced);
    reserve(chart, collection.others);
    const Lookup lookUp = [&](std::string_view reference) { return references.find(reference); };
    std::string_view known;
    for (const Found& other : collection.others) {
        try {
            if (!isAbout(other, chart.patient, known)) {
                ++foreign;
            } else {
                read(other, lookUp, collection, chart);
            }
        } catch (const Error& error) {
            chart.issues.push_back(
                {other.place.text() + '.' + error.path(), "resource left out: " + std::string(error.what())});
            chart.coverage.limitToPartly(typeOf(other.resource));
            ++chart.leftOut;
        }
    }
    if (foreign > 0)
        chart.issues.push_back(
            {"", std::to_string(foreign) + " resource(s) about somebody or something else left out"});
    limitIssues(chart.issues, collection.moreIssues);
    return chart;
}

void limitIssues(std::vector<Issue>& issues, std::size_t more) {
    for (const Issue& issue : issues) more += issue.more;
    std::erase_if(issues, [](const Issue& issue) { return issue.more > 0; });
    if (issues.size() > mostIssues) {
        more += issues.size() - mostIssues;
        issues.resize(mostIssues);
    }
    if (more > 0) issues.push_back({"", "and " + std::to_string(more) + " more issues", more});
}

std::size_t countIssues(const std::vector<Issue>& issues) {
    std::size_t count = 0;
    for (const Issue& issue : issues) count += std::max<std::size_t>(issue.more, 1);
    return count;
}

std::vector<std::string> referencesOf(Value resource, std::string_view base) {
    std::vector<std::string> names;
    const auto add = [&](Value reference) {
        std::string_view text = reference["reference"].text();
        if (!base.empty() && text.starts_with(base) && text.substr(base.size()).starts_with('/'))
            text.remove_prefix(base.size() + 1);
        const auto slash = text.find('/');
        if (slash == std::string_view::npos) return;
        const std::string_view type = text.substr(0, slash);
        const std::string_view id = text.substr(slash + 1, text.find('/', slash + 1) - slash - 1);
        if (isOneOf(referencedTypes, type) && isId(id)) names.push_back(std::string(type) + '/' + std::string(id));
    };
    add(resource["medicationReference"]);
    add(resource["study"]);
    for (const Value data : resource["provision"]["data"].items()) add(data["reference"]);
    return names;
}

Value subjectOf(Value resource) {
    Value subject = resource["subject"];
    // As Immunization, AllergyIntolerance and Consent, and as ResearchSubject calls it.
    if (!subject) subject = resource["patient"];
    if (!subject) subject = resource["individual"];
    return subject;
}

Value nextLink(Value bundle) {
    for (const Value link : bundle["link"].items()) {
        if (link["relation"].text() == "next") return link;
    }
    return {};
}

bool withholds(Value bundle, bool isPage) {
    if (!isPage && holdsLessThanTotal(bundle)) return true;
    for (const Value entry : bundle["entry"].items()) {
        const Value resource = entry["resource"];
        if (resource["resourceType"].text() == "OperationOutcome" && saysWithheld(resource)) return true;
    }
    return false;
}

namespace {

/// The name of a resource type; what is none may be anything, a person's name too, and is not repeated.
std::string shownName(std::string_view name) {
    const bool isName = name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
                            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                        });
    return isName ? std::string(name) : "no resource type";
}

}  // namespace

Chart readBundle(std::shared_ptr<const json::Document> document, Coverage coverage) {
    const Value root = document->root();
    if (!root.isArray()) {
        if (!root.isObject()) throw Error("", "neither a Bundle nor an array of resources");
        const std::string_view type = root["resourceType"].text();
        if (type != "Bundle")
            throw Error("resourceType", type.empty() ? "missing; a Bundle is needed"
                                                     : "is " + shownName(type) + "; a Bundle is needed");
    }
    Chart chart = readChart(std::move(document), {{root, ""}}, std::move(coverage));
    if (chart.incomplete) chart.coverage.limitToPartly();
    return chart;
}

}  // namespace fhir
