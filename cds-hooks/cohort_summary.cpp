#include "cds-hooks/cohort_summary.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <tuple>

#include "cds-hooks/markdown.h"
#include "fhir/error.h"

namespace cds_hooks {

using fhir::json::Value;
using mapping::Basis;
using rules::Status;
using rules::Truth;
using Decision = CohortChart::Decision;

namespace {

/// So much of the evidence of one criterion is kept for the worklist; the NDJSON holds all of it.
constexpr std::size_t mostEvidence = 3;
constexpr std::size_t longestEvidence = 200;

/// Errors: fhir::Error when it is none of the words.
template <typename Word>
Word wordOf(std::string_view text, Word last) {
    const auto value = mapping::valueOfWord(text, last);
    if (!value) throw fhir::Error("trials", "hold a word that none of ours is");
    return *value;
}

Basis basisOf(Value node) {
    return wordOf(node["basis"].text(), Basis::missing);
}

Truth truthOf(Value node) {
    return wordOf(node["truth"].text(), Truth::True);
}

std::size_t sizeOf(Value array) {
    std::size_t size = 0;
    for ([[maybe_unused]] const Value each : array.items()) ++size;
    return size;
}

std::size_t numberOf(Value number) {
    const std::string_view text = number.text();
    std::size_t result = 0;
    std::from_chars(text.data(), text.data() + text.size(), result);
    return result;
}

/// The line's evidence as valueText() writes that of a chart, with its fact and its resource.
std::string evidenceText(const mapping::Vocabulary& vocabulary, Value evidence) {
    const std::string_view name = evidence["fact"].text();
    const mapping::FactDefinition* fact = vocabulary.find(name);
    std::string text;  // of a question the criterion's words stand beside it
    if (fact != nullptr) text = fact->label + ' ';
    const Value value = evidence["value"];
    const std::string_view source = evidence["source"].text();
    const bool isAnswer = source.starts_with("QuestionnaireResponse");
    const bool isYesNo = value.kind() == fhir::json::Kind::boolean;
    const std::string_view display = evidence["display"].text();
    if ((value && !isYesNo) || evidence["high"]) {
        text += std::string(evidence["comparator"].text()) + std::string(value.text());
        if (const Value high = evidence["high"]) text += (value ? "-" : "<=") + std::string(high.text());
        if (const std::string_view unit = evidence["unit"].text(); !unit.empty() && unit.front() != '{')
            text += ' ' + std::string(unit == "a" ? "years" : unit == "mo" ? "months" : unit);
        if (const Value times = evidence["xULN"])
            text += ", " + std::string(times.text()) +
                    (evidence["assumed"].isTrue() ? " x the site's assumed ULN" : " x ULN");
    } else if (isYesNo && (isAnswer || display.empty())) {
        text += isAnswer ? (value.isTrue() ? "yes" : "no") : (value.isTrue() ? "positive" : "negative");
    } else {
        text += display;
    }
    if (const Value date = evidence["date"]) {
        text += text.empty() || text.ends_with(' ') ? "" : ", ";
        text += (evidence["dateOf"] ? "written down " : "") + std::string(date.text());
    }
    if (const Value reason = evidence["reason"]) text += ", " + std::string(reason.text());
    if (evidence["stale"].isTrue()) text += ", too old";
    return shorten(printable(text), longestEvidence) + " · " + shorten(printable(source), longestEvidence);
}

/// How little is missing, the least first: facts, then windows that end by themselves, then questions.
std::uint64_t orderOf(const WorklistEntry& entry) {
    const auto part = [](std::size_t count) { return std::min<std::uint64_t>(count, (1U << 20U) - 1); };
    return part(entry.gaps.size()) << 40U | part(entry.windows.size()) << 20U | part(entry.questions);
}

/// Where as much is missing, the order of the input decides.
bool isBefore(const WorklistEntry& a, const WorklistEntry& b) {
    return std::pair(orderOf(a), a.number) < std::pair(orderOf(b), b.number);
}

}  // namespace

const std::vector<std::pair<Basis, std::string_view>>& mendable() {
    static const std::vector<std::pair<Basis, std::string_view>> reasons{
        {Basis::stale, "too old"},
        {Basis::undated, "undated"},
        {Basis::noUpperLimit, "no upper limit"},
        {Basis::unreadableUnit, "unreadable unit"},
        {Basis::implausible, "implausible"},
        {Basis::conflicting, "conflicting"},
        {Basis::unconfirmed, "unconfirmed"},
        {Basis::notCovered, "not read"},
    };
    return reasons;
}

CohortSummary::CohortSummary(const Knowledge& knowledge, std::size_t most)
    : knowledge_(&knowledge),
      most_(most),
      worklists_(knowledge.trials.size()),
      mostOrder_(std::make_unique<std::atomic<std::uint64_t>[]>(knowledge.trials.size())),
      onlyMissing_(knowledge.vocabulary.facts().size()),
      gaps_(knowledge.vocabulary.facts().size()) {
    for (const rules::Trial& trial : knowledge.trials) {
        mostOrder_[trials_.size()] = std::numeric_limits<std::uint64_t>::max();
        TrialCount& count = trials_.emplace_back();
        count.trial = &trial;
        for (const rules::Criterion& criterion : trial.criteria) {
            if (criterion.required) count.criteria.push_back({&criterion});
        }
    }
    for (const mapping::FactDefinition& fact : knowledge.vocabulary.facts()) gaps_[fact.index].fact = &fact;
}

CohortChart CohortSummary::of(const Screening& screening, const Origin& origin, std::string_view line) const {
    const bool anyDisease = std::any_of(screening.evaluations.begin(), screening.evaluations.end(),
                                        [](const rules::Evaluation& evaluation) { return evaluation.gate; });
    if (anyDisease) {
        const fhir::json::Document document{line.empty() ? ndjsonLine(screening, *knowledge_, origin)
                                                         : std::string(line)};
        return of(document.root());
    }
    // Nearly every chart of a hospital: nothing of its line would be read but this.
    CohortChart chart;
    chart.deceased = screening.facts.deceased;
    chart.issues = screening.facts.issues.size();
    chart.trials.reserve(screening.evaluations.size());
    for (const rules::Evaluation& evaluation : screening.evaluations) chart.trials.push_back({evaluation.status});
    return chart;
}

CohortChart CohortSummary::of(Value line) const {
    CohortChart chart;
    chart.deceased = line["deceased"].isTrue();
    chart.issues = sizeOf(line["issues"]);
    for (const Value trial : line["trials"].items()) {
        CohortChart::InTrial inTrial = readTrial(chart.trials.size(), trial, chart);
        if (inTrial.entry) {
            inTrial.entry->patient = printable(line["patient"].text());
            inTrial.entry->asOf = line["asOf"].text();
            inTrial.entry->source = printable(readOrigin(line["source"]).text());
        }
        chart.trials.push_back(std::move(inTrial));
    }
    for (const Value unlock : line["unlocks"].items()) {
        Unlock& added = chart.unlocks.emplace_back();
        added.fact = knowledge_->vocabulary.find(unlock["fact"].text());
        if (added.fact == nullptr) throw fhir::Error("unlocks.fact", "is no fact of the vocabulary");
        added.criteria = numberOf(unlock["criteria"]);
        for (const Value id : unlock["trials"].items()) {
            for (const rules::Trial& trial : knowledge_->trials) {
                if (trial.id == id.text()) added.trials.push_back(&trial);
            }
        }
    }
    return chart;
}

CohortChart::InTrial CohortSummary::readTrial(std::size_t trial, Value line, CohortChart& chart) const {
    const rules::Trial& definition = knowledge_->trials.at(trial);
    if (sizeOf(line["criteria"]) != definition.criteria.size())
        throw fhir::Error("trials.criteria", "are not those of " + definition.id);
    CohortChart::InTrial result;
    result.status = wordOf(line["status"].text(), Status::candidate);
    result.disease = line["gate"].isTrue();
    result.onStudy = static_cast<bool>(line["researchSubject"]);
    result.refused = line["refused"].isTrue();
    if (!result.disease) return result;
    std::size_t index = 0;
    for (const Value node : line["criteria"].items()) {
        const rules::Criterion& criterion = definition.criteria.at(index++);
        if (!criterion.required) continue;
        const Truth truth = truthOf(node);
        result.decisions.push_back(truth == Truth::Unknown
                                       ? (basisOf(node) == Basis::asked ? Decision::asked : Decision::open)
                                   : (truth == Truth::True) == criterion.inclusion ? Decision::favourable
                                                                                   : Decision::against);
        if (truth != Truth::Unknown || chart.deceased) continue;
        for (const Gap& gap : readGaps(node)) {
            if (std::find(chart.gaps.begin(), chart.gaps.end(), gap) == chart.gaps.end()) chart.gaps.push_back(gap);
        }
    }
    if (!chart.deceased && !result.onStudy && !result.refused && result.status != Status::ineligible)
        result.entry = readEntry(trial, line);
    return result;
}

std::vector<Gap> CohortSummary::readGaps(Value node) const {
    const Basis basis = basisOf(node);
    std::vector<Gap> gaps;
    for (const Value name : node["missing"].items()) {
        const mapping::FactDefinition* fact = knowledge_->vocabulary.find(name.text());
        if (fact != nullptr) gaps.push_back({fact, basis});
    }
    for (const auto& [name, reason] : node["reasons"].members()) {
        for (Gap& gap : gaps) {
            if (gap.fact->name == name) gap.basis = wordOf(reason.text(), Basis::missing);
        }
    }
    return gaps;
}

WorklistEntry CohortSummary::readEntry(std::size_t trial, Value line) const {
    const rules::Trial& definition = knowledge_->trials[trial];
    WorklistEntry entry;
    entry.status = wordOf(line["status"].text(), Status::candidate);
    entry.questions = sizeOf(line["asks"]);
    std::vector<Gap> open;
    bool isOpen = false;  // the top-level criterion that a part belongs to: what it has decided waits for nothing
    std::size_t index = 0;
    for (const Value node : line["criteria"].items()) {
        const rules::Criterion& criterion = definition.criteria[index];
        const Truth truth = truthOf(node);
        if (criterion.required) isOpen = truth == Truth::Unknown;
        if (criterion.required && isOpen) {
            for (const Gap& gap : readGaps(node)) {
                const auto same = [&](const Gap& known) { return known.fact == gap.fact; };
                const auto known = std::find_if(open.begin(), open.end(), same);
                if (known == open.end()) {
                    open.push_back(gap);
                } else {
                    known->basis = std::max(known->basis, gap.basis);
                }
            }
        }
        const bool isWindow = !criterion.group && truth == Truth::Unknown && isOpen &&
                              (basisOf(node) == Basis::washOut || node["clearsOn"]);
        if (isWindow) entry.windows.push_back({&criterion, std::string(node["clearsOn"].text())});
        ++index;
    }
    for (const Value name : line["missing"].items()) {
        for (const Gap& gap : open) {
            if (gap.fact->name == name.text()) entry.gaps.push_back(gap);
        }
    }
    if (orderOf(entry) < mostOrder_[trial]) readEvidence(definition, line, entry);
    return entry;
}

void CohortSummary::readEvidence(const rules::Trial& trial, Value line, WorklistEntry& entry) const {
    bool isOpen = false;
    std::size_t index = 0;
    for (const Value node : line["criteria"].items()) {
        const rules::Criterion& criterion = trial.criteria[index];
        const Truth truth = truthOf(node);
        if (criterion.required) isOpen = truth == Truth::Unknown;
        const bool isGate = std::find(trial.gate.begin(), trial.gate.end(), index) != trial.gate.end();
        const bool isMet = truth == (criterion.inclusion ? Truth::True : Truth::False);
        const bool hasEvidence = sizeOf(node["evidence"]) > 0;
        const bool isShown = truth == Truth::Unknown ? isOpen : isMet && hasEvidence;
        if ((!criterion.group && isShown) || (isGate && hasEvidence)) {
            CitedCriterion& cited = entry.cited.emplace_back(readCriterion(criterion, node));
            cited.gate = isGate && truth != Truth::False;
        } else if (!criterion.group && isMet && basisOf(node) == Basis::noneOnFile) {
            ++entry.noneOnFile;
        }
        ++index;
    }
}

CitedCriterion CohortSummary::readCriterion(const rules::Criterion& criterion, Value node) const {
    CitedCriterion cited;
    cited.criterion = &criterion;
    cited.truth = truthOf(node);
    cited.basis = basisOf(node);
    cited.gaps = readGaps(node);
    cited.questions = sizeOf(node["asks"]);
    cited.clearsOn = node["clearsOn"].text();
    cited.moreEvidence = numberOf(node["moreEvidence"]);
    for (const Value evidence : node["evidence"].items()) {
        if (cited.evidence.size() < mostEvidence) {
            cited.evidence.push_back(evidenceText(knowledge_->vocabulary, evidence));
        } else {
            ++cited.moreEvidence;
        }
    }
    return cited;
}

void CohortSummary::add(CohortChart chart) {
    ++charts_;
    deceased_ += chart.deceased ? 1 : 0;
    issues_ += chart.issues;
    withIssues_ += chart.issues > 0 ? 1 : 0;
    unlocks_.add(chart.unlocks);
    for (const Gap& gap : chart.gaps) ++gaps_[gap.fact->index].charts[static_cast<std::size_t>(gap.basis)];
    bool anyDisease = false;
    std::vector<std::size_t> onlyMissing;
    for (std::size_t trial = 0; trial < chart.trials.size(); ++trial) {
        CohortChart::InTrial& inTrial = chart.trials[trial];
        TrialCount& count = trials_[trial];
        const auto status = static_cast<std::size_t>(inTrial.status);
        ++count.statuses[status];
        if (!inTrial.disease) continue;
        anyDisease = true;
        ++count.disease;
        if (chart.deceased) {
            ++count.deceased;
        } else if (inTrial.onStudy) {
            ++count.onStudy;
        } else if (inTrial.refused) {
            ++count.refused;
        } else {
            ++count.considered[status];
            const auto against = std::count(inTrial.decisions.begin(), inTrial.decisions.end(), Decision::against);
            bool stays = true;
            for (std::size_t i = 0; i < inTrial.decisions.size(); ++i) {
                CriterionCount& criterion = count.criteria[i];
                if (inTrial.decisions[i] == Decision::against) {
                    ++criterion.against;
                    criterion.leave += stays ? 1 : 0;
                    criterion.alone += against == 1 ? 1 : 0;
                    stays = false;
                } else if (inTrial.decisions[i] != Decision::favourable) {
                    ++(inTrial.decisions[i] == Decision::open ? criterion.open : criterion.asked);
                    criterion.wouldLose += against == 0 ? 1 : 0;
                }
            }
        }
        if (!inTrial.entry) continue;
        if (inTrial.entry->gaps.size() == 1) onlyMissing.push_back(inTrial.entry->gaps.front().fact->index);
        inTrial.entry->number = charts_;
        keep(trial, std::move(*inTrial.entry));
    }
    withDisease_ += anyDisease ? 1 : 0;
    std::sort(onlyMissing.begin(), onlyMissing.end());
    onlyMissing.erase(std::unique(onlyMissing.begin(), onlyMissing.end()), onlyMissing.end());
    for (const std::size_t fact : onlyMissing) ++onlyMissing_[fact];
}

void CohortSummary::keep(std::size_t trial, WorklistEntry entry) {
    std::vector<WorklistEntry>& list = worklists_[trial];
    list.push_back(std::move(entry));
    std::push_heap(list.begin(), list.end(), isBefore);
    if (list.size() > most_) {
        std::pop_heap(list.begin(), list.end(), isBefore);
        list.pop_back();
    }
    if (list.size() == most_) mostOrder_[trial] = orderOf(list.front());
}

std::vector<const WorklistEntry*> CohortSummary::worklist(std::size_t trial) const {
    std::vector<const WorklistEntry*> sorted;
    for (const WorklistEntry& entry : worklists_[trial]) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return isBefore(*a, *b); });
    return sorted;
}

