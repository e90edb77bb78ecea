#include "models/lpips.h"

#include <unisim/error.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <map>

#include "io/file.h"
#include "io/safetensors.h"
#include "metric_state.h"
#include "support.h"

using namespace unisim;
using Catch::Contains;

namespace {

struct Named {
  std::vector<int64_t> shape;
  std::vector<float> values;
};
using Tensors = std::map<std::string, Named>;

const char* const alex_config = R"({"model_type": "lpips", "net": "alex", "version": "0.1",
  "channels": [64, 192, 384, 256, 256], "input_range": [-1.0, 1.0], "shift": [-0.03, -0.088, -0.188],
  "scale": [0.458, 0.448, 0.45], "normalize_eps": 1e-10, "weight_dtype": "fp32"})";

struct Layer {
  int slice, place, in, out, kernel, stride, padding;
  bool pool_before;
};
// AlexNet's features as torchvision numbers them.
const Layer alex_layers[] = {{1, 0, 3, 64, 11, 4, 2, false},
                             {2, 3, 64, 192, 5, 1, 2, true},
                             {3, 6, 192, 384, 3, 1, 1, true},
                             {4, 8, 384, 256, 3, 1, 1, false},
                             {5, 10, 256, 256, 3, 1, 1, false}};

Tensors alex_tensors(uint64_t seed) {
  Tensors tensors;
  for (const auto& [slice, place, in, out, kernel, stride, padding, pool] : alex_layers) {
    const std::string stem = "net.slice" + std::to_string(slice) + "." + std::to_string(place);
    Named weight{{out, in, kernel, kernel},
                 test::random_floats(std::size_t(out) * in * kernel * kernel, seed++)};
    for (float& value : weight.values) value *= std::sqrt(2.0f / float(in * kernel * kernel));
    tensors[stem + ".weight"] = std::move(weight);
    tensors[stem + ".bias"] = {{out}, test::random_floats(out, seed++)};
    Named head{{1, out, 1, 1}, test::random_floats(out, seed++)};
    for (float& value : head.values) value = std::abs(value);
    tensors["lin" + std::to_string(slice - 1) + ".model.1.weight"] = std::move(head);
  }
  return tensors;
}

void write_folder(const std::filesystem::path& folder, const std::string& config, const Tensors& tensors) {
  std::ofstream(folder / "config.json") << config;
  std::vector<TensorBytes> entries;
  for (const auto& [name, tensor] : tensors)
    entries.push_back({name, TensorType::F32, tensor.shape, std::as_bytes(std::span(tensor.values))});
  write_file_whole(folder / "model.safetensors", safetensors_bytes(entries));
}

/// One folder with good random weights for every test that needs them.
const std::filesystem::path& good_folder() {
  static const test::TemporaryFolder folder;
  static const bool written = (write_folder(folder.path(), alex_config, alex_tensors(1)), true);
  (void)written;
  return folder.path();
}

Image noise(int32_t width, int32_t height, uint64_t seed) {
  Image image{width, height, std::vector<uint8_t>(std::size_t{3} * width * height)};
  const auto random = test::random_floats(image.pixels.size(), seed);
  for (std::size_t k = 0; k < random.size(); ++k)
    image.pixels[k] = static_cast<uint8_t>(std::clamp(128 + 50 * random[k], 0.0f, 255.0f));
  return image;
}

/// [channels][height * width] in double.
struct Maps {
  int64_t height, width;
  std::vector<std::vector<double>> maps;
};

Maps plain_pool(const Maps& x) {
  Maps out{(x.height - 3) / 2 + 1, (x.width - 3) / 2 + 1, {}};
  for (const auto& map : x.maps) {
    std::vector<double> to;
    for (int64_t i = 0; i < out.height; ++i)
      for (int64_t k = 0; k < out.width; ++k) {
        double most = -1e300;
        for (int64_t di = 0; di < 3; ++di)
          for (int64_t dk = 0; dk < 3; ++dk) most = std::max(most, map[(2 * i + di) * x.width + 2 * k + dk]);
        to.push_back(most);
      }
    out.maps.push_back(std::move(to));
  }
  return out;
}

