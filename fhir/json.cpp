#include "fhir/json.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "fhir/error.h"
#include "fhir/memory.h"
#include "fhir/resource_type.h"
#include "fhir/scan.h"

namespace fhir::json {

namespace {

std::string place(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t start = before.rfind('\n');
    const std::size_t column = start == std::string_view::npos ? offset + 1 : offset - start;
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

/// A member's name as a message may repeat it. FHIR names are short words; anything else may be a person's.
std::string_view shownName(std::string_view name) {
    const bool isName =
        name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        });
    return isName ? name : "…";
}

/// Which names an object has shown so far.
class Seen {
public:
    /// Whether this one may have been there before; other names than elementNames are counted as one.
    bool add(NameId id) {
        std::uint64_t& word = words_[id / 64U];
        const std::uint64_t bit = std::uint64_t{1} << (id % 64U);
        const bool before = (word & bit) != 0;
        word |= bit;
        return before;
    }

    /// The same for names that were shown elsewhere: whether one of them was there before.
    bool add(const std::array<std::uint64_t, 4>& words) {
        bool before = false;
        for (std::size_t i = 0; i < words_.size(); ++i) {
            before = before || (words_[i] & words[i]) != 0;
            words_[i] |= words[i];
        }
        return before;
    }

    std::uint64_t folded() const { return words_[0] | words_[1] | words_[2] | words_[3]; }
    const std::array<std::uint64_t, 4>& words() const { return words_; }

private:
    std::array<std::uint64_t, 4> words_{};
};

/// The names whose values repeat themselves from chart to chart, and those whose values do behind their first member.
struct Repeating {
    std::array<bool, 256> whole{};
    std::array<bool, 256> behindFirst{};

    consteval Repeating() {
        const auto idOf = [](std::string_view name) {
            const NameId id = nameTable.find(name);
            return id == 0 ? throw std::logic_error("none of elementNames") : id;
        };
        for (const std::string_view name :
             {"category", "clinicalStatus", "code", "interpretation", "medicationCodeableConcept", "method",
              "referenceRange", "vaccineCode", "valueCodeableConcept", "verificationStatus"})
            whole[idOf(name)] = true;
        for (const std::string_view name : {"meta", "valueQuantity"}) behindFirst[idOf(name)] = true;
    }
};

constexpr Repeating repeating;

/// The elementNames as they are written in front of their values: "id":
struct WrittenNames {
    static constexpr std::size_t longest = 32;
    struct Name {
        std::array<char, longest> letters{};
        std::uint32_t size = 0;
    };
    std::array<Name, elementNames.size() + 1> names{};

    consteval WrittenNames() {
        for (std::size_t i = 0; i < elementNames.size(); ++i) {
            Name& name = names[i + 1];
            const auto put = [&](char c) { name.letters[name.size++] = c; };
            put('"');
            for (const char c : elementNames[i]) put(c);
            put('"');
            put(':');
        }
    }
};

constexpr WrittenNames writtenNames;

/// Reads a text into nodes, and knows at every moment where it is. Never recurses deeper than the limit of levels.
class Parser {
public:
    /// What is known already is found in `memory`, where there is one.
    Parser(std::string_view text, Selection selection, const Limits& limits, Memory* memory, std::vector<Node>& nodes,
           std::vector<std::unique_ptr<char[]>>& unescaped)
        : text_(text),
          at_(text.data()),
          end_(text.data() + text.size()),
          selection_(selection),
          limits_(limits),
          repeats_(memory == nullptr ? nullptr : &memory->repeats),
          shapes_(memory == nullptr ? nullptr : &memory->shapes),
          levels_(std::min(limits.depth, open_.size())),
          left_(limits.values),
          nodes_(nodes),
          unescaped_(unescaped) {}

