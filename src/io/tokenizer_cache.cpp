#include "tokenizer_cache.h"

#include <algorithm>

#include "tokenizer_vocabulary.h"

namespace unisim {

std::size_t WordCache::slot_of(std::string_view word, uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].bytes != 0 && (slots_[at].hash != hash || std::string_view(words_).substr(
                                                                  slots_[at].word, slots_[at].bytes) != word))
    at = (at + 1) & mask;
  return at;
}

bool WordCache::find(std::string_view word, std::span<const uint32_t>& ids) const {
  if (word.empty() || word.size() > longest_word) return false;
  const Slot& slot = slots_[slot_of(word, hash_of(word))];
  if (slot.bytes == 0) return false;
  ids = std::span(ids_).subspan(slot.first, slot.count);
  return true;
}

void WordCache::keep(std::string_view word, std::span<const uint32_t> ids) {
  if (word.empty() || word.size() > longest_word) return;
  if (size_ == max_words || words_.size() + word.size() > max_bytes) {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    words_.clear();
    ids_.clear();
    size_ = 0;
  }
  const uint64_t hash = hash_of(word);
  Slot& slot = slots_[slot_of(word, hash)];
  if (slot.bytes != 0) return;
  slot = {hash, static_cast<uint32_t>(words_.size()), static_cast<uint32_t>(word.size()),
          static_cast<uint32_t>(ids_.size()), static_cast<uint32_t>(ids.size())};
  words_ += word;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  ++size_;
}

}  // namespace unisim
