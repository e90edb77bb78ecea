#include "models/blocks.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include "models/attention_pool.h"
#include "tiny_model.h"

using namespace unisim;
using namespace unisim::test;

namespace {

using Sees = std::function<bool(int64_t i, int64_t j)>;

Grid2 heads_in_double(const Grid2& q, const Grid2& k, const Grid2& v, int64_t heads, const Norm& q_norm,
                      const Norm& k_norm, const Sees& sees) {
  Grid2 out(q.rows, q.columns);
  const int64_t width = q.columns / heads;
  for (int64_t h = 0; h < heads; ++h) {
    const Grid2 head = attention_in_double(norm_in_double(q_norm, columns_of(q, h * width, width)),
                                           norm_in_double(k_norm, columns_of(k, h * width, width)),
                                           columns_of(v, h * width, width), sees);
    for (int64_t r = 0; r < out.rows; ++r)
      for (int64_t c = 0; c < width; ++c) out.at(r, h * width + c) = head.at(r, c);
  }
  return out;
}

void add_scaled(Grid2& x, const Grid2& more, const Tensor& scale) {
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < x.columns; ++c)
      x.at(r, c) += more.at(r, c) * (scale.defined() ? scale[c].item<double>() : 1);
}

/// x += scale1 attention(norm1 x); x += scale2 feed_forward(norm2 x), on one sequence.
Grid2 block_in_double(const BlocksConfig& config, const BlockWeights& block, Grid2 x, const Sees& sees) {
  const int64_t inner = config.heads * config.head_width;
  const Grid2 qkv = linear_in_double(block.qkv, norm_in_double(block.norm1, x));
  const Grid2 heads =
      heads_in_double(columns_of(qkv, 0, inner), columns_of(qkv, inner, inner),
                      columns_of(qkv, 2 * inner, inner), config.heads, block.q_norm, block.k_norm, sees);
  add_scaled(x, linear_in_double(block.proj, heads), block.scale1);
  Grid2 hidden = linear_in_double(block.fc1, norm_in_double(block.norm2, x));
  if (config.feed_forward == FeedForward::SwiGluPacked) {
    const Grid2 gate = columns_of(hidden, 0, config.mlp_width);
    hidden = columns_of(hidden, config.mlp_width, config.mlp_width);
    for (std::size_t i = 0; i < hidden.values.size(); ++i)
      hidden.values[i] *= activation_in_double(Activation::Silu, gate.values[i]);
  } else {
    for (double& value : hidden.values) value = activation_in_double(config.activation, value);
  }
  add_scaled(x, linear_in_double(block.fc2, hidden), block.scale2);
  return x;
}

Norm drawn_norm(int64_t width, uint64_t seed, double eps) {
  return {random_tensor({width}, seed, 0.3, 1), random_tensor({width}, seed + 1, 0.3), eps};
}

Linear drawn_linear(int64_t out, int64_t in, uint64_t seed, bool bias) {
  return {random_tensor({out, in}, seed, 1.2 / std::sqrt(static_cast<double>(in))),
          bias ? random_tensor({out}, seed + 1, 0.3) : Tensor()};
}

BlockWeights drawn_block(const BlocksConfig& c, uint64_t seed) {
  BlockWeights block;
  const int64_t inner = c.heads * c.head_width, halves = c.feed_forward == FeedForward::Mlp ? 1 : 2;
  block.norm1 = drawn_norm(c.width, seed, c.eps);
  block.qkv = drawn_linear(3 * inner, c.width, seed + 10, c.qkv_bias);
  if (c.qk_norm) block.q_norm = drawn_norm(c.head_width, seed + 20, c.eps);
  if (c.qk_norm) block.k_norm = drawn_norm(c.head_width, seed + 30, c.eps);
  block.proj = drawn_linear(c.width, inner, seed + 40, c.proj_bias);
  block.norm2 = drawn_norm(c.width, seed + 50, c.eps);
  block.fc1 = drawn_linear(halves * c.mlp_width, c.width, seed + 60, c.mlp_bias);
  block.fc2 = drawn_linear(c.width, c.mlp_width, seed + 70, c.mlp_bias);
  if (c.layer_scale) block.scale1 = random_tensor({c.width}, seed + 80, 0.4, 0.7);
  if (c.layer_scale) block.scale2 = random_tensor({c.width}, seed + 90, 0.4, 0.7);
  return block;
}

/// Sums of at most 40 terms of about one in float32: 40 * 6e-8, and some for the exponentials.
constexpr double tolerance = 5e-6;

void check_block(const BlocksConfig& config, uint64_t seed) {
  const BlockWeights block = drawn_block(config, seed);
  const Tensor x = random_tensor({2, 9, config.width}, seed + 7);
  const Tensor out = run_block(config, block, x);
  const Sees sees = [&](int64_t i, int64_t j) { return !config.causal || j <= i; };
  for (int64_t n = 0; n < 2; ++n)
    CHECK(worst(out[n], block_in_double(config, block, grid_of_tensor(x[n]), sees)) < tolerance);
}