    void parse(std::size_t start) {
        if (limits_.checksSkipped) checkUtf8(text_.data(), end_);
        at_ += start;
        unchecked_ = at_;
        skipSpace();
        readValue();
        skipSpace();
        if (at_ != end_) fail("something follows the value");
        if (!limits_.checksSkipped) checkUtf8(unchecked_, end_);
    }

private:
    /// A container that is being read.
    struct Open {
        bool isArray = false;
        std::size_t count = 0;  ///< the items begun
        std::string_view name;  ///< of the member that is being read
        NameId own = 0;         ///< the name of the member that the container is the value of
    };

    [[noreturn]] void fail(const char* reason) const { failAt(at_, std::string("broken JSON: ") + reason, true); }

    [[noreturn]] void failAt(const char* at, const std::string& message, bool withPath) const {
        std::string where = place(text_, static_cast<std::size_t>(at - text_.data()));
        if (const std::string inDocument = path(); withPath && !inDocument.empty()) where += " (" + inDocument + ")";
        throw Error(where, message);
    }

    [[noreturn]] void failTooDeep(const char* at) const {
        failAt(at, "nested deeper than the limit of " + std::to_string(levels_) + " levels", false);
    }

    /// Where the parser is: "entry[12].resource".
    std::string path() const {
        std::string path;
        for (std::size_t i = 0; i < depth_; ++i) {
            const Open& container = open_[i];
            if (container.isArray) {
                path += '[' + std::to_string(container.count == 0 ? 0 : container.count - 1) + ']';
            } else if (!container.name.empty()) {
                if (!path.empty()) path += '.';
                path += shownName(container.name);
            }
        }
        return path;
    }

    // The text is followed by a NUL and holds none, so that the end needs no look of its own below.

    void checkUtf8(const char* from, const char* to) const {
        const std::string_view part(from, static_cast<std::size_t>(to - from));
        const std::size_t invalid = findInvalidUtf8(part);
        if (invalid != std::string_view::npos)
            failAt(from + invalid, part[invalid] == '\0' ? "a NUL byte is not JSON" : "not valid UTF-8", false);
    }

