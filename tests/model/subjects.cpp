#include "tests/model/subjects.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "rules/evaluate.h"
#include "tests/support.h"

namespace model {

namespace {

std::uint64_t fromEnvironment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Style styleOf(std::uint64_t seed) {
    Style style;
    style.seed = seed;
    style.shuffled = seed % 2 == 0;
    style.duplicates = seed % 5 == 0;
    style.noise = seed % 3 == 0;
    style.wrapping = seed % 7 == 0   ? Style::Wrapping::nested
                     : seed % 7 == 1 ? Style::Wrapping::array
                                     : Style::Wrapping::bundle;
    return style;
}

/// A patient, and how he is written down.
struct Subject {
    Patient patient;
    Style style;
};

/// Drops whatever may be dropped while the subject still fails.
template <typename Fails>
Subject smallest(Subject subject, Fails fails) {
    for (bool Style::*extra : {&Style::noise, &Style::duplicates, &Style::shuffled}) {
        Subject without = subject;
        without.style.*extra = false;
        if (fails(without)) subject = without;
    }
    Subject plain = subject;
    plain.style.wrapping = Style::Wrapping::bundle;
    if (fails(plain)) subject = plain;
    for (bool smaller = true; smaller;) {
        smaller = false;
        for (std::size_t i = 0; i < subject.patient.items.size();) {
            Subject without = subject;
            without.patient.items.erase(without.patient.items.begin() + static_cast<std::ptrdiff_t>(i));
            if (fails(without)) {
                subject = std::move(without);
                smaller = true;
            } else {
                ++i;
            }
        }
    }
    return subject;
}

std::string save(const Patient& patient, const std::string& bundle) {
    const std::filesystem::path path = std::filesystem::path(CD7MATCH_PROGRAM).parent_path() /
                                       ("failing-patient-" + std::to_string(patient.seed) + ".json");
    std::ofstream(path) << bundle << '\n';
    return path.string();
}

}  // namespace

void onEveryPatient(std::uint64_t count, const Check& check) {
    const std::uint64_t first = fromEnvironment("CD7MATCH_SEED", 20'251'113);
    const std::uint64_t patients = fromEnvironment("CD7MATCH_PATIENTS", count);
    const auto careful = [&](const Patient& patient, const Style& style) -> std::vector<std::string> {
        try {
            return check(patient, style);
        } catch (const std::exception& error) {
            return {std::string("threw: ") + error.what()};
        }
    };
    support::knowledge();
    draw(first);  // what is read once is read before the threads start
    std::atomic<std::uint64_t> next{0};
    std::mutex mutex;
    std::vector<std::uint64_t> failing;
    const auto work = [&] {
        for (std::uint64_t i = next++; i < patients; i = next++) {
            if (careful(draw(first + i), styleOf(first + i)).empty()) continue;
            const std::lock_guard lock(mutex);
            failing.push_back(first + i);
            if (failing.size() >= 10) next = patients;  // enough to work on
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::max(2U, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    CHECK(failing.empty());
    std::sort(failing.begin(), failing.end());
    for (const std::uint64_t seed : failing) {
        const auto [patient, style] = smallest({draw(seed), styleOf(seed)}, [&](const Subject& each) {
            return !careful(each.patient, each.style).empty();
        });
        std::string all;
        for (const std::string& each : careful(patient, style)) all += "\n    " + each;
        FAIL_CHECK("CD7MATCH_SEED=" << seed << " CD7MATCH_PATIENTS=1, as of " << dayText(patient.asOf) << ", saved as "
                                    << save(patient, render(patient, style)) << all);
    }
}

Verdicts verdicts(const Patient& patient, const Style& style) {
    fhir::Coverage coverage;
    for (const std::string& type : patient.covered) coverage.set(type, fhir::Covered::completely);
    const cds_hooks::Screening screening = cds_hooks::screen(
        support::knowledge(),
        fhir::readBundle(
            std::make_shared<fhir::json::Document>(render(patient, style), fhir::json::Selection::elements),
            std::move(coverage)),
        fhir::Date::ofDays(static_cast<std::int32_t>(patient.asOf)));
    Verdicts result;
    for (const rules::Evaluation& evaluation : screening.evaluations) {
        const std::string& trial = evaluation.trial->id;
        result.statuses[trial] = std::string(rules::word(evaluation.status)) + (evaluation.gate ? ", gate open" : "");
        for (const rules::Finding& finding : evaluation.findings) {
            result.truths[trial + '.' + finding.criterion->id] = rules::word(finding.outcome.truth);
            result.bases[trial + '.' + finding.criterion->id] = mapping::word(finding.outcome.basis);
        }
    }
    return result;
}

}  // namespace model
