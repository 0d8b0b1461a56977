#include "cds-hooks/markdown.h"

#include <cstdint>

namespace cds_hooks {

namespace {

/// The code point that starts at `at`, and how many bytes it takes. The text is valid UTF-8.
std::pair<std::uint32_t, std::size_t> codePoint(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
    const std::uint32_t lead = byte(at);
    if (lead < 0x80 || at + 1 >= text.size()) return {lead, 1};
    if (lead < 0xE0) return {((lead & 0x1FU) << 6U) | (byte(at + 1) & 0x3FU), 2};
    if (lead < 0xF0 && at + 2 < text.size())
        return {((lead & 0x0FU) << 12U) | ((byte(at + 1) & 0x3FU) << 6U) | (byte(at + 2) & 0x3FU), 3};
    return {0x10000, at + 4 <= text.size() ? std::size_t{4} : text.size() - at};
}

/// Control characters, and the marks of Unicode's bidirectional algorithm (UAX 9, section 2), zero-width ones included.
bool isInvisible(std::uint32_t point) {
    return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0x061C ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF;
}

}  // namespace

std::string count(std::size_t number, std::string_view one, std::string_view many) {
    return std::to_string(number) + ' ' + std::string(number == 1 ? one : many);
}

std::size_t countCodePoints(std::string_view text) {
    std::size_t count = 0;
    for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    return count;
}

std::string shorten(std::string_view text, std::size_t most) {
    if (countCodePoints(text) <= most) return std::string(text);
    std::size_t at = 0;
    for (std::size_t count = 0; at < text.size() && count + 1 < most; ++count) at += codePoint(text, at).second;
    return std::string(text.substr(0, at)) + "…";
}

std::string printable(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto [point, length] = codePoint(text, at);
        if (point == '\n' || point == '\t' || point == '\r') {
            result += ' ';
        } else if (!isInvisible(point)) {
            result.append(text.substr(at, length));
        }
        at += length;
    }
    return result;
}

std::string escapeMarkdown(std::string_view text, std::size_t most) {
    const std::string cut = shorten(text, most);
    std::string escaped;
    escaped.reserve(cut.size() + 16);
    for (std::size_t at = 0; at < cut.size();) {
        const auto [point, length] = codePoint(cut, at);
        if (point == '\n' || point == '\t' || point == '\r') {
            escaped += ' ';
        } else if (isInvisible(point)) {
            // left out
        } else {
            switch (point) {
                case '<':
                    escaped += "&lt;";
                    break;
                case '>':
                    escaped += "&gt;";
                    break;
                case '&':
                    escaped += "&amp;";
                    break;
                case ':':
                    // "http:" alone would become a link.
                    escaped += cut.compare(at, 3, "://") == 0 ? "&#58;" : ":";
                    break;
                case '.':
                    // So would "www.".
                    escaped += at >= 3 && (cut.compare(at - 3, 3, "www") == 0 || cut.compare(at - 3, 3, "WWW") == 0)
                                   ? "&#46;"
                                   : ".";
                    break;
                case '@':
                    escaped += "&#64;&#8203;";  // an e-mail address would become a link
                    break;
                case '\\':
                case '`':
                case '*':
                case '_':
                case '[':
                case ']':
                case '|':
                case '~':
                case '#':
                    escaped += '\\';
                    escaped += static_cast<char>(point);
                    break;
                default:
                    escaped.append(cut, at, length);
            }
        }
        at += length;
    }
    return escaped;
}

}  // namespace cds_hooks
