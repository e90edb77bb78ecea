#include "vlm_names.h"

#include <algorithm>

namespace unisim {
namespace {

using Names = std::vector<std::string>;

Names with(Names names, const Names& more) {
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

/// What the tower's class has behind the part that is run.
Names behind(const VisionNames& names, const VisionConfig& vision, const FeatureConfig& features) {
  Names unused;
  for (int64_t k = *std::ranges::max_element(features.layers); k < vision.blocks.layers; ++k)
    unused.push_back(names.prefix + names.block.stack + std::to_string(k) + ".*");
  if (!names.norm.empty()) unused.push_back(names.prefix + names.norm + ".*");
  unused.push_back(names.prefix + "head.*");
  return unused;
}

}  // namespace

VisionConfig cut_tower(VisionConfig vision, const FeatureConfig& features) {
  vision.blocks.layers = *std::ranges::max_element(features.layers);
  vision.final_norm = vision.pool_norm = false;
  vision.pool = VisionPool::Mean;
  vision.attention_pool.reset();
  vision.projection = 0;
  return vision;
}

VlmNames vlm_names(const VlmConfig& config, const Weights& weights) {
  const Names language = {"language_model.*", "model.language_model.*", "lm_head.weight"};
  const Names towers = {"vision_tower.*", "model.vision_tower.*"}, second_towers = {"second_vision_tower.*"};
  const Names projectors = {"multi_modal_projector.*", "model.multi_modal_projector.*"};
  const Names second_projectors = {"second_multi_modal_projector.*"};
  const Names newlines = config.newline ? Names{"image_newline", "model.image_newline"} : Names{};
  const Names second_tower = config.second_vision ? second_towers : Names{};
  const Names second_projector = config.mof == MofKind::Interleaved ? second_projectors : Names{};

  VlmNames names;
  names.vision = nested_vision_names(config.vision_type, config.vision,
                                     {"vision_tower.", "vision_tower.vision_model.", "model.vision_tower.",
                                      "model.vision_tower.vision_model."},
                                     weights);
  const Names beside = with(language, newlines);
  const Names all_projectors = with(projectors, second_projector), all_towers = with(towers, second_tower);
  names.vision.harmless =
      with(behind(names.vision, config.vision, config.features),
           with(beside, with(all_projectors, with(second_tower, {"*position_ids", "*mask_token"}))));
  if (config.second_vision) {
    names.second_vision =
        nested_vision_names("dinov2", *config.second_vision, {"second_vision_tower."}, weights);
    names.second_vision.harmless =
        with(behind(names.second_vision, *config.second_vision, config.second_features),
             with(beside, with(all_projectors, with(towers, {"*mask_token"}))));
  }
  names.projector = {
      prefix_in(weights, {"multi_modal_projector.", "model.multi_modal_projector."}, "linear_1.weight"),
      with(beside, with(all_towers, second_projector))};
  names.second_projector = {"second_multi_modal_projector.", with(beside, with(all_towers, projectors))};
  names.newline = prefix_in(weights, {"", "model."}, "image_newline") + "image_newline";
  names.beside_newline = with(language, with(all_towers, all_projectors));
  return names;
}

}  // namespace unisim
