#include "models/weights.h"

#include <ATen/ops/full.h>
#include <unisim/error.h>

#include <limits>

#include "tiny_model.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

/// What loading says after the file was changed.
std::string refusal(const TinyModel& model) {
  try {
    model.vision();
  } catch (const DataError& error) {
    CHECK(error.file().filename() == "model.safetensors");
    return error.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("a missing tensor is named, with its shape and the nearest name in the file") {
  TinyModel model(tiny_vision());
  model.tensors["blocks.1.mlp.fc1.wieght"] = model.tensors.at("blocks.1.mlp.fc1.weight");
  model.tensors.erase("blocks.1.mlp.fc1.weight");
  CHECK_THAT(refusal(model), Contains("\"blocks.1.mlp.fc1.weight\" [20, 12] is missing") &&
                                 Contains("nearest name there is \"blocks.1.mlp.fc1.wieght\""));
}

TEST_CASE("a wrong shape is refused with both shapes, leading ones apart") {
  TinyModel model(tiny_vision());
  model.tensors["cls_token"] = model.tensors.at("cls_token").reshape({12});
  model.vision();
  model.tensors["cls_token"] = random_tensor({1, 1, 11}, 3);
  CHECK_THAT(refusal(model), Contains("\"cls_token\" is [1, 1, 11], expected [1, 12]"));
}

TEST_CASE("positions for another number of patches are refused") {
  TinyModel model(tiny_vision());
  model.tensors["pos_embed"] = random_tensor({1, 17, 12}, 3);
  CHECK_THAT(refusal(model), Contains("\"pos_embed\" is [1, 17, 12], expected [10, 12]"));
}

TEST_CASE("integers and doubles are no weights") {
  for (const at::ScalarType type : {at::kDouble, at::kLong}) {
    TinyModel model(tiny_vision());
    model.tensors["norm.bias"] = model.tensors.at("norm.bias").to(type);
    CHECK_THROWS_AS(model.vision(), Unsupported);
    CHECK_THAT(refusal(model), Contains("\"norm.bias\" is ") && Contains("expected F32, F16 or BF16"));
  }
}

TEST_CASE("a NaN or an infinity among the weights is refused by name, in every type") {
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16})
    for (const double bad :
         {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
      TinyModel model(tiny_vision());
      Tensor& tensor = model.tensors.at("blocks.0.attn.proj.weight");
      tensor = tensor.to(type);
      tensor[11][11].fill_(bad);
      CHECK_THAT(refusal(model), Contains("\"blocks.0.attn.proj.weight\" holds a NaN or an infinity"));
    }
}

TEST_CASE("everything is checked before the first value is read") {
  TinyModel model(tiny_vision());
  model.tensors.at("patch_embed.proj.weight")[0][0][0][0].fill_(std::nan(""));
  model.tensors.erase("norm.bias");
  CHECK_THAT(refusal(model), Contains("\"norm.bias\" [12] is missing"));
}

TEST_CASE("a tensor that would change the arithmetic is refused by name") {
  for (const char* name :
       {"blocks.2.norm1.weight", "blocks.0.ls1.gamma", "blocks.1.attn.q_norm.weight", "norm_pre.bias",
        "fc_norm.weight", "reg_token", "attn_pool.latent", "patch_embed.norm.weight"}) {
    TinyModel model(tiny_vision());
    model.tensors[name] = random_tensor({12}, 5);
    CHECK_THAT(refusal(model),
               Contains("\"" + std::string(name) + "\" [12] has no place in the image tower"));
  }
}

TEST_CASE("a bias that the configuration denies is refused by name") {
  ModelConfig config = tiny_vision();
  config.vision->blocks.qkv_bias = false;
  TinyModel model(config);
  model.vision();
  model.tensors["blocks.0.attn.qkv.bias"] = random_tensor({36}, 5);
  CHECK_THAT(refusal(model), Contains("\"blocks.0.attn.qkv.bias\" [36] has no place"));
}

TEST_CASE("a classifier, a mask token and the scale of logits may lie unused") {
  TinyModel timm(tiny_vision());
  timm.tensors["head.weight"] = random_tensor({10, 12}, 5);
  timm.tensors["head.bias"] = random_tensor({10}, 5).to(at::kDouble);
  timm.vision();

  ModelConfig config = tiny_vision();
  config.layout = Layout::HuggingFaceDinov2;
  config.vision->blocks.layer_scale = true;
  TinyModel dinov2(config);
  dinov2.tensors["embeddings.mask_token"] = random_tensor({1, 12}, 5);
  dinov2.vision();

  TinyModel clip(tiny_text());
  clip.tensors["text_model.embeddings.position_ids"] = random_tensor({1, 7}, 5).to(at::kLong);
  clip.tensors["vision_model.post_layernorm.weight"] = random_tensor({3}, 5);
  clip.text();
}

TEST_CASE("half-precision files give the very values that they hold") {
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    TinyModel narrow(tiny_vision()), wide(tiny_vision());
    for (auto& [name, tensor] : narrow.tensors) {
      tensor = tensor.to(type);
      wide.tensors[name] = tensor.to(at::kFloat);
    }
    const Tensor pixels = random_tensor({1, 3, 12, 18}, 9);
    CHECK(narrow.vision().embed(pixels).equal(wide.vision().embed(pixels)));
  }
}

TEST_CASE("files of Hugging Face may carry the prefix of a larger model or none") {
  ModelConfig config = tiny_vision();
  config.layout = Layout::HuggingFaceVit;
  TinyModel bare(config), prefixed(config);
  prefixed.tensors.clear();
  for (const auto& [name, tensor] : bare.tensors) prefixed.tensors["vit." + name] = tensor;
  const Tensor pixels = random_tensor({2, 3, 12, 18}, 9);
  CHECK(bare.vision().embed(pixels).equal(prefixed.vision().embed(pixels)));
}
