#include "structural.h"

#include <array>
#include <cmath>
#include <limits>

#include "kernels.h"

namespace unisim {
namespace {

/// A grey image that owns its pixels.
struct Grey {
  int64_t rows = 0;
  int64_t width = 0;
  std::vector<double> pixels;

  Grey(int64_t rows_, int64_t width_)
      : rows(rows_), width(width_), pixels(static_cast<std::size_t>(rows_ * width_)) {}
  Rows<const double> view() const { return {pixels.data(), rows, width, width}; }
  Rows<double> filled() { return {pixels.data(), rows, width, width}; }
};

Rows<const uint8_t> rows_of(const Image& image) {
  return {image.pixels.data(), image.height, int64_t{3} * image.width, int64_t{3} * image.width};
}

Grey grey_of(const Image& image) {
  Grey out(image.height, image.width);
  grey(Cpu{}, rows_of(image), out.filled());
  return out;
}

Grey half_of(const Grey& x) {
  const int64_t odd = (x.rows % 2 != 0 || x.width % 2 != 0) ? 1 : 0;
  Grey out((x.rows + odd) / 2, (x.width + odd) / 2);
  halve(Cpu{}, x.view(), out.filled());
  return out;
}

std::string size_of(const Image& image) { return text_of(image.width, " x ", image.height); }

}  // namespace

void require_whole(const std::string& operation, const Image& image) {
  require(image.width > 0 && image.height > 0 &&
              image.pixels.size() == std::size_t{3} * static_cast<std::size_t>(image.width) *
                                         static_cast<std::size_t>(image.height),
          "[", operation, "] an image of ", size_of(image), " has ", image.pixels.size(),
          " bytes of pixels, expected width * height * 3");
}

void require_same_size(const std::string& operation, const Image& x, const Image& y, int64_t least) {
  require_whole(operation, x);
  require_whole(operation, y);
  require(x.width == y.width && x.height == y.height, "[", operation, "] sizes differ: ", size_of(x), " and ",
          size_of(y), " (width x height); resize one to the other first");
  require(x.width >= least && x.height >= least, "[", operation, "] images of ", size_of(x),
          " are too small: each side must be at least ", least);
}

double ssim(const Image& x, const Image& y) {
  require_same_size("ssim", x, y, ssim_window);
  const Grey a = grey_of(x), b = grey_of(y);
  std::vector<double> workspace(static_cast<std::size_t>(4 * a.width));
  return ssim(Cpu{}, a.view(), b.view(), workspace.data()).similarity;
}

double ms_ssim(const Image& x, const Image& y) {
  constexpr std::array<double, 5> weights = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
  require_same_size("ms-ssim", x, y, (ssim_window - 1) * 16 + 1);
  Grey a = grey_of(x), b = grey_of(y);
  std::vector<double> workspace(static_cast<std::size_t>(4 * a.width));
  double product = 1;
  for (std::size_t scale = 0; scale < weights.size(); ++scale) {
    if (scale > 0) {
      a = half_of(a);
      b = half_of(b);
    }
    const Structure found = ssim(Cpu{}, a.view(), b.view(), workspace.data());
    const double term = scale + 1 < weights.size() ? found.contrast : found.similarity;
    product *= std::pow(std::max(term, 0.0), weights[scale]);
  }
  return product;
}

double gmsd(const Image& x, const Image& y) {
  require_same_size("gmsd", x, y, 5);
  const auto halved = [](const Image& image) {
    Grey out((image.height + 1) / 2, (image.width + 1) / 2);
    halve_with_zeros(Cpu{}, grey_of(image).view(), out.filled());
    return out;
  };
  const Grey a = halved(x), b = halved(y);
  std::vector<double> workspace(static_cast<std::size_t>(gmsd_workspace(a.view())));
  return gmsd(Cpu{}, a.view(), b.view(), workspace.data());
}

double psnr(const Image& x, const Image& y) {
  require_same_size("psnr", x, y, 1);
  const int64_t error = squared_error(Cpu{}, rows_of(x), rows_of(y));
  if (error == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(x.pixels.size()) / static_cast<double>(error));
}

}  // namespace unisim
