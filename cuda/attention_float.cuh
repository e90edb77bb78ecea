#pragma once

#include <limits>

#include "attention.cuh"
#include "warp.cuh"

/// What a block of attention does in float, whatever keys it walks over (DenseKeys, PackedKeys): plain
/// multiply-adds, no tensor cores, no TF32.
///
/// It holds 64 queries of one head and takes the keys in tiles of 32: k of the next tile is on its way while
/// v is used, and v while k is. 8 neighbouring lanes share 4 rows: each scores 4 of the keys and keeps its
/// own columns of the output. The traps of attention_half.cuh are here too.
namespace unisim::in_float {

constexpr unsigned kThreads = 128;
constexpr unsigned kQueries = 64, kKeys = 32;
constexpr unsigned kRows = 4;   // of a thread, 4 apart
constexpr unsigned kLanes = 8;  // that share rows
constexpr unsigned kScores = kKeys / kLanes;
constexpr unsigned kWeightStride =
    kKeys + 8;  // floats; the 4 rows that a warp writes at once lie in different banks
constexpr float kUnseen = -std::numeric_limits<float>::infinity();

template <unsigned kWidth>
struct Shape {
  static constexpr unsigned kChunks = kWidth / 4;  // of 16 bytes, to a row in shared memory
  static constexpr unsigned kOwned = (kChunks + kLanes - 1) / kLanes;  // of them to a lane, kLanes apart
  static constexpr unsigned kKeyTile = kKeys * kChunks * 16, kQueryTile = kQueries * kChunks * 16;
  static constexpr unsigned kBytes = kQueryTile + 2 * kKeyTile + kQueries * kWeightStride * 4;
};

/// scores[i][j] = q of the thread's row i times key kLanes j + lane % kLanes.
template <unsigned kChunks>
__device__ inline void score(float (&scores)[kRows][kScores], const unsigned char* queries,
                             const unsigned char* keys, unsigned row, unsigned lane) {
#pragma unroll
  for (unsigned i = 0; i < kRows; ++i)
#pragma unroll
    for (unsigned j = 0; j < kScores; ++j) scores[i][j] = 0;
#pragma unroll 2
  for (unsigned c = 0; c < kChunks; ++c) {
    float4 q[kRows];
#pragma unroll
    for (unsigned i = 0; i < kRows; ++i) q[i] = load_as<float4>(queries + place_of<kChunks>(row + 4 * i, c));
#pragma unroll
    for (unsigned j = 0; j < kScores; ++j) {
      const float4 k = load_as<float4>(keys + place_of<kChunks>(kLanes * j + lane % kLanes, c));
#pragma unroll
      for (unsigned i = 0; i < kRows; ++i)
        scores[i][j] += q[i].x * k.x + q[i].y * k.y + q[i].z * k.z + q[i].w * k.w;
    }
  }
}

/// out[i][j] += the row's weights times column chunk kLanes j + lane % kLanes of v.
template <unsigned kChunks, unsigned kOwned>
__device__ inline void gather(float4 (&out)[kRows][kOwned], const float* weights, const unsigned char* values,
                              unsigned lane) {
#pragma unroll 1
  for (unsigned key = 0; key < kKeys; key += 4) {
    float4 p[kRows];
#pragma unroll
    for (unsigned i = 0; i < kRows; ++i) p[i] = load_as<float4>(weights + 4 * i * kWeightStride + key);
#pragma unroll
    for (unsigned e = 0; e < 4; ++e)
#pragma unroll
      for (unsigned j = 0; j < kOwned; ++j) {
        const unsigned chunk =
            min(kLanes * j + lane % kLanes, kChunks - 1);  // beyond the last: computed, never stored
        const float4 v = load_as<float4>(values + place_of<kChunks>(key + e, chunk));
#pragma unroll
        for (unsigned i = 0; i < kRows; ++i) {
          const float weight = e == 0 ? p[i].x : e == 1 ? p[i].y : e == 2 ? p[i].z : p[i].w;
          out[i][j].x += weight * v.x;
          out[i][j].y += weight * v.y;
          out[i][j].z += weight * v.z;
          out[i][j].w += weight * v.w;
        }
      }
  }
}

/// The largest of the kLanes lanes that share a row.
__device__ inline float shared_max(float x) {
  for (unsigned step = kLanes / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}
__device__ inline float shared_sum(float x) {
  for (unsigned step = kLanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

__device__ inline void scale_by(float4& x, float by) {
  x.x *= by;
  x.y *= by;
  x.z *= by;
  x.w *= by;
}

/// `a` is an Attention or a PackedAttention of floats, `keys` its walk.
template <unsigned kWidth, class A, class Keys>
__device__ inline void attend_block(const A& a, const QueryTile<float>& tile, Keys keys, float exponent_scale,
                                    bool aligned) {
  using S = Shape<kWidth>;
  unsigned char* const queries = dynamic_shared();
  unsigned char* const key_rows = queries + S::kQueryTile;
  unsigned char* const values = key_rows + S::kKeyTile;
  float* const all_weights = reinterpret_cast<float*>(values + S::kKeyTile);
  const auto width = static_cast<unsigned>(a.head_width);
  const unsigned lane = threadIdx.x % kWarp, first_row = threadIdx.x / kWarp * 16;
  const unsigned row = first_row + lane / kLanes;  // of kRows, 4 apart
  float* const weights = all_weights + row * kWeightStride;
  const unsigned first = tile.first + first_row;
  const auto fetch = [&](unsigned char* to, const float* rows, int64_t stride, const KeyTile<float>& from) {
    fetch_rows<kKeys, S::kChunks, kThreads>(to, rows, stride, from.first, from.end, width, aligned);
  };
  const auto fetch_keys = [&](unsigned key) {
    const KeyTile<float> from = keys.tile(key);
    fetch(key_rows, from.k, from.k_token, from);
  };

  float4 out[kRows][S::kOwned] = {};
  float top[kRows], sum[kRows] = {};
  for (float& largest : top) largest = kUnseen;
  fetch_rows<kQueries, S::kChunks, kThreads>(queries, tile.q, a.q.token, tile.first, tile.queries, width,
                                             aligned);
  fetch_keys(0);
  for (unsigned key = 0; keys.has(key); key += kKeys) {
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();  // k is there, and nobody reads v any more
    keys.enter(key);
    const KeyTile<float> from = keys.tile(key);
    fetch(values, from.v, from.v_token, from);
    cp_async_commit();
    const bool any_seen = first < tile.queries && key < keys.seen(first + 15);
    if (any_seen) {
      float scores[kRows][kScores];
      score<S::kChunks>(scores, queries, key_rows, row, lane);
#pragma unroll
      for (unsigned i = 0; i < kRows; ++i) {
        const unsigned seen = keys.seen(tile.first + row + 4 * i);
        float largest = kUnseen;
#pragma unroll
        for (unsigned j = 0; j < kScores; ++j) {
          if (key + kLanes * j + lane % kLanes >= seen) scores[i][j] = kUnseen;
          largest = fmaxf(largest, scores[i][j]);
        }
        const float now = fmaxf(top[i], shared_max(largest) * exponent_scale);
        const float shrink = exp2_approx(top[i] - now);
        top[i] = now;
        sum[i] *= shrink;
#pragma unroll
        for (unsigned j = 0; j < kScores; ++j) {
          const float weight = exp2_approx(fmaf(scores[i][j], exponent_scale, -now));
          sum[i] += weight;
          weights[4 * i * kWeightStride + kLanes * j + lane % kLanes] = weight;
        }
#pragma unroll
        for (unsigned j = 0; j < S::kOwned; ++j) scale_by(out[i][j], shrink);
      }
    }
    cp_async_wait<0>();
    __syncthreads();  // v and the weights are there, and nobody reads k any more
    if (keys.has(key + kKeys)) fetch_keys(key + kKeys);
    if (any_seen) gather<S::kChunks>(out, weights, values, lane);
  }

#pragma unroll
  for (unsigned i = 0; i < kRows; ++i) {
    const float share = __fdividef(1.0f, shared_sum(sum[i]));
    const unsigned query = tile.first + row + 4 * i;
#pragma unroll
    for (unsigned j = 0; j < S::kOwned; ++j) {
      const unsigned column = 4 * (kLanes * j + lane % kLanes);
      if (query >= tile.queries || column >= width) continue;
      float* const to = tile.out + query * a.out.token + column;
      scale_by(out[i][j], share);
      if (aligned) {
        store_as<float4>(to, out[i][j]);
      } else {
        to[0] = out[i][j].x;
        to[1] = out[i][j].y;
        to[2] = out[i][j].z;
        to[3] = out[i][j].w;
      }
    }
  }
}

}  // namespace unisim::in_float
