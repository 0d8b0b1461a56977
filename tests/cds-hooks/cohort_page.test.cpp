#include "cds-hooks/cohort_page.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "cds-hooks/replay.h"
#include "fhir/json.h"
#include "tests/page.h"
#include "tests/screened.h"
#include "tests/support.h"

// The page that a coordinator opens, as replay writes it: read as XML, and compared with the NDJSON of the same run.

namespace {

using cds_hooks::Format;
using cds_hooks::ReplayOptions;
using fhir::json::Document;
using fhir::json::Value;
using support::Folder;
using support::HtmlPage;
using support::Run;

std::vector<std::string> stories() {
    std::vector<std::string> all;
    for (const auto& story : std::filesystem::directory_iterator("fixtures/patients"))
        all.push_back((story.path() / "bundle.json").string());
    std::sort(all.begin(), all.end());
    return all;
}

ReplayOptions asking(const std::vector<std::string>& paths, const Folder& folder) {
    ReplayOptions options;
    options.charts.paths = paths;
    options.charts.coverage.setAll(fhir::Covered::completely);
    options.charts.day.asOf = options.charts.day.today = support::day("2025-11-13");
    options.report.format = Format::ndjson;
    options.report.cohort.page = folder / "report.html";
    options.output = folder / "out.ndjson";
    return options;
}

Run replay(const ReplayOptions& options) {
    return support::logged([&](std::ostream& out) { return cds_hooks::replay(support::knowledge(), options, out); });
}

std::string pageOf(const ReplayOptions& options) {
    return support::readFile(options.report.cohort.page.string());
}

/// The page of all stories, and its NDJSON.
struct Whole {
    std::string text;
    std::string lines;
};

const Whole& whole() {
    static const Whole page = [] {
        const Folder folder;
        const ReplayOptions options = asking(stories(), folder);
        const Run run = replay(options);
        REQUIRE_EQ(run.status, 0);
        return Whole{pageOf(options), support::readFile(options.output.string())};
    }();
    return page;
}

std::string amlChart(const std::string& id) {
    return support::bundleOf(
        {R"({"resourceType":"Patient","id":")" + id + R"(","gender":"male","birthDate":"1980-01-01"})",
         R"({"resourceType":"Condition","id":"aml","subject":{"reference":"Patient/)" + id +
             R"("},"clinicalStatus":{"coding":[{"code":"active"}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.02","display":"<img src=x onerror=alert(1)> & \"more\""}]}})"});
}

}  // namespace

TEST_CASE("the page is well-formed, and everything in it that points anywhere points into it") {
    const HtmlPage page(whole().text);
    const std::vector<std::string> ids = page.texts("//@id");
    const std::set<std::string> known(ids.begin(), ids.end());
    CHECK_EQ(known.size(), ids.size());
    const std::vector<std::string> links = page.texts("//@href");
    CHECK_GT(links.size(), 500);
    for (const std::string& link : links) {
        CAPTURE(link);
        REQUIRE(link.starts_with('#'));
        CHECK(known.contains(link.substr(1)));
    }
    for (const std::string& labels : page.texts("//@aria-labelledby")) {
        std::istringstream words(labels);
        for (std::string word; words >> word;) CHECK_MESSAGE(known.contains(word), word);
    }
    CHECK_EQ(page.count("//@src | //h:script | //h:link | //h:img | //h:iframe | //h:form | //@onclick | //@style"), 0);
    CHECK_EQ(whole().text.find("url("), std::string::npos);
    CHECK_EQ(whole().text.find("@import"), std::string::npos);
    CHECK_EQ(
        page.texts("//h:meta[@http-equiv='Content-Security-Policy']/@content"),
        std::vector<std::string>{"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"});
    CHECK_EQ(page.texts("/h:html/@lang"), std::vector<std::string>{"en"});
    CHECK(whole().text.starts_with("<!DOCTYPE html>\n"));
}

