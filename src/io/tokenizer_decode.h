#pragma once

#include <string>
#include <variant>
#include <vector>

#include "tokenizer_pattern.h"

namespace unisim {

/// The decoder of a tokenizer.json: tokens back to text, one step after the other; without one they are
/// joined by spaces.
class Decoder {
 public:
  Decoder() = default;
  Decoder(const Json& json, const Place& place);

  std::string apply(std::vector<std::string> tokens) const;

 private:
  struct ByteLevel {};
  struct ByteFallback {};
  struct Fuse {};
  struct Bpe {
    std::string suffix;
  };
  struct WordPiece {
    std::string prefix;
    bool cleanup;
  };
  struct Metaspace {
    std::string replacement;
    bool drops_first;
  };
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  struct Strip {
    std::string content;  ///< one character
    int64_t start, stop;  ///< at most so many at each end
  };
  using Step = std::variant<ByteLevel, ByteFallback, Fuse, Bpe, WordPiece, Metaspace, Replace, Strip>;
  using Tokens = std::vector<std::string>;

  static Step read(const Link& link);
  static void run(const ByteLevel& step, Tokens& tokens);
  static void run(const ByteFallback& step, Tokens& tokens);
  static void run(const Fuse& step, Tokens& tokens);
  static void run(const Bpe& step, Tokens& tokens);
  static void run(const WordPiece& step, Tokens& tokens);
  static void run(const Metaspace& step, Tokens& tokens);
  static void run(const Replace& step, Tokens& tokens);
  static void run(const Strip& step, Tokens& tokens);

  bool given_ = false;
  std::vector<Step> steps_;
};

}  // namespace unisim
