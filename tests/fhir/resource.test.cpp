#include "fhir/resource.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

using fhir::ClinicalStatus;
using fhir::Issue;
using fhir::VerificationStatus;
using fhir::json::Document;
using ValueKind = fhir::ObservationValue::Kind;

namespace {

/// A resource with the document that owns its texts, and the issues met on the way.
struct ReadPatient {
    Document document;
    std::vector<Issue> issues;
    fhir::Patient patient;
    explicit ReadPatient(std::string json)
        : document(std::move(json)), patient(fhir::readPatient(document.root(), {"patient"}, issues)) {}
};

struct ReadObservation {
    Document document;
    std::vector<Issue> issues;
    fhir::Observation observation;
    explicit ReadObservation(const std::string& members)
        : document('{' + members + '}'), observation(fhir::readObservation(document.root(), {"observation"}, issues)) {}
};

struct ReadCondition {
    Document document;
    std::vector<Issue> issues;
    fhir::Condition condition;
    explicit ReadCondition(const std::string& members, const fhir::Patient& patient = {})
        : document('{' + members + '}'),
          condition(fhir::readCondition(document.root(), {"condition"}, patient, issues)) {}
};

bool hasIssue(const std::vector<Issue>& issues, std::string_view path) {
    return std::any_of(issues.begin(), issues.end(), [&](const Issue& issue) { return issue.path == path; });
}

std::string span(const std::optional<fhir::DateTime>& date) {
    if (!date) return "";
    return date->isOneDay() ? date->firstDay().text() : date->firstDay().text() + ".." + date->lastDay().text();
}

fhir::Patient born(std::string_view birthDate) {
    fhir::Patient patient;
    patient.birthDate = fhir::DateTime::parse(birthDate);
    return patient;
}

}  // namespace

TEST_CASE("a birth date is as precise as it is written") {
    struct Row {
        std::string_view members, expected;
        bool issue;
    };
    const std::vector<Row> rows{
        {R"("birthDate":"1970-11-20")", "1970-11-20", false},
        {R"("birthDate":"1970-11")", "1970-11-01..1970-11-30", false},
        {R"("birthDate":"1970")", "1970-01-01..1970-12-31", false},
        {R"("birthDate":1970)", "1970-01-01..1970-12-31", false},  // a number where a string belongs
        {R"("birthDate":null)", "", false},
        {R"("_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]})",
         "", false},
        {R"("birthDate":"1970-02-30")", "", true},
        {R"("birthDate":"")", "", false},
        {R"("birthDate":["1970"])", "", true},
        {R"("gender":"male")", "", false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const ReadPatient read('{' + std::string(row.members) + '}');
        CHECK(span(read.patient.birthDate) == row.expected);
        CHECK(hasIssue(read.issues, "patient.birthDate") == row.issue);
    }
}

