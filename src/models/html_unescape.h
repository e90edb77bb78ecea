#pragma once

#include <string>
#include <string_view>

namespace unisim {

/// Python's html.unescape: named and numeric character references, with and without their semicolon, as HTML
/// 5 reads them. The text is valid UTF-8.
std::string html_unescape(std::string_view text);

/// As ftfy reads them: those that end in a semicolon alone.
std::string html_unescape_strict(std::string_view text);

}  // namespace unisim
