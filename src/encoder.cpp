#include <ATen/ops/cat.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <c10/core/DeviceGuard.h>
#include <unisim/encoder.h>
#include <unisim/error.h>

#include <utility>

#include "device.h"
#include "encoder_state.h"
#include "io/file.h"
#include "kernels.h"
#include "models/facts.h"
#include "models/preprocess.h"

namespace unisim {
namespace {

/// The folder's last part, or ORG/REPO.
std::string name_of_model(const std::string& asked) {
  for (const std::string_view prefix : {"local-dir:", "hf-hub:"})
    if (asked.starts_with(prefix)) return name_of_model(asked.substr(prefix.size()));
  std::error_code ignored;
  if (!std::filesystem::exists(asked, ignored)) return asked;
  const auto whole = std::filesystem::weakly_canonical(asked, ignored);
  return whole.has_filename() ? whole.filename().string() : whole.parent_path().filename().string();
}

/// OpenCLIP's rule: weights of the tag "openai" (ViT-B-32/openai) compute QuickGELU, whatever their
/// configuration.
void apply_tag(const std::string& asked, ModelConfig& config) {
  if (config.layout != Layout::OpenClip || !asked.ends_with("/openai")) return;
  if (config.vision && !config.vision->timm_trunk) config.vision->blocks.activation = Activation::QuickGelu;
  if (config.text) config.text->blocks.activation = Activation::QuickGelu;
}

std::unique_ptr<FusedEncoder> fused_on(const Encoder::State& state) {
  const VisionTower* vision = state.vision ? &*state.vision : nullptr;
  const TextTower* text = state.text ? &*state.text : nullptr;
  if constexpr (UNISIM_HAS_CUDA) {
    const c10::DeviceGuard guard(state.options.device);
    return fused_on_cuda(vision, text, state.options.dtype, state.options.batch_invariant);
  }
  return nullptr;
}

}  // namespace

Tensor unit_rows(const Tensor& rows) {
  if (!rows.is_cpu()) return at::div(rows, at::clamp_min(at::linalg_vector_norm(rows, 2, 1, true), 1e-12));
  const Tensor x = rows.contiguous();
  const int64_t n = x.size(0), width = x.size(1);
  const Tensor out = at::empty({n, width}, x.options());
  int32_t flag = 0;  // a zero row stays zero; the tower has refused what is not finite
  l2_normalize(Cpu{}, Rows<const float>{x.const_data_ptr<float>(), n, width, width},
               Rows<float>{out.mutable_data_ptr<float>(), n, width, width}, &flag);
  return out;
}

Tensor under_each_other(const std::vector<Tensor>& parts, const Tensor& otherwise) {
  if (parts.empty()) return otherwise;
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

const VisionTower& Encoder::State::vision_for(const char* operation,
                                              const std::optional<int64_t>& layer) const {
  require(vision.has_value(), "[", operation, "] ", name, " has no image tower");
  const int64_t layers = vision->config().blocks.layers;
  require(!layer || (*layer >= 0 && *layer <= layers), "[", operation, "] layer is ", layer.value_or(0),
          ", expected 0 to ", layers);
  return *vision;
}

const TextTower& Encoder::State::text_for(const char* operation) const {
  require(text.has_value(), "[", operation, "] ", name, " has no text tower");
  return *text;
}

const TextInput& Encoder::State::text_input() const {
  const std::lock_guard lock(text_input_mutex_);
  if (!text_input_)
    text_input_ = std::make_unique<TextInput>(*config.text_input, config.folder, config.text->vocabulary);
  return *text_input_;
}

int64_t Encoder::State::batch(const char* operation, int64_t asked) const {
  require(asked >= 0, "[", operation, "] batch_size is ", asked, ", expected 0 or more");
  // On the CPU a row never depends on its batch, nor do the kernels' rows if asked; those of LibTorch's
  // operations on CUDA do unless each is computed alone.
  if (options.device.is_cuda() && options.batch_invariant && !fused) return 1;
  if (asked > 0) return asked;
  if (fused) return 4 * fused->slice();
  return options.device.is_cuda() ? 64 : 8;
}

Tensor Encoder::State::room_for(int64_t pictures) const {
  const PreprocessConfig& preprocess = *config.preprocess;
  return at::empty({pictures, 3, output_height(preprocess), output_width(preprocess)}, at::kFloat);
}

Tensor Encoder::State::embed_pixels(const Tensor& pixels, const EmbedOptions& asked) const {
  Tensor rows =
      fused ? fused_pixels(pixels, asked) : vision->embed(pixels.to(options.device), asked.layer, asked.pool);
  rows = rows.to(options.device);
  return asked.normalize ? unit_rows(rows) : rows;
}

/// Pictures of a size whose positions are not at hand are the tower's.
Tensor Encoder::State::fused_pixels(const Tensor& pixels, const EmbedOptions& asked) const {
  vision->check_pixels("embed_images", pixels);
  if (!fused->serves(pixels.size(2), pixels.size(3)))
    return vision->embed(pixels.cpu(), asked.layer, asked.pool);
  if (asked.layer || asked.pool) {
    vision->check_pool(asked.pool);
    return vision->pooled_layer(fused_hidden(pixels, asked.layer), asked.pool);
  }
  const c10::DeviceGuard guard(options.device);
  return fused->embed_pixels(pixels);
}

Tensor Encoder::State::fused_hidden(const Tensor& pixels, std::optional<int64_t> layer) const {
  const c10::DeviceGuard guard(options.device);
  return fused->hidden_state(pixels, layer.value_or(vision->config().blocks.layers));
}

Tensor Encoder::State::embed_ids(const Tensor& ids) const {
  if (!fused) return text->embed(ids);
  text->check_ids("embed_texts", ids);
  const c10::DeviceGuard guard(options.device);
  return fused->embed_tokens(ids).to(options.device);
}

Tensor Encoder::State::patches(const Tensor& pixels, std::optional<int64_t> layer) const {
  if (!fused) return vision->patch_tokens(pixels.to(options.device), layer);
  vision->check_pixels("patch_tokens", pixels);
  if (!fused->serves(pixels.size(2), pixels.size(3)))
    return vision->patch_tokens(pixels.cpu(), layer).to(options.device);
  return vision->patches_of_layer(fused_hidden(pixels, layer), !layer).to(options.device);
}

Tensor Encoder::State::class_tokens(const Tensor& pixels) const {
  const int64_t last = vision->config().blocks.layers;
  vision->check_pixels("embed_images", pixels);
  const bool served = fused && fused->serves(pixels.size(2), pixels.size(3));
  const Tensor hidden = served  ? fused_hidden(pixels, last)
                        : fused ? vision->hidden_state(pixels.cpu(), last)
                                : vision->hidden_state(pixels.to(options.device), last);
  // A copy: the patches, a hundred times as much, need not be kept.
  return hidden.select(1, 0).to(options.device, at::kFloat).clone();
}

Tensor Encoder::State::no_rows(const EmbedOptions& asked) const {
  const int64_t width = asked.layer || asked.pool ? vision->config().blocks.width : vision->dim();
  return at::empty({0, width}, at::TensorOptions(options.device).dtype(at::kFloat));
}

std::shared_ptr<const Encoder::State> load_encoder(const std::string& path_or_name,
                                                   const EncoderOptions& options) {
  require(options.executor == "fused" || options.executor == "aten", "[Encoder.load] executor \"",
          options.executor, "\" is neither fused nor aten");
  require_device("Encoder.load", options.device, options.dtype);
  auto state = std::make_shared<Encoder::State>();
  state->name = name_of_model(path_or_name);
  state->options = options;
  state->config = read_model_config(find_model(path_or_name));
  apply_tag(path_or_name, state->config);
  const bool asked = options.executor == "fused" && options.device.is_cuda();
  if (asked)
    state->fused_refused = UNISIM_HAS_CUDA ? fused_refusal(state->config) : "built without CUDA kernels";
  const bool fused = asked && state->fused_refused.empty();
  const Weights weights =
      Weights::open(state->config.folder, state->config.weight_stems, fused ? Device("cpu") : options.device,
                    fused ? DType::Float32 : options.dtype);
  state->parameters = weights.parameters();
  if (state->config.vision) state->vision = VisionTower::load(state->config, weights);
  if (state->config.text) state->text = TextTower::load(state->config, weights);
  if (fused) state->fused = fused_on(*state);
  return state;
}

Encoder Encoder::load(const std::string& path_or_name, const EncoderOptions& options) {
  return Encoder(load_encoder(path_or_name, options));
}

std::string Encoder::name() const { return state_->name; }
std::filesystem::path Encoder::folder() const { return state_->config.folder; }
std::string Encoder::family() const { return state_->config.family; }
// On the CPU `fused` is tested and not yet faster: users get `aten`.
std::string Encoder::executor() const { return state_->fused ? "fused" : "aten"; }
Device Encoder::device() const { return state_->options.device; }
DType Encoder::dtype() const { return state_->options.dtype; }
int64_t Encoder::dim() const { return state_->vision ? state_->vision->dim() : state_->text->dim(); }
int64_t Encoder::image_size() const { return state_->vision ? state_->vision->config().image_height : 0; }
bool Encoder::has_text() const { return state_->text.has_value(); }

int64_t Encoder::parameters() const { return state_->parameters; }

int64_t Encoder::layers() const {
  return state_->vision ? state_->vision->config().blocks.layers : state_->text->config().blocks.layers;
}

std::vector<std::pair<std::string, std::string>> Encoder::facts() const {
  auto facts = facts_of(state_->config);
  const std::string& why = state_->fused_refused;
  facts.emplace_back("executor", why.empty() ? executor() : executor() + " (" + why + ")");
  facts.emplace_back("device", device().str());
  facts.emplace_back("dtype", name_of(dtype()));
  return facts;
}

}  // namespace unisim
