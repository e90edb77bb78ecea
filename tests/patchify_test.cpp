#include "difference.h"
#include "kernels.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

std::vector<uint8_t> random_bytes(int64_t count, uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(bits() >> 13);
  return bytes;
}

/// value(item, channel, y, x) cut into rows `stride` apart after `offset` numbers, -7 where nothing is
/// written.
template <class T, class Value>
std::vector<float> cut(const Patches& p, int64_t channels, int64_t offset, int64_t stride,
                       const Value& value) {
  std::vector<float> out(offset + p.items * p.rows() * p.columns() * stride, -7);
  for (int64_t item = 0; item < p.items; ++item)
    for (int64_t row = 0; row < p.rows(); ++row)
      for (int64_t column = 0; column < p.columns(); ++column)
        for (int64_t c = 0; c < channels; ++c)
          for (int64_t y = 0; y < p.patch_height; ++y)
            for (int64_t x = 0; x < p.patch_width; ++x) {
              const int64_t patch = (item * p.rows() + row) * p.columns() + column;
              const int64_t k = (c * p.patch_height + y) * p.patch_width + x;
              const float number =
                  value(item, c, p.top + row * p.patch_height + y, p.left + column * p.patch_width + x);
              out[offset + patch * stride + k] = to_float(rounded<T>(number));
            }
  return out;
}

/// Rows of numbers that begin and end where they need not: `offset` numbers in, `gap` apart.
struct Layout {
  int64_t offset, gap;
};

template <class T>
std::vector<T> unwritten(int64_t count) {
  return stored<T>(std::vector<float>(count, -7));
}

template <class T>
void check_bytes(const Patches& p, Layout pixels_at, Layout out_at) {
  const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f},
              std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
  std::vector<float> table(3 * 256);
  normalize_table(mean, std, 1 / 255.0, table.data());
  const std::vector<uint8_t> bytes = random_bytes(pixels_at.offset + 3 * p.items * p.height * p.width, 1);
  const int64_t width = 3 * p.patch_height * p.patch_width, stride = width + out_at.gap;
  const int64_t rows = p.items * p.rows() * p.columns();
  const auto expected =
      cut<T>(p, 3, out_at.offset, stride, [&](int64_t item, int64_t c, int64_t y, int64_t x) {
        return table[256 * c + bytes[pixels_at.offset + 3 * ((item * p.height + y) * p.width + x) + c]];
      });
  each_round([&] {
    const Buffer<uint8_t> pixels(bytes);
    const Buffer<float> levels(table);
    Buffer<T> out(unwritten<T>(out_at.offset + rows * stride));
    patchify(place(), pixels.data() + pixels_at.offset, p, levels.data(),
             Rows<T>{out.data() + out_at.offset, rows, width, stride});
    CHECK(difference(floats(out.host()), expected) == "");
  });
}

template <class T>
void check_planes(const Patches& p, int64_t channels, Layout planes_at, Layout out_at) {
  const auto numbers = random_floats(planes_at.offset + p.items * channels * p.height * p.width, 2);
  const int64_t width = channels * p.patch_height * p.patch_width, stride = width + out_at.gap;
  const int64_t rows = p.items * p.rows() * p.columns();
  const auto expected =
      cut<T>(p, channels, out_at.offset, stride, [&](int64_t item, int64_t c, int64_t y, int64_t x) {
        return numbers[planes_at.offset + ((item * channels + c) * p.height + y) * p.width + x];
      });
  each_round([&] {
    const Buffer<float> planes(numbers);
    Buffer<T> out(unwritten<T>(out_at.offset + rows * stride));
    patchify(place(), planes.data() + planes_at.offset, channels, p,
             Rows<T>{out.data() + out_at.offset, rows, width, stride});
    CHECK(difference(floats(out.host()), expected) == "");
  });
}

