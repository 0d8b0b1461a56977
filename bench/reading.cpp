// From the bytes of a chart to its facts, against simdjson On-Demand, which extracts the same elements as strings: on
// three corpora, one core, twenty charts by every technique in turn.

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/generator.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/report.h"
#include "cds-hooks/screening.h"
#include "fhir/bundle.h"
#include "fhir/resource_type.h"

namespace {

namespace ondemand = simdjson::ondemand;

/// What a user of simdjson would write to have what fhir/resource.h holds: per resource type the same elements, each
/// as a string, everything else skipped.
class Extractor {
public:
    /// How many strings were extracted.
    std::size_t read(const std::string& text, std::size_t capacity) {
        texts_.clear();
        ondemand::document document = parser_.iterate(simdjson::padded_string_view(text.data(), text.size(), capacity));
        for (auto field : document.get_object()) {
            if (key(field) != "entry") continue;
            for (ondemand::object entry : field.value().get_array()) {
                for (auto member : entry) {
                    const std::string_view name = key(member);
                    if (name == "fullUrl") {
                        string(member.value());
                    } else if (name == "resource") {
                        resource(member.value());
                    }
                }
            }
        }
        return texts_.size();
    }

private:
    using Value = simdjson::simdjson_result<ondemand::value>;

    static std::string_view key(simdjson::simdjson_result<ondemand::field>& field) { return field.unescaped_key(); }

    void string(Value value) { texts_.push_back(value.get_string()); }
    void number(Value value) { texts_.push_back(value.raw_json_token()); }

    /// Takes those of the named members that are strings.
    template <typename... Names>
    void strings(Value value, Names... names) {
        for (auto field : value.get_object()) {
            const std::string_view name = key(field);
            if (((name == names) || ...)) string(field.value());
        }
    }

    template <typename Read>
    void each(Value value, Read read) {
        for (auto item : value.get_array()) read(item);
    }

    void codings(Value value) {
        each(value, [&](Value item) { strings(item, "system", "code", "display"); });
    }

    void codeableConcept(Value value) {
        for (auto field : value.get_object()) {
            const std::string_view name = key(field);
            if (name == "coding") {
                codings(field.value());
            } else if (name == "text") {
                string(field.value());
            }
        }
    }
    void codeableConcepts(Value value) {
        each(value, [&](Value item) { codeableConcept(item); });
    }

    void quantity(Value value) {
        for (auto field : value.get_object()) {
            const std::string_view name = key(field);
            if (name == "value") {
                number(field.value());
            } else if (name == "comparator" || name == "unit" || name == "system" || name == "code") {
                string(field.value());
            }
        }
    }

    void range(Value value) {
        for (auto field : value.get_object()) {
            const std::string_view name = key(field);
            if (name == "low" || name == "high") quantity(field.value());
        }
    }

    void referenceRange(Value value) {
        for (auto field : value.get_object()) {
            const std::string_view name = key(field);
            if (name == "low" || name == "high") {
                quantity(field.value());
            } else if (name == "type") {
                codeableConcept(field.value());
            } else if (name == "appliesTo") {
                codeableConcepts(field.value());
            } else if (name == "age") {
                range(field.value());
            } else if (name == "text") {
                string(field.value());
            }
        }
    }

    /// Members that many resource types share. False when it is none of them.
    bool common(std::string_view name, Value value) {
        if (name == "id" || name == "status") {
            string(value);
        } else if (name == "meta") {
            strings(value, "lastUpdated");
        } else if (name == "subject" || name == "patient") {
            strings(value, "reference");
        } else {
            return false;
        }
        return true;
    }

    bool result(std::string_view name, Value value) {
        if (name == "code") {
            codeableConcept(value);
        } else if (name == "valueQuantity") {
            quantity(value);
        } else if (name == "valueCodeableConcept") {
            codeableConcept(value);
        } else if (name == "valueString") {
            string(value);
        } else if (name == "valueInteger" || name == "valueBoolean") {
            number(value);
        } else if (name == "valueRange") {
            range(value);
        } else if (name == "interpretation") {
            codeableConcepts(value);
        } else if (name == "referenceRange") {
            each(value, [&](Value item) { referenceRange(item); });
        } else {
            return false;
        }
        return true;
    }

    void observation(std::string_view name, Value value) {
        if (common(name, value) || result(name, value)) return;
        if (name == "component") {
            each(value, [&](Value item) {
                for (auto field : item.get_object()) result(key(field), field.value());
            });
        } else if (name == "effectiveDateTime" || name == "effectiveInstant" || name == "issued") {
            string(value);
        } else if (name == "effectivePeriod") {
            strings(value, "start", "end");
        } else if (name == "method" || name == "bodySite") {
            codeableConcept(value);
        } else if (name == "note") {
            each(value, [&](Value item) { strings(item, "text"); });
        } else if (name == "specimen") {
            strings(value, "display");
        }
    }

