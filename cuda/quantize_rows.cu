// quantize_rows: rows to signed bytes, with the scale and how far the bytes lie from the row.
//
// The trap: the residual is used as a bound, so its own rounding must go up; and a scale below the normal
// floats is so coarse that a quotient can pass 127. Bytes: width * (2 sizeof(T) + 1) a row, the second
// reading from a cache.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ---------------------------------------------------------------------------------------

constexpr unsigned kWarpsPerBlock = 8;

/// x / scale to the nearest, ties to even, within [-127, 127].
__device__ inline int quantized(float x, float scale) {
  return min(127, max(-127, __float2int_rn(__fdiv_rn(x, scale))));
}

/// The square root of a sum of `terms` squares in double as a float that is not below the exact one.
__device__ inline float root_above(double sum, int64_t terms) {
  const double root = __dmul_rn(__dsqrt_rn(sum), 1 + static_cast<double>(terms + 4) * 0x1p-52);
  const auto nearest = static_cast<float>(root);
  return static_cast<double>(nearest) < root ? __uint_as_float(__float_as_uint(nearest) + 1) : nearest;
}

template <class T>
__device__ inline void store_bytes(int8_t* to, const int (&q)[kPack<T>], int64_t left, bool whole) {
  if (whole) {
    unsigned word[kPack<T> / 4] = {};
#pragma unroll
    for (int k = 0; k < kPack<T>; ++k) word[k / 4] |= (static_cast<unsigned>(q[k]) & 255u) << (8 * (k % 4));
    if constexpr (kPack<T> == 8)
      store_as<uint2>(to, make_uint2(word[0], word[1]));
    else
      store_as<unsigned>(to, word[0]);
  } else {
#pragma unroll
    for (int k = 0; k < kPack<T>; ++k)
      if (k < left) to[k] = static_cast<int8_t>(q[k]);
  }
}

/// One warp a row: its largest number, then bytes and what they miss.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock)
    quantize(Rows<const T> x, Rows<int8_t> out, float* scales, float* residuals, bool aligned) {
  const unsigned lane = threadIdx.x % kWarp;
  const int64_t i = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (i >= x.rows) return;
  const T* const from = x.row(i);
  int8_t* const to = out.row(i);
  float largest = 0;
  for (int64_t k = lane * kPack<T>; k < x.width; k += kWarp * kPack<T>) {
    const int64_t left = x.width - k;
    const Pack<T> pack = load_pack(from + k, left, aligned && left >= kPack<T>);
    for (const float value : pack.v) largest = fmaxf(largest, fabsf(value));
  }
  const float scale = __fdiv_rn(warp_max(largest), 127.0f);
  double missed = 0;
  for (int64_t k = lane * kPack<T>; k < x.width; k += kWarp * kPack<T>) {
    const int64_t left = x.width - k;
    const bool whole = aligned && left >= kPack<T>;
    const Pack<T> pack = load_pack(from + k, left, whole);
    int q[kPack<T>];
#pragma unroll
    for (int j = 0; j < kPack<T>; ++j) {
      q[j] = scale == 0 ? 0 : quantized(pack.v[j], scale);
      const double off = static_cast<double>(pack.v[j]) - static_cast<double>(scale) * q[j];  // exact
      missed += off * off;
    }
    store_bytes<T>(to + k, q, left, whole);
  }
  for (unsigned step = kWarp / 2; step > 0; step /= 2) missed += __shfl_xor_sync(kAllLanes, missed, step);
  if (lane != 0) return;
  scales[i] = scale;
  residuals[i] = root_above(missed, x.width);
}

}  // namespace

// ---- launcher ------------------------------------------------------------------------------------------

template <class T>
void quantize_rows(Cuda place, Rows<const T> x, Rows<int8_t> out, float* scale, float* residual) {
  if (x.rows == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(x.rows, kWarpsPerBlock));
  const bool aligned =
      aligned_rows(x) && reinterpret_cast<uintptr_t>(out.data) % kPack<T> == 0 && out.stride % kPack<T> == 0;
  launch(quantize<T>, dim3(blocks), dim3(kWarp * kWarpsPerBlock), 0, place.stream, x, out, scale, residual,
         aligned);
  check_cuda(cudaGetLastError(), "quantize_rows");
}

template void quantize_rows(Cuda, Rows<const float>, Rows<int8_t>, float*, float*);
template void quantize_rows(Cuda, Rows<const bf16>, Rows<int8_t>, float*, float*);
template void quantize_rows(Cuda, Rows<const f16>, Rows<int8_t>, float*, float*);

}  // namespace unisim
