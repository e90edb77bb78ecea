#include "facts.h"

#include <unisim/error.h>

#include <string_view>

#include "config_readers.h"

namespace unisim {
namespace {

std::string_view layout_name(Layout layout) {
  switch (layout) {
    case Layout::OpenClip:
      return "OpenCLIP";
    case Layout::Timm:
      return "timm";
    default:
      return "Hugging Face";
  }
}

std::string size_of(int64_t height, int64_t width) { return text_of(height, " x ", width); }

std::string blocks_of(const BlocksConfig& blocks) {
  return text_of(blocks.layers, " layers, width ", blocks.width, ", ", blocks.heads, " heads, hidden layer ",
                 blocks.mlp_width, blocks.layer_scale ? ", layer scale" : "",
                 blocks.qk_norm ? ", q and k normed" : "", blocks.causal ? ", causal" : "");
}

std::string activation_of(const BlocksConfig& blocks) {
  return blocks.feed_forward == FeedForward::SwiGluPacked ? "swiglu" : name_of(blocks.activation);
}

std::string pool_of(const VisionConfig& vision) {
  switch (vision.pool) {
    case VisionPool::Cls:
      return "class token";
    case VisionPool::Mean:
      return "mean of the patches";
    case VisionPool::MeanAll:
      return "mean of all tokens";
    case VisionPool::Attention:
      return "attention";
  }
  return "?";
}

std::string pool_of(const TextConfig& text) {
  switch (text.pool) {
    case TextPool::EndToken:
      return text_of("first token ", text.end_token);
    case TextPool::ArgMax:
      return "largest id";
    case TextPool::Last:
      return "last token";
    case TextPool::First:
      return "first token";
  }
  return "?";
}

std::string preprocessing_of(const PreprocessConfig& p) {
  static constexpr const char* filters[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
  const std::string filter = filters[p.resample];
  const std::string size = size_of(p.resize_height, p.resize_width);
  std::string text;
  switch (p.rule) {
    case ResizeRule::None:
      text = "no resizing";
      break;
    case ResizeRule::ShortestEdge:
      text = text_of("shortest edge to ", p.resize_height, ", ", filter);
      break;
    case ResizeRule::Exact:
      text = text_of("resized to ", size, ", ", filter);
      break;
    case ResizeRule::Cover:
      text = text_of("resized to cover ", size, ", ", filter);
      break;
    case ResizeRule::Inside:
      text = text_of("resized into ", size, ", ", filter);
      break;
  }
  if (p.crop_height > 0) text += text_of("; centre ", size_of(p.crop_height, p.crop_width));
  text += text_of("; times ", p.rescale, ", minus ", p.mean[0], ' ', p.mean[1], ' ', p.mean[2], ", over ",
                  p.std[0], ' ', p.std[1], ' ', p.std[2]);
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> facts_of(const ModelConfig& config) {
  std::vector<std::pair<std::string, std::string>> facts;
  facts.emplace_back("family", config.family);
  facts.emplace_back("layout", layout_name(config.layout));
  if (config.vision) {
    const VisionConfig& vision = *config.vision;
    facts.emplace_back("image tower", blocks_of(vision.blocks));
    facts.emplace_back("image", text_of(size_of(vision.image_height, vision.image_width), ", patches of ",
                                        size_of(vision.patch_height, vision.patch_width)));
    facts.emplace_back("positions",
                       text_of("learned for ", size_of(vision.table_height, vision.table_width)));
    if (vision.registers > 0) facts.emplace_back("registers", std::to_string(vision.registers));
    facts.emplace_back("activation", activation_of(vision.blocks));
    facts.emplace_back("epsilon", text_of(vision.norm_eps));
    facts.emplace_back("pooling", pool_of(vision));
    if (vision.projection > 0) facts.emplace_back("projection", std::to_string(vision.projection));
    facts.emplace_back("preprocessing", preprocessing_of(*config.preprocess));
  }
  if (config.text) {
    const TextConfig& text = *config.text;
    facts.emplace_back("text tower", blocks_of(text.blocks));
    facts.emplace_back("text activation", activation_of(text.blocks));
    facts.emplace_back("text pooling", pool_of(text));
    facts.emplace_back("context", std::to_string(text.context));
    const TextInputConfig& input = *config.text_input;
    facts.emplace_back("tokenizer", input.tokenizer.empty() ? input.missing : input.tokenizer.string());
  }
  return facts;
}

}  // namespace unisim
