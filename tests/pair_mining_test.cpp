#include "pair_mining.h"

#include <cmath>
#include <limits>
#include <memory>
#include <set>

#include "kernels.h"
#include "test_place.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

/// Rows of one encoder on the host.
template <class T>
struct Encoded {
  int64_t n, width;
  std::vector<T> values;

  T* row(int64_t i) { return values.data() + i * width; }
  const T* row(int64_t i) const { return values.data() + i * width; }
};

/// Rows around few directions, so that every cosine occurs.
template <class T>
Encoded<T> clustered(int64_t n, int64_t width, uint64_t seed, float spread) {
  const std::vector<float> centres = random_floats(static_cast<std::size_t>(7 * width), seed + 1000),
                           noise = random_floats(static_cast<std::size_t>(n * width), seed);
  Encoded<T> x{n, width, {}};
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < width; ++k)
      x.values.push_back(
          static_cast<T>(spread * noise[i * width + k] + centres[(i * 5 + 3) % 7 * width + k]));
  return x;
}

/// The cosine by definition, in the order of sums that is the library's.
template <class T>
double cosine_at(const Encoded<T>& x, int64_t i, int64_t j) {
  double squares[2];
  squared_lengths(Cpu{}, Rows<const T>{x.row(i), 1, x.width, x.width}, &squares[0]);
  squared_lengths(Cpu{}, Rows<const T>{x.row(j), 1, x.width, x.width}, &squares[1]);
  return cosine(Cpu{}, x.row(i), squares[0], x.row(j), squares[1], x.width);
}

/// Makes row j lie at the given cosine of row i, to the rounding of T.
template <class T>
void plant(Encoded<T>& x, int64_t i, int64_t j, double cosine) {
  double length = 0, along = 0, across = 0;
  for (int64_t k = 0; k < x.width; ++k) length += static_cast<double>(x.row(i)[k]) * x.row(i)[k];
  for (int64_t k = 0; k < x.width; ++k) along += static_cast<double>(x.row(i)[k]) * x.row(j)[k];
  const auto rest = [&](int64_t k) { return x.row(j)[k] - x.row(i)[k] * along / length; };
  for (int64_t k = 0; k < x.width; ++k) across += rest(k) * rest(k);
  const double sine = std::sqrt(1 - cosine * cosine);
  for (int64_t k = 0; k < x.width; ++k)
    x.row(j)[k] =
        static_cast<T>(x.row(i)[k] / std::sqrt(length) * cosine + rest(k) / std::sqrt(across) * sine);
}

template <class A, class B>
std::vector<ScoredPair> by_brute_force(const Encoded<A>& alike, const Encoded<B>& apart, double above,
                                       double below) {
  std::vector<ScoredPair> pairs;
  for (int64_t i = 0; i < alike.n; ++i)
    for (int64_t j = i + 1; j < alike.n; ++j) {
      const double first = cosine_at(alike, i, j), second = cosine_at(apart, i, j);
      if (first > above && second < below) pairs.push_back({i, j, first, second});
    }
  return pairs;
}

/// Memory of the place, of exactly the bytes asked; the allocation of this number fails.
PlaceMemory memory_failing_at(int64_t failing) {
  return [left = std::make_shared<int64_t>(failing)](std::size_t bytes) -> std::shared_ptr<void> {
    if ((*left)-- == 0) return nullptr;
    const auto buffer = std::make_shared<Buffer<char>>(static_cast<int64_t>(bytes));
    return {buffer, buffer->data()};
  };
}
PlaceMemory memory() { return memory_failing_at(-1); }

template <class A, class B>
std::vector<ScoredPair> mine(const Encoded<A>& alike, const Encoded<B>& apart, const PairMining& mining) {
  const Buffer<A> a(alike.values);
  const Buffer<B> b(apart.values);
  Buffer<double> squares(alike.n);
  const Rows<const A> rows{a.data(), alike.n, alike.width, alike.width};
  squared_lengths(place(), rows, squares.data());
  return mine_pairs(place(), SquaredRows<A>{rows, squares.data()},
                    Rows<const B>{b.data(), apart.n, apart.width, apart.width}, mining);
}

}  // namespace

