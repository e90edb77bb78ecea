#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// A language model's decoder as data: Llama, Qwen2 (Qwen1.5), Qwen3, Phi-3. Pre-norm blocks of RMSNorm, grouped heads
/// with rotary positions, SwiGLU; causal.
namespace unisim {

enum class RotaryRule {
  Plain,     ///< angle = position / theta^(2i / d)
  Linear,    ///< positions over `factor`
  LongRope,  ///< Phi-3: each frequency over a factor of its own, short or long by the length of the whole sequence
};

struct RotaryConfig {
  RotaryRule rule = RotaryRule::Plain;
  double theta = 1e4;
  double factor = 1;                                        ///< Linear
  std::vector<double> short_factor = {}, long_factor = {};  ///< LongRope: [head_width / 2] each
  int64_t original_positions = 0;                           ///< LongRope: the longest sequence of the short factors
  double scale = 1;                                         ///< LongRope: of cosines and sines
};

struct DecoderConfig {
  std::string model_type = {};  ///< "llama", "qwen2", "qwen3", "phi3"
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0, kv_heads = 0, head_width = 0;
  int64_t mlp_width = 0;
  int64_t vocabulary = 0;  ///< rows of the embedding
  int64_t positions = 0;   ///< the longest sequence; a sliding window that is shorter is that
  double eps = 1e-6;       ///< of every RMSNorm
  bool qkv_bias = false;
  bool proj_bias = false;    ///< of the attention's output (`attention_bias` of Llama and Qwen3)
  bool mlp_bias = false;     ///< of gate, up and down
  bool qk_norm = false;      ///< Qwen3: RMSNorm of each head's q and k before the rotation
  bool packed = false;       ///< Phi-3's files: qkv_proj and gate_up_proj
  bool tied = false;         ///< the head is the embedding
  RotaryConfig rotary = {};

  constexpr int64_t inner() const { return heads * head_width; }
  constexpr int64_t qkv_width() const { return (heads + 2 * kv_heads) * head_width; }
};

}  // namespace unisim
