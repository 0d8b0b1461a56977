#include "fhir/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace fhir::json {

namespace {

constexpr std::size_t blockSize = 64;

/// One bit for each of 64 bytes, the first byte in the lowest.
struct Block {
    std::uint64_t quotes = 0;
    std::uint64_t backslashes = 0;
    std::uint64_t controls = 0;  ///< below U+0020
    std::uint64_t openings = 0;
    std::uint64_t closings = 0;
};

#ifdef __SSE2__

std::uint64_t mask(__m128i matches) {
    return static_cast<std::uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(matches)));
}

__m128i load(const char* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}

inline Block readBlockSse2(const char* at) {
    Block block;
    for (unsigned i = 0; i < blockSize; i += 16) {
        const __m128i bytes = load(at + i);
        // '{' and '[' differ in one bit, as do '}' and ']'.
        const __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        block.quotes |= mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))) << i;
        block.backslashes |= mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))) << i;
        block.controls |= mask(_mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes)) << i;
        block.openings |= mask(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{'))) << i;
        block.closings |= mask(_mm_cmpeq_epi8(folded, _mm_set1_epi8('}'))) << i;
    }
    return block;
}

__attribute__((target("avx2"))) inline std::uint64_t mask32(__m256i matches) {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(matches));
}

__attribute__((target("avx2"))) inline Block readBlockAvx2(const char* at) {
    Block block;
    for (unsigned i = 0; i < blockSize; i += 32) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i));
        const __m256i folded = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
        block.quotes |= mask32(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"'))) << i;
        block.backslashes |= mask32(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'))) << i;
        block.controls |= mask32(_mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F)), bytes)) << i;
        block.openings |= mask32(_mm256_cmpeq_epi8(folded, _mm256_set1_epi8('{'))) << i;
        block.closings |= mask32(_mm256_cmpeq_epi8(folded, _mm256_set1_epi8('}'))) << i;
    }
    return block;
}

__attribute__((target("avx512f,avx512bw"))) inline Block readBlockAvx512(const char* at) {
    const __m512i bytes = _mm512_loadu_si512(at);
    const __m512i folded = _mm512_or_si512(bytes, _mm512_set1_epi8(0x20));
    return {_mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('"')), _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\\')),
            _mm512_cmple_epu8_mask(bytes, _mm512_set1_epi8(0x1F)),
            _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('{')),
            _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('}'))};
}

/// What this machine has beyond SSE2; each stands for those before it as well.
enum class Instructions { sse2, avx2, avx512 };

Instructions instructions() {
    __builtin_cpu_init();
    const auto has = [](int supported) { return supported != 0; };
    // AVX2 with the multiplication without carry, and with what counts and clears bits.
    if (!has(__builtin_cpu_supports("avx2")) || !has(__builtin_cpu_supports("pclmul")) ||
        !has(__builtin_cpu_supports("bmi")))
        return Instructions::sse2;
    const bool has512 = has(__builtin_cpu_supports("avx512f")) && has(__builtin_cpu_supports("avx512bw"));
    return has512 ? Instructions::avx512 : Instructions::avx2;
}

/// As between(), by one multiplication without carry.
__attribute__((target("pclmul"))) inline std::uint64_t betweenPclmul(std::uint64_t quotes) {
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<std::int64_t>(quotes)),
                                                 _mm_set1_epi8(static_cast<char>(0xFF)), 0);
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

#else

inline Block readBlock(const char* at) {
    Block block;
    for (unsigned i = 0; i < blockSize; ++i) {
        const char c = at[i];
        const std::uint64_t bit = std::uint64_t{1} << i;
        if (c == '"') block.quotes |= bit;
        if (c == '\\') block.backslashes |= bit;
        if (static_cast<unsigned char>(c) < 0x20) block.controls |= bit;
        if (c == '{' || c == '[') block.openings |= bit;
        if (c == '}' || c == ']') block.closings |= bit;
    }
    return block;
}

#endif

