#include "cds-hooks/against.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <ostream>
#include <stdexcept>
#include <utility>

#include "cds-hooks/input.h"
#include "cds-hooks/markdown.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "mapping/fact.h"

namespace cds_hooks {

using fhir::json::Value;
using mapping::Basis;
using rules::Truth;

namespace {

constexpr std::size_t mostBytes = std::size_t{64} << 20U;

/// So many of those who moved are named for people; NDJSON names all.
constexpr std::size_t mostNamed = 20;

constexpr std::string_view nowAgainst = "now against";
constexpr std::string_view noLongerAgainst = "no longer against";
constexpr std::string_view nowOpen = "now open";
constexpr std::string_view noLongerOpen = "no longer open";

/// Where a chart stands with a trial.
std::string_view placeOf(std::string_view status, bool gate, bool deceased) {
    return deceased ? "deceased" : gate ? status : "no-disease";
}

bool isOpen(Truth truth, Basis basis) {
    return truth == Truth::Unknown && basis != Basis::asked;
}

std::vector<std::string> idsOf(const rules::Trial& trial, const std::vector<std::size_t>& criteria) {
    std::vector<std::string> ids;
    for (const std::size_t index : criteria) ids.push_back(trial.criteria[index].id);
    return ids;
}

bool contains(const std::vector<std::string>& list, const std::string& id) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

}  // namespace

TrialVerdict verdictOf(const rules::Evaluation& evaluation) {
    TrialVerdict verdict{evaluation.trial, evaluation.status, evaluation.gate, evaluation.failed, {}};
    for (std::size_t i = 0; i < evaluation.findings.size(); ++i) {
        const rules::Outcome& outcome = evaluation.findings[i].outcome;
        if (isOpen(outcome.truth, outcome.basis)) verdict.open.push_back(i);
    }
    return verdict;
}

TrialVerdict verdictOf(const rules::Trial& trial, const rules::BlockEvaluation& evaluation, std::size_t chart) {
    TrialVerdict verdict{
        &trial, evaluation.status[chart], evaluation.gate[chart] == 1, evaluation.failed(trial, chart), {}};
    for (std::size_t i = 0; i < evaluation.criteria.size(); ++i) {
        const rules::Verdict criterion = evaluation.criteria[i][chart];
        if (isOpen(criterion.truth(), criterion.basis())) verdict.open.push_back(i);
    }
    return verdict;
}

Against::Against(const std::filesystem::path& earlier, const Knowledge& knowledge) : knowledge_(knowledge) {
    readInputs({earlier.string()}, mostBytes, [&](const Input& input) {
        std::string problem = input.problem;
        if (problem.empty()) {
            try {
                read(input.text);
                return true;
            } catch (const fhir::Error& error) {
                problem =
                    std::string("is no result (") + error.what() + "); --against needs the output of an earlier run";
            }
        }
        throw std::runtime_error(input.origin.text() + ": " + problem);
    });
}

void Against::read(std::string_view text) {
    const fhir::json::Document document{std::string(text)};
    const Value line = document.root();
    const std::string patient(line["patient"].text());
    const auto day = fhir::Date::parse(line["asOf"].text());
    if (patient.empty()) throw fhir::Error("patient", "is missing");
    if (!day) throw fhir::Error("asOf", "is no day");
    if (!line["trials"].isArray()) throw fhir::Error("trials", "are missing");
    const bool deceased = line["deceased"].isTrue();
    Earlier earlier;
    const Origin origin = readOrigin(line["source"]);
    earlier.origin = std::hash<std::string>()(origin.text());
    earlier.file = std::hash<std::string>()(origin.file);
    earlier.day = day->days();
    for (const Value trial : line["trials"].items()) {
        if (!trial["gate"]) throw fhir::Error("trials.gate", "is missing");
        Names failed;
        Names open;
        for (const Value id : trial["failed"].items()) failed.push_back(name(id.text()));
        for (const Value id : trial["open"].items()) open.push_back(name(id.text()));
        for (const Value criterion : trial["criteria"].items()) {
            const bool waits = criterion["truth"].text() == rules::word(Truth::Unknown) &&
                               criterion["basis"].text() != mapping::word(Basis::asked);
            if (waits) open.push_back(name(criterion["id"].text()));
        }
        earlier.trials.push_back(name(trial["trial"].text()));
        earlier.trials.push_back(name(placeOf(trial["status"].text(), trial["gate"].isTrue(), deceased)));
        earlier.trials.push_back(static_cast<Name>(failed.size()));
        earlier.trials.push_back(static_cast<Name>(open.size()));
        earlier.trials.insert(earlier.trials.end(), failed.begin(), failed.end());
        earlier.trials.insert(earlier.trials.end(), open.begin(), open.end());
    }
    earlier.trials.shrink_to_fit();
    ++before_;
    earlier_[patient].push_back(std::move(earlier));
}

Against::Name Against::name(std::string_view text) {
    const auto found = numbers_.find(text);
    if (found != numbers_.end()) return found->second;
    if (names_.size() > std::numeric_limits<Name>::max()) throw fhir::Error("trials", "name too many criteria");
    names_.emplace_back(text);
    return numbers_.emplace(std::string(text), static_cast<Name>(names_.size() - 1)).first->second;
}

std::vector<std::string> Against::names(const Name* first, std::size_t count) const {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i) texts.push_back(names_[first[i]]);
    return texts;
}

