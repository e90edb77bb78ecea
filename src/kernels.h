#pragma once

#include <cstdint>

#include "views.h"

/// The contract of every custom kernel: plain pointers and sizes; no torch, no CUDA, no Eigen.
///
/// A kernel with an implementation on each place is an overload set of two. Kernels compute in float (pairs
/// in double), never allocate, synchronise or check shapes: the caller has done that once, at the door.
namespace unisim {

struct Cpu {};
struct Cuda {
  void* stream = nullptr;  ///< a cudaStream_t
};

/// out[i] = x[i] / |x[i]|, rows of float; a zero row stays zero. Sets *flag to 1 if any row is zero or not
/// finite (else leaves it). In place is allowed. On Cuda, x, out and flag are device pointers.
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

/// Over every 11 x 11 window inside the images: Gaussian weights of sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255,
/// population covariance. Both sides at least 11. `workspace` is 4 * x.width long.
Structure ssim(Cpu, Rows<const double> x, Rows<const double> y, double* workspace);

/// The mean of each 2 x 2 square. Where either side is odd, one row above and one column to the left are
/// repeated first, as piq does, so that out is [(rows + odd) / 2, (width + odd) / 2] with odd = 0 or 1 for both.
void halve(Cpu, Rows<const double> x, Rows<double> out);

/// The exact sum of (x - y)^2.
int64_t squared_error(Cpu, Rows<const uint8_t> x, Rows<const uint8_t> y);

// ---- cosine ---------------------------------------------------------------------------------------------

/// squares[i] = the sum of squares of row i. The order of every sum of products here is one, whatever the
/// machine: eight sums, term k in sum k mod 8, then ((0+4)+(2+6))+((1+5)+(3+7)). Products of floats are exact
/// in double.
void squared_lengths(Cpu, Rows<const float> x, double* squares);
void squared_lengths(Cpu, Rows<const double> x, double* squares);

/// The definition that decides: x.y / sqrt(x.x * y.y), clamped to [-1, 1]; 0 if either row is zero. Identical
/// rows give exactly 1, since the root of a rounded square is the number itself. Squares are those of
/// squared_lengths.
double cosine_of(double dot, double x_square, double y_square);

/// out[i, j] = the cosine of a[i] and b[j], rounded once.
void cosine(Cpu, Rows<const float> a, const double* a_squares, Rows<const float> b, const double* b_squares,
            Rows<float> out);
void cosine(Cpu, Rows<const double> a, const double* a_squares, Rows<const double> b, const double* b_squares,
            Rows<float> out);

/// The cosine of one row with another.
double cosine(Cpu, const float* x, double x_square, const float* y, double y_square, int64_t width);
double cosine(Cpu, const double* x, double x_square, const double* y, double y_square, int64_t width);

// ---- pair filter ----------------------------------------------------------------------------------------

constexpr int64_t kPanelRows =
    32;  ///< rows of a panel: [width][32] floats, one number of 32 rows side by side

/// Rows of length one in panels; the last is filled up with zeros.
struct Panels {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;

  constexpr int64_t count() const { return (rows + kPanelRows - 1) / kPanelRows; }
  constexpr const float* panel(int64_t p) const { return data + p * kPanelRows * width; }
};

/// Rows of one panel and another, by their place in it.
struct PanelPair {
  uint8_t row = 0;
  uint8_t column = 0;
};

/// Panel p of the rows divided by their lengths; zero rows stay zero.
void pack_panel(Cpu, Rows<const float> x, const double* squares, int64_t p, float* panel);
void pack_panel(Cpu, Rows<const double> x, const double* squares, int64_t p, float* panel);

/// How far a cosine summed in float over packed rows may lie from the cosine in double, at most.
double filter_guard(int64_t width);

/// The pairs i < j of panel p with panel q >= p whose product in float is above `above`, in the order of (i,
/// j); room for kPanelRows squared. Lets too much through by the caller's guard, never too little.
int64_t filter_pairs(Cpu, Panels x, int64_t p, int64_t q, float above, PanelPair* found);

// ---- mixture of features --------------------------------------------------------------------------------

/// out[k] = alpha a[k] + (1 - alpha) b[k].
void additive_mof(Cpu, const float* a, const float* b, float alpha, int64_t count, float* out);
void additive_mof(Cpu, const double* a, const double* b, double alpha, int64_t count, double* out);

/// Token n of a to 2n, of b to 2n + 1; tokens of token_bytes, whatever they hold.
void interleaved_mof(Cpu, const void* a, const void* b, int64_t tokens, int64_t token_bytes, void* out);

// ---- images --------------------------------------------------------------------------------------------

/// One axis of a resize: out[i] is the sum of weight[t] * in[first[i] + t] over t < count[i], in fixed point of
/// resize_bits, plus a half, shifted back and clamped to a byte. The weights of output i begin at
/// weights + i * taps; taps is a multiple of four, and the weights from count[i] to taps are zero.
struct ResizeAxis {
  const int32_t* first = nullptr;
  const int32_t* count = nullptr;
  const int32_t* weights = nullptr;  ///< each less than 2^23 in magnitude
  int32_t taps = 0;
};
inline constexpr int resize_bits = 22;

/// Horizontal pass over rows of R G B bytes: out.width / 3 outputs, in and out with equally many rows. Up to
/// resize_margin bytes after the last byte of `in` must be readable (they are not used).
void resize_horizontal(Cpu, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);
inline constexpr int64_t resize_margin = 16;

/// Vertical pass over rows of bytes: out.rows outputs, in and out of equal width.
void resize_vertical(Cpu, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);

/// R G B bytes, interleaved, to three planes of `count` floats each: float(pixel * rescale), minus the channel's
/// mean, over its std, each step rounded to float, as transformers' Pillow processors compute it.
void normalize_pixels(Cpu, const uint8_t* pixels, int64_t count, const float mean[3], const float std[3],
                      double rescale, float* planes);

}  // namespace unisim
