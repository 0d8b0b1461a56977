#include "mapping/answer.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "mapping/observation.h"

namespace mapping {

using fhir::DateTime;
using fhir::QuestionnaireAnswer;
using fhir::QuestionnaireItem;
using fhir::QuestionnaireResponse;
using AnswerKind = fhir::QuestionnaireAnswer::Kind;

namespace {

constexpr std::string_view factPrefix = "fact/";

/// More dates of one thing than anybody remembers.
constexpr std::size_t mostDates = 50;

/// More answers to one question than one form holds.
constexpr std::size_t mostAnswers = 100;

std::optional<fhir::Rational> wholeNumber(std::string_view text) {
    const auto number = fhir::parseDecimal(text);
    if (!number || *number < 0 || fhir::decimalText(*number, 6).find('.') != std::string::npos) return std::nullopt;
    return number;
}

/// The answer that an item is nested in, as a path; what comes before the last ".item" of its own.
std::string_view answerAround(std::string_view path) {
    const auto answer = path.rfind(".answer[");
    return answer == std::string_view::npos ? std::string_view() : path.substr(0, path.find(']', answer) + 1);
}

/// The item, answer or form that an item stands in.
std::string_view parentOf(std::string_view path) {
    return path.substr(0, path.rfind(".item["));
}

/// One answer of an item.
struct Place {
    const QuestionnaireItem& item;
    std::size_t answer;
    bool alone;  ///< the only item of its linkId in the form

    /// Whether a part stands beside this answer: nested in it, in the item, or beside the item; what is nested in the
    /// answer of another item is said of that.
    bool owns(const QuestionnaireItem& part) const {
        const std::string_view path = part.path;
        if (path.starts_with(item.path + ".answer["))
            return path.starts_with(item.path + ".answer[" + std::to_string(answer) + "].");
        if (answerAround(path) != answerAround(item.path)) return false;
        return alone || path.starts_with(item.path + ".item[") || parentOf(path) == parentOf(item.path);
    }
};

/// The days that a part names.
struct Days {
    std::vector<DateTime> dates;  ///< the earliest first
    bool unreadable = false;      ///< one of them is given and is no day
    bool ahead = false;           ///< one of them lies after the day of the evaluation
};

/// A form that counts, with its items by linkId.
struct Form {
    const QuestionnaireResponse* response = nullptr;
    std::optional<DateTime> authored;
    std::map<std::string_view, std::vector<const QuestionnaireItem*>> items;
};

class AnswerReader {
public:
    AnswerReader(Facts& facts, const fhir::Chart& chart, const Vocabulary& vocabulary)
        : facts_(facts), chart_(chart), vocabulary_(vocabulary) {}

    void read() {
        readForms();
        std::map<std::string_view, std::vector<const Form*>> asked;
        for (const Form& form : forms_) {
            for (const auto& [linkId, items] : form.items) {
                if (isAsk(linkId)) asked[linkId].push_back(&form);
            }
        }
        for (const auto& [linkId, forms] : asked) readAsk(linkId, forms);
        if (forms_.empty()) return;
        std::vector<Fact> attested(vocabulary_.facts().size());
        bool any = false;
        for (const FactDefinition& definition : vocabulary_.facts()) {
            if (readFact(definition, attested[definition.index])) any = true;
        }
        if (any) facts_.attested = std::move(attested);
    }

private:
    static bool isAsk(std::string_view linkId) {
        return linkId.starts_with("NCT") && linkId.find('/') != std::string_view::npos;
    }

    void readForms() {
        std::size_t future = 0;
        for (const QuestionnaireResponse& response : chart_.questionnaireResponse) {
            if (!response.counts()) continue;
            if (response.authored && response.authored->firstDay() > facts_.asOf) {
                ++future;
                continue;
            }
            Form form;
            form.response = &response;
            form.authored = response.authored;
            if (form.authored) form.authored->last = std::min(form.authored->last, DateTime::ofDay(facts_.asOf).last);
            for (const QuestionnaireItem& item : response.item) {
                const bool ours = item.linkId.starts_with(factPrefix) || isAsk(item.linkId);
                if (!ours || (item.answer.empty() && !item.unreadable)) continue;
                form.items[item.linkId].push_back(&item);
                if (item.linkId.starts_with(factPrefix)) checkName(item);
            }
            if (!form.items.empty()) forms_.push_back(std::move(form));
        }
        if (future > 0)
            report("", std::to_string(future) + " screening form(s) dated after " + facts_.asOf.text() + " not used");
    }

