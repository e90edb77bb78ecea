#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "decoder_plan.h"
#include "fused/decoder_block.h"
#include "fused/room.h"
#include "fused/slices.h"
#include "fused_decoder.h"
#include "placed_weights_of.h"

namespace unisim {

/// What a run needs of a place's memory, laid out once.
template <class T>
struct DecoderArena {
  DecoderRoom<T> room;
  float *cosine = nullptr, *sine = nullptr;
  PackedQueries* items = nullptr;
  KeyRange<T>* ranges = nullptr;  ///< of each block in turn
  int64_t* wanted = nullptr;
  T* out = nullptr;

  DecoderArena(Arena& arena, const DecoderConfig& config, int64_t rows, int64_t wanted_count,
               int64_t item_count, int64_t range_count) {
    const int64_t at_once = std::min(rows, kFeedForwardRows), half = config.head_width / 2;
    room.x = arena.take<T>(rows * config.width);
    room.normed = arena.take<T>(rows * config.width);
    room.qkv = arena.take<T>(rows * config.qkv_width());
    room.heads = arena.take<T>(rows * config.inner());
    room.hidden = arena.take<T>(at_once * 2 * config.mlp_width);
    room.gated = arena.take<T>(at_once * config.mlp_width);
    room.row = arena.take<T>(wanted_count * config.width);
    room.row_in = arena.take<T>(wanted_count * config.inner());
    cosine = arena.take<float>(rows * half);
    sine = arena.take<float>(rows * half);
    items = arena.take<PackedQueries>(item_count);
    ranges = arena.take<KeyRange<T>>(config.layers * range_count);
    wanted = arena.take<int64_t>(wanted_count);
    out = arena.take<T>(wanted_count * config.width);
  }
};

/// The plan as packed_attention takes it: the ranges of every item, its own rows last.
struct PackedPlan {
  std::vector<PackedQueries> items;
  std::vector<SeenKeys> ranges;
  int64_t most_queries = 0;

  explicit PackedPlan(const AttentionPlan& plan) {
    for (const SeenKeys& own : plan.own) {
      const auto first = std::ssize(ranges);
      for (const SeenKeys& more : plan.more)
        if (more.query <= own.query && own.query + own.queries <= more.query + more.queries)
          ranges.push_back(more);
      ranges.push_back(own);
      items.push_back({own.query, own.queries, first, std::ssize(ranges) - first});
      most_queries = std::max(most_queries, own.queries);
    }
  }
};

/// FusedDecoder on a place, numbers stored as T.
template <class P, class T>
class FusedDecoderOn : public FusedDecoder {
 public:
  FusedDecoderOn(const DecoderConfig& config, const DecoderWeights& weights)
      : config_(config), weights_(own_.place(), false) {
    for (const DecoderWeights::Block& block : weights.blocks)
      blocks_.push_back(weights_.decoder_block(block));
    norm_ = weights_.norm(weights.norm);
    synchronize(own_.place());
  }

  Tensor room(int64_t tokens, const Tensor& old, int64_t kept) const override {
    const int64_t width = config_.head_width;
    const auto numbers = static_cast<std::size_t>(config_.kv_heads * tokens * width);
    const auto memory = std::make_shared<Memory<P>>(own_.place(), numbers * sizeof(T));
    const Tensor fresh = at::from_blob(
        memory->data(), {1, config_.kv_heads, tokens, width}, [memory](void*) {},
        at::TensorOptions().dtype(kScalarOf<T>));
    for (int64_t h = 0; kept > 0 && h < config_.kv_heads; ++h)
      copy_rows_within(own_.place(), data_of(fresh) + h * tokens * width, width,
                       data_of(old) + h * old.stride(1), old.stride(2), width, kept);
    return fresh;
  }

