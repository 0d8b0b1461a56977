#include "mapping/observation.h"

#include <algorithm>
#include <array>
#include <bit>
#include <boost/container/static_vector.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <tuple>
#include <unordered_set>

#include "fhir/hash.h"

namespace mapping {

using fhir::Rational;

namespace {

using Polarity = Vocabulary::Polarity;

/// False when the comparator is none of FHIR's.
bool setInterval(Interval& interval, const Rational& value, std::string_view comparator) {
    if (comparator.empty()) {
        interval.low = value;
        interval.high = value;
    } else if (comparator == "<") {
        interval = Interval::below(value);
    } else if (comparator == "<=") {
        interval = Interval::atMost(value);
    } else if (comparator == ">") {
        interval = Interval::above(value);
    } else if (comparator == ">=") {
        interval = Interval::atLeast(value);
    } else {
        return false;
    }
    return true;
}

bool isPlausible(const Interval& value, const Interval& plausible) {
    if (!plausible.low) return true;
    if (value.low && (*value.low < *plausible.low || *value.low > *plausible.high)) return false;
    if (value.high && (*value.high < *plausible.low || *value.high > *plausible.high)) return false;
    return true;
}

/// A number in that unit; nothing when the unit cannot be read.
Measured measured(const fhir::Quantity& quantity, const FactDefinition& fact, const Unit* unit) {
    Measured result;
    auto number = fhir::parseDecimal(quantity.value);
    if (number && unit != nullptr && unit->second && *unit->second != 1) *number *= *unit->second;
    if (!number || !setInterval(result.value, *number, quantity.comparator)) {
        result.basis = Basis::implausible;
        return result;
    }
    if (unit == nullptr) {
        result.value = {};
        result.basis = Basis::unreadableUnit;
        return result;
    }
    result.factor = unit->second;
    const bool isPoint = quantity.comparator.empty();
    if (result.factor && fact.plausible.low &&
        !(isPoint ? *number >= *fact.plausible.low && *number <= *fact.plausible.high
                  : isPlausible(result.value, fact.plausible)))
        result.basis = Basis::implausible;
    return result;
}

struct Numbers {
    std::string_view comparator;
    std::string_view first;
    std::string_view second;  ///< of "55-60 %"
    std::string_view unit;
};

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\t')) text.remove_suffix(1);
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t'))
        text.remove_prefix(1);
    return text;
}

std::string_view takeNumber(std::string_view& text) {
    text = trim(text);
    std::size_t length = 0;
    while (length < text.size() && ((text[length] >= '0' && text[length] <= '9') || text[length] == '.')) ++length;
    const std::string_view number = text.substr(0, length);
    text = trim(text.substr(length));
    return number;
}

/// "> 92", "12.1 g/dL", "55-60 %", "0.2 - 1.2 mg/dL"; nothing for anything else.
std::optional<Numbers> readNumbers(std::string_view text) {
    Numbers result;
    text = trim(text);
    for (const auto& [symbol, comparator] : std::array<std::pair<std::string_view, std::string_view>, 6>{
             {{"<=", "<="}, {">=", ">="}, {"≤", "<="}, {"≥", ">="}, {"<", "<"}, {">", ">"}}}) {
        if (text.starts_with(symbol)) {
            result.comparator = comparator;
            text.remove_prefix(symbol.size());
            break;
        }
    }
    result.first = takeNumber(text);
    if (result.first.empty()) return std::nullopt;
    for (const std::string_view dash : {"-", "–", "to "}) {
        if (!text.starts_with(dash)) continue;
        text.remove_prefix(dash.size());
        result.second = takeNumber(text);
        if (result.second.empty() || !result.comparator.empty()) return std::nullopt;
        break;
    }
    if (text.find_first_of("0123456789") != std::string_view::npos && text.find('/') == std::string_view::npos &&
        text.find("10") == std::string_view::npos)
        return std::nullopt;  // more numbers than one measurement has
    result.unit = text;
    return result;
}

/// Reads the results of one chart.
class ObservationReader {
public:
    ObservationReader(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, Results wanted)
        : chart_(chart),
          vocabulary_(vocabulary),
          facts_(facts),
          asOf_(facts.asOf),
          wanted_(wanted),
          seenAt_(vocabulary.facts().size()) {}

    /// True when an Observation carries no code.
    bool read() {
        oxygen_ = vocabulary_.find("inspiredOxygen");
        lookUpCodes();
        const std::int64_t endOfDay = fhir::DateTime::ofDay(asOf_).last;
        std::size_t future = 0;
        std::vector<std::size_t> read;  // those that say something about a fact, in their order
        read.reserve(chart_.observation.size());
        for (std::size_t index = 0; index < chart_.observation.size(); ++index) {
            const fhir::ObservationOutline& outline = chart_.observation[index];
            if (status_[index] == Status::other) continue;
            const std::span<const Match> matches = matchesOf(index);
            if (oxygen_ != nullptr && status_[index] == Status::final) {
                for (const Match& match : matches) {
                    if (match.fact != oxygen_->index) continue;
                    Oxygen& found = oxygenObservations_.emplace_back();
                    found.outline = &outline;
                    found.said = oxygenSaid(outline.whole().result, matches);
                }
            }
            const auto& date = dateOf(outline);
            if (date && date->first > endOfDay) {
                ++future;
            } else if (!matches.empty() || outline.hasComponents) {
                read.push_back(index);
                for (const Match& match : matches) see(index, date, match);
                if (!outline.hasComponents || !outline.isPlain) continue;
                for (const fhir::json::Value component : outline.resource["component"].items()) {
                    if (const auto coding = fhir::onlyCoding(component["code"])) {
                        for (const Match& match : vocabulary_.meaningOf(*coding).matches) see(index, date, match);
                    }
                }
            }
        }
        reserve();
        if (wanted_ == Results::unlessOutdated) {
            for (const std::size_t index : newest()) this->read(index);
        }
        for (const std::size_t index : read) {
            const bool isLeftOut = isRead_[index] || (wanted_ == Results::unlessOutdated && isOutdated(index));
            if (!isLeftOut) this->read(index);
        }
        std::stable_sort(reports_.begin(), reports_.end(), Report::isBefore);
        for (Report& report : reports_) facts_.issues.push_back(std::move(report.issue));
        for (Fact& fact : facts_.own()) putInOrder(fact.results);
        if (future > 0)
            facts_.issues.push_back(
                {"", std::to_string(future) + " Observation(s) dated after " + asOf_.text() + " not used"});
        return hasUncoded_;
    }

private:
    struct KnownUnit {
        bool isKnown = false;
        std::string_view code;
        std::string_view text;
        const Unit* unit = nullptr;
    };
    /// A fact of which Observations speak.
    struct Seen {
        const FactDefinition* fact = nullptr;
        bool onlyNewestCounts = false;
        std::size_t count = 0;   ///< of the Observations
        std::size_t dated = 0;   ///< of those with a date that may be the newest result
        std::size_t latest = 0;  ///< the newest of these
        std::int64_t decidedAt = std::numeric_limits<std::int64_t>::min();  ///< when the newest that decides begins
        KnownUnit unit;                                                     ///< the last one
    };

