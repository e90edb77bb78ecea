#include "vision_tower.h"

#include <ATen/ops/cat.h>
#include <unisim/error.h>

#include <algorithm>
#include <string>
#include <vector>

#include "positions.h"
#include "wants.h"

namespace unisim {
namespace {

/// [n, patches, channels * patch height * patch width], a patch's values in the order of a convolution's
/// weights.
Tensor unfolded(const VisionConfig& config, const Tensor& pixels) {
  const Grid grid = grid_of(config, pixels.size(2), pixels.size(3));
  const int64_t n = pixels.size(0), ph = config.patch_height, pw = config.patch_width;
  return pixels.slice(2, 0, grid.height * ph)
      .slice(3, 0, grid.width * pw)
      .reshape({n, config.channels, grid.height, ph, grid.width, pw})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n, grid.height * grid.width, config.channels * ph * pw});
}

int64_t prefix_tokens(const VisionConfig& config) { return (config.class_token ? 1 : 0) + config.registers; }

int64_t patches_of(const VisionConfig& config, const Tensor& pixels) {
  const Grid grid = grid_of(config, pixels.size(2), pixels.size(3));
  return grid.height * grid.width;
}

}  // namespace

VisionTower VisionTower::load(const ModelConfig& model, const Weights& weights) {
  require(model.vision.has_value(), "[VisionTower] the model has no image tower");
  return load(*model.vision, vision_names(model, weights), weights);
}

VisionTower VisionTower::load(const VisionConfig& config, const VisionNames& names, const Weights& weights) {
  require(!(config.final_norm && config.pool_norm),
          "[VisionTower] one last norm is known, not both final_norm and pool_norm");
  VisionTower tower(config, weights.device(), weights.dtype());
  weights.fill(vision_wants(config, names, tower.weights_));
  const bool known = config.image_height > 0 && config.position_resize != PositionResize::Refused;
  tower.image_height_ = known ? config.image_height : config.table_height;
  tower.image_width_ = known ? config.image_width : config.table_width;
  tower.positions_ = position_rows(config, tower.weights_.positions, tower.image_height_, tower.image_width_);
  return tower;
}

Tensor VisionTower::positions_for(int64_t height, int64_t width) const {
  const bool usual = height == image_height_ && width == image_width_;
  return usual ? positions_ : position_rows(config_, weights_.positions, height, width);
}

void VisionTower::check_pixels(std::string_view operation, const Tensor& pixels) const {
  require(pixels.defined() && pixels.dim() == 4 && pixels.size(1) == config_.channels, "[", operation,
          "] pixels are ", pixels.defined() ? text_of(pixels.sizes()) : "undefined", ", expected [n, ",
          config_.channels, ", height, width]");
  require(pixels.is_floating_point(), "[", operation, "] pixels are ", pixels.dtype().name(),
          ", expected floating point as preprocess returns");
  const int64_t height = pixels.size(2), width = pixels.size(3);
  if (config_.position_resize == PositionResize::Refused)
    require(height == config_.table_height && width == config_.table_width, "[", operation, "] pictures are ",
            height, " x ", width, " pixels, the model takes ", config_.table_height, " x ",
            config_.table_width, " alone");
  require(height >= config_.patch_height && width >= config_.patch_width, "[", operation, "] pictures are ",
          height, " x ", width, " pixels, less than one patch of ", config_.patch_height, " x ",
          config_.patch_width);
  const int64_t bad = first_not_finite(pixels);
  require(bad < 0, "[", operation, "] the pixels of item ", bad, " hold a NaN or an infinity");
}

Tensor VisionTower::embeddings(const Tensor& pixels, const Tensor& positions) const {
  const Tensor patches = run_linear(weights_.patch, unfolded(config_, pixels.to(dtype_)));
  const int64_t n = patches.size(0), width = config_.blocks.width;
  std::vector<Tensor> tokens;
  if (config_.class_token) tokens.push_back(weights_.class_token.expand({n, 1, width}));
  if (config_.registers > 0) tokens.push_back(weights_.registers.expand({n, config_.registers, width}));
  tokens.push_back(patches);
  return run_norm(weights_.norm_pre, at::cat(tokens, 1).add(positions));
}

Tensor VisionTower::hidden(const Tensor& pixels, const Tensor& positions, int64_t k) const {
  Tensor x = embeddings(pixels, positions);
  for (int64_t i = 0; i < k; ++i)
    x = run_block(config_.blocks, weights_.blocks[static_cast<std::size_t>(i)], x);
  return x;
}

Tensor VisionTower::pooled(const Tensor& last) const {
  const Tensor tokens = config_.final_norm ? run_norm(weights_.norm, last) : last;
  const Tensor patches = tokens.slice(1, prefix_tokens(config_));
  Tensor row;
  switch (config_.pool) {
    case VisionPool::Cls:
      row = tokens.select(1, 0);
      break;
    case VisionPool::Mean:
      row = patches.mean(1);
      break;
    case VisionPool::MeanAll:
      row = tokens.mean(1);
      break;
    case VisionPool::Attention:
      row = run_attention_pool(*config_.attention_pool, weights_.pool,
                               config_.attention_pool->prefix_tokens ? tokens : patches);
  }
  if (config_.pool_norm) row = run_norm(weights_.norm, row);
  return config_.projection > 0 ? run_linear(weights_.projection, row) : row;
}

