#include "tests/model/evaluator.h"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <utility>

namespace model {

namespace {

/// Every number that a measurement may mean.
struct Range {
    std::optional<Ratio> low;
    std::optional<Ratio> high;
    bool lowOpen = false;
    bool highOpen = false;
};

/// "Is it op bound?" is answered when all of the range gives the same answer.
Truth compare(const Range& range, const std::string& op, Ratio bound) {
    if (op == ">") return opposite(compare(range, "<=", bound));
    if (op == ">=") return opposite(compare(range, "<", bound));
    if (op == "=") {
        const bool point = range.low && range.high && *range.low == *range.high;
        if (point) return *range.low == bound ? Truth::yes : Truth::no;
        const bool above = range.low && (bound < *range.low || (bound == *range.low && range.lowOpen));
        const bool below = range.high && (*range.high < bound || (bound == *range.high && range.highOpen));
        return above || below ? Truth::no : Truth::open;
    }
    const bool orEqual = op == "<=";
    const bool all = range.high && (*range.high < bound || (*range.high == bound && (orEqual || range.highOpen)));
    const bool none = range.low && (bound < *range.low || (*range.low == bound && (!orEqual || range.lowOpen)));
    return all ? Truth::yes : none ? Truth::no : Truth::open;
}

/// What one result says about one fact.
struct Reading {
    bool usable = true;
    bool empty = false;          ///< no value at all: as if it were not there
    bool undated = false;        ///< it lacks nothing but its date
    bool indeterminate = false;  ///< read, and neither positive nor negative: it stands beside the others
    std::optional<bool> positive;
    Range range;
    bool belowLimit = false;  ///< "<34", or detected and less than can be counted
    std::optional<Ratio> upperLimit;
    std::string coded;
    std::string method;
    std::optional<Span> date;
    std::optional<Span> issued;
    bool amended = false;
    Item::Oxygen oxygen = Item::Oxygen::unstated;
};

/// What one disease, procedure, vaccine or drug says about one fact.
struct Record {
    enum class Course { active, remission, over, stopped, unstated };
    std::size_t item = 0;
    Course course = Course::unstated;
    bool sure = true;  ///< confirmed, and by a code that decides
    bool conflicting = false;
    bool reviewed = false;   ///< by a code that never decides
    bool confirmed = true;   ///< not provisional or the like
    bool asked = false;      ///< heart failure of no stated class
    bool untreated = false;  ///< a listed exception whose end is not recorded
    bool relapse = false;
    bool history = false;  ///< that it was so, never when
    bool onset = false;    ///< the date is an onset
    std::optional<Span> date;
    std::optional<Span> end;
    std::optional<std::pair<Ratio, Ratio>> halfLife;  ///< days
};

class Evaluator {
public:
    explicit Evaluator(const Patient& patient) : patient_(patient), endOfToday_((patient.asOf + 1) * 86'400'000LL - 1) {
        for (const FactEntry& fact : knowledge().facts) {
            if (fact.hint) continue;
            for (std::size_t i = 0; i < patient_.items.size(); ++i) {
                const Item& item = patient_.items[i];
                if (item.kind == Item::Kind::result) {
                    if (auto read = readResult(item, fact)) readings_[fact.name].push_back(std::move(*read));
                } else if (item.kind != Item::Kind::uncoded) {
                    if (auto record = readRecord(i, fact)) records_[fact.name].push_back(std::move(*record));
                }
            }
        }
        lineage();
        course();
        pregnancies();
    }

    std::map<std::string, Truth> evaluate() {
        std::map<std::string, Truth> truths;
        for (const TrialFile& trial : knowledge().trials) {
            trial_ = &trial;
            known_.clear();
            for (const Criterion& criterion : trial.criteria)
                truths[trial.id + '.' + criterion.id] = truthOf(criterion.id);
        }
        return truths;
    }

private:
    // --- the chart, read for one fact

    static const FactEntry& fact(const std::string& name) { return knowledge().fact(name); }

    /// Nothing is known of days to come.
    std::optional<Span> untilToday(const When& when) const {
        auto moment = span(when);
        if (moment) moment->last = std::min(moment->last, endOfToday_);
        return moment;
    }
    bool isAhead(const When& when) const {
        const auto moment = span(when);
        return moment && moment->firstDay() > patient_.asOf;
    }

    static std::string roleFor(const Item& item, const FactEntry& fact) {
        static const std::map<std::string, int> rank{
            {"reject", -1}, {"review", 0}, {"answer", 1}, {"accept", 2}, {"remission", 3}};
        std::string best;
        for (const std::size_t sense : item.senses) {
            const auto& roles = knowledge().senses[sense].meaning.roles;
            const auto found = roles.find(fact.name);
            if (found == roles.end()) continue;
            if (best.empty() || rank.at(found->second) > rank.at(best)) best = found->second;
        }
        return best;
    }

    std::optional<Reading> readResult(const Item& item, const FactEntry& fact) const {
        const Meaning& meaning = knowledge().senses[item.senses.front()].meaning;
        const std::string role = roleFor(item, fact);
        if (role != "accept" && role != "review") return std::nullopt;
        const bool last = item.status == "final" || item.status == "amended" || item.status == "corrected";
        if (!last && item.status != "preliminary") return std::nullopt;
        const When& when = item.start ? item.start : item.issued;
        if (isAhead(when)) return std::nullopt;

        Reading reading;
        reading.date = untilToday(when);
        reading.issued = span(item.issued);
        reading.amended = item.status == "amended" || item.status == "corrected";
        reading.oxygen = item.oxygen;
        if (!item.method.empty()) {
            // What is written down outweighs what the code implies.
            const bool known = std::any_of(fact.methods.begin(), fact.methods.end(),
                                           [&](const MethodWords& method) { return method.name == item.method; });
            if (known) reading.method = item.method;
        } else if (const auto implied = meaning.methods.find(fact.name); implied != meaning.methods.end()) {
            reading.method = implied->second;
        }
        readValue(reading, item, fact);
        if (item.status == "preliminary" || role == "review") {
            reading.usable = false;
            if (item.status == "preliminary") reading.indeterminate = false;
        }
        if (reading.usable && !fact.gate.empty() && !item.namesTumourCells) reading.usable = false;  // ruling 22
        if (item.status == "preliminary") reading.empty = false;  // a result is on its way
        reading.undated = reading.usable && !reading.date;
        if (reading.undated) reading.usable = false;
        return reading;
    }

