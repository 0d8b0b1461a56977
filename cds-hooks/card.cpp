#include "cds-hooks/card.h"

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <map>
#include <optional>
#include <utility>

#include "cds-hooks/discovery.h"
#include "cds-hooks/markdown.h"
#include "cds-hooks/override.h"
#include "cds-hooks/report.h"
#include "cds-hooks/unlock.h"
#include "fhir/json.h"

namespace cds_hooks {

using mapping::Basis;
using mapping::Evidence;
using rules::Evaluation;
using rules::Finding;
using rules::Truth;

namespace {

constexpr std::size_t longestSummary = 139;

std::string recruitment(const rules::Trial& trial) {
    std::string text = trial.recruitment;
    if (trial.recruitmentAsOf) {
        text += " as of " + trial.recruitmentAsOf->text();
        if (!trial.recruitmentNote.empty()) text += ", " + trial.recruitmentNote;
    } else {
        text += ", date unknown";
        if (!trial.recruitmentNote.empty()) text += " (" + trial.recruitmentNote + ")";
    }
    return text;
}

/// The sentences of a leaf as a reader sees the limit: "lvef >= 50 %" becomes "LVEF >= 50 %".
std::string limitText(const rules::Rule& rule, const Evidence& evidence) {
    if (rule.kind == rules::Rule::Kind::comparison) {
        if (rule.comparison.fact != evidence.fact->index || rule.comparison.form != rules::Comparison::Form::order)
            return {};
        std::string text = rule.comparison.sentence.substr(evidence.fact->name.size());
        for (const auto& [from, to] : {std::pair{">=", "≥"}, std::pair{"<=", "≤"}, std::pair{"xULN", "x ULN"}}) {
            if (const auto at = text.find(from); at != std::string::npos)
                text.replace(at, std::string_view(from).size(), to);
        }
        return text;
    }
    for (const rules::Rule& part : rule.rules) {
        if (std::string text = limitText(part, evidence); !text.empty()) return text;
    }
    return {};
}

/// What the evidence is about: the fact, or the question of the rule that it answers.
std::string_view labelOf(const rules::Rule& rule, const Evidence& evidence) {
    if (rule.kind == rules::Rule::Kind::ask && rule.linkId == evidence.fact->name) return rule.question;
    for (const rules::Rule& part : rule.rules) {
        if (const std::string_view label = labelOf(part, evidence); label != evidence.fact->label) return label;
    }
    return evidence.fact->label;
}

/// The lines of one trial, by what they tell the reader.
struct Lines {
    std::vector<std::string> against, missing, stale, waiting, unsettled, met;
    std::map<std::string, std::vector<std::string>> notRead;  ///< resource type -> criteria
    std::size_t noneOnFile = 0;

