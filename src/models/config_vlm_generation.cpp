#include <unisim/error.h>

#include <array>

#include "config_vlm.h"
#include "io/file.h"

/// What generation_config.json asks of greedy text, key by key of transformers' GenerationConfig (5.23). What is not named
/// here has no part in it: sampling (do_sample, temperature, top_p, min_p, ...), beams beside their number, what the caller
/// says (max_length, max_new_tokens), where keys and values are kept, drafts that the model itself confirms
/// (prompt_lookup_num_tokens, use_mtp, ...), what is returned, and remove_invalid_values: what is not finite is an error.
namespace unisim {
namespace {

struct Neutral {
  const char* key;
  double value;  ///< asks for nothing
};

constexpr std::array<Neutral, 7> numbers = {{{"no_repeat_ngram_size", 0},
                                             {"encoder_no_repeat_ngram_size", 0},
                                             {"min_length", 0},
                                             {"min_new_tokens", 0},
                                             {"encoder_repetition_penalty", 1},
                                             {"num_beams", 1},
                                             {"guidance_scale", 1}}};
/// Each asks for something wherever it is said, if not by null, false or emptiness.
constexpr std::array<const char*, 16> others = {
    "stop_strings",        "max_time",      "suppress_tokens",     "begin_suppress_tokens",
    "bad_words_ids",       "sequence_bias", "forced_bos_token_id", "forced_eos_token_id",
    "force_words_ids",     "constraints",   "dola_layers",         "exponential_decay_length_penalty",
    "watermarking_config", "token_healing", "is_assistant",        "assistant_ensemble_weight"};

double number_or(const Json& json, const std::filesystem::path& file, const char* key, double otherwise) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return otherwise;
  require_data(found->is_number(), file, key, " is ", found->dump(), ", expected a number");
  return found->get<double>();
}

bool is_said(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return false;
  return !(*found == Json(false) || *found == Json("") || (found->is_structured() && found->empty()));
}

/// What `generate` does not do, by name.
std::string refused_by(const Json& json, const std::filesystem::path& file) {
  std::string refused;
  const auto refuse = [&](const char* key) { refused.append(refused.empty() ? "" : ", ").append(key); };
  for (const auto& [key, neutral] : numbers)
    if (number_or(json, file, key, neutral) != neutral) refuse(key);
  // Contrastive search, with top_k's default of 50.
  if (number_or(json, file, "penalty_alpha", 0) > 0 && number_or(json, file, "top_k", 50) > 1) refuse("penalty_alpha");
  for (const char* key : others)
    if (is_said(json, key)) refuse(key);
  // Keys and values of fewer bits are other numbers.
  if (json.value("cache_implementation", Json()) == Json("quantized")) refuse("cache_implementation");
  return refused;
}

}  // namespace

void read_generation(VlmConfig& config) {
  const std::filesystem::path file = config.folder / "generation_config.json";
  if (!std::filesystem::exists(file)) return;
  const Json json = read_json(file);
  config.repetition_penalty = number_or(json, file, "repetition_penalty", 1);
  require_data(config.repetition_penalty > 0, file, "repetition_penalty is ", config.repetition_penalty,
               ", expected above 0");
  config.generation_refused = refused_by(json, file);
}

}  // namespace unisim