/// The characters that a backslash before them escapes; `carry` tells whether the first one of the next block is.
std::uint64_t escaped(std::uint64_t backslashes, bool& carry) {
    std::uint64_t result = carry ? 1 : 0;
    std::uint64_t rest = backslashes & ~result;
    carry = false;
    while (rest != 0) {
        const int at = std::countr_zero(rest);
        if (at == 63) {
            carry = true;
            break;
        }
        result |= std::uint64_t{2} << at;
        rest &= ~(std::uint64_t{3} << at);
    }
    return result;
}

/// Bits between quotes: from each odd quote up to the next one.
std::uint64_t between(std::uint64_t quotes) {
    for (unsigned step = 1; step < 64; step *= 2) quotes ^= quotes << step;
    return quotes;
}

}  // namespace

const char* findText(const char* at, const char* end, std::string_view text) {
    const auto size = static_cast<std::ptrdiff_t>(text.size());
    const auto standsAt = [&](const char* place) { return std::memcmp(place, text.data(), text.size()) == 0; };
#ifdef __SSE2__
    // The outermost characters are often quotes, which are everywhere; those next to them are not.
    const __m128i second = _mm_set1_epi8(text[1]);
    const __m128i lastButOne = _mm_set1_epi8(text[text.size() - 2]);
    while (end - at >= size + 15) {
        const __m128i found =
            _mm_and_si128(_mm_cmpeq_epi8(load(at + 1), second), _mm_cmpeq_epi8(load(at + size - 2), lastButOne));
        for (std::uint64_t bits = mask(found); bits != 0; bits &= bits - 1) {
            if (standsAt(at + std::countr_zero(bits))) return at + std::countr_zero(bits);
        }
        at += 16;
    }
#endif
    for (; end - at >= size; ++at) {
        if (standsAt(at)) return at;
    }
    return end;
}

namespace {

/// A jump on its way, from block to block.
class Jumping {
public:
    Jumping(char opening, const char* at, const char* end, std::size_t levels, bool checks)
        : at_(at), end_(end), levels_(levels), checks_(checks), objects_(opening == '{' ? 1 : 0) {}

    /// Goes on to the end of the text, or of the jump.
    template <typename ReadBlock, typename Between>
    inline __attribute__((always_inline)) Jump run(ReadBlock read, Between between) {
        while (end_ - at_ >= static_cast<std::ptrdiff_t>(blockSize)) {
            if (pass(read(at_), at_, blockSize, between)) return jump_;
        }
        if (at_ != end_) {
            const auto size = static_cast<std::size_t>(end_ - at_);
            std::array<char, blockSize> last{};
            last.fill(' ');
            std::memcpy(last.data(), at_, size);
            if (pass(read(last.data()), last.data(), size, between)) return jump_;
        }
        return {end_, inString_ != 0 ? "a string is not ended" : "an object or array is not ended"};
    }

private:
    /// Whether the jump ends in this block, whose bytes stand at `from`.
    template <typename Between>
    inline __attribute__((always_inline)) bool pass(const Block& block, const char* from, std::size_t size,
                                                    Between between) {
        std::uint64_t quotes = block.quotes;
        if (block.backslashes != 0 || carry_) quotes &= ~escaped(block.backslashes, carry_);
        const std::uint64_t strings = between(quotes) ^ inString_;
        inString_ = (strings >> 63U) != 0 ? ~std::uint64_t{0} : 0;
        const std::uint64_t openings = block.openings & ~strings;
        std::uint64_t rest = openings | (block.closings & ~strings);
        std::uint64_t wrong = 0;
        if (checks_) {
            wrong = (block.controls & strings) | (block.backslashes & ~strings);
            if (wrong != 0) rest &= (wrong & (~wrong + 1)) - 1;  // only the brackets before it
        } else {
            const auto opened = static_cast<std::size_t>(std::popcount(openings));
            const auto closed = static_cast<std::size_t>(std::popcount(rest)) - opened;
            if (closed < depth_ && depth_ + opened <= levels_) {
                depth_ += opened - closed;
                at_ += size;
                return false;
            }
        }
        // Which way a bracket goes nobody can foretell, so that nothing branches on it but the end.
        for (; rest != 0; rest &= rest - 1) {
            const auto bit = static_cast<unsigned>(std::countr_zero(rest));
            const std::uint64_t opens = openings >> bit & 1U;
            const std::uint64_t isObject = static_cast<unsigned char>(from[bit]) >> 5U & 1U;  // '{' and '}'
            const bool otherKind = checks_ && ((opens ^ 1U) & ((objects_ ^ isObject) & 1U)) != 0;
            objects_ = opens != 0 ? objects_ << 1U | isObject : objects_ >> 1U;
            depth_ = opens != 0 ? depth_ + 1 : depth_ - 1;
            if (depth_ - 1 < levels_ && !otherKind) continue;
            if (otherKind) return end({at_ + bit, "a bracket closes what another kind opened"});
            return end({at_ + bit + 1, nullptr, depth_ != 0});
        }
        if (wrong != 0) {
            const char* const where = at_ + std::countr_zero(wrong);
            return end({where, *where == '\\' ? "a backslash outside a string" : "a control character in a string"});
        }
        at_ += size;
        return false;
    }

