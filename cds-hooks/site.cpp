#include "cds-hooks/site.h"

#include <algorithm>
#include <initializer_list>

#include "fhir/date.h"

namespace cds_hooks {

namespace {

using fhir::json::Kind;
using fhir::json::Value;

class SiteReader {
public:
    SiteReader(std::string_view file, const mapping::Vocabulary& vocabulary, std::vector<rules::Trial>& trials,
               std::vector<mapping::Problem>& problems)
        : file_(file), vocabulary_(vocabulary), trials_(trials), problems_(problems) {}

    Site read(Value root) {
        if (!root.isObject()) {
            problem("/", "is not an object");
            return {};
        }
        checkKeys(root, {"$comment", "codes", "complete", "upperLimits", "freshness", "trials", "orders", "referral"},
                  "");
        readTrials(root["trials"]);
        readOrders(root["orders"]);
        if (root["referral"]) site_.referral = orderCode(root["referral"], "/referral");
        return std::move(site_);
    }

private:
    void problem(const std::string& place, std::string message) {
        problems_.push_back({std::string(file_) + ": " + place, std::move(message)});
    }

    void checkKeys(Value object, std::initializer_list<std::string_view> known, const std::string& place) {
        for (const auto [name, ignored] : object.members()) {
            if (std::find(known.begin(), known.end(), name) == known.end())
                problem(place + '/' + std::string(name), "unknown key");
        }
    }

    bool isObject(Value value, const std::string& place) {
        if (value.isObject()) return true;
        if (value) problem(place, "is not an object");
        return false;
    }

    void readTrials(Value trials) {
        if (!isObject(trials, "/trials")) return;
        std::vector<std::string> off;
        for (const auto [id, entry] : trials.members()) {
            const std::string place = "/trials/" + std::string(id);
            const auto trial = std::find_if(trials_.begin(), trials_.end(),
                                            [name = id](const rules::Trial& each) { return each.id == name; });
            if (trial == trials_.end()) {
                problem(place, "is not a trial of this knowledge");
                continue;
            }
            if (!isObject(entry, place)) continue;
            checkKeys(entry, {"enabled", "status", "coordinator"}, place);
            if (const Value enabled = entry["enabled"]) {
                if (enabled.kind() != Kind::boolean) problem(place + "/enabled", "is not true or false");
                if (enabled.kind() == Kind::boolean && !enabled.isTrue()) off.emplace_back(id);
            }
            if (entry["status"]) readStatus(*trial, entry["status"], place + "/status");
            if (entry["coordinator"]) readCoordinator(*trial, entry["coordinator"], place + "/coordinator");
        }
        std::erase_if(trials_, [&](const rules::Trial& trial) {
            return std::find(off.begin(), off.end(), trial.id) != off.end();
        });
    }

    void readStatus(rules::Trial& trial, Value status, const std::string& place) {
        if (!isObject(status, place)) return;
        checkKeys(status, {"value", "asOf"}, place);
        const std::string_view value = status["value"].text();
        if (value.empty()) problem(place + "/value", "missing");
        const auto asOf = fhir::Date::parse(status["asOf"].text());
        if (!asOf) problem(place + "/asOf", "is not a date (YYYY-MM-DD)");
        trial.recruitment = value;
        trial.recruitmentAsOf = asOf;
        trial.recruitmentNote = "as this site says";
    }

    void readCoordinator(rules::Trial& trial, Value coordinator, const std::string& place) {
        if (!isObject(coordinator, place)) return;
        checkKeys(coordinator, {"name", "organization", "phone", "email"}, place);
        std::string text;
        for (const std::string_view key : {"name", "organization", "phone", "email"}) {
            const std::string_view part = coordinator[key].text();
            if (!part.empty()) text += (text.empty() ? "" : ", ") + std::string(part);
        }
        if (text.empty()) problem(place, "names nobody");
        trial.coordinator = text;
    }

    OrderCode orderCode(Value entry, const std::string& place) {
        if (!isObject(entry, place)) return {};
        checkKeys(entry, {"system", "code", "display"}, place);
        for (const std::string_view key : {"system", "code", "display"}) {
            if (entry[key].text().empty()) problem(place + '/' + std::string(key), "missing");
        }
        return {std::string(entry["system"].text()), std::string(entry["code"].text()),
                std::string(entry["display"].text())};
    }

    void readOrders(Value orders) {
        if (!isObject(orders, "/orders")) return;
        for (const auto [name, entry] : orders.members()) {
            const std::string place = "/orders/" + std::string(name);
            const mapping::FactDefinition* fact = vocabulary_.find(name);
            if (fact == nullptr) {
                problem(place, "unknown fact '" + std::string(name) + "'");
                continue;
            }
            if (!fact->test) problem(place, "'" + fact->name + "' is answered by no test");
            site_.orders.push_back({fact->index, orderCode(entry, place)});
        }
    }

    std::string_view file_;
    const mapping::Vocabulary& vocabulary_;
    std::vector<rules::Trial>& trials_;
    std::vector<mapping::Problem>& problems_;
    Site site_;
};

}  // namespace

Site readSite(std::string_view file, Value root, const mapping::Vocabulary& vocabulary,
              std::vector<rules::Trial>& trials, std::vector<mapping::Problem>& problems) {
    return SiteReader(file, vocabulary, trials, problems).read(root);
}

}  // namespace cds_hooks
