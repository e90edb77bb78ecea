#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels.h"
#include "stored.h"
#include "support.h"
#include "test_place.h"

/// One attention: its shape, its numbers, its definition in double, and how they lie in memory.
namespace unisim::test {

struct AttentionShape {
  int64_t queries = 1, keys = 1, width = 64;
  int64_t items = 1, heads = 1, kv_heads = 1;
  float scale = 0.125f;
  bool causal = false;

  int64_t seen(int64_t query) const { return causal ? keys - queries + query + 1 : keys; }
};

/// Where the numbers of one operand lie.
enum class Lie {
  TokenMajor,   ///< [items, tokens, heads, width]
  HeadMajor,    ///< [items, heads, tokens, width]
  WithGaps,     ///< token major, with 8 numbers after each head and 24 after each token
  WithOddGaps,  ///< with 1 number after each head and 3 after each token
  Misaligned,   ///< token major, from the second number of the memory on
  OddTokens,    ///< token major, with 1 number after each token; items and heads aligned
  OddHeads,     ///< token major, with 1 number after each head; items and tokens aligned
  OddItems,     ///< token major, with 1 number after each item
  SharedByAll,  ///< [items, tokens, 3, heads, width]: q, k and v of one product; out token major
};

struct Strides {
  int64_t offset = 0, item = 0, token = 0, head = 0, size = 0;
};

inline Strides strides_of(Lie lie, int64_t items, int64_t tokens, int64_t heads, int64_t width,
                          int64_t part = 0) {
  const auto dense = [&](int64_t offset, int64_t head, int64_t token) {
    return Strides{offset, tokens * token, token, head, offset + items * tokens * token};
  };
  switch (lie) {
    case Lie::HeadMajor:
      return {0, heads * tokens * width, width, tokens * width, items * heads * tokens * width};
    case Lie::WithGaps:
      return dense(0, width + 8, heads * (width + 8) + 24);
    case Lie::WithOddGaps:
      return dense(0, width + 1, heads * (width + 1) + 3);
    case Lie::Misaligned:
      return dense(1, width, heads * width);
    case Lie::OddTokens:
    case Lie::OddHeads:
    case Lie::OddItems: {
      const int64_t head = width + (lie == Lie::OddHeads);
      const int64_t token = lie == Lie::OddTokens ? heads * width + 1 : ceil_div(heads * head, 8) * 8;
      const int64_t item = ceil_div(tokens * token, 8) * 8 + (lie == Lie::OddItems);
      return {0, item, token, head, items * item};
    }
    case Lie::SharedByAll: {
      Strides s = dense(0, width, 3 * heads * width);
      s.offset = part * heads * width;
      return s;
    }
    default:
      return dense(0, width, heads * width);
  }
}

/// Numbers in the order [items, tokens, heads, width].
template <class T>
struct AttentionNumbers {
  std::vector<T> q, k, v;
};

template <class T>
AttentionNumbers<T> random_numbers(const AttentionShape& s, float spread = 1) {
  const int64_t own = s.items * s.heads * s.width * s.queries,
                shared = s.items * s.kv_heads * s.width * s.keys;
  return {random_stored<T>(own, 11, spread), random_stored<T>(shared, 12, spread),
          random_stored<T>(shared, 13)};
}

/// What a sum of n products in float may err by, as a share of the sum of their sizes: added one by one, or
/// eight at a time by an adder that drops bits.
template <class T>
double sum_error(int64_t n) {
  return std::is_same_v<T, float> ? static_cast<double>(n) * 0x1p-24
                                  : static_cast<double>(n / 8 + 4) * 0x1p-23;
}
/// Half the smallest step of T, for results that are hardly there.
template <class T>
constexpr double kTiny = std::is_same_v<T, f16> ? 0x1p-25 : 0x1p-126;

struct Defined {
  std::vector<double> value, allowed;  ///< [items, queries, heads, width]
};

/// softmax(scale q k^T) v in double, and by how much a kernel may miss it: each weight errs by its score's
/// error and by that of an exponential to two ulp; weights are rounded to T before they meet v; so is the
/// result.
template <class T>
Defined define(const AttentionShape& s, const AttentionNumbers<T>& x) {
  const auto row = [&](const std::vector<T>& all, int64_t item, int64_t tokens, int64_t token, int64_t heads,
                       int64_t head) {
    return all.data() + ((item * tokens + token) * heads + head) * s.width;
  };
  const double rounding = std::is_same_v<T, float> ? 0 : rounding_of<T>;
  Defined out;
  std::vector<double> score(static_cast<std::size_t>(s.keys)), error(score.size());
  for (int64_t item = 0; item < s.items; ++item)
    for (int64_t query = 0; query < s.queries; ++query)
      for (int64_t head = 0; head < s.heads; ++head) {
        const int64_t kv_head = head / (s.heads / s.kv_heads), seen = s.seen(query);
        const T* q = row(x.q, item, s.queries, query, s.heads, head);
        double top = -HUGE_VAL, sum = 0;
        for (int64_t j = 0; j < seen; ++j) {
          const T* k = row(x.k, item, s.keys, j, s.kv_heads, kv_head);
          double dot = 0, size = 0;
          for (int64_t d = 0; d < s.width; ++d) {
            dot += double{to_float(q[d])} * to_float(k[d]);
            size += std::abs(double{to_float(q[d])} * to_float(k[d]));
          }
          score[j] = s.scale * dot;
          error[j] = s.scale * size * sum_error<T>(s.width);
          top = std::max(top, score[j]);
        }
        for (int64_t j = 0; j < seen; ++j) {
          error[j] = std::expm1(error[j] + (top - score[j]) * 0x1p-22 + 0x1p-21);
          score[j] = std::exp(score[j] - top);
          sum += score[j];
        }
        for (int64_t d = 0; d < s.width; ++d) {
          double value = 0, size = 0, erring = 0, erring_sum = 0, plain = 0;
          for (int64_t j = 0; j < seen; ++j) {
            const double v = to_float(row(x.v, item, s.keys, j, s.kv_heads, kv_head)[d]),
                         weight = score[j] / sum;
            value += weight * v;
            size += weight * std::abs(v);
            erring += weight * error[j] * std::abs(v);
            erring_sum += weight * error[j];
            plain += std::abs(v);
          }
          out.value.push_back(value);
          out.allowed.push_back(erring + erring_sum * std::abs(value) + 2 * sum_error<T>(seen) * size +
                                rounding * size + kTiny<T> * plain + rounding_of<T> * std::abs(value) +
                                kTiny<T>);
        }
      }
  return out;
}

/// The operands and the result of an attention in the place's memory.
template <class T>
class AttentionMemory {
 public:
  /// `only` 0 to 3: q, k, v or out alone lie so, the others token major.
  AttentionMemory(const AttentionShape& s, const AttentionNumbers<T>& x, Lie lie, int only = -1) : shape_(s) {
    const auto of = [&](int operand) { return only < 0 || only == operand ? lie : Lie::TokenMajor; };
    const bool one = lie == Lie::SharedByAll;  // then heads = kv_heads and queries = keys
    q_ = strides_of(of(0), s.items, s.queries, s.heads, s.width, 0);
    k_ = strides_of(of(1), s.items, s.keys, s.kv_heads, s.width, 1);
    v_ = strides_of(of(2), s.items, s.keys, s.kv_heads, s.width, 2);
    out_ = strides_of(one ? Lie::TokenMajor : of(3), s.items, s.queries, s.heads, s.width);
    std::vector<T> q(q_.size, kElsewhere), k(k_.size, kElsewhere), v(v_.size, kElsewhere);
    each(q_, s.queries, s.heads, [&](int64_t from, int64_t to) { q[to] = x.q[from]; });
    each(k_, s.keys, s.kv_heads, [&](int64_t from, int64_t to) { (one ? q : k)[to] = x.k[from]; });
    each(v_, s.keys, s.kv_heads, [&](int64_t from, int64_t to) { (one ? q : v)[to] = x.v[from]; });
    memory_.reserve(4);
    memory_.emplace_back(q);
    if (!one) memory_.emplace_back(k);
    if (!one) memory_.emplace_back(v);
    memory_.emplace_back(std::vector<T>(out_.size, kElsewhere));
  }

