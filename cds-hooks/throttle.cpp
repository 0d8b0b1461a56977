#include "cds-hooks/throttle.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace cds_hooks {

namespace {

constexpr std::string_view never = "never-for-this-patient";

std::string hmac(const std::string& secret, const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int size = 0;
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), data, text.size(), bytes.data(), &size) ==
        nullptr)
        throw std::runtime_error("HMAC-SHA-256 is not to be had");
    return {reinterpret_cast<const char*>(bytes.data()), size};
}

/// The first day on which a wash-out of the trial is over; nothing when it waits for none.
std::optional<fhir::Date> clearsOn(const rules::Evaluation& evaluation) {
    std::optional<fhir::Date> first;
    for (const rules::Finding& finding : evaluation.findings) {
        const auto& day = finding.outcome.clearsOn;
        if (day && (!first || *day < *first)) first = day;
    }
    return first;
}

/// What a card said of its trials: "NCT07109518 1 2025-12-04", a line each; the number grows with the status.
std::string fingerprintOf(const Showing& showing) {
    std::string text;
    for (const rules::Evaluation* evaluation : showing.trials) {
        const auto day = clearsOn(*evaluation);
        text += evaluation->trial->id + ' ' + std::to_string(static_cast<int>(evaluation->status)) +
                (day ? ' ' + day->text() : "") + '\n';
    }
    return text;
}

struct Said {
    int status = 0;
    std::optional<fhir::Date> clearsOn;
};

std::map<std::string, Said> readFingerprint(const std::string& text) {
    std::map<std::string, Said> trials;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string trial;
        std::string day;
        Said said;
        if (!(words >> trial >> said.status)) continue;
        if (words >> day) said.clearsOn = fhir::Date::parse(day);
        trials[trial] = said;
    }
    return trials;
}

bool saysMore(const Showing& showing, const LastShown& last, fhir::Date today) {
    const std::map<std::string, Said> before = readFingerprint(last.fingerprint);
    return std::any_of(showing.trials.begin(), showing.trials.end(), [&](const rules::Evaluation* evaluation) {
        const auto known = before.find(evaluation->trial->id);
        if (known == before.end() || static_cast<int>(evaluation->status) > known->second.status) return true;
        return known->second.clearsOn && *known->second.clearsOn <= today;
    });
}

}  // namespace

std::string Throttle::patientKey(std::string_view patientId) const {
    return hmac(secret_, "patient\n" + std::string(patientId));
}

bool Throttle::mayShow(const Showing& showing, fhir::Date today, std::int64_t now) {
    if (store_.isNever(patientKey(showing.patientId))) return false;
    if (!showing.service->orders.empty()) return true;  // an order is a new question each time
    // Two hooks of one chart-open come at once.
    const std::scoped_lock lock(mutex_);
    const std::string key = hmac(secret_, "user\n" + showing.userId + '\n' + showing.patientId);
    const auto last = store_.lastShown(key);
    if (last && now - last->time < days_ * secondsPerDay && !saysMore(showing, *last, today)) return false;
    store_.keepLastShown(key, {now, fingerprintOf(showing)});
    return true;
}

void Throttle::listen(const std::vector<Feedback>& feedback) {
    std::vector<Feedback> unwanted;
    std::copy_if(feedback.begin(), feedback.end(), std::back_inserter(unwanted), [](const Feedback& item) {
        return item.outcome == Feedback::Outcome::overridden && item.reason == never;
    });
    if (!unwanted.empty()) store_.markNever(unwanted);
}

}  // namespace cds_hooks
