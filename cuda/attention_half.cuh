#pragma once

#include "attention.cuh"
#include "attention_warp.cuh"

/// What a block of attention does in bf16 and f16, whatever keys it walks over (DenseKeys, PackedKeys).
///
/// It holds 64 or 128 queries of one head, a warp 16 or 32 of them, and takes the keys in tiles of 64, the
/// next tile on its way while one is used. Scores, row maxima and sums are float; probabilities are rounded
/// to T for the second product.
///
/// The traps: rows of v that are not there must be zero, since 0 * NaN is NaN; the running maximum starts at
/// minus infinity, which is safe because every query sees the first key of the walk: what a query sees none
/// of comes later, when its maximum is a number. scale must be positive.
namespace unisim::on_tensor_cores {

/// Scores of keys that a query does not see, to minus infinity; `first` is the warp's first query, `key` the
/// first key.
template <class Keys, unsigned kParts, unsigned kEights>
__device__ inline void hide(const Keys& keys, float (&scores)[kParts][kEights][4], unsigned first,
                            unsigned key) {
  const unsigned lane = threadIdx.x % kWarp;
#pragma unroll
  for (unsigned m = 0; m < kParts; ++m)
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
      const unsigned seen = keys.seen(first + 16 * m + 8 * half + lane / 4);
#pragma unroll
      for (unsigned n = 0; n < kEights; ++n)
#pragma unroll
        for (unsigned e = 0; e < 2; ++e)
          if (key + 8 * n + 2 * (lane % 4) + e >= seen) scores[m][n][2 * half + e] = kUnseen;
    }
}

/// f(number, piece) for each 16 bytes of kRows rows of a tile, by one warp: `number` is where the piece goes.
template <unsigned kRows, unsigned kChunks, class A, class T, class F>
__device__ inline void each_piece(const A& a, const QueryTile<T>& to, const unsigned char* tile,
                                  unsigned first_row, unsigned first, F&& f) {
  const unsigned rows = min(kRows, to.queries - first);
  for (unsigned at = threadIdx.x % kWarp; at < rows * kChunks; at += kWarp) {
    const unsigned row = at / kChunks, chunk = at % kChunks;
    if (chunk * 8 >= static_cast<unsigned>(a.head_width)) continue;
    f(to.out + (first + row) * a.out.token + chunk * 8,
      load_as<uint4>(tile + place_of<kChunks>(first_row + row, chunk)));
  }
}

/// kRows rows of a tile to the head's tokens from `first` on, by one warp. Two loops, not one: nvcc would
/// make the branch within one store both kinds number by number.
template <unsigned kRows, unsigned kChunks, class A, class T>
__device__ inline void store_rows(const A& a, const QueryTile<T>& to, const unsigned char* tile,
                                  unsigned first_row, unsigned first, bool aligned) {
  if (aligned) {
    each_piece<kRows, kChunks>(a, to, tile, first_row, first,
                               [](T* number, uint4 piece) { store_as<uint4>(number, piece); });
  } else {
    each_piece<kRows, kChunks>(a, to, tile, first_row, first, [](T* number, uint4 piece) {
      const uint32_t word[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
      for (unsigned n = 0; n < 8; ++n) number[n] = T{static_cast<uint16_t>(word[n / 2] >> (16 * (n % 2)))};
    });
  }
}

template <class T, unsigned kWidth, unsigned kParts>
constexpr unsigned kSharedBytes = 4 * WarpRows<T, kWidth, kParts>::kTileBytes;

/// `a` is an Attention or a PackedAttention, `keys` its walk.
template <class T, unsigned kWidth, unsigned kParts, class A, class Keys>
__device__ inline void attend_block(const A& a, const QueryTile<T>& tile, Keys keys, float exponent_scale,
                                    bool aligned) {
  using Warp = WarpRows<T, kWidth, kParts>;
  constexpr unsigned kRows = 16 * kParts, kChunks = Warp::kChunks, kStageBytes = 2 * Warp::kTileBytes;
  static_assert(kWarps * kRows <= 2 * kKeys, "the queries' tile takes the place of a stage");
  unsigned char* const shared = dynamic_shared();  // two stages of a tile of k and one of v
  const auto width = static_cast<unsigned>(a.head_width);
  const auto fetch_keys = [&](unsigned key) {
    unsigned char* const stage = shared + key / kKeys % 2 * kStageBytes;
    const KeyTile<T> from = keys.tile(key);
    fetch_rows<kKeys, kChunks, kThreads>(stage, from.k, from.k_token, from.first, from.end, width, aligned);
    fetch_rows<kKeys, kChunks, kThreads>(stage + Warp::kTileBytes, from.v, from.v_token, from.first, from.end,
                                         width, aligned);
  };

  fetch_rows<kWarps * kRows, kChunks, kThreads>(shared + kStageBytes, tile.q, a.q.token, tile.first,
                                                tile.queries, width, aligned);
  cp_async_commit();
  fetch_keys(0);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  Warp rows;
  const unsigned first_row = threadIdx.x / kWarp * kRows, first = tile.first + first_row;
  rows.begin(shared + kStageBytes, first_row);

#pragma unroll 1
  for (unsigned key = 0; keys.has(key); key += Warp::kScored) {
    if (key % kKeys == 0) {
      cp_async_wait<0>();
      __syncthreads();  // this stage is there for all, and nobody reads the other any more
      keys.enter(key);
      if (keys.has(key + kKeys)) fetch_keys(key + kKeys);
      cp_async_commit();
    }
    if (first >= tile.queries || key >= keys.seen(first + kRows - 1)) continue;
    const unsigned place = key % (2 * kKeys) / kKeys * kStageBytes + key % kKeys * Warp::kRowBytes;
    float scores[kParts][Warp::kScored / 8][4];
    rows.score(scores, shared, place);
    if (key + Warp::kScored > keys.seen(first)) hide(keys, scores, first, key);
    rows.weigh(scores, exponent_scale);
    rows.gather(scores, shared, place + Warp::kTileBytes);
  }

  __syncthreads();  // nobody reads k and v any more
  if (first >= tile.queries) return;
  rows.finish(shared, first_row);
  __syncwarp();
  store_rows<kRows, kChunks>(a, tile, shared, first_row, first, aligned);
}

}  // namespace unisim::on_tensor_cores
