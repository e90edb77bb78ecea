#pragma once

#include <unisim/tokenizer.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace unisim {

/// A stretch of a text that several have written.
struct TextStretch {
  std::string_view text;
  bool tokens = false;  ///< whether added tokens are looked for in it
};

/// Ids of the stretches as of one text, which Tokenizer::encode would give without special tokens; but an added token
/// counts only where it lies wholly in stretches that follow each other and are looked at. Its rstrip and lstrip reach
/// over their ends. Invalid UTF-8 is repaired in each stretch.
std::vector<int64_t> encode_stretches(const Tokenizer& tokenizer, std::span<const TextStretch> stretches);

}  // namespace unisim
