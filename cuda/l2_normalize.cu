// l2_normalize: each row divided by its Euclidean length, a row that is zero or not finite flagged.
//
// The trap: a zero row must stay zero (a similarity of 0), never 0/0.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code --------------------------------------------------------------------------------------------

constexpr unsigned kWarpsPerBlock = 8;

/// One warp a row: lanes stride over the row in packs, then agree on the sum.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock)
    normalize_rows(Rows<const T> x, Rows<T> out, int32_t* flag, bool aligned) {
  const unsigned lane = threadIdx.x % kWarp;
  const int64_t i = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (i >= x.rows) return;
  const T* from = x.row(i);
  T* to = out.row(i);
  float sum = 0;
  for (int64_t k = lane * kPack<T>; k < x.width; k += kWarp * kPack<T>) {
    const int64_t left = x.width - k;
    const Pack<T> pack = load_pack(from + k, left, aligned && left >= kPack<T>);
    for (float value : pack.v) sum += value * value;
  }
  sum = warp_sum(sum);
  if (lane == 0 && (sum == 0.0f || !isfinite(sum))) atomicMax(flag, 1);
  const float scale = sum == 0.0f ? 0.0f : 1.0f / sqrtf(sum);
  for (int64_t k = lane * kPack<T>; k < x.width; k += kWarp * kPack<T>) {
    const int64_t left = x.width - k;
    const bool whole = aligned && left >= kPack<T>;
    Pack<T> pack = load_pack(from + k, left, whole);
    for (float& value : pack.v) value *= scale;
    store_pack(to + k, pack, left, whole);
  }
}

}  // namespace

// ---- launcher -----------------------------------------------------------------------------------------------

template <class T>
void l2_normalize(Cuda place, Rows<const T> x, Rows<T> out, int32_t* flag) {
  if (x.rows == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(x.rows, kWarpsPerBlock));
  launch(normalize_rows<T>, dim3(blocks), dim3(kWarp * kWarpsPerBlock), 0, place.stream, x, out, flag,
         aligned_rows(x) && aligned_rows(out));
  check_cuda(cudaGetLastError(), "l2_normalize");
}

template void l2_normalize(Cuda, Rows<const float>, Rows<float>, int32_t*);
template void l2_normalize(Cuda, Rows<const bf16>, Rows<bf16>, int32_t*);
template void l2_normalize(Cuda, Rows<const f16>, Rows<f16>, int32_t*);

}  // namespace unisim