    /// Whether a result counts, may still change, or is none.
    enum class Status : std::uint8_t { other, preliminary, final };

    static Status statusOf(std::string_view status) {
        if (status == "final" || status == "amended" || status == "corrected") return Status::final;
        return status == "preliminary" ? Status::preliminary : Status::other;
    }

    /// Results in the order of their Observations. Each is moved once: Evidence is large.
    static void putInOrder(std::vector<Evidence>& results) {
        const auto isBefore = [](const Evidence& a, const Evidence& b) { return a.resourceIndex < b.resourceIndex; };
        if (std::is_sorted(results.begin(), results.end(), isBefore)) return;
        std::vector<Evidence*> order;
        order.reserve(results.size());
        for (Evidence& result : results) order.push_back(&result);
        std::stable_sort(order.begin(), order.end(),
                         [&](const Evidence* a, const Evidence* b) { return isBefore(*a, *b); });
        std::vector<Evidence> sorted;
        sorted.reserve(results.size());
        for (Evidence* result : order) sorted.push_back(std::move(*result));
        results = std::move(sorted);
    }

    static const std::optional<fhir::DateTime>& dateOf(const fhir::ObservationOutline& outline) {
        return outline.effective ? outline.effective : outline.issued;
    }

    /// Looks up the codes of all Observations. The same text at the same place, as the reader gives it for what repeats
    /// itself, is looked up once.
    void lookUpCodes() {
        struct Known {
            std::string_view system;
            std::string_view code;
            Range matches;
        };
        codeMatches_.reserve(chart_.observation.size() * 2);
        ranges_.reserve(chart_.observation.size());
        std::vector<Known> all;
        all.reserve(chart_.observation.size() + 1);
        all.emplace_back();
        std::vector<std::uint32_t> table(std::bit_ceil(chart_.observation.size() * 2 + 1), 0);
        const auto isAt = [](std::string_view a, std::string_view b) {
            return a.data() == b.data() && a.size() == b.size();
        };
        status_.reserve(chart_.observation.size());
        for (const fhir::ObservationOutline& outline : chart_.observation) {
            status_.push_back(statusOf(outline.status));
            Known* known = nullptr;
            const std::size_t begin = codeMatches_.size();
            if (const auto only = fhir::onlyCoding(outline.codeValue)) {
                const fhir::Coding& coding = *only;
                const auto place = reinterpret_cast<std::uintptr_t>(coding.code.data());
                std::uint32_t& at = table[fhir::mixed(place) & (table.size() - 1)];
                if (isAt(all[at].code, coding.code) && isAt(all[at].system, coding.system)) {
                    ranges_.push_back(all[at].matches);
                    continue;
                }
                at = static_cast<std::uint32_t>(all.size());
                known = &all.emplace_back(Known{coding.system, coding.code, {}});
                addMatches(coding, codeMatches_);
            } else {
                const fhir::CodeableConcept code = outline.code();
                hasUncoded_ = hasUncoded_ || std::all_of(code.coding.begin(), code.coding.end(),
                                                         [](const fhir::Coding& each) { return each.code.empty(); });
                addMatches(code, codeMatches_);
            }
            ranges_.push_back({begin, codeMatches_.size() - begin});
            if (known != nullptr) known->matches = ranges_.back();
        }
    }

    Seen& seen(std::size_t fact) {
        const std::uint16_t at = seenAt_[fact];
        return at != 0 ? seen_[at - 1U] : seeFirst(fact);
    }

    Seen& seeFirst(std::size_t fact) {
        Seen& first = seen_.emplace_back();
        first.fact = &vocabulary_.facts()[fact];
        first.onlyNewestCounts = onlyNewestCounts(*first.fact);
        seenAt_[fact] = static_cast<std::uint16_t>(seen_.size());
        return first;
    }

    /// What the codes of an Observation mean.
    std::span<const Match> matchesOf(std::size_t index) const {
        return {codeMatches_.data() + ranges_[index].begin, ranges_[index].count};
    }

    /// Counts an Observation that means a fact.
    void see(std::size_t index, const std::optional<fhir::DateTime>& date, const Match& match) {
        Seen& known = seen(match.fact);
        ++known.count;
        if (!date || status_[index] != Status::final || match.role != Role::accept || !known.onlyNewestCounts) return;
        if (known.dated == 0 || dateOf(chart_.observation[known.latest])->first < date->first) known.latest = index;
        ++known.dated;
    }

    /// Room for what the codes of the Observations mean: Evidence is large to move.
    void reserve() {
        isRead_.resize(chart_.observation.size(), false);
        for (const Seen& each : seen_) {
            constexpr std::size_t usual = 2;
            const bool newestCounts = wanted_ == Results::unlessOutdated && each.onlyNewestCounts;
            facts_.own(each.fact->index).results.reserve(newestCounts ? std::min(each.count, usual) : each.count);
        }
    }

    /// Whether of the results of a fact nothing counts that is certainly older than one that decides: no other one is
    /// chosen by its method, shown, or stays although it is older.
    static bool onlyNewestCounts(const FactDefinition& fact) {
        return (fact.kind == Kind::quantity || fact.kind == Kind::count) && fact.methods.empty() && !fact.positiveStays;
    }

    static bool says(const Match& match) {
        return match.role != Role::reject && match.role != Role::answer && match.role != Role::remission;
    }

    /// Those that are the newest of such a fact.
    std::vector<std::size_t> newest() const {
        std::vector<std::size_t> result;
        for (const Seen& each : seen_) {
            if (each.dated > 1) result.push_back(each.latest);
        }
        std::sort(result.begin(), result.end());
        result.erase(std::unique(result.begin(), result.end()), result.end());
        return result;
    }

