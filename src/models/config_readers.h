#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "config.h"
#include "io/json.h"

/// The readers of each layout, and what they share. Each takes the top of its configuration file, reads or
/// refuses every key, and returns the whole configuration.
namespace unisim {

ModelConfig read_hugging_face_config(const Json& json,
                                     const std::filesystem::path& file);  ///< by its model_type
ModelConfig read_open_clip_config(const Json& json, const std::filesystem::path& file);
ModelConfig read_timm_config(const Json& json, const std::filesystem::path& file);

ModelConfig read_clip_config(Fields fields, const std::string& model_type, const std::string& architecture);
ModelConfig read_siglip_config(Fields fields, const std::string& model_type);
ModelConfig read_dinov2_config(Fields fields, const std::string& model_type);
ModelConfig read_vit_config(Fields fields);

/// The image tower of one configuration, whole.
VisionConfig read_clip_vision(Fields fields, int64_t projection);
/// `whole`: with its head, without which there is no row for a picture.
VisionConfig read_siglip_vision(Fields fields, bool whole);
VisionConfig read_dinov2_vision(Fields fields, const std::string& model_type);

/// Bounds of what a model may ask for: beyond every published one, and small enough that no product
/// overflows.
inline constexpr int64_t max_width = 65'536;
inline constexpr int64_t max_layers = 1'024;
inline constexpr int64_t max_image_side = 16'384;
inline constexpr int64_t max_context = 65'536;
inline constexpr int64_t max_vocabulary = 4'194'304;

/// A height and a width: a number for both, or [height, width].
struct Extent {
  int64_t height = 0, width = 0;
  bool operator==(const Extent&) const = default;
};
Extent extent_or(Fields& fields, std::string_view key, Extent otherwise, int64_t most);

/// A model's activation by the name that transformers gives it; an unknown name is Unsupported.
Activation activation_of(const std::string& name, const Fields& fields, std::string_view key);
std::string name_of(Activation activation);

/// DataError unless the width splits into heads.
void require_heads(const Fields& fields, int64_t width, int64_t heads, std::string_view key);
/// DataError unless a patch fits into the image.
void require_patches(const Fields& fields, const VisionConfig& vision);
/// a * b cut to a whole number as Python's int() does, from 1 to `most`.
int64_t scaled_width(const Fields& fields, int64_t width, double ratio, std::string_view key);

/// Keys of every Hugging Face configuration that say how to train, generate or log, but not how to compute.
void ignore_bookkeeping(Fields& fields);
/// The text of a key that may hold a number or be absent, or a fallback; refuses lists.
int64_t token_or(Fields& fields, std::string_view key, int64_t otherwise);

/// Preprocessing of a Hugging Face folder: processor_config.json's "image_processor", else
/// preprocessor_config.json.
PreprocessConfig read_hugging_face_preprocess(const std::filesystem::path& folder);
/// OpenCLIP's preprocess_cfg; `image` is the tower's size.
PreprocessConfig read_open_clip_preprocess(Fields fields, Extent image);
/// timm's pretrained_cfg, as create_transform(is_training=False) reads it.
PreprocessConfig read_timm_preprocess(Fields& pretrained, Extent image);

/// What preprocessing makes of every picture; DataError naming the file if pictures would differ in size.
Extent output_extent(const PreprocessConfig& preprocess, const std::filesystem::path& file);

/// Gives the tower the size of what preprocessing makes, which must be what its positions were made for unless it can
/// resize them: else DataError.
void fit_to_pictures(VisionConfig& vision, const PreprocessConfig& preprocess,
                     const std::filesystem::path& folder);

/// A tower of timm by its architecture's name; `overlay` are arguments as model_args has them, `pool` and
/// `image` stand in for a global_pool and img_size that nothing else gives.
VisionConfig read_timm_vision(const std::string& architecture, const Json& overlay, const std::string& pool,
                              Extent image, const std::filesystem::path& file);

/// How a Hugging Face folder turns texts into ids, by its tokenizer.json and tokenizer_config.json.
TextInputConfig read_hugging_face_text_input(const std::filesystem::path& folder, const std::string& family,
                                             int64_t context);
/// The same for OpenCLIP, whose text_cfg names the tokenizer.
TextInputConfig read_open_clip_text_input(Fields& text_cfg, const std::filesystem::path& folder);

}  // namespace unisim
