#pragma once

#include <ATen/ops/empty.h>
#include <unisim/error.h>
#include <unisim/not_finite.h>

#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

#include "each_item.h"
#include "fused/work.h"
#include "fused_encoder.h"
#include "placed_weights_of.h"

namespace unisim {

/// FusedEncoder on a place, numbers stored as T. Slices hold at most `slice` items: few enough that what they
/// stream stays in a device's cache.
template <class P, class T>
class FusedEncoderOn : public FusedEncoder {
 public:
  FusedEncoderOn(const VisionTower* vision, const TextTower* text, int64_t slice,
                 bool batch_invariant = false)
      : slice_(slice), weights_(own_.place(), batch_invariant) {
    if (vision) {
      const int64_t height = vision->image_height(), width = vision->image_width();
      vision_.emplace(vision->config(), weights_.vision(vision->config(), vision->weights(),
                                                        vision->positions_for(height, width), height, width));
    }
    if (text) {
      text_config_ = text->config();
      text_.emplace(text->config(), weights_.text(text->weights()));
    }
    synchronize(own_.place());
  }

  bool serves(int64_t height, int64_t width) const override {
    return vision_ && vision_->weights().height == height && vision_->weights().width == width;
  }
  int64_t slice() const override { return slice_; }
  std::size_t weight_bytes() const override { return weights_.bytes(); }

  Tensor embed_pixels(const Tensor& pixels) override {
    const std::lock_guard lock(turn_);
    if (!images_) images_.emplace(own_.place(), VisionWork<P, T>{&*vision_}, slice_);
    return run("embed_images", *images_, host_floats(pixels).const_data_ptr(), pixels.size(0),
               {vision_->dim()});
  }

  Tensor hidden_state(const Tensor& pixels, int64_t layer) override {
    const std::lock_guard lock(turn_);
    if (!hidden_ || hidden_layer_ != layer) {
      hidden_.reset();
      hidden_.emplace(own_.place(), HiddenWork<P, T>{{&*vision_}, layer}, slice_);
      hidden_layer_ = layer;
    }
    return run("hidden_state", *hidden_, host_floats(pixels).const_data_ptr(), pixels.size(0),
               {vision_->tokens(), vision_->width()});
  }

  Tensor embed_tokens(const Tensor& ids) override {
    const std::lock_guard lock(turn_);
    const Tensor host = ids.to(at::kCPU).contiguous();
    const int64_t n = host.size(0), length = host.size(1);
    if (!texts_ || text_length_ != length) {
      texts_.reset();
      texts_.emplace(own_.place(), TextWork<P, T>{&*text_, length}, slice_);
      text_length_ = length;
    }
    const auto* each = host.const_data_ptr<int64_t>();
    std::vector<int64_t> index;
    for (int64_t i = 0; i < n; ++i) index.push_back(pooled_row(*text_config_, each + i * length, length));
    const TextItems items{each, index.data()};
    return run("embed_texts", *texts_, &items, n, {text_->dim()});
  }

 private:
  template <class Runner>
  Tensor run(const char* operation, Runner& runner, const void* input, int64_t n, std::vector<int64_t> row) {
    row.insert(row.begin(), n);
    const Tensor out = at::empty(row, at::TensorOptions().dtype(at::kFloat));
    std::vector<T> stored(static_cast<std::size_t>(out.numel()));
    runner.run(input, n, stored.data());
    auto* to = out.mutable_data_ptr<float>();
    for (std::size_t k = 0; k < stored.size(); ++k) to[k] = to_float(stored[k]);
    if (const int64_t bad = n > 0 ? first_not_finite(out) : -1; bad >= 0)
      throw NotFinite(text_of("[", operation, "] the result of item ", bad,
                                       " is not finite, computed by the fused executor"));
    return out;
  }

  const int64_t slice_;
  OwnPlace<P> own_;
  PlacedWeights<P, T> weights_;
  std::optional<FusedVision<P, T>> vision_;
  std::optional<TextConfig> text_config_;
  std::optional<FusedText<P, T>> text_;
  std::mutex turn_;
  std::optional<SliceRunner<P, VisionWork<P, T>>> images_;
  std::optional<SliceRunner<P, HiddenWork<P, T>>> hidden_;  ///< of the layer that was asked for last
  int64_t hidden_layer_ = 0;
  std::optional<SliceRunner<P, TextWork<P, T>>> texts_;  ///< of the length that came last
  int64_t text_length_ = 0;
};

}  // namespace unisim
