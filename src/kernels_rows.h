#pragma once

#include <cstdint>

#include "activation.h"
#include "half.h"
#include "place.h"
#include "views.h"

/// Kernels over rows: lengths, norms, activations, mixtures of features. kernels.h says what holds for all.
namespace unisim {

/// out[i] = x[i] / |x[i]|; a zero row stays zero. Sets *flag to 1 if any row is zero or not finite (else
/// leaves it). In place is allowed.
template <class T>
void l2_normalize(Cpu, Rows<const T> x, Rows<T> out, int32_t* flag);
template <class T>
void l2_normalize(Cuda, Rows<const T> x, Rows<T> out, int32_t* flag);

/// out[i] = a[i] . b[i] / (|a[i]| |b[i]|), clamped to [-1, 1]; 0 if either row is zero.
template <class T>
void cosine_rows(Cpu, Rows<const T> a, Rows<const T> b, float* out);
template <class T>
void cosine_rows(Cuda, Rows<const T> a, Rows<const T> b, float* out);

/// s = x + bias + residual in float, then out = (s - mean) / sqrt(variance + eps) * weight + shift over each
/// row (layer_norm), or s / sqrt(mean of s^2 + eps) * weight (rms_norm).
template <class T>
struct NormRows {
  Rows<const T> x;
  const T* bias = nullptr;        ///< [width], or null: none
  Rows<const T> residual = {};    ///< of x's shape, or data null: none
  Rows<T> sum = {};               ///< where s is stored, or data null: nowhere. May be x or residual itself
  const float* weight = nullptr;  ///< [width]
  const float* shift = nullptr;   ///< [width]; rms_norm has none
  float eps = 1e-5f;
  Rows<T> out;  ///< may be x itself
};
template <class T>
void layer_norm(Cpu, const NormRows<T>& norm);
template <class T>
void layer_norm(Cuda, const NormRows<T>& norm);
template <class T>
void rms_norm(Cpu, const NormRows<T>& norm);
template <class T>
void rms_norm(Cuda, const NormRows<T>& norm);

/// out = activation(x + bias). In place is allowed.
template <class T>
void bias_activation(Cpu, Rows<const T> x, const T* bias, Activation activation, Rows<T> out);
template <class T>
void bias_activation(Cuda, Rows<const T> x, const T* bias, Activation activation, Rows<T> out);

/// out = activation(gate) * up, with gate the first and up the second half of x + bias: x is twice as wide as
/// out.
template <class T>
void gated_activation(Cpu, Rows<const T> x, const T* bias, Activation activation, Rows<T> out);
template <class T>
void gated_activation(Cuda, Rows<const T> x, const T* bias, Activation activation, Rows<T> out);

// ---- mixture of features --------------------------------------------------------------------------------

/// out[k] = alpha a[k] + (1 - alpha) b[k]. T may be double too on the CPU (then alpha is used as it is).
template <class T>
void additive_mof(Cpu, const T* a, const T* b, double alpha, int64_t count, T* out);
template <class T>
void additive_mof(Cuda, const T* a, const T* b, double alpha, int64_t count, T* out);

/// Token n of a to 2n, of b to 2n + 1; tokens of token_bytes, whatever they hold. The other form, a product
/// that stores its rows at every second place, is `product` with out.stride twice the width.
void interleaved_mof(Cpu, const void* a, const void* b, int64_t tokens, int64_t token_bytes, void* out);
void interleaved_mof(Cuda, const void* a, const void* b, int64_t tokens, int64_t token_bytes, void* out);

}  // namespace unisim
