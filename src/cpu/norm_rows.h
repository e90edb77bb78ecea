#pragma once

#include "../kernels.h"

/// What layer_norm and rms_norm share.
namespace unisim {

/// x + residual + bias at row i, column k, added in this order as floats.
template <class T>
inline float summed(const NormRows<T>& n, int64_t i, int64_t k) {
  float s = to_float(n.x.row(i)[k]);
  if (n.residual.data) s += to_float(n.residual.row(i)[k]);
  if (n.bias) s += to_float(n.bias[k]);
  return s;
}

}  // namespace unisim
