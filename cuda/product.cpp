// product: the library's product with bias and residual in its epilogue, or our own activation after it.
//
// The trap: cuBLASLt has a GELU epilogue, but does not say whether it is erf's or tanh's, and no quick GELU.
// Until a device has been asked, the activation is bias_activation, in place, which then adds the bias too:
// it costs one more reading and writing of the widest rows of a block.

#include "blas.h"
#include "kernels.h"

namespace unisim {
namespace {

constexpr GemmType type_of(const float*) { return GemmType::Float; }
constexpr GemmType type_of(const bf16*) { return GemmType::Bf16; }
constexpr GemmType type_of(const f16*) { return GemmType::F16; }

}  // namespace

template <class T>
void product(Cuda place, const Product<T>& p) {
  if (p.out.rows == 0 || p.out.width == 0) return;
  Gemm g;
  g.type = type_of(p.out.data);
  g.m = p.out.rows;
  g.n = p.out.width;
  g.k = p.a.width;
  g.a = {p.a.data, p.a.stride};
  g.weight = {p.weight.data, p.weight.stride};
  if (!p.activate) g.bias = p.bias;
  g.residual = {p.residual.data, p.residual.stride};
  g.out = {p.out.data, p.out.stride};
  g.batch_invariant = p.batch_invariant;
  gemm(g, place.stream);
  if (!p.activate) return;
  const Rows<const T> summed{p.out.data, p.out.rows, p.out.width, p.out.stride};
  bias_activation<T>(place, summed, p.bias, p.activation, p.out);
}

void prepare_products(Cuda place) { prepare_gemm(place.stream); }
void release_products(Cuda place) noexcept { release_gemm(place.stream); }

template void product(Cuda, const Product<float>&);
template void product(Cuda, const Product<bf16>&);
template void product(Cuda, const Product<f16>&);

}  // namespace unisim