    void report(const std::string& path, std::string message) { facts_.issues.push_back({path, std::move(message)}); }

    void leftOut(const QuestionnaireItem& item, std::string_view message) {
        report(item.path, "item left out: " + std::string(message));
    }

    void checkName(const QuestionnaireItem& item) {
        const std::string_view name = item.linkId.substr(factPrefix.size());
        const auto slash = name.find('/');
        if (vocabulary_.find(name.substr(0, slash)) == nullptr) {
            leftOut(item, "the vocabulary has no fact of its linkId");
        } else if (slash != std::string_view::npos) {
            const std::string_view own = name.substr(slash + 1);
            const bool known = std::find(part::all.begin(), part::all.end(), own) != part::all.end();
            if (!known) leftOut(item, "a fact has no part of its linkId");
        }
    }

    static Evidence evidenceOf(const FactDefinition& fact, const Form& form) {
        Evidence evidence;
        evidence.fact = &fact;
        evidence.basis = form.authored ? Basis::attested : Basis::undated;
        if (!form.authored) evidence.detail = "the form does not say when it was filled in";
        evidence.resourceType = "QuestionnaireResponse";
        evidence.id = form.response->id;
        evidence.author = form.response->author;
        evidence.issued = form.authored;
        evidence.amended = form.response->status == "amended";
        return evidence;
    }

    // --- one answer ------------------------------------------------------------------------------------------------

    /// Yes or no; FHIR's boolean, or a code that says the same.
    std::optional<bool> yesOrNo(const QuestionnaireAnswer& answer) const {
        if (answer.kind == AnswerKind::boolean) return answer.boolean;
        if (answer.kind != AnswerKind::coding) return std::nullopt;
        // SNOMED CT 373066001 yes, 373067005 no; HL7 table 0136.
        const fhir::Coding& coding = answer.coding;
        if (coding.code == "373066001" || coding.code == "Y") return true;
        if (coding.code == "373067005" || coding.code == "N") return false;
        const auto system = vocabulary_.system(coding.system);
        const auto polarity = system ? vocabulary_.polarity(*system, coding.code) : std::nullopt;
        if (polarity == Vocabulary::Polarity::positive) return true;
        if (polarity == Vocabulary::Polarity::negative) return false;
        return std::nullopt;
    }

    static std::string_view word(const QuestionnaireAnswer& answer) {
        return answer.kind == AnswerKind::coding   ? answer.coding.code
               : answer.kind == AnswerKind::string ? answer.text
                                                   : std::string_view();
    }

    static std::vector<const QuestionnaireItem*> parts(const Form& form, const Place& place, const FactDefinition& fact,
                                                       std::string_view part) {
        std::vector<const QuestionnaireItem*> own;
        const auto found = form.items.find(linkIdOf(fact) + '/' + std::string(part));
        if (found == form.items.end()) return own;
        std::copy_if(found->second.begin(), found->second.end(), std::back_inserter(own),
                     [&](const QuestionnaireItem* item) { return place.owns(*item); });
        return own;
    }

    /// The days of a part; an issue for each that lies ahead or is no day.
    Days readDays(const Form& form, const Place& place, const FactDefinition& fact, std::string_view part) {
        Days days;
        for (const QuestionnaireItem* item : parts(form, place, fact, part)) {
            days.unreadable = days.unreadable || item->unreadable;
            for (const QuestionnaireAnswer& answer : item->answer) {
                if (answer.kind != AnswerKind::date) {
                    leftOut(*item, "a date is needed");
                    days.unreadable = true;
                } else if (answer.date->firstDay() > facts_.asOf) {
                    leftOut(*item, "dated after " + facts_.asOf.text());
                    days.ahead = true;
                } else if (days.dates.size() < mostDates) {
                    days.dates.push_back(*answer.date);
                    days.dates.back().last = std::min(answer.date->last, DateTime::ofDay(facts_.asOf).last);
                }
            }
        }
        std::sort(days.dates.begin(), days.dates.end(), [](const DateTime& a, const DateTime& b) {
            return std::tie(a.first, a.last) < std::tie(b.first, b.last);
        });
        return days;
    }