    void skipSpace() {
        while (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t') ++at_;
    }

    bool take(char c) {
        if (*at_ != c) return false;
        ++at_;
        return true;
    }

    Node& add(Kind kind, std::string_view text) {
        if (left_-- == 0) failAt(at_, "more values than the limit of " + std::to_string(limits_.values), false);
        Node& node = nodes_.emplace_back();
        node.data = text.data();
        node.size = static_cast<std::uint32_t>(text.size());
        node.name = std::exchange(name_, NameId{0});
        node.kind = kind;
        return node;
    }

    void readValue() {
        if (at_ == end_) fail("a value is missing");
        switch (*at_) {
            case '{':
                readObject();
                return;
            case '[':
                readArray();
                return;
            case '"': {
                const std::string_view text = readString();
                if (records_) record(Shapes::Filling::string, text);
                add(Kind::string, text);
                return;
            }
            default:
                break;
        }
        const auto [kind, text] = readScalar();
        if (records_ && kind == Kind::number) record(Shapes::Filling::number, text);
        add(kind, text);
    }

    struct Scalar {
        Kind kind;
        std::string_view text;
    };

    Scalar readScalar() {
        if (at_ == end_) fail("a value is missing");
        switch (*at_) {
            case 't':
                return {Kind::boolean, readWord("true")};
            case 'f':
                return {Kind::boolean, readWord("false")};
            case 'n':
                readWord("null");
                return {Kind::null, {}};
            default:
                return {Kind::number, readNumber()};
        }
    }

    std::string_view readWord(std::string_view word) {
        for (const char c : word) {
            if (!take(c)) fail("neither true, false nor null");
        }
        return word;
    }

    std::string_view readNumber() {
        const char* const start = at_;
        if (const char* const reason = passNumber()) fail(reason);
        return {start, static_cast<std::size_t>(at_ - start)};
    }

    /// Goes on behind a number; otherwise to where it ends to be one, with the reason.
    const char* passNumber() {
        const char* const start = at_;
        const auto isDigit = [&] { return *at_ >= '0' && *at_ <= '9'; };
        const auto passDigits = [&] {
            const bool any = isDigit();
            while (isDigit()) ++at_;
            return any;
        };
        constexpr const char* noDigit = "a digit is missing in a number";
        take('-');
        if (!take('0') && !passDigits()) return at_ == start ? "not a value" : noDigit;
        if (take('.') && !passDigits()) return noDigit;
        if (take('e') || take('E')) {
            if (!take('+')) take('-');
            if (!passDigits()) return noDigit;
        }
        return nullptr;
    }

    /// From its opening quote to behind its closing one; escapes are decoded only where there are some.
    std::string_view readString() {
        const char* const start = ++at_;
        at_ = findStringEnd(at_, end_);
        if (at_ != end_ && *at_ == '"') return {start, static_cast<std::size_t>(at_++ - start)};
        return readEscaped(start);
    }

    void skipString() {
        ++at_;
        while (true) {
            at_ = findStringEnd(at_, end_);
            if (at_ == end_) fail("a string is not ended");
            if (*at_ == '"') {
                ++at_;
                return;
            }
            if (*at_ != '\\') fail("a control character in a string");
            if (end_ - at_ < 2) fail("a string is not ended");
            at_ += 2;
        }
    }

    std::string_view readEscaped(const char* start) {
        records_ = false;  // the text stands neither here nor in memory
        // No escape is longer than what it stands for, so the whole string has room.
        const char* const escape = at_;
        skipString(start);
        const auto most = static_cast<std::size_t>(at_ - start);
        char* const buffer = unescaped_.emplace_back(std::make_unique<char[]>(most)).get();
        char* to = std::copy(start, escape, buffer);
        at_ = escape;
        while (*at_ != '"') {
            const char* const plainEnd = findStringEnd(at_, end_);
            to = std::copy(at_, plainEnd, to);
            at_ = plainEnd;
            if (*at_ == '\\') to = decodeEscape(to);
        }
        ++at_;
        return {buffer, static_cast<std::size_t>(to - buffer)};
    }

    /// To the end of the string that begins at `start`, behind its quote.
    void skipString(const char* start) {
        at_ = start - 1;
        skipString();
    }

    char* decodeEscape(char* to) {
        ++at_;
        constexpr std::string_view written = "\"\\/bfnrt";
        constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
        if (const std::size_t which = written.find(*at_); which != std::string_view::npos) {
            ++at_;
            *to++ = meant[which];
            return to;
        }
        if (*at_ != 'u') fail("an escape that JSON does not know");
        std::uint32_t code = readUnit();
        if (code >= 0xDC00 && code <= 0xDFFF) fail("half a surrogate pair");
        if (code >= 0xD800 && code <= 0xDBFF) {
            if (end_ - at_ < 6 || at_[0] != '\\' || at_[1] != 'u') fail("half a surrogate pair");
            ++at_;
            const std::uint32_t low = readUnit();
            if (low < 0xDC00 || low > 0xDFFF) fail("half a surrogate pair");
            code = 0x10000 + ((code - 0xD800) << 10U) + (low - 0xDC00);
        }
        return encode(code, to);
    }

    /// The four hexadecimal digits behind the u of an escape.
    std::uint32_t readUnit() {
        ++at_;
        std::uint32_t unit = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = at_ == end_ ? ' ' : *at_;
            std::uint32_t digit = 0;
            if (c >= '0' && c <= '9') {
                digit = static_cast<std::uint32_t>(c - '0');
            } else if (c >= 'a' && c <= 'f') {
                digit = static_cast<std::uint32_t>(c - 'a' + 10);
            } else if (c >= 'A' && c <= 'F') {
                digit = static_cast<std::uint32_t>(c - 'A' + 10);
            } else {
                fail("not a hexadecimal digit in an escape");
            }
            unit = unit << 4U | digit;
        }
        return unit;
    }