    /// Whether an Observation can be left unread: all that it says is older than a result that decides, and there would
    /// be nothing to report of it.
    bool isOutdated(std::size_t index) {
        const fhir::ObservationOutline& outline = chart_.observation[index];
        const auto& date = dateOf(outline);
        if (!outline.isPlain || !date) return false;
        const auto isOlder = [&](std::span<const Match> matches, const auto& quantityOf) {
            std::optional<fhir::Quantity> quantity;
            for (const Match& match : matches) {
                if (!says(match)) continue;
                if (date->last >= seen(match.fact).decidedAt) return false;
                if (!quantity) quantity = quantityOf();
                if (quantity->value.empty() || unitOf(*quantity, vocabulary_.facts()[match.fact]) == nullptr)
                    return false;
            }
            return true;
        };
        const fhir::json::Items components = outline.resource["component"].items();
        bool anyComponent = false;
        for (const fhir::json::Value component : components) anyComponent = anyComponent || component.isObject();
        // A panel's own code says nothing itself.
        const bool isPanel = anyComponent && !outline.value && !outline.hasFurtherResult;
        if (!isPanel && !isOlder(matchesOf(index), [&] { return outline.quantity(); })) return false;
        if (!outline.hasComponents) return true;
        for (const fhir::json::Value component : components) {
            if (!component.isObject()) continue;
            const auto coding = fhir::onlyCoding(component["code"]);
            const auto quantity = [&] { return fhir::valueQuantity(component); };
            if (!coding || !isOlder(vocabulary_.meaningOf(*coding).matches, quantity)) return false;
        }
        return true;
    }

    /// The unit of a quantity. Results of one fact mostly have the same.
    const Unit* unitOf(const fhir::Quantity& quantity, const FactDefinition& fact) {
        KnownUnit& known = seen(fact.index).unit;
        const auto same = [](std::string_view a, std::string_view b) {
            return a.size() == b.size() && (a.data() == b.data() || a == b);
        };
        const bool isSame = known.isKnown && same(known.code, quantity.code) && same(known.text, quantity.unit);
        if (!isSame) known = {true, quantity.code, quantity.unit, vocabulary_.unitOf(fact, quantity)};
        return known.unit;
    }

    Measured measure(const fhir::Quantity& quantity, const FactDefinition& fact) {
        return measured(quantity, fact, unitOf(quantity, fact));
    }

    /// Reads an Observation and its components.
    void read(std::size_t index) {
        const fhir::ObservationOutline& outline = chart_.observation[index];
        const fhir::Observation observation = outline.whole();
        outline_ = &outline;
        isRead_[index] = true;
        const std::span<const Match> codes = matchesOf(index);
        matches_.assign(codes.begin(), codes.end());
        readResult(observation, observation.result, nullptr);
        for (const fhir::ObservationResult& component : observation.component) {
            matches_.clear();
            addMatches(component.code, matches_);
            readResult(observation, component, &component);
        }
    }

    std::size_t indexOf(const fhir::ObservationOutline& outline) const {
        return static_cast<std::size_t>(&outline - chart_.observation.data());
    }

    void report(std::string path, std::string message) {
        reports_.push_back({indexOf(*outline_), {std::move(path), std::move(message)}});
    }

    /// Reads a result whose code means the matches.
    void readResult(const fhir::Observation& observation, const fhir::ObservationResult& result,
                    const fhir::ObservationResult* component) {
        readByOneFact_ = std::all_of(matches_.begin(), matches_.end(),
                                     [&](const Match& match) { return match.fact == matches_.front().fact; });
        for (std::size_t i = 0; i < matches_.size(); ++i) {
            const Match& match = matches_[i];
            if (!says(match)) continue;
            // Several codings of one Observation count once; a coding that is accepted outweighs one under review.
            bool decided = false;
            for (std::size_t j = 0; j < matches_.size(); ++j) {
                if (j == i || matches_[j].fact != match.fact) continue;
                decided = decided || (matches_[j].role == match.role && j < i) ||
                          (matches_[j].role == Role::accept && match.role == Role::review) ||
                          matches_[j].role == Role::reject;
            }
            if (decided) continue;
            const FactDefinition& fact = vocabulary_.facts()[match.fact];
            // A panel's own code with values in its components says nothing itself.
            if (component == nullptr && result.value.kind == fhir::ObservationValue::Kind::none &&
                !observation.component.empty() && result.interpretation.empty())
                continue;
            Evidence& evidence = facts_.own(match.fact).results.emplace_back();
            read(evidence, observation, result, fact, match);
            Seen& known = seen(match.fact);
            if (!isDecided(evidence.basis) || !known.onlyNewestCounts) continue;
            known.decidedAt = std::max(known.decidedAt, evidence.date->first);
        }
    }

