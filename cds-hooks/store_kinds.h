#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cds-hooks/store.h"

namespace cds_hooks {

// What the kinds of store have in common, and how each is opened; for store.cpp and theirs alone.

/// SQLite, with its write-ahead log; feedback with synchronous=FULL.
std::shared_ptr<Store> openSqlite(const std::string& file);

/// PostgreSQL; a connection that was lost is made again once for each call.
std::shared_ptr<Store> openPostgres(const std::string& url);

/// Adds up cards and their feedback by month and trial.
class FeedbackTally {
public:
    /// One trial of a card that was shown (time in seconds since 1970), or of an unknown card when `trial` is empty;
    /// `outcome` is empty when nobody has said anything.
    void add(std::int64_t time, std::string_view trial, std::string_view outcome, std::string_view reason);
    /// The newest month first, within it by trial.
    std::vector<FeedbackRow> rows() const;

private:
    struct NewestFirst {
        bool operator()(const std::pair<std::string, std::string>& a,
                        const std::pair<std::string, std::string>& b) const {
            return a.first != b.first ? a.first > b.first : a.second < b.second;
        }
    };
    std::map<std::pair<std::string, std::string>, FeedbackRow, NewestFirst> rows_;
};

}  // namespace cds_hooks