    static Range rangeOf(const Item& item, Ratio factor) {
        const Ratio value = item.number * factor;
        Range range;
        if (item.high) {
            range.low = value;
            range.high = *item.high * factor;
        } else if (item.comparator.empty()) {
            range.low = range.high = value;
        } else if (item.comparator[0] == '<') {
            range.high = value;
            range.highOpen = item.comparator == "<";
        } else {
            range.low = value;
            range.lowOpen = item.comparator == ">";
        }
        return range;
    }

    static void readValue(Reading& reading, const Item& item, const FactEntry& fact) {
        if (item.value == Item::Value::absent) {
            reading.usable = false;
            reading.empty = true;
            return;
        }
        if (fact.kind == "quantity") {
            if (item.value != Item::Value::number) {
                reading.usable = false;
                reading.empty = true;
                return;
            }
            const auto factor = factorOf(item, fact);
            if (!factor || !*factor) {
                reading.usable = false;
                return;
            }
            reading.range = rangeOf(item, **factor);
            if (item.upperLimit && ratio(0) < *item.upperLimit) reading.upperLimit = *item.upperLimit * **factor;
            if (fact.plausible) {
                // Nobody believes such a limit either, nor a range that ends before it begins.
                if (reading.range.low && reading.range.high && *reading.range.high < *reading.range.low)
                    reading.usable = false;
                if (reading.upperLimit &&
                    (*reading.upperLimit < fact.plausible->first || fact.plausible->second < *reading.upperLimit))
                    reading.upperLimit.reset();
                for (const auto& end : {reading.range.low, reading.range.high}) {
                    if (end && (*end < fact.plausible->first || fact.plausible->second < *end)) reading.usable = false;
                }
            }
            return;
        }
        if (fact.derivation == "nyha") {
            const bool known = item.value == Item::Value::answer && item.answer != "0";
            reading.usable = known;
            if (known) reading.positive = item.answer == "3" || item.answer == "4";
            return;
        }
        if (item.value == Item::Value::polarity) {
            reading.indeterminate = item.polarity == "indeterminate";
            reading.usable = !reading.indeterminate;
            if (reading.usable) reading.positive = item.polarity == "positive";
            return;
        }
        if (fact.kind == "viralLoad") {
            const auto factor = factorOf(item, fact);
            const bool below = !item.comparator.empty() && item.comparator[0] == '<';
            reading.belowLimit = below;
            if (!factor) {
                // In a unit that is not read: below its limit is below detection all the same.
                reading.usable = below;
                reading.positive = false;
                return;
            }
            reading.range = rangeOf(item, factor->value_or(ratio(1)));
            reading.positive = !below && (ratio(0) < item.number || item.comparator == ">");
            if (item.upperLimit) reading.upperLimit = *item.upperLimit * factor->value_or(ratio(1));
            return;
        }
        // A number where a yes or no is asked: above the cut-off of its assay is positive.
        const bool below = !item.comparator.empty() && item.comparator[0] == '<';
        if (!fact.gate.empty() || item.high || (!item.upperLimit && !below)) {
            reading.usable = false;
            return;
        }
        if (!item.upperLimit) {
            reading.positive = false;
            return;
        }
        const Truth above = compare(rangeOf(item, ratio(1)), ">", *item.upperLimit);
        reading.usable = above != Truth::open;
        reading.positive = above == Truth::yes;
    }

    /// Nothing: the unit is not read. A factor of nothing: read, and never converted.
    static std::optional<std::optional<Ratio>> factorOf(const Item& item, const FactEntry& fact) {
        if (item.strangeUnit) return std::nullopt;
        for (const auto& [unit, factor] : fact.units) {
            if (unit == item.unit) return factor;
        }
        return std::nullopt;
    }

    std::optional<Record> readRecord(std::size_t index, const FactEntry& fact) const {
        const Item& item = patient_.items[index];
        const std::string role = roleFor(item, fact);
        if (role.empty() || role == "reject") return std::nullopt;
        // A drug that is taken is no allergy to it, and a procedure no disease.
        const bool act = std::any_of(fact.sources.begin(), fact.sources.end(), [](const std::string& type) {
            return type == "Procedure" || type == "Immunization" || type.starts_with("Medication");
        });
        if (item.kind == Item::Kind::act && !act) return std::nullopt;
        return item.kind == Item::Kind::disease ? readDisease(index, fact, role) : readAct(index, fact, role);
    }

    bool counts(const Item& item) const {
        if (item.kind == Item::Kind::disease) {
            if (item.verification == "refuted" || item.verification == "entered-in-error") return false;
            return !isAhead(item.start ? item.start : item.recorded);
        }
        static const std::set<std::string> never{"not-done", "entered-in-error", "preparation", "cancelled",
                                                 "draft",    "intended",         "not-taken"};
        if (never.contains(item.status) || item.doNotPerform) return false;
        if (item.intent == "plan" || item.intent == "proposal" || item.intent == "option") return false;
        return !isAhead(item.start);
    }

