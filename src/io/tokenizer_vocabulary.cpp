#include "tokenizer_vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace unisim {

uint64_t hash_of(std::string_view bytes) {
  uint64_t hash = 0x9E37'79B9'7F4A'7C15 ^ bytes.size();
  const auto mix = [&](uint64_t word) {
    hash = (hash ^ word) * 0xD6E8'FEB8'6659'FD93;
    hash ^= hash >> 32;
  };
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    mix(word);
  }
  uint64_t word = 0;
  if (left > 0) std::memcpy(&word, at, left);
  mix(word);
  return hash * 0xD6E8'FEB8'6659'FD93 >> 16;
}

void Vocabulary::reserve(std::size_t tokens, std::size_t bytes) {
  bytes_.reserve(bytes);
  tokens_.reserve(tokens);
  grow(std::bit_ceil(2 * tokens + 2));
}

std::size_t Vocabulary::slot_of(std::string_view token) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash_of(token) & mask;
  while (slots_[slot] != 0 && this->token(slots_[slot] - 1) != token) slot = (slot + 1) & mask;
  return slot;
}

void Vocabulary::grow(std::size_t slots) {
  const std::vector<uint32_t> before = std::move(slots_);
  slots_.assign(std::max<std::size_t>(slots, 16), 0);
  for (const uint32_t held : before)
    if (held != 0) slots_[slot_of(token(held - 1))] = held;
}

void Vocabulary::add(std::string_view token, uint32_t id) {
  if (slots_.size() < 2 * (size_ + 1)) grow(std::bit_ceil(4 * size_ + 4));
  if (id >= tokens_.size()) tokens_.resize(id + 1);
  tokens_[id] = {size32(bytes_), size32(token), true};
  bytes_ += token;
  uint32_t& slot = slots_[slot_of(token)];
  if (slot == 0) ++size_;
  slot = id + 1;
}

int32_t Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return -1;
  return static_cast<int32_t>(slots_[slot_of(token)]) - 1;
}

std::string_view Vocabulary::token(int64_t id) const {
  const Entry& entry = tokens_[static_cast<std::size_t>(id)];
  return std::string_view(bytes_).substr(entry.begin, entry.bytes);
}

}  // namespace unisim
