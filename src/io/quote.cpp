#include "quote.h"

#include <array>
#include <cstdint>

namespace unisim {
namespace {

constexpr std::size_t longest = 120;

/// Bytes of the well-formed UTF-8 sequence that `text` begins with, 0 if there is none (Unicode, table 3-7).
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool shortest = first != 0xE0 || second >= 0xA0;
    const bool surrogate = first == 0xED && second >= 0xA0;
    return continues(1) && shortest && !surrogate && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool in_range = (first != 0xF0 || second >= 0x90) && (first != 0xF4 || second < 0x90);
    return continues(1) && in_range && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

void append_escaped(std::string& out, char character, bool quote_too) {
  static constexpr std::array<char, 17> digits{"0123456789abcdef"};
  const auto byte = static_cast<uint8_t>(character);
  if (character == '\n') {
    out += "\\n";
  } else if (character == '\r') {
    out += "\\r";
  } else if (character == '\t') {
    out += "\\t";
  } else if (quote_too && (character == '"' || character == '\\')) {
    out += {'\\', character};
  } else if (byte < 0x20 || byte >= 0x7F) {
    out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
  } else {
    out += character;
  }
}

std::string escaped(std::string_view text, bool quote_too) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size() && out.size() < longest) {
    const std::size_t length = sequence_length(text.substr(at));
    if (length > 1) {
      out += text.substr(at, length);
    } else {
      append_escaped(out, text[at], quote_too);
    }
    at += length == 0 ? 1 : length;
  }
  if (at < text.size()) out += "...";
  return out;
}

}  // namespace

std::string in_quotes(std::string_view text) { return "\"" + escaped(text, true) + "\""; }

std::string printable(std::string_view text) { return escaped(text, false); }

}  // namespace unisim
