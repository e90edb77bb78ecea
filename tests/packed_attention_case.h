#pragma once

#include <limits>
#include <vector>

#include "attention_case.h"

/// One packed attention: items, their ranges of keys, its definition item by item, and how it lies in memory.
namespace unisim::test {

/// Keys and values that outlive their products: [tokens, kv_heads, width] each, as `lie` says.
struct KeptKeys {
  int64_t tokens = 1;
  Lie lie = Lie::TokenMajor;
};

/// Tokens of kept keys, or the rows of the item itself.
struct RangeShape {
  int64_t kept = -1;  ///< which; -1: the item's rows
  int64_t first = 0, count = 0;
};
constexpr RangeShape kOwnRows{};

struct ItemShape {
  int64_t queries = 1;
  std::vector<RangeShape> ranges = {kOwnRows};

  int64_t count(const RangeShape& range) const { return range.kept < 0 ? queries : range.count; }
};

struct PackedShape {
  std::vector<ItemShape> items;
  std::vector<KeptKeys> kept = {};
  int64_t width = 64, heads = 1, kv_heads = 1;
  float scale = 0.125f, spread = 1;
  Lie product = Lie::TokenMajor;  ///< [rows, heads + 2 kv_heads, width]: q, k and v of all rows
  Lie out = Lie::TokenMajor;
  int64_t between = 0;       ///< rows of no item before each item and after the last
  int64_t more_queries = 0;  ///< by which most_queries is larger than it need be
  bool told_aligned = true;  ///< whether the kernel is told that its keys are aligned, where they are

  int64_t rows() const {
    int64_t all = between;
    for (const ItemShape& item : items) all += item.queries + between;
    return all;
  }
};

/// Numbers, in memory of the place as its shape says and in plain order.
template <class T>
class PackedMemory {
 public:
  explicit PackedMemory(const PackedShape& s)
      : shape_(s),
        product_(strides_of(s.product, 1, s.rows(), s.heads + 2 * s.kv_heads, s.width)),
        out_strides_(strides_of(s.out, 1, s.rows(), s.heads, s.width)),
        product_numbers_(random_stored<T>(s.rows() * (s.heads + 2 * s.kv_heads) * s.width, 21, s.spread)),
        product_memory_(laid_out(product_numbers_, product_, s.rows(), s.heads + 2 * s.kv_heads)),
        out_(std::vector<T>(static_cast<std::size_t>(out_strides_.size), kUntouched)) {
    for (std::size_t n = 0; n < s.kept.size(); ++n)
      for (const uint64_t part : {0, 1}) {  // k and v
        const KeptKeys& kept = s.kept[n];
        kept_numbers_.push_back(
            random_stored<T>(kept.tokens * s.kv_heads * s.width, 31 + 2 * n + part, s.spread));
        kept_memory_.emplace_back(laid_out(kept_numbers_.back(), kept_strides(n), kept.tokens, s.kv_heads));
      }
    int64_t row = s.between, most = 0;
    std::vector<PackedQueries> items;
    std::vector<KeyRange<T>> ranges;
    for (const ItemShape& item : s.items) {
      items.push_back(
          {row, item.queries, static_cast<int64_t>(ranges.size()), static_cast<int64_t>(item.ranges.size())});
      for (const RangeShape& range : item.ranges) ranges.push_back(key_range(item, range, row));
      row += item.queries + s.between;
      most = std::max(most, item.queries);
    }
    most_queries_ = most + s.more_queries;
    ranges_.emplace_back(ranges);
    items_.emplace_back(items);
  }

  PackedAttention<T> attention() {
    const PackedShape& s = shape_;
    return {.q = {product_memory_.data() + product_.offset, -1, product_.token, product_.head},
            .out = {out_.data() + out_strides_.offset, -1, out_strides_.token, out_strides_.head},
            .ranges = ranges_[0].data(),
            .items = items_[0].data(),
            .item_count = static_cast<int64_t>(s.items.size()),
            .most_queries = most_queries_,
            .heads = s.heads,
            .kv_heads = s.kv_heads,
            .head_width = s.width,
            .scale = s.scale,
            .aligned_keys = aligned_ && s.told_aligned};
  }

  /// An item as an attention of its own: its keys in one row.
  std::pair<AttentionShape, AttentionNumbers<T>> item(std::size_t which) const {
    const PackedShape& s = shape_;
    const ItemShape& item = s.items[which];
    const int64_t row = first_row(which), all = s.heads + 2 * s.kv_heads;
    AttentionNumbers<T> x;
    const auto append = [&](std::vector<T>& to, const std::vector<T>& from, int64_t token, int64_t first_head,
                            int64_t heads, int64_t heads_there) {
      const T* const begin = from.data() + (token * heads_there + first_head) * s.width;
      to.insert(to.end(), begin, begin + heads * s.width);
    };
    for (int64_t t = row; t < row + item.queries; ++t) append(x.q, product_numbers_, t, 0, s.heads, all);
    int64_t keys = 0;
    for (const RangeShape& range : item.ranges) {
      keys += item.count(range);
      for (int64_t t = 0; t < item.count(range); ++t)
        if (range.kept < 0) {
          append(x.k, product_numbers_, row + t, s.heads, s.kv_heads, all);
          append(x.v, product_numbers_, row + t, s.heads + s.kv_heads, s.kv_heads, all);
        } else {
          append(x.k, kept_numbers_[2 * range.kept], range.first + t, 0, s.kv_heads, s.kv_heads);
          append(x.v, kept_numbers_[2 * range.kept + 1], range.first + t, 0, s.kv_heads, s.kv_heads);
        }
    }
    return {{.queries = item.queries,
             .keys = keys,
             .width = s.width,
             .heads = s.heads,
             .kv_heads = s.kv_heads,
             .scale = s.scale,
             .causal = true},
            x};
  }

