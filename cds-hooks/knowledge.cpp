#include "cds-hooks/knowledge.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "cds-hooks/digest.h"
#include "cds-hooks/discovery.h"
#include "fhir/error.h"
#include "fhir/json.h"
#include "mapping/check.h"

namespace cds_hooks {

std::string readFile(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream || !std::filesystem::is_regular_file(path))
        throw std::runtime_error(path.string() + ": is not a file that can be read");
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

namespace {

bool isTrialFile(const std::string& name) {
    return name.starts_with("NCT") && name.ends_with(".json");
}

std::string digestOf(const std::vector<KnowledgeFile>& files) {
    std::string everything;
    for (const KnowledgeFile& file : files) everything += file.name + '\0' + file.text + '\0';
    return shortDigest(everything);
}

}  // namespace

std::vector<KnowledgeFile> knowledgeIn(const std::filesystem::path& folder) {
    std::vector<KnowledgeFile> files;
    std::filesystem::path vocabulary = folder / "facts.json";
    std::filesystem::path trials = folder;
    if (std::filesystem::exists(folder / "mapping" / "facts.json")) {
        vocabulary = folder / "mapping" / "facts.json";
        trials = folder / "rules" / "trials";
    }
    files.push_back({"facts.json", readFile(vocabulary)});
    const std::filesystem::path drugs = vocabulary.parent_path() / "drugs.json";
    if (std::filesystem::exists(drugs)) files.push_back({"drugs.json", readFile(drugs)});
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(trials, error)) {
        const std::string name = entry.path().filename().string();
        if (isTrialFile(name)) files.push_back({name, readFile(entry.path())});
    }
    if (error) throw std::runtime_error(trials.string() + ": " + error.message());
    return files;
}

KnowledgeFile siteFile(const std::filesystem::path& path) {
    return {path.filename().string(), readFile(path)};
}

Knowledge readKnowledge(const std::vector<KnowledgeFile>& files, std::vector<mapping::Problem>& problems,
                        const std::optional<KnowledgeFile>& site, std::optional<fhir::Date> today) {
    Knowledge knowledge;
    std::vector<KnowledgeFile> sorted = files;
    std::sort(sorted.begin(), sorted.end(),
              [](const KnowledgeFile& a, const KnowledgeFile& b) { return a.name < b.name; });
    const auto parse = [&](const KnowledgeFile& file, const auto& read) {
        try {
            const fhir::json::Document document(file.text);
            read(document.root());
        } catch (const fhir::Error& error) {
            problems.push_back({file.name, error.what()});
        }
    };
    bool hasVocabulary = false;
    for (const KnowledgeFile& file : sorted) {
        if (file.name != "facts.json") continue;
        hasVocabulary = true;
        parse(file, [&](fhir::json::Value root) {
            knowledge.vocabulary = mapping::Vocabulary::read(file.name, root, problems);
        });
    }
    if (!hasVocabulary) problems.push_back({"facts.json", "missing"});
    for (const KnowledgeFile& file : sorted) {
        if (file.name != "drugs.json") continue;
        parse(file, [&](fhir::json::Value root) { knowledge.vocabulary.readDrugs(file.name, root, problems); });
    }
    std::optional<fhir::json::Document> overlay;
    if (site) {
        try {
            overlay.emplace(site->text);
            // What a name means that stands twice is not guessed.
            if (!mapping::FileCheck(site->name, problems).namesStandOnce(overlay->root())) overlay.reset();
        } catch (const fhir::Error& error) {
            problems.push_back({site->name, error.what()});
        }
    }
    if (overlay) knowledge.vocabulary.readOverlay(site->name, overlay->root(), problems);
    for (const KnowledgeFile& file : sorted) {
        if (file.name == "facts.json" || file.name == "drugs.json") continue;
        if (!isTrialFile(file.name)) {
            problems.push_back(
                {file.name, "is neither facts.json nor drugs.json nor a trial file, which is named by its NCT number"});
            continue;
        }
        parse(file, [&](fhir::json::Value root) {
            rules::Trial trial = rules::readTrial(file.name, root, knowledge.vocabulary, problems);
            if (trial.id + ".json" != file.name)
                problems.push_back({file.name + ": /id", "'" + trial.id + "' is not the name of the file"});
            const bool twice = std::any_of(knowledge.trials.begin(), knowledge.trials.end(),
                                           [&](const rules::Trial& other) { return other.id == trial.id; });
            if (twice) problems.push_back({file.name, "this trial stands twice"});
            knowledge.trials.push_back(std::move(trial));
        });
    }
    const bool anyTrial =
        std::any_of(sorted.begin(), sorted.end(), [](const KnowledgeFile& file) { return isTrialFile(file.name); });
    if (!anyTrial) problems.push_back({"rules/trials", "no trial file (NCT….json)"});
    if (overlay)
        knowledge.site = readSite(site->name, overlay->root(), knowledge.vocabulary, knowledge.trials, problems, today);
    if (site) sorted.push_back(*site);
    knowledge.prefetch = prefetchTemplates(knowledge.vocabulary);
    // A trial with problems may name facts that are not there.
    if (problems.empty()) knowledge.gateCodes = GateCodes(knowledge.vocabulary, knowledge.trials);
    knowledge.digest = digestOf(sorted);
    for (const KnowledgeFile& file : sorted) {
        knowledge.files.emplace_back(file.name, sha256(file.text));
        const bool isOverlay = site && &file == &sorted.back();
        if (isOverlay || !isTrialFile(file.name)) knowledge.vocabularyFiles.push_back(knowledge.files.back());
    }
    return knowledge;
}

}  // namespace cds_hooks