std::vector<FactGaps> CohortSummary::gaps() const {
    std::vector<FactGaps> result;
    const auto key = [](const FactGaps& gaps) {
        std::size_t unusable = 0;  // what is on file, and could decide
        for (const auto& [basis, name] : mendable()) unusable += basis == Basis::notCovered ? 0 : gaps.of(basis);
        return std::tuple(unusable, gaps.of(Basis::notCovered), gaps.of(Basis::missing));
    };
    for (const FactGaps& gaps : gaps_) {
        if (key(gaps) > std::tuple(0, 0, 0)) result.push_back(gaps);
    }
    std::stable_sort(result.begin(), result.end(),
                     [&](const FactGaps& a, const FactGaps& b) { return key(b) < key(a); });
    return result;
}

std::string criterionText(const rules::Trial& trial, const rules::Criterion& criterion, std::size_t most) {
    if (!criterion.text.empty()) return shorten(printable(criterion.text), most);
    std::string text;
    const auto first = static_cast<std::size_t>(&criterion - trial.criteria.data());
    for (std::size_t i = first + 1; i < trial.criteria.size() && trial.criteria[i].depth > criterion.depth; ++i) {
        if (!trial.criteria[i].text.empty()) text += (text.empty() ? "" : " ") + trial.criteria[i].text;
    }
    return shorten(printable(text.empty() ? criterion.reading : text), most);
}

