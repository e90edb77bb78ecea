#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <unisim/error.h>

#include <algorithm>

#include "encoder_state.h"
#include "models/preprocess.h"

namespace unisim {
namespace {

/// Parts of `count` items, `batch` at a time; progress after each.
template <class Part>
std::vector<Tensor> in_batches(int64_t count, int64_t batch, const Progress& progress, const Part& part) {
  std::vector<Tensor> parts;
  for (int64_t from = 0; from < count; from += batch) {
    const int64_t to = std::min(count, from + batch);
    parts.push_back(part(from, to));
    if (progress) progress(to, count);
  }
  return parts;
}

void check_pixels(const char* operation, const Encoder::State& state, const Tensor& pixels) {
  const VisionConfig& vision = state.vision->config();
  require(pixels.defined() && pixels.dim() == 4, "[", operation, "] pixels have ",
          pixels.defined() ? pixels.dim() : 0, " dimensions, expected 4: [n, 3, height, width]");
  require(pixels.is_floating_point(), "[", operation, "] pixels are ", pixels.dtype().name(),
          ", expected floating point, as preprocess makes them");
  require(pixels.size(1) == vision.channels, "[", operation, "] pixels are ", pixels.sizes(),
          ", expected [n, ", vision.channels, ", height, width]");
}

}  // namespace

Tensor Encoder::preprocess(std::span<const Image> images) const {
  state_->vision_for("preprocess");
  const Tensor pixels = state_->room_for(static_cast<int64_t>(images.size()));
  preprocess_images(*state_->config.preprocess, images,
                    {pixels.mutable_data_ptr<float>(), static_cast<std::size_t>(pixels.numel())});
  return pixels;
}

Tensor Encoder::embed_images(std::span<const Image> images, const EmbedOptions& options) const {
  state_->vision_for("embed_images", options.layer);
  const at::NoGradGuard no_grad;
  const auto parts = in_batches(
      static_cast<int64_t>(images.size()), state_->batch("embed_images", options.batch_size),
      options.progress, [&](int64_t from, int64_t to) {
        const auto part = images.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from));
        return state_->embed_pixels(preprocess(part), options);
      });
  return under_each_other(parts, state_->no_rows(options));
}

Tensor Encoder::embed_pixels(const Tensor& pixels, const EmbedOptions& options) const {
  state_->vision_for("embed_pixels", options.layer);
  check_pixels("embed_pixels", *state_, pixels);
  const at::NoGradGuard no_grad;
  const auto parts = in_batches(
      pixels.size(0), state_->batch("embed_pixels", options.batch_size), options.progress,
      [&](int64_t from, int64_t to) { return state_->embed_pixels(pixels.slice(0, from, to), options); });
  return under_each_other(parts, state_->no_rows(options));
}

Tensor Encoder::tokenize(std::span<const std::string> texts) const {
  state_->text_for("tokenize");
  const TextInput& input = state_->text_input();
  const Tensor ids = at::empty({static_cast<int64_t>(texts.size()), input.context()}, at::kLong);
  int64_t* to = ids.mutable_data_ptr<int64_t>();
  for (const std::string& text : texts) {
    const auto row = input.row(text);
    to = std::copy(row.begin(), row.end(), to);
  }
  return ids;
}

Tensor Encoder::embed_texts(std::span<const std::string> texts, const EmbedOptions& options) const {
  return embed_tokens(tokenize(texts), options);
}

Tensor Encoder::embed_tokens(const Tensor& ids, const EmbedOptions& options) const {
  const TextTower& tower = state_->text_for("embed_tokens");
  require(!options.layer && !options.pool, "[embed_tokens] layer and pool are for images");
  require(ids.defined() && ids.dim() == 2, "[embed_tokens] ids have ", ids.defined() ? ids.dim() : 0,
          " dimensions, expected 2: [n, length]");
  require(at::isIntegralType(ids.scalar_type(), false), "[embed_tokens] ids are ", ids.dtype().name(),
          ", expected integers");
  const at::NoGradGuard no_grad;
  const Tensor whole = ids.to(state_->fused ? Device("cpu") : state_->options.device, at::kLong);
  const auto parts = in_batches(ids.size(0), state_->batch("embed_tokens", options.batch_size),
                                options.progress, [&](int64_t from, int64_t to) {
                                  const Tensor rows = state_->embed_ids(whole.slice(0, from, to));
                                  return options.normalize ? unit_rows(rows) : rows;
                                });
  return under_each_other(parts, at::empty({0, tower.dim()}, at::TensorOptions(device()).dtype(at::kFloat)));
}

Tensor Encoder::patch_tokens(std::span<const Image> images, std::optional<int64_t> layer) const {
  state_->vision_for("patch_tokens", layer);
  return patch_tokens(preprocess(images), layer);
}

Tensor Encoder::patch_tokens(const Tensor& pixels, std::optional<int64_t> layer) const {
  const VisionTower& tower = state_->vision_for("patch_tokens", layer);
  check_pixels("patch_tokens", *state_, pixels);
  const at::NoGradGuard no_grad;
  const auto parts =
      in_batches(pixels.size(0), state_->batch("patch_tokens", 0), {},
                 [&](int64_t from, int64_t to) { return state_->patches(pixels.slice(0, from, to), layer); });
  const VisionConfig& vision = tower.config();
  const int64_t patches = (pixels.size(2) / vision.patch_height) * (pixels.size(3) / vision.patch_width);
  return under_each_other(
      parts, at::empty({0, patches, vision.blocks.width}, at::TensorOptions(device()).dtype(at::kFloat)));
}

}  // namespace unisim
