// attention and packed_attention: softmax(scale q k^T) v, one pass over the keys of a query, sums in double.
//
// The trap: the largest score is not known before the last key, so sums are kept relative to the largest so
// far, which starts at minus infinity: e to the power of its difference to anything is a clean zero.

#include <algorithm>
#include <cmath>
#include <limits>

#include "../kernels.h"

namespace unisim {
namespace {

constexpr int64_t kWidest = 128;

/// What a query has seen so far.
template <class T>
struct Seen {
  const T* q;
  int64_t width;
  float scale;
  double out[kWidest] = {};
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;

  void see(const T* key, const T* value) {
    double score = 0;
    for (int64_t d = 0; d < width; ++d) score += double{to_float(q[d])} * to_float(key[d]);
    score *= scale;
    if (score > largest) {
      const double shrink = std::exp(largest - score);
      sum *= shrink;
      for (int64_t d = 0; d < width; ++d) out[d] *= shrink;
      largest = score;
    }
    const double weight = std::exp(score - largest);
    sum += weight;
    for (int64_t d = 0; d < width; ++d) out[d] += weight * to_float(value[d]);
  }

  void store(T* to) const {
    for (int64_t d = 0; d < width; ++d) to[d] = rounded<T>(static_cast<float>(out[d] / sum));
  }
};

}  // namespace

template <class T>
void attention(Cpu, const Attention<T>& a) {
  for (int64_t item = 0; item < a.items; ++item)
    for (int64_t head = 0; head < a.heads; ++head)
      for (int64_t query = 0; query < a.queries; ++query) {
        const int64_t count = a.causal ? a.keys - a.queries + query + 1 : a.keys;
        const int64_t kv_head = head / (a.heads / a.kv_heads);
        Seen<T> seen{a.q.at(item, query, head), a.head_width, a.scale};
        for (int64_t key = 0; key < count; ++key)
          seen.see(a.k.at(item, key, kv_head), a.v.at(item, key, kv_head));
        seen.store(a.out.at(item, query, head));
      }
}

template <class T>
void packed_attention(Cpu, const PackedAttention<T>& a) {
  for (int64_t i = 0; i < a.item_count; ++i) {
    const PackedQueries& item = a.items[i];
    const KeyRange<T>* const ranges = a.ranges + item.range;
    for (int64_t head = 0; head < a.heads; ++head)
      for (int64_t query = 0; query < item.count; ++query) {
        const int64_t kv_head = head / (a.heads / a.kv_heads);
        Seen<T> seen{a.q.at(0, item.first + query, head), a.head_width, a.scale};
        for (int64_t r = 0; r < item.ranges; ++r) {
          const KeyRange<T>& range = ranges[r];
          const int64_t hidden = r + 1 < item.ranges ? 0 : item.count - 1 - query;
          for (int64_t key = 0; key < range.count - hidden; ++key) {
            const int64_t at = key * range.token + kv_head * range.head;
            seen.see(range.k + at, range.v + at);
          }
        }
        seen.store(a.out.at(0, item.first + query, head));
      }
  }
}

template void attention(Cpu, const Attention<float>&);
template void attention(Cpu, const Attention<bf16>&);
template void attention(Cpu, const Attention<f16>&);
template void packed_attention(Cpu, const PackedAttention<float>&);
template void packed_attention(Cpu, const PackedAttention<bf16>&);
template void packed_attention(Cpu, const PackedAttention<f16>&);

}  // namespace unisim
