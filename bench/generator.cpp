#include "bench/generator.h"

#include <algorithm>
#include <array>

#include "fhir/date.h"

namespace bench {

namespace {

/// SplitMix64: the same numbers everywhere, which the distributions of the standard library do not promise.
/// Source: Steele, Lea, Flood. Fast splittable pseudorandom number generators. OOPSLA 2014.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31U);
    }
    /// Both ends included.
    int between(int low, int high) {
        return low + static_cast<int>(next() % static_cast<std::uint64_t>(high - low + 1));
    }
    bool percent(int chance) { return between(1, 100) <= chance; }
    template <typename Choices>
    const auto& of(const Choices& choices) {
        return choices[static_cast<std::size_t>(next() % choices.size())];
    }

private:
    std::uint64_t state_;
};

template <typename... Parts>
std::string join(const Parts&... parts) {
    std::string text;
    text.reserve((std::string_view(parts).size() + ...));
    (text.append(std::string_view(parts)), ...);
    return text;
}

fhir::Date lastDay() {
    return *fhir::Date::of(2025, 11, 12);
}

std::string tenths(int value) {
    return std::to_string(value / 10) + '.' + std::to_string(value % 10);
}

std::string uuid(Random& random) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text = "xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx";
    std::uint64_t bits = 0;
    int left = 0;
    for (char& c : text) {
        if (c != 'x') continue;
        if (left == 0) {
            bits = random.next();
            left = 16;
        }
        c = digits[bits & 15U];
        bits >>= 4U;
        --left;
    }
    return text;
}

struct Code {
    std::string_view system;
    std::string_view code;
    std::string_view display;
};

constexpr std::string_view loinc = "http://loinc.org";
constexpr std::string_view snomed = "http://snomed.info/sct";
constexpr std::string_view icd10cm = "http://hl7.org/fhir/sid/icd-10-cm";
constexpr std::string_view icd10gm = "http://fhir.de/CodeSystem/bfarm/icd-10-gm";
constexpr std::string_view rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";

std::string coding(const Code& code) {
    return join(R"({"coding":[{"system":")", code.system, R"(","code":")", code.code, R"(","display":")", code.display,
                R"("}],"text":")", code.display, R"("})");
}

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

/// What a ward measures now and then besides.
constexpr std::array<Laboratory, 6> furtherLaboratory{{
    {"89247-1", "ECOG Performance Status score", "{score}", 0, 3, 0},  // whole numbers
    {"35591-7", "Creatinine renal clearance predicted by Cockcroft-Gault formula", "mL/min", 400, 1300, 0},
    {"11150-0", "Blasts/100 cells in Bone marrow by Manual count", "%", 0, 700, 0},
    {"6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 5, 300, 110},
    {"751-8", "Neutrophils [#/volume] in Blood by Automated count", "10*3/uL", 1, 80, 0},
    {"2532-0", "Lactate dehydrogenase [Enzymatic activity/volume] in Serum or Plasma", "U/L", 1500, 9000, 2500},
}};

constexpr std::array<Code, 5> serology{{
    {loinc, "5196-1", "Hepatitis B virus surface Ag [Presence] in Serum or Plasma by Immunoassay"},
    {loinc, "16128-1", "Hepatitis C virus Ab [Presence] in Serum"},
    {loinc, "56888-1", "HIV 1+2 Ab+HIV1 p24 Ag [Presence] in Serum or Plasma by Immunoassay"},
    {loinc, "22587-0", "Treponema pallidum Ab [Presence] in Serum"},
    {loinc, "13952-7", "Hepatitis B virus core Ab [Presence] in Serum or Plasma by Immunoassay"},
}};

/// A disease of the trials in three code systems, and how often its chart says relapse.
struct Disease {
    Code icd10cm;
    Code icd10gm;
    Code snomed;
    int relapse;  ///< percent
};

constexpr std::array<Disease, 5> diseases{{
    {{icd10cm, "C92.02", "Acute myeloblastic leukemia, in relapse"},
     {icd10gm, "C92.00", "Akute myeloblastische Leukämie [AML]: Ohne Angabe einer kompletten Remission"},
     {snomed, "91861009", "Acute myeloid leukemia (disorder)"},
     60},
    {{icd10cm, "C92.00", "Acute myeloblastic leukemia, not having achieved remission"},
     {icd10gm, "C92.01", "Akute myeloblastische Leukämie [AML]: In kompletter Remission"},
     {snomed, "91861009", "Acute myeloid leukemia (disorder)"},
     20},
    {{icd10cm, "C91.02", "Acute lymphoblastic leukemia, in relapse"},
     {icd10gm, "C91.00", "Akute lymphatische Leukämie [ALL]: Ohne Angabe einer kompletten Remission"},
     {snomed, "277571004", "Adult T-cell acute lymphoblastic leukemia (disorder)"},
     60},
    {{icd10cm, "C84.40", "Peripheral T-cell lymphoma, not elsewhere classified, unspecified site"},
     {icd10gm, "C84.4", "Peripheres T-Zell-Lymphom, nicht spezifiziert"},
     {snomed, "109977007", "Peripheral T-cell lymphoma (disorder)"},
     30},
    {{icd10cm, "C83.30", "Diffuse large B-cell lymphoma, unspecified site"},
     {icd10gm, "C83.3", "Diffuses großzelliges B-Zell-Lymphom"},
     {snomed, "109969005", "Diffuse large B-cell lymphoma (disorder)"},
     30},
}};

std::string condition(std::string_view id, std::string_view meta, std::string_view subject, const Code& code,
                      std::string_view status, std::string_view onset) {
    return join(
        R"({"resourceType":"Condition","id":")", id, R"(",)", meta,
        R"("clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":")",
        status,
        R"("}]},"verificationStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-ver-status","code":"confirmed"}]},"code":)",
        coding(code), R"(,"subject":{"reference":"Patient/)", subject, R"("},"onsetDateTime":")", onset, R"("})");
}

