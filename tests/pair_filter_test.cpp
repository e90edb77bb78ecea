#include <cmath>
#include <random>

#include "kernels.h"
#include "pair_lists.h"
#include "pair_tiles.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"
#if __has_include("traffic_row.h")
#include "traffic_row.h"
#endif

using namespace unisim;
using namespace unisim::test;

namespace {

/// Whole numbers of -2 to 2: every sum of their products is exact in float, in any order.
std::vector<float> whole_numbers(int64_t count, uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(static_cast<int>(bits() % 5) - 2);
  return values;
}

/// Rows of T somewhere in memory, and what they hold in double.
template <class T>
struct TestRows {
  int64_t n, width, stride, offset;
  std::vector<T> values;

  TestRows(int64_t rows, int64_t columns, int64_t extra, int64_t first, const std::vector<float>& numbers)
      : n(rows), width(columns), stride(columns + extra), offset(first) {
    values.resize(static_cast<std::size_t>(offset + n * stride), rounded<T>(1e4f));  // nothing to be read
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k < width; ++k)
        values[offset + i * stride + k] = rounded<T>(numbers[i * width + k]);
  }

  double dot(int64_t i, int64_t j) const {
    double sum = 0;
    for (int64_t k = 0; k < width; ++k)
      sum += double{to_float(values[offset + i * stride + k])} * to_float(values[offset + j * stride + k]);
    return sum;
  }
  Rows<const T> rows(const Buffer<T>& buffer) const { return {buffer.data() + offset, n, width, stride}; }
};

template <class T>
void check_filter(const TestRows<T>& x, PairBand band) {
  const Pairs expected = brute_force(x.n, band, [&](int64_t i, int64_t j) { return x.dot(i, j); });
  const Buffer<T> buffer(x.values);
  each_round([&] {
    check_found(run_filter(static_cast<int64_t>(expected.size()) + 3,
                           [&](PairList list) { pair_filter(place(), x.rows(buffer), band, list); }),
                expected);
  });
}

/// Bytes of the whole range, scales and residuals, each row's its own.
struct TestBytes {
  int64_t n, width, stride, offset;
  std::vector<int8_t> q;
  std::vector<float> scale, residual;

  TestBytes(int64_t rows, int64_t columns, int64_t extra, int64_t first, uint64_t seed)
      : n(rows), width(columns), stride(columns + extra), offset(first) {
    std::mt19937_64 bits(seed);
    const auto below = [&](int count) { return static_cast<int>(bits() % static_cast<uint64_t>(count)); };
    for (int64_t k = 0; k < offset + n * stride; ++k) q.push_back(static_cast<int8_t>(below(255) - 127));
    for (int64_t i = 0; i < n; ++i) {
      scale.push_back(static_cast<float>(30 + below(40)) * 1e-4f);
      residual.push_back(static_cast<float>(below(100)) * 1e-3f);
    }
  }

  /// As the contract has it: every operation in float, rounded by itself.
  double upper(int64_t i, int64_t j) const {
    int32_t sum = 0;
    for (int64_t k = 0; k < width; ++k) sum += q[offset + i * stride + k] * q[offset + j * stride + k];
    const volatile float scales = scale[i] * scale[j], product = scales * static_cast<float>(sum),
                         reach = residual[j] * (1 + residual[i]), rest = residual[i] + reach,
                         all = product + rest;
    return all;
  }

  PairsFound run(int64_t capacity, PairBand band) const {
    const Buffer<int8_t> bytes(q);
    const Buffer<float> scales(scale), residuals(residual);
    return run_filter(capacity, [&](PairList list) {
      pair_filter(place(),
                  QuantizedRows{{bytes.data() + offset, n, width, stride}, scales.data(), residuals.data()},
                  band, list);
    });
  }
};

void check_filter(const TestBytes& x, PairBand band) {
  const Pairs expected = brute_force(x.n, band, [&](int64_t i, int64_t j) { return x.upper(i, j); });
  each_round([&] { check_found(x.run(static_cast<int64_t>(expected.size()) + 3, band), expected); });
}

