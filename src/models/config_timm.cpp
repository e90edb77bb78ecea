#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "config_readers.h"
#include "timm_architectures.h"

namespace unisim {
namespace {

/// The arguments of an architecture's entry point, overlaid by those of the folder.
Json arguments_of(const std::string& architecture, const Json& overlay, const std::filesystem::path& file) {
  static const Json known = Json::parse(timm_architectures);
  for (const Json& row : known) {
    const Json& names = row["names"];
    if (std::find(names.begin(), names.end(), architecture) == names.end()) continue;
    Json arguments = row["args"];
    for (const auto& [key, value] : overlay.items()) arguments[key] = value;
    return arguments;
  }
  throw Unsupported(file, text_of("architecture is \"", architecture,
                                  "\"; known are the vit_* of timm's vision_transformer.py"));
}

Activation activation(Fields& args) {
  const std::string name = args.string_or("act_layer", "gelu");
  if (name == "gelu_tanh") return Activation::GeluTanh;
  if (name.starts_with("gelu_"))  // transformers' names for it are not timm's
    args.unsupported("act_layer", "gelu, gelu_tanh, quick_gelu, silu, swish, relu");
  return activation_of(name, args, "act_layer");
}

BlocksConfig read_blocks(Fields& args) {
  BlocksConfig blocks;
  blocks.width = args.integer_or("embed_dim", 768, 1, max_width);
  blocks.layers = args.integer_or("depth", 12, 1, max_layers);
  blocks.heads = args.integer_or("num_heads", 12, 1, max_width);
  require_heads(args, blocks.width, blocks.heads, "num_heads");
  blocks.head_width = blocks.width / blocks.heads;
  blocks.mlp_width = scaled_width(args, blocks.width, args.number_or("mlp_ratio", 4), "mlp_ratio");
  blocks.activation = activation(args);
  if (args.has("mlp_layer")) {
    args.only("mlp_layer", "swiglu_packed");
    args.only("act_layer", "silu");
    require_data(blocks.mlp_width % 2 == 0, args.file(), args.path_of("mlp_ratio"),
                 " gives a hidden layer of ", blocks.mlp_width, ", which has no two halves");
    blocks.feed_forward = FeedForward::SwiGluPacked;
    blocks.mlp_width /= 2;
  }
  // timm's LayerNorm has an epsilon of its own.
  blocks.eps = args.number_or("norm_eps", 1e-6);
  blocks.qkv_bias = args.boolean_or("qkv_bias", true);
  blocks.proj_bias = blocks.mlp_bias = args.boolean_or("proj_bias", true);
  blocks.qk_norm = args.boolean_or("qk_norm", false);
  blocks.layer_scale = args.number_or("init_values", 0) != 0;
  return blocks;
}

void read_tokens(Fields& args, VisionConfig& vision) {
  vision.class_token = args.boolean_or("class_token", true);
  vision.registers = args.integer_or("reg_tokens", 0, 0, 4'096);
  const bool patches_alone = args.boolean_or("no_embed_class", false);
  vision.class_position = vision.class_token && !patches_alone;
  vision.register_positions = vision.registers > 0 && !patches_alone;
  args.only("pos_embed", "learn");
}

void read_pooling(Fields& args, const std::string& fallback, VisionConfig& vision) {
  const std::string pool = args.string_or("global_pool", fallback);
  const bool with_prefix = args.boolean_or("pool_include_prefix", false);
  if (pool == "token") {
    require_data(vision.class_token, args.file(), args.path_of("global_pool"),
                 " is \"token\", but there is no class token");
    vision.pool = VisionPool::Cls;
  } else if (pool == "avg") {
    vision.pool = with_prefix ? VisionPool::MeanAll : VisionPool::Mean;
  } else if (pool == "map") {
    vision.pool = VisionPool::Attention;
    vision.attention_pool = AttentionPoolConfig{.heads = vision.blocks.heads,
                                                .mlp_width = vision.blocks.mlp_width,
                                                .activation = vision.blocks.activation,
                                                .eps = vision.blocks.eps,
                                                .prefix_tokens = with_prefix};
  } else {
    args.unsupported("global_pool", "token, avg, map");
  }
  const bool norm_after = args.boolean_or("fc_norm", pool == "avg");
  const bool norm = args.boolean_or("final_norm", true);
  vision.final_norm = norm && !norm_after;
  vision.pool_norm = norm && norm_after;
}

}  // namespace

VisionConfig read_timm_vision(const std::string& architecture, const Json& overlay, const std::string& pool,
                              Extent image, const std::filesystem::path& file) {
  const Json arguments = arguments_of(architecture, overlay, file);
  Fields args(arguments, file, architecture);
  VisionConfig vision;
  vision.blocks = read_blocks(args);
  vision.channels = args.integer_or("in_chans", 3, 3, 3);
  const Extent table = extent_or(args, "img_size", image, max_image_side);
  const Extent patch = extent_or(args, "patch_size", {16, 16}, max_image_side);
  vision.table_height = table.height, vision.table_width = table.width;
  vision.patch_height = patch.height, vision.patch_width = patch.width;
  require_patches(args, vision);
  read_tokens(args, vision);
  vision.norm_pre = args.boolean_or("pre_norm", false);
  vision.patch_bias = !vision.norm_pre;
  vision.norm_eps = vision.blocks.eps;
  read_pooling(args, pool, vision);
  if (args.boolean_or("dynamic_img_size", false)) vision.position_resize = PositionResize::Timm;
  for (const char* key : {"scale_attn_norm", "scale_mlp_norm", "dynamic_img_pad"}) args.only(key, false);
  args.ignore({"num_classes", "drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate",
               "attn_drop_rate", "drop_path_rate", "weight_init", "fix_init"});
  args.finish();
  return vision;
}

// timm's config.json: {architecture, model_args, pretrained_cfg, global_pool}. The older form without
// pretrained_cfg has its fields at the top.
ModelConfig read_timm_config(const Json& json, const std::filesystem::path& file) {
  Fields top(json, file);
  const std::string architecture = top.string("architecture");
  const bool nested = top.has("pretrained_cfg");
  Fields pretrained = nested ? top.object("pretrained_cfg") : top;
  const auto input =
      pretrained.has("input_size") ? pretrained.numbers("input_size", 3) : std::vector<double>{3, 224, 224};
  for (const double side : input)
    require_data(side >= 1 && side <= static_cast<double>(max_image_side) && side == std::floor(side), file,
                 pretrained.path_of("input_size"), " holds ", side);
  require_data(input[0] == 3, file, pretrained.path_of("input_size"), " has ", input[0],
               " channels, expected 3");
  const Extent image = {static_cast<int64_t>(input[1]), static_cast<int64_t>(input[2])};
  const Extent fixed = pretrained.boolean_or("fixed_input_size", false) ? image : Extent{224, 224};

  Json overlay = top.has("model_args") ? top.value("model_args") : Json::object();
  require_data(overlay.is_object(), file, "model_args is no object");
  // The name at the top is that of the model which was saved.
  if (nested && top.has("global_pool") && !overlay.contains("global_pool"))
    overlay["global_pool"] = top.string("global_pool");
  ModelConfig config;
  config.family = "vit";
  config.layout = Layout::Timm;
  config.vision =
      read_timm_vision(architecture, overlay, pretrained.string_or("global_pool", "token"), fixed, file);
  config.preprocess = read_timm_preprocess(pretrained, image);
  for (Fields* fields : {&top, &pretrained})
    fields->ignore({"architecture",   "num_classes",        "num_features",    "global_pool",
                    "label_names",    "label_descriptions", "labels",          "tag",
                    "hf_hub_id",      "hf_hub_filename",    "source",          "url",
                    "file",           "state_dict",         "custom_load",     "pool_size",
                    "first_conv",     "classifier",         "license",         "origin_url",
                    "paper_name",     "paper_ids",          "description",     "notes",
                    "label_offset",   "min_input_size",     "test_input_size", "test_crop_pct",
                    "test_pool_size", "model_args",         "pretrained_cfg",  "fixed_input_size"});
  if (nested)
    pretrained.finish();
  else
    top = pretrained;
  top.finish();
  return config;
}

}  // namespace unisim
