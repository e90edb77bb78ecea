#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Text as code points: UTF-8 read and repaired, and the classes that tokenizers' patterns ask for.
namespace unisim {

/// What a pattern may ask of a code point; one bit each.
namespace unicode {
inline constexpr uint8_t letter = 1;  ///< \p{L}, Unicode 16
inline constexpr uint8_t number = 2;  ///< \p{N}, Unicode 16
inline constexpr uint8_t space = 4;   ///< \s: White_Space
inline constexpr uint8_t mark = 8;    ///< \p{M}, Unicode 16
inline constexpr uint8_t word = 16;   ///< \w, Unicode 16: Alphabetic, \p{M}, \p{Nd}, \p{Pc}, Join_Control
inline constexpr uint8_t punctuation = 32;  ///< ASCII punctuation, and \p{P} of Unicode 8
inline constexpr uint8_t numeral = 64;      ///< \p{N}, Unicode 17
inline constexpr uint8_t composed = 128;    ///< stands unchanged in NFC whatever precedes it
}  // namespace unicode

/// The classes of a code point, each of the Unicode version at which the part of the `tokenizers` package
/// that asks for it stands: utf8proc's category, and the differences listed in unicode.cpp.
uint8_t classes_of(char32_t code);

/// A combining mark of Unicode 9, which is what StripAccents removes.
bool is_mark_of_unicode_9(char32_t code);

struct Character {
  char32_t code;
  uint32_t bytes;  ///< 1 to 4
};

/// The character that begins at `at`. The text is valid UTF-8 and `at` lies in it, on a character's first
/// byte.
inline Character character_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

/// The character that ends before `end`, which is not 0.
inline Character character_before(std::string_view text, std::size_t end) {
  std::size_t at = end - 1;
  while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return character_at(text, at);
}

void append_utf8(std::string& text, char32_t code);

bool is_ascii(std::string_view text);
bool is_utf8(std::string_view text);

/// The bytes as text: each maximal part that no character begins with, or that breaks off, becomes one
/// U+FFFD. This is Python's errors="replace" (Unicode 15, section 3.9, "substitution of maximal subparts").
std::string repaired_utf8(std::string_view bytes);

/// The canonical and compatibility forms of Unicode 9, which is what the `tokenizers` package applies.
enum class NormalForm { C, D, KC, KD };
void normalize_unicode(NormalForm form, std::string& text);

/// Every character in lower case, by its own full mapping (no context, no locale); Unicode 17.
void append_lower(std::string& text, char32_t code);

/// Bytes of the first extended grapheme cluster at `at`.
std::size_t grapheme_bytes(std::string_view text, std::size_t at);

}  // namespace unisim
