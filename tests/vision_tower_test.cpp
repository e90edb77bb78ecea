#include "models/vision_tower.h"

#include <ATen/ops/full.h>
#include <unisim/error.h>

#include "models/positions.h"
#include "tiny_model.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

/// Keys' cubic kernel.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/// Weights of the inputs for output i. Without antialias as torch: a = -0.75, four taps, edges repeated. With
/// it as Pillow: a = -0.5, the kernel as wide as the step, taps outside left out, weights summing to one.
std::vector<double> weights_of(int64_t i, int64_t from, int64_t to, bool antialias) {
  std::vector<double> weights(static_cast<std::size_t>(from));
  const double step = static_cast<double>(from) / static_cast<double>(to);
  const double centre = (static_cast<double>(i) + 0.5) * step;
  if (!antialias) {
    const int64_t first = static_cast<int64_t>(std::floor(centre - 0.5)) - 1;
    for (int64_t j = first; j < first + 4; ++j)
      weights[std::clamp<int64_t>(j, 0, from - 1)] += cubic(centre - 0.5 - static_cast<double>(j), -0.75);
    return weights;
  }
  const double stretch = std::max(step, 1.0);
  double sum = 0;
  for (int64_t j = 0; j < from; ++j)
    sum += weights[j] = cubic((static_cast<double>(j) + 0.5 - centre) / stretch, -0.5);
  for (double& weight : weights) weight /= sum;
  return weights;
}

Grid2 resized_in_double(const Grid2& table, Grid from, Grid to, bool antialias) {
  Grid2 out(to.height * to.width, table.columns);
  for (int64_t y = 0; y < to.height; ++y)
    for (int64_t x = 0; x < to.width; ++x) {
      const std::vector<double> down = weights_of(y, from.height, to.height, antialias);
      const std::vector<double> across = weights_of(x, from.width, to.width, antialias);
      for (int64_t r = 0; r < table.rows; ++r)
        for (int64_t c = 0; c < table.columns; ++c)
          out.at(y * to.width + x, c) += down[r / from.width] * across[r % from.width] * table.at(r, c);
    }
  return out;
}

ModelConfig with_positions(PositionResize rule, int64_t registers = 0) {
  ModelConfig model = tiny_vision();
  model.vision->position_resize = rule;
  model.vision->registers = registers;
  return model;
}

/// Patches as a convolution with stride, in double, and the class and register tokens before them.
Grid2 embeddings_in_double(const TinyModel& model, const Tensor& picture) {
  const VisionConfig& config = *model.config().vision;
  const Grid grid = grid_of(config, picture.size(1), picture.size(2));
  const Tensor kernel = model.tensors.at("patch_embed.proj.weight"),
               bias = model.tensors.at("patch_embed.proj.bias");
  const Grid2 weight = grid_of_tensor(kernel.flatten(1)), pixels = grid_of_tensor(picture.flatten(1));
  const int64_t before = 1 + config.registers, width = config.blocks.width;
  Grid2 out(before + grid.height * grid.width, width);
  const Grid2 cls = grid_of_tensor(model.tensors.at("cls_token"));
  for (int64_t c = 0; c < width; ++c) out.at(0, c) = cls.at(0, c);
  for (int64_t r = 0; r < config.registers; ++r)
    for (int64_t c = 0; c < width; ++c) out.at(1 + r, c) = model.tensors.at("reg_token")[r][c].item<double>();
  for (int64_t p = 0; p < grid.height * grid.width; ++p)
    for (int64_t c = 0; c < width; ++c) {
      double sum = bias[c].item<double>();
      int64_t tap = 0;
      for (int64_t channel = 0; channel < 3; ++channel)
        for (int64_t y = 0; y < config.patch_height; ++y)
          for (int64_t x = 0; x < config.patch_width; ++x)
            sum += weight.at(c, tap++) *
                   pixels.at(channel, (p / grid.width * config.patch_height + y) * picture.size(2) +
                                          p % grid.width * config.patch_width + x);
      out.at(before + p, c) = sum;
    }
  return out;
}

}  // namespace

TEST_CASE(
    "the first hidden state is a convolution's patches after class and register tokens, with positions") {
  const TinyModel model(with_positions(PositionResize::Timm, 2));
  const VisionTower tower = model.vision();
  // 2 pixels below and 5 at the right are no whole patch.
  const Tensor pixels = random_tensor({2, 3, 14, 23}, 3);
  const Tensor found = tower.hidden_state(pixels, 0);
  for (int64_t n = 0; n < 2; ++n) {
    Grid2 expected = embeddings_in_double(model, pixels[n]);
    const Grid2 positions = grid_of_tensor(tower.positions_for(14, 23));
    for (std::size_t i = 0; i < expected.values.size(); ++i) expected.values[i] += positions.values[i];
    // 72 products of about one, in float32.
    CHECK(worst(found[n], expected) < 5e-6);
  }
}

