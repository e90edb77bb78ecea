// interleaved_mof: two streams of tokens into one, by turns. Bytes are moved, so every dtype is exact.
//
// The trap: a token may have any number of bytes and begin anywhere: the widest access that fits them all is
// chosen once, on the host.
//
// Bytes: 4 * tokens * token_bytes.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

constexpr unsigned kWarpsPerBlock = 8;

// ---- device code ------------------------------------------------------------------------------------------

/// One warp a token of each stream, in units of V.
template <class V>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock)
    take_turns(const V* a, const V* b, int64_t tokens, int64_t units, V* out) {
  const int64_t n = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (n >= tokens) return;
  const V* from_a = a + n * units;
  const V* from_b = b + n * units;
  V* to = out + 2 * n * units;
#pragma unroll 4
  for (int64_t k = threadIdx.x % kWarp; k < units; k += kWarp) {
    const V x = load_as<V>(from_a + k), y = load_as<V>(from_b + k);
    store_as<V>(to + k, x);
    store_as<V>(to + units + k, y);
  }
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <class V>
void launch_with(Cuda place, const void* a, const void* b, int64_t tokens, int64_t token_bytes, void* out) {
  const auto blocks = static_cast<unsigned>(ceil_div(tokens, kWarpsPerBlock));
  launch(take_turns<V>, dim3(blocks), dim3(kWarp * kWarpsPerBlock), 0, place.stream, static_cast<const V*>(a),
         static_cast<const V*>(b), tokens, token_bytes / static_cast<int64_t>(sizeof(V)),
         static_cast<V*>(out));
}

}  // namespace

void interleaved_mof(Cuda place, const void* a, const void* b, int64_t tokens, int64_t token_bytes,
                     void* out) {
  if (tokens == 0 || token_bytes == 0) return;
  const uint64_t together = reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) |
                            reinterpret_cast<uintptr_t>(out) | static_cast<uint64_t>(token_bytes);
  if (together % 16 == 0)
    launch_with<uint4>(place, a, b, tokens, token_bytes, out);
  else if (together % 4 == 0)
    launch_with<uint32_t>(place, a, b, tokens, token_bytes, out);
  else
    launch_with<uint8_t>(place, a, b, tokens, token_bytes, out);
  check_cuda(cudaGetLastError(), "interleaved_mof");
}

}  // namespace unisim
