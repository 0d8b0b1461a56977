#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace fhir {

/// Input that cannot be read at all: broken JSON, no Bundle, no Patient. Caught once, at the program's edge.
///
/// `path` is the place in the input ("entry[3].resource", "line 4, column 17"), `what()` names place and reason.
/// Neither holds a value of the input, since errors are logged and charts are not.
class Error : public std::runtime_error {
public:
    Error(std::string path, std::string_view message)
        : std::runtime_error(path.empty() ? std::string(message) : path + ": " + std::string(message)),
          path_(std::move(path)) {}

    const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace fhir
