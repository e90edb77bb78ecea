#include "attention_pool.h"

namespace unisim {

Tensor run_attention_pool(const AttentionPoolConfig& config, const AttentionPoolWeights& pool,
                          const Tensor& tokens) {
  const int64_t n = tokens.size(0), count = tokens.size(1), width = tokens.size(2);
  const auto rows = [&](int64_t first, int64_t last) {
    return Linear{pool.qkv.weight.slice(0, first, last),
                  pool.qkv.bias.defined() ? pool.qkv.bias.slice(0, first, last) : Tensor()};
  };
  const int64_t head_width = width / config.heads;
  const Tensor q =
      run_linear(rows(0, width), pool.probe).view({1, 1, config.heads, head_width}).transpose(1, 2);
  const Tensor kv = run_linear(rows(width, 3 * width), tokens)
                        .view({n, count, 2, config.heads, head_width})
                        .permute({2, 0, 3, 1, 4});
  const Tensor heads = attend(run_norm(pool.q_norm, q).expand({n, config.heads, 1, head_width}),
                              run_norm(pool.k_norm, kv[0]), kv[1], false, {});
  const Tensor x = run_linear(pool.proj, heads.transpose(1, 2).reshape({n, width}));
  const Tensor hidden = run_activation(config.activation, run_linear(pool.fc1, run_norm(pool.norm, x)));
  return x.add(run_linear(pool.fc2, hidden));
}

}  // namespace unisim