TEST_CASE("each hidden state is the block of its number, of the one before") {
  ModelConfig config = tiny_vision();
  config.vision->blocks.qk_norm = config.vision->blocks.layer_scale = true;
  const TinyModel model(config);
  const VisionTower tower = model.vision();
  const Tensor pixels = random_tensor({1, 3, 12, 18}, 3);
  for (int64_t k = 0; k < 2; ++k) {
    const auto tensor = [&, stem = "blocks." + std::to_string(k) + "."](const std::string& name) {
      return model.tensors.at(stem + name);
    };
    const auto linear = [&](const std::string& name) {
      return Linear{tensor(name + ".weight"), tensor(name + ".bias")};
    };
    const auto norm = [&](const std::string& name) {
      return Norm{tensor(name + ".weight"), tensor(name + ".bias"), 2e-3};
    };
    const BlockWeights block = {norm("norm1"),       linear("attn.qkv"),  norm("attn.q_norm"),
                                norm("attn.k_norm"), linear("attn.proj"), tensor("ls1.gamma"),
                                norm("norm2"),       linear("mlp.fc1"),   linear("mlp.fc2"),
                                tensor("ls2.gamma")};
    CHECK(tower.hidden_state(pixels, k + 1)
              .equal(run_block(config.vision->blocks, block, tower.hidden_state(pixels, k))));
  }
}

TEST_CASE("positions of the learned grid are taken as they stand, and registers have none") {
  const TinyModel model(with_positions(PositionResize::Dinov2Registers, 2));
  const Tensor table = model.tensors.at("pos_embed"), rows = model.vision().positions_for(12, 18);
  REQUIRE(rows.size(0) == 12);
  CHECK(rows[0].equal(table[0]));
  CHECK(rows.slice(0, 1, 3).eq(0).all().item<bool>());
}

TEST_CASE("positions are resized by the rule of the model's library, the class row never") {
  struct Rule {
    PositionResize rule;
    bool antialias;
  };
  for (const Rule rule : {Rule{PositionResize::Dinov2, false}, Rule{PositionResize::Dinov2Registers, true},
                          Rule{PositionResize::Timm, true}})
    for (const Grid to : {Grid{5, 4}, Grid{2, 1}, Grid{1, 9}, Grid{7, 2}}) {
      const TinyModel model(with_positions(rule.rule));
      const Tensor table = model.tensors.at("pos_embed");
      const Tensor rows = model.vision().positions_for(to.height * 4 + 1, to.width * 6 + 2);
      CHECK(rows[0].equal(table[0]));
      // ATen computes the weights in float32.
      CHECK(worst(rows.slice(0, 1),
                  resized_in_double(grid_of_tensor(table.slice(0, 1)), {3, 3}, to, rule.antialias)) < 3e-6);
    }
}

TEST_CASE("timm's register rows of the table stand before the patches and are not resized") {
  ModelConfig config = with_positions(PositionResize::Timm, 2);
  config.vision->register_positions = true;
  const TinyModel model(config);
  const Tensor table = model.tensors.at("pos_embed");
  REQUIRE(table.size(0) == 12);
  CHECK(model.vision().positions_for(20, 20).slice(0, 0, 3).equal(table.slice(0, 0, 3)));
}

TEST_CASE("a row has the same bits in any batch and at any place in it") {
  const TinyModel model(tiny_vision());
  const VisionTower tower = model.vision();
  const Tensor pixels = random_tensor({7, 3, 12, 18}, 3);
  const Tensor all = tower.embed(pixels), patches = tower.patch_tokens(pixels);
  for (int64_t i = 0; i < 7; ++i) {
    CHECK(tower.embed(pixels.slice(0, i, i + 1))[0].equal(all[i]));
    CHECK(tower.patch_tokens(pixels.slice(0, i))[0].equal(patches[i]));
  }
}

TEST_CASE("each pooling takes the rows that it names") {
  for (const bool norm_after : {false, true})
    for (const VisionPool pool : {VisionPool::Cls, VisionPool::Mean, VisionPool::MeanAll}) {
      ModelConfig config = with_positions(PositionResize::Refused, 2);
      config.vision->pool = pool;
      config.vision->final_norm = !norm_after, config.vision->pool_norm = norm_after;
      const TinyModel model(config);
      const std::string name = norm_after ? "fc_norm" : "norm";
      const Norm norm = {model.tensors.at(name + ".weight"), model.tensors.at(name + ".bias"), 1e-2};
      const Tensor pixels = random_tensor({1, 3, 12, 18}, 3);
      const Tensor last = model.vision().hidden_state(pixels, 2)[0];
      const int64_t first = pool == VisionPool::Mean ? 3 : 0,
                    end = pool == VisionPool::Cls ? 1 : last.size(0);
      Tensor rows = last.slice(0, first, end).to(at::kDouble);
      Grid2 expected(1, 12);
      if (norm_after) {
        expected = norm_in_double(norm, grid_of_tensor(rows.mean(0, true)));
      } else {
        const Grid2 normed = norm_in_double(norm, grid_of_tensor(rows));
        for (int64_t r = 0; r < normed.rows; ++r)
          for (int64_t c = 0; c < 12; ++c)
            expected.at(0, c) += normed.at(r, c) / static_cast<double>(normed.rows);
      }
      CHECK(worst(model.vision().embed(pixels), expected) < 5e-6);
    }
}

