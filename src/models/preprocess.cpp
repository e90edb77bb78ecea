#include "preprocess.h"

#include <unisim/error.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels.h"
#include "resize.h"

namespace unisim {
namespace {

struct Size {
  int64_t height = 0, width = 0;
};

/// Python's round(): halves go to the even neighbour.
int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

Size resized(const PreprocessConfig& config, const Image& image) {
  const int64_t height = image.height, width = image.width;
  switch (config.rule) {
    case ResizeRule::None:
      return {height, width};
    case ResizeRule::Exact:
      return {config.resize_height, config.resize_width};
    case ResizeRule::ShortestEdge: {
      const int64_t edge = config.resize_height, shorter = std::min(height, width);
      const int64_t longer = edge * std::max(height, width) / shorter;
      return width <= height ? Size{longer, edge} : Size{edge, longer};
    }
    case ResizeRule::Cover:
    case ResizeRule::Inside: {
      const double by_height = static_cast<double>(height) / static_cast<double>(config.resize_height);
      const double by_width = static_cast<double>(width) / static_cast<double>(config.resize_width);
      const double ratio =
          config.rule == ResizeRule::Cover ? std::min(by_height, by_width) : std::max(by_height, by_width);
      return {rounded(static_cast<double>(height) / ratio), rounded(static_cast<double>(width) / ratio)};
    }
  }
  throw std::invalid_argument("[preprocess] no such resize rule");
}

/// Along one side: which part of the picture is kept, and where it stands in the crop.
struct Span {
  int64_t from = 0;  ///< in the resized picture
  int64_t length = 0;
  int64_t to = 0;  ///< in the crop
};

Span middle(int64_t side, int64_t crop, CropRule rule) {
  const bool torchvision = rule == CropRule::Torchvision;
  if (side >= crop) {
    const int64_t spare = side - crop;
    return {torchvision ? rounded(static_cast<double>(spare) / 2) : spare / 2, crop, 0};
  }
  const int64_t padding = crop - side;
  return {0, side, torchvision ? padding / 2 : (padding + 1) / 2};
}

/// The kept part on a ground of the fill colour.
Image on_ground(const Image& part, Size size, int64_t top, int64_t left, const std::array<uint8_t, 3>& fill) {
  Image ground{static_cast<int32_t>(size.width), static_cast<int32_t>(size.height), {}, {}};
  ground.pixels.resize(static_cast<std::size_t>(size.height * size.width * 3));
  for (std::size_t i = 0; i < ground.pixels.size(); ++i) ground.pixels[i] = fill[i % 3];
  for (int64_t y = 0; y < part.height; ++y)
    std::copy_n(part.pixels.begin() + y * part.width * 3, part.width * 3,
                ground.pixels.begin() + ((top + y) * size.width + left) * 3);
  return ground;
}

}  // namespace

int64_t output_height(const PreprocessConfig& config) {
  return config.crop_height > 0 ? config.crop_height : config.resize_height;
}

int64_t output_width(const PreprocessConfig& config) {
  return config.crop_width > 0 ? config.crop_width : config.resize_width;
}

void preprocess_image(const PreprocessConfig& config, const Image& image, std::span<float> planes) {
  require_whole(image, "preprocess");
  const Size size = resized(config, image);
  constexpr int64_t longest = 1 << 24;
  require(size.height >= 1 && size.width >= 1 && size.height <= longest && size.width <= longest,
          "[preprocess] an image of ", image.width, " x ", image.height, " would be resized to ", size.width,
          " x ", size.height);
  const Size out = {output_height(config), output_width(config)};
  const Span rows = middle(size.height, out.height, config.crop_rule);
  const Span columns = middle(size.width, out.width, config.crop_rule);
  const Window window = {static_cast<int32_t>(columns.from), static_cast<int32_t>(rows.from),
                         static_cast<int32_t>(columns.length), static_cast<int32_t>(rows.length)};
  Image part = resize_window(image, static_cast<int32_t>(size.width), static_cast<int32_t>(size.height),
                             resample_from_pillow(config.resample), window);
  if (part.height < out.height || part.width < out.width)
    part = on_ground(part, out, rows.to, columns.to, config.fill);
  float mean[3], std[3];
  for (std::size_t c = 0; c < 3; ++c) {
    mean[c] = static_cast<float>(config.mean[c]);
    std[c] = static_cast<float>(config.std[c]);
  }
  const int64_t count = out.height * out.width;
  require(static_cast<int64_t>(planes.size()) == 3 * count, "[preprocess] room for ", planes.size(),
          " floats, expected ", 3 * count);
  normalize_pixels(Cpu{}, part.pixels.data(), count, mean, std, config.rescale, planes.data());
}

void preprocess_images(const PreprocessConfig& config, std::span<const Image> images, std::span<float> planes,
                       int threads) {
  const auto each = static_cast<std::size_t>(3 * output_height(config) * output_width(config));
  require(planes.size() == each * images.size(), "[preprocess] room for ", planes.size(),
          " floats, expected ", each * images.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  std::size_t failed = images.size();
  const auto work = [&] {
    for (std::size_t i = next++; i < images.size(); i = next++) {
      try {
        preprocess_image(config, images[i], planes.subspan(i * each, each));
      } catch (...) {
        // The first in order is told, whichever thread meets it.
        const std::lock_guard lock(mutex);
        if (i < failed) failed = i, error = std::current_exception();
      }
    }
  };
  std::size_t count = threads > 0 ? static_cast<std::size_t>(threads) : std::thread::hardware_concurrency();
  count = std::clamp<std::size_t>(count, 1, std::max<std::size_t>(images.size(), 1));
  {
    std::vector<std::jthread> pool;
    for (std::size_t t = 1; t < count; ++t) pool.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace unisim
