#include "mapping/allergy.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support.h"

namespace {

constexpr std::string_view asOf = "2025-11-20";
const std::string patient = R"({"resourceType":"Patient","id":"p","gender":"male","birthDate":"1970-01-01"})";

struct Allergy {
    std::string code = R"({"coding":[{"system":"http://snomed.info/sct","code":"91935009"}]})";  // peanuts
    std::string clinicalStatus = "active";
    std::string verificationStatus = "confirmed";
    std::string members;  ///< further ones, each with a comma at its end

    std::string json(std::string_view id = "a") const {
        const auto status = [](const std::string& word) { return R"({"coding":[{"code":")" + word + "\"}]},"; };
        return R"({"resourceType":"AllergyIntolerance","id":")" + std::string(id) + R"(","clinicalStatus":)" +
               status(clinicalStatus) + R"("verificationStatus":)" + status(verificationStatus) + members +
               R"("code":)" + code + R"(,"patient":{"reference":"Patient/p"}})";
    }
};

std::string rxnorm(std::string_view code) {
    return R"({"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":")" + std::string(code) +
           "\"}]}";
}
std::string snomed(std::string_view code) {
    return R"({"coding":[{"system":"http://snomed.info/sct","code":")" + std::string(code) + "\"}]}";
}

std::string verdict(const std::vector<Allergy>& allergies, std::string_view trial, std::string_view criterion) {
    std::vector<std::string> all{patient};
    for (const Allergy& allergy : allergies) all.push_back(allergy.json("a" + std::to_string(all.size())));
    const auto screening = support::screen(support::bundleOf(all), asOf, support::covering({"AllergyIntolerance"}));
    return support::truth(screening, trial, criterion) + ' ' + support::basis(screening, trial, criterion);
}

std::string cyclophosphamide(const std::vector<Allergy>& allergies) {
    return verdict(allergies, "NCT07117175", "exc.13b");
}
std::string severe(const std::vector<Allergy>& allergies) {
    return verdict(allergies, "NCT07345780", "exc.03a");
}
std::string product(const std::vector<Allergy>& allergies) {
    return verdict(allergies, "NCT07109518", "exc.12");
}

}  // namespace

TEST_CASE("an allergy to a named drug decides by its code, whatever its status says about proof") {
    Allergy allergy;
    allergy.code = rxnorm("3002");
    CHECK(cyclophosphamide({}) == "false none-on-file");
    CHECK(cyclophosphamide({allergy}) == "true recorded");
    allergy.verificationStatus = "unconfirmed";
    CHECK(cyclophosphamide({allergy}) == "unknown unconfirmed");
    allergy.verificationStatus = "presumed";
    CHECK(cyclophosphamide({allergy}) == "unknown unconfirmed");
    allergy.verificationStatus = "refuted";
    CHECK(cyclophosphamide({allergy}) == "false none-on-file");
    allergy.verificationStatus = "entered-in-error";
    CHECK(cyclophosphamide({allergy}) == "false none-on-file");
    allergy.verificationStatus = "confirmed";
    allergy.clinicalStatus = "resolved";
    CHECK(cyclophosphamide({allergy}) == "unknown unconfirmed");
    allergy.clinicalStatus = "active";
    allergy.members = R"("type":"intolerance",)";
    CHECK(cyclophosphamide({allergy}) == "unknown unconfirmed");
    allergy.members = R"("recordedDate":"2025-11-21",)";
    CHECK(cyclophosphamide({allergy}) == "false none-on-file");
}

TEST_CASE("an allergy to another substance does not count, one that could be anything is a question") {
    Allergy other;
    other.code = rxnorm("7980");  // penicillin G
    CHECK(cyclophosphamide({other}) == "false none-on-file");
    other.code = R"({"text":"something"})";
    CHECK(cyclophosphamide({other}) == "unknown asked");
    Allergy bySubstance;
    bySubstance.code = R"({"text":"drug"})";
    bySubstance.members = R"("reaction":[{"substance":)" + rxnorm("3002") + R"(,"manifestation":[{"text":"rash"}]}],)";
    CHECK(cyclophosphamide({bySubstance}) == "true recorded");
}

TEST_CASE("a severe allergic reaction is proven by what it looked like, excluded when mild, else a question") {
    const auto reaction = [](const std::string& manifestation, const std::string& severity) {
        Allergy allergy;
        allergy.members =
            R"("reaction":[{"manifestation":[)" + manifestation + R"(],"severity":")" + severity + "\"}],";
        return severe({allergy});
    };
    CHECK(severe({}) == "false none-on-file");
    CHECK(severe({Allergy{}}) == "unknown asked");
    CHECK(reaction(snomed("39579001"), "severe") == "true recorded");
    CHECK(reaction(snomed("39579001"), "moderate") == "true recorded");
    CHECK(reaction(R"({"text":"hives"})", "mild") == "false none-on-file");
    CHECK(reaction(R"({"text":"hives"})", "severe") == "unknown asked");
}

TEST_CASE("no known allergy is evidence against, unless an allergy stands beside it") {
    Allergy none;
    none.code = snomed("716186003");
    CHECK(product({}) == "unknown asked");
    CHECK(product({none}) == "false recorded");
    CHECK(severe({none}) == "false recorded");
    CHECK(cyclophosphamide({none}) == "false recorded");
    CHECK(product({none, Allergy{}}) == "unknown asked");
    Allergy noDrug;
    noDrug.code = snomed("409137002");
    CHECK(cyclophosphamide({noDrug}) == "false recorded");
    CHECK(product({noDrug}) == "unknown asked");
    CHECK(severe({noDrug}) == "false none-on-file");
}

TEST_CASE("a biological product or an antibiotic is one by its category or its code") {
    const auto biologic = [](const Allergy& allergy) {
        const auto screening = support::screen(support::bundleOf({patient, allergy.json()}), asOf,
                                               support::covering({"AllergyIntolerance"}));
        const mapping::Vocabulary& vocabulary = support::knowledge().vocabulary;
        const auto& conditions = screening.facts[vocabulary.find("allergyToBiologic")->index].conditions;
        return conditions.empty() ? std::string("nothing") : std::string(mapping::word(conditions.front().basis));
    };
    Allergy allergy;
    CHECK(biologic(allergy) == "asked");
    allergy.members = R"("category":["biologic"],)";
    CHECK(biologic(allergy) == "recorded");
    allergy.members = R"("category":["food"],)";
    CHECK(biologic(allergy) == "nothing");
    allergy.members = R"("category":["medication"],)";
    CHECK(biologic(allergy) == "asked");
    allergy.code = R"({"coding":[{"system":"http://www.whocc.no/atc","code":"J01CA04"}]})";
    CHECK(biologic(allergy) == "recorded");
}
