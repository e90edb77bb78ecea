#pragma once

#include <cstdint>

#include "device.cuh"
#include "half.h"
#include "views.h"

/// Sixteen bytes of a row at a time, as floats: the one way that kernels read and write stored numbers.
namespace unisim {

__device__ inline float as_float(float x) { return x; }
__device__ inline float as_float(bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
__device__ inline float as_float(f16 x) {
  __half_raw raw;
  raw.x = x.bits;
  return __half2float(__half(raw));
}

/// The nearest T, ties to even.
template <class T>
__device__ T stored(float x);
template <>
__device__ inline float stored<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 stored<bf16>(float x) {
  return {__nv_bfloat16_raw(__float2bfloat16_rn(x)).x};
}
template <>
__device__ inline f16 stored<f16>(float x) {
  return {__half_raw(__float2half_rn(x)).x};
}

template <class T>
constexpr int kPack = 16 / static_cast<int>(sizeof(T));

template <class T>
struct Pack {
  float v[kPack<T>];
};

/// kPack numbers from `from` on. `whole` says that all are there and the address is 16-byte aligned: one load. Else the
/// first `left` (at most kPack, at least 0) one by one, and zeros.
template <class T>
__device__ inline Pack<T> load_pack(const T* from, int64_t left, bool whole) {
  Pack<T> pack;
  if (whole) {
    const uint4 bits = load_as<uint4>(from);
    const unsigned word[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int k = 0; k < kPack<T>; ++k) {
      if constexpr (sizeof(T) == 4)
        pack.v[k] = __uint_as_float(word[k]);
      else
        pack.v[k] = as_float(T{static_cast<uint16_t>(word[k / 2] >> (16 * (k % 2)))});
    }
  } else {
#pragma unroll
    for (int k = 0; k < kPack<T>; ++k) pack.v[k] = k < left ? as_float(from[k]) : 0.0f;
  }
  return pack;
}

template <class T>
__device__ inline void store_pack(T* to, const Pack<T>& pack, int64_t left, bool whole) {
  if (whole) {
    unsigned word[4] = {0, 0, 0, 0};
#pragma unroll
    for (int k = 0; k < kPack<T>; ++k) {
      if constexpr (sizeof(T) == 4)
        word[k] = __float_as_uint(pack.v[k]);
      else
        word[k / 2] |= static_cast<unsigned>(stored<T>(pack.v[k]).bits) << (16 * (k % 2));
    }
    store_as<uint4>(to, make_uint4(word[0], word[1], word[2], word[3]));
  } else {
#pragma unroll
    for (int k = 0; k < kPack<T>; ++k)
      if (k < left) to[k] = stored<T>(pack.v[k]);
  }
}

/// Whether every row of these begins at a multiple of 16 bytes (rows that are not there do).
template <class T>
inline bool aligned_rows(Rows<T> x) {
  return !x.data || (reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && x.stride * sizeof(T) % 16 == 0);
}
template <class T>
inline bool aligned_data(const T* x) {
  return reinterpret_cast<uintptr_t>(x) % 16 == 0;
}

}  // namespace unisim
