#include <unisim/error.h>

#include <array>

#include "config_readers.h"
#include "io/file.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

bool has_weights(const fs::path& folder, const std::string& stem) {
  return fs::exists(folder / (stem + ".safetensors")) ||
         fs::exists(folder / (stem + ".safetensors.index.json"));
}

}  // namespace

void fit_to_pictures(VisionConfig& vision, const PreprocessConfig& preprocess, const fs::path& folder) {
  const Extent made = output_extent(preprocess, folder);
  vision.image_height = made.height, vision.image_width = made.width;
  require_data(made.height >= vision.patch_height && made.width >= vision.patch_width, folder,
               "preprocessing makes ", made.height, " x ", made.width, ", smaller than a patch of ",
               vision.patch_height, " x ", vision.patch_width);
  require_data(vision.position_resize != PositionResize::Refused ||
                   made == Extent{vision.table_height, vision.table_width},
               folder, "preprocessing makes ", made.height, " x ", made.width, ", but the model takes ",
               vision.table_height, " x ", vision.table_width);
}

ModelConfig read_model_config(const fs::path& folder) {
  require_data(fs::is_directory(folder), folder, "no folder of a model");
  const fs::path open_clip = folder / "open_clip_config.json", plain = folder / "config.json";
  const bool has_open_clip = fs::exists(open_clip), has_plain = fs::exists(plain);
  require_data(has_open_clip || has_plain, folder, "neither config.json nor open_clip_config.json is here");

  ModelConfig config;
  // Repositories often hold both; then the weights tell which is meant.
  Json json = has_plain ? read_json(plain) : Json::object();
  const bool hugging_face =
      json.is_object() && json.contains("model_type") && (!has_open_clip || has_weights(folder, "model"));
  if (hugging_face) {
    config = read_hugging_face_config(json, plain);
  } else if (has_open_clip) {
    config = read_open_clip_config(read_json(open_clip), open_clip);
  } else {
    require_data(json.is_object() && json.contains("architecture"), plain,
                 "has neither model_type (Hugging Face) nor architecture (timm)");
    config = read_timm_config(json, plain);
  }
  config.folder = folder;
  if (config.vision && !config.preprocess) config.preprocess = read_hugging_face_preprocess(folder);
  if (config.text && !config.text_input)
    config.text_input = read_hugging_face_text_input(folder, config.family, config.text->context);
  if (config.vision) fit_to_pictures(*config.vision, *config.preprocess, folder);
  return config;
}

}  // namespace unisim