    /// UTF-8 (RFC 3629, section 3).
    static char* encode(std::uint32_t code, char* to) {
        const auto put = [&](std::uint32_t byte) { *to++ = static_cast<char>(static_cast<unsigned char>(byte)); };
        if (code < 0x80) {
            put(code);
        } else if (code < 0x800) {
            put(0xC0 | code >> 6U);
            put(0x80 | (code & 0x3FU));
        } else if (code < 0x10000) {
            put(0xE0 | code >> 12U);
            put(0x80 | (code >> 6U & 0x3FU));
            put(0x80 | (code & 0x3FU));
        } else {
            put(0xF0 | code >> 18U);
            put(0x80 | (code >> 12U & 0x3FU));
            put(0x80 | (code >> 6U & 0x3FU));
            put(0x80 | (code & 0x3FU));
        }
        return to;
    }

    /// Opens a container behind its bracket; gives its node.
    std::size_t open(Kind kind) {
        const std::size_t node = nodes_.size();
        add(kind, {});
        if (depth_ == levels_) failTooDeep(++at_);
        open_[depth_++] = {kind == Kind::array, 0, {}, nodes_[node].name};
        ++at_;
        return node;
    }

    void close(std::size_t node) {
        nodes_[node].span = static_cast<std::uint32_t>(nodes_.size() - node);
        --depth_;
    }

    void readArray() {
        const std::size_t node = open(Kind::array);
        Open& own = open_[depth_ - 1];
        skipSpace();
        if (!take(']')) {
            while (true) {
                ++own.count;
                readValue();
                skipSpace();
                if (take(']')) break;
                if (!take(',')) fail("a comma or ] is missing behind an item of an array");
                skipSpace();
            }
        }
        close(node);
    }

    void readObject() {
        const std::size_t node = open(Kind::object);
        Open& own = open_[depth_ - 1];
        constexpr std::size_t keptLevels = 2;
        const bool selects = selection_ != Selection::everything && depth_ > keptLevels;
        const NameId ownName = nodes_[node].name;
        const bool knowsRest = repeats_ != nullptr && repeating.behindFirst[ownName];
        Rest rest;
        NameId previous = 0;
        Seen seen;
        bool repeats = false;
        bool isObservation = false;
        skipSpace();
        if (!take('}')) {
            while (true) {
                const NameId id =
                    readName(expected_[(ownName * std::size_t{37} + previous) % expected_.size()], own.name);
                previous = id;
                skipSpace();
                if (selects &&
                    (id == 0 ? !own.name.starts_with("value") : isObservation && isUnreadOfObservation(id))) {
                    if (repeats_ != nullptr && repeating.whole[id]) {
                        skipRepeating(id);
                    } else if (records_) {
                        skipAndRecord();
                    } else {
                        skipValue();
                    }
                } else {
                    repeats = seen.add(id) || repeats;
                    if (selects && repeats_ != nullptr && repeating.whole[id]) {
                        readRepeating(id);
                    } else if (id == subjectId && selects && repeats_ != nullptr && *at_ == '{' && !records_) {
                        readSubject();
                    } else if (id == resourceId && selects && shapes_ != nullptr && *at_ == '{' && !records_) {
                        readResource();
                    } else {
                        readMember(id, own.name);
                    }
                    if (selects && id == resourceTypeId && nodes_.size() == node + 2 && isResource()) {
                        if (!isReadHere(nodes_.back())) {
                            records_ = false;
                            jump('{');
                            break;
                        }
                        isObservation = nodes_.back().text() == "Observation";
                    }
                }
                skipSpace();
                if (take('}')) break;
                if (!take(',')) fail("a comma or } is missing behind a member of an object");
                skipSpace();
                // Behind a first member that is kept and no resourceType, what is read depends on nothing before it.
                const bool isRest = knowsRest && rest.begin == nullptr && selects && nodes_.size() > node + 1 &&
                                    nodes_[node + 1].name != resourceTypeId;
                if (isRest) {
                    rest = {at_, nodes_.size(), {}};
                    const Repeats::Known* const known =
                        repeats_->find(Repeats::Kind::furtherMembers, ownName, at_, end_, rest.key);
                    if (known != nullptr && addKnown(*known)) {
                        repeats = seen.add(known->names) || repeats;
                        rest.begin = nullptr;
                        break;
                    }
                }
            }
        }
        if (rest.begin != nullptr) {
            if (ownName == valueQuantityId) records_ = false;  // its unit is to be known first
            if (!repeats) keepRest(rest);
        }
        nodes_[node].names = seen.folded();
        nodes_[node].repeats = repeats;
        nodes_[node].selected = selects;
        nodes_[node].observation = isObservation;
        close(node);
    }

