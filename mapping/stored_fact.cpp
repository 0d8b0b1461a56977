#include "mapping/stored_fact.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mapping {

namespace {

constexpr char field = '\t';

/// In milliseconds: no moment of FHIR lies farther from 1970, and none lasts longer.
constexpr std::int64_t farthest = 300'000'000'000'000;
constexpr std::uint64_t longest = 300'000'000'000'000;

/// The lists of a Fact that rules read. What is only shown is not stored.
using List = std::vector<Evidence> Fact::*;
constexpr std::array<std::pair<std::string_view, List>, 4> lists{{{"result", &Fact::results},
                                                                  {"byMethod", &Fact::byMethod},
                                                                  {"condition", &Fact::conditions},
                                                                  {"positive", &Fact::positives}}};

using Flag = bool Evidence::*;
constexpr std::array<std::pair<std::string_view, Flag>, 11> flags{{{"assumedLimit", &Evidence::assumedLimit},
                                                                   {"stale", &Evidence::stale},
                                                                   {"amended", &Evidence::amended},
                                                                   {"indeterminate", &Evidence::indeterminate},
                                                                   {"isRecord", &Evidence::isRecord},
                                                                   {"relapse", &Evidence::relapse},
                                                                   {"history", &Evidence::history},
                                                                   {"refutes", &Evidence::refutes},
                                                                   {"review", &Evidence::review},
                                                                   {"onsetDated", &Evidence::onsetDated},
                                                                   {"maybeTreated", &Evidence::maybeTreated}}};

constexpr std::array<std::string_view, 5> states{"active", "remission", "over", "stopped", "unstated"};

using Text = std::string_view Evidence::*;
constexpr std::array<std::pair<std::string_view, Text>, 4> texts{{{"coded", &Evidence::coded},
                                                                  {"method", &Evidence::method},
                                                                  {"comparator", &Evidence::comparator},
                                                                  {"type", &Evidence::resourceType}}};

using Moment = std::optional<fhir::DateTime> Evidence::*;
constexpr std::array<Moment, 3> dates{&Evidence::date, &Evidence::issued, &Evidence::end};

// --- writing -----------------------------------------------------------------------------------------------------

/// "[9/5]" is a point, "[9/5,2]" lies between, in "(0,]" an end is not there and one not meant.
std::string intervalText(const Interval& interval) {
    if (interval.isPoint() && !interval.lowOpen && !interval.highOpen) return '[' + fractionText(*interval.low) + ']';
    std::string text = interval.lowOpen ? "(" : "[";
    if (interval.low) text += fractionText(*interval.low);
    text += ',';
    if (interval.high) text += fractionText(*interval.high);
    return text + (interval.highOpen ? ')' : ']');
}

void appendField(std::string& line, std::string_view name, std::string_view value) {
    line += field;
    line += name;
    line += '=';
    for (const char each : value) line += static_cast<unsigned char>(each) < ' ' ? '?' : each;
}

void appendEvidence(std::string& text, std::string_view list, const Evidence& evidence, const Fact& fact) {
    text += '\n';
    text += list;
    text += field;
    text += word(evidence.basis);
    if (evidence.fact != fact.definition) appendField(text, "fact", evidence.fact->name);
    if (evidence.value.low || evidence.value.high) appendField(text, "value", intervalText(evidence.value));
    if (evidence.upperLimit) appendField(text, "upperLimit", fractionText(*evidence.upperLimit));
    if (evidence.positive) appendField(text, "positive", *evidence.positive ? "true" : "false");
    if (evidence.state != State::unstated) appendField(text, "state", states[static_cast<std::size_t>(evidence.state)]);
    if (evidence.halfLife) appendField(text, "halfLife", intervalText(*evidence.halfLife));
    for (const auto& [name, member] : texts) {
        if (!(evidence.*member).empty()) appendField(text, name, evidence.*member);
    }
    for (const auto& [name, member] : flags) {
        if (evidence.*member) appendField(text, name, "true");
    }
}

std::uint64_t zigzag(std::int64_t number) {
    return (static_cast<std::uint64_t>(number) << 1U) ^ static_cast<std::uint64_t>(number >> 63U);
}

std::int64_t unzigzag(std::uint64_t number) {
    return static_cast<std::int64_t>(number >> 1U) ^ -static_cast<std::int64_t>(number & 1U);
}

void appendMoments(std::string& bytes, const Evidence& evidence) {
    appendNumber(bytes, evidence.resourceIndex);
    std::uint64_t given = 0;
    for (std::size_t i = 0; i < dates.size(); ++i) given |= (evidence.*dates[i] ? std::uint64_t{1} : 0) << i;
    appendNumber(bytes, given);
    for (const Moment member : dates) {
        const std::optional<fhir::DateTime>& moment = evidence.*member;
        if (!moment) continue;
        appendNumber(bytes, zigzag(moment->first));
        appendNumber(bytes, static_cast<std::uint64_t>(moment->last - moment->first));
    }
}

// --- reading -----------------------------------------------------------------------------------------------------

/// The text up to a delimiter, which is taken away with it.
std::string_view take(std::string_view& text, char delimiter) {
    const std::size_t end = text.find(delimiter);
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
}

/// False when the text is no interval.
bool readInterval(std::string_view text, Interval& interval) {
    if (text.size() < 2) return false;
    interval.lowOpen = text.front() == '(';
    interval.highOpen = text.back() == ')';
    text = text.substr(1, text.size() - 2);
    const bool isPoint = text.find(',') == std::string_view::npos;
    const std::string_view low = take(text, ',');
    if (!low.empty()) interval.low = fhir::parseFraction(low);
    if (isPoint) return (interval.high = interval.low).has_value();
    if (!text.empty()) interval.high = fhir::parseFraction(text);
    return interval.low.has_value() == !low.empty() && interval.high.has_value() == !text.empty();
}

std::optional<Basis> basisOf(std::string_view text) {
    return valueOfWord(text, Basis::missing);
}

/// False when the field is none of evidence.
bool readField(std::string_view name, std::string_view value, const Vocabulary& vocabulary, Evidence& evidence) {
    const auto is = [&](const auto& entry) { return entry.first == name; };
    if (const auto* text = std::find_if(texts.begin(), texts.end(), is); text != texts.end()) {
        evidence.*(text->second) = value;
        return true;
    }
    if (const auto* flag = std::find_if(flags.begin(), flags.end(), is); flag != flags.end()) {
        evidence.*(flag->second) = value == "true";
        return true;
    }
    if (name == "value") return readInterval(value, evidence.value);
    if (name == "halfLife") return readInterval(value, evidence.halfLife.emplace());
    if (name == "upperLimit") return (evidence.upperLimit = fhir::parseFraction(value)).has_value();
    if (name == "fact") return (evidence.fact = vocabulary.find(value)) != nullptr;
    if (name == "positive") {
        evidence.positive = value == "true";
        return true;
    }
    const auto* state = std::find(states.begin(), states.end(), value);
    if (name != "state" || state == states.end()) return false;
    evidence.state = static_cast<State>(state - states.begin());
    return true;
}

}  // namespace