  Attention<T> attention() {
    const auto view = [](T* data, const Strides& s) {
      return HeadRows<T>{data + s.offset, s.item, s.token, s.head};
    };
    const auto read = [&](std::size_t which, const Strides& s) {
      const HeadRows<T> rows = view(memory_[std::min(which, memory_.size() - 2)].data(), s);
      return HeadRows<const T>{rows.data, rows.item, rows.token, rows.head};
    };
    const AttentionShape& s = shape_;
    return {.q = read(0, q_),
            .k = read(1, k_),
            .v = read(2, v_),
            .out = view(memory_.back().data(), out_),
            .items = s.items,
            .heads = s.heads,
            .kv_heads = s.kv_heads,
            .queries = s.queries,
            .keys = s.keys,
            .head_width = s.width,
            .scale = s.scale,
            .causal = s.causal};
  }

  /// The result; what lies around it must be untouched.
  std::vector<double> result() const {
    std::vector<T> all = memory_.back().host();
    std::vector<double> out(
        static_cast<std::size_t>(shape_.items * shape_.queries * shape_.heads * shape_.width));
    each(out_, shape_.queries, shape_.heads, [&](int64_t to, int64_t from) {
      out[to] = to_float(all[from]);
      all[from] = kElsewhere;
    });
    CHECK(std::all_of(all.begin(), all.end(), [](T x) { return to_float(x) == to_float(kElsewhere); }));
    return out;
  }

