#pragma once

#include <unisim/image.h>
#include <unisim/tensor.h>

#include <optional>

#include "vision_tower.h"
#include "vlm_config.h"
#include "vlm_pictures.h"
#include "weights.h"

/// The eyes of a vision-language model: towers, projector, and how a picture's rows are laid out.
namespace unisim {

struct Projector {
  Norm norm;
  Linear linear_1, linear_2;
};

class VlmVision {
 public:
  static VlmVision load(const VlmConfig& config, const Weights& weights);

  const VlmConfig& config() const { return config_; }

  /// [tiles, 3, height, width] float32 on the CPU: what the tower sees.
  Tensor preprocess(const Image& image, const TilePlan& plan) const;
  /// [plan.rows, decoder width] in the model's dtype: the rows that stand for the picture in a prompt. Tiles run one by one
  /// on the CPU, so that rows never depend on what else there is.
  Tensor rows(const Tensor& pixels, const TilePlan& plan) const;

 private:
  Tensor projected(const Tensor& tile) const;  ///< [1, 3, height, width] to [1, rows a tile, decoder width]

  VlmConfig config_;
  Device device_ = Device("cpu");
  DType dtype_ = DType::Float32;
  std::optional<VisionTower> tower_, second_tower_;
  Projector projector_, second_projector_;  ///< the second: Interleaved alone
  Tensor newline_;                          ///< [width]
};

}  // namespace unisim
