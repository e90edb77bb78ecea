#include <algorithm>

#include "difference.h"
#include "kernels.h"
#include "test_place.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// Bytes of which a third are black and a third white: where sums overshoot.
std::vector<uint8_t> random_bytes(int64_t count, uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) {
    const uint64_t draw = bits();
    byte = draw % 3 == 0 ? 0 : draw % 3 == 1 ? 255 : static_cast<uint8_t>(draw >> 8);
  }
  return bytes;
}

/// Weights of either sign at random places, of which some outputs pass 0 and 255.
struct RandomAxis {
  std::vector<int32_t> first, count, weights;
  int32_t taps = 0;

  RandomAxis(int64_t in_size, int64_t out_size, int most, uint64_t seed) : taps((most + 3) / 4 * 4) {
    std::mt19937_64 bits(seed);
    const auto below = [&](int64_t n) { return static_cast<int32_t>(bits() % static_cast<uint64_t>(n)); };
    for (int64_t i = 0; i < out_size; ++i) {
      // The first output and the last touch the first input and the last.
      count.push_back(1 + below(std::min<int64_t>(most, in_size)));
      const auto room = static_cast<int32_t>(in_size) - count.back();
      first.push_back(i == 0 ? 0 : i + 1 == out_size ? room : below(room + 1));
      for (int32_t t = 0; t < taps; ++t)
        weights.push_back(t < count.back() ? (below(5 << 21) - (1 << 21)) / count.back() : 0);
    }
  }
};

uint8_t summed(const RandomAxis& axis, int64_t i, const auto& pixel) {
  int64_t sum = 1 << (resize_bits - 1);
  for (int32_t t = 0; t < axis.count[i]; ++t)
    sum += int64_t{axis.weights[i * axis.taps + t]} * pixel(axis.first[i] + t);
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> resize_bits, 0, 255));
}

/// How rows lie in memory: `offset` bytes in, `gap` bytes between them.
struct Layout {
  int64_t offset, gap;
};
constexpr Layout layouts[] = {{0, 0}, {1, 0}, {3, 5}, {16, 16}, {4, 1}, {2, 2}};

/// The axis in the memory of the place, its weights `offset` numbers in.
struct PlacedAxis {
  Buffer<int32_t> first, count, weights;
  int32_t taps;
  int64_t offset;

  explicit PlacedAxis(const RandomAxis& axis, int64_t at = 0)
      : first(axis.first),
        count(axis.count),
        weights(shifted(axis.weights, at)),
        taps(axis.taps),
        offset(at) {}
  static std::vector<int32_t> shifted(std::vector<int32_t> values, int64_t by) {
    values.insert(values.begin(), by, 0);
    return values;
  }
  ResizeAxis axis() const { return {first.data(), count.data(), weights.data() + offset, taps}; }
};

/// What comes of `rows` rows of `width` bytes, where value(row, byte) is what each should be and `filler`
/// what lies between.
template <class Value>
std::vector<uint8_t> laid_out(Layout at, int64_t rows, int64_t width, uint8_t filler, const Value& value) {
  std::vector<uint8_t> bytes(at.offset + rows * (width + at.gap), filler);
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t k = 0; k < width; ++k) bytes[at.offset + y * (width + at.gap) + k] = value(y, k);
  return bytes;
}

/// Ends with the last byte of the last row; the CPU alone may read on.
std::vector<uint8_t> with_margin(std::vector<uint8_t> bytes, Layout at) {
  bytes.resize(bytes.size() - at.gap + (on_cuda ? 0 : resize_margin));
  return bytes;
}

