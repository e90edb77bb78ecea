#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace unisim {

/// The ids of words met before. Bounded: when full it starts anew. For one thread at a time.
class WordCache {
 public:
  static constexpr std::size_t max_words = 1 << 14;
  static constexpr std::size_t max_bytes = 1 << 20;  ///< of all words
  static constexpr std::size_t longest_word = 255;   ///< longer ones seldom come again

  WordCache() : slots_(2 * max_words) {}

  /// The ids of the word, or null data. Valid until the next keep().
  bool find(std::string_view word, std::span<const uint32_t>& ids) const;
  void keep(std::string_view word, std::span<const uint32_t> ids);

 private:
  struct Slot {
    uint64_t hash = 0;
    uint32_t word = 0, bytes = 0;  ///< where the word lies; 0 bytes: empty
    uint32_t first = 0, count = 0;
  };
  std::size_t slot_of(std::string_view word, uint64_t hash) const;

  std::vector<Slot> slots_;
  std::string words_;
  std::vector<uint32_t> ids_;
  std::size_t size_ = 0;
};

}  // namespace unisim
