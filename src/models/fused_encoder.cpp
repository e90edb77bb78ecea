#include "fused_encoder.h"

#include <unisim/error.h>

namespace unisim {

std::string fused_refusal(const BlocksConfig& blocks) {
  if (blocks.head_width % 8 != 0 || blocks.head_width > 128)
    return text_of("heads of ", blocks.head_width, " numbers: the kernels take multiples of 8 up to 128");
  return "";
}

std::string fused_refusal(const ModelConfig& model) {
  if (model.vision) {
    if (const std::string why = fused_refusal(model.vision->blocks); !why.empty()) return why;
    if (model.vision->attention_pool) {
      BlocksConfig pool;
      pool.head_width = model.vision->blocks.width / model.vision->attention_pool->heads;
      if (const std::string why = fused_refusal(pool); !why.empty()) return "the attention pool has " + why;
    }
  }
  if (model.text) {
    if (const std::string why = fused_refusal(model.text->blocks); !why.empty()) return why;
    if (model.text->pad_mask) return "texts hide their padding from attention";
  }
  return "";
}

}  // namespace unisim
