#pragma once

// Model files of a few kilobytes, drawn so that every branch moves the output, and the plain arithmetic in
// double that towers are held to.

#include <ATen/ops/empty.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "activation_in_double.h"
#include "io/file.h"
#include "models/layout.h"
#include "models/wants.h"
#include "support.h"

namespace unisim::test {

/// Row-major values in double with their shape.
struct Grid2 {
  int64_t rows = 0, columns = 0;
  std::vector<double> values = {};

  Grid2(int64_t r, int64_t c) : rows(r), columns(c), values(static_cast<std::size_t>(r * c)) {}
  double& at(int64_t r, int64_t c) { return values[static_cast<std::size_t>(r * columns + c)]; }
  double at(int64_t r, int64_t c) const { return values[static_cast<std::size_t>(r * columns + c)]; }
};

inline Grid2 grid_of_tensor(const Tensor& tensor) {
  const Tensor flat = tensor.to(at::kDouble).reshape({-1, tensor.size(-1)}).contiguous();
  Grid2 grid(flat.size(0), flat.size(1));
  std::memcpy(grid.values.data(), flat.const_data_ptr<double>(), grid.values.size() * sizeof(double));
  return grid;
}

inline Tensor random_tensor(std::vector<int64_t> shape, uint64_t seed, double scale = 1, double shift = 0) {
  const Tensor tensor = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  const std::vector<float> values = random_floats(static_cast<std::size_t>(tensor.numel()), seed);
  float* to = tensor.mutable_data_ptr<float>();
  for (std::size_t i = 0; i < values.size(); ++i) to[i] = static_cast<float>(shift + scale * values[i]);
  return tensor;
}

/// The largest difference over the largest magnitude of what is expected.
inline double worst(const Tensor& found, const Grid2& expected) {
  const Grid2 given = grid_of_tensor(found);
  REQUIRE(given.values.size() == expected.values.size());
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < given.values.size(); ++i) {
    difference = std::max(difference, std::abs(given.values[i] - expected.values[i]));
    largest = std::max(largest, std::abs(expected.values[i]));
  }
  return difference / largest;
}

/// x w^T + b.
inline Grid2 linear_in_double(const Linear& linear, const Grid2& x) {
  const Grid2 w = grid_of_tensor(linear.weight);
  Grid2 out(x.rows, w.rows);
  for (int64_t r = 0; r < out.rows; ++r)
    for (int64_t c = 0; c < out.columns; ++c) {
      double sum = linear.bias.defined() ? linear.bias[c].item<double>() : 0;
      for (int64_t k = 0; k < x.columns; ++k) sum += x.at(r, k) * w.at(c, k);
      out.at(r, c) = sum;
    }
  return out;
}

inline Grid2 norm_in_double(const Norm& norm, Grid2 x) {
  if (!norm.weight.defined()) return x;
  const Grid2 w = grid_of_tensor(norm.weight), b = grid_of_tensor(norm.bias);
  const double n = static_cast<double>(x.columns);
  for (int64_t r = 0; r < x.rows; ++r) {
    double mean = 0, square = 0;
    for (int64_t c = 0; c < x.columns; ++c) mean += x.at(r, c) / n;
    for (int64_t c = 0; c < x.columns; ++c) square += (x.at(r, c) - mean) * (x.at(r, c) - mean) / n;
    for (int64_t c = 0; c < x.columns; ++c)
      x.at(r, c) = (x.at(r, c) - mean) / std::sqrt(square + norm.eps) * w.at(0, c) + b.at(0, c);
  }
  return x;
}

/// Columns [first, first + count).
inline Grid2 columns_of(const Grid2& x, int64_t first, int64_t count) {
  Grid2 out(x.rows, count);
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t c = 0; c < count; ++c) out.at(r, c) = x.at(r, first + c);
  return out;
}

/// One head: softmax(q k^T / sqrt(width)) v, over the keys that query i may see.
inline Grid2 attention_in_double(const Grid2& q, const Grid2& k, const Grid2& v,
                                 const std::function<bool(int64_t i, int64_t j)>& sees) {
  Grid2 out(q.rows, v.columns);
  for (int64_t i = 0; i < q.rows; ++i) {
    std::vector<double> weight(static_cast<std::size_t>(k.rows));
    double sum = 0;
    for (int64_t j = 0; j < k.rows; ++j) {
      double dot = 0;
      for (int64_t c = 0; c < q.columns; ++c) dot += q.at(i, c) * k.at(j, c);
      sum += weight[j] = sees(i, j) ? std::exp(dot / std::sqrt(static_cast<double>(q.columns))) : 0;
    }
    for (int64_t j = 0; j < k.rows; ++j)
      for (int64_t c = 0; c < v.columns; ++c) out.at(i, c) += weight[j] / sum * v.at(j, c);
  }
  return out;
}

