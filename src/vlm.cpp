#include <c10/core/InferenceMode.h>
#include <unisim/error.h>
#include <unisim/vlm.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <utility>

#include "device.h"
#include "io/file.h"
#include "models/fused_decoder.h"
#include "sha256.h"
#include "vlm_state.h"

namespace unisim {
namespace {

/// The spelling that the file has; else the first, for the message that follows.
DecoderNames decoder_names(const Weights& weights) {
  const std::array<DecoderNames, 3> spellings = {{{"language_model.model.", "language_model.lm_head", {}},
                                                  {"model.language_model.", "lm_head", {}},
                                                  {"language_model.", "lm_head", {}}}};
  const auto is_there = [&](const DecoderNames& names) { return weights.has(names.prefix + "embed_tokens.weight"); };
  const auto found = std::ranges::find_if(spellings, is_there);
  DecoderNames names = found == spellings.end() ? spellings[0] : *found;
  names.harmless = {"*vision_tower.*", "*multi_modal_projector.*", "*image_newline"};
  return names;
}

/// What a picture's rows depend on, as one name.
std::string content_of(const Image& image, const TilePlan& plan) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(image.pixels)));
  const std::array<int64_t, 5> said = {image.width, image.height, plan.tiles, plan.grid_height, plan.rows};
  hash.update(std::as_bytes(std::span(said)));
  return hash.hex();
}

/// Nobody outside of the process can make two pictures whose rows have one key.
const std::string& secret() {
  static const std::string drawn = [] {
    std::random_device device;
    return text_of(device(), ' ', device(), ' ', device(), ' ', device());
  }();
  return drawn;
}

uint64_t start_of(const std::string& content) {
  return std::stoull(sha256(secret() + content).substr(0, 16), nullptr, 16);
}

/// Row `row` of a picture in a key: below zero, where no id is.
int64_t key_of(uint64_t start, int64_t row) {
  return -1 - static_cast<int64_t>((start + static_cast<uint64_t>(row) * 0x9e3779b97f4a7c15u) >> 2);
}

PromptKey key_of(const PlannedPrompt& prompt) {
  PromptKey key = prompt.encoded.ids;
  for (std::size_t k = 0; k < prompt.encoded.pictures.size(); ++k) {
    const auto& [at, rows] = prompt.encoded.pictures[k];
    const uint64_t start = start_of(prompt.contents[k]);
    for (int64_t row = 0; row < rows; ++row) key[static_cast<std::size_t>(at + row)] = key_of(start, row);
  }
  return key;
}

/// How many of the pictures, from the first on, leave room for the words.
std::size_t pictures_that_fit(const PlannedPrompt& prompt, int64_t room) {
  for (const TilePlan& plan : prompt.plans) room += plan.rows;
  std::size_t fit = 0;
  int64_t rows = prompt.rows() - room;  // below: words and what must follow, against what is left
  for (; fit < prompt.plans.size() && rows + prompt.plans[fit].rows <= 0; ++fit) rows += prompt.plans[fit].rows;
  return fit;
}

/// Rows of pictures, below zero, have none.
void check_id(const Vlm::State& vlm, int64_t id) {
  require_data(id < vlm.config.decoder.vocabulary, vlm.config.folder / "tokenizer.json", "gives the id ", id,
               ", and the model has rows for ", vlm.config.decoder.vocabulary, " ids");
}

PromptParts parts_of(const VlmWords& words) {
  if (const auto* text = std::get_if<std::string>(&words)) return marked(*text);
  PromptParts parts;
  for (const VlmPart& part : std::get<std::vector<VlmPart>>(words))
    parts.push_back(part.picture ? PromptPart{PromptPart::Kind::Picture} : PromptPart{PromptPart::Kind::Text, part.text});
  return parts;
}

/// How many rows a prompt has in common with any other that begins with the same turns.
int64_t fixed_of(const Vlm::State& vlm, const VlmAsked& asked, std::span<const int64_t> rows,
                 std::span<const int64_t> ids) {
  const auto end = asked.turns.begin() + static_cast<std::ptrdiff_t>(asked.fixed_turns);
  std::vector<PromptTurn> turns(asked.turns.begin(), end);
  std::size_t pictures = 0;
  for (const PromptTurn& turn : turns) pictures += static_cast<std::size_t>(turn.pictures);
  turns.emplace_back("", 0);
  const PromptParts parts = render_prompt(vlm.config, asked.template_name, turns);
  const EncodedPrompt other = vlm.prompts->encode(parts, rows.first(pictures));
  return std::min(common_rows(ids, other.ids), std::ssize(ids) - 1);
}

