// attention in float: softmax(scale q k^T) v, one pass over the keys.
//
// attention_float.cuh says what a block does. Least bytes moved: as attention.cu says, with tiles of 64
// queries. Its trap is here too.

#include <numbers>

#include "attention_float.cuh"
#include "check.h"

namespace unisim {
namespace {

using namespace in_float;

// ---- device code
// --------------------------------------------------------------------------------------------

template <unsigned kWidth>
__global__ void __launch_bounds__(kThreads, 3)
    attend_float(Attention<float> a, float exponent_scale, bool aligned) {
  const BlockPlace at = block_place<kQueries>(a, a.queries);
  attend_block<kWidth>(a, query_tile(a, at), keys_of<kQueries>(a, at), exponent_scale, aligned);
}

// ---- launcher ---------------------------------------------------------------------------------------------

template <unsigned kWidth>
void launch_width(Cuda place, const Attention<float>& a) {
  constexpr unsigned kBytes = Shape<kWidth>::kBytes;
  if (kBytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(attend_float<kWidth>),
                                    cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes),
               "attention");
  const int64_t blocks = a.items * a.heads * ceil_div(a.queries, kQueries);
  launch(attend_float<kWidth>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), kBytes, place.stream, a,
         a.scale * std::numbers::log2e_v<float>, aligned_heads(a));
}

}  // namespace

template <>
void attention(Cuda place, const Attention<float>& a) {
  if (a.items == 0 || a.queries == 0) return;
  if (a.head_width <= 64)
    launch_width<64>(place, a);
  else if (a.head_width <= 72)
    launch_width<72>(place, a);
  else if (a.head_width <= 80)
    launch_width<80>(place, a);
  else if (a.head_width <= 96)
    launch_width<96>(place, a);
  else
    launch_width<128>(place, a);
  check_cuda(cudaGetLastError(), "attention");
}

}  // namespace unisim