 private:
  static constexpr float kElsewhereFloat = 77;
  inline static const T kElsewhere = rounded<T>(kElsewhereFloat);

  template <class F>
  void each(const Strides& s, int64_t tokens, int64_t heads, F&& f) const {
    int64_t at = 0;
    for (int64_t item = 0; item < shape_.items; ++item)
      for (int64_t token = 0; token < tokens; ++token)
        for (int64_t head = 0; head < heads; ++head)
          for (int64_t d = 0; d < shape_.width; ++d)
            f(at++, s.offset + item * s.item + token * s.token + head * s.head + d);
  }

  AttentionShape shape_;
  Strides q_, k_, v_, out_;
  std::vector<Buffer<T>> memory_;
};

/// Holds a result to the definition.
inline void compare(const AttentionShape& s, const std::vector<double>& out, const Defined& defined) {
  double worst = 0;  // in shares of what is allowed
  std::size_t where = 0;
  for (std::size_t k = 0; k < out.size(); ++k) {
    const double miss = std::abs(out[k] - defined.value[k]) / defined.allowed[k];
    if (!(miss <= worst)) worst = std::isnan(miss) ? HUGE_VAL : miss, where = k;
  }
  INFO("query " << where / s.width / s.heads % s.queries << ", head " << where / s.width % s.heads
                << ", column " << where % s.width << ": " << out[where] << " for " << defined.value[where]);
  CHECK(worst <= 1);
}

/// Runs the kernel on these numbers and holds it to the definition.
template <class T>
void check_attention(const AttentionShape& s, const AttentionNumbers<T>& x, Lie lie = Lie::TokenMajor,
                     int only = -1) {
  INFO(s.queries << " queries, " << s.keys << " keys, width " << s.width << ", " << s.items << " items, "
                 << s.heads << " heads on " << s.kv_heads << (s.causal ? ", causal" : ""));
  const Defined defined = define(s, x);
  each_round([&] {
    AttentionMemory<T> memory(s, x, lie, only);
    attention(place(), memory.attention());
    compare(s, memory.result(), defined);
  });
}

template <class T>
void check_attention(const AttentionShape& s, Lie lie = Lie::TokenMajor, int only = -1) {
  check_attention<T>(s, random_numbers<T>(s), lie, only);
}

}  // namespace unisim::test
