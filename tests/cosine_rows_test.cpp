#include <cmath>
#include <limits>

#include "kernels.h"
#include "row_shape.h"
#include "stored.h"
#include "support.h"
#include "test_place.h"

using namespace unisim;
using namespace unisim::test;

namespace {

template <class T>
std::vector<float> run(const RowShape& s, const std::vector<T>& a, const std::vector<T>& b) {
  const Buffer<T> x(a), y(b);
  Buffer<float> out(std::vector<float>(static_cast<std::size_t>(s.rows + 1), 77));
  cosine_rows(place(), Rows<const T>{x.data() + s.offset, s.rows, s.width, s.stride()},
              Rows<const T>{y.data() + s.offset, s.rows, s.width, s.stride()}, out.data());
  std::vector<float> got = out.host();
  CHECK(got.back() == 77);
  got.pop_back();
  return got;
}

/// Each sum in float: a lane's share of the row and a tree of five, of terms no larger than |a| |b| together.
template <class T>
void check(const RowShape& s) {
  CAPTURE(s.rows, s.width, s.more, s.offset);
  const std::vector<T> a = random_stored<T>(s.count(), 1), noise = random_stored<T>(s.count(), 2);
  std::vector<T> b;  // the further down, the less alike
  for (std::size_t k = 0; k < a.size(); ++k)
    b.push_back(rounded<T>(to_float(a[k]) + 0.4f * static_cast<float>(k) / static_cast<float>(s.stride()) *
                                                to_float(noise[k])));
  each_round([&] {
    const std::vector<float> got = run(s, a, b);
    for (int64_t i = 0; i < s.rows; ++i) {
      double dot = 0, x = 0, y = 0;
      for (int64_t k = 0; k < s.width; ++k) {
        const double p = to_float(a[s.at(i, k)]), q = to_float(b[s.at(i, k)]);
        dot += p * q;
        x += p * p;
        y += q * q;
      }
      CHECK(std::abs(got[i] - dot / std::sqrt(x * y)) <=
            2 * 0x1p-24 * (16 + static_cast<double>(s.width) / 32));
    }
  });
}

}  // namespace

TEMPLATE_TEST_CASE("cosine_rows is right below, at and above a pack and a step of a warp", "[cosine_rows]",
                   float, bf16, f16) {
  const int64_t width = GENERATE(1, 3, 4, 7, 8, 9, 127, 128, 129, 255, 256, 257, 264, 1024, 1033, 1100);
  check<TestType>({.rows = 3, .width = width});
}

TEMPLATE_TEST_CASE("cosine_rows is right for one row less and more than a block has warps", "[cosine_rows]",
                   float, bf16, f16) {
  const int64_t rows = GENERATE(1, 7, 8, 9, 17);
  check<TestType>({.rows = rows, .width = 40});
}

TEMPLATE_TEST_CASE("cosine_rows reads strides and any address", "[cosine_rows]", float, bf16, f16) {
  const int64_t width = GENERATE(32, 45), more = GENERATE(0, 1, 3, 8), offset = GENERATE(0, 1, 8);
  check<TestType>({.rows = 3, .width = width, .more = more, .offset = offset});
}

TEMPLATE_TEST_CASE("identical rows have a cosine of exactly 1, opposite ones of -1", "[cosine_rows]", float,
                   bf16, f16) {
  const RowShape s = {.rows = 40, .width = 50};
  const std::vector<TestType> a = random_stored<TestType>(s.count(), 5);
  std::vector<float> values = floats(a);
  for (float& value : values) value = -value;
  each_round([&] {
    CHECK(run(s, a, a) == std::vector<float>(40, 1));
    CHECK(run(s, a, stored<TestType>(values)) == std::vector<float>(40, -1));
  });
}

TEST_CASE("cosine_rows reads either side alone at an odd address", "[cosine_rows]") {
  const int64_t before_a = GENERATE(0, 1), before_b = 1 - before_a;
  const std::vector<float> a = random_floats(65, 3);
  each_round([&] {
    const Buffer<float> x(a), y(std::vector<float>(a.begin() + 1, a.end()));
    Buffer<float> out(std::vector<float>(1, 77));
    // the same 64 numbers twice: from the second of x, and the first of y
    const Rows<const float> from_x = {x.data() + 1, 1, 64, 64}, from_y = {y.data(), 1, 64, 64};
    cosine_rows(place(), before_a ? from_x : from_y, before_b ? from_x : from_y, out.data());
    CHECK(out.host() == std::vector<float>{1});
  });
}

TEST_CASE("the cosine with a zero row is 0, with a NaN a NaN", "[cosine_rows]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  each_round([&] {
    const std::vector<float> got =
        run<float>({.rows = 4, .width = 2}, {0, 0, 1, 2, 0, 0, 3, nan}, {1, 2, 0, 0, 0, 0, 1, 2});
    CHECK(std::vector<float>(got.begin(), got.end() - 1) == std::vector<float>{0, 0, 0});
    CHECK(std::isnan(got[3]));
  });
}

TEST_CASE("the cosine of rows does not depend on their lengths", "[cosine_rows]") {
  const float length = GENERATE(1e-18f, 1e-12f, 1e12f, 1e18f);
  each_round([&] {
    const std::vector<float> got =
        run<float>({.rows = 1, .width = 2}, {3 * length, 4 * length}, {4 * length, 3 * length});
    CHECK(std::abs(got[0] - 0.96f) <= 4 * 0x1p-24f);
  });
}

TEST_CASE("cosine_rows of no rows does nothing", "[cosine_rows]") {
  each_round([&] { CHECK(run<float>({.rows = 0, .width = 4}, {1, 2, 3, 4}, {1, 2, 3, 4}).empty()); });
}