    void condition(std::string_view name, Value value) {
        if (common(name, value)) return;
        if (name == "clinicalStatus" || name == "verificationStatus" || name == "code") {
            codeableConcept(value);
        } else if (name == "stage") {
            each(value, [&](Value item) {
                for (auto field : item.get_object()) {
                    if (key(field) == "summary") codeableConcept(field.value());
                }
            });
        } else if (name == "onsetDateTime" || name == "abatementDateTime" || name == "recordedDate") {
            string(value);
        } else if (name == "onsetPeriod" || name == "abatementPeriod") {
            strings(value, "start", "end");
        } else if (name == "onsetAge" || name == "abatementAge") {
            quantity(value);
        } else if (name == "extension") {
            each(value, [&](Value item) {
                for (auto field : item.get_object()) {
                    const std::string_view member = key(field);
                    if (member == "url") {
                        string(field.value());
                    } else if (member == "valueCodeableConcept") {
                        codeableConcept(field.value());
                    }
                }
            });
        }
    }

    void patient(std::string_view name, Value value) {
        if (name == "id" || name == "gender" || name == "birthDate" || name == "deceasedDateTime") {
            string(value);
        } else if (name == "deceasedBoolean") {
            number(value);
        } else if (name == "identifier") {
            each(value, [&](Value item) { strings(item, "system", "value"); });
        } else if (name == "meta") {
            strings(value, "lastUpdated");
        }
    }

    void activity(std::string_view name, Value value) {
        if (common(name, value)) return;
        if (name == "intent" || name == "authoredOn" || name == "performedDateTime" || name == "occurrenceDateTime" ||
            name == "effectiveDateTime" || name == "whenHandedOver" || name == "whenPrepared") {
            string(value);
        } else if (name == "code" || name == "medicationCodeableConcept" || name == "vaccineCode") {
            codeableConcept(value);
        } else if (name == "medicationReference") {
            strings(value, "reference");
        } else if (name == "performedPeriod" || name == "occurrencePeriod" || name == "effectivePeriod") {
            strings(value, "start", "end");
        } else if (name == "dosageInstruction" || name == "dosage") {
            each(value, [&](Value item) {
                for (auto field : item.get_object()) {
                    const std::string_view member = key(field);
                    if (member == "route") {
                        codeableConcept(field.value());
                    } else if (member == "timing") {
                        timing(field.value());
                    }
                }
            });
        } else if (name == "doNotPerform") {
            number(value);
        }
    }

    void timing(Value value) {
        for (auto field : value.get_object()) {
            const std::string_view name = key(field);
            if (name == "event") {
                each(field.value(), [&](Value item) { string(item); });
            } else if (name == "repeat") {
                for (auto inner : field.value().get_object()) {
                    if (key(inner) == "boundsPeriod") strings(inner.value(), "start", "end");
                }
            }
        }
    }

    void diagnosticReport(std::string_view name, Value value) {
        if (common(name, value)) return;
        if (name == "conclusionCode") {
            codeableConcepts(value);
        } else if (name == "effectiveDateTime") {
            string(value);
        } else if (name == "effectivePeriod") {
            strings(value, "start", "end");
        } else if (name == "contained") {
            each(value, [&](Value item) { resource(item); });
        }
    }

    void resource(Value value) {
        enum class Type { unknown, patient, observation, condition, diagnosticReport, activity };
        Type type = Type::unknown;
        for (auto field : value.get_object()) {
            const std::string_view name = key(field);
            if (name == "resourceType") {
                const std::string_view said = field.value().get_string();
                type = said == "Observation"        ? Type::observation
                       : said == "Condition"        ? Type::condition
                       : said == "Patient"          ? Type::patient
                       : said == "DiagnosticReport" ? Type::diagnosticReport
                       : fhir::isActivity(said)     ? Type::activity
                                                    : Type::unknown;
                if (type == Type::unknown) return;
                continue;
            }
            switch (type) {
                case Type::observation:
                    observation(name, field.value());
                    break;
                case Type::condition:
                    condition(name, field.value());
                    break;
                case Type::patient:
                    patient(name, field.value());
                    break;
                case Type::diagnosticReport:
                    diagnosticReport(name, field.value());
                    break;
                case Type::activity:
                    activity(name, field.value());
                    break;
                case Type::unknown:
                    return;
            }
        }
    }

