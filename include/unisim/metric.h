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

/// How a vision-language model is asked: see asking.h.
struct AskingOptions {
  std::string mode = "probability";  ///< "text": the answer is decoded and read by the published string rules
  bool swap = true;                  ///< candidates change places (three rotate), scores are averaged
  int64_t shots = 0;                 ///< solved items before each, of EvaluateOptions::examples
  uint64_t seed = 0;                 ///< of which they are
  bool reason = false;               ///< the model first describes the differences, then names the letter
  std::string template_name = {};    ///< of docs/generative.md; empty: the folder's own
  bool operator==(const AskingOptions&) const = default;
};

struct MetricOptions {
  Device device = Device("cpu");
  DType dtype = DType::Float32;
  std::optional<int64_t> layer = {};  ///< encoder metrics: see EmbedOptions
  std::optional<Pool> pool = {};
  AskingOptions asking = {};              ///< vlm metrics
};

/// The order that a metric gives, most similar first, ties in the given order; scores beside it.
struct Ranking {
  std::vector<int64_t> order;
  std::vector<double> scores;  ///< of the candidates as given
  bool tied = false;           ///< some two scores are equal
};

/// What a metric rests on, for tables beside its scores.
struct MetricModel {
  std::string sha256 = {};          ///< of the model's files, its settings and how it computes; empty: pixels alone
  int64_t parameters = 0;           ///< floating point numbers in the weights; 0: pixels alone
  int64_t image_size = 0;           ///< height, in pixels, of what the model sees; 0: pictures at their own size
  std::string dtype = "float64";    ///< what it computes in
};

/// Something that rates pairs of items: a function to the number that its authors define, with a name and a
/// direction. What a metric cannot answer (LPIPS and a text) it refuses by name, std::invalid_argument.
class UNISIM_API Metric {
 public:
  std::string name() const;
  bool higher_is_better() const;
  MetricModel model() const;  ///< reads the model's files when first asked, for their hash

  double operator()(const Item& x, const Item& y) const;
  /// [n] float64 of x[i] with y[i]; equal counts. Items that are equal are computed on once. progress counts
  /// pairs.
  Tensor operator()(std::span<const Item> x, std::span<const Item> y, const Progress& progress = {}) const;

  /// Throws std::invalid_argument if there are no candidates.
  Ranking rank(const Item& reference, std::span<const Item> candidates,
               const Progress& progress = {}) const;
  /// Three items: the one outside the most similar pair. More: the one of lowest mean similarity to the
  /// others. A tie is the lowest index. Fewer than three are std::invalid_argument.
  int64_t odd_one_out(std::span<const Item> items) const;
  /// How much of "quality", "brightness", "colorfulness", "contrast" or "sharpness" each image has;
  /// mode "naive" (cosine with one prompt, in [-1, 1]) or "clip-iqa" (share of the first of two opposite
  /// prompts in the softmax of both cosines, in (0, 1); Wang et al., arXiv 2207.12396). The prompts are those
  /// of UniSim-Bench (arXiv 2412.10594). Encoders with a text tower only.
  std::vector<double> attribute(std::span<const Image> images, const std::string& attribute,
                                const std::string& mode = "naive") const;

  struct State;
  explicit Metric(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const State& state() const { return *state_; }  ///< what the library's own code asks

 private:
  std::shared_ptr<const State> state_;
};

/// A metric by name, options after it, which win over `options`: "encoder:FOLDER,layer=9,pool=mean".
///
/// - "ssim", "ms-ssim", "psnr": of the pixels alone (Wang et al. 2004; Wang et al. 2003; dB); more is better.
/// - "lpips-alex", "lpips-vgg": the distance of Zhang et al. 2018, v0.1; less is better. `unisim get
///   lpips-alex` installs its weights; "lpips-alex:FOLDER" names a folder.
/// - "gmsd": of the pixels alone (Xue et al. 2014), in [0, 0.5); less is better.
/// - "dists:FOLDER": the distance of Ding et al. 2022; less is better. docs/metrics.md has the folder's layout.
/// - "dreamsim:FOLDER": the distance of Fu et al. 2023, 1 - cosine of several encoders' features, in [0, 2]; less is
///   better. docs/metrics.md has the folder's layout.
/// - "encoder:FOLDER": the cosine of two embeddings, in [-1, 1]; a layer or pool is of images alone.
/// - "clipscore:FOLDER": 2.5 max(cosine, 0) of an image and "A photo depicts " + text, by an encoder of both
///   (Hessel et al. 2021), in [0, 2.5]; more is better.
///
/// - "vlm:FOLDER": what a vision-language model answers when asked (asking.h); options mode=probability|text,
///   swap=yes|no, shots=K, seed=S, reason=yes|no.
///
/// Options are cut off from the right, at commas, while a piece is KEY=VALUE and what remains is no folder; so
/// a folder may hold commas. An unknown name or key is std::invalid_argument listing the known ones.
UNISIM_API Metric metric(const std::string& name, const MetricOptions& options = {});

/// A hidden layer, and how it is pooled, instead of the encoder's own output: see EmbedOptions.
struct CosineOptions {
  std::optional<int64_t> layer = {};
  std::optional<Pool> pool = {};
};

/// The cosine of an encoder already loaded, as a metric.
UNISIM_API Metric by_cosine(const Encoder& encoder, const CosineOptions& options = {});

/// The names that metric() understands, FOLDER standing for a model.
UNISIM_API std::vector<std::string> metric_names();

}  // namespace unisim
