#include <cmath>
#include <limits>

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

struct Quantized {
  std::vector<int> q;
  std::vector<float> scale, residual;
};

/// The kernel on rows of `numbers`, `x_extra` apart and `x_offset` into memory; the bytes likewise.
struct Shape {
  int64_t rows = 0, width = 0, x_extra = 0, x_offset = 0, q_extra = 0, q_offset = 0;
};

constexpr int kUntouched = 99;

template <class T>
Quantized run(Shape s, const std::vector<T>& numbers) {
  const int64_t x_stride = s.width + s.x_extra, q_stride = s.width + s.q_extra;
  std::vector<T> values(static_cast<std::size_t>(s.x_offset + s.rows * x_stride), rounded<T>(1e4f));
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t k = 0; k < s.width; ++k) values[s.x_offset + i * x_stride + k] = numbers[i * s.width + k];
  const Buffer<T> x(values);
  Buffer<int8_t> q(
      std::vector<int8_t>(static_cast<std::size_t>(s.q_offset + s.rows * q_stride), int8_t{kUntouched}));
  Buffer<float> scale(s.rows), residual(s.rows);
  quantize_rows(place(), Rows<const T>{x.data() + s.x_offset, s.rows, s.width, x_stride},
                Rows<int8_t>{q.data() + s.q_offset, s.rows, s.width, q_stride}, scale.data(),
                residual.data());
  Quantized out{{}, scale.host(), residual.host()};
  const std::vector<int8_t> all = q.host();
  for (int64_t k = 0; k < s.q_offset; ++k) CHECK(int{all[k]} == kUntouched);
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t k = 0; k < q_stride; ++k) {
      const int byte = all[s.q_offset + i * q_stride + k];
      if (k < s.width)
        out.q.push_back(byte);
      else
        CHECK(byte == kUntouched);
    }
  return out;
}

