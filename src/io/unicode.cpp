#include "unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>
#include <vector>

namespace unisim {
namespace {

struct Range {
  char32_t first, last;
};

// Assigned after Unicode 15, the version of Debian 12's utf8proc. A later utf8proc knows them itself.
constexpr Range later_letters[] = {
    {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},   {0x105C0, 0x105F3}, {0x10D4A, 0x10D65},
    {0x10D6F, 0x10D85}, {0x10EC2, 0x10EC4}, {0x11380, 0x11389}, {0x1138B, 0x1138B}, {0x1138E, 0x1138E},
    {0x11390, 0x113B5}, {0x113B7, 0x113B7}, {0x113D1, 0x113D1}, {0x113D3, 0x113D3}, {0x11BC0, 0x11BE0},
    {0x13460, 0x143FA}, {0x16100, 0x1611D}, {0x16D40, 0x16D6C}, {0x18CFF, 0x18CFF}, {0x1E5D0, 0x1E5ED},
    {0x1E5F0, 0x1E5F0}, {0x2EBF0, 0x2EE5D},
};
constexpr Range later_numbers[] = {
    {0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9}, {0x16130, 0x16139},
    {0x16D70, 0x16D79}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA},
};
constexpr Range later_marks[] = {
    {0x897, 0x897},     {0x10D69, 0x10D6D}, {0x10EFC, 0x10EFC}, {0x113B8, 0x113C0}, {0x113C2, 0x113C2},
    {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D0}, {0x113D2, 0x113D2}, {0x113E1, 0x113E2},
    {0x11F5A, 0x11F5A}, {0x1611E, 0x1612F}, {0x1E5EE, 0x1E5EF},
};
constexpr Range numbers_of_unicode_17[] = {{0x11DE0, 0x11DE9}, {0x16FF4, 0x16FF6}};

// Alphabetic, yet of the category So.
constexpr Range circled_letters[] = {
    {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

// Punctuation since a later version than Unicode 8, and what was punctuation then.
constexpr Range punctuation_after_8[] = {
    {0x61D, 0x61D},     {0x9FD, 0x9FD},     {0xA76, 0xA76},     {0xC77, 0xC77},     {0xC84, 0xC84},
    {0x1B4E, 0x1B4F},   {0x1B7D, 0x1B7F},   {0x2E43, 0x2E4F},   {0x2E52, 0x2E5D},   {0x10D6E, 0x10D6E},
    {0x10EAD, 0x10EAD}, {0x10ED0, 0x10ED0}, {0x10F55, 0x10F59}, {0x10F86, 0x10F89}, {0x113D4, 0x113D5},
    {0x113D7, 0x113D8}, {0x1144B, 0x1144F}, {0x1145A, 0x1145B}, {0x1145D, 0x1145D}, {0x11660, 0x1166C},
    {0x116B9, 0x116B9}, {0x1183B, 0x1183B}, {0x11944, 0x11946}, {0x119E2, 0x119E2}, {0x11A3F, 0x11A46},
    {0x11A9A, 0x11A9C}, {0x11A9E, 0x11AA2}, {0x11B00, 0x11B09}, {0x11BE1, 0x11BE1}, {0x11C41, 0x11C45},
    {0x11C70, 0x11C71}, {0x11EF7, 0x11EF8}, {0x11F43, 0x11F4F}, {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2},
    {0x16D6D, 0x16D6F}, {0x16E97, 0x16E9A}, {0x16FE2, 0x16FE2}, {0x1E5FF, 0x1E5FF}, {0x1E95E, 0x1E95F},
};
constexpr Range punctuation_of_8[] = {{0x166D, 0x166D}, {0x111C9, 0x111C9}};

// Marks since a later version than Unicode 9, and what was a mark then.
constexpr Range marks_after_9[] = {
    {0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xAFA, 0xAFF},
    {0xB55, 0xB55},     {0xC04, 0xC04},     {0xC3C, 0xC3C},     {0xCF3, 0xCF3},     {0xD00, 0xD00},
    {0xD3B, 0xD3C},     {0xD81, 0xD81},     {0xEBA, 0xEBA},     {0xECE, 0xECE},     {0x1715, 0x1715},
    {0x180F, 0x180F},   {0x1ABF, 0x1ACE},   {0x1CF7, 0x1CF7},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},
    {0xA8FF, 0xA8FF},   {0x10D24, 0x10D27}, {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC}, {0x10EFC, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x11073, 0x11074}, {0x110C2, 0x110C2},
    {0x11145, 0x11146}, {0x111C9, 0x111C9}, {0x111CE, 0x111CF}, {0x11241, 0x11241}, {0x1133B, 0x1133B},
    {0x113B8, 0x113E2}, {0x1145E, 0x1145E}, {0x1182C, 0x1183A}, {0x11930, 0x11943}, {0x119D1, 0x119E4},
    {0x11A01, 0x11A0A}, {0x11A33, 0x11A47}, {0x11A51, 0x11A5B}, {0x11A8A, 0x11A99}, {0x11D31, 0x11D47},
    {0x11D8A, 0x11D97}, {0x11EF3, 0x11EF6}, {0x11F00, 0x11F03}, {0x11F34, 0x11F42}, {0x11F5A, 0x11F5A},
    {0x13440, 0x13455}, {0x1611E, 0x1612F}, {0x16F4F, 0x16F4F}, {0x16F7F, 0x16F87}, {0x16FE4, 0x16FF1},
    {0x1CF00, 0x1CF46}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF},
    {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF},
};
constexpr Range marks_of_9[] = {{0x1CF2, 0x1CF3}};

bool in(std::span<const Range> ranges, char32_t code) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), code,
                                      [](char32_t c, const Range& range) { return c < range.first; });
  return after != ranges.begin() && code <= std::prev(after)->last;
}

