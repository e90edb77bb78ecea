#include <cmath>

#include "kernels.h"
#include "norm_case.h"
#include "test_place.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// Replaces a row by its norm; what the numbers are multiplied with.
double define(std::vector<double>& row, const float* weight, const float*) {
  double mean_square = 0;
  for (const double value : row) mean_square += value * value / static_cast<double>(row.size());
  const double scale = 1 / std::sqrt(mean_square + norm_eps);
  for (std::size_t k = 0; k < row.size(); ++k) row[k] *= scale * weight[k];
  return scale;
}

template <class T>
void check(const NormShape& s, Rounds rounds = Rounds::All) {
  check_norm<T>(
      s,
      [](NormRows<T> n) {
        n.shift = nullptr;
        rms_norm(place(), n);
      },
      define, rounds);
}

}  // namespace

TEMPLATE_TEST_CASE("rms_norm is right below, at and above a pack, a step of a warp and what it holds",
                   "[rms_norm]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 3, 4, 5, 8, 9, 40, 124, 128, 132, 248, 256, 257, 264, 512, 520, 896, 1024,
                                 1032, 2048, 2049, 2056);
  check<TestType>({.rows = 3, .width = width});
}

TEMPLATE_TEST_CASE("rms_norm is right for one row less and more than a block has warps", "[rms_norm]", float,
                   bf16, f16) {
  const int64_t rows = GENERATE(1, 7, 8, 9, 17);
  check<TestType>({.rows = rows, .width = 72});
  check<TestType>({.rows = rows, .width = 33});
}

TEMPLATE_TEST_CASE("rms_norm adds bias and residual first, and stores the sum wherever it is wanted",
                   "[rms_norm]", float, bf16, f16) {
  const bool bias = GENERATE(false, true), residual = GENERATE(false, true);
  const SumGoes sum = GENERATE(SumGoes::Nowhere, SumGoes::ToItsOwn, SumGoes::ToX, SumGoes::ToResidual);
  const int64_t width = GENERATE(37, 256, 264, 2060);
  if (sum == SumGoes::ToResidual && !residual) return;
  check<TestType>({.rows = 2, .width = width, .bias = bias, .residual = residual, .sum = sum});
}

TEMPLATE_TEST_CASE("rms_norm may write over its input", "[rms_norm]", float, bf16, f16) {
  const int64_t width = GENERATE(33, 384, 2064);
  check<TestType>({.rows = 3, .width = width, .in_place = true});
}

TEMPLATE_TEST_CASE("rms_norm leaves what stands between and before the rows", "[rms_norm]", float, bf16,
                   f16) {
  const int64_t width = GENERATE(31, 32, 264), more = GENERATE(1, 8), offset = GENERATE(0, 1, 8);
  check<TestType>({.rows = 3,
                   .width = width,
                   .stride = width + more,
                   .offset = offset,
                   .bias = true,
                   .residual = true,
                   .sum = SumGoes::ToItsOwn});
}

TEST_CASE("rms_norm takes rows beyond those of all blocks by turns", "[rms_norm]") {
  const int64_t rows = 8 * 528 + 3, width = GENERATE(3, 4);
  check<float>({.rows = rows, .width = width, .bias = true}, Rounds::First);
}

TEST_CASE("rms_norm of a zero row is zero", "[rms_norm]") {
  const Buffer<float> weight(std::vector<float>(4, 2.0f));
  each_round([&] {
    Buffer<float> x(std::vector<float>(4, 0.0f));
    rms_norm(place(),
             NormRows<float>{.x = {x.data(), 1, 4, 4}, .weight = weight.data(), .out = {x.data(), 1, 4, 4}});
    CHECK(x.host() == std::vector<float>(4, 0.0f));
  });
}

TEST_CASE("rms_norm of no rows does nothing", "[rms_norm]") {
  const Buffer<float> weight(std::vector<float>(4, 1.0f));
  each_round([&] {
    rms_norm(place(), NormRows<float>{.x = {nullptr, 0, 4, 4}, .weight = weight.data(), .out = {}});
  });
}
