#pragma once

#include <string>
#include <vector>

#include "config_readers.h"
#include "vlm_config.h"

/// The parts of a vision-language model's folder, each read by a file of its own (config_vlm*.cpp).
namespace unisim {

/// An image tower inside of another model: its model_type, and its configuration whole, with the last norm and whatever
/// the class puts behind it.
struct NestedTower {
  std::string type = {};
  VisionConfig vision = {};
};

/// A nested configuration of clip_vision_model, siglip_vision_model, internvl_vision or dinov2; `otherwise` where it does
/// not say its type.
NestedTower read_nested_tower(Fields fields, const std::string& otherwise);

/// What a processor of pictures says beside what is done to a tile.
struct PictureProcessor {
  std::string name = {};  ///< the class: "CLIPImageProcessor"
  PreprocessConfig tile = {};
  bool square = false;    ///< LlavaImageProcessor's do_pad
  std::vector<std::array<int64_t, 2>> grids = {};  ///< [height, width]: image_grid_pinpoints
  int64_t least_tiles = 1, most_tiles = 12;        ///< min_patches, max_patches
};

/// Of processor_config.json's "image_processor", else of preprocessor_config.json.
PictureProcessor read_picture_processor(const std::filesystem::path& folder);

/// Grids of LLaVA-OneVision: a list of [height, width]; `otherwise` where the key is absent.
std::vector<std::array<int64_t, 2>> grids_or(Fields& fields, std::string_view key,
                                             std::vector<std::array<int64_t, 2>> otherwise);
/// 384, 768, ... 2304 on each side, heights first: what transformers' classes have.
std::vector<std::array<int64_t, 2>> onevision_grids();

/// Fills `preprocess`, `tiles` and the sizes of the towers from the folder's processor, which must go with the family.
/// `grids` are those of the model: the processor's must be the same.
void read_pictures(VlmConfig& config, const std::vector<std::array<int64_t, 2>>& grids = {});

/// Fills what prompts need: template, stop tokens, the picture's token. `top` is config.json.
void read_prompting(VlmConfig& config, const Json& top);

/// Fills what generation_config.json asks of greedy text, an object where it is there: `repetition_penalty`,
/// `generation_refused`.
void read_generation(VlmConfig& config);

}  // namespace unisim
