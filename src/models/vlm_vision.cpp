#include "vlm_vision.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <unisim/error.h>
#include <unisim/fusion.h>

#include <utility>
#include <vector>

#include "vlm_names.h"
#include "wants.h"

namespace unisim {
namespace {

/// The blocks of 2 x 2 patches as rows: (2y, 2x), (2y, 2x + 1), (2y + 1, 2x), (2y + 1, 2x + 1) side by side.
/// [1, patches, width] of a square of patches to [1, patches / 4, 4 width].
Tensor shuffled(const Tensor& patches, int64_t grid) {
  const int64_t half = grid / 2, width = patches.size(2);
  return patches.reshape({1, half, 2, half, 2, width})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({1, half * half, 4 * width});
}

/// Hidden states as they are asked for: [1, rows, width].
Tensor features_of(const VisionTower& tower, const FeatureConfig& features, const Tensor& tile, DType dtype) {
  Tensor rows = tower.hidden_states("image_features", tile, features.layers).to(scalar_type(dtype));
  const VisionConfig& config = tower.config();
  if (config.class_token && !features.class_token) rows = rows.slice(1, 1 + config.registers);
  return features.shuffle ? shuffled(rows, config.image_height / config.patch_height) : rows;
}

Tensor run_projector(const Projector& projector, Activation activation, const Tensor& x) {
  const Tensor hidden = run_linear(projector.linear_1, run_norm(projector.norm, x));
  return run_linear(projector.linear_2, run_activation(activation, hidden));
}

/// The grid's tiles as one map, cut to what lies over the picture and shrunk: [height, width, channels].
Tensor map_of(const Tensor& tiles, const TilePlan& plan, int64_t patches) {
  const int64_t width = tiles.size(2);
  const Tensor map = tiles.reshape({plan.grid_height, plan.grid_width, patches, patches, width})
                         .permute({0, 2, 1, 3, 4})
                         .reshape({plan.grid_height * patches, plan.grid_width * patches, width})
                         .slice(0, plan.top, plan.top + plan.unpadded_height)
                         .slice(1, plan.left, plan.left + plan.unpadded_width);
  if (plan.map_height == plan.unpadded_height && plan.map_width == plan.unpadded_width) return map;
  const Tensor planes = map.permute({2, 0, 1}).unsqueeze(0);
  return at::upsample_bilinear2d(planes, {plan.map_height, plan.map_width}, false)[0].permute({1, 2, 0});
}

}  // namespace

VlmVision VlmVision::load(const VlmConfig& config, const Weights& weights) {
  VlmVision vision;
  vision.config_ = config;
  vision.dtype_ = weights.dtype();
  vision.device_ = weights.device();
  const VlmNames names = vlm_names(config, weights);
  vision.tower_ = VisionTower::load(cut_tower(config.vision, config.features), names.vision, weights);
  weights.fill(projector_wants(config.projector, names.projector, vision.projector_));
  if (config.second_vision) {
    vision.second_tower_ = VisionTower::load(cut_tower(*config.second_vision, config.second_features),
                                             names.second_vision, weights);
    ProjectorConfig second = config.projector;
    second.in = config.second_vision->blocks.width;
    if (config.mof == MofKind::Interleaved)
      weights.fill(projector_wants(second, names.second_projector, vision.second_projector_));
  }
  if (config.newline)
    weights.fill(
        {.reader = "newline row",
         .tensors = {{.into = &vision.newline_, .pieces = {{names.newline, {config.projector.out}}}}},
         .harmless = names.beside_newline});
  return vision;
}

Tensor VlmVision::preprocess(const Image& image, const TilePlan& plan) const {
  std::vector<float> pixels = tile_pixels(config_, image, plan);
  const VisionConfig& vision = config_.vision;
  return at::from_blob(pixels.data(), {plan.tiles, vision.channels, vision.image_height, vision.image_width},
                       at::TensorOptions().dtype(at::kFloat))
      .clone();
}

Tensor VlmVision::projected(const Tensor& tile) const {
  const Tensor first = features_of(*tower_, config_.features, tile, dtype_);
  const Activation activation = config_.projector.activation;
  if (config_.mof == MofKind::None) return run_projector(projector_, activation, first);
  const Tensor second = features_of(*second_tower_, config_.second_features, tile, dtype_);
  if (config_.mof == MofKind::Additive)
    return run_projector(projector_, activation, additive_mof(first, second, config_.mof_alpha));
  return interleaved_mof(run_projector(projector_, activation, first),
                         run_projector(second_projector_, activation, second));
}

Tensor VlmVision::rows(const Tensor& pixels, const TilePlan& plan) const {
  require(pixels.defined() && pixels.dim() == 4 && pixels.size(0) == plan.tiles, "[image_features] expected ",
          plan.tiles, " tiles, found ", pixels.defined() ? text_of(pixels.sizes()) : "nothing");
  const at::NoGradGuard no_grad;
  std::vector<Tensor> each;
  for (int64_t i = 0; i < plan.tiles; ++i) each.push_back(projected(pixels.slice(0, i, i + 1).to(device_)));
  const Tensor tiles = at::cat(each, 0);
  const int64_t width = tiles.size(2);
  std::vector<Tensor> rows;
  if (config_.tiles.rule == TileRule::AnyRes && plan.grid_height > 0) {
    const Tensor map =
        map_of(tiles.slice(0, 1), plan, config_.vision.image_height / config_.vision.patch_height);
    const Tensor newline = newline_.view({1, 1, width}).expand({map.size(0), 1, width});
    rows = {tiles[0], at::cat({map, newline}, 1).reshape({-1, width})};
  } else {
    rows = {tiles.reshape({-1, width})};
    if (newline_.defined()) rows.push_back(newline_.view({1, width}));
  }
  Tensor all = at::cat(rows, 0);
  require(all.size(0) == plan.rows, "[image_features] ", all.size(0), " rows were made, the plan has ",
          plan.rows);
  return all;
}

}  // namespace unisim
