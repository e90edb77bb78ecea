#include <pybind11/stl.h>

#include "convert.h"
#include "vlm_doc.h"

namespace unisim {
namespace {

Item item_from(py::handle object) {
  if (py::isinstance<Text>(object)) return object.cast<Text>();
  return image_from(object);
}

/// A list or tuple, or a stack of images [n, H, W, 3]: everything else is one item.
bool is_many(py::handle object) {
  if (py::isinstance<py::list>(object) || py::isinstance<py::tuple>(object)) return true;
  return py::hasattr(object, "ndim") && object.attr("ndim").cast<int64_t>() == 4;
}

/// Images among themselves are read together, on threads; a text among them has each read alone.
std::vector<Item> items_from(py::handle object) {
  const py::list list(py::reinterpret_borrow<py::object>(object));
  std::vector<Item> items;
  if (std::any_of(list.begin(), list.end(), [](py::handle one) { return py::isinstance<Text>(one); })) {
    for (const py::handle one : list) items.push_back(item_from(one));
  } else {
    for (Image& image : images_from(list)) items.emplace_back(std::move(image));
  }
  return items;
}

std::vector<Item> many_from(py::handle object, const std::string& operation) {
  if (!is_many(object))
    throw py::type_error(text_of("[", operation, "] expected a list of items, found one ",
                                 py::str(py::type::handle_of(object).attr("__name__")).cast<std::string>()));
  return items_from(object);
}

py::object scores(const Metric& metric, const py::object& x, const py::object& y,
                  const py::object& progress) {
  const bool many = is_many(x);
  if (many != is_many(y))
    throw py::type_error(text_of("[", metric.name(),
                                 "] one side is a list, the other a single item; "
                                 "rank compares one with many"));
  const Progress report = progress_from(progress);
  if (!many) {
    const Item a = item_from(x), b = item_from(y);
    const py::gil_scoped_release release;
    const double score = metric(a, b);
    const py::gil_scoped_acquire acquire;
    return py::float_(score);
  }
  const std::vector<Item> a = items_from(x), b = items_from(y);
  Tensor result;
  {
    const py::gil_scoped_release release;
    result = metric(a, b, report);
  }
  return py::cast(result);
}

Ranking ranking(const Metric& metric, const py::object& reference, const py::object& candidates,
                const py::object& progress) {
  const Progress report = progress_from(progress);
  const Item first = item_from(reference);
  const std::vector<Item> others = many_from(candidates, metric.name() + " rank");
  const py::gil_scoped_release release;
  return metric.rank(first, others, report);
}

void init_text(py::module_& m) {
  py::class_<Text>(m, "Text", R"(Marks a text wherever an image may stand too: a plain str is a path.

Parameters
----------
text : str

Examples
--------
>>> import unisim
>>> unisim.Text("a red cup")
Text('a red cup')
)")
      .def(py::init([](std::string text) { return Text{std::move(text)}; }), py::arg("text"))
      .def_readonly("text", &Text::text, "The text itself.")
      .def(
          "__eq__", [](const Text& a, const Text& b) { return a.text == b.text; }, py::is_operator())
      .def("__hash__", [](const Text& text) { return py::hash(py::str(text.text)); })
      .def("__repr__",
           [](const Text& text) { return "Text(" + py::repr(py::str(text.text)).cast<std::string>() + ")"; });
}

void init_ranking(py::module_& m) {
  py::class_<Ranking>(m, "Ranking", "What `Metric.ranking` found.")
      .def_readonly("order", &Ranking::order, "Indices of the candidates, most similar first.")
      .def_readonly("scores", &Ranking::scores, "The score of each candidate, in the order given.")
      .def_readonly("tied", &Ranking::tied, "Whether some two scores are equal.")
      .def("__repr__", [](const Ranking& found) {
        return text_of("<unisim.Ranking of ", found.order.size(), found.tied ? ", tied>" : ">");
      });
}

void init_metric_model(py::module_& m) {
  py::class_<MetricModel>(m, "MetricModel", "What a metric rests on, for tables beside its scores.")
      .def_readonly("sha256", &MetricModel::sha256,
                    "Of the model's files, its settings and how it computes; empty: of the pixels alone.")
      .def_readonly("parameters", &MetricModel::parameters,
                    "Floating point numbers in the weights; 0: of the pixels alone.")
      .def_readonly("image_size", &MetricModel::image_size,
                    "Height, in pixels, of what the model sees; 0: pictures at their own size.")
      .def_readonly("dtype", &MetricModel::dtype, "What it computes in.")
      .def("__repr__", [](const MetricModel& model) {
        return text_of("<unisim.MetricModel of ", model.parameters, " parameters, ", model.dtype, ">");
      });
}

void init_metric_class(py::module_& m) {
  py::class_<Metric>(m, "Metric", R"(Rates pairs of items by the number that the metric's authors define.

An item is an image (a path, bytes, PIL.Image, numpy uint8 [H, W, 3] or [H, W], unisim.Image) or a `Text`. A
metric refuses by name what it cannot read. Made by `metric` and `by_cosine`. Safe to share between threads.)")
      .def_property_readonly("name", &Metric::name, "As `metric` understands it.")
      .def_property_readonly("higher_is_better", &Metric::higher_is_better,
                             "False for a distance (LPIPS), True for a similarity.")
      .def_property_readonly("model", &Metric::model, py::call_guard<py::gil_scoped_release>(),
                             "MetricModel: size and hash of what it rests on. Reads the model's files when first asked.")
      .def("__repr__", [](const Metric& metric) { return "<unisim.Metric " + metric.name() + ">"; })
      .def("__call__", &scores, py::arg("x"), py::arg("y"), py::kw_only(), py::arg("progress") = py::none(),
           R"(The score of one pair, or of x[i] with y[i].

Parameters
----------
x, y : item, or list of items of equal length
    Lists are list, tuple, or uint8 arrays [n, H, W, 3]. An item that comes again is computed on once.
progress : callable, optional
    Called as progress(pairs done, pairs); an exception from it ends the run.

Returns
-------
float or torch.Tensor
    One number for one pair, [n] float64 on the CPU for lists.

Raises
------
ValueError
    Lists of unequal length, images of two sizes or too small for the metric, a text that it cannot read, a bad
    file.
)")
      .def(
          "rank",
          [](const Metric& metric, const py::object& reference, const py::object& candidates,
             const py::object& progress) { return ranking(metric, reference, candidates, progress).order; },
          py::arg("reference"), py::arg("candidates"), py::kw_only(), py::arg("progress") = py::none(),
          R"(Indices of the candidates, most similar to the reference first, whatever the metric's sign.

Equal scores keep the order given; `ranking` tells that there are some, and the scores.

Parameters
----------
reference : item
candidates : list of items
    At least one.
progress : callable, optional
    Called as progress(candidates done, candidates); an exception from it ends the run.

Returns
-------
list of int
)")
      .def("ranking", &ranking, py::arg("reference"), py::arg("candidates"), py::kw_only(),
           py::arg("progress") = py::none(),
           R"(As `rank`, with the scores and whether any are tied.

Returns
-------
Ranking
)")
      .def(
          "odd_one_out",
          [](const Metric& metric, const py::object& images) {
            const std::vector<Item> items = many_from(images, metric.name() + " odd_one_out");
            const py::gil_scoped_release release;
            return metric.odd_one_out(items);
          },
          py::arg("images"), R"(Index of the item outside the most similar pair.

Of more than three, the one of the lowest mean similarity to the others. A tie is the lowest index.

Parameters
----------
images : list of items
    At least three.

Returns
-------
int
)")
      .def(
          "attribute",
          [](const Metric& metric, const py::object& images, const std::string& attribute,
             const std::string& mode) {
            const std::vector<Image> read = images_from(images);
            const py::gil_scoped_release release;
            return metric.attribute(read, attribute, mode);
          },
          py::arg("images"), py::arg("attribute"), py::kw_only(), py::arg("mode") = "naive",
          R"(How much of an attribute each picture has, by the prompts of UniSim-Bench (arXiv 2412.10594).

Parameters
----------
images : image or list of images
attribute : {"quality", "brightness", "colorfulness", "contrast", "sharpness"}
mode : {"naive", "clip-iqa"}
    "naive": the cosine with one prompt, in [-1, 1]. "clip-iqa": the share of the first of two opposite prompts in
    the softmax of both cosines, in (0, 1) (Wang et al., arXiv 2207.12396, without its temperature).

Returns
-------
list of float
    One an image; higher: more of it.

Raises
------
ValueError
    Another attribute or mode; a metric without a text tower.
)");
}

void init_makers(py::module_& m) {
  m.def(
      "metric",
      [](const std::string& name, const py::object& device, const std::string& dtype,
         std::optional<int64_t> layer, const std::optional<std::string>& pool, const std::string& mode, bool swap,
         int64_t shots, uint64_t seed, bool reason, const std::optional<std::string>& prompt_template, const Vlm* vlm) {
        const MetricOptions options{device_from(device, "metric"), dtype_from_name(dtype), layer, pool_from(pool),
                                    {mode, swap, shots, seed, reason, prompt_template.value_or("")}};
        const py::gil_scoped_release release;
        return vlm ? metric(name, *vlm, options) : metric(name, options);
      },
      py::arg("name"), py::kw_only(), py::arg("device") = "cpu", py::arg("dtype") = "float32",
      py::arg("layer") = py::none(), py::arg("pool") = py::none(), py::arg("mode") = "probability",
      py::arg("swap") = true, py::arg("shots") = 0, py::arg("seed") = 0, py::arg("reason") = false,
      py::arg("template") = py::none(), py::arg("vlm") = py::none(), R"(A metric by name.

Parameters
----------
name : str
    "ssim" (Wang et al. 2004), "ms-ssim" (Wang et al. 2003), "psnr" (dB): of the pixels alone.
    "lpips-alex", "lpips-vgg": the distance of Zhang et al. 2018, v0.1, installed by ``unisim get lpips-alex``, or
    in a folder: "lpips-alex:FOLDER".
    "gmsd": the deviation of the similarity of gradients (Xue et al. 2014), a distance in [0, 0.5).
    "dists:FOLDER": the distance of Ding et al. 2022; docs/metrics.md has the folder's layout.
    "clipscore:FOLDER": 2.5 max(cosine, 0) of an image and a text behind "A photo depicts " (Hessel et al. 2021), in
    [0, 2.5], by an encoder with a text tower. Texts too long lose their last words, not the end token.
    "dreamsim:FOLDER": the distance of Fu et al. 2023, in [0, 2]; docs/metrics.md has the folder's layout.
    "encoder:FOLDER": the cosine of two embeddings. Options may follow, and win over the keywords:
    "encoder:FOLDER,layer=9,pool=mean".
    "vlm:FOLDER": what a vision-language model answers when asked: see `by_asking`.
device, dtype : str
    Where and in what a model computes.
layer : int, optional
    A hidden layer of the encoder, with the final norm, instead of its own output; images alone.
pool : {"cls", "mean"}, optional
    How that layer becomes one row.
mode, swap, shots, seed, reason, template
    Of vlm metrics: see `by_asking`.
vlm : Vlm, optional
    The model of "vlm:FOLDER", loaded already from that folder: several metrics then share it and what it keeps of
    pictures. Device and dtype are its own.

Returns
-------
Metric

Raises
------
ValueError
    An unknown name or option (the known ones are listed), a model that is not there, a folder that is none.
NotImplementedError
    A field of the model's configuration that is not honoured.
)");
  m.def(
      "by_cosine",
      [](const Encoder& encoder, std::optional<int64_t> layer, const std::optional<std::string>& pool) {
        return by_cosine(encoder, {.layer = layer, .pool = pool_from(pool)});
      },
      py::arg("encoder"), py::kw_only(), py::arg("layer") = py::none(), py::arg("pool") = py::none(),
      R"(The cosine of an encoder already loaded, as a metric: image to image and, with a text tower, to texts.

Parameters
----------
encoder : Encoder
layer, pool
    As for `metric`.

Returns
-------
Metric
)");
  m.def(
      "by_asking",
      [](const Vlm& vlm, const std::string& mode, bool swap, int64_t shots, uint64_t seed, bool reason,
         const std::optional<std::string>& prompt_template) {
        return by_asking(vlm, {mode, swap, shots, seed, reason, prompt_template.value_or("")});
      },
      py::arg("vlm"), py::kw_only(), py::arg("mode") = "probability", py::arg("swap") = true, py::arg("shots") = 0,
      py::arg("seed") = 0, py::arg("reason") = false, py::arg("template") = py::none(), kByAskingDoc);
  m.def(
      "by_tools",
      [](const Vlm& vlm, const std::vector<Metric>& metrics, const std::string& mode, bool swap, int64_t shots,
         uint64_t seed, bool reason, const std::optional<std::string>& prompt_template) {
        return by_tools(vlm, metrics, {mode, swap, shots, seed, reason, prompt_template.value_or("")});
      },
      py::arg("vlm"), py::arg("metrics"), py::kw_only(), py::arg("mode") = "probability", py::arg("swap") = true,
      py::arg("shots") = 0, py::arg("seed") = 0, py::arg("reason") = false, py::arg("template") = py::none(),
      R"(As `by_asking`, with what encoder metrics say of the same pictures before each question.

Parameters
----------
vlm : Vlm
metrics : list of Metric
    Each gives a line of the table: its name, its direction, and its value of each candidate to three digits.
mode, swap, shots, seed, reason, template
    As for `by_asking`.

Returns
-------
Metric
)");
  m.def("metric_names", &metric_names, R"(The names that `metric` understands, FOLDER standing for a model.

Returns
-------
list of str
)");
}

}  // namespace

void init_metric(py::module_& m) {
  init_text(m);
  init_ranking(m);
  init_metric_model(m);
  init_metric_class(m);
  init_makers(m);
}

}  // namespace unisim
