#include <cstring>

#include "difference.h"
#include "kernels.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// Where the rows of an answer lie, and the input: `offset` elements in; the answer's rows `gap` apart.
struct Layout {
  int64_t offset, gap;
};

template <class T>
struct Case {
  int64_t items, tokens, width;
  Layout at;
  std::vector<T> x = random_stored<T>(at.offset + items * tokens * width, 1);

  double value(int64_t item, int64_t token, int64_t k) const {
    return to_float(x[at.offset + (item * tokens + token) * width + k]);
  }
  int64_t stride() const { return width + at.gap; }
  /// What f(pooling) leaves in the answer's memory, -7 where it writes nothing.
  template <class F>
  std::vector<float> run(const F& f) const {
    const Buffer<T> in(x);
    Buffer<T> out(stored<T>(std::vector<float>(at.offset + items * stride(), -7)));
    f(Pooling<T>{in.data() + at.offset, items, tokens, width,
                 Rows<T>{out.data() + at.offset, items, width, stride()}});
    return floats(out.host());
  }
};

template <class T>
void check_row(const Case<T>& c, bool indexed) {
  std::vector<int64_t> index;
  for (int64_t i = 0; i < c.items; ++i) index.push_back((5 * i + c.tokens - 1) % c.tokens);
  std::vector<float> expected(c.at.offset + c.items * c.stride(), -7);
  for (int64_t i = 0; i < c.items; ++i)
    for (int64_t k = 0; k < c.width; ++k)
      expected[c.at.offset + i * c.stride() + k] = static_cast<float>(c.value(i, indexed ? index[i] : 0, k));
  each_round([&] {
    const Buffer<int64_t> on_index(index);
    const auto got =
        c.run([&](const Pooling<T>& p) { pool_row(place(), p, indexed ? on_index.data() : nullptr); });
    CHECK(difference(got, expected) == "");
  });
}

/// Each addition of n floats rounds by at most 2^-24 of the sum so far.
template <class T>
void check_mean(const Case<T>& c, int64_t first) {
  each_round([&] {
    const auto got = c.run([&](const Pooling<T>& p) { pool_mean(place(), p, first); });
    const int64_t count = c.tokens - first;
    for (int64_t i = 0; i < c.items; ++i)
      for (int64_t k = 0; k < c.stride(); ++k) {
        const float mean = got[c.at.offset + i * c.stride() + k];
        if (k >= c.width) {
          CHECK(mean == -7);
          continue;
        }
        double sum = 0, magnitude = 0;
        for (int64_t t = first; t < c.tokens; ++t) {
          sum += c.value(i, t, k);
          magnitude += std::abs(c.value(i, t, k));
        }
        const double tolerance =
            0x1p-24 * (count + 1) * magnitude / count + rounding_of<T> * std::abs(sum / count);
        CHECK(std::abs(mean - sum / count) <= tolerance);
      }
  });
}

}  // namespace

TEMPLATE_TEST_CASE("the first row or the row at an index is copied", "[pooling]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 3, 4, 5, 8, 9, 128, 256, 257);
  const bool indexed = GENERATE(true, false);
  for (const int64_t items : {1, 7, 8, 9}) check_row<TestType>({items, 6, width, {0, 0}}, indexed);
  check_row<TestType>({3, 1, width, {0, 0}}, indexed);
  check_row<TestType>({3, 5, width, {1, 0}}, indexed);
  check_row<TestType>({3, 5, width, {0, 3}}, indexed);
  check_row<TestType>({3, 5, width, {8, 8}}, indexed);
}

TEMPLATE_TEST_CASE("a copied row keeps its bits, those of NaNs and negative zeros too", "[pooling]", bf16,
                   f16) {
  std::vector<TestType> x;
  for (int k = 0; k < 16; ++k) x.push_back({static_cast<uint16_t>(k % 2 ? 0x7d01 + 64 * k : 0xff81 + k)});
  x[3] = {0x8000};
  each_round([&] {
    const Buffer<TestType> in(x);
    Buffer<TestType> out(16);
    pool_row(place(), Pooling<TestType>{in.data(), 1, 1, 16, Rows<TestType>{out.data(), 1, 16, 16}}, nullptr);
    const auto got = out.host();
    CHECK(std::memcmp(got.data(), x.data(), sizeof(TestType) * 16) == 0);
  });
}

TEMPLATE_TEST_CASE("with no tokens to an item any rows of all are gathered", "[pooling]", float, bf16, f16) {
  const int64_t width = GENERATE(8, 9), rows = 11;
  const std::vector<int64_t> index = {10, 0, 3, 3, 7};
  const std::vector<TestType> x = random_stored<TestType>(rows * width, 1);
  each_round([&] {
    const Buffer<TestType> in(x);
    const Buffer<int64_t> on_index(index);
    Buffer<TestType> out(std::ssize(index) * width);
    pool_row(place(), Pooling<TestType>{in.data(), 5, 0, width, Rows<TestType>{out.data(), 5, width, width}},
             on_index.data());
    const std::vector<TestType> got = out.host();
    for (std::size_t i = 0; i < index.size(); ++i)
      for (int64_t k = 0; k < width; ++k) CHECK(to_float(got[i * width + k]) == to_float(x[index[i] * width + k]));
  });
}

TEMPLATE_TEST_CASE("the mean is taken over the rows from one on", "[pooling]", float, bf16, f16) {
  const int64_t tokens = GENERATE(1, 2, 7, 8, 9, 17, 50);
  for (const int64_t first : {0, 1, 5}) {
    if (first >= tokens) continue;
    check_mean<TestType>({2, tokens, 8, {0, 0}}, first);
    check_mean<TestType>({1, tokens, 13, {0, 0}}, first);
    check_mean<TestType>({2, tokens, 16, {1, 3}}, first);
  }
}

TEMPLATE_TEST_CASE("the mean of every width around packs and tiles", "[pooling]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 7, 127, 128, 129, 255, 256, 257, 264, 512);
  check_mean<TestType>({2, 11, width, {0, 0}}, 1);
}

TEMPLATE_TEST_CASE("an item's mean has the same bits alone and in a batch", "[pooling]", float, bf16, f16) {
  const Case<TestType> all{5, 20, 40, {0, 0}};
  each_round([&] {
    const auto mean = [](const Pooling<TestType>& p) { pool_mean(place(), p, 1); };
    const auto together = all.run(mean);
    for (int64_t i = 0; i < all.items; ++i) {
      const auto begin = all.x.begin() + i * 20 * 40;
      const Case<TestType> one{1, 20, 40, {0, 0}, {begin, begin + 20 * 40}};
      const std::vector<float> row(together.begin() + i * 40, together.begin() + (i + 1) * 40);
      CHECK(difference(one.run(mean), row) == "");
    }
  });
}

TEST_CASE("no items have no row", "[pooling]") {
  check_row<float>({0, 3, 8, {4, 0}}, true);
  check_mean<float>({0, 3, 8, {4, 0}}, 1);
}
