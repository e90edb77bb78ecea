#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "unicode.h"

namespace unisim {
namespace {

struct Range {
  char32_t first, last;
};

// Decomposed, composed or reordered since a later version than Unicode 9, to which the reference knows them
// as unassigned: starters that stand for themselves.
constexpr Range inert[] = {
    {0x7FD, 0x7FD},     {0x897, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},   {0x1ABF, 0x1AEF},   {0x1DF6, 0x1DFA},
    {0x32FF, 0x32FF},   {0xA7F1, 0xA7F4},   {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x105C9, 0x105C9},
    {0x105E4, 0x105E4}, {0x10781, 0x107BA}, {0x10D24, 0x10D27}, {0x10D69, 0x10D6D}, {0x10EAB, 0x10EAC},
    {0x10EFA, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B},
    {0x11382, 0x113E2}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11943}, {0x119E0, 0x119E0},
    {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D45}, {0x11D97, 0x11D97},
    {0x11F41, 0x11F42}, {0x1611E, 0x1612F}, {0x16D63, 0x16D6A}, {0x16FF0, 0x16FF1}, {0x1CCD6, 0x1CCF9},
    {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF},
    {0x1E4EC, 0x1E4EF}, {0x1E5EE, 0x1E5EF}, {0x1E6E3, 0x1E6F5}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9},
};

bool is_inert(char32_t code) {
  if (code < inert[0].first) return false;
  const auto* after = std::upper_bound(std::begin(inert), std::end(inert), code,
                                       [](char32_t c, const Range& range) { return c < range.first; });
  return code <= (after - 1)->last;
}

uint8_t combining_class(utf8proc_int32_t code) {
  return static_cast<uint8_t>(utf8proc_get_property(code)->combining_class);
}

/// Puts runs of marks into the order of their combining classes; equal ones stay as they stand.
void order_marks(std::vector<utf8proc_int32_t>& codes) {
  for (auto at = codes.begin(); at != codes.end();) {
    if (combining_class(*at) == 0) {
      ++at;
      continue;
    }
    const auto end =
        std::find_if(at, codes.end(), [](utf8proc_int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(at, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return combining_class(a) < combining_class(b);
    });
    at = end;
  }
}

/// A stretch without inert code points, decomposed: in order, composed if asked, and written out.
void flush(std::vector<utf8proc_int32_t>& codes, bool compose, std::string& out) {
  if (codes.empty()) return;
  order_marks(codes);
  auto count = static_cast<utf8proc_ssize_t>(codes.size());
  if (compose)
    count = utf8proc_normalize_utf32(codes.data(), count,
                                     static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  for (utf8proc_ssize_t i = 0; i < count; ++i)
    append_utf8(out, static_cast<char32_t>(codes[static_cast<std::size_t>(i)]));
  codes.clear();
}

}  // namespace

void normalize_unicode(NormalForm form, std::string& text) {
  if (is_ascii(text)) return;
  const bool compose = form == NormalForm::C || form == NormalForm::KC;
  const bool compatible = form == NormalForm::KC || form == NormalForm::KD;
  if (form == NormalForm::C) {
    bool done = true;
    for (std::size_t at = 0; at < text.size() && done;) {
      const Character c = character_at(text, at);
      done = (classes_of(c.code) & unicode::composed) != 0;
      at += c.bytes;
    }
    if (done) return;
  }
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> codes;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    at += c.bytes;
    if (is_inert(c.code)) {
      flush(codes, compose, out);
      append_utf8(out, c.code);
      continue;
    }
    utf8proc_int32_t parts[32];  // the longest decomposition, U+FDFA's, has 18
    int last_class = 0;
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.code), parts, 32, options, &last_class);
    codes.insert(codes.end(), parts, parts + count);
  }
  flush(codes, compose, out);
  text.swap(out);
}

}  // namespace unisim
