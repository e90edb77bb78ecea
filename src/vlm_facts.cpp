#include <unisim/error.h>

#include <algorithm>
#include <cstdio>

#include "models/facts.h"
#include "vlm_state.h"

namespace unisim {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

std::string megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

int64_t bytes_of_number(DType dtype) { return dtype == DType::Float32 ? 4 : 2; }

std::string decoder_of(const DecoderConfig& decoder) {
  return text_of(decoder.model_type, ", ", decoder.layers, " layers, width ", decoder.width, ", ", decoder.heads,
                 " heads of ", decoder.head_width, ", ", decoder.kv_heads, " of keys, hidden layer ", decoder.mlp_width,
                 decoder.tied ? ", head tied" : "");
}

std::string rotary_of(const RotaryConfig& rotary) {
  std::string text = text_of("base ", rotary.theta);
  if (rotary.rule == RotaryRule::Linear) text += text_of(", linear, factor ", rotary.factor);
  if (rotary.rule == RotaryRule::LongRope)
    text += text_of(", longrope, long factors beyond ", rotary.original_positions, " tokens, scale ", rotary.scale);
  return text;
}

std::string features_of(const FeatureConfig& features) {
  std::string text = features.layers.size() == 1 ? "hidden state" : "hidden states";
  for (const int64_t layer : features.layers) text += text_of(' ', layer);
  return text + (features.class_token ? ", class token kept" : "") + (features.shuffle ? ", 2 x 2 to one row" : "");
}

std::string mof_of(const VlmConfig& config) {
  if (config.mof == MofKind::Interleaved) return "interleaved";
  return text_of("additive, ", config.mof_alpha, " of the first");
}

/// Rows of a square picture at the tower's size, alone.
int64_t rows_of_square(const VlmConfig& config) {
  const int64_t side = config.vision.image_height > 0 ? config.vision.image_height : config.vision.table_height;
  return tile_plan(config, side, side, true).rows;
}

void tell_image(const VlmConfig& config, Facts& facts) {
  ModelConfig eyes;
  eyes.family = config.family;
  eyes.vision = config.vision;
  eyes.preprocess = config.preprocess;
  for (auto& fact : facts_of(eyes))
    if (fact.first != "layout" && fact.first != "pooling") facts.push_back(std::move(fact));
  facts.emplace_back("features", features_of(config.features));
  if (config.mof != MofKind::None) facts.emplace_back("mixture of features", mof_of(config));
  facts.emplace_back("tokens of a square picture", std::to_string(rows_of_square(config)));
}

}  // namespace

Facts Vlm::facts() const {
  const VlmConfig& config = state_->config;
  const DecoderConfig& decoder = config.decoder;
  const int64_t number = bytes_of_number(dtype());
  Facts facts;
  tell_image(config, facts);
  facts.emplace_back("decoder", decoder_of(decoder));
  facts.emplace_back("rotary positions", rotary_of(decoder.rotary));
  facts.emplace_back("context", std::to_string(decoder.positions));
  facts.emplace_back("vocabulary", std::to_string(decoder.vocabulary));
  const std::string name = template_of(config);
  facts.emplace_back("template", name.empty() ? "unknown: a question must name one (--template, template=)" : name);
  facts.emplace_back("parameters", std::to_string(parameters()));
  facts.emplace_back("memory of the weights", megabytes(parameters() * number));
  facts.emplace_back("memory of 1,000 tokens kept",
                     megabytes(2'000 * decoder.layers * decoder.kv_heads * decoder.head_width * number));
  const std::string& refused = state_->fused_refused;
  facts.emplace_back("executor", refused.empty() ? executor() : executor() + " (fused: " + refused + ")");
  facts.emplace_back("device", device().str());
  facts.emplace_back("dtype", name_of(dtype()));
  return facts;
}

}  // namespace unisim
