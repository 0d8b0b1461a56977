#include "cds-hooks/cohort_page.h"

#include <algorithm>
#include <map>
#include <set>

#include "cds-hooks/markdown.h"

namespace cds_hooks {

using mapping::Basis;
using rules::Truth;

namespace {

/// So many tests, facts and bars are shown; what is left out is counted.
constexpr std::size_t mostRows = 30;
constexpr std::size_t mostBars = 15;
constexpr std::size_t longestCriterion = 160;

/// Text of a chart, a file name or a trial as HTML and XML show it, in an element or in quotes.
std::string escaped(std::string_view text) {
    std::string result;
    const std::string clean = printable(text);
    for (std::size_t at = 0; at < clean.size(); ++at) {
        switch (clean[at]) {
            case '&':
                result += "&amp;";
                break;
            case '<':
                result += "&lt;";
                break;
            case '>':
                result += "&gt;";
                break;
            case '"':
                result += "&quot;";
                break;
            case '\'':
                result += "&#39;";
                break;
            default:
                result += clean[at];
        }
    }
    // U+FFFE and U+FFFF are no characters of XML.
    for (const std::string_view none : {"\xEF\xBF\xBE", "\xEF\xBF\xBF"}) {
        for (std::size_t at = result.find(none); at != std::string::npos; at = result.find(none, at))
            result.erase(at, none.size());
    }
    return result;
}

std::string number(std::size_t value) {
    return std::to_string(value);
}

std::string element(std::string_view name, const std::string& content, std::string_view attributes = {}) {
    std::string text = "<" + std::string(name);
    if (!attributes.empty()) text += ' ' + std::string(attributes);
    return text + '>' + content + "</" + std::string(name) + '>';
}

std::string link(const std::string& anchor, const std::string& text) {
    return "<a href=\"#" + anchor + "\">" + text + "</a>";
}

/// A table that scrolls by itself on a narrow screen, also by keyboard. Every row begins with its own heading.
class Table {
public:
    /// `caption` and headings are plain text. A heading that begins with '#' is one of numbers.
    Table(const std::string& name, std::string_view caption, const std::vector<std::string_view>& headings,
          std::string_view kind = {}) {
        text_ = "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"" + name + "\">\n<table" +
                (kind.empty() ? std::string() : " class=\"" + std::string(kind) + "\"") + "><caption id=\"" + name +
                "\"><span>" + escaped(caption) + "</span></caption>\n<thead><tr>";
        for (const std::string_view heading : headings) {
            const bool isNumber = heading.starts_with('#');
            isNumber_.push_back(isNumber);
            text_ += element("th", escaped(heading.substr(isNumber ? 1 : 0)),
                             isNumber ? "scope=\"col\" class=\"n\"" : "scope=\"col\"");
        }
        text_ += "</tr></thead>\n<tbody>\n";
    }

    /// Cells are HTML; the first one is the heading of the row.
    void row(const std::vector<std::string>& cells, std::string_view attributes = {}) {
        text_ += attributes.empty() ? "<tr>" : "<tr " + std::string(attributes) + ">";
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const std::string_view type = isNumber_[i] ? "class=\"n\"" : "";
            text_ += i == 0 ? element("th", cells[i], "scope=\"row\"") : element("td", cells[i], type);
        }
        text_ += "</tr>\n";
    }

    std::string text() const { return text_ + "</tbody></table></div>\n"; }

private:
    std::string text_;
    std::vector<bool> isNumber_;
};

/// Horizontal bars as inline SVG; the numbers stand beside them, so that no colour tells anything alone. Lengths are
/// parts of the width, so that the letters keep their size on a narrow screen.
class Bars {
public:
    /// Where labels stand before their bars in `labels` percent of the width, or above them when that is 0.
    Bars(std::string name, std::string_view title, std::string_view description, std::size_t labels)
        : name_(std::move(name)), title_(title), description_(description), labels_(labels) {}

    /// A bar of `value`, and behind it, outlined, what was lost before it.
    void add(std::string_view label, std::size_t value, std::size_t lost, const std::string& text) {
        rows_.push_back({std::string(label), value, lost, text});
    }

