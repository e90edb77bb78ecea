#pragma once

#include "layout.h"
#include "text_tower.h"
#include "vision_tower.h"
#include "weights.h"

namespace unisim {

struct Projector;
struct ProjectorConfig;

/// Every tensor that the configuration asks for, by the file's names, each to be put where `into` holds it;
/// sets the epsilons of the norms too. `into` must outlive the wants.
Wants vision_wants(const VisionConfig& config, const VisionNames& names, VisionWeights& into);
Wants projector_wants(const ProjectorConfig& config, const ProjectorNames& names, Projector& into);
Wants text_wants(const TextConfig& config, const TextNames& names, TextWeights& into);

}  // namespace unisim
