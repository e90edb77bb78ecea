#include "fused_encoder_of.h"

namespace unisim {
namespace {

constexpr int64_t kSlice = 64;  // pictures: the residual stream of ViT-L/14 then is 34 MB

}  // namespace

std::unique_ptr<FusedEncoder> fused_on_cuda(const VisionTower* vision, const TextTower* text, DType dtype,
                                            bool batch_invariant) {
  switch (dtype) {
    case DType::Float32:
      return std::make_unique<FusedEncoderOn<Cuda, float>>(vision, text, kSlice, batch_invariant);
    case DType::BFloat16:
      return std::make_unique<FusedEncoderOn<Cuda, bf16>>(vision, text, kSlice, batch_invariant);
    case DType::Float16:
      return std::make_unique<FusedEncoderOn<Cuda, f16>>(vision, text, kSlice, batch_invariant);
  }
  throw std::logic_error("[fused_on_cuda] unknown dtype");
}

}  // namespace unisim
