#pragma once

#include <cstdint>
#include <vector>

#include "fused/block.h"
#include "fused/room.h"

/// The text tower as calls of kernels, over the place.
namespace unisim {

template <class T>
struct FusedTextWeights {
  const T* tokens = nullptr;         ///< [vocabulary, width]
  const float* positions = nullptr;  ///< [context, width]
  std::vector<FusedBlock<T>> blocks;
  FusedNorm norm;
  FusedLinear<T> projection;
};

template <class T>
struct TextRoom {
  int64_t* ids = nullptr;  ///< [items, length]: the input
  int64_t* index =
      nullptr;  ///< [items]: the row that stands for each text; right behind the ids, an input too
  BlockRoom<T> block;
  T* pooled = nullptr;  ///< [items, width]
  T* out = nullptr;     ///< [items, dim]: the output
};

template <class P, class T>
class FusedText {
 public:
  FusedText(const TextConfig& config, FusedTextWeights<T> weights)
      : config_(config), weights_(std::move(weights)) {}

  int64_t dim() const { return config_.projection > 0 ? config_.projection : config_.blocks.width; }

  TextRoom<T> take(Arena& arena, int64_t items, int64_t length) const {
    TextRoom<T> room;
    room.ids = arena.take<int64_t>(items * (length + 1));
    room.index = room.ids ? room.ids + items * length : nullptr;
    room.block = take_block_room<T>(arena, config_.blocks, items, length);
    room.pooled = arena.take<T>(items * config_.blocks.width);
    room.out = arena.take<T>(items * dim());
    return room;
  }

  void embed(P place, const TextRoom<T>& room, int64_t items, int64_t length) const {
    const int64_t width = config_.blocks.width;
    TextTokens<T> t;
    t.ids = room.ids;
    t.table = weights_.tokens;
    t.positions = weights_.positions;
    t.items = items;
    t.length = length;
    t.width = width;
    t.out = room.block.x;
    assemble_text_tokens(place, t);
    const FusedBlocks<P, T> blocks(place, config_.blocks, room.block, items, length);
    for (std::size_t k = 0; k + 1 < weights_.blocks.size(); ++k) blocks.run(weights_.blocks[k]);
    if (weights_.blocks.empty())
      blocks.pick(room.block.x, width, room.index, room.block.row);
    else
      blocks.run_for_rows(weights_.blocks.back(), room.index);
    run_fused_norm<P, T>(place, weights_.norm, packed<const T>(room.block.row, items, width),
                         packed(room.pooled, items, width));
    if (config_.projection > 0)
      run_fused_linear<P, T>(place, weights_.projection, packed<const T>(room.pooled, items, width),
                             packed(room.out, items, config_.projection));
    else
      pool_row(place, Pooling<T>{room.pooled, items, 1, width, packed(room.out, items, width)}, nullptr);
  }

 private:
  TextConfig config_;
  FusedTextWeights<T> weights_;
};

}  // namespace unisim