    void read(Evidence& evidence, const fhir::Observation& observation, const fhir::ObservationResult& result,
              const FactDefinition& fact, const Match& match) {
        evidence.fact = &fact;
        evidence.resourceType = "Observation";
        evidence.id = observation.id;
        evidence.resourceIndex = indexOf(*outline_);
        evidence.date = observation.effective ? observation.effective : observation.issued;
        evidence.issued = observation.issued;
        clipToAsOf(evidence.date);
        evidence.amended = observation.status == "amended" || observation.status == "corrected";
        evidence.method = methodOf(observation, result, fact);
        evidence.detail = oxygenOf(observation, fact, evidence.inputs);
        read(evidence, result, fact);
        if (observation.status == "preliminary") {
            evidence.indeterminate = false;
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "preliminary";
        } else if (match.role == Role::review && isDecided(evidence.basis)) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "a related code that does not decide";
        } else if (isDecided(evidence.basis) && !fact.gate.empty() && !namesTumourCells(observation, result, fact)) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "counts all cells, not tumour cells";
        }
        if (isDecided(evidence.basis) && !evidence.date) evidence.basis = Basis::undated;
    }

    void clipToAsOf(std::optional<fhir::DateTime>& date) const {
        if (!date) return;
        const std::int64_t end = fhir::DateTime::ofDay(asOf_).last;
        if (date->last > end && date->first <= end) date->last = end;
    }

    void read(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact) {
        if (result.value.kind == fhir::ObservationValue::Kind::none &&
            (result.interpretation.empty() || result.dataAbsent)) {
            evidence.basis = Basis::missing;
            evidence.detail = result.dataAbsent ? "the value is recorded as absent" : "no value";
            return;
        }
        switch (fact.kind) {
            case Kind::quantity:
            case Kind::count:
                readQuantity(evidence, result, fact);
                return;
            case Kind::finding:
                readFinding(evidence, result, fact);
                return;
            case Kind::viralLoad:
                readViralLoad(evidence, result, fact);
                return;
            case Kind::coded:
                readCoded(evidence, result, fact);
                return;
        }
    }

    /// The answer of a coded value that the fact's answer codes know: LA9623-5 is ECOG 1.
    std::optional<std::string_view> answer(const fhir::CodeableConcept& concept_, const FactDefinition& fact) {
        for (const Match& match : matchesOf(concept_)) {
            if (match.fact == fact.index && match.role == Role::answer) return match.value;
        }
        return std::nullopt;
    }

    void readQuantity(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact) {
        using ValueKind = fhir::ObservationValue::Kind;
        const fhir::ObservationValue& value = result.value;
        fhir::Quantity quantity = value.quantity;
        fhir::Quantity high;
        switch (value.kind) {
            case ValueKind::quantity:
            case ValueKind::integer:
                break;
            case ValueKind::range:
                high = value.high;
                break;
            case ValueKind::string:
                if (const auto numbers = readNumbers(value.text)) {
                    quantity = {numbers->first, numbers->comparator, numbers->unit, {}, {}};
                    if (!numbers->second.empty()) high = {numbers->second, {}, numbers->unit, {}, {}};
                }
                break;
            case ValueKind::codeableConcept:
                if (const auto number = answer(value.codeableConcept, fact)) quantity.value = *number;
                break;
            default:
                break;
        }
        if (quantity.value.empty() && high.value.empty()) {
            for (const fhir::CodeableConcept& interpretation : result.interpretation) {
                if (const auto number = answer(interpretation, fact)) quantity.value = *number;
            }
        }
        if (quantity.value.empty() && high.value.empty()) {
            evidence.basis = Basis::missing;
            evidence.detail = "no number";
            const bool said = value.kind != ValueKind::none || !result.interpretation.empty();
            if (said && readByOneFact_) {
                const std::string path = outline_->place.text();
                if (reported_.insert(path).second)
                    report(path + ".value[x]", "the value of " + fact.label + " cannot be read");
            }
            return;
        }
        // The fields of one JSON number: "low" and "high" of a range without one of them are open ends.
        const bool isRange = value.kind == ValueKind::range || !high.value.empty();
        Measured measured;
        if (!quantity.value.empty()) {
            measured = measure(quantity, fact);
            if (isRange && isDecided(measured.basis)) measured.value.high.reset();
        }
        if (!high.value.empty() && isDecided(measured.basis)) {
            const Measured end = measure(high, fact);
            measured.basis = end.basis;
            measured.factor = end.factor;
            if (isDecided(end.basis)) measured.value.high = end.value.high;
            if (measured.value.low && measured.value.high && *measured.value.low > *measured.value.high)
                measured.basis = Basis::implausible;
        }
        evidence.basis = measured.basis;
        evidence.value = measured.value;
        const fhir::Quantity& shown = quantity.value.empty() ? high : quantity;
        evidence.valueText = quantity.value;
        evidence.highText = high.value;
        evidence.comparator = quantity.comparator;
        evidence.unitText = shown.code.empty() ? shown.unit : shown.code;
        if (measured.basis == Basis::unreadableUnit) reportUnit(shown, fact);
        if (isDecided(evidence.basis)) readUpperLimit(evidence, result, fact, shown, measured.factor);
    }

    void reportUnit(const fhir::Quantity& quantity, const FactDefinition& fact) {
        std::string known;
        for (const auto& unit : fact.units) {
            if (unit.first.empty()) continue;
            if (!known.empty()) known += ", ";
            known += unit.first;
        }
        const std::string_view unit = quantity.unit.empty() ? quantity.code : quantity.unit;
        const std::string path = outline_->place.text() + ".valueQuantity.unit";
        if (!reported_.insert(path).second) return;  // several facts read the same result
        report(path, unit.empty() ? "no unit; one of " + known + " is needed"
                                  : "unit '" + std::string(unit.substr(0, 32)) + "' is not one of " + known);
    }

    /// Whether a reference range is one of the healthy, for this patient's sex and age.
    bool applies(const fhir::ReferenceRange& range) {
        if (!range.type.empty()) {
            const bool normal = std::any_of(range.type.coding.begin(), range.type.coding.end(),
                                            [](const fhir::Coding& coding) { return coding.code == "normal"; }) ||
                                lowerCase(range.type.text) == "normal";
            if (!normal) return false;
        }
        for (const fhir::CodeableConcept& population : range.appliesTo) {
            // SNOMED CT 248153007 male, 248152002 female; anything else is not understood and applies to nobody.
            std::string_view sex;
            for (const fhir::Coding& coding : population.coding) {
                const std::string code = lowerCase(coding.code);
                if (code == "248153007" || code == "male" || code == "m") sex = "male";
                if (code == "248152002" || code == "female" || code == "f") sex = "female";
            }
            const std::string text = lowerCase(population.text);
            if (sex.empty() && (text == "male" || text == "males" || text == "men")) sex = "male";
            if (sex.empty() && (text == "female" || text == "females" || text == "women")) sex = "female";
            if (sex.empty() || sex != chart_.patient.gender) return false;
        }
        return inAge(range.ageLow, true) && inAge(range.ageHigh, false);
    }

    /// The months that a patient who is born has completed, at least and at most.
    std::pair<int, int> ageInMonths() {
        if (!age_) {
            const fhir::DateTime& birthDate = *chart_.patient.birthDate;
            age_ = {fhir::completedMonths(std::min(birthDate.lastDay(), asOf_), asOf_),
                    fhir::completedMonths(birthDate.firstDay(), asOf_)};
        }
        return *age_;
    }

    bool inAge(const fhir::Quantity& limit, bool isLow) {
        if (limit.value.empty()) return true;
        const auto number = fhir::parseDecimal(limit.value);
        const std::string_view unit = vocabulary_.unitSpelling(limit.code.empty() ? limit.unit : limit.code);
        const int monthsEach = unit == "a" ? 12 : unit == "mo" ? 1 : 0;
        if (!number || monthsEach == 0 || !chart_.patient.birthDate || chart_.patient.birthDate->firstDay() > asOf_)
            return false;
        const Rational limitMonths = *number * monthsEach;
        const auto [youngest, oldest] = ageInMonths();
        // The high end of an age band means the whole of that year or month.
        return isLow ? Rational(youngest) >= limitMonths : Rational(oldest) < limitMonths + monthsEach;
    }

    void readUpperLimit(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact,
                        const fhir::Quantity& valueQuantity, const std::optional<Rational>& factor) {
        std::optional<Rational> limit;
        std::string text;
        for (const fhir::ReferenceRange& range : result.referenceRange) {
            if (!applies(range)) continue;
            fhir::Quantity high = range.high;
            if (high.value.empty() && range.low.value.empty()) {
                const auto numbers = readNumbers(range.text);
                if (!numbers || numbers->comparator.starts_with('>')) continue;
                if (numbers->second.empty() && numbers->comparator.empty()) continue;
                const auto low = fhir::parseDecimal(numbers->first);
                const auto end = fhir::parseDecimal(numbers->second);
                if (low && end && *low > *end) continue;  // "40-5" is no range
                high = {numbers->second.empty() ? numbers->first : numbers->second, {}, numbers->unit, {}, {}};
            }
            if (high.value.empty()) continue;
            if (high.unit.empty() && high.code.empty()) {
                high.unit = valueQuantity.unit;
                high.code = valueQuantity.code;
            }
            const Measured measured = measure(high, fact);
            if (!isDecided(measured.basis) || !measured.value.isPoint() || *measured.value.high <= 0) continue;
            if (measured.factor != factor && (!measured.factor || !factor)) continue;
            if (!measured.factor) {
                // Units that are read but not converted compare only with themselves.
                const Unit* const unitOfHigh = unitOf(high, fact);
                const Unit* const unitOfValue = unitOf(valueQuantity, fact);
                if (unitOfHigh == nullptr || unitOfHigh != unitOfValue) continue;
            }
            if (limit && *limit != *measured.value.high) return;  // two ranges apply and disagree: none does
            limit = measured.value.high;
            text = measured.factor == factor ? std::string(high.value) : fhir::decimalText(*limit / *factor, 6);
        }
        evidence.upperLimit = limit;
        evidence.upperLimitText = text;
        if (!limit && factor) assumeUpperLimit(evidence, fact, *factor);
    }

    /// Ruling 7: a result without an upper limit of its own takes the site's, where sex and age leave but one.
    void assumeUpperLimit(Evidence& evidence, const FactDefinition& fact, const Rational& factor) {
        if (fact.upperLimits.empty()) return;
        const auto& birthDate = chart_.patient.birthDate;
        const bool isBorn = birthDate && birthDate->firstDay() <= asOf_;
        const int oldest = isBorn ? ageInMonths().second / 12 : 150;
        const int youngest = isBorn ? ageInMonths().first / 12 : 0;
        const std::string_view gender = chart_.patient.gender;
        const bool sexIsKnown = gender == "male" || gender == "female";
        std::optional<Rational> limit;
        bool everyone = true;  // whoever the patient may be is in some band
        const std::array<std::string_view, 2> sexes{"male", "female"};
        for (const std::string_view sex : sexes) {
            if (sexIsKnown && sex != gender) continue;
            for (int age = youngest; age <= oldest; ++age) {
                const auto band = std::find_if(fact.upperLimits.begin(), fact.upperLimits.end(), [&](const auto& each) {
                    return (each.sex.empty() || each.sex == sex) && each.ageFrom <= age && age <= each.ageTo;
                });
                everyone = everyone && band != fact.upperLimits.end();
                if (band == fact.upperLimits.end()) continue;
                if (limit && *limit != band->value) return;
                limit = band->value;
            }
        }
        if (!limit || !everyone) return;
        evidence.upperLimit = limit;
        evidence.upperLimitText = fhir::decimalText(*limit / factor, 6);
        evidence.assumedLimit = true;
    }

    /// What a result says as positive or negative, in the order of ruling 9: coded value, words, boolean,
    /// interpretation.
    std::optional<Polarity> polarityOf(const fhir::ObservationResult& result, const FactDefinition& fact) {
        using ValueKind = fhir::ObservationValue::Kind;
        const auto ofConcept = [&](const fhir::CodeableConcept& concept_) -> std::optional<Polarity> {
            for (const fhir::Coding& coding : concept_.coding) {
                const auto system = vocabulary_.system(coding.system);
                if (!system) continue;
                if (const auto polarity = vocabulary_.polarity(*system, coding.code)) return polarity;
            }
            if (const auto value = answer(concept_, fact)) {
                if (*value == "pregnant") return Polarity::positive;
                if (*value == "not-pregnant") return Polarity::negative;
                return Polarity::indeterminate;
            }
            if (const auto polarity = vocabulary_.polarity(concept_.text)) return polarity;
            for (const fhir::Coding& coding : concept_.coding) {
                if (const auto polarity = vocabulary_.polarity(coding.display)) return polarity;
            }
            return std::nullopt;
        };
        switch (result.value.kind) {
            case ValueKind::codeableConcept:
                if (const auto polarity = ofConcept(result.value.codeableConcept)) return polarity;
                if (const auto polarity = acceptedFinding(result.value.codeableConcept, fact)) return polarity;
                break;
            case ValueKind::string:
                if (const auto polarity = vocabulary_.polarity(result.value.text)) return polarity;
                break;
            case ValueKind::boolean:
                return result.value.boolean ? Polarity::positive : Polarity::negative;
            default:
                break;
        }
        for (const fhir::CodeableConcept& interpretation : result.interpretation) {
            if (const auto polarity = ofConcept(interpretation)) return polarity;
        }
        return std::nullopt;
    }

    /// A finding as the value of a question: 77386006 "Pregnancy" answers pregnancy status with yes.
    std::optional<Polarity> acceptedFinding(const fhir::CodeableConcept& concept_, const FactDefinition& fact) {
        for (const Match& match : matchesOf(concept_)) {
            if (match.fact == fact.index && match.role == Role::accept) return Polarity::positive;
        }
        return std::nullopt;
    }

    void readFinding(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact) {
        evidence.display = displayOf(result);
        if (fact.derivation == Derivation::nyha) {
            readNyha(evidence, result, fact);
            return;
        }
        if (const auto polarity = polarityOf(result, fact)) {
            setPolarity(evidence, *polarity);
            return;
        }
        readCutOff(evidence, result, fact);
    }

    static void setPolarity(Evidence& evidence, Polarity polarity) {
        if (polarity == Polarity::indeterminate) {
            evidence.basis = Basis::unconfirmed;
            evidence.indeterminate = true;
            evidence.detail = "neither positive nor negative";
        } else {
            evidence.positive = polarity == Polarity::positive;
        }
    }

    void readNyha(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact) {
        std::optional<std::string_view> answered = answer(result.value.codeableConcept, fact);
        for (const fhir::CodeableConcept& interpretation : result.interpretation) {
            if (!answered) answered = answer(interpretation, fact);
        }
        if (!answered) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "the class is not stated by a code that is known";
            return;
        }
        evidence.positive = *answered == "3" || *answered == "4";
    }

    /// Whether a unit is that of the quantity, by code or text.
    bool isUnitOf(std::string_view unit, const fhir::Quantity& quantity) const {
        const auto same = [&](std::string_view other) {
            return !other.empty() &&
                   lowerCase(vocabulary_.unitSpelling(unit)) == lowerCase(vocabulary_.unitSpelling(other));
        };
        return same(quantity.code) || same(quantity.unit);
    }

    /// A number where a yes or no is asked: against the upper end of the result's own range, the assay's cut-off.
    void readCutOff(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact) {
        const fhir::Quantity& quantity = result.value.quantity;
        const auto number = fhir::parseDecimal(quantity.value);
        evidence.basis = Basis::unconfirmed;
        evidence.detail = "neither positive nor negative";
        if (result.value.kind != fhir::ObservationValue::Kind::quantity || !number) return;
        evidence.valueText = quantity.value;
        evidence.comparator = quantity.comparator;
        evidence.unitText = quantity.code.empty() ? quantity.unit : quantity.code;
        if (!fact.gate.empty()) {
            evidence.detail = "a percentage without an interpretation";
            return;
        }
        std::optional<Rational> cutOff;
        for (const fhir::ReferenceRange& range : result.referenceRange) {
            if (!applies(range)) continue;
            std::string_view text = range.high.value;
            std::string_view unit = range.high.code.empty() ? range.high.unit : range.high.code;
            const auto numbers = text.empty() ? readNumbers(range.text) : std::nullopt;
            if (numbers && !numbers->comparator.starts_with('>')) {
                text = numbers->second.empty() ? numbers->first : numbers->second;
                unit = numbers->unit;
            }
            // A cut-off in another unit is not converted: the units of assays do not convert.
            if (!unit.empty() && !isUnitOf(unit, quantity)) {
                evidence.basis = Basis::noUpperLimit;
                evidence.detail = "the cut-off of the assay is in another unit";
                return;
            }
            if (const auto end = fhir::parseDecimal(text)) {
                if (cutOff && *cutOff != *end) return;
                cutOff = end;
            }
        }
        Interval value;
        const bool isRead = setInterval(value, *number, quantity.comparator);
        const bool isBelow = isRead && !value.low;
        if (!cutOff && !isBelow) {
            evidence.basis = Basis::noUpperLimit;
            evidence.detail = "a number without the cut-off of its assay";
            return;
        }
        // "<0.05" without a cut-off is below what the assay can find (ruling 9).
        const bool above =
            cutOff && isRead && value.low && (*value.low > *cutOff || (value.lowOpen && *value.low == *cutOff));
        const bool notAbove = !cutOff || (isRead && value.high && *value.high <= *cutOff);
        if (!above && !notAbove) return;
        evidence.basis = Basis::recorded;
        evidence.detail.clear();
        evidence.positive = above;
    }

    /// Viral loads are both: detected or not, and a number (rulings 9 and 25).
    void readViralLoad(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact) {
        evidence.display = displayOf(result);
        const std::optional<Polarity> polarity = polarityOf(result, fact);
        if (polarity == Polarity::indeterminate) {
            setPolarity(evidence, *polarity);
            return;
        }
        fhir::Quantity quantity = result.value.quantity;
        if (result.value.kind == fhir::ObservationValue::Kind::string) {
            // "Detected, <34.5 IU/mL": the number begins at its comparator.
            const std::string_view text = result.value.text;
            const auto at = text.find_first_of("<>");
            auto numbers = readNumbers(text);
            if (!numbers && at != std::string_view::npos) numbers = readNumbers(text.substr(at));
            if (numbers) quantity = {numbers->first, numbers->comparator, numbers->unit, {}, {}};
        }
        if (polarity) evidence.positive = *polarity == Polarity::positive;
        if (evidence.positive == true && quantity.value.empty() &&
            vocabulary_.saysBelowQuantification(evidence.display))
            evidence.comparator = "<";  // detected, and less than can be counted
        if (!quantity.value.empty()) {
            evidence.valueText = quantity.value;
            evidence.comparator = quantity.comparator;
            evidence.unitText = quantity.code.empty() ? quantity.unit : quantity.code;
            const Measured measured = measure(quantity, fact);
            const bool belowLimit = quantity.comparator == "<" || quantity.comparator == "<=";
            if (isDecided(measured.basis)) {
                evidence.value = measured.value;
                if (!evidence.positive)
                    evidence.positive =
                        !belowLimit && measured.value.low && (*measured.value.low > 0 || measured.value.lowOpen);
                readUpperLimit(evidence, result, fact, quantity, measured.factor);
            } else if (!evidence.positive && belowLimit) {
                evidence.positive = false;
            } else if (!evidence.positive) {
                evidence.basis = measured.basis;
                if (measured.basis == Basis::unreadableUnit) reportUnit(quantity, fact);
            }
        } else if (!evidence.positive) {
            evidence.basis = Basis::unconfirmed;
            evidence.detail = "neither positive nor negative";
        }
    }

    void readCoded(Evidence& evidence, const fhir::ObservationResult& result, const FactDefinition& fact) {
        const fhir::CodeableConcept& concept_ = result.value.codeableConcept;
        evidence.display = displayOf(result);
        if (const auto value = answer(concept_, fact)) {
            evidence.coded = *value;
            return;
        }
        evidence.basis = Basis::unconfirmed;
        evidence.detail = "the answer is not stated by a code that is known";
    }

    static std::string_view displayOf(const fhir::ObservationResult& result) {
        if (!result.value.text.empty()) return result.value.text;
        const fhir::CodeableConcept& value = result.value.codeableConcept;
        if (!value.text.empty()) return value.text;
        for (const fhir::Coding& coding : value.coding) {
            if (!coding.display.empty()) return coding.display;
        }
        return {};
    }

    std::string_view methodOf(const fhir::Observation& observation, const fhir::ObservationResult& result,
                              const FactDefinition& fact) const {
        if (fact.methods.empty()) return {};
        // What the method element says outweighs what the code implies.
        std::string words = lowerCase(observation.method.text);
        for (const fhir::Coding& coding : observation.method.coding) words += ' ' + lowerCase(coding.display);
        if (fact.gate.empty() == false) {
            words += ' ' + lowerCase(result.code.text);
            for (const fhir::Coding& coding : result.code.coding) words += ' ' + lowerCase(coding.display);
        }
        for (const Method& method : fact.methods) {
            for (const std::string& text : method.text) {
                if (words.find(text) != std::string::npos) return method.name;
            }
        }
        if (!observation.method.empty()) return {};  // another method, or one we cannot read
        for (const Method& method : fact.methods) {
            for (const fhir::Coding& coding : result.code.coding) {
                const auto system = vocabulary_.system(coding.system);
                if (!system || vocabulary_.systemName(*system) != "loinc") continue;
                if (std::find(method.loinc.begin(), method.loinc.end(), coding.code) != method.loinc.end())
                    return method.name;
            }
        }
        return {};
    }

    /// Ruling 22: a count over all cells is about tumour cells only when the result says so.
    bool namesTumourCells(const fhir::Observation& observation, const fhir::ObservationResult& result,
                          const FactDefinition& fact) const {
        const auto names = [&](std::string_view text) {
            const std::string lower = lowerCase(text);
            return std::any_of(fact.gate.begin(), fact.gate.end(),
                               [&](const std::string& word) { return mentions(lower, word); });
        };
        const auto conceptNames = [&](const fhir::CodeableConcept& concept_) {
            return names(concept_.text) ||
                   std::any_of(concept_.coding.begin(), concept_.coding.end(),
                               [&](const fhir::Coding& coding) { return names(coding.display); });
        };
        return conceptNames(result.code) || conceptNames(observation.result.code) || conceptNames(observation.method) ||
               names(result.value.text) || names(result.value.codeableConcept.text) ||
               std::any_of(observation.texts.begin(), observation.texts.end(), names);
    }

    /// "room air", "oxygen" or nothing, for a saturation: from components of the same Observation, its words, and
    /// Observations of the same moment. Contradictory data counts as nothing (ruling 8).
    std::string oxygenOf(const fhir::Observation& observation, const FactDefinition& fact,
                         std::vector<Evidence>& inputs) {
        const bool asked = fact.derivation == Derivation::oxygen || fact.derivation == Derivation::oxygenRoomAir;
        if (!asked || oxygen_ == nullptr) return {};
        OxygenSaid said = oxygenSaid(observation.result, matchesOf(indexOf(*outline_)));
        for (const fhir::ObservationResult& component : observation.component)
            said.add(oxygenSaid(component, matchesOf(component.code)));
        const auto readWords = [&](std::string_view text) {
            if (text.empty()) return;
            const OxygenWords& words = oxygenWordsOf(text);
            said.air = said.air || words.air;
            said.oxygen = said.oxygen || words.oxygen;
        };
        sayOxygenCode(matchesOf(observation.method), said);
        readWords(observation.method.text);
        readWords(observation.result.code.text);
        readWords(observation.result.value.text);
        for (const fhir::Coding& coding : observation.method.coding) readWords(coding.display);
        for (const std::string_view text : observation.texts) readWords(text);
        for (const Oxygen& oxygenObservation : oxygenObservations_) {
            const fhir::ObservationOutline* const sibling = oxygenObservation.outline;
            if (sibling == outline_ || !observation.effective || !sibling->effective) continue;
            if (sibling->effective != observation.effective) {
                // Oxygen recorded the same day leaves open whether it was given at that moment; air then says nothing.
                said.unclear = said.unclear || oxygenObservation.said.unclear;
                const bool sameDay = sibling->effective->firstDay() <= observation.effective->lastDay() &&
                                     observation.effective->firstDay() <= sibling->effective->lastDay();
                if (!sameDay || !oxygenObservation.said.oxygen) continue;
                said.unclear = true;
            } else {
                said.add(oxygenObservation.said);
            }
            Evidence input;
            input.fact = oxygen_;
            input.resourceType = "Observation";
            input.id = sibling->id;
            input.date = sibling->effective;
            inputs.push_back(std::move(input));
        }
        if (said.air != said.oxygen) return said.air ? "on room air" : "on oxygen";
        return said.unclear ? "oxygen supply unclear" : "";
    }

    struct OxygenWords {
        std::string_view text;
        bool air = false;
        bool oxygen = false;
    };

    /// What words say of oxygen. They repeat themselves: codes have the same display each time.
    const OxygenWords& oxygenWordsOf(std::string_view text) {
        for (const OxygenWords& known : oxygenWords_) {
            if (known.text == text) return known;
        }
        if (oxygenWords_.size() == oxygenWords_.capacity()) oxygenWords_.clear();
        return oxygenWords_.emplace_back(
            OxygenWords{text, vocabulary_.saysRoomAir(text), vocabulary_.saysOnOxygen(text)});
    }

    /// What something says of the supply of oxygen.
    struct OxygenSaid {
        bool air = false;
        bool oxygen = false;
        bool unclear = false;

        void add(const OxygenSaid& other) {
            air = air || other.air;
            oxygen = oxygen || other.oxygen;
            unclear = unclear || other.unclear;
        }
    };

    void sayOxygenCode(std::span<const Match> matches, OxygenSaid& said) const {
        for (const Match& match : matches) {
            if (match.fact != oxygen_->index || match.role != Role::answer) continue;
            (match.value == "room air" ? said.air : said.oxygen) = true;
        }
    }

    /// What the vocabulary's inspired oxygen says, by a result whose code means `matches`: a fraction (21 % is air), a
    /// flow (0 is air), or a code.
    OxygenSaid oxygenSaid(const fhir::ObservationResult& result, std::span<const Match> matches) const {
        OxygenSaid said;
        // A code whose value is "no" says the opposite, and what that is nobody knows.
        const bool denied = result.value.kind == fhir::ObservationValue::Kind::boolean && !result.value.boolean;
        if (!denied) sayOxygenCode(matches, said);
        if (!result.value.codeableConcept.coding.empty()) sayOxygenCode(matchesOf(result.value.codeableConcept), said);
        const bool isOxygen = std::any_of(matches.begin(), matches.end(), [&](const Match& match) {
            return match.fact == oxygen_->index && match.role == Role::accept;
        });
        if (!isOxygen || result.value.kind != fhir::ObservationValue::Kind::quantity) return said;
        const Measured measured = mapping::measure(result.value.quantity, *oxygen_, vocabulary_);
        if (!isDecided(measured.basis) || !measured.value.isPoint()) {
            said.unclear = true;  // oxygen was written down, and how much cannot be read
            return said;
        }
        const Rational expected = measured.factor ? 21 : 0;  // per cent, or litres a minute
        (*measured.value.low == expected ? said.air : said.oxygen) = true;
        return said;
    }

    std::vector<Match> matchesOf(const fhir::CodeableConcept& concept_) const {
        std::vector<Match> matches;
        addMatches(concept_, matches);
        return matches;
    }

    void addMatches(const fhir::CodeableConcept& concept_, std::vector<Match>& matches) const {
        for (const fhir::Coding& coding : concept_.coding) addMatches(coding, matches);
    }

    void addMatches(const fhir::Coding& coding, std::vector<Match>& matches) const {
        const std::vector<Match>& found = vocabulary_.meaningOf(coding).matches;
        matches.insert(matches.end(), found.begin(), found.end());
    }

    const fhir::Chart& chart_;
    const Vocabulary& vocabulary_;
    Facts& facts_;
    fhir::Date asOf_;
    Results wanted_;
    std::vector<Match> codeMatches_;  ///< of the codes of all Observations
    struct Range {
        std::size_t begin = 0;
        std::size_t count = 0;
    };
    std::vector<Status> status_;  ///< of all Observations
    std::vector<Range> ranges_;   ///< which of those are an Observation's
    std::vector<Match> matches_;
    std::vector<bool> isRead_;           ///< which Observations were read
    std::vector<std::uint16_t> seenAt_;  ///< by fact, where it is in seen_, counted from 1
    std::vector<Seen> seen_;
    /// What there is to say of an Observation.
    struct Report {
        std::size_t index;
        fhir::Issue issue;
        static bool isBefore(const Report& a, const Report& b) { return a.index < b.index; }
    };
    std::vector<Report> reports_;
    bool hasUncoded_ = false;                   ///< an Observation carries no code
    bool readByOneFact_ = false;                ///< no other fact may understand what this one cannot read
    std::unordered_set<std::string> reported_;  ///< paths that already have an issue
    std::optional<std::pair<int, int>> age_;    ///< ageInMonths()
    const FactDefinition* oxygen_ = nullptr;
    struct Oxygen {
        const fhir::ObservationOutline* outline = nullptr;
        OxygenSaid said;
    };
    std::vector<Oxygen> oxygenObservations_;
    boost::container::static_vector<OxygenWords, 8> oxygenWords_;
    const fhir::ObservationOutline* outline_ = nullptr;  ///< of the Observation that is being read
};

}  // namespace

