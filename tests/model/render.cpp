#include "tests/model/render.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fhir/json.h"

namespace model {

using fhir::json::Writer;

namespace {

constexpr std::string_view server = "https://ehr.example/fhir/";

std::string pad(long number) {
    return (number < 10 ? "0" : "") + std::to_string(number);
}

std::string hex(std::uint64_t number, std::size_t digits) {
    std::string text;
    while (text.size() < digits) {
        text += "0123456789abcdef"[number % 16];
        number /= 16;
    }
    return text;
}

/// A moment in one of the notations that mean it.
std::string text(const When& when, Random& random) {
    const std::string day = dayText(when.day);
    switch (when.precision) {
        case When::Precision::none:
            return {};
        case When::Precision::year:
            return day.substr(0, 4);
        case When::Precision::month:
            return day.substr(0, 7);
        case When::Precision::day:
            return day;
        case When::Precision::minute:
            break;
    }
    static const std::array<std::pair<long, const char*>, 6> offsets{
        {{0, "Z"}, {0, "+00:00"}, {480, "+08:00"}, {-300, "-05:00"}, {345, "+05:45"}, {-720, "-12:00"}}};
    const auto& [offset, name] = random.of(offsets);
    long minute = when.minute + offset;
    long on = when.day;
    if (minute < 0) {
        minute += 1440;
        --on;
    } else if (minute >= 1440) {
        minute -= 1440;
        ++on;
    }
    return dayText(on) + 'T' + pad(minute / 60) + ':' + pad(minute % 60) + ":00" + (random.percent(30) ? ".000" : "") +
           name;
}

class Renderer {
public:
    Renderer(const Patient& patient, const Style& style)
        : patient_(patient), style_(style), random_(patient.seed * 31 + style.seed) {}

    std::string render() {
        patientId_ = random_.percent(50) ? "p1" : "Patient." + hex(random_.next(), 24);
        switch (random_.below(3)) {
            case 0:
                patientUrl_ = std::string(server) + "Patient/" + patientId_;
                break;
            case 1:
                patientUrl_ = "urn:uuid:" + hex(random_.next(), 8) + "-0000-4000-8000-" + hex(random_.next(), 12);
                break;
            default:
                break;
        }
        entries_.push_back(entry(patientUrl_, person()));
        for (const Item& item : patient_.items) {
            Random own(item.salt ^ (style_.seed * 0x9e3779b97f4a7c15U));
            own_ = &own;
            std::string id = own.percent(85) ? item.type + '-' + hex(item.salt, 12) : "";
            if (own.percent(3) && !id.empty())
                id += "-with-a-very-long-identifier-as-some-servers-give-them-0123456789";
            const std::string url = id.empty() || own.percent(30) ? "" : std::string(server) + item.type + '/' + id;
            entries_.push_back(entry(url, resource(item, id)));
            if (!medication_.empty()) entries_.push_back(std::exchange(medication_, {}));
        }
        own_ = &random_;
        if (style_.noise) addNoise();
        if (style_.duplicates) {
            const std::size_t count = entries_.size();
            for (std::size_t i = 0; i < count; ++i) {
                if (random_.percent(40)) entries_.push_back(entries_[i]);
            }
        }
        if (style_.shuffled) {
            for (std::size_t i = entries_.size(); i > 1; --i) std::swap(entries_[i - 1], entries_[random_.below(i)]);
        }
        return wrapped();
    }

private:
    // --- the whole

    struct Entry {
        std::string url;
        std::string resource;
        bool empty() const { return resource.empty(); }
    };

    static Entry entry(std::string url, std::string resource) { return {std::move(url), std::move(resource)}; }

    static std::string bundleOf(const std::vector<Entry>& entries, std::size_t from, std::size_t to,
                                std::string_view type) {
        std::string text = R"({"resourceType":"Bundle","type":")" + std::string(type) + R"(","entry":[)";
        for (std::size_t i = from; i < to; ++i) {
            if (i > from) text += ',';
            text += '{';
            if (!entries[i].url.empty()) text += R"("fullUrl":")" + entries[i].url + R"(",)";
            text += R"("resource":)" + entries[i].resource + '}';
        }
        return text + "]}";
    }

