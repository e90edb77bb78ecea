#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "convert.h"
#include "vlm_doc.h"

namespace unisim {
namespace {

/// unisim.PICTURE: where a picture stands in a prompt of parts.
struct PictureMark {};

/// A str, or a list of str and unisim.PICTURE.
VlmWords words_from(const py::handle prompt) {
  if (py::isinstance<py::str>(prompt)) return prompt.cast<std::string>();
  if (is_bytes(prompt) || !py::isinstance<py::sequence>(prompt))
    throw py::type_error(text_of("[Vlm] the prompt is a ", Py_TYPE(prompt.ptr())->tp_name,
                                 ", expected str, or a list of str and unisim.PICTURE"));
  std::vector<VlmPart> parts;
  for (const py::handle part : py::reinterpret_borrow<py::sequence>(prompt)) {
    const bool picture = py::isinstance<PictureMark>(part);
    if (!picture && !py::isinstance<py::str>(part))
      throw py::type_error(text_of("[Vlm] a part of the prompt is a ", Py_TYPE(part.ptr())->tp_name,
                                   ", expected str or unisim.PICTURE"));
    parts.push_back({picture, picture ? "" : part.cast<std::string>()});
  }
  return parts;
}

PromptOptions prompt_from(const std::optional<std::string>& name, const py::sequence& before) {
  PromptOptions options{.template_name = name.value_or("")};
  for (const py::handle turn : before) {
    const auto [prompt, pictures, answer] = turn.cast<std::tuple<py::object, int64_t, std::string>>();
    options.before.push_back({words_from(prompt), pictures, answer});
  }
  return options;
}

/// None is no image at all.
std::vector<Image> pictures_from(const py::object& images) {
  if (images.is_none()) return {};
  return images_from(images);
}

/// Choices as a list of str: a lone str is a mistake that would be taken letter by letter.
std::vector<std::string> choices_from(const py::object& choices) {
  if (py::isinstance<py::str>(choices)) throw py::type_error("[choose] choices is one str, expected a list of them");
  return choices.cast<std::vector<std::string>>();
}

ChooseOptions choose_options(const std::optional<std::string>& name, const py::sequence& before,
                             const std::string& length, bool first_token, bool kept_prefixes) {
  return {.prompt = prompt_from(name, before),
          .length = length,
          .kept_prefixes = kept_prefixes,
          .first_token = first_token};
}

std::vector<VlmItem> items_from(const py::sequence& items) {
  std::vector<VlmItem> read;
  for (const py::handle item : items) {
    const auto parts = py::reinterpret_borrow<py::sequence>(item);
    if (parts.size() != 3) throw py::type_error("[choose_many] an item is (images, prompt, choices)");
    read.push_back({pictures_from(parts[0]), words_from(parts[1]), choices_from(parts[2])});
  }
  return read;
}

py::object generated(const Vlm& vlm, const py::object& images, const py::object& prompt, int64_t max_new_tokens,
                     const std::optional<std::string>& name, const py::object& stop, bool return_ids,
                     const py::sequence& before, bool kept_prefixes, const py::object& progress) {
  GenerateOptions options{
      .prompt = prompt_from(name, before), .max_new_tokens = max_new_tokens, .kept_prefixes = kept_prefixes};
  if (py::isinstance<py::str>(stop))
    options.stop = {stop.cast<std::string>()};
  else if (!stop.is_none())
    options.stop = stop.cast<std::vector<std::string>>();
  options.progress = progress_from(progress);
  const std::vector<Image> pictures = pictures_from(images);
  const VlmWords words = words_from(prompt);
  Generated made;
  {
    const py::gil_scoped_release release;
    made = vlm.generate(pictures, words, options);
  }
  // Greedy decoding may end within a letter: what is no UTF-8 becomes U+FFFD.
  const py::object text = py::bytes(made.text).attr("decode")("utf-8", "replace");
  return return_ids ? py::object(py::make_tuple(text, made.ids)) : text;
}

void bind_results(py::module_& m) {
  py::class_<Choice>(m, "Choice", "What a model says of the choices it was given: `Vlm.choose`.")
      .def_readonly("probabilities", &Choice::probabilities, "Over the choices, sum 1.")
      .def_readonly("log_probabilities", &Choice::log_probabilities,
                    "Sum (or mean) of log p of each choice's tokens, of the whole vocabulary.")
      .def_readonly("best", &Choice::best, "Index of the most probable; the first of equals.")
      .def_readonly("coverage", &Choice::coverage,
                    "Probability of all choices together; low: the model wanted to say something else.")
      .def("__repr__", [](const Choice& choice) {
        return text_of("<unisim.Choice ", choice.best, " of ", choice.probabilities.size(), ", coverage ",
                       choice.coverage, ">");
      });
  py::class_<VlmPrompt>(m, "VlmPrompt", "A prompt as the model sees it: `Vlm.prompt`.")
      .def_readonly("ids", &VlmPrompt::ids, "Token ids, a picture spread over its rows.")
      .def_readonly("pictures", &VlmPrompt::pictures, "(first id, rows) of each picture.")
      .def_readonly("text", &VlmPrompt::text, "For people: <image> where a picture stands.")
      .def("__repr__", [](const VlmPrompt& prompt) {
        return text_of("<unisim.VlmPrompt of ", prompt.ids.size(), " tokens>");
      });
  py::class_<VlmCounts>(m, "VlmCounts", "What a model computed and found again since it was loaded.")
      .def_readonly("tower_tiles", &VlmCounts::tower_tiles, "Tiles that a tower was run on.")
      .def_readonly("features_found", &VlmCounts::features_found, "Pictures whose rows were kept.")
      .def_readonly("decoder_rows", &VlmCounts::decoder_rows, "Rows that the decoder computed.")
      .def_readonly("prefix_rows", &VlmCounts::prefix_rows, "Rows that a kept prefix spared.")
      .def("__repr__", [](const VlmCounts& counts) {
        return text_of("<unisim.VlmCounts ", counts.tower_tiles, " tiles, ", counts.decoder_rows, " rows>");
      });
}

void bind_properties(py::class_<Vlm>& type) {
  type.def_property_readonly("name", &Vlm::name, "The last part of the folder's path.")
      .def_property_readonly(
          "folder",
          [](const Vlm& vlm) { return py::module_::import("pathlib").attr("Path")(path_to(vlm.folder().string())); },
          "The model's folder.")
      .def_property_readonly("family", &Vlm::family,
                             "\"llava\", \"llava_onevision\", \"internvl\" or \"llava_mof\".")
      .def_property_readonly("executor", &Vlm::executor, "What runs: \"aten\" or \"fused\".")
      .def_property_readonly("device", [](const Vlm& vlm) { return vlm.device().str(); }, "\"cpu\" or \"cuda:0\".")
      .def_property_readonly("dtype", [](const Vlm& vlm) { return name_of(vlm.dtype()); }, "What is computed in.")
      .def_property_readonly("parameters", &Vlm::parameters, "Floating point numbers in the weights.")
      .def_property_readonly("context", &Vlm::context, "The longest sequence, in tokens.")
      .def_property_readonly(
          "facts",
          [](const Vlm& vlm) {
            py::dict facts;
            for (const auto& [name, value] : vlm.facts()) facts[py::str(name)] = value;
            return facts;
          },
          "dict of str: what the folder says, and the memory that it takes, for people.")
      .def_property_readonly("counts", &Vlm::counts, "VlmCounts.")
      .def("__repr__", [](const Vlm& vlm) { return "<unisim.Vlm " + vlm.name() + ">"; });
}

void bind_asking(py::class_<Vlm>& type) {
  type.def(
          "choose",
          [](const Vlm& vlm, const py::object& images, const py::object& prompt, const py::object& choices,
             const std::optional<std::string>& name, const std::string& length, bool first_token,
             const py::sequence& before, bool kept_prefixes) {
            const ChooseOptions options = choose_options(name, before, length, first_token, kept_prefixes);
            const std::vector<std::string> asked = choices_from(choices);
            const std::vector<Image> pictures = pictures_from(images);
            const VlmWords words = words_from(prompt);
            const py::gil_scoped_release release;
            return vlm.choose(pictures, words, asked, options);
          },
          py::arg("images"), py::arg("prompt"), py::arg("choices"), py::kw_only(), py::arg("template") = py::none(),
          py::arg("length") = "sum", py::arg("first_token") = false, py::arg("before") = py::tuple(),
          py::arg("kept_prefixes") = true, kChooseDoc)
      .def(
          "choose_many",
          [](const Vlm& vlm, const py::sequence& items, const std::optional<std::string>& name,
             const std::string& length, bool first_token, const py::sequence& before, bool kept_prefixes,
             const py::object& progress) {
            const ChooseOptions options = choose_options(name, before, length, first_token, kept_prefixes);
            const Progress report = progress_from(progress);
            const std::vector<VlmItem> asked = items_from(items);
            const py::gil_scoped_release release;
            return vlm.choose_many(asked, options, report);
          },
          py::arg("items"), py::kw_only(), py::arg("template") = py::none(), py::arg("length") = "sum",
          py::arg("first_token") = false, py::arg("before") = py::tuple(), py::arg("kept_prefixes") = true,
          py::arg("progress") = py::none(), kChooseManyDoc)
      .def("generate", &generated, py::arg("images"), py::arg("prompt"), py::arg("max_new_tokens") = 64, py::kw_only(),
           py::arg("template") = py::none(), py::arg("stop") = py::none(), py::arg("return_ids") = false,
           py::arg("before") = py::tuple(), py::arg("kept_prefixes") = true, py::arg("progress") = py::none(),
           kGenerateDoc);
}

void bind_steps(py::class_<Vlm>& type) {
  const auto planned = [](const Vlm& vlm, const py::object& images, const py::object& prompt,
                          const std::optional<std::string>& name, const py::sequence& before) {
    const PromptOptions options = prompt_from(name, before);
    const std::vector<Image> pictures = pictures_from(images);
    const VlmWords words = words_from(prompt);
    const py::gil_scoped_release release;
    return vlm.encode(pictures, words, options);
  };
  type.def(
          "encode",
          [planned](const Vlm& vlm, const py::object& images, const py::object& prompt,
                    const std::optional<std::string>& name, const py::sequence& before) {
            return planned(vlm, images, prompt, name, before).ids;
          },
          py::arg("images"), py::arg("prompt"), py::kw_only(), py::arg("template") = py::none(),
          py::arg("before") = py::tuple(), kEncodeDoc)
      .def("prompt", planned, py::arg("images"), py::arg("prompt"), py::kw_only(), py::arg("template") = py::none(),
           py::arg("before") = py::tuple(), kPromptDoc)
      .def(
          "preprocess",
          [](const Vlm& vlm, const py::object& images) {
            const std::vector<Image> pictures = pictures_from(images);
            const py::gil_scoped_release release;
            return vlm.preprocess(pictures);
          },
          py::arg("images"), kPreprocessDoc)
      .def(
          "image_features",
          [](const Vlm& vlm, const py::object& images) {
            const std::vector<Image> pictures = pictures_from(images);
            const py::gil_scoped_release release;
            return vlm.image_features(pictures);
          },
          py::arg("images"), kFeaturesDoc)
      .def(
          "logits",
          [](const Vlm& vlm, const py::object& images, const py::object& prompt,
             const std::optional<std::string>& name, const py::sequence& before) {
            const PromptOptions options = prompt_from(name, before);
            const std::vector<Image> pictures = pictures_from(images);
            const VlmWords words = words_from(prompt);
            const py::gil_scoped_release release;
            return vlm.logits(pictures, words, options);
          },
          py::arg("images"), py::arg("prompt"), py::kw_only(), py::arg("template") = py::none(),
          py::arg("before") = py::tuple(), kLogitsDoc);
}

}  // namespace

void init_vlm(py::module_& m) {
  py::class_<PictureMark>(m, "_Picture", kPictureDoc).def("__repr__", [](const PictureMark&) { return "unisim.PICTURE"; });
  m.attr("PICTURE") = PictureMark{};
  bind_results(m);
  py::class_<Vlm> type(m, "Vlm", kVlmDoc);
  type.def_static(
      "load",
      [](const py::object& folder, const py::object& device, const std::string& dtype, const std::string& executor,
         int64_t feature_bytes, int64_t prefix_bytes) {
        const VlmOptions options{device_from(device, "Vlm.load"), dtype_from_name(dtype), executor, feature_bytes,
                                 prefix_bytes};
        const std::filesystem::path path = path_from(folder);
        const py::gil_scoped_release release;
        return Vlm::load(path, options);
      },
      py::arg("folder"), py::kw_only(), py::arg("device") = "cpu", py::arg("dtype") = "float32",
      py::arg("executor") = "auto", py::arg("feature_bytes") = int64_t{256} << 20,
      py::arg("prefix_bytes") = int64_t{512} << 20, kLoadDoc);
  bind_properties(type);
  bind_asking(type);
  bind_steps(type);
  m.def("vlm_templates", &vlm_templates, "Names of the templates that a prompt may be put in; \"raw\": none.");
}

}  // namespace unisim
