#include "vlm_pictures.h"

#include <unisim/error.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "preprocess.h"

namespace unisim {
namespace {

struct Sides {
  int64_t height = 0, width = 0;
};

double real(int64_t whole) { return static_cast<double>(whole); }

/// Python's int(): towards zero.
int64_t whole(double value) { return static_cast<int64_t>(value); }

/// Python's int(round(value, 7)): the decimal number nearest to the exact value, halves to even, read back.
int64_t whole_of_seven_places(double value) {
  std::array<char, 400> text;  // 309 digits of the largest double, and what stands around them
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, 7).ptr;
  double rounded = 0;
  std::from_chars(text.data(), end, rounded);
  return whole(rounded);
}

/// int(a // b) of Python's floats, whose quotient is made of the remainder.
int64_t floor_quotient(double a, double b) {
  const double quotient = (a - std::fmod(a, b)) / b;
  const double below = std::floor(quotient);
  return whole(quotient - below > 0.5 ? below + 1 : below);
}

/// transformers' select_best_resolution: the grid that keeps most of the picture, of equals the smallest, of
/// those the first.
Sides best_grid(const std::vector<std::array<int64_t, 2>>& grids, Sides picture) {
  Sides best;
  int64_t most = 0, least_waste = std::numeric_limits<int64_t>::max();
  for (const auto& [height, width] : grids) {
    const double scale = std::min(real(width) / real(picture.width), real(height) / real(picture.height));
    const int64_t kept = whole(real(picture.width) * scale) * whole(real(picture.height) * scale);
    const int64_t effective = std::min(kept, picture.width * picture.height);
    const int64_t waste = width * height - effective;
    if (effective > most || (effective == most && waste < least_waste))
      most = effective, least_waste = waste, best = {height, width};
  }
  return best;
}

/// transformers' get_patch_output_size: the picture inside of a canvas, the tighter side exact.
Sides fitted(Sides picture, Sides canvas) {
  const double by_width = real(canvas.width) / real(picture.width);
  const double by_height = real(canvas.height) / real(picture.height);
  if (by_width < by_height)
    return {std::min(whole(std::ceil(real(picture.height) * by_width)), canvas.height), canvas.width};
  return {canvas.height, std::min(whole(std::ceil(real(picture.width) * by_height)), canvas.width)};
}

/// What of the map lies over the picture, and how it is shrunk where that is much: transformers' unpad_image
/// and pack_image_features.
void plan_map(TilePlan& plan, Sides picture, int64_t patches, int64_t most_tiles) {
  int64_t height = plan.grid_height * patches, width = plan.grid_width * patches;
  if (real(picture.width) / real(picture.height) > real(width) / real(height)) {
    const int64_t kept = whole_of_seven_places(real(picture.height) * (real(width) / real(picture.width)));
    plan.top = (height - kept) / 2;
    height -= 2 * plan.top;
  } else {
    const int64_t kept = whole_of_seven_places(real(picture.width) * (real(height) / real(picture.height)));
    plan.left = (width - kept) / 2;
    width -= 2 * plan.left;
  }
  plan.unpadded_height = height, plan.unpadded_width = width;
  const double ratio = std::sqrt(real(height * width) / real(most_tiles * patches * patches));
  if (ratio > 1.1) {
    height = floor_quotient(real(height), ratio);
    width = floor_quotient(real(width), ratio);
    require(height > 0 && width > 0, "[tile_plan] a picture of ", picture.width, " x ", picture.height,
            " is so thin that its map of ", plan.unpadded_width, " x ", plan.unpadded_height,
            " patches would be shrunk to nothing");
  }
  plan.map_height = height, plan.map_width = width;
}

void plan_anyres(const VlmConfig& config, Sides picture, TilePlan& plan) {
  const Sides canvas = best_grid(config.tiles.grids, picture);
  const int64_t side = config.preprocess.resize_height, patches = side / config.vision.patch_height;
  plan.grid_height = canvas.height / side, plan.grid_width = canvas.width / side;
  plan.tiles = 1 + plan.grid_height * plan.grid_width;
  plan_map(plan, picture, patches, config.tiles.most_tiles);
  plan.rows = patches * patches + plan.map_height * (plan.map_width + 1);
}

/// transformers' get_optimal_tiled_canvas: columns and rows whose ratio is nearest to the picture's. Of
/// equally near ones the larger, unless it would be more than twice as large as the picture.
Sides dynamic_grid(const TileConfig& tiles, Sides tile, Sides picture) {
  std::vector<Sides> grids;
  for (int64_t columns = 1; columns <= tiles.most_tiles; ++columns)
    for (int64_t rows = 1; rows * columns <= tiles.most_tiles; ++rows)
      if (rows * columns >= tiles.least_tiles) grids.push_back({rows, columns});
  std::ranges::stable_sort(grids, {}, [](const Sides& grid) { return grid.height * grid.width; });
  const double ratio = real(picture.width) / real(picture.height);
  const double area = real(picture.width * picture.height);
  Sides best = {1, 1};
  double nearest = std::numeric_limits<double>::infinity();
  for (const Sides& grid : grids) {
    const double apart = std::abs(ratio - real(grid.width) / real(grid.height));
    if (apart < nearest)
      nearest = apart, best = grid;
    else if (apart == nearest && area > 0.5 * real(tile.height * tile.width * grid.width * grid.height))
      best = grid;
  }
  return best;
}

void plan_dynamic(const VlmConfig& config, Sides picture, TilePlan& plan) {
  const PreprocessConfig& tile = config.preprocess;
  const Sides grid = dynamic_grid(config.tiles, {tile.resize_height, tile.resize_width}, picture);
  const int64_t count = grid.height * grid.width;
  if (count > 1) {
    plan.grid_height = grid.height, plan.grid_width = grid.width;
    plan.tiles = count + (config.tiles.thumbnail ? 1 : 0);
  }
  plan.rows = plan.tiles * rows_of_tile(config);
}

// ---- pixels
// ----------------------------------------------------------------------------------------------------

Image ground(Sides size, const std::array<uint8_t, 3>& colour) {
  Image image{static_cast<int32_t>(size.width), static_cast<int32_t>(size.height), {}, {}};
  image.pixels.resize(static_cast<std::size_t>(size.width * size.height * 3));
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

/// Copies `from` into `into` with its upper left corner there.
void paste(const Image& from, Image& into, int64_t top, int64_t left) {
  for (int64_t y = 0; y < from.height; ++y)
    std::copy_n(from.pixels.begin() + y * from.width * 3, from.width * 3,
                into.pixels.begin() + ((top + y) * into.width + left) * 3);
}

Image cut(const Image& image, int64_t top, int64_t left, Sides size) {
  Image part = ground(size, {0, 0, 0});
  for (int64_t y = 0; y < size.height; ++y)
    std::copy_n(image.pixels.begin() + ((top + y) * image.width + left) * 3, size.width * 3,
                part.pixels.begin() + y * size.width * 3);
  return part;
}

bool is_squared(const VlmConfig& config) {
  return config.tiles.square || config.tiles.rule == TileRule::AnyRes;
}

/// In the middle of a square of the mean colour, cut to 8 bits as Python's int() does.
Image squared(const PreprocessConfig& config, const Image& image) {
  if (image.width == image.height) return image;
  std::array<uint8_t, 3> colour;
  for (std::size_t c = 0; c < 3; ++c) colour[c] = static_cast<uint8_t>(whole(config.mean[c] * 255));
  const int64_t side = std::max(image.width, image.height);
  Image square = ground({side, side}, colour);
  paste(image, square, (side - image.height) / 2, (side - image.width) / 2);
  return square;
}

/// The picture inside of a black canvas; an odd row or column of black is below or to the right.
Image on_canvas(const PreprocessConfig& config, const Image& image, Sides canvas) {
  const Sides inner = fitted({image.height, image.width}, canvas);
  const Image small = resize(image, static_cast<int32_t>(inner.width), static_cast<int32_t>(inner.height),
                             resample_from_pillow(config.resample));
  Image whole = ground(canvas, {0, 0, 0});
  paste(small, whole, (canvas.height - inner.height) / 2, (canvas.width - inner.width) / 2);
  return whole;
}

/// Tiles of a canvas and the whole picture, in the order of the rule.
std::vector<Image> cut_tiles(const VlmConfig& config, const Image& image, const TilePlan& plan) {
  const PreprocessConfig& tile = config.preprocess;
  const Sides size = {tile.resize_height, tile.resize_width};
  const Sides canvas = {plan.grid_height * size.height, plan.grid_width * size.width};
  const bool anyres = config.tiles.rule == TileRule::AnyRes;
  const Image large = anyres
                          ? on_canvas(tile, image, canvas)
                          : resize(image, static_cast<int32_t>(canvas.width),
                                   static_cast<int32_t>(canvas.height), resample_from_pillow(tile.resample));
  std::vector<Image> tiles;
  if (anyres) tiles.push_back(image);
  for (int64_t row = 0; row < plan.grid_height; ++row)
    for (int64_t column = 0; column < plan.grid_width; ++column)
      tiles.push_back(cut(large, row * size.height, column * size.width, size));
  if (!anyres && config.tiles.thumbnail) tiles.push_back(image);
  return tiles;
}

}  // namespace

int64_t rows_of_tile(const VlmConfig& config) {
  const VisionConfig& vision = config.vision;
  int64_t rows = (vision.image_height / vision.patch_height) * (vision.image_width / vision.patch_width);
  if (config.features.shuffle) rows /= 4;
  if (config.features.class_token) rows += 1;
  return config.mof == MofKind::Interleaved ? 2 * rows : rows;
}

TilePlan tile_plan(const VlmConfig& config, int64_t width, int64_t height, bool alone) {
  constexpr int64_t longest = 1 << 24;
  require(width >= 1 && height >= 1 && width <= longest && height <= longest, "[tile_plan] a picture is ",
          width, " x ", height, ", expected sides from 1 to ", longest);
  TilePlan plan;
  if (config.tiles.rule == TileRule::Dynamic) {
    plan_dynamic(config, {height, width}, plan);
  } else if (config.tiles.rule == TileRule::AnyRes && alone) {
    plan_anyres(config, {height, width}, plan);
  } else {
    // Squared, a long line of pixels would fill the memory.
    constexpr int64_t longest_squared = 1 << 14;
    require(!is_squared(config) || std::max(width, height) <= longest_squared, "[tile_plan] a picture is ",
            width, " x ", height, ", expected sides to ", longest_squared,
            " where pictures are padded to a square");
    const bool newline = config.newline_per_image || config.tiles.rule == TileRule::AnyRes;
    plan.rows = rows_of_tile(config) + (newline ? 1 : 0);
  }
  return plan;
}

std::vector<float> tile_pixels(const VlmConfig& config, const Image& image, const TilePlan& plan) {
  const PreprocessConfig& tile = config.preprocess;
  const auto each = static_cast<std::size_t>(3 * output_height(tile) * output_width(tile));
  std::vector<float> pixels(each * static_cast<std::size_t>(plan.tiles));
  std::vector<Image> tiles;
  if (plan.grid_height > 0)
    tiles = cut_tiles(config, image, plan);
  else
    tiles.push_back(is_squared(config) ? squared(tile, image) : image);
  require(static_cast<int64_t>(tiles.size()) == plan.tiles, "[preprocess] a picture has ", tiles.size(),
          " tiles, and the plan ", plan.tiles);
  preprocess_images(tile, tiles, pixels, 1);
  return pixels;
}

}  // namespace unisim
