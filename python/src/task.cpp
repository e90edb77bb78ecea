#include <pybind11/stl.h>

#include "convert.h"

namespace unisim {
namespace {

py::object operand_to(const Operand& operand) {
  if (const Picture* picture = std::get_if<Picture>(&operand)) return path_to(picture->path);
  return py::cast(std::get<Text>(operand));
}

py::object task_item(const Task& task, int64_t index) {
  const auto n = static_cast<int64_t>(task.items().size());
  if (index < 0) index += n;
  if (index < 0 || index >= n) throw py::index_error(text_of("item ", index, " of ", n));
  return py::cast(task.items()[static_cast<std::size_t>(index)]);
}

Task task_load(const py::object& task, const py::object& data) {
  std::filesystem::path folder = path_from(task);
  const std::filesystem::path pictures = data.is_none() ? std::filesystem::path() : path_from(data);
  if (!data.is_none() && !std::filesystem::exists(folder / "task.json"))
    folder = path_from(py::module_::import("unisim.importers").attr("cached_task")(task, data));
  const py::gil_scoped_release release;
  return Task::load(folder, pictures);
}

/// What the library does not decode, Pillow does.
Image decode(std::span<const std::byte> bytes, const std::filesystem::path& file) {
  try {
    return decode_image(bytes, file.string());
  } catch (const Unsupported&) {
    const py::gil_scoped_acquire acquire;
    try {
      return image_of_bytes(py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_Exception)) throw;
      throw DataError(file, py::str(error.value()).cast<std::string>());
    }
  }
}

Evaluation evaluated(const Task& task, const Metric& metric, const std::string& mode, const py::object& store,
                     const Task* examples, const py::object& progress) {
  EvaluateOptions options{.mode = mode, .decode = decode, .examples = examples, .progress = progress_from(progress)};
  if (!store.is_none()) options.store = path_from(store);
  const py::gil_scoped_release release;
  return evaluate(task, metric, options);
}

py::tuple pair_of(const Interval& interval) { return py::make_tuple(interval.low, interval.high); }

void init_task_class(py::module_& m) {
  py::class_<TaskItem>(m, "TaskItem", "One question of a task, and what people answered.")
      .def_property_readonly(
          "reference",
          [](const TaskItem& item) { return item.reference ? operand_to(*item.reference) : py::none(); },
          "A picture's path in the task (str), a Text, or None.")
      .def_property_readonly(
          "candidates",
          [](const TaskItem& item) {
            py::list list;
            for (const Operand& candidate : item.candidates) list.append(operand_to(candidate));
            return list;
          },
          "Paths (str) or Texts.")
      .def_readonly("label", &TaskItem::label, "The candidate that people chose.")
      .def_readonly("vote", &TaskItem::vote, "Share of people who preferred the second candidate, or None.")
      .def_readonly("group", &TaskItem::group, "By which results are given apart too.")
      .def_readonly("easy", &TaskItem::easy, "Retrieval: places in the database.")
      .def_readonly("hard", &TaskItem::hard, "Retrieval: places in the database.")
      .def_readonly("junk", &TaskItem::junk, "Retrieval: places in the database.");

  py::class_<Task>(m, "Task", R"(Items with human judgements: len(task), task[i].

Made by `Task.load` of a folder that `unisim import` wrote, or of a data set itself. docs/tasks.md has the format.)")
      .def_static("load", &task_load, py::arg("task"), py::arg("data") = py::none(),
                  R"(A task by its folder, or by the name of a data set.

Parameters
----------
task : path or str
    A folder that `unisim import` made; or a name that `unisim import --list` gives: then the data set in `data` is
    read by the library's rule first, and the task is kept in the cache folder.
data : path, optional
    The folder of the data set: where pictures lie that are not in the task's own.

Returns
-------
Task

Raises
------
OSError
    There is no such folder.
ValueError
    Something in it is not as its layout has it; file and line are named.
)")
      .def_property_readonly("name", &Task::name, "Of the data set.")
      .def_property_readonly("question", [](const Task& task) { return name_of(task.question()); },
                             "\"img-2afc\", \"it-2afc\", \"text-2afc\", \"iqa\", \"paa\", \"ooo\" or \"ir\".")
      .def_property_readonly("attribute", &Task::attribute, "Of iqa and paa; else empty.")
      .def_property_readonly("measure", &Task::measure, "\"accuracy\" or \"map\".")
      .def_property_readonly("manifest", &Task::manifest, "SHA-256 of task.json.")
      .def_property_readonly("database", &Task::database, "Retrieval: paths.")
      .def("file_of", [](const Task& task, const std::string& picture) { return path_to(task.file_of(picture).string()); },
           py::arg("picture"), "Where a picture lies.")
      .def("__len__", [](const Task& task) { return task.items().size(); })
      .def("__getitem__", &task_item, py::arg("index"))
      .def("__repr__", [](const Task& task) {
        return text_of("<unisim.Task ", task.name(), ", ", name_of(task.question()), ", ", task.items().size(), " items>");
      });
}

void init_evaluation(py::module_& m) {
  py::class_<AskedFacts>(m, "AskedFacts", "Of an item that a model was asked about.")
      .def_readonly("coverage", &AskedFacts::coverage, "Probability of all letters together, mean over the orders.")
      .def_readonly("bias", &AskedFacts::bias, "Lean to the first letter: 0 without one.")
      .def_property_readonly(
          "replies",
          [](const AskedFacts& asked) {
            py::list list;
            for (const std::string& reply : asked.replies) list.append(py::bytes(reply).attr("decode")("utf-8", "replace"));
            return list;
          },
          "What the model wrote, for each order; empty where probabilities alone were read.")
      .def_readonly("unparsable", &AskedFacts::unparsable,
                    "Mode \"text\": of the answers, how many name no option; else None.");

  py::class_<ItemResult>(m, "ItemResult", "What became of one item.")
      .def_readonly("scores", &ItemResult::scores,
                    "Of each candidate; odd one out: of the pair without it; retrieval: AP medium and hard.")
      .def_readonly("chosen", &ItemResult::chosen, "The candidate that the metric chose; -1: none.")
      .def_readonly("right", &ItemResult::right, "Whether people chose it too.")
      .def_readonly("asked", &ItemResult::asked, "AskedFacts where a model was asked, else None.")
      .def_readonly("tied", &ItemResult::tied, "The best scores are equal: the first is taken to be chosen.")
      .def_property_readonly("error", [](const ItemResult& item) { return path_to(item.error); }, "Why there is no score, or empty.");

  py::class_<Tally>(m, "Tally", "Items of one group, or all.")
      .def_readonly("group", &Tally::group, "Its name; empty: all items.")
      .def_readonly("n", &Tally::n, "Items with a score.")
      .def_readonly("right", &Tally::right, "Items where the metric chose as people did.")
      .def_readonly("ties", &Tally::ties, "Items whose best scores are equal.")
      .def_readonly("accuracy", &Tally::accuracy, "right / n.")
      .def_property_readonly("interval", [](const Tally& tally) { return pair_of(tally.interval); },
                             "Wilson's, 95 %: (low, high).");

  py::class_<Evaluation>(m, "Evaluation", "A metric held against a task: what `evaluate` found.")
      .def_readonly("task", &Evaluation::task, "Name of the task.")
      .def_readonly("metric", &Evaluation::metric, "Name of the metric.")
      .def_readonly("manifest", &Evaluation::manifest, "SHA-256 of the task's manifest.")
      .def_readonly("measure", &Evaluation::measure, "\"accuracy\" or \"map\".")
      .def_readonly("mode", &Evaluation::mode, "Of iqa and paa: \"naive\" or \"clip-iqa\".")
      .def_readonly("higher_is_better", &Evaluation::higher_is_better, "Of the metric.")
      .def_readonly("model", &Evaluation::model, "MetricModel: what the metric rests on.")
      .def_property_readonly("accuracy", [](const Evaluation& e) { return e.all.accuracy; },
                             "Share of items where the metric chose as people did, in [0, 1].")
      .def_property_readonly(
          "interval",
          [](const Evaluation& e) { return pair_of(e.measure == "map" ? e.medium_interval : e.all.interval); },
          "95 %: Wilson's of the accuracy; retrieval: bootstrap of mAP medium over queries.")
      .def_property_readonly("n", [](const Evaluation& e) { return e.all.n; }, "Items with a score.")
      .def_property_readonly("right", [](const Evaluation& e) { return e.all.right; }, "Items that are right.")
      .def_property_readonly("ties", [](const Evaluation& e) { return e.all.ties; },
                             "Items whose best scores are equal: counted as the first candidate.")
      .def_readonly("groups", &Evaluation::groups, "list of Tally.")
      .def_readonly("votes", &Evaluation::votes,
                    "Mean share of people on the metric's side, a tie half (Zhang et al. 2018), or None.")
      .def_readonly("map", &Evaluation::map_medium, "Retrieval: mAP medium in [0, 1], or None.")
      .def_readonly("map_hard", &Evaluation::map_hard, "Retrieval: mAP hard in [0, 1], or None.")
      .def_property_readonly("hard_interval", [](const Evaluation& e) { return pair_of(e.hard_interval); },
                             "Bootstrap over queries, 95 %.")
      .def_readonly("items", &Evaluation::items, "list of ItemResult, one an item.")
      .def_property_readonly(
          "failures",
          [](const Evaluation& e) {
            py::list list;
            for (const Failure& failure : e.failures)
              list.append(py::make_tuple(path_to(failure.file.string()), path_to(failure.error)));
            return list;
          },
          "Pictures that could not be read: (file, error).")
      .def_readonly("examples", &Evaluation::examples, "SHA-256 of each solved item before the asked ones.")
      .def_readonly("computed", &Evaluation::computed, "Rows, scores or judgements computed in this run.")
      .def_readonly("found", &Evaluation::found, "Rows, scores or judgements found in the store.")
      .def("__repr__", [](const Evaluation& e) {
        std::string text = text_of(e);
        text.pop_back();
        return "<unisim.Evaluation " + text + ">";
      });
}

}  // namespace