TEST_CASE("a death is a flag, a date, or a date that cannot be read") {
    struct Row {
        std::string_view members;
        bool deceased;
        std::string_view date;
    };
    const std::vector<Row> rows{
        {"", false, ""},
        {R"("deceasedBoolean":false)", false, ""},
        {R"("deceasedBoolean":true)", true, ""},
        {R"("deceasedBoolean":null)", false, ""},
        {R"("deceasedDateTime":"2025-03-04")", true, "2025-03-04"},
        {R"("deceasedDateTime":"2025")", true, "2025-01-01..2025-12-31"},
        {R"("deceasedDateTime":"last winter")", true, ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const ReadPatient read('{' + std::string(row.members) + '}');
        CHECK(read.patient.deceased == row.deceased);
        CHECK(span(read.patient.deceasedDateTime) == row.date);
    }
}

TEST_CASE("a patient has an id, a gender and identifiers") {
    const ReadPatient read(
        R"({"id":"p1","gender":"female ","identifier":[{"system":"urn:mrn","value":"77"},{"value":"88"},{}]})");
    CHECK(read.patient.id == "p1");
    CHECK(read.patient.gender == "female");
    REQUIRE(read.patient.identifier.size() == 3);
    CHECK(read.patient.identifier[0].system == "urn:mrn");
    CHECK(read.patient.identifier[0].value == "77");
    CHECK(read.patient.identifier[1].system == "");
}

TEST_CASE("a value is read in the form it has") {
    struct Row {
        std::string_view members;
        ValueKind kind;
    };
    const std::vector<Row> rows{
        {"", ValueKind::none},
        {R"("valueQuantity":null)", ValueKind::none},
        {R"("_valueQuantity":{"extension":[]})", ValueKind::none},
        {R"("valueQuantity":{"value":1.50,"unit":"mg/dL"})", ValueKind::quantity},
        {R"("valueCodeableConcept":{"text":"Positive"})", ValueKind::codeableConcept},
        {R"("valueString":"12.1 g/dL")", ValueKind::string},
        {R"("valueBoolean":true)", ValueKind::boolean},
        {R"("valueInteger":1)", ValueKind::integer},
        {R"("valueRange":{"low":{"value":50},"high":{"value":55}})", ValueKind::range},
        {R"("valueRatio":{"numerator":{"value":1}})", ValueKind::unread},
        {R"("valueSampledData":{})", ValueKind::unread},
        {R"("valueDateTime":"2025")", ValueKind::unread},
        {R"("valueString":7)", ValueKind::unread},
        {R"("valueBoolean":"true")", ValueKind::unread},
        // FHIR allows one value; two are none.
        {R"("valueString":"x","valueInteger":1)", ValueKind::unread},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        CHECK(ReadObservation(std::string(row.members)).observation.result.value.kind == row.kind);
    }
}

TEST_CASE("a quantity keeps its spelling, also where it is a string") {
    const ReadObservation number(
        R"("valueQuantity":{"value":1.50,"comparator":"<","unit":"mg/dl","system":"http://unitsofmeasure.org","code":"mg/dL"})");
    const fhir::Quantity& quantity = number.observation.result.value.quantity;
    CHECK(quantity.value == "1.50");
    CHECK(quantity.comparator == "<");
    CHECK(quantity.unit == "mg/dl");
    CHECK(quantity.system == "http://unitsofmeasure.org");
    CHECK(quantity.code == "mg/dL");
    CHECK(ReadObservation(R"("valueQuantity":{"value":"1.50"})").observation.result.value.quantity.value == "1.50");
    CHECK(ReadObservation(R"("valueQuantity":{"value":1E-245})").observation.result.value.quantity.value == "1E-245");
    CHECK(ReadObservation(R"("valueInteger":"3")").observation.result.value.quantity.value == "3");
    const ReadObservation broken(R"("valueQuantity":{"value":[1]})");
    CHECK(broken.observation.result.value.quantity.value == "");
    CHECK_FALSE(broken.issues.empty());
    const ReadObservation text(R"("valueQuantity":"1.5 mg/dL")");
    CHECK(text.observation.result.value.quantity.value == "");
    CHECK(hasIssue(text.issues, "observation.valueQuantity"));
}

TEST_CASE("the time of an Observation is its effective time, of a period its end") {
    struct Row {
        std::string_view members, effective, issued;
    };
    const std::vector<Row> rows{
        {"", "", ""},
        {R"("effectiveDateTime":"2025-11-02")", "2025-11-02", ""},
        {R"("effectiveInstant":"2025-11-02T08:00:00Z")", "2025-11-02", ""},
        {R"("effectivePeriod":{"start":"2025-11-01","end":"2025-11-03"})", "2025-11-03", ""},
        {R"("effectivePeriod":{"start":"2025-11-01"})", "2025-11-01", ""},
        {R"("effectivePeriod":{"end":"2025-11-03"})", "2025-11-03", ""},
        {R"("effectivePeriod":{})", "", ""},
        {R"("effectiveDateTime":"2025-11-02","issued":"2025-11-05T10:00:00Z")", "2025-11-02", "2025-11-05"},
        {R"("issued":"2025-11-05T10:00:00Z")", "", "2025-11-05"},
        {R"("effectiveTiming":{"event":["2025"]})", "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const ReadObservation read{std::string(row.members)};
        CHECK(span(read.observation.effective) == row.effective);
        CHECK(span(read.observation.issued) == row.issued);
    }
    CHECK(hasIssue(ReadObservation(R"("effectiveDateTime":"2025-02-30")").issues, "observation.effectiveDateTime"));
}

TEST_CASE("codes, interpretation, method and words of an Observation are read") {
    const ReadObservation read(
        R"("id":"o1","status":"final ","code":{"coding":[{"system":"s1","code":"c1","display":"d1"},{"system":"s2","code":"c2"},null,{}],"text":"words"},
           "interpretation":[{"coding":[{"code":"POS"}]},null,{"text":"high"}],
           "method":{"text":"flow cytometry","coding":[{"display":"FC"}]},
           "note":[{"text":"first"},{"text":""},{"text":"second"}],
           "specimen":{"display":"bone marrow"},"bodySite":{"text":"iliac crest","coding":[{"display":"ilium"}]})");
    const fhir::Observation& observation = read.observation;
    CHECK(observation.id == "o1");
    CHECK(observation.status == "final");
    REQUIRE(observation.result.code.coding.size() == 2);
    CHECK(observation.result.code.coding[0].system == "s1");
    CHECK(observation.result.code.coding[0].code == "c1");
    CHECK(observation.result.code.coding[0].display == "d1");
    CHECK(observation.result.code.coding[1].code == "c2");
    CHECK(observation.result.code.text == "words");
    REQUIRE(observation.result.interpretation.size() == 2);
    CHECK(observation.result.interpretation[0].coding.front().code == "POS");
    CHECK(observation.result.interpretation[1].text == "high");
    CHECK(observation.method.text == "flow cytometry");
    CHECK(observation.texts == std::vector<std::string_view>{"first", "second", "bone marrow", "iliac crest", "ilium"});
}

TEST_CASE("an interpretation before R4 is a single concept") {
    const ReadObservation read(R"("interpretation":{"coding":[{"code":"NEG"}]})");
    REQUIRE(read.observation.result.interpretation.size() == 1);
    CHECK(read.observation.result.interpretation.front().coding.front().code == "NEG");
}

TEST_CASE("components are results of their own") {
    const ReadObservation read(
        R"("code":{"text":"panel"},"component":[{"code":{"text":"a"},"valueInteger":1,"referenceRange":[{"text":"0-2"}]},null,
           {"code":{"text":"b"},"dataAbsentReason":{"text":"unknown"}}])");
    REQUIRE(read.observation.component.size() == 2);
    CHECK(read.observation.component[0].code.text == "a");
    CHECK(read.observation.component[0].value.quantity.value == "1");
    REQUIRE(read.observation.component[0].referenceRange.size() == 1);
    CHECK(read.observation.component[1].dataAbsent);
    CHECK(read.observation.component[1].value.kind == ValueKind::none);
    CHECK(read.observation.result.value.kind == ValueKind::none);
    CHECK_FALSE(read.observation.result.dataAbsent);
}

TEST_CASE("a reference range has ends, type, population, age and words") {
    const ReadObservation read(
        R"("referenceRange":[{"low":{"value":0.2,"unit":"mg/dL"},"high":{"value":1.20,"unit":"mg/dL"},"type":{"text":"normal"},
           "appliesTo":[{"text":"male"}],"age":{"low":{"value":18,"unit":"a"},"high":{"value":65,"unit":"a"}},"text":"0.2-1.2"},
           null,{"text":">59"}])");
    REQUIRE(read.observation.result.referenceRange.size() == 2);
    const fhir::ReferenceRange& range = read.observation.result.referenceRange[0];
    CHECK(range.low.value == "0.2");
    CHECK(range.high.value == "1.20");
    CHECK(range.high.unit == "mg/dL");
    CHECK(range.type.text == "normal");
    REQUIRE(range.appliesTo.size() == 1);
    CHECK(range.appliesTo.front().text == "male");
    CHECK(range.ageLow.value == "18");
    CHECK(range.ageHigh.value == "65");
    CHECK(range.text == "0.2-1.2");
    CHECK(read.observation.result.referenceRange[1].text == ">59");
    CHECK(read.observation.result.referenceRange[1].high.value == "");
}

