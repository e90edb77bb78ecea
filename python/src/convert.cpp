#include "convert.h"

#include <pybind11/numpy.h>
#include <torch/csrc/autograd/python_variable.h>

namespace unisim {

std::filesystem::path path_from(py::handle object) {
  const py::object path = py::module_::import("os").attr("fsencode")(object);
  return std::filesystem::path(path.cast<std::string>());
}

py::str path_to(const std::string& path) {
  PyObject* text = PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size()));
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(text);
}

Progress progress_from(py::handle callback) {
  // Runs without the GIL: takes it to look at signals and to call back.
  py::object held = py::reinterpret_borrow<py::object>(callback);
  auto shared = std::shared_ptr<py::object>(new py::object(std::move(held)), [](py::object* p) {
    py::gil_scoped_acquire gil;
    delete p;
  });
  return [shared](int64_t done, int64_t total) {
    py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!shared->is_none()) (*shared)(done, total);
  };
}

namespace {

/// A numpy array, shared where LibTorch can hold it: else (negative strides, which end the process in
/// from_dlpack; a foreign byte order; read-only memory, which a tensor cannot be) a copy.
Tensor tensor_from_numpy(const py::array& array) {
  const auto torch = py::module_::import("torch");
  bool shared = array.writeable() && array.dtype().attr("isnative").cast<bool>();
  for (py::ssize_t k = 0; k < array.ndim(); ++k) shared &= array.strides(k) >= 0;
  if (shared) return torch.attr("from_numpy")(array).cast<Tensor>();
  const py::object native = array.dtype().attr("newbyteorder")("=");
  return torch.attr("from_numpy")(array.attr("astype")(native, py::arg("order") = "C")).cast<Tensor>();
}

}  // namespace

Tensor tensor_from(py::handle object) {
  if (THPVariable_Check(object.ptr())) return object.cast<Tensor>();
  if (py::isinstance<py::array>(object)) return tensor_from_numpy(py::reinterpret_borrow<py::array>(object));
  if (py::hasattr(object, "__dlpack__"))
    return py::module_::import("torch").attr("from_dlpack")(object).cast<Tensor>();
  return py::module_::import("torch").attr("as_tensor")(object).cast<Tensor>();
}

Device device_from(py::handle device, const std::string& operation) {
  // torch's own reading of "cpu", "cuda:0" and torch.device; its RuntimeError for a word it does not know is
  // ours to turn into the caller's error.
  try {
    return py::module_::import("torch").attr("device")(device).cast<Device>();
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_RuntimeError)) throw;
    throw std::invalid_argument(text_of("[", operation, "] device ", py::repr(device).cast<std::string>(),
                                        " is not known; expected cpu, cuda or cuda:0"));
  }
}

std::optional<Pool> pool_from(const std::optional<std::string>& name) {
  if (!name) return {};
  if (*name == "cls") return Pool::Cls;
  if (*name == "mean") return Pool::Mean;
  throw std::invalid_argument("[pool] \"" + *name + "\" is neither \"cls\" nor \"mean\"");
}

}  // namespace unisim
