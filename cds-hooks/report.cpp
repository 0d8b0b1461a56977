#include "cds-hooks/report.h"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <charconv>
#include <unordered_map>

#include "cds-hooks/card.h"
#include "cds-hooks/markdown.h"
#include "cds-hooks/unlock.h"

namespace cds_hooks {

using fhir::json::Writer;
using mapping::Evidence;
using mapping::Kind;

std::optional<std::string> timesUpperLimit(const Evidence& evidence) {
    if (!evidence.upperLimit || !evidence.value.isPoint()) return std::nullopt;
    return fhir::decimalText(*evidence.value.low / *evidence.upperLimit, 3);
}

std::string valueText(const Evidence& evidence) {
    std::string text;
    if (!evidence.valueText.empty() || !evidence.highText.empty()) {
        text = std::string(evidence.comparator) + evidence.valueText;
        if (!evidence.highText.empty())
            text += evidence.valueText.empty() ? "<=" + evidence.highText : "-" + evidence.highText;
        if (!evidence.unitText.empty() && evidence.unitText.front() != '{') {
            text += ' ';
            text += evidence.unitText == "a" ? "years" : evidence.unitText == "mo" ? "months" : evidence.unitText;
        }
        if (const auto times = timesUpperLimit(evidence))
            text += ", " + *times + (evidence.assumedLimit ? " x the site's assumed ULN" : " x ULN");
    } else if (!evidence.coded.empty()) {
        text = evidence.coded;
    } else if (evidence.positive && evidence.isAnswer()) {
        text = *evidence.positive ? "yes" : "no";
    } else if (!evidence.display.empty()) {
        text = evidence.display;
    } else if (evidence.positive && !evidence.isRecord) {
        text = *evidence.positive ? "positive" : "negative";
    }
    if (evidence.date) {
        text += text.empty() ? "" : ", ";
        text += evidence.isRecord && !evidence.onsetDated ? "written down " : "";
        text += evidence.date->text();
    }
    return text;
}

namespace {

/// So much of what a finding rests on is written out; a chart can hold the same result a thousand times.
constexpr std::size_t mostEvidence = 50;

/// A number as it was written where JSON allows it ("1.50"), in plain digits where it does not ("012"), and as a string
/// when it is no number at all: what a chart holds never becomes JSON of ours.
void writeNumber(Writer& writer, std::string_view text) {
    const auto number = fhir::parseDecimal(text);
    if (!number) {
        writer.string(text);
        return;
    }
    const std::size_t sign = text.starts_with('-') ? 1 : 0;
    const bool leadingZero =
        text.size() > sign + 1 && text[sign] == '0' && text[sign + 1] >= '0' && text[sign + 1] <= '9';
    if (leadingZero) {
        writer.number(fhir::decimalText(*number, 12));
    } else {
        writer.number(text);
    }
}

void writeEvidence(Writer& writer, const Evidence& evidence) {
    writer.beginObject().member("fact", evidence.fact->name);
    if (!evidence.valueText.empty()) {
        writer.name("value");
        writeNumber(writer, evidence.valueText);
    } else if (!evidence.coded.empty()) {
        writer.member("value", evidence.coded);
    } else if (evidence.positive && (!evidence.isRecord || evidence.isAnswer())) {
        writer.name("value").boolean(*evidence.positive);
    }
    if (!evidence.highText.empty()) {
        writer.name("high");
        writeNumber(writer, evidence.highText);
    }
    if (!evidence.comparator.empty()) writer.member("comparator", evidence.comparator);
    if (!evidence.unitText.empty()) writer.member("unit", evidence.unitText);
    if (!evidence.upperLimitText.empty()) {
        writer.name("upperLimit");
        writeNumber(writer, evidence.upperLimitText);
    }
    if (evidence.assumedLimit) writer.name("assumed").boolean(true);
    if (const auto times = timesUpperLimit(evidence)) writer.name("xULN").number(*times);
    if (!evidence.display.empty()) writer.member("display", shorten(evidence.display, 300));
    if (!evidence.method.empty()) writer.member("method", evidence.method);
    if (evidence.date) writer.member("date", evidence.date->text());
    if (evidence.date && evidence.isRecord && !evidence.onsetDated) writer.member("dateOf", "recordedDate");
    if (evidence.end) writer.member("end", evidence.end->text());
    writer.member("source", evidence.source());
    if (!evidence.author.empty()) writer.member("author", shorten(evidence.author, 300));
    if (evidence.isAnswer() && evidence.issued) writer.member("authored", evidence.issued->text());
    if (evidence.stale) writer.name("stale").boolean(true);
    if (!mapping::isDecided(evidence.basis)) writer.member("reason", mapping::word(evidence.basis));
    if (!evidence.detail.empty()) writer.member("detail", evidence.detail);
    if (!evidence.inputs.empty()) {
        writer.name("inputs").beginArray();
        for (const Evidence& input : evidence.inputs) writeEvidence(writer, input);
        writer.endArray();
    }
    writer.endObject();
}

/// Evidence that many criteria cite is put into words once.
class EvidenceWriter {
public:
    void write(Writer& writer, const Evidence& evidence) {
        const auto [place, isNew] = written_.try_emplace(&evidence);
        if (!isNew) {
            writer.again(place->second.begin, place->second.size);
            return;
        }
        std::size_t begin = writer.text().size();
        writeEvidence(writer, evidence);
        begin += writer.text()[begin] == ',' ? 1 : 0;
        place->second = {begin, writer.text().size() - begin};
    }

private:
    struct Place {
        std::size_t begin = 0;
        std::size_t size = 0;
    };
    std::unordered_map<const Evidence*, Place> written_;
};

void writeFinding(Writer& writer, EvidenceWriter& evidenceWriter, const rules::Finding& finding) {
    const rules::Outcome& outcome = finding.outcome;
    writer.beginObject()
        .member("id", finding.criterion->id)
        .member("truth", rules::word(outcome.truth))
        .member("basis", mapping::word(outcome.basis));
    if (outcome.clearsOn) writer.member("clearsOn", outcome.clearsOn->text());
    if (outcome.wouldBe) writer.member("wouldBe", rules::word(*outcome.wouldBe));
    if (outcome.truth == rules::Truth::Unknown) {
        using Texts = boost::container::small_vector<std::string_view, 8>;
        Texts missing;
        boost::container::small_vector<mapping::Basis, 8> reasons;  // of each
        Texts asks;
        const auto addOnce = [](Texts& list, std::string_view text) {
            const auto known = std::find(list.begin(), list.end(), text);
            if (known != list.end()) return static_cast<std::size_t>(known - list.begin());
            list.push_back(text);
            return list.size() - 1;
        };
        for (const rules::Open& open : outcome.open) {
            if (const std::string_view question = open.question(); question.empty()) {
                const std::size_t at = addOnce(missing, open.fact->name);
                reasons.resize(missing.size(), open.basis);
                reasons[at] = std::max(reasons[at], open.basis);
            } else {
                addOnce(asks, question);
            }
        }
        for (const auto& [name, list] : {std::pair{"missing", &missing}, std::pair{"asks", &asks}}) {
            if (list->empty()) continue;
            writer.name(name).beginArray();
            for (const std::string_view text : *list) writer.string(text);
            writer.endArray();
        }
        if (std::any_of(reasons.begin(), reasons.end(),
                        [&](mapping::Basis reason) { return reason != outcome.basis; })) {
            writer.name("reasons").beginObject();
            for (std::size_t i = 0; i < missing.size(); ++i) {
                if (reasons[i] != outcome.basis) writer.member(missing[i], mapping::word(reasons[i]));
            }
            writer.endObject();
        }
    }
    writer.name("evidence").beginArray();
    for (std::size_t i = 0; i < std::min(mostEvidence, outcome.evidence.size()); ++i)
        evidenceWriter.write(writer, *outcome.evidence[i]);
    writer.endArray();
    if (outcome.evidence.size() > mostEvidence)
        writer.name("moreEvidence").number(outcome.evidence.size() - mostEvidence);
    writer.endObject();
}

const std::string& silenceWords(const rules::Finding& finding) {
    return finding.silence->words([&] {
        Writer own;
        EvidenceWriter none;
        writeFinding(own, none, finding);
        return std::string(own.text());
    });
}

/// The words of all criteria of a row, each with a comma behind it.
rules::SilenceRow::Words rowWords(const rules::Trial& trial, const rules::SilenceRow& row) {
    rules::SilenceRow::Words words;
    for (std::size_t i = 0; i < trial.criteria.size(); ++i) {
        words.begins.push_back(words.text.size());
        const rules::Silence* const silence = row.of(i);
        if (silence != nullptr) words.text += silenceWords({&trial.criteria[i], silence->outcome(), silence});
        words.text += ',';
    }
    words.begins.push_back(words.text.size());
    return words;
}

void writeEvaluation(Writer& writer, EvidenceWriter& evidenceWriter, const rules::Evaluation& evaluation,
                     const Participation& participates) {
    writer.beginObject()
        .member("trial", evaluation.trial->id)
        .member("status", rules::word(evaluation.status))
        .name("gate")
        .boolean(evaluation.gate);
    if (participates.subject != nullptr) writer.member("researchSubject", participates.subject->status);
    if (participates.refusal != nullptr) writer.name("refused").boolean(true);
    writer.name("criteria").beginArray();
    const std::vector<rules::Finding>& findings = evaluation.findings;
    const auto isOfRow = [&](std::size_t i) {
        return evaluation.row != nullptr && findings[i].silence != nullptr &&
               findings[i].silence == evaluation.row->of(i);
    };
    for (std::size_t i = 0; i < findings.size(); ++i) {
        if (isOfRow(i)) {
            // As many as stand side by side, with the commas between them.
            const rules::SilenceRow::Words& words =
                evaluation.row->words([&] { return rowWords(*evaluation.trial, *evaluation.row); });
            const std::size_t begin = words.begins[i];
            while (i + 1 < findings.size() && isOfRow(i + 1)) ++i;
            writer.object(std::string_view(words.text).substr(begin, words.begins[i + 1] - 1 - begin));
        } else if (findings[i].silence != nullptr) {
            writer.object(silenceWords(findings[i]));
        } else {
            writeFinding(writer, evidenceWriter, findings[i]);
        }
    }
    writer.endArray();
    const auto writeIds = [&](std::string_view name, const std::vector<std::size_t>& criteria) {
        writer.name(name).beginArray();
        for (const std::size_t index : criteria) writer.string(evaluation.trial->criteria[index].id);
        writer.endArray();
    };
    writeIds("failed", evaluation.failed);
    writer.name("missing").beginArray();
    for (const rules::Missing& missing : evaluation.missing) writer.string(missing.fact->name);
    writer.endArray();
    writeIds("asks", evaluation.asks);
    writer.endObject();
}

}  // namespace

Origin readOrigin(fhir::json::Value source) {
    Origin origin{std::string(source["file"].text()), 0, std::string(source["url"].text())};
    const std::string_view line = source["line"].text();
    std::from_chars(line.data(), line.data() + line.size(), origin.line);
    return origin;
}

std::string patientReference(std::string_view id) {
    return id.empty() ? "Patient" : "Patient/" + std::string(id);
}

std::string ndjsonLine(const Screening& screening, const Knowledge& knowledge, const Origin& origin) {
    constexpr std::size_t usualSize = std::size_t{96} << 10;
    thread_local Writer writer(usualSize);
    writer.clear();
    EvidenceWriter evidenceWriter;
    writer.beginObject()
        .member("patient", patientReference(screening.chart.patient.id))
        .member("asOf", screening.facts.asOf.text())
        .name("source")
        .beginObject()
        .member(origin.url.empty() ? "file" : "url", origin.url.empty() ? origin.file : origin.url);
    if (origin.line > 0) writer.name("line").number(origin.line);
    writer.endObject().member("program", programVersion()).member("knowledge", knowledge.digest);
    if (screening.facts.deceased) writer.name("deceased").boolean(true);
    writer.name("trials").beginArray();
    for (const rules::Evaluation& evaluation : screening.evaluations)
        writeEvaluation(writer, evidenceWriter, evaluation, participation(screening, *evaluation.trial));
    writer.endArray().name("unlocks").beginArray();
    for (const Unlock& unlock : unlocks(suggested(screening))) {
        writer.beginObject().member("fact", unlock.fact->name).name("criteria").number(unlock.criteria);
        writer.name("trials").beginArray();
        for (const rules::Trial* trial : unlock.trials) writer.string(trial->id);
        writer.endArray().endObject();
    }
    writer.endArray().name("issues").beginArray();
    for (const fhir::Issue& issue : screening.facts.issues)
        writer.beginObject().member("path", issue.path).member("message", issue.message).endObject();
    writer.endArray().endObject();
    std::string line;
    line.reserve(writer.text().size() + 1);  // and a line break
    line = writer.text();
    return line;
}

std::string tableText(const Screening& screening, const Origin& origin) {
    std::string text = printable(patientReference(screening.chart.patient.id)) + "  as of " +
                       screening.facts.asOf.text() + "  (" + origin.text() + ")";
    if (screening.facts.deceased) text += "  recorded as dead";
    text += '\n';
    const auto row = [&](std::string_view name, const std::string& value) {
        if (value.empty()) return;
        text += "    ";
        text += name;
        text += std::string(9 - name.size(), ' ') + value + '\n';
    };
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        std::string status(rules::word(evaluation.status));
        status.resize(20, ' ');
        text += "  " + evaluation.trial->id + "  " + status + "  " + evaluation.trial->recruitment;
        text += evaluation.trial->recruitmentAsOf ? " (" + evaluation.trial->recruitmentAsOf->text() + ")" : "";
        text += evaluation.gate ? "\n" : "; no disease of this trial on file\n";

        const Participation participates = participation(screening, *evaluation.trial);
        if (participates.subject != nullptr)
            row("study", "the patient is a ResearchSubject of it (" + printable(participates.subject->status) + ")");
        if (participates.refusal != nullptr) row("study", "the patient has refused (Consent)");
        std::string failed;
        for (const std::size_t index : evaluation.failed) {
            const rules::Finding& finding = evaluation.findings[index];
            failed += failed.empty() ? "" : "; ";
            failed += finding.criterion->id;
            if (!finding.outcome.evidence.empty()) {
                const Evidence& evidence = *finding.outcome.evidence.front();
                failed += " " + evidence.fact->label + " " + shorten(printable(valueText(evidence)), 120);
            } else if (finding.outcome.basis == mapping::Basis::noneOnFile) {
                failed += " (none on file)";
            }
        }
        row("failed", failed);
        std::string missing;
        constexpr std::size_t most = 8;
        for (std::size_t i = 0; i < std::min(most, evaluation.missing.size()); ++i)
            missing += (i == 0 ? "" : ", ") + evaluation.missing[i].fact->label;
        if (evaluation.missing.size() > most)
            missing += ", and " + std::to_string(evaluation.missing.size() - most) + " more";
        row("missing", missing);
        if (!evaluation.asks.empty())
            row("asked", std::to_string(evaluation.asks.size()) + " criteria need a person's answer");
    }
    std::string next;
    const std::vector<Unlock> tests = unlocks(suggested(screening));
    for (std::size_t i = 0; i < std::min<std::size_t>(5, tests.size()); ++i)
        next += (i == 0 ? "" : ", ") + unlockText(tests[i]);
    if (!next.empty()) text += "  most useful next: " + next + '\n';
    return text;
}

std::string markdownText(const Screening& screening, const Origin& origin) {
    std::string text = "## " + escapeMarkdown(patientReference(screening.chart.patient.id)) + ", as of " +
                       screening.facts.asOf.text() + "\n\n";
    text += "Source: " + escapeMarkdown(origin.text()) + "\n\n";
    if (screening.facts.deceased) text += "Recorded as dead.\n\n";
    std::vector<const rules::Evaluation*> all;
    for (const rules::Evaluation& evaluation : screening.evaluations) all.push_back(&evaluation);
    return text + detailMarkdown(screening, all);
}

}  // namespace cds_hooks
