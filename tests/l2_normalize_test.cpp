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
struct Result {
  std::vector<T> out;
  int32_t flag = 0;
};

template <class T>
Result<T> run(const RowShape& s, const std::vector<T>& x, bool in_place, int32_t flag_before = 0) {
  Buffer<T> from(x), to(std::vector<T>(x.size(), rounded<T>(77)));
  Buffer<int32_t> flag(std::vector<int32_t>{flag_before});
  Buffer<T>& out = in_place ? from : to;
  l2_normalize(place(), Rows<const T>{from.data() + s.offset, s.rows, s.width, s.stride()},
               Rows<T>{out.data() + s.offset, s.rows, s.width, s.stride()}, flag.data());
  return {out.host(), flag.host()[0]};
}

template <class T>
void check(const RowShape& s, bool in_place) {
  CAPTURE(s.rows, s.width, s.more, s.offset, in_place);
  const std::vector<T> x = random_stored<T>(s.count(), 7, 3);
  each_round([&] {
    const Result<T> got = run(s, x, in_place);
    CHECK(got.flag == 0);
    std::vector<float> kept = in_place ? floats(x) : std::vector<float>(x.size(), 77);
    double worst = 0;
    for (int64_t i = 0; i < s.rows; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < s.width; ++k) sum += double{to_float(x[s.at(i, k)])} * to_float(x[s.at(i, k)]);
      for (int64_t k = 0; k < s.width; ++k) {
        const double exact = to_float(x[s.at(i, k)]) / std::sqrt(sum);
        // the last rounding to T; in float half the error of the sum (a lane's share of the row, a tree of
        // five), then root, quotient and product
        const double allowed =
            std::abs(exact) * (rounding_of<T> + 0x1p-24 * (8 + static_cast<double>(s.width) / 64)) +
            (sizeof(T) == 2 ? 0x1p-25 : 0);
        const double share = std::abs(to_float(got.out[s.at(i, k)]) - exact) / allowed;
        worst = share <= worst ? worst : share;
        kept[s.at(i, k)] = to_float(got.out[s.at(i, k)]);
      }
    }
    CHECK(worst <= 1);
    CHECK(floats(got.out) == kept);  // nothing beside the rows is touched
  });
}

}  // namespace

TEMPLATE_TEST_CASE(
    "a row is divided by its length below, at and above a pack, a step of a warp and what it holds",
    "[l2_normalize]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 2, 4, 7, 8, 9, 31, 33, 127, 128, 129, 255, 256, 264, 512, 520, 1024, 1025,
                                 1032, 2048, 2056);
  check<TestType>({.rows = 3, .width = width}, false);
}

TEMPLATE_TEST_CASE("l2_normalize is right for one row less and more than a block has warps", "[l2_normalize]",
                   float, bf16, f16) {
  const int64_t rows = GENERATE(1, 7, 8, 9, 17);
  check<TestType>({.rows = rows, .width = 40}, false);
}

TEMPLATE_TEST_CASE("l2_normalize works in place, over strides and at any address", "[l2_normalize]", float,
                   bf16, f16) {
  const int64_t width = GENERATE(32, 45), more = GENERATE(0, 1, 3, 8), offset = GENERATE(0, 1, 8);
  const bool in_place = GENERATE(false, true);
  check<TestType>({.rows = 3, .width = width, .more = more, .offset = offset}, in_place);
}

TEMPLATE_TEST_CASE("a zero row stays zero and is flagged, wherever it is", "[l2_normalize]", float, bf16,
                   f16) {
  const int64_t zero = GENERATE(0, 8), width = GENERATE(3, 8);
  const RowShape s = {.rows = 9, .width = width};
  std::vector<TestType> x = random_stored<TestType>(s.count(), 8);
  for (int64_t k = 0; k < width; ++k) x[s.at(zero, k)] = rounded<TestType>(0);
  each_round([&] {
    const Result<TestType> got = run(s, x, false);
    CHECK(got.flag == 1);
    for (int64_t k = 0; k < width; ++k) CHECK(to_float(got.out[s.at(zero, k)]) == 0);
    CHECK(to_float(got.out[s.at(4, 0)]) != 0);
  });
}

TEST_CASE("3 and 4 become 0.6 and 0.8", "[l2_normalize]") {
  each_round([&] {
    CHECK(run<float>({.rows = 1, .width = 2}, {3, 4}, true).out == std::vector<float>{0.6f, 0.8f});
  });
}

TEMPLATE_TEST_CASE("a row that is not finite is flagged", "[l2_normalize]", float, bf16, f16) {
  const float bad = GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity());
  const int64_t place_of_bad = GENERATE(0, 16);
  std::vector<float> x(17, 1);
  x[place_of_bad] = bad;
  each_round([&] { CHECK(run<TestType>({.rows = 1, .width = 17}, stored<TestType>(x), false).flag == 1); });
}

TEST_CASE("l2_normalize reads or writes alone at an odd address", "[l2_normalize]") {
  const int64_t before_x = GENERATE(0, 1);
  each_round([&] {
    const Buffer<float> x(std::vector<float>(17, 2));
    Buffer<float> out(std::vector<float>(17, 77));
    Buffer<int32_t> flag(std::vector<int32_t>{0});
    l2_normalize(place(), Rows<const float>{x.data() + before_x, 1, 16, 16},
                 Rows<float>{out.data() + 1 - before_x, 1, 16, 16}, flag.data());
    std::vector<float> want(17, 0.25f);
    want[before_x ? 16 : 0] = 77;
    CHECK(out.host() == want);
  });
}

TEST_CASE("several rows may raise the flag", "[l2_normalize]") {
  each_round(
      [&] { CHECK(run<float>({.rows = 20, .width = 2}, std::vector<float>(40, 0.0f), false).flag == 1); });
}

TEST_CASE("a flag that is set stays set", "[l2_normalize]") {
  each_round([&] { CHECK(run<float>({.rows = 1, .width = 2}, {3, 4}, false, 1).flag == 1); });
}

TEST_CASE("l2_normalize of no rows does nothing", "[l2_normalize]") {
  each_round([&] { CHECK(run<float>({.rows = 0, .width = 2}, {3, 4}, false).flag == 0); });
}
