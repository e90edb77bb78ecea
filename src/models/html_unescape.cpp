#include "html_unescape.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "html_entities.h"
#include "io/unicode.h"

namespace unisim {
namespace {

struct Entity {
  std::string text;
  bool without_semicolon = false;
};

using Entities = std::unordered_map<std::string_view, Entity>;

Entities read_entities() {
  Entities entities;
  std::string_view rest = html_entities;
  while (true) {
    const std::size_t from = rest.find_first_not_of(" \n");
    if (from == std::string_view::npos) return entities;
    rest.remove_prefix(from);
    std::string_view row = rest.substr(0, rest.find_first_of(" \n"));
    rest.remove_prefix(row.size());
    const std::size_t equals = row.find('=');
    std::string_view name = row.substr(0, equals);
    Entity entity;
    entity.without_semicolon = name.ends_with('!');
    if (entity.without_semicolon) name.remove_suffix(1);
    const std::string codes(row.substr(equals + 1));
    for (std::size_t at = 0; at < codes.size();) {
      std::size_t read = 0;
      append_utf8(entity.text, static_cast<char32_t>(std::stoul(codes.substr(at), &read, 16)));
      at += read + 1;  // and the plus
    }
    entities.emplace(name, std::move(entity));
  }
}

const Entities& entities() {
  static const Entities table = read_entities();
  return table;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What Windows-1252 has at 0x80 to 0x9F, which HTML reads numbers as; 0: the control character itself.
constexpr std::array<char32_t, 32> windows_1252 = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};

/// Code points that HTML drops: controls, and those that are no characters.
bool is_dropped(uint32_t code) {
  return (code >= 0x1 && code <= 0x8) || code == 0xB || (code >= 0xE && code <= 0x1F) ||
         (code >= 0x7F && code <= 0x9F) || (code >= 0xFDD0 && code <= 0xFDEF) || (code & 0xFFFE) == 0xFFFE;
}

std::string character_of(uint32_t code) {
  std::string text;
  if (code == 0 || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF)
    append_utf8(text, 0xFFFD);
  else if (code >= 0x80 && code <= 0x9F)
    append_utf8(text, windows_1252[code - 0x80]);
  else if (!is_dropped(code))
    append_utf8(text, static_cast<char32_t>(code));
  return text;
}

/// A reference at the start of a text: how many bytes it has, and what it stands for.
struct Reference {
  std::size_t bytes = 0;
  std::string text;
};

/// "#123;" or "#x1F;" behind the ampersand.
std::optional<Reference> numeric(std::string_view behind) {
  std::size_t at = 1;
  const bool hex = behind.size() > 1 && (behind[1] == 'x' || behind[1] == 'X');
  if (hex) ++at;
  const std::size_t from = at;
  uint32_t code = 0;
  for (; at < behind.size() && (hex ? is_hex(behind[at]) : is_digit(behind[at])); ++at) {
    const char c = behind[at];
    const uint32_t digit = static_cast<uint32_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    code = std::min<uint32_t>(code * (hex ? 16 : 10) + digit, 0x110000);
  }
  if (at == from) return {};
  if (at < behind.size() && behind[at] == ';') ++at;
  return Reference{at, character_of(code)};
}

/// The longest name at the start; without a semicolon those alone that are understood so.
std::optional<Reference> named(std::string_view behind) {
  std::size_t length = 0;  // in characters at most 32, none of them a blank or one of < & # ;
  std::size_t characters = 0;
  while (length < behind.size() && characters < 32 &&
         std::string_view("\t\n\f <&#;").find(behind[length]) == std::string_view::npos) {
    length += character_at(behind, length).bytes;
    ++characters;
  }
  const bool semicolon = length < behind.size() && behind[length] == ';';
  for (std::size_t n = length; n > 1 || (n == length && n > 0); --n) {
    const auto found = entities().find(behind.substr(0, n));
    if (found == entities().end()) continue;
    if (n == length && semicolon) return Reference{n + 1, found->second.text};
    if (found->second.without_semicolon) return Reference{n, found->second.text};
  }
  return {};
}

template <class Find>
std::string replaced(std::string_view text, const Find& find) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t at = std::min(text.find('&'), text.size());
    out.append(text.substr(0, at));
    text.remove_prefix(at);
    if (text.empty()) break;
    const std::string_view behind = text.substr(1);
    if (const std::optional<Reference> reference = find(behind)) {
      out += reference->text;
      text.remove_prefix(1 + reference->bytes);
    } else {
      out += '&';
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace

std::string html_unescape(std::string_view text) {
  return replaced(text, [](std::string_view behind) {
    return behind.starts_with('#') ? numeric(behind) : named(behind);
  });
}

std::string html_unescape_strict(std::string_view text) {
  return replaced(text, [](std::string_view behind) -> std::optional<Reference> {
    std::size_t end = behind.starts_with('#') ? 1 : 0;
    const std::size_t from = end;
    while (end < behind.size() && is_alphanumeric(behind[end])) ++end;
    if (end == from || end - from > 24 || end == behind.size() || behind[end] != ';') return {};
    const auto reference = behind.starts_with('#') ? numeric(behind) : named(behind);
    return reference && reference->bytes == end + 1 ? reference : std::nullopt;
  });
}

}  // namespace unisim
