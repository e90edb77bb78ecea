#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tokenizer_cache.h"
#include "tokenizer_vocabulary.h"

namespace unisim {

/// A merge that may be done: of the symbol at `at` and the one after it.
struct MergeCandidate {
  uint32_t rank;
  uint32_t at;
  uint32_t id;  ///< of the merged token
};

/// What one thread needs while it encodes, kept from text to text.
struct Workspace {
  struct Symbol {
    uint32_t id;
    int32_t previous, next;
    bool alive;
  };
  struct Step {
    double score = 0;
    int64_t from = -1;
    uint32_t id = 0;
  };
  Pieces pieces;
  WordCache cache;
  std::vector<uint32_t> ids;               // of one word
  std::vector<MergeCandidate> candidates;  // BPE
  std::vector<Symbol> symbols;             // BPE, long words
  std::vector<Step> path;                  // Unigram
  std::string key;                         // a token's text while it is looked up
};

/// The token of each byte, "<0x00>" to "<0xFF>"; -1 where the vocabulary has none.
std::array<int32_t, 256> byte_tokens(const Vocabulary& vocabulary);

/// Byte-pair encoding (Sennrich et al. 2016) as the `tokenizers` package runs it.
class Bpe {
 public:
  Bpe(const Json& json, const Place& place);

  /// Appends the word's ids to work.ids. With `as_bytes` the word's bytes stand for GPT-2's characters.
  void encode(std::string_view word, bool as_bytes, Workspace& work) const;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    uint64_t pair;  ///< left id, right id
    uint32_t rank, id;
  };
  void read_vocabulary(const Json& vocab, const Place& place);
  void read_merges(const Json& merges, const Place& place);
  void add_merge(std::string_view left, std::string_view right, uint32_t rank, const Place& place,
                 std::string& merged);
  /// The merge of the pair, or the empty slot where it would lie.
  std::size_t slot_of(uint64_t pair) const {
    const std::size_t mask = merges_.size() - 1;
    const uint64_t mixed = (pair ^ pair >> 29) * 0x9E37'79B9'7F4A'7C15;
    std::size_t at = (mixed >> 32 ^ mixed) & mask;
    while (merges_[at].rank != UINT32_MAX && merges_[at].pair != pair) at = (at + 1) & mask;
    return at;
  }
  const Merge* find_merge(uint32_t left, uint32_t right) const {
    const Merge& merge = merges_[slot_of(uint64_t{left} << 32 | right)];
    return merge.rank == UINT32_MAX ? nullptr : &merge;
  }
  void prepare_bytes();

  void symbols_of_bytes(std::string_view word, Workspace& work) const;
  void symbols_of_text(std::string_view word, Workspace& work) const;
  void add_symbol(std::string_view symbol, Workspace& work, bool& unknown_waits) const;
  void merge_short(Workspace& work) const;
  void merge_long(Workspace& work) const;

  Vocabulary vocabulary_;
  std::vector<Merge> merges_;  // open addressing by pair; rank UINT32_MAX: empty
  std::string prefix_, suffix_;
  std::string unknown_token_;
  bool has_unknown_ = false, fuse_unknown_ = false, byte_fallback_ = false, ignore_merges_ = false;
  int32_t unknown_ = -1;
  std::array<int32_t, 256> bytes_{};
  std::array<int32_t, 256> first_{}, middle_{}, last_{},
      only_{};  // tokens of GPT-2's characters by place in the word
  bool every_byte_known_ = false;
  std::filesystem::path file_;
};

/// The unigram language model (Kudo 2018) as the `tokenizers` package runs it: the best path by Viterbi,
/// unknown characters at the lowest score less 10, neighbouring ones fused.
class Unigram {
 public:
  Unigram(const Json& json, const Place& place);

  void encode(std::string_view word, Workspace& work) const;
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  struct Edge {
    uint64_t key;  ///< node and byte; UINT64_MAX: empty
    uint32_t node;
  };
  uint32_t child(uint32_t node, unsigned char byte) const;  ///< 0 if there is none
  uint32_t make_child(uint32_t node, unsigned char byte);
  void add_to_trie(std::string_view token, uint32_t id);
  void best_path(std::string_view word, Workspace& work) const;
  void append_piece(std::string_view piece, Workspace& work) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  std::vector<Edge> edges_;  // open addressing
  std::size_t edge_count_ = 0;
  std::vector<int32_t> values_;  // of the trie's nodes: an id, or -1
  std::array<uint32_t, 256> roots_{};
  int64_t unknown_ = -1;
  double unknown_score_ = 0;
  bool byte_fallback_ = false;
  std::array<int32_t, 256> bytes_{};
  std::filesystem::path file_;
};

using Model = std::variant<Bpe, Unigram>;

/// The section "model". WordPiece and WordLevel are Unsupported.
Model read_model(const Json& json, const Place& place);

}  // namespace unisim
