#include "fhir/json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "fhir/error.h"

namespace fhir::json {

namespace {

/// Where the lines of a text begin. Taken before the text is parsed in place, which leaves escaped line breaks behind.
/// A text of more than a million lines is counted up to there.
std::vector<std::uint32_t> lineStarts(std::string_view text) {
    constexpr std::size_t most = 1'000'000;
    std::vector<std::uint32_t> starts{0};
    for (std::size_t at = text.find('\n'); at != std::string_view::npos && starts.size() < most;
         at = text.find('\n', at + 1))
        starts.push_back(static_cast<std::uint32_t>(at + 1));
    return starts;
}

std::string place(const std::vector<std::uint32_t>& starts, std::size_t offset) {
    const auto line = std::upper_bound(starts.begin(), starts.end(), offset) - starts.begin();
    const std::size_t start = starts[static_cast<std::size_t>(line) - 1];
    return "line " + std::to_string(line) + ", column " + std::to_string(offset - start + 1);
}

/// A member's name as a message may repeat it. FHIR names are short words; anything else may be a person's.
std::string_view shownName(std::string_view name) {
    const bool isName =
        name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        });
    return isName ? name : "…";
}

/// Turns RapidJSON's events into nodes and knows at every moment where it is.
class Builder {
public:
    Builder(std::vector<Node>& nodes, const Limits& limits) : nodes_(nodes), limits_(limits) {}

    bool Null() { return add(Kind::null, {}); }
    bool Bool(bool value) { return add(Kind::boolean, value ? "true" : "false"); }
    bool RawNumber(const char* text, rapidjson::SizeType length, bool) { return add(Kind::number, {text, length}); }
    bool String(const char* text, rapidjson::SizeType length, bool) { return add(Kind::string, {text, length}); }
    bool Key(const char* text, rapidjson::SizeType length, bool) {
        open_.back().name = {text, length};
        nodes_.push_back({{text, length}, 1, Kind::string});
        return true;
    }
    bool StartObject() { return open(Kind::object); }
    bool StartArray() { return open(Kind::array); }
    bool EndObject(rapidjson::SizeType) { return close(); }
    bool EndArray(rapidjson::SizeType) { return close(); }

    // With kParseNumbersAsStringsFlag every number arrives as RawNumber.
    bool Int(int) { return false; }
    bool Uint(unsigned) { return false; }
    bool Int64(std::int64_t) { return false; }
    bool Uint64(std::uint64_t) { return false; }
    bool Double(double) { return false; }

    bool tooDeep() const { return tooDeep_; }
    bool tooMany() const { return nodes_.size() > limits_.values; }

    /// Where the parser is: "entry[12].resource".
    std::string path() const {
        std::string path;
        for (const Open& container : open_) {
            if (nodes_[container.node].kind == Kind::array) {
                path += '[' + std::to_string(container.count == 0 ? 0 : container.count - 1) + ']';
            } else if (!container.name.empty()) {
                if (!path.empty()) path += '.';
                path += shownName(container.name);
            }
        }
        return path;
    }

private:
    struct Open {
        std::size_t node;
        std::size_t count = 0;
        std::string_view name;
    };

    void count() {
        if (!open_.empty()) ++open_.back().count;
    }
    bool add(Kind kind, std::string_view text) {
        count();
        nodes_.push_back({text, 1, kind});
        return !tooMany();
    }
    bool open(Kind kind) {
        add(kind, {});
        open_.push_back({nodes_.size() - 1, 0, {}});
        tooDeep_ = open_.size() > limits_.depth;
        return !tooDeep_ && !tooMany();
    }
    bool close() {
        Node& node = nodes_[open_.back().node];
        node.span = static_cast<std::uint32_t>(nodes_.size() - open_.back().node);
        open_.pop_back();
        return true;
    }

    std::vector<Node>& nodes_;
    const Limits& limits_;
    std::vector<Open> open_;
    bool tooDeep_ = false;
};

}  // namespace

