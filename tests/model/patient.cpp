#include "tests/model/patient.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace model {

std::uint64_t Random::next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

// --- the calendar

namespace {

bool isLeap(long year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

long monthLength(long year, long month) {
    static constexpr std::array<long, 12> lengths{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && isLeap(year) ? 29 : lengths[static_cast<std::size_t>(month - 1)];
}

std::string digits(long number, std::size_t length) {
    std::string text = std::to_string(number);
    while (text.size() < length) text.insert(text.begin(), '0');
    return text;
}

}  // namespace

long dayOf(long year, long month, long day) {
    long days = 0;
    for (long y = 1970; y < year; ++y) days += isLeap(y) ? 366 : 365;
    for (long y = year; y < 1970; ++y) days -= isLeap(y) ? 366 : 365;
    for (long m = 1; m < month; ++m) days += monthLength(year, m);
    return days + day - 1;
}

Civil civil(long day) {
    Civil result{1970, 1, 1};
    while (day < 0) {
        --result.year;
        day += isLeap(result.year) ? 366 : 365;
    }
    while (day >= (isLeap(result.year) ? 366 : 365)) {
        day -= isLeap(result.year) ? 366 : 365;
        ++result.year;
    }
    while (day >= monthLength(result.year, result.month)) {
        day -= monthLength(result.year, result.month);
        ++result.month;
    }
    result.day = day + 1;
    return result;
}

long lastOfMonth(long year, long month) {
    return dayOf(year, month, monthLength(year, month));
}

std::string dayText(long day) {
    const Civil date = civil(day);
    return digits(date.year, 4) + '-' + digits(date.month, 2) + '-' + digits(date.day, 2);
}

long monthsLater(long day, long months) {
    Civil date = civil(day);
    date.month += months;
    while (date.month > 12) {
        date.month -= 12;
        ++date.year;
    }
    while (date.month < 1) {
        date.month += 12;
        --date.year;
    }
    if (date.day > monthLength(date.year, date.month)) return lastOfMonth(date.year, date.month) + 1;
    return dayOf(date.year, date.month, date.day);
}

namespace {
constexpr long long dayLength = 86'400'000;
long floorDay(long long moment) {
    return static_cast<long>(moment >= 0 ? moment / dayLength : -((-moment + dayLength - 1) / dayLength));
}
}  // namespace

long Span::firstDay() const {
    return floorDay(first);
}
long Span::lastDay() const {
    return floorDay(last);
}

std::optional<Span> span(const When& when) {
    const Civil date = civil(when.day);
    long first = when.day;
    long last = when.day;
    switch (when.precision) {
        case When::Precision::none:
            return std::nullopt;
        case When::Precision::year:
            first = dayOf(date.year, 1, 1);
            last = dayOf(date.year, 12, 31);
            break;
        case When::Precision::month:
            first = dayOf(date.year, date.month, 1);
            last = lastOfMonth(date.year, date.month);
            break;
        case When::Precision::day:
            break;
        case When::Precision::minute: {
            const long long moment = when.day * dayLength + when.minute * 60'000;
            return Span{moment, moment + 999};
        }
    }
    return Span{first * dayLength, last * dayLength + dayLength - 1};
}

// --- drawing

namespace {

class Painter {
public:
    explicit Painter(std::uint64_t seed) : random_(seed) { patient_.seed = seed; }

    Patient draw() {
        static const std::array<long, 8> days{dayOf(2025, 11, 13), dayOf(2025, 3, 1),  dayOf(2024, 2, 29),
                                              dayOf(2024, 12, 31), dayOf(2025, 5, 31), dayOf(2026, 2, 28),
                                              dayOf(2025, 8, 15),  dayOf(2024, 3, 30)};
        patient_.asOf = random_.of(days);
        person();
        static const std::array<std::string, 9> types{"Observation",
                                                      "Condition",
                                                      "Procedure",
                                                      "Immunization",
                                                      "MedicationRequest",
                                                      "MedicationStatement",
                                                      "MedicationAdministration",
                                                      "ServiceRequest",
                                                      "CarePlan"};
        const bool complete = random_.percent(50);
        for (const std::string& type : types) {
            if (complete ? random_.percent(97) : random_.percent(50)) patient_.covered.insert(type);
        }
        results();
        diseases();
        acts();
        if (random_.percent(4)) {
            Item item;
            item.kind = Item::Kind::uncoded;
            static const std::array<std::string, 4> uncoded{"Observation", "Condition", "Procedure",
                                                            "MedicationStatement"};
            item.type = random_.of(uncoded);
            item.start = moment(5);
            add(std::move(item));
        }
        return std::move(patient_);
    }

private:
    void add(Item item) {
        item.salt = random_.next();
        patient_.items.push_back(std::move(item));
    }

    void person() {
        static const std::array<std::string, 12> genders{"male",   "male",   "male",   "male",   "male",  "female",
                                                         "female", "female", "female", "female", "other", ""};
        patient_.gender = random_.of(genders);
        if (random_.percent(2)) return;
        When& birth = patient_.birth;
        birth.precision = random_.percent(80)   ? When::Precision::day
                          : random_.percent(50) ? When::Precision::month
                                                : When::Precision::year;
        static const std::array<long, 13> years{18, 70, 71, 75, 76, 65, 66, 14, 85, 86, 12, 55, 56};
        if (random_.percent(10)) {
            birth.day = monthsLater(patient_.asOf, -random_.between(0, 14)) + random_.between(-1, 1);
        } else if (random_.percent(35)) {
            birth.day = monthsLater(patient_.asOf, -12 * random_.of(years)) + random_.between(-1, 1);
        } else {
            birth.day = patient_.asOf - random_.between(19 * 365, 70 * 365);
        }
        birth.day = std::min(birth.day, patient_.asOf);
    }

    /// A day at, next to or between the limits of windows and freshness, seldom in the future.
    long day() {
        const long asOf = patient_.asOf;
        if (random_.percent(2)) return asOf + random_.between(1, 20);
        static const std::array<long, 8> counted{7, 14, 28, 30, 42, 60, 90, 294};
        static const std::array<long, 5> months{1, 3, 6, 12, 60};
        switch (random_.below(4)) {
            case 0:
                return std::min(asOf, asOf - random_.of(counted) + random_.between(-1, 1));
            case 1:
                return std::min(asOf, monthsLater(asOf, -random_.of(months)) + random_.between(-1, 1));
            case 2:
                return asOf - random_.between(0, 28);
            default:
                return asOf - random_.between(0, 2500);
        }
    }

    When moment(unsigned undated) {
        When when;
        when.day = day();
        if (random_.percent(undated)) return when;
        const std::size_t precision = random_.below(20);
        when.precision = precision < 11   ? When::Precision::day
                         : precision < 17 ? When::Precision::minute
                         : precision < 19 ? When::Precision::month
                                          : When::Precision::year;
        when.minute = random_.between(0, 1439);
        return when;
    }

    /// Recent as a rule, so that most results decide something.
    When recent() {
        When when = moment(3);
        if (random_.percent(70)) when.day = patient_.asOf - random_.between(0, 12);
        return when;
    }

    // --- results

    std::vector<std::size_t> sensesIn(const std::string& type, const std::string& fact) const {
        std::vector<std::size_t> found;
        const std::vector<Sense>& senses = knowledge().senses;
        for (std::size_t i = 0; i < senses.size(); ++i) {
            const bool drawn = std::find(senses[i].types.begin(), senses[i].types.end(), type) != senses[i].types.end();
            if (drawn && senses[i].speaksOf(fact)) found.push_back(i);
        }
        return found;
    }

    /// Facts that results speak of, with their senses; found once.
    static const std::vector<std::pair<std::string, std::vector<std::size_t>>>& measured() {
        static const auto table = [] {
            std::vector<std::pair<std::string, std::vector<std::size_t>>> result;
            for (const FactEntry& fact : knowledge().facts) {
                const auto senses = Painter(0).sensesIn("Observation", fact.name);
                if (!senses.empty() && fact.understood && !fact.hint) result.emplace_back(fact.name, senses);
            }
            return result;
        }();
        return table;
    }

    void results() {
        const unsigned chance = random_.percent(30) ? 85 : 45;
        for (const auto& [name, senses] : measured()) {
            if (!random_.percent(chance)) continue;
            const FactEntry& fact = knowledge().fact(name);
            std::size_t count = 1;
            while (count < 4 && random_.percent(25)) ++count;
            When shared = recent();
            for (std::size_t i = 0; i < count; ++i) {
                Item item = result(fact, senses);
                item.start = recent();
                if (i > 0 && random_.percent(35)) item.start = shared;
                shared = item.start;
                add(std::move(item));
            }
        }
    }

    Item result(const FactEntry& fact, const std::vector<std::size_t>& senses) {
        Item item;
        item.kind = Item::Kind::result;
        item.type = "Observation";
        // An accepted code as a rule.
        std::vector<std::size_t> accepted;
        for (const std::size_t sense : senses) {
            if (knowledge().senses[sense].meaning.roles.at(fact.name) == "accept") accepted.push_back(sense);
        }
        item.senses = {!accepted.empty() && random_.percent(92) ? random_.of(accepted) : random_.of(senses)};
        static const std::array<std::string, 14> statuses{"final",
                                                          "final",
                                                          "final",
                                                          "final",
                                                          "final",
                                                          "final",
                                                          "final",
                                                          "final",
                                                          "final",
                                                          "amended",
                                                          "corrected",
                                                          "preliminary",
                                                          "entered-in-error",
                                                          "cancelled"};
        item.status = random_.of(statuses);
        if (random_.percent(12)) item.issued = moment(0);
        if (fact.kind == "quantity") {
            number(item, fact);
        } else if (fact.derivation == "nyha") {
            item.value = Item::Value::answer;
            item.answer = std::to_string(random_.between(1, 4));
            if (random_.percent(5)) item.answer = "0";  // no class that is known
        } else if (fact.kind == "viralLoad") {
            const std::size_t way = random_.below(10);
            if (way < 5) {
                polarity(item);
            } else {
                number(item, fact);
            }
        } else {
            polarity(item);
            // A titre or an index where a yes or no is asked.
            const bool measuredToo =
                std::any_of(knowledge().senses[item.senses.front()].meaning.roles.begin(),
                            knowledge().senses[item.senses.front()].meaning.roles.end(),
                            [](const auto& role) { return knowledge().fact(role.first).kind != "finding"; });
            if (measuredToo && random_.percent(50)) {
                for (const auto& [other, role] : knowledge().senses[item.senses.front()].meaning.roles) {
                    if (knowledge().fact(other).kind == "quantity") number(item, knowledge().fact(other));
                }
            }
        }
        if (random_.percent(2)) item.value = Item::Value::absent;
        if (!fact.methods.empty() && random_.percent(60)) {
            const MethodWords& method = random_.of(fact.methods);
            item.method = random_.percent(85) && !method.text.empty() ? method.name : "another";
            if (!fact.gate.empty() && item.method == "another") item.method.clear();
        }
        item.namesTumourCells = !fact.gate.empty() && random_.percent(80);
        const bool saturation = fact.derivation == "oxygen" || fact.derivation == "oxygenRoomAir";
        if (saturation && item.value != Item::Value::absent && random_.percent(60)) {
            static const std::array<Item::Oxygen, 6> supply{Item::Oxygen::air,   Item::Oxygen::air,
                                                            Item::Oxygen::air,   Item::Oxygen::given,
                                                            Item::Oxygen::given, Item::Oxygen::contradictory};
            item.oxygen = random_.of(supply);
        }
        return item;
    }

    void polarity(Item& item) {
        item.value = Item::Value::polarity;
        item.polarity = random_.percent(62) ? "negative" : random_.percent(85) ? "positive" : "indeterminate";
    }

    /// An upper limit of normal in the unit of that factor, which somebody may believe as a rule.
    Ratio upperLimit(const FactEntry& fact, Ratio factor) {
        static const std::array<Ratio, 8> limits{ratio(12, 10), ratio(40), ratio(1),   ratio(31),
                                                 ratio(21),     ratio(35), ratio(100), ratio(11, 10)};
        const Ratio limit = random_.of(limits);
        if (!fact.plausible || random_.percent(3)) return limit;
        const auto believed = [&](Ratio number) {
            return fact.plausible->first < number && number < fact.plausible->second * ratio(1, 5);
        };
        if (believed(limit)) return cut(limit / factor, 6);
        return cut((fact.plausible->first + fact.plausible->second * ratio(1, 8)) / factor, 3);
    }

    /// At, next to or around a limit that a trial asks for, or anywhere.
    void number(Item& item, const FactEntry& fact) {
        item.value = Item::Value::number;
        item.unitOf = fact.name;
        const auto& unit = random_.of(fact.units);
        item.unit = unit.first;
        const Ratio factor = unit.second.value_or(ratio(1));
        item.upperLimit = random_.percent(85) ? std::optional(upperLimit(fact, factor)) : std::nullopt;
        const auto bounds = knowledge().bounds.find(fact.name);
        Ratio value = ratio(random_.between(0, 1000), 10);
        if (fact.plausible && random_.percent(60))
            value = fact.plausible->first +
                    (fact.plausible->second + ratio(-fact.plausible->first.n, fact.plausible->first.d)) *
                        ratio(random_.between(0, 1000), 1000);
        value = value / factor;
        if (bounds != knowledge().bounds.end() && random_.percent(85)) {
            const Bound& bound = random_.of(bounds->second);
            if (bound.timesUpperLimit) {
                if (!item.upperLimit) item.upperLimit = upperLimit(fact, factor);
                value = bound.value * *item.upperLimit;
            } else {
                value = bound.value / factor;
            }
        }
        value = cut(value, 6);
        static const std::array<Ratio, 7> steps{ratio(0),       ratio(0),      ratio(0), ratio(1, 1000),
                                                ratio(1, 1000), ratio(1, 100), ratio(1)};
        const Ratio step = random_.of(steps);
        item.number = random_.percent(50) && step <= value ? value + ratio(-step.n, step.d) : value + step;
        if (fact.name == "ecog" || fact.name == "karnofsky") item.number = cut(item.number, 0);
        if (random_.percent(8)) {
            static const std::array<std::string, 4> comparators{"<", "<=", ">", ">="};
            item.comparator = random_.of(comparators);
        } else if (random_.percent(6) && fact.kind == "quantity") {
            item.high = item.number + ratio(random_.between(0, 5));
        }
        item.strangeUnit = random_.percent(3);
        if (random_.percent(3)) item.number = item.number * ratio(1000);
        if (fact.kind == "viralLoad") item.high.reset();
    }

    // --- diseases

    static const std::vector<std::size_t>& sensesOf(const std::string& type) {
        static const auto table = [] {
            std::map<std::string, std::vector<std::size_t>> result;
            const std::vector<Sense>& senses = knowledge().senses;
            for (std::size_t i = 0; i < senses.size(); ++i) {
                for (const std::string& each : senses[i].types) result[each].push_back(i);
            }
            return result;
        }();
        static const std::vector<std::size_t> none;
        const auto found = table.find(type);
        return found == table.end() ? none : found->second;
    }

    /// Senses of a type that speak of the haematological disease itself, and of its history.
    static const std::vector<std::size_t>& bloodSenses() {
        static const auto table = [] {
            std::vector<std::size_t> result;
            for (const std::size_t sense : sensesOf("Condition")) {
                if (knowledge().senses[sense].speaksOf("hematologicMalignancy")) result.push_back(sense);
            }
            return result;
        }();
        return table;
    }

    void diseases() {
        std::size_t blood = random_.percent(85) ? 1 : 0;
        while (blood > 0 && blood < 4 && random_.percent(35)) ++blood;
        for (std::size_t i = 0; i < blood; ++i) disease(bloodSenses());
        const std::size_t others = random_.below(random_.percent(30) ? 25 : 8);
        for (std::size_t i = 0; i < others; ++i) disease(sensesOf("Condition"));
    }

    void disease(const std::vector<std::size_t>& senses) {
        Item item;
        item.kind = Item::Kind::disease;
        item.type = "Condition";
        const std::size_t first = random_.of(senses);
        item.senses = {first};
        if (random_.percent(25)) {
            // A second coding in another system, which says nothing that the first denies.
            const std::size_t second = random_.of(senses);
            const Sense& a = knowledge().senses[first];
            const Sense& b = knowledge().senses[second];
            bool agree = a.system != b.system && !a.meaning.history && !b.meaning.history;
            for (const Sense* sense : {&a, &b}) {
                for (const auto& [fact, role] : sense->meaning.roles)
                    agree = agree && role != "reject" && role != "answer";
            }
            if (agree) item.senses.push_back(second);
        }
        if (patient_.gender == "male" || patient_.gender == "other" || patient_.gender.empty()) {
            for (const std::size_t sense : item.senses) {
                if (knowledge().senses[sense].speaksOf("pregnancy") || knowledge().senses[sense].speaksOf("lactation"))
                    return;
            }
        }
        static const std::array<std::string, 12> statuses{"active",     "active",   "active",    "active",
                                                          "recurrence", "relapse",  "remission", "remission",
                                                          "inactive",   "resolved", "",          ""};
        item.status = random_.of(statuses);
        static const std::array<std::string, 14> verifications{
            "confirmed", "confirmed", "confirmed",   "confirmed",   "confirmed",    "",        "",
            "",          "",          "unconfirmed", "provisional", "differential", "refuted", "entered-in-error"};
        item.verification = random_.of(verifications);
        item.inRemissionCode = random_.percent(3);
        if (random_.percent(85)) item.start = moment(0);
        if (random_.percent(40)) item.recorded = moment(0);
        const bool over =
            item.status == "inactive" || item.status == "resolved" || item.status == "remission" || item.status.empty();
        if (over && random_.percent(60)) {
            item.end = moment(0);
            if (item.start && item.end.day < item.start.day) std::swap(item.end.day, item.start.day);
        }
        add(std::move(item));
    }

    // --- what was done, given and taken

    void acts() {
        static const std::array<std::string, 8> types{"Procedure",
                                                      "Procedure",
                                                      "Procedure",
                                                      "Immunization",
                                                      "MedicationRequest",
                                                      "MedicationStatement",
                                                      "MedicationAdministration",
                                                      "MedicationAdministration"};
        const std::size_t count = random_.below(random_.percent(40) ? 8 : 4);
        for (std::size_t i = 0; i < count; ++i) {
            const std::string& type = random_.of(types);
            if (!sensesOf(type).empty()) act(type);
        }
    }

    void act(const std::string& type) {
        Item item;
        item.kind = Item::Kind::act;
        item.type = type;
        item.senses = {random_.of(sensesOf(type))};
        struct Way {
            const char* type;
            const char* status;
            bool ends;      ///< an end may be stated
            bool mustHave;  ///< and must be
        };
        static const std::vector<Way> ways{
            {"Procedure", "completed", true, false},
            {"Procedure", "completed", true, false},
            {"Procedure", "completed", true, false},
            {"Procedure", "in-progress", false, false},
            {"Procedure", "not-done", true, false},
            {"Procedure", "entered-in-error", true, false},
            {"Procedure", "preparation", false, false},
            {"Procedure", "unknown", true, false},
            {"Immunization", "completed", false, false},
            {"Immunization", "completed", false, false},
            {"Immunization", "not-done", false, false},
            {"Immunization", "entered-in-error", false, false},
            {"MedicationRequest", "active", true, false},
            {"MedicationRequest", "active", true, false},
            {"MedicationRequest", "completed", true, false},
            {"MedicationRequest", "stopped", true, false},
            {"MedicationRequest", "cancelled", true, false},
            {"MedicationRequest", "draft", false, false},
            {"MedicationStatement", "active", true, false},
            {"MedicationStatement", "active", true, false},
            {"MedicationStatement", "completed", true, false},
            {"MedicationStatement", "stopped", true, false},
            {"MedicationStatement", "intended", true, false},
            {"MedicationStatement", "not-taken", true, false},
            {"MedicationStatement", "entered-in-error", true, false},
            {"MedicationAdministration", "completed", true, true},
            {"MedicationAdministration", "completed", true, true},
            {"MedicationAdministration", "completed", true, true},
            {"MedicationAdministration", "in-progress", true, false},
            {"MedicationAdministration", "not-done", true, true},
        };
        std::vector<Way> possible;
        std::copy_if(ways.begin(), ways.end(), std::back_inserter(possible),
                     [&](const Way& way) { return type == way.type; });
        const Way& way = random_.of(possible);
        item.status = way.status;
        item.start = moment(10);
        item.period = way.ends && random_.percent(50) && type != "Immunization";
        if (type == "MedicationRequest") item.period = false;
        if (way.ends && (item.period || type == "MedicationRequest") && random_.percent(65)) {
            item.end = moment(0);
            // What is over has not ended in the future.
            const bool underway = item.status == "active" || item.status == "in-progress";
            if (!underway) item.end.day = std::min(item.end.day, patient_.asOf);
            if (item.start && item.end.day < item.start.day) std::swap(item.end.day, item.start.day);
            if (item.end.day == item.start.day) --item.start.day;
        }
        if (type == "MedicationRequest") {
            static const std::array<std::string, 6> intents{"order", "order", "order", "order", "plan", "proposal"};
            item.intent = random_.of(intents);
            item.doNotPerform = random_.percent(5);
        }
        if (type.starts_with("Medication")) {
            item.route = random_.percent(50) ? "systemic" : random_.percent(40) ? "local" : "";
            item.unresolved = random_.percent(4);
        }
        add(std::move(item));
    }

    Random random_;
    Patient patient_;
};

}  // namespace

Patient draw(std::uint64_t seed) {
    return Painter(seed).draw();
}

}  // namespace model
