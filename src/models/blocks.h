#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <vector>

#include "config.h"

/// Pre-norm transformer blocks in LibTorch operations: the plain executor, and the oracle of any other.
namespace unisim {

struct Linear {
  Tensor weight;  ///< [out, in]
  Tensor bias;    ///< [out], or undefined: none
};

struct Norm {
  Tensor weight, bias;  ///< [width]; undefined: there is no norm
  double eps = 1e-5;
};

struct BlockWeights {
  Norm norm1;
  Linear qkv;           ///< [3 heads head_width, width]: query, key, value
  Norm q_norm, k_norm;  ///< [head_width], with qk_norm alone
  Linear proj;
  Tensor scale1;  ///< [width], with layer_scale alone
  Norm norm2;
  Linear fc1;  ///< [mlp_width, width]; SwiGluPacked: [2 mlp_width, width], gate first
  Linear fc2;
  Tensor scale2;
};

using BlocksWeights = std::vector<BlockWeights>;

Tensor run_linear(const Linear& linear, const Tensor& x);
/// The input itself where there is no norm.
Tensor run_norm(const Norm& norm, const Tensor& x);
Tensor run_activation(Activation activation, const Tensor& x);

/// softmax(q k^T / sqrt(head width)) v over [n, heads, tokens, head width]. The mask [n, 1, 1, keys], bool,
/// true where a key may be seen, may be undefined.
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, const Tensor& mask);

/// One block of [n, tokens, width]. visible: [n, tokens] bool, true where a token may be seen; undefined:
/// all.
Tensor run_block(const BlocksConfig& config, const BlockWeights& block, const Tensor& x,
                 const Tensor& visible = {});

}  // namespace unisim
