// A decoder block of the kind of Qwen2 as kernels of a place, held to its definition in double.

#include <cmath>
#include <string>

#include "fused/decoder_block.h"
#include "stored.h"
#include "test_place.h"

using namespace unisim;
using namespace unisim::test;

namespace {

constexpr DecoderConfig kConfig{.width = 48, .heads = 4, .kv_heads = 2, .head_width = 16, .mlp_width = 40};
constexpr int64_t kItems = 2, kTokens = 7, kRows = kItems * kTokens;

using Matrix = std::vector<std::vector<double>>;

Matrix matrix(const std::vector<float>& values, int64_t width) {
  Matrix m;
  for (std::size_t k = 0; k < values.size(); k += static_cast<std::size_t>(width))
    m.emplace_back(values.begin() + static_cast<std::ptrdiff_t>(k),
                   values.begin() + static_cast<std::ptrdiff_t>(k) + width);
  return m;
}

Matrix times(const Matrix& x, const Matrix& weight, const std::vector<float>& bias) {
  Matrix out(x.size(), std::vector<double>(weight.size()));
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t n = 0; n < weight.size(); ++n) {
      double sum = bias.empty() ? 0 : bias[n];
      for (std::size_t k = 0; k < x[i].size(); ++k) sum += x[i][k] * weight[n][k];
      out[i][n] = sum;
    }
  return out;
}

Matrix rms(const Matrix& x, const std::vector<float>& weight, double eps) {
  Matrix out = x;
  for (auto& row : out) {
    double square = 0;
    for (const double value : row) square += value * value;
    const double scale = 1 / std::sqrt(square / static_cast<double>(row.size()) + eps);
    for (std::size_t k = 0; k < row.size(); ++k) row[k] *= scale * weight[k];
  }
  return out;
}

/// Weights of one block, rounded to T.
template <class T>
struct Drawn {
  std::vector<float> norm1, norm2, cosine, sine;
  std::vector<T> x, qkv, qkv_bias, proj, gate_up, down;

  explicit Drawn(uint64_t seed) {
    const auto around_one = [&](uint64_t s) {
      auto values = random_floats(static_cast<std::size_t>(kConfig.width), s);
      for (float& value : values) value = 1 + 0.2f * value;
      return values;
    };
    norm1 = around_one(seed + 1);
    norm2 = around_one(seed + 2);
    x = random_stored<T>(kRows * kConfig.width, seed + 3);
    const float in = 1.2f / std::sqrt(static_cast<float>(kConfig.width));
    qkv = random_stored<T>(kConfig.qkv_width() * kConfig.width, seed + 4, in);
    qkv_bias = random_stored<T>(kConfig.qkv_width(), seed + 5, 0.3f);
    proj = random_stored<T>(kConfig.width * kConfig.inner(), seed + 6, 0.15f);
    gate_up = random_stored<T>(2 * kConfig.mlp_width * kConfig.width, seed + 7, in);
    down = random_stored<T>(kConfig.width * kConfig.mlp_width, seed + 8, 0.2f);
    for (int64_t t = 0; t < kRows; ++t)
      for (int64_t k = 0; k < kConfig.head_width / 2; ++k) {
        const double angle =
            static_cast<double>(t % kTokens) * std::pow(10000.0, -2.0 * static_cast<double>(k) / kConfig.head_width);
        cosine.push_back(static_cast<float>(std::cos(angle)));
        sine.push_back(static_cast<float>(std::sin(angle)));
      }
  }
};

template <class T>
Matrix attended(const Drawn<T>& d, Matrix qkv) {
  const int64_t width = kConfig.head_width, half = width / 2, group = kConfig.heads / kConfig.kv_heads;
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t h = 0; h < kConfig.heads + kConfig.kv_heads; ++h)
      for (int64_t k = 0; k < half; ++k) {
        double &x = qkv[r][h * width + k], &y = qkv[r][h * width + k + half];
        const double c = d.cosine[r % kTokens * half + k], s = d.sine[r % kTokens * half + k], first = x;
        x = first * c - y * s;
        y = y * c + first * s;
      }
  Matrix out(kRows, std::vector<double>(kConfig.inner()));
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t h = 0; h < kConfig.heads; ++h) {
      const int64_t first = r / kTokens * kTokens;
      const int64_t key = kConfig.inner() + h / group * width, value = key + kConfig.kv_heads * width;
      std::vector<double> weight;
      double sum = 0;
      for (int64_t j = first; j <= r; ++j) {
        double dot = 0;
        for (int64_t k = 0; k < width; ++k) dot += qkv[r][h * width + k] * qkv[j][key + k];
        weight.push_back(std::exp(dot / std::sqrt(static_cast<double>(width))));
        sum += weight.back();
      }
      for (int64_t j = first; j <= r; ++j)
        for (int64_t k = 0; k < width; ++k)
          out[r][h * width + k] += weight[j - first] / sum * qkv[j][value + k];
    }
  return out;
}

