// attention: softmax(scale q k^T) v, one pass over the keys of a query, sums in double.
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

template <class T>
void attend(const T* q, const HeadRows<const T>& k, const HeadRows<const T>& v, const Attention<T>& a,
            int64_t item, int64_t kv_head, int64_t seen, T* to) {
  double out[kWidest] = {};
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t key = 0; key < seen; ++key) {
    const T* row = k.at(item, key, kv_head);
    double score = 0;
    for (int64_t d = 0; d < a.head_width; ++d) score += double{to_float(q[d])} * to_float(row[d]);
    score *= a.scale;
    if (score > largest) {
      const double shrink = std::exp(largest - score);
      sum *= shrink;
      for (int64_t d = 0; d < a.head_width; ++d) out[d] *= shrink;
      largest = score;
    }
    const double weight = std::exp(score - largest);
    sum += weight;
    const T* value = v.at(item, key, kv_head);
    for (int64_t d = 0; d < a.head_width; ++d) out[d] += weight * to_float(value[d]);
  }
  for (int64_t d = 0; d < a.head_width; ++d) to[d] = rounded<T>(static_cast<float>(out[d] / sum));
}

}  // namespace

template <class T>
void attention(Cpu, const Attention<T>& a) {
  for (int64_t item = 0; item < a.items; ++item)
    for (int64_t head = 0; head < a.heads; ++head)
      for (int64_t query = 0; query < a.queries; ++query) {
        const int64_t seen = a.causal ? a.keys - a.queries + query + 1 : a.keys;
        attend(a.q.at(item, query, head), a.k, a.v, a, item, head / (a.heads / a.kv_heads), seen,
               a.out.at(item, query, head));
      }
}

template void attention(Cpu, const Attention<float>&);
template void attention(Cpu, const Attention<bf16>&);
template void attention(Cpu, const Attention<f16>&);

}  // namespace unisim
