#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>

#include "attribute.h"
#include "metric_state.h"
#include "model_identity.h"
#include "sha256.h"

namespace unisim {
namespace {

using Row = std::vector<float>;

/// The row of the last call's first item, for who compares one item with many, call by call. Kept on the CPU
/// alone: a row there does not depend on what it is embedded with, so no score does on what was asked before.
class LastReference {
 public:
  void keep(const Item& item, const Row& row) {
    const std::lock_guard lock(mutex_);
    item_ = item;
    row_ = row;
  }
  /// Empty for another item.
  Row row_of(const Item& item) const {
    const std::lock_guard lock(mutex_);
    return row_.empty() || !same(item_, item) ? Row() : row_;
  }

 private:
  mutable std::mutex mutex_;
  Item item_;
  Row row_;
};

void append_rows(const Tensor& embedded, std::vector<Row>& rows) {
  const Tensor plain = embedded.to(at::kCPU, at::kFloat).contiguous();
  const float* from = plain.const_data_ptr<float>();
  for (int64_t i = 0; i < plain.size(0); ++i, from += plain.size(1))
    rows.emplace_back(from, from + plain.size(1));
}

std::vector<Row> text_rows(const Encoder& encoder, const std::vector<std::string>& texts) {
  std::vector<Row> rows;
  if (!texts.empty()) append_rows(encoder.embed_texts(texts), rows);
  return rows;
}

/// The rows of all items, embedded a stretch at a time, so that the copies the encoder wants side by side
/// stay few. `done` is told how many of the images, in order, have their row.
std::vector<Row> image_rows(const Encoder& encoder, const CosineOptions& options,
                            std::span<const Image* const> images,
                            const std::function<void(std::size_t)>& done) {
  constexpr std::size_t stretch = 64;
  std::vector<Row> rows;
  for (std::size_t first = 0; first < images.size(); first += stretch) {
    std::vector<Image> batch;
    for (std::size_t k = first; k < std::min(first + stretch, images.size()); ++k)
      batch.push_back(*images[k]);
    append_rows(encoder.embed_images(batch, {.layer = options.layer, .pool = options.pool}), rows);
    done(rows.size());
  }
  return rows;
}

/// A row for each item, images and texts alike; the first's is given where it is known. Pairs count as done
/// once both their rows are there.
std::vector<Row> item_rows(const Encoder& encoder, const CosineOptions& options,
                           std::span<const Item* const> items, Row first, std::span<const ItemPair> pairs,
                           const Progress& progress) {
  std::vector<const Image*> images;
  std::vector<std::size_t> images_at, texts_at;
  std::vector<std::string> texts;
  for (std::size_t k = first.empty() ? 0 : 1; k < items.size(); ++k) {
    if (const Image* image = std::get_if<Image>(items[k])) {
      images.push_back(image);
      images_at.push_back(k);
    } else {
      texts.push_back(std::get<Text>(*items[k]).text);
      texts_at.push_back(k);
    }
  }
  std::vector<Row> rows(items.size());
  rows[0] = std::move(first);
  std::vector<Row> of_texts = text_rows(encoder, texts);
  for (std::size_t k = 0; k < of_texts.size(); ++k) rows[texts_at[k]] = std::move(of_texts[k]);

  const auto total = static_cast<int64_t>(pairs.size());
  const auto pairs_done = [&](std::size_t done) {
    // Items are numbered as the pairs first ask for them: all before the next image have their row.
    const std::size_t known = done < images_at.size() ? images_at[done] : items.size();
    const auto ready = [known](const ItemPair& pair) { return pair.x < known && pair.y < known; };
    if (progress) progress(std::ranges::count_if(pairs, ready), total);
  };
  std::vector<Row> of_images = image_rows(encoder, options, images, pairs_done);
  for (std::size_t k = 0; k < of_images.size(); ++k) rows[images_at[k]] = std::move(of_images[k]);
  if (progress && images.empty()) progress(total, total);
  return rows;
}

std::vector<double> rate(const Encoder& encoder, std::span<const Image> images, const std::string& attribute,
                         const std::string& mode) {
  require(mode == "naive" || mode == "clip-iqa", "[attribute] mode \"", mode,
          "\" is not one of naive, clip-iqa");
  const AttributePrompts& prompts = attribute_prompts(attribute);
  std::vector<std::string> texts = {std::string(prompts.naive)};
  if (mode == "clip-iqa") texts = {std::string(prompts.more), std::string(prompts.less)};
  const std::vector<Row> asked = text_rows(encoder, texts);
  std::vector<const Image*> pointers;
  for (const Image& image : images) pointers.push_back(&image);
  std::vector<double> rated;
  for (const Row& row : image_rows(encoder, {}, pointers, [](std::size_t) {})) {
    const double first = cosine_of(row, asked[0]);
    rated.push_back(asked.size() == 1 ? first : share_of(first, cosine_of(row, asked[1])));
  }
  return rated;
}

std::string name_of(const std::string& model, const CosineOptions& options) {
  std::string name = "encoder:" + model;
  if (options.layer) name += text_of(",layer=", *options.layer);
  if (options.pool) name += *options.pool == Pool::Cls ? ",pool=cls" : ",pool=mean";
  return name;
}

/// Rows of any items, as the metric itself embeds them.
std::vector<Row> rows_of(const Encoder& encoder, const CosineOptions& options, std::span<const Item* const> items) {
  return item_rows(encoder, options, items, {}, {}, {});
}

std::string identity_of(const Encoder& encoder, const CosineOptions& options) {
  return sha256(encoder_identity(encoder) + name_of("", options));
}

}  // namespace

double cosine_of(std::span<const float> a, std::span<const float> b) {
  double product = 0, aa = 0, bb = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    product += double{a[k]} * b[k];
    aa += double{a[k]} * a[k];
    bb += double{b[k]} * b[k];
  }
  if (aa == 0 || bb == 0) return 0;
  const double cosine = product / std::sqrt(aa * bb);
  return std::isnan(cosine) ? cosine : std::clamp(cosine, -1.0, 1.0);
}

