#include "tests/support.h"

#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace support {

const cds_hooks::Knowledge& knowledge() {
    static const cds_hooks::Knowledge loaded = [] {
        std::vector<mapping::Problem> problems;
        cds_hooks::Knowledge result = cds_hooks::readKnowledge(cds_hooks::knowledgeIn("."), problems);
        for (const mapping::Problem& problem : problems) FAIL_CHECK(problem.text());
        REQUIRE(problems.empty());
        return result;
    }();
    return loaded;
}

std::string readFile(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    REQUIRE_MESSAGE(stream.good(), path);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

Folder::Folder() {
    char name[] = "/tmp/cd7match-test-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
}

std::string Folder::write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
}

std::string Folder::gzip(const std::string& name, const std::string& text) const {
    const std::string file = (path_ / name).string();
    const gzFile stream = gzopen(file.c_str(), "wb");
    gzwrite(stream, text.data(), static_cast<unsigned>(text.size()));
    gzclose(stream);
    return file;
}

fhir::Date day(std::string_view text) {
    const auto date = fhir::Date::parse(text);
    REQUIRE(date.has_value());
    return *date;
}

fhir::Coverage covering(const std::vector<std::string>& types) {
    fhir::Coverage coverage;
    for (const std::string& type : types) coverage.set(type, fhir::Covered::completely);
    return coverage;
}

std::string bundleOf(const std::vector<std::string>& resources) {
    std::string bundle = R"({"resourceType":"Bundle","type":"collection","entry":[)";
    for (std::size_t i = 0; i < resources.size(); ++i)
        bundle += (i == 0 ? "" : ",") + (R"({"resource":)" + resources[i] + "}");
    return bundle + "]}";
}

fhir::Chart chartOf(std::string bundle, const fhir::Coverage& coverage) {
    return fhir::readBundle(std::make_shared<fhir::json::Document>(std::move(bundle), fhir::json::Selection::elements),
                            coverage);
}

cds_hooks::Screening screen(std::string bundle, std::string_view asOf, const fhir::Coverage& coverage) {
    return cds_hooks::screen(knowledge(), chartOf(std::move(bundle), coverage), day(asOf));
}

const rules::Finding& finding(const cds_hooks::Screening& screening, std::string_view trial,
                              std::string_view criterion) {
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        if (evaluation.trial->id != trial) continue;
        for (const rules::Finding& candidate : evaluation.findings) {
            if (candidate.criterion->id == criterion) return candidate;
        }
    }
    FAIL("no criterion " << trial << '.' << criterion);
    throw std::logic_error("unreachable");
}

std::string truth(const cds_hooks::Screening& screening, std::string_view trial, std::string_view criterion) {
    return std::string(rules::word(finding(screening, trial, criterion).outcome.truth));
}

std::string basis(const cds_hooks::Screening& screening, std::string_view trial, std::string_view criterion) {
    return std::string(mapping::word(finding(screening, trial, criterion).outcome.basis));
}

}  // namespace support
