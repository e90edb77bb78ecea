#include <unisim/error.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "device.h"
#include "io/file.h"
#include "metric_state.h"
#include "models/lpips.h"
#include "structural.h"

namespace unisim {
namespace {

/// Features of the images used last, as many as fit: a reference is computed once for all its candidates.
class RecentFeatures {
 public:
  using Features = std::shared_ptr<const std::vector<Tensor>>;

  RecentFeatures(const Lpips& lpips, std::span<const Item* const> items) : lpips_(lpips), items_(items) {}

  Features of(std::size_t item) {
    const auto known = std::ranges::find(recent_, item, &Entry::item);
    if (known != recent_.end()) {
      std::rotate(recent_.begin(), known, known + 1);
      return recent_.front().features;
    }
    auto features =
        std::make_shared<const std::vector<Tensor>>(lpips_features(lpips_, std::get<Image>(*items_[item])));
    int64_t bytes = 0;
    for (const Tensor& depth : *features) bytes += depth.numel() * int64_t{sizeof(float)};
    recent_.push_front({item, bytes, features});
    held_ += bytes;
    // The image before this one stays whatever its size: it may be the other half of the pair.
    while (held_ > most_bytes && recent_.size() > 2) {
      held_ -= recent_.back().bytes;
      recent_.pop_back();
    }
    return features;
  }

 private:
  struct Entry {
    std::size_t item;
    int64_t bytes;
    Features features;
  };
  static constexpr int64_t most_bytes = int64_t{512} << 20;

  const Lpips& lpips_;
  std::span<const Item* const> items_;
  std::deque<Entry> recent_;  // the latest first
  int64_t held_ = 0;
};

std::filesystem::path folder_of(const std::string& model) {
  try {
    return find_model(model);
  } catch (const DataError& error) {
    if (!model.starts_with("lpips-")) throw;
    throw DataError(error.file(),
                    text_of("its weights are not here; run: unisim get ", model, " (", error.what(), ")"));
  }
}

}  // namespace

Metric::State lpips_state(const std::string& net, const std::string& model, const MetricOptions& options) {
  const std::string name = "lpips-" + net;
  require_device(name, options.device, options.dtype);
  const auto lpips =
      std::make_shared<const Lpips>(load_lpips(folder_of(model), net, options.device, options.dtype));
  Metric::State state{.name = name, .higher_is_better = false, .no_text = "it compares pictures"};
  state.score = [lpips, name](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                              const Progress& progress) {
    const int64_t least = least_side(*lpips->config.net);
    for (const auto& [x, y] : pairs)
      require_same_size(name, std::get<Image>(*items[x]), std::get<Image>(*items[y]), least);
    RecentFeatures features(*lpips, items);
    std::vector<double> scores;
    for (const auto& [x, y] : pairs) {
      const auto fx = features.of(x);
      scores.push_back(lpips_distance(*lpips, *fx, *features.of(y)));
      if (progress) progress(static_cast<int64_t>(scores.size()), static_cast<int64_t>(pairs.size()));
    }
    return scores;
  };
  return state;
}

}  // namespace unisim
