#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/decoder.h"

/// What a vision-language model finds again: rows of pictures, by content, and keys and values of prompts. Both bounded in
/// bytes; what was used longest ago goes first.
namespace unisim {

class KeptFeatures {
 public:
  explicit KeptFeatures(int64_t most_bytes) : most_bytes_(most_bytes) {}

  std::optional<Tensor> find(const std::string& content);
  void put(const std::string& content, const Tensor& rows);

 private:
  struct Entry {
    std::string content;
    Tensor rows;
  };
  int64_t most_bytes_, bytes_ = 0;
  std::list<Entry> entries_;  // the latest first
};

/// A prompt row by row: an id, or what stands for a row of a picture of some content.
using PromptKey = std::vector<int64_t>;

/// Rows that two prompts begin with alike.
int64_t common_rows(std::span<const int64_t> a, std::span<const int64_t> b);

class KeptPrefixes {
 public:
  explicit KeptPrefixes(int64_t most_bytes) : most_bytes_(most_bytes) {}

  struct Entry {
    PromptKey key;
    KeysValues rows;
  };
  /// The entry that shares most rows with the prompt, or null; `long_factors` must be the same. It stays valid while held.
  std::shared_ptr<Entry> find(std::span<const int64_t> prompt, bool long_factors);
  /// The entry of just this key, or null.
  std::shared_ptr<Entry> get(std::span<const int64_t> key, bool long_factors);
  /// Whether so many bytes may be kept at all.
  bool takes(int64_t bytes) const { return bytes <= most_bytes_; }
  /// In place of what is kept under the same key. Nothing is kept of what takes() refuses.
  void put(PromptKey key, KeysValues rows);

 private:
  using Entries = std::list<std::shared_ptr<Entry>>;
  std::shared_ptr<Entry> used(Entries::iterator entry);
  void shrink();

  int64_t most_bytes_;
  Entries entries_;  // the latest first
};

}  // namespace unisim