    static void addOnce(std::vector<std::string>& list, std::string line) {
        if (std::find(list.begin(), list.end(), line) == list.end()) list.push_back(std::move(line));
    }
};

std::string evidenceText(const Evidence& evidence) {
    std::string text = escapeMarkdown(evidence.fact->label + ' ' + valueText(evidence));
    if (!evidence.detail.empty()) text += " (" + escapeMarkdown(evidence.detail) + ")";
    return text;
}

/// The resource, or what a derived value was computed from.
std::string sourceText(const Evidence& evidence) {
    std::string text = escapeMarkdown(evidence.source());
    if (!evidence.author.empty()) text += " by " + escapeMarkdown(evidence.author, 120);
    if (evidence.isAnswer() && evidence.issued) text += " on " + evidence.issued->text();
    if (!evidence.detail.empty()) text += " (" + escapeMarkdown(evidence.detail) + ")";
    for (std::size_t i = 0; i < evidence.inputs.size(); ++i)
        text += (i == 0 ? " from " : ", ") + evidenceText(evidence.inputs[i]);
    return text;
}

/// A newer result that could not be used is named beside the one that decided.
std::string newerUnused(const rules::Outcome& outcome) {
    for (const Evidence* evidence : outcome.evidence) {
        if (!mapping::isDecided(evidence->basis))
            return (outcome.basis == Basis::attested ? "; on file, not used: " : "; newer, not used: ") +
                   evidenceText(*evidence) + " — " + std::string(mapping::word(evidence->basis));
    }
    return {};
}

void addOpen(const Finding& finding, const rules::Open& open, const Screening& screening, Lines& lines) {
    const std::string& id = finding.criterion->id;
    const Evidence* cited = nullptr;
    for (const Evidence* evidence : finding.outcome.evidence) {
        if (evidence->fact == open.fact) cited = evidence;
    }
    switch (open.basis) {
        case Basis::missing: {
            std::string line = escapeMarkdown(open.fact->label);
            const std::string& detail = screening.facts[open.fact->index].detail;
            if (!detail.empty()) line += " (" + escapeMarkdown(detail) + ")";
            Lines::addOnce(lines.missing, line);
            return;
        }
        case Basis::notCovered:
            for (const std::string_view type : mapping::uncoveredSources(*open.fact, screening.chart.coverage))
                Lines::addOnce(lines.notRead[std::string(type)], id);
            return;
        case Basis::stale: {
            std::string line = cited == nullptr ? escapeMarkdown(open.fact->label) : evidenceText(*cited);
            if (open.fact->freshFor)
                line += ", older than " + count(static_cast<std::size_t>(*open.fact->freshFor), "day", "days");
            if (finding.outcome.wouldBe) {
                const bool favourable = (*finding.outcome.wouldBe == Truth::True) == finding.criterion->inclusion;
                line += favourable ? "; it would meet " + id : "; it would not meet " + id;
            }
            Lines::addOnce(lines.stale, line);
            return;
        }
        default: {
            std::string line = id + ": " + (cited == nullptr ? escapeMarkdown(open.fact->label) : evidenceText(*cited));
            line += " — " + std::string(mapping::word(open.basis));
            Lines::addOnce(lines.unsettled, line);
        }
    }
}

Lines linesOf(const Evaluation& evaluation, const Screening& screening) {
    Lines lines;
    for (const std::size_t index : evaluation.failed) {
        const Finding& finding = evaluation.findings[index];
        std::string line = finding.criterion->id + ": ";
        if (finding.outcome.evidence.empty()) {
            line += finding.outcome.basis == Basis::noneOnFile ? "none on file" : "decided against";
        } else {
            line += evidenceText(*finding.outcome.evidence.front());
        }
        if (finding.outcome.clearsOn) line += ", until " + finding.outcome.clearsOn->text();
        lines.against.push_back(line);
    }
    for (const Finding& finding : evaluation.findings) {
        const rules::Outcome& outcome = finding.outcome;
        if (finding.criterion->required && outcome.truth == Truth::Unknown) {
            // What the whole waits for; the parts that do not matter any more are not in its list.
            for (const rules::Open& open : outcome.open) {
                if (open.question().empty()) addOpen(evaluation.findings[open.criterion], open, screening, lines);
            }
        }
        if (finding.criterion->group) continue;
        if (outcome.truth == Truth::Unknown && outcome.basis == Basis::washOut) {
            std::string line = finding.criterion->id + ": ";
            line += outcome.evidence.empty() ? "" : evidenceText(*outcome.evidence.front()) + ", ";
            line += outcome.clearsOn ? "clear from " + outcome.clearsOn->text() : "ongoing, no date yet";
            Lines::addOnce(lines.waiting, line);
        }
        const bool favourable = outcome.truth == (finding.criterion->inclusion ? Truth::True : Truth::False);
        if (!favourable) continue;
        if (outcome.evidence.empty()) {
            lines.noneOnFile += outcome.basis == Basis::noneOnFile;
            continue;
        }
        const Evidence& evidence = *outcome.evidence.front();
        const std::string limit = escapeMarkdown(limitText(finding.criterion->when, evidence));
        const std::string negation = finding.criterion->inclusion || limit.empty() ? "" : "not ";
        Lines::addOnce(lines.met, negation + escapeMarkdown(labelOf(finding.criterion->when, evidence)) + limit + ": " +
                                      escapeMarkdown(valueText(evidence)) + " · " + sourceText(evidence) + " (" +
                                      finding.criterion->id + ")" + newerUnused(outcome));
    }
    return lines;
}

void addSection(std::string& text, std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    text += "**" + std::string(title) + " (" + std::to_string(lines.size()) + ")**\n";
    for (const std::string& line : lines) text += "- " + line + '\n';
    text += '\n';
}

/// What would help most.
std::string mostUseful(const std::vector<const Evaluation*>& trials) {
    constexpr std::size_t most = 5;
    std::string text;
    const std::vector<Unlock> all = unlocks(trials);
    for (std::size_t i = 0; i < std::min(most, all.size()); ++i)
        text += (i == 0 ? "" : " · ") + escapeMarkdown(unlockText(all[i]));
    return text;
}

/// Whether a criterion still waits for a fact, recorded or told: what follows from that fact is not asked before it.
bool waitsForFact(const rules::OpenEnds& open, std::size_t criterion) {
    return std::any_of(open.begin(), open.end(),
                       [&](const rules::Open& item) { return item.criterion == criterion && item.fact != nullptr; });
}

/// Every open question once, by the person who can answer it, with the criteria that wait for it.
std::string questions(const std::vector<const Evaluation*>& trials) {
    struct Question {
        std::string text;
        std::vector<std::string> criteria;
    };
    static const std::string clinician = "treating clinician";
    std::map<std::string, std::vector<Question>> asked;
    for (const Evaluation* evaluation : trials) {
        for (const Finding& finding : evaluation->findings) {
            if (!finding.criterion->required || finding.outcome.truth != Truth::Unknown) continue;
            for (const rules::Open& open : finding.outcome.open) {
                if (open.question().empty()) continue;
                if (open.ask != nullptr && waitsForFact(finding.outcome.open, open.criterion)) continue;
                const std::string by = open.ask == nullptr || open.ask->by.empty() ? clinician : open.ask->by;
                std::vector<Question>& list = asked[by];
                auto found = std::find_if(list.begin(), list.end(),
                                          [&](const Question& entry) { return entry.text == open.question(); });
                if (found == list.end()) found = list.insert(list.end(), {std::string(open.question()), {}});
                Lines::addOnce(found->criteria,
                               evaluation->trial->id + ' ' + evaluation->trial->criteria[open.criterion].id);
            }
        }
    }
    std::string text;
    for (const auto& [by, list] : asked) {
        text += "**For the " + escapeMarkdown(by) + " (" + std::to_string(list.size()) + ")**\n";
        for (const Question& question : list) {
            text += "- " + escapeMarkdown(question.text, 300) + " (";
            for (std::size_t i = 0; i < question.criteria.size(); ++i)
                text += (i == 0 ? "" : ", ") + question.criteria[i];
            text += ")\n";
        }
        text += '\n';
    }
    return text;
}

std::string metText(const rules::Trial& trial, const Lines& lines) {
    std::string text;
    addSection(text, "Met", lines.met);
    if (lines.noneOnFile > 0)
        text += count(lines.noneOnFile, "further criterion has", "further criteria have") +
                " nothing on file against the patient (none on file is not a confirmed negative).\n\n";
    return text.empty() ? text : "### " + escapeMarkdown(trial.id) + " · what is met\n" + text;
}

/// How many facts a trial waits for that could be recorded: missing, too old, or not settled by what is on file.
std::size_t openItems(const Evaluation& evaluation) {
    std::vector<const mapping::FactDefinition*> facts;
    for (const Finding& finding : evaluation.findings) {
        if (!finding.criterion->required || finding.outcome.truth != Truth::Unknown) continue;
        for (const rules::Open& open : finding.outcome.open) {
            const bool counts = open.question().empty() && open.basis != Basis::notCovered;
            if (counts && std::find(facts.begin(), facts.end(), open.fact) == facts.end()) facts.push_back(open.fact);
        }
    }
    return facts.size();
}

std::string registryTexts(const std::vector<const Evaluation*>& trials) {
    std::string text;
    for (const Evaluation* evaluation : trials) {
        const rules::Trial& trial = *evaluation->trial;
        text += (text.empty() ? "" : ", ") + trial.id + ' ' +
                (trial.recruitmentAsOf ? trial.recruitmentAsOf->text() : std::string("of unknown date"));
    }
    return text;
}

/// What every card ends with.
std::string guardText(const std::vector<const Evaluation*>& trials, const Screening& screening) {
    return "A screening aid for professionals, not a decision: the trial site decides. Criteria from the registry "
           "texts "
           "(" +
           registryTexts(trials) + "). Evaluated as of " + screening.facts.asOf.text() + ".\n";
}

}  // namespace

std::string summaryText(const std::vector<const Evaluation*>& trials) {
    const std::string lead = count(trials.size(), "CD7 trial", "CD7 trials") + " may fit: ";
    std::string text = lead;
    for (std::size_t i = 0; i < trials.size(); ++i) {
        const Evaluation& evaluation = *trials[i];
        std::string item = evaluation.trial->id;
        if (!evaluation.trial->recruits()) {
            item += " (not yet open)";
        } else if (const std::size_t items = openItems(evaluation); items > 0) {
            item += " (" + count(items, "item", "items") + " open)";
        } else {
            item += evaluation.status == rules::Status::candidate ? " (questions only)" : " (not fully read)";
        }
        const std::string more = " and " + std::to_string(trials.size() - i) + " more";
        const std::string next = (i == 0 ? "" : ", ") + item;
        const bool isLast = i + 1 == trials.size();
        if (countCodePoints(text + next) + (isLast ? 0 : countCodePoints(more)) > longestSummary)
            return shorten(text + more, longestSummary);
        text += next;
    }
    return shorten(text, longestSummary);
}

std::string detailMarkdown(const Screening& screening, const std::vector<const Evaluation*>& trials) {
    std::string text;
    std::string met;  // comes last: what is open matters more
    if (const std::string useful = mostUseful(suggested(screening)); !useful.empty())
        text += "Most useful next: " + useful + "\n\n";
    for (const Evaluation* evaluation : trials) {
        const rules::Trial& trial = *evaluation->trial;
        text += "### " + escapeMarkdown(trial.id) + " · " + std::string(rules::word(evaluation->status)) + "\n";
        text += escapeMarkdown(trial.title, 300) + "\n\n";
        text += "Recruitment status: **" + escapeMarkdown(recruitment(trial)) + "**";
        if (!trial.sponsor.empty()) text += " · " + escapeMarkdown(trial.sponsor);
        for (const std::string& location : trial.locations) text += " · " + escapeMarkdown(location);
        if (!trial.coordinator.empty()) text += " · Coordinator: " + escapeMarkdown(trial.coordinator, 300);
        text += "\n\n";
        const Lines lines = linesOf(*evaluation, screening);
        addSection(text, "Against", lines.against);
        addSection(text, "Missing", lines.missing);
        addSection(text, "Too old", lines.stale);
        addSection(text, "Wash-out", lines.waiting);
        addSection(text, "Recorded, but does not decide", lines.unsettled);
        if (!lines.notRead.empty()) {
            text += "**Not read, so not checked**\n";
            for (const auto& [type, criteria] : lines.notRead)
                text += "- " + type + ": " + count(criteria.size(), "criterion", "criteria") + '\n';
            text += '\n';
        }
        met += metText(trial, lines);
    }
    if (const std::string asked = questions(trials); !asked.empty()) text += "### Questions for a person\n" + asked;
    text += met;
    return text + guardText(trials, screening);
}

namespace {

/// A uuid that follows from the card's (RFC 4122, version 5), so that feedback on a suggestion names its card's.
std::string uuidOf(const std::string& cardUuid, std::string_view suggestion) {
    const boost::uuids::name_generator_sha1 generator(boost::uuids::ns::oid());
    return boost::uuids::to_string(generator(cardUuid + '/' + std::string(suggestion)));
}

/// The code that a test is ordered by: the site's, or the first LOINC code of the fact.
std::optional<OrderCode> orderCodeOf(const Knowledge& knowledge, const mapping::FactDefinition& fact) {
    for (const Site::Order& order : knowledge.site.orders) {
        if (order.fact == fact.index) return order.code;
    }
    for (const mapping::CodeRow& row : knowledge.vocabulary.rows()) {
        if (row.fact == fact.index && row.role == mapping::Role::accept &&
            knowledge.vocabulary.systemName(row.system) == "loinc")
            return OrderCode{std::string(knowledge.vocabulary.systemUri(row.system)), row.code, row.display};
    }
    return std::nullopt;
}

/// The missing test that unlocks most and that there is a code for; one that the site can order comes first.
struct Orderable {
    Unlock unlock;
    OrderCode code;
};

std::optional<Orderable> mostUsefulTest(const Screening& screening, const Knowledge& knowledge) {
    std::optional<Orderable> first;
    for (Unlock& unlock : unlocks(suggested(screening))) {
        const auto code = orderCodeOf(knowledge, *unlock.fact);
        if (!code) continue;
        const bool ofSite = std::any_of(knowledge.site.orders.begin(), knowledge.site.orders.end(),
                                        [&](const Site::Order& order) { return order.fact == unlock.fact->index; });
        if (ofSite || knowledge.site.orders.empty()) return Orderable{std::move(unlock), *code};
        if (!first) first = Orderable{std::move(unlock), *code};
    }
    return first;
}

std::string idsOf(const std::vector<const rules::Trial*>& trials) {
    std::string text;
    for (const rules::Trial* trial : trials) text += (text.empty() ? "" : ", ") + trial->id;
    return text;
}

/// Writes cards, one after the other.
class CardWriter {
public:
    CardWriter(const CardSubject& subject, const CardOptions& options) : subject_(subject), options_(options) {
        writer_.beginObject().name("cards").beginArray();
    }

