#pragma once

#include <string>
#include <variant>
#include <vector>

#include "tokenizer_pattern.h"

namespace unisim {

/// The pre-tokeniser of a tokenizer.json: cuts pieces into words, one step after the other.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  PreTokenizer(const Json& json, const Place& place);

  /// Works on the pieces that are no added tokens.
  void apply(Pieces& pieces) const;
  /// Whether the words are left as bytes, since a last step would only write them as GPT-2's characters.
  bool bytes_at_end() const { return bytes_at_end_; }

 private:
  enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
  enum class Prepend { Always, First, Never };
  struct Split {
    Pattern pattern;
    Behavior behavior;
    bool invert;
  };
  struct Metaspace {
    std::string replacement;
    Prepend prepend;
    bool split;
  };
  struct PrefixSpace {};  ///< ByteLevel's add_prefix_space
  struct ByteCharacters {};
  using Step = std::variant<Split, Metaspace, PrefixSpace, ByteCharacters>;

  void read(const Link& link);
  static Behavior behavior_of(const std::string& name, const Place& place);
  static void cut(std::vector<Stretch>& stretches, Behavior behavior);
  static void split(const Split& step, Pieces& pieces, std::vector<Piece>& spare,
                    std::vector<Stretch>& stretches);
  static void metaspace(const Metaspace& step, Pieces& pieces, Pieces& spare);

  std::vector<Step> steps_;
  bool bytes_at_end_ = false;
};

/// The fields of a Metaspace, which is a pre-tokeniser and a decoder.
struct MetaspaceFields {
  std::string replacement;
  std::string prepend_scheme;  ///< "always", "first", "never"
  bool split;
};
MetaspaceFields metaspace_fields(Fields& fields, const Place& place);

}  // namespace unisim
