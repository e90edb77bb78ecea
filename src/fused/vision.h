#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fused/block.h"
#include "fused/room.h"

/// The image tower as calls of kernels, over the place.
namespace unisim {

/// A learned probe attends to the tokens; its query, the same for every picture, is computed when the tower
/// is loaded.
template <class T>
struct FusedAttentionPool {
  const T* query = nullptr;  ///< [width]
  FusedLinear<T> kv;         ///< [2 width, width]
  FusedNorm k_norm;
  FusedLinear<T> proj;
  FusedNorm norm;
  FusedLinear<T> fc1, fc2;
};

template <class T>
struct FusedVisionWeights {
  FusedLinear<T> patch;
  const T* class_token = nullptr;
  const T* registers = nullptr;
  const float* positions = nullptr;  ///< [tokens, width], for the pictures of `height` x `width`
  int64_t height = 0, width = 0;     ///< of the pictures
  FusedNorm norm_pre;
  std::vector<FusedBlock<T>> blocks;
  FusedNorm norm;
  FusedAttentionPool<T> pool;
  FusedLinear<T> projection;
};

template <class T>
struct VisionRoom {
  float* pixels = nullptr;  ///< [items, channels, height, width]: the input
  T* rows = nullptr;        ///< [items * patches, row_stride]
  T* patches = nullptr;     ///< [items * patches, width]
  BlockRoom<T> block;
  T* pooled = nullptr;  ///< [items, width]
  T* out = nullptr;     ///< [items, dim]: the output
};

template <class P, class T>
class FusedVision {
 public:
  FusedVision(const VisionConfig& config, FusedVisionWeights<T> weights)
      : config_(config), weights_(std::move(weights)) {}

  const FusedVisionWeights<T>& weights() const { return weights_; }
  int64_t dim() const { return config_.projection > 0 ? config_.projection : config_.blocks.width; }
  int64_t width() const { return config_.blocks.width; }
  int64_t patches() const {
    return (weights_.height / config_.patch_height) * (weights_.width / config_.patch_width);
  }
  int64_t tokens() const { return (config_.class_token ? 1 : 0) + config_.registers + patches(); }
  int64_t pixels() const { return config_.channels * weights_.height * weights_.width; }

  VisionRoom<T> take(Arena& arena, int64_t items) const {
    VisionRoom<T> room;
    room.pixels = arena.take<float>(items * pixels());
    room.rows = arena.take<T>(items * patches() * row_stride());
    room.patches = arena.take<T>(items * patches() * config_.blocks.width);
    room.block = take_block_room<T>(arena, config_.blocks, items, tokens());
    if (config_.pool == VisionPool::Attention) widen_for_pool(arena, room, items);
    room.pooled = arena.take<T>(items * config_.blocks.width);
    room.out = arena.take<T>(items * dim());
    return room;
  }

  /// room.out = the model's own rows of room.pixels.
  void embed(P place, const VisionRoom<T>& room, int64_t items) const {
    const FusedBlocks<P, T> blocks(place, config_.blocks, room.block, items, tokens());
    begin(place, room, items);
    const bool one_row = config_.pool == VisionPool::Cls && !weights_.blocks.empty();
    const std::size_t whole = weights_.blocks.size() - (one_row ? 1 : 0);
    for (std::size_t k = 0; k < whole; ++k) blocks.run(weights_.blocks[k]);
    if (one_row) blocks.run_for_rows(weights_.blocks.back(), nullptr);
    finish(place, room, items, one_row);
  }

  /// room.block.x = hidden state k, [items, tokens, width].
  void hidden(P place, const VisionRoom<T>& room, int64_t items, int64_t k) const {
    const FusedBlocks<P, T> blocks(place, config_.blocks, room.block, items, tokens());
    begin(place, room, items);
    for (int64_t i = 0; i < k; ++i) blocks.run(weights_.blocks[static_cast<std::size_t>(i)]);
  }

 private:
  int64_t row_width() const { return config_.channels * config_.patch_height * config_.patch_width; }
  int64_t row_stride() const {
    return weights_.patch.weight.stride;
  }  // of 16 bytes, so that vectors are whole

  /// The pool's feed-forward may be wider than the blocks'.
  void widen_for_pool(Arena& arena, VisionRoom<T>& room, int64_t items) const {
    if (config_.attention_pool->mlp_width > config_.blocks.mlp_width * tokens())
      room.block.hidden = arena.take<T>(items * config_.attention_pool->mlp_width);
  }