    /// The name of a member and the colon behind it. What stood at such a place before is expected to stand there
    /// again.
    NameId readName(NameId& expected, std::string_view& name) {
        const WrittenNames::Name& written = writtenNames.names[expected];
        if (end_ - at_ >= static_cast<std::ptrdiff_t>(WrittenNames::longest) && expected != 0 &&
            sameBytes32(at_, written.letters.data(), written.size)) {
            at_ += written.size;
            name = elementNames[expected - std::size_t{1}];
            return expected;
        }
        if (*at_ != '"') fail("the name of a member is missing");
        name = readString();
        skipSpace();
        if (!take(':')) fail("a colon is missing behind the name of a member");
        expected = nameTable.find(name);
        return expected;
    }

    void readMember(NameId id, std::string_view text) {
        if (id != 0) {
            name_ = id;
            readValue();
            return;
        }
        const std::size_t name = nodes_.size();
        add(Kind::string, text).isName = true;
        readValue();
        nodes_[name].span = static_cast<std::uint32_t>(nodes_.size() - name);
    }

    /// The members of an object behind its first one.
    struct Rest {
        const char* begin = nullptr;
        std::size_t firstNode = 0;
        Repeats::Key key;
    };

    /// Keeps the rest of an object, which was just read.
    void keepRest(const Rest& rest) {
        Seen names;
        for (std::size_t i = rest.firstNode; i < nodes_.size(); i += nodes_[i].span) names.add(nodes_[i].name);
        keep(rest.key, rest.begin, rest.firstNode, names.words());
    }

    /// Keeps what was read from `begin` to here, and became the nodes from `firstNode` on.
    void keep(const Repeats::Key& key, const char* begin, std::size_t firstNode,
              const std::array<std::uint64_t, 4>& names = {}) {
        const std::string_view text(begin, static_cast<std::size_t>(at_ - begin));
        if (!limits_.checksSkipped) {
            // What is known is not checked again; and a backslash may stand anywhere where nobody looked.
            checkedUpTo(at_);
            if (text.find('\\') != std::string_view::npos) return;
        }
        repeats_->keep(key, text, nodes_.data() + firstNode, nodes_.size() - firstNode, names);
    }

    /// Where what is jumped over is not checked: checks the text up to here, and goes on behind `next`.
    void checkedUpTo(const char* next) {
        checkUtf8(unchecked_, at_);
        unchecked_ = next;
    }

    /// A resource in an entry: by its shape where that is known, and otherwise in the usual way, which tells its shape.
    void readResource() {
        if (takeShape()) return;
        gaps_.clear();
        recorded_ = {at_, nodes_.size(), depth_};
        records_ = true;
        name_ = resourceId;
        readValue();
        if (!std::exchange(records_, false)) return;
        const std::string_view text(recorded_.begin, static_cast<std::size_t>(at_ - recorded_.begin));
        shapes_->keep(depth_, text, gaps_, nodes_.data() + recorded_.node, nodes_.size() - recorded_.node);
    }

