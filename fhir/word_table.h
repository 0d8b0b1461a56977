#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace fhir {

/// Whether two texts of one length are the same, without a call: names are short.
constexpr bool sameLetters(const char* left, const char* right, std::size_t size) {
    if (std::is_constant_evaluated() || size < 4) {
        for (std::size_t i = 0; i < size; ++i) {
            if (left[i] != right[i]) return false;
        }
        return true;
    }
    const auto same = [&]<typename Word>(std::size_t at, Word) {
        Word a = 0;
        Word b = 0;
        std::memcpy(&a, left + at, sizeof(Word));
        std::memcpy(&b, right + at, sizeof(Word));
        return a == b;
    };
    if (size < 8) return same(0, std::uint32_t{}) && same(size - 4, std::uint32_t{});
    for (std::size_t at = 0; at + 8 < size; at += 8) {
        if (!same(at, std::uint64_t{})) return false;
    }
    return same(size - 8, std::uint64_t{});
}

/// A hash without collisions among a few words, 254 at most: its multiplier is searched when the program is built.
/// There are 2^bits places for them.
template <const auto& words, unsigned bits>
class WordTable {
public:
    using Id = std::uint8_t;
    static_assert(words.size() < 255);

    consteval WordTable() {
        while (!fill()) multiplier_ += 0x61C8864680B583EAULL;  // stays odd
    }

    /// The position of a word among them counted from 1; 0 for every other text.
    constexpr Id find(std::string_view word) const {
        if (word.empty()) return 0;
        const Id id = slots_[slot(word)];
        if (id == 0) return 0;
        const std::string_view known = words[id - std::size_t{1}];
        return known.size() == word.size() && sameLetters(known.data(), word.data(), word.size()) ? id : Id{0};
    }

private:
    /// Length and four letters tell all of them apart.
    constexpr std::size_t slot(std::string_view word) const {
        const auto letter = [&](std::size_t at) {
            return static_cast<std::uint64_t>(static_cast<unsigned char>(word[at]));
        };
        const std::size_t last = word.size() - 1;
        const std::uint64_t letters = letter(0) | letter(last) << 8U | letter(last / 2) << 16U |
                                      letter(last / 4 * 3) << 24U | static_cast<std::uint64_t>(last) << 32U;
        return static_cast<std::size_t>((letters * multiplier_) >> (64U - bits));
    }

    consteval bool fill() {
        for (Id& each : slots_) each = 0;
        Id id = 0;
        for (const std::string_view word : words) {
            Id& place = slots_[slot(word)];
            ++id;
            if (place != 0) return false;
            place = id;
        }
        return true;
    }

    std::uint64_t multiplier_ = 0x9E3779B97F4A7C15ULL;
    std::array<Id, std::size_t{1} << bits> slots_{};
};

}  // namespace fhir
