#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace unisim {

/// GPT-2's printable stand-ins for bytes: those of Latin-1 that print stand for themselves, the others for
/// U+0100 on. (Radford et al. 2019, encoder.py, bytes_to_unicode.)
struct ByteCharacters {
  std::array<char16_t, 256> character{};
  std::array<int16_t, 0x150> byte{};  ///< of a character, or -1

  constexpr ByteCharacters() {
    byte.fill(-1);
    char16_t next = 0x100;
    for (std::size_t b = 0; b < 256; ++b) {
      const bool prints = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[b] = prints ? static_cast<char16_t>(b) : next++;
      byte[character[b]] = static_cast<int16_t>(b);
    }
  }
};
inline constexpr ByteCharacters byte_characters;

/// Each byte of `text` as its character.
inline void append_byte_characters(std::string_view text, std::string& to) {
  for (const char c : text) {
    const char16_t code = byte_characters.character[static_cast<unsigned char>(c)];
    if (code < 0x80) {
      to.push_back(static_cast<char>(code));
    } else {
      to.push_back(static_cast<char>(0xC0 | code >> 6));
      to.push_back(static_cast<char>(0x80 | (code & 0x3F)));
    }
  }
}

inline std::string bytes_as_characters(std::string_view text) {
  std::string characters;
  append_byte_characters(text, characters);
  return characters;
}

}  // namespace unisim