TEST_CASE("a screen reader finds headings in order, landmarks, captions, and words for every chart") {
    const HtmlPage page(whole().text);
    for (const char* landmark : {"header", "nav", "main", "footer"})
        CHECK_EQ(page.count("/h:html/h:body/h:" + std::string(landmark)), 1);
    CHECK_EQ(page.count("/h:html/h:body/*[1][self::h:a][@href='#main']"), 1);
    CHECK_EQ(page.count("//h:h1"), 1);
    // From level to level, and none is left out on the way down.
    std::size_t level = 0;
    const std::string& text = whole().text;
    for (std::size_t at = text.find("<h"); at != std::string::npos; at = text.find("<h", at + 1)) {
        const char digit = text[at + 2];
        if (digit < '1' || digit > '6') continue;
        const auto next = static_cast<std::size_t>(digit - '0');
        CHECK_LE(next, level + 1);
        level = next;
    }
    CHECK_EQ(level, 2);
    CHECK_GT(page.count("//h:table"), 10);
    CHECK_EQ(page.count("//h:table[not(h:caption)]"), 0);
    CHECK_EQ(page.count("//h:th[not(@scope)]"), 0);
    CHECK_EQ(page.count("//h:tbody/h:tr[not(h:th)]"), 0);
    CHECK_EQ(page.count("//h:table[not(parent::*[@tabindex='0'][@role='region'])]"), 0);
    CHECK_EQ(page.count("//s:svg"), support::knowledge().trials.size() + 1);
    CHECK_EQ(page.count("//s:svg[not(s:title) or not(s:desc) or @role!='img']"), 0);
    CHECK_EQ(page.count("//s:svg[not(following-sibling::h:div[1]/h:table)]"), 0);  // its numbers as a table
}

TEST_CASE("the numbers of the page are those of the NDJSON of the same run") {
    const HtmlPage page(whole().text);
    struct Count {
        std::size_t all = 0, disease = 0, considered = 0, candidate = 0, potential = 0;
    };
    std::map<std::string, Count> counts;
    std::map<std::string, std::set<std::string>> onList;  // "source status" by trial
    std::istringstream stream(whole().lines);
    for (std::string text; std::getline(stream, text);) {
        const Document document{text};
        const Value line = document.root();
        for (const Value trial : line["trials"].items()) {
            Count& count = counts[std::string(trial["trial"].text())];
            ++count.all;
            if (!trial["gate"].isTrue()) continue;
            ++count.disease;
            if (line["deceased"] || trial["researchSubject"] || trial["refused"]) continue;
            ++count.considered;
            if (trial["status"].text() == "ineligible") continue;
            ++(trial["status"].text() == "candidate" ? count.candidate : count.potential);
            onList[std::string(trial["trial"].text())].insert(std::string(line["source"]["file"].text()));
        }
    }
    const auto glance = page.table("glance-table");
    REQUIRE_EQ(glance.size(), support::knowledge().trials.size());
    for (const std::vector<std::string>& row : glance) {
        const std::string& id = row.at(0);
        const Count& count = counts.at(id);
        CAPTURE(id);
        CHECK_EQ(row.at(2), std::to_string(count.disease));
        CHECK_EQ(row.at(3), std::to_string(count.considered));
        CHECK_EQ(row.at(4), std::to_string(count.candidate));
        CHECK_EQ(row.at(5), std::to_string(count.potential));
        CHECK_EQ(row.at(6), std::to_string(count.considered - count.candidate - count.potential));

        const auto criteria = page.table(id + "-criteria");
        CHECK_EQ(criteria.at(0).at(3), std::to_string(count.all));
        CHECK_EQ(criteria.at(1).at(3), std::to_string(count.disease));
        CHECK_EQ(criteria.at(4).at(3), std::to_string(count.considered));
        CHECK_EQ(criteria.back().at(3), std::to_string(count.candidate + count.potential));
        // The bars say what the table says.
        const std::vector<std::string> bars = page.texts("//s:svg[s:title/@id='" + id + "-bars-title']/s:text");
        REQUIRE_EQ(bars.size(), 2 * (criteria.size() - 4));
        for (std::size_t i = 4; i < criteria.size(); ++i) {
            CHECK_EQ(bars[2 * (i - 4)], criteria[i][0]);
            const std::string left = i == 4 || criteria[i][2] == "0" ? "" : " (−" + criteria[i][2] + ")";
            CHECK_EQ(bars[2 * (i - 4) + 1], criteria[i][3] + left);
        }
        std::set<std::string> listed;
        for (const std::vector<std::string>& entry : page.table(id + "-worklist-table")) listed.insert(entry.at(6));
        CHECK_EQ(listed, onList[id]);
    }
}

