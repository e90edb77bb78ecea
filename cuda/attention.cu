// attention in bf16 and f16: softmax(scale q k^T) v by tensor cores, one pass over the keys (Milakov and
// Gimelshein 2018, Dao et al. 2022). attention_float.cu has float.
//
// attention_half.cuh says what a block does, and its traps. Least bytes moved, for t query tiles of a head,
// with s_i keys seen by any query of tile i (all of them unless causal): sizeof(T) * items * heads *
// head_width * (2 queries + 2 (s_1 + ... + s_t)).
//
// The trap: every query must see the first key, and does (keys >= 1, and where causal keys >= queries).
// head_width is a multiple of 8 up to 128, what lies between the widths that have an instance being filled
// with zeros. The caller has checked all that.

#include <numbers>

#include "attention_half.cuh"
#include "check.h"

namespace unisim {
namespace {

using namespace on_tensor_cores;

// ---- device code
// --------------------------------------------------------------------------------------------

template <class T, unsigned kWidth, unsigned kParts>
__global__ void __launch_bounds__(kThreads, 3) attend(Attention<T> a, float exponent_scale, bool aligned) {
  constexpr unsigned kRows = 16 * kParts * kWarps;
  const BlockPlace at = block_place<kRows>(a, a.queries);
  attend_block<T, kWidth, kParts>(a, query_tile(a, at), keys_of<kRows>(a, at), exponent_scale, aligned);
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T, unsigned kWidth, unsigned kParts>
void launch_attend(Cuda place, const Attention<T>& a) {
  constexpr unsigned kBytes = kSharedBytes<T, kWidth, kParts>;
  if (kBytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(attend<T, kWidth, kParts>),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
               "attention");
  const int64_t blocks = a.items * a.heads * ceil_div(a.queries, kWarps * 16 * kParts);
  launch(attend<T, kWidth, kParts>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kBytes, place.stream,
         a, a.scale * std::numbers::log2e_v<float>, aligned_heads(a));
}

/// Two parts halve the reads of shared memory; few queries would leave warps idle, and width 128 has no
/// registers left.
template <class T, unsigned kWidth>
void launch_width(Cuda place, const Attention<T>& a) {
  if (kWidth > 64 || a.queries <= 64)
    launch_attend<T, kWidth, 1>(place, a);
  else
    launch_attend<T, kWidth, kWidth <= 64 ? 2 : 1>(place, a);
}

}  // namespace

template <class T>
void attention(Cuda place, const Attention<T>& a) {
  if (a.items == 0 || a.queries == 0) return;
  if (a.head_width <= 64)
    launch_width<T, 64>(place, a);
  else if (a.head_width <= 72)
    launch_width<T, 72>(place, a);
  else if (a.head_width <= 80)
    launch_width<T, 80>(place, a);
  else if (a.head_width <= 96)
    launch_width<T, 96>(place, a);
  else
    launch_width<T, 128>(place, a);
  check_cuda(cudaGetLastError(), "attention");
}

template void attention(Cuda, const Attention<bf16>&);
template void attention(Cuda, const Attention<f16>&);

}  // namespace unisim