/// By the executor that was asked for; says why, where it cannot be.
std::unique_ptr<const Decoder> load_decoder(Vlm::State& vlm, const Weights& weights) {
  const DecoderConfig& config = vlm.config.decoder;
  auto decoder = std::make_unique<Decoder>(Decoder::load(config, decoder_names(weights), weights));
  if (vlm.options.executor == "fused") {
    vlm.fused_refused = vlm.options.device.is_cpu() ? fused_refusal(config) : "so far on the CPU alone";
    if (vlm.fused_refused.empty())
      decoder->set_executor(fused_on_cpu(config, decoder->weights(), vlm.options.dtype));
  }
  return decoder;
}

}  // namespace

int64_t PlannedPrompt::longest_answer() const {
  std::size_t longest = 0;
  for (const auto& ids : answers) longest = std::max(longest, ids.size());
  return static_cast<int64_t>(longest);
}

Vlm Vlm::load(const std::filesystem::path& folder, const VlmOptions& options) {
  require(options.executor == "auto" || options.executor == "fused" || options.executor == "aten",
          "[Vlm.load] executor \"", options.executor, "\" is neither auto nor fused nor aten");
  require(options.feature_bytes >= 0 && options.prefix_bytes >= 0, "[Vlm.load] a bound of bytes is negative");
  require_device("Vlm.load", options.device, options.dtype);
  auto state = std::make_shared<State>();
  state->options = options;
  state->config = read_vlm_config(find_model(folder.string()));
  state->name = std::filesystem::weakly_canonical(state->config.folder).filename().string();
  const Weights weights = Weights::open(state->config.folder, {"model"}, options.device, options.dtype);
  state->parameters = weights.parameters();
  state->prompts = std::make_unique<const PromptEncoder>(state->config);
  state->vision = std::make_unique<const VlmVision>(VlmVision::load(state->config, weights));
  state->decoder = load_decoder(*state, weights);
  state->features = KeptFeatures(options.feature_bytes);
  state->prefixes = KeptPrefixes(options.prefix_bytes);
  state->turns = KeptPrefixes(options.prefix_bytes);
  return Vlm(std::move(state));
}

PlannedPrompt Vlm::State::plan(const VlmAsked& asked) const {
  PlannedPrompt prompt{.images = asked.images};
  prompt.parts = render_prompt(config, asked.template_name, asked.turns);
  std::vector<int64_t> rows;
  for (const Image* image : asked.images) {
    prompt.plans.push_back(tile_plan(config, image->width, image->height, asked.images.size() == 1));
    prompt.contents.push_back(content_of(*image, prompt.plans.back()));
    rows.push_back(prompt.plans.back().rows);
  }
  prompt.encoded = prompts->encode(prompt.parts, rows);
  require(prompt.rows() > 0, "[vlm] the prompt is empty");
  prompt.key = key_of(prompt);
  if (asked.fixed_turns > 0) prompt.fixed = fixed_of(*this, asked, rows, prompt.encoded.ids);
  for (const std::string& choice : asked.choices) prompt.answers.push_back(prompts->encode_answer(choice));
  for (const int64_t id : prompt.key) check_id(*this, id);
  for (const auto& answer : prompt.answers)
    for (const int64_t id : answer) check_id(*this, id);
  return prompt;
}

PlannedPrompt Vlm::State::plan_to_run(const char* operation, const VlmAsked& asked, int64_t room) const {
  PlannedPrompt prompt = plan(asked);
  room = std::max(room, prompt.longest_answer());
  if (prompt.rows() + room <= config.decoder.positions) return prompt;
  std::string fit;
  if (!asked.images.empty())
    fit = text_of("; ", pictures_that_fit(prompt, config.decoder.positions - room), " of the ", asked.images.size(),
                  " pictures fit");
  throw std::invalid_argument(text_of("[", operation, "] the prompt has ", prompt.rows(), " tokens and ", room,
                                      " may follow; ", name, " reads ", config.decoder.positions, fit));
}

int64_t Vlm::State::bytes_of_rows(int64_t rows) const {
  const DecoderConfig& d = config.decoder;
  return 2 * rows * d.layers * d.kv_heads * d.head_width * (options.dtype == DType::Float32 ? 4 : 2);
}

