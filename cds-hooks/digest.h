#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace cds_hooks {

/// Bytes as hexadecimal digits, lower case.
std::string hexadecimal(std::string_view bytes);

/// The SHA-256 of a text in 64 hexadecimal digits.
std::string sha256(std::string_view text);

/// The same of a file. Errors: std::runtime_error names it when it cannot be read.
std::string sha256OfFile(const std::filesystem::path& file);

/// The first 16 digits: enough to tell apart what one site sees.
std::string shortDigest(std::string_view text);

}  // namespace cds_hooks
