#include <pybind11/stl.h>

#include "convert.h"
#include "encoder_doc.h"

namespace unisim {
namespace {

EmbedOptions options_from(std::optional<int64_t> batch_size, bool normalize, std::optional<int64_t> layer,
                          const std::optional<std::string>& pool, py::handle progress) {
  EmbedOptions options;
  require(!batch_size || *batch_size > 0, "[batch_size] is ", batch_size.value_or(0), ", expected 1 or more");
  options.batch_size = batch_size.value_or(0);
  options.normalize = normalize;
  options.layer = layer;
  options.pool = pool_from(pool);
  options.progress = progress_from(progress);
  return options;
}

std::vector<std::string> texts_from(py::handle texts) {
  if (py::isinstance<py::str>(texts)) return {texts.cast<std::string>()};
  return texts.cast<std::vector<std::string>>();
}

py::tuple rows_of_files(const Encoder& encoder, py::handle files, const EmbedOptions& options,
                        const ReadOptions& reading) {
  std::vector<std::filesystem::path> paths;
  for (const py::handle file : files) paths.push_back(path_from(file));
  FileRows result;
  {
    py::gil_scoped_release release;
    result = encoder.embed_files(paths, options, reading);
  }
  py::list failures;
  for (const Failure& failure : result.failures)
    failures.append(py::make_tuple(path_to(failure.file.string()), path_to(failure.error)));
  return py::make_tuple(result.rows, result.index, failures);
}

void bind_properties(py::class_<Encoder>& type) {
  type.def_property_readonly("name", &Encoder::name, "The last part of the folder's path, or ORG/REPO.")
      .def_property_readonly(
          "folder",
          [](const Encoder& e) {
            return py::module_::import("pathlib").attr("Path")(path_to(e.folder().string()));
          },
          "The model's folder.")
      .def_property_readonly("family", &Encoder::family, "\"clip\", \"siglip\", \"dinov2\" or \"vit\".")
      .def_property_readonly("executor", &Encoder::executor, "What runs: \"aten\" or \"fused\".")
      .def_property_readonly(
          "device", [](const Encoder& e) { return e.device().str(); }, "\"cpu\" or \"cuda:0\".")
      .def_property_readonly(
          "dtype", [](const Encoder& e) { return name_of(e.dtype()); }, "What the towers compute in.")
      .def_property_readonly("dim", &Encoder::dim, "Width of an embedding.")
      .def_property_readonly("image_size", &Encoder::image_size,
                             "Height of the picture that preprocess makes.")
      .def_property_readonly("layers", &Encoder::layers, "Blocks of the image tower.")
      .def_property_readonly("parameters", &Encoder::parameters,
                             "Floating point numbers in the weights, of all towers.")
      .def_property_readonly("has_text", &Encoder::has_text, "Whether there is a text tower.")
      .def_property_readonly(
          "facts",
          [](const Encoder& e) {
            py::dict facts;
            for (const auto& [key, value] : e.facts()) facts[py::str(key)] = value;
            return facts;
          },
          "What the folder's files say, for people: preprocessing, activation, pooling, ...")
      .def("__repr__", [](const Encoder& e) {
        return text_of("<unisim.Encoder ", e.name(), ": ", e.family(), ", dim ", e.dim(), ", ",
                       e.device().str(), ", ", name_of(e.dtype()), ">");
      });
}

void bind_load(py::class_<Encoder>& type) {
  type.def_static(
      "load",
      [](py::handle path_or_name, py::handle device, const std::string& dtype, const std::string& executor,
         bool batch_invariant) {
        const EncoderOptions options{.device = device_from(device, "Encoder.load"),
                                     .dtype = dtype_from_name(dtype),
                                     .executor = executor,
                                     .batch_invariant = batch_invariant};
        const std::string name = path_from(path_or_name).string();
        py::gil_scoped_release release;
        return Encoder::load(name, options);
      },
      py::arg("path_or_name"), py::kw_only(), py::arg("device") = "cpu", py::arg("dtype") = "float32",
      py::arg("executor") = "fused", py::arg("batch_invariant") = false, encoder_doc::load);
}

void bind_images(py::class_<Encoder>& type) {
  type.def(
      "preprocess",
      [](const Encoder& encoder, py::handle images) {
        const auto pictures = images_from(images);
        py::gil_scoped_release release;
        return encoder.preprocess(pictures);
      },
      py::arg("images"), encoder_doc::preprocess);
  type.def(
      "embed_images",
      [](const Encoder& encoder, py::handle images, std::optional<int64_t> batch_size, bool normalize,
         std::optional<int64_t> layer, const std::optional<std::string>& pool, py::handle progress) {
        const EmbedOptions options = options_from(batch_size, normalize, layer, pool, progress);
        const auto pictures = images_from(images);
        py::gil_scoped_release release;
        return encoder.embed_images(pictures, options);
      },
      py::arg("images"), py::kw_only(), py::arg("batch_size") = py::none(), py::arg("normalize") = true,
      py::arg("layer") = py::none(), py::arg("pool") = py::none(), py::arg("progress") = py::none(),
      encoder_doc::embed_images);
  type.def(
      "embed_files",
      [](const Encoder& encoder, py::handle files, std::optional<int64_t> batch_size, bool normalize,
         std::optional<int64_t> layer, const std::optional<std::string>& pool, bool apply_orientation,
         py::handle progress) {
        ReadOptions reading;
        reading.apply_orientation = apply_orientation;
        return rows_of_files(encoder, files, options_from(batch_size, normalize, layer, pool, progress),
                             reading);
      },
      py::arg("files"), py::kw_only(), py::arg("batch_size") = py::none(), py::arg("normalize") = true,
      py::arg("layer") = py::none(), py::arg("pool") = py::none(), py::arg("apply_orientation") = false,
      py::arg("progress") = py::none(), encoder_doc::embed_files);
  type.def(
      "embed_pixels",
      [](const Encoder& encoder, py::handle pixels, std::optional<int64_t> batch_size, bool normalize,
         std::optional<int64_t> layer, const std::optional<std::string>& pool, py::handle progress) {
        const EmbedOptions options = options_from(batch_size, normalize, layer, pool, progress);
        const Tensor tensor = tensor_from(pixels);
        py::gil_scoped_release release;
        return encoder.embed_pixels(tensor, options);
      },
      py::arg("pixels"), py::kw_only(), py::arg("batch_size") = py::none(), py::arg("normalize") = true,
      py::arg("layer") = py::none(), py::arg("pool") = py::none(), py::arg("progress") = py::none(),
      encoder_doc::embed_pixels);
  type.def(
      "patch_tokens",
      [](const Encoder& encoder, py::handle images, std::optional<int64_t> layer) {
        // Four dimensions of floats are pixels; all else is pictures.
        const bool given_pixels = py::isinstance(images, py::module_::import("torch").attr("Tensor"));
        if (given_pixels) {
          const Tensor pixels = tensor_from(images);
          py::gil_scoped_release release;
          return encoder.patch_tokens(pixels, layer);
        }
        const auto pictures = images_from(images);
        py::gil_scoped_release release;
        return encoder.patch_tokens(pictures, layer);
      },
      py::arg("images"), py::kw_only(), py::arg("layer") = py::none(), encoder_doc::patch_tokens);
}

void bind_texts(py::class_<Encoder>& type) {
  type.def(
      "tokenize",
      [](const Encoder& encoder, py::handle texts) {
        const auto strings = texts_from(texts);
        py::gil_scoped_release release;
        return encoder.tokenize(strings);
      },
      py::arg("texts"), encoder_doc::tokenize);
  type.def(
      "embed_texts",
      [](const Encoder& encoder, py::handle texts, std::optional<int64_t> batch_size, bool normalize,
         py::handle progress) {
        const EmbedOptions options = options_from(batch_size, normalize, {}, {}, progress);
        const auto strings = texts_from(texts);
        py::gil_scoped_release release;
        return encoder.embed_texts(strings, options);
      },
      py::arg("texts"), py::kw_only(), py::arg("batch_size") = py::none(), py::arg("normalize") = true,
      py::arg("progress") = py::none(), encoder_doc::embed_texts);
  type.def(
      "embed_tokens",
      [](const Encoder& encoder, py::handle ids, std::optional<int64_t> batch_size, bool normalize,
         py::handle progress) {
        const EmbedOptions options = options_from(batch_size, normalize, {}, {}, progress);
        const Tensor tensor = tensor_from(ids);
        py::gil_scoped_release release;
        return encoder.embed_tokens(tensor, options);
      },
      py::arg("ids"), py::kw_only(), py::arg("batch_size") = py::none(), py::arg("normalize") = true,
      py::arg("progress") = py::none(), encoder_doc::embed_tokens);
}

}  // namespace

void init_encoder(py::module_& m) {
  py::class_<Encoder> type(m, "Encoder", "An image encoder, with its text tower where the model has one.");
  bind_load(type);
  bind_properties(type);
  bind_images(type);
  bind_texts(type);
}

}  // namespace unisim