/// The definition, row by row. The residual must not be below the exact one, nor above by more than a
/// rounding to float and what a sum of `width` squares in double can err.
template <class T>
void check_quantized(int64_t rows, int64_t width, const std::vector<T>& numbers, const Quantized& got) {
  for (int64_t i = 0; i < rows; ++i) {
    float largest = 0;
    for (int64_t k = 0; k < width; ++k)
      largest = std::max(largest, std::abs(to_float(numbers[i * width + k])));
    const float scale = largest / 127;
    CHECK(got.scale[i] == scale);
    long double missed = 0;
    int wrong = 0;
    for (int64_t k = 0; k < width; ++k) {
      const float value = to_float(numbers[i * width + k]);
      const float nearest = scale == 0 ? 0 : std::nearbyint(value / scale);
      const float byte = std::min(127.0f, std::max(-127.0f, nearest));
      wrong += got.q[i * width + k] != byte;
      const double off = double{value} - double{scale} * double{byte};
      missed += static_cast<long double>(off) * off;
    }
    CHECK(wrong == 0);
    const long double residual = std::sqrt(missed);
    CHECK(static_cast<long double>(got.residual[i]) >= residual);
    CHECK(static_cast<long double>(got.residual[i]) <= residual * (1 + 0x1.1p-23L) + 0x1p-149L);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("rows become bytes, a scale and what they miss, at every odd width", "[quantize_rows]",
                   float, bf16, f16) {
  const int64_t width = GENERATE(1, 3, 4, 7, 8, 9, 31, 127, 128, 129, 255, 256, 257, 515);
  const int64_t rows = GENERATE(1, 9);
  const auto numbers = random_stored<TestType>(rows * width, 71);
  each_round([&] { check_quantized(rows, width, numbers, run<TestType>({rows, width}, numbers)); });
}

TEMPLATE_TEST_CASE("rows and bytes may lie anywhere in memory", "[quantize_rows]", float, bf16, f16) {
  const Shape s = GENERATE(Shape{8, 40, 0, 1, 0, 0}, Shape{8, 40, 0, 0, 0, 1}, Shape{8, 40, 8, 8, 8, 8},
                           Shape{8, 40, 1, 0, 0, 0}, Shape{8, 40, 0, 0, 3, 0}, Shape{8, 37, 3, 8, 3, 8},
                           Shape{8, 40, 0, 0, 4, 4}, Shape{8, 40, 0, 2, 2, 2});
  CAPTURE(s.x_extra, s.x_offset, s.q_extra, s.q_offset);
  const auto numbers = random_stored<TestType>(s.rows * s.width, 72);
  each_round([&] { check_quantized(s.rows, s.width, numbers, run<TestType>(s, numbers)); });
}

TEST_CASE("ties go to the even byte", "[quantize_rows]") {
  const std::vector<float> numbers = {127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f, -127};
  each_round([&] {
    const Quantized got = run<float>({1, 9}, numbers);
    CHECK(got.scale[0] == 1);
    CHECK(got.q == std::vector<int>{127, 0, 2, 2, 0, -2, -2, 126, -127});
    check_quantized(1, 9, numbers, got);
  });
}

TEST_CASE("a row of zeros has scale and residual zero, and its neighbours keep theirs", "[quantize_rows]") {
  std::vector<float> numbers = random_floats(3 * 50, 73);
  std::fill(numbers.begin() + 50, numbers.begin() + 100, 0.0f);
  each_round([&] {
    const Quantized got = run<float>({3, 50}, numbers);
    CHECK(got.scale[1] == 0);
    CHECK(got.residual[1] == 0);
    check_quantized(3, 50, numbers, got);
  });
}

TEST_CASE("numbers too small for a scale leave all in the residual, and a coarse scale stays within a byte",
          "[quantize_rows]") {
  const float least = std::numeric_limits<float>::denorm_min();
  const std::vector<float> numbers = {50 * least,  -3 * least,    // the scale vanishes
                                      190 * least, -190 * least,  // it is `least`: 190 of it are no byte
                                      3e38f,       -1e-30f};
  each_round([&] {
    const Quantized got = run<float>({3, 2}, numbers);
    CHECK(got.scale[0] == 0);
    CHECK(got.q == std::vector<int>{0, 0, 127, -127, 127, 0});
    check_quantized(3, 2, numbers, got);
  });
}

TEMPLATE_TEST_CASE("products of bytes are as near as their residuals say", "[quantize_rows]", float, f16) {
  const int64_t rows = 12, width = 96;
  auto numbers = random_floats(static_cast<std::size_t>(rows * width), 74);
  numbers[5] = 20;  // one number far out makes the scale coarse
  const auto x = stored<TestType>(numbers);
  each_round([&] {
    const Quantized got = run<TestType>({rows, width}, x);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < rows; ++j) {
        double exact = 0, bytes = 0, length = 0, byte_length = 0;
        for (int64_t k = 0; k < width; ++k) {
          const double a = to_float(x[i * width + k]), b = to_float(x[j * width + k]);
          exact += a * b;
          length += b * b;
          bytes += got.q[i * width + k] * got.q[j * width + k];
          byte_length += got.q[i * width + k] * got.q[i * width + k];
        }
        const double product = double{got.scale[i]} * got.scale[j] * bytes;
        const double bound =
            got.residual[i] * std::sqrt(length) + got.scale[i] * std::sqrt(byte_length) * got.residual[j];
        CHECK(std::abs(exact - product) <= bound * (1 + 1e-12));
      }
  });
}

TEST_CASE("quantize_rows of no rows does nothing", "[quantize_rows]") {
  each_round([&] {
    quantize_rows(place(), Rows<const float>{nullptr, 0, 4, 4}, Rows<int8_t>{nullptr, 0, 4, 4}, nullptr,
                  nullptr);
  });
}

#if __has_include("simt.h")
TEMPLATE_TEST_CASE("quantize_rows moves whole sectors, twice what it reads", "[quantize_rows]", float, bf16,
                   f16) {
  const int64_t rows = 16, width = GENERATE(256, 768);
  const Buffer<TestType> x(random_stored<TestType>(rows * width, 75));
  Buffer<int8_t> q(rows * width);
  Buffer<float> scale(rows), residual(rows);
  simt::options.count = true;
  simt::traffic();
  quantize_rows(place(), Rows<const TestType>{x.data(), rows, width, width},
                Rows<int8_t>{q.data(), rows, width, width}, scale.data(), residual.data());
  const std::vector<simt::Traffic> traffic = simt::traffic();
  simt::options.count = false;
  CHECK(simt::report() == "");
  REQUIRE(traffic.size() == 1);
  const simt::Traffic& t = traffic[0];
  const auto least = static_cast<double>(rows * width * (2 * static_cast<int64_t>(sizeof(TestType)) + 1));
  CHECK(static_cast<double>(t.bytes_read + t.bytes_written) <= 1.05 * least);
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(t.sectors_written == t.least_sectors_written);
}
#endif
