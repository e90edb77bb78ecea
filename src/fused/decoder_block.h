#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "fused/block.h"
#include "models/decoder_config.h"
#include "place_copy.h"

/// A block of a language model's decoder (Llama, Qwen2, Qwen3, Phi-3) as calls of kernels, over the place:
/// RMSNorm, grouped heads with rotary positions, SwiGLU. Rows of many prompts stand packed; which keys a row
/// sees is data.
namespace unisim {

template <class T>
struct FusedDecoderBlock {
  FusedNorm norm1;     ///< no shift, as every norm here
  FusedLinear<T> qkv;  ///< [qkv_width, width]: query, key, value
  FusedNorm q_norm, k_norm;
  FusedLinear<T> proj;
  FusedNorm norm2;
  FusedLinear<T> gate_up;  ///< [2 mlp_width, width]: gate first
  FusedLinear<T> down;
};

/// Rows whose hidden layer, the widest of all, is there at once.
inline constexpr int64_t kFeedForwardRows = 1'024;

/// Memory for the rows of a run, each a buffer of its own.
template <class T>
struct DecoderRoom {
  T* x = nullptr;       ///< [rows, width]
  T* normed = nullptr;  ///< [rows, width]
  T* qkv = nullptr;     ///< [rows, qkv_width]
  T* heads = nullptr;   ///< [rows, inner]
  T* hidden = nullptr;  ///< [min(rows, kFeedForwardRows), 2 mlp_width]
  T* gated = nullptr;   ///< [min(rows, kFeedForwardRows), mlp_width]
  T* row = nullptr;     ///< [wanted, width]: of the last block
  T* row_in = nullptr;  ///< [wanted, inner]
};

/// The packed rows of a run.
struct DecoderRows {
  int64_t rows = 0;
  const float* cosine = nullptr;  ///< [rows, head_width / 2]: of the angle of each row's position
  const float* sine = nullptr;
  const PackedQueries* items = nullptr;  ///< their ranges come with each block
  int64_t item_count = 0, most_queries = 0;
  bool aligned_keys = false;        ///< see PackedAttention
  const int64_t* wanted = nullptr;  ///< [wanted_count]: rows that the last block finishes
  int64_t wanted_count = 0;
};

/// Where keys and values of some rows are kept: the numbers of a token side by side, token behind token.
template <class T>
struct KeptKeys {
  T* k = nullptr;  ///< of the first of these rows, head 0
  T* v = nullptr;
  int64_t head = 0;  ///< stride in elements
  int64_t row = 0, rows = 0;
};

template <class P, class T>
class FusedDecoderBlocks {
 public:
  FusedDecoderBlocks(P place, const DecoderConfig& config, const DecoderRoom<T>& room, const DecoderRows& run)
      : place_(place), config_(config), room_(room), run_(run) {}

  /// room.x = block(room.x). `ranges` are those of run.items; keys and values are kept before attention reads
  /// them.
  void run(const FusedDecoderBlock<T>& block, const KeyRange<T>* ranges,
           std::span<const KeptKeys<T>> kept) const {
    attend(block, ranges, kept);
    const Rows<T> x = packed(room_.x, run_.rows, config_.width);
    run_fused_linear<P, T>(place_, block.proj, packed<const T>(room_.heads, run_.rows, config_.inner()), x,
                           x);
    feed_forward(block, x);
  }

  /// room.row = the wanted rows of block(room.x); everything else of the last block is left out.
  void run_for_wanted(const FusedDecoderBlock<T>& block, const KeyRange<T>* ranges,
                      std::span<const KeptKeys<T>> kept) const {
    attend(block, ranges, kept);
    pick(room_.x, config_.width, room_.row);
    pick(room_.heads, config_.inner(), room_.row_in);
    const Rows<T> x = packed(room_.row, run_.wanted_count, config_.width);
    run_fused_linear<P, T>(place_, block.proj,
                           packed<const T>(room_.row_in, run_.wanted_count, config_.inner()), x, x);
    feed_forward(block, x);
  }