    void begin(const std::string& summary, const std::string& detail) {
        writer_.beginObject()
            .member("uuid", subject_.uuid)
            .member("summary", summary)
            .member("detail", detail)
            .member("indicator", "info")
            .name("source")
            .beginObject()
            .member("label", "cd7match: CD7 trial screening")
            .name("topic")
            .beginObject()
            .member("system", cardTopicSystem)
            .member("code", cardTopicCode)
            .member("display", cardTopicDisplay)
            .endObject()
            .endObject();
    }

    void links(const std::vector<const Evaluation*>& trials) {
        writer_.name("links").beginArray();
        for (const Evaluation* evaluation : trials) {
            writer_.beginObject()
                .member("label", evaluation->trial->id + " in the registry")
                .member("url", evaluation->trial->source)
                .member("type", "absolute")
                .endObject();
        }
        if (!options_.smartAppUrl.empty()) {
            writer_.beginObject()
                .member("label", options_.smartAppLabel)
                .member("url", options_.smartAppUrl)
                .member("type", "smart")
                .endObject();
        }
        writer_.endArray();
    }

    void suggestions(const Screening& screening, const Knowledge& knowledge,
                     const std::vector<const Evaluation*>& trials) {
        const auto test = mostUsefulTest(screening, knowledge);
        if (!test && !knowledge.site.referral) return;
        writer_.name("suggestions").beginArray();
        if (test) {
            const std::string words = "Order: " + test->code.display;
            beginSuggestion("order", words,
                            "Draft an order: " + printable(test->code.display) +
                                ". Waiting for it: " + idsOf(test->unlock.trials) + '.');
            beginDraft("ServiceRequest", test->code, "subject");
            writer_.name("reasonCode")
                .beginArray()
                .beginObject()
                .member("text", "Screening for " + idsOf(test->unlock.trials))
                .endObject()
                .endArray();
            endSuggestion();
        }
        if (const auto& referral = knowledge.site.referral) {
            std::vector<const rules::Trial*> named;
            for (const Evaluation* evaluation : trials) named.push_back(evaluation->trial);
            beginSuggestion("referral", "Refer: " + referral->display,
                            "Draft a referral to the trial coordinator for " + idsOf(named) + '.');
            beginDraft("Task", *referral, "for");
            writer_.member("description", "Screening for " + idsOf(named));
            endSuggestion();
        }
        writer_.endArray().member("selectionBehavior", "any");
    }

