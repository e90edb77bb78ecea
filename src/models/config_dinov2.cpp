#include <unisim/error.h>

#include <utility>

#include "config_readers.h"

namespace unisim {
namespace {

/// Dinov2SwiGLUFFN: two thirds of the hidden layer, rounded up to a multiple of eight.
int64_t swiglu_width(int64_t hidden) {
  return (static_cast<int64_t>(static_cast<double>(hidden * 2) / 3) + 7) / 8 * 8;
}

BlocksConfig read_blocks(Fields& fields) {
  BlocksConfig blocks;
  blocks.width = fields.integer_or("hidden_size", 768, 1, max_width);
  blocks.layers = fields.integer_or("num_hidden_layers", 12, 1, max_layers);
  blocks.heads = fields.integer_or("num_attention_heads", 12, 1, max_width);
  require_heads(fields, blocks.width, blocks.heads, "num_attention_heads");
  blocks.head_width = fields.integer_or("head_dim", blocks.width / blocks.heads, 1, max_width);
  blocks.mlp_width = scaled_width(fields, blocks.width, fields.number_or("mlp_ratio", 4), "mlp_ratio");
  blocks.activation = activation_of(fields.string_or("hidden_act", "gelu"), fields, "hidden_act");
  if (fields.boolean_or("use_swiglu_ffn", false)) {
    blocks.feed_forward = FeedForward::SwiGluPacked;
    blocks.mlp_width = swiglu_width(blocks.mlp_width);
    blocks.activation = Activation::Silu;
  }
  blocks.eps = fields.number_or("layer_norm_eps", 1e-6);
  blocks.qkv_bias = fields.boolean_or("qkv_bias", true);
  blocks.layer_scale = true;
  return blocks;
}

}  // namespace

// transformers' Dinov2Config and Dinov2WithRegistersConfig; the two differ in the default patch, in the
// registers and in how positions are resized.
VisionConfig read_dinov2_vision(Fields fields, const std::string& model_type) {
  const bool registers = model_type == "dinov2_with_registers";
  const int64_t patch_default = registers ? 16 : 14;
  VisionConfig vision;
  vision.blocks = read_blocks(fields);
  vision.channels = fields.integer_or("num_channels", 3, 3, 3);
  const Extent table = extent_or(fields, "image_size", {224, 224}, max_image_side);
  const Extent patch = extent_or(fields, "patch_size", {patch_default, patch_default}, max_image_side);
  if (table.height != table.width)
    fields.unsupported("image_size", "a square, as DINOv2 resizes positions of no other");
  vision.table_height = table.height, vision.table_width = table.width;
  vision.patch_height = patch.height, vision.patch_width = patch.width;
  require_patches(fields, vision);
  vision.registers = registers ? fields.integer_or("num_register_tokens", 4, 0, 4'096) : 0;
  vision.position_resize = registers ? PositionResize::Dinov2Registers : PositionResize::Dinov2;
  vision.norm_eps = vision.blocks.eps;
  ignore_bookkeeping(fields);
  // layerscale_value is what the scales started from; the mask token stands for pixels hidden in training;
  // the rest concerns transformers' backbone classes.
  fields.ignore({"layerscale_value", "use_mask_token", "apply_layernorm", "reshape_hidden_states",
                 "out_features", "out_indices", "stage_names", "_out_features", "_out_indices"});
  fields.finish();
  return vision;
}

ModelConfig read_dinov2_config(Fields fields, const std::string& model_type) {
  ModelConfig config;
  config.family = "dinov2";
  config.layout = Layout::HuggingFaceDinov2;
  config.vision = read_dinov2_vision(std::move(fields), model_type);
  return config;
}

}  // namespace unisim
