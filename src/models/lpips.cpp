#include "lpips.h"

#include <ATen/ops/add.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/div.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/square.h>
#include <ATen/ops/sub.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "io/json.h"
#include "weights.h"

namespace unisim {
namespace {

LpipsNet alexnet() {
  const LpipsStep pool = {0, 0, 0, 3, 2, 0};
  return {"alex",
          {{{0, 3, 64, 11, 4, 2}},
           {pool, {3, 64, 192, 5, 1, 2}},
           {pool, {6, 192, 384, 3, 1, 1}},
           {{8, 384, 256, 3, 1, 1}},
           {{10, 256, 256, 3, 1, 1}}}};
}

LpipsNet vgg16() {
  const LpipsStep pool = {0, 0, 0, 2, 2, 0};
  const auto conv = [](int64_t place, int64_t in, int64_t out) { return LpipsStep{place, in, out, 3, 1, 1}; };
  return {"vgg",
          {{conv(0, 3, 64), conv(2, 64, 64)},
           {pool, conv(5, 64, 128), conv(7, 128, 128)},
           {pool, conv(10, 128, 256), conv(12, 256, 256), conv(14, 256, 256)},
           {pool, conv(17, 256, 512), conv(19, 512, 512), conv(21, 512, 512)},
           {pool, conv(24, 512, 512), conv(26, 512, 512), conv(28, 512, 512)}}};
}

/// Whether an image with a side this long has anything left at the last depth.
bool survives(const LpipsNet& net, int64_t side) {
  for (const auto& slice : net.slices)
    for (const LpipsStep& step : slice) {
      if (side + 2 * step.padding < step.kernel) return false;
      side = (side + 2 * step.padding - step.kernel) / step.stride + 1;
    }
  return true;
}

LpipsConfig read_config(const std::filesystem::path& folder, const std::string& net) {
  const auto file = folder / "config.json";
  const Json json = read_json(file);
  Fields fields(json, file);
  fields.only("model_type", "lpips");
  fields.only("version", "0.1");  // 0.0 left the input unscaled
  fields.only("net", net);
  LpipsConfig config;
  for (const LpipsNet& known : lpips_nets())
    if (known.name == net) config.net = &known;
  Json channels = Json::array();
  for (const auto& slice : config.net->slices) channels.push_back(slice.back().out);
  fields.only("channels", channels);
  config.input_range = fields.numbers("input_range", 2);
  config.shift = fields.numbers("shift", 3);
  config.scale = fields.numbers("scale", 3);
  config.normalize_eps = fields.number("normalize_eps");
  fields.ignore({"weight_dtype"});  // the tensors say it themselves
  fields.finish();
  for (const char* key : {"model_type", "version", "net", "channels"})
    require_data(fields.has(key), file, '"', key, "\" is missing");
  require_data(config.input_range[0] < config.input_range[1], file, "\"input_range\" runs from ",
               config.input_range[0], " to ", config.input_range[1], ", expected the lower end first");
  require_data(std::ranges::none_of(config.scale, [](double s) { return s == 0; }), file,
               "\"scale\" holds a 0, which divides the input");
  require_data(config.normalize_eps >= 0, file, "\"normalize_eps\" is ", config.normalize_eps,
               ", expected at least 0");
  return config;
}

/// In the precision of the authors' scaling layer, so that the network sees the same floats.
void fill_levels(Lpips& lpips) {
  const double low = lpips.config.input_range[0], high = lpips.config.input_range[1];
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t level = 0; level < 256; ++level) {
      const auto x = static_cast<float>(low + static_cast<double>(level) / 255 * (high - low));
      lpips.levels[c][level] =
          (x - static_cast<float>(lpips.config.shift[c])) / static_cast<float>(lpips.config.scale[c]);
    }
}

Wants wants_of(Lpips& lpips) {
  Wants wants{"LPIPS", {}, {}};
  const auto& slices = lpips.config.net->slices;
  lpips.slices.resize(slices.size());
  lpips.heads.resize(slices.size());
  for (std::size_t k = 0; k < slices.size(); ++k) {
    lpips.slices[k].resize(slices[k].size());
    for (std::size_t i = 0; i < slices[k].size(); ++i) {
      const LpipsStep& step = slices[k][i];
      if (step.out == 0) continue;
      const std::string stem = text_of("net.slice", k + 1, '.', step.place);
      auto& [weight, bias] = lpips.slices[k][i];
      wants.tensors.push_back({&weight, {{stem + ".weight", {step.out, step.in, step.kernel, step.kernel}}}});
      wants.tensors.push_back({&bias, {{stem + ".bias", {step.out}}}});
    }
    const int64_t channels = slices[k].back().out;
    wants.tensors.push_back({.into = &lpips.heads[k],
                             .pieces = {{text_of("lin", k, ".model.1.weight"), {1, channels, 1, 1}}},
                             .shape = {channels},
                             .in_float32 = true});
  }
  return wants;
}

/// [1, 3, height, width] of the levels that the network sees, channels last in memory as the image has them:
/// convolutions and norms over channels are faster so.
Tensor pixels_of(const Lpips& lpips, const Image& image) {
  Tensor out = at::empty({1, image.height, image.width, 3}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for (std::size_t i = 0; i < image.pixels.size(); i += 3)
    for (std::size_t c = 0; c < 3; ++c) *to++ = lpips.levels[c][image.pixels[i + c]];
  return out.permute({0, 3, 1, 2}).to(lpips.device, scalar_type(lpips.dtype));
}

}  // namespace

const std::vector<LpipsNet>& lpips_nets() {
  static const std::vector<LpipsNet> nets = {alexnet(), vgg16()};
  return nets;
}

int64_t least_side(const LpipsNet& net) {
  int64_t side = 1;
  while (!survives(net, side)) ++side;
  return side;
}

Lpips load_lpips(const std::filesystem::path& folder, const std::string& net, Device device, DType dtype) {
  Lpips lpips{.config = read_config(folder, net), .device = device, .dtype = dtype};
  fill_levels(lpips);
  const Weights weights = Weights::open(folder, {"model"}, device, dtype);
  weights.fill(wants_of(lpips));
  lpips.parameters = weights.parameters();
  for (auto& slice : lpips.slices)
    for (auto& [weight, bias] : slice)
      if (weight.defined()) weight = weight.contiguous(at::MemoryFormat::ChannelsLast);
  return lpips;
}

std::vector<Tensor> lpips_features(const Lpips& lpips, const Image& image) {
  const c10::InferenceMode no_gradient;
  const auto& slices = lpips.config.net->slices;
  std::vector<Tensor> features;
  Tensor x = pixels_of(lpips, image);
  for (std::size_t k = 0; k < slices.size(); ++k) {
    for (std::size_t i = 0; i < slices[k].size(); ++i) {
      const LpipsStep& step = slices[k][i];
      const auto& [weight, bias] = lpips.slices[k][i];
      if (step.out == 0)
        x = at::max_pool2d(x, step.kernel, step.stride);
      else
        x = at::conv2d(x, weight, bias, step.stride, step.padding).relu_();
    }
    const Tensor depth = x.to(at::kFloat);
    const Tensor length = at::linalg_vector_norm(depth, 2, 1, /*keepdim=*/true);
    features.push_back(at::div(depth, at::add(length, lpips.config.normalize_eps)));
  }
  return features;
}

double lpips_distance(const Lpips& lpips, const std::vector<Tensor>& x, const std::vector<Tensor>& y) {
  const c10::InferenceMode no_gradient;
  double distance = 0;
  // A 1 x 1 head and the mean over places are both linear: the mean is taken first, which leaves a short dot
  // product.
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Tensor mean = at::mean(at::sub(x[k], y[k]).square_(), {0, 2, 3});
    distance += at::dot(mean.to(at::kDouble), lpips.heads[k].to(at::kDouble)).item<double>();
  }
  return distance;
}

}  // namespace unisim
