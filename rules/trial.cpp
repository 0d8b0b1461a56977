#include "rules/trial.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "rules/silence.h"

namespace rules {

using fhir::json::Value;

const Criterion* Trial::find(std::string_view criterionId) const {
    const auto found =
        std::find_if(criteria.begin(), criteria.end(), [&](const Criterion& c) { return c.id == criterionId; });
    return found == criteria.end() ? nullptr : &*found;
}

bool Trial::asks(std::string_view linkId) const {
    const auto inRule = [&](const auto& self, const Rule& rule) -> bool {
        if (rule.kind == Rule::Kind::ask && rule.linkId == linkId) return true;
        return std::any_of(rule.rules.begin(), rule.rules.end(), [&](const Rule& part) { return self(self, part); });
    };
    return std::any_of(criteria.begin(), criteria.end(),
                       [&](const Criterion& criterion) { return inRule(inRule, criterion.when); });
}

namespace {

class TrialReader {
public:
    TrialReader(std::string_view file, const mapping::Vocabulary& vocabulary, std::vector<mapping::Problem>& problems)
        : file_(file), vocabulary_(vocabulary), problems_(problems) {}

    Trial read(Value root) {
        checkKeys(root, "",
                  {"id", "title", "sponsor", "phase", "status", "gate", "ages", "sex", "locations", "source",
                   "inclusion", "exclusion"});
        trial_.id = required(root, "id", "");
        trial_.title = required(root, "title", "");
        trial_.sponsor = root["sponsor"].text();
        trial_.phase = root["phase"].text();
        const Value status = root["status"];
        checkKeys(status, "/status", {"value", "asOf", "note"});
        trial_.recruitment = required(status, "value", "/status");
        if (const Value asOf = status["asOf"]) {
            trial_.recruitmentAsOf = fhir::Date::parse(asOf.text());
            if (!trial_.recruitmentAsOf) problem("/status/asOf", "is not a date");
        }
        trial_.recruitmentNote = status["note"].text();
        trial_.minimumAge = root["ages"]["minimum"].text();
        trial_.maximumAge = root["ages"]["maximum"].text();
        trial_.sex = root["sex"].text();
        for (const Value location : root["locations"].items()) trial_.locations.emplace_back(location.text());
        trial_.source = required(root, "source", "");
        // It becomes a link that clinicians follow.
        if (!trial_.source.empty() && !trial_.source.starts_with("https://"))
            problem("/source", "is not an https address");
        if (trial_.sex != "all" && trial_.sex != "female" && trial_.sex != "male")
            problem("/sex", "'" + trial_.sex + "' should be all, female or male");
        checkKeys(root["ages"], "/ages", {"minimum", "maximum"});

        for (const bool inclusion : {true, false}) {
            const std::string name = inclusion ? "inclusion" : "exclusion";
            const Value list = root[name];
            if (!list.isArray()) problem('/' + name, "missing");
            std::size_t index = 0;
            for (const Value item : list.items())
                readCriterion(item, '/' + name + '/' + std::to_string(index++), inclusion, 0);
        }
        resolveReferences();
        std::size_t index = 0;
        for (const Value id : root["gate"].items()) {
            const auto found = indexById_.find(std::string(id.text()));
            if (found == indexById_.end()) {
                problem("/gate/" + std::to_string(index), "'" + std::string(id.text()) + "' is no criterion");
            } else {
                trial_.gate.push_back(found->second);
            }
            ++index;
        }
        if (trial_.gate.empty()) problem("/gate", "missing");
        if (problems_.size() == problemsBefore_) checkThatRulesDecide();
        for (Criterion& criterion : trial_.criteria) {
            std::size_t asked = 0;
            nameAsks(criterion.when, trial_.id + '/' + criterion.id, asked);
        }
        return std::move(trial_);
    }

private:
    void problem(const std::string& place, std::string message) {
        problems_.push_back({std::string(file_) + ": " + (place.empty() ? "/" : place), std::move(message)});
    }

    /// The second question of a criterion is "NCT07109518/exc.08a#2".
    static void nameAsks(Rule& rule, const std::string& name, std::size_t& asked) {
        if (rule.kind == Rule::Kind::ask) rule.linkId = ++asked == 1 ? name : name + '#' + std::to_string(asked);
        for (Rule& part : rule.rules) nameAsks(part, name, asked);
    }

