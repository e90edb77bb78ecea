#include <array>
#include <charconv>

#include "quote.h"
#include "tokenizer_pattern.h"
#include "unicode.h"

namespace unisim {
namespace {

using namespace unicode;

constexpr std::string_view gpt2_regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Reads the expression from the left.
struct Reader {
  std::string_view rest;

  bool take(std::string_view expected) {
    if (!rest.starts_with(expected)) return false;
    rest.remove_prefix(expected.size());
    return true;
  }
  bool take_number(std::size_t& number) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || number > 1'000'000) return false;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return true;
  }
};

bool take_class(Reader& in, uint8_t& classes) {
  if (in.take("\\p{L}"))
    classes |= letter;
  else if (in.take("\\p{N}"))
    classes |= number;
  else if (in.take("\\p{M}"))
    classes |= mark;
  else if (in.take("\\s"))
    classes |= space;
  else
    return false;
  return true;
}

/// One literal character, escaped or not.
bool take_literal(Reader& in, std::string_view special, char32_t& code) {
  constexpr std::array<std::pair<char, char>, 5> escapes = {
      {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'f', '\f'}, {'v', '\v'}}};
  if (in.rest.empty()) return false;
  if (in.take("\\")) {
    if (in.rest.empty()) return false;
    const char c = in.rest.front();
    in.rest.remove_prefix(1);
    for (const auto& [name, value] : escapes)
      if (c == name) {
        code = static_cast<char32_t>(value);
        return true;
      }
    code = static_cast<char32_t>(c);
    return std::string_view("\\.|?*+()[]{}^$-/'\"").find(c) != std::string_view::npos;
  }
  if (special.find(in.rest.front()) != std::string_view::npos) return false;
  const Character c = character_at(in.rest, 0);
  in.rest.remove_prefix(c.bytes);
  code = c.code;
  return true;
}

bool take_quantifier(Reader& in, std::size_t& least, std::size_t& most) {
  least = most = 1;
  if (in.take("+")) most = SIZE_MAX;
  if (in.take("{")) {
    if (!in.take_number(least)) return false;
    most = least;
    if (in.take(",")) most = SIZE_MAX;
    if (most == SIZE_MAX && !in.rest.starts_with("}") && !in.take_number(most)) return false;
    if (!in.take("}")) return false;
  }
  return least >= 1 && most >= least && (in.rest.empty() || in.rest.front() == '|');
}

}  // namespace

// A class of characters and how often, alternatives after each other: \s{2,}|[\n\r\t]
bool Pattern::read_runs(std::string_view regex, std::vector<Run>& runs) {
  Reader in{regex};
  do {
    Run run;
    char32_t code = 0;
    if (take_class(in, run.classes)) {
    } else if (in.take("[")) {
      run.negated = in.take("^");
      while (!in.take("]")) {
        if (take_class(in, run.classes)) continue;
        if (!take_literal(in, "[]&", code)) return false;
        char32_t last = code;
        if (in.rest.starts_with("-") && !in.rest.starts_with("-]")) {
          in.take("-");
          if (!take_literal(in, "[]&", last) || last < code) return false;
        }
        run.ranges.emplace_back(code, last);
      }
      if (run.classes == 0 && run.ranges.empty()) return false;
    } else if (take_literal(in, ".|?*+()[]{}^$", code)) {
      run.ranges.emplace_back(code, code);
    } else {
      return false;
    }
    if (!take_quantifier(in, run.least, run.most)) return false;
    runs.push_back(std::move(run));
  } while (in.take("|"));
  return in.rest.empty();
}

Pattern Pattern::read(const Json& json, const Place& place) {
  Fields fields = fields_of(json, place);
  Pattern pattern;
  if (fields.has("String")) {
    pattern.text_ = fields.string("String");
    fields.finish();
    if (pattern.text_.empty()) place["String"].refuse("an empty pattern");
    return pattern;
  }
  const std::string regex = fields.string("Regex");
  fields.finish();
  if (regex == gpt2_regex) return gpt2();

  constexpr std::string_view before = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?)";
  constexpr std::string_view after = R"(+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  constexpr std::array<std::pair<std::string_view, std::size_t>, 4> digits = {
      {{R"(\p{N})", 1}, {R"(\p{N}{1,2})", 2}, {R"(\p{N}{1,3})", 3}, {R"(\p{N}+)", SIZE_MAX}}};
  for (const auto& [number_regex, most] : digits) {
    const std::string middle = text_of("|", number_regex, "| ?");
    const bool plain = regex == text_of(before, R"(\p{L}+)", middle, R"([^\s\p{L}\p{N}])", after);
    const bool with_marks =
        regex == text_of(before, R"([\p{L}\p{M}]+)", middle, R"([^\s\p{L}\p{M}\p{N}])", after);
    if (!plain && !with_marks) continue;
    pattern.kind_ = Kind::Gpt4;
    pattern.most_digits_ = most;
    pattern.letters_ = static_cast<uint8_t>(letter | (with_marks ? mark : 0));
    return pattern;
  }

  // CLIP's: plain words, contractions among them, then runs of characters.
  pattern.kind_ = Kind::Runs;
  std::string_view rest = regex;
  for (const std::string_view start :
       {R"(<\|startoftext\|>|<\|endoftext\|>|)", R"(<\|startoftext\|>|)", R"(<\|endoftext\|>|)"})
    if (rest.starts_with(start)) {
      rest.remove_prefix(start.size());
      if (start.find("start") != start.npos) pattern.words_.emplace_back("<|startoftext|>");
      if (start.find("end") != start.npos) pattern.words_.emplace_back("<|endoftext|>");
    }
  if (constexpr std::string_view contractions = "'s|'t|'re|'ve|'m|'ll|'d|"; rest.starts_with(contractions)) {
    rest.remove_prefix(contractions.size());
    for (const char* contraction : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
      pattern.words_.emplace_back(contraction);
  }
  if (!read_runs(rest, pattern.runs_))
    place["Regex"].refuse("the regular expression ", in_quotes(regex), " is not known");
  return pattern;
}

}  // namespace unisim