    std::optional<Record> readDisease(std::size_t index, const FactEntry& fact, const std::string& role) const {
        const Item& item = patient_.items[index];
        if (!counts(item)) return std::nullopt;
        Record record;
        record.item = index;
        if (role == "answer") {
            // The class of a heart failure as a finding of its own.
            if (fact.derivation != "nyha") return std::nullopt;
            const auto& answers = knowledge().senses[item.senses.front()].meaning.answers;
            const auto answer = answers.find(fact.name);
            if (answer == answers.end() || (answer->second != "3" && answer->second != "4")) return std::nullopt;
        }
        bool remission = item.status == "remission" || item.inRemissionCode;
        for (const std::size_t sense : item.senses) {
            const Meaning& meaning = knowledge().senses[sense].meaning;
            const auto own = meaning.roles.find(fact.name);
            if (own != meaning.roles.end() && own->second == role && meaning.history) record.history = true;
            remission = remission || meaning.remission;
            const auto relapse = meaning.roles.find("relapse");
            record.relapse = record.relapse || (relapse != meaning.roles.end() && relapse->second == "accept");
        }
        record.relapse = record.relapse || item.status == "relapse" || item.status == "recurrence";
        if (item.status == "active" || item.status == "recurrence" || item.status == "relapse") {
            record.course = Record::Course::active;
        } else if (item.status == "remission") {
            record.course = Record::Course::remission;
        } else if (item.status == "inactive" || item.status == "resolved" || (item.end && !isAhead(item.end))) {
            record.course = Record::Course::over;
        }
        if (role == "remission" || (remission && record.course != Record::Course::over))
            record.course = Record::Course::remission;
        record.confirmed = item.verification.empty() || item.verification == "confirmed";
        record.reviewed = role == "review";
        record.sure = record.confirmed && !record.reviewed;
        if (!record.history) {
            record.date = untilToday(item.start ? item.start : item.recorded);
            record.onset = static_cast<bool>(item.start);
        }
        if (item.end && !isAhead(item.end)) record.end = untilToday(item.end);
        record.untreated = fact.needsTreatment && !item.end;
        record.asked = fact.derivation == "nyha" && record.reviewed && record.confirmed;
        return record;
    }

    std::optional<Record> readAct(std::size_t index, const FactEntry& fact, const std::string& role) const {
        const Item& item = patient_.items[index];
        if (!counts(item) || item.unresolved || (role != "accept" && role != "review")) return std::nullopt;
        const Meaning& meaning = knowledge().senses[item.senses.front()].meaning;
        Record record;
        record.item = index;
        record.reviewed = role == "review";
        record.sure = !record.reviewed && item.status != "unknown";
        record.history = meaning.history;
        record.onset = true;
        record.date = untilToday(item.start);
        const bool underway = item.status == "active" || item.status == "in-progress";
        // One moment is the whole of it, unless it goes on.
        const bool single = item.kind == Item::Kind::act && !item.period && item.type != "MedicationRequest";
        const When end = single ? (underway ? When{} : item.start) : item.end;
        const auto ended = span(end);
        const bool isOver = ended && ended->firstDay() <= patient_.asOf;
        if (fact.event) {
            record.course = Record::Course::active;
            if (isOver) record.date = untilToday(end);
        } else if (isOver && !(underway && ended->lastDay() > patient_.asOf)) {
            record.course = Record::Course::stopped;
            record.end = untilToday(end);
        } else {
            record.course = underway || ended ? Record::Course::active : Record::Course::stopped;
        }
        record.halfLife = meaning.halfLife;
        if (!fact.route.empty() && item.type.starts_with("Medication")) {
            const bool isLocal = item.route.empty() ? meaning.localDrug : item.route == "local";
            if (isLocal) return std::nullopt;
            const bool isSystemic = item.route.empty() ? meaning.systemicDrug : item.route == "systemic";
            if (fact.route == "systemic" && !isSystemic) record.sure = false;
        }
        return record;
    }

    // --- what comes from other facts

    /// Ruling 2: lymphoblastic disease whose code states no lineage.
    void lineage() {
        std::vector<Record>& leukemia = records_["tLymphoblasticLeukemia"];
        std::vector<Record>& lymphoma = records_["tLymphoblasticLymphoma"];
        const std::vector<Record>& bLineage = records_["bLymphoblasticLeukemia"];
        const auto stated = [](const std::vector<Record>& records) {
            return std::any_of(records.begin(), records.end(), [](const Record& record) { return record.sure; });
        };
        const bool t = stated(leukemia) || stated(lymphoma);
        const bool b = stated(bLineage);
        std::vector<Record> unstated;
        for (const auto* records : {&leukemia, &lymphoma}) {
            for (const Record& record : *records) {
                if (record.reviewed) unstated.push_back(record);
            }
        }
        for (auto* records : {&leukemia, &lymphoma}) {
            if (t && b) {
                for (Record& record : *records) record.sure = false;
            } else if (t) {
                for (Record& record : *records) record.sure = record.sure || (record.reviewed && record.confirmed);
            } else {
                std::erase_if(*records, [](const Record& record) { return record.reviewed; });
                // Where nobody states it, it may be either.
                if (!b) records->insert(records->end(), unstated.begin(), unstated.end());
            }
        }
        bLineageStated_ = b && !t;
    }

    bool isLeukemia(std::size_t item) {
        for (const std::string name :
             {"acuteMyeloidLeukemia", "acutePromyelocyticLeukemia", "lymphoblasticLeukemiaOrLymphoma"}) {
            for (const Record& record : records_[name]) {
                if (record.item == item) return true;
            }
        }
        return false;
    }

    /// Rulings 2 and 23: relapses and remissions that the status of the disease states.
    void course() {
        const std::vector<Record> malignancies = records_["hematologicMalignancy"];
        const auto has = [](const std::vector<Record>& records, std::size_t item) {
            return std::any_of(records.begin(), records.end(),
                               [&](const Record& record) { return record.item == item; });
        };
        std::vector<Record>& relapses = records_["relapse"];
        const std::vector<Record> coded = relapses;
        for (Record record : malignancies) {
            if (!record.relapse || has(coded, record.item)) continue;
            // The onset is that of the disease, not of its relapse.
            record.date.reset();
            record.onset = false;
            record.history = true;
            relapses.push_back(record);
        }
        std::vector<Record>& remissions = records_["completeRemission"];
        const std::vector<Record> named = remissions;
        for (const Record& record : malignancies) {
            if (record.course == Record::Course::remission && !has(named, record.item)) remissions.push_back(record);
        }
        for (Record& record : remissions) {
            record.date = record.end;  // Condition.abatement[x] is the date of resolution or remission
            record.history = !record.end;
        }
        for (const Record& relapse : relapses) {
            if (!relapse.sure || !isLeukemia(relapse.item)) continue;
            Record record = relapse;
            record.date.reset();
            record.history = true;
            remissions.push_back(record);
        }
    }

