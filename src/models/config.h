#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "activation.h"

/// Model families as data: what a folder's JSON says, in the words of the arithmetic. The readers
/// (config_*.cpp) fill these; the towers (vision_tower, text_tower) know nothing else. Never a subclass for a
/// model.
namespace unisim {

enum class FeedForward {
  Mlp,           ///< fc2(act(fc1 x))
  SwiGluPacked,  ///< w_out(silu(first half) * second half) of one packed product (DINOv2 weights_in, timm
                 ///< GluMlp with gate_last=False)
};

/// A stack of pre-norm transformer blocks: x += scale1 * attention(norm1 x); x += scale2 * feed_forward(norm2
/// x).
struct BlocksConfig {
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t head_width = 0;  ///< width / heads unless the model says otherwise
  int64_t mlp_width = 0;   ///< of the hidden layer; for SwiGluPacked, of one half
  Activation activation = Activation::Gelu;
  FeedForward feed_forward = FeedForward::Mlp;
  double eps = 1e-5;  ///< of norm1, norm2 and qk-norm
  bool qkv_bias = true;
  bool proj_bias = true;
  bool mlp_bias = true;
  bool qk_norm = false;  ///< LayerNorm over each head's q and k before the product
  bool layer_scale = false;
  bool causal = false;  ///< row i sees rows 0..i alone
};

enum class VisionPool {
  Cls,        ///< the class token
  Mean,       ///< the mean of the patch tokens (class and register tokens left out)
  MeanAll,    ///< the mean of all tokens
  Attention,  ///< one learned probe attends to all tokens: attention_pool below
};

/// The multihead attention pooling of SigLIP and of timm's AttentionPoolLatent: probe q, k and v from the
/// tokens, output projection, then x + mlp(norm x).
struct AttentionPoolConfig {
  int64_t heads = 0;
  int64_t mlp_width = 0;
  Activation activation = Activation::Gelu;
  double eps = 1e-6;
  bool qkv_bias = true;
  bool qk_norm = false;
  bool prefix_tokens = true;  ///< class and register tokens are attended to as well
};

/// How positions learned for one grid serve another.
enum class PositionResize {
  Refused,  ///< the folder's grid alone
  Dinov2,   ///< transformers' Dinov2Embeddings: bicubic, align_corners false, no antialias, by output size,
            ///< fp32
  Dinov2Registers,  ///< transformers' Dinov2WithRegistersEmbeddings: as above with antialias
  Timm,             ///< timm's resample_abs_pos_embed: bicubic with antialias
};

struct VisionConfig {
  BlocksConfig blocks;
  int64_t channels = 3;
  int64_t image_height = 0, image_width = 0;  ///< what preprocessing makes
  int64_t table_height = 0, table_width = 0;  ///< image size that the position table was learned for
  int64_t patch_height = 0, patch_width = 0;
  bool patch_bias = true;
  bool class_token = true;
  bool class_position =
      true;  ///< the position table has a row for the class token (timm no_embed_class: false)
  bool register_positions =
      false;              ///< the table has rows for registers too (timm reg tokens without no_embed_class)
  int64_t registers = 0;  ///< after the class token, before the patches
  PositionResize position_resize = PositionResize::Refused;
  bool norm_pre = false;   ///< LayerNorm before the first block (CLIP pre_layrnorm, timm pre_norm)
  bool final_norm = true;  ///< LayerNorm after the last block, over all tokens, before pooling
  bool pool_norm = false;  ///< LayerNorm after pooling (CLIP post_layernorm of the class token, timm fc_norm)
  double norm_eps = 1e-5;  ///< of norm_pre, final_norm, pool_norm
  VisionPool pool = VisionPool::Cls;
  std::optional<AttentionPoolConfig> attention_pool;
  int64_t projection =
      0;  ///< 0: none; else the embedding is projection [width, projection] of the pooled row
  bool projection_bias = false;
  bool timm_trunk = false;  ///< OpenCLIP: the tower is timm's, under visual.trunk
  bool trunk_projection =
      false;  ///< and its classifier is the projection: visual.trunk.head, not visual.head.proj
};

enum class TextPool {
  EndToken,  ///< the row of the first `end_token` id
  ArgMax,    ///< the row of the largest id (OpenAI's rule; transformers with eos_token_id 2)
  Last,      ///< the last row of the padded context (SigLIP)
  First,     ///< the first row
};

struct TextConfig {
  BlocksConfig blocks;
  int64_t vocabulary = 0;
  int64_t context = 0;
  TextPool pool = TextPool::EndToken;
  int64_t end_token = 0;
  int64_t pad_token = 0;
  bool pad_mask = false;   ///< padding is hidden from attention
  double norm_eps = 1e-5;  ///< of the final norm
  int64_t projection = 0;
  bool projection_bias = false;
};

enum class ResizeRule {
  None,
  ShortestEdge,  ///< the shorter side becomes `height`, the longer int(long * height / short)
  Exact,         ///< [height, width] whatever the shape
  Cover,         ///< covers [height, width], the ratio kept, sides rounded (timm's ResizeKeepRatio)
  Inside,        ///< fits inside [height, width], the ratio kept, sides rounded (the same with longest=1)
};

/// Where the middle lies when a side is odd, for cropping and for what is padded instead.
enum class CropRule {
  Transformers,  ///< crop from floor(d / 2); pad ceil(d / 2) before
  Torchvision,   ///< crop from d / 2 rounded half to even; pad floor(d / 2) before
};

/// From an 8-bit RGB picture to what the tower sees, step by step: resize, crop, times `rescale`, minus mean,
/// over std.
struct PreprocessConfig {
  ResizeRule rule = ResizeRule::ShortestEdge;
  int64_t resize_height = 0, resize_width = 0;
  int64_t resample = 3;                     ///< Pillow's number
  int64_t crop_height = 0, crop_width = 0;  ///< 0: no crop
  CropRule crop_rule = CropRule::Transformers;
  std::array<uint8_t, 3> fill = {0, 0, 0};  ///< stands where a picture is smaller than the crop
  double rescale = 1.0 / 255;               ///< 1: no rescaling
  std::vector<double> mean = {0, 0, 0};
  std::vector<double> std = {1, 1, 1};
};

/// What is done to a text before the tokenizer sees it.
enum class TextCleaning {
  None,
  LowerCase,
  SiglipCanonical,     ///< transformers' SiglipTokenizer: lower case, no punctuation, single spaces
  OpenClipWhitespace,  ///< open_clip's basic_clean and single spaces
  OpenClipLower,       ///< the same in lower case
  OpenClipCanonical,   ///< basic_clean, "_" to a space, no punctuation, lower case, single spaces
};

/// How texts become rows of ids: the tokenizer's own file, and what the model's tokenizer configuration adds.
struct TextInputConfig {
  std::filesystem::path
      tokenizer;  ///< a tokenizer.json; empty: none is at hand, and `missing` says what was looked for
  std::string missing;
  TextCleaning cleaning = TextCleaning::None;
  int64_t context = 0;
  bool pad_left = false;
  std::string pad_piece;  ///< the padding token by name; empty: pad_token
  int64_t pad_token = 0;
  std::string end_piece;  ///< appended where the post-processor does not; empty: never
};

/// How a folder names its tensors; a layout is a rule from our names to the file's (weights.h).
enum class Layout { HuggingFaceClip, HuggingFaceSiglip, HuggingFaceDinov2, HuggingFaceVit, OpenClip, Timm };

struct ModelConfig {
  std::string family;  ///< "clip", "siglip", "dinov2", "vit"
  Layout layout = Layout::HuggingFaceClip;
  std::filesystem::path folder;
  std::vector<std::string> weight_stems = {"model"};
  std::optional<VisionConfig> vision;
  std::optional<TextConfig> text;
  std::optional<PreprocessConfig> preprocess;  ///< of the vision tower; required when there is one
  std::optional<TextInputConfig> text_input;   ///< required when there is a text tower
  bool custom_text = false;  ///< OpenCLIP's CustomTextCLIP: the text tower's tensors are under "text."
};

/// Reads the JSON files of a model folder: which layout it is, then everything above. Throws DataError for
/// what is missing or impossible, Unsupported for a field or family that we do not honour.
ModelConfig read_model_config(const std::filesystem::path& folder);

}  // namespace unisim
