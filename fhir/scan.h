#pragma once

#include <cstddef>
#include <string_view>

/// Reading many bytes of a JSON text at once. With SSE2, which every x86-64 has, 16 or 64 of them; elsewhere one by
/// one.
namespace fhir::json {

/// The first quote, backslash or control character of the text at or after `at`; `end` when there is none.
const char* findStringEnd(const char* at, const char* end);

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
/// brackets is not read.
Jump jumpOver(char opening, const char* at, const char* end, std::size_t levels);

/// Where invalid UTF-8 (RFC 3629) or a NUL begins; npos when the text is sound.
std::size_t findInvalidUtf8(std::string_view text);

}  // namespace fhir::json
