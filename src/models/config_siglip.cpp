#include <unisim/error.h>

#include <utility>

#include "config_readers.h"

namespace unisim {
namespace {

BlocksConfig read_blocks(Fields& fields) {
  BlocksConfig blocks;
  blocks.width = fields.integer_or("hidden_size", 768, 1, max_width);
  blocks.mlp_width = fields.integer_or("intermediate_size", 3'072, 1, 16 * max_width);
  blocks.layers = fields.integer_or("num_hidden_layers", 12, 1, max_layers);
  blocks.heads = fields.integer_or("num_attention_heads", 12, 1, max_width);
  require_heads(fields, blocks.width, blocks.heads, "num_attention_heads");
  blocks.head_width = blocks.width / blocks.heads;
  blocks.activation =
      activation_of(fields.string_or("hidden_act", "gelu_pytorch_tanh"), fields, "hidden_act");
  blocks.eps = fields.number_or("layer_norm_eps", 1e-6);
  return blocks;
}

}  // namespace

VisionConfig read_siglip_vision(Fields fields, bool whole) {
  VisionConfig vision;
  vision.blocks = read_blocks(fields);
  vision.channels = fields.integer_or("num_channels", 3, 3, 3);
  vision.table_height = vision.table_width = fields.integer_or("image_size", 224, 1, max_image_side);
  vision.patch_height = vision.patch_width = fields.integer_or("patch_size", 16, 1, max_image_side);
  require_patches(fields, vision);
  vision.class_token = vision.class_position = false;
  vision.norm_eps = vision.blocks.eps;
  vision.pool = VisionPool::Attention;
  vision.attention_pool = AttentionPoolConfig{.heads = vision.blocks.heads,
                                              .mlp_width = vision.blocks.mlp_width,
                                              .activation = vision.blocks.activation,
                                              .eps = vision.blocks.eps};
  // Without its head the model has patches, but no row for a picture.
  if (whole)
    fields.only("vision_use_head", true);
  else
    fields.ignore({"vision_use_head"});
  ignore_bookkeeping(fields);
  fields.ignore({"pad_token_id", "eos_token_id"});
  fields.finish();
  return vision;
}

namespace {

TextConfig read_text(Fields fields) {
  TextConfig text;
  text.blocks = read_blocks(fields);
  text.vocabulary = fields.integer_or("vocab_size", 32'000, 1, max_vocabulary);
  text.context = fields.integer_or("max_position_embeddings", 64, 1, max_context);
  text.pool = TextPool::Last;
  text.norm_eps = text.blocks.eps;
  text.projection = fields.integer_or("projection_size", text.blocks.width, 1, max_width);
  text.projection_bias = true;
  // The ids that the classes fill in here are CLIP's, and nothing reads them: the last row is taken, padding
  // or not.
  fields.ignore({"pad_token_id", "eos_token_id"});
  ignore_bookkeeping(fields);
  fields.finish();
  return text;
}

}  // namespace

// transformers' SiglipConfig, SiglipVisionConfig, SiglipTextConfig: SigLIP, and SigLIP 2 at a fixed
// resolution.
ModelConfig read_siglip_config(Fields fields, const std::string& model_type) {
  ModelConfig config;
  config.family = "siglip";
  config.layout = Layout::HuggingFaceSiglip;
  if (model_type == "siglip_vision_model") {
    config.vision = read_siglip_vision(std::move(fields), true);
  } else if (model_type == "siglip_text_model") {
    config.text = read_text(std::move(fields));
  } else {
    config.vision = read_siglip_vision(fields.object("vision_config"), true);
    config.text = read_text(fields.object("text_config"));
    ignore_bookkeeping(fields);
    fields.ignore({"pad_token_id", "eos_token_id"});
    fields.finish();
  }
  return config;
}

}  // namespace unisim