TEMPLATE_TEST_CASE("mining is brute force in double at every odd size", "[pair_mining]", float, double) {
  const int64_t n = GENERATE(1, 2, 63, 64, 65, 127, 128, 129);
  const int64_t width = n == 65 ? 40 : 9;
  const auto alike = clustered<TestType>(n, width, 31, 0.3f);
  const auto apart = clustered<float>(n, width + 2, 32, 0.9f);
  const auto expected = by_brute_force(alike, apart, 0.8, 0.5);
  if (n == 129) REQUIRE(expected.size() > 20);
  each_round([&] {
    CHECK(mine(alike, apart, {.alike_above = 0.8, .apart_below = 0.5, .memory = memory()}) == expected);
  });
}

TEMPLATE_TEST_CASE("a pair within 1e-7 of a threshold is decided by its side", "[pair_mining]", float,
                   double) {
  const double above = GENERATE(0.95, 0.1 + 0.2), below = GENERATE(0.6, -0.25);
  // Rows 2k and 2k + 1 are planted: just inside or outside of either threshold.
  auto alike = clustered<TestType>(80, 128, 33, 1), apart = clustered<TestType>(80, 96, 34, 1);
  std::set<std::pair<int64_t, int64_t>> planted;
  for (int64_t k = 0; k < 40; ++k) {
    const bool is_alike = k % 2 == 0, is_apart = k % 4 < 2;
    plant(alike, 2 * k, 2 * k + 1, above + (is_alike ? 1e-7 : -1e-7));
    plant(apart, 2 * k, 2 * k + 1, below + (is_apart ? -1e-7 : 1e-7));
    if (is_alike && is_apart) planted.emplace(2 * k, 2 * k + 1);
  }
  const auto expected = by_brute_force(alike, apart, above, below);
  each_round([&] {
    const auto got = mine(alike, apart, {.alike_above = above, .apart_below = below, .memory = memory()});
    CHECK(got == expected);
    std::set<std::pair<int64_t, int64_t>> found;
    for (const ScoredPair& pair : got)
      if (pair.i % 2 == 0 && pair.j == pair.i + 1) found.emplace(pair.i, pair.j);
    CHECK(found == planted);
  });
}

TEST_CASE("a list that overflows is grown and its band run again, without a pair lost or repeated",
          "[pair_mining]") {
  // Rows 0 to 39 lie anywhere, 40 to 79 in pairs, the others in clusters: every band of 40 finds more than
  // the last.
  auto alike = clustered<float>(129, 16, 35, 0.3f);
  const auto apart = clustered<float>(129, 8, 36, 0.9f);
  const std::vector<float> anywhere = random_floats(60 * 16, 135);
  std::copy(anywhere.begin(), anywhere.end(), alike.row(0));
  std::copy(alike.row(40), alike.row(60), alike.row(60));
  const auto expected = by_brute_force(alike, apart, 0.7, 0.6);
  REQUIRE(expected.size() > 50);
  // With few pairs at most, bands are halved, too.
  const auto [band_rows, capacity, most] =
      GENERATE(table<int64_t, int64_t, int64_t>({{40, 1, 1000000}, {129, 60, 1000000}, {129, 1, 300}}));
  CAPTURE(band_rows, capacity, most);
  each_round([&] {
    int64_t allocations = 0;
    const PairMining mining{.alike_above = 0.7,
                            .apart_below = 0.6,
                            .memory =
                                [&](std::size_t bytes) {
                                  ++allocations;
                                  return memory()(bytes);
                                },
                            .band_rows = band_rows,
                            .capacity = capacity,
                            .most_pairs = most};
    CHECK(mine(alike, apart, mining) == expected);
    if (band_rows == 40) CHECK(allocations >= 3 + 3);  // grown in three bands
  });
}

TEST_CASE("thresholds are doubles and strict on a place", "[pair_mining]") {
  // (3, 4) and (5, 0): the cosine is 3 / 5, the double nearest to 0.6, which 0.6f is not.
  const Encoded<float> rows{2, 2, {3, 4, 5, 0}};
  const auto count = [&](double above, double below) {
    return mine(rows, rows, {.alike_above = above, .apart_below = below, .memory = memory()}).size();
  };
  each_round([&] {
    CHECK(count(0.5, 0.6) == 0);
    CHECK(count(0.5, std::nextafter(0.6, 1)) == 1);
    CHECK(count(0.5, double{0.6f}) == 1);
    CHECK(count(0.6, 0.7) == 0);
    CHECK(count(std::nextafter(0.6, 0), 0.7) == 1);
  });
}

