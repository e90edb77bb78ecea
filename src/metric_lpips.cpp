#include <unisim/error.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>

#include "device.h"
#include "io/file.h"
#include "metric_state.h"
#include "models/lpips.h"
#include "structural.h"

namespace unisim {
namespace {

using Features = std::shared_ptr<const std::vector<Tensor>>;

constexpr int64_t most_bytes = int64_t{512} << 20;

int64_t bytes_of(const Features& features) {
  int64_t bytes = 0;
  for (const Tensor& depth : *features) bytes += depth.numel() * int64_t{sizeof(float)};
  return bytes;
}

/// The reference of the last call, for who compares one image with many, call by call. An image's features do
/// not depend on what it is compared with, so no result does on what was asked before.
class LastReference {
 public:
  void keep(const Image& image, Features features) {
    if (bytes_of(features) > most_bytes) return;
    const std::lock_guard lock(mutex_);
    image_ = image;
    features_ = std::move(features);
  }
  /// Null for another image.
  Features of(const Image& image) const {
    const std::lock_guard lock(mutex_);
    return image.width == image_.width && image.pixels == image_.pixels ? features_ : nullptr;
  }

 private:
  mutable std::mutex mutex_;
  Image image_;
  Features features_;
};

/// Features of the images used last, as many as fit: a reference is computed once for all its candidates.
class RecentFeatures {
 public:
  RecentFeatures(const Lpips& lpips, const LastReference& last, std::span<const Item* const> items)
      : lpips_(lpips), last_(last), items_(items) {}

  Features of(std::size_t item) {
    const auto known = std::ranges::find(recent_, item, &Entry::item);
    if (known != recent_.end()) {
      std::rotate(recent_.begin(), known, known + 1);
      return recent_.front().features;
    }
    const Image& image = std::get<Image>(*items_[item]);
    Features features = last_.of(image);
    if (!features) features = std::make_shared<const std::vector<Tensor>>(lpips_features(lpips_, image));
    recent_.push_front({item, bytes_of(features), features});
    held_ += recent_.front().bytes;
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

  const Lpips& lpips_;
  const LastReference& last_;
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
  const auto last = std::make_shared<LastReference>();
  state.score = [lpips, last, name](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                                    const Progress& progress) {
    const int64_t least = least_side(*lpips->config.net);
    for (const auto& [x, y] : pairs)
      require_same_size(name, std::get<Image>(*items[x]), std::get<Image>(*items[y]), least);
    RecentFeatures features(*lpips, *last, items);
    std::vector<double> scores;
    Features fx;
    for (const auto& [x, y] : pairs) {
      fx = features.of(x);
      scores.push_back(lpips_distance(*lpips, *fx, *features.of(y)));
      if (progress) progress(static_cast<int64_t>(scores.size()), static_cast<int64_t>(pairs.size()));
    }
    last->keep(std::get<Image>(*items[pairs.back().x]), fx);
    return scores;
  };
  return state;
}

}  // namespace unisim
