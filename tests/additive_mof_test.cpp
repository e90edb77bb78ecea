#include <cmath>

#include "kernels.h"
#include "place.h"
#include "stored.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

template <class T>
std::vector<T> run(const std::vector<T>& a, const std::vector<T>& b, double alpha, int64_t offset,
                   int64_t count) {
  const Buffer<T> x(a), y(b);
  Buffer<T> out(std::vector<T>(a.size(), rounded<T>(77)));
  additive_mof(place(), x.data() + offset, y.data() + offset, alpha, count, out.data() + offset);
  return out.host();
}

/// The definition, with the bits of every place: three roundings in float, then the one to T.
template <class T>
T mixed(T a, T b, double alpha) {
  const auto first = static_cast<float>(alpha);
  const float rest = 1 - first;
  const volatile float x = first * to_float(a), y = rest * to_float(b);  // volatile: never fused
  return rounded<T>(x + y);
}

}  // namespace

TEMPLATE_TEST_CASE(
    "additive_mof is alpha a + (1 - alpha) b at every count and address, the same bits on each place",
    "[additive_mof]", float, bf16, f16) {
  const int64_t count = GENERATE(1, 3, 4, 5, 7, 8, 9, 1023, 1024, 1025, 2048, 2049, 2056),
                offset = GENERATE(0, 1, 8);
  const double alpha = GENERATE(0.3, 0.875);
  CAPTURE(count, offset, alpha);
  const std::vector<TestType> a = random_stored<TestType>(offset + count + 8, 1),
                              b = random_stored<TestType>(offset + count + 8, 2);
  std::vector<float> want(a.size(), 77), allowed(a.size(), 0);
  for (int64_t k = offset; k < offset + count; ++k) want[k] = to_float(mixed(a[k], b[k], alpha));
  double worst = 0;
  for (int64_t k = offset; k < offset + count; ++k) {
    const double x = to_float(a[k]), y = to_float(b[k]), exact = alpha * x + (1 - alpha) * y;
    const double bound =
        rounding_of<TestType> * std::abs(exact) + 4 * 0x1p-24 * (std::abs(x) + std::abs(y)) + 0x1p-25;
    worst = std::max(worst, std::abs(want[k] - exact) / bound);
  }
  CHECK(worst <= 1);
  each_round([&] { CHECK(floats(run(a, b, alpha, offset, count)) == want); });
}

TEMPLATE_TEST_CASE("additive_mof of 1 is the first, of 0 the second", "[additive_mof]", float, bf16, f16) {
  const std::vector<TestType> a = random_stored<TestType>(40, 3), b = random_stored<TestType>(40, 4);
  each_round([&] {
    CHECK(floats(run(a, b, 1, 0, 40)) == floats(a));
    CHECK(floats(run(a, b, 0, 0, 40)) == floats(b));
  });
}

TEST_CASE("additive_mof of nothing does nothing", "[additive_mof]") {
  each_round([&] { CHECK(run<float>({1}, {2}, 0.5, 0, 0) == std::vector<float>{77}); });
}
