#pragma once

#include <unisim/tensor.h>

#include "blocks.h"
#include "config.h"

namespace unisim {

struct AttentionPoolWeights {
  Tensor probe;         ///< [1, width]
  Linear qkv;           ///< [3 width, width]: query of the probe, key and value of the tokens
  Norm q_norm, k_norm;  ///< [width / heads], with qk_norm alone
  Linear proj;
  Norm norm;
  Linear fc1, fc2;
};

/// [n, width] of [n, tokens, width]: transformers' SiglipMultiheadAttentionPoolingHead and timm's
/// AttentionPoolLatent with one latent.
Tensor run_attention_pool(const AttentionPoolConfig& config, const AttentionPoolWeights& pool,
                          const Tensor& tokens);

}  // namespace unisim
