#include <ATen/ops/empty.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "convert.h"

namespace unisim {
namespace {

/// A float32 tensor [dim] on the CPU: numbers are stored as they are, so nothing is rounded here.
std::span<const float> row_from(const Tensor& row) {
  require(row.dim() == 1 && row.scalar_type() == at::kFloat && row.is_cpu() && row.is_contiguous(),
          "[store] expected a row [dim], float32, contiguous, on the CPU, found ", row.toString(), " of ",
          row.dim(), " dimensions");
  return {row.const_data_ptr<float>(), static_cast<std::size_t>(row.numel())};
}

py::object found_row(const Store& store, const std::string& model, const std::string& content) {
  std::optional<std::vector<float>> row;
  {
    const py::gil_scoped_release release;
    row = store.find(model, content);
  }
  if (!row) return py::none();
  const Tensor out = at::empty({static_cast<int64_t>(row->size())}, at::kFloat);
  std::ranges::copy(*row, out.data_ptr<float>());
  return py::cast(out);
}

void init_counts(py::module_& m) {
  py::class_<StoreCounts>(m, "StoreCounts", "What `Store.counts` counted.")
      .def_readonly("rows", &StoreCounts::rows, "Rows committed in the folder, by whomever.")
      .def_readonly("scores", &StoreCounts::scores, "Scores committed in the folder.")
      .def_readonly("bytes", &StoreCounts::bytes, "Bytes of the folder's files.")
      .def_readonly("found", &StoreCounts::found, "Found by this Store, rows and scores.")
      .def_readonly("missed", &StoreCounts::missed, "Not found by this Store, the damaged among them.")
      .def_readonly("written", &StoreCounts::written, "Committed by this Store, and not there already.")
      .def_readonly("damaged", &StoreCounts::damaged,
                    "Known, but with data that are gone or whose checksum is another.")
      .def("__repr__", [](const StoreCounts& counts) {
        return text_of("<unisim.StoreCounts rows=", counts.rows, " scores=", counts.scores,
                       " bytes=", counts.bytes, " found=", counts.found, " missed=", counts.missed,
                       " written=", counts.written, " damaged=", counts.damaged, ">");
      });
}

void init_rows(py::class_<Store>& store) {
  store
      .def("find", &found_row, py::arg("model"), py::arg("content"), R"(The row of a model and a content.

Parameters
----------
model, content : str
    SHA-256 as 64 lower-case hexadecimal digits: of all that decides the model's results; of the file or text.

Returns
-------
torch.Tensor or None
    [dim] float32 on the CPU, bit by bit as it was put; None if it is not there, or damaged.

Raises
------
ValueError
    A key that is no SHA-256; a damaged index.
)")
      .def(
          "put",
          [](Store& self, const std::string& model, const std::string& content, const py::object& row) {
            const Tensor tensor = tensor_from(row);
            const std::span<const float> values = row_from(tensor);
            const py::gil_scoped_release release;
            self.put(model, content, values);
          },
          py::arg("model"), py::arg("content"), py::arg("row"),
          R"(Remembers a row until `commit`; beyond 64 MiB of them it commits by itself.

If the key is there already, that row stays.

Parameters
----------
model, content : str
    As for `find`.
row : torch.Tensor or array
    [dim] float32 on the CPU, 1 to 1,000,000 finite numbers.

Raises
------
ValueError
    A key that is no SHA-256; a row of another shape or dtype, or with a number that is not finite.
OSError
    The folder is read-only, or the disk is full.
)");
}

void init_scores(py::class_<Store>& store) {
  store
      .def(
          "find_score",
          [](const Store& self, const std::string& metric, const std::string& x, const std::string& y) {
            const py::gil_scoped_release release;
            return self.find_score(metric, x, y);
          },
          py::arg("metric"), py::arg("x"), py::arg("y"), R"(The score of a metric for x with y, in this order.

Parameters
----------
metric, x, y : str
    Keys as for `find`.

Returns
-------
float or None
    Bit by bit as it was put; None if it is not there, or damaged.
)")
      .def(
          "put_score",
          [](Store& self, const std::string& metric, const std::string& x, const std::string& y,
             double score) {
            const py::gil_scoped_release release;
            self.put_score(metric, x, y, score);
          },
          py::arg("metric"), py::arg("x"), py::arg("y"), py::arg("score"),
          R"(Remembers a score until `commit`. If the key is there already, that score stays.

Parameters
----------
metric, x, y : str
    Keys as for `find`.
score : float
    Any but not-a-number.
)");
}

}  // namespace

void init_store(py::module_& m) {
  init_counts(m);
  py::class_<Store> store(m, "Store",
                          R"(Rows and scores computed once, found again by what they were computed from.

What `commit` acknowledged is found after a crash; what was damaged since is missing, never wrong, and mended by the
next `put`. Threads may share a Store, several processes may use one folder at once; a process made by fork opens its
own. Not for network file systems.

Parameters
----------
folder : path
    Made if it is not there; one that cannot be written to is read.

Raises
------
ValueError
    Its index is of another version or program, or damaged.
OSError
    The folder cannot be made or read.

Examples
--------
>>> import hashlib, tempfile
>>> import numpy, unisim
>>> store = unisim.Store(tempfile.mkdtemp())
>>> model, content = hashlib.sha256(b"model").hexdigest(), hashlib.sha256(b"content").hexdigest()
>>> store.put(model, content, numpy.array([0.6, 0.8], numpy.float32))
>>> store.commit()
>>> store.find(model, content)
tensor([0.6000, 0.8000])
)");
  store
      .def(py::init([](const py::object& folder) {
             const std::filesystem::path path = path_from(folder);
             const py::gil_scoped_release release;
             return std::make_unique<Store>(path);
           }),
           py::arg("folder"))
      .def("__repr__",
           [](const Store& self) {
             return py::str("<unisim.Store {}>").format(path_to(self.folder().string()));
           })
      .def_property_readonly(
          "folder", [](const Store& self) { return path_to(self.folder().string()); },
          "The folder, as an absolute path.")
      .def_property_readonly("read_only", &Store::read_only, "Whether `put` is refused.")
      .def("commit", &Store::commit, py::call_guard<py::gil_scoped_release>(),
           R"(All that was put is on the disk when this returns.

Raises
------
OSError
    It cannot be, the disk is full for example; then it is remembered still, and `commit` may be called again.
)")
      .def("counts", &Store::counts, py::call_guard<py::gil_scoped_release>(),
           R"(What the folder holds, and what this Store found, missed, wrote and saw damaged.

Returns
-------
StoreCounts
)");
  init_rows(store);
  init_scores(store);
}

}  // namespace unisim