/// The members of an Observation before its value.
std::string observationHead(std::string_view id, std::string_view meta, std::string_view subject,
                            std::string_view category, const Code& code, std::string_view date) {
    return join(
        R"({"resourceType":"Observation","id":")", id, R"(",)", meta,
        R"("status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":")",
        category, R"("}]}],"code":)", coding(code), R"(,"subject":{"reference":"Patient/)", subject,
        R"("},"effectiveDateTime":")", date, R"(T08:15:00Z","issued":")", date, R"(T09:30:00Z",)");
}

std::string quantity(std::string_view value, std::string_view unit) {
    return join(R"({"value":)", value, R"(,"unit":")", unit, R"(","system":"http://unitsofmeasure.org","code":")", unit,
                R"("})");
}

std::string result(const Laboratory& lab, std::string_view id, std::string_view meta, std::string_view subject,
                   std::string_view date, Random& random) {
    const int measured = random.between(lab.low, lab.high);
    const bool isScore = std::string_view(lab.unit) == "{score}";
    std::string text =
        join(observationHead(id, meta, subject, "laboratory", {loinc, lab.code, lab.display}, date),
             R"("valueQuantity":)", quantity(isScore ? std::to_string(measured) : tenths(measured), lab.unit));
    if (lab.upperLimit > 0)
        text += join(R"(,"referenceRange":[{"high":)", quantity(tenths(lab.upperLimit), lab.unit), R"(}])");
    return text + '}';
}

std::string finding(const Code& code, std::string_view id, std::string_view meta, std::string_view subject,
                    std::string_view date, bool positive) {
    static constexpr Code detected{snomed, "260373001", "Detected (qualifier value)"};
    static constexpr Code notDetected{snomed, "260415000", "Not detected (qualifier value)"};
    return join(observationHead(id, meta, subject, "laboratory", code, date), R"("valueCodeableConcept":)",
                coding(positive ? detected : notDetected), "}");
}

std::string updated(std::string_view date) {
    return join(R"("meta":{"lastUpdated":")", date, R"(T09:30:00Z"},)");
}

std::string patientHead(std::string_view id, std::string_view meta, Random& random, int youngest, int oldest) {
    const int year = 2025 - random.between(youngest, oldest);
    return join(R"({"resourceType":"Patient","id":")", id, R"(",)", meta, R"("gender":")",
                random.percent(50) ? "male" : "female", R"(","birthDate":")", std::to_string(year), "-",
                random.percent(50) ? "06-15" : "11-30", R"(")");
}

// Synthea: visits, each with what is billed for it.

constexpr std::array<std::string_view, 24> words{
    "Patient",  "reports", "no",       "new",   "complaints", "since",      "the",      "last",
    "visit",    "denies",  "fever",    "chest", "pain",       "dyspnea",    "and",      "weight",
    "reviewed", "with",    "continue", "plan",  "follow-up",  "laboratory", "moderate", "\\n\\n# Assessment\\n"};

/// About so many characters, as they stand in a JSON string.
std::string prose(std::size_t size, Random& random) {
    std::string text;
    text.reserve(size + 32);
    while (text.size() < size) {
        text += random.of(words);
        text += ' ';
    }
    return text;
}

std::string base64(std::size_t size, Random& random) {
    static constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text(size / 8 * 8, 'A');
    for (std::size_t i = 0; i < text.size(); i += 8) {
        std::uint64_t bits = random.next();
        for (std::size_t j = 0; j < 8; ++j, bits >>= 6U) text[i + j] = digits[bits & 63U];
    }
    return text;
}