bool is_white_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

bool is_punctuation(char32_t code, utf8proc_category_t category) {
  if (code < 0x80)
    return code > 0x20 && code < 0x7F &&
           !(category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO);
  const bool now = category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
  return now ? !in(punctuation_after_8, code) : in(punctuation_of_8, code);
}

/// Whether NFC leaves the code point alone, wherever it stands: a starter that composes with nothing before
/// it. (Those that do, or might, are marks or Hangul jamo.)
bool is_composed(char32_t code, bool mark) {
  if (code < 0x300 || (code >= 0xAC00 && code <= 0xD7A3)) return true;
  if (mark || (code >= 0x1100 && code <= 0x11FF)) return false;
  const auto signed_code = static_cast<utf8proc_int32_t>(code);
  if (utf8proc_get_property(signed_code)->combining_class != 0) return false;
  constexpr auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
  utf8proc_int32_t parts[8];
  int last_class = 0;
  const auto count = utf8proc_decompose_char(signed_code, parts, 8, options, &last_class);
  if (count == 1 && parts[0] == signed_code) return true;
  constexpr auto compose = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  return utf8proc_normalize_utf32(parts, count, compose) == 1 && parts[0] == signed_code;
}

uint8_t classes_by_table(char32_t code) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  const auto within = [&](utf8proc_category_t first, utf8proc_category_t last) {
    return category >= first && category <= last;
  };
  const bool letter = within(UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO) || in(later_letters, code);
  const bool mark = within(UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME) || in(later_marks, code);
  const bool number_17 = in(numbers_of_unicode_17, code);
  const bool number =
      !number_17 && (within(UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO) || in(later_numbers, code));
  const bool word = letter || mark || category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
                    category == UTF8PROC_CATEGORY_PC || code == 0x200C || code == 0x200D ||
                    in(later_numbers, code) || in(circled_letters, code);
  return static_cast<uint8_t>(
      (letter ? unicode::letter : 0) | (number ? unicode::number : 0) |
      (is_white_space(code) ? unicode::space : 0) | (mark ? unicode::mark : 0) |
      (word && !number_17 ? unicode::word : 0) | (is_punctuation(code, category) ? unicode::punctuation : 0) |
      (number || number_17 ? unicode::numeral : 0) | (is_composed(code, mark) ? unicode::composed : 0));
}

// The planes that hold letters; the rest is looked up each time.
constexpr char32_t table_end = 0x40000;

const uint8_t* class_table() {
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> classes(table_end);
    for (char32_t code = 0; code < table_end; ++code) classes[code] = classes_by_table(code);
    return classes;
  }();
  return table.data();
}

/// Bytes of the well-formed character at `at`, or 0; then `broken` is the length of the maximal part of one.
std::size_t well_formed(std::string_view bytes, std::size_t at, std::size_t& broken) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte(at);
  broken = 1;
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  // The second byte's range shuts out overlong forms, surrogates and what lies beyond U+10FFFF (Unicode,
  // table 3-7).
  const unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= bytes.size()) return 0;
    const unsigned char next = byte(at + i);
    if (i == 1 ? next < least || next > most : (next & 0xC0) != 0x80) return 0;
    broken = i + 1;
  }
  return length;
}

}  // namespace

uint8_t classes_of(char32_t code) { return code < table_end ? class_table()[code] : classes_by_table(code); }

bool is_mark_of_unicode_9(char32_t code) {
  const bool mark = (classes_of(code) & unicode::mark) != 0;
  return mark ? !in(marks_after_9, code) : in(marks_of_9, code);
}

void append_utf8(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) {
    text.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
  };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_utf8(std::string_view text) {
  std::size_t broken = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = well_formed(text, at, broken);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string repaired_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 4);
  std::size_t broken = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = well_formed(bytes, at, broken);
    if (length == 0) {
      append_utf8(text, 0xFFFD);
      at += broken;
    } else {
      text.append(bytes, at, length);
      at += length;
    }
  }
  return text;
}

void append_lower(std::string& text, char32_t code) {
  // Given lower case after Unicode 15, and the one character whose lower case is two.
  if (code == 0x130) {
    text += "i\u0307";
    return;
  }
  if (code == 0x1C89 || code == 0xA7CC || code == 0xA7CE || code == 0xA7D2 || code == 0xA7D4 ||
      code == 0xA7DA) {
    ++code;
  } else if (code == 0xA7CB) {
    code = 0x264;
  } else if (code == 0xA7DC) {
    code = 0x19B;
  } else if (code >= 0x10D50 && code <= 0x10D65) {
    code += 0x20;
  } else if (code >= 0x16EA0 && code <= 0x16EB8) {
    code += 0x1B;
  } else {
    code = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
  }
  append_utf8(text, code);
}

}  // namespace unisim
