#pragma once

#include <unisim/export.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unisim {

/// A tokenizer.json, read natively: BPE (CLIP's, byte-level, with byte fallback) and Unigram, with the normalisers,
/// pre-tokenisers, added tokens, post-processors and decoders that these need. Ids equal those of the `tokenizers`
/// package. A part that we do not know is Unsupported, by name: never passed over.
class UNISIM_API Tokenizer {
 public:
  /// A tokenizer.json, or a folder that holds one.
  /// Throws filesystem_error, DataError or Unsupported, naming the file and the key. Without own_lengths the file's
  /// truncation and padding are left out: they are those of whoever saved it, and a model may have its own.
  static Tokenizer load(const std::filesystem::path& folder_or_file, bool own_lengths = true);

  /// Ids of the text, with the post-processor's special tokens if asked; truncation and padding as the file says.
  /// Invalid UTF-8 becomes U+FFFD as Python's errors="replace" makes it; texts over 1 MiB are refused.
  std::vector<int64_t> encode(std::string_view text, bool add_special_tokens = true) const;

  /// Each text as encode() does it, padded to the longest where the file asks for that.
  std::vector<std::vector<int64_t>> encode_batch(std::span<const std::string> texts,
                                                 bool add_special_tokens = true) const;

  /// The text of the ids, as the file's decoder has it. An id outside the vocabulary is skipped.
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens = true) const;

  int64_t vocab_size() const;                                ///< with added tokens
  std::optional<int64_t> token_id(std::string_view token) const;
  std::optional<std::string> token(int64_t id) const;

  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const State& state() const { return *state_; }  ///< what the library's own code asks

 private:
  std::shared_ptr<const State> state_;
};

}  // namespace unisim