    std::string wrapped() {
        if (style_.wrapping == Style::Wrapping::array) {
            // Without a fullUrl the only names are ids.
            std::string text = "[";
            for (std::size_t i = 0; i < entries_.size(); ++i) text += (i > 0 ? "," : "") + entries_[i].resource;
            return text + "]";
        }
        if (style_.wrapping == Style::Wrapping::bundle)
            return bundleOf(entries_, 0, entries_.size(), random_.percent(50) ? "collection" : "searchset");
        std::vector<Entry> pages;
        std::size_t from = 0;
        while (from < entries_.size()) {
            const std::size_t to = std::min(entries_.size(), from + 1 + random_.below(8));
            pages.push_back({"", bundleOf(entries_, from, to, "searchset")});
            from = to;
        }
        return bundleOf(pages, 0, pages.size(), "collection");
    }

    std::string person() {
        Writer writer;
        writer.beginObject().member("resourceType", "Patient").member("id", patientId_);
        if (!patient_.gender.empty()) writer.member("gender", patient_.gender);
        if (patient_.birth) writer.member("birthDate", text(patient_.birth, random_));
        writer.endObject();
        return std::string(writer.text());
    }

    void addNoise() {
        const std::size_t count = 1 + random_.below(6);
        for (std::size_t i = 0; i < count; ++i) {
            const std::string id = "noise-" + hex(random_.next(), 10);
            Writer writer;
            writer.beginObject();
            switch (random_.below(5)) {
                case 0:
                    writer.member("resourceType", "Encounter").member("id", id).member("status", "finished");
                    break;
                case 1:
                    writer.member("resourceType", "Practitioner").member("id", id);
                    break;
                case 2:
                    // Glucose, which no trial asks for.
                    writer.member("resourceType", "Observation").member("id", id).member("status", "final");
                    subject(writer, "subject");
                    writer.name("code").beginObject().name("coding").beginArray();
                    coding(writer, "http://loinc.org", "2345-7", "Glucose");
                    writer.endArray().endObject();
                    writer.member("effectiveDateTime", dayText(patient_.asOf));
                    writer.name("valueQuantity").beginObject().name("value").number("101").member("unit", "mg/dL");
                    writer.endObject();
                    break;
                case 3:
                    // Asthma, in the systems that problems are coded in.
                    writer.member("resourceType", "Condition").member("id", id);
                    subject(writer, "subject");
                    writer.name("code").beginObject().name("coding").beginArray();
                    coding(writer, "http://hl7.org/fhir/sid/icd-10-cm", "J45.909", "Asthma");
                    coding(writer, "http://snomed.info/sct", "195967001", "Asthma");
                    coding(writer, "http://terminology.hl7.org/CodeSystem/icd-o-3", "0000/0", "none");
                    writer.endArray().endObject();
                    break;
                default:
                    // What is true of somebody else.
                    writer.member("resourceType", "Condition").member("id", id);
                    writer.name("subject").beginObject().member("reference", "Patient/somebody-else").endObject();
                    writer.name("code").beginObject().name("coding").beginArray();
                    coding(writer, "http://hl7.org/fhir/sid/icd-10-cm", random_.percent(50) ? "B20" : "I21.9", "");
                    writer.endArray().endObject().member("onsetDateTime", dayText(patient_.asOf));
            }
            writer.endObject();
            entries_.push_back(
                {random_.percent(50) ? "" : std::string(server) + "Noise/" + id, std::string(writer.text())});
        }
    }

    // --- what every resource has

    void subject(Writer& writer, std::string_view element) {
        std::vector<std::string> references{"Patient/" + patientId_, "Patient/" + patientId_ + "/_history/3"};
        if (style_.wrapping != Style::Wrapping::array && !patientUrl_.empty()) references.push_back(patientUrl_);
        if (style_.wrapping == Style::Wrapping::array || patientUrl_.empty())
            references.push_back(std::string(server) + "Patient/" + patientId_);
        writer.name(element).beginObject().member("reference", own_->of(references)).endObject();
    }

    static void coding(Writer& writer, std::string_view system, std::string_view code, std::string_view display) {
        writer.beginObject();
        if (!system.empty()) writer.member("system", system);
        writer.member("code", code);
        if (!display.empty()) writer.member("display", display);
        writer.endObject();
    }

