#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "text_tower.h"
#include "vision_tower.h"

/// The executor `fused`: towers as calls of the library's own kernels.
namespace unisim {

/// The towers of a model on a place. Threads take turns.
class FusedEncoder {
 public:
  virtual ~FusedEncoder() = default;

  /// Whether pictures of this size have positions at hand; others are for the `aten` executor.
  virtual bool serves(int64_t height, int64_t width) const = 0;
  /// [n, dim] float32 on the CPU, not normalised, as VisionTower::embed: of pixels [n, channels, height,
  /// width].
  virtual Tensor embed_pixels(const Tensor& pixels) = 0;
  /// [n, tokens, width] float32 on the CPU, as VisionTower::hidden_state.
  virtual Tensor hidden_state(const Tensor& pixels, int64_t layer) = 0;
  /// [n, dim] float32 on the CPU, as TextTower::embed: of ids [n, length] int64, checked by the caller.
  virtual Tensor embed_tokens(const Tensor& ids) = 0;
  /// Items that are computed at once, at most. While a slice computes the next is staged: calls had better
  /// bring several.
  virtual int64_t slice() const = 0;
  /// Bytes of the place's memory that the weights take.
  virtual std::size_t weight_bytes() const = 0;
};

/// Why the kernels cannot run a stack of blocks; "" if they can.
std::string fused_refusal(const BlocksConfig& blocks);
std::string fused_refusal(const ModelConfig& model);

/// The towers (float32, on the CPU; null: there is none) on the CUDA device that is current. Throws
/// OutOfMemory.
std::unique_ptr<FusedEncoder> fused_on_cuda(const VisionTower* vision, const TextTower* text, DType dtype,
                                            bool batch_invariant);

}  // namespace unisim
