#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels.h"
#include "stored.h"
#include "support.h"
#include "test_place.h"

/// Calls of layer_norm and rms_norm at random numbers, and what their definitions are held to.
namespace unisim::test {

enum class SumGoes { Nowhere, ToItsOwn, ToX, ToResidual };

struct NormShape {
  int64_t rows = 1, width = 1;
  int64_t stride = 0;  ///< 0: the width
  int64_t offset = 0;  ///< elements before the first row
  bool bias = false, residual = false;
  SumGoes sum = SumGoes::Nowhere;
  bool in_place = false;
  float mean = 0;

  int64_t step() const { return stride ? stride : width; }
  int64_t at(int64_t i, int64_t k) const { return offset + i * step() + k; }
  int64_t count() const { return offset + rows * step(); }
};

constexpr float norm_eps = 0.125f;  // large enough to be seen beside a variance of 1
constexpr float untouched = 77.0f;  // what stands in memory that no kernel may write

template <class T>
struct NormNumbers {
  explicit NormNumbers(const NormShape& s)
      : x(random_stored<T>(s.count(), 1)),
        residual(random_stored<T>(s.count(), 2)),
        bias(random_stored<T>(s.width + s.offset, 3)),
        weight(random_floats(static_cast<std::size_t>(s.width + s.offset), 4)),
        shift(random_floats(static_cast<std::size_t>(s.width + s.offset), 5)) {
    for (T& value : x) value = rounded<T>(to_float(value) + s.mean);
  }

  std::vector<T> x, residual, bias;
  std::vector<float> weight, shift;
};

template <class T>
struct NormResult {
  std::vector<T> out, sum;
};

/// Runs kernel(norm) on copies of the numbers.
template <class T, class Kernel>
NormResult<T> run_norm(const NormShape& s, const NormNumbers<T>& numbers, Kernel&& kernel) {
  const std::vector<T> filled(static_cast<std::size_t>(s.count()), rounded<T>(untouched));
  Buffer<T> x(numbers.x), residual(numbers.residual), bias(numbers.bias), out(filled), sum(filled);
  const Buffer<float> weight(numbers.weight), shift(numbers.shift);
  const auto rows = [&s](auto* data) { return Rows<T>{data + s.offset, s.rows, s.width, s.step()}; };
  const auto const_rows = [&s](const T* data) {
    return Rows<const T>{data + s.offset, s.rows, s.width, s.step()};
  };
  NormRows<T> n;
  n.x = const_rows(x.data());
  if (s.bias) n.bias = bias.data() + s.offset;
  if (s.residual) n.residual = const_rows(residual.data());
  Buffer<T>& sum_place = s.sum == SumGoes::ToX ? x : s.sum == SumGoes::ToResidual ? residual : sum;
  if (s.sum != SumGoes::Nowhere) n.sum = rows(sum_place.data());
  n.weight = weight.data() + s.offset;
  n.shift = shift.data() + s.offset;
  n.eps = norm_eps;
  Buffer<T>& out_place = s.in_place ? x : out;
  n.out = rows(out_place.data());
  kernel(n);
  return {out_place.host(), sum_place.host()};
}

/// A row of the definition: x + residual + bias in double.
template <class T>
std::vector<double> summed_row(const NormShape& s, const NormNumbers<T>& numbers, int64_t i) {
  std::vector<double> row;
  for (int64_t k = 0; k < s.width; ++k)
    row.push_back(double{to_float(numbers.x[s.at(i, k)])} +
                  (s.residual ? to_float(numbers.residual[s.at(i, k)]) : 0) +
                  (s.bias ? to_float(numbers.bias[s.offset + k]) : 0));
  return row;
}

/// The largest error of a row as a share of what is allowed: the last rounding to T; two float roundings of
/// each sum; sums over the row in float, a lane's share of it and a tree of five; a few roundings of what is
/// made of them.
template <class T>
double worst_share(const NormShape& s, const std::vector<T>& out, int64_t i, const std::vector<double>& row,
                   const std::vector<double>& want, double scale, const NormNumbers<T>& numbers) {
  double largest = 0, worst = 0;
  for (const double value : row) largest = std::max(largest, std::abs(value));
  const double roundings = 16 + static_cast<double>(s.width) / 32;
  for (int64_t k = 0; k < s.width; ++k) {
    const double weight = std::abs(numbers.weight[s.offset + k]);
    const double allowed = rounding_of<T> * std::abs(want[k]) +
                           0x1p-24 * (roundings * (largest * scale * weight + std::abs(want[k])) + 1);
    const double error = std::abs(to_float(out[s.at(i, k)]) - want[k]) / allowed;
    worst = error <= worst ? worst : error;  // a NaN is taken
  }
  return worst;
}

/// What stands beside the rows has not been touched.
template <class T>
bool kept_between(const NormShape& s, const std::vector<T>& before, const std::vector<T>& after) {
  std::vector<bool> inside(before.size());
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t k = 0; k < s.width; ++k) inside[s.at(i, k)] = true;
  for (std::size_t at = 0; at < before.size(); ++at)
    if (!inside[at] && to_float(before[at]) != to_float(after[at])) return false;
  return true;
}

