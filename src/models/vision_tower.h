#pragma once

#include <unisim/encoder.h>
#include <unisim/tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attention_pool.h"
#include "blocks.h"
#include "config.h"
#include "each_item.h"
#include "layout.h"
#include "weights.h"

namespace unisim {

struct VisionWeights {
  Linear patch;        ///< [width, channels * patch height * patch width]
  Tensor class_token;  ///< [1, width]
  Tensor registers;    ///< [registers, width]
  Tensor positions;    ///< [rows, width] float32: as learned, for the table's image size
  Norm norm_pre;
  BlocksWeights blocks;
  Norm norm;  ///< the last norm: of all tokens (final_norm), or of the pooled row (pool_norm)
  AttentionPoolWeights pool;
  Linear projection;  ///< [projection, width]
};

/// The image tower: a vision transformer as VisionConfig says, in LibTorch operations.
///
/// Tokens stand in the order class token, registers, patches (row by row). On the CPU items are computed one
/// by one, so a row depends on its own picture alone: the same bits in any batch, at any place in it.
///
/// Conditions: pixels [n, channels, height, width], finite, floating; height and width those of the position
/// table unless positions can be resized (PositionResize). Otherwise std::invalid_argument. An output that is
/// not finite is a std::runtime_error that names the item and the first hidden state that is not.
class VisionTower {
 public:
  static VisionTower load(const ModelConfig& model, const Weights& weights);
  /// A tower inside of another model; names as nested_vision_names gives them.
  static VisionTower load(const VisionConfig& config, const VisionNames& names, const Weights& weights);

  const VisionConfig& config() const { return config_; }
  const VisionWeights& weights() const { return weights_; }
  /// The usual size of a picture, which positions are at hand for.
  int64_t image_height() const { return image_height_; }
  int64_t image_width() const { return image_width_; }
  /// Width of a row of embed().
  int64_t dim() const { return config_.projection > 0 ? config_.projection : config_.blocks.width; }

  /// [n, dim] float32, not normalised. With neither layer nor pool, the model's own output: CLIP's
  /// image_embeds, SigLIP's pooler_output, the class token after the last norm for DINOv2 and Hugging Face's
  /// ViT (whose tanh pooler is not used), forward_head(pre_logits=True) for timm, encode_image for OpenCLIP.
  ///
  /// With a layer or a pool, [n, width]: hidden_state(layer) (default: the last) through the last norm of the
  /// model, then the class token (default) or the mean of the patch tokens; no projection. CLIP's last norm
  /// is post_layernorm, which transformers applies to the class token alone; timm's may be fc_norm.
  Tensor embed(const Tensor& pixels, std::optional<int64_t> layer = {}, std::optional<Pool> pool = {},
               const AfterEach& after_each = {}) const;

  /// [n, tokens, width] float32: transformers' hidden_states[k] (0: what enters the first block, after
  /// norm_pre; k: after block k; no final norm).
  Tensor hidden_state(const Tensor& pixels, int64_t k, const AfterEach& after_each = {}) const;

  /// The same of several, side by side: [n, tokens, width * layers].
  Tensor hidden_states(std::string_view operation, const Tensor& pixels, std::span<const int64_t> layers) const;

  /// [n, patches, width] float32, class and register tokens left out: hidden_state(layer) as it stands;
  /// without a layer the last one through the last norm (CLIP: post_layernorm over all patches, while
  /// transformers' last_hidden_state has none).
  Tensor patch_tokens(const Tensor& pixels, std::optional<int64_t> layer = {},
                      const AfterEach& after_each = {}) const;

  /// Throws std::invalid_argument for pixels that the tower does not take.
  void check_pixels(std::string_view operation, const Tensor& pixels) const;
  /// The same for the class token of a model that has none.
  void check_pool(std::optional<Pool> pool) const;
  /// [n, width]: hidden states [n, tokens, width] through the last norm, then the class token or the mean of
  /// the patches.
  Tensor pooled_layer(const Tensor& hidden, std::optional<Pool> pool) const;
  /// [n, patches, width]: hidden states without class and register tokens, through the last norm if asked.
  Tensor patches_of_layer(const Tensor& hidden, bool normed) const;

  /// What is added to the tokens of a picture of this size, [tokens, width] float32; see position_rows.
  Tensor positions_for(int64_t height, int64_t width) const;

 private:
  VisionTower(VisionConfig config, Device device, DType dtype)
      : config_(std::move(config)), device_(device), compute_dtype_(dtype), dtype_(scalar_type(dtype)) {}

  int64_t checked_layer(std::string_view operation, std::optional<int64_t> layer) const;
  Tensor embeddings(const Tensor& pixels, const Tensor& positions) const;
  Tensor hidden(const Tensor& pixels, const Tensor& positions, int64_t k) const;
  Tensor pooled(const Tensor& last) const;
  std::string blame(const Tensor& pixels, const Tensor& positions) const;
  Tensor run(std::string_view operation, const Tensor& pixels, const AfterEach& after_each,
             std::vector<int64_t> row, const std::function<Tensor(const Tensor&, const Tensor&)>& rows) const;

  VisionConfig config_;
  VisionWeights weights_;
  Device device_;
  DType compute_dtype_;
  at::ScalarType dtype_;
  int64_t image_height_ = 0, image_width_ = 0;  ///< the usual size of a picture
  Tensor positions_;                            ///< for that size
};

}  // namespace unisim
