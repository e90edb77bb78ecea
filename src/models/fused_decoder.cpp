#include "fused_decoder.h"

#include <unisim/error.h>

#include <stdexcept>

#include "fused_decoder_of.h"

namespace unisim {

std::string fused_refusal(const DecoderConfig& config) {
  if (config.head_width % 8 != 0 || config.head_width > 128)
    return text_of("heads of ", config.head_width, " numbers: the kernels take multiples of 8 up to 128");
  return "";
}

std::unique_ptr<const FusedDecoder> fused_on_cpu(const DecoderConfig& config, const DecoderWeights& weights,
                                                 DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return std::make_unique<const FusedDecoderOn<Cpu, float>>(config, weights);
    case DType::BFloat16:
      return std::make_unique<const FusedDecoderOn<Cpu, bf16>>(config, weights);
    case DType::Float16:
      return std::make_unique<const FusedDecoderOn<Cpu, f16>>(config, weights);
  }
  throw std::logic_error("[fused_on_cpu] unknown dtype");
}

}  // namespace unisim
