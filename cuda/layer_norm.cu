// layer_norm: (s - mean) / sqrt(variance + eps) * weight + shift of each row of s = x + bias + residual, s
// stored too where asked.
//
// The traps: E[s^2] - E[s]^2 cancels where the mean is large, so that deviations are squared once the mean is
// known; and the norm is of the float sum, never of what was stored of it.
//
// Bytes, for aligned rows up to 2048 wide in whole packs: each row of x and residual read once, of out and
// sum written once, weight, shift and bias read once a block:
//   rows * width * sizeof(T) * (2 + [residual] + [sum]) + blocks * width * (8 + sizeof(T) * [bias]),
// blocks = min(ceil(rows / 8), 528). Other rows are read three times and their vectors once a row.

#include "check.h"
#include "kernels.h"
#include "norm_rows.cuh"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

/// (s - mean) * scale * weight + shift, number by number.
template <class T>
__device__ Pack<T> normalized(const Pack<T>& s, float mean, float scale, const Pack<T>& weight,
                              const Pack<T>& shift) {
  Pack<T> out;
#pragma unroll
  for (int j = 0; j < kPack<T>; ++j) out.v[j] = (s.v[j] - mean) * scale * weight.v[j] + shift.v[j];
  return out;
}

/// One warp a row, which stays in its registers. The first row is asked for before the vectors are staged:
/// its way from memory is the longest.
template <class T, int kValues>
__global__ void __launch_bounds__(kWarp* kNormWarps) layer_norm_held(NormRows<T> n) {
  using Vector = StagedVector<T, kValues>;
  float* weight = reinterpret_cast<float*>(dynamic_shared());
  float* shift = weight + Vector::kFloats;
  float* bias = shift + Vector::kFloats;
  const int width = static_cast<int>(n.x.width);
  HeldRow<T, kValues> s;
  int64_t i = first_norm_row();
  if (i < n.x.rows) s.load(n, i);
  Vector::stage(n.weight, width, weight);
  Vector::stage(n.shift, width, shift);
  if (n.bias) Vector::stage(n.bias, width, bias);
  __syncthreads();
  while (i < n.x.rows) {
    s.finish_sum(n, i, bias);
    float sum = 0;
    s.each(width, [&](Pack<T>& pack, int) {
      for (float value : pack.v) sum += value;
    });
    const float mean = warp_sum(sum) / static_cast<float>(width);
    float squares = 0;
    s.each(width, [&](Pack<T>& pack, int) {
      for (float value : pack.v) squares += (value - mean) * (value - mean);
    });
    const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(width) + n.eps);
    T* out = n.out.row(i);
    s.each(width, [&](Pack<T>& pack, int k) {
      const Pack<T> result = normalized(pack, mean, scale, Vector::load(weight, k), Vector::load(shift, k));
      store_pack(out + k, result, kPack<T>, true);
    });
    i += norm_row_step();
    if (i < n.x.rows) s.load(n, i);
  }
}

/// One warp a row of any width and alignment, read three times. Each lane stores over what it alone reads, in
/// the last pass.
template <class T>
__global__ void __launch_bounds__(kWarp* kNormWarps) layer_norm_again(NormRows<T> n, bool aligned) {
  const int64_t first = threadIdx.x % kWarp * kPack<T>, step = kWarp * kPack<T>;
  const auto whole = [&](int64_t k) { return aligned && k + kPack<T> <= n.x.width; };
  for (int64_t i = first_norm_row(); i < n.x.rows; i += norm_row_step()) {
    float sum = 0;
    for (int64_t k = first; k < n.x.width; k += step) {
      const Pack<T> s = summed_pack(n, i, k, whole(k));
      for (float value : s.v) sum += value;
    }
    const float mean = warp_sum(sum) / static_cast<float>(n.x.width);
    float squares = 0;
    for (int64_t k = first; k < n.x.width; k += step) {
      const Pack<T> s = summed_pack(n, i, k, whole(k));
      for (int j = 0; j < kPack<T>; ++j)
        if (k + j < n.x.width) squares += (s.v[j] - mean) * (s.v[j] - mean);
    }
    const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(n.x.width) + n.eps);
    for (int64_t k = first; k < n.x.width; k += step) {
      const int64_t left = n.x.width - k;
      const Pack<T> s = summed_pack(n, i, k, whole(k));
      if (n.sum.data) store_pack(n.sum.row(i) + k, s, left, whole(k));
      const Pack<T> weight = load_floats<T>(n.weight + k, left, whole(k));
      const Pack<T> shift = load_floats<T>(n.shift + k, left, whole(k));
      store_pack(n.out.row(i) + k, normalized(s, mean, scale, weight, shift), left, whole(k));
    }
  }
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T, int kValues>
void launch_held(Cuda place, const NormRows<T>& n) {
  const std::size_t floats = StagedVector<T, kValues>::kFloats * std::size_t{n.bias ? 3u : 2u};
  launch(layer_norm_held<T, kValues>, norm_blocks(n.x.rows), dim3(kWarp * kNormWarps), floats * sizeof(float),
         place.stream, n);
}

}  // namespace

template <class T>
void layer_norm(Cuda place, const NormRows<T>& n) {
  if (n.x.rows == 0) return;
  if (!with_held_values(n, [&](auto values) { launch_held<T, decltype(values)::value>(place, n); }))
    launch(layer_norm_again<T>, norm_blocks(n.x.rows), dim3(kWarp * kNormWarps), 0, place.stream, n,
           aligned_norm(n));
  check_cuda(cudaGetLastError(), "layer_norm");
}

template void layer_norm(Cuda, const NormRows<float>&);
template void layer_norm(Cuda, const NormRows<bf16>&);
template void layer_norm(Cuda, const NormRows<f16>&);

}  // namespace unisim