    /// Pregnancies stay on problem lists for years.
    void pregnancies() {
        for (const FactEntry& fact : knowledge().facts) {
            if (!fact.conditionFreshFor) continue;
            for (Record& record : records_[fact.name]) {
                if (!record.date || patient_.asOf - record.date->firstDay() > *fact.conditionFreshFor)
                    record.sure = false;
            }
        }
    }

    // --- logic

    Truth truthOf(const std::string& id) {
        if (const auto found = known_.find(id); found != known_.end()) return found->second;
        const auto criterion = std::find_if(trial_->criteria.begin(), trial_->criteria.end(),
                                            [&](const Criterion& each) { return each.id == id; });

        const Truth truth = truthOf(criterion->when, *criterion);
        known_[id] = truth;
        return truth;
    }

    Truth truthOf(const Rule& rule, const Criterion& criterion) {
        Truth truth = rule.kind == Rule::Kind::all ? Truth::yes : Truth::no;
        switch (rule.kind) {
            case Rule::Kind::ask:
                return Truth::open;
            case Rule::Kind::reference:
                return truthOf(rule.text);
            case Rule::Kind::negation:
                return opposite(truthOf(rule.rules.front(), criterion));
            case Rule::Kind::sentence:
                return sentence(rule.text, criterion);
            case Rule::Kind::all:
                for (const Rule& part : rule.rules) truth = both(truth, truthOf(part, criterion));
                return truth;
            case Rule::Kind::any:
                for (const Rule& part : rule.rules) truth = either(truth, truthOf(part, criterion));
                return truth;
        }
        return Truth::open;
    }

    struct Window {
        long length = 0;
        std::string unit;
        bool ahead = false;
        long halfLives = 0;
    };

    struct Sentence {
        std::string fact;
        std::string op;
        Ratio bound;
        bool timesUpperLimit = false;
        std::string method;
        std::vector<std::string> members;
        std::string except;
        std::string after;
        std::optional<Window> window;
        bool twice = false;
    };

    static Sentence parse(const std::string& text) {
        std::vector<std::string> words;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find(' ', at), text.size());
            words.push_back(text.substr(at, end - at));
            at = end + 1;
        }
        static const std::set<std::string> modifiers{"by", "except", "within", "after", "twice"};
        Sentence result;
        result.fact = words.at(0);
        std::size_t i = 1;
        if (i < words.size() && words[i].find_first_not_of("<=>") == std::string::npos) {
            result.op = words[i++];
            result.bound = parseRatio(words.at(i++));
            if (i < words.size() && !modifiers.contains(words[i])) {
                result.timesUpperLimit = words[i] == "xULN";
                if (!result.timesUpperLimit) result.bound = result.bound * inFactUnit(result.fact, words[i]);
                ++i;
            }
        } else if (i < words.size() && words[i] == "in") {
            std::string member;
            for (++i; i < words.size(); ++i) {
                member += (member.empty() ? "" : " ") + words[i];
                if (!member.ends_with(',')) continue;
                member.pop_back();
                result.members.push_back(std::exchange(member, {}));
            }
            result.members.push_back(member);
        }
        while (i < words.size()) {
            const std::string modifier = words[i++];
            if (modifier == "by") {
                while (i < words.size() && !modifiers.contains(words[i]))
                    result.method += (result.method.empty() ? "" : " ") + words[i++];
            } else if (modifier == "except") {
                result.except = words.at(i++);
            } else if (modifier == "after") {
                result.after = words.at(i++);
            } else if (modifier == "within") {
                Window window{std::stol(words.at(i)), words.at(i + 1), false, 0};
                i += 2;
                if (i < words.size() && words[i] == "or") {
                    window.halfLives = std::stol(words.at(i + 1));
                    i += 3;
                }
                if (i < words.size() && words[i] == "before") {
                    window.ahead = words.at(i + 1) != "screening";
                    i += 2;
                }
                result.window = window;
            } else {
                result.twice = true;
                i += 5;  // at least N days apart
            }
        }
        return result;
    }

    static Ratio inFactUnit(const std::string& name, const std::string& unit) {
        static const std::map<std::string, std::string> spelled{{"years", "a"}};
        const auto spelling = spelled.find(unit);
        for (const auto& [known, factor] : fact(name).units) {
            if (known == (spelling == spelled.end() ? unit : spelling->second) && factor) return *factor;
        }
        throw std::logic_error("the unit of a sentence: " + unit);
    }

    Truth sentence(const std::string& text, const Criterion& criterion) {
        const Sentence parsed = parse(text);
        const FactEntry& entry = fact(parsed.fact);
        if (entry.name == "age" || entry.name == "ageInMonths") return ageIs(parsed);
        if (entry.derivation == "childbearing") return ofChildbearingAge();
        if (!parsed.after.empty()) return after(parsed);
        if (parsed.twice) return silence(entry);
        if (!parsed.op.empty()) return number(parsed, entry);
        if (!parsed.members.empty()) return membership(parsed, entry);
        return finding(entry, criterion, parsed);
    }

    // --- silence

    /// Rulings 4, 15 and 16.
    Truth silence(const FactEntry& entry) const {
        if (!entry.absentIsNo) return Truth::open;
        if (entry.systems.empty() && entry.derivation.empty()) return Truth::open;
        for (const std::string& type : entry.sources) {
            if (type == "Patient" || type == "DiagnosticReport") continue;
            if (!patient_.covered.contains(type)) return Truth::open;
        }
        for (const Item& item : patient_.items) {
            if (!entry.reads(item.type)) continue;
            if (item.kind == Item::Kind::uncoded) {
                if (!isAhead(item.start) || item.type == "Observation") return Truth::open;
                continue;
            }
            if (item.kind == Item::Kind::result || !counts(item)) continue;
            // In none of the systems in which it could have been recognised.
            bool recognisable = item.inRemissionCode && entry.systems.contains("snomed");
            for (const std::size_t sense : item.senses)
                recognisable = recognisable || entry.systems.contains(knowledge().senses[sense].system);
            if (item.unresolved || !recognisable) return Truth::open;
        }
        return Truth::no;
    }