Maps plain_conv(const Maps& x, const Layer& l, const Named& weight, const Named& bias) {
  Maps out{(x.height + 2 * l.padding - l.kernel) / l.stride + 1,
           (x.width + 2 * l.padding - l.kernel) / l.stride + 1,
           {}};
  for (int o = 0; o < l.out; ++o) {
    std::vector<double> to;
    for (int64_t i = 0; i < out.height; ++i)
      for (int64_t k = 0; k < out.width; ++k) {
        double sum = bias.values[o];
        for (int c = 0; c < l.in; ++c)
          for (int di = 0; di < l.kernel; ++di)
            for (int dk = 0; dk < l.kernel; ++dk) {
              const int64_t row = i * l.stride + di - l.padding, column = k * l.stride + dk - l.padding;
              if (row < 0 || column < 0 || row >= x.height || column >= x.width) continue;
              sum += x.maps[c][row * x.width + column] *
                     weight.values[((o * l.in + c) * l.kernel + di) * l.kernel + dk];
            }
        to.push_back(std::max(sum, 0.0));
      }
    out.maps.push_back(std::move(to));
  }
  return out;
}

std::vector<Maps> plain_features(const Tensors& tensors, const Image& image) {
  const double shift[] = {-0.03, -0.088, -0.188}, scale[] = {0.458, 0.448, 0.45};
  Maps x{image.height, image.width, std::vector<std::vector<double>>(3)};
  for (std::size_t k = 0; k < image.pixels.size(); ++k)
    x.maps[k % 3].push_back((image.pixels[k] / 127.5 - 1 - shift[k % 3]) / scale[k % 3]);
  std::vector<Maps> features;
  for (const Layer& l : alex_layers) {
    const std::string stem = "net.slice" + std::to_string(l.slice) + "." + std::to_string(l.place);
    x = plain_conv(l.pool_before ? plain_pool(x) : x, l, tensors.at(stem + ".weight"),
                   tensors.at(stem + ".bias"));
    features.push_back(x);
  }
  return features;
}

/// Equation 1 of the paper, place by place.
double plain_lpips(const Tensors& tensors, const Image& a, const Image& b) {
  const auto fa = plain_features(tensors, a), fb = plain_features(tensors, b);
  double distance = 0;
  for (std::size_t k = 0; k < fa.size(); ++k) {
    const auto& head = tensors.at("lin" + std::to_string(k) + ".model.1.weight").values;
    const int64_t places = fa[k].height * fa[k].width;
    for (int64_t p = 0; p < places; ++p) {
      double la = 0, lb = 0;
      for (std::size_t c = 0; c < head.size(); ++c) {
        la += fa[k].maps[c][p] * fa[k].maps[c][p];
        lb += fb[k].maps[c][p] * fb[k].maps[c][p];
      }
      for (std::size_t c = 0; c < head.size(); ++c)
        distance +=
            head[c] / double(places) *
            std::pow(fa[k].maps[c][p] / (std::sqrt(la) + 1e-10) - fb[k].maps[c][p] / (std::sqrt(lb) + 1e-10),
                     2);
    }
  }
  return distance;
}

Lpips load(const std::filesystem::path& folder, const std::string& net = "alex") {
  return load_lpips(folder, net, Device("cpu"), DType::Float32);
}

double distance(const Lpips& lpips, const Image& a, const Image& b) {
  return lpips_distance(lpips, lpips_features(lpips, a), lpips_features(lpips, b));
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  REQUIRE(text.find(from) != std::string::npos);
  return text.replace(text.find(from), from.size(), to);
}

/// The good folder's tensors under another configuration.
std::string config_refusal(const std::string& config, const std::string& net = "alex") {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "config.json") << config;
  std::filesystem::create_hard_link(good_folder() / "model.safetensors", folder.path() / "model.safetensors");
  try {
    load(folder.path(), net);
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing was refused";
}