    /// Reads a resource by its shape. False when that is not known, or when the resource is to be read in the usual
    /// way, which says what is wrong with it: nothing has happened then.
    bool takeShape() {
        const char* const begin = at_;
        const char* const unchecked = unchecked_;  // what is passed here is checked when its turn comes
        const Shapes::Piece* piece = Shapes::find(shapes_->begin(depth_), at_, end_);
        std::size_t count = 0;
        for (; piece != nullptr; piece = Shapes::find(*piece->then, at_, end_)) {
            at_ += piece->text.size();
            if (piece->filling == Shapes::Filling::nothing) break;
            const char* const filling = at_;
            if (!passFilling(*piece)) {
                piece = nullptr;
                break;
            }
            fillings_[count++] = {filling, static_cast<std::size_t>(at_ - filling)};
        }
        if (piece == nullptr || depth_ + piece->shape->levels > levels_ || piece->shape->count > left_) {
            at_ = begin;
            unchecked_ = unchecked;
            return false;
        }
        const Shapes::Shape& shape = *piece->shape;
        const std::size_t first = nodes_.size();
        left_ -= shape.count;
        nodes_.insert(nodes_.end(), shape.nodes, shape.nodes + shape.count);
        for (std::size_t i = 0; i < count; ++i) {
            if (shape.gaps[i] == Shapes::noNode) continue;
            Node& node = nodes_[first + shape.gaps[i]];
            node.data = fillings_[i].data();
            node.size = static_cast<std::uint32_t>(fillings_[i].size());
        }
        return true;
    }

    /// Goes on behind what fills the gap behind a piece. False when it is something else.
    bool passFilling(const Shapes::Piece& piece) {
        if (piece.filling == Shapes::Filling::string) {
            at_ = findStringEnd(at_, end_);
            return at_ != end_ && *at_ == '"';
        }
        if (piece.filling == Shapes::Filling::number) return passNumber() == nullptr;
        const std::size_t depth = depth_;
        if (depth + piece.level > levels_) return false;
        try {
            depth_ += piece.level;
            skipValue();
            depth_ = depth;
            return true;
        } catch (const Error&) {
            // It is broken JSON, whoever reads it: the usual way tells where.
            depth_ = depth;
            return false;
        }
    }

    /// Writes down that the text of the value that comes next may be another one in other resources of this shape.
    void record(Shapes::Filling filling, std::string_view text) {
        if (name_ == resourceTypeId || name_ == statusId) return;
        if (gaps_.size() == Shapes::mostGaps) {
            records_ = false;
            return;
        }
        gaps_.push_back({filling, text, static_cast<std::uint32_t>(nodes_.size() - recorded_.node), 0});
    }

    /// Jumps over a value, in which other texts may stand in other resources of this shape.
    void skipAndRecord() {
        const char* const begin = at_;
        skipValue();
        const std::string_view text(begin, static_cast<std::size_t>(at_ - begin));
        const std::size_t before = gaps_.size();
        // Where what is jumped over is not checked, it is jumped over each time.
        if (limits_.checksSkipped && isShort(text) && recordStrings(text)) return;
        gaps_.resize(before);
        if (before == Shapes::mostGaps) {
            records_ = false;
            return;
        }
        gaps_.push_back(
            {Shapes::Filling::skipped, text, Shapes::noNode, static_cast<std::uint32_t>(depth_ - recorded_.depth)});
    }

    static bool isShort(std::string_view text) {
        constexpr std::size_t most = 200;
        return text.size() <= most;
    }

