#pragma once

#include <unisim/encoder.h>
#include <unisim/image.h>
#include <unisim/tensor.h>

#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace unisim {

/// Marks a text wherever an image may stand too.
struct Text {
  std::string text;
};
using Item = std::variant<Image, Text>;

struct MetricOptions {
  Device device = Device("cpu");
  DType dtype = DType::Float32;
  std::optional<int64_t> layer = {};  ///< encoder metrics: see EmbedOptions
  std::optional<Pool> pool = {};
};

/// The order that a metric gives, most similar first, ties in the given order; scores beside it.
struct Ranking {
  std::vector<int64_t> order;
  std::vector<double> scores;  ///< of the candidates as given
  bool tied = false;           ///< some two scores are equal
};

/// Something that rates pairs of items: a function to the number that its authors define, with a name and a
/// direction. What a metric cannot answer (LPIPS and a text) it refuses by name, std::invalid_argument.
class UNISIM_API Metric {
 public:
  std::string name() const;
  bool higher_is_better() const;

  double operator()(const Item& x, const Item& y) const;
  /// [n] float64 of x[i] with y[i]; equal counts.
  Tensor operator()(std::span<const Item> x, std::span<const Item> y, const Progress& progress = {}) const;

  Ranking rank(const Item& reference, std::span<const Item> candidates) const;
  /// Three items: the one outside the most similar pair. More: the one of lowest mean similarity to the others.
  int64_t odd_one_out(std::span<const Item> items) const;
  /// One number an image, higher: more of it. "quality", "brightness", "colorfulness", "contrast", "sharpness";
  /// mode "naive" (one prompt) or "clip-iqa" (two prompts; Wang et al., arXiv 2207.12396). Text towers only.
  std::vector<double> attribute(std::span<const Image> images, const std::string& attribute,
                                const std::string& mode = "naive") const;

  struct State;
  explicit Metric(std::shared_ptr<const State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<const State> state_;
};

/// By name, options after it: "lpips-alex", "lpips-vgg", "ssim", "ms-ssim", "psnr", "encoder:FOLDER",
/// "encoder:FOLDER,layer=9,pool=mean". An unknown name is std::invalid_argument listing the known ones.
UNISIM_API Metric metric(const std::string& name, const MetricOptions& options = {});

/// The cosine of an encoder already loaded, as a metric.
UNISIM_API Metric by_cosine(const Encoder& encoder, const MetricOptions& options = {});

/// The names that metric() understands, FOLDER standing for a model.
UNISIM_API std::vector<std::string> metric_names();

}  // namespace unisim