Tensor Vlm::State::rows_of(const PlannedPrompt& prompt, std::size_t picture) const {
  if (auto found = features.find(prompt.contents[picture])) {
    ++counts.features_found;
    return *found;
  }
  const TilePlan& plan = prompt.plans[picture];
  const Tensor rows = vision->rows(vision->preprocess(*prompt.images[picture], plan), plan);
  counts.tower_tiles += plan.tiles;
  features.put(prompt.contents[picture], rows);
  return rows;
}

Tensor Vlm::State::embedded(const PlannedPrompt& prompt, int64_t from) const {
  std::vector<int64_t> ids(prompt.encoded.ids.begin() + from, prompt.encoded.ids.end());
  for (const auto& [at, rows] : prompt.encoded.pictures)
    for (int64_t k = std::max(at, from); k < at + rows; ++k) ids[static_cast<std::size_t>(k - from)] = 0;
  const Tensor x = decoder->embed(ids);
  for (std::size_t k = 0; k < prompt.encoded.pictures.size(); ++k) {
    const auto& [at, rows] = prompt.encoded.pictures[k];
    const int64_t left_out = std::max<int64_t>(from - at, 0);
    if (left_out >= rows) continue;
    x.narrow(0, at + left_out - from, rows - left_out).copy_(rows_of(prompt, k).narrow(0, left_out, rows - left_out));
  }
  return x;
}

std::string Vlm::name() const { return state_->name; }
std::filesystem::path Vlm::folder() const { return state_->config.folder; }
std::string Vlm::family() const { return state_->config.family; }
std::string Vlm::executor() const { return state_->decoder->is_fused() ? "fused" : "aten"; }
Device Vlm::device() const { return state_->options.device; }
DType Vlm::dtype() const { return state_->options.dtype; }
int64_t Vlm::parameters() const { return state_->parameters; }
int64_t Vlm::context() const { return state_->config.decoder.positions; }

VlmCounts Vlm::counts() const {
  const RunningCounts& counts = state_->counts;
  return {counts.tower_tiles, counts.features_found, counts.decoder_rows, counts.prefix_rows};
}

VlmAsked asked_of(std::span<const Image> images, const VlmWords& prompt, const PromptOptions& options) {
  require(options.template_name != "raw" || std::holds_alternative<std::string>(prompt),
          "[Vlm] a raw prompt in parts, expected one text: control tokens count in it, in parts none does");
  VlmAsked asked{.template_name = options.template_name};
  auto pictures = static_cast<int64_t>(images.size());
  for (const VlmTurn& turn : options.before) {
    require(turn.pictures >= 0 && turn.pictures <= pictures, "[Vlm] an earlier turn has ", turn.pictures,
            " pictures, ", pictures, " are left");
    pictures -= turn.pictures;
    asked.turns.emplace_back(parts_of(turn.prompt), turn.pictures, turn.answer);
  }
  asked.turns.emplace_back(parts_of(prompt), pictures);
  for (const Image& image : images) asked.images.push_back(&image);
  return asked;
}

std::vector<std::string> vlm_templates() { return template_names(); }

VlmPrompt Vlm::encode(std::span<const Image> images, const VlmWords& prompt,
                      const PromptOptions& options) const {
  const PlannedPrompt planned = state_->plan(asked_of(images, prompt, options));
  VlmPrompt out{.ids = planned.encoded.ids, .text = readable(planned.parts)};
  for (const auto& [at, rows] : planned.encoded.pictures) out.pictures.emplace_back(at, rows);
  return out;
}

std::vector<Tensor> Vlm::preprocess(std::span<const Image> images) const {
  std::vector<Tensor> pixels;
  for (const Image& image : images)
    pixels.push_back(state_->vision->preprocess(
        image, tile_plan(state_->config, image.width, image.height, images.size() == 1)));
  return pixels;
}

std::vector<Tensor> Vlm::image_features(std::span<const Image> images) const {
  const std::lock_guard lock(state_->mutex);
  std::vector<Tensor> out;
  for (const Image& image : images) {
    PlannedPrompt prompt{.images = {&image}};
    prompt.plans = {tile_plan(state_->config, image.width, image.height, images.size() == 1)};
    prompt.contents = {content_of(image, prompt.plans[0])};
    Tensor rows;
    {
      const c10::InferenceMode no_gradient;
      rows = state_->rows_of(prompt, 0);
    }
    out.push_back(rows.clone());
  }
  return out;
}

}  // namespace unisim
