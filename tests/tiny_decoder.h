#pragma once

// A decoder of a few kilobytes and its definition in double, over any rule of which row sees which.

#include <map>
#include <string>
#include <vector>

#include "models/decoder.h"
#include "tiny_model.h"

namespace unisim::test {

/// Grouped heads, an odd width of the hidden layer, epsilons large enough to be seen.
inline DecoderConfig tiny_decoder(const std::string& type) {
  DecoderConfig config;
  config.model_type = type;
  config.width = 24, config.layers = 2, config.heads = 6, config.kv_heads = 2, config.head_width = 4;
  config.mlp_width = 37, config.vocabulary = 31, config.positions = 64, config.eps = 1e-2;
  config.rotary.theta = 50;
  config.qkv_bias = type == "qwen2";
  config.tied = type == "qwen2";
  if (type == "llama") {
    config.qkv_bias = config.proj_bias = config.mlp_bias = true;
    config.rotary.rule = RotaryRule::Linear, config.rotary.factor = 3;
  }
  if (type == "qwen3") config.qk_norm = true, config.head_width = 6;
  if (type == "phi3") {
    config.packed = true, config.kv_heads = 6;
    config.rotary = {.rule = RotaryRule::LongRope, .theta = 50, .short_factor = {1, 1.5}, .long_factor = {2, 5}};
    config.rotary.original_positions = 20, config.rotary.scale = 1.2;
  }
  return config;
}

class TinyDecoder {
 public:
  explicit TinyDecoder(DecoderConfig decoder, uint64_t seed = 1) : config(std::move(decoder)), seed_(seed) {
    const int64_t width = config.width, keys = config.kv_heads * config.head_width, mlp = config.mlp_width;
    draw(prefix + "embed_tokens.weight", {config.vocabulary, width});
    draw(prefix + "norm.weight", {width});
    if (!config.tied) draw("language_model.lm_head.weight", {config.vocabulary, width});
    for (int64_t i = 0; i < config.layers; ++i) {
      const std::string stem = prefix + "layers." + std::to_string(i) + ".", attention = stem + "self_attn.";
      draw(stem + "input_layernorm.weight", {width});
      draw(stem + "post_attention_layernorm.weight", {width});
      if (config.packed) {
        linear(attention + "qkv_proj", config.qkv_width(), width, config.qkv_bias);
        linear(stem + "mlp.gate_up_proj", 2 * mlp, width, config.mlp_bias);
      } else {
        linear(attention + "q_proj", config.inner(), width, config.qkv_bias);
        linear(attention + "k_proj", keys, width, config.qkv_bias);
        linear(attention + "v_proj", keys, width, config.qkv_bias);
        linear(stem + "mlp.gate_proj", mlp, width, config.mlp_bias);
        linear(stem + "mlp.up_proj", mlp, width, config.mlp_bias);
      }
      linear(attention + "o_proj", width, config.inner(), config.proj_bias);
      linear(stem + "mlp.down_proj", width, mlp, config.mlp_bias);
      if (config.qk_norm) {
        draw(attention + "q_norm.weight", {config.head_width});
        draw(attention + "k_norm.weight", {config.head_width});
      }
    }
  }

  Decoder load(DType dtype = DType::Float32, std::vector<std::string> harmless = {}) const {
    std::vector<TensorBytes> bytes;
    for (const auto& [name, tensor] : tensors)
      bytes.push_back({name,
                       TensorType::F32,
                       tensor.sizes().vec(),
                       {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}});
    const auto file = folder_.path() / "model.safetensors";
    write_file_whole(file, safetensors_bytes(bytes));
    return Decoder::load(config, {prefix, "language_model.lm_head", std::move(harmless)},
                         {SafeTensors::open_file(file), Device("cpu"), dtype});
  }

  DecoderConfig config;
  std::string prefix = "language_model.model.";
  std::map<std::string, Tensor> tensors = {};  ///< may be changed before it is loaded