    // --- persons

    /// The answer for every day on which the patient may have been born.
    Truth everyBirthday(const std::function<bool(long)>& holds) const {
        const auto birth = span(patient_.birth);
        if (!birth) return Truth::open;
        bool all = true;
        bool none = true;
        for (long day = birth->firstDay(); day <= std::min(birth->lastDay(), patient_.asOf); ++day)
            (holds(day) ? none : all) = false;
        return all ? Truth::yes : none ? Truth::no : Truth::open;
    }

    long completedYears(long birth) const {
        const long years = civil(patient_.asOf).year - civil(birth).year;
        return monthsLater(birth, 12 * years) <= patient_.asOf ? years : years - 1;
    }

    Truth ageIs(const Sentence& sentence) const {
        const long bound = static_cast<long>(sentence.bound.n / sentence.bound.d);
        const bool months = sentence.fact == "ageInMonths";
        return everyBirthday([&](long birth) {
            if (!months) {
                const Ratio years = ratio(completedYears(birth));
                return compare({years, years, false, false}, sentence.op, sentence.bound) == Truth::yes;
            }
            // Exactly so many months only on the very day.
            const long reached = monthsLater(birth, bound);
            const bool exactly = reached == patient_.asOf && monthsLater(birth, bound - 1) < patient_.asOf;
            if (sentence.op == "=") return exactly;
            return reached < patient_.asOf;
        });
    }

    Truth ofChildbearingAge() const {
        if (patient_.gender == "male") return Truth::no;
        if (patient_.gender != "female") return Truth::open;
        return everyBirthday([&](long birth) {
            const long years = completedYears(birth);
            return years >= 12 && years <= 55;
        });
    }

    // --- results

    /// Ruling 10: those that no other one is certainly later than.
    static std::vector<Reading> newest(const std::vector<Reading>& all) {
        std::vector<Reading> kept;
        for (const Reading& reading : all) {
            if (reading.usable || (reading.indeterminate && reading.date)) kept.push_back(reading);
        }
        const auto keepLatest = [&](std::optional<Span> Reading::*time) {
            for (const Reading& reading : kept) {
                if (!(reading.*time)) return;
            }
            const std::vector<Reading> before = kept;
            std::erase_if(kept, [&](const Reading& reading) {
                return std::any_of(before.begin(), before.end(),
                                   [&](const Reading& other) { return (other.*time)->first > (reading.*time)->last; });
            });
        };
        keepLatest(&Reading::date);
        if (kept.size() > 1) keepLatest(&Reading::issued);
        if (std::any_of(kept.begin(), kept.end(), [](const Reading& reading) { return reading.amended; }))
            std::erase_if(kept, [](const Reading& reading) { return !reading.amended; });
        return kept;
    }

    enum class Freshness { fresh, stale, vague };
    Freshness freshness(const Reading& reading, const FactEntry& entry) const {
        if (!entry.freshFor || !reading.date) return Freshness::fresh;
        if (entry.positiveStays && reading.positive == true) return Freshness::fresh;
        const long oldest = patient_.asOf - *entry.freshFor;
        if (reading.date->lastDay() < oldest) return Freshness::stale;
        return reading.date->firstDay() < oldest ? Freshness::vague : Freshness::fresh;
    }

    /// The results that count for a fact, and whether there is any that says nothing useful.
    struct Results {
        std::vector<Reading> counting;
        bool somethingElse = false;
    };

    Results resultsOf(const FactEntry& entry, const std::string& method = {}) {
        std::vector<Reading> all = readings_[entry.name];
        Results results;
        for (const Reading& reading : all) results.somethingElse = results.somethingElse || !reading.empty;
        if (entry.derivation == "cockcroftGault") return clearances(std::move(all), method);
        const std::vector<Reading> everything = all;
        if (!method.empty()) std::erase_if(all, [&](const Reading& reading) { return reading.method != method; });
        results.counting = newest(all);
        if (method.empty() && entry.positiveStays) keepPositive(results.counting, everything);
        return results;
    }

    /// Ruling 5: a positive result stays; a later negative one conflicts with it.
    static void keepPositive(std::vector<Reading>& counting, const std::vector<Reading>& all) {
        // A correction takes the place of what it corrects; of a vague date nobody knows whether it does.
        const auto corrected = [&](const Reading& positive) {
            const bool isOneDay = positive.date && positive.date->firstDay() == positive.date->lastDay();
            return isOneDay && !positive.amended &&
                   std::any_of(counting.begin(), counting.end(), [&](const Reading& reading) {
                       return reading.amended && reading.date && reading.date->first <= positive.date->last;
                   });
        };
        const Reading* latest = nullptr;
        for (const Reading& reading : all) {
            // Undated it is positive all the same.
            if (!reading.positive || !*reading.positive || reading.indeterminate || corrected(reading)) continue;
            if (!reading.usable && !reading.undated) continue;
            if (latest == nullptr || (reading.date && (!latest->date || reading.date->first > latest->date->first)))
                latest = &reading;
        }
        if (latest == nullptr) return;
        for (const Reading& reading : counting) {
            if (reading.positive == true) return;
        }
        std::erase_if(counting, [](const Reading& reading) { return !reading.usable; });
        Reading positive = *latest;
        positive.usable = true;
        counting.push_back(positive);
    }

    /// What the results that count lead to: they must agree.
    static Truth agreed(const std::vector<Truth>& truths) {
        for (const Truth truth : truths) {
            if (truth != truths.front()) return Truth::open;
        }
        return truths.front();
    }

    Truth number(const Sentence& sentence, const FactEntry& entry) {
        if (entry.name == "relapseCount") return relapseCount(sentence);
        if (entry.name == "monthsFromRemissionToRelapse") return monthsToRelapse(sentence);
        if (entry.kind == "count") {
            if (silence(entry) == Truth::open) return Truth::open;
            return compare({ratio(0), ratio(0), false, false}, sentence.op, sentence.bound);
        }
        const Results results = resultsOf(entry, sentence.method);
        if (results.counting.empty()) return Truth::open;
        std::vector<Truth> truths;
        for (const Reading& reading : results.counting) truths.push_back(number(sentence, entry, reading));
        return agreed(truths);
    }

