#include "prompt.h"

#include <unisim/error.h>

#include <algorithm>

#include "io/json.h"
#include "io/quote.h"
#include "prompt_templates.h"
#include "tokenizer_stretches.h"

namespace unisim {
namespace {

using Kind = PromptPart::Kind;

constexpr std::string_view marker = "<image>";
constexpr std::string_view raw = "raw";

void append(PromptParts& parts, Kind kind, std::string_view text) {
  if (text.empty()) return;
  if (!parts.empty() && parts.back().kind == kind)
    parts.back().text += text;
  else
    parts.push_back({kind, std::string(text)});
}

/// Splits at each `mark`: what lies between is of that kind, the mark a picture.
void append_split(PromptParts& parts, Kind kind, std::string_view text, std::string_view mark) {
  for (std::size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark)) {
    append(parts, kind, text.substr(0, at));
    parts.push_back({Kind::Picture});
    text.remove_prefix(at + mark.size());
  }
  append(parts, kind, text);
}

int64_t pictures_of(const PromptParts& parts) {
  return std::count_if(parts.begin(), parts.end(), [](const PromptPart& p) { return p.kind == Kind::Picture; });
}

std::vector<int64_t> ids_of(const Tokenizer& tokenizer, std::string_view text, bool tokens) {
  const TextStretch stretch{text, tokens};
  return encode_stretches(tokenizer, {&stretch, 1});
}

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

const PromptTemplate* find_template(std::string_view name) {
  for (const PromptTemplate& t : prompt_templates())
    if (t.name == name) return &t;
  return nullptr;
}

std::string name_to_use(const VlmConfig& config, const std::string& asked) {
  if (!asked.empty()) {
    require(asked == raw || find_template(asked), "[vlm] the template ", in_quotes(asked), " is none of ",
            listed(template_names()));
    return asked;
  }
  const std::string own = template_of(config);
  require(!own.empty(), "[vlm] ", config.folder.string(), ": its chat template is ",
          config.chat_template.empty() ? "missing" : "none that is known", "; name one of ", listed(template_names()));
  return own;
}

/// The marked pictures, after checking that all or none are.
int64_t marked_in(const PromptTurn& turn) {
  const int64_t count = pictures_of(turn.prompt);
  require(count == 0 || count == turn.pictures, "[vlm] the prompt marks ", count, count == 1 ? " picture" : " pictures",
          " by <image>, ", turn.pictures, turn.pictures == 1 ? " is" : " are", " given");
  return count;
}

PromptParts rendered_already(const VlmConfig& config, std::span<const PromptTurn> turns) {
  require(turns.size() == 1, "[vlm] a raw prompt of ", turns.size(), " turns, expected one");
  PromptParts parts;
  for (const PromptPart& part : turns[0].prompt) {
    if (part.kind == Kind::Picture)
      parts.push_back(part);
    else
      append_split(parts, Kind::Control, part.text, config.picture_token);
  }
  const int64_t count = pictures_of(parts);
  require(count == turns[0].pictures, "[vlm] the raw prompt marks ", count, count == 1 ? " picture" : " pictures", ", ",
          turns[0].pictures, turns[0].pictures == 1 ? " is" : " are", " given");
  return parts;
}

void append_user(PromptParts& parts, const PromptTemplate& t, const PromptTurn& turn) {
  append(parts, Kind::Control, t.user);
  const int64_t in_front = marked_in(turn) == 0 ? turn.pictures : 0;
  for (int64_t i = 0; i < in_front; ++i) {
    parts.push_back({Kind::Picture});
    append(parts, Kind::Control, t.per_picture);
  }
  append(parts, Kind::Control, t.before_text);
  for (const PromptPart& part : turn.prompt) {
    require(part.kind != Kind::Control, "[vlm] a turn's prompt holds the control piece ", in_quotes(part.text),
            ", expected text and pictures alone");
    if (part.kind == Kind::Picture)
      parts.push_back(part);
    else
      append(parts, Kind::Text, part.text);
  }
  append(parts, Kind::Control, t.user_end);
}

/// The token that stands in front of every text, if there is one. An explicit "add_bos_token" wins over the
/// post-processor of tokenizer.json, as it does in transformers.
std::optional<int64_t> first_token(const VlmConfig& config, const Tokenizer& tokenizer) {
  const std::filesystem::path file = config.folder / "tokenizer_config.json";
  const Json json = std::filesystem::exists(file) ? read_json(file, {.max_bytes = int64_t{16} << 20}) : Json::object();
  require_data(json.is_object(), file, "found ", json.type_name(), ", expected an object");
  const auto flag = [&](const char* key) -> std::optional<bool> {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return std::nullopt;
    require_data(found->is_boolean(), file, key, ": found ", found->type_name(), ", expected true or false");
    return found->get<bool>();
  };
  if (flag("add_eos_token").value_or(false))
    throw Unsupported(file, "add_eos_token is true, supported is false: a prompt goes on");
  const std::optional<bool> add = flag("add_bos_token");
  if (add == false) return std::nullopt;
  if (add == true) {
    const auto token = json.find("bos_token");
    const bool object = token != json.end() && token->is_object() && token->contains("content");
    const Json name = object ? (*token)["content"] : token != json.end() ? *token : Json();
    require_data(name.is_string(), file, "bos_token: found ", name.type_name(),
                 ", expected a token, since add_bos_token is true");
    const auto id = tokenizer.token_id(name.get<std::string>());
    require_data(id.has_value(), file, "bos_token: ", in_quotes(name.get<std::string>()), " is not in tokenizer.json");
    return id;
  }
  const std::vector<int64_t> bare = tokenizer.encode("a", false);
  const std::vector<int64_t> full = tokenizer.encode("a", true);
  if (full == bare) return std::nullopt;
  if (full.size() != bare.size() + 1 || !std::equal(bare.begin(), bare.end(), full.begin() + 1))
    throw Unsupported(config.folder / "tokenizer.json",
                      "post_processor: it puts more around a text than one token in front");
  return full[0];
}

/// A row of a picture with what frames it: InternVL's own tokens go around all rows of a picture.
std::string framed(const std::string& token) {
  return token == "<IMG_CONTEXT>" ? "<img>" + token + "</img>" : token;
}

std::vector<int64_t> stop_tokens(const VlmConfig& config, const Tokenizer& tokenizer) {
  std::vector<int64_t> ids = config.stop_ids;
  for (const PromptTemplate& t : prompt_templates()) {
    const std::vector<int64_t> token = ids_of(tokenizer, t.stop, true);
    const bool added = token.size() == 1 && token != ids_of(tokenizer, t.stop, false);
    if (added && std::find(ids.begin(), ids.end(), token[0]) == ids.end()) ids.push_back(token[0]);
  }
  return ids;
}

}  // namespace