Document::Document(std::string text, const Limits& limits) : text_(std::move(text)) {
    if (text_.size() > limits.bytes)
        throw Error("", "larger than the limit of " + std::to_string(limits.bytes) + " bytes");
    constexpr std::string_view byteOrderMark = "\xEF\xBB\xBF";
    const std::size_t start = text_.starts_with(byteOrderMark) ? byteOrderMark.size() : 0;
    const std::size_t invalid = findInvalidUtf8(text_);
    if (invalid != std::string_view::npos)
        throw Error(place(lineStarts(text_), invalid),
                    text_[invalid] == '\0' ? "a NUL byte is not JSON" : "not valid UTF-8");

    const std::vector<std::uint32_t> lines = lineStarts(text_);
    nodes_.reserve(text_.size() / 16 + 16);
    Builder builder(nodes_, limits);
    rapidjson::InsituStringStream stream(text_.data() + start);
    rapidjson::Reader reader;
    constexpr unsigned flags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
    const rapidjson::ParseResult result = reader.Parse<flags>(stream, builder);
    if (builder.tooDeep())
        throw Error(place(lines, start + result.Offset()),
                    "nested deeper than the limit of " + std::to_string(limits.depth) + " levels");
    if (builder.tooMany())
        throw Error(place(lines, start + result.Offset()),
                    "more values than the limit of " + std::to_string(limits.values));
    if (result.IsError()) {
        std::string where = place(lines, start + result.Offset());
        if (const std::string path = builder.path(); !path.empty()) where += " (" + path + ")";
        throw Error(where, std::string("broken JSON: ") + rapidjson::GetParseError_En(result.Code()));
    }
}

Value Value::operator[](std::string_view name) const {
    Value found;
    for (const auto [key, value] : members()) {
        if (key != name) continue;
        if (found.node() == nullptr) {
            found = value;
        } else if (!sameJson(found, value)) {
            throw Error(std::string(shownName(name)), "stands twice with different values");
        }
    }
    return found;
}

Items Value::items() const {
    if (!isArray()) return {nullptr, nullptr};
    return {node_ + 1, node_ + node_->span};
}

Members Value::members() const {
    if (!isObject()) return {nullptr, nullptr};
    return {node_ + 1, node_ + node_->span};
}

bool sameJson(Value left, Value right) {
    if (left.node() == nullptr || right.node() == nullptr) return left.node() == right.node();
    const std::uint32_t span = left.node()->span;
    if (span != right.node()->span) return false;
    return std::equal(left.node(), left.node() + span, right.node(), [](const Node& a, const Node& b) {
        return a.kind == b.kind && a.span == b.span && a.text == b.text;
    });
}

Writer& Writer::value(Value value) {
    switch (value.kind()) {
        case Kind::object:
            beginObject();
            for (const auto [key, member] : value.members()) name(key).value(member);
            return endObject();
        case Kind::array:
            beginArray();
            for (const Value item : value.items()) this->value(item);
            return endArray();
        case Kind::string:
            return string(value.text());
        case Kind::number:
            return number(value.text());
        case Kind::boolean:
            return boolean(value.isTrue());
        case Kind::null:
            break;
    }
    writer_.Null();
    return *this;
}

std::size_t findInvalidUtf8(std::string_view text) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    const std::size_t size = text.size();
    std::size_t i = 0;
    const auto continues = [&](std::size_t at) { return at < size && (bytes[at] & 0xC0U) == 0x80U; };
    while (i < size) {
        // Eight plain bytes at once: no byte has its high bit set, and none is zero.
        while (i + 8 <= size) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes + i, 8);
            if ((word & 0x8080808080808080ULL) != 0) break;
            if (((word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL) != 0) break;
            i += 8;
        }
        if (i >= size) break;
        const unsigned char lead = bytes[i];
        if (lead == 0) return i;
        if (lead < 0x80) {
            ++i;
        } else if (lead >= 0xC2 && lead <= 0xDF) {
            if (!continues(i + 1)) return i;
            i += 2;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            if (!continues(i + 1) || !continues(i + 2)) return i;
            if ((lead == 0xE0 && bytes[i + 1] < 0xA0) || (lead == 0xED && bytes[i + 1] > 0x9F)) return i;
            i += 3;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            if (!continues(i + 1) || !continues(i + 2) || !continues(i + 3)) return i;
            if ((lead == 0xF0 && bytes[i + 1] < 0x90) || (lead == 0xF4 && bytes[i + 1] > 0x8F)) return i;
            i += 4;
        } else {
            return i;
        }
    }
    return std::string_view::npos;
}

}  // namespace fhir::json
