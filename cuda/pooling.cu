// pooling: one row an item, out of its tokens: the row at an index, or the mean of the rows from one on.
//
// The trap: an item's sum must not depend on the batch around it. The order of its additions is fixed by the
// warps of one block.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

constexpr unsigned kWarps = 8;

/// One warp an item; what is stored is copied, not rounded anew.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarps) copy_rows(Pooling<T> p, const int64_t* index, bool aligned) {
  const int64_t item = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  if (item >= p.items) return;
  const T* from = p.x + (item * p.tokens + (index ? index[item] : 0)) * p.width;
  T* to = p.out.row(item);
  for (int64_t k = threadIdx.x % kWarp * kPack<T>; k < p.width; k += kWarp * kPack<T>) {
    if (aligned) {
      store_as<uint4>(to + k, load_as<uint4>(from + k));
    } else {
      for (int64_t j = k; j < min(k + kPack<T>, p.width); ++j) to[j] = from[j];
    }
  }
}

/// A block takes the columns that a warp reads in packs; its warps take every kWarps-th row, then add their
/// sums.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarps) mean_rows(Pooling<T> p, int64_t first, bool aligned) {
  constexpr int kColumns = kWarp * kPack<T>;
  constexpr unsigned kSums = kWarps * kColumns;
  SHARED_ARRAY(float, part, kSums);
  const int64_t tiles = ceil_div(p.width, kColumns);
  const int64_t item = blockIdx.x / tiles, begin = blockIdx.x % tiles * kColumns;
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t k = begin + lane * kPack<T>, left = p.width - k;
  Pack<T> sum = {};
  if (left > 0) {
    const T* from = p.x + item * p.tokens * p.width + k;
#pragma unroll 4
    for (int64_t t = first + warp; t < p.tokens; t += kWarps) {
      const Pack<T> pack = load_pack(from + t * p.width, left, aligned);
#pragma unroll
      for (int j = 0; j < kPack<T>; ++j) sum.v[j] += pack.v[j];
    }
  }
#pragma unroll
  for (int j = 0; j < kPack<T>; j += 4)
    store_as<float4>(part + warp * kColumns + lane * kPack<T> + j,
                     make_float4(sum.v[j], sum.v[j + 1], sum.v[j + 2], sum.v[j + 3]));
  __syncthreads();
  const auto count = static_cast<float>(p.tokens - first);
  T* to = p.out.row(item) + begin;
  for (int column = static_cast<int>(threadIdx.x); column < min(int64_t{kColumns}, p.width - begin);
       column += kWarp * kWarps) {
    float total = 0;
    for (unsigned w = 0; w < kWarps; ++w) total += part[w * kColumns + column];
    to[column] = stored<T>(total / count);
  }
}

/// Whether rows of tokens are whole packs at multiples of 16 bytes.
template <class T>
bool aligned_tokens(const Pooling<T>& p) {
  return p.width % kPack<T> == 0 && aligned_data(p.x);
}

}  // namespace

// ---- launchers --------------------------------------------------------------------------------------------

template <class T>
void pool_row(Cuda place, const Pooling<T>& p, const int64_t* index) {
  const int64_t blocks = ceil_div(p.items, kWarps);
  if (blocks == 0) return;
  launch(copy_rows<T>, dim3(static_cast<unsigned>(blocks)), dim3(kWarp * kWarps), 0, place.stream, p, index,
         aligned_tokens(p) && aligned_rows(p.out));
  check_cuda(cudaGetLastError(), "pool_row");
}

template <class T>
void pool_mean(Cuda place, const Pooling<T>& p, int64_t first) {
  const int64_t blocks = p.items * ceil_div(p.width, kWarp * kPack<T>);
  if (blocks == 0) return;
  launch(mean_rows<T>, dim3(static_cast<unsigned>(blocks)), dim3(kWarp * kWarps), 0, place.stream, p, first,
         aligned_tokens(p));
  check_cuda(cudaGetLastError(), "pool_mean");
}

template void pool_row(Cuda, const Pooling<float>&, const int64_t*);
template void pool_row(Cuda, const Pooling<bf16>&, const int64_t*);
template void pool_row(Cuda, const Pooling<f16>&, const int64_t*);
template void pool_mean(Cuda, const Pooling<float>&, int64_t);
template void pool_mean(Cuda, const Pooling<bf16>&, int64_t);
template void pool_mean(Cuda, const Pooling<f16>&, int64_t);

}  // namespace unisim
