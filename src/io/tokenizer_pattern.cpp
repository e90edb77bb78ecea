#include "tokenizer_pattern.h"

#include <algorithm>
#include <array>

#include "unicode.h"

namespace unisim {
namespace {

using namespace unicode;

uint8_t classes_at(std::string_view text, std::size_t at, uint32_t& bytes) {
  const Character c = character_at(text, at);
  bytes = c.bytes;
  return classes_of(c.code);
}

/// Past the characters from `at` on that are of these classes (or, negated, of none of them).
std::size_t skip(std::string_view text, std::size_t at, uint8_t classes, bool negated = false,
                 std::size_t most = SIZE_MAX) {
  for (std::size_t count = 0; at < text.size() && count < most; ++count) {
    uint32_t bytes = 0;
    if (((classes_at(text, at, bytes) & classes) != 0) == negated) break;
    at += bytes;
  }
  return at;
}

std::size_t skip_newlines(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == '\r' || text[at] == '\n')) ++at;
  return at;
}

/// 's|'t|'re|'ve|'m|'ll|'d
std::size_t match_contraction(std::string_view text, std::size_t at, bool any_case) {
  if (text[at] != '\'' || at + 1 >= text.size()) return at;
  const auto lower = [&](std::size_t i) -> char {
    const char c = i < text.size() ? text[i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  const char first = lower(at + 1), second = lower(at + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l'))
    return at + 3;
  if (any_case && text.substr(at + 1, 2) == "\u017F") return at + 3;  // the long s folds to s
  return at;
}

/// \s+(?!\S)|\s+ : all the white space, but for its last character when something follows it.
std::size_t match_space(std::string_view text, std::size_t at) {
  const std::size_t end = skip(text, at, space);
  if (end == text.size() || end == at) return end;
  const std::size_t last = end - character_before(text, end).bytes;
  return last > at ? last : end;
}

}  // namespace

Pattern Pattern::of_text(std::string text) {
  Pattern pattern;
  pattern.text_ = std::move(text);
  return pattern;
}

Pattern Pattern::gpt2() {
  Pattern pattern;
  pattern.kind_ = Kind::Gpt2;
  return pattern;
}

Pattern Pattern::words() {
  Pattern pattern;
  pattern.kind_ = Kind::Runs;
  pattern.runs_.push_back({.classes = word});
  pattern.runs_.push_back({.classes = word | space, .negated = true});
  return pattern;
}

Pattern Pattern::of_class(uint8_t classes) {
  Pattern pattern;
  pattern.kind_ = Kind::Runs;
  pattern.runs_.push_back({.classes = classes, .most = 1});
  return pattern;
}

// ' ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+' after the contractions, then white space.
std::size_t Pattern::match_gpt2(std::string_view text, std::size_t at) const {
  if (const std::size_t end = match_contraction(text, at, false); end > at) return end;
  const std::size_t begin = text[at] == ' ' && at + 1 < text.size() ? at + 1 : at;
  uint32_t bytes = 0;
  const uint8_t classes = classes_at(text, begin, bytes);
  if (classes & space) return match_space(text, at);
  if (classes & letter) return skip(text, begin + bytes, letter);
  if (classes & number) return skip(text, begin + bytes, number);
  return skip(text, begin + bytes, space | letter | number, true);
}

// (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
std::size_t Pattern::match_gpt4(std::string_view text, std::size_t at) const {
  if (const std::size_t end = match_contraction(text, at, true); end > at) return end;
  uint32_t bytes = 0;
  const uint8_t classes = classes_at(text, at, bytes);
  const bool newline = text[at] == '\r' || text[at] == '\n';
  if (!newline && (classes & (letter | number)) == 0) {
    const std::size_t end = skip(text, at + bytes, letters_);
    if (end > at + bytes) return end;
  }
  if (classes & letters_) return skip(text, at + bytes, letters_);
  if (classes & number) return skip(text, at, number, false, most_digits_);
  const uint8_t known = static_cast<uint8_t>(space | letters_ | number);
  const std::size_t begin = text[at] == ' ' ? at + 1 : at;
  if (const std::size_t end = skip(text, begin, known, true); end > begin) return skip_newlines(text, end);
  const std::size_t end = skip(text, at, space);
  for (std::size_t last = end; last > at; --last)
    if (text[last - 1] == '\n' || text[last - 1] == '\r') return last;
  return match_space(text, at);
}

std::size_t Pattern::match_run(const Run& run, std::string_view text, std::size_t at) const {
  std::size_t count = 0;
  std::size_t end = at;
  while (end < text.size() && count < run.most) {
    const Character c = character_at(text, end);
    bool inside = (classes_of(c.code) & run.classes) != 0;
    for (const auto& [first, last] : run.ranges) inside = inside || (c.code >= first && c.code <= last);
    if (inside == run.negated) break;
    end += c.bytes;
    ++count;
  }
  return count >= run.least ? end : at;
}

std::size_t Pattern::match(std::string_view text, std::size_t at) const {
  switch (kind_) {
    case Kind::Gpt2:
      return match_gpt2(text, at);
    case Kind::Gpt4:
      return match_gpt4(text, at);
    case Kind::Runs:
      for (const std::string& plain : words_)
        if (text.compare(at, plain.size(), plain) == 0) return at + plain.size();
      for (const Run& run : runs_)
        if (const std::size_t end = match_run(run, text, at); end > at) return end;
      return at;
    case Kind::Text:
      break;
  }
  return text.compare(at, text_.size(), text_) == 0 ? at + text_.size() : at;
}

void Pattern::stretches(std::string_view text, std::vector<Stretch>& to) const {
  to.clear();
  std::size_t done = 0;
  const auto found = [&](std::size_t begin, std::size_t end) {
    if (begin > done) to.push_back({static_cast<uint32_t>(done), static_cast<uint32_t>(begin), false});
    to.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), true});
    done = end;
  };
  if (kind_ == Kind::Text) {
    for (std::size_t at = text.find(text_); at != text.npos; at = text.find(text_, done))
      found(at, at + text_.size());
  } else {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = match(text, at);
      if (end > at) {
        found(at, end);
        at = end;
      } else {
        at += character_at(text, at).bytes;
      }
    }
  }
  if (done < text.size()) to.push_back({static_cast<uint32_t>(done), size32(text), false});
}

}  // namespace unisim
