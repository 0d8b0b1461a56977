#include "rules/trial.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cds-hooks/knowledge.h"
#include "fhir/json.h"
#include "tests/support.h"

namespace {

struct Read {
    rules::Trial trial;
    std::vector<std::string> problems;
};

Read readTrial(const std::string& text, std::string_view file = "NCT00000000.json") {
    const fhir::json::Document document(text);
    std::vector<mapping::Problem> problems;
    Read result;
    result.trial = rules::readTrial(file, document.root(), support::knowledge().vocabulary, problems);
    for (const mapping::Problem& problem : problems) result.problems.push_back(problem.text());
    return result;
}

/// A trial file that is sound but for its criteria and gate.
std::string fileOf(const std::string& inclusion, const std::string& exclusion = "",
                   const std::string& gate = R"("inc.01")") {
    return R"({"id":"NCT00000000","title":"A made-up trial","sponsor":"Nobody","phase":"Phase 1",
        "status":{"value":"recruiting","asOf":"2025-11-13"},"gate":[)" +
           gate + R"(],"ages":{"minimum":"18 Years","maximum":"70 Years"},"sex":"all",
        "locations":["Nowhere"],"source":"https://example.org/","inclusion":[)" +
           inclusion + R"(],"exclusion":[)" + exclusion + "]}";
}

const std::string aml = R"({"id":"inc.01","text":"AML","when":"acuteMyeloidLeukemia"})";

bool holds(const std::vector<std::string>& problems, const std::string& wanted) {
    return std::find(problems.begin(), problems.end(), wanted) != problems.end();
}

/// The problems of one criterion that stands at /inclusion/1.
std::vector<std::string> problemsOf(const std::string& criterion) {
    return readTrial(fileOf(aml + "," + criterion)).problems;
}

std::vector<std::string> linesOf(const std::string& path) {
    std::istringstream stream(support::readFile(path));
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

}  // namespace

TEST_CASE("a sound trial file is read without a problem") {
    const Read read =
        readTrial(fileOf(aml + R"(,{"id":"inc.02","text":"Heart.","when":"lvef >= 50 %","reading":"At the limit."},
        {"id":"inc.03","text":"One of:","any":[{"id":"inc.03a","text":"a","when":"gilbertSyndrome"},"dementia"]},
        {"id":"inc.04","text":"Both:","when":{"all":[{"ref":"inc.04a"},{"not":{"ref":"inc.02"}}]},
         "parts":[{"id":"inc.04a","text":"p","when":{"ask":"Really?","favourable":true,"by":"investigator","note":"n"}}]})",
                         R"({"id":"exc.01","text":"Epilepsy","status":"ever","when":"epilepsy"})"));
    for (const std::string& problem : read.problems) FAIL_CHECK(problem);
    const rules::Trial& trial = read.trial;
    CHECK(trial.id == "NCT00000000");
    CHECK(trial.recruits());
    std::vector<std::string> ids;
    for (const rules::Criterion& criterion : trial.criteria) ids.push_back(criterion.id);
    CHECK(ids == std::vector<std::string>{"inc.01", "inc.02", "inc.03", "inc.03a", "inc.04", "inc.04a", "exc.01"});
    REQUIRE(trial.find("inc.03a") != nullptr);
    CHECK_FALSE(trial.find("inc.03a")->required);
    CHECK(trial.find("inc.03")->required);
    CHECK(trial.find("inc.03")->group);
    CHECK(trial.find("inc.03")->when.kind == rules::Rule::Kind::any);
    CHECK(trial.find("inc.04")->when.kind == rules::Rule::Kind::all);
    CHECK(trial.find("inc.04a")->when.kind == rules::Rule::Kind::ask);
    CHECK(trial.find("inc.04a")->when.favourable);
    CHECK_FALSE(trial.find("exc.01")->inclusion);
    CHECK(trial.find("exc.01")->status == mapping::StatusPolicy::ever);
    CHECK(trial.find("inc.99") == nullptr);
    REQUIRE(trial.gate.size() == 1);
    CHECK(trial.criteria[trial.gate.front()].id == "inc.01");
}

