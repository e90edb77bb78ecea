#include <unisim/error.h>

#include <cmath>
#include <utility>

#include "config_vlm.h"

namespace unisim {
namespace {

// transformers' InternVLVisionConfig. Its pooled row, and the norm that it has where it does not pool, are
// never asked for.
VisionConfig read_internvl_vision(Fields fields) {
  VisionConfig vision;
  BlocksConfig& blocks = vision.blocks;
  blocks.width = fields.integer_or("hidden_size", 1'024, 1, max_width);
  blocks.mlp_width = fields.integer_or("intermediate_size", 4'096, 1, 16 * max_width);
  blocks.layers = fields.integer_or("num_hidden_layers", 24, 1, max_layers);
  blocks.heads = fields.integer_or("num_attention_heads", 16, 1, max_width);
  require_heads(fields, blocks.width, blocks.heads, "num_attention_heads");
  blocks.head_width = blocks.width / blocks.heads;
  blocks.activation = activation_of(fields.string_or("hidden_act", "gelu"), fields, "hidden_act");
  blocks.eps = vision.norm_eps = fields.number_or("layer_norm_eps", 1e-6);
  blocks.qkv_bias = fields.boolean_or("attention_bias", false);
  blocks.layer_scale = true;
  vision.channels = fields.integer_or("num_channels", 3, 3, 3);
  const Extent table = extent_or(fields, "image_size", {448, 448}, max_image_side);
  const Extent patch = extent_or(fields, "patch_size", {14, 14}, max_image_side);
  if (table.height != table.width)
    fields.unsupported("image_size", "a square, as InternVL resizes positions of no other");
  vision.table_height = table.height, vision.table_width = table.width;
  vision.patch_height = patch.height, vision.patch_width = patch.width;
  require_patches(fields, vision);
  vision.position_resize = PositionResize::Dinov2;
  vision.final_norm = false;
  // The larger InternViT normalises queries and keys over all heads, by their root mean square.
  fields.only("use_qk_norm", false);
  fields.only("norm_type", "layer_norm");
  fields.only("use_absolute_position_embeddings", true);
  fields.only("use_mean_pooling", true);  // else the last hidden state is normed
  ignore_bookkeeping(fields);
  fields.ignore({"layer_scale_init_value", "projection_dropout", "use_mask_token"});
  fields.finish();
  return vision;
}

}  // namespace

NestedTower read_nested_tower(Fields fields, const std::string& otherwise) {
  NestedTower tower{.type = fields.string_or("model_type", otherwise)};
  if (tower.type == "clip_vision_model")
    tower.vision = read_clip_vision(std::move(fields), 0);
  else if (tower.type == "siglip_vision_model")
    tower.vision = read_siglip_vision(std::move(fields), false);
  else if (tower.type == "internvl_vision")
    tower.vision = read_internvl_vision(std::move(fields));
  else if (tower.type == "dinov2" || tower.type == "dinov2_with_registers")
    tower.vision = read_dinov2_vision(std::move(fields), tower.type);
  else
    fields.unsupported("model_type", "clip_vision_model, siglip_vision_model, internvl_vision, dinov2");
  return tower;
}

}  // namespace unisim
