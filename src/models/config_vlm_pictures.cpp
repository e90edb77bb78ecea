#include <unisim/error.h>

#include <cmath>
#include <utility>

#include "config_vlm.h"

namespace unisim {
namespace {

using Grids = std::vector<std::array<int64_t, 2>>;

constexpr int64_t max_grids = 4'096;

bool is_side(const Json& value) {
  return value.is_number_integer() && value.get<double>() >= 1 &&
         value.get<double>() <= static_cast<double>(max_image_side);
}

/// A tile that comes of a larger picture is resized to one size, whatever its shape.
void require_tiles(const PreprocessConfig& tile, const std::filesystem::path& folder) {
  const bool plain =
      tile.rule == ResizeRule::Exact && tile.resize_height == tile.resize_width && tile.crop_height == 0;
  if (!plain)
    throw Unsupported(folder,
                      "pictures are cut into tiles, and the processor does something else to a tile than to "
                      "resize it to a square");
}

/// A small folder must not ask for all memory: as float32 these are 768 MB a picture, ten times what is published.
constexpr int64_t most_pixels = int64_t{1} << 26;

void require_affordable(int64_t tiles, int64_t side, const char* key, const std::filesystem::path& folder) {
  require_data(tiles <= most_pixels / (side * side), folder, key, " makes ", tiles, " tiles of ", side, " x ", side,
               " of a picture, expected at most ", most_pixels, " pixels in all");
}

void read_anyres(VlmConfig& config, const PictureProcessor& processor, const Grids& grids) {
  require_tiles(processor.tile, config.folder);
  require_data(processor.grids == grids, config.folder, "image_grid_pinpoints of the processor (",
               processor.grids.size(), " grids) and of config.json (", grids.size(), ") are not the same");
  const int64_t side = processor.tile.resize_height;
  for (const auto& [height, width] : grids) {
    require_data(height % side == 0 && width % side == 0, config.folder, "image_grid_pinpoints has ", height,
                 " x ", width, ", which tiles of ", side, " pixels do not fill");
    require_affordable((height / side) * (width / side) + 1, side, "image_grid_pinpoints", config.folder);
  }
  config.tiles.rule = TileRule::AnyRes;
  config.tiles.grids = grids;
  config.tiles.least_tiles = 1;
}

void read_dynamic(VlmConfig& config, const PictureProcessor& processor) {
  require_tiles(processor.tile, config.folder);
  require_data(processor.least_tiles <= processor.most_tiles, config.folder, "min_patches is ",
               processor.least_tiles, ", more than max_patches, which is ", processor.most_tiles);
  require_affordable(processor.most_tiles + 1, processor.tile.resize_height, "max_patches", config.folder);
  config.tiles.rule = TileRule::Dynamic;
  config.tiles.least_tiles = processor.least_tiles;
  config.tiles.most_tiles = processor.most_tiles;
}

/// The colour that a picture is squared with must be one of 8 bits.
void require_ground(const PreprocessConfig& tile, const std::filesystem::path& folder) {
  for (const double mean : tile.mean)
    require_data(mean >= 0 && mean <= 1, folder, "image_mean holds ", mean,
                 ", expected from 0 to 1: pictures are squared with this colour");
}

}  // namespace

Grids onevision_grids() {
  Grids grids;
  for (int64_t height = 384; height <= 2'304; height += 384)
    for (int64_t width = 384; width <= 2'304; width += 384) grids.push_back({height, width});
  return grids;
}

Grids grids_or(Fields& fields, std::string_view key, Grids otherwise) {
  if (!fields.has(key)) return otherwise;
  const Json& value = fields.value(key);
  const auto refuse = [&] { fields.refuse(key, "a list of [height, width] in pixels"); };
  if (!value.is_array() || value.empty() || value.size() > max_grids) refuse();
  Grids grids;
  for (const Json& pair : value) {
    if (!pair.is_array() || pair.size() != 2 || !is_side(pair[0]) || !is_side(pair[1])) refuse();
    grids.push_back({pair[0].get<int64_t>(), pair[1].get<int64_t>()});
  }
  return grids;
}

void read_pictures(VlmConfig& config, const Grids& grids) {
  const PictureProcessor processor = read_picture_processor(config.folder);
  const bool anyres = config.family == "llava_onevision", dynamic = config.family == "internvl";
  const std::string expected = anyres    ? "LlavaOnevisionImageProcessor"
                               : dynamic ? "GotOcr2ImageProcessor"
                                         : "one that gives a tile a picture";
  const bool one =
      processor.name != "LlavaOnevisionImageProcessor" && processor.name != "GotOcr2ImageProcessor";
  if (anyres || dynamic ? processor.name != expected : !one)
    throw Unsupported(config.folder, text_of("the processor of pictures is ", processor.name, ", expected ",
                                             expected, " in a folder of ", config.family));
  config.preprocess = processor.tile;
  config.tiles.square = processor.square;
  if (anyres) read_anyres(config, processor, grids);
  if (dynamic) read_dynamic(config, processor);
  if (anyres || processor.square) require_ground(processor.tile, config.folder);
  fit_to_pictures(config.vision, config.preprocess, config.folder);
  if (config.second_vision) fit_to_pictures(*config.second_vision, config.preprocess, config.folder);
}

}  // namespace unisim