TEST_CASE("duplicates are at 1 on a place, neither above nor below it", "[pair_mining]") {
  Encoded<float> alike = clustered<float>(1, 65, 37, 1);
  const auto apart = clustered<float>(20, 9, 38, 1);
  alike.n = 20;
  for (int64_t i = 1; i < 20; ++i) alike.values.insert(alike.values.end(), alike.row(0), alike.row(0) + 65);
  each_round([&] {
    CHECK(mine(alike, apart, {.alike_above = 1, .apart_below = 2, .memory = memory()}).empty());
    CHECK(mine(apart, alike, {.alike_above = -2, .apart_below = 1, .memory = memory()}).empty());
    CHECK(mine(alike, alike, {.alike_above = std::nextafter(1, 0), .apart_below = 2, .memory = memory()})
              .size() == 190);
  });
}

TEST_CASE("thresholds outside of [-1, 1] let everything or nothing through on a place", "[pair_mining]") {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto alike = clustered<float>(40, 5, 39, 1), apart = clustered<float>(40, 3, 40, 1);
  const auto [low, high] = GENERATE_COPY(table<double, double>({{-2.0, 2.0}, {-infinity, infinity}}));
  const auto count = [&, a = &alike, b = &apart](double above, double below) {
    return mine(*a, *b, {.alike_above = above, .apart_below = below, .memory = memory()}).size();
  };
  each_round([&] {
    CHECK(count(low, high) == 40 * 39 / 2);
    CHECK(count(high, high) == 0);
    CHECK(count(low, low) == 0);
  });
}

TEST_CASE("zero rows are at 0 from all on a place", "[pair_mining]") {
  auto alike = clustered<float>(66, 16, 41, 0.3f), apart = clustered<float>(66, 8, 42, 0.9f);
  std::fill(alike.row(3), alike.row(3) + alike.width, 0.0f);
  std::fill(apart.row(65), apart.row(65) + apart.width, 0.0f);
  const double above = GENERATE(-0.5, 0.0);
  const auto expected = by_brute_force(alike, apart, above, 0.1);
  each_round([&] {
    CHECK(mine(alike, apart, {.alike_above = above, .apart_below = 0.1, .memory = memory()}) == expected);
  });
}

TEST_CASE("mining on a place reports its bands and ends when told", "[pair_mining]") {
  const auto rows = clustered<float>(70, 8, 43, 0.1f);
  each_round([&] {
    std::vector<int64_t> calls;
    PairMining mining{.alike_above = 0.5, .apart_below = 2, .memory = memory(), .band_rows = 20};
    mining.progress = [&](int64_t done, int64_t total) {
      CHECK(total == 4);
      calls.push_back(done);
    };
    mine(rows, rows, mining);
    CHECK(calls == std::vector<int64_t>{1, 2, 3, 4});
    mining.progress = [](int64_t done, int64_t) {
      if (done == 2) throw Cancelled();
    };
    CHECK_THROWS_AS(mine(rows, rows, mining), Cancelled);
  });
}

TEST_CASE("mining says what it asked for where memory ends, whichever allocation fails", "[pair_mining]") {
  const auto rows = clustered<float>(70, 9, 44, 0.1f);
  each_round([&] {
    for (int64_t failing = 0; failing < 4; ++failing) {
      const PairMining mining{
          .alike_above = 0.5, .apart_below = 2, .memory = memory_failing_at(failing), .capacity = 1};
      const char* what[] = {"unit rows: 2240 bytes asked, for 70 rows", "a counter: 8 bytes asked",
                            "a list of pairs: 24 bytes asked", "a list of pairs: "};
      CHECK_THROWS_WITH(mine(rows, rows, mining),
                        Contains("[mine_blind_pairs] no memory on the device") && Contains(what[failing]));
    }
  });
}
