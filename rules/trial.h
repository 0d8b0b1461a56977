#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "fhir/json.h"
#include "mapping/vocabulary.h"
#include "rules/comparison.h"

namespace rules {

class Silences;

/// A node of a criterion's logic. The forms stand in rules/trials/README.md.
struct Rule {
    enum class Kind { comparison, reference, all, any, negation, ask };
    Kind kind = Kind::comparison;
    Comparison comparison;
    std::size_t target = 0;   ///< reference: index of the criterion
    std::vector<Rule> rules;  ///< all, any; negation: one
    std::string question;     ///< ask
    bool favourable = true;   ///< ask: the answer that favours the patient's entry
    std::string by;           ///< ask: who can answer
    std::string linkId;       ///< ask: its item in the screening form, "NCT07117305/inc.01"
    std::string note;
};

/// Calls `use` with every sentence of a rule, however deep.
template <typename Use>
void forEachComparison(const Rule& rule, const Use& use) {
    if (rule.kind == Rule::Kind::comparison) use(rule.comparison);
    for (const Rule& part : rule.rules) forEachComparison(part, use);
}

/// One line of the trial, with its published words and its logic.
struct Criterion {
    std::string id;
    std::string text;     ///< the published words; empty where a group has none of its own
    std::string part;     ///< which half of words that two criteria share
    std::string reading;  ///< how ambiguous words were understood
    std::optional<mapping::StatusPolicy> status;
    std::string source;  ///< "registry-field" when the words are not of the eligibility section
    bool inclusion = true;
    bool required = false;  ///< stands at the top: decides the trial by itself
    bool group = false;
    std::size_t depth = 0;  ///< 0 at the top
    Rule when;
};

struct Trial {
    Trial() = default;
    Trial(Trial&&) = default;
    Trial& operator=(Trial&&) = default;
    Trial(const Trial&) = delete;  // what is kept of its criteria refers to their rules
    Trial& operator=(const Trial&) = delete;

    std::string id;
    std::string title;
    std::string sponsor;
    std::string phase;
    std::string recruitment;  ///< recruitment status, in the registry's words
    std::optional<fhir::Date> recruitmentAsOf;
    std::string recruitmentNote;
    std::vector<std::size_t> gate;
    std::string minimumAge;
    std::string maximumAge;
    std::string sex;
    std::vector<std::string> locations;
    std::string source;
    std::string coordinator;          ///< whom to ask at this site; empty unless the site says
    std::vector<Criterion> criteria;  ///< in file order, a group before its parts
    /// What the criteria come to where nothing is on file. Whoever changes the criteria takes it away.
    std::shared_ptr<const Silences> silences;

    const Criterion* find(std::string_view criterionId) const;
    /// Whether a question of the trial has this linkId.
    bool asks(std::string_view linkId) const;
    bool recruits() const { return recruitment == "recruiting"; }
};

/// The facts that a rule of the trial reads, by way of the criteria that it refers to as well; in their order, each
/// once.
std::vector<std::size_t> factsOf(const Rule& rule, const Trial& trial);

/// Reads a trial file. Errors: every problem is added with its place ("NCT….json: /inclusion/2/when/all/0: …"); the
/// trial is usable only when none was.
Trial readTrial(std::string_view file, fhir::json::Value root, const mapping::Vocabulary& vocabulary,
                std::vector<mapping::Problem>& problems);

}  // namespace rules
