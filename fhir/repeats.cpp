#include "fhir/repeats.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <new>

#include "fhir/hash.h"

namespace fhir::json {

namespace {

/// A hash of so many bytes, a multiple of 32, which can be prolonged.
class Hash {
public:
    static constexpr std::size_t step = 32;

    explicit Hash(std::uint64_t seed) : lanes_{seed, seed + 1, seed + 2, seed + 3} {}

    void add(const char* at, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; i += step) {
            std::array<std::uint64_t, 4> words;
            std::memcpy(words.data(), at + i, sizeof(words));
            for (std::size_t lane = 0; lane < lanes_.size(); ++lane) lanes_[lane] = hashWith(lanes_[lane], words[lane]);
        }
    }

    std::uint64_t value() const {
        return mixed((lanes_[0] ^ std::rotl(lanes_[1], 17)) + (std::rotl(lanes_[2], 31) ^ std::rotl(lanes_[3], 41)));
    }

private:
    std::array<std::uint64_t, 4> lanes_;
};

}  // namespace

std::uint32_t levelsOf(std::string_view text) {
    std::uint32_t depth = 0;
    std::uint32_t deepest = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\';
        } else if (c == '{' || c == '[') {
            deepest = std::max(deepest, ++depth);
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
    return deepest;
}

Repeats::Repeats(Arena& arena) : arena_(arena), sets_(1024) {
    windows_.fill(longest);
}

const Repeats::Known* Repeats::find(Kind kind, NameId name, const char* at, const char* end, Key& key) {
    const auto standsHere = [&](const Entry& entry) {
        const std::string_view text = entry.known.text;
        return static_cast<std::size_t>(end - at) >= text.size() && std::memcmp(at, text.data(), text.size()) == 0;
    };
    Entry*& last = last_[static_cast<std::size_t>(kind)][name];
    if (last != nullptr && last->next != nullptr && standsHere(*last->next)) {
        last = last->next;
        return &last->known;
    }
    if (end - at < static_cast<std::ptrdiff_t>(longest)) return nullptr;
    key.kind = kind;
    key.name = name;
    Hash hash(name | std::uint64_t{static_cast<unsigned>(kind)} << 8U);
    hash.add(at, Hash::step);
    key.prefix = static_cast<std::uint32_t>(hash.value() % windows_.size());
    key.window = windows_[key.prefix];
    if (key.window == 0) return nullptr;
    hash.add(at + Hash::step, key.window - Hash::step);
    key.hash = hash.value();
    Set& set = setOf(key.hash);
    for (std::size_t i = 0; i < ways; ++i) {
        Entry* const entry = set.entries[i];
        if (entry == nullptr || set.hashes[i] != key.hash || entry->kind != kind || entry->name != name ||
            !standsHere(*entry))
            continue;
        if (last != nullptr) last->next = entry;
        last = entry;
        return &entry->known;
    }
    key.wasSeen = set.seen == key.hash;
    set.seen = key.hash;
    return nullptr;
}

void Repeats::keep(const Key& key, std::string_view text, const Node* nodes, std::size_t count,
                   const std::array<std::uint64_t, 4>& names) {
    if (key.window == 0) return;
    if (text.size() < key.window) {
        windows_[key.prefix] = static_cast<std::uint32_t>(text.size() / Hash::step * Hash::step);
        return;
    }
    constexpr std::size_t longestKept = 4096;
    if (!key.wasSeen || text.size() > longestKept || arena_.isFull()) return;
    // Texts with escapes were decoded somewhere else.
    const auto isWithin = [&](std::string_view part) {
        constexpr std::less_equal<const char*> notBehind;
        return notBehind(text.data(), part.data()) && notBehind(part.data() + part.size(), text.data() + text.size());
    };
    const char* const letters = arena_.keep(text).data();
    auto* const copies = static_cast<Node*>(arena_.room(count * sizeof(Node), alignof(Node)));
    for (std::size_t i = 0; i < count; ++i) {
        Node* const copy = new (copies + i) Node(nodes[i]);
        const std::string_view own = nodes[i].text();
        if (own.data() == nullptr || copy->kind == json::Kind::array || copy->kind == json::Kind::object) continue;
        if (isWithin(own)) {
            copy->data = letters + (own.data() - text.data());
        } else {
            copy->data = arena_.keep(own).data();
        }
    }
    auto* const entry = new (arena_.room(sizeof(Entry), alignof(Entry))) Entry{
        {{letters, text.size()}, copies, static_cast<std::uint32_t>(count), levelsOf(text), names}, key.kind, key.name};
    Set& set = setOf(key.hash);
    set.hashes[set.next] = key.hash;
    set.entries[set.next] = entry;
    set.next = (set.next + 1) % ways;
}

}  // namespace fhir::json
