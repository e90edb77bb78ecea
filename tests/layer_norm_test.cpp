#include <cmath>

#include "kernels.h"
#include "norm_case.h"
#include "test_place.h"
#include "support.h"
#if __has_include("traffic_row.h")
#include "traffic_row.h"
#endif

using namespace unisim;
using namespace unisim::test;

namespace {

/// Replaces a row by its norm; what the deviations are multiplied with.
double define(std::vector<double>& row, const float* weight, const float* shift) {
  const auto width = static_cast<double>(row.size());
  double mean = 0, variance = 0;
  for (const double value : row) mean += value / width;
  for (const double value : row) variance += (value - mean) * (value - mean) / width;
  const double scale = 1 / std::sqrt(variance + norm_eps);
  for (std::size_t k = 0; k < row.size(); ++k) row[k] = (row[k] - mean) * scale * weight[k] + shift[k];
  return scale;
}

template <class T>
void check(const NormShape& s, Rounds rounds = Rounds::All) {
  check_norm<T>(
      s, [](const NormRows<T>& n) { layer_norm(place(), n); }, define, rounds);
}

}  // namespace

TEMPLATE_TEST_CASE("layer_norm is right below, at and above a pack, a step of a warp and what it holds",
                   "[layer_norm]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 3, 4, 5, 8, 9, 16, 40, 124, 128, 132, 248, 256, 257, 264, 512, 520, 1024,
                                 1032, 2048, 2049, 2056);
  check<TestType>({.rows = 3, .width = width});
}

TEMPLATE_TEST_CASE("layer_norm is right for one row less and more than a block has warps", "[layer_norm]",
                   float, bf16, f16) {
  const int64_t rows = GENERATE(1, 7, 8, 9, 17);
  check<TestType>({.rows = rows, .width = 72});
  check<TestType>({.rows = rows, .width = 33});
}

TEMPLATE_TEST_CASE("layer_norm adds bias and residual first, and stores the sum wherever it is wanted",
                   "[layer_norm]", float, bf16, f16) {
  const bool bias = GENERATE(false, true), residual = GENERATE(false, true);
  const SumGoes sum = GENERATE(SumGoes::Nowhere, SumGoes::ToItsOwn, SumGoes::ToX, SumGoes::ToResidual);
  const int64_t width = GENERATE(37, 256, 264, 768);
  if (sum == SumGoes::ToResidual && !residual) return;
  check<TestType>({.rows = 2, .width = width, .bias = bias, .residual = residual, .sum = sum});
}

TEMPLATE_TEST_CASE("layer_norm of rows wider than a warp holds adds and stores the same sum", "[layer_norm]",
                   float, bf16, f16) {
  const SumGoes sum = GENERATE(SumGoes::ToItsOwn, SumGoes::ToX, SumGoes::ToResidual);
  check<TestType>({.rows = 2, .width = 2060, .bias = true, .residual = true, .sum = sum});
}

TEMPLATE_TEST_CASE("layer_norm may write over its input", "[layer_norm]", float, bf16, f16) {
  const int64_t width = GENERATE(33, 384, 2064);
  check<TestType>({.rows = 3, .width = width, .in_place = true});
}

TEMPLATE_TEST_CASE("layer_norm leaves what stands between and before the rows", "[layer_norm]", float, bf16,
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

TEMPLATE_TEST_CASE("layer_norm keeps its digits where the mean is a thousand times the spread",
                   "[layer_norm]", float, f16) {
  const int64_t width = GENERATE(67, 1024);
  check<TestType>({.rows = 2, .width = width, .mean = 1000});
}

TEST_CASE("layer_norm takes rows beyond those of all blocks by turns", "[layer_norm]") {
  const int64_t rows = 8 * 528 + 3, width = GENERATE(3, 4);
  check<float>({.rows = rows, .width = width, .bias = true}, Rounds::First);
}

TEST_CASE("layer_norm of a row of equal numbers is the shift", "[layer_norm]") {
  const Buffer<float> weight(std::vector<float>(8, 2.0f)), shift(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  each_round([&] {
    Buffer<float> x(std::vector<float>(8, 3.0f));
    layer_norm(place(), NormRows<float>{.x = {x.data(), 1, 8, 8},
                                        .weight = weight.data(),
                                        .shift = shift.data(),
                                        .out = {x.data(), 1, 8, 8}});
    CHECK(x.host() == shift.host());
  });
}

TEST_CASE("layer_norm of no rows does nothing", "[layer_norm]") {
  const Buffer<float> vector(std::vector<float>(4, 1.0f));
  each_round([&] {
    layer_norm(
        place(),
        NormRows<float>{.x = {nullptr, 0, 4, 4}, .weight = vector.data(), .shift = vector.data(), .out = {}});
  });
}

#if __has_include("traffic_row.h")
TEMPLATE_TEST_CASE("layer_norm moves each byte once, in whole sectors, and meets no bank twice",
                   "[layer_norm][traffic]", float, bf16, f16) {
  const int64_t width = GENERATE(256, 768, 1024, 2048), rows = 16;
  const bool all = GENERATE(false, true);
  NormShape s = {.rows = rows, .width = width};
  if (all) s.bias = s.residual = true, s.sum = SumGoes::ToItsOwn;
  const NormNumbers<TestType> numbers(s);
  simt::options.count = true;
  simt::traffic();
  run_norm<TestType>(s, numbers, [](const NormRows<TestType>& n) { layer_norm(place(), n); });
  const std::vector<simt::Traffic> traffic = simt::traffic();
  simt::options.count = false;
  CHECK(simt::report() == "");
  REQUIRE(traffic.size() == 1);
  const simt::Traffic& t = traffic[0];
  const auto size = static_cast<int64_t>(sizeof(TestType));
  // The formula of cuda/layer_norm.cu, two blocks.
  const int64_t least = rows * width * size * (all ? 4 : 2) + 2 * width * (8 + (all ? size : 0));
  CAPTURE(width, all, t.bytes_read, t.bytes_written, least);
  simt::print_traffic(t, text_of(size, " bytes, ", rows, " x ", width, all ? ", residual and sum" : ""),
                      static_cast<uint64_t>(least));
  CHECK(static_cast<double>(t.bytes_read + t.bytes_written) <= 1.05 * static_cast<double>(least));
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(t.sectors_written == t.least_sectors_written);
  CHECK(32 * (t.sectors_read + t.sectors_written) == t.bytes_read + t.bytes_written);
  CHECK(t.wavefronts == t.least_wavefronts);
}
#endif
