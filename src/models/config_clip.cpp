#include <unisim/error.h>

#include <utility>

#include "config_readers.h"

namespace unisim {
namespace {

/// What CLIPTextConfig and CLIPVisionConfig have in common, with the defaults of the one asked for.
BlocksConfig read_blocks(Fields& fields, int64_t width, int64_t heads) {
  BlocksConfig blocks;
  blocks.width = fields.integer_or("hidden_size", width, 1, max_width);
  blocks.mlp_width = fields.integer_or("intermediate_size", 4 * width, 1, 16 * max_width);
  blocks.layers = fields.integer_or("num_hidden_layers", 12, 1, max_layers);
  blocks.heads = fields.integer_or("num_attention_heads", heads, 1, max_width);
  require_heads(fields, blocks.width, blocks.heads, "num_attention_heads");
  blocks.head_width = blocks.width / blocks.heads;
  blocks.activation = activation_of(fields.string_or("hidden_act", "quick_gelu"), fields, "hidden_act");
  blocks.eps = fields.number_or("layer_norm_eps", 1e-5);
  return blocks;
}

}  // namespace

VisionConfig read_clip_vision(Fields fields, int64_t projection) {
  VisionConfig vision;
  vision.blocks = read_blocks(fields, 768, 12);
  vision.channels = fields.integer_or("num_channels", 3, 3, 3);
  vision.table_height = vision.table_width = fields.integer_or("image_size", 224, 1, max_image_side);
  vision.patch_height = vision.patch_width = fields.integer_or("patch_size", 32, 1, max_image_side);
  require_patches(fields, vision);
  vision.patch_bias = false;
  vision.norm_pre = true;
  vision.final_norm = false;
  vision.pool_norm = true;
  vision.norm_eps = vision.blocks.eps;
  vision.projection = projection;
  ignore_bookkeeping(fields);
  // A vocabulary is what LLaVA once wrote into its nested configuration.
  fields.ignore({"projection_dim", "pad_token_id", "eos_token_id", "vocab_size"});
  fields.finish();
  return vision;
}

namespace {

TextConfig read_text(Fields fields, int64_t projection) {
  TextConfig text;
  text.blocks = read_blocks(fields, 512, 8);
  text.blocks.causal = true;
  text.vocabulary = fields.integer_or("vocab_size", 49'408, 1, max_vocabulary);
  text.context = fields.integer_or("max_position_embeddings", 77, 1, max_context);
  text.end_token = token_or(fields, "eos_token_id", 49'407);
  // Before transformers #24773 every configuration said 2, which was wrong; there the largest id marks the
  // end.
  text.pool = text.end_token == 2 ? TextPool::ArgMax : TextPool::EndToken;
  text.pad_token = token_or(fields, "pad_token_id", 1);
  text.norm_eps = text.blocks.eps;
  text.projection = projection;
  ignore_bookkeeping(fields);
  fields.ignore({"projection_dim"});
  fields.finish();
  return text;
}

/// transformers lets the older name, where it is present, override the newer one with every field.
Fields tower(Fields& fields, const std::string& name) {
  const std::string older = name + "_dict";
  if (!fields.has(older)) return fields.object(name);
  fields.ignore({name});
  return fields.object(older);
}

}  // namespace

// transformers' CLIPConfig, CLIPVisionConfig, CLIPTextConfig. In the last two the class alone tells whether
// there is a projection, so it must be named.
ModelConfig read_clip_config(Fields fields, const std::string& model_type, const std::string& architecture) {
  ModelConfig config;
  config.family = "clip";
  config.layout = Layout::HuggingFaceClip;
  const auto unknown = [&](std::string_view known) {
    return Unsupported(fields.file(), text_of("architectures names \"", architecture, "\" for model_type \"",
                                              model_type, "\"; known are ", known));
  };
  if (model_type == "clip") {
    if (architecture != "" && architecture != "CLIPModel") throw unknown("CLIPModel");
    const int64_t projection = fields.integer_or("projection_dim", 512, 1, max_width);
    config.vision = read_clip_vision(tower(fields, "vision_config"), projection);
    config.text = read_text(tower(fields, "text_config"), projection);
    ignore_bookkeeping(fields);
    fields.ignore({"text_config_dict", "vision_config_dict", "pad_token_id", "eos_token_id"});
    fields.finish();
    return config;
  }
  const bool vision = model_type == "clip_vision_model";
  const std::string plain = vision ? "CLIPVisionModel" : "CLIPTextModel";
  require_data(!architecture.empty(), fields.file(), "architectures is missing: it tells ", plain, " from ",
               plain, "WithProjection");
  if (architecture != plain && architecture != plain + "WithProjection")
    throw unknown(plain + " and " + plain + "WithProjection");
  const int64_t projection =
      architecture == plain ? 0 : fields.integer_or("projection_dim", 512, 1, max_width);
  if (vision)
    config.vision = read_clip_vision(std::move(fields), projection);
  else
    config.text = read_text(std::move(fields), projection);
  return config;
}

}  // namespace unisim
