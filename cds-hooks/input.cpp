#include "cds-hooks/input.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "fhir/scan.h"

namespace cds_hooks {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 6> chartFiles{".json",    ".ndjson",    ".jsonl",
                                                     ".json.gz", ".ndjson.gz", ".jsonl.gz"};

bool holdsLines(std::string_view name) {
    return name.ends_with(".ndjson") || name.ends_with(".jsonl") || name.ends_with(".ndjson.gz") ||
           name.ends_with(".jsonl.gz");
}

/// A file or standard input, unpacked while it is read. zlib hands plain files through as they are.
class Stream {
public:
    explicit Stream(const std::string& path)
        : file_(path == "-" ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path.c_str(), "rb"), &gzclose) {
        if (file_ == nullptr) problem_ = std::strerror(errno == 0 ? ENOMEM : errno);
        if (file_ != nullptr) gzbuffer(file_.get(), 1U << 18U);
    }

    /// The next bytes; empty at the end or after a problem.
    std::string_view read() {
        if (file_ == nullptr || !problem_.empty()) return {};
        const int count = gzread(file_.get(), buffer_.data(), static_cast<unsigned>(buffer_.size()));
        int error = 0;
        const char* message = gzerror(file_.get(), &error);
        if (error == Z_ERRNO) {
            problem_ = std::strerror(errno);
        } else if (error != Z_OK && error != Z_STREAM_END) {
            problem_ = error == Z_BUF_ERROR ? "the compressed data ends too early" : message;
        }
        return count <= 0 ? std::string_view() : std::string_view(buffer_.data(), static_cast<std::size_t>(count));
    }

    const std::string& problem() const { return problem_; }

private:
    std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
    std::array<char, 1 << 16> buffer_{};
    std::string problem_;
};

bool isBlank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n\xEF\xBB\xBF") == std::string_view::npos;
}

/// "{...}\n{": the first line is a whole object and another one follows. Nothing while the second has not been seen.
std::optional<bool> looksLikeLines(std::string_view text) {
    const std::size_t start = text.find_first_not_of("\xEF\xBB\xBF \t\r\n");
    if (start == std::string_view::npos) return std::nullopt;
    if (text[start] != '{') return false;
    const std::size_t lineEnd = text.find('\n', start);
    if (lineEnd == std::string_view::npos) return std::nullopt;
    const std::size_t next = text.find_first_not_of(" \t\r\n", lineEnd);
    if (next == std::string_view::npos) return std::nullopt;
    const std::size_t last = text.find_last_not_of(" \t\r\n", lineEnd);
    return last > start && text[last] == '}' && text[next] == '{';
}

class Reader {
public:
    Reader(std::size_t mostBytes, const std::function<bool(Input)>& take) : mostBytes_(mostBytes), take_(take) {}

    bool readPath(const std::string& path) {
        std::error_code error;
        if (path == "-" || !fs::is_directory(path, error))
            return readFile(path, path == "-" ? "(standard input)" : nameOf(path));
        std::vector<std::string> files;
        try {
            files = filesOf(path);
        } catch (const std::runtime_error& failure) {
            return take_({{nameOf(path), 0}, "", failure.what(), {}});
        }
        if (files.empty() && !take_({{nameOf(path), 0}, "", "the folder holds no .json or .ndjson file", {}}))
            return false;
        return std::all_of(files.begin(), files.end(),
                           [&](const std::string& file) { return readFile(file, nameOf(file)); });
    }

private:
    bool readFile(const std::string& path, const std::string& name) {
        Stream stream(path);
        bool lines = holdsLines(name);
        bool decided = lines;
        std::string text;
        std::size_t line = 1;
        bool tooLong = false;
        std::size_t longAt = 0;  // where the line that is too long begins
        bool any = false;
        bool sawLineBreak = false;
        std::size_t searched = 0;  // of text: no line break before it
        std::size_t offset = 0;    // of text in the file
        const auto hand = [&](std::string whole, std::size_t number, const std::string& problem, std::size_t at = 0) {
            any = true;
            return take_({{name, number, {}, at}, std::move(whole), problem, {}});
        };
        const std::string limit = "larger than the limit of " + std::to_string(mostBytes_) + " bytes";
        // Cuts off whole lines; what is too long is dropped up to its end.
        const auto handLines = [&]() {
            std::size_t start = 0;
            for (std::size_t end = text.find('\n', searched); end != std::string::npos; end = text.find('\n', start)) {
                std::string_view one = std::string_view(text).substr(start, end - start);
                const std::size_t at = offset + start;
                start = end + 1;
                const std::size_t number = line++;
                if (tooLong) {
                    tooLong = false;
                    if (!hand("", number, limit, longAt)) return false;
                } else if (!isBlank(one) && !hand(std::string(one), number, "", at)) {
                    return false;
                }
            }
            text.erase(0, start);
            offset += start;
            if (text.size() > mostBytes_) {
                if (!tooLong) longAt = offset;
                tooLong = true;
                offset += text.size();
                text.clear();
            }
            searched = text.size();
            return true;
        };
        while (true) {
            const std::string_view bytes = stream.read();
            if (bytes.empty()) break;
            // A first line can be as long as a chart: it is not searched again and again.
            const bool lineBreak = !decided && (sawLineBreak || bytes.find('\n') != std::string_view::npos);
            sawLineBreak = lineBreak;
            text.append(bytes);
            if (lineBreak && !isBlank(bytes)) {
                if (const auto answer = looksLikeLines(text)) {
                    decided = true;
                    lines = *answer;
                }
            }
            if (lines) {
                if (!handLines()) return false;
            } else if (text.size() > mostBytes_) {
                return hand("", 0, limit);
            }
        }
        if (!decided) lines = looksLikeLines(text).value_or(false);
        const bool isBegun = line > 1 || !text.empty();
        if (!stream.problem().empty()) return hand("", lines && isBegun ? line : 0, stream.problem(), offset);
        if (!lines) return isBlank(text) ? hand("", 0, "the file is empty") : hand(std::move(text), 0, "");
        text += '\n';
        if (!handLines()) return false;
        return any || hand("", 0, "the file is empty");
    }

    std::size_t mostBytes_;
    const std::function<bool(Input)>& take_;
};

}  // namespace

std::string nameOf(const std::string& path) {
    if (fhir::json::findInvalidUtf8(path) == std::string_view::npos) return path;
    std::string name;
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        constexpr std::string_view digits = "0123456789ABCDEF";
        if (byte < 0x80 && c != '%') {
            name += c;
        } else {
            name += {'%', digits[byte >> 4U], digits[byte & 15U]};
        }
    }
    return name;
}

std::vector<std::string> filesOf(const std::string& path) {
    std::error_code error;
    if (path == "-") return {};
    if (!fs::is_directory(path, error)) return {path};
    std::vector<std::string> files;
    for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().string();
        std::error_code ignored;
        const bool isChart = std::any_of(chartFiles.begin(), chartFiles.end(),
                                         [&](std::string_view ending) { return name.ends_with(ending); });
        if (isChart && entry->is_regular_file(ignored)) files.push_back(name);
    }
    if (error) throw std::runtime_error(error.message());
    std::sort(files.begin(), files.end());
    return files;
}

void readInputs(const std::vector<std::string>& paths, std::size_t mostBytes, const std::function<bool(Input)>& take) {
    Reader reader(mostBytes, take);
    for (const std::string& path : paths) {
        if (!reader.readPath(path)) return;
    }
}

}  // namespace cds_hooks
