#include "cds-hooks/feedback.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "cds-hooks/markdown.h"
#include "fhir/date.h"
#include "fhir/error.h"
#include "fhir/json.h"

namespace cds_hooks {

using fhir::json::Value;

namespace {

constexpr std::size_t mostItems = 1000;
constexpr std::size_t mostSuggestions = 100;  // of one item; a card of ours has ten at most
constexpr std::size_t mostProblems = 20;
constexpr std::int64_t mostAhead = 86'400'000;  // milliseconds by which a client's clock may be ahead
constexpr std::size_t longestText = 200;
constexpr std::size_t longestComment = 2000;

/// What is wrong with the body, each with its place.
class Problems {
public:
    void add(const std::string& place, std::string_view message) {
        ++count_;
        if (count_ > mostProblems) return;
        text_ += (text_.empty() ? "" : "; ") + place + ' ' + std::string(message);
    }
    void throwIfAny() const {
        if (count_ == 0) return;
        throw fhir::Error(
            "", count_ > mostProblems ? text_ + "; and " + std::to_string(count_ - mostProblems) + " more" : text_);
    }

private:
    std::size_t count_ = 0;
    std::string text_;
};

/// An instant with a time zone. Source: RFC 3339, section 5.6.
std::optional<std::int64_t> readInstant(std::string_view text) {
    const auto time = text.find('T');
    if (time == std::string_view::npos || text.find_first_of("Zz+-", time) == std::string_view::npos)
        return std::nullopt;
    const auto instant = fhir::DateTime::parse(text);
    return instant ? std::optional(instant->first) : std::nullopt;
}

std::string_view reasonOf(Value coding) {
    const std::string_view code = coding["code"].text();
    const std::string_view system = coding["system"].text();
    for (const OverrideReason& reason : overrideReasons) {
        const bool isOurs = code == reason.code && (system.empty() || system == overrideReasonSystem);
        const bool isHl7 = !reason.nonAdherence.empty() && code == reason.nonAdherence && system == nonAdherenceSystem;
        if (isOurs || isHl7) return reason.code;
    }
    return "other";
}

class FeedbackReader {
public:
    explicit FeedbackReader(std::int64_t now) : latest_(now * 1000 + mostAhead) {}

    std::vector<Feedback> read(Value root) {
        if (!root.isObject()) throw fhir::Error("", "the body is not a JSON object");
        const Value list = root["feedback"];
        std::vector<Feedback> all;
        if (!list && root["card"]) {
            readItem(root, "", all);
        } else if (!list.isArray()) {
            problems_.add("feedback", "is not an array");
        } else {
            std::size_t index = 0;
            for (const Value item : list.items()) {
                if (index == mostItems) {
                    problems_.add("feedback", "holds more than " + std::to_string(mostItems) + " items");
                    break;
                }
                readItem(item, "feedback[" + std::to_string(index++) + "].", all);
            }
        }
        problems_.throwIfAny();
        return all;
    }

private:
    /// A string with text in it; a problem when it is none.
    std::string required(Value object, std::string_view name, const std::string& place) {
        const Value value = object[name];
        const bool fits = value.isString() && !value.text().empty() && value.text().size() <= longestText;
        if (!fits) problems_.add(place + std::string(name), value ? "is not a text of 1 to 200 bytes" : "is missing");
        return fits ? std::string(value.text()) : std::string();
    }

    void readItem(Value item, const std::string& place, std::vector<Feedback>& all) {
        if (!item.isObject()) {
            problems_.add(place.substr(0, place.size() - 1), "is not an object");
            return;
        }
        Feedback feedback;
        feedback.card = required(item, "card", place);
        const std::string outcome = required(item, "outcome", place);
        feedback.outcome = outcome == "overridden" ? Feedback::Outcome::overridden : Feedback::Outcome::accepted;
        if (!outcome.empty() && outcome != "accepted" && outcome != "overridden")
            problems_.add(place + "outcome", "is neither accepted nor overridden");
        const std::string timestamp = required(item, "outcomeTimestamp", place);
        const auto time = timestamp.empty() ? std::nullopt : readInstant(timestamp);
        if (!timestamp.empty() && !time) problems_.add(place + "outcomeTimestamp", "is not an instant (RFC 3339)");
        // Nothing later could replace it.
        if (time && *time > latest_) problems_.add(place + "outcomeTimestamp", "lies in the future");
        feedback.time = time.value_or(0);
        if (outcome == "accepted")
            readSuggestions(item["acceptedSuggestions"], place + "acceptedSuggestions", feedback);
        for (const std::string_view name : {"overrideReason", "overrideReasons"}) {
            if (outcome == "overridden" && item[name]) readReason(item[name], place + std::string(name), feedback);
        }
        all.push_back(std::move(feedback));
    }

