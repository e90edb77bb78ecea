#include "dists.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/square.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>

#include "io/json.h"
#include "lpips.h"
#include "weights.h"

namespace unisim {
namespace {

static_assert(std::accumulate(dists_depths.begin(), dists_depths.end(), int64_t{0}) == dists_channels);

/// The convolutions are those that LPIPS takes of VGG16, cut at the same depths.
const LpipsNet& vgg16() {
  static const LpipsNet& net = *std::ranges::find(lpips_nets(), "vgg", &LpipsNet::name);
  return net;
}

DistsConfig read_config(const std::filesystem::path& folder) {
  const auto file = folder / "config.json";
  const Json json = read_json(file);
  Fields fields(json, file);
  fields.only("model_type", "dists");
  fields.only("net", "vgg");
  fields.only("channels", Json(dists_depths));
  DistsConfig config;
  config.mean = fields.numbers("mean", 3);
  config.std = fields.numbers("std", 3);
  fields.ignore({"weight_dtype"});  // the tensors say it themselves
  fields.finish();
  for (const char* key : {"model_type", "net", "channels"})
    require_data(fields.has(key), file, '"', key, "\" is missing");
  require_data(std::ranges::none_of(config.std, [](double s) { return s == 0; }), file,
               "\"std\" holds a 0, which divides the input");
  return config;
}

/// VGG16 is anyone's; without the learned weights there is no DISTS.
void require_learned(const Weights& weights, const std::filesystem::path& folder) {
  std::string missing;
  for (const char* name : {"alpha", "beta"})
    if (!weights.has(name)) missing += text_of(missing.empty() ? "" : ", ", '"', name, '"');
  require_data(missing.empty(), folder / "model.safetensors",
               "the learned weights of DISTS are missing: ", missing, " [", dists_channels,
               "]; VGG16 alone is not the metric");
}

Wants wants_of(Dists& dists) {
  Wants wants{"DISTS", {}, {}};
  const auto& slices = vgg16().slices;
  dists.slices.resize(slices.size());
  for (std::size_t k = 0; k < slices.size(); ++k) {
    dists.slices[k].resize(slices[k].size());
    for (std::size_t i = 0; i < slices[k].size(); ++i) {
      const LpipsStep& step = slices[k][i];
      if (step.out == 0) continue;
      const std::string stem = text_of("net.slice", k + 1, '.', step.place);
      auto& [weight, bias] = dists.slices[k][i];
      wants.tensors.push_back({&weight, {{stem + ".weight", {step.out, step.in, step.kernel, step.kernel}}}});
      wants.tensors.push_back({&bias, {{stem + ".bias", {step.out}}}});
    }
  }
  wants.tensors.push_back(
      {.into = &dists.alpha, .pieces = {{"alpha", {dists_channels}}}, .in_float32 = true});
  wants.tensors.push_back({.into = &dists.beta, .pieces = {{"beta", {dists_channels}}}, .in_float32 = true});
  return wants;
}

/// [1, 3, height, width] float32 in [0, 1], channels last in memory as the image has them.
Tensor levels_of(const Image& image) {
  Tensor out = at::empty({1, image.height, image.width, 3}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for (const uint8_t level : image.pixels) *to++ = static_cast<float>(level) / 255.0f;
  return out.permute({0, 3, 1, 2});
}

/// Three numbers as [1, 3, 1, 1] beside x.
Tensor channels(const std::vector<double>& values, const Tensor& x) {
  return at::tensor(values, x.options()).view({1, 3, 1, 1});
}

/// sqrt(h * x^2 + 1e-12) at every other place, h = outer([.5, 1, .5]) / 4, zeros outside. In float32: squares
/// of features overflow in half precision.
Tensor l2_pool(const Tensor& x) {
  const Tensor wide = x.to(at::kFloat);
  const int64_t count = x.size(1);
  const Tensor line = at::tensor({0.25, 0.5, 0.25}, wide.options());
  const Tensor window = at::outer(line, line).expand({count, 1, 3, 3}).contiguous();
  return at::conv2d(at::square(wide), window, {}, 2, 1, 1, count).add_(1e-12).sqrt_().to(x.scalar_type());
}

/// Over the places, for each channel: [channels].
Tensor mean_over_places(const Tensor& x) { return at::mean(x, {2, 3}).view({-1}); }

/// Population variance over the places, from the centred values; `mean` is theirs, [channels].
Tensor variance_of(const Tensor& x, const Tensor& mean) {
  return mean_over_places(at::sub(x, mean.view({1, -1, 1, 1})).square_());
}

double sum_of(const Tensor& weights) {
  const double* values = weights.const_data_ptr<double>();
  return std::accumulate(values, values + weights.numel(), 0.0);
}

Tensor on_cpu(const Tensor& x) { return x.to(at::kCPU, at::kDouble).contiguous(); }

void add_depth(DistsFeatures& features, const Tensor& x) {
  const Tensor depth = x.to(at::kFloat);
  const Tensor mean = mean_over_places(depth);
  features.depths.push_back(depth);
  features.means.push_back(on_cpu(mean));
  features.variances.push_back(on_cpu(variance_of(depth, mean)));
}

}  // namespace

Dists load_dists(const std::filesystem::path& folder, Device device, DType dtype) {
  Dists dists{.config = read_config(folder), .device = device, .dtype = dtype};
  const Weights weights = Weights::open(folder, {"model"}, device, dtype);
  require_learned(weights, folder);
  weights.fill(wants_of(dists));
  dists.parameters = weights.parameters();
  for (Tensor* learned : {&dists.alpha, &dists.beta}) *learned = on_cpu(*learned);
  const double weights_sum = sum_of(dists.alpha) + sum_of(dists.beta);
  require_data(weights_sum > 0, folder / "model.safetensors", "alpha and beta sum to ", weights_sum,
               ", expected more than 0: the distance is divided by it");
  for (auto& slice : dists.slices)
    for (auto& [weight, bias] : slice)
      if (weight.defined()) weight = weight.contiguous(at::MemoryFormat::ChannelsLast);
  return dists;
}

DistsFeatures dists_features(const Dists& dists, const Image& image) {
  const c10::InferenceMode no_gradient;
  DistsFeatures features;
  const Tensor levels = levels_of(image).to(dists.device);
  add_depth(features, levels);
  Tensor x = at::div(at::sub(levels, channels(dists.config.mean, levels)), channels(dists.config.std, levels))
                 .to(scalar_type(dists.dtype));
  const auto& slices = vgg16().slices;
  for (std::size_t k = 0; k < slices.size(); ++k) {
    for (std::size_t i = 0; i < slices[k].size(); ++i) {
      const LpipsStep& step = slices[k][i];
      const auto& [weight, bias] = dists.slices[k][i];
      x = step.out == 0 ? l2_pool(x) : at::conv2d(x, weight, bias, step.stride, step.padding).relu_();
    }
    add_depth(features, x);
  }
  return features;
}

double dists_distance(const Dists& dists, const DistsFeatures& x, const DistsFeatures& y) {
  constexpr double c = 1e-6;
  const c10::InferenceMode no_gradient;
  const double* alpha = dists.alpha.const_data_ptr<double>();
  const double* beta = dists.beta.const_data_ptr<double>();
  double apart = 0, weights = 0;
  for (std::size_t k = 0; k < x.depths.size(); ++k) {
    const double* mx = x.means[k].const_data_ptr<double>();
    const double* my = y.means[k].const_data_ptr<double>();
    const double* vx = x.variances[k].const_data_ptr<double>();
    const double* vy = y.variances[k].const_data_ptr<double>();
    // 1 - S2 = (vx + vy - 2 cov) / (vx + vy + c), whose numerator is the variance of x - y: taken so, equal
    // features are exactly 0 apart and near ones lose nothing. 1 - S1 likewise.
    const Tensor difference = at::sub(x.depths[k], y.depths[k]);
    const Tensor spread = on_cpu(variance_of(difference, mean_over_places(difference)));
    const double* d = spread.const_data_ptr<double>();
    for (int64_t i = 0; i < spread.size(0); ++i, ++alpha, ++beta) {
      apart += *alpha * (mx[i] - my[i]) * (mx[i] - my[i]) / (mx[i] * mx[i] + my[i] * my[i] + c);
      apart += *beta * d[i] / (vx[i] + vy[i] + c);
      weights += *alpha + *beta;
    }
  }
  return apart / weights;
}

}  // namespace unisim
