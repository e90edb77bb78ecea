#pragma once

#include <unisim/encoder.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "models/config.h"
#include "models/fused_encoder.h"
#include "models/text_input.h"
#include "models/text_tower.h"
#include "models/vision_tower.h"

namespace unisim {

struct Encoder::State {
  std::string name;
  ModelConfig config;
  EncoderOptions options;
  int64_t parameters = 0;  ///< floating point numbers in the weights
  std::optional<VisionTower> vision;  ///< where `fused` is set: on the CPU in float32
  std::optional<TextTower> text;
  std::unique_ptr<FusedEncoder> fused;  ///< the executor that embeds; null: the towers do
  std::string fused_refused;            ///< why not, where it was asked for

  /// Throws std::invalid_argument where there is no such tower, or no such layer.
  const VisionTower& vision_for(const char* operation, const std::optional<int64_t>& layer = {}) const;
  const TextTower& text_for(const char* operation) const;
  /// Loaded when first asked for: most runs tokenise nothing.
  const TextInput& text_input() const;

  /// Items between two calls of progress.
  int64_t batch(const char* operation, int64_t asked) const;
  /// [n, 3, height, width] float32 on the CPU, to be filled picture by picture.
  Tensor room_for(int64_t pictures) const;
  /// Rows of pixels as the options ask.
  Tensor embed_pixels(const Tensor& pixels, const EmbedOptions& asked) const;
  /// Rows of ids [n, length] int64, not normalised.
  Tensor embed_ids(const Tensor& ids) const;
  /// [n, patches, width], as Encoder::patch_tokens.
  Tensor patches(const Tensor& pixels, std::optional<int64_t> layer) const;
  /// [n, width] float32: the class token after the last block, before the final norm; of a model that has
  /// one.
  Tensor class_tokens(const Tensor& pixels) const;
  /// No rows, of the width that embed would give.
  Tensor no_rows(const EmbedOptions& asked) const;

 private:
  Tensor fused_pixels(const Tensor& pixels, const EmbedOptions& asked) const;
  /// Hidden state `layer`, without one the last, by the executor.
  Tensor fused_hidden(const Tensor& pixels, std::optional<int64_t> layer) const;

  mutable std::mutex text_input_mutex_;
  mutable std::unique_ptr<const TextInput> text_input_;
};

/// As Encoder::load.
std::shared_ptr<const Encoder::State> load_encoder(const std::string& path_or_name,
                                                   const EncoderOptions& options);

/// Rows of length one; a zero row stays zero.
Tensor unit_rows(const Tensor& rows);
/// The parts under each other, or `otherwise` where there are none.
Tensor under_each_other(const std::vector<Tensor>& parts, const Tensor& otherwise);

}  // namespace unisim
