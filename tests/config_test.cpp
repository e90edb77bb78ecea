#include <unisim/error.h>

#include "model_folders.h"

using namespace unisim;
using namespace unisim::test;

TEST_CASE("a DINOv2 folder gives the arithmetic that transformers computes", "[config]") {
  const ModelConfig config = dinov2_files().read();
  CHECK(config.family == "dinov2");
  REQUIRE(config.vision);
  CHECK_FALSE(config.text);
  CHECK(config.vision->blocks.mlp_width == 192);
  CHECK(config.vision->blocks.head_width == 16);
  CHECK(config.vision->blocks.layer_scale);
  CHECK(config.vision->position_resize == PositionResize::Dinov2);
  CHECK(config.vision->image_height == 70);
  REQUIRE(config.preprocess);
  CHECK(config.preprocess->rule == ResizeRule::ShortestEdge);
  CHECK(config.preprocess->resize_height == 80);
  CHECK(config.preprocess->crop_rule == CropRule::Transformers);
}

TEST_CASE("a SwiGLU hidden layer is two thirds of the ratio, rounded up to eights", "[config]") {
  Files files = dinov2_files();
  files.files["config.json"]["use_swiglu_ffn"] = true;
  const ModelConfig config = files.read();
  CHECK(config.vision->blocks.feed_forward == FeedForward::SwiGluPacked);
  CHECK(config.vision->blocks.mlp_width == 128);  // (192 * 2 / 3 + 7) / 8 * 8
}

TEST_CASE("registers bring their own way of resizing positions", "[config]") {
  Files files = dinov2_files();
  files.files["config.json"]["model_type"] = "dinov2_with_registers";
  files.files["config.json"]["num_register_tokens"] = 3;
  const ModelConfig config = files.read();
  CHECK(config.vision->registers == 3);
  CHECK(config.vision->position_resize == PositionResize::Dinov2Registers);
}

TEST_CASE("an end token of 2 means the largest id, as transformers has it", "[config]") {
  Files files = clip_files();
  files.files["config.json"]["text_config"]["eos_token_id"] = 2;
  CHECK(files.read().text->pool == TextPool::ArgMax);
  files.files["config.json"]["text_config"]["eos_token_id"] = 7;
  CHECK(files.read().text->pool == TextPool::EndToken);
  CHECK(files.read().text->end_token == 7);
}

TEST_CASE("an older text_config_dict overrides text_config whole", "[config]") {
  Files files = clip_files();
  files.files["config.json"]["text_config_dict"] = {{"hidden_size", 64}, {"num_attention_heads", 8}};
  const TextConfig text = *files.read().text;
  CHECK(text.blocks.width == 64);
  CHECK(text.blocks.layers == 12);  // the class's default, not text_config's 2
}

TEST_CASE("a vision model says by its class whether it projects", "[config]") {
  Files files = clip_files();
  Json config = files.files["config.json"]["vision_config"];
  config["model_type"] = "clip_vision_model";
  config["projection_dim"] = 20;
  config["architectures"] = {"CLIPVisionModelWithProjection"};
  files.files["config.json"] = config;
  CHECK(files.read().vision->projection == 20);
  files.files["config.json"]["architectures"] = {"CLIPVisionModel"};
  CHECK(files.read().vision->projection == 0);
  files.files["config.json"].erase("architectures");
  CHECK_THROWS_WITH(files.read(), Catch::Contains("architectures is missing"));
}

TEST_CASE("OpenCLIP's activation, pooling and norms are what its configuration says", "[config]") {
  Files files = open_clip_files();
  Json& model = files.files["open_clip_config.json"]["model_cfg"];
  CHECK(files.read().vision->blocks.activation == Activation::Gelu);
  model["quick_gelu"] = true;
  CHECK(files.read().vision->blocks.activation == Activation::QuickGelu);
  CHECK(files.read().text->blocks.activation == Activation::QuickGelu);
  model["quick_gelu"] = false;
  model["vision_cfg"]["act_kwargs"] = {{"approximate", "tanh"}};
  model["vision_cfg"]["norm_kwargs"] = {{"eps", 1e-6}};
  model["vision_cfg"]["no_ln_pre"] = true;
  model["vision_cfg"]["final_ln_after_pool"] = true;
  model["vision_cfg"]["pool_type"] = "avg";
  const VisionConfig vision = *files.read().vision;
  CHECK(vision.blocks.activation == Activation::GeluTanh);
  CHECK(vision.blocks.eps == 1e-6);
  CHECK_FALSE(vision.norm_pre);
  CHECK(vision.pool_norm);
  CHECK_FALSE(vision.final_norm);
  CHECK(vision.pool == VisionPool::Mean);
}

