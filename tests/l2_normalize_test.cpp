#include "kernels.h"
#include "support.h"

#include <cmath>
#include <limits>

using namespace unisim;
using unisim::test::random_floats;

TEST_CASE("a row is divided by its length at every odd width", "[l2_normalize]") {
  const int64_t width = GENERATE(1, 2, 31, 33, 127, 1025);
  const int64_t rows = 5;
  const auto x = random_floats(static_cast<std::size_t>(rows * width), 7);
  std::vector<float> out(x.size());
  int32_t flag = 0;
  l2_normalize(Cpu{}, Rows<const float>{x.data(), rows, width, width}, Rows<float>{out.data(), rows, width, width}, &flag);
  CHECK(flag == 0);
  for (int64_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < width; ++k) sum += double{x[i * width + k]} * x[i * width + k];
    for (int64_t k = 0; k < width; ++k)  // one rounding of the quotient: half an ulp of at most 1
      CHECK(std::abs(out[i * width + k] - x[i * width + k] / std::sqrt(sum)) <= 6e-8);
  }
}

TEST_CASE("a zero row stays zero and is flagged", "[l2_normalize]") {
  std::vector<float> x = {3, 4, 0, 0};
  int32_t flag = 0;
  l2_normalize(Cpu{}, Rows<const float>{x.data(), 2, 2, 2}, Rows<float>{x.data(), 2, 2, 2}, &flag);
  CHECK(flag == 1);
  CHECK(x == std::vector<float>{0.6f, 0.8f, 0, 0});
}

TEST_CASE("a row that is not finite is flagged", "[l2_normalize]") {
  const float bad = GENERATE(std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity());
  std::vector<float> x = {1, bad};
  int32_t flag = 0;
  l2_normalize(Cpu{}, Rows<const float>{x.data(), 1, 2, 2}, Rows<float>{x.data(), 1, 2, 2}, &flag);
  CHECK(flag == 1);
}