TEST_CASE("the outline of an Observation reports what reading all of it reports, and holds the same") {
    const std::string plain = R"("id":"o","status":"final","code":{"coding":[{"code":"1"}]},"issued":"2025-01-02")";
    for (const char* members : {
             R"("valueQuantity":{"value":1,"unit":"g/dL"},"referenceRange":[{"high":{"value":2}}])",
             R"("valueQuantity":3)",
             R"("valueQuantity":{"value":{}})",
             R"("valueQuantity":{"value":1,"unit":[]},"method":1)",
             R"("valueString":"a","valueBoolean":true)",
             R"("valueString":"a","valueSampledData":{"period":1})",
             R"("valueRange":{"low":{"value":1},"high":"2"})",
             R"("interpretation":[{"coding":[{"code":"H"}]},null,1,"N"])",
             R"("interpretation":{"coding":[{"code":[]}]})",
             R"("referenceRange":[1,{"low":1,"age":{"high":2}},{"type":true,"appliesTo":[2]}])",
             R"("component":[{"code":{"text":"c"},"valueQuantity":{"value":1}},{"code":1},2])",
             R"("component":[{"valueQuantity":1,"valueString":"a"}])",
             R"("effectiveDateTime":"2025-02-30")",
             R"("effectiveDateTime":"2025-02-30","effectivePeriod":{"start":"2025-01-01","end":{}})",
             R"("effectivePeriod":{"start":"2025-01-01"})",
             R"("note":[{"text":1},{"text":{}}],"specimen":{"display":[]},"bodySite":{"text":"marrow"})",
         }) {
        CAPTURE(members);
        const ReadObservation whole(plain + ',' + members);
        std::vector<Issue> issues;
        fhir::ObservationOutline outline;
        fhir::readObservationOutline(whole.document.root(), {"observation"}, issues, outline);
        REQUIRE(issues.size() == whole.issues.size());
        for (std::size_t i = 0; i < issues.size(); ++i) {
            CHECK(issues[i].path == whole.issues[i].path);
            CHECK(issues[i].message == whole.issues[i].message);
        }
        const fhir::Observation& expected = whole.observation;
        CHECK(outline.id == expected.id);
        CHECK(outline.status == expected.status);
        CHECK(outline.code().coding.size() == expected.result.code.coding.size());
        CHECK(span(outline.effective) == span(expected.effective));
        CHECK(span(outline.issued) == span(expected.issued));
        const fhir::Observation later = outline.whole();
        CHECK(later.result.value.kind == expected.result.value.kind);
        CHECK(later.result.value.quantity.value == expected.result.value.quantity.value);
        CHECK(later.result.interpretation.size() == expected.result.interpretation.size());
        CHECK(later.result.referenceRange.size() == expected.result.referenceRange.size());
        CHECK(later.component.size() == expected.component.size());
        CHECK(later.texts == expected.texts);
    }
}

