#pragma once

#include <unisim/metric.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// A metric as data: what it is called, what it reads, and functions. Never a subclass.
namespace unisim {

struct AskedItem;
struct Judgement;
class Vlm;

/// Two images of the same pixels, or two texts of the same letters.
bool same(const Item& a, const Item& b);

/// As unisim::cosine, of two rows in double: a zero row scores 0; a row with itself exactly 1, since the square
/// root of a square is exact.
double cosine_of(std::span<const float> a, std::span<const float> b);

/// The share of the first of two cosines in their softmax, without a temperature (mode "clip-iqa").
double share_of(double first, double second);

/// Indices into a list of items.
struct ItemPair {
  std::size_t x = 0;
  std::size_t y = 0;
};

struct Metric::State {
  std::string name;
  bool higher_is_better = true;
  std::string no_text = {};  ///< why a text is refused; empty: texts are read

  std::string no_images = {};  ///< why two images are refused; empty: they are rated

  /// The score of each pair. The items are whole, all different, numbered as they first appear in the pairs,
  /// and texts only where texts are read.
  std::function<std::vector<double>(std::span<const Item* const> items, std::span<const ItemPair> pairs,
                                    const Progress& progress)>
      score = {};

  /// Where the score is a function of two rows: the row of each item, so that a collection is embedded once, and that
  /// function.
  std::function<std::vector<std::vector<float>>(std::span<const Item* const> items)> rows = {};
  double (*score_of_rows)(std::span<const float> x, std::span<const float> y) = cosine_of;

  /// What decides the rows or scores besides the items: the hashes of a model's files and its options. It takes as
  /// long as reading them does, the first time.
  std::function<std::string()> identity = {};
  MetricModel model = {};  ///< without its hash, which is the identity

  /// Where an item is judged as a whole, by being asked: what the model says of it behind the examples. Then `score` is of
  /// an image with a text alone, and `rows` are none.
  std::function<Judgement(const AskedItem& item, std::span<const AskedItem> examples)> judge = {};
  AskingOptions asking = {};
  std::vector<Metric> tools = {};  ///< that are asked before it: they must be able to do what it does

  /// One number an image for an attribute and a mode; empty where the metric rates pairs alone.
  std::function<std::vector<double>(std::span<const Image> images, const std::string& attribute,
                                    const std::string& mode)>
      attribute = {};
};

Metric::State ssim_state();
Metric::State ms_ssim_state();
Metric::State gmsd_state();
Metric::State psnr_state();
/// `net` is "alex" or "vgg"; `model` the folder's path or the name of what is installed.
Metric::State lpips_state(const std::string& net, const std::string& model, const MetricOptions& options);
Metric::State dists_state(const std::string& model, const MetricOptions& options);
/// `model` is the folder's path or the name of what is installed.
Metric::State dreamsim_state(const std::string& model, const MetricOptions& options);
/// `model` is what the encoder is called in the metric's name.
Metric::State encoder_state(const std::string& model, const Encoder& encoder, const CosineOptions& options);
Metric::State asking_state(const std::string& model, const Vlm& vlm, std::span<const Metric> tools,
                           const AskingOptions& options);
Metric::State clipscore_state(const std::string& model, const Encoder& encoder);

}  // namespace unisim