TEST_CASE("a layer is asked through the last norm, wherever the model has it, without the projection") {
  for (const bool norm_after : {false, true}) {
    ModelConfig config = with_positions(PositionResize::Refused, 2);
    config.vision->final_norm = !norm_after, config.vision->pool_norm = norm_after;
    config.layout = Layout::OpenClip;
    config.vision->timm_trunk = true, config.vision->projection = 7;
    const TinyModel model(config);
    const VisionTower tower = model.vision();
    CHECK(tower.dim() == 7);
    const Tensor pixels = random_tensor({2, 3, 12, 18}, 3);
    const std::string name = norm_after ? "visual.trunk.fc_norm" : "visual.trunk.norm";
    const Norm norm = {model.tensors.at(name + ".weight"), model.tensors.at(name + ".bias"), 1e-2};
    for (int64_t k = 0; k <= 2; ++k) {
      const Tensor tokens = run_norm(norm, tower.hidden_state(pixels, k));
      CHECK(tower.embed(pixels, k).equal(tokens.select(1, 0)));
      CHECK(tower.embed(pixels, k, Pool::Mean).allclose(tokens.slice(1, 3).mean(1), 1e-5, 1e-6));
    }
    CHECK(tower.patch_tokens(pixels, 1).equal(tower.hidden_state(pixels, 1).slice(1, 3)));
    CHECK(tower.patch_tokens(pixels).equal(run_norm(norm, tower.hidden_state(pixels, 2)).slice(1, 3)));
  }
}

TEST_CASE("bfloat16 stays near float32") {
  const TinyModel model(tiny_vision());
  const Tensor pixels = random_tensor({3, 3, 12, 18}, 3);
  const Tensor a = model.vision().embed(pixels), b = model.vision(DType::BFloat16).embed(pixels);
  CHECK(b.scalar_type() == at::kFloat);
  const Tensor cosine = a.mul(b).sum(1).div(a.norm(2, 1).mul(b.norm(2, 1)));
  CHECK(cosine.min().item<double>() > 0.999);
}

TEST_CASE("pixels that the tower cannot take are refused, both sides named") {
  const TinyModel model(tiny_vision());
  const VisionTower tower = model.vision();
  const Tensor pixels = random_tensor({2, 3, 12, 18}, 3);
  CHECK_THROWS_WITH(tower.embed(pixels.slice(3, 0, 12)), Contains("12 x 12") && Contains("12 x 18"));
  CHECK_THROWS_WITH(tower.embed(pixels[0]), Contains("[3, 12, 18], expected [n, 3, height, width]"));
  CHECK_THROWS_WITH(tower.embed(pixels.to(at::kByte)), Contains("expected floating point"));
  CHECK_THROWS_WITH(tower.embed(pixels, 3), Contains("layer 3") && Contains("0 to 2"));
  CHECK_THROWS_WITH(tower.hidden_state(pixels, -1), Contains("layer -1"));
  const Tensor bad = pixels.clone();
  bad[1][2][11][17].fill_(std::nan(""));
  CHECK_THROWS_WITH(tower.embed(bad), Contains("item 1"));
  const TinyModel resizing(with_positions(PositionResize::Timm));
  CHECK_THROWS_WITH(resizing.vision().embed(pixels.slice(2, 0, 3)), Contains("less than one patch of 4 x 6"));
}

TEST_CASE("the class token is not asked of a model that has none") {
  ModelConfig config = tiny_vision();
  config.vision->class_token = config.vision->class_position = false;
  config.vision->pool = VisionPool::Mean;
  const TinyModel model(config);
  const Tensor pixels = random_tensor({1, 3, 12, 18}, 3);
  CHECK_THROWS_WITH(model.vision().embed(pixels, 1), Contains("no class token"));
  CHECK(model.vision().embed(pixels, 1, Pool::Mean).size(1) == 12);
}

TEST_CASE("a result that overflows names the item and the first hidden state that does") {
  TinyModel model(tiny_vision());
  model.tensors["blocks.1.mlp.fc2.weight"] = at::full({12, 20}, 3e38f);
  const Tensor pixels = random_tensor({2, 3, 12, 18}, 3);
  CHECK_THROWS_AS(model.vision().embed(pixels), std::runtime_error);
  CHECK_THROWS_WITH(model.vision().embed(pixels),
                    Contains("item 0") && Contains("hidden state 2 in float32"));
}

TEST_CASE("no pictures give no rows, and progress counts those done") {
  const TinyModel model(tiny_vision());
  const Tensor pixels = random_tensor({3, 3, 12, 18}, 3);
  CHECK(model.vision().embed(pixels.slice(0, 0, 0)).sizes().vec() == std::vector<int64_t>{0, 12});
  std::vector<int64_t> done;
  const Tensor rows = model.vision().embed(pixels, {}, {}, [&](int64_t n) { done.push_back(n); });
  CHECK(done == std::vector<int64_t>{1, 2, 3});
  CHECK_FALSE(rows.is_inference());
}