    void readSuggestions(Value list, const std::string& place, Feedback& feedback) {
        if (!list.isArray() || list.items().begin() == list.items().end()) {
            problems_.add(place, list ? "is not an array with something in it" : "is missing");
            return;
        }
        std::size_t index = 0;
        for (const Value item : list.items()) {
            if (index == mostSuggestions) {
                problems_.add(place, "holds more than " + std::to_string(mostSuggestions) + " items");
                return;
            }
            feedback.suggestions.push_back(required(item, "id", place + '[' + std::to_string(index++) + "]."));
        }
    }

    void readReason(Value value, const std::string& place, Feedback& feedback) {
        if (value.isArray()) {  // Epic's spelling is a plural
            for (const Value item : value.items()) {
                if (feedback.reason.empty()) readReason(item, place + "[0]", feedback);
            }
            return;
        }
        if (!value.isObject()) {
            problems_.add(place, "is not an object");
            return;
        }
        if (const Value reason = value["reason"]) {
            if (!reason.isObject()) problems_.add(place + ".reason", "is not a Coding");
            feedback.reason = reasonOf(reason);
        }
        const Value comment = value["userComment"];
        if (comment && !comment.isString()) problems_.add(place + ".userComment", "is not a string");
        feedback.comment = shorten(comment.text(), longestComment);
    }

    std::int64_t latest_;
    Problems problems_;
};

std::size_t total(const std::vector<std::size_t>& numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), std::size_t{0});
}

std::string_view codeAt(std::size_t reason) {
    return reason < overrideReasons.size() ? overrideReasons[reason].code : std::string_view("other");
}

/// A bar of at most twenty blocks: accepted full, overridden light, neither empty.
std::string barOf(const FeedbackRow& row) {
    constexpr std::size_t width = 20;
    const std::size_t overridden = total(row.overridden);
    const std::size_t all = std::max(row.shown, row.accepted + overridden);
    if (all == 0) return {};
    const std::size_t full = (row.accepted * width + all - 1) / all;
    const std::size_t light = std::min(width - full, (overridden * width + all - 1) / all);
    std::string bar;
    for (std::size_t i = 0; i < width; ++i) bar += i < full ? "█" : i < full + light ? "▒" : "·";
    return bar;
}

std::string padLeft(std::size_t number, std::size_t width) {
    const std::string text = std::to_string(number);
    return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::string csvField(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

}  // namespace

std::string_view word(Feedback::Outcome outcome) {
    return outcome == Feedback::Outcome::accepted ? "accepted" : "overridden";
}

std::vector<Feedback> readFeedback(std::string_view body, std::int64_t now) {
    const fhir::json::Document document{std::string(body)};
    return FeedbackReader(now).read(document.root());
}

std::string feedbackTable(const std::vector<FeedbackRow>& rows) {
    if (rows.empty()) return "No card was shown, and no feedback has come.\n";
    std::string text = "month    trial          shown  accepted  overridden  █ accepted ▒ overridden · neither\n";
    for (const FeedbackRow& row : rows) {
        const std::string name = row.trial.empty() ? "unknown card" : row.trial;
        text += row.month + "  " + name + std::string(name.size() < 13 ? 13 - name.size() : 0, ' ') +
                padLeft(row.shown, 7) + padLeft(row.accepted, 10) + padLeft(total(row.overridden), 12) + "  " +
                barOf(row) + '\n';
        for (std::size_t reason = 0; reason < row.overridden.size(); ++reason) {
            if (row.overridden[reason] > 0)
                text += std::string(44, ' ') + std::to_string(row.overridden[reason]) + ' ' +
                        std::string(codeAt(reason)) + '\n';
        }
    }
    return text;
}

std::string feedbackCsv(const std::vector<FeedbackRow>& rows) {
    std::string text = "month,trial,shown,accepted,overridden";
    for (std::size_t reason = 0; reason <= overrideReasons.size(); ++reason) text += ',' + std::string(codeAt(reason));
    text += "\r\n";
    for (const FeedbackRow& row : rows) {
        text += csvField(row.month) + ',' + csvField(row.trial) + ',' + std::to_string(row.shown) + ',' +
                std::to_string(row.accepted) + ',' + std::to_string(total(row.overridden));
        for (const std::size_t number : row.overridden) text += ',' + std::to_string(number);
        text += "\r\n";
    }
    return text;
}

}  // namespace cds_hooks
