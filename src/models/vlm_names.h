#pragma once

#include <string>
#include <vector>

#include "layout.h"
#include "vlm_config.h"
#include "weights.h"

/// How a vision-language model's file names what sees: in the spelling that transformers 5 saves, in that of older folders
/// or in that of the classes since 4.52, part by part.
namespace unisim {

struct VlmNames {
  VisionNames vision, second_vision;
  ProjectorNames projector, second_projector;
  std::string newline;   ///< a whole tensor name
  std::vector<std::string> beside_newline;  ///< harmless to whoever reads the newline alone
};

VlmNames vlm_names(const VlmConfig& config, const Weights& weights);

/// The tower up to the last hidden state that is taken: no blocks behind it, no norm, no head.
VisionConfig cut_tower(VisionConfig vision, const FeatureConfig& features);

}  // namespace unisim