/// About one pair of TestBytes in fifty is above this.
float rare(int64_t width) { return 0.1f + 0.27f * std::sqrt(static_cast<float>(width)); }

/// About one pair in fifty has a product of whole numbers above this.
float high(int64_t width) { return std::floor(4 * std::sqrt(static_cast<float>(width))) + 0.5f; }

}  // namespace

TEST_CASE("tiles are numbered column after column, without a gap", "[pair_filter]") {
  for (int64_t columns = 1; columns < 9; ++columns)
    for (int64_t rows = 1; rows <= columns; ++rows) {
      int64_t t = 0;
      for (int64_t column = 0; column < columns; ++column)
        for (int64_t row = 0; row <= std::min(column, rows - 1); ++row, ++t)
          CHECK(pair_tile(t, rows, std::sqrt(8.0 * static_cast<double>(t) + 1)) == PairTile{row, column});
      CHECK(t == pair_tile_count(rows, columns));
    }
}

TEST_CASE("the number of a tile is right where a root in double is not", "[pair_filter]") {
  const int64_t side = int64_t{1} << 30;
  for (const int64_t column : {int64_t{94906265}, int64_t{94906266}, (int64_t{1} << 29) + 1, side - 1})
    for (const int64_t row : {int64_t{0}, int64_t{1}, column - 1, column}) {
      const int64_t t = column * (column + 1) / 2 + row;
      CHECK(pair_tile(t, side, std::sqrt(8.0 * static_cast<double>(t) + 1)) == PairTile{row, column});
    }
  const int64_t last = pair_tile_count(3, side) - 1;
  CHECK(pair_tile(last, 3, std::sqrt(8.0 * static_cast<double>(last) + 1)) == PairTile{2, side - 1});
}

TEMPLATE_TEST_CASE("every pair above the threshold is found once, also in ragged tiles", "[pair_filter]",
                   bf16, f16) {
  const auto [n, width] = GENERATE(table<int64_t, int64_t>(
      {{1, 8}, {2, 1}, {64, 31}, {127, 32}, {128, 33}, {129, 40}, {130, 160}, {257, 64}}));
  CAPTURE(n, width);
  const TestRows<TestType> x(n, width, 0, 0, whole_numbers(n * width, 61));
  check_filter(x, {0, n, n > 2 ? high(width) : -0.5f});
}

TEMPLATE_TEST_CASE("rows may lie anywhere in memory", "[pair_filter]", bf16, f16) {
  const auto [width, extra, offset] = GENERATE(table<int64_t, int64_t, int64_t>(
      {{40, 0, 1}, {40, 0, 8}, {37, 0, 0}, {37, 3, 0}, {37, 3, 8}, {64, 5, 3}, {96, 32, 16}}));
  CAPTURE(width, extra, offset);
  const TestRows<TestType> x(131, width, extra, offset, whole_numbers(131 * width, 62));
  check_filter(x, {0, 131, high(width)});
}

TEST_CASE("a threshold below zero lets no row in that is not there", "[pair_filter]") {
  const int64_t n = GENERATE(1, 3, 127, 129);
  std::vector<float> numbers = whole_numbers(n * 16, 63);
  if (n > 2) std::fill(numbers.begin() + 16, numbers.begin() + 32, 0.0f);  // row 1 is zero
  const TestRows<f16> x(n, 16, 0, 0, numbers);
  check_filter(x, {0, n, -0.5f});
  check_filter(x, {0, n / 2, -1e3f});  // nor rows that are not the band's
}

TEST_CASE("products equal to the threshold are not above it", "[pair_filter]") {
  const TestRows<f16> x(70, 24, 0, 0, whole_numbers(70 * 24, 64));
  check_filter(x, {0, 70, 12.0f});
}

TEST_CASE("a band finds the pairs of its rows, wherever it begins and ends", "[pair_filter]") {
  const int64_t n = 140, width = 16;
  const auto [first, last] = GENERATE(table<int64_t, int64_t>({{0, 1},
                                                               {0, 128},
                                                               {1, 129},
                                                               {5, 70},
                                                               {127, 129},
                                                               {128, 140},
                                                               {3, 140},
                                                               {139, 140},
                                                               {60, 60},
                                                               {20, 400}}));
  CAPTURE(first, last);
  const TestRows<f16> x(n, width, 0, 0, whole_numbers(n * width, 65));
  check_filter(x, {first, last, high(width)});
}

