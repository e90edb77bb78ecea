// attention in bf16 and f16: softmax(scale q k^T) v by tensor cores, one pass over the keys (Milakov and
// Gimelshein 2018, Dao et al. 2022). attention_float.cu has float.
//
// A block holds 64 or 128 queries of one head, a warp 16 or 32 of them, and walks over the keys in tiles of
// 64, the next tile on its way while one is used. Scores, row maxima and sums are float; probabilities are
// rounded to T for the second product. Least bytes moved, for t query tiles of a head, with s_i keys seen by
// any query of tile i (all of them unless causal): sizeof(T) * items * heads * head_width * (2 queries + 2
// (s_1 + ... + s_t)).
//
// The traps: rows of v beyond the last key must be zero, since 0 * NaN is NaN; the running maximum starts at
// minus infinity, which is safe because the first tile holds key 0 and every query sees it (keys >= 1, and
// where causal keys >= queries): no row is ever without a key. scale must be positive. head_width is a
// multiple of 8 up to 128, what lies between the widths that have an instance being filled with zeros. The
// caller has checked all that.

#include <algorithm>
#include <limits>
#include <numbers>

#include "attention.cuh"
#include "check.h"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code
// --------------------------------------------------------------------------------------------

constexpr unsigned kWarps = 4, kThreads = kWarps * kWarp;
constexpr unsigned kKeys = 64;
constexpr float kUnseen = -std::numeric_limits<float>::infinity();

/// Two numbers to T, the low one in the lower half.
template <class T>
__device__ inline uint32_t packed(float low, float high);
template <>
__device__ inline uint32_t packed<bf16>(float low, float high) {
  const __nv_bfloat162_raw raw = __floats2bfloat162_rn(low, high);
  return raw.x | static_cast<uint32_t>(raw.y) << 16;
}
template <>
__device__ inline uint32_t packed<f16>(float low, float high) {
  const __half2_raw raw = __floats2half2_rn(low, high);
  return raw.x | static_cast<uint32_t>(raw.y) << 16;
}

template <class T>
__device__ inline void multiply_add(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint32_t b[2] = {b0, b1};
  if constexpr (std::is_same_v<T, bf16>)
    mma_bf16(d, a, b);
  else
    mma_f16(d, a, b);
}

/// What one warp knows of its 16 kParts queries. Lane (g = lane / 4, t = lane % 4) has, of part m, rows g
/// (half 0) and g + 8 (half 1), and of each 8 columns those at 2 t and 2 t + 1.
template <class T, unsigned kWidth, unsigned kParts>
struct WarpRows {
  static constexpr unsigned kSteps = (kWidth + 15) / 16;  // along the head
  static constexpr unsigned kChunks = 2 * kSteps;         // of 16 bytes, to a row in shared memory
  static constexpr unsigned kColumns = kWidth / 8;        // eights of them
  static constexpr unsigned kScored = kParts > 1 || kWidth > 80 ? 32 : 64;  // keys at once
  static constexpr unsigned kRowBytes = 16 * kChunks, kTileBytes = kKeys * kRowBytes;
  static_assert(kWidth % 8 == 0 && kScored % 16 == 0);

  uint32_t q[kParts][kSteps][4];
  float out[kParts][kColumns][4];  // not yet divided by the sum
  float top[kParts][2];            // the largest score so far, times the exponent's scale
  float sum[kParts][2];            // over the lane's own columns