double share_of(double first, double second) { return 1 / (1 + std::exp(second - first)); }

Metric::State encoder_state(const std::string& model, const Encoder& encoder, const CosineOptions& options) {
  require(!options.layer || (*options.layer >= 0 && *options.layer <= encoder.layers()), "[metric] layer is ",
          options.layer.value_or(0), ", expected 0 to ", encoder.layers(), " in ", encoder.name());
  Metric::State state{.name = name_of(model, options)};
  if (!encoder.has_text())
    state.no_text = text_of("the model ", encoder.name(), " has no text tower");
  else if (options.layer || options.pool)
    state.no_text = "a hidden layer or another pooling has no counterpart for texts";
  const auto last = std::make_shared<LastReference>();
  state.score = [encoder, options, last](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                                         const Progress& progress) {
    Row first = last->row_of(*items[0]);
    const bool known = !first.empty();
    const std::vector<Row> rows = item_rows(encoder, options, items, std::move(first), pairs, progress);
    if (!known && encoder.device().is_cpu()) last->keep(*items[0], rows[0]);
    std::vector<double> scores;
    for (const auto& [x, y] : pairs) scores.push_back(cosine_of(rows[x], rows[y]));
    return scores;
  };
  state.rows = [encoder, options](std::span<const Item* const> items) { return rows_of(encoder, options, items); };
  state.identity = said_once([encoder, options] { return identity_of(encoder, options); });
  state.model = {.parameters = encoder.parameters(), .image_size = encoder.image_size(), .dtype = name_of(encoder.dtype())};
  if (state.no_text.empty())
    state.attribute = [encoder](std::span<const Image> images, const std::string& attribute,
                                const std::string& mode) { return rate(encoder, images, attribute, mode); };
  return state;
}

Metric by_cosine(const Encoder& encoder, const CosineOptions& options) {
  return Metric(std::make_shared<const Metric::State>(encoder_state(encoder.name(), encoder, options)));
}

}  // namespace unisim
