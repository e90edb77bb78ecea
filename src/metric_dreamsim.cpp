#include <ATen/core/grad_mode.h>
#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "device.h"
#include "encoder_state.h"
#include "io/file.h"
#include "io/json.h"
#include "last_reference.h"
#include "metric_state.h"
#include "model_identity.h"
#include "sha256.h"

/// DreamSim (Fu, Tamir, Sundaram, Chai, Zhang, Dekel, Isola 2023, arXiv 2306.09344): the features of several
/// encoders, tuned together, side by side in one row.
namespace unisim {
namespace {

using Row = std::vector<float>;

constexpr int64_t kMostParts = 16;

/// One encoder and what of it stands in the row.
struct Part {
  std::shared_ptr<const Encoder::State> state;
  bool class_token = false;  ///< before the final norm; else the encoder's own output
};

struct DreamSim {
  std::filesystem::path folder;
  std::vector<Part> parts;
  bool normalize = true;  ///< a row is centred and scaled to length one
  int64_t image_size = 0;
};

/// The authors squash a picture to the square, whatever its shape, by Pillow's bicubic filter. A part that
/// prepares its pictures otherwise would give other distances without a word.
void check_squash(const ModelConfig& part, int64_t side) {
  const PreprocessConfig& p = *part.preprocess;
  const bool exact = p.rule == ResizeRule::Exact && p.resize_height == side && p.resize_width == side;
  const bool whole = p.crop_height == 0 || (p.crop_height == side && p.crop_width == side);
  require_data(exact && whole, part.folder, "its pictures are not resized to ", side, " x ", side,
               " whatever their shape, without a crop; DreamSim's are");
  require_data(p.resample == 3, part.folder, "its pictures are resized with filter ", p.resample,
               "; DreamSim's with 3, bicubic");
}

Part read_part(const Json& json, const std::string& where, const std::filesystem::path& file, int64_t side,
               const EncoderOptions& options) {
  Fields fields(json, file, where);
  const std::string name = fields.string("folder"), feature = fields.string("feature");
  fields.finish();
  const bool plain = name != "." && name != ".." && std::filesystem::path(name).filename() == name;
  if (!plain || name.empty()) fields.refuse("folder", "the name of a folder inside this one");
  if (feature != "cls" && feature != "embedding") fields.unsupported("feature", "cls, embedding");
  const auto folder = file.parent_path() / name;
  require_data(std::filesystem::is_directory(folder), file, fields.path_of("folder"), " is \"", name,
               "\", but there is no such folder here");
  const Part part{load_encoder(folder.string(), options), feature == "cls"};
  require_data(part.state->vision.has_value(), folder, "has no image tower");
  require_data(!part.class_token || part.state->vision->config().class_token, folder,
               "has no class token, which feature \"cls\" takes");
  check_squash(part.state->config, side);
  return part;
}

DreamSim load_dreamsim(const std::filesystem::path& folder, const EncoderOptions& options) {
  const auto file = folder / "config.json";
  const Json json = read_json(file);
  Fields fields(json, file);
  require_data(fields.has("model_type"), file, "\"model_type\" is missing");
  fields.only("model_type", "dreamsim");
  DreamSim model{.folder = folder, .parts = {}, .normalize = fields.boolean("normalize")};
  const int64_t side = fields.integer("image_size", 1, 4096);
  model.image_size = side;
  const Json& parts = fields.value("parts");
  if (!parts.is_array() || parts.empty() || parts.size() > kMostParts)
    fields.refuse("parts", text_of("a list of 1 to ", kMostParts));
  fields.finish();
  for (std::size_t k = 0; k < parts.size(); ++k)
    model.parts.push_back(read_part(parts[k], text_of("parts[", k, "]"), file, side, options));
  return model;
}

/// [n, width] float32 on the CPU, not normalised.
Tensor features_of(const Part& part, std::span<const Image> images) {
  const Encoder encoder(part.state);
  if (!part.class_token) return encoder.embed_images(images, {.normalize = false}).to(at::kCPU).contiguous();
  const at::NoGradGuard no_grad;
  const Tensor pixels = encoder.preprocess(images);
  const int64_t batch = part.state->batch("dreamsim", 0);
  std::vector<Tensor> parts;
  for (int64_t from = 0; from < pixels.size(0); from += batch)
    parts.push_back(part.state->class_tokens(pixels.slice(0, from, std::min(from + batch, pixels.size(0)))));
  return under_each_other(parts, {}).to(at::kCPU).contiguous();
}

/// e - mean(e), then of length one: both over the row's own components. The first changes the cosine.
void centre_and_scale(Row& row) {
  double sum = 0, square = 0;
  for (const float value : row) sum += double{value};
  const double mean = sum / static_cast<double>(row.size());
  for (const float value : row) square += (double{value} - mean) * (double{value} - mean);
  const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
  for (float& value : row) value = static_cast<float>((double{value} - mean) * scale);
}

/// The rows of images, a stretch at a time, so that the copies the encoders want side by side stay few;
/// `done` is told how many there are.
std::vector<Row> rows_of(const DreamSim& model, std::span<const Item* const> items,
                         const std::function<void(std::size_t)>& done) {
  constexpr std::size_t stretch = 64;
  std::vector<Row> rows(items.size());
  for (std::size_t first = 0; first < items.size(); first += stretch) {
    const std::size_t end = std::min(first + stretch, items.size());
    std::vector<Image> images;
    for (std::size_t k = first; k < end; ++k) images.push_back(std::get<Image>(*items[k]));
    for (const Part& part : model.parts) {
      const Tensor features = features_of(part, images);
      const float* from = features.const_data_ptr<float>();
      for (std::size_t k = first; k < end; ++k, from += features.size(1))
        rows[k].insert(rows[k].end(), from, from + features.size(1));
    }
    if (model.normalize)
      for (std::size_t k = first; k < end; ++k) centre_and_scale(rows[k]);
    done(end);
  }
  return rows;
}

double distance_of(std::span<const float> x, std::span<const float> y) { return 1 - cosine_of(x, y); }

std::vector<double> distances(const DreamSim& model, LastReference<Row>& last,
                              std::span<const Item* const> items, std::span<const ItemPair> pairs,
                              const Progress& progress) {
  const std::shared_ptr<const Row> first = last.of(*items[0]);
  const std::size_t known = first ? 1 : 0;
  // Items are numbered as the pairs first ask for them: a pair is done once both its rows are there.
  const auto report = [&](std::size_t done) {
    const auto ready = [there = known + done](const ItemPair& pair) {
      return pair.x < there && pair.y < there;
    };
    if (progress) progress(std::ranges::count_if(pairs, ready), static_cast<int64_t>(pairs.size()));
  };
  std::vector<Row> rows = rows_of(model, items.subspan(known), report);
  if (first) rows.insert(rows.begin(), *first);
  if (known == items.size()) report(0);
  // On the CPU alone a row does not depend on what it is computed with.
  if (!first && model.parts[0].state->options.device.is_cpu())
    last.keep(*items[0], std::make_shared<const Row>(rows[0]));
  std::vector<double> scores;
  for (const auto& [x, y] : pairs) scores.push_back(distance_of(rows[x], rows[y]));
  return scores;
}

int64_t parameters_of(const DreamSim& model) {
  int64_t count = 0;
  for (const Part& part : model.parts) count += part.state->parameters;
  return count;
}

std::string identity_of(const DreamSim& model) {
  std::string said = "dreamsim\n" + folder_identity(model.folder);
  for (const Part& part : model.parts) {
    const Encoder encoder(part.state);
    said += text_of("\npart ", part.class_token ? "cls" : "embedding", '\n', encoder_identity(encoder));
  }
  return sha256(said);
}

}  // namespace

Metric::State dreamsim_state(const std::string& model, const MetricOptions& options) {
  require_device("dreamsim", options.device, options.dtype);
  const auto loaded = std::make_shared<const DreamSim>(
      load_dreamsim(find_model(model), {.device = options.device, .dtype = options.dtype}));
  Metric::State state{
      .name = "dreamsim:" + model, .higher_is_better = false, .no_text = "it compares pictures"};
  const auto last = std::make_shared<LastReference<Row>>();
  state.score = [loaded, last](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                               const Progress& progress) {
    return distances(*loaded, *last, items, pairs, progress);
  };
  state.rows = [loaded](std::span<const Item* const> items) { return rows_of(*loaded, items, [](std::size_t) {}); };
  state.score_of_rows = distance_of;
  state.identity = said_once([loaded] { return identity_of(*loaded); });
  state.model = {.parameters = parameters_of(*loaded), .image_size = loaded->image_size,
                 .dtype = name_of(options.dtype)};
  return state;
}

}  // namespace unisim