void init_task(py::module_& m) {
  init_task_class(m);
  init_evaluation(m);
  m.def("require_able", &require_able, py::arg("task"), py::arg("metric"),
        "ValueError, which says why, if the metric cannot do the task; `evaluate` asks it first.");
  m.def("evaluate", &evaluated, py::arg("task"), py::arg("metric"), py::kw_only(), py::arg("mode") = "naive",
        py::arg("store") = py::none(), py::arg("examples") = py::none(), py::arg("progress") = py::none(),
        R"(Hold a metric against human judgement.

A picture that cannot be read costs its items, and is named in `failures`; one that has changed since the task was made
ends the run. Where the metric finds two candidates equal it is taken to have chosen the first, and the tie is counted.

Parameters
----------
task : Task
metric : Metric
mode : {"naive", "clip-iqa"}
    How an image-text encoder is asked about quality and other attributes: see `Metric.attribute`.
store : path, optional
    A folder where rows and scores are kept by content: none is computed twice, and a run that was cut off goes on.
examples : Task, optional
    Where a metric with shots takes its solved items: those that share no picture with the task.
progress : callable, optional
    Called as progress(done, total), of pictures embedded, pairs compared or items asked; an exception from it ends the
    run.

Returns
-------
Evaluation

Raises
------
ValueError
    The metric cannot do the task (LPIPS and texts); a picture is not the one that the task was made of.
)");
}

}  // namespace unisim