std::string VisionTower::blame(const Tensor& pixels, const Tensor& positions) const {
  Tensor x = embeddings(pixels, positions);
  for (int64_t k = 0; k <= config_.blocks.layers; ++k) {
    if (first_not_finite(x) >= 0) return text_of("nor is hidden state ", k, " in ", name_of(compute_dtype_));
    if (k < config_.blocks.layers)
      x = run_block(config_.blocks, weights_.blocks[static_cast<std::size_t>(k)], x);
  }
  return text_of("while every hidden state is, in ", name_of(compute_dtype_));
}

Tensor VisionTower::run(std::string_view operation, const Tensor& pixels, const AfterEach& after_each,
                        std::vector<int64_t> row,
                        const std::function<Tensor(const Tensor&, const Tensor&)>& rows) const {
  const Tensor positions = positions_for(pixels.size(2), pixels.size(3)).to(dtype_);
  return each_item(pixels.to(device_),
                   {.operation = operation,
                    .row = std::move(row),
                    .rows = [&](const Tensor& items) { return rows(items, positions); },
                    .blame = [&](const Tensor& item) { return blame(item, positions); }},
                   after_each);
}

Tensor VisionTower::embed(const Tensor& pixels, std::optional<int64_t> layer, std::optional<Pool> pool,
                          const AfterEach& after_each) const {
  check_pixels("embed_images", pixels);
  if (!layer && !pool)
    return run("embed_images", pixels, after_each, {dim()},
               [&](const Tensor& items, const Tensor& positions) {
                 return pooled(hidden(items, positions, config_.blocks.layers));
               });
  const int64_t k = checked_layer("embed_images", layer);
  check_pool(pool);
  return run("embed_images", pixels, after_each, {config_.blocks.width},
             [&](const Tensor& items, const Tensor& positions) {
               return pooled_layer(hidden(items, positions, k), pool);
             });
}

void VisionTower::check_pool(std::optional<Pool> pool) const {
  require(pool == Pool::Mean || config_.class_token,
          "[embed_images] pool is \"cls\", but the model has no class token; \"mean\" is left");
}

Tensor VisionTower::pooled_layer(const Tensor& hidden, std::optional<Pool> pool) const {
  if (pool == Pool::Mean) return run_norm(weights_.norm, hidden.slice(1, prefix_tokens(config_))).mean(1);
  return run_norm(weights_.norm, hidden.select(1, 0));
}

Tensor VisionTower::patches_of_layer(const Tensor& hidden, bool normed) const {
  const Tensor patches = hidden.slice(1, prefix_tokens(config_));
  return normed ? run_norm(weights_.norm, patches) : patches;
}

Tensor VisionTower::hidden_state(const Tensor& pixels, int64_t k, const AfterEach& after_each) const {
  check_pixels("hidden_state", pixels);
  checked_layer("hidden_state", k);
  return run("hidden_state", pixels, after_each,
             {prefix_tokens(config_) + patches_of(config_, pixels), config_.blocks.width},
             [&](const Tensor& items, const Tensor& positions) { return hidden(items, positions, k); });
}

Tensor VisionTower::hidden_states(std::string_view operation, const Tensor& pixels,
                                  std::span<const int64_t> layers) const {
  check_pixels(operation, pixels);
  int64_t last = 0;
  for (const int64_t k : layers) last = std::max(last, checked_layer(operation, k));
  const auto count = static_cast<int64_t>(layers.size());
  return run(operation, pixels, {}, {prefix_tokens(config_) + patches_of(config_, pixels), count * config_.blocks.width},
             [&](const Tensor& items, const Tensor& positions) {
               Tensor x = embeddings(items, positions);
               std::vector<Tensor> taken(layers.size());
               for (int64_t k = 0;; ++k) {
                 for (std::size_t i = 0; i < layers.size(); ++i)
                   if (layers[i] == k) taken[i] = x;
                 if (k == last) return at::cat(taken, -1);
                 x = run_block(config_.blocks, weights_.blocks[static_cast<std::size_t>(k)], x);
               }
             });
}

Tensor VisionTower::patch_tokens(const Tensor& pixels, std::optional<int64_t> layer,
                                 const AfterEach& after_each) const {
  check_pixels("patch_tokens", pixels);
  const int64_t k = checked_layer("patch_tokens", layer);
  return run("patch_tokens", pixels, after_each, {patches_of(config_, pixels), config_.blocks.width},
             [&](const Tensor& items, const Tensor& positions) {
               return patches_of_layer(hidden(items, positions, k), !layer);
             });
}

int64_t VisionTower::checked_layer(std::string_view operation, std::optional<int64_t> layer) const {
  const int64_t k = layer.value_or(config_.blocks.layers);
  require(k >= 0 && k <= config_.blocks.layers, "[", operation, "] layer ", k,
          " is asked for, the model has 0 to ", config_.blocks.layers);
  return k;
}

}  // namespace unisim
