#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <unisim/error.h>
#include <unisim/mining.h>
#include <unisim/similarity.h>

#include <limits>
#include <set>

#include "cpu/lanes.h"
#include "kernels.h"
#include "mining_on_place.h"
#include "rows.h"
#include "support.h"

using namespace unisim;
using Catch::Matchers::Contains;
using test::cosine_by_definition;
using test::random_rows;

namespace {

/// Rows around few directions, so that every cosine occurs.
Tensor clustered_rows(int64_t n, int64_t d, uint64_t seed, double spread) {
  const Tensor centres = random_rows(7, d, seed + 1000);
  Tensor rows = random_rows(n, d, seed) * spread;
  for (int64_t i = 0; i < n; ++i) rows[i] += centres[(i * 5 + 3) % 7];
  return rows;
}

/// Makes row j lie at the given cosine of row i, to the dtype's rounding.
void plant(const Tensor& rows, int64_t i, int64_t j, double cosine) {
  const Tensor x = rows[i].to(at::kDouble) / rows[i].to(at::kDouble).norm();
  Tensor across = rows[j].to(at::kDouble);
  across = across - x * (x * across).sum();
  across = across / across.norm();
  rows[j].copy_(x * cosine + across * std::sqrt(1 - cosine * cosine));
}

std::vector<BlindPair> by_brute_force(const Tensor& alike, const Tensor& apart, double above, double below) {
  std::vector<BlindPair> pairs;
  for (int64_t i = 0; i < alike.size(0); ++i)
    for (int64_t j = i + 1; j < alike.size(0); ++j) {
      const double first = cosine_by_definition(alike[i], alike[j]);
      if (!(first > above)) continue;
      const double second = cosine_by_definition(apart[i], apart[j]);
      if (second < below) pairs.push_back({i, j, static_cast<float>(first), static_cast<float>(second)});
    }
  return pairs;
}

void check_equal(const std::vector<BlindPair>& got, const std::vector<BlindPair>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t k = 0; k < got.size(); ++k) {
    CHECK(std::pair(got[k].i, got[k].j) == std::pair(expected[k].i, expected[k].j));
    CHECK(std::abs(got[k].alike - expected[k].alike) <= 0x1p-24f);  // two sums in double, each rounded once
    CHECK(std::abs(got[k].apart - expected[k].apart) <= 0x1p-24f);
  }
}

}  // namespace

TEST_CASE("mining is brute force in double at every odd size", "[mining]") {
  const int64_t n = GENERATE(2, 31, 32, 33, 129, 150);
  const int64_t width = GENERATE(1, 9, 40);
  const Tensor alike = clustered_rows(n, width, 31, 0.3), apart = clustered_rows(n, width + 2, 32, 0.9);
  const auto pairs = mine_blind_pairs(alike, apart, {.alike_above = 0.8, .apart_below = 0.5});
  check_equal(pairs, by_brute_force(alike, apart, 0.8, 0.5));
  if (n == 150) CHECK(pairs.size() > 20);
}

TEST_CASE("a pair within a hair of a threshold is decided by its side", "[mining]") {
  const auto [dtype, hair] =
      GENERATE(table<at::ScalarType, double>({{at::kFloat, 1e-7}, {at::kDouble, 1e-12}}));
  const double above = GENERATE(0.95, 0.1 + 0.2), below = GENERATE(0.6, -0.25);
  // Rows 2k and 2k + 1 are planted: just inside or outside of either threshold.
  const Tensor alike = random_rows(80, 256, 33).to(dtype), apart = random_rows(80, 384, 34).to(dtype);
  std::set<std::pair<int64_t, int64_t>> expected;
  for (int64_t k = 0; k < 40; ++k) {
    const bool is_alike = k % 2 == 0, is_apart = k % 4 < 2;
    plant(alike, 2 * k, 2 * k + 1, above + (is_alike ? hair : -hair));
    plant(apart, 2 * k, 2 * k + 1, below + (is_apart ? -hair : hair));
    if (is_alike && is_apart) expected.emplace(2 * k, 2 * k + 1);
  }
  std::set<std::pair<int64_t, int64_t>> got;
  for (const BlindPair& pair : mine_blind_pairs(alike, apart, {.alike_above = above, .apart_below = below}))
    if (pair.i % 2 == 0 && pair.j == pair.i + 1) got.emplace(pair.i, pair.j);
  CHECK(got == expected);
}

TEST_CASE("thresholds are doubles and strict", "[mining]") {
  // (3, 4) and (5, 0): the cosine is 3 / 5, the double nearest to 0.6, which 0.6f is not.
  const Tensor rows = at::zeros({2, 2});
  rows[0][0] = 3;
  rows[0][1] = 4;
  rows[1][0] = 5;
  const auto count = [&](double above, double below) {
    return mine_blind_pairs(rows, rows, {.alike_above = above, .apart_below = below}).size();
  };
  CHECK(count(0.5, 0.6) == 0);
  CHECK(count(0.5, std::nextafter(0.6, 1)) == 1);
  CHECK(count(0.5, double{0.6f}) == 1);
  CHECK(count(0.6, 0.7) == 0);
  CHECK(count(std::nextafter(0.6, 0), 0.7) == 1);
}

