// Writes the made-up charts that bench/replay measures with, and whoever needs many charts.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "bench/generator.h"
#include "fhir/json.h"

namespace {

namespace fs = std::filesystem;

constexpr int cannotWrite = 1;
constexpr int usageError = 2;
constexpr std::size_t bufferBytes = std::size_t{1} << 20;

/// A file that says so when it could not be written.
class File {
public:
    explicit File(const fs::path& path) : path_(path), buffer_(std::make_unique<char[]>(bufferBytes)) {
        stream_.rdbuf()->pubsetbuf(buffer_.get(), bufferBytes);
        stream_.open(path, std::ios::binary | std::ios::trunc);
        if (!stream_) throw std::runtime_error(path.string() + ": cannot be written");
    }

    void writeLine(std::string_view text) {
        stream_ << text << '\n';
        ++lines_;
        if (!stream_) throw std::runtime_error(path_.string() + ": cannot be written");
    }

    void close() {
        stream_.close();
        if (!stream_) throw std::runtime_error(path_.string() + ": cannot be written");
    }

    const fs::path& path() const { return path_; }
    std::size_t lines() const { return lines_; }

private:
    fs::path path_;
    std::unique_ptr<char[]> buffer_;
    std::ofstream stream_;
    std::size_t lines_ = 0;
};

struct Options {
    bench::Corpus corpus = bench::Corpus::synthea;
    std::uint64_t patients = 1000;
    std::uint64_t seed = 1;
    std::uint64_t perFile = 100'000;
    bool isBulk = false;
    std::string output;
};

void writeBundles(const Options& options) {
    if (options.output == "-") {
        for (std::uint64_t i = 0; i < options.patients && std::cout; ++i)
            std::cout << bench::bundle(bench::patient(options.corpus, options.seed, i)) << '\n';
        std::cout.flush();
        if (!std::cout) throw std::runtime_error("standard output cannot be written");
        return;
    }
    File file(options.output);
    for (std::uint64_t i = 0; i < options.patients; ++i)
        file.writeLine(bench::bundle(bench::patient(options.corpus, options.seed, i)));
    file.close();
}

/// The files of one resource type, each with at most so many lines: Patient.000.ndjson, Patient.001.ndjson.
struct Type {
    std::unique_ptr<File> file;
    std::size_t files = 0;
};

class BulkFolder {
public:
    explicit BulkFolder(const Options& options) : options_(options), folder_(options.output) {
        fs::create_directories(folder_);
        if (!fs::is_empty(folder_)) throw std::runtime_error(options.output + ": is not empty");
        manifest_.beginObject()
            .member("transactionTime", "2025-11-13T00:00:00Z")
            .member("request", "https://ehr.example/fhir/$export")
            .name("requiresAccessToken")
            .boolean(false)
            .name("output")
            .beginArray();
    }

    void write() {
        for (std::uint64_t i = 0; i < options_.patients; ++i) {
            for (const bench::Resource& resource : bench::patient(options_.corpus, options_.seed, i)) add(resource);
        }
        for (auto& [name, type] : types_) finish(name, type);
        manifest_.endArray().name("deleted").beginArray().endArray().name("error").beginArray().endArray().endObject();
        File manifest(folder_ / "manifest.json");
        manifest.writeLine(manifest_.text());
        manifest.close();
    }

private:
    void add(const bench::Resource& resource) {
        Type& type = types_[resource.type];
        if (type.file != nullptr && type.file->lines() == options_.perFile) finish(resource.type, type);
        if (type.file == nullptr) {
            std::string number = std::to_string(type.files++);
            number.insert(0, number.size() < 3 ? 3 - number.size() : 0, '0');
            type.file = std::make_unique<File>(folder_ / (std::string(resource.type) + '.' + number + ".ndjson"));
        }
        type.file->writeLine(resource.text);
    }

    void finish(std::string_view name, Type& type) {
        type.file->close();
        manifest_.beginObject()
            .member("type", name)
            .member("url", "https://ehr.example/fhir/bulk/" + type.file->path().filename().string())
            .name("count")
            .number(type.file->lines())
            .endObject();
        type.file.reset();
    }

    const Options& options_;
    fs::path folder_;
    std::map<std::string_view, Type> types_;
    fhir::json::Writer manifest_;
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"cd7match-corpus: made-up charts of many patients, the same for the same seed"};
    Options options;
    const std::map<std::string, bench::Corpus> kinds{
        {"synthea", bench::Corpus::synthea}, {"mii", bench::Corpus::mii}, {"oncology", bench::Corpus::oncology}};
    app.add_option("--kind", options.corpus,
                   "synthea (default): a general population with claims and narratives, 100 KB a patient; mii: a "
                   "German hospital, "
                   "30 KB; oncology: a haematological ward, 60 KB")
        ->transform(CLI::CheckedTransformer(kinds, CLI::ignore_case).description("{synthea,mii,oncology}"));
    app.add_option("--patients", options.patients, "How many")->capture_default_str();
    app.add_option("--seed", options.seed, "Another seed, other charts")->capture_default_str();
    std::string layout = "bundles";
    app.add_option("--layout", layout,
                   "bundles: NDJSON, a Bundle for each patient; bulk: a folder as a bulk export leaves it, NDJSON by "
                   "resource type with a manifest.json")
        ->capture_default_str()
        ->check(CLI::IsMember({"bundles", "bulk"}));
    app.add_option("--lines", options.perFile, "With --layout bulk: resources in a file at most")
        ->capture_default_str()
        ->check(CLI::Range(1, 1'000'000'000));
    app.add_option("--output", options.output, "File, or - for standard output; with --layout bulk an empty folder")
        ->required();
    app.footer(
        "Examples:\n"
        "  cd7match-corpus --kind synthea --patients 20000 --output synthea.ndjson\n"
        "  cd7match-corpus --kind mii --patients 1000 --seed 7 --output - | cd7match replay -\n"
        "  cd7match-corpus --kind oncology --patients 500 --layout bulk --output export/\n"
        "Exit status: 0 written, 1 could not be written, 2 usage.");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : usageError;
    }
    options.isBulk = layout == "bulk";
    try {
        if (options.isBulk) {
            BulkFolder(options).write();
        } else {
            writeBundles(options);
        }
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return cannotWrite;
    }
}
