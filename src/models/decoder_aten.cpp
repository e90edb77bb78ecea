#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "decoder_plan.h"
#include "decoder_run.h"

/// A decoder's blocks in LibTorch operations.
namespace unisim {
namespace {

// The hidden layer of so many rows at once: it is the widest of all, and a prompt may have ten thousand rows.
constexpr int64_t mlp_rows = 1'024;

/// Computed in float32 and rounded before the weight, as transformers does.
Tensor rms(const Norm& norm, const Tensor& x) {
  const bool narrow = x.scalar_type() != at::kFloat;
  const Tensor wide = narrow ? x.to(at::kFloat) : x;
  Tensor scale = at::linalg_vector_norm(wide, 2, at::IntArrayRef{-1}, true);
  scale.square_().mul_(1.0 / static_cast<double>(x.size(-1))).add_(norm.eps).rsqrt_();
  if (!narrow) return wide.mul(scale).mul_(norm.weight);
  return wide.mul_(scale).to(x.scalar_type()).mul_(norm.weight);
}

/// The linear layer's rows [first, first + count).
Linear rows_of(const Linear& linear, int64_t first, int64_t count) {
  const Tensor bias = linear.bias.defined() ? linear.bias.narrow(0, first, count) : Tensor();
  return {linear.weight.narrow(0, first, count), bias};
}

/// x += linear(y), in place where x is the run's own.
Tensor add_linear(const Tensor& x, const Linear& linear, const Tensor& y, bool own) {
  Tensor sum = x;
  if (own) {
    sum.addmm_(y, linear.weight.t());
  } else {
    sum = x.addmm(y, linear.weight.t());
  }
  return linear.bias.defined() ? sum.add_(linear.bias) : sum;
}

/// x [rows, heads, head_width], number i of a head paired with number i + head_width / 2.
Tensor rotated(const Tensor& x, const Angles& angles) {
  const int64_t half = x.size(2) / 2;
  const Tensor out = at::empty(x.sizes(), x.options());
  const Tensor a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  Tensor first = out.narrow(2, 0, half), second = out.narrow(2, half, half);
  at::mul_out(first, a, angles.cosine).addcmul_(b, angles.sine, -1);
  at::mul_out(second, b, angles.cosine).addcmul_(a, angles.sine);
  return out;
}

/// [1, heads, rows, width] of [rows, heads, width].
Tensor by_head(const Tensor& x) { return x.transpose(0, 1).unsqueeze(0); }

/// What some rows see of some keys, and the logarithm of the sum that it was divided by: such parts can be
/// merged.
struct Seen {
  Tensor out;  ///< [rows, heads, width]
  Tensor sum;  ///< [rows, heads, 1] float32
};

/// By plain products, where there is no operation that tells the sum.
Seen seen_plainly(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  const int64_t groups = k.size(1), rows = q.size(2), width = q.size(3);
  const Tensor grouped = q.view({1, groups, q.size(1) / groups, rows, width});
  Tensor scores = grouped.matmul(k.unsqueeze(2).transpose(3, 4)).to(at::kFloat);
  scores.div_(std::sqrt(static_cast<double>(width)));
  if (causal)
    scores.masked_fill_(at::ones({rows, rows}, scores.options().dtype(at::kBool)).triu_(1), -INFINITY);
  const Tensor sum = at::logsumexp(scores, {-1}, true);
  const Tensor out = scores.sub_(sum).exp_().to(v.scalar_type()).matmul(v.unsqueeze(2));
  return {out.reshape({q.size(1), rows, width}).transpose(0, 1),
          sum.reshape({q.size(1), rows, 1}).transpose(0, 1)};
}

/// q [1, heads, rows, width]; k, v [1, kv_heads, keys, width]. `alone`: the sum is not asked for.
Seen seen(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, bool alone) {
  // The operation behind scaled_dot_product_attention on the CPU, which takes grouped heads as they are.
  if (q.is_cpu()) {
    const auto [out, sum] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0, causal);
    return {out[0].transpose(0, 1), sum[0].t().unsqueeze(2)};
  }
  if (!alone) return seen_plainly(q, k, v, causal);
  return {at::scaled_dot_product_attention(q, k, v, {}, 0, causal, std::nullopt, true)[0].transpose(0, 1),
          {}};
}

/// into = both parts as if the keys had been seen at once.
void merge(const Seen& into, const Seen& more) {
  const Tensor sum = into.sum.logaddexp(more.sum);
  const Tensor before = into.sum.sub(sum).exp_(), added = more.sum.sub(sum).exp_();
  into.out.copy_(into.out.mul(before).add_(more.out.mul(added)));
  into.sum.copy_(sum);
}

struct Heads {
  Tensor q;     ///< [finished rows, heads, width]
  Tensor k, v;  ///< [rows, kv_heads, width]
};

Seen seen_part(const SeenKeys& part, const Heads& heads, std::size_t layer, bool alone) {
  const Tensor q = by_head(heads.q.narrow(0, part.query, part.queries));
  if (part.kept)
    return seen(q, part.kept->keys[layer].narrow(2, part.key, part.keys),
                part.kept->values[layer].narrow(2, part.key, part.keys), part.causal, alone);
  return seen(q, by_head(heads.k.narrow(0, part.key, part.keys)),
              by_head(heads.v.narrow(0, part.key, part.keys)), part.causal, alone);
}

/// [finished rows, heads * width].
Tensor attention(const AttentionPlan& plan, const Heads& heads, std::size_t layer) {
  const bool alone = plan.more.empty();
  const int64_t rows = heads.q.size(0), count = heads.q.size(1);
  if (alone && plan.own.size() == 1)
    return seen_part(plan.own.front(), heads, layer, true).out.reshape({rows, -1});
  const Seen whole{at::empty(heads.q.sizes(), heads.q.options()),
                   alone ? Tensor() : at::empty({rows, count, 1}, heads.q.options().dtype(at::kFloat))};
  const auto of = [&](const SeenKeys& part) {
    return Seen{whole.out.narrow(0, part.query, part.queries),
                alone ? Tensor() : whole.sum.narrow(0, part.query, part.queries)};
  };
  for (const SeenKeys& part : plan.own) {
    const Seen found = seen_part(part, heads, layer, alone);
    of(part).out.copy_(found.out);
    if (!alone) of(part).sum.copy_(found.sum);
  }
  for (const SeenKeys& part : plan.more) merge(of(part), seen_part(part, heads, layer, false));
  return whole.out.view({rows, -1});
}

/// Rows of x in rising order.
Tensor rows_at(const Tensor& x, const std::vector<int64_t>& rows) {
  const int64_t count = std::ssize(rows);
  if (count == 0) return x.narrow(0, 0, 0);
  if (rows.back() - rows.front() + 1 == count) return x.narrow(0, rows.front(), count);
  return x.index_select(0, at::tensor(rows, at::kLong).to(x.device()));
}

/// Block after block.
struct Blocks {
  const DecoderConfig& config;
  std::span<const Appended> appended;
  Angles angles;

