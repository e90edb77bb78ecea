#pragma once

#include <unisim/tensor.h>

/// Mixture of features (MoF): Tong et al., "Eyes Wide Shut?", arXiv 2401.06209, section 4.
namespace unisim {

/// Additive MoF: alpha * a + (1 - alpha) * b, elementwise on equal shapes [..., d]; alpha in [0, 1] weighs
/// the first. Float32 out unless both inputs share another floating dtype, which is then kept; computed in
/// float, float64 in double. Nothing is normalised: encoders differ in scale, and the paper's own formula
/// leaves them so.
UNISIM_API Tensor additive_mof(const Tensor& a, const Tensor& b, double alpha);

/// Interleaved MoF: token n of a at 2n, token n of b at 2n + 1: [batch, n, d] twice to [batch, 2n, d] (or [n,
/// d] to [2n, d]). Equal shapes and dtypes; unequal grids must be resampled by the caller first. Every bit is
/// kept.
UNISIM_API Tensor interleaved_mof(const Tensor& a, const Tensor& b);

}  // namespace unisim
