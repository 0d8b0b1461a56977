#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

/// Hashes of short texts, for tables in memory alone: they may be others in another version.
namespace fhir {

/// Folds a word into a hash.
constexpr std::uint64_t hashWith(std::uint64_t hash, std::uint64_t word) {
    constexpr std::uint64_t odd = 0x9E3779B97F4A7C15ULL;
    return (std::rotl(hash, 23) ^ word) * odd;
}

/// The hash with all its bits depending on all words.
constexpr std::uint64_t mixed(std::uint64_t hash) {
    constexpr std::uint64_t odd = 0xD6E8FEB86659FD93ULL;
    hash = (hash ^ hash >> 32U) * odd;
    return hash ^ hash >> 29U;
}

/// With another seed another hash. Without one of its own for each process, who chooses the texts can choose the
/// hashes.
inline std::uint64_t hashOf(std::string_view text, std::uint64_t seed = 0) {
    std::uint64_t hash = hashWith(seed, text.size());
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= sizeof(std::uint64_t); left -= sizeof(std::uint64_t), at += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, sizeof(word));
        hash = hashWith(hash, word);
    }
    std::uint64_t last = 0;
    for (; left > 0; --left, ++at) last = last << 8U | static_cast<unsigned char>(*at);
    return mixed(hashWith(hash, last));
}

}  // namespace fhir
