#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <unisim/similarity.h>

#include <limits>

#include "cpu/lanes.h"
#include "rows.h"
#include "run_on.h"
#include "support.h"

using namespace unisim;
using Catch::Matchers::Contains;
using test::cosine_by_definition;
using test::random_rows;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// One rounding to float of a number up to 1, and what sums in double may differ by.
constexpr double kRounding = 0x1p-25 + 1e-12;

void check_by_definition(const Tensor& a, const Tensor& b) {
  const Tensor got = cosine(a, b);
  REQUIRE(got.scalar_type() == at::kFloat);
  REQUIRE(got.sizes() == at::IntArrayRef({a.size(0), b.size(0)}));
  double worst = 0;
  for (int64_t i = 0; i < a.size(0); ++i)
    for (int64_t j = 0; j < b.size(0); ++j)
      worst = std::max(worst, std::abs(double{got.const_data_ptr<float>()[i * b.size(0) + j]} -
                                       cosine_by_definition(a[i], b[j])));
  CHECK(worst <= kRounding);
}

}  // namespace

TEST_CASE("the cosine is its definition at every odd size", "[similarity]") {
  const int64_t width = GENERATE(1, 2, 7, 8, 9, 31, 127, 1025);
  check_by_definition(random_rows(5, width, 1), random_rows(67, width, 2));
  check_by_definition(random_rows(1, width, 3), random_rows(3, width, 4));
}

TEST_CASE("the cosine is its definition in every floating dtype", "[similarity]") {
  const at::ScalarType dtype = GENERATE(at::kFloat, at::kDouble, at::kHalf, at::kBFloat16);
  check_by_definition(random_rows(9, 33, 5).to(dtype), random_rows(6, 33, 6).to(dtype));
}

TEST_CASE("two dtypes are promoted, not rounded", "[similarity]") {
  const Tensor a = random_rows(3, 17, 7), b = random_rows(3, 17, 8).to(at::kDouble);
  check_by_definition(a, b);
  CHECK(at::equal(cosine(a, b), cosine(a.to(at::kDouble), b)));
}

TEST_CASE("strides do not matter", "[similarity]") {
  const Tensor wide = random_rows(12, 40, 9), b = random_rows(4, 20, 10);
  const Tensor a = wide.slice(0, 1, 11, 2).slice(1, 0, 40, 2);
  REQUIRE(!a.is_contiguous());
  CHECK(at::equal(cosine(a, b), cosine(a.contiguous(), b)));
  CHECK(at::equal(cosine(wide.t(), wide.t()), cosine(wide.t().contiguous(), wide.t().contiguous())));
}

TEST_CASE("rows of any length have a direction", "[similarity]") {
  const Tensor a = random_rows(6, 33, 11), b = random_rows(6, 33, 12);
  const Tensor expected = cosine(a.to(at::kDouble), b.to(at::kDouble));
  SECTION("float32, 2^100 and 2^-100: the same bits") {
    const double scale = GENERATE(0x1p100, 0x1p-100);
    CHECK(at::equal(cosine(a * scale, b * (1 / scale)), expected));
  }
  SECTION("float64, up to the ends of the range: the same bits") {
    const double scale = GENERATE(0x1p1000, 0x1p-1000, 0x1p300, 0x1p-300);
    const Tensor x = a.to(at::kDouble) * scale;
    CHECK(at::equal(cosine(x, b), expected));
    CHECK(at::equal(cosine(x, b.to(at::kDouble) * scale), expected));
  }
  SECTION("float32, 1e30, 1e-30 and denormals") {
    const double scale = GENERATE(1e30, 1e-30, 1e-41);
    check_by_definition(a * scale, b);
  }
  SECTION("float64 denormals are exact numbers too") {
    const Tensor x = at::full({1, 2}, 0x1p-1074, at::kDouble), y = at::full({1, 2}, 3.0);
    CHECK(cosine(x, y).item<float>() == 1.0f);
  }
}

TEST_CASE("a zero row scores 0 against everything, zero rows too", "[similarity]") {
  const at::ScalarType dtype = GENERATE(at::kFloat, at::kDouble, at::kHalf);
  const Tensor a = at::zeros({2, 5}, dtype), b = random_rows(3, 5, 13).to(dtype);
  b[1].zero_();
  CHECK(at::equal(cosine(a, b), at::zeros({2, 3})));
  CHECK(at::equal(cosine(-a, -b), at::zeros({2, 3})));
  CHECK(at::equal(cosine_rows(a, a), at::zeros({2})));
  CHECK(at::equal(cosine(b, b)[1], at::zeros({3})));
  CHECK(at::equal(cosine(b, b).t()[1], at::zeros({3})));
  CHECK(cosine(b, b)[0][0].item<float>() == 1.0f);
}

TEST_CASE("identical rows give exactly 1 and opposite ones -1", "[similarity]") {
  const int64_t width = GENERATE(1, 3, 100, 769);
  const Tensor a = random_rows(50, width, 14) * GENERATE(1.0, 1e-20, 3e18);
  CHECK(at::equal(cosine_rows(a, a), at::ones({50})));
  CHECK(at::equal(cosine_rows(a, -a), -at::ones({50})));
  CHECK(at::equal(cosine(a, a).diagonal(), at::ones({50})));
  CHECK(cosine(a, a).abs().max().item<float>() <= 1.0f);
}

