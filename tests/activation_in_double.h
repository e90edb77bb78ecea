#pragma once

#include <algorithm>
#include <cmath>

#include "activation.h"

namespace unisim::test {

inline double activation_in_double(Activation activation, double x) {
  switch (activation) {
    case Activation::Gelu:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::GeluTanh:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case Activation::QuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::Silu:
      return x / (1 + std::exp(-x));
    case Activation::Relu:
      return std::max(x, 0.0);
  }
  return 0;
}

}  // namespace unisim::test
