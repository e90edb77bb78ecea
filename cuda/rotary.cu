// rotary: pairs (k, k + half) of every head turned in place by the angle of the token's position.
//
// The trap: both numbers of a pair are written, and each is made of both: a lane must hold the two before it
// stores either.
//
// Bytes: each head read and written once, and the token's row of either table once a head, mostly from cache.

#include "check.h"
#include "float_pack.cuh"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

constexpr unsigned kWarpsPerBlock = 8;

// ---- device code ------------------------------------------------------------------------------------------

/// One warp a token: its lanes share out the packs of the first halves of all heads.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock) turn_tokens(Rotary<T> r, bool aligned) {
  const int64_t row = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (row >= r.items * r.tokens) return;
  const int64_t item = row / r.tokens, token = row - item * r.tokens;
  const int half = static_cast<int>(r.head_width / 2);
  const int packs = (half + kPack<T> - 1) / kPack<T>;
  const float* cosine = r.cosine + (r.first + token) * half;
  const float* sine = r.sine + (r.first + token) * half;
  for (int at = static_cast<int>(threadIdx.x % kWarp); at < packs * static_cast<int>(r.heads); at += kWarp) {
    const int head = at / packs, k = (at - head * packs) * kPack<T>, left = half - k;
    T* first = r.x.at(item, token, head) + k;
    T* second = first + half;
    Pack<T> x = load_pack(first, left, aligned), y = load_pack(second, left, aligned);
    const Pack<T> c = load_floats<T>(cosine + k, left, aligned), s = load_floats<T>(sine + k, left, aligned);
#pragma unroll
    for (int j = 0; j < kPack<T>; ++j) {
      const float turned = x.v[j] * c.v[j] - y.v[j] * s.v[j];
      y.v[j] = y.v[j] * c.v[j] + x.v[j] * s.v[j];
      x.v[j] = turned;
    }
    store_pack(first, x, left, aligned);
    store_pack(second, y, left, aligned);
  }
}

// ---- launcher ---------------------------------------------------------------------------------------------

/// Whether the halves of every head and the rows of both tables begin at multiples of 16 bytes and are of
/// whole packs.
template <class T>
bool aligned_rotary(const Rotary<T>& r) {
  const int64_t strides = r.x.item | r.x.token | r.x.head | (r.head_width / 2);
  return aligned_data(r.x.data) && aligned_data(r.cosine) && aligned_data(r.sine) && strides % kPack<T> == 0;
}

}  // namespace

template <class T>
void rotary(Cuda place, const Rotary<T>& r) {
  const int64_t rows = r.items * r.tokens;
  if (rows == 0 || r.heads == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(rows, kWarpsPerBlock));
  launch(turn_tokens<T>, dim3(blocks), dim3(kWarp * kWarpsPerBlock), 0, place.stream, r, aligned_rotary(r));
  check_cuda(cudaGetLastError(), "rotary");
}

template void rotary(Cuda, const Rotary<float>&);
template void rotary(Cuda, const Rotary<bf16>&);
template void rotary(Cuda, const Rotary<f16>&);

}  // namespace unisim
