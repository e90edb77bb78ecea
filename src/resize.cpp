#include "resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string_view>
#include <utility>

#include "kernels.h"

namespace unisim {
namespace {

struct Filter {
  double (*weight)(double);
  double support;  ///< in pixels of the smaller picture
};

double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

double bilinear(double x) { return std::max(0.0, 1 - std::abs(x)); }

double hamming(double x) {
  x = std::abs(x);
  if (x == 0) return 1;
  if (x >= 1) return 0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));  // its constants are floats in Pillow
}

/// Keys' cubic convolution with a = -0.5.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos(double x) { return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

Filter filter_of(Resample resample) {
  switch (resample) {
    case Resample::Box:
      return {box, 0.5};
    case Resample::Bilinear:
      return {bilinear, 1};
    case Resample::Hamming:
      return {hamming, 1};
    case Resample::Bicubic:
      return {bicubic, 2};
    case Resample::Lanczos:
      return {lanczos, 3};
    case Resample::Nearest:
      break;
  }
  throw std::invalid_argument("[resize] unknown filter " + std::to_string(static_cast<int>(resample)));
}

/// A range of one axis, [begin, begin + length).
struct Range {
  int32_t begin = 0;
  int32_t length = 0;
};

/// The weights of `outputs` out of `out_size`, for an axis of `in_size` pixels: in double, each row divided
/// by its sum, then rounded to fixed point, half away from zero.
struct Weights {
  std::vector<int32_t> first, count, fixed;
  int32_t taps = 0;

  Weights(int32_t in_size, int32_t out_size, Range outputs, Filter filter) {
    const double scale = double{static_cast<float>(in_size)} / out_size;
    const double stretch = std::max(scale, 1.0);
    const double support = filter.support * stretch;
    taps = (static_cast<int32_t>(std::ceil(support)) * 2 + 1 + 3) / 4 * 4;
    first.reserve(static_cast<std::size_t>(outputs.length));
    count.reserve(static_cast<std::size_t>(outputs.length));
    fixed.reserve(static_cast<std::size_t>(outputs.length) * static_cast<std::size_t>(taps));
    std::vector<double> row;
    for (int32_t i = outputs.begin; i < outputs.begin + outputs.length; ++i) {
      const double center = (i + 0.5) * scale;
      const int32_t low = std::max(0, static_cast<int32_t>(center - support + 0.5));
      const int32_t high = std::min(in_size, static_cast<int32_t>(center + support + 0.5));
      row.clear();
      double sum = 0;
      for (int32_t t = 0; t < high - low; ++t) {
        row.push_back(filter.weight((t + low - center + 0.5) * (1 / stretch)));
        sum += row.back();
      }
      append(low, row, sum);
    }
  }

  /// The inputs that the outputs ask for; from now on `first` counts from the first of them.
  Range moved_to_zero() {
    const int32_t begin = first.front(), end = first.back() + count.back();
    for (int32_t& input : first) input -= begin;
    return {begin, end - begin};
  }

  ResizeAxis axis() const { return {first.data(), count.data(), fixed.data(), taps}; }

 private:
  void append(int32_t low, const std::vector<double>& row, double sum) {
    first.push_back(low);
    count.push_back(static_cast<int32_t>(row.size()));
    for (double weight : row) {
      if (sum != 0) weight /= sum;
      fixed.push_back(static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << resize_bits)));
    }
    fixed.resize(first.size() * static_cast<std::size_t>(taps));
  }
};

/// Pillow's nearest: the source position of the window's outputs, accumulated in double as it does.
std::vector<int64_t> nearest_sources(int32_t in_size, int32_t out_size, Range outputs) {
  const double step = double{static_cast<float>(in_size)} / out_size;
  std::vector<int64_t> sources;
  double at = step * 0.5;
  for (int32_t i = 0; i < outputs.begin + outputs.length; ++i, at += step)
    if (i >= outputs.begin) sources.push_back(at < in_size ? static_cast<int64_t>(at) : -1);
  return sources;
}

Image nearest(const Image& image, int32_t width, int32_t height, Window window) {
  Image out{window.width, window.height, {}, image.warnings};
  out.pixels.resize(std::size_t{3} * static_cast<std::size_t>(window.width) *
                    static_cast<std::size_t>(window.height));
  const auto columns = nearest_sources(image.width, width, {window.left, window.width});
  uint8_t* to = out.pixels.data();
  for (const int64_t y : nearest_sources(image.height, height, {window.top, window.height}))
    for (const int64_t x : columns) {
      // Rounding may step past the edge; such a pixel stays black.
      if (x >= 0 && y >= 0) std::memcpy(to, image.pixels.data() + 3 * (y * image.width + x), 3);
      to += 3;
    }
  return out;
}

/// A part of a picture: rows of R G B bytes in memory that may be read up to `end`.
struct Part {
  Rows<const uint8_t> rows;
  const uint8_t* end = nullptr;
};

/// Whole rows of pixels.
struct Pixels {
  std::vector<uint8_t> bytes;
  int64_t rows = 0;
  int64_t width = 0;

  Pixels(int64_t row_count, int64_t pixels)
      : bytes(static_cast<std::size_t>(row_count * 3 * pixels)), rows(row_count), width(3 * pixels) {}

  Rows<uint8_t> all() { return {bytes.data(), rows, width, width}; }
  Part part() const { return {{bytes.data(), rows, width, width}, bytes.data() + bytes.size()}; }
};