std::string tensor_refusal(const std::function<void(Tensors&)>& spoil) {
  const test::TemporaryFolder folder;
  Tensors tensors = alex_tensors(1);
  spoil(tensors);
  write_folder(folder.path(), alex_config, tensors);
  try {
    load(folder.path());
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace

TEST_CASE("LPIPS is the paper's distance in double, at odd sizes", "[lpips]") {
  const Lpips lpips = load(good_folder());
  const Tensors tensors = alex_tensors(1);
  const auto [width, height] = GENERATE(table<int, int>({{31, 31}, {37, 33}}));
  const Image a = noise(width, height, 5), b = noise(width, height, 6);
  // Five layers of float sums over up to 3456 products: 1e-5 leaves room, 1e-4 is what is promised.
  CHECK(distance(lpips, a, b) == Approx(plain_lpips(tensors, a, b)).epsilon(1e-5));
}

TEST_CASE("LPIPS of an image with itself is exactly zero, and symmetrical", "[lpips]") {
  const Lpips lpips = load(good_folder());
  const Image a = noise(45, 40, 7), b = noise(45, 40, 8);
  CHECK(distance(lpips, a, a) == 0.0);
  CHECK(distance(lpips, a, b) == distance(lpips, b, a));
}

TEST_CASE("LPIPS gives the same bits alone, in a list and ranked", "[lpips]") {
  const Metric metric(std::make_shared<const Metric::State>(lpips_state("alex", good_folder().string(), {})));
  std::vector<Item> x, y;
  for (uint64_t k = 0; k < 4; ++k) {
    x.emplace_back(noise(50, 41, 20));
    y.emplace_back(noise(50, 41, 21 + k));
  }
  std::vector<std::pair<int64_t, int64_t>> told;
  const Tensor listed = metric(x, y, [&](int64_t done, int64_t total) { told.emplace_back(done, total); });
  const Ranking ranking = metric.rank(x[0], y);
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(listed.const_data_ptr<double>()[k] == metric(x[k], y[k]));
    CHECK(ranking.scores[k] == metric(x[k], y[k]));
  }
  CHECK(told == std::vector<std::pair<int64_t, int64_t>>{{1, 4}, {2, 4}, {3, 4}, {4, 4}});
  CHECK_FALSE(metric.higher_is_better());
  CHECK(metric.name() == "lpips-alex");
}

TEST_CASE("what was asked before never changes an LPIPS score", "[lpips]") {
  const auto fresh = [] {
    return Metric(std::make_shared<const Metric::State>(lpips_state("alex", good_folder().string(), {})));
  };
  const Item a = noise(40, 36, 30), b = noise(40, 36, 31), c = noise(36, 40, 30), d = noise(36, 40, 32);
  const Metric metric = fresh();
  for (const auto& [x, y] : {std::pair(a, b), {a, a}, {b, a}, {c, d}, {a, b}, {c, d}})
    CHECK(metric(x, y) == fresh()(x, y));
}

TEST_CASE("the least side is where one value is left at the last depth", "[lpips]") {
  for (const LpipsNet& net : lpips_nets()) CHECK(least_side(net) == (net.name == "alex" ? 31 : 16));
}

TEST_CASE("LPIPS refuses two sizes and sides that leave nothing, naming them", "[lpips]") {
  const Metric metric(std::make_shared<const Metric::State>(lpips_state("alex", good_folder().string(), {})));
  const auto said = [&](const Image& a, const Image& b) -> std::string {
    try {
      metric(Item(a), Item(b));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "nothing was refused";
  };
  CHECK_THAT(said(noise(64, 40, 1), noise(40, 64, 1)),
             Contains("[lpips-alex] sizes differ: 64 x 40 and 40 x 64"));
  CHECK_THAT(said(noise(1, 1, 1), noise(1, 1, 1)), Contains("at least 31"));
  CHECK_THAT(said(noise(30, 64, 1), noise(30, 64, 1)), Contains("30 x 64") && Contains("at least 31"));
}

TEST_CASE("every field of an LPIPS configuration is honoured or refused by name", "[lpips]") {
  const auto [from, to, said] = GENERATE(table<std::string, std::string, std::string>({
      {"\"lpips\"", "\"dists\"", "model_type"},
      {"\"model_type\": \"lpips\",", "", "\"model_type\" is missing"},
      {"\"0.1\"", "\"0.0\"", "version"},
      {"\"version\": \"0.1\",", "", "\"version\" is missing"},
      {"\"alex\"", "\"squeeze\"", "net"},
      {"384", "383", "channels"},
      {"\"channels\": [64, 192, 384, 256, 256],", "", "\"channels\" is missing"},
      {"[-1.0, 1.0]", "[1.0, -1.0]", "input_range"},
      {"[-1.0, 1.0]", "[-1.0]", "input_range"},
      {"-0.188]", "-0.188, 0]", "shift"},
      {"0.448", "0", "scale"},
      {"1e-10", "-1", "normalize_eps"},
      {"\"normalize_eps\": 1e-10,", "", "normalize_eps"},
      {"1e-10", "\"small\"", "normalize_eps"},
      {"\"weight_dtype\"", "\"spatial\": true, \"weight_dtype\"", "spatial"},
      {"{\"model_type\"", "[{\"model_type\"", "config.json"},
  }));
  CHECK_THAT(config_refusal(replaced(alex_config, from, to)), Contains("config.json") && Contains(said));
}

TEST_CASE("the fields of an LPIPS configuration move the distance", "[lpips]") {
  const auto [from, to] = GENERATE(table<std::string, std::string>(
      {{"[-1.0, 1.0]", "[0.0, 1.0]"}, {"-0.088", "0.1"}, {"0.458", "0.9"}, {"1e-10", "0.5"}}));
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "config.json") << replaced(alex_config, from, to);
  std::filesystem::create_hard_link(good_folder() / "model.safetensors", folder.path() / "model.safetensors");
  const Image a = noise(40, 40, 1), b = noise(40, 40, 2);
  const double usual = distance(load(good_folder()), a, b);
  CHECK(std::abs(distance(load(folder.path()), a, b) - usual) > 1e-4 * usual);
}

TEST_CASE("LPIPS of another net is refused, naming both", "[lpips]") {
  CHECK_THAT(config_refusal(alex_config, "vgg"), Contains("net") && Contains("alex") && Contains("vgg"));
}

TEST_CASE("tensors that are not LPIPS's are refused by name before any is used", "[lpips]") {
  CHECK_THAT(tensor_refusal([](Tensors& t) { t.erase("lin3.model.1.weight"); }),
             Contains("lin3.model.1.weight"));
  CHECK_THAT(tensor_refusal([](Tensors& t) {
               t["net.slice2.3.bias"].shape = {96, 2};
             }),
             Contains("net.slice2.3.bias") && Contains("[96, 2]"));
  CHECK_THAT(tensor_refusal([](Tensors& t) { t["lin0.model.1.weight"].values[3] = NAN; }),
             Contains("lin0.model.1.weight"));
  CHECK_THAT(tensor_refusal([](Tensors& t) {
               t["lin5.model.1.weight"] = {{1}, {1}};
             }),
             Contains("lin5.model.1.weight"));
}

TEST_CASE("a folder without weights, or with a pickle in their place, is refused", "[lpips]") {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "config.json") << alex_config;
  CHECK_THROWS_AS(load(folder.path()), DataError);
  std::ofstream(folder.path() / "model.safetensors") << "\x80\x04\x95junk of a pickle";
  CHECK_THROWS_WITH(load(folder.path()), Contains("model.safetensors"));
  std::filesystem::remove(folder.path() / "config.json");
  CHECK_THROWS_WITH(load(folder.path()), Contains("config.json"));
}