TEST_CASE("a worklist leads to the evidence of its patients") {
    const HtmlPage page(whole().text);
    const std::string row = "//h:table[h:caption/@id='NCT07109518-worklist-table']/h:tbody/h:tr[1]";
    CHECK_EQ(page.texts(row + "/*[7]"),
             std::vector<std::string>{"fixtures/patients/nct07109518-only-questions-remain/bundle.json"});
    CHECK_EQ(page.texts(row + "/*[2]"), std::vector<std::string>{"candidate"});
    CHECK_EQ(page.texts(row + "/*[3]"), std::vector<std::string>{"nothing"});
    const std::string anchor = page.texts(row + "/h:th/h:a/@href").at(0).substr(1);
    const std::string article = "//h:article[h:h4/@id='" + anchor + "']";
    REQUIRE_EQ(page.count(article), 1);
    const std::string text = page.texts(article).at(0);
    for (const char* words : {"bundle.json; as of 2025-11-13", "NCT07109518: candidate", "Disease",
                              "For a person:", "LVEF", "Observation/", "(none on file is not a confirmed negative)"})
        CHECK_MESSAGE(text.find(words) != std::string::npos, words);
}

TEST_CASE("what is beyond the limit is counted, and the page says where it is") {
    const Folder folder;
    ReplayOptions options = asking(stories(), folder);
    options.report.cohort.most = 3;
    CHECK_EQ(replay(options).status, 0);
    const HtmlPage page(pageOf(options));
    const HtmlPage all(whole().text);
    for (const rules::Trial& trial : support::knowledge().trials) {
        const std::string name = trial.id + "-worklist-table";
        CHECK_EQ(page.table(name).size(), 3);
        const std::string more =
            "And " + std::to_string(all.table(name).size() - 3) + " more, for whom at least as much is missing";
        const std::vector<std::string> texts =
            page.texts("//h:section[@aria-labelledby='" + trial.id + "']/h:p[h:strong]");
        REQUIRE_EQ(texts.size(), 1);
        CHECK(texts.front().starts_with(more));
        CHECK(texts.front().find((folder / "out.ndjson").string()) != std::string::npos);
    }
    CHECK_LE(page.count("//h:article"), 15);
}

TEST_CASE("page and summary are the same for any number of threads, and for a run that goes on with an earlier one") {
    const Folder folder;
    std::vector<std::string> paths = stories();
    paths.insert(paths.begin() + 20, folder.write("broken.json", "{"));
    ReplayOptions options = asking(paths, folder);
    options.report.cohort.summary = true;
    options.report.cohort.most = 20;  // so that the evidence of some patients is not kept
    const Run first = replay(options);
    CHECK_EQ(first.status, 3);
    const std::string page = pageOf(options);
    const std::string lines = support::readFile(options.output.string());
    CHECK_NE(page.find("1 could not be read"), std::string::npos);
    CHECK_NE(page.find("broken.json</th><td>line 1, column 2"), std::string::npos);
    CHECK_NE(first.out.find("charts evaluated, 1 could not be read; as of 2025-11-13"), std::string::npos);
    for (const std::size_t threads : {2U, 4U}) {
        std::filesystem::remove(options.output);
        std::filesystem::remove(options.report.cohort.page);
        options.charts.threads = threads;
        CHECK_EQ(replay(options).out, first.out);
        CHECK(pageOf(options) == page);
    }
    options.resume = true;
    for (const std::size_t size : {std::size_t{0}, lines.size() / 3, lines.size() - 1, lines.size()}) {
        CAPTURE(size);
        std::ofstream(options.output) << lines.substr(0, size);
        std::filesystem::remove(options.report.cohort.page);
        CHECK_EQ(replay(options).out, first.out);
        CHECK(pageOf(options) == page);
    }
}