TEST_CASE("a low band of many columns finds all of its pairs", "[pair_filter]") {
  const TestRows<f16> x(410, 16, 0, 0, whole_numbers(410 * 16, 66));  // two rows of tiles, four columns
  check_filter(x, {20, 170, high(16)});
}

TEST_CASE("a list too small counts all pairs and stores only what it has room for", "[pair_filter]") {
  const int64_t capacity = GENERATE(0, 1, 7, 100);
  const TestRows<f16> x(140, 16, 0, 0, whole_numbers(140 * 16, 66));
  const PairBand band{0, 140, 10.5f};
  const Pairs expected = brute_force(140, band, [&](int64_t i, int64_t j) { return x.dot(i, j); });
  REQUIRE(expected.size() > 100);
  const Buffer<f16> buffer(x.values);
  each_round([&] {
    const PairsFound found =
        run_filter(capacity, [&](PairList list) { pair_filter(place(), x.rows(buffer), band, list); });
    CHECK(found.count == static_cast<int64_t>(expected.size()));
    CHECK(static_cast<int64_t>(found.pairs.size()) == capacity);
    CHECK(std::adjacent_find(found.pairs.begin(), found.pairs.end()) == found.pairs.end());
    CHECK(std::includes(expected.begin(), expected.end(), found.pairs.begin(), found.pairs.end()));
  });
}

TEST_CASE("pairs are appended behind those that are counted", "[pair_filter]") {
  const TestRows<f16> x(66, 16, 0, 0, whole_numbers(66 * 16, 67));
  const Buffer<f16> buffer(x.values);
  const Pairs expected =
      brute_force(66, {0, 66, high(16)}, [&](int64_t i, int64_t j) { return x.dot(i, j); });
  each_round([&] {
    check_found(run_filter(static_cast<int64_t>(expected.size()),
                           [&](PairList list) {
                             pair_filter(place(), x.rows(buffer), {0, 20, high(16)}, list);
                             pair_filter(place(), x.rows(buffer), {20, 66, high(16)}, list);
                           }),
                expected);
  });
}

TEMPLATE_TEST_CASE("products of unit rows lie within the guard of their cosine", "[pair_filter]", bf16, f16) {
  const int64_t width = GENERATE(1, 33, 200), n = 40;
  const bool equal_signs = GENERATE(false, true);  // the worst case of a sum: nothing cancels
  std::vector<float> numbers = random_floats(static_cast<std::size_t>(n * width), 68);
  if (equal_signs)
    for (float& number : numbers) number = std::abs(number);
  for (int64_t k = 0; k < width; ++k) numbers[3 * width + k] *= 1e-9f, numbers[5 * width + k] = 0;
  const Rows<const float> host{numbers.data(), n, width, width};
  std::vector<double> squares(n);
  squared_lengths(Cpu{}, host, squares.data());
  std::vector<TestType> unit(static_cast<std::size_t>(n * width));
  unit_rows(Cpu{}, host, squares.data(), Rows<TestType>{unit.data(), n, width, width});
  const double guard = pair_filter_guard<TestType>(width);
  const Buffer<TestType> buffer(unit);
  const float above = equal_signs && width > 1 ? 0.65f : 0.05f;
  const auto pairs_above = [&](double threshold) {
    return brute_force(n, {0, n, above}, [&](int64_t i, int64_t j) {
      const double cosine = unisim::cosine(Cpu{}, host.row(i), squares[i], host.row(j), squares[j], width);
      return cosine - threshold + double{above};
    });
  };
  const Pairs surely = pairs_above(above + guard), perhaps = pairs_above(above - guard);
  each_round([&] {
    const Pairs found =
        run_filter(n * n, [&](PairList list) {
          pair_filter(place(), Rows<const TestType>{buffer.data(), n, width, width}, {0, n, above}, list);
        }).pairs;
    CHECK(std::includes(found.begin(), found.end(), surely.begin(), surely.end()));
    CHECK(std::includes(perhaps.begin(), perhaps.end(), found.begin(), found.end()));
  });
}