    void checkKeys(Value object, const std::string& place, std::initializer_list<std::string_view> known) {
        std::set<std::string_view> seen;
        for (const auto [name, ignored] : object.members()) {
            if (std::find(known.begin(), known.end(), name) == known.end())
                problem(place + '/' + std::string(name), "unknown key");
            if (!seen.insert(name).second) problem(place + '/' + std::string(name), "stands twice");
        }
    }

    std::string required(Value object, std::string_view name, const std::string& place) {
        const Value value = object[name];
        if (!value.isString() || value.text().empty()) problem(place + '/' + std::string(name), "missing");
        return std::string(value.text());
    }

    void readCriterion(Value item, const std::string& place, bool inclusion, std::size_t depth) {
        if (!item.isObject()) {
            problem(place, "is not a criterion");
            return;
        }
        checkKeys(item, place, {"id", "text", "part", "reading", "status", "source", "when", "any", "all", "parts"});
        Criterion criterion;
        criterion.id = required(item, "id", place);
        criterion.text = item["text"].text();
        criterion.part = item["part"].text();
        criterion.reading = item["reading"].text();
        criterion.source = item["source"].text();
        criterion.inclusion = inclusion;
        criterion.required = depth == 0;
        criterion.depth = depth;
        if (const Value status = item["status"]) {
            if (status.text() == "ever") {
                criterion.status = mapping::StatusPolicy::ever;
            } else if (status.text() == "active") {
                criterion.status = mapping::StatusPolicy::active;
            } else {
                problem(place + "/status", "'" + std::string(status.text()) + "' should be ever or active");
            }
        }
        const std::size_t index = trial_.criteria.size();
        if (!indexById_.emplace(criterion.id, index).second)
            problem(place + "/id", "'" + criterion.id + "' stands twice");
        trial_.criteria.push_back(std::move(criterion));

        const Value when = item["when"];
        const Value parts = item["parts"];
        const bool isAny = static_cast<bool>(item["any"]);
        const bool isAll = static_cast<bool>(item["all"]);
        const int forms = (when ? 1 : 0) + (isAny ? 1 : 0) + (isAll ? 1 : 0);
        if (forms != 1 || (parts && !when)) {
            problem(place, "needs exactly one of 'when', 'any' and 'all' ('parts' go with 'when')");
            return;
        }
        Rule rule;
        if (when) {
            rule = readRule(when, place + "/when", 0);
            if (parts) {
                trial_.criteria[index].group = true;
                std::size_t part = 0;
                for (const Value child : parts.items())
                    readCriterion(child, place + "/parts/" + std::to_string(part++), inclusion, depth + 1);
            }
        } else {
            trial_.criteria[index].group = true;
            rule.kind = isAny ? Rule::Kind::any : Rule::Kind::all;
            const std::string name = isAny ? "any" : "all";
            std::size_t part = 0;
            for (const Value child : item[name].items()) {
                const std::string childPlace = place + '/' + name + '/' + std::to_string(part++);
                if (child["id"]) {
                    Rule reference;
                    reference.kind = Rule::Kind::reference;
                    reference.target = trial_.criteria.size();
                    readCriterion(child, childPlace, inclusion, depth + 1);
                    rule.rules.push_back(std::move(reference));
                } else {
                    rule.rules.push_back(readRule(child, childPlace, 0));
                }
            }
            if (rule.rules.empty()) problem(place + '/' + name, "is empty");
        }
        trial_.criteria[index].when = std::move(rule);
    }