    /// The strings of a value that was jumped over, but for names. False when there is more in it that may differ.
    bool recordStrings(std::string_view text) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] != '"') {
                const bool isPunctuation = std::string_view("{}[]:, \n\r\t").find(text[i]) != std::string_view::npos;
                if (!isPunctuation) return false;
                continue;
            }
            const std::size_t begin = i + 1;
            i = text.find_first_of("\"\\", begin);
            if (i == std::string_view::npos || text[i] == '\\') return false;
            const std::size_t next = text.find_first_not_of(" \n\r\t", i + 1);
            if (next != std::string_view::npos && text[next] == ':') continue;
            if (gaps_.size() == Shapes::mostGaps) return false;
            gaps_.push_back({Shapes::Filling::string, text.substr(begin, i - begin), Shapes::noNode, 0});
        }
        return true;
    }

    /// A value that may stand in other charts, too.
    void readRepeating(NameId id) {
        name_ = id;
        if (*at_ != '{' && *at_ != '[') return readValue();
        Repeats::Key key;
        const char* const begin = at_;
        const std::size_t node = nodes_.size();
        const Repeats::Known* const known = repeats_->find(Repeats::Kind::value, id, at_, end_, key);
        if (known != nullptr && addKnown(*known)) {
            name_ = 0;
            nodes_[node].name = id;
            return;
        }
        readValue();
        records_ = false;  // until it is known
        keep(key, begin, node);
    }

    void skipRepeating(NameId id) {
        if (*at_ != '{' && *at_ != '[') return records_ ? skipAndRecord() : skipValue();
        Repeats::Key key;
        const char* const begin = at_;
        const Repeats::Known* const known = repeats_->find(Repeats::Kind::skipped, id, at_, end_, key);
        if (known != nullptr && addKnown(*known)) return;
        skipValue();
        records_ = false;
        keep(key, begin, nodes_.size());
    }

    /// Takes what is known as if it had been read. False where a limit is near: then it is to be read.
    bool addKnown(const Repeats::Known& known) {
        if (depth_ + known.levels > levels_ || known.count > left_) return false;
        left_ -= known.count;
        if (!limits_.checksSkipped) checkedUpTo(at_ + known.text.size());
        nodes_.insert(nodes_.end(), known.nodes, known.nodes + known.count);
        at_ += known.text.size();
        return true;
    }

    /// Resources of one chart are about one patient.
    void readSubject() {
        name_ = subjectId;
        const auto left = static_cast<std::size_t>(end_ - at_);
        const std::size_t node = nodes_.size();
        const std::size_t count = subject_.count;
        if (count > 0 && subject_.text.size() <= left && count <= left_ && depth_ < levels_ &&
            std::memcmp(at_, subject_.text.data(), subject_.text.size()) == 0) {
            left_ -= count;
            if (!limits_.checksSkipped) checkedUpTo(at_ + subject_.text.size());
            at_ += subject_.text.size();
            name_ = 0;
            nodes_.resize(node + count);
            std::copy_n(nodes_.data() + subject_.node, count, nodes_.data() + node);
            return;
        }
        const char* const begin = at_;
        readValue();
        subject_ = {{begin, static_cast<std::size_t>(at_ - begin)}, node, nodes_.size() - node};
        const bool isFlat = subject_.text.find_first_of("{[", 1) == std::string_view::npos;
        if (!isFlat) subject_ = {};
    }

    /// Whether a resource may stand where the innermost object does: in an entry, in another resource, or as what was
    /// prefetched. An element that calls itself one is read like any other.
    bool isResource() const {
        const Open& parent = open_[depth_ - 2];
        const NameId name = parent.isArray ? parent.own : open_[depth_ - 1].own;
        constexpr std::size_t prefetchLevel = 3;
        return name == nameTable.find("resource") || name == nameTable.find("contained") ||
               (depth_ == prefetchLevel && !parent.isArray && parent.own == nameTable.find("prefetch"));
    }

    /// Whether the rest of a resource is worth reading, by the value of its resourceType.
    bool isReadHere(const Node& type) const {
        if (type.kind != Kind::string) return true;
        return selection_ == Selection::envelope ? type.text() == "Patient" : isReadType(type.text());
    }

    void skipValue() {
        if (at_ == end_) fail("a value is missing");
        if (*at_ == '{' || *at_ == '[') {
            if (depth_ == levels_) failTooDeep(++at_);
            const char opening = *at_++;
            ++depth_;
            open_[depth_ - 1] = {opening == '[', 0, {}, 0};
            jump(opening);
            --depth_;
        } else if (*at_ == '"') {
            skipString();
        } else {
            readScalar();
        }
    }

    /// To the end of the innermost container, which `opening` began.
    void jump(char opening) {
        const Jump jump = jumpOver(opening, at_, end_, levels_ - depth_ + 1, limits_.checksSkipped);
        if (!limits_.checksSkipped) checkedUpTo(jump.at);
        at_ = jump.at;
        if (jump.tooDeep) failTooDeep(at_);
        if (jump.reason != nullptr) fail(jump.reason);
    }

    static constexpr NameId resourceTypeId = nameTable.find("resourceType");
    static constexpr NameId subjectId = nameTable.find("subject");
    static constexpr NameId resourceId = nameTable.find("resource");
    static constexpr NameId statusId = nameTable.find("status");
    static constexpr NameId valueQuantityId = nameTable.find("valueQuantity");

    std::string_view text_;
    const char* at_;
    const char* end_;
    const char* unchecked_ = nullptr;  ///< where UTF-8 was not looked at yet, if what is skipped is not checked
    Selection selection_;
    const Limits& limits_;
    Repeats* repeats_;
    Shapes* shapes_;
    bool records_ = false;  ///< a resource is being read whose shape is not known
    struct {
        const char* begin = nullptr;
        std::size_t node = 0;
        std::size_t depth = 0;
    } recorded_;
    std::vector<Shapes::Gap> gaps_;                            ///< of that resource
    std::array<std::string_view, Shapes::mostGaps> fillings_;  ///< of a resource whose shape is known
    NameId name_ = 0;                                          ///< of the member whose value comes next
    std::array<Open, 64> open_{};
    std::array<NameId, 1024>
        expected_{};  ///< which name stands where, by the names of the object and the member before
    std::size_t levels_;
    std::size_t left_;  ///< how many values more there may be
    std::size_t depth_ = 0;
    struct {
        std::string_view text;
        std::size_t node = 0;
        std::size_t count = 0;
    } subject_;  ///< the last one, when it holds no container
    std::vector<Node>& nodes_;
    std::vector<std::unique_ptr<char[]>>& unescaped_;
};