constexpr std::array<Code, 12> complaints{{
    {snomed, "444814009", "Viral sinusitis (disorder)"},
    {snomed, "195662009", "Acute viral pharyngitis (disorder)"},
    {snomed, "59621000", "Essential hypertension (disorder)"},
    {snomed, "15777000", "Prediabetes (finding)"},
    {snomed, "271737000", "Anemia (disorder)"},
    {snomed, "44054006", "Diabetes mellitus type 2 (disorder)"},
    {snomed, "162864005", "Body mass index 30+ - obesity (finding)"},
    {snomed, "10509002", "Acute bronchitis (disorder)"},
    {snomed, "55822004", "Hyperlipidemia (disorder)"},
    {snomed, "66383009", "Gingivitis (disorder)"},
    {snomed, "40055000", "Chronic sinusitis (disorder)"},
    {snomed, "73595000", "Stress (finding)"},
}};

constexpr std::array<Laboratory, 16> checkUp{{
    {"8302-2", "Body Height", "cm", 1500, 1950, 0},
    {"29463-7", "Body Weight", "kg", 500, 1100, 0},
    {"39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", 180, 350, 0},
    {"8867-4", "Heart rate", "/min", 550, 1000, 0},
    {"9279-1", "Respiratory rate", "/min", 120, 180, 0},
    {"2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 1400, 2600, 0},
    {"2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", 700, 2500, 0},
    {"2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL", 300, 800, 0},
    {"4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 45, 90, 0},
    {"2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 700, 1400, 0},
    {"2947-0", "Sodium [Moles/volume] in Blood", "mmol/L", 1350, 1450, 0},
    {"20565-8", "Carbon dioxide, total [Moles/volume] in Blood", "mmol/L", 200, 290, 0},
    {"38483-4", "Creatinine [Mass/volume] in Blood", "mg/dL", 6, 15, 0},
    {"718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 110, 170, 0},
    {"789-8", "Erythrocytes [#/volume] in Blood by Automated count", "10*6/uL", 38, 58, 0},
    {"787-2", "MCV [Entitic volume] by Automated count", "fL", 800, 1000, 0},
}};

constexpr std::array<Code, 8> procedures{{
    {snomed, "430193006", "Medication reconciliation (procedure)"},
    {snomed, "710824005", "Assessment of health and social care needs (procedure)"},
    {snomed, "171207006", "Depression screening (procedure)"},
    {snomed, "703423002", "Combined chemotherapy and radiation therapy (procedure)"},
    {snomed, "76601001", "Intramuscular injection (procedure)"},
    {snomed, "399208008", "Plain X-ray of chest (procedure)"},
    {snomed, "34043003", "Dental consultation and report (procedure)"},
    {snomed, "269911007", "Sputum examination (procedure)"},
}};

constexpr std::array<Code, 8> drugs{{
    {rxnorm, "314076", "lisinopril 10 MG Oral Tablet"},
    {rxnorm, "860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet"},
    {rxnorm, "310965", "Ibuprofen 200 MG Oral Tablet"},
    {rxnorm, "313782", "Acetaminophen 325 MG Oral Tablet"},
    {rxnorm, "308136", "amLODIPine 2.5 MG Oral Tablet"},
    {rxnorm, "312961", "Simvastatin 20 MG Oral Tablet"},
    {rxnorm, "562251", "Amoxicillin 250 MG / Clavulanate 125 MG Oral Tablet"},
    {rxnorm, "1049221", "Acetaminophen 325 MG / Oxycodone Hydrochloride 5 MG Oral Tablet"},
}};

std::string money(std::string_view name, Random& random) {
    return join("\"", name, R"(":{"value":)", std::to_string(random.between(40, 900)), ".",
                std::to_string(random.between(10, 99)), R"(,"currency":"USD"})");
}

class SyntheaPatient {
public:
    SyntheaPatient(std::uint64_t seed) : random_(seed), id_(uuid(random_)) {}

    std::vector<Resource> make() {
        addPatient();
        const int visits = random_.between(3, 8);
        if (random_.between(1, 30) == 1) addDisease();
        for (int visit = 0; visit < visits; ++visit)
            addVisit((lastDay() - (visits - 1 - visit) * random_.between(40, 300) - random_.between(0, 25)).text());
        return std::move(resources_);
    }

private:
    void add(std::string_view type, std::string text) { resources_.push_back({type, std::move(text)}); }

    void addPatient() {
        std::string text = patientHead(
            id_, R"("meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},)", random_,
            1, 92);
        text += join(
            R"(,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Generated by a seeded generator. )",
            prose(300, random_),
            R"(</div>"},"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3","display":"White"}},{"url":"text","valueString":"White"}]},{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"},{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"Worcester","state":"Massachusetts","country":"US"}}],"identifier":[{"system":"https://github.com/synthetichealth/synthea","value":")",
            id_,
            R"("},{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical Record Number"}],"text":"Medical Record Number"},"system":"http://hospital.smarthealthit.org","value":")",
            id_,
            R"("}],"name":[{"use":"official","family":"Synthetic1","given":["Made2","Up3"],"prefix":["Mx."]}],"telecom":[{"system":"phone","value":"555-010-1234","use":"home"}],"address":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/geolocation","extension":[{"url":"latitude","valueDecimal":42.27},{"url":"longitude","valueDecimal":-71.8}]}],"line":["1 Example Street"],"city":"Worcester","state":"MA","postalCode":"01604","country":"US"}],"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"S","display":"Never Married"}],"text":"Never Married"},"multipleBirthBoolean":false,"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en-US","display":"English"}],"text":"English"}}]})");
        add("Patient", std::move(text));
    }

    void addDisease() {
        const Disease& disease = random_.of(diseases);
        const std::string onset = (lastDay() - random_.between(30, 900)).text();
        const bool relapsed = random_.percent(disease.relapse);
        addCondition(random_.percent(50) ? disease.snomed : disease.icd10cm, relapsed ? "relapse" : "active", onset);
        const std::string recent = (lastDay() - random_.between(0, 20)).text();
        for (const Laboratory& lab : laboratory) {
            if (random_.percent(70)) addResult(lab, recent);
        }
        for (const Laboratory& lab : furtherLaboratory) {
            if (random_.percent(40)) addResult(lab, recent);
        }
    }

    void addCondition(const Code& code, std::string_view status, std::string_view onset) {
        add("Condition",
            condition(
                uuid(random_),
                R"("meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-condition-encounter-diagnosis"]},"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"encounter-diagnosis","display":"Encounter Diagnosis"}]}],)",
                id_, code, status, onset));
    }

    void addResult(const Laboratory& lab, std::string_view date) {
        add("Observation",
            result(lab, uuid(random_), R"("meta":{"profile":["http://hl7.org/fhir/StructureDefinition/Observation"]},)",
                   id_, date, random_));
    }

    void addVisit(const std::string& date) {
        const std::string encounter = uuid(random_);
        const std::string period =
            join(R"({"start":")", date, R"(T07:58:11-05:00","end":")", date, R"(T08:28:11-05:00"})");
        add("Encounter",
            join(
                R"({"resourceType":"Encounter","id":")", encounter,
                R"(","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-encounter"]},"identifier":[{"use":"official","system":"https://github.com/synthetichealth/synthea","value":")",
                encounter,
                R"("}],"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"type":[)",
                coding({snomed, "162673000", "General examination of patient (procedure)"}),
                R"(],"subject":{"reference":"Patient/)", id_,
                R"(","display":"Mx. Made2 Synthetic1"},"participant":[{"type":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"PPRF","display":"primary performer"}],"text":"primary performer"}],"period":)",
                period,
                R"(,"individual":{"reference":"Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999979393","display":"Dr. Made4 Up5"}}],"period":)",
                period,
                R"(,"location":[{"location":{"display":"PCP102971"}}],"serviceProvider":{"display":"PCP102971"}})"));
        if (random_.percent(60))
            addCondition(random_.of(complaints), random_.percent(60) ? "resolved" : "active", date);
        const int results = random_.between(3, 11);
        for (int i = 0; i < results; ++i) addResult(random_.of(checkUp), date);
        addBloodPressure(date);
        if (random_.percent(70)) addProcedure(encounter, period);
        if (random_.percent(50)) addDrug(encounter, date);
        addReport(encounter, date);
        if (random_.percent(30)) addImmunization(encounter, date);
        addClaims(encounter, date, period);
    }

    void addBloodPressure(const std::string& date) {
        const auto component = [&](std::string_view code, std::string_view display, int value) {
            return join(R"({"code":)", coding({loinc, code, display}), R"(,"valueQuantity":)",
                        quantity(std::to_string(value), "mm[Hg]"), "}");
        };
        add("Observation",
            join(observationHead(uuid(random_), "", id_, "vital-signs",
                                 {loinc, "85354-9", "Blood pressure panel with all children optional"}, date),
                 R"("component":[)", component("8462-4", "Diastolic Blood Pressure", random_.between(65, 95)), ",",
                 component("8480-6", "Systolic Blood Pressure", random_.between(100, 150)), "]}"));
    }

    void addProcedure(const std::string& encounter, const std::string& period) {
        add("Procedure",
            join(
                R"({"resourceType":"Procedure","id":")", uuid(random_),
                R"(","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-procedure"]},"status":"completed","code":)",
                coding(random_.of(procedures)), R"(,"subject":{"reference":"Patient/)", id_,
                R"("},"encounter":{"reference":"Encounter/)", encounter, R"("},"performedPeriod":)", period,
                R"(,"location":{"display":"PCP102971"}})"));
    }

    void addDrug(const std::string& encounter, const std::string& date) {
        add("MedicationRequest",
            join(
                R"({"resourceType":"MedicationRequest","id":")", uuid(random_),
                R"(","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-medicationrequest"]},"status":")",
                random_.percent(70) ? "stopped" : "active",
                R"(","intent":"order","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/medicationrequest-category","code":"community","display":"Community"}],"text":"Community"}],"medicationCodeableConcept":)",
                coding(random_.of(drugs)), R"(,"subject":{"reference":"Patient/)", id_,
                R"("},"encounter":{"reference":"Encounter/)", encounter, R"("},"authoredOn":")", date,
                R"(T08:10:00-05:00","requester":{"display":"Dr. Made4 Up5"},"dosageInstruction":[{"sequence":1,"timing":{"repeat":{"frequency":1,"period":1.0,"periodUnit":"d"}},"asNeededBoolean":false,"doseAndRate":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/dose-rate-type","code":"ordered","display":"Ordered"}]},"doseQuantity":{"value":1.0}}]}]})"));
    }

    void addReport(const std::string& encounter, const std::string& date) {
        const std::string note = base64(static_cast<std::size_t>(random_.between(400, 1600)), random_);
        add("DiagnosticReport",
            join(
                R"({"resourceType":"DiagnosticReport","id":")", uuid(random_),
                R"(","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>)",
                prose(400, random_), R"(</p></div>"},"status":"final","category":[)",
                coding({loinc, "34117-2", "History and physical note"}), R"(],"code":)",
                coding({loinc, "34117-2", "History and physical note"}), R"(,"subject":{"reference":"Patient/)", id_,
                R"("},"encounter":{"reference":"Encounter/)", encounter, R"("},"effectiveDateTime":")", date,
                R"(T07:58:11-05:00","issued":")", date,
                R"(T07:58:11.000-05:00","performer":[{"display":"Dr. Made4 Up5"}],"presentedForm":[{"contentType":"text/plain","data":")",
                note, R"("}]})"));
        add("DocumentReference",
            join(
                R"({"resourceType":"DocumentReference","id":")", uuid(random_), R"(","status":"current","type":)",
                coding({loinc, "34117-2", "History and physical note"}), R"(,"subject":{"reference":"Patient/)", id_,
                R"("},"date":")", date,
                R"(T07:58:11.000-05:00","content":[{"attachment":{"contentType":"text/plain","data":")", note,
                R"("},"format":{"system":"http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem","code":"urn:ihe:iti:xds:2017:mimeTypeSufficient"}}]})"));
    }

    void addImmunization(const std::string& encounter, const std::string& date) {
        add("Immunization",
            join(R"({"resourceType":"Immunization","id":")", uuid(random_), R"(","status":"completed","vaccineCode":)",
                 coding({"http://hl7.org/fhir/sid/cvx", "140", "Influenza, seasonal, injectable, preservative free"}),
                 R"(,"patient":{"reference":"Patient/)", id_, R"("},"encounter":{"reference":"Encounter/)", encounter,
                 R"("},"occurrenceDateTime":")", date,
                 R"(T07:58:11-05:00","primarySource":true,"location":{"display":"PCP102971"}})"));
    }

    void addClaims(const std::string& encounter, const std::string& date, const std::string& period) {
        const std::string claim = uuid(random_);
        const int items = random_.between(1, 4);
        std::string claimed;
        std::string explained;
        for (int i = 1; i <= items; ++i) {
            const std::string head =
                join(i == 1 ? "" : ",", R"({"sequence":)", std::to_string(i), R"(,"productOrService":)",
                     coding(random_.of(procedures)), R"(,"encounter":[{"reference":"Encounter/)", encounter, R"("}])");
            claimed += join(head, ",", money("net", random_), "}");
            explained += join(
                head, R"(,"servicedPeriod":)", period,
                R"(,"locationCodeableConcept":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/ex-serviceplace","code":"19","display":"Off Campus-Outpatient Hospital"}]},)",
                money("net", random_), R"(,"adjudication":[)");
            for (const std::string_view amount :
                 {"Line Beneficiary Coinsurance Amount", "Line Provider Payment Amount", "Line Submitted Charge Amount",
                  "Line Allowed Charge Amount", "Line Beneficiary Part B Deductible Amount"}) {
                explained += join(
                    explained.back() == '[' ? "" : ",",
                    R"({"category":{"coding":[{"system":"https://bluebutton.cms.gov/resources/variables/adjudication","code":"https://bluebutton.cms.gov/resources/variables/line_amount","display":")",
                    amount, R"("}]},)", money("amount", random_), "}");
            }
            explained += "]}";
        }
        const std::string billable =
            join(R"("billablePeriod":)", period, R"(,"created":")", date, R"(T08:28:11-05:00")");
        add("Claim",
            join(
                R"({"resourceType":"Claim","id":")", claim,
                R"(","status":"active","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/claim-type","code":"professional"}]},"use":"claim","patient":{"reference":"Patient/)",
                id_, R"(","display":"Made2 Synthetic1"},)", billable,
                R"(,"provider":{"display":"PCP102971"},"priority":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/processpriority","code":"normal"}]},"facility":{"display":"PCP102971"},"insurance":[{"sequence":1,"focal":true,"coverage":{"display":"Medicare"}}],"item":[)",
                claimed, "],", money("total", random_), "}"));
        add("ExplanationOfBenefit",
            join(
                R"({"resourceType":"ExplanationOfBenefit","id":")", uuid(random_),
                R"(","contained":[{"resourceType":"ServiceRequest","id":"referral","status":"completed","intent":"order","subject":{"reference":"Patient/)",
                id_,
                R"("},"requester":{"display":"Dr. Made4 Up5"},"performer":[{"display":"Dr. Made4 Up5"}]},{"resourceType":"Coverage","id":"coverage","status":"active","type":{"text":"Medicare"},"beneficiary":{"reference":"Patient/)",
                id_,
                R"("},"payor":[{"display":"Medicare"}]}],"identifier":[{"system":"https://bluebutton.cms.gov/resources/variables/clm_id","value":")",
                claim,
                R"("},{"system":"https://bluebutton.cms.gov/resources/identifier/claim-group","value":"99999999999"}],"status":"active","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/claim-type","code":"professional"}]},"use":"claim","patient":{"reference":"Patient/)",
                id_, R"("},)", billable,
                R"(,"insurer":{"display":"Medicare"},"provider":{"display":"PCP102971"},"referral":{"reference":"#referral"},"claim":{"reference":"Claim/)",
                claim,
                R"("},"outcome":"complete","careTeam":[{"sequence":1,"provider":{"display":"Dr. Made4 Up5"},"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/claimcareteamrole","code":"primary","display":"Primary provider"}]}}],"insurance":[{"focal":true,"coverage":{"reference":"#coverage","display":"Medicare"}}],"item":[)",
                explained,
                R"(],"total":[{"category":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/adjudication","code":"submitted","display":"Submitted Amount"}],"text":"Submitted Amount"},)",
                money("amount", random_), R"(}],"payment":{)", money("amount", random_), "}}"));
    }

    Random random_;
    std::string id_;
    std::vector<Resource> resources_;
};

