#include "fhir/questionnaire.h"

#include <utility>

#include "fhir/decimal.h"
#include "fhir/error.h"
#include "fhir/reader.h"

namespace fhir {

using json::Value;

namespace {

using Kind = QuestionnaireAnswer::Kind;

/// What is wrong with an item; it is left out.
struct Malformed {
    std::string element;
    std::string message;
};

QuestionnaireAnswer readValue(std::string_view name, Value value, const Reader& reader) {
    QuestionnaireAnswer answer;
    if (name == "valueBoolean") {
        if (value.kind() != json::Kind::boolean) throw Malformed{std::string(name), "is not true or false"};
        answer.kind = Kind::boolean;
        answer.boolean = value.isTrue();
    } else if (name == "valueInteger" || name == "valueDecimal") {
        const auto number = value.isNumber() || value.isString() ? parseDecimal(value.text()) : std::nullopt;
        if (!number) throw Malformed{std::string(name), "is not a number"};
        answer.kind = Kind::number;
        answer.quantity.value = value.text();
    } else if (name == "valueQuantity") {
        if (!value.isObject()) throw Malformed{std::string(name), "is not a Quantity"};
        answer.kind = Kind::quantity;
        answer.quantity = reader.quantity(value, name);
        if (!parseDecimal(answer.quantity.value)) throw Malformed{std::string(name) + ".value", "is not a number"};
    } else if (name == "valueCoding") {
        if (!value.isObject()) throw Malformed{std::string(name), "is not a Coding"};
        answer.kind = Kind::coding;
        answer.coding = {reader.text(value, "system"), reader.text(value, "code"), reader.text(value, "display")};
        if (answer.coding.code.empty()) throw Malformed{std::string(name) + ".code", "is missing"};
    } else if (name == "valueDate" || name == "valueDateTime") {
        answer.kind = Kind::date;
        answer.date = value.isString() ? DateTime::parse(value.text()) : std::nullopt;
        if (!answer.date) throw Malformed{std::string(name), "is not a date that exists"};
    } else if (name == "valueString") {
        if (!value.isString()) throw Malformed{std::string(name), "is not a string"};
        answer.kind = Kind::string;
        answer.text = value.text();
    }
    return answer;
}

QuestionnaireAnswer readAnswer(Value value, const std::string& element, const Reader& reader) {
    if (!value.isObject()) throw Malformed{element, "is not an object"};
    std::optional<QuestionnaireAnswer> answer;
    for (const auto [name, member] : value.members()) {
        if (!name.starts_with("value") || !member) continue;
        if (answer) throw Malformed{element, "has more than one value"};
        try {
            answer = readValue(name, member, reader);
        } catch (const Malformed& malformed) {
            throw Malformed{element + '.' + malformed.element, malformed.message};
        }
    }
    if (!answer) throw Malformed{element, "has no value"};
    return *answer;
}

class FormReader {
public:
    FormReader(QuestionnaireResponse& response, std::vector<Issue>& issues) : response_(response), issues_(issues) {}

    void readItems(Value items, const std::string& path) {
        if (!items) return;
        if (!items.isArray()) {
            report(path, "is not an array");
            return;
        }
        std::size_t index = 0;
        for (const Value item : items.items()) readItem(item, path + '[' + std::to_string(index++) + ']');
    }

private:
    void report(const std::string& path, const std::string& message) {
        issues_.push_back({path, "item left out: " + message});
    }

    void readItem(Value value, const std::string& path) {
        if (!value.isObject()) {
            report(path, "is not an object");
            return;
        }
        try {
            readOwn(value, path);
            readItems(value["item"], path + ".item");
            std::size_t index = 0;
            for (const Value answer : value["answer"].items())
                readItems(answer["item"], path + ".answer[" + std::to_string(index++) + "].item");
        } catch (const Error& error) {
            report(path + '.' + error.path(), error.what());
        }
    }

    void readOwn(Value value, const std::string& path) {
        QuestionnaireItem item;
        item.path = path;
        try {
            const Value linkId = value["linkId"];
            if (!linkId.isString() || linkId.text().empty()) throw Malformed{"linkId", "is missing"};
            item.linkId = linkId.text();
            const Value answers = value["answer"];
            if (answers && !answers.isArray()) throw Malformed{"answer", "is not an array"};
            std::size_t index = 0;
            for (const Value answer : answers.items()) {
                const std::string element = "answer[" + std::to_string(index++) + ']';
                item.answer.push_back(readAnswer(answer, element, {{path}, issues_}));
            }
        } catch (const Malformed& malformed) {
            report(path + '.' + malformed.element, malformed.message);
            if (item.linkId.empty()) return;
            item.answer.clear();
            item.unreadable = true;
        }
        response_.item.push_back(std::move(item));
    }

    QuestionnaireResponse& response_;
    std::vector<Issue>& issues_;
};

/// How the evidence names who answered.
std::string_view authorOf(Value resource, const Reader& reader) {
    const Value author = resource["author"];
    if (!author.isObject()) return {};
    const std::string_view reference = reader.text(author, "reference");
    const std::string_view type = reader.text(author, "type");
    const auto is = [&](std::string_view name) {
        return type == name || reference.find(std::string(name) + '/') != std::string_view::npos;
    };
    const std::string_view display = reader.text(author, "display");
    if (is("Patient") || is("RelatedPerson")) return reference.empty() ? type : reference;
    return display.empty() ? reference : display;
}

}  // namespace

QuestionnaireResponse readQuestionnaireResponse(Value resource, std::string path, std::vector<Issue>& issues) {
    QuestionnaireResponse response;
    response.path = std::move(path);
    const Reader reader{{response.path}, issues};
    response.id = reader.text(resource, "id");
    response.status = trimmed(reader.text(resource, "status"));
    response.questionnaire = reader.text(resource, "questionnaire");
    response.authored = reader.dateTime(resource, "authored");
    response.author = authorOf(resource, reader);
    FormReader(response, issues).readItems(resource["item"], response.path + ".item");
    return response;
}

}  // namespace fhir
