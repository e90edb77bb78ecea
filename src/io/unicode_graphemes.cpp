#include <utf8proc.h>

#include <algorithm>
#include <span>

#include "unicode.h"

namespace unisim {
namespace {

struct Range {
  char32_t first, last;
};

// Extend or SpacingMark since a later version than Unicode 15, utf8proc's.
constexpr Range later_extend[] = {
    {0x897, 0x897},     {0x1ACF, 0x1ADD},   {0x1AE0, 0x1AEB},   {0x10D69, 0x10D6D}, {0x10EFA, 0x10EFC},
    {0x113B8, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D0},
    {0x113D2, 0x113D2}, {0x113E1, 0x113E2}, {0x11B60, 0x11B67}, {0x11F5A, 0x11F5A}, {0x1611E, 0x1612F},
    {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6}, {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5},
};

// Indic_Conjunct_Break=Linker, and =Consonant of the first plane: further ones make clusters of 8 bytes and
// more in any case, which nobody tells apart.
constexpr Range linkers[] = {
    {0x94D, 0x94D},     {0x9CD, 0x9CD},     {0xACD, 0xACD},     {0xB4D, 0xB4D},     {0xC4D, 0xC4D},
    {0xD4D, 0xD4D},     {0x1039, 0x1039},   {0x17D2, 0x17D2},   {0x1A60, 0x1A60},   {0x1B44, 0x1B44},
    {0x1BAB, 0x1BAB},   {0xA9C0, 0xA9C0},   {0xAAF6, 0xAAF6},   {0x10A3F, 0x10A3F}, {0x11133, 0x11133},
    {0x113D0, 0x113D0}, {0x1193E, 0x1193E}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11F42, 0x11F42},
};
constexpr Range consonants[] = {
    {0x915, 0x939},   {0x958, 0x95F},   {0x978, 0x97F},   {0x995, 0x9A8},   {0x9AA, 0x9B0},
    {0x9B2, 0x9B2},   {0x9B6, 0x9B9},   {0x9DC, 0x9DD},   {0x9DF, 0x9DF},   {0x9F0, 0x9F1},
    {0xA95, 0xAA8},   {0xAAA, 0xAB0},   {0xAB2, 0xAB3},   {0xAB5, 0xAB9},   {0xAF9, 0xAF9},
    {0xB15, 0xB28},   {0xB2A, 0xB30},   {0xB32, 0xB33},   {0xB35, 0xB39},   {0xB5C, 0xB5D},
    {0xB5F, 0xB5F},   {0xB71, 0xB71},   {0xC15, 0xC28},   {0xC2A, 0xC39},   {0xC58, 0xC5A},
    {0xD15, 0xD3A},   {0x1000, 0x102A}, {0x103F, 0x103F}, {0x1050, 0x1055}, {0x105A, 0x105D},
    {0x1061, 0x1061}, {0x1065, 0x1066}, {0x106E, 0x1070}, {0x1075, 0x1081}, {0x108E, 0x108E},
    {0x1780, 0x17B3}, {0x1A20, 0x1A54}, {0x1B0B, 0x1B0C}, {0x1B13, 0x1B33}, {0x1B45, 0x1B4C},
    {0x1B83, 0x1BA0}, {0x1BAE, 0x1BAF}, {0x1BBB, 0x1BBD}, {0xA989, 0xA98B}, {0xA98F, 0xA9B2},
    {0xA9E0, 0xA9E4}, {0xA9E7, 0xA9EF}, {0xA9FA, 0xA9FE}, {0xAA60, 0xAA6F}, {0xAA71, 0xAA73},
    {0xAA7A, 0xAA7A}, {0xAA7E, 0xAA7F}, {0xAAE0, 0xAAEA}, {0xABC0, 0xABDA},
};

bool in(std::span<const Range> ranges, char32_t code) {
  const auto after = std::ranges::upper_bound(ranges, code, {}, &Range::first);
  return after != ranges.begin() && code <= std::prev(after)->last;
}

/// A code point that utf8proc breaks at as Unicode 17 does at this one.
utf8proc_int32_t stand_in(char32_t code) {
  if (code == 0x113D1) return 0x600;  // Prepend
  if (code == 0x11A3A) return 'A';    // Prepend no more
  if (in(later_extend, code)) return 0x301;
  return static_cast<utf8proc_int32_t>(code);
}

/// How far a conjunct has come: rule GB9c joins a consonant to a consonant and a linker before it.
enum class Conjunct { None, Consonant, Linked };

Conjunct next_of(Conjunct conjunct, char32_t code) {
  if (in(consonants, code)) return Conjunct::Consonant;
  if (conjunct == Conjunct::None) return conjunct;
  if (in(linkers, code)) return Conjunct::Linked;
  const int boundary = utf8proc_get_property(stand_in(code))->boundclass;
  const bool extends = boundary == UTF8PROC_BOUNDCLASS_EXTEND || boundary == UTF8PROC_BOUNDCLASS_ZWJ;
  return extends && code != 0x200C ? conjunct : Conjunct::None;
}

}  // namespace

std::size_t grapheme_bytes(std::string_view text, std::size_t at) {
  Character c = character_at(text, at);
  std::size_t end = at + c.bytes;
  utf8proc_int32_t state = 0;
  Conjunct conjunct = next_of(Conjunct::None, c.code);
  while (end < text.size()) {
    const Character next = character_at(text, end);
    const bool breaks = utf8proc_grapheme_break_stateful(stand_in(c.code), stand_in(next.code), &state);
    if (breaks && !(conjunct == Conjunct::Linked && in(consonants, next.code))) break;
    end += next.bytes;
    c = next;
    conjunct = next_of(conjunct, c.code);
  }
  return end - at;
}

}  // namespace unisim
