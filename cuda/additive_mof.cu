// additive_mof: alpha a + (1 - alpha) b.
//
// The trap: the bits are those of the CPU: alpha rounded to float, its rest taken in float, two products and
// a sum each rounded, never fused.
//
// Bytes: 3 * count * sizeof(T).

#include "check.h"
#include "kernels.h"
#include "pack.cuh"

namespace unisim {
namespace {

constexpr unsigned kThreads = 256;

// ---- device code ------------------------------------------------------------------------------------------

/// One pack a thread.
template <class T>
__global__ void __launch_bounds__(kThreads)
    mix(const T* a, const T* b, float first, float rest, int64_t count, T* out, bool aligned) {
  const int64_t k = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kPack<T>, left = count - k;
  if (left <= 0) return;
  const bool whole = aligned && left >= kPack<T>;
  Pack<T> x = load_pack(a + k, left, whole);
  const Pack<T> y = load_pack(b + k, left, whole);
#pragma unroll
  for (int j = 0; j < kPack<T>; ++j) x.v[j] = __fadd_rn(__fmul_rn(first, x.v[j]), __fmul_rn(rest, y.v[j]));
  store_pack(out + k, x, left, whole);
}

}  // namespace

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T>
void additive_mof(Cuda place, const T* a, const T* b, double alpha, int64_t count, T* out) {
  if (count == 0) return;
  const auto first = static_cast<float>(alpha);
  const auto blocks = static_cast<unsigned>(ceil_div(count, kThreads * kPack<T>));
  launch(mix<T>, dim3(blocks), dim3(kThreads), 0, place.stream, a, b, first, 1 - first, count, out,
         aligned_data(a) && aligned_data(b) && aligned_data(out));
  check_cuda(cudaGetLastError(), "additive_mof");
}

template void additive_mof(Cuda, const float*, const float*, double, int64_t, float*);
template void additive_mof(Cuda, const bf16*, const bf16*, double, int64_t, bf16*);
template void additive_mof(Cuda, const f16*, const f16*, double, int64_t, f16*);

}  // namespace unisim
