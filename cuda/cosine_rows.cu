// cosine_rows: a[i] . b[i] / (|a[i]| |b[i]|), row by row: the product and both squared lengths in one pass.
//
// The traps: identical rows must give exactly 1, which the root of a product of equal squares does and a
// product of roots does not; the product of squares would overflow a float, so that it is taken in double;
// and a clamp must let a NaN pass.
//
// Bytes: rows * (2 * width * sizeof(T) + 4).

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

constexpr unsigned kWarpsPerBlock = 8;

// ---- device code ------------------------------------------------------------------------------------------

struct Sums {
  float dot = 0, a = 0, b = 0;

  template <class T>
  __device__ void add(const Pack<T>& x, const Pack<T>& y) {
#pragma unroll
    for (int j = 0; j < kPack<T>; ++j) {
      dot += x.v[j] * y.v[j];
      a += x.v[j] * x.v[j];
      b += y.v[j] * y.v[j];
    }
  }
};

__device__ inline float cosine_of_sums(float dot, float a, float b) {
  if (a == 0.0f || b == 0.0f) return 0.0f;
  const double root = __dsqrt_rn(__dmul_rn(a, b));
  const auto cosine = static_cast<float>(__ddiv_rn(dot, root));
  return cosine > 1.0f ? 1.0f : cosine < -1.0f ? -1.0f : cosine;
}

/// One warp a row: whole packs first, unrolled so that several are under way, then what is left.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock)
    cosine_of_rows(Rows<const T> a, Rows<const T> b, float* out, bool aligned) {
  const int64_t i = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (i >= a.rows) return;
  const T* x = a.row(i);
  const T* y = b.row(i);
  Sums sums;
  int64_t k = threadIdx.x % kWarp * kPack<T>;
  if (aligned) {
#pragma unroll 4
    for (; k + kPack<T> <= a.width; k += kWarp * kPack<T>)
      sums.add(load_pack(x + k, kPack<T>, true), load_pack(y + k, kPack<T>, true));
  }
  for (; k < a.width; k += kWarp * kPack<T>) {
    const int64_t left = a.width - k;
    sums.add(load_pack(x + k, left, false), load_pack(y + k, left, false));
  }
  const float dot = warp_sum(sums.dot), a_square = warp_sum(sums.a), b_square = warp_sum(sums.b);
  if (threadIdx.x % kWarp == 0) out[i] = cosine_of_sums(dot, a_square, b_square);
}

}  // namespace

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T>
void cosine_rows(Cuda place, Rows<const T> a, Rows<const T> b, float* out) {
  if (a.rows == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(a.rows, kWarpsPerBlock));
  launch(cosine_of_rows<T>, dim3(blocks), dim3(kWarp * kWarpsPerBlock), 0, place.stream, a, b, out,
         aligned_rows(a) && aligned_rows(b));
  check_cuda(cudaGetLastError(), "cosine_rows");
}

template void cosine_rows(Cuda, Rows<const float>, Rows<const float>, float*);
template void cosine_rows(Cuda, Rows<const bf16>, Rows<const bf16>, float*);
template void cosine_rows(Cuda, Rows<const f16>, Rows<const f16>, float*);

}  // namespace unisim
