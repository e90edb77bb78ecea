#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "fused/block.h"

/// An arena planned from the model and the slice of the batch: one allocation, laid out once.
namespace unisim {

/// Hands out parts of an arena, each at a multiple of 256 bytes; without an arena it only adds up what is
/// asked for.
class Arena {
 public:
  Arena() = default;
  explicit Arena(void* memory) : memory_(static_cast<unsigned char*>(memory)) {}

  template <class U>
  U* take(int64_t count) {
    const std::size_t at = used_;
    used_ += (static_cast<std::size_t>(count) * sizeof(U) + 255) / 256 * 256;
    return memory_ ? reinterpret_cast<U*>(memory_ + at) : nullptr;
  }
  std::size_t used() const { return used_; }

 private:
  unsigned char* memory_ = nullptr;
  std::size_t used_ = 0;
};

template <class T>
BlockRoom<T> take_block_room(Arena& arena, const BlocksConfig& config, int64_t items, int64_t tokens) {
  const int64_t rows = items * tokens, inner = config.heads * config.head_width;
  const bool gated = config.feed_forward == FeedForward::SwiGluPacked;
  BlockRoom<T> room;
  room.x = arena.take<T>(rows * config.width);
  room.normed = arena.take<T>(rows * config.width);
  room.qkv = arena.take<T>(rows * 3 * inner);
  room.heads = arena.take<T>(rows * inner);
  room.hidden = arena.take<T>(rows * config.mlp_width * (gated ? 2 : 1));
  if (gated) room.gated = arena.take<T>(rows * config.mlp_width);
  room.row = arena.take<T>(items * config.width);
  room.row_in = arena.take<T>(items * std::max(inner, config.width));
  return room;
}

}  // namespace unisim
