#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"

// What an answer in a screening form is worth beside what is recorded, and as time goes by.

namespace {

constexpr std::string_view asOf = "2025-11-13";
const std::string patient = R"({"resourceType":"Patient","id":"p1","gender":"male","birthDate":"1970-01-01"})";

std::string answer(std::string_view linkId, std::string_view value, const std::string& parts = {}) {
    return R"({"linkId":")" + std::string(linkId) + R"(","answer":[{)" + std::string(value) +
           (parts.empty() ? "" : R"(,"item":[)" + parts + "]") + "}]}";
}
std::string date(std::string_view linkId, std::string_view day) {
    return answer(linkId, R"("valueDate":")" + std::string(day) + '"');
}
std::string form(std::string_view authored, const std::string& items, std::string_view id = "f",
                 std::string_view status = "completed") {
    return R"({"resourceType":"QuestionnaireResponse","id":")" + std::string(id) + R"(","status":")" +
           std::string(status) + R"(","authored":")" + std::string(authored) +
           R"(","subject":{"reference":"Patient/p1"},"item":[)" + items + "]}";
}
constexpr std::string_view yes = R"("valueBoolean":true)";
constexpr std::string_view no = R"("valueBoolean":false)";

std::string condition(std::string_view code, std::string_view verification, std::string_view onset,
                      std::string_view recorded = "") {
    return R"({"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p1"},"clinicalStatus":{"coding":[{"code":"active"}]},)"
           R"("verificationStatus":{"coding":[{"code":")" +
           std::string(verification) +
           R"("}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":")" + std::string(code) +
           "\"}]}" + (onset.empty() ? "" : R"(,"onsetDateTime":")" + std::string(onset) + '"') +
           (recorded.empty() ? "" : R"(,"recordedDate":")" + std::string(recorded) + '"') + "}";
}

std::string verdict(const std::vector<std::string>& resources, std::string_view trial, std::string_view criterion) {
    std::vector<std::string> all{patient};
    all.insert(all.end(), resources.begin(), resources.end());
    const auto screening = support::screen(support::bundleOf(all), asOf);
    return support::truth(screening, trial, criterion) + ' ' + support::basis(screening, trial, criterion);
}

struct Row {
    const char* name;
    std::vector<std::string> resources;
    const char* verdict;
};

void check(const std::vector<Row>& rows, std::string_view trial, std::string_view criterion) {
    for (const Row& row : rows) {
        CAPTURE(row.name);
        CHECK_EQ(verdict(row.resources, trial, criterion), row.verdict);
    }
}

}  // namespace

TEST_CASE("an answer decides over what was written down before it, and knows nothing of what came later") {
    // NCT07117305 exc.09c: dementia.
    const auto dementia = [](std::string_view value, std::string_view authored) {
        return form(authored, answer("fact/dementia", value));
    };
    check({{"nothing recorded", {dementia(no, "2025-11-01")}, "false attested"},
           {"suspected before",
            {condition("F03.90", "provisional", "2025-10-20"), dementia(no, "2025-11-01")},
            "false attested"},
           {"suspected on the same day",
            {condition("F03.90", "provisional", "2025-11-01"), dementia(no, "2025-11-01")},
            "false attested"},
           {"suspected later",
            {condition("F03.90", "provisional", "2025-11-02"), dementia(no, "2025-11-01")},
            "unknown unconfirmed"},
           {"written down later",
            {condition("F03.90", "provisional", "2020-01-01", "2025-11-02"), dementia(no, "2025-11-01")},
            "unknown unconfirmed"},
           {"a yes, suspected later",
            {condition("F03.90", "provisional", "2025-11-02"), dementia(yes, "2025-11-01")},
            "true attested"},
           {"confirmed before",
            {condition("F03.90", "confirmed", "2025-10-20"), dementia(no, "2025-11-01")},
            "unknown conflicting"},
           {"confirmed later",
            {condition("F03.90", "confirmed", "2025-11-02"), dementia(no, "2025-11-01")},
            "unknown conflicting"}},
          "NCT07117305", "exc.09c");
}

TEST_CASE("a no counts for a window only while part of the window lies before it") {
    const auto said = [](std::string_view fact, std::string_view authored, std::string_view value = no,
                         const std::string& parts = {}) {
        return form(authored, answer("fact/" + std::string(fact), value, parts));
    };
    // Steroids within 7 days.
    check({{"seven days ago", {said("systemicSteroid", "2025-11-06")}, "false attested"},
           {"eight days ago", {said("systemicSteroid", "2025-11-05")}, "unknown stale"},
           {"ended long ago, said today",
            {said("systemicSteroid", "2025-11-13", yes,
                  date("fact/systemicSteroid/date", "2020-01-01") + "," +
                      date("fact/systemicSteroid/end", "2020-02-01"))},
            "false attested"},
           {"ended long ago, said a month ago",
            {said("systemicSteroid", "2025-10-13", yes,
                  date("fact/systemicSteroid/date", "2020-01-01") + "," +
                      date("fact/systemicSteroid/end", "2020-02-01"))},
            "unknown stale"},
           {"lasted a month ago",
            {said("systemicSteroid", "2025-10-13", yes, date("fact/systemicSteroid/date", "2020-01-01"))},
            "unknown stale"},
           {"lasts",
            {said("systemicSteroid", "2025-11-10", yes, date("fact/systemicSteroid/date", "2020-01-01"))},
            "unknown wash-out"}},
          "NCT05995028", "exc.05");
    // Transplantation within 6 months.
    const std::string in2019 = date("fact/stemCellTransplant/date", "2019-05-06");
    check({{"ninety days ago", {said("stemCellTransplant", "2025-08-15")}, "false attested"},
           {"ninety-one days ago", {said("stemCellTransplant", "2025-08-14")}, "unknown stale"},
           {"long ago, said lately", {said("stemCellTransplant", "2025-08-15", yes, in2019)}, "false attested"},
           {"long ago, said last year", {said("stemCellTransplant", "2024-11-13", yes, in2019)}, "unknown stale"},
           {"within, said on the day",
            {said("stemCellTransplant", "2025-05-20", yes, date("fact/stemCellTransplant/date", "2025-05-20"))},
            "true attested"}},
          "NCT07345780", "exc.08a");
}