Measured measure(const fhir::Quantity& quantity, const FactDefinition& fact, const Vocabulary& vocabulary) {
    return measured(quantity, fact, vocabulary.unitOf(fact, quantity));
}

bool readObservations(const fhir::Chart& chart, const Vocabulary& vocabulary, Facts& facts, Results wanted) {
    return ObservationReader(chart, vocabulary, facts, wanted).read();
}

namespace {

/// Keeps those that no other one is certainly later than, by one of their times. All of them must have it.
template <typename Time>
void keepLatest(std::vector<const Evidence*>& results, Time time) {
    if (!std::all_of(results.begin(), results.end(), [&](const Evidence* e) { return time(*e).has_value(); })) return;
    std::int64_t latestFirst = std::numeric_limits<std::int64_t>::min();
    for (const Evidence* result : results) latestFirst = std::max(latestFirst, time(*result)->first);
    std::erase_if(results, [&](const Evidence* e) { return time(*e)->last < latestFirst; });
}

/// Of very many results of one moment those that can decide differently: the first of each kind, and the lowest and
/// highest value, alone and over its upper limit.
void keepExtremes(std::vector<const Evidence*>& results) {
    constexpr std::size_t most = 16;
    if (results.size() <= most) return;
    std::vector<const Evidence*> kept;
    const auto keep = [&](const Evidence* e) {
        if (std::find(kept.begin(), kept.end(), e) == kept.end()) kept.push_back(e);
    };
    const auto measuredOrder = [](bool relative) {
        return [relative](const Evidence* a, const Evidence* b) {
            const auto key = [relative](const Evidence& e) -> std::optional<Rational> {
                const auto& end = e.value.low ? e.value.low : e.value.high;
                if (!end || (relative && !e.upperLimit)) return std::nullopt;
                return relative ? Rational(*end / *e.upperLimit) : *end;
            };
            return key(*a) < key(*b);
        };
    };
    for (const bool relative : {false, true}) {
        const auto [low, high] = std::minmax_element(results.begin(), results.end(), measuredOrder(relative));
        keep(*low);
        keep(*high);
    }
    std::set<std::tuple<Basis, std::optional<bool>, std::string_view, std::string_view, bool>> kinds;
    for (const Evidence* e : results) {
        if (kinds.emplace(e->basis, e->positive, e->coded, e->method, e->upperLimit.has_value()).second) keep(e);
    }
    results = std::move(kept);
}

/// An order that does not depend on the place in the file. Of one moment, what says yes comes last.
bool before(const Evidence* left, const Evidence* right) {
    const auto key = [](const Evidence& e) {
        return std::make_tuple(e.date ? e.date->first : std::numeric_limits<std::int64_t>::min(), e.positive == true,
                               -static_cast<int>(e.basis), e.id, std::string_view(e.valueText), e.unitText);
    };
    return key(*left) < key(*right);
}

}  // namespace

