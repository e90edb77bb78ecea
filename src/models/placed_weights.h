#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "blocks.h"
#include "decoder.h"
#include "fused/decoder_block.h"
#include "fused/text.h"
#include "fused/vision.h"
#include "place_memory.h"
#include "text_tower.h"
#include "vision_tower.h"

namespace unisim {

/// The weights of a tower or a decoder on a place, as the kernels want them: rounded to T from float32 on the
/// host, LayerScale folded into the product before it, rows of a product at multiples of 16 bytes. Owns the
/// memory; on the CPU a product that is T already is used where it lies.
template <class P, class T>
class PlacedWeights {
 public:
  PlacedWeights(P place, bool batch_invariant) : place_(place), batch_invariant_(batch_invariant) {}

  FusedVisionWeights<T> vision(const VisionConfig& config, const VisionWeights& weights,
                               const Tensor& positions, int64_t height, int64_t width);
  FusedTextWeights<T> text(const TextWeights& weights);
  FusedDecoderBlock<T> decoder_block(const DecoderWeights::Block& block);

  /// With a scale [out] that multiplies what the product gives.
  FusedLinear<T> linear(const Linear& linear, const Tensor& scale = {});
  FusedNorm norm(const Norm& norm);
  const T* numbers(const Tensor& x);
  const float* floats(const Tensor& x);
  std::size_t bytes() const;

 private:
  FusedBlock<T> block(const BlockWeights& block);
  FusedAttentionPool<T> pool(const AttentionPoolConfig& config, const AttentionPoolWeights& pool);
  void* put(const void* host, std::size_t bytes);

  P place_;
  bool batch_invariant_;
  std::vector<Memory<P>> memory_;
  std::vector<Tensor> borrowed_;
};

}  // namespace unisim
