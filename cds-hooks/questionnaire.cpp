#include "cds-hooks/questionnaire.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/screening.h"
#include "fhir/json.h"
#include "mapping/answer.h"

namespace cds_hooks {

using fhir::json::Writer;
using mapping::Basis;
using mapping::Derivation;
using mapping::FactDefinition;
using mapping::Kind;
using rules::Comparison;
using rules::Criterion;
using rules::Rule;
using rules::Trial;

namespace {

constexpr std::string_view extensions = "http://hl7.org/fhir/StructureDefinition/";
constexpr std::string_view ucum = "http://unitsofmeasure.org";
constexpr std::string_view answerSystem = "urn:cd7match:answer";

/// What the sentences of a trial need to know of one fact beside its value.
struct Needs {
    bool dates = false;  ///< every day on which it was so
    bool date = false;
    bool upperLimit = false;
    bool method = false;
    bool halfLife = false;
    const FactDefinition* exceptionOf = nullptr;
};

/// One item of the form: a fact, or a question of the trial file.
struct Item {
    const FactDefinition* fact = nullptr;
    const Rule* ask = nullptr;
    Needs needs;
    std::vector<std::size_t> criteria;  ///< that read it, in the order of the page
};

/// Collects the items of a trial in the order in which the page needs them.
class Collector {
public:
    Collector(const Trial& trial, const mapping::Vocabulary& vocabulary) : trial_(trial), vocabulary_(vocabulary) {}

    std::vector<Item> collect() {
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) visit(trial_.criteria[i].when, i);
        return std::move(items_);
    }

private:
    void visit(const Rule& rule, std::size_t criterion) {
        if (rule.kind == Rule::Kind::ask) {
            items_.push_back({nullptr, &rule, {}, {criterion}});
        } else if (rule.kind == Rule::Kind::comparison) {
            visit(rule.comparison, criterion);
        }
        for (const Rule& part : rule.rules) visit(part, criterion);
    }

    void visit(const Comparison& comparison, std::size_t criterion) {
        const FactDefinition& fact = vocabulary_.facts()[comparison.fact];
        const bool isDated = comparison.after || comparison.form == Comparison::Form::twice;
        Needs needs;
        needs.dates = isDated && fact.kind == Kind::finding;
        needs.date = comparison.window || isDated;
        needs.upperLimit = comparison.timesUpperLimit;
        needs.method = !comparison.method.empty();
        needs.halfLife = comparison.window && comparison.window->halfLives > 0;
        add(fact, needs, criterion);
        if (comparison.except) {
            Needs exception;
            exception.exceptionOf = &fact;
            add(vocabulary_.facts()[*comparison.except], exception, criterion);
        }
        if (comparison.after) {
            Needs earlier;
            earlier.dates = earlier.date = true;
            add(vocabulary_.facts()[*comparison.after], earlier, criterion);
        }
    }

    void add(const FactDefinition& fact, const Needs& needs, std::size_t criterion) {
        auto item = std::find_if(items_.begin(), items_.end(), [&](const Item& i) { return i.fact == &fact; });
        if (item == items_.end()) item = items_.insert(item, {&fact, nullptr, {}, {}});
        item->needs.dates = item->needs.dates || needs.dates;
        item->needs.date = item->needs.date || needs.date;
        item->needs.upperLimit = item->needs.upperLimit || needs.upperLimit;
        item->needs.method = item->needs.method || needs.method;
        item->needs.halfLife = item->needs.halfLife || needs.halfLife;
        if (fact.question.ends_with("when?")) {
            // The words of the vocabulary ask for the day as well.
            item->needs.date = true;
            item->needs.dates = item->needs.dates || !fact.event;
        }
        if (needs.exceptionOf != nullptr) item->needs.exceptionOf = needs.exceptionOf;
        if (item->criteria.empty() || item->criteria.back() != criterion) item->criteria.push_back(criterion);
    }

    const Trial& trial_;
    const mapping::Vocabulary& vocabulary_;
    std::vector<Item> items_;
};

/// The facts and questions that an evaluation left open and an answer could settle.
class Opened {
public:
    Opened(const rules::Evaluation& evaluation, const mapping::Vocabulary& vocabulary) : vocabulary_(vocabulary) {
        for (const rules::Finding& finding : evaluation.findings) {
            if (!finding.criterion->required || finding.outcome.truth != rules::Truth::Unknown) continue;
            for (const rules::Open& open : finding.outcome.open) {
                if (open.ask != nullptr) asks_.insert(open.ask);
                if (open.fact == nullptr || open.basis == Basis::washOut || open.basis == Basis::conflicting) continue;
                facts_.insert(open.fact);
                // A sentence about two facts may wait for either.
                addPartners(evaluation.trial->criteria[open.criterion].when, *open.fact);
            }
        }
    }

