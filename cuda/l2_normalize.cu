// l2_normalize: each row divided by its Euclidean length, a row that is zero or not finite flagged.
//
// The trap: a zero row must stay zero (a similarity of 0), never 0/0.

#include "check.h"
#include "device.cuh"
#include "kernels.h"

namespace unisim {
namespace {

// ---- device code --------------------------------------------------------------------------------------------

constexpr unsigned kWarp = 32;
constexpr unsigned kWarpsPerBlock = 8;

__device__ float warp_sum(float value) {
  for (unsigned step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(~0u, value, step);
  return value;
}

/// One warp a row: lanes stride over the row, then agree on the sum.
__global__ void normalize_rows(Rows<const float> x, Rows<float> out, int32_t* flag) {
  const unsigned lane = threadIdx.x % kWarp;
  const int64_t i = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (i >= x.rows) return;
  const float* from = x.row(i);
  float* to = out.row(i);
  float sum = 0;
  for (int64_t k = lane; k < x.width; k += kWarp) sum += from[k] * from[k];
  sum = warp_sum(sum);
  if (lane == 0 && (sum == 0.0f || !isfinite(sum))) *flag = 1;
  const float scale = sum == 0.0f ? 0.0f : 1.0f / sqrtf(sum);
  for (int64_t k = lane; k < x.width; k += kWarp) to[k] = from[k] * scale;
}

}  // namespace

// ---- launcher -----------------------------------------------------------------------------------------------

void l2_normalize(Cuda place, Rows<const float> x, Rows<float> out, int32_t* flag) {
  if (x.rows == 0) return;
  const auto blocks = static_cast<unsigned>((x.rows + kWarpsPerBlock - 1) / kWarpsPerBlock);
  launch(normalize_rows, dim3(blocks), dim3(kWarp * kWarpsPerBlock), 0, place.stream, x, out, flag);
  check_cuda(cudaGetLastError(), "l2_normalize");
}

}  // namespace unisim