    Truth number(const Sentence& sentence, const FactEntry& entry, const Reading& reading) const {
        if (!reading.usable || freshness(reading, entry) != Freshness::fresh) return Truth::open;
        Range range = reading.range;
        // Ruling 21: on oxygen, what it would be without is at most what it is.
        const bool saturation = entry.derivation == "oxygen" || entry.derivation == "oxygenRoomAir";
        if (saturation) {
            const bool unstated =
                reading.oxygen == Item::Oxygen::unstated || reading.oxygen == Item::Oxygen::contradictory;
            if (reading.oxygen == Item::Oxygen::given || (unstated && entry.derivation == "oxygenRoomAir"))
                range.low.reset();
        }
        if (!sentence.timesUpperLimit) return compare(range, sentence.op, sentence.bound);
        if (entry.kind == "viralLoad") {
            // Rulings 9 and 25: below detection, or below quantification, is not above the limit.
            if (reading.positive == false || reading.belowLimit)
                return compare({std::nullopt, ratio(1), false, false}, sentence.op, sentence.bound);
            if (!range.low && !range.high) return Truth::open;
        }
        if (!reading.upperLimit) return Truth::open;
        return compare(range, sentence.op, sentence.bound * *reading.upperLimit);
    }

    Truth membership(const Sentence& sentence, const FactEntry& entry) {
        if (entry.derivation != "methodOf") return Truth::open;  // no code answers it
        // Ruling 20: value and method come from the same result; how it was measured does not age.
        const FactEntry& base = fact(entry.methodOf);
        const Results results = resultsOf(base);
        std::set<std::string> methods;
        for (const Reading& reading : results.counting) {
            if (!reading.usable || freshness(reading, base) == Freshness::vague) return Truth::open;
            methods.insert(reading.method);
        }
        if (methods.size() != 1 || methods.begin()->empty()) return Truth::open;
        const bool member =
            std::find(sentence.members.begin(), sentence.members.end(), *methods.begin()) != sentence.members.end();
        return member ? Truth::yes : Truth::no;
    }

    /// Ruling 6.
    Results clearances(std::vector<Reading> reported, const std::string& method) {
        Results results;
        results.somethingElse = !reported.empty();
        if (!method.empty()) std::erase_if(reported, [&](const Reading& reading) { return reading.method != method; });
        std::vector<Reading> all = computed();
        const std::optional<long> day = all.empty() ? std::nullopt : std::optional(all.front().date->firstDay());
        for (const Reading& reading : newest(reported)) {
            const bool predicted = reading.method == "Cockcroft-Gault";
            if (!day || !predicted || reading.date->firstDay() != *day) all.push_back(reading);
        }
        results.counting = newest(all);
        return results;
    }

    std::vector<Reading> freshOnly(const std::string& name) {
        const FactEntry& entry = fact(name);
        std::vector<Reading> kept;
        for (const Reading& reading : resultsOf(entry).counting) {
            if (reading.usable && freshness(reading, entry) == Freshness::fresh) kept.push_back(reading);
        }
        return kept;
    }

    std::vector<Reading> computed() {
        std::vector<Reading> result;
        if (patient_.gender != "male" && patient_.gender != "female") return result;
        const auto birth = span(patient_.birth);
        if (!birth) return result;
        const long most = completedYears(birth->firstDay());
        const long least = completedYears(std::min(birth->lastDay(), patient_.asOf));
        if (least < 18) return result;
        const Ratio sex = patient_.gender == "female" ? ratio(85, 100) : ratio(1);
        for (const Reading& serum : freshOnly("creatinine")) {
            for (const Reading& weight : freshOnly("bodyWeight")) {
                const Range& kg = weight.range;
                const Range& mg = serum.range;
                if (!kg.low || !kg.high) continue;
                Reading reading;
                reading.method = "Cockcroft-Gault";
                reading.date = serum.date;
                if (mg.high) {
                    reading.range.low = ratio(140 - most) * *kg.low * sex / (ratio(72) * *mg.high);
                    reading.range.lowOpen = mg.highOpen || kg.lowOpen;
                }
                if (mg.low) {
                    reading.range.high = ratio(140 - least) * *kg.high * sex / (ratio(72) * *mg.low);
                    reading.range.highOpen = mg.lowOpen || kg.highOpen;
                }
                if (!reading.range.low && !reading.range.high) continue;
                const auto& plausible = fact("creatinineClearance").plausible;
                if (plausible && reading.range.low && plausible->second < *reading.range.low) reading.usable = false;
                result.push_back(reading);
            }
        }
        return result;
    }

    // --- windows

    static long lastInside(long day, const Window& window) {
        if (window.unit == "days") return day + window.length;
        if (window.unit == "weeks") return day + 7 * window.length;
        return monthsLater(day, window.length * (window.unit == "years" ? 12 : 1));
    }

    /// Whether a moment lies in a window that looks back from today: for every day that it may mean.
    Truth isInside(const Span& moment, const Window& window) const {
        if (patient_.asOf <= lastInside(moment.firstDay(), window)) return Truth::yes;
        return patient_.asOf > lastInside(moment.lastDay(), window) ? Truth::no : Truth::open;
    }

    /// Ruling 11: what is inside a window before an anchor that lies ahead is decided by nobody today.
    static Truth today(Truth inside, const Window& window) {
        return inside == Truth::yes && window.ahead ? Truth::open : inside;
    }

    /// "Or so many half-lives, whichever is shorter": for every half-life and every day.
    Truth washedOut(const Record& record, const Span& moment, const Window& window) const {
        if (window.halfLives == 0) return Truth::no;
        if (!record.halfLife) return Truth::open;
        if (ratio(window.halfLives) * record.halfLife->second <= ratio(patient_.asOf - moment.lastDay()))
            return Truth::yes;
        return ratio(patient_.asOf - moment.firstDay()) < ratio(window.halfLives) * record.halfLife->first
                   ? Truth::no
                   : Truth::open;
    }