void check_horizontal(int64_t rows, int64_t in_pixels, int64_t out_pixels, int taps, Layout in_at,
                      Layout out_at) {
  const RandomAxis axis(in_pixels, out_pixels, taps,
                        static_cast<uint64_t>(rows + 7 * out_pixels + 31 * taps));
  const int64_t in_width = 3 * in_pixels, out_width = 3 * out_pixels;
  const std::vector<uint8_t> picture = random_bytes(rows * in_width, 3);
  const auto in_bytes = with_margin(
      laid_out(in_at, rows, in_width, 99, [&](int64_t y, int64_t k) { return picture[y * in_width + k]; }),
      in_at);
  const auto expected = laid_out(out_at, rows, out_width, 77, [&](int64_t y, int64_t k) {
    return summed(axis, k / 3, [&](int64_t x) { return picture[y * in_width + 3 * x + k % 3]; });
  });
  each_round([&] {
    const PlacedAxis placed(axis, in_at.offset % 4);
    const Buffer<uint8_t> in(in_bytes);
    Buffer<uint8_t> out(std::vector<uint8_t>(expected.size(), 77));
    resize_horizontal(place(), {in.data() + in_at.offset, rows, in_width, in_width + in_at.gap},
                      {out.data() + out_at.offset, rows, out_width, out_width + out_at.gap}, placed.axis());
    CHECK(difference(out.host(), expected) == "");
  });
}

void check_vertical(int64_t in_rows, int64_t out_rows, int64_t width, int taps, Layout in_at, Layout out_at) {
  const RandomAxis axis(in_rows, out_rows, taps, static_cast<uint64_t>(out_rows + 7 * width + 31 * taps));
  const std::vector<uint8_t> picture = random_bytes(in_rows * width, 4);
  const auto in_bytes = with_margin(
      laid_out(in_at, in_rows, width, 99, [&](int64_t y, int64_t k) { return picture[y * width + k]; }),
      in_at);
  const auto expected = laid_out(out_at, out_rows, width, 77, [&](int64_t y, int64_t k) {
    return summed(axis, y, [&](int64_t from) { return picture[from * width + k]; });
  });
  each_round([&] {
    const PlacedAxis placed(axis);
    const Buffer<uint8_t> in(in_bytes);
    Buffer<uint8_t> out(std::vector<uint8_t>(expected.size(), 77));
    resize_vertical(place(), {in.data() + in_at.offset, in_rows, width, width + in_at.gap},
                    {out.data() + out_at.offset, out_rows, width, width + out_at.gap}, placed.axis());
    CHECK(difference(out.host(), expected) == "");
  });
}

}  // namespace

TEST_CASE("every pixel of the horizontal pass is its fixed-point sum", "[resize]") {
  const int64_t out_pixels = GENERATE(1, 3, 4, 5, 31, 32, 33, 67);
  for (const int64_t rows : {1, 7, 8, 9})
    for (const int taps : {1, 3, 4, 5, 14}) check_horizontal(rows, 19, out_pixels, taps, {0, 0}, {0, 0});
}

TEST_CASE("the horizontal pass takes rows at any address", "[resize]") {
  for (const Layout in : layouts)
    for (const Layout out : layouts) check_horizontal(3, 11, 10, 9, in, out);
  check_horizontal(2, 1, 5, 4, {3, 0}, {0, 0});
  // Rows at multiples of four bytes whose last pixels are not four.
  for (const int64_t pixels : {9, 10, 11}) check_horizontal(3, 11, pixels, 5, {0, 0}, {0, 36 - 3 * pixels});
  check_horizontal(2, 300, 6, 260, {1, 1}, {0, 2});
}

TEST_CASE("every byte of the vertical pass is its fixed-point sum", "[resize]") {
  const int64_t width = GENERATE(1, 15, 16, 17, 33, 48, 511, 512, 513);
  for (const int64_t out_rows : {1, 7, 8, 9})
    for (const int taps : {1, 4, 6}) check_vertical(10, out_rows, width, taps, {0, 0}, {0, 0});
}

TEST_CASE("the vertical pass takes rows at any address", "[resize]") {
  const int64_t width = GENERATE(9, 16, 47, 64);
  for (const Layout in : layouts)
    for (const Layout out : layouts) check_vertical(7, 5, width, 5, in, out);
}

TEST_CASE("one row, one column and nothing are resized", "[resize]") {
  check_vertical(1, 20, 3, 1, {0, 0}, {0, 0});
  check_vertical(200, 1, 3, 200, {0, 0}, {0, 0});
  check_horizontal(1, 1, 1, 1, {0, 0}, {0, 0});
  resize_horizontal(place(), {}, {}, {});
  resize_vertical(place(), {}, {}, {});
}
