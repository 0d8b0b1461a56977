#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"

// One line of rooms: fhir <- mapping <- rules <- cds-hooks. A file includes its own room and rooms to its left.

namespace {

constexpr std::array<std::string_view, 5> rooms{"fhir", "mapping", "rules", "cds-hooks", "tests"};

std::optional<std::size_t> roomOf(std::string_view path) {
    const auto found = std::find(rooms.begin(), rooms.end(), path.substr(0, path.find('/')));
    if (path.find('/') == std::string_view::npos || found == rooms.end()) return std::nullopt;
    return static_cast<std::size_t>(found - rooms.begin());
}

std::string_view fileName(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}
std::string_view stem(std::string_view path) {
    return fileName(path).substr(0, fileName(path).find('.'));
}

struct Include {
    std::string target;
    bool ours = false;  ///< written with quotes
};

std::vector<Include> includesOf(const std::string& source) {
    std::vector<Include> includes;
    std::istringstream stream(source);
    for (std::string line; std::getline(stream, line);) {
        const std::size_t hash = line.find_first_not_of(" \t");
        if (hash == std::string::npos || line[hash] != '#') continue;
        const std::size_t word = line.find_first_not_of(" \t", hash + 1);
        if (word == std::string::npos || line.compare(word, 7, "include") != 0) continue;
        const std::size_t open = line.find_first_of("\"<", word + 7);
        if (open == std::string::npos) continue;
        const std::size_t close = line.find(line[open] == '<' ? '>' : '"', open + 1);
        if (close != std::string::npos)
            includes.push_back({line.substr(open + 1, close - open - 1), line[open] == '"'});
    }
    return includes;
}

/// A library and the only places that may know it. A test may know what the file it tests knows.
struct Library {
    std::vector<std::string_view> prefixes;
    bool (*mayKnow)(std::string_view file);
    std::string_view where;
};

bool isIn(std::string_view file, std::string_view room) {
    return file.starts_with(room) || file.starts_with("tests/" + std::string(room));
}

const std::array<Library, 7> libraries{{
    {{"cpprest/", "pplx/"},
     [](std::string_view file) {
         return isIn(file, "cds-hooks/") && (stem(file) == "transport" || stem(file) == "listener");
     },
     "the transport and listener of cds-hooks"},
    {{"rapidjson/"}, [](std::string_view file) { return isIn(file, "fhir/"); }, "fhir"},
    {{"CLI/"},
     [](std::string_view file) {
         return isIn(file, "cds-hooks/") && (stem(file) == "main" || stem(file) == "configuration");
     },
     "cds-hooks/main.cpp and the configuration"},
    {{"sqlite3.h"},
     [](std::string_view file) {
         return isIn(file, "cds-hooks/") && (stem(file) == "sqlite" || stem(file) == "store");
     },
     "cds-hooks/sqlite"},
    {{"libpq-fe.h"},
     [](std::string_view file) { return file == "cds-hooks/postgres_store.cpp"; },
     "cds-hooks/postgres_store.cpp"},
    {{"prometheus/"}, [](std::string_view file) { return file == "cds-hooks/metrics.cpp"; }, "cds-hooks/metrics.cpp"},
    {{"curl/"}, [](std::string_view file) { return isIn(file, "fhir/") && stem(file) == "client"; }, "fhir/client"},
}};

/// Everything that one file includes and should not.
std::vector<std::string> trespasses(const std::string& file, const std::string& source) {
    std::vector<std::string> found;
    const auto own = roomOf(file);
    REQUIRE(own.has_value());
    for (const Include& include : includesOf(source)) {
        const auto other = roomOf(include.target);
        if (include.ours && !other)
            found.push_back(file + " includes \"" + include.target + "\", not written from the root");
        if (other && !include.ours) found.push_back(file + " includes <" + include.target + "> of ours as a library");
        if (other && *other > *own)
            found.push_back(file + " in " + std::string(rooms[*own]) + " knows " + include.target);
        for (const Library& library : libraries) {
            for (const std::string_view prefix : library.prefixes) {
                if (include.target.starts_with(prefix) && !library.mayKnow(file))
                    found.push_back(file + " knows " + include.target + ", which belongs to " +
                                    std::string(library.where));
            }
        }
    }
    return found;
}

std::map<std::string, std::string> sources() {
    std::map<std::string, std::string> result;
    for (const std::string_view room : rooms) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(room))) {
            const std::string extension = entry.path().extension().string();
            if (!entry.is_regular_file() || (extension != ".h" && extension != ".cpp")) continue;
            const std::string path = entry.path().generic_string();
            result.emplace(path, support::readFile(path));
        }
    }
    return result;
}

}  // namespace

TEST_CASE("includes point left: fhir, mapping, rules, cds-hooks") {
    std::map<std::string_view, int> files;
    for (const auto& [file, source] : sources()) {
        ++files[rooms[*roomOf(file)]];
        for (const std::string& trespass : trespasses(file, source)) FAIL_CHECK(trespass);
    }
    for (const std::string_view room : rooms) CHECK_MESSAGE(files[room] > 3, room << " was not read");
}

TEST_CASE("every include of ours names a file of the tree") {
    int includes = 0;
    for (const auto& [file, source] : sources()) {
        const auto& where = file;  // clang 14 captures no structured binding
        for (const Include& include : includesOf(source)) {
            if (!include.ours) continue;
            ++includes;
            CHECK_MESSAGE(std::filesystem::is_regular_file(include.target), where << " includes " << include.target);
        }
    }
    CHECK(includes > 50);
}

TEST_CASE("a room that looks right, or a library in the wrong place, is found") {
    struct Row {
        std::string file, source;
        std::size_t found;
    };
    const std::vector<Row> table{
        {"fhir/date.h", "#include \"mapping/fact.h\"\n", 1},
        {"fhir/date.h", "#  include  \"rules/truth.h\"\n", 1},
        {"mapping/fact.h", "#include \"fhir/date.h\"\n#include \"mapping/interval.h\"\n", 0},
        {"mapping/fact.h", "#include \"rules/truth.h\"\n", 1},
        {"rules/judge.cpp", "#include \"cds-hooks/card.h\"\n#include \"mapping/fact.h\"\n", 1},
        {"rules/judge.cpp", "#include \"judge.h\"\n", 1},
        {"rules/judge.cpp", "#include <rules/judge.h>\n", 1},
        {"cds-hooks/card.cpp", "#include \"tests/support.h\"\n", 1},
        {"tests/rules/judge.test.cpp", "#include \"cds-hooks/card.h\"\n", 0},
        {"cds-hooks/card.cpp", "#include <cpprest/json.h>\n", 1},
        {"cds-hooks/listener.cpp", "#include <cpprest/http_listener.h>\n#include <pplx/pplx.h>\n", 0},
        {"fhir/json.h", "#include <rapidjson/reader.h>\n", 0},
        {"mapping/vocabulary.cpp", "#include <rapidjson/reader.h>\n", 1},
        {"cds-hooks/main.cpp", "#include <CLI/CLI.hpp>\n", 0},
        {"cds-hooks/serve.cpp", "#include <CLI/CLI.hpp>\n", 1},
        {"fhir/bundle.cpp", "#include <curl/curl.h>\n", 1},
        {"fhir/bundle.cpp", "// #include \"rules/truth.h\"\n#include <vector>\n", 0},
    };
    for (const Row& row : table) {
        CAPTURE(row.file);
        CAPTURE(row.source);
        CHECK(trespasses(row.file, row.source).size() == row.found);
    }
}