  Tensor normed_heads(const Norm& norm, const Tensor& product, int64_t heads, const Angles& at) const {
    const Tensor x = product.view({product.size(0), heads, config.head_width});
    return rotated(norm.weight.defined() ? rms(norm, x) : x, at);
  }

  Heads heads(const DecoderWeights::Block& block, const Tensor& normed, const AttentionPlan& plan) const {
    const int64_t inner = config.inner(), keys = config.kv_heads * config.head_width;
    Heads all;
    Tensor q, kv;
    Angles at = angles;
    if (std::ssize(plan.rows) == normed.size(0)) {
      const Tensor product = run_linear(block.qkv, normed);
      q = product.narrow(1, 0, inner), kv = product.narrow(1, inner, 2 * keys);
    } else {
      q = run_linear(rows_of(block.qkv, 0, inner), rows_at(normed, plan.rows));
      kv = run_linear(rows_of(block.qkv, inner, 2 * keys), normed);
      at = {rows_at(angles.cosine, plan.rows), rows_at(angles.sine, plan.rows)};
    }
    all.q = normed_heads(block.q_norm, q, config.heads, at);
    all.k = normed_heads(block.k_norm, kv.narrow(1, 0, keys), config.kv_heads, angles);
    all.v = kv.narrow(1, keys, keys).view({kv.size(0), config.kv_heads, config.head_width});
    return all;
  }

  void append(const Heads& heads, std::size_t layer) const {
    for (const Appended& one : appended) {
      one.into->keys[layer].narrow(2, one.at, one.rows).copy_(by_head(heads.k.narrow(0, one.row, one.rows)));
      one.into->values[layer]
          .narrow(2, one.at, one.rows)
          .copy_(by_head(heads.v.narrow(0, one.row, one.rows)));
    }
  }

  void feed_forward(const DecoderWeights::Block& block, const Tensor& x) const {
    for (int64_t first = 0; first < x.size(0); first += mlp_rows) {
      const Tensor rows = x.narrow(0, first, std::min(mlp_rows, x.size(0) - first));
      const Tensor hidden = run_linear(block.gate_up, rms(block.norm2, rows));
      const Tensor gate = hidden.narrow(1, 0, config.mlp_width);
      const Tensor up = hidden.narrow(1, config.mlp_width, config.mlp_width);
      add_linear(rows, block.down, at::silu(gate).mul_(up), true);
    }
  }

  /// The plan's rows after the block. `own`: x may be written to.
  Tensor block(const DecoderWeights::Block& weights, std::size_t layer, const Tensor& x,
               const AttentionPlan& plan, bool own) const {
    const Heads all = heads(weights, rms(weights.norm1, x), plan);
    append(all, layer);
    if (plan.rows.empty()) return x.narrow(0, 0, 0);
    const Tensor y = add_linear(rows_at(x, plan.rows), weights.proj, attention(plan, all, layer), own);
    feed_forward(weights, y);
    return y;
  }
};

}  // namespace

Tensor run_aten(const DecoderConfig& config, const DecoderWeights& weights, const DecoderRun& run) {
  const Blocks blocks{config, run.appended, run.angles};
  const AttentionPlan all = plan_of_all(run.stretches), last = plan_of_wanted(run.stretches, run.wanted);
  Tensor rows = run.x;
  for (std::size_t i = 0; i < weights.blocks.size(); ++i)
    rows = blocks.block(weights.blocks[i], i, rows, i + 1 < weights.blocks.size() ? all : last, i > 0);
  std::vector<int64_t> picked;
  for (const int64_t row : run.wanted)
    picked.push_back(std::lower_bound(last.rows.begin(), last.rows.end(), row) - last.rows.begin());
  return rms(weights.norm, rows_at(rows, picked));
}

}  // namespace unisim
