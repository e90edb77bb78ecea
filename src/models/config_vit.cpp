#include <unisim/error.h>

#include "config_readers.h"

namespace unisim {

// transformers' ViTConfig. The picture's row is the class token after the final norm; ViTModel's pooler (a
// tanh layer for a classifier that many checkpoints lack) is left out, as ViTForImageClassification leaves it
// out.
ModelConfig read_vit_config(Fields fields) {
  VisionConfig vision;
  BlocksConfig& blocks = vision.blocks;
  blocks.width = fields.integer_or("hidden_size", 768, 1, max_width);
  blocks.mlp_width = fields.integer_or("intermediate_size", 3'072, 1, 16 * max_width);
  blocks.layers = fields.integer_or("num_hidden_layers", 12, 1, max_layers);
  blocks.heads = fields.integer_or("num_attention_heads", 12, 1, max_width);
  require_heads(fields, blocks.width, blocks.heads, "num_attention_heads");
  blocks.head_width = fields.integer_or("head_dim", blocks.width / blocks.heads, 1, max_width);
  blocks.activation = activation_of(fields.string_or("hidden_act", "gelu"), fields, "hidden_act");
  blocks.eps = fields.number_or("layer_norm_eps", 1e-12);
  blocks.qkv_bias = fields.boolean_or("qkv_bias", true);
  vision.channels = fields.integer_or("num_channels", 3, 3, 3);
  const Extent table = extent_or(fields, "image_size", {224, 224}, max_image_side);
  const Extent patch = extent_or(fields, "patch_size", {16, 16}, max_image_side);
  vision.table_height = table.height, vision.table_width = table.width;
  vision.patch_height = patch.height, vision.patch_width = patch.width;
  require_patches(fields, vision);
  vision.norm_eps = blocks.eps;
  ignore_bookkeeping(fields);
  // The pooler is not used; the stride is that of a decoder for masked pictures.
  fields.ignore({"pooler_output_size", "pooler_act", "encoder_stride"});
  fields.finish();

  ModelConfig config;
  config.family = "vit";
  config.layout = Layout::HuggingFaceVit;
  config.vision = vision;
  return config;
}

}  // namespace unisim
