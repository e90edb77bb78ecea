#pragma once

#include <cmath>
#include <cstdint>

#include "kernels.h"
#include "models/config.h"

/// Transformer blocks as calls of kernels, written once over the place: what a test runs on the CPU or the
/// emulated device is the very sequence of calls that a GPU gets. Nothing is allocated: BlockRoom says what
/// is needed.
namespace unisim {

template <class T>
struct FusedLinear {
  Rows<const T> weight;     ///< [out, in]
  const T* bias = nullptr;  ///< [out], or null: none
  bool batch_invariant = false;

  /// The product with rows a, to be completed.
  Product<T> of(Rows<const T> a, Rows<T> out) const {
    Product<T> p;
    p.a = a;
    p.weight = weight;
    p.bias = bias;
    p.out = out;
    p.batch_invariant = batch_invariant;
    return p;
  }
  /// Rows first to last - 1 of the weight, as a product of its own.
  FusedLinear part(int64_t first, int64_t last) const {
    return {{weight.row(first), last - first, weight.width, weight.stride},
            bias ? bias + first : nullptr,
            batch_invariant};
  }
};

struct FusedNorm {
  const float* weight = nullptr;  ///< null: there is no norm
  const float* shift = nullptr;
  float eps = 0;
};

/// LayerScale is folded into proj and fc2.
template <class T>
struct FusedBlock {
  FusedNorm norm1;
  FusedLinear<T> qkv;
  FusedNorm q_norm, k_norm;
  FusedLinear<T> proj;
  FusedNorm norm2;
  FusedLinear<T> fc1, fc2;
};

/// Memory that blocks compute in, for up to `rows` rows of tokens. Each a buffer of its own.
template <class T>
struct BlockRoom {
  T* x = nullptr;       ///< [rows, width]: the residual stream
  T* normed = nullptr;  ///< [rows, width]
  T* qkv = nullptr;     ///< [rows, 3 heads head_width]
  T* heads = nullptr;   ///< [rows, heads head_width]
  T* hidden = nullptr;  ///< [rows, mlp_width], twice that where gated
  T* gated = nullptr;   ///< [rows, mlp_width], where gated
  T* row = nullptr;     ///< [items, width]: the residual of pooled rows
  T* row_in = nullptr;  ///< [items, max(width, heads head_width)]
};

inline float head_scale(int64_t head_width) { return 1.0f / std::sqrt(static_cast<float>(head_width)); }

template <class T>
Rows<T> packed(T* data, int64_t rows, int64_t width) {
  return {data, rows, width, width};
}

template <class P, class T>
void run_fused_norm(P place, const FusedNorm& norm, Rows<const T> x, Rows<T> out) {
  NormRows<T> n;
  n.x = x;
  n.weight = norm.weight;
  n.shift = norm.shift;
  n.eps = norm.eps;
  n.out = out;
  layer_norm(place, n);
}

template <class P, class T>
void run_fused_linear(P place, const FusedLinear<T>& linear, Rows<const T> a, Rows<T> out,
                      Rows<const T> residual = {}) {
  Product<T> p = linear.of(a, out);
  p.residual = residual;
  product(place, p);
}

template <class P, class T>
void run_fused_activated(P place, const FusedLinear<T>& linear, Activation activation, Rows<const T> a,
                         Rows<T> out) {
  Product<T> p = linear.of(a, out);
  p.activate = true;
  p.activation = activation;
  product(place, p);
}

template <class P, class T>
class FusedBlocks {
 public:
  FusedBlocks(P place, const BlocksConfig& config, const BlockRoom<T>& room, int64_t items, int64_t tokens)
      : place_(place), config_(config), room_(room), items_(items), tokens_(tokens), rows_(items * tokens) {}

  /// room.x = block(room.x).
  void run(const FusedBlock<T>& block) const {
    attend_all(block);
    run_fused_linear<P, T>(place_, block.proj, heads(rows_), stream(), stream());
    feed_forward(block, stream());
  }

  /// room.row = the rows of block(room.x) that `index` names, one an item (null: the first of each):
  /// everything else of the last block is left out.
  void run_for_rows(const FusedBlock<T>& block, const int64_t* index) const {
    const Rows<T> row = packed(room_.row, items_, config_.width);
    if (config_.causal) {  // a query at any place sees what lies before it: attention as a whole, the rest
                           // for the rows
      attend_all(block);
      pick(room_.heads, inner(), index, room_.row_in);
    } else {
      attend_rows(block, index);
    }
    pick(room_.x, config_.width, index, room_.row);
    run_fused_linear<P, T>(place_, block.proj, packed<const T>(room_.row_in, items_, inner()), row,
                           row_const());
    feed_forward(block, row);
  }

  /// row_out[i] = the row of item i that index names (null: the first) of x [items, tokens, width].
  void pick(const T* x, int64_t width, const int64_t* index, T* row_out) const {
    pool_row(place_, Pooling<T>{x, items_, tokens_, width, packed(row_out, items_, width)}, index);
  }