const BlocksConfig plain = {
    .width = 12, .layers = 1, .heads = 2, .head_width = 6, .mlp_width = 20, .eps = 1e-3};

}  // namespace

TEST_CASE("a block adds attention, then a feed-forward layer, each of the normalised input") {
  check_block(plain, 1);
}

TEST_CASE("every activation is the function of its name") {
  for (const Activation activation :
       {Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu, Activation::Relu}) {
    BlocksConfig config = plain;
    config.activation = activation;
    check_block(config, 2);
    // Far out, and where erf and its approximation differ most.
    const Tensor x = at::tensor({-9.f, -2.2f, -0.5f, 0.f, 0.5f, 2.2f, 9.f});
    const Tensor y = run_activation(activation, x);
    for (int64_t i = 0; i < x.size(0); ++i)
      CHECK(y[i].item<double>() ==
            Approx(activation_in_double(activation, x[i].item<double>())).margin(2e-6));
  }
}

TEST_CASE("the gate of a packed SwiGLU is its first half") {
  BlocksConfig config = plain;
  config.feed_forward = FeedForward::SwiGluPacked;
  check_block(config, 3);
}

TEST_CASE("heads may be wider than their share, and biases may be missing") {
  BlocksConfig config = plain;
  config.head_width = 9;
  config.qkv_bias = config.proj_bias = config.mlp_bias = false;
  check_block(config, 4);
}

TEST_CASE("queries and keys are normalised per head, branches scaled per channel, where the model says so") {
  BlocksConfig config = plain;
  config.qk_norm = config.layer_scale = true;
  check_block(config, 5);
}

TEST_CASE("a causal token sees itself and what is before it") {
  BlocksConfig config = plain;
  config.causal = true;
  check_block(config, 6);
}

TEST_CASE("hidden tokens change nobody, with and without the causal rule") {
  for (const bool causal : {false, true}) {
    BlocksConfig config = plain;
    config.causal = causal;
    const BlockWeights block = drawn_block(config, 7);
    const Tensor x = random_tensor({1, 9, 12}, 8);
    const Tensor visible = at::ones({1, 9}, at::TensorOptions().dtype(at::kBool));
    visible[0].slice(0, 5).fill_(false);
    const Tensor out = run_block(config, block, x, visible);
    const Sees sees = [&](int64_t i, int64_t j) { return j < 5 && (!causal || j <= i); };
    CHECK(worst(out[0], block_in_double(config, block, grid_of_tensor(x[0]), sees)) < tolerance);
  }
}

TEST_CASE("attention pooling asks all tokens with one probe, and adds a feed-forward layer of the answer") {
  for (const bool qk_norm : {false, true}) {
    const AttentionPoolConfig config = {.heads = 3,
                                        .mlp_width = 17,
                                        .activation = Activation::GeluTanh,
                                        .eps = 1e-3,
                                        .qkv_bias = !qk_norm,
                                        .qk_norm = qk_norm};
    AttentionPoolWeights pool;
    pool.probe = random_tensor({1, 12}, 1);
    pool.qkv = drawn_linear(36, 12, 2, config.qkv_bias);
    if (qk_norm) pool.q_norm = drawn_norm(4, 3, config.eps), pool.k_norm = drawn_norm(4, 5, config.eps);
    pool.proj = drawn_linear(12, 12, 7, true);
    pool.norm = drawn_norm(12, 9, config.eps);
    pool.fc1 = drawn_linear(17, 12, 11, true);
    pool.fc2 = drawn_linear(12, 17, 13, true);
    const Tensor tokens = random_tensor({2, 8, 12}, 15);
    const Tensor out = run_attention_pool(config, pool, tokens);
    for (int64_t n = 0; n < 2; ++n) {
      const Grid2 q = columns_of(linear_in_double(pool.qkv, grid_of_tensor(pool.probe)), 0, 12);
      const Grid2 kv = columns_of(linear_in_double(pool.qkv, grid_of_tensor(tokens[n])), 12, 24);
      const Sees all = [](int64_t, int64_t) { return true; };
      Grid2 x = linear_in_double(pool.proj, heads_in_double(q, columns_of(kv, 0, 12), columns_of(kv, 12, 12),
                                                            3, pool.q_norm, pool.k_norm, all));
      Grid2 hidden = linear_in_double(pool.fc1, norm_in_double(pool.norm, x));
      for (double& value : hidden.values) value = activation_in_double(config.activation, value);
      add_scaled(x, linear_in_double(pool.fc2, hidden), Tensor());
      CHECK(worst(out[n], x) < tolerance);
    }
  }
}
