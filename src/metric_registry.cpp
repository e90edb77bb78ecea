#include <unisim/asking.h>
#include <unisim/error.h>

#include <array>
#include <filesystem>

#include "io/file.h"
#include "metric_name.h"
#include "metric_state.h"

namespace unisim {
namespace {

/// How metrics are named and made. A new one is a row here.
struct Kind {
  enum class Model { None, Optional, Required };

  std::string_view name;
  Model model;
  bool has_layers;  ///< layer and pool mean something
  Metric::State (*make)(const MetricName&);
};

Metric::State make_lpips(const MetricName& asked) {
  const std::string& model = asked.model.empty() ? asked.kind : asked.model;
  return lpips_state(asked.kind.substr(std::string_view("lpips-").size()), model, asked.options);
}

Metric::State make_encoder(const MetricName& asked) {
  const MetricOptions& options = asked.options;
  const Encoder encoder = Encoder::load(asked.model, {.device = options.device, .dtype = options.dtype});
  return encoder_state(asked.model, encoder, {.layer = options.layer, .pool = options.pool});
}

Metric::State make_clipscore(const MetricName& asked) {
  const auto& options = asked.options;
  return clipscore_state(asked.model,
                         Encoder::load(asked.model, {.device = options.device, .dtype = options.dtype}));
}

Metric::State make_vlm(const MetricName& asked) {
  const auto& options = asked.options;
  const Vlm vlm = Vlm::load(asked.model, {.device = options.device, .dtype = options.dtype});
  return asking_state(asked.model, vlm, {}, options.asking);
}

constexpr std::array<Kind, 11> kinds = {{
    {"clipscore", Kind::Model::Required, false, make_clipscore},
    {"dists", Kind::Model::Required, false,
     [](const MetricName& asked) { return dists_state(asked.model, asked.options); }},
    {"dreamsim", Kind::Model::Required, false,
     [](const MetricName& asked) { return dreamsim_state(asked.model, asked.options); }},
    {"encoder", Kind::Model::Required, true, make_encoder},
    {"gmsd", Kind::Model::None, false, [](const MetricName&) { return gmsd_state(); }},
    {"lpips-alex", Kind::Model::Optional, false, make_lpips},
    {"lpips-vgg", Kind::Model::Optional, false, make_lpips},
    {"ms-ssim", Kind::Model::None, false, [](const MetricName&) { return ms_ssim_state(); }},
    {"psnr", Kind::Model::None, false, [](const MetricName&) { return psnr_state(); }},
    {"ssim", Kind::Model::None, false, [](const MetricName&) { return ssim_state(); }},
    {"vlm", Kind::Model::Required, false, make_vlm},
}};

const Kind& kind_of(const std::string& name, const MetricName& asked) {
  std::string known;
  for (const Kind& kind : kinds)
    if (kind.name == asked.kind) return kind;
  for (const std::string& one : metric_names()) known += (known.empty() ? "" : ", ") + one;
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(name, ignored);
  throw std::invalid_argument(text_of("[metric] \"", name, "\" is not one of ", known,
                                      is_folder ? "; of a model folder: encoder:" + name : ""));
}

}  // namespace

Metric metric(const std::string& name, const MetricOptions& options) {
  const MetricName asked = parse_metric_name(name, options);
  const Kind& kind = kind_of(name, asked);
  const bool named = !asked.model.empty();
  require(named || kind.model != Kind::Model::Required, "[metric] ", name, " needs a model: ", kind.name,
          ":FOLDER");
  require(!named || kind.model != Kind::Model::None, "[metric] ", kind.name, " takes no model, found ",
          asked.model);
  require(kind.has_layers || (!asked.options.layer && !asked.options.pool), "[metric] ", kind.name,
          " has no layer or pool to choose");
  require(kind.make == make_vlm || asked.options.asking == AskingOptions{}, "[metric] ", kind.name,
          " is not asked: mode, swap, shots, seed and reason are options of vlm:FOLDER");
  if (kind.model == Kind::Model::None)
    require(asked.options.device.is_cpu() && asked.options.dtype == DType::Float32, "[metric] ", kind.name,
            " runs on the cpu, in double alone; found ", asked.options.device.str(), " and ",
            name_of(asked.options.dtype));
  return Metric(std::make_shared<const Metric::State>(kind.make(asked)));
}

Metric metric(const std::string& name, const Vlm& vlm, const MetricOptions& options) {
  MetricOptions own = options;
  own.device = vlm.device(), own.dtype = vlm.dtype();
  const MetricName asked = parse_metric_name(name, own);
  require(asked.kind == "vlm" && !asked.model.empty(), "[metric] ", name,
          " asks no model, one that is loaded already is of vlm:FOLDER alone");
  require(!asked.options.layer && !asked.options.pool, "[metric] vlm has no layer or pool to choose");
  std::error_code ignored;
  require(std::filesystem::equivalent(find_model(asked.model), vlm.folder(), ignored), "[metric] ", name,
          " names another folder than that of the model given, ", vlm.folder().string());
  require(asked.options.device == vlm.device() && asked.options.dtype == vlm.dtype(), "[metric] ", name, " is on ",
          asked.options.device.str(), " in ", name_of(asked.options.dtype), ", the model given on ", vlm.device().str(),
          " in ", name_of(vlm.dtype()));
  return Metric(std::make_shared<const Metric::State>(asking_state(asked.model, vlm, {}, asked.options.asking)));
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const Kind& kind : kinds)
    names.push_back(std::string(kind.name) + (kind.model == Kind::Model::Required ? ":FOLDER" : ""));
  return names;
}

}  // namespace unisim
