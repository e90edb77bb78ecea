#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config.h"
#include "decoder_config.h"
#include "io/json.h"

/// A vision-language model's folder as data: towers, what is taken of them, the projector, how a picture is cut, the
/// decoder. The readers (config_vlm*.cpp) fill it; nothing else knows a family by name.
namespace unisim {

/// How a picture becomes tiles of the tower's size.
enum class TileRule {
  One,       ///< the whole picture, prepared as the processor says
  AnyRes,    ///< LLaVA-OneVision: alone in the prompt, the picture and a grid of tiles; with others, squared
  Dynamic,   ///< InternVL: a grid of tiles by the ratio of sides, and a thumbnail
};

struct TileConfig {
  TileRule rule = TileRule::One;
  bool square = false;  ///< One: squared by the mean colour first (LlavaImageProcessor's do_pad)
  std::vector<std::array<int64_t, 2>> grids = {};  ///< AnyRes: [height, width] in pixels
  int64_t most_tiles = 9;                          ///< AnyRes: "anyres_max_9"; Dynamic: max_patches
  int64_t least_tiles = 1;                         ///< Dynamic
  bool thumbnail = true;                           ///< Dynamic
};

/// What is taken of a tower: hidden states, side by side on the channel.
struct FeatureConfig {
  std::vector<int64_t> layers = {};  ///< 0: the embeddings; k: after block k, without the last norm
  bool class_token = false;          ///< kept ("full"), else left out ("default")
  bool shuffle = false;              ///< InternVL: 2 x 2 patches become one row of four widths
};

/// norm (InternVL), linear_1, activation, linear_2.
struct ProjectorConfig {
  int64_t in = 0, out = 0;  ///< out: the decoder's width, and that of the layer between
  bool norm = false;        ///< LayerNorm first, epsilon 1e-5
  bool bias = true;
  Activation activation = Activation::Gelu;
};

enum class MofKind { None, Interleaved, Additive };

struct VlmConfig {
  std::string family = {};  ///< "llava", "llava_onevision", "internvl", "llava_mof"
  std::filesystem::path folder = {};
  DecoderConfig decoder = {};

  VisionConfig vision = {};
  FeatureConfig features = {};
  std::string vision_type = {};  ///< "clip_vision_model", "siglip_vision_model", "internvl_vision"
  ProjectorConfig projector = {};

  MofKind mof = MofKind::None;
  double mof_alpha = 0.5;                           ///< Additive: the first tower's share (mmvp B4)
  std::optional<VisionConfig> second_vision = {};   ///< DINOv2: its last hidden state, before the final norm
  FeatureConfig second_features = {};

  PreprocessConfig preprocess = {};  ///< of a tile
  TileConfig tiles = {};
  bool newline = false;            ///< the file has image_newline
  bool newline_per_image = false;  ///< one row of it behind each picture (UniSim-LL-N: "unisim" of config.json)

  std::string picture_token = {};  ///< "<image>", "<IMG_CONTEXT>": what a row of a picture is in the ids
  int64_t picture_id = 0;          ///< its id, as config.json says
  std::string chat_template = {};  ///< Jinja text of the folder; empty: none
  std::string template_name = {};  ///< "unisim.template" of a converted folder; empty: by the Jinja text
  std::string system_message = {}; ///< of a converted InternVL folder
  std::vector<int64_t> stop_ids = {};  ///< eos of generation_config.json, else of config.json
  double repetition_penalty = 1;       ///< of generation_config.json, for greedy text
  std::string generation_refused = {};  ///< what that file asks of greedy text besides and we do not do; empty: nothing
  bool pieces_alone = false;       ///< text around a picture is tokenised piece by piece (original LLaVA)
};

/// Throws DataError for what is missing or impossible, Unsupported for a field, model_type or family that is not honoured.
VlmConfig read_vlm_config(const std::filesystem::path& folder);

/// Nested text_config, or the top of a decoder's own config.json; absent fields have the defaults of `model_type`'s own
/// class (transformers 5), which is `otherwise` where the type is not said.
DecoderConfig read_decoder_config(const Json& json, const std::filesystem::path& file, const std::string& where,
                                  const std::string& otherwise);

}  // namespace unisim
