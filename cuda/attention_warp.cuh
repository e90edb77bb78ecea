#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "attention.cuh"
#include "half.h"
#include "warp.cuh"

/// What a warp of attention does in bf16 and f16 with the keys in shared memory; attention_half.cuh has the
/// block.
namespace unisim::on_tensor_cores {

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
  static constexpr unsigned kScored = kParts > 1 || kWidth > 96 ? 32 : 64;  // keys at once
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

}  // namespace unisim::on_tensor_cores
