#include "layout.h"

#include <stdexcept>

namespace unisim {
namespace {

BlockNames clip_block() {
  return {.stack = "encoder.layers.",
          .norm1 = "layer_norm1",
          .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
          .proj = "self_attn.out_proj",
          .norm2 = "layer_norm2",
          .fc1 = "mlp.fc1",
          .fc2 = "mlp.fc2"};
}

BlockNames open_clip_block() {
  return {.stack = "transformer.resblocks.",
          .norm1 = "ln_1",
          .qkv = {"attn.in_proj"},
          .proj = "attn.out_proj",
          .scale1 = "ls_1.gamma",
          .norm2 = "ln_2",
          .fc1 = "mlp.c_fc",
          .fc2 = "mlp.c_proj",
          .scale2 = "ls_2.gamma"};
}

VisionNames clip_vision() {
  return {.patch = "embeddings.patch_embedding",
          .class_token = "embeddings.class_embedding",
          .positions = "embeddings.position_embedding.weight",
          .norm_pre = "pre_layrnorm",
          .block = clip_block(),
          .norm = "post_layernorm",
          .projection = {"visual_projection"},
          .harmless = {"text_model.*", "text_projection.weight", "logit_scale", "*position_ids"}};
}

VisionNames siglip_vision() {
  return {.patch = "embeddings.patch_embedding",
          .positions = "embeddings.position_embedding.weight",
          .block = clip_block(),
          .norm = "post_layernorm",
          .pool = {.probe = "head.probe",
                   .qkv = {"head.attention.in_proj"},
                   .proj = "head.attention.out_proj",
                   .norm = "head.layernorm",
                   .fc1 = "head.mlp.fc1",
                   .fc2 = "head.mlp.fc2"},
          .harmless = {"text_model.*", "logit_scale", "logit_bias", "*position_ids"}};
}

VisionNames dinov2_vision(FeedForward feed_forward) {
  const bool gated = feed_forward == FeedForward::SwiGluPacked;
  return {
      .patch = "embeddings.patch_embeddings.projection",
      .class_token = "embeddings.cls_token",
      .registers = "embeddings.register_tokens",
      .positions = "embeddings.position_embeddings",
      .block = {.stack = "encoder.layer.",
                .norm1 = "norm1",
                .qkv = {"attention.attention.query", "attention.attention.key", "attention.attention.value"},
                .proj = "attention.output.dense",
                .scale1 = "layer_scale1.lambda1",
                .norm2 = "norm2",
                .fc1 = gated ? "mlp.weights_in" : "mlp.fc1",
                .fc2 = gated ? "mlp.weights_out" : "mlp.fc2",
                .scale2 = "layer_scale2.lambda1"},
      .norm = "layernorm",
      .harmless = {"*embeddings.mask_token", "classifier.*"}};
}

VisionNames internvl_vision() {
  return {.patch = "embeddings.patch_embeddings.projection",
          .class_token = "embeddings.cls_token",
          .positions = "embeddings.position_embeddings",
          .block = {.stack = "encoder.layer.",
                    .norm1 = "layernorm_before",
                    .qkv = {"attention.q_proj", "attention.k_proj", "attention.v_proj"},
                    .proj = "attention.projection_layer",
                    .scale1 = "lambda_1",
                    .norm2 = "layernorm_after",
                    .fc1 = "mlp.fc1",
                    .fc2 = "mlp.fc2",
                    .scale2 = "lambda_2"},
          .harmless = {"*embeddings.mask_token"}};
}

VisionNames vit_vision() {
  return {
      .patch = "embeddings.patch_embeddings.projection",
      .class_token = "embeddings.cls_token",
      .positions = "embeddings.position_embeddings",
      .block = {.stack = "encoder.layer.",
                .norm1 = "layernorm_before",
                .qkv = {"attention.attention.query", "attention.attention.key", "attention.attention.value"},
                .proj = "attention.output.dense",
                .norm2 = "layernorm_after",
                .fc1 = "intermediate.dense",
                .fc2 = "output.dense"},
      .norm = "layernorm",
      .harmless = {"*embeddings.mask_token", "*pooler.dense.*", "classifier.*", "decoder.*"}};
}

VisionNames timm_vision(bool pool_norm) {
  return {.patch = "patch_embed.proj",
          .class_token = "cls_token",
          .registers = "reg_token",
          .positions = "pos_embed",
          .norm_pre = "norm_pre",
          .block = {.stack = "blocks.",
                    .norm1 = "norm1",
                    .qkv = {"attn.qkv"},
                    .q_norm = "attn.q_norm",
                    .k_norm = "attn.k_norm",
                    .proj = "attn.proj",
                    .scale1 = "ls1.gamma",
                    .norm2 = "norm2",
                    .fc1 = "mlp.fc1",
                    .fc2 = "mlp.fc2",
                    .scale2 = "ls2.gamma"},
          .norm = pool_norm ? "fc_norm" : "norm",
          .pool = {.probe = "attn_pool.latent",
                   .qkv = {"attn_pool.q", "attn_pool.kv"},
                   .q_norm = "attn_pool.q_norm",
                   .k_norm = "attn_pool.k_norm",
                   .proj = "attn_pool.proj",
                   .norm = "attn_pool.norm",
                   .fc1 = "attn_pool.mlp.fc1",
                   .fc2 = "attn_pool.mlp.fc2"},
          .harmless = {"head.*"}};
}

/// What OpenCLIP's files hold beside the towers, the constants of OpenAI's original files among it.
const std::vector<std::string> open_clip_besides = {"logit_scale",     "logit_bias", "attn_mask",
                                                    "text.attn_mask",  "vocab_size", "context_length",
                                                    "input_resolution"};

std::vector<std::string> with(std::vector<std::string> names, const std::vector<std::string>& more) {
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

VisionNames open_clip_vision(const VisionConfig& vision) {
  VisionNames names;
  if (vision.timm_trunk) {
    names = timm_vision(vision.pool_norm);
    names.projection = {vision.trunk_projection ? "visual.trunk.head" : "visual.head.proj"};
  } else {
    names = {.patch = "conv1",
             .class_token = "class_embedding",
             .positions = "positional_embedding",
             .norm_pre = "ln_pre",
             .block = open_clip_block(),
             .norm = "ln_post",
             .projection = {"visual.proj", true}};
  }
  names.harmless = with(open_clip_besides, {"text.*", "transformer.*", "token_embedding.weight", "ln_final.*",
                                            "positional_embedding", "text_projection", "text_projection.*"});
  return names;
}

TextNames clip_text() {
  return {.tokens = "embeddings.token_embedding.weight",
          .positions = "embeddings.position_embedding.weight",
          .block = clip_block(),
          .norm = "final_layer_norm",
          .projection = {"text_projection"},
          .harmless = {"vision_model.*", "visual_projection.weight", "logit_scale", "*position_ids"}};
}

TextNames siglip_text(const std::string& prefix) {
  TextNames names = clip_text();
  names.projection = {prefix + "head"};
  names.harmless = {"vision_model.*", "logit_scale", "logit_bias", "*position_ids"};
  return names;
}

TextNames open_clip_text(const std::string& prefix, const TextConfig& text) {
  return {.tokens = "token_embedding.weight",
          .positions = "positional_embedding",
          .block = open_clip_block(),
          .norm = "ln_final",
          .projection = {prefix + "text_projection", !text.projection_bias},
          .harmless = with(open_clip_besides, {"visual.*"})};
}

std::vector<std::string> vision_prefixes(const ModelConfig& model) {
  switch (model.layout) {
    case Layout::HuggingFaceClip:
    case Layout::HuggingFaceSiglip:
      return {"vision_model.", ""};
    case Layout::HuggingFaceDinov2:
      return {"", "dinov2.", "dinov2_with_registers."};
    case Layout::HuggingFaceVit:
      return {"", "vit."};
    case Layout::OpenClip:
      return {model.vision->timm_trunk ? "visual.trunk." : "visual."};
    case Layout::Timm:
      return {""};
  }
  throw std::logic_error("[vision_names] unknown layout");
}

}  // namespace

std::string prefix_in(const Weights& weights, const std::vector<std::string>& prefixes, const std::string& tensor) {
  for (const std::string& prefix : prefixes)
    if (weights.has(prefix + tensor)) return prefix;
  return prefixes.front();
}

VisionNames nested_vision_names(const std::string& model_type, const VisionConfig& vision,
                                const std::vector<std::string>& prefixes, const Weights& weights) {
  const auto names_of = [&]() -> VisionNames {
    if (model_type == "clip_vision_model") return clip_vision();
    if (model_type == "siglip_vision_model") return siglip_vision();
    if (model_type == "internvl_vision") return internvl_vision();
    if (model_type == "dinov2") return dinov2_vision(vision.blocks.feed_forward);
    throw std::logic_error("[nested_vision_names] unknown model_type " + model_type);
  };
  VisionNames names = names_of();
  names.prefix = prefix_in(weights, prefixes, weight_of(names.patch));
  return names;
}

VisionNames vision_names(const ModelConfig& model, const Weights& weights) {
  const VisionConfig& vision = *model.vision;
  const auto names_of = [&]() -> VisionNames {
    switch (model.layout) {
      case Layout::HuggingFaceClip:
        return clip_vision();
      case Layout::HuggingFaceSiglip:
        return siglip_vision();
      case Layout::HuggingFaceDinov2:
        return dinov2_vision(vision.blocks.feed_forward);
      case Layout::HuggingFaceVit:
        return vit_vision();
      case Layout::OpenClip:
        return open_clip_vision(vision);
      case Layout::Timm:
        return timm_vision(vision.pool_norm);
    }
    throw std::logic_error("[vision_names] unknown layout");
  };
  VisionNames names = names_of();
  names.prefix = prefix_in(weights, vision_prefixes(model), weight_of(names.patch));
  return names;
}

TextNames text_names(const ModelConfig& model, const Weights& weights) {
  const auto named = [&](const std::vector<std::string>& prefixes, const std::string& tokens,
                         const auto& names_at) {
    const std::string prefix = prefix_in(weights, prefixes, tokens);
    TextNames names = names_at(prefix);
    names.prefix = prefix;
    return names;
  };
  const std::string clip_tokens = "embeddings.token_embedding.weight";
  switch (model.layout) {
    case Layout::HuggingFaceClip:
      return named({"text_model.", ""}, clip_tokens, [](const std::string&) { return clip_text(); });
    case Layout::HuggingFaceSiglip:
      return named({"text_model.", ""}, clip_tokens, siglip_text);
    case Layout::OpenClip: {
      const std::vector<std::string> prefixes =
          model.custom_text ? std::vector<std::string>{"text.", ""} : std::vector<std::string>{"", "text."};
      return named(prefixes, "token_embedding.weight",
                   [&](const std::string& prefix) { return open_clip_text(prefix, *model.text); });
    }
    default:
      throw std::logic_error("[text_names] the layout has no text tower");
  }
}

std::string weight_of(const std::string& name) {
  return name + (name.ends_with("in_proj") ? "_weight" : ".weight");
}
std::string bias_of(const std::string& name) {
  return name + (name.ends_with("in_proj") ? "_bias" : ".bias");
}

}  // namespace unisim
