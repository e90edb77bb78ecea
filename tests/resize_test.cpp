#include "cpu/resize.h"

#include <algorithm>
#include <numbers>

#include "resize.h"
#include "support.h"

using namespace unisim;

namespace {

Image random_image(int width, int height, uint64_t seed) {
  std::mt19937_64 bits(seed);
  Image image{width, height, std::vector<uint8_t>(std::size_t{3} * width * height)};
  // A third of the bytes black, a third white: where sums overshoot.
  for (uint8_t& byte : image.pixels) {
    const uint64_t draw = bits();
    byte = draw % 3 == 0 ? 0 : draw % 3 == 1 ? 255 : static_cast<uint8_t>(draw >> 8);
  }
  return image;
}

double weight(Resample filter, double x) {
  const auto sinc = [](double v) {
    return v == 0 ? 1 : std::sin(std::numbers::pi * v) / (std::numbers::pi * v);
  };
  const double r = std::abs(x);
  switch (filter) {
    case Resample::Box:
      return x > -0.5 && x <= 0.5;
    case Resample::Bilinear:
      return r < 1 ? 1 - r : 0;
    case Resample::Hamming:
      return r < 1 ? sinc(r) * (0.54 + 0.46 * std::cos(std::numbers::pi * r)) : 0;
    case Resample::Bicubic:
      return r < 1   ? 1.5 * r * r * r - 2.5 * r * r + 1
             : r < 2 ? -0.5 * r * r * r + 2.5 * r * r - 4 * r + 2
                     : 0;
    default:
      return r < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
}

double support_of(Resample filter) {
  switch (filter) {
    case Resample::Box:
      return 0.5;
    case Resample::Bicubic:
      return 2;
    case Resample::Lanczos:
      return 3;
    default:
      return 1;
  }
}

/// Output i of one axis, in double; pixel(k) is the input.
template <class Pixel>
double sample(int in_size, int out_size, int i, Resample filter, const Pixel& pixel) {
  const double scale = double(in_size) / out_size, stretch = std::max(1.0, scale), center = (i + 0.5) * scale;
  const double support = support_of(filter) * stretch;
  double sum = 0, weights = 0;
  for (int k = std::max(0, int(center - support + 0.5)); k < std::min(in_size, int(center + support + 0.5));
       ++k) {
    const double w = weight(filter, (k + 0.5 - center) / stretch);
    sum += w * pixel(k);
    weights += w;
  }
  return sum / weights;
}

double to_byte(double value) { return std::clamp(std::floor(value + 0.5), 0.0, 255.0); }

/// Both passes in double, the one between them rounded to bytes; horizontal first.
Image resized_in_double(const Image& image, int width, int height, Resample filter) {
  Image out{width, height, std::vector<uint8_t>(std::size_t{3} * width * height)};
  for (int c = 0; c < 3; ++c)
    for (int x = 0; x < width; ++x) {
      std::vector<double> column(image.height);
      for (int y = 0; y < image.height; ++y)
        column[y] = to_byte(sample(image.width, width, x, filter, [&](int k) {
          return double(image.pixels[3 * (y * image.width + k) + c]);
        }));
      for (int y = 0; y < height; ++y)
        out.pixels[3 * (y * width + x) + c] =
            uint8_t(to_byte(sample(image.height, height, y, filter, [&](int k) { return column[k]; })));
    }
  return out;
}

constexpr Resample filters[] = {Resample::Box, Resample::Bilinear, Resample::Hamming, Resample::Bicubic,
                                Resample::Lanczos};

/// Weights as a picture of random taps would have them, of either sign.
struct RandomAxis {
  std::vector<int32_t> first, count, weights;
  int32_t taps = 0;

  RandomAxis(int in_size, int out_size, int most, uint64_t seed) : taps((most + 3) / 4 * 4) {
    std::mt19937_64 bits(seed);
    for (int i = 0; i < out_size; ++i) {
      count.push_back(1 + int(bits() % std::min(most, in_size)));
      first.push_back(int(bits() % (in_size - count.back() + 1)));
      for (int t = 0; t < taps; ++t)
        weights.push_back(
            t < count.back() ? int32_t(bits() % (1 << 22)) / count.back() - 200'000 / count.back() : 0);
    }
  }
  ResizeAxis axis() const { return {first.data(), count.data(), weights.data(), taps}; }
};

}  // namespace

TEST_CASE("resizing is its definition in double, rounded, to one grey level") {
  // The fixed point of 22 bits can turn a tie the other way, and the weights of some sizes make ties often.
  const Image image = random_image(41, 33, 1);
  for (const Resample filter : filters)
    for (const auto& [width, height] : {std::pair{20, 17}, {41, 10}, {97, 33}, {64, 80}, {1, 33}, {7, 32}}) {
      const Image got = resize(image, width, height, filter);
      const Image expected = resized_in_double(image, width, height, filter);
      int worst = 0, differing = 0;
      for (std::size_t i = 0; i < got.pixels.size(); ++i) {
        const int difference = std::abs(got.pixels[i] - expected.pixels[i]);
        worst = std::max(worst, difference);
        differing += difference > 0;
      }
      INFO(int(filter) << " to " << width << " x " << height);
      CHECK(worst <= 1);
      CHECK(differing * 20 <= int(got.pixels.size()));
    }
}

TEST_CASE("a picture that loses much more height than width is passed vertically first") {
  // The passes commute but for the rounding between them: transposed twice, the other order must come out.
  const auto transposed = [](const Image& image) {
    Image out{image.height, image.width, std::vector<uint8_t>(image.pixels.size())};
    for (int y = 0; y < image.height; ++y)
      for (int x = 0; x < image.width; ++x)
        for (int c = 0; c < 3; ++c)
          out.pixels[3 * (x * image.height + y) + c] = image.pixels[3 * (y * image.width + x) + c];
    return out;
  };
  const Image image = random_image(30, 90, 2);
  const Image turned = transposed(image);
  const Image expected = transposed(resized_in_double(turned, 29, 24, Resample::Lanczos));
  const Image other = resized_in_double(image, 24, 29, Resample::Lanczos);
  const Image got = resize(image, 24, 29, Resample::Lanczos);
  const auto differing = [&](const Image& a) {
    int count = 0;
    for (std::size_t i = 0; i < a.pixels.size(); ++i) count += a.pixels[i] != got.pixels[i];
    return count;
  };
  CHECK(differing(expected) * 20 <= int(got.pixels.size()));
  CHECK(differing(other) * 20 > int(got.pixels.size()));
}

#if defined(__x86_64__)
TEST_CASE("AVX2 gives the same bits as the portable passes") {
  if (!__builtin_cpu_supports("avx2")) {
    WARN("skipped: this machine has no AVX2");
    return;
  }
  for (int seed = 0; seed < 60; ++seed) {
    std::mt19937_64 bits(seed);
    const int in = 1 + int(bits() % 90), out = 1 + int(bits() % 90), other = 1 + int(bits() % 40);
    const RandomAxis random(in, out, 1 + int(bits() % 40), seed);
    Image across = random_image(in, other, seed);
    across.pixels.resize(across.pixels.size() + resize_margin);
    std::vector<uint8_t> a(std::size_t{3} * out * other), b = a;
    const Rows<const uint8_t> rows{across.pixels.data(), other, 3 * in, 3 * in};
    resize_horizontal_portable(rows, {a.data(), other, 3 * out, 3 * out}, random.axis());
    resize_horizontal_avx2(rows, {b.data(), other, 3 * out, 3 * out}, random.axis());
    CHECK(a == b);
    const Image down = random_image(other, in, seed + 1000);
    const Rows<const uint8_t> columns{down.pixels.data(), in, 3 * other, 3 * other};
    resize_vertical_portable(columns, {a.data(), out, 3 * other, 3 * other}, random.axis());
    resize_vertical_avx2(columns, {b.data(), out, 3 * other, 3 * other}, random.axis());
    CHECK(a == b);
  }
}
#endif

TEST_CASE("nearest takes the pixel under the centre") {
  const Image image = random_image(7, 5, 3);
  const Image got = resize(image, 14, 3, Resample::Nearest);
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 14; ++x)
      for (int c = 0; c < 3; ++c)
        REQUIRE(got.pixels[3 * (y * 14 + x) + c] ==
                image.pixels[3 * (int((y + 0.5) * 5 / 3) * 7 + x / 2) + c]);
}

TEST_CASE("a window of a resize is cut out of the whole") {
  const Image image = random_image(50, 61, 4);
  for (const Resample filter : {Resample::Nearest, Resample::Bicubic, Resample::Lanczos})
    for (const auto& [width, height] :
         {std::pair{30, 40}, {50, 20}, {20, 61}, {80, 70}, {50, 61}, {45, 10}}) {
      const Image whole = resize(image, width, height, filter);
      const Window window{width / 5, height / 4, width / 2, height / 3};
      const Image got = resize_window(image, width, height, filter, window);
      REQUIRE(got.width == window.width);
      REQUIRE(got.height == window.height);
      for (int y = 0; y < window.height; ++y)
        for (int k = 0; k < 3 * window.width; ++k)
          REQUIRE(got.pixels[3 * y * window.width + k] ==
                  whole.pixels[3 * ((y + window.top) * width + window.left) + k]);
    }
}

TEST_CASE("one colour stays that colour at every size") {
  for (const int value : {0, 1, 127, 254, 255})
    for (const Resample filter : filters) {
      const Image image{9, 6, std::vector<uint8_t>(9 * 6 * 3, uint8_t(value))};
      for (const uint8_t byte : resize(image, 23, 4, filter).pixels) REQUIRE(byte == value);
    }
}

TEST_CASE("resizing to nothing, from nothing or to a window outside is the caller's error") {
  const Image image = random_image(4, 4, 5);
  CHECK_THROWS_AS(resize(image, 0, 4), std::invalid_argument);
  CHECK_THROWS_AS(resize(image, 4, -1), std::invalid_argument);
  CHECK_THROWS_AS(resize(Image{}, 4, 4), std::invalid_argument);
  CHECK_THROWS_AS(resize(Image{4, 4, std::vector<uint8_t>(47)}, 2, 2), std::invalid_argument);
  CHECK_THROWS_AS(resize(image, 1 << 20, 1 << 20), std::invalid_argument);
  CHECK_THROWS_AS(resize_window(image, 8, 8, Resample::Box, {4, 0, 5, 8}), std::invalid_argument);
  CHECK_THROWS_AS(resample_from_name("cubic"), std::invalid_argument);
  CHECK_THROWS_AS(resample_from_pillow(6), std::invalid_argument);
}

TEST_CASE("filters have the names and numbers of Pillow") {
  CHECK(resample_from_name("hamming") == Resample::Hamming);
  CHECK(resample_from_pillow(1) == Resample::Lanczos);
  CHECK(resample_from_pillow(2) == Resample::Bilinear);
  CHECK(resample_from_pillow(3) == Resample::Bicubic);
  CHECK(resample_from_pillow(4) == Resample::Box);
}

TEST_CASE("pixels are normalised in the steps of transformers") {
  const Image image = random_image(13, 11, 6);
  const float mean[3] = {0.48145466f, 0.4578275f, 0.40821073f},
              std[3] = {0.26862954f, 0.26130258f, 0.27577711f};
  std::vector<float> planes(image.pixels.size());
  normalize_pixels(Cpu{}, image.pixels.data(), 13 * 11, mean, std, 1 / 255.0, planes.data());
  for (int i = 0; i < 13 * 11; ++i)
    for (int c = 0; c < 3; ++c) {
      const double exact = (image.pixels[3 * i + c] / 255.0 - mean[c]) / std[c];
      REQUIRE(std::abs(planes[c * 13 * 11 + i] - exact) < 5e-7);  // three roundings of values below 4
    }
}
