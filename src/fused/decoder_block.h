#pragma once

#include <cstdint>

#include "fused/block.h"
#include "models/decoder_config.h"

/// A block of a language model's decoder (Llama, Qwen2) as calls of kernels, over the place: RMSNorm, grouped
/// heads with rotary positions, SwiGLU.
namespace unisim {

template <class T>
struct FusedDecoderBlock {
  FusedNorm norm1;     ///< no shift
  FusedLinear<T> qkv;  ///< [qkv_width, width]: query, key, value
  FusedLinear<T> proj;
  FusedNorm norm2;
  FusedLinear<T> gate_up;  ///< [2 mlp_width, width]: gate first
  FusedLinear<T> down;
};

/// Memory for `rows` rows of tokens, each a buffer of its own.
template <class T>
struct DecoderRoom {
  T* x = nullptr;       ///< [rows, width]
  T* normed = nullptr;  ///< [rows, width]
  T* qkv = nullptr;     ///< [rows, qkv_width]
  T* heads = nullptr;   ///< [rows, inner]
  T* hidden = nullptr;  ///< [rows, 2 mlp_width]
  T* gated = nullptr;   ///< [rows, mlp_width]
};

/// Angles of the rotary positions, [positions, head_width / 2] each.
struct RotaryTables {
  const float* cosine = nullptr;
  const float* sine = nullptr;
};

/// room.x = block(room.x), of items sequences of `tokens` tokens from position 0 on; each token sees those
/// before it.
template <class P, class T>
void run_fused_decoder_block(P place, const DecoderConfig& config, const FusedDecoderBlock<T>& block,
                             const RotaryTables& tables, const DecoderRoom<T>& room, int64_t items,
                             int64_t tokens) {
  const int64_t rows = items * tokens, stride = config.qkv_width(), width = config.head_width;
  const Rows<T> x = packed(room.x, rows, config.width), normed = packed(room.normed, rows, config.width);
  const auto rms = [&](const FusedNorm& norm) {
    NormRows<T> n;
    n.x = x;
    n.weight = norm.weight;
    n.eps = norm.eps;
    n.out = normed;
    rms_norm(place, n);
  };
  rms(block.norm1);
  run_fused_linear<P, T>(place, block.qkv, normed, packed(room.qkv, rows, stride));
  for (const bool keys : {false, true}) {
    Rotary<T> r;
    r.x = {room.qkv + (keys ? config.inner() : 0), tokens * stride, stride, width};
    r.items = items;
    r.tokens = tokens;
    r.heads = keys ? config.kv_heads : config.heads;
    r.head_width = width;
    r.cosine = tables.cosine;
    r.sine = tables.sine;
    rotary(place, r);
  }
  Attention<T> a;
  a.q = {room.qkv, tokens * stride, stride, width};
  a.k = {room.qkv + config.inner(), tokens * stride, stride, width};
  a.v = {room.qkv + config.inner() + config.kv_heads * width, tokens * stride, stride, width};
  a.out = {room.heads, tokens * config.inner(), config.inner(), width};
  a.items = items;
  a.heads = config.heads;
  a.kv_heads = config.kv_heads;
  a.queries = a.keys = tokens;
  a.head_width = width;
  a.scale = head_scale(width);
  a.causal = true;
  attention(place, a);
  run_fused_linear<P, T>(place, block.proj, packed<const T>(room.heads, rows, config.inner()), x, x);
  rms(block.norm2);
  const Rows<T> hidden = packed(room.hidden, rows, 2 * config.mlp_width);
  FusedLinear<T> without_bias = block.gate_up;
  without_bias.bias = nullptr;
  run_fused_linear<P, T>(place, without_bias, normed, hidden);
  const Rows<T> gated = packed(room.gated, rows, config.mlp_width);
  gated_activation(place, Rows<const T>(hidden), block.gate_up.bias, Activation::Silu, gated);
  run_fused_linear<P, T>(place, block.down, gated, x, x);
}

}  // namespace unisim
