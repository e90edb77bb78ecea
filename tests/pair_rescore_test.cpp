#include <cmath>
#include <cstring>

#include "kernels.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"
#if __has_include("simt.h")
#include "simt.h"
#endif

using namespace unisim;
using namespace unisim::test;

namespace {

/// Rows whose sums depend on the order they are taken in: numbers of very different sizes that nearly cancel.
template <class T>
std::vector<T> hard_numbers(int64_t count, uint64_t seed) {
  const std::vector<float> a = random_floats(static_cast<std::size_t>(count), seed),
                           b = random_floats(static_cast<std::size_t>(count), seed + 1);
  std::vector<T> numbers;
  for (int64_t k = 0; k < count; ++k)
    numbers.push_back(static_cast<T>(a[k]) * static_cast<T>(std::exp(2.0f * b[k])));
  return numbers;
}

/// The one order of every sum: term k in sum k mod 8, then the eight in a tree.
template <class T>
double dot(const T* x, const T* y, int64_t width) {
  volatile double sums[8] = {};  // no product is fused into a sum
  for (int64_t k = 0; k < width; ++k) {
    const volatile double product = static_cast<double>(x[k]) * static_cast<double>(y[k]);
    sums[k % 8] = sums[k % 8] + product;
  }
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

template <class T>
double defined(const T* x, const T* y, int64_t width) {
  const double xx = dot(x, x, width), yy = dot(y, y, width);
  if (xx == 0 || yy == 0) return 0;
  return std::min(1.0, std::max(-1.0, dot(x, y, width) / std::sqrt(xx * yy)));
}

bool same_bits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

template <class T>
void check_rescore(int64_t n, int64_t width, int64_t stride, int64_t offset, const std::vector<T>& numbers,
                   const std::vector<RowPair>& pairs) {
  const Buffer<T> x(numbers);
  const Buffer<RowPair> list(pairs);
  each_round([&] {
    Buffer<double> out(static_cast<int64_t>(pairs.size()));
    pair_rescore(place(), Rows<const T>{x.data() + offset, n, width, stride}, list.data(),
                 static_cast<int64_t>(pairs.size()), out.data());
    const std::vector<double> got = out.host();
    int wrong = 0;
    for (std::size_t p = 0; p < pairs.size(); ++p) {
      const T *const a = numbers.data() + offset + pairs[p].i * stride, *const b = numbers.data() + offset +
                                                                                   pairs[p].j * stride;
      wrong += !same_bits(got[p], defined(a, b, width));
      double squares[2];
      squared_lengths(Cpu{}, Rows<const T>{a, 1, width, width}, &squares[0]);
      squared_lengths(Cpu{}, Rows<const T>{b, 1, width, width}, &squares[1]);
      wrong += !same_bits(got[p], cosine(Cpu{}, a, squares[0], b, squares[1], width));
    }
    CHECK(wrong == 0);
  });
}

std::vector<RowPair> pairs_of(int64_t n, int64_t count) {
  std::vector<RowPair> pairs;
  for (int64_t p = 0; p < count; ++p)
    pairs.push_back({static_cast<int32_t>(p * 7 % n), static_cast<int32_t>((p * 11 + 3) % n)});
  return pairs;
}

}  // namespace

TEMPLATE_TEST_CASE("a pair's cosine is the definition's to the bit, at every odd width", "[pair_rescore]",
                   float, double) {
  const int64_t width = GENERATE(1, 2, 5, 7, 8, 9, 15, 16, 17, 31, 33, 65, 300), n = 20;
  check_rescore<TestType>(n, width, width, 0, hard_numbers<TestType>(n * width, 91), pairs_of(n, 33));
}

TEMPLATE_TEST_CASE("any number of pairs is scored, in place", "[pair_rescore]", float, double) {
  const int64_t count = GENERATE(1, 3, 4, 31, 32, 33, 65), n = 9, width = 37;
  check_rescore<TestType>(n, width, width, 0, hard_numbers<TestType>(n * width, 92), pairs_of(n, count));
}

TEMPLATE_TEST_CASE("rows to score may lie anywhere in memory", "[pair_rescore]", float, double) {
  const auto [extra, offset] = GENERATE(table<int64_t, int64_t>({{0, 1}, {3, 0}, {5, 7}}));
  const int64_t n = 9, width = 21, stride = width + extra;
  check_rescore<TestType>(n, width, stride, offset, hard_numbers<TestType>(offset + n * stride, 93),
                          pairs_of(n, 20));
}

TEMPLATE_TEST_CASE("duplicates score exactly 1, opposites -1, zero rows 0", "[pair_rescore]", float, double) {
  const int64_t width = 77;
  std::vector<TestType> numbers = hard_numbers<TestType>(4 * width, 94);
  for (int64_t k = 0; k < width; ++k) {
    numbers[width + k] = 0;
    numbers[2 * width + k] = numbers[k];
    numbers[3 * width + k] = -2 * numbers[k];
  }
  const Buffer<TestType> x(numbers);
  const Buffer<RowPair> pairs(std::vector<RowPair>{{0, 2}, {0, 3}, {0, 1}, {1, 3}, {1, 1}});
  each_round([&] {
    Buffer<double> out(5);
    pair_rescore(place(), Rows<const TestType>{x.data(), 4, width, width}, pairs.data(), 5, out.data());
    CHECK(out.host() == std::vector<double>{1, -1, 0, 0, 0});
  });
}

TEST_CASE("a cosine that rounding took past 1 is 1", "[pair_rescore]") {
  const int64_t width = 50, n = 40;
  const auto first = hard_numbers<double>(width, 97);
  std::vector<double> numbers;
  std::vector<RowPair> pairs;
  for (int64_t i = 0; i < n; ++i) {
    for (const double number : first) numbers.push_back(number * (1 + static_cast<double>(i) / 7));
    pairs.push_back({0, static_cast<int32_t>(i)});
  }
  int64_t past = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double *const x = numbers.data(), *const y = x + i * width;
    past += dot(x, y, width) / std::sqrt(dot(x, x, width) * dot(y, y, width)) > 1;
  }
  REQUIRE(past > 0);
  check_rescore<double>(n, width, width, 0, numbers, pairs);
}

