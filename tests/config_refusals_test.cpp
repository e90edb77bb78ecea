#include <unisim/error.h>

#include <functional>

#include "model_folders.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// The message of the error that reading throws, opened by its kind.
std::string refusal(const Files& files) {
  try {
    files.read();
  } catch (const Unsupported& error) {
    return std::string("Unsupported: ") + error.what();
  } catch (const DataError& error) {
    return std::string("DataError: ") + error.what();
  }
  return "read without complaint";
}

}  // namespace

namespace {

struct Refused {
  const char* claim;
  std::function<Files()> base;
  std::function<void(Json& config, Json& processor)> change;
  std::vector<const char*> said;  ///< parts of the message
};

void set(Json& json, const char* pointer, const Json& value) { json[Json::json_pointer(pointer)] = value; }

const std::vector<Refused> refusals = {
    {"an unknown model type",
     dinov2_files,
     [](Json& c, Json&) { c["model_type"] = "bert"; },
     {"Unsupported", "model_type", "bert", "dinov2"}},
    {"SigLIP 2 at resolutions of its own",
     dinov2_files,
     [](Json& c, Json&) { c["model_type"] = "siglip2"; },
     {"Unsupported", "siglip2", "NaFlex"}},
    {"a field that nobody knows",
     dinov2_files,
     [](Json& c, Json&) { c["rotary_theta"] = 10; },
     {"Unsupported", "rotary_theta"}},
    {"a quantised model",
     dinov2_files,
     [](Json& c, Json&) {
       c["quantization_config"] = {{"bits", 4}};
     },
     {"Unsupported", "quantization_config"}},
    {"heads that do not divide the width",
     dinov2_files,
     [](Json& c, Json&) { c["num_attention_heads"] = 5; },
     {"DataError", "num_attention_heads", "5", "48"}},
    {"no heads at all",
     dinov2_files,
     [](Json& c, Json&) { c["num_attention_heads"] = 0; },
     {"DataError", "num_attention_heads", "0"}},
    {"a negative width",
     dinov2_files,
     [](Json& c, Json&) { c["hidden_size"] = -48; },
     {"DataError", "hidden_size"}},
    {"a width beyond reason",
     dinov2_files,
     [](Json& c, Json&) { c["hidden_size"] = 1 << 30; },
     {"DataError", "hidden_size", "65536"}},
    {"a million layers",
     dinov2_files,
     [](Json& c, Json&) { c["num_hidden_layers"] = 1'000'000; },
     {"DataError", "num_hidden_layers", "1024"}},
    {"a hidden layer of nothing",
     dinov2_files,
     [](Json& c, Json&) { c["mlp_ratio"] = 0; },
     {"DataError", "mlp_ratio"}},
    {"a width that is a text",
     dinov2_files,
     [](Json& c, Json&) { c["hidden_size"] = "48"; },
     {"DataError", "hidden_size"}},
    {"an unknown activation",
     dinov2_files,
     [](Json& c, Json&) { c["hidden_act"] = "mish"; },
     {"Unsupported", "hidden_act", "mish", "quick_gelu"}},
    {"a patch larger than the image",
     dinov2_files,
     [](Json& c, Json&) { c["patch_size"] = 71; },
     {"DataError", "patch_size", "71"}},
    {"DINOv2 positions of an oblong",
     dinov2_files,
     [](Json& c, Json&) {
       c["image_size"] = {70, 84};
     },
     {"Unsupported", "image_size"}},
    {"four channels",
     dinov2_files,
     [](Json& c, Json&) { c["num_channels"] = 4; },
     {"DataError", "num_channels"}},
    {"pruned heads",
     dinov2_files,
     [](Json& c, Json&) {
       c["pruned_heads"] = {{"0", {1}}};
     },
     {"Unsupported", "pruned_heads"}},
    {"an unknown processor",
     dinov2_files,
     [](Json&, Json& p) { p["image_processor_type"] = "PixtralImageProcessor"; },
     {"Unsupported", "image_processor_type", "Pixtral"}},
    {"a processor without its class",
     dinov2_files,
     [](Json&, Json& p) { p.erase("image_processor_type"); },
     {"DataError", "feature_extractor_type"}},
    {"a filter beyond Pillow's",
     dinov2_files,
     [](Json&, Json& p) { p["resample"] = 6; },
     {"DataError", "resample"}},
    {"padding after the crop",
     dinov2_files,
     [](Json&, Json& p) { p["do_pad"] = true; },
     {"Unsupported", "do_pad"}},
    {"a size with a longest edge",
     dinov2_files,
     [](Json&, Json& p) { set(p, "/size/longest_edge", 100); },
     {"Unsupported", "size.longest_edge"}},
    {"a crop without a height",
     dinov2_files,
     [](Json&, Json& p) {
       p["crop_size"] = {{"width", 70}};
     },
     {"DataError", "crop_size.height"}},
    {"a standard deviation of zero",
     dinov2_files,
     [](Json&, Json& p) {
       p["image_std"] = {0.2, 0, 0.2};
     },
     {"DataError", "image_std"}},
    {"two means for three channels",
     dinov2_files,
     [](Json&, Json& p) {
       p["image_mean"] = {0.2, 0.3};
     },
     {"DataError", "image_mean"}},
    {"pictures of differing sizes",
     dinov2_files,
     [](Json&, Json& p) { p["do_center_crop"] = false; },
     {"Unsupported", "differ in size"}},
    {"an unknown processor field",
     dinov2_files,
     [](Json&, Json& p) { p["do_color_quantize"] = true; },
     {"Unsupported", "do_color_quantize"}},
    {"a CLIP folder that prepares another size",
     clip_files,
     [](Json&, Json& p) { set(p, "/crop_size/height", 84); },
     {"DataError", "84", "70"}},
    {"CLIP without its text_config",
     clip_files,
     [](Json& c, Json&) { c.erase("text_config"); },
     {"DataError", "text_config"}},
    {"a list of end tokens",
     clip_files,
     [](Json& c, Json&) {
       set(c, "/text_config/eos_token_id", {1, 2});
     },
     {"Unsupported", "text_config.eos_token_id"}},
    {"a classifier in place of CLIP",
     clip_files,
     [](Json& c, Json&) { c["architectures"] = {"CLIPForImageClassification"}; },
     {"Unsupported", "architectures"}},
    {"an OpenCLIP ResNet",
     open_clip_files,
     [](Json& c, Json&) {
       set(c, "/model_cfg/vision_cfg/layers", {3, 4, 6, 3});
     },
     {"Unsupported", "layers", "ResNet"}},
    {"an OpenCLIP text tower of Hugging Face",
     open_clip_files,
     [](Json& c, Json&) { set(c, "/model_cfg/text_cfg/hf_model_name", "roberta-base"); },
     {"Unsupported", "hf_model_name", "roberta-base"}},
    {"OpenCLIP's attentional pooling",
     open_clip_files,
     [](Json& c, Json&) { set(c, "/model_cfg/vision_cfg/attentional_pool", true); },
     {"Unsupported", "attentional_pool"}},
    {"OpenCLIP's scaled cosine attention",
     open_clip_files,
     [](Json& c, Json&) { set(c, "/model_cfg/text_cfg/scaled_cosine_attn", true); },
     {"Unsupported", "scaled_cosine_attn"}},
    {"CoCa's decoder",
     open_clip_files,
     [](Json& c, Json&) { set(c, "/model_cfg/multimodal_cfg", Json::object()); },
     {"Unsupported", "multimodal_cfg"}},
    {"OpenCLIP without preprocess_cfg",
     open_clip_files,
     [](Json& c, Json&) { c.erase("preprocess_cfg"); },
     {"DataError", "preprocess_cfg"}},
    {"an unknown resize_mode",
     open_clip_files,
     [](Json& c, Json&) { set(c, "/preprocess_cfg/resize_mode", "zoom"); },
     {"Unsupported", "resize_mode", "zoom"}},
    {"OpenCLIP without embed_dim",
     open_clip_files,
     [](Json& c, Json&) { c["model_cfg"].erase("embed_dim"); },
     {"DataError", "model_cfg.embed_dim"}},
    {"a timm model that is no vision transformer",
     timm_files,
     [](Json& c, Json&) { c["architecture"] = "resnet50"; },
     {"Unsupported", "architecture", "resnet50"}},
    {"parallel blocks",
     timm_files,
     [](Json& c, Json&) { c["architecture"] = "vit_small_patch16_18x2_224"; },
     {"Unsupported", "block_fn"}},
    {"parallel scaling blocks",
     timm_files,
     [](Json& c, Json&) { c["architecture"] = "vit_pwee_patch16_reg1_gap_256"; },
     {"Unsupported", "block_fn", "ParallelScalingBlock"}},
    {"RMS norms",
     timm_files,
     [](Json& c, Json&) { c["architecture"] = "vit_base_patch16_xp_224"; },
     {"Unsupported", "norm_layer"}},
    {"maximum pooling",
     timm_files,
     [](Json& c, Json&) {
       c["model_args"] = {{"global_pool", "max"}};
     },
     {"Unsupported", "global_pool", "max"}},
    {"token pooling without a token",
     timm_files,
     [](Json& c, Json&) {
       c["model_args"] = {{"class_token", false}};
     },
     {"DataError", "global_pool", "class token"}},
    {"a timm crop of no share",
     timm_files,
     [](Json& c, Json&) { set(c, "/pretrained_cfg/crop_pct", -1); },
     {"DataError", "crop_pct"}},
    {"an unknown crop_mode",
     timm_files,
     [](Json& c, Json&) { set(c, "/pretrained_cfg/crop_mode", "tile"); },
     {"Unsupported", "crop_mode", "tile"}},
    {"an unknown model argument",
     timm_files,
     [](Json& c, Json&) {
       c["model_args"] = {{"rope", true}};
     },
     {"Unsupported", "rope"}},
};

}  // namespace

TEST_CASE("what cannot be honoured is refused by name", "[config]") {
  for (const Refused& refused : refusals) {
    INFO(refused.claim);
    Files files = refused.base();
    const char* name = files.files.contains("config.json") ? "config.json" : "open_clip_config.json";
    Json processor =
        files.files.contains("preprocessor_config.json") ? files.files["preprocessor_config.json"] : Json();
    refused.change(files.files[name], processor);
    if (!processor.is_null()) files.files["preprocessor_config.json"] = processor;
    const std::string message = refusal(files);
    for (const char* part : refused.said) CHECK_THAT(message, Catch::Contains(part));
  }
}

TEST_CASE("a folder without its files says which", "[config]") {
  Files files = dinov2_files();
  files.files.erase("preprocessor_config.json");
  CHECK_THAT(refusal(files), Catch::Contains("no preprocessor_config.json"));
  files.files.erase("config.json");
  CHECK_THAT(refusal(files), Catch::Contains("neither config.json nor open_clip_config.json"));
}
