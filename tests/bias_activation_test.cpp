#include <array>
#include <cmath>
#include <limits>

#include "activation_in_double.h"
#include "kernels.h"
#include "row_shape.h"
#include "stored.h"
#include "support.h"
#include "test_place.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// Half the step between the smallest numbers of f16, where rounding is no longer relative.
template <class T>
constexpr double smallest_step = sizeof(T) == 2 ? 0x1p-25 : 0;

/// What an activation of a float sum may be off by: the last rounding to T, and eight roundings of numbers up
/// to |x| on the way (the sum, erf or exp and the quotient; no slope is above 1.2). The fast exp's error
/// grows with the exponent, but |x| exp(-|x|) (1 + |x|) stays below 1.
template <class T>
double allowed(double x, double want) {
  return rounding_of<T> * std::abs(want) + 8 * 0x1p-24 * (std::abs(x) + 1) + smallest_step<T>;
}

/// Holds bias_activation over `shape` to its definition.
template <class T>
void check_activation(const RowShape& s, Activation activation, bool in_place) {
  CAPTURE(s.rows, s.width, s.more, s.offset, s.bias, in_place, static_cast<int>(activation));
  const std::vector<T> x = random_stored<T>(s.count(), 1, 3), bias = random_stored<T>(s.offset + s.width, 2);
  const std::vector<T> filled(x.size(), rounded<T>(77));
  each_round([&] {
    Buffer<T> from(x), to(filled);
    const Buffer<T> added(bias);
    Buffer<T>& place_of_out = in_place ? from : to;
    bias_activation(place(), Rows<const T>{from.data() + s.offset, s.rows, s.width, s.stride()},
                    s.bias ? added.data() + s.offset : nullptr, activation,
                    Rows<T>{place_of_out.data() + s.offset, s.rows, s.width, s.stride()});
    std::vector<T> want = in_place ? x : filled;
    const std::vector<T> got = place_of_out.host();
    double worst = 0;
    for (int64_t i = 0; i < s.rows; ++i)
      for (int64_t k = 0; k < s.width; ++k) {
        const double sum = to_float(x[s.at(i, k)]) + (s.bias ? double{to_float(bias[s.offset + k])} : 0);
        const double exact = activation_in_double(activation, sum);
        const double share = std::abs(to_float(got[s.at(i, k)]) - exact) / allowed<T>(sum, exact);
        worst = share <= worst ? worst : share;
        want[s.at(i, k)] = got[s.at(i, k)];
      }
    CHECK(worst <= 1);
    CHECK(floats(got) == floats(want));  // nothing beside the rows is touched
  });
}

/// x of out's rows, its halves side by side, so twice as wide.
template <class T>
void check_gated(const RowShape& s, Activation activation) {
  CAPTURE(s.rows, s.width, s.more, s.offset, s.bias, static_cast<int>(activation));
  const RowShape wide = {s.rows, 2 * s.width, 2 * s.more, s.offset, s.bias};
  const std::vector<T> x = random_stored<T>(wide.count(), 3, 3),
                       bias = random_stored<T>(wide.offset + wide.width, 4);
  const std::vector<T> filled(static_cast<std::size_t>(s.count()), rounded<T>(77));
  each_round([&] {
    const Buffer<T> from(x), added(bias);
    Buffer<T> to(filled);
    gated_activation(place(), Rows<const T>{from.data() + s.offset, s.rows, wide.width, wide.stride()},
                     s.bias ? added.data() + s.offset : nullptr, activation,
                     Rows<T>{to.data() + s.offset, s.rows, s.width, s.stride()});
    std::vector<T> want = filled;
    const std::vector<T> got = to.host();
    double worst = 0;
    for (int64_t i = 0; i < s.rows; ++i)
      for (int64_t k = 0; k < s.width; ++k) {
        const auto sum = [&](int64_t column) {
          return to_float(x[wide.at(i, column)]) + (s.bias ? double{to_float(bias[s.offset + column])} : 0);
        };
        const double gate = sum(k), up = sum(s.width + k), factor = activation_in_double(activation, gate);
        const double share = std::abs(to_float(got[s.at(i, k)]) - factor * up) /
                             (allowed<T>(gate, factor) * std::abs(up) + 2 * 0x1p-24 * std::abs(factor * up) +
                              smallest_step<T>);
        worst = share <= worst ? worst : share;
        want[s.at(i, k)] = got[s.at(i, k)];
      }
    CHECK(worst <= 1);
    CHECK(floats(got) == floats(want));
  });
}

