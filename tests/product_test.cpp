#include <cmath>
#include <limits>
#include <string>

#include "cpu/lanes.h"
#include "kernels.h"
#include "test_place.h"
#include "stored.h"

using namespace unisim;
using namespace unisim::test;

namespace {

constexpr float kUntouched = -77;

/// A product's operands on the host; rows of a, the weight, the residual and out are `gap` further apart than
/// they are wide and begin `shift` into their memory.
template <class T>
struct Case {
  int64_t m, n, k, gap = 0, shift = 0;
  bool bias = true, residual = false, activate = false;
  Activation activation = Activation::Gelu;
  std::vector<T> a = random_stored<T>(shift + m * (k + gap), 1);
  std::vector<T> weight = random_stored<T>(shift + n * (k + gap), 2, 0.1f);
  std::vector<T> added = random_stored<T>(n, 3);
  std::vector<T> old = random_stored<T>(shift + m * (n + gap), 4);

  /// By definition, in double, and how large the terms are.
  double value(int64_t i, int64_t j, double* size) const {
    double sum = 0;
    *size = 0;
    for (int64_t l = 0; l < k; ++l) {
      const double term =
          double{to_float(a[shift + i * (k + gap) + l])} * to_float(weight[shift + j * (k + gap) + l]);
      sum += term;
      *size += std::abs(term);
    }
    if (bias) sum += to_float(added[j]);
    if (activate) return by_definition(sum);
    return residual ? sum + to_float(old[shift + i * (n + gap) + j]) : sum;
  }
  double by_definition(double x) const {
    if (activation == Activation::Gelu) return x * std::erfc(-x / std::sqrt(2.0)) / 2;
    if (activation == Activation::QuickGelu) return x / (1 + std::exp(-1.702 * x));
    return x < 0 ? 0 : x;
  }
};

/// How the result of a case is laid out.
enum class To { Fresh, Residual };

template <class T>
std::vector<T> run(const Case<T>& c, To to, bool batch_invariant = false) {
  const Buffer<T> a(c.a), weight(c.weight), bias(c.added);
  Buffer<T> old(c.old), fresh(std::vector<T>(c.old.size(), rounded<T>(kUntouched)));
  T* out = (to == To::Residual ? old : fresh).data() + c.shift;
  Product<T> p;
  p.a = {a.data() + c.shift, c.m, c.k, c.k + c.gap};
  p.weight = {weight.data() + c.shift, c.n, c.k, c.k + c.gap};
  if (c.bias) p.bias = bias.data();
  if (c.residual) p.residual = {old.data() + c.shift, c.m, c.n, c.n + c.gap};
  p.activate = c.activate;
  p.activation = c.activation;
  p.out = {out, c.m, c.n, c.n + c.gap};
  p.batch_invariant = batch_invariant;
  product(place(), p);
  return (to == To::Residual ? old : fresh).host();
}

/// A sum of k products errs by at most k roundings of float of the sum of their sizes; storing rounds once,
/// and twice where an activation follows (its slope is at most 1.13, and it errs by a few roundings itself).
template <class T>
void check(const Case<T>& c, To to) {
  const std::vector<T> got = run(c, to);
  int64_t wrong = 0;
  std::string first;
  for (int64_t i = 0; i < static_cast<int64_t>(got.size()); ++i) {
    const int64_t at = i - c.shift, row = at / (c.n + c.gap), column = at % (c.n + c.gap);
    const double value = to_float(got[i]);
    if (i < c.shift || column >= c.n) {
      const double untouched = to == To::Residual ? to_float(c.old[i]) : kUntouched;
      wrong += value != untouched;
      continue;
    }
    double size = 0;
    const double wanted = c.value(row, column, &size);
    const double float_error = (size + 8 * (1 + std::abs(wanted))) * static_cast<double>(c.k + 8) * 0x1p-24;
    const double stored_error = (c.activate ? 3 : 1.01) * rounding_of<T> * std::abs(wanted) +
                                (c.activate ? 1.2 * rounding_of<T> * size : 0) + 0x1p-24;
    if (std::abs(value - wanted) <= float_error + stored_error) continue;
    if (++wrong == 1)
      first = "[" + std::to_string(row) + ", " + std::to_string(column) + "]: " + std::to_string(value) +
              ", not " + std::to_string(wanted);
  }
  INFO(c.m << " x " << c.n << " x " << c.k << ": " << first);
  CHECK(wrong == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("a product is its definition at every tile edge", "[product]", float, bf16, f16) {
  each_round([] {
    for (const int64_t m : {1, 7, 8, 9, 257})
      for (const int64_t n : {1, 31, 32, 33}) check<TestType>({m, n, m == 257 ? 5 : 40}, To::Fresh);
    for (const int64_t k : {1, 15, 16, 17, 200}) check<TestType>({9, 35, k}, To::Fresh);
  });
}

TEMPLATE_TEST_CASE("a product of strided and misaligned rows touches nothing beside them", "[product]", float,
                   bf16, f16) {
  each_round([] {
    check<TestType>({10, 36, 17, 3, 1}, To::Fresh);
    check<TestType>({10, 36, 17, 3, 1, true, true}, To::Residual);
    check<TestType>({1, 1, 1, 1, 1, false, true}, To::Fresh);
  });
}

TEMPLATE_TEST_CASE("a product adds its bias and its residual, which may be the result itself", "[product]",
                   float, bf16, f16) {
  each_round([] {
    for (const bool bias : {false, true})
      for (const To to : {To::Fresh, To::Residual}) check<TestType>({11, 34, 24, 0, 0, bias, true}, to);
    check<TestType>({11, 34, 24, 0, 0, false}, To::Fresh);
  });
}

TEMPLATE_TEST_CASE("a product is activated after its bias", "[product]", float, bf16, f16) {
  each_round([] {
    using enum Activation;
    for (const Activation activation : {Gelu, QuickGelu, Relu})
      for (const bool bias : {false, true})
        check<TestType>({5, 40, 24, 2, 0, bias, false, true, activation}, To::Fresh);
  });
}

TEMPLATE_TEST_CASE("a row of a batch-invariant product has the same bits in any company", "[product]", float,
                   bf16, f16) {
  each_round([] {
    const Case<TestType> all{64, 37, 70};
    const std::vector<float> whole = floats(run(all, To::Fresh, true));
    for (const int64_t m : {1, 2, 7, 63}) {
      Case<TestType> some = all;
      some.m = m;
      const std::vector<float> part = floats(run(some, To::Fresh, true));
      CHECK(std::vector<float>(part.begin(), part.begin() + m * all.n) ==
            std::vector<float>(whole.begin(), whole.begin() + m * all.n));
    }
  });
}

TEMPLATE_TEST_CASE("a product of no rows or no columns does nothing", "[product]", float, bf16, f16) {
  each_round([] {
    for (const auto& [m, n] : {std::pair<int64_t, int64_t>{0, 3}, {3, 0}}) {
      Buffer<TestType> out(std::vector<TestType>(4, rounded<TestType>(kUntouched)));
      Product<TestType> p;
      p.a = {nullptr, m, 5, 5};
      p.weight = {nullptr, n, 5, 5};
      p.out = {out.data(), m, n, 3};
      product(place(), p);
      CHECK(floats(out.host()) == std::vector<float>(4, kUntouched));
    }
  });
}

TEST_CASE("a product that is not finite says so where it is not, and nowhere else", "[product]") {
  each_round([] {
    Case<float> c{3, 33, 20};
    c.a[20 + 4] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> got = run(c, To::Fresh);
    for (int64_t i = 0; i < static_cast<int64_t>(got.size()); ++i) CHECK(std::isnan(got[i]) == (i / 33 == 1));
  });
}

TEST_CASE("a product on the CPU is its definition by every instruction set", "[product]") {
  if constexpr (on_cuda) return;
  for (const Isa most : {Isa::Baseline, Isa::Avx2, Isa::Avx512}) {
    isa_limit = most;
    check<float>({9, 70, 33}, To::Fresh);
    check<bf16>({17, 31, 5}, To::Fresh);
  }
  isa_limit = Isa::Avx512;
}

TEST_CASE("a product may be prepared for and its memory given back, and need not be", "[product]") {
  each_round([] {
    prepare_products(place());
    prepare_products(place());
    check<float>({2, 3, 4}, To::Fresh);
    release_products(place());
    check<float>({2, 3, 4}, To::Fresh);
  });
}