    Rule readRule(Value value, const std::string& place, int depth) {
        Rule rule;
        if (depth > 32) {
            problem(place, "nested too deep");
            return rule;
        }
        if (value.isString()) {
            std::vector<std::string> messages;
            if (auto comparison = readComparison(value.text(), vocabulary_, messages))
                rule.comparison = std::move(*comparison);
            for (std::string& message : messages) problem(place, std::move(message));
            return rule;
        }
        if (!value.isObject()) {
            problem(place, "is not a rule");
            return rule;
        }
        rule.note = value["note"].text();
        if (const Value reference = value["ref"]) {
            checkKeys(value, place, {"ref", "note"});
            rule.kind = Rule::Kind::reference;
            references_.push_back({std::string(reference.text()), place});
            rule.target = references_.size() - 1;  // resolved when every criterion is known
            rule.question = "unresolved";
            return rule;
        }
        if (const Value question = value["ask"]) {
            checkKeys(value, place, {"ask", "favourable", "by", "note"});
            rule.kind = Rule::Kind::ask;
            rule.question = question.text();
            rule.by = value["by"].text();
            if (rule.question.empty()) problem(place + "/ask", "the question is empty");
            const Value favourable = value["favourable"];
            if (favourable.kind() != fhir::json::Kind::boolean)
                problem(place + "/favourable", "should be true or false");
            rule.favourable = favourable.isTrue();
            return rule;
        }
        if (const Value negated = value["not"]) {
            checkKeys(value, place, {"not", "note"});
            rule.kind = Rule::Kind::negation;
            rule.rules.push_back(readRule(negated, place + "/not", depth + 1));
            return rule;
        }
        for (const auto& [name, kind] : {std::pair{"all", Rule::Kind::all}, std::pair{"any", Rule::Kind::any}}) {
            const Value list = value[name];
            if (!list.isArray()) continue;
            checkKeys(value, place, {name, "note"});
            rule.kind = kind;
            std::size_t index = 0;
            for (const Value item : list.items())
                rule.rules.push_back(readRule(item, place + '/' + name + '/' + std::to_string(index++), depth + 1));
            if (rule.rules.empty()) problem(place + '/' + name, "is empty");
            return rule;
        }
        problem(place, "needs one of 'all', 'any', 'not', 'ref' and 'ask'");
        return rule;
    }

    void resolveReferences() {
        for (Criterion& criterion : trial_.criteria) resolve(criterion.when);
        // A criterion that refers to itself has no truth.
        std::vector<int> state(trial_.criteria.size(), 0);
        for (std::size_t i = 0; i < trial_.criteria.size(); ++i) visit(i, state);
    }

    void resolve(Rule& rule) {
        if (rule.kind == Rule::Kind::reference && rule.question == "unresolved") {
            const auto& [id, place] = references_[rule.target];
            rule.question.clear();
            const auto found = indexById_.find(id);
            if (found == indexById_.end()) {
                problem(place + "/ref", "'" + id + "' is no criterion of this trial");
                rule.target = 0;
            } else {
                rule.target = found->second;
            }
        }
        for (Rule& part : rule.rules) resolve(part);
    }

    void visit(std::size_t index, std::vector<int>& state) {
        if (state[index] == 2) return;
        if (state[index] == 1) {
            problem("", "'" + trial_.criteria[index].id + "' refers to itself");
            return;
        }
        state[index] = 1;
        visitRule(trial_.criteria[index].when, state);
        state[index] = 2;
    }

    void visitRule(const Rule& rule, std::vector<int>& state) {
        if (rule.kind == Rule::Kind::reference) visit(rule.target, state);
        for (const Rule& part : rule.rules) visitRule(part, state);
    }

    /// Every criterion with logic of its own must be able to come true and to come false. Each fact takes the values
    /// around its bounds, each yes/no sentence and question both answers; contradictions between them are found so.
    void checkThatRulesDecide() {
        for (const Criterion& criterion : trial_.criteria) {
            Atoms atoms;
            collect(criterion.when, atoms);
            std::size_t combinations = 1;
            for (const auto& [fact, values] : atoms.values) combinations *= values.size() * 2 + 1;
            for (std::size_t i = 0; i < atoms.yes.size() && combinations <= mostCombinations; ++i) combinations *= 2;
            if (combinations > mostCombinations) continue;
            bool canBeTrue = false;
            bool canBeFalse = false;
            for (std::size_t i = 0; i < combinations && !(canBeTrue && canBeFalse); ++i) {
                Assignment assignment = assign(atoms, i);
                (holds(criterion.when, assignment) ? canBeTrue : canBeFalse) = true;
            }
            if (!canBeTrue) problem("/" + criterion.id, "can never be true");
            if (!canBeFalse) problem("/" + criterion.id, "can never be false");
        }
    }

    static constexpr std::size_t mostCombinations = 1 << 18;

    struct Atoms {
        std::map<std::string, std::set<fhir::Rational>> values;  ///< bounds by fact, method and xULN
        std::set<std::string> yes;                               ///< sentences and questions
    };
    struct Assignment {
        std::map<std::string, fhir::Rational> value;
        std::map<std::string, bool> yes;
    };

