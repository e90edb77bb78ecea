#pragma once

#include <bit>
#include <cstdint>

#include "device.cuh"
#include "kernels.h"
#include "views.h"

/// What the attention kernels share: which rows a block works on, and how rows come to shared memory.
namespace unisim {

/// The number of keys that a query sees, at least one: they are keys 0 to that - 1. Asked of a query that is
/// not there, the number that the last one sees or more, never more than there are.
template <class T>
__device__ inline unsigned keys_seen(const Attention<T>& a, unsigned query) {
  const auto keys = static_cast<unsigned>(a.keys);
  return a.causal ? min(keys, keys - static_cast<unsigned>(a.queries) + query + 1) : keys;
}

/// The part of the work that a block does: up to kRows queries of one head.
template <class T>
struct QueryTile {
  const T *q, *k, *v;  ///< token 0 of the head
  T* out;
  unsigned first;  ///< the first query
  unsigned keys;   ///< how many of the keys any of its queries sees
};

/// Blocks that share keys are neighbours; under a causal mask the tiles with most keys come first.
template <unsigned kRows, class T>
__device__ inline QueryTile<T> query_tile(const Attention<T>& a) {
  const auto tiles = static_cast<unsigned>(ceil_div(a.queries, kRows));
  const unsigned tile = tiles - 1 - blockIdx.x % tiles;
  const auto heads = static_cast<unsigned>(a.heads), group = heads / static_cast<unsigned>(a.kv_heads);
  const unsigned item = blockIdx.x / tiles / heads, head = blockIdx.x / tiles % heads, kv_head = head / group;
  const unsigned first = tile * kRows, last = min(first + kRows, static_cast<unsigned>(a.queries)) - 1;
  return {a.q.at(item, 0, head),
          a.k.at(item, 0, kv_head),
          a.v.at(item, 0, kv_head),
          a.out.at(item, 0, head),
          first,
          keys_seen(a, last)};
}

/// A tile in shared memory: rows of kChunks pieces of 16 bytes. Any 8 rows' pieces of one column, and any 8
/// neighbouring pieces of one row, lie in different banks, so neither reading nor writing them conflicts.
template <unsigned kChunks>
__device__ inline unsigned place_of(unsigned row, unsigned chunk) {
  constexpr unsigned kSpread = kChunks % 8 == 0   ? 8
                               : kChunks % 4 == 0 ? 4
                                                  : 2;  // powers of two in kChunks, up to 8
  static_assert(kChunks % kSpread == 0);
  return 16 * (row * kChunks + (chunk ^ (row % 8 / (8 / kSpread))));
}

/// The place `chunks` (even) columns after that of an even column or the one next to it, in the same row.
/// Cheaper than another place_of, and nothing that a compiler would rather keep in a register.
template <unsigned kChunks>
__device__ inline unsigned columns_on(unsigned place, unsigned chunks) {
  static_assert(kChunks % 8 == 0 || kChunks % 4 != 0);
  return kChunks % 8 == 0 ? place ^ (16 * chunks) : place + 16 * chunks;
}

/// Rows first to first + kRows - 1 of a head into a tile, by all of the block's kThreads threads: zeros for
/// rows from `end` on and for columns from the head's width on. `aligned` rows arrive behind the threads'
/// backs.
template <unsigned kRows, unsigned kChunks, unsigned kThreads, class T>
__device__ inline void fetch_rows(unsigned char* tile, const T* head, int64_t stride, unsigned first,
                                  unsigned end, unsigned width, bool aligned) {
  struct alignas(16) Piece {
    T number[16 / sizeof(T)] = {};
  };
  constexpr unsigned kNumbers = 16 / sizeof(T);
  constexpr unsigned kTogether = kThreads / kChunks;  // rows; what is left of the threads has nothing to do
  const unsigned begin = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
  if (begin >= kTogether) return;
  const unsigned there = chunk * kNumbers < width ? end - first : 0;  // rows
  const T* from = head + (first + begin) * stride + chunk * kNumbers;
  if (aligned) {
#pragma unroll 2
    for (unsigned row = begin; row < kRows; row += kTogether, from += kTogether * stride)
      cp_async16(tile + place_of<kChunks>(row, chunk), row < there ? from : head, row < there ? 16 : 0);
  } else {
#pragma unroll 1
    for (unsigned row = begin; row < kRows; row += kTogether, from += kTogether * stride) {
      Piece piece;
      if (row < there)
        for (unsigned n = 0; n < kNumbers; ++n) piece.number[n] = from[n];
      store_as<uint4>(tile + place_of<kChunks>(row, chunk), std::bit_cast<uint4>(piece));
    }
  }
}

/// Whether every token of these begins at a multiple of 16 bytes.
template <class T>
inline bool aligned_heads(const HeadRows<T>& x) {
  const auto whole = [](int64_t stride) { return stride * static_cast<int64_t>(sizeof(T)) % 16 == 0; };
  return reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && whole(x.item) && whole(x.token) && whole(x.head);
}
template <class T>
inline bool aligned_heads(const Attention<T>& a) {
  return aligned_heads(a.q) && aligned_heads(a.k) && aligned_heads(a.v) && aligned_heads(a.out);
}

}  // namespace unisim
