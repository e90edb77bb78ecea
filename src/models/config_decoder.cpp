#include <unisim/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "config_readers.h"
#include "vlm_config.h"

namespace unisim {
namespace {

// A fault of a folder that asks for longer sequences than any published model reads.
constexpr int64_t max_positions = int64_t{1} << 24;

/// What transformers' own class has where a folder leaves a field out: folders of vision-language models are sparse.
struct Defaults {
  std::string_view type;
  int64_t vocabulary, width, mlp_width, positions;
  int64_t kv_heads;    ///< 0: as many as heads
  int64_t head_width;  ///< 0: width / heads
  double eps;
};

constexpr std::array<Defaults, 4> defaults = {{{"llama", 32'000, 4'096, 11'008, 2'048, 0, 0, 1e-6},
                                               {"qwen2", 151'936, 4'096, 22'016, 32'768, 32, 0, 1e-6},
                                               {"qwen3", 151'936, 4'096, 22'016, 32'768, 32, 128, 1e-6},
                                               {"phi3", 32'064, 3'072, 8'192, 4'096, 0, 0, 1e-5}}};

const Defaults& defaults_of(Fields& fields, const std::string& otherwise) {
  const std::string type = fields.string_or("model_type", otherwise);
  const auto found =
      std::find_if(defaults.begin(), defaults.end(), [&](const Defaults& row) { return row.type == type; });
  if (found == defaults.end())
    throw Unsupported(fields.file(), text_of("\"", fields.path_of("model_type"), "\" is \"", type,
                                             "\"; decoders that are read are llama, qwen2, qwen3, phi3"));
  return *found;
}

bool is_null(const Json& json, std::string_view key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_null();
}

void read_heads(Fields& fields, const Json& json, const Defaults& absent, DecoderConfig& config) {
  config.heads = fields.integer_or("num_attention_heads", 32, 1, max_width);
  // Written out as null it means "as many as heads" in every class, whatever the default.
  const int64_t kv_heads =
      absent.kv_heads == 0 || is_null(json, "num_key_value_heads") ? config.heads : absent.kv_heads;
  config.kv_heads = fields.integer_or("num_key_value_heads", kv_heads, 1, max_width);
  require_data(config.heads % config.kv_heads == 0, fields.file(), fields.path_of("num_key_value_heads"), " is ",
               config.kv_heads, ", which does not divide the ", config.heads, " heads");
  config.head_width = fields.integer_or("head_dim", absent.head_width, 1, max_width);
  if (config.head_width == 0) {
    require_heads(fields, config.width, config.heads, "num_attention_heads");
    config.head_width = config.width / config.heads;
  }
  require_data(config.head_width % 2 == 0, fields.file(), "heads of ", config.head_width,
               " numbers cannot be rotated in pairs; see ",
               fields.path_of(fields.has("head_dim") ? "head_dim" : "num_attention_heads"));
}

/// Who has biases, and where the class has no choice, the key must say what it has.
void read_biases(Fields& fields, DecoderConfig& config) {
  const bool chosen = config.model_type == "llama" || config.model_type == "qwen3";
  if (chosen) {
    config.qkv_bias = config.proj_bias = fields.boolean_or("attention_bias", false);
  } else {
    config.qkv_bias = config.model_type == "qwen2";
    fields.only("attention_bias", config.qkv_bias);
  }
  if (config.model_type == "llama") {
    config.mlp_bias = fields.boolean_or("mlp_bias", false);
  } else {
    fields.only("mlp_bias", false);
  }
  config.qk_norm = config.model_type == "qwen3";
}

/// Blocks that slide, of Qwen: said one by one, or those from max_window_layers on.
bool any_layer_slides(Fields& fields, const DecoderConfig& config) {
  const int64_t first = fields.integer_or("max_window_layers", 28, 0, max_layers);
  if (!fields.has("layer_types")) return first < config.layers;
  const Json& types = fields.value("layer_types");
  require_data(types.is_array() && std::ssize(types) == config.layers, fields.file(),
               fields.path_of("layer_types"), " is ", types.size(), " names, expected one for each of ",
               config.layers, " blocks");
  for (const Json& type : types)
    if (type != "full_attention" && type != "sliding_attention")
      fields.unsupported("layer_types", "full_attention and sliding_attention");
  return std::find(types.begin(), types.end(), Json("sliding_attention")) != types.end();
}

/// A window changes nothing in a sequence that it holds whole; a longer one is refused by `positions`.
void read_window(Fields& fields, DecoderConfig& config) {
  const bool qwen = config.model_type.starts_with("qwen");
  int64_t window = 0;
  if (qwen) {
    const bool used = fields.boolean_or("use_sliding_window", false);
    const bool slides = any_layer_slides(fields, config);
    if (!used && fields.has("layer_types") && slides)
      fields.unsupported("layer_types", "full_attention alone, since use_sliding_window is false");
    window = fields.integer_or("sliding_window", 4'096, 1, max_positions);
    if (!used || !slides) return;
  } else {
    // Llama's class knows no window; one in its folder would be another model's (Mistral's).
    if (config.model_type == "llama") fields.only("sliding_window", Json());
    window = fields.integer_or("sliding_window", max_positions, 1, max_positions);
  }
  config.positions = std::min(config.positions, window);
}

/// The object of rotary positions, old or new spelling; null: there is none.
const Json* rotary_object(Fields& fields) {
  const bool old = fields.has("rope_scaling"), now = fields.has("rope_parameters");
  if (old && now && fields.value("rope_scaling") != fields.value("rope_parameters"))
    fields.refuse("rope_scaling", "what rope_parameters says, or one of the two alone");
  if (!old && !now) return nullptr;
  return &fields.value(now ? "rope_parameters" : "rope_scaling");
}

double positive(Fields& fields, std::string_view key, double otherwise) {
  const double value = fields.number_or(key, otherwise);
  if (value <= 0) fields.refuse(key, "a number above 0");
  return value;
}

std::vector<double> factors(Fields& rope, std::string_view key, int64_t half) {
  std::vector<double> values = rope.numbers(key, static_cast<std::size_t>(half));
  for (const double value : values)
    require_data(value > 0, rope.file(), rope.path_of(key), " holds ", value, ", expected numbers above 0");
  return values;
}

/// `yarn`: Phi-3's older code of that name, whose scale alone is another.
void read_long_rope(Fields& fields, Fields& rope, const DecoderConfig& config, bool yarn, RotaryConfig& rotary) {
  rotary.rule = RotaryRule::LongRope;
  rotary.short_factor = factors(rope, "short_factor", config.head_width / 2);
  rotary.long_factor = factors(rope, "long_factor", config.head_width / 2);
  const std::string_view key = "original_max_position_embeddings";
  const int64_t inside = rope.integer_or(key, config.positions, 1, max_positions);
  // At the top it goes first, and Phi-3's class has it there whether or not the file does.
  const int64_t otherwise = config.model_type == "phi3" ? 4'096 : inside;
  rotary.original_positions = fields.integer_or(key, otherwise, 1, max_positions);
  const double longer = static_cast<double>(config.positions) / static_cast<double>(rotary.original_positions);
  const double factor = positive(rope, "factor", longer);
  if (yarn) {
    rotary.scale = factor <= 1 ? 1 : 0.1 * std::log(factor) + 1;
  } else if (factor > 1) {
    if (rotary.original_positions == 1) fields.refuse(key, "at least 2");
    rotary.scale = std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(rotary.original_positions)));
  }
  rotary.scale = positive(rope, "attention_factor", rotary.scale);
}

void read_rule(Fields& fields, Fields& rope, DecoderConfig& config) {
  RotaryConfig& rotary = config.rotary;
  const bool phi3 = config.model_type == "phi3";
  const std::string_view key = rope.has("rope_type") ? "rope_type" : "type";
  const std::string type = rope.string_or(key, "default");
  if (type == "longrope" || (phi3 && (type == "su" || type == "yarn"))) {
    read_long_rope(fields, rope, config, type == "yarn", rotary);
  } else if (type == "linear" && !phi3) {
    rotary.rule = RotaryRule::Linear;
    rotary.factor = rope.number("factor");
    if (rotary.factor < 1) rope.refuse("factor", "a number of at least 1");
  } else if (type == "dynamic" && !phi3) {
    // It stretches what is longer than `positions`, and longer sequences are refused.
    rope.ignore({"factor"});
  } else if (type != "default") {
    rope.unsupported(key, phi3 ? "default, longrope (older: su, yarn)" : "default, linear, dynamic, longrope");
  }
  rope.ignore({"rope_type", "type"});
}

void read_rotary(Fields& fields, DecoderConfig& config) {
  RotaryConfig& rotary = config.rotary;
  fields.only("partial_rotary_factor", 1.0);
  rotary.theta = positive(fields, "rope_theta", 10'000);
  const Json* object = rotary_object(fields);
  if (object && object->empty() && object->is_object()) object = nullptr;
  if (object) {
    Fields rope(*object, fields.file(),
                fields.path_of(fields.has("rope_parameters") ? "rope_parameters" : "rope_scaling"));
    const double theta = positive(rope, "rope_theta", rotary.theta);
    if (fields.has("rope_theta") && theta != rotary.theta)
      rope.refuse("rope_theta", text_of(rotary.theta, ", as ", fields.path_of("rope_theta"), " says"));
    rotary.theta = theta;
    rope.only("partial_rotary_factor", 1.0);
    read_rule(fields, rope, config);
    rope.finish();
  }
  // Phi-3's folders say it whatever the rule.
  if (config.model_type == "phi3") fields.ignore({"original_max_position_embeddings"});
}

}  // namespace

// transformers' LlamaConfig, Qwen2Config, Qwen3Config, Phi3Config.
DecoderConfig read_decoder_config(const Json& json, const std::filesystem::path& file, const std::string& where,
                                  const std::string& otherwise) {
  Fields fields(json, file, where);
  const Defaults& absent = defaults_of(fields, otherwise);
  DecoderConfig config;
  config.model_type = std::string(absent.type);
  config.width = fields.integer_or("hidden_size", absent.width, 1, max_width);
  config.layers = fields.integer_or("num_hidden_layers", 32, 1, max_layers);
  read_heads(fields, json, absent, config);
  config.mlp_width = fields.integer_or("intermediate_size", absent.mlp_width, 1, 16 * max_width);
  config.vocabulary = fields.integer_or("vocab_size", absent.vocabulary, 1, max_vocabulary);
  config.positions = fields.integer_or("max_position_embeddings", absent.positions, 1, max_positions);
  config.eps = fields.number_or("rms_norm_eps", absent.eps);
  if (config.eps < 0) fields.refuse("rms_norm_eps", "a number of at least 0");
  config.packed = config.model_type == "phi3";
  config.tied = fields.boolean_or("tie_word_embeddings", false);
  fields.only("hidden_act", "silu");
  read_biases(fields, config);
  read_rotary(fields, config);
  read_window(fields, config);

  ignore_bookkeeping(fields);
  fields.ignore({"eos_token_id", "pad_token_id", "embd_pdrop", "resid_pdrop"});
  // How training cut its products, and which kernel of attention ran: the same sums.
  fields.ignore({"pretraining_tp", "_attn_implementation", "_attn_implementation_internal", "_flash_attn_2_enabled"});
  // Of Llama's first folders, whose max_position_embeddings says the same.
  fields.ignore({"max_sequence_length"});
  fields.finish();
  return config;
}

}  // namespace unisim