TEST_CASE("all mistakes of a trial file are reported at once, each with its place") {
    const std::string file = R"({"id":"NCT00000000","title":"","status":{"value":"recruiting","asOf":"soon"},
        "gate":["inc.01","inc.77"],"source":"https://example.org/","colour":"blue","inclusion":[
        {"id":"inc.01","text":"a","when":"acuteMyeloidLeukemia"},
        {"id":"inc.01","text":"b","when":"epilepsy"},
        {"id":"inc.02","text":"c","when":{"all":["lvef >= 50 mL",{"any":[]}]}},
        {"id":"inc.03","text":"d","when":{"ref":"inc.88"}},
        {"id":"inc.04","text":"e","when":{"ask":"Really?"}},
        {"id":"inc.05","text":"f","wenn":"epilepsy"},
        {"id":"inc.06","text":"g","status":"never","when":"epilepsy"},
        {"id":"inc.07","text":"h","any":[{"id":"inc.07a","text":"i","when":"unheardOf"},{"nor":["epilepsy"]}]},
        {"id":"inc.08","text":"j","when":{"ref":"inc.09"}},
        {"id":"inc.09","text":"k","when":{"not":{"ref":"inc.08"}}},
        {"text":"l","when":"epilepsy"}, "no criterion",
        {"id":"inc.10","text":"m","all":[]}],
        "exclusion":[{"id":"exc.01","text":"n","when":7},{"id":"exc.02","text":"o","when":"dementia","any":["dementia"]},
        {"id":"exc.03","text":"p","when":{"ask":"","favourable":"no","whom":"me"}}]})";
    const std::vector<std::string> problems = readTrial(file).problems;
    for (const std::string& problem : problems) {
        CAPTURE(problem);
        CHECK(problem.find("NCT00000000.json: /") == 0);
    }
    for (const std::string wanted : {
             "/colour: unknown key",
             "/title: missing",
             "/status/asOf: is not a date",
             "/gate/1: 'inc.77' is no criterion",
             "/inclusion/1/id: 'inc.01' stands twice",
             "/inclusion/2/when/all/0: unit 'mL' should be '%'",
             "/inclusion/2/when/all/1/any: is empty",
             "/inclusion/3/when/ref: 'inc.88' is no criterion of this trial",
             "/inclusion/4/when/favourable: should be true or false",
             "/inclusion/5/wenn: unknown key",
             "/inclusion/5: needs exactly one of 'when', 'any' and 'all' ('parts' go with 'when')",
             "/inclusion/6/status: 'never' should be ever or active",
             "/inclusion/7/any/0/when: unknown fact 'unheardOf'",
             "/inclusion/7/any/1: needs one of 'all', 'any', 'not', 'ref' and 'ask'",
             "/inclusion/10/id: missing",
             "/inclusion/11: is not a criterion",
             "/inclusion/12/all: is empty",
             "/exclusion/0/when: is not a rule",
             "/exclusion/1: needs exactly one of 'when', 'any' and 'all' ('parts' go with 'when')",
             "/exclusion/2/when/whom: unknown key",
             "/exclusion/2/when/ask: the question is empty",
             "/exclusion/2/when/favourable: should be true or false",
         }) {
        CHECK_MESSAGE(holds(problems, "NCT00000000.json: " + wanted), wanted);
    }
    const bool cycle = std::any_of(problems.begin(), problems.end(), [](const std::string& problem) {
        return problem.find("'inc.08' refers to itself") != std::string::npos;
    });
    CHECK(cycle);
}

TEST_CASE("a mistake is reported once") {
    struct Row {
        std::string criterion, problem;
    };
    const std::vector<Row> table{
        {R"({"id":"inc.02","text":"t","when":{"ref":"inc.02"}})", "'inc.02' refers to itself"},
        {R"({"id":"inc.02","text":"t","when":{"ref":"inc.03"}})",
         "/inclusion/1/when/ref: 'inc.03' is no criterion of this trial"},
        {R"({"id":"inc.01","text":"t","when":"epilepsy"})", "/inclusion/1/id: 'inc.01' stands twice"},
        {R"({"id":"inc.02","text":"t","when":{"all":[]}})", "/inclusion/1/when/all: is empty"},
        {R"({"id":"inc.02","text":"t","any":[]})", "/inclusion/1/any: is empty"},
        {R"({"id":"inc.02","text":"t","when":{"ask":"?"}})", "/inclusion/1/when/favourable: should be true or false"},
        {R"({"id":"inc.02","text":"t","when":{"not":"bestResponse in XX"}})",
         "/inclusion/1/when/not: 'XX' is not one of CR, CRi, PR, SD, PD, NR"},
        {R"({"id":"inc.02","text":"t","when":{"any":["epilepsy"],"all":["dementia"]}})", "unknown key"},
        {R"({"id":"inc.02","text":"t","when":{"all":["epilepsy",{"any":["dementia",{"not":"lvef >= 5 ml"}]}]}})",
         "/inclusion/1/when/all/1/any/1/not: unit 'ml' should be '%'"},
    };
    for (const Row& row : table) {
        CAPTURE(row.criterion);
        const std::vector<std::string> problems = problemsOf(row.criterion);
        REQUIRE(problems.size() == 1);
        CHECK(problems.front().find(row.problem) != std::string::npos);
    }
}