// Medizininformatik-Initiative: stays in hospital with laboratory and coded diagnoses.

constexpr std::array<Code, 14> germanDiagnoses{{
    {icd10gm, "I10.90", "Essentielle Hypertonie, nicht näher bezeichnet: Ohne Angabe einer hypertensiven Krise"},
    {icd10gm, "E11.90", "Diabetes mellitus, Typ 2: Ohne Komplikationen: Nicht als entgleist bezeichnet"},
    {icd10gm, "E78.0", "Reine Hypercholesterinämie"},
    {icd10gm, "I48.0", "Vorhofflimmern, paroxysmal"},
    {icd10gm, "J44.99", "Chronische obstruktive Lungenkrankheit, nicht näher bezeichnet: FEV1 nicht näher bezeichnet"},
    {icd10gm, "N18.3", "Chronische Nierenkrankheit, Stadium 3"},
    {icd10gm, "K21.0", "Gastroösophageale Refluxkrankheit mit Ösophagitis"},
    {icd10gm, "J18.9", "Pneumonie, nicht näher bezeichnet"},
    {icd10gm, "M54.5", "Kreuzschmerz"},
    {icd10gm, "F32.1", "Mittelgradige depressive Episode"},
    {icd10gm, "D64.9", "Anämie, nicht näher bezeichnet"},
    {icd10gm, "E03.9", "Hypothyreose, nicht näher bezeichnet"},
    {icd10gm, "Z95.5", "Vorhandensein eines Implantates oder Transplantates nach koronarer Gefäßplastik"},
    {icd10gm, "G40.9", "Epilepsie, nicht näher bezeichnet"},
}};

