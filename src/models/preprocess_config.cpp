#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "config_vlm.h"
#include "io/file.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

const std::vector<double> openai_mean = {0.48145466, 0.4578275, 0.40821073};
const std::vector<double> openai_std = {0.26862954, 0.26130258, 0.27577711};
const std::vector<double> imagenet_mean = {0.485, 0.456, 0.406};
const std::vector<double> imagenet_std = {0.229, 0.224, 0.225};
const std::vector<double> half = {0.5, 0.5, 0.5};

/// What a transformers processor class fills in for an absent field.
struct ProcessorDefaults {
  std::string_view name;
  bool exact;   ///< size is [height, width]; else the shortest edge
  bool square;  ///< default_to_square: how a plain number is read
  bool crop;
  int64_t resample;
  const std::vector<double>* mean;
  const std::vector<double>* std;
  bool cuts = false;  ///< or pads: what a vision-language model's does, and an encoder's never
};

const ProcessorDefaults processors[] = {
    {"CLIPImageProcessor", false, false, true, 3, &openai_mean, &openai_std},
    {"CLIPFeatureExtractor", false, false, true, 3, &openai_mean, &openai_std},
    {"BitImageProcessor", false, false, true, 3, &openai_mean, &openai_std},
    {"SiglipImageProcessor", true, false, false, 3, &half, &half},
    {"ViTImageProcessor", true, true, false, 2, &half, &half},
    {"ViTFeatureExtractor", true, true, false, 2, &half, &half},
    {"LlavaImageProcessor", false, false, true, 3, &openai_mean, &openai_std, true},
    {"LlavaOnevisionImageProcessor", true, false, false, 3, &openai_mean, &openai_std, true},
    {"GotOcr2ImageProcessor", true, true, false, 3, &openai_mean, &openai_std, true},
};

/// The class by its name, without the "Fast" or "Pil" that tells transformers' implementations apart.
const ProcessorDefaults& processor_of(Fields& fields, bool encoder) {
  const char* key = fields.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  if (key == std::string_view("image_processor_type")) fields.ignore({"feature_extractor_type"});
  std::string name = fields.string(key);
  for (const std::string_view ending : {"Fast", "Pil"})
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  for (const ProcessorDefaults& known : processors)
    if (known.name == name && !(encoder && known.cuts)) return known;
  std::string names("CLIPImageProcessor, BitImageProcessor, SiglipImageProcessor, ViTImageProcessor");
  if (!encoder) names += ", LlavaImageProcessor, LlavaOnevisionImageProcessor, GotOcr2ImageProcessor";
  fields.unsupported(key, names);
}

/// Three values, or one for all channels.
std::vector<double> channels_or(Fields& fields, std::string_view key, const std::vector<double>& otherwise) {
  if (!fields.has(key)) return otherwise;
  const Json& value = fields.value(key);
  if (value.is_number()) return std::vector<double>(3, fields.number(key));
  if (value.is_array() && value.size() == 1) return std::vector<double>(3, fields.numbers(key, 1)[0]);
  return fields.numbers(key, 3);
}

void require_stds(const Fields& fields, std::string_view key, const std::vector<double>& std) {
  for (const double value : std)
    require_data(value > 0, fields.file(), fields.path_of(key), " holds ", value, ", expected above 0");
}

void read_resize(Fields& fields, const ProcessorDefaults& processor, PreprocessConfig& out) {
  out.rule = processor.exact ? ResizeRule::Exact : ResizeRule::ShortestEdge;
  out.resize_height = out.resize_width = processor.exact && processor.cuts ? 384 : 224;
  const bool square = fields.boolean_or("default_to_square", processor.square);
  if (!fields.has("size")) return;
  if (!fields.value("size").is_object()) {
    out.rule = square || fields.value("size").is_array() ? ResizeRule::Exact : ResizeRule::ShortestEdge;
    const Extent extent = extent_or(fields, "size", {}, max_image_side);
    out.resize_height = extent.height, out.resize_width = extent.width;
    return;
  }
  Fields size = fields.object("size");
  out.rule = size.has("shortest_edge") ? ResizeRule::ShortestEdge : ResizeRule::Exact;
  if (out.rule == ResizeRule::ShortestEdge) {
    out.resize_height = out.resize_width = size.integer("shortest_edge", 1, max_image_side);
  } else if (!size.has("longest_edge") && !size.has("max_height")) {
    out.resize_height = size.integer("height", 1, max_image_side);
    out.resize_width = size.integer("width", 1, max_image_side);
  }
  size.finish();  // names longest_edge, max_height and whatever else there is
}