    void end() {
        writer_.name("overrideReasons").beginArray();
        for (const OverrideReason& reason : overrideReasons) {
            writer_.beginObject()
                .member("code", reason.code)
                .member("system", overrideReasonSystem)
                .member("display", reason.display)
                .endObject();
        }
        writer_.endArray().endObject();
    }

    std::string text() {
        writer_.endArray().endObject();
        return std::string(writer_.text());
    }

private:
    void beginSuggestion(std::string_view name, const std::string& label, const std::string& description) {
        writer_.beginObject()
            .member("label", shorten(printable(label), longestLabel))
            .member("uuid", uuidOf(subject_.uuid, name))
            .name("isRecommended")
            .boolean(false)
            .name("actions")
            .beginArray()
            .beginObject()
            .member("type", "create")
            .member("description", description)
            .name("resource");
    }

    void beginDraft(std::string_view resourceType, const OrderCode& code, std::string_view patient) {
        writer_.beginObject()
            .member("resourceType", resourceType)
            .member("status", "draft")
            .member("intent", "proposal")
            .name("code")
            .beginObject()
            .name("coding")
            .beginArray()
            .beginObject()
            .member("system", code.system)
            .member("code", code.code)
            .member("display", code.display)
            .endObject()
            .endArray()
            .member("text", code.display)
            .endObject();
        reference(patient, "Patient/" + subject_.patientId);
        if (!subject_.encounterId.empty()) {
            const bool isReference = subject_.encounterId.find('/') != std::string::npos;
            reference("encounter", isReference ? subject_.encounterId : "Encounter/" + subject_.encounterId);
        }
    }

