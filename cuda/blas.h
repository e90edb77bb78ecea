#pragma once

#include <cstdint>

/// The seam to the device's matrix products: plain data, no type of a library. cuda/blas.cpp stands behind it
/// with cuBLASLt, tests/simt/blas.cpp with a plain one for the emulated device.
namespace unisim {

enum class GemmType { Float, Bf16, F16 };

/// Rows of numbers of the product's type on the device: stride in numbers.
template <class Void>
struct GemmRows {
  Void* data = nullptr;
  int64_t stride = 0;
};

/// out = a weight^T + bias + residual, summed in float (never TF32) and rounded once.
struct Gemm {
  GemmType type = GemmType::Float;
  int64_t m = 0, n = 0, k = 0;    ///< at least 1 each
  GemmRows<const void> a;         ///< [m, k]
  GemmRows<const void> weight;    ///< [n, k]
  const void* bias = nullptr;     ///< [n], or null: none
  GemmRows<const void> residual;  ///< [m, n], or data null: none; may be out itself
  GemmRows<void> out;             ///< [m, n]
  bool batch_invariant = false;   ///< a row's bits do not depend on m
};

/// Queues the product. Throws std::runtime_error naming its shape where the library refuses it.
void gemm(const Gemm& g, void* stream);

/// Allocates what products on the stream need, once. gemm does it where nobody has, and throws
/// std::runtime_error if the stream is being recorded by then.
void prepare_gemm(void* stream);
/// Gives it back: nothing that was queued or recorded on the stream runs any more.
void release_gemm(void* stream) noexcept;

}  // namespace unisim