namespace {

std::string padded(std::string text, std::size_t width) {
    const std::size_t length = countCodePoints(text);
    return text + std::string(width > length ? width - length : 0, ' ');
}

std::string number(std::size_t value, std::size_t width) {
    const std::string text = std::to_string(value);
    return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

std::string trialText(const CohortSummary& summary, const TrialCount& numbers) {
    const rules::Trial& trial = *numbers.trial;
    std::string text = trial.id + "  " + trial.recruitment + "  " + shorten(printable(trial.title), 80) + '\n';
    text += "  " + std::to_string(summary.charts()) + " charts, " + std::to_string(numbers.disease) +
            " with a disease of the trial; of these " + std::to_string(numbers.deceased) + " recorded as dead, " +
            std::to_string(numbers.onStudy) + " on the study, " + std::to_string(numbers.refused) + " refused; " +
            std::to_string(numbers.consideredCharts()) + " considered\n";
    if (numbers.consideredCharts() == 0) return text;
    text += "  of those considered: " + std::to_string(numbers.considered[2]) + " candidate, " +
            std::to_string(numbers.considered[1]) + " potential-candidate, " + std::to_string(numbers.considered[0]) +
            " ineligible\n";
    text += "  criterion  remain   leave   alone    open   asked    lose\n";
    std::size_t remain = numbers.consideredCharts();
    std::size_t quiet = 0;
    std::size_t asked = 0;
    for (const CriterionCount& each : numbers.criteria) {
        remain -= each.leave;
        if (each.against + each.open == 0) {
            ++(each.asked == 0 ? quiet : asked);
            continue;
        }
        text += "  " + padded(each.criterion->id, 9) + number(remain, 8) + number(each.leave, 8) +
                number(each.alone, 8) + number(each.open, 8) + number(each.asked, 8) + number(each.wouldLose, 8) +
                "  " + criterionText(trial, *each.criterion, 60) + '\n';
    }
    if (quiet > 0)
        text += "  " + count(quiet, "criterion decides", "criteria decide") + " in favour of everybody considered\n";
    if (asked > 0)
        text += "  " + count(asked, "criterion decides", "criteria decide") +
                " against nobody and wait for a person's answer alone\n";
    return text;
}

}  // namespace

std::string cohortText(const CohortSummary& summary, const CohortRun& run) {
    std::string text = count(summary.charts(), "chart", "charts") + " evaluated, " + std::to_string(run.count.failed) +
                       " could not be read; as of " + (run.asOf.empty() ? "the newest date of each" : run.asOf) +
                       "; program " + std::string(programVersion()) + ", knowledge " + summary.knowledge().digest +
                       '\n';
    text += std::to_string(summary.withDisease()) + " with a disease of some trial on file; " +
            std::to_string(summary.deceased()) + " recorded as dead, who stand on no worklist; " +
            std::to_string(summary.withIssues()) + " with something that was not read (" +
            count(summary.issues(), "issue", "issues") + ")\n\n";
    for (const TrialCount& each : summary.trials()) text += trialText(summary, each) + '\n';
    text +=
        "remain: after this criterion, in the order of the registry; leave: decided against, here first; alone: "
        "decided\n"
        "against by nothing else; open: data is missing or unusable, or a window is not over; asked: a person has to\n"
        "answer; lose: open or asked, and nothing stands against the patient: lost if this criterion failed\n\n";
    if (!summary.unlocks().rows().empty()) text += tallyText(summary.unlocks(), false) + '\n';
    constexpr std::size_t most = 15;
    const std::vector<FactGaps> gaps = summary.gaps();
    if (gaps.empty()) return text;
    text += "Why verdicts are open, in charts of living patients with a disease of some trial\n  " + padded("fact", 40);
    for (const auto& [basis, name] : mendable()) text += "  " + std::string(name);
    text += "  not on file\n";
    for (std::size_t i = 0; i < std::min(most, gaps.size()); ++i) {
        text += "  " + padded(shorten(gaps[i].fact->label, 40), 40);
        for (const auto& [basis, name] : mendable()) text += number(gaps[i].of(basis), name.size() + 2);
        text += number(gaps[i].of(Basis::missing), 13) + '\n';
    }
    if (gaps.size() > most) text += "  and " + count(gaps.size() - most, "more fact", "more facts") + '\n';
    return text;
}

}  // namespace cds_hooks
