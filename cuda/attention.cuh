#pragma once

#include <bit>
#include <cstdint>

#include "device.cuh"
#include "kernels.h"
#include "views.h"

/// What the attention kernels share: which rows a block works on, the keys it walks over, and how rows come
/// to shared memory. packed_attention.cuh has the walk over the keys of packed items.
namespace unisim {

/// A block's part of the work.
struct BlockPlace {
  unsigned item, head, kv_head;
  unsigned first;  ///< of its queries
};

/// Blocks of kRows queries of one head, of an item of `queries`. Those that share keys are neighbours; under
/// a causal mask those with most keys come first.
template <unsigned kRows, class A>
__device__ inline BlockPlace block_place(const A& a, int64_t queries) {
  const auto tiles = static_cast<unsigned>(ceil_div(queries, kRows));
  const auto heads = static_cast<unsigned>(a.heads), group = heads / static_cast<unsigned>(a.kv_heads);
  const unsigned tile = tiles - 1 - blockIdx.x % tiles;
  const unsigned item = blockIdx.x / tiles / heads, head = blockIdx.x / tiles % heads, kv_head = head / group;
  return {item, head, kv_head, tile * kRows};
}

/// The queries of one head that a block works on.
template <class T>
struct QueryTile {
  const T* q;  ///< query 0 of the head
  T* out;
  unsigned first;    ///< of the block's queries
  unsigned queries;  ///< of the item
};

/// Keys and values that are fetched together: rows first to end - 1, and rows of zeros after them.
template <class T>
struct KeyTile {
  const T *k, *v;  ///< row 0 of the head
  int64_t k_token, v_token;
  unsigned first, end;
};

/// A block's walk over the keys of an Attention, by tiles of any size, and what any walk answers.
template <class T>
struct DenseKeys {
  const Attention<T>& a;
  const T *k, *v;  ///< token 0 of the head
  unsigned count;  ///< how many of the keys any of the block's queries sees

  /// Whether any query of the block sees the key of this number or a later one.
  __device__ bool has(unsigned key) const { return key < count; }
  /// Goes on to the tile that begins at this number. Every tile is entered in its turn.
  __device__ void enter(unsigned) {}
  /// The tile that begins at this number: the one entered last or the one after it.
  __device__ KeyTile<T> tile(unsigned key) const { return {k, v, a.k.token, a.v.token, key, count}; }
  /// A query sees the keys of the entered tile whose numbers are below this. Asked of a query that is not
  /// there, what the last one sees or more, never keys that are not there.
  __device__ unsigned seen(unsigned query) const {
    const auto keys = static_cast<unsigned>(a.keys);
    return a.causal ? min(keys, keys - static_cast<unsigned>(a.queries) + query + 1) : keys;
  }
};

template <class T>
__device__ inline QueryTile<T> query_tile(const Attention<T>& a, const BlockPlace& at) {
  return {a.q.at(at.item, 0, at.head), a.out.at(at.item, 0, at.head), at.first,
          static_cast<unsigned>(a.queries)};
}

/// Of a block of kRows queries.
template <unsigned kRows, class T>
__device__ inline DenseKeys<T> keys_of(const Attention<T>& a, const BlockPlace& at) {
  DenseKeys<T> keys{a, a.k.at(at.item, 0, at.kv_head), a.v.at(at.item, 0, at.kv_head), 0};
  keys.count = keys.seen(min(at.first + kRows, static_cast<unsigned>(a.queries)) - 1);
  return keys;
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
  if (kChunks % 8 == 0) return place ^ (16 * chunks);
  if (kChunks % 4 == 0) return (place ^ (16 * (chunks & 2))) + 16 * (chunks & ~3u);
  return place + 16 * chunks;
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
