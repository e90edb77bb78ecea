#pragma once

#include <string>
#include <string_view>

/// Words of a file that we do not trust, made fit for a message.
namespace unisim {

/// In double quotes, on one line, valid UTF-8: control characters, quotes and stray bytes as \n, \", \xNN;
/// longer than 120 bytes, its beginning and "...".
std::string in_quotes(std::string_view text);

/// The same without the quotes around it.
std::string printable(std::string_view text);

}  // namespace unisim
