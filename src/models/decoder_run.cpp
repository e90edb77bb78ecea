#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "decoder.h"
#include "decoder_plan.h"
#include "each_item.h"
#include "not_finite.h"

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

struct Angles {
  Tensor cosine, sine;  ///< [rows, 1, head_width / 2]
};

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

/// What some rows see of some keys, and the logarithm of the sum that it was divided by: such parts can be merged.
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
  if (causal) scores.masked_fill_(at::ones({rows, rows}, scores.options().dtype(at::kBool)).triu_(1), -INFINITY);
  const Tensor sum = at::logsumexp(scores, {-1}, true);
  const Tensor out = scores.sub_(sum).exp_().to(v.scalar_type()).matmul(v.unsqueeze(2));
  return {out.reshape({q.size(1), rows, width}).transpose(0, 1), sum.reshape({q.size(1), rows, 1}).transpose(0, 1)};
}

/// q [1, heads, rows, width]; k, v [1, kv_heads, keys, width]. `alone`: the sum is not asked for.
Seen seen(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, bool alone) {
  // The operation behind scaled_dot_product_attention on the CPU, which takes grouped heads as they are.
  if (q.is_cpu()) {
    const auto [out, sum] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0, causal);
    return {out[0].transpose(0, 1), sum[0].t().unsqueeze(2)};
  }
  if (!alone) return seen_plainly(q, k, v, causal);
  return {at::scaled_dot_product_attention(q, k, v, {}, 0, causal, std::nullopt, true)[0].transpose(0, 1), {}};
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
  return seen(q, by_head(heads.k.narrow(0, part.key, part.keys)), by_head(heads.v.narrow(0, part.key, part.keys)),
              part.causal, alone);
}

/// [finished rows, heads * width].
Tensor attention(const AttentionPlan& plan, const Heads& heads, std::size_t layer) {
  const bool alone = plan.more.empty();
  const int64_t rows = heads.q.size(0), count = heads.q.size(1);
  if (alone && plan.own.size() == 1) return seen_part(plan.own.front(), heads, layer, true).out.reshape({rows, -1});
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

/// Where a stretch's keys go.
struct Appended {
  KeysValues* into = nullptr;
  int64_t at = 0;              ///< in the room
  int64_t row = 0, rows = 0;   ///< of the run
};

/// The last tensor's: it is the last to be made, should memory end on the way.
int64_t room_of(const KeysValues& kept) {
  return kept.values.empty() || !kept.values.back().defined() ? 0 : kept.values.back().size(2);
}

/// Room for what will be appended. Tokens are counted when the run has ended.
std::vector<Appended> make_room(const DecoderConfig& config, std::span<const Stretch> stretches,
                                const at::TensorOptions& options) {
  std::vector<Appended> all;
  int64_t row = 0;
  for (const Stretch& stretch : stretches) {
    if (stretch.into) {
      int64_t at = stretch.into->tokens;
      for (const Appended& other : all)
        if (other.into == stretch.into) at = other.at + other.rows;
      all.push_back({stretch.into, at, row, stretch.rows});
    }
    row += stretch.rows;
  }
  // From the last one on, since that needs the most of its room.
  for (auto found = all.rbegin(); found != all.rend(); ++found) {
    const Appended& one = *found;
    KeysValues& kept = *one.into;
    const int64_t needed = one.at + one.rows, full = room_of(kept);
    if (needed <= full) continue;
    const int64_t room = std::max(kept.reserve, full == 0 ? needed : needed + needed / 4 + 16);
    kept.keys.resize(static_cast<std::size_t>(config.layers));
    kept.values.resize(static_cast<std::size_t>(config.layers));
    for (std::vector<Tensor>* tensors : {&kept.keys, &kept.values})
      for (Tensor& tensor : *tensors) {
        const Tensor fresh = at::empty({1, config.kv_heads, room, config.head_width}, options);
        if (kept.tokens > 0) fresh.narrow(2, 0, kept.tokens).copy_(tensor.narrow(2, 0, kept.tokens));
        tensor = fresh;
      }
  }
  return all;
}

/// One run, block after block.
struct Run {
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
      one.into->values[layer].narrow(2, one.at, one.rows).copy_(by_head(heads.v.narrow(0, one.row, one.rows)));
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
  Tensor block(const DecoderWeights::Block& weights, std::size_t layer, const Tensor& x, const AttentionPlan& plan,
               bool own) const {
    const Heads all = heads(weights, rms(weights.norm1, x), plan);
    append(all, layer);
    if (plan.rows.empty()) return x.narrow(0, 0, 0);
    const Tensor y = add_linear(rows_at(x, plan.rows), weights.proj, attention(plan, all, layer), own);
    feed_forward(weights, y);
    return y;
  }
};

void check_kept(const DecoderConfig& config, const KeysValues& kept, bool long_factors) {
  const int64_t layers = std::ssize(kept.keys);
  require(layers == std::ssize(kept.values) && (layers == config.layers || (layers == 0 && kept.tokens == 0)),
          "[Decoder] kept keys are of ", layers, " blocks, the model has ", config.layers);
  require(kept.tokens == 0 || kept.long_factors == long_factors, "[Decoder] kept keys were rotated by ",
          kept.long_factors ? "long" : "short", " factors, the run is by the other");
}

void check_run(const DecoderConfig& config, const Tensor& x, std::span<const Stretch> stretches,
               std::span<const int64_t> wanted, bool long_factors) {
  require(x.dim() == 2 && x.size(1) == config.width, "[Decoder] rows are ", x.sizes(), ", expected [rows, ",
          config.width, "]");
  int64_t rows = 0;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    const Stretch& stretch = stretches[i];
    require(stretch.rows > 0, "[Decoder] stretch ", i, " has ", stretch.rows, " rows");
    require(stretch.position >= 0 && stretch.position + stretch.rows <= config.positions, "[Decoder] stretch ", i,
            " reaches to position ", stretch.position + stretch.rows, ", the model has ", config.positions);
    require(stretch.parent >= -1 && stretch.parent < static_cast<int64_t>(i), "[Decoder] stretch ", i,
            " has stretch ", stretch.parent, " as parent, expected one before it");
    if (stretch.behind) check_kept(config, *stretch.behind, long_factors);
    if (stretch.into) check_kept(config, *stretch.into, long_factors);
    rows += stretch.rows;
  }
  require(rows == x.size(0), "[Decoder] the stretches have ", rows, " rows, ", x.size(0), " are given");
  for (std::size_t i = 0; i < wanted.size(); ++i)
    require(wanted[i] < rows && wanted[i] > (i == 0 ? -1 : wanted[i - 1]), "[Decoder] row ", wanted[i],
            " is wanted, expected rising numbers below ", rows);
}

