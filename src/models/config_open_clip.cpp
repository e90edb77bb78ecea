#include <unisim/error.h>

#include <utility>

#include "config_readers.h"
#include "io/file.h"

namespace unisim {
namespace {

/// Attention variants that OpenCLIP builds from "custom" blocks.
void refuse_custom_blocks(Fields& fields) {
  fields.only("block_type", "default");
  for (const char* key :
       {"qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"})
    fields.only(key, false);
}

/// act_kwargs and norm_kwargs are handed to GELU and LayerNorm.
void read_layers(Fields& fields, bool quick_gelu, BlocksConfig& blocks) {
  blocks.activation = quick_gelu ? Activation::QuickGelu : Activation::Gelu;
  blocks.eps = 1e-5;
  if (fields.has("act_kwargs")) {
    Fields kwargs = fields.object("act_kwargs");
    const std::string approximate = kwargs.string_or("approximate", "none");
    kwargs.finish();
    require_data(approximate == "none" || (approximate == "tanh" && !quick_gelu), fields.file(),
                 kwargs.path_of("approximate"), " is \"", approximate, "\" beside quick_gelu ", quick_gelu);
    if (approximate == "tanh") blocks.activation = Activation::GeluTanh;
  }
  if (fields.has("norm_kwargs")) {
    Fields kwargs = fields.object("norm_kwargs");
    blocks.eps = kwargs.number_or("eps", 1e-5);
    kwargs.finish();
  }
  blocks.layer_scale = fields.has("ls_init_value");
  if (blocks.layer_scale) fields.number("ls_init_value");
}

/// A string that is absent, null (both mean something else to OpenCLIP) or given.
std::string string_or(Fields& fields, const Json& json, const std::string& key, const std::string& absent,
                      const std::string& null) {
  if (json.contains(key) && json[key].is_null()) return fields.ignore({key}), null;
  return fields.string_or(key, absent);
}

VisionConfig read_timm_tower(Fields& fields, const Json& json, int64_t embed_dim) {
  const std::string name = fields.string("timm_model_name");
  const Extent image = extent_or(fields, "image_size", {224, 224}, max_image_side);
  const std::string pool = string_or(fields, json, "timm_pool", "avg", "");
  const std::string projection = string_or(fields, json, "timm_proj", "linear", "");
  const bool bias = fields.boolean_or("timm_proj_bias", false);
  const auto trunk = [&](const Json& overlay) {
    return read_timm_vision(name, overlay, "token", image, fields.file());
  };
  VisionConfig vision;
  if (projection == "linear") {
    // The trunk is built with its own pooling, which decides where its last norm is; then pooling alone is
    // changed.
    vision = trunk(Json::object());
    if (!pool.empty()) vision = trunk({{"global_pool", pool}, {"fc_norm", vision.pool_norm}});
    vision.projection = embed_dim;
    vision.projection_bias = bias;
  } else if (projection.empty() || projection == "none") {
    vision = trunk({{"global_pool", pool}});
    vision.trunk_projection = projection.empty();
    vision.projection_bias = vision.trunk_projection;
    vision.projection = vision.trunk_projection ? embed_dim : 0;
    require_data(vision.trunk_projection || vision.blocks.width == embed_dim, fields.file(),
                 fields.path_of("timm_proj"), " is \"none\", but the width ", vision.blocks.width,
                 " is not embed_dim ", embed_dim);
  } else {
    fields.unsupported("timm_proj", "linear, none, null");
  }
  vision.timm_trunk = true;
  fields.ignore({"timm_model_pretrained", "timm_drop", "timm_drop_path", "patch_dropout", "output_tokens",
                 "layers", "width", "head_width", "mlp_ratio", "patch_size"});
  return vision;
}

VisionConfig read_own_tower(Fields& fields, int64_t embed_dim, bool quick_gelu) {
  VisionConfig vision;
  BlocksConfig& blocks = vision.blocks;
  if (fields.has("layers") && fields.value("layers").is_array())
    fields.unsupported("layers", "a number, a list being that of a ResNet");
  blocks.width = fields.integer_or("width", 768, 1, max_width);
  blocks.layers = fields.integer_or("layers", 12, 1, max_layers);
  const int64_t head_width = fields.integer_or("head_width", 64, 1, max_width);
  blocks.heads = blocks.width / head_width;
  require_data(blocks.heads > 0, fields.file(), fields.path_of("head_width"), " is ", head_width,
               ", more than the width ", blocks.width);
  require_heads(fields, blocks.width, blocks.heads, "head_width");
  blocks.head_width = blocks.width / blocks.heads;
  blocks.mlp_width = scaled_width(fields, blocks.width, fields.number_or("mlp_ratio", 4), "mlp_ratio");
  read_layers(fields, quick_gelu, blocks);
  const Extent table = extent_or(fields, "image_size", {224, 224}, max_image_side);
  const Extent patch = extent_or(fields, "patch_size", {16, 16}, max_image_side);
  vision.table_height = table.height, vision.table_width = table.width;
  vision.patch_height = patch.height, vision.patch_width = patch.width;
  require_patches(fields, vision);
  vision.patch_bias = false;
  vision.norm_pre = !fields.boolean_or("no_ln_pre", false);
  vision.pool_norm = fields.boolean_or("final_ln_after_pool", false);
  vision.final_norm = !vision.pool_norm;
  vision.norm_eps = blocks.eps;
  const std::string pool = fields.string_or("pool_type", "tok");
  if (pool == "avg")
    vision.pool = VisionPool::Mean;
  else if (pool != "tok")
    fields.unsupported("pool_type", "tok, avg");
  vision.projection = embed_dim;
  fields.only("attentional_pool", false);
  refuse_custom_blocks(fields);
  // Sine positions are stored like learned ones.
  fields.ignore({"pos_embed_type", "patch_dropout", "output_tokens", "attn_pooler_queries",
                 "attn_pooler_heads", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop",
                 "timm_drop_path", "timm_model_pretrained"});
  return vision;
}

TextConfig read_text(Fields& fields, int64_t embed_dim, bool quick_gelu) {
  if (fields.has("hf_model_name")) fields.unsupported("hf_model_name", "OpenCLIP's own text tower");
  TextConfig text;
  BlocksConfig& blocks = text.blocks;
  text.context = fields.integer_or("context_length", 77, 1, max_context);
  text.vocabulary = fields.integer_or("vocab_size", 49'408, 1, max_vocabulary);
  blocks.width = fields.integer_or("width", 512, 1, max_width);
  blocks.heads = fields.integer_or("heads", 8, 1, max_width);
  blocks.layers = fields.integer_or("layers", 12, 1, max_layers);
  require_heads(fields, blocks.width, blocks.heads, "heads");
  blocks.head_width = blocks.width / blocks.heads;
  blocks.mlp_width = scaled_width(fields, blocks.width, fields.number_or("mlp_ratio", 4), "mlp_ratio");
  blocks.causal = !fields.boolean_or("no_causal_mask", false);
  read_layers(fields, quick_gelu, blocks);
  text.norm_eps = blocks.eps;
  const std::string pool = fields.string_or("pool_type", "argmax");
  if (pool == "argmax")
    text.pool = TextPool::ArgMax;
  else if (pool == "last")
    text.pool = TextPool::Last;
  else if (pool == "first")
    text.pool = TextPool::First;
  else if (pool == "eos")
    text.pool = TextPool::EndToken;
  else
    fields.unsupported("pool_type", "argmax, last, first, eos");
  text.end_token = fields.integer_or("eos_id", 2, 0, max_vocabulary);
  text.pad_token = fields.integer_or("pad_id", 0, 0, max_vocabulary);
  const std::string projection = fields.string_or("proj_type", "linear");
  if (projection == "linear") {
    text.projection = embed_dim;
    text.projection_bias = fields.boolean_or("proj_bias", false);
  } else if (projection != "none") {
    fields.unsupported("proj_type", "linear, none");
  }
  fields.only("embed_cls", false);
  refuse_custom_blocks(fields);
  fields.ignore({"output_tokens", "final_ln_after_pool", "hf_model_pretrained", "hf_proj_type",
                 "hf_pooler_type", "proj_bias"});
  return text;
}

}  // namespace

ModelConfig read_open_clip_config(const Json& json, const std::filesystem::path& file) {
  ModelConfig config;
  config.family = "clip";
  config.layout = Layout::OpenClip;
  config.weight_stems = {"open_clip_model", "model"};
  Fields top(json, file);
  Fields model = top.object("model_cfg");
  const int64_t embed_dim = model.integer("embed_dim", 1, max_width);
  const bool quick_gelu = model.boolean_or("quick_gelu", false);
  Fields vision = model.object("vision_cfg"), text = model.object("text_cfg");
  const bool timm = vision.has("timm_model_name");
  config.custom_text = model.boolean_or("custom_text", false);
  config.vision = timm ? read_timm_tower(vision, json["model_cfg"]["vision_cfg"], embed_dim)
                       : read_own_tower(vision, embed_dim, quick_gelu);
  config.text_input = read_open_clip_text_input(text, file.parent_path());
  config.text = read_text(text, embed_dim, quick_gelu);
  vision.finish();
  text.finish();
  // The scale and bias of logits, which no embedding sees.
  model.ignore({"init_logit_scale", "init_logit_bias", "nonscalar_logit_scale", "output_dict"});
  model.finish();
  const Extent image = {config.vision->table_height, config.vision->table_width};
  if (top.has("preprocess_cfg")) {
    config.preprocess = read_open_clip_preprocess(top.object("preprocess_cfg"), image);
  } else {
    throw DataError(file, "preprocess_cfg is missing: how pictures are to be prepared is not said");
  }
  top.finish();
  return config;
}

}  // namespace unisim