  /// The result of each item, [queries, heads, width]; what lies around them must be untouched.
  std::vector<std::vector<double>> result() const {
    std::vector<T> all = out_.host();
    std::vector<std::vector<double>> out(shape_.items.size());
    for (std::size_t i = 0; i < out.size(); ++i)
      for (int64_t query = 0; query < shape_.items[i].queries; ++query)
        for (int64_t head = 0; head < shape_.heads; ++head)
          for (int64_t d = 0; d < shape_.width; ++d) {
            T& x = all[out_strides_.offset + (first_row(i) + query) * out_strides_.token +
                       head * out_strides_.head + d];
            out[i].push_back(to_float(x));
            x = kUntouched;
          }
    CHECK(std::all_of(all.begin(), all.end(), [](T x) { return to_float(x) == to_float(kUntouched); }));
    return out;
  }

 private:
  inline static const T kUntouched = rounded<T>(77.0f);
  inline static const T kUnread = rounded<T>(std::numeric_limits<float>::infinity());

  int64_t first_row(std::size_t item) const {
    int64_t row = shape_.between;
    for (std::size_t i = 0; i < item; ++i) row += shape_.items[i].queries + shape_.between;
    return row;
  }

  Strides kept_strides(std::size_t which) const {
    return strides_of(shape_.kept[which].lie, 1, shape_.kept[which].tokens, shape_.kv_heads, shape_.width);
  }

  std::vector<T> laid_out(const std::vector<T>& numbers, const Strides& s, int64_t tokens,
                          int64_t heads) const {
    std::vector<T> all(static_cast<std::size_t>(s.size), kUnread);
    for (int64_t t = 0, at = 0; t < tokens; ++t)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t d = 0; d < shape_.width; ++d)
          all[s.offset + t * s.token + h * s.head + d] = numbers[at++];
    return all;
  }

  KeyRange<T> key_range(const ItemShape& item, const RangeShape& range, int64_t row) {
    const bool own = range.kept < 0;
    const Strides s = own ? product_ : kept_strides(range.kept);
    const int64_t k_head = own ? shape_.heads : 0, v_head = own ? shape_.heads + shape_.kv_heads : 0;
    const int64_t at = s.offset + (own ? row : range.first) * s.token;
    const T* const k = own ? product_memory_.data() : kept_memory_[2 * range.kept].data();
    const T* const v = own ? product_memory_.data() : kept_memory_[2 * range.kept + 1].data();
    const KeyRange<T> there{k + at + k_head * s.head, v + at + v_head * s.head, s.token, s.head,
                            item.count(range)};
    const auto whole = [](int64_t numbers) { return numbers * static_cast<int64_t>(sizeof(T)) % 16 == 0; };
    aligned_ = aligned_ && reinterpret_cast<uintptr_t>(there.k) % 16 == 0 &&
               reinterpret_cast<uintptr_t>(there.v) % 16 == 0 && whole(s.token) && whole(s.head);
    return there;
  }

  PackedShape shape_;
  Strides product_, out_strides_;
  std::vector<T> product_numbers_;
  std::vector<std::vector<T>> kept_numbers_;  // k and v of each in turn
  Buffer<T> product_memory_, out_;
  std::vector<Buffer<T>> kept_memory_;
  std::vector<Buffer<KeyRange<T>>> ranges_;
  std::vector<Buffer<PackedQueries>> items_;
  int64_t most_queries_ = 0;
  bool aligned_ = true;
};

/// Runs the kernel and holds each item to the definition of attention.
template <class T>
void check_packed(const PackedShape& s) {
  std::vector<std::pair<AttentionShape, Defined>> defined;
  each_round([&] {
    PackedMemory<T> memory(s);
    packed_attention(place(), memory.attention());
    const std::vector<std::vector<double>> out = memory.result();
    for (std::size_t i = 0; i < s.items.size(); ++i) {
      if (defined.size() == i) {
        const auto [shape, numbers] = memory.item(i);
        defined.emplace_back(shape, define(shape, numbers));
      }
      INFO("item " << i << ": " << defined[i].first.queries << " queries, " << defined[i].first.keys
                   << " keys, width " << s.width << ", " << s.heads << " heads on " << s.kv_heads);
      compare(defined[i].first, out[i], defined[i].second);
    }
  });
}

}  // namespace unisim::test