std::optional<Against::Move> Against::moved(const Name* before, const TrialVerdict& now, bool deceased) const {
    Move move{{}, now.trial, names_[before[1]], std::string(placeOf(rules::word(now.status), now.gate, deceased)), {}};
    if (move.from == move.to) return std::nullopt;
    const auto compare = [&](const std::vector<std::string>& was, const std::vector<std::string>& is,
                             std::string_view came, std::string_view went) {
        for (const std::string& id : is) {
            if (!contains(was, id)) move.criteria.emplace_back(id, came);
        }
        for (const std::string& id : was) {
            if (!contains(is, id)) move.criteria.emplace_back(id, went);
        }
    };
    compare(names(before + 4, before[2]), idsOf(*now.trial, now.failed), nowAgainst, noLongerAgainst);
    if (move.criteria.empty())
        compare(names(before + 4 + before[2], before[3]), idsOf(*now.trial, now.open), nowOpen, noLongerOpen);
    return move;
}

Against::Earlier* Against::earlierOf(const ChartVerdicts& chart) {
    const auto found = earlier_.find(chart.patient);
    if (found == earlier_.end()) return nullptr;
    const std::size_t origin = std::hash<std::string>()(chart.origin.text());
    const std::size_t file = std::hash<std::string>()(chart.origin.file);
    Earlier* first = nullptr;
    for (Earlier& each : found->second) {
        if (each.origin == origin && !each.isTaken) return &each;
        const bool isOther = found->second.size() > 1 && each.file == file;  // it has its own line to be met by
        if (first == nullptr && !each.isTaken && !isOther) first = &each;
    }
    return first;
}

void Against::add(const ChartVerdicts& chart) {
    Earlier* const before = earlierOf(chart);
    if (before == nullptr) {
        ++new_;
        return;
    }
    before->isTaken = true;
    ++compared_;
    if (before->day != chart.asOf.days()) ++otherDay_;
    for (const TrialVerdict& now : chart.trials) {
        const Name* at = before->trials.data();
        const Name* const end = at + before->trials.size();
        while (at != end && names_[at[0]] != now.trial->id) at += 4 + at[2] + at[3];
        if (at == end) {
            ++otherTrials_[now.trial->id];
            continue;
        }
        std::optional<Move> move = moved(at, now, chart.deceased);
        if (!move) continue;
        move->patient = chart.patient;
        moves_.push_back(std::move(*move));
    }
}

std::vector<std::string> Against::reservations() const {
    std::vector<std::string> sentences;
    const auto say = [&](std::size_t charts, const std::string& what) {
        if (charts > 0) sentences.push_back(count(charts, "chart", "charts") + ' ' + what);
    };
    say(before_ - compared_, "only in the earlier output");
    say(new_, "only in this one");
    say(otherDay_, "evaluated as of another day: what time alone has moved is among what moved");
    for (const auto& [trial, charts] : otherTrials_) say(charts, "without " + trial + " in the earlier output");
    return sentences;
}

void Against::print(bool isNdjson, std::ostream& out) const {
    if (isNdjson) {
        for (const std::string& sentence : reservations()) spdlog::warn("--against: {}", sentence);
        printNdjson(out);
    } else {
        out << table();
    }
    out.flush();
}

void Against::printNdjson(std::ostream& out) const {
    for (const Move& move : moves_) {
        fhir::json::Writer writer;
        writer.beginObject()
            .member("patient", move.patient)
            .member("trial", move.trial->id)
            .member("from", move.from)
            .member("to", move.to)
            .name("criteria")
            .beginArray();
        for (const auto& [id, change] : move.criteria)
            writer.beginObject().member("id", id).member("change", change).endObject();
        writer.endArray().endObject();
        out << writer.text() << '\n';
    }
}

std::string Against::table() const {
    std::string text = count(compared_, "chart", "charts") + " compared\n";
    for (const std::string& sentence : reservations()) text += "  " + sentence + '\n';
    for (const rules::Trial& trial : knowledge_.trials) {
        std::vector<const Move*> moves;
        for (const Move& move : moves_) {
            if (move.trial == &trial) moves.push_back(&move);
        }
        const auto without = otherTrials_.find(trial.id);
        if (without != otherTrials_.end() && without->second == compared_) continue;
        text += trial.id + "  " + std::to_string(moves.size()) + " moved\n";
        std::map<std::pair<std::string, std::string>, std::size_t> ways;
        std::map<std::pair<std::string, std::string_view>, std::size_t> criteria;
        for (const Move* move : moves) {
            ++ways[{move->from, move->to}];
            for (const auto& criterion : move->criteria) ++criteria[criterion];
        }
        for (const auto& [way, count] : ways)
            text += "  " + std::to_string(count) + "  " + way.first + " -> " + way.second + '\n';
        std::vector<std::pair<std::pair<std::string, std::string_view>, std::size_t>> ranked(criteria.begin(),
                                                                                             criteria.end());
        std::stable_sort(ranked.begin(), ranked.end(),
                         [](const auto& a, const auto& b) { return a.second > b.second; });
        for (const auto& [criterion, count] : ranked)
            text += "    by " + criterion.first + ", " + std::string(criterion.second) + ": " + std::to_string(count) +
                    '\n';
        for (std::size_t i = 0; i < std::min(mostNamed, moves.size()); ++i) {
            const Move& move = *moves[i];
            text += "    " + printable(move.patient) + "  " + move.from + " -> " + move.to;
            for (std::size_t c = 0; c < move.criteria.size(); ++c)
                text += (c == 0 ? ": " : "; ") + move.criteria[c].first + ' ' + std::string(move.criteria[c].second);
            text += '\n';
        }
        if (moves.size() > mostNamed)
            text += "    and " + std::to_string(moves.size() - mostNamed) + " more; --format ndjson names all\n";
    }
    return text;
}

}  // namespace cds_hooks
