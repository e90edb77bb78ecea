// lpips_distance: the distance of one layer of LPIPS, from features that lie channels last.
//
// Two traps: features of one picture against itself must give exactly 0, so that the difference may not be
// fused into a multiplication; and the sum over places must not depend on the batch, so that its order is
// fixed by `places`.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

constexpr unsigned kThreads = 256;
constexpr float kEpsilon = 1e-10f;

/// The sum over the block, in an order of its own; every thread must take part, thread 0 gets it.
__device__ inline float block_sum(float x) {
  SHARED_ARRAY(float, part, kThreads / kWarp);
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) part[threadIdx.x / kWarp] = x;
  __syncthreads();
  float sum = 0;
  for (unsigned w = 0; w < kThreads / kWarp; ++w) sum += part[w];
  return sum;
}

/// The sum over aligned groups of `lanes` lanes, a power of two.
__device__ inline float group_sum(float x, unsigned lanes) {
  for (unsigned step = lanes / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

/// What the channels of a place from `channel` on, every `step`, add to the distance: of_x and of_y are the
/// inverses of the lengths.
template <class T>
__device__ inline float weighted_difference(const T* x, const T* y, const float* weight, int64_t channels,
                                            int64_t channel, int64_t step, float of_x, float of_y,
                                            bool aligned) {
  float sum = 0;
  for (int64_t c = channel; c < channels; c += step) {
    const int64_t left = channels - c;
    const Pack<T> a = load_pack(x + c, left, aligned), b = load_pack(y + c, left, aligned);
#pragma unroll
    for (int j = 0; j < kPack<T>; j += kPack<float>) {
      const Pack<float> w = load_pack(weight + c + j, left - j, aligned);
#pragma unroll
      for (int i = 0; i < kPack<float>; ++i) {
        const float d = __fmul_rn(a.v[j + i], of_x) - __fmul_rn(b.v[j + i], of_y);
        sum += w.v[i] * (d * d);
      }
    }
  }
  return sum;
}

/// A block takes one of `parts` parts of an item's places; groups of `lanes` lanes take places in turn. The
/// channels are read twice, the second time from the cache.
template <class T>
__global__ void __launch_bounds__(kThreads)
    sum_places(LpipsLayer<T> layer, int64_t parts, unsigned lanes, float* out, bool aligned) {
  const int64_t item = blockIdx.x / parts, part = blockIdx.x % parts;
  const int64_t each = ceil_div(layer.places, parts);
  const int64_t end = min((part + 1) * each, layer.places);
  const int64_t channel = threadIdx.x % lanes * kPack<T>, step = lanes * kPack<T>;
  float sum = 0;
  for (int64_t begin = part * each; begin < end; begin += kThreads / lanes) {
    const int64_t place = begin + threadIdx.x / lanes;
    const bool here = place < end;  // shuffles want the other lanes too
    const int64_t at = (item * layer.places + place) * layer.channels;
    float x_squares = 0, y_squares = 0;
    for (int64_t c = channel; here && c < layer.channels; c += step) {
      const int64_t left = layer.channels - c;
      const Pack<T> a = load_pack(layer.x + at + c, left, aligned),
                    b = load_pack(layer.y + at + c, left, aligned);
#pragma unroll
      for (int j = 0; j < kPack<T>; ++j) {
        x_squares += a.v[j] * a.v[j];
        y_squares += b.v[j] * b.v[j];
      }
    }
    const float of_x = 1.0f / (sqrtf(group_sum(x_squares, lanes)) + kEpsilon);
    const float of_y = 1.0f / (sqrtf(group_sum(y_squares, lanes)) + kEpsilon);
    if (here)
      sum += weighted_difference(layer.x + at, layer.y + at, layer.weight, layer.channels, channel, step,
                                 of_x, of_y, aligned);
  }
  sum = block_sum(sum);
  if (threadIdx.x > 0) return;
  if (parts > 1)
    out[blockIdx.x] = sum;
  else
    out[item] += sum / static_cast<float>(layer.places);
}

/// One warp an item.
__global__ void __launch_bounds__(kWarp)
    add_parts(const float* part, int64_t parts, int64_t places, float* out) {
  float sum = 0;
  for (int64_t k = threadIdx.x; k < parts; k += kWarp) sum += part[blockIdx.x * parts + k];
  sum = warp_sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] += sum / static_cast<float>(places);
}

/// So many lanes that each takes a pack of a place, but no more than a warp has.
template <class T>
unsigned lanes_for(int64_t channels) {
  unsigned lanes = 1;
  while (lanes < kWarp && lanes * kPack<T> < channels) lanes *= 2;
  return lanes;
}

}  // namespace

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T>
void lpips_distance(Cuda place, const LpipsLayer<T>& layer, float* out) {
  if (layer.items == 0 || layer.places == 0) return;
  const int64_t parts = layer.workspace ? lpips_parts(layer.places) : 1;
  const bool aligned = layer.channels % kPack<T> == 0 && aligned_data(layer.x) && aligned_data(layer.y) &&
                       aligned_data(layer.weight);
  launch(sum_places<T>, dim3(static_cast<unsigned>(layer.items * parts)), dim3(kThreads), 0, place.stream,
         layer, parts, lanes_for<T>(layer.channels), parts > 1 ? layer.workspace : out, aligned);
  if (parts > 1)
    launch(add_parts, dim3(static_cast<unsigned>(layer.items)), dim3(kWarp), 0, place.stream, layer.workspace,
           parts, layer.places, out);
  check_cuda(cudaGetLastError(), "lpips_distance");
}

template void lpips_distance(Cuda, const LpipsLayer<float>&, float*);
template void lpips_distance(Cuda, const LpipsLayer<bf16>&, float*);
template void lpips_distance(Cuda, const LpipsLayer<f16>&, float*);

}  // namespace unisim
