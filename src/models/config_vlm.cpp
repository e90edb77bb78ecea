#include "config_vlm.h"

#include <unisim/error.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "io/file.h"
#include "io/quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view families = "llava, llava_onevision, internvl, llava_mof";

// What a class fills in where the configuration of its tower is absent as a whole; within one, the tower's
// own class does.
const Json& llava_tower() {
  static const Json tower = {{"model_type", "clip_vision_model"},
                             {"hidden_size", 1'024},
                             {"intermediate_size", 4'096},
                             {"patch_size", 14},
                             {"image_size", 336},
                             {"num_hidden_layers", 24},
                             {"num_attention_heads", 16},
                             {"projection_dim", 768}};
  return tower;
}
const Json& onevision_tower() {
  static const Json tower = {{"model_type", "siglip_vision_model"},
                             {"hidden_size", 1'152},
                             {"intermediate_size", 4'304},
                             {"patch_size", 14},
                             {"image_size", 384},
                             {"num_hidden_layers", 26},
                             {"num_attention_heads", 16}};
  return tower;
}
const Json& no_fields() {
  static const Json nothing = Json::object();
  return nothing;
}

/// A nested object, or what stands for it where it is absent.
const Json& nested(Fields& top, std::string_view key, const Json& otherwise) {
  if (!top.has(key)) {
    top.ignore({key});
    return otherwise;
  }
  return top.value(key);
}

void read_tower(Fields& top, VlmConfig& config, std::string_view type, const Json& otherwise) {
  const Json& json = nested(top, "vision_config", otherwise);
  NestedTower tower = read_nested_tower(Fields(json, top.file(), "vision_config"), std::string(type));
  config.vision_type = tower.type;
  config.vision = std::move(tower.vision);
}

/// `tied`: what the class says where the key is absent. Either place may say it.
void read_decoder(Fields& top, VlmConfig& config, const std::string& type, bool tied) {
  config.decoder =
      read_decoder_config(nested(top, "text_config", no_fields()), top.file(), "text_config", type);
  if (top.boolean_or("tie_word_embeddings", tied)) config.decoder.tied = true;
  config.projector.out = config.decoder.width;
}

/// Hidden state number `index` as Python counts, of a tower of so many blocks.
int64_t layer_of(const Fields& fields, std::string_view key, const Json& index, int64_t blocks) {
  const bool known = index.is_number_integer() && index.get<double>() >= static_cast<double>(-blocks - 1) &&
                     index.get<double>() <= static_cast<double>(blocks);
  if (!known)
    fields.refuse(key, text_of("a hidden state from ", -blocks - 1, " to ", blocks, ", or a list of such"));
  const int64_t at = index.get<int64_t>();
  return at < 0 ? blocks + 1 + at : at;
}

/// Which hidden states, and whether the class token is one of the rows.
void read_features(Fields& top, VlmConfig& config, int64_t layer, const std::string& strategy) {
  const char* key = "vision_feature_layer";
  const int64_t blocks = config.vision.blocks.layers;
  const Json otherwise = layer;
  const Json& found = top.has(key) ? top.value(key) : otherwise;
  if (found.is_array() && !found.empty() && found.size() <= 64)
    for (const Json& index : found) config.features.layers.push_back(layer_of(top, key, index, blocks));
  else
    config.features.layers = {layer_of(top, key, found, blocks)};
  const std::string select = top.string_or("vision_feature_select_strategy", strategy);
  if (select != "default" && select != "full")
    top.unsupported("vision_feature_select_strategy", "default, full");
  // transformers drops row 0, whatever it is: of a tower without a class token that is a patch.
  if (select == "default" && !config.vision.class_token)
    top.unsupported("vision_feature_select_strategy", "full, as the tower has no class token");
  config.features.class_token = select == "full" && config.vision.class_token;
  config.projector.in = config.vision.blocks.width * static_cast<int64_t>(config.features.layers.size());
}

void read_activation(Fields& top, VlmConfig& config) {
  const char* key = "projector_hidden_act";
  config.projector.activation = activation_of(top.string_or(key, "gelu"), top, key);
}

/// The older or the newer spelling.
void read_picture_id(Fields& top, VlmConfig& config, std::string_view key, std::string_view other,
                     int64_t otherwise) {
  const std::string_view found = !top.has(key) && top.has(other) ? other : key;
  config.picture_id = top.integer_or(found, otherwise, 0, max_vocabulary);
  top.ignore({key, other});
  require_data(config.picture_id < config.decoder.vocabulary, top.file(), found, " is ", config.picture_id,
               ", and the decoder has ", config.decoder.vocabulary, " tokens");
}

/// What our own conversions add.
void read_conversion(Fields& top, VlmConfig& config) {
  if (!top.has("unisim")) return;
  Fields own = top.object("unisim");
  config.newline_per_image = own.boolean_or("newline_per_image", false);
  config.template_name = own.string_or("template", "");
  config.system_message = own.string_or("system_message", "");
  // The original LLaVA tokenises what stands around a picture alone.
  config.pieces_alone = own.boolean_or("pieces_alone", config.family.starts_with("llava"));
  own.ignore({"converted_from"});
  own.finish();
  config.newline = config.newline || config.newline_per_image;
}

void finish(Fields& top) {
  ignore_bookkeeping(top);
  top.ignore({"pad_token_id", "eos_token_id", "ignore_index", "image_seq_length", "vocab_size", "unisim"});
  top.finish();
}

// transformers' LlavaConfig; folders of the original layout go by the same name.
void read_llava(Fields& top, VlmConfig& config) {
  read_tower(top, config, "clip_vision_model", llava_tower());
  read_decoder(top, config, "llama", false);
  read_features(top, config, -2, "default");
  read_activation(top, config);
  config.projector.bias = top.boolean_or("multimodal_projector_bias", true);
  read_picture_id(top, config, "image_token_index", "image_token_id", 32'000);
  read_conversion(top, config);
  finish(top);
  read_pictures(config);
}

/// N of "anyres_max_N": how many tiles' worth of rows the map may have.
int64_t most_of_anyres(Fields& top) {
  constexpr std::string_view prefix = "anyres_max_", key = "vision_aspect_ratio";
  const std::string text = top.string_or(key, "anyres_max_9");
  int64_t most = 0;
  const bool known = text.starts_with(prefix);
  const char* end = text.data() + text.size();
  if (!known || std::from_chars(text.data() + prefix.size(), end, most).ptr != end || most < 1 ||
      most > 4'096)
    top.unsupported(key, "anyres_max_N, N from 1 to 4096");
  return most;
}

// transformers' LlavaOnevisionConfig.
void read_onevision(Fields& top, VlmConfig& config) {
  read_tower(top, config, "siglip_vision_model", onevision_tower());
  read_decoder(top, config, "qwen2", false);
  read_features(top, config, -1, "full");
  if (config.vision.class_token)
    top.unsupported("vision_config", "a tower without a class token, as rows are a map");
  read_activation(top, config);
  config.projector.bias = top.boolean_or("multimodal_projector_bias", true);
  read_picture_id(top, config, "image_token_index", "image_token_id", 151'646);
  const auto grids = grids_or(top, "image_grid_pinpoints", onevision_grids());
  config.tiles.most_tiles = most_of_anyres(top);
  config.newline = true;
  top.only("use_image_newline_parameter", true);
  top.ignore({"video_token_index", "video_token_id"});
  read_conversion(top, config);
  finish(top);
  read_pictures(config, grids);
  require_data(config.vision.table_height == config.preprocess.resize_height, config.folder,
               "the map of tiles is laid out by the tower's image size, which is ",
               config.vision.table_height, ", and tiles are ", config.preprocess.resize_height);
}

// transformers' InternVLConfig.
void read_internvl(Fields& top, VlmConfig& config) {
  read_tower(top, config, "internvl_vision", no_fields());
  read_decoder(top, config, "qwen2", true);
  read_features(top, config, -1, "default");
  if (config.features.layers.size() != 1) top.unsupported("vision_feature_layer", "one layer");
  if (config.features.class_token) top.unsupported("vision_feature_select_strategy", "default");
  top.only("downsample_ratio", 0.5);
  config.features.shuffle = true;
  config.projector.in *= 4;
  config.projector.norm = true;
  read_activation(top, config);
  read_picture_id(top, config, "image_token_id", "image_token_index", 151'667);
  top.ignore({"video_token_id"});
  read_conversion(top, config);
  finish(top);
  read_pictures(config);
  const int64_t rows = config.vision.image_height / config.vision.patch_height;
  require_data(rows % 2 == 0 && config.vision.image_height == config.vision.image_width, config.folder,
               "a tile has ", rows, " x ", config.vision.image_width / config.vision.patch_width,
               " patches, which do not become rows of 2 x 2");
}

/// What becomes of two towers' rows.
void read_mixture(Fields mof, VlmConfig& config) {
  const std::string kind = mof.string("kind");
  if (kind == "additive") {
    config.mof = MofKind::Additive;
    config.mof_alpha = mof.number("alpha");
    if (!(config.mof_alpha >= 0 && config.mof_alpha <= 1)) mof.refuse("alpha", "a number from 0 to 1");
  } else if (kind == "interleaved") {
    config.mof = MofKind::Interleaved;
    mof.ignore({"alpha"});
  } else {
    mof.unsupported("kind", "interleaved, additive");
  }
  mof.finish();
}

// Our own: what a conversion makes of MMVP's models (Tong et al., arXiv 2401.06209, section 4).
void read_mof(Fields& top, VlmConfig& config) {
  read_tower(top, config, "clip_vision_model", llava_tower());
  NestedTower second = read_nested_tower(top.object("second_vision_config"), "dinov2");
  if (second.type != "dinov2") top.unsupported("second_vision_config", "a tower of dinov2");
  config.second_vision = std::move(second.vision);
  config.second_features = {.layers = {config.second_vision->blocks.layers}};
  read_decoder(top, config, "llama", false);
  read_features(top, config, -2, "default");
  if (config.features.class_token) top.unsupported("vision_feature_select_strategy", "default");
  read_mixture(top.object("mof"), config);
  read_activation(top, config);
  config.projector.bias = top.boolean_or("multimodal_projector_bias", true);
  read_picture_id(top, config, "image_token_index", "image_token_id", 32'000);
  config.pieces_alone = true;
  read_conversion(top, config);
  finish(top);
  read_pictures(config);
  const VisionConfig &a = config.vision, &b = *config.second_vision;
  require_data(a.image_height / a.patch_height == b.image_height / b.patch_height &&
                   a.image_width / a.patch_width == b.image_width / b.patch_width,
               config.folder, "the two towers have ", a.image_height / a.patch_height, " and ",
               b.image_height / b.patch_height, " rows of patches, expected the same");
  require_data(config.mof != MofKind::Additive || config.projector.in == b.blocks.width, config.folder,
               "features of width ", config.projector.in, " and ", b.blocks.width, " cannot be added");
}

/// Folders as the models' authors published them, which go by several names.
void refuse_original(const Json& json, const fs::path& file) {
  const auto type = json.find("model_type");
  const std::string name = type != json.end() && type->is_string() ? type->get<std::string>() : "";
  const bool llava = json.contains("mm_vision_tower") || name == "llava_llama" || name == "llava_qwen";
  if (!llava && name != "internvl_chat") return;
  throw Unsupported(file, text_of("the original layout of ", llava ? "LLaVA" : "InternVL", " (model_type ",
                                  in_quotes(name), "): convert it with unisim convert"));
}

/// The class, where it is named, must be the one that the family means.
void check_architecture(Fields& top, const std::string& family) {
  if (!top.has("architectures")) return;
  const std::string expected = family == "llava"             ? "LlavaForConditionalGeneration"
                               : family == "llava_onevision" ? "LlavaOnevisionForConditionalGeneration"
                               : family == "internvl"        ? "InternVLForConditionalGeneration"
                                                             : "";
  const Json& names = top.value("architectures");
  const bool known = names.is_array() && names.size() == 1 && names[0].is_string();
  if (!known || (!expected.empty() && names[0].get<std::string>() != expected))
    throw Unsupported(top.file(),
                      text_of("architectures is ", names.dump(), " for model_type ", in_quotes(family),
                              ", supported is ", expected.empty() ? "one name" : expected));
}

}  // namespace

VlmConfig read_vlm_config(const fs::path& folder) {
  require_data(fs::is_directory(folder), folder, "no folder of a model");
  const fs::path file = folder / "config.json";
  require_data(fs::exists(file), folder, "config.json is not here");
  const Json json = read_json(file);
  Fields top(json, file);
  refuse_original(json, file);
  VlmConfig config{.family = top.string("model_type"), .folder = folder};
  const auto is = [&](std::string_view family) { return config.family == family; };
  if (!is("llava") && !is("llava_onevision") && !is("internvl") && !is("llava_mof"))
    throw Unsupported(file, text_of("model_type is ", in_quotes(config.family),
                                    "; known vision-language models are ", families));
  check_architecture(top, config.family);
  if (is("llava")) read_llava(top, config);
  if (is("llava_onevision")) read_onevision(top, config);
  if (is("internvl")) read_internvl(top, config);
  if (is("llava_mof")) read_mof(top, config);
  read_prompting(config, json);
  return config;
}

}  // namespace unisim
