#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_part.h"

namespace unisim {

/// A stretch of text, and whether the pattern matched there.
struct Stretch {
  uint32_t begin, end;
  bool match;
};

/// What Split and Replace look for: a plain string, or one of the regular expressions that known tokenizers
/// use, each written by hand. None matches the empty string.
class Pattern {
 public:
  static Pattern of_text(std::string text);
  static Pattern gpt2();
  static Pattern words();                    ///< \w+|[^\w\s]+
  static Pattern of_class(uint8_t classes);  ///< one character of any of these classes
  /// {"String": ...} or {"Regex": ...}; an unknown expression is Unsupported, quoted.
  static Pattern read(const Json& json, const Place& place);

  /// The whole text as stretches in order, matches taken from the left.
  void stretches(std::string_view text, std::vector<Stretch>& to) const;

 private:
  /// A class of characters, so many times: \p{N}{1,3}.
  struct Run {
    uint8_t classes = 0;
    std::vector<std::pair<char32_t, char32_t>> ranges{};
    bool negated = false;
    std::size_t least = 1, most = SIZE_MAX;
  };
  enum class Kind { Text, Runs, Gpt2, Gpt4 };

  static bool read_runs(std::string_view regex, std::vector<Run>& runs);
  std::size_t match(std::string_view text, std::size_t at) const;  ///< its end, or `at`
  std::size_t match_run(const Run& run, std::string_view text, std::size_t at) const;
  std::size_t match_gpt2(std::string_view text, std::size_t at) const;
  std::size_t match_gpt4(std::string_view text, std::size_t at) const;

  Kind kind_ = Kind::Text;
  std::string text_;                // Text
  std::vector<std::string> words_;  // Runs: plain alternatives tried first
  std::vector<Run> runs_;           // Runs: alternatives in order
  std::size_t most_digits_ = 1;     // Gpt4
  uint8_t letters_ = 0;             // Gpt4: \p{L}, or \p{L}\p{M}
};

}  // namespace unisim
