#include <unisim/error.h>

#include <algorithm>

#include "config_vlm.h"
#include "io/file.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr int64_t max_template_bytes = int64_t{1} << 20;
// Files of a tokenizer list thousands of added tokens.
constexpr JsonLimits tokenizer_limits = {.max_bytes = int64_t{64} << 20};

/// A template, or a list of named ones, of which the one that transformers takes unasked is meant.
std::string template_in(const Json& json, const fs::path& file) {
  if (!json.is_object() || !json.contains("chat_template") || json["chat_template"].is_null()) return {};
  const Json& found = json["chat_template"];
  if (found.is_string()) return found.get<std::string>();
  require_data(found.is_array(), file, "chat_template is neither a text nor a list");
  for (const Json& named : found)
    if (named.is_object() && named.value("name", "") == "default" && named.contains("template") &&
        named["template"].is_string())
      return named["template"].get<std::string>();
  throw DataError(file, "chat_template is a list without a template named \"default\"");
}

std::string read_chat_template(const fs::path& folder) {
  if (const fs::path file = folder / "chat_template.jinja"; fs::exists(file)) {
    const std::vector<std::byte> bytes = read_file(file, max_template_bytes);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  if (const fs::path file = folder / "chat_template.json"; fs::exists(file)) {
    std::string text = template_in(read_json(file), file);
    require_data(!text.empty(), file, "chat_template is missing");
    return text;
  }
  const fs::path file = folder / "tokenizer_config.json";
  return fs::exists(file) ? template_in(read_json(file, tokenizer_limits), file) : std::string();
}

/// A number, a list of numbers, or nothing.
std::vector<int64_t> ids_in(const Json& json, const fs::path& file, const std::string& where) {
  const auto found = json.find("eos_token_id");
  if (found == json.end() || found->is_null()) return {};
  std::vector<int64_t> ids;
  const auto add = [&](const Json& id) {
    require_data(id.is_number_integer() && id.get<double>() >= 0 && id.get<double>() < double{max_vocabulary},
                 file, where, "eos_token_id holds ", id.dump(), ", expected the id of a token");
    ids.push_back(id.get<int64_t>());
  };
  if (found->is_array())
    std::for_each(found->begin(), found->end(), add);
  else
    add(*found);
  return ids;
}

std::vector<int64_t> read_stop_ids(const fs::path& folder, const Json& top) {
  if (const fs::path file = folder / "generation_config.json"; fs::exists(file)) {
    const Json json = read_json(file);
    require_data(json.is_object(), file, "expected an object at the top");
    if (std::vector<int64_t> ids = ids_in(json, file, ""); !ids.empty()) return ids;
  }
  const fs::path file = folder / "config.json";
  if (std::vector<int64_t> ids = ids_in(top, file, ""); !ids.empty()) return ids;
  const auto text = top.find("text_config");
  return text != top.end() && text->is_object() ? ids_in(*text, file, "text_config.")
                                                : std::vector<int64_t>();
}

/// The class of LLaVA's processors may name another token; InternVL's is the tokenizer's to say.
std::string picture_token(const fs::path& folder, const std::string& family) {
  const bool internvl = family == "internvl";
  const fs::path file = folder / (internvl ? "tokenizer_config.json" : "processor_config.json");
  const std::string key = internvl ? "context_image_token" : "image_token";
  std::string token = internvl ? "<IMG_CONTEXT>" : "<image>";
  if (!fs::exists(file)) return token;
  const Json json = read_json(file, tokenizer_limits);
  if (json.is_object() && json.contains(key) && json[key].is_string()) token = json[key].get<std::string>();
  require_data(!token.empty(), file, key, " is an empty text");
  return token;
}

}  // namespace

void read_prompting(VlmConfig& config, const Json& top) {
  config.chat_template = read_chat_template(config.folder);
  config.stop_ids = read_stop_ids(config.folder, top);
  read_generation(config);
  config.picture_token = picture_token(config.folder, config.family);
}

}  // namespace unisim