    std::string text() const {
        const std::size_t above = labels_ == 0 ? 18 : 0;
        const std::size_t row = 22 + above;
        constexpr std::size_t values = 26;  // percent
        std::size_t top = 1;
        for (const Row& each : rows_) top = std::max(top, each.value + each.lost);
        const auto percent = [&](std::size_t value, double more) {
            const double length = static_cast<double>(100 - labels_ - values) * static_cast<double>(value);
            return hundredths(length / static_cast<double>(top) + more) + '%';
        };
        const auto before = static_cast<double>(labels_);
        std::string text = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bars\" width=\"100%\" height=\"" +
                           number(rows_.size() * row + 4) + "\" role=\"img\" aria-labelledby=\"" + name_ + "-title " +
                           name_ + "-desc\">\n" + element("title", escaped(title_), "id=\"" + name_ + "-title\"") +
                           element("desc", escaped(description_), "id=\"" + name_ + "-desc\"") + '\n';
        std::size_t y = 2;
        for (const Row& each : rows_) {
            const std::string box = "\" y=\"" + number(y + above + 3) + "\" height=\"16\" width=\"";
            const std::string line = "\" y=\"" + number(y + above + 16) + "\">";
            text += labels_ == 0 ? "<text x=\"0\" y=\"" + number(y + 16) + "\">"
                                 : "<text class=\"label\" x=\"" + hundredths(before - 1.5) + '%' + line;
            text += escaped(each.label) + "</text><rect class=\"bar\" x=\"" + number(labels_) + '%' + box +
                    percent(each.value, 0) + "\"/>";
            if (each.lost > 0)
                text +=
                    "<rect class=\"lost\" x=\"" + percent(each.value, before) + box + percent(each.lost, 0) + "\"/>";
            text +=
                "<text x=\"" + percent(each.value + each.lost, before + 1) + line + escaped(each.text) + "</text>\n";
            y += row;
        }
        return text + "</svg>\n";
    }

private:
    struct Row {
        std::string label;
        std::size_t value = 0;
        std::size_t lost = 0;
        std::string text;
    };

    static std::string hundredths(double value) {
        const auto rounded = static_cast<std::size_t>(value * 100 + 0.5);
        return number(rounded / 100) + '.' + number(rounded / 10 % 10) + number(rounded % 10);
    }

