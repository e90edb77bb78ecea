// additive_mof: alpha a + (1 - alpha) b, memory bound; the loop is the compiler's to vectorise.

#include <type_traits>

#include "../kernels.h"

namespace unisim {

template <class T>
void additive_mof(Cpu, const T* a, const T* b, double alpha, int64_t count, T* out) {
  using Number = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto first = static_cast<Number>(alpha);
  const Number rest = 1 - first;
  for (int64_t k = 0; k < count; ++k) {
    if constexpr (std::is_same_v<T, Number>)
      out[k] = first * a[k] + rest * b[k];
    else
      out[k] = rounded<T>(first * to_float(a[k]) + rest * to_float(b[k]));
  }
}

template void additive_mof(Cpu, const float*, const float*, double, int64_t, float*);
template void additive_mof(Cpu, const double*, const double*, double, int64_t, double*);
template void additive_mof(Cpu, const bf16*, const bf16*, double, int64_t, bf16*);
template void additive_mof(Cpu, const f16*, const f16*, double, int64_t, f16*);

}  // namespace unisim