  __device__ void begin(const unsigned char* tile, unsigned first_row) {
    const unsigned lane = threadIdx.x % kWarp;
#pragma unroll
    for (unsigned m = 0; m < kParts; ++m) {
#pragma unroll
      for (unsigned k = 0; k < kSteps; ++k)
        ldmatrix_x4(q[m][k], tile + place_of<kChunks>(first_row + 16 * m + lane % 16, 2 * k + lane / 16));
#pragma unroll
      for (unsigned n = 0; n < kColumns; ++n)
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) out[m][n][e] = 0;
#pragma unroll
      for (unsigned half = 0; half < 2; ++half) {
        top[m][half] = kUnseen;
        sum[m][half] = 0;
      }
    }
  }

  /// scores = q k^T for kScored keys, whose rows begin at place `keys` of shared memory.
  __device__ void score(float (&scores)[kParts][kScored / 8][4], const unsigned char* shared,
                        unsigned keys) const {
    const unsigned lane = threadIdx.x % kWarp;
    const unsigned own = keys + place_of<kChunks>(lane % 8 + lane / 16 * 8, lane / 8 % 2);
#pragma unroll
    for (unsigned n = 0; n < kScored / 8; n += 2) {
#pragma unroll
      for (unsigned m = 0; m < kParts; ++m)
#pragma unroll
        for (unsigned e = 0; e < 4; ++e) scores[m][n][e] = scores[m][n + 1][e] = 0;
#pragma unroll
      for (unsigned k = 0; k < kSteps; ++k) {
        uint32_t b[4];
        ldmatrix_x4(b, shared + columns_on<kChunks>(own, 2 * k) + 8 * n * kRowBytes);
#pragma unroll
        for (unsigned m = 0; m < kParts; ++m) {
          multiply_add<T>(scores[m][n], q[m][k], b[0], b[1]);
          multiply_add<T>(scores[m][n + 1], q[m][k], b[2], b[3]);
        }
      }
    }
  }

  /// Turns scores into probabilities relative to the largest score so far, and all earlier results to that
  /// measure too.
  __device__ void weigh(float (&scores)[kParts][kScored / 8][4], float exponent_scale) {
#pragma unroll
    for (unsigned m = 0; m < kParts; ++m)
#pragma unroll
      for (unsigned half = 0; half < 2; ++half) {
        float largest = kUnseen;
#pragma unroll
        for (unsigned n = 0; n < kScored / 8; ++n)
          largest = fmaxf(largest, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
        const float before = top[m][half];
        const float now = fmaxf(before, largest * exponent_scale);
        const float shrink = exp2_approx(before - now);
        top[m][half] = now;
        float more = 0;
#pragma unroll
        for (unsigned n = 0; n < kScored / 8; ++n)
#pragma unroll
          for (unsigned e = 2 * half; e < 2 * half + 2; ++e) {
            scores[m][n][e] = exp2_approx(fmaf(scores[m][n][e], exponent_scale, -now));
            more += scores[m][n][e];
          }
        sum[m][half] = sum[m][half] * shrink + more;
#pragma unroll
        for (unsigned n = 0; n < kColumns; ++n)
#pragma unroll
          for (unsigned e = 2 * half; e < 2 * half + 2; ++e) out[m][n][e] *= shrink;
      }
  }

  /// out += probabilities times v. Two neighbouring eights of scores are just the left operand of the
  /// product.
  __device__ void gather(const float (&scores)[kParts][kScored / 8][4], const unsigned char* shared,
                         unsigned values) {
    const unsigned lane = threadIdx.x % kWarp;
    const unsigned own = values + place_of<kChunks>(lane % 16, lane / 16);
#pragma unroll
    for (unsigned n = 0; n < kScored / 8; n += 2) {
      uint32_t p[kParts][4];
#pragma unroll
      for (unsigned m = 0; m < kParts; ++m)
#pragma unroll
        for (unsigned e = 0; e < 4; ++e)
          p[m][e] = packed<T>(scores[m][n + e / 2][2 * (e % 2)], scores[m][n + e / 2][2 * (e % 2) + 1]);
#pragma unroll
      for (unsigned c = 0; c + 1 < kColumns; c += 2) {
        uint32_t b[4];
        ldmatrix_x4_trans(b, shared + columns_on<kChunks>(own, c) + 8 * n * kRowBytes);
#pragma unroll
        for (unsigned m = 0; m < kParts; ++m) {
          multiply_add<T>(out[m][c], p[m], b[0], b[1]);
          multiply_add<T>(out[m][c + 1], p[m], b[2], b[3]);
        }
      }
      if constexpr (kColumns % 2 == 1) {
        uint32_t b[2];
        ldmatrix_x2_trans(b, shared + columns_on<kChunks>(own, kColumns - 1) + 8 * n * kRowBytes);
#pragma unroll
        for (unsigned m = 0; m < kParts; ++m) multiply_add<T>(out[m][kColumns - 1], p[m], b[0], b[1]);
      }
    }
  }

  /// out / sum, rounded, into the warp's own rows of a tile.
  __device__ void finish(unsigned char* tile, unsigned first_row) {
    const unsigned lane = threadIdx.x % kWarp;
#pragma unroll
    for (unsigned m = 0; m < kParts; ++m)
#pragma unroll
      for (unsigned half = 0; half < 2; ++half) {
        float all = sum[m][half];
        all += __shfl_xor_sync(kAllLanes, all, 1);
        all += __shfl_xor_sync(kAllLanes, all, 2);
        const float share = __fdividef(1.0f, all);
        const unsigned row = first_row + 16 * m + 8 * half + lane / 4;
#pragma unroll
        for (unsigned n = 0; n < kColumns; ++n)
          store_as<uint32_t>(tile + place_of<kChunks>(row, n) + 4 * (lane % 4),
                             packed<T>(out[m][n][2 * half] * share, out[m][n][2 * half + 1] * share));
      }
  }
};