constexpr std::array<Laboratory, 14> germanLaboratory{{
    {"14682-9", "Kreatinin [Mol/Volumen] in Serum oder Plasma", "umol/L", 500, 1400, 1040},
    {"14631-6", "Bilirubin.gesamt [Mol/Volumen] in Serum oder Plasma", "umol/L", 40, 400, 210},
    {"1742-6", "Alanin-Aminotransferase [Enzymatische Aktivität/Volumen] in Serum oder Plasma", "U/L", 120, 900, 500},
    {"1920-8", "Aspartat-Aminotransferase [Enzymatische Aktivität/Volumen] in Serum oder Plasma", "U/L", 120, 900, 500},
    {"718-7", "Hämoglobin [Masse/Volumen] in Blut", "g/dL", 75, 165, 0},
    {"6301-6", "INR in plättchenarmem Plasma mittels Gerinnungstest", "{INR}", 9, 14, 12},
    {"14979-9", "aPTT in plättchenarmem Plasma mittels Gerinnungstest", "s", 240, 400, 360},
    {"2951-2", "Natrium [Mol/Volumen] in Serum oder Plasma", "mmol/L", 1300, 1480, 1450},
    {"2823-3", "Kalium [Mol/Volumen] in Serum oder Plasma", "mmol/L", 32, 52, 51},
    {"6690-2", "Leukozyten [Anzahl/Volumen] in Blut, automatisiert", "10*3/uL", 20, 180, 100},
    {"777-3", "Thrombozyten [Anzahl/Volumen] in Blut, automatisiert", "10*3/uL", 100, 4000, 4000},
    {"1988-5", "C-reaktives Protein [Masse/Volumen] in Serum oder Plasma", "mg/L", 1, 1500, 50},
    {"3084-1", "Urat [Masse/Volumen] in Serum oder Plasma", "mg/dL", 30, 90, 70},
    {"29463-7", "Körpergewicht", "kg", 480, 1100, 0},
}};

