#pragma once

#include "pack.cuh"

namespace unisim {

/// As many floats from `from` on as a pack of T has numbers; `left` and `whole` as for load_pack.
template <class T>
__device__ inline Pack<T> load_floats(const float* from, int64_t left, bool whole) {
  Pack<T> pack;
#pragma unroll
  for (int q = 0; q < kPack<T> / 4; ++q) {
    const Pack<float> quad = load_pack(from + 4 * q, left - 4 * q, whole);
#pragma unroll
    for (int j = 0; j < 4; ++j) pack.v[4 * q + j] = quad.v[j];
  }
  return pack;
}

}  // namespace unisim
