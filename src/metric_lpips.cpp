#include <unisim/error.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "device.h"
#include "io/file.h"
#include "last_reference.h"
#include "metric_state.h"
#include "model_identity.h"
#include "models/lpips.h"
#include "sha256.h"
#include "structural.h"

namespace unisim {
namespace {

using Depths = std::vector<Tensor>;
using Features = std::shared_ptr<const Depths>;

int64_t bytes_of(const Features& features) {
  int64_t bytes = 0;
  for (const Tensor& depth : *features) bytes += depth.numel() * int64_t{sizeof(float)};
  return bytes;
}

/// Features of the images used last, as many as fit: a reference is computed once for all its candidates.
class RecentFeatures {
 public:
  RecentFeatures(const Lpips& lpips, const LastReference<Depths>& last, std::span<const Item* const> items)
      : lpips_(lpips), last_(last), items_(items) {}

  Features of(std::size_t item) {
    const auto known = std::ranges::find(recent_, item, &Entry::item);
    if (known != recent_.end()) {
      std::rotate(recent_.begin(), known, known + 1);
      return recent_.front().features;
    }
    Features features = last_.of(*items_[item]);
    if (!features)
      features = std::make_shared<const Depths>(lpips_features(lpips_, std::get<Image>(*items_[item])));
    recent_.push_front({item, bytes_of(features), features});
    held_ += recent_.front().bytes;
    // The image before this one stays whatever its size: it may be the other half of the pair.
    while (held_ > most_bytes_kept && recent_.size() > 2) {
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
  const LastReference<Depths>& last_;
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
  const std::filesystem::path folder = folder_of(model);
  const auto lpips = std::make_shared<const Lpips>(load_lpips(folder, net, options.device, options.dtype));
  Metric::State state{.name = name, .higher_is_better = false, .no_text = "it compares pictures"};
  const auto last = std::make_shared<LastReference<Depths>>();
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
    if (bytes_of(fx) <= most_bytes_kept) last->keep(*items[pairs.back().x], fx);
    return scores;
  };
  state.identity = said_once([folder, name, options] {
    return sha256(text_of(name, '\n', folder_identity(folder), "\ndtype ", name_of(options.dtype), "\ndevice ",
                          options.device.is_cpu() ? "cpu" : "cuda"));
  });
  state.model = {.parameters = lpips->parameters, .dtype = name_of(options.dtype)};
  return state;
}

}  // namespace unisim