/// Scores of keys that a query does not see, to minus infinity; `first` is the warp's first query, `key` the
/// first key.
template <class T, unsigned kParts, unsigned kEights>
__device__ inline void hide(const Attention<T>& a, float (&scores)[kParts][kEights][4], unsigned first,
                            unsigned key) {
  const unsigned lane = threadIdx.x % kWarp;
#pragma unroll
  for (unsigned m = 0; m < kParts; ++m)
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
      const unsigned seen = keys_seen(a, first + 16 * m + 8 * half + lane / 4);
#pragma unroll
      for (unsigned n = 0; n < kEights; ++n)
#pragma unroll
        for (unsigned e = 0; e < 2; ++e)
          if (key + 8 * n + 2 * (lane % 4) + e >= seen) scores[m][n][2 * half + e] = kUnseen;
    }
}

/// f(number, piece) for each 16 bytes of kRows rows of a tile, by one warp: `number` is where the piece goes.
template <unsigned kRows, unsigned kChunks, class T, class F>
__device__ inline void each_piece(const Attention<T>& a, T* head, const unsigned char* tile,
                                  unsigned first_row, unsigned first, F&& f) {
  const unsigned rows = min(kRows, static_cast<unsigned>(a.queries) - first);
  for (unsigned at = threadIdx.x % kWarp; at < rows * kChunks; at += kWarp) {
    const unsigned row = at / kChunks, chunk = at % kChunks;
    if (chunk * 8 >= static_cast<unsigned>(a.head_width)) continue;
    f(head + (first + row) * a.out.token + chunk * 8,
      load_as<uint4>(tile + place_of<kChunks>(first_row + row, chunk)));
  }
}

