#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <unisim/fusion.h>

#include "rows.h"
#include "support.h"

using namespace unisim;
using Catch::Matchers::Contains;
using test::random_rows;

TEST_CASE("additive MoF is alpha a + (1 - alpha) b, alpha of the first", "[fusion]") {
  const double alpha = GENERATE(0.0, 0.25, 0.375, 1.0);
  const int64_t width = GENERATE(1, 7, 1025);
  const Tensor a = random_rows(3, width, 51), b = random_rows(3, width, 52);
  const Tensor mixed = additive_mof(a, b, alpha);
  const float *x = a.const_data_ptr<float>(), *y = b.const_data_ptr<float>(),
              *got = mixed.const_data_ptr<float>();
  for (int64_t k = 0; k < 3 * width; ++k) {
    // three roundings in float of numbers no larger than |a| + |b|
    const double bound = 3 * 0x1p-24 * (std::abs(x[k]) + std::abs(y[k]));
    CHECK(std::abs(got[k] - (alpha * x[k] + (1 - alpha) * y[k])) <= bound);
  }
  CHECK(at::equal(additive_mof(a, b, 1), a));
  CHECK(at::equal(additive_mof(a, b, 0), b));
}

TEST_CASE("additive MoF keeps a dtype that both share and else gives float32", "[fusion]") {
  const Tensor a = random_rows(4, 9, 53), b = random_rows(4, 9, 54);
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16}) {
    const Tensor mixed = additive_mof(a.to(dtype), b.to(dtype), 0.25);
    CHECK(mixed.scalar_type() == dtype);
    const Tensor exact = a.to(dtype).to(at::kDouble) * 0.25 + b.to(dtype).to(at::kDouble) * 0.75;
    const double rounding = dtype == at::kBFloat16 ? 0x1p-8 : dtype == at::kHalf ? 0x1p-11 : 3 * 0x1p-24;
    CHECK((mixed.to(at::kDouble) - exact).abs().max().item<double>() <= rounding * 8);
  }
  CHECK(additive_mof(a, b.to(at::kBFloat16), 0.5).scalar_type() == at::kFloat);
  CHECK(additive_mof(a.to(at::kDouble), b, 0.5).scalar_type() == at::kFloat);
}

TEST_CASE("additive MoF in float64 is computed in double", "[fusion]") {
  const Tensor a = at::full({1}, 0.1, at::kDouble), b = at::full({1}, 0.7, at::kDouble);
  CHECK(additive_mof(a, b, 0.3).item<double>() == 0.3 * 0.1 + (1 - 0.3) * 0.7);
}

TEST_CASE("additive MoF is the same in pieces", "[fusion]") {
  const Tensor a = random_rows(600, 1000, 55), b = random_rows(600, 1000, 56);  // more than two tasks
  const Tensor whole = additive_mof(a, b, 0.3);
  for (const int64_t i : {0, 262, 599}) CHECK(at::equal(whole[i], additive_mof(a[i], b[i], 0.3)));
  CHECK(at::equal(additive_mof(a.t(), b.t(), 0.3), whole.t()));
  CHECK(additive_mof(at::empty({0, 3}), at::empty({0, 3}), 0.3).sizes() == at::IntArrayRef({0, 3}));
}

TEST_CASE("interleaved MoF puts a's token n at 2n and b's at 2n + 1", "[fusion]") {
  const at::ScalarType dtype = GENERATE(at::kFloat, at::kDouble, at::kHalf, at::kBFloat16);
  const int64_t tokens = GENERATE(0, 1, 5), width = GENERATE(0, 1, 33);
  const Tensor a = random_rows(3 * tokens, width, 57).reshape({3, tokens, width}).to(dtype);
  const Tensor b = random_rows(3 * tokens, width, 58).reshape({3, tokens, width}).to(dtype);
  const Tensor mixed = interleaved_mof(a, b);
  REQUIRE(mixed.scalar_type() == dtype);
  REQUIRE(mixed.sizes() == at::IntArrayRef({3, 2 * tokens, width}));
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t n = 0; n < tokens; ++n) {
      CHECK(at::equal(mixed[i][2 * n], a[i][n]));
      CHECK(at::equal(mixed[i][2 * n + 1], b[i][n]));
    }
  CHECK(at::equal(interleaved_mof(a[1], b[1]), mixed[1]));
}

TEST_CASE("interleaved MoF reads strides", "[fusion]") {
  const Tensor a = random_rows(6, 10, 59), b = random_rows(10, 6, 60);
  CHECK(at::equal(interleaved_mof(a.t(), b), interleaved_mof(a.t().contiguous(), b)));
}

TEST_CASE("features that do not fit are refused by name", "[fusion]") {
  const Tensor a = random_rows(4, 3, 61), b = random_rows(4, 2, 62);
  const Tensor half = a.to(at::kHalf);
  CHECK_THROWS_WITH(additive_mof(a, b, 0.5), "[additive_mof] shapes differ: [4, 3] Float and [4, 2] Float");
  CHECK_THROWS_WITH(interleaved_mof(a, b), "[interleaved_mof] shapes differ: [4, 3] Float and [4, 2] Float");
  CHECK_THROWS_WITH(interleaved_mof(a, half),
                    "[interleaved_mof] dtypes differ: [4, 3] Float and [4, 3] Half");
  CHECK_THROWS_WITH(interleaved_mof(a[0], a[0]),
                    Contains("expected [n, d] or [batch, n, d], found [3] Float"));
  CHECK_THROWS_WITH(additive_mof(a[0][0], a[0][0], 0.5), Contains("expected [..., d]"));
  CHECK_THROWS_WITH(additive_mof(a.to(at::kInt), a, 0.5),
                    Contains("expected floating dtypes") && Contains("Int"));
  CHECK_THROWS_WITH(additive_mof(Tensor(), a, 0.5), "[additive_mof] a is not a tensor");
  CHECK_THROWS_WITH(interleaved_mof(a, Tensor()), "[interleaved_mof] b is not a tensor");
  for (const double alpha : {-0.01, 1.01, std::nan("")})
    CHECK_THROWS_WITH(additive_mof(a, a, alpha), Contains("alpha must be in [0, 1], found"));
}
