// rms_norm: s / sqrt(mean of s^2 + eps) * weight of each row of s = x + bias + residual, s stored too where
// asked.
//
// The trap: the norm is of the float sum, never of what was stored of it.
//
// Bytes, for aligned rows up to 2048 wide in whole packs: each row of x and residual read once, of out and
// sum written once, weight and bias read once a block:
//   rows * width * sizeof(T) * (2 + [residual] + [sum]) + blocks * width * (4 + sizeof(T) * [bias]),
// blocks = min(ceil(rows / 8), 528). Other rows are read twice and their vectors once a row.

#include "check.h"
#include "kernels.h"
#include "norm_rows.cuh"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

/// s * scale * weight, number by number.
template <class T>
__device__ Pack<T> scaled(const Pack<T>& s, float scale, const Pack<T>& weight) {
  Pack<T> out;
#pragma unroll
  for (int j = 0; j < kPack<T>; ++j) out.v[j] = s.v[j] * scale * weight.v[j];
  return out;
}

/// One warp a row, which stays in its registers. The first row is asked for before the vectors are staged:
/// its way from memory is the longest.
template <class T, int kValues>
__global__ void __launch_bounds__(kWarp* kNormWarps) rms_norm_held(NormRows<T> n) {
  using Vector = StagedVector<T, kValues>;
  float* weight = reinterpret_cast<float*>(dynamic_shared());
  float* bias = weight + Vector::kFloats;
  const int width = static_cast<int>(n.x.width);
  HeldRow<T, kValues> s;
  int64_t i = first_norm_row();
  if (i < n.x.rows) s.load(n, i);
  Vector::stage(n.weight, width, weight);
  if (n.bias) Vector::stage(n.bias, width, bias);
  __syncthreads();
  while (i < n.x.rows) {
    s.finish_sum(n, i, bias);
    float squares = 0;
    s.each(width, [&](Pack<T>& pack, int) {
      for (float value : pack.v) squares += value * value;
    });
    const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(width) + n.eps);
    T* out = n.out.row(i);
    s.each(width, [&](Pack<T>& pack, int k) {
      store_pack(out + k, scaled(pack, scale, Vector::load(weight, k)), kPack<T>, true);
    });
    i += norm_row_step();
    if (i < n.x.rows) s.load(n, i);
  }
}

/// One warp a row of any width and alignment, read twice. Each lane stores over what it alone reads, in the
/// last pass.
template <class T>
__global__ void __launch_bounds__(kWarp* kNormWarps) rms_norm_again(NormRows<T> n, bool aligned) {
  const int64_t first = threadIdx.x % kWarp * kPack<T>, step = kWarp * kPack<T>;
  const auto whole = [&](int64_t k) { return aligned && k + kPack<T> <= n.x.width; };
  for (int64_t i = first_norm_row(); i < n.x.rows; i += norm_row_step()) {
    float squares = 0;
    for (int64_t k = first; k < n.x.width; k += step) {
      const Pack<T> s = summed_pack(n, i, k, whole(k));
      for (float value : s.v) squares += value * value;
    }
    const float scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(n.x.width) + n.eps);
    for (int64_t k = first; k < n.x.width; k += step) {
      const int64_t left = n.x.width - k;
      const Pack<T> s = summed_pack(n, i, k, whole(k));
      if (n.sum.data) store_pack(n.sum.row(i) + k, s, left, whole(k));
      const Pack<T> weight = load_floats<T>(n.weight + k, left, whole(k));
      store_pack(n.out.row(i) + k, scaled(s, scale, weight), left, whole(k));
    }
  }
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T, int kValues>
void launch_held(Cuda place, const NormRows<T>& n) {
  const std::size_t floats = StagedVector<T, kValues>::kFloats * std::size_t{n.bias ? 2u : 1u};
  launch(rms_norm_held<T, kValues>, norm_blocks(n.x.rows), dim3(kWarp * kNormWarps), floats * sizeof(float),
         place.stream, n);
}

}  // namespace

template <class T>
void rms_norm(Cuda place, const NormRows<T>& n) {
  if (n.x.rows == 0) return;
  if (!with_held_values(n, [&](auto values) { launch_held<T, decltype(values)::value>(place, n); }))
    launch(rms_norm_again<T>, norm_blocks(n.x.rows), dim3(kWarp * kNormWarps), 0, place.stream, n,
           aligned_norm(n));
  check_cuda(cudaGetLastError(), "rms_norm");
}

template void rms_norm(Cuda, const NormRows<float>&);
template void rms_norm(Cuda, const NormRows<bf16>&);
template void rms_norm(Cuda, const NormRows<f16>&);

}  // namespace unisim