TEST_CASE("the gate must name a criterion") {
    CHECK(readTrial(fileOf(aml, "", R"("inc.02")")).problems ==
          std::vector<std::string>{"NCT00000000.json: /gate/0: 'inc.02' is no criterion",
                                   "NCT00000000.json: /gate: missing"});
    CHECK(readTrial(fileOf(aml, "", "")).problems == std::vector<std::string>{"NCT00000000.json: /gate: missing"});
}

TEST_CASE("a rule that can never be true or never be false is found, and its criterion named") {
    struct Row {
        std::string rule, problem;  // no problem: the rule can be both
    };
    const std::vector<Row> table{
        {R"({"all":["age >= 70 years","age < 18 years"]})", "can never be true"},
        {R"({"any":["age >= 18 years","age < 70 years"]})", "can never be false"},
        {R"({"all":["lvef > 50 %","lvef <= 50 %"]})", "can never be true"},
        {R"({"any":["lvef > 50 %","lvef <= 50 %"]})", "can never be false"},
        {R"({"all":["lvef > 50 %","lvef < 50.01 %"]})", ""},
        {R"({"all":["lvef > 50 %","lvef <= 50.01 %"]})", ""},
        {R"({"all":["epilepsy",{"not":"epilepsy"}]})", "can never be true"},
        {R"({"any":["epilepsy",{"not":"epilepsy"}]})", "can never be false"},
        {R"({"any":["epilepsy",{"not":"dementia"}]})", ""},
        {R"({"all":["alt <= 3 xULN","alt > 3 xULN"]})", "can never be true"},
        {R"({"all":["alt <= 3 U/L","alt > 3 xULN"]})", ""},
        {R"({"all":["hemoglobin >= 8 g/dL","hemoglobin < 80 g/L"]})", "can never be true"},
        {R"({"all":[{"ref":"inc.01"},{"not":"acuteMyeloidLeukemia"}]})", "can never be true"},
        {R"({"any":["alt <= 3 xULN",{"all":["alt <= 5 xULN",{"ask":"Disease?","favourable":true}]}]})", ""},
        {R"({"any":["age > 6 years",{"all":["age = 6 years",{"ask":"Six?","favourable":true}]}]})", ""},
    };
    for (const Row& row : table) {
        CAPTURE(row.rule);
        const std::vector<std::string> problems = problemsOf(R"({"id":"inc.02","text":"t","when":)" + row.rule + "}");
        if (row.problem.empty()) {
            CHECK(problems.empty());
            continue;
        }
        REQUIRE(problems.size() == 1);
        CHECK(problems.front().find("inc.02") != std::string::npos);
        CHECK(problems.front().find(row.problem) != std::string::npos);
    }
}

TEST_CASE("a group that can never be true is found like a leaf") {
    const std::vector<std::string> problems = problemsOf(
        R"({"id":"inc.02","text":"t","all":[{"id":"inc.02a","text":"a","when":"lvef > 50 %"},
            {"id":"inc.02b","text":"b","when":"lvef < 40 %"}]})");
    REQUIRE(problems.size() == 1);
    CHECK(problems.front().find("inc.02: can never be true") != std::string::npos);
}

TEST_CASE("the five trials have together exactly the 304 criteria of the reading") {
    const std::vector<std::string> lines = linesOf("fixtures/registry/ids.txt");
    const std::set<std::string> wanted(lines.begin(), lines.end());
    REQUIRE(lines.size() == 304);
    REQUIRE(wanted.size() == 304);
    std::set<std::string> found;
    std::size_t count = 0;
    for (const rules::Trial& trial : support::knowledge().trials) {
        for (const rules::Criterion& criterion : trial.criteria) {
            ++count;
            found.insert(trial.id + '.' + criterion.id);
        }
    }
    CHECK(count == 304);
    for (const std::string& id : wanted) CHECK_MESSAGE(found.count(id) == 1, id << " is missing");
    for (const std::string& id : found) CHECK_MESSAGE(wanted.count(id) == 1, id << " is not in the reading");
}

TEST_CASE("a criterion is an inclusion exactly when its id says so") {
    for (const rules::Trial& trial : support::knowledge().trials) {
        for (const rules::Criterion& criterion : trial.criteria) {
            CAPTURE(criterion.id);
            CHECK(criterion.inclusion == (criterion.id.find("exc.") != 0));
        }
    }
}

