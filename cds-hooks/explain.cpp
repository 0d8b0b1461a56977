#include "cds-hooks/explain.h"

#include "cds-hooks/markdown.h"
#include "cds-hooks/report.h"

namespace cds_hooks {

using mapping::Evidence;
using rules::Rule;

namespace {

class Explainer {
public:
    Explainer(const rules::Evaluation& evaluation, const mapping::Facts& facts)
        : trial_(*evaluation.trial), evaluation_(evaluation), facts_(facts) {}

    std::string explain(std::size_t index) {
        const rules::Criterion& criterion = trial_.criteria[index];
        text_ = trial_.id + ' ' + criterion.id + " (" + (criterion.inclusion ? "inclusion" : "exclusion") + ")\n";
        if (!criterion.text.empty()) text_ += "  text:    " + criterion.text + '\n';
        if (!criterion.part.empty()) text_ += "  part:    " + criterion.part + '\n';
        if (!criterion.reading.empty()) text_ += "  reading: " + criterion.reading + '\n';
        text_ += "  truth:   " + verdict(evaluation_.findings[index].outcome) + '\n';
        addRule(criterion.when, index, 1);
        return text_;
    }

private:
    static std::string verdict(const rules::Outcome& outcome) {
        std::string text = std::string(rules::word(outcome.truth)) + ", " + std::string(mapping::word(outcome.basis));
        if (outcome.clearsOn) text += ", clears on " + outcome.clearsOn->text();
        if (outcome.wouldBe) text += ", would be " + std::string(rules::word(*outcome.wouldBe));
        return text;
    }

    void line(std::size_t depth, const std::string& text) {
        text_ += std::string(2 * depth, ' ') + printable(text) + '\n';
    }

    void addRule(const Rule& rule, std::size_t criterion, std::size_t depth) {
        const rules::Outcome outcome = rules::evaluateRule(trial_, criterion, rule, facts_);
        const std::string end = "  -> " + verdict(outcome);
        switch (rule.kind) {
            case Rule::Kind::comparison:
                line(depth, rule.comparison.sentence + end);
                for (const Evidence* evidence : outcome.evidence) addEvidence(*evidence, depth + 1);
                addSilence(facts_[rule.comparison.fact], outcome, depth + 1);
                return;
            case Rule::Kind::ask:
                line(depth, "ask: " + rule.question + end);
                for (const Evidence* evidence : outcome.evidence) addEvidence(*evidence, depth + 1);
                return;
            case Rule::Kind::reference:
                line(depth, "criterion " + trial_.criteria[rule.target].id + end);
                addRule(trial_.criteria[rule.target].when, rule.target, depth + 1);
                return;
            case Rule::Kind::all:
            case Rule::Kind::any:
            case Rule::Kind::negation:
                line(depth, (rule.kind == Rule::Kind::all   ? "all of"
                             : rule.kind == Rule::Kind::any ? "any of"
                                                            : "not") +
                                end);
                for (const Rule& part : rule.rules) addRule(part, criterion, depth + 1);
                return;
        }
    }

    void addEvidence(const Evidence& evidence, std::size_t depth) {
        std::string text = "* " + evidence.source() + ": " + valueText(evidence);
        if (!evidence.author.empty()) text += ", answered by " + std::string(evidence.author);
        if (!evidence.method.empty()) text += ", by " + std::string(evidence.method);
        if (!evidence.upperLimitText.empty()) text += ", upper limit " + evidence.upperLimitText;
        if (evidence.stale) text += ", stale";
        if (!mapping::isDecided(evidence.basis)) text += ", " + std::string(mapping::word(evidence.basis));
        if (!evidence.detail.empty()) text += " (" + evidence.detail + ")";
        line(depth, text);
        for (const Evidence& input : evidence.inputs) {
            line(depth + 1, "from " + input.fact->label + ": " + valueText(input) + ", " + input.source());
        }
    }

    void addSilence(const mapping::Fact& fact, const rules::Outcome& outcome, std::size_t depth) {
        if (!outcome.evidence.empty()) return;
        std::string text = "* nothing on file about " + fact.definition->label;
        if (!fact.detail.empty()) text += "; " + fact.detail;
        if (outcome.basis == mapping::Basis::notCovered) {
            text += "; read completely would have to be";
            for (const std::string& type : fact.definition->sources) text += ' ' + type;
        }
        line(depth, text);
        for (const Evidence& shown : fact.shown) addEvidence(shown, depth + 1);
    }

    const rules::Trial& trial_;
    const rules::Evaluation& evaluation_;
    const mapping::Facts& facts_;
    std::string text_;
};

}  // namespace

std::string explanation(const Screening& screening, std::string_view criterionId) {
    std::string text;
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        std::string_view id = criterionId;
        if (id.starts_with(evaluation.trial->id + '.')) id.remove_prefix(evaluation.trial->id.size() + 1);
        const rules::Criterion* criterion = evaluation.trial->find(id);
        if (criterion == nullptr) continue;
        if (!text.empty()) text += '\n';
        text += Explainer(evaluation, screening.facts)
                    .explain(static_cast<std::size_t>(criterion - evaluation.trial->criteria.data()));
    }
    return text;
}

}  // namespace cds_hooks