    static std::string numberKey(const Comparison& comparison) {
        return std::to_string(comparison.fact) + (comparison.timesUpperLimit ? " xULN " : " ") + comparison.method;
    }

    static std::string yesKey(const Rule& rule) {
        return rule.kind == Rule::Kind::ask ? "? " + rule.question : rule.comparison.sentence;
    }

    void collect(const Rule& rule, Atoms& atoms) const {
        if (rule.kind == Rule::Kind::comparison) {
            if (rule.comparison.form == Comparison::Form::order) {
                atoms.values[numberKey(rule.comparison)].insert(rule.comparison.value);
            } else {
                atoms.yes.insert(yesKey(rule));
            }
        } else if (rule.kind == Rule::Kind::ask) {
            atoms.yes.insert(yesKey(rule));
        } else if (rule.kind == Rule::Kind::reference) {
            collect(trial_.criteria[rule.target].when, atoms);
        }
        for (const Rule& part : rule.rules) collect(part, atoms);
    }

    /// The i-th combination: for every bound the values below it, at it and above it.
    static Assignment assign(const Atoms& atoms, std::size_t i) {
        Assignment assignment;
        for (const auto& [key, bounds] : atoms.values) {
            const std::size_t choices = bounds.size() * 2 + 1;
            const std::size_t choice = i % choices;
            i /= choices;
            auto bound = bounds.begin();
            std::advance(bound, static_cast<std::ptrdiff_t>(std::min(choice / 2, bounds.size() - 1)));
            if (choice % 2 == 1) {
                assignment.value[key] = *bound;
            } else if (choice == choices - 1) {
                assignment.value[key] = *bound + 1;
            } else if (bound == bounds.begin()) {
                assignment.value[key] = *bound - 1;
            } else {
                assignment.value[key] = (*bound + *std::prev(bound)) / 2;
            }
        }
        for (const std::string& key : atoms.yes) {
            assignment.yes[key] = i % 2 == 1;
            i /= 2;
        }
        return assignment;
    }

    bool holds(const Rule& rule, const Assignment& assignment) const {
        const auto part = [&](const Rule& child) { return holds(child, assignment); };
        switch (rule.kind) {
            case Rule::Kind::comparison:
                if (rule.comparison.form == Comparison::Form::order)
                    return compare(mapping::Interval::point(assignment.value.at(numberKey(rule.comparison))),
                                   rule.comparison.op, rule.comparison.value) == Truth::True;
                return assignment.yes.at(yesKey(rule));
            case Rule::Kind::ask:
                return assignment.yes.at(yesKey(rule));
            case Rule::Kind::reference:
                return part(trial_.criteria[rule.target].when);
            case Rule::Kind::all:
                return std::all_of(rule.rules.begin(), rule.rules.end(), part);
            case Rule::Kind::any:
                return std::any_of(rule.rules.begin(), rule.rules.end(), part);
            case Rule::Kind::negation:
                return !part(rule.rules.front());
        }
        return false;
    }

    std::string_view file_;
    const mapping::Vocabulary& vocabulary_;
    std::vector<mapping::Problem>& problems_;
    std::size_t problemsBefore_ = problems_.size();
    Trial trial_;
    std::map<std::string, std::size_t> indexById_;
    std::vector<std::pair<std::string, std::string>> references_;  ///< id, place
};

}  // namespace

namespace {

void collectFacts(const Rule& rule, const Trial& trial, std::set<std::size_t>& facts) {
    if (rule.kind == Rule::Kind::comparison) rule.comparison.forEachFact([&](std::size_t fact) { facts.insert(fact); });
    if (rule.kind == Rule::Kind::reference) collectFacts(trial.criteria[rule.target].when, trial, facts);
    for (const Rule& part : rule.rules) collectFacts(part, trial, facts);
}

}  // namespace

std::vector<std::size_t> factsOf(const Rule& rule, const Trial& trial) {
    std::set<std::size_t> facts;
    collectFacts(rule, trial, facts);
    return {facts.begin(), facts.end()};
}

Trial readTrial(std::string_view file, Value root, const mapping::Vocabulary& vocabulary,
                std::vector<mapping::Problem>& problems) {
    const std::size_t before = problems.size();
    Trial trial = TrialReader(file, vocabulary, problems).read(root);
    if (problems.size() == before) trial.silences = std::make_shared<const Silences>(trial);
    return trial;
}

}  // namespace rules
