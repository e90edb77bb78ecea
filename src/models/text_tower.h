#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "blocks.h"
#include "config.h"
#include "each_item.h"
#include "weights.h"

namespace unisim {

struct TextWeights {
  Tensor tokens;     ///< [vocabulary, width]
  Tensor positions;  ///< [context, width]
  BlocksWeights blocks;
  Norm norm;
  Linear projection;  ///< [projection, width]
};

/// The row of a sequence that stands for it. Of several equal ids the first counts; without an end token the
/// first row is taken.
int64_t pooled_row(const TextConfig& config, const int64_t* ids, int64_t length);

/// The text tower: token and position embeddings, blocks (causal for CLIP), the final norm, one row of the
/// sequence as TextPool says, the projection. Items are computed one by one on the CPU, as in VisionTower.
class TextTower {
 public:
  static TextTower load(const ModelConfig& model, const Weights& weights);

  const TextConfig& config() const { return config_; }
  const TextWeights& weights() const { return weights_; }
  int64_t dim() const { return config_.projection > 0 ? config_.projection : config_.blocks.width; }

  /// [n, dim] float32, not normalised, of ids [n, length] int64, length to the model's context: transformers'
  /// text_embeds, open_clip's encode_text. An id outside the vocabulary is a std::invalid_argument. Where
  /// TextPool::EndToken finds no end token, the first row is taken, as transformers and open_clip do.
  Tensor embed(const Tensor& ids, const AfterEach& after_each = {}) const;

  /// Throws std::invalid_argument for ids that the tower does not take.
  void check_ids(std::string_view operation, const Tensor& ids) const;

  /// [n, length, width] float32 after the final norm (transformers' last_hidden_state).
  Tensor final_tokens(const Tensor& ids, const AfterEach& after_each = {}) const;

 private:
  TextTower(TextConfig config, Device device, DType dtype)
      : config_(std::move(config)), device_(device), dtype_(dtype) {}

  Tensor tokens(const Tensor& ids) const;
  Tensor run(std::string_view operation, const Tensor& ids, const AfterEach& after_each,
             std::vector<int64_t> row, const std::function<Tensor(const Tensor& ids)>& rows) const;

  TextConfig config_;
  TextWeights weights_;
  Device device_;
  DType dtype_;
};

}  // namespace unisim
