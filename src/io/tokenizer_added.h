#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tokenizer_normalize.h"
#include "tokenizer_part.h"
#include "tokenizer_vocabulary.h"

namespace unisim {

struct AddedToken {
  std::string content;
  /// What is looked for in normalised text and what the decoder gets: the content, normalised if
  /// `normalized`.
  std::string pattern;
  bool single_word = false, lstrip = false, rstrip = false, normalized = true, special = false;
};

/// Many plain strings looked for at once: at each place the longest of them.
class StringSet {
 public:
  void add(std::string_view text, int32_t value);
  bool empty() const { return nodes_.size() < 2; }
  /// Bytes and value of the longest string at `at`, or 0 bytes.
  std::size_t longest(std::string_view text, std::size_t at, int32_t& value) const;
  /// The first place from `at` on where a string may begin.
  std::size_t candidate(std::string_view text, std::size_t at) const;

 private:
  struct Node {
    int32_t value = -1;
    std::map<unsigned char, uint32_t> next;
  };
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<bool, 256> first_{};
};

/// The section "added_tokens": tokens that are cut out of the text before the model sees it.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// Ids must be those that the `tokenizers` package gives: the model's own id of the same token, else
  /// counting on from the size of the model's vocabulary. Anything else is a DataError.
  AddedTokens(const Json& list, const Place& place, const Vocabulary& model, const Normalizer& normalizer);

  /// Cuts the valid text into pieces: tokens that are not normalised first, then, each rest normalised, the
  /// others. Only tokens that lie wholly in one of the ranges, which are in order and do not touch, count.
  void extract(std::string_view text, std::span<const ByteRange> ranges, const Normalizer& normalizer,
               Pieces& to) const;

  const AddedToken* find(int64_t id) const;
  int32_t find(std::string_view content) const;  ///< -1 if there is none
  bool is_special(std::string_view token) const { return special_.count(std::string(token)) != 0; }
  const std::unordered_map<int64_t, AddedToken>& by_id() const { return by_id_; }

 private:
  void read(const Json& entry, const Place& place, const Vocabulary& model, const Normalizer& normalizer,
            int64_t& next_id);
  /// Matches in the ranges as pieces with their ids, the rests between them with -1.
  void split(std::string_view text, std::span<const ByteRange> ranges, const StringSet& set, uint32_t head,
             std::vector<Piece>& to) const;

  std::unordered_map<int64_t, AddedToken> by_id_;
  std::unordered_map<std::string, int64_t> ids_;
  std::unordered_set<std::string> special_;
  StringSet plain_, normalized_;
};

}  // namespace unisim
