#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_part.h"

namespace unisim {

/// SentencePiece's map of characters (`precompiled_charsmap`): a double-array trie of UTF-8 keys whose values
/// are offsets of NUL-terminated replacements.
class CharacterMap {
 public:
  CharacterMap(const std::string& base64, const Place& place);

  /// Replaces by grapheme clusters as the `tokenizers` package does: a cluster under 6 bytes that begins with
  /// a key becomes the value of its shortest key, whole; else each character by itself.
  void apply(std::string& text, uint32_t& head, std::string& spare) const;

 private:
  std::optional<std::string_view> find(std::string_view key) const;
  void replace(std::string_view cluster, std::string& to) const;

  std::vector<uint32_t> units_;
  std::string values_;
  std::filesystem::path file_;
  std::string key_;
  std::array<bool, 128> unchanged_{};  ///< ASCII characters that no key begins with
};

}  // namespace unisim