TEST_CASE("a clinical status is a concept, and before R4 a plain code") {
    struct Row {
        std::string_view status;
        ClinicalStatus expected;
    };
    const std::vector<Row> rows{
        {R"({"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]})",
         ClinicalStatus::active},
        {R"({"coding":[{"code":"recurrence"}]})", ClinicalStatus::recurrence},
        {R"({"coding":[{"code":"relapse"}]})", ClinicalStatus::relapse},
        {R"({"coding":[{"code":"inactive"}]})", ClinicalStatus::inactive},
        {R"({"coding":[{"code":"remission"}]})", ClinicalStatus::remission},
        {R"({"coding":[{"code":"resolved"}]})", ClinicalStatus::resolved},
        {R"({"coding":[{"code":" resolved "}]})", ClinicalStatus::resolved},
        {R"({"coding":[{"system":"urn:local","code":"A"},{"code":"active"}]})", ClinicalStatus::active},
        {R"("active")", ClinicalStatus::active},
        {R"("resolved")", ClinicalStatus::resolved},
        {R"("Active")", ClinicalStatus::unread},
        {R"({"coding":[{"code":"better"}]})", ClinicalStatus::unread},
        {R"({"text":"active, I think"})", ClinicalStatus::unread},
        {"{}", ClinicalStatus::none},
        {"null", ClinicalStatus::none},
    };
    for (const Row& row : rows) {
        CAPTURE(row.status);
        CHECK(ReadCondition(R"("clinicalStatus":)" + std::string(row.status)).condition.clinicalStatus == row.expected);
    }
    CHECK(ReadCondition("").condition.clinicalStatus == ClinicalStatus::none);
}