TEST_CASE("the guard is what rounding asks for, and all where float says nothing", "[pair_filter]") {
  // Two roundings of 2^-11 of unit rows, and 2^-22 a term: no looser than that by more than a tenth.
  CHECK(pair_filter_guard<f16>(768) > 0x1p-10);
  CHECK(pair_filter_guard<f16>(768) < 1.1 * (0x1p-10 + 784 * 0x1p-22));
  CHECK(pair_filter_guard<bf16>(768) > 0x1p-7);
  CHECK(pair_filter_guard<bf16>(768) < 1.1 * (0x1p-7 + 784 * 0x1p-22));
  CHECK(pair_filter_guard<f16>(int64_t{1} << 40) >= 2);
}

TEST_CASE("every pair of quantized rows whose bound is above the threshold is found once", "[pair_filter]") {
  const auto [n, width] = GENERATE(
      table<int64_t, int64_t>({{1, 16}, {2, 1}, {64, 63}, {127, 64}, {128, 65}, {129, 80}, {130, 200}}));
  CAPTURE(n, width);
  check_filter(TestBytes(n, width, 0, 0, 71), {0, n, n > 2 ? rare(width) : -10.0f});
}

TEST_CASE("quantized rows may lie anywhere in memory", "[pair_filter]") {
  const auto [width, extra, offset] = GENERATE(table<int64_t, int64_t, int64_t>(
      {{80, 0, 1}, {80, 0, 16}, {77, 0, 0}, {77, 3, 0}, {77, 3, 16}, {64, 5, 3}, {96, 32, 32}}));
  CAPTURE(width, extra, offset);
  check_filter(TestBytes(131, width, extra, offset, 72), {0, 131, rare(width)});
}

TEST_CASE("a band of quantized rows takes scales and residuals of its own", "[pair_filter]") {
  const auto [first, last] =
      GENERATE(table<int64_t, int64_t>({{0, 128}, {1, 129}, {5, 70}, {127, 129}, {20, 400}}));
  CAPTURE(first, last);
  check_filter(TestBytes(140, 32, 0, 0, 73), {first, last, rare(32)});
}

TEST_CASE("a threshold below zero lets no quantized row in that is not there", "[pair_filter]") {
  const int64_t n = GENERATE(1, 3, 129);
  TestBytes x(n, 16, 0, 0, 74);
  if (n > 2) {  // row 1 is zero
    std::fill(x.q.begin() + 16, x.q.begin() + 32, int8_t{0});
    x.scale[1] = x.residual[1] = 0;
  }
  check_filter(x, {0, n, -0.01f});
  check_filter(x, {0, n / 2, -1e3f});  // nor rows that are not the band's
}

TEST_CASE("quantized unit rows lose no pair", "[pair_filter]") {
  const int64_t n = 60, width = 72;
  const std::vector<float> numbers = random_floats(n * width, 75);
  const Rows<const float> host{numbers.data(), n, width, width};
  std::vector<double> squares(n);
  squared_lengths(Cpu{}, host, squares.data());
  std::vector<float> unit(n * width);
  unit_rows(Cpu{}, host, squares.data(), Rows<float>{unit.data(), n, width, width});
  TestBytes x(n, width, 0, 0, 75);
  quantize_rows(Cpu{}, Rows<const float>{unit.data(), n, width, width},
                Rows<int8_t>{x.q.data(), n, width, width}, x.scale.data(), x.residual.data());
  const auto cosine_of_pair = [&](int64_t i, int64_t j) {
    return unisim::cosine(Cpu{}, host.row(i), squares[i], host.row(j), squares[j], width);
  };
  const Pairs needed = brute_force(n, {0, n, 0.2f}, cosine_of_pair),
              near = brute_force(n, {0, n, 0.1f}, cosine_of_pair);  // residuals are about 0.01
  each_round([&] {
    const Pairs found = x.run(n * n, {0, n, 0.2f - 0x1p-20f}).pairs;
    CHECK(std::includes(found.begin(), found.end(), needed.begin(), needed.end()));
    CHECK(std::includes(near.begin(), near.end(), found.begin(), found.end()));
  });
}

