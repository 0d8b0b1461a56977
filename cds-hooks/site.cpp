#include "cds-hooks/site.h"

#include <algorithm>
#include <array>

#include "mapping/check.h"

namespace cds_hooks {

namespace {

/// Source: ClinicalTrials.gov, overall recruitment status, in lower case; "not yet enrolling" is another registry's
/// word.
constexpr std::array<std::string_view, 11> statuses{"recruiting",
                                                    "not yet recruiting",
                                                    "not yet enrolling",
                                                    "enrolling by invitation",
                                                    "active, not recruiting",
                                                    "suspended",
                                                    "completed",
                                                    "terminated",
                                                    "withdrawn",
                                                    "temporarily closed",
                                                    "unknown"};

using fhir::json::Value;

class SiteReader : private mapping::FileCheck {
public:
    SiteReader(std::string_view file, const mapping::Vocabulary& vocabulary, std::vector<rules::Trial>& trials,
               std::vector<mapping::Problem>& problems, std::optional<fhir::Date> today)
        : FileCheck(file, problems), vocabulary_(vocabulary), trials_(trials), today_(today) {}

    Site read(Value root) {
        if (!root.isObject()) {
            problem("/", "is not an object");
            return {};
        }
        checkKeys(root, {"$comment", "codes", "complete", "upperLimits", "freshness", "trials", "orders", "referral"},
                  "");
        readTrials(root["trials"]);
        readOrders(root["orders"]);
        if (root["referral"].node() != nullptr) site_.referral = orderCode(root["referral"], "/referral");
        return std::move(site_);
    }

private:
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
            if (!flag(entry["enabled"], true, place + "/enabled")) off.emplace_back(id);
            readStatus(*trial, entry["status"], place + "/status");
            readCoordinator(*trial, entry["coordinator"], place + "/coordinator");
        }
        std::erase_if(trials_, [&](const rules::Trial& trial) {
            return std::find(off.begin(), off.end(), trial.id) != off.end();
        });
    }

    void readStatus(rules::Trial& trial, Value status, const std::string& place) {
        if (!isObject(status, place)) return;
        checkKeys(status, {"value", "asOf"}, place);
        trial.recruitment = text(status["value"], place + "/value");
        // A status in other words would never say that the trial recruits.
        if (!trial.recruitment.empty() &&
            std::find(statuses.begin(), statuses.end(), trial.recruitment) == statuses.end())
            problem(place + "/value", "'" + trial.recruitment +
                                          "' is not a recruitment status of the registry, such as "
                                          "recruiting, not yet recruiting or suspended");
        const std::string_view day = text(status["asOf"], place + "/asOf");
        const auto asOf = fhir::Date::parse(day);
        if (!day.empty() && !asOf) problem(place + "/asOf", "is not a date (YYYY-MM-DD)");
        if (asOf && today_ && *asOf > *today_)
            problem(place + "/asOf", asOf->text() + " lies after today, " + today_->text());
        trial.recruitmentAsOf = asOf;
        trial.recruitmentNote = "as this site says";
    }

    void readCoordinator(rules::Trial& trial, Value coordinator, const std::string& place) {
        if (!isObject(coordinator, place)) return;
        checkKeys(coordinator, {"name", "organization", "phone", "email"}, place);
        std::string line;
        for (const std::string_view key : {"name", "organization", "phone", "email"}) {
            const std::string_view part = textIfGiven(coordinator[key], place + '/' + std::string(key));
            if (!part.empty()) line += (line.empty() ? "" : ", ") + std::string(part);
        }
        if (line.empty()) problem(place, "names nobody");
        trial.coordinator = line;
    }

    OrderCode orderCode(Value entry, const std::string& place) {
        if (!isObject(entry, place)) return {};
        checkKeys(entry, {"system", "code", "display"}, place);
        const auto part = [&](const std::string& key) { return std::string(text(entry[key], place + '/' + key)); };
        return {part("system"), part("code"), part("display")};
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

    const mapping::Vocabulary& vocabulary_;
    std::vector<rules::Trial>& trials_;
    std::optional<fhir::Date> today_;
    Site site_;
};

}  // namespace

Site readSite(std::string_view file, Value root, const mapping::Vocabulary& vocabulary,
              std::vector<rules::Trial>& trials, std::vector<mapping::Problem>& problems,
              std::optional<fhir::Date> today) {
    return SiteReader(file, vocabulary, trials, problems, today).read(root);
}

}  // namespace cds_hooks
