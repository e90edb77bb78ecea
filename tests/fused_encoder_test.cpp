// The fused executor: whole tiny towers as kernels of a place, held to the `aten` executor.

#include "models/fused_encoder.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/tensor.h>

#include <functional>
#include <map>

#include "models/fused_encoder_of.h"
#include "test_place.h"
#include "tiny_model.h"

using namespace unisim;
using namespace unisim::test;

namespace {

constexpr int64_t kSlice = 2;

ModelConfig vision_of_width_48() {
  ModelConfig model = tiny_vision();
  BlocksConfig& blocks = model.vision->blocks;
  blocks.width = 48, blocks.heads = 2, blocks.head_width = 24, blocks.mlp_width = 56;
  return model;
}

/// Towers that between them take every branch of the fused one.
std::map<std::string, ModelConfig> vision_models() {
  std::map<std::string, ModelConfig> models;
  ModelConfig clip = vision_of_width_48();
  clip.vision->blocks.activation = Activation::QuickGelu;
  clip.vision->norm_pre = clip.vision->pool_norm = true;
  clip.vision->final_norm = clip.vision->patch_bias = false;
  clip.vision->projection = 20;
  clip.layout = Layout::HuggingFaceClip;
  clip.family = "clip";
  models["CLIP"] = clip;

  ModelConfig dinov2 = vision_of_width_48();
  dinov2.vision->blocks.layer_scale = true;
  dinov2.vision->registers = 2;
  models["DINOv2 with registers"] = dinov2;
  dinov2.vision->registers = 0;
  dinov2.vision->blocks.feed_forward = FeedForward::SwiGluPacked;
  models["DINOv2 with SwiGLU"] = dinov2;

  ModelConfig siglip = vision_of_width_48();
  siglip.vision->class_token = siglip.vision->class_position = false;
  siglip.vision->blocks.activation = Activation::GeluTanh;
  siglip.vision->pool = VisionPool::Attention;
  siglip.vision->attention_pool =
      AttentionPoolConfig{.heads = 3, .mlp_width = 40, .activation = Activation::GeluTanh};
  models["SigLIP"] = siglip;

  ModelConfig mean = vision_of_width_48();
  mean.vision->pool = VisionPool::Mean;
  mean.vision->pool_norm = true;
  mean.vision->final_norm = false;
  mean.vision->blocks.qk_norm = true;
  mean.vision->blocks.qkv_bias = false;
  models["ViT with the mean of its patches"] = mean;
  mean.vision->pool = VisionPool::MeanAll;
  mean.vision->pool_norm = false;
  mean.vision->final_norm = true;
  models["ViT with the mean of all"] = mean;
  return models;
}

std::map<std::string, ModelConfig> text_models() {
  std::map<std::string, ModelConfig> models;
  ModelConfig clip = tiny_text();
  BlocksConfig& blocks = clip.text->blocks;
  blocks.width = 48, blocks.heads = 2, blocks.head_width = 24, blocks.mlp_width = 56;
  clip.text->projection = 20;
  models["CLIP"] = clip;
  ModelConfig siglip = clip;
  siglip.text->blocks.causal = false;
  siglip.text->pool = TextPool::Last;
  models["SigLIP"] = siglip;
  ModelConfig none = clip;
  none.text->projection = 0;
  none.text->pool = TextPool::ArgMax;
  models["without a projection"] = none;
  return models;
}

Tensor unit(const Tensor& rows) { return rows.div(rows.norm(2, -1, true)); }
/// The largest difference between unit rows.
double apart(const Tensor& a, const Tensor& b) { return unit(a).sub(unit(b)).abs().max().item<double>(); }
/// 1 - cosine, row by row, summed.
double turned(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  return at::cosine_similarity(x, y, -1).neg().add(1).sum().item<double>();
}

/// Texts with an end token somewhere, enough of them that their errors are alike on the whole.
Tensor many_ids() {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 12; ++i)
    for (int64_t t = 0; t < 7; ++t) ids.push_back(t == 3 + i % 4 ? 28 : (i * 11 + t * 5 + 1) % 27);
  return at::tensor(ids).reshape({12, 7});
}

Tensor some_ids() {
  return at::tensor(std::vector<int64_t>{1, 4, 28, 28, 0, 0, 0, 1, 29, 3, 29, 5, 28, 2, 1, 2, 3, 4, 5, 6, 7})
      .reshape({3, 7});
}

}  // namespace