    /// The first answer of a part, when it has any.
    static const QuestionnaireAnswer* firstAnswer(const QuestionnaireItem& part) {
        return part.answer.empty() ? nullptr : &part.answer.front();
    }

    void readUpperLimit(Evidence& evidence, const Form& form, const Place& place, const fhir::Quantity& quantity,
                        const std::optional<fhir::Rational>& factor) {
        for (const QuestionnaireItem* item : parts(form, place, *evidence.fact, part::upperLimit)) {
            for (const QuestionnaireAnswer& answer : item->answer) {
                fhir::Quantity limit = answer.quantity;
                if (limit.unit.empty() && limit.code.empty()) {
                    limit.unit = quantity.unit;
                    limit.code = quantity.code;
                }
                const Measured measured = measure(limit, *evidence.fact, vocabulary_);
                const bool sameUnit = (limit.code.empty() ? limit.unit : limit.code) ==
                                      (quantity.code.empty() ? quantity.unit : quantity.code);
                // Units that are read but not converted compare only with themselves.
                const bool comparable = measured.factor && factor ? true : !measured.factor && !factor && sameUnit;
                if (!isDecided(measured.basis) || !measured.value.isPoint() || *measured.value.high <= 0 ||
                    !comparable) {
                    leftOut(*item, "the upper limit of normal cannot be read");
                    continue;
                }
                evidence.upperLimit = measured.value.high;
                // Shown in the unit of the result, as a laboratory prints it.
                evidence.upperLimitText =
                    factor ? fhir::decimalText(*evidence.upperLimit / *factor, 6) : std::string(limit.value);
                if (measured.factor == factor) evidence.upperLimitText = limit.value;
            }
        }
    }

    void readMethod(Evidence& evidence, const Form& form, const Place& place) {
        for (const QuestionnaireItem* item : parts(form, place, *evidence.fact, part::method)) {
            const QuestionnaireAnswer* answer = firstAnswer(*item);
            if (answer == nullptr) continue;
            const Method* method = evidence.fact->method(word(*answer));
            if (method == nullptr) {
                leftOut(*item, "no method of this fact");
            } else {
                evidence.method = method->name;
            }
        }
    }

    void readHalfLife(Evidence& evidence, const Form& form, const Place& place) {
        for (const QuestionnaireItem* item : parts(form, place, *evidence.fact, part::halfLife)) {
            const QuestionnaireAnswer* answer = firstAnswer(*item);
            if (answer == nullptr) continue;
            const fhir::Quantity& quantity = answer->quantity;
            const std::string_view unit = quantity.code.empty() ? quantity.unit : quantity.code;
            const auto number = fhir::parseDecimal(quantity.value);
            const bool isHours = unit == "h";
            if (!number || *number <= 0 || !quantity.comparator.empty() || (!isHours && unit != "d")) {
                leftOut(*item, "a half-life in days (d) or hours (h) is needed");
            } else {
                evidence.halfLife = Interval::point(isHours ? *number / 24 : *number);
            }
        }
    }

    bool readNumber(Evidence& evidence, const Form& form, const Place& place, const QuestionnaireItem& item,
                    const QuestionnaireAnswer& answer) {
        if (answer.kind != AnswerKind::quantity && answer.kind != AnswerKind::number) return false;
        const fhir::Quantity& quantity = answer.quantity;
        const FactDefinition& fact = *evidence.fact;
        evidence.valueText = quantity.value;
        evidence.comparator = quantity.comparator;
        evidence.unitText = quantity.code.empty() ? quantity.unit : quantity.code;
        if (fact.kind == Kind::count) {
            const auto number = quantity.comparator.empty() ? wholeNumber(quantity.value) : std::nullopt;
            if (!number) return false;
            evidence.value = Interval::point(*number);
            return true;
        }
        const Measured measured = measure(quantity, fact, vocabulary_);
        if (!isDecided(measured.basis)) {
            evidence.basis = measured.basis;
            if (measured.basis == Basis::unreadableUnit)
                report(item.path, "the unit of the answer on " + fact.label + " is not one of its units");
            return true;
        }
        evidence.value = measured.value;
        readUpperLimit(evidence, form, place, quantity, measured.factor);
        return true;
    }

