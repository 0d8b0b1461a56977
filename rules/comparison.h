#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "fhir/decimal.h"
#include "mapping/vocabulary.h"
#include "rules/truth.h"

namespace rules {

enum class Operator { less, lessOrEqual, equal, greaterOrEqual, greater };

/// The truth of "interval operator value": decided when it is the same for every value of the interval.
Truth compare(const mapping::Interval& interval, Operator op, const fhir::Rational& value);

/// What a window is measured from. All but screening lie in the future while a patient is being screened.
enum class Anchor { screening, enrollment, cellCollection, lymphodepletion, infusion };

/// "within 6 months before infusion", "within 28 days or 5 half-lives".
struct Window {
    enum class Unit { days, weeks, months, years };
    int length = 0;
    Unit unit = Unit::days;
    Anchor anchor = Anchor::screening;
    int halfLives = 0;  ///< of the drug: the shorter of the two counts; 0 when the sentence names none

    /// The last day on which a day so far back is still inside: "within 7 days" includes the seventh.
    fhir::Date lastDayInside(fhir::Date event) const;
};

/// One sentence of a trial file about one fact. The forms stand in rules/trials/README.md.
struct Comparison {
    enum class Form { yes, order, membership, twice };
    std::string sentence;
    std::size_t fact = 0;
    Form form = Form::yes;
    Operator op = Operator::equal;
    fhir::Rational value;  ///< in the fact's unit; with xULN, how many times the upper limit of normal
    bool timesUpperLimit = false;
    std::string method;
    std::vector<std::string> members;
    std::optional<std::size_t> except;
    std::optional<std::size_t> after;
    std::optional<Window> window;
    int daysApart = 0;

    /// Whether dates matter to it, or which resource is which, beyond what a fact says of itself.
    bool readsMoments() const { return window || except || after || form == Form::twice; }

    /// Calls `use` with the index of every fact that it reads.
    template <typename Use>
    void forEachFact(const Use& use) const {
        use(fact);
        if (except) use(*except);
        if (after) use(*after);
    }
};

/// Reads a sentence. Errors: nothing, and one message for each thing that is wrong with it.
std::optional<Comparison> readComparison(std::string_view sentence, const mapping::Vocabulary& vocabulary,
                                         std::vector<std::string>& problems);

}  // namespace rules