    void reference(std::string_view element, const std::string& to) {
        writer_.name(element).beginObject().member("reference", to).endObject();
    }

    void endSuggestion() { writer_.endObject().endObject().endArray().endObject(); }

    static constexpr std::size_t longestLabel = 100;

    const CardSubject& subject_;
    const CardOptions& options_;
    fhir::json::Writer writer_;
};

std::string effectText(const OrderEffect& effect) {
    const rules::Outcome& result = effect.finding->outcome;
    std::string text = effect.finding->criterion->id + ": " + escapeMarkdown(effect.order, 200);
    if (!effect.certain) return text + " may count; what is known does not settle it";
    if (!result.clearsOn) return text + " would decide against the patient";
    return text + " would start a wash-out, clear from " + result.clearsOn->text();
}

/// "NCT07109518 (clear from 2025-12-11)": the latest day of its criteria, or that there is none.
std::string effectSummary(const std::vector<OrderEffect>& effects, const Evaluation* trial) {
    std::optional<fhir::Date> clearsOn;
    bool certain = false;
    bool forGood = false;
    for (const OrderEffect& effect : effects) {
        if (effect.evaluation != trial || !effect.certain) continue;
        certain = true;
        forGood = forGood || !effect.finding->outcome.clearsOn;
        clearsOn = std::max(clearsOn, effect.finding->outcome.clearsOn);
    }
    if (!certain) return trial->trial->id + " (may count)";
    return trial->trial->id + (forGood ? " (would end it)" : " (clear from " + clearsOn->text() + ")");
}

}  // namespace

std::string cardsJson(const Screening& screening, const Knowledge& knowledge, const CardSubject& subject,
                      const CardOptions& options) {
    const std::vector<const Evaluation*> trials = suggested(screening);
    CardWriter writer(subject, options);
    if (!trials.empty()) {
        writer.begin(summaryText(trials), detailMarkdown(screening, trials));
        writer.suggestions(screening, knowledge, trials);
        writer.links(trials);
        writer.end();
    }
    return writer.text();
}

std::string orderCardsJson(const OrderScreening& orders, const CardSubject& subject, const CardOptions& options) {
    std::vector<const Evaluation*> trials;
    std::string detail;
    for (const OrderEffect& effect : orders.effects) {
        if (trials.empty() || trials.back() != effect.evaluation) {
            trials.push_back(effect.evaluation);
            detail += (detail.empty() ? "### " : "\n### ") + escapeMarkdown(effect.evaluation->trial->id) + " · " +
                      escapeMarkdown(effect.evaluation->trial->title, 300) + "\nRecruitment status: **" +
                      escapeMarkdown(recruitment(*effect.evaluation->trial)) + "**\n\n";
        }
        detail += "- " + effectText(effect) + '\n';
    }
    if (orders.unread > 0)
        detail += "- " + count(orders.unread, "draft order", "draft orders") + " could not be read: not checked\n";
    detail += "\nAs if the order were carried out once, on " + orders.screening.facts.asOf.text() +
              ". The trial is not a reason to withhold treatment.\n\n" + guardText(trials, orders.screening);
    std::string summary = "This order would touch " + count(trials.size(), "CD7 trial", "CD7 trials") + ": ";
    for (std::size_t i = 0; i < trials.size(); ++i)
        summary += (i == 0 ? "" : ", ") + effectSummary(orders.effects, trials[i]);
    CardWriter writer(subject, options);
    writer.begin(shorten(summary, longestSummary), detail);
    writer.links(trials);
    writer.end();
    return writer.text();
}

}  // namespace cds_hooks
