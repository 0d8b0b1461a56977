#include "cds-hooks/card.h"

#include <algorithm>
#include <map>
#include <utility>

#include "cds-hooks/markdown.h"
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
bool waitsForFact(const std::vector<rules::Open>& open, std::size_t criterion) {
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
    text +=
        "A screening aid for professionals, not a decision: the trial site decides. Criteria from the registry texts "
        "(" +
        registryTexts(trials) + "). Evaluated as of " + screening.facts.asOf.text() + ".\n";
    return text;
}

std::string cardsJson(const Screening& screening, const std::string& uuid) {
    const std::vector<const Evaluation*> trials = suggested(screening);
    fhir::json::Writer writer;
    writer.beginObject().name("cards").beginArray();
    if (!trials.empty()) {
        writer.beginObject()
            .member("uuid", uuid)
            .member("summary", summaryText(trials))
            .member("detail", detailMarkdown(screening, trials))
            .member("indicator", "info")
            .name("source")
            .beginObject()
            .member("label", "cd7match: CD7 trial screening")
            .name("topic")
            .beginObject()
            .member("system", "urn:cd7match:card-topic")
            .member("code", "cd7trials")
            .member("display", "CD7-directed CAR-T and CAR-NK trials")
            .endObject()
            .endObject()
            .name("links")
            .beginArray();
        for (const Evaluation* evaluation : trials) {
            writer.beginObject()
                .member("label", evaluation->trial->id + " in the registry")
                .member("url", evaluation->trial->source)
                .member("type", "absolute")
                .endObject();
        }
        writer.endArray().endObject();
    }
    writer.endArray().endObject();
    return std::string(writer.text());
}

}  // namespace cds_hooks