TEST_CASE("duplicates are at 1, neither above nor below it", "[mining]") {
  const Tensor alike = random_rows(1, 333, 35).expand({40, 333}).contiguous(), apart = random_rows(40, 9, 36);
  CHECK(mine_blind_pairs(alike, apart, {.alike_above = 1, .apart_below = 2}).empty());
  CHECK(mine_blind_pairs(apart, alike, {.alike_above = -2, .apart_below = 1}).empty());
  CHECK(mine_blind_pairs(alike, alike, {.alike_above = std::nextafter(1, 0), .apart_below = 2}).size() ==
        780);
}

TEST_CASE("thresholds outside of [-1, 1] let everything or nothing through", "[mining]") {
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor alike = random_rows(131, 5, 37), apart = random_rows(131, 3, 38);
  const double low = GENERATE_COPY(-2.0, -1e300, -infinity), high = GENERATE_COPY(2.0, 1e300, infinity);
  CHECK(mine_blind_pairs(alike, apart, {.alike_above = low, .apart_below = high}).size() == 131 * 130 / 2);
  CHECK(mine_blind_pairs(alike, apart, {.alike_above = high, .apart_below = high}).empty());
  CHECK(mine_blind_pairs(alike, apart, {.alike_above = low, .apart_below = low}).empty());
}

TEST_CASE("rows of any length and dtype are mined by their exact values", "[mining]") {
  const Tensor alike = clustered_rows(60, 24, 39, 0.3), apart = clustered_rows(60, 24, 40, 0.9);
  const MiningOptions options{.alike_above = 0.85, .apart_below = 0.5};
  const auto pairs = mine_blind_pairs(alike, apart, options);
  REQUIRE(pairs.size() > 5);
  SECTION("scaled by powers of two") {
    const Tensor scaled = alike.clone(), far = apart.to(at::kDouble);
    for (int64_t i = 0; i < 60; ++i) {
      scaled[i] *= std::ldexp(1.0, static_cast<int>(i * 3) - 90);
      far[i] *= std::ldexp(1.0, static_cast<int>(i * 30) - 900);
    }
    CHECK(mine_blind_pairs(scaled, far, options) == pairs);
  }
  SECTION("in half precision: of the values as rounded") {
    const at::ScalarType dtype = GENERATE(at::kHalf, at::kBFloat16);
    const Tensor a = alike.to(dtype), b = apart.to(dtype);
    CHECK(mine_blind_pairs(a, b, options) == mine_blind_pairs(a.to(at::kDouble), b.to(at::kFloat), options));
  }
  SECTION("strided") { CHECK(mine_blind_pairs(alike.t().contiguous().t(), apart, options) == pairs); }
  SECTION("zero rows are at 0 from all") {
    alike[3].zero_();
    for (const BlindPair& pair : mine_blind_pairs(alike, apart, {.alike_above = -0.5, .apart_below = 2})) {
      if (pair.i == 3 || pair.j == 3) CHECK(pair.alike == 0);
    }
    check_equal(mine_blind_pairs(alike, apart, options), by_brute_force(alike, apart, 0.85, 0.5));
  }
}

TEST_CASE("threads and instruction sets change nothing", "[mining]") {
  const Tensor alike = clustered_rows(300, 50, 41, 0.4), apart = clustered_rows(300, 20, 42, 0.9);
  const auto pairs = mine_blind_pairs(alike, apart, {.alike_above = 0.8});
  REQUIRE(pairs.size() > 50);
  const int threads = at::get_num_threads();
  for (const int count : {1, 3, 8}) {
    at::set_num_threads(count);
    CHECK(mine_blind_pairs(alike, apart, {.alike_above = 0.8}) == pairs);
  }
  at::set_num_threads(threads);
  for (const Isa limit : {Isa::Baseline, Isa::Avx2}) {
    isa_limit = limit;
    CHECK(mine_blind_pairs(alike, apart, {.alike_above = 0.8}) == pairs);
  }
  isa_limit = Isa::Avx512;
}