    bool holds(const Item& item) const {
        return item.ask != nullptr ? asks_.contains(item.ask) : facts_.contains(item.fact);
    }

private:
    void addPartners(const Rule& rule, const FactDefinition& fact) {
        if (rule.kind == Rule::Kind::comparison) {
            std::vector<std::size_t> all;
            rule.comparison.forEachFact([&](std::size_t index) { all.push_back(index); });
            if (std::find(all.begin(), all.end(), fact.index) == all.end()) return;
            for (const std::size_t index : all) facts_.insert(&vocabulary_.facts()[index]);
        }
        for (const Rule& part : rule.rules) addPartners(part, fact);
    }

    const mapping::Vocabulary& vocabulary_;
    std::set<const FactDefinition*> facts_;
    std::set<const Rule*> asks_;
};

bool isActivity(const FactDefinition& fact) {
    return std::any_of(fact.sources.begin(), fact.sources.end(), [](const std::string& type) {
        return type == "Procedure" || type == "Immunization" || type.starts_with("Medication");
    });
}

/// Whether something lasts and can be over: then its end is asked for, and the past counts as well.
bool lasts(const FactDefinition& fact) {
    return fact.kind == Kind::finding && !mapping::isAnsweredAsResult(fact) && !fact.event &&
           fact.status != mapping::StatusPolicy::diagnosed && fact.status != mapping::StatusPolicy::ever &&
           fact.derivation != Derivation::childbearing;
}

/// Whether the words of the vocabulary ask for yes or no.
bool hasQuestion(const FactDefinition& fact) {
    return !fact.question.empty() && fact.question != fact.label + '?' && fact.derivation != Derivation::nyha;
}

std::string wording(const Item& item) {
    const FactDefinition& fact = *item.fact;
    if (item.needs.exceptionOf != nullptr)
        return item.needs.exceptionOf->label + ": is every instance a listed exception (" + fact.label + ")?";
    // Its question is about the half-lives, which the form asks for one by one.
    if (hasQuestion(fact) && !item.needs.halfLife) return fact.question;
    switch (fact.kind) {
        case Kind::quantity:
            return fact.label;
        case Kind::count:
            return fact.label + ": how many?";
        case Kind::coded:
            return fact.label + ": which?";
        case Kind::viralLoad:
            return fact.label + ": detected?";
        case Kind::finding:
            break;
    }
    if (fact.derivation == Derivation::negativeTest) return fact.label + ": was the last test negative?";
    if (fact.derivation == Derivation::pregnancy) return fact.label + ": now?";
    if (mapping::isAnsweredAsResult(fact)) return fact.label + ": positive?";
    if (fact.event) return fact.label + (isActivity(fact) ? ": was it done, ever?" : ": did it happen, ever?");
    if (!lasts(fact)) return fact.label + ": diagnosed?";
    return fact.label + (isActivity(fact) ? ": given now or at any time before?" : ": now or at any time before?");
}

void writeCoding(Writer& writer, std::string_view system, std::string_view code, std::string_view display) {
    writer.beginObject().member("system", system).member("code", code).member("display", display).endObject();
}

/// Writes the items of one form.
class FormWriter {
public:
    FormWriter(const Trial& trial, Writer& writer) : trial_(trial), writer_(writer) {}

    void write(const Item& item) {
        if (item.ask != nullptr) {
            writeAsk(item);
        } else {
            writeFact(item);
        }
    }

private:
    /// FHIR knows no empty arrays: the first nested item opens one.
    Writer& nested() {
        if (!hasNested_) writer_.name("item").beginArray();
        hasNested_ = true;
        return writer_;
    }
    void endNested() {
        if (hasNested_) writer_.endArray();
    }

    void begin(std::string_view linkId, std::string_view text, std::string_view type, std::string_view prefix = {}) {
        writer_.beginObject().member("linkId", linkId);
        if (!prefix.empty()) writer_.member("prefix", prefix);
        writer_.member("text", text).member("type", type);
    }

    void writeAsk(const Item& item) {
        const Criterion& criterion = trial_.criteria[item.criteria.front()];
        const std::string by = item.ask->by.empty() ? "" : " (" + item.ask->by + ")";
        begin(item.ask->linkId, item.ask->question + by, "boolean", criterion.id);
        hasNested_ = false;
        writeHelp(item, item.ask->linkId);
        endNested();
        writer_.endObject();
    }

    /// The criterion's published words; those of the group above where it has none of its own.
    const Criterion* published(std::size_t index) const {
        std::size_t depth = trial_.criteria[index].depth + 1;
        for (std::size_t i = index + 1; i-- > 0;) {
            if (trial_.criteria[i].depth >= depth) continue;
            depth = trial_.criteria[i].depth;
            if (!trial_.criteria[i].text.empty()) return &trial_.criteria[i];
            if (depth == 0) break;
        }
        return nullptr;
    }

