#include <cmath>

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

struct Shape {
  int64_t rows = 0, width = 0, x_extra = 0, x_offset = 0, out_extra = 0, out_offset = 0;
};

template <class T>
std::vector<T> random_numbers(int64_t count, uint64_t seed) {
  std::vector<T> numbers;
  for (const float value : random_floats(static_cast<std::size_t>(count), seed))
    numbers.push_back(static_cast<T>(value) * (sizeof(T) == 8 ? T(1.0 + 1e-12) : T(1)));
  return numbers;
}

template <class T>
std::vector<double> squares_of(const std::vector<T>& numbers, int64_t rows, int64_t width) {
  std::vector<double> squares(static_cast<std::size_t>(rows));
  squared_lengths(Cpu{}, Rows<const T>{numbers.data(), rows, width, width}, squares.data());
  return squares;
}

/// The rows that the kernel makes of `numbers`; what lies between them must not change.
template <class T, class U>
std::vector<U> run(Shape s, const std::vector<T>& numbers) {
  const int64_t x_stride = s.width + s.x_extra, out_stride = s.width + s.out_extra;
  std::vector<T> values(static_cast<std::size_t>(s.x_offset + s.rows * x_stride), T(1e4));
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t k = 0; k < s.width; ++k) values[s.x_offset + i * x_stride + k] = numbers[i * s.width + k];
  const Buffer<T> x(values);
  const Buffer<double> squares(squares_of(numbers, s.rows, s.width));
  const U untouched = rounded<U>(64);
  Buffer<U> out(std::vector<U>(static_cast<std::size_t>(s.out_offset + s.rows * out_stride), untouched));
  unit_rows(place(), Rows<const T>{x.data() + s.x_offset, s.rows, s.width, x_stride}, squares.data(),
            Rows<U>{out.data() + s.out_offset, s.rows, s.width, out_stride});
  std::vector<U> inside;
  const std::vector<U> all = out.host();
  for (int64_t k = 0; k < s.out_offset; ++k) CHECK(to_float(all[k]) == 64);
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t k = 0; k < out_stride; ++k) {
      const U value = all[s.out_offset + i * out_stride + k];
      if (k < s.width)
        inside.push_back(value);
      else
        CHECK(to_float(value) == 64);
    }
  return inside;
}

/// Each number is the quotient rounded to float and then to U, to the bit: the quotient itself may be off by
/// 2^-51.
template <class T, class U>
void check_units(int64_t rows, int64_t width, const std::vector<T>& numbers, const std::vector<U>& got) {
  const std::vector<double> squares = squares_of(numbers, rows, width);
  int wrong = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < width; ++k) {
      const double exact =
          squares[i] == 0 ? 0 : static_cast<double>(numbers[i * width + k]) / std::sqrt(squares[i]);
      const float low = to_float(rounded<U>(static_cast<float>(exact * (1 - 0x1p-50)))),
                  high = to_float(rounded<U>(static_cast<float>(exact * (1 + 0x1p-50)))),
                  value = to_float(got[i * width + k]);
      wrong += !(value >= std::min(low, high) && value <= std::max(low, high));
    }
  CHECK(wrong == 0);
}

template <class T, class U>
void check_run(Shape s, const std::vector<T>& numbers) {
  check_units<T, U>(s.rows, s.width, numbers, run<T, U>(s, numbers));
}

template <class T>
void check_all_stores(Shape s, const std::vector<T>& numbers) {
  each_round([&] {
    check_run<T, float>(s, numbers);
    check_run<T, bf16>(s, numbers);
    check_run<T, f16>(s, numbers);
  });
}

}  // namespace

TEMPLATE_TEST_CASE("a row is divided by its length at every odd width", "[unit_rows]", float, double) {
  const int64_t width = GENERATE(1, 2, 3, 4, 5, 31, 63, 64, 65, 127, 128, 129, 300);
  const int64_t rows = GENERATE(1, 9);
  check_all_stores<TestType>({rows, width}, random_numbers<TestType>(rows * width, 81));
}

TEMPLATE_TEST_CASE("rows and their quotients may lie anywhere in memory", "[unit_rows]", float, double) {
  const Shape s = GENERATE(Shape{8, 40, 0, 1, 0, 0}, Shape{8, 40, 0, 0, 0, 1}, Shape{8, 40, 8, 8, 8, 8},
                           Shape{8, 40, 1, 0, 0, 0}, Shape{8, 40, 0, 0, 3, 0}, Shape{8, 37, 3, 8, 3, 8},
                           Shape{8, 40, 0, 0, 2, 2});
  CAPTURE(s.x_extra, s.x_offset, s.out_extra, s.out_offset);
  check_all_stores<TestType>(s, random_numbers<TestType>(s.rows * s.width, 82));
}

TEMPLATE_TEST_CASE("zero rows stay zero; very short and very long rows do not", "[unit_rows]", float,
                   double) {
  std::vector<TestType> numbers = random_numbers<TestType>(4 * 50, 83);
  for (int k = 0; k < 50; ++k) {
    numbers[50 + k] = 0;
    numbers[100 + k] *= TestType(1e-30);
    numbers[150 + k] *= TestType(1e30);
  }
  check_all_stores<TestType>({4, 50}, numbers);
  each_round([&] {
    for (const f16 value : run<TestType, f16>({1, 50}, std::vector<TestType>(50, 0))) CHECK(value.bits == 0);
  });
}

TEST_CASE("unit_rows of no rows does nothing", "[unit_rows]") {
  each_round([&] {
    unit_rows(place(), Rows<const float>{nullptr, 0, 4, 4}, nullptr, Rows<f16>{nullptr, 0, 4, 4});
  });
}

#if __has_include("simt.h")
TEMPLATE_TEST_CASE("unit_rows moves each byte once, in whole sectors", "[unit_rows]", float, double) {
  const int64_t rows = 16, width = GENERATE(256, 768);
  const auto numbers = random_numbers<TestType>(rows * width, 84);
  const Buffer<TestType> x(numbers);
  const Buffer<double> squares(squares_of(numbers, rows, width));
  Buffer<f16> out(rows * width);
  simt::options.count = true;
  simt::traffic();
  unit_rows(place(), Rows<const TestType>{x.data(), rows, width, width}, squares.data(),
            Rows<f16>{out.data(), rows, width, width});
  const std::vector<simt::Traffic> traffic = simt::traffic();
  simt::options.count = false;
  CHECK(simt::report() == "");
  REQUIRE(traffic.size() == 1);
  const simt::Traffic& t = traffic[0];
  const auto least = static_cast<double>(rows * width * (static_cast<int64_t>(sizeof(TestType)) + 2));
  CHECK(static_cast<double>(t.bytes_read + t.bytes_written) <= 1.05 * least);
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(t.sectors_written == t.least_sectors_written);
}
#endif