/// kRows rows of a tile to the head's tokens from `first` on, by one warp. Two loops, not one: nvcc would
/// make the branch within one store both kinds number by number.
template <unsigned kRows, unsigned kChunks, class T>
__device__ inline void store_rows(const Attention<T>& a, T* head, const unsigned char* tile,
                                  unsigned first_row, unsigned first, bool aligned) {
  if (aligned) {
    each_piece<kRows, kChunks>(a, head, tile, first_row, first,
                               [](T* to, uint4 piece) { store_as<uint4>(to, piece); });
  } else {
    each_piece<kRows, kChunks>(a, head, tile, first_row, first, [](T* to, uint4 piece) {
      const uint32_t word[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
      for (unsigned n = 0; n < 8; ++n) to[n] = T{static_cast<uint16_t>(word[n / 2] >> (16 * (n % 2)))};
    });
  }
}

template <class T, unsigned kWidth, unsigned kParts>
__global__ void __launch_bounds__(kThreads, 3) attend(Attention<T> a, float exponent_scale, bool aligned) {
  using Warp = WarpRows<T, kWidth, kParts>;
  constexpr unsigned kRows = 16 * kParts, kChunks = Warp::kChunks, kStageBytes = 2 * Warp::kTileBytes;
  static_assert(kWarps * kRows <= 2 * kKeys, "the queries' tile takes the place of a stage");
  unsigned char* const shared = dynamic_shared();  // two stages of a tile of k and one of v
  const QueryTile<T> tile = query_tile<kWarps * kRows>(a);
  const auto width = static_cast<unsigned>(a.head_width), queries = static_cast<unsigned>(a.queries);
  const auto fetch_keys = [&](unsigned key) {
    unsigned char* const stage = shared + key / kKeys % 2 * kStageBytes;
    fetch_rows<kKeys, kChunks, kThreads>(stage, tile.k, a.k.token, key, tile.keys, width, aligned);
    fetch_rows<kKeys, kChunks, kThreads>(stage + Warp::kTileBytes, tile.v, a.v.token, key, tile.keys, width,
                                         aligned);
  };

  fetch_rows<kWarps * kRows, kChunks, kThreads>(shared + kStageBytes, tile.q, a.q.token, tile.first, queries,
                                                width, aligned);
  cp_async_commit();
  fetch_keys(0);
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  Warp rows;
  const unsigned first_row = threadIdx.x / kWarp * kRows, first = tile.first + first_row;
  rows.begin(shared + kStageBytes, first_row);

#pragma unroll 1
  for (unsigned key = 0; key < tile.keys; key += Warp::kScored) {
    if (key % kKeys == 0) {
      cp_async_wait<0>();
      __syncthreads();  // this stage is there for all, and nobody reads the other any more
      if (key + kKeys < tile.keys) fetch_keys(key + kKeys);
      cp_async_commit();
    }
    if (first >= queries || key >= keys_seen(a, first + kRows - 1)) continue;
    const unsigned keys = key % (2 * kKeys) / kKeys * kStageBytes + key % kKeys * Warp::kRowBytes;
    float scores[kParts][Warp::kScored / 8][4];
    rows.score(scores, shared, keys);
    if (key + Warp::kScored > keys_seen(a, first)) hide(a, scores, first, key);
    rows.weigh(scores, exponent_scale);
    rows.gather(scores, shared, keys + Warp::kTileBytes);
  }

  __syncthreads();  // nobody reads k and v any more
  if (first >= queries) return;
  rows.finish(shared, first_row);
  __syncwarp();
  store_rows<kRows, kChunks>(a, tile.out, shared, first_row, first, aligned);
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T, unsigned kWidth, unsigned kParts>
void launch_attend(Cuda place, const Attention<T>& a) {
  constexpr unsigned kBytes = 4 * WarpRows<T, kWidth, kParts>::kTileBytes;
  if (kBytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(attend<T, kWidth, kParts>),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
               "attention");
  const int64_t blocks = a.items * a.heads * ceil_div(a.queries, kWarps * 16 * kParts);
  launch(attend<T, kWidth, kParts>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kBytes, place.stream,
         a, a.scale * std::numbers::log2e_v<float>, aligned_heads(a));
}

/// Two parts halve the reads of shared memory; few queries would leave warps idle, and width 128 has no
/// registers left.
template <class T, unsigned kWidth>
void launch_width(Cuda place, const Attention<T>& a) {
  if (kWidth > 64 || a.queries <= 64)
    launch_attend<T, kWidth, 1>(place, a);
  else
    launch_attend<T, kWidth, kWidth <= 64 ? 2 : 1>(place, a);
}

}  // namespace

template <class T>
void attention(Cuda place, const Attention<T>& a) {
  if (a.items == 0 || a.queries == 0) return;
  if (a.head_width <= 64)
    launch_width<T, 64>(place, a);
  else if (a.head_width <= 72)
    launch_width<T, 72>(place, a);
  else if (a.head_width <= 80)
    launch_width<T, 80>(place, a);
  else
    launch_width<T, 128>(place, a);
  check_cuda(cudaGetLastError(), "attention");
}

template void attention(Cuda, const Attention<bf16>&);
template void attention(Cuda, const Attention<f16>&);

}  // namespace unisim
