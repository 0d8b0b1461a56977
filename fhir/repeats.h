#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "fhir/arena.h"
#include "fhir/json.h"

namespace fhir::json {

/// What was read of values that stand in chart after chart, letter for letter: codes, units, reference ranges. A value
/// that is known is compared, and not read again.
///
/// One thread looks up and keeps; what was kept never moves nor changes, so that documents may refer to it anywhere,
/// as long as they hold the arena.
class Repeats {
public:
    /// What the texts are that are looked for: a value; the members of an object behind its first one, with the bracket
    /// that ends it; a value that is jumped over.
    enum class Kind : std::uint8_t { value, furtherMembers, skipped };

    /// One value, as it is written and as it is read.
    struct Known {
        std::string_view text;
        const Node* nodes = nullptr;
        std::uint32_t count = 0;
        std::uint32_t levels = 0;              ///< how many containers are open at most inside the text
        std::array<std::uint64_t, 4> names{};  ///< of furtherMembers: a bit for each name
    };

    /// Where a value is looked for.
    struct Key {
        Kind kind = Kind::value;
        NameId name = 0;
        std::uint64_t hash = 0;
        std::uint32_t window = 0;  ///< how many bytes tell values apart; 0 where none are kept
        std::uint32_t prefix = 0;
        bool wasSeen = false;  ///< and not kept: what is seen once may be a person's
    };

    explicit Repeats(Arena& arena);

    /// The value of that name that begins at `at` in a text up to `end`; nothing when it is not known.
    const Known* find(Kind kind, NameId name, const char* at, const char* end, Key& key);

    /// Keeps a value that find did not know, when it was looked for twice.
    void keep(const Key& key, std::string_view text, const Node* nodes, std::size_t count,
              const std::array<std::uint64_t, 4>& names = {});

private:
    static constexpr std::uint32_t longest = 128;
    static constexpr std::size_t ways = 4;

    /// A value, and the one of the same name that came after it last: what stands in charts stands there in the same
    /// order, too.
    struct Entry {
        Known known;
        Kind kind = Kind::value;
        NameId name = 0;
        Entry* next = nullptr;
    };

    /// The values with hashes of the same low bits.
    struct Set {
        std::array<std::uint64_t, ways> hashes{};
        std::array<Entry*, ways> entries{};
        std::uint64_t seen = 0;  ///< the hash of what was looked for last, and was not there
        std::uint32_t next = 0;  ///< which one is replaced next
    };

    Set& setOf(std::uint64_t hash) { return sets_[hash % sets_.size()]; }

    Arena& arena_;
    std::vector<Set> sets_;
    std::array<std::array<Entry*, 256>, 3> last_{};  ///< by kind and name, the one that was found last
    std::array<std::uint32_t, 1024> windows_{};
};

/// How many containers are open at most in a text that was read.
std::uint32_t levelsOf(std::string_view text);

}  // namespace fhir::json
