#include "cds-hooks/output.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "cds-hooks/digest.h"
#include "cds-hooks/input.h"
#include "cds-hooks/screening.h"
#include "fhir/error.h"

namespace cds_hooks {

namespace {

namespace fs = std::filesystem;
using fhir::json::Value;

std::string commonProblem(Value line, const Knowledge& knowledge, const EvaluationDay& day) {
    if (line["patient"].text().empty()) return "is no result; --resume needs the output of an earlier run";
    if (line["knowledge"].text() != knowledge.digest)
        return "was made with other knowledge than " + knowledge.digest + "; begin a new output";
    if (day.asOf && line["asOf"].text() != day.asOf->text())
        return "is of another day than " + day.asOf->text() + "; begin a new output, or give --as-of";
    std::vector<std::string_view> trials;
    for (const Value trial : line["trials"].items()) trials.push_back(trial["trial"].text());
    const bool isSame = std::equal(trials.begin(), trials.end(), knowledge.trials.begin(), knowledge.trials.end(),
                                   [](std::string_view id, const rules::Trial& trial) { return id == trial.id; });
    for (const Value trial : line["trials"].items()) {
        if (!trial["criteria"].isArray()) return "is without evidence, as from a facts file; begin a new output";
    }
    return isSame ? "" : "is of other trials; begin a new output, or give the same --trial";
}

void writeFile(fhir::json::Writer& writer, const fs::path& file, std::uintmax_t bytes, const std::string& digest) {
    writer.beginObject()
        .member("file", nameOf(file.string()))
        .name("bytes")
        .number(static_cast<std::size_t>(bytes))
        .member("sha256", digest)
        .endObject();
}

/// The files of an input; what could not be read was reported and counted when it was to be evaluated.
void writeInput(fhir::json::Writer& writer, const std::string& input) {
    const auto writeProblem = [&](const std::string& file) {
        writer.beginObject().member("file", nameOf(file)).member("problem", "cannot be read").endObject();
    };
    std::vector<std::string> files;
    try {
        files = filesOf(input);
    } catch (const std::runtime_error&) {
        return writeProblem(input);
    }
    for (const std::string& file : files) {
        std::error_code error;
        const std::uintmax_t bytes = fs::file_size(file, error);
        try {
            if (error) throw std::runtime_error(error.message());
            writeFile(writer, file, bytes, sha256OfFile(file));
        } catch (const std::runtime_error&) {
            writeProblem(file);
        }
    }
}

}  // namespace

void writeWhole(const fs::path& file, std::string_view text) {
    const fs::path part = file.string() + ".part";
    std::ofstream stream(part, std::ios::binary);
    stream << text << '\n';
    stream.close();
    if (!stream) throw std::runtime_error(part.string() + ": cannot be written");
    fs::rename(part, file);
}

EarlierOutput::EarlierOutput(const fs::path& file, const Knowledge& knowledge, const EvaluationDay& day,
                             const std::function<std::string(Value line)>& problemOf) {
    if (!fs::exists(file)) return;
    std::ifstream stream(file, std::ios::binary);
    std::uintmax_t whole = 0;
    for (std::string line; std::getline(stream, line);) {
        if (stream.eof()) break;  // without its end: the run was killed while it wrote
        std::string problem;
        try {
            const fhir::json::Document document{line};
            problem = commonProblem(document.root(), knowledge, day);
            if (problem.empty()) problem = problemOf(document.root());
        } catch (const fhir::Error&) {
            problem = "is no result; --resume needs the output of an earlier run";
        }
        ++lines_;
        if (!problem.empty())
            throw std::runtime_error(file.string() + ": line " + std::to_string(lines_) + ": " + problem);
        whole += line.size() + 1;
    }
    fs::resize_file(file, whole);
}

void writeManifest(const fs::path& output, const Knowledge& knowledge, const EvaluationDay& day,
                   const std::vector<std::string>& inputs, const ChartCount& count) {
    fhir::json::Writer writer;
    writer.beginObject()
        .member("program", programVersion())
        .member("knowledge", knowledge.digest)
        .name("files")
        .beginArray();
    for (const auto& [name, digest] : knowledge.files)
        writer.beginObject().member("name", name).member("sha256", digest).endObject();
    writer.endArray().member("asOf", day.asOf ? day.asOf->text() : "latest").name("trials").beginArray();
    for (const rules::Trial& trial : knowledge.trials) writer.string(trial.id);
    writer.endArray().name("inputs").beginArray();
    for (const std::string& input : inputs) writeInput(writer, input);
    writer.endArray()
        .name("charts")
        .beginObject()
        .name("evaluated")
        .number(count.read)
        .name("failed")
        .number(count.failed)
        .endObject()
        .name("output");
    writeFile(writer, output, fs::file_size(output), sha256OfFile(output));
    writer.endObject();
    writeWhole(output.string() + ".manifest.json", writer.text());
}

}  // namespace cds_hooks