PromptParts marked(std::string_view prompt) {
  PromptParts parts;
  append_split(parts, Kind::Text, prompt, marker);
  return parts;
}

PromptParts filled(std::string_view prompt, std::span<const std::string> texts) {
  PromptParts parts;
  const auto append_marked = [&](std::string_view text) { append_split(parts, Kind::Text, text, marker); };
  std::size_t used = 0;
  for (std::size_t at = prompt.find("{}"); at != std::string_view::npos; at = prompt.find("{}")) {
    require(used < texts.size(), "[vlm] more places {} in the prompt than the ", texts.size(), " texts for them");
    append_marked(prompt.substr(0, at));
    append(parts, Kind::Text, texts[used++]);
    prompt.remove_prefix(at + 2);
  }
  require(used == texts.size(), "[vlm] ", texts.size(), " texts for the ", used, " places {} of the prompt");
  append_marked(prompt);
  return parts;
}

std::string readable(const PromptParts& parts) {
  std::string text;
  for (const PromptPart& part : parts) text += part.kind == Kind::Picture ? marker : std::string_view(part.text);
  return text;
}

std::vector<std::string> template_names() {
  std::vector<std::string> names;
  for (const PromptTemplate& t : prompt_templates()) names.emplace_back(t.name);
  names.emplace_back(raw);
  return names;
}

std::string template_of(const VlmConfig& config) {
  if (config.template_name.empty()) return std::string(name_of_jinja(config.chat_template));
  require_data(find_template(config.template_name), config.folder / "config.json", "unisim.template: found ",
               in_quotes(config.template_name), ", expected one of ", listed(template_names()));
  return config.template_name;
}