    bool readViralLoad(Evidence& evidence, const Form& form, const Place& place) {
        const QuestionnaireAnswer& answer = place.item.answer[place.answer];
        evidence.positive = yesOrNo(answer);
        if (!evidence.positive) {
            if (!readNumber(evidence, form, place, place.item, answer)) return false;
        } else if (*evidence.positive) {
            for (const QuestionnaireItem* value : parts(form, place, *evidence.fact, part::value)) {
                const QuestionnaireAnswer* number = firstAnswer(*value);
                if (number != nullptr && !readNumber(evidence, form, place, *value, *number))
                    leftOut(*value, "a number is needed");
            }
        }
        const bool below = evidence.comparator.starts_with('<');
        if (!evidence.positive && isDecided(evidence.basis))
            evidence.positive = !below && evidence.value.low && (*evidence.value.low > 0 || evidence.value.lowOpen);
        return true;
    }

    bool readCoded(Evidence& evidence, const QuestionnaireAnswer& answer) {
        const std::vector<std::string>& values = evidence.fact->values;
        const auto known = std::find(values.begin(), values.end(), word(answer));
        if (known != values.end()) {
            evidence.coded = *known;
            return true;
        }
        if (answer.kind != AnswerKind::coding) return false;
        const auto system = vocabulary_.system(answer.coding.system);
        if (!system) return false;
        std::vector<Match> matches;
        vocabulary_.lookUp(*system, answer.coding.code, matches);
        for (const Match& match : matches) {
            if (match.fact != evidence.fact->index || match.role != Role::answer) continue;
            evidence.coded = match.value;
            return true;
        }
        return false;
    }

    /// What one answer says, several things when several days are given; nothing, with an issue, when it is unfit.
    std::vector<Evidence> read(const FactDefinition& fact, const Form& form, const Place& place) {
        const QuestionnaireItem& item = place.item;
        const QuestionnaireAnswer& answer = item.answer[place.answer];
        Evidence evidence = evidenceOf(fact, form);
        bool fits = false;
        switch (fact.kind) {
            case Kind::finding:
                evidence.positive = yesOrNo(answer);
                fits = evidence.positive.has_value();
                break;
            case Kind::quantity:
            case Kind::count:
                fits = readNumber(evidence, form, place, item, answer);
                break;
            case Kind::viralLoad:
                fits = readViralLoad(evidence, form, place);
                break;
            case Kind::coded:
                fits = readCoded(evidence, answer);
                break;
        }
        if (!fits) {
            leftOut(item, "the answer is not of the kind that " + fact.label + " needs");
            return {};
        }
        readMethod(evidence, form, place);
        readHalfLife(evidence, form, place);
        Days days = readDays(form, place, fact, part::date);
        if (days.ahead) return {};
        if (fact.kind == Kind::finding && !isAnsweredAsResult(fact))
            return history(std::move(evidence), form, place, std::move(days));
        return results(std::move(evidence), days);
    }

    static std::vector<Evidence> results(Evidence evidence, const Days& days) {
        if (days.unreadable) {
            // When it was is said and lost: neither today nor any day.
            if (isDecided(evidence.basis)) evidence.basis = Basis::undated;
            evidence.detail = "the date cannot be read";
            return {std::move(evidence)};
        }
        std::vector<Evidence> all;
        for (const DateTime& date : days.dates) {
            all.push_back(evidence);
            all.back().date = date;
            all.back().onsetDated = true;
            if (evidence.basis == Basis::undated) {
                all.back().basis = Basis::attested;
                all.back().detail.clear();
            }
        }
        if (!all.empty()) return all;
        evidence.date = evidence.issued;
        // The day of the answer tells how fresh it is, not when it was so.
        evidence.history = evidence.fact->kind == Kind::finding;
        return {std::move(evidence)};
    }