    bool end(const Jump& jump) {
        jump_ = jump;
        return true;
    }

    const char* at_;
    const char* end_;
    std::size_t levels_;
    bool checks_;
    std::uint64_t objects_;  ///< the kinds of the open containers, the innermost in the lowest bit
    std::size_t depth_ = 1;
    bool carry_ = false;
    std::uint64_t inString_ = 0;  ///< all ones while a string goes on
    Jump jump_;
};

#ifdef __SSE2__
Jump jumpSse2(char opening, const char* at, const char* end, std::size_t levels, bool checks) {
    return Jumping(opening, at, end, levels, checks).run(readBlockSse2, between);
}

__attribute__((target("avx2,pclmul,bmi"))) Jump jumpAvx2(char opening, const char* at, const char* end,
                                                         std::size_t levels, bool checks) {
    return Jumping(opening, at, end, levels, checks).run(readBlockAvx2, betweenPclmul);
}

__attribute__((target("avx512f,avx512bw,pclmul,bmi"))) Jump jumpAvx512(char opening, const char* at, const char* end,
                                                                       std::size_t levels, bool checks) {
    return Jumping(opening, at, end, levels, checks).run(readBlockAvx512, betweenPclmul);
}

auto* jumpWith(Instructions instructions) {
    return instructions == Instructions::avx512 ? jumpAvx512 : instructions == Instructions::avx2 ? jumpAvx2 : jumpSse2;
}

/// What this machine jumps with.
const auto jump = jumpWith(instructions());
#else
Jump jump(char opening, const char* at, const char* end, std::size_t levels, bool checks) {
    return Jumping(opening, at, end, levels, checks).run(readBlock, between);
}
#endif

}  // namespace

Jump jumpOver(char opening, const char* at, const char* end, std::size_t levels, bool checks) {
    return jump(opening, at, end, levels, checks);
}

#ifdef __SSE2__
namespace {

/// How many bytes from the start on are plain for sure, ASCII and no NUL: none of the block in which another one is.
std::size_t plainSse2(const char* at, std::size_t size) {
    std::size_t i = 0;
    for (; i + 32 <= size; i += 32) {
        const __m128i first = load(at + i);
        const __m128i second = load(at + i + 16);
        // The smaller of both is zero where one of them is.
        const __m128i zero = _mm_cmpeq_epi8(_mm_min_epu8(first, second), _mm_setzero_si128());
        if (mask(_mm_or_si128(_mm_or_si128(first, second), zero)) != 0) break;
    }
    return i;
}

__attribute__((target("avx2"))) std::size_t plainAvx2(const char* at, std::size_t size) {
    std::size_t i = 0;
    for (; i + 64 <= size; i += 64) {
        const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i));
        const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i + 32));
        const __m256i zero = _mm256_cmpeq_epi8(_mm256_min_epu8(first, second), _mm256_setzero_si256());
        if (_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(first, second), zero)) != 0) break;
    }
    return i;
}

__attribute__((target("avx512f,avx512bw"))) std::size_t plainAvx512(const char* at, std::size_t size) {
    std::size_t i = 0;
    for (; i + 128 <= size; i += 128) {
        const __m512i first = _mm512_loadu_si512(at + i);
        const __m512i second = _mm512_loadu_si512(at + i + 64);
        const __mmask64 zero = _mm512_cmpeq_epi8_mask(_mm512_min_epu8(first, second), _mm512_setzero_si512());
        if ((_mm512_movepi8_mask(_mm512_or_si512(first, second)) | zero) != 0) break;
    }
    return i;
}