  void begin(P place, const VisionRoom<T>& room, int64_t items) const {
    const int64_t width = config_.blocks.width, count = items * patches();
    Patches p;
    p.items = items;
    p.height = p.crop_height = weights_.height;
    p.width = p.crop_width = weights_.width;
    p.patch_height = config_.patch_height;
    p.patch_width = config_.patch_width;
    patchify(place, static_cast<const float*>(room.pixels), config_.channels, p,
             Rows<T>{room.rows, count, row_width(), row_stride()});
    run_fused_linear<P, T>(place, weights_.patch, {room.rows, count, row_width(), row_stride()},
                           packed(room.patches, count, width));
    ImageTokens<T> t;
    t.patches = room.patches;
    t.class_token = weights_.class_token;
    t.registers = weights_.registers;
    t.positions = weights_.positions;
    t.items = items;
    t.patch_count = patches();
    t.register_count = config_.registers;
    t.width = width;
    t.out = room.block.x;
    assemble_image_tokens(place, t);
    const int64_t rows = items * tokens();
    if (weights_.norm_pre.weight)
      run_fused_norm<P, T>(place, weights_.norm_pre, packed<const T>(room.block.x, rows, width),
                           packed(room.block.x, rows, width));
  }

  void finish(P place, const VisionRoom<T>& room, int64_t items, bool one_row) const {
    const int64_t width = config_.blocks.width, rows = items * tokens();
    const T* tokens_now = room.block.x;
    if (config_.final_norm && !one_row && config_.pool != VisionPool::Cls) {
      run_fused_norm<P, T>(place, weights_.norm, packed<const T>(room.block.x, rows, width),
                           packed(room.block.normed, rows, width));
      tokens_now = room.block.normed;
    }
    const Rows<T> pooled = packed(room.pooled, items, width);
    const T* row = pool(place, room, items, one_row, tokens_now);
    if ((config_.final_norm && config_.pool == VisionPool::Cls) || config_.pool_norm) {
      run_fused_norm<P, T>(place, weights_.norm, packed<const T>(row, items, width), pooled);
      row = room.pooled;
    }
    project(place, room, items, row);
  }

  /// The row that stands for each picture.
  const T* pool(P place, const VisionRoom<T>& room, int64_t items, bool one_row, const T* tokens_now) const {
    const int64_t width = config_.blocks.width;
    const int64_t prefix = (config_.class_token ? 1 : 0) + config_.registers;
    const Pooling<T> pooling{tokens_now, items, tokens(), width, packed(room.pooled, items, width)};
    switch (config_.pool) {
      case VisionPool::Cls:
        if (one_row) return room.block.row;
        pool_row(place, pooling, nullptr);
        break;
      case VisionPool::Mean:
        pool_mean(place, pooling, prefix);
        break;
      case VisionPool::MeanAll:
        pool_mean(place, pooling, 0);
        break;
      case VisionPool::Attention:
        attend(place, room, items, tokens_now, config_.attention_pool->prefix_tokens ? 0 : prefix);
        return room.block.row;
    }
    return room.pooled;
  }

  void attend(P place, const VisionRoom<T>& room, int64_t items, const T* tokens_now, int64_t first) const {
    const AttentionPoolConfig& config = *config_.attention_pool;
    const FusedAttentionPool<T>& pool = weights_.pool;
    const int64_t width = config_.blocks.width, count = tokens(), head_width = width / config.heads;
    const Rows<T> kv = packed(room.block.qkv, items * count, 2 * width);
    run_fused_linear<P, T>(place, pool.kv, packed<const T>(tokens_now, items * count, width), kv);
    for (int64_t h = 0; pool.k_norm.weight && h < config.heads; ++h)
      run_fused_norm<P, T>(place, pool.k_norm, {kv.data + h * head_width, kv.rows, head_width, kv.stride},
                           {kv.data + h * head_width, kv.rows, head_width, kv.stride});
    Attention<T> a;
    a.q = {pool.query, 0, 0, head_width};
    a.k = {kv.data + first * kv.stride, count * kv.stride, kv.stride, head_width};
    a.v = {a.k.data + width, a.k.item, a.k.token, head_width};
    a.out = {room.block.row_in, width, width, head_width};
    a.items = items;
    a.heads = a.kv_heads = config.heads;
    a.queries = 1;
    a.keys = count - first;
    a.head_width = head_width;
    a.scale = head_scale(head_width);
    attention(place, a);
    const Rows<T> row = packed(room.block.row, items, width), in = packed(room.block.row_in, items, width);
    run_fused_linear<P, T>(place, pool.proj, in, row);
    run_fused_norm<P, T>(place, pool.norm, row, in);
    run_fused_activated<P, T>(place, pool.fc1, config.activation, in,
                              packed(room.block.hidden, items, config.mlp_width));
    run_fused_linear<P, T>(place, pool.fc2, packed<const T>(room.block.hidden, items, config.mlp_width), row,
                           row);
  }

  void project(P place, const VisionRoom<T>& room, int64_t items, const T* row) const {
    const int64_t width = config_.blocks.width;
    if (config_.projection > 0)
      run_fused_linear<P, T>(place, weights_.projection, packed<const T>(row, items, width),
                             packed(room.out, items, config_.projection));
    else
      pool_row(place, Pooling<T>{row, items, 1, width, packed(room.out, items, width)}, nullptr);
  }

  VisionConfig config_;
  FusedVisionWeights<T> weights_;
};

}  // namespace unisim
