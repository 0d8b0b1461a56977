#include "cds-hooks/store.h"

#include "cds-hooks/store_kinds.h"

namespace cds_hooks {

namespace {

std::string monthOf(std::int64_t time) {
    const std::int64_t days = time >= 0 ? time / secondsPerDay : (time - secondsPerDay + 1) / secondsPerDay;
    return fhir::Date::ofDays(static_cast<std::int32_t>(days)).text().substr(0, 7);
}

std::size_t placeOf(std::string_view reason) {
    for (std::size_t i = 0; i < overrideReasons.size(); ++i) {
        if (overrideReasons[i].code == reason) return i;
    }
    return overrideReasons.size();
}

}  // namespace

bool isDatabase(std::string_view where) {
    return where.starts_with("postgresql://") || where.starts_with("postgres://");
}

std::shared_ptr<Store> openStore(const std::string& where) {
    return isDatabase(where) ? openPostgres(where) : openSqlite(where);
}

void FeedbackTally::add(std::int64_t time, std::string_view trial, std::string_view outcome, std::string_view reason) {
    const std::string month = monthOf(time);
    FeedbackRow& row = rows_[{month, std::string(trial)}];
    row.month = month;
    row.trial = trial;
    if (!trial.empty()) ++row.shown;
    if (outcome == "accepted") ++row.accepted;
    if (outcome == "overridden") ++row.overridden[placeOf(reason)];
}

std::vector<FeedbackRow> FeedbackTally::rows() const {
    std::vector<FeedbackRow> result;
    for (const auto& [key, row] : rows_) result.push_back(row);
    return result;
}

}  // namespace cds_hooks
