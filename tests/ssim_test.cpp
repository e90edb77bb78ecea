#include "kernels.h"
#include "structural.h"
#include "support.h"

using namespace unisim;

namespace {

/// A picture with structure at every scale: waves and noise, the same on every machine.
Image picture(int32_t width, int32_t height, uint64_t seed, double noise = 20) {
  Image image{width, height, std::vector<uint8_t>(std::size_t{3} * width * height)};
  const auto random = test::random_floats(image.pixels.size(), seed);
  for (int64_t i = 0; i < height; ++i)
    for (int64_t k = 0; k < width; ++k)
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t at = (i * width + k) * 3 + c;
        const double wave =
            128 + 60 * std::sin(0.13 * k + 0.4 * c) * std::cos(0.07 * i) + 30 * std::sin(0.021 * i * c);
        image.pixels[at] = static_cast<uint8_t>(std::min(255.0, std::max(0.0, wave + noise * random[at])));
      }
  return image;
}

using Plane = std::vector<std::vector<double>>;

Plane grey_plane(const Image& image) {
  Plane out(image.height, std::vector<double>(image.width));
  for (int64_t i = 0; i < image.height; ++i)
    for (int64_t k = 0; k < image.width; ++k) {
      const uint8_t* p = &image.pixels[(i * image.width + k) * 3];
      out[i][k] = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    }
  return out;
}

/// Equation 13 as it is written: a two-dimensional window, central moments. {similarity, contrast}.
Structure plain_ssim(const Plane& x, const Plane& y) {
  double window[11][11], total = 0;
  for (int i = 0; i < 11; ++i)
    for (int k = 0; k < 11; ++k)
      total += window[i][k] = std::exp(-((i - 5) * (i - 5) + (k - 5) * (k - 5)) / (2 * 1.5 * 1.5));
  const double c1 = 6.5025, c2 = 58.5225;  // (0.01 * 255)^2, (0.03 * 255)^2
  Structure sum;
  int64_t count = 0;
  for (std::size_t top = 0; top + 11 <= x.size(); ++top)
    for (std::size_t left = 0; left + 11 <= x[0].size(); ++left, ++count) {
      double mx = 0, my = 0, vx = 0, vy = 0, cov = 0;
      for (int i = 0; i < 11; ++i)
        for (int k = 0; k < 11; ++k) {
          mx += window[i][k] / total * x[top + i][left + k];
          my += window[i][k] / total * y[top + i][left + k];
        }
      for (int i = 0; i < 11; ++i)
        for (int k = 0; k < 11; ++k) {
          const double dx = x[top + i][left + k] - mx, dy = y[top + i][left + k] - my,
                       w = window[i][k] / total;
          vx += w * dx * dx;
          vy += w * dy * dy;
          cov += w * dx * dy;
        }
      const double contrast = (2 * cov + c2) / (vx + vy + c2);
      sum.contrast += contrast;
      sum.similarity += (2 * mx * my + c1) / (mx * mx + my * my + c1) * contrast;
    }
  return {sum.similarity / count, sum.contrast / count};
}

/// piq's step to the next scale: pad above and to the left by repetition when either side is odd, then 2 x 2
/// means.
Plane plain_half(Plane x) {
  if (x.size() % 2 || x[0].size() % 2) {
    for (auto& row : x) row.insert(row.begin(), row.front());
    x.insert(x.begin(), x.front());
  }
  Plane out(x.size() / 2, std::vector<double>(x[0].size() / 2));
  for (std::size_t i = 0; i < out.size(); ++i)
    for (std::size_t k = 0; k < out[0].size(); ++k)
      out[i][k] =
          0.25 * (x[2 * i][2 * k] + x[2 * i][2 * k + 1] + x[2 * i + 1][2 * k] + x[2 * i + 1][2 * k + 1]);
  return out;
}

double plain_ms_ssim(Plane x, Plane y) {
  const double weights[] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};
  double product = 1;
  for (int scale = 0; scale < 5; ++scale) {
    const Structure s = plain_ssim(x, y);
    product *= std::pow(std::max(0.0, scale == 4 ? s.similarity : s.contrast), weights[scale]);
    x = plain_half(x);
    y = plain_half(y);
  }
  return product;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("ssim is equation 13 over the windows inside, at odd sizes", "[ssim]") {
  const auto [width, height] = GENERATE(table<int, int>({{11, 11}, {12, 11}, {11, 29}, {37, 23}, {64, 48}}));
  const Image x = picture(width, height, 1), y = picture(width, height, 2);
  // Central moments against E[x^2] - m^2 in double: variances near 255^2 lose 12 digits at most.
  CHECK(ssim(x, y) == Approx(plain_ssim(grey_plane(x), grey_plane(y)).similarity).epsilon(0).margin(1e-11));
}

