// pair_filter of a band of rows, plainly; cuda/pair_filter.cu is the one to use. No multiplication is fused
// into a sum (this file is compiled with -ffp-contract=off), so that both find the same pairs of quantized
// rows.

#include <algorithm>
#include <cmath>

#include "../kernels.h"

namespace unisim {
namespace {

template <class Product>
void filter(int64_t rows, PairBand band, PairList list, Product&& product) {
  for (int64_t i = band.first; i < std::min(band.last, rows); ++i)
    for (int64_t j = i + 1; j < rows; ++j) {
      if (!(product(i, j) > band.above)) continue;
      const auto slot = static_cast<int64_t>((*list.count)++);
      if (slot < list.capacity) list.pairs[slot] = {static_cast<int32_t>(i), static_cast<int32_t>(j)};
    }
}

/// The largest relative error of one rounding.
template <class T>
constexpr double kRounding = 0x1p-11;
template <>
constexpr double kRounding<bf16> = 0x1p-8;

}  // namespace

template <class T>
void pair_filter(Cpu, Rows<const T> x, PairBand band, PairList list) {
  filter(x.rows, band, list, [&](int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t k = 0; k < x.width; ++k) sum += double{to_float(x.row(i)[k])} * to_float(x.row(j)[k]);
    return static_cast<float>(sum);
  });
}

template void pair_filter(Cpu, Rows<const bf16>, PairBand, PairList);
template void pair_filter(Cpu, Rows<const f16>, PairBand, PairList);

void pair_filter(Cpu, QuantizedRows x, PairBand band, PairList list) {
  filter(x.q.rows, band, list, [&](int64_t i, int64_t j) {
    int32_t sum = 0;
    for (int64_t k = 0; k < x.q.width; ++k) sum += x.q.row(i)[k] * x.q.row(j)[k];
    const float product = x.scale[i] * x.scale[j] * static_cast<float>(sum);
    return product + (x.residual[i] + x.residual[j] * (1 + x.residual[i]));
  });
}

template <class T>
double pair_filter_guard(int64_t width) {
  // Let x and y be the rows divided exactly, x + a and y + b what unit_rows stores of them. A number moves by
  // its rounding to T, by less than 2^-23 of itself in double and float before, and by at most 2^-25 where it
  // is subnormal in f16, so that |a| and |b| are at most e. By Cauchy
  //   |(x + a).(y + b) - x.y| <= |a| |y| + |x + a| |b| <= e + (1 + e) e.
  // The sum: products of two T are exact in float. A tensor core takes m >= 2 of them and the sum so far at a
  // time, cuts each at or below the last place of the largest, and cuts what it adds up to: m + 2 cuts of
  // 2^-23 times at most s = sum |x_k + a_k| |y_k + b_k| (and what went wrong before), 2 a product. Sums in
  // float by rounding err less. By Cauchy s <= (1 + e)^2. Sixteen more hold the cosine's own error in double.
  const double terms = static_cast<double>(width);
  const double e = kRounding<T> + 0x1p-23 + std::sqrt(terms) * 0x1p-25;
  const double cuts = (terms + 16) * 0x1p-22;
  if (cuts >= 0.5 || e >= 0.5) return 8;
  return e + (1 + e) * e + (1 + e) * (1 + e) * cuts / (1 - cuts);
}

template double pair_filter_guard<bf16>(int64_t);
template double pair_filter_guard<f16>(int64_t);

}  // namespace unisim
