#include "models/vlm_pictures.h"

#include <algorithm>
#include <map>
#include <string>

#include "models/config_vlm.h"
#include "support.h"

using namespace unisim;

namespace {

VisionConfig tower(int64_t side, int64_t patch) {
  VisionConfig vision;
  vision.image_height = vision.image_width = vision.table_height = vision.table_width = side;
  vision.patch_height = vision.patch_width = patch;
  return vision;
}

PreprocessConfig straight(int64_t side) {
  PreprocessConfig tile;
  tile.rule = ResizeRule::Exact;
  tile.resize_height = tile.resize_width = side;
  tile.mean = {0.5, 0.5, 0.5}, tile.std = {0.5, 0.5, 0.5};
  return tile;
}

/// LLaVA-OneVision as published: 384 pixels, 27 x 27 patches, 36 grids.
VlmConfig onevision(int64_t most = 9) {
  VlmConfig config{.family = "llava_onevision", .vision = tower(384, 14), .preprocess = straight(384)};
  config.tiles = {.rule = TileRule::AnyRes, .grids = onevision_grids(), .most_tiles = most};
  config.newline = true;
  return config;
}

/// InternVL as published: 448 pixels, 32 x 32 patches, 256 rows a tile.
VlmConfig internvl(int64_t least = 1, int64_t most = 12) {
  VlmConfig config{.family = "internvl", .vision = tower(448, 14), .preprocess = straight(448)};
  config.features.shuffle = true;
  config.tiles = {.rule = TileRule::Dynamic, .most_tiles = most, .least_tiles = least};
  return config;
}

VlmConfig llava() { return {.family = "llava", .vision = tower(336, 14), .preprocess = straight(336)}; }

struct Expected {
  const char* why;
  int64_t width, height;
  TilePlan plan;
};

// tiles; grid; map; top, left; unpadded; rows: worked out by hand from the rules, rows compared with transformers'
// LlavaOnevisionProcessor._get_number_of_features.
const std::vector<Expected> anyres = {
    {"fits a grid exactly", 1152, 384, {4, 1, 3, 27, 81, 0, 0, 27, 81, 2943}},
    {"no grid keeps more than the picture has: the smallest", 300, 300, {2, 1, 1, 27, 27, 0, 0, 27, 27, 1485}},
    {"wider than its grid: rows are left out above and below", 1000, 600, {7, 2, 3, 48, 81, 3, 0, 48, 81, 4665}},
    {"higher than its grid: columns are left out", 600, 1000, {7, 3, 2, 81, 48, 0, 3, 81, 48, 4698}},
    {"an odd rest stays in the map", 5000, 400, {7, 1, 6, 13, 162, 7, 0, 13, 162, 2848}},
    {"a map of four times too many rows is halved", 2304, 2304, {37, 6, 6, 81, 81, 0, 0, 162, 162, 7371}},
    {"unpadded, then shrunk", 1920, 1080, {16, 3, 5, 60, 108, 3, 0, 75, 135, 7269}},
    // 47 * (54 / 423) is 5.999999999999999, and 6.0 to seven places.
    {"Python's round decides", 47, 423, {3, 2, 1, 54, 7, 0, 10, 54, 7, 1161}},
    // No grid keeps a whole pixel of its width: all are equal, the smallest waste least.
    {"a line of pixels", 1, 100'000, {2, 1, 1, 27, 1, 0, 13, 27, 1, 783}},
};

std::string branch(const TilePlan& plan) {
  std::string name = plan.top > 0 ? "rows left out" : plan.left > 0 ? "columns left out" : "nothing left out";
  const bool shrunk = plan.map_height != plan.unpadded_height || plan.map_width != plan.unpadded_width;
  return name + (shrunk ? ", shrunk" : ", kept");
}

}  // namespace

TEST_CASE("a picture alone is cut as LLaVA-OneVision cuts it", "[vlm_pictures]") {
  std::map<std::string, int> branches;
  for (const Expected& expected : anyres) {
    CAPTURE(expected.why, expected.width, expected.height);
    const TilePlan plan = tile_plan(onevision(), expected.width, expected.height, true);
    CHECK(plan.tiles == expected.plan.tiles);
    CHECK(plan.rows == expected.plan.rows);
    CHECK(plan == expected.plan);
    ++branches[branch(plan)];
  }
  ++branches[branch(tile_plan(onevision(), 1080, 1920, true))];
  // Rows, columns or nothing left out, and shrunk or kept: no case is missing.
  CHECK(branches.size() == 6);
}

TEST_CASE("of grids that keep and waste as much, the first is taken", "[vlm_pictures]") {
  VlmConfig config = onevision();
  config.tiles.grids = {{384, 768}, {768, 384}};
  CHECK(tile_plan(config, 500, 500, true).grid_width == 2);
  config.tiles.grids = {{768, 384}, {384, 768}};
  CHECK(tile_plan(config, 500, 500, true).grid_width == 1);
}

TEST_CASE("a floor of a quotient is Python's", "[vlm_pictures]") {
  // The map is 15 x 135 and the ratio sqrt(2025 / 729) = 5 / 3: 15 over it is 9.0 in doubles, and 15 // it is 8.
  const TilePlan plan = tile_plan(onevision(1), 1800, 200, true);
  CHECK(plan.unpadded_height == 15);
  CHECK(plan.unpadded_width == 135);
  CHECK(plan.map_height == 8);
  CHECK(plan.map_width == 80);
  CHECK(plan.rows == 1377);
}

TEST_CASE("several pictures in a prompt are one tile and a newline each", "[vlm_pictures]") {
  const TilePlan plan = tile_plan(onevision(), 1920, 1080, false);
  CHECK(plan == TilePlan{.tiles = 1, .rows = 730});
}

TEST_CASE("InternVL takes the grid whose ratio is nearest", "[vlm_pictures]") {
  struct Case {
    const char* why;
    int64_t width, height, least, most;
    int64_t rows, columns;  ///< 0: one tile
  };
  const std::vector<Case> cases = {
      {"one tile, no thumbnail", 448, 448, 1, 12, 0, 0},
      {"equal, but 4 tiles are more than twice the picture", 449, 449, 1, 12, 0, 0},
      {"equal, and 4 tiles are not, but 9 are", 700, 700, 1, 12, 2, 2},
      {"equal, and the last one serves", 2000, 2000, 1, 12, 3, 3},
      {"nearest by itself", 800, 600, 1, 12, 3, 4},
      {"high", 100, 1200, 1, 12, 12, 1},
      {"beyond every ratio", 9000, 100, 1, 12, 1, 12},
      {"two ratios equally far, a small picture", 300, 400, 1, 2, 0, 0},
      {"two ratios equally far, a larger one", 600, 800, 1, 2, 2, 1},
      {"as far from 1 x 2 as from 2 x 1, a small picture: the first", 500, 400, 2, 2, 2, 1},
      {"as far from 1 x 2 as from 2 x 1, a larger one: the last", 1000, 800, 2, 2, 1, 2},
      {"at least two tiles", 500, 500, 2, 4, 2, 2},
      {"at most one tile", 500, 2500, 1, 1, 0, 0},
  };
  std::map<bool, int> cut;
  for (const Case& c : cases) {
    CAPTURE(c.why);
    const TilePlan plan = tile_plan(internvl(c.least, c.most), c.width, c.height, true);
    const int64_t tiles = c.rows == 0 ? 1 : c.rows * c.columns + 1;
    CHECK(plan == TilePlan{.tiles = tiles, .grid_height = c.rows, .grid_width = c.columns, .rows = 256 * tiles});
    CHECK(plan == tile_plan(internvl(c.least, c.most), c.width, c.height, false));
    ++cut[c.rows > 0];
  }
  CHECK(cut[false] == 4);
  CHECK(cut[true] == 9);
}

TEST_CASE("rows of a tile count the class token, newlines and second towers", "[vlm_pictures]") {
  VlmConfig config = llava();
  CHECK(tile_plan(config, 10, 20, true).rows == 576);
  config.features.class_token = true;
  CHECK(tile_plan(config, 10, 20, false).rows == 577);
  config.features.class_token = false;
  config.newline = config.newline_per_image = true;
  CHECK(tile_plan(config, 10, 20, true).rows == 577);
  config = llava();
  config.mof = MofKind::Additive;
  CHECK(tile_plan(config, 10, 20, true).rows == 576);
  config.mof = MofKind::Interleaved;
  CHECK(tile_plan(config, 10, 20, true).rows == 1152);
}

TEST_CASE("a picture that cannot be cut is refused", "[vlm_pictures]") {
  CHECK_THROWS_AS(tile_plan(llava(), 0, 5, true), std::invalid_argument);
  CHECK_THROWS_AS(tile_plan(onevision(), 5, -1, true), std::invalid_argument);
  CHECK_THROWS_WITH(tile_plan(onevision(), 1, 100'000, false), Catch::Contains("padded to a square"));
  // A map of one row of 162 patches, for which there is a ninth of the room.
  VlmConfig thin = onevision(1);
  thin.tiles.grids = {{384, 384 * 60}};
  CHECK_THROWS_WITH(tile_plan(thin, 100'000, 10, true), Catch::Contains("shrunk to nothing"));
}

namespace {

Image plain(int32_t width, int32_t height, uint8_t red, uint8_t green, uint8_t blue) {
  Image image{width, height, {}, {}};
  for (int64_t i = 0; i < int64_t{width} * height; ++i) image.pixels.insert(image.pixels.end(), {red, green, blue});
  return image;
}

/// Channel `c` of a tile at (y, x), as the 8-bit number that it was made of.
int level(const std::vector<float>& pixels, int64_t side, int64_t tile, int64_t c, int64_t y, int64_t x) {
  const float value = pixels[static_cast<std::size_t>(((tile * 3 + c) * side + y) * side + x)];
  return static_cast<int>(std::lround((value * 0.5 + 0.5) * 255));
}

}  // namespace

TEST_CASE("a canvas is black around the picture, the odd row below", "[vlm_pictures]") {
  VlmConfig config = onevision();
  const Image image = plain(1000, 599, 200, 100, 50);
  const TilePlan plan = tile_plan(config, 1000, 599, true);
  REQUIRE(plan.tiles == 7);  // 768 x 1152: the picture is 691 rows high there, 38 black ones above and 39 below
  const std::vector<float> pixels = tile_pixels(config, image, plan);
  REQUIRE(pixels.size() == 7 * 3 * 384 * 384);
  CHECK(level(pixels, 384, 0, 0, 0, 0) == 200);  // the whole picture fills its tile
  CHECK(level(pixels, 384, 1, 0, 37, 5) == 0);
  CHECK(level(pixels, 384, 1, 0, 38, 5) == 200);
  CHECK(level(pixels, 384, 3, 1, 38, 383) == 100);
  CHECK(level(pixels, 384, 6, 2, 383 - 39, 0) == 50);
  CHECK(level(pixels, 384, 6, 2, 383 - 38, 0) == 0);
}

TEST_CASE("tiles stand row by row, InternVL's thumbnail last", "[vlm_pictures]") {
  VlmConfig config = internvl();
  Image image = plain(896, 448, 0, 0, 0);
  for (int64_t y = 0; y < 448; ++y)
    for (int64_t x = 448; x < 896; ++x) image.pixels[static_cast<std::size_t>((y * 896 + x) * 3)] = 255;
  config.tiles.most_tiles = 2;
  const TilePlan plan = tile_plan(config, 896, 448, true);
  REQUIRE(plan.tiles == 3);
  const std::vector<float> pixels = tile_pixels(config, image, plan);
  CHECK(level(pixels, 448, 0, 0, 100, 447) == 0);
  CHECK(level(pixels, 448, 1, 0, 100, 0) == 255);
  CHECK(level(pixels, 448, 2, 0, 100, 10) == 0);
  CHECK(level(pixels, 448, 2, 0, 100, 440) == 255);
}

TEST_CASE("a square is filled with the mean colour cut to a whole number", "[vlm_pictures]") {
  VlmConfig config = llava();
  config.tiles.square = true;
  config.preprocess = straight(336);
  config.preprocess.resample = 0;
  // int(0.5 * 255) is 127, though 127.5 is as near to 128.
  const std::vector<float> wide = tile_pixels(config, plain(336, 111, 9, 9, 9), tile_plan(config, 336, 111, true));
  CHECK(level(wide, 336, 0, 0, 111, 0) == 127);  // (336 - 111) // 2 = 112 rows above
  CHECK(level(wide, 336, 0, 0, 112, 0) == 9);
  CHECK(level(wide, 336, 0, 0, 222, 0) == 9);
  CHECK(level(wide, 336, 0, 0, 223, 0) == 127);
  const std::vector<float> high = tile_pixels(config, plain(111, 336, 9, 9, 9), tile_plan(config, 111, 336, true));
  CHECK(level(high, 336, 0, 0, 0, 111) == 127);
  CHECK(level(high, 336, 0, 0, 0, 112) == 9);
}