    /// Ruling 12.
    Truth recordInWindow(const Record& record, const FactEntry& entry, const Window& window) const {
        const auto doubted = [&](Truth inside) { return inside == Truth::yes && !record.sure ? Truth::open : inside; };
        if (entry.event) {
            if (record.history || !record.date) return Truth::open;
            return today(doubted(isInside(*record.date, window)), window);
        }
        if (record.course == Record::Course::active) {
            if (!record.date && !record.end) return Truth::open;
            return today(doubted(Truth::yes), window);
        }
        if (record.end) {
            const Truth inside = both(isInside(*record.end, window), opposite(washedOut(record, *record.end, window)));
            return today(doubted(inside), window);
        }
        // It ended between its beginning and today.
        if (!record.date || record.history) return Truth::open;
        return isInside(*record.date, window) == Truth::yes ? today(doubted(Truth::yes), window) : Truth::open;
    }

    // --- findings

    /// Ruling 3. Nothing when the record does not count at all.
    std::optional<Truth> recordHolds(const Record& record, const FactEntry& entry, const Criterion* criterion,
                                     const Sentence& sentence) {
        if (!sentence.except.empty()) {
            Truth exception = Truth::no;
            for (const Record& other : records_[sentence.except]) {
                if (other.item == record.item)
                    exception = either(exception, other.sure && !other.untreated ? Truth::yes : Truth::open);
            }
            if (exception == Truth::yes) return std::nullopt;
            if (exception == Truth::open) return Truth::open;
        }
        if (record.untreated) return Truth::open;
        if (sentence.window) {
            const Truth inside = recordInWindow(record, entry, *sentence.window);
            return inside == Truth::no ? std::nullopt : std::optional(inside);
        }
        std::string policy = entry.status;
        if (policy != "diagnosed" && criterion != nullptr && !criterion->status.empty() &&
            !(criterion->status == "active" && entry.event))
            policy = criterion->status;
        using Course = Record::Course;
        if (record.course == Course::stopped && policy != "ever") return std::nullopt;
        if (policy == "active" && (record.course == Course::over || record.course == Course::remission))
            return std::nullopt;
        bool holds = true;
        if (policy == "diagnosed") holds = record.course != Course::over || record.relapse;
        if (policy == "plain" || policy == "active") holds = record.course == Course::active;
        return holds && record.sure ? Truth::yes : Truth::open;
    }

    Truth finding(const FactEntry& entry, const Criterion& criterion, const Sentence& sentence) {
        return finding(entry, &criterion, sentence);
    }

    Truth finding(const FactEntry& entry, const Criterion* criterion, const Sentence& sentence) {
        std::optional<Truth> byRecord;
        std::vector<Record> records = records_[entry.name];
        if (!entry.confirmedBy.empty()) {
            for (const Record& record : records_[entry.confirmedBy]) {
                if (record.sure) records.push_back(record);
            }
        }
        std::vector<Truth> byResult;
        for (const Reading& reading : findingResults(entry, records)) {
            Truth truth = Truth::open;
            if (reading.usable && freshness(reading, entry) == Freshness::fresh && reading.positive) {
                truth = *reading.positive ? Truth::yes : Truth::no;
                if (truth == Truth::yes && sentence.window)
                    truth =
                        today(reading.date ? isInside(*reading.date, *sentence.window) : Truth::open, *sentence.window);
            }
            byResult.push_back(truth);
        }
        for (const Record& record : records) {
            const auto holds = recordHolds(record, entry, criterion, sentence);
            if (holds) byRecord = either(byRecord.value_or(Truth::no), *holds);
        }
        if (byResult.empty()) {
            if (byRecord) return *byRecord;
            const bool lymphoblastic = entry.derivation == "tLineage";
            if (lymphoblastic && bLineageStated_) return Truth::no;
            return silence(entry);
        }
        const Truth result = agreed(byResult);
        if (!byRecord) return result;
        if (*byRecord == Truth::yes && result == Truth::no) return entry.diagnosisStands ? Truth::yes : Truth::open;
        if (result == Truth::no) return Truth::no;
        return either(*byRecord, result);
    }

    /// The results that say yes or no about a fact; some take records back.
    std::vector<Reading> findingResults(const FactEntry& entry, std::vector<Record>& records) {
        if (entry.derivation == "knownInfection") return knownInfection(entry, records);
        if (entry.derivation == "methodOf") return {};
        Results results = resultsOf(entry);
        std::vector<Reading> counting = results.counting;
        if (counting.empty() && results.somethingElse) counting.push_back(unusable(entry));
        if (entry.derivation == "negativeTest") {
            for (Reading& reading : counting) {
                if (reading.positive) reading.positive = !*reading.positive;
            }
        }
        if (entry.derivation == "pregnancy") {
            // Ruling 19: men by their sex, women by their age, unless something is recorded.
            const bool recorded =
                !records.empty() || std::any_of(counting.begin(), counting.end(), [&](const Reading& reading) {
                    return patient_.gender != "male" || reading.positive == true;
                });
            if (!recorded && ofChildbearingAge() == Truth::no) {
                Reading derived;
                derived.positive = false;
                return {derived};
            }
        }
        return counting;
    }

    /// Of results none of which can be used the newest that says anything; of one moment, one that says yes.
    Reading unusable(const FactEntry& entry) {
        Reading newest;
        bool first = true;
        for (const Reading& reading : readings_[entry.name]) {
            if (reading.empty) continue;
            const bool later = reading.date && (!newest.date || reading.date->first > newest.date->first);
            const bool together = reading.date.has_value() == newest.date.has_value() &&
                                  (!reading.date || reading.date->first == newest.date->first);
            const bool affirms = reading.positive == true && newest.positive != true;
            if (first || later || (together && affirms)) newest = reading;
            first = false;
        }
        newest.usable = false;
        return newest;
    }

