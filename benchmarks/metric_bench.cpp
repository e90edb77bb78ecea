// The metrics of two photographs' size: pixels alone, and LPIPS in its two parts, the features of one image
// and the distance of two. The weights are those of `unisim get lpips-alex` and lpips-vgg.

#include <benchmark/benchmark.h>
#include <unisim/error.h>

#include <random>

#include "io/file.h"
#include "models/lpips.h"
#include "structural.h"

namespace {

unisim::Image noise(int32_t width, int32_t height, unsigned seed) {
  std::mt19937 bits(seed);
  unisim::Image image{width, height,
                      std::vector<uint8_t>(std::size_t{3} * static_cast<std::size_t>(width * height))};
  for (uint8_t& level : image.pixels) level = static_cast<uint8_t>(bits() >> 24);
  return image;
}

void of_pixels(benchmark::State& state, double (*measure)(const unisim::Image&, const unisim::Image&)) {
  const unisim::Image x = noise(768, 512, 1), y = noise(768, 512, 2);
  for (auto _ : state) benchmark::DoNotOptimize(measure(x, y));
  state.SetBytesProcessed(state.iterations() * int64_t{2} * static_cast<int64_t>(x.pixels.size()));
}

/// Null, and the run skipped, where the weights are not installed.
std::unique_ptr<unisim::Lpips> installed(benchmark::State& state, const std::string& net) {
  try {
    return std::make_unique<unisim::Lpips>(unisim::load_lpips(unisim::find_model("lpips-" + net), net,
                                                              unisim::Device("cpu"), unisim::DType::Float32));
  } catch (const unisim::DataError& error) {
    state.SkipWithError(error.what());
    return nullptr;
  }
}

void lpips_features(benchmark::State& state, const std::string& net) {
  const auto lpips = installed(state, net);
  if (!lpips) return;
  const auto side = static_cast<int32_t>(state.range(0));
  const unisim::Image x = noise(side, side, 1);
  for (auto _ : state) benchmark::DoNotOptimize(unisim::lpips_features(*lpips, x));
  state.SetItemsProcessed(state.iterations());
}

void lpips_distance(benchmark::State& state, const std::string& net) {
  const auto lpips = installed(state, net);
  if (!lpips) return;
  const auto side = static_cast<int32_t>(state.range(0));
  const auto x = unisim::lpips_features(*lpips, noise(side, side, 1));
  const auto y = unisim::lpips_features(*lpips, noise(side, side, 2));
  for (auto _ : state) benchmark::DoNotOptimize(unisim::lpips_distance(*lpips, x, y));
  int64_t values = 0;
  for (const auto& depth : x) values += depth.numel();
  state.SetBytesProcessed(state.iterations() * 2 * values * 4);
}

}  // namespace

BENCHMARK_CAPTURE(of_pixels, ssim, &unisim::ssim)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(of_pixels, ms_ssim, &unisim::ms_ssim)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(of_pixels, psnr, &unisim::psnr)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lpips_features, alex, "alex")->Arg(256)->Arg(512)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lpips_features, vgg, "vgg")->Arg(256)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lpips_distance, alex, "alex")->Arg(256)->Arg(512)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(lpips_distance, vgg, "vgg")->Arg(256)->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
