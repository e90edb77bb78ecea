#include "wants.h"

#include <unisim/error.h>

#include "vlm_vision.h"

namespace unisim {
namespace {

/// Collects wants under a prefix.
class Asking {
 public:
  Asking(Wants& wants, std::string prefix) : wants_(&wants), prefix_(std::move(prefix)) {}

  Asking below(const std::string& more) const { return {*wants_, prefix_ + more}; }

  void tensor(Tensor& into, const std::string& name, std::vector<int64_t> shape) const {
    wants_->tensors.push_back({.into = &into, .pieces = {{prefix_ + name, std::move(shape)}}});
  }

  void norm(Norm& into, const std::string& name, int64_t width, double eps) const {
    into.eps = eps;
    tensor(into.weight, weight_of(name), {width});
    tensor(into.bias, bias_of(name), {width});
  }

  void linear(Linear& into, const std::string& name, int64_t out, int64_t in, bool bias) const {
    tensor(into.weight, weight_of(name), {out, in});
    if (bias) tensor(into.bias, bias_of(name), {out});
  }

  /// Query, key and value, [part, in] each, in as many pieces as the file has names for.
  void packed(Linear& into, const std::vector<std::string>& names, int64_t part, int64_t in,
              bool bias) const {
    Want weight{.into = &into.weight}, row{.into = &into.bias};
    for (std::size_t i = 0; i < names.size(); ++i) {
      // One name stands for all three, the last of two for key and value.
      const int64_t parts = i + 1 < names.size() ? 1 : 3 - static_cast<int64_t>(i);
      weight.pieces.push_back({prefix_ + weight_of(names[i]), {parts * part, in}});
      row.pieces.push_back({prefix_ + bias_of(names[i]), {parts * part}});
    }
    wants_->tensors.push_back(std::move(weight));
    if (bias) wants_->tensors.push_back(std::move(row));
  }

  void projection(Linear& into, const ProjectionNames& names, int64_t out, int64_t in, bool bias) const {
    if (!names.plain_matrix) return linear(into, names.name, out, in, bias);
    wants_->tensors.push_back(
        {.into = &into.weight, .pieces = {{prefix_ + names.name, {in, out}}}, .transposed = true});
  }

  Want& last() const { return wants_->tensors.back(); }

 private:
  Wants* wants_;
  std::string prefix_;
};

void ask_blocks(const BlocksConfig& config, const BlockNames& names, const Asking& asking,
                BlocksWeights& into) {
  into.resize(static_cast<std::size_t>(config.layers));
  const int64_t width = config.width, inner = config.heads * config.head_width;
  const int64_t halves = config.feed_forward == FeedForward::SwiGluPacked ? 2 : 1;
  for (std::size_t i = 0; i < into.size(); ++i) {
    const Asking at = asking.below(names.stack + std::to_string(i) + ".");
    BlockWeights& block = into[i];
    at.norm(block.norm1, names.norm1, width, config.eps);
    at.packed(block.qkv, names.qkv, inner, width, config.qkv_bias);
    if (config.qk_norm) {
      at.norm(block.q_norm, names.q_norm, config.head_width, config.eps);
      at.norm(block.k_norm, names.k_norm, config.head_width, config.eps);
    }
    at.linear(block.proj, names.proj, width, inner, config.proj_bias);
    if (config.layer_scale) at.tensor(block.scale1, names.scale1, {width});
    at.norm(block.norm2, names.norm2, width, config.eps);
    at.linear(block.fc1, names.fc1, halves * config.mlp_width, width, config.mlp_bias);
    at.linear(block.fc2, names.fc2, width, config.mlp_width, config.mlp_bias);
    if (config.layer_scale) at.tensor(block.scale2, names.scale2, {width});
  }
}

void ask_pool(const AttentionPoolConfig& config, int64_t width, const AttentionPoolNames& names,
              const Asking& asking, AttentionPoolWeights& into) {
  asking.tensor(into.probe, names.probe, {1, width});
  asking.packed(into.qkv, names.qkv, width, width, config.qkv_bias);
  if (config.qk_norm) {
    asking.norm(into.q_norm, names.q_norm, width / config.heads, config.eps);
    asking.norm(into.k_norm, names.k_norm, width / config.heads, config.eps);
  }
  asking.linear(into.proj, names.proj, width, width, true);
  asking.norm(into.norm, names.norm, width, config.eps);
  asking.linear(into.fc1, names.fc1, config.mlp_width, width, true);
  asking.linear(into.fc2, names.fc2, width, config.mlp_width, true);
}

}  // namespace

Wants vision_wants(const VisionConfig& config, const VisionNames& names, VisionWeights& into) {
  Wants wants{.reader = "image tower", .tensors = {}, .harmless = names.harmless};
  const Asking file(wants, ""), asking(wants, names.prefix);
  const int64_t width = config.blocks.width;
  const int64_t patch = config.channels * config.patch_height * config.patch_width;
  asking.linear(into.patch, names.patch, width, patch, false);
  asking.last().pieces.front().shape = {width, config.channels, config.patch_height, config.patch_width};
  asking.last().shape = {width, patch};
  if (config.patch_bias) asking.tensor(into.patch.bias, bias_of(names.patch), {width});
  if (config.class_token) asking.tensor(into.class_token, names.class_token, {1, width});
  if (config.registers > 0) asking.tensor(into.registers, names.registers, {config.registers, width});
  const int64_t rows =
      (config.class_position ? 1 : 0) + (config.register_positions ? config.registers : 0) +
      (config.table_height / config.patch_height) * (config.table_width / config.patch_width);
  asking.tensor(into.positions, names.positions, {rows, width});
  asking.last().in_float32 = true;
  if (config.norm_pre) asking.norm(into.norm_pre, names.norm_pre, width, config.norm_eps);
  ask_blocks(config.blocks, names.block, asking, into.blocks);
  if (config.final_norm || config.pool_norm) asking.norm(into.norm, names.norm, width, config.norm_eps);
  if (config.pool == VisionPool::Attention)
    ask_pool(*config.attention_pool, width, names.pool, asking, into.pool);
  if (config.projection > 0)
    file.projection(into.projection, names.projection, config.projection, width, config.projection_bias);
  return wants;
}

Wants projector_wants(const ProjectorConfig& config, const ProjectorNames& names, Projector& into) {
  Wants wants{.reader = "projector", .tensors = {}, .harmless = names.harmless};
  const Asking asking(wants, names.prefix);
  if (config.norm) asking.norm(into.norm, "layer_norm", config.in, 1e-5);
  asking.linear(into.linear_1, "linear_1", config.out, config.in, config.bias);
  asking.linear(into.linear_2, "linear_2", config.out, config.out, config.bias);
  return wants;
}

Wants text_wants(const TextConfig& config, const TextNames& names, TextWeights& into) {
  Wants wants{.reader = "text tower", .tensors = {}, .harmless = names.harmless};
  const Asking file(wants, ""), asking(wants, names.prefix);
  const int64_t width = config.blocks.width;
  asking.tensor(into.tokens, names.tokens, {config.vocabulary, width});
  asking.tensor(into.positions, names.positions, {config.context, width});
  ask_blocks(config.blocks, names.block, asking, into.blocks);
  asking.norm(into.norm, names.norm, width, config.norm_eps);
  if (config.projection > 0)
    file.projection(into.projection, names.projection, config.projection, width, config.projection_bias);
  return wants;
}

}  // namespace unisim