TEST_CASE("ms-ssim is the product of five scales, odd sizes padded as piq does", "[ssim]") {
  const auto [width, height] = GENERATE(table<int, int>({{161, 161}, {176, 163}, {175, 182}, {192, 176}}));
  const Image x = picture(width, height, 3), y = picture(width, height, 4);
  CHECK(ms_ssim(x, y) == Approx(plain_ms_ssim(grey_plane(x), grey_plane(y))).epsilon(0).margin(1e-11));
}

TEST_CASE("an image is exactly like itself", "[ssim]") {
  const Image x = picture(163, 171, 5);
  CHECK(ssim(x, x) == 1.0);
  CHECK(ms_ssim(x, x) == 1.0);
  CHECK(std::isinf(psnr(x, x)));
  CHECK(psnr(x, x) > 0);
}

TEST_CASE("structural metrics are symmetrical", "[ssim]") {
  const Image x = picture(165, 161, 6), y = picture(165, 161, 7);
  CHECK(ssim(x, y) == ssim(y, x));
  CHECK(ms_ssim(x, y) == ms_ssim(y, x));
  CHECK(psnr(x, y) == psnr(y, x));
}

TEST_CASE("a picture against its negative has a negative ssim and an ms-ssim of zero", "[ssim]") {
  const Image x = picture(161, 170, 8);
  Image y = x;
  for (uint8_t& value : y.pixels) value = 255 - value;
  CHECK(ssim(x, y) < 0);
  CHECK(ms_ssim(x, y) == 0.0);
}

TEST_CASE("psnr is one mean over all samples", "[ssim]") {
  const Image x = picture(31, 17, 9), y = picture(31, 17, 10);
  double sum = 0;
  for (std::size_t i = 0; i < x.pixels.size(); ++i) sum += std::pow(double(x.pixels[i]) - y.pixels[i], 2);
  CHECK(psnr(x, y) == Approx(10 * std::log10(255 * 255 / (sum / x.pixels.size()))).epsilon(1e-14));
}

TEST_CASE("the squared error of black and white is exact beyond 32 bits", "[ssim]") {
  const int64_t width = 200'003;
  const std::vector<uint8_t> black(width, 0), white(width, 255);
  CHECK(squared_error(Cpu{}, {black.data(), 1, width, width}, {white.data(), 1, width, width}) ==
        width * 65'025);
}

TEST_CASE("two sizes are refused, naming both", "[ssim]") {
  const Image x = picture(200, 180, 1), y = picture(180, 200, 1);
  for (double (*f)(const Image&, const Image&) : {&ssim, &ms_ssim, &psnr}) {
    const std::string message = message_of([&] { f(x, y); });
    CHECK_THAT(message, Catch::Contains("sizes differ: 200 x 180 and 180 x 200"));
  }
}

TEST_CASE("an image too small is refused, naming the least size", "[ssim]") {
  const Image dot = picture(1, 1, 1), low = picture(200, 10, 1), nearly = picture(160, 300, 1);
  CHECK_THAT(message_of([&] { ssim(dot, dot); }), Catch::Contains("1 x 1") && Catch::Contains("at least 11"));
  CHECK_THAT(message_of([&] { ssim(low, low); }), Catch::Contains("at least 11"));
  CHECK_THAT(message_of([&] { ms_ssim(nearly, nearly); }), Catch::Contains("at least 161"));
  CHECK(std::isinf(psnr(dot, dot)));
}

TEST_CASE("an image whose bytes do not fill its size is refused", "[ssim]") {
  const Image x = picture(20, 20, 1);
  Image y = x;
  y.pixels.pop_back();
  CHECK_THAT(message_of([&] { ssim(x, y); }), Catch::Contains("1199 bytes"));
  CHECK_THAT(message_of([&] { psnr(Image{}, Image{}); }), Catch::Contains("0 x 0"));
}