TEST_CASE("only fields of the registry carry the source registry-field") {
    std::set<std::string> marked;
    for (const rules::Trial& trial : support::knowledge().trials) {
        for (const rules::Criterion& criterion : trial.criteria) {
            CHECK((criterion.source.empty() || criterion.source == "registry-field"));
            if (!criterion.source.empty()) marked.insert(trial.id + '.' + criterion.id);
        }
    }
    CHECK(marked == std::set<std::string>{"NCT05995028.reg.age", "NCT05995028.reg.cond"});
}

TEST_CASE("the gates are those of the rulings") {
    const std::vector<std::pair<std::string, std::vector<std::string>>> table{
        {"NCT05995028", {"reg.cond"}},
        {"NCT07109518", {"inc.02", "inc.03", "inc.08"}},
        {"NCT07117175", {"inc.04a"}},
        {"NCT07117305", {"inc.03a"}},
        {"NCT07345780", {"inc.02dx", "inc.03dx"}}};
    const std::vector<rules::Trial>& trials = support::knowledge().trials;
    REQUIRE(trials.size() == table.size());
    for (std::size_t i = 0; i < table.size(); ++i) {
        CAPTURE(table[i].first);
        CHECK(trials[i].id == table[i].first);
        std::vector<std::string> gate;
        for (const std::size_t index : trials[i].gate) gate.push_back(trials[i].criteria[index].id);
        CHECK(gate == table[i].second);
    }
}

TEST_CASE("recruitment is shown as it was last seen") {
    const std::vector<std::vector<std::string>> table{{"NCT05995028", "recruiting", "2025-07-01"},
                                                      {"NCT07109518", "recruiting", "2025-08-21"},
                                                      {"NCT07117175", "not yet enrolling", ""},
                                                      {"NCT07117305", "not yet recruiting", "2025-11-13"},
                                                      {"NCT07345780", "not yet recruiting", "2026-01-16"}};
    const std::vector<rules::Trial>& trials = support::knowledge().trials;
    REQUIRE(trials.size() == table.size());
    for (std::size_t i = 0; i < table.size(); ++i) {
        CAPTURE(table[i][0]);
        CHECK(trials[i].id == table[i][0]);
        CHECK(trials[i].recruitment == table[i][1]);
        CHECK((trials[i].recruitmentAsOf ? trials[i].recruitmentAsOf->text() : "") == table[i][2]);
        CHECK(trials[i].recruits() == (table[i][1] == "recruiting"));
    }
}

TEST_CASE("adding a trial is adding a file") {
    std::vector<cds_hooks::KnowledgeFile> files = cds_hooks::knowledgeIn(".");
    files.push_back({"NCT00000000.json", fileOf(aml + R"(,{"id":"inc.02","text":"t","when":"hemoglobin >= 7 g/dL"})")});
    std::vector<mapping::Problem> problems;
    const cds_hooks::Knowledge knowledge = cds_hooks::readKnowledge(files, problems);
    for (const mapping::Problem& problem : problems) FAIL_CHECK(problem.text());
    REQUIRE(knowledge.trials.size() == 6);
    CHECK(knowledge.trials.front().id == "NCT00000000");
    CHECK(knowledge.digest != support::knowledge().digest);
    const cds_hooks::Screening screening = cds_hooks::screen(
        knowledge,
        support::chartOf(
            support::bundleOf({R"({"resourceType":"Patient","id":"p1"})",
                               R"({"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"},
                 "code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"C92.00"}]}})"})),
        support::day("2025-11-13"));
    REQUIRE(screening.evaluations.size() == 6);
    CHECK(support::truth(screening, "NCT00000000", "inc.01") == "true");
    CHECK(support::truth(screening, "NCT00000000", "inc.02") == "unknown");
    CHECK(support::truth(screening, "NCT07109518", "inc.03") == "true");
    CHECK(screening.evaluations.front().gate);
}

TEST_CASE("the mistakes of several files are reported together") {
    std::vector<cds_hooks::KnowledgeFile> files = cds_hooks::knowledgeIn(".");
    const std::string wrong = fileOf(aml + R"(,{"id":"inc.02","text":"t","when":"lvef >= 50 mL"})");
    files.push_back({"NCT00000001.json", wrong});
    files.push_back({"NCT00000002.json", wrong});
    std::vector<mapping::Problem> problems;
    cds_hooks::readKnowledge(files, problems);
    std::vector<std::string> texts;
    for (const mapping::Problem& problem : problems) texts.push_back(problem.text());
    CHECK(holds(texts, "NCT00000001.json: /inclusion/1/when/all/0: unit 'mL' should be '%'") == false);
    CHECK(holds(texts, "NCT00000001.json: /inclusion/1/when: unit 'mL' should be '%'"));
    CHECK(holds(texts, "NCT00000002.json: /inclusion/1/when: unit 'mL' should be '%'"));
}
