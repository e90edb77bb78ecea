// attention in float: softmax(scale q k^T) v by plain multiply-adds (no tensor cores, no TF32), one pass over
// the keys.
//
// A block holds 64 queries of one head and walks over the keys in tiles of 32: k of the next tile is on its
// way while v is used, and v while k is. 8 neighbouring lanes share 4 rows: each scores 4 of the keys and
// keeps its own columns of the output. Least bytes moved: as attention.cu says, with tiles of 64 queries. Its
// traps are here too.

#include <limits>
#include <numbers>

#include "attention.cuh"
#include "check.h"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code
// --------------------------------------------------------------------------------------------

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

template <unsigned kWidth>
__global__ void __launch_bounds__(kThreads, 3)
    attend_float(Attention<float> a, float exponent_scale, bool aligned) {
  using S = Shape<kWidth>;
  unsigned char* const queries = dynamic_shared();
  unsigned char* const keys = queries + S::kQueryTile;
  unsigned char* const values = keys + S::kKeyTile;
  float* const all_weights = reinterpret_cast<float*>(values + S::kKeyTile);
  const QueryTile<float> tile = query_tile<kQueries>(a);
  const auto width = static_cast<unsigned>(a.head_width), query_count = static_cast<unsigned>(a.queries);
  const unsigned lane = threadIdx.x % kWarp, first_row = threadIdx.x / kWarp * 16;
  const unsigned row = first_row + lane / kLanes;  // of kRows, 4 apart
  float* const weights = all_weights + row * kWeightStride;
  const unsigned first = tile.first + first_row;
  const unsigned farthest = first < query_count ? keys_seen(a, first + 15) : 0;

  float4 out[kRows][S::kOwned] = {};
  float top[kRows], sum[kRows] = {};
  for (float& largest : top) largest = kUnseen;
  fetch_rows<kQueries, S::kChunks, kThreads>(queries, tile.q, a.q.token, tile.first, query_count, width,
                                             aligned);
  fetch_rows<kKeys, S::kChunks, kThreads>(keys, tile.k, a.k.token, 0, tile.keys, width, aligned);
  for (unsigned key = 0; key < tile.keys; key += kKeys) {
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();  // k is there, and nobody reads v any more
    fetch_rows<kKeys, S::kChunks, kThreads>(values, tile.v, a.v.token, key, tile.keys, width, aligned);
    cp_async_commit();
    if (key < farthest) {
      float scores[kRows][kScores];
      score<S::kChunks>(scores, queries, keys, row, lane);
#pragma unroll
      for (unsigned i = 0; i < kRows; ++i) {
        const unsigned seen = keys_seen(a, tile.first + row + 4 * i);
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
    if (key + kKeys < tile.keys)
      fetch_rows<kKeys, S::kChunks, kThreads>(keys, tile.k, a.k.token, key + kKeys, tile.keys, width,
                                              aligned);
    if (key < farthest) gather<S::kChunks>(out, weights, values, lane);
  }

#pragma unroll
  for (unsigned i = 0; i < kRows; ++i) {
    const float share = __fdividef(1.0f, shared_sum(sum[i]));
    const unsigned query = tile.first + row + 4 * i;
#pragma unroll
    for (unsigned j = 0; j < S::kOwned; ++j) {
      const unsigned column = 4 * (kLanes * j + lane % kLanes);
      if (query >= query_count || column >= width) continue;
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

// ---- launcher ---------------------------------------------------------------------------------------------

template <unsigned kWidth>
void launch_width(Cuda place, const Attention<float>& a) {
  constexpr unsigned kBytes = Shape<kWidth>::kBytes;
  if (kBytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(attend_float<kWidth>),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
               "attention");
  const int64_t blocks = a.items * a.heads * ceil_div(a.queries, kQueries);
  launch(attend_float<kWidth>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kBytes, place.stream, a,
         a.scale * std::numbers::log2e_v<float>, aligned_heads(a));
}

}  // namespace

template <>
void attention(Cuda place, const Attention<float>& a) {
  if (a.items == 0 || a.queries == 0) return;
  if (a.head_width <= 64)
    launch_width<64>(place, a);
  else if (a.head_width <= 72)
    launch_width<72>(place, a);
  else if (a.head_width <= 80)
    launch_width<80>(place, a);
  else
    launch_width<128>(place, a);
  check_cuda(cudaGetLastError(), "attention");
}

}  // namespace unisim