  Tensor run(const DecoderRun& run) const override {
    const P place = own_.place();
    const PackedPlan plan(plan_of_all(run.stretches));
    const int64_t rows = run.x.size(0), wanted = std::ssize(run.wanted);
    const auto laid = [&](Arena& arena) {
      return DecoderArena<T>(arena, config_, rows, wanted, std::ssize(plan.items), std::ssize(plan.ranges));
    };
    Arena planned;
    laid(planned);
    const Memory<P> memory(place, planned.used());
    Arena arena(memory.data());
    const DecoderArena<T> at = laid(arena);
    const DecoderRows packed = put_rows(run, plan, at);
    const FusedDecoderBlocks<P, T> blocks(place, config_, at.room, packed);
    for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
      const KeyRange<T>* ranges = at.ranges + layer * plan.ranges.size();
      const std::vector<KeptKeys<T>> kept = kept_in(run, layer);
      if (layer + 1 < blocks_.size())
        blocks.run(blocks_[layer], ranges, kept);
      else
        blocks.run_for_wanted(blocks_[layer], ranges, kept);
    }
    blocks.norm(norm_, unisim::packed<const T>(at.room.row, wanted, config_.width),
                unisim::packed(at.out, wanted, config_.width));
    const Tensor out = at::empty({wanted, config_.width}, at::TensorOptions().dtype(kScalarOf<T>));
    copy_to_host(place, out.mutable_data_ptr(), at.out, out.nbytes());
    return out;
  }

 private:
  static T* data_of(const Tensor& x) { return static_cast<T*>(x.mutable_data_ptr()); }

  template <class U>
  void put(U* to, const U* from, int64_t count) const {
    copy_in(own_.place(), to, from, static_cast<std::size_t>(count) * sizeof(U));
  }

  /// Copies what a run brings to its places.
  DecoderRows put_rows(const DecoderRun& run, const PackedPlan& plan, const DecoderArena<T>& at) const {
    const Tensor x = run.x.contiguous(), cosine = host_floats(run.angles.cosine),
                 sine = host_floats(run.angles.sine);
    std::vector<KeyRange<T>> ranges;
    for (std::size_t layer = 0; layer < blocks_.size(); ++layer)
      for (const SeenKeys& seen : plan.ranges) ranges.push_back(range_of(seen, layer, at.room.qkv));
    put(at.room.x, static_cast<const T*>(x.const_data_ptr()), x.numel());
    put(at.cosine, cosine.const_data_ptr<float>(), cosine.numel());
    put(at.sine, sine.const_data_ptr<float>(), sine.numel());
    put(at.items, plan.items.data(), std::ssize(plan.items));
    put(at.ranges, ranges.data(), std::ssize(ranges));
    put(at.wanted, run.wanted.data(), std::ssize(run.wanted));
    synchronize(own_.place());  // what was copied from ends here
    return {.rows = x.size(0),
            .cosine = at.cosine,
            .sine = at.sine,
            .items = at.items,
            .item_count = std::ssize(plan.items),
            .most_queries = plan.most_queries,
            .aligned_keys = std::ranges::all_of(ranges, aligned),
            .wanted = at.wanted,
            .wanted_count = std::ssize(run.wanted)};
  }

  KeyRange<T> range_of(const SeenKeys& seen, std::size_t layer, const T* qkv) const {
    if (!seen.kept) {
      const int64_t stride = config_.qkv_width();
      const T* const k = qkv + seen.key * stride + config_.inner();
      return {k, k + config_.kv_heads * config_.head_width, stride, config_.head_width, seen.keys};
    }
    const Tensor &k = seen.kept->keys[layer], &v = seen.kept->values[layer];
    return {data_of(k) + seen.key * k.stride(2), data_of(v) + seen.key * k.stride(2), k.stride(2),
            k.stride(1), seen.keys};
  }

  static bool aligned(const KeyRange<T>& range) {
    const auto whole = [](int64_t stride) { return stride * static_cast<int64_t>(sizeof(T)) % 16 == 0; };
    return reinterpret_cast<uintptr_t>(range.k) % 16 == 0 && reinterpret_cast<uintptr_t>(range.v) % 16 == 0 &&
           whole(range.token) && whole(range.head);
  }

  std::vector<KeptKeys<T>> kept_in(const DecoderRun& run, std::size_t layer) const {
    std::vector<KeptKeys<T>> kept;
    for (const Appended& one : run.appended) {
      const Tensor &k = one.into->keys[layer], &v = one.into->values[layer];
      const int64_t first = one.at * config_.head_width;
      kept.push_back({data_of(k) + first, data_of(v) + first, k.stride(1), one.row, one.rows});
    }
    return kept;
  }

  OwnPlace<P> own_;
  const DecoderConfig config_;
  PlacedWeights<P, T> weights_;
  std::vector<FusedDecoderBlock<T>> blocks_;
  FusedNorm norm_;
};

}  // namespace unisim
