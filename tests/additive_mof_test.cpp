#include <cmath>

#include "kernels.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// Elements before the first, from the start of an allocation.
struct Offsets {
  int64_t a = 0, b = 0, out = 0;
};

template <class T>
std::vector<T> run(const std::vector<T>& a, const std::vector<T>& b, double alpha, int64_t count,
                   Offsets at = {}) {
  const Buffer<T> x(a), y(b);
  Buffer<T> out(std::vector<T>(static_cast<std::size_t>(at.out + count + 8), rounded<T>(77)));
  additive_mof(place(), x.data() + at.a, y.data() + at.b, alpha, count, out.data() + at.out);
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

template <class T>
void check(int64_t count, double alpha, Offsets at) {
  CAPTURE(count, alpha, at.a, at.b, at.out);
  const std::vector<T> a = random_stored<T>(at.a + count, 1), b = random_stored<T>(at.b + count, 2);
  std::vector<float> want(static_cast<std::size_t>(at.out + count + 8), 77);
  double worst = 0;
  for (int64_t k = 0; k < count; ++k) {
    const double x = to_float(a[at.a + k]), y = to_float(b[at.b + k]), exact = alpha * x + (1 - alpha) * y;
    want[at.out + k] = to_float(mixed(a[at.a + k], b[at.b + k], alpha));
    const double allowed =
        rounding_of<T> * std::abs(exact) + 4 * 0x1p-24 * (std::abs(x) + std::abs(y)) + 0x1p-25;
    worst = std::max(worst, std::abs(want[at.out + k] - exact) / allowed);
  }
  CHECK(worst <= 1);
  each_round([&] { CHECK(floats(run(a, b, alpha, count, at)) == want); });
}

}  // namespace

TEMPLATE_TEST_CASE("additive_mof is alpha a + (1 - alpha) b at every count, the same bits on each place",
                   "[additive_mof]", float, bf16, f16) {
  const int64_t count = GENERATE(1, 3, 4, 5, 7, 8, 9, 1023, 1024, 1025, 2048, 2049, 2056);
  const double alpha = GENERATE(0.3, 0.058);
  check<TestType>(count, alpha, {});
}

TEMPLATE_TEST_CASE("additive_mof reads and writes at any address", "[additive_mof]", float, bf16, f16) {
  const Offsets at = GENERATE(Offsets{1, 0, 0}, Offsets{0, 1, 0}, Offsets{0, 0, 1}, Offsets{8, 8, 8});
  check<TestType>(1040, 0.375, at);
}

TEMPLATE_TEST_CASE("additive_mof of 1 is the first, of 0 the second", "[additive_mof]", float, bf16, f16) {
  const std::vector<TestType> a = random_stored<TestType>(40, 3), b = random_stored<TestType>(40, 4);
  each_round([&] {
    std::vector<TestType> first = run(a, b, 1, 40), second = run(a, b, 0, 40);
    first.resize(40);
    second.resize(40);
    CHECK(floats(first) == floats(a));
    CHECK(floats(second) == floats(b));
  });
}

TEST_CASE("additive_mof of nothing does nothing", "[additive_mof]") {
  each_round([&] { CHECK(run<float>({1}, {2}, 0.5, 0) == std::vector<float>(8, 77)); });
}