    std::vector<Evidence> history(Evidence evidence, const Form& form, const Place& place, Days days) {
        evidence.isRecord = true;
        evidence.onsetDated = true;
        if (evidence.positive == false) {
            evidence.refutes = true;
            return {std::move(evidence)};
        }
        evidence.state = State::active;
        if (!evidence.fact->event) {
            const Days ends = readDays(form, place, *evidence.fact, part::end);
            const bool reversed = !ends.dates.empty() && !days.dates.empty() &&
                                  ends.dates.back().lastDay() < days.dates.back().firstDay();
            if (reversed) leftOut(place.item, "its end comes before its date; neither is used");
            if (ends.unreadable || reversed) {
                evidence.state = State::unstated;
                evidence.detail = "until when it lasted cannot be read";
                if (reversed) days.dates.clear();
            } else if (!ends.dates.empty() && !ends.ahead) {
                // An end that lies ahead: it lasts today.
                evidence.state = State::stopped;
                evidence.end = ends.dates.back();
            }
        }
        if (days.unreadable) {
            days.dates.clear();
            evidence.detail = "the date cannot be read";
        }
        std::vector<Evidence> all;
        for (const DateTime& date : days.dates) {
            all.push_back(evidence);
            all.back().date = date;
        }
        if (all.empty()) all.push_back(std::move(evidence));
        return all;
    }

    // --- the answer that counts --------------------------------------------------------------------------------------

    /// What one item says in one form: usually one thing.
    using Said = std::vector<Evidence>;

    static bool saysTheSame(const Said& a, const Said& b) {
        const auto key = [](const Evidence& e) {
            const auto date = [](const std::optional<DateTime>& d) {
                return d ? std::pair(d->first, d->last) : std::pair<std::int64_t, std::int64_t>(0, 0);
            };
            return std::make_tuple(e.basis, e.positive, e.value.low, e.value.high, e.value.lowOpen, e.value.highOpen,
                                   e.upperLimit, e.coded, e.method, e.refutes, e.state, date(e.date), date(e.end),
                                   e.halfLife ? e.halfLife->low : std::nullopt);
        };
        return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                          [&](const Evidence& x, const Evidence& y) { return key(x) == key(y); });
    }

    static void keepNewest(std::vector<Said>& all) {
        const auto authored = [](const Said& said) { return said.front().issued; };
        const auto eraseUnless = [&](const auto& holds) {
            if (std::any_of(all.begin(), all.end(), holds))
                std::erase_if(all, [&](const Said& s) { return !holds(s); });
        };
        eraseUnless([](const Said& said) { return isDecided(said.front().basis); });
        eraseUnless([&](const Said& said) { return authored(said).has_value(); });
        std::int64_t latest = std::numeric_limits<std::int64_t>::min();
        for (const Said& said : all) {
            if (const auto time = authored(said)) latest = std::max(latest, time->first);
        }
        std::erase_if(all, [&](const Said& said) { return authored(said) && authored(said)->last < latest; });
        eraseUnless([](const Said& said) { return said.front().amended; });
        std::stable_sort(all.begin(), all.end(),
                         [](const Said& a, const Said& b) { return a.front().id < b.front().id; });
    }

    static Said settle(std::vector<Said> all) {
        if (all.empty()) return {};
        keepNewest(all);
        const bool agree =
            std::all_of(all.begin(), all.end(), [&](const Said& said) { return saysTheSame(said, all.front()); });
        if (agree) return std::move(all.front());
        Said conflict;
        for (Said& said : all) {
            for (Evidence& evidence : said) {
                if (conflict.size() == mostDates) break;
                evidence.basis = Basis::conflicting;
                evidence.detail = "answers of the same time disagree";
                conflict.push_back(std::move(evidence));
            }
        }
        return conflict;
    }

    /// Marks what was answered too long ago.
    void age(Said& said) const {
        for (Evidence& evidence : said) {
            if (!isDecided(evidence.basis)) continue;
            const bool stays = evidence.fact->kind == Kind::finding && evidence.positive == true;
            if (!evidence.isRecord && evidence.fact->freshFor) continue;  // by the day of the result
            if (!evidence.fact->freshFor && stays && evidence.fact->index < facts_.size()) continue;
            const auto& time = evidence.issued;
            if (!time || time->firstDay() >= facts_.asOf - evidence.fact->freshFor.value_or(answersHoldFor)) continue;
            evidence.stale = true;
            evidence.detail = "answered too long ago";
            if (evidence.isRecord && !evidence.refutes) evidence.basis = Basis::stale;
        }
    }

    /// Whether one form answers the same more often than anybody does; then nothing of it is used.
    bool tooMany(const std::vector<const QuestionnaireItem*>& items) {
        std::size_t answers = 0;
        for (const QuestionnaireItem* item : items) answers += item->answer.size();
        if (answers <= mostAnswers) return false;
        leftOut(*items.front(), "answered " + std::to_string(answers) + " times in one form");
        return true;
    }

