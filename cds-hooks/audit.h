#pragma once

#include <cstddef>
#include <iosfwd>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "cds-hooks/charts.h"
#include "cds-hooks/knowledge.h"
#include "cds-hooks/screening.h"
#include "cds-hooks/unlock.h"

namespace cds_hooks {

/// A code as charts write it; words alone when they write none.
struct WrittenCode {
    std::string system;  ///< one URI for each system that is known, else as written; empty when there is none
    std::string code;
    std::string words;  ///< display, else the text of its CodeableConcept; at most 80 code points
};

/// In how many charts something was seen, and how often.
struct Seen {
    std::size_t charts = 0;
    std::size_t count = 0;

    /// Once more in the one chart that is being read.
    void countHere() {
        charts = 1;
        ++count;
    }
    Seen& operator+=(const Seen& further) {
        charts += further.charts;
        count += further.count;
        return *this;
    }
};

/// How well one fact is understood, in one chart or in many.
struct FactAudit {
    std::size_t charts = 0;  ///< that say anything of it
    std::size_t usable = 0;  ///< that say something that can decide today
    std::size_t values = 0;  ///< results, Conditions, drugs and the like
    std::size_t stale = 0;
    std::size_t undated = 0;
    std::size_t unreadable = 0;  ///< in a unit that is not one of the fact's
    std::size_t implausible = 0;
    std::size_t unconfirmed = 0;   ///< by a code under review, or with an answer that is not known
    std::size_t noUpperLimit = 0;  ///< where a trial compares the fact with it
    std::map<std::pair<std::string, std::string>, Seen> codes;  ///< by the URI of their system and the code
    std::map<std::string, Seen> units;
};

/// What the trials read of the facts.
struct FactUse {
    std::vector<std::size_t> criteria;  ///< how many read each fact, in the order of the vocabulary
    std::vector<bool> upperLimit;       ///< whether one compares it with its upper limit of normal
};

/// How well one chart, or many together, are understood. What it writes holds codes, units, words and counts, and of
/// those nothing that only one chart says in words of its own (docs/audit.md).
class Audit {
public:
    explicit Audit(const Knowledge& knowledge);

    /// What one chart says, to be added.
    Audit of(StoredChart stored) const;
    void add(const Audit& chart);

    /// A code that the vocabulary does not know, or words without a code.
    struct Unmapped {
        WrittenCode written;  ///< without words when no two charts write the same
        std::string resourceType;
        std::size_t charts = 0;
        std::size_t count = 0;
        const mapping::FactDefinition* fact = nullptr;  ///< that its words name best
        double likeness = 0;                            ///< of those words, 0 to 1
        std::size_t criteria = 0;                       ///< that read that fact
    };
    struct UnmappedCodes {
        std::vector<Unmapped> shown;
        std::size_t notShown = 0;  ///< codes, or words without a code, that one chart alone has
    };
    /// Those whose words name a fact, most likely first, then those of most charts, then those of most criteria. How
    /// words are compared stands in docs/audit.md.
    UnmappedCodes unmapped() const;

    /// Everything, for people.
    std::string table(std::size_t failed) const;
    /// One JSON object; its shape stands in docs/audit.md.
    std::string json(std::size_t failed) const;

private:
    /// What of a fact's codes and units may be shown, and how many values have others.
    struct Origins {
        struct Code {
            std::string system;
            std::string code;
            std::string display;  ///< the vocabulary's own, never a chart's
            std::size_t count = 0;
        };
        std::vector<Code> codes;
        std::size_t codesNotShown = 0;
        std::vector<std::pair<std::string, std::size_t>> units;
        std::size_t unitsNotShown = 0;
    };
    struct Written {
        Seen seen;
        std::map<std::string, Seen> words;  ///< never empty
    };
    void readResults(const fhir::Chart& chart, const mapping::Facts& facts);
    void readRecords(const fhir::Chart& chart, const mapping::Facts& facts);
    void readUnmapped(const fhir::Chart& chart);
    void addUnmapped(std::string_view resourceType, const fhir::CodeableConcept& concept_);
    void addValue(const fhir::Chart& chart, const mapping::Evidence& evidence);
    /// Whether a code may be shown: it is one of a public system, or several charts have it.
    bool mayShow(std::string_view system, std::string_view code, const Seen& seen) const;
    /// Whether a unit may be shown: the fact is read in it, or several charts have it.
    bool mayShow(const mapping::FactDefinition& fact, std::string_view unit, const Seen& seen) const;
    Origins originsOf(const mapping::FactDefinition& fact) const;
    std::string overlaySnippet(const std::vector<Unmapped>& unmapped) const;

    Audit(const Knowledge& knowledge, std::shared_ptr<const FactUse> use);

    const Knowledge* knowledge_;
    std::shared_ptr<const FactUse> use_;
    std::size_t charts_ = 0;
    std::size_t issues_ = 0;
    std::map<std::string, std::size_t> resources_;
    std::vector<FactAudit> facts_;                                                   ///< in the order of the vocabulary
    std::map<std::tuple<std::string, std::string, std::string>, Written> unmapped_;  ///< by type, system and code
    std::size_t kept_ = 0;                                                           ///< words in it
    std::size_t notKept_ = 0;                                                        ///< words above the limit
    UnlockTally unlocks_;
};

struct AuditOptions {
    ChartOptions charts;
    bool json = false;
};

/// Says how well stored charts are understood. Returns the exit status of the output contract.
int audit(const Knowledge& knowledge, const AuditOptions& options, std::ostream& out);

}  // namespace cds_hooks
