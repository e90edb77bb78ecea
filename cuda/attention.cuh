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
__device__ inline int keys_seen(const Attention<T>& a, int query) {
  const int keys = static_cast<int>(a.keys);
  return a.causal ? min(keys, keys - static_cast<int>(a.queries) + query + 1) : keys;
}

/// The part of the work that a block does: up to kRows queries of one head.
template <class T>
struct QueryTile {
  const T *q, *k, *v;  ///< token 0 of the head
  T* out;
  int first;  ///< the first query
  int keys;   ///< how many of the keys any of its queries sees
};

/// Blocks that share keys are neighbours; under a causal mask the tiles with most keys come first.
template <int kRows, class T>
__device__ inline QueryTile<T> query_tile(const Attention<T>& a) {
  const auto tiles = static_cast<unsigned>(ceil_div(a.queries, kRows));
  const unsigned tile = tiles - 1 - blockIdx.x % tiles;
  const int64_t item = blockIdx.x / tiles / static_cast<unsigned>(a.heads);
  const int64_t head = blockIdx.x / tiles % static_cast<unsigned>(a.heads);
  const int64_t kv_head = head / (a.heads / a.kv_heads);
  const int first = static_cast<int>(tile) * kRows;
  const int last = min(first + kRows, static_cast<int>(a.queries)) - 1;
  return {a.q.at(item, 0, head),
          a.k.at(item, 0, kv_head),
          a.v.at(item, 0, kv_head),
          a.out.at(item, 0, head),
          first,
          keys_seen(a, last)};
}

/// A tile in shared memory: rows of kChunks pieces of 16 bytes. Any 8 rows' pieces of one column, and any 8
/// neighbouring pieces of one row, lie in different banks, so neither reading nor writing them conflicts.
template <int kChunks>
__device__ inline int place_of(int row, int chunk) {
  constexpr int kSpread = kChunks % 8 == 0   ? 8
                          : kChunks % 4 == 0 ? 4
                                             : 2;  // powers of two in kChunks, up to 8
  static_assert(kChunks % kSpread == 0);
  return 16 * (row * kChunks + (chunk ^ (row % 8 / (8 / kSpread))));
}

/// The place `chunks` (even) columns after that of an even column or the one next to it, in the same row.
/// Cheaper than another place_of, and nothing that a compiler would rather keep in a register.
template <int kChunks>
__device__ inline int columns_on(int place, int chunks) {
  static_assert(kChunks % 8 == 0 || kChunks % 4 != 0);
  return kChunks % 8 == 0 ? place ^ (16 * chunks) : place + 16 * chunks;
}

/// Rows first to first + kRows - 1 of a head into a tile, by all of the block's kThreads threads: zeros for
/// rows from `end` on and for columns from the head's width on. `aligned` rows arrive behind the threads'
/// backs.
template <int kRows, int kChunks, int kThreads, class T>
__device__ inline void fetch_rows(unsigned char* tile, const T* head, int64_t stride, int first, int end,
                                  int width, bool aligned) {
  struct alignas(16) Piece {
    T number[16 / sizeof(T)] = {};
  };
  constexpr int kNumbers = 16 / static_cast<int>(sizeof(T));
#pragma unroll 1  // else the addresses take the registers that the products need
  for (int at = static_cast<int>(threadIdx.x); at < kRows * kChunks; at += kThreads) {
    const int row = at / kChunks, chunk = at % kChunks;
    const bool there = first + row < end && chunk * kNumbers < width;
    const T* from = there ? head + (first + row) * stride + chunk * kNumbers : head;
    unsigned char* to = tile + place_of<kChunks>(row, chunk);
    if (aligned) {
      cp_async16(to, from, there ? 16 : 0);
    } else {
      Piece piece;
      if (there)
        for (int n = 0; n < kNumbers; ++n) piece.number[n] = from[n];
      store_as<uint4>(to, std::bit_cast<uint4>(piece));
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
