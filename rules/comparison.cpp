#include "rules/comparison.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace rules {

using mapping::FactDefinition;
using mapping::Interval;
using mapping::Kind;

Truth compare(const Interval& interval, Operator op, const fhir::Rational& value) {
    // Two questions decide everything: does every value of the interval satisfy it, and does none?
    const auto allBelow = [&](bool orEqual) {
        if (!interval.high) return false;
        return *interval.high < value || (*interval.high == value && (orEqual || interval.highOpen));
    };
    const auto allAbove = [&](bool orEqual) {
        if (!interval.low) return false;
        return *interval.low > value || (*interval.low == value && (orEqual || interval.lowOpen));
    };
    const auto truth = [](bool all, bool none) { return all ? Truth::True : none ? Truth::False : Truth::Unknown; };
    switch (op) {
        case Operator::less:
            return truth(allBelow(false), allAbove(true));
        case Operator::lessOrEqual:
            return truth(allBelow(true), allAbove(false));
        case Operator::greater:
            return truth(allAbove(false), allBelow(true));
        case Operator::greaterOrEqual:
            return truth(allAbove(true), allBelow(false));
        case Operator::equal:
            return truth(interval.isPoint() && *interval.low == value, allBelow(false) || allAbove(false));
    }
    return Truth::Unknown;
}

fhir::Date Window::lastDayInside(fhir::Date event) const {
    switch (unit) {
        case Unit::days:
            return event + length;
        case Unit::weeks:
            return event + 7 * length;
        case Unit::months:
            return fhir::addMonths(event, length);
        case Unit::years:
            return fhir::addMonths(event, 12 * length);
    }
    return event;
}

namespace {

constexpr std::array<std::string_view, 4> unitWords{"days", "weeks", "months", "years"};
constexpr std::array<std::string_view, 5> anchorWords{"screening", "enrollment", "cellCollection", "lymphodepletion",
                                                      "infusion"};

template <std::size_t Size>
std::optional<std::size_t> indexOf(const std::array<std::string_view, Size>& words, std::string_view word) {
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) return std::nullopt;
    return static_cast<std::size_t>(found - words.begin());
}

/// Reads one sentence, word by word.
class SentenceReader {
public:
    SentenceReader(std::string_view sentence, const mapping::Vocabulary& vocabulary, std::vector<std::string>& problems)
        : vocabulary_(vocabulary), problems_(problems) {
        comparison_.sentence = sentence;
        std::size_t at = 0;
        while (at < sentence.size()) {
            const std::size_t end = std::min(sentence.find(' ', at), sentence.size());
            if (end > at) words_.push_back(sentence.substr(at, end - at));
            at = end + 1;
        }
    }

    std::optional<Comparison> read() {
        const std::size_t before = problems_.size();
        const FactDefinition* fact = takeFact();
        if (fact != nullptr) {
            comparison_.fact = fact->index;
            if (fact->hint) problem("'" + fact->name + "' is shown, never evaluated");
            readForm(*fact);
            while (at_ < words_.size() && problems_.size() == before) readModifier(*fact);
            if (problems_.size() == before) checkForm(*fact);
        }
        if (problems_.size() > before) return std::nullopt;
        return std::move(comparison_);
    }

private:
    void problem(std::string message) { problems_.push_back(std::move(message)); }
    bool has(std::string_view word) const { return at_ < words_.size() && words_[at_] == word; }
    bool take(std::string_view word) {
        if (!has(word)) return false;
        ++at_;
        return true;
    }
    std::string_view next() const { return at_ < words_.size() ? words_[at_] : std::string_view("the end"); }
    static bool isModifier(std::string_view word) {
        return word == "by" || word == "except" || word == "within" || word == "after" || word == "twice";
    }

    const FactDefinition* takeFact() {
        if (at_ >= words_.size()) {
            problem("a fact is missing");
            return nullptr;
        }
        const FactDefinition* fact = vocabulary_.find(words_[at_]);
        if (fact == nullptr) problem("unknown fact '" + std::string(words_[at_]) + "'");
        ++at_;
        return fact;
    }