    std::string name_;
    std::string title_;
    std::string description_;
    std::size_t labels_;
    std::vector<Row> rows_;
};

constexpr std::string_view style = R"(
:root{color-scheme:light dark;--ink:#1c1f23;--soft:#555b63;--line:#b9bfc7;--paper:#fff;--band:#f2f4f6;--bar:#2f6db5;--link:#0b57a4;--note:#fff6d6;--noteline:#8a6d00}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#b4bac2;--line:#5a626c;--paper:#15181c;--band:#22272d;--bar:#7fb2ee;--link:#9cc6ff;--note:#332b0d;--noteline:#d9b84a}}
*{box-sizing:border-box}
html{scroll-behavior:auto}
body{margin:0 auto;padding:0 1rem 3rem;max-width:72rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans","DejaVu Sans",sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:1.2rem 0 .4rem}
h2{font-size:1.35rem;line-height:1.25;margin:2.4rem 0 .5rem;padding-top:.7rem;border-top:2px solid var(--ink)}
h3{font-size:1.1rem;margin:1.5rem 0 .4rem}
h4{font-size:1rem;margin:1rem 0 .3rem}
p,ul,dl{margin:.4rem 0}
p,li,dd{max-width:52rem;overflow-wrap:anywhere}
a{color:var(--link)}
a:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-100rem}
.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.5rem}
.note{border-left:.4rem solid var(--noteline);background:var(--note);padding:.6rem .9rem;max-width:52rem}
.soft{color:var(--soft)}
dl.run{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}
dl.run dt{color:var(--soft)}
dl.run dd{margin:0}
nav ul{padding-left:1.2rem}
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;font-size:.92rem;line-height:1.35}
caption{text-align:left;font-weight:600;padding:.2rem 0 .4rem}
caption span{display:inline-block;max-width:calc(100vw - 2.5rem)}
th,td{text-align:left;vertical-align:top;padding:.28rem .6rem;border-bottom:1px solid var(--line)}
thead th{border-bottom:2px solid var(--ink);vertical-align:bottom}
tbody th{font-weight:600;white-space:nowrap}
tbody tr:nth-child(even){background:var(--band)}
.n{text-align:right;font-variant-numeric:tabular-nums}
td.n,th.n{padding-left:.8rem}
.list td:nth-child(3){min-width:16rem}
.bars{display:block;max-width:44rem;font-size:14px}
.bars text{fill:var(--ink)}
.bars .label{text-anchor:end}
.bars .bar{fill:var(--bar)}
.bars .lost{fill:none;stroke:var(--ink);stroke-dasharray:3 2}
article{border:1px solid var(--line);padding:.2rem .9rem .6rem;margin:.8rem 0}
article:target{border:3px solid var(--link)}
article ul{padding-left:1.1rem}
@media screen{article{content-visibility:auto;contain-intrinsic-size:auto 30rem}}
@media (min-width:40rem){.list td:nth-child(2){white-space:nowrap}}
@media (max-width:40rem){body{padding:0 .7rem 2rem}dl.run{grid-template-columns:1fr;gap:0}dl.run dd{margin:0 0 .3rem}th,td{padding:.25rem .4rem}tbody th{white-space:normal}}
@media print{:root{color-scheme:light;--ink:#000;--soft:#333;--line:#999;--paper:#fff;--band:#fff;--bar:#777;--link:#000;--note:#fff;--noteline:#000}body{max-width:none;padding:0;font-size:9.5pt}nav,.skip,.back{display:none}.scroll{overflow:visible}table{font-size:8.5pt}thead{display:table-header-group}tr,article li,svg{break-inside:avoid}h2,h3,h4,caption{break-after:avoid}a{text-decoration:none}}
)";

std::string_view reasonText(Basis basis) {
    for (const auto& [reason, name] : mendable()) {
        if (reason == basis) return name;
    }
    return basis == Basis::washOut ? "window not over" : mapping::word(basis);
}

/// "LVEF (too old), CD7 on tumour cells"; HTML.
std::string gapsText(const std::vector<Gap>& gaps) {
    std::string text;
    for (const Gap& gap : gaps) {
        text += (text.empty() ? "" : ", ") + escaped(gap.fact->label);
        if (gap.basis != Basis::missing) text += " (" + std::string(reasonText(gap.basis)) + ")";
    }
    return text;
}

class Page {
public:
    Page(const CohortSummary& summary, const CohortRun& run) : summary_(summary), run_(run) {
        for (std::size_t trial = 0; trial < summary.trials().size(); ++trial) {
            lists_.push_back(summary.worklist(trial));
            for (const WorklistEntry* entry : lists_.back()) patients_[entry->number].emplace_back(trial, entry);
        }
    }

    std::string text() {
        const std::string title = "CD7 trials: " + count(summary_.charts(), "chart", "charts") + " as of " +
                                  (run_.asOf.empty() ? "the newest date of each" : run_.asOf);
        std::string text =
            "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta "
            "charset=\"utf-8\"/>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'; base-uri 'none'; form-action 'none'\"/>\n<meta name=\"viewport\" "
            "content=\"width=device-width, initial-scale=1\"/>\n<meta name=\"referrer\" content=\"no-referrer\"/>\n"
            "<meta name=\"robots\" content=\"noindex\"/>\n" +
            element("title", escaped(title)) + "\n<style>" + std::string(style) + "</style>\n</head>\n<body>\n" +
            "<a class=\"skip\" href=\"#main\">Skip to the results</a>\n" + header(title) + contents() +
            "<main id=\"main\" tabindex=\"-1\">\n" + glance() + tests();
        for (std::size_t trial = 0; trial < summary_.trials().size(); ++trial) text += trialSection(trial);
        return text + patients() + quality() + definitions() + "</main>\n<footer>\n<p class=\"soft\">" + aid() +
               "</p>\n</footer>\n</body>\n</html>";
    }

private:
    static std::string aid() {
        return "A screening aid for professionals, not a decision: the trial site decides. It never says that a "
               "patient is eligible.";
    }

    std::string header(const std::string& title) const {
        std::string inputs;
        constexpr std::size_t most = 10;
        for (std::size_t i = 0; i < std::min(most, run_.inputs.size()); ++i)
            inputs += (i == 0 ? "" : ", ") + escaped(run_.inputs[i]);
        if (run_.inputs.size() > most) inputs += ", and " + number(run_.inputs.size() - most) + " more";
        std::string text = "<header>\n" + element("h1", escaped(title)) +
                           "\n<p class=\"note\"><strong>This page holds patient data</strong> (ids of Patients, values "
                           "and dates). Keep and pass it on as you would a chart.</p>\n<dl class=\"run\">\n";
        const auto row = [&](std::string_view name, const std::string& value) {
            text += element("dt", std::string(name)) + element("dd", value) + '\n';
        };
        row("Charts",
            number(summary_.charts()) + " evaluated, " +
                (run_.count.failed == 0 ? "none was unreadable"
                                        : "<strong>" + number(run_.count.failed) +
                                              " could not be read</strong> and are in none of the numbers (" +
                                              link("quality", "the first of them by name") + ", the log names each)"));
        row("As of", run_.asOf.empty() ? "the newest date of each chart" : escaped(run_.asOf));
        row("Inputs", inputs);
        row("Every chart in full",
            run_.output.empty() ? "not kept; <code>--output</code> keeps it as NDJSON" : escaped(run_.output));
        row("Made by", "cd7match " + escaped(programVersion()) + ", knowledge " + escaped(summary_.knowledge().digest));
        return text + "</dl>\n</header>\n";
    }

    std::string contents() const {
        std::string text = "<nav aria-label=\"Contents\">\n<ul>\n";
        const auto item = [&](const std::string& anchor, const std::string& words) {
            text += element("li", link(anchor, words)) + '\n';
        };
        item("glance", "All trials at a glance");
        item("tests", "Which missing test would help most patients");
        for (const TrialCount& each : summary_.trials())
            item(each.trial->id, escaped(each.trial->id) + ": " + number(each.onWorklist()) + " on the worklist");
        item("patients", "Patients and their evidence");
        item("quality", "What to mend in the data");
        item("definitions", "What the numbers mean");
        return text + "</ul>\n</nav>\n";
    }

    std::string glance() const {
        Table table("glance-table", "Charts by trial",
                    {"Trial", "Recruitment", "#Disease on file", "#Considered", "#Candidate", "#Potential candidate",
                     "#Ineligible"});
        for (const TrialCount& each : summary_.trials()) {
            const rules::Trial& trial = *each.trial;
            table.row({link(trial.id, escaped(trial.id)),
                       escaped(trial.recruitment) +
                           (trial.recruitmentAsOf ? " (" + trial.recruitmentAsOf->text() + ")" : " (date unknown)"),
                       number(each.disease), number(each.consideredCharts()), number(each.considered[2]),
                       number(each.considered[1]), number(each.considered[0])});
        }
        Table all("all-table", "Status of all charts, whatever their disease",
                  {"Trial", "#Candidate", "#Potential candidate", "#Ineligible", "#All charts"});
        for (const TrialCount& each : summary_.trials())
            all.row({escaped(each.trial->id), number(each.statuses[2]), number(each.statuses[1]),
                     number(each.statuses[0]), number(each.statuses[0] + each.statuses[1] + each.statuses[2])});
        return "<section aria-labelledby=\"glance\">\n<h2 id=\"glance\">All trials at a glance</h2>\n<p>" +
               number(summary_.withDisease()) + " of " + count(summary_.charts(), "chart has", "charts have") +
               " a disease of some trial on file. " + deceased() + "</p>\n" + table.text() +
               "<p class=\"soft\">Candidate: nothing stands against the patient and only questions for a person "
               "remain. Potential candidate: nothing stands against the patient, and data is open. Considered: with "
               "the disease, alive, not on the study, research not refused.</p>\n" +
               all.text() + "</section>\n";
    }

    std::string deceased() const {
        return summary_.deceased() == 0
                   ? "No patient is recorded as dead."
                   : count(summary_.deceased(), "patient is", "patients are") +
                         " recorded as dead: evaluated and counted like any other, and left out of every worklist.";
    }

    std::string tests() const {
        std::string text =
            "<section aria-labelledby=\"tests\">\n<h2 id=\"tests\">Which missing test would help most patients</h2>\n";
        const std::vector<UnlockTally::Row> rows = summary_.unlocks().rows();
        if (rows.empty()) return text + "<p>No worklist waits for a test.</p>\n</section>\n";
        Bars bars("tests-bars", "Charts on a worklist that wait for each test",
                  "One bar for each test, the longest first; the same numbers stand in the table below.", 0);
        for (std::size_t i = 0; i < std::min(mostBars, rows.size()); ++i)
            bars.add(shorten(rows[i].fact->label, 60), rows[i].charts, 0, number(rows[i].charts));
        Table table("tests-table", "What one test would unlock",
                    {"Test", "#Charts that wait for it", "#Only missing fact", "#Trials", "#Criteria"});
        for (std::size_t i = 0; i < std::min(mostRows, rows.size()); ++i)
            table.row({escaped(rows[i].fact->label), number(rows[i].charts),
                       number(summary_.onlyMissing(*rows[i].fact)), number(rows[i].trials), number(rows[i].criteria)});
        text += bars.text() + table.text();
        text += more(rows.size(), mostRows, "test", "tests");
        return text +
               "<p class=\"soft\">Charts that wait for it: patients on some worklist for whom a criterion is open "
               "because of this test. Only missing fact: those for whom nothing else is missing in at least one trial. "
               "Trials and criteria are summed over charts.</p>\n</section>\n";
    }

    /// "and 12 more tests"; empty when all are shown.
    static std::string more(std::size_t all, std::size_t shown, std::string_view one, std::string_view many) {
        if (all <= shown) return {};
        return "<p>And " + count(all - shown, "more " + std::string(one), "more " + std::string(many)) + ".</p>\n";
    }

    std::string trialSection(std::size_t index) const {
        const TrialCount& numbers = summary_.trials()[index];
        const rules::Trial& trial = *numbers.trial;
        std::string text = "<section aria-labelledby=\"" + trial.id + "\">\n<h2 id=\"" + trial.id + "\">" +
                           escaped(trial.id) + ": " + escaped(trial.title) + "</h2>\n<p>" + escaped(trial.sponsor) +
                           "; " + escaped(trial.phase) + "; " + escaped(trial.recruitment) +
                           (trial.recruitmentAsOf ? " as of " + trial.recruitmentAsOf->text() : ", date unknown") +
                           (trial.coordinator.empty() ? "" : "; coordinator: " + escaped(trial.coordinator)) +
                           ".</p>\n";
        text += worklist(index);
        return text + funnel(numbers) + "</section>\n";
    }

    std::string worklist(std::size_t index) const {
        const TrialCount& numbers = summary_.trials()[index];
        const std::vector<const WorklistEntry*>& list = lists_[index];
        const std::string name = numbers.trial->id + "-worklist";
        std::string text = "<h3 id=\"" + name + "\">Worklist of " + escaped(numbers.trial->id) + "</h3>\n";
        if (list.empty()) return text + "<p>Nobody is on the worklist of this trial.</p>\n";
        Table table(name + "-table",
                    count(numbers.onWorklist(), "patient", "patients") + ", those with the least missing first",
                    {"Patient", "Status", "Missing or unusable", "#Missing", "#Questions", "Window ends", "Chart"},
                    "list");
        for (const WorklistEntry* entry : list) {
            std::string windows;
            for (const Window& window : entry->windows)
                windows += (windows.empty() ? "" : ", ") +
                           (window.clearsOn.empty() ? std::string("no date yet") : escaped(window.clearsOn)) + " (" +
                           escaped(window.criterion->id) + ")";
            table.row({link(anchorOf(*entry, numbers), escaped(shorten(entry->patient, 80))),
                       entry->status == rules::Status::candidate ? "candidate" : "potential candidate",
                       entry->gaps.empty() ? "nothing" : gapsText(entry->gaps), number(entry->gaps.size()),
                       number(entry->questions), windows.empty() ? "none" : windows, escaped(entry->source)});
        }
        text += table.text();
        if (numbers.onWorklist() > list.size())
            text += "<p><strong>And " + number(numbers.onWorklist() - list.size()) + " more</strong>, for whom " +
                    "at least as much is missing; " +
                    (run_.output.empty() ? std::string("a run with <code>--output</code> keeps them")
                                         : "their lines stand in " + escaped(run_.output)) +
                    " (status candidate or potential-candidate, gate true). <code>--worklist</code> shows more.</p>\n";
        return text;
    }

    static std::string labelsOf(const std::vector<Gap>& gaps) {
        std::string text;
        for (const Gap& gap : gaps) text += (text.empty() ? "" : ", ") + escaped(gap.fact->label);
        return text;
    }

    static std::string anchorOf(const WorklistEntry& entry, const TrialCount& numbers) {
        return "chart-" + number(entry.number) + '-' + numbers.trial->id;
    }

    std::string funnel(const TrialCount& numbers) const {
        const rules::Trial& trial = *numbers.trial;
        std::string text = "<h3 id=\"" + trial.id + "-funnel\">How many remain after each criterion of " +
                           escaped(trial.id) + "</h3>\n<p>Of " + count(summary_.charts(), "chart", "charts") + ", " +
                           number(numbers.disease) + (numbers.disease == 1 ? " has" : " have") +
                           " a disease of this trial on file; of these " + number(numbers.deceased) +
                           (numbers.deceased == 1 ? " is" : " are") + " recorded as dead, " + number(numbers.onStudy) +
                           (numbers.onStudy == 1 ? " is" : " are") + " on the study already, and " +
                           number(numbers.refused) + (numbers.refused == 1 ? " has" : " have") + " refused research. " +
                           number(numbers.consideredCharts()) + (numbers.consideredCharts() == 1 ? " is" : " are") +
                           " considered.</p>\n";
        if (numbers.consideredCharts() == 0) return text;
        Bars bars(trial.id + "-bars",
                  "How many of " + number(numbers.consideredCharts()) + " charts considered for " + trial.id +
                      " remain after each criterion",
                  number(numbers.onWorklist()) +
                      " remain after the last criterion. A filled bar is what remains, a "
                      "dashed outline what left at that criterion; the same numbers stand in the table below.",
                  24);
        Table table(trial.id + "-criteria", "Criteria of " + trial.id + " in the order of the registry",
                    {"Criterion", "Words of the registry", "#Leave here", "#Remain", "#Alone decides", "#Open",
                     "#For a person", "#Would be lost"});
        bars.add("Considered", numbers.consideredCharts(), 0, number(numbers.consideredCharts()));
        const auto step = [&](std::string_view name, std::string_view words, std::size_t leave, std::size_t remain) {
            table.row({std::string(name), std::string(words), number(leave), number(remain), "", "", "", ""});
        };
        std::size_t left = numbers.disease;
        step("All charts", "charts that were evaluated", 0, summary_.charts());
        step("Disease on file", "a disease of the trial is on file", summary_.charts() - left, left);
        step("Alive", "not recorded as dead", numbers.deceased, left -= numbers.deceased);
        step("Not on the study", "no ResearchSubject of the study", numbers.onStudy, left -= numbers.onStudy);
        step("Considered", "research is not refused", numbers.refused, numbers.consideredCharts());
        std::size_t remain = numbers.consideredCharts();
        for (const CriterionCount& each : numbers.criteria) {
            remain -= each.leave;
            bars.add(each.criterion->id, remain, each.leave,
                     number(remain) + (each.leave > 0 ? " (−" + number(each.leave) + ")" : ""));
            table.row({escaped(each.criterion->id), escaped(criterionText(trial, *each.criterion, longestCriterion)),
                       number(each.leave), number(remain), number(each.alone), number(each.open), number(each.asked),
                       number(each.wouldLose)});
        }
        return text + bars.text() + table.text();
    }

    std::string patients() const {
        std::string text =
            "<section aria-labelledby=\"patients\">\n<h2 id=\"patients\">Patients and their evidence</h2>\n";
        if (patients_.empty()) return text + "<p>Nobody is on a worklist.</p>\n</section>\n";
        text +=
            "<p>Everybody whom a worklist above shows, in the order of the charts: what says that the disease is "
            "there, what is open, and what is met, with the resource that says so.</p>\n";
        for (const auto& [chart, entries] : patients_) {
            const WorklistEntry& first = *entries.front().second;
            text += "<article id=\"chart-" + number(chart) + "\" aria-labelledby=\"chart-" + number(chart) +
                    "-name\">\n<h3 id=\"chart-" + number(chart) + "-name\">" + escaped(shorten(first.patient, 80)) +
                    "</h3>\n<p class=\"soft\">" + escaped(first.source) + "; as of " + escaped(first.asOf) + "</p>\n";
            for (const auto& [trial, entry] : entries) text += evidence(trial, *entry);
            text += "</article>\n";
        }
        return text + "</section>\n";
    }

    std::string evidence(std::size_t trial, const WorklistEntry& entry) const {
        const TrialCount& numbers = summary_.trials()[trial];
        std::string text = "<h4 id=\"" + anchorOf(entry, numbers) + "\">" + escaped(numbers.trial->id) + ": " +
                           (entry.status == rules::Status::candidate ? "candidate" : "potential candidate") + "</h4>\n";
        std::string disease;
        std::string open;
        std::string asked;
        std::string notRead;
        std::string met;
        for (const CitedCriterion& cited : entry.cited) {
            const std::string id = element("strong", escaped(cited.criterion->id));
            const bool isBare = cited.truth == Truth::Unknown && cited.evidence.empty();
            if (isBare && cited.basis == Basis::asked) {
                asked += (asked.empty() ? "" : ", ") + escaped(cited.criterion->id);
                continue;
            }
            if (isBare && cited.questions == 0 && std::all_of(cited.gaps.begin(), cited.gaps.end(), [](const Gap& gap) {
                    return gap.basis == Basis::notCovered;
                })) {
                notRead += (notRead.empty() ? "" : "; ") + id + ' ' + labelsOf(cited.gaps);
                continue;
            }
            std::string line = id + ' ';
            for (std::size_t i = 0; i < cited.evidence.size(); ++i)
                line += (i == 0 ? "" : "; ") + escaped(cited.evidence[i]);
            if (cited.moreEvidence > 0) line += "; and " + number(cited.moreEvidence) + " more";
            if (cited.truth == Truth::Unknown) {
                std::string wait = gapsText(cited.gaps);
                if (cited.questions > 0)
                    wait += (wait.empty() ? "" : ", ") + count(cited.questions, "question", "questions");
                if (!cited.clearsOn.empty())
                    wait += (wait.empty() ? "" : ", ") + ("clear from " + escaped(cited.clearsOn));
                line += (isBare ? "" : " — open: ") + (wait.empty() ? std::string(reasonText(cited.basis)) : wait);
            }
            (cited.gate ? disease : cited.truth == Truth::Unknown ? open : met) += element("li", line) + '\n';
        }
        for (const auto& [title, list] :
             {std::pair{"Disease", &disease}, std::pair{"Open", &open}, std::pair{"Met", &met}}) {
            if (!list->empty()) text += "<p>" + element("strong", title) + "</p>\n<ul>\n" + *list + "</ul>\n";
            if (list != &open) continue;
            if (!notRead.empty()) text += "<p>" + element("strong", "Not read:") + ' ' + notRead + "</p>\n";
            if (!asked.empty()) text += "<p>" + element("strong", "For a person:") + ' ' + asked + "</p>\n";
        }
        if (entry.noneOnFile > 0)
            text += "<p>" + count(entry.noneOnFile, "further criterion has", "further criteria have") +
                    " nothing on file against the patient (none on file is not a confirmed negative).</p>\n";
        return text + "<p class=\"back\">" +
               link(numbers.trial->id + "-worklist", "Back to the worklist of " + escaped(numbers.trial->id)) +
               "</p>\n";
    }

    /// The first of them, also those of an earlier run that is gone on with.
    std::string unread() const {
        if (run_.count.named.empty()) return {};
        Table table("unread", "Inputs that could not be read", {"Input", "Reason"});
        for (const FailedInput& each : run_.count.named) table.row({escaped(each.place), escaped(each.reason)});
        return table.text() + more(run_.count.failed, run_.count.named.size(), "input", "inputs");
    }

    std::string quality() const {
        std::string text =
            "<section aria-labelledby=\"quality\">\n<h2 id=\"quality\">What to mend in the data</h2>\n<p>" +
            count(run_.count.failed, "chart", "charts") + " could not be read. In " +
            count(summary_.withIssues(), "chart", "charts") +
            " something was left out because it could not be read or used (" +
            count(summary_.issues(), "issue", "issues") + "; the NDJSON names each by its path).</p>\n" + unread();
        const std::vector<FactGaps> gaps = summary_.gaps();
        if (gaps.empty())
            return text + "<p>No verdict about a patient with a disease of a trial is open.</p>\n</section>\n";
        std::vector<std::string> names;
        for (const auto& [basis, name] : mendable()) names.push_back('#' + std::string(name));
        std::vector<std::string_view> headings{"Fact"};
        headings.insert(headings.end(), names.begin(), names.end());
        headings.emplace_back("#not on file");
        Table table("quality-table", "Why verdicts are open, in charts of living patients with a disease of some trial",
                    headings);
        for (std::size_t i = 0; i < std::min(mostRows, gaps.size()); ++i) {
            std::vector<std::string> cells{escaped(gaps[i].fact->label)};
            for (const auto& [basis, name] : mendable()) cells.push_back(number(gaps[i].of(basis)));
            cells.push_back(number(gaps[i].of(Basis::missing)));
            table.row(cells);
        }
        return text + table.text() + more(gaps.size(), mostRows, "fact", "facts") +
               "<p class=\"soft\">Each chart counts once for a fact and a reason; facts that a better feed would "
               "settle "
               "come first. Not read: nobody said that the resource type was read completely (<code>--covers</code>), "
               "or one of them could not be read. No upper limit: the result has no upper limit of normal, and the "
               "site's overlay has none. <code>cd7match audit</code> says more about codes and units.</p>\n"
               "</section>\n";
    }

    static std::string definitions() {
        const auto item = [](std::string_view name, std::string_view meaning) {
            return element("dt", element("strong", std::string(name))) + element("dd", std::string(meaning)) + '\n';
        };
        return "<section aria-labelledby=\"definitions\">\n<h2 id=\"definitions\">What the numbers mean</h2>\n<dl>\n" +
               item("Chart", "one input that was evaluated; a patient with two charts is counted twice.") +
               item("Disease on file", "a diagnosis of the trial is recorded, or something recorded leaves it open.") +
               item("Considered",
                    "disease on file, not recorded as dead, no ResearchSubject of the study, research not refused. All "
                    "numbers about criteria are about these charts.") +
               item("Leave here",
                    "decided against by this criterion, and by none before it in the order of the "
                    "registry. Another order would give other numbers.") +
               item("Remain",
                    "considered charts that neither this criterion nor one before it is decided against. What "
                    "remains after the last is the worklist.") +
               item("Alone decides",
                    "decided against by this criterion and by no other: those who would be on the "
                    "worklist without it.") +
               item("Open", "this criterion cannot be decided: data is missing or unusable, or a window is not over.") +
               item("For a person", "this criterion waits for a person's answer alone.") +
               item("Would be lost",
                    "on the worklist, with this criterion open or waiting for a person: those who "
                    "would be lost if it were decided against all of them.") +
               item("Missing",
                    "facts that open criteria of the trial wait for, each once; windows and questions are "
                    "counted beside them.") +
               item("Window ends",
                    "the first day on which a window no longer keeps a criterion open, and that criterion.") +
               "</dl>\n</section>\n";
    }

    const CohortSummary& summary_;
    const CohortRun& run_;
    std::vector<std::vector<const WorklistEntry*>> lists_;
    std::map<std::size_t, std::vector<std::pair<std::size_t, const WorklistEntry*>>> patients_;  ///< by chart
};

}  // namespace

std::string cohortPage(const CohortSummary& summary, const CohortRun& run) {
    return Page(summary, run).text();
}

}  // namespace cds_hooks
