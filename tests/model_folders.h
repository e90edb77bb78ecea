#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "io/json.h"
#include "models/config.h"
#include "support.h"

/// Small model folders of every layout, as JSON that a test may change before it is read.
namespace unisim::test {

inline void write_json(const std::filesystem::path& file, const Json& json) {
  std::ofstream(file) << json.dump(1);
}

inline Json dinov2() {
  return {{"model_type", "dinov2"},   {"hidden_size", 48},      {"num_hidden_layers", 2},
          {"num_attention_heads", 3}, {"mlp_ratio", 4},         {"image_size", 70},
          {"patch_size", 14},         {"layer_norm_eps", 1e-6}, {"use_swiglu_ffn", false},
          {"qkv_bias", true}};
}

inline Json bit_processor() {
  return {{"image_processor_type", "BitImageProcessor"},  {"size", {{"shortest_edge", 80}}},
          {"crop_size", {{"height", 70}, {"width", 70}}}, {"resample", 3},
          {"image_mean", {0.485, 0.456, 0.406}},          {"image_std", {0.229, 0.224, 0.225}}};
}

inline Json clip() {
  const Json tower = {
      {"hidden_size", 32}, {"intermediate_size", 64}, {"num_hidden_layers", 2}, {"num_attention_heads", 4}};
  Json vision = tower, text = tower;
  vision["image_size"] = 70, vision["patch_size"] = 14;
  text["vocab_size"] = 100, text["max_position_embeddings"] = 16;
  return {{"model_type", "clip"}, {"projection_dim", 24}, {"vision_config", vision}, {"text_config", text}};
}

inline Json open_clip() {
  const Json vision = {
      {"image_size", 70}, {"layers", 2}, {"width", 64}, {"head_width", 16}, {"patch_size", 14}};
  const Json text = {{"context_length", 12}, {"vocab_size", 90}, {"width", 32}, {"heads", 4}, {"layers", 2}};
  return {{"model_cfg", {{"embed_dim", 24}, {"vision_cfg", vision}, {"text_cfg", text}}},
          {"preprocess_cfg", {{"mean", {0.5, 0.5, 0.5}}, {"std", {0.5, 0.5, 0.5}}}}};
}

inline Json timm() {
  return {{"architecture", "vit_tiny_patch16_224"},
          {"num_classes", 10},
          {"pretrained_cfg", {{"input_size", {3, 64, 64}}, {"fixed_input_size", true}, {"crop_pct", 0.9}}}};
}

/// A folder in memory: the files of a model by name.
struct Files {
  std::map<std::string, Json> files;

  ModelConfig read() const {
    const TemporaryFolder folder;
    for (const auto& [name, json] : files) write_json(folder.path() / name, json);
    return read_model_config(folder.path());
  }
};

inline Files dinov2_files() {
  return {{{"config.json", dinov2()}, {"preprocessor_config.json", bit_processor()}}};
}
inline Files clip_files() {
  Json processor = bit_processor();
  processor["image_processor_type"] = "CLIPImageProcessor";
  return {{{"config.json", clip()}, {"preprocessor_config.json", processor}}};
}
inline Files open_clip_files() { return {{{"open_clip_config.json", open_clip()}}}; }
inline Files timm_files() { return {{{"config.json", timm()}}}; }

}  // namespace unisim::test