Pixels passed_horizontally(Part in, const Weights& columns) {
  Pixels out(in.rows.rows, static_cast<int64_t>(columns.first.size()));
  const auto pass = [&](Rows<const uint8_t> rows, int64_t first) {
    if (rows.rows == 0) return;
    resize_horizontal(Cpu{}, rows, {out.all().row(first), rows.rows, out.width, out.width}, columns.axis());
  };
  // The kernel reads past the end of a row: the last rows of a buffer are given from a copy with a margin.
  Rows<const uint8_t> safe = in.rows;
  while (safe.rows > 0 && in.end - (safe.row(safe.rows - 1) + safe.width) < resize_margin) --safe.rows;
  pass(safe, 0);
  for (int64_t y = safe.rows; y < in.rows.rows; ++y) {
    std::vector<uint8_t> row(in.rows.row(y), in.rows.row(y) + in.rows.width);
    row.resize(row.size() + static_cast<std::size_t>(resize_margin));
    pass({row.data(), 1, in.rows.width, in.rows.width}, y);
  }
  return out;
}

Pixels passed_vertically(Part in, const Weights& rows) {
  Pixels out(static_cast<int64_t>(rows.first.size()), in.rows.width / 3);
  resize_vertical(Cpu{}, in.rows, out.all(), rows.axis());
  return out;
}

/// Two passes, each of which rounds to bytes, so that their order shows: Pillow passes horizontally first but
/// where the height shrinks by more than twice what the width does (since version 13). A pass is left out
/// where the size stays: its weights would be one and zeros.
Image resampled(const Image& image, int32_t width, int32_t height, Filter filter, Window window) {
  const bool across = width != image.width, down = height != image.height;
  const bool down_first = height < image.height && image.height - height > 2 * (int64_t{image.width} - width);
  Weights columns(image.width, width, {window.left, window.width}, filter);
  Weights rows(image.height, height, {window.top, window.height}, filter);
  const Range from_x = across ? columns.moved_to_zero() : Range{window.left, window.width};
  const Range from_y = down ? rows.moved_to_zero() : Range{window.top, window.height};
  const int64_t stride = int64_t{3} * image.width;
  const uint8_t* begin = image.pixels.data();
  Part part{{begin + from_y.begin * stride + 3 * from_x.begin, from_y.length, 3 * from_x.length, stride},
            begin + image.pixels.size()};
  Pixels first(0, 0), second(0, 0);
  if (down && down_first) part = (first = passed_vertically(part, rows)).part();
  if (across) part = (second = passed_horizontally(part, columns)).part();
  if (down && !down_first) part = (first = passed_vertically(part, rows)).part();
  Image out{window.width, window.height, {}, image.warnings};
  out.pixels = std::move(part.rows.data == first.bytes.data() ? first.bytes : second.bytes);
  return out;
}

constexpr std::array<std::pair<std::string_view, Resample>, 6> names{{{"nearest", Resample::Nearest},
                                                                      {"box", Resample::Box},
                                                                      {"bilinear", Resample::Bilinear},
                                                                      {"hamming", Resample::Hamming},
                                                                      {"bicubic", Resample::Bicubic},
                                                                      {"lanczos", Resample::Lanczos}}};

}  // namespace

void require_whole(const Image& image, const char* operation) {
  require(image.width > 0 && image.height > 0, "[", operation, "] an empty image: ", image.width, " x ",
          image.height);
  const auto expected =
      std::size_t{3} * static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
  require(image.pixels.size() == expected, "[", operation, "] an image of ", image.width, " x ", image.height,
          " has ", expected, " bytes, this one ", image.pixels.size());
}

Image resize_window(const Image& image, int32_t width, int32_t height, Resample resample, Window window) {
  require_whole(image, "resize");
  require(width > 0 && height > 0, "[resize] to an empty size: ", width, " x ", height);
  require(int64_t{width} * height <= int64_t{1} << 31, "[resize] to ", width, " x ", height,
          ", more than 2^31 pixels");
  require(std::max(image.width, image.height) <= 1 << 24, "[resize] from ", image.width, " x ", image.height,
          ": a side longer than 2^24");
  require(window.left >= 0 && window.top >= 0 && window.width > 0 && window.height > 0 &&
              window.left <= width - window.width && window.top <= height - window.height,
          "[resize] the window does not lie inside ", width, " x ", height);
  if (resample == Resample::Nearest || (width == image.width && height == image.height))
    return nearest(image, width, height, window);
  return resampled(image, width, height, filter_of(resample), window);
}

Image resize(const Image& image, int32_t width, int32_t height, Resample resample) {
  if (image.width == width && image.height == height) {
    require_whole(image, "resize");
    return image;
  }
  return resize_window(image, width, height, resample, {0, 0, width, height});
}

Resample resample_from_name(std::string_view name) {
  for (const auto& [known, resample] : names)
    if (name == known) return resample;
  throw std::invalid_argument("[resize] no filter \"" + std::string(name) +
                              "\"; there are nearest, box, bilinear, hamming, bicubic, lanczos");
}

Resample resample_from_pillow(int64_t number) {
  constexpr std::array by_number{Resample::Nearest, Resample::Lanczos, Resample::Bilinear,
                                 Resample::Bicubic, Resample::Box,     Resample::Hamming};
  require(number >= 0 && number < static_cast<int64_t>(by_number.size()), "[resize] Pillow has no filter ",
          number, "; it numbers them 0 to 5");
  return by_number[static_cast<std::size_t>(number)];
}

}  // namespace unisim