std::string profile(std::string_view module, std::string_view date) {
    return join(
        R"("meta":{"lastUpdated":")", date,
        R"(T06:00:00+01:00","source":"urn:example:kis","profile":["https://www.medizininformatik-initiative.de/fhir/core/)",
        module, R"("],"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HTEST"}]},)");
}

std::vector<Resource> miiPatient(std::uint64_t seed) {
    Random random(seed);
    std::vector<Resource> resources;
    const std::string id = uuid(random);
    const std::string today = lastDay().text();
    resources.push_back(
        {"Patient",
         join(
             patientHead(id, profile("modul-person/StructureDefinition/Patient", today), random, 3, 92),
             R"(,"identifier":[{"use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"system":"https://www.example.org/fhir/sid/patienten","value":")",
             id,
             R"(","assigner":{"identifier":{"system":"http://fhir.de/NamingSystem/arge-ik/iknr","value":"260123451"}}}],"name":[{"use":"official","family":"Müster","given":["Jördis"]}],"managingOrganization":{"display":"Universitätsklinikum Beispielstadt"},"address":[{"type":"both","line":["Beispielstraße 17a"],"city":"Beispielstadt","postalCode":"01234","country":"DE"}]})")});
    std::size_t number = 0;
    const auto next = [&](std::string_view prefix) {
        return join(std::string_view(id).substr(0, 8), "-", prefix, "-", std::to_string(++number));
    };
    const auto addCondition = [&](const Code& code, std::string_view status, const std::string& date) {
        resources.push_back({"Condition", condition(next("diagnose"),
                                                    profile("modul-diagnose/StructureDefinition/Diagnose", date) +
                                                        join(R"("recordedDate":")", date, R"(",)"),
                                                    id, code, status, date)});
    };
    const bool isDiseased = random.between(1, 16) == 1;
    if (isDiseased) {
        const Disease& disease = random.of(diseases);
        addCondition(disease.icd10gm, random.percent(disease.relapse) ? "relapse" : "active",
                     (lastDay() - random.between(20, 600)).text());
    }
    const int stays = random.between(1, 2);
    for (int stay = 0; stay < stays; ++stay) {
        const fhir::Date begin = lastDay() - (stays - 1 - stay) * 150 - random.between(3, 40);
        const std::string from = begin.text();
        const std::string fall = next("fall");
        resources.push_back(
            {"Encounter",
             join(
                 R"({"resourceType":"Encounter","id":")", fall, R"(",)",
                 profile("modul-fall/StructureDefinition/KontaktGesundheitseinrichtung", from),
                 R"("identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"VN"}]},"system":"https://www.example.org/fhir/sid/fallnummern","value":")",
                 fall,
                 R"("}],"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP","display":"inpatient encounter"},"type":[{"coding":[{"system":"http://fhir.de/CodeSystem/Kontaktebene","code":"einrichtungskontakt","display":"Einrichtungskontakt"}]}],"serviceType":{"coding":[{"system":"http://fhir.de/CodeSystem/dkgev/Fachabteilungsschluessel","code":"0500","display":"Hämatologie und internistische Onkologie"}]},"subject":{"reference":"Patient/)",
                 id, R"("},"period":{"start":")", from, R"(T10:12:00+01:00","end":")", (begin + 6).text(),
                 R"(T14:00:00+01:00"},"serviceProvider":{"display":"Universitätsklinikum Beispielstadt"}})")});
        const int diagnoses = random.between(1, 4);
        for (int i = 0; i < diagnoses; ++i) addCondition(random.of(germanDiagnoses), "active", from);
        resources.push_back({"Procedure", join(R"({"resourceType":"Procedure","id":")", next("prozedur"), R"(",)",
                                               profile("modul-prozedur/StructureDefinition/Procedure", from),
                                               R"("status":"completed","code":)",
                                               coding({"http://fhir.de/CodeSystem/bfarm/ops", "3-222",
                                                       "Computertomographie des Thorax mit Kontrastmittel"}),
                                               R"(,"subject":{"reference":"Patient/)", id,
                                               R"("},"performedDateTime":")", from, R"(T12:00:00+01:00"})")});
        const int days = random.between(1, 2);
        for (int day = 0; day < days; ++day) {
            const std::string date = (begin + day).text();
            for (const Laboratory& lab : germanLaboratory) {
                if (!random.percent(75)) continue;
                resources.push_back(
                    {"Observation",
                     result(
                         lab, next("labor"),
                         profile("modul-labor/StructureDefinition/ObservationLab", date) +
                             join(
                                 R"("identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"OBI"}]},"system":"https://www.example.org/fhir/sid/test-lab-results","value":")",
                                 std::to_string(number), R"("}],)"),
                         id, date, random)});
            }
        }
        if (isDiseased) {
            for (const Laboratory& lab : furtherLaboratory) {
                if (random.percent(50))
                    resources.push_back(
                        {"Observation",
                         result(lab, next("labor"), profile("modul-labor/StructureDefinition/ObservationLab", from), id,
                                from, random)});
            }
        }
    }
    return resources;
}