std::vector<Evidence> selectNewest(const std::vector<Evidence>& results, const Method* method) {
    std::vector<const Evidence*> all;
    all.reserve(results.size());
    for (const Evidence& e : results) {
        if (method == nullptr || e.method == method->name) all.push_back(&e);
    }
    if (all.empty()) return {};
    std::vector<const Evidence*> kept;
    kept.reserve(all.size());
    for (const Evidence* e : all) {
        if (isDecided(e->basis) || (e->indeterminate && e->date)) kept.push_back(e);
    }
    if (kept.empty()) {
        // A result without a value hides none that says something.
        for (const Evidence* e : all) {
            if (e->basis != Basis::missing) kept.push_back(e);
        }
        if (kept.empty()) return {*all.front()};
        return {**std::max_element(kept.begin(), kept.end(), before)};
    }
    keepLatest(kept, [](const Evidence& e) -> const std::optional<fhir::DateTime>& { return e.date; });
    if (kept.size() > 1)
        keepLatest(kept, [](const Evidence& e) -> const std::optional<fhir::DateTime>& { return e.issued; });
    if (std::any_of(kept.begin(), kept.end(), [](const Evidence* e) { return e->amended; }))
        std::erase_if(kept, [](const Evidence* e) { return !e->amended; });
    std::sort(kept.begin(), kept.end(), before);
    keepExtremes(kept);
    std::vector<Evidence> newest;
    newest.reserve(kept.size());
    for (const Evidence* e : kept) newest.push_back(*e);
    return newest;
}