    ondemand::parser parser_;
    std::vector<std::string_view> texts_;
};

const cds_hooks::Knowledge& knowledge() {
    static const cds_hooks::Knowledge loaded = [] {
        std::vector<mapping::Problem> problems;
        return cds_hooks::readKnowledge(cds_hooks::embeddedKnowledge(), problems);
    }();
    return loaded;
}

fhir::Date asOf() {
    return *fhir::Date::of(2025, 11, 13);
}

fhir::Coverage coverage() {
    fhir::Coverage result;
    result.setAll(fhir::Covered::completely);
    return result;
}

fhir::Chart chartOf(std::string text) {
    return fhir::readBundle(std::make_shared<fhir::json::Document>(std::move(text), fhir::json::Selection::elements),
                            coverage());
}

/// Something that is done with the bytes of a chart; gives a number so that nothing is optimised away.
struct Technique {
    const char* name;
    std::function<std::size_t(std::string&)> run;
    double seconds = 0;          ///< of all charts, each at its best
    std::vector<double> best{};  ///< by chart
};

std::vector<Technique> techniques() {
    static Extractor extractor;
    static std::string target;
    return {
        {"simdjson", [](std::string& text) { return extractor.read(text, text.capacity()); }},
        {"parse",
         [](std::string& text) {
             const fhir::json::Document document(std::move(text), fhir::json::Selection::elements);
             return static_cast<std::size_t>(document.root().isObject());
         }},
        {"read", [](std::string& text) { return chartOf(std::move(text)).observation.size(); }},
        {"facts",
         [](std::string& text) {
             const fhir::Chart chart = chartOf(std::move(text));
             return mapping::readFacts(chart, knowledge().vocabulary, asOf()).size();
         }},
        {"replay",
         [](std::string& text) {
             const auto screening = cds_hooks::screen(knowledge(), chartOf(std::move(text)), asOf());
             return cds_hooks::ndjsonLine(screening, knowledge(), {"chart.ndjson", 1}).size();
         }},
        {"memchr",
         [](std::string& text) {
             return static_cast<std::size_t>(std::memchr(text.data(), '\0', text.size()) != nullptr);
         }},
        {"memcpy",
         [](std::string& text) {
             target.resize(text.size());
             std::memcpy(target.data(), text.data(), text.size());
             return static_cast<std::size_t>(target.back());
         }},
    };
}

void measure(const char* corpus, const std::vector<std::string>& charts, int rounds, std::string_view only) {
    std::vector<Technique> all = techniques();
    if (!only.empty()) std::erase_if(all, [&](const Technique& technique) { return only != technique.name; });
    for (Technique& technique : all) technique.best.assign(charts.size(), std::numeric_limits<double>::max());
    std::size_t check = 0;
    for (int round = 0; round < rounds; ++round) {
        // Some charts by each technique in turn: noise hits all of them, and each is at work as in a replay.
        constexpr std::size_t inTurn = 20;
        for (std::size_t first = 0; first < charts.size(); first += inTurn) {
            for (Technique& technique : all) {
                for (std::size_t i = first; i < std::min(first + inTurn, charts.size()); ++i) {
                    std::string text;
                    text.reserve(charts[i].size() + simdjson::SIMDJSON_PADDING);
                    text = charts[i];
                    const auto begin = std::chrono::steady_clock::now();
                    check += technique.run(text);
                    const auto end = std::chrono::steady_clock::now();
                    technique.best[i] = std::min(technique.best[i], std::chrono::duration<double>(end - begin).count());
                }
            }
        }
    }
    double bytes = 0;
    for (const std::string& chart : charts) bytes += static_cast<double>(chart.size());
    for (Technique& technique : all) {
        for (const double seconds : technique.best) technique.seconds += seconds;
    }
    std::printf("%s: %zu charts, %.0f KB each%s\n", corpus, charts.size(),
                bytes / 1000 / static_cast<double>(charts.size()), check == 0 ? " (nothing was read)" : "");
    const auto secondsOf = [&](std::string_view name) {
        const auto found =
            std::find_if(all.begin(), all.end(), [&](const Technique& technique) { return name == technique.name; });
        return found == all.end() ? std::numeric_limits<double>::quiet_NaN() : found->seconds;
    };
    for (const Technique& technique : all) {
        std::printf("  %-10s %8.0f MB/s %8.1f us a chart %7.2f x simdjson %7.2f x facts\n", technique.name,
                    bytes / technique.seconds / 1e6, technique.seconds * 1e6 / static_cast<double>(charts.size()),
                    secondsOf("simdjson") / technique.seconds, secondsOf("facts") / technique.seconds);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 5;
    const std::size_t count = argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 200;
    const std::string_view only = argc > 3 ? argv[3] : "";
    const std::string_view technique = argc > 4 ? argv[4] : "";
    if (rounds < 1 || count < 1) {
        std::fputs("usage: cd7match-reading [ROUNDS [CHARTS [CORPUS [TECHNIQUE]]]]\n", stderr);
        return 2;
    }
    std::printf("simdjson %d.%d.%d (%s)\n", simdjson::SIMDJSON_VERSION_MAJOR, simdjson::SIMDJSON_VERSION_MINOR,
                simdjson::SIMDJSON_VERSION_REVISION, simdjson::get_active_implementation()->name().c_str());
    for (const auto& [name, corpus] : {std::pair{"synthea", bench::Corpus::synthea},
                                       {"mii", bench::Corpus::mii},
                                       {"oncology", bench::Corpus::oncology}}) {
        if (!only.empty() && only != name) continue;
        std::vector<std::string> charts;
        for (std::size_t i = 0; i < count; ++i) charts.push_back(bench::bundle(bench::patient(corpus, 1, i)));
        measure(name, charts, rounds, technique);
    }
    return 0;
}