 private:
  int64_t inner() const { return config_.heads * config_.head_width; }
  Rows<T> stream() const { return packed(room_.x, rows_, config_.width); }
  Rows<const T> heads(int64_t rows) const { return packed<const T>(room_.heads, rows, inner()); }
  Rows<const T> row_const() const { return packed<const T>(room_.row, items_, config_.width); }

  void norm(const FusedNorm& norm, Rows<const T> x) const {
    run_fused_norm<P, T>(place_, norm, x, packed(room_.normed, x.rows, x.width));
  }

  /// The norm of each head's rows, `count` heads from column `first` of rows that are `stride` apart, in
  /// place.
  void norm_heads(const FusedNorm& norm, T* data, int64_t rows, int64_t stride, int64_t first) const {
    if (!norm.weight) return;
    for (int64_t h = 0; h < config_.heads; ++h) {
      T* at = data + first + h * config_.head_width;
      run_fused_norm<P, T>(place_, norm, Rows<const T>{at, rows, config_.head_width, stride},
                           Rows<T>{at, rows, config_.head_width, stride});
    }
  }

  void attend_all(const FusedBlock<T>& block) const {
    norm(block.norm1, packed<const T>(room_.x, rows_, config_.width));
    run_fused_linear<P, T>(place_, block.qkv, packed<const T>(room_.normed, rows_, config_.width),
                           packed(room_.qkv, rows_, 3 * inner()));
    norm_heads(block.q_norm, room_.qkv, rows_, 3 * inner(), 0);
    norm_heads(block.k_norm, room_.qkv, rows_, 3 * inner(), inner());
    attend(room_.qkv, 3 * inner(), tokens_, room_.qkv + inner(), 3 * inner(), room_.heads);
  }

  /// Keys and values of all tokens, the query of one row an item; the heads go to row_in.
  void attend_rows(const FusedBlock<T>& block, const int64_t* index) const {
    norm(block.norm1, packed<const T>(room_.x, rows_, config_.width));
    run_fused_linear<P, T>(place_, block.qkv.part(inner(), 3 * inner()),
                           packed<const T>(room_.normed, rows_, config_.width),
                           packed(room_.qkv, rows_, 2 * inner()));
    norm_heads(block.k_norm, room_.qkv, rows_, 2 * inner(), 0);
    pick(room_.normed, config_.width, index, room_.row);
    T* query = room_.heads;  // free until now: queries of the rows
    run_fused_linear<P, T>(place_, block.qkv.part(0, inner()), row_const(), packed(query, items_, inner()));
    norm_heads(block.q_norm, query, items_, inner(), 0);
    attend(query, inner(), 1, room_.qkv, 2 * inner(), room_.row_in);
  }

  /// Keys lie at `keys`, values `inner` further; a query's heads side by side, as the results.
  void attend(const T* q, int64_t q_stride, int64_t queries, const T* keys, int64_t key_stride,
              T* out) const {
    Attention<T> a;
    a.q = {q, queries * q_stride, q_stride, config_.head_width};
    a.k = {keys, tokens_ * key_stride, key_stride, config_.head_width};
    a.v = {keys + inner(), tokens_ * key_stride, key_stride, config_.head_width};
    a.out = {out, queries * inner(), inner(), config_.head_width};
    a.items = items_;
    a.heads = a.kv_heads = config_.heads;
    a.queries = queries;
    a.keys = tokens_;
    a.head_width = config_.head_width;
    a.scale = head_scale(config_.head_width);
    a.causal = config_.causal;
    attention(place_, a);
  }

  /// x += feed_forward(norm2 x).
  void feed_forward(const FusedBlock<T>& block, Rows<T> x) const {
    norm(block.norm2, x);
    const Rows<const T> normed = packed<const T>(room_.normed, x.rows, x.width);
    Rows<const T> hidden = packed<const T>(room_.hidden, x.rows, config_.mlp_width);
    if (config_.feed_forward == FeedForward::SwiGluPacked) {
      const Rows<T> both = packed(room_.hidden, x.rows, 2 * config_.mlp_width);
      FusedLinear<T> without_bias = block.fc1;
      without_bias.bias = nullptr;
      run_fused_linear<P, T>(place_, without_bias, normed, both);
      hidden = packed<const T>(room_.gated, x.rows, config_.mlp_width);
      gated_activation(place_, Rows<const T>(both), block.fc1.bias, Activation::Silu,
                       packed(room_.gated, x.rows, config_.mlp_width));
    } else {
      run_fused_activated<P, T>(place_, block.fc1, config_.activation, normed,
                                packed(room_.hidden, x.rows, config_.mlp_width));
    }
    run_fused_linear<P, T>(place_, block.fc2, hidden, x, x);
  }

  P place_;
  const BlocksConfig& config_;
  const BlockRoom<T>& room_;
  int64_t items_, tokens_, rows_;
};

}  // namespace unisim
