#include "cds-hooks/against.h"

#include <algorithm>
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
    TrialVerdict verdict{evaluation.trial, evaluation.status, evaluation.failed, {}};
    for (std::size_t i = 0; i < evaluation.findings.size(); ++i) {
        const rules::Outcome& outcome = evaluation.findings[i].outcome;
        if (isOpen(outcome.truth, outcome.basis)) verdict.open.push_back(i);
    }
    return verdict;
}

TrialVerdict verdictOf(const rules::Trial& trial, const rules::BlockEvaluation& evaluation, std::size_t chart) {
    TrialVerdict verdict{&trial, evaluation.status[chart], evaluation.failed(trial, chart), {}};
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
            } catch (const fhir::Error&) {
                problem = "is no result; --against needs the output of an earlier run";
            }
        }
        throw std::runtime_error(input.origin.text() + ": " + problem);
    });
}

void Against::read(std::string_view text) {
    const fhir::json::Document document{std::string(text)};
    const Value line = document.root();
    const std::string patient(line["patient"].text());
    if (patient.empty() || !line["trials"].isArray()) throw fhir::Error("patient", "is missing");
    std::vector<Earlier> all;
    for (const Value trial : line["trials"].items()) {
        Earlier earlier{name(trial["trial"].text()), name(trial["status"].text()), {}, {}};
        for (const Value id : trial["failed"].items()) earlier.failed.push_back(name(id.text()));
        for (const Value id : trial["open"].items()) earlier.open.push_back(name(id.text()));
        for (const Value criterion : trial["criteria"].items()) {
            const bool waits = criterion["truth"].text() == rules::word(Truth::Unknown) &&
                               criterion["basis"].text() != mapping::word(Basis::asked);
            if (waits) earlier.open.push_back(name(criterion["id"].text()));
        }
        all.push_back(std::move(earlier));
    }
    ++before_;
    earlier_[patient].push_back(std::move(all));
}

Against::Name Against::name(std::string_view text) {
    const auto found = numbers_.find(text);
    if (found != numbers_.end()) return found->second;
    names_.emplace_back(text);
    return numbers_.emplace(std::string(text), static_cast<Name>(names_.size() - 1)).first->second;
}

std::vector<std::string> Against::names(const std::vector<Name>& list) const {
    std::vector<std::string> texts;
    for (const Name each : list) texts.push_back(names_[each]);
    return texts;
}

Against::Move Against::moved(const Earlier& before, const TrialVerdict& now) const {
    Move move{{}, now.trial, names_[before.status], std::string(rules::word(now.status)), {}};
    const auto compare = [&](const std::vector<std::string>& was, const std::vector<std::string>& is,
                             std::string_view came, std::string_view went) {
        for (const std::string& id : is) {
            if (!contains(was, id)) move.criteria.emplace_back(id, came);
        }
        for (const std::string& id : was) {
            if (!contains(is, id)) move.criteria.emplace_back(id, went);
        }
    };
    compare(names(before.failed), idsOf(*now.trial, now.failed), nowAgainst, noLongerAgainst);
    if (move.criteria.empty()) compare(names(before.open), idsOf(*now.trial, now.open), nowOpen, noLongerOpen);
    return move;
}

void Against::add(const std::string& patient, const std::vector<TrialVerdict>& verdicts) {
    const auto found = earlier_.find(patient);
    if (found == earlier_.end() || found->second.empty()) {
        ++new_;
        return;
    }
    ++compared_;
    const std::vector<Earlier> before = std::move(found->second.front());
    found->second.pop_front();
    for (const TrialVerdict& now : verdicts) {
        const auto same = std::find_if(before.begin(), before.end(),
                                       [&](const Earlier& each) { return names_[each.trial] == now.trial->id; });
        if (same == before.end() || names_[same->status] == rules::word(now.status)) continue;
        Move move = moved(*same, now);
        move.patient = patient;
        moves_.push_back(std::move(move));
    }
}

std::string Against::ndjson() const {
    std::string text;
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
        text += writer.text();
        text += '\n';
    }
    return text;
}

std::string Against::table() const {
    std::string text = std::to_string(compared_) + " charts compared";
    const std::size_t gone = before_ - compared_;
    if (gone > 0) text += "; " + std::to_string(gone) + " only in the earlier output";
    if (new_ > 0) text += "; " + std::to_string(new_) + " only in this one";
    text += '\n';
    for (const rules::Trial& trial : knowledge_.trials) {
        std::vector<const Move*> moves;
        for (const Move& move : moves_) {
            if (move.trial == &trial) moves.push_back(&move);
        }
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
