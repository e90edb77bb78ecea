#pragma once

#include "model_folders.h"
#include "models/vlm_config.h"

/// Small vision-language folders of every family, as JSON that a test may change before it is read.
namespace unisim::test {

/// The files of a vision-language model's folder; a text is written as it is.
struct VlmFiles {
  std::map<std::string, Json> files;
  std::map<std::string, std::string> texts = {};

  Json& config() { return files["config.json"]; }
  Json& processor() { return files["processor_config.json"]["image_processor"]; }
  VlmConfig read() const {
    const TemporaryFolder folder;
    for (const auto& [name, json] : files) write_json(folder.path() / name, json);
    for (const auto& [name, text] : texts) std::ofstream(folder.path() / name) << text;
    return read_vlm_config(folder.path());
  }
};

inline Json clip_tower() {
  return {{"model_type", "clip_vision_model"}, {"hidden_size", 48},        {"intermediate_size", 80},
          {"num_hidden_layers", 4},            {"num_attention_heads", 3}, {"image_size", 42},
          {"patch_size", 14},                  {"projection_dim", 32},     {"vocab_size", 32'000}};
}

inline Json siglip_tower() {
  return {{"model_type", "siglip_vision_model"}, {"hidden_size", 48},        {"intermediate_size", 72},
          {"num_hidden_layers", 3},              {"num_attention_heads", 4}, {"image_size", 44},
          {"patch_size", 14},                    {"vision_use_head", false}};
}

inline Json decoder(const char* type) {
  return {{"model_type", type},        {"hidden_size", 32},         {"intermediate_size", 64},
          {"num_hidden_layers", 2},    {"num_attention_heads", 2},  {"num_key_value_heads", 1},
          {"vocab_size", 400},         {"eos_token_id", 7}};
}

inline Json sides(int64_t side) { return {{"height", side}, {"width", side}}; }

inline VlmFiles llava() {
  VlmFiles made;
  made.config() = {{"architectures", {"LlavaForConditionalGeneration"}},
                   {"model_type", "llava"},
                   {"image_token_index", 300},
                   {"vision_config", clip_tower()},
                   {"text_config", decoder("llama")}};
  made.processor() = {{"image_processor_type", "CLIPImageProcessor"},
                      {"size", {{"shortest_edge", 42}}},
                      {"crop_size", sides(42)}};
  return made;
}

inline VlmFiles onevision() {
  VlmFiles made;
  const Json grids = {{44, 44}, {44, 88}, {88, 44}};
  made.config() = {{"model_type", "llava_onevision"},    {"image_token_index", 300},
                   {"image_grid_pinpoints", grids},      {"vision_aspect_ratio", "anyres_max_4"},
                   {"vision_config", siglip_tower()},    {"text_config", decoder("qwen2")},
                   {"use_image_newline_parameter", true}};
  made.processor() = {{"image_processor_type", "LlavaOnevisionImageProcessor"},
                      {"image_grid_pinpoints", grids},
                      {"size", sides(44)},
                      {"do_pad", true}};
  return made;
}

inline VlmFiles internvl() {
  VlmFiles made;
  made.config() = {{"model_type", "internvl"},
                   {"image_token_id", 301},
                   {"vision_config",
                    {{"hidden_size", 48},
                     {"intermediate_size", 80},
                     {"num_hidden_layers", 3},
                     {"num_attention_heads", 3},
                     {"image_size", {56, 56}},
                     {"patch_size", {14, 14}},
                     {"attention_bias", true}}},
                   {"text_config", decoder("qwen2")}};
  made.processor() = {{"image_processor_type", "GotOcr2ImageProcessorFast"},
                      {"size", sides(56)},
                      {"crop_to_patches", false},
                      {"max_patches", 6}};
  return made;
}

inline VlmFiles mof() {
  VlmFiles made = llava();
  made.config().erase("architectures");
  made.config()["model_type"] = "llava_mof";
  made.config()["second_vision_config"] = {{"model_type", "dinov2"},    {"hidden_size", 48}, {"num_hidden_layers", 2},
                                           {"num_attention_heads", 3}, {"image_size", 56},  {"patch_size", 14}};
  made.config()["mof"] = {{"kind", "additive"}, {"alpha", 0.25}};
  made.config()["unisim"] = {{"template", "llava_v1"}};
  return made;
}

}  // namespace unisim::test