    std::string uri(const std::string& system) { return own_->of(knowledge().uris.at(system)); }

    /// The codings of the senses, each by any of its codes, in any order, perhaps beside one of the hospital's own.
    void codings(Writer& writer, const Item& item, bool displays) {
        struct Written {
            std::string system;
            std::string code;
            std::string display;
        };
        std::vector<Written> all;
        for (const std::size_t index : item.senses) {
            const Sense& sense = knowledge().senses[index];
            const Code& code = own_->of(sense.codes);
            std::string written = code.code;
            if ((sense.system == "icd10" || sense.system == "atc") && own_->percent(30)) std::erase(written, '.');
            all.push_back({uri(sense.system), written, displays && own_->percent(60) ? code.display : ""});
        }
        if (item.inRemissionCode) all.push_back({uri("snomed"), "765205004", "Disorder in remission"});
        if (own_->percent(30)) all.push_back({"https://ehr.example/codes", "X" + hex(item.salt, 5), ""});
        for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[own_->below(i)]);
        writer.name("coding").beginArray();
        for (const Written& each : all) coding(writer, each.system, each.code, each.display);
        writer.endArray();
    }

    void date(Writer& writer, std::string_view element, const When& when) {
        if (when) writer.member(element, text(when, *own_));
    }

    std::string resource(const Item& item, const std::string& id) {
        Writer writer;
        writer.beginObject().member("resourceType", item.type);
        if (!id.empty()) writer.member("id", id);
        switch (item.kind) {
            case Item::Kind::result:
                result(writer, item);
                break;
            case Item::Kind::disease:
                disease(writer, item);
                break;
            case Item::Kind::act:
                act(writer, item, id);
                break;
            case Item::Kind::uncoded:
                uncoded(writer, item);
        }
        writer.endObject();
        return std::string(writer.text());
    }

    void uncoded(Writer& writer, const Item& item) {
        subject(writer, "subject");
        if (item.type == "Observation") writer.member("status", "final");
        if (item.type == "Procedure" || item.type == "MedicationStatement") writer.member("status", "completed");
        writer.name(item.type == "MedicationStatement" ? "medicationCodeableConcept" : "code");
        writer.beginObject().member("text", "something that was written by hand").endObject();
        if (item.type == "Observation" || item.type == "MedicationStatement")
            date(writer, "effectiveDateTime", item.start);
        if (item.type == "Condition") date(writer, "onsetDateTime", item.start);
        if (item.type == "Procedure") date(writer, "performedDateTime", item.start);
        if (item.type == "Observation") writer.member("valueString", "see report");
    }

    // --- results

    const Meaning& meaning(const Item& item) const { return knowledge().senses[item.senses.front()].meaning; }

    bool everyFact(const Item& item, bool (*holds)(const FactEntry&)) const {
        return std::all_of(meaning(item).roles.begin(), meaning(item).roles.end(),
                           [&](const auto& role) { return holds(knowledge().fact(role.first)); });
    }

    void result(Writer& writer, const Item& item) {
        writer.member("status", item.status);
        subject(writer, "subject");
        writer.name("code").beginObject();
        codings(writer, item, false);
        std::string gate;
        for (const auto& [fact, role] : meaning(item).roles) {
            const std::vector<std::string>& words = knowledge().fact(fact).gate;
            if (!words.empty()) gate = own_->of(words);
        }
        const bool inNote = own_->percent(30);
        if (item.namesTumourCells && !inNote) writer.member("text", "CD7 expression " + gate);
        writer.endObject();
        std::string note = item.namesTumourCells && inNote ? "measured on " + gate : "";
        if (item.start) {
            const std::size_t way = own_->below(10);
            if (way == 0 && item.start.precision == When::Precision::minute) {
                date(writer, "effectiveInstant", item.start);
            } else if (way == 1) {
                writer.name("effectivePeriod").beginObject();
                writer.member("start", "2019-01-01");
                date(writer, "end", item.start);
                writer.endObject();
            } else {
                date(writer, "effectiveDateTime", item.start);
            }
        }
        date(writer, "issued", item.issued);
        if (!item.method.empty()) {
            std::string words = "another way";
            for (const auto& [fact, role] : meaning(item).roles) {
                for (const MethodWords& method : knowledge().fact(fact).methods) {
                    if (method.name == item.method && !method.text.empty()) words = own_->of(method.text);
                }
            }
            writer.name("method").beginObject().member("text", words).endObject();
        }
        std::vector<std::string> components;
        oxygen(item, note, components);
        value(writer, item);
        if (!components.empty()) {
            writer.name("component").beginArray();
            for (const std::string& component : components) {
                const fhir::json::Document document(component);
                writer.value(document.root());
            }
            writer.endArray();
        }
        if (!note.empty()) {
            writer.name("note").beginArray().beginObject().member("text", note).endObject().endArray();
        }
    }

