#include <unisim/error.h>

#include <array>
#include <cmath>
#include <utility>

#include "config_readers.h"

namespace unisim {
namespace {

struct NamedActivation {
  std::string_view name;
  Activation activation;
};

// transformers' ACT2FN. "gelu_new" is the same tanh formula as "gelu_pytorch_tanh", written out.
constexpr std::array<NamedActivation, 8> activations = {{{"gelu", Activation::Gelu},
                                                         {"gelu_pytorch_tanh", Activation::GeluTanh},
                                                         {"gelu_new", Activation::GeluTanh},
                                                         {"quick_gelu", Activation::QuickGelu},
                                                         {"silu", Activation::Silu},
                                                         {"swish", Activation::Silu},
                                                         {"relu", Activation::Relu},
                                                         {"gelu_fast", Activation::GeluTanh}}};

}  // namespace

Activation activation_of(const std::string& name, const Fields& fields, std::string_view key) {
  for (const NamedActivation& known : activations)
    if (known.name == name) return known.activation;
  fields.unsupported(key, "gelu, gelu_pytorch_tanh, gelu_new, gelu_fast, quick_gelu, silu, swish, relu");
}

std::string name_of(Activation activation) {
  for (const NamedActivation& known : activations)
    if (known.activation == activation) return std::string(known.name);
  return "?";
}

Extent extent_or(Fields& fields, std::string_view key, Extent otherwise, int64_t most) {
  if (!fields.has(key)) return otherwise;
  const Json& value = fields.value(key);
  if (!value.is_array()) {
    const int64_t side = fields.integer(key, 1, most);
    return {side, side};
  }
  const auto sides = fields.numbers(key, 2);
  for (const double side : sides)
    require_data(side == std::floor(side) && side >= 1 && side <= static_cast<double>(most), fields.file(),
                 fields.path_of(key), " holds ", side, ", expected whole numbers from 1 to ", most);
  return {static_cast<int64_t>(sides[0]), static_cast<int64_t>(sides[1])};
}

void require_heads(const Fields& fields, int64_t width, int64_t heads, std::string_view key) {
  require_data(width % heads == 0, fields.file(), fields.path_of(key), " is ", heads,
               ", which does not divide ", "the width ", width);
}

void require_patches(const Fields& fields, const VisionConfig& vision) {
  require_data(vision.patch_height <= vision.table_height && vision.patch_width <= vision.table_width,
               fields.file(), fields.path_of("patch_size"), " is ", vision.patch_height, " x ",
               vision.patch_width, ", larger than the image of ", vision.table_height, " x ",
               vision.table_width);
}

int64_t scaled_width(const Fields& fields, int64_t width, double ratio, std::string_view key) {
  const double scaled = static_cast<double>(width) * ratio;
  require_data(scaled >= 1 && scaled <= static_cast<double>(max_width) * 64, fields.file(),
               fields.path_of(key), " is ", ratio, ": a hidden layer of ", scaled, " units");
  return static_cast<int64_t>(scaled);
}

void ignore_bookkeeping(Fields& fields) {
  fields.ignore({"model_type",
                 "architectures",
                 "transformers_version",
                 "_name_or_path",
                 "_commit_hash",
                 "auto_map",
                 "torch_dtype",
                 "dtype",
                 "torchscript",
                 "use_bfloat16",
                 "tf_legacy_loss",
                 "return_dict",
                 "output_hidden_states",
                 "output_attentions",
                 "use_cache",
                 "gradient_checkpointing",
                 "_attn_implementation_autoset",
                 "attn_implementation",
                 "problem_type",
                 "num_labels"});
  // Training: dropouts are off and initialisers are past when a model is loaded.
  fields.ignore({"initializer_range", "initializer_factor", "attention_dropout", "dropout",
                 "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate",
                 "logit_scale_init_value"});
  // What transformers once wrote into every configuration for text generation and classification heads.
  fields.ignore({"is_encoder_decoder",
                 "is_decoder",
                 "add_cross_attention",
                 "cross_attention_hidden_size",
                 "tie_encoder_decoder",
                 "tie_word_embeddings",
                 "max_length",
                 "min_length",
                 "do_sample",
                 "early_stopping",
                 "num_beams",
                 "num_beam_groups",
                 "diversity_penalty",
                 "temperature",
                 "top_k",
                 "top_p",
                 "typical_p",
                 "repetition_penalty",
                 "length_penalty",
                 "no_repeat_ngram_size",
                 "encoder_no_repeat_ngram_size",
                 "bad_words_ids",
                 "num_return_sequences",
                 "output_scores",
                 "return_dict_in_generate",
                 "forced_bos_token_id",
                 "forced_eos_token_id",
                 "remove_invalid_values",
                 "exponential_decay_length_penalty",
                 "suppress_tokens",
                 "begin_suppress_tokens",
                 "finetuning_task",
                 "id2label",
                 "label2id",
                 "tokenizer_class",
                 "prefix",
                 "bos_token_id",
                 "sep_token_id",
                 "decoder_start_token_id",
                 "task_specific_params",
                 "chunk_size_feed_forward"});
  fields.only("pruned_heads", Json::object());
}

int64_t token_or(Fields& fields, std::string_view key, int64_t otherwise) {
  if (!fields.has(key)) return otherwise;
  if (fields.value(key).is_array()) fields.unsupported(key, "one id");
  return fields.integer(key, -1, max_vocabulary);
}

ModelConfig read_hugging_face_config(const Json& json, const std::filesystem::path& file) {
  Fields fields(json, file);
  const std::string type = fields.string("model_type");
  std::string architecture;
  if (fields.has("architectures")) {
    const Json& names = fields.value("architectures");
    require_data(names.is_array() && names.size() == 1 && names[0].is_string(), file, "architectures is ",
                 names.dump(), ", expected a list of one name");
    architecture = names[0].get<std::string>();
  }
  if (type == "dinov2" || type == "dinov2_with_registers") return read_dinov2_config(std::move(fields), type);
  if (type == "clip" || type == "clip_vision_model" || type == "clip_text_model")
    return read_clip_config(std::move(fields), type, architecture);
  if (type == "siglip" || type == "siglip_vision_model" || type == "siglip_text_model")
    return read_siglip_config(std::move(fields), type);
  if (type == "vit") return read_vit_config(std::move(fields));
  if (type == "siglip2")
    throw Unsupported(
        file, "model_type is \"siglip2\": pictures at a resolution of their own (NaFlex) are not read");
  throw Unsupported(file, text_of("model_type is \"", type, "\"; known are clip, clip_vision_model, ",
                                  "clip_text_model, siglip, siglip_vision_model, siglip_text_model, dinov2, "
                                  "dinov2_with_registers, vit"));
}

}  // namespace unisim
