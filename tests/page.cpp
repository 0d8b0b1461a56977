#include "tests/page.h"

#include <doctest/doctest.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include <algorithm>

namespace support {

namespace {

const xmlChar* xml(const std::string& text) {
    return reinterpret_cast<const xmlChar*>(text.c_str());
}

std::string textOf(xmlNode* node) {
    xmlChar* content = xmlNodeGetContent(node);
    std::string text = content == nullptr ? std::string() : reinterpret_cast<const char*>(content);
    xmlFree(content);
    return text;
}

}  // namespace

HtmlPage::HtmlPage(const std::string& text)
    : document_(xmlReadMemory(text.data(), static_cast<int>(text.size()), "page", nullptr,
                              XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_HUGE),
                [](xmlDoc* document) { xmlFreeDoc(document); }) {
    if (document_ == nullptr) {
        const auto* error = xmlGetLastError();
        FAIL("not well-formed: " << (error == nullptr ? std::string() : error->message) << " line "
                                 << (error == nullptr ? 0 : error->line));
    }
}

std::vector<std::string> HtmlPage::texts(const std::string& path) const {
    const std::unique_ptr<xmlXPathContext, void (*)(xmlXPathContext*)> context(xmlXPathNewContext(document_.get()),
                                                                               xmlXPathFreeContext);
    xmlXPathRegisterNs(context.get(), xml("h"), xml("http://www.w3.org/1999/xhtml"));
    xmlXPathRegisterNs(context.get(), xml("s"), xml("http://www.w3.org/2000/svg"));
    const std::unique_ptr<xmlXPathObject, void (*)(xmlXPathObject*)> found(
        xmlXPathEvalExpression(xml(path), context.get()), xmlXPathFreeObject);
    REQUIRE_MESSAGE(found != nullptr, path << " is no XPath");
    std::vector<std::string> result;
    if (found->nodesetval == nullptr) return result;
    for (int i = 0; i < found->nodesetval->nodeNr; ++i) result.push_back(textOf(found->nodesetval->nodeTab[i]));
    return result;
}

std::vector<std::vector<std::string>> HtmlPage::table(const std::string& caption) const {
    const std::string table = "//h:table[h:caption/@id='" + caption + "']";
    const std::size_t columns = count(table + "/h:thead/h:tr/*");
    const std::vector<std::string> cells = texts(table + "/h:tbody/h:tr/*");
    std::vector<std::vector<std::string>> result;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i % columns == 0) result.emplace_back();
        result.back().push_back(cells[i]);
    }
    CHECK_MESSAGE(cells.size() % std::max<std::size_t>(1, columns) == 0, caption << ": rows of unequal length");
    return result;
}

}  // namespace support