template <class T>
Matrix block_in_double(const Drawn<T>& d, double eps) {
  Matrix x = matrix(floats(d.x), kConfig.width);
  const Matrix qkv = times(rms(x, d.norm1, eps), matrix(floats(d.qkv), kConfig.width), floats(d.qkv_bias));
  const Matrix heads = times(attended(d, qkv), matrix(floats(d.proj), kConfig.inner()), {});
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t k = 0; k < kConfig.width; ++k) x[r][k] += heads[r][k];
  const Matrix hidden = times(rms(x, d.norm2, eps), matrix(floats(d.gate_up), kConfig.width), {});
  Matrix gated(kRows, std::vector<double>(kConfig.mlp_width));
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t k = 0; k < kConfig.mlp_width; ++k)
      gated[r][k] = hidden[r][k] / (1 + std::exp(-hidden[r][k])) * hidden[r][kConfig.mlp_width + k];
  const Matrix more = times(gated, matrix(floats(d.down), kConfig.mlp_width), {});
  for (int64_t r = 0; r < kRows; ++r)
    for (int64_t k = 0; k < kConfig.width; ++k) x[r][k] += more[r][k];
  return x;
}

template <class T>
std::vector<T> fused_block(const Drawn<T>& d, float eps) {
  Buffer<float> norm1(d.norm1), norm2(d.norm2), cosine(d.cosine), sine(d.sine);
  Buffer<T> qkv(d.qkv), qkv_bias(d.qkv_bias), proj(d.proj), gate_up(d.gate_up), down(d.down), x(d.x);
  Buffer<T> normed(kRows * kConfig.width), products(kRows * kConfig.qkv_width()),
      heads(kRows * kConfig.inner()), hidden(kRows * 2 * kConfig.mlp_width), gated(kRows * kConfig.mlp_width);
  const auto linear = [](const Buffer<T>& weight, int64_t out, int64_t in) {
    return FusedLinear<T>{{weight.data(), out, in, in}, nullptr};
  };
  FusedDecoderBlock<T> block;
  block.norm1 = {norm1.data(), nullptr, eps};
  block.qkv = linear(qkv, kConfig.qkv_width(), kConfig.width);
  block.qkv.bias = qkv_bias.data();
  block.proj = linear(proj, kConfig.width, kConfig.inner());
  block.norm2 = {norm2.data(), nullptr, eps};
  block.gate_up = linear(gate_up, 2 * kConfig.mlp_width, kConfig.width);
  block.down = linear(down, kConfig.width, kConfig.mlp_width);
  DecoderRoom<T> room;
  room.x = x.data(), room.normed = normed.data(), room.qkv = products.data();
  room.heads = heads.data(), room.hidden = hidden.data(), room.gated = gated.data();
  const int64_t stride = kConfig.qkv_width(), width = kConfig.head_width;
  std::vector<PackedQueries> items;
  std::vector<KeyRange<T>> ranges;
  for (int64_t item = 0; item < kItems; ++item) {
    const T* k = products.data() + item * kTokens * stride + kConfig.inner();
    items.push_back({item * kTokens, kTokens, item, 1});
    ranges.push_back({k, k + kConfig.kv_heads * width, stride, width, kTokens});
  }
  const Buffer<PackedQueries> placed_items(items);
  const Buffer<KeyRange<T>> placed_ranges(ranges);
  const DecoderRows run{.rows = kRows,
                        .cosine = cosine.data(),
                        .sine = sine.data(),
                        .items = placed_items.data(),
                        .item_count = kItems,
                        .most_queries = kTokens};
  FusedDecoderBlocks<Place, T>(place(), kConfig, room, run).run(block, placed_ranges.data(), {});
  return x.host();
}

}  // namespace

TEMPLATE_TEST_CASE("a fused decoder block is its definition", "[fused]", float, bf16, f16) {
  const Drawn<TestType> drawn(11);
  const Matrix expected = block_in_double(drawn, 1e-3);
  std::vector<TestType> first;
  each_round([&] {
    const std::vector<TestType> found = fused_block(drawn, 1e-3f);
    double worst = 0, largest = 0;
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t k = 0; k < kConfig.width; ++k) {
        worst = std::max(worst, std::abs(to_float(found[r * kConfig.width + k]) - expected[r][k]));
        largest = std::max(largest, std::abs(expected[r][k]));
      }
    // Eight roundings on the way, of numbers no larger than the largest, their errors adding up at worst.
    CHECK(worst <= 8 * rounding_of<TestType> * largest);
    if (!first.empty())
      for (std::size_t k = 0; k < found.size(); ++k) REQUIRE(to_float(found[k]) == to_float(first[k]));
    first = found;
  });
}
