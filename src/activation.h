#pragma once

namespace unisim {

enum class Activation {
  Gelu,       ///< x / 2 (1 + erf(x / sqrt 2))
  GeluTanh,   ///< x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  QuickGelu,  ///< x sigmoid(1.702 x)
  Silu,       ///< x sigmoid(x)
  Relu,
};

}  // namespace unisim