    /// HIV: a diagnosis or a positive test. HCV: the newer of diagnosis and virus test; an antibody alone shows none.
    std::vector<Reading> knownInfection(const FactEntry& entry, std::vector<Record>& records) {
        std::vector<Reading> found;
        for (const std::string& test : entry.testedBy) {
            const FactEntry& tested = fact(test);
            Results results = resultsOf(tested);
            for (Reading reading : results.counting) {
                if (reading.usable && freshness(reading, tested) == Freshness::vague) reading.usable = false;
                found.push_back(reading);
            }
            if (results.counting.empty() && results.somethingElse) found.push_back(unusable(tested));
        }
        if (found.empty()) {
            for (const std::string& test : entry.suspectedBy) {
                const FactEntry& tested = fact(test);
                Results results = resultsOf(tested);
                for (Reading reading : results.counting) {
                    const Freshness age = freshness(reading, tested);
                    if (reading.usable && age == Freshness::stale) continue;
                    if (reading.positive == true || age == Freshness::vague) reading.usable = false;
                    found.push_back(reading);
                }
                if (results.counting.empty() && results.somethingElse) found.push_back(unusable(tested));
            }
        }
        if (entry.suspectedBy.empty()) return found;
        std::erase_if(found, [&](const Reading& reading) {
            if (!reading.usable || reading.positive != false || !reading.date) return false;
            const bool outdated = std::any_of(records.begin(), records.end(), [&](const Record& record) {
                return record.sure && record.date && record.date->first > reading.date->last;
            });
            std::erase_if(records,
                          [&](const Record& record) { return record.date && record.date->last < reading.date->first; });
            return outdated;
        });
        return found;
    }

    // --- two facts

    /// Moments at which a fact is affirmed; an entry of nothing is one that nobody dated.
    std::vector<std::optional<Span>> affirmed(const FactEntry& entry) {
        std::vector<std::optional<Span>> moments;
        if (entry.kind == "quantity") {
            for (const Reading& reading : resultsOf(entry).counting) moments.push_back(reading.date);
            return moments;
        }
        for (const Record& record : records_[entry.name]) {
            if (record.sure) moments.push_back(record.history ? std::nullopt : record.date);
        }
        return moments;
    }

    Truth exists(const FactEntry& entry) {
        if (entry.kind != "quantity") return finding(entry, nullptr, {});
        const Results results = resultsOf(entry);
        if (results.counting.empty()) return Truth::open;
        for (const Reading& reading : results.counting) {
            if (!reading.usable || freshness(reading, entry) != Freshness::fresh) return Truth::open;
        }
        return Truth::yes;
    }

    Truth after(const Sentence& sentence) {
        const FactEntry& later = fact(sentence.fact);
        const FactEntry& earlier = fact(sentence.after);
        if (sentence.twice) return exists(earlier) == Truth::no ? Truth::no : silence(later);
        const Truth two = both(exists(later), exists(earlier));
        if (two != Truth::yes) return two;
        for (const auto& second : affirmed(later)) {
            for (const auto& first : affirmed(earlier)) {
                if (second && first && second->first > first->last) return Truth::yes;
            }
        }
        return Truth::open;
    }

    /// Dated relapses in the order of their beginning; those that may be the same one are one, of all their days.
    std::vector<Span> datedRelapses() {
        std::vector<Span> all;
        for (const Record& record : records_["relapse"]) {
            if (record.sure && record.onset && record.date) all.push_back(*record.date);
        }
        std::sort(all.begin(), all.end(), [](const Span& a, const Span& b) { return a.first < b.first; });
        std::vector<Span> relapses;
        for (const Span& span : all) {
            const bool isNew = relapses.empty() || span.first > relapses.back().last;
            if (isNew) relapses.push_back(span);
            relapses.back().last = std::max(relapses.back().last, span.last);
        }
        return relapses;
    }

    Truth relapseCount(const Sentence& sentence) {
        const std::vector<Record>& records = records_["relapse"];
        if (std::none_of(records.begin(), records.end(), [](const Record& record) { return record.sure; }))
            return Truth::open;
        const long count = std::max<long>(1, static_cast<long>(datedRelapses().size()));
        return compare({ratio(count), std::nullopt, false, false}, sentence.op, sentence.bound);
    }

    /// Ruling 23: from the remission immediately before that relapse.
    Truth monthsToRelapse(const Sentence& sentence) {
        const auto relapses = datedRelapses();
        const auto oneDay = [](const Span& moment) { return moment.firstDay() == moment.lastDay(); };
        if (relapses.empty() || !oneDay(relapses.back())) return Truth::open;
        const Span relapse = relapses.back();
        std::optional<Span> remission;
        for (const Record& record : records_["completeRemission"]) {
            if (!record.sure || !record.date || !oneDay(*record.date) || record.date->last >= relapse.first) continue;
            if (!remission || record.date->first > remission->first) remission = record.date;
        }
        if (!remission) return Truth::open;
        // Nobody knows whether a remission of a vague date came in between.
        for (const Record& record : records_["completeRemission"]) {
            const bool isVague = record.sure && record.date && !oneDay(*record.date);
            if (isVague && record.date->last > remission->first && record.date->first < relapse.first)
                return Truth::open;
        }
        if (relapses.size() > 1 && remission->first <= relapses[relapses.size() - 2].last) return Truth::open;
        const long from = remission->firstDay();
        const long to = relapse.firstDay();
        long months = 0;
        while (monthsLater(from, months + 1) <= to) ++months;
        Range range{ratio(months), ratio(months), false, false};
        if (monthsLater(from, months) != to) range = {ratio(months), ratio(months + 1), true, true};
        return compare(range, sentence.op, sentence.bound);
    }

    const Patient& patient_;
    long long endOfToday_;
    std::map<std::string, std::vector<Reading>> readings_;
    std::map<std::string, std::vector<Record>> records_;
    bool bLineageStated_ = false;
    const TrialFile* trial_ = nullptr;
    std::map<std::string, Truth> known_;
};

}  // namespace

std::map<std::string, Truth> evaluate(const Patient& patient) {
    return Evaluator(patient).evaluate();
}

}  // namespace model