// A ward: the same few results again and again.

std::vector<Resource> oncologyPatient(std::uint64_t seed) {
    Random random(seed);
    std::vector<Resource> resources;
    const std::string id = uuid(random);
    resources.push_back({"Patient", patientHead(id, "", random, 12, 84) + '}'});
    const auto addCondition = [&](const Code& code, std::string_view status, int daysAgo) {
        const std::string date = (lastDay() - daysAgo).text();
        resources.push_back({"Condition", condition(uuid(random), updated(date), id, code, status, date)});
    };
    const Disease& disease = random.of(diseases);
    addCondition(random.percent(60) ? disease.icd10cm : disease.snomed,
                 random.percent(disease.relapse) ? "relapse" : "active", random.between(20, 700));
    if (random.percent(30)) addCondition({icd10cm, "I10", "Essential (primary) hypertension"}, "active", 2800);
    if (random.percent(20)) addCondition({icd10cm, "J18.9", "Pneumonia, unspecified organism"}, "resolved", 190);
    if (random.percent(5))
        addCondition({icd10cm, "G40.909", "Epilepsy, unspecified, not intractable, without status epilepticus"},
                     "active", 900);
    const auto addResult = [&](const Laboratory& lab, const std::string& date) {
        resources.push_back({"Observation", result(lab, uuid(random), updated(date), id, date, random)});
    };
    const std::string recent = (lastDay() - random.between(0, 25)).text();
    for (const Code& test : serology) {
        if (random.percent(80))
            resources.push_back(
                {"Observation", finding(test, uuid(random), updated(recent), id, recent, random.between(1, 50) == 1)});
    }
    for (const Laboratory& lab : furtherLaboratory) {
        if (random.percent(85)) addResult(lab, recent);
    }
    const int weeks = random.between(4, 7);
    for (int week = 0; week < weeks; ++week) {
        const std::string date = (lastDay() - week * 7).text();
        for (const Laboratory& lab : laboratory) {
            if (random.percent(90)) addResult(lab, date);
        }
    }
    return resources;
}

}  // namespace

