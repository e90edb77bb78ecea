#pragma once

#include <unisim/error.h>

#include <type_traits>

#include "placed_weights.h"

/// The definitions of PlacedWeights, for the sources that instantiate them: one a place.
namespace unisim {

inline Tensor host_floats(const Tensor& x) { return x.detach().to(at::kCPU, at::kFloat).contiguous(); }

template <class T>
constexpr at::ScalarType kScalarOf = std::is_same_v<T, float>  ? at::kFloat
                                     : std::is_same_v<T, bf16> ? at::kBFloat16
                                                               : at::kHalf;

/// A product's rows as the CPU's kernels take them.
template <class T>
bool lies_ready(const Linear& linear) {
  const auto ready = [](const Tensor& x) {
    return !x.defined() || (x.is_cpu() && x.scalar_type() == kScalarOf<T> && x.is_contiguous());
  };
  return ready(linear.weight) && ready(linear.bias);
}

template <class P, class T>
void* PlacedWeights<P, T>::put(const void* host, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  memory_.emplace_back(place_, bytes);
  copy_in(place_, memory_.back().data(), host, bytes);
  return memory_.back().data();
}

template <class P, class T>
std::size_t PlacedWeights<P, T>::bytes() const {
  std::size_t sum = 0;
  for (const Memory<P>& memory : memory_) sum += memory.bytes();
  return sum;
}

template <class P, class T>
const float* PlacedWeights<P, T>::floats(const Tensor& x) {
  if (!x.defined()) return nullptr;
  const Tensor host = host_floats(x);
  return static_cast<const float*>(
      put(host.const_data_ptr<float>(), static_cast<std::size_t>(host.numel()) * 4));
}

template <class P, class T>
const T* PlacedWeights<P, T>::numbers(const Tensor& x) {
  if (!x.defined() || x.numel() == 0) return nullptr;
  const Tensor host = host_floats(x);
  const float* from = host.const_data_ptr<float>();
  std::vector<T> values(static_cast<std::size_t>(host.numel()));
  for (std::size_t k = 0; k < values.size(); ++k) values[k] = rounded<T>(from[k]);
  return static_cast<const T*>(put(values.data(), values.size() * sizeof(T)));
}

template <class P, class T>
FusedLinear<T> PlacedWeights<P, T>::linear(const Linear& linear, const Tensor& scale) {
  if (!linear.weight.defined()) return {};
  if (std::is_same_v<P, Cpu> && !scale.defined() && lies_ready<T>(linear)) {
    borrowed_.insert(borrowed_.end(), {linear.weight, linear.bias});
    const int64_t out = linear.weight.size(0), in = linear.weight.size(1);
    const auto* bias = linear.bias.defined() ? static_cast<const T*>(linear.bias.const_data_ptr()) : nullptr;
    return {{static_cast<const T*>(linear.weight.const_data_ptr()), out, in, in}, bias, batch_invariant_};
  }
  Tensor weight = host_floats(linear.weight);
  Tensor bias = linear.bias;
  if (scale.defined()) {
    const Tensor by = host_floats(scale);
    weight = weight.mul(by.unsqueeze(1)).contiguous();
    if (bias.defined()) bias = host_floats(bias).mul(by);
  }
  const int64_t out = weight.size(0), in = weight.size(1), per = 16 / static_cast<int64_t>(sizeof(T));
  const int64_t stride = ceil_div(in, per) * per;
  std::vector<T> rows(static_cast<std::size_t>(out * stride));
  const float* from = weight.template const_data_ptr<float>();
  for (int64_t i = 0; i < out; ++i)
    for (int64_t k = 0; k < in; ++k)
      rows[static_cast<std::size_t>(i * stride + k)] = rounded<T>(from[i * in + k]);
  const auto* data = static_cast<const T*>(put(rows.data(), rows.size() * sizeof(T)));
  return {{data, out, in, stride}, numbers(bias), batch_invariant_};
}

template <class P, class T>
FusedNorm PlacedWeights<P, T>::norm(const Norm& norm) {
  return {floats(norm.weight), floats(norm.bias), static_cast<float>(norm.eps)};
}

template <class P, class T>
FusedBlock<T> PlacedWeights<P, T>::block(const BlockWeights& block) {
  FusedBlock<T> b;
  b.norm1 = norm(block.norm1);
  b.qkv = linear(block.qkv);
  b.q_norm = norm(block.q_norm);
  b.k_norm = norm(block.k_norm);
  b.proj = linear(block.proj, block.scale1);
  b.norm2 = norm(block.norm2);
  b.fc1 = linear(block.fc1);
  b.fc2 = linear(block.fc2, block.scale2);
  return b;
}

template <class P, class T>
FusedAttentionPool<T> PlacedWeights<P, T>::pool(const AttentionPoolConfig& config,
                                                const AttentionPoolWeights& pool) {
  if (!pool.probe.defined()) return {};
  const int64_t width = pool.probe.size(1);
  const auto rows = [&](int64_t first, int64_t last) {
    const Tensor bias = pool.qkv.bias.defined() ? host_floats(pool.qkv.bias).slice(0, first, last) : Tensor();
    return Linear{host_floats(pool.qkv.weight).slice(0, first, last), bias};
  };
  const Tensor query =
      run_linear(rows(0, width), host_floats(pool.probe)).view({config.heads, width / config.heads});
  FusedAttentionPool<T> p;
  p.query = numbers(run_norm(pool.q_norm, query));
  p.kv = linear(rows(width, 3 * width));
  p.k_norm = norm(pool.k_norm);
  p.proj = linear(pool.proj);
  p.norm = norm(pool.norm);
  p.fc1 = linear(pool.fc1);
  p.fc2 = linear(pool.fc2);
  return p;
}

template <class P, class T>
FusedVisionWeights<T> PlacedWeights<P, T>::vision(const VisionConfig& config, const VisionWeights& weights,
                                                  const Tensor& positions, int64_t height, int64_t width) {
  FusedVisionWeights<T> w;
  w.patch = linear(weights.patch);
  w.class_token = config.class_token ? numbers(weights.class_token) : nullptr;
  w.registers = config.registers > 0 ? numbers(weights.registers) : nullptr;
  w.positions = floats(positions);
  w.height = height;
  w.width = width;
  w.norm_pre = norm(weights.norm_pre);
  for (const BlockWeights& each : weights.blocks) w.blocks.push_back(block(each));
  w.norm = norm(weights.norm);
  if (config.attention_pool) w.pool = pool(*config.attention_pool, weights.pool);
  w.projection = linear(weights.projection);
  return w;
}

template <class P, class T>
FusedTextWeights<T> PlacedWeights<P, T>::text(const TextWeights& weights) {
  FusedTextWeights<T> w;
  w.tokens = numbers(weights.tokens);
  w.positions = floats(weights.positions);
  for (const BlockWeights& each : weights.blocks) w.blocks.push_back(block(each));
  w.norm = norm(weights.norm);
  w.projection = linear(weights.projection);
  return w;
}

template <class P, class T>
FusedDecoderBlock<T> PlacedWeights<P, T>::decoder_block(const DecoderWeights::Block& block) {
  FusedDecoderBlock<T> b;
  b.norm1 = norm(block.norm1);
  b.qkv = linear(block.qkv);
  b.q_norm = norm(block.q_norm);
  b.k_norm = norm(block.k_norm);
  b.proj = linear(block.proj);
  b.norm2 = norm(block.norm2);
  b.gate_up = linear(block.gate_up);
  b.down = linear(block.down);
  return b;
}

}  // namespace unisim