void appendNumber(std::string& bytes, std::uint64_t number) {
    while (number >= 0x80) {
        bytes += static_cast<char>((number & 0x7fU) | 0x80U);
        number >>= 7U;
    }
    bytes += static_cast<char>(number);
}

StoredFact store(const Fact& fact) {
    StoredFact stored;
    stored.state = word(fact.absent);
    for (const auto& [name, list] : lists) {
        for (const Evidence& evidence : fact.*list) {
            appendEvidence(stored.state, name, evidence, fact);
            appendMoments(stored.moments, evidence);
        }
    }
    return stored;
}

bool restore(std::string_view state, const FactDefinition& definition, const Vocabulary& vocabulary, Fact& fact,
             Restored what) {
    fact.definition = &definition;
    for (const auto& [name, list] : lists) (fact.*list).clear();
    const auto isSkipped = [&](std::string_view name) {
        return what == Restored::results && name != lists.front().first;
    };
    const auto absent = basisOf(take(state, '\n'));
    if (!absent) return false;
    fact.absent = *absent;
    while (!state.empty()) {
        std::string_view line = take(state, '\n');
        const std::string_view name = take(line, field);
        if (isSkipped(name)) continue;
        const auto* list =
            std::find_if(lists.begin(), lists.end(), [&](const auto& each) { return each.first == name; });
        const auto basis = basisOf(take(line, field));
        if (list == lists.end() || !basis) return false;
        Evidence& evidence = (fact.*(list->second)).emplace_back();
        evidence.fact = &definition;
        evidence.basis = *basis;
        while (!line.empty()) {
            std::string_view value = take(line, field);
            const std::string_view key = take(value, '=');
            if (!readField(key, value, vocabulary, evidence)) return false;
        }
    }
    return true;
}

bool restoreMoments(std::string_view moments, Fact& fact) {
    for (const auto& [name, list] : lists) {
        for (Evidence& evidence : fact.*list) {
            const auto index = takeNumber(moments);
            const auto given = takeNumber(moments);
            if (!index || !given) return false;
            evidence.resourceIndex = *index;
            for (std::size_t i = 0; i < dates.size(); ++i) {
                std::optional<fhir::DateTime>& moment = evidence.*dates[i];
                moment.reset();
                if ((*given >> i & 1U) == 0) continue;
                const auto first = takeNumber(moments);
                const auto length = takeNumber(moments);
                if (!first || !length || *length > longest) return false;
                moment.emplace();
                moment->first = unzigzag(*first);
                if (moment->first > farthest || moment->first < -farthest) return false;
                moment->last = moment->first + static_cast<std::int64_t>(*length);
            }
        }
    }
    return moments.empty();
}

}  // namespace mapping