constexpr std::array every_activation = {Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu,
                                         Activation::Silu, Activation::Relu};

}  // namespace

TEMPLATE_TEST_CASE("bias_activation is each activation of the sum", "[bias_activation]", float, bf16, f16) {
  const Activation activation = GENERATE(from_range(every_activation));
  check_activation<TestType>({.rows = 3, .width = 72}, activation, false);
  check_activation<TestType>({.rows = 3, .width = 41, .bias = false}, activation, false);
}

TEMPLATE_TEST_CASE("bias_activation is right below, at and above a pack and a warp of packs",
                   "[bias_activation]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 4, 7, 8, 9, 127, 128, 129, 136, 255, 256, 257, 264);
  const int64_t rows = GENERATE(1, 8, 9);
  check_activation<TestType>({.rows = rows, .width = width}, Activation::GeluTanh, false);
}

TEMPLATE_TEST_CASE("bias_activation may write over its input, and touches nothing beside the rows",
                   "[bias_activation]", float, bf16, f16) {
  const int64_t width = GENERATE(41, 48), more = GENERATE(1, 7, 8), offset = GENERATE(0, 1, 8);
  const bool in_place = GENERATE(false, true);
  check_activation<TestType>({.rows = 3, .width = width, .more = more, .offset = offset},
                             Activation::QuickGelu, in_place);
}

TEST_CASE("bias_activation takes rows beyond those of all blocks by turns", "[bias_activation]") {
  check_activation<bf16>({.rows = 8 * 1056 + 5, .width = 2}, Activation::Silu, false);
}

TEMPLATE_TEST_CASE("gated_activation is each activation of the gate times what is up", "[bias_activation]",
                   float, bf16, f16) {
  const Activation activation = GENERATE(from_range(every_activation));
  check_gated<TestType>({.rows = 3, .width = 72}, activation);
  check_gated<TestType>({.rows = 2, .width = 41, .bias = false}, activation);
}

TEMPLATE_TEST_CASE("gated_activation is right at odd widths, strides and addresses", "[bias_activation]",
                   float, bf16, f16) {
  const int64_t width = GENERATE(1, 4, 12, 128, 129, 256, 264), more = GENERATE(0, 1, 4, 7),
                offset = GENERATE(0, 1);
  check_gated<TestType>({.rows = 9, .width = width, .more = more, .offset = offset}, Activation::Silu);
}

TEST_CASE("bias_activation reads and writes each of its rows alone at an odd address", "[bias_activation]") {
  const int64_t odd = GENERATE(0, 1, 2);  // x, bias, out
  each_round([&] {
    const Buffer<float> x(std::vector<float>(17, 2)), bias(std::vector<float>(17, 3));
    Buffer<float> out(std::vector<float>(17, 77));
    bias_activation<float>(place(), {x.data() + (odd == 0 ? 1 : 0), 1, 16, 16},
                           bias.data() + (odd == 1 ? 1 : 0), Activation::Relu,
                           {out.data() + (odd == 2 ? 1 : 0), 1, 16, 16});
    std::vector<float> want(17, 5);
    want[odd == 2 ? 0 : 16] = 77;
    CHECK(out.host() == want);
  });
}

TEST_CASE("an activation of large numbers is that number or zero, of none a NaN but of a NaN",
          "[bias_activation]") {
  const Activation activation = GENERATE(from_range(every_activation));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  each_round([&] {
    Buffer<float> x(std::vector<float>{200, -200, 3e38f, -3e38f, 0, nan});
    bias_activation<float>(place(), {x.data(), 1, 6, 6}, nullptr, activation, {x.data(), 1, 6, 6});
    const std::vector<float> got = x.host();
    CHECK(std::vector<float>(got.begin(), got.end() - 1) == std::vector<float>{200, 0, 3e38f, 0, 0});
    CHECK(std::isnan(got[5]));
  });
}

TEST_CASE("bias_activation of no rows does nothing", "[bias_activation]") {
  each_round([&] {
    bias_activation<float>(place(), {nullptr, 0, 4, 4}, nullptr, Activation::Relu, {nullptr, 0, 4, 4});
    gated_activation<float>(place(), {nullptr, 0, 4, 4}, nullptr, Activation::Relu, {nullptr, 0, 2, 2});
  });
}
