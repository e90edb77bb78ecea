#include "kernels.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

template <class T>
struct Case {
  int64_t items, places, channels;
  std::vector<T> x, y;
  std::vector<float> weight;

  Case(int64_t item_count, int64_t place_count, int64_t channel_count)
      : items(item_count),
        places(place_count),
        channels(channel_count),
        x(random_stored<T>(items * places * channels, 1)),
        y(random_stored<T>(items * places * channels, 2)),
        weight(random_floats(static_cast<std::size_t>(channels), 3)) {
    for (float& w : weight) w = std::abs(w);  // as those of LPIPS are
  }

  double length(const std::vector<T>& features, int64_t place) const {
    double sum = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const double value = to_float(features[place * channels + c]);
      sum += value * value;
    }
    return std::sqrt(sum) + 1e-10;
  }
  struct Distance {
    double value = 0, tolerance = 0;
  };
  /// A unit feature is off by the rounding of its length (a float sum of `channels` squares), of the division
  /// and of the product; the sum of the terms rounds anew.
  Distance distance(int64_t item) const {
    Distance sum;
    for (int64_t place = item * places; place < (item + 1) * places; ++place) {
      const double x_length = length(x, place), y_length = length(y, place);
      for (int64_t c = 0; c < channels; ++c) {
        const double a = to_float(x[place * channels + c]) / x_length,
                     b = to_float(y[place * channels + c]) / y_length;
        const double d = a - b, off = 0x1p-24 * (channels / 8.0 + 8) * (std::abs(a) + std::abs(b));
        sum.value += weight[c] * d * d / places;
        sum.tolerance += weight[c] * (2 * std::abs(d) * off + off * off) / places;
      }
    }
    sum.tolerance += 0x1p-24 * (channels / 8.0 + places / 64.0 + 30) * sum.value;
    return sum;
  }

  /// What the kernel adds to `before`; the tensors begin `offset` elements into their memory.
  std::vector<float> run(bool workspace, float before = 0, int64_t offset = 0) const {
    const auto shifted = [&](auto values) {
      values.insert(values.begin(), offset, {});
      return values;
    };
    const Buffer<T> on_x(shifted(x)), on_y(shifted(y));
    const Buffer<float> on_weight(shifted(weight));
    Buffer<float> parts(items * lpips_parts(places)), out(std::vector<float>(items, before));
    lpips_distance(place(),
                   LpipsLayer<T>{on_x.data() + offset, on_y.data() + offset, on_weight.data() + offset, items,
                                 places, channels, workspace ? parts.data() : nullptr},
                   out.data());
    return out.host();
  }

  void check(const std::vector<float>& got, double before = 0) const {
    for (int64_t i = 0; i < items; ++i) {
      const Distance exact = distance(i);
      CHECK(std::abs(got[i] - (before + exact.value)) <= exact.tolerance + 0x1p-24 * before);
    }
  }
};

}  // namespace

TEMPLATE_TEST_CASE("the distance is the mean weighted square of unit features' difference", "[lpips]", float,
                   bf16, f16) {
  const int64_t channels = GENERATE(1, 3, 4, 5, 8, 9, 64, 127, 192, 257);
  for (const int64_t places : {1, 9, 33}) {
    const Case<TestType> c(2, places, channels);
    each_round([&] { c.check(c.run(false)); });
  }
}

TEMPLATE_TEST_CASE("places are shared among blocks where there is a workspace", "[lpips]", float, bf16, f16) {
  const int64_t places = GENERATE(255, 256, 257, 1030);
  const bool workspace = GENERATE(true, false);
  const Case<TestType> c(2, places, 8);
  each_round([&] { c.check(c.run(workspace)); });
}

TEST_CASE("more parts than a warp has lanes are added up", "[lpips]") {
  const Case<float> c(1, 256 * 33 + 1, 1);
  each_round([&] { c.check(c.run(true)); });
}

TEMPLATE_TEST_CASE("the distance of a layer is added to what is there", "[lpips]", float, bf16, f16) {
  const Case<TestType> c(3, 300, 5);
  each_round([&] {
    c.check(c.run(true, 0.75f), 0.75);
    c.check(c.run(false, 0.75f), 0.75);
  });
}

TEMPLATE_TEST_CASE("features may begin at any element", "[lpips]", float, bf16, f16) {
  const Case<TestType> c(2, 9, 24);
  const int64_t offset = GENERATE(1, 4, 8);
  each_round([&] { c.check(c.run(true, 0, offset)); });
}

TEMPLATE_TEST_CASE("a picture is at distance 0 from itself, exactly", "[lpips]", float, bf16, f16) {
  Case<TestType> c(2, 40, 24);
  c.y = c.x;
  each_round([&] { CHECK(c.run(true) == std::vector<float>(2, 0)); });
}

TEST_CASE("a place without features has no direction, and tiny ones count by how tiny", "[lpips]") {
  Case<float> c(1, 4, 6);
  for (int k = 0; k < 6; ++k) {
    c.x[k] = 0;                     // against features: their own square
    c.x[6 + k] = c.y[6 + k] = 0;    // both: nothing
    c.x[12 + k] *= 1e-10f;          // the length of these is about the epsilon
    c.y[18 + k] = c.x[18 + k] * 2;  // the same direction: nothing
  }
  each_round([&] { c.check(c.run(true)); });
}

TEMPLATE_TEST_CASE("an item's distance has the same bits alone and in a batch", "[lpips]", float, bf16, f16) {
  const Case<TestType> all(3, 520, 4);
  const bool workspace = GENERATE(true, false);
  each_round([&] {
    const auto together = all.run(workspace);
    for (int64_t i = 0; i < 3; ++i) {
      Case<TestType> one(1, 520, 4);
      one.x.assign(all.x.begin() + i * 2080, all.x.begin() + (i + 1) * 2080);
      one.y.assign(all.y.begin() + i * 2080, all.y.begin() + (i + 1) * 2080);
      CHECK(one.run(workspace)[0] == together[i]);
    }
  });
}

TEST_CASE("no items and no places add nothing", "[lpips]") {
  each_round([&] {
    CHECK(Case<float>(0, 4, 8).run(true).empty());
    CHECK(Case<float>(2, 0, 8).run(true, 3) == std::vector<float>(2, 3));
  });
}