/// As transformers has them: the product with the position in float32, cosine and sine rounded to the model's type.
Angles angles_of(std::span<const Stretch> stretches, const Tensor& frequencies, double scale, const Tensor& like) {
  std::vector<float> positions;
  for (const Stretch& stretch : stretches)
    for (int64_t i = 0; i < stretch.rows; ++i) positions.push_back(static_cast<float>(stretch.position + i));
  const Tensor at = at::tensor(positions, at::kFloat).to(frequencies.device());
  const Tensor angle = at.view({-1, 1, 1}).mul(frequencies);
  return {angle.cos().mul_(scale).to(like.scalar_type()), angle.sin().mul_(scale).to(like.scalar_type())};
}

}  // namespace

Tensor Decoder::run(const Tensor& x, std::span<const Stretch> stretches, std::span<const int64_t> wanted,
                    bool long_factors) const {
  long_factors = long_factors && long_frequencies_.defined();
  check_run(config_, x, stretches, wanted, long_factors);
  // The result is an ordinary tensor; everything before is not.
  const Tensor result = at::empty({std::ssize(wanted), config_.width}, x.options().dtype(scalar_type(dtype_)));
  if (x.size(0) == 0) return result;
  const c10::InferenceMode inference;
  Tensor rows = x.to(device_, scalar_type(dtype_));
  const std::vector<Appended> appended = make_room(config_, stretches, rows.options());
  const Tensor& frequencies = long_factors ? long_frequencies_ : short_frequencies_;
  const Run run{config_, appended, angles_of(stretches, frequencies, config_.rotary.scale, rows)};
  const AttentionPlan all = plan_of_all(stretches), last = plan_of_wanted(stretches, wanted);
  for (std::size_t i = 0; i < weights_.blocks.size(); ++i)
    rows = run.block(weights_.blocks[i], i, rows, i + 1 < weights_.blocks.size() ? all : last, i > 0);
  std::vector<int64_t> picked;
  for (const int64_t row : wanted)
    picked.push_back(std::lower_bound(last.rows.begin(), last.rows.end(), row) - last.rows.begin());
  result.copy_(rms(weights_.norm, rows_at(rows, picked)));
  if (const int64_t bad = first_not_finite(result); bad >= 0)
    throw NotFinite(text_of("[Decoder] row ", wanted[static_cast<std::size_t>(bad)], " is not finite, computed in ",
                            name_of(dtype_)));
  for (const Appended& one : appended) {
    one.into->tokens = one.at + one.rows;
    one.into->long_factors = long_factors;
  }
  return result;
}

}  // namespace unisim