TEST_CASE("fused image towers give the rows of aten in float32, whatever the batch", "[fused]") {
  for (const auto& [name, config] : vision_models()) {
    INFO(name);
    const TinyModel model(config);
    const VisionTower tower = model.vision();
    const Tensor pixels = random_tensor({5, 3, 12, 18}, 5);
    const Tensor expected = tower.embed(pixels);
    Tensor first;
    each_round([&] {
      FusedEncoderOn<Place, float> fused(&tower, nullptr, kSlice, true);
      const Tensor rows = fused.embed_pixels(pixels);  // slices of 2, 2 and 1
      // The sums of a row of 48 numbers differ in their order: a few units in the last place of each of two
      // blocks.
      CHECK(apart(rows, expected) < 1e-5);
      const Tensor alone =
          at::cat({fused.embed_pixels(pixels.slice(0, 0, 1)), fused.embed_pixels(pixels.slice(0, 1))});
      CHECK(alone.equal(rows));
      if (first.defined()) CHECK(rows.equal(first));
      first = rows;
    });
  }
}

TEST_CASE("fused image towers stay as near to float32 as aten does in bfloat16", "[fused]") {
  for (const auto& [name, config] : vision_models()) {
    INFO(name);
    const TinyModel model(config);
    const VisionTower tower = model.vision();
    const Tensor pixels = random_tensor({3, 3, 12, 18}, 6);
    const Tensor expected = tower.embed(pixels);
    const double aten = turned(model.vision(DType::BFloat16).embed(pixels), expected);
    each_round([&] {
      FusedEncoderOn<Place, bf16> fused(&tower, nullptr, kSlice);
      CHECK(turned(fused.embed_pixels(pixels), expected) <= 1.5 * aten);
    });
  }
}

TEST_CASE("fused towers compute in float16 too", "[fused]") {
  const TinyModel model(vision_models().at("CLIP"));
  const VisionTower tower = model.vision();
  const Tensor pixels = random_tensor({2, 3, 12, 18}, 7);
  const Tensor expected = tower.embed(pixels);
  each_round([&] {
    FusedEncoderOn<Place, f16> fused(&tower, nullptr, kSlice);
    CHECK(apart(fused.embed_pixels(pixels), expected) < 4e-3);  // some eight roundings of 2^-11 on the way
  });
}

TEST_CASE("fused hidden states are those of aten", "[fused]") {
  const TinyModel model(vision_models().at("DINOv2 with registers"));
  const VisionTower tower = model.vision();
  const Tensor pixels = random_tensor({3, 3, 12, 18}, 8);
  each_round([&] {
    FusedEncoderOn<Place, float> fused(&tower, nullptr, kSlice);
    for (const int64_t layer : {0, 1, 2})
      CHECK(worst(fused.hidden_state(pixels, layer), grid_of_tensor(tower.hidden_state(pixels, layer))) <
            1e-5);
  });
}

TEST_CASE("fused text towers give the rows of aten, whatever the batch", "[fused]") {
  for (const auto& [name, config] : text_models()) {
    INFO(name);
    const TinyModel model(config);
    const TextTower tower = model.text();
    const Tensor ids = some_ids();
    const Tensor expected = tower.embed(ids);
    const Tensor many = many_ids(), many_expected = tower.embed(many);
    const double aten = turned(model.text(DType::BFloat16).embed(many), many_expected);
    each_round([&] {
      FusedEncoderOn<Place, float> fused(nullptr, &tower, kSlice);
      const Tensor rows = fused.embed_tokens(ids);
      CHECK(apart(rows, expected) < 1e-5);
      CHECK(fused.embed_tokens(ids.slice(0, 2)).equal(rows.slice(0, 2)));
      const Tensor shorter = ids.slice(1, 0, 4).contiguous();
      CHECK(apart(fused.embed_tokens(shorter), tower.embed(shorter)) < 1e-5);
      FusedEncoderOn<Place, bf16> half(nullptr, &tower, 6);
      CHECK(turned(half.embed_tokens(many), many_expected) <= 1.5 * aten);
    });
  }
}

TEST_CASE("no items give no rows, and a result that is not finite names its item", "[fused]") {
  const TinyModel model(vision_models().at("CLIP"));
  const VisionTower tower = model.vision();
  each_round([&] {
    FusedEncoderOn<Place, float> fused(&tower, nullptr, kSlice);
    CHECK(fused.embed_pixels(random_tensor({0, 3, 12, 18}, 1)).sizes() == at::IntArrayRef({0, 20}));
    Tensor pixels = random_tensor({3, 3, 12, 18}, 9);
    pixels[1].fill_(3e38f);
    CHECK_THROWS_WITH(fused.embed_pixels(pixels),
                      Catch::Matchers::Contains("the result of item 1 is not finite"));
    CHECK(fused.serves(12, 18));
    CHECK_FALSE(fused.serves(18, 12));
  });
}

TEST_CASE("what the kernels cannot run is said before anything is loaded", "[fused]") {
  ModelConfig config = tiny_vision();  // heads of 6
  CHECK(fused_refusal(config).find("heads of 6 numbers") == 0);
  config = vision_of_width_48();
  CHECK(fused_refusal(config) == "");
  ModelConfig text = text_models().at("CLIP");
  text.text->pad_mask = true;
  CHECK(fused_refusal(text) == "texts hide their padding from attention");
}