TEST_CASE("mining in place finds the same pairs, or leaves what must be scaled", "[mining]") {
  const auto [first, second] = GENERATE(table<at::ScalarType, at::ScalarType>(
      {{at::kFloat, at::kDouble}, {at::kDouble, at::kHalf}, {at::kBFloat16, at::kFloat}}));
  const Tensor alike = clustered_rows(200, 50, 48, 0.4).to(first),
               apart = clustered_rows(200, 20, 49, 0.9).to(second);
  MiningOptions options{.alike_above = 0.8};
  const auto pairs = mine_blind_pairs(alike, apart, options);
  REQUIRE(pairs.size() > 20);
  int64_t last = 0;
  options.progress = [&](int64_t done, int64_t total) {
    CHECK(total == 1);
    last = done;
  };
  CHECK(mine_on(Cpu{}, alike, apart, options) == pairs);
  CHECK(last == 1);
  CHECK(mine_on(Cpu{}, alike.t().contiguous().t(), apart, options) == pairs);
  const Tensor large = alike.to(at::kDouble) * 1e160;
  CHECK(mine_on(Cpu{}, large, apart, options) == std::nullopt);
  CHECK(mine_on(Cpu{}, apart, large, options) == std::nullopt);
  Tensor bad = alike.to(at::kFloat).clone();
  bad[7][3] = std::nan("");
  CHECK_THROWS_WITH(mine_on(Cpu{}, bad, apart, options), "[mine_blind_pairs] row 7 of alike is not finite");
  CHECK(mine_on(Cpu{}, at::empty({0, 4}), at::empty({0, 7}), options)->empty());
}

TEST_CASE("the float filter errs by less than its guard", "[mining]") {
  const int64_t width = GENERATE(1, 2, 33, 768, 4099);
  isa_limit = GENERATE(Isa::Baseline, Isa::Avx2, Isa::Avx512);
  // Equal signs are the worst case of a sum in float: nothing cancels.
  const Tensor rows = random_rows(2, width, 43).abs();
  std::vector<double> squares(2);
  const Rows<const float> view{rows.const_data_ptr<float>(), 2, width, width};
  squared_lengths(Cpu{}, view, squares.data());
  std::vector<float> packed(static_cast<std::size_t>(kPanelRows * width));
  pack_panel(Cpu{}, view, squares.data(), 0, packed.data());
  const double exact = cosine(Cpu{}, view.row(0), squares[0], view.row(1), squares[1], width);
  const double guard = filter_guard(width);
  std::vector<PanelPair> found(kPanelRows * kPanelRows);
  const Panels panels{packed.data(), 2, width};
  CHECK(filter_pairs(Cpu{}, panels, 0, 0, static_cast<float>(exact - guard), found.data()) == 1);
  CHECK(filter_pairs(Cpu{}, panels, 0, 0, static_cast<float>(exact + guard), found.data()) == 0);
  CHECK(filter_guard(int64_t{1} << 40) >= 2);  // where float says nothing, everything passes
  isa_limit = Isa::Avx512;
}

TEST_CASE("mining reports blocks done and ends when told", "[mining]") {
  const Tensor rows = clustered_rows(300, 8, 44, 0.1);  // 3 x 4 / 2 blocks of 128
  int64_t last = 0, calls = 0;
  mine_blind_pairs(rows, rows, {.progress = [&](int64_t done, int64_t total) {
                     CHECK(total == 6);
                     CHECK(done > last);
                     last = done;
                     ++calls;
                   }});
  CHECK(last == 6);
  CHECK(calls >= 1);
  CHECK_THROWS_AS(mine_blind_pairs(rows, rows, {.progress = [](int64_t, int64_t) { throw Cancelled(); }}),
                  Cancelled);
}

TEST_CASE("no rows and one row have no pairs", "[mining]") {
  CHECK(mine_blind_pairs(at::empty({0, 4}), at::empty({0, 7}), {.alike_above = -2}).empty());
  CHECK(mine_blind_pairs(random_rows(1, 4, 45), random_rows(1, 7, 46), {.alike_above = -2, .apart_below = 2})
            .empty());
}

TEST_CASE("what cannot be mined is refused by name", "[mining]") {
  const Tensor rows = random_rows(5, 4, 47), bad = rows.clone();
  bad[2][1] = std::nan("");
  CHECK_THROWS_WITH(mine_blind_pairs(rows, random_rows(6, 4, 1)),
                    "[mine_blind_pairs] row counts differ: alike has 5 and apart 6");
  CHECK_THROWS_WITH(mine_blind_pairs(bad, rows), "[mine_blind_pairs] row 2 of alike is not finite");
  CHECK_THROWS_WITH(mine_blind_pairs(rows, bad), "[mine_blind_pairs] row 2 of apart is not finite");
  CHECK_THROWS_WITH(mine_blind_pairs(rows, rows, {.alike_above = std::nan("")}), Contains("alike_above"));
  CHECK_THROWS_WITH(mine_blind_pairs(rows, rows, {.apart_below = std::nan("")}), Contains("apart_below"));
  CHECK_THROWS_WITH(mine_blind_pairs(rows[0], rows), Contains("alike must be [n, d]"));
  CHECK_THROWS_WITH(mine_blind_pairs(rows, rows.to(at::kInt)),
                    Contains("apart must be [n, d]") && Contains("Int"));
  CHECK_THROWS_WITH(mine_blind_pairs(Tensor(), rows), "[mine_blind_pairs] alike is not a tensor");
}

TEST_CASE("a pair prints as its four numbers", "[mining]") {
  CHECK(text_of(BlindPair{3, 14, 0.5f, 0.25f}) == "3 14 0.5 0.25");
}