/// What this thread knows. What was read without checks is not known to whom checks.
std::shared_ptr<Memory>& memoryOf(const Limits& limits) {
    thread_local std::array<std::shared_ptr<Memory>, 2> all;
    std::shared_ptr<Memory>& memory = all[limits.checksSkipped ? 1 : 0];
    if (memory == nullptr || memory->isFull()) memory = std::make_shared<Memory>();
    return memory;
}

}  // namespace

Document::Document(std::string text, Selection selection, const Limits& limits) : text_(std::move(text)) {
    if (text_.size() > limits.bytes)
        throw Error("", "larger than the limit of " + std::to_string(limits.bytes) + " bytes");
    constexpr std::string_view byteOrderMark = "\xEF\xBB\xBF";
    const std::size_t start = text_.starts_with(byteOrderMark) ? byteOrderMark.size() : 0;
    nodes_.reserve(text_.size() / 12 + 16);
    Memory* memory = nullptr;
    if (selection == Selection::elements) {
        const std::shared_ptr<Memory>& known = memoryOf(limits);
        memory = known.get();
        memory_ = known;
    }
    Parser(text_, selection, limits, memory, nodes_, unescaped_).parse(start);
}

Value Value::find(Name name) const {
    if ((name.id() == 0 && node_->selected) || (node_->observation && isUnreadOfObservation(name.id())))
        throw std::logic_error("not among the names that are read: " + std::string(name.text()));
    Value found;
    const Node* const end = node_ + node_->span;
    for (const Node* member = node_ + 1; member != end; member += member->span) {
        if (member->name != name.id() || (name.id() == 0 && member->text() != name.text())) continue;
        const Value value(member + (member->isName ? 1 : 0));
        if (!node_->repeats) return value;
        if (found.node() == nullptr) {
            found = value;
        } else if (!sameJson(found, value)) {
            throw Error(std::string(shownName(name.text())), "stands twice with different values");
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
    const auto same = [](const Node& a, const Node& b) {
        return a.kind == b.kind && a.span == b.span && a.text() == b.text();
    };
    // The names of the two themselves do not belong to them.
    return same(*left.node(), *right.node()) &&
           std::equal(left.node() + 1, left.node() + span, right.node() + 1,
                      [&](const Node& a, const Node& b) { return a.name == b.name && same(a, b); });
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

}  // namespace fhir::json
