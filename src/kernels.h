#pragma once

#include "views.h"

#include <cstdint>

/// The contract of every custom kernel: plain pointers and sizes; no torch, no CUDA, no Eigen.
///
/// A kernel with an implementation on each place is an overload set of two. Kernels compute in float (pairs in
/// double), never allocate, synchronise or check shapes: the caller has done that once, at the door.
namespace unisim {

struct Cpu {};
struct Cuda {
  void* stream = nullptr;  ///< a cudaStream_t
};

/// out[i] = x[i] / |x[i]|, rows of float; a zero row stays zero. Sets *flag to 1 if any row is zero or not finite
/// (else leaves it). In place is allowed. On Cuda, x, out and flag are device pointers.
void l2_normalize(Cpu, Rows<const float> x, Rows<float> out, int32_t* flag);
void l2_normalize(Cuda, Rows<const float> x, Rows<float> out, int32_t* flag);

/// Grey by BT.601, 0.299 R + 0.587 G + 0.114 B, unrounded: rgb rows are 3 * out.width wide.
void grey(Cpu, Rows<const uint8_t> rgb, Rows<double> out);

/// What structural similarity says of two grey images of one size.
struct Structure {
  double similarity = 0;  ///< mean of luminance times contrast-structure: Wang et al. 2004, equation 13
  double contrast = 0;    ///< mean of the contrast-structure term alone
};

constexpr int64_t ssim_window = 11;

/// Over every 11 x 11 window inside the images: Gaussian weights of sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255, population
/// covariance. Both sides at least 11. `workspace` is 4 * x.width long.
Structure ssim(Cpu, Rows<const double> x, Rows<const double> y, double* workspace);

/// The mean of each 2 x 2 square. Where either side is odd, one row above and one column to the left are repeated
/// first, as piq does, so that out is [(rows + odd) / 2, (width + odd) / 2] with odd = 0 or 1 for both.
void halve(Cpu, Rows<const double> x, Rows<double> out);

/// The exact sum of (x - y)^2.
int64_t squared_error(Cpu, Rows<const uint8_t> x, Rows<const uint8_t> y);

}  // namespace unisim
