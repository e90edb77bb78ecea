#include "positions.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/zeros.h>
#include <unisim/error.h>

#include <vector>

namespace unisim {
namespace {

/// Whether the learned rows serve as they stand. transformers compares the number of patches and asks for a
/// square picture; timm compares the grids.
bool as_learned(const VisionConfig& config, int64_t height, int64_t width) {
  const Grid grid = grid_of(config, height, width);
  const Grid table = grid_of(config, config.table_height, config.table_width);
  switch (config.position_resize) {
    case PositionResize::Refused:
      return true;
    case PositionResize::Dinov2:
    case PositionResize::Dinov2Registers:
      return grid.height * grid.width == table.height * table.width && height == width;
    case PositionResize::Timm:
      return grid.height == table.height && grid.width == table.width;
  }
  return false;
}

/// [rows, width] of one grid to another. The picture of the rows keeps their memory order (channels last), as
/// in the libraries, so that ATen takes the same kernel.
Tensor resized(const Tensor& rows, Grid from, Grid to, bool antialias) {
  const Tensor picture = rows.reshape({1, from.height, from.width, rows.size(1)}).permute({0, 3, 1, 2});
  const std::vector<int64_t> size = {to.height, to.width};
  const Tensor result = antialias ? at::_upsample_bicubic2d_aa(picture, size, false)
                                  : at::upsample_bicubic2d(picture, size, false);
  return result.permute({0, 2, 3, 1}).reshape({to.height * to.width, rows.size(1)});
}

}  // namespace

Grid grid_of(const VisionConfig& config, int64_t height, int64_t width) {
  return {height / config.patch_height, width / config.patch_width};
}

Tensor position_rows(const VisionConfig& config, const Tensor& table, int64_t height, int64_t width) {
  const int64_t prefix = (config.class_position ? 1 : 0) + (config.register_positions ? config.registers : 0);
  Tensor patches = table.slice(0, prefix);
  if (!as_learned(config, height, width))
    patches = resized(patches, grid_of(config, config.table_height, config.table_width),
                      grid_of(config, height, width), config.position_resize != PositionResize::Dinov2);
  int64_t row = 0;
  std::vector<Tensor> parts;
  const auto add = [&](int64_t tokens, bool learned) {
    parts.push_back(learned ? table.slice(0, row, row + tokens)
                            : at::zeros({tokens, table.size(1)}, table.options()));
    if (learned) row += tokens;
  };
  add(config.class_token ? 1 : 0, config.class_position);
  add(config.registers, config.register_positions);
  parts.push_back(patches);
  return at::cat(parts, 0);
}

}  // namespace unisim