// Items, height, width, top, left, crop height, crop width, patch height, patch width.
constexpr Patches one_pixel{1, 1, 1, 0, 0, 1, 1, 1, 1};
constexpr Patches whole_vectors{2, 16, 32, 0, 0, 16, 32, 8, 16};
// Something is left over on every side.
constexpr Patches odd{2, 20, 24, 3, 2, 15, 17, 7, 5};
constexpr Patches fourteen{1, 31, 45, 1, 2, 28, 42, 14, 14};
// Nine patches across, more than a block stages; one that fills what it stages, 64 lines of 384 bytes; one
// too large.
constexpr Patches wide{1, 34, 300, 1, 3, 33, 297, 32, 32};
constexpr Patches just_staged{1, 64, 123, 0, 0, 64, 123, 64, 123};
constexpr Patches large{2, 100, 190, 2, 1, 97, 185, 96, 92};

}  // namespace

TEMPLATE_TEST_CASE("bytes are looked up, cut and rounded once", "[patchify]", float, bf16, f16) {
  const Patches p = GENERATE(one_pixel, whole_vectors, odd, fourteen, wide, just_staged, large);
  check_bytes<TestType>(p, {0, 0}, {0, 0});
}

TEMPLATE_TEST_CASE("pictures and rows of patches may begin at any element", "[patchify]", float, bf16, f16) {
  const Patches p = GENERATE(whole_vectors, odd, fourteen);
  for (const Layout out : {Layout{0, 3}, Layout{1, 0}, Layout{8, 8}})
    for (const int64_t offset : {1, 7, 16}) check_bytes<TestType>(p, {offset, 0}, out);
}

TEMPLATE_TEST_CASE("a patch too large for shared memory is cut all the same", "[patchify]", float, bf16,
                   f16) {
  check_bytes<TestType>(large, {5, 0}, {1, 1});
  check_planes<TestType>(large, 2, {0, 0}, {0, 0});
}

TEMPLATE_TEST_CASE("planes of any number of channels are cut", "[patchify]", float, bf16, f16) {
  const Patches p = GENERATE(one_pixel, whole_vectors, odd, fourteen);
  for (const int64_t channels : {1, 3, 5}) {
    check_planes<TestType>(p, channels, {0, 0}, {0, 0});
    check_planes<TestType>(p, channels, {1, 0}, {0, 8});
    check_planes<TestType>(p, channels, {4, 0}, {1, 3});
  }
}

TEST_CASE("no pictures and no whole patch are nothing to do", "[patchify]") {
  check_bytes<float>({0, 8, 8, 0, 0, 8, 8, 4, 4}, {0, 0}, {4, 0});
  check_bytes<float>({2, 8, 8, 0, 0, 8, 8, 9, 4}, {0, 0}, {4, 0});
  check_planes<float>({2, 8, 8, 0, 0, 8, 8, 4, 9}, 3, {0, 0}, {4, 0});
}

TEST_CASE("the table holds what normalising a pixel gives, bit for bit", "[patchify]") {
  const float mean[3] = {0.48145466f, 0.5f, 0.40821073f}, std[3] = {0.26862954f, 0.5f, 0.27577711f};
  const double rescale = GENERATE(1 / 255.0, 1.0, 0.00392156862745098);
  std::vector<uint8_t> greys;
  for (int value = 0; value < 256; ++value) greys.insert(greys.end(), 3, static_cast<uint8_t>(value));
  std::vector<float> planes(3 * 256), table(3 * 256);
  normalize_pixels(Cpu{}, greys.data(), 256, mean, std, rescale, planes.data());
  normalize_table(mean, std, rescale, table.data());
  CHECK(difference(table, planes) == "");
  for (int c = 0; c < 3; ++c)
    for (int value = 0; value < 256;
         ++value) {  // three roundings of numbers below 256, divided by 1/4 or more
      const double exact = (value * rescale - mean[c]) / std[c];
      CHECK(std::abs(table[256 * c + value] - exact) <= 4 * 0x1p-24 * std::max(1.0, 4 * value * rescale));
    }
}