void markStale(std::vector<Evidence>& results, fhir::Date asOf) {
    for (Evidence& result : results) {
        if (!isDecided(result.basis) || !result.fact->freshFor || !result.date) continue;
        if (result.fact->positiveStays && result.positive == true) continue;
        const fhir::Date oldest = asOf - *result.fact->freshFor;
        if (result.date->lastDay() < oldest) {
            result.stale = true;
        } else if (result.date->firstDay() < oldest) {
            result.basis = Basis::undated;
            result.detail = "the date is too vague to tell whether it is recent";
        }
    }
}

void keepPositive(std::vector<Evidence>& results, const std::vector<Evidence>& all) {
    const auto time = [](const Evidence* e) {
        return std::tuple(e->date.has_value(), e->date ? e->date->first : 0, e->date ? e->date->last : 0, e->id);
    };
    // A correction of the same day replaces a positive result; a later one does not, nor is it certain of a vague date.
    const auto isCorrected = [&](const Evidence& result) {
        return std::any_of(results.begin(), results.end(), [&](const Evidence& e) {
            return e.amended && !result.amended && e.date && result.date && result.date->isOneDay() &&
                   e.date->first <= result.date->last;
        });
    };
    const Evidence* newest = nullptr;
    for (const Evidence& result : all) {
        const bool readable = isDecided(result.basis) || result.basis == Basis::undated;
        if (!readable || result.positive != true || isCorrected(result)) continue;
        if (newest == nullptr || time(&result) > time(newest)) newest = &result;
    }
    if (newest == nullptr) return;
    if (std::any_of(results.begin(), results.end(),
                    [](const Evidence& e) { return e.positive == true && isDecided(e.basis); }))
        return;
    Evidence positive = *newest;
    positive.basis = positive.isAnswer() ? Basis::attested : Basis::recorded;
    std::erase_if(results, [](const Evidence& e) { return !isDecided(e.basis); });
    results.push_back(std::move(positive));
}

}  // namespace mapping
