#include "blocks.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include <stdexcept>

namespace unisim {
namespace {

Tensor attention(const BlocksConfig& config, const BlockWeights& block, const Tensor& x,
                 const Tensor& visible) {
  const int64_t n = x.size(0), tokens = x.size(1);
  const Tensor qkv =
      run_linear(block.qkv, x).view({n, tokens, 3, config.heads, config.head_width}).permute({2, 0, 3, 1, 4});
  const Tensor q = run_norm(block.q_norm, qkv[0]), k = run_norm(block.k_norm, qkv[1]);
  const Tensor mask = visible.defined() ? visible.view({n, 1, 1, tokens}) : Tensor();
  const Tensor heads = attend(q, k, qkv[2], config.causal, mask);
  return run_linear(block.proj, heads.transpose(1, 2).reshape({n, tokens, config.heads * config.head_width}));
}

Tensor feed_forward(const BlocksConfig& config, const BlockWeights& block, const Tensor& x) {
  Tensor hidden = run_linear(block.fc1, x);
  if (config.feed_forward == FeedForward::SwiGluPacked) {
    const std::vector<Tensor> halves = hidden.chunk(2, -1);
    hidden = at::silu(halves[0]).mul(halves[1]);
  } else {
    hidden = run_activation(config.activation, hidden);
  }
  return run_linear(block.fc2, hidden);
}

Tensor scaled(const Tensor& x, const Tensor& scale) { return scale.defined() ? x.mul(scale) : x; }

}  // namespace

Tensor run_linear(const Linear& linear, const Tensor& x) { return at::linear(x, linear.weight, linear.bias); }

Tensor run_norm(const Norm& norm, const Tensor& x) {
  if (!norm.weight.defined()) return x;
  return at::layer_norm(x, norm.weight.sizes(), norm.weight, norm.bias, norm.eps);
}

Tensor run_activation(Activation activation, const Tensor& x) {
  switch (activation) {
    case Activation::Gelu:
      return at::gelu(x);
    case Activation::GeluTanh:
      return at::gelu(x, "tanh");
    case Activation::QuickGelu:
      return x.mul(at::sigmoid(x.mul(1.702)));
    case Activation::Silu:
      return at::silu(x);
    case Activation::Relu:
      return at::relu(x);
  }
  throw std::logic_error("[run_activation] unknown activation");
}

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, const Tensor& mask) {
  if (!mask.defined()) return at::scaled_dot_product_attention(q, k, v, {}, 0.0, causal);
  Tensor seen = mask.expand({q.size(0), 1, q.size(2), k.size(2)});
  // The operation takes a mask or the causal rule, not both.
  if (causal) seen = seen.tril();
  return at::scaled_dot_product_attention(q, k, v, seen);
}

Tensor run_block(const BlocksConfig& config, const BlockWeights& block, const Tensor& x,
                 const Tensor& visible) {
  const Tensor attended = attention(config, block, run_norm(block.norm1, x), visible);
  const Tensor middle = x.add(scaled(attended, block.scale1));
  return middle.add(scaled(feed_forward(config, block, run_norm(block.norm2, middle)), block.scale2));
}

}  // namespace unisim