    void writeHelp(const Item& item, const std::string& linkId) {
        for (const std::size_t index : item.criteria) {
            const Criterion& criterion = trial_.criteria[index];
            const Criterion* words = published(index);
            if (words == nullptr) continue;
            nested()
                .beginObject()
                .name("extension")
                .beginArray()
                .beginObject()
                .member("url", std::string(extensions) + "questionnaire-itemControl")
                .name("valueCodeableConcept")
                .beginObject()
                .name("coding")
                .beginArray();
            writeCoding(writer_, "http://hl7.org/fhir/questionnaire-item-control", "help", "Help-Button");
            writer_.endArray().endObject().endObject().endArray();
            writer_.member("linkId", linkId + "/help/" + trial_.id + '/' + criterion.id)
                .member("text", criterion.id + ": " + words->text)
                .member("type", "display")
                .endObject();
        }
    }

    /// The units in which the answer is read, the fact's own first, each factor once.
    void writeUnits(const FactDefinition& fact, bool convertible) {
        std::vector<std::string_view> units{fact.unit};
        std::set<std::string> seen;
        for (const auto& [spelling, factor] : fact.units) {
            if (spelling == fact.unit && factor) seen.insert(fhir::decimalText(*factor, 30));
        }
        for (const auto& [spelling, factor] : fact.units) {
            const bool isAnnotation = spelling.starts_with('{') && spelling.ends_with('}');
            if (spelling.empty() || spelling == "1" || spelling == fact.unit || isAnnotation) continue;
            if (factor ? seen.insert(fhir::decimalText(*factor, 30)).second : !convertible) units.push_back(spelling);
        }
        writeUnitOptions(units);
    }

    void writeUnitOptions(const std::vector<std::string_view>& units) {
        static const std::map<std::string_view, std::string_view> displays{
            {"a", "years"}, {"mo", "months"}, {"d", "days"}, {"h", "hours"}};
        writer_.name("extension").beginArray();
        for (const std::string_view unit : units) {
            const auto display = displays.find(unit);
            writer_.beginObject()
                .member("url", std::string(extensions) + "questionnaire-unitOption")
                .name("valueCoding");
            writeCoding(writer_, ucum, unit, display == displays.end() ? unit : display->second);
            writer_.endObject();
        }
        writer_.endArray();
    }

    void writeHalfLife(const std::string& linkId, const FactDefinition& fact, const std::string& question) {
        nested().beginObject();
        writeUnitOptions({"d", "h"});
        writer_.member("linkId", linkId)
            .member("text", fact.label + ": half-life of the one that was given")
            .member("type", "quantity");
        enableWhenYes(question);
        writer_.endObject();
    }

    void writeChoices(const std::vector<std::string>& values) {
        writer_.name("answerOption").beginArray();
        for (const std::string& value : values) {
            writer_.beginObject().name("valueCoding");
            writeCoding(writer_, answerSystem, value, value);
            writer_.endObject();
        }
        writer_.endArray();
    }

    void writeQuantity(const std::string& linkId, const std::string& text, const FactDefinition& fact, bool onlyYes,
                       const std::string& question) {
        nested().beginObject();
        writeUnits(fact, fact.kind == Kind::quantity);
        writer_.member("linkId", linkId).member("text", text).member("type", "quantity");
        if (onlyYes) enableWhenYes(question);
        writer_.endObject();
    }

    void enableWhenYes(const std::string& question) {
        writer_.name("enableWhen")
            .beginArray()
            .beginObject()
            .member("question", question)
            .member("operator", "=")
            .name("answerBoolean")
            .boolean(true)
            .endObject()
            .endArray();
    }

    void writeDate(const std::string& linkId, const std::string& text, bool repeats, bool onlyYes,
                   const std::string& question) {
        nested();
        begin(linkId, text, "date");
        if (repeats) writer_.name("repeats").boolean(true);
        if (onlyYes) enableWhenYes(question);
        writer_.endObject();
    }

    void writeFact(const Item& item) {
        const FactDefinition& fact = *item.fact;
        const std::string linkId = mapping::linkIdOf(fact);
        const bool isScore = fact.kind == Kind::quantity && fact.unit.starts_with('{');
        const bool isDecimal = isScore && fact.unit == "{INR}";
        writer_.beginObject();
        if (fact.kind == Kind::quantity && !isScore) writeUnits(fact, true);
        writer_.member("linkId", linkId).member("text", wording(item));
        switch (fact.kind) {
            case Kind::finding:
            case Kind::viralLoad:
                writer_.member("type", "boolean");
                break;
            case Kind::quantity:
                writer_.member("type", isDecimal ? "decimal" : isScore ? "integer" : "quantity");
                if (item.needs.method) writer_.name("repeats").boolean(true);  // one answer for each method
                break;
            case Kind::count:
                writer_.member("type", "integer");
                break;
            case Kind::coded:
                writer_.member("type", "choice");
                writeChoices(fact.values);
                break;
        }
        hasNested_ = false;
        writeHelp(item, linkId);
        writeParts(item, linkId, isDecimal);
        endNested();
        writer_.endObject();
    }