    static std::string component(std::string_view code, std::string_view value, std::string_view unit) {
        return R"({"code":{"coding":[{"system":"http://loinc.org","code":")" + std::string(code) +
               R"("}]},"valueQuantity":{"value":)" + std::string(value) + R"(,"unit":")" + std::string(unit) +
               R"(","system":"http://unitsofmeasure.org","code":")" + std::string(unit) + R"("}})";
    }

    void oxygen(const Item& item, std::string& note, std::vector<std::string>& components) {
        switch (item.oxygen) {
            case Item::Oxygen::unstated:
                break;
            case Item::Oxygen::air:
                switch (own_->below(4)) {
                    case 0:
                        components.push_back(component("3150-0", "21", "%"));
                        break;
                    case 1:
                        components.push_back(component("3151-8", "0", "L/min"));
                        break;
                    case 2:
                        components.push_back(component("3150-0", "21.0", "%"));
                        components.push_back(component("3151-8", "0.0", "L/min"));
                        break;
                    default:
                        note = "on room air";
                }
                break;
            case Item::Oxygen::given:
                switch (own_->below(3)) {
                    case 0:
                        components.push_back(component("3150-0", "40", "%"));
                        break;
                    case 1:
                        components.push_back(component("3151-8", "2", "L/min"));
                        break;
                    default:
                        note = "by nasal cannula";
                }
                break;
            case Item::Oxygen::contradictory:
                components.push_back(component("3150-0", "21", "%"));
                components.push_back(component("3151-8", "7", "L/min"));
        }
    }

    void value(Writer& writer, const Item& item) {
        switch (item.value) {
            case Item::Value::absent:
                if (own_->percent(60)) {
                    writer.name("dataAbsentReason").beginObject().member("text", "unknown").endObject();
                }
                break;
            case Item::Value::number:
                number(writer, item);
                break;
            case Item::Value::polarity:
                polarity(writer, item);
                break;
            case Item::Value::answer:
                answer(writer, item, item.answer);
        }
    }

    /// A coded answer with that value, of a fact that the result speaks of; nothing when there is none.
    struct Answer {
        std::string system;
        std::string code;
    };
    std::optional<Answer> answerCode(const Item& item, const std::string& wanted) {
        std::vector<Answer> found;
        for (const auto& [fact, role] : meaning(item).roles) {
            for (const Knowledge::Row& row : knowledge().rowsByFact.at(fact)) {
                if (row.role == "answer" && row.value == wanted) found.push_back({row.system, row.written});
            }
        }
        if (found.empty()) return std::nullopt;
        return own_->of(found);
    }

    void answer(Writer& writer, const Item& item, const std::string& wanted) {
        const Answer code = answerCode(item, wanted).value_or(Answer{"loinc", "LA0000-0"});
        writer.name("valueCodeableConcept").beginObject().name("coding").beginArray();
        coding(writer, uri(code.system), code.code, "");
        writer.endArray().endObject();
    }

    void polarity(Writer& writer, const Item& item) {
        const Words& words = knowledge().results.at(item.polarity);
        const auto concept_ = [&](bool interpretation) {
            std::vector<std::pair<std::string, Code>> codes;
            for (const auto& code : words.codes) {
                if ((code.first == "interpretation") == interpretation) codes.push_back(code);
            }
            const auto& [system, code] = own_->of(codes);
            writer.beginObject().name("coding").beginArray();
            coding(writer, uri(system), code.code, own_->percent(50) ? code.display : "");
            writer.endArray().endObject();
        };
        const bool cutOff = item.polarity != "indeterminate" && everyFact(item, [](const FactEntry& fact) {
                                return fact.kind == "finding" && fact.gate.empty() && fact.derivation.empty();
                            });
        const std::string wanted = item.polarity == "positive" ? "pregnant" : "not-pregnant";
        const bool answers = item.polarity != "indeterminate" &&
                             everyFact(item, [](const FactEntry& fact) { return fact.name == "pregnancy"; });
        switch (own_->below(7)) {
            case 0:
                writer.name("valueCodeableConcept").beginObject();
                writer.member("text", own_->of(words.text));
                writer.endObject();
                return;
            case 1:
                writer.member("valueString", own_->of(words.text));
                return;
            case 2:
                if (item.polarity == "indeterminate") break;
                writer.name("valueBoolean").boolean(item.polarity == "positive");
                return;
            case 3:
                writer.name("interpretation").beginArray();
                concept_(true);
                writer.endArray();
                return;
            case 4:
                if (!cutOff) break;
                writer.name("valueQuantity").beginObject().name("value");
                writer.number(item.polarity == "positive" ? "1.01" : "0.99").member("unit", "S/CO").endObject();
                writer.name("referenceRange").beginArray().beginObject();
                if (own_->percent(50)) {
                    writer.name("high").beginObject().name("value").number("1.0").member("unit", "S/CO").endObject();
                } else {
                    writer.member("text", "< 1.0");
                }
                writer.endObject().endArray();
                return;
            case 5:
                if (!answers) break;
                answer(writer, item, wanted);
                return;
            default:
                break;
        }
        writer.name("valueCodeableConcept");
        concept_(false);
    }

    /// One of the units in which the whole result has a decimal of its own, and its factor from the unit it was drawn
    /// in.
    struct Unit {
        std::string name;
        Ratio factor = ratio(1);
    };

    Unit otherUnit(const Item& item, bool limitOnly) {
        const FactEntry& fact = knowledge().fact(item.unitOf);
        std::vector<Unit> possible{{item.unit, ratio(1)}};
        std::optional<Ratio> from;
        for (const auto& [unit, factor] : fact.units) {
            if (unit == item.unit) from = factor;
        }
        if (!from) return possible.front();
        for (const auto& [unit, factor] : fact.units) {
            if (!factor || unit == item.unit) continue;
            const Ratio change = *from / *factor;
            const auto fits = [&](const std::optional<Ratio>& number) {
                return !number || decimal(*number * change).has_value();
            };
            if ((limitOnly || (fits(item.number) && fits(item.high))) && fits(item.upperLimit))
                possible.push_back({unit, change});
        }
        return own_->of(possible);
    }

    std::string spelling(const std::string& unit) {
        const auto synonyms = knowledge().unitSynonyms.find(unit);
        if (synonyms == knowledge().unitSynonyms.end() || own_->percent(50)) return unit;
        return own_->of(synonyms->second);
    }

    void quantity(Writer& writer, Ratio number, const std::string& unit, std::string_view comparator = {}) {
        writer.beginObject();
        const std::string digits = decimal(number, 18).value_or("0");
        if (own_->percent(5)) {
            writer.member("value", digits);
        } else {
            writer.name("value").number(digits);
        }
        if (!comparator.empty()) writer.member("comparator", comparator);
        if (!unit.empty()) {
            const std::size_t way = own_->below(3);
            if (way != 0) writer.member("unit", spelling(unit));
            if (way != 1) writer.member("system", "http://unitsofmeasure.org").member("code", unit);
        }
        writer.endObject();
    }

    void number(Writer& writer, const Item& item) {
        const FactEntry& fact = knowledge().fact(item.unitOf);
        const Unit unit = otherUnit(item, false);
        const std::string name = item.strangeUnit ? "furlong" : unit.name;
        const Ratio number = item.number * unit.factor;
        const auto digits = decimal(number);
        const bool plain = item.comparator.empty() && !item.high;
        const bool whole = number.d == 1;
        const bool unitless =
            std::any_of(fact.units.begin(), fact.units.end(), [](const auto& each) { return each.first.empty(); });
        // A number in words does not decide where a yes or no is asked.
        const bool words = digits && name.find_first_of("0123456789") == std::string::npos && !name.empty() &&
                           everyFact(item, [](const FactEntry& each) { return each.kind != "finding"; });
        const bool integer = plain && whole && unitless && unit.factor == ratio(1) && !item.strangeUnit;
        const auto code = integer ? answerCode(item, *digits) : std::nullopt;
        const std::size_t way = own_->below(10);
        if (way == 0 && words) {
            std::string text = item.comparator + (item.comparator.empty() ? "" : " ") + *digits;
            if (item.high) text += "-" + decimal(*item.high * unit.factor).value_or("0");
            writer.member("valueString", text + " " + name);
        } else if (way <= 2 && integer) {
            writer.name("valueInteger").number(*digits);
        } else if (way <= 4 && code) {
            answer(writer, item, *digits);
        } else if (way <= 5 && code) {
            writer.name("interpretation").beginArray().beginObject().name("coding").beginArray();
            coding(writer, uri(code->system), code->code, "");
            writer.endArray().endObject().endArray();
        } else if (item.high) {
            writer.name("valueRange").beginObject().name("low");
            quantity(writer, number, name);
            writer.name("high");
            quantity(writer, *item.high * unit.factor, name);
            writer.endObject();
        } else {
            writer.name("valueQuantity");
            quantity(writer, number, name, item.comparator);
        }
        if (item.upperLimit) limits(writer, item, {name, unit.factor});
    }

    void limits(Writer& writer, const Item& item, const Unit& unit) {
        writer.name("referenceRange").beginArray();
        const std::string other = patient_.gender == "male" ? "female" : patient_.gender == "female" ? "male" : "";
        const auto foreign = [&] {
            // A range that is not this patient's, or not one of health.
            writer.beginObject().name("high");
            quantity(writer, ratio(7), unit.name);
            if (!other.empty() && own_->percent(50)) {
                writer.name("appliesTo").beginArray().beginObject().member("text", other).endObject().endArray();
            } else {
                writer.name("type").beginObject().name("coding").beginArray();
                coding(writer, "http://terminology.hl7.org/CodeSystem/referencerange-meaning", "therapeutic", "");
                writer.endArray().endObject();
            }
            writer.endObject();
        };
        const bool before = own_->percent(10);
        if (before) foreign();
        writer.beginObject();
        const std::string high = decimal(*item.upperLimit * unit.factor).value_or("0");
        switch (own_->below(6)) {
            case 0:
                writer.member("text", "0-" + high);
                break;
            case 1:
                writer.member("text", "<= " + high);
                break;
            case 2: {
                writer.name("low");
                quantity(writer, ratio(0), unit.name);
                writer.name("high");
                quantity(writer, *item.upperLimit * unit.factor, unit.name);
                break;
            }
            case 3: {
                // The units of a yes or no do not convert.
                const bool converts =
                    !item.strangeUnit && everyFact(item, [](const FactEntry& fact) { return fact.kind != "finding"; });
                const Unit own = converts ? otherUnit(item, true) : unit;
                writer.name("high");
                quantity(writer, *item.upperLimit * own.factor, own.name);
                break;
            }
            case 4:
                writer.name("high").beginObject().name("value").number(high).endObject();
                break;
            default:
                writer.name("type").beginObject().member("text", "normal").endObject();
                writer.name("high");
                quantity(writer, *item.upperLimit * unit.factor, unit.name);
        }
        writer.endObject();
        if (!before && own_->percent(10)) foreign();
        writer.endArray();
    }

    // --- diseases

    void disease(Writer& writer, const Item& item) {
        subject(writer, "subject");
        const auto status = [&](std::string_view element, std::string_view system, const std::string& code) {
            if (code.empty()) return;
            writer.name(element).beginObject().name("coding").beginArray();
            coding(writer, "http://terminology.hl7.org/CodeSystem/" + std::string(system), code, "");
            writer.endArray().endObject();
        };
        status("clinicalStatus", "condition-clinical", item.status);
        status("verificationStatus", "condition-ver-status", item.verification);
        writer.name("code").beginObject();
        codings(writer, item, true);
        writer.endObject();
        if (item.start) {
            if (own_->percent(20)) {
                writer.name("onsetPeriod").beginObject();
                date(writer, "start", item.start);
                writer.endObject();
            } else {
                date(writer, "onsetDateTime", item.start);
            }
        }
        if (item.end) {
            if (own_->percent(20)) {
                writer.name("abatementPeriod").beginObject();
                date(writer, "end", item.end);
                writer.endObject();
            } else {
                date(writer, "abatementDateTime", item.end);
            }
        }
        date(writer, "recordedDate", item.recorded);
    }

    // --- acts

    void act(Writer& writer, const Item& item, const std::string& id) {
        writer.member("status", item.status);
        subject(writer, item.type == "Immunization" ? "patient" : "subject");
        if (!item.intent.empty()) writer.member("intent", item.intent);
        if (item.doNotPerform) writer.name("doNotPerform").boolean(true);
        if (item.type.starts_with("Medication")) {
            drug(writer, item, id);
        } else {
            writer.name(item.type == "Immunization" ? "vaccineCode" : "code").beginObject();
            codings(writer, item, true);
            writer.endObject();
        }
        const std::string stem = item.type == "Procedure" ? "performed" : "effective";
        if (item.type == "Immunization") {
            date(writer, "occurrenceDateTime", item.start);
        } else if (item.type == "MedicationRequest") {
            date(writer, "authoredOn", item.start);
        } else if (item.period) {
            writer.name(stem + "Period").beginObject();
            date(writer, "start", item.start);
            date(writer, "end", item.end);
            writer.endObject();
        } else {
            date(writer, stem + "DateTime", item.start);
        }
        if (item.type.starts_with("Medication")) dosage(writer, item);
    }

    void drug(Writer& writer, const Item& item, const std::string& id) {
        if (item.unresolved) {
            writer.name("medicationReference").beginObject().member("reference", "Medication/not-here").endObject();
            return;
        }
        const std::size_t way = own_->below(4);
        if (way <= 1) {
            writer.name("medicationCodeableConcept").beginObject();
            codings(writer, item, true);
            writer.endObject();
            return;
        }
        const std::string name = "medication-" + hex(item.salt, 12);
        Writer medication;
        medication.beginObject().member("resourceType", "Medication").member("id", name);
        if (own_->percent(60)) {
            medication.name("code").beginObject();
            codings(medication, item, true);
            medication.endObject();
        } else {
            medication.name("ingredient").beginArray().beginObject().name("itemCodeableConcept").beginObject();
            codings(medication, item, true);
            medication.endObject().endObject().endArray();
        }
        medication.endObject();
        if (way == 2) {
            const fhir::json::Document document{std::string(medication.text())};
            writer.name("contained").beginArray().value(document.root()).endArray();
            writer.name("medicationReference").beginObject().member("reference", "#" + name).endObject();
            return;
        }
        const bool named = style_.wrapping != Style::Wrapping::array && own_->percent(50);
        medication_ = {named ? std::string(server) + "Medication/" + name : "", std::string(medication.text())};
        const bool absolute = own_->percent(50);
        writer.name("medicationReference").beginObject();
        writer.member("reference", (absolute ? std::string(server) : "") + "Medication/" + name).endObject();
        (void)id;
    }

    void dosage(Writer& writer, const Item& item) {
        const bool request = item.type == "MedicationRequest";
        if (item.route.empty() && !(request && item.end)) return;
        const bool list = item.type != "MedicationAdministration";
        writer.name(request ? "dosageInstruction" : "dosage");
        if (list) writer.beginArray();
        writer.beginObject();
        if (!item.route.empty()) {
            const Code& route = own_->of(knowledge().routes.at(item.route));
            writer.name("route").beginObject();
            if (own_->percent(70)) {
                writer.name("coding").beginArray();
                coding(writer, uri("snomed"), route.code, "");
                writer.endArray();
            } else {
                writer.member("text", item.route == "systemic" ? "by mouth" : "topical");
            }
            writer.endObject();
        }
        if (request && item.end) {
            writer.name("timing").beginObject().name("repeat").beginObject().name("boundsPeriod").beginObject();
            date(writer, "end", item.end);
            writer.endObject().endObject().endObject();
        }
        writer.endObject();
        if (list) writer.endArray();
    }

    const Patient& patient_;
    const Style& style_;
    Random random_;
    Random* own_ = &random_;
    std::string patientId_;
    std::string patientUrl_;
    std::vector<Entry> entries_;
    Entry medication_;
};

}  // namespace

std::string render(const Patient& patient, const Style& style) {
    return Renderer(patient, style).render();
}

}  // namespace model
