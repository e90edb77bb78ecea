#pragma once

#include <unisim/image.h>

#include <cstdint>
#include <vector>

#include "vlm_config.h"

/// From a picture to the tiles that a vision-language model's tower sees, and to the number of rows that they become. No
/// LibTorch here.
///
/// The rules are transformers', in its own arithmetic: where a side is decided by a number with a fraction, the operations
/// are Python's, in their order, on doubles.
namespace unisim {

/// How a picture of some size is cut: everything that its rows depend on besides its pixels.
struct TilePlan {
  int64_t tiles = 1;
  /// Tiles of the canvas, row by row; the whole picture as one tile stands before them (AnyRes) or behind (Dynamic). 0: the
  /// picture is one tile.
  int64_t grid_height = 0, grid_width = 0;
  int64_t map_height = 0, map_width = 0;    ///< AnyRes, alone: rows and columns of the map after unpadding and shrinking
  int64_t top = 0, left = 0;                ///< AnyRes, alone: what unpadding leaves out before the map
  int64_t unpadded_height = 0, unpadded_width = 0;  ///< AnyRes, alone: the map before it is shrunk
  int64_t rows = 0;                         ///< of the decoder, newlines included

  bool operator==(const TilePlan&) const = default;
};

/// `alone`: the only picture of its prompt. Throws std::invalid_argument for a picture that cannot be cut.
TilePlan tile_plan(const VlmConfig& config, int64_t width, int64_t height, bool alone);

/// Rows that the tower and what is taken of it make of one tile, newlines not included.
int64_t rows_of_tile(const VlmConfig& config);

/// [tiles, 3, height, width] floats, as the processor of transformers (its `pil` backend) makes them.
std::vector<float> tile_pixels(const VlmConfig& config, const Image& image, const TilePlan& plan);

}  // namespace unisim
