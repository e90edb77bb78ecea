// packed_attention in bf16 and f16: attention of items of different lengths over ranges of keys, by tensor
// cores. packed_attention_float.cu has float.
//
// attention_half.cuh says what a block does, packed_attention.cuh how it walks over the ranges of its item. A
// block beyond its item's queries returns at once, so that items of one length are best. Least bytes moved:
// as attention.cu says, item by item, and the ranges, which every tile asks for again.
//
// The trap: every query must see the first key of the first range, and does: with several ranges all of the
// first is seen, and a single one has as many keys as the item has queries. head_width is a multiple of 8 up
// to 128, what lies between the widths that have an instance being filled with zeros. The caller has checked
// all that.

#include <numbers>

#include "attention_half.cuh"
#include "check.h"
#include "packed_attention.cuh"

namespace unisim {
namespace {

using namespace on_tensor_cores;

// ---- device code
// --------------------------------------------------------------------------------------------

/// Beside two parts the walk leaves registers for two blocks of a multiprocessor, not three.
template <class T, unsigned kWidth, unsigned kParts>
__global__ void __launch_bounds__(kThreads, 4 - kParts)
    attend_packed(PackedAttention<T> a, float exponent_scale, bool aligned) {
  constexpr unsigned kRows = 16 * kParts * kWarps;
  const BlockPlace at = block_place<kRows>(a, a.most_queries);
  const QueryTile<T> tile = query_tile(a, at);
  if (tile.first >= tile.queries) return;
  attend_block<T, kWidth, kParts>(a, tile, keys_of<kRows>(a, at), exponent_scale, aligned);
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <class T, unsigned kWidth, unsigned kParts>
void launch_attend(Cuda place, const PackedAttention<T>& a) {
  constexpr unsigned kBytes = kSharedBytes<T, kWidth, kParts>;
  if (kBytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(attend_packed<T, kWidth, kParts>),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
               "packed_attention");
  const int64_t blocks = a.item_count * a.heads * ceil_div(a.most_queries, kWarps * 16 * kParts);
  launch(attend_packed<T, kWidth, kParts>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kBytes,
         place.stream, a, a.scale * std::numbers::log2e_v<float>, aligned_heads(a));
}

}  // namespace

template <class T>
void packed_attention(Cuda place, const PackedAttention<T>& a) {
  if (a.item_count == 0 || a.most_queries == 0) return;
  if (a.head_width <= 64 && a.most_queries > 64)
    launch_attend<T, 64, 2>(place, a);  // two parts halve the reads of shared memory
  else if (a.head_width <= 64)
    launch_attend<T, 64, 1>(place, a);
  else if (a.head_width <= 80)
    launch_attend<T, 80, 1>(place, a);
  else if (a.head_width <= 96)
    launch_attend<T, 96, 1>(place, a);
  else
    launch_attend<T, 128, 1>(place, a);
  check_cuda(cudaGetLastError(), "packed_attention");
}

template void packed_attention(Cuda, const PackedAttention<bf16>&);
template void packed_attention(Cuda, const PackedAttention<f16>&);

}  // namespace unisim