TEST_CASE("what happened stays answered, what lasts is asked again after ninety days") {
    check({{"lasts, said lately", {form("2025-08-15", answer("fact/dementia", yes))}, "true attested"},
           {"lasts, said long ago", {form("2025-08-14", answer("fact/dementia", yes))}, "unknown stale"}},
          "NCT07117305", "exc.09c");
    check({{"happened, said long ago", {form("2020-01-01", answer("fact/stemCellTransplant", yes))}, "true attested"},
           {"did not, said lately", {form("2025-08-15", answer("fact/stemCellTransplant", no))}, "false attested"},
           {"did not, said long ago", {form("2025-08-14", answer("fact/stemCellTransplant", no))}, "unknown stale"}},
          "NCT07117305", "exc.10");
    // What was tried and failed has failed (NCT07109518 inc.07.1b); what no chart says is asked again.
    check(
        {{"failed, said long ago", {form("2020-01-01", answer("fact/salvageWithoutRemission", yes))}, "true attested"},
         {"did not, said long ago", {form("2025-08-14", answer("fact/salvageWithoutRemission", no))}, "unknown asked"}},
        "NCT07109518", "inc.07.1b");
}

TEST_CASE("a positive test that time does not take back is not taken back by a later answer") {
    // NCT07345780 exc.02d: hivAntibody.
    const std::string positive = form("2025-03-01", answer("fact/hivAntibody", yes), "a");
    check({{"yes", {positive}, "true attested"},
           {"no", {form("2025-11-01", answer("fact/hivAntibody", no), "b")}, "false attested"},
           {"yes, then no", {positive, form("2025-11-01", answer("fact/hivAntibody", no), "b")}, "unknown conflicting"},
           {"no, then yes", {form("2025-02-01", answer("fact/hivAntibody", no), "b"), positive}, "true attested"},
           {"amended on its own day",
            {positive, form("2025-03-01", answer("fact/hivAntibody", no), "b", "amended")},
            "unknown stale"},
           {"amended on another day",
            {positive, form("2025-11-01", answer("fact/hivAntibody", no), "b", "amended")},
            "unknown conflicting"},
           {"at the same time",
            {positive, form("2025-03-01", answer("fact/hivAntibody", no), "b")},
            "unknown conflicting"}},
          "NCT07345780", "exc.02d");
}

TEST_CASE("a date that is given and cannot be read is neither today nor never") {
    const auto transplant = [](const std::string& parts) {
        return form("2025-11-12", answer("fact/stemCellTransplant", yes, parts));
    };
    check({{"no date", {transplant("")}, "unknown undated"},
           {"no day of the calendar",
            {transplant(date("fact/stemCellTransplant/date", "2019-13-45"))},
            "unknown undated"},
           {"words",
            {transplant(answer("fact/stemCellTransplant/date", R"("valueString":"long ago")"))},
            "unknown undated"},
           {"one of two",
            {transplant(date("fact/stemCellTransplant/date", "2019-01-01") + "," +
                        date("fact/stemCellTransplant/date", "2025-02-31"))},
            "unknown undated"}},
          "NCT07345780", "exc.08a");
    const auto lvef = [](const std::string& parts) {
        return form("2025-11-12", answer("fact/lvef", R"("valueQuantity":{"value":60,"unit":"%"})", parts));
    };
    check({{"no date: that of the form", {lvef("")}, "true attested"},
           {"no day of the calendar", {lvef(date("fact/lvef/date", "2019-13-45"))}, "unknown undated"},
           {"words", {lvef(answer("fact/lvef/date", R"("valueString":"in 2019")"))}, "unknown undated"}},
          "NCT07345780", "inc.08g");
    const auto steroid = [](std::string_view from, std::string_view to) {
        return form("2025-11-12",
                    answer("fact/systemicSteroid", yes,
                           date("fact/systemicSteroid/date", from) + "," + date("fact/systemicSteroid/end", to)));
    };
    check({{"ended before the window", {steroid("2025-01-01", "2025-02-01")}, "false attested"},
           {"an end that is no day", {steroid("2025-01-01", "2025-02-31")}, "unknown undated"},
           {"an end before the beginning", {steroid("2025-02-01", "2025-01-01")}, "unknown undated"},
           {"an end that lies ahead", {steroid("2025-01-01", "2026-02-01")}, "unknown wash-out"}},
          "NCT05995028", "exc.05");
}
