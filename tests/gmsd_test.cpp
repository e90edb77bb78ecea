#include "kernels.h"
#include "structural.h"
#include "support.h"

using namespace unisim;
using Catch::Contains;

namespace {

Image noise(int32_t width, int32_t height, uint64_t seed) {
  Image image{width, height, std::vector<uint8_t>(std::size_t{3} * width * height)};
  const auto random = test::random_floats(image.pixels.size(), seed);
  for (std::size_t k = 0; k < random.size(); ++k)
    image.pixels[k] = static_cast<uint8_t>(std::clamp(128 + 50 * random[k], 0.0f, 255.0f));
  return image;
}

using Plane = std::vector<std::vector<double>>;

/// 0 outside.
double at(const Plane& x, int64_t i, int64_t k) {
  if (i < 0 || k < 0 || i >= std::ssize(x) || k >= std::ssize(x[0])) return 0;
  return x[i][k];
}

Plane plain_half(const Image& image) {
  Plane grey(image.height, std::vector<double>(image.width));
  for (int64_t i = 0; i < image.height; ++i)
    for (int64_t k = 0; k < image.width; ++k) {
      const uint8_t* p = &image.pixels[(i * image.width + k) * 3];
      grey[i][k] = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    }
  Plane out((image.height + 1) / 2, std::vector<double>((image.width + 1) / 2));
  for (int64_t i = 0; i < std::ssize(out); ++i)
    for (int64_t k = 0; k < std::ssize(out[0]); ++k)
      for (int64_t di = 0; di < 2; ++di)
        for (int64_t dk = 0; dk < 2; ++dk) out[i][k] += 0.25 * at(grey, 2 * i + di, 2 * k + dk);
  return out;
}

double plain_gradient(const Plane& x, int64_t i, int64_t k) {
  double across = 0, down = 0;
  for (int64_t d = -1; d <= 1; ++d) {
    across += (at(x, i + d, k + 1) - at(x, i + d, k - 1)) / 3;
    down += (at(x, i + 1, k + d) - at(x, i - 1, k + d)) / 3;
  }
  return std::hypot(across, down);
}

/// Equations 2 to 6 of Xue et al. 2014 as they are written.
double plain_gmsd(const Image& first, const Image& second) {
  const Plane x = plain_half(first), y = plain_half(second);
  std::vector<double> similarity;
  double mean = 0, squares = 0;
  for (int64_t i = 0; i < std::ssize(x); ++i)
    for (int64_t k = 0; k < std::ssize(x[0]); ++k) {
      const double a = plain_gradient(x, i, k), b = plain_gradient(y, i, k);
      similarity.push_back((2 * a * b + 170) / (a * a + b * b + 170));
      mean += similarity.back();
    }
  mean /= similarity.size();
  for (const double s : similarity) squares += (s - mean) * (s - mean);
  return std::sqrt(squares / similarity.size());
}

std::string refusal(const Image& x, const Image& y) {
  try {
    gmsd(x, y);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("gmsd is equations 2 to 6, at odd and even sizes", "[gmsd]") {
  const auto [width, height] =
      GENERATE(table<int, int>({{5, 5}, {6, 5}, {5, 6}, {6, 6}, {37, 23}, {64, 5}, {48, 65}}));
  const Image x = noise(width, height, 1), y = noise(width, height, 2);
  // In double, a few roundings at each place.
  CHECK(gmsd(x, y) == Approx(plain_gmsd(x, y)).epsilon(0).margin(1e-12));
  CHECK(gmsd(x, y) == gmsd(y, x));
  CHECK(gmsd(x, x) == 0.0);
}

TEST_CASE("gmsd keeps inside its workspace and sets all that it reads", "[gmsd]") {
  const std::vector<double> x = {10, 200, 30, 40, 50, 250}, y = {60, 5, 40, 30, 20, 10};
  const Rows<const double> a = {x.data(), 2, 3, 3}, b = {y.data(), 2, 3, 3};
  std::vector<double> clean(gmsd_workspace(a)), dirty(gmsd_workspace(a) + 1, 1e9);
  CHECK(gmsd(Cpu{}, a, b, dirty.data()) == gmsd(Cpu{}, a, b, clean.data()));
  CHECK(dirty.back() == 1e9);
}

TEST_CASE("gmsd refuses two sizes, small sides and images that are not whole", "[gmsd]") {
  CHECK_THAT(refusal(noise(20, 10, 1), noise(10, 20, 1)),
             Contains("[gmsd] sizes differ: 20 x 10 and 10 x 20"));
  CHECK_THAT(refusal(noise(4, 20, 1), noise(4, 20, 1)), Contains("4 x 20") && Contains("at least 5"));
  Image cut = noise(20, 20, 1);
  cut.pixels.pop_back();
  CHECK_THAT(refusal(cut, cut), Contains("1199 bytes"));
}
