#include "decoder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/tensor.h>
#include <unisim/error.h>

#include "fused_decoder.h"
#include "layout.h"

namespace unisim {
namespace {

/// A product of the file's, or several stacked: names without ".weight" and rows of each.
struct Piece {
  std::string name;
  int64_t rows;
};

class Asking {
 public:
  Asking(Wants& wants, double eps) : wants_(&wants), eps_(eps) {}

  void tensor(Tensor& into, const std::string& name, std::vector<int64_t> shape) const {
    wants_->tensors.push_back({.into = &into, .pieces = {{name, std::move(shape)}}});
  }

  void norm(Norm& into, const std::string& name, int64_t width) const {
    into.eps = eps_;
    tensor(into.weight, weight_of(name), {width});
  }

  void linear(Linear& into, const std::vector<Piece>& pieces, int64_t in, bool bias) const {
    Want weight{.into = &into.weight}, row{.into = &into.bias};
    for (const Piece& piece : pieces) {
      weight.pieces.push_back({weight_of(piece.name), {piece.rows, in}});
      row.pieces.push_back({bias_of(piece.name), {piece.rows}});
    }
    wants_->tensors.push_back(std::move(weight));
    if (bias) wants_->tensors.push_back(std::move(row));
  }

 private:
  Wants* wants_;
  double eps_;
};

void ask_block(const DecoderConfig& config, const std::string& stem, const Asking& asking,
               DecoderWeights::Block& into) {
  const int64_t inner = config.inner(), keys = config.kv_heads * config.head_width;
  const std::string attention = stem + "self_attn.", mlp = stem + "mlp.";
  asking.norm(into.norm1, stem + "input_layernorm", config.width);
  if (config.packed) {
    asking.linear(into.qkv, {{attention + "qkv_proj", config.qkv_width()}}, config.width, config.qkv_bias);
    asking.linear(into.gate_up, {{mlp + "gate_up_proj", 2 * config.mlp_width}}, config.width, config.mlp_bias);
  } else {
    asking.linear(into.qkv,
                  {{attention + "q_proj", inner}, {attention + "k_proj", keys}, {attention + "v_proj", keys}},
                  config.width, config.qkv_bias);
    asking.linear(into.gate_up, {{mlp + "gate_proj", config.mlp_width}, {mlp + "up_proj", config.mlp_width}},
                  config.width, config.mlp_bias);
  }
  if (config.qk_norm) {
    asking.norm(into.q_norm, attention + "q_norm", config.head_width);
    asking.norm(into.k_norm, attention + "k_norm", config.head_width);
  }
  asking.linear(into.proj, {{attention + "o_proj", config.width}}, inner, config.proj_bias);
  asking.norm(into.norm2, stem + "post_attention_layernorm", config.width);
  asking.linear(into.down, {{mlp + "down_proj", config.width}}, config.mlp_width, config.mlp_bias);
}

/// `stored_head`: the file has a tensor for it.
Wants decoder_wants(const DecoderConfig& config, const DecoderNames& names, bool stored_head, DecoderWeights& into) {
  Wants wants{.reader = "decoder", .tensors = {}, .harmless = names.harmless};
  // Llama's old folders keep what is computed from theta.
  wants.harmless.push_back(names.prefix + "layers.*.self_attn.rotary_emb.inv_freq");
  const Asking asking(wants, config.eps);
  asking.tensor(into.tokens, names.prefix + "embed_tokens.weight", {config.vocabulary, config.width});
  into.blocks.resize(static_cast<std::size_t>(config.layers));
  for (std::size_t i = 0; i < into.blocks.size(); ++i)
    ask_block(config, text_of(names.prefix, "layers.", i, "."), asking, into.blocks[i]);
  asking.norm(into.norm, names.prefix + "norm", config.width);
  if (stored_head) asking.linear(into.head, {{names.head, config.vocabulary}}, config.width, false);
  return wants;
}

/// 1 / (factor_i * theta^(2i / d)) by the operations of transformers, in float32: a position of thousands makes the
/// last bit of a frequency visible.
Tensor frequencies(const DecoderConfig& config, const std::vector<double>& factors) {
  const RotaryConfig& rotary = config.rotary;
  const Tensor part =
      at::arange(0, config.head_width, 2, at::kLong).to(at::kFloat).div(static_cast<double>(config.head_width));
  const Tensor power = at::pow(rotary.theta, part);
  if (rotary.rule == RotaryRule::LongRope) return at::tensor(factors).to(at::kFloat).mul(power).reciprocal();
  const Tensor plain = power.reciprocal();
  return rotary.rule == RotaryRule::Linear ? plain.div(rotary.factor) : plain;
}

}  // namespace

int64_t KeysValues::bytes() const {
  std::size_t sum = 0;
  for (const Tensor& tensor : keys) sum += 2 * tensor.storage().nbytes();  // the whole room, though a part is seen
  return static_cast<int64_t>(sum);
}

KeysValues KeysValues::first(int64_t count) const {
  require(count >= 0 && count <= tokens, "[KeysValues] the first ", count, " of ", tokens, " tokens");
  KeysValues part{.tokens = count, .long_factors = long_factors};
  for (const Tensor& tensor : keys) part.keys.push_back(tensor.narrow(2, 0, count));
  for (const Tensor& tensor : values) part.values.push_back(tensor.narrow(2, 0, count));
  return part;
}

Decoder::Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

void Decoder::set_executor(std::unique_ptr<const FusedDecoder> fused) { fused_ = std::move(fused); }

Decoder Decoder::load(const DecoderConfig& config, const DecoderNames& names, const Weights& weights) {
  Decoder decoder;
  decoder.config_ = config;
  decoder.device_ = weights.device();
  decoder.dtype_ = weights.dtype();
  DecoderWeights& into = decoder.weights_;
  const bool stored_head = !config.tied || weights.has(weight_of(names.head));
  weights.fill(decoder_wants(config, names, stored_head, into));
  // A file that keeps both has the last word if they differ, as in transformers.
  if (!stored_head || (config.tied && into.head.weight.equal(into.tokens))) into.head.weight = into.tokens;
  decoder.short_frequencies_ = frequencies(config, config.rotary.short_factor).to(decoder.device_);
  if (config.rotary.rule == RotaryRule::LongRope)
    decoder.long_frequencies_ = frequencies(config, config.rotary.long_factor).to(decoder.device_);
  return decoder;
}

Tensor Decoder::embed(std::span<const int64_t> ids) const {
  for (std::size_t i = 0; i < ids.size(); ++i)
    require(ids[i] >= 0 && ids[i] < config_.vocabulary, "[Decoder] id ", i, " is ", ids[i],
            ", the vocabulary has ", config_.vocabulary);
  const Tensor rows = at::tensor(at::IntArrayRef(ids.data(), ids.size()), at::kLong);
  return at::embedding(weights_.tokens, rows.to(device_));
}

Tensor Decoder::logits(const Tensor& normed) const { return run_linear(weights_.head, normed).to(at::kFloat); }

bool Decoder::long_factors(int64_t length) const {
  return config_.rotary.rule == RotaryRule::LongRope && length > config_.rotary.original_positions;
}

}  // namespace unisim
