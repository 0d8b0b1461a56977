#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

struct _xmlDoc;

namespace support {

/// A page of HTML that is well-formed XML, asked by XPath. Names of HTML have the prefix "h", those of SVG "s".
class HtmlPage {
public:
    /// Fails the test with its place when the text is not well-formed.
    explicit HtmlPage(const std::string& text);

    /// The texts of the nodes, in document order.
    std::vector<std::string> texts(const std::string& path) const;
    std::size_t count(const std::string& path) const { return texts(path).size(); }
    /// The cells of the table whose caption has this id, row by row; without its headings.
    std::vector<std::vector<std::string>> table(const std::string& caption) const;

private:
    std::shared_ptr<_xmlDoc> document_;
};

}  // namespace support
