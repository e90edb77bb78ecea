#pragma once

#include <type_traits>

#include "float_pack.cuh"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

/// What layer_norm and rms_norm share: rows held in the registers of a warp, and the vectors of their width
/// staged once a block. Rows that are too wide for that, or not aligned, are read again instead
/// (summed_pack).
namespace unisim {

constexpr unsigned kNormWarps = 8;
/// Four blocks for each multiprocessor of an H100, which is what their registers admit; a block takes further
/// rows by turns and keeps its vectors.
constexpr unsigned kNormBlocks = 528;
/// A lane holds this many numbers at most: rows up to 2048 wide.
constexpr int kHeldValues = 64;

// ---- host side --------------------------------------------------------------------------------------------

inline dim3 norm_blocks(int64_t rows) {
  const int64_t blocks = ceil_div(rows, kNormWarps);
  return dim3(blocks < kNormBlocks ? static_cast<unsigned>(blocks) : kNormBlocks);
}

/// Whether every row and vector begins at a multiple of 16 bytes.
template <class T>
inline bool aligned_norm(const NormRows<T>& n) {
  return aligned_rows(n.x) && aligned_rows(n.residual) && aligned_rows(n.sum) && aligned_rows(n.out) &&
         aligned_data(n.bias) && aligned_data(n.weight) && aligned_data(n.shift);
}

/// How many numbers a lane must hold of an aligned row in whole packs; else more than it can.
template <class T>
inline int64_t held_values(const NormRows<T>& n) {
  if (!aligned_norm(n) || n.x.width % kPack<T> != 0) return kHeldValues + 1;
  return ceil_div(n.x.width, kWarp * kPack<T>) * kPack<T>;
}

/// f(std::integral_constant<int, values>) with as few values a lane as hold a row; false where none do.
template <class T, class F>
inline bool with_held_values(const NormRows<T>& n, F&& f) {
  const int64_t values = held_values(n);
  if (values <= 8)
    f(std::integral_constant<int, 8>());
  else if (values <= 16)
    f(std::integral_constant<int, 16>());
  else if (values <= 32)
    f(std::integral_constant<int, 32>());
  else if (values <= kHeldValues)
    f(std::integral_constant<int, kHeldValues>());
  else
    return false;
  return true;
}

// ---- vectors of the width in shared memory ----------------------------------------------------------------

/// A vector as floats in the order that lanes ask for. Packs of eight are kept as two runs of four, half of
/// the banks apart: 16 bytes a lane then meet every bank once, in staging as in reading.
template <class T, int kValues>
struct StagedVector {
  static constexpr int kPacks = kWarp * kValues / kPack<T>;
  static constexpr int kRun = 4 * kPacks + 16;
  static constexpr int kFloats = kPack<T> == 4 ? 4 * kPacks : kRun + 4 * kPacks;

  /// Where four numbers from 4 `quad` on are.
  static __device__ int at(int quad) { return kPack<T> == 4 ? 4 * quad : 4 * (quad / 2) + (quad % 2) * kRun; }

  /// By all threads of the block; a barrier must follow. S is float or T.
  template <class S>
  static __device__ void stage(const S* from, int width, float* to) {
    constexpr int kQuads = kPack<S> / 4;
    for (int p = static_cast<int>(threadIdx.x); p * kPack<S> < width; p += static_cast<int>(blockDim.x)) {
      const Pack<S> pack = load_pack(from + p * kPack<S>, kPack<S>, true);
#pragma unroll
      for (int q = 0; q < kQuads; ++q) {
        const Pack<float> quad = {{pack.v[4 * q], pack.v[4 * q + 1], pack.v[4 * q + 2], pack.v[4 * q + 3]}};
        store_pack(to + at(kQuads * p + q), quad, 4, true);
      }
    }
  }

  /// The pack at column k.
  static __device__ Pack<T> load(const float* staged, int k) {
    Pack<T> pack;
#pragma unroll
    for (int q = 0; q < kPack<T> / 4; ++q) {
      const Pack<float> quad = load_pack(staged + at(k / 4 + q), 4, true);
#pragma unroll
      for (int j = 0; j < 4; ++j) pack.v[4 * q + j] = quad.v[j];
    }
    return pack;
  }
};

// ---- rows -------------------------------------------------------------------------------------------------

/// The first row of this thread's warp, and the step to its next.
__device__ inline int64_t first_norm_row() { return int64_t{blockIdx.x} * kNormWarps + threadIdx.x / kWarp; }
__device__ inline int64_t norm_row_step() { return int64_t{gridDim.x} * kNormWarps; }

/// A row of whole packs in a warp's registers, packs by turns over the lanes.
template <class T, int kValues>
struct HeldRow {
  Pack<T> packs[kValues / kPack<T>];

  /// f(pack, column) for each pack of this lane.
  template <class F>
  __device__ void each(int width, F&& f) {
    const int lane = static_cast<int>(threadIdx.x % kWarp);
#pragma unroll
    for (int step = 0; step < kValues / kPack<T>; ++step) {
      const int k = (step * static_cast<int>(kWarp) + lane) * kPack<T>;
      if (k < width) f(packs[step], k);
    }
  }

  /// x + residual. No store stands between the loads, so that all of them are under way together.
  __device__ void load(const NormRows<T>& n, int64_t i) {
    const int width = static_cast<int>(n.x.width);
    const T* x = n.x.row(i);
    each(width, [x](Pack<T>& pack, int k) { pack = load_pack(x + k, kPack<T>, true); });
    if (!n.residual.data) return;
    const T* residual = n.residual.row(i);
    each(width, [residual](Pack<T>& pack, int k) {
      const Pack<T> more = load_pack(residual + k, kPack<T>, true);
#pragma unroll
      for (int j = 0; j < kPack<T>; ++j) pack.v[j] += more.v[j];
    });
  }

  /// Adds the staged bias and stores the sum, where there are such.
  __device__ void finish_sum(const NormRows<T>& n, int64_t i, const float* bias) {
    const int width = static_cast<int>(n.x.width);
    if (n.bias)
      each(width, [bias](Pack<T>& pack, int k) {
        const Pack<T> more = StagedVector<T, kValues>::load(bias, k);
#pragma unroll
        for (int j = 0; j < kPack<T>; ++j) pack.v[j] += more.v[j];
      });
    if (!n.sum.data) return;
    T* to = n.sum.row(i);
    each(width, [to](Pack<T>& pack, int k) { store_pack(to + k, pack, kPack<T>, true); });
  }
};

/// x + residual + bias of row i at column k from memory; zeros past the width. With `whole` as for load_pack.
template <class T>
__device__ inline Pack<T> summed_pack(const NormRows<T>& n, int64_t i, int64_t k, bool whole) {
  const int64_t left = n.x.width - k;
  Pack<T> s = load_pack(n.x.row(i) + k, left, whole);
  if (n.residual.data) {
    const Pack<T> more = load_pack(n.residual.row(i) + k, left, whole);
#pragma unroll
    for (int j = 0; j < kPack<T>; ++j) s.v[j] += more.v[j];
  }
  if (n.bias) {
    const Pack<T> more = load_pack(n.bias + k, left, whole);
#pragma unroll
    for (int j = 0; j < kPack<T>; ++j) s.v[j] += more.v[j];
  }
  return s;
}

}  // namespace unisim
