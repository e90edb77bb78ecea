#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "blocks.h"
#include "decoder_config.h"
#include "weights.h"

/// A language model's decoder on packed rows: by LibTorch's operations, which are the oracle, or by the library's kernels.
namespace unisim {

/// Keys (already rotated) and values of tokens, layer by layer, [1, kv_heads, room, head_width], of which the first
/// `tokens` are there. A copy shares the memory: append to one of the two alone, or take first(tokens), whose room is
/// full. Who appends to a full room gets another, a quarter larger; what was handed out before stays as it is.
struct KeysValues {
  std::vector<Tensor> keys = {}, values = {};
  int64_t tokens = 0;
  int64_t reserve = 0;        ///< tokens to make room for at least, when room is made
  bool long_factors = false;  ///< see Decoder::run

  int64_t bytes() const;  ///< of the whole room
  /// The first `count` tokens, sharing memory.
  KeysValues first(int64_t count) const;
};

/// A stretch of a run's rows that belong together, each seeing those before it in the stretch.
struct Stretch {
  int64_t rows = 0;
  int64_t position = 0;                 ///< of its first row
  const KeysValues* behind = nullptr;   ///< what its rows see before anything else, as it is when the run begins
  int64_t parent = -1;                  ///< an earlier stretch of the same run, all of whose rows are seen too (with
                                        ///< what that one sees)
  KeysValues* into = nullptr;           ///< its keys and values are appended here when the run ends; may be `behind`
};

struct DecoderWeights {
  struct Block {
    Norm norm1;  ///< RMSNorm, as every norm here: no bias
    Linear qkv;  ///< [qkv_width, width]: query, key, value
    Norm q_norm, k_norm;
    Linear proj;
    Norm norm2;
    Linear gate_up;  ///< [2 mlp_width, width], gate first
    Linear down;
  };

  Tensor tokens;  ///< [vocabulary, width]
  std::vector<Block> blocks;
  Norm norm;
  Linear head;  ///< [vocabulary, width]; tied: the embedding itself
};

/// How a folder names the decoder's tensors: "language_model.model." and "language_model.lm_head", say.
struct DecoderNames {
  std::string prefix;
  std::string head;
  std::vector<std::string> harmless;  ///< what else is in the file: see Wants
};

class FusedDecoder;

class Decoder {
 public:
  static Decoder load(const DecoderConfig& config, const DecoderNames& names, const Weights& weights);
  Decoder(Decoder&&) noexcept;
  ~Decoder();

  /// Runs go by this executor from now on; null: by LibTorch's operations.
  void set_executor(std::unique_ptr<const FusedDecoder> fused);
  bool is_fused() const { return fused_ != nullptr; }

  const DecoderConfig& config() const { return config_; }
  const DecoderWeights& weights() const { return weights_; }

  /// Rows of the embedding, [n, width]. Throws std::invalid_argument for an id outside of the vocabulary.
  Tensor embed(std::span<const int64_t> ids) const;

  /// Runs the stretches, whose rows stand one after the other in x [rows, width], and gives the rows `wanted` (indices
  /// into x, rising) after the final norm, [wanted, width]. Rows of the last block that nobody wants are not finished.
  /// Products are over all rows at once, attention stretch by stretch; keys that others see are never copied.
  /// `long_factors` chooses LongRope's factors for every position. Throws std::invalid_argument for what does not fit
  /// together or is longer than the model's positions, NotFinite where a wanted row is not finite.
  Tensor run(const Tensor& x, std::span<const Stretch> stretches, std::span<const int64_t> wanted,
             bool long_factors = false) const;

  /// [n, vocabulary] float32 of rows after the final norm.
  Tensor logits(const Tensor& normed) const;

  /// Whether a sequence of this length takes the long factors.
  bool long_factors(int64_t length) const;

 private:
  DecoderConfig config_;
  DecoderWeights weights_;
  Tensor short_frequencies_, long_frequencies_;  ///< [head_width / 2] float32; long: LongRope alone
  Device device_ = Device("cpu");
  DType dtype_ = DType::Float32;
  std::unique_ptr<const FusedDecoder> fused_;

  Decoder();
};

}  // namespace unisim
