// packed_attention in float: attention of items of different lengths over ranges of keys.
//
// attention_float.cuh says what a block does, packed_attention.cuh how it walks over the ranges of its item.
// Least bytes moved: as packed_attention.cu says, with tiles of 64 queries and 32 keys. Its trap is here too.

#include <numbers>

#include "attention_float.cuh"
#include "check.h"
#include "packed_attention.cuh"

namespace unisim {
namespace {

using namespace in_float;

// ---- device code
// --------------------------------------------------------------------------------------------

template <unsigned kWidth>
__global__ void __launch_bounds__(kThreads, 3)
    attend_packed_float(PackedAttention<float> a, float exponent_scale, bool aligned) {
  const BlockPlace at = block_place<kQueries>(a, a.most_queries);
  const QueryTile<float> tile = query_tile(a, at);
  if (tile.first >= tile.queries) return;
  attend_block<kWidth>(a, tile, keys_of<kQueries>(a, at), exponent_scale, aligned);
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <unsigned kWidth>
void launch_width(Cuda place, const PackedAttention<float>& a) {
  constexpr unsigned kBytes = Shape<kWidth>::kBytes;
  if (kBytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(attend_packed_float<kWidth>),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
               "packed_attention");
  const int64_t blocks = a.item_count * a.heads * ceil_div(a.most_queries, kQueries);
  launch(attend_packed_float<kWidth>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kBytes,
         place.stream, a, a.scale * std::numbers::log2e_v<float>, aligned_heads(a));
}

}  // namespace

template <>
void packed_attention(Cuda place, const PackedAttention<float>& a) {
  if (a.item_count == 0 || a.most_queries == 0) return;
  if (a.head_width <= 64)
    launch_width<64>(place, a);
  else if (a.head_width <= 80)
    launch_width<80>(place, a);
  else if (a.head_width <= 96)
    launch_width<96>(place, a);
  else
    launch_width<128>(place, a);
  check_cuda(cudaGetLastError(), "packed_attention");
}

}  // namespace unisim
