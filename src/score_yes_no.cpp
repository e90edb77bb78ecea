#include <unisim/error.h>
#include <unisim/score.h>

#include <algorithm>
#include <array>

#include "io/unicode.h"

namespace unisim {
namespace {

std::u32string lower_characters(std::string_view reply) {
  std::string lower;
  for (std::size_t at = 0; at < reply.size();) {
    const Character c = character_at(reply, at);
    append_lower(lower, c.code);
    at += c.bytes;
  }
  std::u32string characters;
  for (std::size_t at = 0; at < lower.size();) {
    const Character c = character_at(lower, at);
    characters.push_back(c.code);
    at += c.bytes;
  }
  return characters;
}

/// What Python's str.strip and str.split take for a blank: White_Space and the four separators before it.
bool is_blank(char32_t code) {
  return (code >= 0x1C && code <= 0x1F) || (classes_of(code) & unicode::space) != 0;
}

bool is_digit(char32_t code) { return code >= U'0' && code <= U'9'; }

YesNo by_beginning(std::u32string_view reply) {
  const std::u32string_view beginning = reply.substr(0, 4);
  if (beginning.find(U"yes") != beginning.npos) return YesNo::Yes;
  return beginning.find(U"no") != beginning.npos ? YesNo::No : YesNo::Other;
}

YesNo by_lmms(std::u32string_view reply) {
  while (!reply.empty() && is_blank(reply.front())) reply.remove_prefix(1);
  while (!reply.empty() && is_blank(reply.back())) reply.remove_suffix(1);
  std::u32string bare(reply);
  std::erase(bare, U'.');
  if (bare == U"y") return YesNo::Yes;
  if (bare == U"n") return YesNo::No;
  return by_beginning(bare);
}

/// VQA's punctuation (Antol et al. 2015, evaluation code): a sign that stands beside a space somewhere in the
/// reply, or any in a reply with a comma between digits, is taken out; else it becomes a space. Of the full
/// stops that no digit follows the first 32 are taken out: the original passes a flag where a count is
/// expected.
std::u32string without_punctuation(const std::u32string& reply) {
  constexpr std::u32string_view signs = U";/[]\"{}()=+\\_-><@`,?!";
  bool grouped_digits = false;
  for (std::size_t i = 1; i + 1 < reply.size(); ++i)
    grouped_digits = grouped_digits || (reply[i] == U',' && is_digit(reply[i - 1]) && is_digit(reply[i + 1]));
  std::u32string text = reply;
  for (const char32_t sign : signs) {
    const bool beside_space = reply.find(std::u32string{sign, U' '}) != reply.npos ||
                              reply.find(std::u32string{U' ', sign}) != reply.npos;
    if (beside_space || grouped_digits) {
      std::erase(text, sign);
    } else {
      std::replace(text.begin(), text.end(), sign, U' ');
    }
  }
  std::u32string bare;
  int taken = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool ends = text[i] == U'.' && (i + 1 == text.size() || !is_digit(text[i + 1]));
    if (ends && taken < 32) {
      ++taken;
    } else {
      bare.push_back(text[i]);
    }
  }
  return bare;
}

YesNo by_words(const std::u32string& reply) {
  const std::u32string text = without_punctuation(reply);
  bool yes = false, no = false;
  for (auto at = text.begin(); at != text.end();) {
    const auto first = std::find_if_not(at, text.end(), is_blank);
    at = std::find_if(first, text.end(), is_blank);
    const std::u32string word(first, at);
    yes = yes || word == U"yes";
    no = no || word == U"no";
  }
  if (yes == no) return YesNo::Other;
  return yes ? YesNo::Yes : YesNo::No;
}

}  // namespace

YesNo parse_yes_no(std::string_view reply, YesNoParser parser) {
  require(is_utf8(reply), "[parse_yes_no] the reply is not UTF-8");
  const std::u32string lower = lower_characters(reply);
  switch (parser) {
    case YesNoParser::Official:
      return by_beginning(lower);
    case YesNoParser::Lmms:
      return by_lmms(lower);
    case YesNoParser::VlmEvalKit:
      break;
  }
  return by_words(lower);
}

YesNoParser yes_no_parser(const std::string& name) {
  if (name == "official") return YesNoParser::Official;
  if (name == "lmms") return YesNoParser::Lmms;
  require(name == "vlmevalkit", "[score] no parser \"", name, "\"; known are official, lmms, vlmevalkit");
  return YesNoParser::VlmEvalKit;
}

}  // namespace unisim
