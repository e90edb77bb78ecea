#include <unisim/error.h>

#include <cstdlib>
#include <utility>

#include "config_readers.h"
#include "io/file.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

/// A token in tokenizer_config.json: its text, or an object that holds it.
std::string piece_or(Fields& fields, std::string_view key, const std::string& otherwise) {
  if (!fields.has(key)) return otherwise;
  const Json& value = fields.value(key);
  if (value.is_object()) {
    require_data(value.contains("content") && value["content"].is_string(), fields.file(),
                 fields.path_of(key), ".content is missing");
    return value["content"].get<std::string>();
  }
  return fields.string(key);
}

/// special_tokens_map.json stands in where tokenizer_config.json names no padding token.
std::string pad_from_map(const fs::path& folder, const std::string& otherwise) {
  const fs::path file = folder / "special_tokens_map.json";
  if (!fs::exists(file)) return otherwise;
  const Json json = read_json(file);
  Fields fields(json, file);
  return piece_or(fields, "pad_token", otherwise);
}

/// The class without "Fast"; transformers 5 knows one of each.
std::string tokenizer_class(Fields& fields, const std::string& otherwise) {
  std::string name = fields.string_or("tokenizer_class", otherwise);
  if (name.ends_with("Fast") && name != "PreTrainedTokenizerFast") name.resize(name.size() - 4);
  return name;
}

void apply_tokenizer_config(Fields& fields, const std::string& family, TextInputConfig& input) {
  const std::string name = tokenizer_class(fields, family == "siglip" ? "SiglipTokenizer" : "CLIPTokenizer");
  std::string pad;
  std::string side("right");
  if (name == "CLIPTokenizer") {
    pad = "<|endoftext|>";
  } else if (name == "SiglipTokenizer") {
    if (!fields.boolean_or("do_lower_case", true)) fields.unsupported("do_lower_case", "true");
    pad = input.end_piece = "</s>";
    input.cleaning = TextCleaning::SiglipCanonical;
  } else if (name == "Siglip2Tokenizer" || name == "GemmaTokenizer") {
    pad = "<pad>";
    side.assign("left");
    if (name == "Siglip2Tokenizer") input.cleaning = TextCleaning::LowerCase;
  } else if (name == "T5Tokenizer") {
    pad = "<pad>";
  } else if (name != "PreTrainedTokenizerFast" && name != "TokenizersBackend") {
    fields.unsupported("tokenizer_class",
                       "CLIPTokenizer, SiglipTokenizer, Siglip2Tokenizer, GemmaTokenizer, T5Tokenizer, "
                       "PreTrainedTokenizerFast");
  }
  input.pad_piece = piece_or(fields, "pad_token", pad_from_map(fields.file().parent_path(), pad));
  if (!input.end_piece.empty()) input.end_piece = piece_or(fields, "eos_token", input.end_piece);
  require_data(!input.pad_piece.empty(), fields.file(),
               "pad_token is missing: texts of one batch differ in length");
  side = fields.string_or("padding_side", side);
  require_data(side == "left" || side == "right", fields.file(), "padding_side is \"", side,
               "\", expected left or right");
  input.pad_left = side == "left";
  fields.only("truncation_side", "right");
  // Written as 1e30 where there is no limit; then the model's own context is the limit.
  const double longest = fields.number_or("model_max_length", 1e30);
  require_data(longest >= 1, fields.file(), "model_max_length is ", longest);
  if (longest < static_cast<double>(input.context)) input.context = static_cast<int64_t>(longest);
}

/// CLIP's own vocabulary, which OpenCLIP carries in its package and not in its model folders.
TextInputConfig clip_tokenizer(const fs::path& folder, int64_t context) {
  TextInputConfig input;
  input.context = context;
  const char* given = std::getenv("UNISIM_CLIP_TOKENIZER");
  std::vector<fs::path> places = {folder / "tokenizer.json"};
  if (given != nullptr && *given != 0)
    places.push_back(fs::is_directory(given) ? fs::path(given) / "tokenizer.json" : fs::path(given));
  places.push_back(cache_folder() / "models" / "clip-tokenizer" / "tokenizer.json");
  for (const fs::path& place : places)
    if (fs::exists(place)) return input.tokenizer = place, input;
  std::string looked;
  for (const fs::path& place : places) looked += text_of(' ', place.string());
  input.missing = text_of("this model takes CLIP's tokenizer, and its tokenizer.json is not at hand ",
                          "(UNISIM_CLIP_TOKENIZER may name it); looked for", looked);
  return input;
}

TextCleaning cleaning_of(const Fields& fields, const std::string& name) {
  if (name == "whitespace") return TextCleaning::OpenClipWhitespace;
  if (name == "lower") return TextCleaning::OpenClipLower;
  if (name == "canonicalize") return TextCleaning::OpenClipCanonical;
  fields.unsupported("clean", "whitespace, lower, canonicalize");
}

}  // namespace

TextInputConfig read_hugging_face_text_input(const fs::path& folder, const std::string& family,
                                             int64_t context) {
  TextInputConfig input;
  input.context = context;
  input.tokenizer = folder / "tokenizer.json";
  if (!fs::exists(input.tokenizer)) {
    input.missing =
        text_of("no tokenizer.json in ", folder.string(),
                fs::exists(folder / "spiece.model") ? "; its spiece.model must be converted" : "");
    input.tokenizer.clear();
    return input;
  }
  const fs::path file = folder / "tokenizer_config.json";
  const Json json = fs::exists(file) ? read_json(file) : Json::object();
  Fields fields(json, file);
  apply_tokenizer_config(fields, family, input);
  return input;
}

TextInputConfig read_open_clip_text_input(Fields& text_cfg, const fs::path& folder) {
  const int64_t context = text_cfg.integer_or("context_length", 77, 1, max_context);
  const bool hugging_face = !text_cfg.string_or("hf_tokenizer_name", "").empty();
  TextInputConfig input =
      hugging_face ? read_hugging_face_text_input(folder, "clip", context) : clip_tokenizer(folder, context);
  input.context = context;
  input.end_piece.clear();
  // What transformers' class would clean, open_clip has cleaned before.
  std::string clean = hugging_face ? "whitespace" : "lower";
  if (text_cfg.has("tokenizer_kwargs")) {
    Fields kwargs = text_cfg.object("tokenizer_kwargs");
    clean = kwargs.string_or("clean", clean);
    kwargs.only("strip_sep_token", false);
    kwargs.finish();
  }
  input.cleaning = cleaning_of(text_cfg, clean);
  text_cfg.only("tokenizer_mode", "");
  return input;
}

}  // namespace unisim