  void norm(const FusedNorm& norm, Rows<const T> x, Rows<T> out) const {
    NormRows<T> n;
    n.x = x;
    n.weight = norm.weight;
    n.eps = norm.eps;
    n.out = out;
    rms_norm(place_, n);
  }

 private:
  void pick(const T* x, int64_t width, T* to) const {
    pool_row(place_, Pooling<T>{x, run_.wanted_count, 0, width, packed(to, run_.wanted_count, width)},
             run_.wanted);
  }

  /// q or k: `count` heads from column `first` on, normalised (Qwen3) and rotated in place.
  void turn(const FusedNorm& head_norm, int64_t first, int64_t count) const {
    const int64_t width = config_.head_width, stride = config_.qkv_width();
    T* const data = room_.qkv + first;
    if (head_norm.weight)
      for (int64_t h = 0; h < count; ++h)
        norm(head_norm, Rows<const T>{data + h * width, run_.rows, width, stride},
             Rows<T>{data + h * width, run_.rows, width, stride});
    Rotary<T> r;
    r.x = {data, run_.rows * stride, stride, width};
    r.items = 1;
    r.tokens = run_.rows;
    r.heads = count;
    r.head_width = width;
    r.cosine = run_.cosine;
    r.sine = run_.sine;
    rotary(place_, r);
  }

  void keep(const KeptKeys<T>& kept) const {
    const int64_t width = config_.head_width, stride = config_.qkv_width(), keys = config_.kv_heads * width;
    for (int64_t h = 0; h < config_.kv_heads; ++h) {
      const T* const key = room_.qkv + kept.row * stride + config_.inner() + h * width;
      copy_rows_within(place_, kept.k + h * kept.head, width, key, stride, width, kept.rows);
      copy_rows_within(place_, kept.v + h * kept.head, width, key + keys, stride, width, kept.rows);
    }
  }

  void attend(const FusedDecoderBlock<T>& block, const KeyRange<T>* ranges,
              std::span<const KeptKeys<T>> kept) const {
    const int64_t width = config_.head_width, stride = config_.qkv_width();
    const Rows<T> normed = packed(room_.normed, run_.rows, config_.width);
    norm(block.norm1, packed<const T>(room_.x, run_.rows, config_.width), normed);
    run_fused_linear<P, T>(place_, block.qkv, normed, packed(room_.qkv, run_.rows, stride));
    turn(block.q_norm, 0, config_.heads);
    turn(block.k_norm, config_.inner(), config_.kv_heads);
    for (const KeptKeys<T>& each : kept) keep(each);
    PackedAttention<T> a;
    a.q = {room_.qkv, 0, stride, width};
    a.out = {room_.heads, 0, config_.inner(), width};
    a.ranges = ranges;
    a.items = run_.items;
    a.item_count = run_.item_count;
    a.most_queries = run_.most_queries;
    a.heads = config_.heads;
    a.kv_heads = config_.kv_heads;
    a.head_width = width;
    a.scale = head_scale(width);
    a.aligned_keys = run_.aligned_keys;
    packed_attention(place_, a);
  }

  /// x += feed_forward(norm2 x).
  void feed_forward(const FusedDecoderBlock<T>& block, Rows<T> x) const {
    FusedLinear<T> without_bias = block.gate_up;  // it is added where the halves meet
    without_bias.bias = nullptr;
    for (int64_t first = 0; first < x.rows; first += kFeedForwardRows) {
      const Rows<T> part = packed(x.row(first), std::min(kFeedForwardRows, x.rows - first), x.width);
      const Rows<T> normed = packed(room_.normed, part.rows, x.width);
      norm(block.norm2, part, normed);
      const Rows<T> hidden = packed(room_.hidden, part.rows, 2 * config_.mlp_width);
      run_fused_linear<P, T>(place_, without_bias, normed, hidden);
      const Rows<T> gated = packed(room_.gated, part.rows, config_.mlp_width);
      gated_activation(place_, Rows<const T>(hidden), block.gate_up.bias, Activation::Silu, gated);
      run_fused_linear<P, T>(place_, block.down, gated, part, part);
    }
  }

  P place_;
  const DecoderConfig& config_;
  const DecoderRoom<T>& room_;
  const DecoderRows& run_;
};

}  // namespace unisim