    // --- facts and questions -----------------------------------------------------------------------------------------

    bool readFact(const FactDefinition& definition, Fact& fact) {
        const std::string linkId = linkIdOf(definition);
        std::map<std::string_view, std::vector<Said>> byMethod;  // measured in two ways, it is two results
        for (const Form& form : forms_) {
            const auto found = form.items.find(linkId);
            if (found == form.items.end()) continue;
            if (tooMany(found->second)) continue;
            for (const QuestionnaireItem* item : found->second) {
                for (std::size_t i = 0; i < item->answer.size(); ++i) {
                    Said said = read(definition, form, {*item, i, found->second.size() == 1});
                    if (!said.empty()) byMethod[said.front().method].push_back(std::move(said));
                }
            }
        }
        if (byMethod.empty()) return false;
        fact.definition = &definition;
        fact.absent = facts_[definition.index].absent;
        std::vector<Evidence> latest;
        for (auto& [method, all] : byMethod) {
            Said lasting;  // what a later "no" does not take back
            for (const Said& each : all) {
                if (definition.positiveStays && each.front().issued)
                    lasting.insert(lasting.end(), each.begin(), each.end());
            }
            Said said = settle(std::move(all));
            if (said.front().isRecord) {
                age(said);
                fact.conditions = std::move(said);
                return true;
            }
            if (said.front().basis != Basis::conflicting) keepPositive(said, lasting);
            age(said);
            markStale(said, facts_.asOf);
            for (const Evidence& evidence : said) {
                if (evidence.positive == true && isDecided(evidence.basis) && evidence.onsetDated)
                    fact.positives.push_back(evidence);
            }
            // Of several days the latest; what disagrees all together.
            const bool disagrees = std::any_of(said.begin(), said.end(), [&](const Evidence& evidence) {
                return evidence.basis == Basis::conflicting || evidence.positive != said.front().positive;
            });
            if (!disagrees) said.erase(said.begin(), said.end() - 1);
            if (!method.empty()) fact.byMethod.insert(fact.byMethod.end(), said.begin(), said.end());
            latest.insert(latest.end(), said.begin(), said.end());
        }
        fact.results = byMethod.size() == 1 ? latest : selectNewest(latest);
        return true;
    }

    void readAsk(std::string_view linkId, const std::vector<const Form*>& forms) {
        FactDefinition question;
        question.index = std::numeric_limits<std::size_t>::max();
        question.name = linkId;
        question.label = "Answer to " + std::string(linkId);
        question.kind = Kind::finding;
        Answer answer;
        answer.linkId = linkId;
        answer.path = forms.front()->items.at(linkId).front()->path;
        answer.question = std::make_shared<const FactDefinition>(std::move(question));
        std::vector<Said> all;
        for (const Form* form : forms) {
            if (tooMany(form->items.at(linkId))) continue;
            for (const QuestionnaireItem* item : form->items.at(linkId)) {
                for (const QuestionnaireAnswer& given : item->answer) {
                    Evidence evidence = evidenceOf(*answer.question, *form);
                    evidence.positive = yesOrNo(given);
                    evidence.date = evidence.issued;
                    if (evidence.positive) {
                        all.push_back({std::move(evidence)});
                    } else {
                        leftOut(*item, "the answer is not yes or no");
                    }
                }
            }
        }
        answer.evidence = settle(std::move(all));
        if (answer.evidence.empty()) return;
        age(answer.evidence);
        facts_.answers.push_back(std::move(answer));
    }

    Facts& facts_;
    const fhir::Chart& chart_;
    const Vocabulary& vocabulary_;
    std::vector<Form> forms_;
};

}  // namespace

std::string linkIdOf(const FactDefinition& fact) {
    return std::string(factPrefix) + fact.name;
}

bool isAnsweredAsResult(const FactDefinition& fact) {
    return fact.test || std::all_of(fact.sources.begin(), fact.sources.end(), [](const std::string& type) {
               return type == "Observation" || type == "DiagnosticReport" || type == "Patient";
           });
}

void readAnswers(Facts& facts, const fhir::Chart& chart, const Vocabulary& vocabulary) {
    if (!chart.questionnaireResponse.empty()) AnswerReader(facts, chart, vocabulary).read();
}

}  // namespace mapping
