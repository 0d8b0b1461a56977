#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/// Reading many bytes of a JSON text at once: 16 or 64 of them with SSE2, which every x86-64 has, and with AVX2 or
/// AVX-512 where the machine has it; elsewhere one by one.
namespace fhir::json {

/// The first quote, backslash or control character of the text at or after `at`; `end` when there is none.
inline const char* findStringEnd(const char* at, const char* end) {
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i ends = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
            _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes));
        if (const auto bits = static_cast<unsigned>(_mm_movemask_epi8(ends)); bits != 0)
            return at + std::countr_zero(bits);
    }
#endif
    while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
    return at;
}

/// Whether a text holds no quote, backslash or control character.
inline bool isPlain(std::string_view text) {
    const char* const begin = text.data();
    const std::size_t size = text.size();
#ifdef __SSE2__
    const auto isPlain16 = [](__m128i bytes) {
        const __m128i found = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
            _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes));
        return _mm_movemask_epi8(found) == 0;
    };
    // The last bytes are looked at together with some before them.
    if (size >= 16) {
        const auto load = [](const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); };
        for (std::size_t i = 0; i + 16 < size; i += 16) {
            if (!isPlain16(load(begin + i))) return false;
        }
        return isPlain16(load(begin + size - 16));
    }
    if (size >= 8) {
        std::int64_t first = 0;
        std::int64_t last = 0;
        std::memcpy(&first, begin, sizeof(first));
        std::memcpy(&last, begin + size - 8, sizeof(last));
        return isPlain16(_mm_set_epi64x(first, last));
    }
    if (size >= 4) {
        std::int32_t first = 0;
        std::int32_t last = 0;
        std::memcpy(&first, begin, sizeof(first));
        std::memcpy(&last, begin + size - 4, sizeof(last));
        return isPlain16(_mm_set_epi32(first, first, first, last));
    }
#endif
    return findStringEnd(begin, begin + size) == begin + size;
}

/// Whether the first `size` of 32 bytes at two places are the same.
inline bool sameBytes32(const char* left, const char* right, std::uint32_t size) {
#ifdef __SSE2__
    const auto load = [](const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); };
    const auto low = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(load(left), load(right))));
    const auto high = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(load(left + 16), load(right + 16))));
    return static_cast<std::uint32_t>(std::countr_one(low | high << 16U)) >= size;
#else
    return std::memcmp(left, right, size) == 0;
#endif
}

/// The first place at or after `at` where the text stands, of at least three characters; `end` when there is none.
const char* findText(const char* at, const char* end, std::string_view text);

/// Where a jump over a container ended: behind its last bracket, or, with a reason, where it cannot go on.
struct Jump {
    const char* at = nullptr;
    const char* reason = nullptr;
    bool tooDeep = false;
};

/// Jumps to the end of an object or array of which only the opening bracket, `opening`, was read; `at` stands anywhere
/// behind it outside a string.
///
/// Brackets are matched by kind, strings are ended, hold no control character and alone hold backslashes, and at most
/// `levels` (1 to 64) containers are open at once, this one included. Nothing else is checked: what lies between the
/// brackets is not read. Without `checks` brackets are counted and not matched by kind, and strings may hold anything.
Jump jumpOver(char opening, const char* at, const char* end, std::size_t levels, bool checks = true);

/// Where invalid UTF-8 (RFC 3629) or a NUL begins; npos when the text is sound.
std::size_t findInvalidUtf8(std::string_view text);

/// The same with nothing but what every machine of this kind has: what others do without AVX2, and the tests
/// everywhere.
namespace baseline {
Jump jumpOver(char opening, const char* at, const char* end, std::size_t levels, bool checks = true);
std::size_t findInvalidUtf8(std::string_view text);
}  // namespace baseline

}  // namespace fhir::json