TEST_CASE("a verification status that is not known is not taken for a confirmation") {
    struct Row {
        std::string_view status;
        VerificationStatus expected;
    };
    const std::vector<Row> rows{
        {R"({"coding":[{"code":"confirmed"}]})", VerificationStatus::confirmed},
        {R"({"coding":[{"code":"unconfirmed"}]})", VerificationStatus::unconfirmed},
        {R"({"coding":[{"code":"provisional"}]})", VerificationStatus::unconfirmed},
        {R"({"coding":[{"code":"differential"}]})", VerificationStatus::unconfirmed},
        {R"({"coding":[{"code":"refuted"}]})", VerificationStatus::refuted},
        {R"({"coding":[{"code":"entered-in-error"}]})", VerificationStatus::enteredInError},
        {R"({"coding":[{"code":"entered-in-error "}]})", VerificationStatus::enteredInError},
        {R"("refuted")", VerificationStatus::refuted},
        {R"("unknown")", VerificationStatus::unconfirmed},
        {R"({"text":"sure"})", VerificationStatus::unconfirmed},
        {"null", VerificationStatus::none},
    };
    for (const Row& row : rows) {
        CAPTURE(row.status);
        CHECK(ReadCondition(R"("verificationStatus":)" + std::string(row.status)).condition.verificationStatus ==
              row.expected);
    }
}