std::vector<Resource> patient(Corpus corpus, std::uint64_t seed, std::uint64_t number) {
    const std::uint64_t own = Random(seed + (number << 20U)).next();
    switch (corpus) {
        case Corpus::synthea:
            return SyntheaPatient(own).make();
        case Corpus::mii:
            return miiPatient(own);
        case Corpus::oncology:
            break;
    }
    return oncologyPatient(own);
}

std::string bundle(const std::vector<Resource>& resources) {
    std::string text = R"({"resourceType":"Bundle","type":"collection","entry":[)";
    std::size_t size = text.size() + 2;
    for (const Resource& resource : resources) size += resource.text.size() + 16;
    text.reserve(size);
    for (const Resource& resource : resources) {
        if (text.back() != '[') text += ',';
        text += R"({"resource":)";
        text += resource.text;
        text += '}';
    }
    return text + "]}";
}

std::string chart(std::uint64_t seed, std::size_t bytes) {
    Random random(seed);
    std::vector<Resource> resources;
    resources.push_back({"Patient", patientHead("p", "", random, 20, 80) + '}'});
    resources.push_back({"Condition", condition("aml", "", "p", diseases[0].icd10cm, "relapse", "2025-08-20")});
    resources.push_back(
        {"Condition", condition("hypertension", "", "p", {icd10cm, "I10", "Essential (primary) hypertension"}, "active",
                                "2018-02-01")});
    resources.push_back(
        {"Condition", condition("pneumonia", "", "p", {icd10cm, "J18.9", "Pneumonia, unspecified organism"}, "resolved",
                                "2025-05-02")});
    std::size_t size = 2000;
    for (std::size_t i = 0; size + 700 < bytes; ++i) {
        const std::string date = (lastDay() - static_cast<int>(i / laboratory.size()) * 7).text();
        resources.push_back({"Observation", result(laboratory[i % laboratory.size()], "o" + std::to_string(i),
                                                   updated(date), "p", date, random)});
        size += resources.back().text.size() + 14;
    }
    return bundle(resources);
}

}  // namespace bench
