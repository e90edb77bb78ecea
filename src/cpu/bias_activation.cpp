// bias_activation and gated_activation, number by number in double.

#include "../kernels.h"
#include "activation.h"

namespace unisim {

template <class T>
void bias_activation(Cpu, Rows<const T> x, const T* bias, Activation activation, Rows<T> out) {
  for (int64_t i = 0; i < x.rows; ++i) {
    const T* from = x.row(i);
    T* to = out.row(i);
    for (int64_t k = 0; k < x.width; ++k) {
      const double value = to_float(from[k]) + (bias ? double{to_float(bias[k])} : 0);
      to[k] = rounded<T>(static_cast<float>(activated(activation, value)));
    }
  }
}

template <class T>
void gated_activation(Cpu, Rows<const T> x, const T* bias, Activation activation, Rows<T> out) {
  const int64_t width = out.width;
  for (int64_t i = 0; i < out.rows; ++i) {
    const T* from = x.row(i);
    T* to = out.row(i);
    for (int64_t k = 0; k < width; ++k) {
      const double gate = to_float(from[k]) + (bias ? double{to_float(bias[k])} : 0);
      const double up = to_float(from[width + k]) + (bias ? double{to_float(bias[width + k])} : 0);
      to[k] = rounded<T>(static_cast<float>(activated(activation, gate) * up));
    }
  }
}

template void bias_activation(Cpu, Rows<const float>, const float*, Activation, Rows<float>);
template void bias_activation(Cpu, Rows<const bf16>, const bf16*, Activation, Rows<bf16>);
template void bias_activation(Cpu, Rows<const f16>, const f16*, Activation, Rows<f16>);
template void gated_activation(Cpu, Rows<const float>, const float*, Activation, Rows<float>);
template void gated_activation(Cpu, Rows<const bf16>, const bf16*, Activation, Rows<bf16>);
template void gated_activation(Cpu, Rows<const f16>, const f16*, Activation, Rows<f16>);

}  // namespace unisim
