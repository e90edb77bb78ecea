#include <utility>

#include "html_unescape.h"
#include "io/unicode.h"
#include "text_input.h"

namespace unisim {
namespace {

bool is_space(char32_t code) {  // of Python's str: Unicode's, and the four separators of ASCII
  return (code >= 0x1C && code <= 0x1F) || (classes_of(code) & unicode::space) != 0;
}

bool is_ascii_punctuation(char32_t code) {
  return code > 0x20 && code < 0x7F && !(code >= '0' && code <= '9') && !(code >= 'A' && code <= 'Z') &&
         !(code >= 'a' && code <= 'z');
}

/// Each character through `append(text so far, code, position after it)`.
template <class Append>
std::string each_character(std::string_view text, const Append& append) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    at += c.bytes;
    append(out, c.code, at);
  }
  return out;
}

/// Python's " ".join(text.split()).
std::string single_spaces(std::string_view text) {
  std::string out = each_character(text, [](std::string& to, char32_t code, std::size_t) {
    if (!is_space(code))
      append_utf8(to, code);
    else if (!to.empty() && to.back() != ' ')
      to += ' ';
  });
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

/// A letter before or after, marks and apostrophes between left out: what decides the form of a sigma.
bool letter_before(std::string_view text, std::size_t end) {
  while (end > 0) {
    const Character c = character_before(text, end);
    end -= c.bytes;
    if ((classes_of(c.code) & unicode::mark) != 0 || c.code == '\'' || c.code == 0x2019 || c.code == '.')
      continue;
    return (classes_of(c.code) & unicode::letter) != 0;
  }
  return false;
}

bool letter_after(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const Character c = character_at(text, at);
    at += c.bytes;
    if ((classes_of(c.code) & unicode::mark) != 0 || c.code == '\'' || c.code == 0x2019 || c.code == '.')
      continue;
    return (classes_of(c.code) & unicode::letter) != 0;
  }
  return false;
}

/// Python's str.lower: a capital sigma at the end of a word becomes the final one.
std::string lower(std::string_view text) {
  constexpr char32_t capital_sigma = 0x3A3, final_sigma = 0x3C2;
  return each_character(text, [&](std::string& to, char32_t code, std::size_t after) {
    const bool last = code == capital_sigma && letter_before(text, after - 2) && !letter_after(text, after);
    if (last)
      append_utf8(to, final_sigma);
    else
      append_lower(to, code);
  });
}

std::string without_punctuation(std::string_view text) {
  return each_character(text, [](std::string& to, char32_t code, std::size_t) {
    if (!is_ascii_punctuation(code)) append_utf8(to, code);
  });
}

/// Ligatures of Latin letters that ftfy takes apart.
std::string_view ligature(char32_t code) {
  static constexpr std::pair<char32_t, std::string_view> ligatures[] = {
      {0x132, "IJ"},   {0x133, "ij"},   {0x149, "ʼn"},  {0x1F1, "DZ"},  {0x1F2, "Dz"},  {0x1F3, "dz"},
      {0x1C4, "DŽ"},   {0x1C5, "Dž"},   {0x1C6, "dž"},  {0x1C7, "LJ"},  {0x1C8, "Lj"},  {0x1C9, "lj"},
      {0x1CA, "NJ"},   {0x1CB, "Nj"},   {0x1CC, "nj"},  {0xFB00, "ff"}, {0xFB01, "fi"}, {0xFB02, "fl"},
      {0xFB03, "ffi"}, {0xFB04, "ffl"}, {0xFB05, "ſt"}, {0xFB06, "st"}};
  for (const auto& [known, letters] : ligatures)
    if (known == code) return letters;
  return {};
}

bool is_control(char32_t code) {  // that ftfy removes
  return code <= 0x08 || code == 0x0B || (code >= 0x0E && code <= 0x1F) || code == 0x7F ||
         (code >= 0x206A && code <= 0x206F) || code == 0xFEFF || (code >= 0xFFF9 && code <= 0xFFFC);
}

void append_fixed(std::string& to, char32_t code) {
  if (code >= 0xFF01 && code < 0xFFF0) {  // halfwidth and fullwidth forms
    std::string normal;
    append_utf8(normal, code);
    normalize_unicode(NormalForm::KC, normal);
    to += normal;
  } else if (code == 0x3000) {
    to += ' ';
  } else if (code == 0x2BC || (code >= 0x2018 && code <= 0x201B)) {
    to += '\'';
  } else if (code >= 0x201C && code <= 0x201F) {
    to += '"';
  } else if (code == 0x85 || code == 0x2028 || code == 0x2029 || code == '\r') {
    to += '\n';
  } else if (const std::string_view letters = ligature(code); !letters.empty()) {
    to += letters;
  } else if (!is_control(code)) {
    append_utf8(to, code);
  }
}

/// Terminal escapes: ESC [ digits and semicolons, a letter.
std::string without_escapes(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with("\x1b[")) {
      std::size_t end = text.find_first_not_of("0123456789;", at + 2);
      const bool letter =
          end != std::string_view::npos && ((text[end] | 0x20) >= 'a' && (text[end] | 0x20) <= 'z');
      if (letter) {
        at = end + 1;
        continue;
      }
    }
    out += text[at++];
  }
  return out;
}

/// ftfy.fix_text without its repair of wrongly decoded text (mojibake), which is a matter of judgement.
std::string fixed(std::string_view text) {
  const bool markup = text.find('<') != std::string_view::npos;
  std::string now(text);
  for (int round = 0; round < 8; ++round) {
    const std::string before = now;
    if (!markup) now = html_unescape_strict(now);
    now = each_character(without_escapes(now),
                         [](std::string& to, char32_t code, std::size_t) { append_fixed(to, code); });
    normalize_unicode(NormalForm::C, now);
    if (now == before) break;
  }
  return now;
}

/// open_clip's basic_clean but for the strip, which every caller's single_spaces does.
std::string basic_clean(std::string_view text) { return html_unescape(html_unescape(fixed(text))); }

std::string with_spaces_for(std::string text, std::string_view part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    text.replace(at, part.size(), 1, ' ');
  return text;
}

}  // namespace

std::string cleaned(std::string_view bytes, TextCleaning cleaning) {
  const std::string text = repaired_utf8(bytes);
  switch (cleaning) {
    case TextCleaning::None:
      return text;
    case TextCleaning::LowerCase:
      return lower(text);
    case TextCleaning::SiglipCanonical:
      return single_spaces(without_punctuation(lower(with_spaces_for(text, "\u2581"))));
    case TextCleaning::OpenClipWhitespace:
      return single_spaces(basic_clean(text));
    case TextCleaning::OpenClipLower:
      return lower(single_spaces(basic_clean(text)));
    case TextCleaning::OpenClipCanonical:
      return single_spaces(lower(without_punctuation(with_spaces_for(basic_clean(text), "_"))));
  }
  return text;
}

}  // namespace unisim