TEST_CASE("the definition gives 1 in double for every square of a length", "[similarity]") {
  for (const float length : test::random_floats(1000, 23)) {
    const double square = length * length / 3.0;
    CHECK(cosine_of(square, square, square) == 1.0);
    CHECK(cosine_of(-square, square, square) == -1.0);
    CHECK(cosine_of(std::nextafter(square, 2 * square), square, square) == 1.0);
  }
}

TEST_CASE("the caller's rows are left as they are", "[similarity]") {
  const Tensor a = random_rows(4, 5, 24).to(at::kDouble) * 1e300, before = a.clone();
  cosine(a, a);
  cosine_rows(a, a);
  CHECK(at::equal(a, before));
}

TEST_CASE("a row does not depend on the others", "[similarity]") {
  const Tensor a = random_rows(131, 37, 15), b = random_rows(70, 37, 16);
  const Tensor all = cosine(a, b);
  for (const int64_t i : {0, 63, 64, 130})
    CHECK(at::equal(cosine(a.slice(0, i, i + 1), b.slice(0, 5, 70)), all.slice(0, i, i + 1).slice(1, 5, 70)));
  CHECK(at::equal(cosine(b, a), all.t()));
  CHECK(at::equal(cosine_rows(a.slice(0, 0, 70), b), all.slice(0, 0, 70).diagonal()));
}

TEST_CASE("every instruction set gives the same bits", "[similarity]") {
  const at::ScalarType dtype = GENERATE(at::kFloat, at::kDouble);
  const Tensor a = random_rows(21, 45, 17).to(dtype) / 3, b = random_rows(19, 45, 18).to(dtype) / 7;
  const Tensor best = cosine(a, b);
  for (const Isa limit : {Isa::Baseline, Isa::Avx2}) {
    isa_limit = limit;
    CHECK(at::equal(cosine(a, b), best));
    CHECK(at::equal(cosine_rows(a.slice(0, 0, 19), b), best.slice(0, 0, 19).diagonal()));
  }
  isa_limit = Isa::Avx512;
}

TEST_CASE("no rows give no cosines", "[similarity]") {
  CHECK(cosine(at::empty({0, 4}), random_rows(3, 4, 19)).sizes() == at::IntArrayRef({0, 3}));
  CHECK(cosine(random_rows(3, 4, 19), at::empty({0, 4})).sizes() == at::IntArrayRef({3, 0}));
  CHECK(cosine_rows(at::empty({0, 4}), at::empty({0, 4})).sizes() == at::IntArrayRef({0}));
}

TEST_CASE("a row that is not finite is named with its side", "[similarity]") {
  const double bad = GENERATE(1.0, -1.0, 0.0) * kInfinity;
  const at::ScalarType dtype = GENERATE(at::kFloat, at::kDouble, at::kBFloat16);
  const Tensor a = random_rows(300, 5, 20).to(dtype), b = random_rows(300, 5, 21).to(dtype);
  b[270][4] = bad;
  b[299][0] = bad;
  INFO(bad << " in " << dtype);
  CHECK_THROWS_WITH(cosine(a, b), "[cosine] row 270 of b is not finite");
  CHECK_THROWS_WITH(cosine_rows(b, a), "[cosine_rows] row 270 of a is not finite");
}

TEST_CASE("what is not rows is refused by name", "[similarity]") {
  const Tensor a = random_rows(3, 4, 22);
  CHECK_THROWS_WITH(cosine(a, random_rows(3, 5, 1)), "[cosine] widths differ: 4 and 5");
  CHECK_THROWS_WITH(cosine_rows(a, random_rows(2, 4, 1)), "[cosine_rows] row counts differ: 3 and 2");
  CHECK_THROWS_WITH(cosine(a[0], a), Contains("a must be [n, d]") && Contains("[4] Float"));
  CHECK_THROWS_WITH(cosine(a, a.to(at::kLong)), Contains("b must be [n, d]") && Contains("[3, 4] Long"));
  CHECK_THROWS_WITH(cosine(a, a.to(at::kComplexFloat)), Contains("ComplexFloat"));
  CHECK_THROWS_WITH(cosine(at::empty({3, 0}), at::empty({3, 0})), Contains("d >= 1"));
  CHECK_THROWS_WITH(cosine(Tensor(), a), "[cosine] a is not a tensor");
  CHECK_THROWS_WITH(cosine_rows(a, Tensor()), "[cosine_rows] b is not a tensor");
  CHECK_THROWS_WITH(cosine(a.to(at::kMeta), a), Contains("on meta"));
  CHECK_THROWS_AS(cosine(a, a[0]), std::invalid_argument);
}

TEST_CASE("a kernel runs where its data lies, and nowhere else", "[run_on]") {
  CHECK(run_on(Device("cpu"), [](auto place) { return std::is_same_v<decltype(place), Cpu>; }));
  CHECK_THROWS_WITH(run_on(Device("meta"), [](auto) { return 0; }),
                    "[run_on] no kernels are built for device meta");
}
