#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer_part.h"

namespace unisim {

/// A hash of a few bytes, for tables whose worst case does no harm.
uint64_t hash_of(std::string_view bytes);

/// Tokens by id and ids by token. The bytes of all tokens lie in one string.
class Vocabulary {
 public:
  static constexpr int64_t max_id = (int64_t{1} << 22) - 1;

  /// Makes room; later ones fit too, slower.
  void reserve(std::size_t tokens, std::size_t bytes);
  /// A token under a new id. If the token is there already, `find` tells the new id from now on.
  void add(std::string_view token, uint32_t id);

  int32_t find(std::string_view token) const;  ///< -1 if there is none
  bool has(int64_t id) const {
    return id >= 0 && id < static_cast<int64_t>(tokens_.size()) &&
           tokens_[static_cast<std::size_t>(id)].present;
  }
  std::string_view token(int64_t id) const;   ///< of an id that is there
  std::size_t size() const { return size_; }  ///< distinct tokens

 private:
  struct Entry {
    uint32_t begin = 0, bytes = 0;
    bool present = false;
  };
  std::size_t slot_of(std::string_view token) const;
  void grow(std::size_t slots);

  std::string bytes_;
  std::vector<Entry> tokens_;    // by id
  std::vector<uint32_t> slots_;  // id + 1, or 0: open addressing, at most half full
  std::size_t size_ = 0;
};

}  // namespace unisim