void read_crop(Fields& fields, PreprocessConfig& out) {
  out.crop_height = out.crop_width = 224;
  if (!fields.has("crop_size")) return;
  if (!fields.value("crop_size").is_object()) {
    const Extent extent = extent_or(fields, "crop_size", {}, max_image_side);
    out.crop_height = extent.height, out.crop_width = extent.width;
    return;
  }
  Fields size = fields.object("crop_size");
  out.crop_height = size.integer("height", 1, max_image_side);
  out.crop_width = size.integer("width", 1, max_image_side);
  size.finish();
}

/// How pictures are squared or cut, where the class does it.
void read_cutting(Fields& fields, PictureProcessor& out) {
  if (out.name == "LlavaImageProcessor") {
    out.square = fields.boolean_or("do_pad", false);
  } else if (out.name == "LlavaOnevisionImageProcessor") {
    out.grids = grids_or(fields, "image_grid_pinpoints", onevision_grids());
    fields.ignore({"do_pad"});  // of batches, with tiles that nothing looks at
  } else if (out.name == "GotOcr2ImageProcessor") {
    out.least_tiles = fields.integer_or("min_patches", 1, 1, 4'096);
    out.most_tiles = fields.integer_or("max_patches", 12, 1, 4'096);
    // InternVL's own processor says true, whatever stands here.
    fields.ignore({"crop_to_patches"});
  }
}

PictureProcessor read_processor(Fields fields, bool encoder) {
  const ProcessorDefaults& processor = processor_of(fields, encoder);
  PictureProcessor read{.name = std::string(processor.name)};
  if (processor.cuts) read_cutting(fields, read);
  PreprocessConfig& out = read.tile;
  if (fields.boolean_or("do_resize", true))
    read_resize(fields, processor, out);
  else
    out.rule = ResizeRule::None, fields.ignore({"size", "default_to_square"});
  if (fields.boolean_or("do_center_crop", processor.crop))
    read_crop(fields, out);
  else
    fields.ignore({"crop_size"});
  out.resample = fields.integer_or("resample", processor.resample, 0, 5);
  if (fields.boolean_or("do_rescale", true))
    out.rescale = fields.number_or("rescale_factor", 1.0 / 255);
  else
    out.rescale = 1, fields.ignore({"rescale_factor"});
  if (fields.boolean_or("do_normalize", true)) {
    out.mean = channels_or(fields, "image_mean", *processor.mean);
    out.std = channels_or(fields, "image_std", *processor.std);
    require_stds(fields, "image_std", out.std);
  } else {
    fields.ignore({"image_mean", "image_std"});
  }
  if (!processor.cuts) fields.only("do_pad", false);
  fields.only("use_square_size", false);
  // Pictures are RGB by the time they come here. The rest says where and in what shape transformers returns
  // them.
  fields.ignore({"do_convert_rgb", "processor_class", "feature_extractor_type", "image_processor_type",
                 "auto_map", "data_format", "input_data_format", "device", "return_tensors",
                 "disable_grouping", "pad_size", "image_seq_length", "_processor_class",
                 "_valid_processor_keys", "backend", "image_token_id"});
  fields.finish();
  return read;
}

PictureProcessor read_processor_of(const fs::path& folder, bool encoder) {
  // transformers 5 looks into processor_config.json first.
  if (const fs::path file = folder / "processor_config.json"; fs::exists(file)) {
    const Json json = read_json(file);
    require_data(json.is_object(), file, "expected an object at the top");
    if (json.contains("image_processor")) {
      require_data(json["image_processor"].is_object(), file, "image_processor is no object");
      return read_processor(Fields(json["image_processor"], file, "image_processor"), encoder);
    }
  }
  const fs::path file = folder / "preprocessor_config.json";
  require_data(fs::exists(file), folder, "no preprocessor_config.json (and no image_processor in a ",
               "processor_config.json): how pictures are to be prepared is not said, and is never guessed");
  const Json json = read_json(file);
  return read_processor(Fields(json, file), encoder);
}

}  // namespace

PreprocessConfig read_hugging_face_preprocess(const fs::path& folder) {
  return read_processor_of(folder, true).tile;
}

PictureProcessor read_picture_processor(const fs::path& folder) { return read_processor_of(folder, false); }

Extent output_extent(const PreprocessConfig& preprocess, const fs::path& file) {
  if (preprocess.crop_height > 0) return {preprocess.crop_height, preprocess.crop_width};
  if (preprocess.rule == ResizeRule::Exact) return {preprocess.resize_height, preprocess.resize_width};
  throw Unsupported(file,
                    "pictures would differ in size after preprocessing: no centre crop, and no exact size");
}

namespace {

int64_t filter_of(Fields& fields, std::string_view key, const std::string& otherwise,
                  std::initializer_list<std::pair<std::string_view, int64_t>> known) {
  const std::string name = fields.string_or(key, otherwise);
  for (const auto& [known_name, number] : known)
    if (known_name == name) return number;
  std::string names;
  for (const auto& entry : known) names += text_of(names.empty() ? "" : ", ", entry.first);
  fields.unsupported(key, names);
}

}  // namespace

PreprocessConfig read_open_clip_preprocess(Fields fields, Extent image) {
  PreprocessConfig out;
  out.crop_rule = CropRule::Torchvision;
  const Extent size = extent_or(fields, "size", image, max_image_side);
  out.mean = channels_or(fields, "mean", openai_mean);
  out.std = channels_or(fields, "std", openai_std);
  require_stds(fields, "std", out.std);
  // OpenCLIP takes bicubic for "random" too: that word is for training.
  out.resample =
      filter_of(fields, "interpolation", "bicubic", {{"bicubic", 3}, {"bilinear", 2}, {"random", 3}});
  const std::string mode = fields.string_or("resize_mode", "shortest");
  const auto fill = static_cast<uint8_t>(fields.integer_or("fill_color", 0, 0, 255));
  fields.only("mode", "RGB");
  fields.finish();
  out.resize_height = out.crop_height = size.height;
  out.resize_width = out.crop_width = size.width;
  if (mode == "squash") {
    out.rule = ResizeRule::Exact;
  } else if (mode == "longest") {
    out.rule = ResizeRule::Inside;
    out.fill = {fill, fill, fill};
  } else if (mode == "shortest") {
    out.rule = size.height == size.width ? ResizeRule::ShortestEdge : ResizeRule::Cover;
    if (out.rule == ResizeRule::Cover) out.resample = 3;  // open_clip hands its filter on for squares alone
  } else {
    fields.unsupported("resize_mode", "shortest, longest, squash");
  }
  return out;
}

PreprocessConfig read_timm_preprocess(Fields& fields, Extent image) {
  PreprocessConfig out;
  out.crop_rule = CropRule::Torchvision;
  out.mean = channels_or(fields, "mean", imagenet_mean);
  out.std = channels_or(fields, "std", imagenet_std);
  require_stds(fields, "std", out.std);
  out.resample = filter_of(
      fields, "interpolation", "bicubic",
      {{"nearest", 0}, {"lanczos", 1}, {"bilinear", 2}, {"bicubic", 3}, {"box", 4}, {"hamming", 5}});
  // A zero means the default to timm too.
  double share = fields.number_or("crop_pct", 0);
  if (share == 0) share = 0.875;
  require_data(share > 0 && share <= 16, fields.file(), fields.path_of("crop_pct"), " is ", share,
               ", expected above 0");
  const std::string mode = fields.string_or("crop_mode", "center");
  const auto scaled = [&](int64_t side) {
    const double value = std::floor(static_cast<double>(side) / share);
    require_data(value >= 1 && value <= static_cast<double>(max_image_side), fields.file(),
                 fields.path_of("crop_pct"), " is ", share, ": resizing to ", value);
    return static_cast<int64_t>(value);
  };
  out.resize_height = scaled(image.height), out.resize_width = scaled(image.width);
  out.crop_height = image.height, out.crop_width = image.width;
  if (mode == "squash") {
    out.rule = ResizeRule::Exact;
  } else if (mode == "border") {
    out.rule = ResizeRule::Inside;
    for (std::size_t c = 0; c < 3; ++c)
      out.fill[c] = static_cast<uint8_t>(std::clamp(std::nearbyint(255 * out.mean[c]), 0.0, 255.0));
  } else {  // any other word is "center" to timm
    out.rule = out.resize_height == out.resize_width ? ResizeRule::ShortestEdge : ResizeRule::Cover;
    if (mode != "center") fields.unsupported("crop_mode", "center, squash, border");
  }
  return out;
}

}  // namespace unisim
