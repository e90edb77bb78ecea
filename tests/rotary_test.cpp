#include <cmath>

#include "kernels.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// Heads of a packed projection: [item, token, heads + others, head_width], more elements behind every token.
struct Shape {
  int64_t items = 1, tokens = 1, heads = 1, head_width = 2, first = 0, others = 0, more = 0, offset = 0;

  int64_t token() const { return (heads + others) * head_width + more; }
  int64_t at(int64_t i, int64_t t, int64_t h) const {
    return offset + (i * tokens + t) * token() + h * head_width;
  }
  int64_t count() const { return offset + items * tokens * token(); }
};

template <class T>
void check(const Shape& s) {
  CAPTURE(s.items, s.tokens, s.heads, s.head_width, s.first, s.others, s.more, s.offset);
  const int64_t half = s.head_width / 2;
  std::vector<float> cosine, sine;
  for (int64_t p = 0; p < s.first + s.tokens; ++p)
    for (int64_t k = 0; k < half; ++k) {
      const double angle =
          static_cast<double>(p) * std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(half));
      cosine.push_back(static_cast<float>(std::cos(angle)));
      sine.push_back(static_cast<float>(std::sin(angle)));
    }
  const std::vector<T> x = random_stored<T>(s.count(), 1);
  each_round([&] {
    Buffer<T> heads(x);
    const Buffer<float> c(cosine), n(sine);
    rotary(place(), Rotary<T>{.x = {heads.data() + s.offset, s.tokens * s.token(), s.token(), s.head_width},
                              .items = s.items,
                              .tokens = s.tokens,
                              .heads = s.heads,
                              .head_width = s.head_width,
                              .cosine = c.data(),
                              .sine = n.data(),
                              .first = s.first});
    const std::vector<float> got = floats(heads.host());
    std::vector<float> kept = got;
    double worst = 0;
    for (int64_t i = 0; i < s.items; ++i)
      for (int64_t t = 0; t < s.tokens; ++t)
        for (int64_t h = 0; h < s.heads; ++h)
          for (int64_t k = 0; k < half; ++k) {
            const int64_t at = s.at(i, t, h) + k, table = (s.first + t) * half + k;
            const double a = to_float(x[at]), b = to_float(x[at + half]), co = cosine[table],
                         si = sine[table];
            // two products and their sum in float, the last rounding to T
            const double rounding = 3 * 0x1p-24 * (std::abs(a) + std::abs(b)) + 0x1p-25;
            const double first = a * co - b * si, second = b * co + a * si;
            for (const double share :
                 {std::abs(got[at] - first) / (rounding + rounding_of<T> * std::abs(first)),
                  std::abs(got[at + half] - second) / (rounding + rounding_of<T> * std::abs(second))})
              worst = share <= worst ? worst : share;
            kept[at] = to_float(x[at]);
            kept[at + half] = to_float(x[at + half]);
          }
    CHECK(worst <= 1);
    CHECK(kept == floats(x));  // nothing beside the heads is touched
  });
}

}  // namespace

TEMPLATE_TEST_CASE("rotary turns the pairs of every head width by the angle of the position", "[rotary]",
                   float, bf16, f16) {
  const int64_t head_width = GENERATE(2, 6, 8, 16, 18, 32, 64, 72, 80, 128, 130);
  check<TestType>({.items = 2, .tokens = 3, .heads = 2, .head_width = head_width, .first = 1});
}

TEMPLATE_TEST_CASE(
    "rotary is right for a token less and more than a block has warps, and for fewer and more packs than "
    "a warp has lanes",
    "[rotary]", float, bf16, f16) {
  const int64_t tokens = GENERATE(1, 7, 8, 9), heads = GENERATE(1, 3, 9);
  check<TestType>({.items = 2, .tokens = tokens, .heads = heads, .head_width = 64});
}

TEMPLATE_TEST_CASE("rotary turns the first heads of a packed projection and leaves the others", "[rotary]",
                   float, bf16, f16) {
  const int64_t more = GENERATE(0, 1, 8), offset = GENERATE(0, 1, 8);
  check<TestType>({.items = 2,
                   .tokens = 2,
                   .heads = 2,
                   .head_width = 32,
                   .first = 5,
                   .others = 4,
                   .more = more,
                   .offset = offset});
}

TEST_CASE("rotary turns by nothing at position 0, and by a quarter where cosine is 0", "[rotary]") {
  each_round([&] {
    Buffer<float> x(std::vector<float>{1, 2, 3, 4, 1, 2, 3, 4});
    const Buffer<float> cosine(std::vector<float>{1, 1, 0, 0}), sine(std::vector<float>{0, 0, 1, 1});
    rotary(place(), Rotary<float>{.x = {x.data(), 8, 4, 4},
                                  .items = 1,
                                  .tokens = 2,
                                  .heads = 1,
                                  .head_width = 4,
                                  .cosine = cosine.data(),
                                  .sine = sine.data()});
    CHECK(x.host() == std::vector<float>{1, 2, 3, 4, -3, -4, 1, 2});
  });
}

TEST_CASE("rotary reads either table alone at an odd address", "[rotary]") {
  const int64_t before_cosine = GENERATE(0, 1), before_sine = 1 - before_cosine;
  each_round([&] {
    Buffer<float> x(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
    const Buffer<float> cosine(std::vector<float>(5, 0.0f)), sine(std::vector<float>(5, 1.0f));
    rotary(place(), Rotary<float>{.x = {x.data(), 8, 8, 8},
                                  .items = 1,
                                  .tokens = 1,
                                  .heads = 1,
                                  .head_width = 8,
                                  .cosine = cosine.data() + before_cosine,
                                  .sine = sine.data() + before_sine});
    CHECK(x.host() == std::vector<float>{-5, -6, -7, -8, 1, 2, 3, 4});
  });
}

TEST_CASE("rotary of no tokens does nothing", "[rotary]") {
  each_round([&] { rotary(place(), Rotary<float>{.x = {}, .items = 1, .heads = 1, .head_width = 2}); });
}
