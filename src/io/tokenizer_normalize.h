#pragma once

#include <string>
#include <variant>
#include <vector>

#include "tokenizer_pattern.h"
#include "tokenizer_precompiled.h"
#include "unicode.h"

namespace unisim {

/// The normaliser of a tokenizer.json: its steps, one after the other.
class Normalizer {
 public:
  Normalizer() = default;
  Normalizer(const Json& json, const Place& place);

  /// Rewrites the text. `head` follows the bytes that come from the caller's first character (see Piece).
  void apply(std::string& text, uint32_t& head) const;
  bool empty() const { return steps_.empty(); }

 private:
  struct Form {
    NormalForm form;
  };
  struct Lowercase {};
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  struct Strip {
    bool left, right;
  };
  struct StripAccents {};
  struct Prepend {
    std::string text;
  };
  struct Nmt {};
  struct ByteLevel {};
  using Step =
      std::variant<Form, Lowercase, Replace, Strip, StripAccents, Prepend, Nmt, ByteLevel, CharacterMap>;

  static Step read(const Link& link);

  std::vector<Step> steps_;
};

}  // namespace unisim