TEST_CASE("an onset is a date, the start of a period, or an age") {
    struct Row {
        std::string_view members, birthDate, expected;
    };
    const std::vector<Row> rows{
        {R"("onsetDateTime":"2024-03")", "", "2024-03-01..2024-03-31"},
        {R"("onsetPeriod":{"start":"2024-03-05"})", "", "2024-03-05"},
        {R"("onsetAge":{"value":45,"unit":"years","code":"a"})", "1970-11-20", "2015-11-20..2016-11-19"},
        {R"("onsetAge":{"value":45,"unit":"years"})", "1970-11-20", "2015-11-20..2016-11-19"},
        {R"("onsetAge":{"value":45,"code":"a"})", "1970", "2015-01-01..2016-12-30"},
        {R"("onsetAge":{"value":6,"code":"mo"})", "2020-01-15", "2020-07-15..2020-08-14"},
        {R"("onsetAge":{"value":1,"code":"a"})", "2004-02-29", "2005-03-01..2006-02-28"},
        {R"("onsetAge":{"value":45,"code":"a"})", "", ""},
        {R"("onsetAge":{"value":4500,"code":"a"})", "1970-11-20", ""},
        {R"("onsetAge":{"value":-4,"code":"a"})", "1970-11-20", ""},
        {R"("onsetAge":{"value":45})", "1970-11-20", ""},
        {R"("onsetAge":{"code":"a"})", "1970-11-20", ""},
        {R"("onsetString":"in childhood")", "1970-11-20", ""},
        {R"("onsetDateTime":"2024-13")", "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        CAPTURE(row.birthDate);
        const ReadCondition read(std::string(row.members), born(row.birthDate));
        CHECK(span(read.condition.onset) == row.expected);
    }
}

TEST_CASE("an abatement is recorded, dated or not") {
    struct Row {
        std::string_view members;
        bool abated;
        std::string_view date;
    };
    const std::vector<Row> rows{
        {"", false, ""},
        {R"("abatementDateTime":"2025-03-04")", true, "2025-03-04"},
        {R"("abatementDateTime":"when it was over")", true, ""},
        {R"("abatementPeriod":{"start":"2025-01-01","end":"2025-03-04"})", true, "2025-03-04"},
        {R"("abatementPeriod":{"start":"2025-01-01"})", false, ""},
        {R"("abatementAge":{"value":50,"code":"a"})", true, "2020-11-20..2021-11-19"},
        {R"("abatementRange":{"low":{"value":50}})", true, ""},
        {R"("abatementString":"years ago")", true, ""},
        {R"("abatementBoolean":true)", true, ""},
        {R"("abatementBoolean":false)", false, ""},
        {R"("abatementString":null)", false, ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.members);
        const ReadCondition read(std::string(row.members), born("1970-11-20"));
        CHECK(read.condition.abated == row.abated);
        CHECK(span(read.condition.abatement) == row.date);
    }
}

TEST_CASE("the histology extension of mCODE and the stage bring codings of their own") {
    const ReadCondition read(
        R"("code":{"coding":[{"system":"icd","code":"C91.00"}]},
           "extension":[{"url":"http://example.org/other","valueCodeableConcept":{"coding":[{"code":"no"}]}},
             {"url":"http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-histology-morphology-behavior",
              "valueCodeableConcept":{"coding":[{"system":"sct","code":"277575008"}]}}],
           "stage":[{"summary":{"coding":[{"system":"sct","code":"420913000"}]}},{"type":{"text":"x"}}])");
    REQUIRE(read.condition.code.coding.size() == 2);
    CHECK(read.condition.code.coding[0].code == "C91.00");
    CHECK(read.condition.code.coding[1].code == "277575008");
    REQUIRE(read.condition.stage.size() == 1);
    CHECK(read.condition.stage.front().code == "420913000");
}

TEST_CASE("an issue names the element and never its value") {
    const ReadCondition read(R"("onsetDateTime":"when Jane was born","recordedDate":"2025-02-30")");
    CHECK(hasIssue(read.issues, "condition.onsetDateTime"));
    CHECK(hasIssue(read.issues, "condition.recordedDate"));
    for (const Issue& issue : read.issues) CHECK(issue.message.find("Jane") == std::string::npos);
}

TEST_CASE("resources of the wrong shape are read as far as they go") {
    const std::string shapeless =
        R"("id":["x"],"code":7,"status":{},"component":{},"interpretation":"POS","referenceRange":[7,"x"],"method":[],"note":{},
           "clinicalStatus":7,"verificationStatus":[],"onsetPeriod":"2024","onsetAge":"45","stage":[7],"extension":[7],"identifier":[7])";
    const ReadObservation observation(shapeless);
    CHECK(observation.observation.result.referenceRange.empty());
    CHECK(observation.observation.component.empty());
    CHECK_FALSE(observation.issues.empty());
    const ReadCondition condition(shapeless);
    CHECK(condition.condition.code.coding.empty());
    CHECK_FALSE(condition.condition.onset.has_value());
    const ReadPatient patient('{' + shapeless + '}');
    CHECK(patient.patient.id == "");
}