    void writeParts(const Item& item, const std::string& linkId, bool isDecimal) {
        const FactDefinition& fact = *item.fact;
        const auto partOf = [&](std::string_view name) { return linkId + '/' + std::string(name); };
        const bool isFinding = fact.kind == Kind::finding;
        const bool isResult = !isFinding || mapping::isAnsweredAsResult(fact);
        if (fact.kind == Kind::viralLoad)
            writeQuantity(partOf(mapping::part::value), fact.label + ": the number", fact, true, linkId);
        if (item.needs.upperLimit) {
            const std::string text = fact.label + ": upper limit of normal of that laboratory";
            if (isDecimal) {
                nested();
                begin(partOf(mapping::part::upperLimit), text, "decimal");
                writer_.endObject();
            } else {
                writeQuantity(partOf(mapping::part::upperLimit), text, fact, fact.kind == Kind::viralLoad, linkId);
            }
        }
        if (item.needs.method) {
            nested();
            begin(partOf(mapping::part::method), fact.label + ": by which method?", "choice");
            std::vector<std::string> names;
            for (const mapping::Method& method : fact.methods) names.push_back(method.name);
            writeChoices(names);
            writer_.endObject();
        }
        if (isResult) {
            if (fact.freshFor || item.needs.date)
                writeDate(partOf(mapping::part::date),
                          fact.label + (item.needs.dates ? ": on which days (every one)?" : ": on which day?"),
                          item.needs.dates, false, linkId);
        } else if (item.needs.dates) {
            writeDate(partOf(mapping::part::date), fact.label + ": on which days (every one)?", true, true, linkId);
        } else if (item.needs.date) {
            writeDate(partOf(mapping::part::date),
                      fact.label + (fact.event ? ": on which day, most recently?" : ": since when?"), false, true,
                      linkId);
        }
        if (lasts(fact) && (item.needs.date || !hasQuestion(fact)) && item.needs.exceptionOf == nullptr)
            writeDate(partOf(mapping::part::end), fact.label + ": until when? Leave empty while it lasts.", false, true,
                      linkId);
        if (item.needs.halfLife) writeHalfLife(partOf(mapping::part::halfLife), fact, linkId);
    }

    const Trial& trial_;
    Writer& writer_;
    bool hasNested_ = false;  ///< of the item that is being written
};

}  // namespace

std::string questionnaireJson(const Trial& trial, const mapping::Vocabulary& vocabulary,
                              const rules::Evaluation* evaluation) {
    std::vector<Item> items = Collector(trial, vocabulary).collect();
    if (evaluation != nullptr) {
        const Opened opened(*evaluation, vocabulary);
        std::erase_if(items, [&](const Item& item) { return !opened.holds(item); });
    }
    Writer writer;
    writer.beginObject()
        .member("resourceType", "Questionnaire")
        .member("id", trial.id)
        .member("url", "urn:cd7match:Questionnaire:" + trial.id)
        .member("version", programVersion())
        .member("name", "Screening" + trial.id)
        .member("title", "Screening form of " + trial.id + ": " + trial.title)
        .member("status", "active")
        .name("subjectType")
        .beginArray()
        .string("Patient")
        .endArray();
    if (trial.recruitmentAsOf) writer.member("date", trial.recruitmentAsOf->text());
    writer.member("description", "Answers what a chart does not say for trial " + trial.id +
                                     ". A screening aid for professionals, not a decision: the trial site decides.");
    const auto isInclusion = [&](const Item& item) { return trial.criteria[item.criteria.front()].inclusion; };
    if (!items.empty()) {
        writer.name("item").beginArray();
        FormWriter form(trial, writer);
        for (const bool inclusion : {true, false}) {
            if (std::none_of(items.begin(), items.end(), [&](const Item& i) { return isInclusion(i) == inclusion; }))
                continue;
            writer.beginObject()
                .member("linkId", trial.id + (inclusion ? "/inclusion" : "/exclusion"))
                .member("text", inclusion ? "Inclusion criteria" : "Exclusion criteria")
                .member("type", "group")
                .name("item")
                .beginArray();
            for (const Item& item : items) {
                if (isInclusion(item) == inclusion) form.write(item);
            }
            writer.endArray().endObject();
        }
        writer.endArray();
    }
    writer.endObject();
    return std::string(writer.text());
}

}  // namespace cds_hooks