TEST_CASE("what a chart or a file name holds is text on the page, whatever it looks like") {
    const Folder folder;
    const std::string nasty = "<script>alert(1)<b>&amp;'";
    const std::vector<std::string> paths{folder.write("a<b>&\"'.json", amlChart(nasty)),
                                         folder.write("caf\xE9.json", amlChart("latin1")),  // a name that is no UTF-8
                                         folder.write("odd.json", amlChart("x\xEF\xBF\xBF\xE2\x80\xAEy\\u0007"))};
    const ReplayOptions options = asking(paths, folder);
    const Run run = replay(options);
    CAPTURE(run.log);
    CHECK_EQ(run.status, 0);
    const HtmlPage page(pageOf(options));
    CHECK_EQ(page.count("//h:script | //h:img"), 0);
    const std::vector<std::string> names = page.texts("//h:article/h:h3");
    CHECK_EQ(names, std::vector<std::string>{"Patient/" + nasty, "Patient/latin1", "Patient/xy"});
    CHECK_NE(page.texts("//h:article[1]").at(0).find("<img src=x onerror=alert(1)> & \"more\""), std::string::npos);
    CHECK_NE(page.texts("//h:article[1]/h:p[1]").at(0).find("a<b>&\"'.json; as of"), std::string::npos);
    CHECK_NE(page.texts("//h:article[2]/h:p[1]").at(0).find("caf%E9.json"), std::string::npos);
}

TEST_CASE("an empty cohort, and one without a disease of any trial, have a page that says so") {
    const Folder folder;
    const std::string healthy =
        folder.write("a.json", support::bundleOf({R"({"resourceType":"Patient","id":"a","birthDate":"1980-05-01"})"}));
    for (const auto& path : {healthy, (folder / "none.json").string()}) {
        ReplayOptions options = asking({path}, folder);
        std::filesystem::remove(options.output);
        CHECK_EQ(replay(options).status, path == healthy ? 0 : 3);
        const HtmlPage page(pageOf(options));
        CHECK_EQ(page.count("//s:svg"), 0);
        CHECK_EQ(page.count("//h:p[.='Nobody is on the worklist of this trial.']"), support::knowledge().trials.size());
        CHECK_EQ(page.table("all-table").at(0).at(4), path == healthy ? "1" : "0");
    }
}

TEST_CASE("the summary takes the place of the reports, and goes beside a file of them") {
    const Folder folder;
    ReplayOptions options = asking(stories(), folder);
    options.report.cohort.page.clear();
    options.report.cohort.summary = true;
    const Run beside = replay(options);
    CHECK_EQ(beside.out.find('{'), std::string::npos);
    options.output.clear();
    options.report.format = Format::none;
    CHECK_EQ(replay(options).out, beside.out);
    CHECK_EQ(beside.out.find("Patient/"), std::string::npos);  // counts alone
}

TEST_CASE("a page that cannot be written is said before the run, or after it with status 3") {
    const Folder folder;
    ReplayOptions options = asking({folder.write("a.json", amlChart("a"))}, folder);
    const auto problems = [&] {
        std::string text;
        for (const mapping::Problem& problem :
             cds_hooks::problemsOfOutput(options.output, options.resume, options.report))
            text += problem.text() + '\n';
        return text;
    };
    CHECK_EQ(problems(), "");
    options.report.cohort.page = folder.path();
    CHECK_EQ(problems(), "--report: " + folder.path().string() + ": no file can be written there\n");
    options.report.cohort.page = folder / "none" / "report.html";
    CHECK_NE(problems().find("report.html: no file can be written there"), std::string::npos);
    const Run late = replay(options);
    CHECK_EQ(late.status, 3);
    CHECK(late.says("--report: "));
    CHECK_FALSE(std::filesystem::exists(options.report.cohort.page));
    std::filesystem::remove(options.output);
    options.report.cohort.page = options.output;
    CHECK_EQ(problems(), "--report: is the file of --output as well\n");
    options.report.cohort.page = folder / "report.html";
    options.report.explain = "inc.01";
    CHECK_NE(problems().find("--explain: does not go with --summary and --report"), std::string::npos);
}

TEST_CASE("no page is written when the reports could not be: it would miss charts") {
    const Folder folder;
    ReplayOptions options = asking({folder.write("a.json", amlChart("a"))}, folder);
    options.output.clear();
    std::ostream broken(nullptr);
    const Run run =
        support::logged([&](std::ostream&) { return cds_hooks::replay(support::knowledge(), options, broken); });
    CHECK_EQ(run.status, 3);
    CHECK(run.says("no summary is written"));
    CHECK_FALSE(std::filesystem::exists(options.report.cohort.page));
}