auto* plainWith(Instructions instructions) {
    return instructions == Instructions::avx512 ? plainAvx512
           : instructions == Instructions::avx2 ? plainAvx2
                                                : plainSse2;
}

const auto plainBytes = plainWith(instructions());

/// What may be wrong with two bytes side by side, a bit for each. A table tells it of the upper half of the first, one
/// of its lower half, and one of the upper half of the second: what all three say is so.
///
/// Source: J. Keiser, D. Lemire, Validating UTF-8 In Less Than One Instruction Per Byte, Software: Practice and
/// Experience 51 (5), 2021.
namespace utf8 {
constexpr std::uint8_t tooShort = 1U << 0U;          ///< a lead without its continuation
constexpr std::uint8_t tooLong = 1U << 1U;           ///< a continuation behind ASCII
constexpr std::uint8_t overlong3 = 1U << 2U;         ///< E0 80 to E0 9F
constexpr std::uint8_t tooLarge = 1U << 3U;          ///< F4 90 and above
constexpr std::uint8_t surrogate = 1U << 4U;         ///< ED A0 and above
constexpr std::uint8_t overlong2 = 1U << 5U;         ///< C0, C1
constexpr std::uint8_t tooLarge1000 = 1U << 6U;      ///< F5 and above, behind which 80 to 8F stands
constexpr std::uint8_t overlong4 = 1U << 6U;         ///< F0 80 to F0 8F
constexpr std::uint8_t twoContinuations = 1U << 7U;  ///< right only as the third or fourth byte of a character
constexpr std::uint8_t anyLow = tooShort | tooLong | twoContinuations;
constexpr std::uint8_t large = anyLow | tooLarge | tooLarge1000;

using Table = std::array<std::uint8_t, 16>;
constexpr Table firstHigh{tooLong,
                          tooLong,
                          tooLong,
                          tooLong,
                          tooLong,
                          tooLong,
                          tooLong,
                          tooLong,
                          twoContinuations,
                          twoContinuations,
                          twoContinuations,
                          twoContinuations,
                          tooShort | overlong2,
                          tooShort,
                          tooShort | overlong3 | surrogate,
                          tooShort | tooLarge | tooLarge1000 | overlong4};
constexpr Table firstLow{anyLow | overlong2 | overlong3 | overlong4,
                         anyLow | overlong2,
                         anyLow,
                         anyLow,
                         anyLow | tooLarge,
                         large,
                         large,
                         large,
                         large,
                         large,
                         large,
                         large,
                         large,
                         large | surrogate,
                         large,
                         large};
constexpr Table secondHigh{tooShort,
                           tooShort,
                           tooShort,
                           tooShort,
                           tooShort,
                           tooShort,
                           tooShort,
                           tooShort,
                           tooLong | overlong2 | twoContinuations | overlong3 | tooLarge1000 | overlong4,
                           tooLong | overlong2 | twoContinuations | overlong3 | tooLarge,
                           tooLong | overlong2 | twoContinuations | surrogate | tooLarge,
                           tooLong | overlong2 | twoContinuations | surrogate | tooLarge,
                           tooShort,
                           tooShort,
                           tooShort,
                           tooShort};
}  // namespace utf8

__attribute__((target("avx2"))) inline __m256i load256(const char* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}

__attribute__((target("avx2"))) inline __m256i lookUp(const utf8::Table& table, __m256i halves) {
    const __m128i entries = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table.data()));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), halves);
}

__attribute__((target("avx2"))) inline __m256i lowerHalves(__m256i bytes) {
    return _mm256_and_si256(bytes, _mm256_set1_epi8(0x0F));
}

__attribute__((target("avx2"))) inline __m256i upperHalves(__m256i bytes) {
    return lowerHalves(_mm256_srli_epi16(bytes, 4));
}

