#include <memory>
#include <utility>

#include "device.h"
#include "io/file.h"
#include "last_reference.h"
#include "metric_state.h"
#include "model_identity.h"
#include "models/dists.h"
#include "sha256.h"
#include "structural.h"

namespace unisim {
namespace {

using Features = std::shared_ptr<const DistsFeatures>;

/// Of the pair before, so that a reference is computed once for candidates in a row. Features take half a
/// kilobyte a pixel: no more than two images' are held.
class LastPair {
 public:
  LastPair(const Dists& dists, const LastReference<DistsFeatures>& last, std::span<const Item* const> items)
      : dists_(dists), last_(last), items_(items) {}

  std::pair<Features, Features> of(const ItemPair& pair) {
    Features x = known(pair.x), y = known(pair.y);
    x_ = y_ = nullptr;
    if (!x) x = computed(pair.x);
    if (!y) y = pair.y == pair.x ? x : computed(pair.y);
    pair_ = pair;
    x_ = x;
    y_ = y;
    return {x, y};
  }
  const Features& first() const { return x_; }

 private:
  Features known(std::size_t item) const {
    if (x_ && item == pair_.x) return x_;
    return y_ && item == pair_.y ? y_ : nullptr;
  }
  Features computed(std::size_t item) const {
    if (Features features = last_.of(*items_[item])) return features;
    return std::make_shared<const DistsFeatures>(dists_features(dists_, std::get<Image>(*items_[item])));
  }

  const Dists& dists_;
  const LastReference<DistsFeatures>& last_;
  std::span<const Item* const> items_;
  ItemPair pair_;
  Features x_, y_;
};

/// Null for features too large to be kept.
Features small_enough(const Features& features) {
  int64_t bytes = 0;
  for (const Tensor& depth : features->depths) bytes += depth.numel() * int64_t{sizeof(float)};
  return bytes <= most_bytes_kept ? features : nullptr;
}

}  // namespace

Metric::State dists_state(const std::string& model, const MetricOptions& options) {
  const std::string name = "dists:" + model;
  require_device("dists", options.device, options.dtype);
  const std::filesystem::path folder = find_model(model);
  const auto dists = std::make_shared<const Dists>(load_dists(folder, options.device, options.dtype));
  Metric::State state{.name = name, .higher_is_better = false, .no_text = "it compares pictures"};
  const auto last = std::make_shared<LastReference<DistsFeatures>>();
  state.score = [dists, last](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                              const Progress& progress) {
    for (const auto& [x, y] : pairs)
      require_same_size("dists", std::get<Image>(*items[x]), std::get<Image>(*items[y]), 1);
    LastPair features(*dists, *last, items);
    std::vector<double> scores;
    for (const ItemPair& pair : pairs) {
      const auto [x, y] = features.of(pair);
      scores.push_back(dists_distance(*dists, *x, *y));
      if (progress) progress(static_cast<int64_t>(scores.size()), static_cast<int64_t>(pairs.size()));
    }
    last->keep(*items[pairs.back().x], small_enough(features.first()));
    return scores;
  };
  state.identity = said_once([folder, options] {
    return sha256(text_of("dists\n", folder_identity(folder), "\ndtype ", name_of(options.dtype), "\ndevice ",
                          options.device.is_cpu() ? "cpu" : "cuda"));
  });
  state.model = {.parameters = dists->parameters, .dtype = name_of(options.dtype)};
  return state;
}

}  // namespace unisim
