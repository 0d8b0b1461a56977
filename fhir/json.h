#pragma once

// RapidJSON asserts on misuse; an assertion of a library must never end a service, so it throws instead.
#include <stdexcept>
#ifndef RAPIDJSON_ASSERT
#define RAPIDJSON_ASSERT(condition) \
    ((condition) ? static_cast<void>(0) : throw std::logic_error("RapidJSON: " #condition))
#endif

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fhir/name.h"
#include "fhir/scan.h"

namespace fhir::json {

/// What one document may cost. A document beyond them is an Error that names the limit.
struct Limits {
    std::size_t bytes = std::size_t{64} << 20;
    std::size_t depth = 64;          ///< 64 at most
    std::size_t values = 8'000'000;  ///< a chart of 64 MB has about a quarter as many
    /// Of what is jumped over: whether brackets match by kind, strings hold no control character, and UTF-8 is valid.
    bool checksSkipped = true;
};

/// What of a document is kept.
enum class Selection : std::uint8_t {
    everything,
    /// What we read from FHIR resources: below the second level, members with other names than elementNames are jumped
    /// over, but for choices of value[x], and so are those of an Observation that nobody reads, and what a resource of
    /// a type that is not read holds behind its resourceType. What is jumped over is checked for valid UTF-8, matching
    /// brackets and ended strings, and for nothing else; for ended strings and containers alone where Limits say so.
    elements,
    /// The same for whoever looks at the Patient alone: every other resource is jumped over behind its resourceType.
    envelope,
};

enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

/// One value of a document, in document order; a container is followed by what it holds. A member whose name is none of
/// elementNames has a node for its name before that of its value.
struct Node {
    union {
        const char* data = nullptr;  ///< of the text of a string without escapes, number as written, "true" / "false"
        std::uint64_t names;         ///< of an object: a bit for each name in it, by NameId modulo 64
    };
    std::uint32_t size = 0;  ///< of the text; of a resource whose form is known, the number of that (fhir/form.h)
    std::uint32_t span = 1;  ///< how many nodes this value takes, itself included; a name counts its value
    NameId name = 0;         ///< of the member that this is the value of
    Kind kind = Kind::null;
    bool isName = false;
    bool repeats = false;      ///< of an object: a name may stand in it more than once
    bool selected = false;     ///< of an object: members with other names were jumped over
    bool observation = false;  ///< of such an object: it is an Observation, isUnreadOfObservation

    std::string_view text() const { return kind >= Kind::array ? std::string_view() : std::string_view(data, size); }
};

class Items;
class Members;
class Memory;

/// A value inside a Document, or nothing. Cheap to copy; lives as long as its Document.
class Value {
public:
    Value() = default;
    explicit Value(const Node* node) : node_(node) {}

    /// False for nothing and for null: FHIR knows no null but as a placeholder in arrays.
    explicit operator bool() const { return node_ != nullptr && node_->kind != Kind::null; }
    Kind kind() const { return node_ == nullptr ? Kind::null : node_->kind; }
    bool isObject() const { return kind() == Kind::object; }
    bool isArray() const { return kind() == Kind::array; }
    bool isString() const { return kind() == Kind::string; }
    bool isNumber() const { return kind() == Kind::number; }
    bool isTrue() const { return kind() == Kind::boolean && *node_->data == 't'; }

    /// The text of a string, the digits of a number as written, "true" or "false"; empty otherwise.
    std::string_view text() const { return node_ == nullptr ? std::string_view() : node_->text(); }

    /// The member of that name; nothing when there is none or this is no object.
    ///
    /// A name that stands twice with the same value counts once. Errors: with different values, Error (RFC 8259 section
    /// 4 leaves the meaning open, so it is not guessed); its path is the name. std::logic_error when the name is none
    /// of elementNames, or not read from an Observation, and the document was jumped over here.
    Value operator[](Name name) const {
        if (!isObject()) return {};
        const bool mayHave = (node_->names >> (name.id() % 64U) & 1U) != 0;
        const bool wasSkipped = node_->observation && isUnreadOfObservation(name.id());
        return mayHave || wasSkipped || name.id() == 0 ? find(name) : Value();
    }

    Items items() const;      ///< the elements of an array, nulls included; empty for anything else
    Members members() const;  ///< the members of an object; empty for anything else

    const Node* node() const { return node_; }

private:
    Value find(Name name) const;

    const Node* node_ = nullptr;
};

/// The elements of an array, for range-for.
class Items {
public:
    struct Iterator {
        const Node* node;
        Value operator*() const { return Value(node); }
        Iterator& operator++() {
            node += node->span;
            return *this;
        }
        bool operator==(const Iterator&) const = default;
    };
    Items(const Node* first, const Node* last) : first_(first), last_(last) {}
    Iterator begin() const { return {first_}; }
    Iterator end() const { return {last_}; }

private:
    const Node* first_;
    const Node* last_;
};

/// The members of an object, for range-for: `for (auto [name, value] : object.members())`.
class Members {
public:
    struct Member {
        std::string_view name;
        Value value;
    };
    struct Iterator {
        const Node* node;
        Member operator*() const {
            if (node->isName) return {node->text(), Value(node + 1)};
            return {elementNames[node->name - std::size_t{1}], Value(node)};
        }
        Iterator& operator++() {
            node += node->span;
            return *this;
        }
        bool operator==(const Iterator&) const = default;
    };
    Members(const Node* first, const Node* last) : first_(first), last_(last) {}
    Iterator begin() const { return {first_}; }
    Iterator end() const { return {last_}; }

private:
    const Node* first_;
    const Node* last_;
};

/// A parsed JSON text (RFC 8259). A byte order mark is skipped; numbers stay as they are written.
///
/// Errors: Error with place and reason for broken JSON, invalid UTF-8, a NUL, and anything beyond the limits.
class Document {
public:
    explicit Document(std::string text, const Limits& limits = {})
        : Document(std::move(text), Selection::everything, limits) {}
    Document(std::string text, Selection selection, const Limits& limits = {});
    Document(const Document&) = delete;
    Document& operator=(const Document&) = delete;

    Value root() const { return Value(nodes_.data()); }

private:
    std::string text_;
    std::vector<std::unique_ptr<char[]>> unescaped_;  ///< strings that were written with escapes
    std::shared_ptr<const Memory> memory_;            ///< holds texts that stood in an earlier document, too
    std::vector<Node> nodes_;
};

/// Whether two values are the same JSON, names in the same order.
bool sameJson(Value left, Value right);

/// Writes compact JSON; the caller keeps names and values in order.
class Writer {
    /// RapidJSON's, with texts that need no escape copied at once instead of letter by letter.
    class Texts : public rapidjson::Writer<rapidjson::StringBuffer> {
    public:
        using rapidjson::Writer<rapidjson::StringBuffer>::Writer;

        void text(std::string_view text) {
            if (!isPlain(text)) {
                String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
                return;
            }
            Prefix(rapidjson::kStringType);
            char* const to = os_->Push(text.size() + 2);
            to[0] = '"';
            std::copy(text.begin(), text.end(), to + 1);
            to[text.size() + 1] = '"';
        }

        /// A member whose value is a text.
        void member(std::string_view key, std::string_view value) {
            if (!isPlain(key) || !isPlain(value)) {
                text(key);
                text(value);
                return;
            }
            Prefix(rapidjson::kStringType);
            ++level_stack_.template Top<Level>()->valueCount;
            char* to = os_->Push(key.size() + value.size() + 5);
            *to++ = '"';
            to = std::copy(key.begin(), key.end(), to);
            *to++ = '"';
            *to++ = ':';
            *to++ = '"';
            to = std::copy(value.begin(), value.end(), to);
            *to = '"';
        }

        /// An object that stands in the text already.
        void again(std::size_t begin, std::size_t size) {
            Prefix(rapidjson::kObjectType);
            char* const to = os_->Push(size);
            std::copy_n(os_->GetString() + begin, size, to);
        }

        /// An object that was written elsewhere.
        void object(std::string_view written) {
            Prefix(rapidjson::kObjectType);
            std::copy(written.begin(), written.end(), os_->Push(written.size()));
        }
    };

public:
    /// With room for so many bytes from the start.
    explicit Writer(std::size_t room = 256) : buffer_(nullptr, room), writer_(buffer_) {}

    Writer& beginObject() { return writer_.StartObject(), *this; }
    Writer& endObject() { return writer_.EndObject(), *this; }
    Writer& beginArray() { return writer_.StartArray(), *this; }
    Writer& endArray() { return writer_.EndArray(), *this; }
    Writer& name(std::string_view text) { return writer_.text(text), *this; }
    Writer& string(std::string_view text) { return writer_.text(text), *this; }
    /// Digits that are already a JSON number.
    Writer& number(std::string_view text) {
        return writer_.RawValue(text.data(), text.size(), rapidjson::kNumberType), *this;
    }
    Writer& number(std::size_t value) { return writer_.Uint64(value), *this; }
    Writer& boolean(bool value) { return writer_.Bool(value), *this; }
    /// A value of another document, as it is.
    Writer& value(Value value);
    Writer& member(std::string_view key, std::string_view text) { return writer_.member(key, text), *this; }
    /// An object that was written by this writer, from `begin` on.
    Writer& again(std::size_t begin, std::size_t size) { return writer_.again(begin, size), *this; }

    /// An object that another writer wrote.
    Writer& object(std::string_view written) { return writer_.object(written), *this; }

    std::string_view text() const { return {buffer_.GetString(), buffer_.GetSize()}; }

    /// Begins anew, in the room that it has; of a very long text the room is given back.
    void clear() {
        constexpr std::size_t mostRoom = std::size_t{1} << 20;
        if (buffer_.GetSize() > mostRoom) {
            buffer_ = rapidjson::StringBuffer();
        } else {
            buffer_.Clear();
        }
        writer_.Reset(buffer_);
    }

private:
    rapidjson::StringBuffer buffer_;
    Texts writer_;
};

}  // namespace fhir::json