#if __has_include("traffic_row.h")
TEMPLATE_TEST_CASE("pair_filter reads each panel once a tile, in whole sectors, and meets no bank twice",
                   "[pair_filter][traffic]", bf16, f16) {
  const int64_t n = 200, width = GENERATE(64, 160, 512);
  const Buffer<TestType> x(random_stored<TestType>(n * width, 69, 0.01f));
  Buffer<unsigned long long> count(std::vector<unsigned long long>{0});
  simt::options.count = true;
  simt::traffic();
  pair_filter(place(), Rows<const TestType>{x.data(), n, width, width}, {0, n, 100},
              PairList{nullptr, 0, count.data()});
  const std::vector<simt::Traffic> traffic = simt::traffic();
  simt::options.count = false;
  CHECK(simt::report() == "");
  REQUIRE(traffic.size() == 1);
  const simt::Traffic& t = traffic[0];
  // The formula of cuda/pair_filter.cu: tiles (0, 0), (0, 1), (1, 1) of 128 and 72 rows.
  const int64_t least = (128 + 128 + 128 + 72 + 72 + 72) * width * static_cast<int64_t>(sizeof(TestType));
  CAPTURE(width, t.bytes_read, least, t.wavefronts, t.least_wavefronts);
  simt::print_traffic(t, text_of(sizeof(TestType), " bytes, ", n, " rows of ", width),
                      static_cast<uint64_t>(least));
  CHECK(static_cast<int64_t>(t.bytes_read) >= least);
  CHECK(static_cast<double>(t.bytes_read) <= 1.05 * static_cast<double>(least));
  CHECK(t.bytes_written == 0);
  CHECK(t.atomics == 0);
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(32 * t.sectors_read == t.bytes_read);
  CHECK(t.wavefronts == t.least_wavefronts);
}

TEST_CASE("a warp's pairs cost one atomic", "[pair_filter]") {
  const Buffer<f16> x(stored<f16>(std::vector<float>(128 * 16, 1.0f)));
  Buffer<RowPair> pairs(128 * 64);
  Buffer<unsigned long long> count(std::vector<unsigned long long>{0});
  simt::options.count = true;
  simt::traffic();
  pair_filter(place(), Rows<const f16>{x.data(), 128, 16, 16}, {0, 128, 0.5f},
              PairList{pairs.data(), pairs.size(), count.data()});
  const std::vector<simt::Traffic> traffic = simt::traffic();
  simt::options.count = false;
  CHECK(count.host()[0] == 128 * 127 / 2);
  REQUIRE(traffic.size() == 1);
  CHECK(traffic[0].atomics == 6);  // two warps lie below the diagonal
}

TEST_CASE("pair_filter of quantized rows reads panels once a tile, and scales", "[pair_filter][traffic]") {
  const int64_t n = 200, width = GENERATE(64, 512);
  const TestBytes x(n, width, 0, 0, 76);
  simt::options.count = true;
  simt::traffic();
  CHECK(x.run(0, {0, n, 1e9f}).count == 0);
  const std::vector<simt::Traffic> traffic = simt::traffic();
  simt::options.count = false;
  CHECK(simt::report() == "");
  REQUIRE(traffic.size() == 1);
  const simt::Traffic& t = traffic[0];
  // The formula of cuda/pair_filter.cu; a row's scale and residual are read by four warps, a column's by two.
  const int64_t rows = 128 + 128 + 72, columns = 128 + 72 + 72;
  const int64_t least = (rows + columns) * width + 8 * (4 * rows + 2 * columns);
  CAPTURE(width, t.bytes_read, least);
  simt::print_traffic(t, text_of("int8, ", n, " rows of ", width), static_cast<uint64_t>(least));
  CHECK(static_cast<double>(t.bytes_read) <= 1.05 * static_cast<double>(least));
  CHECK(t.bytes_written == 0);
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(t.wavefronts == t.least_wavefronts);
}
#endif
