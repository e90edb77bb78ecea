#pragma once

#include <type_traits>

#include "activation.h"
#include "device.cuh"

/// The activations in float. Each is within a few roundings of |x| of its definition: exp is the device's
/// fast one, whose relative error grows with the exponent, and where it is large the result is small.
namespace unisim {

/// x / (1 + exp(-z)); a large exp gives the zero that it should.
__device__ inline float times_sigmoid(float x, float z) { return __fdividef(x, 1.0f + __expf(-z)); }

template <Activation kActivation>
__device__ inline float activated(float x) {
  if constexpr (kActivation == Activation::Gelu) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
  } else if constexpr (kActivation == Activation::GeluTanh) {
    // (1 + tanh u) / 2 = sigmoid(2 u), with u = sqrt(2 / pi) (x + 0.044715 x^3)
    return times_sigmoid(x, 1.5957691216057308f * x * (1.0f + 0.044715f * x * x));
  } else if constexpr (kActivation == Activation::QuickGelu) {
    return times_sigmoid(x, 1.702f * x);
  } else if constexpr (kActivation == Activation::Silu) {
    return times_sigmoid(x, x);
  } else {
    return x < 0.0f ? 0.0f : x;  // a NaN stays one
  }
}

/// Calls launch_one(std::integral_constant<Activation, ...>) for this one.
template <class F>
void choose_activation(Activation activation, F&& launch_one) {
  using enum Activation;
  switch (activation) {
    case Gelu:
      return launch_one(std::integral_constant<Activation, Gelu>());
    case GeluTanh:
      return launch_one(std::integral_constant<Activation, GeluTanh>());
    case QuickGelu:
      return launch_one(std::integral_constant<Activation, QuickGelu>());
    case Silu:
      return launch_one(std::integral_constant<Activation, Silu>());
    case Relu:
      return launch_one(std::integral_constant<Activation, Relu>());
  }
}

}  // namespace unisim
