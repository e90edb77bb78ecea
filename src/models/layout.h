#pragma once

#include <string>
#include <vector>

#include "config.h"
#include "weights.h"

/// How files name the tensors of a tower: a table for every layout. Names without ".weight" and ".bias".
namespace unisim {

/// After the prefix and the number of the block: "vision_model.encoder.layers.3.mlp.fc1". Three names of qkv
/// are query, key and value apart, two are the query and the other two packed, one is all three packed. An
/// empty name: the layout has no such part.
struct BlockNames {
  std::string stack = {};  ///< "encoder.layers."
  std::string norm1 = {};
  std::vector<std::string> qkv = {};
  std::string q_norm = {}, k_norm = {};
  std::string proj = {};
  std::string scale1 = {};  ///< a whole tensor name
  std::string norm2 = {};
  std::string fc1 = {}, fc2 = {};
  std::string scale2 = {};  ///< a whole tensor name
};

struct AttentionPoolNames {
  std::string probe = {};  ///< a whole tensor name
  std::vector<std::string> qkv = {};
  std::string q_norm = {}, k_norm = {};
  std::string proj = {};
  std::string norm = {};
  std::string fc1 = {}, fc2 = {};
};

/// The projection stands outside the tower's prefix. As a plain matrix it is [width, projection], unlike a
/// linear layer's, and its name is the whole one.
struct ProjectionNames {
  std::string name = {};
  bool plain_matrix = false;
};

struct VisionNames {
  std::string prefix = {};  ///< of everything but the projection
  std::string patch = {};
  std::string class_token = {}, registers = {}, positions = {};  ///< whole tensor names
  std::string norm_pre = {};
  BlockNames block = {};
  std::string norm = {};
  AttentionPoolNames pool = {};
  ProjectionNames projection = {};
  std::vector<std::string> harmless = {};  ///< see Wants
};

struct TextNames {
  std::string prefix = {};
  std::string tokens = {}, positions = {};  ///< whole tensor names
  BlockNames block = {};
  std::string norm = {};
  ProjectionNames projection = {};
  std::vector<std::string> harmless = {};
};

/// linear_1 and linear_2 of a vision-language model's projector; the norm is InternVL's alone.
struct ProjectorNames {
  std::string prefix = {};
  std::vector<std::string> harmless = {};
};

/// The names of an image tower inside of another model, by its model_type, under the first of the prefixes that the file
/// has. Harmless is what the class has besides.
VisionNames nested_vision_names(const std::string& model_type, const VisionConfig& vision,
                                const std::vector<std::string>& prefixes, const Weights& weights);

/// The first prefix under which the file has the tensor; else the first, for the message that follows.
std::string prefix_in(const Weights& weights, const std::vector<std::string>& prefixes, const std::string& tensor);

/// The names in this file: where a layout knows several prefixes ("vision_model." or none), the one that the
/// file has.
VisionNames vision_names(const ModelConfig& model, const Weights& weights);
TextNames text_names(const ModelConfig& model, const Weights& weights);

/// "mlp.fc1" to "mlp.fc1.weight"; torch's MultiheadAttention has "in_proj_weight".
std::string weight_of(const std::string& name);
std::string bias_of(const std::string& name);

}  // namespace unisim
