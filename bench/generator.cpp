#include "bench/generator.h"

#include <array>
#include <random>

#include "fhir/date.h"

namespace bench {

namespace {

struct Laboratory {
    const char* code;
    const char* display;
    const char* unit;
    int low;         ///< in tenths
    int high;        ///< in tenths
    int upperLimit;  ///< in tenths; 0: none
};

constexpr std::array<Laboratory, 14> laboratory{{
    {"2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 6, 14, 12},
    {"1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma", "mg/dL", 3, 18, 12},
    {"1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 120, 900, 400},
    {"1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 120, 900, 400},
    {"718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 70, 140, 0},
    {"6301-6", "INR in Platelet poor plasma by Coagulation assay", "{INR}", 9, 14, 12},
    {"14979-9", "aPTT in Platelet poor plasma by Coagulation assay", "s", 240, 400, 360},
    {"29463-7", "Body Weight", "kg", 500, 950, 0},
    {"59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", 900, 1000, 0},
    {"8806-2", "Left ventricular Ejection fraction by 2D echo", "%", 400, 700, 0},
    {"777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 100, 2000, 0},
    {"2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 700, 1400, 1000},
    {"2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 1300, 1480, 1450},
    {"2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 32, 52, 51},
}};

std::string tenths(int value) {
    return std::to_string(value / 10) + '.' + std::to_string(value % 10);
}

std::string condition(const char* id, const char* code, const char* display, const char* status,
                      const std::string& onset) {
    return std::string(R"({"resource":{"resourceType":"Condition","id":")") + id +
           R"(","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":")" +
           status +
           R"("}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"confirmed"}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":")" +
           code + R"(","display":")" + display + R"("}]},"subject":{"reference":"Patient/p"},"onsetDateTime":")" +
           onset + R"("}})";
}

}  // namespace

std::string chart(std::uint32_t seed, std::size_t bytes) {
    std::mt19937 random(seed);
    const auto between = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    const fhir::Date last = *fhir::Date::of(2025, 11, 12);

    std::string text =
        R"({"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"p","gender":")" +
        std::string(between(0, 1) == 0 ? "male" : "female") + R"(","birthDate":")" +
        std::to_string(between(1945, 2005)) + R"(-06-15"}},)" +
        condition("aml", "C92.02", "Acute myeloblastic leukemia, in relapse", "relapse", "2025-08-20") + ',' +
        condition("hypertension", "I10", "Essential (primary) hypertension", "active", "2018-02-01") + ',' +
        condition("pneumonia", "J18.9", "Pneumonia, unspecified organism", "resolved", "2025-05-02");
    for (std::size_t i = 0; text.size() + 700 < bytes; ++i) {
        const Laboratory& lab = laboratory[i % laboratory.size()];
        const std::string date = (last - static_cast<int>(i / laboratory.size()) * 7).text();
        const std::string value = tenths(between(lab.low, lab.high));
        text +=
            R"(,{"fullUrl":"https://ehr.example/fhir/Observation/o)" + std::to_string(i) +
            R"(","resource":{"resourceType":"Observation","id":"o)" + std::to_string(i) +
            R"(","meta":{"lastUpdated":")" + date +
            R"(T09:30:00Z"},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":")" +
            lab.code + R"(","display":")" + lab.display + R"("}],"text":")" + lab.display +
            R"("},"subject":{"reference":"Patient/p"},"effectiveDateTime":")" + date + R"(T08:15:00Z","issued":")" +
            date + R"(T09:30:00Z","valueQuantity":{"value":)" + value + R"(,"unit":")" + lab.unit +
            R"(","system":"http://unitsofmeasure.org","code":")" + lab.unit + R"("})";
        if (lab.upperLimit > 0) {
            text += R"(,"referenceRange":[{"high":{"value":)" + tenths(lab.upperLimit) + R"(,"unit":")" + lab.unit +
                    R"(","system":"http://unitsofmeasure.org","code":")" + lab.unit + R"("}}])";
        }
        text += "}}";
    }
    return text + "]}";
}

}  // namespace bench
