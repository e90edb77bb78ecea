// bias_activation: activation(x + bias); gated_activation: activation(gate) * up, the halves of x + bias.
//
// The trap: memory decides, so that a number must not cost more than some thirty instructions: no division
// but the fast one, and an activation is chosen when the kernel is compiled.
//
// Bytes: x read once and out written once; bias read once a warp and column.

#include "activation.cuh"
#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

constexpr unsigned kWarpsPerBlock = 8;
/// What the multiprocessors of an H100 hold at once; further rows are taken by turns, the bias kept.
constexpr int64_t kBlocks = 1056;

// ---- device code ------------------------------------------------------------------------------------------

/// A warp takes 32 packs of columns (blockIdx.x) of every gridDim.y * 8th row.
template <class T>
__device__ int64_t own_column() {
  // In 32 bits first: added to a row's offset in 64, nvcc no longer joins a pack's stores.
  return static_cast<int64_t>(blockIdx.x * kWarp + threadIdx.x % kWarp) * kPack<T>;
}
__device__ inline int64_t own_row() { return int64_t{blockIdx.y} * kWarpsPerBlock + threadIdx.x / kWarp; }
__device__ inline int64_t row_step() { return int64_t{gridDim.y} * kWarpsPerBlock; }

/// The bias at a column; zeros where there is none.
template <class T>
__device__ Pack<T> load_bias(const T* bias, int64_t k, int64_t left, bool whole) {
  if (bias) return load_pack(bias + k, left, whole);
  Pack<T> none;
  for (float& value : none.v) value = 0;
  return none;
}

template <class T, Activation kActivation>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock)
    activate_rows(Rows<const T> x, const T* bias, Rows<T> out, bool aligned) {
  const int64_t k = own_column<T>(), left = x.width - k;
  if (left <= 0) return;
  const bool whole = aligned && left >= kPack<T>;
  const Pack<T> added = load_bias(bias, k, left, whole);
  for (int64_t i = own_row(); i < x.rows; i += row_step()) {
    Pack<T> pack = load_pack(x.row(i) + k, left, whole);
#pragma unroll
    for (int j = 0; j < kPack<T>; ++j) pack.v[j] = activated<kActivation>(pack.v[j] + added.v[j]);
    store_pack(out.row(i) + k, pack, left, whole);
  }
}

template <class T, Activation kActivation>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock)
    gate_rows(Rows<const T> x, const T* bias, Rows<T> out, bool aligned) {
  const int64_t k = own_column<T>(), left = out.width - k;
  if (left <= 0) return;
  const bool whole = aligned && left >= kPack<T>;
  const Pack<T> gate_bias = load_bias(bias, k, left, whole);
  const Pack<T> up_bias = load_bias(bias, out.width + k, left, whole);
  for (int64_t i = own_row(); i < x.rows; i += row_step()) {
    Pack<T> gate = load_pack(x.row(i) + k, left, whole);
    const Pack<T> up = load_pack(x.row(i) + out.width + k, left, whole);
#pragma unroll
    for (int j = 0; j < kPack<T>; ++j)
      gate.v[j] = activated<kActivation>(gate.v[j] + gate_bias.v[j]) * (up.v[j] + up_bias.v[j]);
    store_pack(out.row(i) + k, gate, left, whole);
  }
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T>
dim3 grid_for(Rows<T> out) {
  const int64_t across = ceil_div(out.width, kWarp * kPack<T>), down = ceil_div(out.rows, kWarpsPerBlock);
  const int64_t most = ceil_div(kBlocks, across);
  return dim3(static_cast<unsigned>(across), static_cast<unsigned>(down < most ? down : most));
}

}  // namespace

template <class T>
void bias_activation(Cuda place, Rows<const T> x, const T* bias, Activation activation, Rows<T> out) {
  if (x.rows == 0 || x.width == 0) return;
  const bool aligned = aligned_rows(x) && aligned_rows(out) && aligned_data(bias);
  choose_activation(activation, [&](auto chosen) {
    launch(activate_rows<T, chosen()>, grid_for(out), dim3(kWarp * kWarpsPerBlock), 0, place.stream, x, bias,
           out, aligned);
  });
  check_cuda(cudaGetLastError(), "bias_activation");
}

template <class T>
void gated_activation(Cuda place, Rows<const T> x, const T* bias, Activation activation, Rows<T> out) {
  if (out.rows == 0 || out.width == 0) return;
  const bool aligned =
      aligned_rows(x) && aligned_rows(out) && aligned_data(bias) && out.width % kPack<T> == 0;
  choose_activation(activation, [&](auto chosen) {
    launch(gate_rows<T, chosen()>, grid_for(out), dim3(kWarp * kWarpsPerBlock), 0, place.stream, x, bias, out,
           aligned);
  });
  check_cuda(cudaGetLastError(), "gated_activation");
}

template void bias_activation(Cuda, Rows<const float>, const float*, Activation, Rows<float>);
template void bias_activation(Cuda, Rows<const bf16>, const bf16*, Activation, Rows<bf16>);
template void bias_activation(Cuda, Rows<const f16>, const f16*, Activation, Rows<f16>);
template void gated_activation(Cuda, Rows<const float>, const float*, Activation, Rows<float>);
template void gated_activation(Cuda, Rows<const bf16>, const bf16*, Activation, Rows<bf16>);
template void gated_activation(Cuda, Rows<const f16>, const f16*, Activation, Rows<f16>);

}  // namespace unisim