/// The stored sum is that of floats, added in the order x, residual, bias, in every bit on each place.
template <class T>
bool sum_is_exact(const NormShape& s, const NormNumbers<T>& numbers, const std::vector<T>& sum) {
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t k = 0; k < s.width; ++k) {
      float want = to_float(numbers.x[s.at(i, k)]);
      if (s.residual) want += to_float(numbers.residual[s.at(i, k)]);
      if (s.bias) want += to_float(numbers.bias[s.offset + k]);
      if (to_float(sum[s.at(i, k)]) != to_float(rounded<T>(want))) return false;
    }
  return true;
}

enum class Rounds { All, First };

/// Runs kernel at each round of the place, or at the first (where there are very many rows), and holds it to
/// `definition(row, weight of k, shift of k)`.
template <class T, class Kernel, class Definition>
void check_norm(const NormShape& s, Kernel&& kernel, Definition&& definition, Rounds rounds = Rounds::All) {
  CAPTURE(s.rows, s.width, s.stride, s.offset, s.bias, s.residual, static_cast<int>(s.sum), s.in_place,
          s.mean);
  const NormNumbers<T> numbers(s);
  std::vector<std::vector<double>> rows, wants;
  std::vector<double> scales;
  for (int64_t i = 0; i < s.rows; ++i) {
    rows.push_back(summed_row(s, numbers, i));
    std::vector<double> want = rows.back();
    scales.push_back(definition(want, numbers.weight.data() + s.offset, numbers.shift.data() + s.offset));
    wants.push_back(std::move(want));
  }
  bool wanted_again = true;
  each_round([&] {
    if (!wanted_again) return;
    wanted_again = rounds == Rounds::All;
    const NormResult<T> got = run_norm<T>(s, numbers, kernel);
    double worst = 0;
    for (int64_t i = 0; i < s.rows; ++i) {
      const double share = worst_share(s, got.out, i, rows[i], wants[i], scales[i], numbers);
      worst = share <= worst ? worst : share;
    }
    CHECK(worst <= 1);
    const std::vector<T> filled(numbers.x.size(), rounded<T>(untouched));
    CHECK(kept_between(s, s.in_place ? numbers.x : filled, got.out));
    if (s.sum == SumGoes::Nowhere) return;
    CHECK(sum_is_exact(s, numbers, got.sum));
    CHECK(kept_between(s,
                       s.sum == SumGoes::ToX          ? numbers.x
                       : s.sum == SumGoes::ToResidual ? numbers.residual
                                                      : filled,
                       got.sum));
  });
}

}  // namespace unisim::test
