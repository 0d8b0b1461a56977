#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fhir/date.h"
#include "fhir/json.h"
#include "fhir/resource.h"

namespace fhir {

/// QuestionnaireResponse.item.answer.value[x] in the forms we read.
struct QuestionnaireAnswer {
    enum class Kind { boolean, number, quantity, coding, date, string, unread };
    Kind kind = Kind::unread;
    bool boolean = false;
    Quantity quantity;             ///< quantity; number: its digits as value
    Coding coding;                 ///< coding
    std::optional<DateTime> date;  ///< date, dateTime
    std::string_view text;         ///< string
};

/// One item of a form, wherever it was nested.
struct QuestionnaireItem {
    std::string_view linkId;
    std::string path;
    std::vector<QuestionnaireAnswer> answer;  ///< empty when the item was left blank, or its answers cannot be read
    bool unreadable = false;                  ///< it was answered, and that cannot be read
};

/// The answers that one person gave in a form at one time.
struct QuestionnaireResponse {
    std::string_view id;
    std::string path;
    std::string_view status;
    std::string_view questionnaire;  ///< canonical, with its version if it has one
    std::optional<DateTime> authored;
    /// Who answered, as the form names them: a display, or the reference. Of a patient or a relative always the
    /// reference: their names stay in the chart.
    std::string_view author;
    std::vector<QuestionnaireItem> item;  ///< flat, in document order

    /// Whether its answers count: completed or amended. What is in progress, stopped or in error does not.
    bool counts() const { return status == "completed" || status == "amended"; }
};

/// Reads a form with its nested items (item.item and item.answer.item). A malformed item is left out with an issue, or
/// stays without its answers when it has a linkId, and what is nested in it is read all the same. Source: FHIR R4,
/// QuestionnaireResponse.
QuestionnaireResponse readQuestionnaireResponse(json::Value resource, std::string path, std::vector<Issue>& issues);

}  // namespace fhir