    std::optional<int> takeCount() {
        int number = 0;
        const std::string_view word = next();
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
        if (at_ >= words_.size() || error != std::errc() || end != word.data() + word.size() || number <= 0) {
            problem("a whole number is needed before '" + std::string(word) + "'");
            return std::nullopt;
        }
        ++at_;
        return number;
    }

    std::optional<Window::Unit> takeUnit() {
        const auto index = indexOf(unitWords, next());
        if (!index) {
            problem("'" + std::string(next()) + "' should be days, weeks, months or years");
            return std::nullopt;
        }
        ++at_;
        return static_cast<Window::Unit>(*index);
    }

    void readForm(const FactDefinition& fact) {
        static constexpr std::array<std::string_view, 5> operators{"<", "<=", "=", ">=", ">"};
        if (at_ >= words_.size() || isModifier(words_[at_])) return;
        if (take("in")) {
            comparison_.form = Comparison::Form::membership;
            readMembers(fact);
            return;
        }
        const auto op = indexOf(operators, words_[at_]);
        if (!op) {
            problem("'" + std::string(words_[at_]) + "' is neither an operator nor a word that may follow a fact");
            return;
        }
        ++at_;
        if (fact.kind != Kind::quantity && fact.kind != Kind::count && fact.kind != Kind::viralLoad) {
            problem("a bound on '" + fact.name + "', which is no number");
            return;
        }
        comparison_.form = Comparison::Form::order;
        comparison_.op = static_cast<Operator>(*op);
        const auto value = at_ < words_.size() ? fhir::parseDecimal(words_[at_]) : std::nullopt;
        if (!value) {
            problem("'" + std::string(next()) + "' is not a number");
            return;
        }
        ++at_;
        comparison_.value = *value;
        readUnit(fact);
    }

    void readUnit(const FactDefinition& fact) {
        const bool hasUnit = at_ < words_.size() && !isModifier(words_[at_]);
        const std::string_view unit = hasUnit ? words_[at_] : std::string_view();
        if (hasUnit) ++at_;
        if (unit == "xULN") {
            comparison_.timesUpperLimit = true;
            if (fact.kind != Kind::quantity && fact.kind != Kind::viralLoad)
                problem("'" + fact.name + "' has no upper limit of normal");
            return;
        }
        if (fact.kind == Kind::viralLoad) {
            problem("a bound on '" + fact.name + "' must be in xULN: its units do not convert");
            return;
        }
        if (fact.kind == Kind::count) {
            if (hasUnit) problem("'" + fact.name + "' is a count and has no unit");
            return;
        }
        const std::string_view spelling = vocabulary_.unitSpelling(unit);
        for (const auto& [known, factor] : fact.units) {
            if (known != spelling || !factor) continue;
            comparison_.value *= *factor;
            return;
        }
        problem(hasUnit ? "unit '" + std::string(unit) + "' should be '" + fact.unit + "'"
                        : "the unit '" + fact.unit + "' is missing");
    }

    void readMembers(const FactDefinition& fact) {
        std::string member;
        const auto close = [&] {
            if (std::find(fact.values.begin(), fact.values.end(), member) == fact.values.end()) {
                std::string known;
                for (const std::string& value : fact.values) known += (known.empty() ? "" : ", ") + value;
                problem("'" + member + "' is not one of " + (known.empty() ? "no values" : known));
            }
            comparison_.members.push_back(member);
            member.clear();
        };
        while (at_ < words_.size() && !isModifier(words_[at_])) {
            std::string_view word = words_[at_++];
            const bool last = word.ends_with(',');
            if (last) word.remove_suffix(1);
            if (!member.empty()) member += ' ';
            member += word;
            if (last) close();
        }
        close();
    }

