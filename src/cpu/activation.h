#pragma once

#include <cmath>

#include "../activation.h"

/// The activations in double, for the Cpu kernels.
namespace unisim {

inline double activated(Activation activation, double x) {
  switch (activation) {
    case Activation::Gelu:
      return 0.5 * x * std::erfc(-x * 0.70710678118654752440);
    case Activation::GeluTanh:
      return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case Activation::QuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::Silu:
      return x / (1 + std::exp(-x));
    case Activation::Relu:
      break;
  }
  return x < 0 ? 0 : x;  // a NaN stays one
}

}  // namespace unisim
