#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/item.h>

#include "support.h"

/// Rows for the tests of similarity, pairs and mixture.
namespace unisim::test {

/// [n, d] normally distributed float32.
inline at::Tensor random_rows(int64_t n, int64_t d, uint64_t seed) {
  std::vector<float> values = random_floats(static_cast<std::size_t>(n * d), seed);
  return at::from_blob(values.data(), {n, d}, at::kFloat).clone();
}

/// The cosine of two rows [d] as a textbook has it: sums in the order of the numbers, in double, after
/// bringing each row to numbers of at most 1 so that no square overflows.
inline double cosine_by_definition(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor a = x.to(at::kDouble).contiguous(), b = y.to(at::kDouble).contiguous();
  const double *p = a.const_data_ptr<double>(), *q = b.const_data_ptr<double>();
  double largest_p = 0, largest_q = 0;
  for (int64_t k = 0; k < a.numel(); ++k) {
    largest_p = std::max(largest_p, std::abs(p[k]));
    largest_q = std::max(largest_q, std::abs(q[k]));
  }
  if (largest_p == 0 || largest_q == 0) return 0;
  double dot = 0, square_p = 0, square_q = 0;
  for (int64_t k = 0; k < a.numel(); ++k) {
    const double u = p[k] / largest_p, v = q[k] / largest_q;
    dot += u * v;
    square_p += u * u;
    square_q += v * v;
  }
  return dot / (std::sqrt(square_p) * std::sqrt(square_q));
}

}  // namespace unisim::test
