#include "metric_state.h"
#include "structural.h"

namespace unisim {
namespace {

/// A metric that is a function of two images and nothing else.
Metric::State of_pixels(const std::string& name, double (*measure)(const Image&, const Image&),
                        bool higher_is_better = true) {
  Metric::State state{.name = name, .higher_is_better = higher_is_better, .no_text = "it compares pixels"};
  state.identity = [name] { return name; };
  state.score = [measure](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                          const Progress& progress) {
    std::vector<double> scores;
    for (const auto& [x, y] : pairs) {
      scores.push_back(measure(std::get<Image>(*items[x]), std::get<Image>(*items[y])));
      if (progress) progress(static_cast<int64_t>(scores.size()), static_cast<int64_t>(pairs.size()));
    }
    return scores;
  };
  return state;
}

}  // namespace

Metric::State ssim_state() { return of_pixels("ssim", &ssim); }
Metric::State ms_ssim_state() { return of_pixels("ms-ssim", &ms_ssim); }
Metric::State gmsd_state() { return of_pixels("gmsd", &gmsd, false); }
Metric::State psnr_state() { return of_pixels("psnr", &psnr); }

}  // namespace unisim