PromptParts render_prompt(const VlmConfig& config, const std::string& template_name,
                          std::span<const PromptTurn> turns) {
  require(!turns.empty(), "[vlm] a conversation without a turn");
  const std::string name = name_to_use(config, template_name);
  for (std::size_t i = 0; i < turns.size(); ++i)
    require(turns[i].answer.has_value() == (i + 1 < turns.size()), "[vlm] turn ", i + 1, " of ", turns.size(),
            !turns[i].answer ? " has no answer" : " has an answer: it is the model's to give");
  if (name == raw) return rendered_already(config, turns);
  const PromptTemplate& t = *find_template(name);
  PromptParts parts;
  append(parts, Kind::Control, t.opening);
  append(parts, Kind::Text, t.system.empty() || config.system_message.empty() ? t.system : config.system_message);
  append(parts, Kind::Control, t.system_end);
  for (const PromptTurn& turn : turns) {
    append_user(parts, t, turn);
    append(parts, Kind::Control, turn.answer ? t.answer : t.asks);
    append(parts, Kind::Text, turn.answer.value_or(""));
    if (turn.answer) append(parts, Kind::Control, t.answer_end);
  }
  return parts;
}

PromptEncoder::PromptEncoder(const VlmConfig& config)
    : tokenizer_(Tokenizer::load(config.folder, false)),
      file_(config.folder / "tokenizer.json"),
      stop_ids_(stop_tokens(config, tokenizer_)),
      picture_text_(framed(config.picture_token)),
      picture_id_(config.picture_id),
      bos_(first_token(config, tokenizer_)),
      pieces_alone_(config.pieces_alone) {
  const auto id = tokenizer_.token_id(config.picture_token);
  require_data(id.has_value(), file_, "no token ", in_quotes(config.picture_token),
               ", expected one for a picture's rows");
  require_data(*id == picture_id_, config.folder / "config.json", "image_token_index: found ", picture_id_,
               ", expected ", *id, ": ", in_quotes(config.picture_token), " in tokenizer.json");
  const std::vector<int64_t> ids = ids_of(tokenizer_, picture_text_, true);
  const std::size_t count = picture_text_ == config.picture_token ? 1 : 3;
  require_data(ids.size() == count && ids[count / 2] == picture_id_, file_, in_quotes(picture_text_), " gives ",
               ids.size(), " ids, expected ", count, " with ", picture_id_, " in their middle: are they added_tokens?");
}

std::vector<int64_t> PromptEncoder::before_pictures_are_spread(const PromptParts& parts) const {
  std::vector<int64_t> ids;
  std::vector<TextStretch> stretches;
  const auto flush = [&] {
    const std::vector<int64_t> piece = encode_stretches(tokenizer_, stretches);
    ids.insert(ids.end(), piece.begin(), piece.end());
    stretches.clear();
  };
  for (const PromptPart& part : parts) {
    const bool picture = part.kind == Kind::Picture;
    if (picture && pieces_alone_) flush();
    stretches.push_back({picture ? std::string_view(picture_text_) : part.text, part.kind != Kind::Text});
    if (picture && pieces_alone_) flush();
  }
  flush();
  if (bos_ && (ids.empty() || ids[0] != *bos_)) ids.insert(ids.begin(), *bos_);
  return ids;
}

EncodedPrompt PromptEncoder::encode(const PromptParts& parts, std::span<const int64_t> rows) const {
  const int64_t pictures = pictures_of(parts);
  require(pictures == static_cast<int64_t>(rows.size()), "[vlm] ", pictures, " pictures in the prompt, ", rows.size(),
          " numbers of rows");
  EncodedPrompt prompt;
  for (const int64_t id : before_pictures_are_spread(parts)) {
    if (id != picture_id_) {
      prompt.ids.push_back(id);
      continue;
    }
    require(prompt.pictures.size() < rows.size(), "[vlm] a piece of the template holds the picture's token");
    const int64_t count = rows[prompt.pictures.size()];
    prompt.pictures.push_back({static_cast<int64_t>(prompt.ids.size()), count});
    prompt.ids.insert(prompt.ids.end(), static_cast<std::size_t>(count), picture_id_);
  }
  require_data(prompt.pictures.size() == rows.size(), file_, "of ", rows.size(), " pictures ", prompt.pictures.size(),
               " are found again as tokens: is theirs \"normalized\"?");
  return prompt;
}

std::vector<int64_t> PromptEncoder::encode_answer(std::string_view answer) const {
  std::vector<int64_t> ids = ids_of(tokenizer_, answer, false);
  require(!ids.empty(), "[vlm] the answer ", in_quotes(answer), " has no tokens");
  return ids;
}

std::string PromptEncoder::decode(std::span<const int64_t> ids) const { return tokenizer_.decode(ids); }

}  // namespace unisim
