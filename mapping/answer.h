#pragma once

#include <array>
#include <string>
#include <string_view>

#include "fhir/bundle.h"
#include "mapping/fact.h"

namespace mapping {

/// So long an answer holds, in days, where its fact has no window of its own: a judgement is one of its day. A "yes" to
/// a finding without a window stays, as a recorded one does.
constexpr int answersHoldFor = 90;

/// The item of the screening form that asks for a fact: "fact/lvef". Its parts are "fact/lvef/date" and the like.
std::string linkIdOf(const FactDefinition& fact);

/// The parts of an item, each an item of its own.
namespace part {
constexpr std::string_view date = "date";              ///< when it was, or was measured; may be repeated
constexpr std::string_view end = "end";                ///< when something that lasts ended
constexpr std::string_view value = "value";            ///< the number beside "detected"
constexpr std::string_view upperLimit = "upperLimit";  ///< of normal, for the same result
constexpr std::string_view method = "method";          ///< how it was measured
constexpr std::string_view halfLife = "halfLife";      ///< of the drug that was given, in days (d) or hours (h)
inline constexpr std::array all{date, end, value, upperLimit, method, halfLife};
}  // namespace part

/// Whether a finding is answered like the result of a test, which has a day, or like a history, which has a beginning.
bool isAnsweredAsResult(const FactDefinition& fact);

/// Reads what people answered in the chart's screening forms into `facts.attested` and `facts.answers`.
///
/// The newest answer of an item counts, across forms; a part counts with the answer that it stands beside. Answers of
/// the same time that disagree are conflicting, unless one form of them is amended. What is dated after the day of the
/// evaluation is not used. What cannot be read is left out with an issue.
void readAnswers(Facts& facts, const fhir::Chart& chart, const Vocabulary& vocabulary);

}  // namespace mapping
