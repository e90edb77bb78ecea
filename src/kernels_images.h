#pragma once

#include <cstdint>

#include "half.h"
#include "place.h"
#include "views.h"

/// Kernels over pixels. kernels.h says what holds for all.
namespace unisim {

/// One axis of a resize: out[i] is the sum of weight[t] * in[first[i] + t] over t < count[i], in fixed point
/// of resize_bits, plus a half, shifted back and clamped to a byte. The weights of output i begin at weights
/// + i * taps; taps is a multiple of four, and the weights from count[i] to taps are zero.
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
void resize_horizontal(Cuda, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);
inline constexpr int64_t resize_margin = 16;

/// Vertical pass over rows of bytes: out.rows outputs, in and out of equal width.
void resize_vertical(Cpu, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);
void resize_vertical(Cuda, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);

/// R G B bytes, interleaved, to three planes of `count` floats each: float(pixel * rescale), minus the
/// channel's mean, over its std, each step rounded to float, as transformers' Pillow processors compute it.
void normalize_pixels(Cpu, const uint8_t* pixels, int64_t count, const float mean[3], const float std[3],
                      double rescale, float* planes);
/// What normalize_pixels makes of each byte: table is [3, 256].
void normalize_table(const float mean[3], const float std[3], double rescale, float* table);

/// Patches of pictures, each a row of out in the order of a convolution's weights: channel, row, column.
/// Pictures are crop_height x crop_width from (top, left) on; rows and columns beyond whole patches are left
/// out.
struct Patches {
  int64_t items = 0, height = 0, width = 0;  ///< of the pictures in memory
  int64_t top = 0, left = 0, crop_height = 0, crop_width = 0;
  int64_t patch_height = 0, patch_width = 0;

  constexpr int64_t rows() const { return crop_height / patch_height; }
  constexpr int64_t columns() const { return crop_width / patch_width; }
};
/// From R G B bytes, interleaved, [items, height, width, 3]; a value becomes table[channel][byte], what
/// normalize_pixels makes of it. out: [items * rows * columns, 3 * patch_height * patch_width].
template <class T>
void patchify(Cpu, const uint8_t* pixels, const Patches& p, const float* table, Rows<T> out);
template <class T>
void patchify(Cuda, const uint8_t* pixels, const Patches& p, const float* table, Rows<T> out);
/// From normalised planes, [items, channels, height, width].
template <class T>
void patchify(Cpu, const float* planes, int64_t channels, const Patches& p, Rows<T> out);
template <class T>
void patchify(Cuda, const float* planes, int64_t channels, const Patches& p, Rows<T> out);

/// One layer of LPIPS (Zhang et al. 2018, equation 1): the features of a place are divided by their length
/// plus 1e-10, and out[i] += the mean over places of sum_c weight[c] (x_c - y_c)^2.
template <class T>
struct LpipsLayer {
  const T* x = nullptr;  ///< [items, places, channels]: channels last
  const T* y = nullptr;
  const float* weight = nullptr;  ///< [channels]
  int64_t items = 0, places = 0, channels = 0;
  /// [items, lpips_parts(places)], to share an item among blocks of a device; null: one block an item.
  float* workspace = nullptr;
};
/// Depends on one picture alone, so that the order of a sum does.
constexpr int64_t lpips_parts(int64_t places) { return places < 256 * 1024 ? ceil_div(places, 256) : 1024; }
template <class T>
void lpips_distance(Cpu, const LpipsLayer<T>& layer, float* out);
template <class T>
void lpips_distance(Cuda, const LpipsLayer<T>& layer, float* out);

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
/// repeated first, as piq does, so that out is [(rows + odd) / 2, (width + odd) / 2] with odd = 0 or 1 for
/// both.
void halve(Cpu, Rows<const double> x, Rows<double> out);

/// The mean of each 2 x 2 square, zeros below and to the right where a side is odd: out is [ceil(rows / 2),
/// ceil(width / 2)], what the authors of GMSD take before its gradients.
void halve_with_zeros(Cpu, Rows<const double> x, Rows<double> out);

/// Gradient magnitude similarity deviation (Xue, Zhang, Mou, Bovik 2014, equations 2 to 6) of two grey images of
/// one size, already halved: Prewitt gradients over 3, zeros outside, c = 170 for levels of 0 to 255, and the
/// population deviation of the similarity. `workspace` is gmsd_workspace(x) long.
double gmsd(Cpu, Rows<const double> x, Rows<const double> y, double* workspace);
constexpr int64_t gmsd_workspace(const Rows<const double>& x) { return x.rows * x.width + 2 * (x.width + 2); }

/// The exact sum of (x - y)^2.
int64_t squared_error(Cpu, Rows<const uint8_t> x, Rows<const uint8_t> y);

}  // namespace unisim