    void readModifier(const FactDefinition& fact) {
        if (take("by")) {
            while (at_ < words_.size() && !isModifier(words_[at_])) {
                if (!comparison_.method.empty()) comparison_.method += ' ';
                comparison_.method += words_[at_++];
            }
            if (fact.method(comparison_.method) == nullptr)
                problem("'" + fact.name + "' knows no method '" + comparison_.method + "'");
        } else if (take("except")) {
            if (comparison_.except) problem("a sentence holds one exception");
            if (const FactDefinition* other = takeFact()) comparison_.except = other->index;
        } else if (take("after")) {
            if (comparison_.after) problem("a sentence holds one 'after'");
            if (const FactDefinition* other = takeFact()) comparison_.after = other->index;
        } else if (take("twice")) {
            comparison_.form = Comparison::Form::twice;
            if (!take("at") || !take("least")) {
                problem("'twice' is followed by 'at least N days apart'");
                return;
            }
            const auto count = takeCount();
            const auto unit = count ? takeUnit() : std::nullopt;
            if (!unit) return;
            if (*unit == Window::Unit::months || *unit == Window::Unit::years) problem("'apart' is in days or weeks");
            comparison_.daysApart = *count * (*unit == Window::Unit::weeks ? 7 : 1);
            if (!take("apart")) problem("'apart' is missing");
        } else if (take("within")) {
            const auto count = takeCount();
            const auto unit = count ? takeUnit() : std::nullopt;
            if (!unit) return;
            if (*count > 10'000) problem("a window of " + std::to_string(*count) + " is longer than any life");
            Window window{*count, *unit, Anchor::screening, 0};
            if (take("or")) {
                const auto halfLives = takeCount();
                if (!halfLives) return;
                if (!take("half-lives")) problem("'half-lives' is missing");
                if (*halfLives > 100) problem("more half-lives than any drug lasts");
                window.halfLives = *halfLives;
            }
            if (take("before")) {
                const auto anchor = indexOf(anchorWords, next());
                if (!anchor) {
                    problem("'" + std::string(next()) +
                            "' should be enrollment, cellCollection, lymphodepletion or infusion");
                    return;
                }
                window.anchor = static_cast<Anchor>(*anchor);
                ++at_;
            }
            if (comparison_.window) problem("a sentence holds one window");
            comparison_.window = window;
        } else {
            problem("'" + std::string(next()) + "' does not belong here: a sentence holds one comparison");
        }
    }

    void checkForm(const FactDefinition& fact) {
        const bool numeric = fact.kind == Kind::quantity || fact.kind == Kind::count;
        switch (comparison_.form) {
            case Comparison::Form::yes:
                // A quantity may stand without a bound where only its date is asked: "boneMarrowBlasts after ...".
                if ((numeric && !comparison_.after) || fact.kind == Kind::coded)
                    problem("'" + fact.name + "' is not a yes/no fact: a bound or 'in' is missing");
                break;
            case Comparison::Form::order:
                if (!numeric && fact.kind != Kind::viralLoad)
                    problem("a bound on '" + fact.name + "', which is no number");
                if (comparison_.after || comparison_.except || comparison_.window)
                    problem("a bound and a date are two sentences");
                break;
            case Comparison::Form::membership:
                if (fact.kind != Kind::coded) problem("'in' on '" + fact.name + "', which has no values");
                break;
            case Comparison::Form::twice:
                if (fact.kind != Kind::finding) problem("'twice' on '" + fact.name + "', which is no finding");
                break;
        }
        if (comparison_.except &&
            (fact.kind != Kind::finding || vocabulary_.facts()[*comparison_.except].kind != Kind::finding))
            problem("'except' needs two findings");
        if (comparison_.window && (comparison_.after || comparison_.form == Comparison::Form::membership ||
                                   comparison_.form == Comparison::Form::twice))
            problem("a window goes with a yes/no fact alone");
    }

    const mapping::Vocabulary& vocabulary_;
    std::vector<std::string>& problems_;
    std::vector<std::string_view> words_;
    std::size_t at_ = 0;
    Comparison comparison_;
};

}  // namespace

std::optional<Comparison> readComparison(std::string_view sentence, const mapping::Vocabulary& vocabulary,
                                         std::vector<std::string>& problems) {
    return SentenceReader(sentence, vocabulary, problems).read();
}

}  // namespace rules
