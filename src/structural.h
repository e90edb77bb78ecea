#pragma once

#include <unisim/image.h>

#include <string>

/// Metrics of the pixels alone. Two images of one size; std::invalid_argument, opening with the metric's
/// name, where the sizes differ or are too small.
namespace unisim {

/// Structural similarity of the grey images (Wang, Bovik, Sheikh, Simoncelli 2004), in [-1, 1]; sides of at
/// least 11.
double ssim(const Image& x, const Image& y);

/// Its product over five scales (Wang, Simoncelli, Bovik 2003), in [0, 1]: negative terms count as 0, as in
/// piq. Sides of at least 161, so that the smallest scale still holds a window.
double ms_ssim(const Image& x, const Image& y);

/// Peak signal-to-noise ratio in dB, one mean square over all of R, G and B; infinity for equal images.
double psnr(const Image& x, const Image& y);

/// Gradient magnitude similarity deviation of the grey images, halved (Xue, Zhang, Mou, Bovik 2014), in [0, 0.5):
/// a distance, 0 for equal images. Sides of at least 5, so that the halved image holds a 3 x 3 window.
double gmsd(const Image& x, const Image& y);

/// Throws unless the image has pixels, as many bytes as its size says.
void require_whole(const std::string& operation, const Image& image);

/// Throws unless both images are whole and of one size, at least `least` either
/// way.
void require_same_size(const std::string& operation, const Image& x, const Image& y, int64_t least);

}  // namespace unisim