/// A model's weights in memory: what its towers want, drawn at random.
class TinyModel {
 public:
  explicit TinyModel(ModelConfig model, uint64_t seed = 1) : model_(std::move(model)) {
    const Weights none = weights_of_file({{"logit_scale", random_tensor({1}, 1)}}, DType::Float32);
    VisionWeights vision;
    TextWeights text;
    std::vector<Want> wants;
    if (model_.vision) wants = vision_wants(*model_.vision, vision_names(model_, none), vision).tensors;
    if (model_.text)
      for (Want& want : text_wants(*model_.text, text_names(model_, none), text).tensors)
        wants.push_back(want);
    for (const Want& want : wants)
      for (const FileTensor& piece : want.pieces) tensors[piece.name] = drawn(piece, ++seed * 7919);
  }

  Weights weights(DType dtype = DType::Float32) const { return weights_of_file(tensors, dtype); }
  VisionTower vision(DType dtype = DType::Float32) const { return VisionTower::load(model_, weights(dtype)); }
  TextTower text(DType dtype = DType::Float32) const { return TextTower::load(model_, weights(dtype)); }
  const ModelConfig& config() const { return model_; }

  std::map<std::string, Tensor> tensors = {};  ///< may be changed between two loads

 private:
  /// Matrices keep the size of what they are applied to; scales and norms lie around one.
  static Tensor drawn(const FileTensor& piece, uint64_t seed) {
    const bool matrix = piece.shape.size() > 1 && piece.shape.front() > 1;
    if (matrix) {
      int64_t in = 1;
      for (std::size_t i = 1; i < piece.shape.size(); ++i) in *= piece.shape[i];
      return random_tensor(piece.shape, seed, 1.2 / std::sqrt(static_cast<double>(in)));
    }
    const bool bias = piece.name.ends_with("bias") || piece.name.find("token") != std::string::npos;
    return random_tensor(piece.shape, seed, 0.3, bias ? 0 : 1);
  }

  Weights weights_of_file(const std::map<std::string, Tensor>& named, DType dtype) const {
    std::vector<TensorBytes> bytes;
    std::vector<Tensor> kept;
    for (const auto& [name, tensor] : named) {
      kept.push_back(tensor.contiguous());
      const TensorType type = tensor.scalar_type() == at::kHalf       ? TensorType::F16
                              : tensor.scalar_type() == at::kBFloat16 ? TensorType::BF16
                              : tensor.scalar_type() == at::kDouble   ? TensorType::F64
                              : tensor.scalar_type() == at::kLong     ? TensorType::I64
                                                                      : TensorType::F32;
      bytes.push_back({name,
                       type,
                       kept.back().sizes().vec(),
                       {static_cast<const std::byte*>(kept.back().const_data_ptr()), kept.back().nbytes()}});
    }
    const auto file = folder_.path() / "model.safetensors";
    write_file_whole(file, safetensors_bytes(bytes));
    return {SafeTensors::open_file(file), Device("cpu"), dtype};
  }

  ModelConfig model_;
  TemporaryFolder folder_;
};

/// An image tower of two blocks, width 12, patches of 4 x 6 in a picture of 12 x 18.
inline ModelConfig tiny_vision() {
  VisionConfig vision;
  vision.blocks = {.width = 12, .layers = 2, .heads = 2, .head_width = 6, .mlp_width = 20};
  vision.blocks.eps = 2e-3, vision.norm_eps = 1e-2;  // large enough to be seen
  vision.table_height = vision.image_height = 12;
  vision.table_width = vision.image_width = 18;
  vision.patch_height = 4, vision.patch_width = 6;
  ModelConfig model;
  model.family = "vit";
  model.layout = Layout::Timm;
  model.vision = vision;
  return model;
}

inline ModelConfig tiny_text() {
  TextConfig text;
  text.blocks = {.width = 12, .layers = 2, .heads = 2, .head_width = 6, .mlp_width = 20};
  text.blocks.eps = 2e-3, text.norm_eps = 1e-2;
  text.blocks.causal = true;
  text.vocabulary = 30, text.context = 7, text.end_token = 28, text.projection = 5;
  ModelConfig model;
  model.family = "clip";
  model.layout = Layout::HuggingFaceClip;
  model.text = text;
  return model;
}

}  // namespace unisim::test
