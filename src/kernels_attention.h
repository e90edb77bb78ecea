#pragma once

#include <cstdint>

#include "half.h"
#include "place.h"
#include "views.h"

/// The kernels of attention. kernels.h says what holds for all.
namespace unisim {

/// [item, token, head, head_width] somewhere in memory: strides in elements, the numbers of a head side by
/// side.
template <class T>
struct HeadRows {
  T* data = nullptr;
  int64_t item = 0, token = 0, head = 0;

  constexpr T* at(int64_t i, int64_t t, int64_t h) const { return data + i * item + t * token + h * head; }
};

/// out = softmax(scale q k^T) v, head by head; each group of heads / kv_heads query heads shares a key and
/// value head. head_width 64, 72, 80, 96 and 128 run on tensor cores in bf16 and f16; any multiple of 8 up to
/// 128 is served.
template <class T>
struct Attention {
  HeadRows<const T> q, k, v;
  HeadRows<T> out;
  int64_t items = 0, heads = 0, kv_heads = 0;
  int64_t queries = 0, keys = 0;  ///< tokens; queries <= keys where causal
  int64_t head_width = 0;
  float scale = 1;      ///< above 0; keys at least 1
  bool causal = false;  ///< query i sees keys 0 to keys - queries + i
};
template <class T>
void attention(Cpu, const Attention<T>& a);
template <class T>
void attention(Cuda, const Attention<T>& a);

/// Keys and values in one row of memory: those of token t and head h begin at t * token + h * head.
template <class T>
struct KeyRange {
  const T* k = nullptr;
  const T* v = nullptr;
  int64_t token = 0, head = 0;  ///< strides in elements, of both
  int64_t count = 0;            ///< tokens, at least 1
};

/// Neighbouring queries that see the same ranges, one range after the other.
struct PackedQueries {
  int64_t first = 0, count = 0;   ///< rows of q and out
  int64_t range = 0, ranges = 0;  ///< of the list of ranges; at least one
};

/// attention of items of different lengths, packed: out = softmax(scale q k^T) v over the keys of an item's
/// ranges in turn. Causal: the last range ends with the keys of the item's own rows, and query i of n sees
/// all keys but the last n - 1 - i of that range, which has n at least. What several items see (a kept
/// prefix, a prompt before its answers) is a range of each, never a copy.
template <class T>
struct PackedAttention {
  HeadRows<const T> q;                       ///< [rows, heads, head_width]: `item` is not used
  HeadRows<T> out;                           ///< as q
  const KeyRange<T>* ranges = nullptr;       ///< on Cuda the device's
  const PackedQueries* items = nullptr;      ///< on Cuda the device's
  int64_t item_count = 0, most_queries = 0;  ///< most_queries: of any item
  int64_t heads = 0, kv_heads = 0, head_width = 0;
  float scale = 1;            ///< above 0
  bool aligned_keys = false;  ///< k, v and the strides of all ranges are multiples of 16 bytes
};
template <class T>
void packed_attention(Cpu, const PackedAttention<T>& a);
template <class T>
void packed_attention(Cuda, const PackedAttention<T>& a);

/// Rotates pairs (k, k + head_width / 2) of every head in place by the angle of the token's position:
/// x' = x cos - y sin, y' = y cos + x sin (Su et al. 2021, in the half-split order of Llama and Qwen).
template <class T>
struct Rotary {
  HeadRows<T> x;
  int64_t items = 0, tokens = 0, heads = 0, head_width = 0;
  const float* cosine = nullptr;  ///< [positions, head_width / 2]
  const float* sine = nullptr;
  int64_t first = 0;  ///< position of token 0
};
template <class T>
void rotary(Cpu, const Rotary<T>& r);
template <class T>
void rotary(Cuda, const Rotary<T>& r);

}  // namespace unisim
