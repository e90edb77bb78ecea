#pragma once

#include <unisim/tensor.h>

#include <cstdint>

#include "config.h"

namespace unisim {

/// Rows and columns of patches in a picture; what is left over at the lower and right edge is not seen.
struct Grid {
  int64_t height = 0, width = 0;
};
Grid grid_of(const VisionConfig& config, int64_t height, int64_t width);

/// What is added to the tokens of a picture [tokens, width], float32: the learned rows, the patches' resized
/// to the picture's grid as config.position_resize says, and zeros for tokens that have no position.
Tensor position_rows(const VisionConfig& config, const Tensor& table, int64_t height, int64_t width);

}  // namespace unisim