/// The bytes that stand so many places before those of a block.
template <int Places>
__attribute__((target("avx2"))) inline __m256i bytesBefore(__m256i block, __m256i previous) {
    return _mm256_alignr_epi8(block, _mm256_permute2x128_si256(previous, block, 0x21), 16 - Places);
}

/// Bits where a block of 32 bytes is wrong, by itself or behind the one before.
__attribute__((target("avx2"))) inline __m256i errorsOf(__m256i block, __m256i previous) {
    const __m256i first = bytesBefore<1>(block, previous);
    const __m256i special = _mm256_and_si256(
        _mm256_and_si256(lookUp(utf8::firstHigh, upperHalves(first)), lookUp(utf8::firstLow, lowerHalves(first))),
        lookUp(utf8::secondHigh, upperHalves(block)));
    // Where a third or fourth byte has to stand, two continuations side by side are right, and needed.
    const __m256i third =
        _mm256_subs_epu8(bytesBefore<2>(block, previous), _mm256_set1_epi8(static_cast<char>(0xE0 - 0x80)));
    const __m256i fourth =
        _mm256_subs_epu8(bytesBefore<3>(block, previous), _mm256_set1_epi8(static_cast<char>(0xF0 - 0x80)));
    const __m256i needed = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(static_cast<char>(0x80)));
    const __m256i isNul = _mm256_cmpeq_epi8(block, _mm256_setzero_si256());
    return _mm256_or_si256(_mm256_xor_si256(needed, special), isNul);
}

/// Whether a text is valid UTF-8 without a NUL.
__attribute__((target("avx2"))) bool isValidAvx2(std::string_view text) {
    constexpr std::size_t step = 32;
    __m256i errors = _mm256_setzero_si256();
    __m256i previous = _mm256_setzero_si256();
    bool isPlain = true;  // whether the block before is ASCII
    std::size_t i = 0;
    while (true) {
        if (isPlain) i += plainBytes(text.data() + i, text.size() - i);
        if (text.size() - i < step) break;
        const __m256i block = load256(text.data() + i);
        errors = _mm256_or_si256(errors, errorsOf(block, previous));
        isPlain = _mm256_movemask_epi8(block) == 0;
        previous = block;
        i += step;
    }
    // The rest, and spaces behind it: a character does not end behind the text.
    std::array<char, step> rest{};
    rest.fill(' ');
    std::memcpy(rest.data(), text.data() + i, text.size() - i);
    errors = _mm256_or_si256(errors, errorsOf(load256(rest.data()), previous));
    return _mm256_testz_si256(errors, errors) != 0;
}

const bool hasAvx2 = instructions() != Instructions::sse2;

}  // namespace
#else
namespace {

std::size_t plainBytes(const char*, std::size_t) {
    return 0;
}

}  // namespace
#endif

namespace {

/// With `plain`, which says how many bytes of a text are plain for sure.
template <typename PlainBytes>
std::size_t findInvalid(std::string_view text, PlainBytes plain) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    const std::size_t size = text.size();
    std::size_t i = 0;
    const auto continues = [&](std::size_t at) { return at < size && (bytes[at] & 0xC0U) == 0x80U; };
    while (i < size) {
        // Many plain bytes at once: no byte has its high bit set, and none is zero.
        i += plain(text.data() + i, size - i);
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

}  // namespace

std::size_t findInvalidUtf8(std::string_view text) {
#ifdef __SSE2__
    if (hasAvx2 && isValidAvx2(text)) return std::string_view::npos;
#endif
    return findInvalid(text, plainBytes);
}

namespace baseline {

#ifdef __SSE2__
Jump jumpOver(char opening, const char* at, const char* end, std::size_t levels, bool checks) {
    return jumpSse2(opening, at, end, levels, checks);
}

std::size_t findInvalidUtf8(std::string_view text) {
    return findInvalid(text, plainSse2);
}
#else
Jump jumpOver(char opening, const char* at, const char* end, std::size_t levels, bool checks) {
    return json::jumpOver(opening, at, end, levels, checks);
}

std::size_t findInvalidUtf8(std::string_view text) {
    return json::findInvalidUtf8(text);
}
#endif

}  // namespace baseline

}  // namespace fhir::json
