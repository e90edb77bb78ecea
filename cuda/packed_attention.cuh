#pragma once

#include "attention.cuh"

/// What the kernels of packed_attention share beside attention.cuh: the walk over an item's ranges of keys.
namespace unisim {

/// A block's walk over the keys of a packed item, by tiles of which none has keys of two ranges: what follows
/// a range begins with the next tile, and numbers between the two are seen by nobody. DenseKeys says what the
/// functions answer; kRows are the block's queries. What it can ask memory for again it does not hold:
/// registers are short.
///
/// The trap: the last range is causal alone, and only once it is entered is its end known.
template <class T, unsigned kRows>
struct PackedKeys {
  const PackedAttention<T>& a;
  unsigned range;  ///< the entered tile's
  unsigned later;  ///< ranges after it
  unsigned end;    ///< the number after its last key
  unsigned kv_head;
  unsigned first;    ///< of the block's queries
  unsigned queries;  ///< of the item

  __device__ unsigned count() const { return static_cast<unsigned>(a.ranges[range].count); }
  __device__ unsigned seen_by_any() const { return seen(min(first + kRows, queries) - 1); }
  __device__ bool has(unsigned key) const { return later > 0 || key < seen_by_any(); }
  __device__ void enter(unsigned key) {
    if (key < end) return;
    ++range;
    --later;
    end = key + count();
  }
  __device__ KeyTile<T> tile(unsigned key) const {
    PackedKeys next = *this;
    next.enter(key);
    const KeyRange<T>& from = a.ranges[next.range];
    const unsigned begin = next.end - next.count();
    const int64_t head = kv_head * from.head;
    return {from.k + head, from.v + head, from.token, from.token, key - begin, next.seen_by_any() - begin};
  }
  __device__ unsigned seen(unsigned query) const {
    return later > 0 || query >= queries ? end : end - (queries - 1 - query);
  }
};

/// Of a block beyond the item's queries, first >= queries.
template <class T>
__device__ inline QueryTile<T> query_tile(const PackedAttention<T>& a, const BlockPlace& at) {
  const PackedQueries& item = a.items[at.item];
  return {a.q.at(0, item.first, at.head), a.out.at(0, item.first, at.head), at.first,
          static_cast<unsigned>(item.count)};
}

/// Of a block of kRows queries, some of which are there.
template <unsigned kRows, class T>
__device__ inline PackedKeys<T, kRows> keys_of(const PackedAttention<T>& a, const BlockPlace& at) {
  const PackedQueries& item = a.items[at.item];
  const auto range = static_cast<unsigned>(item.range), ranges = static_cast<unsigned>(item.ranges);
  PackedKeys<T, kRows> keys{a, range, ranges - 1, 0, at.kv_head, at.first, static_cast<unsigned>(item.count)};
  keys.end = keys.count();
  return keys;
}

/// Whether every token of q, out and the keys begins at a multiple of 16 bytes.
template <class T>
inline bool aligned_heads(const PackedAttention<T>& a) {
  const auto packed = [](auto rows) {
    rows.item = 0;  // not used
    return rows;
  };
  return a.aligned_keys && aligned_heads(packed(a.q)) && aligned_heads(packed(a.out));
}

}  // namespace unisim