TEMPLATE_TEST_CASE("squared lengths are summed in the one order", "[pair_rescore]", float, double) {
  const int64_t rows = GENERATE(1, 31, 32, 33, 70), width = GENERATE(1, 8, 19, 100);
  const auto numbers = hard_numbers<TestType>(1 + rows * (width + 2), 95);
  const Buffer<TestType> x(numbers);
  each_round([&] {
    Buffer<double> squares(rows);
    squared_lengths(place(), Rows<const TestType>{x.data() + 1, rows, width, width + 2}, squares.data());
    const std::vector<double> got = squares.host();
    int wrong = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const TestType* row = numbers.data() + 1 + i * (width + 2);
      wrong += !same_bits(got[i], dot(row, row, width));
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("no pairs and no rows are nothing to do", "[pair_rescore]") {
  each_round([&] {
    pair_rescore(place(), Rows<const float>{nullptr, 0, 4, 4}, nullptr, 0, nullptr);
    squared_lengths(place(), Rows<const float>{nullptr, 0, 4, 4}, nullptr);
  });
}

#if __has_include("simt.h")
TEMPLATE_TEST_CASE("pair_rescore reads both rows once, in whole sectors", "[pair_rescore]", float, double) {
  const int64_t n = 9, width = GENERATE(64, 768), count = 32;
  const Buffer<TestType> x(hard_numbers<TestType>(n * width, 96));
  const Buffer<RowPair> pairs(pairs_of(n, count));
  Buffer<double> out(count);
  simt::options.count = true;
  simt::traffic();
  pair_rescore(place(), Rows<const TestType>{x.data(), n, width, width}, pairs.data(), count, out.data());
  const std::vector<simt::Traffic> traffic = simt::traffic();
  simt::options.count = false;
  CHECK(simt::report() == "");
  REQUIRE(traffic.size() == 1);
  const simt::Traffic& t = traffic[0];
  const int64_t least = count * (2 * width * static_cast<int64_t>(sizeof(TestType)) + 16);
  CHECK(static_cast<double>(t.bytes_read + t.bytes_written) <= 1.05 * static_cast<double>(least));
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(t.sectors_written == t.least_sectors_written);
}
#endif
