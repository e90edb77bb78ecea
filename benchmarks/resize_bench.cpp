// Resizing a picture to a shorter side of 224, and normalising its middle: what an encoder does before its
// tower, per core. Each picture byte is read once and each float written once: the bytes that must move.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>

#include "kernels.h"
#include "resize.h"

namespace {

using namespace unisim;

Image photograph(int width, int height) {
  std::mt19937 bits(1);
  Image image{
      width, height, std::vector<uint8_t>(std::size_t(3) * std::size_t(width) * std::size_t(height)), {}};
  for (uint8_t& byte : image.pixels) byte = static_cast<uint8_t>(bits() >> 24);
  return image;
}

constexpr int side = 224;
constexpr float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f},
                deviation[3] = {0.26862954f, 0.26130258f, 0.27577711f};

std::pair<int, int> shorter_side_to(const Image& image) {
  const int shorter = std::min(image.width, image.height);
  return {side * image.width / shorter, side * image.height / shorter};
}

void resize_image(benchmark::State& state, Resample filter) {
  const Image image = photograph(int(state.range(0)), int(state.range(1)));
  const auto [width, height] = shorter_side_to(image);
  for (auto _ : state) benchmark::DoNotOptimize(resize(image, width, height, filter).pixels.data());
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() *
                          int64_t(image.pixels.size() + std::size_t(3 * width * height)));
}

/// Only the window that the crop keeps is resized.
void preprocess(benchmark::State& state) {
  const Image image = photograph(int(state.range(0)), int(state.range(1)));
  const auto [width, height] = shorter_side_to(image);
  const Window window{(width - side) / 2, (height - side) / 2, side, side};
  std::vector<float> planes(3 * side * side);
  for (auto _ : state) {
    const Image middle = resize_window(image, width, height, Resample::Bicubic, window);
    normalize_pixels(Cpu{}, middle.pixels.data(), side * side, mean, deviation, 1 / 255.0, planes.data());
    benchmark::DoNotOptimize(planes.data());
  }
  state.SetItemsProcessed(state.iterations());
}

void photograph_sizes(benchmark::internal::Benchmark* bench) {
  bench->Args({500, 375})->Args({640, 480})->Args({1920, 1080})->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(resize_image, bilinear, Resample::Bilinear)->Apply(photograph_sizes);
BENCHMARK_CAPTURE(resize_image, bicubic, Resample::Bicubic)->Apply(photograph_sizes);
BENCHMARK_CAPTURE(resize_image, lanczos, Resample::Lanczos)->Apply(photograph_sizes);
BENCHMARK(preprocess)->Apply(photograph_sizes);

}  // namespace

BENCHMARK_MAIN();