TEST_CASE("a timm trunk keeps the last norm where its own pooling had put it", "[config]") {
  Files files = open_clip_files();
  Json& vision = files.files["open_clip_config.json"]["model_cfg"]["vision_cfg"];
  vision = {{"image_size", 64}, {"timm_model_name", "vit_tiny_patch16_224"}, {"timm_pool", "avg"}};
  const ModelConfig config = files.read();
  CHECK(config.vision->timm_trunk);
  CHECK(config.vision->pool == VisionPool::Mean);
  CHECK(config.vision->final_norm);  // built for the class token, then its pooling alone was changed
  CHECK_FALSE(config.vision->pool_norm);
  CHECK(config.vision->projection == 24);
  vision["timm_proj"] = nullptr;  // now it is built with "avg": fc_norm
  CHECK(files.read().vision->pool_norm);
  CHECK(files.read().vision->trunk_projection);
}

TEST_CASE("timm's architecture, its arguments and its pooling are honoured together", "[config]") {
  Files files = timm_files();
  Json& config = files.files["config.json"];
  CHECK(files.read().vision->blocks.width == 192);
  CHECK(files.read().preprocess->resize_height == 71);  // floor(64 / 0.9)
  CHECK(files.read().preprocess->crop_rule == CropRule::Torchvision);
  config["model_args"] = {{"class_token", false}, {"global_pool", "avg"}, {"reg_tokens", 2},
                          {"qk_norm", true},      {"init_values", 1e-5},  {"embed_dim", 96},
                          {"pre_norm", true}};
  const VisionConfig vision = *files.read().vision;
  CHECK_FALSE(vision.class_token);
  CHECK_FALSE(vision.class_position);
  CHECK(vision.registers == 2);
  CHECK(vision.register_positions);
  CHECK(vision.blocks.qk_norm);
  CHECK(vision.blocks.layer_scale);
  CHECK(vision.norm_pre);
  CHECK_FALSE(vision.patch_bias);
  CHECK(vision.pool_norm);
  CHECK_FALSE(vision.final_norm);
  CHECK(vision.blocks.eps == 1e-6);
}

TEST_CASE("a processor of transformers 5 may stand inside processor_config.json", "[config]") {
  Files files = dinov2_files();
  files.files["processor_config.json"] = {{"image_processor", files.files["preprocessor_config.json"]}};
  files.files.erase("preprocessor_config.json");
  CHECK(files.read().preprocess->crop_height == 70);
}

TEST_CASE("a plain number for size is read as the processor's class reads it", "[config]") {
  Files files = dinov2_files();
  Json& processor = files.files["preprocessor_config.json"];
  processor["size"] = 80;
  processor["crop_size"] = 70;
  CHECK(files.read().preprocess->rule == ResizeRule::ShortestEdge);
  processor["image_processor_type"] = "ViTImageProcessor";
  processor["size"] = 70;
  CHECK(files.read().preprocess->rule == ResizeRule::Exact);
  CHECK(files.read().preprocess->crop_height == 0);
}

TEST_CASE("an OpenCLIP folder without CLIP's tokenizer says where it was looked for", "[config]") {
  const ModelConfig config = open_clip_files().read();
  REQUIRE(config.text_input);
  if (config.text_input->tokenizer.empty()) {
    CHECK_THAT(config.text_input->missing, Catch::Contains("UNISIM_CLIP_TOKENIZER"));
  }
  CHECK(config.text_input->context == 12);
}

TEST_CASE("the folders of the test data are read", "[config]") {
  if (const auto folder = test_data("models/dinov2_vits14_saliency"); !folder.empty()) {
    const ModelConfig config = read_model_config(folder);
    CHECK(config.vision->blocks.width == 384);
    CHECK(config.vision->table_height == 518);
    CHECK(config.vision->image_height == 224);
  }
  if (const auto folder = test_data("models/vit_tiny_patch16_224"); !folder.empty()) {
    const ModelConfig config = read_model_config(folder);
    CHECK(config.vision->blocks.heads == 3);
    CHECK(config.preprocess->resize_height == 248);
  }
}