 private:
  void draw(const std::string& name, std::vector<int64_t> shape) {
    const bool row = shape.size() == 1, bias = name.ends_with("bias");
    const double scale = row ? 0.3 : 1.2 / std::sqrt(static_cast<double>(shape.back()));
    tensors[name] = random_tensor(std::move(shape), ++seed_ * 7919, scale, row && !bias ? 1 : 0);
  }
  void linear(const std::string& name, int64_t out, int64_t in, bool bias) {
    draw(name + ".weight", {out, in});
    if (bias) draw(name + ".bias", {out});
  }

  uint64_t seed_;
  TemporaryFolder folder_;
};

inline Grid2 rms_in_double(const Norm& norm, Grid2 x) {
  const Grid2 w = grid_of_tensor(norm.weight);
  for (int64_t r = 0; r < x.rows; ++r) {
    double square = 0;
    for (int64_t c = 0; c < x.columns; ++c) square += x.at(r, c) * x.at(r, c) / static_cast<double>(x.columns);
    for (int64_t c = 0; c < x.columns; ++c) x.at(r, c) *= w.at(0, c) / std::sqrt(square + norm.eps);
  }
  return x;
}

/// One head's rows, number i turned against number i + width / 2.
inline Grid2 rotated_in_double(const RotaryConfig& rotary, Grid2 x, const std::vector<int64_t>& positions, bool far) {
  const int64_t half = x.columns / 2;
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t i = 0; i < half; ++i) {
      double angle = static_cast<double>(positions[r]) / std::pow(rotary.theta, static_cast<double>(i) / half);
      if (rotary.rule == RotaryRule::Linear) angle /= rotary.factor;
      if (rotary.rule == RotaryRule::LongRope) angle /= (far ? rotary.long_factor : rotary.short_factor)[i];
      const double c = std::cos(angle) * rotary.scale, s = std::sin(angle) * rotary.scale;
      const double a = x.at(r, i), b = x.at(r, i + half);
      x.at(r, i) = a * c - b * s;
      x.at(r, i + half) = b * c + a * s;
    }
  return x;
}

inline void put_columns(Grid2& into, int64_t first, const Grid2& part) {
  for (int64_t r = 0; r < part.rows; ++r)
    for (int64_t c = 0; c < part.columns; ++c) into.at(r, first + c) = part.at(r, c);
}

inline void add_to(Grid2& x, const Grid2& more) {
  for (std::size_t i = 0; i < x.values.size(); ++i) x.values[i] += more.values[i];
}

/// The rows after the final norm: row i, at positions[i], sees row j where sees(i, j).
inline Grid2 decoder_in_double(const Decoder& decoder, const Tensor& rows, const std::vector<int64_t>& positions,
                               const std::function<bool(int64_t i, int64_t j)>& sees, bool far = false) {
  const DecoderConfig& config = decoder.config();
  const int64_t width = config.head_width, group = config.heads / config.kv_heads;
  Grid2 x = grid_of_tensor(rows);
  for (const DecoderWeights::Block& block : decoder.weights().blocks) {
    const Grid2 qkv = linear_in_double(block.qkv, rms_in_double(block.norm1, x));
    Grid2 heads(x.rows, config.inner());
    for (int64_t h = 0; h < config.heads; ++h) {
      const int64_t key = config.inner() + h / group * width;
      Grid2 q = columns_of(qkv, h * width, width), k = columns_of(qkv, key, width);
      if (config.qk_norm) q = rms_in_double(block.q_norm, q), k = rms_in_double(block.k_norm, k);
      put_columns(heads, h * width,
                  attention_in_double(rotated_in_double(config.rotary, q, positions, far),
                                      rotated_in_double(config.rotary, k, positions, far),
                                      columns_of(qkv, key + config.kv_heads * width, width), sees));
    }
    add_to(x, linear_in_double(block.proj, heads));
    const Grid2 hidden = linear_in_double(block.gate_up, rms_in_double(block.norm2, x));
    Grid2 gated(x.rows, config.mlp_width);
    for (int64_t r = 0; r < x.rows; ++r)
      for (int64_t c = 0; c < config.mlp_width; ++c)
        gated.at(r, c) = hidden.at(r, c) / (1 + std::exp(-hidden.at(r, c))) * hidden.at(r, config.mlp_width + c);
    add_to(x, linear_in_double(block.down, gated));
  }
  return rms_in_double(decoder.weights().norm, x);
}

}  // namespace unisim::test
